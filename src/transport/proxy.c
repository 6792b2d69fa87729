/*
 * The one proxy that all requests go through, if the operator named one. It only carries bytes: names are looked up and judged here, it
 * is told the very address that passed, and TLS is made with the receiver through it. So http targets take
 * the same road as https ones (CONNECT), and the guard is the same with and without.
 */
#include "transport/internal.h"

#include "base/error.h"
#include "transport/guard_rules.h"

#include <openssl/crypto.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURLU, curl_url_cleanup)

/* --- The setting ------------------------------------------------------------------------------ */

static char *part(CURLU *parsed, CURLUPart which)
{
	char *curls = NULL;

	if (curl_url_get(parsed, which, &curls, CURLU_URLDECODE) != CURLUE_OK)
		return NULL;
	char *ours = g_strdup(curls);
	curl_free(curls);
	return ours;
}

static bh_proxy *read_parts(CURLU *parsed)
{
	g_autofree char *scheme = part(parsed, CURLUPART_SCHEME), *port = part(parsed, CURLUPART_PORT);
	g_autofree char *path = part(parsed, CURLUPART_PATH), *query = part(parsed, CURLUPART_QUERY);
	g_autofree char *host = part(parsed, CURLUPART_HOST);
	bool socks = g_strcmp0(scheme, "socks5") == 0;

	if ((!socks && g_strcmp0(scheme, "http") != 0) || !host || !port || query ||
	    (path && *path && strcmp(path, "/") != 0))
		return NULL;
	if (!bh_guard_tidy_host(&host))
		return NULL;
	bh_proxy *p = g_new(bh_proxy, 1);
	*p = (bh_proxy){.socks = socks,
			.host = g_steal_pointer(&host),
			.user = part(parsed, CURLUPART_USER),
			.password = part(parsed, CURLUPART_PASSWORD),
			.port = (unsigned)g_ascii_strtoull(port, NULL, 10)};
	return p;
}

bh_proxy *bh_proxy_new(const char *setting, bh_routes *routes, GError **error)
{
	g_autoptr(CURLU) parsed = curl_url();
	bh_proxy *p = NULL;

	if (curl_url_set(parsed, CURLUPART_URL, setting, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
		p = read_parts(parsed);
	if (!p) {
		g_set_error(
			error, BH_ERROR, BH_ERROR_INVALID,
			"the setting proxy is neither http://host:port nor socks5://host:port, with user:password@ before the host "
			"if need be");
		return NULL;
	}
	p->endpoint = bh_endpoint_find(routes, "proxy", p->host, p->port);
	return p;
}

static void wipe(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	g_free(text);
}

void bh_proxy_free(bh_proxy *p, bh_routes *routes)
{
	if (!p)
		return;
	bh_endpoint_unref(routes, p->endpoint);
	g_free(p->host);
	wipe(p->user);
	wipe(p->password);
	g_free(p);
}

void bh_proxy_set(CURL *e, const bh_proxy *p)
{
	curl_easy_setopt(e, CURLOPT_PROXY, ""); /* no proxy, whatever the environment says */
	curl_easy_setopt(e, CURLOPT_NOPROXY, "");
	if (!p)
		return;
	g_autofree char *url = g_strdup_printf(strchr(p->host, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
					       p->socks ? "socks5" : "http", p->host, p->port);
	curl_easy_setopt(e, CURLOPT_PROXY, url);
	curl_easy_setopt(e, CURLOPT_PROXYUSERNAME, p->user);
	curl_easy_setopt(e, CURLOPT_PROXYPASSWORD, p->password);
	curl_easy_setopt(e, CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
	curl_easy_setopt(e, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* else they would come as the receiver's */
}

/* --- The target's address ------------------------------------------------------------------------ */

/* What the target's host may lead to; the caller's. */
static GArray *candidates(const bh_endpoint *e)
{
	const char *const *fixed = bh_rule_addresses_of_name(e->host);
	bh_address a;

	if (!e->fixed)
		return g_array_ref(e->addresses);
	GArray *found = g_array_new(false, false, sizeof(bh_address));
	if (bh_address_read(e->host, &a))
		g_array_append_val(found, a);
	for (; fixed && *fixed; fixed++)
		if (bh_address_read(*fixed, &a))
			g_array_append_val(found, a);
	return found;
}

static const char *judge(const bh_transfer *x, const bh_address *a)
{
	struct sockaddr_storage s = bh_address_socket(a, x->route->target.port);

	return bh_guard_refuses(bh_routes_guard(x->transport->routes), &x->route->target, (struct sockaddr *)&s);
}

static void choose(bh_transfer *x, const bh_address *a)
{
	char text[BH_ADDRESS_TEXT_SIZE];

	x->address = *a;
	x->port = x->route->target.port;
	x->opened = true;
	g_snprintf(x->connect_to_text, sizeof x->connect_to_text, a->family == AF_INET6 ? "::[%s]:%u" : "::%s:%u",
		   bh_address_text(a, text), x->port); /* for whatever host and port */
	x->connect_to = (struct curl_slist){.data = x->connect_to_text};
}

bool bh_proxy_pick_address(bh_transfer *x)
{
	bh_endpoint *e = x->route->endpoint;
	g_autoptr(GArray) found = candidates(e);

	for (guint i = 0; i < found->len; i++) {
		const bh_address *a = &g_array_index(found, bh_address, (e->turn_of_address + i) % found->len);
		const char *rule = judge(x, a);
		if (!rule) {
			choose(x, a);
			return true;
		}
		x->refused_by = rule;
	}
	return false;
}
