/*
 * Secrets at rest: AES-256-GCM under one key of the installation.
 *
 * The key is 32 bytes, base64 in a file of mode 0600 that is made on first start, or
 * in the environment variable BELLHOP_SEAL_KEY. Each sealed value has its own random 96-bit
 * nonce (NIST SP 800-38D section 8.2.2) and is bound to `purpose` (for example
 * "webhook 17 secret"), so that a value copied to another row does not open.
 */
#pragma once

#include "base/secret.h"

typedef struct bh_sealer bh_sealer;

/* Reads the key from the environment, else from `path`, which is made if it is not there. */
bh_sealer *bh_sealer_open(const char *path, GError **error);
/* One with a key that no other process has and that ends with it: for trying things out. NULL with BH_ERROR_IO. */
bh_sealer *bh_sealer_throwaway(GError **error);
void bh_sealer_free(bh_sealer *sealer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_sealer, bh_sealer_free)

/* nonce (12) + ciphertext + tag (16), as base64 text. Any thread. */
char *bh_seal(const bh_sealer *sealer, bh_span plain, const char *purpose);

/* NULL with BH_ERROR_INVALID: another key, another purpose, or damaged. */
bh_secret *bh_unseal(const bh_sealer *sealer, const char *sealed, const char *purpose, GError **error);

/* HMAC-SHA256 under a key derived from the sealing key for this purpose: cursors and the like. Any thread. */
#define BH_MAC_SIZE 32
void bh_sealer_mac(const bh_sealer *sealer, bh_span message, const char *purpose, unsigned char ret[BH_MAC_SIZE]);
