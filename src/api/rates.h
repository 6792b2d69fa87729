/*
 * How many events a second each API key hands over (the setting intake_rate): one that runs away does not fill the
 * store, nor keep the others waiting.
 */
#pragma once

#include "base/id.h"
#include "base/time.h"

typedef struct bh_rates bh_rates;
bh_rates *bh_rates_new(void);
void bh_rates_free(bh_rates *rates);

/*
 * May `key` hand `events` more over, at `per_second`? Then they are counted, and it is 0; else how long to wait before
 * asking again, and nothing is counted. What is saved up is a second's worth; a call of more than that waits until all of it is
 * there, and then overdraws. Any thread.
 */
bh_usec bh_rates_take(bh_rates *rates, bh_id key, int64_t per_second, size_t events, bh_mono now);
