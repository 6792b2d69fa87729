/*
 * Scripts. The first byte says what the rest is: `D`, what a method's `deliver` does, else a webhook's own script. Whatever it is,
 * it ends; it says why; no password is shown by what has no business with one; and whoever comes next is served as ever.
 */
#include "base/error.h"
#include "method/method.h"

#include <glib/gstdio.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PASSWORD "correct horse/battery \xc3\xbc"
#define BODY "{\"type\":\"booking_added\",\"data\":{\"contract_uid\":42}}"
#define ANSWER "{\"a\":[1,2.50,null,\"b\"]}"
#define CALLS_MAX 8
#define TURNS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const bh_script_limits limits = {
	.memory_max = 16 * 1024 * 1024, .instructions_max = 300 * 1000, .calls_max = CALLS_MAX};

static char *folder, *path;
static bh_sealer *sealer;
static bh_script_host *host;
static GBytes *body;

static void set_up(void)
{
	g_autoptr(GError) error = NULL;

	g_setenv("BELLHOP_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", TRUE);
	folder = g_dir_make_tmp("bellhop-fuzz-XXXXXX", &error);
	g_assert_no_error(error);
	path = g_build_filename(folder, "m.lua", NULL);
	sealer = bh_sealer_open("", &error);
	g_assert_no_error(error);
	host = bh_script_host_new(&limits, sealer);
	body = g_bytes_new_static(BODY, sizeof BODY - 1);
}

/* --- A method ------------------------------------------------------------------------------------- */

/* False: it is none. */
static bool use_method(bh_span deliver, char **ret_settings)
{
	static const char head[] =
		"return { title = 'M', fields = { { key = 'p', format = 'password', title = 'P' } }, "
		"deliver = function(event, settings, remote)\n";
	FILE *file = fopen(path, "we");
	g_assert_nonnull(file);
	fwrite(head, 1, sizeof head - 1, file);
	fwrite(deliver.at, 1, deliver.size, file);
	fputs("\nend }\n", file);
	g_assert_cmpint(fclose(file), ==, 0);

	g_autoptr(GError) error = NULL;
	g_autoptr(bh_methods) methods = bh_methods_load_file(path, &error);
	g_assert_true((methods == NULL) == (error != NULL));
	if (!methods)
		return false;
	bh_script_host_use(host, methods);
	*ret_settings = bh_settings_store(bh_methods_find(methods, "m"), bh_span_of("{\"p\":\"" PASSWORD "\"}"), NULL,
					  sealer, NULL, NULL, &error);
	return *ret_settings != NULL; /* it may have made a form of its own */
}

/* --- A run ---------------------------------------------------------------------------------------- */

static bh_script *begin(const char *settings, const char *script, bh_script_part part)
{
	const bh_script_event event = {
		.id = "evt_04f2k8m1q7zr0",
		.type = "booking_added",
		.property_id = "12",
		.occurred_at = 1795618262123456,
		.body = body,
		.data = bh_span_of("{\"contract_uid\":42,\"price\":1.50,\"big\":123456789012345678901}"),
		.details = bh_span_of("{\"guest\":{\"name\":\"Ada\"},\"rooms\":[1,null]}"),
		.attempt = 1,
	};
	const bh_script_job job = {
		.method = "m", .settings = settings, .script = script, .event = &event, .part = part};

	return bh_script_new(host, &job, NULL);
}

static bh_script_turn answer(bh_script *s, bh_request *call)
{
	bh_answer given = {
		.status = 200, .head = g_string_new("Content-Type: application/json\n"), .body = g_byte_array_new()};
	g_byte_array_append(given.body, (const guint8 *)ANSWER, sizeof ANSWER - 1);
	bh_script_turn turn = bh_script_resume(s, &given, call);
	g_string_free(given.head, TRUE);
	g_byte_array_unref(given.body);
	return turn;
}

/* Until it has returned or broken, or wants no more answers. */
static bh_script_turn run_to_its_end(bh_script *s)
{
	bh_request call;
	bh_script_turn turn = bh_script_resume(s, NULL, &call);

	for (int calls = 0, turns = 0; turn == BH_SCRIPT_LATER || turn == BH_SCRIPT_CALLS; turns++) {
		g_assert_cmpint(turns, <, TURNS_MAX);
		if (turn == BH_SCRIPT_LATER) {
			g_assert_true(bh_script_host_next(host) == s);
			turn = bh_script_resume(s, NULL, &call);
		} else if (calls++ == 2 * CALLS_MAX) {
			return turn;
		} else {
			turn = answer(s, &call);
		}
	}
	return turn;
}

static void assert_says_nothing_secret(const char *text)
{
	g_assert_true(!text || (g_utf8_validate(text, -1, NULL) && !strstr(text, PASSWORD)));
}

static void assert_ends_well(bh_script *s, bh_script_part part)
{
	bh_script_turn turn = run_to_its_end(s);

	g_assert_true(part == BH_SCRIPT_ALL || turn != BH_SCRIPT_CALLS);
	if (turn == BH_SCRIPT_BROKE) {
		g_assert_nonnull(bh_script_trouble(s));
		assert_says_nothing_secret(bh_script_trouble(s));
	} else if (turn == BH_SCRIPT_RETURNED) {
		assert_says_nothing_secret(bh_script_judged(s)->why);
		g_assert_cmpuint(g_bytes_get_size(bh_script_body(s)), <=, 1024 * 1024);
	}
	if (part == BH_SCRIPT_CONTENT && turn == BH_SCRIPT_RETURNED) {
		gsize size;
		const char *made = g_bytes_get_data(bh_script_body(s), &size);
		g_assert_true(size == 0 || !memmem(made, size, PASSWORD, strlen(PASSWORD)));
	}
	bh_script_free(s);
}

/* Nobody else feels what it did. */
static void assert_others_are_served(void)
{
	g_autofree char *settings = NULL;
	bh_request call;

	g_assert_true(
		use_method(bh_span_of("return remote.post('https://a.example/', { body = event.body })"), &settings));
	bh_script *s = begin(settings, "return { accepts = function(event) return event.data.contract_uid == 42 end }",
			     BH_SCRIPT_ALL);
	g_assert_cmpint(bh_script_resume(s, NULL, &call), ==, BH_SCRIPT_CALLS);
	g_assert_true(bh_span_is(call.body, BODY));
	g_assert_cmpint(answer(s, &call), ==, BH_SCRIPT_RETURNED);
	bh_script_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *settings = NULL, *script = NULL;
	bool is_deliver = size > 0 && data[0] == 'D';
	bh_span text = {(const char *)data + is_deliver, size - is_deliver};

	if (!host)
		set_up();
	if (is_deliver) {
		if (!use_method(text, &settings))
			return 0;
		assert_ends_well(begin(settings, NULL, BH_SCRIPT_ALL), BH_SCRIPT_ALL);
	} else {
		if (!bh_script_check(text, NULL))
			return 0;
		script = g_strndup(text.at, text.size);
		g_assert_true(use_method(bh_span_of("return remote.delivered()"), &settings));
		assert_ends_well(begin(settings, script, BH_SCRIPT_CONTENT), BH_SCRIPT_CONTENT);
	}
	assert_others_are_served();
	return 0;
}
