/* Settings of a webhook: given, stored, shown. And reading the method files that describe them. */
#include "forms_house.h"

static const char *const ALL_KINDS =
	"return {\n"
	"  title = 'All kinds',\n"
	"  fields = {\n"
	"    { key = 'url', format = 'url', title = 'URL', required = true },\n"
	"    { key = 'name', format = 'input', title = 'Name' },\n"
	"    { key = 'password', format = 'password', title = 'Password' },\n"
	"    { key = 'pin', format = 'password', title = 'PIN', required = true },\n"
	"    { key = 'text', format = 'area', title = 'Text', help = 'As long as you like.' },\n"
	"    { key = 'on', format = 'boolean', title = 'On', default = true },\n"
	"    { key = 'count', format = 'integer', title = 'Count', default = -3 },\n"
	"    { key = 'size', format = 'select', title = 'Size', options = { 's', 'm' }, default = 's' },\n"
	"    { key = 'page', format = 'html', title = 'Page' },\n"
	"  },\n"
	"  deliver = function(event, settings, remote) return remote.delivered() end,\n"
	"}\n";

static void set_up(place *p, gconstpointer unused)
{
	open_place(p);
	write_file(p, "all.lua", ALL_KINDS);
	g_autoptr(GPtrArray) broken = reload(p);
	g_assert_cmpuint(broken->len, ==, 0);
}

static char *store(place *p, const char *given, const char *stored, char **ret_pointer, GError **error)
{
	return store_for(p, "all", given, stored, ret_pointer, error);
}

static char *stored_well(place *p, const char *given, const char *stored)
{
	g_autoptr(GError) error = NULL;
	char *result = store(p, given, stored, NULL, &error);
	g_assert_no_error(error);
	g_assert_nonnull(result);
	return result;
}

static void assert_opened(place *p, const char *stored, const char *key, const char *expected)
{
	g_autofree char *value = opened_for(p, "all", stored, key);
	g_assert_cmpstr(value, ==, expected);
}

/* --- Given -> stored ------------------------------------------------------------------------ */

static void what_does_not_fit_is_named_with_a_pointer(place *p, gconstpointer unused)
{
	static const struct {
		const char *given, *pointer, *message;
		int code;
	} rows[] = {
		{"[]", "/settings", "object", BH_ERROR_INVALID},
		{"{", "/settings", "line", BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\"}", "/settings/pin", "missing", BH_ERROR_INVALID},
		{"{\"pin\":\"1\"}", "/settings/url", "missing", BH_ERROR_INVALID},
		{"{\"url\":null,\"pin\":\"1\"}", "/settings/url", "missing", BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"\"}", "/settings/pin", "empty", BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"a~b/c\":1}", "/settings/a~0b~1c", "no field",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":{\"set\":true}}", "/settings/pin", "not stored",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":{\"set\":false}}", "/settings/pin", "missing",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":{\"sealed\":\"AAAA\"}}", "/settings/pin", "text",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":17}", "/settings/pin", "text", BH_ERROR_INVALID},
		{"{\"url\":17,\"pin\":\"1\"}", "/settings/url", "text", BH_ERROR_INVALID},
		{"{\"url\":\"\",\"pin\":\"1\"}", "/settings/url", "", BH_ERROR_INVALID},
		{"{\"url\":\"ftp://a.example/\",\"pin\":\"1\"}", "/settings/url", "", -1},
		{"{\"url\":\"http://127.0.0.1/\",\"pin\":\"1\"}", "/settings/url", "loopback", BH_ERROR_DENIED},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"on\":\"yes\"}", "/settings/on", "true or false",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"on\":1}", "/settings/on", "true or false",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"count\":1.5}", "/settings/count", "whole",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"count\":\"1\"}", "/settings/count", "whole",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"count\":9223372036854775808}", "/settings/count",
		 "whole", BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"size\":\"xl\"}", "/settings/size", "s, m",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"name\":\"a\\u0000b\"}", "/settings/name", "U+0000",
		 BH_ERROR_INVALID},
		{"{\"url\":\"https://a.example/\",\"pin\":\"1\",\"name\":[]}", "/settings/name", "text",
		 BH_ERROR_INVALID},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *pointer = NULL;
		g_autoptr(GError) error = NULL;
		g_assert_null(store(p, rows[i].given, NULL, &pointer, &error));
		g_assert_cmpstr(pointer, ==, rows[i].pointer);
		g_assert_nonnull(error);
		g_assert_true(error->domain == BH_ERROR);
		if (rows[i].code >= 0)
			g_assert_cmpint(error->code, ==, rows[i].code);
		g_assert_nonnull(strstr(error->message, rows[i].message));
	}
}

/* `value` as a JSON string, given for text fields and passwords, comes back to the byte. */
static void assert_round_trip(place *p, const char *value)
{
	g_autoptr(GString) json = g_string_new(NULL);
	bh_json_append_string(json, bh_span_of(value));
	g_autofree char *given =
		g_strdup_printf("{\"url\":\"https://a.example/"
				"?q=1&r=<%%22>\",\"name\":%s,\"password\":%s,\"pin\":%s,\"text\":%s,\"page\":%s}",
				json->str, json->str, json->str, json->str, json->str);

	g_autofree char *first = stored_well(p, given, NULL);
	g_autofree char *stored = stored_well(p, "{}", first); /* and once more through the store */

	static const char *const keys[] = {"name", "password", "pin", "text", "page"};
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		assert_opened(p, stored, keys[i], value);
}

static void any_character_survives(place *p, gconstpointer unused)
{
	g_autofree char *long_text = g_strnfill(4096, '&');

	assert_round_trip(p, "= & < > \" \\ ' % &#61; &amp; &< \\u0041 \\\\ %00 \t\r\n\x01\x7f");
	assert_round_trip(p, "büro pä:ss wörd€ 🛎️ \u2028 日本");
	assert_round_trip(p, " blanks around ");
	assert_round_trip(p, long_text);
}

static void a_url_keeps_its_query_and_loses_the_blanks_around(place *p, gconstpointer unused)
{
	g_autofree char *stored =
		stored_well(p, "{\"url\":\" \\t https://a.example/q?a=1&b=%3D \\n\",\"pin\":\"1\"}", NULL);
	g_autofree char *url = bh_settings_url(bh_methods_find(p->methods, "all"), stored);

	g_assert_cmpstr(url, ==, "https://a.example/q?a=1&b=%3D");
	assert_opened(p, stored, "url", "https://a.example/q?a=1&b=%3D");
}

static void a_text_over_its_limit_is_refused(place *p, gconstpointer unused)
{
	static const struct {
		const char *key;
		size_t limit;
	} rows[] = {{"name", 4096}, {"pin", 4096}, {"text", 65536}, {"page", 65536}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		for (size_t over = 0; over < 2; over++) {
			g_autofree char *text = g_strnfill(rows[i].limit + over, 'x');
			g_autofree char *given = g_strdup_printf("{\"%s\":\"%s\"}", rows[i].key, text);
			g_autofree char *pointer = NULL;
			g_autoptr(GError) error = NULL;
			g_autofree char *before =
				stored_well(p, "{\"url\":\"https://a.example/\",\"pin\":\"1\"}", NULL);
			g_autofree char *stored = store(p, given, before, &pointer, &error);
			g_assert_true((stored != NULL) == (over == 0));
			if (over)
				g_assert_true(g_str_has_suffix(pointer, rows[i].key));
		}
	}
}

static void a_password_is_sealed_for_its_field(place *p, gconstpointer unused)
{
	g_autofree char *stored = stored_well(
		p, "{\"url\":\"https://a.example/\",\"pin\":\"s3cr3t-pin\",\"password\":\"s3cr3t-word\"}", NULL);

	g_assert_null(strstr(stored, "s3cr3t"));
	g_autofree char *base64 = g_base64_encode((const guchar *)"s3cr3t-pin", 10);
	g_assert_null(strstr(stored, base64));

	/* The sealed text of one field does not open in another. */
	g_autoptr(GString) moved = g_string_new(stored);
	g_string_replace(moved, "\"pin\"", "\"x\"", 0);
	g_string_replace(moved, "\"password\"", "\"pin\"", 0);
	g_autoptr(GError) error = NULL;
	g_assert_null(bh_settings_open(bh_methods_find(p->methods, "all"), moved->str, p->sealer, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
}

static void what_is_left_out_keeps_its_value(place *p, gconstpointer unused)
{
	g_autofree char *first =
		stored_well(p,
			    "{\"url\":\"https://a.example/\",\"pin\":\"old pin\",\"password\":\"old word\","
			    "\"name\":\"n\",\"on\":false}",
			    NULL);

	g_autofree char *second =
		stored_well(p, "{\"pin\":{\"set\":true},\"password\":\"new word\",\"name\":null,\"count\":5}", first);
	assert_opened(p, second, "pin", "old pin");
	assert_opened(p, second, "password", "new word");
	assert_opened(p, second, "name", NULL);
	assert_opened(p, second, "count", "5");
	assert_opened(p, second, "on", "false");
	assert_opened(p, second, "url", "https://a.example/");

	g_autofree char *third = stored_well(p, "{\"password\":null,\"count\":null}", second);
	assert_opened(p, third, "pin", "old pin");
	assert_opened(p, third, "password", NULL);
	assert_opened(p, third, "count", "-3"); /* its default */
}

static void defaults_stand_in_for_what_is_not_there(place *p, gconstpointer unused)
{
	g_autofree char *stored = stored_well(p, "{\"url\":\"https://a.example/\",\"pin\":\"1\"}", NULL);

	assert_opened(p, stored, "on", "true");
	assert_opened(p, stored, "count", "-3");
	assert_opened(p, stored, "size", "s");
	assert_opened(p, stored, "text", NULL);
}

/* --- Stored -> shown ------------------------------------------------------------------------ */

static void the_shown_form_has_no_password(place *p, gconstpointer unused)
{
	const bh_method *method = bh_methods_find(p->methods, "all");
	g_autofree char *stored =
		stored_well(p, "{\"url\":\"https://a.example/\",\"pin\":\"1\",\"on\":false,\"count\":7}", NULL);

	g_autofree char *shown = bh_settings_masked(method, stored);
	g_assert_cmpstr(shown, ==,
			"{\"url\":\"https://a.example/"
			"\",\"password\":{\"set\":false},\"pin\":{\"set\":true},\"on\":false,\"count\":7}");

	/* What is shown can be given back as it is. */
	g_autofree char *again = stored_well(p, shown, stored);
	assert_opened(p, again, "pin", "1");

	g_autofree char *nothing = bh_settings_masked(method, "");
	g_assert_cmpstr(nothing, ==, "{\"password\":{\"set\":false},\"pin\":{\"set\":false}}");
	g_assert_null(bh_settings_url(method, ""));
}

static void a_field_that_became_another_format_shows_nothing_sealed(place *p, gconstpointer unused)
{
	g_autofree char *stored = stored_well(p, "{\"url\":\"https://a.example/\",\"pin\":\"1\"}", NULL);
	write_file(p, "all.lua",
		   "return { title = 'T', fields = { { key = 'pin', format = 'input', title = 'PIN', required = true } "
		   "},\n"
		   "  deliver = function() end }");
	g_autoptr(GPtrArray) broken = reload(p);
	g_assert_cmpuint(broken->len, ==, 0);
	g_autoptr(GError) error = NULL;

	g_autofree char *shown = bh_settings_masked(bh_methods_find(p->methods, "all"), stored);
	g_assert_cmpstr(shown, ==, "{}");
	g_assert_null(bh_settings_open(bh_methods_find(p->methods, "all"), stored, p->sealer, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
	g_clear_error(&error);
	g_assert_null(store(p, "{}", stored, NULL, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
}

/* --- Files ------------------------------------------------------------------------------------ */

static void a_method_file_becomes_a_form(place *p, gconstpointer unused)
{
	const bh_method *m = bh_methods_find(p->methods, "all");

	g_assert_cmpstr(m->name, ==, "all");
	g_assert_cmpstr(m->title, ==, "All kinds");
	g_assert_null(m->notes);
	g_assert_cmpuint(m->fields->len, ==, 9);
	const bh_field *size = g_ptr_array_index(m->fields, 7);
	g_assert_cmpstr(size->key, ==, "size");
	g_assert_cmpstr(size->default_json, ==, "\"s\"");
	g_assert_cmpstr(size->options[1], ==, "m");
	g_assert_null(size->options[2]);
	g_assert_false(size->required);
	const bh_field *text = g_ptr_array_index(m->fields, 4);
	g_assert_cmpstr(text->help, ==, "As long as you like.");
	g_assert_null(bh_methods_find(p->methods, "other"));
}

/* A file whose second line is `line`, in a frame that is right. */
static void assert_broken(place *p, const char *text, const char *expected)
{
	write_file(p, "bad.lua", text);
	g_autoptr(GPtrArray) broken = reload(p);
	g_assert_cmpuint(broken->len, ==, 1);
	const char *message = g_ptr_array_index(broken, 0);
	if (!strstr(message, expected))
		g_error("got \"%s\", expected \"%s\" in it", message, expected);
	g_assert_null(bh_methods_find(p->methods, "bad"));
}

static void a_broken_file_is_named_with_its_line(place *p, gconstpointer unused)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"return {\n  title = 'x',\n  fields = {}\n  deliver = 1\n}", "bad.lua:4: '}' expected"},
		{"local x = 1\nx.y.z = 2", "bad.lua:2: attempt to index"},
		{"\nerror('no luck')", "bad.lua:2: no luck"},
		{"error({})", "bad.lua:1: error() was called with a table"},
		{"\n\nprint('hello')", "bad.lua:3: a method has no 'print'"},
		{"\xef\xbb\xbf\nprint('hello')",
		 "bad.lua:2: a method has no 'print'"}, /* an editor's mark is skipped */
		{"\nx = 1", "bad.lua:2: 'x' must be declared with local"},
		{"\nlocal function f()\n while true do end\nend\nf()",
		 "bad.lua:3: the script used up its instructions"},
		{"local t = {}\nwhile true do t[#t + 1] = {} end", "bad.lua:2: the script "},
		{"local _ENV = {}", "bad.lua:1: '_ENV' cannot be used"},
		{"\x1bLua", "bad.lua: attempt to load a binary chunk"},
		{"", "bad.lua: the file must end in"},
		{"return 17", "bad.lua: the file must end in"},
		{"return string", "bad.lua:1: the method has no 'title'"},
		{"return {\n fields = {}, deliver = function() end }", "bad.lua:1: the method has no 'title'"},
		{"return {\n title = 'x',\n fields = {} }", "bad.lua:1: the method has no 'deliver'"},
		{"return {\n title = 'x',\n fields = {},\n deliver = pcall }",
		 "bad.lua:4: 'deliver' must be a function"},
		{"return {\n title = 'x',\n field = {} }",
		 "bad.lua:3: the method has an unknown member 'field'; did you mean fields?"},
		{"return {\n title = 17, fields = {}, deliver = function() end }", "bad.lua:2: 'title' must be text"},
		{"return {\n title = '\\xff', fields = {}, deliver = function() end }",
		 "bad.lua:2: 'title' must be UTF-8"},
		{"return { title = 'x', fields = { a = 1 } }", "'fields' must be a list"},
		{"return { title = 'x', fields = { {}, nil, {} } }", "'fields' must be a list"},
		{"return { title = 'x', fields = { 'url' } }", "field 1 is not a table"},
		{"return { title = 'x', fields = { {} } }", "field 1 has no 'key'"},
		{"return { title = 'x', fields = {\n {\n  key = 'Url' } } }", "bad.lua:3: the key 'Url' must be"},
		{"return { title = 'x', fields = {\n { key = 'url', format = 'link', title = 'x' } } }",
		 "bad.lua:2: field 'url' has the unknown format 'link'; there are url, input, "},
		{"return { title = 'x', fields = {\n { key = 'url', format = 'url' } } }",
		 "bad.lua:2: field 'url' has no 'title'"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'url', titel = 'x' } } }",
		 "bad.lua:2: field 1 has an unknown member 'titel'; did you mean title?"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'url', title = 'x', required = 1 } } }",
		 "'required' of field 'u'"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'select', title = 'x' } } }",
		 "bad.lua:2: field 'u' has no 'options'"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'select', title = 'x', options = {} } } }",
		 "bad.lua:2: field 'u' has no 'options'"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'select', title = 'x', options = { 'a', 'a' "
		 "} } } }",
		 "the option 'a' twice"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'input', title = 'x', options = { 'a' } } } "
		 "}",
		 "is no select"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'select', title = 'x', options = { 'a' }, "
		 "default = 'b' } } }",
		 "the default does not fit"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'integer', title = 'x', default = 1.5 } } }",
		 "'default' of"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'boolean', title = 'x', default = 'no' } } "
		 "}",
		 "the default does not fit"},
		{"return { title = 'x', fields = {\n { key = 'u', format = 'password', title = 'x', default = 'x' } } "
		 "}",
		 "a password has no default"},
		{"local f = { key = 'u', format = 'input', title = 'x' }\nreturn { title = 'x', fields = { f, f } }",
		 "two fields have the key 'u'"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		assert_broken(p, rows[i].text, rows[i].expected);
}

static void a_file_too_large_or_named_badly_is_refused(place *p, gconstpointer unused)
{
	g_autofree char *large = g_strnfill(256 * 1024 + 1, ' ');
	assert_broken(p, large, "bad.lua: the file is larger than 256 KiB");

	g_autofree char *bad = path_of(p->methods_folder, "bad.lua");
	g_remove(bad);
	write_file(p, "My Method.lua", "return 1");
	write_file(p, ".hidden.lua", "return 1");
	write_file(p, "all.lua~", "return 1");
	write_file(p, "README.md", "return 1");
	g_autoptr(GPtrArray) broken = reload(p);
	g_assert_cmpuint(broken->len, ==, 1);
	g_assert_true(g_str_has_prefix(g_ptr_array_index(broken, 0), "My Method.lua: "));
}

static void a_broken_file_keeps_its_previous_version(place *p, gconstpointer unused)
{
	const bh_method *before = bh_methods_find(p->methods, "all");

	write_file(p, "all.lua", "return {");
	g_autoptr(GPtrArray) broken = reload(p);
	g_assert_cmpuint(broken->len, ==, 1);
	g_assert_true(g_str_has_prefix(g_ptr_array_index(broken, 0), "all.lua:1: "));
	g_assert_true(bh_methods_find(p->methods, "all") == before);

	write_file(p, "all.lua", ALL_KINDS);
	g_autoptr(GPtrArray) still_broken = reload(p);
	g_assert_cmpuint(still_broken->len, ==, 0);
	g_assert_true(bh_methods_find(p->methods, "all") == before); /* unchanged: the very same */

	g_autofree char *path = path_of(p->methods_folder, "all.lua");
	g_remove(path);
	g_autoptr(GPtrArray) gone = reload(p);
	g_assert_cmpuint(gone->len, ==, 0);
	g_assert_null(bh_methods_find(p->methods, "all"));
}

static void what_is_broken_is_listed_with_the_set(place *p, gconstpointer unused)
{
	write_file(p, "z.lua", "return {\n title = 17 }");
	write_file(p, "all.lua", "return {");
	write_file(p, "My Method.lua", "return 1");
	g_autoptr(GPtrArray) told = reload(p);
	GPtrArray *broken = bh_methods_broken(p->methods);

	static const struct {
		const char *name, *why;
		bool kept;
	} rows[] = {
		{"My Method", "My Method.lua: a method file is named", false},
		{"all", "all.lua:1: ", true},
		{"z", "z.lua:2: 'title' must be text", false},
	};
	g_assert_cmpuint(told->len, ==, G_N_ELEMENTS(rows));
	g_assert_cmpuint(broken->len, ==, G_N_ELEMENTS(rows));
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const bh_broken_method *b = g_ptr_array_index(broken, i);
		g_assert_cmpstr(b->name, ==, rows[i].name);
		g_assert_true(g_str_has_prefix(b->why, rows[i].why));
		g_assert_cmpint(b->kept, ==, rows[i].kept);
	}

	/* Put right, it is broken no more; one that stays as it is stays named. */
	write_file(p, "all.lua", ALL_KINDS);
	g_autoptr(GPtrArray) again = reload(p);
	g_assert_cmpuint(bh_methods_broken(p->methods)->len, ==, 2);
}

static void methods_are_listed_by_name(place *p, gconstpointer unused)
{
	write_file(p, "z.lua", "return { title = 'z', fields = {}, deliver = function() end }");
	write_file(p, "a-1.lua", "return { title = 'a', fields = {}, deliver = function() end }");
	g_autoptr(GPtrArray) broken = reload(p);
	g_autoptr(GPtrArray) list = bh_methods_list(p->methods);

	g_assert_cmpuint(broken->len, ==, 0);
	g_assert_cmpuint(list->len, ==, 3);
	g_assert_cmpstr(((bh_method *)list->pdata[0])->name, ==, "a-1");
	g_assert_cmpstr(((bh_method *)list->pdata[1])->name, ==, "all");
	g_assert_cmpstr(((bh_method *)list->pdata[2])->name, ==, "z");
}

static void a_folder_that_is_not_there_is_an_error(place *p, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	g_assert_null(bh_methods_load("/nowhere/at/all", NULL, NULL, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_IO);
}

static void the_methods_that_ship_are_whole(place *p, gconstpointer unused)
{
	g_autofree char *folder = g_build_filename(g_getenv("BH_SOURCE_ROOT"), "methods", NULL);
	g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_methods) methods = bh_methods_load(folder, NULL, broken, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(broken->len, ==, 0);
	for (const char *const *name = (const char *const[]){"none", "basic", "mailchimp", "slack", NULL}; *name;
	     name++)
		g_assert_nonnull(bh_methods_find(methods, *name));
}

#define ADD(name) g_test_add("/method/forms/" #name, place, NULL, set_up, name, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(what_does_not_fit_is_named_with_a_pointer);
	ADD(any_character_survives);
	ADD(a_url_keeps_its_query_and_loses_the_blanks_around);
	ADD(a_text_over_its_limit_is_refused);
	ADD(a_password_is_sealed_for_its_field);
	ADD(what_is_left_out_keeps_its_value);
	ADD(defaults_stand_in_for_what_is_not_there);
	ADD(the_shown_form_has_no_password);
	ADD(a_field_that_became_another_format_shows_nothing_sealed);
	ADD(a_method_file_becomes_a_form);
	ADD(a_broken_file_is_named_with_its_line);
	ADD(a_file_too_large_or_named_badly_is_refused);
	ADD(a_broken_file_keeps_its_previous_version);
	ADD(what_is_broken_is_listed_with_the_set);
	ADD(methods_are_listed_by_name);
	ADD(a_folder_that_is_not_there_is_an_error);
	ADD(the_methods_that_ship_are_whole);
	return g_test_run();
}
