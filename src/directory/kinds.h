/* How the directory's maps order what they hold. Private to the directory. */
#pragma once

#include "directory/map.h"

extern const bh_map_kind BH_MANAGERS; /* by id, text */
extern const bh_map_kind BH_PROPERTIES; /* by id, text */
extern const bh_map_kind BH_WEBHOOKS; /* by id, const bh_id * */
extern const bh_map_kind BH_KEYS; /* by id, const bh_id * */
extern const bh_map_kind BH_KEYS_BY_HASH; /* by hash, BH_KEY_HASH_SIZE bytes */

/* Parts for a map with keys of text. */
uint64_t bh_text_rank(const void *key);
int bh_text_compare(const void *a, const void *b);
