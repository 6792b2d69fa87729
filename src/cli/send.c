/*
 * Handing events over: from options to a body, to the API, and with --wait to what became of them.
 */
#include "base/error.h"
#include "cli/call.h"
#include "cli/event_body.h"
#include "cli/input.h"
#include "cli/member.h"
#include "cli/run.h"
#include "cli/text.h"
#include "cli/watch.h"

#include <string.h>

/* What the API accepted, over all calls. */
typedef struct accepted {
	GPtrArray *ids; /* in order, each once */
	GHashTable *known; /* the same, to tell repeats */
	guint given, repeats; /* events given, and those that were there already */
	GPtrArray *answers; /* of each call, the very bytes */
} accepted;

static void accepted_init(accepted *a)
{
	*a = (accepted){.ids = g_ptr_array_new_with_free_func(g_free),
			.answers = g_ptr_array_new_with_free_func(g_free)};
	a->known = g_hash_table_new(g_str_hash, g_str_equal);
}

static void accepted_clear(accepted *a)
{
	g_hash_table_unref(a->known);
	g_ptr_array_unref(a->ids);
	g_ptr_array_unref(a->answers);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(accepted, accepted_clear)

static void take_id(accepted *a, const bh_reply *reply, uint32_t object)
{
	char *id = bh_member_text(reply->json, object, "id");
	a->given++;
	if (!id)
		return;
	a->repeats += reply->replayed || bh_member_true(reply->json, object, "duplicate");
	if (g_hash_table_contains(a->known, id)) {
		g_free(id);
		return;
	}
	g_ptr_array_add(a->ids, id);
	g_hash_table_add(a->known, id);
}

static void take_reply(accepted *a, const bh_reply *reply)
{
	uint32_t events = bh_member(reply->json, 0, "events");
	bh_span answer = bh_json_text(reply->json, 0);
	g_ptr_array_add(a->answers, g_strndup(answer.at, answer.size));
	if (events == BH_JSON_NONE) {
		take_id(a, reply, 0);
		return;
	}
	for (uint32_t e = bh_first_item(reply->json, events); e != BH_JSON_NONE;
	     e = bh_json_next(reply->json, events, e))
		take_id(a, reply, e);
}

static bool post(bh_call *call, const bh_events_call *events, const char *what, const char *key, accepted *a,
		 GError **error)
{
	bh_ask ask = {.what = what, .verb = "POST", .path = "/v1/events", .body = events->body, .idempotency_key = key};
	ask.content_type = events->ndjson ? "application/x-ndjson" : "application/json";
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return false;
	take_reply(a, reply);
	return true;
}

/* --- A file of events ---------------------------------------------------------------------- */

/* A large file goes as several calls; each needs a name of its own, the same one when it is sent again. */
static char *key_of_part(const char *key, guint part, guint parts)
{
	return key && parts > 1 ? g_strdup_printf("%s/%u", key, part + 1) : g_strdup(key);
}

static char *what_of_part(const char *path, const bh_events_call *part, const accepted *sent)
{
	GString *what = g_string_new("send the events of ");
	g_string_append(what, strcmp(path, "-") == 0 ? "standard input" : path);
	if (part->first_line > 1)
		g_string_append_printf(what, " from line %u on (the %u events before it are accepted)",
				       part->first_line, sent->given);
	return g_string_free(what, FALSE);
}

static bool send_file(bh_call *call, const char *path, const char *key, accepted *a, GError **error)
{
	g_autoptr(GString) text = bh_input_read(path, error);
	if (!text)
		return false;
	g_autoptr(GArray) parts = bh_events_cut((bh_span){text->str, text->len});
	if (parts->len == 0) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "cannot send the events of %s: it is empty", path);
		return false;
	}
	for (guint i = 0; i < parts->len; i++) {
		const bh_events_call *part = &g_array_index(parts, bh_events_call, i);
		g_autofree char *part_key = key_of_part(key, i, parts->len);
		g_autofree char *what = what_of_part(path, part, a);
		if (!post(call, part, what, part_key, a, error))
			return false;
	}
	return true;
}

/* --- Events from options ------------------------------------------------------------------- */

/* `data` comes as --data JSON, or from the file that the second operand names. NULL without error: none is given. */
static char *read_data(const bh_call *call, GError **error)
{
	const char *given = bh_args_one(call->args, "event-data");
	const char *file = bh_args_operand(call->args, 1);
	if (given && file) {
		bh_usage_error(error, "the data is given twice: with --data and as \"%s\"", file);
		return NULL;
	}
	if (given)
		return bh_input_text(given, "--data", error);
	GString *text = file ? bh_input_read(file, error) : NULL;
	return text ? g_string_free(text, FALSE) : NULL;
}

/* One event, or one for each --property. */
static bool append_events(const bh_call *call, bh_event_parts *parts, GString *body, GError **error)
{
	const char *const *property = bh_args_all(call->args, "property");
	bool several = property[0] && property[1];
	if (!several) {
		parts->property = property[0];
		return bh_event_body_append(parts, body, error);
	}
	for (; *property; property++) {
		parts->property = *property;
		g_string_append_c(body, body->len ? ',' : '[');
		if (!bh_event_body_append(parts, body, error))
			return false;
	}
	g_string_append_c(body, ']');
	return true;
}

static bool send_options(bh_call *call, const char *key, accepted *a, GError **error)
{
	const bh_args *args = call->args;
	g_autoptr(GError) trouble = NULL;
	g_autofree char *data = read_data(call, &trouble);
	const char *given = bh_args_one(args, "details");
	g_autofree char *details = given && !trouble ? bh_input_text(given, "--details", &trouble) : NULL;
	if (trouble) {
		g_propagate_error(error, g_steal_pointer(&trouble));
		return false;
	}

	bh_event_parts parts = {
		.type = bh_args_operand(args, 0),
		.data = data,
		.details = details,
		.manager = bh_args_one(args, "manager"),
		.actor = bh_args_one(args, "actor"),
		.channel = bh_args_one(args, "channel"),
		.occurred_at = bh_args_one(args, "occurred-at"),
	};
	g_autoptr(GString) body = g_string_new(NULL);
	if (!append_events(call, &parts, body, error))
		return false;
	g_autofree char *type = bh_text_visible(bh_span_of(parts.type), false);
	g_autofree char *what = g_strdup_printf("send the event %s", type);
	bh_events_call one = {.body = {body->str, body->len}, .first_line = 1};
	return post(call, &one, what, key, a, error);
}

/* --- The result ---------------------------------------------------------------------------- */

static void print_accepted(const accepted *a)
{
	const char *first = a->ids->len ? g_ptr_array_index(a->ids, 0) : "?";
	const char *last = a->ids->len ? g_ptr_array_index(a->ids, a->ids->len - 1) : "?";
	if (a->given == 1)
		bh_printf("%s %s\n", a->repeats ? "known already:" : "accepted", first);
	else
		bh_printf("accepted %u events, %s to %s%s\n", a->given - a->repeats, first, last,
			  a->repeats ? " (the others are repeats)" : "");
}

static bh_exit print_without_waiting(const bh_call *call, const accepted *a)
{
	if (call->json) {
		for (guint i = 0; i < a->answers->len; i++)
			bh_printf("%s\n", (const char *)g_ptr_array_index(a->answers, i));
		return BH_EXIT_DONE;
	}
	print_accepted(a);
	if (a->ids->len == 1)
		bh_remark("Who gets it: bellhop explain %s", (const char *)g_ptr_array_index(a->ids, 0));
	return BH_EXIT_DONE;
}

/* One answer as it is; those of several calls as an array. */
static char *answers_json(const accepted *a)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_copy(a->answers, NULL, NULL);
	g_ptr_array_set_free_func(texts, NULL);
	g_ptr_array_add(texts, NULL);
	g_autofree char *all = g_strjoinv(",", (char **)texts->pdata);
	return a->answers->len == 1 ? g_steal_pointer(&all) : g_strdup_printf("[%s]", all);
}

static bh_exit wait_for(bh_call *call, const accepted *a, GError **error)
{
	g_autoptr(bh_watch) watch = bh_watch_new(call);
	if (!call->json)
		print_accepted(a);
	for (guint i = 0; i < a->ids->len; i++)
		if (!bh_watch_event(watch, g_ptr_array_index(a->ids, i), error))
			return BH_EXIT_FAILED;
	if (!bh_watch_run(watch, error))
		return BH_EXIT_FAILED;
	g_autofree char *answers = answers_json(a);
	if (call->json)
		bh_watch_print_json(watch, bh_span_of(answers));
	else
		bh_watch_print(watch);
	return bh_watch_result(watch);
}

static bool check_usage(const bh_args *args, GError **error)
{
	const char *key = bh_args_one(args, "id");
	const char *file = bh_args_one(args, "file");
	if (!file && bh_args_count(args) == 0)
		bh_usage_error(error, "say what to send: a TYPE, or --file with events");
	else if (file && (bh_args_count(args) > 0 || bh_args_has(args, "event-data") || bh_args_has(args, "property")))
		bh_usage_error(error, "--file holds whole events: TYPE, --data and --property do not go with it");
	else if (key && (strlen(key) > 255 || !bh_text_is_visible_ascii(key)))
		bh_usage_error(error, "--id is 1 to 255 visible ASCII characters without blanks");
	else
		return true;
	return false;
}

bh_exit bh_run_send(bh_call *call, GError **error)
{
	const char *file = bh_args_one(call->args, "file");
	const char *key = bh_args_one(call->args, "id");
	if (!check_usage(call->args, error))
		return BH_EXIT_USAGE;

	g_auto(accepted) a;
	accepted_init(&a);
	bool sent = file ? send_file(call, file, key, &a, error) : send_options(call, key, &a, error);
	if (!sent)
		return BH_EXIT_FAILED;
	return bh_args_has(call->args, "wait") ? wait_for(call, &a, error) : print_without_waiting(call, &a);
}
