#include "cli/lua_words.h"

#include <string.h>

/* Where in the source it is. */
typedef struct reader {
	bh_span rest;
	unsigned line;
} reader;

static void skip(reader *r, size_t size)
{
	size = MIN(size, r->rest.size);
	for (size_t i = 0; i < size; i++)
		r->line += r->rest.at[i] == '\n';
	r->rest.at += size;
	r->rest.size -= size;
}

static char look(const reader *r, size_t at)
{
	return at < r->rest.size ? r->rest.at[at] : '\0';
}

static bool is_name_part(char c)
{
	return g_ascii_isalnum(c) || c == '_';
}

/* Of "[[" or "[==[" the whole size; 0: no long bracket begins here. */
static size_t long_bracket(const reader *r, size_t at)
{
	size_t level = 0;
	if (look(r, at) != '[')
		return 0;
	while (look(r, at + 1 + level) == '=')
		level++;
	return look(r, at + 1 + level) == '[' ? level + 2 : 0;
}

/* The size of what follows the opening bracket, with the closing one; without an end, all the rest. */
static size_t long_size(const reader *r, size_t opening)
{
	for (size_t i = opening; i + opening <= r->rest.size; i++) {
		size_t level = 0;
		if (r->rest.at[i] != ']')
			continue;
		while (look(r, i + 1 + level) == '=')
			level++;
		if (level == opening - 2 && look(r, i + 1 + level) == ']')
			return i + opening;
	}
	return r->rest.size;
}

static void skip_comment(reader *r)
{
	size_t opening = long_bracket(r, 2);
	if (opening) {
		skip(r, 2);
		skip(r, long_size(r, opening));
		return;
	}
	const char *end = memchr(r->rest.at, '\n', r->rest.size);
	skip(r, end ? (size_t)(end - r->rest.at) : r->rest.size);
}

static size_t quoted_size(const reader *r)
{
	size_t i = 1;
	while (i < r->rest.size && r->rest.at[i] != r->rest.at[0])
		i += r->rest.at[i] == '\\' ? 2 : 1;
	return MIN(i + 1, r->rest.size);
}

static size_t run_of(const reader *r, bool (*belongs)(char))
{
	size_t size = 0;
	while (size < r->rest.size && belongs(r->rest.at[size]))
		size++;
	return size;
}

static size_t sign_size(const reader *r)
{
	static const char *const signs[] = {"...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>"};
	for (size_t i = 0; i < G_N_ELEMENTS(signs); i++)
		if (strlen(signs[i]) <= r->rest.size && memcmp(r->rest.at, signs[i], strlen(signs[i])) == 0)
			return strlen(signs[i]);
	return 1;
}

/* Reads the word that begins here; `ret_size` is how far it goes. */
static bh_lua_word read_word(const reader *r, size_t *ret_size)
{
	bh_lua_word word = {.line = r->line};
	size_t opening = long_bracket(r, 0), cut = 0;
	char first = r->rest.at[0];
	if (opening || first == '"' || first == '\'') {
		word.kind = BH_LUA_TEXT;
		cut = opening ? opening : 1;
		*ret_size = opening ? long_size(r, opening) : quoted_size(r);
	} else if (g_ascii_isdigit(first)) {
		word.kind = BH_LUA_NUMBER;
		*ret_size = run_of(r, is_name_part);
	} else if (is_name_part(first)) {
		word.kind = BH_LUA_NAME;
		*ret_size = run_of(r, is_name_part);
	} else {
		word.kind = BH_LUA_SIGN;
		*ret_size = sign_size(r);
	}
	word.text = (bh_span){r->rest.at + cut, *ret_size > 2 * cut ? *ret_size - 2 * cut : 0};
	return word;
}

GArray *bh_lua_words(bh_span source)
{
	GArray *words = g_array_new(FALSE, FALSE, sizeof(bh_lua_word));
	reader r = {.rest = source, .line = 1};
	while (r.rest.size > 0) {
		size_t size = 1;
		if (look(&r, 0) == '-' && look(&r, 1) == '-') {
			skip_comment(&r);
			continue;
		}
		if (!g_ascii_isspace(look(&r, 0))) {
			bh_lua_word word = read_word(&r, &size);
			g_array_append_val(words, word);
		}
		skip(&r, size);
	}
	return words;
}

bool bh_lua_is(const bh_lua_word *word, const char *text)
{
	return word->kind != BH_LUA_TEXT && bh_span_equal(word->text, bh_span_of(text));
}
