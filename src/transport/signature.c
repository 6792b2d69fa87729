/*
 * A signature is HMAC-SHA256 over   id "." seconds "." body   under the bytes that follow "whsec_" in base64.
 *
 * The key goes into the MAC context once; a message only re-initialises it (0.3 us instead of 1 us
 * for a one-shot HMAC(), which fetches and schedules anew each time).
 */
#include "transport/signature.h"

#include "base/error.h"

#include <glib.h>
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define SECRET_PREFIX "whsec_"
#define SECRET_BYTES_MIN 24
#define SECRET_BYTES_MAX 64
#define VERSION_TAG "v1,"
#define MAC_BYTES 32

#define BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4 + 1) /* with the NUL */

struct bh_signer {
	EVP_MAC_CTX *mac; /* holds the key */
};

/* libcrypto only says no here when it is broken or out of memory: then nothing may be signed or believed. */
static void must(int ok)
{
	if (!ok)
		g_error("libcrypto cannot compute HMAC-SHA256");
}

/* --- Signing ------------------------------------------------------------------------------ */

bh_signer *bh_signer_new(const bh_secret *key)
{
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
	EVP_MAC_free(hmac); /* the context holds its own reference */

	const OSSL_PARAM sha256[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
				     OSSL_PARAM_construct_end()};
	bh_span bytes = bh_secret_bytes(key);
	must(EVP_MAC_init(mac, (const unsigned char *)bytes.at, bytes.size, sha256));

	bh_signer *s = g_new(bh_signer, 1);
	*s = (bh_signer){.mac = mac};
	return s;
}

void bh_signer_free(bh_signer *s)
{
	if (!s)
		return;
	EVP_MAC_CTX_free(s->mac); /* wipes the key */
	g_free(s);
}

static void add(EVP_MAC_CTX *mac, bh_span piece)
{
	if (piece.size > 0)
		must(EVP_MAC_update(mac, (const unsigned char *)piece.at, piece.size));
}

static void sign(const bh_signer *s, const char *id, const char *timestamp, bh_span body, char ret[BH_SIGNATURE_SIZE])
{
	unsigned char digest[MAC_BYTES];
	size_t size = 0;

	must(EVP_MAC_init(s->mac, NULL, 0, NULL));
	add(s->mac, bh_span_of(id));
	add(s->mac, bh_span_of("."));
	add(s->mac, bh_span_of(timestamp));
	add(s->mac, bh_span_of("."));
	add(s->mac, body);
	must(EVP_MAC_final(s->mac, digest, &size, sizeof digest));
	must(size == sizeof digest);

	G_STATIC_ASSERT(sizeof VERSION_TAG - 1 + BASE64_SIZE(MAC_BYTES) == BH_SIGNATURE_SIZE);
	memcpy(ret, VERSION_TAG, sizeof VERSION_TAG - 1);
	EVP_EncodeBlock((unsigned char *)ret + sizeof VERSION_TAG - 1, digest, sizeof digest);
}

void bh_signer_sign(bh_signer *s, const char *id, int64_t seconds, bh_span body, char ret[BH_SIGNATURE_SIZE])
{
	char timestamp[24];

	g_snprintf(timestamp, sizeof timestamp, "%" PRId64, seconds);
	sign(s, id, timestamp, body, ret);
}

/* --- The secret as text ------------------------------------------------------------------- */

char *bh_signing_secret_text(const bh_secret *key)
{
	bh_span bytes = bh_secret_bytes(key);
	size_t prefix = sizeof SECRET_PREFIX - 1;
	char *text = g_malloc(prefix + BASE64_SIZE(bytes.size));

	memcpy(text, SECRET_PREFIX, prefix);
	EVP_EncodeBlock((unsigned char *)text + prefix, (const unsigned char *)bytes.at, (int)bytes.size);
	return text;
}

static size_t padding(const char *base64, size_t size)
{
	size_t signs = 0;

	while (signs < 2 && signs < size && base64[size - 1 - signs] == '=')
		signs++;
	return signs;
}

/*
 * Only the one canonical spelling counts: libcrypto's decoder also takes blanks and stray bits, which a receiver's
 * library may read as another key. Encoding again and comparing refuses those without a second decoder.
 */
static bh_secret *decode(const char *base64)
{
	unsigned char bytes[(BASE64_SIZE(SECRET_BYTES_MAX) - 1) / 4 * 3];
	char again[BASE64_SIZE(sizeof bytes)];
	size_t size = strlen(base64);
	bh_secret *key = NULL;

	if (size % 4 != 0 || size >= BASE64_SIZE(SECRET_BYTES_MAX))
		return NULL;
	int decoded = EVP_DecodeBlock(bytes, (const unsigned char *)base64, (int)size);
	if (decoded < 0)
		return NULL;

	size_t length = (size_t)decoded - padding(base64, size);
	EVP_EncodeBlock((unsigned char *)again, bytes, (int)length);
	if (length >= SECRET_BYTES_MIN && length <= SECRET_BYTES_MAX && strcmp(again, base64) == 0)
		key = bh_secret_new(bytes, length);
	OPENSSL_cleanse(bytes, sizeof bytes);
	OPENSSL_cleanse(again, sizeof again);
	return key;
}

bh_secret *bh_signing_secret_parse(const char *text, GError **error)
{
	bh_secret *key = decode(g_str_has_prefix(text, SECRET_PREFIX) ? text + sizeof SECRET_PREFIX - 1 : text);

	if (!key) /* the message does not show the text: it is meant to be secret */
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
			    "the signing secret is not \"" SECRET_PREFIX "\" followed by %d to %d bytes in base64",
			    SECRET_BYTES_MIN, SECRET_BYTES_MAX);
	return key;
}

/* --- Verifying, as a receiver does ---------------------------------------------------------- */

const char *bh_verification_sentence(bh_verification v)
{
	switch (v) {
	case BH_VERIFIED:
		return "The signature is good.";
	case BH_VERIFY_MISSING_HEADER:
		return "One of the headers webhook-id, webhook-timestamp and webhook-signature is missing.";
	case BH_VERIFY_BAD_TIMESTAMP:
		return "The header webhook-timestamp is not a number of seconds.";
	case BH_VERIFY_TOO_OLD:
		return "The timestamp is older than the tolerance: a replay, or this machine's clock is fast.";
	case BH_VERIFY_TOO_NEW:
		return "The timestamp lies further ahead than the tolerance: this machine's clock is slow.";
	case BH_VERIFY_NO_MATCH:
		return "No v1 signature matches: another secret, or the body is not byte for byte the one that was "
		       "sent.";
	}
	g_assert_not_reached();
}

static bool missing(const char *header)
{
	return !header || !*header;
}

/* Plain digits, few enough that nothing overflows. */
static bool read_seconds(const char *text, int64_t *ret)
{
	int64_t seconds = 0;

	for (const char *c = text; *c; c++) {
		if (!g_ascii_isdigit(*c) || c - text >= 15)
			return false;
		seconds = seconds * 10 + (*c - '0');
	}
	*ret = seconds;
	return true;
}

/* Unknown versions are skipped: a sender may list v1a beside v1. */
static bool any_matches(const char *signatures, const char expected[BH_SIGNATURE_SIZE])
{
	bool found = false;

	for (const char *one = signatures; *one;) {
		size_t size = strcspn(one, " ");
		if (size == BH_SIGNATURE_SIZE - 1 && CRYPTO_memcmp(one, expected, size) == 0)
			found = true;
		one += size;
		one += strspn(one, " ");
	}
	return found;
}

bh_verification bh_signature_verify(const bh_secret *key, const char *id, const char *timestamp, const char *signatures,
				    bh_span body, int64_t now_seconds, int64_t tolerance)
{
	int64_t sent;
	char expected[BH_SIGNATURE_SIZE];

	if (missing(id) || missing(timestamp) || missing(signatures))
		return BH_VERIFY_MISSING_HEADER;
	if (!read_seconds(timestamp, &sent))
		return BH_VERIFY_BAD_TIMESTAMP;
	if (tolerance >= 0 && now_seconds - sent > tolerance)
		return BH_VERIFY_TOO_OLD;
	if (tolerance >= 0 && sent - now_seconds > tolerance)
		return BH_VERIFY_TOO_NEW;

	g_autoptr(bh_signer) signer = bh_signer_new(key);
	sign(signer, id, timestamp, body, expected); /* the timestamp as it was sent, not as we would write it */
	return any_matches(signatures, expected) ? BH_VERIFIED : BH_VERIFY_NO_MATCH;
}
