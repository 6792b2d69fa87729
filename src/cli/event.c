/* Events: listing and showing. Why each webhook got one or not is told in explain.c. */
#include "cli/call.h"
#include "cli/member.h"
#include "cli/run.h"

static const bh_view_row EVENTS[] = {
	{"ID", "id"},
	{"TYPE", "type", .shrinks = true},
	{"PROPERTY", "property_id", .shrinks = true},
	{"MANAGER", "manager_id", .shrinks = true},
	{"ACTOR", "actor", .shrinks = true, .optional = true},
	{"ACCEPTED", "accepted_at", BH_VIEW_TIME},
	{"CALLER'S ID", "caller_id", .shrinks = true, .optional = true},
	{NULL},
};

static const bh_view_row EVENT[] = {
	{"type", "type"},
	{"property", "property_id", .absent = "about none"},
	{"manager", "manager_id"},
	{"actor", "actor"},
	{"caller's id", "caller_id"},
	{"happened", "occurred_at", BH_VIEW_TIME},
	{"accepted", "accepted_at", BH_VIEW_TIME},
	{NULL},
};

bh_exit bh_run_event_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new("/v1/events");
	bh_query_add(path, "type", bh_args_one(call->args, "type"));
	bh_query_add(path, "property_id", bh_args_one(call->args, "property"));
	return bh_call_list(call, "list the events", path, EVENTS, "No such events.", error);
}

bh_exit bh_run_event_show(bh_call *call, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_EVENT, error);
	if (!id)
		return BH_EXIT_USAGE;
	g_autofree char *escaped = bh_path_escape(id);
	g_autofree char *path = g_strdup_printf("/v1/events/%s", escaped);
	g_autofree char *what = g_strdup_printf("show event %s", id);
	g_autoptr(bh_reply) reply = bh_call_get(call, what, path, error);
	if (!reply)
		return BH_EXIT_FAILED;
	if (call->json) {
		bh_print_body(reply);
		return BH_EXIT_DONE;
	}

	g_autoptr(GString) out = g_string_new(NULL);
	bh_heading(call, out, "event", id);
	bh_view_one(&call->view, reply->json, 0, EVENT, out);
	bh_view_block(&call->view, reply->json, 0, "channel", out);
	bh_view_block(&call->view, reply->json, 0, "data", out);
	bh_view_block(&call->view, reply->json, 0, "details", out);
	bh_print(out);
	return BH_EXIT_DONE;
}
