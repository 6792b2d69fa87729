#include "store/sqlite/shelf.h"

#include <string.h>

/* One search: what it looks for, and where it puts it. */
typedef struct search {
	bh_db *db;
	const bh_list *list;
	GPtrArray *keys, *also;
	GHashTable *wanted; /* the keys, to ask for one */
	GString *key; /* one being made; reused */
	bh_shelf_keep keep;
	bh_newest *newest;
	const char *holds;
	bool (*fits)(struct search *s, const bh_rows *row); /* a row that is on no shelf */
} search;

static bool search_all(search *s, const bh_sql *unshelved, GError **error);

/* --- What is asked for --------------------------------------------------------------------------------------- */

static const bh_sql UNSHELVED_DELIVERIES = {
	BH_SQL_UNSHELVED_DELIVERIES,
	"list the newest deliveries",
	"SELECT id, webhook_id FROM delivery WHERE id > (SELECT coalesce(max(greatest_id), 0) FROM shelf"
	" WHERE holds = 'deliveries') AND id < ?1 ORDER BY id DESC",
};

static bool delivery_fits(search *s, const bh_rows *row)
{
	bh_shelf_key_of_webhook(s->key, bh_int_at(row, 1));
	return g_hash_table_contains(s->wanted, s->key->str);
}

bool bh_shelf_find_deliveries(bh_db *db, const bh_list *list, GPtrArray *keys, bh_shelf_keep keep, bh_newest *newest,
			      GError **error)
{
	g_autoptr(GPtrArray) also = g_ptr_array_new();
	search s = {.db = db,
		    .list = list,
		    .keys = keys,
		    .also = also,
		    .keep = keep,
		    .newest = newest,
		    .holds = "deliveries",
		    .fits = delivery_fits};

	return search_all(&s, &UNSHELVED_DELIVERIES, error);
}

static const bh_sql UNSHELVED_EVENTS = {
	BH_SQL_UNSHELVED_EVENTS,
	"list the newest events",
	"SELECT id, type, property_id, manager_id FROM event"
	" WHERE id > (SELECT coalesce(max(greatest_id), 0) FROM shelf WHERE holds = 'events') AND id < ?1"
	" ORDER BY id DESC",
};

static bool is_among(GPtrArray *keys, const char *key)
{
	for (guint i = 0; i < keys->len; i++) {
		if (strcmp(keys->pdata[i], key) == 0)
			return true;
	}
	return false;
}

/* Each column is one key that the event has, so it has all of `also` if that many of its keys are among them. */
static bool event_fits(search *s, const bh_rows *row)
{
	static const char fields[] = {'t', 'p', 'm'}; /* as the columns stand */
	bool wanted = false;
	guint also = 0;

	for (int i = 0; i < (int)G_N_ELEMENTS(fields); i++) {
		const char *value = bh_text_at(row, 1 + i);
		if (!value)
			continue;
		bh_shelf_key_of(s->key, fields[i], value);
		wanted = wanted || g_hash_table_contains(s->wanted, s->key->str);
		also += is_among(s->also, s->key->str);
	}
	return wanted && also == s->also->len;
}

bool bh_shelf_find_events(bh_db *db, GPtrArray *keys, GPtrArray *also, bh_newest *newest, GError **error)
{
	search s = {.db = db, .keys = keys, .also = also, .newest = newest, .holds = "events", .fits = event_fits};

	g_assert(also->len <= BH_SHELF_ALSO_MAX);
	return search_all(&s, &UNSHELVED_EVENTS, error);
}

/* --- The search ---------------------------------------------------------------------------------------------- */

static bool look_at_unshelved(search *s, const bh_sql *unshelved, GError **error);
static bool look_at_shelves(search *s, GError **error);

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
		if (s->fits(s, &rows) && !take(s, id, error))
			return false;
	}
	return !rows.failed;
}

/* --- One shelf ----------------------------------------------------------------------------------------------- */

/* The ids of one key on one shelf, ascending; size 0: it is not there. */
typedef struct lot {
	bh_rows rows; /* holds the bytes */
	bh_span ids;
} lot;

static void lot_clear(lot *l)
{
	bh_rows_end(&l->rows);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(lot, lot_clear)

/* One of `keys` is read at a time, and all of `also` beside it: so each has a statement of its own. */
static const bh_sql SHELVED[1 + BH_SHELF_ALSO_MAX] = {
	{
		BH_SQL_SHELVED,
		"look at a shelf",
		"SELECT ids FROM shelved WHERE holds = ?1 AND shelf = ?2 AND key = ?3",
	},
	{
		BH_SQL_SHELVED_ALSO,
		"look at a shelf",
		"SELECT ids FROM shelved WHERE holds = ?1 AND shelf = ?2 AND key = ?3",
	},
	{
		BH_SQL_SHELVED_ALSO_TOO,
		"look at a shelf",
		"SELECT ids FROM shelved WHERE holds = ?1 AND shelf = ?2 AND key = ?3",
	},
};

/* False: failed. */
static bool open_lot(search *s, const bh_sql *sql, int64_t shelf, const char *key, lot *ret, GError **error)
{
	*ret = (lot){.rows = bh_rows_of(s->db, sql, error)};
	if (!ret->rows.stmt)
		return false;
	bh_bind_text(&ret->rows, 1, s->holds);
	bh_bind_int(&ret->rows, 2, shelf);
	bh_bind_text(&ret->rows, 3, key);
	if (bh_rows_next(&ret->rows, error))
		ret->ids = bh_span_at(&ret->rows, 0);
	return !ret->rows.failed;
}

static size_t count_of(const lot *l)
{
	return l->ids.size / sizeof(bh_id);
}

static bh_id id_at(const lot *l, size_t i)
{
	gint64 id;

	memcpy(&id, l->ids.at + i * sizeof id, sizeof id);
	return GINT64_FROM_BE(id);
}

/* How many are below `end`. */
static size_t count_below(const lot *l, bh_id end)
{
	size_t low = 0, high = count_of(l);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (id_at(l, middle) < end)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_id(const lot *l, bh_id id)
{
	size_t i = count_below(l, id);

	return i < count_of(l) && id_at(l, i) == id;
}

static bool has_hash(bh_span hashes, const char *key)
{
	uint32_t wanted = bh_shelf_hash(key), found = 0;
	size_t low = 0, high = hashes.size / sizeof found;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		memcpy(&found, hashes.at + middle * sizeof found, sizeof found);
		if (GUINT32_FROM_BE(found) == wanted)
			return true;
		if (GUINT32_FROM_BE(found) < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

typedef struct shelf {
	int64_t number;
	bh_span hashes;
	lot also[BH_SHELF_ALSO_MAX];
} shelf;

static bool is_in_all(const search *s, const shelf *h, bh_id id)
{
	for (guint i = 0; i < s->also->len; i++) {
		if (!has_id(&h->also[i], id))
			return false;
	}
	return true;
}

static bool take_key(search *s, const shelf *h, const char *key, GError **error)
{
	g_auto(lot) l = {0};

	if (!open_lot(s, &SHELVED[0], h->number, key, &l, error))
		return false;
	for (size_t i = count_below(&l, s->newest->before); i-- > 0;) {
		bh_id id = id_at(&l, i);
		if (id <= bh_newest_floor(s->newest))
			return true;
		if (is_in_all(s, h, id) && !take(s, id, error))
			return false;
	}
	return true;
}

static bool take_keys(search *s, shelf *h, GError **error)
{
	for (guint i = 0; i < s->also->len; i++) {
		if (!open_lot(s, &SHELVED[1 + i], h->number, s->also->pdata[i], &h->also[i], error))
			return false;
	}
	for (guint i = 0; i < s->keys->len; i++) {
		if (has_hash(h->hashes, s->keys->pdata[i]) && !take_key(s, h, s->keys->pdata[i], error))
			return false;
	}
	return true;
}

static bool look_at_shelf(search *s, shelf *h, GError **error)
{
	for (guint i = 0; i < s->also->len; i++) {
		if (!has_hash(h->hashes, s->also->pdata[i]))
			return true;
	}
	bool done = take_keys(s, h, error);
	for (guint i = 0; i < s->also->len; i++)
		lot_clear(&h->also[i]);
	return done;
}

static const bh_sql SHELVES = {
	BH_SQL_SHELVES,
	"look through the shelves",
	"SELECT number, greatest_id, keys FROM shelf WHERE holds = ?1 AND least_id < ?2"
	" ORDER BY number DESC",
};

static bool look_at_shelves(search *s, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(s->db, &SHELVES, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, s->holds);
	bh_bind_int(&rows, 2, s->newest->before);
	while (bh_rows_next(&rows, error)) {
		if (bh_int_at(&rows, 1) <= bh_newest_floor(s->newest))
			return true; /* nothing newer on this one or on any before it */
		shelf h = {.number = bh_int_at(&rows, 0), .hashes = bh_span_at(&rows, 2)};
		if (!look_at_shelf(s, &h, error))
			return false;
	}
	return !rows.failed;
}
