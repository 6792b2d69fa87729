#include "base/json_text.h"

#include "base/json.h"

unsigned bh_utf8_length(const char *at, const char *end)
{
	const unsigned char *u = (const unsigned char *)at;
	unsigned length = u[0] < 0xC2 ? 0 : u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : u[0] < 0xF5 ? 4 : 0;
	if (length == 0 || (size_t)(end - at) < length)
		return 0;

	/* The second byte shuts out overlong forms, surrogates and what is above U+10FFFF. */
	unsigned least = u[0] == 0xE0 ? 0xA0 : u[0] == 0xF0 ? 0x90 : 0x80;
	unsigned most = u[0] == 0xED ? 0x9F : u[0] == 0xF4 ? 0x8F : 0xBF;
	if (u[1] < least || u[1] > most)
		return 0;
	for (unsigned i = 2; i < length; i++)
		if ((u[i] & 0xC0) != 0x80)
			return 0;
	return length;
}

/* Four hexadecimal digits, known to be such. */
static unsigned hex4(const char *at)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 4 | (unsigned)g_ascii_xdigit_value(at[i]);
	return value;
}

static size_t put_utf8(unsigned code, char *out)
{
	return (size_t)g_unichar_to_utf8(code, out);
}

/* Decodes the \u escape whose digits begin at `*at`, with its other half if it is a surrogate pair. */
static size_t decode_unicode(const char **at, char *out)
{
	unsigned code = hex4(*at);

	*at += 4;
	if (code >= 0xD800 && code <= 0xDBFF) {
		code = 0x10000 + ((code - 0xD800) << 10) + (hex4(*at + 2) - 0xDC00);
		*at += 6;
	}
	return put_utf8(code, out);
}

static char plain_escape(char c)
{
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return c; /* quote, backslash and slash stand for themselves */
	}
}

size_t bh_json_decode(bh_span inside, char *out)
{
	const char *at = inside.at, *end = inside.at + inside.size;
	char *to = out;

	while (at < end) {
		if (*at != '\\') {
			*to++ = *at++;
			continue;
		}
		char kind = at[1];
		at += 2;
		if (kind == 'u')
			to += decode_unicode(&at, to);
		else
			*to++ = plain_escape(kind);
	}
	return (size_t)(to - out);
}

/* The text between the quotes of a string node. */
static bh_span inside_of(const bh_json *json, uint32_t node)
{
	bh_span text = bh_json_text(json, node);

	return (bh_span){text.at + 1, text.size - 2};
}

char *bh_json_string(const bh_json *json, uint32_t node)
{
	if (bh_json_type_of(json, node) != BH_JSON_STRING)
		return NULL;

	bh_span inside = inside_of(json, node);
	g_autofree char *text = g_malloc(inside.size + 1);
	size_t size = bh_json_decode(inside, text);
	if (memchr(text, '\0', size))
		return NULL;
	text[size] = '\0';
	return g_steal_pointer(&text);
}

/* Compares one decoded piece after the other, so that no memory is needed. */
bool bh_json_string_is(const bh_json *json, uint32_t node, const char *text)
{
	if (bh_json_type_of(json, node) != BH_JSON_STRING)
		return false;

	bh_span inside = inside_of(json, node);
	if (!memchr(inside.at, '\\', inside.size))
		return bh_span_is(inside, text);

	const char *at = inside.at, *end = inside.at + inside.size;
	size_t left = strlen(text);
	while (at < end) {
		char piece[6];
		const char *from = at;
		if (*at != '\\')
			at++;
		else if (at[1] != 'u')
			at += 2;
		else
			at += hex4(at + 2) >= 0xD800 && hex4(at + 2) <= 0xDBFF ? 12 : 6;
		size_t size = bh_json_decode((bh_span){from, (size_t)(at - from)}, piece);
		if (size > left || memcmp(piece, text, size) != 0)
			return false;
		text += size;
		left -= size;
	}
	return left == 0;
}

bool bh_json_int(const bh_json *json, uint32_t node, int64_t *ret)
{
	if (bh_json_type_of(json, node) != BH_JSON_NUMBER)
		return false;

	bh_span text = bh_json_text(json, node);
	bool negative = text.at[0] == '-';
	uint64_t most = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, value = 0;
	for (size_t i = negative; i < text.size; i++) {
		unsigned digit = (unsigned)(text.at[i] - '0');
		if (digit > 9 || value > (most - digit) / 10) /* a point, an exponent, or too large */
			return false;
		value = value * 10 + digit;
	}
	*ret = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

static void append_control(GString *out, char c)
{
	static const char *const short_forms[32] = {
		['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
	const char *form = short_forms[(unsigned char)c];

	if (form)
		g_string_append(out, form);
	else
		g_string_append_printf(out, "\\u%04x", (unsigned char)c);
}

void bh_json_append_string(GString *out, bh_span text)
{
	const char *at = text.at, *end = text.at + text.size;

	g_string_append_c(out, '"');
	while (at < end) {
		const char *plain = at;
		while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
			at++;
		g_string_append_len(out, plain, at - plain);
		if (at == end)
			break;

		unsigned length = (unsigned char)*at < 0x80 ? 1 : bh_utf8_length(at, end);
		if (length > 1)
			g_string_append_len(out, at, length);
		else if (length == 0)
			g_string_append(out, "\xEF\xBF\xBD");
		else if ((unsigned char)*at < 0x20)
			append_control(out, *at);
		else
			g_string_append_printf(out, "\\%c", *at);
		at += length ? length : 1;
	}
	g_string_append_c(out, '"');
}
