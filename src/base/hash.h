/*
 * A hash for tables whose keys an outsider chooses: keyed with random bytes of this
 * process (SipHash-1-3), so nobody can prepare keys that all fall into one place.
 * Differs from start to start: never stored, never shown. Any thread.
 */
#pragma once

#include "base/span.h"

#include <stdint.h>

uint64_t bh_hash(bh_span bytes);
