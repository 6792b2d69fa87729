#include "cli/watch.h"

#include "cli/call.h"
#include "cli/delivery_words.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/text.h"

#include <string.h>

#define TIMEOUT_DEFAULT (30 * BH_SECOND)
#define PAUSE_FIRST (10 * BH_MILLISECOND)
#define PAUSE_MAX (500 * BH_MILLISECOND)
#define SHOWN_MAX 40 /* lines of the table; of more events only what did not arrive is of interest */

struct bh_watch {
	bh_call *call;
	GPtrArray *rows; /* bh_watched */
	bool many_events;
	char *first_event;
	bh_mono until; /* set by bh_watch_run */
};

static void free_row(void *data)
{
	bh_watched *row = data;
	g_free(row->event);
	g_free(row->delivery);
	g_free(row->webhook);
	g_free(row->webhook_name);
	g_free(row->verdict);
	g_free(row->sentence);
	g_free(row->state);
	g_free(row->note);
	g_free(row->verdict_json);
	g_free(row->delivery_json);
	g_free(row->attempt_json);
	g_free(row);
}

bh_watch *bh_watch_new(bh_call *call)
{
	bh_watch *watch = g_new0(bh_watch, 1);
	watch->call = call;
	watch->rows = g_ptr_array_new_with_free_func(free_row);
	return watch;
}

void bh_watch_free(bh_watch *watch)
{
	if (!watch)
		return;
	g_ptr_array_unref(watch->rows);
	g_free(watch->first_event);
	g_free(watch);
}

static bh_watched *add_row(bh_watch *watch, const char *event)
{
	bh_watched *row = g_new0(bh_watched, 1);
	row->event = g_strdup(event);
	row->total = -1;
	g_ptr_array_add(watch->rows, row);
	if (!watch->first_event)
		watch->first_event = g_strdup(event);
	watch->many_events |= strcmp(watch->first_event, event) != 0;
	return row;
}

static char *exact(const bh_json *json, uint32_t node)
{
	bh_span text = bh_json_text(json, node);
	return g_strndup(text.at, text.size);
}

void bh_watch_delivery(bh_watch *watch, const char *event, const char *delivery, int64_t attempts)
{
	bh_watched *row = add_row(watch, event);
	row->delivery = g_strdup(delivery);
	row->attempts_seen = attempts;
}

bool bh_watch_event(bh_watch *watch, const char *event, GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/events/%s/verdicts", event);
	g_autofree char *what = g_strdup_printf("look up what became of %s (it is accepted)", event);
	g_autoptr(bh_reply) reply = bh_call_get(watch->call, what, path, error);
	if (!reply)
		return false;

	uint32_t data = bh_member(reply->json, 0, "data");
	for (uint32_t c = bh_first_item(reply->json, data); c != BH_JSON_NONE; c = bh_json_next(reply->json, data, c)) {
		bh_watched *row = add_row(watch, event);
		row->delivery = bh_member_text(reply->json, c, "delivery_id");
		row->webhook = bh_member_shown(reply->json, c, "webhook_id");
		row->webhook_name = bh_member_shown(reply->json, c, "webhook_name");
		row->verdict = bh_member_shown(reply->json, c, "verdict");
		row->sentence = bh_member_shown(reply->json, c, "sentence");
		row->verdict_json = exact(reply->json, c);
	}
	return true;
}

/* --- Asking -------------------------------------------------------------------------------- */

/* Held ones wait for a person, so waiting for them is pointless. */
static bool is_settled(const bh_watched *row)
{
	return !row->delivery || (row->state && strcmp(row->state, "pending") != 0);
}

static bool read_delivery(bh_watch *watch, bh_watched *row, GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/deliveries/%s", row->delivery);
	g_autofree char *what = g_strdup_printf("look up delivery %s", row->delivery);
	g_autoptr(bh_reply) reply = bh_call_get(watch->call, what, path, error);
	if (!reply)
		return false;

	g_free(row->state);
	g_free(row->note);
	g_free(row->delivery_json);
	row->state = bh_member_shown(reply->json, 0, "state");
	row->note = bh_delivery_why(&watch->call->view, reply->json, 0);
	row->blocked = bh_member_true(reply->json, 0, "waits_for_earlier");
	row->delivery_json = exact(reply->json, 0);
	if (!row->webhook)
		row->webhook = bh_member_shown(reply->json, 0, "webhook_id");
	if (!bh_member_time(reply->json, 0, "due_at", &row->due))
		row->due = 0;
	(void)bh_member_int(reply->json, 0, "attempts",
			    &row->attempts); /* an answer without them is shown without them */
	return true;
}

/* The newest attempt; none yet is fine. */
static bool read_attempt(bh_watch *watch, bh_watched *row, GError **error)
{
	g_autofree char *path = g_strdup_printf("/v1/deliveries/%s/attempts?limit=100", row->delivery);
	g_autofree char *what = g_strdup_printf("look up the attempts of %s", row->delivery);
	g_autoptr(bh_reply) reply = bh_call_get(watch->call, what, path, error);
	if (!reply)
		return false;

	uint32_t data = bh_member(reply->json, 0, "data"), last = BH_JSON_NONE;
	for (uint32_t c = bh_first_item(reply->json, data); c != BH_JSON_NONE; c = bh_json_next(reply->json, data, c))
		last = c;
	if (last == BH_JSON_NONE)
		return true;

	g_free(row->attempt_json);
	row->attempt_json = exact(reply->json, last);
	if (!bh_member_int(reply->json, last, "status", &row->status))
		row->status = 0;
	if (!bh_member_int(reply->json, last, "total_us", &row->total))
		row->total = -1;
	g_autofree char *sentence = bh_member_shown(reply->json, last, "sentence");
	if (sentence && *sentence && !bh_member_is(reply->json, last, "outcome", "delivered")) {
		g_free(row->note); /* "No attempt is left." says less than what the last one met */
		row->note = g_steal_pointer(&sentence);
	}
	return true;
}

static void remark_failure(const bh_watch *watch, const bh_watched *row)
{
	g_autofree char *next = row->due ? bh_text_ago(row->due, bh_clock_wall()) : g_strdup("soon");
	if (!watch->call->json)
		bh_remark("%s: attempt %" G_GINT64_FORMAT " failed: %s Next one %s.", row->delivery, row->attempts,
			  row->note ? row->note : "no reason known.", next);
}

/* Looks once at one that is not settled, and tells of an attempt that failed since. */
static bool look(bh_watch *watch, bh_watched *row, GError **error)
{
	if (!read_delivery(watch, row, error))
		return false;
	bool attempted = row->attempts > row->attempts_seen;
	row->attempts_seen = row->attempts;
	if ((attempted || is_settled(row)) && !read_attempt(watch, row, error))
		return false;
	if (attempted && !is_settled(row))
		remark_failure(watch, row);
	return true;
}

bool bh_watch_run(bh_watch *watch, GError **error)
{
	bh_usec timeout = TIMEOUT_DEFAULT;
	if (!bh_args_span(watch->call->args, "timeout", &timeout, error))
		return false;

	watch->until = bh_mono_add(bh_clock_mono(), timeout);
	for (bh_usec pause = PAUSE_FIRST;; pause = MIN(PAUSE_MAX, pause * 3 / 2)) {
		bool all_settled = true;
		for (guint i = 0; i < watch->rows->len; i++) {
			bh_watched *row = g_ptr_array_index(watch->rows, i);
			if (!is_settled(row) && !look(watch, row, error))
				return false;
			all_settled &= is_settled(row);
		}
		if (all_settled || bh_watch_time_is_over(watch))
			return true;
		g_usleep((gulong)pause);
	}
}

bool bh_watch_is_settled(const bh_watch *watch)
{
	for (guint i = 0; i < watch->rows->len; i++)
		if (!is_settled(g_ptr_array_index(watch->rows, i)))
			return false;
	return true;
}

bool bh_watch_time_is_over(const bh_watch *watch)
{
	return bh_mono_reached(bh_clock_mono(), watch->until);
}

/* --- Telling ------------------------------------------------------------------------------- */

/* Whoever asked for it is not waiting for it: it arrived, a newer one went in its place, or a condition does not want it. */
static bool was_served(const bh_watched *row)
{
	static const char *const well[] = {"delivered", "coalesced", "filtered", NULL};
	return !row->delivery || (row->state && g_strv_contains(well, row->state));
}

bh_exit bh_watch_result(const bh_watch *watch)
{
	for (guint i = 0; i < watch->rows->len; i++)
		if (!was_served(g_ptr_array_index(watch->rows, i)))
			return BH_EXIT_FAILED;
	return BH_EXIT_DONE;
}

/* "delivered", or for a webhook that gets nothing, why. */
static const char *state_of(const bh_watched *row)
{
	return row->delivery ? row->state ? row->state : "pending" : row->verdict;
}

static char *note_of(const bh_watch *watch, const bh_watched *row)
{
	if (!row->delivery)
		return g_strdup(row->sentence);
	if (row->blocked)
		return g_strdup(row->note);
	if (row->state && strcmp(row->state, "pending") == 0) {
		g_autofree char *due = row->due ? bh_text_ago(row->due, bh_clock_wall()) : g_strdup("soon");
		return g_strdup_printf("%s Still waiting: next attempt %s.", row->note ? row->note : "", due);
	}
	bool delivered = g_strcmp0(row->state, "delivered") == 0;
	return delivered ? NULL : g_strdup(row->note); /* of a coalesced one: which went in its place */
}

static void add_line(const bh_watch *watch, bh_table *table, const bh_watched *row)
{
	g_autofree char *status = row->status ? g_strdup_printf("%" G_GINT64_FORMAT, row->status) : NULL;
	g_autofree char *total = row->total >= 0 ? bh_text_span(row->total) : NULL;
	g_autofree char *note = note_of(watch, row);
	const char *state = state_of(row);
	bh_table_add(table, BH_PLAIN, watch->many_events ? row->event : row->webhook);
	bh_table_add(table, BH_PLAIN, row->webhook_name);
	bh_table_add(table, row->delivery ? bh_state_paint(state) : BH_FAINT, state);
	bh_table_add(table, BH_PLAIN, status);
	bh_table_add(table, BH_PLAIN, total);
	bh_table_add(table, BH_PLAIN, note ? g_strchug(note) : NULL);
}

/* "9998 delivered, 2 exhausted" */
static void print_counts(const bh_watch *watch)
{
	static const char *const states[] = {"delivered", "pending",   "held",     "exhausted",
					     "gone",      "coalesced", "filtered", "cancelled"};
	g_autoptr(GString) line = g_string_new(NULL);
	for (size_t s = 0; s < G_N_ELEMENTS(states); s++) {
		guint count = 0;
		for (guint i = 0; i < watch->rows->len; i++) {
			const bh_watched *row = g_ptr_array_index(watch->rows, i);
			count += row->delivery && strcmp(state_of(row), states[s]) == 0;
		}
		if (count)
			g_string_append_printf(line, "%s%u %s", line->len ? ", " : "", count, states[s]);
	}
	bh_printf("%s\n", line->len ? line->str : "no webhook gets any of these");
}

/* Where to read more about what did not arrive; of several, the first. */
static void remark_more(const bh_watch *watch)
{
	for (guint i = 0; i < watch->rows->len; i++) {
		const bh_watched *row = g_ptr_array_index(watch->rows, i);
		if (!was_served(row)) {
			bh_remark("More about it: bellhop delivery show %s --full", row->delivery);
			return;
		}
	}
}

void bh_watch_print(const bh_watch *watch)
{
	const bh_column columns[] = {{watch->many_events ? "EVENT" : "WEBHOOK"},
				     {"NAME", .shrinks = true, .optional = true},
				     {"STATE"},
				     {"STATUS", .right = true},
				     {"TIME", .right = true},
				     {"WHY", .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, G_N_ELEMENTS(columns));
	bool all = watch->rows->len <= SHOWN_MAX;
	guint shown = 0;
	for (guint i = 0; i < watch->rows->len && shown < SHOWN_MAX; i++) {
		const bh_watched *row = g_ptr_array_index(watch->rows, i);
		if (all || !was_served(row)) {
			add_line(watch, table, row);
			shown++;
		}
	}

	g_autoptr(GString) out = g_string_new(NULL);
	if (shown)
		bh_table_print(table, watch->call->view.screen, 0, out);
	bh_print(out);
	if (!all || watch->rows->len == 0)
		print_counts(watch);
	remark_more(watch);
}

static bh_span or_null(const char *json)
{
	return bh_span_of(json ? json : "null");
}

GString *bh_watch_json(const bh_watch *watch, bh_span accepted)
{
	g_autoptr(GString) data = g_string_new("[");
	for (guint i = 0; i < watch->rows->len; i++) {
		const bh_watched *row = g_ptr_array_index(watch->rows, i);
		g_autoptr(GString) one = bh_object_new();
		bh_object_text(one, "event_id", row->event);
		bh_object_raw(one, "verdict", or_null(row->verdict_json));
		bh_object_raw(one, "delivery", or_null(row->delivery_json));
		bh_object_raw(one, "last_attempt", or_null(row->attempt_json));
		g_string_append_printf(data, "%s%s", i ? "," : "", bh_object_end(one).at);
	}
	g_string_append_c(data, ']');

	GString *body = bh_object_new();
	bh_object_raw(body, "accepted", accepted);
	bh_object_raw(body, "settled", bh_span_of(bh_watch_is_settled(watch) ? "true" : "false"));
	bh_object_raw(body, "data", (bh_span){data->str, data->len});
	return body;
}

void bh_watch_print_json(const bh_watch *watch, bh_span accepted)
{
	g_autoptr(GString) body = bh_watch_json(watch, accepted);
	bh_object_end(body);
	bh_print(body);
	bh_printf("\n");
}
