/* Which event types a webhook selects: "*", a prefix "booking_*", a type, a group. */
#include "event/catalogue.h"

#include "base/error.h"
#include "base/near.h"

/* The part before the star of "booking_*"; false: no star at the end. */
static bool is_prefix(const char *pattern, bh_span *ret_prefix)
{
	*ret_prefix = bh_span_of(pattern);
	if (ret_prefix->size == 0 || pattern[ret_prefix->size - 1] != '*')
		return false;
	ret_prefix->size--;
	return true;
}

static bool begins_with(const char *name, bh_span prefix)
{
	return strncmp(name, prefix.at, prefix.size) == 0;
}

/* A group's name picks its types, unless a type has that very name: then it means the type. */
static bool picks_group(const bh_catalogue *catalogue, const char *pattern, const char *group)
{
	return group && strcmp(pattern, group) == 0 && !bh_catalogue_find(catalogue, pattern);
}

bool bh_selection_picks(const bh_catalogue *catalogue, char *const *patterns, const char *type)
{
	const bh_event_type *known = bh_catalogue_find(catalogue, type);

	for (size_t i = 0; patterns[i]; i++) {
		bh_span prefix;
		if (is_prefix(patterns[i], &prefix) ? begins_with(type, prefix) : strcmp(patterns[i], type) == 0)
			return true;
		if (known && picks_group(catalogue, patterns[i], known->group))
			return true;
	}
	return false;
}

static bool prefix_picks_any(const bh_catalogue *catalogue, bh_span prefix)
{
	g_autoptr(GPtrArray) types = bh_catalogue_list(catalogue);

	for (guint i = 0; i < types->len; i++)
		if (begins_with(((const bh_event_type *)g_ptr_array_index(types, i))->name, prefix))
			return true;
	return false;
}

/* The type or group that somebody meant who wrote `text`; NULL: nothing comes near. */
static const char *nearest(const bh_catalogue *catalogue, bh_span text)
{
	g_autoptr(GPtrArray) types = bh_catalogue_list(catalogue);
	bh_near near = {.text = text};

	for (guint i = 0; i < types->len; i++) {
		const bh_event_type *type = g_ptr_array_index(types, i);
		bh_near_offer(&near, type->name);
		if (type->group)
			bh_near_offer(&near, type->group);
	}
	return bh_near_best(&near);
}

static bool check_pattern(const bh_catalogue *catalogue, const char *pattern, GError **error)
{
	bh_span name;
	bool prefix = is_prefix(pattern, &name);

	if (prefix && name.size == 0)
		return true;
	if (!bh_type_name_ok(name)) {
		bh_span shown = bh_span_cut(bh_span_of(pattern), BH_TYPE_NAME_MAX);
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
			    "\"%.*s\" selects no events: write \"*\" for all, a type such as \"booking_added\", "
			    "a beginning such as \"booking_*\", or a group such as \"booking\"",
			    (int)shown.size, shown.at);
		return false;
	}
	if (prefix ? prefix_picks_any(catalogue, name)
		   : bh_catalogue_find(catalogue, pattern) || bh_catalogue_has_group(catalogue, pattern))
		return true;

	const char *meant = nearest(catalogue, name);
	g_autofree char *hint = meant ? g_strdup_printf("; did you mean \"%s\"?", meant) : g_strdup("");
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" selects no events: no type %s%s", pattern,
		    prefix ? "begins so" : "and no group has this name", hint);
	return false;
}

bool bh_selection_check(const bh_catalogue *catalogue, char *const *patterns, GError **error)
{
	if (!patterns || !patterns[0]) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
			    "a selection of events names at least one type; \"*\" selects all");
		return false;
	}
	for (size_t i = 0; patterns[i]; i++)
		if (!check_pattern(catalogue, patterns[i], error))
			return false;
	return true;
}
