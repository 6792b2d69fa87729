#include "directory/snapshot.h"

#include "directory/kinds.h"

bh_snapshot *bh_snapshot_empty(void)
{
	bh_snapshot *s = g_new0(bh_snapshot, 1);

	s->refs = 1;
	s->managers.kind = &BH_MANAGERS;
	s->properties.kind = &BH_PROPERTIES;
	s->webhooks.kind = &BH_WEBHOOKS;
	s->keys.kind = &BH_KEYS;
	s->keys_by_hash.kind = &BH_KEYS_BY_HASH;
	s->holdings.kind = &BH_HOLDINGS;
	s->site = bh_holding_copy(NULL, NULL);
	s->catalogue = bh_catalogue_new();
	return s;
}

bh_snapshot *bh_snapshot_fork(const bh_snapshot *s)
{
	bh_snapshot *next = g_new0(bh_snapshot, 1);

	next->refs = 1;
	next->managers = bh_map_share(&s->managers);
	next->properties = bh_map_share(&s->properties);
	next->webhooks = bh_map_share(&s->webhooks);
	next->keys = bh_map_share(&s->keys);
	next->keys_by_hash = bh_map_share(&s->keys_by_hash);
	next->holdings = bh_map_share(&s->holdings);
	next->site = bh_holding_ref(s->site);
	next->catalogue = bh_catalogue_ref(s->catalogue);
	return next;
}

bh_snapshot *bh_snapshot_ref(bh_snapshot *s)
{
	g_atomic_int_inc(&s->refs);
	return s;
}

void bh_snapshot_unref(bh_snapshot *s)
{
	if (!s || !g_atomic_int_dec_and_test(&s->refs))
		return;
	bh_map_clear(&s->managers);
	bh_map_clear(&s->properties);
	bh_map_clear(&s->webhooks);
	bh_map_clear(&s->keys);
	bh_map_clear(&s->keys_by_hash);
	bh_map_clear(&s->holdings);
	bh_holding_unref(s->site);
	bh_catalogue_unref(s->catalogue);
	g_free(s);
}

bh_holding *bh_snapshot_holding(const bh_snapshot *s, const char *manager_id)
{
	return manager_id ? bh_map_find(&s->holdings, manager_id) : s->site;
}

/* Puts the holding (taken) in place of the one that its manager, or the site, has now. */
static void set_holding(bh_snapshot *s, bh_holding *holding)
{
	g_autoptr(bh_holding) taken = holding;

	if (!holding->manager_id) {
		bh_holding_unref(s->site);
		s->site = g_steal_pointer(&taken);
	} else if (bh_holding_is_empty(holding)) {
		(void)bh_map_remove(&s->holdings, holding->manager_id); /* it may be new as well as empty */
	} else {
		bh_map_put(&s->holdings, holding);
	}
}

/* One of a holding's maps. */
typedef bh_map *(*part)(bh_holding *holding);

static bh_map *webhooks(bh_holding *holding)
{
	return &holding->webhooks;
}

static bh_map *properties(bh_holding *holding)
{
	return &holding->properties;
}

static bh_map *keys(bh_holding *holding)
{
	return &holding->keys;
}

static void hold(bh_snapshot *s, const char *manager_id, part which, void *item)
{
	bh_holding *h = bh_holding_copy(bh_snapshot_holding(s, manager_id), manager_id);

	bh_map_put(which(h), item);
	set_holding(s, h);
}

static void let_go(bh_snapshot *s, const char *manager_id, part which, const void *key)
{
	bh_holding *h = bh_holding_copy(bh_snapshot_holding(s, manager_id), manager_id);

	(void)bh_map_remove(which(h), key); /* a property may name a manager twice */
	set_holding(s, h);
}

void bh_snapshot_put_manager(bh_snapshot *s, bh_manager *m)
{
	bh_map_put(&s->managers, m);
}

static bool names(const bh_property *p, const char *manager_id)
{
	return p->managers && g_strv_contains((const char *const *)p->managers, manager_id);
}

void bh_snapshot_put_property(bh_snapshot *s, bh_property *p)
{
	bh_property *present = bh_map_find(&s->properties, p->id);
	g_autoptr(bh_property) before = present ? bh_property_ref(present) : NULL;

	bh_map_put(&s->properties, p);
	for (char **m = before ? before->managers : NULL; m && *m; m++)
		if (!names(p, *m))
			let_go(s, *m, properties, p->id);
	for (char **m = p->managers; m && *m; m++)
		hold(s, *m, properties, p);
}

void bh_snapshot_put_webhook(bh_snapshot *s, bh_webhook *w)
{
	bh_webhook *before = bh_map_find(&s->webhooks, &w->id);

	if (before && g_strcmp0(before->manager_id, w->manager_id) != 0)
		let_go(s, before->manager_id, webhooks, &w->id);
	bh_map_put(&s->webhooks, w);
	hold(s, w->manager_id, webhooks, w);
}

void bh_snapshot_put_key(bh_snapshot *s, bh_key *k)
{
	if (bh_map_find(&s->keys, &k->id))
		bh_snapshot_drop_key(s, k->id);
	bh_map_put(&s->keys, k);
	bh_map_put(&s->keys_by_hash, k);
	if (k->manager_id)
		hold(s, k->manager_id, keys, k);
}

void bh_snapshot_drop_manager(bh_snapshot *s, const char *id)
{
	bh_holding *present = bh_snapshot_holding(s, id);
	g_autoptr(bh_holding) had = present ? bh_holding_ref(present) : bh_holding_copy(NULL, id);
	g_autoptr(GPtrArray) items = g_ptr_array_new();

	bh_map_page(&had->webhooks, NULL, had->webhooks.count, items);
	for (guint i = 0; i < items->len; i++)
		bh_snapshot_drop_webhook(s, ((bh_webhook *)items->pdata[i])->id);

	g_ptr_array_set_size(items, 0);
	bh_map_page(&had->keys, NULL, had->keys.count, items);
	for (guint i = 0; i < items->len; i++)
		bh_snapshot_drop_key(s, ((bh_key *)items->pdata[i])->id);

	g_ptr_array_set_size(items, 0);
	bh_map_page(&had->properties, NULL, had->properties.count, items);
	for (guint i = 0; i < items->len; i++) {
		g_autoptr(bh_property) left = bh_property_left_by(items->pdata[i], id);
		bh_snapshot_put_property(s, left);
	}
	(void)bh_map_remove(&s->managers, id);
}

void bh_snapshot_drop_property(bh_snapshot *s, const char *id)
{
	g_autoptr(bh_property) p = bh_property_ref(bh_map_find(&s->properties, id));

	for (char **m = p->managers; m && *m; m++)
		let_go(s, *m, properties, p->id);
	(void)bh_map_remove(&s->properties, p->id);
}

void bh_snapshot_drop_webhook(bh_snapshot *s, bh_id id)
{
	g_autoptr(bh_webhook) w = bh_webhook_ref(bh_map_find(&s->webhooks, &id));

	let_go(s, w->manager_id, webhooks, &id);
	(void)bh_map_remove(&s->webhooks, &id);
}

void bh_snapshot_drop_key(bh_snapshot *s, bh_id id)
{
	g_autoptr(bh_key) k = bh_key_ref(bh_map_find(&s->keys, &id));

	if (k->manager_id)
		let_go(s, k->manager_id, keys, &id);
	(void)bh_map_remove(&s->keys_by_hash, k->hash);
	(void)bh_map_remove(&s->keys, &id);
}

static bh_property *with_managers(const bh_property *p, GPtrArray *managers)
{
	bh_property *copy = bh_property_new();

	copy->id = g_strdup(p->id);
	copy->name = g_strdup(p->name);
	copy->managers = g_strdupv((char **)managers->pdata);
	copy->created_at = p->created_at;
	copy->updated_at = p->updated_at;
	return copy;
}

/* The property's managers but this one; not terminated yet. */
static GPtrArray *others(const bh_property *p, const char *manager_id)
{
	GPtrArray *others = g_ptr_array_new();

	for (char **m = p->managers; m && *m; m++)
		if (g_strcmp0(*m, manager_id) != 0)
			g_ptr_array_add(others, *m);
	return others;
}

bh_property *bh_property_joined_by(const bh_property *p, const char *manager_id)
{
	g_autoptr(GPtrArray) managers = others(p, manager_id);

	if (manager_id)
		g_ptr_array_add(managers, (char *)manager_id);
	g_ptr_array_add(managers, NULL);
	return with_managers(p, managers);
}

bh_property *bh_property_left_by(const bh_property *p, const char *manager_id)
{
	g_autoptr(GPtrArray) managers = others(p, manager_id);

	g_ptr_array_add(managers, NULL);
	return with_managers(p, managers);
}
