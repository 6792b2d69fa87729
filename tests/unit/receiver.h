/*
 * A remote service that does exactly what a test tells it, byte by byte: each connection plays a script, in a thread of
 * its own. For tests only.
 *
 *	static const act POLITE[] = {{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};
 *	receiver *r = receiver_start((const act *const[]){POLITE, NULL});
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef enum act_kind {
	END, /* close the connection */
	READ, /* one whole request */
	PEEK, /* the head of a request only; its body stays unread */
	SOME, /* anything at all, and drops it */
	SEND, /* `text`, of `size` bytes if that is given */
	DRIP, /* `text`, one byte each `ms` */
	FLOOD, /* `text` again and again until the peer has had enough */
	PAUSE, /* `ms` */
	WAIT, /* until the test says receiver_go */
	RESET, /* close with RST */
	HOLD, /* until the peer closes */
	AGAIN, /* from the first act */
} act_kind;

typedef struct act {
	act_kind kind;
	const char *text;
	size_t size;
	unsigned ms;
} act;

#define RECEIVER_CONNECTIONS_MAX 1024

typedef struct receiver receiver;

typedef struct receiver_connection {
	receiver *receiver;
	const act *script;
	int fd;
	SSL *tls;
	GString *unread;
	pthread_t thread;
} receiver_connection;

struct receiver {
	int listener;
	in_port_t port;
	const act *const *scripts; /* one a connection, the last for all that follow; NULL-terminated */
	SSL_CTX *tls; /* NULL: plain */
	pthread_t accepting;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	unsigned go; /* how many WAITs may pass */
	unsigned closed; /* connections whose script has ended */
	GPtrArray *requests; /* GString, whole requests in the order of arrival */
	GPtrArray *peers; /* for each the name in the client certificate of its connection, "" without */
	unsigned connection_count;
	receiver_connection connections[RECEIVER_CONNECTIONS_MAX];
};

/* --- The script --------------------------------------------------------------------------- */

/* Sleeps unless stopped; a wait without end for ms = 0. False: stop. */
static inline bool receiver_sleep(receiver *r, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&r->lock);
	while (!r->stopping && pthread_cond_timedwait(&r->changed, &r->lock, &until) != ETIMEDOUT)
		;
	bool on = !r->stopping;
	pthread_mutex_unlock(&r->lock);
	return on;
}

static inline bool receiver_wait_go(receiver *r)
{
	pthread_mutex_lock(&r->lock);
	while (!r->stopping && r->go == 0)
		pthread_cond_wait(&r->changed, &r->lock);
	bool on = !r->stopping;
	if (on)
		r->go--;
	pthread_mutex_unlock(&r->lock);
	return on;
}

static inline bool receiver_fill(receiver_connection *c)
{
	char bytes[16384];
	ssize_t n = c->tls ? SSL_read(c->tls, bytes, sizeof bytes) : recv(c->fd, bytes, sizeof bytes, 0);

	if (n > 0)
		g_string_append_len(c->unread, bytes, n);
	return n > 0;
}

/* Bytes of body that a head announces. */
static inline size_t receiver_body_size(const char *head, size_t size)
{
	g_autofree char *text = g_ascii_strdown(head, (gssize)size);
	const char *length = strstr(text, "\ncontent-length:");

	return length ? (size_t)g_ascii_strtoull(length + strlen("\ncontent-length:"), NULL, 10) : 0;
}

static inline char *receiver_peer(const receiver_connection *c)
{
	X509 *shown = c->tls ? SSL_get0_peer_certificate(c->tls) : NULL;
	char name[64] = "";

	if (shown)
		X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof name);
	return g_strdup(name);
}

static inline bool receiver_read(receiver_connection *c, bool whole)
{
	const char *end;

	while (!(end = strstr(c->unread->str, "\r\n\r\n")))
		if (!receiver_fill(c))
			return false;
	size_t size = (size_t)(end - c->unread->str) + 4;
	if (whole)
		size += receiver_body_size(c->unread->str, size);
	while (c->unread->len < size)
		if (!receiver_fill(c))
			return false;

	GString *request = g_string_new_len(c->unread->str, (gssize)size);
	g_string_erase(c->unread, 0, (gssize)size);
	pthread_mutex_lock(&c->receiver->lock);
	g_ptr_array_add(c->receiver->requests, request);
	g_ptr_array_add(c->receiver->peers, receiver_peer(c));
	pthread_cond_broadcast(&c->receiver->changed);
	pthread_mutex_unlock(&c->receiver->lock);
	return true;
}

static inline bool receiver_send(receiver_connection *c, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = c->tls ? SSL_write(c->tls, bytes, (int)size) : send(c->fd, bytes, size, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

static inline bool receiver_drip(receiver_connection *c, const act *a)
{
	for (const char *byte = a->text; *byte; byte++)
		if (!receiver_send(c, byte, 1) || !receiver_sleep(c->receiver, a->ms))
			return false;
	return true;
}

static inline void receiver_hold(receiver_connection *c)
{
	while (receiver_fill(c))
		g_string_truncate(c->unread, 0);
}

static inline bool receiver_perform(receiver_connection *c, const act *a)
{
	size_t size = a->size ? a->size : a->text ? strlen(a->text) : 0;

	switch (a->kind) {
	case READ:
		return receiver_read(c, true);
	case PEEK:
		return receiver_read(c, false);
	case SOME:
		if (!receiver_fill(c))
			return false;
		g_string_truncate(c->unread, 0);
		return true;
	case SEND:
		return receiver_send(c, a->text, size);
	case DRIP:
		return receiver_drip(c, a);
	case FLOOD:
		while (receiver_send(c, a->text, size))
			;
		return false;
	case PAUSE:
		return receiver_sleep(c->receiver, a->ms);
	case WAIT:
		return receiver_wait_go(c->receiver);
	case RESET:
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
		return false;
	case HOLD:
		receiver_hold(c);
		return false;
	default:
		return false;
	}
}

static const act RECEIVER_OVER = {END};

/* A close with unread data would be a reset, and the alert be lost on its way. */
static inline void receiver_let_alert_through(receiver_connection *c)
{
	char waste[4096];

	shutdown(c->fd, SHUT_WR);
	while (recv(c->fd, waste, sizeof waste, 0) > 0)
		;
}

static inline void *receiver_serve(void *data)
{
	receiver_connection *c = data;
	receiver *r = c->receiver;
	const act *a = c->script;

	if (c->tls && SSL_accept(c->tls) != 1) {
		a = &RECEIVER_OVER;
		receiver_let_alert_through(c);
	}
	while (receiver_perform(c, a)) {
		a++;
		if (a->kind == AGAIN)
			a = c->script;
	}
	pthread_mutex_lock(&r->lock);
	if (c->tls && a->kind != RESET)
		SSL_shutdown(c->tls);
	SSL_free(c->tls);
	close(c->fd);
	c->fd = -1;
	r->closed++;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	g_string_free(c->unread, true);
	return NULL;
}

/* --- The receiver ---------------------------------------------------------------------------- */

static inline const act *receiver_script(const receiver *r, unsigned number)
{
	unsigned count = 0;

	while (r->scripts[count])
		count++;
	return r->scripts[MIN(number, count - 1)];
}

static inline void *receiver_accept(void *data)
{
	receiver *r = data;
	int fd;

	while ((fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		pthread_mutex_lock(&r->lock);
		g_assert(r->connection_count < RECEIVER_CONNECTIONS_MAX);
		receiver_connection *c = &r->connections[r->connection_count];
		*c = (receiver_connection){.receiver = r, .fd = fd, .unread = g_string_new("")};
		c->script = receiver_script(r, r->connection_count);
		if (r->tls) {
			c->tls = SSL_new(r->tls);
			SSL_set_fd(c->tls, fd);
		}
		g_assert_cmpint(pthread_create(&c->thread, NULL, receiver_serve, c), ==, 0);
		r->connection_count++;
		pthread_cond_broadcast(&r->changed);
		pthread_mutex_unlock(&r->lock);
	}
	return NULL;
}

static inline receiver *receiver_start_at(const char *address, const act *const *scripts, SSL_CTX *tls)
{
	receiver *r = g_new0(receiver, 1);
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t size = sizeof in;

	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	r->scripts = scripts;
	r->tls = tls;
	r->requests = g_ptr_array_new();
	r->peers = g_ptr_array_new_with_free_func(g_free);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(inet_pton(AF_INET, address, &in.sin_addr), ==, 1);
	g_assert_cmpint(bind(r->listener, (struct sockaddr *)&in, sizeof in), ==, 0);
	g_assert_cmpint(listen(r->listener, RECEIVER_CONNECTIONS_MAX), ==, 0);
	g_assert_cmpint(getsockname(r->listener, (struct sockaddr *)&in, &size), ==, 0);
	r->port = ntohs(in.sin_port);
	g_assert_cmpint(pthread_create(&r->accepting, NULL, receiver_accept, r), ==, 0);
	return r;
}

static inline receiver *receiver_start(const act *const *scripts)
{
	return receiver_start_at("127.0.0.1", scripts, NULL);
}

/* Lets one WAIT pass. */
static inline void receiver_go(receiver *r)
{
	pthread_mutex_lock(&r->lock);
	r->go++;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

/* Returns when so many connections have been closed from this side. */
static inline void receiver_await_closed(receiver *r, unsigned count)
{
	pthread_mutex_lock(&r->lock);
	while (r->closed < count)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

static inline unsigned receiver_connections(receiver *r)
{
	pthread_mutex_lock(&r->lock);
	unsigned count = r->connection_count;
	pthread_mutex_unlock(&r->lock);
	return count;
}

static inline unsigned receiver_requests(receiver *r)
{
	pthread_mutex_lock(&r->lock);
	unsigned count = r->requests->len;
	pthread_mutex_unlock(&r->lock);
	return count;
}

/* The n-th request as it came; it lives as long as the receiver. */
static inline const GString *receiver_request(receiver *r, unsigned number)
{
	pthread_mutex_lock(&r->lock);
	g_assert_cmpuint(number, <, r->requests->len);
	const GString *request = r->requests->pdata[number];
	pthread_mutex_unlock(&r->lock);
	return request;
}

/* Who sent it: the name in the client certificate; "" without one. */
static inline const char *receiver_peer_of(receiver *r, unsigned number)
{
	pthread_mutex_lock(&r->lock);
	g_assert_cmpuint(number, <, r->peers->len);
	const char *peer = r->peers->pdata[number];
	pthread_mutex_unlock(&r->lock);
	return peer;
}

static inline void receiver_stop(receiver *r)
{
	shutdown(r->listener, SHUT_RDWR); /* ends accept() */
	pthread_join(r->accepting, NULL);
	close(r->listener);
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_broadcast(&r->changed);
	for (unsigned i = 0; i < r->connection_count; i++)
		if (r->connections[i].fd >= 0)
			shutdown(r->connections[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < r->connection_count; i++)
		pthread_join(r->connections[i].thread, NULL);
	for (guint i = 0; i < r->requests->len; i++)
		g_string_free(r->requests->pdata[i], true);
	g_ptr_array_unref(r->requests);
	g_ptr_array_unref(r->peers);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	g_free(r);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(receiver, receiver_stop)
