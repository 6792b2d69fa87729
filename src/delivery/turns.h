/*
 * What scripts get of a loop's turn. They run in slices of about a millisecond; whoever has no turn left waits for the next
 * one, first come, first served, and meanwhile the loop hears, transfers and sends. So a script that computes for ever
 * costs the others of its loop a millisecond or two a turn.
 *
 * A webhook whose runs were not through in their first slice is slow for a second. Its runs wait in a row of their own, which gets
 * what the others leave, and one slice a turn at least: else somebody with a quick script stood behind hundreds of slices at each
 * delivery. Loop thread only.
 */
#pragma once

#include "delivery/loop.h"

/* Each turn of the loop begins with these two. */
void bh_turns_begin(bh_loop *loop);
void bh_turns_give(bh_loop *loop); /* to those who wait: one at least, then as long as the turn's share lasts */

/* Nobody who goes first waits, and there is a share left: may one of this webhook who comes now run at once? */
bool bh_turns_left(bh_loop *loop, bh_id webhook);

/* bh_script_resume of a run of this webhook, and its time goes off the share. */
bh_script_turn bh_turns_resume(bh_loop *loop, bh_id webhook, bh_script *script, const bh_answer *answer,
			       bh_request *ret_call);

/* Waits for its turn though its script has not said so. `link` holds the attempt; returns the row that it is in until then. */
GQueue *bh_turns_await(bh_loop *loop, bh_id webhook, GList *link);

/* Somebody can go on now: no sleep. */
bool bh_turns_awaited(const bh_loop *loop);
