/* What the files of the transport share. Nobody outside transport/ includes it. */
#pragma once

#include "transport/address.h"
#include "transport/guard_internal.h"
#include "transport/names.h"
#include "transport/transport.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <sys/epoll.h>

/* --- Routes: where a URL leads (route.c), and endpoints: where it ends (endpoint.c) ---------------- */

/* One scheme, host and port: what connections are kept for. Counted: routes and sockets hold it. */
typedef struct bh_endpoint {
	int refs;
	char *key;
	char *host;
	unsigned port;
	bool fixed; /* an address, or a name that means one: nothing to look up */
	bool multiplexes; /* spoke HTTP/2 when it last answered */
	bool only_http1; /* agreed on HTTP/2 and then did not speak it, but HTTP/1.1 it did */
	bh_mono only_http1_since;
	unsigned open; /* connections to it */
	GQueue idle; /* bh_socket: kept connections that nobody uses just now */
	uint64_t weeded; /* the turn in which they were last looked at */
	CURLSH *tls_sessions; /* borrowed of the routes */

	bh_lookup *lookup; /* under way; NULL: none */
	GArray *addresses; /* bh_address, of the last one that found any; NULL: none yet */
	bh_mono looked_up; /* when that was */
	uint64_t failed_in_turn; /* the turn in which the last one failed */
	char *line; /* the addresses as libcurl is told them */
	uint64_t told; /* the telling of the routes in which it was; 0: not yet */
	guint turn_of_address; /* through a proxy: which of them is tried first; the next one after each failure */
} bh_endpoint;

/* A URL that passed the guard. Counted: the cache and transfers hold it. */
typedef struct bh_route {
	int refs;
	bh_target target;
	CURLU *parsed; /* of target.url: libcurl would parse it twice for each request */
	bh_endpoint *endpoint;
} bh_route;

/*
 * libcurl keeps 8 TLS sessions in one share, far too few for a node with hundreds of receivers, and a full
 * handshake costs forty times a request. So endpoints are spread over several shares.
 */
#define BH_TLS_SHARES 32

typedef struct bh_routes {
	bh_guard *guard;
	GHashTable *by_url[2]; /* url -> bh_route; the second: of trusted requests */
	GHashTable *endpoints; /* key -> bh_endpoint, as long as anybody holds it */
	CURLSH *tls_sessions[BH_TLS_SHARES];
	GPtrArray *untold; /* names that libcurl shall forget the addresses of, "-host:port" */
	uint64_t telling; /* grows when something may have been forgotten that is still needed */
} bh_routes;

bh_routes *bh_routes_new(bh_guard *guard);
void bh_routes_free(bh_routes *r); /* after the last easy handle: they use the TLS sessions */
void bh_routes_use_guard(bh_routes *r, bh_guard *guard);
bh_guard *bh_routes_guard(const bh_routes *r);

/* NULL: refused, by *ret_rule. Else counted for the caller. */
bh_route *bh_routes_find(bh_routes *r, const char *url, bool trusted, const char **ret_rule, GError **error);
void bh_route_unref(bh_routes *r, bh_route *route);

/* What libcurl has to learn before a connection to the endpoint is made, behind `list` (CURLOPT_RESOLVE). */
struct curl_slist *bh_routes_tell(bh_routes *r, struct curl_slist *list, bh_endpoint *e);
void bh_routes_untell(bh_routes *r, const bh_endpoint *e);
CURLSH *bh_routes_sessions(bh_routes *r, const char *key);

bh_endpoint *bh_endpoint_find(bh_routes *r, const char *scheme, const char *host, unsigned port); /* counted */
bh_endpoint *bh_endpoint_ref(bh_endpoint *e);
void bh_endpoint_unref(bh_routes *r, bh_endpoint *e);

typedef enum bh_name_state {
	BH_NAME_KNOWN,
	BH_NAME_AWAITED, /* the transport is woken when that changes */
	BH_NAME_UNKNOWN, /* the look-up failed */
} bh_name_state;
bh_name_state bh_endpoint_name(bh_transport *t, bh_endpoint *e);

/* What an answer to `x` says of the endpoint's HTTP. */
void bh_endpoint_learn(bh_endpoint *e, const bh_transfer *x);
bool bh_endpoint_is_only_http1(const bh_endpoint *e, bh_mono now);

/* --- The proxy that everything goes through (proxy.c) ------------------------------------------------ */

typedef struct bh_proxy {
	bool socks;
	char *host, *user, *password; /* the latter two NULL: none */
	unsigned port;
	bh_endpoint *endpoint;
} bh_proxy;

/* NULL: the setting cannot be used; the message does not repeat it, for it may hold a password. */
bh_proxy *bh_proxy_new(const char *setting, bh_routes *routes, GError **error);
void bh_proxy_free(bh_proxy *p, bh_routes *routes);
void bh_proxy_set(CURL *easy, const bh_proxy *p); /* NULL: none, whatever the environment says */
/* Judges the target's addresses and picks one, for the proxy to connect to. False: the guard lets none through, by x->refused_by. */
bool bh_proxy_pick_address(bh_transfer *x);

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
 *   SPARE -> NEW -> RESOLVE -> SHARE -> START -> CONNECT -> SECURE -> EXCHANGE -> OVER -> REPORT -> SPARE
 *
 * What needs no look-up passes RESOLVE at once, and SHARE is for HTTP/2. A kept connection goes from START to EXCHANGE, http
 * has no SECURE, whatever fails is OVER. The stage is also the queue in which the transfer stands, in the order
 * in which they entered it.
 */
typedef enum bh_stage {
	BH_STAGE_SPARE,
	BH_STAGE_NEW, /* until the next turn */
	BH_STAGE_RESOLVE, /* its name is being looked up */
	BH_STAGE_SHARE, /* another one makes the connection that this one will use too */
	BH_STAGE_START, /* from here to EXCHANGE in libcurl's hands */
	BH_STAGE_CONNECT, /* through a proxy: until that one has connected */
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
	struct curl_slist *resolve; /* what libcurl is told of names; NULL: nothing new */
	struct curl_slist connect_to; /* the address that a proxy is told */
	char connect_to_text[BH_ADDRESS_TEXT_SIZE + 16];
	bool plain_post; /* `easy` still stands on POST without a verb of its own */
	bool fresh; /* already on its second try, on a new connection */
	bool http1; /* only HTTP/1.1 is offered */
	bool fallen_back; /* because HTTP/2 did not work for this very request */
	bool http2; /* it was agreed on for the connection */
	unsigned opened_count; /* connections that were made for it */
	int fd; /* of its connection; -1: not known yet */
	bool opened; /* an address passed the guard */
	bool stuck; /* an address failed, and libcurl waits for nothing (press_on) */
	const char *refused_by; /* the rule against the last one that did not */
	int open_errno; /* why no socket could be made */
	bh_address address; /* the last one that passed */
	unsigned port;
	bh_mono started;
	bh_usec before; /* what passed before libcurl got it, earlier tries included */
	bh_usec resolved; /* when its name was known, since the start; -1: there was nothing to wait for */
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
	bh_proxy *proxy; /* NULL: none */
	int wake_fd; /* an eventfd: a look-up is over */
	bool woken; /* one was */
	uintptr_t serial; /* of the newest transfer */
	bool judges_kept; /* kept connections were judged by another guard, or for a trusted request */
	bh_usec stage_limit[BH_STAGES]; /* of RESOLVE to SECURE; in CONNECT each address has it */
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
void bh_transfer_equip(bh_transfer *x); /* with what is only known when libcurl gets it */
/* Whether a kept connection turned out dead, or HTTP/2 does not work: then the transfer is ready to be added once more. */
bool bh_transfer_try_afresh(bh_transfer *x, CURLcode code);
void bh_transfer_use_http1(bh_transfer *x); /* for this request alone */
void bh_transfer_recycle(bh_transfer *x);

/* tls.c */
void bh_tls_set(bh_transfer *x);
void bh_tls_use(bh_transfer *x, const bh_request *r);
void bh_tls_forget(bh_transfer *x);
SSL *bh_tls_of(const bh_transfer *x); /* of its connection, while libcurl has one for it; else NULL */
bool bh_tls_agreed_on_http2(const bh_transfer *x);

/* answer.c */
size_t bh_answer_read_header(char *line, size_t one, size_t size, void *transfer);
size_t bh_answer_read_body(char *bytes, size_t one, size_t size, void *transfer);
void bh_answer_begin(bh_transfer *x);
void bh_answer_rescue(bh_transfer *x, int fd); /* libcurl is about to close it, and has read nothing */
int bh_answer_look_early(void *transfer, curl_off_t down, curl_off_t downloaded, curl_off_t up, curl_off_t uploaded);
void bh_answer_conclude(bh_transfer *x, CURLcode code); /* libcurl is done with it, or has been stopped */
void bh_answer_discard(bh_transfer *x);

/* failure.c */
void bh_failure_say(bh_transfer *x, bh_cause cause, const char *format, ...) G_GNUC_PRINTF(3, 4);
char *bh_failure_quoted(const bh_transfer *x, CURLcode code); /* what libcurl wrote, printable and short */
void bh_failure_explain(bh_transfer *x, CURLcode code);
void bh_failure_refused(bh_transfer *x, const char *rule, const char *sentence);

/* failure_proxy.c */
bool bh_failure_is_proxys(const bh_transfer *x);
void bh_failure_proxy(bh_transfer *x, CURLcode code);

/* failure_tls.c */
void bh_failure_certificate(bh_transfer *x);
void bh_failure_handshake(bh_transfer *x, CURLcode code);
