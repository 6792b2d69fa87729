/* Managers and properties: the site's own things, under the site's own ids. */
#include "cli/call.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/run.h"

static const bh_view_row MANAGERS[] = {
	{"ID", "id", .shrinks = true},
	{"NAME", "name", .shrinks = true},
	{"EMAIL", "email", .shrinks = true},
	{"ROLE", "role"},
	{NULL},
};

static const bh_view_row MANAGER[] = {
	{"name", "name"},
	{"email", "email"},
	{"role", "role"},
	{"made", "created_at", BH_VIEW_TIME},
	{"changed", "updated_at", BH_VIEW_TIME},
	{NULL},
};

static const bh_view_row PROPERTIES[] = {
	{"ID", "id", .shrinks = true},
	{"NAME", "name", .shrinks = true},
	{"MANAGERS", "managers", BH_VIEW_LIST, "nobody", .shrinks = true},
	{NULL},
};

static const bh_view_row PROPERTY[] = {
	{"name", "name"},
	{"managers", "managers", BH_VIEW_LIST, "nobody: its events reach the site's own webhooks only"},
	{"made", "created_at", BH_VIEW_TIME},
	{"changed", "updated_at", BH_VIEW_TIME},
	{NULL},
};

/* One of the two, and what is said of it. */
typedef struct kind {
	const char *noun, *path;
	const bh_view_row *rows;
	void (*fill)(const bh_call *call, const bh_reply *old, GString *body);
} kind;

/* An option as given; else the member of what is there so far; else nothing. */
static void keep_or_give(const bh_call *call, const bh_reply *old, GString *body, const char *name)
{
	const char *given = bh_args_one(call->args, name);
	uint32_t member = old ? bh_member(old->json, 0, name) : BH_JSON_NONE;
	if (given)
		bh_object_text(body, name, given);
	else if (member != BH_JSON_NONE)
		bh_object_raw(body, name, bh_json_text(old->json, member));
}

static void fill_manager(const bh_call *call, const bh_reply *old, GString *body)
{
	keep_or_give(call, old, body, "name");
	keep_or_give(call, old, body, "email");
	keep_or_give(call, old, body, "role");
}

static void fill_property(const bh_call *call, const bh_reply *old, GString *body)
{
	uint32_t managers = old ? bh_member(old->json, 0, "managers") : BH_JSON_NONE;
	keep_or_give(call, old, body, "name");
	if (bh_args_has(call->args, "manager"))
		bh_object_list(body, "managers", bh_args_all(call->args, "manager"));
	else if (managers != BH_JSON_NONE && !bh_args_has(call->args, "no-manager"))
		bh_object_raw(body, "managers", bh_json_text(old->json, managers));
}

static const kind A_MANAGER = {"manager", "/v1/managers", MANAGER, fill_manager};
static const kind A_PROPERTY = {"property", "/v1/properties", PROPERTY, fill_property};

static char *path_of(const bh_call *call, const kind *k)
{
	g_autofree char *id = bh_path_escape(bh_args_operand(call->args, 0));
	return g_strdup_printf("%s/%s", k->path, id);
}

static char *what_of(const bh_call *call, const kind *k, const char *verb)
{
	return g_strdup_printf("%s %s \"%s\"", verb, k->noun, bh_args_operand(call->args, 0));
}

static bh_exit show(bh_call *call, const kind *k, GError **error)
{
	g_autofree char *path = path_of(call, k);
	g_autofree char *what = what_of(call, k, "show");
	g_autoptr(bh_reply) reply = bh_call_get(call, what, path, error);
	return reply ? bh_call_show(call, reply, k->noun, k->rows) : BH_EXIT_FAILED;
}

static bh_exit put(bh_call *call, const kind *k, const char *verb, const bh_reply *old, GError **error)
{
	g_autofree char *path = path_of(call, k);
	g_autofree char *what = what_of(call, k, verb);
	g_autoptr(GString) body = bh_object_new();
	k->fill(call, old, body);

	bh_ask ask = {.what = what, .verb = "PUT", .path = path, .body = bh_object_end(body)};
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return BH_EXIT_FAILED;
	if (!call->json)
		bh_printf("%s ", reply->status == 201 ? "added" : "changed");
	return bh_call_show(call, reply, k->noun, k->rows);
}

/* PUT replaces as a whole, so what is not named is read first and sent along. */
static bh_exit set(bh_call *call, const kind *k, GError **error)
{
	g_autofree char *path = path_of(call, k);
	g_autofree char *what = what_of(call, k, "change");
	g_autoptr(bh_reply) old = bh_call_get(call, what, path, error);
	return old ? put(call, k, "change", old, error) : BH_EXIT_FAILED;
}

static bh_exit take_away(bh_call *call, const kind *k, GError **error)
{
	g_autofree char *path = path_of(call, k);
	g_autofree char *what = what_of(call, k, "remove");
	bh_ask ask = {.what = what, .verb = "DELETE", .path = path};
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return BH_EXIT_FAILED;
	bh_printf("removed %s %s\n", k->noun, bh_args_operand(call->args, 0));
	return BH_EXIT_DONE;
}

bh_exit bh_run_manager_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new(A_MANAGER.path);
	return bh_call_list(call, "list the managers", path, MANAGERS,
			    "No managers yet: `bellhop manager add 7 --name Ada` makes one.", error);
}

bh_exit bh_run_manager_show(bh_call *call, GError **error)
{
	return show(call, &A_MANAGER, error);
}

bh_exit bh_run_manager_add(bh_call *call, GError **error)
{
	return put(call, &A_MANAGER, "add", NULL, error);
}

bh_exit bh_run_manager_set(bh_call *call, GError **error)
{
	return set(call, &A_MANAGER, error);
}

bh_exit bh_run_manager_remove(bh_call *call, GError **error)
{
	return take_away(call, &A_MANAGER, error);
}

bh_exit bh_run_property_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new(A_PROPERTY.path);
	bh_query_add(path, "manager_id", bh_args_one(call->args, "manager"));
	return bh_call_list(call, "list the properties", path, PROPERTIES,
			    "No such properties: `bellhop property add 12 --name \"Sea View\" --manager 7` makes one.",
			    error);
}

bh_exit bh_run_property_show(bh_call *call, GError **error)
{
	return show(call, &A_PROPERTY, error);
}

bh_exit bh_run_property_add(bh_call *call, GError **error)
{
	return put(call, &A_PROPERTY, "add", NULL, error);
}

bh_exit bh_run_property_set(bh_call *call, GError **error)
{
	return set(call, &A_PROPERTY, error);
}

bh_exit bh_run_property_remove(bh_call *call, GError **error)
{
	return take_away(call, &A_PROPERTY, error);
}
