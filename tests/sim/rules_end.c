/* When all is calm everything ends, and the loops sleep. */
#include "rules.h"

#include "engine.h"

/* Held ones of a webhook that stays disabled wait for their own end. */
bool rules_all_ended(sim *s)
{
	return s->rules->open == 0;
}

static void check_ended(void *data, const bh_delivery *d, size_t attempts)
{
	sim *s = data;

	(void)attempts;
	if (!bh_state_is_final(d->state))
		broken(s,
		       "delivery %" G_GINT64_FORMAT " of webhook %" G_GINT64_FORMAT
		       " is %s for ever, due %" G_GINT64_FORMAT ", attempts %d, spent %d",
		       d->id, d->webhook_id, bh_state_name(d->state), d->due_at, d->attempts, d->spent);
}

static void check_recoveries(sim *s)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, s->rules->webhooks);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const watched *w = value;
		if (w->is_there && w->enabled && memory_is_recovering(s->disk, w->id))
			broken(s, "a recovery of webhook %" G_GINT64_FORMAT " runs for ever", w->id);
	}
}

void rules_at_end(sim *s)
{
	memory_each_delivery(s->disk, check_ended, s);
	check_recoveries(s);
	if (s->rules->in_flight)
		broken(s, "%u requests are under way for ever", s->rules->in_flight);
}
