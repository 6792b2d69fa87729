/* One field of a method file: what it says, and whether that makes sense. */
#include "base/error.h"
#include "method/field.h"
#include "method/forms.h"
#include "method/reading.h"

#include <string.h>

#define OPTIONS_MAX 200
#define KEY_MAX 64
#define PATTERN_MAX 400

static bool read_key(bh_reading *r, int number, char **ret_key)
{
	if (!bh_reading_text(r, "fields", "key", KEY_MAX, ret_key))
		return false;
	if (!*ret_key)
		return bh_reading_refuse(r, "fields", "field %d has no 'key'", number);
	if (g_ascii_islower(**ret_key) && strspn(*ret_key, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(*ret_key))
		return true;
	return bh_reading_refuse(r, *ret_key, "the key '%s' must be a-z, 0-9 and _, a letter first", *ret_key);
}

static bool read_format(bh_reading *r, bh_field *field)
{
	g_autofree char *name = NULL;

	if (!bh_reading_need_text(r, field->key, "format", KEY_MAX, &name))
		return false;
	const char *known[BH_FIELD_NOTES + 2] = {NULL};
	for (bh_field_format f = BH_FIELD_URL; f <= BH_FIELD_NOTES; f++) {
		known[f] = bh_field_format_name(f);
		if (!strcmp(name, known[f])) {
			field->format = f;
			return true;
		}
	}
	g_autofree char *meant = bh_reading_meant(name, known);
	return bh_reading_refuse(r, name, "field '%s' has the unknown format '%s'%s", field->key, name, meant);
}

static bool read_flag(bh_reading *r, const bh_field *field, const char *name, bool *ret)
{
	int type = bh_reading_member(r, name);
	if (type != LUA_TNIL && type != LUA_TBOOLEAN)
		return bh_reading_refuse(r, field->key, "'%s' of field '%s' must be true or false", name, field->key);
	*ret = lua_toboolean(r->lua, -1);
	lua_pop(r->lua, 1);
	return true;
}

/* The list on the top as texts, all different. */
static bool read_option_list(bh_reading *r, const bh_field *field, GPtrArray *options)
{
	for (lua_Integer i = 1; lua_rawgeti(r->lua, -1, i) != LUA_TNIL; i++) {
		size_t size;
		const char *text = lua_type(r->lua, -1) == LUA_TSTRING ? lua_tolstring(r->lua, -1, &size) : NULL;
		if (!text || size == 0 || size > BH_READING_TITLE_MAX || !g_utf8_validate_len(text, size, NULL))
			return bh_reading_refuse(r, field->key, "each option of field '%s' must be a short text",
						 field->key);
		if (g_ptr_array_find_with_equal_func(options, text, g_str_equal, NULL))
			return bh_reading_refuse(r, field->key, "field '%s' has the option '%s' twice", field->key,
						 text);
		g_ptr_array_add(options, g_strdup(text));
		lua_pop(r->lua, 1);
	}
	lua_pop(r->lua, 1);
	return true;
}

static bool read_options(bh_reading *r, bh_field *field)
{
	bool wanted = field->format == BH_FIELD_SELECT;
	bool given = bh_reading_member(r, "options") != LUA_TNIL;

	if (given != wanted)
		return bh_reading_refuse(r, field->key,
					 wanted ? "field '%s' has no 'options'"
						: "field '%s' is no select and has 'options'",
					 field->key);
	if (given) {
		g_autoptr(GPtrArray) options = g_ptr_array_new_with_free_func(g_free);
		if (!bh_reading_check_list(r, field->key, "options", OPTIONS_MAX) ||
		    !read_option_list(r, field, options))
			return false;
		if (options->len == 0)
			return bh_reading_refuse(r, field->key, "field '%s' has no 'options'", field->key);
		g_ptr_array_add(options, NULL);
		field->options = (char **)g_ptr_array_free(g_steal_pointer(&options), FALSE);
	}
	lua_pop(r->lua, 1);
	return true;
}

/* The Lua value on the top as JSON; NULL: a kind of value that no field has. */
static char *to_json(lua_State *lua)
{
	switch (lua_type(lua, -1)) {
	case LUA_TBOOLEAN:
		return g_strdup(lua_toboolean(lua, -1) ? "true" : "false");
	case LUA_TNUMBER:
		return lua_isinteger(lua, -1) ? g_strdup_printf("%" G_GINT64_FORMAT, (gint64)lua_tointeger(lua, -1))
					      : NULL;
	case LUA_TSTRING: {
		bh_span text;
		text.at = lua_tolstring(lua, -1, &text.size);
		GString *json = g_string_new(NULL);
		bh_json_append_string(json, text);
		return g_string_free(json, FALSE);
	}
	default:
		return NULL;
	}
}

static bool read_default(bh_reading *r, bh_field *field)
{
	g_autoptr(GError) why = NULL;

	if (bh_reading_member(r, "default") != LUA_TNIL) {
		if (field->format == BH_FIELD_PASSWORD)
			return bh_reading_refuse(r, field->key, "a password has no default (field '%s')", field->key);
		field->default_json = to_json(r->lua);
		if (!field->default_json)
			return bh_reading_refuse(r, field->key,
						 "'default' of field '%s' must be text, a whole number, true or false",
						 field->key);
		if (!bh_field_check(field, bh_span_of(field->default_json), &why))
			return bh_reading_refuse(r, field->key, "the default does not fit: %s", why->message);
	}
	lua_pop(r->lua, 1);
	return true;
}

/* An optional whole number. */
static bool read_bound(bh_reading *r, const bh_field *field, const char *name, bool *ret_has, int64_t *ret)
{
	*ret_has = bh_reading_member(r, name) != LUA_TNIL;
	if (*ret_has && !lua_isinteger(r->lua, -1))
		return bh_reading_refuse(r, field->key, "'%s' of field '%s' must be a whole number", name, field->key);
	*ret = lua_tointeger(r->lua, -1);
	lua_pop(r->lua, 1);
	return true;
}

static bool read_range(bh_reading *r, bh_field *field)
{
	if (!read_bound(r, field, "min", &field->has_min, &field->min) ||
	    !read_bound(r, field, "max", &field->has_max, &field->max))
		return false;
	if ((field->has_min || field->has_max) && field->format != BH_FIELD_INTEGER)
		return bh_reading_refuse(r, field->key, "field '%s' is no integer and has 'min' or 'max'", field->key);
	if (field->has_min && field->has_max && field->min > field->max)
		return bh_reading_refuse(r, field->key, "'min' of field '%s' is larger than its 'max'", field->key);
	return true;
}

static bool is_free_text(const bh_field *field)
{
	return field->format == BH_FIELD_URL || field->format == BH_FIELD_INPUT || field->format == BH_FIELD_PASSWORD ||
	       field->format == BH_FIELD_AREA || field->format == BH_FIELD_HTML;
}

static bool read_pattern(bh_reading *r, bh_field *field)
{
	g_autoptr(GError) why = NULL;

	if (!bh_reading_text(r, field->key, "pattern", PATTERN_MAX, &field->pattern) ||
	    !bh_reading_text(r, field->key, "hint", BH_READING_HELP_MAX, &field->hint) ||
	    !read_flag(r, field, "trim", &field->trim))
		return false;
	if ((field->pattern || field->trim) && !is_free_text(field))
		return bh_reading_refuse(r, field->key, "field '%s' is no text and has '%s'", field->key,
					 field->pattern ? "pattern" : "trim");
	if (field->pattern && !bh_pattern_check(field->pattern, &why))
		return bh_reading_refuse(r, field->key, "'pattern' of field '%s': %s", field->key, why->message);
	return true;
}

static const bh_field *earlier_field(const bh_reading *r, const char *key)
{
	for (guint i = 0; i + 1 < r->method->fields->len; i++) {
		const bh_field *other = g_ptr_array_index(r->method->fields, i);
		if (!strcmp(other->key, key))
			return other;
	}
	return NULL;
}

/* The text, number or boolean on the top as conditions write it; NULL: something else. */
static char *condition_value(lua_State *lua)
{
	if (lua_type(lua, -1) == LUA_TSTRING)
		return g_strdup(lua_tostring(lua, -1));
	return to_json(lua);
}

/* Appends the value on the top, which the other field must be able to have. */
static bool read_when_value(bh_reading *r, const bh_field *field, const bh_field *other, GPtrArray *values)
{
	char *value = condition_value(r->lua);
	if (!value)
		return bh_reading_refuse(r, field->key,
					 "'is' in the 'when' of field '%s' must be a text, or a list of texts",
					 field->key);
	g_ptr_array_add(values, value);
	return bh_field_may_be(other, value) ||
	       bh_reading_refuse(r, field->key,
				 "the 'when' of field '%s' asks for '%.60s', which field '%s' can never be", field->key,
				 value, other->key);
}

static bool read_when_values(bh_reading *r, bh_field *field, const bh_field *other)
{
	g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);

	if (bh_reading_member(r, "is") != LUA_TTABLE) {
		if (!read_when_value(r, field, other, values))
			return false;
	} else {
		if (!bh_reading_check_list(r, field->key, "is", OPTIONS_MAX))
			return false;
		for (lua_Integer i = 1; lua_rawgeti(r->lua, -1, i) != LUA_TNIL; i++) {
			if (!read_when_value(r, field, other, values))
				return false;
			lua_pop(r->lua, 1);
		}
		lua_pop(r->lua, 1);
		if (values->len == 0)
			return bh_reading_refuse(r, field->key, "'is' in the 'when' of field '%s' is empty",
						 field->key);
	}
	lua_pop(r->lua, 1);
	g_ptr_array_add(values, NULL);
	field->when_values = (char **)g_ptr_array_free(g_steal_pointer(&values), FALSE);
	return true;
}

/* The field asked about stands earlier, so that no two conditions wait for each other. */
static bool read_when(bh_reading *r, bh_field *field)
{
	static const char *const members[] = {"field", "is", NULL};
	int type = bh_reading_member(r, "when");

	if (type != LUA_TNIL) {
		if (type != LUA_TTABLE)
			return bh_reading_refuse(
				r, field->key,
				"'when' of field '%s' must be a table: { field = \"...\", is = \"...\" }", field->key);
		if (!bh_reading_check_members(r, members, "'when'") ||
		    !bh_reading_need_text(r, field->key, "field", KEY_MAX, &field->when_field))
			return false;
		const bh_field *other = earlier_field(r, field->when_field);
		if (!other)
			return bh_reading_refuse(r, field->key,
						 "'when' of field '%s' names no field before it: '%.64s'", field->key,
						 field->when_field);
		if (!bh_field_may_decide(other))
			return bh_reading_refuse(r, field->key,
						 "'when' of field '%s' asks about a field of format %s: '%s'",
						 field->key, bh_field_format_name(other->format), other->key);
		if (!read_when_values(r, field, other))
			return false;
	}
	lua_pop(r->lua, 1);
	return true;
}

/* A paragraph asks for nothing. */
static bool check_notes(bh_reading *r, const bh_field *field)
{
	if (field->format != BH_FIELD_NOTES || !(field->required || field->default_json || field->hint))
		return true;
	return bh_reading_refuse(r, field->key, "field '%s' is a paragraph (notes) and has '%s'", field->key,
				 field->required       ? "required"
				 : field->default_json ? "default"
						       : "hint");
}

static bool key_is_free(bh_reading *r, const bh_field *field)
{
	for (guint i = 0; i < r->method->fields->len; i++) {
		const bh_field *other = g_ptr_array_index(r->method->fields, i);
		if (other != field && !strcmp(other->key, field->key))
			return bh_reading_refuse(r, field->key, "two fields have the key '%s'", field->key);
	}
	return true;
}

bool bh_reading_field(bh_reading *r, int number)
{
	static const char *const members[] = {"key",  "format",  "title", "help", "required", "default", "options",
					      "when", "pattern", "hint",  "trim", "min",      "max",     NULL};

	if (lua_type(r->lua, -1) != LUA_TTABLE)
		return bh_reading_refuse(r, "fields", "field %d is not a table", number);

	bh_field *field = g_new0(bh_field, 1);
	g_ptr_array_add(r->method->fields, field); /* frees it, whatever comes */
	g_autofree char *what = g_strdup_printf("field %d", number);
	return read_key(r, number, &field->key) && key_is_free(r, field) &&
	       bh_reading_check_members(r, members, what) && read_format(r, field) &&
	       bh_reading_need_text(r, field->key, "title", BH_READING_TITLE_MAX, &field->title) &&
	       bh_reading_text(r, field->key, "help", BH_READING_HELP_MAX, &field->help) &&
	       read_flag(r, field, "required", &field->required) && read_options(r, field) && read_pattern(r, field) &&
	       read_range(r, field) && read_when(r, field) && read_default(r, field) && check_notes(r, field);
}

void bh_field_free(bh_field *field)
{
	g_free(field->key);
	g_free(field->title);
	g_free(field->help);
	g_free(field->default_json);
	g_strfreev(field->options);
	g_free(field->when_field);
	g_strfreev(field->when_values);
	g_free(field->pattern);
	g_free(field->hint);
	g_free(field);
}
