/*
 * `remote` inside: its functions by what they do. They run in the coroutine of a run (bh_script_of), and what is wrong in a
 * call is raised there, with the name of the function first.
 */
#pragma once

#include "method/script.h"
#include "method/token_request.h"

/* --- remote_check.c: what a function is given ------------------------------------------------- */

/* The table at `options` has no members but the `known` ones. */
void bh_remote_check_options(lua_State *lua, const char *function, int options, const char *const *known);

/* The text at `index`, which stays on the stack. Never shown in an error: it may be a secret put in the wrong place. */
bh_span bh_remote_check_text(lua_State *lua, int index, const char *function, const char *what, size_t most);
bh_span bh_remote_check_url(lua_State *lua, int index, const char *function);

/* --- remote_answer.c: the table that stands for an answer --------------------------------------- */

void bh_remote_make_answers(lua_State *lua); /* once in each state */
void bh_remote_push_answer(lua_State *lua, bh_script *run);
bool bh_remote_is_answer(lua_State *lua, int index);
/* Before the run yields again, what it may still look into later must be its own. */
void bh_remote_settle_answer(lua_State *lua, bh_script *run);

/* --- remote_call.c, remote_token.c, lookup.c: the functions themselves ------------------------------------ */

int bh_remote_verb(lua_State *lua); /* get, post, put. Upvalues: the function's name, the verb */
int bh_remote_request(lua_State *lua);
int bh_remote_token(lua_State *lua);
int bh_remote_fresh_token(lua_State *lua);
int bh_remote_lookup(lua_State *lua);

/* --- remote_token.c: how a run goes about a token ------------------------------------------------ */

typedef struct bh_token_errand {
	bh_call_kind kind; /* of the request */
	bool is_fresh; /* another one than the run has got */
	/* What to ask for; also after a wait. Its texts live until the answer. */
	void (*request)(lua_State *lua, bh_script *run, bh_token_request *ret);
	/* How the function goes on: the claim's turn is HAD, NO_OTHER or REFUSED. */
	int (*then)(lua_State *lua, bh_script *run);
} bh_token_errand;

/* To be returned. `version`: see bh_tokens_place. */
int bh_remote_want_token(lua_State *lua, const char *function, const bh_token_errand *way, const bh_token_key *key,
			 uint64_t version);
