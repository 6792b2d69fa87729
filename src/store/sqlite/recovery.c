/*
 * "Send again everything that failed since T" (behaviour 9):
 *
 *   RECOVERY -> RECOVER, RECOVER ... -> done          or RECOVERY_END -> cancelled
 *
 * Each RECOVER walks on from `after_id` in the index of exhausted deliveries and writes down how far it came in the same
 * transaction. So no step looks at more than it moves, and what fails once more lies behind and is not looked at again.
 */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "store/sqlite/newest.h"

/* The statements below name them by number. */
G_STATIC_ASSERT(BH_STATE_PENDING == 2);
G_STATIC_ASSERT(BH_STATE_EXHAUSTED == 6);
G_STATIC_ASSERT(BH_RECOVERY_RUNNING == 1);
G_STATIC_ASSERT(BH_RECOVERY_CANCELLED == 3);

/* --- It begins ----------------------------------------------------------------------------------------------- */

/* Index recovery_running lets one run for each webhook. Of a removed webhook none may, since nobody would end it. */
static const bh_sql INSERT_RECOVERY = {
	BH_SQL_INSERT_RECOVERY,
	"write a recovery",
	"INSERT INTO recovery (id, webhook_id, since, total, recovered, per_second, after_id, up_to, state,"
	" created_at, ended_at, who)"
	" SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12"
	" WHERE EXISTS (SELECT 1 FROM webhook WHERE id = ?2) ON CONFLICT (webhook_id) WHERE state = 1 DO NOTHING",
};
static const bh_sql RUNNING_OF = {
	BH_SQL_RUNNING_RECOVERY_OF,
	"look for a running recovery",
	"SELECT id FROM recovery INDEXED BY recovery_running WHERE webhook_id = ?1 AND state = 1 AND id < ?2"
	" ORDER BY id DESC LIMIT ?3",
};

static bool is_running(bh_sqlite *s, bh_id webhook, bool *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &RUNNING_OF, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, G_MAXINT64);
	bh_bind_int(&rows, 3, 1);
	*ret = bh_rows_next(&rows, error);
	return !rows.failed;
}

bool bh_sqlite_write_recovery(bh_sqlite *s, bh_write *w, GError **error)
{
	const bh_recovery *r = w->recovery;
	bool running = false;
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &INSERT_RECOVERY, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, r->id);
	bh_bind_int(&rows, 2, r->webhook_id);
	bh_bind_int(&rows, 3, r->since);
	bh_bind_int(&rows, 4, r->total);
	bh_bind_int(&rows, 5, r->recovered);
	bh_bind_int(&rows, 6, r->per_second);
	bh_bind_int(&rows, 7, r->after);
	bh_bind_int(&rows, 8, r->up_to);
	bh_bind_int(&rows, 9, r->state);
	bh_bind_int(&rows, 10, r->created_at);
	bh_bind_int(&rows, 11, r->ended_at);
	bh_bind_text(&rows, 12, r->who ? r->who : "");
	if (!bh_rows_run(&rows, error))
		return false;
	if (sqlite3_changes(s->db.handle) > 0)
		return true;
	if (!is_running(s, r->webhook_id, &running, error))
		return false;
	w->result = running ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
	return true;
}

/* --- It goes on ---------------------------------------------------------------------------------------------- */

static const bh_sql RECOVERY = {
	BH_SQL_RECOVERY,
	"read a recovery",
	"SELECT id, webhook_id, since, total, recovered, per_second, after_id, up_to, state, created_at,"
	" ended_at, who FROM recovery WHERE id = ?1",
};

static bh_recovery *recovery_at(const bh_rows *rows)
{
	bh_recovery *r = g_new0(bh_recovery, 1);

	r->id = bh_int_at(rows, 0);
	r->webhook_id = bh_int_at(rows, 1);
	r->since = bh_int_at(rows, 2);
	r->total = bh_int_at(rows, 3);
	r->recovered = bh_int_at(rows, 4);
	r->per_second = bh_int_at(rows, 5);
	r->after = bh_int_at(rows, 6);
	r->up_to = bh_int_at(rows, 7);
	r->state = (bh_recovery_state)bh_int_at(rows, 8);
	r->created_at = bh_int_at(rows, 9);
	r->ended_at = bh_int_at(rows, 10);
	r->who = g_strdup(bh_text_at(rows, 11));
	return r;
}

/* *ret NULL: there is none. */
static bool find_recovery(bh_db *db, bh_id recovery, bh_recovery **ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, &RECOVERY, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, recovery);
	*ret = bh_rows_next(&rows, error) ? recovery_at(&rows) : NULL;
	return !rows.failed;
}

/* The one that `w` names, if it still runs. *ret NULL: w->result says why not. */
static bool find_running(bh_sqlite *s, bh_write *w, bh_recovery **ret, GError **error)
{
	g_autoptr(bh_recovery) r = NULL;

	if (!find_recovery(&s->db, w->recovery_id, &r, error))
		return false;
	if (r) {
		w->recovery_state = r->state;
		w->webhook_id = r->webhook_id;
	}
	if (!r || r->state != BH_RECOVERY_RUNNING)
		w->result = r ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
	else
		*ret = g_steal_pointer(&r);
	return true;
}

static const bh_sql RECOVER = {
	BH_SQL_RECOVER,
	"recover deliveries",
	"UPDATE delivery SET state = 2, at = CASE WHEN order_key IS NULL THEN ?4 ELSE 9223372036854775807 END,"
	" waits = CASE WHEN order_key IS NOT NULL THEN 1 WHEN coalesce_key IS NOT NULL THEN 0 END,"
	" created_at = ?5, spent = 0, reason = ?6 WHERE id IN (SELECT id"
	" FROM delivery INDEXED BY delivery_unusual_by_webhook WHERE webhook_id = ?1 AND state = 6"
	" AND state > 3 AND id > ?2 AND id <= ?3 AND is_test = 0"
	" AND created_at >= ?8 ORDER BY id LIMIT ?7) RETURNING id, order_key",
};

/* Moves the next ones and says how many and how far they go. */
static bool move_next(bh_sqlite *s, bh_write *w, const bh_recovery *r, bh_id *ret_last, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &RECOVER, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, r->webhook_id);
	bh_bind_int(&rows, 2, r->after);
	bh_bind_int(&rows, 3, r->up_to);
	bh_bind_int(&rows, 4, bh_sqlite_due_of(w));
	bh_bind_int(&rows, 5, w->at);
	bh_bind_text(&rows, 6, w->reason);
	bh_bind_limit(&rows, 7, w->limit);
	bh_bind_int(&rows, 8, r->since);
	while (bh_rows_next(&rows, error)) {
		*ret_last = MAX(*ret_last, bh_int_at(&rows, 0));
		bh_sqlite_order_note(s, bh_text_at(&rows, 1));
		w->swept++;
	}
	return !rows.failed;
}

static const bh_sql NOTE_PROGRESS = {
	BH_SQL_NOTE_PROGRESS,
	"write how far a recovery is",
	"UPDATE recovery SET recovered = recovered + ?2, after_id = ?3, state = ?4, ended_at = ?5 WHERE id = ?1",
};

static bool note_progress(bh_sqlite *s, const bh_write *w, bh_id after, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &NOTE_PROGRESS, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->recovery_id);
	bh_bind_int(&rows, 2, (int64_t)w->swept);
	bh_bind_int(&rows, 3, after);
	bh_bind_int(&rows, 4, w->recovery_state);
	bh_bind_int(&rows, 5, w->recovery_state == BH_RECOVERY_RUNNING ? 0 : w->at);
	return bh_rows_run(&rows, error);
}

bool bh_sqlite_write_recover(bh_sqlite *s, bh_write *w, GError **error)
{
	g_autoptr(bh_recovery) r = NULL;

	w->swept = 0;
	if (!find_running(s, w, &r, error))
		return false;
	if (!r)
		return true;
	bh_id last = r->after;
	if (!move_next(s, w, r, &last, error) ||
	    !bh_sqlite_order_follow_noted(s, r->webhook_id, bh_sqlite_due_of(w), error))
		return false;
	if (w->swept < w->limit)
		w->recovery_state = BH_RECOVERY_DONE;
	return note_progress(s, w, last, error);
}

bool bh_sqlite_write_recovery_end(bh_sqlite *s, bh_write *w, GError **error)
{
	g_autoptr(bh_recovery) r = NULL;

	w->swept = 0;
	if (!find_running(s, w, &r, error))
		return false;
	if (!r)
		return true;
	w->recovery_state = BH_RECOVERY_CANCELLED;
	return note_progress(s, w, r->after, error);
}

/* --- Reading ------------------------------------------------------------------------------------------------- */

bh_recovery *bh_sqlite_recovery(bh_reader *r, bh_id recovery, GError **error)
{
	bh_recovery *found = NULL;

	if (find_recovery(bh_sqlite_db_of(r), recovery, &found, error) && !found)
		g_set_error(error, BH_ERROR, BH_ERROR_NOT_FOUND, "there is no such recovery");
	return found;
}

static const bh_sql LIST_RECOVERIES = {
	BH_SQL_LIST_RECOVERIES,
	"list recoveries",
	"SELECT id FROM recovery WHERE id < ?2 ORDER BY id DESC LIMIT ?3",
};
static const bh_sql LIST_RECOVERIES_OF = {
	BH_SQL_LIST_RECOVERIES_OF,
	"list recoveries of a webhook",
	"SELECT id FROM recovery INDEXED BY recovery_by_webhook WHERE webhook_id = ?1 AND id < ?2"
	" ORDER BY id DESC LIMIT ?3",
};
/* At most one for each webhook, so what is sorted here is not much. */
static const bh_sql LIST_RUNNING = {
	BH_SQL_LIST_RUNNING,
	"list running recoveries",
	"SELECT id FROM recovery INDEXED BY recovery_running WHERE state = 1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
};

static bool find_ids(bh_reader *r, const bh_sql *sql, bh_id webhook, bh_newest *newest, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), sql, error);

	if (!rows.stmt)
		return false;
	if (webhook)
		bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, newest->before);
	bh_bind_limit(&rows, 3, newest->limit);
	while (bh_rows_next(&rows, error))
		bh_newest_add(newest, bh_int_at(&rows, 0));
	return !rows.failed;
}

static bool find_all(bh_reader *r, const bh_id *webhooks, size_t count, bool only_running, bh_newest *newest,
		     GError **error)
{
	if (!webhooks)
		return find_ids(r, only_running ? &LIST_RUNNING : &LIST_RECOVERIES, 0, newest, error);
	for (size_t i = 0; i < count; i++) {
		if (!find_ids(r, only_running ? &RUNNING_OF : &LIST_RECOVERIES_OF, webhooks[i], newest, error))
			return false;
	}
	return true;
}

GPtrArray *bh_sqlite_recoveries(bh_reader *r, const bh_id *webhooks, size_t webhook_count, bool only_running,
				bh_id before, size_t limit, GError **error)
{
	g_autoptr(GPtrArray) recoveries = g_ptr_array_new_with_free_func((GDestroyNotify)bh_recovery_free);
	g_auto(bh_newest) newest = {0};
	g_auto(bh_tx) tx = bh_tx_read(bh_sqlite_db_of(r), error);

	bh_newest_init(&newest, before, limit);
	if (!tx.db || !find_all(r, webhooks, webhook_count, only_running, &newest, error))
		return NULL;
	for (guint i = 0; i < newest.ids->len; i++) {
		bh_recovery *found = bh_sqlite_recovery(r, g_array_index(newest.ids, bh_id, i), error);
		if (!found)
			return NULL;
		g_ptr_array_add(recoveries, found);
	}
	return g_steal_pointer(&recoveries);
}
