#include "delivery/outcome.h"

#include <string.h>

const char *bh_outcome_name(bh_outcome outcome)
{
	static const char *const names[] = {
		[BH_OUTCOME_DELIVERED] = "delivered", [BH_OUTCOME_FAILED] = "failed",   [BH_OUTCOME_GONE] = "gone",
		[BH_OUTCOME_REFUSED] = "refused",     [BH_OUTCOME_UNKNOWN] = "unknown",
	};
	return names[outcome];
}

bh_policy bh_policy_of(const bh_settings *settings)
{
	bh_policy policy = {
		.jitter_percent = (int)settings->retry_jitter_percent,
		.jitter_first = settings->retry_jitter_first,
		.hint_max = settings->retry_after_max,
		.overload_floor = settings->overload_floor,
		.lifetime = settings->lifetime,
	};
	policy.delay_count = settings->retry_schedule->len;
	for (size_t i = 0; i < policy.delay_count; i++)
		policy.delays[i] = g_array_index(settings->retry_schedule, bh_usec, i);
	return policy;
}

/* --- What an answer means -------------------------------------------------------------------- */

/* What comes from outside may be in it: it is made UTF-8, and no character is cut in half. */
static void say(bh_conclusion *c, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void say(bh_conclusion *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	bh_span kept = bh_span_cut(bh_span_of(valid), sizeof(c->sentence) - 1);
	memcpy(c->sentence, kept.at, kept.size);
	c->sentence[kept.size] = '\0';
}

static bh_conclusion failed(bh_cause cause)
{
	return (bh_conclusion){.outcome = BH_OUTCOME_FAILED, .cause = cause, .spends = true};
}

static bh_conclusion no_answer(const bh_answer *answer)
{
	bh_conclusion c = failed(answer->cause);
	say(&c, "%s", answer->sentence);
	/* What the guard refuses today it refuses tomorrow: the owner has to change the URL. */
	if (answer->cause == BH_CAUSE_GUARD)
		c.outcome = BH_OUTCOME_REFUSED;
	return c;
}

static bh_conclusion gone(void)
{
	bh_conclusion c = {
		.outcome = BH_OUTCOME_GONE, .cause = BH_CAUSE_STATUS, .spends = true, .disables = BH_DISABLED_BY_410};
	say(&c,
	    "The remote service answered 410 Gone: it does not want these events any more. The webhook was disabled; "
	    "enable it again when the service is back.");
	return c;
}

static bh_conclusion redirected(const bh_answer *answer)
{
	bh_conclusion c = failed(BH_CAUSE_STATUS);
	if (answer->location)
		say(&c,
		    "The remote service answered %d and points to \"%s\". Redirects are not followed: change the webhook's "
		    "URL to that address.",
		    answer->status, answer->location);
	else
		say(&c,
		    "The remote service answered %d, a redirect. Redirects are not followed: change the webhook's URL to "
		    "where the service really is.",
		    answer->status);
	return c;
}

static bool is_overload(int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

static bh_conclusion refused_by_status(const bh_answer *answer, const bh_policy *policy)
{
	bool denied = answer->status == 401 || answer->status == 403;
	bh_conclusion c = failed(denied ? BH_CAUSE_CREDENTIALS : BH_CAUSE_STATUS);
	if (denied)
		say(&c,
		    "The remote service answered %d: it does not accept the credentials. Check the webhook's user name, "
		    "password or key.",
		    answer->status);
	else if (is_overload(answer->status))
		say(&c, "The remote service answered %d: it is overloaded or away. It is tried again later.",
		    answer->status);
	else
		say(&c,
		    "The remote service answered %d instead of a success (200 to 299). Look into its own log to see why.",
		    answer->status);

	if (answer->has_retry_after)
		c.not_before = MIN(answer->retry_after, policy->hint_max);
	else if (is_overload(answer->status))
		c.not_before = policy->overload_floor;

	/*
	 * A 429 that names its time is the receiver pacing us, not failing. It spends no attempt, or a busy weekend
	 * would exhaust deliveries that nobody ever refused.
	 */
	if (answer->status == 429 && answer->has_retry_after && answer->retry_after > 0)
		c.spends = false;
	return c;
}

static bh_conclusion judge_answer(const bh_answer *answer, const bh_policy *policy)
{
	if (answer->cause != BH_CAUSE_NONE)
		return no_answer(answer);
	if (answer->status >= 200 && answer->status <= 299)
		return (bh_conclusion){.outcome = BH_OUTCOME_DELIVERED, .spends = true};
	if (answer->status == 410)
		return gone();
	if (answer->status >= 300 && answer->status <= 399)
		return redirected(answer);
	return refused_by_status(answer, policy);
}

/*
 * Receiver control: with the header `webhook-delivery` a receiver that gave any answer may end this delivery
 * (abort-message) or switch the webhook off (disable). What was delivered stays delivered.
 */
static void obey_receiver(bh_conclusion *c, const bh_answer *answer)
{
	if (g_ascii_strcasecmp(answer->control, "abort-message") == 0 && c->outcome == BH_OUTCOME_FAILED) {
		c->outcome = BH_OUTCOME_REFUSED;
		say(c, "The remote service answered %d and asked not to be sent this event again.", answer->status);
	} else if (g_ascii_strcasecmp(answer->control, "disable") == 0 && !c->disables) {
		c->disables = BH_DISABLED_BY_RECEIVER;
		say(c,
		    "The remote service answered %d and asked to switch the webhook off. Enable it again when the service is ready.",
		    answer->status);
	}
}

static bh_conclusion script_broke(const char *trouble)
{
	bh_conclusion c = failed(BH_CAUSE_SCRIPT);
	say(&c, "The method's script failed: %s", trouble);
	return c;
}

static bh_conclusion judge_script(const bh_script_judgement *judgement, const bh_policy *policy)
{
	bh_conclusion c = {.outcome = BH_OUTCOME_DELIVERED, .spends = true};
	if (judgement->kind == BH_JUDGED_RETRY) {
		c = failed(BH_CAUSE_STATUS);
		c.not_before = judgement->after > 0 ? MIN(judgement->after, policy->hint_max) : 0;
	} else if (judgement->kind == BH_JUDGED_FAILED) {
		c = failed(BH_CAUSE_STATUS);
		c.outcome = BH_OUTCOME_REFUSED;
	}
	if (judgement->why)
		say(&c, "%s", judgement->why);
	return c;
}

/* The method speaks first; an answer that it merely passes on is judged here. */
bh_conclusion bh_conclude(const bh_ending *ending, const bh_policy *policy)
{
	if (ending->trouble)
		return script_broke(ending->trouble);
	if (ending->judgement->kind != BH_JUDGED_BY_ANSWER)
		return judge_script(ending->judgement, policy);
	if (!ending->answer)
		return script_broke("it returned an answer without having made a call");
	bh_conclusion c = judge_answer(ending->answer, policy);
	if (ending->answer->control && ending->answer->cause == BH_CAUSE_NONE)
		obey_receiver(&c, ending->answer);
	return c;
}

/* --- What follows ---------------------------------------------------------------------------- */

/* The step after the `spent`-th attempt without jitter; a paced delivery that spent nothing yet waits as after its first. */
static bool step_of(const bh_policy *policy, int spent, bh_usec *ret_step)
{
	size_t i = spent > 0 ? (size_t)spent - 1 : 0;
	if (i >= policy->delay_count)
		return false;
	*ret_step = policy->delays[i];
	return true;
}

static bh_usec jitter(const bh_policy *policy, int spent, bh_usec step, bh_chance *chance)
{
	if (spent <= 1)
		return bh_chance_between(chance, 0, policy->jitter_first);
	bh_usec swing = step / 100 * policy->jitter_percent;
	return bh_chance_between(chance, -swing, swing);
}

bh_usec bh_retry_due(const bh_policy *policy, int spent, bh_usec not_before, bh_usec now, bh_chance *chance)
{
	bh_usec step;
	if (!step_of(policy, spent, &step))
		return INT64_MAX;
	return now + MAX(step + jitter(policy, spent, step, chance), not_before);
}

static bh_next ended(bh_state state, int spent, const char *reason)
{
	return (bh_next){.state = state, .spent = spent, .reason = reason};
}

static bh_next try_again(const bh_policy *policy, const bh_waiting *waiting, const bh_conclusion *conclusion, int spent,
			 bh_usec now, bh_chance *chance)
{
	if (waiting->is_test)
		return ended(BH_STATE_EXHAUSTED, spent, "A test is sent once.");

	bh_usec step;
	if (!step_of(policy, spent, &step))
		return ended(BH_STATE_EXHAUSTED, spent, "No attempt is left.");

	/* Jitter alone does not push a delivery over the end of its life. */
	bh_usec end = waiting->created_at + policy->lifetime;
	if (now + MAX(step, conclusion->not_before) > end)
		return ended(BH_STATE_EXHAUSTED, spent,
			     "No time is left: the delivery's lifetime is over before the next attempt.");

	bh_usec due = bh_retry_due(policy, spent, conclusion->not_before, now, chance);
	return (bh_next){.state = BH_STATE_PENDING, .due_at = MIN(due, end), .spent = spent};
}

bh_next bh_next_step(const bh_policy *policy, const bh_waiting *waiting, const bh_conclusion *conclusion, bh_usec now,
		     bh_chance *chance)
{
	int spent = waiting->spent + (conclusion->spends ? 1 : 0);
	switch (conclusion->outcome) {
	case BH_OUTCOME_DELIVERED:
		return ended(BH_STATE_DELIVERED, spent, NULL);
	case BH_OUTCOME_GONE:
		return ended(BH_STATE_GONE, spent, conclusion->sentence);
	case BH_OUTCOME_REFUSED:
		return ended(BH_STATE_EXHAUSTED, spent, conclusion->sentence);
	case BH_OUTCOME_FAILED:
	case BH_OUTCOME_UNKNOWN:
		return try_again(policy, waiting, conclusion, spent, now, chance);
	}
	g_assert_not_reached();
}
