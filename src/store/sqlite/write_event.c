#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "store/findings.h"

#include <string.h>

static bool insert_event(bh_sqlite *s, const bh_write *w, bool *ret_inserted, GError **error);
static bool tell_duplicate(bh_sqlite *s, bh_write *w, GError **error);
static bool insert_delivery(bh_sqlite *s, const bh_delivery *d, GError **error);

bool bh_sqlite_write_event(bh_sqlite *s, bh_write *w, GError **error)
{
	bool inserted = false;

	if (!insert_event(s, w, &inserted, error))
		return false;
	if (!inserted)
		return tell_duplicate(s, w, error);
	bh_shelving_note_event(&s->events, w->event->id, w->event->type, w->event->property_id, w->event->manager_id);
	for (size_t i = 0; i < w->delivery_count; i++) {
		if (!insert_delivery(s, w->deliveries[i], error))
			return false;
		bh_shelving_note_delivery(&s->deliveries, w->deliveries[i]->id, w->deliveries[i]->webhook_id);
	}
	return true;
}

static const bh_sql INSERT_EVENT = {
	BH_SQL_INSERT_EVENT, "write an event",
	"INSERT INTO event (id, type, occurred_at, accepted_at, property_id, manager_id, actor, actor_is_manager,"
	" caller_key, caller_id, fingerprint, traceparent, channel_id, findings, data, details, channel)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
	" ON CONFLICT (caller_key, caller_id) WHERE caller_id IS NOT NULL DO NOTHING"};

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

static bool insert_event(bh_sqlite *s, const bh_write *w, bool *ret_inserted, GError **error)
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
	if (!bh_rows_run(&rows, error))
		return false;
	*ret_inserted = sqlite3_changes(s->db.handle) > 0;
	return true;
}

static const bh_sql FIND_DUPLICATE = {
	BH_SQL_FIND_DUPLICATE, "find the event of a caller's id",
	"SELECT id, fingerprint FROM event INDEXED BY event_by_caller WHERE caller_key = ?1 AND caller_id = ?2"};

static bool tell_duplicate(bh_sqlite *s, bh_write *w, GError **error)
{
	unsigned char fingerprint[BH_FINGERPRINT_SIZE];
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &FIND_DUPLICATE, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->caller_key);
	bh_bind_text(&rows, 2, w->event->caller_id);
	if (!bh_rows_next(&rows, error)) {
		if (!rows.failed)
			g_set_error(
				error, BH_ERROR, BH_ERROR_IO,
				"database \"%s\": an event of a caller's id is in the index only; the file is damaged",
				s->db.path);
		return false;
	}
	bh_event_fingerprint(w->event, fingerprint);
	bh_span given = {(const char *)fingerprint, sizeof fingerprint};
	w->result = bh_span_equal(given, bh_span_at(&rows, 1)) ? BH_WRITE_DUPLICATE : BH_WRITE_CONFLICT;
	w->existing_event = bh_int_at(&rows, 0);
	return true;
}

static const bh_sql INSERT_DELIVERY = {BH_SQL_INSERT_DELIVERY, "write a delivery",
				       "INSERT INTO delivery (id, event_id, webhook_id, manager_id, state, created_at, "
				       "at, spent, attempts, reason, is_test)"
				       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"};

static bh_usec at_of(const bh_delivery *d)
{
	if (d->state == BH_STATE_PENDING)
		return d->due_at;
	return bh_state_is_final(d->state) ? d->ended_at : d->created_at;
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
	bh_bind_int(&rows, 11, d->is_test);
	return bh_rows_run(&rows, error);
}
