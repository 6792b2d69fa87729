#include "delivery/hidden.h"

#include "base/secret.h"

#include <string.h>

/* Shorter ones stand in any text by chance: a header that says "test" must not make a riddle of the answer. */
#define SHORTEST 4
#define SHORTEST_HEADER_VALUE 8
#define MASK "***"

/* Most attempts hide a password or two, and every attempt does it: what is short lies in the struct itself. */
#define FEW 8
#define SPACE 480

struct bh_hidden {
	bh_span *texts; /* the longest first: one may be the beginning of another */
	size_t count, room;
	bh_span few[FEW]; /* where `texts` points as long as they suffice */
	size_t used;
	char space[SPACE];
};

static bool has(const bh_hidden *hidden, bh_span text)
{
	for (size_t i = 0; hidden && i < hidden->count; i++)
		if (bh_span_equal(hidden->texts[i], text))
			return true;
	return false;
}

static bh_hidden *new_hidden(void)
{
	bh_hidden *hidden = g_new(bh_hidden, 1);

	hidden->texts = hidden->few;
	hidden->room = FEW;
	hidden->count = hidden->used = 0;
	return hidden;
}

static bool is_within(const bh_hidden *hidden, const char *at)
{
	return at >= hidden->space && at < hidden->space + SPACE;
}

static char *keep(bh_hidden *hidden, bh_span text)
{
	char *at;

	if (text.size <= SPACE - hidden->used) {
		at = hidden->space + hidden->used;
		hidden->used += text.size;
	} else {
		at = g_malloc(text.size);
	}
	return memcpy(at, text.at, text.size);
}

static void make_room(bh_hidden *hidden)
{
	bool were_few = hidden->texts == hidden->few;

	hidden->room *= 2;
	hidden->texts = g_renew(bh_span, were_few ? NULL : hidden->texts, hidden->room);
	if (were_few)
		memcpy(hidden->texts, hidden->few, sizeof hidden->few);
}

static void add(bh_hidden **hidden, bh_span text)
{
	if (text.size == 0 || has(*hidden, text))
		return;
	if (!*hidden)
		*hidden = new_hidden();
	bh_hidden *h = *hidden;
	if (h->count == h->room)
		make_room(h);

	size_t place = h->count++;
	for (; place > 0 && h->texts[place - 1].size < text.size; place--)
		h->texts[place] = h->texts[place - 1];
	h->texts[place] = (bh_span){keep(h, text), text.size};
}

/* Takes the text. */
static void add_text(bh_hidden **hidden, char *text)
{
	add(hidden, bh_span_of(text));
	bh_text_wipe(text);
}

/* It looks the same in a URL, a form and JSON. */
static bool is_plain(bh_span text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!g_ascii_isalnum(text.at[i]) && !strchr("-._~", text.at[i]))
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

static void add_spellings(bh_hidden **hidden, bh_span secret)
{
	char *text = g_strndup(secret.at, secret.size);

	add_text(hidden, g_uri_escape_string(text, NULL, FALSE));
	add_text(hidden, as_form_value(text));
	if (g_utf8_validate(text, -1, NULL)) {
		add_text(hidden, as_json_text(text, false));
		add_text(hidden, as_json_text(text, true));
	}
	bh_text_wipe(text);
}

void bh_hide(bh_hidden **hidden, bh_span secret)
{
	const char *zero = secret.size ? memchr(secret.at, '\0', secret.size) : NULL;

	if (zero)
		secret.size = (size_t)(zero - secret.at); /* what is behind it goes into no text */
	if (secret.size < SHORTEST || has(*hidden, secret))
		return;
	if (!is_plain(secret))
		add_spellings(hidden, secret);
	add(hidden, secret);
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
	for (size_t i = 0; i < hidden->count; i++) {
		if (is_within(hidden, hidden->texts[i].at))
			continue;
		explicit_bzero((char *)hidden->texts[i].at, hidden->texts[i].size);
		g_free((char *)hidden->texts[i].at);
	}
	if (hidden->texts != hidden->few)
		g_free(hidden->texts);
	explicit_bzero(hidden->space, hidden->used);
	g_free(hidden);
}

static void mask_one(GString *text, bh_span secret)
{
	size_t from = 0;
	const char *found;

	while ((found = memmem(text->str + from, text->len - from, secret.at, secret.size))) {
		size_t at = (size_t)(found - text->str);
		g_string_erase(text, (gssize)at, (gssize)secret.size);
		g_string_insert(text, (gssize)at, MASK);
		from = at + strlen(MASK);
	}
}

void bh_hidden_mask(const bh_hidden *hidden, GString *text)
{
	for (size_t i = 0; hidden && i < hidden->count; i++)
		mask_one(text, hidden->texts[i]);
}

static bool shows_any(const bh_hidden *hidden, const GByteArray *bytes)
{
	for (size_t i = 0; hidden && i < hidden->count; i++)
		if (memmem(bytes->data, bytes->len, hidden->texts[i].at, hidden->texts[i].size))
			return true;
	return false;
}

void bh_hidden_mask_bytes(const bh_hidden *hidden, GByteArray *bytes)
{
	if (bytes->len == 0 || !shows_any(hidden, bytes))
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
