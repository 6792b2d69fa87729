/*
 * The table that stands for an answer. Most scripts hand it straight back. So it is born empty and is filled from the bh_answer
 * when it is first looked into, or, as the bh_answer does not outlive the turn, when the next call is made.
 */
#include "method/remote.h"

#include <lauxlib.h>
#include <string.h>

#define ANSWER "answer"
#define HEADER_NAME_MAX 128

/* --- Its contents ------------------------------------------------------------------------------ */

static bh_span next_line(bh_span *rest)
{
	const char *end = memchr(rest->at, '\n', rest->size);
	bh_span line = {rest->at, end ? (size_t)(end - rest->at) : rest->size};
	size_t taken = end ? line.size + 1 : line.size;

	rest->at += taken;
	rest->size -= taken;
	return line;
}

static bh_span trim(bh_span text)
{
	while (text.size > 0 && g_ascii_isspace(*text.at)) {
		text.at++;
		text.size--;
	}
	while (text.size > 0 && g_ascii_isspace(text.at[text.size - 1]))
		text.size--;
	return text;
}

/* Adds a header to the table on the top; a name that comes twice has its values joined (RFC 9110, 5.3). */
static void add_answer_header(lua_State *lua, bh_span name, bh_span value)
{
	char lower[HEADER_NAME_MAX];
	for (size_t i = 0; i < name.size; i++)
		lower[i] = g_ascii_tolower(name.at[i]);

	lua_pushlstring(lua, lower, name.size);
	lua_pushvalue(lua, -1);
	if (lua_rawget(lua, -3) == LUA_TNIL) {
		lua_pop(lua, 1);
		lua_pushlstring(lua, value.at, value.size);
	} else {
		lua_pushliteral(lua, ", ");
		lua_pushlstring(lua, value.at, value.size);
		lua_concat(lua, 3);
	}
	lua_rawset(lua, -3);
}

static void push_answer_headers(lua_State *lua, const bh_answer *answer)
{
	bh_span rest = answer->head ? (bh_span){answer->head->str, answer->head->len} : (bh_span){0};

	lua_newtable(lua);
	while (rest.size > 0) {
		bh_span line = next_line(&rest);
		const char *colon = memchr(line.at, ':', line.size);
		size_t name_size = colon ? (size_t)(colon - line.at) : 0;
		if (name_size == 0 || name_size > HEADER_NAME_MAX)
			continue;
		bh_span value = {colon + 1, line.size - name_size - 1};
		add_answer_header(lua, (bh_span){line.at, name_size}, trim(value));
	}
}

static void set_field(lua_State *lua, int table, const char *name)
{
	lua_pushstring(lua, name);
	lua_insert(lua, -2);
	lua_rawset(lua, table);
}

/* Copies the answer into its table at `table`. What is not there (no cause, no Retry-After) stays nil. */
static void fill_answer(lua_State *lua, int table, bh_script *run)
{
	const bh_answer *answer = run->answer;
	const GByteArray *body = answer->body;

	lua_pushinteger(lua, answer->status);
	set_field(lua, table, "status");
	lua_pushlstring(lua, body && body->len ? (const char *)body->data : "", body ? body->len : 0);
	set_field(lua, table, "body");
	push_answer_headers(lua, answer);
	set_field(lua, table, "headers");
	if (answer->cause != BH_CAUSE_NONE) {
		lua_pushstring(lua, bh_cause_name(answer->cause));
		set_field(lua, table, "cause");
	}
	if (answer->sentence[0]) {
		lua_pushstring(lua, answer->sentence);
		set_field(lua, table, "sentence");
	}
	if (answer->has_retry_after) {
		lua_pushnumber(lua, (lua_Number)answer->retry_after / BH_SECOND);
		set_field(lua, table, "retry_after");
	}
	run->answer = NULL;
}

/* Fills the table at `index` if it stands for the answer of this turn. */
static void fill_if_pending(lua_State *lua, int index)
{
	bh_script *run = bh_script_of(lua);
	if (run->answer && lua_topointer(lua, index) == run->answer_table)
		fill_answer(lua, index, run);
}

/* The status is what many look at, and nothing else: that alone is no reason to copy the answer. */
static bool push_status(lua_State *lua)
{
	const bh_script *run = bh_script_of(lua);
	bool is_asked = run->answer && lua_topointer(lua, 1) == run->answer_table && lua_type(lua, 2) == LUA_TSTRING &&
			strcmp(lua_tostring(lua, 2), "status") == 0;

	if (is_asked)
		lua_pushinteger(lua, run->answer->status);
	return is_asked;
}

static int index_answer(lua_State *lua)
{
	lua_settop(lua, 2);
	if (push_status(lua))
		return 1;
	fill_if_pending(lua, 1);
	lua_pushvalue(lua, 2);
	lua_rawget(lua, 1);
	return 1;
}

/* A script may keep the function and hand it anything. */
static int next_of_answer(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	lua_settop(lua, 2);
	return lua_next(lua, 1) ? 2 : 0;
}

static int pairs_of_answer(lua_State *lua)
{
	fill_if_pending(lua, 1);
	lua_pushcfunction(lua, next_of_answer);
	lua_pushvalue(lua, 1);
	return 2;
}

void bh_remote_settle_answer(lua_State *lua, bh_script *run)
{
	if (!run->answer)
		return;
	lua_rawgeti(lua, LUA_REGISTRYINDEX, run->answer_slot);
	fill_answer(lua, lua_gettop(lua), run);
	lua_pop(lua, 1);
}

void bh_remote_push_answer(lua_State *lua, bh_script *run)
{
	lua_newtable(lua);
	luaL_setmetatable(lua, ANSWER);
	run->answer_table = lua_topointer(lua, -1);
	lua_pushvalue(lua, -1);
	lua_rawseti(lua, LUA_REGISTRYINDEX, run->answer_slot);
}

bool bh_remote_is_answer(lua_State *lua, int index)
{
	if (lua_type(lua, index) != LUA_TTABLE || !lua_getmetatable(lua, index))
		return false;
	luaL_getmetatable(lua, ANSWER);
	bool is = lua_rawequal(lua, -1, -2);
	lua_pop(lua, 2);
	return is;
}

void bh_remote_make_answers(lua_State *lua)
{
	static const luaL_Reg methods[] = {{"__index", index_answer}, {"__pairs", pairs_of_answer}, {NULL, NULL}};

	luaL_newmetatable(lua, ANSWER);
	luaL_setfuncs(lua, methods, 0);
	lua_pop(lua, 1);
}
