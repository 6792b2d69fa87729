/* How many files the process may have open at a time, and who gets them. */
#pragma once

#include "base/settings.h"

/*
 * Raises the process's own limit to what the settings need. If the system does not allow that many, connections_max is
 * lowered and the log says so: strangers' connections shall not take the sockets that deliveries need.
 */
void bh_files_share(bh_settings *settings);
