/*
 * One process at a time: an exclusive lock on "<database>.lock", held as long as its descriptor is open. The kernel
 * lets go of it with the process, however that ends, so nobody ever has to remove the file.
 */
#pragma once

#include <glib.h>

/* A descriptor for bh_lock_release, or -1 with BH_ERROR_BUSY (names the holder) or BH_ERROR_IO. */
int bh_lock_take(const char *database, GError **error);
void bh_lock_release(int lock); /* -1 is fine */
