/*
 * What a JSON string means: decoding text that bh_json_parse accepted. For json.h itself, and for who makes values of another
 * kind from its nodes, or text from such values.
 */
#pragma once

#include "base/span.h"

/*
 * Decodes the inside of a JSON string (without its quotes) to UTF-8 and returns the bytes
 * written: never more than the inside has. \u0000 becomes a NUL byte.
 */
size_t bh_json_decode(bh_span inside, char *out);

/* The length of the UTF-8 character at `at` (2 to 4), or 0: not UTF-8. For bytes from 0x80 on. */
unsigned bh_utf8_length(const char *at, const char *end);
