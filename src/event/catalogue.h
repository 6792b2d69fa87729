/*
 * The event types that are known: Jomres' 63 built in (catalogue/), and the site's own.
 * Immutable and counted; a change makes a new one. Pure.
 */
#pragma once

#include "base/span.h"

#include <glib.h>
#include <stdbool.h>

#define BH_TYPE_NAME_MAX 128 /* letters, digits, _ - . */

typedef struct bh_event_type {
	char *name;
	char *group; /* "booking"; a webhook may select a whole group by its name; NULL: none */
	char *description; /* a sentence for people */
	char **fields; /* names in data, in order; NULL-terminated; empty: not told */
	char **sensitive; /* removed from data at the door; NULL-terminated */
	char *example; /* JSON of an example of data; NULL: none */
	char *schema; /* JSON Schema of data, for people and pages; NULL: none */
	bool built_in;
} bh_event_type;

typedef struct bh_catalogue bh_catalogue;

/* The built-in types alone. */
bh_catalogue *bh_catalogue_new(void);
bh_catalogue *bh_catalogue_ref(bh_catalogue *catalogue);
void bh_catalogue_unref(bh_catalogue *catalogue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_catalogue, bh_catalogue_unref)

/* A new catalogue with `type` (taken) added or replaced; NULL with BH_ERROR_INVALID or _CONFLICT (built in). */
bh_catalogue *bh_catalogue_with(const bh_catalogue *catalogue, bh_event_type *type, GError **error);
/* A new catalogue without the site's own type `name`; NULL with BH_ERROR_NOT_FOUND or _CONFLICT (built in). */
bh_catalogue *bh_catalogue_without(const bh_catalogue *catalogue, const char *name, GError **error);

const bh_event_type *bh_catalogue_find(const bh_catalogue *catalogue, const char *name);
bool bh_catalogue_has_group(const bh_catalogue *catalogue, const char *group);
/* All, sorted by name: borrowed bh_event_type, container owned by the caller. */
GPtrArray *bh_catalogue_list(const bh_catalogue *catalogue);

bool bh_type_name_ok(bh_span name);
void bh_event_type_free(bh_event_type *type);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_event_type, bh_event_type_free)

/*
 * One type from a JSON object {"name","group","description","fields","sensitive","example","schema"} and back. All may be
 * left out or null, but a catalogue takes no type without a name. "built_in" is written, and passed over in reading.
 * BH_ERROR_INVALID: the message names the member.
 */
bh_event_type *bh_event_type_parse(bh_span json, GError **error);
char *bh_event_type_json(const bh_event_type *type);

/*
 * Does the selection pick the type? Patterns: "*", a prefix "booking_*", a type "booking_added", a group
 * "booking" (a type of that very name goes before a group).
 */
bool bh_selection_picks(const bh_catalogue *catalogue, char *const *patterns, const char *type);
/* A pattern that can never pick anything or is malformed gives BH_ERROR_INVALID with what to write instead. */
bool bh_selection_check(const bh_catalogue *catalogue, char *const *patterns, GError **error);
