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
	BH_STATE_COALESCED, /* a newer one with the same key is sent in its place */
	BH_STATE_CANCELLED, /* by hand, or its webhook was removed */
	BH_STATE_FILTERED,  /* a condition (accepts) of the method or the webhook does not want the event; nothing was sent */
} bh_state;

const char *bh_state_name(bh_state state);
bool bh_state_parse(const char *text, bh_state *ret);
bool bh_state_is_final(bh_state state); /* neither PENDING nor HELD */
bool bh_state_may_move(bh_state from, bh_state to); /* PENDING may "move" to itself: again later, or now by hand */

/*
 * The due time of a PENDING delivery that waits for an earlier one with the same order key. Of each (webhook, order key) at most
 * one PENDING delivery is not blocked; whenever that one leaves PENDING, the store lets the next follow (least id) in the same transaction.
 */
#define BH_DUE_BLOCKED INT64_MAX

/* What a test delivery that succeeds brings about (test and enable, behaviour 9). The numbers are stored. */
typedef enum bh_test_then {
	BH_TEST_ONLY,
	BH_TEST_ENABLES_KEEP,   /* held deliveries stay held */
	BH_TEST_ENABLES_ALL,    /* and are all sent */
	BH_TEST_ENABLES_NEWEST, /* the newest alone is sent, the others are cancelled */
	BH_TEST_ENABLES_NONE,   /* all are cancelled */
} bh_test_then;

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
	bh_test_then then; /* of a test: what its success brings about */
	/* Order and coalescing (behaviour 8), fixed when it was made. */
	char *order_key;    /* NULL: none. One at a time of a (webhook, key) is PENDING with a real due time: see BH_DUE_BLOCKED */
	char *coalesce_key; /* NULL: none */
	bh_usec delay;      /* before a fresh one is due (coalescing); not stored */
	int64_t sequence;   /* 1, 2, 3 ... within its webhook, of those with an order key; 0: none. Given by the store */
	bh_id superseded_by; /* COALESCED: the newer one; 0: none */
} bh_delivery;

/* One attempt as it is kept. Texts are UTF-8 (made so by the recorder); bodies are bytes. */
typedef struct bh_attempt_row {
	bh_id delivery_id;
	int number; /* 1, 2, 3 ... within the delivery */
	bh_usec started_at;
	bh_usec dns, connect, tls, first_byte, total; /* microseconds since the start; -1: not reached */
	const char *outcome;      /* "delivered", "failed", "gone", "refused", "unknown" */
	const char *cause;        /* "" or "timeout", "dns", "connect", "tls", "protocol", "guard", "script", "credentials", "status", "crash", "proxy", "token", "lookup" */
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

/*
 * The present run of failures of a webhook, as its attempts on record tell it: what switching off by long failure goes
 * by (delivery/streak.h). All zero: the last attempt went well, or there was none.
 */
typedef struct bh_streak {
	bh_usec failing_since;   /* start of the first failed attempt since the last success */
	bh_usec first_exhausted; /* when the first delivery of this run was exhausted */
	bh_usec last_exhausted;  /* when the last one was; may lag by up to an hour */
	unsigned warned;         /* bits of bh_warning */
	bh_usec warned_at;       /* when the owner was told that it will be disabled; 0: he was not */
} bh_streak;

/* What became of "send again everything that failed since T" (behaviour 9). Moves EXHAUSTED deliveries to PENDING, oldest first, some at a time. */
typedef enum bh_recovery_state { BH_RECOVERY_RUNNING = 1, BH_RECOVERY_DONE, BH_RECOVERY_CANCELLED } bh_recovery_state;
const char *bh_recovery_state_name(bh_recovery_state state); /* "running", "done", "cancelled" */

typedef struct bh_recovery {
	bh_id id;
	bh_id webhook_id;
	bh_usec since;       /* deliveries made since then (created_at) */
	int64_t total;       /* how many there were at the start */
	int64_t recovered;   /* so many were moved so far */
	int64_t per_second;  /* rate cap */
	bh_id after;         /* the last delivery looked at */
	bh_id up_to;         /* the newest delivery that belongs to it: what fails later is not recovered again */
	bh_recovery_state state;
	bh_usec created_at, ended_at; /* ended_at 0 while running */
	char *who;           /* "key key_04f…" */
} bh_recovery;
void bh_recovery_free(bh_recovery *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_recovery, bh_recovery_free)

/* What a lane needs of a waiting delivery. */
typedef struct bh_waiting {
	bh_id delivery, event, webhook;
	bh_usec due_at, created_at;
	int spent, attempts;
	int64_t sequence;
	bool is_test;
	bool may_coalesce; /* it has a coalescing key */
	bh_test_then then;
} bh_waiting;

/* --- Writing: what a batch is made of ---------------------------------------------------- */

typedef enum bh_write_kind {
	BH_WRITE_EVENT,   /* a new event with its findings and deliveries */
	BH_WRITE_RECORD,  /* an attempt, and where its delivery goes from there */
	BH_WRITE_CHANGE,  /* one change of the directory, with a line in the audit log */
	BH_WRITE_MOVE,    /* one delivery by hand: retry (-> PENDING, due now) or cancel */
	BH_WRITE_SWEEP,   /* the next `limit` deliveries of a webhook from one state to another; tests are never held */
	BH_WRITE_REPLAY,  /* deliveries of an event that is stored already: the watcher decided anew */
	BH_WRITE_STREAK,  /* a webhook's run of failures, without an attempt (a warning was given) */
	BH_WRITE_RECOVERY,      /* a new recovery */
	BH_WRITE_RECOVER,       /* the next `limit` deliveries of a recovery (no tests), and how far it is by then */
	BH_WRITE_RECOVERY_END,  /* a running recovery is cancelled */
	BH_WRITE_AUDIT,         /* a line in the audit log alone, of what somebody did that is kept nowhere: `audit_what` */
} bh_write_kind;

typedef enum bh_write_result {
	BH_WRITE_DONE,
	BH_WRITE_DUPLICATE, /* EVENT: the caller's id is there with the same content; existing_event says which */
	BH_WRITE_CONFLICT,  /* EVENT: same id, other content. MOVE: not allowed from where it is. RECORD: too late, only the attempt is kept */
	BH_WRITE_NOT_FOUND, /* RECORD, MOVE: no such delivery. REPLAY: no such event. RECOVERY: no such webhook. RECOVER, RECOVERY_END: no such recovery */
} bh_write_result;

typedef struct bh_write {
	bh_write_kind kind;
	bh_write_result result; /* set by bh_store_apply */

	/*
	 * EVENT, REPLAY. Of a delivery with an order key the store sets `sequence`, and `due_at` to BH_DUE_BLOCKED if an earlier one
	 * is PENDING. REPLAY: event->id says which; findings are kept after those of before, as a round of their own; the deliveries
	 * belong to the same event. NOT_FOUND: the event is not stored any more.
	 */
	bh_event *event;
	bh_id caller_key;             /* the API key that handed it over: scope of caller_id */
	const bh_finding *findings;
	size_t finding_count;
	bh_delivery **deliveries;     /* one per finding that delivers, in that order */
	size_t delivery_count;
	bh_id existing_event;         /* DUPLICATE, CONFLICT */

	/*
	 * RECORD. Compare-and-set: applies from PENDING, and from HELD if `state` is final; else the attempt alone is kept, and it
	 * is a CONFLICT. To FILTERED as to any final state, without an attempt. To COALESCED (without an attempt): only while `superseded_by` is PENDING, DELIVERED or COALESCED
	 * itself (else CONFLICT, nothing is kept); one that is PENDING becomes due by `at` unless it has been attempted or is
	 * blocked, and then stands in `due`.
	 */
	bh_attempt_row *attempt;      /* NULL: a state without an attempt (cancelled at send time) */
	bh_id delivery_id;            /* also MOVE */
	bh_state state;               /* RECORD, MOVE, SWEEP: the new one */
	bh_usec due_at;               /* of PENDING */
	int spent;                    /* RECORD: the new count; MOVE to PENDING (and SWEEP from EXHAUSTED) resets it to 0 and restarts the lifetime */
	const char *reason;           /* RECORD, MOVE, SWEEP: why, or NULL */
	bh_id superseded_by;          /* RECORD to COALESCED */
	const bh_streak *streak;      /* RECORD: the webhook's (webhook_id) run of failures as it is now; NULL: as it was. STREAK: the same. Not kept of a removed webhook */
	/*
	 * Set by RECORD and MOVE: what may be sent as a consequence: the next of the order key, the one that superseded, the one that
	 * was retried by hand. Its due_at is BH_DUE_BLOCKED if it has to wait after all, and then it is not listed. What becomes due so is
	 * due at `due_at`, 0: at `at`. By a SWEEP and a RECOVER the next of an order key may become due, too: those are not listed.
	 */
	bh_waiting due[2];
	size_t due_count;

	/* CHANGE */
	const bh_change *change;
	/*
	 * CHANGE, AUDIT, and (unless NULL) REPLAY, RECOVERY, RECOVERY_END, and the EVENT of a test that enables: "key key_04f…",
	 * "127.0.0.1"; the store adds what and when.
	 */
	const char *audit_who, *audit_from;
	const char *audit_what;       /* AUDIT: "methods.reload 1 changed" */

	/* SWEEP */
	bh_id webhook_id;             /* set by RECOVER and RECOVERY_END */
	bh_state from;
	size_t limit;
	bool keep_newest;             /* spare the newest one. Oldest first; from PENDING: in the order (due_at, id) */
	bh_usec made_before;          /* only those with created_at before it; 0: all. `limit` of the first are looked at, of blocked ones as many again */
	size_t swept;                 /* how many moved; less than `limit`: nothing is left */

	/* RECOVERY, RECOVER, RECOVERY_END. RECOVER uses `limit` and sets `swept`; CONFLICT: it does not run any more. */
	const bh_recovery *recovery;  /* RECOVERY */
	bh_id recovery_id;            /* RECOVER, RECOVERY_END */
	bh_recovery_state recovery_state; /* RECOVER: set to what it is afterwards */

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
 * _LIMIT for a full disk, _UNSURE). A result in a write is not a failure. With `count` 0 it tries whether the store
 * takes writes at all: a commit that changes nothing.
 */
bool bh_store_apply(bh_store *store, bh_write *const *writes, size_t count, GError **error);

/* --- Reading ------------------------------------------------------------------------------ */

typedef struct bh_reader bh_reader;
bh_reader *bh_reader_new(bh_store *store, GError **error);
void bh_reader_free(bh_reader *reader);

/*
 * PENDING deliveries of a webhook in the order (due_at, id), from after (after_due, after_id) on, at most `limit`, without
 * the blocked ones. Appends to `ret` (GArray of bh_waiting).
 */
bool bh_reader_waiting(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret, GError **error);

/* Webhooks that have PENDING or HELD deliveries, removed ones too: appends bh_id to `ret`. A seek per webhook, not per delivery. */
bool bh_reader_webhooks_waiting(bh_reader *r, bh_state state, GArray *ret, GError **error);
/* How many deliveries of a webhook are in `state` (PENDING or HELD), counting at most `most`. */
bool bh_reader_count(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error);

/*
 * How many deliveries of a webhook with an id above `after` that were made at `since` or later are in `state` (EXHAUSTED), tests left
 * out, counting at most `most`.
 */
bool bh_reader_count_after(bh_reader *r, bh_id webhook, bh_state state, bh_id after, bh_usec since, size_t most, size_t *ret,
			   GError **error);

/*
 * Who stands for a delivery of a coalescing key whose turn has come at `now`: of the newer ones with the same key (and webhook) the newest
 * that was delivered, or is on its way (due by now, or attempted before); else the newest that waits still. *ret 0: nobody,
 * and it is to be sent itself. `before`: only those with a lesser id are looked at (0: all), for who has found that a
 * candidate would be filtered when its turn comes.
 */
bool bh_reader_superseding(bh_reader *r, bh_id delivery, bh_usec now, bh_id before, bh_id *ret, GError **error);

/* The run of failures of a webhook; all zero: there is none. */
bool bh_reader_streak(bh_reader *r, bh_id webhook, bh_streak *ret, GError **error);
/* Webhooks that have one: appends bh_id to `ret`. */
bool bh_reader_streaks(bh_reader *r, GArray *ret, GError **error);

/* NULL with NOT_FOUND. */
bh_recovery *bh_reader_recovery(bh_reader *r, bh_id recovery, GError **error);
/* Newest first, ids below `before` (0: from the newest), of the webhooks named (NULL: all), only running ones if asked: bh_recovery. */
GPtrArray *bh_reader_recoveries(bh_reader *r, const bh_id *webhooks, size_t webhook_count, bool only_running, bh_id before, size_t limit, GError **error);

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
	int *rounds;       /* 0: when the event came; 1, 2, 3 ...: its replays */
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
