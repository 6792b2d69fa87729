/*
 * `remote`: what a method can do to the world, which is to ask for a request and to say what it thinks.
 *
 *   script                        host
 *   remote.post(url, ...) ------> run->call, the coroutine yields
 *                                 the loop makes the request
 *   an answer table <------------ run->answer, the coroutine goes on
 *   remote.token{...} ----------> nothing, while the token that is kept is good; else the same with a call of its own
 *   a text <--------------------- the coroutine goes on
 *
 * This file makes the table, and has the functions that only compute.
 */
#include "method/remote.h"

#include <lauxlib.h>
#include <openssl/evp.h>
#include <string.h>

#define JUDGEMENT "judgement"
#define USER_MAX (4 * 1024)
#define BASIC "Basic "
#define AFTER_MAX (7 * 24 * 3600) /* seconds; the schedule has its own, shorter limit */

/* --- Credentials ------------------------------------------------------------------------------ */

static void check_credential(lua_State *lua, bh_span text, const char *what, bool colon_allowed)
{
	for (size_t i = 0; i < text.size; i++) {
		if ((unsigned char)text.at[i] < ' ' || text.at[i] == 127)
			luaL_error(lua, "remote.basic: the %s holds a control character", what);
		if (text.at[i] == ':' && !colon_allowed)
			luaL_error(lua, "remote.basic: the %s holds a colon, which Basic authentication cannot send",
				   what);
	}
}

/* remote.basic(user, password): the value of an Authorization header, as UTF-8 (RFC 7617). */
static int remote_basic(lua_State *lua)
{
	bh_span user = bh_remote_check_text(lua, 1, "basic", "the user name", USER_MAX);
	bh_span password = bh_remote_check_text(lua, 2, "basic", "the password", USER_MAX);
	check_credential(lua, user, "user name", false);
	check_credential(lua, password, "password", true);

	unsigned char plain[2 * USER_MAX + 1], value[sizeof BASIC + (2 * USER_MAX + 1) / 3 * 4 + 8];
	memcpy(value, BASIC, strlen(BASIC));
	int size = (int)(user.size + 1 + password.size);
	memcpy(plain, user.at, user.size);
	plain[user.size] = ':';
	memcpy(plain + user.size + 1, password.at, password.size);

	size_t value_size = strlen(BASIC) + (size_t)EVP_EncodeBlock(value + strlen(BASIC), plain, size);
	lua_pushlstring(lua, (const char *)value, value_size);
	explicit_bzero(plain, (size_t)size);
	explicit_bzero(value, value_size);
	return 1;
}

/* --- Judgements ------------------------------------------------------------------------------- */

/* What remote.delivered, retry and fail return: nothing that a script could make or change itself. */
typedef struct judgement {
	int kind;
	bh_usec after;
} judgement; /* its user value is the text */

static bh_usec check_after(lua_State *lua, int index)
{
	if (lua_isnoneornil(lua, index))
		return -1;
	if (lua_type(lua, index) != LUA_TNUMBER)
		luaL_error(lua, "remote.retry: the time must be seconds, not a %s", luaL_typename(lua, index));
	lua_Number seconds = lua_tonumber(lua, index);
	if (!(seconds >= 0))
		luaL_error(lua, "remote.retry: the time must not be negative");
	return (bh_usec)(MIN(seconds, (lua_Number)AFTER_MAX) * BH_SECOND);
}

/* remote.delivered(note), retry(why, after_seconds), fail(why). Upvalues: the function's name, the kind. */
static int remote_judgement(lua_State *lua)
{
	const char *function = lua_tostring(lua, lua_upvalueindex(1));
	int kind = (int)lua_tointeger(lua, lua_upvalueindex(2));

	lua_settop(lua, 2);
	if (!lua_isnil(lua, 1) && lua_type(lua, 1) != LUA_TSTRING)
		return luaL_error(lua, "remote.%s: the reason must be a text, not a %s", function,
				  luaL_typename(lua, 1));
	if (!lua_isnil(lua, 2) && kind != BH_JUDGED_RETRY)
		return luaL_error(lua, "remote.%s: takes a reason and nothing else", function);
	bh_usec after = check_after(lua, 2);

	judgement *j = lua_newuserdatauv(lua, sizeof *j, 1);
	*j = (judgement){.kind = kind, .after = after};
	luaL_setmetatable(lua, JUDGEMENT);
	lua_pushvalue(lua, 1);
	lua_setiuservalue(lua, -2, 1);
	return 1;
}

static void take_judgement(bh_script *run, int index, const judgement *j)
{
	lua_getiuservalue(run->thread, index, 1);
	run->judged.kind = j->kind;
	run->judged.after = j->after;
	run->judged.why = g_strdup(lua_tostring(run->thread, -1));
	lua_pop(run->thread, 1);
}

bool bh_remote_judge(bh_script *run, int index, char **ret_what)
{
	lua_State *lua = run->thread;
	const judgement *j = luaL_testudata(lua, index, JUDGEMENT);

	run->judged = (bh_script_judgement){.kind = BH_JUDGED_BY_ANSWER, .after = -1};
	if (j) {
		take_judgement(run, index, j);
		return true;
	}
	if (!bh_remote_is_answer(lua, index)) {
		*ret_what = lua_isnil(lua, index) ? g_strdup("nothing")
						  : g_strdup_printf("a %s", luaL_typename(lua, index));
		return false;
	}
	if (lua_topointer(lua, index) == run->answer_table)
		return true;
	*ret_what = g_strdup("the answer of an earlier call");
	return false;
}

/* --- The table `remote` ----------------------------------------------------------------------- */

static const struct verb_function {
	const char *name, *verb;
} verb_functions[] = {
	{"get", "GET"},
	{"post", "POST"},
	{"put", "PUT"},
};

static const struct judging_function {
	const char *name;
	int kind;
} judging_functions[] = {
	{"delivered", BH_JUDGED_DELIVERED},
	{"retry", BH_JUDGED_RETRY},
	{"fail", BH_JUDGED_FAILED},
};

static const luaL_Reg plain_functions[] = {
	{"request", bh_remote_request},         {"basic", remote_basic},      {"token", bh_remote_token},
	{"fresh_token", bh_remote_fresh_token}, {"lookup", bh_remote_lookup}, {NULL, NULL},
};

static void make_metatables(lua_State *lua)
{
	bh_remote_make_answers(lua);
	luaL_newmetatable(lua, JUDGEMENT);
	lua_pop(lua, 1);
}

void bh_remote_push(lua_State *lua)
{
	make_metatables(lua);
	lua_newtable(lua);
	for (size_t i = 0; i < G_N_ELEMENTS(verb_functions); i++) {
		lua_pushstring(lua, verb_functions[i].name);
		lua_pushstring(lua, verb_functions[i].verb);
		lua_pushcclosure(lua, bh_remote_verb, 2);
		lua_setfield(lua, -2, verb_functions[i].name);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(judging_functions); i++) {
		lua_pushstring(lua, judging_functions[i].name);
		lua_pushinteger(lua, judging_functions[i].kind);
		lua_pushcclosure(lua, remote_judgement, 2);
		lua_setfield(lua, -2, judging_functions[i].name);
	}
	luaL_setfuncs(lua, plain_functions, 0);
	bh_sandbox_make_view(lua);
}
