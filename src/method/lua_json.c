/*
 * `json`: base/'s strict reader, and Lua values from its nodes. What is no Lua value has one of its own: json.null (a table
 * cannot hold nil), the mark of a list (an empty table is {}, an empty list []), and numbers that no Lua number holds.
 */
#include "base/error.h"
#include "base/json.h"
#include "base/json_text.h"
#include "method/lua_libs.h"
#include "method/sandbox.h"

#include <lauxlib.h>

#define REASON_MAX 300
#define BYTES_PER_STEP 8 /* of reading */
#define NODE_STEPS 4 /* what making a value takes, besides its memory */
#define NODES_KEPT (4 * 1024) /* a text with more is read with memory of its own */

/* --- The kit ---------------------------------------------------------------------------------- */

static const char kit_key = 'k'; /* its address is the kit's place in the registry */

bh_lua_json_kit *bh_lua_json_kit_push(lua_State *lua)
{
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &kit_key);
	return lua_touserdata(lua, -1);
}

static int kit_clear(lua_State *lua)
{
	bh_lua_json_kit *kit = lua_touserdata(lua, 1);
	g_clear_pointer(&kit->reader, bh_json_free);
	return 0;
}

static int null_tostring(lua_State *lua)
{
	lua_pushliteral(lua, "null");
	return 1;
}

static void push_null(lua_State *lua)
{
	lua_newuserdatauv(lua, 0, 0);
	lua_createtable(lua, 0, 2);
	lua_pushliteral(lua, "json.null");
	lua_setfield(lua, -2, "__name");
	lua_pushcfunction(lua, null_tostring);
	lua_setfield(lua, -2, "__tostring");
	lua_setmetatable(lua, -2);
}

static const void *metatable_of(lua_State *lua, int index)
{
	const void *metatable = NULL;
	if (lua_getmetatable(lua, index)) {
		metatable = lua_topointer(lua, -1);
		lua_pop(lua, 1);
	}
	return metatable;
}

bool bh_lua_number_text(lua_State *lua, int index, bh_span *ret)
{
	if (lua_type(lua, index) != LUA_TUSERDATA)
		return false;
	const void *metatable = metatable_of(lua, index);
	const void *number = bh_lua_json_kit_push(lua)->number;
	lua_pop(lua, 1);
	bool is = metatable == number;
	if (is)
		*ret = (bh_span){lua_touserdata(lua, index), lua_rawlen(lua, index)};
	return is;
}

static void make_kit(lua_State *lua)
{
	bh_lua_json_kit *kit = lua_newuserdatauv(lua, sizeof *kit, BH_LUA_JSON_VALUES);
	*kit = (bh_lua_json_kit){0};
	lua_createtable(lua, 0, 1);
	lua_pushcfunction(lua, kit_clear);
	lua_setfield(lua, -2, "__gc");
	lua_setmetatable(lua, -2);
	kit->reader = bh_json_new();

	lua_newtable(lua);
	kit->list = lua_topointer(lua, -1);
	lua_setiuservalue(lua, -2, BH_LUA_JSON_LIST);
	bh_lua_number_metatable(lua);
	kit->number = lua_topointer(lua, -1);
	lua_setiuservalue(lua, -2, BH_LUA_JSON_NUMBER);
	push_null(lua);
	kit->null = metatable_of(lua, -1);
	lua_setiuservalue(lua, -2, BH_LUA_JSON_NULL);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &kit_key);
}

/* --- Values from nodes ------------------------------------------------------------------------ */

typedef struct builder {
	lua_State *lua;
	const bh_json *json;
	int kit; /* its place on the stack */
} builder;

static void push_value(builder *b, uint32_t node);

static void push_string(builder *b, uint32_t node)
{
	bh_span text = bh_json_text(b->json, node);
	bh_span inside = {text.at + 1, text.size - 2};

	if (!memchr(inside.at, '\\', inside.size)) {
		lua_pushlstring(b->lua, inside.at, inside.size);
		return;
	}
	luaL_Buffer buffer;
	char *out = luaL_buffinitsize(b->lua, &buffer, inside.size);
	luaL_pushresultsize(&buffer, bh_json_decode(inside, out));
}

static void push_number(builder *b, uint32_t node)
{
	bh_span text = bh_json_text(b->json, node);
	int64_t integer;
	double number;

	if (bh_json_int(b->json, node, &integer)) {
		lua_pushinteger(b->lua, integer);
	} else if (bh_lua_number_is_float(text, &number)) {
		lua_pushnumber(b->lua, number);
	} else {
		memcpy(lua_newuserdatauv(b->lua, text.size, 0), text.at, text.size);
		lua_getiuservalue(b->lua, b->kit, BH_LUA_JSON_NUMBER);
		lua_setmetatable(b->lua, -2);
	}
}

static int count_children(const bh_json *json, uint32_t node)
{
	int count = 0;
	for (uint32_t c = bh_json_first(json, node); c != BH_JSON_NONE; c = bh_json_next(json, node, c))
		count++;
	return count;
}

static void push_array(builder *b, uint32_t node)
{
	lua_Integer i = 0;

	lua_createtable(b->lua, count_children(b->json, node), 0);
	for (uint32_t c = bh_json_first(b->json, node); c != BH_JSON_NONE; c = bh_json_next(b->json, node, c)) {
		push_value(b, c);
		lua_rawseti(b->lua, -2, ++i);
	}
	lua_getiuservalue(b->lua, b->kit, BH_LUA_JSON_LIST);
	lua_setmetatable(b->lua, -2);
}

static void push_object(builder *b, uint32_t node)
{
	lua_createtable(b->lua, 0, count_children(b->json, node));
	for (uint32_t c = bh_json_first(b->json, node); c != BH_JSON_NONE; c = bh_json_next(b->json, node, c)) {
		push_string(b, c);
		push_value(b, c + 1);
		lua_rawset(b->lua, -3);
	}
}

/* Recursive, but never deeper than the reader lets a text be: BH_JSON_DEPTH_MAX. */
static void push_value(builder *b, uint32_t node)
{
	luaL_checkstack(b->lua, 8, "the JSON is nested too deeply");
	switch (bh_json_type_of(b->json, node)) {
	case BH_JSON_OBJECT:
		push_object(b, node);
		return;
	case BH_JSON_ARRAY:
		push_array(b, node);
		return;
	case BH_JSON_STRING:
		push_string(b, node);
		return;
	case BH_JSON_NUMBER:
		push_number(b, node);
		return;
	case BH_JSON_TRUE:
	case BH_JSON_FALSE:
		lua_pushboolean(b->lua, bh_json_type_of(b->json, node) == BH_JSON_TRUE);
		return;
	case BH_JSON_NULL:
		lua_getiuservalue(b->lua, b->kit, BH_LUA_JSON_NULL);
		return;
	}
	g_assert_not_reached();
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void renew_reader(bh_lua_json_kit *kit)
{
	bh_json_free(kit->reader);
	kit->reader = bh_json_new();
}

static void push_reason(lua_State *lua, bh_lua_json_kit *kit, GError *error)
{
	char why[REASON_MAX];

	g_strlcpy(why, error->message, sizeof why);
	g_error_free(error); /* before anything that may raise */
	if (bh_json_count(kit->reader) > NODES_KEPT)
		renew_reader(kit);
	lua_pushstring(lua, why);
}

static void build(builder *b)
{
	bh_sandbox_spend(b->lua, (size_t)bh_json_count(b->json) * NODE_STEPS);
	push_value(b, 0);
}

/* Arguments: the kit, the builder. */
static int build_protected(lua_State *lua)
{
	builder *b = lua_touserdata(lua, 2);
	b->kit = 1;
	build(b);
	return 1;
}

/*
 * The nodes of a large text are many times the memory that a reader keeps: they go, however this ends. So a run that is over is
 * caught here for once (bh_sandbox_try would pass its end on at once), and sent on its way.
 */
static void build_large(builder *b, bh_lua_json_kit *kit)
{
	lua_pushcfunction(b->lua, build_protected);
	lua_pushvalue(b->lua, b->kit);
	lua_pushlightuserdata(b->lua, b);
	int status = lua_pcall(b->lua, 2, 1, 0);
	renew_reader(kit);
	if (status != LUA_OK)
		lua_error(b->lua);
}

bool bh_lua_json_decode(lua_State *lua, bh_span text)
{
	if (text.size > BH_LUA_JSON_MAX) {
		lua_pushfstring(lua, "the text is longer than %d bytes", BH_LUA_JSON_MAX);
		return false;
	}
	bh_sandbox_spend(lua, 1 + text.size / BYTES_PER_STEP);

	bh_lua_json_kit *kit = bh_lua_json_kit_push(lua);
	builder b = {.lua = lua, .json = kit->reader, .kit = lua_gettop(lua)};
	GError *error = NULL;
	bool read = bh_json_parse(kit->reader, text, &error);
	if (!read)
		push_reason(lua, kit, error);
	else if (bh_json_count(kit->reader) > NODES_KEPT)
		build_large(&b, kit);
	else
		build(&b);
	lua_remove(lua, b.kit);
	return read;
}

static int json_decode(lua_State *lua)
{
	bh_span text;
	text.at = luaL_checklstring(lua, 1, &text.size);
	if (bh_lua_json_decode(lua, text))
		return 1;
	lua_pushnil(lua);
	lua_insert(lua, -2);
	return 2;
}

/* --- The library ------------------------------------------------------------------------------ */

static int json_encode(lua_State *lua)
{
	luaL_checkany(lua, 1);
	bh_lua_json_encode(lua, 1, "json.encode");
	return 1;
}

/* Marks the table itself. What has a metatable already is not the script's own: it would lose what protects it. */
static int json_array(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	lua_settop(lua, 1);
	bh_lua_json_kit *kit = bh_lua_json_kit_push(lua);
	const void *metatable = metatable_of(lua, 1);

	luaL_argcheck(lua, !metatable || metatable == kit->list, 1, "a table made by the script expected");
	lua_getiuservalue(lua, 2, BH_LUA_JSON_LIST);
	lua_setmetatable(lua, 1);
	lua_settop(lua, 1);
	return 1;
}

void bh_lua_json_push(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{"decode", json_decode}, {"encode", json_encode}, {"array", json_array}, {NULL, NULL}};

	make_kit(lua);
	luaL_newlib(lua, functions);
	bh_lua_json_kit_push(lua);
	lua_getiuservalue(lua, -1, BH_LUA_JSON_NULL);
	lua_setfield(lua, -3, "null");
	lua_pop(lua, 1);
}
