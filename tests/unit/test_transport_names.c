/*
 * Names and the addresses they lead to. The program has a resolver of its own: whatever is looked up ends in
 * getaddrinfo of resolver.h.
 */
#include "transport/names.h"
#include "transport/transport.h"

#include "resolver.h"
#include "transport_rig.h"

/* --------------------------------------------------------------------------------------------- */

static char *url_at(const char *name, const receiver *r)
{
	return g_strdup_printf("http://%s:%u/", name, r->port);
}

static void a_name_is_looked_up_once_and_goes_out_as_host(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) first = {0}, second = {0};
	g_autofree char *url = url_at("One.TEST.", service),
			*host = g_strdup_printf("\r\nHost: one.test:%u\r\n", service->port);
	unsigned before = asked();

	rig_exchange(&r, &first, url, "{}");
	rig_exchange(&r, &second, url, "{}");

	g_assert_cmpint(first.answer.status, ==, 200);
	g_assert_cmpint(second.answer.status, ==, 200);
	g_assert_cmpint(first.answer.dns, >, 0);
	g_assert_cmpint(first.answer.connect, >=, first.answer.dns);
	g_assert_cmpint(second.answer.dns, ==, -1);
	g_assert_cmpuint(asked() - before, ==, 1);
	g_assert_nonnull(strstr(receiver_request(service, 0)->str, host));
}

static void an_address_is_not_looked_up(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) g = {0}, g6 = {0};
	g_autofree char *url = url_at("127.1", service), *url6 = url_at("[::1]", service);
	unsigned before = asked();

	rig_exchange(&r, &g, url, "{}");
	rig_exchange(&r, &g6, url6, "{}");

	g_assert_cmpint(g.answer.status, ==, 200);
	g_assert_cmpint(g6.answer.cause, ==, BH_CAUSE_GUARD);
	g_assert_cmpuint(asked() - before, ==, 0);
}

static void a_name_that_only_leads_inward_is_refused_and_nothing_is_sent(void)
{
	static const struct {
		const char *name, *rule;
	} ROWS[] = {{"inward.test", "private"}, {"metadata.test", "metadata"}, {"mapped.test", "private"}};

	for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = g_strdup_printf("http://%s/", ROWS[i].name);

		rig_exchange(&r, &g, url, "{}");

		g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_GUARD);
		g_assert_cmpstr(g.answer.guard_rule, ==, ROWS[i].rule);
		g_assert_cmpstr(g.answer.sentence, ==, bh_guard_rule_sentence(ROWS[i].rule));
		g_assert_cmpstr(g.answer.address, ==, "");
		g_assert_cmpuint(rig_connections(&r), ==, 0);
	}
}

/* Refused ones are passed over, dead ones are tried in turn. */
static void of_several_addresses_one_that_is_allowed_and_alive_is_enough(void)
{
	static const char *const NAMES_WITH_A_LIVE_ONE[] = {"mixed.test", "mixed6.test", "half-dead.test"};
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);

	for (size_t i = 0; i < G_N_ELEMENTS(NAMES_WITH_A_LIVE_ONE); i++) {
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = url_at(NAMES_WITH_A_LIVE_ONE[i], service);
		g_autofree char *address = g_strdup_printf("127.0.0.1:%u", service->port);

		rig_exchange(&r, &g, url, "{}");

		g_test_message("%s: %s", NAMES_WITH_A_LIVE_ONE[i], g.answer.sentence);
		g_assert_cmpint(g.answer.status, ==, 200);
		g_assert_cmpstr(g.answer.address, ==, address);
		g_assert_cmpint(g.answer.total, <, 5 * BH_SECOND);
	}
}

/* Takes connections until its queue is full, and then lets packets fall: nobody accepts. */
static void fill_a_hole(int sockets[8], in_port_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, "127.0.0.3", &in.sin_addr);
	sockets[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(bind(sockets[0], (struct sockaddr *)&in, sizeof in), ==, 0);
	g_assert_cmpint(listen(sockets[0], 0), ==, 0);
	for (int i = 1; i < 8; i++) {
		sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(sockets[i], (struct sockaddr *)&in, sizeof in); /* most of them hang, as they shall */
	}
}

static void an_address_that_swallows_packets_does_not_hide_one_that_lives(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){.connect_timeout = 400 * BH_MILLISECOND});
	g_auto(got) g = {0};
	g_autofree char *url = url_at("hole.test", service);
	int sockets[8];

	fill_a_hole(sockets, service->port);
	rig_exchange(&r, &g, url, "{}");
	for (int i = 0; i < 8; i++)
		close(sockets[i]);

	g_assert_cmpint(g.answer.status, ==, 200);
	g_assert_cmpint(g.answer.total, >=, 300 * BH_MILLISECOND);
}

static void an_allowed_address_that_is_dead_is_no_matter_for_the_guard(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) g = {0};
	g_autofree char *url = url_at("dead-and-inward.test", service);

	rig_exchange(&r, &g, url, "{}");

	g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_CONNECT);
	g_assert_null(g.answer.guard_rule);
}

static void a_name_whose_address_changes_never_reaches_a_refused_one(void)
{
	g_autoptr(receiver) outside = receiver_start_at("127.0.0.2", ALL_POLITE, NULL);
	g_autoptr(receiver) inside = receiver_start_at("127.0.0.1", ALL_POLITE, NULL);
	g_autofree char *at_outside = url_at("rebind.test", outside), *at_inside = url_at("rebind.test", inside);
	unsigned sent = 0, refused = 0;

	for (int i = 0; i < 20; i++) {
		g_auto(rig) r = rig_open((rig_options){.allow = "127.0.0.2/32"}); /* with a cache of its own */
		g_auto(got) g = {0};
		unsigned before = asked();

		/* Every second look-up leads inward, whichever port is asked for. */
		rig_exchange(&r, &g, i % 4 < 2 ? at_outside : at_inside, "{}");

		g_assert_cmpuint(asked() - before, ==, 1);
		sent += g.answer.status == 200;
		refused += g.answer.cause == BH_CAUSE_GUARD;
	}
	g_assert_cmpuint(sent, >=, 5);
	g_assert_cmpuint(refused, ==, 10);
	g_assert_cmpuint(receiver_connections(inside), ==, 0);
}

static void a_name_that_is_not_known_is_a_dns_failure(void)
{
	static const char *const UNKNOWN[] = {"none.test", "broken.test"};

	for (size_t i = 0; i < G_N_ELEMENTS(UNKNOWN); i++) {
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = g_strdup_printf("http://%s/", UNKNOWN[i]);

		rig_exchange(&r, &g, url, "{}");

		g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_DNS);
		g_assert_nonnull(strstr(g.answer.sentence, UNKNOWN[i]));
		g_assert_cmpint(g.answer.connect, ==, -1);
	}
}

static void a_name_server_that_hangs_holds_up_nobody(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){.dns_timeout = 300 * BH_MILLISECOND});
	g_auto(got) hanging = {0}, short_of_time = {0};
	g_autofree char *url = url_at("127.0.0.1", service);
	bh_mono begin = bh_clock_mono();

	hold(true);
	rig_post(&r, &hanging, "http://hang.test/", "{}");
	rig_start(&r, &short_of_time, &(bh_request){.url = "http://hang.test/", .total_timeout = 100 * BH_MILLISECOND});
	for (int i = 0; i < 10; i++) {
		g_auto(got) healthy = {0};
		rig_exchange(&r, &healthy, url, "{}");
		g_assert_cmpint(healthy.answer.status, ==, 200);
	}
	rig_await(&r, &short_of_time);
	rig_await(&r, &hanging);
	bh_usec took = bh_mono_since(bh_clock_mono(), begin);
	hold(false);

	g_assert_cmpint(hanging.answer.cause, ==, BH_CAUSE_DNS);
	g_assert_cmpint(hanging.answer.total, >=, 300 * BH_MILLISECOND);
	g_assert_cmpint(short_of_time.answer.cause, ==, BH_CAUSE_DNS);
	g_assert_cmpint(took, <, 10 * BH_SECOND);
}

static void a_name_server_that_hangs_does_not_hold_up_the_end(void)
{
	rig r = rig_open((rig_options){0});
	got g[2] = {0};
	unsigned before = asked();

	hold(true);
	rig_post(&r, &g[0], "http://hang.test/", "{}");
	rig_post(&r, &g[1], "http://hang.test/", "{}");
	while (asked() - before < 1) /* for both of them */
		bh_transport_turn(r.transport, bh_clock_now());
	bh_transport_abort(r.transport, g[1].transfer);
	rig_close(&r); /* hangs here if somebody waits for the thread */
	hold(false);

	g_assert_false(g[0].done || g[1].done);
	g_assert_cmpuint(asked() - before, ==, 1);
}

/* However many hosts hang, and however often they are tried. */
static void hanging_look_ups_have_a_most_and_one_thread_a_name(void)
{
	enum { HOSTS = 3 * BH_LOOKUPS_MAX, ROUNDS = 2 };
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){.dns_timeout = 50 * BH_MILLISECOND});
	g_auto(got) healthy = {0}, later = {0};
	g_autofree char *url = url_of(service), *by_name = url_at("one.test", service);
	got *g = g_new0(got, HOSTS);
	unsigned before = asked();

	hold(true);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < HOSTS; i++) {
			g_autofree char *hanging = g_strdup_printf("http://h%d.hang.test/", i);
			rig_post(&r, &g[i], hanging, "{}");
		}
		for (int i = 0; i < HOSTS; i++) {
			rig_await(&r, &g[i]);
			assert_failed(&g[i], BH_CAUSE_DNS);
			got_clear(&g[i]);
		}
	}
	rig_exchange(&r, &healthy, url, "{}"); /* needs no name */
	g_assert_cmpuint(asked() - before, <=, BH_LOOKUPS_MAX);
	hold(false);
	rig_exchange(&r, &later, by_name, "{}");

	assert_answered(&healthy, 200);
	g_assert_cmpuint(dns.most, <=, BH_LOOKUPS_MAX);
	g_assert_true(later.answer.status == 200 ||
		      later.answer.cause == BH_CAUSE_DNS); /* the queue may take its time */
	g_free(g);
}

static void many_requests_to_a_name_ask_once(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *url = url_at("one.test", service);
	got g[20] = {0};
	unsigned before = asked();

	warm_up(&r, url, g, G_N_ELEMENTS(g));

	g_assert_cmpuint(asked() - before, ==, 1);
}

/* Its addresses are out of date, and no name server tells them anew: the connection that is there will do. */
static void a_kept_connection_outlives_its_name(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) first = {0};
	g_autofree char *url = url_at("fading.test", service);

	rig_exchange(&r, &first, url, "{}");
	assert_answered(&first, 200);
	fade(true);
	r.ahead = 2 * BH_MINUTE;
	unsigned before = asked();
	while (asked() - before < 3) { /* the first of them has failed by the time of the second */
		g_auto(got) g = {0};
		rig_exchange(&r, &g, url, "{}");
		assert_answered(&g, 200);
	}
	fade(false);

	g_assert_cmpuint(rig_connections(&r), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/transport_names/" #name, name)
	TEST(a_name_is_looked_up_once_and_goes_out_as_host);
	TEST(an_address_is_not_looked_up);
	TEST(a_name_that_only_leads_inward_is_refused_and_nothing_is_sent);
	TEST(of_several_addresses_one_that_is_allowed_and_alive_is_enough);
	TEST(an_address_that_swallows_packets_does_not_hide_one_that_lives);
	TEST(an_allowed_address_that_is_dead_is_no_matter_for_the_guard);
	TEST(a_name_whose_address_changes_never_reaches_a_refused_one);
	TEST(a_name_that_is_not_known_is_a_dns_failure);
	TEST(a_name_server_that_hangs_holds_up_nobody);
	TEST(a_name_server_that_hangs_does_not_hold_up_the_end);
	TEST(hanging_look_ups_have_a_most_and_one_thread_a_name);
	TEST(many_requests_to_a_name_ask_once);
	TEST(a_kept_connection_outlives_its_name);
	return g_test_run();
}
