#include "delivery/streak.h"

#include "base/chance.h"

#define NOON (INT64_C(1767268800) * BH_SECOND)

static const bh_streak_policy policy = {
	.disable_after = 5 * BH_DAY,
	.disable_gap = 12 * BH_HOUR,
	.warn_after = 24 * BH_HOUR,
	.warn_before = 24 * BH_HOUR,
};

static const bh_conclusion well = {.outcome = BH_OUTCOME_DELIVERED, .spends = true, .signal = BH_SIGNAL_WELL};
static const bh_conclusion bad = {
	.outcome = BH_OUTCOME_FAILED, .cause = BH_CAUSE_STATUS, .spends = true, .signal = BH_SIGNAL_FAILED};

static bool is_same(const bh_streak *a, const bh_streak *b)
{
	return a->failing_since == b->failing_since && a->first_exhausted == b->first_exhausted &&
	       a->last_exhausted == b->last_exhausted && a->warned == b->warned && a->warned_at == b->warned_at;
}

/* An attempt of 2 s that ended at `now`. */
static bool fold(bh_streak *s, const bh_conclusion *c, bh_state state, bh_usec now)
{
	return bh_streak_fold(s, c, state, now - 2 * BH_SECOND, now);
}

static bool fails(bh_streak *s, bh_usec now)
{
	return fold(s, &bad, BH_STATE_PENDING, now);
}

static bool exhausts(bh_streak *s, bh_usec now)
{
	return fold(s, &bad, BH_STATE_EXHAUSTED, now);
}

/* --- The run ------------------------------------------------------------------------------------- */

static void what_each_attempt_does_to_the_run(void)
{
	static const struct {
		bh_outcome outcome;
		bh_signal signal;
		bh_state state;
		enum { CLEARS, KEEPS, FAILS, EXHAUSTS } does;
	} rows[] = {
		{BH_OUTCOME_DELIVERED, BH_SIGNAL_WELL, BH_STATE_DELIVERED, CLEARS},
		/* by the method's word, without an answer */
		{BH_OUTCOME_DELIVERED, BH_SIGNAL_NONE, BH_STATE_DELIVERED, KEEPS},
		{BH_OUTCOME_FAILED, BH_SIGNAL_FAILED, BH_STATE_PENDING, FAILS},
		{BH_OUTCOME_FAILED, BH_SIGNAL_FAILED, BH_STATE_EXHAUSTED, EXHAUSTS},
		{BH_OUTCOME_FAILED, BH_SIGNAL_OVERLOADED, BH_STATE_PENDING, FAILS},
		{BH_OUTCOME_FAILED, BH_SIGNAL_OVERLOADED, BH_STATE_EXHAUSTED, EXHAUSTS},
		{BH_OUTCOME_FAILED, BH_SIGNAL_UNREACHABLE, BH_STATE_PENDING, FAILS},
		{BH_OUTCOME_FAILED, BH_SIGNAL_UNREACHABLE, BH_STATE_EXHAUSTED, EXHAUSTS},
		/* a webhook that was disabled meanwhile */
		{BH_OUTCOME_FAILED, BH_SIGNAL_FAILED, BH_STATE_HELD, FAILS},
		/* receiver control, or the method's last word */
		{BH_OUTCOME_REFUSED, BH_SIGNAL_FAILED, BH_STATE_EXHAUSTED, EXHAUSTS},
		/* our own: script, guard, proxy, crash */
		{BH_OUTCOME_FAILED, BH_SIGNAL_NONE, BH_STATE_PENDING, KEEPS},
		{BH_OUTCOME_FAILED, BH_SIGNAL_NONE, BH_STATE_EXHAUSTED, KEEPS},
		{BH_OUTCOME_REFUSED, BH_SIGNAL_NONE, BH_STATE_EXHAUSTED, KEEPS},
		{BH_OUTCOME_UNKNOWN, BH_SIGNAL_NONE, BH_STATE_PENDING, KEEPS},
		/* switches off by itself */
		{BH_OUTCOME_GONE, BH_SIGNAL_WELL, BH_STATE_GONE, KEEPS},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_conclusion c = {.outcome = rows[i].outcome, .signal = rows[i].signal};
		bh_streak none = {0}, old = {.failing_since = NOON, .warned = BH_WARNING_FAILING}, s = none, t = old;
		bool failure = rows[i].does >= FAILS;
		bh_usec ended = NOON + BH_DAY;
		g_test_message("row %zu", i);

		bool began = fold(&s, &c, rows[i].state, ended);
		g_assert_cmpint(began, ==, failure);
		g_assert_cmpint(bh_streak_is_failure(&c), ==, failure);
		g_assert_cmpint(s.failing_since, ==, failure ? ended - 2 * BH_SECOND : 0);
		g_assert_cmpint(s.first_exhausted, ==, rows[i].does == EXHAUSTS ? ended : 0);

		bool changed = fold(&t, &c, rows[i].state, ended);
		g_assert_cmpint(changed, ==, rows[i].does == CLEARS || rows[i].does == EXHAUSTS);
		g_assert_cmpint(t.failing_since, ==, rows[i].does == CLEARS ? 0 : NOON);
		g_assert_cmpint(t.last_exhausted, ==, rows[i].does == EXHAUSTS ? ended : 0);
		g_assert_cmpint(t.warned, ==, rows[i].does == CLEARS ? 0 : BH_WARNING_FAILING);
	}
}

static void a_success_clears_all_of_it(void)
{
	bh_streak s = {NOON, NOON, NOON, BH_WARNING_FAILING | BH_WARNING_DISABLING, NOON};

	g_assert_true(fold(&s, &well, BH_STATE_DELIVERED, NOON + BH_HOUR));
	g_assert_true(is_same(&s, &(bh_streak){0}));
	g_assert_false(fold(&s, &well, BH_STATE_DELIVERED, NOON + BH_HOUR)); /* nothing to store */
}

static void a_run_begins_with_the_attempt_that_began_first(void)
{
	bh_streak s = {0};

	g_assert_true(bh_streak_fold(&s, &bad, BH_STATE_PENDING, NOON + 5, NOON + 10));
	g_assert_true(bh_streak_fold(&s, &bad, BH_STATE_PENDING, NOON, NOON + 15 * BH_SECOND));
	g_assert_cmpint(s.failing_since, ==, NOON);
	g_assert_false(bh_streak_fold(&s, &bad, BH_STATE_PENDING, NOON + 7, NOON + 15 * BH_SECOND));
	g_assert_cmpint(s.failing_since, ==, NOON);
}

static void thousands_that_are_exhausted_are_stored_now_and_then(void)
{
	bh_streak s = {0};
	int stored = 0;

	for (int i = 0; i < 4 * 24 * 60; i++) /* one a minute for four days */
		stored += exhausts(&s, NOON + i * BH_MINUTE);

	g_assert_cmpint(stored, <, 4 * 24 + 60);
	g_assert_cmpint(s.first_exhausted, ==, NOON);
	g_assert_cmpint(NOON + 4 * BH_DAY - s.last_exhausted, <=, BH_HOUR + BH_MINUTE);
}

static void a_life_that_ends_behind_the_breaker_counts_while_it_fails(void)
{
	bh_streak s = {0};

	g_assert_false(bh_streak_exhausted(&s, NOON));
	g_assert_cmpint(s.first_exhausted, ==, 0);
	fails(&s, NOON);
	g_assert_true(bh_streak_exhausted(&s, NOON + 80 * BH_HOUR));
	g_assert_false(bh_streak_exhausted(&s, NOON + 80 * BH_HOUR));
	g_assert_cmpint(s.first_exhausted, ==, NOON + 80 * BH_HOUR);
	g_assert_true(bh_streak_exhausted(&s, NOON + 92 * BH_HOUR));
	g_assert_cmpint(s.last_exhausted, ==, NOON + 92 * BH_HOUR);
}

/* --- What follows -------------------------------------------------------------------------------- */

static void every_rule_of_switching_off_has_its_row(void)
{
	enum { F = BH_WARNING_FAILING, D = BH_WARNING_DISABLING };
	/* hours after the run began; -1: has not happened */
	static const struct {
		int since, first, last;
		unsigned warned;
		int warned_at, now;
		bh_streak_verdict verdict;
		int disables_at;
	} rows[] = {
		/* No run, nothing to say. */
		{-1, -1, -1, 0, -1, 1000, BH_STREAK_FINE, -1},
		/* It fails, and nothing was exhausted: no end in sight. */
		{0, -1, -1, 0, -1, 0, BH_STREAK_FINE, -1},
		{0, -1, -1, 0, -1, 23, BH_STREAK_FINE, -1},
		{0, -1, -1, 0, -1, 24, BH_STREAK_WARN_FAILING, -1},
		{0, -1, -1, F, -1, 24, BH_STREAK_FINE, -1},
		{0, -1, -1, F, -1, 1000, BH_STREAK_FINE, -1},
		/* The usual course: exhausted at 76 h, told at 96 h, off at 120 h. */
		{0, 76, 76, F, -1, 95, BH_STREAK_FINE, 120},
		{0, 76, 95, F, -1, 96, BH_STREAK_WARN_DISABLING, 120},
		{0, 76, 96, F | D, 96, 97, BH_STREAK_FINE, 120},
		{0, 76, 119, F | D, 96, 119, BH_STREAK_FINE, 120},
		{0, 76, 120, F | D, 96, 120, BH_STREAK_DISABLE, 120},
		/* Time alone is not enough: one exhausted, or two close together. */
		{0, 76, 76, F | D, 96, 500, BH_STREAK_FINE, 120},
		{0, 76, 87, F | D, 96, 500, BH_STREAK_FINE, 120},
		{0, 76, 88, F | D, 96, 500, BH_STREAK_DISABLE, 120},
		/* Exhausted ones alone are not enough, however many. */
		{0, 0, 50, F, -1, 50, BH_STREAK_FINE, 120},
		{0, 0, 95, F | D, 0, 119, BH_STREAK_FINE, 120},
		/* Exhausted late: the owner has his notice first. */
		{0, 119, 119, F, -1, 119, BH_STREAK_WARN_DISABLING, 143},
		{0, 119, 131, F | D, 119, 142, BH_STREAK_FINE, 143},
		{0, 119, 131, F | D, 119, 143, BH_STREAK_DISABLE, 143},
		/* All is over when it is looked at, because we were down ourselves: he is told, and then has his day. */
		{0, 76, 300, 0, -1, 300, BH_STREAK_WARN_DISABLING, 120},
		{0, 76, 300, D, 300, 323, BH_STREAK_FINE, 324},
		{0, 76, 300, D, 300, 324, BH_STREAK_DISABLE, 324},
		/* Who was told the more serious is not told the less. */
		{0, 76, 76, D, 96, 100, BH_STREAK_FINE, 120},
		/* The clock went back behind the notice: it waits. */
		{0, 76, 120, F | D, 400, 200, BH_STREAK_FINE, 424},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_streak s = {.warned = rows[i].warned};
#define AT(hours) ((hours) < 0 ? 0 : NOON + (hours)*BH_HOUR)
		s.failing_since = AT(rows[i].since);
		s.first_exhausted = AT(rows[i].first);
		s.last_exhausted = AT(rows[i].last);
		s.warned_at = AT(rows[i].warned_at);
		g_test_message("row %zu", i);
		g_assert_cmpint(bh_streak_disables_at(&s, &policy), ==, AT(rows[i].disables_at));
		g_assert_cmpint(bh_streak_judge(&s, &policy, AT(rows[i].now)), ==, rows[i].verdict);
#undef AT
	}
}

static void a_warning_is_given_once(void)
{
	bh_streak s = {
		.failing_since = NOON, .first_exhausted = NOON + 76 * BH_HOUR, .last_exhausted = NOON + 95 * BH_HOUR};

	g_assert_false(bh_streak_warned(&s, BH_STREAK_FINE, NOON));
	g_assert_false(bh_streak_warned(&s, BH_STREAK_DISABLE, NOON));
	g_assert_true(bh_streak_warned(&s, BH_STREAK_WARN_FAILING, NOON + BH_DAY));
	g_assert_cmpint(s.warned_at, ==, 0);
	g_assert_true(bh_streak_warned(&s, BH_STREAK_WARN_DISABLING, NOON + 4 * BH_DAY));
	g_assert_cmpint(s.warned_at, ==, NOON + 4 * BH_DAY);
	g_assert_cmpint(bh_streak_judge(&s, &policy, NOON + 4 * BH_DAY), ==, BH_STREAK_FINE);
}

/* --- Histories ----------------------------------------------------------------------------------- */

/* What a loop does after each attempt and at each look: fold, judge, note. True: it would be switched off now. */
static bool step(bh_streak *s, const bh_streak_policy *p, bh_usec now, int warnings[2])
{
	bh_streak_verdict v = bh_streak_judge(s, p, now);
	if (v == BH_STREAK_WARN_FAILING || v == BH_STREAK_WARN_DISABLING) {
		warnings[v == BH_STREAK_WARN_DISABLING]++;
		g_assert_true(bh_streak_warned(s, v, now));
		g_assert_cmpint(bh_streak_judge(s, p, now), !=, v);
	}
	return v == BH_STREAK_DISABLE;
}

static void a_million_failures_in_two_minutes_switch_nothing_off(void)
{
	bh_streak s = {0};
	int warnings[2] = {0};

	for (int i = 0; i < 1000000; i++) {
		bh_usec now = NOON + i * (2 * BH_MINUTE / 1000000);
		fold(&s, &bad, i % 10 == 9 ? BH_STATE_EXHAUSTED : BH_STATE_PENDING, now);
		g_assert_false(step(&s, &policy, now, warnings));
	}
	/* Nobody sends it anything for a month after that: still it is not switched off, for two were never far apart. */
	g_assert_cmpint(bh_streak_judge(&s, &policy, NOON + 4 * BH_DAY), ==, BH_STREAK_WARN_DISABLING);
	bh_streak_warned(&s, BH_STREAK_WARN_DISABLING, NOON + 4 * BH_DAY);
	g_assert_cmpint(bh_streak_judge(&s, &policy, NOON + 30 * BH_DAY), ==, BH_STREAK_FINE);
}

static void a_dead_receiver_is_warned_of_twice_and_goes_off_after_five_days(void)
{
	bh_streak s = {0};
	int warnings[2] = {0};
	bh_usec now = NOON, off = 0;

	for (int attempt = 0; !off; attempt++, now += 10 * BH_MINUTE) {
		fold(&s, &bad, attempt % 10 == 9 && now - NOON > 75 * BH_HOUR ? BH_STATE_EXHAUSTED : BH_STATE_PENDING,
		     now);
		if (step(&s, &policy, now, warnings))
			off = now;
		if (now - NOON < 24 * BH_HOUR)
			g_assert_cmpint(warnings[0], ==, 0);
		if (now - NOON < 95 * BH_HOUR)
			g_assert_cmpint(warnings[1], ==, 0);
	}
	g_assert_cmpint(warnings[0], ==, 1);
	g_assert_cmpint(warnings[1], ==, 1);
	g_assert_cmpint(off - NOON, >=, 5 * BH_DAY - 2 * BH_SECOND);
	g_assert_cmpint(off - NOON, <=, 5 * BH_DAY + 10 * BH_MINUTE);
}

static void one_success_in_five_days_keeps_it_on(void)
{
	bh_streak s = {0};
	int warnings[2] = {0};

	for (int hour = 0; hour < 24 * 365; hour++) {
		bh_usec now = NOON + hour * BH_HOUR;
		if (hour % (24 * 5) == 0)
			fold(&s, &well, BH_STATE_DELIVERED, now);
		else
			exhausts(&s, now);
		g_assert_false(step(&s, &policy, now, warnings));
	}
}

/* An attempt as the record keeps it, with what it meant. */
typedef struct attempt {
	bh_usec started, ended;
	bh_conclusion conclusion;
	bh_state state;
} attempt;

static attempt random_attempt(bh_chance *chance, bh_usec at, int percent_well)
{
	static const bh_signal signals[] = {BH_SIGNAL_FAILED, BH_SIGNAL_OVERLOADED, BH_SIGNAL_UNREACHABLE,
					    BH_SIGNAL_NONE};
	attempt a = {
		.ended = at, .started = at - bh_chance_between(chance, 0, 30 * BH_SECOND), .state = BH_STATE_PENDING};
	int64_t dice = bh_chance_between(chance, 0, 99);

	if (dice < percent_well) {
		a.conclusion = well;
		a.state = BH_STATE_DELIVERED;
		return a;
	}
	a.conclusion = bad;
	a.conclusion.signal = signals[bh_chance_between(chance, 0, 3)];
	if (bh_chance_between(chance, 0, 3) == 0) {
		a.state = BH_STATE_EXHAUSTED;
		a.conclusion.outcome = bh_chance_between(chance, 0, 1) ? BH_OUTCOME_FAILED : BH_OUTCOME_REFUSED;
	}
	return a;
}

static bool counts(const attempt *a)
{
	return a->conclusion.signal != BH_SIGNAL_NONE;
}

/* The run as the whole list of attempts tells it, and nothing else: slow and plain. */
typedef struct run {
	bh_usec since, first, last; /* `last` exactly */
} run;

static run recompute(const GArray *attempts)
{
	run r = {0};
	guint from = 0;

	for (guint i = 0; i < attempts->len; i++) {
		const attempt *a = &g_array_index(attempts, attempt, i);
		if (counts(a) && a->conclusion.outcome == BH_OUTCOME_DELIVERED)
			from = i + 1;
	}
	for (guint i = from; i < attempts->len; i++) {
		const attempt *a = &g_array_index(attempts, attempt, i);
		if (!counts(a))
			continue;
		r.since = r.since ? MIN(r.since, a->started) : a->started;
		if (a->state != BH_STATE_EXHAUSTED)
			continue;
		r.first = r.first ? r.first : a->ended;
		r.last = a->ended;
	}
	return r;
}

/*
 * Random lives of a webhook: busy or idle, sick or well by turns. After each attempt what was folded is what the whole
 * record tells, and switched off is exactly what the record and the notice allow.
 */
static void folding_equals_recomputing(void)
{
	int disabled = 0, warned = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		g_autoptr(GArray) attempts = g_array_new(FALSE, FALSE, sizeof(attempt));
		bh_chance chance = bh_chance_seeded(seed);
		bh_streak s = {0};
		bh_usec now = NOON, told = 0;
		int warnings[2] = {0};
		g_test_message("seed %" G_GUINT64_FORMAT, seed);

		for (int i = 0; i < 300; i++) {
			static const bh_usec paces[] = {BH_SECOND, 10 * BH_MINUTE, 2 * BH_HOUR, 20 * BH_HOUR};
			now += bh_chance_between(&chance, 0, paces[bh_chance_between(&chance, 0, 3)]);
			attempt a = random_attempt(&chance, now, seed % 3 == 0 ? 30 : 1);
			g_array_append_val(attempts, a);
			bh_streak stored = s;
			bool changed = bh_streak_fold(&s, &a.conclusion, a.state, a.started, a.ended);

			run r = recompute(attempts);
			bh_usec lag = r.last - s.last_exhausted;
			g_assert_cmpint(s.failing_since, ==, r.since);
			g_assert_cmpint(s.first_exhausted, ==, r.first);
			g_assert_cmpint(lag, >=, 0);
			g_assert_cmpint(lag, <=, MIN(BH_HOUR, (r.last - r.first) / 12));
			g_assert_cmpint(changed, ==, !is_same(&stored, &s));
			if (!s.failing_since)
				told = 0;

			int before = warnings[1];
			bool off = step(&s, &policy, now, warnings);
			if (warnings[1] > before)
				told = now;
			bool time_is_up = r.since && now - r.since >= policy.disable_after;
			bool had_notice = told && now - told >= policy.warn_before;
			if (off) {
				disabled++;
				g_assert_true(time_is_up);
				g_assert_true(had_notice);
				g_assert_cmpint(r.last - r.first, >=, policy.disable_gap);
				g_assert_cmpint(now, >=, bh_streak_disables_at(&s, &policy));
				s = (bh_streak){0}; /* enabled again, by hand */
				g_array_set_size(attempts, 0);
				told = 0;
			} else if (time_is_up && had_notice && now - r.first >= policy.warn_before) {
				/* Not off although all else is given: only because of what is not seen for an hour. */
				g_assert_cmpint(r.last - r.first, <, policy.disable_gap + BH_HOUR);
			}
		}
		warned += warnings[1];
	}
	g_assert_cmpint(disabled, >, 100); /* the test tests something */
	g_assert_cmpint(warned, >=, disabled);
}

/* --- Time jumps ---------------------------------------------------------------------------------- */

/*
 * A clock that went back makes a run look shorter and never longer: whatever it did, five true days and twelve true
 * hours have passed when a webhook goes off.
 */
static void a_clock_that_goes_back_never_switches_off_early(void)
{
	int disabled = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		bh_chance chance = bh_chance_seeded(seed);
		bh_streak s = {0};
		bh_usec truth = NOON, behind = 0, began = 0, first = 0;
		int warnings[2] = {0};
		g_test_message("seed %" G_GUINT64_FORMAT, seed);

		for (int i = 0; i < 500; i++) {
			truth += bh_chance_between(&chance, 0, 2 * BH_HOUR);
			if (bh_chance_between(&chance, 0, 60) == 0)
				behind += bh_chance_between(&chance, 0, seed % 2 ? 4 * BH_DAY : BH_MINUTE);
			bh_usec now = truth - behind;
			began = began ? began : truth - 2 * BH_SECOND;
			first = first ? first : truth;
			exhausts(&s, now);
			g_assert_cmpint(s.failing_since, <=, now);
			g_assert_cmpint(s.first_exhausted, <=, s.last_exhausted);
			g_assert_cmpint(s.last_exhausted, <=, now);
			if (!step(&s, &policy, now, warnings))
				continue;
			disabled++;
			/* Each failure is folded with a start of its own, 2 s before: that much a step back may hide. */
			g_assert_cmpint(truth - began, >=, policy.disable_after - 2 * BH_SECOND);
			g_assert_cmpint(truth - first, >=, policy.disable_gap);
			s = (bh_streak){0};
			began = first = 0;
		}
	}
	g_assert_cmpint(disabled, >, 100);
}

static void a_clock_that_leaps_ahead_still_gives_the_owner_his_notice(void)
{
	bh_streak s = {0};
	int warnings[2] = {0};
	exhausts(&s, NOON);
	g_assert_false(step(&s, &policy, NOON, warnings));

	bh_usec leap = NOON + 10 * 365 * BH_DAY; /* or the machine was off for so long */
	exhausts(&s, leap);
	g_assert_false(step(&s, &policy, leap, warnings));
	g_assert_cmpint(warnings[1], ==, 1);
	exhausts(&s, leap + 23 * BH_HOUR);
	g_assert_false(step(&s, &policy, leap + 23 * BH_HOUR, warnings));
	exhausts(&s, leap + 24 * BH_HOUR);
	g_assert_true(step(&s, &policy, leap + 24 * BH_HOUR, warnings));
	g_assert_cmpint(warnings[1], ==, 1);
}

static void a_notice_given_while_the_clock_was_ahead_does_not_put_it_off_for_years(void)
{
	bh_streak s = {.failing_since = NOON,
		       .first_exhausted = NOON,
		       .last_exhausted = NOON + BH_DAY,
		       .warned = BH_WARNING_DISABLING,
		       .warned_at = NOON + 3650 * BH_DAY};

	exhausts(&s, NOON + 6 * BH_DAY);
	g_assert_cmpint(bh_streak_judge(&s, &policy, NOON + 6 * BH_DAY), ==, BH_STREAK_FINE);
	g_assert_cmpint(bh_streak_disables_at(&s, &policy), ==, NOON + 7 * BH_DAY);
}

static void an_attempt_noted_by_a_clock_that_jumped_is_taken_as_one_of_now(void)
{
	bh_streak s = {0};

	bh_streak_fold(&s, &bad, BH_STATE_PENDING, NOON - 30 * BH_DAY, NOON);
	g_assert_cmpint(s.failing_since, ==, NOON - BH_HOUR);
	s = (bh_streak){0};
	bh_streak_fold(&s, &bad, BH_STATE_PENDING, NOON + 30 * BH_DAY, NOON);
	g_assert_cmpint(s.failing_since, ==, NOON);
}

/* --- Settings ------------------------------------------------------------------------------------ */

static void the_policy_comes_from_the_settings(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) given =
		g_strsplit("disable_after=2d disable_gap=3h failing_warn_after=4m disable_warn_before=5s", " ", -1);
	g_autoptr(bh_settings) plain = bh_settings_load(NULL, NULL, &error);
	g_assert_no_error(error);
	g_autoptr(bh_settings) other = bh_settings_load(NULL, given, &error);
	g_assert_no_error(error);

	bh_streak_policy p = bh_streak_policy_of(plain);
	g_assert_cmpmem(&p, sizeof p, &policy, sizeof policy);
	p = bh_streak_policy_of(other);
	g_assert_cmpint(p.disable_after, ==, 2 * BH_DAY);
	g_assert_cmpint(p.disable_gap, ==, 3 * BH_HOUR);
	g_assert_cmpint(p.warn_after, ==, 4 * BH_MINUTE);
	g_assert_cmpint(p.warn_before, ==, 5 * BH_SECOND);
}

static void short_times_work_in_the_same_way(void)
{
	bh_streak_policy quick = {.disable_after = 3 * BH_SECOND,
				  .disable_gap = BH_SECOND,
				  .warn_after = BH_SECOND,
				  .warn_before = BH_DAY};
	bh_streak s = {0};
	int warnings[2] = {0};
	bh_usec now = NOON;

	while (!step(&s, &quick, now, warnings)) {
		exhausts(&s, now);
		now += 100 * BH_MILLISECOND;
		g_assert_cmpint(now, <, NOON + 10 * BH_SECOND);
	}
	g_assert_cmpint(now - NOON, >=, BH_SECOND);
	g_assert_cmpint(warnings[1], ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(f) g_test_add_func("/streak/" #f, f)
	TEST(what_each_attempt_does_to_the_run);
	TEST(a_success_clears_all_of_it);
	TEST(a_run_begins_with_the_attempt_that_began_first);
	TEST(thousands_that_are_exhausted_are_stored_now_and_then);
	TEST(a_life_that_ends_behind_the_breaker_counts_while_it_fails);
	TEST(every_rule_of_switching_off_has_its_row);
	TEST(a_warning_is_given_once);
	TEST(a_million_failures_in_two_minutes_switch_nothing_off);
	TEST(a_dead_receiver_is_warned_of_twice_and_goes_off_after_five_days);
	TEST(one_success_in_five_days_keeps_it_on);
	TEST(folding_equals_recomputing);
	TEST(a_clock_that_goes_back_never_switches_off_early);
	TEST(a_clock_that_leaps_ahead_still_gives_the_owner_his_notice);
	TEST(a_notice_given_while_the_clock_was_ahead_does_not_put_it_off_for_years);
	TEST(an_attempt_noted_by_a_clock_that_jumped_is_taken_as_one_of_now);
	TEST(the_policy_comes_from_the_settings);
	TEST(short_times_work_in_the_same_way);
	return g_test_run();
}
