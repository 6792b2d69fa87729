/* What the files about webhooks share. */
#pragma once

#include "api/call.h"

/* A webhook as an answer shows it: passwords and header values masked. */
typedef struct bh_shown_webhook {
	const bh_webhook *webhook;
	bh_streak streak; /* its run of failures; zero: none */
	const GPtrArray *names; /* bh_name that were looked up for this answer; NULL: none */
	const char *secret; /* only in the answer of its creation; NULL: not shown */
} bh_shown_webhook;
void bh_write_webhook(bh_call *call, GString *out, const bh_shown_webhook *shown);
/* The answer about one, with its ETag. */
void bh_reply_webhook(bh_call *call, unsigned status, const bh_shown_webhook *shown);
/* What is wrong with it or will be, as the member `warnings`. */
void bh_write_warnings(bh_call *call, GString *out, const bh_shown_webhook *shown, bh_usec disables_at);

/* The webhook that the path names; NULL: the call is answered. Lives as long as the call's scope. */
const bh_webhook *bh_find_webhook(bh_call *call);

/* Puts `webhook` (taken) as one change. */
void bh_put_webhook(bh_call *call, bh_webhook *webhook, bh_call_step next);

/*
 * After bh_put_webhook: did somebody else change the webhook meanwhile, so that it is worth beginning anew with what is
 * there now? Then the scope is fresh and `handler` has been called again.
 */
bool bh_begin_anew(bh_call *call, bh_call_step handler);

/* The secret that the body chose, else a new one; NULL: the call is answered. */
bh_secret *bh_read_signing_secret(bh_call *call);

/*
 * The stored form of `webhook`'s settings for `method`, merged from what is stored, from the body's node `given` and from its
 * node `url` (either BH_JSON_NONE). `stored_method` is what wrote the present ones (NULL: none). In place; false: answered. The names
 * that they lead to are added to `names` (names.h), to be looked up.
 */
bool bh_merge_settings(bh_call *call, bh_webhook *webhook, const char *stored_method, const char *method,
		       uint32_t given, uint32_t url, bool headers_kept, GPtrArray *names);

/* Merges the body's node `headers` into the webhook's. *ret_kept: some value stays that the body does not say. */
bool bh_merge_headers(bh_call *call, bh_webhook *webhook, uint32_t node, bool *ret_kept);

/* Order, coalescing, rate and TLS: put the body's node into the webhook, merged with what it has. False: answered. */
bool bh_set_order_by(bh_call *call, bh_webhook *webhook, uint32_t node);
bool bh_set_coalesce(bh_call *call, bh_webhook *webhook, uint32_t node);
bool bh_set_rate_limit(bh_call *call, bh_webhook *webhook, uint32_t node);
bool bh_set_tls(bh_call *call, bh_webhook *webhook, uint32_t node);
/* And as they are shown. */
void bh_write_pace(GString *out, const bh_webhook *webhook);
void bh_write_tls(GString *out, const bh_webhook *webhook);

/* The script at the body's node `/script` (not BH_JSON_NONE), checked; null: *ret becomes NULL. False: answered. */
bool bh_read_script(bh_call *call, uint32_t node, char **ret);

/* What becomes of the deliveries that were held while a webhook was disabled. */
typedef enum bh_held_policy {
	BH_HELD_KEEP, /* they stay held */
	BH_HELD_ALL,
	BH_HELD_NEWEST, /* the newest is sent, the others are cancelled */
	BH_HELD_NONE, /* all are cancelled */
} bh_held_policy;
/* The policy that the body's node names, at /held (BH_JSON_NONE: *ret stays). False: answered. */
bool bh_read_held_policy(bh_call *call, uint32_t node, bh_held_policy *ret);
/* When nothing is said: by why they were held. */
bh_held_policy bh_held_policy_default(const bh_webhook *disabled);

/* To be called between preparing a commit and bh_call_commit: when it went well, the held deliveries of `webhook` follow. */
void bh_release_after(bh_call *call, bh_id webhook, bh_held_policy policy);
/* In the next step: the change is made, but some deliveries are still held; the call is answered. */
bool bh_release_failed(bh_call *call);
