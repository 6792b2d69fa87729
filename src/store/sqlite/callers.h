/*
 * Which event came under which id of its caller's: asked before each event that has one, and kept as long as the event.
 *
 * Such ids are mostly random, so an index of them would touch a page for each event. Instead their hashes wait in
 * memory, in slices by value, and every BH_CALLERS_STEP events the next slice is filed: its hashes lie close together in
 * table `caller`, so one page takes many of them.
 *
 * What waits is in the events' rows anyway: at start it is read from them again. Each slice knows up to which event it
 * was filed, and with the slices taking turns that is never long ago.
 */
#pragma once

#include "store/sqlite/db.h"
#include "store/store.h"

#include <pthread.h>

#define BH_CALLERS_SLICES 32
#define BH_CALLERS_STEP 2048

typedef struct bh_callers {
	pthread_mutex_t lock; /* the journal's thread changes what waits, readers look at it */
	GArray *waiting[BH_CALLERS_SLICES]; /* by hash */

	/* The journal's thread's own. */
	bh_id filed_up_to[BH_CALLERS_SLICES]; /* of events up to this one, all hashes of the slice are in the table */
	unsigned next; /* slice to be filed */
	size_t events; /* since a slice was filed, with an id or without */
	bh_id greatest; /* of all events */

	/* Of the transaction under way. */
	GArray *noted;
	size_t events_before;
	bh_id filing_up_to; /* `next` is being filed up to this event; 0: not */
} bh_callers;

void bh_callers_init(bh_callers *c);
void bh_callers_clear(bh_callers *c);
bool bh_callers_load(bh_callers *c, bh_db *db, GError **error);

/* For the id of one caller, on disk: so for ever the same. */
int64_t bh_caller_hash(bh_id caller_key, const char *caller_id);

/*
 * Appends to `ret` (GArray of bh_id) the events that may have come under an id with this hash: few, and rarely one that did
 * not. Their rows tell. Any thread, with a connection of its own.
 */
bool bh_callers_find(bh_callers *c, bh_db *db, int64_t hash, GArray *ret, GError **error);

/* For each transaction: begin, note each event that was inserted, file, and once it is over say whether it holds. */
void bh_callers_begin(bh_callers *c);
/* `hash` NULL: the event has no such id. */
bool bh_callers_note(bh_callers *c, bh_db *db, bh_id event, const int64_t *hash, GError **error);
bool bh_callers_file(bh_callers *c, bh_db *db, GError **error);
void bh_callers_end(bh_callers *c, bool committed);
