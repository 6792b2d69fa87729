/* `url`: percent-encoding (RFC 3986) and the two ways of writing a row of names and values. */
#include "method/lua_libs.h"
#include "method/sandbox.h"

#include <lauxlib.h>
#include <math.h>

#define BYTES_PER_STEP 4

/* How a row is written. */
typedef struct style {
	const char *function;
	const char *kept; /* besides letters and digits */
	bool plus; /* a blank is +, as application/x-www-form-urlencoded has it */
} style;

static const style in_a_url = {"url.encode", "-._~", false};
static const style in_a_query = {"url.query", "-._~", false};
static const style in_a_form = {"url.form", "-._*", true};

/* --- Texts ------------------------------------------------------------------------------------ */

static void add_encoded(luaL_Buffer *out, bh_span text, const style *as)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.size; i++) {
		char c = text.at[i];
		if (g_ascii_isalnum(c) || (c && strchr(as->kept, c))) {
			luaL_addchar(out, c);
		} else if (c == ' ' && as->plus) {
			luaL_addchar(out, '+');
		} else {
			luaL_addchar(out, '%');
			luaL_addchar(out, hex[(unsigned char)c >> 4]);
			luaL_addchar(out, hex[c & 15]);
		}
	}
}

static int url_encode(lua_State *lua)
{
	bh_span text;
	luaL_Buffer out;

	text.at = luaL_checklstring(lua, 1, &text.size);
	bh_sandbox_spend(lua, 1 + text.size / BYTES_PER_STEP);
	luaL_buffinit(lua, &out);
	add_encoded(&out, text, &in_a_url);
	luaL_pushresult(&out);
	return 1;
}

static int url_decode(lua_State *lua)
{
	bh_span text;
	luaL_Buffer buffer;

	text.at = luaL_checklstring(lua, 1, &text.size);
	bh_sandbox_spend(lua, 1 + text.size / BYTES_PER_STEP);
	char *out = luaL_buffinitsize(lua, &buffer, text.size), *to = out;
	for (size_t i = 0; i < text.size; i++) {
		if (text.at[i] != '%') {
			*to++ = text.at[i];
			continue;
		}
		int high = i + 2 < text.size ? g_ascii_xdigit_value(text.at[i + 1]) : -1;
		int low = i + 2 < text.size ? g_ascii_xdigit_value(text.at[i + 2]) : -1;
		if (high < 0 || low < 0) {
			lua_pushnil(lua);
			lua_pushfstring(lua, "two hexadecimal digits must follow the %% (byte %I)", (lua_Integer)i + 1);
			return 2;
		}
		*to++ = (char)(high << 4 | low);
		i += 2;
	}
	luaL_pushresultsize(&buffer, (size_t)(to - out));
	return 1;
}

/* --- Rows of names and values ----------------------------------------------------------------- */

/* Stack places of a row that is being written. */
enum { VALUES = 1, PAIRS };

/* Replaces the value on the top by its text; `buffer` is what the text may lie in. */
static bh_span plain_text(lua_State *lua, const style *as, bh_span name, char buffer[BH_LUA_FLOAT_SIZE])
{
	bh_span text = {0};
	int type = lua_type(lua, -1);

	if (type == LUA_TBOOLEAN)
		return bh_span_of(lua_toboolean(lua, -1) ? "true" : "false");
	if (type == LUA_TNUMBER && !lua_isinteger(lua, -1) && isfinite(lua_tonumber(lua, -1)))
		return (bh_span){buffer, bh_lua_float_text(lua_tonumber(lua, -1), buffer)};
	if (type == LUA_TUSERDATA && bh_lua_number_text(lua, -1, &text))
		return text;
	if (type != LUA_TSTRING && !lua_isinteger(lua, -1))
		luaL_error(lua, "%s: '%s' is a %s, not a text", as->function, name.at, luaL_typename(lua, -1));
	text.at = lua_tolstring(lua, -1, &text.size);
	return text;
}

/* Appends name=value, the value on the top, to the pairs; takes it off. */
static void add_pair(lua_State *lua, const style *as, bh_span name)
{
	char number[BH_LUA_FLOAT_SIZE];
	bh_span text = plain_text(lua, as, name, number);
	luaL_Buffer out;

	bh_sandbox_spend(lua, 1 + (name.size + text.size) / BYTES_PER_STEP);
	luaL_buffinit(lua, &out);
	if (lua_rawlen(lua, PAIRS) > 0)
		luaL_addchar(&out, '&');
	add_encoded(&out, name, as);
	luaL_addchar(&out, '=');
	add_encoded(&out, text, as);
	luaL_pushresult(&out);
	lua_rawseti(lua, PAIRS, (lua_Integer)lua_rawlen(lua, PAIRS) + 1);
	lua_pop(lua, 1);
}

/* The value of `name`, on the top: one, or a list of them. Takes it off. */
static void add_values(lua_State *lua, const style *as, bh_span name)
{
	bh_lua_names keys;

	if (!lua_istable(lua, -1)) {
		add_pair(lua, as, name);
		return;
	}
	int list = lua_gettop(lua);
	bh_lua_names_survey(&keys, lua, list);
	if (!bh_lua_names_are_list(&keys))
		luaL_error(lua, "%s: '%s' is a table and no list", as->function, name.at);
	for (lua_Integer i = 1; i <= keys.indices; i++) {
		lua_rawgeti(lua, list, i);
		add_pair(lua, as, name);
	}
	lua_pop(lua, 1);
}

static void push_joined(lua_State *lua)
{
	luaL_Buffer out;
	lua_Integer count = (lua_Integer)lua_rawlen(lua, PAIRS);

	luaL_buffinit(lua, &out);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(lua, PAIRS, i);
		luaL_addvalue(&out);
	}
	luaL_pushresult(&out);
}

static int write_row(lua_State *lua, const style *as)
{
	bh_lua_names names;

	luaL_checktype(lua, VALUES, LUA_TTABLE);
	lua_settop(lua, VALUES);
	bh_lua_look_behind(lua, VALUES);
	lua_newtable(lua);
	bh_lua_names_survey(&names, lua, VALUES);
	if (names.has_others || names.indices > 0)
		return luaL_error(lua, "%s: a name is not a text", as->function);
	bh_lua_names_sort(&names, lua, VALUES);
	for (size_t i = 0; i < names.count; i++) {
		lua_pushlstring(lua, names.sorted[i].at, names.sorted[i].size);
		lua_rawget(lua, VALUES);
		add_values(lua, as, names.sorted[i]);
	}
	push_joined(lua);
	return 1;
}

static int url_form(lua_State *lua)
{
	return write_row(lua, &in_a_form);
}

static int url_query(lua_State *lua)
{
	return write_row(lua, &in_a_query);
}

void bh_lua_url_push(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{"encode", url_encode}, {"decode", url_decode}, {"form", url_form}, {"query", url_query}, {NULL, NULL}};
	luaL_newlib(lua, functions);
}
