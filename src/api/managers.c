/* /v1/managers: written by the site, read by each manager of himself. */
#include "api/body.h"
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "base/log.h"

static const bh_text_rule EMAIL = {.max = BH_NAME_MAX, .may_be_null = true};

static void write_manager(GString *out, const bh_manager *manager)
{
	bh_out_open(out, NULL, '{');
	bh_out_text(out, "id", manager->id);
	bh_out_text(out, "name", manager->name);
	bh_out_text(out, "email", manager->email);
	bh_out_text(out, "role", bh_manager_role_name(manager->role));
	bh_out_time(out, "created_at", manager->created_at);
	bh_out_time(out, "updated_at", manager->updated_at);
	bh_out_close(out, '}');
}

static void reply_manager(bh_call *call, unsigned status, const bh_manager *manager)
{
	GString *out = g_string_sized_new(256);

	write_manager(out, manager);
	bh_reply_json(call, status, out);
}

/* --- Reading ----------------------------------------------------------------------------- */

/* One more than is shown tells whether there is a next page. */
static GPtrArray *rows_after(const bh_call *call, const bh_page *page)
{
	if (!call->scope.manager_id)
		return bh_snapshot_page_managers(call->scope.snapshot, page->after, page->limit + 1);

	GPtrArray *rows = g_ptr_array_new();
	if (!page->after)
		g_ptr_array_add(rows, (void *)bh_snapshot_manager(call->scope.snapshot, call->scope.manager_id));
	return rows;
}

void bh_list_managers(bh_call *call)
{
	g_auto(bh_page) page = {0};

	if (!bh_page_read(call, &page))
		return;
	g_autoptr(GPtrArray) rows = rows_after(call, &page);
	GString *out = bh_page_open();
	const bh_manager *last = NULL;

	for (guint i = 0; i < rows->len && i < page.limit; i++) {
		last = g_ptr_array_index(rows, i);
		write_manager(out, last);
	}
	bh_page_close(call, out, rows->len > page.limit ? last->id : NULL);
}

void bh_show_manager(bh_call *call)
{
	const bh_manager *manager = bh_scope_manager(&call->scope, call->id);

	if (manager)
		reply_manager(call, 200, manager);
	else
		bh_reply_not_found(call);
}

/* --- Writing ----------------------------------------------------------------------------- */

static bool read_role(bh_call *call, bh_manager_role *ret)
{
	static const bh_text_rule RULE = {.max = 32};
	g_autofree char *text = NULL;

	if (!bh_body_text(call, bh_body_member(call, "role"), "/role", &RULE, &text))
		return false;
	if (!text || bh_manager_role_parse(text, ret))
		return true;
	bh_reply_problem(call, BH_PROBLEM_FIELD, "/role", "It is one of manager, super, receptionist.");
	return false;
}

/* The body as a manager; NULL: the call is answered. */
static bh_manager *read_manager(bh_call *call)
{
	static const char *const MEMBERS[] = {"id", "name", "email", "role", NULL};
	g_autoptr(bh_manager) manager = bh_manager_new();

	if (!bh_body_parse(call, MEMBERS) || !bh_body_own_id(call, &manager->id) ||
	    !bh_body_text(call, bh_body_member(call, "name"), "/name", &BH_RULE_NAME, &manager->name) ||
	    !bh_body_text(call, bh_body_member(call, "email"), "/email", &EMAIL, &manager->email) ||
	    !read_role(call, &manager->role))
		return NULL;
	if (!manager->name)
		manager->name = g_strdup("");
	return g_steal_pointer(&manager);
}

static void manager_put(bh_call *call)
{
	const bh_manager *manager = call->change->manager;
	bool is_new = !bh_snapshot_manager(call->scope.snapshot, manager->id);

	if (bh_call_failed(call))
		return;
	bh_log(BH_INFO, "api", is_new ? "manager added" : "manager changed", BH_STR("manager", manager->id),
	       BH_STR("by", call->scope.key_text));
	reply_manager(call, is_new ? 201 : 200, manager);
}

void bh_put_manager(bh_call *call)
{
	bh_manager *manager = read_manager(call);

	if (!manager)
		return;
	const bh_manager *before = bh_snapshot_manager(call->scope.snapshot, manager->id);
	manager->created_at = before ? before->created_at : call->now;
	manager->updated_at = call->now;

	bh_change *change = g_new0(bh_change, 1);
	change->kind = BH_CHANGE_MANAGER_PUT;
	change->manager = manager;
	bh_call_change(call, change, manager_put);
}

static void manager_removed(bh_call *call)
{
	if (bh_call_failed(call))
		return;
	bh_log(BH_INFO, "api", "manager removed", BH_STR("manager", call->id), BH_STR("by", call->scope.key_text));
	bh_reply_empty(call, 204);
}

void bh_delete_manager(bh_call *call)
{
	bh_change *change = g_new0(bh_change, 1);

	change->kind = BH_CHANGE_MANAGER_REMOVE;
	change->name = g_strdup(call->id);
	bh_call_change(call, change, manager_removed);
}
