/* One delivery loop, seen from inside the room: what its thread owns, and its inbox. */
#pragma once

#include "base/chance.h"
#include "delivery/delivery.h"
#include "delivery/flight.h"
#include "delivery/hidden.h"
#include "delivery/kit.h"
#include "delivery/outcome.h"
#include "delivery/scheduler.h"
#include "delivery/streak.h"
#include "transport/transport.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct bh_loop bh_loop;
typedef struct bh_attempt bh_attempt;
typedef struct bh_paper bh_paper;

/* --- Messages to a loop, from any thread ------------------------------------------------------ */

/* What the slow look goes by (upkeep.c). */
typedef struct bh_upkeep {
	bh_streak_policy streak;
	int64_t held_max;
	bh_usec held_span;
	bh_usec look_every;
} bh_upkeep;
bh_upkeep bh_upkeep_of(const bh_settings *settings);

/* What a reload brings. */
typedef struct bh_use {
	bh_guard *guard;
	bh_methods *methods;
	bh_lookup_config *lookup; /* NULL: details are looked up nowhere */
	bh_policy policy;
	bh_upkeep upkeep;
	bh_usec total_timeout;
} bh_use;

typedef struct bh_message bh_message;
struct bh_message {
	enum {
		BH_MESSAGE_FRESH,
		BH_MESSAGE_DUE,
		BH_MESSAGE_CHANGED,
		BH_MESSAGE_RECOVERY, /* one began or was cancelled */
		BH_MESSAGE_PAPER,
		BH_MESSAGE_USE,
		BH_MESSAGE_STOP,
	} kind;
	bh_message *next;
	bh_id webhook;   /* CHANGED */
	bh_paper *paper; /* PAPER: durable, or given up; the message is part of it */
	bh_use *use;     /* USE */
};

/* FRESH: deliveries of one event that became durable. */
typedef struct bh_fresh {
	bh_message message; /* first */
	bh_event *event;    /* a reference */
	size_t count;
	bh_waiting deliveries[];
} bh_fresh;

/* DUE: a delivery that may be sent now. */
typedef struct bh_due {
	bh_message message; /* first */
	bh_waiting waiting;
	bool by_hand;
} bh_due;

/* Takes the message. `urgent`: the loop is woken at the next bh_loop_flush; else it will see it when it wakes anyway. */
void bh_loop_post(bh_loop *loop, bh_message *message, bool urgent);
void bh_loop_flush(bh_loop *loop);
void bh_use_free(bh_use *use);

/* --- Papers: what a loop hands to the journal and hears back about ----------------------------- */

typedef enum bh_paper_kind {
	BH_PAPER_RECORD,  /* an attempt and what follows */
	BH_PAPER_SWEEP,   /* deliveries of a disabled or removed webhook */
	BH_PAPER_DISABLE, /* a webhook whose receiver wants no more, or only fails */
	BH_PAPER_ENABLE,  /* a webhook whose test went well */
	BH_PAPER_STREAK,  /* a run of failures that was warned of, or is over */
	BH_PAPER_RECOVER, /* the next step of a recovery */
} bh_paper_kind;

struct bh_paper {
	bh_entry entry; /* first: the journal hands it back */
	bh_paper_kind kind;
	bh_loop *loop;
	bh_write write;
	bh_write *writes[3];
	bh_message message;
	GError *error; /* why it was given up */
	bool carries_streak; /* RECORD, STREAK: the webhook's run of failures as it is when the paper is handed in */
	bh_streak streak;

	/* RECORD */
	bh_item *item;
	size_t slot; /* of the flight record */
	bh_attempt_row row;
	bh_waiting again; /* as it waits when its state is PENDING */
	GString *request, *response;
	GByteArray *body;
	GBytes *sent;
	bh_call_kind call_kind; /* of the last request */
	GString *aside_request; /* of one before it that may count yet; NULL: none */
	GBytes *aside_sent;
	bh_call_kind aside_kind;
	bh_hidden *hidden; /* what none of these may show */
	char *reason, *sentence;
	char address[64], http_version[4];

	/* SWEEP */
	size_t left; /* it may still move so many; SIZE_MAX: all */

	/* DISABLE, ENABLE */
	bh_change change;
	bh_webhook *attempted; /* a reference: as it was when its receiver said so */
	bh_disabled_cause cause;
	char *why;
	bh_test_then then; /* ENABLE: what becomes of held deliveries */
	bh_write *release; /* ENABLE: the sweeps that see to it, kept together with the change */
	size_t release_count;
};

/* Submits, now or when the journal takes entries again. */
void bh_loop_submit(bh_loop *loop, bh_paper *paper);
void bh_paper_free(bh_paper *paper);
/* The same, but what it was to record stays noted in the flight record: the next start must know. */
void bh_paper_leave(bh_paper *paper);

/* Moves deliveries of a webhook from one state to another, some at a time. */
typedef struct bh_sweeping {
	bh_id webhook;
	bh_state from, to;
	const char *reason;
	bh_usec made_before; /* only those that were made before it; 0: all */
	size_t at_most;      /* the oldest so many; 0: all */
} bh_sweeping;
void bh_loop_sweep(bh_loop *loop, const bh_sweeping *sweeping);
/*
 * Switches the webhook off because the receiver of this version of it said so: its lane at once, the stored webhook with the
 * next commit. If it leads elsewhere by now, what the old receiver said is past.
 */
void bh_loop_disable(bh_loop *loop, bh_webhook *attempted, bh_disabled_cause cause, const char *why);
/* Switches the webhook on because its test went well, and then deals with what it holds. */
void bh_loop_enable(bh_loop *loop, bh_id webhook, bh_test_then then);

/* --- The loop ---------------------------------------------------------------------------------- */

typedef struct bh_loop_counts { /* written by the loop, read by anyone: relaxed atomics */
	_Atomic uint64_t attempts[BH_OUTCOME_UNKNOWN + 1];
	_Atomic uint64_t ended[BH_STATE_FILTERED + 1]; /* this one by the journal's thread */
	_Atomic uint64_t delay_us, sent; /* from due to sent */
	_Atomic uint64_t waiting, in_flight, retries, recording, lanes, breakers;
	_Atomic uint64_t slices, scripts_broken; /* runs that were not through in their turn, or failed */
	_Atomic uint64_t failing, recoveries; /* webhooks with a run of failures, recoveries under way */
	_Atomic int64_t oldest_due; /* monotonic microseconds; 0: nothing is overdue */
} bh_loop_counts;

struct bh_loop {
	int number;
	size_t loops; /* how many there are */
	pthread_t thread;
	bh_store *store;
	bh_directory *directory;
	bh_journal *journal;
	int epoll_fd, wake_fd;

	/* The thread's own. */
	const bh_wire *wire;
	bh_transport *transport;
	bh_script_host *scripts;
	bh_scheduler *scheduler;
	bh_reader *reader;
	bh_kits *kits;
	bh_policy policy;
	bh_upkeep upkeep;
	GHashTable *streaks;   /* webhook -> run of failures (streaks.c) */
	bool knows_streaks, knows_recoveries; /* false: the store was away when they were to be read */
	GPtrArray *recoveries; /* under way (recoveries.c) */
	GArray *held;          /* bh_id of webhooks whose held deliveries are still to be looked at */
	bh_chance chance;
	bh_usec total_timeout; /* of a webhook that sets none */
	bh_now now;            /* of this turn; its wall is the steady one that due times go by */
	bh_usec wall;          /* of this turn: what the signature's timestamp says */
	bh_snapshot *snapshot; /* of this turn */
	bh_event *recent[1024]; /* events read last, by id; NULL where there is none */
	GHashTable *disabling; /* bh_id of webhooks whose change to disabled is on its way */
	GHashTable *ending;    /* webhooks and states some of whose deliveries are being set aside (upkeep.c) */
	GQueue postponed;      /* bh_paper that the journal did not take */
	bh_mono postponed_until;
	size_t papers_out;     /* with the journal, or postponed */
	bh_mono look_at;       /* the next slow look */
	bh_mono expiry_at;     /* the next look at certificates */
	bh_mono facts_at;      /* when the costly facts were shown last */
	bool stopping;
	bh_mono stop_until;
	GQueue attempts;       /* bh_attempt, under way */
	struct {
		GQueue waiting;     /* bh_attempt that may not compute before the next turn */
		GQueue slow_waiting; /* those of webhooks that are slow */
		GHashTable *slow;   /* bh_id of a webhook -> bh_mono: until when it is */
		bool begun_next;    /* who is in the middle of a run is next */
		bh_usec spent;      /* by scripts, in this turn of the loop */
		unsigned count;     /* of runs resumed in it */
		unsigned count_max; /* 0: the default */
	} turns; /* turns.c */

	bh_flight *flight;
	GArray *free_slots; /* of size_t */

	pthread_mutex_t lock; /* guards the inbox */
	bh_message *inbox, **inbox_end;
	bool sleeping, wake_wanted;
	bool awaits_records; /* nothing is sent, or we stop, until records come back: each of them is urgent */

	bh_loop_counts counts;
};

/* A thread that prepares, turns and sleeps until it is done, then ends. */
bool bh_loop_start(bh_loop *loop, GError **error);

/* What that thread is made of. */
bool bh_loop_prepare(bh_loop *loop, GError **error); /* opens the reader, looks at what waits */
bh_usec bh_loop_turn(bh_loop *loop);                 /* returns how long there is nothing to do */
bool bh_loop_is_done(const bh_loop *loop);           /* it was asked to stop, and has */
void bh_loop_end(bh_loop *loop);                     /* gives up what is under way */
/* To be asked after a turn: may it sleep? False: there is mail that cannot wait. From then on, who brings such mail wakes it. */
bool bh_loop_may_sleep(bh_loop *loop);
bool bh_loop_is_asleep(bh_loop *loop); /* nobody woke it since */

/* The loop of that number, for who turns them himself; NULL: there are no more. */
bh_loop *bh_loops_at(bh_loops *loops, size_t number);

/* Is this webhook one of this loop's? */
bool bh_loop_of_webhook(const bh_loop *loop, bh_id webhook);

static inline void bh_count(_Atomic uint64_t *counter, uint64_t by)
{
	atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}
