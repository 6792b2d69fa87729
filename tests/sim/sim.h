/*
 * A simulation: the real scheduler, loops, attempts, records and journal, turned by hand in one thread, between a
 * simulated clock, disk and network. A seed says all that happens in it, so that a seed replays.
 *
 *   sim.c       the seeds one after the other; what ./dev sim runs
 *   life.c      one seed: prepare, days of trouble, calm, the end
 *   engine.c    one process after the other: opened, turned, stopped or killed
 *   world.c     who there is, and what happens to them: events, moods, disasters
 *   hands.c     what people do by the API: edit, disable, enable, retry, cancel, replay, recover, test
 *   network.c   requests under way; receiver.c: what comes back; token_service.c: who may ask
 *   scripts.c   webhooks' own scripts
 *   rules.c ... what must hold, whatever happens
 *   memory_store.c, disk_*.c  the store
 */
#pragma once

#include "base/chance.h"
#include "base/settings.h"
#include "directory/directory.h"
#include "memory_store.h"
#include "method/method.h"
#include "transport/guard.h"

#include <glib.h>
#include <stdbool.h>

typedef struct engine engine;
typedef struct network network;
typedef struct world world;
typedef struct rules rules;
typedef struct trace trace;

/* What does not change from seed to seed. */
typedef struct sim_house {
	char *folder;
	bh_sealer *sealer;
	bh_guard *guard;
	bh_methods *methods;
	bool verbose, tap;
} sim_house;

void house_remove_folder(const sim_house *house);

/* How this seed's engine is set and how rough its world is. */
typedef struct sim_plan {
	GPtrArray *overrides; /* of the settings: "name=value" */
	size_t recording_max;
	unsigned turns_max;    /* scripts that a loop's turn resumes */
	bh_usec days;          /* of trouble, before all calms down */
	unsigned managers, webhooks;
	bh_usec event_every;   /* on average */
	bh_usec hand_every, mood_every, disaster_every;
	unsigned store_trouble; /* of a thousand commits so many fail */
} sim_plan;

/* What a seed went through, so that it shows when one road is not taken any more. */
typedef struct sim_counts {
	uint64_t events, attempts, deaths, turns, tokens;
	uint64_t moves[BH_STATE_FILTERED + 1]; /* of deliveries, by the state they went to */
	uint64_t blocked;    /* were made while an earlier one of their order key waited */
	uint64_t recovered, replayed, tests_enabled;
	uint64_t disabled[BH_DISABLED_BY_FAILURE + 1];
} sim_counts;

typedef struct sim {
	uint64_t seed;
	const sim_house *house;
	bh_chance chance;
	bh_now clock; /* both clocks, as bh_clock_use shows them */
	trace *trace;
	sim_plan plan;
	bh_settings *settings;
	memory *disk;
	engine *engine;
	network *network;
	world *world;
	rules *rules;
	bool calm; /* the troubles are over */
	/*
	 * The process died in the middle of a turn, which C cannot leave at once: until the turn is over the engine is a ghost whose
	 * deeds reach neither disk nor network nor anybody who waits.
	 */
	bool is_ghost;
	sim_counts counts;
} sim;

/* --- Chance -------------------------------------------------------------------------------------------------- */

/* 0 to count - 1. */
static inline unsigned draw(sim *s, unsigned count)
{
	return (unsigned)bh_chance_between(&s->chance, 0, (int64_t)count - 1);
}

static inline bh_usec draw_between(sim *s, bh_usec low, bh_usec high)
{
	return bh_chance_between(&s->chance, low, high);
}

static inline bool draw_one_of(sim *s, unsigned many)
{
	return draw(s, many) == 0;
}

/* Spread as what happens by chance is: many short ones, some long. */
bh_usec draw_wait(sim *s, bh_usec average);

/* --- Telling --------------------------------------------------------------------------------------------------- */

/*
 * One line of what happens, kept as numbers until somebody reads it: `format` has up to five %lld and no other. All lines go into
 * the seed's hash, so that two runs can be compared.
 */
#define TELL(s, ...) tell_((s), __VA_ARGS__, 0LL, 0LL, 0LL, 0LL, 0LL)
void tell_(sim *s, const char *format, long long a, long long b, long long c, long long d, long long e, ...);
trace *trace_new(void);
void trace_free(trace *t);
uint64_t trace_hash(const trace *t);

/* A rule is broken: the seed is printed with its last steps, and the program ends. */
void broken(sim *s, const char *format, ...) G_GNUC_PRINTF(2, 3) G_GNUC_NORETURN;
/* So that an assertion of the engine is told in the same way. */
void trace_on_abort(sim *s);

/* --- One seed ---------------------------------------------------------------------------------------------------- */

/* Returns the hash of all that happened. */
uint64_t live(const sim_house *house, uint64_t seed, sim_counts *total);
/* Moves the clocks on. */
void pass(sim *s, bh_usec span);
