/* Methods read from their files, without a server. */
#pragma once

#include "base/settings.h"
#include "cli/args.h"
#include "method/method.h"

/* The settings of --config, the environment and the defaults, as serve would read them. `more` are "name=value", NULL at the end. */
bh_settings *bh_method_settings(const bh_args *args, char *const *more, GError **error);

/*
 * The one method that `given` names, in a set of its own: a file (there is a slash in it, or .lua at its end), or one of the
 * methods folder. *ret_method is the set's. NULL with "acme.lua:12: ...", or BH_USAGE_ERROR: there is none of that name.
 */
bh_methods *bh_method_source(const char *given, const bh_settings *settings, const bh_method **ret_method,
			     GError **error);
