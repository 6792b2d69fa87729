/* The address at which the details of an event are looked up: a URL with words in braces that stand for parts of the event. Pure. */
#pragma once

#include "base/span.h"

#include <glib.h>
#include <stdbool.h>

/* What may stand in it. NULL or size 0: the event has none. */
typedef struct bh_lookup_subject {
	const char *event_id, *type, *property_id, *manager_id;
	bh_span data; /* JSON */
} bh_lookup_subject;

/* BH_ERROR_INVALID names the word that is unknown, or the brace that is never closed. */
bool bh_lookup_url_check(const char *url, GError **error);

/*
 * The URL for this event (new text), each part percent-encoded. NULL: the event lacks a part that the URL names, so there is
 * nothing to ask.
 */
char *bh_lookup_url_fill(const char *url, const bh_lookup_subject *subject);
