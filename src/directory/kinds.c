#include "directory/kinds.h"

#include "directory/directory.h"

#include <string.h>

/* An item's functions with the types that the map calls them by. */
#define COUNTED(noun) \
	static void noun##_ref(void *item) \
	{ \
		bh_##noun##_ref(item); \
	} \
	static void noun##_unref(void *item) \
	{ \
		bh_##noun##_unref(item); \
	}

#define KEYED(noun, what, place) \
	static const void *noun##_##what(const void *item) \
	{ \
		const bh_##noun *it = item; \
		return place; \
	}

COUNTED(manager)
COUNTED(property)
COUNTED(webhook)
COUNTED(key)
KEYED(manager, id, it->id)
KEYED(property, id, it->id)
KEYED(webhook, id, &it->id)
KEYED(key, id, &it->id)
KEYED(key, hash, it->hash)

/* Bytes as a number that orders as they do: the first is the most significant, missing ones are 0. */
static uint64_t rank_of_bytes(const void *bytes, size_t size)
{
	uint64_t rank = 0;

	memcpy(&rank, bytes, MIN(size, sizeof rank));
	return GUINT64_FROM_BE(rank);
}

uint64_t bh_text_rank(const void *key)
{
	return rank_of_bytes(key, strnlen(key, sizeof(uint64_t)));
}

int bh_text_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static uint64_t id_rank(const void *key)
{
	const bh_id *id = key;

	return (uint64_t)*id;
}

static uint64_t hash_rank(const void *key)
{
	return rank_of_bytes(key, BH_KEY_HASH_SIZE);
}

static int hash_compare(const void *a, const void *b)
{
	return memcmp(a, b, BH_KEY_HASH_SIZE);
}

const bh_map_kind BH_MANAGERS = {manager_id, bh_text_rank, bh_text_compare, manager_ref, manager_unref};
const bh_map_kind BH_PROPERTIES = {property_id, bh_text_rank, bh_text_compare, property_ref, property_unref};
const bh_map_kind BH_WEBHOOKS = {webhook_id, id_rank, NULL, webhook_ref, webhook_unref};
const bh_map_kind BH_KEYS = {key_id, id_rank, NULL, key_ref, key_unref};
const bh_map_kind BH_KEYS_BY_HASH = {key_hash, hash_rank, hash_compare, key_ref, key_unref};
