#include "base/hash.h"

#include "base/chance.h"

#include <glib.h>
#include <pthread.h>

static uint64_t key[2];
static pthread_once_t key_drawn = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
	bh_random_bytes(key, sizeof key);
}

static inline uint64_t turn(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void mix(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = turn(v[1], 13) ^ v[0];
	v[0] = turn(v[0], 32);
	v[2] += v[3];
	v[3] = turn(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = turn(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = turn(v[1], 17) ^ v[2];
	v[2] = turn(v[2], 32);
}

static inline void absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v);
	v[0] ^= word;
}

uint64_t bh_hash(bh_span bytes)
{
	pthread_once(&key_drawn, draw_key);
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
			 key[1] ^ 0x7465646279746573};
	size_t at = 0;

	for (; at + 8 <= bytes.size; at += 8) {
		uint64_t word;
		memcpy(&word, bytes.at + at, 8);
		absorb(v, word);
	}

	uint64_t last = (uint64_t)bytes.size << 56;
	for (unsigned shift = 0; at < bytes.size; at++, shift += 8)
		last |= (uint64_t)(unsigned char)bytes.at[at] << shift;
	absorb(v, last);

	v[2] ^= 0xff;
	mix(v);
	mix(v);
	mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
