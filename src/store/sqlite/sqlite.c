/*
 * Opening and closing. The order matters: the lock before the file is touched, a look at whose file it is before
 * anything is written, WAL before the schema.
 */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "base/fault.h"
#include "store/sqlite/lock.h"
#include "store/sqlite/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void configure_once(void);
static char *real_path_of(const char *place, GError **error);
static bool make_file(const char *path, GError **error);
static bool open_file(bh_sqlite *s, const char *path, GError **error);
static bool use_wal(bh_db *db, GError **error);
static bool read_last_id(bh_sqlite *s, bh_id *ret, GError **error);

/*
 * temp_store: a full temporary folder is one trouble less. secure_delete is on in Debian's build and would write
 * each page that a shelf leaves once more. The cache holds a batch of thousands; idle it is a few pages.
 */
static const char WRITER_PRAGMAS[] =
	"PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = OFF;"
	"PRAGMA cache_size = -4000; PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF;"
	"PRAGMA journal_size_limit = 67108864";
static const char READER_PRAGMAS[] =
	"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -500; PRAGMA trusted_schema = OFF";

/* What a list may have to look at one by one is up to twice this, and the work of one shelving is some milliseconds. */
#define DELIVERIES_A_SHELF 8192
#define EVENT_KEYS_A_SHELF 16384 /* most events have a type and a property */

static const bh_sql USE_WAL = {
	-1,
	"switch it to write-ahead logging",
	"PRAGMA journal_mode = WAL",
};
static const bh_sql LAST_ID = {
	-1,
	"look for the greatest id",
	"SELECT max(coalesce((SELECT max(id) FROM event), 0), coalesce((SELECT max(id)"
	" FROM delivery), 0), coalesce((SELECT max(id) FROM webhook), 0), coalesce((SELECT max(id)"
	" FROM api_key), 0), coalesce((SELECT max(id) FROM recovery), 0))",
};

static void sqlite_close(bh_store *store)
{
	bh_sqlite *s = (bh_sqlite *)store;

	bh_db_close(&s->db);
	bh_lock_release(s->lock);
	bh_shelving_clear(&s->events);
	bh_shelving_clear(&s->deliveries);
	bh_callers_clear(&s->callers);
	g_array_unref(s->candidates);
	g_array_unref(s->joined);
	g_hash_table_unref(s->order_keys);
	g_string_free(s->order_key, TRUE);
	g_string_free(s->packed, TRUE);
	g_string_free(s->request, TRUE);
	g_string_free(s->response, TRUE);
	g_free(s);
}

static bh_store *sqlite_open(const char *place, const bh_sealer *sealer, GError **error)
{
	configure_once();
	g_autofree char *path = real_path_of(place, error);
	if (!path)
		return NULL;

	bh_sqlite *s = g_new0(bh_sqlite, 1);
	s->base.backend = &bh_sqlite_backend;
	s->sealer = sealer;
	bh_shelving_init(&s->events, "events", EVENT_KEYS_A_SHELF);
	bh_shelving_init(&s->deliveries, "deliveries", DELIVERIES_A_SHELF);
	bh_callers_init(&s->callers);
	s->candidates = g_array_new(FALSE, FALSE, sizeof(bh_id));
	s->joined = g_array_new(FALSE, FALSE, sizeof(bh_joined));
	s->order_keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	s->order_key = g_string_new(NULL);
	s->packed = g_string_new(NULL);
	s->request = g_string_new(NULL);
	s->response = g_string_new(NULL);
	s->lock = bh_lock_take(path, error);
	if (s->lock < 0 || !make_file(path, error) || !open_file(s, path, error)) {
		sqlite_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* Nobody asks SQLite how much memory it uses, and counting costs a lock at every allocation. */
static void configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* refused when SQLite is in use already: then it counts */
}

static void configure_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, configure);
}

/* The lock lies beside the file itself, so two names of one folder or file lead to one lock. */
static char *real_path_of(const char *place, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(place);
	g_autofree char *name = g_path_get_basename(place);
	char *known = realpath(place, NULL);

	if (!known && errno == ENOENT && !g_str_has_suffix(place, "/")) {
		char *real_folder = realpath(folder, NULL);
		char *path = real_folder ? g_build_filename(real_folder, name, NULL) : NULL;
		free(real_folder);
		if (path)
			return path;
	}
	if (!known) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "database \"%s\": cannot reach its folder: %s", place,
			    g_strerror(errno));
		return NULL;
	}
	char *path = g_strdup(known);
	free(known);
	return path;
}

/* SQLite would make it readable for all, and takes the mode of the files beside it from this one. */
static bool make_file(const char *path, GError **error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		close(fd);
		BH_FAULT("store.file-made");
		return true;
	}
	g_set_error(error, BH_ERROR, BH_ERROR_IO, "database \"%s\": cannot open it: %s", path,
		    fd < 0 ? g_strerror(errno) : "it is no plain file");
	if (fd >= 0)
		close(fd);
	return false;
}

static bool open_file(bh_sqlite *s, const char *path, GError **error)
{
	bh_id last; /* only whether it can be read: a damaged file is refused here */

	if (!bh_db_open(&s->db, path, false, error) || !bh_schema_check(&s->db, error) || !use_wal(&s->db, error) ||
	    !bh_db_exec(&s->db, "set it up", WRITER_PRAGMAS, error))
		return false;
	BH_FAULT("store.wal-on");
	sqlite3_wal_hook(s->db.handle, bh_sqlite_note_wal, s); /* in place of SQLite's own checkpoints */
	return bh_schema_migrate(&s->db, error) && bh_shelving_load_events(&s->events, &s->db, error) &&
	       bh_shelving_load_deliveries(&s->deliveries, &s->db, error) &&
	       bh_callers_load(&s->callers, &s->db, error) && read_last_id(s, &last, error);
}

static bool use_wal(bh_db *db, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, &USE_WAL, error);

	if (!rows.stmt || !bh_rows_next(&rows, error))
		return false;
	if (g_strcmp0(bh_text_at(&rows, 0), "wal") == 0)
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_IO,
		    "database \"%s\": its file system cannot do write-ahead logging: use a local disk", db->path);
	return false;
}

static bool read_last_id(bh_sqlite *s, bh_id *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &LAST_ID, error);

	if (!rows.stmt || !bh_rows_next(&rows, error))
		return false;
	*ret = bh_int_at(&rows, 0);
	return true;
}

static bh_id sqlite_last_id(bh_store *store)
{
	g_autoptr(GError) error = NULL;
	bh_id last = 0;

	/* An id given twice would be a lost event: better not to go on. It could be read when the file was opened. */
	if (!read_last_id((bh_sqlite *)store, &last, &error))
		g_error("%s", error->message);
	return last;
}

static void sqlite_reader_free(bh_reader *reader)
{
	bh_sqlite_reader *r = (bh_sqlite_reader *)reader;

	bh_db_close(&r->db);
	g_free(r->wal_path);
	g_free(r);
}

static bh_reader *sqlite_reader_new(bh_store *store, GError **error)
{
	bh_sqlite *s = (bh_sqlite *)store;
	bh_sqlite_reader *r = g_new0(bh_sqlite_reader, 1);

	r->base.backend = &bh_sqlite_backend;
	r->callers = &s->callers;
	r->wal_path = g_strconcat(s->db.path, "-wal", NULL);
	if (!bh_db_open(&r->db, s->db.path, true, error) ||
	    !bh_db_exec(&r->db, "set a reader up", READER_PRAGMAS, error)) {
		sqlite_reader_free(&r->base);
		return NULL;
	}
	return &r->base;
}

const bh_backend bh_sqlite_backend = {
	.scheme = "sqlite:",
	.open = sqlite_open,
	.close = sqlite_close,
	.last_id = sqlite_last_id,
	.load_directory = bh_sqlite_load_directory,
	.apply = bh_sqlite_apply,
	.reader_new = sqlite_reader_new,
	.reader_free = sqlite_reader_free,
	.waiting = bh_sqlite_waiting,
	.webhooks_waiting = bh_sqlite_webhooks_waiting,
	.count = bh_sqlite_count,
	.count_after = bh_sqlite_count_after,
	.superseding = bh_sqlite_superseding,
	.streak = bh_sqlite_streak,
	.streaks = bh_sqlite_streaks,
	.recovery = bh_sqlite_recovery,
	.recoveries = bh_sqlite_recoveries,
	.event = bh_sqlite_event,
	.payloads = bh_sqlite_payloads,
	.event_of_caller = bh_sqlite_event_of_caller,
	.delivery = bh_sqlite_delivery,
	.findings = bh_sqlite_findings,
	.attempts = bh_sqlite_attempts,
	.events = bh_sqlite_events,
	.deliveries = bh_sqlite_deliveries,
	.audit = bh_sqlite_audit,
	.health = bh_sqlite_health,
};
