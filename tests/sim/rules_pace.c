/*
 * How much may be under way, and how fast: of a webhook, of a manager while there are others, of retries; the owner's rate; and that a
 * dead receiver sees probes only. What a person asked for (a test, a retry by hand) waits for none of these.
 */
#include "rules.h"

#include "engine.h"

#include "delivery/loop.h"

#define HEARD_AFTER (5 * BH_SECOND) /* by then the loop goes by what was put */

/* --- How many ---------------------------------------------------------------------------------------------------------- */

static size_t loop_of(sim *s, bh_id webhook)
{
	size_t i = 0;

	while (!bh_loop_of_webhook(engine_loop(s->engine, i), webhook))
		i++;
	return i;
}

/* Each loop has its own slots, and each manager his share of them. */
static unsigned *in_flight_of(sim *s, const watched *w)
{
	rules *r = s->rules;
	g_autofree char *key = g_strdup_printf("%zu/%s", loop_of(s, w->id), w->manager);
	unsigned *count = g_hash_table_lookup(r->managers_in_flight, key);

	if (!count) {
		count = g_new0(unsigned, 1);
		g_hash_table_insert(r->managers_in_flight, g_steal_pointer(&key), count);
	}
	return count;
}

static bool waits(sim *s, const watched *w)
{
	bh_usec due;

	return w->is_there && w->enabled && bh_mono_since(s->clock.mono, w->changed_at) > HEARD_AFTER &&
	       memory_first_due(s->disk, w->id, &due) && due <= engine_steady(s->engine) - HEARD_AFTER;
}

/* Does, in the same loop, something of somebody else's wait? */
static bool has_company(sim *s, const watched *w)
{
	GHashTableIter iter;
	void *value;

	if (bh_mono_since(s->clock.mono, s->rules->disturbed_at) < HEARD_AFTER)
		return false;
	g_hash_table_iter_init(&iter, s->rules->webhooks);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const watched *other = value;
		if (!g_str_equal(other->manager, w->manager) && waits(s, other) &&
		    loop_of(s, other->id) == loop_of(s, w->id))
			return true;
	}
	return false;
}

static size_t part(size_t slots, int64_t percent)
{
	return MAX(1, slots * (size_t)percent / 100);
}

static void check_numbers(sim *s, watched *w, bool is_retry)
{
	const bh_settings *set = s->settings;
	rules *r = s->rules;
	size_t loops = (size_t)set->delivery_loops, slots = MAX(1, (size_t)set->in_flight_max / loops);
	unsigned urgent = w->tests_in_flight + w->nudges;

	if (w->in_flight > (unsigned)set->in_flight_per_webhook + urgent)
		broken(s, "webhook %" G_GINT64_FORMAT " has %u under way", w->id, w->in_flight);
	if (r->in_flight > slots * loops)
		broken(s, "%u are under way", r->in_flight);
	unsigned of_manager = *in_flight_of(s, w);
	size_t share = part(slots, set->manager_share_percent);
	if (of_manager > share && of_manager > share + r->urgent_in_flight && has_company(s, w))
		broken(s, "manager \"%s\" has %u under way, and %zu are his share", w->manager, of_manager, share);
	if (is_retry && r->retries_in_flight > part(slots, set->retry_share_percent) * loops + r->urgent_in_flight)
		broken(s, "%u retries are under way", r->retries_in_flight);
}

/* --- How fast ---------------------------------------------------------------------------------------------------------- */

static void check_rate(sim *s, watched *w, bool is_urgent)
{
	bh_mono now = s->clock.mono;

	if (!w->rate_requests || is_urgent || !bh_mono_reached(now, w->rate_from))
		return;
	g_queue_push_tail(&w->recent, g_memdup2(&now, sizeof now));
	while (bh_mono_since(now, *(bh_mono *)g_queue_peek_head(&w->recent)) >= w->rate_per)
		g_free(g_queue_pop_head(&w->recent));
	unsigned count = g_queue_get_length(&w->recent);
	if (count > (unsigned)w->rate_requests)
		broken(s, "webhook %" G_GINT64_FORMAT " gets %u in a span that %" G_GINT64_FORMAT " are allowed in",
		       w->id, count, w->rate_requests);
}

/* --- The breaker --------------------------------------------------------------------------------------------------------- */

static void check_probe(sim *s, watched *w, bool is_urgent)
{
	if (!w->is_open || is_urgent || bh_mono_since(s->clock.mono, w->heard_at) >= w->probe_wait)
		return;
	broken(s,
	       "webhook %" G_GINT64_FORMAT " is sent to %" G_GINT64_FORMAT " ms after the last failure of %u in a row",
	       w->id, bh_mono_since(s->clock.mono, w->heard_at) / BH_MILLISECOND, w->unreachable);
}

static void forget_receiver(watched *w)
{
	w->unreachable = 0;
	w->probe_wait = 0;
	w->is_open = false;
}

/* What a token service says the engine takes for its receiver's word; what it makes of it is not for us to say. */
void pace_token_answered(sim *s, bh_id webhook)
{
	watched *w = rules_webhook(s->rules, webhook);

	w->unreachable = 0;
	w->probe_wait = 0;
}

void pace_answered(sim *s, const visit *v)
{
	watched *w = rules_webhook(s->rules, v->webhook);
	const bh_settings *set = s->settings;
	const meeting *m = &v->meeting;
	bool is_probe = w->is_open && bh_mono_reached(v->sent_at, w->heard_at); /* not under way before it opened */

	if (m->status >= 200 && m->status <= 299)
		forget_receiver(w);
	if (!rules_is_unreachable(m->cause)) {
		w->unreachable = 0; /* an open breaker stays open, and how long it waits then is not for us to say */
		w->probe_wait = 0;
		return;
	}
	if (v->is_urgent)
		return; /* a test goes out on a lane that may be closed, and then nobody remembers it */
	w->unreachable++;
	if (w->unreachable < set->breaker_failures || (w->is_open && !is_probe))
		return;
	w->heard_at = s->clock.mono;
	w->probe_wait = w->is_open ? MIN(w->probe_wait * 2, set->probe_max) : set->probe_first;
	w->is_open = true;
}

/* --- The books ----------------------------------------------------------------------------------------------------------- */

void pace_sent(sim *s, visit *v, const bh_delivery *d)
{
	rules *r = s->rules;
	watched *w = rules_webhook(r, v->webhook);
	bool is_urgent = v->is_urgent = d->is_test || w->nudges > 0;

	w->sent_at = s->clock.mono;
	w->in_flight++;
	w->tests_in_flight += d->is_test;
	r->in_flight++;
	r->urgent_in_flight += is_urgent;
	r->retries_in_flight += v->is_retry;
	++*in_flight_of(s, w);
	check_numbers(s, w, v->is_retry);
	check_rate(s, w, is_urgent || v->is_second);
	check_probe(s, w, is_urgent || v->is_second);
}

void pace_over(sim *s, const visit *v, const bh_delivery *d)
{
	rules *r = s->rules;
	watched *w = rules_webhook(r, v->webhook);

	w->in_flight--;
	w->tests_in_flight -= d->is_test;
	r->in_flight--;
	r->urgent_in_flight -= v->is_urgent;
	r->retries_in_flight -= v->is_retry;
	--*in_flight_of(s, w);
}

void pace_put(sim *s, watched *w, const bh_webhook *webhook)
{
	unsigned number = network_receiver_of(s->network, webhook)->number;

	if (number != w->receiver || webhook->disabled || !w->enabled) /* a lane that closes forgets, too */
		forget_receiver(w);
	w->receiver = number;
	if (webhook->rate_requests == w->rate_requests && webhook->rate_per == w->rate_per)
		return;
	w->rate_requests = webhook->rate_requests;
	w->rate_per = webhook->rate_per;
	w->rate_from = bh_mono_add(s->clock.mono, HEARD_AFTER);
	g_queue_clear_full(&w->recent, g_free);
}

/* Paces are memory: a new process begins anew. */
void pace_process_over(sim *s)
{
	rules *r = s->rules;
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, r->webhooks);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		watched *w = value;
		w->in_flight = w->tests_in_flight = 0;
		g_queue_clear_full(&w->recent, g_free);
		forget_receiver(w);
	}
	g_hash_table_remove_all(r->managers_in_flight);
	r->in_flight = r->retries_in_flight = r->urgent_in_flight = 0;
}
