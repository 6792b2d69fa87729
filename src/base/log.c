#include "base/log.h"

#include "base/time.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 256 /* bytes of one text from outside */

static struct {
	int least; /* a bh_log_level; atomic, as are the others */
	int json;
	int fd;
} setup = {.least = BH_INFO, .json = false, .fd = STDERR_FILENO};

static const char *const LEVELS[] = {
	[BH_ERR] = "error",
	[BH_WARNING] = "warning",
	[BH_INFO] = "info",
	[BH_DEBUG] = "debug",
};

void bh_log_setup(bh_log_level least, bool json, int fd)
{
	g_atomic_int_set(&setup.least, (int)least);
	g_atomic_int_set(&setup.json, json);
	g_atomic_int_set(&setup.fd, fd);
}

bool bh_log_wants(bh_log_level level)
{
	return (int)level <= g_atomic_int_get(&setup.least);
}

bool bh_log_level_parse(const char *text, bh_log_level *ret_level)
{
	for (size_t i = 0; i < G_N_ELEMENTS(LEVELS); i++) {
		if (strcmp(text, LEVELS[i]) == 0) {
			*ret_level = (bh_log_level)i;
			return true;
		}
	}
	return false;
}

/*
 * What a terminal or a viewer would act upon instead of showing it: controls of both
 * sets, line separators, and the marks that turn the direction of writing.
 */
static bool is_dangerous(gunichar c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* In JSON a backslash of ours must itself be escaped where JSON has no such escape. */
static void append_escaped_char(GString *out, gunichar c, bool json)
{
	if (c == '"' || c == '\\')
		g_string_append_printf(out, "\\%c", (char)c);
	else if (c == '\n')
		g_string_append(out, "\\n");
	else if (c == '\r')
		g_string_append(out, "\\r");
	else if (c == '\t')
		g_string_append(out, "\\t");
	else if (json || c > 0xff)
		g_string_append_printf(out, "\\u%04x", c);
	else
		g_string_append_printf(out, "\\x%02x", c);
}

static void append_text(GString *out, const char *text, bool json)
{
	size_t size = strlen(text);
	const char *end = text + MIN(size, TEXT_MAX);

	for (const char *p = text; p < end;) {
		gunichar c = g_utf8_get_char_validated(p, (gssize)(text + size - p));
		if (c == (gunichar)-1 || c == (gunichar)-2) {
			g_string_append_printf(out, json ? "\\\\x%02x" : "\\x%02x", (unsigned char)*p++);
			continue;
		}
		const char *next = g_utf8_next_char(p);
		if (next > end)
			break;
		if (c == '"' || c == '\\' || is_dangerous(c))
			append_escaped_char(out, c, json);
		else
			g_string_append_len(out, p, next - p);
		p = next;
	}
	if (size > TEXT_MAX)
		g_string_append(out, "…");
}

/* Would a reader (or a splitting tool) see one word? */
static bool is_plain_word(const char *text)
{
	if (!*text || strlen(text) > TEXT_MAX)
		return false;
	for (const char *p = text; *p; p++)
		if (!g_ascii_isgraph(*p) || *p == '"' || *p == '\\' || *p == '=')
			return false;
	return true;
}

static void append_quoted(GString *out, const char *text, bool json)
{
	g_string_append_c(out, '"');
	append_text(out, text, json);
	g_string_append_c(out, '"');
}

static void append_value(GString *out, const bh_log_field *field, bool json)
{
	char id[BH_ID_TEXT_SIZE];

	switch (field->kind) {
	case BH_LOG_INT:
		g_string_append_printf(out, "%" G_GINT64_FORMAT, field->number);
		return;
	case BH_LOG_ID:
		bh_id_text(field->id_kind, field->number, id);
		g_string_append_printf(out, json ? "\"%s\"" : "%s", id);
		return;
	case BH_LOG_STR:
		if (!json && is_plain_word(field->text))
			g_string_append(out, field->text);
		else
			append_quoted(out, field->text, json);
		return;
	}
	g_assert_not_reached();
}

static bool is_absent(const bh_log_field *field)
{
	return field->kind == BH_LOG_STR && !field->text;
}

static void append_plain(GString *out, bh_log_level level, const char *room, const char *what,
			 const bh_log_field *fields, size_t count)
{
	g_string_append_printf(out, " %s %s: %s", LEVELS[level], room, what);
	for (const bh_log_field *f = fields; f < fields + count; f++) {
		if (is_absent(f))
			continue;
		g_string_append_printf(out, " %s=", f->name);
		append_value(out, f, false);
	}
	g_string_append_c(out, '\n');
}

static void append_json(GString *out, bh_log_level level, const char *room, const char *what,
			const bh_log_field *fields, size_t count)
{
	g_string_append_printf(out, "\",\"level\":\"%s\",\"room\":\"%s\",\"what\":", LEVELS[level], room);
	append_quoted(out, what, true);
	for (const bh_log_field *f = fields; f < fields + count; f++) {
		if (is_absent(f))
			continue;
		g_string_append_printf(out, ",\"%s\":", f->name);
		append_value(out, f, true);
	}
	g_string_append(out, "}\n");
}

static void append_time(GString *out)
{
	char text[BH_TIME_TEXT_SIZE];

	bh_time_text(bh_clock_wall(), text);
	g_string_append_len(out, text, (gssize)strlen("2026-11-25T14:51:02.123"));
	g_string_append_c(out, 'Z');
}

void bh_log_line(bh_log_level level, const char *room, const char *what, const bh_log_field *fields, size_t count)
{
	g_autoptr(GString) line = g_string_sized_new(256);
	bool json = g_atomic_int_get(&setup.json);

	if (json)
		g_string_append(line, "{\"time\":\"");
	append_time(line);
	if (json)
		append_json(line, level, room, what, fields, count);
	else
		append_plain(line, level, room, what, fields, count);

	/* One write, so that lines of several threads and processes stay whole. A log that cannot be written is lost. */
	ssize_t written;
	do
		written = write(g_atomic_int_get(&setup.fd), line->str, line->len);
	while (written < 0 && errno == EINTR);
}
