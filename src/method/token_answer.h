/*
 * What a token service answered (RFC 6749, 5.1 and 5.2), read as if a stranger had sent it. Pure.
 */
#pragma once

#include "base/secret.h"
#include "base/time.h"
#include "transport/transport.h"

#include <stdbool.h>

#define BH_TOKEN_MAX (12 * 1024) /* bytes of an access token */

typedef struct bh_token_answer {
	bh_secret *token; /* NULL: there is none, and the rest says why not */
	bh_usec life; /* 0: not said */
	bh_cause cause; /* CREDENTIALS: it does not accept the client; GUARD: it may not be asked; PROXY: our own did not; else TOKEN */
	char *sentence; /* for the owner of the webhook; what it repeats of the answer is one line, and short */
} bh_token_answer;

void bh_token_answer_read(const bh_answer *answer, bh_token_answer *ret);
void bh_token_answer_clear(bh_token_answer *a);

/*
 * Shows every text of the answer that is, or may be, a credential: the members access_token, refresh_token and id_token as they stand
 * there and as they are meant. The bytes are only `each`'s until it returns.
 */
void bh_token_answer_each_credential(const bh_answer *answer, void (*each)(void *user, bh_span credential), void *user);
