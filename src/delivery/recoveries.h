/*
 * Recoveries under way: exhausted deliveries of a webhook that a person asked to be sent again, moved back to waiting some at
 * a time and no faster than their rate. How far each is stands in the store, so a restart goes on with it. Loop thread only.
 */
#pragma once

#include "delivery/loop.h"

/* Reads from the store which are under way. */
void bh_loop_read_recoveries(bh_loop *loop);
/* The one of this webhook: it began, or was cancelled. */
void bh_loop_read_recovery_of(bh_loop *loop, bh_id webhook);
/* Hands in the steps that are due. */
void bh_loop_recover_due(bh_loop *loop);
/* How long until the next one is; -1: there is none. */
bh_usec bh_loop_recover_next(const bh_loop *loop);
/* A step came back from the journal. */
void bh_loop_recover_back(bh_loop *loop, const bh_paper *paper);
