#include "store/text_list.h"

#include "base/error.h"
#include "base/json.h"

char *bh_text_list_write(char *const *list)
{
	if (!list)
		return NULL;
	GString *json = g_string_new("[");

	for (size_t i = 0; list[i]; i++) {
		if (i > 0)
			g_string_append_c(json, ',');
		bh_json_append_string(json, bh_span_of(list[i]));
	}
	g_string_append_c(json, ']');
	return g_string_free(json, FALSE);
}

char **bh_text_list_read(const char *text, GError **error)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);

	if (!bh_json_parse(json, bh_span_of(text), error))
		return NULL;
	bool right = bh_json_type_of(json, 0) == BH_JSON_ARRAY;
	for (uint32_t n = bh_json_first(json, 0); right && n != BH_JSON_NONE; n = bh_json_next(json, 0, n)) {
		char *item = bh_json_string(json, n);
		right = item != NULL;
		if (right)
			g_ptr_array_add(list, item);
	}
	if (!right) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "not an array of strings");
		return NULL;
	}
	g_ptr_array_add(list, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&list), FALSE);
}
