/*
 * JSON from Lua values. A walk down the tables; where it is, is a row of places on the C stack, so that an error can name
 * the value at fault. Nothing that a script wrote runs meanwhile.
 */
#include "base/json.h"
#include "base/json_text.h"
#include "method/lua_libs.h"
#include "method/sandbox.h"

#include <lauxlib.h>
#include <math.h>

#define FIRST_SIZE 1024 /* most texts fit into this, and cost no memory but their own */
#define PATH_MAX_SIZE 200
#define NAME_SHOWN 40
#define BYTES_PER_STEP 8
#define TABLE_STEPS 4
#define FLOAT_STEPS 20
#define LONG_FLOAT 16 /* bytes; the shortest text of such a one is found by trying, ... */
#define LONG_FLOAT_STEPS 200 /* ... which takes so much */

typedef struct place {
	const struct place *up; /* NULL: the value itself */
	const void *table; /* that it is in, to know a circle by */
	bh_span name; /* of a member; at is NULL for an item */
	lua_Integer index;
	unsigned depth; /* tables around it */
} place;

typedef struct writer {
	lua_State *lua;
	const char *function;
	const bh_lua_json_kit *kit;
	char *text;
	size_t size, room;
	int memory; /* place on the stack of what `text` lies in, once it outgrew `first` */
	char first[FIRST_SIZE];
} writer;

static void write_value(writer *w, const place *at);

/* --- Saying what cannot be written, and where ------------------------------------------------- */

static void add_path(GString *path, const place *at)
{
	if (!at->up)
		return;
	add_path(path, at->up);
	if (!at->name.at)
		g_string_append_printf(path, "[%" G_GINT64_FORMAT "]", (gint64)at->index);
	else
		g_string_append_printf(path, "%s%.*s", path->len ? "." : "", (int)MIN(at->name.size, NAME_SHOWN),
				       at->name.at);
}

/* The message is made outside Lua and copied, because raising jumps over whoever would free it. */
static void refuse(writer *w, const place *at, const char *what)
{
	char where[PATH_MAX_SIZE];
	GString *path = g_string_new(NULL);

	add_path(path, at);
	g_strlcpy(where, path->len ? path->str : "the value", sizeof where);
	g_string_free(path, TRUE);
	luaL_error(w->lua, "%s: %s %s", w->function, where, what);
}

static void refuse_type(writer *w, const place *at)
{
	char what[80];
	g_snprintf(what, sizeof what, "is a %s, which JSON cannot say", luaL_typename(w->lua, -1));
	refuse(w, at, what);
}

/* --- The text --------------------------------------------------------------------------------- */

static void grow(writer *w, size_t more)
{
	size_t room = MAX(w->size + more, 2 * w->room);
	char *larger = lua_newuserdatauv(w->lua, room, 0);

	memcpy(larger, w->text, w->size);
	lua_replace(w->lua, w->memory);
	w->text = larger;
	w->room = room;
}

static inline void add(writer *w, const char *bytes, size_t size)
{
	if (G_UNLIKELY(size > w->room - w->size))
		grow(w, size);
	memcpy(w->text + w->size, bytes, size);
	w->size += size;
}

static inline void add_char(writer *w, char c)
{
	if (G_UNLIKELY(w->size == w->room))
		grow(w, 1);
	w->text[w->size++] = c;
}

static void add_escape(writer *w, char c)
{
	static const char *const names[32] = {
		['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
	static const char hex[] = "0123456789abcdef";

	if ((unsigned char)c >= 0x20) {
		add(w, (char[2]){'\\', c}, 2);
	} else if (names[(unsigned char)c]) {
		add(w, names[(unsigned char)c], 2);
	} else {
		char form[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		add(w, form, sizeof form);
	}
}

static inline const char *skip_plain(const char *at, const char *end)
{
	while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
		at++;
	return at;
}

/* False: it is not UTF-8. */
static bool add_string(writer *w, bh_span text)
{
	const char *at = text.at, *end = text.at + text.size;

	add_char(w, '"');
	for (;;) {
		const char *plain = at;
		at = skip_plain(at, end);
		add(w, plain, (size_t)(at - plain));
		if (at == end)
			break;
		if ((unsigned char)*at < 0x80) {
			add_escape(w, *at++);
			continue;
		}
		unsigned length = bh_utf8_length(at, end);
		if (length == 0)
			return false;
		add(w, at, length);
		at += length;
	}
	add_char(w, '"');
	return true;
}

/* --- Plain values ----------------------------------------------------------------------------- */

static void add_integer(writer *w, lua_Integer integer)
{
	char digits[24], *at = digits + sizeof digits;
	uint64_t left = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;

	do
		*--at = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (integer < 0)
		*--at = '-';
	add(w, at, (size_t)(digits + sizeof digits - at));
}

static void write_number(writer *w, const place *at)
{
	if (lua_isinteger(w->lua, -1)) {
		add_integer(w, lua_tointeger(w->lua, -1));
		return;
	}
	lua_Number number = lua_tonumber(w->lua, -1);
	if (!isfinite(number))
		refuse(w, at, isnan(number) ? "is not a number (0/0)" : "is infinite, which JSON cannot say");
	char text[BH_LUA_FLOAT_SIZE];
	size_t size = bh_lua_float_text(number, text);
	bh_sandbox_spend(w->lua, size < LONG_FLOAT ? FLOAT_STEPS : LONG_FLOAT_STEPS);
	add(w, text, size);
}

static void write_text(writer *w, const place *at)
{
	bh_span text;
	text.at = lua_tolstring(w->lua, -1, &text.size);
	bh_sandbox_spend(w->lua, text.size / BYTES_PER_STEP);
	if (!add_string(w, text))
		refuse(w, at, "is a text that is not UTF-8");
}

static const void *metatable_of(lua_State *lua)
{
	const void *metatable = NULL;
	if (lua_getmetatable(lua, -1)) {
		metatable = lua_topointer(lua, -1);
		lua_pop(lua, 1);
	}
	return metatable;
}

static void write_userdata(writer *w, const place *at)
{
	const void *metatable = metatable_of(w->lua);

	if (metatable == w->kit->null)
		add(w, "null", 4);
	else if (metatable == w->kit->number)
		add(w, lua_touserdata(w->lua, -1), lua_rawlen(w->lua, -1));
	else
		refuse_type(w, at);
}

/* --- Tables ----------------------------------------------------------------------------------- */

static void write_list(writer *w, const place *up, unsigned depth, lua_Integer count)
{
	place at = {.up = up, .table = lua_topointer(w->lua, -1), .depth = depth};

	add_char(w, '[');
	for (at.index = 1; at.index <= count; at.index++) {
		if (at.index > 1)
			add_char(w, ',');
		lua_rawgeti(w->lua, -1, at.index);
		write_value(w, &at);
		lua_pop(w->lua, 1);
	}
	add_char(w, ']');
}

static void write_object(writer *w, const place *up, unsigned depth, bh_lua_names *names)
{
	int table = lua_gettop(w->lua);
	place at = {.up = up, .table = lua_topointer(w->lua, -1), .depth = depth};

	bh_lua_names_sort(names, w->lua, table);
	add_char(w, '{');
	for (size_t i = 0; i < names->count; i++) {
		at.name = names->sorted[i];
		if (i > 0)
			add_char(w, ',');
		if (!add_string(w, at.name))
			refuse(w, &at, "has a name that is not UTF-8");
		add_char(w, ':');
		lua_pushlstring(w->lua, at.name.at, at.name.size);
		lua_rawget(w->lua, table);
		write_value(w, &at);
		lua_pop(w->lua, 1);
	}
	add_char(w, '}');
	lua_pop(w->lua, 1); /* what held the names */
}

/* The outermost place whose value is one of the tables around it; NULL: none. */
static const place *find_circle(const place *at)
{
	const place *found = NULL;

	for (; at->up; at = at->up)
		for (const place *around = at->up; around; around = around->up)
			if (around->table == at->table)
				found = at->up;
	return found;
}

static void check_depth(writer *w, const place *at)
{
	if (at->depth < BH_JSON_DEPTH_MAX)
		return;
	const place *circle = find_circle(at);
	if (circle)
		refuse(w, circle, "is a table that it lies in: it would never end");
	refuse(w, at, "is nested deeper than " G_STRINGIFY(BH_JSON_DEPTH_MAX) " levels");
}

static void write_table(writer *w, const place *at)
{
	const void *metatable = metatable_of(w->lua);
	bool marked = metatable && metatable == w->kit->list;
	bh_lua_names names;

	check_depth(w, at);
	if (metatable && !marked)
		bh_lua_look_behind(w->lua, lua_gettop(w->lua));
	bh_lua_names_survey(&names, w->lua, lua_gettop(w->lua));
	bh_sandbox_spend(w->lua, TABLE_STEPS);

	bool is_list = bh_lua_names_are_list(&names);
	if (is_list && (marked || names.indices > 0))
		write_list(w, at, at->depth + 1, names.indices);
	else if (marked)
		refuse(w, at, "is a list, but its keys are not 1, 2, 3 ...");
	else if (names.has_others)
		refuse(w, at, "has a key that is neither a text nor a whole number");
	else if (names.indices > 0)
		refuse(w, at, names.count ? "has both names and numbers as keys" : "is a list with gaps");
	else
		write_object(w, at, at->depth + 1, &names);
}

/* --- The whole -------------------------------------------------------------------------------- */

/* Writes the value on the top of the stack. */
static void write_value(writer *w, const place *at)
{
	luaL_checkstack(w->lua, 8, "the value is nested too deeply");
	switch (lua_type(w->lua, -1)) {
	case LUA_TBOOLEAN:
		if (lua_toboolean(w->lua, -1))
			add(w, "true", 4);
		else
			add(w, "false", 5);
		return;
	case LUA_TNUMBER:
		write_number(w, at);
		return;
	case LUA_TSTRING:
		write_text(w, at);
		return;
	case LUA_TTABLE:
		lua_pushvalue(w->lua, -1); /* bh_lua_look_behind may put another one in its place */
		write_table(w, at);
		lua_pop(w->lua, 1);
		return;
	case LUA_TUSERDATA:
		write_userdata(w, at);
		return;
	default:
		refuse_type(w, at);
	}
}

void bh_lua_json_encode(lua_State *lua, int index, const char *function)
{
	writer w;
	place whole = {0};

	w.lua = lua;
	w.function = function;
	w.text = w.first;
	w.size = 0;
	w.room = sizeof w.first;
	index = lua_absindex(lua, index);
	w.kit = bh_lua_json_kit_push(lua);
	w.memory = lua_gettop(lua); /* the kit lives in the registry */

	lua_pushvalue(lua, index);
	write_value(&w, &whole);
	lua_pushlstring(lua, w.text, w.size);
	lua_replace(lua, w.memory);
	lua_settop(lua, w.memory);
}
