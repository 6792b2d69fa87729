/*
 * One seed, from the first webhook to the last sleep:
 *
 *   plan -> settle in -> days of trouble -> calm: receivers are well, nobody edits -> everything ends -> silence
 */
#include "engine.h"
#include "hands.h"
#include "network.h"
#include "rules.h"
#include "sim.h"
#include "world.h"

#define BIRTH (INT64_C(1796083200) * BH_SECOND) /* 2026-12-01 */
#define SILENCE (3 * BH_HOUR)

bh_usec draw_wait(sim *s, bh_usec average)
{
	return draw_between(s, 0, average << draw(s, 3)) * 6 / 7;
}

void pass(sim *s, bh_usec span)
{
	s->clock.mono.us += span;
	s->clock.wall += span;
}

/* --- The plan -------------------------------------------------------------------------------------------------------- */

static void set(sim *s, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void set(sim *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(s->plan.overrides, g_strdup_vprintf(format, args));
	va_end(args);
}

/* Half of the seeds live by the defaults, which are what most will run; the others by what makes trouble come sooner. */
static void choose_settings(sim *s)
{
	static const char *const schedules[] = {"5s,5m,30m,2h,5h,10h,14h,20h,24h", "1s,10s,1m,10m,1h,3h", "5s,1m"};
	static const int lifetimes[] = {80, 80, 24, 6};

	set(s, "delivery_loops=%u", 1 + draw_one_of(s, 4));
	set(s, "in_flight_max=%u", 4U << draw(s, 4));
	set(s, "window=%u", 4U << draw(s, 5));
	set(s, "look_every=%um", draw_one_of(s, 3) ? 1 : 5 + draw(s, 10));
	if (!draw_one_of(s, 8))
		set(s, "held_span=%uh", 6 + draw(s, 60));
	if (draw_one_of(s, 2))
		return;
	set(s, "retry_schedule=%s", schedules[draw(s, G_N_ELEMENTS(schedules))]);
	set(s, "lifetime=%dh", lifetimes[draw(s, G_N_ELEMENTS(lifetimes))]);
	set(s, "in_flight_per_webhook=%u", 1 + draw(s, 10));
	set(s, "concurrency_start=%u", 1 + draw(s, 4));
	set(s, "manager_share_percent=%u", 10 + draw(s, 60));
	set(s, "retry_share_percent=%u", 10 + draw(s, 80));
	set(s, "total_timeout=%us", 3 + draw(s, 20));
	set(s, "held_max=%u", 5 + draw(s, 200));
	set(s, "disable_after=%uh", 6 + draw(s, 100));
	set(s, "disable_gap=%uh", 1 + draw(s, 12));
	set(s, "failing_warn_after=%uh", 1 + draw(s, 24));
	set(s, "disable_warn_before=%uh", 1 + draw(s, 24));
}

static void choose_plan(sim *s)
{
	sim_plan *p = &s->plan;

	p->overrides = g_ptr_array_new_with_free_func(g_free);
	choose_settings(s);
	g_ptr_array_add(p->overrides, NULL);
	p->recording_max = 4 + draw(s, 60);
	p->turns_max = 1 + draw(s, 8);
	p->days = draw_between(s, BH_DAY, 5 * BH_DAY);
	p->managers = 2 + draw(s, 6);
	p->webhooks = 3 + draw(s, 12);
	p->event_every = draw_between(s, 10 * BH_MINUTE, 2 * BH_HOUR);
	p->hand_every = draw_between(s, 30 * BH_MINUTE, 6 * BH_HOUR);
	p->mood_every = draw_between(s, 30 * BH_MINUTE, 4 * BH_HOUR);
	p->disaster_every = draw_between(s, 2 * BH_HOUR, BH_DAY);
	p->store_trouble = draw_one_of(s, 3) ? draw(s, 100) : draw(s, 5);
}

static void begin(sim *s, const sim_house *house, uint64_t seed)
{
	g_autoptr(GError) error = NULL;

	*s = (sim){.seed = seed, .house = house, .chance = bh_chance_seeded(seed), .trace = trace_new()};
	s->clock.mono.us = BH_HOUR + draw_between(s, 0, BH_DAY);
	s->clock.wall = BIRTH + draw_between(s, 0, 300 * BH_DAY);
	bh_clock_use(&s->clock);
	trace_on_abort(s);
	choose_plan(s);
	s->settings = bh_settings_load(NULL, (char *const *)s->plan.overrides->pdata, &error);
	g_assert_no_error(error);
	s->disk = memory_new();
	s->network = network_new(s);
	s->rules = rules_new(s);
	s->engine = engine_new(s);
	s->world = world_new(s);
}

static void end(sim *s)
{
	engine_free(s->engine);
	world_free(s->world);
	rules_free(s->rules);
	network_free(s->network);
	memory_free(s->disk);
	bh_settings_free(s->settings);
	g_ptr_array_unref(s->plan.overrides);
	trace_on_abort(NULL);
	bh_clock_use(NULL);
}

/* --- Steps ------------------------------------------------------------------------------------------------------------ */

/* One thing happens: the soonest, or of those that are due one by chance. */
static void step(sim *s)
{
	bh_mono of_engine = engine_runs(s->engine) ? engine_next(s->engine) : (bh_mono){INT64_MAX};
	bh_mono of_world = world_next(s->world);
	bh_mono next = of_engine.us < of_world.us ? of_engine : of_world;

	if (!bh_mono_reached(s->clock.mono, next))
		pass(s, bh_mono_since(next, s->clock.mono));
	bool engine_may = bh_mono_reached(s->clock.mono, of_engine);
	bool world_may = bh_mono_reached(s->clock.mono, of_world);
	if (engine_may && (!world_may || draw_one_of(s, 2)))
		engine_turn(s->engine);
	else
		world_turn(s->world);
	rules_after_step(s);
}

static void live_through_trouble(sim *s)
{
	bh_mono until = bh_mono_add(s->clock.mono, s->plan.days);

	while (!bh_mono_reached(s->clock.mono, until))
		step(s);
}

/* By when all must have ended: what is held waits the longest, and then what was just released has its life before it. */
static bh_mono last_day(const sim *s)
{
	return bh_mono_add(s->clock.mono, s->settings->held_span + s->settings->lifetime + BH_DAY);
}

static void calm_down(sim *s)
{
	world_calm_down(s->world);
	while (!engine_runs(s->engine))
		step(s);
	hands_enable_all(s);
	bh_mono until = last_day(s);
	while (!(rules_all_ended(s) && world_is_told(s->world)) && !bh_mono_reached(s->clock.mono, until))
		step(s);
	bh_mono silent = bh_mono_add(s->clock.mono, SILENCE);
	while (!bh_mono_reached(s->clock.mono, silent))
		step(s);
	rules_at_end(s);
}

static void add(sim_counts *total, const sim_counts *more)
{
	uint64_t *to = (uint64_t *)total;
	const uint64_t *from = (const uint64_t *)more;

	for (size_t i = 0; i < sizeof(*total) / sizeof(*to); i++)
		to[i] += from[i];
}

uint64_t live(const sim_house *house, uint64_t seed, sim_counts *total)
{
	sim s;

	begin(&s, house, seed);
	s.calm = true; /* while they settle in */
	g_assert_true(engine_start(s.engine));
	world_settle_in(s.world);
	s.calm = false;
	live_through_trouble(&s);
	calm_down(&s);
	s.counts.turns = engine_loop_turns(s.engine);
	add(total, &s.counts);
	uint64_t hash = trace_hash(s.trace);
	end(&s);
	trace_free(s.trace);
	return hash;
}
