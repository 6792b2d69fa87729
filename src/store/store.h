/*
 * What is kept, and what may be asked of it. sqlite/ and (later) postgres/ say how.
 *
 * One writer: the journal's thread calls bh_store_apply, a batch is one transaction, all or
 * nothing. Readers: any thread with a bh_reader of its own (made and used in that thread).
 * Times are integer microseconds UTC. tests/conformance/ holds what is promised here, for every backend.
 */
#pragma once

#include "base/seal.h"
#include "directory/directory.h"
#include "event/event.h"
#include "watcher/watcher.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The states of a delivery and the moves between them (the table in state.c, tested row by row). 0 is none. The numbers
 * are stored, and chosen: a row keeps its size from PENDING to DELIVERED, and what is above DELIVERED is unusual.
 */
typedef enum bh_state {
	BH_STATE_PENDING = 2,
	BH_STATE_DELIVERED, /* 2xx, or the method says so */
	BH_STATE_HELD,      /* the webhook is disabled */
	BH_STATE_GONE,      /* 410 */
	BH_STATE_EXHAUSTED, /* no attempt or no time left, or a final refusal */
	BH_STATE_COALESCED, /* a newer one with the same key was sent */
	BH_STATE_CANCELLED, /* by hand, or its webhook was removed */
} bh_state;

const char *bh_state_name(bh_state state);
bool bh_state_parse(const char *text, bh_state *ret);
bool bh_state_is_final(bh_state state); /* neither PENDING nor HELD */
bool bh_state_may_move(bh_state from, bh_state to); /* PENDING may "move" to itself: again later, or now by hand */

/* A delivery as it is kept. */
typedef struct bh_delivery {
	bh_id id;
	bh_id event_id;
	bh_id webhook_id;
	char *manager_id; /* told of it; NULL: none (site webhook, no owner) */
	bh_state state;
	bh_usec created_at; /* its lifetime counts from here: moved back to PENDING by hand or swept to it, it is made anew */
	bh_usec due_at;   /* PENDING: not before */
	bh_usec ended_at; /* 0 while PENDING or HELD */
	int spent;        /* attempts counted against the schedule */
	int attempts;     /* attempts made, counted or not: the number of the last one */
	char *reason;     /* why it ended or waits, a sentence; NULL: nothing to say */
	bool is_test;     /* of `webhook test`: not retried */
} bh_delivery;

/* One attempt as it is kept. Texts are UTF-8 (made so by the recorder); bodies are bytes. */
typedef struct bh_attempt_row {
	bh_id delivery_id;
	int number; /* 1, 2, 3 ... within the delivery */
	bh_usec started_at;
	bh_usec dns, connect, tls, first_byte, total; /* microseconds since the start; -1: not reached */
	const char *outcome;      /* "delivered", "failed", "gone", "refused", "unknown" */
	const char *cause;        /* "" or "timeout", "dns", "connect", "tls", "protocol", "guard", "script", "credentials", "status", "crash" */
	const char *sentence;     /* for the owner: what happened and what to do */
	int status;               /* HTTP status; 0: none */
	const char *http_version; /* "1.1", "2"; "" none */
	const char *address;      /* "192.0.2.1:443"; "" none */
	const char *request;      /* request line and headers, credentials masked, lines ended by \n */
	const char *response;     /* response headers, same form */
	bh_span body;             /* first 16 KiB of the answer */
	bh_span sent;             /* the request's body, if it was not the event's own in the webhook's shape; size 0: it was */
	const char *shape;        /* how the event's own body was written: "standard", "standard+details", "jomres" */
} bh_attempt_row;

/* --- Writing: what a batch is made of ---------------------------------------------------- */

typedef enum bh_write_kind {
	BH_WRITE_EVENT,   /* a new event with its findings and deliveries */
	BH_WRITE_RECORD,  /* an attempt, and where its delivery goes from there */
	BH_WRITE_CHANGE,  /* one change of the directory, with a line in the audit log */
	BH_WRITE_MOVE,    /* one delivery by hand: retry (-> PENDING, due now) or cancel */
	BH_WRITE_SWEEP,   /* the next `limit` deliveries of a webhook from one state to another */
} bh_write_kind;

typedef enum bh_write_result {
	BH_WRITE_DONE,
	BH_WRITE_DUPLICATE, /* EVENT: the caller's id is there with the same content; existing_event says which */
	BH_WRITE_CONFLICT,  /* EVENT: same id, other content. MOVE: not allowed from where it is. RECORD: too late, only the attempt is kept */
	BH_WRITE_NOT_FOUND, /* RECORD, MOVE: no such delivery */
} bh_write_result;

typedef struct bh_write {
	bh_write_kind kind;
	bh_write_result result; /* set by bh_store_apply */

	/* EVENT */
	bh_event *event;
	bh_id caller_key;             /* the API key that handed it over: scope of caller_id */
	const bh_finding *findings;
	size_t finding_count;
	bh_delivery **deliveries;     /* one per finding that delivers, in that order */
	size_t delivery_count;
	bh_id existing_event;         /* DUPLICATE, CONFLICT */

	/* RECORD. Compare-and-set: applies from PENDING, and from HELD if `state` is final; else the attempt alone is kept, and it is a CONFLICT. */
	bh_attempt_row *attempt;      /* NULL: a state without an attempt (cancelled at send time) */
	bh_id delivery_id;            /* also MOVE */
	bh_state state;               /* RECORD, MOVE, SWEEP: the new one */
	bh_usec due_at;               /* of PENDING */
	int spent;                    /* RECORD: the new count; MOVE to PENDING (and SWEEP from EXHAUSTED) resets it to 0 and restarts the lifetime */
	const char *reason;           /* RECORD, MOVE, SWEEP: why, or NULL */

	/* CHANGE */
	const bh_change *change;
	const char *audit_who, *audit_from; /* "key key_04f…", "127.0.0.1"; the store adds what and when */

	/* SWEEP */
	bh_id webhook_id;
	bh_state from;
	size_t limit;
	bool keep_newest;             /* spare the newest one. Oldest first; from PENDING: in the order (due_at, id) */
	size_t swept;                 /* how many moved; less than `limit`: nothing is left */

	bh_usec at;                   /* when: created, ended, audit */
} bh_write;

typedef struct bh_store bh_store;

/*
 * Opens (and makes, and migrates) the store that `url` names: "sqlite:<path>". Holds an exclusive lock that
 * dies with the process. BH_ERROR_BUSY: another process has it, the message says which file and what to
 * do. BH_ERROR_CONFLICT: its schema is newer than this binary.
 */
bh_store *bh_store_open(const char *url, const bh_sealer *sealer, GError **error);
void bh_store_close(bh_store *store);

/* The largest id in the store, for bh_id_start_above; 0 when empty. */
bh_id bh_store_last_id(bh_store *store);

/* Everything of the directory. */
bh_snapshot *bh_store_load_directory(bh_store *store, GError **error);

/*
 * Applies `count` writes in one transaction, durable on return. False: nothing of it is kept (BH_ERROR_BUSY, _IO,
 * _LIMIT for a full disk, _UNSURE). A result in a write is not a failure.
 */
bool bh_store_apply(bh_store *store, bh_write *const *writes, size_t count, GError **error);

/* --- Reading ------------------------------------------------------------------------------ */

typedef struct bh_reader bh_reader;
bh_reader *bh_reader_new(bh_store *store, GError **error);
void bh_reader_free(bh_reader *reader);

/* What a lane needs of a waiting delivery. */
typedef struct bh_waiting {
	bh_id delivery, event, webhook;
	bh_usec due_at, created_at;
	int spent, attempts;
	bool is_test;
} bh_waiting;

/*
 * PENDING deliveries of a webhook in the order (due_at, id), from after (after_due, after_id) on, at most `limit`.
 * Appends to `ret` (GArray of bh_waiting).
 */
bool bh_reader_waiting(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret, GError **error);

/* Webhooks that have PENDING or HELD deliveries, removed ones too: appends bh_id to `ret`. A seek per webhook, not per delivery. */
bool bh_reader_webhooks_waiting(bh_reader *r, bh_state state, GArray *ret, GError **error);
/* How many deliveries of a webhook are in `state` (PENDING or HELD), counting at most `most`. */
bool bh_reader_count(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error);

/* NULL with NOT_FOUND, or the store's error. The result is the caller's. */
bh_event *bh_reader_event(bh_reader *r, bh_id event, GError **error);
/*
 * The events of `count` waiting deliveries, read at one moment: much less than so many single looks. Where `events` has one
 * already it stays; of the others each gets a reference, NULL for one that is not there, and for those after `bytes_max`
 * bytes of them were read.
 */
bool bh_reader_payloads(bh_reader *r, const bh_waiting *rows, size_t count, size_t bytes_max, bh_event **events,
			GError **error);
bh_delivery *bh_reader_delivery(bh_reader *r, bh_id delivery, GError **error);
/* The event that API key `caller_key` handed over under `caller_id`; NULL with NOT_FOUND: none is stored. */
bh_event *bh_reader_event_of_caller(bh_reader *r, bh_id caller_key, const char *caller_id, GError **error);
void bh_delivery_free(bh_delivery *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_delivery, bh_delivery_free)

/* The stored verdicts of an event. `manager` of a finding points into the result. */
typedef struct bh_findings {
	bh_finding *at;
	bh_id *deliveries; /* 0: none was made */
	size_t count;
} bh_findings;
bh_findings *bh_reader_findings(bh_reader *r, bh_id event, GError **error);
void bh_findings_free(bh_findings *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_findings, bh_findings_free)

/* Attempts of a delivery, oldest first, `number` > after: bh_attempt_kept, container and rows the caller's. */
typedef struct bh_attempt_kept {
	bh_attempt_row row; /* its texts belong to this struct */
} bh_attempt_kept;
GPtrArray *bh_reader_attempts(bh_reader *r, bh_id delivery, int after, size_t limit, GError **error);

/*
 * Lists, newest first, by key: ids below `before` (0: from the newest), at most `limit`. The scope is part of the query.
 */
typedef struct bh_list {
	const char *manager_id; /* only of this manager's webhooks / properties; NULL: everybody's. Deliveries: then `webhooks` says which, none without */
	char *const *property_ids; /* events: of these properties, or addressed to manager_id; used when manager_id is set */
	const bh_id *webhooks;  /* deliveries: only of these webhooks, webhook_count of them; NULL: all */
	size_t webhook_count;
	const char *type;       /* events: only of this type; NULL: all */
	const char *property_id;/* events: only of this property; NULL: all */
	bh_state state;         /* deliveries: only in this state; 0: all */
	bh_id event;            /* deliveries: only of this event; 0: all */
	bh_id before;
	size_t limit;
} bh_list;
GPtrArray *bh_reader_events(bh_reader *r, const bh_list *list, GError **error);     /* bh_event */
GPtrArray *bh_reader_deliveries(bh_reader *r, const bh_list *list, GError **error); /* bh_delivery */

/* One line of the audit log, newest first, ids below `before`. */
typedef struct bh_audit {
	int64_t id;
	bh_usec at;
	char *who, *from, *what; /* "webhook.put whk_…" */
} bh_audit;
void bh_audit_free(bh_audit *a);
GPtrArray *bh_reader_audit(bh_reader *r, int64_t before, size_t limit, GError **error);

/* For /metrics and /readyz: cheap, no counting of tables. False: the store does not answer. */
typedef struct bh_store_health {
	int64_t file_bytes, wal_bytes;
} bh_store_health;
bool bh_reader_health(bh_reader *r, bh_store_health *ret, GError **error);
