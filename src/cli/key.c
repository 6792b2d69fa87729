/* API keys, and the log of who changed what. */
#include "cli/call.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/run.h"

static const bh_view_row KEYS[] = {
	{"ID", "id"},
	{"ROLE", "role"},
	{"MANAGER", "manager_id", .shrinks = true},
	{"NAME", "name", .shrinks = true},
	{"MADE", "created_at", BH_VIEW_TIME},
	{NULL},
};

static const bh_view_row NEW_KEY[] = {
	{"key", "key"}, {"role", "role"}, {"manager", "manager_id"}, {"name", "name"}, {NULL},
};

static const bh_view_row AUDIT[] = {
	{"WHEN", "at", BH_VIEW_TIME},
	{"WHO", "who", .shrinks = true},
	{"FROM", "from"},
	{"WHAT", "what", .shrinks = true},
	{NULL},
};

bh_exit bh_run_key_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new("/v1/keys");
	return bh_call_list(call, "list the API keys", path, KEYS, "No API keys.", error);
}

bh_exit bh_run_key_add(bh_call *call, GError **error)
{
	const char *manager = bh_args_one(call->args, "manager");
	const char *role = bh_args_one(call->args, "role");
	if (!role)
		role = manager ? "manager" : NULL;
	if (!role) {
		bh_usage_error(error, "a key needs a role: --role site, --role emit, or --manager ID");
		return BH_EXIT_USAGE;
	}

	g_autoptr(GString) body = bh_object_new();
	bh_object_text(body, "role", role);
	bh_object_text(body, "manager_id", manager);
	bh_object_text(body, "name", bh_args_one(call->args, "name"));
	bh_ask ask = {.what = "add an API key", .verb = "POST", .path = "/v1/keys", .body = bh_object_end(body)};
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return BH_EXIT_FAILED;

	bh_exit result = bh_call_show(call, reply, "added key", NEW_KEY);
	if (!call->json)
		bh_remark("Keep the key now: only its hash is stored, and it is not shown again.");
	return result;
}

bh_exit bh_run_key_revoke(bh_call *call, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_KEY, error);
	if (!id)
		return BH_EXIT_USAGE;
	g_autofree char *escaped = bh_path_escape(id);
	g_autofree char *path = g_strdup_printf("/v1/keys/%s", escaped);
	g_autofree char *what = g_strdup_printf("revoke key %s", id);
	bh_ask ask = {.what = what, .verb = "DELETE", .path = path};
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return BH_EXIT_FAILED;
	bh_printf("revoked key %s\n", id);
	return BH_EXIT_DONE;
}

bh_exit bh_run_audit(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new("/v1/audit");
	return bh_call_list(call, "list the audit log", path, AUDIT, "Nothing was changed yet.", error);
}
