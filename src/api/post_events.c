/*
 * POST /v1/events, the hot path:
 *
 *   read -> look up -> prepare -> commit -> answer
 *                         ^          |
 *                         +----------+   the directory changed under us and refused
 *
 * *Prepare* (event_batch.c) has the watcher judge each event and lays out the entry.
 */
#include "api/event_batch.h"
#include "api/intake.h"
#include "api/rates.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

#define IDEMPOTENCY_KEY_MAX 255
#define TRIES_MAX 4
#define HOPS_MOST 1000000 /* what is more than that is told as that */

/* In the order of time. */
static bh_event_batch *read_events(bh_call *call);
static bool look_up_known(bh_call *call, bh_event_batch *b);
static void answer(bh_call *call);

static void submit(bh_call *call, bh_event_batch *b)
{
	bh_event_batch_prepare(b, call);
	bh_call_commit(call, answer);
}

void bh_post_events(bh_call *call)
{
	bh_event_batch *b = read_events(call);

	if (b && look_up_known(call, b))
		submit(call, b);
}

/* --- Read -------------------------------------------------------------------------------- */

static bool is_visible_ascii(const char *text)
{
	for (; *text; text++)
		if (*text < '!' || *text > '~')
			return false;
	return true;
}

static bool check_idempotency_key(bh_call *call, const char *key)
{
	size_t size = key ? strlen(key) : 0;

	if (!key || (size >= 1 && size <= IDEMPOTENCY_KEY_MAX && is_visible_ascii(key)))
		return true;
	bh_reply_problem(call, BH_PROBLEM_IDEMPOTENCY_KEY, NULL,
			 "Idempotency-Key has 1 to %d visible ASCII characters.", IDEMPOTENCY_KEY_MAX);
	return false;
}

/* W3C trace context, level 1: what is malformed is ignored, as the recommendation asks. */
static bool is_traceparent(const char *text)
{
	static const char FORM[] = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";

	for (size_t i = 0; FORM[i]; i++) {
		bool hex = g_ascii_isdigit(text[i]) || (text[i] >= 'a' && text[i] <= 'f');
		if (FORM[i] == 'h' ? !hex : text[i] != '-')
			return false;
	}
	return !text[sizeof FORM - 1] && strncmp(text, "ff", 2) != 0;
}

static bool ends_with_type(const char *pointer)
{
	return g_str_has_suffix(pointer, "/type") || g_str_has_suffix(pointer, "/webhook_event");
}

static void refuse(bh_call *call, const bh_refusal *refusal, const GError *error)
{
	switch (refusal->kind) {
	case BH_REFUSED_SYNTAX:
		bh_reply_bad_json(call, error->message, refusal->line, refusal->column);
		return;
	case BH_REFUSED_SIZE:
		bh_reply_problem(call, BH_PROBLEM_TOO_LARGE, refusal->pointer, "%s", error->message);
		return;
	case BH_REFUSED_FIELD:
		break;
	}
	bool unknown = g_error_matches(error, BH_ERROR, BH_ERROR_NOT_FOUND) && ends_with_type(refusal->pointer);
	bh_reply_problem(call, unknown ? BH_PROBLEM_EVENT_TYPE : BH_PROBLEM_FIELD, refusal->pointer, "%s",
			 error->message);
}

static bool is_array(bh_span text)
{
	size_t i = 0;

	while (i < text.size && g_ascii_isspace(text.at[i]))
		i++;
	return i < text.size && text.at[i] == '[';
}

/* Bellhop-Hops: how many engines, or turns of one, the chain of changes behind the call has passed. -1: it is no number. */
static int read_hops(bh_call *call)
{
	const char *text = bh_call_request_header(call, "Bellhop-Hops");
	int hops = 0;

	if (!text)
		return 0;
	if (!*text)
		return -1;
	for (; *text; text++) {
		if (!g_ascii_isdigit(*text))
			return -1;
		hops = MIN(hops * 10 + (*text - '0'), HOPS_MOST);
	}
	return hops;
}

static bool check_hops(bh_call *call, int hops)
{
	const bh_settings *settings = atomic_load(&call->api->settings);

	if (hops < 0) {
		bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "Bellhop-Hops is a whole number from 0 to 1000.");
		return false;
	}
	if (hops <= settings->hops_max)
		return true;
	bh_reply_problem(
		call, BH_PROBLEM_LOOP, NULL,
		"The change behind this event came round through webhooks %d times (hops_max is %" G_GINT64_FORMAT
		"): find the receiver whose changes make events for itself, and give its webhook its channel_id, or "
		"let it leave changes alone that came from here.",
		hops, settings->hops_max);
	return false;
}

static bool check_rate(bh_call *call, size_t events)
{
	const bh_settings *settings = atomic_load(&call->api->settings);
	bh_api *api = call->api;

	if (settings->intake_rate == 0)
		return true;
	bh_usec wait = bh_rates_take(api->rates, call->scope.key->id, settings->intake_rate, events, call->started);
	if (wait == 0)
		return true;
	g_autofree char *seconds = g_strdup_printf("%" G_GINT64_FORMAT, (wait + BH_SECOND - 1) / BH_SECOND);
	bh_reply_header(call, "Retry-After", seconds);
	bh_reply_problem(call, BH_PROBLEM_RATE, NULL,
			 "This key may hand %" G_GINT64_FORMAT " events a second over (intake_rate). Nothing was kept.",
			 settings->intake_rate);
	return false;
}

/* The call's events; NULL: the call is answered. What comes back belongs to the call. */
static bh_event_batch *read_events(bh_call *call)
{
	const bh_settings *settings = atomic_load(&call->api->settings);
	const char *key = bh_call_request_header(call, "Idempotency-Key");
	const char *trace = bh_call_request_header(call, "traceparent");
	bool lines = bh_intake_is_ndjson(call);
	int hops = read_hops(call);
	bh_span text = {call->body, call->body_bytes};
	bh_intake intake = {
		.form = lines ? BH_EVENTS_NDJSON : BH_EVENTS_JSON,
		.catalogue = bh_snapshot_catalogue(call->scope.snapshot),
		.accept_unknown_types = strcmp(settings->unknown_event_types, "accept") == 0,
		.now = call->now,
		.idempotency_key = key,
		.traceparent = trace && is_traceparent(trace) ? trace : NULL,
		.hops = hops,
	};
	g_autoptr(GError) error = NULL;
	bh_refusal refusal = {0};
	GPtrArray *events;
	GArray *places;

	if (!check_idempotency_key(call, key) || !check_hops(call, hops))
		return NULL;
	if (!bh_events_read(text, &intake, &events, &places, &refusal, &error)) {
		refuse(call, &refusal, error);
		return NULL;
	}

	bh_event_batch *b = bh_event_batch_new(events, places, lines || is_array(text));
	bh_call_set_work(call, b, bh_event_batch_free);
	bh_intake_forget(call); /* the events have their own copy */
	if (!events->len)
		bh_reply_problem(call, BH_PROBLEM_FIELD, "", "There is no event in the body.");
	return events->len && check_rate(call, places->len) ? b : NULL;
}

/* --- Look up ----------------------------------------------------------------------------- */

/* The JSON pointer of the first given event that became number `event`. */
static char *pointer_of(const bh_event_batch *b, guint event)
{
	guint place = 0;

	if (!b->several)
		return g_strdup("");
	while (g_array_index(b->places, guint, place) != event)
		place++;
	return g_strdup_printf("/%u", place);
}

static void reply_conflict(bh_call *call, const bh_event_batch *b, guint event, bh_id existing)
{
	const bh_event *e = g_ptr_array_index(b->events, event);
	g_autofree char *pointer = pointer_of(b, event);
	char id[BH_ID_TEXT_SIZE];

	bh_reply_problem(call, BH_PROBLEM_IDEMPOTENCY, pointer,
			 "The id \"%s\" belongs to event %s, whose content differs.", e->caller_id,
			 bh_id_text(BH_ID_EVENT, existing, id));
}

static bool same_content(const bh_event *a, const bh_event *b)
{
	unsigned char one[BH_FINGERPRINT_SIZE], other[BH_FINGERPRINT_SIZE];

	bh_event_fingerprint(a, one);
	bh_event_fingerprint(b, other);
	return memcmp(one, other, sizeof one) == 0;
}

static bool look_up_one(bh_call *call, bh_event_batch *b, bh_reader *reader, guint i)
{
	const bh_event *event = g_ptr_array_index(b->events, i);
	g_autoptr(GError) error = NULL;

	if (!event->caller_id)
		return true;
	g_autoptr(bh_event) there = bh_reader_event_of_caller(reader, call->scope.key->id, event->caller_id, &error);
	if (!there && !g_error_matches(error, BH_ERROR, BH_ERROR_NOT_FOUND)) {
		bh_reply_error(call, error);
		return false;
	}
	if (there && !same_content(event, there)) {
		reply_conflict(call, b, i, there->id);
		return false;
	}
	b->plans[i].known = there;
	return true;
}

/*
 * The store tells what it knew when it commits, and for one plain event that is soon enough. Several must be
 * refused together, and the news of an event that was told before must not undo what changed since: those are
 * looked up first.
 */
static bool look_up_known(bh_call *call, bh_event_batch *b)
{
	if (b->events->len == 1 && !b->has_news)
		return true;
	bh_reader *reader = bh_call_reader(call);

	for (guint i = 0; reader && i < b->events->len; i++)
		if (!look_up_one(call, b, reader, i))
			return false;
	return reader;
}

/* --- Answer ------------------------------------------------------------------------------ */

/* The number of an event that was known with other content; the count of events: none was. */
static guint find_conflict(const bh_event_batch *b)
{
	guint i = 0;

	while (i < b->events->len && b->event_writes[i]->result != BH_WRITE_CONFLICT)
		i++;
	return i;
}

static guint count_known(const bh_event_batch *b)
{
	guint known = 0;

	for (guint i = 0; i < b->events->len; i++)
		known += b->event_writes[i]->result == BH_WRITE_DUPLICATE;
	return known;
}

static void write_accepted(GString *out, const bh_write *w, bool folded, bool all_known)
{
	bool known = w->result == BH_WRITE_DUPLICATE;

	bh_out_open(out, NULL, '{');
	bh_out_id(out, "id", BH_ID_EVENT, known ? w->existing_event : w->event->id);
	bh_out_bool(out, "duplicate", folded || (known && !all_known));
	bh_out_close(out, '}');
}

static void write_all_accepted(GString *out, const bh_event_batch *b, bool all_known)
{
	guint seen =
		0; /* distinct events are numbered in the order of the call, so a smaller number was there before */

	bh_out_open(out, NULL, '{');
	bh_out_open(out, "events", '[');
	for (guint i = 0; i < b->places->len; i++) {
		guint event = g_array_index(b->places, guint, i);
		write_accepted(out, b->event_writes[event], event < seen, all_known);
		seen = MAX(seen, event + 1);
	}
	bh_out_close(out, ']');
	bh_out_close(out, '}');
}

static void reply_accepted(bh_call *call, const bh_event_batch *b)
{
	bh_api_counters *counters = &call->api->counters;
	guint known = count_known(b);
	bool all_known = known == b->events->len;
	GString *out = g_string_sized_new(b->several ? b->places->len * 60 + 32 : 64);

	atomic_fetch_add_explicit(&counters->accepted, b->events->len - known, memory_order_relaxed);
	atomic_fetch_add_explicit(&counters->duplicates, b->places->len - b->events->len + known, memory_order_relaxed);
	if (b->several)
		write_all_accepted(out, b, all_known);
	else
		write_accepted(out, b->event_writes[0], false, all_known);
	if (all_known)
		bh_reply_header(call, "Idempotent-Replayed", "true");
	bh_reply_json(call, 202, out);
}

static void log_news(const bh_call *call, const bh_event_batch *b)
{
	for (guint i = 0; i < b->events->len; i++) {
		const bh_event_plan *p = &b->plans[i];
		const bh_event *event = g_ptr_array_index(b->events, i);

		if (p->changes && p->changes->len)
			bh_log(BH_INFO, "api", "an event changed the directory", BH_ID("event", BH_ID_EVENT, event->id),
			       BH_STR("type", event->type), BH_INT("changes", p->changes->len),
			       BH_STR("by", call->scope.key_text));
	}
}

/* Somebody changed the directory between plan and commit: plan again, from what is there now. */
static bool plan_again(bh_call *call, bh_event_batch *b)
{
	if (!call->directory_refused || ++call->tries >= TRIES_MAX)
		return false;
	submit(call, b);
	return true;
}

static void answer(bh_call *call)
{
	bh_event_batch *b = call->work;

	if (call->error && plan_again(call, b))
		return;
	if (bh_call_failed(call))
		return;
	guint conflict = find_conflict(b);
	if (conflict < b->events->len) {
		reply_conflict(call, b, conflict, b->event_writes[conflict]->existing_event);
		return;
	}
	if (b->has_news)
		log_news(call, b);
	reply_accepted(call, b);
}
