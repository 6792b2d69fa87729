/*
 * Who gets an event, and why: one verdict per webhook looked at. Pure: a function of the event and a snapshot.
 */
#pragma once

#include "directory/directory.h"
#include "event/event.h"

typedef enum bh_verdict {
	BH_VERDICT_TRIGGERED = 1,
	BH_VERDICT_HELD,
	BH_VERDICT_NO_MANAGER, /* webhook 0: the property is unknown or has no manager */
	BH_VERDICT_TYPE_NOT_SELECTED,
	BH_VERDICT_PROPERTY_NOT_SELECTED,
	BH_VERDICT_OWN_CHANGE,
	BH_VERDICT_FILTERED,
	BH_VERDICT_COALESCED,
} bh_verdict;

/* "triggered", "held", "no_manager", "type_not_selected" ...: stored, and shown. */
const char *bh_verdict_name(bh_verdict verdict);
bool bh_verdict_parse(const char *text, bh_verdict *ret);
/* One plain sentence for a person: "The webhook does not select events of this type." */
const char *bh_verdict_sentence(bh_verdict verdict);
/* Does this verdict make a delivery? */
static inline bool bh_verdict_delivers(bh_verdict v)
{
	return v == BH_VERDICT_TRIGGERED || v == BH_VERDICT_HELD;
}

typedef enum bh_owners { BH_OWNERS_ALL, BH_OWNERS_FIRST } bh_owners;

typedef struct bh_finding {
	bh_id webhook; /* 0 with NO_MANAGER */
	/* Who is told of it (site webhooks: the property's first, or NULL); lives with the snapshot or the event. */
	const char *manager;
	bh_verdict verdict;
} bh_finding;

/*
 * Sets event->actor_is_manager (the event is not shared yet) and appends one finding per webhook looked
 * at to `findings` (GArray of bh_finding): the managers' webhooks in the property's order of managers, then the site's.
 * An event without a property and without manager_id looks at the site's webhooks only, and that is no NO_MANAGER.
 */
void bh_watch(bh_event *event, const bh_snapshot *snapshot, bh_owners owners, GArray *findings);

/*
 * The keys that the webhook's settings give this event (behaviour 8); NULL: it has none, as when the setting is off. Both are
 * the caller's, at most BH_KEY_TEXT_MAX bytes (what is longer is named by its SHA-256), and mean something within their webhook
 * only. An event without the field that order goes by has no order key. One that lacks a field of the coalescing key
 * is not coalesced: nobody can tell what it is about. An empty text says as little as none.
 *
 *   order     the field's text: "4711"
 *   coalesce  the type and each field with the size of its text: "tariffs_updated property=2:12 room_uid=1:7"
 *   long ones "sha256:<64 hex digits>"; a text that begins in this way is named by its hash as well, whatever its length
 *
 * So different fields give different keys, whatever they hold. Text and number count as the same where they are written the
 * same: Jomres sends an id as 7 from one page and as "7" from another.
 */
#define BH_KEY_TEXT_MAX 200
char *bh_watch_order_key(const bh_event *event, const bh_webhook *webhook);
char *bh_watch_coalesce_key(const bh_event *event, const bh_webhook *webhook);
