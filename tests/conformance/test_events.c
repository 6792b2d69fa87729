#include "house.h"

#include "base/error.h"

#include <string.h>

static const bh_id TWO_WEBHOOKS[] = {71, 72, 0};

static void an_event_comes_back_as_it_was_given(void)
{
	house *h = house_open();
	bh_event parts = {
		.type = (char *)"booking_added",
		.occurred_at = NOON - BH_DAY,
		.accepted_at = NOON,
		.property_id = (char *)"12",
		.manager_id = (char *)"Müller & Söhne",
		.actor = (char *)"9",
		.actor_is_manager = true,
		.caller_id = (char *)"order-1",
		.traceparent = (char *)"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		.channel_id = (char *)"3",
		.hops = 7,
		.data = bh_span_of("{ \"n\":12345678901234567890, \"p\":412.50, \"t\":\"caf\\u00e9 é\" }"),
		.details = bh_span_of("[1,\n 2]"),
		.channel = bh_span_of("{\"channel_id\":3}"),
	};
	g_autoptr(note) n = note_event_of(&parts, NULL);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);
	house_reopen(h);

	g_autoptr(GError) error = NULL;
	g_autoptr(bh_event) e = bh_reader_event(h->reader, n->write.event->id, &error);
	g_assert_no_error(error);
	g_assert_cmpint(e->id, ==, n->write.event->id);
	g_assert_cmpstr(e->type, ==, parts.type);
	g_assert_cmpint(e->occurred_at, ==, parts.occurred_at);
	g_assert_cmpint(e->accepted_at, ==, parts.accepted_at);
	g_assert_cmpstr(e->property_id, ==, parts.property_id);
	g_assert_cmpstr(e->manager_id, ==, parts.manager_id);
	g_assert_cmpstr(e->actor, ==, parts.actor);
	g_assert_true(e->actor_is_manager);
	g_assert_cmpstr(e->caller_id, ==, parts.caller_id);
	g_assert_cmpstr(e->traceparent, ==, parts.traceparent);
	g_assert_cmpstr(e->channel_id, ==, parts.channel_id);
	g_assert_cmpint(e->hops, ==, 7);
	g_assert_cmpmem(e->data.at, e->data.size, parts.data.at, parts.data.size);
	g_assert_cmpmem(e->details.at, e->details.size, parts.details.at, parts.details.size);
	g_assert_cmpmem(e->channel.at, e->channel.size, parts.channel.at, parts.channel.size);
	house_close(h);
}

static void what_an_event_does_not_have_stays_away(void)
{
	house *h = house_open();
	bh_event parts = {.type = (char *)"x", .occurred_at = 1, .accepted_at = 2, .data = bh_span_of("{}")};
	g_autoptr(note) n = note_event_of(&parts, NULL);

	apply(h, n);

	g_autoptr(bh_event) e = bh_reader_event(h->reader, n->write.event->id, NULL);
	g_assert_null(e->property_id);
	g_assert_null(e->manager_id);
	g_assert_null(e->actor);
	g_assert_false(e->actor_is_manager);
	g_assert_null(e->caller_id);
	g_assert_null(e->traceparent);
	g_assert_null(e->channel_id);
	g_assert_cmpint(e->hops, ==, 0);
	g_assert_cmpuint(e->details.size, ==, 0);
	g_assert_cmpuint(e->channel.size, ==, 0);
	house_close(h);
}

static void an_unknown_event_is_not_found(void)
{
	house *h = house_open();
	g_autoptr(GError) error = NULL;

	g_assert_null(bh_reader_event(h->reader, 4711, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_null(bh_reader_findings(h->reader, 4711, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_null(bh_reader_event_of_caller(h->reader, 1, "nobody", &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_NOT_FOUND);
	house_close(h);
}

static void findings_come_back_in_their_order(void)
{
	house *h = house_open();
	static const bh_finding given[] = {
		{71, "17", BH_VERDICT_TRIGGERED},         {72, "a b:c%d\u00e9", BH_VERDICT_HELD},
		{73, "18", BH_VERDICT_TYPE_NOT_SELECTED}, {74, NULL, BH_VERDICT_OWN_CHANGE},
		{0, NULL, BH_VERDICT_NO_MANAGER},         {75, "", BH_VERDICT_COALESCED},
	};
	g_autoptr(note) n = note_event(TWO_WEBHOOKS);
	n->write.findings = given;
	n->write.finding_count = G_N_ELEMENTS(given);
	n->made[1]->state = BH_STATE_HELD;

	apply(h, n);

	g_autoptr(GError) error = NULL;
	g_autoptr(bh_findings) f = bh_reader_findings(h->reader, n->write.event->id, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(f->count, ==, G_N_ELEMENTS(given));
	for (size_t i = 0; i < f->count; i++) {
		g_assert_cmpint(f->at[i].webhook, ==, given[i].webhook);
		g_assert_cmpstr(f->at[i].manager, ==, given[i].manager);
		g_assert_cmpint(f->at[i].verdict, ==, given[i].verdict);
		g_assert_cmpint(f->deliveries[i], ==, i < 2 ? n->made[i]->id : 0);
		g_assert_cmpint(f->rounds[i], ==, 0);
	}
	house_close(h);
}

static void an_event_nobody_is_told_of_has_no_findings(void)
{
	house *h = house_open();
	g_autoptr(note) n = note_event(NULL);

	apply(h, n);

	g_autoptr(bh_findings) f = bh_reader_findings(h->reader, n->write.event->id, NULL);
	g_assert_nonnull(f);
	g_assert_cmpuint(f->count, ==, 0);
	house_close(h);
}

/* --- Replays ------------------------------------------------------------------------------------------------- */

/* The same event once more, for these webhooks. */
static note *note_replay(bh_id event, const bh_id *webhooks)
{
	note *n = note_event(webhooks);

	n->write.kind = BH_WRITE_REPLAY;
	n->write.event->id = event;
	for (size_t i = 0; i < n->write.delivery_count; i++)
		n->made[i]->event_id = event;
	return n;
}

static void each_replay_is_a_round_of_its_own(void)
{
	house *h = house_open();
	static const bh_finding odd = {73, "a\nb c:d", BH_VERDICT_TYPE_NOT_SELECTED};
	g_autoptr(note) first = note_event(TWO_WEBHOOKS);
	apply(h, first);
	bh_id event = first->write.event->id;
	g_autoptr(note) one = note_replay(event, (bh_id[]){72, 0});
	g_autoptr(note) none = note_replay(event, NULL);
	g_autoptr(note) nobody = note_replay(event, NULL);
	nobody->write.findings = &odd;
	nobody->write.finding_count = 1;
	const struct {
		bh_id webhook, delivery;
		int round;
	} expected[] = {
		{71, first->made[0]->id, 0}, {72, first->made[1]->id, 0}, {72, one->made[0]->id, 1}, {73, 0, 3}};

	g_assert_cmpint(apply(h, one), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, none), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, nobody), ==, BH_WRITE_DONE);
	house_reopen(h);

	g_autoptr(bh_findings) f = bh_reader_findings(h->reader, event, NULL);
	g_assert_cmpuint(f->count, ==, G_N_ELEMENTS(expected));
	for (size_t i = 0; i < f->count; i++) {
		g_assert_cmpint(f->at[i].webhook, ==, expected[i].webhook);
		g_assert_cmpint(f->deliveries[i], ==, expected[i].delivery);
		g_assert_cmpint(f->rounds[i], ==, expected[i].round);
	}
	g_assert_cmpstr(f->at[3].manager, ==, odd.manager);
	bh_list of_event = {.event = event, .limit = 10};
	g_autoptr(GPtrArray) listed = bh_reader_deliveries(h->reader, &of_event, NULL);
	g_assert_cmpuint(listed->len, ==, 3);
	g_assert_cmpint(((bh_delivery *)listed->pdata[0])->id, ==, one->made[0]->id);
	house_close(h);
}

/* Its first round is empty. */
static void an_event_nobody_was_told_of_can_be_replayed(void)
{
	house *h = house_open();
	g_autoptr(note) first = note_event(NULL);
	apply(h, first);
	g_autoptr(note) again = note_replay(first->write.event->id, TWO_WEBHOOKS);

	g_assert_cmpint(apply(h, again), ==, BH_WRITE_DONE);

	g_autoptr(bh_findings) f = bh_reader_findings(h->reader, first->write.event->id, NULL);
	g_assert_cmpuint(f->count, ==, 2);
	g_assert_cmpint(f->rounds[0], ==, 1);
	g_assert_cmpint(f->deliveries[1], ==, again->made[1]->id);
	house_close(h);
}

static void a_replay_waits_in_its_order(void)
{
	house *h = house_open();
	g_autoptr(note) first = note_keyed(71, "4711", NULL);
	apply(h, first);
	g_autoptr(note) again = note_replay(first->write.event->id, (bh_id[]){71, 0});
	again->made[0]->order_key = g_strdup("4711");

	g_assert_cmpint(apply(h, again), ==, BH_WRITE_DONE);

	g_assert_cmpint(again->made[0]->due_at, ==, BH_DUE_BLOCKED);
	g_assert_cmpint(again->made[0]->sequence, ==, 2);
	house_close(h);
}

static void a_replay_of_an_unknown_event_leaves_nothing(void)
{
	house *h = house_open();
	g_autoptr(note) n = note_replay(4711, TWO_WEBHOOKS);
	n->made[0]->order_key = g_strdup("a");

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_NOT_FOUND);

	g_assert_false(has_event(h, 4711));
	g_assert_false(has_delivery(h, n->made[0]->id));
	g_assert_cmpint(n->made[0]->sequence, ==, 0);
	house_close(h);
}

/* --- The caller's id ----------------------------------------------------------------------------------------- */

static note *note_of_caller(bh_id key, const char *caller_id, const char *data)
{
	bh_event parts = {.type = (char *)"booking_added",
			  .accepted_at = NOON,
			  .property_id = (char *)"12",
			  .caller_id = (char *)caller_id,
			  .data = bh_span_of(data)};
	note *n = note_event_of(&parts, TWO_WEBHOOKS);

	n->write.caller_key = key;
	return n;
}

static void assert_nothing_kept(house *h, const note *n)
{
	g_assert_false(has_event(h, n->write.event->id));
	for (size_t i = 0; i < n->write.delivery_count; i++)
		g_assert_false(has_delivery(h, n->made[i]->id));
}

static void a_repeat_is_a_duplicate_and_leaves_nothing(void)
{
	house *h = house_open();
	g_autoptr(note) first = note_of_caller(1, "order-1", "{\"a\":1}");
	g_autoptr(note) again = note_of_caller(1, "order-1", "{\"a\":1}");

	g_assert_cmpint(apply(h, first), ==, BH_WRITE_DONE);
	house_reopen(h);
	g_assert_cmpint(apply(h, again), ==, BH_WRITE_DUPLICATE);

	g_assert_cmpint(again->write.existing_event, ==, first->write.event->id);
	assert_nothing_kept(h, again);
	house_close(h);
}

static void the_same_id_with_other_content_is_a_conflict(void)
{
	house *h = house_open();
	g_autoptr(note) first = note_of_caller(1, "order-1", "{\"a\":1}");
	g_autoptr(note) other = note_of_caller(1, "order-1", "{\"a\":2}");

	g_assert_cmpint(apply(h, first), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, other), ==, BH_WRITE_CONFLICT);

	g_assert_cmpint(other->write.existing_event, ==, first->write.event->id);
	assert_nothing_kept(h, other);
	house_close(h);
}

static void each_key_has_ids_of_its_own(void)
{
	house *h = house_open();
	g_autoptr(note) first = note_of_caller(1, "order-1", "{\"a\":1}");
	g_autoptr(note) foreign = note_of_caller(2, "order-1", "{\"a\":2}");
	g_autoptr(note) nameless = note_of_caller(1, NULL, "{\"a\":1}");
	g_autoptr(note) nameless_too = note_of_caller(1, NULL, "{\"a\":1}");

	g_assert_cmpint(apply(h, first), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, foreign), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, nameless), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, nameless_too), ==, BH_WRITE_DONE);

	g_autoptr(bh_event) found = bh_reader_event_of_caller(h->reader, 2, "order-1", NULL);
	g_assert_cmpint(found->id, ==, foreign->write.event->id);
	house_close(h);
}

static void repeats_within_one_batch_are_seen(void)
{
	house *h = house_open();
	g_autoptr(note) first = note_of_caller(1, "order-1", "{\"a\":1}");
	g_autoptr(note) again = note_of_caller(1, "order-1", "{\"a\":1}");
	g_autoptr(note) other = note_of_caller(1, "order-1", "{\"a\":2}");
	g_autoptr(note) next = note_of_caller(1, "order-2", "{\"a\":2}");
	g_autoptr(GError) error = NULL;

	g_assert_true(apply_all(h, (note *[]){first, again, other, next}, 4, &error));

	g_assert_no_error(error);
	g_assert_cmpint(first->write.result, ==, BH_WRITE_DONE);
	g_assert_cmpint(again->write.result, ==, BH_WRITE_DUPLICATE);
	g_assert_cmpint(again->write.existing_event, ==, first->write.event->id);
	g_assert_cmpint(other->write.result, ==, BH_WRITE_CONFLICT);
	g_assert_cmpint(next->write.result, ==, BH_WRITE_DONE);
	assert_nothing_kept(h, again);
	assert_nothing_kept(h, other);
	g_assert_true(has_delivery(h, next->made[1]->id));
	house_close(h);
}

#define MANY 9000

static char *nth_caller_id(int i)
{
	return g_strdup_printf("order-%d", i * 7919);
}

/* Event i has id 10 * (i + 1); two in three have an id of their caller's. */
static void write_many(house *h, int first, int count)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func((GDestroyNotify)note_free);
	g_autoptr(GError) error = NULL;

	for (int i = first; i < first + count; i++) {
		g_autofree char *caller_id = nth_caller_id(i);
		note *n = note_of_caller(1, i % 3 ? caller_id : NULL, "{}");
		n->write.event->id = 10 * (i + 1);
		g_ptr_array_add(notes, n);
	}
	g_assert_true(apply_all(h, (note *const *)notes->pdata, notes->len, &error));
	g_assert_no_error(error);
}

static void assert_known(house *h, int i, bh_id event)
{
	g_autofree char *caller_id = nth_caller_id(i);
	g_autoptr(note) again = note_of_caller(1, caller_id, "{}");
	g_autoptr(bh_event) found = bh_reader_event_of_caller(h->reader, 1, caller_id, NULL);

	g_assert_cmpint(found->id, ==, event);
	g_assert_cmpint(apply(h, again), ==, BH_WRITE_DUPLICATE);
	g_assert_cmpint(again->write.existing_event, ==, event);
}

static void a_callers_id_is_known_however_many_came_since(void)
{
	house *h = house_open();
	g_autofree char *late_id = nth_caller_id(MANY + 1);
	note *late = note_of_caller(1, late_id, "{}");
	late->write.event->id = 5; /* below all that are there */

	for (int first = 0; first < MANY; first += 500) {
		write_many(h, first, 500);
		if (first == MANY / 2)
			house_reopen(h);
	}
	apply_and_free(h, late);

	for (int round = 0; round < 2; round++) {
		for (int i = 1; i < MANY; i += 3 * 17)
			assert_known(h, i, 10 * (i + 1));
		assert_known(h, MANY + 1, 5);
		house_reopen(h);
	}
	house_close(h);
}

static void a_batch_that_failed_is_no_repeat(void)
{
	house *h = house_open();
	g_autoptr(note) good = note_of_caller(1, "order-1", "{}");
	g_autoptr(note) bad = note_event(TWO_WEBHOOKS);
	g_autoptr(GError) error = NULL;
	bad->made[1]->id = bad->made[0]->id;

	g_assert_false(apply_all(h, (note *[]){good, bad}, 2, &error));
	g_assert_null(bh_reader_event_of_caller(h->reader, 1, "order-1", NULL));
	g_assert_cmpint(apply(h, good), ==, BH_WRITE_DONE);
	house_close(h);
}

/* --- A batch ------------------------------------------------------------------------------------------------- */

static void a_batch_that_fails_leaves_nothing_and_the_store_goes_on(void)
{
	house *h = house_open();
	g_autoptr(note) good = note_event(TWO_WEBHOOKS);
	g_autoptr(note) bad = note_event(TWO_WEBHOOKS);
	g_autoptr(note) later = note_event(TWO_WEBHOOKS);
	g_autoptr(GError) error = NULL;
	bad->made[1]->id = bad->made[0]->id; /* an id given twice: a bug in us, which must not become half an event */

	g_assert_false(apply_all(h, (note *[]){good, bad}, 2, &error));

	g_assert_error(error, BH_ERROR, BH_ERROR_CONFLICT);
	assert_nothing_kept(h, good);
	assert_nothing_kept(h, bad);
	g_assert_cmpint(apply(h, later), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, good), ==, BH_WRITE_DONE);
	house_close(h);
}

static void an_empty_batch_is_fine(void)
{
	house *h = house_open();
	g_autoptr(GError) error = NULL;

	g_assert_true(apply_all(h, NULL, 0, &error));
	g_assert_no_error(error);
	house_close(h);
}

static void the_last_id_is_the_greatest_of_all_kinds(void)
{
	house *h = house_open();
	g_assert_cmpint(bh_store_last_id(h->store), ==, 0);
	g_autoptr(note) n = note_event(TWO_WEBHOOKS);

	apply(h, n);
	g_assert_cmpint(bh_store_last_id(h->store), ==, n->made[1]->id);

	g_autoptr(note) key = note_change(BH_CHANGE_KEY_PUT);
	key->change.key = bh_key_new();
	key->change.key->id = bh_id_new();
	key->change.key->name = g_strdup("");
	apply(h, key);
	house_reopen(h);
	g_assert_cmpint(bh_store_last_id(h->store), ==, key->change.key->id);

	apply_and_free(h, note_webhook(71, NULL));
	apply_and_free(h, note_recovery(key->change.key->id + 1, 71, 0, 1));
	house_reopen(h);
	g_assert_cmpint(bh_store_last_id(h->store), ==, key->change.key->id + 1);
	house_close(h);
}

void add_event_tests(void)
{
	g_test_add_func("/store/event/comes_back_as_given", an_event_comes_back_as_it_was_given);
	g_test_add_func("/store/event/what_it_does_not_have", what_an_event_does_not_have_stays_away);
	g_test_add_func("/store/event/unknown", an_unknown_event_is_not_found);
	g_test_add_func("/store/event/findings", findings_come_back_in_their_order);
	g_test_add_func("/store/event/no_findings", an_event_nobody_is_told_of_has_no_findings);
	g_test_add_func("/store/replay/rounds", each_replay_is_a_round_of_its_own);
	g_test_add_func("/store/replay/of_nobody", an_event_nobody_was_told_of_can_be_replayed);
	g_test_add_func("/store/replay/order", a_replay_waits_in_its_order);
	g_test_add_func("/store/replay/unknown", a_replay_of_an_unknown_event_leaves_nothing);
	g_test_add_func("/store/caller/repeat", a_repeat_is_a_duplicate_and_leaves_nothing);
	g_test_add_func("/store/caller/other_content", the_same_id_with_other_content_is_a_conflict);
	g_test_add_func("/store/caller/each_key", each_key_has_ids_of_its_own);
	g_test_add_func("/store/caller/within_a_batch", repeats_within_one_batch_are_seen);
	g_test_add_func("/store/caller/many", a_callers_id_is_known_however_many_came_since);
	g_test_add_func("/store/caller/failed_batch", a_batch_that_failed_is_no_repeat);
	g_test_add_func("/store/batch/failed", a_batch_that_fails_leaves_nothing_and_the_store_goes_on);
	g_test_add_func("/store/batch/empty", an_empty_batch_is_fine);
	g_test_add_func("/store/batch/last_id", the_last_id_is_the_greatest_of_all_kinds);
}
