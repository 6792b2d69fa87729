/*
 * One run, as those see it who make it: host.c, which resumes it, stages.c, which leads it from `accepts` to `deliver`, and the
 * functions that its script calls.
 */
#pragma once

#include "base/secret.h"
#include "method/code.h"
#include "method/method.h"
#include "method/sandbox.h"
#include "method/tokens.h"

#define BH_SCRIPT_HEADERS_MAX 64
#define BH_SCRIPT_BODY_MAX (1024 * 1024)

typedef struct bh_script_settings bh_script_settings; /* opened settings, settings_cache.c */

/*
 *   READY ----> WAITING   it asked for a call; goes on with the answer
 *         ----> PARKED    it waits for something that another run does; bh_script_wake -> QUEUED
 *         ----> QUEUED    its slice is over; bh_script_host_next -> CALLED
 *         ----> FINISHED  it returned or broke
 *
 * and from WAITING and CALLED to the same four.
 */
typedef enum bh_script_state {
	BH_SCRIPT_STATE_READY, /* function and arguments are on its stack */
	BH_SCRIPT_STATE_WAITING,
	BH_SCRIPT_STATE_PARKED,
	BH_SCRIPT_STATE_QUEUED,
	BH_SCRIPT_STATE_CALLED,
	BH_SCRIPT_STATE_FINISHED,
} bh_script_state;

struct bh_script {
	bh_script_host *host;
	lua_State *thread;
	int anchor; /* registry: keeps the thread */
	int answer_slot; /* registry: the answer table of the last call */
	bh_meter meter;
	bh_script_state state;
	bool is_parking; /* during a turn: it is about to be PARKED */
	GList turn; /* QUEUED: its place in the row */

	bh_script_code *code;
	bh_script_code *own; /* the webhook's own script; NULL: none */
	bh_script_settings *settings;
	bh_script_part part;
	bool skips_accepts; /* it is a test */
	bh_id webhook;
	int arguments; /* READY: how many */

	bh_script_stage stage;
	const bh_script_code *at_work; /* the code of this stage */

	bh_script_event event; /* what it was begun with, whatever the script made of its table; the texts are copies */
	GString *texts; /* ... that lie in here */
	unsigned undecoded; /* which of data, details and channel no script has looked at yet, script_event.c */
	GBytes *body; /* what is sent */
	bool is_transformed; /* the script made another body; stages.c takes it over before `deliver` */

	unsigned calls, calls_max;
	bh_call_kind call_kind;
	bh_request call; /* WAITING; its texts are Lua strings that the yielded call keeps on its stack */
	const char *headers[BH_SCRIPT_HEADERS_MAX + 1];
	const bh_answer *answer; /* during a turn, until it is copied into its table: see remote.c */
	const void *answer_table; /* which table stands for it */
	void *token; /* the run's business with tokens, kept by who gets them; NULL: none */

	bool is_judged; /* by the host: what the script returns is not asked any more */
	bh_script_judgement judged;
	void *user;
	char *trouble;
};

/* The run to which a coroutine belongs; NULL: to none, a file is just being read. */
static inline void bh_script_set_run(lua_State *thread, bh_script *run)
{
	*(bh_script **)lua_getextraspace(thread) = run;
}

static inline bh_script *bh_script_of(lua_State *thread)
{
	return *(bh_script **)lua_getextraspace(thread);
}

/* Is this `deliver`? What comes before it has no clock and makes no calls. */
static inline bool bh_script_is_delivering(lua_State *thread)
{
	const bh_script *run = bh_script_of(thread);
	return run && run->stage == BH_STAGE_DELIVER;
}

/* --- host.c: what a function may do to its run; these may raise --------------------------------- */

/* Waits until bh_script_wake, and goes on with `next`. `return bh_script_park(...)`, as with lua_yieldk. */
int bh_script_park(lua_State *lua, lua_KContext context, lua_KFunction next);

/* Ends the run; no pcall catches it. It has RETURNED, ENDED as `judgement` says (its `why` is copied). Never returns. */
int bh_script_end(lua_State *lua, const bh_script_judgement *judgement);

/* --- host.c: for who keeps tokens and looks up details ------------------------------------------- */

/* A parked run can go on: it takes the last place in the row. Any other: nothing happens. */
void bh_script_wake(bh_script *run);

bh_now bh_script_now(const bh_script *run);
bh_tokens *bh_script_tokens(bh_script *run); /* the host's own */

/* See bh_script_host_lookup; the host's. */
typedef struct bh_script_lookup {
	char *url, *token_url, *client_id; /* NULL: none */
	bh_secret *client_secret; /* NULL: none */
} bh_script_lookup;
const bh_script_lookup *bh_script_lookup_config(const bh_script *run);

/* Ends the business of a run (run->token) that is over or freed. Called by the host; by remote.c's side. */
void bh_tokens_leave(bh_script *run);

/* --- stages.c ------------------------------------------------------------------------------------ */

/* Leads the run through its stages. Arguments: event, settings, settings without passwords, remote. */
int bh_script_stages(lua_State *lua);

/* Does the run consist of one call of `deliver` that the host can make itself? */
bool bh_script_is_plain(const bh_script *run);

/* --- remote.c ------------------------------------------------------------------------------------ */

/* Pushes `remote`, a view; to be made once in each state. */
void bh_remote_push(lua_State *lua);

/*
 * Reads what `deliver` returned (at `index`) into run->judged. False: it is neither the answer of the last call nor
 * made by remote.delivered, retry or fail; *ret_what, the caller's, says what it is.
 */
bool bh_remote_judge(bh_script *run, int index, char **ret_what);

/* --- The event -------------------------------------------------------------------------------------- */

/*
 * script_event.c: pushes the table that the script sees, this run's own: id, type, property_id, manager_id, occurred_at, body, test,
 * and data, details, channel, decoded on the first look. The host adds `attempt` for `deliver`, and puts the body of the moment
 * there before each stage.
 */
void bh_script_event_push(lua_State *lua, bh_script *run, const bh_script_event *event);
