#include "store/sqlite/shelf.h"

#include <string.h>

/* --- Writing ------------------------------------------------------------------------------------------------- */

static const bh_sql LATE_DELIVERY = {-1, "shelve a late delivery",
				     "INSERT INTO shelved_delivery (shelf, webhook_id, delivery_id)"
				     " VALUES ((SELECT max(number) FROM shelf WHERE holds = 'delivery'), ?1, ?2)"};
static const bh_sql LATE_FIELD = {-1, "shelve a late event",
				  "INSERT INTO shelved_event (shelf, field, value, event_id)"
				  " VALUES ((SELECT max(number) FROM shelf WHERE holds = 'event'), ?1, ?2, ?3)"};
static const bh_sql LOWER_SHELF = {-1, "shelve a late row",
				   "UPDATE shelf SET least_id = min(least_id, ?2)"
				   " WHERE holds = ?1 AND number = (SELECT max(number) FROM shelf WHERE holds = ?1)"};

static bool lower_shelf(bh_sqlite *s, const char *holds, bh_id id, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &LOWER_SHELF, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, holds);
	bh_bind_int(&rows, 2, id);
	return bh_rows_run(&rows, error);
}

bool bh_shelf_note_delivery(bh_sqlite *s, const bh_delivery *d, GError **error)
{
	if (d->id > s->recent.shelved_deliveries) {
		s->recent.deliveries++;
		return true;
	}
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &LATE_DELIVERY, error);
	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, d->webhook_id);
	bh_bind_int(&rows, 2, d->id);
	return bh_rows_run(&rows, error) && lower_shelf(s, "delivery", d->id, error);
}

static bool shelve_field(bh_sqlite *s, const char *field, const char *value, bh_id event, GError **error)
{
	if (!value)
		return true;
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &LATE_FIELD, error);
	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, field);
	bh_bind_text(&rows, 2, value);
	bh_bind_int(&rows, 3, event);
	return bh_rows_run(&rows, error);
}

bool bh_shelf_note_event(bh_sqlite *s, const bh_event *e, GError **error)
{
	if (e->id > s->recent.shelved_events) {
		s->recent.events++;
		return true;
	}
	return shelve_field(s, "m", e->manager_id, e->id, error) &&
	       shelve_field(s, "p", e->property_id, e->id, error) && shelve_field(s, "t", e->type, e->id, error) &&
	       lower_shelf(s, "event", e->id, error);
}

static const char SHELVE_DELIVERIES[] =
	"INSERT INTO shelf (holds, number, least_id, greatest_id)"
	" SELECT 'delivery', last.number + 1, min(delivery.id), max(delivery.id) FROM delivery,"
	" (SELECT coalesce(max(number), 0) AS number, coalesce(max(greatest_id), 0) AS id"
	" FROM shelf WHERE holds = 'delivery') AS last WHERE delivery.id > last.id;"
	"INSERT INTO shelved_delivery (shelf, webhook_id, delivery_id)"
	" SELECT number, webhook_id, delivery.id FROM shelf, delivery"
	" WHERE holds = 'delivery' AND number = (SELECT max(number) FROM shelf WHERE holds = 'delivery')"
	" AND delivery.id BETWEEN least_id AND greatest_id ORDER BY webhook_id, delivery.id";

/* Field by field in the order of the key, so that the whole shelf is one ascending run. */
static const char SHELVE_EVENTS[] =
	"INSERT INTO shelf (holds, number, least_id, greatest_id)"
	" SELECT 'event', last.number + 1, min(event.id), max(event.id) FROM event,"
	" (SELECT coalesce(max(number), 0) AS number, coalesce(max(greatest_id), 0) AS id"
	" FROM shelf WHERE holds = 'event') AS last WHERE event.id > last.id;"
	"INSERT INTO shelved_event (shelf, field, value, event_id)"
	" SELECT number, 'm', manager_id, event.id FROM shelf, event"
	" WHERE holds = 'event' AND number = (SELECT max(number) FROM shelf WHERE holds = 'event')"
	" AND event.id BETWEEN least_id AND greatest_id AND manager_id IS NOT NULL ORDER BY manager_id, event.id;"
	"INSERT INTO shelved_event (shelf, field, value, event_id)"
	" SELECT number, 'p', property_id, event.id FROM shelf, event"
	" WHERE holds = 'event' AND number = (SELECT max(number) FROM shelf WHERE holds = 'event')"
	" AND event.id BETWEEN least_id AND greatest_id AND property_id IS NOT NULL ORDER BY property_id, event.id;"
	"INSERT INTO shelved_event (shelf, field, value, event_id)"
	" SELECT number, 't', type, event.id FROM shelf, event"
	" WHERE holds = 'event' AND number = (SELECT max(number) FROM shelf WHERE holds = 'event')"
	" AND event.id BETWEEN least_id AND greatest_id ORDER BY type, event.id";

bool bh_shelf_fill(bh_sqlite *s, bool somebody_waits, GError **error)
{
	size_t due = somebody_waits ? 2 * BH_SHELF_ROWS : BH_SHELF_ROWS;
	bool deliveries = s->recent.deliveries >= due, events = s->recent.events >= due;

	if (deliveries && !bh_db_exec(&s->db, "shelve deliveries", SHELVE_DELIVERIES, error))
		return false;
	if (events && !bh_db_exec(&s->db, "shelve events", SHELVE_EVENTS, error))
		return false;
	return (!deliveries && !events) || bh_shelf_count_recent(s, error);
}

static const bh_sql COUNT_RECENT = {
	-1, "count what is not on a shelf",
	"SELECT events.last, (SELECT count(*) FROM event WHERE id > events.last),"
	" deliveries.last, (SELECT count(*) FROM delivery WHERE id > deliveries.last)"
	" FROM (SELECT coalesce(max(greatest_id), 0) AS last FROM shelf WHERE holds = 'event') AS events,"
	" (SELECT coalesce(max(greatest_id), 0) AS last FROM shelf WHERE holds = 'delivery') AS deliveries"};

bool bh_shelf_count_recent(bh_sqlite *s, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &COUNT_RECENT, error);

	if (!rows.stmt || !bh_rows_next(&rows, error))
		return false;
	s->recent = (bh_recent){
		.shelved_events = bh_int_at(&rows, 0),
		.events = (size_t)bh_int_at(&rows, 1),
		.shelved_deliveries = bh_int_at(&rows, 2),
		.deliveries = (size_t)bh_int_at(&rows, 3),
	};
	return true;
}

/* --- Reading ------------------------------------------------------------------------------------------------- */

/* One search: what it looks for, and where it puts it. */
typedef struct search {
	bh_sqlite_reader *r;
	const bh_list *list;
	const bh_shelf_field *fields; /* events */
	size_t field_count;
	GHashTable *properties; /* those among the fields: a manager may have hundreds */
	bh_shelf_keep keep;
	bh_newest *newest;
	const char *holds; /* "delivery", "event" */
	bool (*look_at_recent)(struct search *s, GError **error);
	bool (*look_at_shelf)(struct search *s, int64_t number, GError **error);
} search;

static bool search_all(search *s, GError **error);
static bool recent_deliveries(search *s, GError **error);
static bool shelved_deliveries(search *s, int64_t number, GError **error);
static bool recent_events(search *s, GError **error);
static bool shelved_events(search *s, int64_t number, GError **error);

bool bh_shelf_find_deliveries(bh_sqlite_reader *r, const bh_list *list, bh_shelf_keep keep, bh_newest *newest,
			      GError **error)
{
	search s = {.r = r,
		    .list = list,
		    .keep = keep,
		    .newest = newest,
		    .holds = "delivery",
		    .look_at_recent = recent_deliveries,
		    .look_at_shelf = shelved_deliveries};

	return search_all(&s, error);
}

bool bh_shelf_find_events(bh_sqlite_reader *r, const bh_list *list, const bh_shelf_field *fields, size_t count,
			  bh_shelf_keep keep, bh_newest *newest, GError **error)
{
	g_autoptr(GHashTable) properties = g_hash_table_new(g_str_hash, g_str_equal);
	search s = {.r = r,
		    .list = list,
		    .fields = fields,
		    .field_count = count,
		    .properties = properties,
		    .keep = keep,
		    .newest = newest,
		    .holds = "event",
		    .look_at_recent = recent_events,
		    .look_at_shelf = shelved_events};

	for (size_t i = 0; i < count; i++) {
		if (*fields[i].field == 'p')
			g_hash_table_add(properties, (char *)fields[i].value);
	}
	return search_all(&s, error);
}

static const bh_sql SHELVES = {
	BH_SQL_SHELVES, "look through the shelves",
	"SELECT number, greatest_id FROM shelf WHERE holds = ?1 AND least_id < ?2 ORDER BY number DESC"};

static bool search_all(search *s, GError **error)
{
	if (!s->look_at_recent(s, error))
		return false;

	g_auto(bh_rows) shelves = bh_rows_of(&s->r->db, &SHELVES, error);
	if (!shelves.stmt)
		return false;
	bh_bind_text(&shelves, 1, s->holds);
	bh_bind_int(&shelves, 2, s->newest->before);
	while (bh_rows_next(&shelves, error)) {
		if (bh_int_at(&shelves, 1) <= bh_newest_floor(s->newest))
			return true; /* nothing newer in this one or in any before it */
		if (!s->look_at_shelf(s, bh_int_at(&shelves, 0), error))
			return false;
	}
	return !shelves.failed;
}

static bool take(search *s, bh_id id, GError **error)
{
	bool keep = true;

	if (s->keep && !s->keep(s->r, id, s->list, &keep, error))
		return false;
	if (keep)
		bh_newest_add(s->newest, id);
	return true;
}

/* Takes the rows of a query that gives ids, greatest first, as long as they are of interest. */
static bool take_all(search *s, bh_rows *rows, GError **error)
{
	while (bh_rows_next(rows, error)) {
		bh_id id = bh_int_at(rows, 0);
		if (id <= bh_newest_floor(s->newest))
			return true;
		if (!take(s, id, error))
			return false;
	}
	return !rows->failed;
}

static bool is_listed(const bh_list *list, bh_id webhook)
{
	for (size_t i = 0; i < list->webhook_count; i++) {
		if (list->webhooks[i] == webhook)
			return true;
	}
	return false;
}

static const bh_sql RECENT_DELIVERIES = {
	BH_SQL_RECENT_DELIVERIES, "list recent deliveries",
	"SELECT id, webhook_id FROM delivery"
	" WHERE id > (SELECT coalesce(max(greatest_id), 0) FROM shelf WHERE holds = 'delivery') AND id < ?1"
	" ORDER BY id DESC"};

static bool recent_deliveries(search *s, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->r->db, &RECENT_DELIVERIES, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, s->newest->before);
	while (bh_rows_next(&rows, error)) {
		bh_id id = bh_int_at(&rows, 0);
		if (id <= bh_newest_floor(s->newest))
			return true;
		if (is_listed(s->list, bh_int_at(&rows, 1)) && !take(s, id, error))
			return false;
	}
	return !rows.failed;
}

static const bh_sql SHELVED_DELIVERIES = {
	BH_SQL_SHELVED_DELIVERIES, "list shelved deliveries",
	"SELECT delivery_id FROM shelved_delivery WHERE shelf = ?1 AND webhook_id = ?2 AND delivery_id < ?3"
	" AND delivery_id > ?4 ORDER BY delivery_id DESC"};

static bool shelved_deliveries(search *s, int64_t number, GError **error)
{
	for (size_t i = 0; i < s->list->webhook_count; i++) {
		g_auto(bh_rows) rows = bh_rows_of(&s->r->db, &SHELVED_DELIVERIES, error);
		if (!rows.stmt)
			return false;
		bh_bind_int(&rows, 1, number);
		bh_bind_int(&rows, 2, s->list->webhooks[i]);
		bh_bind_int(&rows, 3, s->newest->before);
		bh_bind_int(&rows, 4, bh_newest_floor(s->newest));
		if (!take_all(s, &rows, error))
			return false;
	}
	return true;
}

static const bh_sql RECENT_EVENTS = {
	BH_SQL_RECENT_EVENTS, "list recent events",
	"SELECT id, type, property_id, manager_id FROM event"
	" WHERE id > (SELECT coalesce(max(greatest_id), 0) FROM shelf WHERE holds = 'event') AND id < ?1"
	" ORDER BY id DESC"};

static bool has_field(const search *s, const char *type, const char *property, const char *manager)
{
	if (property && g_hash_table_contains(s->properties, property))
		return true;
	for (size_t i = 0; i < s->field_count; i++) {
		char field = *s->fields[i].field;
		const char *value = field == 't' ? type : field == 'm' ? manager : NULL;
		if (value && strcmp(value, s->fields[i].value) == 0)
			return true;
	}
	return false;
}

static bool recent_events(search *s, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->r->db, &RECENT_EVENTS, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, s->newest->before);
	while (bh_rows_next(&rows, error)) {
		bh_id id = bh_int_at(&rows, 0);
		if (id <= bh_newest_floor(s->newest))
			return true;
		bool wanted = has_field(s, bh_text_at(&rows, 1), bh_text_at(&rows, 2), bh_text_at(&rows, 3));
		if (wanted && !take(s, id, error))
			return false;
	}
	return !rows.failed;
}

static const bh_sql SHELVED_EVENTS = {
	BH_SQL_SHELVED_EVENTS, "list shelved events",
	"SELECT event_id FROM shelved_event WHERE shelf = ?1 AND field = ?2 AND value = ?3 AND event_id < ?4"
	" AND event_id > ?5 ORDER BY event_id DESC"};

static bool shelved_events(search *s, int64_t number, GError **error)
{
	for (size_t i = 0; i < s->field_count; i++) {
		g_auto(bh_rows) rows = bh_rows_of(&s->r->db, &SHELVED_EVENTS, error);
		if (!rows.stmt)
			return false;
		bh_bind_int(&rows, 1, number);
		bh_bind_text(&rows, 2, s->fields[i].field);
		bh_bind_text(&rows, 3, s->fields[i].value);
		bh_bind_int(&rows, 4, s->newest->before);
		bh_bind_int(&rows, 5, bh_newest_floor(s->newest));
		if (!take_all(s, &rows, error))
			return false;
	}
	return true;
}
