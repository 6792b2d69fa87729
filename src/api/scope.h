/*
 * Who asks, and what he may know of. Every look-up of a handler goes through the scope, so that what belongs to
 * somebody else is simply not there: NULL for a foreign thing and for one that never was.
 */
#pragma once

#include "directory/directory.h"
#include "store/store.h"

/* Who may use a route: bits. */
typedef enum bh_role {
	BH_MAY_SITE = 1,
	BH_MAY_EMIT = 2,
	BH_MAY_MANAGER = 4, /* sees his own */
	BH_MAY_SUPER = 8, /* a manager's key whose manager is a super manager: sees everybody's */
} bh_role;

typedef struct bh_scope {
	bh_snapshot *snapshot; /* held; what the look-ups return lives as long */
	const bh_key *key; /* NULL: nobody (a route that asks for no key) */
	bh_role role;
	const char *manager_id; /* only what is his; NULL: everybody's */
	char key_text[BH_ID_TEXT_SIZE];
} bh_scope;

/* Takes `snapshot`. False: `authorization` (may be NULL) names no key that is known; the scope is still to be cleared. */
bool bh_scope_init(bh_scope *scope, bh_snapshot *snapshot, const char *authorization);
void bh_scope_clear(bh_scope *scope);

/* By the text form of the id that the caller gave. */
const bh_webhook *bh_scope_webhook(const bh_scope *scope, const char *id);
const bh_manager *bh_scope_manager(const bh_scope *scope, const char *id);
const bh_property *bh_scope_property(const bh_scope *scope, const char *id);

bool bh_scope_owns(const bh_scope *scope, const bh_webhook *webhook);
bool bh_scope_sees_property(const bh_scope *scope, const bh_property *property);
bool bh_scope_sees_event(const bh_scope *scope, const bh_event *event);
bool bh_scope_sees_delivery(const bh_scope *scope, const bh_delivery *delivery);

/* Ids of the manager's properties, NULL-terminated and borrowed from the snapshot, in an array of the caller's. */
char **bh_scope_property_ids(const bh_scope *scope);
/*
 * Which webhooks a list is about (GArray of bh_id, the caller's): all that are in scope, or the one that is wanted (0: none in
 * particular) if it is; nothing of somebody else's, then, is an empty array. NULL: everybody's.
 */
GArray *bh_scope_webhooks_wanted(const bh_scope *scope, bh_id wanted);
