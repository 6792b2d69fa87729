/* One request that `bellhop listen` received: judged as a receiver should, and told in a line or as JSON. Pure. */
#pragma once

#include "base/time.h"
#include "cli/table.h"
#include "transport/signature.h"

#include <glib.h>
#include <stdbool.h>

typedef struct bh_heard {
	bh_usec arrived; /* when the whole of it was there */
	char *verb, *path; /* the path with its query, as it was sent */
	GHashTable *headers; /* names in lower case -> value; what came several times is joined with ", " */
	GString *body;
	bool body_cut; /* more came than is kept */

	/* Set by bh_heard_judge. */
	char *type; /* of the event, in either shape; NULL: not told */
	bh_usec event_at; /* when it happened, in shape standard; 0: not told */
	int64_t sequence; /* its number among those that are sent in order; 0: not told */
	bool checked; /* there was a secret to check with */
	bh_verification verification;
	bool repeat; /* this webhook-id came before */

	int answered; /* the status it gets */
} bh_heard;

bh_heard *bh_heard_new(const char *path);
void bh_heard_free(bh_heard *heard);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_heard, bh_heard_free)

void bh_heard_add_header(bh_heard *heard, const char *name, const char *value);

/* `secrets` of bh_secret: one of them must fit; none: nothing is checked. `seen` collects the webhook-ids. */
void bh_heard_judge(bh_heard *heard, const GPtrArray *secrets, int64_t tolerance, GHashTable *seen);
bool bh_heard_verified(const bh_heard *heard); /* or there was nothing to check with */

/* "14:51:02.123  POST /hook  booking_added  evt_...  #7  verified  12 ms  -> 200" and a line feed. */
void bh_heard_line(const bh_heard *heard, bh_screen screen, GString *out);
/* One JSON object and a line feed. */
void bh_heard_json(const bh_heard *heard, GString *out);

/* "verified", "no_match", "too_old" ...: for programs. */
const char *bh_verification_name(bh_verification verification);
