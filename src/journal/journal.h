/*
 * The one writer. Every promise becomes durable here and nowhere else.
 *
 * Any thread hands in a bh_entry; the journal's thread takes all that is queued, applies it as one
 * transaction, publishes the directory if it changed, and then calls each entry's `done`. An entry that somebody
 * waits for (URGENT) starts a commit at once when the journal is idle; records of attempts (LAZY) may ride
 * along with the next for up to 5 ms, since nobody waits for them.
 *
 * The queue is bounded: bh_journal_submit answers BUSY when it is full, and the door says 503.
 */
#pragma once

#include "directory/directory.h"
#include "store/store.h"

typedef struct bh_journal bh_journal;
typedef struct bh_entry bh_entry;

/*
 * Called once, on the journal's thread, when the entry is durable (error NULL) or was given up (error says why;
 * nothing of it is kept). Must be quick and must not block. The entry is the callee's again.
 */
typedef void (*bh_entry_done)(bh_entry *entry, const GError *error);

/*
 * Several writes that are kept together or not at all. The submitter fills it, keeps what it points to alive
 * until `done`, and embeds it in a struct of his own.
 */
struct bh_entry {
	bh_write **writes;
	size_t count;
	bool lazy;
	bh_entry_done done;
	bh_entry *next; /* the journal's */
	/*
	 * The directory refused a CHANGE (NOT_FOUND, CONFLICT, ...), or a SWEEP holds what is enabled or releases what is not
	 * (CONFLICT): set before `done`, whose error is then this; freed by the journal.
	 */
	GError *refused;
};

/* Who hears what became durable. Called on the journal's thread after the commit, before the entries' `done`. */
typedef struct bh_journal_listener {
	void *user;
	/* Deliveries made by one EVENT write: those that are PENDING are to be sent. */
	void (*fresh)(void *user, bh_event *event, bh_delivery *const *deliveries, size_t count);
	/* The end of a batch: wake whoever was given something. */
	void (*flush)(void *user);
	/* A delivery may be sent now: the next of its order key, one that superseded another, or (`by_hand`) one that a person retried. */
	void (*due)(void *user, const bh_waiting *waiting, bool by_hand);
	/* A webhook was put or removed, or deliveries of it were swept to PENDING or recovered: look again. */
	void (*webhook_changed)(void *user, bh_id webhook);
	/* A recovery began or was cancelled. */
	void (*recovery_changed)(void *user, bh_id webhook);
} bh_journal_listener;

bh_journal *bh_journal_open(bh_store *store, bh_directory *directory, const bh_journal_listener *listener, size_t queue_max,
                            GError **error);

/* False with BH_ERROR_BUSY: the queue is full or the journal is closing; `done` is not called. Any thread. */
bool bh_journal_submit(bh_journal *journal, bh_entry *entry, GError **error);

/* Submits and waits for the result: for start, tests and the rare thread that may block. */
bool bh_journal_submit_and_wait(bh_journal *journal, bh_entry *entry, GError **error);

/* Works off what is queued, then stops. */
void bh_journal_close(bh_journal *journal);

/*
 * A journal without a thread, for a simulation: what is queued waits for whoever turns it. bh_journal_submit_and_wait
 * turns it itself until its entry is through.
 */
bh_journal *bh_journal_open_by_hand(bh_store *store, bh_directory *directory, const bh_journal_listener *listener,
                                    size_t queue_max);
/* One batch of what is queued, from prepare to tell. False: nothing was. Only of one opened by hand. */
bool bh_journal_turn(bh_journal *journal);

/* For /metrics; any thread. */
typedef struct bh_journal_stats {
	uint64_t batches, writes, failures;
	size_t queued;
	bool failing;       /* the last commit did not succeed */
	char last_error[200];
} bh_journal_stats;
void bh_journal_stats_read(bh_journal *journal, bh_journal_stats *ret);
