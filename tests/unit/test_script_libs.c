/* The libraries that scripts get: rows of an expression and what tostring makes of it. */
#include "base/json.h"
#include "base/json_text.h"
#include "method/lua_libs.h"
#include "method/sandbox.h"

#include <glib.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY (16 * 1024 * 1024)

typedef struct rig {
	bh_sandbox box;
} rig;

static void set_up(rig *r, gconstpointer unused)
{
	bh_sandbox_init(&r->box, MEMORY);
}

static void tear_down(rig *r, gconstpointer unused)
{
	bh_sandbox_clear(&r->box);
}

/* Runs `code`: what it returned, as text, or its error. */
static char *run(rig *r, const char *code, bool *ret_ok)
{
	bh_meter meter = {.steps = 10 * 1000 * 1000, .memory = MEMORY, .time = 20 * BH_SECOND};
	int anchor, results = 0;

	if (!bh_sandbox_compile(&r->box, "t", code, strlen(code)))
		g_error("%s: %s", code, lua_tostring(r->box.lua, -1));
	lua_State *thread = bh_sandbox_thread(&r->box, &anchor);
	lua_xmove(r->box.lua, thread, 1);
	*ret_ok = bh_sandbox_resume(&r->box, thread, &meter, 0, &results) == LUA_OK;

	char *text;
	if (*ret_ok) {
		lua_settop(thread, 1);
		size_t size;
		const char *result = luaL_tolstring(thread, 1, &size);
		text = g_malloc(size + 1);
		memcpy(text, result, size + 1);
	} else {
		text = bh_sandbox_trouble(&r->box, thread, &meter, "t");
	}
	luaL_unref(r->box.lua, LUA_REGISTRYINDEX, anchor);
	bh_sandbox_tidy(&r->box, &meter);
	return text;
}

typedef struct row {
	const char *expression, *result;
} row;

static void assert_gives(rig *r, const char *expression, const char *expected)
{
	bool ok;
	g_autofree char *code = g_strdup_printf("return tostring(%s)", expression);
	g_autofree char *text = run(r, code, &ok);
	if (!ok || strcmp(text, expected) != 0)
		g_error("%s gives %s, expected %s", expression, text, expected);
}

static void assert_rows(rig *r, const row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_gives(r, rows[i].expression, rows[i].result);
}

static void assert_raises(rig *r, const row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool ok;
		g_autofree char *code = g_strdup_printf("return %s", rows[i].expression);
		g_autofree char *text = run(r, code, &ok);
		if (ok || !strstr(text, rows[i].result))
			g_error("%s: %s %s, expected an error with %s", rows[i].expression, ok ? "gives" : "says", text,
				rows[i].result);
	}
}

#define ASSERT_ROWS(r, rows) assert_rows(r, rows, G_N_ELEMENTS(rows))
#define ASSERT_RAISES(r, rows) assert_raises(r, rows, G_N_ELEMENTS(rows))

/* --- json ------------------------------------------------------------------------------------- */

static void json_decodes(rig *r, gconstpointer unused)
{
	static const row rows[] = {
		{"json.decode('true')", "true"},
		{"json.decode('false')", "false"},
		{"json.decode(' 12 ')", "12"},
		{"json.decode('null')", "null"},
		{"json.decode('null') == json.null", "true"},
		{"json.null and 'truthy'", "truthy"},
		{"type(json.null)", "userdata"},
		{"('%s'):format(json.null)", "null"},
		{"json.decode('\"a\\\\n\\\\u00e9\\\\ud83d\\\\ude00\\\\\"\"')", "a\n\xc3\xa9\xf0\x9f\x98\x80\""},
		{"#json.decode('\"a\\\\u0000b\"')", "3"},
		{"json.decode('{\"a\":{\"b\":[1,2,{\"c\":\"x\"}]}}').a.b[3].c", "x"},
		{"json.decode('{\"a\\\\u0062\":7}').ab", "7"},
		{"#json.decode('[1,null,3]')", "3"},
		{"next(json.decode('{}'))", "nil"},
	};
	ASSERT_ROWS(r, rows);
}

static void json_says_why_a_text_is_none(rig *r, gconstpointer unused)
{
	static const row rows[] = {
		{"(json.decode('{'))", "nil"},
		{"select(2, json.decode('{'))",
		 "the text ends where a member's name in double quotes was expected (line 1, column 2)"},
		{"select(2, json.decode('[1,\\n x]'))", "expected a value, found 'x' (line 2, column 2)"},
		{"select(2, json.decode('{\"a\":1,\"\\\\u0061\":2}'))",
		 "the object has the member \"\\u0061\" twice (line 1, column 8)"},
		{"select(2, json.decode('\"\\xff\"'))", "the text is not valid UTF-8 (line 1, column 2)"},
		{"select(2, json.decode(''))", "the text ends where a value was expected (line 1, column 1)"},
		{"select(2, json.decode(('['):rep(100000)))", "nested deeper than 64 levels (line 1, column 65)"},
		{"select(2, json.decode(('{\"a\":'):rep(100000)))",
		 "nested deeper than 64 levels (line 1, column 321)"},
		{"select(2, json.decode(('['):rep(100000) .. (']'):rep(100000)))",
		 "nested deeper than 64 levels (line 1, column 65)"},
		{"select(2, json.decode((' '):rep(1048577)))", "the text is longer than 1048576 bytes"},
		{"json.encode(json.decode(('['):rep(64) .. (']'):rep(64))) == ('['):rep(64) .. (']'):rep(64)", "true"},
	};
	ASSERT_ROWS(r, rows);
}

static void json_keeps_numbers(rig *r, gconstpointer unused)
{
	static const row rows[] = {
		{"json.decode('9007199254740993')", "9007199254740993"},
		{"json.decode('7615917337495251231') + 1", "7615917337495251232"},
		{"json.decode('-9223372036854775808') == math.mininteger", "true"},
		{"json.decode('9223372036854775807') == math.maxinteger", "true"},
		{"json.decode('9223372036854775808')", "9223372036854775808"},
		{"json.decode('18446744073709551615')", "18446744073709551615"},
		{"json.decode('10000000000000000000')", "10000000000000000000"},
		{"type(json.decode('18446744073709551615'))", "userdata"},
		{"json.decode('18446744073709551615') == json.decode('18446744073709551615')", "true"},
		{"json.decode('18446744073709551615') == json.decode('18446744073709551614')", "false"},
		{"json.decode('18446744073709551615') == json.null", "false"},
		{"'id ' .. json.decode('18446744073709551615') .. '!'", "id 18446744073709551615!"},
		{"('%s|%20s'):format(json.decode('18446744073709551615'), json.decode('1e999'))",
		 "18446744073709551615|               1e999"},
		{"json.encode(json.decode('[18446744073709551615,-9223372036854775808,9007199254740993]'))",
		 "[18446744073709551615,-9223372036854775808,9007199254740993]"},
		{"json.encode(json.decode('[1.50,1.0,-0.0,-0,1e2,1E+2,0.1,412.5,1e-7,123456.789e3]'))",
		 "[1.5,1.0,-0.0,0,100.0,100.0,0.1,412.5,1e-07,123456789.0]"},
		{"json.encode(json.decode('[0.1234567890123456789,1e400,1e-400,3.141592653589793238,0.30000000000000004]'))",
		 "[0.1234567890123456789,1e400,1e-400,3.141592653589793238,0.30000000000000004]"},
		{"math.type(json.decode('0.30000000000000004'))", "float"},
		{"math.type(json.decode('0.1000000000000000055511151231257827'))", "nil"},
		{"math.type(json.decode('1.7976931348623157e308'))", "float"},
		{"math.type(json.decode('0.' .. ('0'):rep(400) .. '1'))", "nil"},
		{"math.type(json.decode('0.10' .. ('0'):rep(400)))", "float"},
		{"json.decode('0.10' .. ('0'):rep(400))", "0.1"},
		{"json.decode('1' .. ('0'):rep(400) .. 'e-400')", "1.0"},
		{"json.encode(json.decode('0e999'))", "0.0"},
		{"json.encode{1/3, 2^53, 2^63, 1e15, 1e100, 5e-324, 3.0, 0.1 + 0.2}",
		 "[0.3333333333333333,9007199254740992.0,9.223372036854776e+18,1e+15,1e+100,4.94065645841247e-324,3.0,"
		 "0.30000000000000004]"},
		{"json.encode{math.maxinteger, math.mininteger, 0, -1}",
		 "[9223372036854775807,-9223372036854775808,0,-1]"},
	};
	static const row errors[] = {
		{"json.decode('18446744073709551615') + 1", "attempt to perform arithmetic on a json number value"},
		{"json.decode('18446744073709551615') < 1", "attempt to compare json number with number"},
		{"json.decode('18446744073709551615') < json.decode('1e999')",
		 "attempt to compare two json number values"},
		{"json.decode('18446744073709551615').x", "attempt to index a json number value"},
		{"json.decode('18446744073709551615') .. {}", "attempt to concatenate a table value"},
		{"('%d'):format(json.decode('1e999'))", "number expected, got json number"},
		{"json.null.x", "attempt to index a json.null value"},
	};
	ASSERT_ROWS(r, rows);
	ASSERT_RAISES(r, errors);
}

static void json_encodes(rig *r, gconstpointer unused)
{
	static const row rows[] = {
		{"json.encode(true)", "true"},
		{"json.encode('a')", "\"a\""},
		{"json.encode(json.null)", "null"},
		{"json.encode{}", "{}"},
		{"json.encode(json.array{})", "[]"},
		{"json.encode{ x = json.array{}, y = {} }", "{\"x\":[],\"y\":{}}"},
		{"json.encode(json.decode('{\"a\":[],\"b\":{},\"c\":[[],{}]}'))", "{\"a\":[],\"b\":{},\"c\":[[],{}]}"},
		{"json.encode{ 'a', 'b', { 'c' } }", "[\"a\",\"b\",[\"c\"]]"},
		{"json.encode{ b = 1, a = 2, B = 3, ['a b'] = 4, aa = 5, [''] = 6, ['\\u{e9}'] = 7 }",
		 "{\"\":6,\"B\":3,\"a\":2,\"a b\":4,\"aa\":5,\"b\":1,\"\xc3\xa9\":7}"},
		{"json.encode('\\0\\1\\b\\f\\n\\r\\t\\31\\127\"\\\\/\\u{e9}\\u{1f600}\\u{2028}')",
		 "\"\\u0000\\u0001\\b\\f\\n\\r\\t\\u001f\x7f\\\"\\\\/\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8\""},
		{"#json.encode(('x'):rep(500000))", "500002"},
		{"#json.encode(('\\1'):rep(100000))", "600002"},
	};
	static const row errors[] = {
		{"json.encode()", "value expected"},
		{"json.encode(nil)", "json.encode: the value is a nil, which JSON cannot say"},
		{"json.encode(print)", "a method has no 'print'"},
		{"json.encode{ data = { rooms = { 1, 2, tostring } } }",
		 "json.encode: data.rooms[3] is a function, which JSON cannot say"},
		{"json.encode{ a = 0/0 }", "json.encode: a is not a number"},
		{"json.encode{ a = -1/0 }", "json.encode: a is infinite"},
		{"json.encode{ { 1, nil, 3 } }", "json.encode: [1] is a list with gaps"},
		{"json.encode{ 1, nil, 3 }", "json.encode: the value is a list with gaps"},
		{"json.encode{ [0] = 1 }", "is a list with gaps"},
		{"json.encode{ 1, x = 2 }", "json.encode: the value has both names and numbers as keys"},
		{"json.encode{ [1.5] = 1 }", "has a key that is neither a text nor a whole number"},
		{"json.encode{ [true] = 1 }", "has a key that is neither a text nor a whole number"},
		{"json.encode(json.array{ x = 1 })", "the value is a list, but its keys are not 1, 2, 3"},
		{"json.encode{ a = '\\xff' }", "json.encode: a is a text that is not UTF-8"},
		{"json.encode{ a = '\\xc3' }", "json.encode: a is a text that is not UTF-8"},
		{"json.encode{ a = '\\xed\\xa0\\x80' }", "json.encode: a is a text that is not UTF-8"},
		{"json.encode{ ['\\xff'] = 1 }", "has a name that is not UTF-8"},
		{"(function() local t = {} t.a = { t } return json.encode{ x = t } end)()",
		 "json.encode: x.a[1] is a table that it lies in: it would never end"},
		{"(function() local t = 1 for i = 1, 65 do t = { a = t } end return json.encode(t) end)()",
		 "is nested deeper than 64 levels"},
		{"json.array()", "table expected"},
		{"json.array(json)", "a table made by the script expected"},
		{"json.array(math)", "a table made by the script expected"},
	};
	ASSERT_ROWS(r, rows);
	ASSERT_RAISES(r, errors);
	assert_gives(r, "(function() local t = 1 for i = 1, 64 do t = { t } end return #json.encode(t) end)()", "129");
}

static void decoded_lists_are_lists(rig *r, gconstpointer unused)
{
	bool ok;
	g_autofree char *text = run(r,
				    "local t = json.decode('[3,1,2]')\n"
				    "table.sort(t) table.insert(t, 9) table.insert(t, 1, 0)\n"
				    "local sum = 0\n"
				    "for i, v in ipairs(t) do sum = sum + i * v end\n"
				    "for k, v in pairs(t) do sum = sum + k * v end\n"
				    "for k, v in next, t do sum = sum + k * v end\n"
				    "assert(#t == 5 and table.remove(t) == 9 and select('#', table.unpack(t)) == 4)\n"
				    "assert(#table.move(t, 1, 4, 2) == 5)\n"
				    "return table.concat(t, ',') .. ' ' .. sum .. ' ' .. json.encode(t)",
				    &ok);
	g_assert_true(ok);
	g_assert_cmpstr(text, ==, "0,0,1,2,3 195 [0,0,1,2,3]");
}

/* --- json and base/json say the same ---------------------------------------------------------- */

static char random_digit(GRand *random)
{
	return (char)g_rand_int_range(random, '0', '9' + 1);
}

static void add_random_number(GString *out, GRand *random)
{
	int digits = g_rand_int_range(random, 0, 22);

	if (g_rand_boolean(random))
		g_string_append_c(out, '-');
	if (digits == 0) {
		g_string_append_c(out, '0');
	} else {
		g_string_append_c(out, (char)g_rand_int_range(random, '1', '9' + 1));
		for (int i = 1; i < digits; i++)
			g_string_append_c(out, random_digit(random));
	}
	if (g_rand_int_range(random, 0, 3) == 0) {
		g_string_append_c(out, '.');
		for (int i = g_rand_int_range(random, 1, 20); i > 0; i--)
			g_string_append_c(out, random_digit(random));
	}
	if (g_rand_int_range(random, 0, 5) == 0)
		g_string_append_printf(out, "e%d", g_rand_int_range(random, -340, 340));
}

/* A string that begins with `start`, so that names can be made to differ. */
static void add_random_string(GString *out, GRand *random, int start)
{
	static const char *const pieces[] = {"a",
					     "b",
					     "zz",
					     "\\n",
					     "\\u0000",
					     "\\\"",
					     "\\u00e9",
					     "\xc3\xa9",
					     "\\u0061",
					     "\\ud83d\\ude00",
					     "\xf0\x9f\x98\x80",
					     "\\/"};

	g_string_append_printf(out, "\"%d", start);
	for (int i = g_rand_int_range(random, 0, 8); i > 0; i--)
		g_string_append(out, pieces[g_rand_int_range(random, 0, G_N_ELEMENTS(pieces))]);
	g_string_append_c(out, '"');
}

static void add_random_value(GString *out, GRand *random, int depth)
{
	static const char *const words[] = {"true", "false", "null"};
	int kind = g_rand_int_range(random, 0, depth > 0 ? 6 : 4);

	if (kind == 0) {
		g_string_append(out, words[g_rand_int_range(random, 0, 3)]);
	} else if (kind <= 2) {
		add_random_number(out, random);
	} else if (kind == 3) {
		add_random_string(out, random, 7);
	} else {
		g_string_append_c(out, kind == 4 ? '{' : '[');
		for (int i = 0, n = g_rand_int_range(random, 0, 24); i < n; i++) {
			g_string_append(out, i ? ", " : " ");
			if (kind == 4) {
				add_random_string(out, random, i);
				g_string_append(out, " :");
			}
			add_random_value(out, random, depth - 1);
		}
		g_string_append_c(out, kind == 4 ? '}' : ']');
	}
}

/* A decimal in one form: its digits without zeros at the ends, and what power of ten they are of. */
static char *plain_decimal(bh_span text)
{
	g_autofree char *number = g_strndup(text.at, text.size);
	char *exponent = strpbrk(number, "eE");
	int64_t power = exponent ? g_ascii_strtoll(exponent + 1, NULL, 10) : 0;
	if (exponent)
		*exponent = '\0';
	char *point = strchr(number, '.');
	if (point) {
		power -= (int64_t)strlen(point + 1);
		memmove(point, point + 1, strlen(point));
	}

	char *digits = number + (number[0] == '-');
	digits += strspn(digits, "0");
	size_t size = strlen(digits);
	for (; size > 0 && digits[size - 1] == '0'; power++)
		digits[--size] = '\0';
	if (size == 0)
		return g_strdup("0");
	return g_strdup_printf("%s%se%" G_GINT64_FORMAT, number[0] == '-' ? "-" : "", digits, power);
}

static void assert_same_string(const bh_json *a, uint32_t x, const bh_json *b, uint32_t y)
{
	bh_span left = bh_json_text(a, x), right = bh_json_text(b, y);
	g_autofree char *one = g_malloc(left.size), *other = g_malloc(right.size);
	size_t size = bh_json_decode((bh_span){left.at + 1, left.size - 2}, one);

	g_assert_cmpmem(one, size, other, bh_json_decode((bh_span){right.at + 1, right.size - 2}, other));
}

static void assert_same(const bh_json *a, uint32_t x, const bh_json *b, uint32_t y);

/* Names begin with different numbers, so a member is found by its own. */
static void assert_same_members(const bh_json *a, uint32_t x, const bh_json *b, uint32_t y)
{
	for (uint32_t c = bh_json_first(a, x); c != BH_JSON_NONE; c = bh_json_next(a, x, c)) {
		int number = atoi(bh_json_text(a, c).at + 1);
		uint32_t d = bh_json_first(b, y);
		while (d != BH_JSON_NONE && atoi(bh_json_text(b, d).at + 1) != number)
			d = bh_json_next(b, y, d);
		g_assert_cmpuint(d, !=, BH_JSON_NONE);
		assert_same_string(a, c, b, d);
		assert_same(a, c + 1, b, d + 1);
	}
}

static void assert_same_items(const bh_json *a, uint32_t x, const bh_json *b, uint32_t y)
{
	uint32_t c = bh_json_first(a, x), d = bh_json_first(b, y);

	for (; c != BH_JSON_NONE && d != BH_JSON_NONE; c = bh_json_next(a, x, c), d = bh_json_next(b, y, d))
		assert_same(a, c, b, d);
	g_assert_true(c == BH_JSON_NONE && d == BH_JSON_NONE);
}

static void assert_same(const bh_json *a, uint32_t x, const bh_json *b, uint32_t y)
{
	g_assert_cmpint(bh_json_type_of(a, x), ==, bh_json_type_of(b, y));
	switch (bh_json_type_of(a, x)) {
	case BH_JSON_OBJECT:
		assert_same_members(a, x, b, y);
		return;
	case BH_JSON_ARRAY:
		assert_same_items(a, x, b, y);
		return;
	case BH_JSON_STRING:
		assert_same_string(a, x, b, y);
		return;
	case BH_JSON_NUMBER: {
		g_autofree char *one = plain_decimal(bh_json_text(a, x));
		g_autofree char *other = plain_decimal(bh_json_text(b, y));
		g_assert_cmpstr(one, ==, other);
		return;
	}
	default:
		return;
	}
}

/* Decoded and encoded, all on the host's side. */
static char *round_trip(rig *r, const char *text)
{
	lua_State *lua = r->box.lua;

	if (!bh_lua_json_decode(lua, bh_span_of(text)))
		g_error("%s: %s", text, lua_tostring(lua, -1));
	bh_lua_json_encode(lua, -1, "test");
	char *again = g_strdup(lua_tostring(lua, -1));
	lua_pop(lua, 2);
	g_assert_cmpint(lua_gettop(lua), ==, 0);
	return again;
}

static void what_is_decoded_and_encoded_means_the_same(rig *r, gconstpointer unused)
{
	guint32 seed = g_test_rand_int();
	const char *given = g_getenv("BH_SEED");
	if (given)
		seed = (guint32)g_ascii_strtoull(given, NULL, 10);
	g_test_message("BH_SEED=%u", seed);
	g_autoptr(bh_json) before = bh_json_new();
	g_autoptr(bh_json) after = bh_json_new();
	GRand *random = g_rand_new_with_seed(seed);

	for (int i = 0; i < 2000; i++) {
		g_autoptr(GString) text = g_string_new(NULL);
		add_random_value(text, random, 3);
		g_autofree char *once = round_trip(r, text->str);
		g_autofree char *twice = round_trip(r, once);
		g_assert_cmpstr(once, ==, twice);
		g_assert_true(bh_json_parse(before, bh_span_of(text->str), NULL));
		g_assert_true(bh_json_parse(after, bh_span_of(once), NULL));
		assert_same(before, 0, after, 0);
		if (i % 100 == 0)
			bh_sandbox_tidy(&r->box, NULL);
	}
	g_rand_free(random);
}

static void a_float_is_written_so_that_it_is_read_again(void)
{
	guint32 seed = g_test_rand_int();
	g_test_message("seed %u", seed);
	GRand *random = g_rand_new_with_seed(seed);

	for (int i = 0; i < 100000; i++) {
		char text[BH_LUA_FLOAT_SIZE];
		uint64_t bits = (uint64_t)g_rand_int(random) << 32 | g_rand_int(random);
		double number, again;
		memcpy(&number, &bits, sizeof number);
		if (i % 2)
			number = g_rand_int_range(random, -1000000, 1000000) / 100.0;
		if (!isfinite(number))
			continue;
		size_t size = bh_lua_float_text(number, text);
		g_assert_cmpfloat(g_ascii_strtod(text, NULL), ==, number);
		g_assert_nonnull(strpbrk(text, ".e"));
		g_assert_true(bh_lua_number_is_float((bh_span){text, size}, &again));
		g_assert_cmpfloat(again, ==, number);
		if (i % 2)
			g_assert_cmpuint(size, <=, strlen("-999999.99"));
	}
	g_rand_free(random);
}

/* --- base64, hash, url ------------------------------------------------------------------------ */

static void base64_is_that_of_rfc_4648(rig *r, gconstpointer unused)
{
	static const row rows[] = {
		{"base64.encode('')", ""},
		{"base64.encode('f')", "Zg=="},
		{"base64.encode('fo')", "Zm8="},
		{"base64.encode('foo')", "Zm9v"},
		{"base64.encode('foob')", "Zm9vYg=="},
		{"base64.encode('fooba')", "Zm9vYmE="},
		{"base64.encode('foobar')", "Zm9vYmFy"},
		{"base64.encode('\\xfb\\xff\\xfe')", "+//+"},
		{"base64.encode('\\xfb\\xff\\xfe', 'url')", "-__-"},
		{"base64.encode('fo', 'url')", "Zm8"},
		{"base64.encode('f', 'url')", "Zg"},
		{"base64.decode('Zm9vYmFy')", "foobar"},
		{"base64.decode('Zm9vYg==')", "foob"},
		{"base64.decode('Zm9vYg')", "foob"},
		{"base64.decode('Zm8')", "fo"},
		{"base64.decode('')", ""},
		{"base64.decode('+//+') == '\\xfb\\xff\\xfe' and base64.decode('-__-') == '\\xfb\\xff\\xfe'", "true"},
		{"(base64.decode('Zm9vYg='))", "nil"},
		{"select(2, base64.decode('Zm9vYg='))", "the text is cut short, or its padding is wrong (byte 7)"},
		{"select(2, base64.decode('Z'))", "the text is cut short, or its padding is wrong (byte 2)"},
		{"select(2, base64.decode('===='))", "a character that is not of Base64 (byte 1)"},
		{"select(2, base64.decode('Zm9v Yg=='))", "the text is cut short, or its padding is wrong (byte 8)"},
		{"select(2, base64.decode('Zm=v'))", "a character that is not of Base64 (byte 3)"},
		{"select(2, base64.decode('Zh=='))", "the last character says more than fits into a byte (byte 2)"},
		{"(function() for n = 0, 300 do local s = '' for i = 1, n do s = s .. string.char((i * 37 + n) % 256) end "
		 "for _, form in ipairs{ 'standard', 'url' } do assert(base64.decode(base64.encode(s, form)) == s) end end "
		 "return 'same' end)()",
		 "same"},
		{"#base64.encode(('x'):rep(1000000))", "1333336"},
	};
	static const row errors[] = {
		{"base64.encode()", "string expected"},
		{"base64.encode('a', 'hex')", "invalid option 'hex'"},
		{"base64.decode{}", "string expected"},
	};
	ASSERT_ROWS(r, rows);
	ASSERT_RAISES(r, errors);
}

/* RFC 1321, 3174, 6234; the codes of RFC 2202 and 4231, test cases 1, 2, 6 and 7. */
static void hashes_are_those_of_their_rfcs(rig *r, gconstpointer unused)
{
	static const row rows[] = {
		{"hash.md5('')", "d41d8cd98f00b204e9800998ecf8427e"},
		{"hash.md5('message digest')", "f96b697d7cb7938d525a2f31aaf161d0"},
		{"hash.sha1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"hash.sha256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"hash.sha256('')", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"hash.sha512('abc')", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
				       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{"hash.sha1('abc', 'base64')", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="},
		{"#hash.sha512('abc', 'raw')", "64"},
		{"base64.encode(hash.sha256('a', 'raw')) == hash.sha256('a', 'base64')", "true"},
		{"hash.hmac_sha1(('\\x0b'):rep(20), 'Hi There')", "b617318655057264e28bc0b6fb378c8ef146be00"},
		{"hash.hmac_sha1('Jefe', 'what do ya want for nothing?')", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{"hash.hmac_sha256(('\\x0b'):rep(20), 'Hi There')",
		 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{"hash.hmac_sha256('Jefe', 'what do ya want for nothing?')",
		 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{"hash.hmac_sha256(('\\xaa'):rep(131), 'Test Using Larger Than Block-Size Key - Hash Key First')",
		 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{"hash.hmac_sha256(('\\xaa'):rep(131), 'This is a test using a larger than block-size key and a larger than "
		 "block-size data. The key needs to be hashed before being used by the HMAC algorithm.')",
		 "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
		{"hash.hmac_sha512(('\\x0b'):rep(20), 'Hi There')",
		 "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
		 "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
		{"hash.hmac_sha512('Jefe', 'what do ya want for nothing?')",
		 "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		 "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
		{"hash.hmac_sha256('', '')", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
	};
	static const row errors[] = {
		{"hash.sha256()", "string expected"},
		{"hash.sha256('a', 'hexx')", "invalid option 'hexx'"},
		{"hash.hmac_sha256('key')", "bad argument #2"},
		{"hash.sha384('a')", "attempt to call a nil value (field 'sha384')"},
	};
	ASSERT_ROWS(r, rows);
	ASSERT_RAISES(r, errors);
}

static void urls_are_written_as_rfc_3986_has_it(rig *r, gconstpointer unused)
{
	static const row rows[] = {
		{"url.encode('AZaz09-._~')", "AZaz09-._~"},
		{"url.encode(':/?#[]@!$&\\'()*+,;=% ')",
		 "%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25%20"},
		{"url.encode('\\0\\u{e9}\\u{1f600}\"<>')", "%00%C3%A9%F0%9F%98%80%22%3C%3E"},
		{"url.decode('%3a%2F+x%00y') == ':/+x\\0y'", "true"},
		{"url.decode('%C3%A9')", "\xc3\xa9"},
		{"(url.decode('100%'))", "nil"},
		{"select(2, url.decode('100%'))", "two hexadecimal digits must follow the % (byte 4)"},
		{"select(2, url.decode('%4'))", "two hexadecimal digits must follow the % (byte 1)"},
		{"select(2, url.decode('a%zz'))", "two hexadecimal digits must follow the % (byte 2)"},
		{"(function() for c = 0, 255 do local s = string.char(c) assert(url.decode(url.encode(s)) == s) end "
		 "return 'same' end)()",
		 "same"},
		{"url.form{}", ""},
		{"url.form{ b = 'x y', a = 'ä&=+' , c = '~*' }", "a=%C3%A4%26%3D%2B&b=x+y&c=%7E*"},
		{"url.query{ b = 'x y', a = 'ä&=+', c = '~*' }", "a=%C3%A4%26%3D%2B&b=x%20y&c=~%2A"},
		{"url.form{ id = 18, price = 412.5, paid = true, big = json.decode('18446744073709551615'), none = {}, "
		 "tag = { 'b', 'a', 1 }, empty = '', ['a b'] = 1 }",
		 "a+b=1&big=18446744073709551615&empty=&id=18&paid=true&price=412.5&tag=b&tag=a&tag=1"},
		{"url.form{ grant_type = 'client_credentials', scope = 'a b' }",
		 "grant_type=client_credentials&scope=a+b"},
	};
	static const row errors[] = {
		{"url.form()", "table expected"},
		{"url.form{ 'a' }", "url.form: a name is not a text"},
		{"url.query{ a = { b = 1 } }", "url.query: 'a' is a table and no list"},
		{"url.query{ a = { { 1 } } }", "url.query: 'a' is a table, not a text"},
		{"url.form{ a = tostring }", "url.form: 'a' is a function, not a text"},
		{"url.form{ a = 0/0 }", "url.form: 'a' is a number, not a text"},
		{"url.form{ a = json.null }", "url.form: 'a' is a userdata, not a text"},
	};
	ASSERT_ROWS(r, rows);
	ASSERT_RAISES(r, errors);
}

/* --- time ------------------------------------------------------------------------------------- */

static void times_are_read_and_written(rig *r, gconstpointer unused)
{
	static const row rows[] = {
		{"time.parse('2026-11-25T14:51:02Z')", "1795618262"},
		{"time.parse('2026-11-25T15:51:02+01:00')", "1795618262"},
		{"time.parse('2026-11-25T14:51:02.5Z')", "1795618262.5"},
		{"time.parse('2026-11-25')", "1795564800"},
		{"time.parse('1970-01-01T00:00:00Z')", "0"},
		{"(time.parse('2026-13-25T14:51:02Z'))", "nil"},
		{"select(2, time.parse('yesterday'))", "not a time as RFC 3339 has it, such as 2026-11-25T14:51:02Z"},
		{"select(2, time.parse('2026-11-2é'))", "not a time as RFC 3339 has it, such as 2026-11-25T14:51:02Z"},
		{"(time.parse('2026-11-25T14:51:02.' .. ('1'):rep(1000) .. 'Z'))", "nil"},
		{"(time.parse('2026-11-25\\0'))", "nil"},
		{"time.format(1795618262)", "2026-11-25T14:51:02Z"},
		{"time.format(1795618262.0, 'iso')", "2026-11-25T14:51:02Z"},
		{"time.format(1795618262.123456)", "2026-11-25T14:51:02.123456Z"},
		{"time.format(1795618262, 'date')", "2026-11-25"},
		{"time.format(1795618262, 'http')", "Wed, 25 Nov 2026 14:51:02 GMT"},
		{"time.format(0, 'http')", "Thu, 01 Jan 1970 00:00:00 GMT"},
		{"time.format(253402300799)", "9999-12-31T23:59:59Z"},
		{"time.format(time.parse('2024-02-29') + 86400, 'date')", "2024-03-01"},
	};
	static const row errors[] = {
		{"time.format(-1)", "seconds between 1970 and 9999 expected"},
		{"time.format(253402300800)", "seconds between 1970 and 9999 expected"},
		{"time.format(0/0)", "seconds between 1970 and 9999 expected"},
		{"time.format(1e308)", "seconds between 1970 and 9999 expected"},
		{"time.format(math.mininteger)", "seconds between 1970 and 9999 expected"},
		{"time.format('x')", "number expected"},
		{"time.format(0, 'rfc')", "invalid option 'rfc'"},
	};
	ASSERT_ROWS(r, rows);
	ASSERT_RAISES(r, errors);
}

/* --- All of them ------------------------------------------------------------------------------ */

static void libraries_cannot_be_changed(rig *r, gconstpointer unused)
{
	static const row errors[] = {
		{"(function() json.encode = 1 end)()", "cannot set 'encode': this table is read-only"},
		{"(function() base64.x = 1 end)()", "this table is read-only"},
		{"(function() hash.md5 = nil end)()", "this table is read-only"},
		{"(function() url.form = 1 end)()", "this table is read-only"},
		{"(function() time.now = 1 end)()", "this table is read-only"},
		{"(function() json = 1 end)()", "'json' must be declared with local"},
		{"(function() json.null.x = 1 end)()", "attempt to index a json.null value"},
		{"table.insert(json, 1)", "this table is read-only"},
	};
	ASSERT_RAISES(r, errors);
	assert_gives(r,
		     "(function() local n = {} for k in pairs(hash) do table.insert(n, k) end table.sort(n) return "
		     "table.concat(n, ' ') end)()",
		     "hmac_sha1 hmac_sha256 hmac_sha512 md5 sha1 sha256 sha512");
}

/* Each of these goes on and on in C, out of the hook's sight: it has to be paid for. */
static void what_is_long_is_paid_for(rig *r, gconstpointer unused)
{
	static const char *const loops[] = {
		"local s = ('x'):rep(1000000) while true do hash.sha256(s) end",
		"local s = ('x'):rep(1000000) while true do hash.hmac_sha512(s, s) end",
		"local s = ('x'):rep(1000000) while true do base64.decode(s) end",
		"local s = ('x'):rep(1000000) while true do url.decode(s) end",
		"local s = (' '):rep(1000000) while true do json.decode(s) end",
		"local s = ('['):rep(1000000) while true do json.decode(s) end",
		"local s = '[' .. ('1,'):rep(100000) .. '1' while true do json.decode(s) end",
		"while true do time.parse('2026-11-25T14:51:02Z') end",
		"while true do time.format(0, 'http') end",
		"local s = ('\\n'):rep(500000) while true do json.encode(s) end",
		"local t = {} for i = 1, 1000 do t[i] = ('x'):rep(50) .. i end local u = {} for i = 1, 1000 do u[t[i]] = 1 end "
		"while true do json.encode(u) end",
		"local t = {} for i = 1, 40 do t = { t, t } end return json.encode(t)",
		"local t = {} for i = 1, 20 do t = { a = t, b = t } end return json.encode(t)",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(loops); i++) {
		bool ok;
		bh_usec began = bh_clock_work();
		g_autofree char *text = run(r, loops[i], &ok);
		if (ok || !(strstr(text, "used up its instructions") || strstr(text, "needs too much memory")))
			g_error("%s: %s %s", loops[i], ok ? "gives" : "says", text);
		g_test_message("%ld us: %s", (long)(bh_clock_work() - began), loops[i]);
	}
}

static void a_large_text_leaves_no_reader_behind_however_its_run_ends(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"return #json.decode('[' .. ('1,'):rep(50000) .. '1]')", /* it is through */
		"return json.decode('[' .. ('1,'):rep(400000) .. '1]')", /* it has no room for the list */
		"local s = '[' .. ('[1],'):rep(20000) .. '1]' while true do json.decode(s) end", /* it has no steps left */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		bool ok;
		g_autofree char *text = run(r, codes[i], &ok);
		if (ok != (i == 0))
			g_error("%s: %s", codes[i], text);
		g_assert_cmpuint(bh_json_count(bh_lua_json_kit_push(r->box.lua)->reader), ==, 0);
		lua_pop(r->box.lua, 1);
	}
}

#define ADD(name) g_test_add("/script_libs/" #name, rig, NULL, set_up, name, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);

	ADD(json_decodes);
	ADD(json_says_why_a_text_is_none);
	ADD(json_keeps_numbers);
	ADD(json_encodes);
	ADD(decoded_lists_are_lists);
	ADD(what_is_decoded_and_encoded_means_the_same);
	g_test_add_func("/script_libs/a_float_is_written_so_that_it_is_read_again",
			a_float_is_written_so_that_it_is_read_again);
	ADD(base64_is_that_of_rfc_4648);
	ADD(hashes_are_those_of_their_rfcs);
	ADD(urls_are_written_as_rfc_3986_has_it);
	ADD(times_are_read_and_written);
	ADD(libraries_cannot_be_changed);
	ADD(what_is_long_is_paid_for);
	ADD(a_large_text_leaves_no_reader_behind_however_its_run_ends);
	return g_test_run();
}
