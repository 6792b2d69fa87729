#include "delivery/pace.h"

#include "base/chance.h"

#include <glib.h>

static const bh_pace_limits limits = {
	.start = 2,
	.most = 10,
	.breaker_failures = 5,
	.breaker_percent = 70,
	.breaker_attempts = 10,
	.breaker_span = 5 * BH_MINUTE,
	.probe_first = 30 * BH_SECOND,
	.probe_max = BH_HOUR,
};

static bh_mono at(bh_usec us)
{
	return (bh_mono){BH_HOUR + us};
}

static bh_pace fresh(void)
{
	bh_pace p;
	bh_pace_init(&p, &limits);
	return p;
}

static bool may_send_now(const bh_pace *p, unsigned in_flight, bh_mono now)
{
	bh_mono when;
	return bh_pace_may_send(p, in_flight, &when) && bh_mono_reached(now, when);
}

/* Sends one and hears of it at the same moment. */
static bool go(bh_pace *p, bh_signal signal, bh_usec pause, bh_mono now)
{
	bh_pace_sent(p, now);
	return bh_pace_heard(p, &limits, signal, pause, now);
}

/* --- concurrency -------------------------------------------------------------------------------- */

static void concurrency_grows_by_one_a_clean_round_and_not_for_ever(void)
{
	bh_pace p = fresh();
	g_assert_cmpuint(p.concurrency, ==, 2);
	go(&p, BH_SIGNAL_WELL, 0, at(0));
	g_assert_cmpuint(p.concurrency, ==, 2);
	go(&p, BH_SIGNAL_WELL, 0, at(0));
	g_assert_cmpuint(p.concurrency, ==, 3); /* a round of two */
	for (size_t i = 0; i < 3; i++)
		go(&p, BH_SIGNAL_WELL, 0, at(0));
	g_assert_cmpuint(p.concurrency, ==, 4); /* a round of three */
	for (size_t i = 0; i < 1000; i++)
		go(&p, BH_SIGNAL_WELL, 0, at(0));
	g_assert_cmpuint(p.concurrency, ==, 10);
	g_assert_true(may_send_now(&p, 9, at(0)));
	g_assert_false(may_send_now(&p, 10, at(0)));
}

static void a_round_with_a_failure_is_not_clean(void)
{
	bh_pace p = fresh();
	go(&p, BH_SIGNAL_WELL, 0, at(0));
	go(&p, BH_SIGNAL_FAILED, 0, at(0));
	g_assert_cmpuint(p.concurrency, ==, 2); /* a 500 says nothing about how many it takes */
	go(&p, BH_SIGNAL_WELL, 0, at(0));
	g_assert_cmpuint(p.concurrency, ==, 2);
	go(&p, BH_SIGNAL_WELL, 0, at(0));
	g_assert_cmpuint(p.concurrency, ==, 3);
}

static void overload_halves_and_what_cannot_be_reached_gets_one(void)
{
	static const struct {
		bh_signal signal;
		unsigned before, after;
	} rows[] = {
		{BH_SIGNAL_OVERLOADED, 10, 5},  {BH_SIGNAL_OVERLOADED, 5, 2},  {BH_SIGNAL_OVERLOADED, 1, 1},
		{BH_SIGNAL_UNREACHABLE, 10, 1}, {BH_SIGNAL_UNREACHABLE, 1, 1}, {BH_SIGNAL_NONE, 7, 7},
		{BH_SIGNAL_FAILED, 7, 7},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_pace p = fresh();
		p.concurrency = rows[i].before;
		go(&p, rows[i].signal, 0, at(0));
		g_assert_cmpuint(p.concurrency, ==, rows[i].after);
	}
}

/* --- the breaker ----------------------------------------------------------------------------------- */

static void five_failures_to_connect_in_a_row_open_it(void)
{
	bh_pace p = fresh();
	for (size_t i = 0; i < 4; i++)
		g_assert_false(go(&p, BH_SIGNAL_UNREACHABLE, 0, at(0)));
	g_assert_true(go(&p, BH_SIGNAL_UNREACHABLE, 0, at(0)));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_OPEN);
	g_assert_false(may_send_now(&p, 0, at(30 * BH_SECOND - 1)));
	g_assert_true(may_send_now(&p, 0, at(30 * BH_SECOND)));
}

static void an_answer_in_between_begins_the_count_anew(void)
{
	static const bh_signal answers[] = {BH_SIGNAL_WELL, BH_SIGNAL_FAILED, BH_SIGNAL_OVERLOADED};
	for (size_t a = 0; a < G_N_ELEMENTS(answers); a++) {
		bh_pace p = fresh();
		for (size_t i = 0; i < 4; i++)
			go(&p, BH_SIGNAL_UNREACHABLE, 0, at(0));
		go(&p, answers[a], 0, at(0));
		for (size_t i = 0; i < 4; i++)
			go(&p, BH_SIGNAL_UNREACHABLE, 0, at(0));
		g_assert_cmpint(p.breaker, ==, BH_BREAKER_CLOSED);
	}
}

static void seventy_percent_of_ten_in_five_minutes_open_it(void)
{
	static const struct {
		unsigned well, failed;
		bh_breaker becomes;
	} rows[] = {
		{3, 7, BH_BREAKER_OPEN},  {4, 6, BH_BREAKER_CLOSED},   {0, 9, BH_BREAKER_CLOSED},
		{0, 10, BH_BREAKER_OPEN}, {30, 69, BH_BREAKER_CLOSED}, {30, 70, BH_BREAKER_OPEN},
	};
	for (size_t r = 0; r < G_N_ELEMENTS(rows); r++) {
		bh_pace p = fresh();
		for (unsigned i = 0; i < rows[r].well; i++)
			go(&p, BH_SIGNAL_WELL, 0, at(0));
		for (unsigned i = 0; i < rows[r].failed; i++)
			go(&p, BH_SIGNAL_FAILED, 0, at(0));
		g_assert_cmpint(p.breaker, ==, rows[r].becomes);
	}
}

static void what_failed_long_ago_does_not_count(void)
{
	bh_pace p = fresh();
	for (size_t i = 0; i < 9; i++)
		go(&p, BH_SIGNAL_FAILED, 0, at(0));
	for (size_t i = 0; i < 9; i++)
		go(&p, BH_SIGNAL_FAILED, 0, at(6 * BH_MINUTE));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_CLOSED);
	go(&p, BH_SIGNAL_FAILED, 0, at(6 * BH_MINUTE));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_OPEN);
}

static void probes_come_after_30_s_doubling_to_an_hour(void)
{
	bh_pace p = fresh();
	bh_usec now = 0, wait = 30 * BH_SECOND;
	for (size_t i = 0; i < 5; i++)
		go(&p, BH_SIGNAL_UNREACHABLE, 0, at(0));
	for (size_t i = 0; i < 12; i++) {
		bh_mono when;
		g_assert_true(bh_pace_may_send(&p, 0, &when));
		g_assert_cmpint(bh_mono_since(when, at(now)), ==, wait);
		now += wait;
		bh_pace_sent(&p, at(now));
		g_assert_cmpint(p.breaker, ==, BH_BREAKER_PROBING);
		g_assert_false(may_send_now(&p, 1, at(now))); /* one probe at a time */
		g_assert_false(bh_pace_heard(&p, &limits, BH_SIGNAL_FAILED, 0, at(now)));
		wait = MIN(2 * wait, BH_HOUR);
	}
	bh_pace_sent(&p, at(now + BH_HOUR));
	g_assert_true(bh_pace_heard(&p, &limits, BH_SIGNAL_WELL, 0, at(now + BH_HOUR)));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_CLOSED);
	g_assert_cmpuint(p.concurrency, ==, 2);
	for (size_t i = 0; i < 5; i++) /* and the next time it begins at 30 s again */
		go(&p, BH_SIGNAL_UNREACHABLE, 0, at(now + BH_HOUR));
	g_assert_cmpint(p.probe_wait, ==, 30 * BH_SECOND);
}

static void a_probe_that_tells_nothing_is_made_again_without_doubling(void)
{
	bh_pace p = fresh();
	for (size_t i = 0; i < 5; i++)
		go(&p, BH_SIGNAL_UNREACHABLE, 0, at(0));
	go(&p, BH_SIGNAL_NONE, 0, at(30 * BH_SECOND));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_OPEN);
	g_assert_cmpint(p.probe_wait, ==, 30 * BH_SECOND);
}

static void a_success_that_was_under_way_closes_it(void)
{
	bh_pace p = fresh();
	for (size_t i = 0; i < 6; i++)
		bh_pace_sent(&p, at(0));
	for (size_t i = 0; i < 5; i++)
		bh_pace_heard(&p, &limits, BH_SIGNAL_UNREACHABLE, 0, at(0));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_OPEN);
	g_assert_true(bh_pace_heard(&p, &limits, BH_SIGNAL_WELL, 0, at(0)));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_CLOSED);
}

static void pacing_is_no_failure(void)
{
	bh_pace p = fresh();
	for (size_t i = 0; i < 100; i++)
		go(&p, BH_SIGNAL_OVERLOADED, BH_SECOND, at((bh_usec)i * BH_SECOND));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_CLOSED);
}

/* --- pauses -------------------------------------------------------------------------------------------- */

static void a_receiver_that_names_a_time_is_left_alone_as_a_whole(void)
{
	bh_pace p = fresh();
	go(&p, BH_SIGNAL_OVERLOADED, 10 * BH_MINUTE, at(0));
	g_assert_false(may_send_now(&p, 0, at(10 * BH_MINUTE - 1)));
	g_assert_true(may_send_now(&p, 0, at(10 * BH_MINUTE)));
	bh_pace_heard(&p, &limits, BH_SIGNAL_OVERLOADED, BH_SECOND,
		      at(BH_MINUTE)); /* a later, shorter one takes nothing back */
	g_assert_false(may_send_now(&p, 0, at(10 * BH_MINUTE - 1)));
}

static void a_pause_that_nobody_complained_for_teaches_no_gap(void)
{
	static const bh_signal signals[] = {BH_SIGNAL_NONE, BH_SIGNAL_UNREACHABLE, BH_SIGNAL_FAILED};
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
		bh_pace p = fresh();
		for (int sent = 0; sent < 20; sent++)
			bh_pace_sent(&p, at(sent * BH_MILLISECOND));
		bh_pace_heard(&p, &limits, signals[i], 5 * BH_SECOND, at(BH_SECOND));
		g_assert_false(may_send_now(&p, 0, at(6 * BH_SECOND - 1)));
		g_assert_true(may_send_now(&p, 0, at(6 * BH_SECOND)));
		g_assert_cmpint(p.gap, ==, 0);
	}
}

/*
 * A receiver that takes `allowed` requests in each `window` and answers 429 with the time until the next: how long do `total`
 * requests take, and how many does it refuse?
 */
static bh_usec paced_by(unsigned allowed, bh_usec window, unsigned total, bh_usec latency, unsigned *ret_refused)
{
	bh_pace p = fresh();
	bh_usec now = 0;
	unsigned done = 0, in_window = 0;
	int64_t last_window = -1;
	*ret_refused = 0;
	while (done < total) {
		bh_mono when;
		g_assert_true(bh_pace_may_send(&p, 0, &when));
		now = MAX(now, bh_mono_since(when, at(0)));
		if (now / window != last_window) {
			last_window = now / window;
			in_window = 0;
		}
		bh_pace_sent(&p, at(now));
		bool taken = in_window < allowed;
		in_window += taken;
		bh_usec until_next = (last_window + 1) * window - now;
		bh_usec hint = (until_next + BH_SECOND - 1) / BH_SECOND * BH_SECOND;
		now += latency;
		bh_pace_heard(&p, &limits, taken ? BH_SIGNAL_WELL : BH_SIGNAL_OVERLOADED, taken ? 0 : hint, at(now));
		done += taken;
		*ret_refused += !taken;
		g_assert_cmpint(now, <, BH_DAY);
	}
	return now;
}

static void the_pace_settles_near_what_the_receiver_takes(void)
{
	static const struct {
		unsigned allowed;
		bh_usec window;
		unsigned total;
		bh_usec latency;
		double within; /* of the best that is possible */
		unsigned refused_most;
	} rows[] = {
		{5, 2 * BH_SECOND, 100, BH_MILLISECOND, 1.4, 12},
		{5, 2 * BH_SECOND, 1000, BH_MILLISECOND, 1.3, 60},
		{1, BH_SECOND, 100, BH_MILLISECOND, 1.6, 100},
		{60, BH_MINUTE, 600, 20 * BH_MILLISECOND, 1.5, 40},
		{100, 10 * BH_SECOND, 1000, 5 * BH_MILLISECOND, 1.5, 20},
		{10, BH_SECOND, 1000, 30 * BH_MILLISECOND, 1.4, 60},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		unsigned refused;
		bh_usec took = paced_by(rows[i].allowed, rows[i].window, rows[i].total, rows[i].latency, &refused);
		double best = (double)rows[i].window * rows[i].total / rows[i].allowed;
		g_test_message("%u in %g s, %u requests: %.2f of the best, %u refused", rows[i].allowed,
			       (double)rows[i].window / BH_SECOND, rows[i].total, (double)took / best, refused);
		g_assert_cmpfloat((double)took, <=, rows[i].within * best);
		g_assert_cmpuint(refused, <=, rows[i].refused_most);
	}
}

static void a_learned_gap_goes_away_again(void)
{
	bh_pace p = fresh();
	for (size_t i = 0; i < 3; i++)
		go(&p, BH_SIGNAL_WELL, 0, at(0));
	go(&p, BH_SIGNAL_OVERLOADED, BH_MINUTE, at(0));
	g_assert_cmpint(p.gap, >, 0);
	bh_usec now = BH_MINUTE;
	while (p.gap > 0) {
		bh_mono when;
		g_assert_true(bh_pace_may_send(&p, 0, &when));
		now = MAX(now, bh_mono_since(when, at(0)));
		go(&p, BH_SIGNAL_WELL, 0, at(now));
		g_assert_cmpint(now, <, 20 * BH_MINUTE); /* a receiver that is well again is not slow for hours */
	}
}

static void a_receiver_that_was_away_for_an_hour_teaches_no_pace(void)
{
	bh_pace p = fresh();
	for (size_t i = 0; i < 5; i++)
		go(&p, BH_SIGNAL_WELL, 0, at(0));
	go(&p, BH_SIGNAL_OVERLOADED, BH_HOUR, at(0));
	g_assert_cmpint(p.gap, ==, 0);
}

/* --- the owner's rate -------------------------------------------------------------------------------------- */

static void no_span_has_more_than_the_rate(void)
{
	static const struct {
		int64_t requests;
		bh_usec per;
	} rows[] = {{1, BH_SECOND}, {2, BH_SECOND},   {5, BH_SECOND},    {60, BH_MINUTE},
		    {7, BH_HOUR},   {100, BH_SECOND}, {1000, BH_MINUTE}, {1000000, BH_SECOND}};
	for (size_t r = 0; r < G_N_ELEMENTS(rows); r++) {
		bh_pace p = fresh();
		bh_pace_set_rate(&p, rows[r].requests, rows[r].per);
		g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(bh_usec));
		bh_usec now = 0;
		size_t count = (size_t)MIN(3 * rows[r].requests + 2, 5000);
		while (times->len < count) {
			bh_mono when;
			g_assert_true(bh_pace_may_send(&p, 0, &when));
			now = MAX(now, bh_mono_since(when, at(0)));
			bh_pace_sent(&p, at(now));
			g_array_append_val(times, now);
		}
		for (size_t i = (size_t)rows[r].requests; i < times->len; i++)
			g_assert_cmpint(g_array_index(times, bh_usec, i) -
						g_array_index(times, bh_usec, i - (size_t)rows[r].requests),
					>=, rows[r].per);
		/* And it is not much slower than it may be. */
		if (count == (size_t)(3 * rows[r].requests + 2))
			g_assert_cmpint(now, <=, 4 * rows[r].per + rows[r].per / rows[r].requests);
	}
}

static void what_was_not_sent_costs_no_rate(void)
{
	bh_pace p = fresh();
	bh_pace_set_rate(&p, 1, BH_HOUR);
	bh_pace_sent(&p, at(0));
	bh_pace_unsent(&p, at(0), at(0));
	g_assert_true(may_send_now(&p, 0, at(0)));
	bh_pace_sent(&p, at(0));
	g_assert_false(may_send_now(&p, 0, at(BH_HOUR - 1)));
	bh_pace_set_rate(&p, 0, 0);
	g_assert_true(may_send_now(&p, 0, at(0)));
}

/* Some wait for a token, each as long as it pleases; what goes out in the end keeps the rate all the same. */
static void what_is_sent_late_keeps_the_rate(void)
{
	enum { REQUESTS = 10, WAITING_MAX = 8 };
	bh_chance chance = bh_chance_seeded(3);
	bh_pace p = fresh();
	g_autoptr(GArray) out = g_array_new(FALSE, FALSE, sizeof(bh_usec));
	bh_mono waiting[WAITING_MAX];
	size_t count = 0;

	bh_pace_set_rate(&p, REQUESTS, BH_MINUTE);
	for (bh_usec now = 0; now < 4 * BH_HOUR; now += BH_SECOND) {
		if (count < WAITING_MAX && may_send_now(&p, 0, at(now))) {
			bh_pace_sent(&p, at(now));
			waiting[count++] = at(now);
		}
		if (bh_chance_between(&chance, 0, 40) > 0)
			continue;
		for (; count > 0; count--) { /* the token is there */
			if (bh_pace_sent_late(&p, waiting[count - 1], false, at(now)))
				g_array_append_val(out, now);
			else
				bh_pace_unsent(&p, waiting[count - 1], at(now));
		}
	}
	g_assert_cmpuint(out->len, >, 200);
	for (guint i = REQUESTS; i < out->len; i++)
		g_assert_cmpint(g_array_index(out, bh_usec, i) - g_array_index(out, bh_usec, i - REQUESTS), >=,
				BH_MINUTE);
}

static void what_waited_is_not_sent_into_a_pause(void)
{
	bh_pace p = fresh();
	bh_pace_sent(&p, at(0));
	bh_pace_sent(&p, at(0));
	bh_pace_heard(&p, &limits, BH_SIGNAL_OVERLOADED, BH_MINUTE, at(1));
	g_assert_false(bh_pace_sent_late(&p, at(0), false, at(2)));
	g_assert_true(bh_pace_sent_late(&p, at(0), true, at(2)));
	g_assert_true(bh_pace_sent_late(&p, at(0), false, at(BH_MINUTE + 1)));
}

/* One that began before the breaker opened, and was let go after: the probe is another one. */
static void only_a_probe_that_was_not_sent_is_made_up_for(void)
{
	bh_pace p = fresh();
	bh_pace_sent(&p, at(0));
	while (p.breaker == BH_BREAKER_CLOSED)
		go(&p, BH_SIGNAL_UNREACHABLE, 0, at(1));
	bh_usec probe = bh_mono_since(p.probe_at, at(0));
	bh_pace_sent(&p, at(probe));
	bh_pace_unsent(&p, at(0), at(probe + 1));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_PROBING);
	bh_pace_unsent(&p, at(probe), at(probe + 2));
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_OPEN);
	g_assert_true(may_send_now(&p, 0, at(probe + 2)));
}

static void another_receiver_inherits_the_rate_and_nothing_else(void)
{
	bh_pace p = fresh();
	bh_pace_set_rate(&p, 1, BH_HOUR);
	for (size_t i = 0; i < 5; i++)
		go(&p, BH_SIGNAL_UNREACHABLE, BH_MINUTE, at(0));
	bh_pace_forget(&p, &limits);
	g_assert_cmpint(p.breaker, ==, BH_BREAKER_CLOSED);
	g_assert_false(may_send_now(&p, 0, at(BH_MINUTE)));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(f) g_test_add_func("/pace/" #f, f)
	TEST(concurrency_grows_by_one_a_clean_round_and_not_for_ever);
	TEST(a_round_with_a_failure_is_not_clean);
	TEST(overload_halves_and_what_cannot_be_reached_gets_one);
	TEST(five_failures_to_connect_in_a_row_open_it);
	TEST(an_answer_in_between_begins_the_count_anew);
	TEST(seventy_percent_of_ten_in_five_minutes_open_it);
	TEST(what_failed_long_ago_does_not_count);
	TEST(probes_come_after_30_s_doubling_to_an_hour);
	TEST(a_probe_that_tells_nothing_is_made_again_without_doubling);
	TEST(a_success_that_was_under_way_closes_it);
	TEST(pacing_is_no_failure);
	TEST(a_receiver_that_names_a_time_is_left_alone_as_a_whole);
	TEST(a_pause_that_nobody_complained_for_teaches_no_gap);
	TEST(the_pace_settles_near_what_the_receiver_takes);
	TEST(a_learned_gap_goes_away_again);
	TEST(a_receiver_that_was_away_for_an_hour_teaches_no_pace);
	TEST(no_span_has_more_than_the_rate);
	TEST(what_was_not_sent_costs_no_rate);
	TEST(what_is_sent_late_keeps_the_rate);
	TEST(what_waited_is_not_sent_into_a_pause);
	TEST(only_a_probe_that_was_not_sent_is_made_up_for);
	TEST(another_receiver_inherits_the_rate_and_nothing_else);
	return g_test_run();
}
