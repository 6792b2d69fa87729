#include "api/routes.h"

#include <string.h>

#define SITE BH_MAY_SITE
#define EMIT BH_MAY_EMIT
#define MANAGER BH_MAY_MANAGER
#define SUPER BH_MAY_SUPER
#define PAGE "limit", "cursor"

/* clang-format off: one line a route */
const bh_route BH_ROUTES[] = {
	{"POST", "/v1/events", SITE | EMIT, BH_BODY_EVENTS, {NULL}, bh_post_events},
	{"GET", "/v1/events", SITE | MANAGER | SUPER, BH_BODY_NONE, {PAGE, "type", "property_id"}, bh_list_events},
	{"GET", "/v1/events/{}", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_show_event},
	{"GET", "/v1/events/{}/verdicts", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_list_verdicts},
	{"POST", "/v1/events/{}/replay", SITE | MANAGER, BH_BODY_JSON_OR_NOTHING, {NULL}, bh_replay_event},

	{"GET",
	 "/v1/deliveries",
	 SITE | MANAGER | SUPER,
	 BH_BODY_NONE,
	 {PAGE, "webhook_id", "event_id", "state"},
	 bh_list_deliveries},
	{"GET", "/v1/deliveries/{}", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_show_delivery},
	{"GET", "/v1/deliveries/{}/attempts", SITE | MANAGER | SUPER, BH_BODY_NONE, {PAGE}, bh_list_attempts},
	{"POST", "/v1/deliveries/{}/retry", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_retry_delivery},
	{"POST", "/v1/deliveries/{}/cancel", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_cancel_delivery},

	{"GET", "/v1/webhooks", SITE | MANAGER | SUPER, BH_BODY_NONE, {PAGE, "manager_id"}, bh_list_webhooks},
	{"POST", "/v1/webhooks", SITE | MANAGER | SUPER, BH_BODY_JSON, {NULL}, bh_create_webhook},
	{"GET", "/v1/webhooks/{}", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_show_webhook},
	{"PATCH", "/v1/webhooks/{}", SITE | MANAGER | SUPER, BH_BODY_PATCH, {NULL}, bh_patch_webhook},
	{"DELETE", "/v1/webhooks/{}", SITE | MANAGER, BH_BODY_NONE, {NULL}, bh_delete_webhook},
	{"POST", "/v1/webhooks/{}/test", SITE | MANAGER, BH_BODY_JSON_OR_NOTHING, {NULL}, bh_test_webhook},
	{"POST", "/v1/webhooks/{}/dry-run", SITE | MANAGER, BH_BODY_JSON_OR_NOTHING, {NULL}, bh_dry_run_webhook},
	{"POST", "/v1/webhooks/{}/recover", SITE | MANAGER, BH_BODY_JSON, {NULL}, bh_recover_webhook},
	{"GET", "/v1/webhooks/{}/secret", SITE | MANAGER, BH_BODY_NONE, {NULL}, bh_show_secret},
	{"POST", "/v1/webhooks/{}/secret/rotate", SITE | MANAGER, BH_BODY_JSON_OR_NOTHING, {NULL}, bh_rotate_secret},

	{"GET", "/v1/recoveries", SITE | MANAGER | SUPER, BH_BODY_NONE, {PAGE, "webhook_id"}, bh_list_recoveries},
	{"GET", "/v1/recoveries/{}", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_show_recovery},
	{"POST", "/v1/recoveries/{}/cancel", SITE | MANAGER, BH_BODY_NONE, {NULL}, bh_cancel_recovery},

	{"GET", "/v1/managers", SITE | MANAGER | SUPER, BH_BODY_NONE, {PAGE}, bh_list_managers},
	{"GET", "/v1/managers/{}", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_show_manager},
	{"PUT", "/v1/managers/{}", SITE, BH_BODY_JSON, {NULL}, bh_put_manager},
	{"DELETE", "/v1/managers/{}", SITE, BH_BODY_NONE, {NULL}, bh_delete_manager},

	{"GET", "/v1/properties", SITE | MANAGER | SUPER, BH_BODY_NONE, {PAGE, "manager_id"}, bh_list_properties},
	{"GET", "/v1/properties/{}", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_show_property},
	{"PUT", "/v1/properties/{}", SITE, BH_BODY_JSON, {NULL}, bh_put_property},
	{"DELETE", "/v1/properties/{}", SITE, BH_BODY_NONE, {NULL}, bh_delete_property},

	{"GET", "/v1/keys", SITE, BH_BODY_NONE, {PAGE}, bh_list_keys},
	{"POST", "/v1/keys", SITE, BH_BODY_JSON, {NULL}, bh_create_key},
	{"DELETE", "/v1/keys/{}", SITE, BH_BODY_NONE, {NULL}, bh_delete_key},

	{"GET", "/v1/event-types", SITE | EMIT | MANAGER | SUPER, BH_BODY_NONE, {PAGE}, bh_list_types},
	{"GET", "/v1/event-types/{}", SITE | EMIT | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_show_type},
	{"PUT", "/v1/event-types/{}", SITE, BH_BODY_JSON, {NULL}, bh_put_type},
	{"DELETE", "/v1/event-types/{}", SITE, BH_BODY_NONE, {NULL}, bh_delete_type},

	{"GET", "/v1/methods", SITE | MANAGER | SUPER, BH_BODY_NONE, {PAGE}, bh_list_methods},
	{"GET", "/v1/methods/{}", SITE | MANAGER | SUPER, BH_BODY_NONE, {NULL}, bh_show_method},
	{"POST", "/v1/methods/reload", SITE, BH_BODY_NONE, {NULL}, bh_reload_methods},

	{"GET", "/v1/audit", SITE, BH_BODY_NONE, {PAGE}, bh_list_audit},

	{"GET", "/healthz", 0, BH_BODY_NONE, {NULL}, bh_show_health},
	{"GET", "/readyz", 0, BH_BODY_NONE, {NULL}, bh_show_ready},
	{"GET", "/metrics", 0, BH_BODY_NONE, {NULL}, bh_show_metrics},
};
/* clang-format on */
const size_t BH_ROUTE_COUNT = G_N_ELEMENTS(BH_ROUTES);
G_STATIC_ASSERT(G_N_ELEMENTS(BH_ROUTES) <= BH_ROUTE_MAX);

/* Does `path` follow `pattern`? The variable segment takes everything up to the next slash, but not nothing. */
static bool path_is(const char *path, const char *pattern, bh_span *ret_id)
{
	const char *variable = strstr(pattern, "{}");
	size_t fixed = variable ? (size_t)(variable - pattern) : strlen(pattern);

	if (strncmp(path, pattern, fixed) != 0)
		return false;
	if (!variable)
		return !path[fixed];

	bh_span id = {path + fixed, strcspn(path + fixed, "/")};
	if (!id.size || strcmp(id.at + id.size, variable + 2) != 0)
		return false;
	*ret_id = id;
	return true;
}

static void allow(GString **allowed, const char *verb)
{
	if (!*allowed)
		*allowed = g_string_new(NULL);
	else
		g_string_append(*allowed, ", ");
	g_string_append(*allowed, strcmp(verb, "GET") == 0 ? "GET, HEAD" : verb);
}

/* Among the paths with a variable segment, or among those without. */
static const bh_route *find_among(bool variable, const char *verb, const char *path, bh_span *ret_id, char **ret_allow)
{
	GString *allowed = NULL;

	for (size_t i = 0; i < BH_ROUTE_COUNT; i++) {
		const bh_route *route = &BH_ROUTES[i];

		if (!!strstr(route->path, "{}") != variable || !path_is(path, route->path, ret_id))
			continue;
		if (strcmp(route->verb, verb) == 0) {
			if (allowed)
				g_string_free(allowed, TRUE);
			return route;
		}
		allow(&allowed, route->verb);
	}
	if (allowed)
		*ret_allow = g_string_free(allowed, FALSE);
	return NULL;
}

/* What is named word for word is not the id of something: "/v1/methods/reload" is no method. */
const bh_route *bh_route_find(const char *verb, const char *path, bh_span *ret_id, char **ret_allow)
{
	const char *wanted = strcmp(verb, "HEAD") == 0 ? "GET" : verb;

	*ret_id = (bh_span){NULL, 0};
	*ret_allow = NULL;
	const bh_route *route = find_among(false, wanted, path, ret_id, ret_allow);
	return route || *ret_allow ? route : find_among(true, wanted, path, ret_id, ret_allow);
}
