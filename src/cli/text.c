#include "cli/text.h"

#include <string.h>

/* Of the categories that can act on a terminal or hide something; U+200D and its like join letters and stay. */
static bool acts(gunichar c)
{
	bool bidi = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F ||
		    c == 0x061C;
	bool separator = c == 0x2028 || c == 0x2029 || c == 0xFEFF;
	return bidi || separator || g_unichar_type(c) == G_UNICODE_CONTROL;
}

char *bh_text_visible(bh_span text, bool lines)
{
	g_autofree char *valid = g_utf8_make_valid(text.at ? text.at : "", (gssize)text.size);
	GString *out = g_string_sized_new(text.size);
	for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		if (acts(c) && !(lines && (c == '\n' || c == '\t')))
			g_string_append_printf(out, "\\u%04x", c);
		else
			g_string_append_unichar(out, c);
	}
	return g_string_free(out, FALSE);
}

bool bh_text_is_visible_ascii(const char *text)
{
	const char *p = text;
	while (*p > ' ' && *p <= '~')
		p++;
	return *text && !*p;
}

static int width_of(gunichar c)
{
	if (g_unichar_iszerowidth(c))
		return 0;
	return g_unichar_iswide(c) ? 2 : 1;
}

int bh_text_width(const char *text)
{
	int width = 0;
	for (; *text; text = g_utf8_next_char(text))
		width += width_of(g_utf8_get_char(text));
	return width;
}

/* How many bytes of `text` fill at most `width` columns. */
static size_t bytes_within(const char *text, int width)
{
	const char *p = text;
	for (int used = 0; *p; p = g_utf8_next_char(p)) {
		used += width_of(g_utf8_get_char(p));
		if (used > width)
			break;
	}
	return (size_t)(p - text);
}

char *bh_text_cut(const char *text, int width)
{
	if (bh_text_width(text) <= width)
		return g_strdup(text);
	size_t kept = bytes_within(text, width - 1);
	return g_strdup_printf("%.*s\u2026", (int)kept, text);
}

/* Where the line that begins at `text` ends; *ret_next is where the next one begins. */
static const char *line_end(const char *text, int width, const char **ret_next)
{
	size_t fits = bytes_within(text, width);
	const char *feed = memchr(text, '\n', fits);
	const char *end = feed ? feed : text + fits;
	if (feed || !*end) {
		*ret_next = *end ? end + 1 : end;
		return end;
	}
	for (const char *blank = end; blank > text; blank--) {
		if (*blank == ' ') {
			*ret_next = blank + 1;
			return blank;
		}
	}
	if (end == text)
		end = g_utf8_next_char(text); /* a wide letter in a column of one: forward all the same */
	*ret_next = end;
	return end;
}

GPtrArray *bh_text_wrap(const char *text, int width)
{
	GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
	do {
		const char *next;
		const char *end = line_end(text, width, &next);
		g_ptr_array_add(lines, g_strndup(text, (gsize)(end - text)));
		text = next;
	} while (*text);
	return lines;
}

static char *local_time(bh_usec at, const char *format)
{
	char utc[BH_TIME_TEXT_SIZE];
	g_autoptr(GDateTime) local = g_date_time_new_from_unix_local(at / BH_SECOND);
	char *text = local ? g_date_time_format(local, format) : NULL;
	return text ? text : g_strdup(bh_time_text(at, utc)); /* beyond the years that a calendar knows */
}

/* A whole number of the largest unit that fits: what people say of something some time away. */
static char *rough_span(bh_usec span)
{
	static const struct {
		bh_usec size;
		const char *name;
	} units[] = {{BH_DAY, "d"}, {BH_HOUR, "h"}, {BH_MINUTE, "min"}, {BH_SECOND, "s"}};
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (span >= units[i].size && (units[i].size != BH_DAY || span >= 2 * BH_DAY))
			return g_strdup_printf("%" G_GINT64_FORMAT " %s", span / units[i].size, units[i].name);
	return g_strdup("0 s");
}

char *bh_text_ago(bh_usec at, bh_usec now)
{
	bh_usec distance = at > now ? at - now : now - at;
	if (distance < BH_SECOND)
		return g_strdup("now");
	if (distance > 14 * BH_DAY)
		return local_time(at, "%Y-%m-%d");
	g_autofree char *span = rough_span(distance);
	return at > now ? g_strdup_printf("in %s", span) : g_strdup_printf("%s ago", span);
}

char *bh_text_moment(bh_usec at, bh_usec now)
{
	g_autofree char *moment = local_time(at, "%Y-%m-%d %H:%M:%S %z");
	bh_usec distance = at > now ? at - now : now - at;
	if (distance > 14 * BH_DAY)
		return g_steal_pointer(&moment);
	g_autofree char *ago = bh_text_ago(at, now);
	return g_strdup_printf("%s (%s)", moment, ago);
}

char *bh_text_clock(bh_usec at)
{
	g_autofree char *clock = local_time(at, "%H:%M:%S");
	return g_strdup_printf("%s.%03d", clock, (int)(at % BH_SECOND / BH_MILLISECOND));
}

char *bh_text_span(bh_usec span)
{
	char number[32];
	if (span < 0)
		return g_strdup("");
	if (span >= BH_MINUTE)
		return rough_span(span);
	bool seconds = span >= BH_SECOND;
	double value = (double)span / (double)(seconds ? BH_SECOND : BH_MILLISECOND);
	g_ascii_formatd(number, sizeof number, value < 10 ? "%.1f" : "%.0f", value);
	return g_strdup_printf("%s %s", number, seconds ? "s" : "ms");
}
