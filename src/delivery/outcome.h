/*
 * What an attempt came to, and what follows. Pure.
 *
 *   answer + judgement  -- bh_conclude -->  conclusion  -- bh_next_step -->  state and time
 *
 * Nothing else looks at a status number. Only a positive proof is delivered.
 */
#pragma once

#include "base/chance.h"
#include "base/settings.h"
#include "delivery/pace.h"
#include "method/method.h"
#include "store/store.h"
#include "transport/transport.h"

typedef enum bh_outcome {
	BH_OUTCOME_DELIVERED,
	BH_OUTCOME_FAILED,  /* tried again by schedule */
	BH_OUTCOME_GONE,    /* 410: the receiver does not want to hear any more */
	BH_OUTCOME_REFUSED, /* final: the guard, or the method says so */
	BH_OUTCOME_UNKNOWN, /* it may have arrived: the process died while it was under way */
} bh_outcome;
const char *bh_outcome_name(bh_outcome outcome);

typedef struct bh_conclusion {
	bh_outcome outcome;
	bh_cause cause;
	char sentence[400]; /* for the owner: what happened and what to do; UTF-8, one line; "" when delivered */
	bool spends;        /* counts against the schedule */
	bh_usec not_before; /* a span from now that the receiver asked for, or our floor; 0: none */
	bh_disabled_cause disables; /* why the webhook goes off now; BH_ENABLED: it stays */
	bh_signal signal;   /* what it says about the receiver: pacing and breaker go by it */
	bh_usec pause;      /* the receiver as a whole wants to be left alone for this long; 0: it did not say */
} bh_conclusion;

/* What the engine hands in: one of a script that broke (`trouble`), a judgement, or an answer. */
typedef struct bh_ending {
	const char *trouble;                  /* the script broke: why; else NULL */
	const bh_script_judgement *judgement; /* NULL only with `trouble` */
	const bh_answer *answer;              /* of the last call; NULL: none was made */
	bool has_asked;                       /* the last call was for a token or details, and not the receiver's */
} bh_ending;

typedef struct bh_policy {
	bh_usec delays[BH_SETTING_SPANS_MAX]; /* after the first, second, ... spent attempt */
	size_t delay_count;
	int jitter_percent;
	bh_usec jitter_first; /* 0 to this on top of the first delay */
	bh_usec hint_max;     /* of Retry-After */
	bh_usec overload_floor;
	bh_usec lifetime;
} bh_policy;

bh_policy bh_policy_of(const bh_settings *settings);

/*
 * Pacing and counting follow from the answer, whatever the method makes of it: a time that a failure names (Retry-After, at
 * most hint_max) is both `not_before` and `pause`, a 429 without one pauses for overload_floor, and a 429 with one spends
 * nothing. A fault of our proxy spends nothing either, says nothing of the receiver, and comes again after overload_floor at
 * the earliest (bh_next_step makes that up to 16 times as long, each time twice); so does a look-up that fails.
 *
 * Without a token nothing can be sent: the lane pauses for as long as nobody asks for the next one. A refusal that somebody heard
 * spends an attempt, for the credentials may be wrong for good; one that came too early for the next request spends none. Only
 * who asked himself tells the pace: ten that wait for one request have seen one failure.
 */
bh_conclusion bh_conclude(const bh_ending *ending, const bh_policy *policy);

/*
 * When attempt number `spent` + 1 is due: the schedule's step with jitter, or `not_before` if that is later. `spent` is
 * at least 1 unless the conclusion spends nothing. INT64_MAX: the schedule has no further step.
 */
bh_usec bh_retry_due(const bh_policy *policy, int spent, bh_usec not_before, bh_usec now, bh_chance *chance);

typedef struct bh_next {
	bh_state state;
	bh_usec due_at; /* of PENDING */
	int spent;
	const char *reason; /* why it ended, a sentence; NULL when delivered or waiting */
	bh_id superseded_by; /* of COALESCED */
} bh_next;

/* `waiting` as it was before the attempt; `now` on the same clock as its due time. */
bh_next bh_next_step(const bh_policy *policy, const bh_waiting *waiting, const bh_conclusion *conclusion, bh_usec now,
                     bh_chance *chance);
