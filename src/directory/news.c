/* What an event such as manager_added tells of the directory, as changes. The site need not tell twice. */
#include "directory/directory.h"

#include "directory/snapshot.h"

static void add_change(GPtrArray *changes, bh_change change)
{
	g_ptr_array_add(changes, g_memdup2(&change, sizeof change));
}

static void add_removal(GPtrArray *changes, bh_change_kind kind, const char *name)
{
	add_change(changes, (bh_change){.kind = kind, .name = g_strdup(name)});
}

/* Takes the property. */
static void add_property(GPtrArray *changes, bh_property *p, bh_usec now)
{
	p->updated_at = now;
	add_change(changes, (bh_change){.kind = BH_CHANGE_PROPERTY_PUT, .property = p});
}

static bool names(const bh_property *p, const char *manager_id)
{
	return p->managers && g_strv_contains((const char *const *)p->managers, manager_id);
}

/* The property, new if need be, with this manager (NULL: with none in particular); no change if it is so already. */
static void add_property_with(GPtrArray *changes, const bh_snapshot *s, const char *id, const char *manager_id,
			      bh_usec now)
{
	const bh_property *known = bh_snapshot_property(s, id);

	if (known && (!manager_id || names(known, manager_id)))
		return;
	bh_property fresh = {.id = (char *)id, .name = (char *)"", .created_at = now};
	const bh_property *p = known ? known : &fresh;
	add_property(changes, bh_property_joined_by(p, manager_id), now);
}

/* He leaves the properties that name him and are not in `kept` (NULL-terminated). */
static void add_leavings(GPtrArray *changes, const bh_snapshot *s, const char *manager_id, char *const *kept,
			 bh_usec now)
{
	g_autoptr(GPtrArray) his = bh_snapshot_page_properties(s, manager_id, NULL, G_MAXUINT);

	for (guint i = 0; i < his->len; i++) {
		const bh_property *p = his->pdata[i];
		if (!g_strv_contains((const char *const *)kept, p->id))
			add_property(changes, bh_property_left_by(p, manager_id), now);
	}
}

/* A known manager keeps his name and role; the event says neither. */
static void add_manager(GPtrArray *changes, const bh_snapshot *s, const char *id, bh_usec now)
{
	if (bh_snapshot_manager(s, id))
		return;
	bh_manager *m = bh_manager_new();
	m->id = g_strdup(id);
	m->name = g_strdup("");
	m->role = BH_ROLE_MANAGER;
	m->created_at = m->updated_at = now;
	add_change(changes, (bh_change){.kind = BH_CHANGE_MANAGER_PUT, .manager = m});
}

static void manager_put(GPtrArray *changes, const bh_snapshot *s, const bh_directory_news *news, bh_usec now)
{
	add_manager(changes, s, news->manager_id, now);
	if (!news->property_ids)
		return;
	for (char **id = news->property_ids; *id; id++)
		add_property_with(changes, s, *id, news->manager_id, now);
	add_leavings(changes, s, news->manager_id, news->property_ids, now);
}

/* One that only properties knew leaves them, too. */
static void manager_removed(GPtrArray *changes, const bh_snapshot *s, const bh_directory_news *news, bh_usec now)
{
	static char *const none[] = {NULL};

	if (bh_snapshot_manager(s, news->manager_id))
		add_removal(changes, BH_CHANGE_MANAGER_REMOVE, news->manager_id);
	else
		add_leavings(changes, s, news->manager_id, none, now);
}

static void property_created(GPtrArray *changes, const bh_snapshot *s, const bh_directory_news *news, bh_usec now)
{
	add_property_with(changes, s, news->property_ids[0], news->manager_id, now);
}

static void property_removed(GPtrArray *changes, const bh_snapshot *s, const bh_directory_news *news, bh_usec now)
{
	if (bh_snapshot_property(s, news->property_ids[0]))
		add_removal(changes, BH_CHANGE_PROPERTY_REMOVE, news->property_ids[0]);
}

static void free_change(void *change)
{
	bh_change_free(change);
}

GPtrArray *bh_snapshot_changes_of(bh_snapshot *s, const bh_directory_news *news, bh_usec now)
{
	GPtrArray *changes = g_ptr_array_new_with_free_func(free_change);

	switch (news->kind) {
	case BH_NEWS_NONE:
		break;
	case BH_NEWS_MANAGER_PUT:
		manager_put(changes, s, news, now);
		break;
	case BH_NEWS_MANAGER_REMOVED:
		manager_removed(changes, s, news, now);
		break;
	case BH_NEWS_PROPERTY_CREATED:
		property_created(changes, s, news, now);
		break;
	case BH_NEWS_PROPERTY_REMOVED:
		property_removed(changes, s, news, now);
		break;
	}
	return changes;
}
