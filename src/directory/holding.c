#include "directory/holding.h"

#include "directory/kinds.h"

static const void *manager_id_of(const void *item)
{
	const bh_holding *h = item;

	return h->manager_id;
}

static void ref_item(void *item)
{
	bh_holding_ref(item);
}

static void unref_item(void *item)
{
	bh_holding_unref(item);
}

const bh_map_kind BH_HOLDINGS = {manager_id_of, bh_text_rank, bh_text_compare, ref_item, unref_item};

bh_holding *bh_holding_copy(const bh_holding *holding, const char *manager_id)
{
	bh_holding *copy = g_new0(bh_holding, 1);

	copy->refs = 1;
	copy->manager_id = g_strdup(manager_id);
	copy->webhooks = holding ? bh_map_share(&holding->webhooks) : (bh_map){.kind = &BH_WEBHOOKS};
	copy->properties = holding ? bh_map_share(&holding->properties) : (bh_map){.kind = &BH_PROPERTIES};
	copy->keys = holding ? bh_map_share(&holding->keys) : (bh_map){.kind = &BH_KEYS};
	return copy;
}

bh_holding *bh_holding_ref(bh_holding *holding)
{
	g_atomic_int_inc(&holding->refs);
	return holding;
}

void bh_holding_unref(bh_holding *holding)
{
	if (!holding || !g_atomic_int_dec_and_test(&holding->refs))
		return;
	bh_map_clear(&holding->webhooks);
	bh_map_clear(&holding->properties);
	bh_map_clear(&holding->keys);
	g_free(holding->webhook_row);
	g_free(holding->property_row);
	g_free(holding->manager_id);
	g_free(holding);
}

bool bh_holding_is_empty(const bh_holding *holding)
{
	return holding->webhooks.count + holding->properties.count + holding->keys.count == 0;
}

static void **make_row(const bh_map *map)
{
	GPtrArray *items = g_ptr_array_sized_new((guint)map->count);

	bh_map_page(map, NULL, map->count, items);
	return g_ptr_array_free(items, FALSE);
}

/* Two threads may ask first at the same time: both make the row, one of them is kept. */
static void *const *row_of(const bh_map *map, void ***row)
{
	void **made;

	if (map->count == 0)
		return NULL;
	made = g_atomic_pointer_get(row);
	if (made)
		return made;
	made = make_row(map);
	if (g_atomic_pointer_compare_and_exchange(row, NULL, made))
		return made;
	g_free(made);
	return g_atomic_pointer_get(row);
}

void *const *bh_holding_webhooks(bh_holding *holding)
{
	return row_of(&holding->webhooks, &holding->webhook_row);
}

void *const *bh_holding_properties(bh_holding *holding)
{
	return row_of(&holding->properties, &holding->property_row);
}
