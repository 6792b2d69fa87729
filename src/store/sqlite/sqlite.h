/*
 * The SQLite backend from inside: one file in WAL mode, one writing connection (the journal's), and a read-only
 * one for each reader. docs/store.md tells what is in the file.
 */
#pragma once

#include "store/backend.h"
#include "store/sqlite/callers.h"
#include "store/sqlite/db.h"
#include "store/sqlite/shelf.h"

typedef struct bh_sqlite {
	bh_store base;
	bh_db db; /* the writer; journal's thread once the store is open */
	int lock;
	const bh_sealer *sealer;
	GString *packed, *request, *response; /* texts being made for a row; reused from row to row */
	bh_shelving events, deliveries;
	bh_callers callers;
	GArray *candidates; /* of bh_id; reused */
	int wal_pages; /* in the log after the last commit */
	int checkpointed_at; /* what wal_pages was when we last asked for a checkpoint */
	bool checkpoint_fails; /* said in the log once, until one succeeds */
} bh_sqlite;

typedef struct bh_sqlite_reader {
	bh_reader base;
	bh_db db;
	char *wal_path;
	bh_callers *callers; /* the store's */
} bh_sqlite_reader;

/* apply.c */
bool bh_sqlite_apply(bh_store *store, bh_write *const *writes, size_t count, GError **error);
int bh_sqlite_note_wal(void *user, sqlite3 *handle, const char *name, int pages); /* hook of the writer */

/* write_event.c, write_delivery.c, write_change.c: one write each, inside the batch's transaction. */
bool bh_sqlite_write_event(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_record(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_move(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_sweep(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_change(bh_sqlite *s, bh_write *w, GError **error);

/* load.c */
bh_snapshot *bh_sqlite_load_directory(bh_store *store, GError **error);

/* read.c */
bool bh_sqlite_waiting(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret,
		       GError **error);
bool bh_sqlite_webhooks_waiting(bh_reader *r, bh_state state, GArray *ret, GError **error);
bool bh_sqlite_count(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error);
bh_event *bh_sqlite_event(bh_reader *r, bh_id event, GError **error);
bool bh_sqlite_payloads(bh_reader *r, const bh_waiting *rows, size_t count, size_t bytes_max, bh_event **events,
			GError **error);
bh_event *bh_sqlite_event_of_caller(bh_reader *r, bh_id caller_key, const char *caller_id, GError **error);
bh_delivery *bh_sqlite_delivery(bh_reader *r, bh_id delivery, GError **error);
bh_findings *bh_sqlite_findings(bh_reader *r, bh_id event, GError **error);
GPtrArray *bh_sqlite_attempts(bh_reader *r, bh_id delivery, int after, size_t limit, GError **error);
GPtrArray *bh_sqlite_audit(bh_reader *r, int64_t before, size_t limit, GError **error);
bool bh_sqlite_health(bh_reader *r, bh_store_health *ret, GError **error);

/* list.c */
GPtrArray *bh_sqlite_events(bh_reader *r, const bh_list *list, GError **error);
GPtrArray *bh_sqlite_deliveries(bh_reader *r, const bh_list *list, GError **error);
