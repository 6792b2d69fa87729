/* The egress proxy: one kind of road for all, judged addresses only, and faults that are not the receiver's. */
#include "base/error.h"
#include "transport/transport.h"

#include "resolver.h"
#include "transport_rig.h"

/* What plays the proxy plays the receiver behind it too: after CONNECT the bytes are the receiver's. */
static const act TUNNEL[] = {
	{READ}, {SEND, "HTTP/1.1 200 Go\r\nX-Proxy: yes\r\n\r\n"}, {READ}, {SEND, OK_EMPTY}, {READ}, {SEND, OK_EMPTY},
	{HOLD}};
#define SOCKS_HELLO \
	{SOME}, {SEND, "\x05\x00", 2}, \
	{ \
		SOME \
	}
#define SOCKS_REPLY(code) \
	{ \
		SEND, "\x05" code "\x00\x01\x00\x00\x00\x00\x00\x00", 10 \
	}
static const act SOCKS[] = {SOCKS_HELLO, SOCKS_REPLY("\x00"), {READ}, {SEND, OK_EMPTY},
			    {READ},      {SEND, OK_EMPTY},    {HOLD}};

static char *proxy_url(const receiver *proxy, bool socks, const char *login)
{
	return g_strdup_printf("%s://%s127.0.0.1:%u", socks ? "socks5" : "http", login, proxy->port);
}

static rig rig_through(const receiver *proxy, bool socks, const char *login, const char *allow)
{
	g_autofree char *url = proxy_url(proxy, socks, login);

	return rig_open((rig_options){.proxy = url, .allow = allow});
}

static void plain_http_goes_through_connect_to_the_judged_address(void)
{
	g_autoptr(receiver) proxy = receiver_start((const act *const[]){TUNNEL, NULL});
	g_auto(rig) r = rig_through(proxy, false, "", "198.51.100.0/24");
	g_auto(got) first = {0}, second = {0};
	static const char *const HEADERS[] = {"Authorization: Bearer secret", "webhook-id: evt_1", NULL};

	rig_start(&r, &first, &(bh_request){.url = "http://public.test/hook", .body = {"{}", 2}, .headers = HEADERS});
	rig_await(&r, &first);
	rig_exchange(&r, &second, "http://public.test/hook", "{}");

	assert_answered(&first, 200);
	assert_answered(&second, 200);
	g_assert_cmpstr(first.answer.address, ==, "198.51.100.7:80");
	g_assert_cmpstr(first.answer.head->str, ==, "Content-Length: 0\n"); /* the proxy's are not the receiver's */
	g_assert_cmpuint(receiver_connections(proxy), ==, 1);
	const char *connect = receiver_request(proxy, 0)->str, *request = receiver_request(proxy, 1)->str;
	g_assert_true(g_str_has_prefix(connect, "CONNECT 198.51.100.7:80 HTTP/1.1\r\n"));
	g_assert_null(strstr(connect, "secret"));
	g_assert_null(strstr(connect, "webhook-id"));
	g_assert_null(strstr(connect, "Proxy-Authorization"));
	g_assert_true(g_str_has_prefix(request, "POST /hook HTTP/1.1\r\nHost: public.test\r\n"));
	g_assert_nonnull(strstr(request, "Bearer secret"));
}

static void socks_is_told_the_judged_address(void)
{
	g_autoptr(receiver) proxy = receiver_start((const act *const[]){SOCKS, NULL});
	g_auto(rig) r = rig_through(proxy, true, "", "198.51.100.0/24");
	g_auto(got) first = {0}, second = {0};

	rig_exchange(&r, &first, "http://public.test:8080/hook", "{}");
	rig_exchange(&r, &second, "http://public.test:8080/hook", "{}");

	assert_answered(&first, 200);
	assert_answered(&second, 200);
	g_assert_cmpstr(first.answer.address, ==, "198.51.100.7:8080");
	g_assert_cmpuint(receiver_connections(proxy), ==, 1);
	g_assert_nonnull(strstr(receiver_request(proxy, 0)->str, "\r\nHost: public.test:8080\r\n"));
}

/* Of several addresses the refused ones are passed over; if none is left, the proxy hears nothing. */
static void the_guard_decides_with_a_proxy_as_without(void)
{
	static const struct {
		const char *url, *rule;
	} ROWS[] = {{"http://inward.test/", "private"},       {"http://metadata.test/", "metadata"},
		    {"http://mapped.test/", "private"},       {"http://127.0.0.1:9000/", "loopback"},
		    {"http://localhost:9000/", "loopback"},   {"http://10.0.0.1/", "private"},
		    {"https://169.254.169.254/", "metadata"}, {"http://public.test:25/", "port"}};
	static const act *const TUNNELS[] = {TUNNEL, NULL};

	for (int socks = 0; socks < 2; socks++) {
		g_autoptr(receiver) proxy = receiver_start(TUNNELS);
		g_auto(rig) r = rig_through(proxy, socks, "", "198.51.100.0/24");
		for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
			g_auto(got) g = {0};

			rig_exchange(&r, &g, ROWS[i].url, "{}");

			assert_failed(&g, BH_CAUSE_GUARD);
			g_assert_cmpstr(g.answer.guard_rule, ==, ROWS[i].rule);
		}
		g_assert_cmpuint(receiver_connections(proxy), ==, 0);
	}
	g_autoptr(receiver) proxy = receiver_start(TUNNELS);
	g_auto(rig) r = rig_through(proxy, false, "", "198.51.100.0/24");
	g_auto(got) g = {0};
	rig_exchange(&r, &g, "http://mixed-public.test/", "{}");
	assert_answered(&g, 200);
	g_assert_true(g_str_has_prefix(receiver_request(proxy, 0)->str, "CONNECT 198.51.100.7:80 "));
}

static void an_address_that_the_proxy_does_not_reach_gives_way_to_the_next(void)
{
	static const act FAILS[] = {{READ}, {SEND, "HTTP/1.1 502 No way\r\nContent-Length: 0\r\n\r\n"}, {HOLD}};
	g_autoptr(receiver) proxy = receiver_start((const act *const[]){FAILS, TUNNEL, NULL});
	g_auto(rig) r = rig_through(proxy, false, "", "198.51.100.0/24");
	g_auto(got) first = {0}, second = {0};

	rig_exchange(&r, &first, "http://two-public.test/", "{}");
	rig_exchange(&r, &second, "http://two-public.test/", "{}");

	assert_failed(&first, BH_CAUSE_PROXY);
	assert_answered(&second, 200);
	g_assert_true(g_str_has_prefix(receiver_request(proxy, 0)->str, "CONNECT 198.51.100.7:80 "));
	g_assert_true(g_str_has_prefix(receiver_request(proxy, 1)->str, "CONNECT 198.51.100.8:80 "));
}

/* A kept tunnel leads to one address only, and a new guard may not let that one through. */
static void a_new_guard_holds_for_kept_tunnels_too(void)
{
	g_autoptr(receiver) proxy = receiver_start((const act *const[]){TUNNEL, NULL});
	g_auto(rig) r = rig_through(proxy, false, "", "198.51.100.0/24");
	g_auto(got) first = {0}, second = {0};
	g_autoptr(bh_guard) strict = rig_guard("203.0.113.0/24");

	rig_exchange(&r, &first, "http://public.test/", "{}");
	bh_transport_use_guard(r.transport, strict);
	rig_exchange(&r, &second, "http://public.test/", "{}");

	assert_answered(&first, 200);
	assert_failed(&second, BH_CAUSE_GUARD);
}

static void user_and_password_go_to_the_proxy_and_nowhere_else(void)
{
	static const act REFUSES[] = {
		{READ},
		{SEND, "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"},
		{HOLD}};
	g_autoptr(receiver) proxy = receiver_start((const act *const[]){TUNNEL, NULL});
	g_autoptr(receiver) strict = receiver_start((const act *const[]){REFUSES, NULL});
	g_auto(rig) r = rig_through(proxy, false, "ann:s3cr%40t@", "198.51.100.0/24");
	g_auto(rig) refused = rig_through(strict, false, "ann:s3cr%40t@", "198.51.100.0/24");
	g_auto(rig) bare = rig_through(strict, false, "", "198.51.100.0/24");
	g_auto(got) g = {0}, wrong = {0}, none = {0};

	rig_exchange(&r, &g, "http://public.test/", "{}");
	rig_exchange(&refused, &wrong, "http://public.test/", "{}");
	rig_exchange(&bare, &none, "http://public.test/", "{}");

	assert_answered(&g, 200);
	g_assert_nonnull(
		strstr(receiver_request(proxy, 0)->str, "\r\nProxy-Authorization: Basic YW5uOnMzY3JAdA==\r\n"));
	g_assert_null(strstr(receiver_request(proxy, 1)->str, "Authorization"));
	assert_failed(&wrong, BH_CAUSE_PROXY);
	g_assert_nonnull(strstr(wrong.answer.sentence, "does not accept the user and password"));
	g_assert_null(strstr(wrong.answer.sentence, "s3cr"));
	g_assert_null(strstr(wrong.answer.sentence, "ann"));
	assert_failed(&none, BH_CAUSE_PROXY);
	g_assert_nonnull(strstr(none.answer.sentence, "asks for a user and a password"));
}

static const act CONNECT_403[] = {{READ}, {SEND, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"}, {HOLD}};
static const act CONNECT_502[] = {
	{READ}, {SEND, "HTTP/1.1 502 No\r\nContent-Length: 0\r\nRetry-After: 9\r\n\r\n"}, {HOLD}};
static const act CONNECT_503[] = {{READ}, {SEND, "HTTP/1.0 503 No\r\n\r\nbusy"}, {END}};
static const act CONNECT_504[] = {{READ}, {SEND, "HTTP/1.1 504 No\r\nConnection: close\r\n\r\n"}, {END}};
static const act NO_HTTP[] = {{READ}, {SEND, "SSH-2.0-OpenSSH\r\n"}, {END}};
static const act CLOSES[] = {{READ}, {END}};
static const act RESETS[] = {{READ}, {RESET}};
static const act SOCKS_WANTS_LOGIN[] = {{SOME}, {SEND, "\x05\xff", 2}, {HOLD}};
static const act SOCKS_FAILS[] = {SOCKS_HELLO, SOCKS_REPLY("\x01"), {HOLD}};
static const act SOCKS_FORBIDS[] = {SOCKS_HELLO, SOCKS_REPLY("\x02"), {HOLD}};
static const act SOCKS_NETWORK[] = {SOCKS_HELLO, SOCKS_REPLY("\x03"), {HOLD}};
static const act SOCKS_HOST[] = {SOCKS_HELLO, SOCKS_REPLY("\x04"), {HOLD}};
static const act SOCKS_REFUSED[] = {SOCKS_HELLO, SOCKS_REPLY("\x05"), {HOLD}};
static const act SOCKS_NO_SOCKS[] = {{SOME}, {SEND, "HTTP/1.1 400 No\r\n\r\n"}, {HOLD}};
static const act SOCKS_CLOSES[] = {{SOME}, {END}};

static const struct fault {
	bool socks;
	const act *script;
	const char *says;
} FAULTS[] = {
	{false, CONNECT_403, "it answered 403"},
	{false, CONNECT_502, "it answered 502"},
	{false, CONNECT_503, "it answered 503"},
	{false, CONNECT_504, "it answered 504"},
	{false, NO_HTTP, "broke off before the road"},
	{false, CLOSES, "broke off before the road"},
	{false, RESETS, "broke off before the road"},
	{true, SOCKS_WANTS_LOGIN, "asks for a user and a password"},
	{true, SOCKS_FAILS, "general failure"},
	{true, SOCKS_FORBIDS, "does not allow it"},
	{true, SOCKS_NETWORK, "network unreachable"},
	{true, SOCKS_HOST, "host unreachable"},
	{true, SOCKS_REFUSED, "refused the connection"},
	{true, SOCKS_NO_SOCKS, "does not speak SOCKS5"},
	{true, SOCKS_CLOSES, "broke off before the road"},
};

/* http and https alike: the road is the same. */
static void what_goes_wrong_on_the_way_is_the_proxys_fault(void)
{
	static const char *const URLS[] = {"http://public.test/", "https://public.test/"};

	for (size_t i = 0; i < G_N_ELEMENTS(FAULTS); i++) {
		for (size_t u = 0; u < G_N_ELEMENTS(URLS); u++) {
			g_autoptr(receiver) proxy = receiver_start((const act *const[]){FAULTS[i].script, NULL});
			g_auto(rig) r = rig_through(proxy, FAULTS[i].socks, "", "198.51.100.0/24");
			g_auto(got) g = {0};
			g_autofree char *named = g_strdup_printf("The proxy \"127.0.0.1:%u\" ", proxy->port);

			rig_exchange(&r, &g, URLS[u], "{}");

			assert_failed(&g, BH_CAUSE_PROXY);
			if (!g_str_has_prefix(g.answer.sentence, named) || !strstr(g.answer.sentence, FAULTS[i].says))
				g_error("fault %zu: %s", i, g.answer.sentence);
			g_assert_false(g.answer.has_retry_after);
		}
	}
}

static void a_proxy_that_is_not_there_is_said_not_to_be(void)
{
	for (int socks = 0; socks < 2; socks++) {
		g_autoptr(receiver) proxy = receiver_start(ALL_POLITE);
		g_auto(rig) r = rig_through(proxy, socks, "", "198.51.100.0/24");
		g_auto(got) g = {0};

		receiver_stop(g_steal_pointer(&proxy));
		rig_exchange(&r, &g, "https://public.test/", "{}");

		assert_failed(&g, BH_CAUSE_PROXY);
		g_assert_nonnull(strstr(g.answer.sentence, "cannot be reached: Connection refused"));
	}
}

static void a_proxy_that_says_nothing_ends_at_the_time_out(void)
{
	static const act HANGS[] = {{HOLD}};

	for (int socks = 0; socks < 2; socks++) {
		g_autoptr(receiver) proxy = receiver_start((const act *const[]){HANGS, NULL});
		g_autofree char *url = proxy_url(proxy, socks, "");
		g_auto(rig) r = rig_open((rig_options){
			.proxy = url, .allow = "198.51.100.0/24", .connect_timeout = 200 * BH_MILLISECOND});
		g_auto(got) own = {0}, total = {0};

		rig_exchange(&r, &own, "https://public.test/", "{}");
		rig_start(&r, &total,
			  &(bh_request){.url = "http://public.test/", .total_timeout = 100 * BH_MILLISECOND});
		rig_await(&r, &total);

		assert_failed(&own, BH_CAUSE_PROXY);
		g_assert_nonnull(strstr(own.answer.sentence, "in time"));
		g_assert_cmpint(own.answer.total, <, 5 * BH_SECOND);
		assert_failed(&total, BH_CAUSE_PROXY);
	}
}

/* A name that leads nowhere is the owner's to mend; the proxy's name is the operator's. */
static void names_are_told_apart(void)
{
	g_autoptr(receiver) proxy = receiver_start((const act *const[]){TUNNEL, NULL});
	g_autofree char *by_name = g_strdup_printf("http://one.test:%u", proxy->port);
	g_auto(rig) named = rig_open((rig_options){.proxy = by_name, .allow = "198.51.100.0/24"});
	g_auto(rig) lost = rig_open((rig_options){.proxy = "socks5://none.test:1080", .allow = "198.51.100.0/24"});
	g_auto(got) good = {0}, unknown = {0}, nowhere = {0};

	rig_exchange(&named, &good, "http://public.test/", "{}");
	rig_exchange(&named, &unknown, "http://none.test/", "{}");
	rig_exchange(&lost, &nowhere, "http://public.test/", "{}");

	assert_answered(&good, 200);
	assert_failed(&unknown, BH_CAUSE_DNS);
	assert_failed(&nowhere, BH_CAUSE_PROXY);
	g_assert_nonnull(strstr(nowhere.answer.sentence, "\"none.test:1080\""));
}

/* Past the proxy the receiver answers for itself. */
static void what_goes_wrong_behind_the_proxy_is_the_receivers_fault(void)
{
	static const act BROKEN[] = {{READ}, {SEND, "HTTP/1.1 200 Go\r\n\r\n"}, {READ}, {END}};
	static const act NO_TLS[] = {
		{READ}, {SEND, "HTTP/1.1 200 Go\r\n\r\n"}, {SOME}, {SEND, "HTTP/1.1 400 No\r\n\r\n"}, {HOLD}};
	static const act SAYS_502[] = {{READ},
				       {SEND, "HTTP/1.1 200 Go\r\n\r\n"},
				       {READ},
				       {SEND, "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n"},
				       {HOLD}};
	g_autoptr(receiver) broken = receiver_start((const act *const[]){BROKEN, NULL});
	g_autoptr(receiver) plain = receiver_start((const act *const[]){NO_TLS, NULL});
	g_autoptr(receiver) bad = receiver_start((const act *const[]){SAYS_502, NULL});
	g_auto(rig) to_broken = rig_through(broken, false, "", "198.51.100.0/24");
	g_auto(rig) to_plain = rig_through(plain, false, "", "198.51.100.0/24");
	g_auto(rig) to_bad = rig_through(bad, false, "", "198.51.100.0/24");
	g_auto(got) first = {0}, second = {0}, third = {0};

	rig_exchange(&to_broken, &first, "http://public.test/", "{}");
	rig_exchange(&to_plain, &second, "https://public.test/", "{}");
	rig_exchange(&to_bad, &third, "http://public.test/", "{}");

	assert_failed(&first, BH_CAUSE_PROTOCOL);
	assert_failed(&second, BH_CAUSE_TLS);
	assert_answered(&third, 502);
}

static void a_setting_that_cannot_be_used_is_named_but_not_repeated(void)
{
	static const char *const BAD[] = {
		"http://ann:s3cret@",          "https://ann:s3cret@proxy:1",     "socks4://ann:s3cret@proxy:1",
		"http://ann:s3cret@proxy",     "http://ann:s3cret@proxy:1/path", "ann:s3cret",
		"socks5h://ann:s3cret@proxy:1"};

	for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
		g_autoptr(bh_guard) guard = rig_guard("");
		g_autoptr(GError) error = NULL;
		int epoll = epoll_create1(EPOLL_CLOEXEC);
		bh_transport_config config = {.guard = guard, .user_agent = "x", .proxy = BAD[i]};

		g_assert_null(bh_transport_new(&config, epoll, &error));
		g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, "setting proxy"));
		g_assert_null(strstr(error->message, "s3cret"));
		close(epoll);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_setenv("http_proxy", "http://127.0.0.1:9", true); /* nobody looks at these */
	g_setenv("no_proxy", "*", true);
#define TEST(name) g_test_add_func("/transport_proxy/" #name, name)
	TEST(plain_http_goes_through_connect_to_the_judged_address);
	TEST(socks_is_told_the_judged_address);
	TEST(the_guard_decides_with_a_proxy_as_without);
	TEST(an_address_that_the_proxy_does_not_reach_gives_way_to_the_next);
	TEST(a_new_guard_holds_for_kept_tunnels_too);
	TEST(user_and_password_go_to_the_proxy_and_nowhere_else);
	TEST(what_goes_wrong_on_the_way_is_the_proxys_fault);
	TEST(a_proxy_that_is_not_there_is_said_not_to_be);
	TEST(a_proxy_that_says_nothing_ends_at_the_time_out);
	TEST(names_are_told_apart);
	TEST(what_goes_wrong_behind_the_proxy_is_the_receivers_fault);
	TEST(a_setting_that_cannot_be_used_is_named_but_not_repeated);
	return g_test_run();
}
