/* What one reader asks by key. Lists are in list.c. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "store/facts.h"
#include "store/findings.h"
#include "store/shorthand.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The statements below name states by number. */
G_STATIC_ASSERT(BH_STATE_PENDING == 2);
G_STATIC_ASSERT(BH_STATE_HELD == 4);
G_STATIC_ASSERT(BH_STATE_DELIVERED == 3);

bh_db *bh_sqlite_db_of(bh_reader *r)
{
	return &((bh_sqlite_reader *)r)->db;
}

/* --- What waits ---------------------------------------------------------------------------------------------- */

/*
 * Two ranges of the index, since SQLite would seek to the due time alone and read past all that are due with it: a
 * million, when a sweep made them so.
 */
static const bh_sql WAITING_DUE_THEN = {
	BH_SQL_WAITING_DUE_THEN,
	"read waiting deliveries",
	"SELECT " BH_WAITING_COLUMNS " FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2"
	" AND at = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
};
static const bh_sql WAITING_LATER = {
	BH_SQL_WAITING_LATER,
	"read waiting deliveries",
	"SELECT " BH_WAITING_COLUMNS " FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1 AND state = 2"
	" AND at > ?2 AND at < 9223372036854775807 ORDER BY at, id LIMIT ?3",
};

/* Column is_test: 0, or 1 and what the test's success brings about. */
static bh_test_then then_of(int64_t is_test)
{
	return is_test > 0 ? (bh_test_then)(is_test - 1) : BH_TEST_ONLY;
}

bh_waiting bh_sqlite_waiting_at(const bh_rows *rows)
{
	return (bh_waiting){
		.delivery = bh_int_at(rows, 0),
		.event = bh_int_at(rows, 1),
		.webhook = bh_int_at(rows, 2),
		.due_at = bh_int_at(rows, 3),
		.created_at = bh_int_at(rows, 4),
		.spent = (int)bh_int_at(rows, 5),
		.attempts = (int)bh_int_at(rows, 6),
		.sequence = bh_int_at(rows, 7),
		.is_test = bh_int_at(rows, 8) != 0,
		.may_coalesce = bh_int_at(rows, 9) != 0,
		.then = then_of(bh_int_at(rows, 8)),
	};
}

static bool take_waiting(bh_rows *rows, GArray *ret, GError **error)
{
	while (bh_rows_next(rows, error)) {
		bh_waiting w = bh_sqlite_waiting_at(rows);
		g_array_append_val(ret, w);
	}
	return !rows->failed;
}

static bool due_then(bh_reader *r, bh_id webhook, bh_usec due, bh_id after, size_t limit, GArray *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &WAITING_DUE_THEN, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, due);
	bh_bind_int(&rows, 3, after);
	bh_bind_limit(&rows, 4, limit);
	return take_waiting(&rows, ret, error);
}

static bool due_later(bh_reader *r, bh_id webhook, bh_usec due, size_t limit, GArray *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &WAITING_LATER, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, due);
	bh_bind_limit(&rows, 3, limit);
	return take_waiting(&rows, ret, error);
}

bool bh_sqlite_waiting(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret,
		       GError **error)
{
	guint before = ret->len;
	g_auto(bh_tx) tx = bh_tx_read(bh_sqlite_db_of(r), error);

	if (after_due == BH_DUE_BLOCKED)
		return tx.db != NULL;
	if (!tx.db || !due_then(r, webhook, after_due, after_id, limit, ret, error))
		return false;
	size_t rest = limit - (ret->len - before);
	return rest == 0 || due_later(r, webhook, after_due, rest, ret, error);
}

/* One seek for each webhook: the first entry of the index behind the last webhook found. */
static const bh_sql NEXT_PENDING_WEBHOOK = {
	BH_SQL_NEXT_PENDING_WEBHOOK,
	"find webhooks with pending deliveries",
	"SELECT webhook_id FROM delivery INDEXED BY delivery_pending WHERE webhook_id > ?1 AND state = 2"
	" ORDER BY webhook_id LIMIT 1",
};
static const bh_sql NEXT_HELD_WEBHOOK = {
	BH_SQL_NEXT_HELD_WEBHOOK,
	"find webhooks with held deliveries",
	"SELECT webhook_id FROM delivery INDEXED BY delivery_unusual_by_webhook WHERE state = 4"
	" AND state > 3 AND webhook_id > ?1 ORDER BY webhook_id LIMIT 1",
};

static bool next_webhook(bh_reader *r, const bh_sql *sql, bh_id *webhook, bool *ret_found, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), sql, error);

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
	g_auto(bh_tx) tx = bh_tx_read(bh_sqlite_db_of(r), error);
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
	BH_SQL_COUNT_PENDING,
	"count pending deliveries",
	"SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_pending WHERE webhook_id = ?1"
	" AND state = 2 LIMIT ?2)",
};
static const bh_sql COUNT_HELD = {
	BH_SQL_COUNT_HELD,
	"count held deliveries",
	"SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_unusual_by_webhook"
	" WHERE state = 4 AND state > 3 AND webhook_id = ?1 LIMIT ?2)",
};

bool bh_sqlite_count(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error)
{
	g_assert(!bh_state_is_final(state));
	g_auto(bh_rows) rows =
		bh_rows_of(bh_sqlite_db_of(r), state == BH_STATE_PENDING ? &COUNT_PENDING : &COUNT_HELD, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_limit(&rows, 2, most);
	if (!bh_rows_next(&rows, error))
		return false;
	*ret = (size_t)bh_int_at(&rows, 0);
	return true;
}

static const bh_sql COUNT_AFTER = {
	BH_SQL_COUNT_AFTER,
	"count deliveries in a state",
	"SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_unusual_by_webhook WHERE state = ?2"
	" AND state > 3 AND webhook_id = ?1 AND id > ?3 AND is_test = 0 AND created_at >= ?5"
	" LIMIT ?4)",
};

bool bh_sqlite_count_after(bh_reader *r, bh_id webhook, bh_state state, bh_id after, bh_usec since, size_t most,
			   size_t *ret, GError **error)
{
	g_assert(state > BH_STATE_DELIVERED);
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &COUNT_AFTER, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, state);
	bh_bind_int(&rows, 3, after);
	bh_bind_limit(&rows, 4, most);
	bh_bind_int(&rows, 5, since);
	if (!bh_rows_next(&rows, error))
		return false;
	*ret = (size_t)bh_int_at(&rows, 0);
	return true;
}

/*
 * CROSS JOIN keeps them in this order: the one delivery, then the end of its key's range. Nearly always the first row of it
 * decides: those that are not due yet are few.
 */
static const bh_sql SUPERSEDED = {
	BH_SQL_SUPERSEDED,
	"look for a newer delivery of a coalescing key that is on its way",
	"SELECT newer.id FROM delivery AS old CROSS JOIN delivery AS newer INDEXED BY delivery_coalescing"
	" WHERE old.id = ?1 AND newer.webhook_id = old.webhook_id AND newer.coalesce_key = old.coalesce_key"
	" AND newer.id > ?1 AND newer.id < ?3 AND (newer.state = 3 OR (newer.state = 2 AND (newer.at <= ?2 OR newer.attempts > 0)))"
	" ORDER BY newer.id DESC LIMIT 1",
};
static const bh_sql SUPERSEDING = {
	BH_SQL_SUPERSEDING,
	"look for a newer delivery of a coalescing key",
	"SELECT newer.id FROM delivery AS old CROSS JOIN delivery AS newer INDEXED BY delivery_coalescing"
	" WHERE old.id = ?1 AND newer.webhook_id = old.webhook_id AND newer.coalesce_key = old.coalesce_key"
	" AND newer.state = 2 AND newer.id > ?1 AND newer.id < ?3 ORDER BY newer.id DESC LIMIT 1",
};

/* The id that the statement finds; 0: none. */
static bool find_newer(bh_rows *rows, bh_id delivery, bh_id before, bh_id *ret, GError **error)
{
	if (!rows->stmt)
		return false;
	bh_bind_int(rows, 1, delivery);
	bh_bind_int(rows, 3, before ? before : INT64_MAX);
	*ret = bh_rows_next(rows, error) ? bh_int_at(rows, 0) : 0;
	return !rows->failed;
}

bool bh_sqlite_superseding(bh_reader *r, bh_id delivery, bh_usec now, bh_id before, bh_id *ret, GError **error)
{
	bh_db *db = bh_sqlite_db_of(r);
	bh_id found = 0;
	g_auto(bh_rows) on_its_way = bh_rows_of(db, &SUPERSEDED, error);

	if (on_its_way.stmt)
		bh_bind_int(&on_its_way, 2, now);
	if (!find_newer(&on_its_way, delivery, before, &found, error))
		return false;
	if (!found) {
		g_auto(bh_rows) waiting = bh_rows_of(db, &SUPERSEDING, error);
		if (!find_newer(&waiting, delivery, before, &found, error))
			return false;
	}
	*ret = found;
	return true;
}

/* --- One thing by its id ------------------------------------------------------------------------------------- */

static const bh_sql EVENT = {
	BH_SQL_EVENT,
	"read an event",
	"SELECT id, type, occurred_at, accepted_at, property_id, manager_id, actor, actor_is_manager,"
	" caller_id, traceparent, channel_id, data, details, channel, hops"
	" FROM event WHERE id = ?1",
};
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
		.hops = (int)bh_int_at(rows, 14),
	};
	return bh_event_restore(&parts);
}

bh_event *bh_sqlite_event(bh_reader *r, bh_id event, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &EVENT, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, event);
	return read_event(&rows, error);
}

/* One transaction takes the locks once for all. */
bool bh_sqlite_payloads(bh_reader *r, const bh_waiting *rows, size_t count, size_t bytes_max, bh_event **events,
			GError **error)
{
	size_t bytes = 0;
	g_auto(bh_tx) tx = bh_tx_read(bh_sqlite_db_of(r), error);

	if (!tx.db)
		return false;
	for (size_t i = 0; i < count && bytes < bytes_max; i++) {
		g_autoptr(GError) trouble = NULL;
		if (events[i])
			continue;
		events[i] = bh_sqlite_event(r, rows[i].event, &trouble);
		if (events[i])
			bytes += events[i]->bytes;
		else if (!g_error_matches(trouble, BH_ERROR, BH_ERROR_NOT_FOUND)) {
			g_propagate_error(error, g_steal_pointer(&trouble));
			return false;
		}
	}
	return true;
}

static const bh_sql EVENT_OF_CALLER = {
	BH_SQL_EVENT_OF_CALLER,
	"read an event by its caller's id",
	"SELECT id, type, occurred_at, accepted_at, property_id, manager_id, actor, actor_is_manager,"
	" caller_id, traceparent, channel_id, data, details, channel, hops"
	" FROM event WHERE id = ?1 AND caller_key = ?2 AND caller_id = ?3",
};

static bh_event *event_if_of(bh_reader *r, bh_id event, bh_id caller_key, const char *caller_id, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &EVENT_OF_CALLER, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, event);
	bh_bind_int(&rows, 2, caller_key);
	bh_bind_text(&rows, 3, caller_id);
	return read_event(&rows, error);
}

bh_event *bh_sqlite_event_of_caller(bh_reader *reader, bh_id caller_key, const char *caller_id, GError **error)
{
	bh_sqlite_reader *r = (bh_sqlite_reader *)reader;
	g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(bh_id));

	if (!bh_callers_find(r->callers, &r->db, bh_caller_hash(caller_key, caller_id), candidates, error))
		return NULL;
	for (guint i = 0; i < candidates->len; i++) {
		g_autoptr(GError) trouble = NULL;
		bh_id id = g_array_index(candidates, bh_id, i);
		bh_event *event = event_if_of(reader, id, caller_key, caller_id, &trouble);
		if (event)
			return event;
		if (!g_error_matches(trouble, BH_ERROR, BH_ERROR_NOT_FOUND)) {
			g_propagate_error(error, g_steal_pointer(&trouble));
			return NULL;
		}
	}
	g_set_error(error, BH_ERROR, BH_ERROR_NOT_FOUND, "there is no such event");
	return NULL;
}

static const bh_sql DELIVERY = {
	BH_SQL_DELIVERY,
	"read a delivery",
	"SELECT id, event_id, webhook_id, manager_id, state, created_at, at, spent, attempts, reason, is_test,"
	" order_key, coalesce_key, sequence, superseded_by FROM delivery WHERE id = ?1",
};

bh_delivery *bh_sqlite_delivery(bh_reader *r, bh_id delivery, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &DELIVERY, error);

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
	d->then = then_of(bh_int_at(&rows, 10));
	d->order_key = g_strdup(bh_text_at(&rows, 11));
	d->coalesce_key = g_strdup(bh_text_at(&rows, 12));
	d->sequence = bh_int_at(&rows, 13);
	d->superseded_by = bh_int_at(&rows, 14);
	return d;
}

static const bh_sql FINDINGS = {
	BH_SQL_FINDINGS,
	"read an event's findings",
	"SELECT findings FROM event WHERE id = ?1",
};

bh_findings *bh_sqlite_findings(bh_reader *r, bh_id event, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &FINDINGS, error);

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
	BH_SQL_ATTEMPTS,
	"read attempts",
	"SELECT delivery_id, number, started_at, facts, sentence, request, response, body, sent"
	" FROM attempt WHERE delivery_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
};

/* What the caller sees, and where its texts are. */
typedef struct kept_attempt {
	bh_attempt_kept kept;
	char **facts;
	char *sentence, *request, *response, *body, *sent;
} kept_attempt;

static void kept_attempt_free(kept_attempt *a)
{
	g_strfreev(a->facts);
	g_free(a->sentence);
	g_free(a->request);
	g_free(a->response);
	g_free(a->body);
	g_free(a->sent);
	g_free(a);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kept_attempt, kept_attempt_free)

static bh_span keep_bytes(char **keeper, const bh_rows *rows, int column)
{
	bh_span given = bh_span_at(rows, column);

	*keeper = g_memdup2(given.at, given.size);
	return (bh_span){*keeper, given.size};
}

static kept_attempt *attempt_of(const bh_rows *rows, GError **error)
{
	g_autoptr(kept_attempt) a = g_new0(kept_attempt, 1);
	bh_attempt_row *row = &a->kept.row;

	a->facts = bh_facts_read(bh_text_at(rows, 3), row, error);
	if (!a->facts)
		return NULL;
	row->delivery_id = bh_int_at(rows, 0);
	row->number = (int)bh_int_at(rows, 1);
	row->started_at = bh_int_at(rows, 2);
	row->sentence = a->sentence = g_strdup(bh_text_at(rows, 4));
	row->request = a->request = bh_shorthand_read(bh_text_at(rows, 5));
	row->response = a->response = bh_shorthand_read(bh_text_at(rows, 6));
	row->body = keep_bytes(&a->body, rows, 7);
	row->sent = keep_bytes(&a->sent, rows, 8);
	return g_steal_pointer(&a);
}

GPtrArray *bh_sqlite_attempts(bh_reader *r, bh_id delivery, int after, size_t limit, GError **error)
{
	g_autoptr(GPtrArray) attempts = g_ptr_array_new_with_free_func((GDestroyNotify)kept_attempt_free);
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &ATTEMPTS, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, delivery);
	bh_bind_int(&rows, 2, after);
	bh_bind_limit(&rows, 3, limit);
	while (bh_rows_next(&rows, error)) {
		kept_attempt *a = attempt_of(&rows, error);
		if (!a)
			return NULL;
		g_ptr_array_add(attempts, a);
	}
	return rows.failed ? NULL : g_steal_pointer(&attempts);
}

static const bh_sql AUDIT = {
	BH_SQL_AUDIT,
	"read the audit log",
	"SELECT id, at, who, came_from, what FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
};

GPtrArray *bh_sqlite_audit(bh_reader *r, int64_t before, size_t limit, GError **error)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func((GDestroyNotify)bh_audit_free);
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &AUDIT, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_int(&rows, 1, before > 0 ? before : G_MAXINT64);
	bh_bind_limit(&rows, 2, limit);
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

static const bh_sql HEALTH = {
	BH_SQL_HEALTH,
	"read anything",
	"SELECT 1 FROM shelf LIMIT 1",
};

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
