/* What `bellhop verify` looks at, and what it finds. Pure. */
#pragma once

#include "transport/signature.h"

#include <glib.h>

/* A request as it was kept in files. */
typedef struct bh_proof {
	char *id, *timestamp, *signatures; /* the three headers; NULL: missing */
	bh_span body;
} bh_proof;

void bh_proof_clear(bh_proof *proof);

/*
 * Reads header lines "Name: value", as saved by hand or as a whole request: a request line before them is skipped. What
 * follows an empty line is the body: *ret_rest, which points into `text`, at NULL when there is no such line. A value
 * that is set already stays.
 */
void bh_proof_read_headers(bh_proof *proof, bh_span text, bh_span *ret_rest);

/* The best that one of the secrets gives. */
bh_verification bh_proof_check(const bh_proof *proof, const GPtrArray *secrets, int64_t now_seconds, int64_t tolerance);

/* Which of the checks failed: "headers", "timestamp", "signature"; NULL: none. */
const char *bh_proof_failed_check(bh_verification verification);

/* What probably went wrong, if the usual mistakes explain it: a sentence, new text; NULL: they do not. */
char *bh_proof_hint(const bh_proof *proof, const GPtrArray *secrets, bh_verification verification);
