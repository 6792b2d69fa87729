/*
 * What the memory store keeps, for the files that write it and read it. Whoever wants a store: memory_store.h.
 *
 * A webhook's waiting and recoverable deliveries stand on *shelves*, one a state, in the order in which store.h hands
 * them out. Of those with an order key that are PENDING each key has a *line*: one is open, the others are blocked.
 */
#pragma once

#include "memory_store.h"

#include "store/backend.h"

typedef struct disk_lane disk_lane;
typedef struct disk_line disk_line;

/* Of an attempt only what somebody asks for again. */
typedef struct disk_attempt {
	int number;
	int status;
	bh_usec started_at;
	const char *outcome, *cause; /* interned */
} disk_attempt;

typedef struct disk_row {
	bh_delivery d; /* its texts are its own */
	disk_lane *lane;
	GSequenceIter *place; /* on its lane's shelf of its state; NULL: its state has none */
	GSequenceIter *turn; /* among the blocked ones of its line; NULL: it is not blocked */
	GArray *attempts; /* of disk_attempt; NULL: none */
} disk_row;

struct disk_line {
	disk_row *open; /* NULL: none */
	GSequence *blocked; /* disk_row, by id */
};

typedef enum disk_shelf { SHELF_PENDING, SHELF_HELD, SHELF_EXHAUSTED, SHELVES } disk_shelf;

struct disk_lane {
	bh_id webhook;
	GSequence *shelf[SHELVES]; /* disk_row: PENDING by (due_at, id), the others by id */
	GHashTable *lines; /* order key -> disk_line */
	GHashTable *alike; /* coalescing key -> GPtrArray of disk_row */
	int64_t sequence; /* the last one given */
	bh_streak streak;
};

struct memory {
	GHashTable *events; /* bh_id -> bh_event */
	GHashTable *rows; /* bh_id -> disk_row */
	GPtrArray *made; /* the same rows, in the order in which they were made */
	GHashTable *lanes; /* bh_id -> disk_lane */
	GHashTable *callers; /* "key/id" -> bh_event, borrowed */
	GHashTable *recoveries; /* bh_id -> bh_recovery */
	GHashTable *managers, *properties; /* the site's id -> object */
	GHashTable *webhooks; /* bh_id -> bh_webhook */
	bh_id last_id;
	memory_watcher watcher;
	bool unreadable;
};

/* The store and the reader as the door knows them. */
typedef struct memory_view {
	bh_store store; /* first */
	memory *memory;
} memory_view;

typedef struct memory_reader {
	bh_reader reader; /* first */
	memory *memory;
} memory_reader;

disk_lane *disk_find_lane(const memory *m, bh_id webhook); /* NULL: nothing was ever made for it */
disk_row *disk_find(const memory *m, bh_id delivery);
int disk_compare_id(const void *a, const void *b, void *unused);
bh_waiting disk_waiting(const disk_row *row);
/* The newest with the same coalescing key that is newer than `row` and was delivered; NULL: there is none. */
disk_row *disk_newer_delivered(const disk_row *row);
/* Who stands for it when its turn comes at `now`, as bh_reader_superseding says; NULL: nobody. */
disk_row *disk_superseding(const disk_row *row, bh_usec now, bh_id before);
disk_shelf disk_shelf_of(bh_state state); /* SHELVES: it stands on none */

/* disk_write.c and disk_directory.c: one write of a batch that will be kept. */
void disk_apply(memory *m, bh_write *w);
void disk_apply_change(memory *m, const bh_change *change, bh_usec at);
bh_snapshot *disk_load_directory(const memory *m);

/* disk_read.c */
extern const bh_backend memory_backend;
bool memory_apply(bh_store *store, bh_write *const *writes, size_t count, GError **error);
bh_snapshot *memory_load_directory(bh_store *store, GError **error);
void memory_close(bh_store *store);
bh_id memory_last_id(bh_store *store);
