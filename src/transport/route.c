/*
 * Where URLs lead. A URL is judged once and remembered until the guard changes: reading it costs more
 * than all else that a request on a kept connection needs before libcurl.
 */
#include "transport/internal.h"

#include <string.h>

/* When so many different URLs came, they are all forgotten: some methods put an id into each one. */
#define ROUTES_MAX 1024

bh_routes *bh_routes_new(bh_guard *guard)
{
	bh_routes *r = g_new0(bh_routes, 1);

	r->guard = bh_guard_ref(guard);
	for (size_t i = 0; i < G_N_ELEMENTS(r->by_url); i++)
		r->by_url[i] = g_hash_table_new(g_str_hash, g_str_equal);
	r->endpoints = g_hash_table_new(g_str_hash, g_str_equal);
	r->untold = g_ptr_array_new_with_free_func(g_free);
	r->telling = 1;
	return r;
}

static void forget_of(bh_routes *r, GHashTable *by_url)
{
	GHashTableIter i;
	void *url, *route;

	g_hash_table_iter_init(&i, by_url);
	while (g_hash_table_iter_next(&i, &url, &route)) {
		g_hash_table_iter_remove(&i);
		g_free(url);
		bh_route_unref(r, route);
	}
}

static void forget(bh_routes *r)
{
	for (size_t i = 0; i < G_N_ELEMENTS(r->by_url); i++)
		forget_of(r, r->by_url[i]);
}

void bh_routes_free(bh_routes *r)
{
	if (!r)
		return;
	forget(r);
	for (size_t i = 0; i < G_N_ELEMENTS(r->by_url); i++)
		g_hash_table_unref(r->by_url[i]);
	g_assert(g_hash_table_size(r->endpoints) == 0);
	g_hash_table_unref(r->endpoints);
	g_ptr_array_unref(r->untold);
	for (int i = 0; i < BH_TLS_SHARES; i++)
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

/* --- What endpoints share ----------------------------------------------------------------- */

CURLSH *bh_routes_sessions(bh_routes *r, const char *key)
{
	CURLSH **share = &r->tls_sessions[g_str_hash(key) % BH_TLS_SHARES];

	if (!*share) {
		*share = curl_share_init();
		curl_share_setopt(*share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION); /* no locks: one thread */
	}
	return *share;
}

void bh_routes_untell(bh_routes *r, const bh_endpoint *e)
{
	g_ptr_array_add(r->untold, g_strdup_printf("-%s:%u", e->host, e->port));
	r->telling++; /* another endpoint may have told the same: it does so again */
}

static struct curl_slist *list_untold(bh_routes *r)
{
	struct curl_slist *list = NULL;

	for (guint i = 0; i < r->untold->len; i++)
		list = curl_slist_append(list, r->untold->pdata[i]);
	g_ptr_array_set_size(r->untold, 0);
	return list;
}

struct curl_slist *bh_routes_tell(bh_routes *r, struct curl_slist *list, bh_endpoint *e)
{
	if (!e->line || e->told == r->telling)
		return list;
	if (!list)
		list = list_untold(r);
	e->told = r->telling;
	return curl_slist_append(list, e->line);
}

/* --- Routes --------------------------------------------------------------------------------- */

static bh_route *judge(bh_routes *r, const char *url, bool trusted, const char **ret_rule, GError **error)
{
	bh_target target;
	const char *rule = bh_guard_judge_url(r->guard, url, trusted, &target, error);

	if (rule) {
		*ret_rule = rule;
		return NULL;
	}
	bh_route *route = g_new(bh_route, 1);
	*route = (bh_route){.refs = 1, .target = target, .parsed = curl_url()};
	route->endpoint = bh_endpoint_find(r, target.https ? "https" : "http", target.host, target.port);
	if (curl_url_set(route->parsed, CURLUPART_URL, target.url, CURLU_DISALLOW_USER) != CURLUE_OK)
		g_error("libcurl does not read what it wrote"); /* the guard has seen it read this very text */
	return route;
}

bh_route *bh_routes_find(bh_routes *r, const char *url, bool trusted, const char **ret_rule, GError **error)
{
	GHashTable *by_url = r->by_url[trusted];
	bh_route *route = g_hash_table_lookup(by_url, url);

	if (!route) {
		route = judge(r, url, trusted, ret_rule, error);
		if (!route)
			return NULL;
		if (g_hash_table_size(by_url) >= ROUTES_MAX)
			forget_of(r, by_url);
		g_hash_table_insert(by_url, g_strdup(url), route);
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
