/*
 * What takes longer than an API thread may be held: scripts tried on past events, methods read anew. One thread of its own
 * does it, one after the other, while the calls' connections are suspended, as in a commit. So a bad script
 * holds up other rehearsals for the time that one may take, and nothing else.
 */
#pragma once

#include "api/call.h"
#include "method/method.h"

typedef struct bh_rehearsals bh_rehearsals;
bh_rehearsals *bh_rehearsals_new(bh_api *api);
/* No call waits any more. */
void bh_rehearsals_free(bh_rehearsals *r);

/* What the thread has for a rehearsal. Its own: a rehearsal keeps none of it. */
typedef struct bh_stage {
	bh_api *api;
	bh_reader *reader; /* NULL: the store gives none now */
	bh_script_host *scripts; /* with the limits of a delivery, and the methods as they were when the rehearsal began */
} bh_stage;

/* On the thread; the call is suspended, so what it has may be read, and its work be written. A long one looks at `stopping`. */
typedef void (*bh_rehearsal)(bh_call *call, const bh_stage *stage);
bool bh_stage_is_closing(const bh_stage *stage);

/*
 * Queues `rehearsal`; then `next` runs on the call's thread, with call->error if Bellhop is stopping. When too many wait
 * already, or too many of this key, the call is answered with 503 at once. `first`: it is short, and goes before those that wait.
 */
void bh_rehearse(bh_call *call, bool first, bh_rehearsal rehearsal, bh_call_step next);
