/* Where the details of events are looked up, as the settings say. */
#pragma once

#include "base/settings.h"
#include "method/method.h"

/* *ret_lookup is the caller's; NULL: nowhere. False: a setting contradicts another one, or the secret's file cannot be read. */
bool bh_lookup_of(const bh_settings *settings, bh_lookup_config **ret_lookup, GError **error);
