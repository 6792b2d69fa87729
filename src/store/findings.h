/*
 * An event's findings as one readable text in its row, one word for each webhook looked at:
 *
 *   <webhook>:<verdict>:<delivery>[:<manager>]     "721:triggered:734:17 722:type_not_selected:0:17"
 *
 * Each replay of the event adds a line of the same form, so the number of the line is that of the round.
 *
 * Rows of their own would cost more than the delivery itself, and nobody asks for them but `explain`.
 */
#pragma once

#include "store/store.h"

/* Replaces what `text` holds. The deliveries belong to the findings that deliver, in that order. */
void bh_findings_write(GString *text, const bh_finding *findings, size_t count, bh_delivery *const *deliveries,
		       size_t delivery_count);

/* The same, as it is added to what the row has already: a line further down. */
void bh_findings_write_round(GString *text, const bh_finding *findings, size_t count, bh_delivery *const *deliveries,
			     size_t delivery_count);

/* NULL with BH_ERROR_IO: not such a text. */
bh_findings *bh_findings_read(const char *text, GError **error);
