/*
 * How fast one receiver may be sent to. Pure: told the time, told what each attempt came to.
 *
 *   concurrency   starts at `start`, one more after each clean round up to `most`; halved on overload, 1 after a failure to
 *                 connect (the feedback that Postfix's queue manager goes by)
 *   pause         a receiver that answers 429, or names a time, is left alone as a whole until then
 *   gap           what it took before it complained becomes the distance between two requests, and shrinks again while all goes well
 *   breaker       closed -> open -> (probe) -> closed, or open again for twice as long
 *   rate          the owner's limit: a token bucket
 *
 * Waiting for any of these spends no attempt.
 */
#pragma once

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an attempt says about its receiver; delivery/outcome.h derives it. */
typedef enum bh_signal {
	BH_SIGNAL_NONE,        /* nothing: a script, the guard, our proxy, a crash */
	BH_SIGNAL_WELL,        /* it took it, or answered in its own right and may be sent to: 2xx, 410 */
	BH_SIGNAL_FAILED,      /* it answered, and not well */
	BH_SIGNAL_OVERLOADED,  /* 429, 502, 503, 504, or a failure that names a time */
	BH_SIGNAL_UNREACHABLE, /* no answer: DNS, connect, TLS, time-out, a torn connection */
} bh_signal;

typedef struct bh_pace_limits {
	unsigned start, most;      /* concurrency */
	unsigned breaker_failures; /* unreachable in a row */
	unsigned breaker_percent, breaker_attempts; /* failed of at least so many ... */
	bh_usec breaker_span;      /* ... in this span */
	bh_usec probe_first, probe_max;
} bh_pace_limits;

typedef enum bh_breaker { BH_BREAKER_CLOSED, BH_BREAKER_OPEN, BH_BREAKER_PROBING } bh_breaker;

#define BH_PACE_BUCKETS 5
typedef struct bh_pace {
	unsigned concurrency;
	unsigned clean;       /* of the present round */
	bh_mono paused_until;
	/* the gap, learned */
	bh_usec gap;          /* 0: none */
	bh_mono gap_from;     /* since when `sent` counts: the end of the last pause, or some seconds ago */
	unsigned sent;
	bh_mono last_sent;
	/* the breaker */
	bh_breaker breaker;
	unsigned unreachable; /* in a row */
	bh_usec probe_wait;   /* before the present or next probe */
	bh_mono probe_at;
	bh_mono probe_sent; /* PROBING: when the probe went out */
	struct {
		int64_t number; /* of the span's part: monotonic time / (span / BH_PACE_BUCKETS) */
		unsigned well, failed;
	} buckets[BH_PACE_BUCKETS];
	/* the owner's rate: a token bucket, kept as the time at which it would be full (GCRA) */
	bh_usec rate_cost;    /* the time in which one token comes; 0: no limit */
	bh_usec rate_burst;   /* how far ahead `rate_full_at` may be when another is taken */
	bh_mono rate_full_at;
} bh_pace;

void bh_pace_init(bh_pace *p, const bh_pace_limits *limits);
/*
 * `requests` in `per`; 0: no limit. What was used so far stays used. In no span of that length are there more: a tenth of
 * them may go out at once (at least one), the others come spread out.
 */
void bh_pace_set_rate(bh_pace *p, int64_t requests, bh_usec per);
/* The owner changed where the webhook leads: what is known of the old receiver is forgotten. */
void bh_pace_forget(bh_pace *p, const bh_pace_limits *limits);
/* May another one be sent with `in_flight` under way? False: only when one of them has ended. *ret_at: not before then. */
bool bh_pace_may_send(const bh_pace *p, unsigned in_flight, bh_mono *ret_at);
void bh_pace_sent(bh_pace *p, bh_mono now);
/*
 * What was to go out at `sent` had to wait and goes out only now: it counts from now on. False: by the rate, or by a pause that the
 * receiver asked for meanwhile, it may not, and is unsent.
 */
bool bh_pace_sent_late(bh_pace *p, bh_mono sent, bool is_urgent, bh_mono now);
/* What was let go was not sent after all. */
void bh_pace_unsent(bh_pace *p, bh_mono sent, bh_mono now);
/* `pause`: how long the receiver wants to be left alone; 0: it did not say. True: the breaker moved. */
bool bh_pace_heard(bh_pace *p, const bh_pace_limits *limits, bh_signal signal, bh_usec pause, bh_mono now);
