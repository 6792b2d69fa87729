#include "event/redact.h"

static bool named(const bh_json *json, uint32_t name, char *const *names)
{
	for (; *names; names++)
		if (bh_json_string_is(json, name, *names))
			return true;
	return false;
}

bool bh_redact_needed(const bh_json *json, uint32_t object, char *const *names)
{
	if (!*names)
		return false;
	for (uint32_t c = bh_json_first(json, object); c != BH_JSON_NONE; c = bh_json_next(json, object, c))
		if (named(json, c, names))
			return true;
	return false;
}

/* The text while it is copied; places are counted from its start. */
typedef struct copying {
	const char *text;
	size_t at; /* not copied yet from here on */
	char *to;
} copying;

static void keep_until(copying *c, size_t until)
{
	memcpy(c->to, c->text + c->at, until - c->at);
	c->to += until - c->at;
	c->at = until;
}

static void drop(copying *c, size_t from, size_t until)
{
	keep_until(c, from);
	c->at = until;
}

/* Drops the comma between two members, the first of which ends at `from`: only white space is there beside it. */
static void drop_comma(copying *c, size_t from)
{
	while (c->text[from] != ',')
		from++;
	drop(c, from, from + 1);
}

static uint32_t last_to_stay(const bh_json *json, uint32_t object, char *const *names)
{
	uint32_t last = BH_JSON_NONE;

	for (uint32_t c = bh_json_first(json, object); c != BH_JSON_NONE; c = bh_json_next(json, object, c))
		if (!named(json, c, names))
			last = c;
	return last;
}

/*
 * A member that goes takes the comma behind it, or, when nothing that stays comes later, the
 * comma before it. So the members that stay are separated by commas of their own.
 */
size_t bh_redact(const bh_json *json, uint32_t object, char *const *names, char *out)
{
	bh_span whole = bh_json_text(json, object);
	copying copy = {.text = whole.at, .to = out};
	uint32_t last = last_to_stay(json, object, names);
	size_t before = 0; /* the end of the member before; 0: there is none */

	for (uint32_t c = bh_json_first(json, object); c != BH_JSON_NONE; c = bh_json_next(json, object, c)) {
		bh_span value = bh_json_text(json, c + 1);
		size_t start = (size_t)(bh_json_text(json, c).at - whole.at);
		size_t end = (size_t)(value.at - whole.at) + value.size;
		if (named(json, c, names)) {
			bool some_stays_later = last != BH_JSON_NONE && c < last;
			if (before && !some_stays_later)
				drop_comma(&copy, before);
			drop(&copy, start, end);
			if (some_stays_later)
				drop_comma(&copy, end);
		}
		before = end;
	}
	keep_until(&copy, whole.size);
	return (size_t)(copy.to - out);
}
