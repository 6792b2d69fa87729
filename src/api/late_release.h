/*
 * A delivery is made HELD by what a snapshot said. If the webhook was enabled between that snapshot and the commit, the
 * sweep that released the others came too early for it, and nothing else would ever release it.
 */
#pragma once

#include "api/server.h"

/* Releases those of `deliveries`, just committed, whose webhook is enabled by now. Any thread; does not wait. */
void bh_late_release(bh_api *api, const bh_delivery *deliveries, size_t count);
