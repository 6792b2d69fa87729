/*
 * The flight record: which deliveries are under way, in a file mapped into memory.
 *
 * Writing to it costs no system call, and it survives the death of the process (not of the machine: after a
 * power cut the page may be old). The next start reads it and knows which requests may have reached
 * their receivers without a record of it.
 */
#pragma once

#include "base/id.h"

#include <glib.h>
#include <stdbool.h>

typedef struct bh_flight bh_flight;

/* One attempt under way. An attempt that the store has by now (so many or more of the delivery's) needs no second record. */
typedef struct bh_flight_entry {
	bh_id delivery;
	int64_t attempt; /* its number */
} bh_flight_entry;

/*
 * Opens or makes the file with `slots` places; what the last process left there goes to `ret_left` (GArray of
 * bh_flight_entry) and stays noted until bh_flight_clear.
 */
bh_flight *bh_flight_open(const char *path, size_t slots, GArray **ret_left, GError **error);
void bh_flight_close(bh_flight *flight);

/* Notes the attempt in `slot`, or that it is on record and the slot is free again. Each slot has one writing thread. */
void bh_flight_note(bh_flight *flight, size_t slot, bh_flight_entry entry);
void bh_flight_forget(bh_flight *flight, size_t slot);

/* The one at `place` among those that were left is on record: dying from now on must not count it once more. */
void bh_flight_settle(bh_flight *flight, size_t place);
void bh_flight_clear(bh_flight *flight);
