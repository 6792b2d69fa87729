/* The body of a request: the same bytes at every attempt, put together around the bytes that came in. */
#include "event/event.h"

static const char *const NAMES[] = {[BH_SHAPE_STANDARD] = "standard", [BH_SHAPE_JOMRES] = "jomres"};

const char *bh_shape_name(bh_shape shape)
{
	return NAMES[shape];
}

bool bh_shape_parse(const char *text, bh_shape *ret_shape)
{
	for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++)
		if (strcmp(text, NAMES[i]) == 0) {
			*ret_shape = (bh_shape)i;
			return true;
		}
	return false;
}

/* The body as a row of pieces, so that it is written once, into memory of the right size. */
#define PIECES_MAX 16

typedef struct pieces {
	bh_span at[PIECES_MAX];
	size_t count, bytes;
} pieces;

static void add(pieces *p, bh_span piece)
{
	g_assert(p->count < PIECES_MAX);
	p->at[p->count++] = piece;
	p->bytes += piece.size;
}

static void add_text(pieces *p, const char *text)
{
	add(p, bh_span_of(text));
}

static GBytes *joined(const pieces *p)
{
	char *body = g_malloc(p->bytes), *to = body;

	for (size_t i = 0; i < p->count; i++) {
		memcpy(to, p->at[i].at, p->at[i].size);
		to += p->at[i].size;
	}
	return g_bytes_new_take(body, p->bytes);
}

/* --- standard ------------------------------------------------------------------------------ */

/* Type, id and time need no escapes: their characters are harmless by rule. */
static GBytes *standard_body(const bh_event *event, bool with_details, const char *sequence)
{
	char time[BH_TIME_TEXT_SIZE], id[BH_ID_TEXT_SIZE];
	pieces p = {0};

	add_text(&p, "{\"type\":\"");
	add_text(&p, event->type);
	add_text(&p, "\",\"timestamp\":\"");
	add_text(&p, bh_time_text(event->occurred_at, time));
	add_text(&p, "\",\"id\":\"");
	add_text(&p, bh_id_text(BH_ID_EVENT, event->id, id));
	add_text(&p, "\",\"data\":");
	add(&p, event->data);
	if (with_details && event->details.size > 0) {
		add_text(&p, ",\"details\":");
		add(&p, event->details);
	}
	if (event->channel.size > 0) {
		add_text(&p, ",\"channel\":");
		add(&p, event->channel);
	}
	add_text(&p, sequence);
	add_text(&p, "}");
	return joined(&p);
}

/* --- jomres -------------------------------------------------------------------------------- */

/* An integer as JSON writes it: no zeros in front, a minus perhaps. */
static bool is_integer(const char *text)
{
	const char *digits = *text == '-' ? text + 1 : text;
	size_t size = strlen(digits);

	return size > 0 && strspn(digits, "0123456789") == size && (*digits != '0' || size == 1);
}

/* Jomres looks for an owner only of what is about a property: one whose number is above 0. */
static bool has_property(const bh_event *event)
{
	return event->property_id && !(*event->property_id == '-' && is_integer(event->property_id));
}

/*
 * Jomres takes the manager's id from the signed-in user, as text, when a manager acts on a page; from
 * the database, as a number, when a guest or a channel does.
 */
static bool owner_is_number(const bh_event *event, const char *owner)
{
	bool acts_himself = event->actor_is_manager && event->channel.size == 0;

	return !acts_himself && is_integer(owner);
}

/* Does data have these members itself? It seldom has: then neither their text nor an escape occurs in it. */
static void look_for_own(bh_span data, bool *ret_task, bool *ret_manager)
{
	*ret_task = *ret_manager = false;
	if (!memmem(data.at, data.size, "\"task\"", 6) && !memmem(data.at, data.size, "\"manager_id\"", 12) &&
	    !memchr(data.at, '\\', data.size))
		return;

	g_autoptr(bh_json) json = bh_json_new();
	if (!bh_json_parse(json, data, NULL))
		return;
	*ret_task = bh_json_member(json, 0, "task") != BH_JSON_NONE;
	*ret_manager = bh_json_member(json, 0, "manager_id") != BH_JSON_NONE;
}

static bool is_empty_object(bh_span data)
{
	return bh_json_skip_space(data, 1) == data.size - 1;
}

static GBytes *jomres_body(const bh_event *event, const char *owner, const char *sequence)
{
	bool own_task, own_manager;
	look_for_own(event->data, &own_task, &own_manager);
	bool with_owner = owner && has_property(event) && !own_manager;

	g_autoptr(GString) quoted_owner = NULL;
	pieces p = {0};
	add_text(&p, "{\"data\":");
	add(&p, (bh_span){event->data.at, event->data.size - 1}); /* all but the brace that closes it */
	if (!own_task) {
		add_text(&p, is_empty_object(event->data) ? "\"task\":\"" : ",\"task\":\"");
		add_text(&p, event->type);
		add_text(&p, "\"");
	}
	if (with_owner) {
		add_text(&p, ",\"manager_id\":");
		if (owner_is_number(event, owner)) {
			add_text(&p, owner);
		} else {
			quoted_owner = g_string_new(NULL);
			bh_json_append_string(quoted_owner, bh_span_of(owner));
			add_text(&p, quoted_owner->str);
		}
	}
	add_text(&p, "}");
	add_text(&p, sequence);
	add_text(&p, "}");
	return joined(&p);
}

GBytes *bh_event_body(const bh_event *event, bh_shape shape, bool with_details, const char *owner, int64_t sequence)
{
	char member[40] = "";

	if (sequence)
		g_snprintf(member, sizeof member, ",\"sequence\":%" G_GINT64_FORMAT, sequence);
	return shape == BH_SHAPE_JOMRES ? jomres_body(event, owner, member)
					: standard_body(event, with_details, member);
}
