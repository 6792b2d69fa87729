#include "store/sqlite/sqlite.h"

#include "store/findings.h"

static bool find_repeat(bh_sqlite *s, bh_write *w, int64_t hash, GError **error);
static bool insert_all(bh_sqlite *s, const bh_write *w, const int64_t *hash, GError **error);
static bool insert_event(bh_sqlite *s, const bh_write *w, GError **error);
static bool insert_deliveries(bh_sqlite *s, const bh_write *w, GError **error);

bool bh_sqlite_write_event(bh_sqlite *s, bh_write *w, GError **error)
{
	if (!w->event->caller_id)
		return insert_all(s, w, NULL, error);

	int64_t hash = bh_caller_hash(w->caller_key, w->event->caller_id);
	if (!find_repeat(s, w, hash, error))
		return false;
	return w->result != BH_WRITE_DONE || insert_all(s, w, &hash, error);
}

static bool insert_all(bh_sqlite *s, const bh_write *w, const int64_t *hash, GError **error)
{
	const bh_event *e = w->event;

	if (!insert_event(s, w, error) || !bh_callers_note(&s->callers, &s->db, e->id, hash, error))
		return false;
	bh_shelving_note_event(&s->events, e->id, e->type, e->property_id, e->manager_id);
	return insert_deliveries(s, w, error);
}

static const bh_sql ADD_FINDINGS = {
	BH_SQL_ADD_FINDINGS,
	"add the findings of a replay",
	"UPDATE event SET findings = findings || ?2 WHERE id = ?1",
};

bool bh_sqlite_write_replay(bh_sqlite *s, bh_write *w, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &ADD_FINDINGS, error);

	if (!rows.stmt)
		return false;
	bh_findings_write_round(s->packed, w->findings, w->finding_count, w->deliveries, w->delivery_count);
	bh_bind_int(&rows, 1, w->event->id);
	sqlite3_bind_text(rows.stmt, 2, s->packed->str, (int)s->packed->len, SQLITE_STATIC);
	if (!bh_rows_run(&rows, error))
		return false;
	if (sqlite3_changes(s->db.handle) > 0)
		return insert_deliveries(s, w, error);
	w->result = BH_WRITE_NOT_FOUND;
	return true;
}

static const bh_sql FINGERPRINT = {
	BH_SQL_FINGERPRINT,
	"compare with the event of a caller's id",
	"SELECT fingerprint FROM event WHERE id = ?1 AND caller_key = ?2 AND caller_id = ?3",
};

/* Is `candidate` the event of this caller's id, and does it carry the same? */
static bool compare(bh_sqlite *s, bh_write *w, bh_id candidate, GError **error)
{
	unsigned char fingerprint[BH_FINGERPRINT_SIZE];
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &FINGERPRINT, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, candidate);
	bh_bind_int(&rows, 2, w->caller_key);
	bh_bind_text(&rows, 3, w->event->caller_id);
	if (!bh_rows_next(&rows, error))
		return !rows.failed;
	bh_event_fingerprint(w->event, fingerprint);
	bh_span given = {(const char *)fingerprint, sizeof fingerprint};
	w->result = bh_span_equal(given, bh_span_at(&rows, 0)) ? BH_WRITE_DUPLICATE : BH_WRITE_CONFLICT;
	w->existing_event = candidate;
	return true;
}

static bool find_repeat(bh_sqlite *s, bh_write *w, int64_t hash, GError **error)
{
	g_array_set_size(s->candidates, 0);
	if (!bh_callers_find(&s->callers, &s->db, hash, s->candidates, error))
		return false;
	for (guint i = 0; i < s->candidates->len && w->result == BH_WRITE_DONE; i++) {
		if (!compare(s, w, g_array_index(s->candidates, bh_id, i), error))
			return false;
	}
	return true;
}

static const bh_sql INSERT_EVENT = {
	BH_SQL_INSERT_EVENT,
	"write an event",
	"INSERT INTO event (id, type, occurred_at, accepted_at, property_id, manager_id, actor,"
	" actor_is_manager, caller_key, caller_id, fingerprint, traceparent, channel_id, findings, data,"
	" details, channel, hops)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
};

/* Without an id of the caller's there is nothing to be the same as, and all three columns stay empty. */
static void bind_caller(bh_rows *rows, const bh_write *w, unsigned char fingerprint[BH_FINGERPRINT_SIZE])
{
	if (!w->event->caller_id) {
		sqlite3_bind_null(rows->stmt, 9);
		sqlite3_bind_null(rows->stmt, 10);
		sqlite3_bind_null(rows->stmt, 11);
		return;
	}
	bh_event_fingerprint(w->event, fingerprint);
	bh_bind_int(rows, 9, w->caller_key);
	bh_bind_text(rows, 10, w->event->caller_id);
	sqlite3_bind_blob(rows->stmt, 11, fingerprint, BH_FINGERPRINT_SIZE, SQLITE_STATIC);
}

static bool insert_event(bh_sqlite *s, const bh_write *w, GError **error)
{
	const bh_event *e = w->event;
	unsigned char fingerprint[BH_FINGERPRINT_SIZE];
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &INSERT_EVENT, error);

	if (!rows.stmt)
		return false;
	bh_findings_write(s->packed, w->findings, w->finding_count, w->deliveries, w->delivery_count);
	bh_bind_int(&rows, 1, e->id);
	bh_bind_text(&rows, 2, e->type);
	bh_bind_int(&rows, 3, e->occurred_at);
	bh_bind_int(&rows, 4, e->accepted_at);
	bh_bind_text(&rows, 5, e->property_id);
	bh_bind_text(&rows, 6, e->manager_id);
	bh_bind_text(&rows, 7, e->actor);
	bh_bind_int(&rows, 8, e->actor_is_manager);
	bind_caller(&rows, w, fingerprint);
	bh_bind_text(&rows, 12, e->traceparent);
	bh_bind_text(&rows, 13, e->channel_id);
	sqlite3_bind_text(rows.stmt, 14, s->packed->str, (int)s->packed->len, SQLITE_STATIC); /* may be empty */
	bh_bind_span(&rows, 15, e->data);
	bh_bind_span(&rows, 16, e->details);
	bh_bind_span(&rows, 17, e->channel);
	bh_bind_known(&rows, 18, e->hops);
	return bh_rows_run(&rows, error);
}

static const bh_sql INSERT_DELIVERY = {
	BH_SQL_INSERT_DELIVERY,
	"write a delivery",
	"INSERT INTO delivery (id, event_id, webhook_id, manager_id, state, created_at, at, spent, attempts,"
	" reason, is_test, order_key, coalesce_key, sequence, superseded_by, waits)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
};

static bh_usec at_of(const bh_delivery *d)
{
	if (d->state == BH_STATE_PENDING)
		return d->due_at;
	return bh_state_is_final(d->state) ? d->ended_at : d->created_at;
}

static void bind_waits(bh_rows *rows, int place, const bh_delivery *d)
{
	if (d->state == BH_STATE_PENDING && (d->order_key || d->coalesce_key))
		bh_bind_int(rows, place, d->due_at == BH_DUE_BLOCKED);
	else
		sqlite3_bind_null(rows->stmt, place);
}

static bool insert_delivery(bh_sqlite *s, const bh_delivery *d, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &INSERT_DELIVERY, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, d->id);
	bh_bind_int(&rows, 2, d->event_id);
	bh_bind_int(&rows, 3, d->webhook_id);
	bh_bind_text(&rows, 4, d->manager_id);
	bh_bind_int(&rows, 5, d->state);
	bh_bind_int(&rows, 6, d->created_at);
	bh_bind_int(&rows, 7, at_of(d));
	bh_bind_int(&rows, 8, d->spent);
	bh_bind_int(&rows, 9, d->attempts);
	bh_bind_text(&rows, 10, d->reason);
	bh_bind_int(&rows, 11, d->is_test ? 1 + d->then : 0);
	bh_bind_text(&rows, 12, d->order_key);
	bh_bind_text(&rows, 13, d->coalesce_key);
	bh_bind_known(&rows, 14, d->sequence);
	bh_bind_known(&rows, 15, d->superseded_by);
	bind_waits(&rows, 16, d);
	return bh_rows_run(&rows, error);
}

static bool insert_deliveries(bh_sqlite *s, const bh_write *w, GError **error)
{
	for (size_t i = 0; i < w->delivery_count; i++) {
		bh_delivery *d = w->deliveries[i];
		if (!bh_sqlite_order_join(s, d, error) || !insert_delivery(s, d, error))
			return false;
		bh_shelving_note_delivery(&s->deliveries, d->id, d->webhook_id);
	}
	return true;
}
