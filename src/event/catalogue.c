/*
 * A catalogue is a row of types sorted by name. It never changes; a new one shares the
 * types of the old one, which are counted.
 */
#include "event/catalogue.h"

#include "base/error.h"
#include "base/json.h"
#include "event/built_in.h"

typedef struct entry {
	int refs; /* atomic */
	bh_event_type *type;
} entry;

struct bh_catalogue {
	int refs; /* atomic */
	GPtrArray *entries; /* sorted by name, no name twice */
};

static entry *entry_new(bh_event_type *type)
{
	entry *e = g_new(entry, 1);

	*e = (entry){.refs = 1, .type = type};
	return e;
}

static entry *entry_ref(entry *e)
{
	g_atomic_int_inc(&e->refs);
	return e;
}

static void entry_unref(void *data)
{
	entry *e = data;

	if (!g_atomic_int_dec_and_test(&e->refs))
		return;
	bh_event_type_free(e->type);
	g_free(e);
}

static bh_catalogue *catalogue_empty(void)
{
	bh_catalogue *catalogue = g_new(bh_catalogue, 1);

	*catalogue = (bh_catalogue){.refs = 1, .entries = g_ptr_array_new_with_free_func(entry_unref)};
	return catalogue;
}

static bh_catalogue *catalogue_copy(const bh_catalogue *from)
{
	bh_catalogue *catalogue = catalogue_empty();

	for (guint i = 0; i < from->entries->len; i++)
		g_ptr_array_add(catalogue->entries, entry_ref(g_ptr_array_index(from->entries, i)));
	return catalogue;
}

static bh_event_type *type_at(const bh_catalogue *catalogue, guint i)
{
	return ((entry *)g_ptr_array_index(catalogue->entries, i))->type;
}

/* Where `name` is, or would be; *ret_there says which. */
static guint place_of(const bh_catalogue *catalogue, const char *name, bool *ret_there)
{
	guint low = 0, high = catalogue->entries->len;

	*ret_there = false;
	while (low < high) {
		guint middle = low + (high - low) / 2;
		int order = strcmp(type_at(catalogue, middle)->name, name);
		if (order == 0) {
			*ret_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Takes `type`. */
static void put(bh_catalogue *catalogue, bh_event_type *type)
{
	bool there;
	guint place = place_of(catalogue, type->name, &there);

	if (there)
		g_ptr_array_remove_index(catalogue->entries, place);
	g_ptr_array_insert(catalogue->entries, (gint)place, entry_new(type));
}

bh_catalogue *bh_catalogue_new(void)
{
	bh_catalogue *catalogue = catalogue_empty();
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) error = NULL;

	if (!bh_json_parse(json, bh_span_of(bh_built_in_types), &error))
		g_error("the built-in event types: %s", error->message);
	for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c)) {
		bh_event_type *type = bh_event_type_parse(bh_json_text(json, c), &error);
		if (!type)
			g_error("the built-in event types: %s", error->message);
		type->built_in = true;
		put(catalogue, type);
	}
	return catalogue;
}

bh_catalogue *bh_catalogue_ref(bh_catalogue *catalogue)
{
	g_atomic_int_inc(&catalogue->refs);
	return catalogue;
}

void bh_catalogue_unref(bh_catalogue *catalogue)
{
	if (!catalogue || !g_atomic_int_dec_and_test(&catalogue->refs))
		return;
	g_ptr_array_unref(catalogue->entries);
	g_free(catalogue);
}

bh_catalogue *bh_catalogue_with(const bh_catalogue *catalogue, bh_event_type *type, GError **error)
{
	g_autoptr(bh_event_type) taken = type;

	if (!type->name || !bh_type_name_ok(bh_span_of(type->name)) ||
	    (type->group && !bh_type_name_ok(bh_span_of(type->group)))) {
		g_set_error(
			error, BH_ERROR, BH_ERROR_INVALID,
			"the name and the group of an event type are 1 to 128 letters, digits, \"_\", \"-\" or \".\"");
		return NULL;
	}
	const bh_event_type *present = bh_catalogue_find(catalogue, type->name);
	if (present && present->built_in) {
		g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT,
			    "the event type \"%s\" is built in and cannot be replaced", type->name);
		return NULL;
	}

	bh_catalogue *changed = catalogue_copy(catalogue);
	put(changed, g_steal_pointer(&taken));
	return changed;
}

bh_catalogue *bh_catalogue_without(const bh_catalogue *catalogue, const char *name, GError **error)
{
	bool there;
	guint place = place_of(catalogue, name, &there);

	if (!there) {
		g_set_error(error, BH_ERROR, BH_ERROR_NOT_FOUND, "there is no event type \"%s\"", name);
		return NULL;
	}
	if (type_at(catalogue, place)->built_in) {
		g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT,
			    "the event type \"%s\" is built in and cannot be removed", name);
		return NULL;
	}
	bh_catalogue *changed = catalogue_copy(catalogue);
	g_ptr_array_remove_index(changed->entries, place);
	return changed;
}

const bh_event_type *bh_catalogue_find(const bh_catalogue *catalogue, const char *name)
{
	bool there;
	guint place = place_of(catalogue, name, &there);

	return there ? type_at(catalogue, place) : NULL;
}

bool bh_catalogue_has_group(const bh_catalogue *catalogue, const char *group)
{
	for (guint i = 0; i < catalogue->entries->len; i++)
		if (g_strcmp0(type_at(catalogue, i)->group, group) == 0)
			return true;
	return false;
}

GPtrArray *bh_catalogue_list(const bh_catalogue *catalogue)
{
	GPtrArray *list = g_ptr_array_sized_new(catalogue->entries->len);

	for (guint i = 0; i < catalogue->entries->len; i++)
		g_ptr_array_add(list, type_at(catalogue, i));
	return list;
}
