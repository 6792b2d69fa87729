/*
 * One request in libcurl's hands. The easy handle lives as long as the transfer and both are used again and again: what is the
 * same for every request is set once, and a request only sets URL, verb, body, headers and time-out.
 */
#include "transport/internal.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>

static curl_socket_t open_socket(void *transfer, curlsocktype purpose, struct curl_sockaddr *address);
static int close_socket(void *transport, curl_socket_t fd);
static int before_request(void *transfer, char *remote, char *local, int remote_port, int local_port);

#define VERB_BYTES_MAX 16

/*
 * A receiver that leaves (GOAWAY) with requests open lets libcurl try again on new connections, five times. Who never takes one
 * on would so cost six connections a request; after so many it is not allowed another one over HTTP/2.
 */
#define OPENED_MAX 3

static long milliseconds(bh_usec span)
{
	return (long)MAX(1, (span + BH_MILLISECOND - 1) / BH_MILLISECOND);
}

/* --- Once ----------------------------------------------------------------------------------------- */

static void set_bounds(CURL *e)
{
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L); /* a redirect is an answer, and would lead past the guard */
	curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L); /* what came is what is shown; no bombs */
}

static void set_connections(CURL *e, bh_transport *t)
{
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 4096L); /* allocated for each request; answers are short */
	curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, -1L); /* it knows what we tell it, until we say otherwise */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT,
			 1L); /* or a look-up of its own, should there be one, would hold the end */
	bh_proxy_set(e, t->proxy);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/*
	 * Of its time to connect, which for libcurl ends with the TLS handshake, it gives half to the first address of several: a bit
	 * less than our own limit, so that a dead one does not hide the living.
	 */
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(t->stage_limit[BH_STAGE_CONNECT] * 9 / 5));
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, t); /* connections outlive transfers */
}

bh_transfer *bh_transfer_new(bh_transport *t, GError **error)
{
	CURL *e = curl_easy_init();

	if (!e) {
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT, "libcurl gives no easy handle");
		return NULL;
	}
	bh_transfer *x = g_new(bh_transfer, 1);
	*x = (bh_transfer){.transport = t, .easy = e, .link.data = x};

	set_bounds(e);
	bh_tls_set(x);
	set_connections(e, t);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, x);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_request);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, x);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, bh_answer_read_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, bh_answer_read_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, bh_answer_look_early);
	curl_easy_setopt(e, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->trouble);
	curl_easy_setopt(e, CURLOPT_PRIVATE, x);
	return x;
}

void bh_transfer_free(bh_transfer *x)
{
	if (!x)
		return;
	curl_easy_cleanup(x->easy);
	bh_answer_discard(x);
	if (x->answer.head)
		g_string_free(x->answer.head, true);
	if (x->answer.body)
		g_byte_array_unref(x->answer.body);
	g_free(x->headers);
	g_free(x);
}

/* --- For each request --------------------------------------------------------------------------- */

static bool is_verb(const char *verb)
{
	size_t size = strspn(verb, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return size > 0 && size <= VERB_BYTES_MAX && verb[size] == '\0' && strcmp(verb, "CONNECT") != 0;
}

static void set_verb_and_body(bh_transfer *x, const bh_request *r)
{
	bool post = strcmp(r->verb, "POST") == 0, head = strcmp(r->verb, "HEAD") == 0;
	bool bare = r->body.size == 0 && (head || strcmp(r->verb, "GET") == 0 || strcmp(r->verb, "DELETE") == 0);

	if (!x->plain_post || !post) {
		curl_easy_setopt(x->easy, CURLOPT_NOBODY, head ? 1L : 0L);
		curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, post ? NULL : r->verb);
		if (bare && !head)
			curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L);
	}
	x->plain_post = post;
	if (bare)
		return;
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS,
			 r->body.size > 0 ? r->body.at : ""); /* borrowed, makes it a POST */
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.size);
}

static bool is_named(const char *header, const char *name)
{
	size_t size = strlen(name);

	return g_ascii_strncasecmp(header, name, size) == 0 && header[size] == ':';
}

static bool is_listed(const char *const *headers, const char *name)
{
	for (; headers && *headers; headers++)
		if (is_named(*headers, name))
			return true;
	return false;
}

/* libcurl takes "Name:" for an order to leave a header out; one with an empty value is "Name;". */
static char *copy_header(char *to, const char *header)
{
	const char *colon = strchr(header, ':');
	size_t size = strlen(header);

	memcpy(to, header, size + 1);
	if (colon && colon[1 + strspn(colon + 1, " \t")] == '\0') {
		to[colon - header] = ';';
		to[colon - header + 1] = '\0';
	}
	return to + size + 1;
}

/* What we say beside the caller's headers, and what libcurl shall not say by itself. */
#define OURS_MAX 3

/* With a large body (1 MiB) libcurl asks for leave first and waits a second for it. We begin to forbid it well below. */
#define EXPECT_BYTES (64 * 1024)

static size_t list_ours(const bh_transfer *x, const bh_request *r, const char *ours[OURS_MAX])
{
	size_t count = 0;

	if (!is_listed(r->headers, "User-Agent"))
		ours[count++] = x->transport->user_agent;
	if (!is_listed(r->headers, "Content-Type"))
		ours[count++] = "Content-Type:"; /* else libcurl calls every body a form */
	if (r->body.size >= EXPECT_BYTES)
		ours[count++] = "Expect:";
	return count;
}

/* libcurl's list, nodes and text in one block: an append each would be two allocations a header. */
static struct curl_slist *list_headers(bh_transfer *x, const bh_request *r)
{
	const char *ours[OURS_MAX];
	size_t ours_count = list_ours(x, r, ours), theirs = 0, text = 0;

	for (; r->headers && r->headers[theirs]; theirs++)
		text += strlen(r->headers[theirs]) + 1;
	size_t room = (theirs + ours_count) * sizeof(struct curl_slist) + text;
	if (room > x->headers_room) {
		g_free(x->headers);
		x->headers = g_malloc(room);
		x->headers_room = room;
	}

	struct curl_slist *node = x->headers;
	char *at = (char *)(node + theirs + ours_count);
	for (size_t i = 0; i < theirs; i++, node++) {
		node->data = at;
		at = copy_header(at, r->headers[i]);
	}
	for (size_t i = 0; i < ours_count; i++, node++)
		node->data = (char *)ours[i]; /* libcurl only reads */
	struct curl_slist *last = node - 1;
	for (node = x->headers; node < last; node++)
		node->next = node + 1;
	last->next = NULL;
	return x->headers;
}

/* What goes out with the head in one write (a record of TLS), so that writing cannot fail for an answer that came before. */
#define ONE_PIECE 8192

static bool find_route(bh_transfer *x, const bh_request *r)
{
	g_autoptr(GError) error = NULL;
	const char *rule;

	x->route = bh_routes_find(x->transport->routes, r->url, r->trusted, &rule, &error);
	if (!x->route)
		bh_failure_refused(x, rule, error->message);
	/* A webhook that leads to the same place must not find the connection and with it the way in. */
	x->transport->judges_kept |= r->trusted;
	return x->route != NULL;
}

bool bh_transfer_prepare(bh_transfer *x, const bh_request *r)
{
	bh_answer_begin(x);
	x->serial = ++x->transport->serial;
	x->fresh = x->opened = x->stuck = x->http1 = x->http2 = x->fallen_back = false;
	x->opened_count = 0;
	x->fd = -1;
	x->open_errno = 0;
	x->certificate_date[0] = x->trouble[0] = '\0';
	x->refused_by = NULL;
	x->before = 0;
	x->resolved = -1;
	x->total_timeout = r->total_timeout;
	if (!find_route(x, r))
		return false;
	if (!is_verb(r->verb)) {
		bh_failure_refused(x, "url", "The HTTP method is not one in capital letters.");
		return false;
	}

	CURLSH *sessions = x->route->endpoint->tls_sessions;
	if (sessions != x->tls_sessions) {
		curl_easy_setopt(x->easy, CURLOPT_SHARE, sessions);
		x->tls_sessions = sessions;
	}
	curl_easy_setopt(x->easy, CURLOPT_URL,
			 x->route->target.url); /* for a repetition; the first goes by the next line */
	curl_easy_setopt(x->easy, CURLOPT_CURLU, x->route->parsed);
	set_verb_and_body(x, r);
	curl_easy_setopt(x->easy, CURLOPT_NOPROGRESS, x->route->target.https && r->body.size > ONE_PIECE ? 0L : 1L);
	bh_tls_use(x, r);
	curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, list_headers(x, r));
	return true;
}

void bh_transfer_equip(bh_transfer *x)
{
	bh_transport *t = x->transport;

	curl_slist_free_all(x->resolve);
	x->resolve = bh_routes_tell(t->routes, NULL, x->route->endpoint);
	if (t->proxy) {
		x->resolve = bh_routes_tell(t->routes, x->resolve, t->proxy->endpoint);
		curl_easy_setopt(x->easy, CURLOPT_CONNECT_TO, &x->connect_to);
	}
	if (x->resolve)
		curl_easy_setopt(x->easy, CURLOPT_RESOLVE, x->resolve);
	/*
	 * Where HTTP/2 is spoken, those whose connection goes away under them wait for one new connection, not for one each. Not
	 * elsewhere: all but the first of a webhook's requests would wait for the first one's answer.
	 */
	curl_easy_setopt(x->easy, CURLOPT_PIPEWAIT, x->route->endpoint->multiplexes ? 1L : 0L);
	if (bh_endpoint_is_only_http1(x->route->endpoint, t->now.mono) && !x->http1)
		bh_transfer_use_http1(x);
	x->before = bh_mono_since(t->now.mono, x->started);
	curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, milliseconds(x->total_timeout - x->before));
}

/* What a failure looks like after which the same request may do on another connection. */
static bool is_broken(CURLcode code)
{
	return code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
	       code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM;
}

/* HTTP/2 was agreed on, and nothing came of it. */
static bool is_http2_trouble(const bh_transfer *x, CURLcode code)
{
	return x->http2 && (is_broken(code) || x->opened_count > OPENED_MAX);
}

/*
 * libcurl itself repeats a request when a kept connection dies before any byte of the answer, or HTTP/2 says that it was not
 * looked at, a few times and perhaps on the next dead one. When it gives up, one more try on a new connection
 * settles it: over HTTP/1.1 if HTTP/2 was the trouble. The receivers know a repetition by its webhook-id (RFC
 * 9110, section 9.2.2 asks for such knowledge).
 */
bool bh_transfer_try_afresh(bh_transfer *x, CURLcode code)
{
	long new_connections = 0;

	curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &new_connections);
	if (x->head_bytes > 0 || bh_mono_since(x->transport->now.mono, x->started) >= x->total_timeout)
		return false;
	bool kept = x->stage == BH_STAGE_EXCHANGE && new_connections == 0 && is_broken(code);
	bool http2 = is_http2_trouble(x, code);
	if (kept && !x->fresh) {
		x->fresh = true;
		curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, 1L);
	} else if (http2 && !x->http1) {
		x->fallen_back = true;
		bh_transfer_use_http1(x);
	} else {
		return false;
	}
	bh_answer_begin(x);
	return true;
}

void bh_transfer_use_http1(bh_transfer *x)
{
	x->http1 = true;
	curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

#define HEADERS_KEPT_MAX 8192

void bh_transfer_recycle(bh_transfer *x)
{
	if (x->fresh)
		curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, 0L);
	if (x->http1)
		curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	if (x->headers_room > HEADERS_KEPT_MAX) {
		g_clear_pointer(&x->headers, g_free);
		x->headers_room = 0;
	}
	bh_tls_forget(x);
	if (x->resolve) {
		curl_easy_setopt(x->easy, CURLOPT_RESOLVE, NULL);
		curl_slist_free_all(g_steal_pointer(&x->resolve));
	}
	if (x->route)
		bh_route_unref(x->transport->routes, g_steal_pointer(&x->route));
	bh_answer_discard(x);
}

/* --- What libcurl asks -------------------------------------------------------------------------- */

/* Each address that a name resolves to comes by here; after a refusal libcurl goes on with the next. */
static curl_socket_t open_socket(void *transfer, curlsocktype purpose, struct curl_sockaddr *address)
{
	bh_transfer *x = transfer;
	bh_transport *t = x->transport;

	if (x->stage == BH_STAGE_EXCHANGE) /* libcurl repeats the request, by itself */
		x->opened_count++;
	bh_transfer_enter(x, BH_STAGE_CONNECT);
	if (!x->http1 && x->opened_count > OPENED_MAX) { /* at any of its addresses */
		bh_transfer_address_failed(x);
		return CURL_SOCKET_BAD;
	}
	/* A proxy's own address is not judged: the operator named it. */
	const char *rule =
		t->proxy ? NULL : bh_guard_refuses(bh_routes_guard(t->routes), &x->route->target, &address->addr);
	if (rule) {
		x->refused_by = rule;
		bh_transfer_address_failed(x);
		return CURL_SOCKET_BAD;
	}

	int fd = bh_sockets_open(t->sockets, address, x->route->endpoint);
	if (fd < 0) {
		x->open_errno = errno;
		bh_transfer_address_failed(x);
		return CURL_SOCKET_BAD;
	}
	x->opened = true;
	if (!t->proxy)
		(void)bh_address_of(&address->addr, &x->address, &x->port); /* the guard has read it */
	atomic_fetch_add_explicit(&t->connections, 1, memory_order_relaxed);
	return fd;
}

static int close_socket(void *transport, curl_socket_t fd)
{
	bh_transport *t = transport;

	bh_sockets_close(t->sockets, fd);
	return 0;
}

/* A connection that was made under another guard, or for who may do more, is judged anew. */
static const char *judge_kept(const bh_transfer *x, const char *remote)
{
	struct sockaddr_storage s = {0};
	bh_address a;

	if (bh_address_read(remote, &a))
		s = bh_address_socket(&a, x->route->target.port);
	return bh_guard_refuses(bh_routes_guard(x->transport->routes), &x->route->target, (struct sockaddr *)&s);
}

/* Connected, new or kept, and not a byte of the request sent. */
static int before_request(void *transfer, char *remote, char *local, int remote_port, int local_port)
{
	bh_transfer *x = transfer;

	if (x->transport->judges_kept && !x->transport->proxy) {
		const char *rule = judge_kept(x, remote);
		if (rule) {
			x->refused_by = rule;
			x->opened = false;
			return CURL_PREREQFUNC_ABORT;
		}
	}
	if (x->head_bytes > 0)
		bh_answer_begin(x); /* libcurl repeats the request */
	x->http2 = x->route->target.https && !x->http1 && bh_tls_agreed_on_http2(x);
	bh_transfer_enter(x, BH_STAGE_EXCHANGE);
	return CURL_PREREQFUNC_OK;
}
