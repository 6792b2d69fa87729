/*
 * An attempt, and where its delivery goes from there:
 *
 *   move it -> let the next of its order key follow -> the webhook's run of failures -> the attempt itself
 *
 * Compare and set: the WHERE of the statement sees to it that a late writer changes nothing. A delivery that ends because a
 * newer one is sent in its place has no attempt, and a road of its own below.
 */
#include "store/sqlite/sqlite.h"

#include "store/facts.h"
#include "store/shorthand.h"

/* The statements below name states by number. */
G_STATIC_ASSERT(BH_STATE_PENDING == 2);
G_STATIC_ASSERT(BH_STATE_HELD == 4);
G_STATIC_ASSERT(BH_STATE_COALESCED == 7);

static bool move_attempted(bh_sqlite *s, bh_write *w, bool *ret_moved, GError **error);
static bool record_late(bh_sqlite *s, bh_write *w, bool *ret_found, GError **error);
static bool insert_attempt(bh_sqlite *s, const bh_write *w, GError **error);
static bool write_coalesced(bh_sqlite *s, bh_write *w, GError **error);

bool bh_sqlite_write_record(bh_sqlite *s, bh_write *w, GError **error)
{
	bool moved = false, found = true;

	if (w->state == BH_STATE_COALESCED)
		return write_coalesced(s, w, error);
	if (!move_attempted(s, w, &moved, error) || (!moved && !record_late(s, w, &found, error)))
		return false;
	if (!found)
		return true;
	if (w->streak && !bh_sqlite_write_streak(s, w, error))
		return false;
	return !w->attempt || insert_attempt(s, w, error);
}

static int number_of(const bh_write *w)
{
	return w->attempt ? w->attempt->number : 0;
}

/* Nearly every record ends here. RETURNING would cost it half as much again, and setting `waits` two more indexes. */
static const bh_sql MOVE_ATTEMPTED = {
	BH_SQL_MOVE_ATTEMPTED,
	"record where a delivery goes",
	"UPDATE delivery SET state = ?2, at = ?3, spent = ?4, attempts = max(attempts, ?5), reason = ?6"
	" WHERE id = ?1 AND (state = 2 OR (state = 4 AND ?7)) AND waits IS NULL",
};
/* Who waits for an earlier one of the order key goes on waiting for it, whatever became of an attempt on the way. */
static const bh_sql MOVE_KEYED = {
	BH_SQL_MOVE_KEYED,
	"record where a delivery with a key goes",
	"UPDATE delivery SET state = ?2, at = CASE WHEN ?2 = 2 AND waits = 1 THEN at ELSE ?3 END, spent = ?4,"
	" attempts = max(attempts, ?5), reason = ?6, waits = CASE WHEN ?2 = 2 THEN waits END"
	" WHERE id = ?1 AND state = 2 AND waits IS NOT NULL RETURNING webhook_id, order_key",
};

static void bind_move(bh_rows *rows, const bh_write *w)
{
	bh_bind_int(rows, 1, w->delivery_id);
	bh_bind_int(rows, 2, w->state);
	bh_bind_int(rows, 3, w->state == BH_STATE_PENDING ? bh_sqlite_due_of(w) : w->at);
	bh_bind_int(rows, 4, w->spent);
	bh_bind_int(rows, 5, number_of(w));
	bh_bind_text(rows, 6, w->reason);
}

static bool move_plain(bh_sqlite *s, const bh_write *w, bool *ret_moved, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &MOVE_ATTEMPTED, error);

	if (!rows.stmt)
		return false;
	bind_move(&rows, w);
	bh_bind_int(&rows, 7, bh_state_is_final(w->state));
	if (!bh_rows_run(&rows, error))
		return false;
	*ret_moved = sqlite3_changes(s->db.handle) > 0;
	return true;
}

/* Runs a statement that moves at most one delivery and returns its webhook and order key; then the next one may follow. */
static bool move_one(bh_sqlite *s, bh_rows *rows, bh_write *w, bool *ret_moved, GError **error)
{
	*ret_moved = bh_rows_next(rows, error);
	if (!*ret_moved)
		return !rows->failed;
	if (w->state == BH_STATE_PENDING || !bh_text_at(rows, 1))
		return bh_rows_run(rows, error);
	bh_id webhook = bh_int_at(rows, 0);
	g_string_assign(s->order_key, bh_text_at(rows, 1));
	return bh_rows_run(rows, error) && bh_sqlite_follow(s, w, webhook, s->order_key->str, error);
}

static bool move_keyed(bh_sqlite *s, bh_write *w, bool *ret_moved, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &MOVE_KEYED, error);

	if (!rows.stmt)
		return false;
	bind_move(&rows, w);
	return move_one(s, &rows, w, ret_moved, error);
}

static bool move_attempted(bh_sqlite *s, bh_write *w, bool *ret_moved, GError **error)
{
	return move_plain(s, w, ret_moved, error) && (*ret_moved || move_keyed(s, w, ret_moved, error));
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

/* It had moved already, or was never there: the attempt alone counts. */
static bool record_late(bh_sqlite *s, bh_write *w, bool *ret_found, GError **error)
{
	if (!count_attempt(s, w, ret_found, error))
		return false;
	w->result = *ret_found ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
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

/* --- A newer one in its place -------------------------------------------------------------------------------- */

/* It may have been sent in the meantime, or have given way itself; the older one is out of date all the same. */
static const bh_sql STANDS_FOR = {
	BH_SQL_STANDS_FOR,
	"look whether a newer delivery stands for an older one",
	"SELECT 1 FROM delivery WHERE id = ?1 AND state IN (2, 3, 7)",
};

static bool stands_for_it(bh_sqlite *s, bh_id delivery, bool *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &STANDS_FOR, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, delivery);
	*ret = bh_rows_next(&rows, error);
	return !rows.failed;
}

static const bh_sql SUPERSEDE = {
	BH_SQL_SUPERSEDE,
	"end a delivery for a newer one",
	"UPDATE delivery SET state = 7, at = ?2, reason = ?3, superseded_by = ?4, waits = NULL"
	" WHERE id = ?1 AND (state = 2 OR state = 4) RETURNING webhook_id, order_key",
};

static bool supersede(bh_sqlite *s, bh_write *w, bool *ret_moved, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &SUPERSEDE, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->delivery_id);
	bh_bind_int(&rows, 2, w->at);
	bh_bind_text(&rows, 3, w->reason);
	bh_bind_int(&rows, 4, w->superseded_by);
	return move_one(s, &rows, w, ret_moved, error);
}

/* One that was attempted has a time of its own to keep, given by the receiver or the schedule. */
static const bh_sql HURRY = {
	BH_SQL_HURRY,
	"send the newer delivery now",
	"UPDATE delivery SET at = min(at, ?2) WHERE id = ?1 AND state = 2 AND attempts = 0"
	" AND at < 9223372036854775807 RETURNING " BH_WAITING_COLUMNS,
};

static bool hurry(bh_sqlite *s, bh_write *w, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &HURRY, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->superseded_by);
	bh_bind_int(&rows, 2, bh_sqlite_due_of(w));
	if (bh_rows_next(&rows, error)) {
		bh_waiting newer = bh_sqlite_waiting_at(&rows);
		bh_sqlite_add_due(w, &newer);
	}
	return !rows.failed && bh_rows_run(&rows, error);
}

static bool write_coalesced(bh_sqlite *s, bh_write *w, GError **error)
{
	bool stands = false, moved = false, found = true;

	g_assert(!w->attempt && w->superseded_by != w->delivery_id);
	if (!stands_for_it(s, w->superseded_by, &stands, error))
		return false;
	if (stands && !supersede(s, w, &moved, error))
		return false;
	if (moved)
		return hurry(s, w, error);
	if (!bh_sqlite_has_delivery(s, w->delivery_id, &found, error))
		return false;
	w->result = found ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
	return true;
}
