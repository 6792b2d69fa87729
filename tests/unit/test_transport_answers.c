/* What receivers answer over HTTP, and how they fail to: each misbehaves to order. */
#include "transport/transport.h"

#include "transport_rig.h"

/* --- The answer ------------------------------------------------------------------------------ */

static void an_answer_comes_back_whole(void)
{
	static const char TEXT[] =
		"HTTP/1.1 503 Busy\r\nServer: \xff test\r\nRETRY-after: 120 \r\nRetry-After: 1\r\n"
		"Location: /elsewhere\r\nWebhook-Delivery:  disable\r\nContent-Length: 5\r\n\r\nhe\0lo";
	static const act FULL[] = {{READ}, {SEND, TEXT, sizeof TEXT - 1}, {HOLD}};
	g_autoptr(receiver) service = receiver_start((const act *const[]){FULL, NULL});
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) g = {0};
	g_autofree char *url = url_of(service), *address = g_strdup_printf("127.0.0.1:%u", service->port);

	rig_exchange(&r, &g, url, "{}");

	assert_answered(&g, 503);
	g_assert_true(g.answer.has_retry_after);
	g_assert_cmpint(g.answer.retry_after, ==, 2 * BH_MINUTE); /* the first counts */
	g_assert_cmpstr(g.answer.control, ==, "disable");
	g_assert_null(g.answer.location); /* only of a redirect */
	g_assert_cmpstr(g.answer.http_version, ==, "1.1");
	g_assert_cmpstr(g.answer.address, ==, address);
	g_assert_cmpmem(g.answer.body->data, g.answer.body->len, "he\0lo", 5);
	g_assert_false(g.answer.body_cut);
	g_assert_cmpstr(g.answer.head->str, ==,
			"Server: \xff test\nRETRY-after: 120 \nRetry-After: 1\nLocation: /elsewhere\n"
			"Webhook-Delivery:  disable\nContent-Length: 5\n");
}

static void phases_are_measured_and_a_kept_connection_needs_fewer(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) first = {0}, second = {0};
	g_autofree char *url = url_of(service);

	rig_exchange(&r, &first, url, "{}");
	rig_exchange(&r, &second, url, "{}");

	g_assert_cmpint(first.answer.dns, ==, -1); /* an address needs no look-up */
	g_assert_cmpint(first.answer.connect, >=, 0);
	g_assert_cmpint(first.answer.tls, ==, -1);
	g_assert_cmpint(first.answer.first_byte, >=, first.answer.connect);
	g_assert_cmpint(first.answer.total, >=, first.answer.first_byte);
	g_assert_cmpint(second.answer.connect, ==, -1);
	g_assert_cmpint(second.answer.first_byte, >, 0);
	g_assert_cmpint(second.answer.total, >=, second.answer.first_byte);
}

/* Some answers whose end is not announced, or announced in a way of their own. */
static const struct ending {
	const char *what, *answer;
	bool closes; /* the receiver, after it */
	int status;
	const char *version, *body;
} ENDINGS[] = {
	{"HTTP/1.0 until the close", "HTTP/1.0 200 OK\r\nX: y\r\n\r\nbody", true, 200, "1.0", "body"},
	{"HTTP/1.1 until the close", "HTTP/1.1 200 OK\r\n\r\nbody", true, 200, "1.1", "body"},
	{"204 on an open connection", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "1.1", ""},
	{"close announced and not done", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false,
	 200, "1.1", ""},
	{"close announced, body complete", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: Close\r\n\r\nok", false,
	 200, "1.1", "ok"},
	{"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", false, 304, "1.1", ""},
	{"header names in odd case", "HTTP/1.1 200 OK\r\ncOnTeNt-lEnGtH: 2\r\n\r\nok", false, 200, "1.1", "ok"},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, 200, "1.1", "ok"},
	{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, 200, "1.1",
	 "ok"},
	{"chunks with a trailer",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nRetry-After: 5\r\n\r\n", false, 200,
	 "1.1", "ok"},
	{"no reason phrase", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, 200, "1.1", ""},
	{"status 599", "HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", false, 599, "1.1", ""},
	{"a body that is cut", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true, 200, "1.1", "half"},
	{"chunks that are cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", true, 200, "1.1",
	 "half"},
	{"chunks that are none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", false, 200, "1.1", ""},
};

static void every_kind_of_ending_is_understood(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(ENDINGS); i++) {
		const struct ending *e = &ENDINGS[i];
		const act script[] = {{READ}, {SEND, e->answer}, {e->closes ? END : HOLD}};
		g_autoptr(receiver) service = receiver_start((const act *const[]){script, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = url_of(service);

		rig_exchange(&r, &g, url, "{}");

		g_test_message("%s", e->what);
		assert_answered(&g, e->status);
		g_assert_cmpstr(g.answer.http_version, ==, e->version);
		assert_body(&g, e->body);
		g_assert_false(g.answer.has_retry_after);
		g_assert_cmpint(g.answer.total, <, 5 * BH_SECOND); /* nobody waited for a FIN */
	}
}

static void a_connection_that_is_announced_closed_is_not_used_again(void)
{
	static const act CLOSING[] = {
		{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"}, {HOLD}};
	g_autoptr(receiver) service = receiver_start((const act *const[]){CLOSING, NULL});
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *url = url_of(service);

	for (unsigned i = 1; i <= 3; i++) {
		g_auto(got) g = {0};
		rig_exchange(&r, &g, url, "{}");
		assert_answered(&g, 200);
		g_assert_cmpuint(rig_connections(&r), ==, i);
	}
	g_assert_cmpuint(receiver_requests(service), ==, 3);
}

static const act INTERIM_AT_ONCE[] = {
	{READ},
	{SEND, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nRetry-After: 9\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: "
	       "</b>\r\n\r\n"
	       "HTTP/1.1 500 No\r\nX: final\r\nContent-Length: 1\r\n\r\n1"},
	{READ},
	{SEND,
	 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"},
	{HOLD},
};

/* A pause is only there to make segments of them; nothing depends on it. */
static const act INTERIM_LINE_BY_LINE[] = {
	{READ},
	{DRIP,
	 "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nRetry-After: 9\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: "
	 "</b>\r\n\r\n"
	 "HTTP/1.1 500 No\r\nX: final\r\nContent-Length: 1\r\n\r\n1",
	 .ms = 1},
	{READ},
	{DRIP,
	 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2",
	 .ms = 1},
	{HOLD},
};

static void interim_answers_are_skipped(void)
{
	const act *const SCRIPTS[] = {INTERIM_AT_ONCE, INTERIM_LINE_BY_LINE};

	for (size_t i = 0; i < G_N_ELEMENTS(SCRIPTS); i++) {
		g_autoptr(receiver) service = receiver_start((const act *const[]){SCRIPTS[i], NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) first = {0}, second = {0};
		g_autofree char *url = url_of(service);

		rig_exchange(&r, &first, url, "{}");
		rig_exchange(&r, &second, url, "{}");

		assert_answered(&first, 500);
		assert_body(&first, "1");
		g_assert_cmpstr(first.answer.head->str, ==, "X: final\nContent-Length: 1\n");
		g_assert_false(first.answer.has_retry_after);
		assert_answered(&second, 200);
		assert_body(&second, "2");
		g_assert_cmpuint(receiver_connections(service), ==, 1);
	}
}

static void redirects_are_answers_and_are_not_followed(void)
{
	static const int STATUSES[] = {300, 301, 302, 303, 307, 308};
	g_autoptr(receiver) other = receiver_start(ALL_POLITE);

	for (size_t i = 0; i < G_N_ELEMENTS(STATUSES); i++) {
		g_autofree char *location = g_strdup_printf("http://127.0.0.1:%u/", other->port);
		g_autofree char *text = g_strdup_printf("HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
							STATUSES[i], location);
		const act script[] = {{READ}, {SEND, text}, {HOLD}};
		g_autoptr(receiver) service = receiver_start((const act *const[]){script, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = url_of(service);

		rig_exchange(&r, &g, url, "{}");

		assert_answered(&g, STATUSES[i]);
		g_assert_cmpstr(g.answer.location, ==, location);
	}
	g_assert_cmpuint(receiver_connections(other), ==, 0);
}

static void a_redirect_may_lack_a_location_or_name_nonsense(void)
{
	static const struct {
		const char *line, *location;
	} ROWS[] = {{"", NULL},
		    {"Location: /relative\r\n", "/relative"},
		    {"Location: \xff\r\n", "\xef\xbf\xbd"},
		    {"Location:\r\n", ""},
		    {"Location: http://[::1\r\n", "http://[::1"},
		    {"Location: file:///etc/passwd\r\n", "file:///etc/passwd"}};

	for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
		g_autofree char *text = g_strdup_printf("HTTP/1.1 302 Go\r\n%sContent-Length: 0\r\n\r\n", ROWS[i].line);
		const act script[] = {{READ}, {SEND, text}, {HOLD}};
		g_autoptr(receiver) service = receiver_start((const act *const[]){script, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = url_of(service);

		rig_exchange(&r, &g, url, "{}");

		assert_answered(&g, 302);
		g_assert_cmpstr(g.answer.location, ==, ROWS[i].location);
	}
}

/* --- Too much -------------------------------------------------------------------------------- */

static void assert_only_the_first_16_kib(const got *g)
{
	assert_answered(g, 200);
	g_assert_cmpuint(g->answer.body->len, ==, BH_ANSWER_KEPT_MAX);
	g_assert_true(g->answer.body_cut);
}

static void an_endless_body_ends_at_the_limit_and_the_status_counts(void)
{
	g_autofree char *fill = g_strnfill(0x1000, 'x'), *piece = g_strdup_printf("1000\r\n%s\r\n", fill);
	const act chunked[] = {{READ}, {SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}, {FLOOD, piece}};
	const act long_one[] = {
		{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"}, {FLOOD, piece}};
	const act *const scripts[] = {chunked, long_one};

	for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
		g_autoptr(receiver) service = receiver_start((const act *const[]){scripts[i], NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_autofree char *url = url_of(service);
		got g[10] = {0};

		for (size_t j = 0; j < G_N_ELEMENTS(g); j++)
			rig_post(&r, &g[j], url, "{}");
		for (size_t j = 0; j < G_N_ELEMENTS(g); j++) {
			rig_await(&r, &g[j]);
			assert_only_the_first_16_kib(&g[j]);
			got_clear(&g[j]);
		}
		receiver_await_closed(service, G_N_ELEMENTS(g)); /* none of the connections is kept */
	}
}

static void a_body_up_to_64_kib_is_read_so_that_the_connection_can_be_kept(void)
{
	g_autofree char *fill = g_strnfill(64 * 1024, 'x');
	g_autofree char *text = g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n%s", fill);
	const act script[] = {{READ}, {SEND, text}, {AGAIN}};
	g_autoptr(receiver) service = receiver_start((const act *const[]){script, NULL});
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *url = url_of(service);

	for (int i = 0; i < 3; i++) {
		g_auto(got) g = {0};
		rig_exchange(&r, &g, url, "{}");
		assert_only_the_first_16_kib(&g);
	}
	g_assert_cmpuint(rig_connections(&r), ==, 1);
}

static void a_long_head_is_kept_in_part_and_read_to_its_end(void)
{
	g_autofree char *fill = g_strnfill(7000, 'h');
	g_autofree char *text = g_strdup_printf(
		"HTTP/1.1 429 Slow\r\nA: %s\r\nB: %s\r\nC: %s\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", fill,
		fill, fill);
	const act script[] = {{READ}, {SEND, text}, {HOLD}};
	g_autoptr(receiver) service = receiver_start((const act *const[]){script, NULL});
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) g = {0};
	g_autofree char *url = url_of(service);

	rig_exchange(&r, &g, url, "{}");

	assert_answered(&g, 429);
	g_assert_cmpuint(g.answer.head->len, <=, BH_ANSWER_HEADERS_MAX);
	g_assert_cmpuint(g.answer.head->len, >, 14000);
	g_assert_cmpint(g.answer.retry_after, ==, 7 * BH_SECOND);
}

static void an_endless_head_is_no_answer(void)
{
	static const act ENDLESS_HEADERS[] = {{READ}, {SEND, "HTTP/1.1 200 OK\r\n"}, {FLOOD, "X: y\r\n"}};
	static const act ENDLESS_INTERIM[] = {{READ}, {FLOOD, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"}};
	static const act ENDLESS_LINE[] = {
		{READ}, {SEND, "HTTP/1.1 200 OK\r\nX: "}, {FLOOD, "yyyyyyyyyyyyyyyyyyyyyyyy"}};
	const act *const scripts[] = {ENDLESS_HEADERS, ENDLESS_INTERIM, ENDLESS_LINE};

	for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
		g_autoptr(receiver) service = receiver_start((const act *const[]){scripts[i], NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = url_of(service);

		rig_exchange(&r, &g, url, "{}");

		assert_failed(&g, BH_CAUSE_PROTOCOL);
		g_assert_nonnull(strstr(g.answer.sentence, "too long"));
	}
}

/* --- Too slow ---------------------------------------------------------------------------------- */

static const act DRIPPED_HEAD[] = {
	{READ}, {SEND, "HTTP/1.1 200 OK\r\n"}, {DRIP, "X-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", .ms = 50}, {HOLD}};
static const act DRIPPED_BODY[] = {{READ},
				   {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"},
				   {DRIP, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", .ms = 50},
				   {HOLD}};
static const act DRIPPED_CHUNKS[] = {
	{READ},
	{SEND, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{DRIP, "1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n", .ms = 50},
	{HOLD}};

static const struct slow {
	const act *script;
	bool answered;
} SLOW[] = {{DRIPPED_HEAD, false}, {DRIPPED_BODY, true}, {DRIPPED_CHUNKS, true}, {SILENT, false}};

static void a_slow_answer_ends_at_the_total_time_out_and_a_whole_head_counts(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(SLOW); i++) {
		g_autoptr(receiver) service = receiver_start((const act *const[]){SLOW[i].script, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = url_of(service);

		rig_start(&r, &g, &(bh_request){.url = url, .total_timeout = 300 * BH_MILLISECOND});
		rig_await(&r, &g);

		g_assert_cmpint(g.answer.total, >=, 300 * BH_MILLISECOND);
		if (SLOW[i].answered) {
			assert_answered(&g, 200);
			g_assert_true(g.answer.body_cut);
		} else {
			assert_failed(&g, BH_CAUSE_TIMEOUT);
		}
	}
}

static void slow_receivers_do_not_delay_a_healthy_one(void)
{
	g_autoptr(receiver) slow = receiver_start((const act *const[]){DRIPPED_HEAD, NULL});
	g_autoptr(receiver) healthy = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *slow_url = url_of(slow), *url = url_of(healthy);
	got waiting[50] = {0};

	for (size_t i = 0; i < G_N_ELEMENTS(waiting); i++)
		rig_start(&r, &waiting[i], &(bh_request){.url = slow_url, .total_timeout = 20 * BH_SECOND});
	for (int i = 0; i < 20; i++) {
		g_auto(got) g = {0};
		rig_exchange(&r, &g, url, "{}");
		assert_answered(&g, 200);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(waiting); i++) {
		g_assert_false(waiting[i].done);
		bh_transport_abort(r.transport, waiting[i].transfer);
	}
}

static void a_connect_that_hangs_is_a_connect_failure(void)
{
	/* A listener with a full queue: the kernel drops further SYNs. */
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[8];
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof in;
	g_auto(rig) r = rig_open((rig_options){.connect_timeout = 200 * BH_MILLISECOND});
	g_auto(got) g = {0};

	g_assert_cmpint(bind(listener, (struct sockaddr *)&in, sizeof in), ==, 0);
	g_assert_cmpint(listen(listener, 0), ==, 0);
	g_assert_cmpint(getsockname(listener, (struct sockaddr *)&in, &size), ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&in, sizeof in); /* most of them will hang, as they shall */
	}
	g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/", ntohs(in.sin_port));

	rig_exchange(&r, &g, url, "{}");

	assert_failed(&g, BH_CAUSE_CONNECT);
	g_assert_cmpint(g.answer.total, >=, 200 * BH_MILLISECOND);
	g_assert_cmpint(g.answer.total, <, 5 * BH_SECOND);
	for (size_t i = 0; i < G_N_ELEMENTS(fill); i++)
		close(fill[i]);
	close(listener);
}

/* --- Broken ------------------------------------------------------------------------------------- */

static const act CLOSE_UNREAD[] = {{END}};
static const act CLOSE_AFTER_REQUEST[] = {{READ}, {END}};
static const act RESET_AFTER_REQUEST[] = {{READ}, {RESET}};
static const act RESET_WITHIN_HEAD[] = {{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-"}, {RESET}};
static const act CLOSE_WITHIN_HEAD[] = {{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"}, {END}};
static const act ONLY_INTERIM[] = {{READ}, {SEND, "HTTP/1.1 103 Early Hints\r\n\r\n"}, {END}};
static const act OLD_HTTP[] = {{READ}, {SEND, "<html>hello</html>"}, {END}};
static const act SMTP[] = {{SEND, "220 mail.example ESMTP\r\n"}, {READ}, {END}};
static const act STATUS_ZERO[] = {{READ}, {SEND, "HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n"}, {HOLD}};
static const act STATUS_WORD[] = {{READ}, {SEND, "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"}, {HOLD}};
static const act NUL_IN_HEAD[] = {{READ}, {SEND, "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 27}, {HOLD}};

static const act *const BROKEN[] = {CLOSE_UNREAD,
				    CLOSE_AFTER_REQUEST,
				    RESET_AFTER_REQUEST,
				    RESET_WITHIN_HEAD,
				    CLOSE_WITHIN_HEAD,
				    ONLY_INTERIM,
				    OLD_HTTP,
				    SMTP,
				    STATUS_ZERO,
				    STATUS_WORD,
				    NUL_IN_HEAD};

static void what_is_no_answer_is_a_protocol_failure_and_the_next_try_works(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(BROKEN); i++) {
		g_autoptr(receiver) service = receiver_start((const act *const[]){BROKEN[i], POLITE, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) first = {0}, second = {0};
		g_autofree char *url = url_of(service);

		g_test_message("script %zu", i);
		rig_exchange(&r, &first, url, "{}");
		rig_exchange(&r, &second, url, "{}");

		assert_failed(&first, BH_CAUSE_PROTOCOL);
		assert_answered(&second, 200);
		g_assert_cmpuint(receiver_connections(service), ==,
				 2); /* a new connection is no reason to try again unasked */
	}
}

static void nobody_listening_is_a_connect_failure(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) g = {0};
	g_autofree char *url = url_of(service), *address = g_strdup_printf("127.0.0.1:%u", service->port);

	receiver_stop(g_steal_pointer(&service));
	rig_exchange(&r, &g, url, "{}");

	assert_failed(&g, BH_CAUSE_CONNECT);
	g_assert_nonnull(strstr(g.answer.sentence, "refused the connection"));
	g_assert_cmpstr(g.answer.address, ==, address);
}

/* --- Answers that come before the request is read ----------------------------------------------- */

static void an_early_answer_counts_though_the_body_was_not_read(void)
{
	static const int STATUSES[] = {401, 413, 410, 429, 200};
	g_autofree char *body = g_strnfill(5 * 1024 * 1024, 'b');

	for (size_t i = 0; i < G_N_ELEMENTS(STATUSES); i++) {
		g_autofree char *text = g_strdup_printf(
			"HTTP/1.1 %d Early\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno", STATUSES[i]);
		const act script[] = {{PEEK}, {SEND, text}, {END}}; /* with unread data this end is a reset */
		g_autoptr(receiver) service = receiver_start((const act *const[]){script, NULL});
		g_auto(rig) r = rig_open((rig_options){0});
		g_auto(got) g = {0};
		g_autofree char *url = url_of(service);

		rig_exchange(&r, &g, url, body);

		assert_answered(&g, STATUSES[i]);
		g_assert_cmpint(g.answer.retry_after, ==, 3 * BH_SECOND);
		g_assert_cmpuint(receiver_connections(service), ==, 1);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/transport_answers/" #name, name)
	TEST(an_answer_comes_back_whole);
	TEST(phases_are_measured_and_a_kept_connection_needs_fewer);
	TEST(every_kind_of_ending_is_understood);
	TEST(a_connection_that_is_announced_closed_is_not_used_again);
	TEST(interim_answers_are_skipped);
	TEST(redirects_are_answers_and_are_not_followed);
	TEST(a_redirect_may_lack_a_location_or_name_nonsense);
	TEST(an_endless_body_ends_at_the_limit_and_the_status_counts);
	TEST(a_body_up_to_64_kib_is_read_so_that_the_connection_can_be_kept);
	TEST(a_long_head_is_kept_in_part_and_read_to_its_end);
	TEST(an_endless_head_is_no_answer);
	TEST(a_slow_answer_ends_at_the_total_time_out_and_a_whole_head_counts);
	TEST(slow_receivers_do_not_delay_a_healthy_one);
	TEST(a_connect_that_hangs_is_a_connect_failure);
	TEST(what_is_no_answer_is_a_protocol_failure_and_the_next_try_works);
	TEST(nobody_listening_is_a_connect_failure);
	TEST(an_early_answer_counts_though_the_body_was_not_read);
	return g_test_run();
}
