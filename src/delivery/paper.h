/* The loop's side of papers: see paper.c. Loop thread only. */
#pragma once

#include "delivery/loop.h"

void bh_loop_paper_back(bh_loop *loop, bh_paper *paper);
void bh_loop_resubmit_due(bh_loop *loop);
