/* accepts, transform and deliver, of a method and of a webhook's own script, and what passes between them. */
#include "method_rig.h"

/* A method "m" that has these functions before a deliver that tells what it got; `functions` stand on line 4. */
static void write_staged(rig *r, const char *locals, const char *functions)
{
	g_autofree char *text = g_strdup_printf("%s return { interface = 1, title = 'T', fields = {\n"
						"  { key = 'url', format = 'url', title = 'URL' },\n"
						"  { key = 'password', format = 'password', title = 'P' } },\n"
						"%s\n"
						"deliver = function(event, settings, remote)\n"
						"  return remote.post(settings.url, { body = event.body })\n"
						"end }\n",
						locals, functions);
	write_method(r, "m", text);
	g_assert_cmpuint(reload(r), ==, 0);
}

/* Runs "m" and its script to the first call, whose body is this, and to its good end. */
static void assert_sends(rig *r, const char *body)
{
	bh_request call;
	bh_script *s = begin(r, "m", SETTINGS);

	assert_call(r, s, NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
	g_autofree char *sent = g_strndup(call.body.at, call.body.size);
	g_assert_cmpstr(sent, ==, body);
	gsize size;
	const char *kept = g_bytes_get_data(bh_script_body(s), &size);
	g_assert_true(bh_span_is((bh_span){kept, size}, body));
	assert_judged(s, answer_with(r, s, 200, "", "", &call), BH_JUDGED_BY_ANSWER, NULL);
	bh_script_free(s);
}

/* Runs "m" and its script to an end without a call. */
static void assert_ends(rig *r, int kind, const char *why)
{
	bh_request call;
	bh_script *s = begin(r, "m", SETTINGS);
	assert_judged(s, resume(r, s, NULL, &call), kind, why);
	bh_script_free(s);
}

/* --- accepts ---------------------------------------------------------------------------------- */

static void a_method_can_refuse_an_event(rig *r, gconstpointer unused)
{
	write_staged(r, "", "accepts = function(event) return event.type ~= 'booking_added' end,");
	assert_ends(r, BH_JUDGED_FILTERED, "A condition of the method does not want this event.");
	write_staged(r, "", "accepts = function(event) return event.type == 'booking_added' end,");
	assert_sends(r, "{\"n\":1.50}");
}

static void an_own_script_can_refuse_an_event(rig *r, gconstpointer unused)
{
	write_staged(r, "", "");
	r->script = "return { accepts = function(event, settings) return event.property_id == '13' end }";
	assert_ends(r, BH_JUDGED_FILTERED, "A condition of the webhook's own script does not want this event.");
	r->script = "return { accepts = function(event, settings) return event.property_id == '12' end }";
	assert_sends(r, "{\"n\":1.50}");
}

/* The method is asked first; what it refuses, the own script does not see, and nobody transforms. */
static void a_refused_event_goes_no_further(rig *r, gconstpointer unused)
{
	write_staged(r, "",
		     "accepts = function() return false end,\n"
		     "transform = function() error('transform was called') end,");
	r->script = "return { accepts = function() error('accepts was called') end }";
	assert_ends(r, BH_JUDGED_FILTERED, "A condition of the method does not want this event.");
	write_staged(r, "", "transform = function() error('transform was called') end,");
	r->script = "return { accepts = function() return false end }";
	assert_ends(r, BH_JUDGED_FILTERED, "A condition of the webhook's own script does not want this event.");
}

/* Someone who forgets a `return` must hear of it, not lose events. */
static void accepts_must_say_true_or_false(rig *r, gconstpointer unused)
{
	static const struct {
		const char *result, *what;
	} rows[] = {
		{"", "nothing"},          {"return nil", "nothing"},
		{"return 0", "a number"}, {"return 'true'", "a string"},
		{"return {}", "a table"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *method = g_strdup_printf("accepts = function() %s end,", rows[i].result);
		g_autofree char *own = g_strdup_printf("\nreturn { accepts = function() %s end }", rows[i].result);
		g_autofree char *of_method =
			g_strdup_printf("m.lua:4: accepts returned %s; it must return true or false", rows[i].what);
		g_autofree char *of_own =
			g_strdup_printf("script:2: accepts returned %s; it must return true or false", rows[i].what);

		r->script = NULL;
		write_staged(r, "", method);
		assert_breaks(r, "m", SETTINGS, of_method);
		write_staged(r, "", "");
		r->script = own;
		assert_breaks(r, "m", SETTINGS, of_own);
	}
}

static void a_test_is_not_asked_but_transformed(rig *r, gconstpointer unused)
{
	write_staged(r, "",
		     "accepts = function() return false end,\n"
		     "transform = function(event) return event.body .. tostring(event.test) end,");
	r->script = "return { accepts = function() return false end,\n"
		    "transform = function(event) return event.body .. '!' end }";
	r->is_test = true;
	assert_sends(r, "{\"n\":1.50}true!");
}

/* --- transform ---------------------------------------------------------------------------------- */

static void transforms_follow_each_other(rig *r, gconstpointer unused)
{
	write_staged(r, "", "transform = function(event) return event.body .. '1' end,");
	assert_sends(r, "{\"n\":1.50}1");
	r->script = "return { transform = function(event) return event.body .. '2' end }";
	assert_sends(r, "{\"n\":1.50}12");
	write_staged(r, "", "");
	assert_sends(r, "{\"n\":1.50}2");
}

static void a_table_becomes_json_and_nothing_changes_nothing(rig *r, gconstpointer unused)
{
	write_staged(r, "", "transform = function(event) return { b = { 1, 2 }, a = event.id } end,");
	assert_sends(r, "{\"a\":\"evt_04f2k8m1q7zr0\",\"b\":[1,2]}");
	r->script = "return { transform = function(event) end }";
	assert_sends(r, "{\"a\":\"evt_04f2k8m1q7zr0\",\"b\":[1,2]}");
	write_staged(r, "", "transform = function(event) return '' end,");
	assert_sends(r, "");
}

/* What a script writes into event.body is not what is sent; what it returns is. */
static void only_what_is_returned_is_sent(rig *r, gconstpointer unused)
{
	write_staged(r, "",
		     "accepts = function(event) event.body = 'a' return true end,\n"
		     "transform = function(event) local was = event.body event.body = 'b' return was end,");
	r->script = "return { transform = function(event) event.body = 'c' event.attempt = 99 end }";
	assert_sends(r, "{\"n\":1.50}");
}

/* The event's table is the run's own, from stage to stage. */
static void data_changed_by_one_stage_is_seen_by_the_next(rig *r, gconstpointer unused)
{
	r->data = "{\"guest\":{\"name\":\"Ann\"},\"n\":9007199254740993}";
	write_staged(r, "",
		     "accepts = function(event) return event.data.guest.name == 'Ann' end,\n"
		     "transform = function(event) event.data.guest.name = 'A.' return event.data end,");
	r->script = "return { transform = function(event) event.data.by = event.body:sub(1, 9) return event.data end }";
	for (int i = 0; i < 2; i++)
		assert_sends(r, "{\"by\":\"{\\\"guest\\\":\",\"guest\":{\"name\":\"A.\"},\"n\":9007199254740993}");
}

static void a_wrong_result_is_an_error_with_its_line(rig *r, gconstpointer unused)
{
	static const struct {
		const char *result, *trouble;
	} rows[] = {
		{"return 17", "transform returned a number; it must return a text, a table, or nothing"},
		{"return true", "transform returned a boolean; it must return a text, a table, or nothing"},
		{"return ('x'):rep(1024 * 1024 + 1)", "transform returned a body of more than 1048576 bytes"},
		{"return { rooms = { 1, 2, print_it } }", "a method has no 'print_it'"},
		{"return { rooms = { 1, 2, tostring } }", "rooms[3]"},
		{"local t = {} for i = 1, 1100000 do t[i] = 1 end return t", ""},
		{"error('no')", "no"},
		{"return remote.get('https://a.example/')", "a method has no 'remote'"},
		{"return time.format(time.now())", "now"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *method = g_strdup_printf("transform = function() %s end,", rows[i].result);
		g_autofree char *own = g_strdup_printf("\n\nreturn { transform = function() %s end }", rows[i].result);

		r->script = NULL;
		write_staged(r, "", method);
		assert_breaks(r, "m", SETTINGS, rows[i].trouble);
		assert_breaks(r, "m", SETTINGS, "m.lua:4: ");
		write_staged(r, "", "");
		r->script = own;
		assert_breaks(r, "m", SETTINGS, rows[i].trouble);
		assert_breaks(r, "m", SETTINGS, "script:3: ");
	}
	r->script = NULL;
	assert_host_is_well(r);
}

/* --- What they see -------------------------------------------------------------------------------- */

/* Else a dry run could read back what was entered once. */
static void passwords_are_for_deliver_alone(rig *r, gconstpointer unused)
{
	static const char look[] = "local names = {} for name in pairs(settings) do names[#names + 1] = name end\n"
				   "table.sort(names) return table.concat(names, ' ') .. tostring(settings.password)";
	g_autofree char *accepts = g_strdup_printf("accepts = function(event, settings)\n"
						   "local seen = (function() %s end)()\n"
						   "assert(seen == 'urlnil', seen) return true end,\n"
						   "transform = function(event, settings) %s end,",
						   look, look);
	g_autofree char *own = g_strdup_printf("return { transform = function(event, settings)\n"
					       "return event.body .. (function() %s end)() end }",
					       look);
	write_staged(r, "", accepts);
	g_autofree char *settings =
		stored(r, "m", "{\"url\":\"https://a.example/hook?a=1&b=2\",\"password\":\"geheim\"}");
	r->script = own;

	bh_request call;
	bh_script *s = begin(r, "m", settings);
	assert_call(r, s, NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
	g_assert_true(bh_span_is(call.body, "urlnilurlnil"));
	bh_script_free(s);

	write_method(r, "m",
		     "return { title = 'T', fields = { { key = 'url', format = 'url', title = 'URL' },\n"
		     "{ key = 'password', format = 'password', title = 'P' } },\n"
		     "transform = function(event, settings) return tostring(settings.password) end,\n"
		     "deliver = function(event, settings, remote)\n"
		     "return remote.delivered(event.body .. #settings.password) end }");
	g_assert_cmpuint(reload(r), ==, 0);
	r->script = NULL;
	g_autofree char *note = note_of(r, "m", settings);
	g_assert_cmpstr(note, ==, "nil6");
}

static void only_deliver_knows_the_attempt(rig *r, gconstpointer unused)
{
	write_method(r, "m",
		     "return { title = 'T', fields = {},\n"
		     "accepts = function(event, settings, remote)\n"
		     "  assert(event.attempt == nil and remote == nil) return true end,\n"
		     "transform = function(event) return tostring(event.attempt) end,\n"
		     "deliver = function(event, settings, remote)\n"
		     "  return remote.delivered(event.body .. ' ' .. event.attempt) end }");
	g_assert_cmpuint(reload(r), ==, 0);
	r->script = "return { transform = function(event) return event.body .. tostring(event.attempt) end }";
	g_autofree char *note = note_of(r, "m", "{}");
	g_assert_cmpstr(note, ==, "nilnil 3");
}

/* --- Parts ------------------------------------------------------------------------------------------ */

static void content_is_made_without_being_sent(rig *r, gconstpointer unused)
{
	bh_request call;
	write_staged(r, "", "transform = function(event) return 'made' end,");
	r->script = "return { accepts = function(event) return event.body ~= '' end }";
	r->part = BH_SCRIPT_CONTENT;
	bh_script *s = begin(r, "m", SETTINGS);
	assert_judged(s, resume(r, s, NULL, &call), BH_JUDGED_DELIVERED, NULL);
	g_assert_true(bh_span_is((bh_span){g_bytes_get_data(bh_script_body(s), NULL), 4}, "made"));
	bh_script_free(s);

	r->script = "return { accepts = function(event) return false end }";
	assert_ends(r, BH_JUDGED_FILTERED, "A condition of the webhook's own script does not want this event.");
	r->script = NULL;
	write_staged(r, "", "");
	assert_ends(r, BH_JUDGED_DELIVERED, NULL);
}

static void a_condition_is_asked_without_anything_else(rig *r, gconstpointer unused)
{
	write_staged(r, "", "transform = function(event) error('called') end,");
	r->part = BH_SCRIPT_CONDITION;
	assert_ends(r, BH_JUDGED_DELIVERED, NULL);
	r->script = "return { accepts = function() return false end, transform = function() error('called') end }";
	assert_ends(r, BH_JUDGED_FILTERED, "A condition of the webhook's own script does not want this event.");
	r->script = "return { accepts = function() return true end, transform = function() error('called') end }";
	assert_ends(r, BH_JUDGED_DELIVERED, NULL);
}

static void who_can_filter_is_known(rig *r, gconstpointer unused)
{
	static const char accepts[] = "return { accepts = function() return true end }";
	static const char transform[] = "return { transform = function() end }";

	write_staged(r, "", "transform = function() end,");
	g_assert_false(bh_script_host_filters(r->host, "m", NULL));
	g_assert_false(bh_script_host_filters(r->host, "m", transform));
	g_assert_true(bh_script_host_filters(r->host, "m", accepts));
	g_assert_true(bh_script_host_filters(r->host, "m", "return {")); /* its trouble must be seen */
	g_assert_false(bh_script_host_filters(r->host, "unknown", NULL));
	write_staged(r, "", "accepts = function() return true end,");
	g_assert_true(bh_script_host_filters(r->host, "m", NULL));
	g_assert_true(bh_script_host_filters(r->host, "m", transform));
}

/* --- Own scripts ------------------------------------------------------------------------------------ */

static void an_own_script_is_checked(rig *r, gconstpointer unused)
{
	static const struct {
		const char *source, *trouble; /* NULL: it is good */
	} rows[] = {
		{"return { accepts = function() return true end }", NULL},
		{"return { transform = function() end, interface = 1 }", NULL},
		{"local n = 0\nreturn { accepts = function() n = n + 1 return n == 1 end }", NULL},
		{"", "script: the script must end in `return { accepts = ..., transform = ... }`"},
		{"return 17", "script: the script must end in"},
		{"return {}", "script:1: the script has neither 'accepts' nor 'transform'"},
		{"\nreturn { accepts = true }", "script:2: 'accepts' must be a function"},
		{"return { transform = tostring }", "script:1: 'transform' must be a function"},
		{"return {\n accepts = function() end,\n deliver = function() end }",
		 "script:3: the script has an unknown member 'deliver'"},
		{"return { function() end }", "script: the script has a member that is not named by a text"},
		{"return { interface = 2, accepts = function() end }",
		 "script:1: wants interface 2; this Bellhop speaks 1: a newer Bellhop is needed"},
		{"return { interface = '1', accepts = function() end }",
		 "script:1: 'interface' must be a whole number"},
		{"return {\n", "script:2: "},
		{"local x = 1\nlocal y = x.y.z", "script:2: attempt to index a number value"},
		{"while true do end", "script:1: the script used up its instructions"},
		{"local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end", "script:1: the script "},
		{"while true do pcall(error) end", "script:1: the script used up its instructions"},
		{"remote.get('https://a.example/')", "script:1: a method has no 'remote'"},
		{"leak = 1", "script:1: 'leak' must be declared with local"},
		{"return _ENV", "script:1: '_ENV' cannot be used"},
		{"\x1bLua", "script: "},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		bool ok = bh_script_check(bh_span_of(rows[i].source), &error);
		if (ok != !rows[i].trouble)
			g_error("\"%s\": %s", rows[i].source, ok ? "is taken" : error->message);
		if (ok)
			continue;
		g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
		if (!g_str_has_prefix(error->message, rows[i].trouble))
			g_error("\"%s\": %s", rows[i].source, error->message);

		/* One that was stored all the same breaks its runs, and says the same. */
		write_staged(r, "", "");
		r->script = rows[i].source;
		if (*rows[i].source)
			assert_breaks(r, "m", SETTINGS, rows[i].trouble);
	}
}

static void an_own_script_has_a_size(rig *r, gconstpointer unused)
{
	static const char end[] = "return { accepts = function() return true end }";
	g_autoptr(GString) text = g_string_new(end);
	g_autoptr(GError) error = NULL;

	while (text->len < 16 * 1024)
		g_string_prepend_c(text, ' ');
	g_assert_true(bh_script_check((bh_span){text->str, text->len}, &error));
	g_assert_no_error(error);
	g_string_prepend_c(text, ' ');
	g_assert_false(bh_script_check((bh_span){text->str, text->len}, &error));
	g_assert_cmpstr(error->message, ==, "script: the script is longer than 16 KiB");
	g_clear_error(&error);
	g_assert_false(bh_script_check((bh_span){"return {}\0", 10}, &error));
	g_assert_cmpstr(error->message, ==, "script: the script holds a zero byte");
}

/* Two webhooks with the same text share what was compiled, and not one value. */
static void nothing_passes_between_runs_of_the_same_text(rig *r, gconstpointer unused)
{
	static const char *const scripts[] = {
		"local n, kept = 0, {}\n"
		"return { accepts = function(event) n = n + 1 kept[#kept + 1] = event.body return true end,\n"
		"  transform = function(event) n = n + 1 return n .. #kept end }",
		"local t = {}\n"
		"t.accepts = function(event) t.n = (t.n or 1) + 1 return true end\n"
		"t.transform = function(event) return tostring(t.n) .. '1' end\n"
		"return { accepts = t.accepts, transform = t.transform }",
	};

	write_staged(r, "", "");
	for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
		r->script = scripts[i];
		for (int again = 0; again < 3; again++)
			assert_sends(r, "21");
	}
}

/* Also while one of them waits. The locals of a file are one set for all stages of a run. */
static void locals_are_those_of_one_run(rig *r, gconstpointer unused)
{
	bh_request call;
	write_staged(r, "local seen = 'none'",
		     "accepts = function(event) seen = event.body return true end,\n"
		     "transform = function(event) local was = seen seen = 'other' return was .. '+' .. seen end,");
	bh_script *a = begin(r, "m", SETTINGS), *b = begin(r, "m", SETTINGS);
	assert_call(r, a, NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
	g_assert_true(bh_span_is(call.body, "{\"n\":1.50}+other"));
	assert_call(r, b, NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
	g_assert_true(bh_span_is(call.body, "{\"n\":1.50}+other"));
	bh_script_free(a);
	bh_script_free(b);
}

/* A run can change the table that its functions lie in; that is its own affair. */
static void a_function_that_went_away_is_an_error(rig *r, gconstpointer unused)
{
	write_method(r, "m",
		     "local t = { title = 'T', fields = {} }\n"
		     "t.accepts = function() t.deliver = nil return true end\n"
		     "t.deliver = function(event, settings, remote) return remote.delivered() end\n"
		     "return t");
	g_assert_cmpuint(reload(r), ==, 0);
	for (int i = 0; i < 2; i++)
		assert_breaks(r, "m", "{}", "m.lua:3: 'deliver' is not a function any more");
}

/* More texts than are kept: each finds itself, also one that fell out while it waited. */
static void more_scripts_than_are_kept(rig *r, gconstpointer unused)
{
	bh_request call;
	write_staged(r, "", "");
	r->script = "return { transform = function(event) return 'first' end }";
	bh_script *first = begin(r, "m", SETTINGS);

	for (int i = 0; i < 600; i++) {
		g_autofree char *text = g_strdup_printf("return { transform = function() return '%d' end }", i % 300);
		g_autofree char *expected = g_strdup_printf("%d", i % 300);
		r->script = text;
		assert_sends(r, expected);
	}
	assert_call(r, first, NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
	g_assert_true(bh_span_is(call.body, "first"));
	bh_script_free(first);
}

/* --- The interface ---------------------------------------------------------------------------------- */

static void a_method_says_what_it_has(rig *r, gconstpointer unused)
{
	write_staged(r, "", "accepts = function() return true end,");
	const bh_method *m = bh_methods_find(r->methods, "m");
	g_assert_true(m->has_accepts);
	g_assert_false(m->has_transform);
	g_assert_cmpint(m->interface, ==, 1);
	write_staged(r, "", "transform = function() end,");
	m = bh_methods_find(r->methods, "m");
	g_assert_false(m->has_accepts);
	g_assert_true(m->has_transform);

	write_method(r, "new", "return { interface = 2,\n title = 'T', fields = {}, deliver = function() end }");
	g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(bh_methods) next = bh_methods_load(r->methods_folder, r->methods, broken, NULL);
	g_assert_nonnull(next);
	g_assert_cmpuint(broken->len, ==, 1);
	g_assert_cmpstr(broken->pdata[0], ==,
			"new.lua:1: wants interface 2; this Bellhop speaks 1: a newer Bellhop is needed");
}

/* A new file, while runs of the old one are at every stage. */
static void a_reload_leaves_runs_alone(rig *r, gconstpointer unused)
{
	bh_request call;
	write_staged(r, "local old = 'old'",
		     "accepts = function() for i = 1, 600000 do end return true end,\n"
		     "transform = function(event) for i = 1, 600000 do end return old end,");
	bh_script *runs[8];
	for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
		runs[i] = begin(r, "m", SETTINGS);
		bh_script_turn turn = i ? bh_script_resume(runs[i], NULL, &call) : BH_SCRIPT_LATER;
		for (size_t slices = 1; slices < i; slices++) {
			g_assert_cmpint(turn, ==, BH_SCRIPT_LATER);
			g_assert_true(bh_script_host_next(r->host) == runs[i]);
			turn = bh_script_resume(runs[i], NULL, &call);
		}
		if (i)
			g_assert_true(bh_script_host_next(r->host) == runs[i]);
	}
	write_staged(r, "", "transform = function(event) return 'new' end,");
	assert_sends(r, "new");
	for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
		assert_call(r, runs[i], NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
		g_assert_true(bh_span_is(call.body, "old"));
		bh_script_free(runs[i]);
	}
}

#define ADD(name) g_test_add("/method_stages/" #name, rig, NULL, set_up, name, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(a_method_can_refuse_an_event);
	ADD(an_own_script_can_refuse_an_event);
	ADD(a_refused_event_goes_no_further);
	ADD(accepts_must_say_true_or_false);
	ADD(a_test_is_not_asked_but_transformed);
	ADD(transforms_follow_each_other);
	ADD(a_table_becomes_json_and_nothing_changes_nothing);
	ADD(only_what_is_returned_is_sent);
	ADD(data_changed_by_one_stage_is_seen_by_the_next);
	ADD(a_wrong_result_is_an_error_with_its_line);
	ADD(passwords_are_for_deliver_alone);
	ADD(only_deliver_knows_the_attempt);
	ADD(content_is_made_without_being_sent);
	ADD(a_condition_is_asked_without_anything_else);
	ADD(who_can_filter_is_known);
	ADD(an_own_script_is_checked);
	ADD(an_own_script_has_a_size);
	ADD(nothing_passes_between_runs_of_the_same_text);
	ADD(locals_are_those_of_one_run);
	ADD(a_function_that_went_away_is_an_error);
	ADD(more_scripts_than_are_kept);
	ADD(a_method_says_what_it_has);
	ADD(a_reload_leaves_runs_alone);
	return g_test_run();
}
