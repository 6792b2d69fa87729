/* What events such as manager_added tell the directory. The data of other types is not looked at. */
#include "event/event.h"
#include "event/fields.h"

/* Reads the ids of an array; what is no id in it is passed over. NULL: it is no array. */
static char **read_ids(const bh_json *json, uint32_t array)
{
	if (array == BH_JSON_NONE || bh_json_type_of(json, array) != BH_JSON_ARRAY)
		return NULL;

	GPtrArray *ids = g_ptr_array_new();
	for (uint32_t c = bh_json_first(json, array); c != BH_JSON_NONE; c = bh_json_next(json, array, c)) {
		char id[BH_ID_IN_EVENT_MAX + 1];
		if (bh_site_id_or_none_read(json, c, id) && *id)
			g_ptr_array_add(ids, g_strdup(id));
	}
	g_ptr_array_add(ids, NULL);
	return (char **)g_ptr_array_free(ids, FALSE);
}

/*
 * The manager that the event is about, or NULL. In Jomres' manager_added data.manager_id is the number of a
 * row. Taken for an id it would give somebody else's properties to whoever bears that number.
 */
static char *subject_of(const bh_event *event, const bh_json *json)
{
	char id[BH_ID_IN_EVENT_MAX + 1];

	if (event->jomres_form && strcmp(event->type, "manager_added") == 0)
		return g_strdup(event->manager_id);
	uint32_t value = bh_json_member(json, 0, "manager_id");
	if (value == BH_JSON_NONE || !bh_site_id_or_none_read(json, value, id) || !*id)
		return NULL;
	return g_strdup(id);
}

static void manager_news(const bh_event *event, int kind, bh_directory_news *news)
{
	g_autoptr(bh_json) json = bh_json_new();

	if (!bh_json_parse(json, event->data, NULL))
		return;
	news->manager_id = subject_of(event, json);
	if (!news->manager_id)
		return;
	news->kind = kind;
	if (kind == BH_NEWS_MANAGER_PUT)
		news->property_ids = read_ids(json, bh_json_member(json, 0, "property_ids"));
}

static void property_news(const bh_event *event, int kind, bh_directory_news *news)
{
	if (!event->property_id)
		return;
	news->kind = kind;
	news->property_ids = g_new0(char *, 2);
	news->property_ids[0] = g_strdup(event->property_id);
	if (kind == BH_NEWS_PROPERTY_CREATED)
		news->manager_id = g_strdup(event->manager_id ? event->manager_id : event->actor);
}

static const struct {
	const char *type;
	int kind;
	void (*read)(const bh_event *event, int kind, bh_directory_news *news);
} TYPES[] = {
	{"manager_added", BH_NEWS_MANAGER_PUT, manager_news},
	{"manager_updated", BH_NEWS_MANAGER_PUT, manager_news},
	{"manager_deleted", BH_NEWS_MANAGER_REMOVED, manager_news},
	{"property_created", BH_NEWS_PROPERTY_CREATED, property_news},
	{"property_deleted", BH_NEWS_PROPERTY_REMOVED, property_news},
};

void bh_event_news(const bh_event *event, bh_directory_news *ret_news)
{
	*ret_news = (bh_directory_news){.kind = BH_NEWS_NONE};
	for (size_t i = 0; i < G_N_ELEMENTS(TYPES); i++)
		if (strcmp(event->type, TYPES[i].type) == 0)
			TYPES[i].read(event, TYPES[i].kind, ret_news);
}

void bh_directory_news_clear(bh_directory_news *news)
{
	g_clear_pointer(&news->manager_id, g_free);
	g_clear_pointer(&news->property_ids, g_strfreev);
	news->kind = BH_NEWS_NONE;
}
