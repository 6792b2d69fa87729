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
