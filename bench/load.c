/*
 * The load for Bellhop's benchmarks: a driver that hands events over, and the sink that they are delivered to, in
 * one process, so that the time from hand-off to arrival is measured on one clock.
 *
 *   bellhop-load sink PORT                      the sink alone, for wrk
 *   bellhop-load drive OPTIONS                  see usage(); prints one JSON object
 *
 * The driver keeps `connections` open; each posts an event, waits for its 202 and posts the next (closed loop), or,
 * with --rate, events leave at their time whatever came back (open loop). Each event carries its number as "seq".
 */
#include "sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct plan {
	uint16_t api_port, sink_port;
	const char *key;
	char **properties; /* the events' in turn */
	size_t property_count;
	size_t skip; /* so many events warm up, and are not in the figures */
	size_t connections, events, fanout, event_bytes;
	double rate; /* events a second; 0: closed loop */
	bool survive; /* the API may go away and come back */
	double patience; /* seconds to wait for the last arrivals */
} plan;

typedef struct client {
	int fd; /* -1: to be connected */
	size_t seq;
	bool busy;
	size_t filled;
	char answer[4096];
} client;

typedef struct drive {
	const plan *plan;
	sink sink;
	client *clients;
	int epoll;
	size_t next, acked, refused, broken;
	int64_t *sent_us, *acked_us; /* by seq */
} drive;

static int usage(void)
{
	fputs("usage: bellhop-load sink PORT\n"
	      "       bellhop-load drive --api-port N --sink-port N --key KEY [--property ID[,ID ...]] [--connections N]\n"
	      "                          [--events N] [--skip N] [--fanout N] [--bytes N] [--rate PER_SECOND] [--survive] [--patience SECONDS]\n",
	      stderr);
	return 2;
}

/* --- One connection ------------------------------------------------------------------------------ */

static bool connect_client(drive *d, client *c)
{
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(d->plan->api_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (connect(c->fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(c->fd);
		c->fd = -1;
		return false;
	}
	int on = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	epoll_ctl(d->epoll, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
	c->filled = 0;
	c->busy = false;
	return true;
}

static void drop_client(drive *d, client *c)
{
	close(c->fd);
	c->fd = -1;
	d->broken += c->busy;
	c->busy = false;
}

/* An event of the planned size: what is missing goes into a note. */
static size_t write_event(const plan *p, size_t seq, char *out, size_t room)
{
	int size = snprintf(
		out, room,
		"{\"type\":\"booking_added\",\"data\":{\"property_uid\":%s,\"contract_uid\":%zu,\"seq\":%zu,\"note\":\"",
		p->properties[seq % p->property_count], seq + 1, seq);
	while ((size_t)size + 3 < p->event_bytes && (size_t)size + 4 < room)
		out[size++] = 'x';
	size += snprintf(out + size, room - (size_t)size, "\"}}");
	return (size_t)size;
}

static void post(drive *d, client *c)
{
	char event[8192], request[10000];
	c->seq = d->next++;
	size_t size = write_event(d->plan, c->seq, event, sizeof(event));
	int length = snprintf(request, sizeof(request),
			      "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
			      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
			      d->plan->key, size, (int)size, event);
	c->busy = true;
	d->sent_us[c->seq] = now_us();
	if (write(c->fd, request, (size_t)length) != length)
		drop_client(d, c);
}

/* Reads what came; true when a whole answer is there. */
static bool read_answer(drive *d, client *c)
{
	ssize_t got = recv(c->fd, c->answer + c->filled, sizeof(c->answer) - 1 - c->filled, MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0) {
		drop_client(d, c);
		return false;
	}
	c->filled += (size_t)got;
	c->answer[c->filled] = '\0';
	const char *end = strstr(c->answer, "\r\n\r\n");
	const char *length = strcasestr(c->answer, "content-length:");
	if (!end || !length)
		return false;
	return c->filled >= (size_t)(end - c->answer) + 4 + strtoul(length + 15, NULL, 10);
}

static void take_answer(drive *d, client *c)
{
	c->filled = 0;
	c->busy = false;
	if (strncmp(c->answer, "HTTP/1.1 202", 12) == 0) {
		d->acked++;
		d->acked_us[c->seq] = now_us();
	} else if (d->refused++ == 0) {
		fprintf(stderr, "bellhop-load: the API answered: %.200s\n", c->answer);
	}
}

/* --- The run -------------------------------------------------------------------------------------- */

static size_t busy_clients(const drive *d)
{
	size_t busy = 0;
	for (size_t i = 0; i < d->plan->connections; i++)
		busy += d->clients[i].busy;
	return busy;
}

/* How many events should have left by now. */
static size_t allowed(const drive *d, int64_t start)
{
	if (d->plan->rate <= 0)
		return d->plan->events;
	size_t due = (size_t)((double)(now_us() - start) / 1e6 * d->plan->rate) + 1;
	return due < d->plan->events ? due : d->plan->events;
}

static void start_posts(drive *d, int64_t start)
{
	for (size_t i = 0; i < d->plan->connections && d->next < allowed(d, start); i++) {
		client *c = &d->clients[i];
		if (c->busy || (c->fd < 0 && !connect_client(d, c)))
			continue;
		post(d, c);
	}
}

static void post_all(drive *d)
{
	int64_t start = now_us();
	int wait = d->plan->rate > 0 || d->plan->survive ? 1 : 1000;
	while (d->next < d->plan->events || busy_clients(d) > 0) {
		start_posts(d, start);
		struct epoll_event events[64];
		int count = epoll_wait(d->epoll, events, 64, wait);
		for (int i = 0; i < count; i++) {
			client *c = events[i].data.ptr;
			if (c->fd >= 0 && read_answer(d, c))
				take_answer(d, c);
		}
	}
}

static size_t missing(const drive *d)
{
	size_t count = 0;
	for (size_t seq = 0; seq < d->plan->events; seq++)
		count += d->acked_us[seq] && atomic_load(&d->sink.copies[seq]) < d->plan->fanout;
	return count;
}

static void await_arrivals(const drive *d)
{
	int64_t until = now_us() + (int64_t)(d->plan->patience * 1e6);
	while (missing(d) > 0 && now_us() < until)
		usleep(2000);
}

/* --- What it came to ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static double percentile(const int64_t *sorted, size_t count, double p)
{
	if (count == 0)
		return 0;
	size_t i = (size_t)(p * (double)(count - 1) + 0.5);
	return (double)sorted[i] / 1000;
}

static void report(const drive *d, int64_t start)
{
	size_t events = d->plan->events, arrived = 0, acked = 0, copies = 0;
	int64_t *arrival = calloc(events + 1, sizeof(*arrival)), *ack = calloc(events + 1, sizeof(*ack));
	int64_t last = start;
	for (size_t seq = d->plan->skip; seq < events; seq++) {
		int64_t first = atomic_load(&d->sink.first_us[seq]), latest = atomic_load(&d->sink.last_us[seq]);
		uint32_t times = atomic_load(&d->sink.copies[seq]);
		if (first)
			arrival[arrived++] = first - d->sent_us[seq];
		if (d->acked_us[seq])
			ack[acked++] = d->acked_us[seq] - d->sent_us[seq];
		if (times > d->plan->fanout)
			copies += times - d->plan->fanout;
		last = latest > last ? latest : last;
	}
	qsort(arrival, arrived, sizeof(*arrival), compare);
	qsort(ack, acked, sizeof(*ack), compare);
	double seconds = (double)(last - start) / 1e6;
	uint64_t requests = atomic_load(&d->sink.requests);
	printf("{\"events\":%zu,\"acknowledged\":%zu,\"refused\":%zu,\"broken\":%zu,\"deliveries\":%lu,\"lost\":%zu,\"copies\":%zu,"
	       "\"seconds\":%.3f,\"deliveries_per_second\":%.0f,\"last_arrival_us\":%ld,"
	       "\"arrival_ms\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},\"acknowledged_ms\":{\"p50\":%.3f,\"p99\":%.3f}}\n",
	       events, d->acked, d->refused, d->broken, (unsigned long)requests, missing(d), copies, seconds,
	       (double)requests / seconds, (long)last, percentile(arrival, arrived, 0.5),
	       percentile(arrival, arrived, 0.99), percentile(arrival, arrived, 1), percentile(ack, acked, 0.5),
	       percentile(ack, acked, 0.99));
	free(arrival);
	free(ack);
}

static int run_drive(const plan *p)
{
	drive d = {.plan = p, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	if (!sink_start(&d.sink, p->sink_port, p->events)) {
		perror("bellhop-load: cannot listen");
		return 1;
	}
	d.clients = calloc(p->connections, sizeof(client));
	d.sent_us = calloc(p->events + 1, sizeof(int64_t));
	d.acked_us = calloc(p->events + 1, sizeof(int64_t));
	for (size_t i = 0; i < p->connections; i++) {
		d.clients[i].fd = -1;
		if (!connect_client(&d, &d.clients[i]) && !p->survive) {
			perror("bellhop-load: cannot connect to the API");
			return 1;
		}
	}
	int64_t start = now_us();
	post_all(&d);
	await_arrivals(&d);
	report(&d, start);
	return missing(&d) == 0 && d.refused == 0 ? 0 : 1;
}

/* "12,13": cut where the commas are. */
static void parse_properties(char *text, plan *p)
{
	p->property_count = 0;
	p->properties = calloc(strlen(text) + 1, sizeof(char *));
	for (char *id; (id = strsep(&text, ","));)
		p->properties[p->property_count++] = id;
}

static bool parse(int argc, char **argv, plan *p)
{
	enum { API = 1, SINK, KEY, PROPERTY, CONNECTIONS, EVENTS, SKIP, FANOUT, BYTES, RATE, SURVIVE, PATIENCE };
	const struct option options[] = {
		{"api-port", 1, NULL, API},
		{"sink-port", 1, NULL, SINK},
		{"key", 1, NULL, KEY},
		{"property", 1, NULL, PROPERTY},
		{"connections", 1, NULL, CONNECTIONS},
		{"events", 1, NULL, EVENTS},
		{"skip", 1, NULL, SKIP},
		{"fanout", 1, NULL, FANOUT},
		{"bytes", 1, NULL, BYTES},
		{"rate", 1, NULL, RATE},
		{"survive", 0, NULL, SURVIVE},
		{"patience", 1, NULL, PATIENCE},
		{0},
	};
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (o) {
		case API:
			p->api_port = (uint16_t)atoi(optarg);
			break;
		case SINK:
			p->sink_port = (uint16_t)atoi(optarg);
			break;
		case KEY:
			p->key = optarg;
			break;
		case PROPERTY:
			parse_properties(optarg, p);
			break;
		case CONNECTIONS:
			p->connections = strtoul(optarg, NULL, 10);
			break;
		case EVENTS:
			p->events = strtoul(optarg, NULL, 10);
			break;
		case SKIP:
			p->skip = strtoul(optarg, NULL, 10);
			break;
		case FANOUT:
			p->fanout = strtoul(optarg, NULL, 10);
			break;
		case BYTES:
			p->event_bytes = strtoul(optarg, NULL, 10);
			break;
		case RATE:
			p->rate = atof(optarg);
			break;
		case SURVIVE:
			p->survive = true;
			break;
		case PATIENCE:
			p->patience = atof(optarg);
			break;
		default:
			return false;
		}
	}
	return p->api_port && p->sink_port && p->key && p->connections > 0 && p->events > 0 && p->event_bytes < 8000;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "sink") == 0) {
		sink s;
		if (!sink_start(&s, (uint16_t)atoi(argv[2]), 1)) {
			perror("bellhop-load: cannot listen");
			return 1;
		}
		printf("%u\n", s.port);
		fflush(stdout);
		pause();
		return 0;
	}
	char usual[] = "12";
	plan p = {.connections = 64, .events = 100000, .fanout = 1, .event_bytes = 300, .patience = 60};
	parse_properties(usual, &p);
	if (argc < 2 || strcmp(argv[1], "drive") != 0 || !parse(argc - 1, argv + 1, &p))
		return usage();
	return run_drive(&p);
}
