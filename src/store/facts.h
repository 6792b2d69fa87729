/*
 * The short facts of an attempt as words of one text in its row:
 *
 *   <outcome> <cause> <status> <HTTP version> <address> <dns> <connect> <tls> <first byte> <total> <shape>
 *   "delivered - 200 1.1 192.0.2.1:443 812 1630 4022 9120 9204 standard"
 *
 * "-" is an empty one. A column for each of the eleven would double the cost of the row.
 */
#pragma once

#include "store/store.h"

/* Replaces what `words` holds. */
void bh_facts_write(GString *words, const bh_attempt_row *attempt);

/* Sets those fields of `ret`; its texts are in the result (free with g_strfreev). NULL with BH_ERROR_IO: not such a text. */
char **bh_facts_read(const char *words, bh_attempt_row *ret, GError **error);
