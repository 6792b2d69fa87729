/* Settings as a method's run gets them: the stored form opened, field by field. */
#pragma once

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

/* Does this JSON text fit the field as its value (a default, for example)? BH_ERROR_INVALID says what is wrong. */
bool bh_field_check(const bh_field *field, bh_span json, GError **error);
