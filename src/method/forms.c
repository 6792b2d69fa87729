/*
 * The settings of a webhook, between three shapes:
 *
 *   given    what an owner sends: JSON object of the method's fields
 *   stored   the same, checked; a password is {"sealed":"<base64>"}
 *   opened   what the script sees
 *
 * Texts are decoded and encoded, never filtered: what the owner typed is what the script gets, to the byte.
 */
#include "method/forms.h"

#include "base/error.h"

#include <string.h>

#define TEXT_MAX (4 * 1024)
#define AREA_MAX (64 * 1024)

/* One value on its way from given to stored. */
typedef struct form {
	const bh_sealer *sealer; /* NULL: check only */
	const bh_guard *guard; /* NULL: check only */
} form;

static bool refuse(GError **error, const bh_field *field, const char *why)
{
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" %s", field->key, why);
	return false;
}

static char *seal_purpose(const bh_field *field)
{
	return g_strdup_printf("setting %s", field->key);
}

/* A password in its stored form, or BH_JSON_NONE: the node of the base64 text. */
static uint32_t sealed_text(const bh_json *json, uint32_t node)
{
	uint32_t sealed = bh_json_member(json, node, "sealed");
	return sealed != BH_JSON_NONE && bh_json_type_of(json, sealed) == BH_JSON_STRING ? sealed : BH_JSON_NONE;
}

const char *bh_field_format_name(bh_field_format format)
{
	static const char *const names[] = {"url", "input", "password", "area", "boolean", "integer", "select", "html", "notes"};
	g_assert((size_t)format < G_N_ELEMENTS(names));
	return names[format];
}

/* --- Given -> stored, one value --------------------------------------------------------------- */

static size_t text_limit(const bh_field *field)
{
	return field->format == BH_FIELD_AREA || field->format == BH_FIELD_HTML ? AREA_MAX : TEXT_MAX;
}

/* The decoded text, to be wiped by the caller; NULL: not an acceptable one. */
static char *read_text(const bh_field *field, const bh_json *json, uint32_t node, GError **error)
{
	if (bh_json_type_of(json, node) != BH_JSON_STRING) {
		refuse(error, field, "must be text");
		return NULL;
	}
	char *text = bh_json_string(json, node);
	if (!text) {
		refuse(error, field, "must not hold the character U+0000");
		return NULL;
	}
	if (strlen(text) > text_limit(field)) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" is longer than %zu bytes", field->key,
			    text_limit(field));
		g_clear_pointer(&text, bh_text_wipe);
	}
	return text;
}

static bool check_url(const form *f, char *text, GError **error)
{
	bh_target target = {0};

	g_strstrip(text); /* blanks around a pasted URL are nobody's wish */
	if (!f->guard)
		return true;
	bool ok = bh_guard_check_url(f->guard, text, &target, error);
	bh_target_clear(&target);
	return ok;
}

static bool check_option(const bh_field *field, const char *text, GError **error)
{
	if (g_strv_contains((const char *const *)field->options, text))
		return true;
	g_autofree char *options = g_strjoinv(", ", field->options);
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" must be one of: %s", field->key, options);
	return false;
}

static void write_password(const form *f, const bh_field *field, const char *text, GString *out)
{
	g_autofree char *purpose = seal_purpose(field);
	g_autofree char *sealed = bh_seal(f->sealer, bh_span_of(text), purpose);
	g_string_append_printf(out, "{\"sealed\":\"%s\"}", sealed);
}

static bool store_text(const form *f, const bh_field *field, const bh_json *json, uint32_t node, GString *out,
		       GError **error)
{
	char *text = read_text(field, json, node, error);
	if (!text)
		return false;

	bool ok = true;
	if (field->format == BH_FIELD_URL)
		ok = check_url(f, text, error);
	else if (field->format == BH_FIELD_SELECT)
		ok = check_option(field, text, error);
	if (ok && field->required && !*text)
		ok = refuse(error, field, "must not be empty");

	if (ok && field->format == BH_FIELD_PASSWORD && f->sealer)
		write_password(f, field, text, out);
	else if (ok)
		bh_json_append_string(out, bh_span_of(text));
	bh_text_wipe(text);
	return ok;
}

/* Appends the value at `node` in its stored form. */
static bool store_value(const form *f, const bh_field *field, const bh_json *json, uint32_t node, GString *out,
			GError **error)
{
	bh_json_type type = bh_json_type_of(json, node);
	int64_t number;

	switch (field->format) {
	case BH_FIELD_BOOLEAN:
		if (type != BH_JSON_TRUE && type != BH_JSON_FALSE)
			return refuse(error, field, "must be true or false");
		break;
	case BH_FIELD_INTEGER:
		if (!bh_json_int(json, node, &number))
			return refuse(error, field, "must be a whole number");
		break;
	default:
		return store_text(f, field, json, node, out, error);
	}
	bh_span text = bh_json_text(json, node);
	g_string_append_len(out, text.at, (gssize)text.size);
	return true;
}

bool bh_field_check(const bh_field *field, bh_span text, GError **error)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GString) out = g_string_new(NULL);
	form check_only = {0};

	return bh_json_parse(json, text, error) && store_value(&check_only, field, json, 0, out, error);
}

/* --- Given -> stored, the whole form ---------------------------------------------------------- */

/* The masked form that the API shows: {"set":true} or {"set":false}. */
static bool is_mask(const bh_json *json, uint32_t node, bool *ret_set)
{
	uint32_t set = bh_json_member(json, node, "set");
	if (set == BH_JSON_NONE)
		return false;
	bh_json_type type = bh_json_type_of(json, set);
	*ret_set = type == BH_JSON_TRUE;
	return type == BH_JSON_TRUE || type == BH_JSON_FALSE;
}

/* What was stored stays, if it fits: the method file may have changed since, or be another one. */
static bool keep_value(const form *f, const bh_field *field, const bh_json *stored, GString *out, GError **error)
{
	uint32_t node = stored ? bh_json_member(stored, 0, field->key) : BH_JSON_NONE;
	if (node == BH_JSON_NONE)
		return true;
	if (field->format != BH_FIELD_PASSWORD)
		return bh_json_type_of(stored, node) == BH_JSON_OBJECT ||
		       store_value(f, field, stored, node, out, error);
	if (sealed_text(stored, node) == BH_JSON_NONE)
		return true;
	bh_span text = bh_json_text(stored, node);
	g_string_append_len(out, text.at, (gssize)text.size);
	return true;
}

static bool keep_password(const form *f, const bh_field *field, const bh_json *stored, bool set, GString *out,
			  GError **error)
{
	if (!keep_value(f, field, stored, out, error))
		return false;
	return !set || out->len > 0 || refuse(error, field, "is not stored yet: give the password itself");
}

/* Leaves `out` empty when the field has no value. */
static bool store_field(const form *f, const bh_field *field, const bh_json *given, const bh_json *stored, GString *out,
			GError **error)
{
	uint32_t node = bh_json_member(given, 0, field->key);
	bool set, ok;

	if (node == BH_JSON_NONE)
		ok = keep_value(f, field, stored, out, error);
	else if (bh_json_type_of(given, node) == BH_JSON_NULL)
		ok = true;
	else if (field->format == BH_FIELD_PASSWORD && is_mask(given, node, &set))
		ok = keep_password(f, field, stored, set, out, error);
	else
		ok = store_value(f, field, given, node, out, error);

	if (ok && out->len == 0 && field->required && !field->default_json)
		return refuse(error, field, "is missing");
	return ok;
}

/* "/settings/<key>" as a JSON pointer (RFC 6901). */
static void point_at(char **ret_pointer, const char *key)
{
	GString *pointer = g_string_new("/settings");
	if (key) {
		g_autoptr(GString) step = g_string_new(key);
		g_string_replace(step, "~", "~0", 0);
		g_string_replace(step, "/", "~1", 0);
		g_string_append_printf(pointer, "/%s", step->str);
	}
	g_free(*ret_pointer);
	*ret_pointer = g_string_free(pointer, FALSE);
}

static bool is_field(const bh_method *method, const bh_json *json, uint32_t name)
{
	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		if (bh_json_string_is(json, name, field->key))
			return true;
	}
	return false;
}

static bool check_names(const bh_method *method, const bh_json *given, char **ret_pointer, GError **error)
{
	if (bh_json_type_of(given, 0) != BH_JSON_OBJECT) {
		point_at(ret_pointer, NULL);
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "the settings must be an object");
		return false;
	}
	for (uint32_t name = bh_json_first(given, 0); name != BH_JSON_NONE; name = bh_json_next(given, 0, name)) {
		if (is_field(method, given, name))
			continue;
		g_autofree char *key = bh_json_string(given, name);
		point_at(ret_pointer, key);
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "method \"%s\" has no field \"%.100s\"", method->name,
			    key ? key : "");
		return false;
	}
	return true;
}

/* NULL, too, when there is nothing readable: then everything must be given. */
static bh_json *parse_stored(const char *stored)
{
	bh_json *json = bh_json_new();
	if (stored && bh_json_parse(json, bh_span_of(stored), NULL) && bh_json_type_of(json, 0) == BH_JSON_OBJECT)
		return json;
	bh_json_free(json);
	return NULL;
}

static void append_member(GString *out, const char *key, const char *value, size_t size)
{
	if (out->len > 1)
		g_string_append_c(out, ',');
	bh_json_append_string(out, bh_span_of(key));
	g_string_append_c(out, ':');
	g_string_append_len(out, value, (gssize)size);
}

static bool store_fields(const form *f, const bh_method *method, const bh_json *given, const bh_json *stored,
			 GString *out, char **ret_pointer, GError **error)
{
	g_autoptr(GString) value = g_string_new(NULL);

	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		g_string_truncate(value, 0);
		if (!store_field(f, field, given, stored, value, error)) {
			point_at(ret_pointer, field->key);
			return false;
		}
		if (value->len > 0)
			append_member(out, field->key, value->str, value->len);
	}
	return true;
}

char *bh_settings_store(const bh_method *method, bh_span given, const char *stored, const bh_sealer *sealer,
			const bh_guard *guard, char **ret_pointer, GError **error)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(bh_json) old = parse_stored(stored);
	g_autoptr(GString) out = g_string_new("{");
	g_autofree char *pointer = NULL;
	form f = {.sealer = sealer, .guard = guard};

	bool ok = bh_json_parse(json, given, error);
	if (!ok)
		point_at(&pointer, NULL);
	ok = ok && check_names(method, json, &pointer, error) &&
	     store_fields(&f, method, json, old, out, &pointer, error);
	if (!ok) {
		if (ret_pointer)
			*ret_pointer = g_steal_pointer(&pointer);
		return NULL;
	}
	g_string_append_c(out, '}');
	return g_string_free(g_steal_pointer(&out), FALSE);
}

/* --- Stored -> shown -------------------------------------------------------------------------- */

static void mask_field(const bh_field *field, const bh_json *stored, GString *out)
{
	uint32_t node = stored ? bh_json_member(stored, 0, field->key) : BH_JSON_NONE;
	bool is_object = node != BH_JSON_NONE && bh_json_type_of(stored, node) == BH_JSON_OBJECT;

	if (field->format == BH_FIELD_PASSWORD) {
		const char *mask = is_object ? "{\"set\":true}" : "{\"set\":false}";
		append_member(out, field->key, mask, strlen(mask));
	} else if (node != BH_JSON_NONE && !is_object) { /* an object was sealed when the field was a password */
		bh_span text = bh_json_text(stored, node);
		append_member(out, field->key, text.at, text.size);
	}
}

char *bh_settings_masked(const bh_method *method, const char *stored)
{
	g_autoptr(bh_json) json = parse_stored(stored);
	GString *out = g_string_new("{");

	for (guint i = 0; i < method->fields->len; i++)
		mask_field(g_ptr_array_index(method->fields, i), json, out);
	g_string_append_c(out, '}');
	return g_string_free(out, FALSE);
}

char *bh_settings_url(const bh_method *method, const char *stored)
{
	g_autoptr(bh_json) json = parse_stored(stored);

	for (guint i = 0; json && i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		if (field->format != BH_FIELD_URL)
			continue;
		uint32_t node = bh_json_member(json, 0, field->key);
		return node == BH_JSON_NONE ? NULL : bh_json_string(json, node);
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
	uint32_t sealed = sealed_text(json, node);
	if (sealed == BH_JSON_NONE)
		return refuse(error, value->field, "is not stored as a password: give it again");

	g_autofree char *text = bh_json_string(json, sealed);
	g_autofree char *purpose = seal_purpose(value->field);
	value->kind = BH_VALUE_SECRET;
	value->secret = text ? bh_unseal(sealer, text, purpose, error) : NULL;
	if (value->secret)
		return true;
	if (!text)
		return refuse(error, value->field, "does not open");
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
		       refuse(error, value->field, "must be true or false");
	case BH_FIELD_INTEGER:
		value->kind = BH_VALUE_INTEGER;
		return bh_json_int(json, node, &value->integer) ||
		       refuse(error, value->field, "must be a whole number");
	default:
		value->kind = BH_VALUE_TEXT;
		value->text = bh_json_string(json, node);
		return value->text || refuse(error, value->field, "must be text");
	}
}

static bool open_field(const bh_sealer *sealer, const bh_json *stored, bh_value *value, GError **error)
{
	uint32_t node = bh_json_member(stored, 0, value->field->key);
	if (node != BH_JSON_NONE)
		return open_value(sealer, stored, node, value, error);
	if (!value->field->default_json)
		return !value->field->required || refuse(error, value->field, "is missing");

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
		if (!open_field(sealer, json, value, error))
			return NULL;
	}
	return g_steal_pointer(&values);
}
