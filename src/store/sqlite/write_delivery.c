/*
 * Where a delivery goes: by an attempt (record), by hand (move), or with many others of its webhook (sweep).
 *
 * All three compare and set: the WHERE of the statement, or the table of moves asked just before in the same
 * transaction, sees to it that a late writer changes nothing.
 */
#include "store/sqlite/sqlite.h"

#include "store/facts.h"
#include "store/shorthand.h"

/* The statements below name states by number. */
G_STATIC_ASSERT(BH_STATE_PENDING == 2);
G_STATIC_ASSERT(BH_STATE_HELD == 4);
G_STATIC_ASSERT(BH_STATE_DELIVERED == 3);
G_STATIC_ASSERT(BH_STATE_EXHAUSTED == 6);

/* What the column `at` says in the state that `w` leads to. */
static bh_usec at_of(const bh_write *w)
{
	return w->state == BH_STATE_PENDING && w->due_at ? w->due_at : w->at;
}

/* --- Record -------------------------------------------------------------------------------------------------- */

static bool move_attempted(bh_sqlite *s, const bh_write *w, bool *ret_moved, GError **error);
static bool count_attempt(bh_sqlite *s, const bh_write *w, bool *ret_found, GError **error);
static bool insert_attempt(bh_sqlite *s, const bh_write *w, GError **error);

bool bh_sqlite_write_record(bh_sqlite *s, bh_write *w, GError **error)
{
	bool moved = false, found = true;

	if (!move_attempted(s, w, &moved, error))
		return false;
	if (!moved && !count_attempt(s, w, &found, error))
		return false;
	if (!moved)
		w->result = found ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
	if (!found)
		return true;
	return !w->attempt || insert_attempt(s, w, error);
}

static int number_of(const bh_write *w)
{
	return w->attempt ? w->attempt->number : 0;
}

static const bh_sql MOVE_ATTEMPTED = {
	BH_SQL_MOVE_ATTEMPTED,
	"record where a delivery goes",
	"UPDATE delivery SET state = ?2, at = ?3, spent = ?4, attempts = max(attempts, ?5), reason = ?6"
	" WHERE id = ?1 AND (state = 2 OR (state = 4 AND ?7))",
};

static bool move_attempted(bh_sqlite *s, const bh_write *w, bool *ret_moved, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &MOVE_ATTEMPTED, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->delivery_id);
	bh_bind_int(&rows, 2, w->state);
	bh_bind_int(&rows, 3, at_of(w));
	bh_bind_int(&rows, 4, w->spent);
	bh_bind_int(&rows, 5, number_of(w));
	bh_bind_text(&rows, 6, w->reason);
	bh_bind_int(&rows, 7, bh_state_is_final(w->state));
	if (!bh_rows_run(&rows, error))
		return false;
	*ret_moved = sqlite3_changes(s->db.handle) > 0;
	return true;
}

static const bh_sql COUNT_ATTEMPT = {
	BH_SQL_COUNT_ATTEMPT,
	"count an attempt",
	"UPDATE delivery SET attempts = max(attempts, ?2) WHERE id = ?1",
};

static bool count_attempt(bh_sqlite *s, const bh_write *w, bool *ret_found, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &COUNT_ATTEMPT, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->delivery_id);
	bh_bind_int(&rows, 2, number_of(w));
	if (!bh_rows_run(&rows, error))
		return false;
	*ret_found = sqlite3_changes(s->db.handle) > 0;
	return true;
}

/* A record that was given twice, because nobody knew whether the first commit held, is kept once. */
static const bh_sql INSERT_ATTEMPT = {
	BH_SQL_INSERT_ATTEMPT,
	"write an attempt",
	"INSERT INTO attempt (delivery_id, number, started_at, facts, sentence, request, response, body,"
	" sent)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
};

static void bind_known_text(bh_rows *rows, int place, const char *text)
{
	bh_bind_text(rows, place, text ? text : "");
}

static void bind_bytes(bh_rows *rows, int place, bh_span bytes)
{
	sqlite3_bind_blob64(rows->stmt, place, bytes.size ? bytes.at : NULL, bytes.size, SQLITE_STATIC);
}

static void bind_headers(bh_rows *rows, int place, GString *shorthand, const char *headers)
{
	bh_shorthand_write(shorthand, headers ? headers : "");
	sqlite3_bind_text(rows->stmt, place, shorthand->str, (int)shorthand->len, SQLITE_STATIC);
}

static bool insert_attempt(bh_sqlite *s, const bh_write *w, GError **error)
{
	const bh_attempt_row *a = w->attempt;
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &INSERT_ATTEMPT, error);

	if (!rows.stmt)
		return false;
	bh_facts_write(s->packed, a);
	bh_bind_int(&rows, 1, w->delivery_id);
	bh_bind_int(&rows, 2, a->number);
	bh_bind_int(&rows, 3, a->started_at);
	bh_bind_span(&rows, 4, (bh_span){s->packed->str, s->packed->len});
	bind_known_text(&rows, 5, a->sentence);
	bind_headers(&rows, 6, s->request, a->request);
	bind_headers(&rows, 7, s->response, a->response);
	bind_bytes(&rows, 8, a->body);
	bind_bytes(&rows, 9, a->sent);
	return bh_rows_run(&rows, error);
}

/* --- Move ---------------------------------------------------------------------------------------------------- */

static bool state_of(bh_sqlite *s, bh_id delivery, bh_state *ret, bool *ret_found, GError **error);
static bool retry(bh_sqlite *s, const bh_write *w, GError **error);
static bool finish(bh_sqlite *s, const bh_write *w, GError **error);

bool bh_sqlite_write_move(bh_sqlite *s, bh_write *w, GError **error)
{
	bh_state from = 0;
	bool found = false;

	if (!state_of(s, w->delivery_id, &from, &found, error))
		return false;
	if (!found || !bh_state_may_move(from, w->state)) {
		w->result = found ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
		return true;
	}
	return w->state == BH_STATE_PENDING ? retry(s, w, error) : finish(s, w, error);
}

static const bh_sql STATE_OF = {
	BH_SQL_STATE_OF,
	"look up a delivery's state",
	"SELECT state FROM delivery WHERE id = ?1",
};

static bool state_of(bh_sqlite *s, bh_id delivery, bh_state *ret, bool *ret_found, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &STATE_OF, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, delivery);
	*ret_found = bh_rows_next(&rows, error);
	if (*ret_found)
		*ret = (bh_state)bh_int_at(&rows, 0);
	return !rows.failed;
}

static const bh_sql RETRY = {
	BH_SQL_RETRY,
	"retry a delivery",
	"UPDATE delivery SET state = 2, at = ?2, created_at = ?3, spent = 0, reason = ?4 WHERE id = ?1",
};

static bool retry(bh_sqlite *s, const bh_write *w, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &RETRY, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->delivery_id);
	bh_bind_int(&rows, 2, at_of(w));
	bh_bind_int(&rows, 3, w->at);
	bh_bind_text(&rows, 4, w->reason);
	return bh_rows_run(&rows, error);
}

static const bh_sql FINISH = {
	BH_SQL_FINISH,
	"move a delivery",
	"UPDATE delivery SET state = ?2, at = ?3, reason = ?4 WHERE id = ?1",
};

static bool finish(bh_sqlite *s, const bh_write *w, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &FINISH, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->delivery_id);
	bh_bind_int(&rows, 2, w->state);
	bh_bind_int(&rows, 3, w->at);
	bh_bind_text(&rows, 4, w->reason);
	return bh_rows_run(&rows, error);
}

/* --- Sweep --------------------------------------------------------------------------------------------------- */

static bool newest_of(bh_sqlite *s, const bh_write *w, bh_id *ret, GError **error);

/*
 * Both take the first of an index range: no step looks at more than it moves. What comes back to PENDING lives anew,
 * since the days on hold were not its fault; what had run out of attempts gets all of them again.
 */
static const bh_sql SWEEP_PENDING = {
	BH_SQL_SWEEP_PENDING,
	"sweep pending deliveries",
	"UPDATE delivery SET state = ?2, at = ?3, reason = ?4 WHERE id IN (SELECT id"
	" FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2 AND id <> ?5"
	" ORDER BY at, id LIMIT ?6)",
};
static const bh_sql SWEEP_UNUSUAL = {
	BH_SQL_SWEEP_UNUSUAL,
	"sweep deliveries",
	"UPDATE delivery SET state = ?2, at = ?3, reason = ?4,"
	" created_at = CASE WHEN ?2 = 2 THEN ?7 ELSE created_at END, spent = CASE WHEN ?2 = 2"
	" AND state = 6 THEN 0 ELSE spent END WHERE id IN (SELECT id"
	" FROM delivery INDEXED BY delivery_unusual_by_webhook WHERE webhook_id = ?1 AND state = ?8"
	" AND state > 3 AND id <> ?5 ORDER BY id LIMIT ?6)",
};

bool bh_sqlite_write_sweep(bh_sqlite *s, bh_write *w, GError **error)
{
	bh_id spared = 0;
	bool pending = w->from == BH_STATE_PENDING;

	w->swept = 0;
	if (w->from == w->state || !bh_state_may_move(w->from, w->state)) {
		w->result = BH_WRITE_CONFLICT;
		return true;
	}
	if (w->keep_newest && !newest_of(s, w, &spared, error))
		return false;

	g_auto(bh_rows) rows = bh_rows_of(&s->db, pending ? &SWEEP_PENDING : &SWEEP_UNUSUAL, error);
	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->webhook_id);
	bh_bind_int(&rows, 2, w->state);
	bh_bind_int(&rows, 3, at_of(w));
	bh_bind_text(&rows, 4, w->reason);
	bh_bind_int(&rows, 5, spared);
	bh_bind_int(&rows, 6, (int64_t)w->limit);
	if (!pending) {
		bh_bind_int(&rows, 7, w->at);
		bh_bind_int(&rows, 8, w->from);
	}
	if (!bh_rows_run(&rows, error))
		return false;
	w->swept = (size_t)sqlite3_changes(s->db.handle);
	return true;
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
