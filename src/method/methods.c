#include "method/method.h"

#include "base/error.h"
#include "method/method_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".lua"

struct bh_methods {
	int refs;
	GPtrArray *all; /* bh_method, sorted by name */
	GPtrArray *broken; /* bh_broken_method, sorted by name */
	char *folder; /* where they were read, from the root on; NULL: a single file's set */
};

/* --- A set of methods ------------------------------------------------------------------------- */

static void unref_method(gpointer method)
{
	bh_method_unref(method);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
	const bh_method *const *left = a, *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

static void free_broken(gpointer data)
{
	bh_broken_method *broken = data;
	g_free(broken->name);
	g_free(broken->why);
	g_free(broken);
}

static gint compare_broken(gconstpointer a, gconstpointer b)
{
	const bh_broken_method *const *left = a, *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

bh_methods *bh_methods_ref(bh_methods *m)
{
	g_atomic_int_inc(&m->refs);
	return m;
}

void bh_methods_unref(bh_methods *m)
{
	if (!m || !g_atomic_int_dec_and_test(&m->refs))
		return;
	g_ptr_array_unref(m->all);
	g_ptr_array_unref(m->broken);
	g_free(m->folder);
	g_free(m);
}

/* A folder holds a handful; they are few enough to look through. */
const bh_method *bh_methods_find(const bh_methods *m, const char *name)
{
	for (guint i = 0; i < m->all->len; i++) {
		const bh_method *method = g_ptr_array_index(m->all, i);
		if (!strcmp(method->name, name))
			return method;
	}
	return NULL;
}

GPtrArray *bh_methods_list(const bh_methods *m)
{
	GPtrArray *list = g_ptr_array_new_full(m->all->len, NULL);
	for (guint i = 0; i < m->all->len; i++)
		g_ptr_array_add(list, g_ptr_array_index(m->all, i));
	return list;
}

GPtrArray *bh_methods_broken(const bh_methods *m)
{
	return m->broken;
}

const char *bh_methods_origin(const bh_methods *m)
{
	return m->folder;
}

/* --- Reading a folder ------------------------------------------------------------------------- */

/* Hidden files and what editors leave behind ("basic.lua~", ".#basic.lua") are none of ours. */
static bool is_method_file(const char *file)
{
	return file[0] != '.' && g_str_has_suffix(file, SUFFIX);
}

static bool check_name(const char *file, const char *name, GError **error)
{
	size_t size = strlen(name);
	if (size > 0 && size <= BH_METHOD_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size)
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
		    "%s: a method file is named by 1 to %d of a-z, 0-9, _ and -, and ends in .lua", file,
		    BH_METHOD_NAME_MAX);
	return false;
}

static bool refuse_file(const char *file, const char *why, GError **error)
{
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "%s: %s", file, why);
	return false;
}

static bool read_all(int fd, const char *file, GByteArray *bytes, GError **error)
{
	guint8 part[16 * 1024];
	ssize_t got;

	while ((got = read(fd, part, sizeof part)) > 0) {
		g_byte_array_append(bytes, part, (guint)got);
		if (bytes->len > BH_METHOD_SOURCE_MAX)
			return refuse_file(file, "the file is larger than 256 KiB", error);
	}
	return got == 0 || refuse_file(file, g_strerror(errno), error);
}

static GBytes *read_file(const char *path, const char *file, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	struct stat about;

	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe of that name must not hang the reload */
	if (fd < 0) {
		refuse_file(file, g_strerror(errno), error);
		return NULL;
	}
	bool ok = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
	ok = ok ? read_all(fd, file, bytes, error) : refuse_file(file, "is not a regular file", error);
	close(fd);
	return ok ? g_byte_array_free_to_bytes(g_steal_pointer(&bytes)) : NULL;
}

/* The method of this file, or the previous one itself when nothing has changed: hosts go on with it as it is. */
static bh_method *load_file(const char *folder, const char *file, const char *name, const bh_methods *previous,
			    GError **error)
{
	if (!check_name(file, name, error))
		return NULL;

	g_autofree char *path = g_build_filename(folder, file, NULL);
	g_autoptr(GBytes) source = read_file(path, file, error);
	if (!source)
		return NULL;
	const bh_method *old = previous ? bh_methods_find(previous, name) : NULL;
	if (old && g_bytes_equal(old->source, source) && !strcmp(old->path, path))
		return bh_method_ref((bh_method *)old);
	return bh_method_read(name, path, source, error);
}

static void note_broken(bh_methods *m, const char *name, const char *why, bool kept)
{
	bh_broken_method *broken = g_new(bh_broken_method, 1);
	*broken = (bh_broken_method){.name = g_strdup(name), .why = g_strdup(why), .kept = kept};
	g_ptr_array_add(m->broken, broken);
}

static void add_file(bh_methods *m, const char *folder, const char *file, const bh_methods *previous,
		     GPtrArray *ret_broken)
{
	g_autofree char *name = g_strndup(file, strlen(file) - strlen(SUFFIX));
	g_autoptr(GError) error = NULL;

	bh_method *method = load_file(folder, file, name, previous, &error);
	if (!method) {
		const bh_method *old = previous ? bh_methods_find(previous, name) : NULL;
		method = old ? bh_method_ref((bh_method *)old) : NULL;
		note_broken(m, name, error->message, old != NULL);
		if (ret_broken)
			g_ptr_array_add(ret_broken, g_strdup(error->message));
	}
	if (method)
		g_ptr_array_add(m->all, method);
}

static bh_methods *new_set(void)
{
	bh_methods *m = g_new0(bh_methods, 1);
	m->refs = 1;
	m->all = g_ptr_array_new_with_free_func(unref_method);
	m->broken = g_ptr_array_new_with_free_func(free_broken);
	return m;
}

bh_methods *bh_methods_load(const char *folder, const bh_methods *previous, GPtrArray *ret_broken, GError **error)
{
	DIR *dir = opendir(folder);
	if (!dir) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO,
			    "cannot read the methods folder \"%s\" (setting methods_dir): %s", folder,
			    g_strerror(errno));
		return NULL;
	}

	bh_methods *m = new_set();
	m->folder = g_canonicalize_filename(folder, NULL);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (is_method_file(entry->d_name))
			add_file(m, folder, entry->d_name, previous, ret_broken);
	closedir(dir);
	g_ptr_array_sort(m->all, compare_names);
	g_ptr_array_sort(m->broken, compare_broken);
	return m;
}

bh_methods *bh_methods_load_file(const char *path, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);
	g_autofree char *file = g_path_get_basename(path);
	size_t stem = g_str_has_suffix(file, SUFFIX) ? strlen(file) - strlen(SUFFIX) : 0; /* without it: no name */
	g_autofree char *name = g_strndup(file, stem);

	bh_method *method = load_file(folder, file, name, NULL, error);
	if (!method)
		return NULL;
	bh_methods *m = new_set();
	g_ptr_array_add(m->all, method);
	return m;
}

char *bh_methods_folder(const char *setting)
{
	if (*setting)
		return g_strdup(setting);
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *bin = g_path_get_dirname(self ? self : ".");
	const char *const places[] = {"../share/bellhop/methods", "../../methods", "../methods"};
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
		g_autofree char *folder = g_build_filename(bin, places[i], NULL);
		if (g_file_test(folder, G_FILE_TEST_IS_DIR))
			return g_canonicalize_filename(folder, NULL);
	}
	return g_strdup("methods");
}
