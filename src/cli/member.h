/* Members of an answer's objects: what is missing, null or of another type is NULL or false, never a fault. Pure. */
#pragma once

#include "base/json.h"
#include "base/time.h"

#include <stdbool.h>

/* The node of a member that is there and not null, else BH_JSON_NONE. `object` may be BH_JSON_NONE. */
uint32_t bh_member(const bh_json *json, uint32_t object, const char *name);

/*
 * Where to begin to walk an array, with bh_json_next to go on; one that is not there (BH_JSON_NONE) is empty. In an
 * object, the names are visited.
 */
uint32_t bh_first_item(const bh_json *json, uint32_t array);

/* A string decoded, anything else as its very text. NULL: not there, or null. */
char *bh_member_text(const bh_json *json, uint32_t object, const char *name);
/* The same, safe to show. */
char *bh_member_shown(const bh_json *json, uint32_t object, const char *name);

bool bh_member_is(const bh_json *json, uint32_t object, const char *name, const char *text);
bool bh_member_true(const bh_json *json, uint32_t object, const char *name);
bool bh_member_int(const bh_json *json, uint32_t object, const char *name, int64_t *ret);
bool bh_member_time(const bh_json *json, uint32_t object, const char *name, bh_usec *ret);

/* A node as text: a string decoded, else its very bytes. Never NULL. */
char *bh_node_text(const bh_json *json, uint32_t node);
