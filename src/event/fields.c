/*
 * Two forms name the same things:
 *
 *   ours    type           data  id occurred_at manager_id actor channel              details
 *   Jomres  webhook_event  data  id occurred_at manager_id actor channel channel_data details
 *           webhook_event_description webhook_event_plugin (for people; passed over)
 *
 * First the members are found, then read in the order of the table: the type comes before data, for
 * it says what in data is sensitive. Null is the same as left out, except in data.
 */
#include "event/fields.h"

#include "base/error.h"
#include "base/near.h"
#include "event/redact.h"

#include <stdarg.h>

typedef struct reading {
	const bh_json *json;
	bh_span call;
	const bh_intake *intake;
	bh_draft *draft;
	bh_fault *fault;
	GError **error;
} reading;

static bool read_type(reading *r, uint32_t value, const char *name);
static bool read_caller_id(reading *r, uint32_t value, const char *name);
static bool read_occurred_at(reading *r, uint32_t value, const char *name);
static bool read_manager_id(reading *r, uint32_t value, const char *name);
static bool read_actor(reading *r, uint32_t value, const char *name);
static bool read_channel(reading *r, uint32_t value, const char *name);
static bool read_data(reading *r, uint32_t value, const char *name);
static bool read_details(reading *r, uint32_t value, const char *name);

enum { OURS = 1, JOMRES = 2, BOTH = OURS | JOMRES };
enum {
	TYPE,
	WEBHOOK_EVENT,
	DESCRIPTION,
	PLUGIN,
	ID,
	OCCURRED_AT,
	MANAGER_ID,
	ACTOR,
	CHANNEL,
	CHANNEL_DATA,
	DATA,
	DETAILS,
	MEMBERS
};

typedef struct member {
	const char *name;
	unsigned forms;
	bool (*read)(reading *r, uint32_t value, const char *name); /* NULL: passed over */
} member;

static const member members[MEMBERS] = {
	[TYPE] = {"type", OURS, read_type},
	[WEBHOOK_EVENT] = {"webhook_event", JOMRES, read_type},
	[DESCRIPTION] = {"webhook_event_description", JOMRES, NULL},
	[PLUGIN] = {"webhook_event_plugin", JOMRES, NULL},
	[ID] = {"id", BOTH, read_caller_id},
	[OCCURRED_AT] = {"occurred_at", BOTH, read_occurred_at},
	[MANAGER_ID] = {"manager_id", BOTH, read_manager_id},
	[ACTOR] = {"actor", BOTH, read_actor},
	[CHANNEL] = {"channel", BOTH, read_channel},
	[CHANNEL_DATA] = {"channel_data", JOMRES, read_channel},
	[DATA] = {"data", BOTH, read_data},
	[DETAILS] = {"details", BOTH, read_details},
};

/* What people write instead, and what they mean. */
static const struct {
	const char *written, *meant;
} SLIPS[] = {
	{"event", "\"type\""},
	{"event_type", "\"type\""},
	{"name", "\"type\""},
	{"task", "\"type\""},
	{"payload", "\"data\""},
	{"body", "\"data\""},
	{"timestamp", "\"occurred_at\""},
	{"time", "\"occurred_at\""},
	{"created_at", "\"occurred_at\""},
	{"date", "\"occurred_at\""},
	{"event_id", "\"id\""},
	{"idempotency_key", "\"id\""},
	{"user", "\"actor\""},
	{"user_id", "\"actor\""},
	{"manager", "\"manager_id\""},
	{"owner", "\"manager_id\""},
	{"channel_id", "\"channel\": {\"channel_id\": ...}"},
	{"channel_data", "\"channel\""},
	{"detail", "\"details\""},
	{"property_uid", "\"data\": {\"property_uid\": ...}"},
	{"property_id", "\"data\": {\"property_uid\": ...}"},
};

/* --- Refusing ------------------------------------------------------------------------------ */

static size_t offset_of(const reading *r, uint32_t node)
{
	return (size_t)(bh_json_text(r->json, node).at - r->call.at);
}

G_GNUC_PRINTF(5, 6)
static bool refuse(reading *r, uint32_t node, const char *pointer, bh_error_code code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	g_autofree char *why = g_strdup_vprintf(format, args);
	va_end(args);

	r->fault->at = offset_of(r, node);
	g_strlcpy(r->fault->pointer, pointer, sizeof r->fault->pointer);
	g_set_error(r->error, BH_ERROR, code, "%s", why);
	return false;
}

static bool refuse_member(reading *r, uint32_t value, const char *name, const char *rule)
{
	g_autofree char *pointer = g_strdup_printf("/%s", name);

	return refuse(r, value, pointer, BH_ERROR_INVALID, "\"%s\" must be %s", name, rule);
}

/* A member's name as one step of a JSON pointer. What cannot be shown decoded (a NUL) is shown as written. */
static char *pointer_to(const reading *r, uint32_t name)
{
	bh_span written = bh_json_text(r->json, name);
	g_autofree char *decoded = bh_json_string(r->json, name);
	g_autofree char *text = decoded ? g_steal_pointer(&decoded) : g_strndup(written.at + 1, written.size - 2);
	bh_span shown = bh_span_cut(bh_span_of(text), 64);
	GString *pointer = g_string_new("/");

	for (size_t i = 0; i < shown.size; i++) {
		if (shown.at[i] == '~')
			g_string_append(pointer, "~0");
		else if (shown.at[i] == '/')
			g_string_append(pointer, "~1");
		else
			g_string_append_c(pointer, shown.at[i]);
	}
	return g_string_free(pointer, FALSE);
}

static char *hint(const bh_near *near)
{
	const char *best = bh_near_best(near);

	return best ? g_strdup_printf(": did you mean \"%s\"?", best) : g_strdup("");
}

static char *what_was_meant(const reading *r, uint32_t name, unsigned form)
{
	for (size_t i = 0; form == OURS && i < G_N_ELEMENTS(SLIPS); i++)
		if (bh_json_string_is(r->json, name, SLIPS[i].written))
			return g_strdup_printf(": did you mean %s?", SLIPS[i].meant);

	bh_span written = bh_json_text(r->json, name);
	bh_near near = {.text = {written.at + 1, written.size - 2}};
	for (size_t i = 0; i < MEMBERS; i++)
		if (members[i].forms & form)
			bh_near_offer(&near, members[i].name);
	return hint(&near);
}

static bool refuse_unknown(reading *r, uint32_t name, unsigned form)
{
	g_autofree char *pointer = pointer_to(r, name);
	g_autofree char *meant = what_was_meant(r, name, form);
	bh_span shown = bh_span_cut(bh_json_text(r->json, name), 64);

	return refuse(r, name, pointer, BH_ERROR_INVALID, "%.*s is not a member of an event%s%s", (int)shown.size,
		      shown.at, form == JOMRES ? " in Jomres' form" : "", meant);
}

/* --- Texts and ids ------------------------------------------------------------------------- */

/* Decodes a string node into `out`. False: no string, longer than `room` - 1 bytes, or with a NUL. */
static bool read_text(const bh_json *json, uint32_t node, char *out, size_t room)
{
	if (bh_json_type_of(json, node) != BH_JSON_STRING)
		return false;

	bh_span inside = bh_json_text(json, node);
	inside = (bh_span){inside.at + 1, inside.size - 2};
	g_autofree char *decoded = NULL;
	if (memchr(inside.at, '\\', inside.size)) {
		decoded = bh_json_string(json, node);
		if (!decoded)
			return false;
		inside = bh_span_of(decoded);
	}
	if (inside.size >= room)
		return false;
	memcpy(out, inside.at, inside.size);
	out[inside.size] = '\0';
	return true;
}

/* An integer's digits as text, of any length that fits; -0 is 0. */
static bool read_digits(const bh_json *json, uint32_t node, char *out, size_t room)
{
	bh_span text = bh_json_text(json, node);

	if (bh_json_type_of(json, node) != BH_JSON_NUMBER || text.size >= room)
		return false;
	if (bh_span_is(text, "-0"))
		text = bh_span_of("0");
	for (size_t i = 0; i < text.size; i++)
		if (!g_ascii_isdigit(text.at[i]) && text.at[i] != '-') /* a fraction or an exponent */
			return false;
	memcpy(out, text.at, text.size);
	out[text.size] = '\0';
	return true;
}

static bool has_control(const char *text)
{
	for (const unsigned char *u = (const unsigned char *)text; *u; u++)
		if (*u < 0x20 || *u == 0x7F || (u[0] == 0xC2 && u[1] < 0xA0)) /* C2 80 to C2 9F is U+0080 to U+009F */
			return true;
	return false;
}

bool bh_site_id_or_none_read(const bh_json *json, uint32_t node, char *out)
{
	if (!read_digits(json, node, out, BH_ID_IN_EVENT_MAX + 1) &&
	    !read_text(json, node, out, BH_ID_IN_EVENT_MAX + 1))
		return false;
	if (strcmp(out, "0") == 0)
		*out = '\0';
	return !has_control(out);
}

/* Here an empty one is wrong, and "0" an id like any other. */
static bool read_site_id(const bh_json *json, uint32_t node, char *out)
{
	if (!read_digits(json, node, out, BH_ID_IN_EVENT_MAX + 1) &&
	    !read_text(json, node, out, BH_ID_IN_EVENT_MAX + 1))
		return false;
	return *out != '\0' && !has_control(out);
}

/* --- The members --------------------------------------------------------------------------- */

#define ID_RULE "text of 1 to 128 bytes without control characters, or an integer"

static bool refuse_unknown_type(reading *r, uint32_t value, const char *name)
{
	g_autofree char *pointer = g_strdup_printf("/%s", name);
	g_autoptr(GPtrArray) types = bh_catalogue_list(r->intake->catalogue);
	bh_near near = {.text = bh_span_of(r->draft->type)};

	for (guint i = 0; i < types->len; i++)
		bh_near_offer(&near, ((const bh_event_type *)g_ptr_array_index(types, i))->name);
	g_autofree char *meant = hint(&near);
	return refuse(r, value, pointer, BH_ERROR_NOT_FOUND, "there is no event type \"%s\"%s", r->draft->type, meant);
}

static bool read_type(reading *r, uint32_t value, const char *name)
{
	char *type = r->draft->type;

	if (!read_text(r->json, value, type, BH_TYPE_NAME_MAX + 1) || !bh_type_name_ok(bh_span_of(type)))
		return refuse_member(r, value, name, "1 to 128 letters, digits, \"_\", \"-\" or \".\"");
	if (!r->intake->accept_unknown_types && !bh_catalogue_find(r->intake->catalogue, type))
		return refuse_unknown_type(r, value, name);
	r->draft->event.type = type;
	return true;
}

static bool read_caller_id(reading *r, uint32_t value, const char *name)
{
	char *id = r->draft->caller_id;
	bool ok = read_digits(r->json, value, id, BH_CALLER_ID_MAX + 1) ||
		  read_text(r->json, value, id, BH_CALLER_ID_MAX + 1);

	for (const char *c = id; ok && *c; c++)
		ok = g_ascii_isgraph(*c);
	if (!ok || *id == '\0')
		return refuse_member(r, value, name, "1 to 255 visible ASCII characters");
	r->draft->event.caller_id = id;
	r->draft->own_id = true;
	return true;
}

static bool read_occurred_at(reading *r, uint32_t value, const char *name)
{
	char text[64];

	if (!read_text(r->json, value, text, sizeof text) ||
	    !bh_time_parse(text, strlen(text), &r->draft->event.occurred_at))
		return refuse_member(r, value, name,
				     "a time such as \"2026-11-25T14:51:02Z\" (RFC 3339, years 1970 to 9999)");
	return true;
}

static bool read_manager_id(reading *r, uint32_t value, const char *name)
{
	if (!read_site_id(r->json, value, r->draft->manager_id))
		return refuse_member(r, value, name, ID_RULE);
	r->draft->event.manager_id = r->draft->manager_id;
	return true;
}

static bool read_actor(reading *r, uint32_t value, const char *name)
{
	if (bh_json_string_is(r->json, value, "")) /* a page without a user */
		return true;
	if (!read_site_id(r->json, value, r->draft->actor))
		return refuse_member(r, value, name, ID_RULE);
	r->draft->event.actor = r->draft->actor;
	return true;
}

/* Jomres, written in PHP, says "no channel" with an empty array. */
static bool is_no_channel(const bh_json *json, uint32_t value)
{
	return bh_json_type_of(json, value) == BH_JSON_ARRAY && bh_json_first(json, value) == BH_JSON_NONE;
}

static bool read_channel(reading *r, uint32_t value, const char *name)
{
	bh_event *event = &r->draft->event;

	if (is_no_channel(r->json, value))
		return true;
	if (bh_json_type_of(r->json, value) != BH_JSON_OBJECT)
		return refuse_member(r, value, name, "an object such as {\"channel_id\": 3}");
	if (event->channel.size > 0)
		return refuse_member(r, value, name, "left out when there is a \"channel\"");
	event->channel = bh_json_text(r->json, value);

	uint32_t id = bh_json_member(r->json, value, "channel_id");
	if (id == BH_JSON_NONE || bh_json_type_of(r->json, id) == BH_JSON_NULL)
		return true;
	if (!bh_site_id_or_none_read(r->json, id, r->draft->channel_id)) {
		g_autofree char *pointer = g_strdup_printf("/%s/channel_id", name);
		return refuse(r, id, pointer, BH_ERROR_INVALID, "\"channel_id\" must be " ID_RULE);
	}
	event->channel_id = *r->draft->channel_id ? r->draft->channel_id : NULL;
	return true;
}

/* What the catalogue marks sensitive goes no further than here. */
static void remove_sensitive(reading *r, uint32_t data)
{
	const bh_event_type *type = bh_catalogue_find(r->intake->catalogue, r->draft->type);
	bh_span *text = &r->draft->event.data;

	if (!type || !bh_redact_needed(r->json, data, type->sensitive))
		return;
	r->draft->redacted = g_malloc(text->size);
	*text = (bh_span){r->draft->redacted, bh_redact(r->json, data, type->sensitive, r->draft->redacted)};
}

static bool read_data(reading *r, uint32_t value, const char *name)
{
	bh_event *event = &r->draft->event;

	if (bh_json_type_of(r->json, value) != BH_JSON_OBJECT)
		return refuse_member(r, value, name, "an object such as {\"property_uid\": 12}");
	event->data = bh_json_text(r->json, value);

	uint32_t property = bh_json_member(r->json, value, "property_uid");
	if (property != BH_JSON_NONE) {
		if (!bh_site_id_or_none_read(r->json, property, r->draft->property_id))
			return refuse(r, property, "/data/property_uid", BH_ERROR_INVALID,
				      "\"property_uid\" must be text of at most 128 bytes without control characters, "
				      "or an integer");
		event->property_id = *r->draft->property_id ? r->draft->property_id : NULL;
	}
	remove_sensitive(r, value);
	return true;
}

static bool read_details(reading *r, uint32_t value, const char *name)
{
	r->draft->event.details = bh_json_text(r->json, value);
	return true;
}

/* --- The event ----------------------------------------------------------------------------- */

static size_t find_member(const bh_json *json, uint32_t name)
{
	for (size_t i = 0; i < MEMBERS; i++)
		if (bh_json_string_is(json, name, members[i].name))
			return i;
	return MEMBERS;
}

/* Notes the place of each member, and of the first that is none (`*ret_unknown`). */
static void find_members(const bh_json *json, uint32_t names[MEMBERS], uint32_t *ret_unknown)
{
	for (size_t i = 0; i < MEMBERS; i++)
		names[i] = BH_JSON_NONE;
	*ret_unknown = BH_JSON_NONE;
	for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c)) {
		size_t i = find_member(json, c);
		if (i < MEMBERS)
			names[i] = c;
		else if (*ret_unknown == BH_JSON_NONE)
			*ret_unknown = c;
	}
}

static bool read_members(reading *r, const uint32_t names[MEMBERS])
{
	for (size_t i = 0; i < MEMBERS; i++) {
		uint32_t value = names[i] == BH_JSON_NONE ? BH_JSON_NONE : names[i] + 1;
		bool required = i == DATA || members[i].read == read_type;
		if (value == BH_JSON_NONE || !members[i].read)
			continue;
		if (!required && bh_json_type_of(r->json, value) == BH_JSON_NULL)
			continue;
		if (!members[i].read(r, value, members[i].name))
			return false;
	}
	return true;
}

bool bh_fields_read(const bh_json *json, bh_span call, const bh_intake *intake, bh_draft *draft, bh_fault *ret_fault,
		    GError **error)
{
	reading r = {.json = json, .call = call, .intake = intake, .draft = draft, .fault = ret_fault, .error = error};
	uint32_t names[MEMBERS], unknown;

	if (bh_json_type_of(json, 0) != BH_JSON_OBJECT)
		return refuse(&r, 0, "", BH_ERROR_INVALID,
			      "an event must be an object such as {\"type\": \"booking_added\", \"data\": {...}}");

	find_members(json, names, &unknown);
	unsigned form = names[WEBHOOK_EVENT] != BH_JSON_NONE ? JOMRES : OURS;
	for (size_t i = 0; i < MEMBERS; i++)
		if (names[i] != BH_JSON_NONE && !(members[i].forms & form))
			return refuse_unknown(&r, names[i], form);
	if (unknown != BH_JSON_NONE)
		return refuse_unknown(&r, unknown, form);
	if (form == OURS && names[TYPE] == BH_JSON_NONE)
		return refuse(&r, 0, "/type", BH_ERROR_INVALID,
			      "\"type\" is missing: it says what happened, such as \"booking_added\"");
	if (names[DATA] == BH_JSON_NONE)
		return refuse(&r, 0, "/data", BH_ERROR_INVALID,
			      "\"data\" is missing: an object such as {\"property_uid\": 12}");

	draft->event.occurred_at = draft->event.accepted_at = intake->now;
	draft->event.jomres_form = form == JOMRES;
	draft->event.traceparent = (char *)intake->traceparent;
	draft->event.hops = intake->hops;
	return read_members(&r, names);
}
