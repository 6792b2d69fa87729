/*
 * One request, from its header to its answer:
 *
 *   ROUTE -> AUTHORIZE -> READ -> HANDLE -> ANSWER
 *                                   |  ^
 *                                   v  |      the connection is suspended meanwhile
 *                                 COMMIT      and costs no thread
 *
 * A handler (routes.h) either answers (reply.h) or commits (or has names looked up) and names the step that goes on when
 * that is through; both run on the connection's API thread. A call belongs to its connection and ends with it.
 */
#pragma once

#include "api/problem.h"
#include "api/scope.h"
#include "base/json.h"
#include "journal/journal.h"

#include <microhttpd.h>

typedef struct bh_api bh_api;
typedef struct bh_route bh_route;
typedef struct bh_call bh_call;
typedef void (*bh_call_step)(bh_call *call);

#define BH_BODY_MAX (1024 * 1024) /* of a document; events: BH_EVENTS_BYTES_MAX */
#define BH_HEADER_MAX (16 * 1024)
#define BH_QUERY_MAX 8 /* parameters that a route may know */
#define BH_TEST_TYPE "bellhop.test" /* of the event that a test of a webhook is */

typedef enum bh_call_phase {
	BH_CALL_READING, /* the body comes in */
	BH_CALL_REFUSED, /* the answer is known; what is left of the body is thrown away */
	BH_CALL_WAITING, /* suspended: the journal has it, or a look-up of names */
	BH_CALL_ANSWERED,
} bh_call_phase;

typedef struct bh_call_header {
	const char *name;
	char *value;
} bh_call_header;

/* Held deliveries that follow a change of their webhook (release.c). */
typedef struct bh_release {
	bh_id webhook;
	unsigned policy; /* bh_held_policy */
	unsigned sweep; /* which of the policy's sweeps is under way */
	bool began; /* the change itself is durable */
} bh_release;

struct bh_call {
	bh_api *api;
	struct MHD_Connection *connection;
	const bh_route *route; /* NULL: no such path */
	bh_call_phase phase;
	bool is_complete; /* the whole request is there */
	bh_mono started;
	bh_usec now; /* wall time at the start */

	/* what is asked */
	bh_scope scope;
	char *id; /* the variable segment of the path, decoded; NULL: the path has none */
	char *query[BH_QUERY_MAX]; /* values of the route's parameters, in its order; NULL: not given */
	char *body;
	size_t body_bytes, body_room;
	size_t body_max;
	size_t thrown_away; /* bytes of a body that nobody reads */

	bh_call_step next; /* goes on after a suspension */

	/* what is being committed; the journal's between bh_call_commit and the next step */
	bh_entry entry;
	/* On the journal's thread after each commit that went well: true when it submitted `entry` again. NULL: once. */
	bool (*again)(bh_call *call);
	GError *error; /* why it was not kept */
	bool directory_refused; /* `error` is the directory's, not the store's */
	bh_write write; /* for those who need only one */
	bh_write *writes[1];
	bh_change *change;
	bh_release release;
	void *work; /* the handler's, freed with the call */
	GDestroyNotify free_work;
	unsigned tries;
	char *from; /* the caller's address, for the audit log */

	/* the answer */
	unsigned status;
	GString *answer; /* NULL: no body */
	const char *content_type;
	bh_call_header headers[6];
	unsigned header_count;
};

/* Serves a part of a request: MHD's access handler; `slot` is MHD's place for our bh_call. */
enum MHD_Result bh_call_serve(void *api, struct MHD_Connection *connection, const char *path, const char *verb,
			      const char *version, const char *upload, size_t *upload_bytes, void **slot);
/* The request is over, however it ended: MHD's notification. */
void bh_call_completed(void *api, struct MHD_Connection *connection, void **slot, enum MHD_RequestTerminationCode why);

/* For handlers, on the call's thread. */
const char *bh_call_query(const bh_call *call, const char *name); /* NULL: not given */
const char *bh_call_request_header(const bh_call *call, const char *name);
const char *bh_call_from(bh_call *call); /* the caller's address */

/* The thread's own reader; NULL when there is none: the call is answered. */
bh_reader *bh_call_reader(bh_call *call);
bh_json *bh_call_json(bh_call *call); /* the thread's; for one handler at a time */
GArray *bh_call_findings(bh_call *call); /* the thread's, empty */

/* Looks at the key again, in the directory as it is now. False: the call is answered. */
bool bh_call_authorize(bh_call *call);

/* The handler's own state, which lives until the call ends or the next one is set. */
void bh_call_set_work(bh_call *call, void *work, GDestroyNotify free_work);

/*
 * Suspends the connection until somebody calls bh_call_resume, once, from any thread; `next` runs then. False: Bellhop is
 * stopping, call->error says so, and the connection goes on to `next` at once.
 */
bool bh_call_suspend(bh_call *call, bh_call_step next);
/* The call may be answered and freed before this returns. */
void bh_call_resume(bh_call *call);

/* Hands `entry` in and suspends the connection; `next` runs when the journal is through, whatever came of it. */
void bh_call_commit(bh_call *call, bh_call_step next);
/* The same for one change of the directory (taken) or one other write. */
void bh_call_change(bh_call *call, bh_change *change, bh_call_step next);
void bh_call_write(bh_call *call, const bh_write *write, bh_call_step next);
/* In `next`: was the commit given up? Then the call is answered. */
bool bh_call_failed(bh_call *call);
