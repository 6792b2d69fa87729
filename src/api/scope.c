#include "api/scope.h"

#include <string.h>
#include <strings.h>

/* --- Who asks ---------------------------------------------------------------------------- */

/* The token after "Bearer" (RFC 6750 section 2.1, scheme in any case); NULL: there is none. */
static const char *bearer(const char *authorization)
{
	static const char SCHEME[] = "Bearer ";

	if (!authorization || strncasecmp(authorization, SCHEME, sizeof SCHEME - 1) != 0)
		return NULL;
	authorization += sizeof SCHEME - 1;
	return authorization + strspn(authorization, " ");
}

/* Keys are found by their hash: how long that takes tells nothing about how much of a guess was right. */
static const bh_key *find_key(const bh_snapshot *snapshot, const char *authorization)
{
	unsigned char hash[BH_KEY_HASH_SIZE];
	const char *token = bearer(authorization);

	if (!token || !*token)
		return NULL;
	bh_key_text_hash(token, hash);
	return bh_snapshot_key_by_hash(snapshot, hash);
}

static bool apply_manager_key(bh_scope *scope, const bh_key *key)
{
	const bh_manager *manager = key->manager_id ? bh_snapshot_manager(scope->snapshot, key->manager_id) : NULL;

	if (!manager)
		return false;
	if (manager->role == BH_ROLE_SUPER) {
		scope->role = BH_MAY_SUPER;
		return true;
	}
	scope->role = BH_MAY_MANAGER;
	scope->manager_id = manager->id;
	return true;
}

static bool apply_key(bh_scope *scope, const bh_key *key)
{
	switch (key->role) {
	case BH_KEY_SITE:
		scope->role = BH_MAY_SITE;
		return true;
	case BH_KEY_EMIT:
		scope->role = BH_MAY_EMIT;
		return true;
	case BH_KEY_MANAGER:
		return apply_manager_key(scope, key);
	}
	return false;
}

bool bh_scope_init(bh_scope *scope, bh_snapshot *snapshot, const char *authorization)
{
	*scope = (bh_scope){.snapshot = snapshot};
	const bh_key *key = find_key(snapshot, authorization);

	if (!key || !apply_key(scope, key))
		return false;
	scope->key = key;
	bh_id_text(BH_ID_KEY, key->id, scope->key_text);
	return true;
}

void bh_scope_clear(bh_scope *scope)
{
	g_clear_pointer(&scope->snapshot, bh_snapshot_unref);
	scope->key = NULL;
}

/* --- What he may know of ----------------------------------------------------------------- */

bool bh_scope_owns(const bh_scope *scope, const bh_webhook *webhook)
{
	return !scope->manager_id || g_strcmp0(webhook->manager_id, scope->manager_id) == 0;
}

const bh_webhook *bh_scope_webhook(const bh_scope *scope, const char *id)
{
	bh_id number;
	const bh_webhook *webhook = NULL;

	if (bh_id_parse(BH_ID_WEBHOOK, id, &number))
		webhook = bh_snapshot_webhook(scope->snapshot, number);
	return webhook && bh_scope_owns(scope, webhook) ? webhook : NULL;
}

const bh_manager *bh_scope_manager(const bh_scope *scope, const char *id)
{
	const bh_manager *manager = bh_snapshot_manager(scope->snapshot, id);

	return manager && (!scope->manager_id || strcmp(manager->id, scope->manager_id) == 0) ? manager : NULL;
}

/* Receptionists are named among a property's managers, but own nothing. */
static bool may_own(const bh_scope *scope)
{
	const bh_manager *manager = bh_snapshot_manager(scope->snapshot, scope->manager_id);

	return manager && manager->role == BH_ROLE_MANAGER;
}

bool bh_scope_sees_property(const bh_scope *scope, const bh_property *property)
{
	if (!scope->manager_id)
		return true;
	return may_own(scope) && g_strv_contains((const char *const *)property->managers, scope->manager_id);
}

const bh_property *bh_scope_property(const bh_scope *scope, const char *id)
{
	const bh_property *property = bh_snapshot_property(scope->snapshot, id);

	return property && bh_scope_sees_property(scope, property) ? property : NULL;
}

bool bh_scope_sees_event(const bh_scope *scope, const bh_event *event)
{
	if (!scope->manager_id || g_strcmp0(event->manager_id, scope->manager_id) == 0)
		return true;
	return event->property_id && bh_scope_property(scope, event->property_id);
}

/* By the webhook, not by who was told: a delivery of the site's own webhook names a manager too, and is not his. */
bool bh_scope_sees_delivery(const bh_scope *scope, const bh_delivery *delivery)
{
	if (!scope->manager_id)
		return true;
	const bh_webhook *webhook = bh_snapshot_webhook(scope->snapshot, delivery->webhook_id);
	return webhook && bh_scope_owns(scope, webhook);
}

char **bh_scope_property_ids(const bh_scope *scope)
{
	size_t count = 0;
	bh_property *const *properties =
		may_own(scope) ? bh_snapshot_properties_of(scope->snapshot, scope->manager_id, &count) : NULL;
	char **ids = g_new0(char *, count + 1);

	for (size_t i = 0; i < count; i++)
		ids[i] = properties[i]->id;
	return ids;
}

static GArray *own_webhooks(const bh_scope *scope)
{
	size_t count = 0;
	bh_webhook *const *webhooks = bh_snapshot_webhooks_of(scope->snapshot, scope->manager_id, &count);
	GArray *ids = g_array_sized_new(FALSE, FALSE, sizeof(bh_id), (guint)count);

	for (size_t i = 0; i < count; i++)
		g_array_append_val(ids, webhooks[i]->id);
	return ids;
}

GArray *bh_scope_webhooks_wanted(const bh_scope *scope, bh_id wanted)
{
	GArray *ids = scope->manager_id ? own_webhooks(scope) : NULL;
	bool in_scope = !ids;

	if (!wanted)
		return ids;
	for (guint i = 0; ids && i < ids->len; i++)
		in_scope |= g_array_index(ids, bh_id, i) == wanted;
	if (!ids)
		ids = g_array_new(FALSE, FALSE, sizeof(bh_id));
	g_array_set_size(ids, 0);
	if (in_scope)
		g_array_append_val(ids, wanted);
	return ids;
}
