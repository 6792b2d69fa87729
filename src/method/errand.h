/* What a run has on hand beside the calls of its script: tokens that it waits for or got, the look-up of its event's details. */
#pragma once

#include "method/script.h"
#include "method/tokens.h"

#define BH_ERRAND_TOKENS_MAX 8 /* different tokens that one run may get */
#define BH_ERRAND_LOOKUPS_MAX 8 /* look-ups of one run */

/* A token that the run got, and whence. */
typedef struct bh_got_token {
	bh_token_place *place;
	bh_secret *token;
} bh_got_token;

/* One of a run: its run->token, from the first time on that it has something on hand. */
typedef struct bh_errand {
	bh_token_claim claim;
	const struct bh_token_errand *way; /* how it goes about that claim: see remote.h */
	bh_got_token got[BH_ERRAND_TOKENS_MAX];
	unsigned got_count, lookups;
	bool is_second; /* the look-up's first token was refused */
	char *url; /* of the look-up, or of its token service */
	bh_secret *form, *header; /* of the request for a token */
	GPtrArray *credentials; /* bh_secret: what else must not be shown; NULL: nothing */
} bh_errand;

/* The run's own; made when there is none. It goes with bh_tokens_leave (script.h), at any point of the run. */
bh_errand *bh_errand_of(bh_script *run);
void bh_errand_got(bh_errand *e, bh_token_place *place, bh_secret *token);
bh_secret *bh_errand_latest(const bh_errand *e, const bh_token_place *place); /* borrowed; NULL: none from there */
/* A receiver took what the run brought. */
void bh_errand_proved(const bh_script *run);
/* Keeps a copy of what must not be shown. */
void bh_errand_hide(bh_errand *e, bh_span credential);
/* How many bytes at `text` are something that must not be shown; 0: nothing such begins there. */
size_t bh_errand_password_at(const bh_errand *e, const char *text);
char *bh_errand_masked(const bh_errand *e, const char *text); /* new text */
void bh_errand_each_password(const bh_script *run, void (*each)(void *user, bh_span password), void *user);
