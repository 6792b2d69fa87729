#include "delivery/scheduler.h"

#include "delivery/lane.h"

#define AT_ONCE ((bh_mono){INT64_MIN})

static bool lane_before(const void *a, const void *b)
{
	return ((const bh_lane *)a)->wake.us < ((const bh_lane *)b)->wake.us;
}

bh_scheduler *bh_scheduler_new(const bh_scheduler_limits *limits)
{
	g_assert(limits->window >= 4 && limits->in_flight_max > 0 && limits->owner_share > 0 &&
		 limits->retry_share > 0);
	g_assert(limits->pace.start > 0 && limits->pace.most > 0);
	bh_scheduler *s = g_new0(bh_scheduler, 1);
	s->limits = *limits;
	s->lanes = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, bh_lane_free);
	s->items = g_hash_table_new(g_int64_hash, g_int64_equal);
	s->owners = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, bh_owner_free);
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
	g_hash_table_unref(s->owners);
	bh_heap_clear(&s->timers);
	g_free(s);
}

/* --- Lanes open and close ----------------------------------------------------------------------- */

bool bh_scheduler_open(bh_scheduler *s, bh_id webhook, const bh_lane_terms *terms)
{
	bh_lane *lane = bh_lane_need(s, webhook);
	bh_lane_forget_window(s, lane);
	bool elsewhere = bh_lane_take_terms(s, lane, terms, AT_ONCE);
	lane->is_open = true;
	lane->more = true;
	lane->frontier_due = INT64_MIN;
	lane->frontier_id = 0;
	lane->refill_at = AT_ONCE;
	bh_lane_settle(s, lane, AT_ONCE); /* into the timers, and from there as the time says */
	return elsewhere;
}

void bh_scheduler_close(bh_scheduler *s, bh_id webhook)
{
	bh_lane *lane = bh_lane_find(s, webhook);
	if (!lane)
		return;
	bh_lane_forget_window(s, lane);
	lane->is_open = false;
	lane->more = false;
	bh_lane_settle(s, lane, AT_ONCE);
}

/* --- Deliveries come ---------------------------------------------------------------------------- */

/*
 * What is urgent is kept in memory until it is sent, and somebody may retry ten thousand by hand: those beyond a window's worth
 * wait in the lane as what they are, due now. A test has nowhere else to wait.
 */
static bool may_overtake(const bh_scheduler *s, const bh_lane *lane, const bh_waiting *waiting, bool is_urgent)
{
	return waiting->is_test || (is_urgent && bh_heap_size(&lane->urgent) < s->limits.window);
}

/*
 * In hand, its record will say when. But if its attempt is counted already, the record is on disk and this came after it: a
 * person retried it before the loop heard of the record, which is out of date when it comes.
 */
static void overrule(bh_scheduler *s, bh_item *item, const bh_waiting *waiting, bool is_urgent, bh_now now)
{
	if (waiting->attempts <= item->waiting.attempts)
		return;
	item->waiting = *waiting;
	item->due = bh_mono_of(waiting->due_at, now);
	item->is_urgent = may_overtake(s, item->lane, waiting, is_urgent);
	item->is_overruled = true;
}

/* It is known already: somebody may have brought its time forward. */
static void hasten(bh_scheduler *s, bh_item *item, const bh_waiting *waiting, bool is_urgent, bh_now now)
{
	if (item->place == SIZE_MAX) {
		overrule(s, item, waiting, is_urgent, now);
		return;
	}
	bh_heap_remove(bh_item_heap(item), item);
	item->waiting = *waiting;
	item->due = bh_mono_of(waiting->due_at, now);
	item->is_urgent |= may_overtake(s, item->lane, waiting, is_urgent);
	bh_lane_admit(s, item->lane, item);
	bh_lane_settle(s, item->lane, now.mono);
}

bh_offer bh_scheduler_offer(bh_scheduler *s, const bh_waiting *waiting, bh_event *event, bool is_urgent, bh_now now)
{
	if (waiting->due_at == BH_DUE_BLOCKED)
		return BH_OFFER_TAKEN;
	bh_item *known = g_hash_table_lookup(s->items, &waiting->delivery);
	if (known) {
		hasten(s, known, waiting, is_urgent, now);
		return BH_OFFER_TAKEN;
	}

	bh_lane *lane = bh_lane_find(s, waiting->webhook);
	if (!waiting->is_test && (!lane || !lane->is_open))
		return BH_OFFER_CLOSED;
	if (!lane)
		lane = bh_lane_need(s, waiting->webhook);
	bool overtakes = may_overtake(s, lane, waiting, is_urgent);
	if (!overtakes && lane->is_open && bh_lane_is_behind_frontier(lane, waiting))
		return BH_OFFER_TAKEN;

	bh_item *item = bh_item_new(s, lane, waiting, event, now);
	item->is_urgent = overtakes;
	bh_lane_admit(s, lane, item);
	bh_lane_settle(s, lane, now.mono);
	return BH_OFFER_TAKEN;
}

void bh_scheduler_offer_test(bh_scheduler *s, const bh_waiting *test, bh_event *event, const bh_lane_terms *terms,
			     bh_now now)
{
	bh_lane *lane = bh_lane_need(s, test->webhook);

	if (!lane->is_open)
		(void)bh_lane_take_terms(s, lane, terms,
					 now.mono); /* what was known of it is of no use when it opens */
	(void)bh_scheduler_offer(s, test, event, true, now); /* always taken */
	bh_lane_settle(s, lane, now.mono);
}

/* --- The choice ---------------------------------------------------------------------------------- */

static void wake_due(bh_scheduler *s, bh_mono now)
{
	bh_lane *lane;
	while ((lane = bh_heap_first(&s->timers)) && bh_mono_reached(now, lane->wake))
		bh_lane_settle(s, lane, now);
}

bool bh_scheduler_awaits_records(const bh_scheduler *s)
{
	return s->in_hand - s->in_flight >= s->limits.recording_max;
}

static bool may_send_more(const bh_scheduler *s)
{
	return s->in_flight < s->limits.in_flight_max && !bh_scheduler_awaits_records(s);
}

/* The lane whose turn it is; NULL: nobody's. First attempts and retries take turns, within the share of the latter. */
static bh_lane *next_lane(bh_scheduler *s)
{
	bh_lane *urgent = g_queue_peek_head(&s->rings[BH_LANE_IN_URGENT - BH_LANE_IN_URGENT]);
	bh_lane *first = g_queue_peek_head(&s->rings[BH_LANE_IN_FIRSTS - BH_LANE_IN_URGENT]);
	bh_lane *retry = g_queue_peek_head(&s->rings[BH_LANE_IN_RETRIES - BH_LANE_IN_URGENT]);

	if (urgent)
		return urgent;
	if (s->retries_in_flight >= s->limits.retry_share)
		retry = NULL;
	if (!first || !retry)
		return first ? first : retry;
	s->retries_next = !s->retries_next;
	return s->retries_next ? retry : first;
}

static bh_decision send(bh_scheduler *s, bh_lane *lane, bh_mono now)
{
	bh_item *item = bh_heap_pop(bh_heap_size(&lane->urgent) ? &lane->urgent : &lane->window);

	item->in_flight = true;
	item->receiver = lane->receiver;
	item->is_retry = item->waiting.attempts > 0 && !item->is_urgent;
	lane->in_flight++;
	lane->in_hand++;
	s->in_flight++;
	s->in_hand++;
	s->retries_in_flight += item->is_retry;
	if (lane->owner)
		lane->owner->in_flight++;
	item->sent_at = now;
	bh_pace_sent(&lane->pace, now);
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

/* Things may have changed since the lane lined up; then it goes where it belongs by now. */
static bool still_wants_turn(bh_scheduler *s, bh_lane *lane, bh_mono now)
{
	bh_lane_place place;
	bh_mono at;
	bool stays = bh_lane_wants_turn(s, lane, &place, &at) && bh_mono_reached(now, at) && place == lane->stands &&
		     !bh_owner_is_full(s, lane->owner);

	if (!stays)
		bh_lane_settle(s, lane, now);
	return stays;
}

bh_decision bh_scheduler_next(bh_scheduler *s, bh_now now)
{
	bh_lane *lane;

	wake_due(s, now.mono);
	while (may_send_more(s) && (lane = next_lane(s))) {
		if (!still_wants_turn(s, lane, now.mono))
			continue;
		bh_lane_stand(s, lane, BH_LANE_NOWHERE); /* to the end of its ring, if it goes on */
		if (!bh_heap_size(&lane->urgent) && !bh_heap_size(&lane->window))
			return ask_store(s, lane);
		bh_decision decision = send(s, lane, now.mono);
		bh_lane_settle(s, lane, now.mono);
		return decision;
	}

	/* With every slot taken, the end of a transfer is what goes on. */
	bh_lane *next = may_send_more(s) ? bh_heap_first(&s->timers) : NULL;
	bh_usec wait = next ? MAX(0, bh_mono_since(next->wake, now.mono)) : -1;
	return (bh_decision){.kind = BH_DECIDE_WAIT, .wait = wait};
}

/* --- What the store had --------------------------------------------------------------------------- */

void bh_scheduler_refilled(bh_scheduler *s, bh_id webhook, const bh_waiting *rows, bh_event *const *events,
			   size_t count, size_t limit, bh_now now)
{
	bh_lane *lane = bh_lane_find(s, webhook);
	g_assert(lane && lane->is_open && lane->more);

	for (size_t i = 0; i < count; i++) {
		if (g_hash_table_contains(s->items, &rows[i].delivery))
			continue; /* in hand: it comes back by its record */
		bh_item *item = bh_item_new(s, lane, &rows[i], events ? events[i] : NULL, now);
		bh_heap_add(bh_item_heap(item), item);
	}
	lane->more = count == limit;
	if (lane->more) {
		lane->frontier_due = rows[count - 1].due_at;
		lane->frontier_id = rows[count - 1].delivery;
	}
	bh_lane_settle(s, lane, now.mono);
	bh_owner_let_in(s, lane->owner, now.mono); /* if it did not need its turn after all */
}

void bh_scheduler_refill_failed(bh_scheduler *s, bh_id webhook, bh_mono at)
{
	bh_lane *lane = bh_lane_find(s, webhook);
	g_assert(lane);
	lane->refill_at = at;
	bh_lane_settle(s, lane, AT_ONCE);
	bh_owner_let_in(s, lane->owner, AT_ONCE);
}

bool bh_scheduler_sends_late(bh_scheduler *s, bh_item *item, bh_now now)
{
	bh_lane *lane = item->lane;
	bool may;

	g_assert(item->in_flight);
	if (item->receiver != lane->receiver)
		return false;
	may = bh_pace_sent_late(&lane->pace, item->sent_at, item->is_urgent || item->waiting.is_test, now.mono);
	if (may)
		item->sent_at = now.mono;
	return may;
}

/* --- Deliveries go ---------------------------------------------------------------------------------- */

static bh_landed hear(bh_scheduler *s, const bh_item *item, const bh_landing *landing, bh_mono now)
{
	bh_lane *lane = item->lane;

	if (item->receiver != lane->receiver) /* the lane leads elsewhere by now, and this tells nothing of that one */
		return BH_LANDED;
	if (!landing->was_sent) {
		bh_pace_unsent(&lane->pace, item->sent_at, now);
		return BH_LANDED;
	}
	if (!bh_pace_heard(&lane->pace, &s->limits.pace, landing->signal, landing->pause, now))
		return BH_LANDED;
	bool closed = lane->pace.breaker == BH_BREAKER_CLOSED;
	s->breakers += closed ? -1 : 1;
	return closed ? BH_LANDED_BREAKER_CLOSED : BH_LANDED_BREAKER_OPENED;
}

bh_landed bh_scheduler_landed(bh_scheduler *s, bh_item *item, const bh_landing *landing, bh_now now)
{
	bh_lane *lane = item->lane;

	g_assert(item->in_flight);
	item->in_flight = false;
	lane->in_flight--;
	s->in_flight--;
	s->retries_in_flight -= item->is_retry;
	if (lane->owner)
		lane->owner->in_flight--;
	bh_item_drop_event(s, item);
	bh_landed landed = hear(s, item, landing, now.mono);
	bh_lane_settle(s, lane, now.mono);
	bh_owner_let_in(s, lane->owner, now.mono);
	return landed;
}

static void let_go(bh_scheduler *s, bh_item *item)
{
	g_assert(!item->in_flight && item->place == SIZE_MAX);
	item->lane->in_hand--;
	s->in_hand--;
}

static void forget(bh_scheduler *s, bh_item *item)
{
	bh_lane *lane = item->lane;
	let_go(s, item);
	bh_item_free(s, item);
	if (!lane->is_open)
		bh_lane_settle(s, lane, AT_ONCE); /* it may have been the last */
}

static void take_back(bh_scheduler *s, bh_item *item, bh_mono now)
{
	bh_lane *lane = item->lane;
	if (!lane->is_open || (!item->is_urgent && bh_lane_is_behind_frontier(lane, &item->waiting))) {
		forget(s, item); /* the store has it, and a refill will find it */
		return;
	}
	let_go(s, item);
	item->is_overruled = false;
	bh_lane_admit(s, lane, item);
	bh_lane_settle(s, lane, now);
}

void bh_scheduler_ended(bh_scheduler *s, bh_item *item)
{
	if (item->is_overruled)
		take_back(s, item, AT_ONCE);
	else
		forget(s, item);
}

void bh_scheduler_again(bh_scheduler *s, bh_item *item, const bh_waiting *waiting, bh_now now)
{
	if (!item->is_overruled) {
		item->waiting = *waiting;
		item->due = bh_mono_of(waiting->due_at, now);
		item->is_urgent = false;
	}
	take_back(s, item, now.mono);
}

/* --- Looking ----------------------------------------------------------------------------------------- */

bh_scheduler_facts bh_scheduler_look(const bh_scheduler *s)
{
	return (bh_scheduler_facts){
		.lanes = g_hash_table_size(s->lanes),
		.waiting = g_hash_table_size(s->items) - s->in_hand,
		.in_flight = s->in_flight,
		.retries_in_flight = s->retries_in_flight,
		.recording = s->in_hand - s->in_flight,
		.bytes = s->bytes,
		.breakers = s->breakers,
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
		bool has_any = bh_heap_size(&lane->urgent) || bh_heap_size(&lane->window);
		bh_lane_place place;
		bh_mono at;
		if (has_any && bh_lane_wants_turn(s, lane, &place, &at) && at.us < oldest.us)
			oldest = at;
	}
	if (oldest.us == now.us)
		return false;
	*ret_due = oldest;
	return true;
}

bool bh_scheduler_is_idle(const bh_scheduler *s, bh_id webhook)
{
	const bh_lane *lane = bh_lane_find(s, webhook);
	return !lane || (lane->is_open && !lane->more && lane->in_hand == 0 && bh_heap_size(&lane->window) == 0 &&
			 bh_heap_size(&lane->urgent) == 0);
}

const bh_pace *bh_scheduler_pace(const bh_scheduler *s, bh_id webhook)
{
	const bh_lane *lane = bh_lane_find(s, webhook);
	return lane ? &lane->pace : NULL;
}

void bh_scheduler_broken(const bh_scheduler *s, GArray *ret)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, s->lanes);
	while (s->breakers && g_hash_table_iter_next(&iter, NULL, &value)) {
		const bh_lane *lane = value;
		if (lane->pace.breaker != BH_BREAKER_CLOSED)
			g_array_append_val(ret, lane->webhook);
	}
}
