/*
 * Time, in one unit and two kinds. Only base/ reads a clock; everybody else is told.
 *
 *   bh_usec  microseconds: a span, or a moment of wall time (UTC, since 1970). For
 *            people and for the store. It may jump.
 *   bh_mono  a moment of the monotonic clock, for waiting. It never jumps, means
 *            nothing outside this process, and is a struct so that the two cannot mix.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t bh_usec;

#define BH_MILLISECOND ((bh_usec)1000)
#define BH_SECOND (1000 * BH_MILLISECOND)
#define BH_MINUTE (60 * BH_SECOND)
#define BH_HOUR (60 * BH_MINUTE)
#define BH_DAY (24 * BH_HOUR)

typedef struct bh_mono {
	int64_t us;
} bh_mono;

/* The two clocks. A loop calls them once per turn and hands the values down. */
bh_usec bh_clock_wall(void);
bh_mono bh_clock_mono(void);

/* How long this thread has been at work (CPU time): for limits that a busy machine must not move. */
bh_usec bh_clock_work(void);

/* Both clocks as they were read together. */
typedef struct bh_now {
	bh_usec wall;
	bh_mono mono;
} bh_now;

bh_now bh_clock_now(void);

/*
 * From now on the clocks say what stands at `now`, which the caller moves on; NULL: the machine's again. For a simulation,
 * which has one thread.
 */
void bh_clock_use(const bh_now *now);

static inline bh_mono bh_mono_add(bh_mono at, bh_usec span)
{
	return (bh_mono){at.us + span};
}

/* How long after `earlier` `later` is; negative when it is before. */
static inline bh_usec bh_mono_since(bh_mono later, bh_mono earlier)
{
	return later.us - earlier.us;
}

static inline bool bh_mono_reached(bh_mono now, bh_mono due)
{
	return now.us >= due.us;
}

/* Where the wall moment `at` lies on the monotonic clock, as seen from `now`. */
static inline bh_mono bh_mono_of(bh_usec at, bh_now now)
{
	return (bh_mono){now.mono.us + (at - now.wall)};
}

/* RFC 3339 in UTC with microseconds: 2026-11-25T14:51:02.123456Z. Returns `buffer`. */
#define BH_TIME_TEXT_SIZE 32
const char *bh_time_text(bh_usec at, char buffer[BH_TIME_TEXT_SIZE]);

/*
 * Reads RFC 3339 (section 5.6): any offset, any number of fraction digits (what is
 * finer than a microsecond is cut). Years 1970 to 9999. False: not such a text.
 */
bool bh_time_parse(const char *text, size_t size, bh_usec *ret_at);

/* Reads an HTTP-date in its three forms (RFC 9110 section 5.6.7). */
bool bh_time_parse_http(const char *text, bh_usec *ret_at);

/* Reads a span such as "250ms", "5s", "30m", "2h", "7d". False: not one, or over 10 years. */
bool bh_span_parse(const char *text, bh_usec *ret_span);
