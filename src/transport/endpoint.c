/*
 * Where transfers end: one scheme, host and port, with its kept connections and the addresses that its name leads to.
 *
 * A name is looked up by our own threads (names.c), once for all transfers that wait for it, and libcurl is told the addresses: it
 * never looks up anything itself. They hold for a minute, and longer while a connection is kept; then they are
 * refreshed in passing.
 */
#include "transport/internal.h"

#include "transport/guard_rules.h"

#include <arpa/inet.h>
#include <string.h>

#define ADDRESSES_HOLD (60 * BH_SECOND)
#define ADDRESSES_MAX 16 /* of one name; a receiver has one to four */

/* --- Find and forget ------------------------------------------------------------------------ */

static bool needs_no_looking_up(const char *host)
{
	bh_address literal;

	/* libcurl itself knows what localhost is, and the guard what not to think of it. */
	return bh_address_read(host, &literal) || bh_rule_addresses_of_name(host);
}

bh_endpoint *bh_endpoint_find(bh_routes *r, const char *scheme, const char *host, unsigned port)
{
	g_autofree char *key = g_strdup_printf("%s://%s:%u", scheme, host, port);
	bh_endpoint *e = g_hash_table_lookup(r->endpoints, key);

	if (e)
		return bh_endpoint_ref(e);
	e = g_new(bh_endpoint, 1);
	*e = (bh_endpoint){.refs = 1, .idle = G_QUEUE_INIT, .host = g_strdup(host), .port = port};
	e->fixed = needs_no_looking_up(host);
	/* Plain ones too: an easy handle that once ran without a share has made a cache of its own, and libcurl 7.88
	   loses that when a share is set later. */
	e->tls_sessions = bh_routes_sessions(r, key);
	e->key = g_steal_pointer(&key);
	g_hash_table_insert(r->endpoints, e->key, e);
	return e;
}

bh_endpoint *bh_endpoint_ref(bh_endpoint *e)
{
	e->refs++;
	return e;
}

static void forget_addresses(bh_endpoint *e)
{
	if (e->addresses)
		g_array_unref(g_steal_pointer(&e->addresses));
	g_clear_pointer(&e->line, g_free);
}

void bh_endpoint_unref(bh_routes *r, bh_endpoint *e)
{
	if (--e->refs > 0)
		return;
	g_assert(e->idle.length == 0);
	g_hash_table_remove(r->endpoints, e->key);
	if (e->line)
		bh_routes_untell(r, e);
	bh_lookup_drop(e->lookup);
	forget_addresses(e);
	g_free(e->host);
	g_free(e->key);
	g_free(e);
}

/* --- Names ------------------------------------------------------------------------------------ */

/* "host:port:address,[address]", as CURLOPT_RESOLVE takes it. */
static char *line_of(const bh_endpoint *e)
{
	GString *line = g_string_new(NULL);
	char text[BH_ADDRESS_TEXT_SIZE];

	g_string_printf(line, "%s:%u", e->host, e->port);
	for (guint i = 0; i < e->addresses->len; i++) {
		const bh_address *a = &g_array_index(e->addresses, bh_address, i);
		g_string_append_printf(line, a->family == AF_INET6 ? "%c[%s]" : "%c%s", i == 0 ? ':' : ',',
				       bh_address_text(a, text));
	}
	return g_string_free(line, false);
}

static void take_addresses(bh_endpoint *e, const GArray *sockets)
{
	g_autoptr(GArray) addresses = g_array_new(false, false, sizeof(bh_address));

	for (guint i = 0; i < sockets->len && addresses->len < ADDRESSES_MAX; i++) {
		bh_address a;
		unsigned port;
		if (bh_address_of((struct sockaddr *)&g_array_index(sockets, struct sockaddr_storage, i), &a, &port))
			g_array_append_val(addresses, a);
	}
	if (addresses->len == 0)
		return;
	forget_addresses(e);
	e->addresses = g_steal_pointer(&addresses);
	e->line = line_of(e);
	e->told = 0;
}

static void settle(bh_transport *t, bh_endpoint *e)
{
	int trouble;
	const GArray *sockets = bh_lookup_addresses(e->lookup, &trouble);

	if (sockets)
		take_addresses(e, sockets);
	if (sockets && e->addresses)
		e->looked_up = t->now.mono;
	else
		e->failed_in_turn = t->turn; /* for those who wait; the next one asks again */
	bh_lookup_drop(g_steal_pointer(&e->lookup));
}

static void begin_lookup(bh_transport *t, bh_endpoint *e)
{
	if (!e->lookup)
		e->lookup = bh_lookup_start(e->host, t->wake_fd);
}

/* Whether a kept connection will most likely do, so that no address is needed at all. */
static bool has_connection(const bh_endpoint *e)
{
	return e->idle.length > 0 || (e->multiplexes && e->open > 0);
}

bh_name_state bh_endpoint_name(bh_transport *t, bh_endpoint *e)
{
	if (e->fixed)
		return BH_NAME_KNOWN;
	if (e->lookup && bh_lookup_is_over(e->lookup))
		settle(t, e);
	if (e->addresses && bh_mono_since(t->now.mono, e->looked_up) < ADDRESSES_HOLD)
		return BH_NAME_KNOWN;
	bool failed = e->failed_in_turn == t->turn;
	if (!failed)
		begin_lookup(t, e);
	if (e->addresses && has_connection(e))
		return BH_NAME_KNOWN;
	return failed ? BH_NAME_UNKNOWN : BH_NAME_AWAITED;
}

/* --- HTTP/2 ------------------------------------------------------------------------------------- */

#define ONLY_HTTP1_HOLDS BH_HOUR /* then HTTP/2 is offered again: it may have been mended */

void bh_endpoint_learn(bh_endpoint *e, const bh_transfer *x)
{
	e->multiplexes = strcmp(x->answer.http_version, "2") == 0;
	if (e->multiplexes)
		e->only_http1 = false;
	if (x->fallen_back) {
		e->only_http1 = true;
		e->only_http1_since = x->transport->now.mono;
	}
}

bool bh_endpoint_is_only_http1(const bh_endpoint *e, bh_mono now)
{
	return e->only_http1 && bh_mono_since(now, e->only_http1_since) < ONLY_HTTP1_HOLDS;
}
