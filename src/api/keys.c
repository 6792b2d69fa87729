/* /v1/keys: who may use the API. Only hashes are kept, so a key is shown once and never again. */
#include "api/body.h"
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "base/log.h"

/* `text` is the key itself, in the answer of its creation; else NULL. */
static void write_key(GString *out, const bh_key *key, const char *text)
{
	bh_out_open(out, NULL, '{');
	bh_out_id(out, "id", BH_ID_KEY, key->id);
	bh_out_text(out, "role", bh_key_role_name(key->role));
	bh_out_text(out, "manager_id", key->manager_id);
	bh_out_text(out, "name", key->name);
	bh_out_time(out, "created_at", key->created_at);
	if (text)
		bh_out_text(out, "key", text);
	bh_out_close(out, '}');
}

void bh_list_keys(bh_call *call)
{
	g_auto(bh_page) page = {0};

	if (!bh_page_read(call, &page))
		return;
	g_autoptr(GPtrArray) rows = bh_snapshot_page_keys(call->scope.snapshot, page.number, page.limit + 1);
	GString *out = bh_page_open();
	const bh_key *last = NULL;

	for (guint i = 0; i < rows->len && i < page.limit; i++) {
		last = g_ptr_array_index(rows, i);
		write_key(out, last, NULL);
	}
	bh_page_close_at(call, out, rows->len > page.limit ? last->id : 0);
}

/* --- Making one -------------------------------------------------------------------------- */

static bool read_role(bh_call *call, bh_key_role *ret)
{
	static const bh_text_rule RULE = {.max = 32};
	g_autofree char *text = NULL;

	if (!bh_body_text(call, bh_body_member(call, "role"), "/role", &RULE, &text))
		return false;
	if (text && bh_key_role_parse(text, ret))
		return true;
	bh_reply_problem(call, BH_PROBLEM_FIELD, "/role", "It is needed: one of site, emit, manager.");
	return false;
}

static bool check_manager(bh_call *call, const bh_key *key)
{
	if (key->role != BH_KEY_MANAGER && key->manager_id)
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/manager_id", "Only a key of role manager has it.");
	else if (key->role == BH_KEY_MANAGER && !key->manager_id)
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/manager_id", "A key of role manager needs it.");
	else if (key->manager_id && !bh_snapshot_manager(call->scope.snapshot, key->manager_id))
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/manager_id", "There is no such manager.");
	else
		return true;
	return false;
}

static bh_key *read_key(bh_call *call)
{
	static const char *const MEMBERS[] = {"role", "manager_id", "name", NULL};
	g_autoptr(bh_key) key = bh_key_new();

	if (!bh_body_parse(call, MEMBERS) || !read_role(call, &key->role) ||
	    !bh_body_text(call, bh_body_member(call, "manager_id"), "/manager_id", &BH_RULE_SITE_ID_OR_NULL,
			  &key->manager_id) ||
	    !bh_body_text(call, bh_body_member(call, "name"), "/name", &BH_RULE_NAME, &key->name) ||
	    !check_manager(call, key))
		return NULL;
	if (!key->name)
		key->name = g_strdup("");
	return g_steal_pointer(&key);
}

static void wipe(void *text)
{
	bh_text_wipe(text);
}

static void key_made(bh_call *call)
{
	const bh_key *key = call->change->key;

	if (bh_call_failed(call))
		return;
	char id[BH_ID_TEXT_SIZE];
	g_autofree char *location = g_strconcat("/v1/keys/", bh_id_text(BH_ID_KEY, key->id, id), NULL);
	GString *out = g_string_sized_new(256);

	bh_log(BH_INFO, "api", "key made", BH_ID("key", BH_ID_KEY, key->id),
	       BH_STR("role", bh_key_role_name(key->role)), BH_STR("by", call->scope.key_text));
	write_key(out, key, call->work);
	bh_reply_header(call, "Location", location);
	bh_reply_json(call, 201, out);
}

void bh_create_key(bh_call *call)
{
	bh_key *key = read_key(call);

	if (!key)
		return;
	key->id = bh_id_new();
	key->created_at = call->now;
	bh_call_set_work(call, bh_key_text_new(key->hash), wipe);

	bh_change *change = g_new0(bh_change, 1);
	change->kind = BH_CHANGE_KEY_PUT;
	change->key = key;
	bh_call_change(call, change, key_made);
}

/* --- Revoking one ------------------------------------------------------------------------ */

static size_t count_site_keys(const bh_snapshot *snapshot)
{
	size_t count = 0;
	bh_id after = 0;

	for (;;) {
		g_autoptr(GPtrArray) keys = bh_snapshot_page_keys(snapshot, after, 100);
		for (guint i = 0; i < keys->len; i++) {
			const bh_key *key = g_ptr_array_index(keys, i);
			count += key->role == BH_KEY_SITE;
			after = key->id;
		}
		if (keys->len < 100)
			return count;
	}
}

static void key_revoked(bh_call *call)
{
	if (bh_call_failed(call))
		return;
	bh_log(BH_INFO, "api", "key revoked", BH_ID("key", BH_ID_KEY, call->change->id),
	       BH_STR("by", call->scope.key_text));
	bh_reply_empty(call, 204);
}

void bh_delete_key(bh_call *call)
{
	bh_id id;
	const bh_key *key = bh_id_parse(BH_ID_KEY, call->id, &id) ? bh_snapshot_key(call->scope.snapshot, id) : NULL;

	if (!key) {
		bh_reply_not_found(call);
		return;
	}
	/* Without one nobody could make another. */
	if (key->role == BH_KEY_SITE && count_site_keys(call->scope.snapshot) < 2) {
		bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL,
				 "It is the last key of role site: make another one first.");
		return;
	}
	bh_change *change = g_new0(bh_change, 1);
	change->kind = BH_CHANGE_KEY_REMOVE;
	change->id = id;
	bh_call_change(call, change, key_revoked);
}
