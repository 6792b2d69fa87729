/*
 * What must hold, whatever happens. The rules look on from outside, at the network and at the disk, and keep books of their
 * own; only a few look into the scheduler. A broken rule ends the program with the seed.
 *
 *   rules.c        one at a time, and only with proof; nothing accepted is lost
 *   rules_order.c  serial per order key, first attempts in order; who gave way to whom
 *   rules_pace.c   limits: of a webhook, of a manager, of retries; rate; breaker
 *   rules_script.c what a webhook's conditions want is not lost, what they do not want is not sent, and bodies are as they make them
 *   rules_wait.c   nobody starves, memory is bounded, no loop spins
 *   rules_streak.c switched off by failure only as the policy says
 *   rules_end.c    when all is calm everything ends, and the loops sleep
 */
#pragma once

#include "network.h"
#include "scripts.h"

rules *rules_new(sim *s);
void rules_free(rules *r);

/* The network: a request goes out, is answered, or is given up by us. */
void rules_sent(sim *s, visit *v);
void rules_answered(sim *s, const visit *v);
void rules_cut(sim *s, const visit *v);
void rules_token_answered(sim *s, bh_id webhook, const meeting *m);

/* The disk (memory_watcher). */
void rules_applied(void *sim, const bh_write *w);
void rules_moved(void *sim, const bh_delivery *d, bh_state from);

/* The world. */
void rules_accepted(sim *s, bh_id event);
void rules_nudged(sim *s, bh_id webhook); /* somebody retries one by hand: it waits for nobody */
void rules_started(sim *s);
void rules_died(sim *s);
void rules_process_over(sim *s); /* stopped or dead: nothing is under way any more */

void rules_after_step(sim *s);
void rules_at_end(sim *s);
/* Is there a delivery that still has to end? */
bool rules_all_ended(sim *s);

/* --- Between the rules' files --------------------------------------------------------------------------------------- */

/* An event and a webhook that it goes to: what a receiver can tell apart. */
typedef struct pair {
	bh_id event, webhook;
	unsigned made;      /* deliveries: more than one only by replays */
	unsigned in_flight;
	unsigned sent;
	unsigned proofs;    /* answers of 200 to 299 */
	unsigned delivered; /* deliveries that are said to be so */
	unsigned crashes;   /* deaths of the process that its attempts tell of */
	bh_id delivery;     /* the last one made */
	int refused;        /* the attempt whose last request was denied; 0: none */
} pair;

/* A delivery that was under way when the process died. */
typedef struct left_behind {
	bh_id delivery;
	int attempts;       /* on record by then */
} left_behind;

/* An order key of a webhook. */
typedef struct line {
	bh_id webhook;
	char *key;
	bh_id in_flight;    /* the delivery under way; 0: none */
	int64_t sequence;   /* of the last one that was sent for the first time */
} line;

/* A run of failures. */
typedef struct run {
	bool failing, exhausted;
	bh_mono failing_since, first_exhausted, last_exhausted;
	bh_usec jumped_before; /* by the wall clock, when it began to fail */
} run;

/* A webhook as it is seen from outside. */
typedef struct watched {
	bh_id id;
	char *manager; /* "" is the site */
	bool is_there, enabled;
	bool coalesces; /* and did so before it was put last */
	unsigned receiver;
	own_script script;
	bh_mono script_at;  /* since when it has that one */
	bh_mono changed_at; /* when it was put, or removed, last */
	bh_mono sent_at;    /* the last request */
	unsigned in_flight, tests_in_flight;
	unsigned nudges, young_nudges; /* retries by hand of this hour and the last one, of this hour: each may pass a limit once */
	int64_t sequence;   /* the last one given */
	GHashTable *lines;  /* key -> line */
	/* Rate: when the last requests went out. */
	int64_t rate_requests;
	bh_usec rate_per;
	GQueue recent;      /* of bh_mono * */
	bh_mono rate_from;  /* since when they count */
	/* Breaker: what we would know of the receiver in the engine's place. */
	unsigned unreachable; /* in a row */
	bool is_open;
	bh_usec probe_wait;
	bh_mono heard_at;
	/* Streak. */
	run run;
	run trial;          /* the run that it was disabled for; not failing: it was not, or the rules have looked at it */
	bool is_overdue;
	bh_mono overdue_at;
} watched;

struct rules {
	GHashTable *pairs;    /* "event/webhook" as two numbers -> pair */
	GHashTable *webhooks; /* bh_id -> watched */
	GHashTable *accepted; /* bh_id of events */
	GHashTable *managers_in_flight; /* "m1" -> count */
	unsigned in_flight, retries_in_flight, urgent_in_flight;
	GArray *left;         /* of left_behind: what was under way when the process died */
	GHashTable *set_aside; /* bh_id of deliveries that were held or exhausted once: they come when somebody lets them */
	bh_mono started_at;   /* the present process */
	bh_mono disturbed_at; /* the last time that something kept the engine from its work */
	bh_mono minute_at, hour_at;
	bh_usec offset;       /* of the engine's steady clock, which a process takes from the wall clock as it starts */
	bh_usec jumped;       /* that offset, to and fro, in all */
	uint64_t happenings;  /* what gives a loop something to do */
	uint64_t happenings_before, turns_before; /* at the last full hour */
	size_t open;          /* deliveries that have not ended */
};

pair *rules_pair(rules *r, bh_id event, bh_id webhook);
watched *rules_webhook(rules *r, bh_id webhook);
bool rules_is_unreachable(bh_cause cause);

void order_made(sim *s, const bh_delivery *d);
void order_sent(sim *s, const visit *v, const bh_delivery *d);
void order_over(sim *s, const visit *v, const bh_delivery *d);
void order_coalesced(sim *s, const bh_delivery *d);
void order_process_over(rules *r);

void script_put(sim *s, watched *w, const bh_webhook *webhook);
void script_sent(sim *s, const visit *v, const bh_delivery *d);
void script_moved(sim *s, const bh_delivery *d);

void pace_sent(sim *s, visit *v, const bh_delivery *d);
void pace_token_answered(sim *s, bh_id webhook);
void pace_over(sim *s, const visit *v, const bh_delivery *d);
void pace_answered(sim *s, const visit *v);
void pace_put(sim *s, watched *w, const bh_webhook *webhook);
void pace_process_over(sim *s);

void wait_each_minute(sim *s);
void wait_each_hour(sim *s);

void streak_recorded(sim *s, const bh_write *w);
void streak_each_minute(sim *s);
void streak_swept(sim *s, const bh_write *w);
void streak_put(sim *s, watched *w, const bh_webhook *webhook);
