/*
 * The token services, one a webhook, each beside the webhook's receiver and in the same mood. What it gives out is good for a
 * while, and may be taken back before.
 */
#pragma once

#include "receiver.h"

typedef struct token_services token_services;
token_services *token_services_new(sim *s);
void token_services_free(token_services *t);

#define TOKEN_PATH "/token/"
bool token_is_wanted(const bh_request *request); /* is this a request for a token? */
/* It came to the service; of which webhook, and what is answered. The body goes to *ret_body, the caller's. */
bh_id token_asked(token_services *t, const bh_request *request, const receiver *beside, meeting *m, GByteArray **ret_body);
void token_answered(token_services *t, bh_id webhook); /* or given up */
void token_process_over(token_services *t);

/* What a receiver makes of the credentials of a request to the webhook. */
bool token_is_good(token_services *t, bh_id webhook, const bh_request *request);
