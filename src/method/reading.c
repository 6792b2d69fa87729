#include "method/reading.h"

#include "base/error.h"
#include "base/near.h"

#include <string.h>

/* --- Saying what is wrong, and where ---------------------------------------------------------- */

static bool is_word_byte(char c)
{
	return g_ascii_isalnum(c) || c == '_';
}

/* The line on which `word` stands first as a whole word; 0: nowhere. A comment may fool it: it is a help, no proof. */
static unsigned line_of(bh_span source, const char *word)
{
	const char *text = source.at, *end = text + source.size;
	unsigned line = 1;

	for (const char *at = text, *c = text; (at = memmem(at, (size_t)(end - at), word, strlen(word))) != NULL;
	     at++) {
		const char *after = at + strlen(word);
		for (; c < at; c++)
			line += *c == '\n';
		if ((at == text || !is_word_byte(at[-1])) && (after == end || !is_word_byte(*after)))
			return line;
	}
	return 0;
}

bool bh_reading_refuse(bh_reading *r, const char *word, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	g_autofree char *why = g_strdup_vprintf(format, arguments);
	va_end(arguments);

	unsigned line = word && *word ? line_of(r->source, word) : 0;
	if (line)
		g_set_error(r->error, BH_ERROR, BH_ERROR_INVALID, "%s:%u: %s", r->file, line, why);
	else
		g_set_error(r->error, BH_ERROR, BH_ERROR_INVALID, "%s: %s", r->file, why);
	return false;
}

char *bh_reading_meant(const char *name, const char *const *known)
{
	const char *near = bh_nearest(name, known);
	if (near)
		return g_strdup_printf("; did you mean %s?", near);
	g_autofree char *all = g_strjoinv(", ", (char **)known);
	return g_strdup_printf("; there are %s", all);
}

/* --- Members of a table ----------------------------------------------------------------------- */

int bh_reading_member(bh_reading *r, const char *name)
{
	lua_pushstring(r->lua, name);
	return lua_rawget(r->lua, -2);
}

bool bh_reading_check_members(bh_reading *r, const char *const *known, const char *what)
{
	lua_pushnil(r->lua);
	while (lua_next(r->lua, -2)) {
		lua_pop(r->lua, 1);
		if (lua_type(r->lua, -1) != LUA_TSTRING)
			return bh_reading_refuse(r, NULL, "%s has a member that is not named by a text", what);
		const char *name = lua_tostring(r->lua, -1);
		if (g_strv_contains(known, name))
			continue;
		g_autofree char *meant = bh_reading_meant(name, known);
		return bh_reading_refuse(r, name, "%s has an unknown member '%.60s'%s", what, name, meant);
	}
	return true;
}

bool bh_reading_text(bh_reading *r, const char *where, const char *name, size_t most, char **ret_text)
{
	size_t size;
	int type = bh_reading_member(r, name);

	if (type == LUA_TNIL) {
		lua_pop(r->lua, 1);
		return true;
	}
	if (type != LUA_TSTRING)
		return bh_reading_refuse(r, where ? where : name, "'%s' must be text, not a %s", name,
					 lua_typename(r->lua, type));
	const char *text = lua_tolstring(r->lua, -1, &size);
	if (size == 0 || size > most)
		return bh_reading_refuse(r, where ? where : name, "'%s' must be 1 to %zu bytes long", name, most);
	if (!g_utf8_validate_len(text, size, NULL))
		return bh_reading_refuse(r, where ? where : name, "'%s' must be UTF-8 without zero bytes", name);
	*ret_text = g_strndup(text, size);
	lua_pop(r->lua, 1);
	return true;
}

bool bh_reading_need_text(bh_reading *r, const char *where, const char *name, size_t most, char **ret_text)
{
	if (!bh_reading_text(r, where, name, most, ret_text))
		return false;
	if (*ret_text)
		return true;
	if (where)
		return bh_reading_refuse(r, where, "field '%s' has no '%s'", where, name);
	return bh_reading_refuse(r, "return", "the method has no '%s'", name);
}

bool bh_reading_check_list(bh_reading *r, const char *where, const char *name, lua_Unsigned most)
{
	lua_Unsigned count = 0;

	if (lua_type(r->lua, -1) != LUA_TTABLE)
		return bh_reading_refuse(r, where, "'%s' must be a list", name);
	for (lua_pushnil(r->lua); lua_next(r->lua, -2); lua_pop(r->lua, 1))
		count++;
	if (count != lua_rawlen(r->lua, -1))
		return bh_reading_refuse(r, where, "'%s' must be a list, without names or gaps", name);
	if (count > most)
		return bh_reading_refuse(r, where, "'%s' has more than %d entries", name, (int)most);
	return true;
}
