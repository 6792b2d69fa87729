#include "method/patterns.h"

#include "method/matcher.h"
#include "method/sandbox.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#define SPECIALS "^$*+?.([%-"

static bh_span check_text(lua_State *lua, int argument)
{
	bh_span text;
	text.at = luaL_checklstring(lua, argument, &text.size);
	return text;
}

/* The optional argument `init`: an offset from 0; more than the size when it lies behind the end. */
static size_t check_start(lua_State *lua, int argument, size_t size)
{
	lua_Integer at = luaL_optinteger(lua, argument, 1);

	if (at > 0)
		return (lua_Unsigned)at - 1 > size ? size + 1 : (size_t)at - 1;
	if (at == 0 || at < -(lua_Integer)size)
		return 0;
	return size - (size_t)-at;
}

static bool is_plain(bh_span pattern)
{
	for (size_t i = 0; i < pattern.size; i++)
		if (pattern.at[i] && strchr(SPECIALS, pattern.at[i]))
			return false;
	return true;
}

/* The first match at or behind `from`: its start, and its end through ret_end. NULL: none. */
static const char *search(bh_matcher *m, const char *from, const char *pattern, bool anchored, const char **ret_end)
{
	for (const char *s = from; s <= m->subject_end; s++) {
		m->count = 0;
		*ret_end = bh_matcher_run(m, s, pattern);
		if (*ret_end)
			return s;
		if (anchored)
			break;
	}
	return NULL;
}

static bh_span skip_anchor(bh_span pattern, bool *ret_anchored)
{
	*ret_anchored = pattern.size > 0 && pattern.at[0] == '^';
	return *ret_anchored ? (bh_span){pattern.at + 1, pattern.size - 1} : pattern;
}

/* --- find and match --------------------------------------------------------------------------- */

static int find_plain(lua_State *lua, bh_span subject, size_t start, bh_span text)
{
	bh_sandbox_spend(lua, (subject.size - start) / 8);
	const char *found = memmem(subject.at + start, subject.size - start, text.at, text.size);
	if (!found) {
		lua_pushnil(lua);
		return 1;
	}
	lua_pushinteger(lua, found - subject.at + 1);
	lua_pushinteger(lua, found - subject.at + (lua_Integer)text.size);
	return 2;
}

static int find_or_match(lua_State *lua, bool find)
{
	bh_span subject = check_text(lua, 1), pattern = check_text(lua, 2);
	size_t start = check_start(lua, 3, subject.size);

	if (start > subject.size) {
		lua_pushnil(lua);
		return 1;
	}
	bh_sandbox_spend(lua, pattern.size);
	if (find && (lua_toboolean(lua, 4) || is_plain(pattern)))
		return find_plain(lua, subject, start, pattern);

	bool anchored;
	bh_span items = skip_anchor(pattern, &anchored);
	bh_matcher m;
	bh_matcher_init(&m, lua, subject, items);
	const char *end, *found = search(&m, subject.at + start, items.at, anchored, &end);
	if (!found) {
		lua_pushnil(lua);
		return 1;
	}
	if (!find)
		return bh_matcher_push_all(&m, found, end);
	lua_pushinteger(lua, found - subject.at + 1);
	lua_pushinteger(lua, end - subject.at);
	return 2 + bh_matcher_push_all(&m, NULL, NULL);
}

int bh_pattern_find(lua_State *lua)
{
	return find_or_match(lua, true);
}

int bh_pattern_match(lua_State *lua)
{
	return find_or_match(lua, false);
}

/* --- gmatch ----------------------------------------------------------------------------------- */

/* Upvalues: subject, pattern, where to go on, end of the last match (-1: none): an empty match there is not a new one. */
static int next_match(lua_State *lua)
{
	bh_span subject = check_text(lua, lua_upvalueindex(1)), pattern = check_text(lua, lua_upvalueindex(2));
	size_t start = (size_t)lua_tointeger(lua, lua_upvalueindex(3));
	lua_Integer last = lua_tointeger(lua, lua_upvalueindex(4));
	const char *last_end = last < 0 ? NULL : subject.at + last;
	bh_matcher m;

	bh_matcher_init(&m, lua, subject, pattern);
	while (start <= subject.size) {
		const char *end, *found = search(&m, subject.at + start, pattern.at, false, &end);
		if (!found)
			break;
		if (end == last_end) {
			start = (size_t)(found - subject.at) + 1;
			continue;
		}
		lua_pushinteger(lua, end - subject.at);
		lua_copy(lua, -1, lua_upvalueindex(3));
		lua_replace(lua, lua_upvalueindex(4));
		return bh_matcher_push_all(&m, found, end);
	}
	return 0;
}

int bh_pattern_gmatch(lua_State *lua)
{
	bh_span subject = check_text(lua, 1);
	check_text(lua, 2);
	size_t start = check_start(lua, 3, subject.size);

	lua_settop(lua, 2);
	lua_pushinteger(lua, (lua_Integer)start);
	lua_pushinteger(lua, -1);
	lua_pushcclosure(lua, next_match, 4);
	return 1;
}

/* --- gsub ------------------------------------------------------------------------------------- */

/* Adds the replacement text, in which %0 to %9 stand for captures and %% for itself. */
static void add_text(bh_matcher *m, luaL_Buffer *out, const char *start, const char *end)
{
	size_t size;
	const char *text = lua_tolstring(m->lua, 3, &size);

	bh_sandbox_spend(m->lua, size / 8);
	for (const char *c = text, *stop = text + size; c < stop; c++) {
		if (*c != '%') {
			luaL_addchar(out, *c);
			continue;
		}
		c++;
		if (c < stop && *c == '%') {
			luaL_addchar(out, '%');
		} else if (c < stop && *c == '0') {
			luaL_addlstring(out, start, (size_t)(end - start));
		} else if (c < stop && *c >= '1' && *c <= '9') {
			bh_matcher_push(m, *c - '1', start, end);
			luaL_tolstring(m->lua, -1, NULL); /* a position is a number */
			lua_remove(m->lua, -2);
			luaL_addvalue(out);
		} else {
			luaL_error(m->lua, "invalid use of '%%' in replacement string");
		}
	}
}

/* Adds what table or function make of the match; false and nil keep it. */
static void add_value(bh_matcher *m, luaL_Buffer *out, const char *start, const char *end)
{
	lua_State *lua = m->lua;

	if (lua_type(lua, 3) == LUA_TTABLE) {
		bh_matcher_push(m, 0, start, end);
		lua_gettable(lua, 3);
	} else {
		lua_pushvalue(lua, 3);
		lua_call(lua, bh_matcher_push_all(m, start, end), 1);
	}

	if (!lua_toboolean(lua, -1)) {
		lua_pop(lua, 1);
		luaL_addlstring(out, start, (size_t)(end - start));
	} else if (lua_isstring(lua, -1)) {
		luaL_addvalue(out);
	} else {
		luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
	}
}

static void add_replacement(bh_matcher *m, luaL_Buffer *out, const char *start, const char *end)
{
	if (lua_isstring(m->lua, 3))
		add_text(m, out, start, end);
	else
		add_value(m, out, start, end);
}

int bh_pattern_gsub(lua_State *lua)
{
	bh_span subject = check_text(lua, 1), pattern = check_text(lua, 2);
	int kind = lua_type(lua, 3);
	luaL_argexpected(lua, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TTABLE || kind == LUA_TFUNCTION,
			 3, "string/function/table");
	lua_Integer most = luaL_optinteger(lua, 4, (lua_Integer)subject.size + 1), count = 0;
	if (kind == LUA_TNUMBER)
		lua_tostring(lua, 3); /* converts in place */

	bool anchored;
	bh_span items = skip_anchor(pattern, &anchored);
	bh_matcher m;
	bh_matcher_init(&m, lua, subject, items);
	luaL_Buffer out;
	luaL_buffinit(lua, &out);

	bh_sandbox_breathe(lua);
	const char *s = subject.at, *last_end = NULL;
	while (count < most) {
		m.count = 0;
		const char *end = bh_matcher_run(&m, s, items.at);
		if (end && end != last_end) {
			count++;
			add_replacement(&m, &out, s, end);
			s = last_end = end;
		} else if (s < m.subject_end) {
			luaL_addchar(&out, *s);
			s++;
		} else {
			break;
		}
		if (anchored)
			break;
	}
	luaL_addlstring(&out, s, (size_t)(m.subject_end - s));
	luaL_pushresult(&out);
	lua_pushinteger(lua, count);
	bh_sandbox_breathe(lua);
	return 2;
}
