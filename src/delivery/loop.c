/*
 * One turn of a loop, and the sleep after it:
 *
 *   hear       messages: fresh deliveries, changed webhooks, records that are durable now
 *   transfer   libcurl goes on; finished calls go on with their attempts
 *   send       what the scheduler lets go
 *   sleep      until a socket, a message or a time
 *
 * The clock is read once a turn, at its beginning.
 */
#include "delivery/loop.h"

#include "base/error.h"
#include "base/log.h"
#include "base/steady.h"
#include "delivery/attempt.h"
#include "delivery/paper.h"
#include "delivery/recoveries.h"
#include "delivery/streaks.h"
#include "delivery/turns.h"
#include "delivery/upkeep.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EPOLL_EVENTS 128
#define WAKE_MARK UINT64_C(1)
#define REFILL_AGAIN_AFTER BH_SECOND
#define REFILL_BYTES_MAX ((size_t)1024 * 1024) /* payloads read with one refill */
#define RECENT_BYTES_MAX 4096 /* of an event that is kept at hand */
/*
 * How much longer than a single request may take a stop waits. A store that does not take the last records by then, or
 * a script with many slow calls, is left: what is unrecorded is still pending in the store, and the next start sends it
 * again.
 */
#define STOP_PATIENCE (10 * BH_SECOND)
#define TIMEOUT_OF_WEBHOOK_MAX (30 * BH_SECOND)

/* --- The inbox, from any thread ----------------------------------------------------------------- */

void bh_loop_post(bh_loop *loop, bh_message *message, bool urgent)
{
	message->next = NULL;
	pthread_mutex_lock(&loop->lock);
	*loop->inbox_end = message;
	loop->inbox_end = &message->next;
	loop->wake_wanted |= urgent || loop->awaits_records;
	pthread_mutex_unlock(&loop->lock);
}

void bh_loop_flush(bh_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	bool wake = loop->sleeping && loop->wake_wanted;
	if (wake)
		loop->sleeping = false; /* one wake is enough */
	pthread_mutex_unlock(&loop->lock);
	if (wake) {
		uint64_t one = 1;
		(void)!write(loop->wake_fd, &one, sizeof(one)); /* only EAGAIN, and then it is awake */
	}
}

/* --- hear ---------------------------------------------------------------------------------------- */

/* For those whose receiver just said no, the snapshot is behind. */
static bool may_open(const bh_loop *loop, const bh_webhook *webhook)
{
	return webhook && webhook->disabled == BH_ENABLED && !g_hash_table_contains(loop->disabling, &webhook->id);
}

static bh_lane_terms terms_of(const bh_webhook *webhook)
{
	return (bh_lane_terms){
		.owner = webhook->manager_id,
		.receiver = bh_loop_receiver_of(webhook),
		.rate_requests = webhook->rate_requests,
		.rate_per = webhook->rate_per,
	};
}

static void open_lane(bh_loop *loop, const bh_webhook *webhook)
{
	bh_lane_terms terms = terms_of(webhook);
	bool leads_elsewhere = bh_scheduler_open(loop->scheduler, webhook->id, &terms);
	if (leads_elsewhere || bh_loop_streak_is_foreign(loop, webhook))
		bh_loop_forget_streak(loop, webhook->id); /* the failures were another receiver's */
}

/* Looks at a webhook anew: opens its lane, or closes it and moves what waits to where it belongs. */
void bh_loop_look_at(bh_loop *loop, bh_id id)
{
	const bh_webhook *webhook = bh_snapshot_webhook(loop->snapshot, id);
	if (may_open(loop, webhook)) {
		open_lane(loop, webhook);
		return;
	}
	bh_scheduler_close(loop->scheduler, id);
	if (webhook && webhook->disabled == BH_ENABLED)
		return; /* its change is on its way, and then we are told */
	bh_sweeping pending = {.webhook = id, .from = BH_STATE_PENDING}, held = {.webhook = id, .from = BH_STATE_HELD};
	bh_loop_forget_streak(loop, id); /* switched on again it begins anew */
	if (webhook) {
		pending.to = BH_STATE_HELD;
		pending.reason = "The webhook is disabled.";
		bh_loop_sweep(loop, &pending);
	} else {
		pending.to = held.to = BH_STATE_CANCELLED;
		pending.reason = held.reason = "The webhook was removed.";
		bh_loop_sweep(loop, &pending);
		bh_loop_sweep(loop, &held);
	}
}

void bh_loop_offer(bh_loop *loop, const bh_waiting *w, bh_event *event, bool is_urgent)
{
	const bh_webhook *webhook = w->is_test ? bh_snapshot_webhook(loop->snapshot, w->webhook) : NULL;
	if (webhook) {
		bh_lane_terms terms = terms_of(webhook);
		bh_scheduler_offer_test(loop->scheduler, w, event, &terms, loop->now);
	} else if (bh_scheduler_offer(loop->scheduler, w, event, is_urgent, loop->now) == BH_OFFER_CLOSED) {
		bh_loop_look_at(loop, w->webhook);
	}
}

static void hear_fresh(bh_loop *loop, bh_fresh *fresh)
{
	for (size_t i = 0; i < fresh->count; i++)
		bh_loop_offer(loop, &fresh->deliveries[i], fresh->event, false);
	bh_event_unref(fresh->event);
	g_free(fresh);
}

static void hear_due(bh_loop *loop, bh_due *due)
{
	bh_loop_offer(loop, &due->waiting, NULL, due->by_hand);
	g_free(due);
}

void bh_use_free(bh_use *use)
{
	bh_guard_unref(use->guard);
	bh_methods_unref(use->methods);
	bh_lookup_config_free(use->lookup);
	g_free(use);
}

static void hear_use(bh_loop *loop, bh_message *message)
{
	loop->policy = message->use->policy;
	loop->upkeep = message->use->upkeep;
	loop->total_timeout = message->use->total_timeout;
	loop->wire->use_guard(loop->transport, message->use->guard);
	bh_script_host_use(loop->scripts, message->use->methods);
	bh_script_host_lookup(loop->scripts, message->use->lookup);
	bh_use_free(message->use);
	g_free(message);
}

static void begin_stop(bh_loop *loop)
{
	bh_usec longest = MAX(loop->total_timeout, TIMEOUT_OF_WEBHOOK_MAX);

	loop->stopping = true;
	loop->stop_until = bh_mono_add(loop->now.mono, longest + STOP_PATIENCE);
}

static void hear_one(bh_loop *loop, bh_message *message)
{
	switch (message->kind) {
	case BH_MESSAGE_FRESH:
		hear_fresh(loop, (bh_fresh *)message);
		return;
	case BH_MESSAGE_DUE:
		hear_due(loop, (bh_due *)message);
		return;
	case BH_MESSAGE_CHANGED:
		bh_loop_look_at(loop, message->webhook);
		g_free(message);
		return;
	case BH_MESSAGE_RECOVERY:
		bh_loop_read_recovery_of(loop, message->webhook);
		g_free(message);
		return;
	case BH_MESSAGE_PAPER:
		bh_loop_paper_back(loop, message->paper);
		return;
	case BH_MESSAGE_USE:
		hear_use(loop, message);
		return;
	case BH_MESSAGE_STOP:
		begin_stop(loop);
		g_free(message);
		return;
	}
	g_assert_not_reached();
}

static bh_message *take_inbox(bh_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	bh_message *first = loop->inbox;
	loop->inbox = NULL;
	loop->inbox_end = &loop->inbox;
	loop->sleeping = false;
	loop->wake_wanted = false;
	pthread_mutex_unlock(&loop->lock);
	return first;
}

static void hear(bh_loop *loop)
{
	bh_message *message = take_inbox(loop);
	/* After the inbox: what a message speaks of is in this snapshot. */
	g_clear_pointer(&loop->snapshot, bh_snapshot_unref);
	loop->snapshot = bh_directory_now(loop->directory);
	while (message) {
		bh_message *next = message->next;
		hear_one(loop, message);
		message = next;
	}
}

/* --- refill ---------------------------------------------------------------------------------------- */

/* Lanes of one manager read the same events one after the other: the last ones read are kept at hand. */
static bh_event **recent_place(bh_loop *loop, bh_id event)
{
	return &loop->recent[g_int64_hash(&event) % G_N_ELEMENTS(loop->recent)];
}

static void keep_recent(bh_loop *loop, bh_event *event)
{
	bh_event **place = recent_place(loop, event->id);
	if (event->bytes > RECENT_BYTES_MAX || *place == event)
		return;
	g_clear_pointer(place, bh_event_unref);
	*place = bh_event_ref(event);
}

static void forget_recent(bh_loop *loop)
{
	for (size_t i = 0; i < G_N_ELEMENTS(loop->recent); i++)
		g_clear_pointer(&loop->recent[i], bh_event_unref);
}

/* As far as it goes: a payload that is missing here is asked for when its delivery is sent, and then its trouble is told. */
static void read_payloads(bh_loop *loop, const GArray *rows, bh_event **events)
{
	const bh_waiting *row = (const bh_waiting *)(void *)rows->data;
	for (guint i = 0; i < rows->len; i++) {
		bh_event *known = *recent_place(loop, row[i].event);
		if (known && known->id == row[i].event)
			events[i] = bh_event_ref(known);
	}
	(void)bh_reader_payloads(loop->reader, row, rows->len, REFILL_BYTES_MAX, events, NULL);
	for (guint i = 0; i < rows->len; i++)
		if (events[i])
			keep_recent(loop, events[i]);
}

static void refill(bh_loop *loop, const bh_decision *d)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(bh_waiting));
	g_autofree bh_event **events = g_new0(bh_event *, d->limit);
	if (bh_reader_waiting(loop->reader, d->webhook, d->after_due, d->after_id, d->limit, rows, &error)) {
		read_payloads(loop, rows, events);
		bh_scheduler_refilled(loop->scheduler, d->webhook, (bh_waiting *)(void *)rows->data, events, rows->len,
				      d->limit, loop->now);
	} else {
		bh_log(BH_WARNING, "delivery", "waiting deliveries not read, tried again in a second",
		       BH_ID("webhook", BH_ID_WEBHOOK, d->webhook), BH_STR("why", error->message));
		bh_scheduler_refill_failed(loop->scheduler, d->webhook,
					   bh_mono_add(loop->now.mono, REFILL_AGAIN_AFTER));
	}
	for (size_t i = 0; i < rows->len; i++)
		if (events[i])
			bh_event_unref(events[i]);
}

/* --- send ---------------------------------------------------------------------------------------- */

static void begin(bh_loop *loop, bh_item *item)
{
	bh_usec late = bh_mono_since(loop->now.mono, item->due);
	bh_count(&loop->counts.sent, 1);
	bh_count(&loop->counts.delay_us, (uint64_t)MAX(0, late));
	bh_attempt_begin(loop, item);
}

/* Starts what may be started; returns how long the scheduler has nothing to do, -1 for ever. */
static bh_usec send_due(bh_loop *loop)
{
	if (loop->stopping)
		return -1;
	for (;;) {
		bh_decision d = bh_scheduler_next(loop->scheduler, loop->now);
		switch (d.kind) {
		case BH_DECIDE_SEND:
			begin(loop, d.item);
			break;
		case BH_DECIDE_REFILL:
			refill(loop, &d);
			break;
		case BH_DECIDE_WAIT:
			return d.wait;
		}
	}
}

/* --- Turns --------------------------------------------------------------------------------------- */

static void show_facts(bh_loop *loop)
{
	bh_scheduler_facts facts = bh_scheduler_look(loop->scheduler);
	atomic_store_explicit(&loop->counts.waiting, facts.waiting, memory_order_relaxed);
	atomic_store_explicit(&loop->counts.in_flight, facts.in_flight, memory_order_relaxed);
	atomic_store_explicit(&loop->counts.recording, facts.recording, memory_order_relaxed);
	atomic_store_explicit(&loop->counts.lanes, facts.lanes, memory_order_relaxed);
	atomic_store_explicit(&loop->counts.retries, facts.retries_in_flight, memory_order_relaxed);
	atomic_store_explicit(&loop->counts.breakers, facts.breakers, memory_order_relaxed);
	atomic_store_explicit(&loop->counts.failing, g_hash_table_size(loop->streaks), memory_order_relaxed);
	atomic_store_explicit(&loop->counts.recoveries, loop->recoveries->len, memory_order_relaxed);
}

/* What looks at every lane is shown once a second, and when the loop has nothing left to do. */
static void show_oldest_due(bh_loop *loop, bool rests)
{
	if (!rests && bh_mono_since(loop->now.mono, loop->facts_at) < BH_SECOND)
		return;
	if (rests && atomic_load_explicit(&loop->counts.oldest_due, memory_order_relaxed) == 0)
		return;
	bh_mono due = {0};
	(void)bh_scheduler_oldest_due(loop->scheduler, loop->now.mono, &due); /* none: 0 */
	atomic_store_explicit(&loop->counts.oldest_due, due.us, memory_order_relaxed);
	loop->facts_at = loop->now.mono;
}

static bh_usec sooner(bh_usec a, bh_usec b)
{
	if (a < 0)
		return b;
	return b < 0 ? a : MIN(a, b);
}

static bh_usec time_to_sleep(bh_loop *loop, bh_usec scheduler_wait)
{
	if (bh_turns_awaited(loop))
		return 0;
	bh_usec wait = sooner(scheduler_wait, loop->wire->next(loop->transport, loop->now));
	if (!g_queue_is_empty(&loop->postponed))
		wait = sooner(wait, MAX(0, bh_mono_since(loop->postponed_until, loop->now.mono)));
	wait = sooner(wait, bh_upkeep_next(loop));
	wait = sooner(wait, bh_loop_recover_next(loop));
	if (loop->stopping)
		wait = sooner(wait, MAX(0, bh_mono_since(loop->stop_until, loop->now.mono)));
	return wait;
}

bool bh_loop_is_done(const bh_loop *loop)
{
	if (!loop->stopping)
		return false;
	size_t in_flight = bh_scheduler_look(loop->scheduler).in_flight;
	if (in_flight == 0 && loop->papers_out == 0)
		return true;
	if (!bh_mono_reached(loop->now.mono, loop->stop_until))
		return false;
	bh_log(BH_WARNING, "delivery", "stopped before everything was recorded; it is sent again at the next start",
	       BH_INT("in_flight", (int64_t)in_flight), BH_INT("unrecorded", (int64_t)loop->papers_out));
	return true;
}

static void read_clock(bh_loop *loop)
{
	loop->now = bh_clock_steady_now();
	loop->wall = bh_clock_wall();
}

bool bh_loop_prepare(bh_loop *loop, GError **error)
{
	loop->reader = bh_reader_new(loop->store, error);
	if (!loop->reader)
		return false;
	read_clock(loop);
	loop->snapshot = bh_directory_now(loop->directory);
	bh_upkeep_begin(loop);
	return true;
}

bh_usec bh_loop_turn(bh_loop *loop)
{
	read_clock(loop);
	bh_turns_begin(loop);
	hear(loop);
	loop->wire->turn(loop->transport, loop->now);
	bh_turns_give(loop);
	bh_loop_resubmit_due(loop);
	bh_upkeep_look(loop);
	bh_loop_recover_due(loop);
	bh_usec idle = send_due(loop), wait = time_to_sleep(loop, idle);
	show_facts(loop);
	show_oldest_due(loop, idle != 0 && bh_scheduler_look(loop->scheduler).in_flight == 0);
	return wait;
}

void bh_loop_end(bh_loop *loop)
{
	bh_attempts_abandon(loop);
	forget_recent(loop);
	bh_loop_abandon_postponed(loop);
	g_clear_pointer(&loop->snapshot, bh_snapshot_unref);
	g_clear_pointer(&loop->reader, bh_reader_free);
}

/* Not asleep while a message is there: who posts it then need not wake us. */
bool bh_loop_may_sleep(bh_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->awaits_records = loop->stopping || bh_scheduler_awaits_records(loop->scheduler);
	bool has_mail = loop->inbox && (loop->wake_wanted || loop->awaits_records);
	loop->sleeping = !has_mail;
	pthread_mutex_unlock(&loop->lock);
	return !has_mail;
}

bool bh_loop_is_asleep(bh_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	bool asleep = loop->sleeping;
	pthread_mutex_unlock(&loop->lock);
	return asleep;
}

/* --- The thread ---------------------------------------------------------------------------------- */

static int milliseconds(bh_usec wait)
{
	return (int)MIN((wait + BH_MILLISECOND - 1) / BH_MILLISECOND, BH_HOUR / BH_MILLISECOND);
}

static void pass_on(bh_loop *loop, const struct epoll_event *event)
{
	uint64_t ignored;

	if (event->data.u64 == WAKE_MARK)
		(void)!read(loop->wake_fd, &ignored, sizeof(ignored)); /* woken is all it says */
	else
		loop->wire->ready(loop->transport, event->data.u64, event->events);
}

static void sleep_until_something(bh_loop *loop, bh_usec wait)
{
	struct epoll_event events[EPOLL_EVENTS];
	int count = epoll_wait(loop->epoll_fd, events, EPOLL_EVENTS, bh_loop_may_sleep(loop) ? milliseconds(wait) : 0);

	g_assert(count >= 0 || errno == EINTR);
	for (int i = 0; i < count; i++)
		pass_on(loop, &events[i]);
}

static void *loop_main(void *data)
{
	bh_loop *loop = data;
	g_autoptr(GError) error = NULL;

	if (!bh_loop_prepare(loop, &error))
		g_error("delivery: cannot read the store: %s", error->message);
	for (;;) {
		bh_usec wait = bh_loop_turn(loop);
		if (bh_loop_is_done(loop))
			break;
		sleep_until_something(loop, wait);
	}
	bh_loop_end(loop);
	return NULL;
}

bool bh_loop_start(bh_loop *loop, GError **error)
{
	int failed = pthread_create(&loop->thread, NULL, loop_main, loop);
	if (failed) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot start a delivery loop: %s", g_strerror(failed));
		return false;
	}
	g_autofree char *name = g_strdup_printf("bh-deliver-%d", loop->number);
	pthread_setname_np(loop->thread, name);
	return true;
}
