/*
 * Calls on their way to the stage and back:
 *
 *   API thread         suspend -> queue ................... next step
 *   rehearsals' thread              rehearse -> resume ......^
 */
#include "api/rehearsals.h"

#include "api/reply.h"
#include "api/server.h"

#include <pthread.h>

#define WAITING_MAX 16 /* calls; one takes some two seconds at most, so the last one waits half a minute */
#define WAITING_OF_A_KEY 4 /* so that one owner's leave room for the others' */

/* One call's rehearsal: its own until it is resumed. */
typedef struct job {
	bh_call *call;
	bh_rehearsal rehearsal;
	bh_id key; /* whose it is */
} job;

struct bh_rehearsals {
	bh_api *api;
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t wake;
	GQueue waiting; /* of job */
	pthread_t thread;
	bool started; /* when it is needed, and kept */
	bool closing;
};

/* --- On the thread ----------------------------------------------------------------------- */

bool bh_stage_is_closing(const bh_stage *stage)
{
	return atomic_load(&stage->api->stopping);
}

/* The next job; NULL: there will be none. */
static job *take_job(bh_rehearsals *r)
{
	pthread_mutex_lock(&r->lock);
	while (!r->closing && g_queue_is_empty(&r->waiting))
		pthread_cond_wait(&r->wake, &r->lock);
	job *j = g_queue_pop_head(&r->waiting);
	pthread_mutex_unlock(&r->lock);
	return j;
}

/* The store may not have given a reader the last time. */
static void set_stage(bh_stage *stage)
{
	g_autoptr(bh_methods) methods = bh_api_methods(stage->api);

	if (!stage->reader)
		stage->reader = bh_reader_new(stage->api->rooms.store, NULL); /* who needs it says that there is none */
	bh_script_host_use(stage->scripts, methods);
}

static void *rehearse_for_others(void *user)
{
	bh_rehearsals *r = user;
	const bh_script_limits limits = BH_SCRIPT_LIMITS_DELIVERY;
	bh_stage stage = {.api = r->api, .scripts = bh_script_host_new(&limits, r->api->rooms.sealer)};
	job *j;

	while ((j = take_job(r))) {
		set_stage(&stage);
		j->rehearsal(j->call, &stage);
		bh_call_resume(j->call);
		g_free(j);
	}
	bh_script_host_free(stage.scripts);
	bh_reader_free(stage.reader);
	return NULL;
}

/* --- The queue --------------------------------------------------------------------------- */

bh_rehearsals *bh_rehearsals_new(bh_api *api)
{
	bh_rehearsals *r = g_new0(bh_rehearsals, 1);

	r->api = api;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	g_queue_init(&r->waiting);
	return r;
}

void bh_rehearsals_free(bh_rehearsals *r)
{
	pthread_mutex_lock(&r->lock);
	r->closing = true;
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (r->started)
		pthread_join(r->thread, NULL);
	g_assert(g_queue_is_empty(&r->waiting)); /* whoever waited was answered before */
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	g_free(r);
}

/* Under the lock. */
static bool start_thread(bh_rehearsals *r)
{
	if (!r->started && pthread_create(&r->thread, NULL, rehearse_for_others, r) == 0) {
		r->started = true;
		pthread_setname_np(r->thread, "bh-rehearsals");
	}
	return r->started;
}

/* Under the lock. */
static bool has_room(bh_rehearsals *r, bh_id key)
{
	size_t same = 0;

	for (const GList *l = r->waiting.head; l; l = l->next)
		same += ((const job *)l->data)->key == key;
	return r->waiting.length < WAITING_MAX && same < WAITING_OF_A_KEY;
}

/* What is handed in is resumed, perhaps before this returns. So the connection is suspended under the lock, with a place sure. */
static bool hand_in(bh_rehearsals *r, job *j, bool first, bh_call_step next)
{
	pthread_mutex_lock(&r->lock);
	bool taken = start_thread(r) && has_room(r, j->key);
	bool waits = taken && bh_call_suspend(j->call, next);
	if (waits && first)
		g_queue_push_head(&r->waiting, j);
	else if (waits)
		g_queue_push_tail(&r->waiting, j);
	if (waits)
		pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (!waits)
		g_free(j);
	return taken;
}

void bh_rehearse(bh_call *call, bool first, bh_rehearsal rehearsal, bh_call_step next)
{
	job *j = g_new(job, 1);

	*j = (job){.call = call, .rehearsal = rehearsal, .key = call->scope.key->id};
	g_clear_error(&call->error); /* of an earlier try */
	if (!hand_in(call->api->rehearsals, j, first, next))
		bh_reply_problem(call, BH_PROBLEM_BUSY, NULL,
				 "Too many rehearsals are waiting. Come again in a moment.");
}
