/*
 * What each request of a webhook needs again and again, made ready once: signers and extra header lines. Kept for the
 * webhooks used last; a webhook that changed gets a new kit. Loop thread only.
 */
#pragma once

#include "directory/directory.h"
#include "transport/signature.h"

typedef struct bh_kits bh_kits;

typedef struct bh_kit {
	bh_webhook *webhook; /* a reference; the kit is good for this very version */
	bh_signer *signer;
	bh_signer *old_signer; /* NULL: none */
	char **headers;        /* "Name: value", NULL-terminated; names that may not be sent are left out */
} bh_kit;

bh_kits *bh_kits_new(void);
void bh_kits_free(bh_kits *kits);

/* Valid until the next call. */
const bh_kit *bh_kits_find(bh_kits *kits, const bh_webhook *webhook);

/* Appends the value of webhook-signature: the new secret's first, then the old one's while it still signs along. */
void bh_kit_sign(const bh_kit *kit, const char *id, bh_usec wall, bh_span body, GString *out);
