#include "cli/event_body.h"

#include "base/json.h"
#include "cli/args.h"
#include "cli/object.h"
#include "event/event.h"

#include <string.h>

/* --- One event ----------------------------------------------------------------------------- */

/* Ids are numbers or text and mean the same; a number is what the site itself would send. */
static void append_id(GString *out, const char *id)
{
	gint64 number;
	bool plain = g_ascii_string_to_signed(id, 10, 0, G_MAXINT64, &number, NULL) && g_ascii_isdigit(*id) &&
		     (*id != '0' || !id[1]);
	if (plain)
		g_string_append(out, id);
	else
		bh_json_append_string(out, bh_span_of(id));
}

/* The bytes of `data` between its braces; *ret_inside has size 0 for {}. */
static bool inside_of(bh_json *json, const char *data, bh_span *ret_inside, GError **error)
{
	g_autoptr(GError) why = NULL;
	if (!bh_json_parse(json, bh_span_of(data), &why)) {
		bh_usage_error(error, "the data is no JSON: %s", why->message);
		return false;
	}
	if (bh_json_type_of(json, 0) != BH_JSON_OBJECT) {
		bh_usage_error(error, "the data is a JSON object, such as '{\"property_uid\":12}'");
		return false;
	}
	bh_span whole = bh_json_text(json, 0);
	*ret_inside = (bh_span){whole.at + 1, whole.size - 2};
	return true;
}

static bool append_data(const bh_event_parts *parts, GString *out, GError **error)
{
	bh_span inside;
	g_autoptr(bh_json) json = bh_json_new();
	if (!inside_of(json, parts->data ? parts->data : "{}", &inside, error))
		return false;
	if (parts->property && bh_json_member(json, 0, "property_uid") != BH_JSON_NONE) {
		bh_usage_error(error, "the data has a property_uid already, so --property cannot give one");
		return false;
	}

	g_string_append_c(out, '{');
	if (parts->property) {
		g_string_append(out, "\"property_uid\":");
		append_id(out, parts->property);
		if (bh_json_first(json, 0) != BH_JSON_NONE)
			g_string_append_c(out, ',');
	}
	g_string_append_len(out, inside.at, (gssize)inside.size);
	g_string_append_c(out, '}');
	return true;
}

static bool add_details(const bh_event_parts *parts, GString *body, GError **error)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) why = NULL;
	if (!parts->details)
		return true;
	if (!bh_json_parse(json, bh_span_of(parts->details), &why)) {
		bh_usage_error(error, "--details is no JSON: %s", why->message);
		return false;
	}
	bh_object_raw(body, "details", bh_json_text(json, 0));
	return true;
}

bool bh_event_body_append(const bh_event_parts *parts, GString *out, GError **error)
{
	g_autoptr(GString) body = bh_object_new();
	g_autoptr(GString) data = g_string_new(NULL);
	if (!append_data(parts, data, error))
		return false;

	bh_object_text(body, "type", parts->type);
	bh_object_text(body, "occurred_at", parts->occurred_at);
	bh_object_text(body, "manager_id", parts->manager);
	bh_object_text(body, "actor", parts->actor);
	if (parts->channel) {
		g_autoptr(GString) channel = bh_object_new();
		bh_object_text(channel, "channel_id", parts->channel);
		bh_object_raw(body, "channel", bh_object_end(channel));
	}
	bh_object_raw(body, "data", (bh_span){data->str, data->len});
	if (!add_details(parts, body, error))
		return false;
	bh_object_end(body);
	g_string_append_len(out, body->str, (gssize)body->len);
	return true;
}

/* --- Files --------------------------------------------------------------------------------- */

/* As many whole lines from the start of `text` as one call takes; at least one. */
static bh_span cut_lines(bh_span text, guint *ret_lines)
{
	size_t end = 0;
	guint lines = 0;
	while (end < text.size && lines < BH_EVENTS_MAX) {
		const char *feed = memchr(text.at + end, '\n', text.size - end);
		size_t next = feed ? (size_t)(feed - text.at) + 1 : text.size;
		if (lines > 0 && next > BH_EVENTS_BYTES_MAX)
			break;
		end = next;
		lines++;
	}
	*ret_lines = lines;
	return (bh_span){text.at, end};
}

/*
 * One event a line, or one value over all lines? Where it is neither, the API's line and column help most if a
 * broken array or a broken indented object is sent as what it was meant to be.
 */
static bool is_ndjson(bh_span text)
{
	g_autoptr(bh_json) json = bh_json_new();
	size_t start = bh_json_skip_space(text, 0);
	if (start == text.size || text.at[start] == '[' || bh_json_parse(json, text, NULL))
		return false;
	const char *feed = memchr(text.at + start, '\n', text.size - start);
	bh_span first_line = {text.at + start, feed ? (size_t)(feed - text.at) - start : text.size - start};
	return bh_json_parse(json, first_line, NULL);
}

GArray *bh_events_cut(bh_span text)
{
	GArray *calls = g_array_new(FALSE, FALSE, sizeof(bh_events_call));
	if (!is_ndjson(text)) {
		bh_events_call whole = {.body = text, .first_line = 1};
		if (bh_json_skip_space(text, 0) < text.size)
			g_array_append_val(calls, whole);
		return calls;
	}
	for (guint line = 1, lines; text.size > 0; line += lines) {
		bh_events_call call = {.ndjson = true, .first_line = line};
		call.body = cut_lines(text, &lines);
		g_array_append_val(calls, call);
		text = (bh_span){text.at + call.body.size, text.size - call.body.size};
	}
	return calls;
}
