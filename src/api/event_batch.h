/*
 * The events of one call on their way to the journal: what the watcher says of each, and the one entry that keeps them
 * all.
 */
#pragma once

#include "api/call.h"

/* Order and coalescing of a fresh delivery, by its webhook as it was when the event was judged. */
typedef struct bh_fresh_keys {
	guint finding; /* which one it is of */
	char *order, *coalesce; /* owned; NULL: it has none */
	bh_usec delay;
} bh_fresh_keys;

/* Adds those of finding number `finding` to *keys (an array that is made when there is something to add). */
void bh_fresh_keys_note(GArray **keys, guint finding, const bh_event *event, const bh_webhook *webhook);

/* A delivery on its way to the journal, which settles the state; what it points to is borrowed. `keys` may be NULL. */
bh_delivery bh_fresh_delivery(const bh_event *event, const bh_finding *finding, const bh_fresh_keys *keys);

/* The setting `owners`, for the watcher. */
bh_owners bh_owners_of(const bh_call *call);

/* What one distinct event of the call amounts to. */
typedef struct bh_event_plan {
	guint first, count; /* its findings among all that were made */
	guint deliveries; /* how many of them deliver */
	GPtrArray *changes; /* of the directory (bh_change); NULL: none */
	bool removes; /* the changes come after the verdicts */
	bool known; /* was handed over before: no news, whatever it says */
} bh_event_plan;

/* The call's events on their way; the journal reads it while the connection is suspended. */
typedef struct bh_event_batch {
	bool several; /* an array or NDJSON: the answer lists them */
	GPtrArray *events; /* bh_event, the distinct ones */
	GArray *places; /* guint for each given one: which of `events` it became */
	bh_event_plan *plans; /* one for each of `events` */
	bool has_news; /* of the directory, in at least one of them */
	bh_snapshot *snapshot; /* what the first was judged by; findings point into it */
	GStringChunk *managers; /* ids in findings made on snapshots that are gone; NULL: none */
	GArray *keys; /* bh_fresh_keys of the findings that have some, in their order; NULL: none */

	/* One block, from build to the end. */
	void *block;
	bh_write **event_writes; /* one for each of `events` */
} bh_event_batch;

/* Takes what bh_events_read gave. */
bh_event_batch *bh_event_batch_new(GPtrArray *events, GArray *places, bool several);
void bh_event_batch_free(void *batch);

/*
 * Has each event judged by the directory as it is now, and makes call->entry of it all. May be called again when the
 * directory has refused. Before the first time, `known` of the plans says which events are no news.
 */
void bh_event_batch_prepare(bh_event_batch *b, bh_call *call);
