/*
 * A target passes when its URL does (guard_url.c, at save and before each request) and the address does (at each
 * connect). Both ask in the same order:
 *
 *   own listener?  -> refused, whatever is allowed
 *   exact host allowed?  -> passes
 *   port, then address: refused by a rule (guard_rules.c) unless a CIDR of the settings covers it, or the settings
 *                       themselves name the target and the address lies in a private network
 */
#include "transport/guard.h"

#include "base/error.h"
#include "transport/guard_internal.h"
#include "transport/guard_rules.h"

#include <ifaddrs.h>
#include <string.h>

typedef struct allowed_host {
	char *host; /* NULL: every host, for an entry such as ":8443" */
	unsigned port; /* 0: every port */
} allowed_host;

typedef struct listener {
	bh_address address;
	unsigned port;
	bool everywhere; /* bound to 0.0.0.0 or [::] */
} listener;

struct bh_guard {
	gatomicrefcount refs;
	bool https_only;
	GArray *prefixes; /* bh_prefix */
	GArray *hosts; /* allowed_host */
	GArray *listeners; /* listener */
};

/* --- Reading the settings --------------------------------------------------------------- */

/*
 * Splits "host", "host:port", "[v6]:port", ":port" and a bare IPv6 address. The host comes out as bh_target spells it;
 * "" when there is none, port 0 when there is none.
 */
static bool split(const char *text, char **ret_host, unsigned *ret_port)
{
	const char *colon = strrchr(text, ':');
	bh_address bare;
	guint64 port = 0;

	if (bh_address_read(text, &bare) || (colon && colon > text && text[strlen(text) - 1] == ']'))
		colon = NULL; /* the colons belong to an IPv6 address */
	if (colon && (!g_ascii_isdigit(colon[1]) || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL)))
		return false;

	g_autofree char *host = colon ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
	if (*host && !bh_guard_tidy_host(&host))
		return false;
	*ret_host = g_steal_pointer(&host);
	*ret_port = (unsigned)port;
	return true;
}

static bool add_allowed(bh_guard *g, const char *entry, GError **error)
{
	bh_prefix prefix;
	allowed_host h;

	if (bh_prefix_read(entry, &prefix)) {
		g_array_append_val(g->prefixes, prefix);
		return true;
	}
	if (!strchr(entry, '/') && split(entry, &h.host, &h.port)) {
		if (!*h.host)
			g_clear_pointer(&h.host, g_free);
		if (h.host || h.port) {
			g_array_append_val(g->hosts, h);
			return true;
		}
	}
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
		    "allow: \"%s\" is neither a CIDR such as 10.1.0.0/16, nor a host, host:port or :port", entry);
	return false;
}

static void add_listener(bh_guard *g, const char *address, unsigned port)
{
	listener l = {.port = port};

	bh_address_read(address, &l.address);
	l.everywhere = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
	g_array_append_val(g->listeners, l);
}

static bool add_own(bh_guard *g, const char *text, GError **error)
{
	g_autofree char *host = NULL;
	unsigned port = 0;
	bh_address address;

	if (!split(text, &host, &port) || port == 0)
		goto unreadable;
	const char *const *fixed = bh_rule_addresses_of_name(host);
	if (!*host)
		add_listener(g, "::", port);
	else if (bh_address_read(host, &address))
		add_listener(g, host, port);
	else if (fixed)
		for (; *fixed; fixed++)
			add_listener(g, *fixed, port);
	else
		goto unreadable;
	return true;

unreadable:
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "own listener \"%s\": no address with a port", text);
	return false;
}

static void clear_allowed(void *data)
{
	g_free(((allowed_host *)data)->host);
}

bh_guard *bh_guard_new(char *const *allow, char *const *own, bool https_only, GError **error)
{
	g_autoptr(bh_guard) g = g_new0(bh_guard, 1);

	g_atomic_ref_count_init(&g->refs);
	g->https_only = https_only;
	g->prefixes = g_array_new(false, false, sizeof(bh_prefix));
	g->hosts = g_array_new(false, false, sizeof(allowed_host));
	g->listeners = g_array_new(false, false, sizeof(listener));
	g_array_set_clear_func(g->hosts, clear_allowed);

	for (; allow && *allow; allow++)
		if (!add_allowed(g, *allow, error))
			return NULL;
	for (; own && *own; own++)
		if (!add_own(g, *own, error))
			return NULL;
	return g_steal_pointer(&g);
}

bh_guard *bh_guard_ref(bh_guard *g)
{
	g_atomic_ref_count_inc(&g->refs);
	return g;
}

void bh_guard_unref(bh_guard *g)
{
	if (!g || !g_atomic_ref_count_dec(&g->refs))
		return;
	g_array_unref(g->prefixes);
	g_array_unref(g->hosts);
	g_array_unref(g->listeners);
	g_free(g);
}

/* --- Judging ------------------------------------------------------------------------------ */

static bool names_no_machine(const bh_address *a)
{
	static const bh_address zero;

	return memcmp(a->bytes, zero.bytes, sizeof zero.bytes) == 0;
}

/* Whether one of this machine's interfaces has the address; if that cannot be found out, it might. */
static bool is_local(const bh_address *a)
{
	struct ifaddrs *all;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return true;
	for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		bh_address local;
		unsigned port;
		found = i->ifa_addr && bh_address_of(i->ifa_addr, &local, &port) && bh_address_equal(&local, a);
	}
	freeifaddrs(all);
	return found;
}

static bool is_loopback(const bh_address *a)
{
	return g_strcmp0(bh_rule_of(a), "loopback") == 0;
}

static bool is_own(const bh_guard *g, const bh_address *address, unsigned port)
{
	bh_address a = *address;

	(void)bh_address_inner(address, &a); /* ::ffff:127.0.0.1 reaches the listener on 127.0.0.1 */
	for (guint i = 0; i < g->listeners->len; i++) {
		const listener *l = &g_array_index(g->listeners, listener, i);
		if (l->port != port)
			continue;
		if (bh_address_equal(&l->address, &a) || bh_address_equal(&l->address, address) || names_no_machine(&a))
			return true;
		if (l->everywhere && (is_loopback(&a) || is_loopback(address) || is_local(&a) || is_local(address)))
			return true;
	}
	return false;
}

/* Networks that one has for oneself. At "metadata" a cloud hands out credentials: no site's API lives there. */
static bool is_ones_own_network(const char *rule)
{
	static const char *const rules[] = {"loopback", "private", "ula", "site-local", "cgnat", NULL};

	return g_strv_contains(rules, rule);
}

/* The address itself, and what it wraps: to allow one is not to allow the other. */
static const char *judge_address(const bh_guard *g, const bh_address *a, bool trusted)
{
	bh_address inner;
	const char *rule = bh_address_inner(a, &inner) ? judge_address(g, &inner, trusted) : NULL;

	if (rule)
		return rule; /* tells more than "mapped" would */
	rule = bh_rule_of(a);
	if (rule && trusted && is_ones_own_network(rule))
		return NULL;
	for (guint i = 0; rule && i < g->prefixes->len; i++)
		if (bh_prefix_covers(&g_array_index(g->prefixes, bh_prefix, i), a))
			return NULL;
	return rule;
}

static bool host_is_allowed(const bh_guard *g, const bh_target *target)
{
	for (guint i = 0; i < g->hosts->len; i++) {
		const allowed_host *h = &g_array_index(g->hosts, allowed_host, i);
		if (h->host && strcmp(h->host, target->host) == 0 && (h->port == 0 || h->port == target->port))
			return true;
	}
	return false;
}

static bool port_is_allowed(const bh_guard *g, unsigned port)
{
	if (port >= 1024 || port == 80 || port == 443)
		return true;
	for (guint i = 0; i < g->hosts->len; i++) {
		const allowed_host *h = &g_array_index(g->hosts, allowed_host, i);
		if (!h->host && h->port == port)
			return true;
	}
	return false;
}

static const char *judge(const bh_guard *g, const bh_target *target, const bh_address *a, unsigned port)
{
	if (is_own(g, a, port))
		return BH_RULE_OWN;
	if (host_is_allowed(g, target))
		return NULL;
	if (!port_is_allowed(g, target->port))
		return BH_RULE_PORT;
	return judge_address(g, a, target->trusted);
}

const char *bh_guard_refuses(const bh_guard *g, const bh_target *target, const struct sockaddr *address)
{
	bh_address a;
	unsigned port;

	if (!bh_address_of(address, &a, &port))
		return "reserved"; /* no address of the internet at all */
	return judge(g, target, &a, port);
}

/* A name that means fixed addresses passes when one of them does: the others are refused again at connect. */
static const char *judge_fixed_name(const bh_guard *g, const bh_target *target, const char *const *addresses)
{
	const char *first = NULL;

	for (; *addresses; addresses++) {
		bh_address a = {0};
		bh_address_read(*addresses, &a);
		const char *rule = judge(g, target, &a, target->port);
		if (!rule)
			return NULL;
		if (!first)
			first = rule;
	}
	return first;
}

const char *bh_guard_judge_target(const bh_guard *g, const bh_target *target)
{
	const char *const *fixed = bh_rule_addresses_of_name(target->host);
	bh_address literal;

	if (g->https_only && !target->https)
		return BH_RULE_HTTPS;
	if (bh_address_read(target->host, &literal))
		return judge(g, target, &literal, target->port);
	if (fixed)
		return judge_fixed_name(g, target, fixed);
	if (!host_is_allowed(g, target) && !port_is_allowed(g, target->port))
		return BH_RULE_PORT;
	return NULL; /* a name: its addresses are judged when they are known */
}

const char *bh_guard_rule_sentence(const char *rule)
{
	for (const bh_rule_text *t = BH_RULE_TEXTS; t->rule; t++)
		if (g_strcmp0(t->rule, rule) == 0)
			return t->sentence;
	return "The target is not allowed.";
}
