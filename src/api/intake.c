#include "api/intake.h"

#include "api/reply.h"
#include "api/server.h"

#include <string.h>
#include <strings.h>

#define FIRST_ROOM (size_t)4096
#define THROWN_AWAY_MAX (64 * 1024 * 1024) /* bytes of a body that nobody reads; beyond it the connection is cut */

/* --- At the header ----------------------------------------------------------------------- */

/* Is the media type of `value`, without its parameters, `type`? */
static bool is_media_type(const char *value, const char *type)
{
	size_t size = strcspn(value, "; \t");

	return size == strlen(type) && strncasecmp(value, type, size) == 0;
}

bool bh_intake_is_ndjson(const bh_call *call)
{
	const char *type = bh_call_request_header(call, "Content-Type");

	return type && is_media_type(type, "application/x-ndjson");
}

static bool type_fits(bh_body_kind kind, const char *type)
{
	if (is_media_type(type, "application/json"))
		return true;
	if (kind == BH_BODY_PATCH)
		return is_media_type(type, "application/merge-patch+json");
	return kind == BH_BODY_EVENTS && is_media_type(type, "application/x-ndjson");
}

/* The length that the header names; 0: none, or no body. MHD itself refuses one that is no number. */
static uint64_t told_length(const bh_call *call)
{
	const char *text = bh_call_request_header(call, "Content-Length");

	return text ? g_ascii_strtoull(text, NULL, 10) : 0;
}

static bool has_body(const bh_call *call)
{
	return told_length(call) > 0 || bh_call_request_header(call, "Transfer-Encoding");
}

static bool check_type(bh_call *call)
{
	bh_body_kind kind = call->route->body;
	const char *type = bh_call_request_header(call, "Content-Type");

	if (kind == BH_BODY_NONE || (kind == BH_BODY_JSON_OR_NOTHING && !has_body(call)))
		return true;
	if (type && type_fits(kind, type))
		return true;
	bh_reply_problem(call, BH_PROBLEM_MEDIA_TYPE, NULL,
			 "The body must be JSON%s: send the header \"Content-Type: application/json\" "
			 "(curl: -H \"Content-Type: application/json\"; without it curl claims to send a form).",
			 kind == BH_BODY_EVENTS ? " (or application/x-ndjson)" : "");
	return false;
}

static void reply_too_large(bh_call *call)
{
	bh_reply_problem(call, BH_PROBLEM_TOO_LARGE, NULL, "The body has more than %zu bytes.", call->body_max);
}

bool bh_intake_begin(bh_call *call)
{
	call->body_max = call->route->body == BH_BODY_EVENTS ? BH_EVENTS_BYTES_MAX : BH_BODY_MAX;
	if (!check_type(call))
		return false;
	if (told_length(call) <= call->body_max)
		return true;
	reply_too_large(call);
	return false;
}

void bh_intake_refuse(bh_call *call)
{
	bool waits = bh_call_request_header(call, "Expect");

	if (!waits && told_length(call) <= THROWN_AWAY_MAX)
		call->phase = BH_CALL_REFUSED;
}

/* --- The bytes --------------------------------------------------------------------------- */

/* Counts `more` bytes against what all connections may hold together. */
static bool reserve(bh_call *call, size_t more)
{
	_Atomic size_t *held = &call->api->counters.intake_bytes;
	const bh_settings *settings = atomic_load(&call->api->settings);
	size_t before = atomic_fetch_add(held, more);

	if (before + more <= (size_t)settings->intake_memory)
		return true;
	atomic_fetch_sub(held, more);
	bh_reply_problem(call, BH_PROBLEM_BUSY, NULL, "Too many bytes are being taken in at once.");
	return false;
}

/* Doubles up to what is told or allowed: a caller who only announces 8 MiB does not hold them. */
static bool make_room(bh_call *call, size_t needed)
{
	uint64_t told = told_length(call);
	size_t room = MAX(call->body_room * 2, FIRST_ROOM);

	if (needed <= call->body_room)
		return true;
	room = MAX(room, needed);
	if (told)
		room = MAX(needed, MIN(room, told));
	room = MIN(room, call->body_max);
	if (!reserve(call, room - call->body_room))
		return false;

	char *grown = g_try_realloc(call->body, room);
	if (!grown) {
		atomic_fetch_sub(&call->api->counters.intake_bytes, room - call->body_room);
		bh_reply_problem(call, BH_PROBLEM_BUSY, NULL, "There is no memory for the body now.");
		return false;
	}
	call->body = grown;
	call->body_room = room;
	return true;
}

static bool throw_away(bh_call *call, size_t bytes)
{
	call->thrown_away += bytes;
	return call->thrown_away <= THROWN_AWAY_MAX;
}

bool bh_intake_take(bh_call *call, bh_span piece)
{
	if (call->phase != BH_CALL_READING || call->route->body == BH_BODY_NONE)
		return throw_away(call, piece.size);

	size_t needed = call->body_bytes + piece.size;
	if (needed > call->body_max)
		reply_too_large(call);
	else if (make_room(call, needed)) {
		memcpy(call->body + call->body_bytes, piece.at, piece.size);
		call->body_bytes = needed;
		return true;
	}
	/* MHD takes no answer in the middle of a body: the rest goes by unread. */
	call->phase = BH_CALL_REFUSED;
	bh_intake_drop(call);
	return throw_away(call, piece.size);
}

void bh_intake_forget(bh_call *call)
{
	g_clear_pointer(&call->body, g_free);
	call->body_bytes = 0;
}

void bh_intake_drop(bh_call *call)
{
	bh_intake_forget(call);
	if (call->body_room)
		atomic_fetch_sub(&call->api->counters.intake_bytes, call->body_room);
	call->body_room = 0;
}
