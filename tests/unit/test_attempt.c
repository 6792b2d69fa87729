/* One attempt and what follows, through the whole delivery room. */
#include "engine_house.h"

static const act POLITE[] = {
	{READ}, {SEND, "HTTP/1.1 200 OK\r\nX-Seen: yes\r\nContent-Length: 4\r\n\r\nfine"}, {AGAIN}};
static const act MOODY[] = {{READ},
			    {SEND, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"},
			    {READ},
			    {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
			    {HOLD}};
static const act SILENT[] = {{READ}, {HOLD}};
static const act GONE[] = {{READ}, {SEND, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};
static const act LATE[] = {{READ}, {WAIT}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};

static const char *const QUICK[] = {"retry_schedule=10ms,10ms", "retry_jitter_first=0s", "retry_jitter_percent=0",
				    NULL};

/* --- tests ---------------------------------------------------------------------------------------- */

static void a_delivery_is_sent_and_its_attempt_kept(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	start_loops(h);
	bh_id id = hand_over(h);
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_DELIVERED);
	g_assert_cmpint(d->attempts, ==, 1);

	g_autoptr(GPtrArray) owner = NULL;
	bh_attempt_row *a = attempt(h, id, 1, &owner);
	g_assert_cmpstr(a->outcome, ==, "delivered");
	g_assert_cmpint(a->status, ==, 200);
	g_assert_cmpint(a->total, >, 0);
	g_assert_true(bh_span_is(a->body, "fine"));
	g_assert_nonnull(strstr(a->response, "X-Seen: yes"));
	g_assert_true(g_str_has_prefix(a->request, "POST /hook?token=1\nHost: 127.0.0.1:"));
	close_house(h);
}

static void the_request_is_signed_and_carries_the_owners_headers(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	start_loops(h);
	bh_id id = hand_over(h);
	bh_delivery_free(await_state(h, id, BH_STATE_DELIVERED));

	const char *text = request(h, 1);
	g_autofree char *event = header_of(text, "webhook-id"), *at = header_of(text, "webhook-timestamp"),
			*signature = header_of(text, "webhook-signature"), *extra = header_of(text, "X-Room-Key");
	g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
	const char *body = strstr(text, "\r\n\r\n") + 4;
	g_assert_cmpint(bh_signature_verify(bh_snapshot_webhook(now, WEBHOOK)->secret, event, at, signature,
					    bh_span_of(body), bh_clock_wall() / BH_SECOND, 300),
			==, BH_VERIFIED);
	g_assert_cmpstr(extra, ==, "s3cr3t-1");
	g_assert_null(strstr(text, "Expect:"));

	g_autoptr(GPtrArray) owner = NULL;
	bh_attempt_row *a = attempt(h, id, 1, &owner);
	g_assert_null(strstr(a->request, "s3cr3t-1"));
	g_assert_nonnull(strstr(a->request, "X-Room-Key: ***"));
	close_house(h);
}

static void a_failure_is_tried_again_with_the_same_id_and_body(void)
{
	house *h = open_house((const act *const[]){MOODY, NULL}, QUICK);
	start_loops(h);
	bh_id id = hand_over(h);
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_DELIVERED);
	g_assert_cmpint(d->attempts, ==, 2);
	g_autofree char *first = header_of(request(h, 1), "webhook-id"),
			*second = header_of(request(h, 2), "webhook-id");
	g_assert_cmpstr(first, ==, second);
	g_assert_cmpstr(strstr(request(h, 1), "\r\n\r\n"), ==, strstr(request(h, 2), "\r\n\r\n"));
	close_house(h);
}

static void what_waits_for_a_removed_webhook_is_cancelled(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_id ids[3];
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = hand_over(h); /* the loops sleep still */
	change(h, &(bh_change){.kind = BH_CHANGE_WEBHOOK_REMOVE, .id = WEBHOOK});
	start_loops(h);
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		bh_delivery_free(await_state(h, ids[i], BH_STATE_CANCELLED));
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 0);
	close_house(h);
}

static void a_disabled_webhook_holds_and_an_enabled_one_sends(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_id id = hand_over(h);
	disable_webhook(h, true);
	start_loops(h);
	bh_delivery_free(await_state(h, id, BH_STATE_HELD));
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 0);

	disable_webhook(h, false);
	bh_write release = {.kind = BH_WRITE_SWEEP,
			    .webhook_id = WEBHOOK,
			    .from = BH_STATE_HELD,
			    .state = BH_STATE_PENDING,
			    .limit = 100,
			    .at = bh_clock_wall()};
	bh_write *writes[] = {&release};
	g_assert_true(write_all(h, writes, 1, NULL));
	bh_delivery_free(await_state(h, id, BH_STATE_DELIVERED));
	close_house(h);
}

static void move_by_hand(house *h, bh_id delivery, bh_state state)
{
	g_autoptr(GError) error = NULL;
	bh_write move = {.kind = BH_WRITE_MOVE,
			 .delivery_id = delivery,
			 .webhook_id = WEBHOOK,
			 .state = state,
			 .at = bh_clock_wall()};
	bh_write *writes[] = {&move};
	g_assert_true(write_all(h, writes, 1, &error));
	g_assert_no_error(error);
	g_assert_cmpint(move.result, ==, BH_WRITE_DONE);
}

static void await_metric(house *h, const char *line)
{
	for (int i = 0; i < 60000; i++) {
		g_autoptr(GString) text = g_string_new(NULL);
		bh_loops_metrics(h->loops, text);
		if (strstr(text->str, line))
			return;
		g_usleep(2000);
	}
	g_assert_not_reached();
}

static void one_that_waits_in_memory_and_is_cancelled_leaves_it(void)
{
	static const char *const slow[] = {"retry_schedule=1h", NULL};
	house *h = open_house((const act *const[]){MOODY, NULL}, slow);
	start_loops(h);
	bh_id id = hand_over(h);
	await_metric(h, "\nbellhop_window_deliveries 1\n");
	move_by_hand(h, id, BH_STATE_CANCELLED);
	await_metric(h, "\nbellhop_window_deliveries 0\n");
	close_house(h);
}

static void one_that_is_cancelled_in_flight_is_not_tried_again(void)
{
	static const act fails_late[] = {
		{READ}, {WAIT}, {SEND, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};
	static const char *const at_once[] = {"retry_schedule=0s,0s,0s", "retry_jitter_first=0s",
					      "in_flight_per_webhook=1", NULL};
	house *h = open_house((const act *const[]){fails_late, NULL}, at_once);
	start_loops(h);
	bh_id cancelled = hand_over(h);
	await_requests(h, 1);
	move_by_hand(h, cancelled, BH_STATE_CANCELLED);
	bh_id next = hand_over(h); /* takes turns with whatever else is due */
	for (int i = 0; i < 10; i++)
		receiver_go(h->receiver);
	bh_delivery_free(await_state(h, next, BH_STATE_EXHAUSTED));

	g_autoptr(bh_delivery) d = look(h, cancelled);
	g_assert_cmpint(d->state, ==, BH_STATE_CANCELLED);
	g_assert_cmpint(d->attempts, ==, 1);
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 1 + 4);
	close_house(h);
}

static void a_410_ends_the_delivery_and_switches_the_webhook_off(void)
{
	house *h = open_house((const act *const[]){GONE, NULL}, QUICK);
	start_loops(h);
	bh_id id = hand_over(h);
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_GONE);
	g_assert_nonnull(strstr(d->reason, "410"));
	bh_id next = hand_over(h); /* as if the watcher had judged before the change */
	bh_delivery_free(await_state(h, next, BH_STATE_HELD));
	g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
	g_assert_cmpint(bh_snapshot_webhook(now, WEBHOOK)->disabled, ==, BH_DISABLED_BY_410);
	close_house(h);
}

static void a_410_of_where_the_webhook_no_longer_leads_leaves_it_on(void)
{
	static const act moves[] = {{READ},
				    {WAIT},
				    {SEND, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"},
				    {READ},
				    {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
				    {HOLD}};
	house *h = open_house((const act *const[]){moves, NULL}, QUICK);
	start_loops(h);
	bh_id old = hand_over(h);
	await_requests(h, 1);

	g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
	g_autoptr(bh_webhook) moved = bh_webhook_copy(bh_snapshot_webhook(now, WEBHOOK));
	moved->revision++;
	g_free(moved->settings);
	moved->settings = g_strdup_printf("{\"url\":\"http://127.0.0.1:%u/new\"}", h->receiver->port);
	change(h, &(bh_change){.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = moved});
	receiver_go(h->receiver);
	bh_delivery_free(await_state(h, old, BH_STATE_GONE));

	bh_delivery_free(await_state(h, hand_over(h), BH_STATE_DELIVERED));
	g_assert_true(g_str_has_prefix(request(h, 2), "POST /new "));
	close_house(h);
}

static void a_stop_waits_for_the_answer_under_way(void)
{
	house *h = open_house((const act *const[]){LATE, NULL}, QUICK);
	start_loops(h);
	bh_id id = hand_over(h);
	await_requests(h, 1);
	receiver_go(h->receiver);
	close_engine(h);
	open_engine(h);
	g_autoptr(bh_delivery) d = look(h, id);
	g_assert_cmpint(d->state, ==, BH_STATE_DELIVERED);
	g_assert_cmpint(d->attempts, ==, 1);
	close_house(h);
}

static void what_was_in_flight_at_an_unclean_stop_is_told_and_sent_again(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_id id = hand_over(h), other = hand_over(h);
	close_engine(h);

	/* As a killed process leaves it. */
	g_autofree char *path = g_build_filename(h->folder, "flight", NULL);
	g_autoptr(GArray) left = NULL;
	bh_flight *flight = bh_flight_open(path, 10, &left, NULL);
	g_assert_cmpuint(left->len, ==, 0);
	bh_flight_note(flight, 3, (bh_flight_entry){id, 1});
	bh_flight_close(flight);

	open_engine(h);
	start_loops(h);
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_DELIVERED);
	g_autoptr(GPtrArray) owner = NULL;
	bh_attempt_row *a = attempt(h, id, 1, &owner);
	g_assert_cmpstr(a->outcome, ==, "unknown");
	g_assert_cmpstr(a->cause, ==, "crash");
	g_assert_cmpint(d->attempts, ==, 2);
	g_assert_cmpint(d->spent, ==, 1); /* what nobody saw fail spends nothing */
	g_autoptr(bh_delivery) o = await_state(h, other, BH_STATE_DELIVERED);
	g_assert_cmpint(o->attempts, ==, 1);
	close_house(h);
}

/* Dies as soon as the attempt is on record, and before its place in the flight record is free. */
static void an_attempt_on_record_is_not_told_as_unknown(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_id id = hand_over(h);
	disable_webhook(h, true); /* so that nothing is sent meanwhile */
	g_autofree char *path = g_build_filename(h->folder, "flight", NULL);
	for (int64_t attempt = 1; attempt <= 2; attempt++) {
		close_engine(h);
		g_autoptr(GArray) left = NULL;
		bh_flight *flight = bh_flight_open(path, 10, &left, NULL);
		bh_flight_note(flight, 0, (bh_flight_entry){id, 1}); /* the first, each time */
		bh_flight_close(flight);
		open_engine(h);
		g_assert_true(bh_loops_record_left(h->loops, h->journal, NULL));
	}
	g_autoptr(bh_delivery) d = look(h, id);
	g_assert_cmpint(d->attempts, ==, 1);
	close_house(h);
}

static void a_delivery_in_flight_at_three_unclean_stops_is_set_aside(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	g_autofree char *path = g_build_filename(h->folder, "flight", NULL);
	bh_id id = hand_over(h);
	disable_webhook(h, true); /* so that nothing is sent meanwhile */
	for (int stops = 1; stops <= 3; stops++) {
		g_autoptr(bh_delivery) before = look(h, id);
		g_assert_cmpint(before->state, ==, BH_STATE_PENDING);
		close_engine(h);
		g_autoptr(GArray) left = NULL;
		bh_flight *flight = bh_flight_open(path, 10, &left, NULL);
		bh_flight_note(flight, 0, (bh_flight_entry){id, before->attempts + 1});
		bh_flight_close(flight);
		open_engine(h);
		g_assert_true(bh_loops_record_left(h->loops, h->journal, NULL));
	}
	g_autoptr(bh_delivery) d = look(h, id);
	g_assert_cmpint(d->state, ==, BH_STATE_EXHAUSTED);
	g_assert_cmpint(d->attempts, ==, 3);
	g_assert_nonnull(strstr(d->reason, "third time"));
	close_house(h);
}

static void what_is_on_record_is_not_counted_again_when_the_start_dies_too(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	g_autofree char *path = g_build_filename(h->folder, "flight", NULL);
	bh_id first = hand_over(h), second = hand_over(h);
	close_engine(h);
	g_autoptr(GArray) none = NULL, both = NULL, rest = NULL;
	bh_flight *flight = bh_flight_open(path, 10, &none, NULL);
	bh_flight_note(flight, 4, (bh_flight_entry){first, 1});
	bh_flight_note(flight, 7, (bh_flight_entry){second, 3});
	bh_flight_close(flight);

	/* A start that dies when one of the two is on record. */
	flight = bh_flight_open(path, 10, &both, NULL);
	g_assert_cmpuint(both->len, ==, 2);
	bh_flight_settle(flight, 0);
	bh_flight_close(flight);

	flight = bh_flight_open(path, 10, &rest, NULL);
	g_assert_cmpuint(rest->len, ==, 1);
	g_assert_cmpint(g_array_index(rest, bh_flight_entry, 0).delivery, ==, second);
	g_assert_cmpint(g_array_index(rest, bh_flight_entry, 0).attempt, ==, 3);
	bh_flight_close(flight);
	open_engine(h);
	close_house(h);
}

/* What a disk does that cannot read some of its pages. */
static void hide_events(house *h, bool hidden)
{
	g_autofree char *path = g_build_filename(h->folder, "bellhop.db", NULL);
	sqlite3 *db;
	g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
	sqlite3_busy_timeout(db, 60000);
	const char *sql = hidden ? "ALTER TABLE event RENAME TO hidden" : "ALTER TABLE hidden RENAME TO event";
	g_assert_cmpint(sqlite3_exec(db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
}

static void an_event_that_cannot_be_read_spends_no_attempt_and_is_sent_when_it_can(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_id id = hand_over(h);
	g_autoptr(bh_delivery) before = look(h, id);
	hide_events(h, true);
	start_loops(h);
	for (bh_usec due = before->due_at; due == before->due_at;) {
		g_autoptr(bh_delivery) now = look(h, id);
		g_assert_cmpint(now->state, ==, BH_STATE_PENDING);
		g_assert_cmpint(now->attempts, ==, 0);
		due = now->due_at;
	}
	hide_events(h, false);
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_DELIVERED);
	g_assert_cmpint(d->attempts, ==, 1);
	g_assert_cmpint(d->spent, ==, 1);
	close_house(h);
}

static void a_silent_receiver_costs_the_time_out_and_no_more(void)
{
	const char *const settings[] = {"retry_schedule=10ms", "total_timeout=3s", "retry_jitter_first=0s", NULL};
	house *h = open_house((const act *const[]){SILENT, POLITE, NULL}, settings);
	start_loops(h);
	bh_id id = hand_over(h);
	bh_delivery_free(await_state(h, id, BH_STATE_DELIVERED));
	g_autoptr(GPtrArray) owner = NULL;
	bh_attempt_row *a = attempt(h, id, 1, &owner);
	g_assert_cmpstr(a->cause, ==, "timeout");
	g_assert_cmpint(a->total, >=, 3 * BH_SECOND);
	close_house(h);
}

static void records_that_hold_up_the_sending_wake_it_when_they_are_durable(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	close_engine(h);
	h->recording_max = 1;
	open_engine(h);
	bh_id ids[20];
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = hand_over(h);
	bh_mono started = bh_clock_mono();
	start_loops(h);
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		bh_delivery_free(await_state(h, ids[i], BH_STATE_DELIVERED));
	/* Not by the slow look of each minute, which would find them too. */
	g_assert_cmpint(bh_mono_since(bh_clock_mono(), started), <, BH_MINUTE);
	close_house(h);
}

static void the_last_attempt_exhausts(void)
{
	static const act never[] = {{READ}, {SEND, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};
	house *h = open_house((const act *const[]){never, NULL}, QUICK);
	start_loops(h);
	bh_id id = hand_over(h);
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_EXHAUSTED);
	g_assert_cmpint(d->attempts, ==, 3);
	g_assert_nonnull(d->reason);
	close_house(h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_DEFAULT);
#define TEST(f) g_test_add_func("/attempt/" #f, f)
	TEST(a_delivery_is_sent_and_its_attempt_kept);
	TEST(the_request_is_signed_and_carries_the_owners_headers);
	TEST(a_failure_is_tried_again_with_the_same_id_and_body);
	TEST(what_waits_for_a_removed_webhook_is_cancelled);
	TEST(a_disabled_webhook_holds_and_an_enabled_one_sends);
	TEST(one_that_waits_in_memory_and_is_cancelled_leaves_it);
	TEST(one_that_is_cancelled_in_flight_is_not_tried_again);
	TEST(a_410_ends_the_delivery_and_switches_the_webhook_off);
	TEST(a_410_of_where_the_webhook_no_longer_leads_leaves_it_on);
	TEST(a_stop_waits_for_the_answer_under_way);
	TEST(what_was_in_flight_at_an_unclean_stop_is_told_and_sent_again);
	TEST(an_attempt_on_record_is_not_told_as_unknown);
	TEST(a_delivery_in_flight_at_three_unclean_stops_is_set_aside);
	TEST(what_is_on_record_is_not_counted_again_when_the_start_dies_too);
	TEST(an_event_that_cannot_be_read_spends_no_attempt_and_is_sent_when_it_can);
	TEST(a_silent_receiver_costs_the_time_out_and_no_more);
	TEST(records_that_hold_up_the_sending_wake_it_when_they_are_durable);
	TEST(the_last_attempt_exhausts);
	return g_test_run();
}
