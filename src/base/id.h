/*
 * Ids of what Bellhop makes itself: events, deliveries, webhooks, keys.
 *
 * 63 bits, growing with time: 41 bits of milliseconds since 2026-01-01, 10 bits
 * chosen at random by each process at its start, 12 bits of a sequence that starts
 * anew, at a random number, in each millisecond. So ids sort by age, two processes
 * do not collide, and nobody can count somebody else's events by subtracting ids.
 *
 * Outside they are a prefix and 13 characters of Crockford's base 32 in lower
 * case: "evt_04f2k8m1q7zr0".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t bh_id; /* 0 is no id */

typedef enum bh_id_kind {
	BH_ID_EVENT,    /* evt_ */
	BH_ID_DELIVERY, /* dlv_ */
	BH_ID_WEBHOOK,  /* whk_ */
	BH_ID_KEY,      /* key_ */
	BH_ID_RECOVERY, /* rec_ */
} bh_id_kind;

#define BH_ID_TEXT_SIZE 20

/* A new id, greater than every one that this process made before. Any thread. */
bh_id bh_id_new(void);

/* The least id that could be made at the wall moment `at`: where a range of ids by age begins. 0 before 2026. */
bh_id bh_id_at(int64_t at_usec);

/* Never make an id at or below `floor` (the largest in the store). Called once, at start. */
void bh_id_start_above(bh_id floor);

/* Begins anew as a process that starts does, with `seed` as its chance. For a simulation: the same seed, the same ids. */
void bh_id_restart(uint64_t seed);

/* Writes the text form and returns `buffer`. */
const char *bh_id_text(bh_id_kind kind, bh_id id, char buffer[BH_ID_TEXT_SIZE]);

/* Reads the text form. False: another prefix, wrong length, a foreign character. */
bool bh_id_parse(bh_id_kind kind, const char *text, bh_id *ret_id);
