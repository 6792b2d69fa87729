#include "sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM (64 * 1024) /* a request must fit */

typedef struct peer {
	int fd;
	size_t filled;
	char buffer[ROOM + 1];
} peer;

int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Of the event as it is, or, after "seq=", of a text that a method made of it; SIZE_MAX: none. */
static size_t number_of(const char *body)
{
	const char *at = strstr(body, "\"seq\":");
	at = at ? at + 6 : strstr(body, "seq=");
	if (!at)
		return SIZE_MAX;
	return strtoul(*at == 's' ? at + 4 : at, NULL, 10);
}

static void note(sink *s, const char *body, int64_t now)
{
	atomic_fetch_add_explicit(&s->requests, 1, memory_order_relaxed);
	size_t seq = number_of(body);
	if (seq >= s->seq_max)
		return;
	int64_t none = 0;
	atomic_compare_exchange_strong(&s->first_us[seq], &none, now);
	atomic_store(&s->last_us[seq], now);
	atomic_fetch_add(&s->copies[seq], 1);
}

/* The size of the first whole request in the buffer; 0: not all of it is here yet. */
static size_t whole_request(const peer *p, const char **ret_body)
{
	const char *end = memmem(p->buffer, p->filled, "\r\n\r\n", 4);
	if (!end)
		return 0;
	size_t head = (size_t)(end - p->buffer) + 4, body = 0;
	for (const char *line = p->buffer; line < end; line = strchr(line, '\n') + 1)
		if (strncasecmp(line, "content-length:", 15) == 0)
			body = strtoul(line + 15, NULL, 10);
	*ret_body = p->buffer + head;
	return head + body <= p->filled ? head + body : 0;
}

/* As little as can be said; under /slack/ as Slack says it. */
static bool answer(const peer *p)
{
	static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	static const char slack[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	if (memcmp(p->buffer, "POST /slack/", 12) == 0)
		return write(p->fd, slack, sizeof(slack) - 1) > 0;
	return write(p->fd, plain, sizeof(plain) - 1) > 0;
}

static bool serve(sink *s, peer *p)
{
	ssize_t got = read(p->fd, p->buffer + p->filled, ROOM - p->filled);
	if (got <= 0)
		return got < 0 && errno == EAGAIN;
	p->filled += (size_t)got;
	p->buffer[p->filled] = '\0';

	const char *body;
	size_t size;
	while ((size = whole_request(p, &body)) > 0) {
		char after = p->buffer[size];
		p->buffer[size] = '\0'; /* seq is looked for in this request only */
		note(s, body, now_us());
		bool is_written = answer(p);
		p->buffer[size] = after;
		memmove(p->buffer, p->buffer + size, p->filled - size + 1);
		p->filled -= size;
		if (!is_written)
			return false;
	}
	return p->filled < ROOM;
}

static void welcome(sink *s, int epoll)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	peer *p = calloc(1, sizeof(*p));
	p->fd = fd;
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = p});
}

static void *sink_main(void *data)
{
	sink *s = data;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll, EPOLL_CTL_ADD, s->listener, &(struct epoll_event){.events = EPOLLIN});
	for (;;) {
		struct epoll_event events[64];
		int count = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < count; i++) {
			peer *p = events[i].data.ptr;
			if (!p) {
				welcome(s, epoll);
			} else if (!serve(s, p)) {
				close(p->fd);
				free(p);
			}
		}
	}
	return NULL;
}

bool sink_start(sink *s, uint16_t port, size_t seq_max)
{
	*s = (sink){.seq_max = seq_max};
	s->first_us = calloc(seq_max + 1, sizeof(*s->first_us));
	s->last_us = calloc(seq_max + 1, sizeof(*s->last_us));
	s->copies = calloc(seq_max + 1, sizeof(*s->copies));
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	if (bind(s->listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(s->listener, 1024) < 0 ||
	    getsockname(s->listener, (struct sockaddr *)&at, &size) < 0)
		return false;
	s->port = ntohs(at.sin_port);
	pthread_t thread;
	return pthread_create(&thread, NULL, sink_main, s) == 0;
}
