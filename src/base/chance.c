#include "base/chance.h"

#include <glib.h>
#include <limits.h>
#include <openssl/rand.h>

void bh_random_bytes(void *bytes, size_t size)
{
	g_assert(size <= INT_MAX);
	if (RAND_bytes(bytes, (int)size) != 1)
		g_error("the system has no random numbers"); /* aborts: a guessable secret is worse than none */
}

bh_chance bh_chance_seeded(uint64_t seed)
{
	return (bh_chance){seed};
}

uint64_t bh_chance_next(bh_chance *chance)
{
	uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int64_t bh_chance_between(bh_chance *chance, int64_t low, int64_t high)
{
	g_assert(low <= high);
	uint64_t count = (uint64_t)high - (uint64_t)low + 1; /* 0: all 2^64 of them */
	if (count == 0)
		return (int64_t)bh_chance_next(chance);

	/* The last, incomplete row of `count` numbers below 2^64 would favour its members: draw again. */
	uint64_t uneven = -count % count;
	uint64_t drawn;
	do
		drawn = bh_chance_next(chance);
	while (drawn < uneven);
	return (int64_t)((uint64_t)low + drawn % count);
}
