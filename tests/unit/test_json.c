#include "base/json.h"

#include "base/error.h"

/* --- What is refused ------------------------------------------------------------------- */

typedef struct refused {
	const char *text;
	size_t size; /* 0: strlen */
	unsigned line, column;
	const char *message; /* a part of it */
} refused;

static const refused REFUSED[] = {
	{"", 0, 1, 1, "the text ends where a value was expected"},
	{"   ", 0, 1, 4, "the text ends where a value was expected"},
	{"{", 0, 1, 2, "the text ends where a member's name"},
	{"[1", 0, 1, 3, "the text ends where ',' or ']'"},
	{"\"abc", 0, 1, 5, "the text ends where the end of a string"},
	{"{\"a\":tru", 0, 1, 9, "the text ends where true"},
	{"nul", 0, 1, 4, "the text ends where null"},
	{"{\"a\" 1}", 0, 1, 6, "expected ':' after the member's name, found '1'"},
	{"{\"a\":1 \"b\":2}", 0, 1, 8, "expected ',' or '}' after the member, found '\"'"},
	{"[1 2]", 0, 1, 4, "expected ',' or ']' after the item, found '2'"},
	{"[1,]", 0, 1, 4, "no comma may stand before it"},
	{"{\"a\":1,}", 0, 1, 8, "no comma may stand before it"},
	{"[,1]", 0, 1, 2, "expected a value, found ','"},
	{"{'a':1}", 0, 1, 2, "in double quotes, found '''"},
	{"{a:1}", 0, 1, 2, "in double quotes, found 'a'"},
	{"{\"a\":NaN}", 0, 1, 6, "found \"NaN\""},
	{"[Infinity]", 0, 1, 2, "found \"Infinity\""},
	{"[-Infinity]", 0, 1, 3, "expected a digit, found \"Infinity\""},
	{"[undefined]", 0, 1, 2, "found \"undefined\""},
	{"[nothing]", 0, 1, 2, "found 'n'"},
	{"1 2", 0, 1, 3, "expected nothing more after the value"},
	{"{}{}", 0, 1, 3, "expected nothing more after the value"},
	{"{\n \"a\": 1,\n \"b\": x\n}", 0, 3, 7, "found 'x'"},
	{"[1}", 0, 1, 3, "found '}'"},
	{"{\"a\":1]", 0, 1, 7, "found ']'"},
	{"]", 0, 1, 1, "found ']'"},
	{"[01]", 0, 1, 2, "does not begin with 0"},
	{"[-01]", 0, 1, 3, "does not begin with 0"},
	{"[1.]", 0, 1, 4, "expected a digit"},
	{"[.5]", 0, 1, 2, "expected a value, found '.'"},
	{"[+1]", 0, 1, 2, "expected a value, found '+'"},
	{"[1e]", 0, 1, 4, "expected a digit"},
	{"[1e+]", 0, 1, 5, "expected a digit"},
	{"[-]", 0, 1, 3, "expected a digit"},
	{"[0x1F]", 0, 1, 3, "expected ','"},
	{"[1 /* no */]", 0, 1, 4, "found '/'"},
	{"[\"a\nb\"]", 0, 1, 4, "a control character"},
	{"[\"a\tb\"]", 0, 1, 4, "a control character"},
	{"[\"a\0b\"]", 7, 1, 4, "a control character"},
	{"[1]\0", 4, 1, 4, "expected nothing more"},
	{"[\"\\x41\"]", 0, 1, 3, "no such escape"},
	{"[\"\\", 0, 1, 4, "the text ends"},
	{"[\"\\\0\"]", 6, 1, 3, "no such escape"},
	{"[\"\\u12\"]", 0, 1, 3, "four hexadecimal digits"},
	{"[\"\\u12G4\"]", 0, 1, 3, "four hexadecimal digits"},
	{"[\"\\ud800\"]", 0, 1, 3, "a surrogate without"},
	{"[\"\\udc00\"]", 0, 1, 3, "a surrogate without"},
	{"[\"\\ud800\\ud800\"]", 0, 1, 3, "a surrogate without"},
	{"[\"\\uD83Dx\"]", 0, 1, 3, "a surrogate without"},
	{"[\"\x80\"]", 0, 1, 3, "not valid UTF-8"},
	{"[\"12345678\xff\"]", 0, 1, 11, "not valid UTF-8"},
	{"[\"\xc0\xaf\"]", 0, 1, 3, "not valid UTF-8"}, /* overlong */
	{"[\"\xe0\x80\xaf\"]", 0, 1, 3, "not valid UTF-8"}, /* overlong */
	{"[\"\xf0\x80\x80\xaf\"]", 0, 1, 3, "not valid UTF-8"}, /* overlong */
	{"[\"\xed\xa0\x80\"]", 0, 1, 3, "not valid UTF-8"}, /* a surrogate */
	{"[\"\xf4\x90\x80\x80\"]", 0, 1, 3, "not valid UTF-8"}, /* above U+10FFFF */
	{"[\"\xe2\x82\"]", 0, 1, 3, "not valid UTF-8"}, /* cut */
	{"[\"\xe2\x82", 0, 1, 3, "not valid UTF-8"},
	{"[\xc3\xa9]", 0, 1, 2, "byte 0xC3"},
	{"\xEF\xBB\xBF{}", 0, 1, 1, "byte order mark"},
	{"{\"a\":1,\"a\":2}", 0, 1, 8, "has the member \"a\" twice"},
	{"[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]", 0, 1, 20, "has the member \"a\" twice"},
	{"{\"property_uid\":7,\"property\\u005fuid\":8}", 0, 1, 19, "has the member \"property\\u005fuid\" twice"},
	{"{\"\\u0061\":7,\"\\u0061\":8}", 0, 1, 13, "twice"},
	{"{\"\\ud83d\\ude00\":7,\"\xf0\x9f\x98\x80\":8}", 0, 1, 19, "twice"},
	{"{\"a\\u0000b\":7,\"a\\u0000b\":8}", 0, 1, 15, "twice"},
	{"{\"\":1,\"\":2}", 0, 1, 7, "twice"},
};

static void a_text_that_is_not_strict_json_is_refused_with_its_place(void)
{
	g_autoptr(bh_json) json = bh_json_new();

	for (size_t i = 0; i < G_N_ELEMENTS(REFUSED); i++) {
		const refused *row = &REFUSED[i];
		g_autoptr(GError) error = NULL;
		g_autofree char *place = g_strdup_printf("(line %u, column %u)", row->line, row->column);
		g_test_message("row %zu", i);

		bool accepted =
			bh_json_parse(json, (bh_span){row->text, row->size ? row->size : strlen(row->text)}, &error);

		g_assert_false(accepted);
		g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
		g_test_message("%s", error->message);
		g_assert_nonnull(strstr(error->message, row->message));
		g_assert_true(g_str_has_suffix(error->message, place));
		unsigned line, column;
		bh_json_trouble(json, &line, &column);
		g_assert_cmpuint(line, ==, row->line);
		g_assert_cmpuint(column, ==, row->column);
	}
}

/* --- What is accepted ------------------------------------------------------------------ */

static const char *const ACCEPTED[] = {
	"0",
	"-0",
	"-0.0e-0",
	"1E400",
	"12345678901234567890123456789012345678901234567890",
	"\"\"",
	"\"plain text longer than eight bytes, with / and \x7f\"",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uD83D\\uDE00\\ufffF\"",
	"\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xef\xbf\xbf \xf4\x8f\xbf\xbf \xed\x9f\xbf \xee\x80\x80\"",
	"true",
	" \t\r\n null \n",
	"[]",
	"{}",
	"[ ]",
	"{ }",
	"[[],{},[[]],\"\",0]",
	"{\"a\":{\"a\":{\"a\":[]}},\"A\":1,\"a \":2,\"\":3}",
	"{\"a\\u0000b\":7,\"a\\u0000c\":8,\"a\":9}",
};

static void strict_json_is_accepted_and_kept_as_it_is(void)
{
	g_autoptr(bh_json) json = bh_json_new();

	for (size_t i = 0; i < G_N_ELEMENTS(ACCEPTED); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *trimmed = g_strstrip(g_strdup(ACCEPTED[i]));

		g_assert_true(bh_json_parse(json, bh_span_of(ACCEPTED[i]), &error));

		g_assert_no_error(error);
		g_assert_true(bh_span_is(bh_json_text(json, 0), trimmed));
	}
}

static void nothing_is_refused_like_an_empty_text(void)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) error = NULL;

	g_assert_false(bh_json_parse(json, (bh_span){NULL, 0}, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
}

static GString *repeated(const char *piece, size_t times)
{
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < times; i++)
		g_string_append(text, piece);
	return text;
}

static bool parses(const char *text)
{
	g_autoptr(bh_json) json = bh_json_new();

	return bh_json_parse(json, bh_span_of(text), NULL);
}

static void nesting_ends_at_64_levels(void)
{
	g_autoptr(GString) open = repeated("[", 64);
	g_autoptr(GString) closed = repeated("]", 64);
	g_autofree char *deepest = g_strconcat(open->str, closed->str, NULL);
	g_autofree char *deeper = g_strconcat("[", deepest, "]", NULL);
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) error = NULL;

	g_assert_true(parses(deepest));
	g_assert_false(bh_json_parse(json, bh_span_of(deeper), &error));
	g_assert_nonnull(strstr(error->message, "nested deeper than 64 levels (line 1, column 65)"));
}

/* Case json-deep-nesting. */
static void a_hundred_thousand_brackets_are_refused_and_nothing_else(void)
{
	const char *const pieces[] = {"[", "{\"a\":", "[{\"a\":"};

	for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
		g_autoptr(GString) text = repeated(pieces[i], 100000);
		g_assert_false(parses(text->str));
	}
}

static char *object_with_members(size_t count, const char *last)
{
	GString *text = g_string_new("{");

	for (size_t i = 0; i < count; i++)
		g_string_append_printf(text, "\"name%zu\":%zu,", i, i);
	g_string_append_printf(text, "%s:0}", last);
	return g_string_free(text, FALSE);
}

static void a_repeated_name_is_found_among_few_and_many(void)
{
	for (size_t count = 1; count < 40; count++) {
		g_autofree char *fine = object_with_members(count, "\"other\"");
		g_autofree char *first = object_with_members(count, "\"name0\"");
		g_autofree char *escaped = object_with_members(count, "\"\\u006eame0\"");
		g_assert_true(parses(fine));
		g_assert_false(parses(first));
		g_assert_false(parses(escaped));
	}
	g_autofree char *many = object_with_members(100000, "\"other\"");
	g_autofree char *twice = object_with_members(100000, "\"name54321\"");
	g_assert_true(parses(many));
	g_assert_false(parses(twice));
}

/* --- One value of a row ---------------------------------------------------------------- */

static void values_of_a_row_are_read_one_by_one(void)
{
	bh_span text = bh_span_of(" {\"a\":1}, [2]\n\"x\"");
	g_autoptr(bh_json) json = bh_json_new();
	size_t end;

	g_assert_true(bh_json_parse_at(json, text, 0, 100, &end, NULL));
	g_assert_true(bh_span_is(bh_json_text(json, 0), "{\"a\":1}"));
	g_assert_cmpuint(end, ==, 8);
	g_assert_true(bh_json_parse_at(json, text, 9, 100, &end, NULL));
	g_assert_true(bh_span_is(bh_json_text(json, 0), "[2]"));
	g_assert_true(bh_json_parse_at(json, text, end, 100, &end, NULL));
	g_assert_true(bh_span_is(bh_json_text(json, 0), "\"x\""));
	g_assert_cmpuint(end, ==, text.size);
}

static void a_value_over_its_limit_is_too_long_wherever_it_is_cut(void)
{
	const char *row =
		"  {\"a\\u00e9\\ud83d\\ude00\":\"\xe2\x82\xac\xf0\x9f\x98\x80\",\"b\":[true,false,null,-12.5e+10]} ,{}";
	size_t size = strlen(row) - 6;
	g_autoptr(bh_json) json = bh_json_new();
	size_t end;

	for (size_t most = 1; most < size; most++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(bh_json_parse_at(json, bh_span_of(row), 0, most, &end, &error));
		g_assert_error(error, BH_ERROR, BH_ERROR_LIMIT);
	}
	g_assert_true(bh_json_parse_at(json, bh_span_of(row), 0, size, &end, NULL));
}

static void lines_count_from_the_start_of_the_text(void)
{
	bh_span text = bh_span_of("{}\n{}\n{\"a\":}\n");
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) error = NULL;
	size_t end;

	g_assert_false(bh_json_parse_at(json, text, 6, 100, &end, &error));

	g_assert_true(g_str_has_suffix(error->message, "(line 3, column 6)"));
}

/* --- Nodes ----------------------------------------------------------------------------- */

static void members_and_items_are_walked_in_order(void)
{
	bh_span text = bh_span_of("{\"a\":[1,[2,3],{\"b\":4}],\"c\":{},\"d\":null}");
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GString) seen = g_string_new(NULL);

	g_assert_true(bh_json_parse(json, text, NULL));
	for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c)) {
		bh_span name = bh_json_text(json, c), value = bh_json_text(json, c + 1);
		g_string_append_printf(seen, "%.*s=%.*s;", (int)name.size, name.at, (int)value.size, value.at);
	}
	g_assert_cmpstr(seen->str, ==, "\"a\"=[1,[2,3],{\"b\":4}];\"c\"={};\"d\"=null;");

	g_string_truncate(seen, 0);
	uint32_t list = bh_json_member(json, 0, "a");
	for (uint32_t c = bh_json_first(json, list); c != BH_JSON_NONE; c = bh_json_next(json, list, c)) {
		bh_span value = bh_json_text(json, c);
		g_string_append_printf(seen, "%.*s;", (int)value.size, value.at);
	}
	g_assert_cmpstr(seen->str, ==, "1;[2,3];{\"b\":4};");

	uint32_t empty = bh_json_member(json, 0, "c");
	g_assert_cmpint(bh_json_type_of(json, empty), ==, BH_JSON_OBJECT);
	g_assert_cmpuint(bh_json_first(json, empty), ==, BH_JSON_NONE);
	g_assert_cmpint(bh_json_type_of(json, bh_json_member(json, 0, "d")), ==, BH_JSON_NULL);
	g_assert_cmpuint(bh_json_member(json, 0, "e"), ==, BH_JSON_NONE);
	g_assert_cmpuint(bh_json_member(json, list, "a"), ==, BH_JSON_NONE);
}

static void a_member_is_found_by_its_decoded_name(void)
{
	bh_span text = bh_span_of("{\"property\\u005fuid\":7,\"\\ud83d\\ude00\\/\":8,\"n\\u0000\":9}");
	g_autoptr(bh_json) json = bh_json_new();

	g_assert_true(bh_json_parse(json, text, NULL));
	g_assert_true(bh_span_is(bh_json_text(json, bh_json_member(json, 0, "property_uid")), "7"));
	g_assert_true(bh_span_is(bh_json_text(json, bh_json_member(json, 0, "\xf0\x9f\x98\x80/")), "8"));
	g_assert_cmpuint(bh_json_member(json, 0, "n"), ==, BH_JSON_NONE);
	g_assert_cmpuint(bh_json_member(json, 0, "property_ui"), ==, BH_JSON_NONE);
	g_assert_cmpuint(bh_json_member(json, 0, "property_uid "), ==, BH_JSON_NONE);
}

static void strings_are_decoded_and_one_with_a_nul_is_not(void)
{
	static const struct {
		const char *text, *decoded;
	} rows[] = {
		{"\"plain\"", "plain"},
		{"\"\"", ""},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
		{"\"caf\\u00e9 \\u20AC \\ud83d\\ude00 \xc3\xa9\"",
		 "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xc3\xa9"},
		{"\"before\\u0000after\"", NULL},
		{"12", NULL},
		{"[]", NULL},
	};
	g_autoptr(bh_json) json = bh_json_new();

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_assert_true(bh_json_parse(json, bh_span_of(rows[i].text), NULL));
		g_autofree char *decoded = bh_json_string(json, 0);
		g_assert_cmpstr(decoded, ==, rows[i].decoded);
		if (decoded)
			g_assert_true(bh_json_string_is(json, 0, decoded));
		g_assert_false(bh_json_string_is(json, 0, "before"));
	}
}

/* Case json-big-int: the text keeps every digit, and only what fits is a number to us. */
static void an_integer_is_read_when_it_fits(void)
{
	static const struct {
		const char *text;
		bool fits;
		int64_t value;
	} rows[] = {
		{"0", true, 0},
		{"-0", true, 0},
		{"9007199254740993", true, 9007199254740993},
		{"7615917337495251231", true, 7615917337495251231},
		{"9223372036854775807", true, INT64_MAX},
		{"9223372036854775808", false, 0},
		{"-9223372036854775808", true, INT64_MIN},
		{"-9223372036854775809", false, 0},
		{"18446744073709551615", false, 0},
		{"18446744073709551617", false, 0},
		{"1.0", false, 0},
		{"1e2", false, 0},
		{"\"1\"", false, 0},
		{"null", false, 0},
	};
	g_autoptr(bh_json) json = bh_json_new();

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int64_t value = 0;
		g_assert_true(bh_json_parse(json, bh_span_of(rows[i].text), NULL));
		g_assert_cmpint(bh_json_int(json, 0, &value), ==, rows[i].fits);
		g_assert_cmpint(value, ==, rows[i].value);
		g_assert_true(bh_span_is(bh_json_text(json, 0), rows[i].text));
	}
}

static void text_is_written_as_a_json_string(void)
{
	static const struct {
		bh_span text;
		const char *written;
	} rows[] = {
		{{"", 0}, "\"\""},
		{{NULL, 0}, "\"\""},
		{{"plain / text", 12}, "\"plain / text\""},
		{{"a\"b\\c\n\r\t\b\f\x01\x1f\x7f", 13}, "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\x7f\""},
		{{"a\0b", 3}, "\"a\\u0000b\""},
		{{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
		{{"x\xffy\xc3", 4}, "\"x\xef\xbf\xbdy\xef\xbf\xbd\""},
		{{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) out = g_string_new(NULL);
		bh_json_append_string(out, rows[i].text);
		g_assert_cmpstr(out->str, ==, rows[i].written);
		g_assert_true(parses(out->str));
	}
}

static void a_reader_is_used_again_after_any_text(void)
{
	g_autofree char *many = object_with_members(50000, "\"other\"");
	const char *const texts[] = {"{\"a\":[1,2,{\"b\":3}]}", "[", "{\"a\":1,\"\\u0061\":2}", "7"};
	const bool fine[] = {true, false, false, true};
	g_autoptr(bh_json) json = bh_json_new();

	for (int round = 0; round < 3; round++) {
		g_assert_true(bh_json_parse(json, bh_span_of(many), NULL));
		for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
			g_assert_cmpint(bh_json_parse(json, bh_span_of(texts[i]), NULL), ==, fine[i]);
	}
}

#define T(test) g_test_add_func("/json/" #test, test)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	T(a_text_that_is_not_strict_json_is_refused_with_its_place);
	T(strict_json_is_accepted_and_kept_as_it_is);
	T(nothing_is_refused_like_an_empty_text);
	T(nesting_ends_at_64_levels);
	T(a_hundred_thousand_brackets_are_refused_and_nothing_else);
	T(a_repeated_name_is_found_among_few_and_many);
	T(values_of_a_row_are_read_one_by_one);
	T(a_value_over_its_limit_is_too_long_wherever_it_is_cut);
	T(lines_count_from_the_start_of_the_text);
	T(members_and_items_are_walked_in_order);
	T(a_member_is_found_by_its_decoded_name);
	T(strings_are_decoded_and_one_with_a_nul_is_not);
	T(an_integer_is_read_when_it_fits);
	T(text_is_written_as_a_json_string);
	T(a_reader_is_used_again_after_any_text);
	return g_test_run();
}
