/* A token bucket a key, kept as the one moment at which it is full again (GCRA): a key that rests needs no entry. */
#include "api/rates.h"

#include <glib.h>
#include <pthread.h>

#define BURST BH_SECOND
#define SWEEP_AT 1024 /* entries at which those that rest are dropped */

typedef struct rate {
	bh_id key;
	bh_mono full_at;
} rate;

struct bh_rates {
	pthread_mutex_t lock; /* guards the rest */
	GHashTable *by_key; /* rate, by its key */
	guint sweep_at;
};

bh_rates *bh_rates_new(void)
{
	bh_rates *r = g_new0(bh_rates, 1);

	pthread_mutex_init(&r->lock, NULL);
	r->by_key = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
	r->sweep_at = SWEEP_AT;
	return r;
}

void bh_rates_free(bh_rates *r)
{
	if (!r)
		return;
	g_hash_table_unref(r->by_key);
	pthread_mutex_destroy(&r->lock);
	g_free(r);
}

static gboolean rests(void *key, void *value, void *user)
{
	const rate *one = value;
	const bh_mono *now = user;

	return bh_mono_reached(*now, one->full_at);
}

static rate *rate_of(bh_rates *r, bh_id key, bh_mono now)
{
	rate *one = g_hash_table_lookup(r->by_key, &key);

	if (one)
		return one;
	if (g_hash_table_size(r->by_key) >= r->sweep_at) {
		g_hash_table_foreach_remove(r->by_key, rests, &now);
		r->sweep_at = MAX(SWEEP_AT, 2 * g_hash_table_size(r->by_key));
	}
	one = g_new(rate, 1);
	*one = (rate){.key = key, .full_at = now};
	g_hash_table_insert(r->by_key, &one->key, one);
	return one;
}

bh_usec bh_rates_take(bh_rates *r, bh_id key, int64_t per_second, size_t events, bh_mono now)
{
	bh_usec cost = (bh_usec)events * BH_SECOND / per_second;

	pthread_mutex_lock(&r->lock);
	rate *one = rate_of(r, key, now);
	bh_usec missing = MAX(0, bh_mono_since(one->full_at, now));
	bh_usec wait = MAX(0, missing - MAX(0, BURST - cost));
	if (wait == 0)
		one->full_at = bh_mono_add(now, missing + cost);
	pthread_mutex_unlock(&r->lock);
	return wait;
}
