/*
 * Text for people: safe on a terminal, of known width, times short. Pure; all results are new, NUL-terminated UTF-8.
 */
#pragma once

#include "base/span.h"
#include "base/time.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Text from outside as it may be shown: a receiver's answer must not move the cursor, recolour the screen
 * or turn the direction of writing. Control and format characters become \u001b and the like, what is no UTF-8 becomes
 * U+FFFD. With `lines`, line feeds and tabs stay.
 */
char *bh_text_visible(bh_span text, bool lines);

/* At least one character, and only ASCII ones that leave a mark: what can stand in a header. */
bool bh_text_is_visible_ascii(const char *text);

int bh_text_width(const char *text); /* in columns of a terminal */
char *bh_text_cut(const char *text, int width); /* to at most `width` columns, with an ellipsis where it was cut */

/* Breaks at blanks into lines of at most `width` columns (a longer word within). At least one; g_ptr_array_unref frees. */
GPtrArray *bh_text_wrap(const char *text, int width);

char *bh_text_ago(bh_usec at, bh_usec now); /* "now", "12 s ago", "in 5 min", beyond two weeks the date */
char *bh_text_moment(bh_usec at, bh_usec now); /* "2026-11-25 14:51:02 +0100 (3 min ago)", in the zone of the reader */
char *bh_text_clock(bh_usec at); /* "14:51:02.123", in the zone of the reader */
char *bh_text_span(bh_usec span); /* "0.8 ms", "12 ms", "1.4 s", "5 min", "3 h", "2 d" */
