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
 * Lanes that may send stand in rings and take turns, one delivery a turn: those whose next one is a first attempt in one
 * ring, those whose next one is a retry in another, and retries never have more than their share of the slots. What a person asked
 * for (a test, a retry by hand) is *urgent*: it waits for nothing but a slot, of which its manager has no more for it than
 * for all else (nor its webhook, but as many again for tests): or whoever retries ten thousand by hand would hold up everybody. A lane whose manager has
 * his share of the slots already waits at his door while there are other managers. How fast one receiver may be sent to is
 * the lane's pace (pace.h).
 */
#pragma once

#include "base/time.h"
#include "delivery/pace.h"
#include "store/store.h"

typedef struct bh_scheduler bh_scheduler;

typedef struct bh_scheduler_limits {
	size_t in_flight_max;         /* transfers under way, all lanes together */
	size_t owner_share;           /* of them one manager's, while there are other managers; at least 1 */
	size_t retry_share;           /* of them retries; at least 1 */
	bh_pace_limits pace;          /* of each lane; pace.most is its in-flight limit */
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
	bh_mono sent_at;   /* in flight: when it was to be sent */
	uint64_t receiver; /* in flight: where the lane led when it was sent */
	size_t place; /* in the window, or among the urgent ones; SIZE_MAX: in hand */
	bool is_urgent;
	bool in_flight;
	bool is_retry; /* in flight, and counts as one */
	bool is_overruled; /* in hand; its record is durable, and somebody changed it again before we heard of that */
} bh_item;

bh_scheduler *bh_scheduler_new(const bh_scheduler_limits *limits);
void bh_scheduler_free(bh_scheduler *s);

/* What its webhook says about a lane. */
typedef struct bh_lane_terms {
	const char *owner;     /* the manager's id; NULL: the site. Copied */
	uint64_t receiver;     /* where it leads, as a number other than 0: when that changes, what is known of the receiver is forgotten */
	int64_t rate_requests; /* at most so many in rate_per; 0: no limit */
	bh_usec rate_per;
} bh_lane_terms;

/*
 * The webhook may be sent to, and the store may have more for it than is known here: at start, when it was enabled or
 * changed, when deliveries were released. Forgets the window but what is urgent; what is in hand stays so. True: it leads elsewhere than it did.
 */
bool bh_scheduler_open(bh_scheduler *s, bh_id webhook, const bh_lane_terms *terms);

/* The webhook is disabled or gone: nothing more is sent but what is urgent; what is in flight goes on. */
void bh_scheduler_close(bh_scheduler *s, bh_id webhook);

typedef enum bh_offer {
	BH_OFFER_TAKEN,   /* in the window, or left to the store, or known already */
	BH_OFFER_CLOSED,  /* the lane is not open: somebody should look why */
} bh_offer;

/*
 * A delivery that became durable just now, or is due earlier than was known. `event` may be NULL; a reference is taken. One
 * that is blocked by its order key is not for us yet, and passed over. `is_urgent` overtakes its lane; tests always do.
 */
bh_offer bh_scheduler_offer(bh_scheduler *s, const bh_waiting *waiting, bh_event *event, bool is_urgent, bh_now now);

/* A test, sent also where the lane is closed; `terms`: so that it counts as its manager's there, too. */
void bh_scheduler_offer_test(bh_scheduler *s, const bh_waiting *test, bh_event *event, const bh_lane_terms *terms, bh_now now);

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

/*
 * The item had to wait after SEND and is about to be sent only now. False: it may not go any more, by its receiver's pace or because the
 * lane leads elsewhere; it is to be let go (bh_scheduler_landed as not sent, bh_scheduler_ended).
 */
bool bh_scheduler_sends_late(bh_scheduler *s, bh_item *item, bh_now now);

/* What came of a SEND, as far as the receiver is concerned. */
typedef struct bh_landing {
	bool was_sent;    /* false: no request was made, and the receiver knows nothing of it */
	bh_signal signal;
	bh_usec pause;    /* how long the receiver wants to be left alone; 0: it did not say */
} bh_landing;

typedef enum bh_landed { BH_LANDED, BH_LANDED_BREAKER_OPENED, BH_LANDED_BREAKER_CLOSED } bh_landed;

/* The transfer is over and the slot free; the item stays in hand until its record is durable. */
bh_landed bh_scheduler_landed(bh_scheduler *s, bh_item *item, const bh_landing *landing, bh_now now);

/* The record is durable, and the delivery ended or left our hands. The item is gone after this, or the scheduler's if it was overruled. */
void bh_scheduler_ended(bh_scheduler *s, bh_item *item);

/* The record is durable, and the delivery waits again until `waiting`'s due time. The item is the scheduler's again. */
void bh_scheduler_again(bh_scheduler *s, bh_item *item, const bh_waiting *waiting, bh_now now);

typedef struct bh_scheduler_facts {
	size_t lanes, waiting, in_flight, retries_in_flight, recording, bytes;
	size_t breakers; /* that are not closed */
} bh_scheduler_facts;
bh_scheduler_facts bh_scheduler_look(const bh_scheduler *s);

/*
 * Since when the delivery that is overdue longest could have been sent, of those in memory that wait for a slot and not for their own
 * receiver; false: none does. Looks at every lane: not for each turn.
 */
bool bh_scheduler_oldest_due(const bh_scheduler *s, bh_mono now, bh_mono *ret_due);

/* Is nothing sent because too many outcomes are not durable yet? */
bool bh_scheduler_awaits_records(const bh_scheduler *s);

/* Is this webhook's lane open with nothing in memory and nothing known in the store? For the slow look. */
bool bh_scheduler_is_idle(const bh_scheduler *s, bh_id webhook);

/* The pace of a webhook's lane, for tests and facts; NULL: it has no lane. */
const bh_pace *bh_scheduler_pace(const bh_scheduler *s, bh_id webhook);

/* Webhooks whose breaker is not closed: appends bh_id to `ret`. */
void bh_scheduler_broken(const bh_scheduler *s, GArray *ret);
