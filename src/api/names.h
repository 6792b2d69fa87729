/*
 * The guard's judgement of the names that a webhook's settings lead to, before it is saved. A look-up may block for
 * seconds, so a few threads of their own do it while the call's connection is suspended, as in a commit.
 */
#pragma once

#include "api/call.h"
#include "transport/guard.h"

typedef struct bh_name_pool bh_name_pool;
bh_name_pool *bh_name_pool_new(void);
/* No call waits any more. */
void bh_name_pool_free(bh_name_pool *pool);

/* A name to be looked up, and what came of it. */
typedef struct bh_name {
	bh_target target;
	char *pointer; /* to the member of the body that says it */
	char *doubt; /* why it is not sure where the name leads, a sentence; NULL: every address that it has is allowed */
	bool was_looked_up; /* false with a doubt: too many others were */
	GError *refused; /* an address that the guard refuses */
} bh_name;

/* A list of them for bh_names_note and bh_names_check; bh_name. */
GPtrArray *bh_names_new(void);

/* Notes where `url` leads, unless the guard has judged it as it stands: it says an address, or is no URL. */
void bh_names_note(GPtrArray *names, const bh_guard *guard, const char *url, const char *pointer);

/*
 * Looks all of them up; then `next` runs on the call's thread, with call->error if Bellhop is stopping. `names` is the call's and outlives it.
 * When too many wait already, all stay in doubt: the guard judges every address again when it connects.
 */
void bh_names_check(bh_call *call, GPtrArray *names, bh_call_step next);

/* In `next`: does one lead where the guard does not let it? Then the call is answered. */
bool bh_names_refused(bh_call *call, const GPtrArray *names);
