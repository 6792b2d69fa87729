#include "delivery/lane.h"

#include <stdlib.h>

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

bool bh_lane_is_behind_frontier(const bh_lane *lane, const bh_waiting *w)
{
	return lane->more && compare_key(w->due_at, w->delivery, lane->frontier_due, lane->frontier_id) > 0;
}

/* --- Items --------------------------------------------------------------------------------- */

void bh_item_drop_event(bh_scheduler *s, bh_item *item)
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

bh_item *bh_item_new(bh_scheduler *s, bh_lane *lane, const bh_waiting *waiting, bh_event *event, bh_now now)
{
	bh_item *item = g_new0(bh_item, 1);

	item->waiting = *waiting;
	item->due = bh_mono_of(waiting->due_at, now);
	item->lane = lane;
	item->place = SIZE_MAX;
	item->is_urgent = waiting->is_test;
	g_hash_table_insert(s->items, &item->waiting.delivery, item);
	carry_event(s, item, event);
	return item;
}

void bh_item_free(bh_scheduler *s, bh_item *item)
{
	bh_item_drop_event(s, item);
	g_hash_table_remove(s->items, &item->waiting.delivery);
	g_free(item);
}

bh_heap *bh_item_heap(const bh_item *item)
{
	return item->is_urgent ? &item->lane->urgent : &item->lane->window;
}

/* --- Windows ------------------------------------------------------------------------------- */

void bh_lane_forget_window(bh_scheduler *s, bh_lane *lane)
{
	bh_item *item;
	while ((item = bh_heap_pop(&lane->window)))
		bh_item_free(s, item);
}

/* Leaves the later half of an overfull window to the store. */
static void shed(bh_scheduler *s, bh_lane *lane)
{
	GPtrArray *things = lane->window.things;
	qsort(things->pdata, things->len, sizeof(void *), compare_items);

	size_t keep = s->limits.window / 2;
	for (size_t i = keep; i < things->len; i++)
		bh_item_free(s, things->pdata[i]);
	g_ptr_array_set_size(things, (gint)keep);
	for (size_t i = 0; i < keep; i++)
		((bh_item *)things->pdata[i])->place = i; /* a sorted row is a heap */

	const bh_waiting *last = &((bh_item *)things->pdata[keep - 1])->waiting;
	lane->more = true;
	lane->frontier_due = last->due_at;
	lane->frontier_id = last->delivery;
}

void bh_lane_admit(bh_scheduler *s, bh_lane *lane, bh_item *item)
{
	bh_heap_add(bh_item_heap(item), item);
	if (bh_heap_size(&lane->window) > s->limits.window)
		shed(s, lane);
}

/* --- Owners -------------------------------------------------------------------------------- */

void bh_owner_free(void *data)
{
	bh_owner *owner = data;
	g_free(owner->id);
	g_free(owner);
}

bool bh_owner_is_full(const bh_scheduler *s, const bh_owner *owner)
{
	return owner && owner->in_flight >= s->limits.owner_share && g_hash_table_size(s->owners) > 1;
}

void bh_owner_let_in(bh_scheduler *s, bh_owner *owner, bh_mono now)
{
	while (owner && !g_queue_is_empty(&owner->waiting) && !bh_owner_is_full(s, owner)) {
		bh_lane *lane = g_queue_peek_head(&owner->waiting);
		bh_lane_settle(s, lane, now);
		if (BH_LANE_IN_RING(lane->stands))
			return; /* one is enough: it has a turn, and passes it on */
	}
}

/* Who is alone needs nobody's leave any more. */
static void let_in_the_last(bh_scheduler *s, bh_mono now)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, s->owners);
	if (g_hash_table_size(s->owners) != 1 || !g_hash_table_iter_next(&iter, NULL, &value))
		return;
	bh_owner *owner = value;
	while (!g_queue_is_empty(&owner->waiting))
		bh_lane_settle(s, g_queue_peek_head(&owner->waiting), now);
}

static bh_owner *owner_join(bh_scheduler *s, const char *id, size_t in_flight)
{
	bh_owner *owner = g_hash_table_lookup(s->owners, id);

	if (!owner) {
		owner = g_new0(bh_owner, 1);
		owner->id = g_strdup(id);
		g_queue_init(&owner->waiting);
		g_hash_table_insert(s->owners, owner->id, owner);
	}
	owner->lanes++;
	owner->in_flight += in_flight;
	return owner;
}

static void owner_leave(bh_scheduler *s, bh_owner *owner, size_t in_flight, bh_mono now)
{
	if (!owner)
		return;
	owner->in_flight -= in_flight;
	if (--owner->lanes == 0) {
		g_hash_table_remove(s->owners, owner->id);
		let_in_the_last(s, now);
	} else {
		bh_owner_let_in(s, owner, now);
	}
}

/* --- Lanes --------------------------------------------------------------------------------- */

bh_lane *bh_lane_find(const bh_scheduler *s, bh_id webhook)
{
	return g_hash_table_lookup(s->lanes, &webhook);
}

bh_lane *bh_lane_need(bh_scheduler *s, bh_id webhook)
{
	bh_lane *lane = bh_lane_find(s, webhook);
	if (lane)
		return lane;
	lane = g_new0(bh_lane, 1);
	lane->webhook = webhook;
	lane->link.data = lane;
	lane->timer_place = SIZE_MAX;
	bh_heap_init(&lane->window, item_before, offsetof(bh_item, place));
	bh_heap_init(&lane->urgent, item_before, offsetof(bh_item, place));
	bh_pace_init(&lane->pace, &s->limits.pace);
	g_hash_table_insert(s->lanes, &lane->webhook, lane);
	return lane;
}

void bh_lane_free(void *data)
{
	bh_lane *lane = data;
	bh_heap_clear(&lane->window);
	bh_heap_clear(&lane->urgent);
	g_free(lane);
}

bool bh_lane_take_terms(bh_scheduler *s, bh_lane *lane, const bh_lane_terms *terms, bh_mono now)
{
	const char *owner = terms->owner ? terms->owner : "";

	if (!lane->owner || !g_str_equal(lane->owner->id, owner)) {
		bh_owner *before = lane->owner;
		bh_lane_stand(s, lane, BH_LANE_NOWHERE);
		lane->owner = owner_join(s, owner, lane->in_flight);
		owner_leave(s, before, lane->in_flight, now);
	}
	bh_pace_set_rate(&lane->pace, terms->rate_requests, terms->rate_per);

	bool known = lane->receiver != 0, elsewhere = lane->receiver != terms->receiver;
	if (elsewhere) {
		s->breakers -= lane->pace.breaker != BH_BREAKER_CLOSED;
		bh_pace_forget(&lane->pace, &s->limits.pace);
		lane->receiver = terms->receiver;
	}
	return known && elsewhere;
}

static GQueue *queue_of(bh_scheduler *s, bh_lane *lane, bh_lane_place place)
{
	if (place == BH_LANE_AT_OWNER)
		return &lane->owner->waiting;
	return BH_LANE_IN_RING(place) ? &s->rings[place - BH_LANE_IN_URGENT] : NULL;
}

void bh_lane_stand(bh_scheduler *s, bh_lane *lane, bh_lane_place place)
{
	GQueue *from = queue_of(s, lane, lane->stands), *to = queue_of(s, lane, place);

	if (from)
		g_queue_unlink(from, &lane->link);
	else if (lane->stands == BH_LANE_IN_TIMERS)
		bh_heap_remove(&s->timers, lane);

	lane->stands = place;
	if (to && place == BH_LANE_AT_OWNER && bh_heap_size(&lane->urgent))
		g_queue_push_head_link(to, &lane->link);
	else if (to)
		g_queue_push_tail_link(to, &lane->link);
	else if (place == BH_LANE_IN_TIMERS)
		bh_heap_add(&s->timers, lane);
}

/* A test is told apart: its owner looks at the page and wants to see why the others hang. */
static size_t urgent_most(const bh_scheduler *s, const bh_item *urgent)
{
	return (urgent->waiting.is_test ? 2 : 1) * (size_t)s->limits.pace.most;
}

bool bh_lane_wants_turn(const bh_scheduler *s, const bh_lane *lane, bh_lane_place *ret_place, bh_mono *ret_at)
{
	const bh_item *urgent = bh_heap_first(&lane->urgent), *first = bh_heap_first(&lane->window);

	if (urgent && lane->in_flight < urgent_most(s, urgent)) {
		*ret_place = BH_LANE_IN_URGENT;
		*ret_at = urgent->due;
		return true;
	}
	if (!first && !(lane->is_open && lane->more))
		return false;

	bh_mono at;
	if (!bh_pace_may_send(&lane->pace, (unsigned)lane->in_flight, &at))
		return false;
	bh_mono due = first ? first->due : lane->refill_at;
	*ret_at = due.us > at.us ? due : at;
	*ret_place = first && first->waiting.attempts > 0 ? BH_LANE_IN_RETRIES : BH_LANE_IN_FIRSTS;
	return true;
}

static bool is_done_with(const bh_lane *lane)
{
	return !lane->is_open && lane->in_hand == 0 && bh_heap_size(&lane->window) == 0 &&
	       bh_heap_size(&lane->urgent) == 0;
}

static void rest(bh_scheduler *s, bh_lane *lane, bh_mono now)
{
	bh_lane_stand(s, lane, BH_LANE_NOWHERE);
	if (!is_done_with(lane))
		return;
	bh_owner *owner = g_steal_pointer(&lane->owner);
	s->breakers -= lane->pace.breaker != BH_BREAKER_CLOSED;
	g_hash_table_remove(s->lanes, &lane->webhook);
	owner_leave(s, owner, 0, now);
}

static void wait_until(bh_scheduler *s, bh_lane *lane, bh_mono at)
{
	if (lane->stands == BH_LANE_IN_TIMERS && lane->wake.us == at.us)
		return;
	bh_lane_stand(s, lane, BH_LANE_NOWHERE);
	lane->wake = at;
	bh_lane_stand(s, lane, BH_LANE_IN_TIMERS);
}

/* Where a lane that has nothing in its way stands. One that keeps its place keeps its turn, too. */
static void line_up(bh_scheduler *s, bh_lane *lane, bh_lane_place place)
{
	bool is_urgent = place == BH_LANE_IN_URGENT;

	if (bh_owner_is_full(s, lane->owner))
		place = BH_LANE_AT_OWNER;
	if (lane->stands != place || (place == BH_LANE_AT_OWNER && is_urgent)) /* what is urgent is let in first */
		bh_lane_stand(s, lane, place);
}

void bh_lane_settle(bh_scheduler *s, bh_lane *lane, bh_mono now)
{
	bool had_turn = BH_LANE_IN_RING(lane->stands);
	bh_owner *owner = lane->owner;
	bh_lane_place place;
	bh_mono at;

	if (!bh_lane_wants_turn(s, lane, &place, &at)) {
		if (is_done_with(lane))
			had_turn = false; /* leaving, it sees to the others itself */
		rest(s, lane, now);
	} else if (!bh_mono_reached(now, at)) {
		wait_until(s, lane, at);
	} else {
		line_up(s, lane, place);
		return;
	}
	/* Its turn goes to another lane of the same owner. */
	if (had_turn)
		bh_owner_let_in(s, owner, now);
}
