/*
 * A call, from its bytes to events:
 *
 *   bytes -> one value | values of an array | lines     where each event begins and ends
 *         -> parse -> fields -> draft                   what it says (fields.c)
 *         -> bh_event                                   a block of its own (kept.c)
 *         -> fold                                       is it there already? (fold.c)
 *
 * One parser serves all events of the call in turn, so that memory follows the largest event and
 * not the call. The first trouble refuses everything.
 */
#include "event/event.h"

#include "base/error.h"
#include "event/fields.h"
#include "event/fold.h"

typedef struct call {
	bh_span text;
	const bh_intake *intake;
	bool several; /* an array or NDJSON: events have numbers */
	bh_json *json;
	GPtrArray *events;
	GArray *places;
	bh_fold *fold; /* NULL until the call is known to hold several */
	bh_refusal *refusal;
	GError **error;
} call;

static bool read_one(call *c, size_t from);
static bool read_array(call *c, size_t from);
static bool read_lines(call *c);
static bool read_event(call *c, bh_span within, size_t from, size_t *ret_end);
static bool keep_event(call *c, bh_draft *draft, size_t at);

/* --- Refusing ------------------------------------------------------------------------------ */

static bool refuse_at(call *c, size_t at, int kind, bh_error_code code, const char *why)
{
	c->refusal->kind = kind;
	bh_json_place(c->text, at, &c->refusal->line, &c->refusal->column);
	g_set_error(c->error, BH_ERROR, code, "%s (line %u, column %u)", why, c->refusal->line, c->refusal->column);
	return false;
}

static bool refuse_syntax(call *c, size_t at, const char *why)
{
	return refuse_at(c, at, BH_REFUSED_SYNTAX, BH_ERROR_INVALID, why);
}

/* Points to the event that is being read, or to something in it. */
static void point_to(call *c, const char *inside)
{
	if (c->several)
		g_snprintf(c->refusal->pointer, sizeof c->refusal->pointer, "/%u%s", c->places->len, inside);
	else
		g_strlcpy(c->refusal->pointer, inside, sizeof c->refusal->pointer);
}

static bool refuse_size(call *c, size_t at)
{
	point_to(c, "");
	return refuse_at(c, at, BH_REFUSED_SIZE, BH_ERROR_LIMIT, "an event has at most 256 KiB");
}

/* The parser refused the event that begins at `from`, with `trouble` (taken). */
static bool refuse_parsed(call *c, size_t from, GError *trouble)
{
	g_autoptr(GError) taken = trouble;

	if (g_error_matches(trouble, BH_ERROR, BH_ERROR_LIMIT))
		return refuse_size(c, from);
	c->refusal->kind = BH_REFUSED_SYNTAX;
	bh_json_trouble(c->json, &c->refusal->line, &c->refusal->column);
	g_propagate_error(c->error, g_steal_pointer(&taken));
	return false;
}

static bool refuse_field(call *c, const bh_fault *fault, GError *trouble)
{
	g_autoptr(GError) taken = trouble;

	point_to(c, fault->pointer);
	return refuse_at(c, fault->at, BH_REFUSED_FIELD, (bh_error_code)taken->code, taken->message);
}

/* --- The call ------------------------------------------------------------------------------ */

static bool read_call(call *c)
{
	if (c->text.size > BH_EVENTS_BYTES_MAX) {
		c->refusal->kind = BH_REFUSED_SIZE;
		g_set_error(c->error, BH_ERROR, BH_ERROR_LIMIT, "a call has at most 8 MiB");
		return false;
	}
	if (c->intake->form == BH_EVENTS_NDJSON)
		return read_lines(c);

	size_t from = bh_json_skip_space(c->text, 0);
	bool array = from < c->text.size && c->text.at[from] == '[';
	return array ? read_array(c, from) : read_one(c, from);
}

bool bh_events_read(bh_span text, const bh_intake *intake, GPtrArray **ret_events, GArray **ret_places,
		    bh_refusal *ret_refusal, GError **error)
{
	g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func((GDestroyNotify)bh_event_unref);
	g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(guint));
	g_autoptr(bh_json) json = bh_json_new();
	call c = {.text = text.at ? text : (bh_span){"", 0},
		  .intake = intake,
		  .json = json,
		  .events = events,
		  .places = places,
		  .refusal = ret_refusal,
		  .error = error};

	*ret_refusal = (bh_refusal){.kind = BH_REFUSED_SYNTAX};
	bool ok = read_call(&c);
	bh_fold_free(c.fold);
	if (!ok)
		return false;
	*ret_events = g_steal_pointer(&events);
	*ret_places = g_steal_pointer(&places);
	return true;
}

static bool read_one(call *c, size_t from)
{
	size_t end;

	if (!read_event(c, c->text, from, &end))
		return false;
	end = bh_json_skip_space(c->text, end);
	return end == c->text.size ||
	       refuse_syntax(c, end, "expected nothing more after the event (several events are an array, or NDJSON)");
}

static void begin_several(call *c)
{
	c->several = true;
	c->fold = bh_fold_new(c->events);
}

static bool read_array(call *c, size_t from)
{
	size_t at = bh_json_skip_space(c->text, from + 1);
	bool more = true;

	begin_several(c);
	if (at < c->text.size && c->text.at[at] == ']')
		return refuse_at(c, from, BH_REFUSED_FIELD, BH_ERROR_INVALID, "the array holds no event");
	while (more) {
		if (!read_event(c, c->text, at, &at))
			return false;
		at = bh_json_skip_space(c->text, at);
		char next = at < c->text.size ? c->text.at[at] : '\0';
		if (next != ',' && next != ']')
			return refuse_syntax(c, at, "expected ',' or ']' after the event");
		more = next == ',';
		at++;
	}
	at = bh_json_skip_space(c->text, at);
	return at == c->text.size || refuse_syntax(c, at, "expected nothing more after the array");
}

/* One line, which ends at `end`. Nothing is there when it is blank. */
static bool read_line(call *c, size_t from, size_t end)
{
	bh_span line = {c->text.at, end};
	size_t at = bh_json_skip_space(line, from);

	if (at == end)
		return true;
	if (end - at > BH_EVENT_BYTES_MAX)
		return refuse_size(c, at);
	if (!read_event(c, line, at, &at))
		return false;
	at = bh_json_skip_space(line, at);
	return at == end || refuse_syntax(c, at, "expected the end of the line after the event");
}

static bool read_lines(call *c)
{
	begin_several(c);
	for (size_t at = 0; at < c->text.size;) {
		const char *newline = memchr(c->text.at + at, '\n', c->text.size - at);
		size_t end = newline ? (size_t)(newline - c->text.at) : c->text.size;
		if (!read_line(c, at, end))
			return false;
		at = end + 1;
	}
	return c->places->len > 0 || refuse_syntax(c, 0, "the call holds no event");
}

/* --- One event ----------------------------------------------------------------------------- */

/* Reads the event that begins at `from`, of a text that ends where `within` does. */
static bool read_event(call *c, bh_span within, size_t from, size_t *ret_end)
{
	GError *trouble = NULL;
	bh_draft draft;
	bh_fault fault;

	if (c->places->len == BH_EVENTS_MAX)
		return refuse_at(c, from, BH_REFUSED_SIZE, BH_ERROR_LIMIT, "a call has at most 10000 events");
	if (!bh_json_parse_at(c->json, within, from, BH_EVENT_BYTES_MAX, ret_end, &trouble))
		return refuse_parsed(c, from, trouble);

	bh_draft_init(&draft);
	bool ok = bh_fields_read(c->json, c->text, c->intake, &draft, &fault, &trouble)
			  ? keep_event(c, &draft, from)
			  : refuse_field(c, &fault, trouble);
	bh_draft_clear(&draft);
	return ok;
}

/* An event without an id of its own is named after the call. */
static void name_after_call(const call *c, bh_draft *draft)
{
	const char *key = c->intake->idempotency_key;

	if (!key || draft->own_id)
		return;
	if (c->several)
		g_snprintf(draft->caller_id, sizeof draft->caller_id, "%s#%u", key, c->places->len);
	else
		g_strlcpy(draft->caller_id, key, sizeof draft->caller_id);
	draft->event.caller_id = draft->caller_id;
}

static bool keep_event(call *c, bh_draft *draft, size_t at)
{
	guint place = 0;

	name_after_call(c, draft);
	draft->event.id = bh_id_new();
	bh_event *event = bh_event_restore(&draft->event);

	if (!c->fold) {
		g_ptr_array_add(c->events, event);
	} else if (!bh_fold_take(c->fold, event, draft->own_id, &place)) {
		point_to(c, "/id");
		return refuse_at(c, at, BH_REFUSED_FIELD, BH_ERROR_INVALID,
				 "\"id\" is that of another event of this call, which says something else");
	}
	g_array_append_val(c->places, place);
	return true;
}
