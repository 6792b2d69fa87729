/* One attempt of one delivery: see attempt.c for its steps. Loop thread only. */
#pragma once

#include "delivery/loop.h"

/* Takes an item that the scheduler just put in hand; it is given back through the loop's papers. */
void bh_attempt_begin(bh_loop *loop, bh_item *item);

/* Its turn has come: its script goes on, or begins. */
void bh_attempt_go_on(bh_attempt *a);

/* Whose it is; and it goes on waiting for its turn (bh_turns_await), having been taken out of its row. */
bh_id bh_attempt_webhook(const bh_attempt *a);
void bh_attempt_await(bh_attempt *a);

/* At the end of a loop that could not wait any longer: forgets the attempts under way, whose deliveries stay pending in the store. */
void bh_attempts_abandon(bh_loop *loop);
