/* /v1/properties: written by the site, read by each manager of his own. */
#include "api/body.h"
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "base/log.h"

static void write_property(GString *out, const bh_property *property)
{
	bh_out_open(out, NULL, '{');
	bh_out_text(out, "id", property->id);
	bh_out_text(out, "name", property->name);
	bh_out_texts(out, "managers", property->managers);
	bh_out_time(out, "created_at", property->created_at);
	bh_out_time(out, "updated_at", property->updated_at);
	bh_out_close(out, '}');
}

static void reply_property(bh_call *call, unsigned status, const bh_property *property)
{
	GString *out = g_string_sized_new(256);

	write_property(out, property);
	bh_reply_json(call, status, out);
}

/* --- Reading ----------------------------------------------------------------------------- */

void bh_list_properties(bh_call *call)
{
	const char *wanted = bh_call_query(call, "manager_id"), *own = call->scope.manager_id;
	g_auto(bh_page) page = {0};

	if (!bh_page_read(call, &page) || !bh_check_site_id(call, "manager_id"))
		return;
	/* A manager who asks for another one's properties finds nothing, as for a manager who is not there. */
	bool foreign = own && wanted && g_strcmp0(own, wanted) != 0;
	g_autoptr(GPtrArray) rows = foreign ? g_ptr_array_new()
					    : bh_snapshot_page_properties(call->scope.snapshot, own ? own : wanted,
									  page.after, page.limit + 1);
	GString *out = bh_page_open();
	const bh_property *last = NULL;

	for (guint i = 0; i < rows->len && i < page.limit; i++) {
		last = g_ptr_array_index(rows, i);
		if (bh_scope_sees_property(&call->scope, last))
			write_property(out, last);
	}
	bh_page_close(call, out, rows->len > page.limit ? last->id : NULL);
}

void bh_show_property(bh_call *call)
{
	const bh_property *property = bh_scope_property(&call->scope, call->id);

	if (property)
		reply_property(call, 200, property);
	else
		bh_reply_not_found(call);
}

/* --- Writing ----------------------------------------------------------------------------- */

/* The body as a property; NULL: the call is answered. */
static bh_property *read_property(bh_call *call)
{
	static const char *const MEMBERS[] = {"id", "name", "managers", NULL};
	g_autoptr(bh_property) property = bh_property_new();

	if (!bh_body_parse(call, MEMBERS) || !bh_body_own_id(call, &property->id) ||
	    !bh_body_text(call, bh_body_member(call, "name"), "/name", &BH_RULE_NAME, &property->name) ||
	    !bh_body_texts(call, bh_body_member(call, "managers"), "/managers", &BH_RULE_SITE_ID, BH_SELECTION_MAX,
			   &property->managers))
		return NULL;
	if (!property->name)
		property->name = g_strdup("");
	if (!property->managers)
		property->managers = g_new0(char *, 1);
	return g_steal_pointer(&property);
}

static void property_put(bh_call *call)
{
	const bh_property *property = call->change->property;
	bool is_new = !bh_snapshot_property(call->scope.snapshot, property->id);

	if (bh_call_failed(call))
		return;
	bh_log(BH_INFO, "api", is_new ? "property added" : "property changed", BH_STR("property", property->id),
	       BH_STR("by", call->scope.key_text));
	reply_property(call, is_new ? 201 : 200, property);
}

void bh_put_property(bh_call *call)
{
	bh_property *property = read_property(call);

	if (!property)
		return;
	const bh_property *before = bh_snapshot_property(call->scope.snapshot, property->id);
	property->created_at = before ? before->created_at : call->now;
	property->updated_at = call->now;

	bh_change *change = g_new0(bh_change, 1);
	change->kind = BH_CHANGE_PROPERTY_PUT;
	change->property = property;
	bh_call_change(call, change, property_put);
}

static void property_removed(bh_call *call)
{
	if (bh_call_failed(call))
		return;
	bh_log(BH_INFO, "api", "property removed", BH_STR("property", call->id), BH_STR("by", call->scope.key_text));
	bh_reply_empty(call, 204);
}

void bh_delete_property(bh_call *call)
{
	bh_change *change = g_new0(bh_change, 1);

	change->kind = BH_CHANGE_PROPERTY_REMOVE;
	change->name = g_strdup(call->id);
	bh_call_change(call, change, property_removed);
}
