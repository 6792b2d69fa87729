/* A list of texts as one JSON array, the form in which a row keeps it. */
#pragma once

#include <glib.h>

/* NULL for NULL. */
char *bh_text_list_write(char *const *list);

/* A NULL-terminated list, or NULL with BH_ERROR_INVALID: not an array of strings. */
char **bh_text_list_read(const char *json, GError **error);
