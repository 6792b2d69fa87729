/*
 * The event, as a script sees it. Most scripts never look into `data`, `details` or `channel`, so these are decoded on the
 * first look, into tables that are this run's own; from then on they are members as any other. What a script puts there itself
 * is what stays, nil included.
 */
#include "method/lua_libs.h"
#include "method/script.h"

#include <lauxlib.h>

static const struct part {
	const char *name;
	size_t offset; /* of its bh_span in bh_script_event */
} parts[] = {
	{"data", G_STRUCT_OFFSET(bh_script_event, data)},
	{"details", G_STRUCT_OFFSET(bh_script_event, details)},
	{"channel", G_STRUCT_OFFSET(bh_script_event, channel)},
};

static const char metatable_key = 'e'; /* its address is the metatable's place in the registry */

static bh_span text_of(const bh_script *run, size_t part)
{
	return G_STRUCT_MEMBER(bh_span, &run->event, parts[part].offset);
}

/* Which part the key at `index` names that has not been looked at; -1: none. */
static int find_undecoded(lua_State *lua, const bh_script *run, int index)
{
	const char *name = run->undecoded && lua_type(lua, index) == LUA_TSTRING ? lua_tostring(lua, index) : NULL;

	for (int i = 0; name && i < (int)G_N_ELEMENTS(parts); i++)
		if (run->undecoded & 1u << i && !strcmp(name, parts[i].name))
			return i;
	return -1;
}

/* Decodes a part into the event at `event`, and leaves it on the top as well. */
static void decode(lua_State *lua, bh_script *run, int event, int part)
{
	if (!bh_lua_json_decode(lua, text_of(run, (size_t)part)))
		luaL_error(lua, "event.%s: %s", parts[part].name, lua_tostring(lua, -1));
	run->undecoded &= ~(1u << part);
	lua_pushstring(lua, parts[part].name);
	lua_pushvalue(lua, -2);
	lua_rawset(lua, event);
}

static int index_event(lua_State *lua)
{
	bh_script *run = bh_script_of(lua);
	int part = find_undecoded(lua, run, 2);

	if (part < 0)
		return 0;
	decode(lua, run, 1, part);
	return 1;
}

static int set_event(lua_State *lua)
{
	bh_script *run = bh_script_of(lua);
	int part = find_undecoded(lua, run, 2);

	if (part >= 0)
		run->undecoded &= ~(1u << part);
	lua_settop(lua, 3);
	lua_rawset(lua, 1);
	return 0;
}

static int next_of_event(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	lua_settop(lua, 2);
	return lua_next(lua, 1) ? 2 : 0;
}

static int pairs_of_event(lua_State *lua)
{
	bh_script *run = bh_script_of(lua);

	for (int i = 0; i < (int)G_N_ELEMENTS(parts); i++) {
		if (run->undecoded & 1u << i) {
			decode(lua, run, 1, i);
			lua_pop(lua, 1);
		}
	}
	lua_pushcfunction(lua, next_of_event);
	lua_pushvalue(lua, 1);
	return 2;
}

static void push_metatable(lua_State *lua)
{
	static const luaL_Reg events[] = {
		{"__index", index_event}, {"__newindex", set_event}, {"__pairs", pairs_of_event}, {NULL, NULL}};

	if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &metatable_key) != LUA_TNIL)
		return;
	lua_pop(lua, 1);
	luaL_newlib(lua, events);
	lua_pushvalue(lua, -1);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &metatable_key);
}

static void set_text(lua_State *lua, const char *name, const char *text)
{
	if (!text)
		return;
	lua_pushstring(lua, text);
	lua_setfield(lua, -2, name);
}

void bh_script_event_push(lua_State *lua, bh_script *run, const bh_script_event *event)
{
	char when[BH_TIME_TEXT_SIZE];
	gsize size;
	const char *body = g_bytes_get_data(event->body, &size);

	lua_createtable(lua, 0, 12);
	set_text(lua, "id", event->id);
	set_text(lua, "type", event->type);
	set_text(lua, "property_id", event->property_id);
	set_text(lua, "manager_id", event->manager_id);
	set_text(lua, "occurred_at", bh_time_text(event->occurred_at, when));
	lua_pushlstring(lua, size ? body : "", size);
	lua_setfield(lua, -2, "body");
	lua_pushboolean(lua, run->skips_accepts);
	lua_setfield(lua, -2, "test");

	run->undecoded = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
		run->undecoded |= text_of(run, i).size > 0 ? 1u << i : 0;
	push_metatable(lua);
	lua_setmetatable(lua, -2);
}
