/*
 * No statement reads through a table: each is prepared by doing everything once, and SQLite is asked how it would run it. A
 * statement that is new must be done here, too. This file knows the backend from inside.
 */
#include "house.h"

#include "store/sqlite/sqlite.h"

#include <string.h>

/* What reads something from end to end, or sorts, and why it may. */
static const struct {
	int slot;
	const char *step, *why;
} KNOWN[] = {
	{BH_SQL_LIST_PENDING, "SCAN delivery USING INDEX delivery_pending",
	 "keeps no more than the page, and no index is to be kept"},
	{BH_SQL_LIST_PENDING, "USE TEMP B-TREE FOR ORDER BY", "the same"},
	{BH_SQL_LIST_PENDING_OF_WEBHOOK, "USE TEMP B-TREE FOR ORDER BY", "the same"},
	{BH_SQL_LIST_RUNNING, "SCAN recovery USING INDEX recovery_running", "at most one for each webhook"},
	{BH_SQL_LIST_RUNNING, "USE TEMP B-TREE FOR ORDER BY", "the same"},
	{BH_SQL_STREAKS, "SCAN streak", "all are wanted"},
	{BH_SQL_HEALTH, "SCAN shelf", "the first row is enough"},
};

static bool is_known(int slot, const char *step)
{
	for (size_t i = 0; i < G_N_ELEMENTS(KNOWN); i++) {
		if (KNOWN[i].slot == slot && strcmp(step, KNOWN[i].step) == 0)
			return true;
	}
	return false;
}

/* A row without a table, and a subquery, whose own steps are listed too, are no tables. */
static bool reads_through(const char *step)
{
	if (g_str_has_prefix(step, "SCAN CONSTANT ROW") || g_str_has_prefix(step, "SCAN (subquery"))
		return false;
	return g_str_has_prefix(step, "SCAN ") || g_str_has_prefix(step, "USE TEMP B-TREE");
}

static void assert_seeks(const bh_db *db, int slot)
{
	const char *text = sqlite3_sql(db->kept[slot]);
	g_autofree char *question = g_strconcat("EXPLAIN QUERY PLAN ", text, NULL);
	sqlite3_stmt *plan;

	g_assert_cmpint(sqlite3_prepare_v2(db->handle, question, -1, &plan, NULL), ==, SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(plan, 3);
		if (reads_through(step) && !is_known(slot, step))
			g_error("\"%s\": %s", step, text);
	}
	sqlite3_finalize(plan);
}

/* --- Everything once ----------------------------------------------------------------------------------------- */

#define MANY 20000 /* so that shelves are written and callers' ids filed */
#define BATCH 1000

/* Returns an event that is on a shelf by now. */
static bh_id write_many(house *h)
{
	g_autoptr(GError) error = NULL;
	bh_id early = 0;

	for (int first = 0; first < MANY; first += BATCH) {
		g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func((GDestroyNotify)note_free);
		for (int i = first; i < first + BATCH; i++) {
			g_autofree char *caller_id = g_strdup_printf("order-%d", i);
			bh_event parts = {.type = (char *)"booking_added",
					  .accepted_at = NOON,
					  .property_id = (char *)"12",
					  .manager_id = (char *)"17",
					  .caller_id = caller_id,
					  .data = bh_span_of("{}")};
			g_ptr_array_add(notes, note_event_of(&parts, (bh_id[]){71, 0}));
		}
		g_assert_true(apply_all(h, (note *const *)notes->pdata, notes->len, &error));
		if (first == 0)
			early = ((note *)notes->pdata[BATCH - 1])->write.event->id;
	}
	return early;
}

static void repeat_one(house *h)
{
	bh_event parts = {.type = (char *)"booking_added", .caller_id = (char *)"order-1", .data = bh_span_of("{}")};
	g_autoptr(note) n = note_event_of(&parts, NULL);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_CONFLICT);
}

static void replay(house *h, bh_id delivery)
{
	g_autoptr(bh_delivery) d = delivery_of(h, delivery);
	g_autoptr(note) n = note_event((bh_id[]){71, 0});

	n->write.kind = BH_WRITE_REPLAY;
	n->write.event->id = d->event_id;
	apply(h, n);
}

static void write_each_kind(house *h)
{
	static const bh_streak failing = {.failing_since = NOON}, fine = {0};
	bh_id first = keyed_in(h, 71, "a", "price"), second = keyed_in(h, 71, "a", "price");

	apply_and_free(h, note_webhook(71, NULL));
	apply_and_free(h, note_coalesced(first, second));
	apply_and_free(h, note_record(second, 1, BH_STATE_PENDING, 1, NOON));
	apply_and_free(h, note_move(second, BH_STATE_HELD));
	apply_and_free(h, note_move(second, BH_STATE_PENDING));
	g_autoptr(note) late = note_record(first, 1, BH_STATE_DELIVERED, 1, 0);
	apply(h, late);
	replay(h, first);
	apply_and_free(h, note_streak(71, &fine));
	apply_and_free(h, note_streak(71, &failing));
	for (int by_age = 0; by_age < 2; by_age++) {
		note *pending = note_sweep(71, BH_STATE_PENDING, BH_STATE_HELD, 3);
		note *held = note_sweep(71, BH_STATE_HELD, BH_STATE_EXHAUSTED, 3);
		pending->write.keep_newest = held->write.keep_newest = true;
		pending->write.made_before = by_age ? NOON : 0;
		apply_and_free(h, pending);
		apply_and_free(h, held);
	}
	apply_and_free(h, note_recovery(1001, 71, 0, G_MAXINT64));
	g_autoptr(note) again = note_recovery(1002, 71, 0, G_MAXINT64);
	g_assert_cmpint(apply(h, again), ==, BH_WRITE_CONFLICT);
	apply_and_free(h, note_recover(1001, 1));
}

static void read_by_key(house *h, bh_id delivery)
{
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(bh_waiting));
	g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(bh_id));
	g_autoptr(bh_delivery) d = delivery_of(h, delivery);
	bh_store_health health;
	bh_streak streak;
	size_t count;
	bh_id id;

	g_assert_true(bh_reader_waiting(h->reader, 71, NOON, 1, 10000000, found, NULL));
	for (int i = 0; i < 2; i++) {
		bh_state state = i ? BH_STATE_HELD : BH_STATE_PENDING;
		g_assert_true(bh_reader_webhooks_waiting(h->reader, state, ids, NULL));
		g_assert_true(bh_reader_count(h->reader, 71, state, 10, &count, NULL));
	}
	g_assert_true(bh_reader_count_after(h->reader, 71, BH_STATE_EXHAUSTED, 5, NOON, 10, &count, NULL));
	g_assert_true(bh_reader_superseding(h->reader, delivery, NOON, 0, &id, NULL));
	g_assert_true(bh_reader_streak(h->reader, 71, &streak, NULL));
	g_assert_true(bh_reader_streaks(h->reader, ids, NULL));
	g_assert_true(bh_reader_health(h->reader, &health, NULL));
	g_autoptr(bh_recovery) r = bh_reader_recovery(h->reader, 1001, NULL);
	g_autoptr(bh_event) e = bh_reader_event(h->reader, d->event_id, NULL);
	g_autoptr(bh_event) of_caller = bh_reader_event_of_caller(h->reader, 0, "order-1", NULL);
	g_autoptr(bh_findings) f = bh_reader_findings(h->reader, d->event_id, NULL);
	g_autoptr(GPtrArray) attempts = bh_reader_attempts(h->reader, delivery, 0, 10, NULL);
	g_autoptr(GPtrArray) audit = bh_reader_audit(h->reader, 0, 10, NULL);
	g_assert_true(r && e && of_caller && f && attempts && audit);
}

static void list_deliveries(house *h)
{
	static const bh_state states[] = {0, BH_STATE_DELIVERED, BH_STATE_PENDING, BH_STATE_EXHAUSTED};
	bh_id webhook = 71;

	for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
		bh_list of_all = {.state = states[i], .limit = 10};
		bh_list of_one = {.webhooks = &webhook, .webhook_count = 1, .state = states[i], .limit = 10};
		g_autoptr(GPtrArray) all = bh_reader_deliveries(h->reader, &of_all, NULL);
		g_autoptr(GPtrArray) one = bh_reader_deliveries(h->reader, &of_one, NULL);
		g_assert_true(all && one);
	}
	for (int running = 0; running < 2; running++) {
		g_autoptr(GPtrArray) all = bh_reader_recoveries(h->reader, NULL, 0, running, 0, 10, NULL);
		g_autoptr(GPtrArray) one = bh_reader_recoveries(h->reader, &webhook, 1, running, 0, 10, NULL);
		g_assert_true(all && one);
	}
}

static void list_events(house *h, bh_id before)
{
	bh_list lists[] = {
		{.before = before, .limit = 10},
		{.before = before, .type = "booking_added", .limit = 10},
		{.before = before, .manager_id = "17", .property_id = "12", .type = "booking_added", .limit = 10},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
		g_autoptr(GPtrArray) found = bh_reader_events(h->reader, &lists[i], NULL);
		g_assert_cmpuint(found->len, ==, 10);
	}
}

static void no_statement_reads_through_a_table(void)
{
	house *h = house_open();
	const bh_db *writer = &((bh_sqlite *)h->store)->db, *reader = &((bh_sqlite_reader *)h->reader)->db;
	bh_id early = write_many(h);
	repeat_one(h);
	write_each_kind(h);
	bh_id delivered = keyed_in(h, 71, NULL, NULL);
	apply_and_free(h, note_record(delivered, 1, BH_STATE_DELIVERED, 1, 0));
	read_by_key(h, delivered);
	list_deliveries(h);
	list_events(h, early);

	for (int slot = 0; slot < BH_SQL_SLOTS; slot++) {
		if (!writer->kept[slot] && !reader->kept[slot])
			g_error("statement %d was never run: do here what it is for", slot);
		assert_seeks(writer->kept[slot] ? writer : reader, slot);
	}
	house_close(h);
}

void add_plan_tests(void)
{
	g_test_add_func("/store/plans", no_statement_reads_through_a_table);
}
