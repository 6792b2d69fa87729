/* The real receivers, asked through the room that deliveries go out by, on an epoll of its own. */
#include "base/error.h"
#include "cli/answerer.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 16

typedef struct caller {
	bh_answerer base;
	bh_transport *transport;
	int epoll_fd;
	bh_answer *answer; /* of the call under way; NULL: it is there */
} caller;

static void free_caller(bh_answerer *base)
{
	caller *c = (caller *)base;
	if (c->transport)
		bh_transport_free(c->transport);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	g_free(c);
}

static void answered(bh_transfer *transfer, bh_answer *answer, void *user)
{
	caller *c = user;
	*c->answer = *answer;
	answer->head = NULL; /* they are ours now */
	answer->body = NULL;
	answer->location = answer->control = NULL;
	c->answer = NULL;
}

static int milliseconds(bh_usec wait)
{
	return wait < 0 ? -1 : (int)MIN((wait + BH_MILLISECOND - 1) / BH_MILLISECOND, G_MAXINT);
}

static void turn(caller *c)
{
	struct epoll_event events[EVENTS];
	bh_now now = bh_clock_now();
	bh_transport_turn(c->transport, now);
	if (!c->answer)
		return;
	int count = epoll_wait(c->epoll_fd, events, EVENTS, milliseconds(bh_transport_next(c->transport, now)));
	g_assert(count >= 0 || errno == EINTR);
	for (int i = 0; i < count; i++)
		bh_transport_ready(c->transport, events[i].data.u64, events[i].events);
}

static bool call_out(bh_answerer *base, const bh_request *request, bh_answer *ret, GError **error)
{
	caller *c = (caller *)base;
	c->answer = ret;
	bh_transport_start(c->transport, request, bh_clock_now(), answered, c);
	while (c->answer)
		turn(c);
	return true;
}

bh_answerer *bh_answerer_real(const bh_settings *settings, bh_guard *guard, GError **error)
{
	caller *c = g_new0(caller, 1);
	bh_transport_config config = {
		.guard = guard,
		.user_agent = "Bellhop/" BH_VERSION,
		.ca_file = settings->ca_file && *settings->ca_file ? settings->ca_file : NULL,
		.proxy = settings->proxy,
		.connections_max = EVENTS,
		.dns_timeout = settings->dns_timeout,
		.connect_timeout = settings->connect_timeout,
		.tls_timeout = settings->tls_timeout,
	};
	c->base = (bh_answerer){.answer = call_out, .free = free_caller};
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot make an epoll: %s", g_strerror(errno));
	else
		c->transport = bh_transport_new(&config, c->epoll_fd, error);
	if (c->transport)
		return &c->base;
	free_caller(&c->base);
	return NULL;
}
