/*
 * Bytes that must not leak: wiped when freed, compared in constant time, never
 * formatted. Immutable and counted, so that a snapshot can share them.
 */
#pragma once

#include "base/span.h"

#include <glib.h>
#include <stdbool.h>

typedef struct bh_secret bh_secret;

bh_secret *bh_secret_new(const void *bytes, size_t size); /* copies */
bh_secret *bh_secret_random(size_t size);
bh_secret *bh_secret_ref(bh_secret *secret);
void bh_secret_unref(bh_secret *secret); /* wipes with the last reference; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_secret, bh_secret_unref)

/* The bytes, followed by a NUL that does not count; they live as long as the secret. */
bh_span bh_secret_bytes(const bh_secret *secret);
bool bh_secret_equal(const bh_secret *a, const bh_secret *b);

/* Frees text that held a secret, after wiping it. */
void bh_text_wipe(char *text);
