#include "delivery/pace.h"

#include <glib.h>
#include <string.h>

/* The learned gap. Beyond the longest it is no pace that we could keep up by waiting a little, but a pause. */
#define GAP_MAX (5 * BH_SECOND)
#define GAP_LEAST BH_MILLISECOND
#define GAP_SENT_LEAST 3 /* requests that make a pace */
#define GAP_PAUSE_MAX BH_MINUTE /* a receiver that wants more is away; it does not tell how fast it may be sent to */
#define GAP_LOOKS_BACK (10 * BH_SECOND)
#define GAP_SHRINKS 64 /* a 64th of it less with each success: half in about 44 */

static const bh_mono LONG_AGO = {INT64_MIN / 2};

static bh_mono later(bh_mono a, bh_mono b)
{
	return a.us > b.us ? a : b;
}

void bh_pace_init(bh_pace *p, const bh_pace_limits *limits)
{
	*p = (bh_pace){
		.concurrency = MIN(limits->start, limits->most),
		.paused_until = LONG_AGO,
		.gap_from = LONG_AGO,
		.last_sent = LONG_AGO,
		.probe_at = LONG_AGO,
		.rate_full_at = LONG_AGO,
	};
}

void bh_pace_set_rate(bh_pace *p, int64_t requests, bh_usec per)
{
	if (requests <= 0) {
		p->rate_cost = p->rate_burst = 0;
		return;
	}
	int64_t at_once = MAX(1, requests / 10), spread = requests - (at_once - 1);
	p->rate_cost = (per + spread - 1) / spread;
	p->rate_burst = (at_once - 1) * p->rate_cost;
}

void bh_pace_forget(bh_pace *p, const bh_pace_limits *limits)
{
	bh_pace fresh;

	bh_pace_init(&fresh, limits);
	fresh.rate_cost = p->rate_cost;
	fresh.rate_burst = p->rate_burst;
	fresh.rate_full_at = p->rate_full_at;
	*p = fresh;
}

/* --- Sending ---------------------------------------------------------------------------------- */

bool bh_pace_may_send(const bh_pace *p, unsigned in_flight, bh_mono *ret_at)
{
	if (in_flight >= (p->breaker == BH_BREAKER_CLOSED ? p->concurrency : 1))
		return false;

	bh_mono at = p->paused_until;
	if (p->breaker == BH_BREAKER_OPEN)
		at = later(at, p->probe_at);
	if (p->gap)
		at = later(at, bh_mono_add(p->last_sent, p->gap));
	if (p->rate_cost)
		at = later(at, bh_mono_add(p->rate_full_at, -p->rate_burst));
	*ret_at = at;
	return true;
}

void bh_pace_sent(bh_pace *p, bh_mono now)
{
	if (p->sent == 0 || bh_mono_since(now, p->gap_from) > GAP_LOOKS_BACK) {
		p->gap_from = now;
		p->sent = 0;
	}
	p->sent++;
	p->last_sent = now;
	if (p->rate_cost)
		p->rate_full_at = bh_mono_add(later(p->rate_full_at, now), p->rate_cost);
	if (p->breaker == BH_BREAKER_OPEN) {
		p->breaker = BH_BREAKER_PROBING;
		p->probe_sent = now;
	}
}

/* What it took of the rate at `sent`, as far as time has not given it back since. */
static bh_mono without(const bh_pace *p, bh_mono sent, bh_mono now)
{
	return bh_mono_add(p->rate_full_at, -MAX(0, p->rate_cost - bh_mono_since(now, sent)));
}

bool bh_pace_sent_late(bh_pace *p, bh_mono sent, bool is_urgent, bh_mono now)
{
	bh_mono full_at = without(p, sent, now);
	bool waits = !bh_mono_reached(now, p->paused_until) ||
		     (p->rate_cost && !bh_mono_reached(now, bh_mono_add(full_at, -p->rate_burst)));

	if (waits && !is_urgent)
		return false;
	if (p->rate_cost)
		p->rate_full_at = bh_mono_add(later(full_at, now), p->rate_cost);
	p->last_sent = now;
	return true;
}

void bh_pace_unsent(bh_pace *p, bh_mono sent, bh_mono now)
{
	if (p->sent > 0)
		p->sent--;
	p->last_sent = bh_mono_add(p->last_sent, -p->gap);
	p->rate_full_at = without(p, sent, now);
	if (p->breaker == BH_BREAKER_PROBING && p->probe_sent.us == sent.us) {
		p->breaker = BH_BREAKER_OPEN;
		p->probe_at = now; /* the next one is the probe */
	}
}

/* --- Hearing: concurrency and pauses ------------------------------------------------------------ */

static void adapt(bh_pace *p, const bh_pace_limits *limits, bh_signal signal)
{
	if (signal == BH_SIGNAL_WELL) {
		if (++p->clean >= p->concurrency) {
			p->concurrency = MIN(p->concurrency + 1, limits->most);
			p->clean = 0;
		}
		return;
	}
	p->clean = 0;
	if (signal == BH_SIGNAL_OVERLOADED)
		p->concurrency = MAX(1, p->concurrency / 2);
	else if (signal == BH_SIGNAL_UNREACHABLE)
		p->concurrency = 1;
}

/*
 * The receiver has just told how much it takes: what it got since the last pause, in that time and the pause together. From
 * now on the same comes evenly, so that it need not refuse a wave at the end of each pause.
 */
static void learn_gap(bh_pace *p, bh_usec pause, bh_mono now)
{
	if (p->sent < GAP_SENT_LEAST || pause > GAP_PAUSE_MAX)
		return;
	bh_usec period = bh_mono_since(now, p->gap_from) + pause;
	bh_usec learned = period / (p->sent - 1); /* the one that was refused does not count */
	p->gap = MIN(MAX(learned, p->gap), GAP_MAX);
}

/* What it takes is only told by who complains of too much. */
static void take_pause(bh_pace *p, bh_usec pause, bool complains, bh_mono now)
{
	bool paused_already = !bh_mono_reached(now, p->paused_until);

	if (!paused_already && complains)
		learn_gap(p, pause, now);
	p->paused_until = later(p->paused_until, bh_mono_add(now, pause));
	p->sent = 0;
}

static void shrink_gap(bh_pace *p)
{
	p->gap -= p->gap / GAP_SHRINKS;
	if (p->gap < GAP_LEAST)
		p->gap = 0;
}

/* --- Hearing: the breaker ------------------------------------------------------------------------ */

static void count_in_buckets(bh_pace *p, const bh_pace_limits *limits, bool well, bh_mono now)
{
	int64_t number = now.us / (limits->breaker_span / BH_PACE_BUCKETS);
	size_t place = (size_t)(number % BH_PACE_BUCKETS);

	if (p->buckets[place].number != number) {
		memset(&p->buckets[place], 0, sizeof p->buckets[place]);
		p->buckets[place].number = number;
	}
	if (well)
		p->buckets[place].well++;
	else
		p->buckets[place].failed++;
}

static bool mostly_fails(const bh_pace *p, const bh_pace_limits *limits, bh_mono now)
{
	int64_t number = now.us / (limits->breaker_span / BH_PACE_BUCKETS);
	uint64_t well = 0, failed = 0;

	for (size_t i = 0; i < BH_PACE_BUCKETS; i++) {
		if (p->buckets[i].number <= number - BH_PACE_BUCKETS)
			continue;
		well += p->buckets[i].well;
		failed += p->buckets[i].failed;
	}
	return well + failed >= limits->breaker_attempts && failed * 100 >= (well + failed) * limits->breaker_percent;
}

static void open_breaker(bh_pace *p, bh_usec wait, bh_mono now)
{
	p->breaker = BH_BREAKER_OPEN;
	p->probe_wait = wait;
	p->probe_at = bh_mono_add(now, wait);
}

static void close_breaker(bh_pace *p, const bh_pace_limits *limits)
{
	p->breaker = BH_BREAKER_CLOSED;
	p->concurrency = MIN(limits->start, limits->most);
	p->clean = 0;
	p->unreachable = 0;
	memset(p->buckets, 0, sizeof p->buckets);
}

/* While it is closed: is this enough to open it? */
static void watch_for_opening(bh_pace *p, const bh_pace_limits *limits, bh_signal signal, bh_mono now)
{
	p->unreachable = signal == BH_SIGNAL_UNREACHABLE ? p->unreachable + 1 : 0;
	if (p->unreachable >= limits->breaker_failures || mostly_fails(p, limits, now))
		open_breaker(p, limits->probe_first, now);
}

/* A probe has failed, or told nothing, or the receiver only asks for patience: then the next one comes no later for it. */
static void probe_again(bh_pace *p, const bh_pace_limits *limits, bool failed, bh_mono now)
{
	open_breaker(p, failed ? MIN(p->probe_wait * 2, limits->probe_max) : p->probe_wait, now);
}

static void judge_breaker(bh_pace *p, const bh_pace_limits *limits, bh_signal signal, bool is_pacing, bh_mono now)
{
	bool failed = signal != BH_SIGNAL_NONE && signal != BH_SIGNAL_WELL && !is_pacing;

	if (signal != BH_SIGNAL_NONE && !is_pacing)
		count_in_buckets(p, limits, signal == BH_SIGNAL_WELL, now);
	switch (p->breaker) {
	case BH_BREAKER_CLOSED:
		if (failed)
			watch_for_opening(p, limits, signal, now);
		else if (signal != BH_SIGNAL_NONE)
			p->unreachable = 0;
		return;
	case BH_BREAKER_PROBING:
		if (signal == BH_SIGNAL_WELL)
			close_breaker(p, limits);
		else
			probe_again(p, limits, failed, now);
		return;
	case BH_BREAKER_OPEN: /* one that was under way when it opened */
		if (signal == BH_SIGNAL_WELL)
			close_breaker(p, limits);
		return;
	}
	g_assert_not_reached();
}

bool bh_pace_heard(bh_pace *p, const bh_pace_limits *limits, bh_signal signal, bh_usec pause, bh_mono now)
{
	bool was_closed = p->breaker == BH_BREAKER_CLOSED;
	/* A receiver that asks for patience is pacing us, not failing. */
	bool is_pacing = signal == BH_SIGNAL_OVERLOADED && pause > 0;

	judge_breaker(p, limits, signal, is_pacing, now);
	if (signal != BH_SIGNAL_NONE)
		adapt(p, limits, signal);
	if (pause > 0)
		take_pause(p, pause, signal == BH_SIGNAL_OVERLOADED, now);
	else if (signal == BH_SIGNAL_WELL)
		shrink_gap(p);
	return was_closed != (p->breaker == BH_BREAKER_CLOSED);
}
