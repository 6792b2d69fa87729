/* One field of a form: whether it counts, and what it asks of a value. */
#pragma once

#include "base/json.h"
#include "method/method.h"

/* The JSON of field number `index`, as stored; size 0: nothing is. Lives until the next call. */
typedef bh_span (*bh_field_value)(void *user, const bh_method *method, guint index);

/*
 * Does the field count, by the condition that its `when` names? A field that does not count itself makes none true; a boolean
 * without value is "false".
 */
bool bh_field_counts(const bh_method *method, const bh_field *field, bh_field_value value, void *user);

/* The text at `node` as it would be stored; NULL: it is none, or stands for none. */
char *bh_field_text(const bh_field *field, const bh_json *json, uint32_t node);

/* Can the field be what a condition asks about, and have this value? */
bool bh_field_may_decide(const bh_field *field);
bool bh_field_may_be(const bh_field *field, const char *value);

/* Takes blanks off both ends (all that Unicode has, and the invisible ones that pages leave at what is copied), and wipes what they were. */
void bh_field_trim(char *text);

/* What the field asks of a text and of a number. BH_ERROR_INVALID names the field, says the hint, and never the value. */
bool bh_field_check_text(const bh_field *field, const char *text, GError **error);
bool bh_field_check_number(const bh_field *field, int64_t number, GError **error);

/* An empty text stands for "nothing was entered": a page sends that for a field which was left alone. */
bool bh_field_empty_is_none(const bh_field *field);

/* BH_ERROR_INVALID: "\"key\" must be text". */
bool bh_field_refuse(GError **error, const bh_field *field, const char *why);

/* --- Patterns ------------------------------------------------------------------------------- */

/* Is this a Lua pattern? BH_ERROR_INVALID: "malformed pattern (missing ']')". */
bool bh_pattern_check(const char *pattern, GError **error);

/* Does the whole of `text` match? One that would take too many steps does not. */
bool bh_pattern_matches(const char *pattern, const char *text);
