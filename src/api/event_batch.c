/*
 * Plan and build, for POST /v1/events.
 *
 * *Plan* lets the watcher judge each event. An event that carries news of the directory (manager_added,
 * property_deleted ...) brings changes: those that add come before its verdicts, those that remove after them, and
 * what follows in the call is judged by the directory as it is then. *Build* lays everything out in one block.
 */
#include "api/event_batch.h"

#include "api/server.h"

#include <string.h>

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

static void forget_changes(bh_event_batch *b)
{
	for (guint i = 0; i < b->events->len; i++)
		g_clear_pointer(&b->plans[i].changes, g_ptr_array_unref);
}

void bh_event_batch_free(void *user)
{
	bh_event_batch *b = user;

	forget_changes(b);
	g_clear_pointer(&b->snapshot, bh_snapshot_unref);
	if (b->managers)
		g_string_chunk_free(b->managers);
	g_clear_pointer(&b->keys, g_array_unref);
	g_ptr_array_unref(b->events);
	g_array_unref(b->places);
	g_free(b->plans);
	g_free(b->block);
	g_free(b);
}

bh_event_batch *bh_event_batch_new(GPtrArray *events, GArray *places, bool several)
{
	bh_event_batch *b = g_new0(bh_event_batch, 1);

	b->several = several;
	b->events = events;
	b->places = places;
	b->plans = g_new0(bh_event_plan, events->len);
	b->has_news = any_has_news(events);
	return b;
}

/* --- Fresh deliveries -------------------------------------------------------------------- */

static void keys_clear(void *user)
{
	bh_fresh_keys *k = user;

	g_free(k->order);
	g_free(k->coalesce);
}

void bh_fresh_keys_note(GArray **keys, guint finding, const bh_event *event, const bh_webhook *webhook)
{
	if (!webhook || (!webhook->order_by && !webhook->coalesce))
		return;
	bh_fresh_keys k = {
		.finding = finding,
		.order = bh_watch_order_key(event, webhook),
		.coalesce = bh_watch_coalesce_key(event, webhook),
	};
	k.delay = k.coalesce ? webhook->coalesce : 0;
	if (!*keys) {
		*keys = g_array_new(FALSE, FALSE, sizeof(bh_fresh_keys));
		g_array_set_clear_func(*keys, keys_clear);
	}
	g_array_append_val(*keys, k);
}

bh_delivery bh_fresh_delivery(const bh_event *event, const bh_finding *finding, const bh_fresh_keys *keys)
{
	return (bh_delivery){
		.id = bh_id_new(),
		.event_id = event->id,
		.webhook_id = finding->webhook,
		.manager_id = (char *)finding->manager,
		.state = finding->verdict == BH_VERDICT_HELD ? BH_STATE_HELD : BH_STATE_PENDING,
		.created_at = event->accepted_at,
		.due_at = event->accepted_at,
		.order_key = keys ? keys->order : NULL,
		.coalesce_key = keys ? keys->coalesce : NULL,
		.delay = keys ? keys->delay : 0,
	};
}

bh_owners bh_owners_of(const bh_call *call)
{
	const bh_settings *settings = atomic_load(&call->api->settings);

	return strcmp(settings->owners, "first") == 0 ? BH_OWNERS_FIRST : BH_OWNERS_ALL;
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
static void find_changes(const bh_call *call, bh_event_plan *p, const bh_event *event, bh_snapshot *now)
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

static void watch(const bh_call *call, bh_event_batch *b, bh_event_plan *p, bh_event *event,
		  const bh_snapshot *snapshot, GArray *found)
{
	p->first = found->len;
	bh_watch(event, snapshot, bh_owners_of(call), found);
	p->count = found->len - p->first;
	p->deliveries = 0;
	for (guint i = p->first; i < found->len; i++) {
		const bh_finding *finding = &g_array_index(found, bh_finding, i);
		if (!bh_verdict_delivers(finding->verdict))
			continue;
		p->deliveries++;
		bh_fresh_keys_note(&b->keys, i, event, bh_snapshot_webhook(snapshot, finding->webhook));
	}
}

/* A finding made on a snapshot that we let go keeps the manager's id here. */
static void keep_managers(bh_event_batch *b, const bh_event_plan *p, GArray *found)
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
static bh_snapshot *plan_with_news(bh_call *call, bh_event_batch *b, guint i, bh_snapshot *now, GArray *found)
{
	bh_event_plan *p = &b->plans[i];
	bh_event *event = g_ptr_array_index(b->events, i);

	find_changes(call, p, event, now);
	bh_snapshot *after = p->changes ? with_changes(now, p->changes) : bh_snapshot_ref(now);
	watch(call, b, p, event, p->removes ? now : after, found);
	keep_managers(b, p, found);
	bh_snapshot_unref(now);
	return after;
}

static void plan_events(bh_call *call, bh_event_batch *b, GArray *found)
{
	g_clear_pointer(&b->snapshot, bh_snapshot_unref);
	b->snapshot = bh_directory_now(call->api->rooms.directory);
	if (!b->has_news) {
		for (guint i = 0; i < b->events->len; i++)
			watch(call, b, &b->plans[i], g_ptr_array_index(b->events, i), b->snapshot, found);
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
	const bh_fresh_keys *keys, *keys_end;
} layout;

static size_t count_changes(const bh_event_batch *b)
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

static layout lay_out(bh_event_batch *b, size_t writes, size_t findings, size_t deliveries)
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
	if (b->keys) {
		l.keys = (const bh_fresh_keys *)(void *)b->keys->data;
		l.keys_end = l.keys + b->keys->len;
	}
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

static void build_changes(const bh_call *call, layout *l, const bh_event_plan *p)
{
	for (guint i = 0; p->changes && i < p->changes->len; i++)
		next_write(call, l, BH_WRITE_CHANGE)->change = g_ptr_array_index(p->changes, i);
}

static void build_delivery(layout *l, const bh_event *event, const bh_finding *finding, guint number)
{
	bool has_keys = l->keys < l->keys_end && l->keys->finding == number;
	bh_delivery *d = l->delivery++;

	*d = bh_fresh_delivery(event, finding, has_keys ? l->keys++ : NULL);
	*l->delivery_at++ = d;
}

static bh_write *build_event(const bh_call *call, layout *l, const bh_event_plan *p, bh_event *event,
			     const GArray *found)
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
			build_delivery(l, event, finding, i);
	}
	return w;
}

static void build_entry(bh_call *call, bh_event_batch *b, const GArray *found)
{
	size_t writes = b->events->len + (b->has_news ? count_changes(b) : 0), deliveries = 0;

	(void)bh_call_from(call); /* the audit lines of changes point to it */
	for (guint i = 0; i < b->events->len; i++)
		deliveries += b->plans[i].deliveries;
	layout l = lay_out(b, writes, found->len, deliveries);
	call->entry = (bh_entry){.writes = l.order, .count = writes};

	for (guint i = 0; i < b->events->len; i++) {
		const bh_event_plan *p = &b->plans[i];
		if (!p->removes)
			build_changes(call, &l, p);
		b->event_writes[i] = build_event(call, &l, p, g_ptr_array_index(b->events, i), found);
		if (p->removes)
			build_changes(call, &l, p);
	}
}

void bh_event_batch_prepare(bh_event_batch *b, bh_call *call)
{
	GArray *found = bh_call_findings(call);

	forget_changes(b);
	g_clear_pointer(&b->keys, g_array_unref);
	plan_events(call, b, found);
	build_entry(call, b, found);
}
