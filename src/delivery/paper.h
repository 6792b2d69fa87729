/* The loop's side of papers: see paper.c. Loop thread only. */
#pragma once

#include "delivery/loop.h"

/* Looks at a webhook anew, as the directory and the store have it now (loop.c). */
void bh_loop_look_at(bh_loop *loop, bh_id webhook);
/* A delivery for the scheduler; where its lane is closed, its webhook is looked at. `event` may be NULL. */
void bh_loop_offer(bh_loop *loop, const bh_waiting *w, bh_event *event, bool is_urgent);

void bh_loop_paper_back(bh_loop *loop, bh_paper *paper);
void bh_loop_resubmit_due(bh_loop *loop);
/* At the end of a loop that could not wait any longer. */
void bh_loop_abandon_postponed(bh_loop *loop);
