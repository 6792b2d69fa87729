#include "base/near.h"

#include <glib.h>

#define LONGEST 128
#define BEGINNING_MIN 3 /* letters that say which name was begun */

static bool same_letter(char a, char b)
{
	return g_ascii_tolower(a) == g_ascii_tolower(b);
}

/* Optimal string alignment: letters to add, drop, change or swap with their neighbour until `a` is `b`. */
static size_t distance(bh_span a, bh_span b)
{
	size_t before[LONGEST + 1] = {0}, last[LONGEST + 1], now[LONGEST + 1];

	for (size_t k = 0; k <= b.size; k++)
		last[k] = k;
	for (size_t i = 1; i <= a.size; i++) {
		now[0] = i;
		for (size_t k = 1; k <= b.size; k++) {
			size_t changed = last[k - 1] + !same_letter(a.at[i - 1], b.at[k - 1]);
			now[k] = MIN(changed, MIN(last[k], now[k - 1]) + 1);
			if (i > 1 && k > 1 && same_letter(a.at[i - 1], b.at[k - 2]) &&
			    same_letter(a.at[i - 2], b.at[k - 1]))
				now[k] = MIN(now[k], before[k - 2] + 1);
		}
		memcpy(before, last, sizeof before);
		memcpy(last, now, (b.size + 1) * sizeof *now);
	}
	return last[b.size];
}

void bh_near_offer(bh_near *near, const char *name)
{
	bh_span text = near->text, known = bh_span_of(name);

	if (text.size > LONGEST || known.size > LONGEST)
		return;
	size_t d = distance(text, known);
	if (d <= MAX(1, text.size / 3) && d < known.size && (!near->nearest || d < near->distance)) {
		near->nearest = name;
		near->distance = d;
	}
	if (text.size >= BEGINNING_MIN && text.size <= known.size &&
	    g_ascii_strncasecmp(text.at, name, text.size) == 0) {
		near->is_ambiguous = near->begun != NULL;
		near->begun = name;
	}
}

const char *bh_near_best(const bh_near *near)
{
	if (near->nearest)
		return near->nearest;
	return near->is_ambiguous ? NULL : near->begun;
}

const char *bh_nearest(const char *text, const char *const *known)
{
	bh_near near = {.text = bh_span_of(text)};

	for (; *known; known++)
		bh_near_offer(&near, *known);
	return bh_near_best(&near);
}
