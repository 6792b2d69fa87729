/*
 * Access tokens of OAuth2 client credentials (RFC 6749, 4.4), kept in the memory of one thread. Pure: it asks nobody, the
 * time is passed in, and what a token service said is reported to it.
 *
 * A place holds what is known for one key, which is a webhook and everything that goes into the request; so nobody ever gets a
 * token that was fetched for somebody else, and a changed secret finds an empty place.
 *
 *   EMPTY -> FLYING    one run asks the service, the others of this key wait for it
 *   FLYING -> HELD     a token came: all of them get it, and who comes later
 *   FLYING -> RESTING  none came: nobody asks for a while (5 s, doubling to 5 min, or what the service asks for)
 *   FLYING -> EMPTY    the run that asked is gone and nobody waits (else the first who waits asks in its stead)
 *   HELD -> EMPTY      its time is over, or a receiver refused it
 *   RESTING -> EMPTY   the while is over
 *
 * A receiver that refuses a token (401) has it replaced at once, and then not again for 30 s; the wait doubles to 5 min while what
 * came in its place is not taken either. So a receiver that refuses everything does not become the token service's problem.
 */
#pragma once

#include "base/id.h"
#include "base/secret.h"
#include "base/time.h"
#include "transport/transport.h"

#include <glib.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#define BH_TOKEN_DIGEST_SIZE 32

typedef struct bh_token_key {
	bh_id webhook;
	uint8_t digest[BH_TOKEN_DIGEST_SIZE]; /* SHA-256 over every parameter of the request */
} bh_token_key;

typedef enum bh_token_turn {
	BH_TOKEN_HAD, /* claim->token is good */
	BH_TOKEN_ASK, /* ask the service, then say granted or refused, or leave */
	BH_TOKEN_WAIT, /* another run asks: `wake` is called when this has become one of the others */
	BH_TOKEN_REFUSED, /* none can be had: claim->refusal */
	BH_TOKEN_NO_OTHER, /* there is none but the one that the receiver refused */
} bh_token_turn;

typedef struct bh_token_place bh_token_place;
typedef struct bh_tokens bh_tokens;

/* Why there is no token. */
typedef struct bh_token_refusal {
	bh_cause cause; /* TOKEN, CREDENTIALS, GUARD or PROXY */
	char *sentence; /* the claim's own */
	bh_usec after; /* how long nobody asks */
	bool was_asked; /* a request was made, by this run or the one that it waited for */
} bh_token_refusal;

/* A run's business with one place. Zeroed at first; lives where it is, in the run. */
typedef struct bh_token_claim {
	bh_token_turn turn;
	bh_token_place *place; /* a reference; NULL: no business */
	bh_secret *instead_of; /* a reference: the token that was refused; NULL: any will do */
	bh_secret *token; /* HAD: a reference */
	bh_token_refusal refusal; /* REFUSED */
	GList link; /* among those who wait */
	void *user; /* for `wake` */
} bh_token_claim;

/* At most `places_max` places are kept; those that are in use are not counted. `wake` may not call back. */
bh_tokens *bh_tokens_new(size_t places_max, void (*wake)(void *user));
void bh_tokens_free(bh_tokens *t); /* after all claims and references to places */

/*
 * The place of `key`, a reference. `version` stands for the settings that the key was made from: a new place of a webhook
 * wipes the tokens of its other versions.
 */
bh_token_place *bh_tokens_place(bh_tokens *t, const bh_token_key *key, uint64_t version, bh_mono now);
bh_token_place *bh_token_place_ref(bh_token_place *place);
void bh_token_place_unref(bh_token_place *place);

/* Lets go of what nobody has used for an hour; cheap, to be called at any time. */
void bh_tokens_tidy(bh_tokens *t, bh_mono now);

/*
 * Wants a token, other than `instead_of` unless that is NULL. Fills `claim`, which has no business (any more), and returns its turn.
 * It ends with bh_token_leave, whatever comes of it.
 */
bh_token_turn bh_token_want(bh_token_place *place, bh_secret *instead_of, bh_mono now, bh_token_claim *claim);

/* After ASK. `life`: how long the service says that the token is good; 0 or less: it does not say. */
void bh_token_granted(bh_token_claim *claim, bh_secret *token, bh_usec life, bh_mono now);

/* After ASK. `retry_after`: what the service asks for; 0: nothing. */
void bh_token_refused(bh_token_claim *claim, bh_cause cause, const char *sentence, bh_usec retry_after, bh_mono now);

void bh_token_leave(bh_token_claim *claim); /* at any point; zeroes it */

/* A receiver took this token of the place. */
void bh_token_proved(bh_token_place *place, const bh_secret *token);

/* A context of SHA-256 for the digests of keys; good for one at a time. */
EVP_MD_CTX *bh_tokens_hash(bh_tokens *t);

size_t bh_tokens_count(const bh_tokens *t); /* places */
