/* Deliveries: what became of an event at one webhook, attempt by attempt. */
#include "cli/call.h"
#include "cli/delivery_words.h"
#include "cli/member.h"
#include "cli/run.h"
#include "cli/text.h"
#include "cli/watch.h"

static const bh_view_row DELIVERIES[] = {
	{"ID", "id"},
	{"TYPE", "type", .absent = "(no longer stored)", .shrinks = true},
	{"WEBHOOK", "webhook_id"},
	{"STATE", "state", BH_VIEW_STATE},
	{"TRIED", "attempts", BH_VIEW_NUMBER},
	{"MADE", "created_at", BH_VIEW_TIME, .optional = true},
	{"NEXT", "due_at", BH_VIEW_TIME},
	{"SEQ", "sequence", BH_VIEW_NUMBER, .optional = true},
	{"WHY", NULL, BH_VIEW_WORDS, .shrinks = true, .optional = true, .words = bh_delivery_why},
	{NULL},
};

static const bh_view_row DELIVERY[] = {
	{"state", "state", BH_VIEW_STATE},
	{"why", "reason"},
	{"sent in its place", "superseded_by"},
	{"waits for", NULL, BH_VIEW_WORDS, .words = bh_delivery_waits_for},
	{"order key", "order_key"},
	{"sequence", "sequence"},
	{"event", "event_id"},
	{"type", "type", .absent = "(the event is no longer stored)"},
	{"webhook", "webhook_id"},
	{"manager", "manager_id"},
	{"test", "test", BH_VIEW_YES_NO},
	{"attempts", "attempts"},
	{"spent", "spent"},
	{"made", "created_at", BH_VIEW_TIME},
	{"next attempt", "due_at", BH_VIEW_TIME},
	{"ended", "ended_at", BH_VIEW_TIME},
	{NULL},
};

static const bh_view_row ATTEMPTS[] = {
	{"#", "number", BH_VIEW_NUMBER},
	{"STARTED", "started_at", BH_VIEW_TIME},
	{"OUTCOME", "outcome", BH_VIEW_STATE},
	{"STATUS", "status", BH_VIEW_NUMBER},
	{"TIME", "total_us", BH_VIEW_SPAN},
	{"ADDRESS", "address", .shrinks = true},
	{"WHAT HAPPENED", "sentence", .wraps = true},
	{NULL},
};

static const bh_view_row PHASES[] = {
	{"cause", "cause"},
	{"address", "address"},
	{"HTTP", "http_version"},
	{"DNS", "dns_us", BH_VIEW_SPAN},
	{"connect", "connect_us", BH_VIEW_SPAN},
	{"TLS", "tls_us", BH_VIEW_SPAN},
	{"first byte", "first_byte_us", BH_VIEW_SPAN},
	{"total", "total_us", BH_VIEW_SPAN},
	{NULL},
};

bh_exit bh_run_delivery_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new("/v1/deliveries");
	bh_query_add(path, "webhook_id", bh_args_one(call->args, "webhook"));
	bh_query_add(path, "event_id", bh_args_one(call->args, "event"));
	bh_query_add(path, "state", bh_args_one(call->args, "state"));
	return bh_call_list(call, "list the deliveries", path, DELIVERIES, "No such deliveries.", error);
}

/* --- One, with its attempts ---------------------------------------------------------------- */

static bh_reply *get_attempts(bh_call *call, const char *id, const char *cursor, GError **error)
{
	g_autoptr(GString) path = g_string_new(NULL);
	g_autofree char *what = g_strdup_printf("show the attempts of %s", id);
	g_autofree char *escaped = bh_path_escape(id);
	g_string_printf(path, "/v1/deliveries/%s/attempts?limit=100", escaped);
	bh_query_add(path, "cursor", cursor);
	return bh_call_get(call, what, path->str, error);
}

/* A text of several lines, each indented, safe to show. */
static void append_block(const bh_call *call, GString *out, const char *title, const char *text)
{
	if (!text || !*text)
		return;
	g_autofree char *shown = bh_text_visible(bh_span_of(text), true);
	g_auto(GStrv) lines = g_strsplit(shown, "\n", -1);
	g_string_append(out, "  ");
	bh_paint_append(out, call->view.screen, BH_FAINT, title);
	g_string_append_c(out, '\n');
	for (char **line = lines; *line; line++)
		if (**line || line[1]) /* not the nothing after the last line feed */
			g_string_append_printf(out, "    %s\n", *line);
}

static void append_attempt(const bh_call *call, const bh_json *json, uint32_t attempt, GString *out)
{
	static const char *const texts[][2] = {{"request", "request"},
					       {"request body", "request_body"},
					       {"response", "response"},
					       {"response body", "response_body"}};
	g_autofree char *number = bh_member_text(json, attempt, "number");
	g_string_append_c(out, '\n');
	bh_heading(call, out, "attempt", number ? number : "?");
	bh_view_one(&call->view, json, attempt, PHASES, out);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *text = bh_member_text(json, attempt, texts[i][1]);
		append_block(call, out, texts[i][0], text);
	}
}

/* Adds the attempts of a page to the table, and with --full their whole story to `full`. */
static void take_attempts(const bh_call *call, const bh_reply *page, bh_table *table, GString *full)
{
	uint32_t data = bh_member(page->json, 0, "data");
	for (uint32_t a = bh_first_item(page->json, data); a != BH_JSON_NONE; a = bh_json_next(page->json, data, a)) {
		bh_view_add(&call->view, table, page->json, a, ATTEMPTS);
		if (bh_args_has(call->args, "full"))
			append_attempt(call, page->json, a, full);
	}
}

static bool append_attempts(bh_call *call, const char *id, GString *out, GError **error)
{
	g_autoptr(bh_table) table = bh_view_table(ATTEMPTS);
	g_autoptr(GString) full = g_string_new(NULL);
	g_autofree char *cursor = NULL;
	do {
		g_autoptr(bh_reply) page = get_attempts(call, id, cursor, error);
		if (!page)
			return false;
		take_attempts(call, page, table, full);
		g_free(cursor);
		cursor = bh_member_text(page->json, 0, "next");
	} while (cursor);

	g_string_append_c(out, '\n');
	bh_table_print(table, call->view.screen, 2, out);
	g_string_append_len(out, full->str, (gssize)full->len);
	return true;
}

/* --json: the delivery and the first page of its attempts, each as the API's very bytes. */
static bool print_json(bh_call *call, const bh_reply *delivery, const char *id, GError **error)
{
	g_autoptr(bh_reply) attempts = get_attempts(call, id, NULL, error);
	if (!attempts)
		return false;
	bh_span one = bh_json_text(delivery->json, 0), all = bh_json_text(attempts->json, 0);
	bh_printf("{\"delivery\":%.*s,\"attempts\":%.*s}\n", (int)one.size, one.at, (int)all.size, all.at);
	return true;
}

bh_exit bh_run_delivery_show(bh_call *call, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_DELIVERY, error);
	if (!id)
		return BH_EXIT_USAGE;
	g_autofree char *escaped = bh_path_escape(id);
	g_autofree char *path = g_strdup_printf("/v1/deliveries/%s", escaped);
	g_autofree char *what = g_strdup_printf("show delivery %s", id);
	g_autoptr(bh_reply) reply = bh_call_get(call, what, path, error);
	if (!reply)
		return BH_EXIT_FAILED;
	if (call->json)
		return print_json(call, reply, id, error) ? BH_EXIT_DONE : BH_EXIT_FAILED;

	g_autoptr(GString) out = g_string_new(NULL);
	bh_heading(call, out, "delivery", id);
	bh_view_one(&call->view, reply->json, 0, DELIVERY, out);
	if (!append_attempts(call, id, out, error))
		return BH_EXIT_FAILED;
	bh_print(out);
	return BH_EXIT_DONE;
}

/* --- By hand ------------------------------------------------------------------------------- */

static bh_reply *act(bh_call *call, const char *verb, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_DELIVERY, error);
	if (!id)
		return NULL;
	g_autofree char *escaped = bh_path_escape(id);
	g_autofree char *path = g_strdup_printf("/v1/deliveries/%s/%s", escaped, verb);
	g_autofree char *what = g_strdup_printf("%s delivery %s", verb, id);
	bh_ask ask = {.what = what, .verb = "POST", .path = path};
	return bh_call_ask(call, &ask, error);
}

static bh_exit wait_for_retry(bh_call *call, const bh_reply *accepted, GError **error)
{
	g_autofree char *event = bh_member_text(accepted->json, 0, "event_id");
	int64_t attempts = 0;
	(void)bh_member_int(accepted->json, 0, "attempts", &attempts);
	g_autoptr(bh_watch) watch = bh_watch_new(call);
	bh_watch_delivery(watch, event ? event : "", bh_args_operand(call->args, 0), attempts);
	if (!bh_watch_run(watch, error))
		return BH_EXIT_FAILED;
	if (call->json)
		bh_watch_print_json(watch, bh_json_text(accepted->json, 0));
	else
		bh_watch_print(watch);
	return bh_watch_result(watch);
}

bh_exit bh_run_delivery_retry(bh_call *call, GError **error)
{
	g_autoptr(bh_reply) reply = act(call, "retry", error);
	if (!reply)
		return BH_EXIT_FAILED;
	if (bh_args_has(call->args, "wait"))
		return wait_for_retry(call, reply, error);
	return bh_call_show(call, reply, "retrying delivery", DELIVERY);
}

bh_exit bh_run_delivery_cancel(bh_call *call, GError **error)
{
	g_autoptr(bh_reply) reply = act(call, "cancel", error);
	return reply ? bh_call_show(call, reply, "cancelled delivery", DELIVERY) : BH_EXIT_FAILED;
}
