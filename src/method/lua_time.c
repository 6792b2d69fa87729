/* `time`: moments as seconds since 1970, read and written in UTC. */
#include "base/time.h"

#include "method/lua_libs.h"
#include "method/script.h"

#include <lauxlib.h>
#include <time.h>

#define TEXT_SIZE_MAX 64 /* no moment needs more */
#define SECONDS_END 253402300800 /* 1 January 10000 */
#define DATE_SIZE 10 /* 2026-11-25 */

/* Whole seconds as an integer: that is what a token's expiry or a calendar wants to be written as. */
static void push_seconds(lua_State *lua, bh_usec at)
{
	if (at % BH_SECOND == 0)
		lua_pushinteger(lua, at / BH_SECOND);
	else
		lua_pushnumber(lua, (lua_Number)at / BH_SECOND);
}

/* time.parse("2026-11-25T14:51:02Z"), any offset, or a date alone: the begin of that day in UTC */
static int time_parse(lua_State *lua)
{
	char text[TEXT_SIZE_MAX + sizeof "T00:00:00Z"];
	size_t size;
	const char *given = luaL_checklstring(lua, 1, &size);
	bh_usec at;

	bh_sandbox_spend(lua, 10);
	size = MIN(size, TEXT_SIZE_MAX + 1);
	memcpy(text, given, size);
	text[size] = '\0';
	if (size == DATE_SIZE)
		size = g_strlcat(text, "T00:00:00Z", sizeof text);
	if (size <= TEXT_SIZE_MAX && bh_time_parse(text, size, &at)) {
		push_seconds(lua, at);
		return 1;
	}
	lua_pushnil(lua);
	lua_pushliteral(lua, "not a time as RFC 3339 has it, such as 2026-11-25T14:51:02Z");
	return 2;
}

/* time.now(): of the turn, as whoever wakes the loop up sees it. What must come out the same each time has no clock. */
static int time_now(lua_State *lua)
{
	if (!bh_script_is_delivering(lua))
		return luaL_error(lua, "time.now can be called in deliver only: the same event makes the same body");
	lua_pushnumber(lua, (lua_Number)bh_script_now(bh_script_of(lua)).wall / BH_SECOND);
	return 1;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static bh_usec check_seconds(lua_State *lua, int argument)
{
	lua_Number seconds = luaL_checknumber(lua, argument);

	luaL_argcheck(lua, seconds >= 0 && seconds < (lua_Number)SECONDS_END, argument,
		      "seconds between 1970 and 9999 expected");
	if (lua_isinteger(lua, argument))
		return lua_tointeger(lua, argument) * BH_SECOND;
	return (bh_usec)(seconds * BH_SECOND + 0.5);
}

static void push_http(lua_State *lua, const struct tm *t)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	char text[TEXT_SIZE_MAX];

	g_snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT", days[t->tm_wday], t->tm_mday,
		   months[t->tm_mon], t->tm_year + 1900, t->tm_hour, t->tm_min, t->tm_sec);
	lua_pushstring(lua, text);
}

static void push_iso(lua_State *lua, bh_usec at)
{
	char text[BH_TIME_TEXT_SIZE];

	bh_time_text(at, text);
	if (at % BH_SECOND == 0)
		memcpy(strchr(text, '.'), "Z", 2);
	lua_pushstring(lua, text);
}

/* time.format(seconds, "iso" | "date" | "http") */
static int time_format(lua_State *lua)
{
	static const char *const forms[] = {"iso", "date", "http", NULL};
	bh_usec at = check_seconds(lua, 1);
	int form = luaL_checkoption(lua, 2, "iso", forms);
	time_t seconds = at / BH_SECOND;
	char text[BH_TIME_TEXT_SIZE];
	struct tm t;

	bh_sandbox_spend(lua, 10);
	switch (form) {
	case 0:
		push_iso(lua, at);
		return 1;
	case 1:
		lua_pushlstring(lua, bh_time_text(at, text), DATE_SIZE);
		return 1;
	default:
		g_assert(gmtime_r(&seconds, &t));
		push_http(lua, &t);
		return 1;
	}
}

void bh_lua_time_push(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{"now", time_now}, {"parse", time_parse}, {"format", time_format}, {NULL, NULL}};
	luaL_newlib(lua, functions);
}
