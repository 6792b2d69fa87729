#include "transport/guard.h"

#include "base/error.h"
#include "transport/guard_rules.h"

#include <arpa/inet.h>
#include <string.h>

/* Both as in the settings: lists with commas. */
static bh_guard *guard(const char *allow, const char *own)
{
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) allowed = g_strsplit(allow, ",", -1), listeners = g_strsplit(own, ",", -1);
	bh_guard *g = bh_guard_new(allowed, listeners, false, &error);

	g_assert_no_error(error);
	return g;
}

/* The rule that refuses a URL: what stands before the colon, or "invalid"; "" when it passes. */
static char *refusal(const bh_guard *g, const char *url)
{
	g_autoptr(GError) error = NULL;
	bh_target t = {0};

	if (bh_guard_check_url(g, url, &t, &error)) {
		bh_target_clear(&t);
		g_assert_null(error);
		return g_strdup("");
	}
	g_assert_null(t.url);
	if (g_error_matches(error, BH_ERROR, BH_ERROR_INVALID))
		return g_strdup("invalid");
	g_assert_error(error, BH_ERROR, BH_ERROR_DENIED);
	return g_strndup(error->message, strcspn(error->message, ":"));
}

static void expect(const bh_guard *g, const char *url, const char *rule)
{
	g_autofree char *was = refusal(g, url);

	if (strcmp(was, rule) != 0)
		g_error("\"%s\": expected \"%s\", was \"%s\"", url, rule, was);
}

static const char *at_connect(const bh_guard *g, const char *url, const char *address, in_port_t port)
{
	bh_target t = {0};
	struct sockaddr_storage socket = {0};

	g_assert_true(bh_guard_check_url(g, url, &t, NULL));
	if (strchr(address, ':')) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&socket;
		*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
		g_assert_cmpint(inet_pton(AF_INET6, address, &in6->sin6_addr), ==, 1);
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)&socket;
		*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
		g_assert_cmpint(inet_pton(AF_INET, address, &in->sin_addr), ==, 1);
	}
	const char *rule = bh_guard_refuses(g, &t, (struct sockaddr *)&socket);
	bh_target_clear(&t);
	return rule;
}

/* --- Addresses ------------------------------------------------------------------------------ */

typedef struct range {
	const char *rule, *first, *last;
} range;

static const range REFUSED[] = {
	{"unspecified", "0.0.0.0", "0.255.255.255"},
	{"private", "10.0.0.0", "10.255.255.255"},
	{"cgnat", "100.64.0.0", "100.127.255.255"},
	{"metadata", "100.100.100.200", "100.100.100.200"},
	{"loopback", "127.0.0.0", "127.255.255.255"},
	{"link-local", "169.254.0.0", "169.254.169.253"},
	{"metadata", "169.254.169.254", "169.254.169.254"},
	{"metadata", "169.254.170.2", "169.254.170.2"},
	{"metadata", "169.254.170.23", "169.254.170.23"},
	{"link-local", "169.254.171.0", "169.254.255.255"},
	{"metadata", "168.63.129.16", "168.63.129.16"},
	{"private", "172.16.0.0", "172.31.255.255"},
	{"reserved", "192.0.0.0", "192.0.0.191"},
	{"metadata", "192.0.0.192", "192.0.0.192"},
	{"reserved", "192.0.0.193", "192.0.0.255"},
	{"documentation", "192.0.2.0", "192.0.2.255"},
	{"6to4", "192.88.99.0", "192.88.99.255"},
	{"private", "192.168.0.0", "192.168.255.255"},
	{"benchmarking", "198.18.0.0", "198.19.255.255"},
	{"documentation", "198.51.100.0", "198.51.100.255"},
	{"documentation", "203.0.113.0", "203.0.113.255"},
	{"multicast", "224.0.0.0", "239.255.255.255"},
	{"reserved", "240.0.0.0", "255.255.255.254"},
	{"broadcast", "255.255.255.255", "255.255.255.255"},
	{"unspecified", "::", "::"},
	{"loopback", "::1", "::1"},
	{"mapped", "::2", "::ffff"},
	{"loopback", "::127.0.0.0", "::127.255.255.255"},
	{"mapped", "::1.1.1.1", "::1.1.1.1"},
	{"loopback", "::ffff:127.0.0.1", "::ffff:127.255.255.255"},
	{"metadata", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe"},
	{"private", "::ffff:10.0.0.5", "::ffff:0a00:0005"},
	{"mapped", "::ffff:1.1.1.1", "::ffff:9.255.255.255"},
	{"private", "::ffff:0:10.0.0.1", "::ffff:0:10.255.0.1"},
	{"mapped", "::ffff:0:1.1.1.1", "::ffff:0:1.1.1.1"},
	{"private", "64:ff9b::10.0.0.1", "64:ff9b::10.255.255.255"},
	{"nat64", "64:ff9b::1.1.1.1", "64:ff9b::9.9.9.9"},
	{"nat64", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"},
	{"discard", "100::", "100::ffff:ffff:ffff:ffff"},
	{"reserved", "100:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"private", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001::f5ff:fffe"}, /* the client is 10.0.0.1 */
	{"teredo", "2001:0:4136:e378:8000:63bf:f7f7:f7f7", "2001:0:4136:e378:8000:63bf:3eee:dddd"},
	{"reserved", "2001:1::", "2001:1:ffff::"},
	{"benchmarking", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"},
	{"reserved", "2001:10::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"documentation", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"private", "2002:a00:1::", "2002:aff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"loopback", "2002:7f00:1::", "2002:7f00:1::1"},
	{"6to4", "2002:101:101::", "2002:909:909::1"},
	{"documentation", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"reserved", "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"ula", "fc00::", "fcff::1"},
	{"metadata", "fd00:ec2::254", "fd00:ec2::254"},
	{"metadata", "fd00:ec2::23", "fd00:ec2::23"},
	{"metadata", "fd20:ce::254", "fd20:ce::254"},
	{"ula", "fd20:ce::255", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"reserved", "fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"link-local", "fe80::1", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"site-local", "fec0::1", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"multicast", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

/* Just outside the ranges above, and places that webhooks really go to. */
static const char *const GLOBAL[] = {
	"1.0.0.0",         "9.255.255.255",   "11.0.0.0",      "100.63.255.255",       "100.128.0.0",
	"126.255.255.255", "128.0.0.0",       "168.63.129.15", "168.63.129.17",        "169.253.255.255",
	"169.255.0.0",     "172.15.255.255",  "172.32.0.0",    "191.255.255.255",      "192.0.1.0",
	"192.0.3.0",       "192.88.98.255",   "192.88.100.0",  "192.167.255.255",      "192.169.0.0",
	"198.17.255.255",  "198.20.0.0",      "198.51.99.255", "198.51.101.0",         "203.0.112.255",
	"203.0.114.0",     "223.255.255.255", "2000::",        "2001:200::1",          "2001:4860:4860::8888",
	"2001:db7:ffff::", "2001:db9::",      "2003::1",       "2606:4700:4700::1111", "2a00:1450::1",
	"3ffe:ffff::1",    "3fff:1000::",
};

static char *url_of(const char *address, const char *rest)
{
	return strchr(address, ':') ? g_strdup_printf("http://[%s]%s", address, rest)
				    : g_strdup_printf("http://%s%s", address, rest);
}

static void every_address_that_is_not_global_is_refused_at_save_and_at_connect(void)
{
	g_autoptr(bh_guard) g = guard("", "");

	for (size_t i = 0; i < G_N_ELEMENTS(REFUSED); i++) {
		const range *r = &REFUSED[i];
		g_autofree char *first = url_of(r->first, "/"), *last = url_of(r->last, ":8080/hook");

		expect(g, first, r->rule);
		expect(g, last, r->rule);
		g_assert_cmpstr(at_connect(g, "http://hooks.example/", r->first, 80), ==, r->rule);
		g_assert_cmpstr(at_connect(g, "https://hooks.example/", r->last, 443), ==, r->rule);
	}
}

static void global_addresses_pass(void)
{
	g_autoptr(bh_guard) g = guard("", "0.0.0.0:80");

	for (size_t i = 0; i < G_N_ELEMENTS(GLOBAL); i++) {
		g_autofree char *url = url_of(GLOBAL[i], "/");

		expect(g, url, "");
		g_assert_null(at_connect(g, "http://hooks.example/", GLOBAL[i], 80));
	}
}

static void an_address_of_no_family_is_refused(void)
{
	g_autoptr(bh_guard) g = guard("0.0.0.0/0,::/0", "");
	bh_target t = {.url = (char *)"http://hooks.example/", .host = (char *)"hooks.example", .port = 80};
	struct sockaddr unix_socket = {.sa_family = AF_UNIX};

	g_assert_cmpstr(bh_guard_refuses(g, &t, &unix_socket), ==, "reserved");
}

static void each_rule_has_its_sentence(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(REFUSED); i++)
		g_assert_cmpstr(bh_guard_rule_sentence(REFUSED[i].rule), !=, bh_guard_rule_sentence("no such rule"));
	for (const bh_rule_text *t = BH_RULE_TEXTS; t->rule; t++)
		g_assert_true(g_str_has_suffix(t->sentence, "."));
}

/* Every rule has its row, and every range of the tests stands in the page. */
static void the_page_about_the_guard_knows_every_rule(void)
{
	const char *root = g_getenv("BH_SOURCE_ROOT");
	g_autofree char *path = g_build_filename(root ? root : ".", "docs", "network-guard.md", NULL), *page = NULL;

	g_assert_true(g_file_get_contents(path, &page, NULL, NULL));
	for (const bh_rule_text *t = BH_RULE_TEXTS; t->rule; t++) {
		g_autofree char *row = g_strdup_printf("\n| `%s` | ", t->rule);
		if (!strstr(page, row))
			g_error("%s has no row for the rule \"%s\"", path, t->rule);
	}
	for (size_t i = 0; i < bh_rule_prefix_count(); i++) {
		const char *prefix = bh_rule_prefix(i);
		g_autofree char *alone = g_strndup(prefix, strcspn(prefix, "/"));
		bool whole_address = g_str_has_suffix(prefix, "/32") ? strchr(prefix, '.') != NULL
								     : g_str_has_suffix(prefix, "/128");
		bool outside = g_str_has_suffix(prefix, "/3") || strcmp(prefix, "4000::/2") == 0 ||
			       strcmp(prefix, "8000::/1") == 0;
		if (!outside && !strstr(page, whole_address ? alone : prefix))
			g_error("%s does not name %s", path, prefix);
	}
}

/* --- URLs ------------------------------------------------------------------------------------ */

typedef struct spelling {
	const char *url, *rule;
} spelling;

static const spelling SPELLINGS[] = {
	/* Numbers that a resolver makes an address of. */
	{"http://2130706433/", "loopback"},
	{"http://0x7f000001/", "loopback"},
	{"http://0X7F000001/", "loopback"},
	{"http://0177.0.0.1/", "loopback"},
	{"http://017700000001/", "loopback"},
	{"http://127.1/", "loopback"},
	{"http://127.0.1/", "loopback"},
	{"http://0x7f.1/", "loopback"},
	{"http://0x7f.0x0.0x0.0x1/", "loopback"},
	{"http://2852039166/", "metadata"},
	{"http://0251.00376.000251.0000376/", "metadata"},
	{"http://0xa9.254.0251.0xfe/", "metadata"},
	{"http://0/", "unspecified"},
	{"http://0.0.0.0/", "unspecified"},
	{"http://127.0.0.1./", "loopback"},
	{"http://127.1./", "invalid"},
	{"http://0x7f.1./", "invalid"},
	{"http://%31%32%37.0.0.1/", "loopback"},
	{"http://%30x7f.1/", "invalid"},
	{"http://%30x7f.1./", "invalid"},
	{"http://100.64.0.1/", "cgnat"},
	{"http://192.0.0.192/", "metadata"},
	{"http://224.0.0.1/", "multicast"},
	{"http://255.255.255.255/", "broadcast"},
	{"http://256.0.0.1/", "invalid"},
	{"http://1.2.3.4.5/", "invalid"},
	{"http://4294967296/", "invalid"},
	{"http://127.0.0.0x1ff/", "invalid"},
	{"http://08.1.1.1/", "invalid"},
	{"http://a.1/", "invalid"},
	{"http://a.0x/", "invalid"},
	/* Names of this machine and of the cloud's. */
	{"http://localhost/", "loopback"},
	{"http://LOCALHOST./", "loopback"},
	{"http://x.localhost/", "loopback"},
	{"http://%6c%6fcalhost/", "loopback"},
	{"http://localhost.localdomain/", "loopback"},
	{"http://ip6-localhost/", "loopback"},
	{"https://metadata.google.internal/computeMetadata/v1/", "metadata"},
	{"http://Metadata/", "metadata"},
	{"http://notlocalhost/", ""},
	{"http://localhost.example/", ""},
	/* IPv6 */
	{"http://[::1]/", "loopback"},
	{"http://[::]/", "unspecified"},
	{"http://[0:0:0:0:0:ffff:7f00:1]/", "loopback"},
	{"http://[::ffff:169.254.169.254]/", "metadata"},
	{"http://[fe80::1]/", "link-local"},
	{"http://[febf::1]/", "link-local"},
	{"http://[fc00::1]/", "ula"},
	{"http://[fd00:ec2::254]/", "metadata"},
	{"http://[ff02::1]/", "multicast"},
	{"http://[fec0::1]/", "site-local"},
	{"http://[fe80::1%25eth0]/", "invalid"},
	{"http://[fe80::1%eth0]/", "invalid"},
	{"http://[::1", "invalid"},
	{"http://::1/", "invalid"},
	{"http://[::1]x/", "invalid"},
	{"http://[127.0.0.1]/", "invalid"},
	{"http://[v1.fe]/", "invalid"},
	/* Texts in which two parsers see two hosts. */
	{"http://127.0.0.1:6666\\@1.1.1.1/", "invalid"},
	{"http://1.1.1.1@127.0.0.1/", "invalid"},
	{"http://1.1.1.1#@127.0.0.1/", "invalid"},
	{"http://1.1.1.1?@127.0.0.1/", "invalid"},
	{"http://a:b@c@127.0.0.1/", "invalid"},
	{"http://@1.1.1.1/", "invalid"},
	{"http://:@1.1.1.1/", "invalid"},
	{"http://%40127.0.0.1/", "invalid"},
	{"http://1.1.1.1\t.evil/", "invalid"},
	{"http://1.1.1.1\r\nX-Injected: 1/", "invalid"},
	{"http://hooks.example/\r\nX: 1", "invalid"},
	{"http://hooks.example/a\x7f", "invalid"},
	{" http://1.1.1.1/", "invalid"},
	{"http://1.1.1.1/ ", "invalid"},
	{"http:///127.0.0.1/", "invalid"},
	{"http:////127.0.0.1/", "invalid"},
	{"http:/127.0.0.1/", "invalid"},
	{"http:127.0.0.1", "invalid"},
	{"http://", "invalid"},
	{"http:///", "invalid"},
	{"http://?x", "invalid"},
	{"http://:80/", "invalid"},
	{"", "invalid"},
	{"hooks.example/x", "invalid"},
	{"//hooks.example/x", "invalid"},
	{"http://\xe2\x93\x9b"
	 "ocalhost/",
	 "invalid"}, /* circled l */
	{"http://127\xe3\x80\x82"
	 "0\xe3\x80\x82"
	 "0\xe3\x80\x82"
	 "1/",
	 "invalid"}, /* ideographic full stops */
	{"http://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1/", "invalid"}, /* circled digits */
	{"http://m\xc3\xbcller.example/", "invalid"},
	{"http://m%C3%BCller.example/", "invalid"},
	{"http://a%00b.example/", "invalid"},
	{"http://a%2fb.example/", "invalid"},
	{"http://a%20b/", "invalid"},
	{"http://a..b/", "invalid"},
	{"http://.a/", "invalid"},
	{"http://a../", "invalid"},
	{"http://./", "invalid"},
	{"http://a,b/", "invalid"},
	{"http://a(b)/", "invalid"},
	{"http://hooks.example/#top", "invalid"},
	{"http://hooks.example/#", "invalid"},
	/* Ports */
	{"http://1.1.1.1:99999/", "invalid"},
	{"http://1.1.1.1:65536/", "invalid"},
	{"http://1.1.1.1:0/", "invalid"},
	{"http://1.1.1.1:-1/", "invalid"},
	{"http://1.1.1.1:80x/", "invalid"},
	{"http://1.1.1.1:080/", ""},
	{"http://1.1.1.1:80/", ""},
	{"http://1.1.1.1:443/", ""},
	{"https://hooks.example:1024/", ""},
	{"https://hooks.example:65535/", ""},
	{"http://1.1.1.1:22/", "port"},
	{"http://hooks.example:25/", "port"},
	{"http://hooks.example:1023/", "port"},
	/* Schemes */
	{"ftp://hooks.example/", "scheme"},
	{"file:///etc/passwd", "invalid"},
	{"file://localhost/etc/passwd", "scheme"},
	{"gopher://127.0.0.1:25/_HELO", "scheme"},
	{"javascript://hooks.example/%0aalert(1)", "scheme"},
	{"HTTPS://hooks.example/", ""},
	/* What a webhook's URL looks like. */
	{"https://hooks.example/in?token=a%20b&mail=guest@hotel.example", ""},
	{"https://xn--mller-kva.example/", ""},
	{"https://under_score.example/", ""},
	{"https://hooks.example?x=1", ""},
};

static void each_spelling_leads_to_one_host_or_nowhere(void)
{
	g_autoptr(bh_guard) g = guard("", "");

	for (size_t i = 0; i < G_N_ELEMENTS(SPELLINGS); i++)
		expect(g, SPELLINGS[i].url, SPELLINGS[i].rule);
}

static void a_long_url_is_refused_and_a_url_of_2048_bytes_is_not(void)
{
	g_autoptr(bh_guard) g = guard("", "");
	g_autofree char *fill = g_strnfill(64 * 1024, 'a');
	g_autofree char *long_url = g_strconcat("https://hooks.example/", fill, NULL);
	g_autofree char *longest = g_strndup(long_url, 2048), *too_long = g_strndup(long_url, 2049);
	g_autofree char *long_label = g_strdup_printf("https://%.64s.example/", fill);
	g_autofree char *long_host =
		g_strdup_printf("https://%.60s.%.60s.%.60s.%.60s.%.60s/", fill, fill, fill, fill, fill);

	expect(g, long_url, "invalid");
	expect(g, too_long, "invalid");
	expect(g, longest, "");
	expect(g, long_label, "invalid");
	expect(g, long_host, "invalid");
}

typedef struct normal {
	const char *url, *normalised, *host;
	unsigned port;
	bool https;
} normal;

static const normal NORMALS[] = {
	{"HTTPS://Hooks.Example", "https://hooks.example/", "hooks.example", 443, true},
	{"http://hooks.example.:80/a/../b/./c?x=%41#", NULL, NULL, 0, false},
	{"http://hooks.example.:80/a/../b/./c?x=%41", "http://hooks.example/b/c?x=%41", "hooks.example", 80, false},
	{"https://hooks.example:443/x", "https://hooks.example/x", "hooks.example", 443, true},
	{"https://hooks.example:0444/x", NULL, NULL, 0, false},
	{"https://hooks.example:04444/x", "https://hooks.example:4444/x", "hooks.example", 4444, true},
	{"http://0x08080808/", "http://8.8.8.8/", "8.8.8.8", 80, false},
	{"http://[2606:4700:4700:0:0:0:0:1111]:8080/", "http://[2606:4700:4700::1111]:8080/", "2606:4700:4700::1111",
	 8080, false},
	{"http://[2606:4700:4700::AB]/", "http://[2606:4700:4700::ab]/", "2606:4700:4700::ab", 80, false},
	{"http://hooks.example/caf\xc3\xa9?n=\xc3\xa9", "http://hooks.example/caf%c3%a9?n=%c3%a9", "hooks.example", 80,
	 false},
};

static void a_url_has_one_normal_form_that_reads_the_same_again(void)
{
	g_autoptr(bh_guard) g = guard("", "");

	for (size_t i = 0; i < G_N_ELEMENTS(NORMALS); i++) {
		const normal *n = &NORMALS[i];
		bh_target t = {0}, again = {0};

		if (!n->normalised) {
			g_assert_false(bh_guard_check_url(g, n->url, &t, NULL));
			continue;
		}
		g_assert_true(bh_guard_check_url(g, n->url, &t, NULL));
		g_assert_cmpstr(t.url, ==, n->normalised);
		g_assert_cmpstr(t.host, ==, n->host);
		g_assert_cmpuint(t.port, ==, n->port);
		g_assert_true(t.https == n->https);
		g_assert_true(bh_guard_check_url(g, t.url, &again, NULL));
		g_assert_cmpstr(again.url, ==, t.url);
		bh_target_clear(&t);
		bh_target_clear(&again);
	}
}

static void a_site_may_ask_for_https_only(void)
{
	g_autoptr(bh_guard) g = bh_guard_new(NULL, NULL, true, NULL);

	expect(g, "http://hooks.example/", "https");
	expect(g, "https://hooks.example/", "");
}

static void a_refusal_says_which_rule_host_and_why(void)
{
	g_autoptr(bh_guard) g = guard("", "");
	g_autoptr(GError) error = NULL;

	g_assert_false(bh_guard_check_url(g, "http://0x7f.1/secret-path", &(bh_target){0}, &error));

	g_assert_cmpstr(error->message, ==, "loopback: \"127.0.0.1\" is refused. The address is this machine itself.");
}

/* --- What the settings allow ---------------------------------------------------------------- */

static void a_cidr_allows_its_addresses_on_ordinary_ports(void)
{
	g_autoptr(bh_guard) g = guard("10.1.0.0/16,127.0.0.0/8,fd00::/8", "");

	expect(g, "http://10.1.2.3:8080/", "");
	expect(g, "http://10.1.255.255/", "");
	expect(g, "http://10.2.0.0/", "private");
	expect(g, "http://10.1.2.3:25/", "port");
	expect(g, "http://[fd12::1]/", "");
	expect(g, "http://[fd00:ec2::254]/", "");
	expect(g, "http://localhost:9000/", ""); /* one of its two addresses passes */
	g_assert_null(at_connect(g, "http://localhost:9000/", "127.0.0.1", 9000));
	g_assert_cmpstr(at_connect(g, "http://localhost:9000/", "::1", 9000), ==, "loopback");
	g_assert_null(at_connect(g, "http://hooks.example/", "10.1.0.7", 80));
	g_assert_cmpstr(at_connect(g, "http://hooks.example/", "10.0.255.255", 80), ==, "private");
}

static void what_wraps_an_allowed_address_needs_its_own_leave(void)
{
	g_autoptr(bh_guard) inner = guard("10.0.0.0/8", "");
	g_autoptr(bh_guard) outer = guard("::ffff:0:0/96,64:ff9b::/96", "");
	g_autoptr(bh_guard) both = guard("::ffff:0:0/96,10.0.0.0/8", "");

	expect(inner, "http://[::ffff:10.0.0.1]/", "mapped");
	expect(outer, "http://[::ffff:10.0.0.1]/", "private");
	expect(outer, "http://[64:ff9b::10.0.0.1]/", "private");
	expect(outer, "http://[64:ff9b::8.8.8.8]/", "");
	expect(both, "http://[::ffff:10.0.0.1]/", "");
}

static void an_exact_host_is_allowed_whatever_it_resolves_to(void)
{
	g_autoptr(bh_guard) g = guard(
		"Hooks.Internal.,mail.internal:25,127.0.0.1:9000,[::1]:9000,fd00::7,metadata.google.internal:80", "");

	expect(g, "http://hooks.internal/", "");
	expect(g, "http://hooks.internal:25/", "");
	g_assert_null(at_connect(g, "http://hooks.internal:22/", "10.0.0.1", 22));
	expect(g, "http://mail.internal:25/", "");
	expect(g, "http://mail.internal:26/", "port");
	g_assert_null(at_connect(g, "http://mail.internal:25/", "10.0.0.1", 25));
	g_assert_cmpstr(at_connect(g, "http://mail.internal:8025/", "10.0.0.1", 8025), ==, "private");
	expect(g, "http://x.hooks.internal:25/", "port");
	expect(g, "http://127.0.0.1:9000/", "");
	expect(g, "http://0x7f.1:9000/", "");
	expect(g, "http://127.0.0.1:9001/", "loopback");
	expect(g, "http://127.0.0.2:9000/", "loopback");
	expect(g, "http://[0:0::1]:9000/", "");
	expect(g, "http://[fd00::7]:22/", "");
	expect(g, "http://metadata.google.internal/", "");
	/* The entry is for URLs that name the address, not for names that lead to it. */
	g_assert_cmpstr(at_connect(g, "http://rebind.example:9000/", "127.0.0.1", 9000), ==, "loopback");
}

static void a_port_alone_is_allowed_on_every_host_but_not_every_address(void)
{
	g_autoptr(bh_guard) g = guard(":990", "");

	expect(g, "https://hooks.example:990/", "");
	expect(g, "https://hooks.example:991/", "port");
	expect(g, "https://10.0.0.1:990/", "private");
}

static void own_listeners_are_refused_whatever_is_allowed(void)
{
	g_autoptr(bh_guard) g = guard("0.0.0.0/0,::/0,127.0.0.1:8380,self.example", "127.0.0.1:8380,[::1]:8381");

	expect(g, "http://127.0.0.1:8380/v1/events", "own-listener");
	expect(g, "http://2130706433:8380/", "own-listener");
	expect(g, "http://[::ffff:127.0.0.1]:8380/", "own-listener");
	expect(g, "http://0.0.0.0:8380/", "own-listener"); /* Linux connects it to this machine */
	expect(g, "http://[::]:8380/", "own-listener");
	expect(g, "http://[::1]:8381/", "own-listener");
	expect(g, "http://127.0.0.1:8381/", "");
	expect(g, "http://127.0.0.2:8380/", ""); /* nobody of ours listens there */
	g_assert_cmpstr(at_connect(g, "http://self.example:8380/", "127.0.0.1", 8380), ==, "own-listener");
	g_assert_null(at_connect(g, "http://self.example:8382/", "127.0.0.1", 8382));
}

static void a_listener_on_every_address_is_own_on_every_local_address(void)
{
	static const char *const WILDCARDS[] = {"0.0.0.0:8380", "[::]:8380", ":8380"};

	for (size_t i = 0; i < G_N_ELEMENTS(WILDCARDS); i++) {
		g_autoptr(bh_guard) g = guard("0.0.0.0/0,::/0", WILDCARDS[i]);

		expect(g, "http://127.0.0.1:8380/", "own-listener");
		expect(g, "http://127.9.9.9:8380/", "own-listener");
		expect(g, "http://[::1]:8380/", "own-listener");
		expect(g, "http://localhost:8380/", "own-listener");
		expect(g, "http://127.0.0.1:8381/", "");
		expect(g, "http://192.0.2.1:8380/", ""); /* no interface here has it */
	}
}

static const char *const BAD_ENTRIES[] = {
	"",
	"10.0.0.0/33",
	"10.0.0.1/8",
	"::/129",
	"10.0.0/8",
	"10.0.0.0/",
	"/8",
	"host:0",
	"host:65536",
	"host:x",
	"http://host/",
	"a b",
	"*.x",
	"[::1",
	"[::1]:",
	":",
	"127.1",
	"user@host",
	"h\xc3\xb6st",
	"host:",
	"1.2.3",
	"10.0.0.0/8/8",
	"[host]",
	"10.0.0.0/+8",
	"10.0.0.0/08",
	"10.0.0.0/\v8",
	"host:\v8",
};

static void an_entry_that_cannot_be_read_is_named(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(BAD_ENTRIES); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *quoted = g_strdup_printf("\"%s\"", BAD_ENTRIES[i]);
		char *const allow[] = {(char *)"10.0.0.0/8", (char *)BAD_ENTRIES[i], NULL};

		if (bh_guard_new(allow, NULL, false, &error))
			g_error("allow entry %s was taken", quoted);
		g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, quoted));
	}
}

static void a_listener_needs_an_address_and_a_port(void)
{
	static const char *const BAD[] = {"127.0.0.1", "hooks.example:80", "", ":0"};

	for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(bh_guard_new(NULL, ((char *const[]){(char *)BAD[i], NULL}), false, &error));
		g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/guard/" #name, name)
	TEST(every_address_that_is_not_global_is_refused_at_save_and_at_connect);
	TEST(global_addresses_pass);
	TEST(an_address_of_no_family_is_refused);
	TEST(each_rule_has_its_sentence);
	TEST(the_page_about_the_guard_knows_every_rule);
	TEST(each_spelling_leads_to_one_host_or_nowhere);
	TEST(a_long_url_is_refused_and_a_url_of_2048_bytes_is_not);
	TEST(a_url_has_one_normal_form_that_reads_the_same_again);
	TEST(a_site_may_ask_for_https_only);
	TEST(a_refusal_says_which_rule_host_and_why);
	TEST(a_cidr_allows_its_addresses_on_ordinary_ports);
	TEST(what_wraps_an_allowed_address_needs_its_own_leave);
	TEST(an_exact_host_is_allowed_whatever_it_resolves_to);
	TEST(a_port_alone_is_allowed_on_every_host_but_not_every_address);
	TEST(own_listeners_are_refused_whatever_is_allowed);
	TEST(a_listener_on_every_address_is_own_on_every_local_address);
	TEST(an_entry_that_cannot_be_read_is_named);
	TEST(a_listener_needs_an_address_and_a_port);
	return g_test_run();
}
