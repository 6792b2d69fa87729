#include "store/sqlite/shelf.h"

#include <string.h>

static const bh_sql NOTE_EVENT = {
	BH_SQL_NOTE_EVENT, "note an event",
	"INSERT INTO recent_event (event_id, type, property_id, manager_id) VALUES (?1, ?2, ?3, ?4)"};
static const bh_sql NOTE_DELIVERY = {BH_SQL_NOTE_DELIVERY, "note a delivery",
				     "INSERT INTO recent_delivery (delivery_id, webhook_id) VALUES (?1, ?2)"};

bool bh_shelf_note_event(bh_sqlite *s, const bh_event *e, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &NOTE_EVENT, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, e->id);
	bh_bind_text(&rows, 2, e->type);
	bh_bind_text(&rows, 3, e->property_id);
	bh_bind_text(&rows, 4, e->manager_id);
	s->recent.events++;
	return bh_rows_run(&rows, error);
}

bool bh_shelf_note_delivery(bh_sqlite *s, const bh_delivery *d, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &NOTE_DELIVERY, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, d->id);
	bh_bind_int(&rows, 2, d->webhook_id);
	s->recent.deliveries++;
	return bh_rows_run(&rows, error);
}

static const char SHELVE_DELIVERIES[] =
	"INSERT INTO shelf SELECT 'delivery',"
	" coalesce((SELECT max(number) FROM shelf WHERE holds = 'delivery'), 0) + 1, min(delivery_id),"
	" max(max(delivery_id), coalesce((SELECT max(greatest_id) FROM shelf WHERE holds = 'delivery'), 0))"
	" FROM recent_delivery;"
	"INSERT INTO shelved_delivery SELECT (SELECT max(number) FROM shelf WHERE holds = 'delivery'), webhook_id, "
	"delivery_id"
	" FROM recent_delivery ORDER BY webhook_id, delivery_id;"
	"DELETE FROM recent_delivery";

/* Field by field in the order of the key, so that the whole shelf is one ascending run. */
static const char SHELVE_EVENTS[] =
	"INSERT INTO shelf SELECT 'event', coalesce((SELECT max(number) FROM shelf WHERE holds = 'event'), 0) + 1,"
	" min(event_id), max(max(event_id), coalesce((SELECT max(greatest_id) FROM shelf WHERE holds = 'event'), 0))"
	" FROM recent_event;"
	"INSERT INTO shelved_event SELECT (SELECT max(number) FROM shelf WHERE holds = 'event'), 'm', manager_id, "
	"event_id"
	" FROM recent_event WHERE manager_id IS NOT NULL ORDER BY manager_id, event_id;"
	"INSERT INTO shelved_event SELECT (SELECT max(number) FROM shelf WHERE holds = 'event'), 'p', property_id, "
	"event_id"
	" FROM recent_event WHERE property_id IS NOT NULL ORDER BY property_id, event_id;"
	"INSERT INTO shelved_event SELECT (SELECT max(number) FROM shelf WHERE holds = 'event'), 't', type, event_id"
	" FROM recent_event ORDER BY type, event_id;"
	"DELETE FROM recent_event";

bool bh_shelf_fill(bh_sqlite *s, bool somebody_waits, GError **error)
{
	size_t due = somebody_waits ? 2 * BH_SHELF_ROWS : BH_SHELF_ROWS;

	if (s->recent.deliveries >= due) {
		if (!bh_db_exec(&s->db, "shelve deliveries", SHELVE_DELIVERIES, error))
			return false;
		s->recent.deliveries = 0;
	}
	if (s->recent.events >= due) {
		if (!bh_db_exec(&s->db, "shelve events", SHELVE_EVENTS, error))
			return false;
		s->recent.events = 0;
	}
	return true;
}

static const bh_sql COUNT_RECENT = {
	-1, "count the recent rows",
	"SELECT (SELECT count(*) FROM recent_event), (SELECT count(*) FROM recent_delivery)"};

bool bh_shelf_count_recent(bh_sqlite *s, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &COUNT_RECENT, error);

	if (!rows.stmt || !bh_rows_next(&rows, error))
		return false;
	s->recent.events = (size_t)bh_int_at(&rows, 0);
	s->recent.deliveries = (size_t)bh_int_at(&rows, 1);
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
	"SELECT delivery_id, webhook_id FROM recent_delivery WHERE delivery_id < ?1 ORDER BY delivery_id DESC"};

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

static const bh_sql RECENT_EVENTS = {BH_SQL_RECENT_EVENTS, "list recent events",
				     "SELECT event_id, type, property_id, manager_id FROM recent_event"
				     " WHERE event_id < ?1 ORDER BY event_id DESC"};

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
