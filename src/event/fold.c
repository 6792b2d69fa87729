#include "event/fold.h"

#include "base/hash.h"

struct bh_fold {
	GPtrArray *events;
	GHashTable *by_content; /* bh_event -> its number + 1; the first one of a content */
	GHashTable *by_id; /* text of an own id (of the event) -> number + 1 */
};

static guint content_hash(gconstpointer key)
{
	const bh_event *event = key;

	return (guint)(bh_hash(event->data) + 31 * bh_hash(bh_span_of(event->type)));
}

static gboolean content_equal(gconstpointer a, gconstpointer b)
{
	const bh_event *one = a, *other = b;

	return strcmp(one->type, other->type) == 0 && g_strcmp0(one->manager_id, other->manager_id) == 0 &&
	       bh_span_equal(one->data, other->data);
}

static guint id_hash(gconstpointer key)
{
	return (guint)bh_hash(bh_span_of(key));
}

bh_fold *bh_fold_new(GPtrArray *events)
{
	bh_fold *fold = g_new(bh_fold, 1);

	*fold = (bh_fold){
		.events = events,
		.by_content = g_hash_table_new(content_hash, content_equal),
		.by_id = g_hash_table_new(id_hash, g_str_equal),
	};
	return fold;
}

void bh_fold_free(bh_fold *fold)
{
	if (!fold)
		return;
	g_hash_table_unref(fold->by_content);
	g_hash_table_unref(fold->by_id);
	g_free(fold);
}

static guint number_of(GHashTable *table, gconstpointer key)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(table, key));
}

static bool has_own_id(const bh_fold *fold, guint number)
{
	const bh_event *event = g_ptr_array_index(fold->events, number - 1);

	return event->caller_id && number_of(fold->by_id, event->caller_id) == number;
}

static void remember(bh_fold *fold, bh_event *event, bool own_id, guint number)
{
	if (own_id)
		g_hash_table_insert(fold->by_id, event->caller_id, GUINT_TO_POINTER(number));
	if (!number_of(fold->by_content, event))
		g_hash_table_insert(fold->by_content, event, GUINT_TO_POINTER(number));
}

/*
 * The event number `number` had no id of its own, and a same one brings one: it is kept, or a repeat under
 * that id would not be known again.
 */
static void adopt_id(bh_fold *fold, guint number, char *id)
{
	bh_event *old = g_ptr_array_index(fold->events, number - 1);
	bh_event parts = *old;

	parts.caller_id = id;
	g_hash_table_remove(fold->by_content, old);
	g_ptr_array_index(fold->events, number - 1) = bh_event_restore(&parts);
	remember(fold, g_ptr_array_index(fold->events, number - 1), true, number);
	bh_event_unref(old);
}

bool bh_fold_take(bh_fold *fold, bh_event *event, bool own_id, guint *ret_place)
{
	g_autoptr(bh_event) taken = event;
	guint namesake = own_id ? number_of(fold->by_id, event->caller_id) : 0;
	guint same = number_of(fold->by_content, event);

	if (namesake) {
		const bh_event *first = g_ptr_array_index(fold->events, namesake - 1);
		*ret_place = namesake - 1;
		return content_equal(event, first) && bh_span_equal(event->details, first->details);
	}
	if (same && !(own_id && has_own_id(fold, same))) {
		if (own_id)
			adopt_id(fold, same, event->caller_id);
		*ret_place = same - 1;
		return true;
	}
	*ret_place = fold->events->len;
	g_ptr_array_add(fold->events, g_steal_pointer(&taken));
	remember(fold, event, own_id, fold->events->len);
	return true;
}
