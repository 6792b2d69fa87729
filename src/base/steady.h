/*
 * The steady wall clock: wall time as it was when the process started, plus what the monotonic clock says has passed
 * since. Due times are made and read on it, so a jump of the wall clock neither bursts nor stalls
 * deliveries; the next start begins from the wall clock again. Any thread.
 */
#pragma once

#include "base/time.h"

bh_usec bh_clock_steady(bh_mono now);

/* Begins anew from the wall clock, as a process that starts does. For a simulation, which has one thread. */
void bh_clock_steady_restart(void);

/* Both clocks, the wall steady: what delivery works with. */
bh_now bh_clock_steady_now(void);
