/* /v1/methods: the forms that a page builds its fields from. */
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"

#include <string.h>

static void write_field(GString *out, const bh_field *field)
{
	bh_out_open(out, NULL, '{');
	bh_out_text(out, "key", field->key);
	bh_out_text(out, "format", bh_field_format_name(field->format));
	bh_out_text(out, "title", field->title);
	bh_out_text(out, "help", field->help);
	bh_out_bool(out, "required", field->required);
	bh_out_raw(out, "default", bh_span_of(field->default_json));
	bh_out_texts(out, "options", field->options);
	bh_out_close(out, '}');
}

static void write_method(GString *out, const bh_method *method)
{
	bh_out_open(out, NULL, '{');
	bh_out_text(out, "name", method->name);
	bh_out_text(out, "title", method->title);
	bh_out_text(out, "notes", method->notes);
	bh_out_open(out, "fields", '[');
	for (guint i = 0; i < method->fields->len; i++)
		write_field(out, g_ptr_array_index(method->fields, i));
	bh_out_close(out, ']');
	bh_out_close(out, '}');
}

void bh_list_methods(bh_call *call)
{
	g_auto(bh_page) page = {0};

	if (!bh_page_read(call, &page))
		return;
	g_autoptr(bh_methods) methods = bh_api_methods(call->api);
	g_autoptr(GPtrArray) rows = bh_methods_list(methods);
	GString *out = bh_page_open();
	const char *last = NULL;
	size_t shown = 0;
	guint i = 0;

	for (; i < rows->len && shown < page.limit; i++) {
		const bh_method *method = g_ptr_array_index(rows, i);
		if (page.after && strcmp(method->name, page.after) <= 0)
			continue;
		write_method(out, method);
		last = method->name;
		shown++;
	}
	bh_page_close(call, out, i < rows->len ? last : NULL);
}

void bh_show_method(bh_call *call)
{
	g_autoptr(bh_methods) methods = bh_api_methods(call->api);
	const bh_method *method = bh_methods_find(methods, call->id);

	if (!method) {
		bh_reply_not_found(call);
		return;
	}
	GString *out = g_string_sized_new(1024);
	write_method(out, method);
	bh_reply_json(call, 200, out);
}
