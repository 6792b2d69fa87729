/* What the delivery room does beside single attempts: order, coalescing, runs of failures, holding, recovering. */
#include "engine_house.h"

static const act POLITE[] = {{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};
static const act ANGRY[] = {{READ}, {SEND, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};
static const act LATE[] = {{READ}, {WAIT}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};

static const char *const QUICK[] = {"retry_schedule=10ms,10ms", "retry_jitter_first=0s", "retry_jitter_percent=0",
				    "look_every=10ms", NULL};

static bh_streak streak_of(house *h)
{
	g_autoptr(GError) error = NULL;
	bh_streak streak;
	g_assert_true(bh_reader_streak(h->reader, WEBHOOK, &streak, &error));
	g_assert_no_error(error);
	return streak;
}

static bh_disabled_cause disabled_cause(house *h)
{
	g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
	return bh_snapshot_webhook(now, WEBHOOK)->disabled;
}

static size_t count_in(house *h, bh_state state)
{
	g_autoptr(GError) error = NULL;
	size_t count = 0;
	g_assert_true(bh_reader_count(h->reader, WEBHOOK, state, 1000, &count, &error));
	return count;
}

#define AWAIT(condition) \
	do { \
		int left_ = 60000; \
		while (!(condition) && --left_ > 0) \
			g_usleep(2000); \
		g_assert_cmpint(left_, >, 0); \
	} while (0)

/* --- order -------------------------------------------------------------------------------------------- */

static void deliveries_with_one_key_go_one_after_the_other(void)
{
	house *h = open_house((const act *const[]){LATE, LATE, LATE, NULL}, QUICK);
	bh_id ids[4];
	for (size_t i = 0; i < 3; i++)
		ids[i] = hand_over_as(h, &(wish){.order_key = "41"});
	ids[3] = hand_over_as(h, &(wish){.order_key = "42"});
	start_loops(h);
	await_requests(h, 2); /* the first of either key */
	g_autoptr(bh_delivery) second = look(h, ids[1]);
	g_assert_cmpint(second->due_at, ==, BH_DUE_BLOCKED);
	g_assert_cmpint(second->sequence, ==, 2);
	for (size_t i = 0; i < 8; i++)
		receiver_go(h->receiver);
	for (size_t i = 0; i < 4; i++)
		bh_delivery_free(await_state(h, ids[i], BH_STATE_DELIVERED));
	g_assert_nonnull(strstr(request(h, 1), "\"sequence\":"));
	close_house(h);
}

static void what_fails_for_good_lets_the_next_one_follow(void)
{
	house *h = open_house((const act *const[]){ANGRY, NULL}, QUICK);
	start_loops(h);
	bh_id first = hand_over_as(h, &(wish){.order_key = "41"}), second = hand_over_as(h, &(wish){.order_key = "41"});
	g_autoptr(bh_delivery) a = await_state(h, first, BH_STATE_EXHAUSTED);
	g_autoptr(bh_delivery) b = await_state(h, second, BH_STATE_EXHAUSTED);
	g_assert_cmpint(b->attempts, ==, 3);
	close_house(h);
}

/* --- coalescing ----------------------------------------------------------------------------------------- */

/* The delivery that was sent in place of this one: whose place it took may have given way in turn. */
static bh_id sent_for(house *h, const bh_delivery *coalesced)
{
	bh_id id = coalesced->superseded_by;
	for (;;) {
		g_autoptr(bh_delivery) d = look(h, id);
		g_assert_cmpint(d->id, >, coalesced->id);
		if (d->state != BH_STATE_COALESCED)
			return id;
		id = d->superseded_by;
	}
}

static void of_one_coalescing_key_only_the_newest_is_sent(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_webhook *w = edit_webhook(h);
	w->coalesce = 50 * BH_MILLISECOND;
	put_webhook(h, w);
	bh_id ids[5], other;
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = hand_over_as(h, &(wish){.coalesce_key = "price 12", .delay = 50 * BH_MILLISECOND});
	other = hand_over_as(h, &(wish){.coalesce_key = "price 13", .delay = 50 * BH_MILLISECOND});
	start_loops(h);
	bh_delivery_free(await_state(h, ids[4], BH_STATE_DELIVERED));
	bh_delivery_free(await_state(h, other, BH_STATE_DELIVERED));
	for (size_t i = 0; i < 4; i++) {
		g_autoptr(bh_delivery) d = await_state(h, ids[i], BH_STATE_COALESCED);
		g_assert_cmpint(sent_for(h, d), ==, ids[4]);
		g_assert_cmpint(d->attempts, ==, 0);
	}
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 2);
	close_house(h);
}

static void a_steady_stream_is_thinned_to_one_a_window(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_webhook *w = edit_webhook(h);
	w->coalesce = 500 * BH_MILLISECOND;
	put_webhook(h, w);
	start_loops(h);
	bh_id first = 0, last = 0;
	bh_usec began = bh_clock_wall();
	while (bh_clock_wall() - began < 2 * BH_SECOND) {
		last = hand_over_as(h, &(wish){.coalesce_key = "price 12", .delay = 500 * BH_MILLISECOND});
		first = first ? first : last;
		g_usleep(10000);
	}
	bh_usec took = bh_clock_wall() - began;
	bh_delivery_free(await_state(h, last, BH_STATE_DELIVERED));
	bh_delivery_free(await_state(h, first, BH_STATE_COALESCED));
	g_assert_cmpuint(receiver_requests(h->receiver), <=, (guint)(took / (500 * BH_MILLISECOND)) + 2);
	close_house(h);
}

static void what_waited_for_a_retry_gives_way_to_what_was_delivered(void)
{
	static const act MOODY[] = {{READ},
				    {SEND, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"},
				    {READ},
				    {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
				    {HOLD}};
	const char *const soon[] = {"retry_schedule=1s", "retry_jitter_first=0s", NULL};
	house *h = open_house((const act *const[]){MOODY, NULL}, soon);
	bh_webhook *w = edit_webhook(h);
	w->coalesce = BH_MILLISECOND;
	put_webhook(h, w);
	start_loops(h);
	bh_id old = hand_over_as(h, &(wish){.coalesce_key = "price 12"});
	await_requests(h, 1);
	bh_id newer = hand_over_as(h, &(wish){.coalesce_key = "price 12"});
	bh_delivery_free(await_state(h, newer, BH_STATE_DELIVERED));
	g_autoptr(bh_delivery) d = await_state(h, old, BH_STATE_COALESCED);
	g_assert_cmpint(d->superseded_by, ==, newer);
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 2);
	close_house(h);
}

static void coalescing_that_was_switched_off_sends_all(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_id first = hand_over_as(h, &(wish){.coalesce_key = "price 12"}),
	      second = hand_over_as(h, &(wish){.coalesce_key = "price 12"});
	start_loops(h);
	bh_delivery_free(await_state(h, first, BH_STATE_DELIVERED));
	bh_delivery_free(await_state(h, second, BH_STATE_DELIVERED));
	close_house(h);
}

/* --- runs of failures -------------------------------------------------------------------------------------- */

static const char *const SOON[] = {"retry_schedule=10ms,10ms", "retry_jitter_first=0s",
				   "retry_jitter_percent=0",   "look_every=10ms",
				   "disable_after=1s",         "disable_gap=200ms",
				   "failing_warn_after=100ms", "disable_warn_before=500ms",
				   "breaker_attempts=1000000", NULL};

static void long_failure_disables_and_holds(void)
{
	house *h = open_house((const act *const[]){ANGRY, NULL}, SOON);
	start_loops(h);
	bh_id last = 0;
	while (disabled_cause(h) == BH_ENABLED) {
		last = hand_over(h);
		g_usleep(20000);
	}
	g_assert_cmpint(disabled_cause(h), ==, BH_DISABLED_BY_FAILURE);
	bh_id held = hand_over(h);
	bh_delivery_free(await_state(h, held, BH_STATE_HELD));
	AWAIT(streak_of(h).failing_since == 0); /* switched on again, it begins anew */
	bh_delivery_free(look(h, last));
	close_house(h);
}

static void a_run_of_failures_survives_a_restart_and_a_success_ends_it(void)
{
	house *h = open_house((const act *const[]){ANGRY, NULL}, QUICK);
	start_loops(h);
	bh_id id = hand_over(h);
	bh_delivery_free(await_state(h, id, BH_STATE_EXHAUSTED));
	bh_streak before = streak_of(h);
	g_assert_cmpint(before.failing_since, >, 0);
	g_assert_cmpint(before.first_exhausted, >, 0);
	close_engine(h);

	receiver_stop(h->receiver);
	h->receiver = receiver_start((const act *const[]){ANGRY, NULL});
	open_engine(h);
	start_loops(h);
	bh_streak after = streak_of(h);
	g_assert_cmpint(after.failing_since, ==, before.failing_since);
	close_house(h);
}

static void a_success_ends_the_run(void)
{
	static const act MOODY[] = {{READ},
				    {SEND, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"},
				    {READ},
				    {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
				    {HOLD}};
	house *h = open_house((const act *const[]){MOODY, NULL}, QUICK);
	start_loops(h);
	bh_id id = hand_over(h);
	bh_delivery_free(await_state(h, id, BH_STATE_DELIVERED));
	g_assert_cmpint(streak_of(h).failing_since, ==, 0);
	close_house(h);
}

/* --- holding ---------------------------------------------------------------------------------------------- */

static void what_is_held_too_long_or_too_many_is_set_aside(void)
{
	const char *const few[] = {"look_every=10ms", "held_max=3", NULL};
	house *h = open_house((const act *const[]){POLITE, NULL}, few);
	disable_webhook(h, true);
	bh_id ids[5];
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = hand_over(h);
	start_loops(h);
	AWAIT(count_in(h, BH_STATE_HELD) == 3);
	for (size_t i = 0; i < 2; i++) {
		g_autoptr(bh_delivery) d = await_state(h, ids[i], BH_STATE_EXHAUSTED);
		g_assert_nonnull(d->reason);
	}
	close_house(h);

	const char *const brief[] = {"look_every=10ms", "held_span=1s", NULL};
	h = open_house((const act *const[]){POLITE, NULL}, brief);
	disable_webhook(h, true);
	bh_id id = hand_over(h);
	start_loops(h);
	bh_delivery_free(await_state(h, id, BH_STATE_EXHAUSTED));
	close_house(h);
}

/* Both limits are passed, but without those that are too old there are not too many. */
static void what_was_held_too_long_does_not_count_as_too_many(void)
{
	const char *const both[] = {"look_every=10ms", "held_max=3", "held_span=1s", NULL};
	house *h = open_house((const act *const[]){POLITE, NULL}, both);
	disable_webhook(h, true);
	bh_id ids[7];
	for (size_t i = 0; i < 4; i++)
		ids[i] = hand_over(h);
	bh_mono old = bh_mono_add(bh_clock_mono(), BH_SECOND);
	AWAIT(bh_mono_reached(bh_clock_mono(), old));
	for (size_t i = 4; i < G_N_ELEMENTS(ids); i++)
		ids[i] = hand_over(h);
	start_loops(h);
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		g_autoptr(bh_delivery) d = await_state(h, ids[i], BH_STATE_EXHAUSTED);
		g_assert_true(g_str_has_prefix(d->reason, "It was held for as long"));
	}
	close_house(h);
}

static void what_is_held_ends_though_the_breaker_is_open(void)
{
	const char *const dead[] = {"look_every=10ms",    "held_span=1s",   "breaker_attempts=1",
				    "breaker_failures=1", "probe_first=1h", NULL};
	house *h = open_house((const act *const[]){ANGRY, NULL}, dead);
	start_loops(h);
	disable_webhook(h, true);
	bh_id held = hand_over(h);
	bh_delivery_free(await_state(h, held, BH_STATE_HELD));
	disable_webhook(h, false); /* what it holds is kept */
	hand_over(h);
	await_requests(h, 1); /* and opens the breaker: from now on each look ends old pending ones first */
	hand_over(h);
	bh_delivery_free(await_state(h, held, BH_STATE_EXHAUSTED));
	close_house(h);
}

/* --- test and enable ----------------------------------------------------------------------------------------- */

static void a_test_that_goes_well_enables(void)
{
	static const struct {
		bh_test_then then;
		bh_state old, newest;
	} rows[] = {{BH_TEST_ENABLES_ALL, BH_STATE_DELIVERED, BH_STATE_DELIVERED},
		    {BH_TEST_ENABLES_NEWEST, BH_STATE_CANCELLED, BH_STATE_DELIVERED},
		    {BH_TEST_ENABLES_NONE, BH_STATE_CANCELLED, BH_STATE_CANCELLED},
		    {BH_TEST_ENABLES_KEEP, BH_STATE_HELD, BH_STATE_HELD}};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
		start_loops(h);
		disable_webhook(h, true);
		bh_id old = hand_over(h), newest = hand_over(h);
		bh_id test = hand_over_as(h, &(wish){.is_test = true, .then = rows[i].then});
		bh_delivery_free(await_state(h, test, BH_STATE_DELIVERED));
		AWAIT(disabled_cause(h) == BH_ENABLED);
		bh_delivery_free(await_state(h, old, rows[i].old));
		bh_delivery_free(await_state(h, newest, rows[i].newest));
		close_house(h);
	}
}

static void a_test_left_behind_is_sent_and_never_held(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	bh_id held = hand_over(h); /* the loops sleep, as in a process that died before it sent anything */
	bh_id test = hand_over_as(h, &(wish){.is_test = true, .then = BH_TEST_ENABLES_NEWEST});
	disable_webhook(h, true);
	start_loops(h);
	bh_delivery_free(await_state(h, test, BH_STATE_DELIVERED));
	bh_delivery_free(await_state(h, held, BH_STATE_DELIVERED)); /* the newest of what was held is no test */
	close_house(h);
}

static void a_test_that_fails_enables_nothing(void)
{
	house *h = open_house((const act *const[]){ANGRY, NULL}, QUICK);
	start_loops(h);
	disable_webhook(h, true);
	bh_id test = hand_over_as(h, &(wish){.is_test = true, .then = BH_TEST_ENABLES_ALL});
	bh_delivery_free(await_state(h, test, BH_STATE_EXHAUSTED));
	g_assert_cmpint(disabled_cause(h), ==, BH_DISABLED_BY_OWNER);
	g_assert_cmpint(streak_of(h).failing_since, ==, 0); /* a test is no failure of the webhook's */
	close_house(h);
}

/* --- recovering -------------------------------------------------------------------------------------------- */

static bh_id begin_recovery(house *h, int64_t per_second)
{
	bh_recovery recovery = {
		.id = bh_id_new(),
		.webhook_id = WEBHOOK,
		.total = 3,
		.per_second = per_second,
		.up_to = bh_id_new(),
		.state = BH_RECOVERY_RUNNING,
		.created_at = bh_clock_wall(),
		.who = (char *)"test",
	};
	bh_write w = {.kind = BH_WRITE_RECOVERY, .recovery = &recovery, .webhook_id = WEBHOOK, .at = bh_clock_wall()};
	bh_write *writes[] = {&w};
	g_autoptr(GError) error = NULL;
	g_assert_true(write_all(h, writes, 1, &error));
	g_assert_no_error(error);
	g_assert_cmpint(w.result, ==, BH_WRITE_DONE);
	return recovery.id;
}

static bh_recovery *recovery_of(house *h, bh_id id)
{
	g_autoptr(GError) error = NULL;
	bh_recovery *r = bh_reader_recovery(h->reader, id, &error);
	g_assert_no_error(error);
	return r;
}

static bh_recovery_state recovery_state(house *h, bh_id id)
{
	g_autoptr(bh_recovery) r = recovery_of(h, id);
	return r->state;
}

static const char *const ONCE[] = {"retry_schedule=", "look_every=10ms", "breaker_failures=1000",
				   "breaker_attempts=1000", NULL};

static void what_failed_is_recovered_even_across_a_restart(void)
{
	house *h = open_house((const act *const[]){ANGRY, NULL}, ONCE);
	start_loops(h);
	bh_id ids[3];
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		ids[i] = hand_over(h);
		bh_delivery_free(await_state(h, ids[i], BH_STATE_EXHAUSTED));
	}
	bh_id recovery = begin_recovery(h, 1); /* one a second: it is not through when we stop */
	await_requests(h, 4);
	close_engine(h);
	open_engine(h);
	start_loops(h);
	AWAIT(recovery_state(h, recovery) == BH_RECOVERY_DONE);
	await_requests(h, 6);
	g_autoptr(bh_recovery) r = recovery_of(h, recovery);
	g_assert_cmpint(r->recovered, ==, 3);
	g_assert_cmpint(r->ended_at, >, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		g_autoptr(bh_delivery) d = await_state(h, ids[i], BH_STATE_EXHAUSTED);
		g_assert_cmpint(d->attempts, ==, 2);
	}
	close_house(h);
}

static void a_recovery_waits_while_its_webhook_is_disabled(void)
{
	house *h = open_house((const act *const[]){ANGRY, NULL}, ONCE);
	start_loops(h);
	bh_id id = hand_over(h);
	bh_delivery_free(await_state(h, id, BH_STATE_EXHAUSTED));
	disable_webhook(h, true);
	bh_id recovery = begin_recovery(h, 1000);
	g_usleep(100000); /* it had time enough to go wrong */
	g_assert_cmpint(recovery_state(h, recovery), ==, BH_RECOVERY_RUNNING);
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 1);
	disable_webhook(h, false);
	AWAIT(recovery_state(h, recovery) == BH_RECOVERY_DONE);
	await_requests(h, 2);
	close_house(h);
}

/* --- loops of changes ----------------------------------------------------------------------------------------- */

static void a_request_tells_how_many_hops_are_behind_it(void)
{
	house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
	start_loops(h);
	bh_id first = hand_over(h), later = hand_over_as(h, &(wish){.hops = 4});
	bh_delivery_free(await_state(h, first, BH_STATE_DELIVERED));
	bh_delivery_free(await_state(h, later, BH_STATE_DELIVERED));
	g_autofree char *one = header_of(request(h, 1), "bellhop-hops"),
			*five = header_of(request(h, 2), "bellhop-hops");
	g_assert_cmpint(atoi(one) + atoi(five), ==, 6);
	close_house(h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_DEFAULT);
#define TEST(f) g_test_add_func("/upkeep/" #f, f)
	TEST(deliveries_with_one_key_go_one_after_the_other);
	TEST(what_fails_for_good_lets_the_next_one_follow);
	TEST(of_one_coalescing_key_only_the_newest_is_sent);
	TEST(a_steady_stream_is_thinned_to_one_a_window);
	TEST(what_waited_for_a_retry_gives_way_to_what_was_delivered);
	TEST(coalescing_that_was_switched_off_sends_all);
	TEST(long_failure_disables_and_holds);
	TEST(a_run_of_failures_survives_a_restart_and_a_success_ends_it);
	TEST(a_success_ends_the_run);
	TEST(what_is_held_too_long_or_too_many_is_set_aside);
	TEST(what_is_held_ends_though_the_breaker_is_open);
	TEST(what_was_held_too_long_does_not_count_as_too_many);
	TEST(a_test_that_goes_well_enables);
	TEST(a_test_left_behind_is_sent_and_never_held);
	TEST(a_test_that_fails_enables_nothing);
	TEST(what_failed_is_recovered_even_across_a_restart);
	TEST(a_recovery_waits_while_its_webhook_is_disabled);
	TEST(a_request_tells_how_many_hops_are_behind_it);
	return g_test_run();
}
