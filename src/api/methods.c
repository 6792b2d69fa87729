/* /v1/methods: the forms that a page builds its fields from, which files are broken, and reading them anew. */
#include "api/page.h"
#include "api/rehearsals.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

/* --- One method -------------------------------------------------------------------------- */

static void write_condition(GString *out, const bh_field *field)
{
	if (!field->when_field) {
		bh_out_null(out, "when");
		return;
	}
	bh_out_open(out, "when", '{');
	bh_out_text(out, "field", field->when_field);
	bh_out_texts(out, "is", field->when_values);
	bh_out_close(out, '}');
}

static void write_bound(GString *out, const char *name, bool has, int64_t number)
{
	if (has)
		bh_out_int(out, name, number);
	else
		bh_out_null(out, name);
}

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
	write_condition(out, field);
	bh_out_text(out, "pattern", field->pattern);
	bh_out_text(out, "hint", field->hint);
	bh_out_bool(out, "trim", field->trim);
	write_bound(out, "min", field->has_min, field->min);
	write_bound(out, "max", field->has_max, field->max);
	bh_out_close(out, '}');
}

/* Why the file as it is now was not taken, and an older version is at work; NULL: it was. */
static const char *trouble_of(const bh_methods *methods, const char *name)
{
	const GPtrArray *broken = bh_methods_broken(methods);

	for (guint i = 0; i < broken->len; i++) {
		const bh_broken_method *b = g_ptr_array_index(broken, i);
		if (strcmp(b->name, name) == 0)
			return b->why;
	}
	return NULL;
}

static void write_method(GString *out, const bh_methods *methods, const bh_method *method)
{
	bh_out_open(out, NULL, '{');
	bh_out_text(out, "name", method->name);
	bh_out_text(out, "title", method->title);
	bh_out_text(out, "notes", method->notes);
	bh_out_int(out, "interface", method->interface);
	bh_out_bool(out, "has_accepts", method->has_accepts);
	bh_out_bool(out, "has_transform", method->has_transform);
	bh_out_text(out, "error", trouble_of(methods, method->name));
	bh_out_open(out, "fields", '[');
	for (guint i = 0; i < method->fields->len; i++)
		write_field(out, g_ptr_array_index(method->fields, i));
	bh_out_close(out, ']');
	bh_out_close(out, '}');
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
	write_method(out, methods, method);
	bh_reply_json(call, 200, out);
}

/* --- The list ---------------------------------------------------------------------------- */

static void write_broken(GString *out, const bh_methods *methods)
{
	const GPtrArray *broken = bh_methods_broken(methods);

	bh_out_open(out, "broken", '[');
	for (guint i = 0; i < broken->len; i++) {
		const bh_broken_method *b = g_ptr_array_index(broken, i);
		bh_out_open(out, NULL, '{');
		bh_out_text(out, "name", b->name);
		bh_out_text(out, "error", b->why);
		bh_out_bool(out, "kept", b->kept);
		bh_out_close(out, '}');
	}
	bh_out_close(out, ']');
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
		write_method(out, methods, method);
		last = method->name;
		shown++;
	}
	bh_out_close(out, ']');
	write_broken(out, methods);
	bh_page_end(call, out, i < rows->len ? last : NULL);
}

/* --- Reading them anew ------------------------------------------------------------------- */

/* The methods before and after: the call's work. */
typedef struct reloading {
	bh_methods *before, *now; /* NULL: they could not be read */
	GError *error;
	char *line; /* of the audit log */
} reloading;

static void reloading_free(void *user)
{
	reloading *r = user;

	g_clear_pointer(&r->before, bh_methods_unref);
	g_clear_pointer(&r->now, bh_methods_unref);
	g_clear_error(&r->error);
	g_free(r->line);
	g_free(r);
}

/* On the rehearsals' thread. */
static void read_anew(bh_call *call, const bh_stage *stage)
{
	const bh_api_rooms *rooms = &stage->api->rooms;
	reloading *r = call->work;

	(void)rooms->reload_methods(rooms->house, &r->before, &r->now, &r->error); /* `error` says it */
}

/* What `all` has and `others` has not, or not the same: an unchanged file keeps its very method. */
static void add_differing(GPtrArray *ret_names, const bh_methods *all, const bh_methods *others, bool also_newer)
{
	g_autoptr(GPtrArray) list = bh_methods_list(all);

	for (guint i = 0; i < list->len; i++) {
		const bh_method *method = g_ptr_array_index(list, i);
		const bh_method *other = bh_methods_find(others, method->name);
		if (!other || (also_newer && other != method))
			g_ptr_array_add(ret_names, method->name);
	}
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* New, changed and removed ones, NULL at the end; the names are borrowed. */
static GPtrArray *changed_names(const reloading *r)
{
	GPtrArray *names = g_ptr_array_new();

	add_differing(names, r->now, r->before, true);
	add_differing(names, r->before, r->now, false);
	g_ptr_array_sort(names, compare_texts);
	g_ptr_array_add(names, NULL);
	return names;
}

static void noted(bh_call *call)
{
	const reloading *r = call->work;

	if (bh_call_failed(call))
		return;
	g_autoptr(GPtrArray) changed = changed_names(r), all = bh_methods_list(r->now);
	GString *out = g_string_sized_new(256);

	bh_out_open(out, NULL, '{');
	bh_out_text(out, "folder", bh_methods_origin(r->now));
	bh_out_int(out, "methods", all->len);
	bh_out_texts(out, "changed", (char *const *)changed->pdata);
	write_broken(out, r->now);
	bh_out_close(out, '}');
	bh_reply_json(call, 200, out);
}

/* They are at work by now, whatever becomes of the line in the audit log. */
static void reloaded(bh_call *call)
{
	reloading *r = call->work;

	if (bh_call_failed(call))
		return;
	if (r->error) {
		bh_log(BH_ERR, "api", "methods not read anew; they stay as they were",
		       BH_STR("why", r->error->message));
		bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "%s", r->error->message);
		return;
	}
	g_autoptr(GPtrArray) changed = changed_names(r);
	g_autofree char *names = g_strjoinv(" ", (char **)changed->pdata);

	r->line = g_strdup_printf("methods.reload%s%s", *names ? " " : "", names);
	bh_log(BH_INFO, "api", "methods read anew", BH_STR("folder", bh_methods_origin(r->now)),
	       BH_STR("changed", names), BH_STR("by", call->scope.key_text));
	bh_call_write(call, &(bh_write){.kind = BH_WRITE_AUDIT, .audit_what = r->line}, noted);
}

void bh_reload_methods(bh_call *call)
{
	if (!call->api->rooms.reload_methods) {
		bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "There is no folder to read methods from.");
		return;
	}
	bh_call_set_work(call, g_new0(reloading, 1), reloading_free);
	bh_rehearse(call, true, read_anew, reloaded);
}
