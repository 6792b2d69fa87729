#include "cli/method_source.h"

#include "base/near.h"

#include <string.h>

#define SUFFIX ".lua"

bh_settings *bh_method_settings(const bh_args *args, char *const *more, GError **error)
{
	return bh_settings_load(bh_args_one(args, "config"), more, error);
}

static GPtrArray *names_in(const char *folder)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	for (const char *file = dir ? g_dir_read_name(dir) : NULL; file; file = g_dir_read_name(dir))
		if (file[0] != '.' && g_str_has_suffix(file, SUFFIX))
			g_ptr_array_add(names, g_strndup(file, strlen(file) - strlen(SUFFIX)));
	g_ptr_array_add(names, NULL);
	return names;
}

static void refuse_name(const char *given, const char *folder, GError **error)
{
	g_autoptr(GPtrArray) names = names_in(folder);
	const char *near = bh_nearest(given, (const char *const *)names->pdata);
	if (near)
		bh_usage_error(error, "there is no method \"%s\" in %s; did you mean %s?", given, folder, near);
	else
		bh_usage_error(error,
			       "there is no method \"%s\" in %s\nA file of your own is named by its path: ./%s.lua",
			       given, folder, given);
}

bh_methods *bh_method_source(const char *given, const bh_settings *settings, const bh_method **ret_method,
			     GError **error)
{
	bool is_file = strchr(given, '/') || g_str_has_suffix(given, SUFFIX);
	g_autofree char *folder = bh_methods_folder(settings->methods_dir);
	g_autofree char *file = g_strconcat(given, SUFFIX, NULL);
	g_autofree char *path = is_file ? g_strdup(given) : g_build_filename(folder, file, NULL);
	if (!is_file && !g_file_test(path, G_FILE_TEST_EXISTS)) {
		refuse_name(given, folder, error);
		return NULL;
	}
	bh_methods *set = bh_methods_load_file(path, error);
	if (!set)
		return NULL;
	g_autoptr(GPtrArray) list = bh_methods_list(set);
	*ret_method = g_ptr_array_index(list, 0);
	return set;
}
