/*
 * One turn of the journal's thread, in the order of time:
 *
 *   gather    sleep until somebody waits, or records have waited long enough
 *   prepare   make the directory's changes on a snapshot of our own; what contradicts it leaves the batch
 *   commit    everything in one transaction
 *   publish   the directory as it now is on disk
 *   tell      listeners first (they can send while we talk), then each entry's `done`
 */
#include "journal/journal.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/steady.h"

#include <pthread.h>
#include <string.h>

/* Nobody waits for a record of an attempt, so it rides with the next commit for up to this long. */
#define LAZY_WAIT (5 * BH_MILLISECOND)
/* So many lazy entries are worth a commit of their own. */
#define LAZY_FULL 512
/* While callers are many, a commit waits this long for as many as the last one had: one fsync serves all. */
#define GATHER_WAIT (2 * BH_MILLISECOND)
#define MANY_CALLERS 4
/* When the store does not take writes and nobody comes with one, so often it is tried whether it does again. */
#define PROBE_EVERY (2 * BH_SECOND)
/* A transaction's size is bounded, so that nobody waits for a huge one. */
#define BATCH_ENTRIES_MAX 4096

typedef struct queue {
	bh_entry *first, **end;
	size_t urgent, lazy;
} queue;

struct bh_journal {
	bh_store *store;
	bh_directory *directory;
	bh_journal_listener listener;
	size_t queue_max;
	bool by_hand; /* there is no thread: see bh_journal_turn */
	pthread_t thread;

	pthread_mutex_t lock; /* guards the rest of this block */
	pthread_cond_t wake;
	queue queue;
	bool sleeping;
	bool closing;
	bh_journal_stats stats;

	/* The thread's own. */
	size_t last_urgent; /* callers served by the last commit */
	bool directory_unsure; /* nobody knows whether its last change was kept: it is read again before anything else is done */
};

/* A batch under way: the thread's own, reused. */
typedef struct batch {
	GPtrArray *entries; /* bh_entry, those the directory did not refuse */
	GPtrArray *refused; /* bh_entry */
	GPtrArray *writes; /* bh_write of all entries */
	bh_snapshot *before, *after; /* references; equal when the directory does not change */
} batch;

/* --- gather ---------------------------------------------------------------------------------- */

static void queue_clear(queue *q)
{
	*q = (queue){.end = &q->first};
}

static void timed_wait(bh_journal *j, bh_mono until)
{
	struct timespec at = {.tv_sec = until.us / BH_SECOND, .tv_nsec = until.us % BH_SECOND * 1000};
	pthread_cond_timedwait(&j->wake, &j->lock, &at);
}

static void wait_for_work(bh_journal *j)
{
	bh_mono probe_at = bh_mono_add(bh_clock_mono(), PROBE_EVERY);
	j->sleeping = true;
	while (!j->closing && j->queue.urgent + j->queue.lazy == 0 && !bh_mono_reached(bh_clock_mono(), probe_at)) {
		if (j->stats.failing)
			timed_wait(j, probe_at);
		else
			pthread_cond_wait(&j->wake, &j->lock);
	}

	bh_mono until = bh_mono_add(bh_clock_mono(), LAZY_WAIT);
	while (!j->closing && j->queue.urgent == 0 && j->queue.lazy < LAZY_FULL &&
	       !bh_mono_reached(bh_clock_mono(), until))
		timed_wait(j, until);
	j->sleeping = false;
}

/* With many callers, those of the last commit are about to ask again: let them share this one. */
static void wait_for_company(bh_journal *j)
{
	if (j->last_urgent < MANY_CALLERS)
		return;
	bh_mono until = bh_mono_add(bh_clock_mono(), GATHER_WAIT);
	while (!j->closing && j->queue.urgent < j->last_urgent && !bh_mono_reached(bh_clock_mono(), until))
		timed_wait(j, until);
}

/* Takes up to BATCH_ENTRIES_MAX of the queue; nothing, when it is time to probe. False: closing (or turned by hand) and nothing left. */
static bool gather(bh_journal *j, batch *b)
{
	pthread_mutex_lock(&j->lock);
	if (!j->by_hand) {
		wait_for_work(j);
		wait_for_company(j);
	}
	bool any = j->queue.first;

	size_t urgent = 0;
	while (j->queue.first && b->entries->len < BATCH_ENTRIES_MAX) {
		bh_entry *entry = j->queue.first;
		j->queue.first = entry->next;
		if (entry->lazy)
			j->queue.lazy--;
		else
			urgent++;
		g_ptr_array_add(b->entries, entry);
	}
	j->queue.urgent -= urgent;
	if (!j->queue.first)
		j->queue.end = &j->queue.first;
	j->last_urgent = urgent;
	bool goes_on = any || !(j->closing || j->by_hand);
	pthread_mutex_unlock(&j->lock);
	return goes_on;
}

/* --- prepare --------------------------------------------------------------------------------- */

/*
 * Deliveries are held while their webhook is disabled and released while it is enabled. A sweep takes many steps; if the
 * webhook is switched once more meanwhile, the rest of them would hold what nobody releases again, and two sweeps
 * could chase each other for ever. One that a person retries just after the last sweep would wait for nobody in the same way.
 */
static bool check_switch(const bh_snapshot *now, const bh_write *w, GError **error)
{
	const bh_webhook *webhook = bh_snapshot_webhook(now, w->webhook_id);
	bool releases = w->state == BH_STATE_PENDING;

	if (bh_state_is_final(w->state) || (webhook && (webhook->disabled == BH_ENABLED) == releases))
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT, "the webhook is %s by now",
		    !webhook   ? "removed"
		    : releases ? "disabled"
			       : "enabled");
	return false;
}

/* The directory as it will be with the entry. NULL: the two contradict each other, and entry->refused says how. */
static bh_snapshot *with_entry(bh_snapshot *now, bh_entry *entry)
{
	g_autoptr(bh_snapshot) next = bh_snapshot_ref(now);
	for (size_t i = 0; i < entry->count; i++) {
		const bh_write *w = entry->writes[i];
		bool to_pending = w->state == BH_STATE_PENDING;
		bool switches = w->kind == BH_WRITE_SWEEP ||
				(to_pending && (w->kind == BH_WRITE_MOVE || w->kind == BH_WRITE_RECOVER));
		if (switches && !check_switch(next, w, &entry->refused))
			return NULL;
		if (w->kind != BH_WRITE_CHANGE)
			continue;
		bh_snapshot *changed = bh_snapshot_with(next, w->change, &entry->refused);
		if (!changed)
			return NULL;
		bh_snapshot_unref(next);
		next = changed;
	}
	return g_steal_pointer(&next);
}

/*
 * An event is judged before its batch is gathered, and its webhook may have been switched or removed in between: by then
 * the sweep that followed the switch may be over, and what comes late would be held, or wait, for ever. So the state
 * of a fresh delivery is decided here, by the directory that becomes durable with it. Due at once, on the clock that the lanes go by.
 */
static void settle(bh_delivery *d, const bh_snapshot *after, bh_usec now)
{
	const bh_webhook *webhook = bh_snapshot_webhook(after, d->webhook_id);

	d->created_at = now;
	d->due_at = now + d->delay;
	d->ended_at = webhook ? 0 : now;
	if (!webhook) {
		d->state = BH_STATE_CANCELLED;
		d->reason = (char *)"Its webhook was removed.";
	} else if (webhook->disabled && !d->is_test) {
		d->state = BH_STATE_HELD;
		d->reason = (char *)"The webhook is disabled.";
	} else {
		d->state = BH_STATE_PENDING;
		d->reason = NULL;
	}
}

static void settle_write(bh_write *w, const bh_snapshot *after, bh_usec now)
{
	if (w->kind == BH_WRITE_EVENT || w->kind == BH_WRITE_REPLAY)
		for (size_t d = 0; d < w->delivery_count; d++)
			settle(w->deliveries[d], after, now);
	else if (w->kind == BH_WRITE_MOVE || w->kind == BH_WRITE_SWEEP || w->kind == BH_WRITE_RECOVER)
		w->due_at = now;
}

static void prepare(bh_journal *j, batch *b)
{
	b->before = bh_directory_now(j->directory);
	b->after = bh_snapshot_ref(b->before);
	bh_usec now = bh_clock_steady(bh_clock_mono());

	size_t kept = 0;
	for (size_t i = 0; i < b->entries->len; i++) {
		bh_entry *entry = b->entries->pdata[i];
		bh_snapshot *next = with_entry(b->after, entry);
		if (!next) {
			g_ptr_array_add(b->refused, entry);
			continue;
		}
		bh_snapshot_unref(b->after);
		b->after = next;
		b->entries->pdata[kept++] = entry;
		for (size_t w = 0; w < entry->count; w++)
			g_ptr_array_add(b->writes, entry->writes[w]);
	}
	g_ptr_array_set_size(b->entries, (gint)kept);
	for (guint i = 0; i < b->writes->len; i++)
		settle_write(b->writes->pdata[i], b->after, now);
}

/* --- commit ---------------------------------------------------------------------------------- */

static bool commit(bh_journal *j, batch *b, GError **error)
{
	if (b->writes->len == 0)
		return true;
	BH_FAULT("journal.before-commit");
	bool ok = bh_store_apply(j->store, (bh_write *const *)b->writes->pdata, b->writes->len, error);
	BH_FAULT("journal.after-commit");
	return ok;
}

/* The transaction failed for what is in it, not for the disk. */
static bool is_fault_of_content(const GError *error)
{
	return g_error_matches(error, BH_ERROR, BH_ERROR_INVALID) ||
	       g_error_matches(error, BH_ERROR, BH_ERROR_CONFLICT);
}

static void note(bh_journal *j, const batch *b, const GError *error)
{
	bool failing = error && !is_fault_of_content(error);

	pthread_mutex_lock(&j->lock);
	bool was_failing = j->stats.failing;
	j->stats.batches++;
	j->stats.writes += error ? 0 : b->writes->len;
	j->stats.failures += error ? 1 : 0;
	j->stats.failing = failing;
	g_strlcpy(j->stats.last_error, error ? error->message : "", sizeof(j->stats.last_error));
	pthread_mutex_unlock(&j->lock);

	if (error && !failing)
		bh_log(BH_ERR, "journal", "the store refused an entry", BH_STR("why", error->message));
	else if (failing && !was_failing)
		bh_log(BH_ERR, "journal", "the store does not take writes; callers are told to come again",
		       BH_STR("why", error->message));
	else if (!failing && was_failing)
		bh_log(BH_WARNING, "journal", "the store takes writes again", BH_INT("writes", b->writes->len));
}

/* --- publish and tell ------------------------------------------------------------------------ */

static bh_id webhook_of(const bh_change *change)
{
	if (change->kind == BH_CHANGE_WEBHOOK_PUT)
		return change->webhook->id;
	return change->kind == BH_CHANGE_WEBHOOK_REMOVE ? change->id : 0;
}

/* A manager takes his webhooks along; nothing in the change names them, so the snapshot before it does. */
static void tell_removed_manager(bh_journal *j, const bh_snapshot *before, const char *manager)
{
	size_t count;
	bh_webhook *const *webhooks = bh_snapshot_webhooks_of(before, manager, &count);
	for (size_t i = 0; i < count; i++)
		j->listener.webhook_changed(j->listener.user, webhooks[i]->id);
}

static void tell_change(bh_journal *j, const bh_snapshot *before, const bh_change *change)
{
	bh_id webhook = webhook_of(change);
	if (webhook)
		j->listener.webhook_changed(j->listener.user, webhook);
	else if (change->kind == BH_CHANGE_MANAGER_REMOVE)
		tell_removed_manager(j, before, change->name);
}

static void tell_due(bh_journal *j, const bh_write *w)
{
	for (size_t i = 0; j->listener.due && i < w->due_count; i++) {
		bool by_hand = w->kind == BH_WRITE_MOVE && w->due[i].delivery == w->delivery_id;
		j->listener.due(j->listener.user, &w->due[i], by_hand);
	}
}

static void tell_recovery(bh_journal *j, bh_id webhook)
{
	if (j->listener.recovery_changed)
		j->listener.recovery_changed(j->listener.user, webhook);
}

static void tell_listener(bh_journal *j, const bh_snapshot *before, const bh_write *w)
{
	const bh_journal_listener *l = &j->listener;

	if (w->result != BH_WRITE_DONE)
		return;
	switch (w->kind) {
	case BH_WRITE_EVENT:
	case BH_WRITE_REPLAY:
		if (w->delivery_count > 0)
			l->fresh(l->user, w->event, w->deliveries, w->delivery_count);
		return;
	case BH_WRITE_RECORD:
		tell_due(j, w);
		return;
	case BH_WRITE_CHANGE:
		tell_change(j, before, w->change);
		return;
	case BH_WRITE_MOVE:
		tell_due(j, w);
		if (w->state != BH_STATE_PENDING)
			l->webhook_changed(l->user, w->webhook_id);
		return;
	case BH_WRITE_SWEEP:
		if (w->state == BH_STATE_PENDING)
			l->webhook_changed(l->user, w->webhook_id);
		return;
	case BH_WRITE_RECOVERY:
		tell_recovery(j, w->recovery->webhook_id);
		return;
	case BH_WRITE_RECOVER:
		if (w->swept > 0)
			l->webhook_changed(l->user, w->webhook_id);
		return;
	case BH_WRITE_RECOVERY_END:
		tell_recovery(j, w->webhook_id);
		return;
	case BH_WRITE_STREAK:
	case BH_WRITE_AUDIT:
		return;
	}
}

/* Nobody knows what was kept of it. Who asks the store again is right either way. */
static void tell_unsure(bh_journal *j, const bh_write *w)
{
	const bh_journal_listener *l = &j->listener;

	if (w->kind == BH_WRITE_RECORD)
		return; /* its loop hands it in again, and then sees */
	for (size_t i = 0; i < w->delivery_count; i++)
		l->webhook_changed(l->user, w->deliveries[i]->webhook_id);
	if (w->kind == BH_WRITE_RECOVERY || w->kind == BH_WRITE_RECOVERY_END)
		tell_recovery(j, w->kind == BH_WRITE_RECOVERY ? w->recovery->webhook_id : w->webhook_id);
	else if (w->webhook_id)
		l->webhook_changed(l->user, w->webhook_id);
}

static void finish(bh_entry *entry, const GError *error)
{
	g_autoptr(GError) refused = entry->refused; /* the entry shows it to `done`, and may be gone afterwards */
	entry->done(entry, refused ? refused : error);
}

static void tell(bh_journal *j, batch *b, const GError *error)
{
	bool unsure = g_error_matches(error, BH_ERROR, BH_ERROR_UNSURE);

	for (size_t i = 0; i < b->writes->len && (!error || unsure); i++) {
		if (unsure)
			tell_unsure(j, b->writes->pdata[i]);
		else
			tell_listener(j, b->before, b->writes->pdata[i]);
	}
	if (!error || unsure)
		j->listener.flush(j->listener.user);
	BH_FAULT("journal.told-listeners");
	for (size_t i = 0; i < b->entries->len; i++)
		finish(b->entries->pdata[i], error);
	for (size_t i = 0; i < b->refused->len; i++)
		finish(b->refused->pdata[i], NULL);
}

static void publish(bh_journal *j, batch *b)
{
	if (b->after != b->before)
		bh_directory_publish(j->directory, bh_snapshot_ref(b->after));
}

/* --- The directory after an unsure commit ------------------------------------------------------ */

static void tell_all(bh_journal *j, const bh_snapshot *s)
{
	g_autoptr(GPtrArray) webhooks = bh_snapshot_page_webhooks(s, NULL, 0, bh_snapshot_webhook_count(s));

	for (guint i = 0; i < webhooks->len; i++)
		j->listener.webhook_changed(j->listener.user, ((bh_webhook *)webhooks->pdata[i])->id);
}

/* The store alone knows. Until it says so, nothing is judged by a directory that may be another. */
static bool read_directory(bh_journal *j, GError **error)
{
	bh_snapshot *kept = bh_store_load_directory(j->store, error);
	if (!kept)
		return false;
	g_autoptr(bh_snapshot) before = bh_directory_now(j->directory), after = bh_snapshot_ref(kept);
	bh_directory_publish(j->directory, kept);
	j->directory_unsure = false;
	tell_all(j, before); /* those that are gone, too */
	tell_all(j, after);
	j->listener.flush(j->listener.user);
	return true;
}

static batch batch_new(void)
{
	return (batch){.entries = g_ptr_array_new(), .refused = g_ptr_array_new(), .writes = g_ptr_array_new()};
}

static void batch_reset(batch *b)
{
	g_ptr_array_set_size(b->entries, 0);
	g_ptr_array_set_size(b->refused, 0);
	g_ptr_array_set_size(b->writes, 0);
	g_clear_pointer(&b->before, bh_snapshot_unref);
	g_clear_pointer(&b->after, bh_snapshot_unref);
}

static void batch_clear(batch *b)
{
	batch_reset(b);
	g_ptr_array_unref(b->entries);
	g_ptr_array_unref(b->refused);
	g_ptr_array_unref(b->writes);
}

static void run_batch(bh_journal *j, batch *b);

/* One bad entry does not take its neighbours along: each gets a transaction of its own. */
static void run_one_by_one(bh_journal *j, batch *b)
{
	batch one = batch_new();
	for (size_t i = 0; i < b->entries->len; i++) {
		g_ptr_array_add(one.entries, b->entries->pdata[i]);
		run_batch(j, &one);
		batch_reset(&one);
	}
	batch_clear(&one);
	g_ptr_array_set_size(b->entries, 0);
	g_ptr_array_set_size(b->writes, 0);
}

static void run_batch(bh_journal *j, batch *b)
{
	g_autoptr(GError) error = NULL;
	bool knows = !j->directory_unsure || read_directory(j, &error);
	if (knows)
		prepare(j, b);
	bool kept = knows && commit(j, b, &error);
	if (!kept && b->entries->len > 1 && is_fault_of_content(error)) {
		run_one_by_one(j, b);
		g_clear_error(&error); /* told to whom it concerns */
	} else {
		note(j, b, error);
	}
	if (kept) {
		publish(j, b);
	} else if (g_error_matches(error, BH_ERROR, BH_ERROR_UNSURE) && b->after != b->before) {
		j->directory_unsure = true;
		(void)read_directory(j, NULL); /* if not now, then before the next batch, which hears why */
	}
	BH_FAULT("journal.published");
	tell(j, b, error);
}

/*
 * The store failed, and nobody comes with a write that would show that it works again: callers who ask /readyz first
 * would stay away for ever.
 */
static void probe(bh_journal *j, const batch *b)
{
	g_autoptr(GError) error = NULL;
	(void)bh_store_apply(j->store, NULL, 0, &error); /* how it went is noted */
	note(j, b, error);
}

static void *journal_main(void *data)
{
	bh_journal *j = data;
	batch b = batch_new();
	while (gather(j, &b)) {
		if (b.entries->len > 0)
			run_batch(j, &b);
		else if (j->stats.failing) /* only this thread writes it */
			probe(j, &b);
		batch_reset(&b);
	}
	batch_clear(&b);
	return NULL;
}

bool bh_journal_turn(bh_journal *j)
{
	g_assert(j->by_hand);
	batch b = batch_new();
	bool any = gather(j, &b);
	if (any)
		run_batch(j, &b);
	batch_clear(&b);
	return any;
}

/* --- The door -------------------------------------------------------------------------------- */

static bh_journal *journal_new(bh_store *store, bh_directory *directory, const bh_journal_listener *listener,
			       size_t queue_max)
{
	bh_journal *j = g_new0(bh_journal, 1);
	j->store = store;
	j->directory = directory;
	j->listener = *listener;
	j->queue_max = queue_max;
	queue_clear(&j->queue);
	pthread_mutex_init(&j->lock, NULL);

	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&j->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return j;
}

static void journal_free(bh_journal *j)
{
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
	g_free(j);
}

bh_journal *bh_journal_open(bh_store *store, bh_directory *directory, const bh_journal_listener *listener,
			    size_t queue_max, GError **error)
{
	bh_journal *j = journal_new(store, directory, listener, queue_max);
	int failed = pthread_create(&j->thread, NULL, journal_main, j);
	if (failed) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot start the journal's thread: %s", g_strerror(failed));
		journal_free(j);
		return NULL;
	}
	pthread_setname_np(j->thread, "bh-journal");
	return j;
}

bh_journal *bh_journal_open_by_hand(bh_store *store, bh_directory *directory, const bh_journal_listener *listener,
				    size_t queue_max)
{
	bh_journal *j = journal_new(store, directory, listener, queue_max);
	j->by_hand = true;
	return j;
}

bool bh_journal_submit(bh_journal *j, bh_entry *entry, GError **error)
{
	g_assert(entry->done && entry->count > 0);
	entry->next = NULL;
	entry->refused = NULL;

	pthread_mutex_lock(&j->lock);
	bool full = j->queue.urgent + j->queue.lazy >= j->queue_max;
	bool closing = j->closing;
	bool wake = false;
	if (!full && !closing) {
		*j->queue.end = entry;
		j->queue.end = &entry->next;
		size_t *count = entry->lazy ? &j->queue.lazy : &j->queue.urgent;
		++*count;
		/* A sleeper is woken by the first of either kind, and by what makes the lazy ones worth a commit. */
		wake = j->sleeping ? (*count == 1 || j->queue.lazy == LAZY_FULL) : j->queue.urgent == j->last_urgent;
	}
	if (wake)
		pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);

	if (full)
		g_set_error(error, BH_ERROR, BH_ERROR_BUSY,
			    "the journal's queue of %zu entries is full; try again in a moment", j->queue_max);
	else if (closing)
		g_set_error(error, BH_ERROR, BH_ERROR_BUSY, "Bellhop is stopping; try again when it is back");
	return !full && !closing;
}

typedef struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool is_over;
	GError *error;
} waiter;

typedef struct waited_entry {
	bh_entry entry;
	waiter waiter;
} waited_entry;

static void wake_waiter(bh_entry *entry, const GError *error)
{
	waiter *w = &((waited_entry *)entry)->waiter;
	pthread_mutex_lock(&w->lock);
	w->error = error ? g_error_copy(error) : NULL;
	w->is_over = true;
	pthread_cond_signal(&w->over);
	pthread_mutex_unlock(&w->lock);
}

bool bh_journal_submit_and_wait(bh_journal *j, bh_entry *entry, GError **error)
{
	waited_entry waited = {
		.entry = {.writes = entry->writes, .count = entry->count, .done = wake_waiter},
		.waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER},
	};
	if (!bh_journal_submit(j, &waited.entry, error))
		return false;

	while (j->by_hand && !waited.waiter.is_over)
		(void)bh_journal_turn(j); /* what stands before it in the queue goes first */
	pthread_mutex_lock(&waited.waiter.lock);
	while (!waited.waiter.is_over)
		pthread_cond_wait(&waited.waiter.over, &waited.waiter.lock);
	pthread_mutex_unlock(&waited.waiter.lock);
	pthread_cond_destroy(&waited.waiter.over);
	pthread_mutex_destroy(&waited.waiter.lock);

	if (waited.waiter.error)
		g_propagate_error(error, waited.waiter.error);
	return !waited.waiter.error;
}

void bh_journal_close(bh_journal *j)
{
	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	j->closing = true;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
	if (j->by_hand)
		while (bh_journal_turn(j))
			;
	else
		pthread_join(j->thread, NULL);
	journal_free(j);
}

void bh_journal_stats_read(bh_journal *j, bh_journal_stats *ret)
{
	pthread_mutex_lock(&j->lock);
	*ret = j->stats;
	ret->queued = j->queue.urgent + j->queue.lazy;
	pthread_mutex_unlock(&j->lock);
}
