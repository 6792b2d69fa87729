#include "delivery/streak.h"

/* However long an attempt takes, it began no longer ago: more is a jump of the clock that it was noted by. */
#define ATTEMPT_MAX BH_HOUR

#define LAG_MAX BH_HOUR

bh_streak_policy bh_streak_policy_of(const bh_settings *settings)
{
	return (bh_streak_policy){
		.disable_after = settings->disable_after,
		.disable_gap = settings->disable_gap,
		.warn_after = settings->failing_warn_after,
		.warn_before = settings->disable_warn_before,
	};
}

/* --- The run ------------------------------------------------------------------------------------- */

static bool is_equal(const bh_streak *a, const bh_streak *b)
{
	return a->failing_since == b->failing_since && a->first_exhausted == b->first_exhausted &&
	       a->last_exhausted == b->last_exhausted && a->warned == b->warned && a->warned_at == b->warned_at;
}

/* The clock went back: what lies ahead of `now` happened now at the latest. */
static void come_back(bh_streak *s, bh_usec now)
{
	s->failing_since = MIN(s->failing_since, now);
	s->first_exhausted = MIN(s->first_exhausted, now);
	s->last_exhausted = MIN(s->last_exhausted, now);
	s->warned_at = MIN(s->warned_at, now);
}

static void begin(bh_streak *s, bh_usec started, bh_usec now)
{
	bh_usec from = CLAMP(started, now - ATTEMPT_MAX, now);
	if (!s->failing_since || from < s->failing_since)
		s->failing_since = from;
}

static void exhaust(bh_streak *s, bh_usec now)
{
	if (!s->first_exhausted)
		s->first_exhausted = s->last_exhausted = now;
	else if (now - s->last_exhausted >= MIN(LAG_MAX, (now - s->first_exhausted) / 12))
		s->last_exhausted = now;
}

bool bh_streak_is_failure(const bh_conclusion *conclusion)
{
	return conclusion->signal != BH_SIGNAL_NONE && conclusion->outcome != BH_OUTCOME_DELIVERED &&
	       conclusion->outcome != BH_OUTCOME_GONE;
}

static bool is_success(const bh_conclusion *conclusion)
{
	return conclusion->signal != BH_SIGNAL_NONE && conclusion->outcome == BH_OUTCOME_DELIVERED;
}

bool bh_streak_fold(bh_streak *streak, const bh_conclusion *conclusion, bh_state state, bh_usec started, bh_usec now)
{
	bh_streak before = *streak;
	if (is_success(conclusion)) {
		*streak = (bh_streak){0};
	} else if (bh_streak_is_failure(conclusion)) {
		come_back(streak, now);
		begin(streak, started, now);
		if (state == BH_STATE_EXHAUSTED)
			exhaust(streak, now);
	}
	return !is_equal(&before, streak);
}

bool bh_streak_exhausted(bh_streak *streak, bh_usec now)
{
	bh_streak before = *streak;
	if (!streak->failing_since)
		return false;
	come_back(streak, now);
	exhaust(streak, now);
	return !is_equal(&before, streak);
}

/* --- What follows from it -------------------------------------------------------------------------- */

/* How long before it the owner is told. */
static bh_usec notice_of(const bh_streak_policy *policy)
{
	return MIN(policy->warn_before, policy->disable_after);
}

/* Nothing is announced before a first delivery was exhausted, so the notice cannot end earlier than counted from there. */
bh_usec bh_streak_disables_at(const bh_streak *streak, const bh_streak_policy *policy)
{
	if (!streak->failing_since || !streak->first_exhausted)
		return 0;
	bh_usec notice = notice_of(policy);
	bh_usec at = MAX(streak->failing_since + policy->disable_after,
			 streak->first_exhausted + MAX(policy->disable_gap, notice));
	return streak->warned & BH_WARNING_DISABLING ? MAX(at, streak->warned_at + notice) : at;
}

bh_streak_verdict bh_streak_judge(const bh_streak *streak, const bh_streak_policy *policy, bh_usec now)
{
	if (!streak->failing_since)
		return BH_STREAK_FINE;
	bh_usec disables_at = bh_streak_disables_at(streak, policy);
	bool was_told = streak->warned & BH_WARNING_DISABLING;
	bool apart = streak->last_exhausted - streak->first_exhausted >= policy->disable_gap;

	if (disables_at && was_told && apart && now >= disables_at)
		return BH_STREAK_DISABLE;
	if (disables_at && !was_told && now >= disables_at - notice_of(policy))
		return BH_STREAK_WARN_DISABLING;
	if (!streak->warned && now - streak->failing_since >= policy->warn_after)
		return BH_STREAK_WARN_FAILING;
	return BH_STREAK_FINE;
}

bool bh_streak_warned(bh_streak *streak, bh_streak_verdict verdict, bh_usec now)
{
	bh_streak before = *streak;
	if (verdict == BH_STREAK_WARN_FAILING)
		streak->warned |= BH_WARNING_FAILING;
	if (verdict == BH_STREAK_WARN_DISABLING) {
		streak->warned |= BH_WARNING_DISABLING;
		streak->warned_at = now;
	}
	return !is_equal(&before, streak);
}
