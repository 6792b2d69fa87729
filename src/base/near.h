/* "Did you mean ...?": which of the known names somebody probably wanted to write. Pure. */
#pragma once

#include "base/span.h"

/*
 * Begin with {.text = what was written}, offer each known name, then ask. The names are borrowed. Upper and lower case
 * are the same; anything longer than 128 bytes is no slip of the hand and near nothing.
 */
typedef struct bh_near {
	bh_span text;
	const char *nearest, *begun; /* best so far: by distance, and as what `text` is the beginning of */
	size_t distance;
	bool is_ambiguous; /* several names begin with `text` */
} bh_near;

void bh_near_offer(bh_near *near, const char *name);

/*
 * The name that is more help than noise: one slip away from a short word, a third of the letters from a longer one, or
 * the only one that begins so. NULL: there is none.
 */
const char *bh_near_best(const bh_near *near);

/* The same for a NULL-terminated list. */
const char *bh_nearest(const char *text, const char *const *known);
