/* A request for an access token by client credentials (RFC 6749, 4.4): what it is made of, and how it is written. Pure. */
#pragma once

#include "base/secret.h"
#include "base/span.h"
#include "method/tokens.h"

#include <openssl/evp.h>

#define BH_TOKEN_RESOURCES_MAX 8
#define BH_TOKEN_EXTRA_MAX 32

/* How the client shows who it is (RFC 6749, 2.3.1). */
typedef enum bh_credentials {
	BH_CREDENTIALS_HEADER, /* id and secret form-encoded, then as Basic: what the RFC says */
	BH_CREDENTIALS_HEADER_RAW, /* as Basic without that: for services that do not decode */
	BH_CREDENTIALS_BODY, /* client_id and client_secret in the form */
} bh_credentials;

typedef struct bh_token_pair {
	bh_span name, value;
} bh_token_pair;

/* The texts are borrowed. Size 0: none. */
typedef struct bh_token_request {
	bh_span url, client_id, client_secret, scope, audience;
	bh_credentials credentials;
	bh_span resources[BH_TOKEN_RESOURCES_MAX]; /* RFC 8707 */
	unsigned resources_count;
	bh_token_pair extra[BH_TOKEN_EXTRA_MAX];
	unsigned extra_count;
} bh_token_request;

/* Brings `extra` into the order of the names, in which it is hashed and sent. */
void bh_token_request_sort(bh_token_request *r);

/* SHA-256 over every part of the request. `hash` is a context for it, which is used again and again. */
void bh_token_request_digest(const bh_token_request *r, EVP_MD_CTX *hash, uint8_t digest[BH_TOKEN_DIGEST_SIZE]);

/*
 * The digest of the request that was made last with some settings: the next event makes the same one, and hashing it costs as much
 * as the rest of getting a token that is at hand. Zeroed at first.
 */
typedef struct bh_token_digest {
	bh_secret *request; /* NULL: none yet */
	uint8_t digest[BH_TOKEN_DIGEST_SIZE];
} bh_token_digest;
void bh_token_digest_find(bh_token_digest *last, const bh_token_request *r, EVP_MD_CTX *hash,
			  uint8_t digest[BH_TOKEN_DIGEST_SIZE]);
void bh_token_digest_clear(bh_token_digest *last);

/* The client's secret as it stands in a form: what a service may repeat in its answer. */
bh_secret *bh_token_request_encoded_secret(const bh_token_request *r);

bh_secret *bh_token_request_form(const bh_token_request *r); /* the body */
bh_secret *bh_token_request_header(const bh_token_request *r); /* "Authorization: Basic ..."; NULL: the form says it */
