#include "method/field.h"

#include "base/error.h"

#include <string.h>

const char *bh_field_format_name(bh_field_format format)
{
	static const char *const names[] = {"url",     "input",  "password", "area", "boolean",
					    "integer", "select", "html",     "notes"};
	g_assert((size_t)format < G_N_ELEMENTS(names));
	return names[format];
}

bool bh_field_refuse(GError **error, const bh_field *field, const char *why)
{
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" %s", field->key, why);
	return false;
}

/* --- Conditions ------------------------------------------------------------------------------- */

bool bh_field_may_decide(const bh_field *field)
{
	return field->format == BH_FIELD_BOOLEAN || field->format == BH_FIELD_SELECT ||
	       field->format == BH_FIELD_INTEGER || field->format == BH_FIELD_INPUT;
}

static bool is_integer(const char *text)
{
	g_autoptr(bh_json) json = bh_json_new();
	int64_t number;
	if (!bh_json_parse(json, bh_span_of(text), NULL) || !bh_json_int(json, 0, &number))
		return false;
	g_autofree char *digits = g_strdup_printf("%" G_GINT64_FORMAT, (gint64)number);
	return strcmp(digits, text) == 0;
}

bool bh_field_may_be(const bh_field *field, const char *value)
{
	switch (field->format) {
	case BH_FIELD_BOOLEAN:
		return !strcmp(value, "true") || !strcmp(value, "false");
	case BH_FIELD_SELECT:
		return g_strv_contains((const char *const *)field->options, value);
	case BH_FIELD_INTEGER:
		return is_integer(value);
	case BH_FIELD_INPUT:
		return true;
	default:
		return false;
	}
}

char *bh_field_text(const bh_field *field, const bh_json *json, uint32_t node)
{
	char *text = bh_json_type_of(json, node) == BH_JSON_STRING ? bh_json_string(json, node) : NULL;

	if (text && (field->trim || field->format == BH_FIELD_URL))
		bh_field_trim(text);
	if (text && !*text && bh_field_empty_is_none(field))
		g_clear_pointer(&text, g_free);
	return text;
}

/* A value as conditions write it; NULL: there is none. */
static char *value_text(const bh_field *field, bh_span value)
{
	g_autoptr(bh_json) json = bh_json_new();
	int64_t number;

	if (value.size == 0 || !bh_json_parse(json, value, NULL))
		return NULL;
	switch (bh_json_type_of(json, 0)) {
	case BH_JSON_TRUE:
		return g_strdup("true");
	case BH_JSON_FALSE:
		return g_strdup("false");
	case BH_JSON_NUMBER:
		return bh_json_int(json, 0, &number) ? g_strdup_printf("%" G_GINT64_FORMAT, (gint64)number) : NULL;
	default:
		return bh_field_text(field, json, 0);
	}
}

static char *condition_text(const bh_field *field, bh_span stored)
{
	char *text = value_text(field, stored);
	if (!text)
		text = value_text(field, bh_span_of(field->default_json));
	return !text && field->format == BH_FIELD_BOOLEAN ? g_strdup("false") : text;
}

bool bh_field_counts(const bh_method *method, const bh_field *field, bh_field_value value, void *user)
{
	if (!field->when_field)
		return true;
	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *other = g_ptr_array_index(method->fields, i);
		if (strcmp(other->key, field->when_field) != 0)
			continue;
		if (!bh_field_counts(method, other, value, user)) /* it stands earlier: this comes to an end */
			return false;
		g_autofree char *text = condition_text(other, value(user, method, i));
		return text && g_strv_contains((const char *const *)field->when_values, text);
	}
	g_assert_not_reached(); /* checked when the file was read */
}

/* --- Values ----------------------------------------------------------------------------------- */

static bool is_blank(gunichar c)
{
	/* U+200B to U+200D and U+FEFF have no width at all: whoever pastes them cannot see them. */
	return g_unichar_isspace(c) || c == 0x0B || c == 0x85 || (c >= 0x200B && c <= 0x200D) || c == 0xFEFF;
}

void bh_field_trim(char *text)
{
	size_t size = strlen(text);
	const char *start = text, *end = text + size;

	while (start < end && is_blank(g_utf8_get_char(start)))
		start = g_utf8_next_char(start);
	while (end > start && is_blank(g_utf8_get_char(g_utf8_prev_char(end))))
		end = g_utf8_prev_char(end);

	size_t left = (size_t)(end - start);
	memmove(text, start, left);
	explicit_bzero(text + left, size - left); /* ends the text, and leaves nothing of a password behind it */
}

bool bh_field_empty_is_none(const bh_field *field)
{
	return field->format == BH_FIELD_URL || field->format == BH_FIELD_SELECT || field->pattern;
}

static bool check_option(const bh_field *field, const char *text, GError **error)
{
	if (g_strv_contains((const char *const *)field->options, text))
		return true;
	g_autofree char *options = g_strjoinv(", ", field->options);
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" must be one of: %s", field->key, options);
	return false;
}

bool bh_field_check_text(const bh_field *field, const char *text, GError **error)
{
	if (field->format == BH_FIELD_SELECT && !check_option(field, text, error))
		return false;
	if (!field->pattern || bh_pattern_matches(field->pattern, text))
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" does not look right. %s", field->key,
		    field->hint ? field->hint : "The method asks for another form.");
	return false;
}

bool bh_field_check_number(const bh_field *field, int64_t number, GError **error)
{
	g_autoptr(GString) range = g_string_new(NULL);

	if ((!field->has_min || number >= field->min) && (!field->has_max || number <= field->max))
		return true;
	if (field->has_min)
		g_string_append_printf(range, " at least %" G_GINT64_FORMAT, (gint64)field->min);
	if (field->has_max)
		g_string_append_printf(range, "%s at most %" G_GINT64_FORMAT, field->has_min ? " and" : "",
				       (gint64)field->max);
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" must be%s%s%s", field->key, range->str,
		    field->hint ? ". " : "", field->hint ? field->hint : "");
	return false;
}
