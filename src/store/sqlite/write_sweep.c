/*
 * Many deliveries of a webhook from one state to another, a step at a time:
 *
 *   which one is spared -> the first of an index range move -> each order key that lost or won one is put right
 *
 * No step looks at more than `limit`, however many there are. What comes back to PENDING lives anew, since the days on hold
 * were not its fault; what had run out of attempts gets all of them again.
 */
#include "store/sqlite/sqlite.h"

/* The statements below name states by number. */
G_STATIC_ASSERT(BH_STATE_PENDING == 2);
G_STATIC_ASSERT(BH_STATE_EXHAUSTED == 6);
G_STATIC_ASSERT(BH_DUE_BLOCKED == 9223372036854775807);

static bool newest_of(bh_sqlite *s, const bh_write *w, bh_id *ret, GError **error);
static bool move_first(bh_sqlite *s, bh_write *w, bh_id spared, GError **error);

bool bh_sqlite_write_sweep(bh_sqlite *s, bh_write *w, GError **error)
{
	bh_id spared = 0;

	w->swept = 0;
	if (w->from == w->state || !bh_state_may_move(w->from, w->state)) {
		w->result = BH_WRITE_CONFLICT;
		return true;
	}
	if (w->keep_newest && !newest_of(s, w, &spared, error))
		return false;
	return move_first(s, w, spared, error) &&
	       bh_sqlite_order_follow_noted(s, w->webhook_id, bh_sqlite_due_of(w), error);
}

static const bh_sql NEWEST_PENDING = {
	BH_SQL_NEWEST_PENDING,
	"find the newest pending delivery",
	"SELECT max(id) FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2",
};
static const bh_sql NEWEST_UNUSUAL = {
	BH_SQL_NEWEST_UNUSUAL,
	"find the newest delivery",
	"SELECT max(id) FROM delivery INDEXED BY delivery_unusual_by_webhook WHERE webhook_id = ?1"
	" AND state = ?2 AND state > 3",
};

static bool newest_of(bh_sqlite *s, const bh_write *w, bh_id *ret, GError **error)
{
	bool pending = w->from == BH_STATE_PENDING;
	g_auto(bh_rows) rows = bh_rows_of(&s->db, pending ? &NEWEST_PENDING : &NEWEST_UNUSUAL, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->webhook_id);
	if (!pending)
		bh_bind_int(&rows, 2, w->from);
	if (bh_rows_next(&rows, error))
		*ret = bh_int_at(&rows, 0);
	return !rows.failed;
}

/* --- The move itself ----------------------------------------------------------------------------------------- */

/* A test is sent whatever its webhook is: it is never held. */
static const bh_sql SWEEP_PENDING = {
	BH_SQL_SWEEP_PENDING,
	"sweep pending deliveries",
	"UPDATE delivery SET state = ?2, at = ?3, reason = ?4, waits = NULL WHERE id IN (SELECT id"
	" FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2 AND id <> ?5"
	" AND (is_test = 0 OR ?2 <> 4) ORDER BY at, id LIMIT ?6) RETURNING order_key",
};

/*
 * Those who wait for an earlier one stand at the end of the index, in the order in which they were made. So both ends are looked
 * at: else each look would find one of an order key's backlog, the one that is due.
 */
static const bh_sql SWEEP_OLD = {
	BH_SQL_SWEEP_OLD,
	"sweep old pending deliveries",
	"UPDATE delivery SET state = ?2, at = ?3, reason = ?4, waits = NULL WHERE id IN (SELECT id FROM (SELECT id, created_at"
	" FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2"
	" AND at < 9223372036854775807 AND id <> ?5 ORDER BY at, id LIMIT ?6) WHERE created_at < ?7)"
	" RETURNING order_key",
};
static const bh_sql SWEEP_OLD_BLOCKED = {
	BH_SQL_SWEEP_OLD_BLOCKED,
	"sweep old deliveries that wait for earlier ones",
	"UPDATE delivery SET state = ?2, at = ?3, reason = ?4, waits = NULL WHERE id IN (SELECT id FROM (SELECT id, created_at"
	" FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2"
	" AND at = 9223372036854775807 AND id <> ?5 ORDER BY id LIMIT ?6) WHERE created_at < ?7)"
	" RETURNING order_key",
};

/* Back to PENDING all of an order key wait first, and then the first of them may go, if none went before. */
static const bh_sql SWEEP_UNUSUAL = {
	BH_SQL_SWEEP_UNUSUAL,
	"sweep deliveries",
	"UPDATE delivery SET state = ?2,"
	" at = CASE WHEN ?2 = 2 AND order_key IS NOT NULL THEN 9223372036854775807 ELSE ?3 END, reason = ?4,"
	" waits = CASE WHEN ?2 <> 2 THEN NULL WHEN order_key IS NOT NULL THEN 1 WHEN coalesce_key IS NOT NULL THEN 0 END,"
	" created_at = CASE WHEN ?2 = 2 THEN ?9 ELSE created_at END,"
	" spent = CASE WHEN ?2 = 2 AND state = 6 THEN 0 ELSE spent END"
	" WHERE id IN (SELECT id FROM (SELECT id, created_at FROM delivery INDEXED BY delivery_unusual_by_webhook"
	" WHERE webhook_id = ?1 AND state = ?8 AND state > 3 AND id <> ?5 ORDER BY id LIMIT ?6)"
	" WHERE ?7 = 0 OR created_at < ?7) RETURNING order_key",
};

static bool move_by(bh_sqlite *s, bh_write *w, const bh_sql *sql, bh_id spared, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, sql, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->webhook_id);
	bh_bind_int(&rows, 2, w->state);
	bh_bind_int(&rows, 3, w->state == BH_STATE_PENDING ? bh_sqlite_due_of(w) : w->at);
	bh_bind_text(&rows, 4, w->reason);
	bh_bind_int(&rows, 5, spared);
	bh_bind_limit(&rows, 6, w->limit - w->swept);
	if (sql != &SWEEP_PENDING)
		bh_bind_int(&rows, 7, w->made_before);
	if (sql == &SWEEP_UNUSUAL) {
		bh_bind_int(&rows, 8, w->from);
		bh_bind_int(&rows, 9, w->at);
	}
	while (bh_rows_next(&rows, error)) {
		bh_sqlite_order_note(s, bh_text_at(&rows, 0));
		w->swept++;
	}
	return !rows.failed;
}

static bool move_first(bh_sqlite *s, bh_write *w, bh_id spared, GError **error)
{
	if (w->from != BH_STATE_PENDING)
		return move_by(s, w, &SWEEP_UNUSUAL, spared, error);
	if (!w->made_before)
		return move_by(s, w, &SWEEP_PENDING, spared, error);
	return move_by(s, w, &SWEEP_OLD, spared, error) &&
	       (w->swept == w->limit || move_by(s, w, &SWEEP_OLD_BLOCKED, spared, error));
}
