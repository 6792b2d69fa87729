/*
 * Shelves: how lists by webhook, property, manager and type cost next to nothing to keep.
 *
 *   a batch ──> event, delivery   appended in the order of ids; nothing else is touched, however many webhooks it names
 *      │
 *      └─ noted in memory ──>     shelved (shelf, key): the ids of one key. Some thousand rows at a time are sorted
 *                                 and written from end to end, never to be touched again
 *
 * A list looks at the rows above the greatest id on any shelf, and then through the shelves, newest first, until it has
 * enough. A row may come late (its batch had to be tried again) with an id below that greatest one: it gets a
 * small shelf of its own at once. So shelves may overlap, but what is on none is above all of them.
 *
 * What is noted in memory is in the rows anyway: at start it is read from them again.
 */
#pragma once

#include "store/sqlite/db.h"
#include "store/sqlite/newest.h"
#include "store/store.h"

/* --- Writing (shelve.c): the journal's thread ------------------------------------------------------------------- */

/* What was not shelved yet, of deliveries or of events. */
typedef struct bh_shelving {
	const char *holds; /* "deliveries", "events" */
	size_t full; /* so many entries make a shelf */
	GHashTable *places; /* key -> its place in `keys` */
	GPtrArray *keys; /* texts, owned */
	GArray *entries; /* an id with the place of one key of it, in the order in which rows came */
	bh_id greatest; /* on any shelf; 0: there is none */
	int64_t number; /* of the last shelf */
	GString *key; /* one being made; reused */

	/* Of the transaction under way. */
	guint entries_before;
	bool is_late; /* a row came that is not above `greatest` */
	bh_id shelved_up_to; /* shelved in it is what is not above this; 0: nothing */
} bh_shelving;

void bh_shelving_init(bh_shelving *s, const char *holds, size_t full);
void bh_shelving_clear(bh_shelving *s);

/* Reads how far the shelves go and notes the rows above. */
bool bh_shelving_load_deliveries(bh_shelving *s, bh_db *db, GError **error);
bool bh_shelving_load_events(bh_shelving *s, bh_db *db, GError **error);

/* For each transaction: begin, note what was inserted, write, and once it is over say whether it holds. */
void bh_shelving_begin(bh_shelving *s);
void bh_shelving_note_delivery(bh_shelving *s, bh_id delivery, bh_id webhook);
void bh_shelving_note_event(bh_shelving *s, bh_id event, const char *type, const char *property, const char *manager);
/* Writes a shelf if it is time. While somebody waits it may be put off, up to twice the entries. */
bool bh_shelving_write(bh_shelving *s, bh_db *db, bool somebody_waits, GError **error);
void bh_shelving_end(bh_shelving *s, bool committed);

/* --- Reading (shelf.c): inside one read transaction -------------------------------------------------------------- */

/* Whether a delivery is wanted. False: failed, and `error` is set. */
typedef bool (*bh_shelf_keep)(bh_db *db, bh_id id, const bh_list *list, bool *ret_keep, GError **error);

/* Adds to `newest` the deliveries that have one of these keys and that `keep` (NULL: all) wants. */
bool bh_shelf_find_deliveries(bh_db *db, const bh_list *list, GPtrArray *keys, bh_shelf_keep keep, bh_newest *newest,
			      GError **error);
/* Adds to `newest` the events that have one of `keys` and each of `also` (at most BH_SHELF_ALSO_MAX). */
#define BH_SHELF_ALSO_MAX 2
bool bh_shelf_find_events(bh_db *db, GPtrArray *keys, GPtrArray *also, bh_newest *newest, GError **error);

/* A key: "w721", "p12". Both replace what `key` holds. */
void bh_shelf_key_of_webhook(GString *key, bh_id webhook);
void bh_shelf_key_of(GString *key, char field, const char *value);
uint32_t bh_shelf_hash(const char *key); /* on disk, so for ever the same: FNV-1a */
