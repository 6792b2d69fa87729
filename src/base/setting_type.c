#include "base/setting_type.h"

#include "base/error.h"
#include "base/settings.h"
#include "base/time.h"

#include <string.h>

#define LIST_MAX 1000

static bool wrong(GError **error, const char *text, const char *expected)
{
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" is not %s", text, expected);
	return false;
}

static bool check_range(const bh_setting_row *row, int64_t value, const char *text, GError **error)
{
	if (value >= row->low && value <= row->high)
		return true;
	g_autofree char *range = row->type->range(row);
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" is out of range: %s", text, range);
	return false;
}

static char *range_of(const bh_setting_row *row, char *(*text)(const void *field))
{
	g_autofree char *low = text(&row->low);
	g_autofree char *high = text(&row->high);

	return g_strdup_printf("%s to %s", low, high);
}

static char *no_range(const bh_setting_row *row)
{
	return g_strdup("");
}

/* Text */

static void clear_text(void *field)
{
	g_clear_pointer((char **)field, g_free);
}

static bool read_text(const bh_setting_row *row, const char *text, void *field, GError **error)
{
	if (row->check && !row->check(text, error))
		return false;
	clear_text(field);
	*(char **)field = g_strdup(text);
	return true;
}

static char *text_of_text(const void *field)
{
	return g_strdup(*(char *const *)field);
}

const bh_setting_type BH_SETTING_TEXT = {"text", read_text, text_of_text, no_range, clear_text};

/* Choice */

static bool read_choice(const bh_setting_row *row, const char *text, void *field, GError **error)
{
	g_auto(GStrv) choices = g_strsplit(row->choices, ", ", -1);

	if (!g_strv_contains((const char *const *)choices, text)) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" is none of: %s", text, row->choices);
		return false;
	}
	return read_text(row, text, field, error);
}

static char *range_of_choice(const bh_setting_row *row)
{
	return g_strdup(row->choices);
}

const bh_setting_type BH_SETTING_CHOICE = {"choice", read_choice, text_of_text, range_of_choice, clear_text};

/* Switch */

static bool read_switch(const bh_setting_row *row, const char *text, void *field, GError **error)
{
	static const char *const on[] = {"yes", "true", "on", NULL};
	static const char *const off[] = {"no", "false", "off", NULL};

	if (g_strv_contains(on, text))
		*(bool *)field = true;
	else if (g_strv_contains(off, text))
		*(bool *)field = false;
	else
		return wrong(error, text, "\"yes\" or \"no\"");
	return true;
}

static char *text_of_switch(const void *field)
{
	return g_strdup(*(const bool *)field ? "yes" : "no");
}

static char *range_of_switch(const bh_setting_row *row)
{
	return g_strdup("yes, no");
}

const bh_setting_type BH_SETTING_SWITCH = {"switch", read_switch, text_of_switch, range_of_switch, NULL};

/* Number */

static bool read_number(const bh_setting_row *row, const char *text, void *field, GError **error)
{
	gint64 value;

	if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &value, NULL))
		return wrong(error, text, "a whole number");
	if (!check_range(row, value, text, error))
		return false;
	*(int64_t *)field = value;
	return true;
}

static char *text_of_number(const void *field)
{
	return g_strdup_printf("%" G_GINT64_FORMAT, *(const int64_t *)field);
}

static char *range_of_number(const bh_setting_row *row)
{
	return range_of(row, text_of_number);
}

const bh_setting_type BH_SETTING_NUMBER = {"number", read_number, text_of_number, range_of_number, NULL};

/* A number and its unit: sizes and spans */

typedef struct unit {
	const char *name;
	int64_t size;
} unit;

/* In the largest unit that divides it; `units` from large to small, the last one divides everything. */
static char *text_in_units(int64_t value, const unit *units)
{
	while (units->size > 1 && (value == 0 || value % units->size != 0) && units[1].name)
		units++;
	return g_strdup_printf("%" G_GINT64_FORMAT "%s", value / units->size, units->name);
}

static const unit SIZES[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}, {NULL, 0}};

static bool parse_size(const char *text, int64_t *ret)
{
	char *end;

	if (!g_ascii_isdigit(*text))
		return false;
	guint64 number = g_ascii_strtoull(text, &end, 10);
	for (const unit *u = SIZES; u->name; u++) {
		if (strcmp(end, u->name) != 0)
			continue;
		if (number > (guint64)(G_MAXINT64 / u->size))
			return false;
		*ret = (int64_t)number * u->size;
		return true;
	}
	return false;
}

static bool read_size(const bh_setting_row *row, const char *text, void *field, GError **error)
{
	int64_t value;

	if (!parse_size(text, &value))
		return wrong(error, text, "a size such as 512KiB, 32MiB or 1GiB");
	if (!check_range(row, value, text, error))
		return false;
	*(int64_t *)field = value;
	return true;
}

static char *text_of_size(const void *field)
{
	return text_in_units(*(const int64_t *)field, SIZES);
}

static char *range_of_size(const bh_setting_row *row)
{
	return range_of(row, text_of_size);
}

const bh_setting_type BH_SETTING_SIZE = {"size", read_size, text_of_size, range_of_size, NULL};

static const unit SPANS[] = {{"h", BH_HOUR}, {"m", BH_MINUTE}, {"s", BH_SECOND}, {"ms", BH_MILLISECOND}, {NULL, 0}};

static bool read_span(const bh_setting_row *row, const char *text, void *field, GError **error)
{
	bh_usec value;

	if (!bh_span_parse(text, &value))
		return wrong(error, text, "a span of time such as 250ms, 5s, 30m, 2h or 7d");
	if (!check_range(row, value, text, error))
		return false;
	*(bh_usec *)field = value;
	return true;
}

static char *text_of_span(const void *field)
{
	bh_usec span = *(const bh_usec *)field;

	if (span == 0)
		return g_strdup("0s");
	/* One day is 24h, so that the delays of a schedule read alike. */
	if (span % BH_DAY == 0 && span > BH_DAY)
		return g_strdup_printf("%" G_GINT64_FORMAT "d", span / BH_DAY);
	return text_in_units(span, SPANS);
}

static char *range_of_span(const bh_setting_row *row)
{
	return range_of(row, text_of_span);
}

const bh_setting_type BH_SETTING_SPAN = {"span", read_span, text_of_span, range_of_span, NULL};

/* Several, with commas between */

static char **split_list(const char *text, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(text, ",", -1);

	for (char **p = parts; *p; p++) {
		g_strstrip(*p);
		if (!**p) {
			g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" has an empty entry", text);
			return NULL;
		}
	}
	if (g_strv_length(parts) > LIST_MAX) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "more than %d entries", LIST_MAX);
		return NULL;
	}
	return g_steal_pointer(&parts);
}

static void clear_list(void *field)
{
	g_clear_pointer((char ***)field, g_strfreev);
}

static bool read_list(const bh_setting_row *row, const char *text, void *field, GError **error)
{
	char **list = split_list(text, error);

	if (!list)
		return false;
	clear_list(field);
	*(char ***)field = list;
	return true;
}

static char *text_of_list(const void *field)
{
	return g_strjoinv(",", *(char **const *)field);
}

const bh_setting_type BH_SETTING_LIST = {"list", read_list, text_of_list, no_range, clear_list};

static void clear_spans(void *field)
{
	g_clear_pointer((GArray **)field, g_array_unref);
}

static bool read_spans(const bh_setting_row *row, const char *text, void *field, GError **error)
{
	g_auto(GStrv) parts = split_list(text, error);
	g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(bh_usec));

	if (!parts)
		return false;
	for (char **p = parts; *p; p++) {
		bh_usec span;
		if (!read_span(row, *p, &span, error))
			return false;
		g_array_append_val(spans, span);
	}
	if (spans->len > BH_SETTING_SPANS_MAX) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "it has more than %d entries", BH_SETTING_SPANS_MAX);
		return false;
	}
	clear_spans(field);
	*(GArray **)field = g_steal_pointer(&spans);
	return true;
}

static char *text_of_spans(const void *field)
{
	const GArray *spans = *(GArray *const *)field;
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < spans->len; i++) {
		g_autofree char *one = text_of_span(&g_array_index(spans, bh_usec, i));
		g_string_append_printf(text, "%s%s", i ? "," : "", one);
	}
	return g_string_free(text, FALSE);
}

static char *range_of_spans(const bh_setting_row *row)
{
	g_autofree char *each = range_of_span(row);

	return g_strdup_printf("each %s", each);
}

const bh_setting_type BH_SETTING_SPANS = {"list of spans", read_spans, text_of_spans, range_of_spans, clear_spans};
