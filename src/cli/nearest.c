#include "cli/nearest.h"

#include <stdbool.h>
#include <string.h>

#define WORD_MAX 64 /* nothing that we know is longer; what is cannot be a slip of it */

static guint least(guint a, guint b, guint c)
{
	return MIN(MIN(a, b), c);
}

static bool same_letter(char a, char b)
{
	return g_ascii_tolower(a) == g_ascii_tolower(b);
}

guint bh_nearest_distance(const char *a, const char *b)
{
	size_t m = strlen(a), n = strlen(b);
	if (m > WORD_MAX || n > WORD_MAX)
		return (guint)MAX(m, n);

	/* Optimal string alignment: cost[i][j] turns the first i letters of `a` into the first j of `b`. */
	guint cost[WORD_MAX + 1][WORD_MAX + 1];
	for (size_t i = 0; i <= m; i++)
		cost[i][0] = (guint)i;
	for (size_t j = 0; j <= n; j++)
		cost[0][j] = (guint)j;

	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			guint replaced = cost[i - 1][j - 1] + !same_letter(a[i - 1], b[j - 1]);
			cost[i][j] = least(cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced);
			bool swapped =
				i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]);
			if (swapped)
				cost[i][j] = MIN(cost[i][j], cost[i - 2][j - 2] + 1);
		}
	}
	return cost[m][n];
}

/* The one entry that begins with `typed`; NULL when none or several do. */
static const char *completed(const char *typed, const char *const *known)
{
	const char *found = NULL;
	if (strlen(typed) < 3)
		return NULL;
	for (; *known; known++) {
		if (g_ascii_strncasecmp(*known, typed, strlen(typed)) != 0)
			continue;
		if (found)
			return NULL;
		found = *known;
	}
	return found;
}

const char *bh_nearest(const char *typed, const char *const *known)
{
	const char *best = NULL;
	guint best_distance = MAX(1, (guint)strlen(typed) / 3) + 1;

	for (const char *const *k = known; *k; k++) {
		guint distance = bh_nearest_distance(typed, *k);
		if (distance < best_distance && distance < strlen(*k)) {
			best = *k;
			best_distance = distance;
		}
	}
	return best ? best : completed(typed, known);
}
