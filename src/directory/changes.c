/*
 * From one snapshot to the next: is the change allowed, and what does it amount to. A change that is
 * refused leaves no trace, as it was tried on a fork of the snapshot.
 */
#include "directory/directory.h"

#include "base/error.h"
#include "directory/snapshot.h"

#include <string.h>

static bool refuse_unknown(GError **error, const char *what, const char *name)
{
	g_set_error(error, BH_ERROR, BH_ERROR_NOT_FOUND, "there is no %s \"%s\"", what, name);
	return false;
}

static bool refuse_owner(GError **error, const char *id, bh_manager_role role)
{
	g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT,
		    "super_manager_cannot_own_webhooks: manager \"%s\" has the role %s, and only the role manager owns "
		    "webhooks",
		    id, bh_manager_role_name(role));
	return false;
}

static bool put_manager(bh_snapshot *s, const bh_change *change, GError **error)
{
	bh_manager *m = change->manager;
	const bh_holding *h = bh_snapshot_holding(s, m->id);

	if (m->role != BH_ROLE_MANAGER && h && h->webhooks.count > 0)
		return refuse_owner(error, m->id, m->role);
	bh_snapshot_put_manager(s, m);
	return true;
}

static bool remove_manager(bh_snapshot *s, const bh_change *change, GError **error)
{
	if (!bh_snapshot_manager(s, change->name))
		return refuse_unknown(error, "manager", change->name);
	bh_snapshot_drop_manager(s, change->name);
	return true;
}

static bool put_property(bh_snapshot *s, const bh_change *change, GError **error)
{
	bh_snapshot_put_property(s, change->property);
	return true;
}

static bool remove_property(bh_snapshot *s, const bh_change *change, GError **error)
{
	if (!bh_snapshot_property(s, change->name))
		return refuse_unknown(error, "property", change->name);
	bh_snapshot_drop_property(s, change->name);
	return true;
}

/* Compare-and-set: whoever changes a webhook has seen its present revision. */
static bool check_revision(const bh_snapshot *s, const bh_webhook *w, GError **error)
{
	const bh_webhook *present = bh_snapshot_webhook(s, w->id);
	char id[BH_ID_TEXT_SIZE];

	if (!present && w->revision != 1)
		return refuse_unknown(error, "webhook", bh_id_text(BH_ID_WEBHOOK, w->id, id));
	if (w->revision == (present ? present->revision + 1 : 1))
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT,
		    "webhook \"%s\" is at revision %" G_GINT64_FORMAT ", so revision %" G_GINT64_FORMAT
		    " cannot follow",
		    bh_id_text(BH_ID_WEBHOOK, w->id, id), present->revision, w->revision);
	return false;
}

static bool check_owner(const bh_snapshot *s, const bh_webhook *w, GError **error)
{
	if (!w->manager_id)
		return true;
	const bh_manager *m = bh_snapshot_manager(s, w->manager_id);
	if (!m) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "a webhook needs a known manager, and \"%s\" is none",
			    w->manager_id);
		return false;
	}
	if (m->role != BH_ROLE_MANAGER)
		return refuse_owner(error, m->id, m->role);

	const bh_holding *h = bh_snapshot_holding(s, m->id);
	if (h && h->webhooks.count >= BH_WEBHOOKS_PER_MANAGER_MAX && !bh_map_find(&h->webhooks, &w->id)) {
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT, "manager \"%s\" has %d webhooks, and more are not allowed",
			    m->id, BH_WEBHOOKS_PER_MANAGER_MAX);
		return false;
	}
	return true;
}

static bool put_webhook(bh_snapshot *s, const bh_change *change, GError **error)
{
	if (!check_revision(s, change->webhook, error) || !check_owner(s, change->webhook, error))
		return false;
	bh_snapshot_put_webhook(s, change->webhook);
	return true;
}

static bool remove_webhook(bh_snapshot *s, const bh_change *change, GError **error)
{
	char id[BH_ID_TEXT_SIZE];

	if (!bh_snapshot_webhook(s, change->id))
		return refuse_unknown(error, "webhook", bh_id_text(BH_ID_WEBHOOK, change->id, id));
	bh_snapshot_drop_webhook(s, change->id);
	return true;
}

static bool put_key(bh_snapshot *s, const bh_change *change, GError **error)
{
	bh_key *k = change->key;
	const bh_key *same = bh_snapshot_key_by_hash(s, k->hash);

	if ((k->role == BH_KEY_MANAGER) != (k->manager_id != NULL) ||
	    (k->manager_id && !bh_snapshot_manager(s, k->manager_id))) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
			    "a key of role manager, and only such, needs a known manager");
		return false;
	}
	if (same && same->id != k->id) {
		g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT, "this very key exists already");
		return false;
	}
	bh_snapshot_put_key(s, k);
	return true;
}

static bool remove_key(bh_snapshot *s, const bh_change *change, GError **error)
{
	char id[BH_ID_TEXT_SIZE];

	if (!bh_snapshot_key(s, change->id))
		return refuse_unknown(error, "key", bh_id_text(BH_ID_KEY, change->id, id));
	bh_snapshot_drop_key(s, change->id);
	return true;
}

static bh_event_type *copy_type(const bh_event_type *type)
{
	bh_event_type *copy = g_new0(bh_event_type, 1);

	copy->name = g_strdup(type->name);
	copy->group = g_strdup(type->group);
	copy->description = g_strdup(type->description);
	copy->fields = g_strdupv(type->fields);
	copy->sensitive = g_strdupv(type->sensitive);
	copy->example = g_strdup(type->example);
	copy->schema = g_strdup(type->schema);
	copy->built_in = type->built_in;
	return copy;
}

/* Takes the catalogue. False: there is none. */
static bool set_catalogue(bh_snapshot *s, bh_catalogue *catalogue)
{
	if (!catalogue)
		return false;
	bh_catalogue_unref(s->catalogue);
	s->catalogue = catalogue;
	return true;
}

static bool put_type(bh_snapshot *s, const bh_change *change, GError **error)
{
	return set_catalogue(s, bh_catalogue_with(s->catalogue, copy_type(change->type), error));
}

static bool remove_type(bh_snapshot *s, const bh_change *change, GError **error)
{
	return set_catalogue(s, bh_catalogue_without(s->catalogue, change->name, error));
}

static bool (*const MAKE[])(bh_snapshot *s, const bh_change *change, GError **error) = {
	[BH_CHANGE_MANAGER_PUT] = put_manager,   [BH_CHANGE_MANAGER_REMOVE] = remove_manager,
	[BH_CHANGE_PROPERTY_PUT] = put_property, [BH_CHANGE_PROPERTY_REMOVE] = remove_property,
	[BH_CHANGE_WEBHOOK_PUT] = put_webhook,   [BH_CHANGE_WEBHOOK_REMOVE] = remove_webhook,
	[BH_CHANGE_KEY_PUT] = put_key,           [BH_CHANGE_KEY_REMOVE] = remove_key,
	[BH_CHANGE_TYPE_PUT] = put_type,         [BH_CHANGE_TYPE_REMOVE] = remove_type,
};

bh_snapshot *bh_snapshot_with(bh_snapshot *s, const bh_change *change, GError **error)
{
	g_autoptr(bh_snapshot) next = bh_snapshot_fork(s);

	if (!MAKE[change->kind](next, change, error))
		return NULL;
	return g_steal_pointer(&next);
}

static bool put_stored_types(bh_snapshot *s, const GPtrArray *types, GError **error)
{
	for (guint i = 0; types && i < types->len; i++) {
		const bh_event_type *type = types->pdata[i];
		const bh_event_type *known = bh_catalogue_find(s->catalogue, type->name);
		if (known && known->built_in)
			continue;
		if (!set_catalogue(s, bh_catalogue_with(s->catalogue, copy_type(type), error)))
			return false;
	}
	return true;
}

bh_snapshot *bh_snapshot_of(const bh_directory_rows *rows, GError **error)
{
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();

	for (guint i = 0; rows->managers && i < rows->managers->len; i++)
		bh_snapshot_put_manager(s, rows->managers->pdata[i]);
	for (guint i = 0; rows->properties && i < rows->properties->len; i++)
		bh_snapshot_put_property(s, rows->properties->pdata[i]);
	for (guint i = 0; rows->webhooks && i < rows->webhooks->len; i++)
		bh_snapshot_put_webhook(s, rows->webhooks->pdata[i]);
	for (guint i = 0; rows->keys && i < rows->keys->len; i++)
		bh_snapshot_put_key(s, rows->keys->pdata[i]);
	if (!put_stored_types(s, rows->types, error))
		return NULL;
	return g_steal_pointer(&s);
}
