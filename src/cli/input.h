/* What people give by option, file or standard input. */
#pragma once

#include "cli/args.h"

#define BH_INPUT_MAX ((gsize)512 * 1024 * 1024) /* of a file: what is larger was not meant */

/* All of a file, or of standard input for "-". NULL with BH_ERROR_IO or _LIMIT. */
GString *bh_input_read(const char *path, GError **error);

/*
 * A short text given as itself, as @FILE, or as - for standard input, so that a secret need not land in the
 * history of the shell; @@text is the text "@text". One line feed at the end of a file does not count. `what` names
 * it in errors. NULL with BH_ERROR_IO, or BH_ERROR_INVALID when it holds a NUL.
 */
char *bh_input_text(const char *given, const char *what, GError **error);

/*
 * The signing secrets (bh_secret) of every --secret, given as the texts above; none is fine. NULL with BH_USAGE_ERROR, or
 * what could not be read.
 */
GPtrArray *bh_input_secrets(const bh_args *args, GError **error);
