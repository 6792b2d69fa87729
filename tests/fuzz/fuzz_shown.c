/*
 * What is shown to people may come from anybody: a receiver's answer, a server that is no Bellhop, a saved request. Nothing
 * of it may crash the command line, and nothing may reach the terminal that could act on it.
 */
#include "cli/heard.h"
#include "cli/problem.h"
#include "cli/proof.h"
#include "cli/text.h"
#include "cli/view.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const bh_view VIEW = {.now = INT64_C(1767268800) * BH_SECOND, .screen = {.width = 80}};

/* One row of each form, each on a member that the corpus has. */
static const bh_view_row ROWS[] = {
	{"id", "id"},
	{"number", "number", BH_VIEW_NUMBER},
	{"list", "list", BH_VIEW_LIST, "none"},
	{"enabled", "enabled", BH_VIEW_ENABLED},
	{"at", "at", BH_VIEW_TIME},
	{"seconds", "seconds", BH_VIEW_SECONDS},
	{"span", "span", BH_VIEW_SPAN},
	{"state", "state", BH_VIEW_STATE},
	{"pairs", "pairs", BH_VIEW_PAIRS},
	{NULL},
};

/* Line feeds and tabs are ours; no other control character may be left. */
static void check_harmless(const char *text)
{
	g_assert_true(g_utf8_validate(text, -1, NULL));
	for (; *text; text = g_utf8_next_char(text)) {
		gunichar c = g_utf8_get_char(text);
		g_assert_true(c == '\n' || c == '\t' || g_unichar_type(c) != G_UNICODE_CONTROL);
	}
}

static void show_json(bh_span text)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GString) out = g_string_new(NULL);
	if (!bh_json_parse(json, text, NULL))
		return;
	g_autoptr(bh_table) table = bh_view_table(ROWS);
	bh_view_json(json, 0, 0, VIEW.screen.width, out);
	bh_view_one(&VIEW, json, 0, ROWS, out);
	bh_view_add(&VIEW, table, json, 0, ROWS);
	bh_table_print(table, VIEW.screen, 2, out);
	check_harmless(out->str);
}

static void show_problem(bh_span text)
{
	g_autoptr(GError) error = NULL;
	bh_problem_error(&error, "show a thing", "http://127.0.0.1:8380", 422, text, "5");
	check_harmless(error->message);
}

static void show_request(bh_span text)
{
	bh_proof proof = {0};
	bh_span rest;
	bh_proof_read_headers(&proof, text, &rest);
	g_autofree char *path = bh_text_visible(text, false);
	g_autoptr(bh_heard) heard = bh_heard_new(path);
	g_autoptr(GPtrArray) secrets = g_ptr_array_new_with_free_func((GDestroyNotify)bh_secret_unref);
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GString) out = g_string_new(NULL);
	g_ptr_array_add(secrets, bh_signing_secret_parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", NULL));

	heard->verb = g_strdup("POST");
	if (proof.id)
		bh_heard_add_header(heard, "webhook-id", proof.id);
	if (proof.signatures)
		bh_heard_add_header(heard, "webhook-signature", proof.signatures);
	g_string_append_len(heard->body, rest.at ? rest.at : text.at, (gssize)(rest.at ? rest.size : text.size));
	bh_heard_judge(heard, secrets, 300, seen);
	bh_heard_line(heard, VIEW.screen, out);
	check_harmless(out->str);
	bh_proof_clear(&proof);
}

static void json_of_a_request_parses(bh_span text)
{
	g_autoptr(bh_heard) heard = bh_heard_new("/");
	g_autoptr(GPtrArray) none = g_ptr_array_new();
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(bh_json) json = bh_json_new();
	heard->verb = g_strdup("POST");
	g_string_append_len(heard->body, text.at, (gssize)text.size);
	bh_heard_judge(heard, none, 300, seen);
	bh_heard_json(heard, out);
	g_assert_true(bh_json_parse(json, (bh_span){out->str, out->len}, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bh_span text = {(const char *)data, size};
	show_json(text);
	show_problem(text);
	show_request(text);
	json_of_a_request_parses(text);
	return 0;
}
