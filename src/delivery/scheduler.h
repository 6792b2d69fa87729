/*
 * Which delivery may be sent now. Pure: no I/O, no clock; it is told the time and returns decisions.
 *
 * Each webhook has a *lane*: a bounded window of its waiting deliveries, in the order (due_at, id). The rest
 * stays in the store behind the lane's *frontier*, so a million waiting rows cost no memory:
 *
 *     in memory: all PENDING up to the frontier     |  only in the store: all behind it
 *     ----------------------------------------------+----------------------------------
 *     [due 10:00 #7] [due 10:00 #9] [due 10:05 #2]  ^frontier          #11 #12 #13 ...
 *
 * A delivery is *in hand* from SEND until its record is durable. While in hand it is in no
 * window, and a refill that meets it in the store passes over it; so it is never sent twice at once.
 * Lanes that may send stand in a ring and take turns, one delivery a turn.
 */
#pragma once

#include "base/time.h"
#include "store/store.h"

typedef struct bh_scheduler bh_scheduler;

typedef struct bh_scheduler_limits {
	size_t in_flight_max;         /* transfers under way, all lanes together */
	size_t in_flight_per_webhook;
	size_t window;                /* waiting deliveries kept in memory for one lane, at least 4 */
	size_t window_bytes;          /* payloads riding along with waiting deliveries, all lanes together */
	size_t recording_max;         /* outcomes not yet durable, beyond which nothing new is sent */
} bh_scheduler_limits;

/* A delivery in a lane's window or in hand. Owned by the scheduler. */
typedef struct bh_item {
	bh_waiting waiting;
	bh_mono due;
	bh_event *event; /* NULL: to be read from the store */
	struct bh_lane *lane;
	size_t place; /* in the window; SIZE_MAX: in hand */
	bool in_flight;
} bh_item;

bh_scheduler *bh_scheduler_new(const bh_scheduler_limits *limits);
void bh_scheduler_free(bh_scheduler *s);

/*
 * The webhook may be sent to, and the store may have more for it than is known here: at start, when it was enabled or
 * changed, when deliveries were released. Forgets the window; what is in hand stays so.
 */
void bh_scheduler_open(bh_scheduler *s, bh_id webhook);

/* The webhook is disabled or gone: nothing more is sent but tests; what is in flight goes on. */
void bh_scheduler_close(bh_scheduler *s, bh_id webhook);

typedef enum bh_offer {
	BH_OFFER_TAKEN,   /* in the window, or left to the store, or known already */
	BH_OFFER_CLOSED,  /* the lane is not open: somebody should look why */
} bh_offer;

/* A delivery that became durable just now (fresh, or by hand). `event` may be NULL; a reference is taken. */
bh_offer bh_scheduler_offer(bh_scheduler *s, const bh_waiting *waiting, bh_event *event, bh_now now);

typedef struct bh_decision {
	enum { BH_DECIDE_SEND, BH_DECIDE_REFILL, BH_DECIDE_WAIT } kind;
	bh_item *item;           /* SEND: in hand now, in flight */
	bh_id webhook;           /* REFILL: ask the store for up to `limit` behind (after_due, after_id) */
	bh_usec after_due;
	bh_id after_id;
	size_t limit;
	bh_usec wait;            /* WAIT: this long; -1: until something happens */
} bh_decision;

bh_decision bh_scheduler_next(bh_scheduler *s, bh_now now);

/*
 * What the store had; fewer rows than the limit: nothing is behind them. `events` (may be NULL) has the payload of each, or
 * NULL; references are taken.
 */
void bh_scheduler_refilled(bh_scheduler *s, bh_id webhook, const bh_waiting *rows, bh_event *const *events, size_t count,
			   size_t limit, bh_now now);

/* The store could not answer the refill: ask again at `at`. */
void bh_scheduler_refill_failed(bh_scheduler *s, bh_id webhook, bh_mono at);

/* The transfer is over and the slot free; the item stays in hand until its record is durable. */
void bh_scheduler_landed(bh_scheduler *s, bh_item *item, bh_now now);

/* The record is durable, and the delivery ended or left our hands. The item is gone after this. */
void bh_scheduler_ended(bh_scheduler *s, bh_item *item);

/* The record is durable, and the delivery waits again until `waiting`'s due time. The item is the scheduler's again. */
void bh_scheduler_again(bh_scheduler *s, bh_item *item, const bh_waiting *waiting, bh_now now);

typedef struct bh_scheduler_facts {
	size_t lanes, waiting, in_flight, recording, bytes;
} bh_scheduler_facts;
bh_scheduler_facts bh_scheduler_look(const bh_scheduler *s);

/*
 * Since when the delivery that is overdue longest has been due, of those in memory that wait for a slot; false: none is.
 * Looks at every lane: not for each turn.
 */
bool bh_scheduler_oldest_due(const bh_scheduler *s, bh_mono now, bh_mono *ret_due);

/* Is nothing sent because too many outcomes are not durable yet? */
bool bh_scheduler_awaits_records(const bh_scheduler *s);

/* Is this webhook's lane open with nothing in memory and nothing known in the store? For the slow look. */
bool bh_scheduler_is_idle(const bh_scheduler *s, bh_id webhook);
