/* Finding what somebody meant: for messages that refuse a name. Inside event/ only. */
#pragma once

#include "base/span.h"

/*
 * Keeps the nearest of several known names: begin with {.text = ...}, offer each name,
 * then `best` is the one to suggest, or NULL when none is near enough to be a slip of the hand.
 */
typedef struct bh_near {
	bh_span text;
	const char *best;
	unsigned distance;
} bh_near;

void bh_near_offer(bh_near *near, const char *name);
