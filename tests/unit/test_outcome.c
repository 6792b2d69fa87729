#include "delivery/outcome.h"

#include <string.h>

#define NOON (INT64_C(1767268800) * BH_SECOND)

static const bh_policy policy = {
	.delays = {5 * BH_SECOND, 5 * BH_MINUTE, 30 * BH_MINUTE, 2 * BH_HOUR, 5 * BH_HOUR, 10 * BH_HOUR, 14 * BH_HOUR,
		   20 * BH_HOUR, 24 * BH_HOUR},
	.delay_count = 9,
	.jitter_percent = 0,
	.jitter_first = 0,
	.hint_max = 10 * BH_HOUR,
	.overload_floor = 60 * BH_SECOND,
	.lifetime = 80 * BH_HOUR,
};

static const bh_script_judgement by_answer = {.kind = BH_JUDGED_BY_ANSWER};

static bh_conclusion conclude(bh_answer answer)
{
	return bh_conclude(&(bh_ending){.judgement = &by_answer, .answer = &answer}, &policy);
}

static bh_conclusion conclude_status(int status)
{
	return conclude((bh_answer){.status = status});
}

/* --- answers --------------------------------------------------------------------------------- */

static void every_status_has_its_row(void)
{
	const struct {
		int status;
		bh_outcome outcome;
		bh_cause cause;
		bh_usec not_before;
		bh_disabled_cause disables;
	} rows[] = {
		{200, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, 0, BH_ENABLED},
		{201, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, 0, BH_ENABLED},
		{202, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, 0, BH_ENABLED},
		{204, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, 0, BH_ENABLED},
		{226, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, 0, BH_ENABLED},
		{299, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, 0, BH_ENABLED},
		{199, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{300, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{301, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{304, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{308, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{400, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{401, BH_OUTCOME_FAILED, BH_CAUSE_CREDENTIALS, 0, BH_ENABLED},
		{403, BH_OUTCOME_FAILED, BH_CAUSE_CREDENTIALS, 0, BH_ENABLED},
		{404, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{410, BH_OUTCOME_GONE, BH_CAUSE_STATUS, 0, BH_DISABLED_BY_410},
		{429, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 60 * BH_SECOND, BH_ENABLED},
		{500, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{502, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 60 * BH_SECOND, BH_ENABLED},
		{503, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 60 * BH_SECOND, BH_ENABLED},
		{504, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 60 * BH_SECOND, BH_ENABLED},
		{599, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
		{600, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, 0, BH_ENABLED},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("status %d", rows[i].status);
		bh_conclusion c = conclude_status(rows[i].status);
		g_assert_cmpint(c.outcome, ==, rows[i].outcome);
		g_assert_cmpint(c.cause, ==, rows[i].cause);
		g_assert_cmpint(c.not_before, ==, rows[i].not_before);
		g_assert_cmpint(c.disables, ==, rows[i].disables);
		g_assert_true(c.spends);
		g_assert_cmpint(c.sentence[0] != '\0', ==, rows[i].outcome != BH_OUTCOME_DELIVERED);
	}
}

static void a_redirect_names_where_the_url_should_lead(void)
{
	bh_conclusion c = conclude((bh_answer){.status = 301, .location = (char *)"https://new.example/hook"});
	g_assert_nonnull(strstr(c.sentence, "https://new.example/hook"));
}

static void a_sentence_is_utf8_whatever_comes_from_outside(void)
{
	bh_script_judgement broken = {.kind = BH_JUDGED_RETRY, .why = (char *)"caf\xe9"};
	bh_conclusion c = bh_conclude(&(bh_ending){.judgement = &broken}, &policy);
	g_assert_cmpstr(c.sentence, ==, "caf\xef\xbf\xbd");

	for (size_t pad = 0; pad < 4; pad++) { /* so that one of them ends in the middle of a character */
		g_autoptr(GString) why = g_string_new("....");
		g_string_truncate(why, pad);
		while (why->len < 1000)
			g_string_append(why, "\xe2\x82\xac");
		bh_script_judgement wordy = {.kind = BH_JUDGED_FAILED, .why = why->str};
		c = bh_conclude(&(bh_ending){.judgement = &wordy}, &policy);
		g_assert_true(g_utf8_validate(c.sentence, -1, NULL));
		g_assert_cmpuint(strlen(c.sentence), >=, sizeof(c.sentence) - 4);
	}
}

static void a_429_with_a_hint_spends_no_attempt(void)
{
	bh_conclusion c = conclude((bh_answer){.status = 429, .has_retry_after = true, .retry_after = 7 * BH_SECOND});
	g_assert_false(c.spends);
	g_assert_cmpint(c.not_before, ==, 7 * BH_SECOND);
}

static void a_429_that_says_now_spends_an_attempt(void)
{
	bh_conclusion c = conclude((bh_answer){.status = 429, .has_retry_after = true, .retry_after = 0});
	g_assert_true(c.spends);
	g_assert_cmpint(c.not_before, ==, 0);
}

static void a_hint_counts_on_every_failure_and_has_a_ceiling(void)
{
	bh_conclusion c = conclude((bh_answer){.status = 500, .has_retry_after = true, .retry_after = 48 * BH_HOUR});
	g_assert_true(c.spends);
	g_assert_cmpint(c.not_before, ==, 10 * BH_HOUR);
}

static void what_brought_no_answer_is_a_failure_and_the_guard_is_final(void)
{
	for (bh_cause cause = BH_CAUSE_TIMEOUT; cause <= BH_CAUSE_GUARD; cause++) {
		bh_conclusion c = conclude((bh_answer){.cause = cause, .sentence = "Why."});
		g_assert_cmpint(c.cause, ==, cause);
		g_assert_cmpint(c.outcome, ==, cause == BH_CAUSE_GUARD ? BH_OUTCOME_REFUSED : BH_OUTCOME_FAILED);
		g_assert_cmpstr(c.sentence, ==, "Why.");
	}
}

static void the_method_speaks_before_the_table(void)
{
	bh_answer exists = {.status = 400};
	bh_script_judgement delivered = {.kind = BH_JUDGED_DELIVERED, .why = (char *)"already a member"};
	bh_conclusion c = bh_conclude(&(bh_ending){.judgement = &delivered, .answer = &exists}, &policy);
	g_assert_cmpint(c.outcome, ==, BH_OUTCOME_DELIVERED);
	g_assert_cmpstr(c.sentence, ==, "already a member");

	bh_answer fine = {.status = 200};
	bh_script_judgement failed = {.kind = BH_JUDGED_FAILED, .why = (char *)"wrong list"};
	c = bh_conclude(&(bh_ending){.judgement = &failed, .answer = &fine}, &policy);
	g_assert_cmpint(c.outcome, ==, BH_OUTCOME_REFUSED);

	bh_script_judgement later = {.kind = BH_JUDGED_RETRY, .after = 20 * BH_SECOND};
	c = bh_conclude(&(bh_ending){.judgement = &later, .answer = &fine}, &policy);
	g_assert_cmpint(c.outcome, ==, BH_OUTCOME_FAILED);
	g_assert_cmpint(c.not_before, ==, 20 * BH_SECOND);
}

static void a_broken_script_costs_one_attempt(void)
{
	bh_conclusion c = bh_conclude(&(bh_ending){.trouble = "basic.lua:12: no such field"}, &policy);
	g_assert_cmpint(c.outcome, ==, BH_OUTCOME_FAILED);
	g_assert_cmpint(c.cause, ==, BH_CAUSE_SCRIPT);
	g_assert_nonnull(strstr(c.sentence, "basic.lua:12: no such field"));
}

static void an_answer_without_a_call_is_the_scripts_fault(void)
{
	bh_conclusion c = bh_conclude(&(bh_ending){.judgement = &by_answer}, &policy);
	g_assert_cmpint(c.cause, ==, BH_CAUSE_SCRIPT);
}

static void a_receiver_may_end_a_delivery_or_switch_the_webhook_off(void)
{
	const struct {
		int status;
		const char *control;
		bh_outcome outcome;
		bh_disabled_cause disables;
	} rows[] = {
		{500, "abort-message", BH_OUTCOME_REFUSED, BH_ENABLED},
		{200, "abort-message", BH_OUTCOME_DELIVERED, BH_ENABLED},
		{500, "disable", BH_OUTCOME_FAILED, BH_DISABLED_BY_RECEIVER},
		{204, "Disable", BH_OUTCOME_DELIVERED, BH_DISABLED_BY_RECEIVER},
		{410, "disable", BH_OUTCOME_GONE, BH_DISABLED_BY_410},
		{500, "something else", BH_OUTCOME_FAILED, BH_ENABLED},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%d %s", rows[i].status, rows[i].control);
		bh_conclusion c = conclude((bh_answer){.status = rows[i].status, .control = (char *)rows[i].control});
		g_assert_cmpint(c.outcome, ==, rows[i].outcome);
		g_assert_cmpint(c.disables, ==, rows[i].disables);
	}
}

/* --- times ----------------------------------------------------------------------------------- */

static void the_schedule_makes_ten_attempts_in_75_h_35_min_5_s(void)
{
	bh_chance chance = bh_chance_seeded(1);
	bh_waiting waiting = {.created_at = NOON, .due_at = NOON};
	bh_conclusion failure = conclude_status(500);
	bh_usec now = NOON;
	int attempts = 0;
	for (;;) {
		attempts++;
		bh_next next = bh_next_step(&policy, &waiting, &failure, now, &chance);
		if (next.state != BH_STATE_PENDING) {
			g_assert_cmpint(next.state, ==, BH_STATE_EXHAUSTED);
			g_assert_nonnull(next.reason);
			break;
		}
		waiting.spent = next.spent;
		now = next.due_at;
	}
	g_assert_cmpint(attempts, ==, 10);
	g_assert_cmpint(now - NOON, ==, 75 * BH_HOUR + 35 * BH_MINUTE + 5 * BH_SECOND);
}

static void a_retry_after_beyond_the_schedule_wins(void)
{
	bh_chance chance = bh_chance_seeded(1);
	g_assert_cmpint(bh_retry_due(&policy, 1, 10 * BH_MINUTE, NOON, &chance), ==, NOON + 10 * BH_MINUTE);
	g_assert_cmpint(bh_retry_due(&policy, 1, BH_SECOND, NOON, &chance), ==, NOON + 5 * BH_SECOND);
	g_assert_cmpint(bh_retry_due(&policy, 10, 0, NOON, &chance), ==, INT64_MAX);
}

static void jitter_stays_within_its_bounds_and_uses_them(void)
{
	bh_policy jittery = policy;
	jittery.jitter_percent = 20;
	jittery.jitter_first = 2 * BH_SECOND;
	bh_chance chance = bh_chance_seeded(7);
	bh_usec first_min = INT64_MAX, first_max = 0, second_min = INT64_MAX, second_max = 0;
	for (int i = 0; i < 2000; i++) {
		bh_usec first = bh_retry_due(&jittery, 1, 0, 0, &chance),
			second = bh_retry_due(&jittery, 2, 0, 0, &chance);
		first_min = MIN(first_min, first);
		first_max = MAX(first_max, first);
		second_min = MIN(second_min, second);
		second_max = MAX(second_max, second);
	}
	g_assert_cmpint(first_min, >=, 5 * BH_SECOND);
	g_assert_cmpint(first_min, <, 5 * BH_SECOND + 50 * BH_MILLISECOND);
	g_assert_cmpint(first_max, <=, 7 * BH_SECOND);
	g_assert_cmpint(first_max, >, 7 * BH_SECOND - 50 * BH_MILLISECOND);
	g_assert_cmpint(second_min, >=, 4 * BH_MINUTE);
	g_assert_cmpint(second_min, <, 4 * BH_MINUTE + BH_SECOND);
	g_assert_cmpint(second_max, <=, 6 * BH_MINUTE);
	g_assert_cmpint(second_max, >, 6 * BH_MINUTE - BH_SECOND);
}

static void a_paced_delivery_keeps_its_attempts_but_not_for_ever(void)
{
	bh_chance chance = bh_chance_seeded(1);
	bh_conclusion paced = conclude((bh_answer){.status = 429, .has_retry_after = true, .retry_after = BH_HOUR});
	bh_waiting waiting = {.created_at = NOON, .spent = 1};
	bh_usec now = NOON;
	int paces = 0;
	bh_next next;
	while ((next = bh_next_step(&policy, &waiting, &paced, now, &chance)).state == BH_STATE_PENDING) {
		g_assert_cmpint(next.spent, ==, 1);
		now = next.due_at;
		paces++;
	}
	g_assert_cmpint(next.state, ==, BH_STATE_EXHAUSTED);
	g_assert_cmpint(paces, ==, 80); /* one an hour for the lifetime of 80 h */
}

static void jitter_alone_does_not_end_a_delivery(void)
{
	bh_policy jittery = policy;
	jittery.jitter_percent = 20;
	bh_chance chance = bh_chance_seeded(3);
	bh_conclusion failure = conclude_status(500);
	for (int i = 0; i < 200; i++) {
		bh_waiting waiting = {.created_at = NOON, .spent = 8};
		bh_next next = bh_next_step(&jittery, &waiting, &failure, NOON + 56 * BH_HOUR, &chance);
		g_assert_cmpint(next.state, ==, BH_STATE_PENDING);
		g_assert_cmpint(next.due_at, <=, NOON + 80 * BH_HOUR);
	}
}

static void the_outcome_decides_the_state(void)
{
	bh_chance chance = bh_chance_seeded(1);
	bh_waiting waiting = {.created_at = NOON, .spent = 3};
	bh_conclusion c = conclude_status(204);
	bh_next next = bh_next_step(&policy, &waiting, &c, NOON, &chance);
	g_assert_cmpint(next.state, ==, BH_STATE_DELIVERED);
	g_assert_cmpint(next.spent, ==, 4);
	g_assert_null(next.reason);

	c = conclude_status(410);
	next = bh_next_step(&policy, &waiting, &c, NOON, &chance);
	g_assert_cmpint(next.state, ==, BH_STATE_GONE);
	g_assert_nonnull(next.reason);

	c = conclude((bh_answer){.cause = BH_CAUSE_GUARD, .sentence = "Refused."});
	next = bh_next_step(&policy, &waiting, &c, NOON, &chance);
	g_assert_cmpint(next.state, ==, BH_STATE_EXHAUSTED);
	g_assert_cmpstr(next.reason, ==, "Refused.");
}

static void a_test_is_sent_once(void)
{
	bh_chance chance = bh_chance_seeded(1);
	bh_waiting waiting = {.created_at = NOON, .is_test = true};
	bh_conclusion c = conclude_status(500);
	g_assert_cmpint(bh_next_step(&policy, &waiting, &c, NOON, &chance).state, ==, BH_STATE_EXHAUSTED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(f) g_test_add_func("/outcome/" #f, f)
	TEST(every_status_has_its_row);
	TEST(a_redirect_names_where_the_url_should_lead);
	TEST(a_sentence_is_utf8_whatever_comes_from_outside);
	TEST(a_429_with_a_hint_spends_no_attempt);
	TEST(a_429_that_says_now_spends_an_attempt);
	TEST(a_hint_counts_on_every_failure_and_has_a_ceiling);
	TEST(what_brought_no_answer_is_a_failure_and_the_guard_is_final);
	TEST(the_method_speaks_before_the_table);
	TEST(a_receiver_may_end_a_delivery_or_switch_the_webhook_off);
	TEST(a_broken_script_costs_one_attempt);
	TEST(an_answer_without_a_call_is_the_scripts_fault);
	TEST(the_schedule_makes_ten_attempts_in_75_h_35_min_5_s);
	TEST(a_retry_after_beyond_the_schedule_wins);
	TEST(jitter_stays_within_its_bounds_and_uses_them);
	TEST(a_paced_delivery_keeps_its_attempts_but_not_for_ever);
	TEST(jitter_alone_does_not_end_a_delivery);
	TEST(the_outcome_decides_the_state);
	TEST(a_test_is_sent_once);
	return g_test_run();
}
