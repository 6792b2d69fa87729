#include "base/log.h"

#include <errno.h>
#include <glib.h>
#include <jansson.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* What is logged while a test runs goes through a pipe and is read back whole. */
static int ends[2];

static void begin(bh_log_level least, bool json)
{
	g_assert_cmpint(pipe(ends), ==, 0);
	bh_log_setup(least, json, ends[1]);
}

static char *finish(void)
{
	char buffer[65536];

	bh_log_setup(BH_INFO, false, STDERR_FILENO);
	close(ends[1]);
	GString *all = g_string_new(NULL);
	for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
		g_string_append_len(all, buffer, n);
	close(ends[0]);
	return g_string_free(all, FALSE);
}

/* The line after its time, which must be there. */
static const char *after_time(const char *line)
{
	g_assert_true(g_regex_match_simple("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z ", line,
					   0, 0));
	return line + strlen("2026-11-25T14:51:02.123Z ");
}

static void a_line_tells_time_level_room_and_fields(void)
{
	begin(BH_INFO, false);

	bh_log(BH_INFO, "delivery", "attempt recorded", BH_ID("event", BH_ID_EVENT, 1), BH_INT("attempt", -3),
	       BH_STR("outcome", "failed"), BH_STR("cause", NULL), BH_STR("why", "two words"));

	g_autofree char *text = finish();
	g_assert_cmpstr(after_time(text), ==,
			"info delivery: attempt recorded event=evt_0000000000001 attempt=-3 outcome=failed why=\"two "
			"words\"\n");
}

static void a_line_needs_no_fields(void)
{
	begin(BH_INFO, false);

	bh_log(BH_WARNING, "journal", "store is busy");

	g_autofree char *text = finish();
	g_assert_cmpstr(after_time(text), ==, "warning journal: store is busy\n");
}

static void what_is_below_the_level_is_not_written(void)
{
	begin(BH_WARNING, false);

	bh_log(BH_INFO, "base", "silent");
	bh_log(BH_DEBUG, "base", "silent");
	bh_log(BH_WARNING, "base", "heard");
	bh_log(BH_ERR, "base", "heard, too");

	g_autofree char *text = finish();
	g_assert_null(strstr(text, "silent"));
	g_assert_nonnull(strstr(text, "warning base: heard\n"));
	g_assert_nonnull(strstr(text, "error base: heard, too\n"));
}

static void text_from_outside_cannot_make_a_line_or_move_a_terminal(void)
{
	static const struct {
		const char *given, *plain;
	} rows[] = {
		{"", "x=\"\""},
		{"a=b", "x=\"a=b\""},
		{"say \"hi\"", "x=\"say \\\"hi\\\"\""},
		{"back\\slash", "x=\"back\\\\slash\""},
		{"a\nb\rc\td", "x=\"a\\nb\\rc\\td\""},
		{"\x1b[2J\x01\x7f", "x=\"\\x1b[2J\\x01\\x7f\""},
		{"\xff\xfe", "x=\"\\xff\\xfe\""},
		{"ab\xc3", "x=\"ab\\xc3\""},
		{"\xc0\xaf", "x=\"\\xc0\\xaf\""},
		{"\xed\xa0\x80", "x=\"\\xed\\xa0\\x80\""},
		{"caf\xc3\xa9", "x=\"caf\xc3\xa9\""},
		{"\xc2\x85", "x=\"\\x85\""},
		{"\xe2\x80\xae"
		 "evil",
		 "x=\"\\u202e"
		 "evil\""},
		{"\xe2\x80\xa8", "x=\"\\u2028\""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		begin(BH_INFO, false);
		bh_log(BH_INFO, "api", "refused", BH_STR("x", rows[i].given));
		g_autofree char *text = finish();
		g_autofree char *expected = g_strdup_printf("info api: refused %s\n", rows[i].plain);
		g_assert_cmpstr(after_time(text), ==, expected);
		g_assert_true(g_utf8_validate(text, -1, NULL));
	}
}

static void long_text_is_cut_between_characters(void)
{
	g_autoptr(GString) given = g_string_new("a"); /* so that byte 256 falls within a character */
	while (given->len < 1000)
		g_string_append(given, "\xc3\xa9");
	begin(BH_INFO, false);

	bh_log(BH_INFO, "api", "refused", BH_STR("x", given->str));

	g_autofree char *text = finish();
	g_assert_true(g_utf8_validate(text, -1, NULL));
	g_assert_true(g_str_has_suffix(text, "\xc3\xa9\xe2\x80\xa6\"\n"));
	g_assert_cmpuint(strlen(text), <, 320);
}

/* The only line of `text`, parsed. */
static json_t *parse_line(const char *text)
{
	json_error_t trouble;

	g_assert_nonnull(strchr(text, '\n'));
	g_assert_cmpstr(strchr(text, '\n'), ==, "\n");
	json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &trouble);
	if (!line)
		g_test_message("%s: %s", trouble.text, text);
	g_assert_nonnull(line);
	return line;
}

static void a_json_line_has_the_same_names(void)
{
	begin(BH_DEBUG, true);

	bh_log(BH_DEBUG, "delivery", "attempt recorded", BH_ID("event", BH_ID_EVENT, 1), BH_INT("attempt", 3),
	       BH_STR("outcome", "failed"), BH_STR("cause", NULL));

	g_autofree char *text = finish();
	json_t *line = parse_line(text);
	g_assert_cmpuint(json_object_size(line), ==, 7);
	g_assert_cmpuint(strlen(json_string_value(json_object_get(line, "time"))), ==, 24);
	g_assert_cmpstr(json_string_value(json_object_get(line, "level")), ==, "debug");
	g_assert_cmpstr(json_string_value(json_object_get(line, "room")), ==, "delivery");
	g_assert_cmpstr(json_string_value(json_object_get(line, "what")), ==, "attempt recorded");
	g_assert_cmpstr(json_string_value(json_object_get(line, "event")), ==, "evt_0000000000001");
	g_assert_cmpint(json_integer_value(json_object_get(line, "attempt")), ==, 3);
	g_assert_cmpstr(json_string_value(json_object_get(line, "outcome")), ==, "failed");
	json_decref(line);
}

static void a_json_line_is_valid_whatever_it_carries(void)
{
	static const struct {
		const char *given, *read;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"\"\\/\b\f\n\r\t", "\"\\/\b\f\n\r\t"},
		{"\x01\x1f\x7f", "\x01\x1f\x7f"},
		{"caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80"},
		{"\xe2\x80\xae", "\xe2\x80\xae"},
		{"a\xff\xc3", "a\\xff\\xc3"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		begin(BH_INFO, true);
		bh_log(BH_INFO, "api", "refused", BH_STR("x", rows[i].given));
		g_autofree char *text = finish();
		json_t *line = parse_line(text);
		g_assert_cmpstr(json_string_value(json_object_get(line, "x")), ==, rows[i].read);
		json_decref(line);
	}
	for (int byte = 1; byte < 256; byte++) {
		char given[] = {'<', (char)byte, '>', '\0'};
		begin(BH_INFO, true);
		bh_log(BH_INFO, "api", "refused", BH_STR("x", given));
		g_autofree char *text = finish();
		json_decref(parse_line(text));
	}
}

#define THREADS 4
#define LINES 100

static void *write_lines(void *argument)
{
	for (int i = 0; i < LINES; i++)
		bh_log(BH_INFO, "base", "line", BH_STR("who", argument), BH_INT("i", i));
	return NULL;
}

static void lines_of_several_threads_stay_whole(void)
{
	static const char *const names[THREADS] = {"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc",
						   "dddddddddddddddd"};
	pthread_t threads[THREADS];
	begin(BH_INFO, false);

	for (int t = 0; t < THREADS; t++)
		g_assert_cmpint(pthread_create(&threads[t], NULL, write_lines, (void *)names[t]), ==, 0);
	for (int t = 0; t < THREADS; t++)
		g_assert_cmpint(pthread_join(threads[t], NULL), ==, 0);

	g_autofree char *text = finish();
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_assert_cmpuint(g_strv_length(lines), ==, THREADS * LINES + 1);
	for (int i = 0; i < THREADS * LINES; i++)
		g_assert_true(g_regex_match_simple("^[-0-9T:.]+Z info base: line who=([a-d])\\1{15} i=[0-9]+$",
						   lines[i], 0, 0));
}

static void a_level_is_read_by_its_name(void)
{
	bh_log_level level = BH_ERR;

	g_assert_true(bh_log_level_parse("debug", &level));
	g_assert_cmpint(level, ==, BH_DEBUG);
	g_assert_true(bh_log_level_parse("error", &level));
	g_assert_cmpint(level, ==, BH_ERR);
	g_assert_false(bh_log_level_parse("Debug", &level));
	g_assert_false(bh_log_level_parse("", &level));
	g_assert_cmpint(level, ==, BH_ERR);
}

static void a_log_that_is_gone_stops_nobody(void)
{
	begin(BH_INFO, false);
	bh_log_setup(BH_INFO, false, -1);

	bh_log(BH_INFO, "base", "into the void");

	g_autofree char *text = finish();
	g_assert_cmpstr(text, ==, "");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/log/a line tells time level room and fields", a_line_tells_time_level_room_and_fields);
	g_test_add_func("/log/a line needs no fields", a_line_needs_no_fields);
	g_test_add_func("/log/what is below the level is not written", what_is_below_the_level_is_not_written);
	g_test_add_func("/log/text from outside cannot make a line or move a terminal",
			text_from_outside_cannot_make_a_line_or_move_a_terminal);
	g_test_add_func("/log/long text is cut between characters", long_text_is_cut_between_characters);
	g_test_add_func("/log/a JSON line has the same names", a_json_line_has_the_same_names);
	g_test_add_func("/log/a JSON line is valid whatever it carries", a_json_line_is_valid_whatever_it_carries);
	g_test_add_func("/log/lines of several threads stay whole", lines_of_several_threads_stay_whole);
	g_test_add_func("/log/a level is read by its name", a_level_is_read_by_its_name);
	g_test_add_func("/log/a log that is gone stops nobody", a_log_that_is_gone_stops_nobody);
	return g_test_run();
}
