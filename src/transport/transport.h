/*
 * Requests to remote services: libcurl multi on the loop's epoll, connections reused, every address checked
 * by the network guard at the moment of connecting. One transport belongs to one delivery loop's thread.
 *
 * A transfer always reports through `done`, failures included, and never from inside bh_transport_start.
 */
#pragma once

#include "base/span.h"
#include "base/time.h"
#include "transport/guard.h"

#include <glib.h>
#include <stdbool.h>

#define BH_ANSWER_KEPT_MAX (16 * 1024)  /* bytes of the answer's body that are kept */
#define BH_ANSWER_READ_MAX (64 * 1024)  /* reading stops here: the status counts, the connection is given up */
#define BH_ANSWER_HEADERS_MAX (16 * 1024)

/* Why an attempt did not get an answer, or the answer was no delivery. */
typedef enum bh_cause {
	BH_CAUSE_NONE,
	BH_CAUSE_STATUS,      /* an answer, but not 2xx */
	BH_CAUSE_TIMEOUT,
	BH_CAUSE_DNS,
	BH_CAUSE_CONNECT,
	BH_CAUSE_TLS,
	BH_CAUSE_PROTOCOL,    /* what came back is no HTTP answer, or the connection broke */
	BH_CAUSE_GUARD,       /* the network guard refused: final */
	BH_CAUSE_SCRIPT,
	BH_CAUSE_CREDENTIALS,
	BH_CAUSE_CRASH,
	BH_CAUSE_PROXY,       /* the egress proxy did not do its part: no fault of the receiver */
	BH_CAUSE_TOKEN,       /* no access token could be had; the receiver itself was not asked */
	BH_CAUSE_LOOKUP,      /* the site's own API did not give the event's details: no fault of the receiver */
} bh_cause;
const char *bh_cause_name(bh_cause cause); /* "", "status", "timeout", ... */

typedef struct bh_request {
	const char *verb;        /* "POST", "GET", "PUT", ... */
	const char *url;
	bh_span body;            /* borrowed until `done` */
	const char *const *headers; /* "Name: value", NULL-terminated, already checked; copied */
	bh_usec total_timeout;
	/* TLS of this request alone, PEM, borrowed until bh_transport_start returns; NULL or empty: none. */
	const char *tls_ca;
	const char *tls_certificate;
	bh_span tls_key;
	bool trusted; /* the URL is a setting of whoever runs Bellhop: it may lead to a private address */
} bh_request;

/*
 * What came back. Lives until `done` returns; who wants to keep `head`, `body`, `location` or `control` steals them
 * (g_steal_pointer), the rest is plain.
 */
typedef struct bh_answer {
	int status;             /* 0: no answer */
	bh_cause cause;         /* BH_CAUSE_NONE when a whole status line and head came (body cut or timed out included) */
	char sentence[300];     /* one plain sentence about `cause`, with what to do; "" when none */
	const char *guard_rule; /* BH_CAUSE_GUARD: which; else NULL */
	bool has_retry_after;
	bh_usec retry_after;    /* as a span from when the answer came; 0 for a date in the past */
	char *location;         /* of a 3xx; NULL: none */
	char *control;          /* header webhook-delivery; NULL: none */
	char http_version[4];   /* "1.1", "2", "1.0"; "" none */
	char address[64];       /* "192.0.2.1:443", "[2001:db8::1]:80"; "" none */
	bh_usec dns, connect, tls, first_byte, total; /* since the start; -1: not reached or not needed (kept-alive) */
	GString *head;          /* the final answer's headers, "Name: value\n" each, at most BH_ANSWER_HEADERS_MAX; raw bytes */
	GByteArray *body;       /* first BH_ANSWER_KEPT_MAX bytes, raw */
	bool body_cut;          /* more came than is kept */
} bh_answer;

typedef struct bh_transport bh_transport;
typedef struct bh_transfer bh_transfer;

/* Called from bh_transport_turn, exactly once. May start and abort transfers; its own is gone when it returns. */
typedef void (*bh_transfer_done)(bh_transfer *transfer, bh_answer *answer, void *user);

typedef struct bh_transport_config {
	bh_guard *guard;             /* a reference is taken */
	const char *user_agent;      /* "Bellhop/0.1.0" */
	const char *ca_file;         /* NULL: the system's */
	const char *proxy;           /* "http://host:port", "socks5://[user:password@]host:port"; NULL: none */
	long connections_max;        /* kept open in all */
	bh_usec dns_timeout, connect_timeout, tls_timeout; /* 5 s each */
} bh_transport_config;

/* `epoll_fd`: curl's sockets are added to it with data.ptr = the transport's own marker (see bh_transport_ready). */
bh_transport *bh_transport_new(const bh_transport_config *config, int epoll_fd, GError **error);
void bh_transport_use_guard(bh_transport *t, bh_guard *guard); /* from the next request on, kept connections included */
void bh_transport_free(bh_transport *t); /* transfers under way are dropped without `done` */

/* Starts a request. Never fails and never calls back from inside: what is wrong is reported through `done`. */
bh_transfer *bh_transport_start(bh_transport *t, const bh_request *request, bh_now now, bh_transfer_done done, void *user);

/* Gives a transfer up; `done` is not called, the transfer is freed. */
void bh_transport_abort(bh_transport *t, bh_transfer *transfer);

/* One epoll event with data.u64: bit 63 set marks the transport's sockets (low 32 bits the fd). The loop passes those here,
 * and the turn that follows deals with them. */
#define BH_TRANSPORT_EPOLL_MARK (UINT64_C(1) << 63)
void bh_transport_ready(bh_transport *t, uint64_t data, uint32_t epoll_events);

/* To be called once per turn of the loop: drives time-outs and calls `done` of what is finished. */
void bh_transport_turn(bh_transport *t, bh_now now);

/* How long the loop may sleep before bh_transport_turn is due; -1: for ever. */
bh_usec bh_transport_next(bh_transport *t, bh_now now);

typedef struct bh_transport_stats {
	uint64_t requests, connections; /* connections opened so far: reuse is visible */
	size_t in_flight;
} bh_transport_stats;
void bh_transport_stats_read(bh_transport *t, bh_transport_stats *ret); /* any thread */

/*
 * The functions above as a table: a loop is given one, and a simulation gives another, which makes its own bh_transport
 * and bh_transfer. `open` is told which, so that more may stand behind it.
 */
typedef struct bh_wire bh_wire;
struct bh_wire {
	bh_transport *(*open)(const bh_wire *wire, const bh_transport_config *config, int epoll_fd, GError **error);
	void (*use_guard)(bh_transport *t, bh_guard *guard);
	void (*free)(bh_transport *t);
	bh_transfer *(*start)(bh_transport *t, const bh_request *request, bh_now now, bh_transfer_done done, void *user);
	void (*abort)(bh_transport *t, bh_transfer *transfer);
	void (*ready)(bh_transport *t, uint64_t data, uint32_t epoll_events);
	void (*turn)(bh_transport *t, bh_now now);
	bh_usec (*next)(bh_transport *t, bh_now now);
	void (*stats)(bh_transport *t, bh_transport_stats *ret);
};
extern const bh_wire bh_wire_curl;

#define BH_TLS_PART_MAX (32 * 1024) /* bytes of each part; the directory's BH_PEM_MAX is the same */

/*
 * What a webhook's own TLS material is worth: each part parses, the key fits the certificate, nothing has expired by `now`.
 * Any part may be NULL (or size 0), but certificate and key come together. *ret_... get when the first certificate of each
 * expires, 0: there is none. False with BH_ERROR_INVALID: the message is for the owner, *ret_part says which ("ca", "certificate", "key").
 */
bool bh_tls_check(const char *ca, const char *certificate, bh_span key, bh_usec now, bh_usec *ret_ca_expires,
		  bh_usec *ret_certificate_expires, const char **ret_part, GError **error);

/* --- Pure helpers, also for the API's check at save ---------------------------------------- */

/* Reads Retry-After (RFC 9110 10.2.3): 1*DIGIT or an HTTP-date, blanks around allowed. False: nonsense. */
bool bh_retry_after_parse(const char *value, bh_usec now, bh_usec *ret_span);

/*
 * A header that an owner may add: token name, value of visible ASCII, blanks and obs-text without control characters, up to
 * 4 KiB; not Host, Content-Length, Transfer-Encoding, Connection, Content-Type, User-Agent, Expect, Keep-Alive, TE, Trailer, Upgrade, Proxy-*, webhook-*.
 * False with BH_ERROR_INVALID, which names the header.
 */
bool bh_header_check(const char *name, bh_span value, GError **error);
