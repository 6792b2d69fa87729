#include "method/lua_libs.h"
#include "method/sandbox.h"

#include <lauxlib.h>
#include <stdlib.h>

#define KEY_STEPS 2 /* what looking at a key takes */
#define MANY 1024 /* names that do not fit into the processor's near memory any more: each look at one is a wait */
#define WAIT_STEPS 8
#define PAID_AT_ONCE 64 /* keys */
#define BYTES_PER_STEP 16 /* of names that are compared */

void bh_lua_look_behind(lua_State *lua, int index)
{
	int top = lua_gettop(lua);

	if (luaL_getmetafield(lua, index, "__index") == LUA_TTABLE) {
		lua_replace(lua, index);
	} else if (luaL_getmetafield(lua, index, "__pairs") != LUA_TNIL) {
		lua_pushvalue(lua, index);
		lua_call(lua, 1, 0);
	}
	lua_settop(lua, top);
}

static void note_text(bh_lua_names *names, lua_State *lua)
{
	if (names->count < BH_LUA_NAMES_FEW) {
		bh_span *name = &names->few[names->count];
		name->at = lua_tolstring(lua, -2, &name->size);
	}
	names->count++;
}

static void note_index(bh_lua_names *names, lua_Integer index)
{
	names->first = names->indices ? MIN(names->first, index) : index;
	names->last = names->indices ? MAX(names->last, index) : index;
	names->indices++;
}

void bh_lua_names_survey(bh_lua_names *names, lua_State *lua, int index)
{
	size_t seen = 0;

	names->count = 0;
	names->indices = 0;
	names->has_others = false;
	for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
		if (++seen % PAID_AT_ONCE == 0)
			bh_sandbox_spend(lua, (KEY_STEPS + (names->count > MANY ? WAIT_STEPS : 0)) * PAID_AT_ONCE);
		if (lua_type(lua, -2) == LUA_TSTRING)
			note_text(names, lua);
		else if (lua_isinteger(lua, -2))
			note_index(names, lua_tointeger(lua, -2));
		else
			names->has_others = true;
	}
	bh_sandbox_spend(lua, 1 + seen % PAID_AT_ONCE * KEY_STEPS);
}

static int compare_names(const void *left, const void *right)
{
	const bh_span *a = left, *b = right;
	int order = memcmp(a->at, b->at, MIN(a->size, b->size));

	return order ? order : (a->size > b->size) - (a->size < b->size);
}

static void sort_few(bh_span *names, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		bh_span name = names[i];
		size_t at = i;
		for (; at > 0 && compare_names(&name, &names[at - 1]) < 0; at--)
			names[at] = names[at - 1];
		names[at] = name;
	}
}

/* Comparing goes over the bytes of all names once for each doubling of their number; then each one's value is looked up. */
static void pay_for_sorting(const bh_lua_names *names, lua_State *lua)
{
	size_t bytes = 0, rounds = g_bit_storage(names->count), waits = names->count > MANY ? 2 * WAIT_STEPS : 0;

	for (size_t i = 0; i < names->count; i++)
		bytes += names->sorted[i].size;
	bh_sandbox_spend(lua, rounds * (names->count + bytes / BYTES_PER_STEP) + waits * names->count);
}

static void collect_many(bh_lua_names *names, lua_State *lua, int index)
{
	size_t count = 0;

	names->sorted = lua_newuserdatauv(lua, names->count * sizeof *names->sorted, 0);
	for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
		if (lua_type(lua, -2) != LUA_TSTRING)
			continue;
		bh_span *name = &names->sorted[count++];
		name->at = lua_tolstring(lua, -2, &name->size);
	}
	g_assert(count == names->count);
}

void bh_lua_names_sort(bh_lua_names *names, lua_State *lua, int index)
{
	if (names->count <= BH_LUA_NAMES_FEW) {
		lua_pushnil(lua);
		names->sorted = names->few;
		pay_for_sorting(names, lua);
		sort_few(names->sorted, names->count);
	} else {
		collect_many(names, lua, index);
		pay_for_sorting(names, lua);
		qsort(names->sorted, names->count, sizeof *names->sorted, compare_names);
	}
}
