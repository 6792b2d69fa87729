#include "world.h"

#include "engine.h"
#include "hands.h"
#include "network.h"
#include "rules.h"
#include "scripts.h"

#define NEVER ((bh_mono){INT64_MAX})

static bh_mono in(sim *s, bh_usec average)
{
	return bh_mono_add(s->clock.mono, draw_wait(s, average));
}

/* --- The store's troubles ------------------------------------------------------------------------------------------ */

static memory_fate fate_by_chance(sim *s)
{
	static const memory_fate fates[] = {FATE_BUSY, FATE_IO, FATE_FULL, FATE_UNSURE_KEPT, FATE_UNSURE_LOST};

	return fates[draw(s, G_N_ELEMENTS(fates))];
}

/* Dying while a batch is committed: it is there, or it is not, and nobody was told. */
static memory_fate die_committing(sim *s)
{
	engine_die(s->engine);
	return draw_one_of(s, 2) ? FATE_KEPT : FATE_IO;
}

static memory_fate choose_fate(void *user, bh_write *const *writes, size_t count)
{
	sim *s = user;
	world *w = s->world;

	(void)writes;
	if (s->is_ghost)
		return FATE_IO;
	if (s->calm || !w)
		return FATE_KEPT;
	if (!bh_mono_reached(s->clock.mono, w->outage_until)) {
		s->rules->happenings++;
		return FATE_BUSY;
	}
	if (draw_one_of(s, 4000))
		return die_committing(s);
	memory_fate fate = draw(s, 1000) < s->plan.store_trouble ? fate_by_chance(s) : FATE_KEPT;
	if (fate != FATE_KEPT)
		TELL(s, "the store refuses %lld writes, fate %lld", (long long)count, fate);
	return fate;
}

/* --- Settling in --------------------------------------------------------------------------------------------------- */

world *world_new(sim *s)
{
	world *w = g_new0(world, 1);

	w->sim = s;
	w->start_at = w->next_event = w->next_hand = w->next_mood = w->next_disaster = NEVER;
	w->outage_until = s->clock.mono;
	g_queue_init(&w->untold);
	memory_watcher watcher = {.user = s, .fate = choose_fate, .applied = rules_applied, .moved = rules_moved};
	memory_watch(s->disk, &watcher);
	return w;
}

void world_free(world *w)
{
	if (!w)
		return;
	g_queue_clear_full(&w->untold, g_free);
	g_free(w);
}

void world_settle_in(world *w)
{
	sim *s = w->sim;
	const sim_plan *plan = &s->plan;

	for (unsigned i = 0; i < plan->managers; i++)
		hands_add_manager(s);
	for (unsigned i = 0; i < plan->managers * 2; i++)
		hands_add_property(s);
	for (unsigned i = 0; i < plan->webhooks; i++)
		hands_add_webhook(s);
	w->next_event = in(s, plan->event_every);
	w->next_hand = in(s, plan->hand_every);
	w->next_mood = in(s, plan->mood_every);
	w->next_disaster = in(s, plan->disaster_every);
}

/* --- What happens -------------------------------------------------------------------------------------------------- */

static void an_event_happens(world *w)
{
	static const char *const types[] = {"booking_added", "tariffs_updated", "room_updated"};
	sim *s = w->sim;
	unsigned many = draw_one_of(s, 10) ? 2 + draw(s, 30) : 1; /* at times a whole calendar is imported */

	for (unsigned i = 0; i < many; i++) {
		news *n = g_new0(news, 1);
		*n = (news){.number = ++w->news_count,
			    .type = types[draw(s, G_N_ELEMENTS(types))],
			    .property = 1 + draw(s, w->properties),
			    .contract = draw_one_of(s, 400) ? POISON : draw(s, 4),
			    .room = draw(s, ROOMS)};
		world_tell(w, n);
	}
	w->next_event = in(s, s->plan.event_every);
}

static void a_mood_changes(world *w)
{
	static const receiver_mood moods[] = {
		MOOD_WELL,    MOOD_WELL,    MOOD_WELL,    MOOD_WELL,     MOOD_SLOW,    MOOD_HANGING,     MOOD_DEAD,
		MOOD_UNKNOWN, MOOD_DEAD,    MOOD_BUSY,    MOOD_TORN,     MOOD_PACING,  MOOD_PACING_MUTE, MOOD_FLAPPING,
		MOOD_FAILING, MOOD_FAILING, MOOD_DENYING, MOOD_ABORTING, MOOD_LEAVING, MOOD_GONE,
	};
	sim *s = w->sim;
	receiver *r = network_receiver(s->network, draw(s, network_receivers(s->network)));
	receiver_mood mood = moods[draw(s, G_N_ELEMENTS(moods))];

	/* Who does not want to hear any more is seldom, and the webhook is off after one answer. */
	if (mood == MOOD_GONE || mood == MOOD_LEAVING)
		mood = draw_one_of(s, 3) ? mood : MOOD_WELL;
	receiver_set_mood(s, r, mood);
	TELL(s, "receiver %lld is in mood %lld", r->number, mood);
	w->next_mood = in(s, s->plan.mood_every);
}

static void the_wall_clock_jumps(world *w)
{
	sim *s = w->sim;
	bh_usec by = draw_between(s, -2 * BH_HOUR, 2 * BH_HOUR);

	s->clock.wall += by;
	TELL(s, "the wall clock jumps by %lld s", by / BH_SECOND);
}

static void the_store_fails(world *w)
{
	sim *s = w->sim;
	bh_usec span = draw_wait(s, 5 * BH_MINUTE);

	w->outage_until = bh_mono_add(s->clock.mono, span);
	w->unreadable = draw_one_of(s, 2);
	memory_set_unreadable(s->disk, w->unreadable);
	s->rules->disturbed_at = w->outage_until;
	w->outage_from = s->clock.mono;
	TELL(s, "the store is away for %lld s, readers too: %lld", span / BH_SECOND, w->unreadable);
}

static void the_process_is_gone_for(world *w, bh_usec span)
{
	w->start_at = bh_mono_add(w->sim->clock.mono, span);
}

static void a_disaster_happens(world *w)
{
	sim *s = w->sim;

	w->next_disaster = in(s, s->plan.disaster_every);
	switch (draw(s, 6)) {
	case 0:
	case 1:
		if (engine_runs(s->engine))
			engine_kill(s->engine);
		return;
	case 2:
		if (engine_runs(s->engine))
			engine_ask_to_stop(s->engine);
		return;
	case 3:
		the_wall_clock_jumps(w);
		return;
	case 4:
		the_store_fails(w);
		return;
	case 5: /* the machine is suspended, or so busy that it comes to nothing */
		pass(s, draw_wait(s, BH_MINUTE));
		s->rules->disturbed_at = s->clock.mono;
		TELL(s, "the machine comes to itself again");
		return;
	}
}

/* --- The agenda ---------------------------------------------------------------------------------------------------- */

static bh_mono soonest(bh_mono a, bh_mono b)
{
	return a.us < b.us ? a : b;
}

/* Somebody watches over the process and starts it again: within seconds mostly, sometimes after a night. */
static void see_to_the_process(world *w)
{
	sim *s = w->sim;

	if (engine_runs(s->engine)) {
		w->start_at = NEVER;
		return;
	}
	if (w->start_at.us == NEVER.us)
		the_process_is_gone_for(w, draw_one_of(s, 8) ? draw_wait(s, 3 * BH_HOUR) : draw_wait(s, 3 * BH_SECOND));
	if (bh_mono_reached(s->clock.mono, w->start_at) && !engine_start(s->engine))
		the_process_is_gone_for(w, 5 * BH_SECOND);
}

static void see_to_the_store(world *w)
{
	if (w->unreadable && bh_mono_reached(w->sim->clock.mono, w->outage_until)) {
		/* Who cannot read asks again each second. */
		w->sim->rules->happenings += (uint64_t)(bh_mono_since(w->sim->clock.mono, w->outage_from) / BH_SECOND);
		w->unreadable = false;
		memory_set_unreadable(w->sim->disk, false);
	}
}

bh_mono world_next(const world *w)
{
	bh_mono next = soonest(soonest(w->next_event, w->next_hand), soonest(w->next_mood, w->next_disaster));

	next = soonest(next, world_tells_again_at(w));
	if (w->unreadable)
		next = soonest(next, w->outage_until);
	if (!engine_runs(w->sim->engine))
		next = soonest(next, w->start_at.us == NEVER.us ? w->sim->clock.mono : w->start_at);
	return next;
}

void world_turn(world *w)
{
	bh_mono now = w->sim->clock.mono;

	see_to_the_store(w);
	see_to_the_process(w);
	if (bh_mono_reached(now, w->next_event)) {
		an_event_happens(w);
	} else if (bh_mono_reached(now, w->next_hand)) {
		w->next_hand = in(w->sim, w->sim->plan.hand_every);
		hands_do_something(w->sim);
	} else if (bh_mono_reached(now, w->next_mood)) {
		a_mood_changes(w);
	} else if (bh_mono_reached(now, w->next_disaster)) {
		a_disaster_happens(w);
	} else {
		world_tell_again(w);
	}
}

void world_calm_down(world *w)
{
	sim *s = w->sim;

	s->calm = true;
	w->next_event = w->next_hand = w->next_mood = w->next_disaster = NEVER;
	w->outage_until = s->clock.mono;
	see_to_the_store(w);
	for (unsigned i = 0; i < network_receivers(s->network); i++)
		receiver_set_mood(s, network_receiver(s->network, i), MOOD_WELL);
	TELL(s, "all is calm");
}

bool world_is_told(const world *w)
{
	return w->telling == 0 && g_queue_is_empty((GQueue *)&w->untold);
}
