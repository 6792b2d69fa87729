/* One attempt of one delivery: see attempt.c for its steps. Loop thread only. */
#pragma once

#include "delivery/loop.h"

/* Takes an item that the scheduler just put in hand; it is given back through the loop's papers. */
void bh_attempt_begin(bh_loop *loop, bh_item *item);

/* Its turn has come: its script goes on, or begins. */
void bh_attempt_go_on(bh_attempt *a);

/* At the end of a loop that could not wait any longer: forgets the attempts under way, whose deliveries stay pending in the store. */
void bh_attempts_abandon(bh_loop *loop);
