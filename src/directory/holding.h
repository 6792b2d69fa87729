/*
 * What one manager (or the site) has: webhooks, properties that name him, API keys. Immutable once it
 * hangs in a snapshot, and counted. Private to the directory.
 *
 * The sets are maps, so that a site whose one manager has 100,000 properties changes as cheaply as any
 * other. The row of pointers that readers want is made when the first asks for it, and lives as long as
 * the holding.
 */
#pragma once

#include "directory/map.h"

typedef struct bh_holding {
	int refs; /* atomic */
	char *manager_id; /* NULL: the site */
	bh_map webhooks, properties, keys;
	void **webhook_row, **property_row; /* NULL: nobody asked yet; set once, by compare-and-set */
} bh_holding;

/* Holdings by manager_id. */
extern const bh_map_kind BH_HOLDINGS;

/* A copy to be changed before it is shared; of NULL: an empty one. One reference. */
bh_holding *bh_holding_copy(const bh_holding *holding, const char *manager_id);
bh_holding *bh_holding_ref(bh_holding *holding);
void bh_holding_unref(bh_holding *holding);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_holding, bh_holding_unref)

bool bh_holding_is_empty(const bh_holding *holding);

/* All items of one of its maps in order, borrowed from the holding; NULL when there are none. Any thread. */
void *const *bh_holding_webhooks(bh_holding *holding);
void *const *bh_holding_properties(bh_holding *holding);
