/*
 * What a method may call. All of it computes and nothing else. Left out with intent: load, require, io, os, debug,
 * coroutine (a script could resume around its end), metatables, collectgarbage, string.dump and pack, math.random
 * (chance is base/'s alone), print. Beside Lua's libraries stand ours: lua_libs.h.
 */
#include "method/lua_libs.h"
#include "method/patterns.h"
#include "method/sandbox.h"

#include <glib.h>
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#define BYTES_PER_STEP 4 /* of a text that a C function goes through */
#define QUOTING_STEPS 40 /* times that: what %q takes */

/* --- Views ------------------------------------------------------------------------------------ */

static int refuse_change(lua_State *lua)
{
	return luaL_error(lua, "cannot set '%s': this table is read-only", luaL_tolstring(lua, 2, NULL));
}

/* Upvalue: the table behind the view. It is never handed out, or the view would be worth nothing. */
static int next_of_view(lua_State *lua)
{
	lua_settop(lua, 2);
	return lua_next(lua, lua_upvalueindex(1)) ? 2 : 0;
}

static int pairs_of_view(lua_State *lua)
{
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_pushcclosure(lua, next_of_view, 1);
	return 1;
}

void bh_sandbox_make_view(lua_State *lua)
{
	int table = lua_gettop(lua);

	lua_newtable(lua);
	lua_createtable(lua, 0, 4);
	lua_pushvalue(lua, table);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, refuse_change);
	lua_setfield(lua, -2, "__newindex");
	lua_pushvalue(lua, table);
	lua_pushcclosure(lua, pairs_of_view, 1);
	lua_setfield(lua, -2, "__pairs");
	lua_setmetatable(lua, -2);
	lua_replace(lua, table);
}

/* --- Functions with a price ------------------------------------------------------------------- */

/* Upvalue 1 of everything in this section is the library's own function, called in place. */
static int call_original(lua_State *lua)
{
	return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

/* What a range costs, read as the library reads it: 2^53 and "7" are numbers, too. */
static void spend_range(lua_State *lua, int from_index, int to_index)
{
	int from_is_number, to_is_number;
	lua_Integer from = lua_tointegerx(lua, from_index, &from_is_number);
	lua_Integer to = lua_tointegerx(lua, to_index, &to_is_number);

	if (from_is_number && to_is_number && to > from)
		bh_sandbox_spend(lua, (size_t)to - (size_t)from);
}

/* The library goes through a text faster than through a table. */
static size_t length_in_steps(lua_State *lua, int index)
{
	size_t length = lua_rawlen(lua, index);
	return lua_type(lua, index) == LUA_TSTRING ? length / BYTES_PER_STEP : length;
}

/* For what is as long as its first argument, or the range that two arguments name (0: it takes none). */
static int call_priced(lua_State *lua)
{
	int from_index = (int)lua_tointeger(lua, lua_upvalueindex(2));

	bh_sandbox_spend(lua, 1 + length_in_steps(lua, 1));
	if (from_index > 0)
		spend_range(lua, from_index, from_index + 1);
	return call_original(lua);
}

/* The library's loop never ends for an empty text and a large count. */
static int call_rep(lua_State *lua)
{
	size_t size, gap = 0;
	luaL_checklstring(lua, 1, &size);
	luaL_optlstring(lua, 3, "", &gap);

	bh_sandbox_spend(lua, 1);
	if (size + gap == 0) {
		lua_pushliteral(lua, "");
		return 1;
	}
	return call_original(lua);
}

/*
 * Upvalue 2: `a < b` as a Lua function. Comparisons in Lua are seen by the hook; a C function as order, or none at all
 * over hostile values, could compare without end.
 */
static int call_sort(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	if (lua_isnoneornil(lua, 2)) {
		lua_settop(lua, 1);
		lua_pushvalue(lua, lua_upvalueindex(2));
	}
	luaL_argcheck(lua, lua_isfunction(lua, 2) && !lua_iscfunction(lua, 2), 2,
		      "a function written in the script expected");
	bh_sandbox_spend(lua, 1 + lua_rawlen(lua, 1));
	bh_sandbox_breathe(lua);
	int count = call_original(lua);
	bh_sandbox_breathe(lua);
	return count;
}

/* A userdata that says what it is (a number of json, json.null) is not asked for where it lies. */
static bool has_address(lua_State *lua, int index)
{
	switch (lua_type(lua, index)) {
	case LUA_TTABLE:
	case LUA_TFUNCTION:
	case LUA_TTHREAD:
		return true;
	case LUA_TUSERDATA:
		if (luaL_getmetafield(lua, index, "__tostring") == LUA_TNIL)
			return true;
		lua_pop(lua, 1);
		return false;
	default:
		return false;
	}
}

/* Where things lie in memory is nobody's business: a table is "table". */
static int plain_tostring(lua_State *lua)
{
	luaL_checkany(lua, 1);
	if (has_address(lua, 1))
		lua_pushstring(lua, luaL_typename(lua, 1));
	else
		luaL_tolstring(lua, 1, NULL);
	return 1;
}

static bool asks_for(const char *format, char conversion)
{
	for (const char *at = strchr(format, '%'); at; at = strchr(at, '%')) {
		at++;
		at += strspn(at, "-+#0 .123456789");
		if (*at == conversion)
			return true;
		if (*at)
			at++;
	}
	return false;
}

static int call_format(lua_State *lua)
{
	size_t size;
	const char *format = luaL_checklstring(lua, 1, &size);

	bh_sandbox_spend(lua, 1 + size);
	luaL_argcheck(lua, strlen(format) == size, 1, "the format holds a zero byte");
	luaL_argcheck(lua, !asks_for(format, 'p'), 1, "'%p' is not available");
	size_t price =
		asks_for(format, 'q') ? QUOTING_STEPS : 1; /* it takes a text byte by byte, and prints most of them */
	for (int i = lua_gettop(lua); i > 1; i--) {
		bh_sandbox_spend(lua, length_in_steps(lua, i) * price);
		if (has_address(lua, i)) {
			lua_pushstring(lua, luaL_typename(lua, i));
			lua_replace(lua, i);
		}
	}
	return call_original(lua);
}

/* --- The allow-list --------------------------------------------------------------------------- */

typedef struct function {
	const char *name;
	enum { AS_IT_IS, OURS, PRICED, WRAPPED } how;
	lua_CFunction code; /* OURS, WRAPPED */
	int range; /* PRICED: the argument where a range begins; 0: none */
} function;

static const function base_functions[] = {
	{"assert", AS_IT_IS},
	{"error", AS_IT_IS},
	{"ipairs", AS_IT_IS},
	{"next", AS_IT_IS},
	{"pairs", AS_IT_IS},
	{"pcall", OURS, bh_sandbox_pcall},
	{"select", AS_IT_IS},
	{"tonumber", PRICED},
	{"tostring", OURS, plain_tostring},
	{"type", AS_IT_IS},
	{NULL},
};

static const function string_functions[] = {
	{"byte", PRICED},
	{"char", AS_IT_IS},
	{"find", OURS, bh_pattern_find},
	{"format", WRAPPED, call_format},
	{"gmatch", OURS, bh_pattern_gmatch},
	{"gsub", OURS, bh_pattern_gsub},
	{"len", AS_IT_IS},
	{"lower", PRICED},
	{"match", OURS, bh_pattern_match},
	{"rep", WRAPPED, call_rep},
	{"reverse", PRICED},
	{"sub", PRICED},
	{"upper", PRICED},
	{NULL},
};

static const function table_functions[] = {
	{"concat", PRICED, NULL, 3}, {"insert", PRICED},
	{"move", PRICED, NULL, 2},   {"pack", AS_IT_IS},
	{"remove", PRICED},          {"sort", AS_IT_IS}, /* wrapped by add_sort */
	{"unpack", PRICED, NULL, 2}, {NULL},
};

static const function math_functions[] = {
	{"abs", AS_IT_IS},       {"acos", AS_IT_IS},
	{"asin", AS_IT_IS},      {"atan", AS_IT_IS},
	{"ceil", AS_IT_IS},      {"cos", AS_IT_IS},
	{"deg", AS_IT_IS},       {"exp", AS_IT_IS},
	{"floor", AS_IT_IS},     {"fmod", AS_IT_IS},
	{"huge", AS_IT_IS},      {"log", AS_IT_IS},
	{"max", AS_IT_IS},       {"maxinteger", AS_IT_IS},
	{"min", AS_IT_IS},       {"mininteger", AS_IT_IS},
	{"modf", AS_IT_IS},      {"pi", AS_IT_IS},
	{"rad", AS_IT_IS},       {"sin", AS_IT_IS},
	{"sqrt", AS_IT_IS},      {"tan", AS_IT_IS},
	{"tointeger", AS_IT_IS}, {"type", AS_IT_IS},
	{"ult", AS_IT_IS},       {NULL},
};

/* Wraps the function on the top of the stack as the row wants it. */
static void wrap(lua_State *lua, const function *row)
{
	switch (row->how) {
	case AS_IT_IS:
		return;
	case OURS:
		lua_pop(lua, 1);
		lua_pushcfunction(lua, row->code);
		return;
	case PRICED:
		lua_pushinteger(lua, row->range);
		lua_pushcclosure(lua, call_priced, 2);
		return;
	case WRAPPED:
		lua_pushcclosure(lua, row->code, 1);
		return;
	}
	g_assert_not_reached();
}

/* Adds the listed functions of the library on the top of the stack (and takes it off) to the table below it. */
static void add_functions(lua_State *lua, const function *rows)
{
	for (const function *row = rows; row->name; row++) {
		lua_getfield(lua, -1, row->name);
		wrap(lua, row);
		lua_setfield(lua, -3, row->name);
	}
	lua_pop(lua, 1);
}

/* Sets table.sort in the table on the top of the stack. */
static void add_sort(lua_State *lua)
{
	static const char less[] = "return function(a, b) return a < b end";

	lua_getfield(lua, -1, "sort");
	int status = luaL_loadbufferx(lua, less, strlen(less), "=sort", "t");
	g_assert(status == LUA_OK);
	lua_call(lua, 0, 1);
	lua_pushcclosure(lua, call_sort, 2);
	lua_setfield(lua, -2, "sort");
}

static void push_library(lua_State *lua, const char *name, lua_CFunction open, const function *rows)
{
	lua_newtable(lua);
	luaL_requiref(lua, name, open, 0);
	add_functions(lua, rows);
}

/* ("x"):upper() finds its functions through the metatable of all strings. The table behind it is not reachable. */
static void set_string_methods(lua_State *lua)
{
	lua_pushliteral(lua, "");
	lua_getmetatable(lua, -1);
	lua_pushvalue(lua, -3);
	lua_setfield(lua, -2, "__index");
	lua_pop(lua, 2);
}

static void add_library(lua_State *lua, const char *name)
{
	bh_sandbox_make_view(lua);
	lua_setfield(lua, -2, name);
}

static void add_own_libraries(lua_State *lua)
{
	static const struct {
		const char *name;
		void (*push)(lua_State *lua);
	} libraries[] = {
		{"json", bh_lua_json_push}, {"base64", bh_lua_base64_push}, {"hash", bh_lua_hash_push},
		{"url", bh_lua_url_push},   {"time", bh_lua_time_push},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(libraries); i++) {
		libraries[i].push(lua);
		add_library(lua, libraries[i].name);
	}
}

static int refuse_global(lua_State *lua)
{
	return luaL_error(lua, "a method has no '%s'", luaL_tolstring(lua, 2, NULL));
}

static int refuse_new_global(lua_State *lua)
{
	return luaL_error(lua, "'%s' must be declared with local: nothing is kept from one delivery to the next",
			  luaL_tolstring(lua, 2, NULL));
}

/* Makes the globals on the top of the stack strict: an unknown name is an error, not nil. */
static void make_strict(lua_State *lua)
{
	lua_createtable(lua, 0, 1);
	lua_pushcfunction(lua, refuse_global);
	lua_setfield(lua, -2, "__index");
	lua_setmetatable(lua, -2);

	bh_sandbox_make_view(lua);
	lua_getmetatable(lua, -1);
	lua_pushcfunction(lua, refuse_new_global);
	lua_setfield(lua, -2, "__newindex");
	lua_pop(lua, 1);
}

/* What the libraries left in the registry would be out of reach anyway; it is not there, either. */
static void forget_originals(lua_State *lua)
{
	lua_pushnil(lua);
	lua_setfield(lua, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_newtable(lua);
	lua_rawseti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

void bh_sandbox_push_globals(lua_State *lua)
{
	push_library(lua, LUA_GNAME, luaopen_base, base_functions);
	push_library(lua, LUA_STRLIBNAME, luaopen_string, string_functions);
	set_string_methods(lua);
	add_library(lua, LUA_STRLIBNAME);
	push_library(lua, LUA_TABLIBNAME, luaopen_table, table_functions);
	add_sort(lua);
	add_library(lua, LUA_TABLIBNAME);
	push_library(lua, LUA_MATHLIBNAME, luaopen_math, math_functions);
	add_library(lua, LUA_MATHLIBNAME);
	add_own_libraries(lua);
	make_strict(lua);
	forget_originals(lua);
}
