/*
 * Names on their way to the guard and back:
 *
 *   API thread      suspend -> queue ................... next step
 *   helper thread                look up -> resume ......^
 */
#include "api/names.h"

#include "api/reply.h"
#include "api/server.h"

#include <arpa/inet.h>
#include <pthread.h>

#define THREADS_MAX 4
#define WAITING_MAX 16 /* calls: so that none waits much longer than a few look-ups take */

/* One call's names: its own until it is resumed. */
typedef struct job {
	bh_call *call;
	GPtrArray *names; /* the call's */
	bh_guard *guard;
	bh_usec timeout;
} job;

struct bh_name_pool {
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t wake;
	GQueue waiting; /* of job */
	pthread_t threads[THREADS_MAX]; /* started when they are needed, and kept */
	size_t thread_count, idle;
	bool closing;
};

/* --- The names --------------------------------------------------------------------------- */

static void name_free(void *user)
{
	bh_name *n = user;

	bh_target_clear(&n->target);
	g_free(n->pointer);
	g_free(n->doubt);
	g_clear_error(&n->refused);
	g_free(n);
}

GPtrArray *bh_names_new(void)
{
	return g_ptr_array_new_with_free_func(name_free);
}

static bool is_address(const char *host)
{
	struct in6_addr address; /* either fits */

	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

void bh_names_note(GPtrArray *names, const bh_guard *guard, const char *url, const char *pointer)
{
	bh_target target = {0};

	if (!bh_guard_check_url(guard, url, &target, NULL))
		return;
	if (is_address(target.host)) {
		bh_target_clear(&target);
		return;
	}
	bh_name *n = g_new0(bh_name, 1);
	n->target = target;
	n->pointer = g_strdup(pointer);
	g_ptr_array_add(names, n);
}

static void leave_in_doubt(bh_name *n, const char *why)
{
	n->doubt = g_strdup_printf(
		"%s, so the host \"%.120s\" was not looked up. Where it leads is judged whenever something is sent.",
		why, n->target.host);
}

/* --- On a helper's thread ---------------------------------------------------------------- */

static void look_up(const job *j, bh_name *n)
{
	bh_api *api = j->call->api;

	if (atomic_load(&api->stopping)) {
		leave_in_doubt(n, "Bellhop was stopping");
		return;
	}
	n->was_looked_up = true;
	(void)api->rooms.check_name(j->guard, &n->target, j->timeout, &n->doubt, &n->refused); /* `refused` says it */
}

static void do_job(job *j)
{
	bh_call *call = j->call;

	for (guint i = 0; i < j->names->len; i++)
		look_up(j, g_ptr_array_index(j->names, i));
	bh_guard_unref(j->guard);
	g_free(j);
	bh_call_resume(call);
}

/* The next job; NULL: the pool is closing. */
static job *take_job(bh_name_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->idle++;
	while (!pool->closing && g_queue_is_empty(&pool->waiting))
		pthread_cond_wait(&pool->wake, &pool->lock);
	pool->idle--;
	job *j = g_queue_pop_head(&pool->waiting);
	pthread_mutex_unlock(&pool->lock);
	return j;
}

static void *look_up_for_others(void *user)
{
	job *j;

	while ((j = take_job(user)))
		do_job(j);
	return NULL;
}

/* --- The pool ---------------------------------------------------------------------------- */

bh_name_pool *bh_name_pool_new(void)
{
	bh_name_pool *pool = g_new0(bh_name_pool, 1);

	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	g_queue_init(&pool->waiting);
	return pool;
}

void bh_name_pool_free(bh_name_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	g_assert(g_queue_is_empty(&pool->waiting)); /* whoever waited was answered before */
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	g_free(pool);
}

/* Under the lock. A machine that has no thread left for us has other troubles; those that run will do. */
static void start_thread_if_needed(bh_name_pool *pool)
{
	size_t needed = g_queue_get_length(&pool->waiting) + 1;

	if (pool->idle >= needed || pool->thread_count == THREADS_MAX)
		return;
	if (pthread_create(&pool->threads[pool->thread_count], NULL, look_up_for_others, pool) == 0)
		pthread_setname_np(pool->threads[pool->thread_count++], "bh-names");
}

/* False: too many wait already, or there is nobody to do it. */
static bool queue_job(bh_name_pool *pool, job *j)
{
	pthread_mutex_lock(&pool->lock);
	start_thread_if_needed(pool);
	bool taken = pool->thread_count > 0 && g_queue_get_length(&pool->waiting) < WAITING_MAX;
	if (taken) {
		g_queue_push_tail(&pool->waiting, j);
		pthread_cond_signal(&pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

/* --- For the call ------------------------------------------------------------------------ */

void bh_names_check(bh_call *call, GPtrArray *names, bh_call_step next)
{
	bh_api *api = call->api;

	if (names->len == 0 || !api->rooms.check_name) {
		g_clear_error(&call->error); /* of an earlier try */
		next(call);
		return;
	}
	job *j = g_new(job, 1);
	const bh_settings *settings = atomic_load(&api->settings);
	*j = (job){.call = call, .names = names, .guard = bh_api_guard(api), .timeout = settings->dns_timeout};
	bool waits = bh_call_suspend(call, next);
	if (waits && queue_job(api->names, j))
		return;
	bh_guard_unref(j->guard);
	g_free(j);
	if (!waits)
		return;
	for (guint i = 0; i < names->len; i++)
		leave_in_doubt(g_ptr_array_index(names, i), "Too many names were being looked up");
	bh_call_resume(call);
}

bool bh_names_refused(bh_call *call, const GPtrArray *names)
{
	for (guint i = 0; i < names->len; i++) {
		const bh_name *n = g_ptr_array_index(names, i);
		if (!n->refused)
			continue;
		bh_reply_problem(call, BH_PROBLEM_TARGET, n->pointer, "%s", n->refused->message);
		return true;
	}
	return false;
}
