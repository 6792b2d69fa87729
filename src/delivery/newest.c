#include "delivery/newest.h"

#include "delivery/job.h"
#include "delivery/turns.h"

/* A burst of events that nobody wants does not make each one of them, and of those before it, a long calculation. */
#define CANDIDATES_MAX 16

static void drop_candidate(bh_newest *n)
{
	g_clear_pointer(&n->script, bh_script_free);
	g_clear_pointer(&n->event, bh_event_unref);
}

void bh_newest_clear(bh_newest *n)
{
	drop_candidate(n);
	*n = (bh_newest){0};
}

/* If the store cannot say, ours is sent: one message too many harms nobody. */
static bool find(bh_newest *n, bh_loop *loop, const bh_waiting *ours, bh_usec now)
{
	n->candidate = 0;
	return bh_reader_superseding(loop->reader, ours->delivery, now, n->before, &n->candidate, NULL) && n->candidate;
}

/*
 * So many would be filtered that we ask no further. One that waits still may be another of these; but one that was sent is
 * newer news than ours, and ours would turn it back. At no time at all nothing waits to be sent.
 */
static bool find_sent(bh_newest *n, bh_loop *loop, const bh_waiting *ours)
{
	for (int i = 0; i < CANDIDATES_MAX && find(n, loop, ours, INT64_MIN); i++) {
		g_autoptr(bh_delivery) found = bh_reader_delivery(loop->reader, n->candidate, NULL);
		if (!found || found->state == BH_STATE_DELIVERED)
			return found;
		n->before = n->candidate; /* tried before, and waits again */
	}
	return false;
}

static bh_newest_turn pass_over(bh_newest *n)
{
	drop_candidate(n);
	n->before = n->candidate;
	return BH_NEWEST_ON;
}

/*
 * A condition that breaks has not said that it wants the candidate, and ours, which would then be the one that is lost, has its
 * own turn now.
 */
static bh_newest_turn go_on(bh_newest *n, bh_loop *loop, bh_id webhook)
{
	bh_request none;
	bh_script_turn turn = bh_turns_resume(loop, webhook, n->script, NULL, &none);

	if (turn == BH_SCRIPT_LATER)
		return BH_NEWEST_LATER;
	bool is_wanted = turn == BH_SCRIPT_RETURNED && bh_script_judged(n->script)->kind == BH_JUDGED_DELIVERED;
	if (!is_wanted)
		return pass_over(n);
	drop_candidate(n);
	return BH_NEWEST_FOUND;
}

static bool begin(bh_newest *n, bh_loop *loop, const bh_delivery *candidate, const bh_webhook *webhook, void *user)
{
	g_autoptr(GBytes) body = NULL;

	n->event = bh_reader_event(loop->reader, candidate->event_id, NULL);
	if (!n->event)
		return false;
	bh_job_facts facts = {.webhook = webhook,
			      .event = n->event,
			      .delivery = candidate->id,
			      .sequence = candidate->sequence,
			      .part = BH_SCRIPT_CONDITION,
			      .user = user};
	n->script = bh_job_begin(loop, &facts, &body, NULL);
	return n->script != NULL;
}

bh_newest_turn bh_newest_look(bh_newest *n, bh_loop *loop, const bh_waiting *ours, const bh_webhook *webhook,
			      void *user)
{
	if (n->script)
		return go_on(n, loop, webhook->id);
	if (webhook->coalesce <= 0 || !ours->may_coalesce || !find(n, loop, ours, loop->now.wall))
		return BH_NEWEST_ITSELF;
	if (!bh_script_host_filters(loop->scripts, webhook->method, webhook->script))
		return BH_NEWEST_FOUND;
	if (n->asked == CANDIDATES_MAX)
		return find_sent(n, loop, ours) ? BH_NEWEST_FOUND : BH_NEWEST_ITSELF;

	g_autoptr(bh_delivery) candidate = bh_reader_delivery(loop->reader, n->candidate, NULL);
	if (!candidate)
		return BH_NEWEST_ITSELF;
	if (candidate->state != BH_STATE_PENDING) /* it went out: its condition was asked then */
		return BH_NEWEST_FOUND;
	n->asked++;
	return begin(n, loop, candidate, webhook, user) ? go_on(n, loop, webhook->id) : pass_over(n);
}
