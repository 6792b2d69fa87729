/* One event type: its name rule, and its form as JSON. */
#include "event/catalogue.h"

#include "base/error.h"
#include "base/json.h"

/* Limits of what a site may write into a type of its own. */
#define DESCRIPTION_MAX 1024
#define NAMES_MAX 200
#define NAME_IN_DATA_MAX 128
#define JSON_MAX (64 * 1024)

bool bh_type_name_ok(bh_span name)
{
	if (name.size == 0 || name.size > BH_TYPE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.size; i++)
		if (!g_ascii_isalnum(name.at[i]) && !memchr("_-.", name.at[i], 3))
			return false;
	return true;
}

void bh_event_type_free(bh_event_type *type)
{
	if (!type)
		return;
	g_free(type->name);
	g_free(type->group);
	g_free(type->description);
	g_strfreev(type->fields);
	g_strfreev(type->sensitive);
	g_free(type->example);
	g_free(type->schema);
	g_free(type);
}

/* --- Reading ------------------------------------------------------------------------------ */

static bool refuse(GError **error, const char *member, const char *rule)
{
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "the event type's \"%s\" must be %s", member, rule);
	return false;
}

static bool read_name(const bh_json *json, uint32_t value, const char *member, char **ret, GError **error)
{
	g_autofree char *name = bh_json_string(json, value);

	if (!name || !bh_type_name_ok(bh_span_of(name)))
		return refuse(error, member, "1 to 128 letters, digits, \"_\", \"-\" or \".\"");
	*ret = g_steal_pointer(&name);
	return true;
}

static bool read_description(const bh_json *json, uint32_t value, char **ret, GError **error)
{
	g_autofree char *text = bh_json_string(json, value);

	if (!text || strlen(text) > DESCRIPTION_MAX)
		return refuse(error, "description", "text of at most 1024 bytes");
	*ret = g_steal_pointer(&text);
	return true;
}

static bool read_names(const bh_json *json, uint32_t value, const char *member, char ***ret, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *rule = "a list of at most 200 names of members of data, each of 1 to 128 bytes";

	if (bh_json_type_of(json, value) != BH_JSON_ARRAY)
		return refuse(error, member, rule);
	for (uint32_t c = bh_json_first(json, value); c != BH_JSON_NONE; c = bh_json_next(json, value, c)) {
		char *name = bh_json_string(json, c);
		if (!name)
			return refuse(error, member, rule);
		g_ptr_array_add(names, name);
		if (*name == '\0' || strlen(name) > NAME_IN_DATA_MAX || names->len > NAMES_MAX)
			return refuse(error, member, rule);
	}
	g_ptr_array_add(names, NULL);
	*ret = (char **)g_ptr_array_steal(names, NULL);
	return true;
}

static bool read_object(const bh_json *json, uint32_t value, const char *member, char **ret, GError **error)
{
	bh_span text = bh_json_text(json, value);

	if (bh_json_type_of(json, value) != BH_JSON_OBJECT || text.size > JSON_MAX)
		return refuse(error, member, "a JSON object of at most 64 KiB");
	*ret = g_strndup(text.at, text.size);
	return true;
}

static bool read_member(const bh_json *json, uint32_t name, bh_event_type *type, GError **error)
{
	uint32_t value = name + 1;

	if (bh_json_string_is(json, name, "built_in")) /* shown to callers, who may hand back what they were shown */
		return true;
	if (bh_json_string_is(json, name, "name"))
		return read_name(json, value, "name", &type->name, error);

	bool left_out = bh_json_type_of(json, value) == BH_JSON_NULL;
	if (bh_json_string_is(json, name, "group"))
		return left_out || read_name(json, value, "group", &type->group, error);
	if (bh_json_string_is(json, name, "description"))
		return left_out || read_description(json, value, &type->description, error);
	if (bh_json_string_is(json, name, "fields"))
		return left_out || read_names(json, value, "fields", &type->fields, error);
	if (bh_json_string_is(json, name, "sensitive"))
		return left_out || read_names(json, value, "sensitive", &type->sensitive, error);
	if (bh_json_string_is(json, name, "example"))
		return left_out || read_object(json, value, "example", &type->example, error);
	if (bh_json_string_is(json, name, "schema"))
		return left_out || read_object(json, value, "schema", &type->schema, error);

	bh_span text = bh_span_cut(bh_json_text(json, name), 80);
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
		    "an event type has no member %.*s: it has name, group, description, fields, sensitive, example and "
		    "schema",
		    (int)text.size, text.at);
	return false;
}

bh_event_type *bh_event_type_parse(bh_span text, GError **error)
{
	g_autoptr(bh_json) json = bh_json_new();
	if (!bh_json_parse(json, text, error))
		return NULL;
	if (bh_json_type_of(json, 0) != BH_JSON_OBJECT) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "an event type must be a JSON object");
		return NULL;
	}

	g_autoptr(bh_event_type) type = g_new0(bh_event_type, 1);
	for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c))
		if (!read_member(json, c, type, error))
			return NULL;

	if (!type->description)
		type->description = g_strdup("");
	if (!type->fields)
		type->fields = g_new0(char *, 1);
	if (!type->sensitive)
		type->sensitive = g_new0(char *, 1);
	return g_steal_pointer(&type);
}

/* --- Writing ------------------------------------------------------------------------------ */

static void append_text(GString *out, const char *member, const char *text)
{
	g_string_append_printf(out, "\"%s\":", member);
	if (text)
		bh_json_append_string(out, bh_span_of(text));
	else
		g_string_append(out, "null");
}

static void append_names(GString *out, const char *member, char *const *names)
{
	g_string_append_printf(out, ",\"%s\":[", member);
	for (size_t i = 0; names && names[i]; i++) {
		if (i > 0)
			g_string_append_c(out, ',');
		bh_json_append_string(out, bh_span_of(names[i]));
	}
	g_string_append_c(out, ']');
}

char *bh_event_type_json(const bh_event_type *type)
{
	GString *out = g_string_new("{");

	append_text(out, "name", type->name);
	g_string_append_c(out, ',');
	append_text(out, "group", type->group);
	g_string_append_c(out, ',');
	append_text(out, "description", type->description ? type->description : "");
	append_names(out, "fields", type->fields);
	append_names(out, "sensitive", type->sensitive);
	g_string_append_printf(out, ",\"example\":%s", type->example ? type->example : "null");
	g_string_append_printf(out, ",\"schema\":%s", type->schema ? type->schema : "null");
	g_string_append_printf(out, ",\"built_in\":%s}", type->built_in ? "true" : "false");
	return g_string_free(out, FALSE);
}
