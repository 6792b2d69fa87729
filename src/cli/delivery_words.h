/* What there is to say about a delivery, where one of its members alone does not say it. Pure. */
#pragma once

#include "cli/view.h"

/* Why it ended or waits, in sentences; NULL: there is nothing to say. As `words` of a bh_view_row. */
char *bh_delivery_why(const bh_view *view, const bh_json *json, uint32_t delivery);
/* What it waits for: "an earlier one with the order key ...", or its webhook's turn; NULL: for nothing but its time. */
char *bh_delivery_waits_for(const bh_view *view, const bh_json *json, uint32_t delivery);
