/* Nobody starves, memory is bounded, and a loop that has nothing to do sleeps. */
#include "rules.h"

#include "engine.h"

#include "delivery/lane.h"
#include "delivery/loop.h"

#define WELL_FOR (2 * BH_HOUR) /* by then each breaker has probed and each pause is over */
#define PATIENCE BH_MINUTE
#define SLOWEST (30 * BH_SECOND) /* attempt that a webhook may allow itself */

/* --- Each minute: nobody starves ------------------------------------------------------------------------------------------ */

/* Slots go round: in the worst case each lane's attempt takes its whole time before it is our turn. */
static bh_usec bound(const sim *s)
{
	size_t lanes = g_hash_table_size(s->rules->webhooks);

	return PATIENCE + 2 * s->settings->look_every + SLOWEST * 4 * (bh_usec)lanes / s->settings->in_flight_max;
}

static bool should_move(sim *s, const watched *w, bh_usec patience)
{
	bh_mono now = s->clock.mono;

	return w->is_there && w->enabled && w->in_flight == 0 && bh_mono_since(now, w->changed_at) > patience &&
	       bh_mono_since(now, w->sent_at) > patience + w->rate_per &&
	       receiver_is_well(network_receiver(s->network, w->receiver), now, WELL_FOR);
}

void wait_each_minute(sim *s)
{
	rules *r = s->rules;
	bh_usec patience = bound(s), due;
	GHashTableIter iter;
	void *value;

	if (!engine_runs(s->engine) || bh_mono_since(s->clock.mono, r->disturbed_at) < patience)
		return;
	bh_usec late = engine_steady(s->engine) - patience;
	g_hash_table_iter_init(&iter, r->webhooks);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const watched *w = value;
		if (should_move(s, w, patience + w->rate_per) && memory_first_due(s->disk, w->id, &due) &&
		    due < late - w->rate_per)
			broken(s,
			       "webhook %" G_GINT64_FORMAT " has something due for %" G_GINT64_FORMAT
			       " s, its receiver is well, and nothing moves",
			       w->id, (late + patience - due) / BH_SECOND);
	}
}

/* --- Each hour: what the scheduler knows of itself ------------------------------------------------------------------------- */

static void audit_lane(sim *s, bh_scheduler *sch, const bh_lane *lane)
{
	if (bh_heap_size(&lane->window) > sch->limits.window)
		broken(s, "the window of webhook %" G_GINT64_FORMAT " holds %zu", lane->webhook,
		       bh_heap_size(&lane->window));
	if (lane->in_flight > lane->in_hand)
		broken(s, "webhook %" G_GINT64_FORMAT " has more in flight than in hand", lane->webhook);
}

static void audit(sim *s, bh_scheduler *sch)
{
	size_t in_flight = 0, in_hand = 0, waiting = 0, broken_lanes = 0;
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, sch->lanes);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const bh_lane *lane = value;
		audit_lane(s, sch, lane);
		in_flight += lane->in_flight;
		in_hand += lane->in_hand;
		waiting += bh_heap_size(&lane->window) + bh_heap_size(&lane->urgent);
		broken_lanes += lane->pace.breaker != BH_BREAKER_CLOSED;
	}
	if (in_flight != sch->in_flight || in_hand != sch->in_hand ||
	    waiting + in_hand != g_hash_table_size(sch->items) || broken_lanes != sch->breakers)
		broken(s,
		       "the scheduler counts %zu in flight, %zu in hand, %u items, %zu breakers; there are %zu, %zu, %zu, %zu",
		       sch->in_flight, sch->in_hand, g_hash_table_size(sch->items), sch->breakers, in_flight, in_hand,
		       waiting + in_hand, broken_lanes);
	if (sch->bytes > sch->limits.window_bytes)
		broken(s, "payloads take %zu bytes", sch->bytes);
}

/* The slow look wakes each loop once a minute, and everything that happens wakes one some few times. */
static void check_turns(sim *s)
{
	rules *r = s->rules;
	uint64_t turns = engine_loop_turns(s->engine) - r->turns_before,
		 happened = r->happenings - r->happenings_before;
	uint64_t most = 62 * (uint64_t)s->settings->delivery_loops + (s->calm ? 4 : 12) * happened + 20;

	if (turns > most)
		broken(s, "%llu turns in an hour in which %llu things happened", (unsigned long long)turns,
		       (unsigned long long)happened);
	r->turns_before += turns;
	r->happenings_before += happened;
}

void wait_each_hour(sim *s)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, s->rules->webhooks);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		watched *w = value;
		w->nudges = w->young_nudges;
		w->young_nudges = 0;
	}
	check_turns(s);
	for (size_t i = 0; engine_runs(s->engine) && i < engine_loops(s->engine); i++)
		audit(s, engine_loop(s->engine, i)->scheduler);
}
