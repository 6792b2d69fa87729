/*
 * One at a time of each order key (behaviour 8).
 *
 *   delivery_ordered of one (webhook, key):   [waits 0, id 7]  [waits 1, id 8]  [waits 1, id 9]
 *                                              may be sent       the next         ...
 *
 * The first entry of the index is the one that may be sent, and once that one is gone the first entry is the one that follows.
 * Whoever takes a delivery out of PENDING lets the next follow in the same transaction; whoever brings one in asks first whether
 * the key is taken. Who waits for an earlier one has the greatest due time there is, and so is in nobody's lane.
 */
#include "store/sqlite/sqlite.h"

static const bh_sql ORDER_TAKEN = {
	BH_SQL_ORDER_TAKEN,
	"look for an earlier delivery of an order key",
	"SELECT 1 FROM delivery INDEXED BY delivery_ordered WHERE webhook_id = ?1 AND order_key = ?2"
	" AND waits IS NOT NULL LIMIT 1",
};

bool bh_sqlite_order_taken(bh_sqlite *s, bh_id webhook, const char *key, bool *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &ORDER_TAKEN, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_text(&rows, 2, key);
	*ret = bh_rows_next(&rows, error);
	return !rows.failed;
}

static const bh_sql ORDER_FOLLOW = {
	BH_SQL_ORDER_FOLLOW,
	"let the next delivery of an order key follow",
	"UPDATE delivery SET at = ?3, waits = 0 WHERE id = (SELECT id FROM delivery INDEXED BY delivery_ordered"
	" WHERE webhook_id = ?1 AND order_key = ?2 AND waits IS NOT NULL ORDER BY waits, id LIMIT 1)"
	" AND waits = 1 RETURNING " BH_WAITING_COLUMNS,
};

bool bh_sqlite_order_follow(bh_sqlite *s, bh_id webhook, const char *key, bh_usec due, bh_waiting *ret,
			    bool *ret_follows, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &ORDER_FOLLOW, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_text(&rows, 2, key);
	bh_bind_int(&rows, 3, due);
	*ret_follows = bh_rows_next(&rows, error);
	if (*ret_follows)
		*ret = bh_sqlite_waiting_at(&rows);
	return !rows.failed && bh_rows_run(&rows, error);
}

static const bh_sql ORDER_NUMBER = {
	BH_SQL_ORDER_NUMBER,
	"number a delivery",
	"INSERT INTO webhook_sequence (webhook_id, last) VALUES (?1, 1)"
	" ON CONFLICT (webhook_id) DO UPDATE SET last = last + 1 RETURNING last",
};

static bool next_number(bh_sqlite *s, bh_id webhook, int64_t *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &ORDER_NUMBER, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	if (bh_rows_next(&rows, error))
		*ret = bh_int_at(&rows, 0);
	return !rows.failed && bh_rows_run(&rows, error);
}

bool bh_sqlite_order_join(bh_sqlite *s, bh_delivery *d, GError **error)
{
	bh_joined before = {d, d->due_at};
	bool taken = false;

	if (!d->order_key)
		return true;
	g_array_append_val(s->joined, before);
	if (!next_number(s, d->webhook_id, &d->sequence, error))
		return false;
	if (d->state != BH_STATE_PENDING)
		return true;
	if (!bh_sqlite_order_taken(s, d->webhook_id, d->order_key, &taken, error))
		return false;
	if (taken)
		d->due_at = BH_DUE_BLOCKED;
	return true;
}

void bh_sqlite_order_end(bh_sqlite *s, bool committed)
{
	for (guint i = 0; !committed && i < s->joined->len; i++) {
		const bh_joined *j = &g_array_index(s->joined, bh_joined, i);
		j->delivery->due_at = j->due_at;
		j->delivery->sequence = 0;
	}
	g_array_set_size(s->joined, 0);
	g_hash_table_remove_all(s->order_keys);
}

/* --- Many at once -------------------------------------------------------------------------------------------- */

void bh_sqlite_order_note(bh_sqlite *s, const char *key)
{
	if (key && !g_hash_table_contains(s->order_keys, key))
		g_hash_table_add(s->order_keys, g_strdup(key));
}

bool bh_sqlite_order_follow_noted(bh_sqlite *s, bh_id webhook, bh_usec due, GError **error)
{
	GHashTableIter i;
	void *key;
	bool follows;
	bh_waiting next;

	g_hash_table_iter_init(&i, s->order_keys);
	while (g_hash_table_iter_next(&i, &key, NULL)) {
		if (!bh_sqlite_order_follow(s, webhook, key, due, &next, &follows, error))
			return false;
	}
	g_hash_table_remove_all(s->order_keys);
	return true;
}
