/* One run of `deliver`, as its two halves see it: host.c, which drives it, and remote.c, whose functions it calls. */
#pragma once

#include "method/method.h"
#include "method/sandbox.h"

#define BH_SCRIPT_HEADERS_MAX 64
#define BH_SCRIPT_BODY_MAX (1024 * 1024)

typedef struct bh_script_code bh_script_code; /* a compiled method, host.c */
typedef struct bh_script_settings bh_script_settings; /* opened settings, settings_cache.c */

typedef enum bh_script_state {
	BH_SCRIPT_STATE_READY, /* function and arguments are on its stack */
	BH_SCRIPT_STATE_WAITING, /* yielded a call */
	BH_SCRIPT_STATE_FINISHED, /* returned or broke */
} bh_script_state;

struct bh_script {
	bh_script_host *host;
	lua_State *thread;
	int anchor; /* registry: keeps the thread */
	int answer_slot; /* registry: the answer table of the last call */
	bh_meter meter;
	bh_script_state state;
	bh_script_code *code;
	bh_script_settings *settings;
	int arguments; /* READY: how many */

	unsigned calls, calls_max;
	bh_request call; /* WAITING; its texts are Lua strings that the yielded call keeps on its stack */
	const char *headers[BH_SCRIPT_HEADERS_MAX + 1];
	const bh_answer *answer; /* during a turn, until it is copied into its table: see remote.c */
	const void *answer_table; /* which table stands for it */

	bh_call_kind call_kind;
	GBytes *body;
	void *user;

	bh_script_judgement judged;
	char *trouble;
};

/* Pushes `remote`, a view; to be made once in each state. */
void bh_remote_push(lua_State *lua);

/* The run to which a coroutine belongs. */
static inline void bh_script_set_run(lua_State *thread, bh_script *run)
{
	*(bh_script **)lua_getextraspace(thread) = run;
}

static inline bh_script *bh_script_of(lua_State *thread)
{
	return *(bh_script **)lua_getextraspace(thread);
}

/*
 * Reads what `deliver` returned (at `index`) into run->judged. False: it is neither the answer of the last call nor
 * made by remote.delivered, retry or fail; *ret_what, the caller's, says what it is.
 */
bool bh_remote_judge(bh_script *run, int index, char **ret_what);
