/* A remote service: what mood it is in, and what it answers. Each has a number, which stands in its URL. */
#pragma once

#include "sim.h"
#include "transport/transport.h"

typedef enum receiver_mood {
	MOOD_WELL,
	MOOD_SLOW,      /* some seconds, at times more than the time-out */
	MOOD_HANGING,   /* takes the request and never answers */
	MOOD_DEAD,      /* refuses to connect */
	MOOD_UNKNOWN,   /* its name does not resolve */
	MOOD_FLAPPING,  /* well and dead by turns, some minutes each */
	MOOD_FAILING,   /* 500 */
	MOOD_DENYING,   /* 401 */
	MOOD_BUSY,      /* 503 */
	MOOD_PACING,    /* so many at a time: 429 with Retry-After beyond */
	MOOD_PACING_MUTE, /* the same, without the header */
	MOOD_TORN,      /* takes it, and the connection breaks: nobody knows */
	MOOD_ABORTING,  /* 500 and "webhook-delivery: abort-message" */
	MOOD_LEAVING,   /* 500 and "webhook-delivery: disable" */
	MOOD_GONE,      /* 410 */
	MOODS,
} receiver_mood;

typedef struct receiver {
	unsigned number;
	receiver_mood mood;
	bh_mono since;      /* in this mood */
	/* PACING: a token bucket. */
	double tokens, tokens_max, per_second;
	bh_mono filled_at;
	bh_usec flaps;      /* FLAPPING: how long each half takes */
} receiver;

/* What a request meets. */
typedef struct meeting {
	bh_usec takes;      /* until the answer, or the failure, is there */
	bool arrives;       /* the receiver has the event, whatever we hear */
	int status;         /* 0: no answer */
	bh_cause cause;
	bh_usec retry_after; /* -1: none */
	const char *control; /* NULL: none */
} meeting;

receiver *receiver_new(sim *s, unsigned number);
void receiver_set_mood(sim *s, receiver *r, receiver_mood mood);
meeting receiver_meet(sim *s, receiver *r, bh_usec timeout);
/* Would it take everything, now and since `span`? */
bool receiver_is_well(const receiver *r, bh_mono now, bh_usec span);
/* No connection can be made to it. */
bool receiver_is_dead(const receiver *r);
const char *mood_name(receiver_mood mood);
