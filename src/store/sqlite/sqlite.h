/*
 * The SQLite backend from inside: one file in WAL mode, one writing connection (the journal's), and a read-only
 * one for each reader. docs/store.md tells what is in the file.
 */
#pragma once

#include "store/backend.h"
#include "store/sqlite/callers.h"
#include "store/sqlite/db.h"
#include "store/sqlite/shelf.h"

/* A delivery that joined its order key, as it was before: the caller has it again as it was if nothing is kept. */
typedef struct bh_joined {
	bh_delivery *delivery;
	bh_usec due_at;
} bh_joined;

typedef struct bh_sqlite {
	bh_store base;
	bh_db db; /* the writer; journal's thread once the store is open */
	int lock;
	const bh_sealer *sealer;
	GString *packed, *request, *response; /* texts being made for a row; reused from row to row */
	bh_shelving events, deliveries;
	bh_callers callers;
	GArray *candidates; /* of bh_id; reused */
	GArray *joined; /* of bh_joined, in the transaction under way */
	GHashTable *order_keys; /* of one webhook, of deliveries that a sweep moves; reused */
	GString *order_key; /* of the delivery that was moved; reused */
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

/* write_*.c, streak.c, recovery.c: one write each, inside the batch's transaction. */
bool bh_sqlite_write_event(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_replay(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_record(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_move(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_sweep(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_change(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_audit(bh_sqlite *s, const bh_write *w, GError **error);
bool bh_sqlite_write_streak(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_recovery(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_recover(bh_sqlite *s, bh_write *w, GError **error);
bool bh_sqlite_write_recovery_end(bh_sqlite *s, bh_write *w, GError **error);

/* What becomes due by a write is due then. */
static inline bh_usec bh_sqlite_due_of(const bh_write *w)
{
	return w->due_at ? w->due_at : w->at;
}

/* A row of `delivery` as bh_waiting: the columns, and taking them from a row. */
#define BH_WAITING_COLUMNS                                                                                             \
	"id, event_id, webhook_id, at, created_at, spent, attempts, sequence, is_test, coalesce_key IS NOT NULL"
bh_waiting bh_sqlite_waiting_at(const bh_rows *rows);

/* order.c. Everything about one order key of one webhook. */

/* Of a fresh delivery with an order key: gives it its number, and makes it wait if an earlier one is PENDING. */
bool bh_sqlite_order_join(bh_sqlite *s, bh_delivery *d, GError **error);
/* The transaction is over. If it does not hold, the deliveries that joined are as they were. */
void bh_sqlite_order_end(bh_sqlite *s, bool committed);
/* Is one of the key PENDING? */
bool bh_sqlite_order_taken(bh_sqlite *s, bh_id webhook, const char *key, bool *ret, GError **error);
/* If all PENDING ones of the key wait, the first of them does not any more. */
bool bh_sqlite_order_follow(bh_sqlite *s, bh_id webhook, const char *key, bh_usec due, bh_waiting *ret, bool *ret_follows,
			    GError **error);
/* The same for all keys (NULL: none) that were noted since the last time. */
void bh_sqlite_order_note(bh_sqlite *s, const char *key);
bool bh_sqlite_order_follow_noted(bh_sqlite *s, bh_id webhook, bh_usec due, GError **error);

/* write_move.c */
bool bh_sqlite_has_delivery(bh_sqlite *s, bh_id delivery, bool *ret, GError **error);
void bh_sqlite_add_due(bh_write *w, const bh_waiting *waiting); /* each delivery once */
/* Lets the next of an order key follow and adds it to what is due by `w`. */
bool bh_sqlite_follow(bh_sqlite *s, bh_write *w, bh_id webhook, const char *key, GError **error);

/* load.c */
bh_snapshot *bh_sqlite_load_directory(bh_store *store, GError **error);

/* read.c */
bh_db *bh_sqlite_db_of(bh_reader *r);
bool bh_sqlite_waiting(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret,
		       GError **error);
bool bh_sqlite_webhooks_waiting(bh_reader *r, bh_state state, GArray *ret, GError **error);
bool bh_sqlite_count(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error);
bool bh_sqlite_count_after(bh_reader *r, bh_id webhook, bh_state state, bh_id after, bh_usec since, size_t most, size_t *ret,
			   GError **error);
bool bh_sqlite_superseding(bh_reader *r, bh_id delivery, bh_usec now, bh_id before, bh_id *ret, GError **error);
bh_event *bh_sqlite_event(bh_reader *r, bh_id event, GError **error);
bool bh_sqlite_payloads(bh_reader *r, const bh_waiting *rows, size_t count, size_t bytes_max, bh_event **events,
			GError **error);
bh_event *bh_sqlite_event_of_caller(bh_reader *r, bh_id caller_key, const char *caller_id, GError **error);
bh_delivery *bh_sqlite_delivery(bh_reader *r, bh_id delivery, GError **error);
bh_findings *bh_sqlite_findings(bh_reader *r, bh_id event, GError **error);
GPtrArray *bh_sqlite_attempts(bh_reader *r, bh_id delivery, int after, size_t limit, GError **error);
GPtrArray *bh_sqlite_audit(bh_reader *r, int64_t before, size_t limit, GError **error);
bool bh_sqlite_health(bh_reader *r, bh_store_health *ret, GError **error);

/* streak.c, recovery.c */
bool bh_sqlite_streak(bh_reader *r, bh_id webhook, bh_streak *ret, GError **error);
bool bh_sqlite_streaks(bh_reader *r, GArray *ret, GError **error);
bh_recovery *bh_sqlite_recovery(bh_reader *r, bh_id recovery, GError **error);
GPtrArray *bh_sqlite_recoveries(bh_reader *r, const bh_id *webhooks, size_t webhook_count, bool only_running,
				bh_id before, size_t limit, GError **error);

/* list.c */
GPtrArray *bh_sqlite_events(bh_reader *r, const bh_list *list, GError **error);
GPtrArray *bh_sqlite_deliveries(bh_reader *r, const bh_list *list, GError **error);
