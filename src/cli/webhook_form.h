/* A webhook's form as options: --set, --events, --header and the rest become the JSON that the API takes. */
#pragma once

#include "cli/commands.h"

/*
 * Adds to `body` what the options say. `settings` (--url, --set, --unset) are checked against the form of `method`, an
 * object of GET /v1/methods (BH_JSON_NONE when none of those is given). False: BH_USAGE_ERROR, or what could not be read.
 */
bool bh_form_fill(const bh_args *args, const bh_json *methods, uint32_t method, GString *body, GError **error);

/* Its parts in webhook_pace.c: --order-by, --coalesce, --rate; --tls-ca and its like. */
bool bh_form_fill_pace(const bh_args *args, GString *body, GError **error);
bool bh_form_fill_tls(const bh_args *args, GString *body, GError **error);

/* Adds a setting, `value` as it was typed, in the JSON type that a field of this format has. False with BH_USAGE_ERROR. */
bool bh_form_add_setting(GString *settings, const char *format, const char *key, const char *value, GError **error);

/* Does the form's method matter, so that it must be looked up first? */
bool bh_form_needs_method(const bh_args *args);

/* The object of method `name` in the answer of GET /v1/methods. BH_JSON_NONE with BH_USAGE_ERROR: none of them. */
uint32_t bh_form_find_method(const bh_json *methods, const char *name, GError **error);
