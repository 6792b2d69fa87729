#include "store/sqlite/shelf.h"

#include <string.h>

/* One search: what it looks for, and where it puts it. */
typedef struct search {
	bh_db *db;
	const bh_list *list;
	GPtrArray *keys;
	GHashTable *wanted; /* the same keys, to ask for one */
	GString *key; /* one being made; reused */
	bh_shelf_keep keep;
	bh_newest *newest;
	const char *holds;
	bool (*has_wanted_key)(struct search *s, const bh_rows *row); /* a row that is on no shelf */
} search;

static bool search_all(search *s, const bh_sql *unshelved, GError **error);
static bool look_at_unshelved(search *s, const bh_sql *unshelved, GError **error);
static bool look_at_shelf(search *s, int64_t number, GError **error);

/* --- What is asked for --------------------------------------------------------------------------------------- */

static const bh_sql UNSHELVED_DELIVERIES = {
	BH_SQL_UNSHELVED_DELIVERIES,
	"list the newest deliveries",
	"SELECT id, webhook_id FROM delivery"
	" WHERE id > (SELECT coalesce(max(greatest_id), 0) FROM shelf WHERE holds = 'deliveries') AND id < ?1"
	" ORDER BY id DESC",
};

static bool has_wanted_webhook(search *s, const bh_rows *row)
{
	bh_shelf_key_of_webhook(s->key, bh_int_at(row, 1));
	return g_hash_table_contains(s->wanted, s->key->str);
}

bool bh_shelf_find_deliveries(bh_db *db, const bh_list *list, GPtrArray *keys, bh_shelf_keep keep, bh_newest *newest,
			      GError **error)
{
	search s = {.db = db,
		    .list = list,
		    .keys = keys,
		    .keep = keep,
		    .newest = newest,
		    .holds = "deliveries",
		    .has_wanted_key = has_wanted_webhook};

	return search_all(&s, &UNSHELVED_DELIVERIES, error);
}

static const bh_sql UNSHELVED_EVENTS = {
	BH_SQL_UNSHELVED_EVENTS,
	"list the newest events",
	"SELECT id, type, property_id, manager_id FROM event"
	" WHERE id > (SELECT coalesce(max(greatest_id), 0) FROM shelf WHERE holds = 'events') AND id < ?1"
	" ORDER BY id DESC",
};

static bool has_wanted_field(search *s, const bh_rows *row)
{
	static const char fields[] = {'t', 'p', 'm'}; /* as the columns stand */

	for (int i = 0; i < (int)G_N_ELEMENTS(fields); i++) {
		const char *value = bh_text_at(row, 1 + i);
		if (!value)
			continue;
		bh_shelf_key_of(s->key, fields[i], value);
		if (g_hash_table_contains(s->wanted, s->key->str))
			return true;
	}
	return false;
}

bool bh_shelf_find_events(bh_db *db, const bh_list *list, GPtrArray *keys, bh_shelf_keep keep, bh_newest *newest,
			  GError **error)
{
	search s = {.db = db,
		    .list = list,
		    .keys = keys,
		    .keep = keep,
		    .newest = newest,
		    .holds = "events",
		    .has_wanted_key = has_wanted_field};

	return search_all(&s, &UNSHELVED_EVENTS, error);
}

/* --- The search ---------------------------------------------------------------------------------------------- */

static const bh_sql SHELVES = {
	BH_SQL_SHELVES,
	"look through the shelves",
	"SELECT number, greatest_id FROM shelf WHERE holds = ?1 AND least_id < ?2 ORDER BY number DESC",
};

static bool look_at_shelves(search *s, GError **error)
{
	g_auto(bh_rows) shelves = bh_rows_of(s->db, &SHELVES, error);

	if (!shelves.stmt)
		return false;
	bh_bind_text(&shelves, 1, s->holds);
	bh_bind_int(&shelves, 2, s->newest->before);
	while (bh_rows_next(&shelves, error)) {
		if (bh_int_at(&shelves, 1) <= bh_newest_floor(s->newest))
			return true; /* nothing newer on this one or on any before it */
		if (!look_at_shelf(s, bh_int_at(&shelves, 0), error))
			return false;
	}
	return !shelves.failed;
}

static bool search_all(search *s, const bh_sql *unshelved, GError **error)
{
	g_autoptr(GHashTable) wanted = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < s->keys->len; i++)
		g_hash_table_add(wanted, s->keys->pdata[i]);
	s->wanted = wanted;
	s->key = g_string_new(NULL);
	bool done = look_at_unshelved(s, unshelved, error) && look_at_shelves(s, error);
	g_string_free(s->key, TRUE);
	return done;
}

static bool take(search *s, bh_id id, GError **error)
{
	bool keep = true;

	if (s->keep && !s->keep(s->db, id, s->list, &keep, error))
		return false;
	if (keep)
		bh_newest_add(s->newest, id);
	return true;
}

static bool look_at_unshelved(search *s, const bh_sql *unshelved, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(s->db, unshelved, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, s->newest->before);
	while (bh_rows_next(&rows, error)) {
		bh_id id = bh_int_at(&rows, 0);
		if (id <= bh_newest_floor(s->newest))
			return true;
		if (s->has_wanted_key(s, &rows) && !take(s, id, error))
			return false;
	}
	return !rows.failed;
}

static const bh_sql SHELVED = {
	BH_SQL_SHELVED,
	"look at a shelf",
	"SELECT ids FROM shelved WHERE holds = ?1 AND shelf = ?2 AND key = ?3",
};

static bh_id id_at(bh_span ids, size_t i)
{
	gint64 id;

	memcpy(&id, ids.at + i * sizeof id, sizeof id);
	return GINT64_FROM_BE(id);
}

/* How many of the ascending ids are below `before`. */
static size_t count_below(bh_span ids, bh_id before)
{
	size_t low = 0, high = ids.size / sizeof(bh_id);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (id_at(ids, middle) < before)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool take_key(search *s, int64_t number, const char *key, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(s->db, &SHELVED, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, s->holds);
	bh_bind_int(&rows, 2, number);
	bh_bind_text(&rows, 3, key);
	if (!bh_rows_next(&rows, error))
		return !rows.failed;
	bh_span ids = bh_span_at(&rows, 0);
	for (size_t i = count_below(ids, s->newest->before); i-- > 0;) {
		if (id_at(ids, i) <= bh_newest_floor(s->newest))
			return true;
		if (!take(s, id_at(ids, i), error))
			return false;
	}
	return true;
}

static bool look_at_shelf(search *s, int64_t number, GError **error)
{
	for (guint i = 0; i < s->keys->len; i++) {
		if (!take_key(s, number, s->keys->pdata[i], error))
			return false;
	}
	return true;
}
