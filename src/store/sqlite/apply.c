/*
 * One batch, one transaction:
 *
 *   BEGIN IMMEDIATE -> each write -> shelve and file, if it is time -> COMMIT (one fsync of the log) -> checkpoint, if it
 *   is time
 *
 * Shelving and the checkpoint take some milliseconds now and then, so they go first to batches nobody waits for.
 */
#include "store/sqlite/sqlite.h"

#include "base/fault.h"
#include "base/log.h"
#include "store/sqlite/schema.h"

/*
 * Pages in the log at which what it holds is written back to the database: 16 MB. Often enough to keep reading
 * quick, seldom enough that a page which many batches touched is written back once.
 */
#define CHECKPOINT_PAGES 4000
#define CHECKPOINT_PAGES_AWAITED (2 * CHECKPOINT_PAGES)
/* A reader that never leaves (a backup, a forgotten shell) keeps the log from starting anew: from here on we wait a little. */
#define RESTART_PAGES (8 * CHECKPOINT_PAGES)
#define RESTART_WAIT_MS 50

static bool commit_all(bh_sqlite *s, bh_write *const *writes, size_t count, bool awaited, GError **error);
static bool apply_all(bh_sqlite *s, bh_write *const *writes, size_t count, GError **error);
static bool apply_one(bh_sqlite *s, bh_write *w, GError **error);
static bool somebody_waits(bh_write *const *writes, size_t count);
static void make_room(bh_sqlite *s);
static void checkpoint_if_due(bh_sqlite *s, bool awaited);

bool bh_sqlite_apply(bh_store *store, bh_write *const *writes, size_t count, GError **error)
{
	bh_sqlite *s = (bh_sqlite *)store;
	bool awaited = somebody_waits(writes, count);

	bh_shelving_begin(&s->events);
	bh_shelving_begin(&s->deliveries);
	bh_callers_begin(&s->callers);
	bool durable = commit_all(s, writes, count, awaited, error);
	bh_shelving_end(&s->events, durable);
	bh_shelving_end(&s->deliveries, durable);
	bh_callers_end(&s->callers, durable);
	bh_sqlite_order_end(s, durable);
	if (durable)
		checkpoint_if_due(s, awaited);
	else
		make_room(s);
	return durable;
}

static bool commit_all(bh_sqlite *s, bh_write *const *writes, size_t count, bool awaited, GError **error)
{
	g_auto(bh_tx) tx = bh_tx_write(&s->db, error);

	if (!tx.db || (count == 0 && !bh_schema_rewrite(&s->db, error)))
		return false;
	if (!apply_all(s, writes, count, error) || !bh_shelving_write(&s->events, &s->db, awaited, error) ||
	    !bh_shelving_write(&s->deliveries, &s->db, awaited, error) || !bh_callers_file(&s->callers, &s->db, error))
		return false;
	BH_FAULT("store.before-commit");
	if (!bh_tx_commit(&tx, error))
		return false;
	BH_FAULT("store.after-commit");
	return true;
}

static bool apply_all(bh_sqlite *s, bh_write *const *writes, size_t count, GError **error)
{
	for (size_t i = 0; i < count; i++) {
		writes[i]->result = BH_WRITE_DONE;
		writes[i]->due_count = 0;
		if (!apply_one(s, writes[i], error))
			return false;
	}
	return true;
}

/* What a person asked for, and what was done. */
static bool audit(bh_sqlite *s, const bh_write *w, GError **error)
{
	return w->result != BH_WRITE_DONE || !w->audit_who || bh_sqlite_write_audit(s, w, error);
}

/* Of all events only the test that is to enable its webhook is somebody's change of it. */
static bool is_to_enable(const bh_write *w)
{
	return w->delivery_count == 1 && w->deliveries[0]->then != BH_TEST_ONLY;
}

static bool apply_one(bh_sqlite *s, bh_write *w, GError **error)
{
	switch (w->kind) {
	case BH_WRITE_EVENT:
		return bh_sqlite_write_event(s, w, error) && (!is_to_enable(w) || audit(s, w, error));
	case BH_WRITE_RECORD:
		return bh_sqlite_write_record(s, w, error);
	case BH_WRITE_CHANGE:
		return bh_sqlite_write_change(s, w, error);
	case BH_WRITE_MOVE:
		return bh_sqlite_write_move(s, w, error);
	case BH_WRITE_SWEEP:
		return bh_sqlite_write_sweep(s, w, error);
	case BH_WRITE_REPLAY:
		return bh_sqlite_write_replay(s, w, error) && audit(s, w, error);
	case BH_WRITE_STREAK:
		return bh_sqlite_write_streak(s, w, error);
	case BH_WRITE_RECOVERY:
		return bh_sqlite_write_recovery(s, w, error) && audit(s, w, error);
	case BH_WRITE_RECOVER:
		return bh_sqlite_write_recover(s, w, error);
	case BH_WRITE_AUDIT:
		return bh_sqlite_write_audit(s, w, error);
	case BH_WRITE_RECOVERY_END:
		return bh_sqlite_write_recovery_end(s, w, error) && audit(s, w, error);
	}
	g_assert_not_reached();
}

/* What the loops write is for nobody in particular. */
static bool is_awaited(bh_write_kind kind)
{
	return kind != BH_WRITE_RECORD && kind != BH_WRITE_SWEEP && kind != BH_WRITE_STREAK && kind != BH_WRITE_RECOVER;
}

static bool somebody_waits(bh_write *const *writes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_awaited(writes[i]->kind))
			return true;
	}
	return false;
}

/* SQLite tells after each commit how long the log is. */
int bh_sqlite_note_wal(void *user, sqlite3 *handle, const char *name, int pages)
{
	bh_sqlite *s = (bh_sqlite *)user;

	s->wal_pages = pages;
	if (pages < s->checkpointed_at)
		s->checkpointed_at = 0; /* all was written back, and the log began anew */
	return SQLITE_OK;
}

/* The batch is durable already, so a failure here is only told: the log keeps growing until it works again. */
static void checkpoint(bh_sqlite *s, int mode)
{
	BH_FAULT("store.before-checkpoint");
	int rc = sqlite3_wal_checkpoint_v2(s->db.handle, NULL, mode, NULL, NULL);
	BH_FAULT("store.after-checkpoint");
	bool fails = rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY;

	if (fails && !s->checkpoint_fails) {
		g_autoptr(GError) error = NULL;
		bh_db_failed(&s->db, rc, "write the log back", &error);
		bh_log(BH_WARNING, "store", "checkpoint failed", BH_STR("why", error->message));
	}
	s->checkpoint_fails = fails;
}

/*
 * The log could not grow, perhaps: what it holds may still fit into the database, and then the log begins anew in the
 * space that it has. So a full disk with a long log heals without anybody's help.
 */
static void make_room(bh_sqlite *s)
{
	if (s->wal_pages > s->checkpointed_at) {
		s->checkpointed_at = s->wal_pages;
		checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
	}
}

static void checkpoint_if_due(bh_sqlite *s, bool awaited)
{
	int since = s->wal_pages - s->checkpointed_at;

	if (since < (awaited ? CHECKPOINT_PAGES_AWAITED : CHECKPOINT_PAGES))
		return;
	s->checkpointed_at = s->wal_pages;
	if (s->wal_pages < RESTART_PAGES) {
		checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
		return;
	}
	sqlite3_busy_timeout(s->db.handle, RESTART_WAIT_MS);
	checkpoint(s, SQLITE_CHECKPOINT_RESTART);
	sqlite3_busy_timeout(s->db.handle, BH_DB_BUSY_WAIT_MS);
}
