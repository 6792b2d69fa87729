/*
 * What a webhook's conditions do not want is not sent; what they want is neither filtered nor given up for one that they do not
 * want; and the body is what the script makes. Just after a change both scripts may have had a say.
 */
#include "rules.h"

#define SETTLED (2 * BH_MINUTE) /* what was decided by the one before is on record by then */

void script_put(sim *s, watched *w, const bh_webhook *webhook)
{
	own_script now = script_read(webhook->script);

	if (w->is_there && now.is_there == w->script.is_there && now.unwanted == w->script.unwanted &&
	    now.transforms == w->script.transforms)
		return;
	w->script = now;
	w->script_at = s->clock.mono;
}

static bool has_settled(sim *s, const watched *w)
{
	return w->is_there && bh_mono_since(s->clock.mono, w->script_at) > SETTLED;
}

static bool wants(sim *s, const watched *w, const bh_delivery *d)
{
	const bh_event *event = memory_event(s->disk, d->event_id);

	return !event || script_wants(&w->script, event);
}

void script_sent(sim *s, const visit *v, const bh_delivery *d)
{
	const watched *w = rules_webhook(s->rules, v->webhook);

	if (!has_settled(s, w))
		return;
	if (!d->is_test && !wants(s, w, d))
		broken(s, "delivery %" G_GINT64_FORMAT " is sent, and a condition does not want it", d->id);
	if (v->is_transformed != w->script.transforms)
		broken(s, "delivery %" G_GINT64_FORMAT " is sent with a body that is not the script's", d->id);
}

void script_moved(sim *s, const bh_delivery *d)
{
	const watched *w = rules_webhook(s->rules, d->webhook_id);

	if (!has_settled(s, w))
		return;
	if (d->state == BH_STATE_FILTERED && (d->is_test || wants(s, w, d)))
		broken(s, "delivery %" G_GINT64_FORMAT " is filtered, and is wanted", d->id);
	if (d->state != BH_STATE_COALESCED || !wants(s, w, d))
		return;
	const bh_delivery *newer = memory_delivery(s->disk, d->superseded_by);
	if (!wants(s, w, newer))
		broken(s,
		       "delivery %" G_GINT64_FORMAT " is wanted, and gives way to %" G_GINT64_FORMAT ", which is not",
		       d->id, newer->id);
}
