/* Runs of methods, with a remote service that is a few lines of C. */
#include "method_rig.h"

/* --- The methods that ship ------------------------------------------------------------------ */

static void none_posts_the_event_as_it_is(rig *r, gconstpointer unused)
{
	bh_request call;
	use_shipped(r, "none");
	g_autofree char *settings = stored(r, "none", "{\"url\":\"https://a.example/hook?a=1&b=2\"}");

	bh_script *s = begin(r, "none", settings);
	assert_call(r, s, NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
	g_assert_true(bh_span_is(call.body, "{\"n\":1.50}"));
	g_assert_cmpstr(call.headers[0], ==, "Content-Type: application/json");
	g_assert_null(call.headers[1]);
	assert_judged(s, answer_with(r, s, 503, "Retry-After: 5\n", "later", &call), BH_JUDGED_BY_ANSWER, NULL);
	bh_script_free(s);
}

static void basic_sends_name_and_password_as_utf8(rig *r, gconstpointer unused)
{
	bh_request call;
	use_shipped(r, "basic");
	g_autofree char *settings = stored(
		r, "basic",
		"{\"url\":\"https://a.example/\",\"basic_username\":\"büro\",\"basic_password\":\"pä:ss wörd€\"}");

	for (int i = 0; i < 3; i++) { /* the second time from what was kept */
		bh_script *s = begin(r, "basic", settings);
		assert_call(r, s, NULL, "POST", "https://a.example/", &call);
		g_assert_cmpstr(header_of(&call, "Authorization"), ==, "Basic YsO8cm86cMOkOnNzIHfDtnJk4oKs");
		g_assert_cmpstr(header_of(&call, "Content-Type"), ==, "application/json");
		g_assert_true(bh_span_is(call.body, "{\"n\":1.50}"));
		assert_judged(s, answer_with(r, s, 200, "", "", &call), BH_JUDGED_BY_ANSWER, NULL);
		bh_script_free(s);
	}
}

/* --- What a script sees ----------------------------------------------------------------------- */

static void the_event_is_there(rig *r, gconstpointer unused)
{
	assert_evaluates(r, "event.id", "evt_04f2k8m1q7zr0");
	assert_evaluates(r, "event.type", "booking_added");
	assert_evaluates(r, "event.property_id", "12");
	assert_evaluates(r, "event.manager_id", "nil");
	assert_evaluates(r, "event.body", "{\"n\":1.50}");
	assert_evaluates(r, "event.attempt", "3");
	assert_evaluates(r, "event.occurred_at", "2026-11-25T14:51:02.123456Z");
}

static void settings_have_their_types(rig *r, gconstpointer unused)
{
	write_method(r, "types",
		     "return { title = 'T', fields = {\n"
		     "  { key = 'on', format = 'boolean', title = 'On' },\n"
		     "  { key = 'n', format = 'integer', title = 'N', default = 5 },\n"
		     "  { key = 'p', format = 'password', title = 'P' },\n"
		     "  { key = 'text', format = 'area', title = 'T' } },\n"
		     "deliver = function(event, settings, remote)\n"
		     "  local names = {}\n"
		     "  for name, value in pairs(settings) do names[#names + 1] = name .. '=' .. type(value) end\n"
		     "  table.sort(names)\n"
		     "  return remote.delivered(table.concat(names, ' ') .. ' ' .. #settings.text)\n"
		     "end }");
	g_assert_cmpuint(reload(r), ==, 0);
	g_autofree char *settings = stored(r, "types", "{\"on\":false,\"p\":\"hidden\",\"text\":\"a\\nb\"}");

	g_autofree char *note = note_of(r, "types", settings);
	g_assert_cmpstr(note, ==, "n=number on=boolean p=string text=string 3");
}

static void an_answer_is_a_table(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "look", "",
		      "local a = remote.get('https://a.example/1')\n"
		      "return remote.delivered(a.status .. ' ' .. a.body .. ' ' .. a.headers['content-type'] .. ' '\n"
		      "  .. a.headers['x-two'] .. ' ' .. tostring(a.cause) .. ' ' .. tostring(a.sentence) .. ' '\n"
		      "  .. tostring(a.retry_after) .. ' ' .. tostring(a.nothing))");
	bh_script *s = begin(r, "look", SETTINGS);
	assert_call(r, s, NULL, "GET", "https://a.example/1", &call);
	g_assert_cmpuint(call.body.size, ==, 0);
	g_assert_null(call.headers[0]);
	bh_script_turn turn =
		answer_with(r, s, 200, "Content-Type:  text/plain \nX-Two: a\nx-two: b\nbroken\n: x\n", "hello", &call);
	assert_judged(s, turn, BH_JUDGED_DELIVERED, "200 hello text/plain a, b nil nil nil nil");
	bh_script_free(s);

	s = begin(r, "look", SETTINGS);
	assert_call(r, s, NULL, "GET", "https://a.example/1", &call);
	reply a;
	reply_init(&a, 0, "content-type: \nx-two: 2\n", "");
	a.answer.cause = BH_CAUSE_TIMEOUT;
	g_strlcpy(a.answer.sentence, "It took too long.", sizeof a.answer.sentence);
	a.answer.has_retry_after = true;
	a.answer.retry_after = 2500 * BH_MILLISECOND;
	turn = resume(r, s, &a.answer, &call);
	assert_judged(s, turn, BH_JUDGED_DELIVERED, "0   2 timeout It took too long. 2.5 nil");
	bh_script_free(s);
	reply_clear(&a);
}

static void an_answer_outlives_the_calls_that_follow(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(
		r, "two", "",
		"local first = remote.get('https://a.example/1')\n"
		"local second = remote.get('https://a.example/2')\n"
		"local names = {}\n"
		"for name in pairs(second) do names[#names + 1] = name end\n"
		"table.sort(names)\n"
		"return remote.delivered(first.body .. first.headers.a .. second.body .. table.concat(names, ','))");
	bh_script *s = begin(r, "two", SETTINGS);
	assert_call(r, s, NULL, "GET", "https://a.example/1", &call);
	g_assert_cmpint(answer_with(r, s, 200, "A: one\n", "1", &call), ==, BH_SCRIPT_CALLS);
	g_assert_cmpstr(call.url, ==, "https://a.example/2");
	assert_judged(s, answer_with(r, s, 200, "", "2", &call), BH_JUDGED_DELIVERED, "1one2body,headers,status");
	bh_script_free(s);
}

static void the_walk_through_an_answer_takes_nothing_else(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "walk", "",
		      "local step, answer = pairs(remote.get('https://a.example/'))\n"
		      "local said = {}\n"
		      "for i, wrong in ipairs { json.null, step, 'text', 7, true } do\n"
		      "  said[i] = tostring(pcall(step, wrong))\n"
		      "end\n"
		      "said[#said + 1] = tostring(pcall(step))\n"
		      "said[#said + 1] = tostring(step(answer) ~= nil)\n"
		      "return remote.delivered(table.concat(said, ' '))");
	bh_script *s = begin(r, "walk", SETTINGS);
	assert_call(r, s, NULL, "GET", "https://a.example/", &call);
	assert_judged(s, answer_with(r, s, 200, "", "", &call), BH_JUDGED_DELIVERED,
		      "false false false false false false true");
	bh_script_free(s);
}

/* --- Calls ------------------------------------------------------------------------------------- */

static void a_call_can_be_made_in_every_way(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(
		r, "calls", "",
		"remote.put('https://a.example/put', { body = 'x', headers = { ['content-type'] = 'text/plain' } })\n"
		"remote.request { verb = 'DELETE', url = 'https://a.example/del', headers = { ['X-N'] = 17 } }\n"
		"local ok, answer = pcall(remote.get, 'https://a.example/get', { headers = { Accept = 'a/b' } })\n"
		"return answer");
	bh_script *s = begin(r, "calls", SETTINGS);

	assert_call(r, s, NULL, "PUT", "https://a.example/put", &call);
	g_assert_true(bh_span_is(call.body, "x"));
	g_assert_cmpstr(call.headers[0], ==, "content-type: text/plain");
	g_assert_null(call.headers[1]);
	g_assert_cmpint(answer_with(r, s, 200, "", "", &call), ==, BH_SCRIPT_CALLS);
	g_assert_cmpstr(call.verb, ==, "DELETE");
	g_assert_cmpstr(call.url, ==, "https://a.example/del");
	g_assert_cmpstr(header_of(&call, "X-N"), ==, "17");
	g_assert_null(header_of(&call, "Content-Type"));
	g_assert_cmpint(answer_with(r, s, 200, "", "", &call), ==, BH_SCRIPT_CALLS);
	g_assert_cmpstr(call.url, ==, "https://a.example/get");
	g_assert_cmpstr(header_of(&call, "accept"), ==, "a/b");
	assert_judged(s, answer_with(r, s, 200, "", "", &call), BH_JUDGED_BY_ANSWER, NULL);
	bh_script_free(s);
}

static void a_wrong_call_is_a_script_error(rig *r, gconstpointer unused)
{
	static const struct {
		const char *code, *expected;
	} rows[] = {
		{"remote.post()", "bad.lua:5: remote.post: the URL must be a text, not nil"},
		{"remote.post('https://a.example/a b')", "remote.post: the URL holds a blank"},
		{"remote.post('https://a.example/\\n')", "remote.post: the URL holds a blank"},
		{"remote.post('https://a.example/\\0')", "remote.post: the URL holds a blank"},
		{"remote.post(('x'):rep(2049))", "remote.post: the URL is longer than 2048 bytes"},
		{"remote:post('https://a.example/')", "remote.post: takes the URL first, and a dot, no colon"},
		{"remote.post { url = 'https://a.example/' }", "remote.post: takes the URL first"},
		{"remote.post('https://a.example/', 17)", "remote.post: the options must be a table"},
		{"remote.post('https://a.example/', { header = {} })", "remote.post: unknown option 'header'"},
		{"remote.post('https://a.example/', { body = {} })",
		 "remote.post: the body must be a text, not table; json.encode"},
		{"remote.get('https://a.example/', { body = 'x' })", "remote.get: a GET has no body"},
		{"remote.post('https://a.example/', { body = ('x'):rep(1024 * 1024 + 1) })",
		 "remote.post: the body is longer"},
		{"remote.post('https://a.example/', { headers = 'x' })", "remote.post: `headers` must be a table"},
		{"remote.post('https://a.example/', { headers = { 'x' } })", "remote.post: `headers` must map names"},
		{"remote.post('https://a.example/', { headers = { a = {} } })",
		 "remote.post: the header 'a' is a table"},
		{"remote.post('https://a.example/', { headers = { Host = 'x' } })", "\"Host\""},
		{"remote.post('https://a.example/', { headers = { ['webhook-id'] = 'x' } })", "\"webhook-id\""},
		{"remote.post('https://a.example/', { headers = { a = 'x\\r\\nHost: y' } })", "\"a\""},
		{"remote.post('https://a.example/', { headers = { ['a\\0b'] = 'x' } })", "zero byte"},
		{"remote.post('https://a.example/', { headers = { ['Content-Type'] = 'a\\nb' } })",
		 "the Content-Type is not one"},
		{"remote.post('https://a.example/', { headers = { A = '1', a = '2' } })", "is there twice"},
		{"local h = {} for i = 1, 65 do h['X-' .. i] = '1' end remote.get('https://a.example/', { headers = h "
		 "})",
		 "more than 64 headers"},
		{"remote.request { url = 'https://a.example/' }", "remote.request: the verb must be"},
		{"remote.request { verb = 'CONNECT', url = 'https://a.example/' }", "remote.request: the verb must be"},
		{"remote.request { verb = 'POST' }", "remote.request: the URL must be a text, not nil"},
		{"('x'):gsub('x', function() remote.get('https://a.example/') end)",
		 "cannot be called from inside string.gsub"},
		{"remote.basic('a:b', 'c')", "remote.basic: the user name holds a colon"},
		{"remote.basic('a', 'c\\n')", "remote.basic: the password holds a control character"},
		{"remote.basic('a')", "remote.basic: the password must be a text, not no value"},
		{"remote.retry('x', -1)", "remote.retry: the time must not be negative"},
		{"remote.retry('x', 0/0)", "remote.retry: the time must not be negative"},
		{"remote.retry('x', 'y')", "remote.retry: the time must be seconds, not a string"},
		{"remote.fail({})", "remote.fail: the reason must be a text, not a table"},
		{"remote.fail('x', 1)", "remote.fail: takes a reason and nothing else"},
		{"remote.post = 1", "cannot set 'post': this table is read-only"},
		{"remote.nothing()", "bad.lua:5: attempt to call a nil value (field 'nothing')"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		assert_code_breaks(r, rows[i].code, rows[i].expected);
}

static void calls_are_counted(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "many", "", "while true do remote.get('https://a.example/') end");
	bh_script *s = begin(r, "many", SETTINGS);

	assert_call(r, s, NULL, "GET", "https://a.example/", &call);
	for (int i = 1; i < 8; i++)
		g_assert_cmpint(answer_with(r, s, 200, "", "", &call), ==, BH_SCRIPT_CALLS);
	g_assert_cmpint(answer_with(r, s, 200, "", "", &call), ==, BH_SCRIPT_BROKE);
	g_assert_cmpstr(bh_script_trouble(s), ==, "many.lua:5: remote.get: a delivery may make 8 calls");
	bh_script_free(s);
}

/* --- What a script thinks --------------------------------------------------------------------- */

static void a_judgement_is_passed_on(rig *r, gconstpointer unused)
{
	static const struct {
		const char *code;
		int kind;
		const char *why;
		bh_usec after;
	} rows[] = {
		{"return remote.delivered()", BH_JUDGED_DELIVERED, NULL, -1},
		{"return remote.delivered('on the list')", BH_JUDGED_DELIVERED, "on the list", -1},
		{"return remote.retry('busy')", BH_JUDGED_RETRY, "busy", -1},
		{"return remote.retry('busy', 0)", BH_JUDGED_RETRY, "busy", 0},
		{"return remote.retry('busy', 1.5)", BH_JUDGED_RETRY, "busy", 1500 * BH_MILLISECOND},
		{"return remote.retry(nil, math.huge)", BH_JUDGED_RETRY, NULL, 7 * BH_DAY},
		{"return remote.fail('never')", BH_JUDGED_FAILED, "never", -1},
		{"return remote.fail('two\\nlines \\xff')", BH_JUDGED_FAILED, "two lines \xef\xbf\xbd", -1},
		{"return remote.fail(), 17", BH_JUDGED_FAILED, NULL, -1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_request call;
		write_deliver(r, "judge", "", rows[i].code);
		bh_script *s = begin(r, "judge", SETTINGS);
		assert_judged(s, resume(r, s, NULL, &call), rows[i].kind, rows[i].why);
		g_assert_cmpint(bh_script_judged(s)->after, ==, rows[i].after);
		bh_script_free(s);
	}
}

static void any_other_result_is_a_script_error(rig *r, gconstpointer unused)
{
	assert_code_breaks(r, "", "bad.lua:4: deliver returned nothing; it must return the answer");
	assert_code_breaks(r, "return nil", "bad.lua:4: deliver returned nothing");
	assert_code_breaks(r, "return true", "deliver returned a boolean");
	assert_code_breaks(r, "return 200", "deliver returned a number");
	assert_code_breaks(r, "return 'delivered'", "deliver returned a string");
	assert_code_breaks(r, "return { status = 200 }", "deliver returned a table");
	assert_code_breaks(r, "return settings", "deliver returned a table");
	assert_code_breaks(r, "return remote", "deliver returned a table");
	assert_code_breaks(r, "return remote.delivered", "deliver returned a function");

	bh_request call;
	write_deliver(r, "early", "",
		      "local a = remote.get('https://a.example/') remote.get('https://a.example/') return a");
	bh_script *s = begin(r, "early", SETTINGS);
	assert_call(r, s, NULL, "GET", "https://a.example/", &call);
	g_assert_cmpint(answer_with(r, s, 200, "", "", &call), ==, BH_SCRIPT_CALLS);
	g_assert_cmpint(answer_with(r, s, 500, "", "", &call), ==, BH_SCRIPT_BROKE);
	g_assert_nonnull(strstr(bh_script_trouble(s), "deliver returned the answer of an earlier call"));
	bh_script_free(s);
}

static void an_error_is_named_with_its_line(rig *r, gconstpointer unused)
{
	assert_code_breaks(r, "\nlocal x = event.data.guest", "bad.lua:6: attempt to index a nil value (field 'data')");
	assert_code_breaks(r, "error('no')", "bad.lua:5: no");
	assert_code_breaks(r, "error()", "bad.lua:5: error() was called with a nil, not a text");
	assert_code_breaks(r, "error({ code = 1 })", "bad.lua:5: error() was called with a table, not a text");
	assert_code_breaks(r, "error('deep', 0)", "bad.lua:5: deep");
	assert_code_breaks(r, "assert(false, 'sure')", "bad.lua:5: sure");
	assert_code_breaks(r, "table.sort({ 1, 'x' })", "attempt to compare");
}

static void passwords_are_not_in_what_a_script_says(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"error('it is ' .. settings.password .. '!')",
		"error(remote.basic('me', settings.password))",
		"error('Bearer ' .. settings.password .. 'x')",
		"return remote.fail('it is ' .. settings.password .. settings.password)",
		"return remote.fail(('x'):rep(990) .. settings.password)",
		"return remote.delivered(('x'):rep(999) .. settings.password)",
		"return remote.retry(settings.password:rep(1000))",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		bh_request call;
		write_deliver(r, "leak", "", codes[i]);
		g_autofree char *settings =
			stored(r, "leak", "{\"url\":\"https://a.example/\",\"password\":\"s3cr3t wörd\"}");
		bh_script *s = begin(r, "leak", settings);
		bh_script_turn turn = resume(r, s, NULL, &call);
		const char *said = turn == BH_SCRIPT_BROKE ? bh_script_trouble(s) : bh_script_judged(s)->why;
		g_assert_null(strstr(said, "s3c"));
		g_assert_null(strstr(said, "bWU6"));
		g_assert_nonnull(strstr(said, "*"));
		g_assert_cmpuint(strlen(said), <, 1200);
		bh_script_free(s);
	}
}

static void a_run_that_cannot_begin_says_why(rig *r, gconstpointer unused)
{
	bh_script_event event = {.id = "e", .type = "t", .body = r->body};
	use_shipped(r, "basic");

	struct {
		const char *method, *settings;
		int code;
	} rows[] = {
		{"nothing", "{}", BH_ERROR_NOT_FOUND},
		{"basic", "{}", BH_ERROR_INVALID},
		{"basic",
		 "{\"url\":\"https://a.example/\",\"basic_username\":\"x\",\"basic_password\":{\"sealed\":\"AAAA\"}}",
		 BH_ERROR_INVALID},
		{"basic", "rubbish", BH_ERROR_INVALID},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		bh_script_job job = {.method = rows[i].method, .settings = rows[i].settings, .event = &event};
		g_assert_null(bh_script_new(r->host, &job, &error));
		g_assert_error(error, BH_ERROR, rows[i].code);
		if (i == 0) /* also what a manager reads of a webhook whose file broke before a start */
			g_assert_nonnull(strstr(error->message, "\"nothing\": its file is gone or broken"));
		if (i == 2)
			g_assert_nonnull(strstr(error->message, "basic_password"));
	}
}

/* --- Reload -------------------------------------------------------------------------------------- */

static void a_run_finishes_with_the_file_that_it_began_with(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "m", "", "remote.get('https://a.example/') return remote.delivered('old')");
	bh_script *waiting = begin(r, "m", SETTINGS), *fresh = begin(r, "m", SETTINGS);
	assert_call(r, waiting, NULL, "GET", "https://a.example/", &call);

	write_deliver(r, "m", "", "return remote.delivered('new')");
	g_autofree char *note = note_of(r, "m", SETTINGS);
	g_assert_cmpstr(note, ==, "new");
	assert_judged(waiting, answer_with(r, waiting, 200, "", "", &call), BH_JUDGED_DELIVERED, "old");
	assert_call(r, fresh, NULL, "GET", "https://a.example/", &call);
	bh_script_free(waiting);
	bh_script_free(fresh);
}

static void a_broken_reload_keeps_the_old_file_at_work(rig *r, gconstpointer unused)
{
	write_deliver(r, "m", "", "return remote.delivered('old')");
	write_method(r, "m", "return {");
	g_assert_cmpuint(reload(r), ==, 1);

	g_autofree char *note = note_of(r, "m", SETTINGS);
	g_assert_cmpstr(note, ==, "old");
}

#define ADD(name) g_test_add("/method/" #name, rig, NULL, set_up, name, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(none_posts_the_event_as_it_is);
	ADD(basic_sends_name_and_password_as_utf8);
	ADD(the_event_is_there);
	ADD(settings_have_their_types);
	ADD(an_answer_is_a_table);
	ADD(an_answer_outlives_the_calls_that_follow);
	ADD(the_walk_through_an_answer_takes_nothing_else);
	ADD(a_call_can_be_made_in_every_way);
	ADD(a_wrong_call_is_a_script_error);
	ADD(calls_are_counted);
	ADD(a_judgement_is_passed_on);
	ADD(any_other_result_is_a_script_error);
	ADD(an_error_is_named_with_its_line);
	ADD(passwords_are_not_in_what_a_script_says);
	ADD(a_run_that_cannot_begin_says_why);
	ADD(a_run_finishes_with_the_file_that_it_began_with);
	ADD(a_broken_reload_keeps_the_old_file_at_work);
	return g_test_run();
}
