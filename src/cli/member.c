#include "cli/member.h"

#include "cli/text.h"

#include <string.h>

uint32_t bh_member(const bh_json *json, uint32_t object, const char *name)
{
	if (!json || object == BH_JSON_NONE || bh_json_type_of(json, object) != BH_JSON_OBJECT)
		return BH_JSON_NONE;
	uint32_t node = bh_json_member(json, object, name);
	return node != BH_JSON_NONE && bh_json_type_of(json, node) == BH_JSON_NULL ? BH_JSON_NONE : node;
}

uint32_t bh_first_item(const bh_json *json, uint32_t array)
{
	return array == BH_JSON_NONE ? BH_JSON_NONE : bh_json_first(json, array);
}

char *bh_node_text(const bh_json *json, uint32_t node)
{
	char *text = bh_json_type_of(json, node) == BH_JSON_STRING ? bh_json_string(json, node) : NULL;
	bh_span raw = bh_json_text(json, node);
	return text ? text : g_strndup(raw.at, raw.size); /* a string with \u0000 in it is shown as it was written */
}

char *bh_member_text(const bh_json *json, uint32_t object, const char *name)
{
	uint32_t node = bh_member(json, object, name);
	return node == BH_JSON_NONE ? NULL : bh_node_text(json, node);
}

char *bh_member_shown(const bh_json *json, uint32_t object, const char *name)
{
	g_autofree char *text = bh_member_text(json, object, name);
	return text ? bh_text_visible(bh_span_of(text), false) : NULL;
}

bool bh_member_is(const bh_json *json, uint32_t object, const char *name, const char *text)
{
	uint32_t node = bh_member(json, object, name);
	return node != BH_JSON_NONE && bh_json_type_of(json, node) == BH_JSON_STRING &&
	       bh_json_string_is(json, node, text);
}

bool bh_member_true(const bh_json *json, uint32_t object, const char *name)
{
	uint32_t node = bh_member(json, object, name);
	return node != BH_JSON_NONE && bh_json_type_of(json, node) == BH_JSON_TRUE;
}

bool bh_member_int(const bh_json *json, uint32_t object, const char *name, int64_t *ret)
{
	uint32_t node = bh_member(json, object, name);
	return node != BH_JSON_NONE && bh_json_int(json, node, ret);
}

bool bh_member_time(const bh_json *json, uint32_t object, const char *name, bh_usec *ret)
{
	g_autofree char *text = bh_member_text(json, object, name);
	return text && bh_time_parse(text, strlen(text), ret);
}
