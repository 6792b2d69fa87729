/*
 * A host with methods that a test writes, and a remote service that is a few lines of C. Each program is one file, so what it does
 * not need of this is simply unused.
 */
#pragma once

#include "base/error.h"
#include "method/method.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#define SETTINGS "{\"url\":\"https://a.example/hook?a=1&b=2\"}"

typedef struct rig {
	char *folder, *methods_folder, *key_path;
	bh_sealer *sealer;
	bh_guard *guard;
	bh_methods *methods;
	bh_script_host *host;
	GBytes *body;
	/* What the next runs are begun with. */
	const char *script, *data;
	bh_script_part part;
	bool is_test;
} rig;

/* --- The rig ---------------------------------------------------------------------------------- */

static inline void write_method(rig *r, const char *name, const char *text)
{
	g_autofree char *file = g_strconcat(name, ".lua", NULL);
	g_autofree char *path = g_build_filename(r->methods_folder, file, NULL);
	g_autoptr(GError) error = NULL;
	g_file_set_contents(path, text, -1, &error);
	g_assert_no_error(error);
}

/* Reads the folder anew and hands it to the host. Returns how many files are broken. */
static inline guint reload(rig *r)
{
	g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	bh_methods *next = bh_methods_load(r->methods_folder, r->methods, broken, &error);

	g_assert_no_error(error);
	bh_methods_unref(r->methods);
	r->methods = next;
	bh_script_host_use(r->host, next);
	return broken->len;
}

/* A method `name` with the field url, whose deliver has the body `code`; `locals` stand before it, on line 1. */
static inline void write_deliver(rig *r, const char *name, const char *locals, const char *code)
{
	g_autofree char *text = g_strdup_printf("%s return { title = 'T', fields = {\n"
						"  { key = 'url', format = 'url', title = 'URL' },\n"
						"  { key = 'password', format = 'password', title = 'P' } },\n"
						"deliver = function(event, settings, remote)\n"
						"%s\nend }\n",
						locals, code);
	write_method(r, name, text);
	g_assert_cmpuint(reload(r), ==, 0);
}

static inline void set_up(rig *r, gconstpointer unused)
{
	static const bh_script_limits limits = {
		.memory_max = 16 * 1024 * 1024, .instructions_max = 4 * 1000 * 1000, .calls_max = 8};
	g_autoptr(GError) error = NULL;

	g_unsetenv("BELLHOP_SEAL_KEY");
	r->folder = g_dir_make_tmp("bellhop-run-XXXXXX", NULL);
	r->methods_folder = g_build_filename(r->folder, "methods", NULL);
	g_assert_cmpint(g_mkdir(r->methods_folder, 0700), ==, 0);
	r->key_path = g_build_filename(r->folder, "seal.key", NULL);
	r->sealer = bh_sealer_open(r->key_path, &error);
	g_assert_no_error(error);
	r->guard = bh_guard_new(NULL, NULL, false, &error);
	g_assert_no_error(error);
	r->host = bh_script_host_new(&limits, r->sealer);
	r->body = g_bytes_new_static("{\"n\":1.50}", 10);
}

static inline void tear_down(rig *r, gconstpointer unused)
{
	g_autoptr(GDir) dir = g_dir_open(r->methods_folder, 0, NULL);
	for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
		g_autofree char *path = g_build_filename(r->methods_folder, name, NULL);
		g_remove(path);
	}
	g_rmdir(r->methods_folder);
	g_remove(r->key_path);
	g_rmdir(r->folder);
	bh_script_host_free(r->host);
	bh_methods_unref(r->methods);
	bh_guard_unref(r->guard);
	bh_sealer_free(r->sealer);
	g_bytes_unref(r->body);
	g_free(r->key_path);
	g_free(r->methods_folder);
	g_free(r->folder);
}

static inline bh_script *begin(rig *r, const char *method, const char *settings)
{
	bh_script_event event = {
		.id = "evt_04f2k8m1q7zr0",
		.type = "booking_added",
		.property_id = "12",
		.occurred_at = 1795618262123456,
		.body = r->body,
		.data = bh_span_of(r->data),
		.attempt = 3,
	};
	g_autoptr(GError) error = NULL;
	bh_script_job job = {.method = method,
			     .settings = settings,
			     .script = r->script,
			     .event = &event,
			     .part = r->part,
			     .skips_accepts = r->is_test};
	bh_script *s = bh_script_new(r->host, &job, &error);

	g_assert_no_error(error);
	g_assert_nonnull(s);
	return s;
}

/* The run's turns until it does something; it is the only one that computes. */
static inline bh_script_turn resume(rig *r, bh_script *s, const bh_answer *answer, bh_request *ret_call)
{
	bh_script_turn turn = bh_script_resume(s, answer, ret_call);

	while (turn == BH_SCRIPT_LATER) {
		g_assert_true(bh_script_host_has_next(r->host));
		g_assert_true(bh_script_host_next(r->host) == s);
		turn = bh_script_resume(s, NULL, ret_call);
	}
	return turn;
}

/* --- The fake remote service ---------------------------------------------------------------- */

typedef struct reply {
	bh_answer answer;
	GString *head;
	GByteArray *body;
} reply;

static inline void reply_init(reply *a, int status, const char *head, const char *body)
{
	*a = (reply){.answer = {.status = status}, .head = g_string_new(head), .body = g_byte_array_sized_new(1)};
	g_byte_array_append(a->body, (const guint8 *)body, (guint)strlen(body));
	a->answer.head = a->head;
	a->answer.body = a->body;
}

/* Overwrites before it frees: who still looks in sees rubbish. */
static inline void reply_clear(reply *a)
{
	memset(a->head->str, 'X', a->head->len);
	memset(a->body->data, 'X', a->body->len);
	g_string_free(a->head, TRUE);
	g_byte_array_unref(a->body);
	memset(a, 0xee, sizeof *a);
}

static inline bh_script_turn answer_with(rig *r, bh_script *s, int status, const char *head, const char *body,
				  bh_request *ret_call)
{
	reply a;
	reply_init(&a, status, head, body);
	bh_script_turn turn = resume(r, s, &a.answer, ret_call);
	reply_clear(&a);
	return turn;
}

static inline const char *header_of(const bh_request *call, const char *name)
{
	size_t size = strlen(name);
	for (const char *const *h = call->headers; *h; h++)
		if (!g_ascii_strncasecmp(*h, name, size) && (*h)[size] == ':')
			return *h + size + 2;
	return NULL;
}

static inline void assert_call(rig *r, bh_script *s, const bh_answer *answer, const char *verb, const char *url,
			bh_request *ret_call)
{
	bh_script_turn turn = resume(r, s, answer, ret_call);
	if (turn == BH_SCRIPT_BROKE)
		g_error("broke: %s", bh_script_trouble(s));
	g_assert_cmpint(turn, ==, BH_SCRIPT_CALLS);
	g_assert_cmpstr(ret_call->verb, ==, verb);
	g_assert_cmpstr(ret_call->url, ==, url);
}

static inline void assert_judged(bh_script *s, bh_script_turn turn, int kind, const char *why)
{
	if (turn == BH_SCRIPT_BROKE)
		g_error("broke: %s", bh_script_trouble(s));
	g_assert_cmpint(turn, ==, BH_SCRIPT_RETURNED);
	g_assert_cmpint(bh_script_judged(s)->kind, ==, kind);
	g_assert_cmpstr(bh_script_judged(s)->why, ==, why);
}

/* Runs a method that makes no call to its end: what remote.delivered(note) noted. */
static inline char *note_of(rig *r, const char *method, const char *settings)
{
	bh_request call;
	bh_script *s = begin(r, method, settings);
	bh_script_turn turn = resume(r, s, NULL, &call);
	if (turn == BH_SCRIPT_BROKE)
		g_error("broke: %s", bh_script_trouble(s));
	g_assert_cmpint(turn, ==, BH_SCRIPT_RETURNED);
	char *note = g_strdup(bh_script_judged(s)->why);
	bh_script_free(s);
	return note;
}

/* As note_of, of a method whose deliver has this body, on line 5. */
static inline char *note_of_code(rig *r, const char *code)
{
	write_deliver(r, "eval", "", code);
	return note_of(r, "eval", SETTINGS);
}

/* What `return remote.delivered(tostring(<expression>))` notes. */
static inline void assert_evaluates(rig *r, const char *expression, const char *expected)
{
	g_autofree char *code = g_strdup_printf("return remote.delivered(tostring(%s))", expression);
	write_deliver(r, "eval", "", code);
	g_autofree char *note = note_of(r, "eval", SETTINGS);
	g_assert_cmpstr(note, ==, expected);
}

/* Runs to the end, which is trouble with `expected` in it. */
static inline void assert_breaks(rig *r, const char *method, const char *settings, const char *expected)
{
	bh_request call;
	bh_script *s = begin(r, method, settings);
	g_assert_cmpint(resume(r, s, NULL, &call), ==, BH_SCRIPT_BROKE);
	if (!strstr(bh_script_trouble(s), expected))
		g_error("trouble is \"%s\", expected \"%s\" in it", bh_script_trouble(s), expected);
	bh_script_free(s);
}

/* That the host still serves others. */
static inline void assert_host_is_well(rig *r)
{
	bh_request call;
	write_deliver(r, "well", "", "return remote.post(settings.url, { body = event.body })");
	bh_script *s = begin(r, "well", SETTINGS);
	assert_call(r, s, NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
	assert_judged(s, answer_with(r, s, 200, "", "", &call), BH_JUDGED_BY_ANSWER, NULL);
	bh_script_free(s);
}

static inline void assert_code_breaks(rig *r, const char *code, const char *expected)
{
	write_deliver(r, "bad", "", code);
	assert_breaks(r, "bad", SETTINGS, expected);
	assert_host_is_well(r);
}

static inline void use_shipped(rig *r, const char *name)
{
	g_autofree char *file = g_strconcat(name, ".lua", NULL);
	g_autofree char *path = g_build_filename(g_getenv("BH_SOURCE_ROOT"), "methods", file, NULL);
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	write_method(r, name, text);
	g_assert_cmpuint(reload(r), ==, 0);
}

static inline char *stored(rig *r, const char *method, const char *given)
{
	g_autoptr(GError) error = NULL;
	char *text = bh_settings_store(bh_methods_find(r->methods, method), bh_span_of(given), NULL, r->sealer,
				       r->guard, NULL, &error);
	g_assert_no_error(error);
	return text;
}
