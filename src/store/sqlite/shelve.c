#include "store/sqlite/shelf.h"

#include "store/words.h"

#include <string.h>

typedef struct entry {
	bh_id id;
	guint place; /* of its key */
} entry;

static entry *entry_at(bh_shelving *s, guint i)
{
	return &g_array_index(s->entries, entry, i);
}

void bh_shelf_key_of_webhook(GString *key, bh_id webhook)
{
	g_string_assign(key, "w");
	bh_words_add_number(key, webhook);
}

void bh_shelf_key_of(GString *key, char field, const char *value)
{
	g_string_truncate(key, 0);
	g_string_append_c(key, field);
	g_string_append(key, value);
}

uint32_t bh_shelf_hash(const char *key)
{
	uint32_t hash = 2166136261u;

	for (const unsigned char *c = (const unsigned char *)key; *c; c++)
		hash = (hash ^ *c) * 16777619u;
	return hash;
}

static void forget_keys(bh_shelving *s)
{
	g_clear_pointer(&s->places, g_hash_table_unref);
	g_clear_pointer(&s->keys, g_ptr_array_unref);
}

static void expect_keys(bh_shelving *s)
{
	s->places = g_hash_table_new(g_str_hash, g_str_equal);
	s->keys = g_ptr_array_new_with_free_func(g_free);
}

void bh_shelving_init(bh_shelving *s, const char *holds, size_t full)
{
	*s = (bh_shelving){.holds = holds, .full = full};
	s->entries = g_array_new(FALSE, FALSE, sizeof(entry));
	s->key = g_string_new(NULL);
	expect_keys(s);
}

void bh_shelving_clear(bh_shelving *s)
{
	if (!s->entries)
		return;
	forget_keys(s);
	g_array_unref(s->entries);
	g_string_free(s->key, TRUE);
}

/* --- Noting -------------------------------------------------------------------------------------------------- */

static guint place_of(bh_shelving *s, const char *key)
{
	void *place;

	if (g_hash_table_lookup_extended(s->places, key, NULL, &place))
		return GPOINTER_TO_UINT(place);
	char *kept = g_strdup(key);
	g_ptr_array_add(s->keys, kept);
	g_hash_table_insert(s->places, kept, GUINT_TO_POINTER(s->keys->len - 1));
	return s->keys->len - 1;
}

static void note(bh_shelving *s, bh_id id, const char *key)
{
	entry e = {id, place_of(s, key)};

	g_array_append_val(s->entries, e);
	s->is_late = s->is_late || id <= s->greatest;
}

void bh_shelving_note_delivery(bh_shelving *s, bh_id delivery, bh_id webhook)
{
	bh_shelf_key_of_webhook(s->key, webhook);
	note(s, delivery, s->key->str);
}

static void note_field(bh_shelving *s, bh_id event, char field, const char *value)
{
	if (!value)
		return;
	bh_shelf_key_of(s->key, field, value);
	note(s, event, s->key->str);
}

void bh_shelving_note_event(bh_shelving *s, bh_id event, const char *type, const char *property, const char *manager)
{
	note_field(s, event, 't', type);
	note_field(s, event, 'p', property);
	note_field(s, event, 'm', manager);
}

/* --- One transaction ----------------------------------------------------------------------------------------- */

void bh_shelving_begin(bh_shelving *s)
{
	s->entries_before = s->entries->len;
	s->shelved_up_to = 0;
	s->is_late = false;
}

static int compare_ids(const void *a, const void *b)
{
	bh_id left = *(const bh_id *)a, right = *(const bh_id *)b;

	return left < right ? -1 : left > right;
}

/* The newest quarter stays, so that what comes a little late is not below the shelf already. */
static bh_id ripe_up_to(bh_shelving *s)
{
	g_autofree bh_id *ids = g_new(bh_id, s->entries->len);

	for (guint i = 0; i < s->entries->len; i++)
		ids[i] = entry_at(s, i)->id;
	qsort(ids, s->entries->len, sizeof *ids, compare_ids);
	return ids[s->entries->len - 1 - s->entries->len / 4];
}

static bool write_shelf(bh_shelving *s, bh_db *db, GError **error);

bool bh_shelving_write(bh_shelving *s, bh_db *db, bool somebody_waits, GError **error)
{
	if (s->entries->len >= (somebody_waits ? 2 * s->full : s->full))
		s->shelved_up_to = MAX(ripe_up_to(s), s->greatest);
	else if (s->is_late)
		s->shelved_up_to = s->greatest;
	return s->shelved_up_to == 0 || write_shelf(s, db, error);
}

/* What is on the shelf is forgotten, with the keys that only it had. */
static void forget_shelved(bh_shelving *s)
{
	g_autoptr(GArray) entries = g_steal_pointer(&s->entries);
	g_autoptr(GPtrArray) keys = g_steal_pointer(&s->keys);

	forget_keys(s);
	expect_keys(s);
	s->entries = g_array_new(FALSE, FALSE, sizeof(entry));
	s->greatest = MAX(s->greatest, s->shelved_up_to);
	s->number++;
	for (guint i = 0; i < entries->len; i++) {
		const entry *e = &g_array_index(entries, entry, i);
		if (e->id > s->shelved_up_to)
			note(s, e->id, keys->pdata[e->place]);
	}
}

void bh_shelving_end(bh_shelving *s, bool committed)
{
	if (!committed)
		g_array_set_size(s->entries, s->entries_before);
	else if (s->shelved_up_to > 0)
		forget_shelved(s);
}

/* --- Writing a shelf ----------------------------------------------------------------------------------------- */

/* The ids to be shelved, key by key: those of the key at `place` are at ids[start[place]] up to ids[start[place + 1]]. */
typedef struct sorted {
	guint *start;
	bh_id *ids;
} sorted;

static void sorted_clear(sorted *t)
{
	g_free(t->start);
	g_free(t->ids);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(sorted, sorted_clear)

static bool is_shelved(const bh_shelving *s, const entry *e)
{
	return e->id <= s->shelved_up_to;
}

/* A counting sort by place; then the ids of each key, which have come nearly in order. */
static sorted sort(bh_shelving *s)
{
	guint keys = s->keys->len;
	sorted t = {.start = g_new0(guint, keys + 2), .ids = g_new(bh_id, s->entries->len)};

	for (guint i = 0; i < s->entries->len; i++)
		t.start[entry_at(s, i)->place + 2] += is_shelved(s, entry_at(s, i));
	for (guint place = 0; place < keys; place++)
		t.start[place + 2] += t.start[place + 1];
	for (guint i = 0; i < s->entries->len; i++) {
		const entry *e = entry_at(s, i);
		if (is_shelved(s, e))
			t.ids[t.start[e->place + 1]++] = e->id;
	}
	for (guint place = 0; place < keys; place++)
		qsort(t.ids + t.start[place], t.start[place + 1] - t.start[place], sizeof *t.ids, compare_ids);
	return t;
}

static int compare_hashes(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static GArray *hashes_of(bh_shelving *s, const sorted *t)
{
	GArray *hashes = g_array_sized_new(FALSE, FALSE, sizeof(uint32_t), s->keys->len);

	for (guint place = 0; place < s->keys->len; place++) {
		uint32_t hash = bh_shelf_hash(s->keys->pdata[place]);
		if (t->start[place + 1] > t->start[place])
			g_array_append_val(hashes, hash);
	}
	g_array_sort(hashes, compare_hashes);
	for (guint i = 0; i < hashes->len; i++)
		g_array_index(hashes, uint32_t, i) = GUINT32_TO_BE(g_array_index(hashes, uint32_t, i));
	return hashes;
}

static const bh_sql INSERT_SHELF = {
	-1,
	"write a shelf",
	"INSERT INTO shelf (holds, number, least_id, greatest_id, keys) VALUES (?1, ?2, ?3, ?4, ?5)",
};

static bool insert_shelf(bh_shelving *s, bh_db *db, const sorted *t, GError **error)
{
	bh_id least = s->shelved_up_to;
	g_autoptr(GArray) hashes = hashes_of(s, t);
	g_auto(bh_rows) rows = bh_rows_of(db, &INSERT_SHELF, error);

	if (!rows.stmt)
		return false;
	for (guint i = 0; i < s->entries->len; i++)
		least = MIN(least, entry_at(s, i)->id);
	bh_bind_text(&rows, 1, s->holds);
	bh_bind_int(&rows, 2, s->number + 1);
	bh_bind_int(&rows, 3, least);
	bh_bind_int(&rows, 4, MAX(s->greatest, s->shelved_up_to));
	sqlite3_bind_blob64(rows.stmt, 5, hashes->data, hashes->len * sizeof(uint32_t), SQLITE_STATIC);
	return bh_rows_run(&rows, error);
}

static const bh_sql INSERT_SHELVED = {
	BH_SQL_INSERT_SHELVED,
	"write what is on a shelf",
	"INSERT INTO shelved (holds, shelf, key, ids) VALUES (?1, ?2, ?3, ?4)",
};

static bool insert_shelved(bh_shelving *s, bh_db *db, const char *key, bh_id *ids, guint count, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, &INSERT_SHELVED, error);

	if (!rows.stmt)
		return false;
	for (guint i = 0; i < count; i++)
		ids[i] = GINT64_TO_BE(ids[i]);
	bh_bind_text(&rows, 1, s->holds);
	bh_bind_int(&rows, 2, s->number + 1);
	bh_bind_text(&rows, 3, key);
	sqlite3_bind_blob64(rows.stmt, 4, ids, count * sizeof *ids, SQLITE_STATIC);
	return bh_rows_run(&rows, error);
}

static int compare_keys(const void *a, const void *b, void *keys)
{
	void **texts = ((GPtrArray *)keys)->pdata;

	return strcmp(texts[*(const guint *)a], texts[*(const guint *)b]);
}

/* In the order of the keys, so that the pages fill one after another. */
static bool write_shelf(bh_shelving *s, bh_db *db, GError **error)
{
	g_autofree guint *places = g_new(guint, s->keys->len);
	g_auto(sorted) t = sort(s);

	if (!insert_shelf(s, db, &t, error))
		return false;
	for (guint i = 0; i < s->keys->len; i++)
		places[i] = i;
	g_qsort_with_data(places, (gint)s->keys->len, sizeof *places, compare_keys, s->keys);
	for (guint i = 0; i < s->keys->len; i++) {
		guint start = t.start[places[i]], count = t.start[places[i] + 1] - start;
		if (count > 0 && !insert_shelved(s, db, s->keys->pdata[places[i]], t.ids + start, count, error))
			return false;
	}
	return true;
}

/* --- At start ------------------------------------------------------------------------------------------------ */

static const bh_sql LAST_SHELF = {
	-1,
	"look for the last shelf",
	"SELECT coalesce(max(number), 0), coalesce(max(greatest_id), 0) FROM shelf WHERE holds = ?1",
};

static bool load_last(bh_shelving *s, bh_db *db, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, &LAST_SHELF, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, s->holds);
	if (!bh_rows_next(&rows, error))
		return false;
	s->number = bh_int_at(&rows, 0);
	s->greatest = bh_int_at(&rows, 1);
	return true;
}

static const bh_sql UNSHELVED_DELIVERIES = {
	-1,
	"read the deliveries that are on no shelf",
	"SELECT id, webhook_id FROM delivery WHERE id > ?1 ORDER BY id",
};

bool bh_shelving_load_deliveries(bh_shelving *s, bh_db *db, GError **error)
{
	if (!load_last(s, db, error))
		return false;
	g_auto(bh_rows) rows = bh_rows_of(db, &UNSHELVED_DELIVERIES, error);
	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, s->greatest);
	while (bh_rows_next(&rows, error))
		bh_shelving_note_delivery(s, bh_int_at(&rows, 0), bh_int_at(&rows, 1));
	return !rows.failed;
}

static const bh_sql UNSHELVED_EVENTS = {
	-1,
	"read the events that are on no shelf",
	"SELECT id, type, property_id, manager_id FROM event WHERE id > ?1 ORDER BY id",
};

bool bh_shelving_load_events(bh_shelving *s, bh_db *db, GError **error)
{
	if (!load_last(s, db, error))
		return false;
	g_auto(bh_rows) rows = bh_rows_of(db, &UNSHELVED_EVENTS, error);
	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, s->greatest);
	while (bh_rows_next(&rows, error))
		bh_shelving_note_event(s, bh_int_at(&rows, 0), bh_text_at(&rows, 1), bh_text_at(&rows, 2),
				       bh_text_at(&rows, 3));
	return !rows.failed;
}
