/* What a field asks of its value (pattern, trim, min, max), when it counts, and what a file may say of that. */
#include "forms_house.h"
#include "method/field.h"

static const char *const MEMBERS =
	"return {\n"
	"  title = 'Members',\n"
	"  fields = {\n"
	"    { key = 'about', format = 'notes', title = 'Read this first.', help = 'And this.' },\n"
	"    { key = 'login', format = 'select', title = 'Login', options = { 'none', 'key', 'client' }, default = 'none' "
	"},\n"
	"    { key = 'key', format = 'password', title = 'Key', required = true, trim = true, pattern = '%x+%-us%d+',\n"
	"      hint = 'The whole key stands on the page Keys.', when = { field = 'login', is = 'key' } },\n"
	"    { key = 'token_url', format = 'url', title = 'Token URL', required = true, when = { field = 'login', is = "
	"'client' } },\n"
	"    { key = 'scoped', format = 'boolean', title = 'Scoped', when = { field = 'login', is = { 'key', 'client' } } "
	"},\n"
	"    { key = 'scope', format = 'input', title = 'Scope', required = true, trim = true, when = { field = 'scoped', "
	"is = true } },\n"
	"    { key = 'tries', format = 'integer', title = 'Tries', min = 1, max = 5, hint = 'Five is plenty.' },\n"
	"    { key = 'room', format = 'input', title = 'Room', pattern = '[A-Z]%d%d' },\n"
	"    { key = 'note', format = 'input', title = 'Note', default = 'x', when = { field = 'tries', is = { '3', 4 } } },\n"
	"  },\n"
	"  deliver = function(event, settings, remote) return remote.delivered() end,\n"
	"}\n";

static void set_up(place *p, gconstpointer unused)
{
	open_place(p);
	write_file(p, "m.lua", MEMBERS);
	g_autoptr(GPtrArray) broken = reload(p);
	if (broken->len)
		g_error("%s", (char *)broken->pdata[0]);
}

static char *stored_well(place *p, const char *given, const char *stored)
{
	g_autoptr(GError) error = NULL;
	char *result = store_for(p, "m", given, stored, NULL, &error);
	g_assert_no_error(error);
	return result;
}

static void assert_opened(place *p, const char *stored, const char *key, const char *expected)
{
	g_autofree char *value = opened_for(p, "m", stored, key);
	g_assert_cmpstr(value, ==, expected);
}

static void assert_refused(place *p, const char *given, const char *stored, const char *pointer, const char *message)
{
	g_autofree char *where = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_null(store_for(p, "m", given, stored, &where, &error));
	g_assert_cmpstr(where, ==, pointer);
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
	if (!strstr(error->message, message))
		g_error("got \"%s\", expected \"%s\" in it", error->message, message);
	g_assert_null(strstr(error->message, "s3cr3t"));
}

/* --- Conditions ------------------------------------------------------------------------------- */

static void a_field_whose_condition_does_not_hold_is_not_required(place *p, gconstpointer unused)
{
	g_autofree char *bare = stored_well(p, "{}", NULL);

	g_assert_cmpstr(bare, ==, "{}");
	assert_opened(p, bare, "login", "none");
	assert_opened(p, bare, "key", NULL);
	assert_refused(p, "{\"login\":\"key\"}", bare, "/settings/key", "missing");
	assert_refused(p, "{\"login\":\"client\"}", bare, "/settings/token_url", "missing");
	assert_refused(p, "{\"login\":\"client\",\"token_url\":\"https://a.example/\",\"scoped\":true}", bare,
		       "/settings/scope", "missing");
}

static void a_field_that_does_not_count_is_nil_and_stays_stored(place *p, gconstpointer unused)
{
	g_autofree char *first = stored_well(
		p, "{\"login\":\"key\",\"key\":\"abc-us7\",\"scoped\":true,\"scope\":\"a b\",\"tries\":3}", NULL);
	assert_opened(p, first, "key", "abc-us7");
	assert_opened(p, first, "scope", "a b");
	assert_opened(p, first, "note", "x");

	g_autofree char *hidden = stored_well(p, "{\"login\":\"none\",\"tries\":2}", first);
	assert_opened(p, hidden, "key", NULL);
	assert_opened(p, hidden, "scoped", NULL); /* so the scope, which asks for it, does not count either */
	assert_opened(p, hidden, "scope", NULL);
	assert_opened(p, hidden, "note", NULL); /* nor is its default there */

	g_autofree char *back = stored_well(p, "{\"login\":\"key\",\"tries\":4}", hidden);
	assert_opened(p, back, "key", "abc-us7");
	assert_opened(p, back, "scope", "a b");
	assert_opened(p, back, "note", "x");
}

static void a_boolean_without_value_is_false_for_conditions(place *p, gconstpointer unused)
{
	write_file(
		p, "m.lua",
		"return { title = 'T', deliver = function() end, fields = {\n"
		" { key = 'on', format = 'boolean', title = 'On' },\n"
		" { key = 'off_text', format = 'input', title = 'T', default = 'x', when = { field = 'on', is = false } },\n"
		" { key = 'below', format = 'boolean', title = 'B', when = { field = 'on', is = true } },\n"
		" { key = 'deep', format = 'input', title = 'D', default = 'x', when = { field = 'below', is = 'false' } }\n"
		"} }");
	g_autoptr(GPtrArray) broken = reload(p);
	g_assert_cmpuint(broken->len, ==, 0);

	assert_opened(p, "{}", "off_text", "x");
	assert_opened(p, "{}", "deep", NULL); /* `below` does not count, so it makes nothing true */
	assert_opened(p, "{\"on\":true}", "off_text", NULL);
	assert_opened(p, "{\"on\":true}", "deep", "x");
	assert_opened(p, "{\"on\":true,\"below\":true}", "deep", NULL);
}

/* A page shows the stored form and sends it back whole, with what it hides. */
static void the_shown_form_of_hidden_fields_can_be_given_back(place *p, gconstpointer unused)
{
	const bh_method *before = bh_methods_find(p->methods, "m");
	g_autofree char *first =
		stored_well(p, "{\"login\":\"key\",\"key\":\"abc-us7\",\"scoped\":true,\"scope\":\"<ü> old\"}", NULL);
	g_autofree char *hidden = stored_well(p, "{\"login\":\"none\"}", first);
	g_autofree char *shown = bh_settings_masked(before, hidden);

	g_assert_cmpstr(shown, ==, "{\"login\":\"none\",\"key\":{\"set\":true},\"scoped\":true,\"scope\":\"<ü> old\"}");

	/* Meanwhile the method asks for more; that is no obstacle as long as nobody sees the field. */
	g_autoptr(GString) stricter = g_string_new(MEMBERS);
	g_string_replace(stricter, "title = 'Scope',", "title = 'Scope', pattern = '%l+',", 0);
	write_file(p, "m.lua", stricter->str);
	g_autoptr(GPtrArray) broken = reload(p);
	g_assert_cmpuint(broken->len, ==, 0);
	g_autofree char *again = stored_well(p, shown, hidden);
	assert_refused(p, "{\"login\":\"key\"}", again, "/settings/scope", "does not look right");
	g_autofree char *right = stored_well(p, "{\"login\":\"key\",\"scope\":\"new\"}", again);
	assert_opened(p, right, "key", "abc-us7");
	assert_opened(p, right, "scope", "new");
}

static void what_is_given_for_a_hidden_field_is_checked_all_the_same(place *p, gconstpointer unused)
{
	assert_refused(p, "{\"key\":\"s3cr3t\"}", NULL, "/settings/key", "The whole key stands on the page Keys.");
	assert_refused(p, "{\"token_url\":\"nonsense\"}", NULL, "/settings/token_url", "");
}

static void the_url_shown_in_lists_is_one_that_counts(place *p, gconstpointer unused)
{
	write_file(
		p, "m.lua",
		"return { title = 'T', deliver = function() end, fields = {\n"
		" { key = 'at', format = 'select', title = 'At', options = { 'eu', 'us' }, default = 'eu' },\n"
		" { key = 'us', format = 'url', title = 'U', when = { field = 'at', is = 'us' } },\n"
		" { key = 'eu', format = 'url', title = 'U', default = 'https://eu.example/', when = { field = 'at', is = "
		"'eu' } }\n"
		"} }");
	g_autoptr(GPtrArray) broken = reload(p);
	g_assert_cmpuint(broken->len, ==, 0);
	const bh_method *m = bh_methods_find(p->methods, "m");

	g_autofree char *eu = bh_settings_url(m, "{\"us\":\"https://us.example/\"}");
	g_assert_cmpstr(eu, ==, "https://eu.example/");
	g_autofree char *us = bh_settings_url(m, "{\"at\":\"us\",\"us\":\"https://us.example/\"}");
	g_assert_cmpstr(us, ==, "https://us.example/");
	g_assert_null(bh_settings_url(m, "{\"at\":\"us\"}"));
}

/* --- Patterns and ranges ---------------------------------------------------------------------- */

static void what_does_not_match_is_refused_with_the_hint_and_without_the_value(place *p, gconstpointer unused)
{
	static const struct {
		const char *given, *pointer, *message;
	} rows[] = {
		{"{\"login\":\"key\",\"key\":\"s3cr3t\"}", "/settings/key",
		 "\"key\" does not look right. The whole key stands on the page Keys."},
		{"{\"login\":\"key\",\"key\":\"abc-us7 s3cr3t\"}", "/settings/key", "The whole key"},
		{"{\"login\":\"key\",\"key\":\"\\nabc-us\"}", "/settings/key", "The whole key"},
		{"{\"login\":\"key\",\"key\":\" \\t\"}", "/settings/key", "empty"},
		{"{\"room\":\"A123\"}", "/settings/room", "The method asks for another form."},
		{"{\"room\":\" A12\"}", "/settings/room", "does not look right"},
		{"{\"tries\":0}", "/settings/tries", "must be at least 1 and at most 5. Five is plenty."},
		{"{\"tries\":6}", "/settings/tries", "at most 5"},
		{"{\"tries\":-9223372036854775808}", "/settings/tries", "at least 1"},
		{"{\"about\":\"x\"}", "/settings/about", "no field"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		assert_refused(p, rows[i].given, NULL, rows[i].pointer, rows[i].message);
}

static void blanks_around_what_was_pasted_go_where_the_field_says_so(place *p, gconstpointer unused)
{
	static const char *const blanks[] = {" ",       "\\t",     "\\r\\n",  "\\u00a0",
					     "\\u200b", "\\ufeff", "\\u3000", "\\u2028"};

	for (size_t i = 0; i < G_N_ELEMENTS(blanks); i++) {
		g_autofree char *given = g_strdup_printf(
			"{\"login\":\"key\",\"scoped\":true,\"key\":\"%sabc-us7%s %s\",\"scope\":\"%sa %s b%s\"}",
			blanks[i], blanks[i], blanks[i], blanks[i], blanks[i], blanks[i]);
		g_autofree char *stored = stored_well(p, given, NULL);
		g_autofree char *scope = opened_for(p, "m", stored, "scope");
		assert_opened(p, stored, "key", "abc-us7");
		g_assert_true(g_str_has_prefix(scope, "a ") && g_str_has_suffix(scope, " b"));
		g_assert_cmpuint(strlen(scope), >, strlen("a  b")); /* what is inside stays */
	}
}

static void an_empty_text_stands_for_none_where_empty_cannot_be_meant(place *p, gconstpointer unused)
{
	g_autofree char *first = stored_well(p, "{\"room\":\"A12\",\"login\":\"none\"}", NULL);
	assert_opened(p, first, "room", "A12");

	g_autofree char *none = stored_well(p, "{\"room\":\"\",\"login\":\"\",\"token_url\":\"\"}", first);
	g_assert_cmpstr(none, ==, "{}");
	assert_opened(p, none, "room", NULL);
	assert_opened(p, none, "login", "none");
}

static void a_pattern_holds_for_the_whole_value(place *p, gconstpointer unused)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{"%d+", "123", true},
		{"%d+", "123 ", false},
		{"%d+", "a123", false},
		{"^%d+$", "123", true},
		{"^%d+$", "1\n2", false},
		{"a-b", "aab", true},
		{"a-", "aaa", true}, /* lazy, yet to the end */
		{"%a*%d?", "abc1", true},
		{"(%w+)@%1", "a@a", true},
		{"(%w+)@%1", "a@b", false},
		{"%$", "$", true},
		{"%%", "%", true},
		{"%%$", "%", true},
		{"[%a$]+", "a$b", true},
		{"[^\x80-\xff]*", "ä", false},
		{"%b()", "(a(b))", true},
		{"%f[%w]%w+%f[%W]", "word", true},
		{"", "", true},
		{"^", "", true},
		{".*", "", true},
		{".*", "ä€🛎", true},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_true(bh_pattern_check(rows[i].pattern, &error));
		g_assert_no_error(error);
		if (bh_pattern_matches(rows[i].pattern, rows[i].text) != rows[i].matches)
			g_error("pattern %s, text %s", rows[i].pattern, rows[i].text);
	}
}

/* A search that would take years is no match, and it is over at once. */
static void a_pattern_has_no_more_steps_than_others(place *p, gconstpointer unused)
{
	g_autofree char *text = g_strnfill(4096, 'a');
	g_assert_false(bh_pattern_matches(".-.-.-.-.-.-b", text));
	g_assert_false(bh_pattern_matches("a*a*a*a*a*a*b", text));
	g_autofree char *many = g_strnfill(300, '(');
	g_assert_false(bh_pattern_check(many, NULL));
}

/* --- Files ------------------------------------------------------------------------------------ */

static void the_members_of_a_field_are_read(place *p, gconstpointer unused)
{
	const bh_method *m = bh_methods_find(p->methods, "m");
	const bh_field *about = g_ptr_array_index(m->fields, 0), *key = g_ptr_array_index(m->fields, 2);
	const bh_field *scope = g_ptr_array_index(m->fields, 5), *tries = g_ptr_array_index(m->fields, 6);
	const bh_field *note = g_ptr_array_index(m->fields, 8);

	g_assert_cmpint(about->format, ==, BH_FIELD_NOTES);
	g_assert_cmpstr(key->when_field, ==, "login");
	g_assert_cmpstr(key->when_values[0], ==, "key");
	g_assert_null(key->when_values[1]);
	g_assert_cmpstr(key->pattern, ==, "%x+%-us%d+");
	g_assert_cmpstr(key->hint, ==, "The whole key stands on the page Keys.");
	g_assert_true(key->trim && !key->has_min && !key->has_max);
	g_assert_cmpstr(scope->when_values[0], ==, "true");
	g_assert_true(tries->has_min && tries->has_max && !tries->trim);
	g_assert_cmpint(tries->min, ==, 1);
	g_assert_cmpint(tries->max, ==, 5);
	g_assert_cmpstr(note->when_values[0], ==, "3");
	g_assert_cmpstr(note->when_values[1], ==, "4");
	g_assert_null(note->pattern);
}

static void a_wrong_member_is_named_with_its_line(place *p, gconstpointer unused)
{
	static const struct {
		const char *field, *expected;
	} rows[] = {
		{"format = 'input', when = 'a'", "bad.lua:3: 'when' of field 'f' must be a table"},
		{"format = 'input', when = { field = 'a' }",
		 "bad.lua:3: 'is' in the 'when' of field 'f' must be a text"},
		{"format = 'input', when = { is = 'a' }", "bad.lua:3: field 'f' has no 'field'"},
		{"format = 'input', when = { field = 'a', is = 'x', than = 1 }", "'when' has an unknown member 'than'"},
		{"format = 'input', when = { field = 'a', is = {} }",
		 "bad.lua:3: 'is' in the 'when' of field 'f' is empty"},
		{"format = 'input', when = { field = 'a', is = { x = 1 } }", "bad.lua:3: 'is' must be a list"},
		{"format = 'input', when = { field = 'a', is = { 'x', {} } }", "must be a text, or a list of texts"},
		{"format = 'input', when = { field = 'a', is = 'z' }",
		 "bad.lua:3: the 'when' of field 'f' asks for 'z', which field 'a' can never be"},
		{"format = 'input', when = { field = 'b', is = 'yes' }", "which field 'b' can never be"},
		{"format = 'input', when = { field = 'n', is = '01' }", "which field 'n' can never be"},
		{"format = 'input', when = { field = 'n', is = 1.5 }", "must be a text, or a list of texts"},
		{"format = 'input', when = { field = 'u', is = 'x' }",
		 "bad.lua:3: 'when' of field 'f' asks about a field of format url"},
		{"format = 'input', when = { field = 'f', is = 'x' }",
		 "bad.lua:3: 'when' of field 'f' names no field before it"},
		{"format = 'input', when = { field = 'later', is = 'x' }", "names no field before it: 'later'"},
		{"format = 'input', pattern = '['",
		 "bad.lua:3: 'pattern' of field 'f': malformed pattern (missing ']')"},
		{"format = 'input', pattern = 'x%'", "malformed pattern (ends with '%')"},
		{"format = 'input', pattern = 'x*[a'", "missing ']'"},
		{"format = 'input', pattern = '(x'", "unfinished capture"},
		{"format = 'input', pattern = 'x)'", "invalid pattern capture"},
		{"format = 'input', pattern = 'x%1'", "invalid capture index %1"},
		{"format = 'input', pattern = '(x%1)'", "invalid capture index %1"},
		{"format = 'input', pattern = '%b('", "missing arguments to '%b'"},
		{"format = 'input', pattern = '%fx'", "missing '[' after '%f'"},
		{"format = 'input', pattern = '\\xff'", "'pattern' must be UTF-8"},
		{"format = 'boolean', pattern = 'x'", "bad.lua:3: field 'f' is no text and has 'pattern'"},
		{"format = 'integer', trim = true", "bad.lua:3: field 'f' is no text and has 'trim'"},
		{"format = 'input', trim = 1", "'trim' of field 'f' must be true or false"},
		{"format = 'input', min = 1", "bad.lua:3: field 'f' is no integer and has 'min' or 'max'"},
		{"format = 'integer', min = 1.5", "'min' of field 'f' must be a whole number"},
		{"format = 'integer', max = '1'", "'max' of field 'f' must be a whole number"},
		{"format = 'integer', min = 2, max = 1", "'min' of field 'f' is larger than its 'max'"},
		{"format = 'integer', min = 2, default = 1",
		 "bad.lua:3: the default does not fit: \"f\" must be at least 2"},
		{"format = 'input', pattern = '%d', default = 'x'",
		 "bad.lua:3: the default does not fit: \"f\" does not look right"},
		{"format = 'url', default = ''", "the default does not fit: \"f\" must not be empty"},
		{"format = 'notes', required = true", "bad.lua:3: field 'f' is a paragraph (notes) and has 'required'"},
		{"format = 'notes', default = 'x'", "is a paragraph (notes) and has 'default'"},
		{"format = 'notes', hint = 'x'", "is a paragraph (notes) and has 'hint'"},
		{"format = 'notes', pattern = 'x'", "is no text and has 'pattern'"},
		{"format = 'notes', options = { 'x' }", "is no select and has 'options'"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = g_strdup_printf(
			"return { title = 'x', deliver = function() end, fields = {\n"
			" { key = 'a', format = 'select', title = 'A', options = { 'x', 'y' } }, { key = 'b', format = 'boolean', "
			"title = 'B' }, { key = 'n', format = 'integer', title = 'N' }, { key = 'u', format = 'url', title = 'U' },\n"
			" { key = 'f', title = 'F', %s },\n { key = 'later', format = 'input', title = 'L' }\n} }",
			rows[i].field);
		write_file(p, "bad.lua", text);
		g_autoptr(GPtrArray) broken = reload(p);
		g_assert_cmpuint(broken->len, ==, 1);
		if (!strstr(broken->pdata[0], rows[i].expected))
			g_error("got \"%s\", expected \"%s\"", (char *)broken->pdata[0], rows[i].expected);
	}
}

#define ADD(name) g_test_add("/method/fields/" #name, place, NULL, set_up, name, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(a_field_whose_condition_does_not_hold_is_not_required);
	ADD(a_field_that_does_not_count_is_nil_and_stays_stored);
	ADD(a_boolean_without_value_is_false_for_conditions);
	ADD(the_shown_form_of_hidden_fields_can_be_given_back);
	ADD(what_is_given_for_a_hidden_field_is_checked_all_the_same);
	ADD(the_url_shown_in_lists_is_one_that_counts);
	ADD(what_does_not_match_is_refused_with_the_hint_and_without_the_value);
	ADD(blanks_around_what_was_pasted_go_where_the_field_says_so);
	ADD(an_empty_text_stands_for_none_where_empty_cannot_be_meant);
	ADD(a_pattern_holds_for_the_whole_value);
	ADD(a_pattern_has_no_more_steps_than_others);
	ADD(the_members_of_a_field_are_read);
	ADD(a_wrong_member_is_named_with_its_line);
	return g_test_run();
}
