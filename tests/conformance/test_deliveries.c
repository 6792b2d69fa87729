#include "house.h"

#include "base/error.h"

#include <string.h>

static const bh_id ONE_WEBHOOK[] = {71, 0};
static const bh_state ALL[] = {BH_STATE_PENDING,   BH_STATE_HELD,      BH_STATE_DELIVERED, BH_STATE_GONE,
			       BH_STATE_EXHAUSTED, BH_STATE_COALESCED, BH_STATE_CANCELLED, BH_STATE_FILTERED};

/* The list of the door, once more: what is not in it must be refused. */
static bool is_allowed(bh_state from, bh_state to)
{
	if (from == BH_STATE_PENDING)
		return true;
	if (from == BH_STATE_HELD)
		return to != BH_STATE_HELD;
	return from == BH_STATE_EXHAUSTED && to == BH_STATE_PENDING;
}

static void the_table_of_moves_is_walked_row_by_row(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(ALL); i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(ALL); j++)
			g_assert_cmpint(bh_state_may_move(ALL[i], ALL[j]), ==, is_allowed(ALL[i], ALL[j]));
		g_assert_cmpint(bh_state_is_final(ALL[i]), ==, i >= 2);
	}
}

static void names_of_states_can_be_read_back(void)
{
	static const char *const names[] = {"pending",   "held",      "delivered", "gone",
					    "exhausted", "coalesced", "cancelled", "filtered"};
	bh_state state;

	G_STATIC_ASSERT(G_N_ELEMENTS(names) == G_N_ELEMENTS(ALL));

	for (size_t i = 0; i < G_N_ELEMENTS(ALL); i++) {
		g_assert_cmpstr(bh_state_name(ALL[i]), ==, names[i]);
		g_assert_true(bh_state_parse(names[i], &state));
		g_assert_cmpint(state, ==, ALL[i]);
	}
	g_assert_false(bh_state_parse("", &state));
	g_assert_false(bh_state_parse("Pending", &state));
}

static void a_delivery_comes_back_as_it_was_given(void)
{
	house *h = house_open();
	g_autoptr(note) n = note_event((bh_id[]){71, 72, 0});
	n->made[0]->is_test = true;
	n->made[0]->due_at = NOON + 5;
	n->made[1]->state = BH_STATE_HELD;
	n->made[1]->reason = g_strdup("The webhook is disabled.");
	g_clear_pointer(&n->made[1]->manager_id, g_free);

	apply(h, n);

	g_autoptr(bh_delivery) d = delivery_of(h, n->made[0]->id);
	g_assert_cmpint(d->event_id, ==, n->write.event->id);
	g_assert_cmpint(d->webhook_id, ==, 71);
	g_assert_cmpstr(d->manager_id, ==, "17");
	g_assert_cmpint(d->state, ==, BH_STATE_PENDING);
	g_assert_cmpint(d->created_at, ==, NOON);
	g_assert_cmpint(d->due_at, ==, NOON + 5);
	g_assert_cmpint(d->ended_at, ==, 0);
	g_assert_true(d->is_test);
	g_assert_null(d->reason);
	g_autoptr(bh_delivery) held = delivery_of(h, n->made[1]->id);
	g_assert_cmpint(held->state, ==, BH_STATE_HELD);
	g_assert_null(held->manager_id);
	g_assert_cmpint(held->due_at, ==, 0);
	g_assert_cmpint(held->ended_at, ==, 0);
	g_assert_cmpstr(held->reason, ==, "The webhook is disabled.");
	house_close(h);
}

/* --- Records ------------------------------------------------------------------------------------------------- */

/* Compare and set, for every state that a delivery is in and every state that a record wants. */
static void a_record_moves_only_what_still_waits(void)
{
	house *h = house_open();

	for (size_t i = 0; i < G_N_ELEMENTS(ALL); i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(ALL); j++) {
			if (ALL[j] == BH_STATE_COALESCED)
				continue; /* a way of its own: test_coalescing.c */
			bh_id id = delivery_in(h, 71, ALL[i]);
			g_autoptr(note) n = note_record(id, 1, ALL[j], 1, NOON + BH_HOUR);
			bool moves =
				ALL[i] == BH_STATE_PENDING || (ALL[i] == BH_STATE_HELD && bh_state_is_final(ALL[j]));
			n->write.at = NOON + BH_MINUTE;
			n->write.reason = "why";

			g_assert_cmpint(apply(h, n), ==, moves ? BH_WRITE_DONE : BH_WRITE_CONFLICT);

			g_autoptr(bh_delivery) d = delivery_of(h, id);
			g_assert_cmpint(d->state, ==, moves ? ALL[j] : ALL[i]);
			g_assert_cmpint(d->attempts, ==, 1);
			g_assert_cmpint(d->spent, ==, moves ? 1 : 0);
			g_assert_cmpstr(d->reason, ==, moves ? "why" : NULL);
			if (moves && bh_state_is_final(ALL[j]))
				g_assert_cmpint(d->ended_at, ==, NOON + BH_MINUTE);
			if (moves && ALL[j] == BH_STATE_PENDING)
				g_assert_cmpint(d->due_at, ==, NOON + BH_HOUR);
			g_autoptr(GPtrArray) attempts = bh_reader_attempts(h->reader, id, 0, 10, NULL);
			g_assert_cmpuint(attempts->len, ==, 1);
		}
	}
	house_close(h);
}

static void a_record_of_an_unknown_delivery_is_not_kept(void)
{
	house *h = house_open();
	g_autoptr(note) n = note_record(4711, 1, BH_STATE_DELIVERED, 1, 0);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_NOT_FOUND);

	g_autoptr(GPtrArray) attempts = bh_reader_attempts(h->reader, 4711, 0, 10, NULL);
	g_assert_cmpuint(attempts->len, ==, 0);
	house_close(h);
}

static void a_record_without_an_attempt_moves_alone(void)
{
	house *h = house_open();
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	g_autoptr(note) first = note_record(id, 2, BH_STATE_PENDING, 2, NOON);
	g_autoptr(note) end = note_record(id, 0, BH_STATE_CANCELLED, 2, 0);

	apply(h, first);
	g_assert_cmpint(apply(h, end), ==, BH_WRITE_DONE);

	g_autoptr(bh_delivery) d = delivery_of(h, id);
	g_assert_cmpint(d->state, ==, BH_STATE_CANCELLED);
	g_assert_cmpint(d->attempts, ==, 2);
	house_close(h);
}

static void an_event_and_its_first_record_fit_into_one_batch(void)
{
	house *h = house_open();
	g_autoptr(note) n = note_event(ONE_WEBHOOK);
	g_autoptr(note) end = note_record(n->made[0]->id, 1, BH_STATE_DELIVERED, 1, 0);
	g_autoptr(GError) error = NULL;

	g_assert_true(apply_all(h, (note *[]){n, end}, 2, &error));

	g_autoptr(bh_delivery) d = delivery_of(h, n->made[0]->id);
	g_assert_cmpint(d->state, ==, BH_STATE_DELIVERED);
	house_close(h);
}

static void a_record_given_twice_is_kept_once(void)
{
	house *h = house_open();
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	g_autoptr(note) n = note_record(id, 1, BH_STATE_DELIVERED, 1, 0);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);
	g_assert_cmpint(apply(h, n), ==, BH_WRITE_CONFLICT); /* it is delivered by now */

	g_autoptr(GPtrArray) attempts = bh_reader_attempts(h->reader, id, 0, 10, NULL);
	g_assert_cmpuint(attempts->len, ==, 1);
	house_close(h);
}

static void an_attempt_comes_back_as_it_was_given(void)
{
	house *h = house_open();
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	static const char body[] = "\xe2\x5c\x78\0\xff";
	bh_attempt_row given = {
		.delivery_id = id,
		.number = 1,
		.started_at = NOON,
		.dns = 1,
		.connect = 20,
		.tls = -1,
		.first_byte = 3000,
		.total = 4000,
		.outcome = "failed",
		.cause = "status",
		.sentence = "The receiver answered 500.",
		.status = 500,
		.http_version = "1.1",
		.address = "192.0.2.1:443",
		.request = "POST /hook HTTP/1.1\nHost: example.org\nX-Key: ***\n",
		.response = "HTTP/1.1 500 No\nServer: x\n",
		.body = {body, sizeof body},
		.sent = bh_span_of("{\"x\":1}"),
		.shape = "standard+details",
	};
	g_autoptr(note) n = note_record(id, 1, BH_STATE_PENDING, 1, NOON);
	n->attempt = given;

	apply(h, n);

	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) attempts = bh_reader_attempts(h->reader, id, 0, 10, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(attempts->len, ==, 1);
	const bh_attempt_row *a = &((bh_attempt_kept *)attempts->pdata[0])->row;
	g_assert_cmpint(a->delivery_id, ==, id);
	g_assert_cmpint(a->number, ==, 1);
	g_assert_cmpint(a->started_at, ==, NOON);
	g_assert_cmpint(a->dns, ==, 1);
	g_assert_cmpint(a->connect, ==, 20);
	g_assert_cmpint(a->tls, ==, -1);
	g_assert_cmpint(a->first_byte, ==, 3000);
	g_assert_cmpint(a->total, ==, 4000);
	g_assert_cmpstr(a->outcome, ==, given.outcome);
	g_assert_cmpstr(a->cause, ==, given.cause);
	g_assert_cmpstr(a->sentence, ==, given.sentence);
	g_assert_cmpint(a->status, ==, 500);
	g_assert_cmpstr(a->http_version, ==, given.http_version);
	g_assert_cmpstr(a->address, ==, given.address);
	g_assert_cmpstr(a->request, ==, given.request);
	g_assert_cmpstr(a->response, ==, given.response);
	g_assert_cmpmem(a->body.at, a->body.size, body, sizeof body);
	g_assert_cmpmem(a->sent.at, a->sent.size, given.sent.at, given.sent.size);
	g_assert_cmpstr(a->shape, ==, given.shape);
	house_close(h);
}

static void headers_come_back_whatever_they_hold(void)
{
	static const char *const headers[] = {
		"",
		"~",
		"~~",
		"~a",
		"no line end",
		"\n",
		"\n\n",
		"POST /",
		"POST /hook~x\nHost: ~\nContent-Length: 2\nContent-Length: 23\nContent-Type: application/json\n",
		"Content-Type: application/json; charset=utf-8\nHost",
		"HTTP/1.1 200 OK\nHTTP/1.1 200 OKAY\nDate: x\ndate: ~r\n~r",
		"X: POST /\n POST /\nwebhook-id: evt_0123456789abc\nwebhook-signature: v1,a v1,b\n",
		"caf\u00e9: ~\u00e9~\n",
	};
	house *h = house_open();
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
		note *n = note_record(id, (int)i + 1, BH_STATE_PENDING, 0, NOON);
		n->attempt.request = headers[i];
		n->attempt.response = headers[G_N_ELEMENTS(headers) - 1 - i];
		apply_and_free(h, n);
	}

	g_autoptr(GPtrArray) attempts = bh_reader_attempts(h->reader, id, 0, 100, NULL);

	g_assert_cmpuint(attempts->len, ==, G_N_ELEMENTS(headers));
	for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
		const bh_attempt_row *a = &((bh_attempt_kept *)attempts->pdata[i])->row;
		g_assert_cmpstr(a->request, ==, headers[i]);
		g_assert_cmpstr(a->response, ==, headers[G_N_ELEMENTS(headers) - 1 - i]);
	}
	house_close(h);
}

static void odd_words_among_the_facts_come_back(void)
{
	static const char *const words[] = {"", "-", "--", "a b", "%", "%41", "a:b", " ", "\t\n"};
	house *h = house_open();
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		note *n = note_record(id, (int)i + 1, BH_STATE_PENDING, 0, NOON);
		n->attempt.outcome = n->attempt.cause = n->attempt.address = n->attempt.shape = words[i];
		n->attempt.status = -1;
		n->attempt.total = G_MAXINT64;
		n->attempt.dns = G_MININT64;
		apply_and_free(h, n);
	}

	g_autoptr(GPtrArray) attempts = bh_reader_attempts(h->reader, id, 0, 100, NULL);

	g_assert_cmpuint(attempts->len, ==, G_N_ELEMENTS(words));
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		const bh_attempt_row *a = &((bh_attempt_kept *)attempts->pdata[i])->row;
		g_assert_cmpstr(a->outcome, ==, words[i]);
		g_assert_cmpstr(a->cause, ==, words[i]);
		g_assert_cmpstr(a->address, ==, words[i]);
		g_assert_cmpstr(a->shape, ==, words[i]);
		g_assert_cmpint(a->status, ==, -1);
		g_assert_cmpint(a->total, ==, G_MAXINT64);
		g_assert_cmpint(a->dns, ==, G_MININT64);
	}
	house_close(h);
}

static void attempts_are_paged_by_their_number(void)
{
	house *h = house_open();
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	delivery_in(h, 71, BH_STATE_PENDING);

	for (int number = 1; number <= 10; number++) {
		g_autoptr(note) n = note_record(id, number, BH_STATE_PENDING, number, NOON);
		apply(h, n);
	}

	int seen = 0;
	for (;;) {
		g_autoptr(GPtrArray) page = bh_reader_attempts(h->reader, id, seen, 4, NULL);
		if (page->len == 0)
			break;
		g_assert_cmpuint(page->len, <=, 4);
		for (guint i = 0; i < page->len; i++)
			g_assert_cmpint(((bh_attempt_kept *)page->pdata[i])->row.number, ==, ++seen);
	}
	g_assert_cmpint(seen, ==, 10);
	house_close(h);
}

/* --- By hand ------------------------------------------------------------------------------------------------- */

static void a_move_is_made_exactly_if_the_table_allows_it(void)
{
	house *h = house_open();

	for (size_t i = 0; i < G_N_ELEMENTS(ALL); i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(ALL); j++) {
			bh_id id = delivery_in(h, 71, ALL[i]);
			g_autoptr(note) n = note_move(id, ALL[j]);
			bool allowed = bh_state_may_move(ALL[i], ALL[j]);

			g_assert_cmpint(apply(h, n), ==, allowed ? BH_WRITE_DONE : BH_WRITE_CONFLICT);

			g_autoptr(bh_delivery) d = delivery_of(h, id);
			g_assert_cmpint(d->state, ==, allowed ? ALL[j] : ALL[i]);
		}
	}
	g_autoptr(note) unknown = note_move(4711, BH_STATE_PENDING);
	g_assert_cmpint(apply(h, unknown), ==, BH_WRITE_NOT_FOUND);
	house_close(h);
}

static void a_retry_begins_a_new_life_due_now(void)
{
	house *h = house_open();
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	g_autoptr(note) end = note_record(id, 10, BH_STATE_EXHAUSTED, 10, 0);
	g_autoptr(note) n = note_move(id, BH_STATE_PENDING);
	n->write.at = NOON + 9 * BH_DAY;
	n->write.reason = "Retried by hand.";

	apply(h, end);
	apply(h, n);

	g_autoptr(bh_delivery) d = delivery_of(h, id);
	g_assert_cmpint(d->state, ==, BH_STATE_PENDING);
	g_assert_cmpint(d->spent, ==, 0);
	g_assert_cmpint(d->attempts, ==, 10); /* the number of the last one: the next is 11 */
	g_assert_cmpint(d->due_at, ==, NOON + 9 * BH_DAY);
	g_assert_cmpint(d->created_at, ==, NOON + 9 * BH_DAY);
	g_assert_cmpint(d->ended_at, ==, 0);
	g_assert_cmpstr(d->reason, ==, "Retried by hand.");
	house_close(h);
}

static size_t count_in(house *h, bh_id webhook, bh_state state)
{
	bh_list list = {.webhooks = &webhook, .webhook_count = 1, .state = state, .limit = 1000};
	g_autoptr(GPtrArray) found = bh_reader_deliveries(h->reader, &list, NULL);

	return found->len;
}

static size_t sweep(house *h, note *n)
{
	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);
	return n->write.swept;
}

static void a_sweep_goes_in_steps_from_the_oldest(void)
{
	static const bh_state from[] = {BH_STATE_PENDING, BH_STATE_HELD};

	for (size_t i = 0; i < G_N_ELEMENTS(from); i++) {
		house *h = house_open();
		bh_id first = delivery_in(h, 71, from[i]);
		for (int k = 0; k < 5; k++)
			delivery_in(h, 71, from[i]);
		bh_id last = delivery_in(h, 71, from[i]);
		bh_id foreign = delivery_in(h, 72, from[i]);
		bh_id ended = delivery_in(h, 71, BH_STATE_DELIVERED);
		g_autoptr(note) n = note_sweep(71, from[i], BH_STATE_CANCELLED, 3);
		n->write.reason = "The webhook was removed.";
		n->write.at = NOON + 1;

		g_assert_cmpuint(sweep(h, n), ==, 3);
		g_autoptr(bh_delivery) swept = delivery_of(h, first);
		g_autoptr(bh_delivery) waits = delivery_of(h, last);
		g_assert_cmpint(swept->state, ==, BH_STATE_CANCELLED);
		g_assert_cmpint(swept->ended_at, ==, NOON + 1);
		g_assert_cmpstr(swept->reason, ==, "The webhook was removed.");
		g_assert_cmpint(waits->state, ==, from[i]);

		g_assert_cmpuint(sweep(h, n), ==, 3);
		g_assert_cmpuint(sweep(h, n), ==, 1);
		g_assert_cmpuint(sweep(h, n), ==, 0);
		g_assert_cmpuint(count_in(h, 71, BH_STATE_CANCELLED), ==, 7);
		g_autoptr(bh_delivery) other = delivery_of(h, foreign);
		g_assert_cmpint(other->state, ==, from[i]);
		g_autoptr(bh_delivery) done = delivery_of(h, ended);
		g_assert_cmpint(done->state, ==, BH_STATE_DELIVERED);
		house_close(h);
	}
}

static void a_sweep_spares_the_newest_if_asked(void)
{
	static const bh_state from[] = {BH_STATE_PENDING, BH_STATE_HELD, BH_STATE_EXHAUSTED};

	for (size_t i = 0; i < G_N_ELEMENTS(from); i++) {
		house *h = house_open();
		for (int k = 0; k < 4; k++)
			delivery_in(h, 71, from[i]);
		bh_id newest = delivery_in(h, 71, from[i]);
		bh_state to = from[i] == BH_STATE_EXHAUSTED ? BH_STATE_PENDING : BH_STATE_CANCELLED;
		g_autoptr(note) n = note_sweep(71, from[i], to, 3);
		n->write.keep_newest = true;

		g_assert_cmpuint(sweep(h, n), ==, 3);
		g_assert_cmpuint(sweep(h, n), ==, 1);
		g_assert_cmpuint(sweep(h, n), ==, 0);

		g_autoptr(bh_delivery) spared = delivery_of(h, newest);
		g_assert_cmpint(spared->state, ==, from[i]);
		house_close(h);
	}
}

static void what_was_held_comes_back_with_its_attempts_and_a_new_life(void)
{
	house *h = house_open();
	bh_id held = delivery_in(h, 71, BH_STATE_PENDING), exhausted = delivery_in(h, 71, BH_STATE_PENDING);
	g_autoptr(note) tried = note_record(held, 3, BH_STATE_PENDING, 3, NOON);
	g_autoptr(note) hold = note_move(held, BH_STATE_HELD);
	g_autoptr(note) end = note_record(exhausted, 10, BH_STATE_EXHAUSTED, 10, 0);
	apply(h, tried);
	apply(h, hold);
	apply(h, end);

	for (int i = 0; i < 2; i++) {
		g_autoptr(note) n = note_sweep(71, i ? BH_STATE_EXHAUSTED : BH_STATE_HELD, BH_STATE_PENDING, 10);
		n->write.at = NOON + 6 * BH_DAY;
		n->write.due_at = NOON + 6 * BH_DAY + BH_SECOND;
		g_assert_cmpuint(sweep(h, n), ==, 1);
	}

	g_autoptr(bh_delivery) d = delivery_of(h, held);
	g_assert_cmpint(d->state, ==, BH_STATE_PENDING);
	g_assert_cmpint(d->spent, ==, 3);
	g_assert_cmpint(d->created_at, ==, NOON + 6 * BH_DAY);
	g_assert_cmpint(d->due_at, ==, NOON + 6 * BH_DAY + BH_SECOND);
	g_autoptr(bh_delivery) again = delivery_of(h, exhausted);
	g_assert_cmpint(again->spent, ==, 0);
	house_close(h);
}

static void a_sweep_that_the_table_does_not_allow_is_refused(void)
{
	house *h = house_open();
	delivery_in(h, 71, BH_STATE_DELIVERED);
	g_autoptr(note) n = note_sweep(71, BH_STATE_DELIVERED, BH_STATE_PENDING, 10);
	g_autoptr(note) same = note_sweep(71, BH_STATE_PENDING, BH_STATE_PENDING, 10);

	g_assert_cmpint(apply(h, n), ==, BH_WRITE_CONFLICT);
	g_assert_cmpint(apply(h, same), ==, BH_WRITE_CONFLICT);
	g_assert_cmpuint(n->write.swept, ==, 0);
	house_close(h);
}

/* --- What waits ---------------------------------------------------------------------------------------------- */

static void what_waits_is_read_in_order_and_in_pages(void)
{
	house *h = house_open();
	static const bh_usec dues[] = {5, 3, 3, 9, 3, 1, 5, 5, 3, 2};
	bh_usec last_due = 0;
	bh_id last_id = 0;
	size_t seen = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(dues); i++) {
		g_autoptr(note) n = note_event((bh_id[]){71, 72, 0});
		n->made[0]->due_at = dues[i];
		apply(h, n);
	}
	delivery_in(h, 71, BH_STATE_HELD);
	delivery_in(h, 71, BH_STATE_DELIVERED);

	for (;;) {
		g_autoptr(GArray) page = g_array_new(FALSE, FALSE, sizeof(bh_waiting));
		g_autoptr(GError) error = NULL;
		g_assert_true(bh_reader_waiting(h->reader, 71, last_due, last_id, 3, page, &error));
		g_assert_no_error(error);
		g_assert_cmpuint(page->len, <=, 3);
		if (page->len == 0)
			break;
		for (guint i = 0; i < page->len; i++, seen++) {
			bh_waiting *w = &g_array_index(page, bh_waiting, i);
			g_assert_true(w->due_at > last_due || (w->due_at == last_due && w->delivery > last_id));
			g_assert_cmpint(w->webhook, ==, 71);
			last_due = w->due_at;
			last_id = w->delivery;
		}
	}
	g_assert_cmpuint(seen, ==, G_N_ELEMENTS(dues));
	house_close(h);
}

static void a_waiting_delivery_tells_what_its_lane_needs(void)
{
	house *h = house_open();
	g_autoptr(note) n = note_event(ONE_WEBHOOK);
	n->made[0]->is_test = true;
	g_autoptr(note) tried = note_record(n->made[0]->id, 4, BH_STATE_PENDING, 3, NOON + 7);
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(bh_waiting));

	apply(h, n);
	apply(h, tried);

	g_assert_true(bh_reader_waiting(h->reader, 71, 0, 0, 10, found, NULL));
	g_assert_cmpuint(found->len, ==, 1);
	bh_waiting *w = &g_array_index(found, bh_waiting, 0);
	g_assert_cmpint(w->delivery, ==, n->made[0]->id);
	g_assert_cmpint(w->event, ==, n->write.event->id);
	g_assert_cmpint(w->due_at, ==, NOON + 7);
	g_assert_cmpint(w->created_at, ==, NOON);
	g_assert_cmpint(w->spent, ==, 3);
	g_assert_cmpint(w->attempts, ==, 4);
	g_assert_true(w->is_test);
	house_close(h);
}

static void webhooks_that_wait_are_found_once_each(void)
{
	house *h = house_open();
	g_autoptr(GArray) pending = g_array_new(FALSE, FALSE, sizeof(bh_id));
	g_autoptr(GArray) held = g_array_new(FALSE, FALSE, sizeof(bh_id));
	for (int i = 0; i < 3; i++) {
		delivery_in(h, 75, BH_STATE_PENDING);
		delivery_in(h, 71, BH_STATE_PENDING);
		delivery_in(h, 72, BH_STATE_HELD);
		delivery_in(h, 73, BH_STATE_EXHAUSTED);
		delivery_in(h, 75, BH_STATE_HELD);
		delivery_in(h, 74, BH_STATE_DELIVERED);
	}

	g_assert_true(bh_reader_webhooks_waiting(h->reader, BH_STATE_PENDING, pending, NULL));
	g_assert_true(bh_reader_webhooks_waiting(h->reader, BH_STATE_HELD, held, NULL));

	g_assert_cmpmem(pending->data, pending->len * sizeof(bh_id), ((bh_id[]){71, 75}), 2 * sizeof(bh_id));
	g_assert_cmpmem(held->data, held->len * sizeof(bh_id), ((bh_id[]){72, 75}), 2 * sizeof(bh_id));
	house_close(h);
}

static void counting_stops_at_the_given_number(void)
{
	house *h = house_open();
	size_t count = 0;
	for (int i = 0; i < 7; i++) {
		delivery_in(h, 71, BH_STATE_PENDING);
		delivery_in(h, 72, BH_STATE_HELD);
	}

	g_assert_true(bh_reader_count(h->reader, 71, BH_STATE_PENDING, 100, &count, NULL));
	g_assert_cmpuint(count, ==, 7);
	g_assert_true(bh_reader_count(h->reader, 72, BH_STATE_HELD, 5, &count, NULL));
	g_assert_cmpuint(count, ==, 5);
	g_assert_true(bh_reader_count(h->reader, 71, BH_STATE_HELD, 5, &count, NULL));
	g_assert_cmpuint(count, ==, 0);
	house_close(h);
}

void add_delivery_tests(void)
{
	g_test_add_func("/store/state/moves", the_table_of_moves_is_walked_row_by_row);
	g_test_add_func("/store/state/names", names_of_states_can_be_read_back);
	g_test_add_func("/store/delivery/comes_back_as_given", a_delivery_comes_back_as_it_was_given);
	g_test_add_func("/store/record/moves_what_waits", a_record_moves_only_what_still_waits);
	g_test_add_func("/store/record/unknown", a_record_of_an_unknown_delivery_is_not_kept);
	g_test_add_func("/store/record/without_attempt", a_record_without_an_attempt_moves_alone);
	g_test_add_func("/store/record/with_its_event", an_event_and_its_first_record_fit_into_one_batch);
	g_test_add_func("/store/record/twice", a_record_given_twice_is_kept_once);
	g_test_add_func("/store/attempt/comes_back_as_given", an_attempt_comes_back_as_it_was_given);
	g_test_add_func("/store/attempt/headers", headers_come_back_whatever_they_hold);
	g_test_add_func("/store/attempt/odd_words", odd_words_among_the_facts_come_back);
	g_test_add_func("/store/attempt/pages", attempts_are_paged_by_their_number);
	g_test_add_func("/store/move/table", a_move_is_made_exactly_if_the_table_allows_it);
	g_test_add_func("/store/move/retry", a_retry_begins_a_new_life_due_now);
	g_test_add_func("/store/sweep/steps", a_sweep_goes_in_steps_from_the_oldest);
	g_test_add_func("/store/sweep/newest", a_sweep_spares_the_newest_if_asked);
	g_test_add_func("/store/sweep/back_to_pending", what_was_held_comes_back_with_its_attempts_and_a_new_life);
	g_test_add_func("/store/sweep/not_allowed", a_sweep_that_the_table_does_not_allow_is_refused);
	g_test_add_func("/store/waiting/order", what_waits_is_read_in_order_and_in_pages);
	g_test_add_func("/store/waiting/facts", a_waiting_delivery_tells_what_its_lane_needs);
	g_test_add_func("/store/waiting/webhooks", webhooks_that_wait_are_found_once_each);
	g_test_add_func("/store/waiting/count", counting_stops_at_the_given_number);
}
