/*
 * Switched off by failure only as the policy says, and surely by then: only failures for disable_after, two deliveries exhausted
 * disable_gap apart, and notice given. Counted anew from what is on record, in real (simulated) time: what the wall clock jumped meanwhile
 * may move the engine's own reckoning by as much, and it may lag by an hour.
 */
#include "rules.h"

#include <string.h>

#define LAG (BH_HOUR + 10 * BH_MINUTE)

static bh_usec since(const sim *s, bh_mono at)
{
	return bh_mono_since(s->clock.mono, at);
}

/* How far the engine's clock may be off, from what it began to count. */
static bh_usec slack(const sim *s, const run *r)
{
	return LAG + s->rules->jumped - r->jumped_before;
}

/* --- Not too soon -------------------------------------------------------------------------------------------------- */

static void check_allowed(sim *s, bh_id webhook, const run *r)
{
	const bh_settings *set = s->settings;
	bh_usec off = slack(s, r), apart = bh_mono_since(r->last_exhausted, r->first_exhausted);

	if (!r->exhausted)
		broken(s, "webhook %" G_GINT64_FORMAT " is disabled by failure, and nothing was exhausted", webhook);
	if (since(s, r->failing_since) + off < set->disable_after)
		broken(s, "webhook %" G_GINT64_FORMAT " is disabled by failure after %" G_GINT64_FORMAT " h", webhook,
		       since(s, r->failing_since) / BH_HOUR);
	if (apart + off < set->disable_gap)
		broken(s,
		       "webhook %" G_GINT64_FORMAT " is disabled by failure, exhausted only %" G_GINT64_FORMAT
		       " min apart",
		       webhook, apart / BH_MINUTE);
}

/* The record of the last failure may come with the same commit, or the next: the rules look a little later. */
void streak_each_minute(sim *s)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, s->rules->webhooks);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		watched *w = value;
		if (!w->trial.failing || since(s, w->changed_at) < BH_MINUTE)
			continue;
		check_allowed(s, w->id, &w->trial);
		w->trial = (run){0};
	}
}

static void try_it(sim *s, watched *w)
{
	if (!w->run.failing)
		broken(s, "webhook %" G_GINT64_FORMAT " is disabled by failure, and does not fail", w->id);
	w->trial = w->run;
}

/* --- Not too late -------------------------------------------------------------------------------------------------- */

static bool is_overdue(const sim *s, const run *r)
{
	const bh_settings *set = s->settings;
	bh_usec off = slack(s, r) + 2 * set->look_every;
	bh_usec notice = MIN(set->disable_warn_before, set->disable_after);

	return r->failing && r->exhausted && since(s, r->failing_since) > set->disable_after + notice + off &&
	       since(s, r->first_exhausted) > MAX(set->disable_gap, notice) + notice + off &&
	       bh_mono_since(r->last_exhausted, r->first_exhausted) > set->disable_gap + off &&
	       since(s, s->rules->started_at) > notice + off; /* while we were away nobody was told */
}

/* The failure that finds it overdue switches it off, a moment later: the next one must not come. */
static void check_overdue(sim *s, watched *w)
{
	bool was_overdue = w->is_overdue;

	w->is_overdue = w->enabled && is_overdue(s, &w->run);
	if (!w->is_overdue)
		return;
	if (!was_overdue)
		w->overdue_at = s->clock.mono;
	if (since(s, w->overdue_at) > BH_HOUR)
		broken(s, "webhook %" G_GINT64_FORMAT " fails for %" G_GINT64_FORMAT " h and is still enabled", w->id,
		       since(s, w->run.failing_since) / BH_HOUR);
}

/* --- The books ------------------------------------------------------------------------------------------------------ */

static void forget(watched *w)
{
	w->run = (run){0};
	w->is_overdue = false;
}

static void exhaust(const sim *s, run *r)
{
	if (!r->failing)
		return;
	if (!r->exhausted)
		r->first_exhausted = s->clock.mono;
	r->exhausted = true;
	r->last_exhausted = s->clock.mono;
}

static void fail(const sim *s, run *r)
{
	if (!r->failing)
		*r = (run){.failing = true, .failing_since = s->clock.mono, .jumped_before = s->rules->jumped};
}

void streak_recorded(sim *s, const bh_write *write)
{
	const bh_delivery *d = memory_delivery(s->disk, write->delivery_id);
	const char *outcome = write->attempt->outcome;

	if (!d || d->is_test || strcmp(outcome, "unknown") == 0 || strcmp(outcome, "gone") == 0)
		return;
	watched *w = rules_webhook(s->rules, d->webhook_id);
	if (strcmp(outcome, "failed") == 0 && !*write->attempt->request)
		return; /* it waited for a token that others asked for, and has seen nothing itself */
	if (strcmp(outcome, "delivered") == 0) {
		forget(w);
		return;
	}
	if (write->state == BH_STATE_EXHAUSTED)
		exhaust(s, &w->trial);
	if (!w->enabled)
		return; /* one that was under way; enabled again, it begins anew */
	fail(s, &w->run);
	if (write->state == BH_STATE_EXHAUSTED)
		exhaust(s, &w->run);
	check_overdue(s, w);
}

void streak_swept(sim *s, const bh_write *write)
{
	if (write->swept > 0 && write->from == BH_STATE_PENDING && write->state == BH_STATE_EXHAUSTED)
		exhaust(s, &rules_webhook(s->rules, write->webhook_id)->run);
}

void streak_put(sim *s, watched *w, const bh_webhook *webhook)
{
	bool leads_elsewhere = network_receiver_of(s->network, webhook)->number != w->receiver;

	if (webhook->disabled == BH_DISABLED_BY_FAILURE && w->enabled)
		try_it(s, w);
	if (webhook->disabled || leads_elsewhere)
		forget(w);
}
