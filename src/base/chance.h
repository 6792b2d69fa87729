/* Random numbers: for secrets from the kernel's generator, for jitter from a seed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fills `bytes` with unpredictable bytes (RAND_bytes); aborts if the system has none. */
void bh_random_bytes(void *bytes, size_t size);

/* A small seeded generator (splitmix64): the same seed gives the same row. */
typedef struct bh_chance {
	uint64_t state;
} bh_chance;

bh_chance bh_chance_seeded(uint64_t seed);
uint64_t bh_chance_next(bh_chance *chance);

/* Evenly spread over low..high, both included; low <= high. */
int64_t bh_chance_between(bh_chance *chance, int64_t low, int64_t high);
