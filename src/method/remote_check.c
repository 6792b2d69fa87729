#include "method/remote.h"

#include <lauxlib.h>

#define URL_MAX 2048

void bh_remote_check_options(lua_State *lua, const char *function, int options, const char *const *known)
{
	if (!lua_istable(lua, options))
		luaL_error(lua, "remote.%s: the options must be a table", function);
	lua_pushnil(lua);
	while (lua_next(lua, options)) {
		lua_pop(lua, 1);
		const char *name = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : luaL_typename(lua, -1);
		if (!g_strv_contains(known, name))
			luaL_error(lua, "remote.%s: unknown option '%s'", function, name);
	}
}

bh_span bh_remote_check_text(lua_State *lua, int index, const char *function, const char *what, size_t most)
{
	bh_span text = {0};

	if (lua_type(lua, index) != LUA_TSTRING)
		luaL_error(lua, "remote.%s: %s must be a text, not %s%s", function, what, luaL_typename(lua, index),
			   lua_istable(lua, index) && !strcmp(what, "the body") ? "; json.encode makes one of it" : "");
	text.at = lua_tolstring(lua, index, &text.size);
	if (text.size > most)
		luaL_error(lua, "remote.%s: %s is longer than %d bytes", function, what, (int)most);
	return text;
}

bh_span bh_remote_check_url(lua_State *lua, int index, const char *function)
{
	bh_span url = bh_remote_check_text(lua, index, function, "the URL", URL_MAX);
	for (size_t i = 0; i < url.size; i++)
		if ((unsigned char)url.at[i] <= ' ' || url.at[i] == 127)
			luaL_error(lua, "remote.%s: the URL holds a blank or a control character", function);
	return url;
}
