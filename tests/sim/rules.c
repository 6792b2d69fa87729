#include "rules.h"

#include "engine.h"

#include <string.h>

#define HEARD_AFTER (5 * BH_SECOND) /* by then the loop knows */

/* --- Books ----------------------------------------------------------------------------------------------------------- */

static guint hash_pair(const void *p)
{
	const pair *x = p;

	return g_int64_hash(&x->event) * 31 + g_int64_hash(&x->webhook);
}

static gboolean same_pair(const void *a, const void *b)
{
	const pair *x = a, *y = b;

	return x->event == y->event && x->webhook == y->webhook;
}

static void free_line(void *data)
{
	line *l = data;

	g_free(l->key);
	g_free(l);
}

static void free_watched(void *data)
{
	watched *w = data;

	g_free(w->manager);
	g_hash_table_unref(w->lines);
	g_queue_clear_full(&w->recent, g_free);
	g_free(w);
}

rules *rules_new(sim *s)
{
	rules *r = g_new0(rules, 1);

	r->pairs = g_hash_table_new_full(hash_pair, same_pair, NULL, g_free);
	r->webhooks = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, free_watched);
	r->accepted = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	r->set_aside = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	r->left = g_array_new(FALSE, FALSE, sizeof(left_behind));
	r->managers_in_flight = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	r->minute_at = r->hour_at = r->started_at = r->disturbed_at = s->clock.mono;
	return r;
}

void rules_free(rules *r)
{
	if (!r)
		return;
	g_hash_table_unref(r->pairs);
	g_hash_table_unref(r->webhooks);
	g_array_unref(r->left);
	g_hash_table_unref(r->accepted);
	g_hash_table_unref(r->set_aside);
	g_hash_table_unref(r->managers_in_flight);
	g_free(r);
}

pair *rules_pair(rules *r, bh_id event, bh_id webhook)
{
	pair key = {.event = event, .webhook = webhook}, *p = g_hash_table_lookup(r->pairs, &key);

	if (!p) {
		p = g_memdup2(&key, sizeof key);
		g_hash_table_add(r->pairs, p);
	}
	return p;
}

watched *rules_webhook(rules *r, bh_id webhook)
{
	watched *w = g_hash_table_lookup(r->webhooks, &webhook);

	if (!w) {
		w = g_new0(watched, 1);
		w->id = webhook;
		w->manager = g_strdup("");
		w->lines = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_line);
		g_queue_init(&w->recent);
		g_hash_table_insert(r->webhooks, &w->id, w);
	}
	return w;
}

bool rules_is_unreachable(bh_cause cause)
{
	return cause == BH_CAUSE_TIMEOUT || cause == BH_CAUSE_DNS || cause == BH_CAUSE_CONNECT ||
	       cause == BH_CAUSE_TLS || cause == BH_CAUSE_PROTOCOL;
}

/* --- The network: one at a time -------------------------------------------------------------------------------------- */

/* However long an attempt waited for its token: who was switched off or removed meanwhile is not sent to. */
static void check_enabled(sim *s, const visit *v, const bh_delivery *d)
{
	const watched *w = rules_webhook(s->rules, v->webhook);

	if (d->is_test || v->is_second || w->enabled || bh_mono_since(s->clock.mono, w->changed_at) < HEARD_AFTER)
		return;
	broken(s, "delivery %" G_GINT64_FORMAT " is sent, and its webhook is %s", d->id,
	       w->is_there ? "disabled" : "removed");
}

void rules_sent(sim *s, visit *v)
{
	rules *r = s->rules;
	pair *p = rules_pair(r, v->event, v->webhook);
	const bh_delivery *d = memory_delivery(s->disk, p->delivery);

	s->counts.attempts++;
	r->happenings++;
	TELL(s, "event %lld goes to webhook %lld at receiver %lld, time %lld", v->event, v->webhook,
	     v->receiver->number, p->sent + 1);
	if (p->made == 0)
		broken(s, "a request for an event that was never stored for this webhook: its webhook-id changed");
	if (p->in_flight >= p->made)
		broken(s,
		       "event %" G_GINT64_FORMAT " is sent to webhook %" G_GINT64_FORMAT " while it is under way to it",
		       v->event, v->webhook);
	if (p->made == 1 && d->state != BH_STATE_PENDING && d->state != BH_STATE_HELD && d->state != BH_STATE_CANCELLED)
		broken(s, "delivery %" G_GINT64_FORMAT " is sent although it is %s", d->id, bh_state_name(d->state));
	v->is_second = p->refused == d->attempts + 1;
	v->is_retry = p->made == 1 && p->sent > 0 && d->attempts > 0; /* a second call may be of the first attempt */
	check_enabled(s, v, d);
	p->in_flight++;
	p->sent++;
	order_sent(s, v, d);
	script_sent(s, v, d);
	pace_sent(s, v, d);
}

static void over(sim *s, const visit *v)
{
	pair *p = rules_pair(s->rules, v->event, v->webhook);
	const bh_delivery *d = memory_delivery(s->disk, p->delivery);

	s->rules->happenings++;
	p->in_flight--;
	order_over(s, v, d);
	pace_over(s, v, d);
}

void rules_answered(sim *s, const visit *v)
{
	pair *p = rules_pair(s->rules, v->event, v->webhook);
	int status = v->meeting.status;

	TELL(s, "event %lld to webhook %lld is answered: status %lld, cause %lld", v->event, v->webhook, status,
	     v->meeting.cause);
	over(s, v);
	p->proofs += status >= 200 && status <= 299;
	p->refused = status == 401 ? memory_delivery(s->disk, p->delivery)->attempts + 1 : 0;
	pace_answered(s, v);
}

void rules_cut(sim *s, const visit *v)
{
	over(s, v);
}

void rules_token_answered(sim *s, bh_id webhook, const meeting *m)
{
	TELL(s, "the token service of webhook %lld answers: status %lld, cause %lld", webhook, m->status, m->cause);
	s->rules->happenings++;
	pace_token_answered(s, webhook);
}

/* --- The disk: proof ------------------------------------------------------------------------------------------------- */

void rules_moved(void *data, const bh_delivery *d, bh_state from)
{
	sim *s = data;
	pair *p = rules_pair(s->rules, d->event_id, d->webhook_id);
	bool ended = bh_state_is_final(d->state), had_ended = from != 0 && bh_state_is_final(from);

	s->counts.moves[d->state]++;
	s->counts.blocked += from == 0 && d->due_at == BH_DUE_BLOCKED;
	if (d->state == BH_STATE_COALESCED)
		order_coalesced(s, d);
	if (from != 0)
		script_moved(s, d);
	TELL(s, "delivery %lld of webhook %lld goes from state %lld to %lld, due %lld", d->id, d->webhook_id, from,
	     d->state, d->due_at);
	if (from == 0) {
		p->made++;
		p->delivery = d->id;
		order_made(s, d);
	} else if (!bh_state_may_move(from, d->state)) {
		broken(s, "delivery %" G_GINT64_FORMAT " goes from %s to %s", d->id, bh_state_name(from),
		       bh_state_name(d->state));
	}
	if (d->state == BH_STATE_HELD || d->state == BH_STATE_EXHAUSTED)
		g_hash_table_add(s->rules->set_aside, g_memdup2(&d->id, sizeof d->id));
	if (d->is_test && d->state == BH_STATE_HELD)
		broken(s, "test %" G_GINT64_FORMAT " is held, and would pass for the newest event", d->id);
	/* One that waited for others gets its attempt however late, at once. */
	if (d->state == BH_STATE_PENDING && d->due_at != BH_DUE_BLOCKED &&
	    d->due_at > MAX(d->created_at + s->settings->lifetime, engine_steady(s->engine)))
		broken(s, "delivery %" G_GINT64_FORMAT " is due after the end of its life", d->id);
	s->rules->open += (from == 0 || had_ended) && !ended ? 1 : 0;
	s->rules->open -= from != 0 && !had_ended && ended ? 1 : 0;
	p->delivered += d->state == BH_STATE_DELIVERED;
	if (p->delivered > p->proofs)
		broken(s, "delivery %" G_GINT64_FORMAT " is said to be delivered, and nobody took it", d->id);
}

static void webhook_put(sim *s, const bh_webhook *webhook)
{
	watched *w = rules_webhook(s->rules, webhook->id);
	const char *manager = webhook->manager_id ? webhook->manager_id : "";

	if (!g_str_equal(w->manager, manager)) {
		g_free(w->manager);
		w->manager = g_strdup(manager);
	}
	s->counts.disabled[webhook->disabled] += webhook->disabled && w->enabled;
	streak_put(s, w, webhook);
	pace_put(s, w, webhook);
	script_put(s, w, webhook);
	w->coalesces = webhook->coalesce > 0 && (w->coalesces || !w->is_there);
	w->is_there = true;
	w->enabled = webhook->disabled == BH_ENABLED;
	w->changed_at = s->clock.mono;
}

/* What was under way at three deaths may be what kills us. */
static void crash_recorded(sim *s, const bh_write *w)
{
	const bh_delivery *d = memory_delivery(s->disk, w->delivery_id);
	pair *p = d ? rules_pair(s->rules, d->event_id, d->webhook_id) : NULL;

	if (!p || p->made > 1 || strcmp(w->attempt->cause, bh_cause_name(BH_CAUSE_CRASH)) != 0)
		return;
	if (++p->crashes >= 3 && d->state == BH_STATE_PENDING)
		broken(s, "delivery %" G_GINT64_FORMAT " was under way at %u deaths and is sent again", d->id,
		       p->crashes);
}

void rules_applied(void *data, const bh_write *w)
{
	sim *s = data;

	s->rules->happenings++;
	if (w->kind == BH_WRITE_CHANGE && w->change->kind == BH_CHANGE_WEBHOOK_PUT) {
		webhook_put(s, w->change->webhook);
	} else if (w->kind == BH_WRITE_CHANGE && w->change->kind == BH_CHANGE_WEBHOOK_REMOVE) {
		watched *gone = rules_webhook(s->rules, w->change->id);
		gone->is_there = gone->enabled = false;
		gone->changed_at = s->clock.mono;
	} else if (w->kind == BH_WRITE_RECORD && w->attempt) {
		streak_recorded(s, w);
		crash_recorded(s, w);
	} else if (w->kind == BH_WRITE_SWEEP) {
		streak_swept(s, w);
	}
	s->counts.recovered += w->kind == BH_WRITE_RECOVER ? w->swept : 0;
	s->counts.replayed += w->kind == BH_WRITE_REPLAY;
	s->counts.tests_enabled += w->kind == BH_WRITE_CHANGE && g_str_has_suffix(w->audit_who, "test");
}

/* --- The world ------------------------------------------------------------------------------------------------------- */

void rules_accepted(sim *s, bh_id event)
{
	g_hash_table_add(s->rules->accepted, g_memdup2(&event, sizeof event));
	if (!memory_event(s->disk, event))
		broken(s, "event %" G_GINT64_FORMAT " is accepted and not stored", event);
}

void rules_nudged(sim *s, bh_id webhook)
{
	watched *w = rules_webhook(s->rules, webhook);

	w->nudges++;
	w->young_nudges++;
}

/* What was under way and was not recorded may have arrived: the next process knows of it, or knows that it is over. */
void rules_died(sim *s)
{
	rules *r = s->rules;
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, r->pairs);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const pair *p = value;
		const bh_delivery *d = memory_delivery(s->disk, p->delivery);
		if (p->in_flight == 0 || p->made > 1)
			continue;
		left_behind left = {d->id, d->attempts};
		g_array_append_val(r->left, left);
	}
}

void rules_started(sim *s)
{
	rules *r = s->rules;

	bh_usec offset = s->clock.wall - s->clock.mono.us;
	r->jumped += r->offset ? ABS(offset - r->offset) : 0;
	r->offset = offset;
	r->started_at = r->disturbed_at = s->clock.mono;
	for (guint i = 0; i < r->left->len; i++) {
		const left_behind *left = &g_array_index(r->left, left_behind, i);
		const bh_delivery *d = memory_delivery(s->disk, left->delivery);
		if (d->state == BH_STATE_PENDING && d->attempts == left->attempts)
			broken(s,
			       "delivery %" G_GINT64_FORMAT
			       " was under way when the process died, and nobody knows of it",
			       d->id);
	}
	g_array_set_size(r->left, 0);
}

void rules_process_over(sim *s)
{
	rules *r = s->rules;
	GHashTableIter iter;
	void *value;

	r->disturbed_at = s->clock.mono;
	g_hash_table_iter_init(&iter, r->pairs);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		((pair *)value)->in_flight = 0;
	order_process_over(r);
	network_process_over(s->network);
	pace_process_over(s);
}

/* --- From time to time ----------------------------------------------------------------------------------------------- */

void rules_after_step(sim *s)
{
	rules *r = s->rules;

	if (!bh_mono_reached(s->clock.mono, r->minute_at))
		return;
	wait_each_minute(s);
	streak_each_minute(s);
	r->minute_at = bh_mono_add(s->clock.mono, BH_MINUTE);
	if (!bh_mono_reached(s->clock.mono, r->hour_at))
		return;
	wait_each_hour(s);
	r->hour_at = bh_mono_add(s->clock.mono, BH_HOUR);
}
