/*
 * Headers of requests and answers are mostly the same words again and again, and an attempt's row is mostly headers. So
 * the usual beginnings of lines are stored as "~" and a letter: a third less to write for each delivery. A "~" of the
 * text itself is written "~~".
 */
#pragma once

#include <glib.h>

/* Replaces what `out` holds. */
void bh_shorthand_write(GString *out, const char *text);

/* The text as it was; a new one. Never fails: what is no shorthand stands for itself. */
char *bh_shorthand_read(const char *stored);
