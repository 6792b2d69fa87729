/*
 * The slow look: what only time brings about, looked for once in a while. A wake-up is a hint; this look at the store is
 * the guarantee. Loop thread only.
 */
#pragma once

#include "delivery/loop.h"

/* At the start: opens the lanes of what waits, takes up runs of failures and recoveries, sees to what was left behind. */
void bh_upkeep_begin(bh_loop *loop);
/* When it is time. */
void bh_upkeep_look(bh_loop *loop);
bh_usec bh_upkeep_next(const bh_loop *loop);

/* A sweep that set deliveries aside is over; `kept`: its last step was. */
void bh_upkeep_ended(bh_loop *loop, const bh_write *sweep, bool kept);
