#include "method/remote.h"

#include "base/error.h"
#include "method/errand.h"

#include <lauxlib.h>
#include <string.h>

#define CONTENT_TYPE_MAX 255
#define AUTHORIZATION_MAX (16 * 1024) /* some tokens carry a whole list of groups */

static bool is_name(const char *a, const char *b)
{
	return g_ascii_strcasecmp(a, b) == 0;
}

/* --- The headers of a call -------------------------------------------------------------------- */

/* Raises with the text of `error`, which is freed first: an error in Lua jumps over what C would clean up. */
static int raise_error(lua_State *lua, const char *function, GError *error)
{
	char why[300];
	g_strlcpy(why, error->message, sizeof why);
	g_error_free(error);
	return luaL_error(lua, "remote.%s: %s", function, why);
}

static bool is_plain(bh_span value, size_t most)
{
	for (size_t i = 0; i < value.size; i++)
		if (value.at[i] < ' ' || value.at[i] > '~')
			return false;
	return value.size > 0 && value.size <= most;
}

/*
 * Unlike an owner's extra header, a script's may be a content type, as the body is the script's, too, and its credentials may be
 * as long as tokens are.
 */
static void check_header(lua_State *lua, const char *function, const char *name, bh_span value)
{
	GError *error = NULL;

	if (is_name(name, "Content-Type")) {
		if (!is_plain(value, CONTENT_TYPE_MAX))
			luaL_error(lua, "remote.%s: the Content-Type is not one", function);
	} else if (is_name(name, "Authorization") && is_plain(value, AUTHORIZATION_MAX)) {
		return;
	} else if (!bh_header_check(name, value, &error)) {
		raise_error(lua, function, error);
	}
}

static bool has_header(const bh_script *run, int count, const char *name)
{
	size_t size = strlen(name);
	for (int i = 0; i < count; i++)
		if (!g_ascii_strncasecmp(run->headers[i], name, size) && run->headers[i][size] == ':')
			return true;
	return false;
}

/* "Name: value"; lua_pushfstring would take twice as long for it. */
static const char *push_line(lua_State *lua, bh_span name, bh_span value)
{
	luaL_Buffer line;
	size_t size = name.size + 2 + value.size;
	char *at = luaL_buffinitsize(lua, &line, size);

	memcpy(at, name.at, name.size);
	memcpy(at + name.size, ": ", 2);
	memcpy(at + name.size + 2, value.at, value.size);
	luaL_pushresultsize(&line, size);
	return lua_tostring(lua, -1);
}

/* Takes name and value from the top two places; leaves the line on the stack, where it lives as long as the call. */
static void add_header(lua_State *lua, const char *function, bh_script *run, int *count)
{
	if (lua_type(lua, -2) != LUA_TSTRING)
		luaL_error(lua, "remote.%s: `headers` must map names to texts", function);
	size_t name_size;
	const char *name = lua_tolstring(lua, -2, &name_size);
	if (lua_type(lua, -1) != LUA_TSTRING && !lua_isinteger(lua, -1))
		luaL_error(lua, "remote.%s: the header '%s' is a %s, not a text", function, name,
			   luaL_typename(lua, -1));
	bh_span value;
	value.at = lua_tolstring(lua, -1, &value.size);

	if (strlen(name) != name_size)
		luaL_error(lua, "remote.%s: a header's name holds a zero byte", function);
	check_header(lua, function, name, value);
	if (has_header(run, *count, name))
		luaL_error(lua, "remote.%s: the header '%s' is there twice", function, name);
	if (*count == BH_SCRIPT_HEADERS_MAX)
		luaL_error(lua, "remote.%s: more than %d headers", function, BH_SCRIPT_HEADERS_MAX);
	run->headers[(*count)++] = push_line(lua, (bh_span){name, name_size}, value);
}

/* Reads options.headers (at the top) into run->headers. */
static void read_headers(lua_State *lua, const char *function, bh_script *run, bool has_body)
{
	int table = lua_gettop(lua), count = 0;

	if (!lua_isnil(lua, table)) {
		if (!lua_istable(lua, table))
			luaL_error(lua, "remote.%s: `headers` must be a table", function);
		lua_pushnil(lua);
		while (lua_next(lua, table)) {
			luaL_checkstack(lua, 8, "too many headers"); /* each stays there */
			add_header(lua, function, run, &count);
			lua_replace(lua, -2); /* the line stays where the value was */
			lua_insert(lua, -2); /* and below the key, from which the walk goes on */
		}
	}
	if (has_body && !has_header(run, count, "Content-Type")) {
		if (count == BH_SCRIPT_HEADERS_MAX)
			luaL_error(lua, "remote.%s: more than %d headers", function, BH_SCRIPT_HEADERS_MAX);
		run->headers[count++] = "Content-Type: application/json";
	}
	run->headers[count] = NULL;
}

/* --- A call ----------------------------------------------------------------------------------- */

static int take_answer(lua_State *lua, int status, lua_KContext context)
{
	bh_script *run = bh_script_of(lua);

	if (run->answer->status >= 200 && run->answer->status < 300)
		bh_errand_proved(run);
	bh_remote_push_answer(lua, run);
	return 1;
}

/* The request in run->call, from url (at `url`, or `options.url`) and options; yields. */
static int make_call(lua_State *lua, const char *function, int options)
{
	bh_script *run = bh_script_of(lua);

	if (!lua_isyieldable(lua))
		return luaL_error(lua, "remote.%s: cannot be called from inside string.gsub or table.sort", function);
	if (run->calls == run->calls_max)
		return luaL_error(lua, "remote.%s: a delivery may make %d calls", function, (int)run->calls_max);
	bh_remote_settle_answer(lua, run);

	lua_getfield(lua, options, "body");
	bool has_body = !lua_isnil(lua, -1);
	run->call.body =
		has_body ? bh_remote_check_text(lua, -1, function, "the body", BH_SCRIPT_BODY_MAX) : (bh_span){0};
	if (has_body && is_name(run->call.verb, "GET"))
		return luaL_error(lua, "remote.%s: a GET has no body", function);
	lua_getfield(lua, options, "headers");
	read_headers(lua, function, run, has_body);
	run->call.headers = run->headers;
	run->call_kind = BH_CALL_DELIVERY;
	run->calls++;
	return lua_yieldk(lua, 0, 0, take_answer);
}

/* remote.get(url, {headers=}), post and put (url, {body=, headers=}). Upvalues: the function's name, the verb. */
int bh_remote_verb(lua_State *lua)
{
	static const char *const known[] = {"body", "headers", NULL};
	const char *function = lua_tostring(lua, lua_upvalueindex(1));
	bh_script *run = bh_script_of(lua);

	lua_settop(lua, 2);
	if (lua_istable(lua, 1)) /* remote:post(url), or all in one table as remote.request takes it */
		return luaL_error(lua, "remote.%s: takes the URL first, and a dot, no colon: remote.%s(url, { ... })",
				  function, function);
	if (lua_isnil(lua, 2)) {
		lua_newtable(lua);
		lua_replace(lua, 2);
	}
	bh_remote_check_options(lua, function, 2, known);
	run->call = (bh_request){.verb = lua_tostring(lua, lua_upvalueindex(2)),
				 .url = bh_remote_check_url(lua, 1, function).at};
	return make_call(lua, function, 2);
}

/* remote.request{verb=, url=, body=, headers=} */
int bh_remote_request(lua_State *lua)
{
	static const char *const known[] = {"verb", "url", "body", "headers", NULL};
	static const char *const verbs[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};
	bh_script *run = bh_script_of(lua);

	lua_settop(lua, 1);
	bh_remote_check_options(lua, "request", 1, known);
	lua_getfield(lua, 1, "verb");
	lua_getfield(lua, 1, "url");
	const char *verb = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "";
	if (!g_strv_contains(verbs, verb))
		return luaL_error(lua, "remote.request: the verb must be GET, POST, PUT, PATCH or DELETE");
	run->call = (bh_request){.verb = verb, .url = bh_remote_check_url(lua, 3, "request").at};
	return make_call(lua, "request", 1);
}
