/*
 * Where URLs lead. A URL is judged once and remembered until the guard changes: reading it costs more
 * than all else that a request on a kept connection needs before libcurl.
 */
#include "transport/internal.h"

#include <string.h>

/* When so many different URLs came, they are all forgotten: some methods put an id into each one. */
#define ROUTES_MAX 1024

/*
 * libcurl keeps 8 TLS sessions in one share, far too few for a node with hundreds of receivers, and a full
 * handshake costs forty times a request. So endpoints are spread over several shares.
 */
#define TLS_SHARES 32

struct bh_routes {
	bh_guard *guard;
	GHashTable *by_url; /* url -> bh_route */
	GHashTable *endpoints; /* key -> bh_endpoint, as long as anybody holds it */
	CURLSH *tls_sessions[TLS_SHARES];
};

bh_routes *bh_routes_new(bh_guard *guard)
{
	bh_routes *r = g_new0(bh_routes, 1);

	r->guard = bh_guard_ref(guard);
	r->by_url = g_hash_table_new(g_str_hash, g_str_equal);
	r->endpoints = g_hash_table_new(g_str_hash, g_str_equal);
	return r;
}

static void forget(bh_routes *r)
{
	GHashTableIter i;
	void *url, *route;

	g_hash_table_iter_init(&i, r->by_url);
	while (g_hash_table_iter_next(&i, &url, &route)) {
		g_hash_table_iter_remove(&i);
		g_free(url);
		bh_route_unref(r, route);
	}
}

void bh_routes_free(bh_routes *r)
{
	if (!r)
		return;
	forget(r);
	g_hash_table_unref(r->by_url);
	g_assert(g_hash_table_size(r->endpoints) == 0);
	g_hash_table_unref(r->endpoints);
	for (int i = 0; i < TLS_SHARES; i++)
		curl_share_cleanup(r->tls_sessions[i]); /* NULL is fine */
	bh_guard_unref(r->guard);
	g_free(r);
}

void bh_routes_use_guard(bh_routes *r, bh_guard *guard)
{
	bh_guard *old = r->guard;

	r->guard = bh_guard_ref(guard);
	bh_guard_unref(old);
	forget(r);
}

bh_guard *bh_routes_guard(const bh_routes *r)
{
	return r->guard;
}

/* --- Endpoints ------------------------------------------------------------------------------ */

static CURLSH *tls_sessions_of(bh_routes *r, const char *key)
{
	CURLSH **share = &r->tls_sessions[g_str_hash(key) % TLS_SHARES];

	if (!*share) {
		*share = curl_share_init();
		curl_share_setopt(*share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION); /* no locks: one thread */
	}
	return *share;
}

static bh_endpoint *endpoint_of(bh_routes *r, const bh_target *t)
{
	g_autofree char *key = g_strdup_printf("%s://%s:%u", t->https ? "https" : "http", t->host, t->port);
	bh_endpoint *e = g_hash_table_lookup(r->endpoints, key);

	if (e)
		return bh_endpoint_ref(e);
	e = g_new(bh_endpoint, 1);
	*e = (bh_endpoint){.refs = 1, .idle = G_QUEUE_INIT};
	/* Plain ones too: an easy handle that once ran without a share has made a cache of its own, and libcurl 7.88
	   loses that when a share is set later. */
	e->tls_sessions = tls_sessions_of(r, key);
	e->key = g_steal_pointer(&key);
	g_hash_table_insert(r->endpoints, e->key, e);
	return e;
}

bh_endpoint *bh_endpoint_ref(bh_endpoint *e)
{
	e->refs++;
	return e;
}

void bh_endpoint_unref(bh_routes *r, bh_endpoint *e)
{
	if (--e->refs > 0)
		return;
	g_assert(e->idle.length == 0);
	g_hash_table_remove(r->endpoints, e->key);
	g_free(e->key);
	g_free(e);
}

/* --- Routes --------------------------------------------------------------------------------- */

static bh_route *judge(bh_routes *r, const char *url, const char **ret_rule, GError **error)
{
	bh_target target;
	const char *rule = bh_guard_judge_url(r->guard, url, &target, error);

	if (rule) {
		*ret_rule = rule;
		return NULL;
	}
	bh_route *route = g_new(bh_route, 1);
	*route = (bh_route){.refs = 1, .target = target, .parsed = curl_url(), .endpoint = endpoint_of(r, &target)};
	if (curl_url_set(route->parsed, CURLUPART_URL, target.url, CURLU_DISALLOW_USER) != CURLUE_OK)
		g_error("libcurl does not read what it wrote"); /* the guard has seen it read this very text */
	return route;
}

bh_route *bh_routes_find(bh_routes *r, const char *url, const char **ret_rule, GError **error)
{
	bh_route *route = g_hash_table_lookup(r->by_url, url);

	if (!route) {
		route = judge(r, url, ret_rule, error);
		if (!route)
			return NULL;
		if (g_hash_table_size(r->by_url) >= ROUTES_MAX)
			forget(r);
		g_hash_table_insert(r->by_url, g_strdup(url), route);
	}
	route->refs++;
	return route;
}

void bh_route_unref(bh_routes *r, bh_route *route)
{
	if (--route->refs > 0)
		return;
	bh_endpoint_unref(r, route->endpoint);
	curl_url_cleanup(route->parsed);
	bh_target_clear(&route->target);
	g_free(route);
}
