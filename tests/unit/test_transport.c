/* HTTP against receivers that misbehave to order. */
#include "transport/transport.h"

#include "receiver.h"
#include "transport_rig.h"

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static const act POLITE[] = {{READ}, {SEND, OK_EMPTY}, {AGAIN}};

static const act *const ALL_POLITE[] = {POLITE, NULL};

static char *url_of(const receiver *r)
{
	return g_strdup_printf("http://127.0.0.1:%u/hook", r->port);
}

static void assert_answered(const got *g, int status)
{
	if (g->answer.status != status || g->answer.cause != BH_CAUSE_NONE)
		g_error("expected %d, was %d, cause \"%s\": %s", status, g->answer.status,
			bh_cause_name(g->answer.cause), g->answer.sentence);
	g_assert_cmpstr(g->answer.sentence, ==, "");
	g_assert_null(g->answer.guard_rule);
}

static void assert_failed(const got *g, bh_cause cause)
{
	if (g->answer.cause != cause)
		g_error("expected cause \"%s\", was \"%s\": %d %s", bh_cause_name(cause),
			bh_cause_name(g->answer.cause), g->answer.status, g->answer.sentence);
	g_assert_cmpint(g->answer.status, ==, 0);
	g_assert_true(g_str_has_suffix(g->answer.sentence, "."));
	g_assert_cmpstr(g->answer.http_version, ==, "");
	g_assert_cmpuint(g->answer.head->len, ==, 0);
	g_assert_cmpuint(g->answer.body->len, ==, 0);
	g_assert_null(g->answer.location);
}

static void assert_body(const got *g, const char *body)
{
	g_assert_cmpmem(g->answer.body->data, g->answer.body->len, body, strlen(body));
}

/* --- The request --------------------------------------------------------------------------- */

static void a_request_goes_out_as_told(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) g = {0};
	g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/hook/%%41?x=1", service->port);
	static const char *const HEADERS[] = {"Content-Type: application/json", "webhook-id: evt_1",
					      "X-Empty:", "x-blank:  ", NULL};
	g_autofree char *expected = g_strdup_printf("POST /hook/%%41?x=1 HTTP/1.1\r\n"
						    "Host: 127.0.0.1:%u\r\n"
						    "Accept: */*\r\n"
						    "Content-Type: application/json\r\n"
						    "webhook-id: evt_1\r\n"
						    "X-Empty:\r\n"
						    "x-blank:\r\n"
						    "User-Agent: Bellhop/test\r\n"
						    "Content-Length: 3\r\n\r\n",
						    service->port);

	rig_start(&r, &g, &(bh_request){.url = url, .body = {"a\0b", 3}, .headers = HEADERS});
	rig_await(&r, &g);

	assert_answered(&g, 200);
	const GString *request = receiver_request(service, 0);
	g_assert_cmpuint(request->len, ==, strlen(expected) + 3);
	g_assert_cmpmem(request->str, strlen(expected), expected, strlen(expected));
	g_assert_cmpmem(request->str + strlen(expected), 3, "a\0b", 3);
}

typedef struct verb {
	const char *verb, *body, *begins, *length;
} verb;

static const verb VERBS[] = {
	{"GET", "", "GET /hook HTTP/1.1\r\n", NULL},
	{"POST", "abc", "POST /hook HTTP/1.1\r\n", "Content-Length: 3\r\n"},
	{"PUT", "abcd", "PUT /hook HTTP/1.1\r\n", "Content-Length: 4\r\n"},
	{"DELETE", "", "DELETE /hook HTTP/1.1\r\n", NULL},
	{"POST", "", "POST /hook HTTP/1.1\r\n", "Content-Length: 0\r\n"},
	{"PATCH", "", "PATCH /hook HTTP/1.1\r\n", "Content-Length: 0\r\n"},
	{"HEAD", "", "HEAD /hook HTTP/1.1\r\n", NULL},
	{"POST", "ab", "POST /hook HTTP/1.1\r\n", "Content-Length: 2\r\n"},
	{"DELETE", "abc", "DELETE /hook HTTP/1.1\r\n", "Content-Length: 3\r\n"},
	{"GET", "a", "GET /hook HTTP/1.1\r\n", "Content-Length: 1\r\n"},
	{"GET", "", "GET /hook HTTP/1.1\r\n", NULL},
};

/* One handle serves them all, so nothing of one verb may stick to the next. */
static void every_verb_may_follow_every_other(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *url = url_of(service);

	for (unsigned i = 0; i < G_N_ELEMENTS(VERBS); i++) {
		const verb *v = &VERBS[i];
		g_auto(got) g = {0};

		rig_start(&r, &g, &(bh_request){.verb = v->verb, .url = url, .body = bh_span_of(v->body)});
		rig_await(&r, &g);

		assert_answered(&g, 200);
		const GString *request = receiver_request(service, i);
		if (!g_str_has_prefix(request->str, v->begins) || !g_str_has_suffix(request->str, v->body))
			g_error("%s: %s", v->verb, request->str);
		const char *length = strstr(request->str, "Content-Length");
		if (v->length ? !length || !g_str_has_prefix(length, v->length) : length != NULL)
			g_error("%s with \"%s\": %s", v->verb, v->body, request->str);
	}
	g_assert_cmpuint(rig_connections(&r), ==, 1);
}

static void a_verb_that_is_none_is_refused(void)
{
	static const char *const BAD[] = {"", "post", "GET /x HTTP/1.1\r\nX:", "CONNECT", "ABCDEFGHIJKLMNOPQ"};
	g_auto(rig) r = rig_open((rig_options){0});

	for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
		g_auto(got) g = {0};

		rig_start(&r, &g, &(bh_request){.verb = BAD[i], .url = "http://127.0.0.1:9/"});
		rig_await(&r, &g);

		assert_failed(&g, BH_CAUSE_GUARD);
	}
	g_assert_cmpuint(rig_connections(&r), ==, 0);
}

/* libcurl would ask for leave first ("Expect: 100-continue"), and wait a second for it, with bodies over 1 MB. */
static void a_large_body_goes_out_without_asking(void)
{
	static const size_t SIZES[] = {1500, 200 * 1024, 2 * 1024 * 1024};
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *url = url_of(service);

	for (unsigned i = 0; i < G_N_ELEMENTS(SIZES); i++) {
		g_autofree char *body = g_strnfill(SIZES[i], 'b');
		g_auto(got) g = {0};

		rig_exchange(&r, &g, url, body);

		assert_answered(&g, 200);
		const GString *request = receiver_request(service, i);
		g_assert_null(strstr(request->str, "Expect"));
		g_assert_true(g_str_has_suffix(request->str, body));
	}
	g_assert_cmpuint(rig_connections(&r), ==, 1);
}

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
static const act SILENT[] = {{READ}, {HOLD}};

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

static void warm_up(rig *r, const char *url, got *g, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rig_post(r, &g[i], url, "{}");
	for (size_t i = 0; i < count; i++) {
		rig_await(r, &g[i]);
		assert_answered(&g[i], 200);
		got_clear(&g[i]);
	}
}

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

/* --- The guard at work --------------------------------------------------------------------------- */

static void a_refused_url_is_reported_and_no_packet_is_sent(void)
{
	static const struct {
		const char *url, *rule;
	} ROWS[] = {
		{"http://10.0.0.1/", "private"},
		{"http://169.254.169.254/latest/", "metadata"},
		{"http://[::1]:8080/", "loopback"},
		{"http://[::ffff:127.0.0.1]/", "mapped"},
		{"http://hooks.example:25/", "port"},
		{"ftp://hooks.example/", "scheme"},
		{"file:///etc/passwd", "url"},
		{"", "url"},
		{"http://a b/", "url"},
		{"http://x@hooks.example/", "url"},
	};
	g_auto(rig) r = rig_open((rig_options){0});

	for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
		g_auto(got) g = {0};

		rig_exchange(&r, &g, ROWS[i].url, "{}");

		g_assert_cmpstr(g.answer.guard_rule, ==, ROWS[i].rule);
		g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_GUARD);
		g_assert_cmpstr(g.answer.sentence, !=, "");
	}
	g_assert_cmpuint(rig_connections(&r), ==, 0);
}

static void a_new_guard_holds_for_kept_connections_too(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) first = {0}, second = {0}, third = {0};
	g_autofree char *url = url_of(service);
	g_autoptr(bh_guard) strict = rig_guard("10.0.0.0/8"), lenient = rig_guard("127.0.0.1/32");

	rig_exchange(&r, &first, url, "{}");
	bh_transport_use_guard(r.transport, strict);
	rig_exchange(&r, &second, url, "{}");
	bh_transport_use_guard(r.transport, lenient);
	rig_exchange(&r, &third, url, "{}");

	assert_answered(&first, 200);
	assert_failed(&second, BH_CAUSE_GUARD);
	g_assert_cmpstr(second.answer.guard_rule, ==, "loopback");
	assert_answered(&third, 200);
	g_assert_cmpuint(receiver_requests(service), ==, 2);
}

/* --- The loop's side -------------------------------------------------------------------------------- */

typedef struct chain {
	rig *rig;
	const char *url;
	unsigned left, done;
	bh_transfer *victim;
} chain;

static void start_another(bh_transfer *transfer, bh_answer *answer, void *user);

static void start_link(chain *c)
{
	bh_request request = {.verb = "POST", .url = c->url, .total_timeout = 5 * BH_SECOND};

	bh_transport_start(c->rig->transport, &request, bh_clock_now(), start_another, c);
}

static void start_another(bh_transfer *transfer, bh_answer *answer, void *user)
{
	chain *c = user;

	g_assert_cmpint(answer->status, ==, 200);
	bh_transport_abort(c->rig->transport, transfer); /* its own: nothing happens */
	if (c->victim)
		bh_transport_abort(c->rig->transport, g_steal_pointer(&c->victim));
	c->done++;
	if (c->left > 0) {
		c->left--;
		start_link(c);
	}
}

static void a_callback_may_start_and_abort_transfers(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_autoptr(receiver) silent = receiver_start((const act *const[]){SILENT, NULL});
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) never = {0};
	g_autofree char *url = url_of(service), *silent_url = url_of(silent);
	chain c = {.rig = &r, .url = url, .left = 9};

	rig_post(&r, &never, silent_url, "{}");
	c.victim = never.transfer;
	start_link(&c);
	while (c.done < 10)
		rig_turn(&r);

	g_assert_false(never.done);
	g_assert_cmpuint(rig_connections(&r), ==, 2);
}

static void an_aborted_transfer_is_never_reported(void)
{
	g_autoptr(receiver) silent = receiver_start((const act *const[]){SILENT, NULL});
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) at_once = {0}, under_way = {0}, refused = {0}, healthy = {0};
	g_autofree char *silent_url = url_of(silent), *url = url_of(service);
	bh_transport_stats stats;

	rig_post(&r, &at_once, silent_url, "{}");
	bh_transport_abort(r.transport, at_once.transfer);
	rig_post(&r, &refused, "http://10.0.0.1/", "{}");
	bh_transport_abort(r.transport, refused.transfer);
	rig_post(&r, &under_way, silent_url, "{}");
	while (receiver_requests(silent) < 1)
		rig_turn(&r);
	bh_transport_abort(r.transport, under_way.transfer);
	rig_exchange(&r, &healthy, url, "{}");

	assert_answered(&healthy, 200);
	g_assert_false(at_once.done || under_way.done || refused.done);
	bh_transport_stats_read(r.transport, &stats);
	g_assert_cmpuint(stats.in_flight, ==, 0);
	g_assert_cmpuint(stats.requests, ==, 4);
}

static void a_transport_may_be_freed_with_transfers_under_way(void)
{
	g_autoptr(receiver) silent = receiver_start((const act *const[]){SILENT, NULL});
	rig r = rig_open((rig_options){0});
	g_autofree char *url = url_of(silent);
	got g[4] = {0};

	for (int i = 0; i < 3; i++)
		rig_post(&r, &g[i], url, "{}");
	while (receiver_requests(silent) < 3)
		rig_turn(&r);
	rig_post(&r, &g[3], url, "{}");
	rig_close(&r);

	for (int i = 0; i < 4; i++)
		g_assert_false(g[i].done);
}

static void a_loop_without_transfers_may_sleep_for_ever(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_auto(got) g = {0};
	g_autofree char *url = url_of(service);

	g_assert_cmpint(bh_transport_next(r.transport, bh_clock_now()), ==, -1);
	rig_post(&r, &g, url, "{}");
	g_assert_cmpint(bh_transport_next(r.transport, bh_clock_now()), ==, 0);
	rig_await(&r, &g);
	bh_transport_turn(r.transport, bh_clock_now());
	g_assert_cmpint(bh_transport_next(r.transport, bh_clock_now()), ==, -1);
}

static void many_requests_at_once_all_arrive(void)
{
	enum { MANY = 200 };
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){0});
	g_autofree char *url = url_of(service);
	got *g = g_new0(got, MANY);

	for (int round = 0; round < 3; round++)
		warm_up(&r, url, g, MANY);

	g_assert_cmpuint(receiver_requests(service), ==, 3 * MANY);
	g_free(g);
}

static void unreadable_authorities_are_an_error_at_the_start(void)
{
	g_autoptr(bh_guard) guard = rig_guard("");
	g_autoptr(GError) error = NULL;
	bh_transport_config config = {.guard = guard, .user_agent = "x", .ca_file = "/no/such/file"};

	g_assert_null(bh_transport_new(&config, 0, &error));
	g_assert_nonnull(strstr(error->message, "\"/no/such/file\""));
}

static void each_cause_has_a_name_of_its_own(void)
{
	for (bh_cause a = BH_CAUSE_NONE; a <= BH_CAUSE_CRASH; a++)
		for (bh_cause b = BH_CAUSE_NONE; b < a; b++)
			g_assert_cmpstr(bh_cause_name(a), !=, bh_cause_name(b));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/transport/" #name, name)
	TEST(a_request_goes_out_as_told);
	TEST(every_verb_may_follow_every_other);
	TEST(a_verb_that_is_none_is_refused);
	TEST(a_large_body_goes_out_without_asking);
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
	TEST(a_connection_is_used_again);
	TEST(connections_that_the_receiver_closed_while_idle_cost_nothing);
	TEST(a_kept_connection_that_dies_under_a_request_is_replaced_silently);
	TEST(silent_repetitions_do_not_add_up);
	TEST(a_large_body_survives_a_kept_connection_that_dies);
	TEST(excess_bytes_do_not_become_the_next_answer);
	TEST(excess_with_a_body_closes_the_connection);
	TEST(bytes_on_an_idle_connection_end_it);
	TEST(no_more_idle_connections_are_kept_than_configured);
	TEST(a_refused_url_is_reported_and_no_packet_is_sent);
	TEST(a_new_guard_holds_for_kept_connections_too);
	TEST(a_callback_may_start_and_abort_transfers);
	TEST(an_aborted_transfer_is_never_reported);
	TEST(a_transport_may_be_freed_with_transfers_under_way);
	TEST(a_loop_without_transfers_may_sleep_for_ever);
	TEST(many_requests_at_once_all_arrive);
	TEST(unreadable_authorities_are_an_error_at_the_start);
	TEST(each_cause_has_a_name_of_its_own);
	return g_test_run();
}
