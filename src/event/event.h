/*
 * What an event is. Pure: no I/O, no clock, no log, no globals.
 *
 * `data`, `details` and `channel` are kept as the very bytes that came in and reach the receiver so.
 * An accepted event never changes; it is counted and shared between threads.
 */
#pragma once

#include "base/id.h"
#include "base/json.h"
#include "base/time.h"
#include "event/catalogue.h"

#include <glib.h>
#include <stdbool.h>

#define BH_EVENT_BYTES_MAX (256 * 1024) /* one event as text: over it BH_ERROR_LIMIT */
#define BH_EVENTS_BYTES_MAX (8 * 1024 * 1024) /* one call */
#define BH_EVENTS_MAX 10000 /* events of one call */

typedef struct bh_event {
	int refs; /* atomic; through bh_event_ref and _unref only */
	bh_id id; /* ours; its text form is the webhook-id */
	char *type;
	bh_usec occurred_at; /* as given, else accepted_at */
	bh_usec accepted_at;
	char *property_id; /* from data.property_uid: text of the site's id; NULL: about none */
	char *manager_id; /* given explicitly in the event; NULL: the property leads to them */
	char *actor; /* who did it, as given; NULL: not told */
	bool actor_is_manager; /* set by the watcher: of any role; decides how `jomres` writes manager_id */
	bool jomres_form; /* handed over in Jomres' form: see bh_event_news. Not stored */
	char *caller_id; /* the caller's `id` or Idempotency-Key; NULL: none */
	int hops; /* how many engines or turns of one the chain of changes behind it has passed already; 0: a first-hand event */
	char *traceparent; /* W3C trace context of the hand-off; NULL: none */
	char *channel_id; /* channel.channel_id as text; NULL: none */
	bh_span data; /* a JSON object, never empty; sensitive fields already removed */
	bh_span details; /* a JSON value, or size 0 */
	bh_span channel; /* a JSON object, or size 0 */
	size_t bytes; /* what this event occupies in memory, about */
} bh_event;

bh_event *bh_event_ref(bh_event *event);
void bh_event_unref(bh_event *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_event, bh_event_unref)

/* An event built from its stored parts (all copied); refs is 1. Fields of `parts` as above. */
bh_event *bh_event_restore(const bh_event *parts);

/* How the text of a call is to be read. */
typedef enum bh_events_form {
	BH_EVENTS_JSON, /* one object, or an array of them */
	BH_EVENTS_NDJSON, /* one object a line; blank lines are skipped */
} bh_events_form;

typedef struct bh_intake {
	bh_events_form form;
	const bh_catalogue *catalogue;
	bool accept_unknown_types;
	bh_usec now;
	/* Of the call; NULL: none. Event i (from 0) of an array or NDJSON gets "<key>#<i>". */
	const char *idempotency_key;
	const char *traceparent; /* NULL: none */
	int hops; /* of the call (header Bellhop-Hops), for each of its events */
} bh_intake;

/*
 * Why a call was refused, for a problem document (RFC 9457). The error's code is BH_ERROR_INVALID for SYNTAX and
 * FIELD, but BH_ERROR_NOT_FOUND when the FIELD is a type that the catalogue does not know; BH_ERROR_LIMIT for SIZE.
 * `pointer` is a JSON pointer (RFC 6901) to the field or event; in an array or NDJSON the event's number (from 0) comes
 * first: "/3/data/property_uid". Empty when it is the call as a whole.
 */
typedef struct bh_refusal {
	enum { BH_REFUSED_SYNTAX, BH_REFUSED_FIELD, BH_REFUSED_SIZE } kind; /* 400, 422, 413 */
	char pointer[256];
	unsigned line, column; /* where in the call, from 1 */
} bh_refusal;

/*
 * Reads a call: checks all, keeps the bytes, removes sensitive fields, folds exact duplicates
 * (same type, manager and data, unless both carry different ids of their own). On success
 * *ret_events holds a bh_event per distinct event in the order of the call, each with a
 * fresh id, and *ret_places (guint, one per event given) says which of them each given one became.
 * One wrong event refuses the whole call. An event's own `id` goes before the call's idempotency key.
 *
 * Both forms are read: {"type","data",...} and Jomres' {"webhook_event",
 * "webhook_event_description","webhook_event_plugin","data"}. Ids may be JSON integers or
 * text and mean the same. Unknown members are refused (FIELD), so that a typo is not silence.
 */
bool bh_events_read(bh_span text, const bh_intake *intake, GPtrArray **ret_events, GArray **ret_places,
		    bh_refusal *ret_refusal, GError **error);

/* SHA-256 over type, manager, data and details: does a repeat carry the same content? */
#define BH_FINGERPRINT_SIZE 32
void bh_event_fingerprint(const bh_event *event, unsigned char ret[BH_FINGERPRINT_SIZE]);

/*
 * What an event tells the directory (manager_added, property_deleted ...). In a manager_added of Jomres' own form
 * data.manager_id is the row of a table and no manager's id: that one is news only if the event names the manager itself
 * (member manager_id beside data).
 */
typedef struct bh_directory_news {
	enum {
		BH_NEWS_NONE,
		BH_NEWS_MANAGER_PUT,
		BH_NEWS_MANAGER_REMOVED,
		BH_NEWS_PROPERTY_CREATED,
		BH_NEWS_PROPERTY_REMOVED
	} kind;
	/* MANAGER_*: the subject. PROPERTY_CREATED: its manager if the event names one (manager_id or actor), else NULL. */
	char *manager_id;
	/* MANAGER_PUT: those he now has (NULL: not told). PROPERTY_*: the one. NULL-terminated. */
	char **property_ids;
} bh_directory_news;

void bh_event_news(const bh_event *event, bh_directory_news *ret_news);
void bh_directory_news_clear(bh_directory_news *news);

/* How the body is written for a webhook. */
typedef enum bh_shape { BH_SHAPE_STANDARD, BH_SHAPE_JOMRES } bh_shape;
const char *bh_shape_name(bh_shape shape); /* "standard", "jomres" */
bool bh_shape_parse(const char *text, bh_shape *ret_shape);

/*
 * The request's body, the same bytes at every attempt:
 *   standard  {"type":..,"timestamp":"<RFC 3339 of occurred_at>","id":"evt_..","data":<bytes>[,"details":<bytes>]
 *              [,"channel":<bytes>]}
 *   jomres    {"data":{<the bytes of data>,"task":"<type>"[,"manager_id":<owner>]}}
 * `owner` is the manager told of it (NULL: none). In `jomres`, manager_id is a JSON string if the actor is a
 * manager and the change did not come by a channel, or if the id is not a decimal integer; else a number. It is
 * left out without a property_uid above 0, and when data has a manager_id or task of its own that member is not doubled.
 * `sequence`, where it is not 0, is a member of the outermost object of either shape, after the others (behaviour 8).
 */
GBytes *bh_event_body(const bh_event *event, bh_shape shape, bool with_details, const char *owner, int64_t sequence);

/*
 * The text of one field of the event, for keys of order and coalescing: "property" is the event's property, any other name a
 * member of `data`. Text as its characters, everything else as the very bytes of its JSON (412 and 412.0 are two); NULL: it is not
 * there, or null, or text with U+0000 in it. The caller's.
 */
char *bh_event_field(const bh_event *event, const char *name);
/* Several at one look, in the order of `names`; NULL: one of them at least is not there. The caller's. */
char **bh_event_fields(const bh_event *event, char *const *names);
