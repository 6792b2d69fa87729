/*
 * Lanes and whose they are, seen from inside the scheduler. A lane's life, and where it stands:
 *
 *   closed ----open()----> open, window empty, frontier at the beginning: the store is asked (REFILL)
 *     ^                      |
 *     |                      v
 *   close()        in a ring       while its next one may be sent
 *     ^            in the timers   while its next one, or its receiver, has to wait
 *     |            at the owner's  while its manager has his share of the slots
 *     |            nowhere         while it has nothing, or all that may be under way is
 *     +----------------------+
 *
 * bh_lane_settle is the one function that puts a lane where it belongs; it is called after every change.
 */
#pragma once

#include "base/heap.h"
#include "delivery/scheduler.h"

typedef enum bh_lane_place {
	BH_LANE_NOWHERE,
	BH_LANE_IN_TIMERS,
	BH_LANE_AT_OWNER,
	BH_LANE_IN_URGENT,
	BH_LANE_IN_FIRSTS,
	BH_LANE_IN_RETRIES,
} bh_lane_place;
#define BH_LANE_RINGS 3 /* the last three are rings */
#define BH_LANE_IN_RING(place) ((place) >= BH_LANE_IN_URGENT)

/* A manager, or the site; there while it has an open lane. */
typedef struct bh_owner {
	char *id; /* "" is the site */
	size_t lanes, in_flight;
	GQueue waiting; /* lanes that stand at his door */
} bh_owner;

typedef struct bh_lane {
	bh_id webhook;
	bh_owner *owner; /* NULL: the lane was never open */
	uint64_t receiver; /* 0: it was never open */
	bool is_open;
	bool more; /* the store has, or may have, deliveries behind the frontier */
	bh_usec frontier_due; /* meaningful while `more` */
	bh_id frontier_id;
	bh_mono refill_at; /* not before */
	bh_heap window, urgent;
	bh_pace pace;
	size_t in_flight;
	size_t in_hand; /* in flight or being recorded */

	bh_lane_place stands;
	GList link; /* in a ring, or at the owner's */
	bh_mono wake; /* IN_TIMERS: when */
	size_t timer_place;
} bh_lane;

struct bh_scheduler {
	bh_scheduler_limits limits;
	GHashTable *lanes; /* webhook -> bh_lane */
	GHashTable *items; /* delivery -> bh_item: all in memory */
	GHashTable *owners; /* id -> bh_owner */
	GQueue rings[BH_LANE_RINGS];
	bool retries_next; /* the two kinds take turns */
	bh_heap timers;
	size_t in_flight, retries_in_flight, in_hand, bytes, breakers;
};

/* --- Items and windows ------------------------------------------------------------------------ */

bool bh_lane_is_behind_frontier(const bh_lane *lane, const bh_waiting *w);
/* An item of its own, known to the scheduler, in no heap yet. */
bh_item *bh_item_new(bh_scheduler *s, bh_lane *lane, const bh_waiting *waiting, bh_event *event, bh_now now);
void bh_item_free(bh_scheduler *s, bh_item *item);
void bh_item_drop_event(bh_scheduler *s, bh_item *item);
/* The heap that it stands in, or would stand in. */
bh_heap *bh_item_heap(const bh_item *item);
/* Into its heap; the later half of an overfull window is left to the store. */
void bh_lane_admit(bh_scheduler *s, bh_lane *lane, bh_item *item);
void bh_lane_forget_window(bh_scheduler *s, bh_lane *lane);

/* --- Lanes ------------------------------------------------------------------------------------- */

bh_lane *bh_lane_find(const bh_scheduler *s, bh_id webhook);
bh_lane *bh_lane_need(bh_scheduler *s, bh_id webhook);
void bh_lane_free(void *lane);
/* True: it leads elsewhere than it did, and nothing is known of the receiver. */
bool bh_lane_take_terms(bh_scheduler *s, bh_lane *lane, const bh_lane_terms *terms, bh_mono now);
/* May go, and then is gone, when it is closed and has nothing. */
void bh_lane_settle(bh_scheduler *s, bh_lane *lane, bh_mono now);
/* What it would do with a turn. False: nothing. *ret_place: the ring; *ret_at: not before then. */
bool bh_lane_wants_turn(const bh_scheduler *s, const bh_lane *lane, bh_lane_place *ret_place, bh_mono *ret_at);
void bh_lane_stand(bh_scheduler *s, bh_lane *lane, bh_lane_place place);

/* --- Owners ------------------------------------------------------------------------------------ */

bool bh_owner_is_full(const bh_scheduler *s, const bh_owner *owner);
/* There may be room for one more of his lanes: the first that waits at his door goes on. */
void bh_owner_let_in(bh_scheduler *s, bh_owner *owner, bh_mono now);
void bh_owner_free(void *owner);
