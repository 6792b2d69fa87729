/* What goes out over HTTP, and how a loop drives it. What comes back: test_transport_answers.c, and test_transport_kept.c for
   kept connections. */
#include "transport/transport.h"

#include "transport_rig.h"

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

/* What whoever runs Bellhop named in the settings may lie in his own network. Nothing else of it is different. */
static void a_trusted_request_may_lead_to_a_private_address(void)
{
	static const struct {
		const char *url, *rule;
	} REFUSED[] = {
		{"http://169.254.169.254/latest/", "metadata"},
		{"http://metadata.google.internal/", "metadata"},
		{"http://[::ffff:127.0.0.1]:8080/", "mapped"},
		{"http://0.0.0.0:8080/", "unspecified"},
		{"http://127.0.0.1:25/", "port"},
		{"http://x@127.0.0.1/", "url"},
		{"ftp://127.0.0.1/", "scheme"},
	};
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){.allow = "192.0.2.1"});
	g_auto(got) trusted = {0};
	g_autofree char *url = url_of(service);

	rig_start(&r, &trusted, &(bh_request){.url = url, .body = bh_span_of("{}"), .trusted = true});
	rig_await(&r, &trusted);
	assert_answered(&trusted, 200);
	for (size_t i = 0; i < G_N_ELEMENTS(REFUSED); i++) {
		g_auto(got) g = {0};
		rig_start(&r, &g, &(bh_request){.url = REFUSED[i].url, .trusted = true});
		rig_await(&r, &g);
		g_assert_cmpstr(g.answer.guard_rule, ==, REFUSED[i].rule);
	}
	g_assert_cmpuint(receiver_requests(service), ==, 1);
}

static void what_is_trusted_opens_no_way_for_what_is_not(void)
{
	g_autoptr(receiver) service = receiver_start(ALL_POLITE);
	g_auto(rig) r = rig_open((rig_options){.allow = "192.0.2.1"});
	g_autofree char *url = url_of(service), *named = g_strdup_printf("http://localhost:%u/", service->port);
	const char *const urls[] = {url, named};

	for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
		g_auto(got) before = {0}, after = {0}, again = {0};
		rig_start(&r, &before, &(bh_request){.url = urls[i], .trusted = true});
		rig_await(&r, &before);
		assert_answered(&before, 200);
		rig_exchange(&r, &after, urls[i], "{}"); /* its connection is kept, and free */
		assert_failed(&after, BH_CAUSE_GUARD);
		g_assert_cmpstr(after.answer.guard_rule, ==, "loopback");
		rig_start(&r, &again, &(bh_request){.url = urls[i], .trusted = true});
		rig_await(&r, &again);
		assert_answered(&again, 200);
	}
	g_assert_cmpuint(receiver_requests(service), ==, 4);
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
	for (bh_cause a = BH_CAUSE_NONE; a <= BH_CAUSE_LOOKUP; a++)
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
	TEST(a_refused_url_is_reported_and_no_packet_is_sent);
	TEST(a_new_guard_holds_for_kept_connections_too);
	TEST(a_trusted_request_may_lead_to_a_private_address);
	TEST(what_is_trusted_opens_no_way_for_what_is_not);
	TEST(a_callback_may_start_and_abort_transfers);
	TEST(an_aborted_transfer_is_never_reported);
	TEST(a_transport_may_be_freed_with_transfers_under_way);
	TEST(a_loop_without_transfers_may_sleep_for_ever);
	TEST(many_requests_at_once_all_arrive);
	TEST(unreadable_authorities_are_an_error_at_the_start);
	TEST(each_cause_has_a_name_of_its_own);
	return g_test_run();
}
