/* The command line without a server: the table, options, what is meant by wrong words, bodies and refusals. */
#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/event_body.h"
#include "cli/help.h"
#include "cli/problem.h"
#include "cli/webhook_form.h"

#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>

static const bh_screen PAPER = {.width = 100};

/* --- The table ------------------------------------------------------------------------------- */

static void every_row_is_complete(void)
{
	for (const bh_command *c = BH_COMMANDS; c->words; c++) {
		g_test_message("%s", c->words);
		g_assert_nonnull(c->run);
		g_assert_nonnull(c->usage);
		g_assert_true(c->help && *c->help && !g_str_has_suffix(c->help, "."));
		g_assert_true(g_str_has_prefix(c->example, "bellhop "));
		g_assert_cmpuint(strlen(c->help), <=, 80);
		for (const bh_command *other = c + 1; other->words; other++)
			g_assert_cmpstr(other->words, !=, c->words);
	}
}

static bool is_noun(const char *word)
{
	for (const bh_noun *n = BH_NOUNS; n->word; n++)
		if (strcmp(n->word, word) == 0)
			return true;
	return false;
}

static void every_command_is_in_the_overview(void)
{
	for (const bh_command *c = BH_COMMANDS; c->words; c++) {
		g_auto(GStrv) words = g_strsplit(c->words, " ", -1);
		g_assert_true(is_noun(words[0]));
	}
}

static bool understands(const bh_command *c, const char *name)
{
	const bh_option *sets[BH_OPTION_SETS_MAX];
	bh_command_options(c, sets);
	for (const bh_option *const *s = sets; *s; s++)
		for (const bh_option *o = *s; o->name; o++)
			if (strcmp(o->name, name) == 0)
				return true;
	return false;
}

static void what_a_usage_names_is_an_option(void)
{
	g_autoptr(GRegex) pattern = g_regex_new("--([a-z-]+)", 0, 0, NULL);
	for (const bh_command *c = BH_COMMANDS; c->words; c++) {
		g_autoptr(GMatchInfo) found = NULL;
		for (g_regex_match(pattern, c->usage, 0, &found); g_match_info_matches(found);
		     g_match_info_next(found, NULL)) {
			g_autofree char *name = g_match_info_fetch(found, 1);
			g_test_message("%s --%s", c->words, name);
			g_assert_true(understands(c, name));
		}
	}
}

/* The command line of an example, read as the program would: what the help shows must be right. */
static void read_example(const char *line)
{
	g_auto(GStrv) words = NULL;
	g_autoptr(GError) error = NULL;
	const bh_option *sets[BH_OPTION_SETS_MAX];
	int used;

	g_test_message("%s", line);
	g_assert_true(g_shell_parse_argv(line, NULL, &words, &error));
	g_assert_cmpstr(words[0], ==, "bellhop");
	const bh_command *c = bh_command_find(words + 1, &used);
	g_assert_nonnull(c);
	bh_command_options(c, sets);
	g_autoptr(bh_args) args = bh_args_parse(sets, words + 1 + used, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(bh_args_count(args), >=, (guint)c->least);
	g_assert_true(c->most < 0 || bh_args_count(args) <= (size_t)c->most);
}

static void every_example_can_be_typed(void)
{
	for (const bh_command *c = BH_COMMANDS; c->words; c++) {
		g_auto(GStrv) whole = g_strsplit(c->example, " \\\n", -1);
		g_autofree char *joined = g_strjoinv(" ", whole);
		g_auto(GStrv) lines = g_strsplit(joined, "\n", -1);
		for (char **line = lines; *line; line++)
			read_example(*line);
	}
}

static void help_shows_usage_options_and_an_example(void)
{
	for (const bh_command *c = BH_COMMANDS; c->words; c++) {
		g_autoptr(GString) help = g_string_new(NULL);
		g_autofree char *usage = g_strdup_printf("bellhop %s", c->words);
		bh_help_command(c, PAPER, help);
		g_assert_true(g_str_has_prefix(help->str, usage));
		g_assert_nonnull(strstr(help->str, "\nExample"));
		for (const bh_option *o = c->options; o && o->name; o++)
			g_assert_nonnull(strstr(help->str, o->name));
	}
}

static void an_option_of_its_own_hides_the_shared_one(void)
{
	char *words[] = {(char *)"webhook", (char *)"add", NULL};
	int used;
	g_autoptr(GString) help = g_string_new(NULL);

	bh_help_command(bh_command_find(words, &used), PAPER, help);

	const char *first = strstr(help->str, "\n  --url URL");
	g_assert_nonnull(first);
	g_assert_null(strstr(first + 1, "\n  --url URL"));
}

static void the_page_of_the_commands_equals_their_rows(void)
{
	const char *root = g_getenv("BH_SOURCE_ROOT");
	if (!root) {
		g_test_skip("BH_SOURCE_ROOT is not set");
		return;
	}
	g_autofree char *path = g_build_filename(root, "docs", "cli.md", NULL);
	g_autoptr(GString) expected = g_string_new(NULL);
	g_autofree char *found = NULL;
	bh_help_markdown(expected);

	if (g_getenv("BH_WRITE_DOCS"))
		g_assert_true(g_file_set_contents(path, expected->str, -1, NULL));
	g_assert_true(g_file_get_contents(path, &found, NULL, NULL));
	g_assert_cmpstr(found, ==, expected->str);
}

/* --- Wrong words ----------------------------------------------------------------------------- */

static void a_wrong_command_gets_the_one_that_was_meant(void)
{
	const struct {
		const char *typed, *meant; /* NULL: only that there is none */
	} rows[] = {
		{"webook list", "webhook list"},   {"webhooks list", "webhook list"},
		{"webhook lst", "webhook list"},   {"list webhooks", "webhook list"},
		{"webhook create", "webhook add"}, {"hook ls", "webhook list"},
		{"deliveries", "delivery"},        {"delivery replay dlv_1", "delivery retry"},
		{"evnt show", "event show"},       {"start", "serve"},
		{"sned booking_added", "send"},    {"webhook recover whk_1", "recover"},
		{"event explain", "explain"},      {"recovry list", "recovery list"},
		{"webhook frobnicate", NULL},      {"xyz", NULL},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int used;
		g_auto(GStrv) words = g_strsplit(rows[i].typed, " ", -1);
		g_autoptr(GError) error = NULL;
		g_test_message("%s", rows[i].typed);
		g_assert_null(bh_command_find(words, &used));

		bh_command_unknown(words, &error);

		g_autofree char *hint =
			rows[i].meant ? g_strdup_printf("did you mean `bellhop %s`?", rows[i].meant) : NULL;
		g_assert_error(error, BH_USAGE_ERROR, 0);
		g_assert_true(hint ? strstr(error->message, hint) != NULL : strstr(error->message, "mean") == NULL);
	}
}

/* --- Options --------------------------------------------------------------------------------- */

static const bh_option OWN[] = {{"url", "URL", "its own", .stands_for = "webhook-url"},
				{"set", "K=V", "many", .many = true},
				{"enable", NULL, "a switch"},
				{"delay", "SPAN", "a span"},
				{"port", "N", "a number"},
				{NULL}};
static const bh_option SHARED[] = {
	{"server", "URL", "shared"}, {"url", "URL", "hidden", .stands_for = "server"}, {NULL}};
static const bh_option *const SETS[] = {OWN, SHARED, NULL};

static bh_args *parse(const char *line, GError **error)
{
	static char **kept; /* the args borrow their words */
	g_strfreev(kept);
	kept = g_strsplit(line, " ", -1);
	if (!*line)
		kept[0] = NULL;
	return bh_args_parse(SETS, kept, error);
}

static void options_and_operands_may_be_mixed(void)
{
	g_autoptr(bh_args) args = parse("one --set a=1 - --set=b=2 --enable two -- --three", NULL);

	g_assert_cmpuint(bh_args_count(args), ==, 4);
	g_assert_cmpstr(bh_args_operand(args, 0), ==, "one");
	g_assert_cmpstr(bh_args_operand(args, 1), ==, "-");
	g_assert_cmpstr(bh_args_operand(args, 3), ==, "--three");
	g_assert_null(bh_args_operand(args, 4));
	g_assert_cmpstr(bh_args_all(args, "set")[0], ==, "a=1");
	g_assert_cmpstr(bh_args_all(args, "set")[1], ==, "b=2");
	g_assert_null(bh_args_all(args, "set")[2]);
	g_assert_true(bh_args_has(args, "enable"));
	g_assert_false(bh_args_has(args, "url"));
}

static void the_same_word_means_the_commands_own_first(void)
{
	g_autoptr(bh_args) args = parse("--url https://x --server http://y", NULL);
	g_assert_cmpstr(bh_args_one(args, "webhook-url"), ==, "https://x");
	g_assert_cmpstr(bh_args_one(args, "server"), ==, "http://y");
}

static void a_value_may_begin_with_one_dash_or_be_empty(void)
{
	g_autoptr(bh_args) args = parse("--set - --url=", NULL);
	g_assert_cmpstr(bh_args_one(args, "set"), ==, "-");
	g_assert_cmpstr(bh_args_one(args, "webhook-url"), ==, "");
}

static void wrong_options_say_what_would_be_right(void)
{
	const struct {
		const char *line, *says;
	} rows[] = {
		{"--ulr x", "did you mean --url?"},
		{"--frobnicate", "no option --frobnicate"},
		{"--url", "--url needs a value"},
		{"--url --enable", "--url needs a value"},
		{"--enable=yes", "takes no value"},
		{"--url a --url b", "given twice"},
		{"-x", "two dashes"},
		{"--", NULL},
		{"--set a --set b", NULL},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(bh_args) args = parse(rows[i].line, &error);
		g_test_message("%s", rows[i].line);
		if (!rows[i].says) {
			g_assert_no_error(error);
			continue;
		}
		g_assert_null(args);
		g_assert_error(error, BH_USAGE_ERROR, 0);
		g_assert_nonnull(strstr(error->message, rows[i].says));
	}
}

static void numbers_and_spans_are_checked(void)
{
	g_autoptr(GError) error = NULL;
	gint64 port = 7, delay = 9;
	g_autoptr(bh_args) good = parse("--port 80 --delay 2s", NULL);
	g_assert_true(bh_args_int(good, "port", 0, 65535, &port, NULL) && port == 80);
	g_assert_true(bh_args_span(good, "delay", &delay, NULL) && delay == 2000000);

	g_autoptr(bh_args) none = parse("", NULL);
	g_assert_true(bh_args_int(none, "port", 0, 65535, &port, NULL) && port == 80);

	g_autoptr(bh_args) bad = parse("--port 65536 --delay soon", NULL);
	g_assert_false(bh_args_int(bad, "port", 0, 65535, &port, &error));
	g_assert_error(error, BH_USAGE_ERROR, 0);
	g_clear_error(&error);
	g_assert_false(bh_args_span(bad, "delay", &delay, &error));
	g_assert_nonnull(strstr(error->message, "--delay \"soon\""));
	g_assert_true(port == 80 && delay == 2000000);
}

/* --- Bodies ---------------------------------------------------------------------------------- */

static void an_event_keeps_the_bytes_of_its_data(void)
{
	const struct {
		bh_event_parts parts;
		const char *body;
	} rows[] = {
		{{.type = "a"}, "{\"type\":\"a\",\"data\":{}}"},
		{{.type = "a", .property = "12"}, "{\"type\":\"a\",\"data\":{\"property_uid\":12}}"},
		{{.type = "a", .property = "x\"1"}, "{\"type\":\"a\",\"data\":{\"property_uid\":\"x\\\"1\"}}"},
		{{.type = "a", .property = "007"}, "{\"type\":\"a\",\"data\":{\"property_uid\":\"007\"}}"},
		{{.type = "a", .property = "+7"}, "{\"type\":\"a\",\"data\":{\"property_uid\":\"+7\"}}"},
		{{.type = "a", .data = " {\"n\": 12345678901234567890, \"p\":412.50}\n", .property = "1"},
		 "{\"type\":\"a\",\"data\":{\"property_uid\":1,\"n\": 12345678901234567890, \"p\":412.50}}"},
		{{.type = "a", .data = "{ }", .property = "1"}, "{\"type\":\"a\",\"data\":{\"property_uid\":1 }}"},
		{{.type = "a", .manager = "7", .actor = "8", .channel = "3", .occurred_at = "t", .details = " [1.0] "},
		 "{\"type\":\"a\",\"occurred_at\":\"t\",\"manager_id\":\"7\",\"actor\":\"8\",\"channel\":{\"channel_"
		 "id\":\"3\"},"
		 "\"data\":{},\"details\":[1.0]}"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) body = g_string_new(NULL);
		g_autoptr(GError) error = NULL;
		g_assert_true(bh_event_body_append(&rows[i].parts, body, &error));
		g_assert_cmpstr(body->str, ==, rows[i].body);
	}
}

static void data_that_would_break_the_body_is_refused(void)
{
	const bh_event_parts rows[] = {
		{.type = "a", .data = "{\"a\":1"},
		{.type = "a", .data = "[1]"},
		{.type = "a", .data = ""},
		{.type = "a", .data = "{}}, {\"type\":\"b\""},
		{.type = "a", .data = "{\"property_uid\":1}", .property = "2"},
		{.type = "a", .data = "{\"property\\u005fuid\":1}", .property = "2"},
		{.type = "a", .details = "1,\"x\":2"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) body = g_string_new(NULL);
		g_autoptr(GError) error = NULL;
		g_assert_false(bh_event_body_append(&rows[i], body, &error));
		g_assert_error(error, BH_USAGE_ERROR, 0);
		g_assert_cmpuint(body->len, ==, 0);
	}
}

static void a_file_of_events_is_cut_into_calls(void)
{
	const struct {
		const char *text;
		guint calls;
		bool ndjson;
	} rows[] = {
		{"", 0, false},
		{" \n\n", 0, false},
		{"{\"type\":\"a\",\"data\":{}}", 1, false},
		{"{\n \"type\":\"a\",\n \"data\":{}\n}\n", 1, false},
		{"[{\"type\":\"a\"},\n{\"type\":\"b\"}]", 1, false},
		{"[{\"type\":\"a\"},\n{\"type\":\"b\"}", 1, false}, /* broken, and the API shall say where */
		{"{\n \"type\":\"a\",\n \"data\":{\n}\n", 1, false},
		{"{\"type\":\"a\"}\n{\"type\":\"b\"}\n", 1, true},
		{"\n{\"type\":\"a\"}\n\n{\"type\":\"b\"}", 1, true},
		{"{\"type\":\"a\"}\n{\"type\":", 1, true},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].text);
		g_autoptr(GArray) calls = bh_events_cut(bh_span_of(rows[i].text));
		g_assert_cmpuint(calls->len, ==, rows[i].calls);
		if (calls->len == 0)
			continue;
		const bh_events_call *call = &g_array_index(calls, bh_events_call, 0);
		g_assert_true(call->ndjson == rows[i].ndjson);
		g_assert_true(bh_span_is(call->body, rows[i].text));
	}
}

static void a_long_file_is_cut_between_lines(void)
{
	g_autoptr(GString) text = g_string_new(NULL);
	for (int i = 0; i < 25001; i++)
		g_string_append_printf(text, "{\"n\":%d}\n", i);

	g_autoptr(GArray) calls = bh_events_cut((bh_span){text->str, text->len});

	g_assert_cmpuint(calls->len, ==, 3);
	size_t together = 0;
	for (guint i = 0; i < calls->len; i++) {
		const bh_events_call *call = &g_array_index(calls, bh_events_call, i);
		g_assert_cmpuint(call->first_line, ==, i * 10000 + 1);
		g_assert_true(call->body.at == text->str + together);
		g_assert_cmpint(call->body.at[call->body.size - 1], ==, '\n');
		together += call->body.size;
	}
	g_assert_cmpuint(together, ==, text->len);
}

static void a_large_file_is_cut_by_its_bytes(void)
{
	g_autofree char *filler = g_strnfill(200 * 1024, 'x');
	g_autoptr(GString) text = g_string_new(NULL);
	for (int i = 0; i < 100; i++)
		g_string_append_printf(text, "{\"n\":\"%s\"}\n", filler);

	g_autoptr(GArray) calls = bh_events_cut((bh_span){text->str, text->len});

	g_assert_cmpuint(calls->len, ==, 3);
	for (guint i = 0; i < calls->len; i++)
		g_assert_cmpuint(g_array_index(calls, bh_events_call, i).body.size, <=, 8 * 1024 * 1024);
}

/* --- The webhook's form ---------------------------------------------------------------------- */

static const char METHODS[] =
	"{\"data\":[{\"name\":\"none\",\"fields\":[{\"key\":\"url\",\"format\":\"url\"}]},"
	"{\"name\":\"rich\",\"fields\":[{\"key\":\"url\",\"format\":\"url\"},{\"key\":\"retries\",\"format\":"
	"\"integer\"},"
	"{\"key\":\"twice\",\"format\":\"boolean\"},{\"key\":\"note\",\"format\":\"area\"}]}],\"next\":null}";

/* The body that `webhook set ID <line>` makes for the method `rich`; NULL with an error. */
static char *form_of(const char *line, GError **error)
{
	char *command_words[] = {(char *)"webhook", (char *)"set", NULL};
	int used;
	const bh_option *sets[BH_OPTION_SETS_MAX];
	g_auto(GStrv) words = NULL;
	g_assert_true(g_shell_parse_argv(line, NULL, &words, NULL));
	bh_command_options(bh_command_find(command_words, &used), sets);
	g_autoptr(bh_args) args = bh_args_parse(sets, words, error);
	g_assert_nonnull(args);

	g_autoptr(bh_json) methods = bh_json_new();
	g_assert_true(bh_json_parse(methods, bh_span_of(METHODS), NULL));
	g_autoptr(GString) body = g_string_new("{");
	if (!bh_form_fill(args, methods, bh_form_find_method(methods, "rich", NULL), body, error))
		return NULL;
	g_string_append_c(body, '}');
	return g_string_free(g_steal_pointer(&body), FALSE);
}

static void options_become_the_api_s_members(void)
{
	const struct {
		const char *line, *body;
	} rows[] = {
		{"--name 'A \"b\"'", "{\"name\":\"A \\\"b\\\"\"}"},
		{"--url https://x/y?a=b", "{\"settings\":{\"url\":\"https://x/y?a=b\"}}"},
		{"--set retries=3 --set twice=yes --set note=a=b",
		 "{\"settings\":{\"retries\":3,\"twice\":true,\"note\":\"a=b\"}}"},
		{"--set note=@@home --unset url", "{\"settings\":{\"note\":\"@home\",\"url\":null}}"},
		{"--events 'booking_*, invoice' --events '*'", "{\"events\":[\"booking_*\",\"invoice\",\"*\"]}"},
		{"--property 12 --property 13", "{\"properties\":[\"12\",\"13\"]}"},
		{"--all-properties --no-channel", "{\"channel_id\":null,\"properties\":null}"},
		{"--header 'X-A: b: c' --remove-header X-B", "{\"headers\":{\"X-A\":\"b: c\",\"X-B\":null}}"},
		{"--timeout 10s", "{\"timeout_seconds\":10}"},
		{"--timeout 2500ms", "{\"timeout_seconds\":2.5}"},
		{"--enable --held newest", "{\"held\":\"newest\",\"enabled\":true}"},
		{"--disable --thin-payload", "{\"full_payload\":false,\"enabled\":false}"},
		{"--order-by contract_uid", "{\"order_by\":\"contract_uid\"}"},
		{"--coalesce 30s --coalesce-by 'property, room_uid' --coalesce-by rate",
		 "{\"coalesce\":{\"seconds\":30,\"fields\":[\"property\",\"room_uid\",\"rate\"]}}"},
		{"--coalesce 90", "{\"coalesce\":{\"seconds\":90}}"},
		{"--coalesce 1500ms", "{\"coalesce\":{\"seconds\":1.5}}"},
		{"--rate 60/1m", "{\"rate_limit\":{\"requests\":60,\"seconds\":60}}"},
		{"--rate 5/s", "{\"rate_limit\":{\"requests\":5,\"seconds\":1}}"},
		{"--no-order --no-coalesce --no-rate", "{\"order_by\":null,\"coalesce\":null,\"rate_limit\":null}"},
		{"--no-tls-ca --no-tls-cert", "{\"tls\":{\"ca\":null,\"certificate\":null,\"key\":null}}"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *body = form_of(rows[i].line, &error);
		g_assert_no_error(error);
		g_assert_cmpstr(body, ==, rows[i].body);
	}
}

static void wrong_settings_are_named(void)
{
	const struct {
		const char *line, *says;
	} rows[] = {
		{"--set retires=3", "did you mean retries?"},
		{"--set retries=many", "whole number"},
		{"--set twice=perhaps", "yes or no"},
		{"--set note", "key=value"},
		{"--set =x", "key=value"},
		{"--unset nothing", "no field"},
		{"--header broken", "'Name: value'"},
		{"--enable --disable", "contradict"},
		{"--set note=- --set url=-", "only one"},
		{"--tls-key - --tls-cert=-", "only one"},
		{"--order-by x --no-order", "contradict"},
		{"--coalesce-by x --no-coalesce", "contradict"},
		{"--coalesce soon", "span of time"},
		{"--rate 60", "60/1m"},
		{"--rate 0/1m", "60/1m"},
		{"--rate 5/10ms", "60/1m"},
		{"--rate x/1m", "60/1m"},
		{"--tls-cert c --no-tls-cert", "contradict"},
		{"--tls-key k --no-tls-cert", "contradict"},
		{"--tls-ca /dev/null", "no PEM"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_test_message("%s", rows[i].line);
		g_assert_null(form_of(rows[i].line, &error));
		g_assert_error(error, BH_USAGE_ERROR, 0);
		g_assert_nonnull(strstr(error->message, rows[i].says));
	}
}

static void certificates_are_read_from_files(void)
{
	static const char pem[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	g_autofree char *folder = g_dir_make_tmp("cli-XXXXXX", NULL);
	g_autofree char *file = g_build_filename(folder, "a.pem", NULL);
	g_autofree char *line = g_strdup_printf("--tls-ca %s --tls-cert=@%s", file, file);
	g_autofree char *broken = g_strdup_printf("--tls-key %s", file);
	g_autofree char *missing = g_strdup_printf("--tls-key %s/none", folder);
	g_autoptr(GError) error = NULL;

	g_assert_true(g_file_set_contents(file, pem, -1, NULL));
	g_autofree char *body = form_of(line, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(body, ==,
			"{\"tls\":{\"ca\":\"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\","
			"\"certificate\":\"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\"}}");

	g_assert_true(g_file_set_contents(file, "\x30\x82\0\x01", 4, NULL)); /* as DER begins */
	g_assert_null(form_of(broken, &error));
	g_assert_error(error, BH_USAGE_ERROR, 0);
	g_assert_nonnull(strstr(error->message, "openssl x509 -inform der"));
	g_clear_error(&error);
	g_assert_null(form_of(missing, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_IO);
	g_assert_nonnull(strstr(error->message, "--tls-key: cannot open"));

	g_unlink(file);
	g_rmdir(folder);
}

static void a_method_that_is_not_there_is_named_with_those_that_are(void)
{
	g_autoptr(bh_json) methods = bh_json_new();
	g_autoptr(GError) error = NULL;
	g_assert_true(bh_json_parse(methods, bh_span_of(METHODS), NULL));
	g_assert_true(bh_form_find_method(methods, "non", &error) == BH_JSON_NONE);
	g_assert_nonnull(strstr(error->message, "did you mean none?"));
	g_assert_nonnull(strstr(error->message, "none, rich"));
}

/* --- What the API refuses --------------------------------------------------------------------- */

static char *problem(int status, const char *body, const char *retry_after, int *ret_code)
{
	g_autoptr(GError) error = NULL;
	bh_problem_error(&error, "add a webhook", "http://127.0.0.1:8380", status, bh_span_of(body), retry_after);
	g_assert_true(error->domain == BH_ERROR);
	*ret_code = error->code;
	return g_strdup(error->message);
}

static void a_problem_says_what_why_where_and_what_to_do(void)
{
	int code;
	g_autofree char *said = problem(
		422,
		"{\"code\":\"target_refused\",\"status\":422,\"title\":\"t\",\"detail\":\"loopback: no\",\"pointer\":"
		"\"/settings/url\"}",
		NULL, &code);
	g_assert_true(
		g_str_has_prefix(said, "cannot add a webhook: loopback: no (422 target_refused, at /settings/url)\n"));
	g_assert_nonnull(strstr(said, "`allow`"));
	g_assert_cmpint(code, ==, BH_ERROR_INVALID);
}

static void a_syntax_problem_names_line_and_column(void)
{
	int code;
	g_autofree char *said =
		problem(400, "{\"code\":\"invalid_json\",\"detail\":\"d\",\"line\":3,\"column\":7}", NULL, &code);
	g_assert_cmpstr(said, ==, "cannot add a webhook: d (400 invalid_json, line 3 column 7)");
}

static void a_busy_server_says_when_to_come_back(void)
{
	int code;
	g_autofree char *said = problem(503, "{\"code\":\"busy\",\"detail\":\"d\"}", "2", &code);
	g_assert_true(g_str_has_suffix(said, "\nTry again in 2 s."));
	g_assert_cmpint(code, ==, BH_ERROR_BUSY);
}

static void new_problems_come_with_a_next_step(void)
{
	const struct {
		int status;
		const char *body, *retry_after, *says;
		int code;
	} rows[] = {
		{508, "{\"code\":\"loop_detected\",\"detail\":\"d\"}", NULL, "--channel", BH_ERROR_CONFLICT},
		{429, "{\"code\":\"too_many_events\",\"detail\":\"d\"}", "1", "intake_rate", BH_ERROR_BUSY},
		{409, "{\"code\":\"webhook_disabled\",\"detail\":\"d\"}", NULL, "webhook test WEBHOOK --enable",
		 BH_ERROR_CONFLICT},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int code;
		g_autofree char *said = problem(rows[i].status, rows[i].body, rows[i].retry_after, &code);
		g_assert_nonnull(strstr(said, rows[i].says));
		g_assert_true(!rows[i].retry_after || g_str_has_suffix(said, "\nTry again in 1 s."));
		g_assert_cmpint(code, ==, rows[i].code);
	}
}

static void what_is_no_problem_document_is_shown_shortened_and_harmless(void)
{
	int code;
	g_autofree char *page = g_strnfill(100000, 'x');
	g_autofree char *body = g_strconcat("\033[31m<html>", page, NULL);
	g_autofree char *said = problem(502, body, NULL, &code);
	g_assert_cmpuint(strlen(said), <, 500);
	g_assert_null(strchr(said, '\033'));
	g_assert_nonnull(strstr(said, "http://127.0.0.1:8380 answered 502"));

	const char *const others[] = {"", "[]", "3", "{}", "{\"code\":null}", "{\"code\":7}"};
	for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
		g_autofree char *other = problem(404, others[i], NULL, &code);
		g_assert_true(g_str_has_prefix(other, "cannot add a webhook: "));
		g_assert_cmpint(code, ==, BH_ERROR_NOT_FOUND);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cli/every row is complete", every_row_is_complete);
	g_test_add_func("/cli/every command is in the overview", every_command_is_in_the_overview);
	g_test_add_func("/cli/what a usage names is an option", what_a_usage_names_is_an_option);
	g_test_add_func("/cli/every example can be typed", every_example_can_be_typed);
	g_test_add_func("/cli/help shows usage, options and an example", help_shows_usage_options_and_an_example);
	g_test_add_func("/cli/an option of its own hides the shared one", an_option_of_its_own_hides_the_shared_one);
	g_test_add_func("/cli/the page of the commands equals their rows", the_page_of_the_commands_equals_their_rows);
	g_test_add_func("/cli/a wrong command gets the one that was meant",
			a_wrong_command_gets_the_one_that_was_meant);
	g_test_add_func("/cli/options and operands may be mixed", options_and_operands_may_be_mixed);
	g_test_add_func("/cli/the same word means the command's own first", the_same_word_means_the_commands_own_first);
	g_test_add_func("/cli/a value may begin with one dash or be empty",
			a_value_may_begin_with_one_dash_or_be_empty);
	g_test_add_func("/cli/wrong options say what would be right", wrong_options_say_what_would_be_right);
	g_test_add_func("/cli/numbers and spans are checked", numbers_and_spans_are_checked);
	g_test_add_func("/cli/an event keeps the bytes of its data", an_event_keeps_the_bytes_of_its_data);
	g_test_add_func("/cli/data that would break the body is refused", data_that_would_break_the_body_is_refused);
	g_test_add_func("/cli/a file of events is cut into calls", a_file_of_events_is_cut_into_calls);
	g_test_add_func("/cli/a long file is cut between lines", a_long_file_is_cut_between_lines);
	g_test_add_func("/cli/a large file is cut by its bytes", a_large_file_is_cut_by_its_bytes);
	g_test_add_func("/cli/options become the API's members", options_become_the_api_s_members);
	g_test_add_func("/cli/wrong settings are named", wrong_settings_are_named);
	g_test_add_func("/cli/certificates are read from files", certificates_are_read_from_files);
	g_test_add_func("/cli/a method that is not there is named with those that are",
			a_method_that_is_not_there_is_named_with_those_that_are);
	g_test_add_func("/cli/a problem says what, why, where and what to do",
			a_problem_says_what_why_where_and_what_to_do);
	g_test_add_func("/cli/a syntax problem names line and column", a_syntax_problem_names_line_and_column);
	g_test_add_func("/cli/a busy server says when to come back", a_busy_server_says_when_to_come_back);
	g_test_add_func("/cli/new problems come with a next step", new_problems_come_with_a_next_step);
	g_test_add_func("/cli/what is no problem document is shown shortened and harmless",
			what_is_no_problem_document_is_shown_shortened_and_harmless);
	return g_test_run();
}
