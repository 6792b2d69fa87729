/* What the files of the transport share. Nobody outside transport/ includes it. */
#pragma once

#include "transport/address.h"
#include "transport/guard_internal.h"
#include "transport/transport.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <sys/epoll.h>

/* --- Routes: where a URL leads (route.c) ------------------------------------------------------ */

/* One scheme, host and port: what connections are kept for. Counted: routes and sockets hold it. */
typedef struct bh_endpoint {
	int refs;
	char *key;
	GQueue idle; /* bh_socket: kept connections that nobody uses just now */
	uint64_t weeded; /* the turn in which they were last looked at */
	CURLSH *tls_sessions; /* borrowed of the routes */
} bh_endpoint;

/* A URL that passed the guard. Counted: the cache and transfers hold it. */
typedef struct bh_route {
	int refs;
	bh_target target;
	CURLU *parsed; /* of target.url: libcurl would parse it twice for each request */
	bh_endpoint *endpoint;
} bh_route;

typedef struct bh_routes bh_routes;
bh_routes *bh_routes_new(bh_guard *guard);
void bh_routes_free(bh_routes *r); /* after the last easy handle: they use the TLS sessions */
void bh_routes_use_guard(bh_routes *r, bh_guard *guard);
bh_guard *bh_routes_guard(const bh_routes *r);

/* NULL: refused, by *ret_rule. Else counted for the caller. */
bh_route *bh_routes_find(bh_routes *r, const char *url, const char **ret_rule, GError **error);
void bh_route_unref(bh_routes *r, bh_route *route);
bh_endpoint *bh_endpoint_ref(bh_endpoint *e);
void bh_endpoint_unref(bh_routes *r, bh_endpoint *e);

/* --- Sockets: which are watched for what (sockets.c) ------------------------------------------- */

typedef struct bh_socket bh_socket;
typedef struct bh_sockets bh_sockets;
bh_sockets *bh_sockets_new(int epoll_fd, bh_routes *routes);
void bh_sockets_free(bh_sockets *s); /* after the multi handle */

/* A connection to `endpoint` is about to be made. -1 with errno. */
int bh_sockets_open(bh_sockets *s, const struct curl_sockaddr *address, bh_endpoint *endpoint);
void bh_sockets_close(bh_sockets *s, int fd);
void bh_sockets_want(bh_sockets *s, int fd, int what, bool http2); /* CURL_POLL_... */

/* True: the event is libcurl's. False: it was about an idle connection, and has been dealt with. */
bool bh_sockets_event(bh_sockets *s, int fd);
/* Gives up idle connections of the endpoint on which something has come in: nothing that we asked for. */
void bh_sockets_weed(bh_sockets *s, bh_endpoint *endpoint, uint64_t turn);

/* --- Transfers ------------------------------------------------------------------------------------- */

/*
 *   SPARE -> NEW -> RESOLVE -> CONNECT -> SECURE -> EXCHANGE -> OVER -> REPORT -> SPARE
 *
 * A kept connection goes from RESOLVE to EXCHANGE at once, http has no SECURE, whatever fails is OVER. The stage is
 * also the queue in which the transfer stands, in the order in which they entered it.
 */
typedef enum bh_stage {
	BH_STAGE_SPARE,
	BH_STAGE_NEW, /* libcurl does not know of it yet */
	BH_STAGE_RESOLVE, /* from here to EXCHANGE in libcurl's hands */
	BH_STAGE_CONNECT,
	BH_STAGE_SECURE,
	BH_STAGE_EXCHANGE, /* the request is on its way, or the answer */
	BH_STAGE_OVER, /* the answer is ready */
	BH_STAGE_REPORT, /* its `done` is running */
	BH_STAGES
} bh_stage;

/* TLS material that a request brought along: our copies. */
typedef struct bh_own_tls {
	char *ca, *certificate, *key; /* NULL: none */
	size_t key_size;
} bh_own_tls;

struct bh_transfer {
	bh_transport *transport;
	CURL *easy; /* lives as long as the transfer; constant options are set once */
	uintptr_t serial; /* of the request: no other has had it */
	bh_stage stage;
	GList link; /* in the queue of its stage */
	bh_mono since; /* when it entered it */

	bh_route *route;
	CURLSH *tls_sessions; /* what `easy` has been told */
	bh_own_tls own_tls;
	bool plain_post; /* `easy` still stands on POST without a verb of its own */
	bool fresh; /* already on its second try, on a new connection */
	bool opened; /* an address passed the guard */
	bool stuck; /* an address failed, and libcurl waits for nothing (press_on) */
	const char *refused_by; /* the rule against the last one that did not */
	int open_errno; /* why no socket could be made */
	bh_address address; /* the last one that passed */
	unsigned port;
	bh_mono started;
	bh_usec before; /* what an earlier try took */
	bh_usec total_timeout;

	bh_transfer_done done;
	void *user;

	/* What comes in (answer.c) */
	bh_answer answer;
	int status_line; /* the status that stands above the headers being read; 0: a status line is awaited */
	bool head_complete;
	size_t head_bytes; /* read so far, interim answers included */
	size_t body_bytes;

	void *headers; /* the request's list, one block */
	size_t headers_room;
	char trouble[CURL_ERROR_SIZE];
	char certificate_date
		[16]; /* when the certificate that was not accepted ended, or will begin; "": that was not it */
};

struct bh_transport {
	CURLM *multi;
	bh_routes *routes;
	bh_sockets *sockets;
	char *user_agent; /* the whole header line */
	char *ca_file;
	uintptr_t serial; /* of the newest transfer */
	bool guard_changed; /* kept connections were judged by another guard */
	bh_usec stage_limit[BH_STAGES]; /* of RESOLVE, CONNECT (an address each) and SECURE */
	GQueue stages[BH_STAGES];
	GArray *events; /* struct epoll_event, since the last turn */
	unsigned stuck; /* transfers that may be */
	bool timer_set;
	bh_mono timer_due;
	bh_now now; /* of this turn */
	uint64_t turn;
	atomic_uint_fast64_t requests, connections;
	atomic_size_t in_flight;
};

/* transport.c */
void bh_transfer_enter(bh_transfer *x, bh_stage stage);
void bh_transfer_address_failed(bh_transfer *x);

/* transfer.c */
bh_transfer *bh_transfer_new(bh_transport *t, GError **error);
void bh_transfer_free(bh_transfer *x);
/* Sets what differs from request to request. False: x->answer says why it cannot be sent. */
bool bh_transfer_prepare(bh_transfer *x, const bh_request *request);
/* Whether a kept connection turned out dead: then the transfer is ready to be added once more, on a new one. */
bool bh_transfer_try_afresh(bh_transfer *x, CURLcode code);
void bh_transfer_recycle(bh_transfer *x);

/* tls.c */
void bh_tls_set(bh_transfer *x);
void bh_tls_use(bh_transfer *x, const bh_request *r);
void bh_tls_forget(bh_transfer *x);

/* answer.c */
size_t bh_answer_read_header(char *line, size_t one, size_t size, void *transfer);
size_t bh_answer_read_body(char *bytes, size_t one, size_t size, void *transfer);
void bh_answer_begin(bh_transfer *x);
void bh_answer_rescue(bh_transfer *x, int fd); /* libcurl is about to close it, and has read nothing */
void bh_answer_conclude(bh_transfer *x, CURLcode code); /* libcurl is done with it, or has been stopped */
void bh_answer_discard(bh_transfer *x);

/* failure.c */
void bh_failure_say(bh_transfer *x, bh_cause cause, const char *format, ...) G_GNUC_PRINTF(3, 4);
char *bh_failure_quoted(const bh_transfer *x, CURLcode code); /* what libcurl wrote, printable and short */
void bh_failure_explain(bh_transfer *x, CURLcode code);
void bh_failure_refused(bh_transfer *x, const char *rule, const char *sentence);

/* failure_tls.c */
void bh_failure_certificate(bh_transfer *x);
void bh_failure_handshake(bh_transfer *x, CURLcode code);
