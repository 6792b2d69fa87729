/*
 * The API as the commands see it: one running Bellhop, found and asked like any client would.
 *
 * Address: --server (or --url, where that means nothing else), else BELLHOP_URL, else the
 * file `address` in the data folder, which `serve` writes.
 * Key: --key, else BELLHOP_KEY, else the file `site.key` there.
 * Data folder: --data-dir, else BELLHOP_DATA_DIR, else ./var.
 *
 * Errors are ready to be shown: what was attempted, on what, why not; and after a line feed, what to do.
 */
#pragma once

#include "base/json.h"
#include "cli/args.h"

#include <stdbool.h>

typedef struct bh_client bh_client;

/* NULL with BH_ERROR_NOT_FOUND: no address or no key to be found, and where it was looked for. */
bh_client *bh_client_new(const bh_args *args, GError **error);
void bh_client_free(bh_client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_client, bh_client_free)

/* What is asked. */
typedef struct bh_ask {
	const char *what; /* "add a webhook": the error will say that this cannot be done */
	const char *verb;
	const char *path; /* "/v1/webhooks?limit=50", already escaped */
	bh_span body; /* size 0: none */
	const char *content_type; /* of the body; NULL: application/json */
	const char *idempotency_key; /* NULL: none */
} bh_ask;

/* What came back, with a status of 200 to 299. */
typedef struct bh_reply {
	int status;
	bool replayed; /* a repeat under the same idempotency key */
	GString *body; /* as it came */
	bh_json *json; /* the body, read; NULL: it is empty */
} bh_reply;

/*
 * NULL: BH_ERROR_IO when nothing answered, BUSY, NOT_FOUND, CONFLICT, DENIED, LIMIT or INVALID as the API
 * refused it.
 */
bh_reply *bh_client_ask(bh_client *client, const bh_ask *ask, GError **error);
void bh_reply_free(bh_reply *reply);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_reply, bh_reply_free)

/* A piece of a path: "a/b" becomes "a%2Fb". */
char *bh_path_escape(const char *text);
