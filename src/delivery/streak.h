/*
 * When a webhook that only fails is switched off, and when its owner is warned: a pure function of the attempts on record
 * (behaviour 9). The streak is folded attempt by attempt and stored with the attempt that changed it, so a restart forgets
 * nothing. Never by a count alone: a receiver's deploy of two minutes may fail a thousand times.
 *
 *   failing_since        first_exhausted           notice                        disables_at
 *        |-------- disable_after (5 d) ---------------|---- warn_before (24 h) ------->|
 *                             |-- disable_gap (12 h) -->  last_exhausted               and a failed attempt then: off
 *
 * A run belongs to what the webhook leads to: who enables a webhook again, or lets it lead elsewhere, clears its streak.
 *
 * All times are of one clock, the steady one. What that clock did between two starts cannot be told from a receiver that was
 * down: so a webhook goes off only when its owner has had his notice, counted from when he was told; and a clock that went
 * back shortens a run, never lengthens it.
 */
#pragma once

#include "base/settings.h"
#include "delivery/outcome.h"
#include "store/store.h"

typedef struct bh_streak_policy {
	bh_usec disable_after;       /* 5 d: only failures for so long, and */
	bh_usec disable_gap;         /* 12 h: two deliveries exhausted at least so far apart */
	bh_usec warn_after;          /* 24 h after the first failure */
	bh_usec warn_before;         /* 24 h before disabling; no longer than disable_after */
} bh_streak_policy;
bh_streak_policy bh_streak_policy_of(const bh_settings *settings);

typedef enum bh_warning {
	BH_WARNING_FAILING = 1,   /* it has been failing for warn_after */
	BH_WARNING_DISABLING = 2, /* it will be disabled in warn_before if nothing changes */
} bh_warning;

/*
 * The streak after one more attempt that began at `started` and led its delivery to `state` at `now`. True: it changed and
 * is to be stored. A success clears it. What says nothing about the receiver (BH_SIGNAL_NONE) changes nothing, a delivery
 * that a method made up without asking it included; nor does a 410, which switches off by itself. Neither do tests (the
 * caller's business). Everything else is a failure, and one that ends its delivery counts as exhausted, a final refusal as well.
 *
 * Attempts are folded as they end. Several at a time may begin before and end after a success: the run then begins with the
 * one that began first. `last_exhausted` moves only when it has become out of date by a twelfth of the time since the first,
 * an hour at most: a receiver that exhausts a thousand deliveries a minute is not stored a thousand times.
 */
bool bh_streak_fold(bh_streak *streak, const bh_conclusion *conclusion, bh_state state, bh_usec started, bh_usec now);
/* Is this a failure of the receiver's, as a run is made of? */
bool bh_streak_is_failure(const bh_conclusion *conclusion);
/*
 * The same for a delivery that was exhausted without an attempt, because its life ended behind an open breaker: of a long
 * backlog hardly one is tried often enough to end by an attempt. Without a run of failures it changes nothing.
 */
bool bh_streak_exhausted(bh_streak *streak, bh_usec now);

typedef enum bh_streak_verdict { BH_STREAK_FINE, BH_STREAK_WARN_FAILING, BH_STREAK_WARN_DISABLING, BH_STREAK_DISABLE } bh_streak_verdict;
/*
 * What is to be done now, the most serious first. Each warning once in a run, and who was told that it will be disabled is not
 * told any more that it fails. DISABLE is to be acted on right after such a failure was folded: a look in between gives
 * warnings only, for nobody knows how the receiver does by now.
 */
bh_streak_verdict bh_streak_judge(const bh_streak *streak, const bh_streak_policy *policy, bh_usec now);
/* The warning of this verdict was given at `now`. True: the streak changed and is to be stored. */
bool bh_streak_warned(bh_streak *streak, bh_streak_verdict verdict, bh_usec now);
/*
 * The earliest moment at which it would be disabled if every attempt went on failing; 0: not foreseeable (nothing was exhausted
 * yet, or no streak). It may have passed: then the next failed attempt disables, once two exhausted ones are far enough apart and
 * the owner has had his notice.
 */
bh_usec bh_streak_disables_at(const bh_streak *streak, const bh_streak_policy *policy);
