#include "engine.h"

#include "base/steady.h"
#include "delivery/delivery.h"
#include "delivery/loop.h"
#include "network.h"
#include "rules.h"

#include <string.h>

#define LOOPS_MAX 2
#define QUEUE_MAX 2000
#define NEVER ((bh_mono){INT64_MAX})

struct engine {
	sim *sim;
	bh_store *store;
	bh_directory *directory;
	bh_loops *loops;
	bh_journal *journal;
	size_t loop_count;
	bh_mono wake[LOOPS_MAX]; /* when a loop that sleeps has slept enough */
	bool done[LOOPS_MAX]; /* asked to stop, and through */
	bool journal_waits; /* something is queued, and a commit is planned */
	bh_mono commit_at;
	bool stopping;
	uint64_t loop_turns;
	char *flight; /* the flight record as it was when the process died */
	gsize flight_bytes;
};

/* --- Making ------------------------------------------------------------------------------------------------------ */

engine *engine_new(sim *s)
{
	engine *e = g_new0(engine, 1);

	e->sim = s;
	return e;
}

static char *flight_path(const engine *e)
{
	return g_build_filename(e->sim->house->folder, "flight", NULL);
}

static void close_all(engine *e)
{
	bh_loops_free(e->loops);
	bh_directory_free(e->directory);
	bh_store_close(e->store);
	e->loops = NULL;
	e->directory = NULL;
	e->store = NULL;
	e->journal = NULL;
	e->stopping = false;
}

static void make_loops(engine *e)
{
	sim *s = e->sim;
	bh_loops_rooms rooms = {.store = e->store,
				.directory = e->directory,
				.sealer = s->house->sealer,
				.data_dir = s->house->folder,
				.recording_max = s->plan.recording_max,
				.turns_max = s->plan.turns_max,
				.wire = network_wire(s->network),
				.seed = bh_chance_next(&s->chance) | 1};
	g_autoptr(GError) error = NULL;

	e->loops = bh_loops_new(&rooms, s->settings, s->house->guard, s->house->methods, &error);
	g_assert_no_error(error);
	e->loop_count = (size_t)s->settings->delivery_loops;
	g_assert(e->loop_count <= LOOPS_MAX);
}

static void bury(engine *e);

/* A start that fails ends the process; whoever watches over it starts it again a little later. */
static bool give_up(engine *e)
{
	for (size_t i = 0; i < e->loop_count; i++)
		bh_loop_end(bh_loops_at(e->loops, i));
	bh_journal_close(e->journal);
	close_all(e);
	return false;
}

bool engine_start(engine *e)
{
	sim *s = e->sim;
	g_autoptr(GError) error = NULL;

	g_assert(!engine_runs(e));
	bh_clock_steady_restart();
	bh_id_restart(bh_chance_next(&s->chance));
	e->store = memory_open(s->disk);
	bh_id_start_above(bh_store_last_id(e->store));
	e->directory = bh_directory_new(bh_store_load_directory(e->store, NULL));
	make_loops(e);
	bh_journal_listener listener = bh_loops_listener(e->loops);
	e->journal = bh_journal_open_by_hand(e->store, e->directory, &listener, QUEUE_MAX);
	e->journal_waits = false;
	for (size_t i = 0; i < e->loop_count; i++) {
		e->wake[i] = s->clock.mono;
		e->done[i] = false;
	}
	bool prepared = bh_loops_prepare(e->loops, e->journal, &error);
	if (s->is_ghost) {
		bury(e);
		return false;
	}
	if (!prepared)
		return give_up(e);
	TELL(s, "engine started");
	rules_started(s);
	return true;
}

bool engine_runs(const engine *e)
{
	return e->loops;
}

void engine_free(engine *e)
{
	if (!e)
		return;
	if (engine_runs(e))
		engine_kill(e);
	g_free(e);
}

/* --- Turning ----------------------------------------------------------------------------------------------------- */

static bool journal_has_work(engine *e)
{
	bh_journal_stats stats;

	bh_journal_stats_read(e->journal, &stats);
	return stats.queued > 0;
}

/* A commit takes its time: up to 5 ms until it begins, and at times the disk is slow. */
static bh_mono journal_next(engine *e)
{
	sim *s = e->sim;

	if (!journal_has_work(e))
		return NEVER;
	if (!e->journal_waits) {
		bh_usec wait = draw_one_of(s, 200) ? draw_between(s, 0, 3 * BH_SECOND)
						   : draw_between(s, 0, 5 * BH_MILLISECOND);
		e->journal_waits = true;
		e->commit_at = bh_mono_add(s->clock.mono, wait);
	}
	return e->commit_at;
}

static bh_mono loop_next(engine *e, size_t i)
{
	if (e->done[i])
		return NEVER;
	return bh_loop_is_asleep(bh_loops_at(e->loops, i)) ? e->wake[i] : e->sim->clock.mono;
}

bh_mono engine_next(engine *e)
{
	bh_mono soonest = journal_next(e);

	for (size_t i = 0; i < e->loop_count; i++) {
		bh_mono at = loop_next(e, i);
		if (at.us < soonest.us)
			soonest = at;
	}
	return soonest;
}

static bool all_done(const engine *e)
{
	for (size_t i = 0; i < e->loop_count; i++)
		if (!e->done[i])
			return false;
	return true;
}

/* As serve does: the loops are through, then the journal works off what else is queued. */
static void finish_stop(engine *e)
{
	for (size_t i = 0; i < e->loop_count; i++)
		bh_loop_end(bh_loops_at(e->loops, i));
	bh_journal_close(e->journal);
	close_all(e);
	TELL(e->sim, "engine stopped");
	rules_process_over(e->sim);
}

static void turn_loop(engine *e, size_t i)
{
	sim *s = e->sim;
	bh_loop *loop = bh_loops_at(e->loops, i);

	e->loop_turns++;
	bh_usec wait = bh_loop_turn(loop);
	if (s->is_ghost)
		return;
	g_assert_cmpint(wait, >=, 0); /* the slow look alone comes each minute */
	if (bh_loop_is_done(loop))
		e->done[i] = true;
	else
		/* epoll counts in milliseconds, and goes past rather than before. */
		e->wake[i] = bh_mono_add(
			s->clock.mono,
			bh_loop_may_sleep(loop) ? (wait + BH_MILLISECOND - 1) / BH_MILLISECOND * BH_MILLISECOND : 0);
	pass(s, draw_between(s, 1, 30));
	if (e->stopping && all_done(e))
		finish_stop(e);
}

static void turn_journal(engine *e)
{
	e->journal_waits = false;
	(void)bh_journal_turn(e->journal);
	pass(e->sim, draw_between(e->sim, 20, 200));
}

void engine_turn(engine *e)
{
	sim *s = e->sim;
	size_t due[LOOPS_MAX + 1], count = 0;

	if (bh_mono_reached(s->clock.mono, journal_next(e)))
		due[count++] = LOOPS_MAX;
	for (size_t i = 0; i < e->loop_count; i++)
		if (bh_mono_reached(s->clock.mono, loop_next(e, i)))
			due[count++] = i;
	g_assert(count > 0);
	size_t chosen = due[draw(s, (unsigned)count)];
	if (chosen == LOOPS_MAX)
		turn_journal(e);
	else
		turn_loop(e, chosen);
	if (s->is_ghost)
		bury(e);
}

/* --- Ending ------------------------------------------------------------------------------------------------------ */

void engine_ask_to_stop(engine *e)
{
	TELL(e->sim, "engine asked to stop");
	e->stopping = true;
	bh_loops_ask_to_stop(e->loops);
}

void engine_die(engine *e)
{
	sim *s = e->sim;
	g_autofree char *path = flight_path(e);

	if (s->is_ghost)
		return; /* one dies once */
	TELL(s, "the process dies");
	s->counts.deaths++;
	rules_died(s);
	s->is_ghost = true;
	g_assert_true(g_file_get_contents(path, &e->flight, &e->flight_bytes, NULL));
}

/* Everything goes but the disk and the flight record, which is put back as it was at the moment of death. */
static void bury(engine *e)
{
	sim *s = e->sim;
	g_autofree char *path = flight_path(e);

	for (size_t i = 0; i < e->loop_count; i++)
		bh_loop_end(bh_loops_at(e->loops, i));
	bh_journal_close(e->journal);
	close_all(e);
	g_assert_true(g_file_set_contents(path, e->flight, (gssize)e->flight_bytes, NULL));
	g_clear_pointer(&e->flight, g_free);
	s->is_ghost = false;
	rules_process_over(s);
}

void engine_kill(engine *e)
{
	engine_die(e);
	bury(e);
}

/* --- For whoever looks ------------------------------------------------------------------------------------------- */

bh_journal *engine_journal(engine *e)
{
	return e->journal;
}

bh_directory *engine_directory(engine *e)
{
	return e->directory;
}

size_t engine_loops(const engine *e)
{
	return e->loop_count;
}

bh_loop *engine_loop(engine *e, size_t number)
{
	return bh_loops_at(e->loops, number);
}

bh_usec engine_steady(engine *e)
{
	return bh_clock_steady(e->sim->clock.mono);
}

uint64_t engine_loop_turns(const engine *e)
{
	return e->loop_turns;
}
