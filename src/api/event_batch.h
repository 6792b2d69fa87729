/*
 * The events of one call on their way to the journal: what the watcher says of each, and the one entry that keeps them
 * all.
 */
#pragma once

#include "api/call.h"

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

	/* One block, from build to the end. */
	void *block;
	bh_write **event_writes; /* one for each of `events` */
	bh_delivery *deliveries;
	size_t delivery_count;
} bh_event_batch;

/* Takes what bh_events_read gave. */
bh_event_batch *bh_event_batch_new(GPtrArray *events, GArray *places, bool several);
void bh_event_batch_free(void *batch);

/*
 * Has each event judged by the directory as it is now, and makes call->entry of it all. May be called again when the
 * directory has refused. Before the first time, `known` of the plans says which events are no news.
 */
void bh_event_batch_prepare(bh_event_batch *b, bh_call *call);
