#include "receiver.h"

receiver *receiver_new(sim *s, unsigned number)
{
	receiver *r = g_new0(receiver, 1);

	r->number = number;
	r->since = s->clock.mono;
	return r;
}

const char *mood_name(receiver_mood mood)
{
	static const char *const names[MOODS] = {
		[MOOD_WELL] = "well",         [MOOD_SLOW] = "slow",        [MOOD_HANGING] = "hanging",
		[MOOD_DEAD] = "dead",         [MOOD_UNKNOWN] = "unknown",  [MOOD_FLAPPING] = "flapping",
		[MOOD_FAILING] = "failing",   [MOOD_DENYING] = "denying",  [MOOD_BUSY] = "busy",
		[MOOD_PACING] = "pacing",     [MOOD_PACING_MUTE] = "mute", [MOOD_TORN] = "torn",
		[MOOD_ABORTING] = "aborting", [MOOD_LEAVING] = "leaving",  [MOOD_GONE] = "gone",
	};

	return names[mood];
}

void receiver_set_mood(sim *s, receiver *r, receiver_mood mood)
{
	r->mood = mood;
	r->since = s->clock.mono;
	r->tokens_max = r->tokens = 1 + draw(s, 10);
	r->per_second = draw_one_of(s, 2) ? 1.0 / (double)(1 + draw(s, 20)) : (double)(1 + draw(s, 20));
	r->filled_at = s->clock.mono;
	r->flaps = draw_between(s, BH_MINUTE, 20 * BH_MINUTE);
}

bool receiver_is_well(const receiver *r, bh_mono now, bh_usec span)
{
	return r->mood == MOOD_WELL && bh_mono_since(now, r->since) >= span;
}

bool receiver_is_dead(const receiver *r)
{
	return r->mood == MOOD_DEAD || r->mood == MOOD_UNKNOWN;
}

static meeting answers(sim *s, int status, bh_usec longest)
{
	return (meeting){.takes = draw_between(s, BH_MILLISECOND, longest),
			 .arrives = true,
			 .status = status,
			 .retry_after = -1};
}

static meeting fails(bh_cause cause, bh_usec takes, bool arrives)
{
	return (meeting){.takes = takes, .arrives = arrives, .cause = cause, .retry_after = -1};
}

static meeting meet_dead(sim *s, bh_usec timeout)
{
	if (draw_one_of(s, 4))
		return fails(BH_CAUSE_TIMEOUT, MIN(timeout, 5 * BH_SECOND), false);
	return fails(BH_CAUSE_CONNECT, draw_between(s, BH_MILLISECOND, 100 * BH_MILLISECOND), false);
}

/* More than one in a hundred networks is slow for a moment. */
static meeting meet_well(sim *s)
{
	return answers(s, 200 + (int)draw(s, 5), draw_one_of(s, 50) ? 2 * BH_SECOND : 150 * BH_MILLISECOND);
}

static meeting meet_slow(sim *s, bh_usec timeout)
{
	bh_usec takes = draw_between(s, BH_SECOND, 20 * BH_SECOND);

	if (takes >= timeout)
		return fails(BH_CAUSE_TIMEOUT, timeout, true);
	meeting m = meet_well(s);
	m.takes = takes;
	return m;
}

static meeting meet_pacing(sim *s, receiver *r, bool tells)
{
	bh_usec gone = bh_mono_since(s->clock.mono, r->filled_at);

	r->tokens = MIN(r->tokens_max, r->tokens + (double)gone / BH_SECOND * r->per_second);
	r->filled_at = s->clock.mono;
	if (r->tokens >= 1) {
		r->tokens--;
		return meet_well(s);
	}
	meeting m = answers(s, 429, 50 * BH_MILLISECOND);
	m.arrives = false;
	if (tells) /* whole seconds, as the header has them */
		m.retry_after = (bh_usec)((1 - r->tokens) / r->per_second + 1) * BH_SECOND;
	return m;
}

static meeting meet_controlling(sim *s, const char *control)
{
	meeting m = answers(s, 500, 100 * BH_MILLISECOND);

	m.control = control;
	return m;
}

meeting receiver_meet(sim *s, receiver *r, bh_usec timeout)
{
	switch (r->mood) {
	case MOOD_WELL:
		return meet_well(s);
	case MOOD_SLOW:
		return meet_slow(s, timeout);
	case MOOD_HANGING:
		return fails(BH_CAUSE_TIMEOUT, timeout, true);
	case MOOD_DEAD:
		return meet_dead(s, timeout);
	case MOOD_UNKNOWN:
		return fails(BH_CAUSE_DNS, draw_between(s, BH_MILLISECOND, 5 * BH_SECOND), false);
	case MOOD_FLAPPING:
		if (bh_mono_since(s->clock.mono, r->since) / r->flaps % 2)
			return meet_dead(s, timeout);
		return meet_well(s);
	case MOOD_FAILING:
		return answers(s, 500, 500 * BH_MILLISECOND);
	case MOOD_DENYING:
		return answers(s, 401, 100 * BH_MILLISECOND);
	case MOOD_BUSY:
		return answers(s, 503, 100 * BH_MILLISECOND);
	case MOOD_PACING:
		return meet_pacing(s, r, true);
	case MOOD_PACING_MUTE:
		return meet_pacing(s, r, false);
	case MOOD_TORN:
		return fails(BH_CAUSE_PROTOCOL, draw_between(s, BH_MILLISECOND, BH_SECOND), true);
	case MOOD_ABORTING:
		return meet_controlling(s, "abort-message");
	case MOOD_LEAVING:
		return meet_controlling(s, "disable");
	case MOOD_GONE:
		return answers(s, 410, 100 * BH_MILLISECOND);
	case MOODS:
		break;
	}
	g_assert_not_reached();
}
