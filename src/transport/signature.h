/* Standard Webhooks 1.0.0 signatures, symmetric (v1): see docs/signatures.md. */
#pragma once

#include "base/secret.h"
#include "base/time.h"

#define BH_SECRET_BYTES 32      /* of a new one; 24 to 64 are accepted */

/* One key made ready once: HMAC-SHA256 with its key schedule kept. One thread at a time. */
typedef struct bh_signer bh_signer;
bh_signer *bh_signer_new(const bh_secret *key);
void bh_signer_free(bh_signer *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_signer, bh_signer_free)

/* "v1,<base64>" of id "." seconds "." body. */
#define BH_SIGNATURE_SIZE 48
void bh_signer_sign(bh_signer *s, const char *id, int64_t seconds, bh_span body, char ret[BH_SIGNATURE_SIZE]);

/* "whsec_" + base64, and back (the prefix may be missing). BH_ERROR_INVALID: no base64, or not 24 to 64 bytes. */
char *bh_signing_secret_text(const bh_secret *key);
bh_secret *bh_signing_secret_parse(const char *text, GError **error);

/* What a receiver checks. */
typedef enum bh_verification {
	BH_VERIFIED,
	BH_VERIFY_MISSING_HEADER,
	BH_VERIFY_BAD_TIMESTAMP,
	BH_VERIFY_TOO_OLD,
	BH_VERIFY_TOO_NEW,
	BH_VERIFY_NO_MATCH, /* no v1 signature of the list matches */
} bh_verification;
const char *bh_verification_sentence(bh_verification v);

/* `tolerance` in seconds both ways, exactly that much still passes; negative: the time is not checked. Header values may be NULL. */
bh_verification bh_signature_verify(const bh_secret *key, const char *id, const char *timestamp, const char *signatures,
                                    bh_span body, int64_t now_seconds, int64_t tolerance);
