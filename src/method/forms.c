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
#include "method/field.h"

#include <string.h>

#define TEXT_MAX (4 * 1024)
#define AREA_MAX (64 * 1024)

/* The form on its way from given to stored. */
typedef struct form {
	const bh_sealer *sealer; /* NULL: check only */
	const bh_guard *guard; /* NULL: check only */
	const bh_method *method;
	const bh_json *given, *stored; /* stored: NULL when there is nothing readable */
	GPtrArray *values; /* char *: the stored form of each field so far; "" when there is none */
	bool needed; /* the field at hand is required, and counts */
} form;

/* --- Given -> stored, one value --------------------------------------------------------------- */

static size_t text_limit(const bh_field *field)
{
	return field->format == BH_FIELD_AREA || field->format == BH_FIELD_HTML ? AREA_MAX : TEXT_MAX;
}

/* The decoded text, to be wiped by the caller; NULL: not an acceptable one. */
static char *read_text(const bh_field *field, const bh_json *json, uint32_t node, GError **error)
{
	if (bh_json_type_of(json, node) != BH_JSON_STRING) {
		bh_field_refuse(error, field, "must be text");
		return NULL;
	}
	char *text = bh_json_string(json, node);
	if (!text) {
		bh_field_refuse(error, field, "must not hold the character U+0000");
		return NULL;
	}
	if (strlen(text) > text_limit(field)) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" is longer than %zu bytes", field->key,
			    text_limit(field));
		g_clear_pointer(&text, bh_text_wipe);
	}
	return text;
}

static bool check_url(const form *f, const char *text, GError **error)
{
	bh_target target = {0};

	if (!f->guard)
		return true;
	bool ok = bh_guard_check_url(f->guard, text, &target, error);
	bh_target_clear(&target);
	return ok;
}

static void write_password(const form *f, const bh_field *field, const char *text, GString *out)
{
	g_autofree char *purpose = bh_seal_purpose(field);
	g_autofree char *sealed = bh_seal(f->sealer, bh_span_of(text), purpose);
	g_string_append_printf(out, "{\"sealed\":\"%s\"}", sealed);
}

static bool check_text(const form *f, const bh_field *field, const char *text, GError **error)
{
	return (field->format != BH_FIELD_URL || check_url(f, text, error)) && bh_field_check_text(field, text, error);
}

static bool store_text(const form *f, const bh_field *field, const bh_json *json, uint32_t node, GString *out,
		       GError **error)
{
	char *text = read_text(field, json, node, error);
	if (!text)
		return false;

	if (field->trim || field->format == BH_FIELD_URL)
		bh_field_trim(text);
	bool is_none = !*text && bh_field_empty_is_none(field), ok = true;
	if (f->needed && !*text)
		ok = bh_field_refuse(error, field, "must not be empty");
	else if (!is_none)
		ok = check_text(f, field, text, error);

	if (ok && !is_none && field->format == BH_FIELD_PASSWORD && f->sealer)
		write_password(f, field, text, out);
	else if (ok && !is_none)
		bh_json_append_string(out, bh_span_of(text));
	bh_text_wipe(text);
	return ok;
}

/* Appends the value at `node` in its stored form; nothing for one that is empty and stands for none. */
static bool store_value(const form *f, const bh_field *field, const bh_json *json, uint32_t node, GString *out,
			GError **error)
{
	bh_json_type type = bh_json_type_of(json, node);
	int64_t number;

	switch (field->format) {
	case BH_FIELD_BOOLEAN:
		if (type != BH_JSON_TRUE && type != BH_JSON_FALSE)
			return bh_field_refuse(error, field, "must be true or false");
		break;
	case BH_FIELD_INTEGER:
		if (!bh_json_int(json, node, &number))
			return bh_field_refuse(error, field, "must be a whole number");
		if (!bh_field_check_number(field, number, error))
			return false;
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
	form check_only = {.needed = field->required || bh_field_empty_is_none(field)};

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

static bh_span value_so_far(void *user, const bh_method *method, guint index)
{
	form *f = user;
	return bh_span_of(g_ptr_array_index(f->values, index));
}

static uint32_t stored_node(const form *f, const bh_field *field)
{
	return f->stored ? bh_json_member(f->stored, 0, field->key) : BH_JSON_NONE;
}

/* A password is an object when it is stored, and nothing else is; a method file may have changed that since. */
static bool is_of_its_kind(const form *f, const bh_field *field, uint32_t node)
{
	if (field->format == BH_FIELD_PASSWORD)
		return bh_sealed_text(f->stored, node) != BH_JSON_NONE;
	return bh_json_type_of(f->stored, node) != BH_JSON_OBJECT;
}

/*
 * What was stored stays, if it fits: the method file may have changed since, or be another one. Of a field that does not
 * count it stays as it is, for nobody sees it to put it right; its turn comes when it counts again.
 */
static bool keep_value(const form *f, const bh_field *field, bool counts, GString *out, GError **error)
{
	uint32_t node = stored_node(f, field);

	if (node == BH_JSON_NONE || !is_of_its_kind(f, field, node))
		return true;
	if (counts && field->format != BH_FIELD_PASSWORD)
		return store_value(f, field, f->stored, node, out, error);
	bh_span text = bh_json_text(f->stored, node);
	g_string_append_len(out, text.at, (gssize)text.size);
	return true;
}

/* A page sends back what it was shown: of a hidden field, too. */
static bool is_as_stored(const form *f, const bh_field *field, uint32_t node)
{
	uint32_t stored = stored_node(f, field);
	if (stored == BH_JSON_NONE || bh_json_type_of(f->stored, stored) != bh_json_type_of(f->given, node))
		return false;
	if (bh_json_type_of(f->given, node) != BH_JSON_STRING)
		return bh_span_equal(bh_json_text(f->given, node), bh_json_text(f->stored, stored));
	g_autofree char *after = bh_json_string(f->given, node), *before = bh_json_string(f->stored, stored);
	return g_strcmp0(after, before) == 0;
}

static bool keep_password(const form *f, const bh_field *field, bool set, GString *out, GError **error)
{
	if (!keep_value(f, field, true, out, error))
		return false;
	return !set || out->len > 0 || bh_field_refuse(error, field, "is not stored yet: give the password itself");
}

static bool store_given(const form *f, const bh_field *field, uint32_t node, bool counts, GString *out, GError **error)
{
	bool set;

	if (bh_json_type_of(f->given, node) == BH_JSON_NULL)
		return true;
	if (field->format == BH_FIELD_PASSWORD && is_mask(f->given, node, &set))
		return keep_password(f, field, set, out, error);
	if (!counts && is_as_stored(f, field, node))
		return keep_value(f, field, false, out, error);
	return store_value(f, field, f->given, node, out, error);
}

/* Leaves `out` empty when the field has no value. */
static bool store_field(form *f, const bh_field *field, GString *out, GError **error)
{
	bool counts = bh_field_counts(f->method, field, value_so_far, f);
	uint32_t node = bh_json_member(f->given, 0, field->key);

	f->needed = field->required && counts;
	bool ok = node == BH_JSON_NONE ? keep_value(f, field, counts, out, error)
				       : store_given(f, field, node, counts, out, error);
	if (ok && f->needed && out->len == 0 && !field->default_json)
		return bh_field_refuse(error, field, "is missing");
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
		if (field->format != BH_FIELD_NOTES && bh_json_string_is(json, name, field->key))
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

/* Fields come in the form's order, so those that decide about others have their values first. */
static bool store_fields(form *f, GString *out, char **ret_pointer, GError **error)
{
	for (guint i = 0; i < f->method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(f->method->fields, i);
		GString *value = g_string_new(NULL);
		bool ok = field->format == BH_FIELD_NOTES || store_field(f, field, value, error);

		g_ptr_array_add(f->values, g_string_free(value, FALSE));
		if (!ok) {
			point_at(ret_pointer, field->key);
			return false;
		}
		bh_span text = value_so_far(f, f->method, i);
		if (text.size > 0)
			bh_append_setting(out, field, text);
	}
	return true;
}

char *bh_settings_store(const bh_method *method, bh_span given, const char *stored, const bh_sealer *sealer,
			const bh_guard *guard, char **ret_pointer, GError **error)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(bh_json) old = bh_parse_stored(stored);
	g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) out = g_string_new("{");
	g_autofree char *pointer = NULL;
	form f = {.sealer = sealer, .guard = guard, .method = method, .given = json, .stored = old, .values = values};

	bool ok = bh_json_parse(json, given, error);
	if (!ok)
		point_at(&pointer, NULL);
	ok = ok && check_names(method, json, &pointer, error) && store_fields(&f, out, &pointer, error);
	if (!ok) {
		if (ret_pointer)
			*ret_pointer = g_steal_pointer(&pointer);
		return NULL;
	}
	g_string_append_c(out, '}');
	return g_string_free(g_steal_pointer(&out), FALSE);
}
