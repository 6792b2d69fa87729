/* What one reader asks by key. Lists are in list.c. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "store/findings.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The statements below name states by number. */
G_STATIC_ASSERT(BH_STATE_PENDING == 2);
G_STATIC_ASSERT(BH_STATE_HELD == 3);
G_STATIC_ASSERT(BH_STATE_DELIVERED == 4);

static bh_db *db_of(bh_reader *r)
{
	return &((bh_sqlite_reader *)r)->db;
}

/* --- What waits ---------------------------------------------------------------------------------------------- */

static const bh_sql WAITING = {BH_SQL_WAITING, "read waiting deliveries",
			       "SELECT id, event_id, webhook_id, at, created_at, spent, attempts, is_test FROM "
			       "delivery INDEXED BY delivery_pending"
			       " WHERE webhook_id = ?1 AND state = 2 AND (at, id) > (?2, ?3) ORDER BY at, id LIMIT ?4"};

bool bh_sqlite_waiting(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret,
		       GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), &WAITING, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, after_due);
	bh_bind_int(&rows, 3, after_id);
	bh_bind_int(&rows, 4, (int64_t)MIN(limit, G_MAXINT64));
	while (bh_rows_next(&rows, error)) {
		bh_waiting w = {
			.delivery = bh_int_at(&rows, 0),
			.event = bh_int_at(&rows, 1),
			.webhook = bh_int_at(&rows, 2),
			.due_at = bh_int_at(&rows, 3),
			.created_at = bh_int_at(&rows, 4),
			.spent = (int)bh_int_at(&rows, 5),
			.attempts = (int)bh_int_at(&rows, 6),
			.is_test = bh_int_at(&rows, 7) != 0,
		};
		g_array_append_val(ret, w);
	}
	return !rows.failed;
}

/* One seek for each webhook: the first entry of the index behind the last webhook found. */
static const bh_sql NEXT_PENDING_WEBHOOK = {
	BH_SQL_NEXT_PENDING_WEBHOOK, "find webhooks with pending deliveries",
	"SELECT webhook_id FROM delivery INDEXED BY delivery_pending WHERE webhook_id > ?1 AND state = 2"
	" ORDER BY webhook_id LIMIT 1"};
static const bh_sql NEXT_HELD_WEBHOOK = {
	BH_SQL_NEXT_HELD_WEBHOOK, "find webhooks with held deliveries",
	"SELECT webhook_id FROM delivery INDEXED BY delivery_unusual_by_webhook"
	" WHERE state = 3 AND state NOT IN (2, 4) AND webhook_id > ?1 ORDER BY webhook_id LIMIT 1"};

static bool next_webhook(bh_reader *r, const bh_sql *sql, bh_id *webhook, bool *ret_found, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), sql, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, *webhook);
	*ret_found = bh_rows_next(&rows, error);
	if (*ret_found)
		*webhook = bh_int_at(&rows, 0);
	return !rows.failed;
}

bool bh_sqlite_webhooks_waiting(bh_reader *r, bh_state state, GArray *ret, GError **error)
{
	const bh_sql *sql = state == BH_STATE_PENDING ? &NEXT_PENDING_WEBHOOK : &NEXT_HELD_WEBHOOK;
	bh_id webhook = 0;
	bool found = true;

	g_assert(!bh_state_is_final(state));
	g_auto(bh_tx) tx = bh_tx_read(db_of(r), error);
	if (!tx.db)
		return false;
	while (found) {
		if (!next_webhook(r, sql, &webhook, &found, error))
			return false;
		if (found)
			g_array_append_val(ret, webhook);
	}
	return true;
}

static const bh_sql COUNT_PENDING = {
	BH_SQL_COUNT_PENDING, "count pending deliveries",
	"SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2"
	" LIMIT ?2)"};
static const bh_sql COUNT_HELD = {BH_SQL_COUNT_HELD, "count held deliveries",
				  "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_unusual_by_webhook"
				  " WHERE state = 3 AND state NOT IN (2, 4) AND webhook_id = ?1 LIMIT ?2)"};

bool bh_sqlite_count(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error)
{
	g_assert(!bh_state_is_final(state));
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), state == BH_STATE_PENDING ? &COUNT_PENDING : &COUNT_HELD, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, (int64_t)MIN(most, G_MAXINT64));
	if (!bh_rows_next(&rows, error))
		return false;
	*ret = (size_t)bh_int_at(&rows, 0);
	return true;
}

/* --- One thing by its id ------------------------------------------------------------------------------------- */

static const bh_sql EVENT = {
	BH_SQL_EVENT, "read an event",
	"SELECT id, type, occurred_at, accepted_at, property_id, manager_id, actor, actor_is_manager, caller_id,"
	" traceparent, channel_id, data, details, channel FROM event WHERE id = ?1"};
static const bh_sql EVENT_OF_CALLER = {
	BH_SQL_EVENT_OF_CALLER, "read an event by its caller's id",
	"SELECT id, type, occurred_at, accepted_at, property_id, manager_id, actor, actor_is_manager, caller_id,"
	" traceparent, channel_id, data, details, channel FROM event INDEXED BY event_by_caller"
	" WHERE caller_key = ?1 AND caller_id = ?2"};

static bool not_found(const bh_rows *rows, const char *what, GError **error)
{
	if (!rows->failed)
		g_set_error(error, BH_ERROR, BH_ERROR_NOT_FOUND, "there is no such %s", what);
	return false;
}

static bh_event *read_event(bh_rows *rows, GError **error)
{
	if (!bh_rows_next(rows, error)) {
		not_found(rows, "event", error);
		return NULL;
	}
	bh_event parts = {
		.id = bh_int_at(rows, 0),
		.type = (char *)bh_text_at(rows, 1),
		.occurred_at = bh_int_at(rows, 2),
		.accepted_at = bh_int_at(rows, 3),
		.property_id = (char *)bh_text_at(rows, 4),
		.manager_id = (char *)bh_text_at(rows, 5),
		.actor = (char *)bh_text_at(rows, 6),
		.actor_is_manager = bh_int_at(rows, 7) != 0,
		.caller_id = (char *)bh_text_at(rows, 8),
		.traceparent = (char *)bh_text_at(rows, 9),
		.channel_id = (char *)bh_text_at(rows, 10),
		.data = bh_span_at(rows, 11),
		.details = bh_span_at(rows, 12),
		.channel = bh_span_at(rows, 13),
	};
	return bh_event_restore(&parts);
}

bh_event *bh_sqlite_event(bh_reader *r, bh_id event, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), &EVENT, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, event);
	return read_event(&rows, error);
}

bh_event *bh_sqlite_event_of_caller(bh_reader *r, bh_id caller_key, const char *caller_id, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), &EVENT_OF_CALLER, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, caller_key);
	bh_bind_text(&rows, 2, caller_id);
	return read_event(&rows, error);
}

static const bh_sql DELIVERY = {
	BH_SQL_DELIVERY, "read a delivery",
	"SELECT id, event_id, webhook_id, manager_id, state, created_at, at, spent, attempts, reason, is_test"
	" FROM delivery WHERE id = ?1"};

bh_delivery *bh_sqlite_delivery(bh_reader *r, bh_id delivery, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), &DELIVERY, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, delivery);
	if (!bh_rows_next(&rows, error)) {
		not_found(&rows, "delivery", error);
		return NULL;
	}
	bh_delivery *d = g_new0(bh_delivery, 1);
	d->id = bh_int_at(&rows, 0);
	d->event_id = bh_int_at(&rows, 1);
	d->webhook_id = bh_int_at(&rows, 2);
	d->manager_id = g_strdup(bh_text_at(&rows, 3));
	d->state = (bh_state)bh_int_at(&rows, 4);
	d->created_at = bh_int_at(&rows, 5);
	d->due_at = d->state == BH_STATE_PENDING ? bh_int_at(&rows, 6) : 0;
	d->ended_at = bh_state_is_final(d->state) ? bh_int_at(&rows, 6) : 0;
	d->spent = (int)bh_int_at(&rows, 7);
	d->attempts = (int)bh_int_at(&rows, 8);
	d->reason = g_strdup(bh_text_at(&rows, 9));
	d->is_test = bh_int_at(&rows, 10) != 0;
	return d;
}

static const bh_sql FINDINGS = {BH_SQL_FINDINGS, "read an event's findings",
				"SELECT findings FROM event WHERE id = ?1"};

bh_findings *bh_sqlite_findings(bh_reader *r, bh_id event, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), &FINDINGS, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, event);
	if (!bh_rows_next(&rows, error)) {
		not_found(&rows, "event", error);
		return NULL;
	}
	return bh_findings_read(bh_text_at(&rows, 0), error);
}

/* --- Attempts, audit ----------------------------------------------------------------------------------------- */

static const bh_sql ATTEMPTS = {
	BH_SQL_ATTEMPTS, "read attempts",
	"SELECT delivery_id, number, started_at, dns, connect, tls, first_byte, total, outcome, cause, sentence, "
	"status,"
	" http_version, address, request, response, body, shape, sent FROM attempt WHERE delivery_id = ?1 AND number > "
	"?2"
	" ORDER BY number LIMIT ?3"};

typedef struct kept_attempt {
	bh_attempt_kept kept; /* first, so that it is freed as what the caller sees */
	char texts[];
} kept_attempt;

/* With a NUL behind, which does not count. */
static bh_span keep_bytes(char **place, const bh_rows *rows, int column)
{
	bh_span given = bh_span_at(rows, column);
	bh_span kept = {*place, given.size};

	if (given.size)
		memcpy(*place, given.at, given.size);
	(*place)[given.size] = '\0';
	*place += given.size + 1;
	return kept;
}

static const char *keep_text(char **place, const bh_rows *rows, int column)
{
	return keep_bytes(place, rows, column).at;
}

enum { FIRST_TEXT = 8, LAST_TEXT = 18 };

static bh_attempt_kept *attempt_of(const bh_rows *rows)
{
	size_t bytes = 0;
	for (int column = FIRST_TEXT; column <= LAST_TEXT; column++)
		bytes += (size_t)sqlite3_column_bytes(rows->stmt, column) + 1;

	kept_attempt *a = g_malloc0(sizeof *a + bytes);
	char *place = a->texts;
	a->kept.row = (bh_attempt_row){
		.delivery_id = bh_int_at(rows, 0),
		.number = (int)bh_int_at(rows, 1),
		.started_at = bh_int_at(rows, 2),
		.dns = bh_int_at(rows, 3),
		.connect = bh_int_at(rows, 4),
		.tls = bh_int_at(rows, 5),
		.first_byte = bh_int_at(rows, 6),
		.total = bh_int_at(rows, 7),
		.outcome = keep_text(&place, rows, 8),
		.cause = keep_text(&place, rows, 9),
		.sentence = keep_text(&place, rows, 10),
		.status = (int)bh_int_at(rows, 11),
		.http_version = keep_text(&place, rows, 12),
		.address = keep_text(&place, rows, 13),
		.request = keep_text(&place, rows, 14),
		.response = keep_text(&place, rows, 15),
		.body = keep_bytes(&place, rows, 16),
		.shape = keep_text(&place, rows, 17),
		.sent = keep_bytes(&place, rows, 18),
	};
	return &a->kept;
}

GPtrArray *bh_sqlite_attempts(bh_reader *r, bh_id delivery, int after, size_t limit, GError **error)
{
	g_autoptr(GPtrArray) attempts = g_ptr_array_new_with_free_func(g_free);
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), &ATTEMPTS, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, delivery);
	bh_bind_int(&rows, 2, after);
	bh_bind_int(&rows, 3, (int64_t)MIN(limit, G_MAXINT64));
	while (bh_rows_next(&rows, error))
		g_ptr_array_add(attempts, attempt_of(&rows));
	return rows.failed ? NULL : g_steal_pointer(&attempts);
}

static const bh_sql AUDIT = {BH_SQL_AUDIT, "read the audit log",
			     "SELECT id, at, who, came_from, what FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2"};

GPtrArray *bh_sqlite_audit(bh_reader *r, int64_t before, size_t limit, GError **error)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func((GDestroyNotify)bh_audit_free);
	g_auto(bh_rows) rows = bh_rows_of(db_of(r), &AUDIT, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, before > 0 ? before : G_MAXINT64);
	bh_bind_int(&rows, 2, (int64_t)MIN(limit, G_MAXINT64));
	while (bh_rows_next(&rows, error)) {
		bh_audit *a = g_new0(bh_audit, 1);
		a->id = bh_int_at(&rows, 0);
		a->at = bh_int_at(&rows, 1);
		a->who = g_strdup(bh_text_at(&rows, 2));
		a->from = g_strdup(bh_text_at(&rows, 3));
		a->what = g_strdup(bh_text_at(&rows, 4));
		g_ptr_array_add(lines, a);
	}
	return rows.failed ? NULL : g_steal_pointer(&lines);
}

/* --- Health -------------------------------------------------------------------------------------------------- */

static const bh_sql HEALTH = {BH_SQL_HEALTH, "read anything", "SELECT 1 FROM shelf LIMIT 1"};

static int64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

bool bh_sqlite_health(bh_reader *reader, bh_store_health *ret, GError **error)
{
	bh_sqlite_reader *r = (bh_sqlite_reader *)reader;
	g_auto(bh_rows) rows = bh_rows_of(&r->db, &HEALTH, error);

	if (!rows.stmt || !bh_rows_run(&rows, error))
		return false;
	ret->file_bytes = size_of(r->db.path);
	ret->wal_bytes = size_of(r->wal_path);
	return true;
}
