/*
 * Serial per order key: one under way at a time, and first attempts in the order of the sequence. Of those with one coalescing key
 * the newest is sent, and none after it.
 */
#include "rules.h"

#include "world.h"

static line *line_of(watched *w, const bh_delivery *d)
{
	line *l = g_hash_table_lookup(w->lines, d->order_key);

	if (!l) {
		l = g_new0(line, 1);
		l->webhook = d->webhook_id;
		l->key = g_strdup(d->order_key);
		g_hash_table_insert(w->lines, l->key, l);
	}
	return l;
}

void order_made(sim *s, const bh_delivery *d)
{
	watched *w = rules_webhook(s->rules, d->webhook_id);

	if (!d->order_key)
		return;
	if (d->sequence <= w->sequence)
		broken(s, "delivery %" G_GINT64_FORMAT " has number %" G_GINT64_FORMAT " after %" G_GINT64_FORMAT,
		       d->id, d->sequence, w->sequence);
	w->sequence = d->sequence;
}

/*
 * Of two that were made by a replay, a receiver cannot tell which one it has. The one that was under way may have been held or cancelled
 * by hand meanwhile: that lets the next one go.
 */
static bool excuses(const bh_delivery *under_way)
{
	return under_way->state != BH_STATE_PENDING;
}

void order_coalesced(sim *s, const bh_delivery *d)
{
	const bh_delivery *newer = memory_delivery(s->disk, d->superseded_by);

	if (!newer || newer->id <= d->id || newer->webhook_id != d->webhook_id ||
	    g_strcmp0(newer->coalesce_key, d->coalesce_key) != 0)
		broken(s,
		       "delivery %" G_GINT64_FORMAT " gives way to %" G_GINT64_FORMAT
		       ", which is no newer one of its key",
		       d->id, d->superseded_by);
}

/* The store may be away just then, and one message too many harms nobody. */
static void check_newest(sim *s, const visit *v, const bh_delivery *d)
{
	bh_id newer = d->coalesce_key ? memory_newer_delivered(s->disk, d->id) : 0;

	if (newer && rules_webhook(s->rules, v->webhook)->coalesces && !s->world->unreadable)
		broken(s, "delivery %" G_GINT64_FORMAT " is sent after %" G_GINT64_FORMAT ", a newer one of its key",
		       d->id, newer);
}

void order_sent(sim *s, const visit *v, const bh_delivery *d)
{
	pair *p = rules_pair(s->rules, v->event, v->webhook);

	if (p->made == 1) /* else nobody can tell which one it is */
		check_newest(s, v, d);

	if (!d->order_key || p->made > 1)
		return;
	line *l = line_of(rules_webhook(s->rules, d->webhook_id), d);
	const bh_delivery *other = l->in_flight ? memory_delivery(s->disk, l->in_flight) : NULL;
	if (other && !excuses(other))
		broken(s, "delivery %" G_GINT64_FORMAT " overtakes %" G_GINT64_FORMAT " of the same order key", d->id,
		       l->in_flight);
	l->in_flight = d->id;
	if (v->sequence != d->sequence)
		broken(s,
		       "the body has number %" G_GINT64_FORMAT ", delivery %" G_GINT64_FORMAT " has %" G_GINT64_FORMAT,
		       v->sequence, d->id, d->sequence);
	if (p->sent > 1)
		return;
	bool was_set_aside = g_hash_table_contains(s->rules->set_aside, &d->id);
	if (d->sequence < l->sequence && !was_set_aside)
		broken(s,
		       "delivery %" G_GINT64_FORMAT " with number %" G_GINT64_FORMAT
		       " comes after number %" G_GINT64_FORMAT,
		       d->id, d->sequence, l->sequence);
	l->sequence = MAX(l->sequence, d->sequence);
}

void order_over(sim *s, const visit *v, const bh_delivery *d)
{
	(void)v;
	if (!d->order_key)
		return;
	line *l = line_of(rules_webhook(s->rules, d->webhook_id), d);
	if (l->in_flight == d->id)
		l->in_flight = 0;
}

void order_process_over(rules *r)
{
	GHashTableIter webhooks, lines;
	void *w, *l;

	g_hash_table_iter_init(&webhooks, r->webhooks);
	while (g_hash_table_iter_next(&webhooks, NULL, &w)) {
		g_hash_table_iter_init(&lines, ((watched *)w)->lines);
		while (g_hash_table_iter_next(&lines, NULL, &l))
			((line *)l)->in_flight = 0;
	}
}
