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

/* Copies what lies before `until` and was not copied yet, then goes on at `next`. */
static void copy_until(const char **at, const char *until, const char *next, char **to)
{
	size_t size = (size_t)(until - *at);

	memcpy(*to, *at, size);
	*to += size;
	*at = next;
}

static const char *end_of(bh_span text)
{
	return text.at + text.size;
}

/* The comma between two members: only white space is there beside it. */
static const char *comma_after(const char *at)
{
	while (*at != ',')
		at++;
	return at;
}

/*
 * A member that goes takes the comma behind it, or, when nothing that stays comes later, the
 * comma before it. So the members that stay are separated by commas of their own.
 */
size_t bh_redact(const bh_json *json, uint32_t object, char *const *names, char *out)
{
	bh_span whole = bh_json_text(json, object);
	const char *at = whole.at, *before = NULL; /* the end of the member before */
	char *to = out;
	uint32_t last_to_stay = BH_JSON_NONE;

	g_assert(whole.at); /* it has its braces at least */
	for (uint32_t c = bh_json_first(json, object); c != BH_JSON_NONE; c = bh_json_next(json, object, c))
		if (!named(json, c, names))
			last_to_stay = c;

	for (uint32_t c = bh_json_first(json, object); c != BH_JSON_NONE; c = bh_json_next(json, object, c)) {
		bh_span name = bh_json_text(json, c), value = bh_json_text(json, c + 1);
		if (named(json, c, names)) {
			bool stays_later = last_to_stay != BH_JSON_NONE && c < last_to_stay;
			if (before && !stays_later)
				copy_until(&at, comma_after(before), comma_after(before) + 1, &to);
			copy_until(&at, name.at, end_of(value), &to);
			if (stays_later)
				copy_until(&at, comma_after(end_of(value)), comma_after(end_of(value)) + 1, &to);
		}
		before = end_of(value);
	}
	copy_until(&at, end_of(whole), end_of(whole), &to);
	return (size_t)(to - out);
}
