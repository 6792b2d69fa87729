/* Settings as a method's run gets them: the stored form opened, field by field. */
#pragma once

#include "base/json.h"
#include "method/method.h"

typedef struct bh_value {
	const bh_field *field;
	enum { BH_VALUE_NONE, BH_VALUE_TEXT, BH_VALUE_SECRET, BH_VALUE_INTEGER, BH_VALUE_BOOLEAN } kind;
	char *text; /* TEXT */
	bh_secret *secret; /* SECRET */
	int64_t integer; /* INTEGER; BOOLEAN: 0 or 1 */
} bh_value;

/*
 * A bh_value for each field, in the method's order, defaults filled in. BH_ERROR_INVALID: a password does not open, or
 * what is stored does not fit the method (any more). The array frees and wipes.
 */
GArray *bh_settings_open(const bh_method *method, const char *stored, const bh_sealer *sealer, GError **error);

/* --- Within the forms ------------------------------------------------------------------------- */

/* Does this JSON text fit the field as its value (a default, for example)? BH_ERROR_INVALID says what is wrong. */
bool bh_field_check(const bh_field *field, bh_span json, GError **error);

char *bh_seal_purpose(const bh_field *field);

/* A password in its stored form: the node of its base64 text, or BH_JSON_NONE. */
uint32_t bh_sealed_text(const bh_json *json, uint32_t node);

/* The stored form as an object; NULL when there is none that can be read: then everything must be given. */
bh_json *bh_parse_stored(const char *stored);

/* Appends `"key":value` to an object that is being written. */
void bh_append_setting(GString *out, const bh_field *field, bh_span value);
