/*
 * What people do, by the writes that the API makes of it: see src/api/webhook_edit.c, release.c, deliveries.c. Who gets a
 * bad answer lets it be.
 */
#pragma once

#include "sim.h"

void hands_add_manager(sim *s);
void hands_add_property(sim *s);
void hands_add_webhook(sim *s);

/* One thing of all that may be done, chosen by chance. */
void hands_do_something(sim *s);
/* When all calms down: each disabled webhook is enabled, with a policy each, or some are left as they are. */
void hands_enable_all(sim *s);
