#include "delivery/outcome.h"

#include <limits.h>
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

/* --- Saying it -------------------------------------------------------------------------------- */

/*
 * What comes from outside may be in it: it is made UTF-8 of one line without control characters, and no character is cut
 * in half.
 */
static void say(bh_conclusion *c, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void say(bh_conclusion *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	for (char *p = text; *p; p++)
		if (g_ascii_iscntrl(*p))
			*p = ' ';
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	bh_span kept = bh_span_cut(bh_span_of(valid), sizeof(c->sentence) - 1);
	memcpy(c->sentence, kept.at, kept.size);
	c->sentence[kept.size] = '\0';
}

/* As much of a stranger's text as leaves room for what to do about it. */
#define QUOTED_MAX 200
static char *quoted(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	bh_span kept = bh_span_cut(bh_span_of(valid), QUOTED_MAX);
	return g_strdup_printf("%.*s%s", (int)kept.size, kept.at, valid[kept.size] ? "..." : "");
}

/* --- No answer -------------------------------------------------------------------------------- */

/* What each cause comes to. The sentence is for where nobody said it better. */
static const struct trouble {
	bh_outcome outcome;
	bool spends;
	bh_signal signal;
	const char *sentence;
} TROUBLES[] = {
	[BH_CAUSE_STATUS] = {BH_OUTCOME_FAILED, true, BH_SIGNAL_FAILED,
			     "The remote service did not accept the event. Look into its own log to see why."},
	[BH_CAUSE_TIMEOUT] = {BH_OUTCOME_FAILED, true, BH_SIGNAL_UNREACHABLE,
			      "The remote service gave no answer in time. It should answer first and do the work "
			      "afterwards."},
	[BH_CAUSE_DNS] = {BH_OUTCOME_FAILED, true, BH_SIGNAL_UNREACHABLE,
			  "The address of the remote service could not be looked up. Check the host name in the "
			  "webhook's URL."},
	[BH_CAUSE_CONNECT] = {BH_OUTCOME_FAILED, true, BH_SIGNAL_UNREACHABLE,
			      "The remote service took no connection. See that it runs, and that its firewall lets "
			      "Bellhop in."},
	[BH_CAUSE_TLS] = {BH_OUTCOME_FAILED, true, BH_SIGNAL_UNREACHABLE,
			  "No safe connection to the remote service came about. Have its certificate looked after."},
	[BH_CAUSE_PROTOCOL] =
		{BH_OUTCOME_FAILED, true, BH_SIGNAL_UNREACHABLE,
		 "The connection broke, or what came back was no HTTP answer. Check the webhook's URL and "
		 "the service's own log."},
	/* What the guard refuses today it refuses tomorrow: the owner has to change the URL. */
	[BH_CAUSE_GUARD] = {BH_OUTCOME_REFUSED, true, BH_SIGNAL_NONE,
			    "The network guard lets no webhook go to this address. Change the webhook's URL, or ask "
			    "whoever runs Bellhop to allow it."},
	[BH_CAUSE_SCRIPT] = {BH_OUTCOME_FAILED, true, BH_SIGNAL_NONE,
			     "The method's script failed. Tell whoever looks after the method's file."},
	[BH_CAUSE_CREDENTIALS] = {BH_OUTCOME_FAILED, true, BH_SIGNAL_FAILED,
				  "The credentials were not accepted. Check the webhook's user name, password or key."},
	/* It may have arrived; what ended us was not the receiver. */
	[BH_CAUSE_CRASH] = {BH_OUTCOME_UNKNOWN, false, BH_SIGNAL_NONE,
			    "Bellhop stopped without warning while this request was under way. It may have arrived; it "
			    "is sent again with the same webhook-id."},
	/* Nor can the receiver help what stands in our own way to him. */
	[BH_CAUSE_PROXY] =
		{BH_OUTCOME_FAILED, false, BH_SIGNAL_NONE,
		 "The proxy that requests leave by did not do its part, so the remote service was not asked. "
		 "This is a matter for whoever runs Bellhop; the event is sent again by itself."},
	/* A receiver that cannot be sent to is as good as away. */
	[BH_CAUSE_TOKEN] = {BH_OUTCOME_FAILED, true, BH_SIGNAL_UNREACHABLE,
			    "The token service gave no access token, so the remote service was not asked. Look at what "
			    "the token service answered."},
	[BH_CAUSE_LOOKUP] = {BH_OUTCOME_FAILED, false, BH_SIGNAL_NONE,
			     "The site's own API did not give the event's details, so the remote service was not "
			     "asked. This is a matter for whoever runs Bellhop; the event is sent again by itself."},
};

/* Neither the receiver nor the webhook's owner can help it: what stands in the way is on our own side. */
static bool is_ours(bh_cause cause)
{
	return cause == BH_CAUSE_PROXY || cause == BH_CAUSE_LOOKUP;
}

static bh_conclusion of_trouble(bh_cause cause, const bh_policy *policy)
{
	const struct trouble *t = &TROUBLES[cause];
	bh_conclusion c = {.outcome = t->outcome, .cause = cause, .spends = t->spends, .signal = t->signal};
	say(&c, "%s", t->sentence);
	if (is_ours(cause))
		c.not_before = MAX(policy->overload_floor, BH_SECOND);
	return c;
}

static bh_conclusion no_answer(const bh_answer *answer, const bh_policy *policy)
{
	bh_conclusion c = of_trouble(answer->cause, policy);
	if (answer->sentence[0])
		say(&c, "%s", answer->sentence);
	return c;
}

static bh_conclusion script_broke(const char *trouble, const bh_policy *policy)
{
	bh_conclusion c = of_trouble(BH_CAUSE_SCRIPT, policy);
	g_autofree char *why = quoted(trouble);
	bool ends_itself = g_str_has_suffix(why, ".") || g_str_has_suffix(why, "?");
	if (g_str_has_prefix(trouble, "script:"))
		say(&c, "The webhook's own script failed: %s%s Check it with a dry run and correct it.", why,
		    ends_itself ? "" : ".");
	else
		say(&c, "The method's script failed: %s%s Tell whoever looks after the method's file.", why,
		    ends_itself ? "" : ".");
	return c;
}

/* --- An answer -------------------------------------------------------------------------------- */

/* What the owner reads after the status, the first row that fits. 2xx, 3xx and 410 are told by functions of their own. */
static const struct {
	int from, to;
	const char *rest;
} STATUSES[] = {
	{100, 199, ", which ends no request. What answers there is no complete web server: check the webhook's URL."},
	{400, 400,
	 ": it cannot make sense of what it was sent. Check that it expects the webhook's shape; its own log says more."},
	{401, 401, ": it does not accept the credentials. Check the webhook's user name, password or key."},
	{403, 403,
	 ": it does not let these credentials in. Check the webhook's user name, password or key, and whether a firewall "
	 "there keeps Bellhop out."},
	{404, 404, ": there is nothing at this address. Check the webhook's URL."},
	{405, 405, ": it takes no such requests at this address. Check the webhook's URL."},
	{408, 408, ": it did not get the whole request in time. Look into its own log if this happens again."},
	{413, 413, ": the event is too large for it. Raise its limit, or switch the webhook's full payload off."},
	{415, 415, ": it does not take JSON at this address. Check the webhook's URL."},
	{422, 422,
	 ": it does not accept what the event says. Check that it expects the webhook's shape; its own log says more."},
	{429, 429,
	 ": it gets more than it takes. It is left alone for a while; a rate limit on the webhook prevents this."},
	{502, 504, ": it is overloaded or away. It is tried again later; see that the service runs if this goes on."},
	{400, 499, ": it refuses the request. Look into its own log to see why."},
	{500, 599, ": it failed while it worked on the event. Look into its own log to see why."},
	{INT_MIN, INT_MAX,
	 ", which is no status of HTTP. What answers there may be no web server: check the webhook's URL."},
};

static void say_status(bh_conclusion *c, int status)
{
	size_t i = 0;
	while (status < STATUSES[i].from || status > STATUSES[i].to)
		i++;
	say(c, "The remote service answered %03d%s", status, STATUSES[i].rest);
}

static void say_redirect(bh_conclusion *c, const bh_answer *answer)
{
	g_autofree char *location = answer->location ? quoted(answer->location) : NULL;
	if (location)
		say(c,
		    "The remote service answered %d and points to \"%s\". Redirects are not followed: change the webhook's "
		    "URL to that address.",
		    answer->status, location);
	else
		say(c,
		    "The remote service answered %d, a redirect. Redirects are not followed: change the webhook's URL to "
		    "where the service really is.",
		    answer->status);
}

static bool is_success(int status)
{
	return status >= 200 && status <= 299;
}

static bool is_overload(int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

static bool is_denial(int status)
{
	return status == 401 || status == 403;
}

/*
 * What a failed attempt's answer says about the receiver as a whole, and about when to come again. A time that it names
 * counts with any status; a 429 means the receiver and not this one event, so everything else of the webhook waits as
 * well. The 502 to 504 of a proxy in front of it may be about one request alone: that one waits, the others go more slowly.
 */
static void weigh(bh_conclusion *c, const bh_answer *answer, const bh_policy *policy)
{
	bool has_hint = answer->has_retry_after && policy->hint_max > 0;
	bh_usec hint = has_hint ? MIN(answer->retry_after, policy->hint_max) : 0;

	c->signal = hint > 0 || is_overload(answer->status) ? BH_SIGNAL_OVERLOADED : BH_SIGNAL_FAILED;
	if (has_hint)
		c->not_before = c->pause = hint;
	else if (is_overload(answer->status))
		c->not_before = policy->overload_floor;
	if (answer->status == 429 && !has_hint)
		c->pause = policy->overload_floor;

	/*
	 * A 429 that names its time is the receiver pacing us, not failing. It spends no attempt, or a busy weekend
	 * would exhaust deliveries that nobody ever refused.
	 */
	if (answer->status == 429 && hint > 0)
		c->spends = false;
}

static bh_conclusion failed(const bh_answer *answer, const bh_policy *policy)
{
	bh_conclusion c = {.outcome = BH_OUTCOME_FAILED, .spends = true};
	c.cause = is_denial(answer->status) ? BH_CAUSE_CREDENTIALS : BH_CAUSE_STATUS;
	weigh(&c, answer, policy);
	if (answer->status >= 300 && answer->status <= 399)
		say_redirect(&c, answer);
	else
		say_status(&c, answer->status);
	return c;
}

static bh_conclusion gone(void)
{
	bh_conclusion c = {.outcome = BH_OUTCOME_GONE,
			   .cause = BH_CAUSE_STATUS,
			   .spends = true,
			   .disables = BH_DISABLED_BY_410,
			   .signal = BH_SIGNAL_WELL};
	say(&c,
	    "The remote service answered 410 Gone: it does not want these events any more. The webhook was disabled; "
	    "enable it again when the service is back.");
	return c;
}

static bh_conclusion judge_answer(const bh_answer *answer, const bh_policy *policy)
{
	if (answer->cause != BH_CAUSE_NONE)
		return no_answer(answer, policy);
	if (is_success(answer->status))
		return (bh_conclusion){.outcome = BH_OUTCOME_DELIVERED, .spends = true, .signal = BH_SIGNAL_WELL};
	if (answer->status == 410)
		return gone();
	return failed(answer, policy);
}

/*
 * Receiver control: with the header `webhook-delivery` a receiver that gave any answer may end this delivery
 * (abort-message) or switch the webhook off (disable). What was delivered stays delivered.
 */
static void obey_receiver(bh_conclusion *c, const bh_answer *answer)
{
	if (g_ascii_strcasecmp(answer->control, "abort-message") == 0 && c->outcome == BH_OUTCOME_FAILED) {
		c->outcome = BH_OUTCOME_REFUSED;
		say(c,
		    "The remote service answered %03d and asked not to be sent this event again. Retry it by hand if that "
		    "was not meant.",
		    answer->status);
	} else if (g_ascii_strcasecmp(answer->control, "disable") == 0 && !c->disables) {
		c->disables = BH_DISABLED_BY_RECEIVER;
		say(c,
		    "The remote service answered %03d and asked to switch the webhook off. Enable it again when the service is ready.",
		    answer->status);
	}
}

/* --- The method's word ------------------------------------------------------------------------ */

static bh_conclusion delivered_by_method(const bh_answer *answer)
{
	bool answered = answer && answer->cause == BH_CAUSE_NONE;
	return (bh_conclusion){
		.outcome = BH_OUTCOME_DELIVERED, .spends = true, .signal = answered ? BH_SIGNAL_WELL : BH_SIGNAL_NONE};
}

/* The method calls it a failure. What the last answer says about the receiver stands nevertheless. */
static bh_conclusion failed_by_method(const bh_answer *answer, const bh_policy *policy)
{
	bh_conclusion c = {.outcome = BH_OUTCOME_FAILED, .cause = BH_CAUSE_STATUS, .spends = true};
	if (answer && answer->cause != BH_CAUSE_NONE)
		c = no_answer(answer, policy);
	else if (answer)
		c = failed(answer, policy);
	c.outcome = BH_OUTCOME_FAILED;
	return c;
}

/* The host ended the run: it had no token, or no details, to go on with. */
static bh_conclusion ended_by_host(const bh_script_judgement *judgement, bool has_asked, const bh_policy *policy)
{
	bh_conclusion c = of_trouble(judgement->cause, policy);
	bh_usec after = CLAMP(judgement->after, 0, policy->hint_max);

	c.not_before = MAX(c.not_before, after);
	if (is_ours(judgement->cause))
		return c;
	c.pause = after;
	c.spends = judgement->was_asked;
	if (!has_asked)
		c.signal = BH_SIGNAL_NONE;
	return c;
}

static bh_conclusion judge_script(const bh_ending *ending, const bh_policy *policy)
{
	const bh_script_judgement *judgement = ending->judgement;
	const bh_answer *answer = ending->answer;
	bh_conclusion c;
	if (judgement->kind == BH_JUDGED_DELIVERED) {
		c = delivered_by_method(answer);
	} else if (judgement->kind == BH_JUDGED_RETRY) {
		c = failed_by_method(answer, policy);
		if (judgement->after > 0)
			c.not_before = MIN(judgement->after, policy->hint_max);
		say(&c, "The method asks to try again later. The service's answer and its own log say more.");
	} else if (judgement->kind == BH_JUDGED_ENDED) {
		c = ended_by_host(judgement, ending->has_asked, policy);
	} else {
		c = failed_by_method(answer, policy);
		c.outcome = BH_OUTCOME_REFUSED;
		say(&c, "The method says that trying again cannot help. Look at the service's answer; retry it by hand "
			"when the reason is gone.");
	}
	if (judgement->why)
		say(&c, "%s", judgement->why);
	return c;
}

/* The method speaks first; an answer that it merely passes on is judged here. */
bh_conclusion bh_conclude(const bh_ending *ending, const bh_policy *policy)
{
	if (ending->trouble)
		return script_broke(ending->trouble, policy);
	if (ending->judgement->kind != BH_JUDGED_BY_ANSWER)
		return judge_script(ending, policy);
	if (!ending->answer)
		return script_broke("it returned an answer without having made a call", policy);
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

static bh_usec due_after(const bh_policy *policy, int spent, bh_usec step, bh_usec not_before, bh_usec now,
			 bh_chance *chance)
{
	bh_usec wait = step + jitter(policy, spent, step, chance); /* once: MAX would draw again */
	return now + MAX(wait, not_before);
}

bh_usec bh_retry_due(const bh_policy *policy, int spent, bh_usec not_before, bh_usec now, bh_chance *chance)
{
	bh_usec step;
	if (!step_of(policy, spent, &step))
		return INT64_MAX;
	return due_after(policy, spent, step, not_before, now, chance);
}

/* How long a delivery waits that spent nothing and has no step to wait for: twice as long each time, up to 16 times. */
static bh_usec patience(const bh_waiting *waiting, bh_usec first)
{
	int unspent = MAX(waiting->attempts - waiting->spent, 0);
	return MAX(first, BH_SECOND) << MIN(unspent, 4);
}

/*
 * How long the schedule lets a delivery wait after `spent` attempts. False: no attempt is left. What spent nothing was not the
 * last attempt: it waits for its step only if that ends before the delivery's life does. A fault on our own side never does,
 * for the steps give a receiver time to get well; but a proxy that is away for hours is not asked by everything every minute.
 */
static bool wait_of(const bh_policy *policy, const bh_waiting *waiting, const bh_conclusion *conclusion, bh_usec left,
		    bh_usec *ret_step)
{
	bool has_step = step_of(policy, waiting->spent + (conclusion->spends ? 1 : 0), ret_step);
	if (conclusion->spends)
		return has_step;
	if (is_ours(conclusion->cause))
		*ret_step = MIN(patience(waiting, conclusion->not_before), MAX(left, conclusion->not_before));
	else if (!has_step || *ret_step > left)
		*ret_step = MAX(conclusion->not_before, BH_SECOND);
	return true;
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

	bh_usec end = waiting->created_at + policy->lifetime;
	bh_usec step = 0; /* gcc 12 does not see that who has a step has set it */
	if (!wait_of(policy, waiting, conclusion, end - now, &step))
		return ended(BH_STATE_EXHAUSTED, spent, "No attempt is left.");

	/* Jitter alone does not push a delivery over the end of its life. */
	if (now + MAX(step, conclusion->not_before) > end)
		return ended(BH_STATE_EXHAUSTED, spent,
			     "No time is left: the delivery's lifetime is over before the next attempt.");

	bh_usec due = due_after(policy, spent, step, conclusion->not_before, now, chance);
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
