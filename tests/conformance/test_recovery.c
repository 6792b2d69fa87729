/* Runs of failures, and sending again what failed. */
#include "house.h"

#include "base/error.h"

#include <string.h>

/* --- Streaks ------------------------------------------------------------------------------------------------- */

static bh_streak streak_of(house *h, bh_id webhook)
{
	bh_streak streak = {.warned = 99};
	g_autoptr(GError) error = NULL;

	g_assert_true(bh_reader_streak(h->reader, webhook, &streak, &error));
	g_assert_no_error(error);
	return streak;
}

static void assert_streak(house *h, bh_id webhook, const bh_streak *expected)
{
	bh_streak found = streak_of(h, webhook);

	g_assert_cmpint(found.failing_since, ==, expected->failing_since);
	g_assert_cmpint(found.first_exhausted, ==, expected->first_exhausted);
	g_assert_cmpint(found.last_exhausted, ==, expected->last_exhausted);
	g_assert_cmpuint(found.warned, ==, expected->warned);
	g_assert_cmpint(found.warned_at, ==, expected->warned_at);
}

static void assert_streaks(house *h, const bh_id *expected, size_t count)
{
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(bh_id));
	g_autoptr(GError) error = NULL;

	g_assert_true(bh_reader_streaks(h->reader, found, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(found->data, found->len * sizeof(bh_id), expected, count * sizeof(bh_id));
}

static const bh_streak NO_STREAK = {0};
static const bh_streak A_STREAK = {.failing_since = NOON,
				   .first_exhausted = NOON + 1,
				   .last_exhausted = NOON + 2,
				   .warned = 3,
				   .warned_at = NOON + 3};

static void a_run_of_failures_is_kept_with_the_attempt_that_changed_it(void)
{
	house *h = house_open();
	apply_and_free(h, note_webhook(71, NULL));
	apply_and_free(h, note_webhook(72, NULL));
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	assert_streak(h, 71, &NO_STREAK);
	note *failed = note_record(id, 1, BH_STATE_PENDING, 1, NOON);
	failed->write.webhook_id = 71;
	failed->write.streak = &A_STREAK;
	apply_and_free(h, failed);
	apply_and_free(h, note_streak(72, &A_STREAK));

	house_reopen(h);
	assert_streak(h, 71, &A_STREAK);
	assert_streaks(h, (bh_id[]){71, 72}, 2);

	apply_and_free(h, note_record(id, 2, BH_STATE_PENDING, 2, NOON)); /* says nothing of it */
	assert_streak(h, 71, &A_STREAK);
	note *delivered = note_record(id, 3, BH_STATE_DELIVERED, 3, 0);
	delivered->write.webhook_id = 71;
	delivered->write.streak = &NO_STREAK;
	apply_and_free(h, delivered);
	assert_streak(h, 71, &NO_STREAK);
	assert_streaks(h, (bh_id[]){72}, 1);
	house_close(h);
}

/* A late record's attempt is on record, too; one of a delivery that is not there is not. */
static void a_run_is_kept_exactly_if_the_attempt_is(void)
{
	house *h = house_open();
	apply_and_free(h, note_webhook(71, NULL));
	g_autoptr(note) unknown = note_record(4711, 1, BH_STATE_EXHAUSTED, 1, 0);
	g_autoptr(note) late = note_record(delivery_in(h, 71, BH_STATE_CANCELLED), 1, BH_STATE_EXHAUSTED, 1, 0);
	unknown->write.webhook_id = late->write.webhook_id = 71;
	unknown->write.streak = late->write.streak = &A_STREAK;

	g_assert_cmpint(apply(h, unknown), ==, BH_WRITE_NOT_FOUND);
	assert_streak(h, 71, &NO_STREAK);
	g_assert_cmpint(apply(h, late), ==, BH_WRITE_CONFLICT);
	assert_streak(h, 71, &A_STREAK);
	house_close(h);
}

/* --- Recoveries ---------------------------------------------------------------------------------------------- */

static bh_recovery *recovery_of(house *h, bh_id id)
{
	g_autoptr(GError) error = NULL;
	bh_recovery *r = bh_reader_recovery(h->reader, id, &error);

	g_assert_no_error(error);
	return r;
}

static size_t count_since(house *h, bh_usec since)
{
	size_t count = 4711;

	g_assert_true(bh_reader_count_after(h->reader, 71, BH_STATE_EXHAUSTED, 0, since, 100, &count, NULL));
	return count;
}

static size_t count_exhausted(house *h, bh_id after, size_t most)
{
	size_t count = 4711;

	g_assert_true(
		bh_reader_count_after(h->reader, 71, BH_STATE_EXHAUSTED, after, NOON - BH_DAY, most, &count, NULL));
	return count;
}

static void failed_ones_are_counted_from_an_id_on(void)
{
	house *h = house_open();
	bh_id ids[5];
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = delivery_in(h, 71, BH_STATE_EXHAUSTED);
	delivery_in(h, 71, BH_STATE_HELD);
	delivery_in(h, 72, BH_STATE_EXHAUSTED);

	g_assert_cmpuint(count_exhausted(h, 0, 100), ==, 5);
	g_assert_cmpuint(count_exhausted(h, ids[1], 100), ==, 3);
	g_assert_cmpuint(count_exhausted(h, ids[4], 100), ==, 0);
	g_assert_cmpuint(count_exhausted(h, 0, 2), ==, 2);
	g_assert_cmpuint(count_since(h, NOON), ==, 5); /* that very moment is meant, too */
	g_assert_cmpuint(count_since(h, NOON + 1), ==, 0);
	house_close(h);
}

/* A test that failed did so in front of whom it concerns; nobody wants it again. */
static void tests_are_neither_counted_nor_recovered(void)
{
	house *h = house_open();
	apply_and_free(h, note_webhook(71, NULL));
	bh_id first = delivery_in(h, 71, BH_STATE_EXHAUSTED);
	const bh_id webhooks[] = {71, 0};
	g_autoptr(note) n = note_event(webhooks);
	n->made[0]->is_test = true;
	apply(h, n);
	apply_and_free(h, note_record(n->made[0]->id, 1, BH_STATE_EXHAUSTED, 1, 0));
	bh_id last = delivery_in(h, 71, BH_STATE_EXHAUSTED);
	apply_and_free(h, note_recovery(1001, 71, 0, last));

	g_assert_cmpuint(count_exhausted(h, 0, 100), ==, 2);
	g_autoptr(note) step = note_recover(1001, 10);
	g_assert_cmpint(apply(h, step), ==, BH_WRITE_DONE);

	g_assert_cmpuint(step->write.swept, ==, 2);
	g_assert_cmpint(step->write.recovery_state, ==, BH_RECOVERY_DONE);
	g_autoptr(bh_delivery) a = delivery_of(h, first), t = delivery_of(h, n->made[0]->id), b = delivery_of(h, last);
	g_assert_cmpint(a->state, ==, BH_STATE_PENDING);
	g_assert_cmpint(t->state, ==, BH_STATE_EXHAUSTED);
	g_assert_cmpint(b->state, ==, BH_STATE_PENDING);
	house_close(h);
}

static void a_recovery_comes_back_as_it_was_given(void)
{
	house *h = house_open();
	apply_and_free(h, note_webhook(71, NULL));
	bh_id id = bh_id_new();
	apply_and_free(h, note_recovery(id, 71, 5, 4711));

	house_reopen(h);
	g_autoptr(bh_recovery) r = recovery_of(h, id);

	g_assert_cmpint(r->id, ==, id);
	g_assert_cmpint(r->webhook_id, ==, 71);
	g_assert_cmpint(r->since, ==, NOON - BH_DAY);
	g_assert_cmpint(r->total, ==, 100);
	g_assert_cmpint(r->recovered, ==, 0);
	g_assert_cmpint(r->per_second, ==, 50);
	g_assert_cmpint(r->after, ==, 5);
	g_assert_cmpint(r->up_to, ==, 4711);
	g_assert_cmpint(r->state, ==, BH_RECOVERY_RUNNING);
	g_assert_cmpint(r->created_at, ==, NOON);
	g_assert_cmpint(r->ended_at, ==, 0);
	g_assert_cmpstr(r->who, ==, "key key_test");
	g_assert_cmpint(bh_store_last_id(h->store), >=, id);
	g_autoptr(GError) error = NULL;
	g_assert_null(bh_reader_recovery(h->reader, 4711, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_NOT_FOUND);
	house_close(h);
}

static void one_recovery_runs_for_each_webhook(void)
{
	house *h = house_open();
	apply_and_free(h, note_webhook(71, NULL));
	apply_and_free(h, note_webhook(72, NULL));
	apply_and_free(h, note_recovery(1001, 71, 0, 4711));
	g_autoptr(note) second = note_recovery(1002, 71, 0, 4711);
	g_autoptr(note) other = note_recovery(1003, 72, 0, 4711);
	g_autoptr(note) nobodys = note_recovery(1004, 73, 0, 4711);

	g_assert_cmpint(apply(h, second), ==, BH_WRITE_CONFLICT);
	g_assert_cmpint(apply(h, other), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, nobodys), ==, BH_WRITE_NOT_FOUND);
	apply_and_free(h, note_recovery_end(1001));
	g_assert_cmpint(apply(h, second), ==, BH_WRITE_DONE);
	house_close(h);
}

/* Exhausted ones, oldest first, in steps; the rest of the store is left alone. */
static void a_recovery_goes_in_steps_from_the_oldest(void)
{
	house *h = house_open();
	bh_id ids[8], filtered = 0;
	apply_and_free(h, note_webhook(71, NULL));
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		ids[i] = delivery_in(h, 71, BH_STATE_PENDING);
		apply_and_free(h, note_record(ids[i], 4, BH_STATE_EXHAUSTED, 4, 0));
		if (i == 3)
			filtered = delivery_in(h, 71, BH_STATE_FILTERED); /* nobody wanted it: nothing failed */
	}
	bh_id cancelled = delivery_in(h, 71, BH_STATE_CANCELLED), foreign = delivery_in(h, 72, BH_STATE_EXHAUSTED);
	apply_and_free(h, note_recovery(1001, 71, ids[0], ids[6])); /* not the first, not the last */

	static const struct {
		size_t swept;
		int64_t recovered;
		bh_recovery_state state;
	} steps[] = {{2, 2, BH_RECOVERY_RUNNING},
		     {2, 4, BH_RECOVERY_RUNNING},
		     {2, 6, BH_RECOVERY_RUNNING},
		     {0, 6, BH_RECOVERY_DONE}};
	for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
		g_autoptr(note) n = note_recover(1001, 2);
		n->write.at = NOON + BH_DAY;
		n->write.due_at = NOON + BH_DAY + 7;
		n->write.reason = "Recovered.";
		g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);
		g_assert_cmpuint(n->write.swept, ==, steps[i].swept);
		g_assert_cmpint(n->write.recovery_state, ==, steps[i].state);
		g_assert_cmpint(n->write.webhook_id, ==, 71);
		house_reopen(h);
		g_autoptr(bh_recovery) r = recovery_of(h, 1001);
		g_assert_cmpint(r->recovered, ==, steps[i].recovered);
		g_assert_cmpint(r->state, ==, steps[i].state);
		g_assert_cmpint(r->after, ==, ids[MIN(2 * i + 2, 6)]);
		g_assert_cmpint(r->ended_at, ==, steps[i].state == BH_RECOVERY_DONE ? NOON + BH_DAY : 0);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		g_autoptr(bh_delivery) d = delivery_of(h, ids[i]);
		bool moved = i > 0 && i < 7;
		g_assert_cmpint(d->state, ==, moved ? BH_STATE_PENDING : BH_STATE_EXHAUSTED);
		g_assert_cmpint(d->spent, ==, moved ? 0 : 4);
		g_assert_cmpint(d->attempts, ==, 4);
		g_assert_cmpint(d->created_at, ==, moved ? NOON + BH_DAY : NOON);
		g_assert_cmpint(d->due_at, ==, moved ? NOON + BH_DAY + 7 : 0);
		g_assert_cmpstr(d->reason, ==, moved ? "Recovered." : NULL);
	}
	g_autoptr(bh_delivery) c = delivery_of(h, cancelled);
	g_autoptr(bh_delivery) f = delivery_of(h, foreign);
	g_assert_cmpint(c->state, ==, BH_STATE_CANCELLED);
	g_autoptr(bh_delivery) unwanted = delivery_of(h, filtered);
	g_assert_cmpint(unwanted->state, ==, BH_STATE_FILTERED);
	g_assert_cmpint(f->state, ==, BH_STATE_EXHAUSTED);
	house_close(h);
}

static void what_fails_once_more_is_not_recovered_again(void)
{
	house *h = house_open();
	apply_and_free(h, note_webhook(71, NULL));
	bh_id first = delivery_in(h, 71, BH_STATE_EXHAUSTED), second = delivery_in(h, 71, BH_STATE_EXHAUSTED);
	apply_and_free(h, note_recovery(1001, 71, 0, second));
	apply_and_free(h, note_recover(1001, 1));
	apply_and_free(h, note_record(first, 1, BH_STATE_EXHAUSTED, 1, 0));
	delivery_in(h, 71, BH_STATE_EXHAUSTED); /* later than up_to */
	g_autoptr(note) n = note_recover(1001, 10);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);

	g_assert_cmpuint(n->write.swept, ==, 1);
	g_assert_cmpint(n->write.recovery_state, ==, BH_RECOVERY_DONE);
	g_autoptr(bh_delivery) d = delivery_of(h, first);
	g_assert_cmpint(d->state, ==, BH_STATE_EXHAUSTED);
	house_close(h);
}

static void what_is_recovered_waits_in_its_order(void)
{
	house *h = house_open();
	bh_id ids[3];
	apply_and_free(h, note_webhook(71, NULL));
	for (int i = 0; i < 3; i++) {
		ids[i] = keyed_in(h, 71, "a", NULL);
		apply_and_free(h, note_record(ids[i], 1, BH_STATE_EXHAUSTED, 1, 0));
	}
	apply_and_free(h, note_recovery(1001, 71, 0, ids[2]));
	apply_and_free(h, note_recover(1001, 10));

	for (int i = 0; i < 3; i++) {
		g_autoptr(bh_delivery) d = delivery_of(h, ids[i]);
		g_assert_cmpint(d->state, ==, BH_STATE_PENDING);
		g_assert_cmpint(d->due_at, ==, i ? BH_DUE_BLOCKED : NOON);
	}
	house_close(h);
}

static void a_recovery_that_has_ended_moves_nothing(void)
{
	house *h = house_open();
	apply_and_free(h, note_webhook(71, NULL));
	bh_id id = delivery_in(h, 71, BH_STATE_EXHAUSTED);
	apply_and_free(h, note_recovery(1001, 71, 0, id));
	note *end = note_recovery_end(1001);
	end->write.at = NOON + 5;
	apply_and_free(h, end);
	g_autoptr(note) more = note_recover(1001, 10);
	g_autoptr(note) end_again = note_recovery_end(1001);
	g_autoptr(note) unknown = note_recover(4711, 10);
	g_autoptr(note) end_unknown = note_recovery_end(4711);

	g_assert_cmpint(apply(h, more), ==, BH_WRITE_CONFLICT);
	g_assert_cmpint(more->write.recovery_state, ==, BH_RECOVERY_CANCELLED);
	g_assert_cmpuint(more->write.swept, ==, 0);
	g_assert_cmpint(apply(h, end_again), ==, BH_WRITE_CONFLICT);
	g_assert_cmpint(apply(h, unknown), ==, BH_WRITE_NOT_FOUND);
	g_assert_cmpint(apply(h, end_unknown), ==, BH_WRITE_NOT_FOUND);

	g_autoptr(bh_recovery) r = recovery_of(h, 1001);
	g_autoptr(bh_delivery) d = delivery_of(h, id);
	g_assert_cmpint(r->state, ==, BH_RECOVERY_CANCELLED);
	g_assert_cmpint(r->ended_at, ==, NOON + 5);
	g_assert_cmpint(d->state, ==, BH_STATE_EXHAUSTED);
	house_close(h);
}

static void assert_listed(house *h, const bh_id *webhooks, bool only_running, bh_id before, size_t limit,
			  const char *expected)
{
	size_t count = webhooks ? (webhooks[0] ? (webhooks[1] ? 2 : 1) : 0) : 0;
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) found =
		bh_reader_recoveries(h->reader, webhooks, count, only_running, before, limit, &error);
	g_autoptr(GString) text = g_string_new(NULL);

	g_assert_no_error(error);
	for (guint i = 0; i < found->len; i++)
		g_string_append_printf(text, "%d ", (int)((bh_recovery *)found->pdata[i])->id);
	g_assert_cmpstr(text->str, ==, expected);
}

static void recoveries_are_listed_newest_first(void)
{
	house *h = house_open();
	for (bh_id w = 71; w <= 73; w++)
		apply_and_free(h, note_webhook(w, NULL));
	for (bh_id id = 1001; id <= 1006; id++) {
		apply_and_free(h, note_recovery(id, 71 + id % 2, 0, 1));
		if (id <= 1004)
			apply_and_free(h, note_recovery_end(id));
	}
	apply_and_free(h, note_recovery(1007, 73, 0, 1));

	assert_listed(h, NULL, false, 0, 100, "1007 1006 1005 1004 1003 1002 1001 ");
	assert_listed(h, NULL, false, 1005, 2, "1004 1003 ");
	assert_listed(h, NULL, true, 0, 100, "1007 1006 1005 ");
	assert_listed(h, NULL, true, 1007, 1, "1006 ");
	assert_listed(h, (bh_id[]){71, 0}, false, 0, 100, "1006 1004 1002 ");
	assert_listed(h, (bh_id[]){71, 73, 0}, false, 0, 2, "1007 1006 ");
	assert_listed(h, (bh_id[]){71, 73, 0}, true, 0, 100, "1007 1006 ");
	assert_listed(h, (bh_id[]){0}, false, 0, 100, "");
	house_close(h);
}

/* --- A webhook goes ------------------------------------------------------------------------------------------ */

static note *removed_manager(const char *id)
{
	note *n = note_change(BH_CHANGE_MANAGER_REMOVE);

	n->change.name = g_strdup(id);
	return n;
}

static void what_belongs_to_a_webhook_goes_with_it(void)
{
	for (int by_manager = 0; by_manager < 2; by_manager++) {
		house *h = house_open();
		note *gone = by_manager ? removed_manager("17") : note_webhook_removed(71);
		apply_and_free(h, note_webhook(71, "17"));
		apply_and_free(h, note_webhook(72, "18"));
		for (bh_id w = 71; w <= 72; w++) {
			apply_and_free(h, note_streak(w, &A_STREAK));
			apply_and_free(h, note_recovery(1000 + w, w, 0, 1));
			keyed_in(h, w, "a", NULL);
		}
		bh_id failed = delivery_in(h, 71, BH_STATE_EXHAUSTED);
		gone->write.at = NOON + 5;
		apply_and_free(h, gone);

		g_autoptr(bh_recovery) ended = recovery_of(h, 1071);
		g_autoptr(bh_recovery) other = recovery_of(h, 1072);
		assert_streaks(h, (bh_id[]){72}, 1);
		g_assert_cmpint(ended->state, ==, BH_RECOVERY_CANCELLED);
		g_assert_cmpint(ended->ended_at, ==, NOON + 5);
		g_assert_cmpint(other->state, ==, BH_RECOVERY_RUNNING);
		g_autoptr(bh_delivery) d = delivery_of(h, keyed_in(h, 72, "a", NULL));
		g_assert_cmpint(d->sequence, ==, 2);

		/* An attempt that was under way comes too late to leave a run of failures behind. */
		note *late = note_record(failed, 1, BH_STATE_EXHAUSTED, 1, 0);
		late->write.webhook_id = 71;
		late->write.streak = &A_STREAK;
		apply(h, late);
		note_free(late);
		assert_streaks(h, (bh_id[]){72}, 1);
		house_close(h);
	}
}

void add_recovery_tests(void)
{
	g_test_add_func("/store/streak/kept", a_run_of_failures_is_kept_with_the_attempt_that_changed_it);
	g_test_add_func("/store/streak/with_the_attempt", a_run_is_kept_exactly_if_the_attempt_is);
	g_test_add_func("/store/recovery/count", failed_ones_are_counted_from_an_id_on);
	g_test_add_func("/store/recovery/no_tests", tests_are_neither_counted_nor_recovered);
	g_test_add_func("/store/recovery/comes_back_as_given", a_recovery_comes_back_as_it_was_given);
	g_test_add_func("/store/recovery/one_a_webhook", one_recovery_runs_for_each_webhook);
	g_test_add_func("/store/recovery/steps", a_recovery_goes_in_steps_from_the_oldest);
	g_test_add_func("/store/recovery/once", what_fails_once_more_is_not_recovered_again);
	g_test_add_func("/store/recovery/order", what_is_recovered_waits_in_its_order);
	g_test_add_func("/store/recovery/ended", a_recovery_that_has_ended_moves_nothing);
	g_test_add_func("/store/recovery/list", recoveries_are_listed_newest_first);
	g_test_add_func("/store/webhook/removed", what_belongs_to_a_webhook_goes_with_it);
}
