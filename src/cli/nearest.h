/* "Did you mean ...?": which of the known words somebody probably wanted to type. Pure. */
#pragma once

#include <glib.h>

/*
 * How many letters must be added, removed, replaced or swapped with their neighbour to make `b` of `a`,
 * upper and lower case alike.
 */
guint bh_nearest_distance(const char *a, const char *b);

/*
 * The entry of `known` (NULL-terminated) that is nearest to `typed`, or NULL when none is near enough to be
 * more help than noise: one slip in a short word, a third of the letters in a longer one, or a
 * beginning that only one entry has.
 */
const char *bh_nearest(const char *typed, const char *const *known);
