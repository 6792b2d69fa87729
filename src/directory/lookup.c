/* Reading a snapshot: by key, by owner, and page by page. */
#include "directory/directory.h"

#include "directory/snapshot.h"

const bh_manager *bh_snapshot_manager(const bh_snapshot *s, const char *id)
{
	return bh_map_find(&s->managers, id);
}

const bh_property *bh_snapshot_property(const bh_snapshot *s, const char *id)
{
	return bh_map_find(&s->properties, id);
}

const bh_webhook *bh_snapshot_webhook(const bh_snapshot *s, bh_id id)
{
	return bh_map_find(&s->webhooks, &id);
}

const bh_key *bh_snapshot_key(const bh_snapshot *s, bh_id id)
{
	return bh_map_find(&s->keys, &id);
}

const bh_key *bh_snapshot_key_by_hash(const bh_snapshot *s, const unsigned char hash[BH_KEY_HASH_SIZE])
{
	return bh_map_find(&s->keys_by_hash, hash);
}

const bh_catalogue *bh_snapshot_catalogue(const bh_snapshot *s)
{
	return s->catalogue;
}

bh_webhook *const *bh_snapshot_webhooks_of(const bh_snapshot *s, const char *manager_id, size_t *ret_count)
{
	bh_holding *h = bh_snapshot_holding(s, manager_id);

	*ret_count = h ? h->webhooks.count : 0;
	return h ? (bh_webhook *const *)bh_holding_webhooks(h) : NULL;
}

bh_property *const *bh_snapshot_properties_of(const bh_snapshot *s, const char *manager_id, size_t *ret_count)
{
	bh_holding *h = manager_id ? bh_snapshot_holding(s, manager_id) : NULL;

	*ret_count = h ? h->properties.count : 0;
	return h ? (bh_property *const *)bh_holding_properties(h) : NULL;
}

/* A page of `map`; NULL: of nothing. */
static GPtrArray *page_of(const bh_map *map, const void *after, size_t limit)
{
	GPtrArray *items = g_ptr_array_new();

	if (map)
		bh_map_page(map, after, limit, items);
	return items;
}

GPtrArray *bh_snapshot_page_managers(const bh_snapshot *s, const char *after, size_t limit)
{
	return page_of(&s->managers, after, limit);
}

GPtrArray *bh_snapshot_page_properties(const bh_snapshot *s, const char *manager_id, const char *after, size_t limit)
{
	const bh_holding *h = manager_id ? bh_snapshot_holding(s, manager_id) : NULL;

	if (!manager_id)
		return page_of(&s->properties, after, limit);
	return page_of(h ? &h->properties : NULL, after, limit);
}

GPtrArray *bh_snapshot_page_webhooks(const bh_snapshot *s, const char *manager_id, bh_id after, size_t limit)
{
	const bh_holding *h = manager_id ? bh_snapshot_holding(s, manager_id) : NULL;
	const bh_id *from = after ? &after : NULL;

	if (!manager_id)
		return page_of(&s->webhooks, from, limit);
	return page_of(h ? &h->webhooks : NULL, from, limit);
}

GPtrArray *bh_snapshot_page_keys(const bh_snapshot *s, bh_id after, size_t limit)
{
	return page_of(&s->keys, after ? &after : NULL, limit);
}

size_t bh_snapshot_webhook_count(const bh_snapshot *s)
{
	return s->webhooks.count;
}
