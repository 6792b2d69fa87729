/*
 * The settings of a webhook as they are stored, and the two ways out: shown, where a password is only set or not, and
 * opened, as the script gets them.
 */
#include "method/forms.h"

#include "base/error.h"
#include "method/field.h"

#include <string.h>

/* --- Stored ----------------------------------------------------------------------------------- */

char *bh_seal_purpose(const bh_field *field)
{
	return g_strdup_printf("setting %s", field->key);
}

/* A password in its stored form, or BH_JSON_NONE: the node of the base64 text. */
uint32_t bh_sealed_text(const bh_json *json, uint32_t node)
{
	uint32_t sealed = bh_json_member(json, node, "sealed");
	return sealed != BH_JSON_NONE && bh_json_type_of(json, sealed) == BH_JSON_STRING ? sealed : BH_JSON_NONE;
}

/* NULL, too, when there is nothing readable: then everything must be given. */
bh_json *bh_parse_stored(const char *stored)
{
	bh_json *json = bh_json_new();
	if (stored && bh_json_parse(json, bh_span_of(stored), NULL) && bh_json_type_of(json, 0) == BH_JSON_OBJECT)
		return json;
	bh_json_free(json);
	return NULL;
}

void bh_append_setting(GString *out, const bh_field *field, bh_span value)
{
	if (out->len > 1)
		g_string_append_c(out, ',');
	bh_json_append_string(out, bh_span_of(field->key));
	g_string_append_c(out, ':');
	g_string_append_len(out, value.at, (gssize)value.size);
}

/* --- Stored -> shown -------------------------------------------------------------------------- */

static void mask_field(const bh_field *field, const bh_json *stored, GString *out)
{
	uint32_t node = stored ? bh_json_member(stored, 0, field->key) : BH_JSON_NONE;
	bool is_object = node != BH_JSON_NONE && bh_json_type_of(stored, node) == BH_JSON_OBJECT;

	if (field->format == BH_FIELD_PASSWORD) {
		const char *mask = is_object ? "{\"set\":true}" : "{\"set\":false}";
		bh_append_setting(out, field, bh_span_of(mask));
	} else if (node != BH_JSON_NONE && !is_object) { /* an object was sealed when the field was a password */
		bh_append_setting(out, field, bh_json_text(stored, node));
	}
}

char *bh_settings_masked(const bh_method *method, const char *stored)
{
	g_autoptr(bh_json) json = bh_parse_stored(stored);
	GString *out = g_string_new("{");

	for (guint i = 0; i < method->fields->len; i++)
		mask_field(g_ptr_array_index(method->fields, i), json, out);
	g_string_append_c(out, '}');
	return g_string_free(out, FALSE);
}

static bh_span stored_value(void *user, const bh_method *method, guint index)
{
	const bh_json *stored = user;
	const bh_field *field = g_ptr_array_index(method->fields, index);
	uint32_t node = stored ? bh_json_member(stored, 0, field->key) : BH_JSON_NONE;
	return node == BH_JSON_NONE ? (bh_span){0} : bh_json_text(stored, node);
}

char *bh_settings_text(const bh_method *method, const bh_field *field, const char *settings)
{
	g_autoptr(bh_json) json = bh_parse_stored(settings);
	g_autoptr(bh_json) preset = bh_json_new();

	if (!bh_field_counts(method, field, stored_value, json))
		return NULL;
	uint32_t node = json ? bh_json_member(json, 0, field->key) : BH_JSON_NONE;
	char *text = node == BH_JSON_NONE ? NULL : bh_field_text(field, json, node);
	if (text || !field->default_json || !bh_json_parse(preset, bh_span_of(field->default_json), NULL))
		return text;
	return bh_field_text(field, preset, 0);
}

char *bh_settings_url(const bh_method *method, const char *stored)
{
	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		char *url = field->format == BH_FIELD_URL ? bh_settings_text(method, field, stored) : NULL;
		if (url)
			return url;
	}
	return NULL;
}

/* --- Stored -> opened ------------------------------------------------------------------------- */

static void clear_value(gpointer data)
{
	bh_value *value = data;
	g_clear_pointer(&value->text, g_free);
	g_clear_pointer(&value->secret, bh_secret_unref);
}

static bool open_password(const bh_sealer *sealer, const bh_json *json, uint32_t node, bh_value *value, GError **error)
{
	uint32_t sealed = bh_sealed_text(json, node);
	if (sealed == BH_JSON_NONE)
		return bh_field_refuse(error, value->field, "is not stored as a password: give it again");

	g_autofree char *text = bh_json_string(json, sealed);
	g_autofree char *purpose = bh_seal_purpose(value->field);
	value->kind = BH_VALUE_SECRET;
	value->secret = text ? bh_unseal(sealer, text, purpose, error) : NULL;
	if (value->secret)
		return true;
	if (!text)
		return bh_field_refuse(error, value->field, "does not open");
	g_prefix_error(error, "\"%s\": ", value->field->key);
	return false;
}

static bool open_value(const bh_sealer *sealer, const bh_json *json, uint32_t node, bh_value *value, GError **error)
{
	bh_json_type type = bh_json_type_of(json, node);

	switch (value->field->format) {
	case BH_FIELD_PASSWORD:
		return open_password(sealer, json, node, value, error);
	case BH_FIELD_BOOLEAN:
		value->kind = BH_VALUE_BOOLEAN;
		value->integer = type == BH_JSON_TRUE;
		return type == BH_JSON_TRUE || type == BH_JSON_FALSE ||
		       bh_field_refuse(error, value->field, "must be true or false");
	case BH_FIELD_INTEGER:
		value->kind = BH_VALUE_INTEGER;
		return bh_json_int(json, node, &value->integer) ||
		       bh_field_refuse(error, value->field, "must be a whole number");
	default:
		value->kind = BH_VALUE_TEXT;
		value->text = bh_json_string(json, node);
		return value->text || bh_field_refuse(error, value->field, "must be text");
	}
}

static bool open_field(const bh_method *method, const bh_sealer *sealer, const bh_json *stored, bh_value *value,
		       GError **error)
{
	if (value->field->format == BH_FIELD_NOTES ||
	    !bh_field_counts(method, value->field, stored_value, (void *)stored))
		return true;
	uint32_t node = bh_json_member(stored, 0, value->field->key);
	if (node != BH_JSON_NONE)
		return open_value(sealer, stored, node, value, error);
	if (!value->field->default_json)
		return !value->field->required || bh_field_refuse(error, value->field, "is missing");

	g_autoptr(bh_json) preset = bh_json_new();
	return bh_json_parse(preset, bh_span_of(value->field->default_json), error) &&
	       open_value(sealer, preset, 0, value, error);
}

GArray *bh_settings_open(const bh_method *method, const char *stored, const bh_sealer *sealer, GError **error)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GArray) values = g_array_new(FALSE, TRUE, sizeof(bh_value));

	g_array_set_clear_func(values, clear_value);
	if (!bh_json_parse(json, bh_span_of(stored), error))
		return NULL;
	for (guint i = 0; i < method->fields->len; i++) {
		g_array_set_size(values, i + 1);
		bh_value *value = &g_array_index(values, bh_value, i);
		value->field = g_ptr_array_index(method->fields, i);
		if (!open_field(method, sealer, json, value, error))
			return NULL;
	}
	return g_steal_pointer(&values);
}
