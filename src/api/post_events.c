/*
 * POST /v1/events, the hot path:
 *
 *   read -> look up -> plan -> build -> commit -> answer
 *                        ^                |
 *                        +----------------+   the directory changed under us and refused
 *
 * *Plan* lets the watcher judge each event. An event that carries news of the directory (manager_added,
 * property_deleted ...) brings changes: those that add come before its verdicts, those that remove after them, and
 * what follows in the call is judged by the directory as it is then. *Build* lays everything out in one block, and
 * one entry commits it all.
 */
#include "api/intake.h"
#include "api/late_release.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

#define IDEMPOTENCY_KEY_MAX 255
#define TRIES_MAX 4

/* What one distinct event of the call amounts to. */
typedef struct plan {
	guint first, count; /* its findings in `batch.found` */
	guint deliveries; /* how many of them deliver */
	GPtrArray *changes; /* of the directory (bh_change); NULL: none */
	bool removes; /* the changes come after the verdicts */
	bool known; /* was handed over before: no news, whatever it says */
} plan;

/* The call's events on their way; the journal reads it while the connection is suspended. */
typedef struct batch {
	bool several; /* an array or NDJSON: the answer lists them */
	GPtrArray *events; /* bh_event, the distinct ones */
	GArray *places; /* guint for each given one: which of `events` it became */
	plan *plans; /* one for each of `events` */
	bool has_news;
	bh_snapshot *snapshot; /* what the first was judged by; findings point into it */
	GStringChunk *managers; /* ids in findings made on snapshots that are gone; NULL: none */

	/* One block, from build to the end. */
	void *block;
	bh_write **event_writes; /* one for each of `events` */
	bh_delivery *deliveries;
	size_t delivery_count;
} batch;

/* In the order of time. */
static batch *read_events(bh_call *call);
static bool look_up_known(bh_call *call, batch *b);
static void plan_events(bh_call *call, batch *b, GArray *found);
static void build_entry(bh_call *call, batch *b, const GArray *found);
static void answer(bh_call *call);

static void submit(bh_call *call, batch *b)
{
	GArray *found = bh_call_findings(call);

	plan_events(call, b, found);
	build_entry(call, b, found);
	bh_call_commit(call, answer);
}

void bh_post_events(bh_call *call)
{
	batch *b = read_events(call);

	if (b && look_up_known(call, b))
		submit(call, b);
}

/* --- Read -------------------------------------------------------------------------------- */

static void forget_plans(batch *b)
{
	for (guint i = 0; i < b->events->len; i++)
		if (b->plans[i].changes)
			g_ptr_array_unref(b->plans[i].changes);
}

static void batch_free(void *user)
{
	batch *b = user;

	forget_plans(b);
	g_clear_pointer(&b->snapshot, bh_snapshot_unref);
	if (b->managers)
		g_string_chunk_free(b->managers);
	g_ptr_array_unref(b->events);
	g_array_unref(b->places);
	g_free(b->plans);
	g_free(b->block);
	g_free(b);
}

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

/* The call's events; NULL: the call is answered. What comes back belongs to the call. */
static batch *read_events(bh_call *call)
{
	const bh_settings *settings = atomic_load(&call->api->settings);
	const char *key = bh_call_request_header(call, "Idempotency-Key");
	const char *trace = bh_call_request_header(call, "traceparent");
	bool lines = bh_intake_is_ndjson(call);
	bh_span text = {call->body, call->body_bytes};
	bh_intake intake = {
		.form = lines ? BH_EVENTS_NDJSON : BH_EVENTS_JSON,
		.catalogue = bh_snapshot_catalogue(call->scope.snapshot),
		.accept_unknown_types = strcmp(settings->unknown_event_types, "accept") == 0,
		.now = call->now,
		.idempotency_key = key,
		.traceparent = trace && is_traceparent(trace) ? trace : NULL,
	};
	g_autoptr(GError) error = NULL;
	bh_refusal refusal = {0};
	GPtrArray *events;
	GArray *places;

	if (!check_idempotency_key(call, key))
		return NULL;
	if (!bh_events_read(text, &intake, &events, &places, &refusal, &error)) {
		refuse(call, &refusal, error);
		return NULL;
	}

	batch *b = g_new0(batch, 1);
	b->several = lines || is_array(text);
	b->events = events;
	b->places = places;
	b->plans = g_new0(plan, events->len);
	bh_call_set_work(call, b, batch_free);
	bh_intake_forget(call); /* the events have their own copy */
	if (events->len)
		return b;
	bh_reply_problem(call, BH_PROBLEM_FIELD, "", "There is no event in the body.");
	return NULL;
}

/* --- Look up ----------------------------------------------------------------------------- */

/* The JSON pointer of the first given event that became number `event`. */
static char *pointer_of(const batch *b, guint event)
{
	guint place = 0;

	if (!b->several)
		return g_strdup("");
	while (g_array_index(b->places, guint, place) != event)
		place++;
	return g_strdup_printf("/%u", place);
}

static void reply_conflict(bh_call *call, const batch *b, guint event, bh_id existing)
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

static bool has_news(const bh_event *event)
{
	bh_directory_news news;

	bh_event_news(event, &news);
	bool any = news.kind != BH_NEWS_NONE;
	bh_directory_news_clear(&news);
	return any;
}

static bool any_has_news(const GPtrArray *events)
{
	for (guint i = 0; i < events->len; i++)
		if (has_news(g_ptr_array_index(events, i)))
			return true;
	return false;
}

static bool look_up_one(bh_call *call, batch *b, bh_reader *reader, guint i)
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
static bool look_up_known(bh_call *call, batch *b)
{
	b->has_news = any_has_news(b->events);
	if (b->events->len == 1 && !b->has_news)
		return true;
	bh_reader *reader = bh_call_reader(call);

	for (guint i = 0; reader && i < b->events->len; i++)
		if (!look_up_one(call, b, reader, i))
			return false;
	return reader;
}

/* --- Plan -------------------------------------------------------------------------------- */

/* The snapshot with all the changes; one that the directory would refuse is left for the journal to refuse. */
static bh_snapshot *with_changes(bh_snapshot *now, const GPtrArray *changes)
{
	bh_snapshot *next = bh_snapshot_ref(now);

	for (guint i = 0; i < changes->len; i++) {
		bh_snapshot *changed = bh_snapshot_with(next, g_ptr_array_index(changes, i), NULL);
		if (!changed)
			continue;
		bh_snapshot_unref(next);
		next = changed;
	}
	return next;
}

/* The changes that the event's news amount to, seen from `now`. */
static void find_changes(const bh_call *call, plan *p, const bh_event *event, bh_snapshot *now)
{
	bh_directory_news news;

	if (p->known)
		return;
	bh_event_news(event, &news);
	p->removes = news.kind == BH_NEWS_MANAGER_REMOVED || news.kind == BH_NEWS_PROPERTY_REMOVED;
	if (news.kind != BH_NEWS_NONE)
		p->changes = bh_snapshot_changes_of(now, &news, call->now);
	bh_directory_news_clear(&news);
}

static void watch(const bh_call *call, plan *p, bh_event *event, const bh_snapshot *snapshot, GArray *found)
{
	const bh_settings *settings = atomic_load(&call->api->settings);
	bh_owners owners = strcmp(settings->owners, "first") == 0 ? BH_OWNERS_FIRST : BH_OWNERS_ALL;

	p->first = found->len;
	bh_watch(event, snapshot, owners, found);
	p->count = found->len - p->first;
	p->deliveries = 0;
	for (guint i = p->first; i < found->len; i++)
		p->deliveries += bh_verdict_delivers(g_array_index(found, bh_finding, i).verdict);
}

/* A finding made on a snapshot that we let go keeps the manager's id here. */
static void keep_managers(batch *b, const plan *p, GArray *found)
{
	if (!b->managers)
		b->managers = g_string_chunk_new(1024);
	for (guint i = p->first; i < p->first + p->count; i++) {
		bh_finding *finding = &g_array_index(found, bh_finding, i);
		if (finding->manager)
			finding->manager = g_string_chunk_insert_const(b->managers, finding->manager);
	}
}

/* Judges one event and returns the snapshot for the next one; `now` is taken. */
static bh_snapshot *plan_with_news(bh_call *call, batch *b, guint i, bh_snapshot *now, GArray *found)
{
	plan *p = &b->plans[i];
	bh_event *event = g_ptr_array_index(b->events, i);

	find_changes(call, p, event, now);
	bh_snapshot *after = p->changes ? with_changes(now, p->changes) : bh_snapshot_ref(now);
	watch(call, p, event, p->removes ? now : after, found);
	keep_managers(b, p, found);
	bh_snapshot_unref(now);
	return after;
}

static void plan_events(bh_call *call, batch *b, GArray *found)
{
	g_clear_pointer(&b->snapshot, bh_snapshot_unref);
	b->snapshot = bh_directory_now(call->api->rooms.directory);
	if (!b->has_news) {
		for (guint i = 0; i < b->events->len; i++)
			watch(call, &b->plans[i], g_ptr_array_index(b->events, i), b->snapshot, found);
		return;
	}

	bh_snapshot *now = bh_snapshot_ref(b->snapshot);
	for (guint i = 0; i < b->events->len; i++)
		now = plan_with_news(call, b, i, now, found);
	bh_snapshot_unref(now);
}

/* --- Build ------------------------------------------------------------------------------- */

/* Where the next thing of each kind goes in the block. */
typedef struct layout {
	bh_write **order; /* all writes, as the entry wants them */
	bh_write *write;
	bh_finding *finding;
	bh_delivery *delivery;
	bh_delivery **delivery_at;
} layout;

static size_t count_changes(const batch *b)
{
	size_t count = 0;

	for (guint i = 0; i < b->events->len; i++)
		count += b->plans[i].changes ? b->plans[i].changes->len : 0;
	return count;
}

/* Every part is made of pointers and 64-bit numbers, so one after the other they stay aligned. */
static void *carve(char **at, size_t size)
{
	void *part = *at;

	*at += (size + 7) & ~(size_t)7;
	return part;
}

static layout lay_out(batch *b, size_t writes, size_t findings, size_t deliveries)
{
	size_t size = writes * (sizeof(bh_write) + sizeof(bh_write *)) + b->events->len * sizeof(bh_write *) +
		      findings * sizeof(bh_finding) + deliveries * (sizeof(bh_delivery) + sizeof(bh_delivery *)) + 64;

	g_free(b->block);
	b->block = g_malloc0(size);
	char *at = b->block;
	layout l = {
		.order = carve(&at, writes * sizeof(bh_write *)),
		.write = carve(&at, writes * sizeof(bh_write)),
		.finding = carve(&at, findings * sizeof(bh_finding)),
		.delivery = carve(&at, deliveries * sizeof(bh_delivery)),
		.delivery_at = carve(&at, deliveries * sizeof(bh_delivery *)),
	};
	b->event_writes = carve(&at, b->events->len * sizeof(bh_write *));
	b->deliveries = l.delivery;
	b->delivery_count = deliveries;
	g_assert(at <= (char *)b->block + size);
	return l;
}

static bh_write *next_write(const bh_call *call, layout *l, bh_write_kind kind)
{
	bh_write *w = l->write++;

	*l->order++ = w;
	w->kind = kind;
	w->at = call->now;
	w->audit_who = call->scope.key_text;
	w->audit_from = call->from;
	return w;
}

static void build_changes(const bh_call *call, layout *l, const plan *p)
{
	for (guint i = 0; p->changes && i < p->changes->len; i++)
		next_write(call, l, BH_WRITE_CHANGE)->change = g_ptr_array_index(p->changes, i);
}

static void build_delivery(layout *l, const bh_event *event, const bh_finding *finding)
{
	bh_delivery *d = l->delivery++;
	bool held = finding->verdict == BH_VERDICT_HELD;

	*d = (bh_delivery){
		.id = bh_id_new(),
		.event_id = event->id,
		.webhook_id = finding->webhook,
		.manager_id = (char *)finding->manager,
		.state = held ? BH_STATE_HELD : BH_STATE_PENDING,
		.created_at = event->accepted_at,
		.due_at = event->accepted_at,
		.reason = held ? (char *)"The webhook is disabled." : NULL,
	};
	*l->delivery_at++ = d;
}

static bh_write *build_event(const bh_call *call, layout *l, const plan *p, bh_event *event, const GArray *found)
{
	bh_write *w = next_write(call, l, BH_WRITE_EVENT);

	w->event = event;
	w->caller_key = call->scope.key->id;
	w->findings = l->finding;
	w->finding_count = p->count;
	w->deliveries = l->delivery_at;
	w->delivery_count = p->deliveries;
	for (guint i = p->first; i < p->first + p->count; i++) {
		const bh_finding *finding = &g_array_index(found, bh_finding, i);
		*l->finding++ = *finding;
		if (bh_verdict_delivers(finding->verdict))
			build_delivery(l, event, finding);
	}
	return w;
}

static void build_entry(bh_call *call, batch *b, const GArray *found)
{
	size_t writes = b->events->len + (b->has_news ? count_changes(b) : 0), deliveries = 0;

	(void)bh_call_from(call); /* the audit lines of changes point to it */
	for (guint i = 0; i < b->events->len; i++)
		deliveries += b->plans[i].deliveries;
	layout l = lay_out(b, writes, found->len, deliveries);
	call->entry = (bh_entry){.writes = l.order, .count = writes};

	for (guint i = 0; i < b->events->len; i++) {
		const plan *p = &b->plans[i];
		if (!p->removes)
			build_changes(call, &l, p);
		b->event_writes[i] = build_event(call, &l, p, g_ptr_array_index(b->events, i), found);
		if (p->removes)
			build_changes(call, &l, p);
	}
}

/* --- Answer ------------------------------------------------------------------------------ */

/* The number of an event that was known with other content; the count of events: none was. */
static guint find_conflict(const batch *b)
{
	guint i = 0;

	while (i < b->events->len && b->event_writes[i]->result != BH_WRITE_CONFLICT)
		i++;
	return i;
}

static guint count_known(const batch *b)
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

static void write_all_accepted(GString *out, const batch *b, bool all_known)
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

static void reply_accepted(bh_call *call, const batch *b)
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

static void log_news(const bh_call *call, const batch *b)
{
	for (guint i = 0; i < b->events->len; i++) {
		const plan *p = &b->plans[i];
		const bh_event *event = g_ptr_array_index(b->events, i);

		if (p->changes && p->changes->len)
			bh_log(BH_INFO, "api", "an event changed the directory", BH_ID("event", BH_ID_EVENT, event->id),
			       BH_STR("type", event->type), BH_INT("changes", p->changes->len),
			       BH_STR("by", call->scope.key_text));
	}
}

/* Somebody changed the directory between plan and commit: plan again, from what is there now. */
static bool plan_again(bh_call *call, batch *b)
{
	if (!call->directory_refused || ++call->tries >= TRIES_MAX)
		return false;
	forget_plans(b);
	for (guint i = 0; i < b->events->len; i++)
		b->plans[i] = (plan){.known = b->plans[i].known};
	submit(call, b);
	return true;
}

static void answer(bh_call *call)
{
	batch *b = call->work;

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
	bh_late_release(call->api, b->deliveries, b->delivery_count);
	reply_accepted(call, b);
}
