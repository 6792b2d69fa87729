#include "event/near.h"

#include <glib.h>

#define LONGEST 128

/* Letters to add, drop, change or swap with the neighbour until `a` is `b`. */
static unsigned distance(bh_span a, bh_span b)
{
	unsigned before[LONGEST + 1], last[LONGEST + 1], now[LONGEST + 1];

	for (unsigned k = 0; k <= b.size; k++)
		last[k] = k;
	for (size_t i = 1; i <= a.size; i++) {
		now[0] = (unsigned)i;
		for (size_t k = 1; k <= b.size; k++) {
			bool same = g_ascii_tolower(a.at[i - 1]) == g_ascii_tolower(b.at[k - 1]);
			now[k] = MIN(MIN(last[k] + 1, now[k - 1] + 1), last[k - 1] + !same);
			if (i > 1 && k > 1 && a.at[i - 1] == b.at[k - 2] && a.at[i - 2] == b.at[k - 1])
				now[k] = MIN(now[k], before[k - 2] + 1);
		}
		memcpy(before, last, sizeof last);
		memcpy(last, now, sizeof now);
	}
	return last[b.size];
}

void bh_near_offer(bh_near *near, const char *name)
{
	bh_span known = bh_span_of(name);

	if (near->text.size == 0 || near->text.size > LONGEST || known.size > LONGEST)
		return;
	unsigned d = distance(near->text, known);
	if (d <= known.size / 4 + 1 && d < known.size && (!near->best || d < near->distance)) {
		near->best = name;
		near->distance = d;
	}
}
