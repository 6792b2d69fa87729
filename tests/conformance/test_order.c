/* One at a time of each order key: who may be sent, who waits, who follows. At random: test_order_model.c. */
#include "house.h"

#include "base/error.h"

#include <string.h>

static void assert_open(house *h, bh_id id, bh_usec due)
{
	g_autoptr(bh_delivery) d = delivery_of(h, id);

	g_assert_cmpint(d->state, ==, BH_STATE_PENDING);
	g_assert_cmpint(d->due_at, ==, due);
}

static void assert_blocked(house *h, bh_id id)
{
	assert_open(h, id, BH_DUE_BLOCKED);
}

/* --- Making -------------------------------------------------------------------------------------------------- */

static void a_later_one_of_an_order_key_waits_for_the_earlier(void)
{
	house *h = house_open();
	g_autoptr(note) first = note_keyed(71, "4711", NULL);
	g_autoptr(note) second = note_keyed(71, "4711", NULL);
	g_autoptr(note) other_key = note_keyed(71, "4712", NULL);
	g_autoptr(note) other_webhook = note_keyed(72, "4711", NULL);
	g_autoptr(note) empty_key = note_keyed(71, "", NULL);
	g_autoptr(note) none = note_keyed(71, NULL, NULL);
	g_autoptr(GError) error = NULL;
	static const struct {
		bool blocked;
		int64_t sequence;
	} expected[] = {{false, 1}, {true, 2}, {false, 3}, {false, 1}, {false, 4}, {false, 0}};

	note *notes[] = {first, second, other_key, other_webhook, empty_key, none};
	g_assert_true(apply_all(h, notes, G_N_ELEMENTS(notes), &error));

	for (size_t i = 0; i < G_N_ELEMENTS(notes); i++) {
		g_autoptr(bh_delivery) d = delivery_of(h, notes[i]->made[0]->id);
		g_assert_cmpint(d->due_at, ==, expected[i].blocked ? BH_DUE_BLOCKED : NOON);
		g_assert_cmpint(d->sequence, ==, expected[i].sequence);
		g_assert_cmpstr(d->order_key, ==, notes[i]->made[0]->order_key);
		g_assert_cmpint(notes[i]->made[0]->due_at, ==, d->due_at); /* and its maker knows */
		g_assert_cmpint(notes[i]->made[0]->sequence, ==, d->sequence);
	}
	house_close(h);
}

static void numbers_go_on_after_a_restart_and_for_held_ones(void)
{
	house *h = house_open();
	g_autoptr(note) held = note_keyed(71, "a", NULL);
	held->made[0]->state = BH_STATE_HELD;

	keyed_in(h, 71, "a", NULL);
	apply(h, held);
	house_reopen(h);
	g_autoptr(bh_delivery) d = delivery_of(h, keyed_in(h, 71, "b", NULL));

	g_assert_cmpint(held->made[0]->sequence, ==, 2);
	g_assert_cmpint(d->sequence, ==, 3);
	house_close(h);
}

/* The journal gives a batch that failed once more, entry by entry. */
static void a_batch_that_failed_leaves_no_gap_and_its_deliveries_as_they_were(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", NULL);
	g_autoptr(note) second = note_keyed(71, "a", NULL);
	g_autoptr(note) free_one = note_keyed(71, "b", NULL);
	g_autoptr(note) bad = note_event((bh_id[]){71, 72, 0});
	g_autoptr(GError) error = NULL;
	bad->made[1]->id = bad->made[0]->id;
	second->made[0]->due_at = free_one->made[0]->due_at = NOON + 5;

	g_assert_false(apply_all(h, (note *[]){second, free_one, bad}, 3, &error));
	for (int i = 0; i < 2; i++) {
		note *n = i ? free_one : second;
		g_assert_cmpint(n->made[0]->due_at, ==, NOON + 5);
		g_assert_cmpint(n->made[0]->sequence, ==, 0);
	}
	apply_and_free(h, note_record(first, 1, BH_STATE_DELIVERED, 1, 0));
	g_assert_cmpint(apply(h, second), ==, BH_WRITE_DONE);

	assert_open(h, second->made[0]->id, NOON + 5); /* nothing blocks it any more */
	g_assert_cmpint(second->made[0]->sequence, ==, 2);
	house_close(h);
}

/* --- Following ----------------------------------------------------------------------------------------------- */

/* Every way out of PENDING, and what it means for those that wait. */
static void whatever_ends_the_first_lets_the_next_follow(void)
{
	static const struct {
		bh_write_kind kind;
		bh_state to;
		bool follows;
	} ways[] = {
		{BH_WRITE_RECORD, BH_STATE_DELIVERED, true}, {BH_WRITE_RECORD, BH_STATE_GONE, true},
		{BH_WRITE_RECORD, BH_STATE_EXHAUSTED, true}, {BH_WRITE_RECORD, BH_STATE_CANCELLED, true},
		{BH_WRITE_RECORD, BH_STATE_HELD, true},      {BH_WRITE_RECORD, BH_STATE_COALESCED, true},
		{BH_WRITE_RECORD, BH_STATE_FILTERED, true},  {BH_WRITE_RECORD, BH_STATE_PENDING, false},
		{BH_WRITE_MOVE, BH_STATE_CANCELLED, true},   {BH_WRITE_MOVE, BH_STATE_HELD, true},
		{BH_WRITE_MOVE, BH_STATE_EXHAUSTED, true},   {BH_WRITE_MOVE, BH_STATE_PENDING, false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
		house *h = house_open();
		bh_id first = keyed_in(h, 71, "a", NULL), second = keyed_in(h, 71, "a", "price");
		bh_id third = keyed_in(h, 71, "a", NULL), other = keyed_in(h, 71, "b", NULL);
		g_autoptr(note) n = ways[i].kind == BH_WRITE_MOVE
					    ? note_move(first, ways[i].to)
					    : note_record(first, ways[i].to == BH_STATE_COALESCED ? 0 : 1, ways[i].to,
							  1, ways[i].to == BH_STATE_PENDING ? NOON + BH_HOUR : 0);
		n->write.superseded_by = third;
		n->write.at = NOON + BH_MINUTE;

		g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);

		if (ways[i].follows) {
			const bh_waiting *due = &n->write.due[0];
			g_assert_cmpuint(n->write.due_count, ==, 1);
			g_assert_cmpint(due->delivery, ==, second);
			g_assert_cmpint(due->webhook, ==, 71);
			g_assert_cmpint(due->due_at, ==, NOON + BH_MINUTE);
			g_assert_cmpint(due->sequence, ==, 2);
			g_assert_true(due->may_coalesce);
			assert_open(h, second, NOON + BH_MINUTE);
		} else {
			assert_blocked(h, second);
			g_assert_cmpuint(n->write.due_count, ==, ways[i].kind == BH_WRITE_MOVE); /* itself, by hand */
		}
		assert_blocked(h, third);
		assert_open(h, other, NOON);
		house_close(h);
	}
}

static void the_next_is_due_when_the_write_says(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", NULL), second = keyed_in(h, 71, "a", NULL);
	g_autoptr(note) n = note_record(first, 1, BH_STATE_DELIVERED, 1, NOON + BH_SECOND);
	n->write.at = NOON + BH_HOUR; /* on another clock */

	apply(h, n);

	assert_open(h, second, NOON + BH_SECOND);
	g_autoptr(bh_delivery) ended = delivery_of(h, first);
	g_assert_cmpint(ended->ended_at, ==, NOON + BH_HOUR);
	house_close(h);
}

static void one_that_waits_may_end_and_nobody_follows(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", NULL), second = keyed_in(h, 71, "a", NULL);
	bh_id third = keyed_in(h, 71, "a", NULL);
	g_autoptr(note) n = note_move(second, BH_STATE_CANCELLED);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);

	g_assert_cmpuint(n->write.due_count, ==, 0);
	assert_open(h, first, NOON);
	assert_blocked(h, third);
	house_close(h);
}

/* It was in flight, was held and released, and another took its place; then its record comes. */
static void a_late_record_does_not_unblock(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", NULL), second = keyed_in(h, 71, "a", NULL);
	apply_and_free(h, note_move(first, BH_STATE_HELD));
	apply_and_free(h, note_move(first, BH_STATE_PENDING));
	assert_blocked(h, first);
	g_autoptr(note) late = note_record(first, 1, BH_STATE_PENDING, 1, NOON + BH_HOUR);

	g_assert_cmpint(apply(h, late), ==, BH_WRITE_DONE);

	g_autoptr(bh_delivery) d = delivery_of(h, first);
	g_assert_cmpint(d->due_at, ==, BH_DUE_BLOCKED);
	g_assert_cmpint(d->spent, ==, 1);
	g_assert_cmpint(d->attempts, ==, 1);
	assert_open(h, second, NOON);
	house_close(h);
}

/* --- By hand ------------------------------------------------------------------------------------------------- */

static void a_retry_joins_its_order_key(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", NULL);
	apply_and_free(h, note_record(first, 1, BH_STATE_EXHAUSTED, 1, 0));
	bh_id second = keyed_in(h, 71, "a", NULL);
	g_autoptr(note) again = note_move(first, BH_STATE_PENDING);
	again->write.at = NOON + BH_HOUR;

	g_assert_cmpint(apply(h, again), ==, BH_WRITE_DONE);
	g_assert_cmpuint(again->write.due_count, ==, 0);
	assert_blocked(h, first);

	g_autoptr(note) end = note_record(second, 1, BH_STATE_DELIVERED, 1, 0);
	end->write.at = NOON + BH_DAY;
	apply(h, end);
	g_assert_cmpuint(end->write.due_count, ==, 1);
	g_assert_cmpint(end->write.due[0].delivery, ==, first);
	g_assert_cmpint(end->write.due[0].created_at, ==, NOON + BH_HOUR); /* lives anew since the retry */
	assert_open(h, first, NOON + BH_DAY);
	house_close(h);
}

static void a_retry_of_one_that_waits_is_refused(void)
{
	house *h = house_open();
	keyed_in(h, 71, "a", NULL);
	bh_id second = keyed_in(h, 71, "a", NULL);
	g_autoptr(note) n = note_move(second, BH_STATE_PENDING);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_CONFLICT);

	g_assert_cmpuint(n->write.due_count, ==, 0);
	assert_blocked(h, second);
	house_close(h);
}

static void a_retry_is_told_to_the_lanes(void)
{
	static const bh_state from[] = {BH_STATE_PENDING, BH_STATE_HELD, BH_STATE_EXHAUSTED};

	for (size_t i = 0; i < G_N_ELEMENTS(from); i++) {
		house *h = house_open();
		bh_id id = delivery_in(h, 71, from[i]);
		g_autoptr(note) n = note_move(id, BH_STATE_PENDING);
		n->write.at = NOON + BH_HOUR;

		g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);

		g_assert_cmpuint(n->write.due_count, ==, 1);
		g_assert_cmpint(n->write.due[0].delivery, ==, id);
		g_assert_cmpint(n->write.due[0].due_at, ==, NOON + BH_HOUR);
		g_assert_cmpint(n->write.due[0].sequence, ==, 0);
		g_assert_false(n->write.due[0].may_coalesce);
		house_close(h);
	}
}

/* --- Sweeps -------------------------------------------------------------------------------------------------- */

static void sweep_and_free(house *h, note *n, size_t expected)
{
	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);
	g_assert_cmpuint(n->write.swept, ==, expected);
	note_free(n);
}

static void what_is_released_waits_in_its_order(void)
{
	house *h = house_open();
	bh_id ids[6];
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = keyed_in(h, 71, i % 3 == 2 ? NULL : i % 3 ? "b" : "a", NULL);
	sweep_and_free(h, note_sweep(71, BH_STATE_PENDING, BH_STATE_HELD, 100), 6);
	bh_id fresh = keyed_in(h, 71, "b", NULL);

	sweep_and_free(h, note_sweep(71, BH_STATE_HELD, BH_STATE_PENDING, 4), 4);

	assert_open(h, ids[0], NOON);
	assert_blocked(h, ids[1]); /* the fresh one was there before */
	assert_open(h, ids[2], NOON);
	assert_blocked(h, ids[3]);
	assert_open(h, fresh, NOON);
	sweep_and_free(h, note_sweep(71, BH_STATE_HELD, BH_STATE_PENDING, 4), 2);
	assert_blocked(h, ids[4]);
	assert_open(h, ids[5], NOON);
	house_close(h);
}

static void a_sweep_that_takes_the_first_lets_the_next_follow(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", NULL), second = keyed_in(h, 71, "a", NULL);
	bh_id third = keyed_in(h, 71, "a", NULL);
	note *n = note_sweep(71, BH_STATE_PENDING, BH_STATE_CANCELLED, 1);
	n->write.at = NOON + BH_MINUTE;

	sweep_and_free(h, n, 1);

	g_autoptr(bh_delivery) gone = delivery_of(h, first);
	g_assert_cmpint(gone->state, ==, BH_STATE_CANCELLED);
	g_assert_cmpint(gone->ended_at, ==, NOON + BH_MINUTE);
	assert_open(h, second, NOON + BH_MINUTE);
	assert_blocked(h, third);
	sweep_and_free(h, note_sweep(71, BH_STATE_PENDING, BH_STATE_CANCELLED, 100), 2);
	house_close(h);
}

/* A backlog behind an open breaker: all that is older ends, at both ends of what waits; what is younger stays. */
static void a_sweep_by_age_takes_the_old_ones_alone(void)
{
	house *h = house_open();
	bh_id plain[4], ordered[4];
	for (int i = 0; i < 4; i++) {
		g_autoptr(note) p = note_keyed(71, NULL, NULL);
		g_autoptr(note) o = note_keyed(71, "a", NULL);
		p->made[0]->created_at = p->made[0]->due_at = NOON + i * BH_HOUR;
		o->made[0]->created_at = o->made[0]->due_at = NOON + i * BH_HOUR;
		apply(h, p);
		apply(h, o);
		plain[i] = p->made[0]->id;
		ordered[i] = o->made[0]->id;
	}
	note *n = note_sweep(71, BH_STATE_PENDING, BH_STATE_EXHAUSTED, 100);
	n->write.made_before = NOON + 2 * BH_HOUR;
	n->write.at = NOON + BH_DAY;

	sweep_and_free(h, n, 4);

	for (int i = 0; i < 4; i++) {
		g_autoptr(bh_delivery) p = delivery_of(h, plain[i]);
		g_autoptr(bh_delivery) o = delivery_of(h, ordered[i]);
		g_assert_cmpint(p->state, ==, i < 2 ? BH_STATE_EXHAUSTED : BH_STATE_PENDING);
		g_assert_cmpint(o->state, ==, i < 2 ? BH_STATE_EXHAUSTED : BH_STATE_PENDING);
	}
	assert_open(h, ordered[2], NOON + BH_DAY);
	assert_blocked(h, ordered[3]);
	house_close(h);
}

static void a_sweep_by_age_looks_at_no_more_than_its_limit(void)
{
	static const bh_state from[] = {BH_STATE_PENDING, BH_STATE_HELD};

	for (size_t i = 0; i < G_N_ELEMENTS(from); i++) {
		house *h = house_open();
		for (int k = 0; k < 5; k++)
			delivery_in(h, 71, from[i]);
		note *young = note_sweep(71, from[i], BH_STATE_EXHAUSTED, 3);
		note *old = note_sweep(71, from[i], BH_STATE_EXHAUSTED, 3);
		young->write.made_before = NOON;
		old->write.made_before = NOON + 1;

		sweep_and_free(h, young, 0);
		sweep_and_free(h, old, 3);
		house_close(h);
	}
}

/* --- What waits ---------------------------------------------------------------------------------------------- */

static void who_waits_for_another_is_in_no_lane(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", "price"), plain = keyed_in(h, 71, NULL, NULL);
	keyed_in(h, 71, "a", NULL);
	keyed_in(h, 71, "a", NULL);
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(bh_waiting));

	g_assert_true(bh_reader_waiting(h->reader, 71, 0, 0, 10, found, NULL));

	g_assert_cmpuint(found->len, ==, 2);
	const bh_waiting *w = &g_array_index(found, bh_waiting, 0);
	g_assert_cmpint(w->delivery, ==, first);
	g_assert_cmpint(w->sequence, ==, 1);
	g_assert_true(w->may_coalesce);
	g_assert_cmpint(g_array_index(found, bh_waiting, 1).delivery, ==, plain);
	g_assert_true(bh_reader_waiting(h->reader, 71, BH_DUE_BLOCKED, 0, 10, found, NULL));
	g_assert_cmpuint(found->len, ==, 2);
	house_close(h);
}

static void what_a_test_brings_about_is_kept(void)
{
	house *h = house_open();

	for (int then = BH_TEST_ONLY; then <= BH_TEST_ENABLES_NONE; then++) {
		g_autoptr(note) n = note_event((bh_id[]){71 + then, 0});
		g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(bh_waiting));
		n->made[0]->is_test = true;
		n->made[0]->then = (bh_test_then)then;
		apply(h, n);

		g_assert_true(bh_reader_waiting(h->reader, 71 + then, 0, 0, 10, found, NULL));
		g_autoptr(bh_delivery) d = delivery_of(h, n->made[0]->id);

		g_assert_true(d->is_test);
		g_assert_cmpint(d->then, ==, then);
		g_assert_true(g_array_index(found, bh_waiting, 0).is_test);
		g_assert_cmpint(g_array_index(found, bh_waiting, 0).then, ==, then);
	}
	house_close(h);
}

void add_order_tests(void)
{
	g_test_add_func("/store/order/later_waits", a_later_one_of_an_order_key_waits_for_the_earlier);
	g_test_add_func("/store/order/numbers", numbers_go_on_after_a_restart_and_for_held_ones);
	g_test_add_func("/store/order/failed_batch", a_batch_that_failed_leaves_no_gap_and_its_deliveries_as_they_were);
	g_test_add_func("/store/order/next_follows", whatever_ends_the_first_lets_the_next_follow);
	g_test_add_func("/store/order/next_due", the_next_is_due_when_the_write_says);
	g_test_add_func("/store/order/waiting_ends", one_that_waits_may_end_and_nobody_follows);
	g_test_add_func("/store/order/late_record", a_late_record_does_not_unblock);
	g_test_add_func("/store/order/retry_joins", a_retry_joins_its_order_key);
	g_test_add_func("/store/order/retry_refused", a_retry_of_one_that_waits_is_refused);
	g_test_add_func("/store/order/retry_told", a_retry_is_told_to_the_lanes);
	g_test_add_func("/store/order/release", what_is_released_waits_in_its_order);
	g_test_add_func("/store/order/sweep", a_sweep_that_takes_the_first_lets_the_next_follow);
	g_test_add_func("/store/sweep/by_age", a_sweep_by_age_takes_the_old_ones_alone);
	g_test_add_func("/store/sweep/by_age_limit", a_sweep_by_age_looks_at_no_more_than_its_limit);
	g_test_add_func("/store/order/no_lane", who_waits_for_another_is_in_no_lane);
	g_test_add_func("/store/delivery/then", what_a_test_brings_about_is_kept);
}
