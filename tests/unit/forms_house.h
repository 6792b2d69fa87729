/* A folder of method files, a sealer and a guard: what the tests of forms need. */
#pragma once

#include "base/error.h"
#include "method/forms.h"
#include "method/method.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

typedef struct place {
	char *folder, *methods_folder;
	bh_sealer *sealer;
	bh_guard *guard;
	bh_methods *methods;
} place;

static char *path_of(const char *folder, const char *name)
{
	return g_build_filename(folder, name, NULL);
}

static void write_file(place *p, const char *file, const char *text)
{
	g_autofree char *path = path_of(p->methods_folder, file);
	g_autoptr(GError) error = NULL;
	g_file_set_contents(path, text, -1, &error);
	g_assert_no_error(error);
}

/* Reads the folder anew; returns what is broken. */
static GPtrArray *reload(place *p)
{
	GPtrArray *broken = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	bh_methods *next = bh_methods_load(p->methods_folder, p->methods, broken, &error);

	g_assert_no_error(error);
	bh_methods_unref(p->methods);
	p->methods = next;
	return broken;
}

static void open_place(place *p)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *key = NULL;

	g_unsetenv("BELLHOP_SEAL_KEY");
	p->folder = g_dir_make_tmp("bellhop-method-XXXXXX", NULL);
	p->methods_folder = path_of(p->folder, "methods");
	g_assert_cmpint(g_mkdir(p->methods_folder, 0700), ==, 0);
	key = path_of(p->folder, "seal.key");
	p->sealer = bh_sealer_open(key, &error);
	g_assert_no_error(error);
	p->guard = bh_guard_new(NULL, NULL, false, &error);
	g_assert_no_error(error);
}

static void remove_all(const char *folder)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
		g_autofree char *path = path_of(folder, name);
		if (g_file_test(path, G_FILE_TEST_IS_DIR))
			remove_all(path);
		else
			g_remove(path);
	}
	g_rmdir(folder);
}

static void tear_down(place *p, gconstpointer unused)
{
	remove_all(p->folder);
	bh_methods_unref(p->methods);
	bh_guard_unref(p->guard);
	bh_sealer_free(p->sealer);
	g_free(p->methods_folder);
	g_free(p->folder);
}

static char *store_for(place *p, const char *method, const char *given, const char *stored, char **ret_pointer, GError **error)
{
	return bh_settings_store(bh_methods_find(p->methods, method), bh_span_of(given), stored, p->sealer, p->guard,
				 ret_pointer, error);
}

/* The value of field `key` as a script would get it; NULL: nil. */
static char *opened_for(place *p, const char *method, const char *stored, const char *key)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) values = bh_settings_open(bh_methods_find(p->methods, method), stored, p->sealer, &error);

	g_assert_no_error(error);
	for (guint i = 0; i < values->len; i++) {
		const bh_value *v = &g_array_index(values, bh_value, i);
		if (strcmp(v->field->key, key) != 0)
			continue;
		switch (v->kind) {
		case BH_VALUE_NONE:
			return NULL;
		case BH_VALUE_TEXT:
			return g_strdup(v->text);
		case BH_VALUE_SECRET:
			return g_strdup(bh_secret_bytes(v->secret).at);
		case BH_VALUE_INTEGER:
			return g_strdup_printf("%" G_GINT64_FORMAT, (gint64)v->integer);
		case BH_VALUE_BOOLEAN:
			return g_strdup(v->integer ? "true" : "false");
		}
	}
	g_assert_not_reached();
}
