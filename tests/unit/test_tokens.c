/* The cache of access tokens, told the time and what the service said. */
#include "method/tokens.h"

#include <glib.h>

#define PLACES 4
#define WEBHOOK 7
#define RUNS 8

typedef struct rig {
	bh_tokens *tokens;
	bh_token_place *place;
	bh_token_claim claims[RUNS];
	unsigned woken[RUNS];
} rig;

static bh_mono at(bh_usec us)
{
	return (bh_mono){BH_HOUR + us};
}

static void count(void *user)
{
	++*(unsigned *)user;
}

static bh_token_key key_of(bh_id webhook, uint8_t what)
{
	return (bh_token_key){.webhook = webhook, .digest = {what}};
}

static void set_up(rig *r, gconstpointer unused)
{
	bh_token_key key = key_of(WEBHOOK, 1);
	r->tokens = bh_tokens_new(PLACES, count);
	r->place = bh_tokens_place(r->tokens, &key, 1, at(0));
	for (size_t i = 0; i < RUNS; i++)
		r->claims[i].user = &r->woken[i];
}

static void tear_down(rig *r, gconstpointer unused)
{
	for (size_t i = 0; i < RUNS; i++)
		bh_token_leave(&r->claims[i]);
	bh_token_place_unref(r->place);
	bh_tokens_free(r->tokens);
}

static bh_token_turn want(rig *r, size_t run, bh_usec now)
{
	bh_token_leave(&r->claims[run]);
	return bh_token_want(r->place, NULL, at(now), &r->claims[run]);
}

static bh_token_turn want_other(rig *r, size_t run, const char *than, bh_usec now)
{
	g_autoptr(bh_secret) refused = bh_secret_new(than, strlen(than));
	bh_token_leave(&r->claims[run]);
	return bh_token_want(r->place, refused, at(now), &r->claims[run]);
}

static void grant(rig *r, size_t run, const char *token, bh_usec life, bh_usec now)
{
	g_autoptr(bh_secret) secret = bh_secret_new(token, strlen(token));
	bh_token_granted(&r->claims[run], secret, life, at(now));
}

static void refuse(rig *r, size_t run, bh_usec retry_after, bh_usec now)
{
	bh_token_refused(&r->claims[run], BH_CAUSE_TOKEN, "The token service answered 503.", retry_after, at(now));
}

static void assert_has(const rig *r, size_t run, const char *token)
{
	g_assert_cmpint(r->claims[run].turn, ==, BH_TOKEN_HAD);
	g_assert_cmpstr(bh_secret_bytes(r->claims[run].token).at, ==, token);
}

/* Wants and fetches one, which must be possible. */
static void fetch(rig *r, size_t run, const char *token, bh_usec life, bh_usec now)
{
	g_assert_cmpint(want(r, run, now), ==, BH_TOKEN_ASK);
	grant(r, run, token, life, now);
}

/* --- one flight ------------------------------------------------------------------------------- */

static void one_asks_and_all_who_wait_get_what_comes(rig *r, gconstpointer unused)
{
	g_assert_cmpint(want(r, 0, 0), ==, BH_TOKEN_ASK);
	for (size_t i = 1; i < RUNS; i++)
		g_assert_cmpint(want(r, i, 0), ==, BH_TOKEN_WAIT);

	grant(r, 0, "A", BH_HOUR, 2 * BH_SECOND);

	for (size_t i = 0; i < RUNS; i++) {
		assert_has(r, i, "A");
		g_assert_cmpuint(r->woken[i], ==, i > 0);
	}
}

static void a_token_without_any_life_left_serves_those_who_waited_for_it(rig *r, gconstpointer unused)
{
	want(r, 0, 0);
	want(r, 1, 0);
	grant(r, 0, "A", 1, 0);
	assert_has(r, 1, "A");
	g_assert_cmpint(want(r, 2, 1), ==, BH_TOKEN_ASK);
}

static void the_first_who_waits_takes_over_when_the_one_who_asked_is_gone(rig *r, gconstpointer unused)
{
	want(r, 0, 0);
	want(r, 1, 0);
	want(r, 2, 0);
	bh_token_leave(&r->claims[0]);

	g_assert_cmpint(r->claims[1].turn, ==, BH_TOKEN_ASK);
	g_assert_cmpuint(r->woken[1], ==, 1);
	g_assert_cmpint(r->claims[2].turn, ==, BH_TOKEN_WAIT);
	grant(r, 1, "A", BH_HOUR, 0);
	assert_has(r, 2, "A");
}

static void who_waits_may_leave(rig *r, gconstpointer unused)
{
	want(r, 0, 0);
	want(r, 1, 0);
	bh_token_leave(&r->claims[1]);
	bh_token_leave(&r->claims[0]);
	g_assert_cmpuint(r->woken[1], ==, 0);
	g_assert_cmpint(want(r, 2, 0), ==, BH_TOKEN_ASK);
}

/* --- how long a token is good ------------------------------------------------------------------- */

static void a_token_is_used_until_a_minute_before_its_end(void)
{
	static const struct {
		bh_usec life, used_until;
	} rows[] = {
		{BH_HOUR, 59 * BH_MINUTE},
		{120 * BH_SECOND, 60 * BH_SECOND},
		{119 * BH_SECOND, 59500 * BH_MILLISECOND}, /* a short one for half of its life */
		{5 * BH_SECOND, 2500 * BH_MILLISECOND},
		{0, 5 * BH_MINUTE}, /* nothing said */
		{-BH_SECOND, 5 * BH_MINUTE},
		{365 * BH_DAY, BH_DAY},
		{INT64_MAX, BH_DAY},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		rig r = {0};
		set_up(&r, NULL);
		fetch(&r, 0, "A", rows[i].life, 0);
		g_assert_cmpint(want(&r, 1, rows[i].used_until - 1), ==, BH_TOKEN_HAD);
		g_assert_cmpint(want(&r, 1, rows[i].used_until), ==, BH_TOKEN_ASK);
		tear_down(&r, NULL);
	}
}

/* --- none comes --------------------------------------------------------------------------------- */

static void a_refusal_is_everybodys_who_waited_and_nobody_asks_for_a_while(rig *r, gconstpointer unused)
{
	want(r, 0, 0);
	want(r, 1, 0);
	refuse(r, 0, 0, 0);
	for (size_t i = 0; i < 2; i++) {
		g_assert_cmpint(r->claims[i].turn, ==, BH_TOKEN_REFUSED);
		g_assert_true(r->claims[i].refusal.was_asked);
		g_assert_cmpint(r->claims[i].refusal.after, ==, 5 * BH_SECOND);
		g_assert_cmpint(r->claims[i].refusal.cause, ==, BH_CAUSE_TOKEN);
		g_assert_cmpstr(r->claims[i].refusal.sentence, ==, "The token service answered 503.");
	}

	g_assert_cmpint(want(r, 2, 2 * BH_SECOND), ==, BH_TOKEN_REFUSED);
	g_assert_false(r->claims[2].refusal.was_asked);
	g_assert_cmpint(r->claims[2].refusal.after, ==, 3 * BH_SECOND);
	g_assert_cmpint(want(r, 2, 5 * BH_SECOND), ==, BH_TOKEN_ASK);
}

static void the_while_doubles_to_five_minutes_and_a_token_ends_that(rig *r, gconstpointer unused)
{
	static const bh_usec rests[] = {5, 10, 20, 40, 80, 160, 300, 300, 300, 300};
	bh_usec now = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(rests); i++) {
		g_assert_cmpint(want(r, 0, now), ==, BH_TOKEN_ASK);
		refuse(r, 0, 0, now);
		g_assert_cmpint(r->claims[0].refusal.after, ==, rests[i] * BH_SECOND);
		now += rests[i] * BH_SECOND;
	}
	fetch(r, 0, "A", 10 * BH_SECOND, now);
	now += BH_MINUTE;
	want(r, 0, now);
	refuse(r, 0, 0, now);
	g_assert_cmpint(r->claims[0].refusal.after, ==, 5 * BH_SECOND);
}

static void a_service_that_names_its_time_gets_it(rig *r, gconstpointer unused)
{
	static const struct {
		bh_usec asked, rest;
	} rows[] = {{BH_SECOND, 5 * BH_SECOND}, {BH_HOUR, BH_HOUR}, {30 * BH_DAY, 10 * BH_HOUR}};
	bh_usec now = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_assert_cmpint(want(r, 0, now), ==, BH_TOKEN_ASK);
		refuse(r, 0, rows[i].asked, now);
		g_assert_cmpint(r->claims[0].refusal.after, ==, rows[i].rest);
		now += rows[i].rest;
	}
}

static void what_the_guard_refuses_is_not_waited_for(rig *r, gconstpointer unused)
{
	want(r, 0, 0);
	want(r, 1, 0);
	bh_token_refused(&r->claims[0], BH_CAUSE_GUARD, "No.", 0, at(0));
	g_assert_cmpint(r->claims[1].turn, ==, BH_TOKEN_REFUSED);
	g_assert_cmpint(r->claims[1].refusal.cause, ==, BH_CAUSE_GUARD);
	g_assert_cmpint(want(r, 2, 0), ==, BH_TOKEN_ASK);
	bh_token_refused(&r->claims[2], BH_CAUSE_GUARD, "Not yet.", 0, at(0));
	g_assert_cmpstr(r->claims[1].refusal.sentence, ==, "No."); /* its own */
}

/* --- a receiver refuses ------------------------------------------------------------------------- */

static void a_refused_token_is_replaced_once_for_all(rig *r, gconstpointer unused)
{
	fetch(r, 0, "A", BH_HOUR, 0);
	g_assert_cmpint(want_other(r, 1, "A", 1), ==, BH_TOKEN_ASK);
	g_assert_cmpint(want_other(r, 2, "A", 1), ==, BH_TOKEN_WAIT);
	g_assert_cmpint(want(r, 3, 1), ==, BH_TOKEN_WAIT);
	grant(r, 1, "B", BH_HOUR, 2);
	for (size_t i = 1; i < 4; i++)
		assert_has(r, i, "B");
}

static void a_late_refusal_does_not_drop_a_newer_token(rig *r, gconstpointer unused)
{
	fetch(r, 0, "A", BH_HOUR, 0);
	want_other(r, 1, "A", 1);
	grant(r, 1, "B", BH_HOUR, 2);

	g_assert_cmpint(want_other(r, 2, "A", 3), ==, BH_TOKEN_HAD);
	assert_has(r, 2, "B");
	g_assert_cmpint(want(r, 3, 4), ==, BH_TOKEN_HAD);
	assert_has(r, 3, "B");
}

static void what_is_refused_time_and_again_is_replaced_ever_more_seldom(rig *r, gconstpointer unused)
{
	static const bh_usec waits[] = {30, 60, 120, 240, 300, 300};
	static const char *const names[] = {"B", "C", "D", "E", "F", "G", "H"};
	bh_usec now = 0;

	fetch(r, 0, "A", BH_DAY, now);
	g_assert_cmpint(want_other(r, 0, "A", now), ==, BH_TOKEN_ASK);
	grant(r, 0, "B", BH_DAY, now);
	for (size_t i = 0; i < G_N_ELEMENTS(waits); i++) {
		g_assert_cmpint(want_other(r, 0, names[i], now + waits[i] * BH_SECOND - 1), ==, BH_TOKEN_NO_OTHER);
		now += waits[i] * BH_SECOND;
		g_assert_cmpint(want_other(r, 0, names[i], now), ==, BH_TOKEN_ASK);
		grant(r, 0, names[i + 1], BH_DAY, now);
	}
}

static void a_token_that_was_taken_ends_the_doubling(rig *r, gconstpointer unused)
{
	fetch(r, 0, "A", BH_DAY, 0);
	want_other(r, 0, "A", 0);
	grant(r, 0, "B", BH_DAY, 0);
	want_other(r, 0, "B", BH_MINUTE);
	grant(r, 0, "C", BH_DAY, BH_MINUTE);
	bh_token_proved(r->place, r->claims[0].token);

	g_assert_cmpint(want_other(r, 0, "C", 10 * BH_MINUTE), ==, BH_TOKEN_ASK);
	grant(r, 0, "D", BH_DAY, 10 * BH_MINUTE);
	g_assert_cmpint(want_other(r, 0, "D", 10 * BH_MINUTE + 29 * BH_SECOND), ==, BH_TOKEN_NO_OTHER);
	g_assert_cmpint(want_other(r, 0, "D", 10 * BH_MINUTE + 30 * BH_SECOND), ==, BH_TOKEN_ASK);
}

static void a_service_that_gives_the_same_token_again_has_given_no_other(rig *r, gconstpointer unused)
{
	fetch(r, 0, "A", BH_HOUR, 0);
	want_other(r, 1, "A", 1);
	want_other(r, 2, "A", 1);
	grant(r, 1, "A", BH_HOUR, 2);
	g_assert_cmpint(r->claims[1].turn, ==, BH_TOKEN_NO_OTHER);
	g_assert_cmpint(r->claims[2].turn, ==, BH_TOKEN_NO_OTHER);
	g_assert_cmpint(want_other(r, 1, "A", 3), ==, BH_TOKEN_NO_OTHER);
	g_assert_cmpint(want(r, 3, 3), ==, BH_TOKEN_HAD); /* other events may have better luck with it */
}

static void who_was_refused_while_the_service_is_left_alone_gets_no_other(rig *r, gconstpointer unused)
{
	fetch(r, 0, "A", BH_HOUR, 0);
	want_other(r, 1, "A", 1);
	refuse(r, 1, 0, 2);
	g_assert_cmpint(want_other(r, 2, "A", 3), ==, BH_TOKEN_NO_OTHER);
	g_assert_cmpint(want(r, 3, 3), ==, BH_TOKEN_REFUSED);
}

/* --- whose token is it -------------------------------------------------------------------------- */

static void each_key_has_its_own_token(rig *r, gconstpointer unused)
{
	bh_token_key other_webhook = key_of(WEBHOOK + 1, 1), other_request = key_of(WEBHOOK, 2);
	fetch(r, 0, "A", BH_HOUR, 0);

	bh_token_place *places[] = {bh_tokens_place(r->tokens, &other_webhook, 1, at(1)),
				    bh_tokens_place(r->tokens, &other_request, 1, at(1))};
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
		g_assert_cmpint(bh_token_want(places[i], NULL, at(1), &r->claims[1]), ==, BH_TOKEN_ASK);
		bh_token_leave(&r->claims[1]);
		bh_token_place_unref(places[i]);
	}
	g_assert_cmpint(want(r, 2, 1), ==, BH_TOKEN_HAD);
}

static void changed_settings_wipe_the_tokens_of_the_ones_before(rig *r, gconstpointer unused)
{
	bh_token_key changed = key_of(WEBHOOK, 2);
	fetch(r, 0, "A", BH_HOUR, 0);

	bh_token_place *place = bh_tokens_place(r->tokens, &changed, 2, at(1));
	g_assert_cmpint(want(r, 1, 1), ==, BH_TOKEN_ASK); /* in use by a run of the old settings, but empty */
	bh_token_leave(&r->claims[1]);
	bh_token_leave(&r->claims[0]);
	bh_token_place_unref(place);

	bh_token_place_unref(r->place);
	changed = key_of(WEBHOOK, 3);
	r->place = bh_tokens_place(r->tokens, &changed, 3, at(2));
	g_assert_cmpuint(bh_tokens_count(r->tokens), ==, 1);
}

static void few_places_are_kept_and_the_least_used_one_goes_first(rig *r, gconstpointer unused)
{
	bh_token_key keys[PLACES + 1];
	for (uint8_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		keys[i] = key_of(100 + i, i);
		bh_token_place *place = bh_tokens_place(r->tokens, &keys[i], 1, at(i));
		bh_token_want(place, NULL, at(i), &r->claims[0]);
		grant(r, 0, "A", BH_HOUR, i);
		bh_token_leave(&r->claims[0]);
		bh_token_place_unref(place);
	}
	g_assert_cmpuint(bh_tokens_count(r->tokens), ==, PLACES); /* one of them the rig's, which is in use */

	bh_token_place *kept = bh_tokens_place(r->tokens, &keys[PLACES], 1, at(9));
	g_assert_cmpint(bh_token_want(kept, NULL, at(9), &r->claims[0]), ==, BH_TOKEN_HAD);
	bh_token_place_unref(kept);
	bh_token_leave(&r->claims[0]);
	bh_token_place *gone = bh_tokens_place(r->tokens, &keys[0], 1, at(9));
	g_assert_cmpint(bh_token_want(gone, NULL, at(9), &r->claims[0]), ==, BH_TOKEN_ASK);
	bh_token_place_unref(gone);
}

static void an_idle_place_is_let_go_after_an_hour(rig *r, gconstpointer unused)
{
	bh_token_key key = key_of(9, 9);
	bh_token_place_unref(bh_tokens_place(r->tokens, &key, 1, at(0)));
	bh_token_place_unref(g_steal_pointer(&r->place));
	bh_tokens_tidy(r->tokens, at(BH_HOUR - 1));
	g_assert_cmpuint(bh_tokens_count(r->tokens), ==, 2);
	bh_tokens_tidy(r->tokens, at(BH_HOUR));
	g_assert_cmpuint(bh_tokens_count(r->tokens), ==, 0);
}

#define TEST(path, function) g_test_add("/tokens/" path, rig, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST("one asks for all", one_asks_and_all_who_wait_get_what_comes);
	TEST("no life left", a_token_without_any_life_left_serves_those_who_waited_for_it);
	TEST("taken over", the_first_who_waits_takes_over_when_the_one_who_asked_is_gone);
	TEST("leaving", who_waits_may_leave);
	g_test_add_func("/tokens/how long", a_token_is_used_until_a_minute_before_its_end);
	TEST("refusal", a_refusal_is_everybodys_who_waited_and_nobody_asks_for_a_while);
	TEST("doubling", the_while_doubles_to_five_minutes_and_a_token_ends_that);
	TEST("retry after", a_service_that_names_its_time_gets_it);
	TEST("guard", what_the_guard_refuses_is_not_waited_for);
	TEST("replaced once", a_refused_token_is_replaced_once_for_all);
	TEST("late refusal", a_late_refusal_does_not_drop_a_newer_token);
	TEST("refused for ever", what_is_refused_time_and_again_is_replaced_ever_more_seldom);
	TEST("taken", a_token_that_was_taken_ends_the_doubling);
	TEST("same again", a_service_that_gives_the_same_token_again_has_given_no_other);
	TEST("refused at rest", who_was_refused_while_the_service_is_left_alone_gets_no_other);
	TEST("own token", each_key_has_its_own_token);
	TEST("changed settings", changed_settings_wipe_the_tokens_of_the_ones_before);
	TEST("few places", few_places_are_kept_and_the_least_used_one_goes_first);
	TEST("idle", an_idle_place_is_let_go_after_an_hour);
	return g_test_run();
}
