/*
 * Rows hold some things as words in one text: cheaper to write than a column or a row for each, and readable still. A
 * word ends at a blank; what would end it, or is not to be seen, is written as %xx.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* `also` is one more character to be written as %xx; 0: none. */
void bh_words_add_text(GString *words, const char *text, char also);
void bh_words_add_number(GString *words, int64_t number);

/* A new text, or NULL: not such a word. */
char *bh_word_text(const char *word);
