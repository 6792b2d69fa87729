/*
 * What every file of this suite works with: a store in a folder of its own, and makers of writes. Only store.h is
 * used; what must know the backend itself (other programs' files, an integrity check) is in test_store_sqlite.c.
 */
#pragma once

#include "store/store.h"

#define NOON (1764072000LL * BH_SECOND) /* 2025-11-25 12:00 UTC */

typedef struct house {
	char *folder;
	char *url;
	bh_sealer *sealer;
	bh_store *store;
	bh_reader *reader;
} house;

house *house_open(void);
void house_reopen(house *h); /* closes the store and opens it again */
void house_shut(house *h); /* closes the store, for somebody else to have it */
void house_unshut(house *h);
void house_close(house *h);
char *house_path(const house *h, const char *name);

/* A write and all that it points to, so that a test names only what matters to it. */
typedef struct note {
	bh_write write;
	bh_delivery *made[8];
	bh_finding findings[8];
	bh_attempt_row attempt;
	bh_change change;
	bh_streak streak;
	bh_recovery recovery;
} note;

note *note_new(bh_write_kind kind); /* with nothing in it */

/* An event that is about property 12, with a triggered delivery for each webhook named (up to 8; 0 ends them). */
note *note_event(const bh_id *webhooks);
note *note_event_of(const bh_event *parts, const bh_id *webhooks);
/* An event with one delivery of an order key (NULL: none) and a coalescing key (NULL: none). */
note *note_keyed(bh_id webhook, const char *order_key, const char *coalesce_key);
note *note_record(bh_id delivery, int number, bh_state state, int spent, bh_usec due_at);
note *note_coalesced(bh_id delivery, bh_id newer);
note *note_move(bh_id delivery, bh_state state);
note *note_sweep(bh_id webhook, bh_state from, bh_state to, size_t limit);
note *note_change(bh_change_kind kind);
note *note_webhook(bh_id id, const char *manager);
note *note_webhook_removed(bh_id id);
note *note_streak(bh_id webhook, const bh_streak *streak);
note *note_recovery(bh_id id, bh_id webhook, bh_id after, bh_id up_to);
note *note_recover(bh_id recovery, size_t limit);
note *note_recovery_end(bh_id recovery);
void note_free(note *n);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(note, note_free)

/* Applies one write, which must not fail, and says what came of it. */
bh_write_result apply(house *h, note *n);
/* Applies one that is of no more interest. */
void apply_and_free(house *h, note *n);
/* Applies several as one batch. */
bool apply_all(house *h, note *const *notes, size_t count, GError **error);

/*
 * An event with one delivery, brought into `state` by the moves that lead there; returns the delivery. What supersedes a
 * COALESCED one is of OTHER_WEBHOOK.
 */
#define OTHER_WEBHOOK 7000
bh_id delivery_in(house *h, bh_id webhook, bh_state state);

/* A delivery with keys; returns it. */
bh_id keyed_in(house *h, bh_id webhook, const char *order_key, const char *coalesce_key);

bh_delivery *delivery_of(house *h, bh_id id); /* must be there */
bool has_event(house *h, bh_id id);
bool has_delivery(house *h, bh_id id);

/* Each file's tests. */
void add_opening_tests(void);
void add_event_tests(void);
void add_delivery_tests(void);
void add_order_tests(void);
void add_order_model_tests(void);
void add_coalescing_tests(void);
void add_recovery_tests(void);
void add_plan_tests(void);
void add_directory_tests(void);
void add_list_tests(void);
void add_thread_tests(void);
void add_trouble_tests(void);
