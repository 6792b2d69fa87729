#include "store/shorthand.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

#define MARK '~'

#define ENTRY(letter_, text_) \
	{ \
		(letter_), sizeof(text_) - 1, (text_) \
	}

/*
 * Rows on disk hold these letters: entries may be added, with letters that are free, and never changed or removed. One
 * that ends with \n is a whole line. Those with the same first character stand together, the longer of two that begin
 * alike first.
 */
static const struct entry {
	char letter;
	unsigned char size;
	const char *text;
} ENTRIES[] = {
	ENTRY('a', "POST /"),
	ENTRY('b', "Host: "),
	ENTRY('n', "HTTP/1.1 200 OK\n"),
	ENTRY('o', "HTTP/1.1 "),
	ENTRY('p', "HTTP/2 200\n"),
	ENTRY('q', "HTTP/2 "),
	ENTRY('c', "Content-Type: application/json\n"),
	ENTRY('w', "Content-Type: text/html; charset="),
	ENTRY('x', "Content-Type: text/plain"),
	ENTRY('y', "Content-Type: "),
	ENTRY('h', "Content-Length: 0\n"),
	ENTRY('i', "Content-Length: 2\n"),
	ENTRY('j', "Content-Length: "),
	ENTRY('u', "Connection: keep-alive\n"),
	ENTRY('v', "Connection: close\n"),
	ENTRY('A', "Cache-Control: "),
	ENTRY('d', "User-Agent: Bellhop/"),
	ENTRY('e', "webhook-id: evt_"),
	ENTRY('f', "webhook-timestamp: "),
	ENTRY('g', "webhook-signature: v1,"),
	ENTRY('r', "Date: "),
	ENTRY('s', "Server: nginx"),
	ENTRY('t', "Server: "),
	ENTRY('E', "Strict-Transport-Security: max-age="),
	ENTRY('F', "Set-Cookie: "),
	ENTRY('k', "traceparent: 00-"),
	ENTRY('l', "Authorization: ***\n"),
	ENTRY('m', "Accept: */*\n"),
	ENTRY('z', "Transfer-Encoding: chunked\n"),
	ENTRY('B', "Keep-Alive: timeout="),
	ENTRY('C', "Vary: "),
	ENTRY('D', "X-Powered-By: "),
	ENTRY('G', "X-Request-Id: "),
	ENTRY('H', "date: "),
	ENTRY('I', "server: "),
	ENTRY('N', "strict-transport-security: max-age="),
	ENTRY('O', "set-cookie: "),
	ENTRY('J', "content-type: application/json"),
	ENTRY('K', "content-type: "),
	ENTRY('L', "content-length: "),
	ENTRY('M', "cache-control: "),
	ENTRY('P', "x-request-id: "),
};

/* Where those of a first character begin; behind the end: there is none. */
static unsigned char first_of[UCHAR_MAX + 1];

static void index_entries(void)
{
	memset(first_of, G_N_ELEMENTS(ENTRIES), sizeof first_of);
	for (size_t i = G_N_ELEMENTS(ENTRIES); i-- > 0;)
		first_of[(unsigned char)ENTRIES[i].text[0]] = (unsigned char)i;
}

static const struct entry *entry_for(const char *line)
{
	for (size_t i = first_of[(unsigned char)*line]; i < G_N_ELEMENTS(ENTRIES); i++) {
		if (ENTRIES[i].text[0] != *line)
			return NULL;
		if (strncmp(line, ENTRIES[i].text, ENTRIES[i].size) == 0)
			return &ENTRIES[i];
	}
	return NULL;
}

/* Returns where it ends in `to`. */
static char *write_plainly(char *to, const char *text, size_t size)
{
	if (!memchr(text, MARK, size)) {
		memcpy(to, text, size);
		return to + size;
	}
	for (size_t i = 0; i < size; i++) {
		if (text[i] == MARK)
			*to++ = MARK;
		*to++ = text[i];
	}
	return to;
}

void bh_shorthand_write(GString *out, const char *text)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *end = text + strlen(text);

	pthread_once(&once, index_entries);
	g_string_set_size(out, 2 * (gsize)(end - text)); /* nothing becomes longer than that */
	char *to = out->str;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *next = newline ? newline + 1 : end;
		const struct entry *entry = entry_for(text);
		if (entry) {
			*to++ = MARK;
			*to++ = entry->letter;
			text += entry->size;
		}
		to = write_plainly(to, text, (size_t)(next - text));
		text = next;
	}
	g_string_truncate(out, (gsize)(to - out->str));
}

static const char *text_of(char letter)
{
	for (size_t i = 0; i < G_N_ELEMENTS(ENTRIES); i++) {
		if (ENTRIES[i].letter == letter)
			return ENTRIES[i].text;
	}
	return NULL;
}

char *bh_shorthand_read(const char *stored)
{
	GString *text = g_string_new(NULL);

	for (const char *c = stored; *c; c++) {
		const char *meaning = *c == MARK ? text_of(c[1]) : NULL;
		if (meaning)
			g_string_append(text, meaning);
		else
			g_string_append_c(text, *c);
		if (*c == MARK && (meaning || c[1] == MARK))
			c++;
	}
	return g_string_free(text, FALSE);
}
