/* The bodies of POST /v1/events: one event put together from options, and files of events cut into calls. Pure. */
#pragma once

#include "base/span.h"

#include <glib.h>
#include <stdbool.h>

/* One event as the options say. All but `type` may be NULL. */
typedef struct bh_event_parts {
	const char *type;
	const char *data; /* JSON object, goes in as the very bytes; NULL: {} */
	const char *details; /* JSON value, likewise */
	const char *property; /* written into data as property_uid, a number if it looks like one */
	const char *manager, *actor, *channel;
	const char *occurred_at;
} bh_event_parts;

/*
 * Appends the event's JSON. False with BH_USAGE_ERROR, and nothing appended: `data` is no object, `details` no JSON, or
 * a property is given and data has a property_uid already.
 */
bool bh_event_body_append(const bh_event_parts *parts, GString *out, GError **error);

/* A piece of a file that goes as one call. */
typedef struct bh_events_call {
	bh_span body;
	bool ndjson;
	guint first_line; /* of the file, from 1 */
} bh_events_call;

/*
 * Cuts a file of events, which must outlive the result (GArray of bh_events_call): one JSON value goes as it is;
 * NDJSON is cut between lines into calls that the API takes (10,000 lines and 8 MiB). No calls: there is nothing in it.
 */
GArray *bh_events_cut(bh_span text);
