/* Removing members of an object from its text. Inside event/ only. */
#pragma once

#include "base/json.h"

/* Does object node `object` have a member of one of these names (compared decoded)? */
bool bh_redact_needed(const bh_json *json, uint32_t object, char *const *names);

/*
 * Writes the object's text without the members of these names to `out`, which has room for the whole text, and
 * returns the bytes written. Each goes with one comma; all other bytes stay as they were, spaces included.
 */
size_t bh_redact(const bh_json *json, uint32_t object, char *const *names, char *out);
