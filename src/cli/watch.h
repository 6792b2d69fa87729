/* --wait: following deliveries until they have come to rest, and telling what became of them. */
#pragma once

#include "cli/commands.h"

/* What became of one event at one webhook. */
typedef struct bh_watched {
	char *event;
	char *delivery; /* NULL: none was made; `verdict` says why */
	char *webhook, *webhook_name; /* NULL: no webhook, or it is gone */
	char *verdict, *sentence; /* NULL when the delivery was named, not the event */
	char *state; /* NULL as long as it was not looked at */
	int64_t attempts, attempts_seen;
	bh_usec due; /* of a pending one; 0: unknown */
	bool blocked; /* it waits for an earlier one, so it has no time yet */
	char *note; /* why it ended or waits */
	int64_t status; /* of the last attempt; 0: no answer, or none yet */
	int64_t total; /* microseconds of it; -1: not known */
	char *verdict_json, *delivery_json, *attempt_json; /* the API's very bytes; NULL: not there */
} bh_watched;

typedef struct bh_watch bh_watch;
bh_watch *bh_watch_new(bh_call *call);
void bh_watch_free(bh_watch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_watch, bh_watch_free)

/* Adds every webhook that was looked at for the event. */
bool bh_watch_event(bh_watch *watch, const char *event, GError **error);
/* Adds one delivery, of which `attempts` attempts are old news. */
void bh_watch_delivery(bh_watch *watch, const char *event, const char *delivery, int64_t attempts);

/*
 * Asks until none is pending, or --timeout is over. Each attempt that failed meanwhile is remarked. False: asking
 * failed.
 */
bool bh_watch_run(bh_watch *watch, GError **error);
/* Is the time up that --timeout gave? After bh_watch_run: for who waits on for something else. */
bool bh_watch_time_is_over(const bh_watch *watch);

bool bh_watch_is_settled(const bh_watch *watch); /* none is pending, or was not looked at */

/* DONE when every delivery that was to be made is delivered (or a newer one went in its place). */
bh_exit bh_watch_result(const bh_watch *watch);

/* For people: a table. */
void bh_watch_print(const bh_watch *watch);
/*
 * One JSON object: {"accepted","settled","data":[{"event_id","verdict","delivery","last_attempt"}]}, all but settled and
 * event_id being the API's very bytes.
 */
void bh_watch_print_json(const bh_watch *watch, bh_span accepted);
GString *bh_watch_json(const bh_watch *watch, bh_span accepted); /* the same object, open for more members */
