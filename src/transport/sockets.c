/*
 * libcurl's sockets on the loop's epoll.
 *
 * libcurl lets go of a connection's socket after each answer and takes it up again with the next request: two epoll_ctl
 * a request, for nothing. So a kept connection stays watched for reading. That also tells what libcurl does not look
 * for: an idle connection on which something arrives is over, be it the receiver's FIN or bytes that nobody asked for. The
 * latter would become the answer to the next request (libcurl 7.88 takes a readable idle connection for a live one), so
 * such a connection is emptied and shut down; libcurl then finds it dead.
 */
#include "transport/internal.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct bh_socket {
	int fd;
	uint32_t watched; /* what epoll reports; 0: it is not in the set */
	uint32_t wanted; /* what libcurl waits for; 0: nothing */
	bh_endpoint *endpoint; /* counted; NULL: not a connection (the resolver's wake-up) */
	bool idle; /* stands in endpoint->idle */
	GList link;
};

struct bh_sockets {
	int epoll_fd;
	bh_routes *routes;
	GPtrArray *by_fd; /* bh_socket, NULL where there is none */
};

bh_sockets *bh_sockets_new(int epoll_fd, bh_routes *routes)
{
	bh_sockets *s = g_new(bh_sockets, 1);

	*s = (bh_sockets){.epoll_fd = epoll_fd, .routes = routes, .by_fd = g_ptr_array_new()};
	return s;
}

static bh_socket *find(const bh_sockets *s, int fd)
{
	return (guint)fd < s->by_fd->len ? s->by_fd->pdata[fd] : NULL;
}

static bh_socket *add(bh_sockets *s, int fd, bh_endpoint *endpoint)
{
	bh_socket *k = g_new(bh_socket, 1);

	*k = (bh_socket){.fd = fd, .endpoint = endpoint ? bh_endpoint_ref(endpoint) : NULL};
	k->link.data = k;
	if (endpoint)
		endpoint->open++;
	if ((guint)fd >= s->by_fd->len)
		g_ptr_array_set_size(s->by_fd, fd + 1);
	s->by_fd->pdata[fd] = k;
	return k;
}

static void set_idle(bh_socket *k, bool idle)
{
	if (k->idle == idle)
		return;
	k->idle = idle;
	if (idle)
		g_queue_push_head_link(&k->endpoint->idle, &k->link);
	else
		g_queue_unlink(&k->endpoint->idle, &k->link);
}

static void forget(bh_sockets *s, bh_socket *k)
{
	s->by_fd->pdata[k->fd] = NULL;
	if (k->endpoint) {
		set_idle(k, false);
		k->endpoint->open--;
		bh_endpoint_unref(s->routes, k->endpoint);
	}
	g_free(k);
}

void bh_sockets_free(bh_sockets *s)
{
	if (!s)
		return;
	for (guint fd = 0; fd < s->by_fd->len; fd++)
		if (s->by_fd->pdata[fd])
			forget(s, s->by_fd->pdata[fd]);
	g_ptr_array_unref(s->by_fd);
	g_free(s);
}

/* False: the socket is not in the set, and cannot be brought in. */
static bool watch_socket(bh_sockets *s, bh_socket *k, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u64 = BH_TRANSPORT_EPOLL_MARK | (uint32_t)k->fd};
	int operation = !events ? EPOLL_CTL_DEL : !k->watched ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (k->watched == events)
		return true;
	k->watched = events;
	return epoll_ctl(s->epoll_fd, operation, k->fd, &e) == 0;
}

/* --- What libcurl asks for ------------------------------------------------------------------ */

static void want(bh_sockets *s, bh_socket *k, uint32_t events)
{
	k->wanted = events;
	if (!watch_socket(s, k, events)) /* the transfer will run into its time-out */
		bh_log(BH_ERR, "transport", "cannot watch a socket", BH_STR("why", g_strerror(errno)));
}

/*
 * A socket that never got connected is closed by libcurl 7.88 without telling, and its number may come back at once, for the
 * next address of the same name. libcurl then believes that we watch it already.
 */
int bh_sockets_open(bh_sockets *s, const struct curl_sockaddr *address, bh_endpoint *endpoint)
{
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);

	if (fd < 0)
		return -1;
	bh_socket *gone = find(s, fd);
	uint32_t wanted = gone ? gone->wanted : 0;
	if (gone)
		forget(s, gone);
	bh_socket *k = add(s, fd, endpoint);
	if (wanted)
		want(s, k, wanted);
	return fd;
}

void bh_sockets_close(bh_sockets *s, int fd)
{
	bh_socket *k = find(s, fd);

	if (k)
		forget(s, k);
	close(fd); /* which takes it out of the epoll set */
}

static uint32_t events_of(int what)
{
	return (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
}

static void let_go(bh_sockets *s, bh_socket *k, bool http2)
{
	if (!k->endpoint) {
		(void)watch_socket(s, k, 0); /* it may be closed already */
		forget(s, k);
		return;
	}
	k->wanted = 0;
	if (!watch_socket(s, k, EPOLLIN)) {
		forget(s, k); /* closed without telling */
		return;
	}
	/* Frames of HTTP/2 belong to a stream: what comes late is no danger, and libcurl reads it before the next use. */
	set_idle(k, !http2);
}

void bh_sockets_want(bh_sockets *s, int fd, int what, bool http2)
{
	bh_socket *k = find(s, fd);

	if (what == CURL_POLL_REMOVE) {
		if (k)
			let_go(s, k, http2);
		return;
	}
	if (!k)
		k = add(s, fd, NULL);
	if (k->endpoint)
		set_idle(k, false);
	want(s, k, events_of(what));
}

/* --- Idle connections ------------------------------------------------------------------------- */

static void give_up(bh_sockets *s, bh_socket *k)
{
	char waste[4096];

	set_idle(k, false);
	shutdown(k->fd, SHUT_RDWR); /* what comes from now on is refused by the kernel, so there is an end */
	while (recv(k->fd, waste, sizeof waste, MSG_DONTWAIT) > 0)
		;
	(void)watch_socket(s, k, 0);
}

bool bh_sockets_event(bh_sockets *s, int fd)
{
	bh_socket *k = find(s, fd);

	if (!k || k->wanted || !k->endpoint)
		return true;
	if (k->idle)
		give_up(s, k);
	else
		(void)watch_socket(s, k, 0); /* HTTP/2 */
	return false;
}

static bool is_quiet(const bh_socket *k)
{
	char byte;

	return recv(k->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void bh_sockets_weed(bh_sockets *s, bh_endpoint *endpoint, uint64_t turn)
{
	GList *next;

	if (endpoint->weeded == turn)
		return;
	endpoint->weeded = turn;
	for (GList *l = endpoint->idle.head; l; l = next) {
		next = l->next;
		if (!is_quiet(l->data))
			give_up(s, l->data);
	}
}
