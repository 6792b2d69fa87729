/* A borrowed piece of text or bytes: where it starts and how long it is. No NUL at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct bh_span {
	const char *at; /* may be NULL when size is 0 */
	size_t size;
} bh_span;

static inline bh_span bh_span_of(const char *text)
{
	return (bh_span){text, text ? strlen(text) : 0};
}

static inline bool bh_span_equal(bh_span a, bh_span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static inline bool bh_span_is(bh_span a, const char *text)
{
	return bh_span_equal(a, bh_span_of(text));
}

/* The first `most` bytes of UTF-8 text at the most, never half a character. */
static inline bh_span bh_span_cut(bh_span text, size_t most)
{
	if (text.size <= most)
		return text;
	while (most > 0 && ((unsigned char)text.at[most] & 0xC0) == 0x80)
		most--;
	return (bh_span){text.at, most};
}
