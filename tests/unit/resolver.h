/*
 * The test program's own resolver: whatever is looked up, by libcurl as by us, ends in getaddrinfo below. For tests only,
 * in one file of a program.
 */
#pragma once

#include <arpa/inet.h>
#include <glib.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct name {
	const char *name;
	const char *addresses[5];
	int trouble;
} NAMES[] = {
	{"one.test", {"127.0.0.1"}, 0},
	{"inward.test", {"10.0.0.1", "192.168.7.7"}, 0},
	{"metadata.test", {"169.254.169.254"}, 0},
	{"mapped.test", {"::ffff:10.0.0.5"}, 0},
	{"mixed.test", {"10.0.0.1", "fd00::1", "127.0.0.1"}, 0},
	{"mixed6.test", {"fd00::1", "::1", "127.0.0.1"}, 0},
	{"half-dead.test", {"127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.1"}, 0},
	{"hole.test", {"127.0.0.3", "127.0.0.1"}, 0},
	{"dead-and-inward.test", {"127.0.0.3", "10.0.0.1"}, 0},
	{"public.test", {"198.51.100.7"}, 0},
	{"mixed-public.test", {"10.0.0.1", "198.51.100.7"}, 0},
	{"two-public.test", {"198.51.100.7", "198.51.100.8"}, 0},
	{"none.test", {NULL}, EAI_NONAME},
	{"broken.test", {NULL}, EAI_AGAIN},
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned asked, answered; /* all look-ups so far */
	unsigned most; /* that were asked at the same time */
	bool held; /* what ends in hang.test is not answered */
	bool turned; /* rebind.test gives its other address */
	bool faded; /* fading.test is not known any more */
} dns = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct addrinfo *make(const char *address, const char *port, struct addrinfo *next)
{
	struct entry {
		struct addrinfo info;
		struct sockaddr_storage socket;
	} *e = calloc(1, sizeof *e);
	bool v6 = strchr(address, ':') != NULL;
	in_port_t number = htons((in_port_t)(port ? atoi(port) : 0));

	e->info = (struct addrinfo){
		.ai_family = v6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	e->info.ai_addr = (struct sockaddr *)&e->socket;
	e->info.ai_next = next;
	if (v6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&e->socket;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = number;
		inet_pton(AF_INET6, address, &in6->sin6_addr);
		e->info.ai_addrlen = sizeof *in6;
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)&e->socket;
		in->sin_family = AF_INET;
		in->sin_port = number;
		inet_pton(AF_INET, address, &in->sin_addr);
		e->info.ai_addrlen = sizeof *in;
	}
	return &e->info;
}

static int resolve(const char *name, const char *port, struct addrinfo **ret)
{
	*ret = NULL;
	if (strcmp(name, "rebind.test") == 0) {
		dns.turned = !dns.turned;
		*ret = make(dns.turned ? "127.0.0.1" : "127.0.0.2", port, NULL);
		return 0;
	}
	if (strcmp(name, "fading.test") == 0 && !dns.faded) {
		*ret = make("127.0.0.1", port, NULL);
		return 0;
	}
	if (g_str_has_suffix(name, "hang.test")) {
		while (dns.held)
			pthread_cond_wait(&dns.changed, &dns.lock);
		return EAI_AGAIN;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++) {
		if (strcmp(NAMES[i].name, name) != 0)
			continue;
		for (int a = G_N_ELEMENTS(NAMES[i].addresses) - 1; a >= 0; a--)
			if (NAMES[i].addresses[a])
				*ret = make(NAMES[i].addresses[a], port, *ret);
		return NAMES[i].trouble;
	}
	return EAI_NONAME;
}

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
	pthread_mutex_lock(&dns.lock);
	dns.asked++;
	dns.most = MAX(dns.most, dns.asked - dns.answered);
	pthread_cond_broadcast(&dns.changed);
	int code = resolve(name, port, ret);
	dns.answered++;
	pthread_cond_broadcast(&dns.changed);
	pthread_mutex_unlock(&dns.lock);
	return code;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;
		free(list);
		list = next;
	}
}

static inline unsigned asked(void)
{
	pthread_mutex_lock(&dns.lock);
	unsigned count = dns.asked;
	pthread_mutex_unlock(&dns.lock);
	return count;
}

static inline void fade(bool faded)
{
	pthread_mutex_lock(&dns.lock);
	dns.faded = faded;
	pthread_mutex_unlock(&dns.lock);
}

static inline void hold(bool held)
{
	pthread_mutex_lock(&dns.lock);
	dns.held = held;
	pthread_cond_broadcast(&dns.changed);
	while (!held && dns.answered < dns.asked)
		pthread_cond_wait(&dns.changed, &dns.lock);
	pthread_mutex_unlock(&dns.lock);
}
