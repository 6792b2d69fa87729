#include "store/words.h"

#include <string.h>

/* As g_string_append_len, for pieces so short that the call would be most of the cost. */
static void append(GString *words, const char *text, size_t size)
{
	if (words->len + size >= words->allocated_len) {
		g_string_append_len(words, text, (gssize)size);
		return;
	}
	memcpy(words->str + words->len, text, size);
	words->len += size;
	words->str[words->len] = '\0';
}

void bh_words_add_text(GString *words, const char *text, char also)
{
	const char *plain = text;

	for (; *text; text++) {
		if ((unsigned char)*text > ' ' && *text != '%' && *text != also)
			continue;
		append(words, plain, (size_t)(text - plain));
		g_string_append_printf(words, "%%%02x", (unsigned char)*text);
		plain = text + 1;
	}
	append(words, plain, (size_t)(text - plain));
}

/* Ids are most of what is written so, and printf takes longer over one than the database over the row. */
void bh_words_add_number(GString *words, int64_t number)
{
	char digits[20];
	size_t at = sizeof digits;
	uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;

	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (number < 0)
		g_string_append_c(words, '-');
	append(words, digits + at, sizeof digits - at);
}

char *bh_word_text(const char *word)
{
	return g_uri_unescape_string(word, NULL);
}
