/* A script host with a folder of methods, for tests that run strangers' scripts: a method, a webhook's own, or both. */
#pragma once

#include "base/error.h"
#include "method/method.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#define HOUSE_MEMORY ((size_t)16 * 1024 * 1024)
#define HOUSE_PASSWORD "s3cret-pa55word"

typedef struct house {
	char *folder, *methods_folder, *key_path;
	bh_sealer *sealer;
	bh_guard *guard;
	bh_methods *methods;
	bh_script_host *host;
	const char *data, *details, *channel; /* of the event; NULL: none */
	bool is_test;
} house;

/* How a run ended. */
typedef struct ending {
	bh_script_turn turn;
	int kind; /* RETURNED: of the judgement */
	char *text; /* what it judged with, or the trouble; NULL: nothing */
	GBytes *body;
	bh_usec longest; /* of its turns */
} ending;

static inline void ending_clear(ending *e)
{
	g_free(e->text);
	g_bytes_unref(e->body);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ending, ending_clear)

static inline void house_set_up(house *h, gconstpointer unused)
{
	static const bh_script_limits limits = {
		.memory_max = HOUSE_MEMORY, .instructions_max = 2 * 1000 * 1000, .calls_max = 8};
	g_autoptr(GError) error = NULL;

	g_unsetenv("BELLHOP_SEAL_KEY");
	h->folder = g_dir_make_tmp("bellhop-script-XXXXXX", NULL);
	h->methods_folder = g_build_filename(h->folder, "methods", NULL);
	g_assert_cmpint(g_mkdir(h->methods_folder, 0700), ==, 0);
	h->key_path = g_build_filename(h->folder, "seal.key", NULL);
	h->sealer = bh_sealer_open(h->key_path, &error);
	g_assert_no_error(error);
	h->guard = bh_guard_new(NULL, NULL, false, &error);
	g_assert_no_error(error);
	h->host = bh_script_host_new(&limits, h->sealer);
}

static inline void house_tear_down(house *h, gconstpointer unused)
{
	g_autoptr(GDir) dir = g_dir_open(h->methods_folder, 0, NULL);
	for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
		g_autofree char *path = g_build_filename(h->methods_folder, name, NULL);
		g_remove(path);
	}
	g_rmdir(h->methods_folder);
	g_remove(h->key_path);
	g_rmdir(h->folder);
	bh_script_host_free(h->host);
	bh_methods_unref(h->methods);
	bh_guard_unref(h->guard);
	bh_sealer_free(h->sealer);
	g_free(h->key_path);
	g_free(h->methods_folder);
	g_free(h->folder);
}

/* Writes the file as it is and reads the folder anew. False: it is broken, *ret_why (the caller's; may be NULL) says why. */
static inline bool house_write(house *h, const char *name, const char *text, gssize size, char **ret_why)
{
	g_autofree char *file = g_strconcat(name, ".lua", NULL);
	g_autofree char *path = g_build_filename(h->methods_folder, file, NULL);
	g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;

	g_file_set_contents(path, text, size, &error);
	g_assert_no_error(error);
	bh_methods *next = bh_methods_load(h->methods_folder, h->methods, broken, &error);
	g_assert_no_error(error);
	bh_methods_unref(h->methods);
	h->methods = next;
	bh_script_host_use(h->host, next);
	if (broken->len > 0 && ret_why)
		*ret_why = g_strdup(g_ptr_array_index(broken, 0));
	return broken->len == 0;
}

/* A method with fields url and password, whose deliver has the body `code`; what stands in `before` comes before it. */
static inline void house_write_deliver(house *h, const char *name, const char *before, const char *code)
{
	g_autofree char *text = g_strdup_printf("%s return { title = 'T', fields = {\n"
						"  { key = 'url', format = 'url', title = 'URL' },\n"
						"  { key = 'password', format = 'password', title = 'P' } },\n"
						"deliver = function(event, settings, remote)\n"
						"%s\nend }\n",
						before, code);
	g_autofree char *why = NULL;
	if (!house_write(h, name, text, -1, &why))
		g_error("%s", why);
}

/* The stored settings of a method made by house_write_deliver. */
static inline char *house_settings(house *h, const char *method)
{
	g_autoptr(GError) error = NULL;
	char *text = bh_settings_store(
		bh_methods_find(h->methods, method),
		bh_span_of("{\"url\":\"https://a.example/hook\",\"password\":\"" HOUSE_PASSWORD "\"}"), NULL, h->sealer,
		h->guard, NULL, &error);
	g_assert_no_error(error);
	return text;
}

static inline bh_script *house_begin(house *h, const char *method, const char *script)
{
	g_autofree char *settings = house_settings(h, method);
	g_autoptr(GBytes) body = g_bytes_new_static("{\"n\":1.50}", 10);
	bh_script_event event = {
		.id = "evt_04f2k8m1q7zr0",
		.type = "booking_added",
		.property_id = "12",
		.occurred_at = 1795618262123456,
		.body = body,
		.data = bh_span_of(h->data),
		.details = bh_span_of(h->details),
		.channel = bh_span_of(h->channel),
		.attempt = 3,
	};
	bh_script_job job = {
		.method = method, .settings = settings, .script = script, .event = &event, .skips_accepts = h->is_test};
	g_autoptr(GError) error = NULL;
	bh_script *s = bh_script_new(h->host, &job, &error);

	g_assert_no_error(error);
	return s;
}

/* Takes turns until the run is over, which makes no calls. */
static inline ending house_finish(house *h, bh_script *s)
{
	ending e = {0};
	bh_request call;

	do {
		bh_usec began = bh_clock_work();
		e.turn = bh_script_resume(s, NULL, &call);
		e.longest = MAX(e.longest, bh_clock_work() - began);
	} while (e.turn == BH_SCRIPT_LATER && bh_script_host_next(h->host) == s);
	g_assert_cmpint(e.turn, !=, BH_SCRIPT_CALLS);

	e.kind = bh_script_judged(s)->kind;
	e.text = g_strdup(e.turn == BH_SCRIPT_BROKE ? bh_script_trouble(s) : bh_script_judged(s)->why);
	e.body = g_bytes_ref(bh_script_body(s));
	bh_script_free(s);
	return e;
}

static inline ending house_run(house *h, const char *method, const char *script)
{
	return house_finish(h, house_begin(h, method, script));
}
