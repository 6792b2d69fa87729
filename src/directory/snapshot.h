/*
 * The inside of a snapshot, for the files that make and change one. Private to the directory: others
 * use directory.h.
 *
 * The functions here change a snapshot that is still being made and that nobody else has seen. They
 * keep the maps in step with each other; which changes are allowed is changes.c's business.
 */
#pragma once

#include "directory/directory.h"
#include "directory/holding.h"
#include "directory/map.h"

struct bh_snapshot {
	int refs; /* atomic */
	bh_map managers, properties, webhooks, keys;
	bh_map keys_by_hash;
	bh_map holdings; /* of managers, known or only named by a property */
	bh_holding *site; /* the site's own webhooks */
	bh_catalogue *catalogue;
};

/* A new snapshot of the same state, to be changed. */
bh_snapshot *bh_snapshot_fork(const bh_snapshot *s);

/* What a manager (NULL: the site) has; NULL: nothing. */
bh_holding *bh_snapshot_holding(const bh_snapshot *s, const char *manager_id);

void bh_snapshot_put_manager(bh_snapshot *s, bh_manager *m);
void bh_snapshot_put_property(bh_snapshot *s, bh_property *p);
void bh_snapshot_put_webhook(bh_snapshot *s, bh_webhook *w);
void bh_snapshot_put_key(bh_snapshot *s, bh_key *k);

/* They are there. */
void bh_snapshot_drop_manager(bh_snapshot *s, const char *id); /* and all that goes along with him */
void bh_snapshot_drop_property(bh_snapshot *s, const char *id);
void bh_snapshot_drop_webhook(bh_snapshot *s, bh_id id);
void bh_snapshot_drop_key(bh_snapshot *s, bh_id id);

/* A copy of the property with `manager_id` at the end of its managers (NULL: with nobody more), or taken from them. */
bh_property *bh_property_joined_by(const bh_property *p, const char *manager_id);
bh_property *bh_property_left_by(const bh_property *p, const char *manager_id);
