/* The table of routes: which verb on which path, who may, what it takes, who handles it. */
#pragma once

#include "api/call.h"

typedef enum bh_body_kind {
	BH_BODY_NONE, /* ignored */
	BH_BODY_JSON,
	BH_BODY_JSON_OR_NOTHING,
	BH_BODY_PATCH, /* JSON, or a JSON merge patch */
	BH_BODY_EVENTS, /* JSON or NDJSON */
} bh_body_kind;

struct bh_route {
	const char *verb;
	const char *path; /* "/v1/events/{}/verdicts": {} is the call's `id` */
	unsigned roles; /* bh_role bits; 0: no key is asked for */
	bh_body_kind body;
	const char *query[BH_QUERY_MAX]; /* names of the parameters that it knows */
	bh_call_step handle;
};

extern const bh_route BH_ROUTES[];
extern const size_t BH_ROUTE_COUNT;
#define BH_ROUTE_MAX 64 /* at least BH_ROUTE_COUNT */

/*
 * Finds the route of `verb` (HEAD is GET) and `path` (as sent, percent signs and all). *ret_id gets the still encoded
 * variable segment (borrowed from `path`; at NULL: none) and *ret_allow, when only the verb is wrong, the value
 * of Allow (the caller's), else NULL.
 */
const bh_route *bh_route_find(const char *verb, const char *path, bh_span *ret_id, char **ret_allow);

/* Handlers, one file per resource. */
void bh_post_events(bh_call *call);
void bh_list_events(bh_call *call);
void bh_show_event(bh_call *call);
void bh_list_verdicts(bh_call *call);
void bh_replay_event(bh_call *call);
void bh_list_deliveries(bh_call *call);
void bh_show_delivery(bh_call *call);
void bh_list_attempts(bh_call *call);
void bh_retry_delivery(bh_call *call);
void bh_cancel_delivery(bh_call *call);
void bh_list_webhooks(bh_call *call);
void bh_show_webhook(bh_call *call);
void bh_create_webhook(bh_call *call);
void bh_patch_webhook(bh_call *call);
void bh_delete_webhook(bh_call *call);
void bh_test_webhook(bh_call *call);
void bh_dry_run_webhook(bh_call *call);
void bh_show_secret(bh_call *call);
void bh_rotate_secret(bh_call *call);
void bh_recover_webhook(bh_call *call);
void bh_list_recoveries(bh_call *call);
void bh_show_recovery(bh_call *call);
void bh_cancel_recovery(bh_call *call);
void bh_list_managers(bh_call *call);
void bh_show_manager(bh_call *call);
void bh_put_manager(bh_call *call);
void bh_delete_manager(bh_call *call);
void bh_list_properties(bh_call *call);
void bh_show_property(bh_call *call);
void bh_put_property(bh_call *call);
void bh_delete_property(bh_call *call);
void bh_list_keys(bh_call *call);
void bh_create_key(bh_call *call);
void bh_delete_key(bh_call *call);
void bh_list_types(bh_call *call);
void bh_show_type(bh_call *call);
void bh_put_type(bh_call *call);
void bh_delete_type(bh_call *call);
void bh_list_methods(bh_call *call);
void bh_show_method(bh_call *call);
void bh_reload_methods(bh_call *call);
void bh_list_audit(bh_call *call);
void bh_show_health(bh_call *call);
void bh_show_ready(bh_call *call);
void bh_show_metrics(bh_call *call);
