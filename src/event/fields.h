/* The members of one event: their names, what they may hold, what they mean. Inside event/ only. */
#pragma once

#include "base/json.h"
#include "event/event.h"

#define BH_ID_IN_EVENT_MAX 128 /* bytes of the site's ids: managers, properties, channels */
#define BH_CALLER_ID_MAX 255 /* characters of the caller's name for the event */

/*
 * An event while it is read. Texts of `event` point into this struct, spans into the call's text or into `redacted`:
 * bh_event_restore makes an event of it that stands alone.
 */
typedef struct bh_draft {
	bh_event event;
	bool own_id; /* caller_id is the event's own `id` */
	char type[BH_TYPE_NAME_MAX + 1];
	char property_id[BH_ID_IN_EVENT_MAX + 1];
	char manager_id[BH_ID_IN_EVENT_MAX + 1];
	char actor[BH_ID_IN_EVENT_MAX + 1];
	char channel_id[BH_ID_IN_EVENT_MAX + 1];
	char caller_id[BH_CALLER_ID_MAX + 16]; /* with room for "#9999" */
	char *redacted; /* data without its sensitive members; NULL: it had none */
} bh_draft;

/* The buffers are left as they are: a text counts once `event` points to it. */
static inline void bh_draft_init(bh_draft *draft)
{
	draft->event = (bh_event){0};
	draft->own_id = false;
	draft->redacted = NULL;
}

static inline void bh_draft_clear(bh_draft *draft)
{
	g_free(draft->redacted);
}

/* Where an event is at fault: `at` counts from the start of the call's text, `pointer` from the event. */
typedef struct bh_fault {
	size_t at;
	char pointer[BH_TYPE_NAME_MAX + 32];
} bh_fault;

/*
 * Reads the event that `json` holds into the initialised `draft`. `call` is the text that was parsed. False: *ret_fault says where, the
 * error's code and message what (BH_ERROR_INVALID, or _NOT_FOUND for an unknown type).
 */
bool bh_fields_read(const bh_json *json, bh_span call, const bh_intake *intake, bh_draft *draft, bh_fault *ret_fault,
		    GError **error);

/*
 * Reads an id of the site: text, or an integer that means the same. `out` has BH_ID_IN_EVENT_MAX + 1 bytes and becomes "" for
 * 0, "0" and "", which mean none in data.property_uid and the like. False: something else, too long, or with control characters.
 */
bool bh_site_id_or_none_read(const bh_json *json, uint32_t node, char *out);
