#include "store/sqlite/db.h"

#include "base/error.h"

#include <errno.h>

static const bh_sql BEGIN_READ = {
	BH_SQL_BEGIN_READ,
	"begin to read",
	"BEGIN",
};
static const bh_sql BEGIN_WRITE = {
	BH_SQL_BEGIN_WRITE,
	"begin to write",
	"BEGIN IMMEDIATE",
};
static const bh_sql COMMIT = {
	BH_SQL_COMMIT,
	"commit",
	"COMMIT",
};

bool bh_db_open(bh_db *db, const char *path, bool read_only, GError **error)
{
	int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

	*db = (bh_db){.path = g_strdup(path)};
	int rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return bh_db_failed(db, rc, "open it", error);
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BH_DB_BUSY_WAIT_MS);
	return true;
}

void bh_db_close(bh_db *db)
{
	for (size_t i = 0; i < G_N_ELEMENTS(db->kept); i++)
		sqlite3_finalize(db->kept[i]);
	sqlite3_close(db->handle);
	g_free(db->path);
	*db = (bh_db){0};
}

/* SQLite does not tell the system's error after a failed commit, but the file it could not write still knows it. */
static int system_error_of(bh_db *db)
{
	sqlite3_file *log = NULL;
	int why = sqlite3_system_errno(db->handle);

	if (why == 0)
		sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (log && log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &why);
	if (why == 0)
		sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_LAST_ERRNO, &why);
	return why;
}

/* Limits of size and quota come as other codes than a full disk, but the person who reads it has to do the same. */
static bool is_full(bh_db *db, int rc)
{
	int why = (rc & 0xff) == SQLITE_IOERR ? system_error_of(db) : 0;

	return rc == SQLITE_FULL || why == ENOSPC || why == EDQUOT || why == EFBIG;
}

bool bh_db_failed(bh_db *db, int rc, const char *doing, GError **error)
{
	const char *why = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
	const char *path = db->path;

	if (is_full(db, rc)) {
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT,
			    "database \"%s\": cannot %s: no space is left for it; free some or raise the limit, "
			    "nothing else is needed",
			    path, doing);
		return false;
	}
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		g_set_error(
			error, BH_ERROR, BH_ERROR_BUSY,
			"database \"%s\": cannot %s: another program keeps it locked; end that program's transaction",
			path, doing);
		break;
	case SQLITE_NOTADB:
		g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT,
			    "database \"%s\": cannot %s: the file is not a database of ours; move it away or name "
			    "another one",
			    path, doing);
		break;
	case SQLITE_CORRUPT:
		g_set_error(error, BH_ERROR, BH_ERROR_IO,
			    "database \"%s\": cannot %s: the file is damaged (%s); stop Bellhop, keep the file, "
			    "restore a backup",
			    path, doing, why);
		break;
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		g_set_error(error, BH_ERROR, BH_ERROR_IO,
			    "database \"%s\": cannot %s: %s; this user must be able to write the file, the files named "
			    "like it, and their folder",
			    path, doing, why);
		break;
	case SQLITE_IOERR:
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "database \"%s\": cannot %s: %s (%s); look at the disk", path,
			    doing, why, g_strerror(system_error_of(db)));
		break;
	case SQLITE_CONSTRAINT:
		g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT, "database \"%s\": cannot %s: %s", path, doing, why);
		break;
	default:
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "database \"%s\": cannot %s: %s", path, doing, why);
	}
	return false;
}

bool bh_db_exec(bh_db *db, const char *doing, const char *sql, GError **error)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK || bh_db_failed(db, rc, doing, error);
}

bh_rows bh_rows_of(bh_db *db, const bh_sql *sql, GError **error)
{
	bh_rows rows = {.db = db, .sql = sql, .stmt = sql->slot >= 0 ? db->kept[sql->slot] : NULL};

	if (!rows.stmt) {
		int rc = sqlite3_prepare_v3(db->handle, sql->text, -1, SQLITE_PREPARE_PERSISTENT, &rows.stmt, NULL);
		if (rc != SQLITE_OK)
			bh_db_failed(db, rc, sql->doing, error);
		else if (sql->slot >= 0)
			db->kept[sql->slot] = rows.stmt;
	}
	rows.failed = rows.stmt == NULL;
	return rows;
}

void bh_rows_end(bh_rows *rows)
{
	if (!rows->stmt)
		return;
	if (rows->sql->slot < 0)
		sqlite3_finalize(rows->stmt);
	else
		sqlite3_reset(rows->stmt);
	rows->stmt = NULL;
}

bool bh_rows_next(bh_rows *rows, GError **error)
{
	int rc = sqlite3_step(rows->stmt);

	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		rows->failed = !bh_db_failed(rows->db, rc, rows->sql->doing, error);
	return false;
}

bool bh_rows_run(bh_rows *rows, GError **error)
{
	while (bh_rows_next(rows, error))
		;
	return !rows->failed;
}

static bool run(bh_db *db, const bh_sql *sql, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, sql, error);

	return rows.stmt && bh_rows_run(&rows, error);
}

bh_tx bh_tx_read(bh_db *db, GError **error)
{
	return (bh_tx){run(db, &BEGIN_READ, error) ? db : NULL};
}

bh_tx bh_tx_write(bh_db *db, GError **error)
{
	return (bh_tx){run(db, &BEGIN_WRITE, error) ? db : NULL};
}

bool bh_tx_commit(bh_tx *tx, GError **error)
{
	if (!run(tx->db, &COMMIT, error))
		return false;
	tx->db = NULL;
	return true;
}

/* Some failures have rolled back already; then there is nothing left to do. */
void bh_tx_end(bh_tx *tx)
{
	if (tx->db && !sqlite3_get_autocommit(tx->db->handle))
		(void)sqlite3_exec(tx->db->handle, "ROLLBACK", NULL, NULL,
				   NULL); /* cannot be refused in a usable state */
	tx->db = NULL;
}
