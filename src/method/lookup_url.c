#include "method/lookup_url.h"

#include "base/error.h"
#include "base/json.h"

#include <string.h>

#define DATA "data."
#define URL_MAX_SIZE 2048 /* the guard refuses a longer one */

static const char *const words[] = {"event_id", "type", "property_id", "manager_id"};

/* Splits off what stands before the next {word}, and the word. False: there is none; *ret_before is the rest. */
static bool next_word(const char **rest, bh_span *ret_before, bh_span *ret_word)
{
	const char *open = strchr(*rest, '{'), *close = open ? strchr(open, '}') : NULL;

	*ret_before = (bh_span){*rest, open ? (size_t)(open - *rest) : strlen(*rest)};
	if (!close)
		return false;
	*ret_word = (bh_span){open + 1, (size_t)(close - open - 1)};
	*rest = close + 1;
	return true;
}

static bool is_of_data(bh_span word)
{
	return word.size > strlen(DATA) && memcmp(word.at, DATA, strlen(DATA)) == 0;
}

static bool is_known(bh_span word)
{
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (bh_span_is(word, words[i]))
			return true;
	return is_of_data(word);
}

bool bh_lookup_url_check(const char *url, GError **error)
{
	bh_span before, word;

	while (next_word(&url, &before, &word)) {
		if (is_known(word))
			continue;
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
			    "lookup_url: {%.*s} is unknown; there are {event_id}, {type}, {property_id}, {manager_id} "
			    "and {data.<member>}",
			    (int)word.size, word.at);
		return false;
	}
	if (strchr(url, '{')) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "lookup_url: a { is never closed");
		return false;
	}
	return true;
}

/* A text or an integer of the event's data, as new text; NULL: there is none. */
static char *member_of_data(bh_span data, bh_span word)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autofree char *name = g_strndup(word.at + strlen(DATA), word.size - strlen(DATA));

	if (data.size == 0 || !bh_json_parse(json, data, NULL))
		return NULL;
	uint32_t member = bh_json_member(json, 0, name);
	if (member == BH_JSON_NONE)
		return NULL;
	if (bh_json_type_of(json, member) != BH_JSON_NUMBER)
		return bh_json_string(json, member);
	bh_span digits = bh_json_text(json, member);
	return g_strndup(digits.at, digits.size);
}

static char *part_of(const bh_lookup_subject *subject, bh_span word)
{
	const char *parts[] = {subject->event_id, subject->type, subject->property_id, subject->manager_id};

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (bh_span_is(word, words[i]))
			return g_strdup(parts[i]);
	return member_of_data(subject->data, word);
}

/* "." and ".." would lead out of the folder of the path; encoded or not, somebody on the way takes them for that. */
static bool can_stand(const char *part)
{
	return part && *part && strcmp(part, ".") != 0 && strcmp(part, "..") != 0;
}

char *bh_lookup_url_fill(const char *url, const bh_lookup_subject *subject)
{
	g_autoptr(GString) filled = g_string_new(NULL);
	bh_span before, word;

	while (next_word(&url, &before, &word)) {
		g_autofree char *part = part_of(subject, word);
		if (!can_stand(part))
			return NULL;
		g_string_append_len(filled, before.at, (gssize)before.size);
		g_string_append_uri_escaped(filled, part, NULL, false);
	}
	g_string_append(filled, url);
	if (filled->len > URL_MAX_SIZE) /* nobody could ask for it, today or tomorrow */
		return NULL;
	return g_string_free(g_steal_pointer(&filled), FALSE);
}
