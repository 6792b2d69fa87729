/* The runs of failures of a loop's webhooks: loaded at start (or as soon as the store can be read), folded with each attempt, stored with it. Loop thread only. */
#pragma once

#include "delivery/loop.h"

GHashTable *bh_streaks_new(void);
/* Unless they are known already. */
void bh_loop_load_streaks(bh_loop *loop);

/* Where a webhook leads, as a number that differs when it leads elsewhere; never 0. */
uint64_t bh_loop_receiver_of(const bh_webhook *webhook);
/* Is its run of failures, if there is one, that of another receiver than it leads to now? */
bool bh_loop_streak_is_foreign(const bh_loop *loop, const bh_webhook *webhook);

/* As it is now; all zero: the last attempt went well. */
bh_streak bh_loop_streak(const bh_loop *loop, bh_id webhook);

/* One more attempt of this version of the webhook: what it changes goes along with its record. May warn, or disable the webhook. */
void bh_loop_fold_streak(bh_loop *loop, bh_webhook *attempted, bh_paper *record, const bh_conclusion *conclusion,
			 bh_state state);

/* A delivery of the webhook was exhausted without an attempt, behind an open breaker. */
void bh_loop_exhausted_unsent(bh_loop *loop, bh_id webhook);

/* The run is over whatever comes: the webhook was switched off, or leads elsewhere. */
void bh_loop_forget_streak(bh_loop *loop, bh_id webhook);

/* Warnings that only time brings about. Part of the slow look. */
void bh_loop_watch_streaks(bh_loop *loop);
