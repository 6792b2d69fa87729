#include "delivery/scheduler.h"

#include "base/chance.h"

#include <string.h>

#define NOON (INT64_C(1767268800) * BH_SECOND)

static const bh_scheduler_limits limits = {.in_flight_max = 8,
					   .owner_share = 8,
					   .retry_share = 8,
					   .pace = {.start = 3,
						    .most = 3,
						    .breaker_failures = 5,
						    .breaker_percent = 70,
						    .breaker_attempts = 10,
						    .breaker_span = 5 * BH_MINUTE,
						    .probe_first = 30 * BH_SECOND,
						    .probe_max = BH_HOUR},
					   .window = 8,
					   .window_bytes = 1000,
					   .recording_max = 100};
static const bh_lane_terms plain = {.receiver = 1};
static const bh_landing well = {.was_sent = true, .signal = BH_SIGNAL_WELL};
static const bh_landing bad = {.was_sent = true, .signal = BH_SIGNAL_FAILED};
static const bh_landing dead = {.was_sent = true, .signal = BH_SIGNAL_UNREACHABLE};

/* A pretended store: what waits, by key, so that refills are answered as the real one would. */
typedef struct world {
	bh_scheduler *scheduler;
	GArray *store; /* of bh_waiting, PENDING */
	bh_now now;
	size_t refills, rows_read;
	GPtrArray *sent; /* bh_item in hand, in order */
} world;

static world world_new(const bh_scheduler_limits *l)
{
	return (world){
		.scheduler = bh_scheduler_new(l),
		.store = g_array_new(FALSE, FALSE, sizeof(bh_waiting)),
		.now = {.wall = NOON, .mono = {5000}},
		.sent = g_ptr_array_new(),
	};
}

static void world_clear(world *w)
{
	bh_scheduler_free(w->scheduler);
	g_array_unref(w->store);
	g_ptr_array_unref(w->sent);
}

static int compare_waiting(const void *a, const void *b)
{
	const bh_waiting *x = a, *y = b;
	if (x->due_at != y->due_at)
		return x->due_at < y->due_at ? -1 : 1;
	return x->delivery < y->delivery ? -1 : x->delivery > y->delivery;
}

static void refill(world *w, const bh_decision *d)
{
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(bh_waiting));
	g_array_sort(w->store, compare_waiting);
	bh_waiting after = {.due_at = d->after_due, .delivery = d->after_id};
	for (guint i = 0; i < w->store->len && rows->len < d->limit; i++) {
		bh_waiting *row = &g_array_index(w->store, bh_waiting, i);
		if (row->webhook == d->webhook && compare_waiting(row, &after) > 0)
			g_array_append_val(rows, *row);
	}
	w->refills++;
	w->rows_read += rows->len;
	bh_scheduler_refilled(w->scheduler, d->webhook, (bh_waiting *)(void *)rows->data, NULL, rows->len, d->limit,
			      w->now);
}

/* Everything that may be sent now is sent; returns the wait. */
static bh_usec run(world *w)
{
	for (;;) {
		bh_decision d = bh_scheduler_next(w->scheduler, w->now);
		if (d.kind == BH_DECIDE_SEND)
			g_ptr_array_add(w->sent, d.item);
		else if (d.kind == BH_DECIDE_REFILL)
			refill(w, &d);
		else
			return d.wait;
	}
}

static bh_waiting waiting(bh_id delivery, bh_id webhook, bh_usec due)
{
	return (bh_waiting){
		.delivery = delivery, .event = 1000 + delivery, .webhook = webhook, .due_at = due, .created_at = NOON};
}

static void store(world *w, bh_waiting row)
{
	g_array_append_val(w->store, row);
}

/* Made durable and offered, as the journal does. */
static bh_offer fresh(world *w, bh_id delivery, bh_id webhook)
{
	bh_waiting row = waiting(delivery, webhook, w->now.wall);
	store(w, row);
	return bh_scheduler_offer(w->scheduler, &row, NULL, false, w->now);
}

static void unstore(world *w, bh_id delivery)
{
	for (guint i = 0; i < w->store->len; i++)
		if (g_array_index(w->store, bh_waiting, i).delivery == delivery) {
			g_array_remove_index(w->store, i);
			return;
		}
	g_assert_not_reached();
}

/* The oldest in hand ends for good. */
static bh_id finish_first(world *w)
{
	bh_item *item = g_ptr_array_steal_index(w->sent, 0);
	bh_id id = item->waiting.delivery;
	bh_scheduler_landed(w->scheduler, item, &well, w->now);
	unstore(w, id);
	bh_scheduler_ended(w->scheduler, item);
	return id;
}

/* The oldest in hand fails in some way and is due again after `delay`. */
static bh_landed fail_as(world *w, const bh_landing *how, bh_usec delay)
{
	bh_item *item = g_ptr_array_steal_index(w->sent, 0);
	bh_waiting again = item->waiting;
	again.due_at = w->now.wall + delay;
	again.attempts++;
	bh_landed landed = bh_scheduler_landed(w->scheduler, item, how, w->now);
	unstore(w, again.delivery);
	store(w, again);
	bh_scheduler_again(w->scheduler, item, &again, w->now);
	return landed;
}

static void fail_first(world *w, bh_usec delay)
{
	static const bh_landing no_matter = {.was_sent = true, .signal = BH_SIGNAL_NONE};
	fail_as(w, &no_matter, delay);
}

static void pass(world *w, bh_usec span)
{
	w->now.wall += span;
	w->now.mono.us += span;
}

static bh_id sent_id(const world *w, guint i)
{
	return ((bh_item *)w->sent->pdata[i])->waiting.delivery;
}

static world open_world(void)
{
	world w = world_new(&limits);
	bh_scheduler_open(w.scheduler, 7, &plain);
	run(&w);
	return w;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_fresh_delivery_is_sent_at_once(void)
{
	world w = open_world();
	g_assert_cmpint(fresh(&w, 1, 7), ==, BH_OFFER_TAKEN);
	g_assert_cmpint(run(&w), ==, -1);
	g_assert_cmpuint(w.sent->len, ==, 1);
	g_assert_cmpint(finish_first(&w), ==, 1);
	g_assert_true(bh_scheduler_is_idle(w.scheduler, 7));
	world_clear(&w);
}

static void a_closed_lane_takes_tests_only(void)
{
	world w = world_new(&limits);
	g_assert_cmpint(fresh(&w, 1, 7), ==, BH_OFFER_CLOSED);
	bh_waiting test = waiting(2, 7, NOON);
	test.is_test = true;
	store(&w, test);
	g_assert_cmpint(bh_scheduler_offer(w.scheduler, &test, NULL, false, w.now), ==, BH_OFFER_TAKEN);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	g_assert_cmpint(finish_first(&w), ==, 2);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).lanes, ==, 0);
	world_clear(&w);
}

static void a_test_that_waits_goes_out_though_its_lane_closes(void)
{
	world w = open_world();
	bh_waiting test = waiting(9, 7, NOON);
	test.is_test = true;
	for (bh_id i = 1; i <= 3; i++)
		fresh(&w, i, 7);
	run(&w); /* every slot is taken */
	fresh(&w, 4, 7);
	store(&w, test);
	bh_scheduler_offer(w.scheduler, &test, NULL, false, w.now);
	bh_scheduler_close(w.scheduler, 7);
	for (bh_id i = 1; i <= 3; i++) {
		g_assert_cmpint(finish_first(&w), ==, i);
		run(&w);
	}
	g_assert_cmpuint(w.sent->len, ==, 1);
	g_assert_cmpint(finish_first(&w), ==, 9);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).lanes, ==, 0);
	world_clear(&w);
}

static void what_waited_before_the_start_is_found_in_the_store(void)
{
	world w = world_new(&limits);
	for (bh_id i = 1; i <= 20; i++)
		store(&w, waiting(i, 7, NOON - BH_HOUR + i));
	bh_scheduler_open(w.scheduler, 7, &plain);
	for (bh_id i = 1; i <= 20; i++) {
		run(&w);
		g_assert_cmpint(finish_first(&w), ==, i);
	}
	g_assert_cmpint(run(&w), ==, -1);
	g_assert_cmpuint(w.sent->len, ==, 0);
	world_clear(&w);
}

static void one_webhook_has_its_slots_and_all_together_theirs(void)
{
	world w = world_new(&limits);
	for (bh_id webhook = 1; webhook <= 4; webhook++) {
		for (bh_id i = 0; i < 5; i++)
			store(&w, waiting(10 * webhook + i, webhook, NOON));
		bh_scheduler_open(w.scheduler, webhook, &plain);
	}
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 8);
	size_t of[5] = {0};
	for (guint i = 0; i < w.sent->len; i++)
		of[((bh_item *)w.sent->pdata[i])->waiting.webhook]++;
	for (size_t i = 1; i <= 4; i++)
		g_assert_cmpuint(of[i], ==, 2); /* turns, not first come first served */
	world_clear(&w);
}

static void a_retry_waits_for_its_time(void)
{
	world w = open_world();
	fresh(&w, 1, 7);
	run(&w);
	fail_first(&w, 5 * BH_SECOND);
	g_assert_cmpint(run(&w), ==, 5 * BH_SECOND);
	pass(&w, 5 * BH_SECOND - 1);
	g_assert_cmpint(run(&w), ==, 1);
	g_assert_cmpuint(w.sent->len, ==, 0);
	pass(&w, 1);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	g_assert_cmpint(((bh_item *)w.sent->pdata[0])->waiting.attempts, ==, 1);
	world_clear(&w);
}

static void a_jump_of_the_wall_clock_moves_nothing_in_memory(void)
{
	world w = open_world();
	fresh(&w, 1, 7);
	run(&w);
	fail_first(&w, 5 * BH_SECOND);
	w.now.wall += BH_DAY;
	g_assert_cmpint(run(&w), ==, 5 * BH_SECOND);
	world_clear(&w);
}

static void a_million_waiting_cost_a_window(void)
{
	world w = open_world();
	for (bh_id i = 1; i <= 10000; i++)
		fresh(&w, i, 7);
	bh_scheduler_facts facts = bh_scheduler_look(w.scheduler);
	g_assert_cmpuint(facts.waiting, <=, limits.window);
	for (bh_id i = 1; i <= 200; i++) {
		run(&w);
		g_assert_cmpuint(bh_scheduler_look(w.scheduler).waiting, <=, limits.window);
		g_assert_cmpint(finish_first(&w), ==, i); /* in order, none passed over */
	}
	world_clear(&w);
}

static void nothing_is_lost_and_nothing_is_sent_twice_whatever_the_order_of_things(void)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		bh_chance chance = bh_chance_seeded(seed);
		world w = world_new(&limits);
		g_autoptr(GHashTable) ended = g_hash_table_new(NULL, NULL);
		const bh_id webhooks = 3, total = 150;
		for (bh_id h = 1; h <= webhooks; h++)
			bh_scheduler_open(w.scheduler, h, &plain);
		bh_id made = 0;
		while (g_hash_table_size(ended) < (guint)total) {
			int64_t dice = bh_chance_between(&chance, 0, 9);
			if (dice < 3 && made < total) {
				made++;
				fresh(&w, made, 1 + made % webhooks);
			} else if (dice < 5 && w.sent->len > 0)
				g_assert_true(g_hash_table_add(ended, GINT_TO_POINTER(finish_first(&w))));
			else if (dice < 7 && w.sent->len > 0)
				fail_first(&w, bh_chance_between(&chance, 0, 20) * BH_SECOND);
			else if (dice == 7)
				bh_scheduler_open(w.scheduler, bh_chance_between(&chance, 1, webhooks), &plain);
			else
				pass(&w, bh_chance_between(&chance, 0, 3) * BH_SECOND);
			run(&w);

			g_autoptr(GHashTable) in_hand = g_hash_table_new(NULL, NULL);
			for (guint i = 0; i < w.sent->len; i++)
				g_assert_true(g_hash_table_add(in_hand, GINT_TO_POINTER(sent_id(&w, i))));
			g_assert_cmpuint(w.sent->len, <=, limits.in_flight_max);
		}
		g_assert_cmpuint(w.store->len, ==, 0);
		world_clear(&w);
	}
}

static void a_refill_passes_over_what_is_in_hand(void)
{
	world w = open_world();
	fresh(&w, 1, 7);
	run(&w);
	bh_scheduler_open(w.scheduler, 7, &plain); /* forgets the window, not the hand */
	run(&w);
	g_assert_cmpuint(w.refills, ==, 2);
	g_assert_cmpuint(w.sent->len, ==, 1);
	world_clear(&w);
}

static void a_retry_by_hand_brings_a_waiting_one_forward(void)
{
	world w = open_world();
	fresh(&w, 1, 7);
	run(&w);
	fail_first(&w, BH_HOUR);
	run(&w);
	bh_waiting now = waiting(1, 7, w.now.wall);
	g_assert_cmpint(bh_scheduler_offer(w.scheduler, &now, NULL, true, w.now), ==, BH_OFFER_TAKEN);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	world_clear(&w);
}

/* Kept in one commit with the record, and heard of before it. */
static void a_retry_by_hand_just_after_the_record_is_not_lost(void)
{
	for (int ends = 0; ends < 2; ends++) {
		world w = open_world();
		fresh(&w, 1, 7);
		run(&w);
		bh_item *item = g_ptr_array_steal_index(w.sent, 0);
		bh_scheduler_landed(w.scheduler, item, &bad, w.now);
		bh_waiting again = waiting(1, 7, w.now.wall + BH_HOUR), by_hand = waiting(1, 7, w.now.wall);
		again.attempts = by_hand.attempts = 1;
		bh_scheduler_offer(w.scheduler, &by_hand, NULL, true, w.now);
		run(&w);
		g_assert_cmpuint(w.sent->len, ==, 0); /* its record has not come back yet */
		if (ends)
			bh_scheduler_ended(w.scheduler, item);
		else
			bh_scheduler_again(w.scheduler, item, &again, w.now);
		run(&w);
		g_assert_cmpuint(w.sent->len, ==, 1);
		finish_first(&w);
		g_assert_true(bh_scheduler_is_idle(w.scheduler, 7));
		world_clear(&w);
	}
}

/* One that came before the record says nothing: the attempt is under way. */
static void a_retry_by_hand_of_what_is_in_flight_changes_nothing(void)
{
	world w = open_world();
	fresh(&w, 1, 7);
	run(&w);
	bh_waiting by_hand = waiting(1, 7, w.now.wall);
	bh_scheduler_offer(w.scheduler, &by_hand, NULL, true, w.now);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	fail_first(&w, BH_HOUR);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 0);
	world_clear(&w);
}

/* They overtake their lane, but only as many as a window holds are kept in memory beside it. */
static void retries_by_hand_without_number_cost_no_memory(void)
{
	enum { MANY = 1000 };
	world w = open_world();
	for (bh_id i = 1; i <= MANY; i++) {
		bh_waiting row = waiting(i, 7, w.now.wall);
		store(&w, row);
		bh_scheduler_offer(w.scheduler, &row, NULL, true, w.now);
	}
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).waiting, <=, 2 * limits.window);
	for (size_t sent = 0; sent < MANY; sent++) {
		run(&w);
		g_assert_cmpuint(w.sent->len, >, 0);
		finish_first(&w);
	}
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 0);
	world_clear(&w);
}

static void closing_stops_what_waits_and_leaves_what_flies(void)
{
	world w = open_world();
	for (bh_id i = 1; i <= 6; i++)
		fresh(&w, i, 7);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 3);
	bh_scheduler_close(w.scheduler, 7);
	finish_first(&w);
	fail_first(&w, 0);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	finish_first(&w);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).lanes, ==, 0);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).waiting, ==, 0);
	world_clear(&w);
}

static void too_many_unrecorded_outcomes_stop_the_sending(void)
{
	bh_scheduler_limits few = limits;
	few.recording_max = 2;
	world w = world_new(&few);
	bh_scheduler_open(w.scheduler, 7, &plain);
	run(&w);
	for (bh_id i = 1; i <= 6; i++)
		fresh(&w, i, 7);
	run(&w);
	bh_item *a = w.sent->pdata[0], *b = w.sent->pdata[1], *c = w.sent->pdata[2];
	bh_scheduler_landed(w.scheduler, a, &well, w.now);
	bh_scheduler_landed(w.scheduler, b, &well, w.now);
	bh_scheduler_landed(w.scheduler, c, &well, w.now);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 3);
	bh_scheduler_ended(w.scheduler, a);
	bh_scheduler_ended(w.scheduler, b);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 6);
	world_clear(&w);
}

static void a_store_that_fails_is_asked_again_later(void)
{
	world w = world_new(&limits);
	store(&w, waiting(1, 7, NOON));
	bh_scheduler_open(w.scheduler, 7, &plain);
	bh_decision d = bh_scheduler_next(w.scheduler, w.now);
	g_assert_cmpint(d.kind, ==, BH_DECIDE_REFILL);
	bh_scheduler_refill_failed(w.scheduler, 7, bh_mono_add(w.now.mono, BH_SECOND));
	g_assert_cmpint(run(&w), ==, BH_SECOND);
	pass(&w, BH_SECOND);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	world_clear(&w);
}

static void the_delivery_that_is_overdue_longest_is_known(void)
{
	world w = open_world();
	bh_mono due;
	g_assert_false(bh_scheduler_oldest_due(w.scheduler, w.now.mono, &due));
	for (bh_id i = 1; i <= 4; i++)
		fresh(&w, i, 7);
	run(&w);
	pass(&w, BH_MINUTE);
	g_assert_false(
		bh_scheduler_oldest_due(w.scheduler, w.now.mono, &due)); /* the fourth waits for its own receiver */

	bh_mono since = w.now.mono;
	for (bh_id webhook = 8; webhook <= 13; webhook++) {
		bh_scheduler_open(w.scheduler, webhook, &plain);
		fresh(&w, 10 * webhook, webhook);
	}
	run(&w); /* the last of these finds no slot */
	pass(&w, BH_MINUTE);
	g_assert_true(bh_scheduler_oldest_due(w.scheduler, w.now.mono, &due));
	g_assert_cmpint(due.us, ==, since.us);
	finish_first(&w);
	run(&w);
	finish_first(&w);
	run(&w);
	g_assert_false(bh_scheduler_oldest_due(w.scheduler, w.now.mono, &due));
	world_clear(&w);
}

static bh_event *payload(size_t bytes)
{
	bh_event parts = {.type = (char *)"booking_added", .data = bh_span_of("{}")};
	bh_event *event = bh_event_restore(&parts);
	event->bytes = bytes;
	return event;
}

static void payloads_ride_along_while_there_is_room(void)
{
	world w = open_world();
	for (bh_id i = 1; i <= 3; i++) {
		bh_waiting row = waiting(i, 7, NOON);
		store(&w, row);
		g_autoptr(bh_event) event = payload(400);
		bh_scheduler_offer(w.scheduler, &row, event, false, w.now);
	}
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).bytes, ==, 800);
	run(&w);
	g_assert_nonnull(((bh_item *)w.sent->pdata[0])->event);
	g_assert_null(((bh_item *)w.sent->pdata[2])->event);
	while (w.sent->len > 0)
		finish_first(&w);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).bytes, ==, 0);
	world_clear(&w);
}

/* --- shares, breaker, rate ---------------------------------------------------------------------- */

static void fill(world *w, bh_id webhook, bh_id first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store(w, waiting(first + (bh_id)i, webhook, NOON));
}

static size_t sent_of(const world *w, bh_id webhook)
{
	size_t count = 0;
	for (guint i = 0; i < w->sent->len; i++)
		count += ((bh_item *)w->sent->pdata[i])->waiting.webhook == webhook;
	return count;
}

static bh_lane_terms of_owner(const char *owner)
{
	return (bh_lane_terms){.owner = owner, .receiver = 1};
}

static void a_manager_has_his_share_while_there_are_others(void)
{
	bh_scheduler_limits shared = limits;
	shared.owner_share = 2;
	world w = world_new(&shared);
	bh_lane_terms greedy = of_owner("greedy"), modest = of_owner("modest");
	for (bh_id webhook = 1; webhook <= 4; webhook++) {
		fill(&w, webhook, 100 * webhook, 5);
		bh_scheduler_open(w.scheduler, webhook, &greedy);
	}
	bh_scheduler_open(w.scheduler, 9, &modest);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 2);
	fresh(&w, 900, 9);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 3);
	g_assert_cmpuint(sent_of(&w, 9), ==, 1);
	size_t ended = 0;
	while (w.sent->len > 0) {
		g_assert_cmpuint(w.sent->len, <=, 3);
		finish_first(&w);
		ended++;
		run(&w);
	}
	g_assert_cmpuint(ended, ==, 21); /* at his own door nobody is forgotten */
	world_clear(&w);
}

/* Who retries many by hand, of a receiver that does not answer, holds up neither the others nor himself. */
static void retries_by_hand_stay_within_the_shares(void)
{
	bh_scheduler_limits shared = limits;
	shared.owner_share = 4;
	world w = world_new(&shared);
	bh_lane_terms greedy = of_owner("greedy"), modest = of_owner("modest");
	bh_scheduler_open(w.scheduler, 1, &greedy);
	bh_scheduler_open(w.scheduler, 2, &greedy);
	bh_scheduler_open(w.scheduler, 9, &modest);
	run(&w);
	for (bh_id i = 0; i < 12; i++) {
		bh_waiting row = waiting(100 + i, 1 + i % 2, w.now.wall);
		store(&w, row);
		bh_scheduler_offer(w.scheduler, &row, NULL, true, w.now);
		if (i == 6) {
			run(&w);
			g_assert_cmpuint(sent_of(&w, 1), <=, 3); /* as many as it may have in flight at all */
			g_assert_cmpuint(w.sent->len, ==, 4);
		}
	}
	fresh(&w, 900, 9);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 5);
	g_assert_cmpuint(sent_of(&w, 9), ==, 1);
	size_t ended = 0;
	for (; w.sent->len > 0; ended++) {
		g_assert_cmpuint(w.sent->len, <=, 5);
		finish_first(&w);
		run(&w);
	}
	g_assert_cmpuint(ended, ==, 13);
	world_clear(&w);
}

/* Of all that a manager waits for at his own door, what is urgent goes first. */
static void a_test_goes_first_when_its_manager_has_a_slot_again(void)
{
	bh_scheduler_limits shared = limits;
	shared.owner_share = 1;
	world w = world_new(&shared);
	bh_lane_terms greedy = of_owner("greedy"), modest = of_owner("modest");
	bh_scheduler_open(w.scheduler, 9, &modest);
	for (bh_id webhook = 1; webhook <= 4; webhook++) {
		fill(&w, webhook, 100 * webhook, 2);
		bh_scheduler_open(w.scheduler, webhook, &greedy);
	}
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	bh_waiting test = waiting(500, 4, w.now.wall);
	test.is_test = true;
	store(&w, test);
	bh_scheduler_offer(w.scheduler, &test, NULL, false, w.now);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	finish_first(&w);
	run(&w);
	g_assert_cmpint(sent_id(&w, 0), ==, 500);
	world_clear(&w);
}

static void a_manager_who_is_alone_has_all_slots(void)
{
	bh_scheduler_limits shared = limits;
	shared.owner_share = 2;
	world w = world_new(&shared);
	bh_lane_terms greedy = of_owner("greedy"), modest = of_owner("modest");
	bh_scheduler_open(w.scheduler, 9, &modest);
	for (bh_id webhook = 1; webhook <= 4; webhook++) {
		fill(&w, webhook, 100 * webhook, 5);
		bh_scheduler_open(w.scheduler, webhook, &greedy);
	}
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 2);
	bh_scheduler_close(w.scheduler, 9); /* the other one goes */
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 8);
	world_clear(&w);
}

static void a_lane_that_leaves_passes_its_turn_on(void)
{
	bh_scheduler_limits shared = limits;
	shared.owner_share = 1;
	world w = world_new(&shared);
	bh_lane_terms greedy = of_owner("greedy"), modest = of_owner("modest");
	bh_scheduler_open(w.scheduler, 9, &modest);
	for (bh_id webhook = 1; webhook <= 3; webhook++) {
		fill(&w, webhook, 100 * webhook, 2);
		bh_scheduler_open(w.scheduler, webhook, &greedy);
	}
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	bh_id flying = ((bh_item *)w.sent->pdata[0])->waiting.webhook;
	finish_first(&w); /* another of his lanes is let in, and closes before its turn comes */
	for (bh_id webhook = 1; webhook <= 3; webhook++)
		if (webhook != flying)
			bh_scheduler_close(w.scheduler, webhook);
	run(&w);
	g_assert_cmpuint(sent_of(&w, flying), ==, 1);
	world_clear(&w);
}

static void retries_leave_half_to_first_attempts(void)
{
	bh_scheduler_limits shared = limits;
	shared.retry_share = 4;
	world w = world_new(&shared);
	for (bh_id webhook = 1; webhook <= 4; webhook++) {
		for (bh_id i = 0; i < 5; i++) {
			bh_waiting row = waiting(100 * webhook + i, webhook, NOON - BH_HOUR);
			row.attempts = 1;
			store(&w, row);
		}
		bh_scheduler_open(w.scheduler, webhook, &plain);
	}
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 4);
	for (bh_id webhook = 11; webhook <= 14; webhook++) {
		fill(&w, webhook, 100 * webhook, 3);
		bh_scheduler_open(w.scheduler, webhook, &plain);
	}
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 8);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).retries_in_flight, ==, 4);
	while (w.sent->len > 0) {
		finish_first(&w);
		run(&w);
		g_assert_cmpuint(bh_scheduler_look(w.scheduler).retries_in_flight, <=, 4);
	}
	g_assert_cmpuint(w.store->len, ==, 0);
	world_clear(&w);
}

static void a_dead_receiver_gets_probes_and_the_store_is_left_alone(void)
{
	world w = world_new(&limits);
	fill(&w, 7, 1, 1000);
	bh_scheduler_open(w.scheduler, 7, &plain);
	run(&w);
	bh_landed landed = BH_LANDED;
	for (size_t i = 0; i < 5; i++) {
		landed = fail_as(&w, &dead, BH_MINUTE);
		run(&w);
	}
	g_assert_cmpint(landed, ==, BH_LANDED_BREAKER_OPENED);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).breakers, ==, 1);
	while (w.sent->len > 0) /* what was under way when it opened */
		fail_as(&w, &dead, BH_MINUTE);

	size_t refills = w.refills, probes = 0;
	bh_usec waited = 0;
	while (waited < BH_DAY) {
		bh_usec wait = run(&w);
		if (w.sent->len > 0) {
			g_assert_cmpuint(w.sent->len, ==, 1);
			probes++;
			fail_as(&w, &dead, BH_MINUTE);
			continue;
		}
		g_assert_cmpint(wait, >, 0);
		pass(&w, wait);
		waited += wait;
	}
	g_assert_cmpuint(probes, >=, 24 + 5); /* 30 s, 1, 2, 4 ... minutes, then each hour */
	g_assert_cmpuint(probes, <=, 24 + 8);
	g_assert_cmpuint(w.refills - refills, <=, probes);

	run(&w);
	while (w.sent->len == 0)
		pass(&w, MAX(1, run(&w)));
	bh_item *probe = g_ptr_array_steal_index(w.sent, 0);
	g_assert_cmpint(bh_scheduler_landed(w.scheduler, probe, &well, w.now), ==, BH_LANDED_BREAKER_CLOSED);
	unstore(&w, probe->waiting.delivery);
	bh_scheduler_ended(w.scheduler, probe);
	while (w.store->len > 0) {
		bh_usec wait = run(&w);
		if (w.sent->len > 0)
			finish_first(&w);
		else
			pass(&w, MAX(1, wait));
	}
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).breakers, ==, 0);
	world_clear(&w);
}

static void what_a_person_asks_for_waits_for_no_breaker(void)
{
	world w = world_new(&limits);
	fill(&w, 7, 1, 100);
	bh_scheduler_open(w.scheduler, 7, &plain);
	run(&w);
	for (size_t i = 0; i < 5; i++) {
		fail_as(&w, &dead, BH_HOUR);
		run(&w);
	}
	while (w.sent->len > 0)
		fail_as(&w, &dead, BH_HOUR);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 0);

	bh_waiting by_hand = waiting(50, 7, w.now.wall);
	bh_scheduler_offer(w.scheduler, &by_hand, NULL, true, w.now);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	g_assert_cmpint(sent_id(&w, 0), ==, 50);
	bh_item *item = g_ptr_array_steal_index(w.sent, 0);
	g_assert_cmpint(bh_scheduler_landed(w.scheduler, item, &well, w.now), ==, BH_LANDED_BREAKER_CLOSED);
	unstore(&w, 50);
	bh_scheduler_ended(w.scheduler, item);
	run(&w);
	g_assert_cmpuint(w.sent->len, >, 0);
	world_clear(&w);
}

static void what_the_old_receiver_did_says_nothing_of_the_new_one(void)
{
	world w = open_world();
	for (bh_id i = 1; i <= 6; i++)
		fresh(&w, i, 7);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 3);
	bh_lane_terms elsewhere = {.receiver = 2};
	g_assert_true(bh_scheduler_open(w.scheduler, 7, &elsewhere));
	for (size_t i = 0; i < 3; i++)
		fail_as(&w, &dead, BH_HOUR);
	g_assert_cmpuint(bh_scheduler_pace(w.scheduler, 7)->concurrency, ==, 3);
	g_assert_cmpuint(bh_scheduler_pace(w.scheduler, 7)->unreachable, ==, 0);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 3);
	fail_as(&w, &dead, BH_HOUR);
	g_assert_cmpuint(bh_scheduler_pace(w.scheduler, 7)->concurrency, ==, 1);
	world_clear(&w);
}

static void a_delivery_that_ends_unsent_is_no_probe(void)
{
	world w = world_new(&limits);
	fill(&w, 7, 1, 100);
	bh_scheduler_open(w.scheduler, 7, &plain);
	run(&w);
	while (bh_scheduler_look(w.scheduler).breakers == 0) {
		fail_as(&w, &dead, BH_HOUR);
		run(&w);
	}
	while (w.sent->len > 0)
		fail_as(&w, &dead, BH_HOUR);
	pass(&w, run(&w));
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1);
	static const bh_landing unsent = {.was_sent = false};
	bh_item *item = g_ptr_array_steal_index(w.sent, 0);
	unstore(&w, item->waiting.delivery);
	bh_scheduler_landed(w.scheduler, item, &unsent, w.now);
	bh_scheduler_ended(w.scheduler, item);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 1); /* the next one, at once */
	world_clear(&w);
}

static void a_changed_receiver_is_met_without_prejudice(void)
{
	world w = world_new(&limits);
	fill(&w, 7, 1, 100);
	bh_scheduler_open(w.scheduler, 7, &plain);
	run(&w);
	while (bh_scheduler_look(w.scheduler).breakers == 0) {
		fail_as(&w, &dead, BH_HOUR);
		run(&w);
	}
	bh_lane_terms elsewhere = {.receiver = 2};
	while (w.sent->len > 0)
		fail_as(&w, &dead, BH_HOUR);
	bh_scheduler_open(w.scheduler, 7, &plain); /* the same receiver: nothing new */
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 0);
	bh_scheduler_open(w.scheduler, 7, &elsewhere);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 3);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).breakers, ==, 0);
	world_clear(&w);
}

static void a_rate_is_kept_over_every_span(void)
{
	world w = world_new(&limits);
	bh_lane_terms limited = {.receiver = 1, .rate_requests = 20, .rate_per = BH_MINUTE};
	g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(bh_usec));
	fill(&w, 7, 1, 200);
	bh_scheduler_open(w.scheduler, 7, &limited);
	while (w.store->len > 0) {
		bh_usec wait = run(&w);
		while (w.sent->len > 0) {
			g_array_append_val(times, w.now.wall);
			finish_first(&w);
		}
		pass(&w, MAX(1, wait));
	}
	for (guint i = 20; i < times->len; i++) /* any 21 in a row take more than the span */
		g_assert_cmpint(g_array_index(times, bh_usec, i) - g_array_index(times, bh_usec, i - 20), >=,
				BH_MINUTE);
	bh_usec took = g_array_index(times, bh_usec, 199) - g_array_index(times, bh_usec, 0);
	g_assert_cmpint(took, <=, 200 / 18.0 * BH_MINUTE);
	world_clear(&w);
}

static void a_blocked_delivery_is_nobodys_yet(void)
{
	world w = open_world();
	bh_waiting blocked = waiting(1, 7, BH_DUE_BLOCKED);
	g_assert_cmpint(bh_scheduler_offer(w.scheduler, &blocked, NULL, false, w.now), ==, BH_OFFER_TAKEN);
	g_assert_cmpint(run(&w), ==, -1);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).waiting, ==, 0);
	world_clear(&w);
}

static void a_test_overtakes_a_backlog(void)
{
	world w = world_new(&limits);
	fill(&w, 7, 1, 1000);
	bh_scheduler_open(w.scheduler, 7, &plain);
	run(&w);
	bh_waiting test = waiting(5000, 7, w.now.wall);
	test.is_test = true;
	store(&w, test);
	bh_scheduler_offer(w.scheduler, &test, NULL, false, w.now);
	run(&w);
	g_assert_cmpint(sent_id(&w, w.sent->len - 1), ==,
			5000); /* though the webhook has all that it may have under way */
	world_clear(&w);
}

static void offer_tests(world *w, bh_id from, size_t count, bh_id webhook, const bh_lane_terms *terms)
{
	for (bh_id id = from; id < from + (bh_id)count; id++) {
		bh_waiting test = waiting(id, webhook, w->now.wall);
		test.is_test = true;
		store(w, test);
		bh_scheduler_offer_test(w->scheduler, &test, NULL, terms, w->now);
	}
	run(w);
}

static void finish_all(world *w)
{
	while (w->sent->len > 0) {
		finish_first(w);
		run(w);
	}
}

/* However many tests a manager begins, and be it of webhooks that are disabled. */
static void tests_take_no_more_than_their_managers_share(void)
{
	bh_scheduler_limits shared = limits;
	shared.owner_share = 2;
	world w = world_new(&shared);
	bh_lane_terms greedy = of_owner("greedy"), modest = of_owner("modest");
	bh_scheduler_open(w.scheduler, 7, &greedy);
	bh_scheduler_open(w.scheduler, 9, &modest);
	run(&w);

	offer_tests(&w, 100, 5, 7, &greedy);
	offer_tests(&w, 200, 5, 8, &greedy); /* closed */
	g_assert_cmpuint(w.sent->len, ==, 2);
	fresh(&w, 1, 9);
	run(&w);
	g_assert_cmpuint(w.sent->len, ==, 3);
	finish_all(&w);
	g_assert_cmpuint(w.store->len, ==, 0);
	g_assert_cmpuint(bh_scheduler_look(w.scheduler).lanes, ==, 2);
	world_clear(&w);
}

static void a_webhook_has_so_many_tests_under_way_and_no_more(void)
{
	world w = open_world();
	offer_tests(&w, 100, 20, 7, &plain);
	g_assert_cmpuint(w.sent->len, ==, 2 * limits.pace.most);
	finish_all(&w);
	g_assert_cmpuint(w.store->len, ==, 0);
	world_clear(&w);
}

static void whatever_happens_everybody_is_served_within_his_share(void)
{
	static const bh_landing slow_down = {.was_sent = true, .signal = BH_SIGNAL_OVERLOADED, .pause = 2 * BH_SECOND};
	static const bh_landing unsent = {.was_sent = false};
	static const bh_landing *const kinds[] = {&well, &bad, &dead, &slow_down, &unsent};

	for (uint64_t seed = 1; seed <= 300; seed++) {
		bh_chance chance = bh_chance_seeded(seed);
		bh_scheduler_limits shared = limits;
		shared.owner_share = (size_t)bh_chance_between(&chance, 1, 4);
		shared.retry_share = (size_t)bh_chance_between(&chance, 1, 4);
		world w = world_new(&shared);
		static const char *const owners[] = {NULL, "a", "b"};
		const bh_id webhooks = 6, total = 120;
		bh_id made = 0, gone = 0;
		for (bh_id h = 1; h <= webhooks; h++)
			bh_scheduler_open(w.scheduler, h, &(bh_lane_terms){.owner = owners[h % 3], .receiver = 1});
		for (size_t step = 0; gone < total; step++) {
			g_assert_cmpuint(step, <, 200000); /* nobody is forgotten */
			int64_t dice = bh_chance_between(&chance, 0, 11);
			if (dice < 3 && made < total) {
				made++;
				fresh(&w, made, 1 + made % webhooks);
			} else if (dice < 6 && w.sent->len > 0) {
				finish_first(&w);
				gone++;
			} else if (dice < 8 && w.sent->len > 0)
				fail_as(&w, kinds[bh_chance_between(&chance, 0, G_N_ELEMENTS(kinds) - 1)],
					bh_chance_between(&chance, 0, 20) * BH_SECOND);
			else if (dice == 8)
				bh_scheduler_open(
					w.scheduler, bh_chance_between(&chance, 1, webhooks),
					&(bh_lane_terms){.owner = owners[bh_chance_between(&chance, 0, 2)],
							 .receiver = (uint64_t)bh_chance_between(&chance, 1, 2)});
			else
				pass(&w, bh_chance_between(&chance, 0, 60) * BH_SECOND);
			run(&w);
			bh_scheduler_facts facts = bh_scheduler_look(w.scheduler);
			g_assert_cmpuint(facts.in_flight, ==, w.sent->len);
			g_assert_cmpuint(facts.in_flight, <=, shared.in_flight_max);
			g_assert_cmpuint(facts.retries_in_flight, <=, shared.retry_share);
		}
		world_clear(&w);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(f) g_test_add_func("/scheduler/" #f, f)
	TEST(a_fresh_delivery_is_sent_at_once);
	TEST(a_closed_lane_takes_tests_only);
	TEST(a_test_that_waits_goes_out_though_its_lane_closes);
	TEST(what_waited_before_the_start_is_found_in_the_store);
	TEST(one_webhook_has_its_slots_and_all_together_theirs);
	TEST(a_retry_waits_for_its_time);
	TEST(a_jump_of_the_wall_clock_moves_nothing_in_memory);
	TEST(a_million_waiting_cost_a_window);
	TEST(nothing_is_lost_and_nothing_is_sent_twice_whatever_the_order_of_things);
	TEST(a_refill_passes_over_what_is_in_hand);
	TEST(a_retry_by_hand_brings_a_waiting_one_forward);
	TEST(a_retry_by_hand_just_after_the_record_is_not_lost);
	TEST(a_retry_by_hand_of_what_is_in_flight_changes_nothing);
	TEST(retries_by_hand_without_number_cost_no_memory);
	TEST(closing_stops_what_waits_and_leaves_what_flies);
	TEST(too_many_unrecorded_outcomes_stop_the_sending);
	TEST(a_store_that_fails_is_asked_again_later);
	TEST(the_delivery_that_is_overdue_longest_is_known);
	TEST(payloads_ride_along_while_there_is_room);
	TEST(a_manager_has_his_share_while_there_are_others);
	TEST(retries_by_hand_stay_within_the_shares);
	TEST(a_test_goes_first_when_its_manager_has_a_slot_again);
	TEST(a_manager_who_is_alone_has_all_slots);
	TEST(a_lane_that_leaves_passes_its_turn_on);
	TEST(retries_leave_half_to_first_attempts);
	TEST(a_dead_receiver_gets_probes_and_the_store_is_left_alone);
	TEST(what_a_person_asks_for_waits_for_no_breaker);
	TEST(what_the_old_receiver_did_says_nothing_of_the_new_one);
	TEST(a_delivery_that_ends_unsent_is_no_probe);
	TEST(a_changed_receiver_is_met_without_prejudice);
	TEST(a_rate_is_kept_over_every_span);
	TEST(a_blocked_delivery_is_nobodys_yet);
	TEST(a_test_overtakes_a_backlog);
	TEST(tests_take_no_more_than_their_managers_share);
	TEST(a_webhook_has_so_many_tests_under_way_and_no_more);
	TEST(whatever_happens_everybody_is_served_within_his_share);
	return g_test_run();
}
