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

#define NOW (-2) /* a hint of 0, as a date in the past is */
#define FLOOR (60 * BH_SECOND)
#define CEILING (10 * BH_HOUR)

/* One line of the rules a row: what came, and all that follows from it. A hint is Retry-After; 0 in the table: none. */
typedef struct row {
	int status;
	bh_cause trouble; /* there was no answer: why */
	bh_usec hint;
	const char *location, *control;
	bh_outcome outcome;
	bh_cause cause;
	bh_signal signal;
	bool free; /* spends no attempt */
	bh_usec not_before, pause;
	bh_disabled_cause disables;
} row;

/* Shorthands for what most rows share. */
#define DELIVERED .outcome = BH_OUTCOME_DELIVERED, .cause = BH_CAUSE_NONE, .signal = BH_SIGNAL_WELL
#define FAILED .outcome = BH_OUTCOME_FAILED, .cause = BH_CAUSE_STATUS, .signal = BH_SIGNAL_FAILED
#define DENIED .outcome = BH_OUTCOME_FAILED, .cause = BH_CAUSE_CREDENTIALS, .signal = BH_SIGNAL_FAILED
#define OVERLOADED .outcome = BH_OUTCOME_FAILED, .cause = BH_CAUSE_STATUS, .signal = BH_SIGNAL_OVERLOADED
#define NO_ANSWER(why) .trouble = why, .cause = why, .outcome = BH_OUTCOME_FAILED, .signal = BH_SIGNAL_UNREACHABLE
#define WAITS(span) .not_before = span, .pause = span

static const row rows[] = {
	/* 200-299: delivered, all of them. A hint on what went well is no complaint. */
	{200, DELIVERED},
	{201, DELIVERED},
	{202, DELIVERED},
	{204, DELIVERED},
	{206, DELIVERED},
	{207, DELIVERED},
	{226, DELIVERED},
	{299, DELIVERED},
	{200, .hint = BH_HOUR, DELIVERED},
	/* 3xx: a failed attempt, never followed. */
	{300, FAILED},
	{301, .location = "https://new.example/hook", FAILED},
	{302, .location = "http://127.0.0.1/", FAILED},
	{303, FAILED},
	{304, FAILED},
	{307, .location = "", FAILED},
	{308, FAILED},
	{399, FAILED},
	/* 410: gone, and the webhook goes off. It answers, and well. */
	{410, .outcome = BH_OUTCOME_GONE, .cause = BH_CAUSE_STATUS, .signal = BH_SIGNAL_WELL,
	 .disables = BH_DISABLED_BY_410},
	{410, .hint = BH_HOUR, .outcome = BH_OUTCOME_GONE, .cause = BH_CAUSE_STATUS, .signal = BH_SIGNAL_WELL,
	 .disables = BH_DISABLED_BY_410},
	/* A failure with Retry-After: the hint, capped, is for the whole webhook; of a 429 it spends no attempt. */
	{429, .hint = 7 * BH_SECOND, OVERLOADED, .free = true, WAITS(7 * BH_SECOND)},
	{429, .hint = CEILING, OVERLOADED, .free = true, WAITS(CEILING)},
	{429, .hint = CEILING + 1, OVERLOADED, .free = true, WAITS(CEILING)},
	{429, .hint = INT64_MAX, OVERLOADED, .free = true, WAITS(CEILING)},
	{503, .hint = 7 * BH_SECOND, OVERLOADED, WAITS(7 * BH_SECOND)},
	{503, .hint = 48 * BH_HOUR, OVERLOADED, WAITS(CEILING)},
	{502, .hint = BH_MINUTE, OVERLOADED, WAITS(BH_MINUTE)},
	{504, .hint = BH_MINUTE, OVERLOADED, WAITS(BH_MINUTE)},
	{500, .hint = BH_MINUTE, OVERLOADED, WAITS(BH_MINUTE)},
	{500, .hint = 48 * BH_HOUR, OVERLOADED, WAITS(CEILING)},
	{400, .hint = BH_MINUTE, OVERLOADED, WAITS(BH_MINUTE)},
	{301, .hint = BH_MINUTE, OVERLOADED, WAITS(BH_MINUTE)},
	{401, .hint = BH_MINUTE, .outcome = BH_OUTCOME_FAILED, .cause = BH_CAUSE_CREDENTIALS,
	 .signal = BH_SIGNAL_OVERLOADED, WAITS(BH_MINUTE)},
	/* "Now" is no pacing: it counts, and the schedule says when. */
	{429, .hint = NOW, OVERLOADED},
	{503, .hint = NOW, OVERLOADED},
	{500, .hint = NOW, FAILED},
	/* 429, 502, 503, 504 without: the floor. Only a 429 is about more than the one request. */
	{429, OVERLOADED, WAITS(FLOOR)},
	{502, OVERLOADED, .not_before = FLOOR},
	{503, OVERLOADED, .not_before = FLOOR},
	{504, OVERLOADED, .not_before = FLOOR},
	/* 401, 403: flagged credentials. */
	{401, DENIED},
	{403, DENIED},
	/* Any other status. */
	{400, FAILED},
	{402, FAILED},
	{404, FAILED},
	{405, FAILED},
	{407, FAILED},
	{408, FAILED},
	{409, FAILED},
	{413, FAILED},
	{415, FAILED},
	{418, FAILED},
	{422, FAILED},
	{425, FAILED},
	{451, FAILED},
	{499, FAILED},
	{500, FAILED},
	{501, FAILED},
	{505, FAILED},
	{507, FAILED},
	{511, FAILED},
	{599, FAILED},
	/* What no server should end with. */
	{0, FAILED},
	{1, FAILED},
	{99, FAILED},
	{100, FAILED},
	{101, FAILED},
	{199, FAILED},
	{600, FAILED},
	{999, FAILED},
	{-1, FAILED},
	/* No answer: the receiver could not be reached. */
	{NO_ANSWER(BH_CAUSE_TIMEOUT)},
	{NO_ANSWER(BH_CAUSE_DNS)},
	{NO_ANSWER(BH_CAUSE_CONNECT)},
	{NO_ANSWER(BH_CAUSE_TLS)},
	{NO_ANSWER(BH_CAUSE_PROTOCOL)},
	/* Part of a head is no answer: what it said does not count. */
	{503, NO_ANSWER(BH_CAUSE_PROTOCOL), .hint = BH_HOUR, .control = "disable"},
	/* Refused by the network guard: final. */
	{.trouble = BH_CAUSE_GUARD, .outcome = BH_OUTCOME_REFUSED, .cause = BH_CAUSE_GUARD, .signal = BH_SIGNAL_NONE},
	/* Not the receiver's fault: neither counted nor held against it. */
	{.trouble = BH_CAUSE_PROXY,
	 .outcome = BH_OUTCOME_FAILED,
	 .cause = BH_CAUSE_PROXY,
	 .signal = BH_SIGNAL_NONE,
	 .free = true,
	 .not_before = FLOOR},
	{.trouble = BH_CAUSE_CRASH,
	 .outcome = BH_OUTCOME_UNKNOWN,
	 .cause = BH_CAUSE_CRASH,
	 .signal = BH_SIGNAL_NONE,
	 .free = true},
	{.trouble = BH_CAUSE_SCRIPT, .outcome = BH_OUTCOME_FAILED, .cause = BH_CAUSE_SCRIPT, .signal = BH_SIGNAL_NONE},
	{.trouble = BH_CAUSE_CREDENTIALS, DENIED},
	{.trouble = BH_CAUSE_STATUS, FAILED},
	/* Receiver control: abort-message ends this delivery, disable the webhook. Upper and lower case mean the same. */
	{500, .control = "abort-message", .outcome = BH_OUTCOME_REFUSED, .cause = BH_CAUSE_STATUS,
	 .signal = BH_SIGNAL_FAILED},
	{404, .control = "Abort-Message", .outcome = BH_OUTCOME_REFUSED, .cause = BH_CAUSE_STATUS,
	 .signal = BH_SIGNAL_FAILED},
	{503, .control = "abort-message", .hint = BH_MINUTE, .outcome = BH_OUTCOME_REFUSED, .cause = BH_CAUSE_STATUS,
	 .signal = BH_SIGNAL_OVERLOADED, WAITS(BH_MINUTE)},
	{200, .control = "abort-message", DELIVERED},
	{410, .control = "abort-message", .outcome = BH_OUTCOME_GONE, .cause = BH_CAUSE_STATUS,
	 .signal = BH_SIGNAL_WELL, .disables = BH_DISABLED_BY_410},
	{500, .control = "disable", FAILED, .disables = BH_DISABLED_BY_RECEIVER},
	{429, .control = "disable", .hint = 7 * BH_SECOND, OVERLOADED, .free = true, WAITS(7 * BH_SECOND),
	 .disables = BH_DISABLED_BY_RECEIVER},
	{204, .control = "Disable", DELIVERED, .disables = BH_DISABLED_BY_RECEIVER},
	{410, .control = "disable", .outcome = BH_OUTCOME_GONE, .cause = BH_CAUSE_STATUS, .signal = BH_SIGNAL_WELL,
	 .disables = BH_DISABLED_BY_410},
	{500, .control = "something else", FAILED},
	{500, .control = "", FAILED},
};

static bh_conclusion conclude_row(const row *r)
{
	return conclude((bh_answer){.status = r->status,
				    .cause = r->trouble,
				    .has_retry_after = r->hint != 0,
				    .retry_after = r->hint == NOW ? 0 : r->hint,
				    .location = (char *)r->location,
				    .control = (char *)r->control});
}

static void every_line_of_the_rules_is_kept(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const row *r = &rows[i];
		g_test_message("row %zu: status %d, cause \"%s\", control %s", i, r->status, bh_cause_name(r->trouble),
			       r->control ? r->control : "-");
		bh_conclusion c = conclude_row(r);
		g_assert_cmpint(c.outcome, ==, r->outcome);
		g_assert_cmpint(c.cause, ==, r->cause);
		g_assert_cmpint(c.signal, ==, r->signal);
		g_assert_cmpint(c.spends, ==, !r->free);
		g_assert_cmpint(c.not_before, ==, r->not_before);
		g_assert_cmpint(c.pause, ==, r->pause);
		g_assert_cmpint(c.disables, ==, r->disables);
	}
}

/* A whole sentence in plain words, which fits and does not smell of the workshop. */
static void assert_plain(const char *sentence)
{
	static const char *const jargon[] = {"curl", "CURL", "errno",  "EOF",    "SSL_",  "(null)", "0x",
					     "libc", "Lua ", "GError", "retry_", "cause", "  ",     "\n"};
	g_test_message("%s", sentence);
	g_assert_cmpuint(strlen(sentence), >=, 60);
	g_assert_cmpuint(strlen(sentence), <, sizeof(((bh_conclusion *)NULL)->sentence) - 1);
	g_assert_true(g_ascii_isupper(sentence[0]));
	g_assert_true(g_str_has_suffix(sentence, "."));
	for (size_t i = 0; i < G_N_ELEMENTS(jargon); i++)
		g_assert_null(strstr(sentence, jargon[i]));
}

/* There is always something that somebody can do, and the sentence says what. */
static void assert_helps(const char *sentence)
{
	static const char *const advice[] = {"Check ",     "check ",   "change ",   "Change ",  "Look ",
					     "look after", "Enable ",  "enable ",   "Raise ",   "Retry ",
					     "Have ",      "See that", "see that ", "a matter", "is sent again",
					     "Tell ",      "should",   "prevents"};
	for (size_t i = 0; i < G_N_ELEMENTS(advice); i++)
		if (strstr(sentence, advice[i]))
			return;
	g_error("no advice in: %s", sentence);
}

static void every_sentence_is_plain_names_the_status_and_says_what_to_do(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_conclusion c = conclude_row(&rows[i]);
		if (c.outcome == BH_OUTCOME_DELIVERED && !c.disables) {
			g_assert_cmpstr(c.sentence, ==, "");
			continue;
		}
		assert_plain(c.sentence);
		assert_helps(c.sentence);
		if (rows[i].trouble)
			continue;
		g_autofree char *status = g_strdup_printf(" %03d", rows[i].status);
		g_assert_nonnull(strstr(c.sentence, status));
	}
}

static void every_status_there_may_be_has_a_sentence(void)
{
	for (int status = -10; status <= 1100; status++) {
		bh_conclusion c = conclude_status(status);
		if (status >= 200 && status <= 299) {
			g_assert_cmpint(c.outcome, ==, BH_OUTCOME_DELIVERED);
			continue;
		}
		g_assert_cmpint(c.outcome, ==, status == 410 ? BH_OUTCOME_GONE : BH_OUTCOME_FAILED);
		g_assert_true(g_str_has_suffix(c.sentence, "."));
	}
}

static void every_cause_has_a_sentence_of_its_own_for_where_nobody_said_it_better(void)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (bh_cause cause = BH_CAUSE_STATUS; cause <= BH_CAUSE_LOOKUP; cause++) {
		bh_conclusion c = conclude((bh_answer){.cause = cause});
		assert_plain(c.sentence);
		assert_helps(c.sentence);
		g_assert_true(g_hash_table_add(seen, g_strdup(c.sentence)));

		bh_conclusion told = conclude((bh_answer){.cause = cause, .sentence = "Nobody is at home there."});
		g_assert_cmpstr(told.sentence, ==, "Nobody is at home there.");
	}
	g_assert_cmpuint(g_hash_table_size(seen), ==, 13);
}

static void without_hints_or_floor_nothing_is_paced(void)
{
	bh_policy rash = policy;
	rash.hint_max = 0;
	rash.overload_floor = 0;
	bh_answer busy = {.status = 429, .has_retry_after = true, .retry_after = BH_HOUR};

	bh_conclusion c = bh_conclude(&(bh_ending){.judgement = &by_answer, .answer = &busy}, &rash);

	g_assert_true(c.spends);
	g_assert_cmpint(c.not_before, ==, 0);
	g_assert_cmpint(c.pause, ==, 0);
}

static void a_place_of_thousand_letters_leaves_room_for_the_advice(void)
{
	g_autoptr(GString) far = g_string_new("https://new.example/");
	while (far->len < 2000)
		g_string_append(far, "\xc3\xa9\x01");
	bh_conclusion c = conclude((bh_answer){.status = 301, .location = far->str});
	assert_plain(c.sentence);
	assert_helps(c.sentence);
	g_assert_true(g_utf8_validate(c.sentence, -1, NULL));
	g_assert_null(strchr(c.sentence, '\x01'));
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

static void the_method_speaks_before_the_table(void)
{
	const struct {
		int kind;
		bh_answer answer;
		bool called;
		bh_usec after;
		bh_outcome outcome;
		bh_cause cause;
		bh_signal signal;
		bool free;
		bh_usec not_before, pause;
	} table[] = {
		/* delivered: whatever the answer was, if there was one */
		{BH_JUDGED_DELIVERED, {.status = 400}, true, 0, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, BH_SIGNAL_WELL},
		{BH_JUDGED_DELIVERED, {.status = 503}, true, 0, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, BH_SIGNAL_WELL},
		{BH_JUDGED_DELIVERED, {0}, false, 0, BH_OUTCOME_DELIVERED, BH_CAUSE_NONE, BH_SIGNAL_NONE},
		{BH_JUDGED_DELIVERED,
		 {.cause = BH_CAUSE_DNS},
		 true,
		 0,
		 BH_OUTCOME_DELIVERED,
		 BH_CAUSE_NONE,
		 BH_SIGNAL_NONE},
		/* retry: what the answer says of the receiver stands */
		{BH_JUDGED_RETRY, {.status = 200}, true, -1, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, BH_SIGNAL_FAILED},
		{BH_JUDGED_RETRY,
		 {.status = 200},
		 true,
		 20 * BH_SECOND,
		 BH_OUTCOME_FAILED,
		 BH_CAUSE_STATUS,
		 BH_SIGNAL_FAILED,
		 false,
		 20 * BH_SECOND},
		{BH_JUDGED_RETRY,
		 {.status = 200},
		 true,
		 20 * BH_HOUR,
		 BH_OUTCOME_FAILED,
		 BH_CAUSE_STATUS,
		 BH_SIGNAL_FAILED,
		 false,
		 10 * BH_HOUR},
		{BH_JUDGED_RETRY, {.status = 410}, true, -1, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, BH_SIGNAL_FAILED},
		{BH_JUDGED_RETRY, {.status = 401}, true, -1, BH_OUTCOME_FAILED, BH_CAUSE_CREDENTIALS, BH_SIGNAL_FAILED},
		{BH_JUDGED_RETRY,
		 {.status = 429},
		 true,
		 -1,
		 BH_OUTCOME_FAILED,
		 BH_CAUSE_STATUS,
		 BH_SIGNAL_OVERLOADED,
		 false,
		 FLOOR,
		 FLOOR},
		{BH_JUDGED_RETRY,
		 {.status = 429, .has_retry_after = true, .retry_after = BH_MINUTE},
		 true,
		 30 * BH_SECOND,
		 BH_OUTCOME_FAILED,
		 BH_CAUSE_STATUS,
		 BH_SIGNAL_OVERLOADED,
		 true,
		 30 * BH_SECOND,
		 BH_MINUTE},
		{BH_JUDGED_RETRY,
		 {.cause = BH_CAUSE_TIMEOUT},
		 true,
		 -1,
		 BH_OUTCOME_FAILED,
		 BH_CAUSE_TIMEOUT,
		 BH_SIGNAL_UNREACHABLE},
		{BH_JUDGED_RETRY,
		 {.cause = BH_CAUSE_PROXY},
		 true,
		 -1,
		 BH_OUTCOME_FAILED,
		 BH_CAUSE_PROXY,
		 BH_SIGNAL_NONE,
		 true,
		 FLOOR},
		{BH_JUDGED_RETRY,
		 {.cause = BH_CAUSE_GUARD},
		 true,
		 -1,
		 BH_OUTCOME_FAILED,
		 BH_CAUSE_GUARD,
		 BH_SIGNAL_NONE},
		{BH_JUDGED_RETRY, {0}, false, -1, BH_OUTCOME_FAILED, BH_CAUSE_STATUS, BH_SIGNAL_NONE},
		/* fail: final */
		{BH_JUDGED_FAILED, {.status = 200}, true, 0, BH_OUTCOME_REFUSED, BH_CAUSE_STATUS, BH_SIGNAL_FAILED},
		{BH_JUDGED_FAILED, {.status = 400}, true, 0, BH_OUTCOME_REFUSED, BH_CAUSE_STATUS, BH_SIGNAL_FAILED},
		{BH_JUDGED_FAILED,
		 {.cause = BH_CAUSE_CONNECT},
		 true,
		 0,
		 BH_OUTCOME_REFUSED,
		 BH_CAUSE_CONNECT,
		 BH_SIGNAL_UNREACHABLE},
		{BH_JUDGED_FAILED, {0}, false, 0, BH_OUTCOME_REFUSED, BH_CAUSE_STATUS, BH_SIGNAL_NONE},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		bh_script_judgement word = {
			.kind = table[i].kind, .why = (char *)"So said the method", .after = table[i].after};
		bh_ending ending = {.judgement = &word, .answer = table[i].called ? &table[i].answer : NULL};
		g_test_message("row %zu", i);

		bh_conclusion c = bh_conclude(&ending, &policy);

		g_assert_cmpint(c.outcome, ==, table[i].outcome);
		g_assert_cmpint(c.cause, ==, table[i].cause);
		g_assert_cmpint(c.signal, ==, table[i].signal);
		g_assert_cmpint(c.spends, ==, !table[i].free);
		g_assert_cmpint(c.not_before, ==, table[i].not_before);
		g_assert_cmpint(c.pause, ==, table[i].pause);
		g_assert_cmpint(c.disables, ==, BH_ENABLED);
		g_assert_cmpstr(c.sentence, ==, "So said the method");

		word.why = NULL;
		c = bh_conclude(&ending, &policy);
		if (c.outcome == BH_OUTCOME_DELIVERED)
			g_assert_cmpstr(c.sentence, ==, "");
		else
			assert_plain(c.sentence);
	}
}

static void a_broken_script_costs_one_attempt(void)
{
	bh_conclusion c = bh_conclude(&(bh_ending){.trouble = "basic.lua:12: no such field"}, &policy);
	g_assert_cmpint(c.outcome, ==, BH_OUTCOME_FAILED);
	g_assert_cmpint(c.cause, ==, BH_CAUSE_SCRIPT);
	g_assert_nonnull(strstr(c.sentence, "basic.lua:12: no such field. "));
	g_assert_cmpint(c.signal, ==, BH_SIGNAL_NONE);
	g_assert_true(c.spends);
	assert_helps(c.sentence);
}

static void an_own_script_that_breaks_is_its_owners_matter(void)
{
	bh_conclusion c = bh_conclude(&(bh_ending){.trouble = "script:3: no such field"}, &policy);
	g_assert_cmpint(c.cause, ==, BH_CAUSE_SCRIPT);
	g_assert_true(c.spends);
	g_assert_true(g_str_has_prefix(c.sentence, "The webhook's own script failed: script:3: no such field. "));
	g_assert_null(strstr(c.sentence, "method"));
	assert_helps(c.sentence);
}

/* The host ended the run, for it could not have what the script asked for. */
static const struct {
	bh_cause why;
	bh_usec after;
	bool was_asked; /* by this run or another one */
	bool has_asked; /* this run itself */
	bh_outcome outcome;
	bh_signal signal;
	bool free;
	bh_usec not_before, pause;
} endings[] = {
	/* The token service is away, or refuses the client: its own request has seen it. */
	{BH_CAUSE_TOKEN, 5 * BH_SECOND, true, true, BH_OUTCOME_FAILED, BH_SIGNAL_UNREACHABLE, false,
	 WAITS(5 * BH_SECOND)},
	{BH_CAUSE_CREDENTIALS, 5 * BH_SECOND, true, true, BH_OUTCOME_FAILED, BH_SIGNAL_FAILED, false,
	 WAITS(5 * BH_SECOND)},
	/* Those who waited for that request fail with it, but it was one failure. */
	{BH_CAUSE_TOKEN, 5 * BH_SECOND, true, false, BH_OUTCOME_FAILED, BH_SIGNAL_NONE, false, WAITS(5 * BH_SECOND)},
	{BH_CAUSE_CREDENTIALS, 5 * BH_SECOND, true, false, BH_OUTCOME_FAILED, BH_SIGNAL_NONE, false,
	 WAITS(5 * BH_SECOND)},
	/* It was too early for the next request: nothing happened. */
	{BH_CAUSE_TOKEN, 4 * BH_MINUTE, false, false, BH_OUTCOME_FAILED, BH_SIGNAL_NONE, true, WAITS(4 * BH_MINUTE)},
	{BH_CAUSE_CREDENTIALS, BH_SECOND, false, false, BH_OUTCOME_FAILED, BH_SIGNAL_NONE, true, WAITS(BH_SECOND)},
	/* Without a time the schedule says when; one beyond the limit of hints is cut like them. */
	{BH_CAUSE_TOKEN, -1, true, true, BH_OUTCOME_FAILED, BH_SIGNAL_UNREACHABLE, false, WAITS(0)},
	{BH_CAUSE_TOKEN, BH_DAY, true, true, BH_OUTCOME_FAILED, BH_SIGNAL_UNREACHABLE, false, WAITS(CEILING)},
	/* What the guard forbids it forbids tomorrow. */
	{BH_CAUSE_GUARD, 5 * BH_SECOND, true, true, BH_OUTCOME_REFUSED, BH_SIGNAL_NONE, false, WAITS(5 * BH_SECOND)},
	/* The site's own API is no fault of the receiver: nothing is spent, nobody else waits. */
	{BH_CAUSE_LOOKUP, -1, true, true, BH_OUTCOME_FAILED, BH_SIGNAL_NONE, true, FLOOR, 0},
	{BH_CAUSE_LOOKUP, 2 * FLOOR, true, true, BH_OUTCOME_FAILED, BH_SIGNAL_NONE, true, 2 * FLOOR, 0},
};

static void without_a_token_or_details_the_run_ends_as_the_rules_say(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(endings); i++) {
		bh_script_judgement word = {.kind = BH_JUDGED_ENDED,
					    .why = (char *)"The token service answered 503",
					    .after = endings[i].after,
					    .cause = endings[i].why,
					    .was_asked = endings[i].was_asked};
		bh_answer answer = {.status = 503};
		bh_ending ending = {.judgement = &word,
				    .answer = endings[i].has_asked ? &answer : NULL,
				    .has_asked = endings[i].has_asked};
		g_test_message("row %zu", i);

		bh_conclusion c = bh_conclude(&ending, &policy);

		g_assert_cmpint(c.outcome, ==, endings[i].outcome);
		g_assert_cmpint(c.cause, ==, endings[i].why);
		g_assert_cmpint(c.signal, ==, endings[i].signal);
		g_assert_cmpint(c.spends, ==, !endings[i].free);
		g_assert_cmpint(c.not_before, ==, endings[i].not_before);
		g_assert_cmpint(c.pause, ==, endings[i].pause);
		g_assert_cmpint(c.disables, ==, BH_ENABLED);
		g_assert_cmpstr(c.sentence, ==, "The token service answered 503");
		word.why = NULL;
		assert_helps(bh_conclude(&ending, &policy).sentence);
	}
}

static void a_token_that_nobody_asked_for_yet_costs_no_attempt(void)
{
	bh_chance chance = bh_chance_seeded(1);
	bh_script_judgement word = {.kind = BH_JUDGED_ENDED, .after = 4 * BH_MINUTE, .cause = BH_CAUSE_TOKEN};
	bh_conclusion c = bh_conclude(&(bh_ending){.judgement = &word}, &policy);

	for (int spent = 0; spent <= 9; spent++) {
		bh_waiting waiting = {.created_at = NOON, .spent = spent, .attempts = spent};
		bh_next next = bh_next_step(&policy, &waiting, &c, NOON, &chance);
		g_assert_cmpint(next.state, ==, BH_STATE_PENDING);
		g_assert_cmpint(next.spent, ==, spent);
		g_assert_cmpint(next.due_at, >=, NOON + 4 * BH_MINUTE);
	}
}

static void an_answer_without_a_call_is_the_scripts_fault(void)
{
	bh_conclusion c = bh_conclude(&(bh_ending){.judgement = &by_answer}, &policy);
	g_assert_cmpint(c.cause, ==, BH_CAUSE_SCRIPT);
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

static void jitter_never_comes_before_the_hint(void)
{
	bh_policy jittery = policy;
	jittery.jitter_percent = 20;
	bh_chance chance = bh_chance_seeded(7);
	for (int i = 0; i < 2000; i++)
		g_assert_cmpint(bh_retry_due(&jittery, 2, 5 * BH_MINUTE, 0, &chance), >=, 5 * BH_MINUTE);
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

static void what_spends_nothing_is_not_the_last_attempt(void)
{
	bh_chance chance = bh_chance_seeded(1);
	bh_conclusion paced =
		conclude((bh_answer){.status = 429, .has_retry_after = true, .retry_after = 30 * BH_SECOND});
	bh_waiting waiting = {.created_at = NOON, .spent = 9}; /* its step, 24 h, would outlive it */
	bh_usec late = NOON + 76 * BH_HOUR;

	bh_next next = bh_next_step(&policy, &waiting, &paced, late, &chance);
	g_assert_cmpint(next.state, ==, BH_STATE_PENDING);
	g_assert_cmpint(next.spent, ==, 9);
	g_assert_cmpint(next.due_at, ==, late + 30 * BH_SECOND);

	bh_policy once = policy;
	once.delay_count = 0;
	waiting.spent = 0;
	next = bh_next_step(&once, &waiting, &paced, NOON, &chance);
	g_assert_cmpint(next.state, ==, BH_STATE_PENDING);
	g_assert_cmpint(next.due_at, ==, NOON + 30 * BH_SECOND);
}

static void a_fault_on_our_side_costs_no_attempt_and_no_step_but_the_life_still_ends(bh_conclusion fault)
{
	bh_chance chance = bh_chance_seeded(1);
	bh_policy jittery = policy;
	jittery.jitter_percent = 20;
	jittery.jitter_first = 2 * BH_SECOND;
	for (int spent = 0; spent <= 9; spent++) {
		bh_waiting waiting = {.created_at = NOON, .spent = spent, .attempts = spent};
		bh_usec now = NOON, end = NOON + policy.lifetime;
		bh_next next;
		while ((next = bh_next_step(&jittery, &waiting, &fault, now, &chance)).state == BH_STATE_PENDING) {
			bh_usec wait = FLOOR << MIN(waiting.attempts - spent, 4);
			g_assert_cmpint(next.spent, ==, spent);
			g_assert_cmpint(next.due_at, >=, MIN(now + FLOOR, end));
			g_assert_cmpint(next.due_at, >=, now + MIN(wait, end - now) * 8 / 10);
			g_assert_cmpint(next.due_at, <=, MIN(now + wait * 12 / 10 + 2 * BH_SECOND, end));
			now = next.due_at;
			waiting.attempts++;
		}
		g_assert_cmpint(next.state, ==, BH_STATE_EXHAUSTED);
		g_assert_cmpint(next.spent, ==, spent);
		g_assert_cmpint(now, >, end - FLOOR); /* it had all of its life */
		g_assert_cmpint(waiting.attempts - spent, >, 200);
		g_assert_cmpint(waiting.attempts - spent, <, 500);
	}
}

static void a_failed_look_up_is_a_fault_on_our_side(void)
{
	bh_script_judgement word = {.kind = BH_JUDGED_ENDED, .after = -1, .cause = BH_CAUSE_LOOKUP, .was_asked = true};
	a_fault_on_our_side_costs_no_attempt_and_no_step_but_the_life_still_ends(
		bh_conclude(&(bh_ending){.judgement = &word, .has_asked = true}, &policy));
}

static void a_fault_of_our_proxy_costs_no_attempt_and_no_step_but_the_life_still_ends(void)
{
	bh_chance chance = bh_chance_seeded(1);
	bh_conclusion fault = conclude((bh_answer){.cause = BH_CAUSE_PROXY});
	a_fault_on_our_side_costs_no_attempt_and_no_step_but_the_life_still_ends(fault);

	/* Not even without a floor does it turn in circles. */
	bh_policy rash = policy;
	rash.overload_floor = 0;
	bh_answer answer = {.cause = BH_CAUSE_PROXY};
	fault = bh_conclude(&(bh_ending){.judgement = &by_answer, .answer = &answer}, &rash);
	bh_waiting waiting = {.created_at = NOON};
	g_assert_cmpint(bh_next_step(&rash, &waiting, &fault, NOON, &chance).due_at, >=, NOON + BH_SECOND);
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
	TEST(every_line_of_the_rules_is_kept);
	TEST(every_sentence_is_plain_names_the_status_and_says_what_to_do);
	TEST(every_status_there_may_be_has_a_sentence);
	TEST(every_cause_has_a_sentence_of_its_own_for_where_nobody_said_it_better);
	TEST(without_hints_or_floor_nothing_is_paced);
	TEST(a_place_of_thousand_letters_leaves_room_for_the_advice);
	TEST(a_redirect_names_where_the_url_should_lead);
	TEST(a_sentence_is_utf8_whatever_comes_from_outside);
	TEST(the_method_speaks_before_the_table);
	TEST(a_broken_script_costs_one_attempt);
	TEST(an_own_script_that_breaks_is_its_owners_matter);
	TEST(without_a_token_or_details_the_run_ends_as_the_rules_say);
	TEST(a_token_that_nobody_asked_for_yet_costs_no_attempt);
	TEST(a_failed_look_up_is_a_fault_on_our_side);
	TEST(an_answer_without_a_call_is_the_scripts_fault);
	TEST(the_schedule_makes_ten_attempts_in_75_h_35_min_5_s);
	TEST(a_retry_after_beyond_the_schedule_wins);
	TEST(jitter_stays_within_its_bounds_and_uses_them);
	TEST(jitter_never_comes_before_the_hint);
	TEST(a_paced_delivery_keeps_its_attempts_but_not_for_ever);
	TEST(what_spends_nothing_is_not_the_last_attempt);
	TEST(a_fault_of_our_proxy_costs_no_attempt_and_no_step_but_the_life_still_ends);
	TEST(jitter_alone_does_not_end_a_delivery);
	TEST(the_outcome_decides_the_state);
	TEST(a_test_is_sent_once);
	return g_test_run();
}
