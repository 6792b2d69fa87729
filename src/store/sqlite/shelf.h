/*
 * Shelves: how lists by webhook, property, manager and type cost next to nothing to keep.
 *
 *   a batch ──> event, delivery   appended in the order of ids; nothing else is touched, however many webhooks it names
 *                    │  every BH_SHELF_ROWS rows, sorted
 *                    ▼
 *               shelved_*         (shelf, webhook, delivery): one run written from end to end, never touched again
 *
 * A list looks at the rows above the greatest id on any shelf, and then through the shelves, newest first, until it has
 * enough. A row may come late (its batch had to be tried again) with an id below that greatest one: it goes to the
 * newest shelf at once. So shelves may overlap, but what is on none is above all of them.
 */
#pragma once

#include "store/sqlite/newest.h"
#include "store/sqlite/sqlite.h"

#define BH_SHELF_ROWS 16384 /* what a list may have to look at one by one; the work of one shelving, some 10 ms */

/* Writing, inside the batch's transaction: to be told of each row that was inserted. */
bool bh_shelf_note_event(bh_sqlite *s, const bh_event *e, GError **error);
bool bh_shelf_note_delivery(bh_sqlite *s, const bh_delivery *d, GError **error);

/* Fills a shelf if it is time. While somebody waits for the batch it may be put off, up to twice the rows. */
bool bh_shelf_fill(bh_sqlite *s, bool somebody_waits, GError **error);

/* At start. */
bool bh_shelf_count_recent(bh_sqlite *s, GError **error);

/*
 * Reading, inside one read transaction: adds to `newest` the ids of deliveries of these webhooks, or of events with
 * one of these fields, that `keep` (NULL: all) lets pass. False from `keep` with *error set ends the search.
 */
typedef bool (*bh_shelf_keep)(bh_sqlite_reader *r, bh_id id, const bh_list *list, bool *ret_keep, GError **error);

typedef struct bh_shelf_field {
	const char *field; /* "m" manager, "p" property, "t" type */
	const char *value;
} bh_shelf_field;

bool bh_shelf_find_deliveries(bh_sqlite_reader *r, const bh_list *list, bh_shelf_keep keep, bh_newest *newest,
			      GError **error);
bool bh_shelf_find_events(bh_sqlite_reader *r, const bh_list *list, const bh_shelf_field *fields, size_t count,
			  bh_shelf_keep keep, bh_newest *newest, GError **error);
