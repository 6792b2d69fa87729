/* /v1/event-types: the catalogue. The built-in types stay as they are; the site adds its own. */
#include "api/body.h"
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

static void write_type(GString *out, const bh_event_type *type)
{
	bh_out_open(out, NULL, '{');
	bh_out_text(out, "name", type->name);
	bh_out_text(out, "group", type->group);
	bh_out_text(out, "description", type->description ? type->description : "");
	bh_out_texts(out, "fields", type->fields);
	bh_out_texts(out, "sensitive", type->sensitive);
	bh_out_raw(out, "example", bh_span_of(type->example));
	bh_out_raw(out, "schema", bh_span_of(type->schema));
	bh_out_bool(out, "built_in", type->built_in);
	bh_out_close(out, '}');
}

static void reply_type(bh_call *call, unsigned status, const bh_event_type *type)
{
	GString *out = g_string_sized_new(512);

	write_type(out, type);
	bh_reply_json(call, status, out);
}

static const bh_event_type *find_type(const bh_call *call, const char *name)
{
	return bh_catalogue_find(bh_snapshot_catalogue(call->scope.snapshot), name);
}

/* --- Reading ----------------------------------------------------------------------------- */

static bool comes_after(const bh_event_type *type, const bh_page *page)
{
	return !page->after || strcmp(type->name, page->after) > 0;
}

void bh_list_types(bh_call *call)
{
	g_auto(bh_page) page = {0};

	if (!bh_page_read(call, &page))
		return;
	g_autoptr(GPtrArray) types = bh_catalogue_list(bh_snapshot_catalogue(call->scope.snapshot));
	GString *out = bh_page_open();
	const char *last = NULL;
	size_t shown = 0;
	guint i = 0;

	for (; i < types->len && shown < page.limit; i++) {
		const bh_event_type *type = g_ptr_array_index(types, i);
		if (!comes_after(type, &page))
			continue;
		write_type(out, type);
		last = type->name;
		shown++;
	}
	bh_page_close(call, out, i < types->len ? last : NULL);
}

void bh_show_type(bh_call *call)
{
	const bh_event_type *type = find_type(call, call->id);

	if (type)
		reply_type(call, 200, type);
	else
		bh_reply_not_found(call);
}

/* --- Writing ----------------------------------------------------------------------------- */

/* The body with the path's name in it, as bh_event_type_parse wants it. False: the call is answered. */
static bool body_with_name(bh_call *call, GString *ret_json)
{
	static const char *const MEMBERS[] = {"name",      "group",   "description", "fields",
					      "sensitive", "example", "schema",      NULL};
	g_autofree char *name = NULL;
	bh_json *json;

	if (!bh_type_name_ok(bh_span_of(call->id))) {
		bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL,
				 "The name of a type has 1 to %d letters, digits, \"_\", \"-\" and \".\".",
				 BH_TYPE_NAME_MAX);
		return false;
	}
	if (!bh_body_parse(call, MEMBERS) ||
	    !bh_body_text(call, bh_body_member(call, "name"), "/name", &BH_RULE_NAME, &name))
		return false;
	if (name && strcmp(name, call->id) != 0) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/name", "It is not the name of the path.");
		return false;
	}

	json = bh_call_json(call);
	bh_out_open(ret_json, NULL, '{');
	bh_out_text(ret_json, "name", call->id);
	for (const char *const *member = MEMBERS + 1; *member; member++) {
		uint32_t value = bh_body_member(call, *member);
		if (value != BH_JSON_NONE && bh_json_type_of(json, value) != BH_JSON_NULL)
			bh_out_raw(ret_json, *member, bh_json_text(json, value));
	}
	bh_out_close(ret_json, '}');
	return true;
}

static bh_event_type *read_type(bh_call *call)
{
	g_autoptr(GString) json = g_string_sized_new(512);
	g_autoptr(GError) error = NULL;

	if (!body_with_name(call, json))
		return NULL;
	bh_event_type *type = bh_event_type_parse((bh_span){json->str, json->len}, &error);
	if (!type)
		bh_reply_problem(call, BH_PROBLEM_FIELD, "", "%s", error->message);
	return type;
}

static void type_put(bh_call *call)
{
	const bh_event_type *type = call->change->type;
	bool is_new = !find_type(call, type->name);

	if (bh_call_failed(call))
		return;
	bh_log(BH_INFO, "api", is_new ? "event type added" : "event type changed", BH_STR("type", type->name),
	       BH_STR("by", call->scope.key_text));
	reply_type(call, is_new ? 201 : 200, type);
}

void bh_put_type(bh_call *call)
{
	bh_event_type *type = read_type(call);

	if (!type)
		return;
	bh_change *change = g_new0(bh_change, 1);
	change->kind = BH_CHANGE_TYPE_PUT;
	change->type = type;
	bh_call_change(call, change, type_put);
}

static void type_removed(bh_call *call)
{
	if (bh_call_failed(call))
		return;
	bh_log(BH_INFO, "api", "event type removed", BH_STR("type", call->id), BH_STR("by", call->scope.key_text));
	bh_reply_empty(call, 204);
}

void bh_delete_type(bh_call *call)
{
	bh_change *change = g_new0(bh_change, 1);

	change->kind = BH_CHANGE_TYPE_REMOVE;
	change->name = g_strdup(call->id);
	bh_call_change(call, change, type_removed);
}
