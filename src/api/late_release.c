#include "api/late_release.h"

#include "base/log.h"

#include <stddef.h>

/* One delivery on its way from HELD to PENDING: its own until the journal is through. */
typedef struct release {
	bh_entry entry;
	bh_write write, *writes[1];
} release;

static void released(bh_entry *entry, const GError *error)
{
	release *r = (release *)(void *)((char *)entry - offsetof(release, entry));

	if (error)
		bh_log(BH_WARNING, "api", "a held delivery was not released; enable its webhook with held=all",
		       BH_ID("delivery", BH_ID_DELIVERY, r->write.delivery_id), BH_STR("why", error->message));
	g_free(r);
}

static void release_one(bh_api *api, const bh_delivery *delivery)
{
	release *r = g_new0(release, 1);
	g_autoptr(GError) error = NULL;
	bh_usec now = bh_clock_wall();

	r->writes[0] = &r->write;
	r->write = (bh_write){
		.kind = BH_WRITE_MOVE,
		.delivery_id = delivery->id,
		.webhook_id = delivery->webhook_id,
		.state = BH_STATE_PENDING,
		.due_at = now,
		.at = now,
	};
	r->entry = (bh_entry){.writes = r->writes, .count = 1, .done = released};
	if (!bh_journal_submit(api->rooms.journal, &r->entry, &error))
		released(&r->entry, error);
}

static bool any_held(const bh_delivery *deliveries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (deliveries[i].state == BH_STATE_HELD)
			return true;
	return false;
}

void bh_late_release(bh_api *api, const bh_delivery *deliveries, size_t count)
{
	if (!any_held(deliveries, count))
		return;
	g_autoptr(bh_snapshot) now = bh_directory_now(api->rooms.directory);

	for (size_t i = 0; i < count; i++) {
		const bh_webhook *webhook = bh_snapshot_webhook(now, deliveries[i].webhook_id);
		if (deliveries[i].state == BH_STATE_HELD && webhook && !webhook->disabled)
			release_one(api, &deliveries[i]);
	}
}
