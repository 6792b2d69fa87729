/* A transport with its own little loop, and what its transfers came to. For tests only. */
#pragma once

#include "receiver.h"
#include "transport/transport.h"

#include <sys/epoll.h>
#include <unistd.h>

typedef struct rig {
	int epoll;
	bh_transport *transport;
	bh_usec ahead; /* so much later it is for the transport */
} rig;

/* A copy of the answer; `done` is set by the callback. */
typedef struct got {
	bool done;
	unsigned times; /* that it was called: one, or it is a bug */
	bh_answer answer;
	bh_transfer *transfer;
} got;

typedef struct rig_options {
	const char *allow; /* as in the settings; NULL: all of 127.0.0.0/8 */
	const char *ca_file, *proxy;
	bh_usec dns_timeout, connect_timeout, tls_timeout; /* 0: 5 s */
	long connections_max; /* 0: 100 */
} rig_options;

static inline bh_guard *rig_guard(const char *allow)
{
	g_auto(GStrv) list = g_strsplit(allow, ",", -1);
	g_autoptr(GError) error = NULL;
	bh_guard *g = bh_guard_new(list, NULL, false, &error);

	g_assert_no_error(error);
	return g;
}

static inline rig rig_open(rig_options o)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_guard) guard = rig_guard(o.allow ? o.allow : "127.0.0.0/8");
	rig r = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
	bh_transport_config config = {
		.guard = guard,
		.user_agent = "Bellhop/test",
		.ca_file = o.ca_file,
		.proxy = o.proxy,
		.connections_max = o.connections_max ? o.connections_max : 100,
		.dns_timeout = o.dns_timeout ? o.dns_timeout : 5 * BH_SECOND,
		.connect_timeout = o.connect_timeout ? o.connect_timeout : 5 * BH_SECOND,
		.tls_timeout = o.tls_timeout ? o.tls_timeout : 5 * BH_SECOND,
	};

	r.transport = bh_transport_new(&config, r.epoll, &error);
	g_assert_no_error(error);
	return r;
}

static inline bh_now rig_now(const rig *r)
{
	bh_now now = bh_clock_now();

	now.mono = bh_mono_add(now.mono, r->ahead);
	return now;
}

static inline void rig_close(rig *r)
{
	bh_transport_free(r->transport);
	close(r->epoll);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(rig, rig_close)

static inline void got_clear(got *g)
{
	if (g->answer.head)
		g_string_free(g->answer.head, true);
	if (g->answer.body)
		g_byte_array_unref(g->answer.body);
	g_free(g->answer.location);
	g_free(g->answer.control);
	*g = (got){0};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(got, got_clear)

static inline void rig_done(bh_transfer *transfer, bh_answer *answer, void *user)
{
	got *g = user;

	g_assert_true(transfer == g->transfer);
	g->times++;
	g_assert_cmpuint(g->times, ==, 1);
	g->answer = *answer;
	answer->head = NULL; /* as a user may, who wants to keep them */
	answer->body = NULL;
	answer->location = answer->control = NULL;
	g->done = true;
}

static inline void rig_start(rig *r, got *g, const bh_request *request)
{
	static const char *const JSON[] = {"Content-Type: application/json", NULL};
	bh_request full = *request;

	full.verb = full.verb ? full.verb : "POST";
	full.headers = full.headers ? full.headers : JSON;
	full.total_timeout = full.total_timeout ? full.total_timeout : 15 * BH_SECOND;
	*g = (got){0};
	g->transfer = bh_transport_start(r->transport, &full, rig_now(r), rig_done, g);
	g_assert_false(g->done); /* never from inside */
}

static inline void rig_post(rig *r, got *g, const char *url, const char *body)
{
	rig_start(r, g, &(bh_request){.url = url, .body = bh_span_of(body)});
}

/* One turn of a loop: sleeps until something is due. */
static inline void rig_turn(rig *r)
{
	struct epoll_event events[16];
	bh_usec next = bh_transport_next(r->transport, rig_now(r));
	int ms = next < 0 || next > BH_SECOND ? 1000 : (int)((next + 999) / 1000);
	int n = epoll_wait(r->epoll, events, G_N_ELEMENTS(events), ms);

	for (int i = 0; i < n; i++) {
		g_assert_true(events[i].data.u64 & BH_TRANSPORT_EPOLL_MARK);
		bh_transport_ready(r->transport, events[i].data.u64, events[i].events);
	}
	bh_transport_turn(r->transport, rig_now(r));
}

static inline void rig_await(rig *r, const got *g)
{
	bh_mono begin = bh_clock_mono();

	while (!g->done) {
		rig_turn(r);
		g_assert_cmpint(bh_mono_since(bh_clock_mono(), begin), <, 30 * BH_SECOND);
	}
}

static inline void rig_exchange(rig *r, got *g, const char *url, const char *body)
{
	rig_post(r, g, url, body);
	rig_await(r, g);
}

static inline uint64_t rig_connections(rig *r)
{
	bh_transport_stats stats;

	bh_transport_stats_read(r->transport, &stats);
	return stats.connections;
}

/* --- What receivers answer, and what came of it ---------------------------------------------- */

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static const act POLITE[] = {{READ}, {SEND, OK_EMPTY}, {AGAIN}};
static const act *const ALL_POLITE[] = {POLITE, NULL};
static const act SILENT[] = {{READ}, {HOLD}};

static inline char *url_of(const receiver *r)
{
	return g_strdup_printf("http://127.0.0.1:%u/hook", r->port);
}

static inline char *https_url_of(const receiver *r)
{
	return g_strdup_printf("https://127.0.0.1:%u/hook", r->port);
}

static inline void assert_answered(const got *g, int status)
{
	if (g->answer.status != status || g->answer.cause != BH_CAUSE_NONE)
		g_error("expected %d, was %d, cause \"%s\": %s", status, g->answer.status,
			bh_cause_name(g->answer.cause), g->answer.sentence);
	g_assert_cmpstr(g->answer.sentence, ==, "");
	g_assert_null(g->answer.guard_rule);
}

static inline void assert_failed(const got *g, bh_cause cause)
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

static inline void assert_body(const got *g, const char *body)
{
	g_assert_cmpmem(g->answer.body->data, g->answer.body->len, body, strlen(body));
}

static inline void warm_up(rig *r, const char *url, got *g, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rig_post(r, &g[i], url, "{}");
	for (size_t i = 0; i < count; i++) {
		rig_await(r, &g[i]);
		assert_answered(&g[i], 200);
		got_clear(&g[i]);
	}
}
