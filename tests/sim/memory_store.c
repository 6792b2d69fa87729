#include "memory_store.h"

#include "disk.h"

#include "base/error.h"

#define YOUNG 300 /* deliveries that people look at */

/* --- The disk -------------------------------------------------------------------------------------------------- */

static void free_row(void *data)
{
	disk_row *row = data;

	g_free(row->d.manager_id);
	g_free(row->d.reason);
	g_free(row->d.order_key);
	g_free(row->d.coalesce_key);
	if (row->attempts)
		g_array_unref(row->attempts);
	g_free(row);
}

static void free_lane(void *data)
{
	disk_lane *lane = data;

	for (int s = 0; s < SHELVES; s++)
		g_sequence_free(lane->shelf[s]);
	g_hash_table_unref(lane->lines);
	g_hash_table_unref(lane->alike);
	g_free(lane);
}

static void unref_event(void *event)
{
	bh_event_unref(event);
}

static void unref_manager(void *manager)
{
	bh_manager_unref(manager);
}

static void unref_property(void *property)
{
	bh_property_unref(property);
}

static void unref_webhook(void *webhook)
{
	bh_webhook_unref(webhook);
}

static void free_recovery(void *recovery)
{
	bh_recovery_free(recovery);
}

static GHashTable *by_id(GDestroyNotify free_value)
{
	return g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, free_value);
}

memory *memory_new(void)
{
	memory *m = g_new0(memory, 1);

	m->events = by_id(unref_event);
	m->rows = by_id(free_row);
	m->made = g_ptr_array_new();
	m->lanes = by_id(free_lane);
	m->callers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	m->recoveries = by_id(free_recovery);
	m->managers = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, unref_manager);
	m->properties = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, unref_property);
	m->webhooks = by_id(unref_webhook);
	return m;
}

void memory_free(memory *m)
{
	if (!m)
		return;
	g_hash_table_unref(m->callers);
	g_hash_table_unref(m->lanes);
	g_ptr_array_unref(m->made);
	g_hash_table_unref(m->rows);
	g_hash_table_unref(m->events);
	g_hash_table_unref(m->recoveries);
	g_hash_table_unref(m->managers);
	g_hash_table_unref(m->properties);
	g_hash_table_unref(m->webhooks);
	g_free(m);
}

void memory_watch(memory *m, const memory_watcher *watcher)
{
	m->watcher = *watcher;
}

void memory_set_unreadable(memory *m, bool unreadable)
{
	m->unreadable = unreadable;
}

disk_row *disk_find(const memory *m, bh_id delivery)
{
	return g_hash_table_lookup(m->rows, &delivery);
}

disk_lane *disk_find_lane(const memory *m, bh_id webhook)
{
	return g_hash_table_lookup(m->lanes, &webhook);
}

/* --- For whoever checks ---------------------------------------------------------------------------------------- */

void memory_each_delivery(memory *m, memory_each each, void *user)
{
	for (guint i = 0; i < m->made->len; i++) {
		const disk_row *row = m->made->pdata[i];
		each(user, &row->d, row->attempts ? row->attempts->len : 0);
	}
}

const bh_delivery *memory_any_delivery(const memory *m, uint64_t chance)
{
	guint young = MIN(m->made->len, YOUNG);

	return young ? &((const disk_row *)m->made->pdata[m->made->len - 1 - chance % young])->d : NULL;
}

bool memory_first_due(const memory *m, bh_id webhook, bh_usec *ret_due)
{
	const disk_lane *lane = disk_find_lane(m, webhook);
	GSequenceIter *first = lane ? g_sequence_get_begin_iter(lane->shelf[SHELF_PENDING]) : NULL;

	if (!first || g_sequence_iter_is_end(first))
		return false;
	*ret_due = ((const disk_row *)g_sequence_get(first))->d.due_at;
	return true;
}

const bh_delivery *memory_delivery(const memory *m, bh_id delivery)
{
	const disk_row *row = disk_find(m, delivery);

	return row ? &row->d : NULL;
}

bh_id memory_newer_delivered(const memory *m, bh_id delivery)
{
	const disk_row *row = disk_find(m, delivery), *newer = disk_newer_delivered(row);

	return newer ? newer->d.id : 0;
}

const bh_event *memory_event(const memory *m, bh_id event)
{
	return g_hash_table_lookup(m->events, &event);
}

bool memory_streak(const memory *m, bh_id webhook, bh_streak *ret)
{
	const disk_lane *lane = disk_find_lane(m, webhook);

	if (!lane)
		return false;
	*ret = lane->streak;
	return true;
}

/* --- The store ------------------------------------------------------------------------------------------------- */

bh_store *memory_open(memory *m)
{
	memory_view *view = g_new0(memory_view, 1);

	view->store.backend = &memory_backend;
	view->memory = m;
	return &view->store;
}

void memory_close(bh_store *store)
{
	g_free(store);
}

bh_id memory_last_id(bh_store *store)
{
	return ((memory_view *)store)->memory->last_id;
}

bh_snapshot *memory_load_directory(bh_store *store, GError **error)
{
	(void)error;
	return disk_load_directory(((memory_view *)store)->memory);
}

static bool refuse(memory_fate fate, GError **error)
{
	static const struct {
		int code;
		const char *why;
	} refusals[] = {
		[FATE_BUSY] = {BH_ERROR_BUSY, "the simulated store is busy"},
		[FATE_IO] = {BH_ERROR_IO, "the simulated disk fails"},
		[FATE_FULL] = {BH_ERROR_LIMIT, "the simulated disk is full"},
		[FATE_UNSURE_KEPT] = {BH_ERROR_UNSURE, "the link to the simulated store broke"},
		[FATE_UNSURE_LOST] = {BH_ERROR_UNSURE, "the link to the simulated store broke"},
	};

	g_set_error_literal(error, BH_ERROR, refusals[fate].code, refusals[fate].why);
	return false;
}

bool memory_apply(bh_store *store, bh_write *const *writes, size_t count, GError **error)
{
	memory *m = ((memory_view *)store)->memory;
	const memory_watcher *watcher = &m->watcher;
	memory_fate fate = watcher->fate ? watcher->fate(watcher->user, writes, count) : FATE_KEPT;

	if (fate != FATE_KEPT && fate != FATE_UNSURE_KEPT)
		return refuse(fate, error);
	for (size_t i = 0; i < count; i++) {
		disk_apply(m, writes[i]);
		if (watcher->applied)
			watcher->applied(watcher->user, writes[i]);
	}
	return fate == FATE_KEPT || refuse(fate, error);
}
