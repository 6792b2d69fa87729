/* Why each webhook got an event or not: what the watcher decided when it came, or decides anew at a replay. */
#include "cli/call.h"
#include "cli/delivery_words.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/run.h"
#include "cli/text.h"

#include <string.h>

/* One line about the event: "booking_added of property 12, 3 min ago". */
static void append_summary(const bh_call *call, const bh_json *json, GString *out)
{
	bh_usec at;
	g_autofree char *type = bh_member_shown(json, 0, "type");
	g_autofree char *property = bh_member_shown(json, 0, "property_id");
	g_autofree char *manager = bh_member_shown(json, 0, "manager_id");
	g_autofree char *ago =
		bh_member_time(json, 0, "accepted_at", &at) ? bh_text_ago(at, call->view.now) : g_strdup("");
	g_string_append_printf(out, "  %s", type ? type : "?");
	if (manager)
		g_string_append_printf(out, ", addressed to manager %s", manager);
	else if (property)
		g_string_append_printf(out, " of property %s", property);
	else
		g_string_append(out, ", about no property: only the site's own webhooks are looked at");
	g_string_append_printf(out, ", accepted %s\n", ago);
}

static char *spelt_times(const char *count)
{
	if (strcmp(count, "0") == 0)
		return g_strdup("Not tried yet");
	return strcmp(count, "1") == 0 ? g_strdup("Tried once") : g_strdup_printf("Tried %s times", count);
}

/* What holds a delivery up or ended it, which the verdict of that moment cannot know. New text, or NULL. */
static char *delivery_story(bh_call *call, const char *delivery, GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/deliveries/%s", delivery);
	g_autofree char *what = g_strdup_printf("look up delivery %s", delivery);
	g_autoptr(bh_reply) reply = bh_call_get(call, what, path, error);
	if (!reply)
		return NULL;

	bh_usec due;
	g_autofree char *why = bh_delivery_why(&call->view, reply->json, 0);
	g_autofree char *tried = bh_member_shown(reply->json, 0, "attempts");
	GString *story = g_string_new(why ? why : "");
	if (bh_member_time(reply->json, 0, "due_at", &due)) {
		g_autofree char *next = bh_text_ago(due, call->view.now);
		g_autofree char *times = spelt_times(tried ? tried : "0");
		g_string_append_printf(story, "%s%s; next attempt %s.", story->len ? " " : "", times, next);
	}
	return g_string_free(story, FALSE);
}

/* When it was decided: "" when the event came, "replay 1" and so on later. */
static char *round_of(const bh_json *json, uint32_t verdict)
{
	int64_t number;
	bool later = bh_member_int(json, verdict, "round", &number) && number > 0;
	return later ? g_strdup_printf("replay %" G_GINT64_FORMAT, number) : NULL;
}

static bool add_verdict(bh_call *call, bh_table *table, const bh_json *json, uint32_t verdict, GError **error)
{
	g_autofree char *webhook = bh_member_shown(json, verdict, "webhook_id");
	g_autofree char *name = bh_member_shown(json, verdict, "webhook_name");
	g_autofree char *manager = bh_member_shown(json, verdict, "manager_id");
	g_autofree char *said = bh_member_shown(json, verdict, "verdict");
	g_autofree char *sentence = bh_member_shown(json, verdict, "sentence");
	g_autofree char *delivery = bh_member_text(json, verdict, "delivery_id");
	g_autofree char *state = bh_member_shown(json, verdict, "state");
	g_autofree char *when = round_of(json, verdict);
	g_autofree char *story = NULL;

	bool arrived = g_strcmp0(state, "delivered") == 0;
	if (delivery && !arrived && !(story = delivery_story(call, delivery, error)))
		return false;
	const char *reason = story && *story ? story : sentence ? sentence : "";
	g_autofree char *why =
		delivery ? g_strdup_printf(*reason ? "%s: %s" : "%s", delivery, reason) : g_strdup(reason);
	bh_table_add(table, BH_FAINT, when);
	bh_table_add(table, BH_PLAIN, webhook ? webhook : "(none)");
	bh_table_add(table, BH_PLAIN, name);
	bh_table_add(table, BH_PLAIN, manager);
	bh_table_add(table, BH_PLAIN, said);
	bh_table_add(table, state ? bh_state_paint(state) : BH_FAINT, state ? state : "not sent");
	bh_table_add(table, BH_PLAIN, why);
	return true;
}

static bool has_verdict(const bh_json *json, const char *verdict)
{
	uint32_t data = bh_member(json, 0, "data");
	for (uint32_t v = bh_first_item(json, data); v != BH_JSON_NONE; v = bh_json_next(json, data, v))
		if (bh_member_is(json, v, "verdict", verdict))
			return true;
	return false;
}

static bool append_verdicts(bh_call *call, const bh_json *json, GString *out, GError **error)
{
	static const bh_column columns[] = {
		{"ROUND"},   {"WEBHOOK"}, {"NAME", .shrinks = true}, {"MANAGER", .shrinks = true, .optional = true},
		{"VERDICT"}, {"STATE"},   {"WHY", .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, G_N_ELEMENTS(columns));
	guint count = 0;
	uint32_t data = bh_member(json, 0, "data");
	for (uint32_t v = bh_first_item(json, data); v != BH_JSON_NONE; v = bh_json_next(json, data, v)) {
		if (!add_verdict(call, table, json, v, error))
			return false;
		count++;
	}
	if (count)
		bh_table_print(table, call->view.screen, 0, out);
	else
		g_string_append(out,
				"No webhook was looked at: there is none of these managers, and none of the site.\n");
	return true;
}

/* --- The commands -------------------------------------------------------------------------- */

static bh_reply *get_event(bh_call *call, const char *id, const char *rest, const char *attempt, GError **error)
{
	g_autofree char *escaped = bh_path_escape(id);
	g_autofree char *path = g_strdup_printf("/v1/events/%s%s", escaped, rest);
	g_autofree char *what = g_strdup_printf("%s event %s", attempt, id);
	return bh_call_get(call, what, path, error);
}

/* The event, the verdicts on it, and what helps when nobody was told. */
static bh_exit tell(bh_call *call, const char *heading, const char *id, const bh_reply *verdicts, GError **error)
{
	if (call->json) {
		bh_print_body(verdicts);
		return BH_EXIT_DONE;
	}

	g_autoptr(bh_reply) event = get_event(call, id, "", "explain", error);
	g_autoptr(GString) out = g_string_new(NULL);
	if (!event)
		return BH_EXIT_FAILED;
	bh_heading(call, out, heading, id);
	append_summary(call, event->json, out);
	if (!append_verdicts(call, verdicts->json, out, error))
		return BH_EXIT_FAILED;
	bh_print(out);
	g_autofree char *property = bh_member_shown(event->json, 0, "property_id");
	if (property && has_verdict(verdicts->json, "no_manager"))
		bh_remark("Say who manages it: bellhop property add %s --manager ID", property);
	return BH_EXIT_DONE;
}

bh_exit bh_run_explain(bh_call *call, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_EVENT, error);
	if (!id)
		return BH_EXIT_USAGE;
	g_autoptr(bh_reply) verdicts = get_event(call, id, "/verdicts", "explain", error);
	return verdicts ? tell(call, "event", id, verdicts, error) : BH_EXIT_FAILED;
}

bh_exit bh_run_event_replay(bh_call *call, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_EVENT, error);
	const char *webhook = bh_args_one(call->args, "webhook");
	if (!id)
		return BH_EXIT_USAGE;
	g_autofree char *escaped = bh_path_escape(id);
	g_autofree char *path = g_strdup_printf("/v1/events/%s/replay", escaped);
	g_autofree char *what = g_strdup_printf("replay event %s", id);
	g_autoptr(GString) body = bh_object_new();
	bh_object_text(body, "webhook_id", webhook);
	bh_ask ask = {.what = what, .verb = "POST", .path = path};
	if (webhook)
		ask.body = bh_object_end(body);
	g_autoptr(bh_reply) verdicts = bh_call_ask(call, &ask, error);
	return verdicts ? tell(call, "replayed event", id, verdicts, error) : BH_EXIT_FAILED;
}
