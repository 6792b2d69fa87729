/*
 * What a webhook's own script, or one that may become it, would have made of events that are stored: which it would have
 * sent, and how they would have read.
 */
#include "cli/call.h"
#include "cli/input.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/run.h"
#include "cli/text.h"
#include "cli/webhook.h"

#define LIMIT_MAX 100

static bool is_in_error(const bh_json *json, uint32_t row)
{
	return bh_member_is(json, row, "verdict", "error");
}

/* In a list: why it broke, or the body if it was changed. */
static char *what_words(const bh_view *view, const bh_json *json, uint32_t row)
{
	if (is_in_error(json, row))
		return bh_member_shown(json, row, "error");
	if (bh_member_is(json, row, "verdict", "not_selected"))
		return g_strdup("the webhook does not select this event");
	if (!bh_member_true(json, row, "changed"))
		return NULL;
	g_autofree char *body = bh_member_shown(json, row, "body");
	return g_strconcat("body changed: ", body ? body : "", NULL);
}

static const bh_view_row ROWS[] = {
	{"EVENT", "event_id"},
	{"TYPE", "type", .shrinks = true},
	{"HAPPENED", "occurred_at", BH_VIEW_TIME, .optional = true},
	{"VERDICT", "verdict", BH_VIEW_STATE},
	{"WHAT", NULL, BH_VIEW_WORDS, .shrinks = true, .words = what_words},
	{NULL},
};

/* --- Asking -------------------------------------------------------------------------------- */

static bool fill(bh_call *call, GString *body, GError **error)
{
	gint64 limit = 0;
	if (!bh_args_int(call->args, "limit", 1, LIMIT_MAX, &limit, error) || !bh_webhook_fill_form(call, body, error))
		return false;
	if (limit)
		bh_object_int(body, "limit", limit);
	bh_object_text(body, "type", bh_args_one(call->args, "type"));
	if (bh_args_has(call->args, "event"))
		bh_object_list(body, "events", bh_args_all(call->args, "event"));
	return true;
}

/* --- Telling ------------------------------------------------------------------------------- */

static void print_bodies(const bh_call *call, const bh_json *json, uint32_t data, GString *out)
{
	for (uint32_t r = bh_first_item(json, data); r != BH_JSON_NONE; r = bh_json_next(json, data, r)) {
		g_autofree char *body = bh_member_text(json, r, "body");
		g_autofree char *id = bh_member_text(json, r, "event_id");
		if (!body || !id)
			continue;
		g_string_append_c(out, '\n');
		bh_heading(call, out, bh_member_true(json, r, "changed") ? "changed body of" : "body of", id);
		bh_view_payload(&call->view, bh_span_of(body), 2, out);
		if (bh_member_true(json, r, "body_truncated"))
			g_string_append(out, "  (it is longer: the rest is not shown)\n");
	}
}

static guint count_of(const bh_json *json, uint32_t data, const char *verdict)
{
	guint count = 0;
	for (uint32_t r = bh_first_item(json, data); r != BH_JSON_NONE; r = bh_json_next(json, data, r))
		count += bh_member_is(json, r, "verdict", verdict);
	return count;
}

/* "12 would be sent, 7 filtered, 1 in error" */
static void append_counts(const bh_json *json, uint32_t data, GString *out)
{
	static const char *const words[][2] = {{"sent", "would be sent"},
					       {"filtered", "filtered"},
					       {"not_selected", "not selected"},
					       {"error", "in error"}};
	g_autoptr(GString) line = g_string_new(NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		guint count = count_of(json, data, words[i][0]);
		if (count)
			g_string_append_printf(line, "%s%u %s", line->len ? ", " : "", count, words[i][1]);
	}
	g_string_append_printf(out, "\n%s; nothing was sent or stored.\n", line->str);
}

static void print(const bh_call *call, const bh_json *json, uint32_t data)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(bh_table) table = bh_view_table(ROWS);
	for (uint32_t r = bh_first_item(json, data); r != BH_JSON_NONE; r = bh_json_next(json, data, r))
		bh_view_add(&call->view, table, json, r, ROWS);
	bh_table_print(table, call->view.screen, 0, out);
	if (bh_args_has(call->args, "full"))
		print_bodies(call, json, data, out);
	append_counts(json, data, out);
	bh_print(out);
}

bh_exit bh_run_webhook_dry_run(bh_call *call, GError **error)
{
	g_autoptr(GString) body = bh_object_new();
	if (!bh_call_id(call, 0, BH_ID_WEBHOOK, error))
		return BH_EXIT_USAGE;
	if (!fill(call, body, error))
		return BH_EXIT_FAILED;
	g_autoptr(bh_reply) reply =
		bh_webhook_ask(call, "POST", "/dry-run", bh_object_end(body), "try the script of", error);
	if (!reply)
		return BH_EXIT_FAILED;

	uint32_t data = bh_member(reply->json, 0, "data");
	if (call->json)
		bh_print_body(reply);
	else if (bh_first_item(reply->json, data) == BH_JSON_NONE)
		bh_remark("No stored event to try it with: hand one over with `bellhop send`.");
	else
		print(call, reply->json, data);
	if (!call->json && bh_member_true(reply->json, 0, "truncated"))
		bh_remark("The time for one dry run was over: fewer events were tried than asked for.");
	return count_of(reply->json, data, "error") ? BH_EXIT_FAILED : BH_EXIT_DONE;
}
