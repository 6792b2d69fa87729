/*
 * libcurl makes a thread for each look-up and forgets it when the transfer is given up, though the resolver may hold it for half a
 * minute: a name server that does not answer would cost a thread a delivery. Here the number of threads has an end:
 *
 *   start -> WAITING (in the queue) -> ASKING (a thread is in getaddrinfo) -> OVER
 *
 * A dropped one leaves the queue at once, or else the thread frees it.
 */
#include "transport/names.h"

#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREAD_STACK_BYTES (256 * 1024) /* glibc's resolver takes 70 KB at the most */

typedef enum state { WAITING, ASKING, OVER } state;

struct bh_lookup {
	char *host;
	state state;
	bool dropped;
	int wake_fd;
	GList link; /* in the queue, while WAITING */
	GArray *addresses;
	int trouble;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t over; /* by the monotonic clock */
	pthread_once_t once;
	GQueue waiting;
	unsigned threads;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT, .waiting = G_QUEUE_INIT};

static void prepare(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&pool.over, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void lookup_free(bh_lookup *l)
{
	if (l->addresses)
		g_array_unref(l->addresses);
	g_free(l->host);
	g_free(l);
}

/* --- In a thread ------------------------------------------------------------------------------ */

static GArray *ask(const char *host, int *ret_trouble)
{
	static const struct addrinfo HINTS = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *all = NULL;

	*ret_trouble = getaddrinfo(host, NULL, &HINTS, &all);
	if (*ret_trouble != 0)
		return NULL;
	GArray *addresses = g_array_new(false, true, sizeof(struct sockaddr_storage));
	for (const struct addrinfo *i = all; i; i = i->ai_next) {
		struct sockaddr_storage s = {0};
		memcpy(&s, i->ai_addr, MIN(i->ai_addrlen, sizeof s));
		g_array_append_val(addresses, s);
	}
	freeaddrinfo(all);
	return addresses;
}

static void settle(bh_lookup *l, GArray *addresses, int trouble)
{
	l->addresses = addresses;
	l->trouble = trouble;
	l->state = OVER;
	if (l->dropped) {
		lookup_free(l);
		return;
	}
	if (l->wake_fd >= 0)
		(void)!write(l->wake_fd, &(uint64_t){1}, sizeof(uint64_t)); /* fails if it is full of wakes */
	pthread_cond_broadcast(&pool.over);
}

/* One look-up after another, as long as there are some. */
static void *work(void *unused)
{
	GList *l;

	pthread_mutex_lock(&pool.lock);
	while ((l = g_queue_pop_head_link(&pool.waiting))) {
		bh_lookup *lookup = l->data;
		int trouble;
		lookup->state = ASKING;
		pthread_mutex_unlock(&pool.lock);
		GArray *addresses = ask(lookup->host, &trouble);
		pthread_mutex_lock(&pool.lock);
		settle(lookup, addresses, trouble);
	}
	pool.threads--;
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* --- Outside ------------------------------------------------------------------------------------ */

static bool start_thread(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	bool started = pthread_create(&thread, &attributes, work, NULL) == 0;
	pthread_attr_destroy(&attributes);
	return started;
}

bh_lookup *bh_lookup_start(const char *host, int wake_fd)
{
	bh_lookup *l = g_new(bh_lookup, 1);

	*l = (bh_lookup){.host = g_strdup(host), .state = WAITING, .wake_fd = wake_fd};
	l->link.data = l;
	pthread_once(&pool.once, prepare);
	pthread_mutex_lock(&pool.lock);
	g_queue_push_tail_link(&pool.waiting, &l->link);
	if (pool.threads < BH_LOOKUPS_MAX && start_thread())
		pool.threads++; /* if none can be started, another one that is done will see to it, or time runs out */
	pthread_mutex_unlock(&pool.lock);
	return l;
}

bool bh_lookup_is_over(bh_lookup *l)
{
	pthread_mutex_lock(&pool.lock);
	bool over = l->state == OVER;
	pthread_mutex_unlock(&pool.lock);
	return over;
}

bool bh_lookup_wait(bh_lookup *l, bh_usec timeout)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	bh_usec nanoseconds = until.tv_nsec + timeout % BH_SECOND * 1000;
	until.tv_sec += (time_t)(timeout / BH_SECOND + nanoseconds / 1000000000);
	until.tv_nsec = (long)(nanoseconds % 1000000000);
	pthread_mutex_lock(&pool.lock);
	while (l->state != OVER && pthread_cond_timedwait(&pool.over, &pool.lock, &until) == 0)
		;
	bool over = l->state == OVER;
	pthread_mutex_unlock(&pool.lock);
	return over;
}

const GArray *bh_lookup_addresses(const bh_lookup *l, int *ret_trouble)
{
	g_assert(l->state == OVER);
	*ret_trouble = l->trouble;
	return l->addresses && l->addresses->len > 0 ? l->addresses : NULL;
}

void bh_lookup_drop(bh_lookup *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&pool.lock);
	if (l->state == WAITING)
		g_queue_unlink(&pool.waiting, &l->link);
	if (l->state == ASKING)
		l->dropped = true; /* its thread frees it, and wakes nobody */
	else
		lookup_free(l);
	pthread_mutex_unlock(&pool.lock);
}
