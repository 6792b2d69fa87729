/* What the catalogue knows: event types. */
#include "cli/call.h"
#include "cli/input.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/run.h"

static const bh_view_row TYPES[] = {
	{"TYPE", "name"},
	{"GROUP", "group"},
	{"FIELDS", "fields", BH_VIEW_LIST, .shrinks = true},
	{"DESCRIPTION", "description", .shrinks = true},
	{NULL},
};

static const bh_view_row TYPE[] = {
	{"description", "description"},           {"group", "group"},
	{"fields", "fields", BH_VIEW_LIST},       {"removed at the door", "sensitive", BH_VIEW_LIST},
	{"built in", "built_in", BH_VIEW_YES_NO}, {NULL},
};

static char *type_path(const bh_call *call)
{
	g_autofree char *name = bh_path_escape(bh_args_operand(call->args, 0));
	return g_strdup_printf("/v1/event-types/%s", name);
}

static bh_exit show_type(bh_call *call, const bh_reply *reply, const char *noun)
{
	if (call->json) {
		bh_print_body(reply);
		return BH_EXIT_DONE;
	}
	g_autoptr(GString) out = g_string_new(NULL);
	bh_heading(call, out, noun, bh_args_operand(call->args, 0));
	bh_view_one(&call->view, reply->json, 0, TYPE, out);
	bh_view_block(&call->view, reply->json, 0, "example", out);
	bh_view_block(&call->view, reply->json, 0, "schema", out);
	bh_print(out);
	return BH_EXIT_DONE;
}

bh_exit bh_run_type_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new("/v1/event-types");
	return bh_call_list(call, "list the event types", path, TYPES, "No event types.", error);
}

bh_exit bh_run_type_show(bh_call *call, GError **error)
{
	g_autofree char *path = type_path(call);
	g_autofree char *what = g_strdup_printf("show event type \"%s\"", bh_args_operand(call->args, 0));
	g_autoptr(bh_reply) reply = bh_call_get(call, what, path, error);
	return reply ? show_type(call, reply, "event type") : BH_EXIT_FAILED;
}

/* JSON given as itself, @FILE or -; it goes into the body as the very bytes, so it is checked before. */
static bool add_json(const bh_call *call, GString *body, const char *name, GError **error)
{
	const char *given = bh_args_one(call->args, name);
	if (!given)
		return true;
	g_autofree char *option = g_strdup_printf("--%s", name);
	g_autofree char *text = bh_input_text(given, option, error);
	if (!text)
		return false;
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) why = NULL;
	if (!bh_json_parse(json, bh_span_of(text), &why)) {
		bh_usage_error(error, "--%s is no JSON: %s", name, why->message);
		return false;
	}
	bh_object_raw(body, name, bh_json_text(json, 0));
	return true;
}

bh_exit bh_run_type_add(bh_call *call, GError **error)
{
	g_autofree char *path = type_path(call);
	g_autofree char *what = g_strdup_printf("add event type \"%s\"", bh_args_operand(call->args, 0));
	g_autoptr(GString) body = bh_object_new();
	bh_object_text(body, "group", bh_args_one(call->args, "group"));
	bh_object_text(body, "description", bh_args_one(call->args, "description"));
	if (bh_args_has(call->args, "field"))
		bh_object_list(body, "fields", bh_args_all(call->args, "field"));
	if (bh_args_has(call->args, "sensitive"))
		bh_object_list(body, "sensitive", bh_args_all(call->args, "sensitive"));
	if (!add_json(call, body, "example", error) || !add_json(call, body, "schema", error))
		return BH_EXIT_FAILED;

	bh_ask ask = {.what = what, .verb = "PUT", .path = path, .body = bh_object_end(body)};
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return BH_EXIT_FAILED;
	return show_type(call, reply, reply->status == 201 ? "added event type" : "changed event type");
}

bh_exit bh_run_type_remove(bh_call *call, GError **error)
{
	g_autofree char *path = type_path(call);
	g_autofree char *what = g_strdup_printf("remove event type \"%s\"", bh_args_operand(call->args, 0));
	bh_ask ask = {.what = what, .verb = "DELETE", .path = path};
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return BH_EXIT_FAILED;
	bh_printf("removed event type %s\n", bh_args_operand(call->args, 0));
	return BH_EXIT_DONE;
}
