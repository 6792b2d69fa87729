/*
 * A lane's life, and where it stands:
 *
 *   closed ----open()----> open, window empty, frontier at the beginning: the store is asked (REFILL)
 *     ^                      |
 *     |                      v
 *   close()        in the ring      while the first of its window is due and it has a free slot
 *     ^            in the timers    while the first of its window is due later
 *     |            nowhere          while it has nothing, or all its slots are taken
 *     +----------------------+
 *
 * settle() is the one function that puts a lane where it belongs; it is called after every change.
 */
#include "delivery/scheduler.h"

#include "base/heap.h"

#include <stdlib.h>

typedef enum lane_place { NOWHERE, IN_RING, IN_TIMERS } lane_place;

typedef struct bh_lane {
	bh_id webhook;
	bool is_open;
	bool more; /* the store has, or may have, deliveries behind the frontier */
	bh_usec frontier_due; /* meaningful while `more` */
	bh_id frontier_id;
	bh_mono refill_at; /* not before */
	bh_heap window;
	size_t in_flight;
	size_t in_hand; /* in flight or being recorded */

	lane_place stands;
	GList ring_link;
	bh_mono wake; /* IN_TIMERS: when */
	size_t timer_place;
} bh_lane;

struct bh_scheduler {
	bh_scheduler_limits limits;
	GHashTable *lanes; /* webhook -> bh_lane */
	GHashTable *items; /* delivery -> bh_item: all in memory */
	GQueue ring;
	bh_heap timers;
	size_t in_flight, in_hand, bytes;
};

/* --- Order --------------------------------------------------------------------------------- */

static int compare_key(bh_usec due_a, bh_id id_a, bh_usec due_b, bh_id id_b)
{
	if (due_a != due_b)
		return due_a < due_b ? -1 : 1;
	return id_a < id_b ? -1 : id_a > id_b;
}

static bool item_before(const void *a, const void *b)
{
	const bh_waiting *x = &((const bh_item *)a)->waiting, *y = &((const bh_item *)b)->waiting;
	return compare_key(x->due_at, x->delivery, y->due_at, y->delivery) < 0;
}

static int compare_items(const void *a, const void *b)
{
	return item_before(*(void *const *)a, *(void *const *)b) ? -1 : 1;
}

static bool lane_before(const void *a, const void *b)
{
	return ((const bh_lane *)a)->wake.us < ((const bh_lane *)b)->wake.us;
}

static bool behind_frontier(const bh_lane *lane, const bh_waiting *w)
{
	return lane->more && compare_key(w->due_at, w->delivery, lane->frontier_due, lane->frontier_id) > 0;
}

/* --- Items --------------------------------------------------------------------------------- */

static void drop_event(bh_scheduler *s, bh_item *item)
{
	if (!item->event)
		return;
	s->bytes -= item->event->bytes;
	bh_event_unref(g_steal_pointer(&item->event));
}

/* A payload rides along while there is room; beyond it, the store is asked when the delivery's turn comes. */
static void carry_event(bh_scheduler *s, bh_item *item, bh_event *event)
{
	if (!event || s->bytes + event->bytes > s->limits.window_bytes)
		return;
	item->event = bh_event_ref(event);
	s->bytes += event->bytes;
}

static void free_item(bh_scheduler *s, bh_item *item)
{
	drop_event(s, item);
	g_hash_table_remove(s->items, &item->waiting.delivery);
	g_free(item);
}

/* A lane that closes still sends what its owner wants to see go out: tests. */
static void forget_all_but_tests(bh_scheduler *s, bh_lane *lane)
{
	g_autoptr(GPtrArray) tests = g_ptr_array_new();
	bh_item *item;
	while ((item = bh_heap_pop(&lane->window)))
		if (item->waiting.is_test)
			g_ptr_array_add(tests, item);
		else
			free_item(s, item);
	for (guint i = 0; i < tests->len; i++)
		bh_heap_add(&lane->window, tests->pdata[i]);
}

static void forget_window(bh_scheduler *s, bh_lane *lane)
{
	bh_item *item;
	while ((item = bh_heap_pop(&lane->window)))
		free_item(s, item);
}

/* Leaves the later half of an overfull window to the store. */
static void shed(bh_scheduler *s, bh_lane *lane)
{
	GPtrArray *things = lane->window.things;
	qsort(things->pdata, things->len, sizeof(void *), compare_items);

	size_t keep = s->limits.window / 2;
	for (size_t i = keep; i < things->len; i++)
		free_item(s, things->pdata[i]);
	g_ptr_array_set_size(things, (gint)keep);
	for (size_t i = 0; i < keep; i++)
		((bh_item *)things->pdata[i])->place = i; /* a sorted row is a heap */

	const bh_waiting *last = &((bh_item *)things->pdata[keep - 1])->waiting;
	lane->more = true;
	lane->frontier_due = last->due_at;
	lane->frontier_id = last->delivery;
}

static void admit(bh_scheduler *s, bh_lane *lane, bh_item *item)
{
	bh_heap_add(&lane->window, item);
	if (bh_heap_size(&lane->window) > s->limits.window)
		shed(s, lane);
}

/* --- Lanes --------------------------------------------------------------------------------- */

static void lane_free(void *data)
{
	bh_lane *lane = data;
	bh_heap_clear(&lane->window);
	g_free(lane);
}

static bh_lane *find_lane(const bh_scheduler *s, bh_id webhook)
{
	return g_hash_table_lookup(s->lanes, &webhook);
}

static bh_lane *need_lane(bh_scheduler *s, bh_id webhook)
{
	bh_lane *lane = find_lane(s, webhook);
	if (lane)
		return lane;
	lane = g_new0(bh_lane, 1);
	lane->webhook = webhook;
	lane->ring_link.data = lane;
	lane->timer_place = SIZE_MAX;
	bh_heap_init(&lane->window, item_before, offsetof(bh_item, place));
	g_hash_table_insert(s->lanes, &lane->webhook, lane);
	return lane;
}

static void stand(bh_scheduler *s, bh_lane *lane, lane_place place)
{
	if (lane->stands == IN_RING)
		g_queue_unlink(&s->ring, &lane->ring_link);
	else if (lane->stands == IN_TIMERS)
		bh_heap_remove(&s->timers, lane);

	lane->stands = place;
	if (place == IN_RING)
		g_queue_push_tail_link(&s->ring, &lane->ring_link);
	else if (place == IN_TIMERS)
		bh_heap_add(&s->timers, lane);
}

/* When the lane wants its next turn. False: never, as things are. */
static bool wants_turn(const bh_scheduler *s, const bh_lane *lane, bh_mono *ret_at)
{
	if (lane->in_flight >= s->limits.in_flight_per_webhook)
		return false;
	const bh_item *first = bh_heap_first(&lane->window);
	if (first)
		*ret_at = first->due;
	else if (lane->is_open && lane->more)
		*ret_at = lane->refill_at;
	else
		return false;
	return true;
}

/* Puts a lane where it belongs. A lane that keeps its turn keeps its place in the ring. */
static void settle(bh_scheduler *s, bh_lane *lane, bh_mono now)
{
	bh_mono at;
	if (!wants_turn(s, lane, &at)) {
		stand(s, lane, NOWHERE);
		if (!lane->is_open && lane->in_hand == 0)
			g_hash_table_remove(s->lanes, &lane->webhook);
		return;
	}
	if (bh_mono_reached(now, at)) {
		if (lane->stands != IN_RING)
			stand(s, lane, IN_RING);
		return;
	}
	if (lane->stands == IN_TIMERS && lane->wake.us == at.us)
		return;
	stand(s, lane, NOWHERE);
	lane->wake = at;
	stand(s, lane, IN_TIMERS);
}

/* --- The door ------------------------------------------------------------------------------- */

bh_scheduler *bh_scheduler_new(const bh_scheduler_limits *limits)
{
	g_assert(limits->window >= 4 && limits->in_flight_max > 0 && limits->in_flight_per_webhook > 0);
	bh_scheduler *s = g_new0(bh_scheduler, 1);
	s->limits = *limits;
	s->lanes = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, lane_free);
	s->items = g_hash_table_new(g_int64_hash, g_int64_equal);
	bh_heap_init(&s->timers, lane_before, offsetof(bh_lane, timer_place));
	return s;
}

void bh_scheduler_free(bh_scheduler *s)
{
	if (!s)
		return;
	GHashTableIter iter;
	void *item;
	g_hash_table_iter_init(&iter, s->items);
	while (g_hash_table_iter_next(&iter, NULL, &item)) {
		if (((bh_item *)item)->event)
			bh_event_unref(((bh_item *)item)->event);
		g_hash_table_iter_remove(&iter);
		g_free(item);
	}
	g_hash_table_unref(s->items);
	g_hash_table_unref(s->lanes);
	bh_heap_clear(&s->timers);
	g_free(s);
}

void bh_scheduler_open(bh_scheduler *s, bh_id webhook)
{
	bh_lane *lane = need_lane(s, webhook);
	forget_window(s, lane);
	lane->is_open = true;
	lane->more = true;
	lane->frontier_due = INT64_MIN;
	lane->frontier_id = 0;
	lane->refill_at = (bh_mono){INT64_MIN};
	settle(s, lane, (bh_mono){INT64_MIN});
}

void bh_scheduler_close(bh_scheduler *s, bh_id webhook)
{
	bh_lane *lane = find_lane(s, webhook);
	if (!lane)
		return;
	forget_all_but_tests(s, lane);
	lane->is_open = false;
	lane->more = false;
	settle(s, lane, (bh_mono){INT64_MIN});
}

/* It is known already: a manual retry may have brought its time forward. */
static void hasten(bh_scheduler *s, bh_item *item, const bh_waiting *waiting, bh_now now)
{
	if (item->place == SIZE_MAX)
		return; /* in hand: its record will say when */
	item->waiting = *waiting;
	item->due = bh_mono_of(waiting->due_at, now);
	bh_heap_moved(&item->lane->window, item);
	settle(s, item->lane, now.mono);
}

bh_offer bh_scheduler_offer(bh_scheduler *s, const bh_waiting *waiting, bh_event *event, bh_now now)
{
	bh_item *known = g_hash_table_lookup(s->items, &waiting->delivery);
	if (known) {
		hasten(s, known, waiting, now);
		return BH_OFFER_TAKEN;
	}

	bh_lane *lane = find_lane(s, waiting->webhook);
	if (!waiting->is_test && (!lane || !lane->is_open))
		return BH_OFFER_CLOSED;
	if (!lane)
		lane = need_lane(s, waiting->webhook);
	if (lane->is_open && behind_frontier(lane, waiting))
		return BH_OFFER_TAKEN;

	bh_item *item = g_new0(bh_item, 1);
	item->waiting = *waiting;
	item->due = bh_mono_of(waiting->due_at, now);
	item->lane = lane;
	g_hash_table_insert(s->items, &item->waiting.delivery, item);
	carry_event(s, item, event);
	admit(s, lane, item);
	settle(s, lane, now.mono);
	return BH_OFFER_TAKEN;
}

static bh_decision send(bh_scheduler *s, bh_lane *lane)
{
	bh_item *item = bh_heap_pop(&lane->window);
	item->in_flight = true;
	lane->in_flight++;
	lane->in_hand++;
	s->in_flight++;
	s->in_hand++;
	return (bh_decision){.kind = BH_DECIDE_SEND, .item = item};
}

/* The lane stands nowhere until the store has answered. */
static bh_decision ask_store(const bh_scheduler *s, const bh_lane *lane)
{
	return (bh_decision){.kind = BH_DECIDE_REFILL,
			     .webhook = lane->webhook,
			     .after_due = lane->frontier_due,
			     .after_id = lane->frontier_id,
			     .limit = s->limits.window / 2};
}

static void wake_due(bh_scheduler *s, bh_mono now)
{
	bh_lane *lane;
	while ((lane = bh_heap_first(&s->timers)) && bh_mono_reached(now, lane->wake))
		settle(s, lane, now);
}

bool bh_scheduler_awaits_records(const bh_scheduler *s)
{
	return s->in_hand - s->in_flight >= s->limits.recording_max;
}

static bool may_send_more(const bh_scheduler *s)
{
	return s->in_flight < s->limits.in_flight_max && !bh_scheduler_awaits_records(s);
}

bh_decision bh_scheduler_next(bh_scheduler *s, bh_now now)
{
	wake_due(s, now.mono);

	while (may_send_more(s) && !g_queue_is_empty(&s->ring)) {
		bh_lane *lane = g_queue_peek_head(&s->ring);
		stand(s, lane, NOWHERE); /* to the end of the ring, if it stays */

		bh_mono at;
		if (!wants_turn(s, lane, &at) || !bh_mono_reached(now.mono, at)) {
			settle(s, lane, now.mono);
			continue;
		}
		if (!bh_heap_first(&lane->window))
			return ask_store(s, lane);
		bh_decision decision = send(s, lane);
		settle(s, lane, now.mono);
		return decision;
	}

	/* With every slot taken, the end of a transfer is what goes on. */
	bh_lane *next = may_send_more(s) ? bh_heap_first(&s->timers) : NULL;
	bh_usec wait = next ? MAX(0, bh_mono_since(next->wake, now.mono)) : -1;
	return (bh_decision){.kind = BH_DECIDE_WAIT, .wait = wait};
}

void bh_scheduler_refilled(bh_scheduler *s, bh_id webhook, const bh_waiting *rows, bh_event *const *events,
			   size_t count, size_t limit, bh_now now)
{
	bh_lane *lane = find_lane(s, webhook);
	g_assert(lane && lane->is_open && lane->more);

	for (size_t i = 0; i < count; i++) {
		if (g_hash_table_contains(s->items, &rows[i].delivery))
			continue; /* in hand: it comes back by its record */
		bh_item *item = g_new0(bh_item, 1);
		item->waiting = rows[i];
		item->due = bh_mono_of(rows[i].due_at, now);
		item->lane = lane;
		g_hash_table_insert(s->items, &item->waiting.delivery, item);
		carry_event(s, item, events ? events[i] : NULL);
		bh_heap_add(&lane->window, item);
	}
	lane->more = count == limit;
	if (lane->more) {
		lane->frontier_due = rows[count - 1].due_at;
		lane->frontier_id = rows[count - 1].delivery;
	}
	settle(s, lane, now.mono);
}

void bh_scheduler_refill_failed(bh_scheduler *s, bh_id webhook, bh_mono at)
{
	bh_lane *lane = find_lane(s, webhook);
	g_assert(lane);
	lane->refill_at = at;
	settle(s, lane, (bh_mono){INT64_MIN});
}

void bh_scheduler_landed(bh_scheduler *s, bh_item *item, bh_now now)
{
	g_assert(item->in_flight);
	item->in_flight = false;
	item->lane->in_flight--;
	s->in_flight--;
	drop_event(s, item);
	settle(s, item->lane, now.mono);
}

static void let_go(bh_scheduler *s, bh_item *item)
{
	g_assert(!item->in_flight && item->place == SIZE_MAX);
	item->lane->in_hand--;
	s->in_hand--;
}

void bh_scheduler_ended(bh_scheduler *s, bh_item *item)
{
	bh_lane *lane = item->lane;
	let_go(s, item);
	free_item(s, item);
	if (!lane->is_open && lane->in_hand == 0 && bh_heap_size(&lane->window) == 0)
		g_hash_table_remove(s->lanes, &lane->webhook);
}

void bh_scheduler_again(bh_scheduler *s, bh_item *item, const bh_waiting *waiting, bh_now now)
{
	bh_lane *lane = item->lane;
	if (!lane->is_open || behind_frontier(lane, waiting)) {
		bh_scheduler_ended(s, item); /* the store has it, and a refill will find it */
		return;
	}
	let_go(s, item);
	item->waiting = *waiting;
	item->due = bh_mono_of(waiting->due_at, now);
	admit(s, lane, item);
	settle(s, lane, now.mono);
}

bh_scheduler_facts bh_scheduler_look(const bh_scheduler *s)
{
	return (bh_scheduler_facts){
		.lanes = g_hash_table_size(s->lanes),
		.waiting = g_hash_table_size(s->items) - s->in_hand,
		.in_flight = s->in_flight,
		.recording = s->in_hand - s->in_flight,
		.bytes = s->bytes,
	};
}

bool bh_scheduler_oldest_due(const bh_scheduler *s, bh_mono now, bh_mono *ret_due)
{
	GHashTableIter iter;
	void *value;
	bh_mono oldest = now;

	g_hash_table_iter_init(&iter, s->lanes);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const bh_lane *lane = value;
		const bh_item *first = bh_heap_first(&lane->window);
		if (first && first->due.us < oldest.us)
			oldest = first->due;
	}
	if (oldest.us == now.us)
		return false;
	*ret_due = oldest;
	return true;
}

bool bh_scheduler_is_idle(const bh_scheduler *s, bh_id webhook)
{
	const bh_lane *lane = find_lane(s, webhook);
	return !lane || (lane->is_open && !lane->more && lane->in_hand == 0 && bh_heap_size(&lane->window) == 0);
}
