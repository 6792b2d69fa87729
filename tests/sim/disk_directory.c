/* Managers, properties and webhooks on the memory store's disk. API keys and own types have no part in a simulation. */
#include "disk.h"

static GPtrArray *values(GHashTable *table)
{
	GPtrArray *all = g_ptr_array_new();
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, table);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_ptr_array_add(all, value);
	return all;
}

/* With what belongs to it alone; its deliveries stay. */
static void remove_webhook(memory *m, bh_id webhook, bh_usec at)
{
	disk_lane *lane = disk_find_lane(m, webhook);
	GHashTableIter iter;
	void *value;

	if (lane) {
		lane->streak = (bh_streak){0};
		lane->sequence = 0;
	}
	g_hash_table_iter_init(&iter, m->recoveries);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		bh_recovery *r = value;
		if (r->webhook_id == webhook && r->state == BH_RECOVERY_RUNNING) {
			r->state = BH_RECOVERY_CANCELLED;
			r->ended_at = at;
		}
	}
	g_hash_table_remove(m->webhooks, &webhook);
}

/* His webhooks go with him. That he leaves his properties, the snapshot sees to when it is made. */
static void remove_manager(memory *m, const char *id, bh_usec at)
{
	g_autoptr(GPtrArray) webhooks = values(m->webhooks);

	for (guint i = 0; i < webhooks->len; i++) {
		const bh_webhook *w = webhooks->pdata[i];
		if (g_strcmp0(w->manager_id, id) == 0)
			remove_webhook(m, w->id, at);
	}
	g_hash_table_remove(m->managers, id);
}

void disk_apply_change(memory *m, const bh_change *c, bh_usec at)
{
	switch (c->kind) {
	case BH_CHANGE_MANAGER_PUT:
		g_hash_table_replace(m->managers, c->manager->id, bh_manager_ref(c->manager));
		return;
	case BH_CHANGE_MANAGER_REMOVE:
		remove_manager(m, c->name, at);
		return;
	case BH_CHANGE_PROPERTY_PUT:
		g_hash_table_replace(m->properties, c->property->id, bh_property_ref(c->property));
		return;
	case BH_CHANGE_PROPERTY_REMOVE:
		g_hash_table_remove(m->properties, c->name);
		return;
	case BH_CHANGE_WEBHOOK_PUT:
		m->last_id = MAX(m->last_id, c->webhook->id);
		g_hash_table_replace(m->webhooks, &c->webhook->id, bh_webhook_ref(c->webhook));
		return;
	case BH_CHANGE_WEBHOOK_REMOVE:
		remove_webhook(m, c->id, at);
		return;
	case BH_CHANGE_KEY_PUT:
	case BH_CHANGE_KEY_REMOVE:
	case BH_CHANGE_TYPE_PUT:
	case BH_CHANGE_TYPE_REMOVE:
		break;
	}
	g_assert_not_reached();
}

static int compare_webhooks(const void *a, const void *b)
{
	bh_id x = (*(bh_webhook *const *)a)->id, y = (*(bh_webhook *const *)b)->id;

	return x < y ? -1 : x > y;
}

bh_snapshot *disk_load_directory(const memory *m)
{
	g_autoptr(GPtrArray) managers = values(m->managers), properties = values(m->properties),
			     webhooks = values(m->webhooks);
	g_ptr_array_sort(webhooks, compare_webhooks);
	bh_directory_rows rows = {.managers = managers, .properties = properties, .webhooks = webhooks};
	g_autoptr(GError) error = NULL;
	bh_snapshot *snapshot = bh_snapshot_of(&rows, &error);

	g_assert_no_error(error);
	return snapshot;
}
