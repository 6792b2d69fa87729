/*
 * A Lua state in which strangers' code may run.
 *
 * Reach: an allow-list of functions that compute (globals.c). No files, no processes, no clock, no chance, no loading of
 * code, no coroutines, no metatables. What several runs can see is read-only, so nothing passes between them.
 *
 * Cost: each run has a meter, and somebody always pays:
 *
 *   instructions   the count hook, every 500 instructions
 *   allocation     the allocator: a long string costs what copying it costs, and everything stays under the ceiling
 *   C functions    what loops in C pays for its length first (bh_sandbox_spend), patterns for each of their steps
 *   the rest       comparing long texts, walking an emptied table: a limit of time, looked at by the hook
 *
 * Turns: a run whose meter is sliced is paused by the hook when its slice is over, wherever Lua can yield, and goes on with the
 * next resume. Where Lua cannot (a callback of gsub or sort, a C function at its work) it must come to such a place within
 * a stretch, or it is ended. So nobody keeps the thread.
 *
 * A meter that ran out stays so: pcall passes the end on, and nothing else in here catches. Freed blocks are wiped, for
 * passwords pass through as Lua strings.
 *
 * Between turns the allocator never fails (as with GLib, the process ends first), so a host may use the Lua API without
 * protection there. One thread.
 */
#pragma once

#include "base/time.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bh_stop {
	BH_STOP_NONE,
	BH_STOP_STEPS,
	BH_STOP_MEMORY,
	BH_STOP_TIME,
	BH_STOP_STRETCH, /* it gave no chance to pause */
	BH_STOP_ASKED, /* bh_sandbox_end: its host has had enough */
} bh_stop;

/* What one run may still use, and what ended it. */
typedef struct bh_meter {
	int64_t steps; /* instructions */
	size_t memory; /* bytes that it may add to the state */
	size_t held; /* bytes that its turns so far have added and not given back */
	size_t fresh; /* ... of which no collection has shown yet whether they are garbage */
	size_t pardoned; /* bytes that were taken for garbage when a collection came between its turns */
	unsigned collections; /* of the sandbox, when its last turn ended */
	size_t largest; /* the largest block that it knows of: what one instruction may have to walk through */
	size_t slowness; /* how slow its instructions were lately; 0: as usual */
	bh_usec time; /* of computing; waiting is free */
	bool sliced; /* it pauses after each slice */
	bool is_paused; /* its last turn ended so, and not because it asked for something */
	bh_stop stop;
} bh_meter;

typedef struct bh_sandbox {
	lua_State *lua;
	int globals; /* registry: the read-only environment of every chunk */
	size_t memory_max;
	size_t used, ceiling; /* bytes now; bytes at which the running turn is refused more */
	size_t tight; /* bytes from which on its garbage is collected oftener */
	size_t blocks; /* how many there are: what a collection costs goes by them, not by bytes */
	size_t live; /* bytes that the last collection left */
	size_t dropped; /* bytes that runs held which have ended since */
	unsigned collections;
	bh_meter *running; /* NULL between turns */
	lua_State *thread; /* the coroutine that runs */
	int64_t slice, stretch; /* steps left before it pauses, and before it must have done so */
	bool timed; /* turn_began is set: a turn of a few instructions reads no clock */
	bh_usec turn_began, looked_at; /* on the clock of the thread's work */
	bh_mono glanced_at; /* when that was */
} bh_sandbox;

void bh_sandbox_init(bh_sandbox *box, size_t memory_max);
void bh_sandbox_clear(bh_sandbox *box);

/* Pushes the compiled `source` (text only), bound to the read-only globals. False: pushes "name:line: why". */
bool bh_sandbox_compile(bh_sandbox *box, const char *name, const char *source, size_t size);

/* A coroutine, kept alive by *ret_anchor in the registry. */
lua_State *bh_sandbox_thread(bh_sandbox *box, int *ret_anchor);

/* One turn of `thread` at the cost of `meter`. Results as lua_resume; LUA_YIELD with meter->is_paused: its slice was over. */
int bh_sandbox_resume(bh_sandbox *box, lua_State *thread, bh_meter *meter, int arguments, int *ret_results);

/*
 * Why a turn did not end well, "basic.lua:12: why" (new text), read from the dead coroutine. `name` stands in
 * where no line is known.
 */
char *bh_sandbox_trouble(bh_sandbox *box, lua_State *thread, const bh_meter *meter, const char *name);

/*
 * Collects garbage if it is worth it; `ended` (may be NULL) is the meter of a run that just let go of everything. The
 * collector never runs on its own, so that its cost has a place.
 */
void bh_sandbox_tidy(bh_sandbox *box, const bh_meter *ended);

/* --- For C functions that a script calls; these may raise ------------------------------------- */

/* Takes `steps` off the running meter; ends the run when none are left. */
void bh_sandbox_spend(lua_State *lua, size_t steps);

/* Before and after a C function calls back into the script: a new stretch begins if it is yieldable itself. */
void bh_sandbox_breathe(lua_State *lua);

/* Ends the running run as if its meter had run out (BH_STOP_ASKED). Never returns. */
int bh_sandbox_end(lua_State *lua);

/* As lua_pcall without a handler; passes the run's own end on. */
int bh_sandbox_try(lua_State *lua, int arguments, int results);

/* Replaces the table on the top of the stack by a view that can be read and walked, not changed. */
void bh_sandbox_make_view(lua_State *lua);

/* pcall for scripts: catches every error but the script's own end. */
int bh_sandbox_pcall(lua_State *lua);

/* globals.c: builds the allow-list and pushes it (a view). */
void bh_sandbox_push_globals(lua_State *lua);
