/* A newer one in the place of older ones. */
#include "house.h"

#include "base/error.h"

/* Who stands for it when its turn comes, a minute after all were due. */
static bh_id superseding_below(house *h, bh_id id, bh_usec now, bh_id before)
{
	bh_id found = -1;
	g_autoptr(GError) error = NULL;

	g_assert_true(bh_reader_superseding(h->reader, id, now, before, &found, &error));
	g_assert_no_error(error);
	return found;
}

static bh_id superseding_at(house *h, bh_id id, bh_usec now)
{
	return superseding_below(h, id, now, 0);
}

static bh_id superseding(house *h, bh_id id)
{
	return superseding_at(h, id, NOON + BH_MINUTE);
}

/*
 * In a steady stream the one that is out, or about to go, stands for those before it; else each of them would hurry the
 * newest, and every event would be sent.
 */
static void one_on_its_way_goes_before_a_newer_one_that_waits_for_its_time(void)
{
	static const struct {
		bh_state state;
		int attempts;
		bh_usec due_at;
		bool stands;
	} rows[] = {
		{BH_STATE_PENDING, 0, NOON, true}, /* due */
		{BH_STATE_PENDING, 1, NOON + BH_HOUR, true}, /* it was tried */
		{BH_STATE_DELIVERED, 1, 0, true}, /* it is there */
		{BH_STATE_PENDING, 0, NOON + BH_HOUR, false}, /* it waits for its time, too */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		house *h = house_open();
		bh_id old = keyed_in(h, 71, NULL, "price"), middle = keyed_in(h, 71, NULL, "price");
		bh_id newest = keyed_in(h, 71, NULL, "price");
		apply_and_free(h,
			       note_record(middle, rows[i].attempts, rows[i].state, rows[i].attempts, rows[i].due_at));
		apply_and_free(h, note_record(newest, 0, BH_STATE_PENDING, 0, NOON + BH_HOUR));

		g_assert_cmpint(superseding(h, old), ==, rows[i].stands ? middle : newest);
		g_assert_cmpint(superseding_at(h, old, NOON + 2 * BH_HOUR), ==, newest);
		house_close(h);
	}
}

static void the_newest_of_a_coalescing_key_is_found(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, NULL, "price"), second = keyed_in(h, 71, NULL, "price");
	bh_id third = keyed_in(h, 71, "a", "price");
	bh_id other_key = keyed_in(h, 71, NULL, "photo"), other_webhook = keyed_in(h, 72, NULL, "price");
	bh_id none = keyed_in(h, 71, NULL, NULL);

	g_assert_cmpint(superseding(h, first), ==, third);
	g_assert_cmpint(superseding(h, second), ==, third);
	g_assert_cmpint(superseding(h, third), ==, 0);
	g_assert_cmpint(superseding(h, other_key), ==, 0);
	g_assert_cmpint(superseding(h, other_webhook), ==, 0);
	g_assert_cmpint(superseding(h, none), ==, 0);
	g_assert_cmpint(superseding(h, 4711), ==, 0);
	house_close(h);
}

/* A candidate that would be filtered is passed over: who asks goes on below it, until nobody is left. */
static void below_a_candidate_the_next_newest_is_found(void)
{
	house *h = house_open();
	bh_usec now = NOON + BH_MINUTE;
	bh_id old = keyed_in(h, 71, NULL, "price"), delivered = keyed_in(h, 71, NULL, "price");
	bh_id waiting = keyed_in(h, 71, NULL, "price"), other_key = keyed_in(h, 71, NULL, "photo");
	bh_id due = keyed_in(h, 71, NULL, "price"), newest = keyed_in(h, 71, NULL, "price");
	apply_and_free(h, note_record(delivered, 1, BH_STATE_DELIVERED, 1, 0));
	apply_and_free(h, note_record(waiting, 0, BH_STATE_PENDING, 0, NOON + BH_HOUR));
	apply_and_free(h, note_record(newest, 0, BH_STATE_PENDING, 0, NOON + BH_HOUR));

	g_assert_cmpint(superseding_below(h, old, now, 0), ==, due);
	g_assert_cmpint(superseding_below(h, old, now, newest), ==, due);
	g_assert_cmpint(superseding_below(h, old, now, due), ==,
			delivered); /* goes before one that waits for its time */
	g_assert_cmpint(superseding_below(h, old, now, other_key), ==, delivered);
	g_assert_cmpint(superseding_below(h, old, now, delivered), ==, 0);
	g_assert_cmpint(superseding_below(h, old, now, old), ==, 0);
	g_assert_cmpint(superseding_below(h, waiting, now, due), ==, 0);
	g_assert_cmpint(superseding_below(h, delivered, now, due), ==, waiting);
	house_close(h);
}

/* What waits or was delivered is newer news; what failed, was cancelled, filtered or is held is none. */
static void only_what_waits_or_was_delivered_supersedes(void)
{
	static const struct {
		bh_state state;
		bool supersedes;
	} rows[] = {
		{BH_STATE_PENDING, true},   {BH_STATE_DELIVERED, true},  {BH_STATE_HELD, false},
		{BH_STATE_GONE, false},     {BH_STATE_EXHAUSTED, false}, {BH_STATE_CANCELLED, false},
		{BH_STATE_FILTERED, false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		house *h = house_open();
		bh_id old = keyed_in(h, 71, NULL, "price"), middle = keyed_in(h, 71, NULL, "price");
		bh_id newest = keyed_in(h, 71, NULL, "price");
		apply_and_free(h, note_record(newest, 0, rows[i].state, 0, NOON));

		g_assert_cmpint(superseding(h, old), ==, rows[i].supersedes ? newest : middle);
		house_close(h);
	}
}

static void an_older_one_ends_and_points_at_the_newer_which_is_due_now(void)
{
	static const bh_state from[] = {BH_STATE_PENDING, BH_STATE_HELD};

	for (size_t i = 0; i < G_N_ELEMENTS(from); i++) {
		house *h = house_open();
		bh_id old = keyed_in(h, 71, NULL, "price");
		g_autoptr(note) newer = note_keyed(71, NULL, "price");
		newer->made[0]->due_at = NOON + BH_HOUR;
		apply(h, newer);
		if (from[i] == BH_STATE_HELD)
			apply_and_free(h, note_move(old, BH_STATE_HELD));
		g_autoptr(note) n = note_coalesced(old, newer->made[0]->id);
		n->write.at = NOON + BH_MINUTE;
		n->write.reason = "A newer one is sent in its place.";

		g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);

		g_autoptr(bh_delivery) d = delivery_of(h, old);
		g_assert_cmpint(d->state, ==, BH_STATE_COALESCED);
		g_assert_cmpint(d->superseded_by, ==, newer->made[0]->id);
		g_assert_cmpint(d->ended_at, ==, NOON + BH_MINUTE);
		g_assert_cmpstr(d->reason, ==, "A newer one is sent in its place.");
		g_assert_cmpstr(d->coalesce_key, ==, "price");
		g_assert_cmpuint(n->write.due_count, ==, 1);
		g_assert_cmpint(n->write.due[0].delivery, ==, newer->made[0]->id);
		g_assert_cmpint(n->write.due[0].due_at, ==, NOON + BH_MINUTE);
		g_assert_true(n->write.due[0].may_coalesce);
		house_close(h);
	}
}

/* It may not be put off by what hurries it, and one with a retry time keeps it. */
static void the_newer_one_is_only_hurried_when_it_may_be(void)
{
	house *h = house_open();
	bh_id newer = keyed_in(h, 71, NULL, "price"), tried = keyed_in(h, 71, NULL, "price");
	bh_id first = keyed_in(h, 71, "a", NULL), blocked = keyed_in(h, 71, "a", "price");
	apply_and_free(h, note_record(tried, 1, BH_STATE_PENDING, 1, NOON + BH_HOUR));
	const struct {
		bh_id by;
		bh_usec due;
		size_t told;
	} rows[] = {{newer, NOON, 1}, {tried, NOON + BH_HOUR, 0}, {blocked, BH_DUE_BLOCKED, 0}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(note) n = note_coalesced(keyed_in(h, 71, NULL, "price"), rows[i].by);
		n->write.at = NOON + BH_MINUTE;

		g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);

		g_autoptr(bh_delivery) d = delivery_of(h, rows[i].by);
		g_assert_cmpint(d->due_at, ==, rows[i].due);
		g_assert_cmpuint(n->write.due_count, ==, rows[i].told);
	}
	g_autoptr(bh_delivery) d = delivery_of(h, first);
	g_assert_cmpint(d->due_at, ==, NOON);
	house_close(h);
}

static void the_next_of_the_order_and_the_newer_one_are_both_due(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", "price"), second = keyed_in(h, 71, "a", NULL);
	g_autoptr(note) newer = note_keyed(71, "b", "price");
	newer->made[0]->due_at = NOON + BH_HOUR;
	apply(h, newer);
	g_autoptr(note) n = note_coalesced(first, newer->made[0]->id);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);

	g_assert_cmpuint(n->write.due_count, ==, 2);
	g_assert_cmpint(n->write.due[0].delivery, ==, second);
	g_assert_cmpint(n->write.due[1].delivery, ==, newer->made[0]->id);
	house_close(h);
}

static void the_newer_one_that_follows_is_told_once(void)
{
	house *h = house_open();
	bh_id first = keyed_in(h, 71, "a", "price"), newer = keyed_in(h, 71, "a", "price");
	g_autoptr(note) n = note_coalesced(first, newer);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);

	g_assert_cmpuint(n->write.due_count, ==, 1);
	g_assert_cmpint(n->write.due[0].delivery, ==, newer);
	house_close(h);
}

static void what_is_out_of_the_way_itself_supersedes_nothing(void)
{
	static const struct {
		bh_state newer;
		bh_write_result result;
	} rows[] = {
		{BH_STATE_DELIVERED, BH_WRITE_DONE},     {BH_STATE_COALESCED, BH_WRITE_DONE},
		{BH_STATE_HELD, BH_WRITE_CONFLICT},      {BH_STATE_GONE, BH_WRITE_CONFLICT},
		{BH_STATE_EXHAUSTED, BH_WRITE_CONFLICT}, {BH_STATE_CANCELLED, BH_WRITE_CONFLICT},
		{BH_STATE_FILTERED, BH_WRITE_CONFLICT},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		house *h = house_open();
		bh_id old = keyed_in(h, 71, NULL, "price"), newer = delivery_in(h, 71, rows[i].newer);
		g_autoptr(note) n = note_coalesced(old, newer);

		g_assert_cmpint(apply(h, n), ==, rows[i].result);

		g_autoptr(bh_delivery) d = delivery_of(h, old);
		g_assert_cmpint(d->state, ==, rows[i].result == BH_WRITE_DONE ? BH_STATE_COALESCED : BH_STATE_PENDING);
		g_assert_cmpuint(n->write.due_count, ==, 0);
		house_close(h);
	}
}

static void what_has_ended_is_not_coalesced(void)
{
	static const bh_state ends[] = {BH_STATE_DELIVERED, BH_STATE_GONE,      BH_STATE_EXHAUSTED,
					BH_STATE_COALESCED, BH_STATE_CANCELLED, BH_STATE_FILTERED};
	house *h = house_open();
	g_autoptr(note) newer = note_keyed(71, NULL, "price");
	newer->made[0]->due_at = NOON + BH_HOUR;
	apply(h, newer);

	for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
		bh_id old = delivery_in(h, 71, ends[i]);
		g_autoptr(note) n = note_coalesced(old, newer->made[0]->id);

		g_assert_cmpint(apply(h, n), ==, BH_WRITE_CONFLICT);

		g_autoptr(bh_delivery) d = delivery_of(h, old);
		g_assert_cmpint(d->state, ==, ends[i]);
	}
	g_autoptr(note) unknown = note_coalesced(4711, newer->made[0]->id);
	g_assert_cmpint(apply(h, unknown), ==, BH_WRITE_NOT_FOUND);
	g_autoptr(note) by_unknown = note_coalesced(newer->made[0]->id, 4711);
	g_assert_cmpint(apply(h, by_unknown), ==, BH_WRITE_CONFLICT);
	g_autoptr(bh_delivery) d = delivery_of(h, newer->made[0]->id);
	g_assert_cmpint(d->due_at, ==, NOON + BH_HOUR);
	house_close(h);
}

void add_coalescing_tests(void)
{
	g_test_add_func("/store/coalescing/on-its-way", one_on_its_way_goes_before_a_newer_one_that_waits_for_its_time);
	g_test_add_func("/store/coalescing/newest", the_newest_of_a_coalescing_key_is_found);
	g_test_add_func("/store/coalescing/below", below_a_candidate_the_next_newest_is_found);
	g_test_add_func("/store/coalescing/which_supersede", only_what_waits_or_was_delivered_supersedes);
	g_test_add_func("/store/coalescing/ends", an_older_one_ends_and_points_at_the_newer_which_is_due_now);
	g_test_add_func("/store/coalescing/hurried", the_newer_one_is_only_hurried_when_it_may_be);
	g_test_add_func("/store/coalescing/with_order", the_next_of_the_order_and_the_newer_one_are_both_due);
	g_test_add_func("/store/coalescing/once", the_newer_one_that_follows_is_told_once);
	g_test_add_func("/store/coalescing/by_what", what_is_out_of_the_way_itself_supersedes_nothing);
	g_test_add_func("/store/coalescing/of_what", what_has_ended_is_not_coalesced);
}
