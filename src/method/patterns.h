/*
 * Lua's string patterns with a price: string.find, match, gmatch and gsub as the manual has them (section 6.4.1),
 * except that every step of the search is paid for. The library's own matcher backtracks without end in a single call
 * from which no hook can take it away. Character classes are those of ASCII.
 */
#pragma once

#include <lua.h>

int bh_pattern_find(lua_State *lua);
int bh_pattern_match(lua_State *lua);
int bh_pattern_gmatch(lua_State *lua);
int bh_pattern_gsub(lua_State *lua);
