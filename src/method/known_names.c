/* Which names a script finds, asked of a sandbox itself, so that no list of them can be out of date. */
#include "method/method.h"
#include "method/method_file.h"
#include "method/sandbox.h"

static gint by_bytes(gconstpointer a, gconstpointer b)
{
	return g_strcmp0(*(const char *const *)a, *(const char *const *)b);
}

char **bh_script_globals(void)
{
	bh_sandbox box;
	bh_sandbox_init(&box, BH_METHOD_CHUNK_MEMORY);
	lua_State *lua = box.lua;
	GPtrArray *names = g_ptr_array_new();

	lua_rawgeti(lua, LUA_REGISTRYINDEX, box.globals);
	bool is_view = lua_getmetatable(lua, -1) && lua_getfield(lua, -1, "__index") == LUA_TTABLE;
	g_assert(is_view);
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		g_ptr_array_add(names, g_strdup(lua_tostring(lua, -2)));
	bh_sandbox_clear(&box);
	g_ptr_array_sort(names, by_bytes);
	g_ptr_array_add(names, NULL);
	return (char **)g_ptr_array_free(names, FALSE);
}
