/*
 * What scripts get of a loop's turn. They run in slices of about a millisecond; whoever has no turn left waits for the next
 * one, first come, first served, and meanwhile the loop hears, transfers and sends. So a script that computes for ever
 * costs the others of its loop a millisecond or two a turn. Loop thread only.
 */
#pragma once

#include "delivery/loop.h"

/* Each turn of the loop begins with these two. */
void bh_turns_begin(bh_loop *loop);
void bh_turns_give(bh_loop *loop); /* to those who wait: one at least, then as long as the turn's share lasts */

/* Nobody waits, and there is a share left: may one who comes now run at once? */
bool bh_turns_left(const bh_loop *loop);

/* bh_script_resume, and its time goes off the share. */
bh_script_turn bh_turns_resume(bh_loop *loop, bh_script *script, const bh_answer *answer, bh_request *ret_call);

/* Waits for its turn though its script has not said so. `link` holds the attempt. */
void bh_turns_await(bh_loop *loop, GList *link);

/* Somebody can go on now: no sleep. */
bool bh_turns_awaited(const bh_loop *loop);
