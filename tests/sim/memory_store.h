/*
 * store.h in memory: the simulation's disk. It outlives the processes that the simulation lets die; what was applied is
 * durable, and what was refused left no trace. Written from store.h alone, without a look at SQLite's ways, so
 * that the two can be compared (test_twins.c).
 */
#pragma once

#include "store/store.h"

typedef struct memory memory;

/* What becomes of a batch. */
typedef enum memory_fate {
	FATE_KEPT,
	FATE_BUSY,
	FATE_IO,
	FATE_FULL,
	FATE_UNSURE_KEPT, /* the caller is told that nobody knows, and it was kept */
	FATE_UNSURE_LOST,
} memory_fate;

/* Who looks on. Each may be NULL. */
typedef struct memory_watcher {
	void *user;
	memory_fate (*fate)(void *user, bh_write *const *writes, size_t count);
	/* Each write that is kept, when it has its result. */
	void (*applied)(void *user, const bh_write *w);
	/* Each step of a delivery; from 0: it was made. */
	void (*moved)(void *user, const bh_delivery *d, bh_state from);
} memory_watcher;

memory *memory_new(void);
void memory_free(memory *m);
void memory_watch(memory *m, const memory_watcher *watcher);
void memory_set_unreadable(memory *m, bool unreadable); /* readers get BUSY */

/* A store on it, as bh_store_open makes one: for one process at a time, closed with bh_store_close. */
bh_store *memory_open(memory *m);

/* For whoever checks: each delivery that there is, the oldest first, and how many attempts are on record. */
typedef void (*memory_each)(void *user, const bh_delivery *d, size_t attempts);
void memory_each_delivery(memory *m, memory_each each, void *user);
const bh_delivery *memory_delivery(const memory *m, bh_id delivery); /* NULL: there is none */
const bh_delivery *memory_any_delivery(const memory *m, uint64_t chance); /* of the younger ones */
/* When the first PENDING one of a webhook is due; false: there is none. */
bool memory_first_due(const memory *m, bh_id webhook, bh_usec *ret_due);
bool memory_is_recovering(const memory *m, bh_id webhook);
/* The newest of its coalescing key, if that was delivered and is newer; 0: there is none. */
bh_id memory_newer_delivered(const memory *m, bh_id delivery);
const bh_event *memory_event(const memory *m, bh_id event);
bool memory_streak(const memory *m, bh_id webhook, bh_streak *ret);
