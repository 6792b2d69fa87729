/*
 * When a webhook that only fails is switched off, and when its owner is warned: a pure function of the attempts on record
 * (behaviour 9). The streak is folded attempt by attempt and stored with the attempt that changed it, so a restart forgets
 * nothing. Never by a count alone: a receiver's deploy of two minutes may fail a thousand times.
 */
#pragma once

#include "base/settings.h"
#include "delivery/outcome.h"
#include "store/store.h"

typedef struct bh_streak_policy {
	bh_usec disable_after;       /* 5 d: only failures for so long, and */
	bh_usec disable_gap;         /* 12 h: two deliveries exhausted at least so far apart */
	bh_usec warn_after;          /* 24 h after the first failure */
	bh_usec warn_before;         /* 24 h before disabling */
} bh_streak_policy;
bh_streak_policy bh_streak_policy_of(const bh_settings *settings);

typedef enum bh_warning {
	BH_WARNING_FAILING = 1,   /* it has been failing for warn_after */
	BH_WARNING_DISABLING = 2, /* it will be disabled in warn_before if nothing changes */
} bh_warning;

/*
 * The streak after one more attempt that began at `started` and led its delivery to `state` at `now`. True: it changed and
 * is to be stored. A success clears it. What says nothing about the receiver (BH_SIGNAL_NONE) changes nothing; neither do tests (the caller's business).
 */
bool bh_streak_fold(bh_streak *streak, const bh_conclusion *conclusion, bh_state state, bh_usec started, bh_usec now);

typedef enum bh_streak_verdict { BH_STREAK_FINE, BH_STREAK_WARN_FAILING, BH_STREAK_WARN_DISABLING, BH_STREAK_DISABLE } bh_streak_verdict;
/* What is to be done now, the most serious first. A warning given is noted in `warned` by the caller. */
bh_streak_verdict bh_streak_judge(const bh_streak *streak, const bh_streak_policy *policy, bh_usec now);
/* The earliest moment at which it would be disabled if every attempt went on failing; 0: not foreseeable (nothing was exhausted yet, or no streak). */
bh_usec bh_streak_disables_at(const bh_streak *streak, const bh_streak_policy *policy);
