/* The loop's side of papers: see paper.c. Loop thread only. */
#pragma once

#include "delivery/loop.h"

/* Looks at a webhook anew, as the directory and the store have it now (loop.c). */
void bh_loop_look_at(bh_loop *loop, bh_id webhook);

void bh_loop_paper_back(bh_loop *loop, bh_paper *paper);
void bh_loop_resubmit_due(bh_loop *loop);
/* At the end of a loop that could not wait any longer. */
void bh_loop_abandon_postponed(bh_loop *loop);
