/* Single fields of an event, by name: what order and coalescing go by. */
#include "event/event.h"

/* Its decoded name is looked for only where it may be: mostly neither its text nor an escape occurs, and nothing is parsed. */
static bool may_have(bh_span data, const char *name)
{
	return memmem(data.at, data.size, name, strlen(name)) || memchr(data.at, '\\', data.size);
}

/* NULL for null, and for text with U+0000, which is none here. */
static char *text_of(const bh_json *json, uint32_t node)
{
	bh_span written = bh_json_text(json, node);

	switch (bh_json_type_of(json, node)) {
	case BH_JSON_NULL:
		return NULL;
	case BH_JSON_STRING:
		return bh_json_string(json, node);
	default:
		return g_strndup(written.at, written.size);
	}
}

static bool is_property(const char *name)
{
	return strcmp(name, "property") == 0;
}

/* `json` holds data once a member of it is asked for; most ask for the property alone. */
static char *field_of(const bh_event *event, bh_json **json, const char *name)
{
	if (is_property(name))
		return g_strdup(event->property_id);
	if (!may_have(event->data, name))
		return NULL;
	if (!*json) {
		*json = bh_json_new();
		if (!bh_json_parse(*json, event->data, NULL))
			return NULL;
	}
	uint32_t node = bh_json_member(*json, 0, name);
	return node == BH_JSON_NONE ? NULL : text_of(*json, node);
}

char **bh_event_fields(const bh_event *event, char *const *names)
{
	g_autoptr(bh_json) json = NULL;
	g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);

	for (; *names; names++) {
		char *value = field_of(event, &json, *names);
		if (!value)
			return NULL;
		g_ptr_array_add(values, value);
	}
	g_ptr_array_add(values, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&values), FALSE);
}

char *bh_event_field(const bh_event *event, const char *name)
{
	g_autoptr(bh_json) json = NULL;

	return field_of(event, &json, name);
}
