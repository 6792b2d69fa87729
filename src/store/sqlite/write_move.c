/* One delivery by hand: retry, hold, cancel. The table of moves in state.c says from where. */
#include "store/sqlite/sqlite.h"

/* The statements below name states by number. */
G_STATIC_ASSERT(BH_STATE_PENDING == 2);
G_STATIC_ASSERT(BH_DUE_BLOCKED == 9223372036854775807);

/* What a move has to know of the delivery. */
typedef struct place {
	bool found;
	bh_state state;
	bh_id webhook;
	bool is_ordered; /* s->order_key is its key */
	bool is_blocked;
} place;

static bool find(bh_sqlite *s, bh_id delivery, place *ret, GError **error);
static bool retry(bh_sqlite *s, bh_write *w, const place *from, GError **error);
static bool finish(bh_sqlite *s, const bh_write *w, GError **error);

bool bh_sqlite_write_move(bh_sqlite *s, bh_write *w, GError **error)
{
	place from = {0};

	if (!find(s, w->delivery_id, &from, error))
		return false;
	if (!from.found || !bh_state_may_move(from.state, w->state)) {
		w->result = from.found ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
		return true;
	}
	if (w->state == BH_STATE_PENDING)
		return retry(s, w, &from, error);
	return finish(s, w, error) &&
	       (!from.is_ordered || bh_sqlite_follow(s, w, from.webhook, s->order_key->str, error));
}

static const bh_sql STATE_OF = {
	BH_SQL_STATE_OF,
	"look up a delivery's state",
	"SELECT state, webhook_id, order_key, at FROM delivery WHERE id = ?1",
};

static bool find(bh_sqlite *s, bh_id delivery, place *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &STATE_OF, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, delivery);
	if (!bh_rows_next(&rows, error))
		return !rows.failed;
	*ret = (place){.found = true,
		       .state = (bh_state)bh_int_at(&rows, 0),
		       .webhook = bh_int_at(&rows, 1),
		       .is_ordered = bh_text_at(&rows, 2) != NULL,
		       .is_blocked = bh_int_at(&rows, 3) == BH_DUE_BLOCKED};
	if (ret->is_ordered)
		g_string_assign(s->order_key, bh_text_at(&rows, 2));
	return true;
}

bool bh_sqlite_has_delivery(bh_sqlite *s, bh_id delivery, bool *ret, GError **error)
{
	place where = {0};

	if (!find(s, delivery, &where, error))
		return false;
	*ret = where.found;
	return true;
}

void bh_sqlite_add_due(bh_write *w, const bh_waiting *waiting)
{
	for (size_t i = 0; i < w->due_count; i++) {
		if (w->due[i].delivery == waiting->delivery)
			return;
	}
	g_assert(w->due_count < G_N_ELEMENTS(w->due));
	w->due[w->due_count++] = *waiting;
}

bool bh_sqlite_follow(bh_sqlite *s, bh_write *w, bh_id webhook, const char *key, GError **error)
{
	bh_waiting next;
	bool follows;

	if (!bh_sqlite_order_follow(s, webhook, key, bh_sqlite_due_of(w), &next, &follows, error))
		return false;
	if (follows)
		bh_sqlite_add_due(w, &next);
	return true;
}

static const bh_sql RETRY = {
	BH_SQL_RETRY,
	"retry a delivery",
	"UPDATE delivery SET state = 2, at = ?2, created_at = ?3, spent = 0, reason = ?4,"
	" waits = CASE WHEN coalesce(order_key, coalesce_key) IS NOT NULL THEN ?2 = 9223372036854775807 END"
	" WHERE id = ?1 RETURNING " BH_WAITING_COLUMNS,
};

static bool retry_due(bh_sqlite *s, bh_write *w, bh_usec due, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &RETRY, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->delivery_id);
	bh_bind_int(&rows, 2, due);
	bh_bind_int(&rows, 3, w->at);
	bh_bind_text(&rows, 4, w->reason);
	if (bh_rows_next(&rows, error) && due != BH_DUE_BLOCKED) {
		bh_waiting again = bh_sqlite_waiting_at(&rows);
		bh_sqlite_add_due(w, &again);
	}
	return !rows.failed && bh_rows_run(&rows, error);
}

/* "Now" cannot be had by one that waits for another. One that comes back into its order key may have to wait, too. */
static bool retry(bh_sqlite *s, bh_write *w, const place *from, GError **error)
{
	bool taken = false, joins = from->is_ordered && from->state != BH_STATE_PENDING;

	if (from->state == BH_STATE_PENDING && from->is_blocked) {
		w->result = BH_WRITE_CONFLICT;
		return true;
	}
	if (joins && !bh_sqlite_order_taken(s, from->webhook, s->order_key->str, &taken, error))
		return false;
	return retry_due(s, w, taken ? BH_DUE_BLOCKED : bh_sqlite_due_of(w), error);
}

static const bh_sql FINISH = {
	BH_SQL_FINISH,
	"move a delivery",
	"UPDATE delivery SET state = ?2, at = ?3, reason = ?4, waits = NULL WHERE id = ?1",
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
