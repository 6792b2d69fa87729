/*
 * Pages of events and deliveries, newest first. Two steps, inside one read transaction: find the ids by whichever
 * index or shelf fits the question (into a bh_newest), then read those rows by id.
 */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "store/sqlite/newest.h"
#include "store/sqlite/shelf.h"

#include <string.h>

/* The statements below name states by number. */
G_STATIC_ASSERT(BH_STATE_PENDING == 2);
G_STATIC_ASSERT(BH_STATE_DELIVERED == 3);

static bool find_deliveries(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error);
static bool find_events(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error);

GPtrArray *bh_sqlite_deliveries(bh_reader *reader, const bh_list *list, GError **error)
{
	bh_sqlite_reader *r = (bh_sqlite_reader *)reader;
	g_autoptr(GPtrArray) deliveries = g_ptr_array_new_with_free_func((GDestroyNotify)bh_delivery_free);
	g_auto(bh_newest) newest = {0};
	g_auto(bh_tx) tx = bh_tx_read(&r->db, error);

	bh_newest_init(&newest, list->before, list->limit);
	if (!tx.db || !find_deliveries(r, list, &newest, error))
		return NULL;
	for (guint i = 0; i < newest.ids->len; i++) {
		bh_delivery *d = bh_sqlite_delivery(reader, g_array_index(newest.ids, bh_id, i), error);
		if (!d)
			return NULL;
		g_ptr_array_add(deliveries, d);
	}
	return g_steal_pointer(&deliveries);
}

GPtrArray *bh_sqlite_events(bh_reader *reader, const bh_list *list, GError **error)
{
	bh_sqlite_reader *r = (bh_sqlite_reader *)reader;
	g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func((GDestroyNotify)bh_event_unref);
	g_auto(bh_newest) newest = {0};
	g_auto(bh_tx) tx = bh_tx_read(&r->db, error);

	bh_newest_init(&newest, list->before, list->limit);
	if (!tx.db || !find_events(r, list, &newest, error))
		return NULL;
	for (guint i = 0; i < newest.ids->len; i++) {
		bh_event *e = bh_sqlite_event(reader, g_array_index(newest.ids, bh_id, i), error);
		if (!e)
			return NULL;
		g_ptr_array_add(events, e);
	}
	return g_steal_pointer(&events);
}

/* --- Deliveries ---------------------------------------------------------------------------------------------- */

static bool of_event(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error);
static bool of_webhooks(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error);
static bool of_everybody(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error);

/* A manager without webhooks sees nothing; who forgot to name them must not see everything. */
static bool find_deliveries(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error)
{
	bool of_some = list->webhooks || list->manager_id;

	if (list->limit == 0 || (of_some && list->webhook_count == 0))
		return true;
	if (list->event)
		return of_event(r, list, newest, error);
	return of_some ? of_webhooks(r, list, newest, error) : of_everybody(r, list, newest, error);
}

static bool is_wanted(const bh_delivery *d, const bh_list *list)
{
	bool listed = list->webhooks == NULL;

	for (size_t i = 0; !listed && i < list->webhook_count; i++)
		listed = list->webhooks[i] == d->webhook_id;
	return listed && (!list->state || d->state == list->state);
}

/* The event's findings name its deliveries. No such event: no deliveries. */
static bool of_event(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error)
{
	g_autoptr(GError) trouble = NULL;
	g_autoptr(bh_findings) findings = bh_sqlite_findings(&r->base, list->event, &trouble);

	if (!findings && g_error_matches(trouble, BH_ERROR, BH_ERROR_NOT_FOUND))
		return true;
	if (!findings) {
		g_propagate_error(error, g_steal_pointer(&trouble));
		return false;
	}
	for (size_t i = 0; i < findings->count; i++) {
		if (findings->deliveries[i] == 0)
			continue;
		g_autoptr(bh_delivery) d = bh_sqlite_delivery(&r->base, findings->deliveries[i], error);
		if (!d)
			return false;
		if (is_wanted(d, list))
			bh_newest_add(newest, d->id);
	}
	return true;
}

/* Takes ids, greatest first, until they are of no more interest. */
static bool take_all(bh_rows *rows, bh_newest *newest, GError **error)
{
	while (bh_rows_next(rows, error)) {
		bh_id id = bh_int_at(rows, 0);
		if (id <= bh_newest_floor(newest))
			return true;
		bh_newest_add(newest, id);
	}
	return !rows->failed;
}

static const bh_sql LIST_ALL = {
	BH_SQL_LIST_DELIVERIES,
	"list deliveries",
	"SELECT id FROM delivery WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
};
static const bh_sql LIST_DELIVERED = {
	BH_SQL_LIST_DELIVERED,
	"list deliveries that were delivered",
	"SELECT id FROM delivery WHERE id < ?1 AND state = 3 ORDER BY id DESC LIMIT ?2",
};
/* Sorts what is pending, keeping no more than the page: a quarter of a second for a million, and no index to keep. */
static const bh_sql LIST_PENDING = {
	BH_SQL_LIST_PENDING,
	"list pending deliveries",
	"SELECT id FROM delivery INDEXED BY delivery_pending WHERE state = 2 AND id < ?1 ORDER BY id DESC"
	" LIMIT ?2",
};
static const bh_sql LIST_UNUSUAL = {
	BH_SQL_LIST_UNUSUAL,
	"list deliveries in a state",
	"SELECT id FROM delivery INDEXED BY delivery_unusual WHERE id < ?1 AND state = ?3 AND state > 3"
	" ORDER BY id DESC LIMIT ?2",
};

static const bh_sql *list_of(bh_state state)
{
	if (!state)
		return &LIST_ALL;
	if (state == BH_STATE_PENDING)
		return &LIST_PENDING;
	return state == BH_STATE_DELIVERED ? &LIST_DELIVERED : &LIST_UNUSUAL;
}

static bool of_everybody(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error)
{
	const bh_sql *sql = list_of(list->state);
	g_auto(bh_rows) rows = bh_rows_of(&r->db, sql, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, newest->before);
	bh_bind_limit(&rows, 2, list->limit);
	if (sql == &LIST_UNUSUAL)
		bh_bind_int(&rows, 3, list->state);
	return take_all(&rows, newest, error);
}

static const bh_sql LIST_PENDING_OF = {
	BH_SQL_LIST_PENDING_OF_WEBHOOK,
	"list pending deliveries of a webhook",
	"SELECT id FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2"
	" AND id < ?2 ORDER BY id DESC LIMIT ?3",
};
static const bh_sql LIST_UNUSUAL_OF = {
	BH_SQL_LIST_UNUSUAL_OF_WEBHOOK,
	"list deliveries of a webhook in a state",
	"SELECT id FROM delivery INDEXED BY delivery_unusual_by_webhook WHERE webhook_id = ?1 AND id < ?2"
	" AND state = ?4 AND state > 3 ORDER BY id DESC LIMIT ?3",
};

static bool of_webhook(bh_sqlite_reader *r, bh_id webhook, const bh_list *list, bh_newest *newest, GError **error)
{
	bool pending = list->state == BH_STATE_PENDING;
	g_auto(bh_rows) rows = bh_rows_of(&r->db, pending ? &LIST_PENDING_OF : &LIST_UNUSUAL_OF, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, newest->before);
	bh_bind_limit(&rows, 3, list->limit);
	if (!pending)
		bh_bind_int(&rows, 4, list->state);
	return take_all(&rows, newest, error);
}

static const bh_sql STATE_OF = {
	BH_SQL_KEEP_STATE,
	"look up a delivery's state",
	"SELECT state FROM delivery WHERE id = ?1",
};

static bool keep_state(bh_db *db, bh_id id, const bh_list *list, bool *ret_keep, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, &STATE_OF, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, id);
	*ret_keep = bh_rows_next(&rows, error) && bh_int_at(&rows, 0) == list->state;
	return !rows.failed;
}

static GPtrArray *keys_of_webhooks(const bh_list *list)
{
	GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) key = g_string_new(NULL);

	for (size_t i = 0; i < list->webhook_count; i++) {
		bh_shelf_key_of_webhook(key, list->webhooks[i]);
		g_ptr_array_add(keys, g_strdup(key->str));
	}
	return keys;
}

static bool of_webhooks(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error)
{
	if (list->state == 0 || list->state == BH_STATE_DELIVERED) {
		g_autoptr(GPtrArray) keys = keys_of_webhooks(list);
		return bh_shelf_find_deliveries(&r->db, list, keys, list->state ? keep_state : NULL, newest, error);
	}
	for (size_t i = 0; i < list->webhook_count; i++) {
		if (!of_webhook(r, list->webhooks[i], list, newest, error))
			return false;
	}
	return true;
}

/* --- Events -------------------------------------------------------------------------------------------------- */

static const bh_sql LIST_EVENTS = {
	BH_SQL_LIST_EVENTS,
	"list events",
	"SELECT id FROM event WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
};

static bool all_events(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&r->db, &LIST_EVENTS, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, newest->before);
	bh_bind_limit(&rows, 2, list->limit);
	return take_all(&rows, newest, error);
}

static void add_key(GPtrArray *keys, char field, const char *value)
{
	g_ptr_array_add(keys, g_strdup_printf("%c%s", field, value));
}

/*
 * `keys`: of which an event must have one; `also`: of which it must have each. A manager sees all of his properties,
 * and of a foreign one what was addressed to him.
 */
static void keys_of(const bh_list *list, GPtrArray *keys, GPtrArray *also)
{
	const char *const *own = (const char *const *)list->property_ids;
	bool is_own = list->property_id && (!list->manager_id || (own && g_strv_contains(own, list->property_id)));

	if (is_own)
		add_key(keys, 'p', list->property_id);
	else if (list->manager_id)
		add_key(keys, 'm', list->manager_id);
	else if (list->type)
		add_key(keys, 't', list->type);
	for (size_t i = 0; list->manager_id && !list->property_id && own && own[i]; i++)
		add_key(keys, 'p', own[i]);

	if (list->property_id && !is_own)
		add_key(also, 'p', list->property_id);
	if (list->type)
		add_key(also, 't', list->type);
}

static bool find_events(bh_sqlite_reader *r, const bh_list *list, bh_newest *newest, GError **error)
{
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) also = g_ptr_array_new_with_free_func(g_free);

	if (list->limit == 0)
		return true;
	keys_of(list, keys, also);
	if (keys->len == 0)
		return all_events(r, list, newest, error);
	return bh_shelf_find_events(&r->db, keys, also, newest, error);
}
