/*
 * Events on their way in, as post_events.c and the replay hand them over: the watcher judges, the journal keeps. Who gets no answer, or a
 * bad one, hands the same over again under the same id.
 */
#include "engine.h"
#include "network.h"
#include "rules.h"
#include "world.h"

#include <string.h>

#define CALLER 1 /* the API key that all events come by */
#define DELIVERIES_MAX 64

/* One call: its own until the journal is through. */
typedef struct call {
	bh_entry entry; /* first */
	world *world;
	news *news; /* NULL: a replay */
	bh_event *event;
	bh_snapshot *snapshot; /* the findings point into it */
	GArray *findings;
	bh_delivery made[DELIVERIES_MAX], *deliveries[DELIVERIES_MAX];
	bh_write write, *writes[1];
} call;

static void call_free(call *c)
{
	for (size_t i = 0; i < c->write.delivery_count; i++) {
		g_free(c->made[i].order_key);
		g_free(c->made[i].coalesce_key);
	}
	bh_event_unref(c->event);
	bh_snapshot_unref(c->snapshot);
	g_array_unref(c->findings);
	g_free(c);
}

static bh_event *event_of(sim *s, const news *n)
{
	g_autofree char *property = g_strdup_printf("%u", n->property);
	g_autofree char *id = g_strdup_printf("c%u", n->number);
	g_autofree char *data = g_strdup_printf("{\"property_uid\":%u,\"contract_uid\":%u,\"room_uid\":%u}",
						n->property, n->contract, n->room);
	bh_event parts = {.id = bh_id_new(),
			  .type = (char *)n->type,
			  .occurred_at = s->clock.wall,
			  .accepted_at = s->clock.wall,
			  .property_id = property,
			  .caller_id = id,
			  .data = {data, strlen(data)}};

	return bh_event_restore(&parts);
}

static void make_delivery(call *c, const bh_finding *finding)
{
	const bh_webhook *webhook = bh_snapshot_webhook(c->snapshot, finding->webhook);
	size_t i = c->write.delivery_count++;

	g_assert(i < DELIVERIES_MAX);
	c->made[i] = (bh_delivery){
		.id = bh_id_new(),
		.event_id = c->event->id,
		.webhook_id = finding->webhook,
		.manager_id = (char *)finding->manager,
		.state = finding->verdict == BH_VERDICT_HELD ? BH_STATE_HELD : BH_STATE_PENDING,
		.order_key = bh_watch_order_key(c->event, webhook),
		.coalesce_key = bh_watch_coalesce_key(c->event, webhook),
		.delay = webhook->coalesce,
	};
	if (!c->made[i].coalesce_key)
		c->made[i].delay = 0;
	c->deliveries[i] = &c->made[i];
}

static call *judge(world *w, bh_event *event, bh_write_kind kind)
{
	call *c = g_new0(call, 1);

	c->world = w;
	c->event = event;
	c->snapshot = bh_directory_now(engine_directory(w->sim->engine));
	c->findings = g_array_new(FALSE, FALSE, sizeof(bh_finding));
	bh_watch(event, c->snapshot, BH_OWNERS_ALL, c->findings);
	for (guint i = 0; i < c->findings->len; i++) {
		const bh_finding *finding = &g_array_index(c->findings, bh_finding, i);
		if (bh_verdict_delivers(finding->verdict))
			make_delivery(c, finding);
	}
	size_t count = c->write.delivery_count;
	c->write = (bh_write){.kind = kind,
			      .event = event,
			      .caller_key = CALLER,
			      .findings = (const bh_finding *)(void *)c->findings->data,
			      .finding_count = c->findings->len,
			      .deliveries = c->deliveries,
			      .delivery_count = count,
			      .at = w->sim->clock.wall};
	c->writes[0] = &c->write;
	c->entry = (bh_entry){.writes = c->writes, .count = 1};
	return c;
}

/* --- News ---------------------------------------------------------------------------------------------------------- */

static void come_again(world *w, news *n)
{
	n->again_at = bh_mono_add(w->sim->clock.mono, draw_between(w->sim, BH_SECOND, BH_MINUTE));
	g_queue_push_tail(&w->untold, n);
}

/* What a ghost says nobody hears: the caller sees a broken connection. */
static void told(bh_entry *entry, const GError *error)
{
	call *c = (call *)entry;
	world *w = c->world;
	sim *s = w->sim;

	w->telling--;
	if (error || s->is_ghost) {
		TELL(s, "event c%lld is not accepted", c->news->number);
		come_again(w, c->news);
	} else {
		g_assert_cmpint(c->write.result, !=, BH_WRITE_CONFLICT); /* the content is always the same */
		bool known = c->write.result == BH_WRITE_DUPLICATE;
		TELL(s, "event c%lld is accepted, known already: %lld", c->news->number, known);
		s->counts.events += !known;
		rules_accepted(s, known ? c->write.existing_event : c->event->id);
		g_free(c->news);
	}
	call_free(c);
}

void world_tell(world *w, news *n)
{
	sim *s = w->sim;

	if (!engine_runs(s->engine)) {
		come_again(w, n);
		return;
	}
	call *c = judge(w, event_of(s, n), BH_WRITE_EVENT);
	c->news = n;
	c->entry.done = told;
	w->telling++;
	if (!bh_journal_submit(engine_journal(s->engine), &c->entry, NULL)) {
		w->telling--;
		come_again(w, n);
		call_free(c);
	}
}

void world_tell_again(world *w)
{
	guint count = g_queue_get_length(&w->untold);

	for (guint i = 0; i < count; i++) {
		news *n = g_queue_pop_head(&w->untold);
		if (bh_mono_reached(w->sim->clock.mono, n->again_at))
			world_tell(w, n);
		else
			g_queue_push_tail(&w->untold, n);
	}
}

bh_mono world_tells_again_at(const world *w)
{
	bh_mono soonest = {INT64_MAX};

	for (const GList *l = w->untold.head; l; l = l->next)
		if (((const news *)l->data)->again_at.us < soonest.us)
			soonest = ((const news *)l->data)->again_at;
	return soonest;
}

/* --- Replay -------------------------------------------------------------------------------------------------------- */

static void replayed(bh_entry *entry, const GError *error)
{
	call *c = (call *)entry;

	TELL(c->world->sim, "replay is through, failed: %lld", error != NULL);
	call_free(c);
}

void world_replay(world *w, bh_id id)
{
	sim *s = w->sim;
	call *c = judge(w, bh_event_restore(memory_event(s->disk, id)), BH_WRITE_REPLAY);

	c->entry.done = replayed;
	if (c->write.delivery_count == 0 || !bh_journal_submit(engine_journal(s->engine), &c->entry, NULL))
		call_free(c);
}
