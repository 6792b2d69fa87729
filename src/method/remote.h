/*
 * `remote` inside: its functions by what they do. They run in the coroutine of a run (bh_script_of), and what is wrong in a
 * call is raised there, with the name of the function first.
 */
#pragma once

#include "method/script.h"

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
