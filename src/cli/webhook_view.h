/* How webhooks are shown: rows for cli/view.h. What its owner set as numbers and lists is said as he would say it. */
#pragma once

#include "cli/view.h"

extern const bh_view_row BH_WEBHOOKS_VIEW[]; /* a line in a list */
extern const bh_view_row BH_WEBHOOK_VIEW[]; /* one as a whole */
extern const bh_view_row BH_NEW_WEBHOOK_VIEW[]; /* one that was just made, with its secret */
