#include "store/facts.h"

#include "base/error.h"
#include "store/words.h"

#include <string.h>

#define EMPTY "-"

static void add_text(GString *words, const char *text)
{
	if (!text || *text == '\0')
		g_string_append(words, EMPTY);
	else if (strcmp(text, EMPTY) == 0)
		bh_words_add_text(words, text, '-');
	else
		bh_words_add_text(words, text, 0);
	g_string_append_c(words, ' ');
}

static void add_number(GString *words, int64_t number)
{
	bh_words_add_number(words, number);
	g_string_append_c(words, ' ');
}

void bh_facts_write(GString *words, const bh_attempt_row *a)
{
	g_string_truncate(words, 0);
	add_text(words, a->outcome);
	add_text(words, a->cause);
	add_number(words, a->status);
	add_text(words, a->http_version);
	add_text(words, a->address);
	add_number(words, a->dns);
	add_number(words, a->connect);
	add_number(words, a->tls);
	add_number(words, a->first_byte);
	add_number(words, a->total);
	add_text(words, a->shape);
	g_string_truncate(words, words->len - 1);
}

enum { OUTCOME, CAUSE, STATUS, HTTP_VERSION, ADDRESS, DNS, CONNECT, TLS, FIRST_BYTE, TOTAL, SHAPE, COUNT };

static bool is_number(int place)
{
	return place == STATUS || (place >= DNS && place <= TOTAL);
}

/* Puts the meaning in the word's place. */
static bool decode(char **word)
{
	char *text = strcmp(*word, EMPTY) == 0 ? g_strdup("") : bh_word_text(*word);

	if (!text)
		return false;
	g_free(*word);
	*word = text;
	return true;
}

static bool read_all(char **words, gint64 numbers[COUNT])
{
	if (g_strv_length(words) != COUNT)
		return false;
	for (int place = 0; place < COUNT; place++) {
		bool right = is_number(place) ? g_ascii_string_to_signed(words[place], 10, G_MININT64, G_MAXINT64,
									 &numbers[place], NULL)
					      : decode(&words[place]);
		if (!right)
			return false;
	}
	return true;
}

char **bh_facts_read(const char *text, bh_attempt_row *ret, GError **error)
{
	g_auto(GStrv) words = g_strsplit(text, " ", -1);
	gint64 numbers[COUNT] = {0};

	if (!read_all(words, numbers)) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "\"%s\" are not the facts of an attempt", text);
		return NULL;
	}
	ret->outcome = words[OUTCOME];
	ret->cause = words[CAUSE];
	ret->status = (int)numbers[STATUS];
	ret->http_version = words[HTTP_VERSION];
	ret->address = words[ADDRESS];
	ret->dns = numbers[DNS];
	ret->connect = numbers[CONNECT];
	ret->tls = numbers[TLS];
	ret->first_byte = numbers[FIRST_BYTE];
	ret->total = numbers[TOTAL];
	ret->shape = words[SHAPE];
	return g_steal_pointer(&words);
}
