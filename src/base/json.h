/*
 * A strict reader of JSON (RFC 8259) that keeps the text as it came.
 *
 * It checks a whole text and yields a flat row of nodes that point into it; nothing is
 * decoded or rewritten, so numbers, escapes and spacing survive. Stricter than the RFC where
 * parsers disagree: refused are duplicate names in one object (compared decoded, so
 * "property\u005fuid" equals "property_uid"), invalid UTF-8, lone surrogates, nesting over
 * 64 levels. Not recursive: depth costs no stack.
 */
#pragma once

#include "base/span.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define BH_JSON_DEPTH_MAX 64

typedef enum bh_json_type {
	BH_JSON_OBJECT,
	BH_JSON_ARRAY,
	BH_JSON_STRING, /* the text includes the quotes */
	BH_JSON_NUMBER,
	BH_JSON_TRUE,
	BH_JSON_FALSE,
	BH_JSON_NULL,
} bh_json_type;

/* In an object, children come in pairs: name, value, name, value ... */
typedef struct bh_json_node {
	uint32_t start; /* first byte in the text */
	uint32_t end; /* one past the last */
	uint32_t after; /* index of the node after this one and all inside it */
	uint8_t type; /* bh_json_type */
	bool escaped; /* a string with at least one backslash */
} bh_json_node;

/* A parsed text. Reusable: parsing again keeps the memory. Node 0 is the whole value. */
typedef struct bh_json bh_json;

bh_json *bh_json_new(void);
void bh_json_free(bh_json *json);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_json, bh_json_free)

/*
 * Parses `text`, which must outlive the use of the nodes. False with BH_ERROR_INVALID and a
 * message that ends in "(line L, column C)" (columns count bytes from 1); the line and column
 * also through bh_json_trouble.
 */
bool bh_json_parse(bh_json *json, bh_span text, GError **error);
void bh_json_trouble(const bh_json *json, unsigned *ret_line, unsigned *ret_column);

/*
 * The same for the one value that begins at byte `from` of `text`, after any white space; what
 * follows it is not looked at, and *ret_end is one past it. So a long row of values is read with the
 * memory of one. A value of more than `most` bytes gives BH_ERROR_LIMIT. Lines and columns, and
 * the nodes, count from the start of `text`.
 */
bool bh_json_parse_at(bh_json *json, bh_span text, size_t from, size_t most, size_t *ret_end, GError **error);

/* The first byte at or after `from` that is not white space; text.size when there is none. */
size_t bh_json_skip_space(bh_span text, size_t from);

/* The line and column of byte `at` of `text`, from 1. */
void bh_json_place(bh_span text, size_t at, unsigned *ret_line, unsigned *ret_column);

/* Node numbers are uint32_t; 0 is the root, BH_JSON_NONE is "not there". */
#define BH_JSON_NONE UINT32_MAX
uint32_t bh_json_count(const bh_json *json); /* how many there are; of a text that was refused: were, by then */
bh_json_type bh_json_type_of(const bh_json *json, uint32_t node);
bh_span bh_json_text(const bh_json *json, uint32_t node); /* the very bytes, quotes included */

/* The value of member `name` of an object node, or BH_JSON_NONE (also when it is no object). */
uint32_t bh_json_member(const bh_json *json, uint32_t object, const char *name);

/*
 * Walks children: for (c = bh_json_first(j, n); c != BH_JSON_NONE; c = bh_json_next(j, n, c)).
 * In an object the children visited are the names; the value of name `c` is node c + 1.
 */
uint32_t bh_json_first(const bh_json *json, uint32_t parent);
uint32_t bh_json_next(const bh_json *json, uint32_t parent, uint32_t child);

/* A string node decoded (new text, NUL-terminated); NULL when it is no string or holds \u0000. */
char *bh_json_string(const bh_json *json, uint32_t node);

/* Does this string node, decoded, equal `text`? No allocation. */
bool bh_json_string_is(const bh_json *json, uint32_t node, const char *text);

/* An integer node within int64. False: no number, a fraction, an exponent, or too large. */
bool bh_json_int(const bh_json *json, uint32_t node, int64_t *ret);

/* Appends `text` as a JSON string with quotes; what is not UTF-8 becomes U+FFFD. */
void bh_json_append_string(GString *out, bh_span text);
