/*
 * One process of Bellhop, as far as it concerns deliveries: directory, journal and loops on the simulated disk. It is
 * opened, turned step by step, stopped, or killed; what follows it finds on the disk what a process finds.
 */
#pragma once

#include "sim.h"

#include "journal/journal.h"

engine *engine_new(sim *s); /* no process runs yet */
void engine_free(engine *e);

/* False: the start failed, as it does when the store does not answer; nothing runs. */
bool engine_start(engine *e);
bool engine_runs(const engine *e);

/* When something of it is to be done; in the past or now: at once. */
bh_mono engine_next(engine *e);
/* Does one thing that is due, chosen by chance: a loop's turn or the journal's. */
void engine_turn(engine *e);

/* Asked to stop, it goes on until it is through, and then is gone. */
void engine_ask_to_stop(engine *e);
/* Without warning. Inside of a turn: see sim.is_ghost; the turn's end buries it. */
void engine_die(engine *e);
/* The same, from outside of a turn. */
void engine_kill(engine *e);

bh_journal *engine_journal(engine *e);
bh_directory *engine_directory(engine *e);
size_t engine_loops(const engine *e);
struct bh_loop *engine_loop(engine *e, size_t number);
/* The steady wall clock of the running process, which due times go by. */
bh_usec engine_steady(engine *e);
/* Turns of all loops since the world began. */
uint64_t engine_loop_turns(const engine *e);
