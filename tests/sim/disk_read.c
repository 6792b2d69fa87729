/* What readers of the memory store may ask; what no loop asks is answered as little as the door allows. */
#include "disk.h"

#include "base/error.h"

#include <string.h>

static memory *disk_of(bh_reader *r, GError **error)
{
	memory *m = ((memory_reader *)r)->memory;

	if (m->unreadable) {
		g_set_error_literal(error, BH_ERROR, BH_ERROR_BUSY, "the simulated store does not answer");
		return NULL;
	}
	return m;
}

static bh_reader *reader_new(bh_store *store, GError **error)
{
	memory_reader *r = g_new0(memory_reader, 1);

	(void)error;
	r->reader.backend = &memory_backend;
	r->memory = ((memory_view *)store)->memory;
	return &r->reader;
}

static void reader_free(bh_reader *r)
{
	g_free(r);
}

/* --- Waiting --------------------------------------------------------------------------------------------------- */

bh_waiting disk_waiting(const disk_row *row)
{
	const bh_delivery *d = &row->d;

	return (bh_waiting){.delivery = d->id,
			    .event = d->event_id,
			    .webhook = d->webhook_id,
			    .due_at = d->due_at,
			    .created_at = d->created_at,
			    .spent = d->spent,
			    .attempts = d->attempts,
			    .sequence = d->sequence,
			    .is_test = d->is_test,
			    .may_coalesce = d->coalesce_key != NULL,
			    .then = d->then};
}

static int compare_with_frontier(const void *row, const void *frontier, void *unused)
{
	const bh_delivery *a = &((const disk_row *)row)->d, *b = &((const disk_row *)frontier)->d;

	(void)unused;
	if (a->due_at != b->due_at)
		return a->due_at < b->due_at ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static bool waiting(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret,
		    GError **error)
{
	memory *m = disk_of(r, error);
	disk_lane *lane = m ? disk_find_lane(m, webhook) : NULL;
	disk_row frontier = {.d = {.due_at = after_due, .id = after_id}};

	if (!lane)
		return m;
	GSequenceIter *i = g_sequence_search(lane->shelf[SHELF_PENDING], &frontier, compare_with_frontier, NULL);
	for (; !g_sequence_iter_is_end(i) && limit > 0; i = g_sequence_iter_next(i), limit--) {
		const disk_row *row = g_sequence_get(i);
		if (row->d.due_at == BH_DUE_BLOCKED)
			break;
		bh_waiting w = disk_waiting(row);
		g_array_append_val(ret, w);
	}
	return true;
}

static int compare_ids(const void *a, const void *b)
{
	bh_id x = *(const bh_id *)a, y = *(const bh_id *)b;

	return x < y ? -1 : x > y;
}

static bool webhooks_waiting(bh_reader *r, bh_state state, GArray *ret, GError **error)
{
	memory *m = disk_of(r, error);
	GHashTableIter iter;
	void *value;

	if (!m)
		return false;
	g_hash_table_iter_init(&iter, m->lanes);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const disk_lane *lane = value;
		if (!g_sequence_is_empty(lane->shelf[disk_shelf_of(state)]))
			g_array_append_val(ret, lane->webhook);
	}
	g_array_sort(ret, compare_ids);
	return true;
}

static bool count_after(bh_reader *r, bh_id webhook, bh_state state, bh_id after, bh_usec since, size_t most,
			size_t *ret, GError **error)
{
	memory *m = disk_of(r, error);
	disk_lane *lane = m ? disk_find_lane(m, webhook) : NULL;
	GSequence *shelf = lane ? lane->shelf[disk_shelf_of(state)] : NULL;
	size_t count = 0;

	if (!m)
		return false;
	for (GSequenceIter *i = shelf ? g_sequence_get_begin_iter(shelf) : NULL;
	     i && !g_sequence_iter_is_end(i) && count < most; i = g_sequence_iter_next(i)) {
		const bh_delivery *d = &((disk_row *)g_sequence_get(i))->d;
		count += d->id > after && d->created_at >= since && !d->is_test;
	}
	*ret = count;
	return true;
}

static bool count(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error)
{
	memory *m = disk_of(r, error);
	disk_lane *lane = m ? disk_find_lane(m, webhook) : NULL;

	if (m)
		*ret = lane ? MIN(most, (size_t)g_sequence_get_length(lane->shelf[disk_shelf_of(state)])) : 0;
	return m;
}

static bool superseding(bh_reader *r, bh_id delivery, bh_usec now, bh_id before, bh_id *ret, GError **error)
{
	memory *m = disk_of(r, error);
	const disk_row *row = m ? disk_find(m, delivery) : NULL;
	const disk_row *newer = row ? disk_superseding(row, now, before) : NULL;

	if (m)
		*ret = newer ? newer->d.id : 0;
	return m;
}

/* --- Events and deliveries ------------------------------------------------------------------------------------- */

static bh_event *event(bh_reader *r, bh_id id, GError **error)
{
	memory *m = disk_of(r, error);
	bh_event *found = m ? g_hash_table_lookup(m->events, &id) : NULL;

	if (m && !found)
		g_set_error_literal(error, BH_ERROR, BH_ERROR_NOT_FOUND, "no such event");
	return found ? bh_event_ref(found) : NULL;
}

static bool payloads(bh_reader *r, const bh_waiting *rows, size_t wanted, size_t bytes_max, bh_event **events,
		     GError **error)
{
	memory *m = disk_of(r, error);
	size_t bytes = 0;

	for (size_t i = 0; m && i < wanted && bytes < bytes_max; i++) {
		bh_event *found = events[i] ? NULL : g_hash_table_lookup(m->events, &rows[i].event);
		if (found) {
			events[i] = bh_event_ref(found);
			bytes += found->bytes;
		}
	}
	return m;
}

static bh_event *event_of_caller(bh_reader *r, bh_id caller_key, const char *caller_id, GError **error)
{
	memory *m = disk_of(r, error);
	g_autofree char *key = g_strdup_printf("%" G_GINT64_FORMAT "/%s", caller_key, caller_id);
	bh_event *found = m ? g_hash_table_lookup(m->callers, key) : NULL;

	if (m && !found)
		g_set_error_literal(error, BH_ERROR, BH_ERROR_NOT_FOUND, "no such event");
	return found ? bh_event_ref(found) : NULL;
}

static bh_delivery *copy_of(const bh_delivery *d)
{
	bh_delivery *copy = g_memdup2(d, sizeof(*d));

	copy->manager_id = g_strdup(d->manager_id);
	copy->reason = g_strdup(d->reason);
	copy->order_key = g_strdup(d->order_key);
	copy->coalesce_key = g_strdup(d->coalesce_key);
	return copy;
}

static bh_delivery *delivery(bh_reader *r, bh_id id, GError **error)
{
	memory *m = disk_of(r, error);
	disk_row *row = m ? disk_find(m, id) : NULL;

	if (m && !row)
		g_set_error_literal(error, BH_ERROR, BH_ERROR_NOT_FOUND, "no such delivery");
	return row ? copy_of(&row->d) : NULL;
}

static void free_kept(void *kept)
{
	g_free(kept);
}

static GPtrArray *attempts(bh_reader *r, bh_id id, int after, size_t limit, GError **error)
{
	memory *m = disk_of(r, error);
	disk_row *row = m ? disk_find(m, id) : NULL;
	GPtrArray *found = m ? g_ptr_array_new_with_free_func(free_kept) : NULL;

	for (guint i = 0; row && row->attempts && i < row->attempts->len && found->len < limit; i++) {
		const disk_attempt *a = &g_array_index(row->attempts, disk_attempt, i);
		if (a->number <= after)
			continue;
		bh_attempt_kept *kept = g_new0(bh_attempt_kept, 1);
		kept->row = (bh_attempt_row){.delivery_id = id,
					     .number = a->number,
					     .started_at = a->started_at,
					     .status = a->status,
					     .outcome = a->outcome,
					     .cause = a->cause,
					     .sentence = "",
					     .http_version = "",
					     .address = "",
					     .request = "",
					     .response = "",
					     .shape = "standard"};
		g_ptr_array_add(found, kept);
	}
	return found;
}

/* --- Streaks and recoveries ------------------------------------------------------------------------------------ */

static bool is_running(const bh_streak *streak)
{
	return streak->failing_since || streak->first_exhausted || streak->last_exhausted || streak->warned;
}

static bool streak(bh_reader *r, bh_id webhook, bh_streak *ret, GError **error)
{
	memory *m = disk_of(r, error);
	disk_lane *lane = m ? disk_find_lane(m, webhook) : NULL;

	if (m)
		*ret = lane ? lane->streak : (bh_streak){0};
	return m;
}

static bool streaks(bh_reader *r, GArray *ret, GError **error)
{
	memory *m = disk_of(r, error);
	GHashTableIter iter;
	void *value;

	if (!m)
		return false;
	g_hash_table_iter_init(&iter, m->lanes);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const disk_lane *lane = value;
		if (is_running(&lane->streak))
			g_array_append_val(ret, lane->webhook);
	}
	g_array_sort(ret, compare_ids);
	return true;
}

static bh_recovery *copy_recovery(const bh_recovery *r)
{
	bh_recovery *copy = g_memdup2(r, sizeof(*r));

	copy->who = g_strdup(r->who);
	return copy;
}

static bh_recovery *recovery(bh_reader *r, bh_id id, GError **error)
{
	memory *m = disk_of(r, error);
	const bh_recovery *found = m ? g_hash_table_lookup(m->recoveries, &id) : NULL;

	if (m && !found)
		g_set_error_literal(error, BH_ERROR, BH_ERROR_NOT_FOUND, "no such recovery");
	return found ? copy_recovery(found) : NULL;
}

static bool is_among(bh_id webhook, const bh_id *webhooks, size_t webhook_count)
{
	for (size_t i = 0; webhooks && i < webhook_count; i++)
		if (webhooks[i] == webhook)
			return true;
	return !webhooks;
}

static int newest_first(const void *a, const void *b)
{
	bh_id x = (*(bh_recovery *const *)a)->id, y = (*(bh_recovery *const *)b)->id;

	return x > y ? -1 : x < y;
}

static void free_recovery(void *r)
{
	bh_recovery_free(r);
}

static GPtrArray *recoveries(bh_reader *r, const bh_id *webhooks, size_t webhook_count, bool only_running, bh_id before,
			     size_t limit, GError **error)
{
	memory *m = disk_of(r, error);
	GPtrArray *found = m ? g_ptr_array_new_with_free_func(free_recovery) : NULL;
	GHashTableIter iter;
	void *value;

	if (!m)
		return NULL;
	g_hash_table_iter_init(&iter, m->recoveries);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const bh_recovery *one = value;
		if (is_among(one->webhook_id, webhooks, webhook_count) && (!before || one->id < before) &&
		    (!only_running || one->state == BH_RECOVERY_RUNNING))
			g_ptr_array_add(found, copy_recovery(one));
	}
	g_ptr_array_sort(found, newest_first);
	if (found->len > limit)
		g_ptr_array_set_size(found, (gint)limit);
	return found;
}

static bool health(bh_reader *r, bh_store_health *ret, GError **error)
{
	*ret = (bh_store_health){0};
	return disk_of(r, error);
}

/* Lists, findings and the audit log are for people, and there are none here. */
const bh_backend memory_backend = {
	.scheme = "memory:",
	.close = memory_close,
	.last_id = memory_last_id,
	.load_directory = memory_load_directory,
	.apply = memory_apply,
	.reader_new = reader_new,
	.reader_free = reader_free,
	.waiting = waiting,
	.webhooks_waiting = webhooks_waiting,
	.count = count,
	.count_after = count_after,
	.superseding = superseding,
	.streak = streak,
	.streaks = streaks,
	.recovery = recovery,
	.recoveries = recoveries,
	.event = event,
	.payloads = payloads,
	.event_of_caller = event_of_caller,
	.delivery = delivery,
	.attempts = attempts,
	.health = health,
};
