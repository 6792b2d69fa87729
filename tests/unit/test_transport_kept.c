/* Connections that are kept: used again, closed under our feet, or holding what nobody asked for. */
#include "transport/transport.h"

#include "transport_rig.h"

/* --- Kept connections ----------------------------------------------------------------------------- */

static void a_connection_is_used_again(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *url = url_of(service);

	for (int i = 0; i < 50; i++) {
		g_auto(got) g = {0};
		rig_exchange(&r, &g, url, "{}");
		assert_answered(&g, 200);
	}
	g_assert_cmpuint(rig_connections(&r), ==, 1);
	g_assert_cmpuint(receiver_requests(service), ==, 50);
}

static const act CLOSES_WHEN_TOLD[] = {{READ}, {SEND, OK_EMPTY}, {WAIT}, {END}};

/* With and without the loop having had a chance to see the FINs. */
static void connections_that_the_receiver_closed_while_idle_cost_nothing(void)
{
	for (int seen = 0; seen < 2; seen++) {
		g_autoptr(receiver) service = receiver_start((const act *const[]){
			CLOSES_WHEN_TOLD, CLOSES_WHEN_TOLD, CLOSES_WHEN_TOLD, CLOSES_WHEN_TOLD, POLITE, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_autofree char *url = url_of(service);
		got g[4] = {0};

		warm_up(&r, url, g, 4);
		g_assert_cmpuint(receiver_connections(service), ==, 4);
		for (int i = 0; i < 4; i++)
			receiver_go(service);
		receiver_await_closed(service, 4);
		if (seen)
			rig_turn(&r);
		warm_up(&r, url, g, 4);

		g_assert_cmpuint(receiver_requests(service), ==, 8); /* one copy each */
		g_assert_cmpuint(receiver_connections(service), ==, 8);
	}
}

static const act CLOSES_ON_SECOND[] = {{READ}, {SEND, OK_EMPTY}, {READ}, {END}};
static const act RESETS_ON_SECOND[] = {{READ}, {SEND, OK_EMPTY}, {READ}, {RESET}};

/* The receiver closes each kept connection at the very moment of the next request, however many there are. */
static void a_kept_connection_that_dies_under_a_request_is_replaced_silently(void)
{
	const act *const scripts[] = {CLOSES_ON_SECOND, RESETS_ON_SECOND};

	for (size_t s = 0; s < G_N_ELEMENTS(scripts); s++) {
		for (unsigned warm = 1; warm <= 9; warm += 4) {
			const act *list[RECEIVER_CONNECTIONS_MAX] = {0};
			got g[9] = {0};
			for (unsigned i = 0; i < warm; i++)
				list[i] = scripts[s];
			list[warm] = POLITE;
			g_autoptr(receiver) service = receiver_start(list);
			g_auto(rig) r = rig_open((rig_options){0});
			g_autofree char *url = url_of(service);

			warm_up(&r, url, g, warm);
			g_assert_cmpuint(receiver_connections(service), ==, warm);
			rig_exchange(&r, &g[0], url, "the body goes out again");

			assert_answered(&g[0], 200);
			unsigned count = receiver_requests(service);
			g_assert_true(g_str_has_suffix(receiver_request(service, count - 1)->str,
						       "\r\n\r\nthe body goes out again"));
			g_assert_cmpuint(receiver_connections(service), ==, warm + 1);
			got_clear(&g[0]);
		}
	}
}

/* A handle of libcurl counts its silent repetitions for ever; the sixth must not become a failure. */
static void silent_repetitions_do_not_add_up(void)
{
	g_autoptr(receiver) service = receiver_start((const act *const[]){CLOSES_ON_SECOND, NULL});
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *url = url_of(service);

	for (int i = 0; i < 20; i++) {
		g_auto(got) g = {0};
		rig_exchange(&r, &g, url, "{}");
		assert_answered(&g, 200);
	}
}

static void a_large_body_survives_a_kept_connection_that_dies(void)
{
	static const act RESETS_ON_SECOND_HEAD[] = {{READ}, {SEND, OK_EMPTY}, {PEEK}, {RESET}};
	g_autofree char *body = g_strnfill(5 * 1024 * 1024, 'b');
	g_autoptr(receiver) service = receiver_start((const act *const[]){RESETS_ON_SECOND_HEAD, POLITE, NULL});
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) first = {0}, second = {0};
	g_autofree char *url = url_of(service);

	rig_exchange(&r, &first, url, "{}");
	rig_exchange(&r, &second, url, body);

	assert_answered(&second, 200);
	g_assert_true(g_str_has_suffix(receiver_request(service, receiver_requests(service) - 1)->str, body));
}

#define EXCESS "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static const act EXCESS_AT_ONCE[] = {{READ}, {SEND, "HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nabc" EXCESS}, {HOLD}};
static const act EXCESS_AFTER_EMPTY[] = {{READ}, {SEND, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" EXCESS}, {HOLD}};
static const act EXCESS_AFTER_CHUNKS[] = {
	{READ}, {SEND, "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" EXCESS}, {HOLD}};
static const act EXCESS_LATER[] = {
	{READ}, {SEND, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}, {WAIT}, {SEND, EXCESS}, {HOLD}};
/* If the connection were kept, this is what the second request would get. */
static const act HONEST[] = {{READ}, {SEND, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, {HOLD}};

static void excess_bytes_do_not_become_the_next_answer(void)
{
	static const act *const SCRIPTS[] = {EXCESS_AT_ONCE, EXCESS_AFTER_EMPTY, EXCESS_AFTER_CHUNKS};

	for (size_t i = 0; i < G_N_ELEMENTS(SCRIPTS); i++) {
		act with_second[8] = {0};
		size_t length = 0;
		while (SCRIPTS[i][length].kind != HOLD) {
			with_second[length] = SCRIPTS[i][length];
			length++;
		}
		memcpy(&with_second[length], HONEST, sizeof HONEST);
		g_autoptr(receiver) service = receiver_start((const act *const[]){with_second, HONEST, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) first = {0}, second = {0};
		g_autofree char *url = url_of(service);

		rig_exchange(&r, &first, url, "{}");
		rig_exchange(&r, &second, url, "{}");

		assert_answered(&first, 500);
		assert_answered(&second, 503);
	}
}

static void excess_with_a_body_closes_the_connection(void)
{
	g_autoptr(receiver) service = receiver_start((const act *const[]){EXCESS_AT_ONCE, HONEST, NULL});
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) first = {0}, second = {0};
	g_autofree char *url = url_of(service);

	rig_exchange(&r, &first, url, "{}");
	rig_exchange(&r, &second, url, "{}");

	assert_answered(&second, 503);
	g_assert_cmpuint(receiver_connections(service), ==, 2);
}

/* With and without the loop having had a chance to see them. */
static void bytes_on_an_idle_connection_end_it(void)
{
	for (int seen = 0; seen < 2; seen++) {
		g_autoptr(receiver) service = receiver_start((const act *const[]){EXCESS_LATER, HONEST, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) first = {0}, second = {0};
		g_autofree char *url = url_of(service);
		struct pollfd listening = {.events = POLLIN};

		rig_exchange(&r, &first, url, "{}");
		receiver_go(service);
		listening.fd = r.epoll;
		g_assert_cmpint(poll(&listening, 1, 30000), ==, 1); /* they are here */
		if (seen)
			rig_turn(&r);
		rig_exchange(&r, &second, url, "{}");

		assert_answered(&first, 500);
		assert_answered(&second, 503);
		g_assert_cmpuint(receiver_connections(service), ==, 2);
		g_assert_cmpuint(receiver_requests(service), ==, 2);
	}
}

static void no_more_idle_connections_are_kept_than_configured(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){.connections_max = 3});
	g_autofree char *url = url_of(service);
	got g[8] = {0};

	warm_up(&r, url, g, 8);
	receiver_await_closed(service, receiver_connections(service) - 4); /* libcurl lets one more live */
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/transport_kept/" #name, name)
	TEST(a_connection_is_used_again);
	TEST(connections_that_the_receiver_closed_while_idle_cost_nothing);
	TEST(a_kept_connection_that_dies_under_a_request_is_replaced_silently);
	TEST(silent_repetitions_do_not_add_up);
	TEST(a_large_body_survives_a_kept_connection_that_dies);
	TEST(excess_bytes_do_not_become_the_next_answer);
	TEST(excess_with_a_body_closes_the_connection);
	TEST(bytes_on_an_idle_connection_end_it);
	TEST(no_more_idle_connections_are_kept_than_configured);
	return g_test_run();
}
