#include "store/sqlite/callers.h"

#include <openssl/evp.h>
#include <string.h>

typedef struct entry {
	int64_t hash;
	bh_id event;
} entry;

void bh_callers_init(bh_callers *c)
{
	*c = (bh_callers){0};
	pthread_mutex_init(&c->lock, NULL);
	for (int i = 0; i < BH_CALLERS_SLICES; i++)
		c->waiting[i] = g_array_new(FALSE, FALSE, sizeof(entry));
	c->noted = g_array_new(FALSE, FALSE, sizeof(entry));
}

void bh_callers_clear(bh_callers *c)
{
	if (!c->noted)
		return;
	for (int i = 0; i < BH_CALLERS_SLICES; i++)
		g_array_unref(c->waiting[i]);
	g_array_unref(c->noted);
	pthread_mutex_destroy(&c->lock);
}

static EVP_MD *sha256;

/* Once, as asking libcrypto for it takes longer than the hash. */
static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		g_error("libcrypto offers no SHA-256");
}

/* Such a hash that nobody can choose ids which all fall into one place. */
int64_t bh_caller_hash(bh_id caller_key, const char *caller_id)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	g_autoptr(GString) text = g_string_new(NULL);
	gint64 key = GINT64_TO_BE(caller_key), hash;

	pthread_once(&once, fetch_sha256);
	g_string_append_len(text, (const char *)&key, sizeof key);
	g_string_append(text, caller_id);
	if (EVP_Digest(text->str, text->len, digest, NULL, sha256, NULL) != 1)
		g_error("libcrypto failed");
	memcpy(&hash, digest, sizeof hash);
	return GINT64_FROM_BE(hash);
}

/* Slices follow each other in the order of the table's key, which is signed. */
static unsigned slice_of(int64_t hash)
{
	return (unsigned)(((uint64_t)hash ^ (UINT64_C(1) << 63)) / (UINT64_MAX / BH_CALLERS_SLICES + 1));
}

/* Where the first entry with this hash or a greater one is. */
static guint place_in(const GArray *slice, int64_t hash)
{
	guint low = 0, high = slice->len;

	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (g_array_index(slice, entry, middle).hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void add_waiting(bh_callers *c, entry e)
{
	GArray *slice = c->waiting[slice_of(e.hash)];

	pthread_mutex_lock(&c->lock);
	g_array_insert_val(slice, place_in(slice, e.hash), e);
	pthread_mutex_unlock(&c->lock);
}

static void remove_waiting(bh_callers *c, const entry *e)
{
	GArray *slice = c->waiting[slice_of(e->hash)];

	pthread_mutex_lock(&c->lock);
	guint at = place_in(slice, e->hash);
	while (g_array_index(slice, entry, at).event != e->event)
		at++;
	g_array_remove_index(slice, at);
	pthread_mutex_unlock(&c->lock);
}

/* --- Finding ------------------------------------------------------------------------------------------------- */

static void find_waiting(bh_callers *c, int64_t hash, GArray *ret)
{
	const GArray *slice = c->waiting[slice_of(hash)];

	pthread_mutex_lock(&c->lock);
	for (guint i = place_in(slice, hash); i < slice->len && g_array_index(slice, entry, i).hash == hash; i++)
		g_array_append_val(ret, g_array_index(slice, entry, i).event);
	pthread_mutex_unlock(&c->lock);
}

static const bh_sql FIND_FILED = {
	BH_SQL_FIND_CALLER,
	"look up a caller's id",
	"SELECT event_id FROM caller WHERE hash = ?1",
};

/* In this order: what is filed in between leaves the memory only after it is in the table. */
bool bh_callers_find(bh_callers *c, bh_db *db, int64_t hash, GArray *ret, GError **error)
{
	find_waiting(c, hash, ret);

	g_auto(bh_rows) rows = bh_rows_of(db, &FIND_FILED, error);
	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, hash);
	while (bh_rows_next(&rows, error)) {
		bh_id event = bh_int_at(&rows, 0);
		g_array_append_val(ret, event);
	}
	return !rows.failed;
}

/* --- One transaction ----------------------------------------------------------------------------------------- */

void bh_callers_begin(bh_callers *c)
{
	g_array_set_size(c->noted, 0);
	c->events_before = c->events;
	c->filing_up_to = 0;
}

static const bh_sql FILE_CALLER = {
	BH_SQL_FILE_CALLER,
	"file a caller's id",
	"INSERT INTO caller (hash, event_id) VALUES (?1, ?2)",
};

static bool file_entry(bh_db *db, const entry *e, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, &FILE_CALLER, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, e->hash);
	bh_bind_int(&rows, 2, e->event);
	return bh_rows_run(&rows, error);
}

bool bh_callers_note(bh_callers *c, bh_db *db, bh_id event, const int64_t *hash, GError **error)
{
	c->events++;
	c->greatest = MAX(c->greatest, event);
	if (!hash)
		return true;

	entry e = {*hash, event};
	if (event <= c->filed_up_to[slice_of(e.hash)]) /* it comes late: at start nobody would look for it */
		return file_entry(db, &e, error);
	add_waiting(c, e);
	g_array_append_val(c->noted, e);
	return true;
}

static const bh_sql FILED_UP_TO = {
	-1,
	"note how far callers' ids are filed",
	"INSERT OR REPLACE INTO caller_slice (slice, filed_up_to) VALUES (?1, ?2)",
};

static bool write_filed_up_to(bh_callers *c, bh_db *db, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, &FILED_UP_TO, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, c->next);
	bh_bind_int(&rows, 2, c->filing_up_to);
	return bh_rows_run(&rows, error);
}

/* Only this thread changes what waits, so it may look without the lock. */
bool bh_callers_file(bh_callers *c, bh_db *db, GError **error)
{
	const GArray *slice = c->waiting[c->next];

	if (c->events < BH_CALLERS_STEP)
		return true;
	c->filing_up_to = c->greatest;
	for (guint i = 0; i < slice->len; i++) {
		if (!file_entry(db, &g_array_index(slice, entry, i), error))
			return false;
	}
	return write_filed_up_to(c, db, error);
}

static void forget_filed(bh_callers *c)
{
	pthread_mutex_lock(&c->lock);
	g_array_set_size(c->waiting[c->next], 0);
	pthread_mutex_unlock(&c->lock);
	c->filed_up_to[c->next] = c->filing_up_to;
	c->next = (c->next + 1) % BH_CALLERS_SLICES;
	c->events = 0;
}

void bh_callers_end(bh_callers *c, bool committed)
{
	if (committed && c->filing_up_to > 0)
		forget_filed(c);
	if (committed)
		return;
	for (guint i = 0; i < c->noted->len; i++)
		remove_waiting(c, &g_array_index(c->noted, entry, i));
	c->events = c->events_before;
}

/* --- At start ------------------------------------------------------------------------------------------------ */

static const bh_sql LOAD_SLICES = {
	-1,
	"read how far callers' ids are filed",
	"SELECT slice, filed_up_to FROM caller_slice",
};

/* The slice that was filed longest ago is next. */
static bool load_slices(bh_callers *c, bh_db *db, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, &LOAD_SLICES, error);

	if (!rows.stmt)
		return false;
	while (bh_rows_next(&rows, error))
		c->filed_up_to[bh_int_at(&rows, 0) % BH_CALLERS_SLICES] = bh_int_at(&rows, 1);
	for (unsigned i = 0; i < BH_CALLERS_SLICES; i++) {
		if (c->filed_up_to[i] < c->filed_up_to[c->next])
			c->next = i;
		c->greatest = MAX(c->greatest, c->filed_up_to[i]);
	}
	return !rows.failed;
}

static const bh_sql LOAD_UNFILED = {
	-1,
	"read the callers' ids that are not filed",
	"SELECT id, caller_key, caller_id FROM event WHERE id > ?1 ORDER BY id",
};

static void load_event(bh_callers *c, const bh_rows *row)
{
	const char *caller_id = bh_text_at(row, 2);
	entry e = {.event = bh_int_at(row, 0)};

	c->events += e.event > c->greatest;
	c->greatest = MAX(c->greatest, e.event);
	if (!caller_id)
		return;
	e.hash = bh_caller_hash(bh_int_at(row, 1), caller_id);
	if (e.event > c->filed_up_to[slice_of(e.hash)])
		add_waiting(c, e);
}

bool bh_callers_load(bh_callers *c, bh_db *db, GError **error)
{
	if (!load_slices(c, db, error))
		return false;
	g_auto(bh_rows) rows = bh_rows_of(db, &LOAD_UNFILED, error);
	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, c->filed_up_to[c->next]);
	while (bh_rows_next(&rows, error))
		load_event(c, &rows);
	return !rows.failed;
}
