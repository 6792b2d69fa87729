#include "delivery/hidden.h"

#include "base/secret.h"

#include <string.h>

/* Shorter ones stand in any text by chance: a header that says "test" must not make a riddle of the answer. */
#define SHORTEST 4
#define SHORTEST_HEADER_VALUE 8
#define MASK "***"

struct bh_hidden {
	GPtrArray *texts; /* of char *, the longest first: one may be the beginning of another */
};

static void wipe(void *text)
{
	bh_text_wipe(text);
}

static bool has(const bh_hidden *hidden, bh_span text)
{
	for (guint i = 0; hidden && i < hidden->texts->len; i++)
		if (bh_span_is(text, hidden->texts->pdata[i]))
			return true;
	return false;
}

/* Takes the text. */
static void add(bh_hidden **hidden, char *text)
{
	if (has(*hidden, bh_span_of(text))) {
		bh_text_wipe(text);
		return;
	}
	if (!*hidden) {
		*hidden = g_new0(bh_hidden, 1);
		(*hidden)->texts = g_ptr_array_new_with_free_func(wipe);
	}
	GPtrArray *texts = (*hidden)->texts;
	guint place = 0;
	while (place < texts->len && strlen(texts->pdata[place]) >= strlen(text))
		place++;
	g_ptr_array_insert(texts, (gint)place, text);
}

/* It looks the same in a URL, a form and JSON. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (!g_ascii_isalnum(*text) && !strchr("-._~", *text))
			return false;
	return true;
}

/* In a form a blank is a plus. */
static char *as_form_value(const char *text)
{
	g_autofree char *escaped = g_uri_escape_string(text, NULL, FALSE);
	g_auto(GStrv) parts = g_strsplit(escaped, "%20", -1);
	char *form = g_strjoinv("+", parts);

	for (char **p = parts; *p; p++)
		memset(*p, 0, strlen(*p));
	memset(escaped, 0, strlen(escaped));
	return form;
}

/* Inside JSON as it is written mostly, or with every character escaped that some writers escape. */
static char *as_json_text(const char *text, bool escapes_all)
{
	GString *json = g_string_sized_new(strlen(text) * 2 + 1);

	for (const char *p = text; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		if (c == '"' || c == '\\' || (c == '/' && escapes_all))
			g_string_append_printf(json, "\\%c", (char)c);
		else if (c > 0xffff && escapes_all)
			g_string_append_printf(json, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
					       0xdc00 + ((c - 0x10000) & 0x3ff));
		else if (c < ' ' || (c > '~' && escapes_all))
			g_string_append_printf(json, "\\u%04x", c);
		else
			g_string_append_len(json, p, g_utf8_next_char(p) - p);
	}
	return g_string_free(json, FALSE);
}

void bh_hide(bh_hidden **hidden, bh_span secret)
{
	if (secret.size < SHORTEST || has(*hidden, secret))
		return;
	char *text = g_strndup(secret.at, secret.size);

	if (!is_plain(text)) {
		add(hidden, g_uri_escape_string(text, NULL, FALSE));
		add(hidden, as_form_value(text));
		if (g_utf8_validate(text, -1, NULL)) {
			add(hidden, as_json_text(text, false));
			add(hidden, as_json_text(text, true));
		}
	}
	add(hidden, text);
}

void bh_hide_header_value(bh_hidden **hidden, const char *value)
{
	const char *blank = strchr(value, ' ');
	bool has_scheme = g_ascii_strncasecmp(value, "Basic ", 6) == 0 || g_ascii_strncasecmp(value, "Bearer ", 7) == 0;

	bh_span secret = bh_span_of(has_scheme ? blank + 1 : value);

	if (secret.size >= SHORTEST_HEADER_VALUE)
		bh_hide(hidden, secret);
}

/* Headers whose values tell nothing; every other one of a request is masked. */
#define NAME(text) \
	{ \
		text, sizeof(text) - 1 \
	}
static const bh_span harmless[] = {
	NAME("accept"),      NAME("content-length"), NAME("content-type"),      NAME("host"),
	NAME("user-agent"),  NAME("webhook-id"),     NAME("webhook-signature"), NAME("webhook-timestamp"),
	NAME("traceparent"), NAME("bellhop-hops")};

static bool is_harmless(const char *line, size_t name_size)
{
	for (size_t i = 0; i < G_N_ELEMENTS(harmless); i++)
		if (harmless[i].size == name_size && g_ascii_tolower(*line) == *harmless[i].at &&
		    g_ascii_strncasecmp(harmless[i].at, line, name_size) == 0)
			return true;
	return false;
}

void bh_hidden_append_header(bh_hidden **hidden, const char *line, GString *out)
{
	size_t name_size = strcspn(line, ":");
	if (is_harmless(line, name_size)) {
		g_string_append(out, line);
		return;
	}
	g_string_append_len(out, line, (gssize)name_size);
	g_string_append(out, ": ***");
	bh_hide_header_value(hidden, line + name_size + strspn(line + name_size, ": "));
}

void bh_hidden_free(bh_hidden *hidden)
{
	if (!hidden)
		return;
	g_ptr_array_unref(hidden->texts);
	g_free(hidden);
}

static void mask_one(GString *text, const char *secret)
{
	size_t size = strlen(secret), from = 0;
	const char *found;

	while ((found = memmem(text->str + from, text->len - from, secret, size))) {
		size_t at = (size_t)(found - text->str);
		g_string_erase(text, (gssize)at, (gssize)size);
		g_string_insert(text, (gssize)at, MASK);
		from = at + strlen(MASK);
	}
}

void bh_hidden_mask(const bh_hidden *hidden, GString *text)
{
	for (guint i = 0; hidden && i < hidden->texts->len; i++)
		mask_one(text, hidden->texts->pdata[i]);
}

void bh_hidden_mask_bytes(const bh_hidden *hidden, GByteArray *bytes)
{
	if (!hidden)
		return;
	g_autoptr(GString) text = g_string_new_len((const char *)bytes->data, bytes->len);

	bh_hidden_mask(hidden, text);
	g_byte_array_set_size(bytes, 0);
	g_byte_array_append(bytes, (const guint8 *)text->str, (guint)text->len);
}

/* --- What is said to and by a token service ------------------------------------------------------- */

static bool is_harmless_member(const char *name, size_t size)
{
	static const bh_span members[] = {NAME("grant_type"), NAME("client_id"), NAME("scope"), NAME("audience"),
					  NAME("resource")};

	for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
		if (members[i].size == size && memcmp(members[i].at, name, size) == 0)
			return true;
	return false;
}

GString *bh_hidden_form(bh_span body)
{
	GString *shown = g_string_new(NULL);
	const char *at = body.at, *end = body.size ? at + body.size : at;

	while (at < end) {
		const char *next = memchr(at, '&', (size_t)(end - at));
		const char *stop = next ? next : end, *value = memchr(at, '=', (size_t)(stop - at));
		if (value && is_harmless_member(at, (size_t)(value - at)))
			g_string_append_len(shown, at, stop - at);
		else if (value)
			g_string_append_printf(shown, "%.*s=" MASK, (int)(value - at), at);
		else if (stop > at)
			g_string_append(shown, MASK); /* no form at all, or a value without a name */
		if (next)
			g_string_append_c(shown, '&');
		at = next ? next + 1 : end;
	}
	return shown;
}

/* In lower case, and with what JSON may have escaped of it written plainly. */
static GString *plainly(bh_span text)
{
	GString *plain = g_string_sized_new(text.size);

	for (size_t i = 0; i < text.size; i++) {
		char code[5] = {0};
		if (text.size - i >= 6 && text.at[i] == '\\' && text.at[i + 1] == 'u') {
			memcpy(code, text.at + i + 2, 4);
			guint64 c = g_ascii_strtoull(code, NULL, 16);
			g_string_append_c(plain, c > 0 && c < 0x80 ? g_ascii_tolower((char)c) : '?');
			i += 5;
		} else {
			g_string_append_c(plain, g_ascii_tolower(text.at[i]));
		}
	}
	return plain;
}

bool bh_holds_tokens(bh_span answer)
{
	static const char *const names[] = {"access_token", "refresh_token", "id_token", "client_secret", "assertion"};
	g_autoptr(GString) plain = plainly(answer);

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (memmem(plain->str, plain->len, names[i], strlen(names[i])))
			return true;
	return false;
}
