/*
 * One pass over the text. What may come next is one of a few wishes:
 *
 *   VALUE -+-> a plain value ----------> MORE      '[' -> FIRST_ITEM    ']' or a value
 *          +-> '{' or '[' opens          MORE      '{' -> FIRST_NAME    '}' or a name
 *   NAME ---> name and ':' -> VALUE                MORE: ',' -> VALUE or NAME; '}' or ']' -> MORE
 *
 * and MORE outside of everything is the end. The open containers are a short array, not the
 * C stack. When an object closes, its names are compared.
 */
#include "base/json.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/json_text.h"

/* A parse that needed more gives its memory back before the next one. */
#define NODES_KEPT (16 * 1024)

/* Up to here each name is compared with each; beyond it a table of hashes is cheaper. */
#define NAMES_COMPARED 16

struct bh_json {
	const char *text;
	bh_json_node *nodes;
	uint32_t count, room;

	/* For comparing the names of one object. */
	bh_span *names;
	size_t names_room;
	char *decoded;
	size_t decoded_room;

	unsigned line, column;
};

typedef enum want { WANT_VALUE, WANT_FIRST_ITEM, WANT_FIRST_NAME, WANT_NAME, WANT_MORE, WANT_NOTHING } want;

typedef struct reader {
	bh_json *json;
	bh_span whole;
	const char *at, *end;
	size_t most; /* the value's limit */
	bool cut; /* `end` is where the limit lies, the text goes on */
	want want;
	bool after_comma;
	unsigned depth;
	uint32_t open[BH_JSON_DEPTH_MAX]; /* the containers we are in, outermost first */
	GError **error;
} reader;

static bool read_value(reader *r);
static bool read_name(reader *r);
static bool read_more(reader *r);
static bool close_container(reader *r);
static bool read_string(reader *r);
static bool read_number(reader *r);
static bool read_word(reader *r, const char *word, bh_json_type type);
static bool names_differ(reader *r, uint32_t object);

bh_json *bh_json_new(void)
{
	return g_new0(bh_json, 1);
}

void bh_json_free(bh_json *json)
{
	if (!json)
		return;
	g_free(json->nodes);
	g_free(json->names);
	g_free(json->decoded);
	g_free(json);
}

/* --- Trouble ----------------------------------------------------------------------------- */

void bh_json_place(bh_span text, size_t at, unsigned *ret_line, unsigned *ret_column)
{
	const char *line = text.at, *place = text.at + at;

	*ret_line = 1;
	for (const char *next; place > line && (next = memchr(line, '\n', (size_t)(place - line))); line = next + 1)
		++*ret_line;
	*ret_column = (unsigned)(place - line) + 1;
}

static bool fail_with(reader *r, const char *at, bh_error_code code, const char *why)
{
	bh_json *json = r->json;

	bh_json_place(r->whole, (size_t)(at - r->whole.at), &json->line, &json->column);
	g_set_error(r->error, BH_ERROR, code, "%s (line %u, column %u)", why, json->line, json->column);
	return false;
}

static bool fail(reader *r, const char *at, const char *why)
{
	return fail_with(r, at, BH_ERROR_INVALID, why);
}

/* The text, or what may be read of it, ends in the middle of `what`. */
static bool fail_at_end(reader *r, const char *what)
{
	if (r->cut) {
		g_autofree char *too_long = g_strdup_printf("the value is longer than %zu bytes", r->most);
		return fail_with(r, r->end, BH_ERROR_LIMIT, too_long);
	}
	g_autofree char *why = g_strdup_printf("the text ends where %s was expected", what);
	return fail(r, r->end, why);
}

/*
 * What is at `at`, for a message that may be logged: a word that other languages know, else one character, since the
 * rest may be a secret without its quotes.
 */
static char *found(const reader *r, const char *at)
{
	static const char *const words[] = {"NaN",   "Infinity", "undefined", "None", "True",
					    "False", "TRUE",     "FALSE",     "NULL", "nil"};

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if ((size_t)(r->end - at) >= strlen(words[i]) && memcmp(at, words[i], strlen(words[i])) == 0)
			return g_strdup_printf("\"%s\"", words[i]);
	if (g_ascii_isgraph(*at))
		return g_strdup_printf("'%c'", *at);
	return g_strdup_printf("byte 0x%02X", (unsigned char)*at);
}

static bool fail_expected(reader *r, const char *what)
{
	if (r->at >= r->end)
		return fail_at_end(r, what);

	g_autofree char *there = found(r, r->at);
	const char *hint = r->after_comma && (*r->at == '}' || *r->at == ']') ? ": no comma may stand before it" : "";
	g_autofree char *why = g_strdup_printf("expected %s, found %s%s", what, there, hint);
	return fail(r, r->at, why);
}

void bh_json_trouble(const bh_json *json, unsigned *ret_line, unsigned *ret_column)
{
	*ret_line = json->line;
	*ret_column = json->column;
}

/* --- Reading ----------------------------------------------------------------------------- */

static inline bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

size_t bh_json_skip_space(bh_span text, size_t from)
{
	while (from < text.size && is_space(text.at[from]))
		from++;
	return from;
}

static inline bh_json_node *push(reader *r, bh_json_type type, const char *start)
{
	bh_json *json = r->json;

	if (G_UNLIKELY(json->count == json->room)) {
		json->room = json->room ? 2 * json->room : 64;
		json->nodes = g_renew(bh_json_node, json->nodes, json->room);
	}
	bh_json_node *node = &json->nodes[json->count++];
	*node = (bh_json_node){.start = (uint32_t)(start - json->text), .after = json->count, .type = (uint8_t)type};
	return node;
}

static inline bool done_with_value(reader *r)
{
	r->want = r->depth > 0 ? WANT_MORE : WANT_NOTHING;
	return true;
}

/* Takes the next piece of what is wanted. */
static inline bool step(reader *r)
{
	while (r->at < r->end && is_space(*r->at))
		r->at++;

	switch (r->want) {
	case WANT_FIRST_ITEM:
		if (r->at < r->end && *r->at == ']')
			return close_container(r);
		return read_value(r);
	case WANT_FIRST_NAME:
		if (r->at < r->end && *r->at == '}')
			return close_container(r);
		return read_name(r);
	case WANT_NAME:
		return read_name(r);
	case WANT_MORE:
		return read_more(r);
	default:
		return read_value(r);
	}
}

static bool open_container(reader *r, bh_json_type type)
{
	if (r->depth == BH_JSON_DEPTH_MAX)
		return fail(r, r->at, "nested deeper than " G_STRINGIFY(BH_JSON_DEPTH_MAX) " levels");

	r->open[r->depth++] = r->json->count;
	push(r, type, r->at++);
	r->want = type == BH_JSON_OBJECT ? WANT_FIRST_NAME : WANT_FIRST_ITEM;
	r->after_comma = false;
	return true;
}

static bool close_container(reader *r)
{
	uint32_t index = r->open[--r->depth];
	bh_json_node *node = &r->json->nodes[index];

	r->at++;
	node->end = (uint32_t)(r->at - r->json->text);
	node->after = r->json->count;
	if (node->type == BH_JSON_OBJECT && !names_differ(r, index))
		return false;
	return done_with_value(r);
}

static bool read_value(reader *r)
{
	if (r->at >= r->end)
		return fail_expected(r, "a value");

	switch (*r->at) {
	case '{':
		return open_container(r, BH_JSON_OBJECT);
	case '[':
		return open_container(r, BH_JSON_ARRAY);
	case '"':
		return read_string(r) && done_with_value(r);
	case 't':
		return read_word(r, "true", BH_JSON_TRUE);
	case 'f':
		return read_word(r, "false", BH_JSON_FALSE);
	case 'n':
		return read_word(r, "null", BH_JSON_NULL);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return read_number(r);
	default:
		return fail_expected(r, "a value");
	}
}

static bool read_name(reader *r)
{
	if (r->at >= r->end || *r->at != '"')
		return fail_expected(r, "a member's name in double quotes");
	if (!read_string(r))
		return false;

	while (r->at < r->end && is_space(*r->at))
		r->at++;
	r->after_comma = false;
	if (r->at >= r->end || *r->at != ':')
		return fail_expected(r, "':' after the member's name");
	r->at++;
	r->want = WANT_VALUE;
	return true;
}

static bool read_more(reader *r)
{
	bool object = r->json->nodes[r->open[r->depth - 1]].type == BH_JSON_OBJECT;
	char c = r->at < r->end ? *r->at : '\0';

	if (c == (object ? '}' : ']'))
		return close_container(r);
	r->after_comma = false;
	if (c != ',')
		return fail_expected(r, object ? "',' or '}' after the member" : "',' or ']' after the item");
	r->at++;
	r->after_comma = true;
	r->want = object ? WANT_NAME : WANT_VALUE;
	return true;
}

static bool read_word(reader *r, const char *word, bh_json_type type)
{
	size_t size = strlen(word), left = (size_t)(r->end - r->at);

	if (left < size && memcmp(r->at, word, left) == 0)
		return fail_at_end(r, word);
	if (left < size || memcmp(r->at, word, size) != 0)
		return fail_expected(r, "a value");
	push(r, type, r->at)->end = (uint32_t)(r->at - r->json->text + size);
	r->at += size;
	return done_with_value(r);
}

static inline bool digit_next(const reader *r)
{
	return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* One digit or more. */
static bool read_digits(reader *r)
{
	if (!digit_next(r))
		return fail_expected(r, "a digit");
	while (digit_next(r))
		r->at++;
	return true;
}

static bool read_fraction(reader *r)
{
	r->at++;
	return read_digits(r);
}

static bool read_exponent(reader *r)
{
	r->at++;
	if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
		r->at++;
	return read_digits(r);
}

static bool read_number(reader *r)
{
	const char *start = r->at;

	r->after_comma = false;
	if (*r->at == '-')
		r->at++;
	const char *first = r->at;
	if (!read_digits(r))
		return false;
	if (*first == '0' && r->at - first > 1)
		return fail(r, first, "a number does not begin with 0");
	if (r->at < r->end && *r->at == '.' && !read_fraction(r))
		return false;
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E') && !read_exponent(r))
		return false;

	push(r, BH_JSON_NUMBER, start)->end = (uint32_t)(r->at - r->json->text);
	return done_with_value(r);
}

/* --- Strings ----------------------------------------------------------------------------- */

/*
 * Passes over printable ASCII, eight bytes at a time. A byte that ends the run (quote, backslash,
 * control character, beyond ASCII) sets its highest bit in `stops`; bytes after the first such one
 * may be set wrongly, through the borrow, and do not matter.
 */
static inline const char *skip_plain(const char *at, const char *end)
{
	const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;

	for (; end - at >= 8; at += 8) {
		uint64_t bytes;
		memcpy(&bytes, at, 8);
		bytes = GUINT64_FROM_LE(bytes);
		uint64_t quote = bytes ^ ones * '"', backslash = bytes ^ ones * '\\';
		uint64_t stops = ((quote - ones) | (backslash - ones) | (bytes - ones * 0x20) | bytes) & highs;
		if (stops)
			return at + __builtin_ctzll(stops) / 8;
	}
	while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
		at++;
	return at;
}

static bool four_hex(const reader *r, const char *at)
{
	for (int i = 0; i < 4; i++)
		if (at + i >= r->end || !g_ascii_isxdigit(at[i]))
			return false;
	return true;
}

/* The \u escape at r->at; the first of a surrogate pair wants its second. */
static bool read_unicode(reader *r)
{
	const char *at = r->at;

	if (!four_hex(r, at + 2))
		return r->end - at < 6 && r->cut ? fail_at_end(r, "an escape")
						 : fail(r, at, "\\u wants four hexadecimal digits");
	r->at += 6;
	if (g_ascii_tolower(at[2]) != 'd' || g_ascii_xdigit_value(at[3]) < 8)
		return true;

	bool high = g_ascii_xdigit_value(at[3]) < 12;
	if (high && r->end - r->at < 6 && r->cut)
		return fail_at_end(r, "an escape");
	bool paired = high && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u' && four_hex(r, r->at + 2) &&
		      g_ascii_tolower(r->at[2]) == 'd' && g_ascii_xdigit_value(r->at[3]) >= 12;
	if (!paired)
		return fail(r, at, "a surrogate without its other half");
	r->at += 6;
	return true;
}

static bool read_escape(reader *r)
{
	if (r->end - r->at < 2)
		return fail_at_end(r, "the end of a string");
	if (r->at[1] == 'u')
		return read_unicode(r);
	if (r->at[1] == '\0' || !strchr("\"\\/bfnrt", r->at[1]))
		return fail(r, r->at, "there is no such escape (a backslash itself is written \\\\)");
	r->at += 2;
	return true;
}

/* What is neither plain nor the end of a string: an escape, a control character, UTF-8. */
static bool read_special(reader *r)
{
	if (r->at >= r->end)
		return fail_at_end(r, "the end of a string");
	if (*r->at == '\\')
		return read_escape(r);
	if ((unsigned char)*r->at < 0x20)
		return fail(r, r->at, "a control character in a string must be escaped");

	unsigned length = bh_utf8_length(r->at, r->end);
	if (length == 0)
		return r->cut && r->end - r->at < 4 ? fail_at_end(r, "the end of a string")
						    : fail(r, r->at, "the text is not valid UTF-8");
	r->at += length;
	return true;
}

static bool read_string(reader *r)
{
	const char *start = r->at++;
	bool escaped = false;

	while ((r->at = skip_plain(r->at, r->end)) == r->end || *r->at != '"') {
		escaped |= r->at < r->end && *r->at == '\\';
		if (!read_special(r))
			return false;
	}
	r->at++;

	bh_json_node *node = push(r, BH_JSON_STRING, start);
	node->end = (uint32_t)(r->at - r->json->text);
	node->escaped = escaped;
	return true;
}

/* --- Names of one object ------------------------------------------------------------------ */

static void *at_least(void *memory, size_t *room, size_t need, size_t unit)
{
	if (need <= *room)
		return memory;
	*room = MAX(need, 2 * *room);
	return g_realloc_n(memory, *room, unit);
}

/* Fills json->names with the object's names, decoded; what was escaped lies in json->decoded. */
static size_t collect_names(bh_json *json, uint32_t object)
{
	size_t count = 0, escaped_bytes = 0;
	const bh_json_node *nodes = json->nodes;

	for (uint32_t name = object + 1; name < nodes[object].after; name = nodes[name + 1].after, count++)
		escaped_bytes += nodes[name].escaped ? nodes[name].end - nodes[name].start : 0;
	json->names = at_least(json->names, &json->names_room, count, sizeof *json->names);
	json->decoded = at_least(json->decoded, &json->decoded_room, escaped_bytes, 1);

	char *decoded = json->decoded;
	bh_span *to = json->names;
	for (uint32_t name = object + 1; name < nodes[object].after; name = nodes[name + 1].after, to++) {
		*to = (bh_span){json->text + nodes[name].start + 1, nodes[name].end - nodes[name].start - 2};
		if (nodes[name].escaped) {
			*to = (bh_span){decoded, bh_json_decode(*to, decoded)};
			decoded += to->size;
		}
	}
	return count;
}

/* The number of a name that was there before; `count` when all differ. */
static size_t find_repeat_comparing(const bh_span *names, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if (names[i].size == names[k].size && memcmp(names[i].at, names[k].at, names[i].size) == 0)
				return i;
	return count;
}

static size_t find_repeat_hashing(const bh_span *names, size_t count)
{
	size_t room = 64;
	while (room < 2 * count)
		room *= 2;

	g_autofree uint32_t *table = g_new0(uint32_t, room); /* number of a name + 1 */
	for (size_t i = 0; i < count; i++) {
		size_t place = bh_hash(names[i]) & (room - 1);
		for (; table[place]; place = (place + 1) & (room - 1))
			if (bh_span_equal(names[table[place] - 1], names[i]))
				return i;
		table[place] = (uint32_t)i + 1;
	}
	return count;
}

static bool names_differ(reader *r, uint32_t object)
{
	size_t count = collect_names(r->json, object);
	size_t repeat = count <= NAMES_COMPARED ? find_repeat_comparing(r->json->names, count)
						: find_repeat_hashing(r->json->names, count);
	if (repeat == count)
		return true;

	uint32_t name = object + 1;
	for (size_t i = 0; i < repeat; i++)
		name = r->json->nodes[name + 1].after;
	bh_span text = bh_span_cut(bh_json_text(r->json, name), 80);
	g_autofree char *why = g_strdup_printf("the object has the member %.*s twice", (int)text.size, text.at);
	return fail(r, text.at, why);
}

/* --- The whole ---------------------------------------------------------------------------- */

static void start_over(bh_json *json, bh_span text)
{
	if (json->room > NODES_KEPT) {
		g_clear_pointer(&json->nodes, g_free);
		json->room = 0;
		g_clear_pointer(&json->names, g_free);
		json->names_room = 0;
		g_clear_pointer(&json->decoded, g_free);
		json->decoded_room = 0;
	}
	json->text = text.at;
	json->count = 0;
	json->line = json->column = 0;
}

bool bh_json_parse_at(bh_json *json, bh_span text, size_t from, size_t most, size_t *ret_end, GError **error)
{
	if (!text.at)
		text.at = ""; /* nothing may be added to NULL, not even 0 */
	start_over(json, text);
	if (text.size >= UINT32_MAX) {
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT, "the text is too long to be read as JSON");
		return false;
	}

	size_t start = bh_json_skip_space(text, from);
	reader r = {.json = json, .whole = text, .most = most, .error = error};
	r.cut = text.size - start > most;
	r.at = text.at + start;
	r.end = r.at + (r.cut ? most : text.size - start);
	if (start == 0 && text.size >= 3 && memcmp(text.at, "\xEF\xBB\xBF", 3) == 0)
		return fail(&r, r.at, "the text begins with a byte order mark: leave it out");

	while (r.want != WANT_NOTHING)
		if (!step(&r))
			return false;
	*ret_end = (size_t)(r.at - text.at);
	return true;
}

bool bh_json_parse(bh_json *json, bh_span text, GError **error)
{
	size_t end;

	if (!bh_json_parse_at(json, text, 0, SIZE_MAX, &end, error))
		return false;
	end = bh_json_skip_space(text, end);
	if (end == text.size)
		return true;
	reader r = {.json = json, .whole = text, .error = error};
	return fail(&r, text.at + end, "expected nothing more after the value");
}

/* --- Nodes ------------------------------------------------------------------------------- */

uint32_t bh_json_count(const bh_json *json)
{
	return json->count;
}

bh_json_type bh_json_type_of(const bh_json *json, uint32_t node)
{
	return (bh_json_type)json->nodes[node].type;
}

bh_span bh_json_text(const bh_json *json, uint32_t node)
{
	const bh_json_node *n = &json->nodes[node];

	return (bh_span){json->text + n->start, n->end - n->start};
}

uint32_t bh_json_first(const bh_json *json, uint32_t parent)
{
	return json->nodes[parent].after > parent + 1 ? parent + 1 : BH_JSON_NONE;
}

uint32_t bh_json_next(const bh_json *json, uint32_t parent, uint32_t child)
{
	bool object = json->nodes[parent].type == BH_JSON_OBJECT;
	uint32_t next = json->nodes[object ? child + 1 : child].after;

	return next < json->nodes[parent].after ? next : BH_JSON_NONE;
}

uint32_t bh_json_member(const bh_json *json, uint32_t object, const char *name)
{
	if (bh_json_type_of(json, object) != BH_JSON_OBJECT)
		return BH_JSON_NONE;
	for (uint32_t c = bh_json_first(json, object); c != BH_JSON_NONE; c = bh_json_next(json, object, c))
		if (bh_json_string_is(json, c, name))
			return c + 1;
	return BH_JSON_NONE;
}
