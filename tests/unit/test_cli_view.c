/* What people see: safe text, short times, tables that fit, and JSON that keeps its bytes. */
#include "cli/table.h"
#include "cli/text.h"
#include "cli/view.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOON (INT64_C(1767268800) * BH_SECOND) /* 2026-01-01T12:00:00Z */

static const bh_screen NARROW = {.width = 40};
static const bh_screen WIDE = {.width = 120};
static const bh_screen BRIGHT = {.width = 120, .colours = true};

/* --- Text ------------------------------------------------------------------------------------ */

static void text_from_outside_cannot_act_on_the_terminal(void)
{
	const struct {
		const char *text;
		bool lines;
		const char *shown;
	} rows[] = {
		{"plain", false, "plain"},
		{"caf\303\251 \346\227\245", false, "caf\303\251 \346\227\245"},
		{"\033[2J\a", false, "\\u001b[2J\\u0007"},
		{"a\nb\tc\r", false, "a\\u000ab\\u0009c\\u000d"},
		{"a\nb\tc\r", true, "a\nb\tc\\u000d"},
		{"\302\233"
		 "31m",
		 false, "\\u009b31m"}, /* CSI as one character */
		{"\342\200\256gpj", false, "\\u202egpj"}, /* turns the direction */
		{"\177", false, "\\u007f"},
		{"a\377b", false, "a\357\277\275b"},
		{"", false, ""},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *shown = bh_text_visible(bh_span_of(rows[i].text), rows[i].lines);
		g_assert_cmpstr(shown, ==, rows[i].shown);
	}
	g_autofree char *nul = bh_text_visible((bh_span){"a\0b", 3}, false);
	g_assert_nonnull(strstr(nul, "b"));
}

static void widths_count_columns(void)
{
	g_assert_cmpint(bh_text_width(""), ==, 0);
	g_assert_cmpint(bh_text_width("caf\303\251"), ==, 4);
	g_assert_cmpint(bh_text_width("\346\227\245\346\234\254"), ==, 4);
	g_assert_cmpint(bh_text_width("e\314\201"), ==, 1);
}

static void what_is_too_long_is_cut_with_a_mark(void)
{
	g_autofree char *whole = bh_text_cut("booking", 7);
	g_autofree char *cut = bh_text_cut("booking_added", 8);
	g_autofree char *wide = bh_text_cut("\346\227\245\346\234\254\350\252\236", 4);
	g_assert_cmpstr(whole, ==, "booking");
	g_assert_cmpstr(cut, ==, "booking\342\200\246");
	g_assert_cmpint(bh_text_width(wide), <=, 4);
}

static void lines_break_at_blanks(void)
{
	const struct {
		const char *text;
		int width;
		const char *lines;
	} rows[] = {
		{"the quick brown fox", 10, "the quick|brown fox"},
		{"abcdefghij", 4, "abcd|efgh|ij"},
		{"a b", 1, "a|b"},
		{"one\ntwo", 20, "one|two"},
		{"", 5, ""},
		{"exactly ten", 11, "exactly ten"},
		{"\346\227\245\346\234\254", 1, "\346\227\245|\346\234\254"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GPtrArray) lines = bh_text_wrap(rows[i].text, rows[i].width);
		g_ptr_array_add(lines, NULL);
		g_autofree char *joined = g_strjoinv("|", (char **)lines->pdata);
		g_assert_cmpstr(joined, ==, rows[i].lines);
	}
}

static void visible_ascii_is_what_a_header_can_hold(void)
{
	g_assert_true(bh_text_is_visible_ascii("booking-4711~!"));
	g_assert_false(bh_text_is_visible_ascii(""));
	g_assert_false(bh_text_is_visible_ascii("a b"));
	g_assert_false(bh_text_is_visible_ascii("a\r\nX: y"));
	g_assert_false(bh_text_is_visible_ascii("caf\303\251"));
}

/* --- Times ----------------------------------------------------------------------------------- */

static void times_are_short(void)
{
	const struct {
		bh_usec away;
		const char *shown;
	} rows[] = {
		{0, "now"},
		{-999 * BH_MILLISECOND, "now"},
		{-12 * BH_SECOND, "12 s ago"},
		{-(3 * BH_MINUTE + 59 * BH_SECOND), "3 min ago"},
		{-5 * BH_HOUR, "5 h ago"},
		{-30 * BH_HOUR, "30 h ago"},
		{-3 * BH_DAY, "3 d ago"},
		{5 * BH_SECOND, "in 5 s"},
		{5 * BH_MINUTE, "in 5 min"},
		{-20 * BH_DAY, "2025-12-12"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *shown = bh_text_ago(NOON + rows[i].away, NOON);
		g_assert_cmpstr(shown, ==, rows[i].shown);
	}
	g_autofree char *moment = bh_text_moment(NOON, NOON + 3 * BH_MINUTE);
	g_autofree char *clock = bh_text_clock(NOON + 123 * BH_MILLISECOND);
	g_assert_cmpstr(moment, ==, "2026-01-01 12:00:00 +0000 (3 min ago)");
	g_assert_cmpstr(clock, ==, "12:00:00.123");
}

static void spans_are_readable(void)
{
	const struct {
		bh_usec span;
		const char *shown;
	} rows[] = {{0, "0.0 ms"},
		    {800, "0.8 ms"},
		    {12345, "12 ms"},
		    {999 * BH_MILLISECOND, "999 ms"},
		    {1400000, "1.4 s"},
		    {14 * BH_SECOND, "14 s"},
		    {5 * BH_MINUTE, "5 min"},
		    {3 * BH_HOUR, "3 h"},
		    {80 * BH_HOUR, "3 d"},
		    {-1, ""}};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *shown = bh_text_span(rows[i].span);
		g_assert_cmpstr(shown, ==, rows[i].shown);
	}
}

/* --- Tables ---------------------------------------------------------------------------------- */

static void columns_are_aligned(void)
{
	static const bh_column columns[] = {{"ID"}, {"N", .right = true}, {"WHY"}};
	g_autoptr(bh_table) table = bh_table_new(columns, 3);
	g_autoptr(GString) out = g_string_new(NULL);
	const char *const cells[] = {"a", "1", "x", "bbb", "1000", ""};
	for (size_t i = 0; i < G_N_ELEMENTS(cells); i++)
		bh_table_add(table, BH_PLAIN, cells[i]);
	bh_table_print(table, WIDE, 2, out);
	g_assert_cmpstr(out->str, ==,
			"  ID      N  WHY\n"
			"  a       1  x\n"
			"  bbb  1000\n");
}

static int widest_line(const char *text)
{
	int widest = 0;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++)
		widest = MAX(widest, bh_text_width(*line));
	return widest;
}

static void a_table_fits_the_screen_and_keeps_ids_whole(void)
{
	static const bh_column columns[] = {{"ID"}, {"NAME", .shrinks = true}, {"WHY", .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, 3);
	g_autoptr(GString) out = g_string_new(NULL);
	bh_table_add(table, BH_PLAIN, "whk_04f2k8");
	bh_table_add(table, BH_PLAIN, "A name that goes on and on and on");
	bh_table_add(table, BH_PLAIN, "and a reason that is even longer than the name was");
	bh_table_print(table, (bh_screen){.width = 60}, 0, out);
	g_assert_cmpint(widest_line(out->str), <=, 60);
	g_assert_nonnull(strstr(out->str, "whk_04f2k8"));
	g_assert_nonnull(strstr(out->str, "\342\200\246"));
	g_assert_nonnull(strstr(out->str, "was"));
}

static void what_is_nice_to_have_goes_first(void)
{
	static const bh_column columns[] = {{"ID"}, {"MADE", .optional = true}, {"WHY", .optional = true}, {"STATE"}};
	const char *const cells[] = {"whk_04f2k8m1q7zr0", "3 min ago", "a reason of some length", "pending"};
	const struct {
		int width;
		bool made, why;
	} rows[] = {{100, true, true}, {62, true, true},   {61, true, false},
		    {37, true, false}, {36, false, false}, {5, false, false}};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_table) table = bh_table_new(columns, 4);
		g_autoptr(GString) out = g_string_new(NULL);
		for (size_t c = 0; c < G_N_ELEMENTS(cells); c++)
			bh_table_add(table, BH_PLAIN, cells[c]);
		bh_table_print(table, (bh_screen){.width = rows[i].width}, 0, out);
		g_test_message("%d", rows[i].width);
		g_assert_true((strstr(out->str, "3 min ago") != NULL) == rows[i].made);
		g_assert_true((strstr(out->str, "a reason of some length") != NULL) == rows[i].why);
		g_assert_nonnull(strstr(out->str, "pending"));
	}
}

static void a_column_with_nothing_in_it_is_left_out(void)
{
	static const bh_column columns[] = {{"ID"}, {"NAME"}, {"WHY", .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, 3);
	g_autoptr(GString) out = g_string_new(NULL);
	const char *const cells[] = {"a", "", "", "b", NULL, ""};
	for (size_t i = 0; i < G_N_ELEMENTS(cells); i++)
		bh_table_add(table, BH_PLAIN, cells[i]);
	bh_table_print(table, WIDE, 0, out);
	g_assert_cmpstr(out->str, ==, "ID\na\nb\n");
}

static void colours_only_where_the_screen_has_them(void)
{
	static const bh_column columns[] = {{"STATE"}, {"N"}};
	g_autoptr(bh_table) table = bh_table_new(columns, 2);
	g_autoptr(GString) plain = g_string_new(NULL);
	g_autoptr(GString) bright = g_string_new(NULL);
	bh_table_add(table, BH_GOOD, "delivered");
	bh_table_add(table, BH_PLAIN, "1");
	bh_table_print(table, WIDE, 0, plain);
	bh_table_print(table, BRIGHT, 0, bright);
	g_assert_null(strchr(plain->str, '\033'));
	g_assert_nonnull(strstr(bright->str, "\033[32mdelivered\033[0m"));
}

static void what_is_no_terminal_gets_whole_lines(void)
{
	static const bh_column columns[] = {
		{"NAME", .shrinks = true}, {"WHO", .optional = true}, {"WHY", .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, 3);
	g_autoptr(GString) out = g_string_new(NULL);
	bh_table_add(table, BH_PLAIN, "A name that goes on and on and on");
	bh_table_add(table, BH_PLAIN, "Ada");
	bh_table_add(table, BH_PLAIN, "and a reason that is even longer than the name was");

	bh_table_print(table, (bh_screen){.width = 60, .whole = true}, 0, out);

	g_assert_cmpstr(out->str, ==,
			"NAME                               WHO  WHY\n"
			"A name that goes on and on and on  Ada  and a reason that is even longer than the name was\n");
}

static void what_is_no_terminal_has_no_colours(void)
{
	int ends[2];
	g_assert_cmpint(pipe(ends), ==, 0);
	bh_screen screen = bh_screen_of(ends[1]);
	g_assert_false(screen.colours);
	g_assert_cmpint(screen.width, ==, 120);
	g_assert_true(screen.whole);
	close(ends[0]);
	close(ends[1]);
}

/* --- Views ----------------------------------------------------------------------------------- */

static const char WEBHOOK[] =
	"{\"id\":\"whk_1\",\"name\":\"A\\u001bb\",\"manager_id\":null,\"events\":[\"a\",\"b\"],\"enabled\":false,"
	"\"big\":12345678901234567890,\"at\":\"2026-01-01T11:57:00Z\",\"span\":12345,\"missing\":null,"
	"\"settings\":{\"url\":\"https://x\",\"password\":{\"set\":true},\"other\":{\"set\":false}}}";

static const bh_view_row ROWS[] = {
	{"ID", "id"},
	{"NAME", "name"},
	{"MANAGER", "manager_id", .absent = "(site)"},
	{"EVENTS", "events", BH_VIEW_LIST},
	{"ENABLED", "enabled", BH_VIEW_ENABLED},
	{"BIG", "big", BH_VIEW_NUMBER},
	{"AT", "at", BH_VIEW_TIME},
	{"SPAN", "span", BH_VIEW_SPAN},
	{"MISSING", "missing"},
	{"SETTINGS", "settings", BH_VIEW_PAIRS},
	{NULL},
};

static void one_object_is_shown_line_by_line(void)
{
	const bh_view view = {.now = NOON, .screen = WIDE};
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GString) out = g_string_new(NULL);
	g_assert_true(bh_json_parse(json, bh_span_of(WEBHOOK), NULL));
	bh_view_one(&view, json, 0, ROWS, out);
	g_assert_cmpstr(out->str, ==,
			"  ID        whk_1\n"
			"  NAME      A\\u001bb\n"
			"  MANAGER   (site)\n"
			"  EVENTS    a, b\n"
			"  ENABLED   no\n"
			"  BIG       12345678901234567890\n"
			"  AT        2026-01-01 11:57:00 +0000 (3 min ago)\n"
			"  SPAN      12 ms\n"
			"  SETTINGS  url = https://x\n"
			"            password = (set)\n"
			"            other = (not set)\n");
}

static void members_of_another_type_do_no_harm(void)
{
	static const char *const texts[] = {
		"{}", "[]", "7", "null",
		"{\"id\":{\"a\":[1]},\"events\":7,\"at\":3,\"span\":\"x\",\"enabled\":\"y\",\"settings\":[1]}"};
	const bh_view view = {.now = NOON, .screen = WIDE};
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(bh_json) json = bh_json_new();
		g_autoptr(GString) out = g_string_new(NULL);
		g_autoptr(bh_table) table = bh_view_table(ROWS);
		g_assert_true(bh_json_parse(json, bh_span_of(texts[i]), NULL));
		bh_view_one(&view, json, 0, ROWS, out);
		bh_view_add(&view, table, json, 0, ROWS);
		bh_table_print(table, WIDE, 0, out);
	}
}

static void json_for_reading_keeps_its_bytes(void)
{
	const struct {
		const char *text, *shown;
	} rows[] = {
		{"{\"a\":412.50,\"b\": 12345678901234567890}", "{\"a\":412.50,\"b\": 12345678901234567890}"},
		{"{\"a\":\"\\u00e9\\/\"}", "{\"a\":\"\\u00e9\\/\"}"},
		{"{\"first\":\"a rather long text\",\"second\":[1.0,2e5]}",
		 "{\n  \"first\": \"a rather long text\",\n  \"second\": [1.0,2e5]\n}"},
		{"{}", "{}"},
		{"[\n]", "[]"},
		{"{\"a\":\n1}", "{\n  \"a\": 1\n}"},
		{"\"\302\233\"", "\"\\u009b\""},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_json) json = bh_json_new();
		g_autoptr(GString) out = g_string_new(NULL);
		g_assert_true(bh_json_parse(json, bh_span_of(rows[i].text), NULL));
		bh_view_json(json, 0, 0, NARROW.width, out);
		g_assert_cmpstr(out->str, ==, rows[i].shown);
	}
}

int main(int argc, char **argv)
{
	g_setenv("TZ", "UTC", TRUE);
	tzset();
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cli/view/text from outside cannot act on the terminal",
			text_from_outside_cannot_act_on_the_terminal);
	g_test_add_func("/cli/view/widths count columns", widths_count_columns);
	g_test_add_func("/cli/view/what is too long is cut with a mark", what_is_too_long_is_cut_with_a_mark);
	g_test_add_func("/cli/view/lines break at blanks", lines_break_at_blanks);
	g_test_add_func("/cli/view/visible ASCII is what a header can hold", visible_ascii_is_what_a_header_can_hold);
	g_test_add_func("/cli/view/times are short", times_are_short);
	g_test_add_func("/cli/view/spans are readable", spans_are_readable);
	g_test_add_func("/cli/view/columns are aligned", columns_are_aligned);
	g_test_add_func("/cli/view/a table fits the screen and keeps ids whole",
			a_table_fits_the_screen_and_keeps_ids_whole);
	g_test_add_func("/cli/view/what is nice to have goes first", what_is_nice_to_have_goes_first);
	g_test_add_func("/cli/view/a column with nothing in it is left out", a_column_with_nothing_in_it_is_left_out);
	g_test_add_func("/cli/view/colours only where the screen has them", colours_only_where_the_screen_has_them);
	g_test_add_func("/cli/view/what is no terminal gets whole lines", what_is_no_terminal_gets_whole_lines);
	g_test_add_func("/cli/view/what is no terminal has no colours", what_is_no_terminal_has_no_colours);
	g_test_add_func("/cli/view/one object is shown line by line", one_object_is_shown_line_by_line);
	g_test_add_func("/cli/view/members of another type do no harm", members_of_another_type_do_no_harm);
	g_test_add_func("/cli/view/JSON for reading keeps its bytes", json_for_reading_keeps_its_bytes);
	return g_test_run();
}
