/*
 * One connection to SQLite, for one thread: its statements, its transactions, its errors as ours.
 *
 * A statement is a bh_sql: the whole text, named, beside the function that runs it. It is prepared at its first use
 * and kept. Two scope-owned things clean up by themselves: bh_rows (a statement being run is reset) and bh_tx
 * (a transaction is rolled back unless it was committed), so that no path leaves either open.
 */
#pragma once

#include "base/span.h"

#include <glib.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define BH_DB_BUSY_WAIT_MS 5000 /* for another program that writes: then BH_ERROR_BUSY */

typedef enum bh_sql_slot {
	BH_SQL_BEGIN_READ,
	BH_SQL_BEGIN_WRITE,
	BH_SQL_COMMIT,
	BH_SQL_INSERT_EVENT,
	BH_SQL_FINGERPRINT,
	BH_SQL_FIND_CALLER,
	BH_SQL_FILE_CALLER,
	BH_SQL_INSERT_DELIVERY,
	BH_SQL_ADD_FINDINGS,
	BH_SQL_MOVE_ATTEMPTED,
	BH_SQL_MOVE_KEYED,
	BH_SQL_COUNT_ATTEMPT,
	BH_SQL_INSERT_ATTEMPT,
	BH_SQL_STANDS_FOR,
	BH_SQL_SUPERSEDE,
	BH_SQL_HURRY,
	BH_SQL_STATE_OF,
	BH_SQL_RETRY,
	BH_SQL_FINISH,
	BH_SQL_NEWEST_UNUSUAL,
	BH_SQL_NEWEST_PENDING,
	BH_SQL_SWEEP_PENDING,
	BH_SQL_SWEEP_OLD,
	BH_SQL_SWEEP_OLD_BLOCKED,
	BH_SQL_SWEEP_UNUSUAL,
	BH_SQL_ORDER_TAKEN,
	BH_SQL_ORDER_FOLLOW,
	BH_SQL_ORDER_NUMBER,
	BH_SQL_PUT_STREAK,
	BH_SQL_END_STREAK,
	BH_SQL_STREAK,
	BH_SQL_STREAKS,
	BH_SQL_INSERT_RECOVERY,
	BH_SQL_RUNNING_RECOVERY_OF,
	BH_SQL_RECOVERY,
	BH_SQL_RECOVER,
	BH_SQL_NOTE_PROGRESS,
	BH_SQL_LIST_RECOVERIES,
	BH_SQL_LIST_RECOVERIES_OF,
	BH_SQL_LIST_RUNNING,
	BH_SQL_WAITING_DUE_THEN,
	BH_SQL_WAITING_LATER,
	BH_SQL_NEXT_PENDING_WEBHOOK,
	BH_SQL_NEXT_HELD_WEBHOOK,
	BH_SQL_COUNT_PENDING,
	BH_SQL_COUNT_HELD,
	BH_SQL_COUNT_AFTER,
	BH_SQL_SUPERSEDED,
	BH_SQL_SUPERSEDING,
	BH_SQL_EVENT,
	BH_SQL_EVENT_OF_CALLER,
	BH_SQL_FINDINGS,
	BH_SQL_DELIVERY,
	BH_SQL_ATTEMPTS,
	BH_SQL_AUDIT,
	BH_SQL_HEALTH,
	BH_SQL_LIST_DELIVERIES,
	BH_SQL_LIST_DELIVERED,
	BH_SQL_LIST_PENDING,
	BH_SQL_LIST_PENDING_OF_WEBHOOK,
	BH_SQL_LIST_UNUSUAL,
	BH_SQL_LIST_UNUSUAL_OF_WEBHOOK,
	BH_SQL_KEEP_STATE,
	BH_SQL_LIST_EVENTS,
	BH_SQL_SHELVES,
	BH_SQL_SHELVED,
	BH_SQL_SHELVED_ALSO,
	BH_SQL_SHELVED_ALSO_TOO,
	BH_SQL_UNSHELVED_DELIVERIES,
	BH_SQL_UNSHELVED_EVENTS,
	BH_SQL_INSERT_SHELVED,
	BH_SQL_SLOTS
} bh_sql_slot;

typedef struct bh_sql {
	int slot; /* where the prepared form is kept; -1: it is not, this one is rare */
	const char *doing; /* for messages: "cannot <doing>" */
	const char *text;
} bh_sql;

typedef struct bh_db {
	sqlite3 *handle;
	char *path;
	sqlite3_stmt *kept[BH_SQL_SLOTS];
} bh_db;

bool bh_db_open(bh_db *db, const char *path, bool read_only, GError **error);
void bh_db_close(bh_db *db); /* also a half-open or zeroed one */

/* Sets `error` from the connection's last failure `rc` and returns false. */
bool bh_db_failed(bh_db *db, int rc, const char *doing, GError **error);

/* Several statements without parameters or rows, such as pragmas and migrations. */
bool bh_db_exec(bh_db *db, const char *doing, const char *sql, GError **error);

/* One statement being run. Bind to `stmt` first; NULL: it could not be prepared, and `error` is set. */
typedef struct bh_rows {
	bh_db *db;
	const bh_sql *sql;
	sqlite3_stmt *stmt;
	bool failed;
} bh_rows;

bh_rows bh_rows_of(bh_db *db, const bh_sql *sql, GError **error);
void bh_rows_end(bh_rows *rows);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(bh_rows, bh_rows_end)

/* True: there is a row, whose columns live until the next call. False: no more, or failed (`rows->failed`, error set). */
bool bh_rows_next(bh_rows *rows, GError **error);

/* Runs a statement that gives no rows. */
bool bh_rows_run(bh_rows *rows, GError **error);

static inline void bh_bind_text(bh_rows *rows, int place, const char *text)
{
	sqlite3_bind_text(rows->stmt, place, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

/* An empty span is NULL in the row. */
static inline void bh_bind_span(bh_rows *rows, int place, bh_span text)
{
	sqlite3_bind_text64(rows->stmt, place, text.size ? text.at : NULL, text.size, SQLITE_STATIC, SQLITE_UTF8);
}

static inline void bh_bind_int(bh_rows *rows, int place, int64_t number)
{
	sqlite3_bind_int64(rows->stmt, place, number);
}

/* 0 is NULL in the row. */
static inline void bh_bind_known(bh_rows *rows, int place, int64_t number)
{
	if (number)
		sqlite3_bind_int64(rows->stmt, place, number);
	else
		sqlite3_bind_null(rows->stmt, place);
}

static inline void bh_bind_limit(bh_rows *rows, int place, size_t limit)
{
	sqlite3_bind_int64(rows->stmt, place, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
}

static inline const char *bh_text_at(const bh_rows *rows, int column)
{
	return (const char *)sqlite3_column_text(rows->stmt, column);
}

static inline bh_span bh_span_at(const bh_rows *rows, int column)
{
	const char *at = (const char *)sqlite3_column_blob(rows->stmt, column);

	return (bh_span){at, (size_t)sqlite3_column_bytes(rows->stmt, column)};
}

static inline int64_t bh_int_at(const bh_rows *rows, int column)
{
	return sqlite3_column_int64(rows->stmt, column);
}

/* A transaction. `db` NULL: it did not begin, or is over. */
typedef struct bh_tx {
	bh_db *db;
} bh_tx;

bh_tx bh_tx_read(bh_db *db, GError **error); /* one moment for several statements */
bh_tx bh_tx_write(bh_db *db, GError **error); /* takes the write lock at once, so that waiting for it works */
bool bh_tx_commit(bh_tx *tx, GError **error);
void bh_tx_end(bh_tx *tx);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(bh_tx, bh_tx_end)
