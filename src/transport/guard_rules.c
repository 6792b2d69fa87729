/*
 * The special-purpose registries of IANA (RFC 6890), the wrappings of IPv4 in IPv6, and the addresses at which
 * clouds hand out credentials. The first row that covers an address speaks, so the narrow ones stand first.
 */
#include "transport/guard_rules.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>

typedef struct row {
	const char *rule, *prefix;
} row;

static const row ROWS[] = {
	/* IPv4 */
	{"metadata", "169.254.169.254/32"}, /* AWS, Azure, Google, most others */
	{"metadata", "169.254.170.2/32"}, /* AWS containers */
	{"metadata", "169.254.170.23/32"}, /* AWS EKS pods */
	{"metadata", "168.63.129.16/32"}, /* Azure's host agent, on a global address */
	{"metadata", "100.100.100.200/32"}, /* Alibaba */
	{"metadata", "192.0.0.192/32"}, /* Oracle */
	{"unspecified", "0.0.0.0/8"}, /* "this network": Linux connects 0.0.0.0 to itself */
	{"private", "10.0.0.0/8"}, /* RFC 1918 */
	{"cgnat", "100.64.0.0/10"}, /* RFC 6598 */
	{"loopback", "127.0.0.0/8"},
	{"link-local", "169.254.0.0/16"}, /* RFC 3927 */
	{"private", "172.16.0.0/12"},
	{"reserved", "192.0.0.0/24"}, /* protocol assignments */
	{"documentation", "192.0.2.0/24"}, /* TEST-NET-1, RFC 5737 */
	{"6to4", "192.88.99.0/24"}, /* relay anycast, RFC 7526 */
	{"private", "192.168.0.0/16"},
	{"benchmarking", "198.18.0.0/15"}, /* RFC 2544 */
	{"documentation", "198.51.100.0/24"}, /* TEST-NET-2 */
	{"documentation", "203.0.113.0/24"}, /* TEST-NET-3 */
	{"multicast", "224.0.0.0/4"},
	{"broadcast", "255.255.255.255/32"},
	{"reserved", "240.0.0.0/4"},
	/* IPv6 */
	{"metadata", "fd00:ec2::254/128"}, /* AWS */
	{"metadata", "fd00:ec2::23/128"}, /* AWS EKS pods */
	{"metadata", "fd20:ce::254/128"}, /* Google */
	{"unspecified", "::/128"},
	{"loopback", "::1/128"},
	{"mapped", "::ffff:0:0/96"},
	{"mapped", "::ffff:0:0:0/96"}, /* translated, RFC 2765 */
	{"mapped", "::/96"}, /* IPv4-compatible, of old */
	{"nat64", "64:ff9b::/96"},
	{"nat64", "64:ff9b:1::/48"}, /* local use, RFC 8215 */
	{"discard", "100::/64"}, /* RFC 6666 */
	{"teredo", "2001::/32"},
	{"benchmarking", "2001:2::/48"}, /* RFC 5180 */
	{"documentation", "2001:db8::/32"},
	{"reserved", "2001::/23"}, /* protocol assignments: ORCHID and others */
	{"6to4", "2002::/16"},
	{"documentation", "3fff::/20"}, /* RFC 9637 */
	{"ula", "fc00::/7"}, /* RFC 4193 */
	{"link-local", "fe80::/10"},
	{"site-local", "fec0::/10"},
	{"multicast", "ff00::/8"},
	/* Only 2000::/3 has been given out as global unicast. */
	{"reserved", "::/3"},
	{"reserved", "4000::/2"},
	{"reserved", "8000::/1"},
};

const bh_rule_text BH_RULE_TEXTS[] = {
	{"loopback", "The address is this machine itself."},
	{"private", "The address belongs to a private network (RFC 1918)."},
	{"metadata", "At this address a cloud hands out the machine's credentials."},
	{"link-local", "The address is only valid on the local link."},
	{"cgnat", "The address belongs to a provider's shared network (RFC 6598)."},
	{"unspecified", "The address names no machine; systems take it for themselves."},
	{"ula", "The address belongs to a private IPv6 network (RFC 4193)."},
	{"site-local", "The address belongs to a private IPv6 network of the old form."},
	{"mapped", "The address wraps an IPv4 address into IPv6; write the IPv4 address or a name."},
	{"nat64", "The address wraps an IPv4 address for translation (NAT64)."},
	{"6to4", "The address belongs to a 6to4 tunnel."},
	{"teredo", "The address belongs to a Teredo tunnel."},
	{"documentation", "The address is reserved for examples and leads nowhere."},
	{"benchmarking", "The address is reserved for benchmarks."},
	{"discard", "Whatever is sent to this address is thrown away."},
	{"multicast", "The address stands for a group of machines, not for one."},
	{"broadcast", "The address stands for every machine of the network."},
	{"reserved", "The address lies in a range that nobody uses on the public internet."},
	{BH_RULE_OWN, "The address is Bellhop's own: a webhook would call the engine that sends it."},
	{BH_RULE_PORT, "Of the ports below 1024 only 80 and 443 may be used."},
	{BH_RULE_SCHEME, "The URL must begin with https:// or http://."},
	{BH_RULE_HTTPS, "The site only allows URLs that begin with https://."},
	{BH_RULE_URL, "The URL is not one that a request can be sent to."},
	{NULL, NULL},
};

static bh_prefix prefixes[G_N_ELEMENTS(ROWS)];
static pthread_once_t prefixes_read = PTHREAD_ONCE_INIT;

static void read_prefixes(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
		if (!bh_prefix_read(ROWS[i].prefix, &prefixes[i]))
			g_error("guard rule \"%s\": no prefix", ROWS[i].prefix);
}

const char *bh_rule_of(const bh_address *a)
{
	pthread_once(&prefixes_read, read_prefixes);
	for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
		if (bh_prefix_covers(&prefixes[i], a))
			return ROWS[i].rule;
	return NULL;
}

size_t bh_rule_prefix_count(void)
{
	return G_N_ELEMENTS(ROWS);
}

const char *bh_rule_prefix(size_t number)
{
	return ROWS[number].prefix;
}

static const struct fixed_name {
	const char *name;
	bool below; /* every name below it as well */
	const char *const *addresses;
} FIXED_NAMES[] = {
#define THIS_MACHINE ((const char *const[]){"127.0.0.1", "::1", NULL})
#define METADATA ((const char *const[]){"169.254.169.254", "fd00:ec2::254", "fd20:ce::254", NULL})
	{"localhost", true, THIS_MACHINE}, /* RFC 6761 */
	{"localhost.localdomain", true, THIS_MACHINE},
	{"localhost6", false, THIS_MACHINE},
	{"ip6-localhost", false, THIS_MACHINE},
	{"ip6-loopback", false, THIS_MACHINE},
	{"metadata.google.internal", true, METADATA},
	{"metadata.goog", true, METADATA},
	{"metadata", false, METADATA},
	{"instance-data", false, METADATA},
	{"instance-data.ec2.internal", false, METADATA},
};

const char *const *bh_rule_addresses_of_name(const char *host)
{
	for (size_t i = 0; i < G_N_ELEMENTS(FIXED_NAMES); i++) {
		const struct fixed_name *f = &FIXED_NAMES[i];
		size_t more = strlen(host) - strlen(f->name); /* wraps round for a shorter host, which then differs */
		if (strcmp(host, f->name) == 0)
			return f->addresses;
		if (f->below && g_str_has_suffix(host, f->name) && host[more - 1] == '.')
			return f->addresses;
	}
	return NULL;
}
