#include "cli/method_json.h"

#include "cli/object.h"

static void add_flag(GString *object, const char *name, bool value)
{
	bh_object_raw(object, name, bh_span_of(value ? "true" : "false"));
}

static void add_or_null(GString *object, const char *name, const char *text)
{
	if (text)
		bh_object_text(object, name, text);
	else
		bh_object_raw(object, name, bh_span_of("null"));
}

static void add_bound(GString *object, const char *name, bool given, int64_t bound)
{
	if (given)
		bh_object_int(object, name, bound);
	else
		bh_object_raw(object, name, bh_span_of("null"));
}

static void add_when(GString *object, const bh_field *field)
{
	g_autoptr(GString) when = bh_object_new();
	bh_object_text(when, "field", field->when_field);
	if (field->when_values)
		bh_object_list(when, "is", (const char *const *)field->when_values);
	bh_span text = bh_object_end(when);
	bh_object_raw(object, "when", field->when_field ? text : bh_span_of("null"));
}

static void append_field(const bh_field *field, GString *out)
{
	g_autoptr(GString) object = bh_object_new();
	bh_object_text(object, "key", field->key);
	bh_object_text(object, "format", bh_field_format_name(field->format));
	bh_object_text(object, "title", field->title);
	add_or_null(object, "help", field->help);
	add_flag(object, "required", field->required);
	bh_object_raw(object, "default", bh_span_of(field->default_json ? field->default_json : "null"));
	if (field->options)
		bh_object_list(object, "options", (const char *const *)field->options);
	else
		bh_object_raw(object, "options", bh_span_of("null"));
	add_when(object, field);
	add_or_null(object, "pattern", field->pattern);
	add_or_null(object, "hint", field->hint);
	add_flag(object, "trim", field->trim);
	add_bound(object, "min", field->has_min, field->min);
	add_bound(object, "max", field->has_max, field->max);
	bh_object_end(object);
	g_string_append_len(out, object->str, (gssize)object->len);
}

void bh_method_json_append(const bh_method *method, GString *out)
{
	g_autoptr(GString) object = bh_object_new();
	g_autoptr(GString) fields = g_string_new("[");
	for (guint i = 0; i < method->fields->len; i++) {
		if (i)
			g_string_append_c(fields, ',');
		append_field(g_ptr_array_index(method->fields, i), fields);
	}
	g_string_append_c(fields, ']');

	bh_object_text(object, "name", method->name);
	bh_object_text(object, "title", method->title);
	add_or_null(object, "notes", method->notes);
	bh_object_int(object, "interface", method->interface);
	add_flag(object, "has_accepts", method->has_accepts);
	add_flag(object, "has_transform", method->has_transform);
	bh_object_raw(object, "fields", (bh_span){fields->str, fields->len});
	bh_object_end(object);
	g_string_append_len(out, object->str, (gssize)object->len);
}
