/* Runs of methods, with a remote service that is a few lines of C. */
#include "base/error.h"
#include "method/method.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#define SETTINGS "{\"url\":\"https://a.example/hook?a=1&b=2\"}"

typedef struct rig {
	char *folder, *methods_folder, *key_path;
	bh_sealer *sealer;
	bh_guard *guard;
	bh_methods *methods;
	bh_script_host *host;
	GBytes *body;
} rig;

/* --- The rig ---------------------------------------------------------------------------------- */

static void write_method(rig *r, const char *name, const char *text)
{
	g_autofree char *file = g_strconcat(name, ".lua", NULL);
	g_autofree char *path = g_build_filename(r->methods_folder, file, NULL);
	g_autoptr(GError) error = NULL;
	g_file_set_contents(path, text, -1, &error);
	g_assert_no_error(error);
}

/* Reads the folder anew and hands it to the host. Returns how many files are broken. */
static guint reload(rig *r)
{
	g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	bh_methods *next = bh_methods_load(r->methods_folder, r->methods, broken, &error);

	g_assert_no_error(error);
	bh_methods_unref(r->methods);
	r->methods = next;
	bh_script_host_use(r->host, next);
	return broken->len;
}

/* A method `name` with the field url, whose deliver has the body `code`; `locals` stand before it, on line 1. */
static void write_deliver(rig *r, const char *name, const char *locals, const char *code)
{
	g_autofree char *text = g_strdup_printf("%s return { title = 'T', fields = {\n"
						"  { key = 'url', format = 'url', title = 'URL' },\n"
						"  { key = 'password', format = 'password', title = 'P' } },\n"
						"deliver = function(event, settings, remote)\n"
						"%s\nend }\n",
						locals, code);
	write_method(r, name, text);
	g_assert_cmpuint(reload(r), ==, 0);
}

static void set_up(rig *r, gconstpointer unused)
{
	static const bh_script_limits limits = {
		.memory_max = 16 * 1024 * 1024, .instructions_max = 4 * 1000 * 1000, .calls_max = 8};
	g_autoptr(GError) error = NULL;

	g_unsetenv("BELLHOP_SEAL_KEY");
	r->folder = g_dir_make_tmp("bellhop-run-XXXXXX", NULL);
	r->methods_folder = g_build_filename(r->folder, "methods", NULL);
	g_assert_cmpint(g_mkdir(r->methods_folder, 0700), ==, 0);
	r->key_path = g_build_filename(r->folder, "seal.key", NULL);
	r->sealer = bh_sealer_open(r->key_path, &error);
	g_assert_no_error(error);
	r->guard = bh_guard_new(NULL, NULL, false, &error);
	g_assert_no_error(error);
	r->host = bh_script_host_new(&limits, r->sealer);
	r->body = g_bytes_new_static("{\"n\":1.50}", 10);
}

static void tear_down(rig *r, gconstpointer unused)
{
	g_autoptr(GDir) dir = g_dir_open(r->methods_folder, 0, NULL);
	for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
		g_autofree char *path = g_build_filename(r->methods_folder, name, NULL);
		g_remove(path);
	}
	g_rmdir(r->methods_folder);
	g_remove(r->key_path);
	g_rmdir(r->folder);
	bh_script_host_free(r->host);
	bh_methods_unref(r->methods);
	bh_guard_unref(r->guard);
	bh_sealer_free(r->sealer);
	g_bytes_unref(r->body);
	g_free(r->key_path);
	g_free(r->methods_folder);
	g_free(r->folder);
}

static bh_script *begin(rig *r, const char *method, const char *settings)
{
	bh_script_event event = {
		.id = "evt_04f2k8m1q7zr0",
		.type = "booking_added",
		.property_id = "12",
		.occurred_at = 1795618262123456,
		.body = r->body,
		.attempt = 3,
	};
	g_autoptr(GError) error = NULL;
	bh_script_job job = {.method = method, .settings = settings, .event = &event};
	bh_script *s = bh_script_new(r->host, &job, &error);

	g_assert_no_error(error);
	g_assert_nonnull(s);
	return s;
}

/* The run's turns until it does something; it is the only one that computes. */
static bh_script_turn resume(rig *r, bh_script *s, const bh_answer *answer, bh_request *ret_call)
{
	bh_script_turn turn = bh_script_resume(s, answer, ret_call);

	while (turn == BH_SCRIPT_LATER) {
		g_assert_true(bh_script_host_has_next(r->host));
		g_assert_true(bh_script_host_next(r->host) == s);
		turn = bh_script_resume(s, NULL, ret_call);
	}
	return turn;
}

/* --- The fake remote service ---------------------------------------------------------------- */

typedef struct reply {
	bh_answer answer;
	GString *head;
	GByteArray *body;
} reply;

static void reply_init(reply *a, int status, const char *head, const char *body)
{
	*a = (reply){.answer = {.status = status}, .head = g_string_new(head), .body = g_byte_array_sized_new(1)};
	g_byte_array_append(a->body, (const guint8 *)body, (guint)strlen(body));
	a->answer.head = a->head;
	a->answer.body = a->body;
}

/* Overwrites before it frees: who still looks in sees rubbish. */
static void reply_clear(reply *a)
{
	memset(a->head->str, 'X', a->head->len);
	memset(a->body->data, 'X', a->body->len);
	g_string_free(a->head, TRUE);
	g_byte_array_unref(a->body);
	memset(a, 0xee, sizeof *a);
}

static bh_script_turn answer_with(rig *r, bh_script *s, int status, const char *head, const char *body,
				  bh_request *ret_call)
{
	reply a;
	reply_init(&a, status, head, body);
	bh_script_turn turn = resume(r, s, &a.answer, ret_call);
	reply_clear(&a);
	return turn;
}

static const char *header_of(const bh_request *call, const char *name)
{
	size_t size = strlen(name);
	for (const char *const *h = call->headers; *h; h++)
		if (!g_ascii_strncasecmp(*h, name, size) && (*h)[size] == ':')
			return *h + size + 2;
	return NULL;
}

static void assert_call(rig *r, bh_script *s, const bh_answer *answer, const char *verb, const char *url,
			bh_request *ret_call)
{
	bh_script_turn turn = resume(r, s, answer, ret_call);
	if (turn == BH_SCRIPT_BROKE)
		g_error("broke: %s", bh_script_trouble(s));
	g_assert_cmpint(turn, ==, BH_SCRIPT_CALLS);
	g_assert_cmpstr(ret_call->verb, ==, verb);
	g_assert_cmpstr(ret_call->url, ==, url);
}

static void assert_judged(bh_script *s, bh_script_turn turn, int kind, const char *why)
{
	if (turn == BH_SCRIPT_BROKE)
		g_error("broke: %s", bh_script_trouble(s));
	g_assert_cmpint(turn, ==, BH_SCRIPT_RETURNED);
	g_assert_cmpint(bh_script_judged(s)->kind, ==, kind);
	g_assert_cmpstr(bh_script_judged(s)->why, ==, why);
}

/* Runs a method that makes no call to its end: what remote.delivered(note) noted. */
static char *note_of(rig *r, const char *method, const char *settings)
{
	bh_request call;
	bh_script *s = begin(r, method, settings);
	bh_script_turn turn = resume(r, s, NULL, &call);
	if (turn == BH_SCRIPT_BROKE)
		g_error("broke: %s", bh_script_trouble(s));
	g_assert_cmpint(turn, ==, BH_SCRIPT_RETURNED);
	char *note = g_strdup(bh_script_judged(s)->why);
	bh_script_free(s);
	return note;
}

/* What `return remote.delivered(tostring(<expression>))` notes. */
static void assert_evaluates(rig *r, const char *expression, const char *expected)
{
	g_autofree char *code = g_strdup_printf("return remote.delivered(tostring(%s))", expression);
	write_deliver(r, "eval", "", code);
	g_autofree char *note = note_of(r, "eval", SETTINGS);
	g_assert_cmpstr(note, ==, expected);
}

/* Runs to the end, which is trouble with `expected` in it. */
static void assert_breaks(rig *r, const char *method, const char *settings, const char *expected)
{
	bh_request call;
	bh_script *s = begin(r, method, settings);
	g_assert_cmpint(resume(r, s, NULL, &call), ==, BH_SCRIPT_BROKE);
	if (!strstr(bh_script_trouble(s), expected))
		g_error("trouble is \"%s\", expected \"%s\" in it", bh_script_trouble(s), expected);
	bh_script_free(s);
}

/* That the host still serves others. */
static void assert_host_is_well(rig *r)
{
	bh_request call;
	write_deliver(r, "well", "", "return remote.post(settings.url, { body = event.body })");
	bh_script *s = begin(r, "well", SETTINGS);
	assert_call(r, s, NULL, "POST", "https://a.example/hook?a=1&b=2", &call);
	assert_judged(s, answer_with(r, s, 200, "", "", &call), BH_JUDGED_BY_ANSWER, NULL);
	bh_script_free(s);
}

static void assert_code_breaks(rig *r, const char *code, const char *expected)
{
	write_deliver(r, "bad", "", code);
	assert_breaks(r, "bad", SETTINGS, expected);
	assert_host_is_well(r);
}

static void use_shipped(rig *r, const char *name)
{
	g_autofree char *file = g_strconcat(name, ".lua", NULL);
	g_autofree char *path = g_build_filename(g_getenv("BH_SOURCE_ROOT"), "methods", file, NULL);
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	write_method(r, name, text);
	g_assert_cmpuint(reload(r), ==, 0);
}

static char *stored(rig *r, const char *method, const char *given)
{
	g_autoptr(GError) error = NULL;
	char *text = bh_settings_store(bh_methods_find(r->methods, method), bh_span_of(given), NULL, r->sealer,
				       r->guard, NULL, &error);
	g_assert_no_error(error);
	return text;
}

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
		{"remote.post('https://a.example/', 17)", "remote.post: the options must be a table"},
		{"remote.post('https://a.example/', { header = {} })", "remote.post: unknown option 'header'"},
		{"remote.post('https://a.example/', { body = {} })", "remote.post: the body must be a text, not table"},
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
	assert_code_breaks(r, "", "bad.lua:4: deliver returned nothing, not the answer");
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
		if (i == 2)
			g_assert_nonnull(strstr(error->message, "basic_password"));
	}
}

/* Ended by its meter: instructions, or, in a slow build, time comes first. Which of them is no promise. */
#define ENDED "bad.lua:5: the script "

/* --- Limits ------------------------------------------------------------------------------------ */

static void a_script_that_never_ends_is_ended(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"while true do end",
		"while true do pcall(function() while true do end end) end",
		"local function f() pcall(f) while true do end end while true do pcall(f) end",
		"local function f() return f() end f()",
		"repeat until pcall(error)",
		"for i = 1, math.huge do pcall(pcall, error, i) end",
		"('x'):rep(1000):gsub('x', function() while true do pcall(error) end end)",
		"table.sort({ 1, 2, 3 }, function(a, b) while true do pcall(error) end end)",
		"table.move({}, 1, 1 << 60, 1)",
		"table.move({}, 1, 1 << 62, 2)",
		"table.move({}, 1, 2^53, 1)",
		"table.move({}, 1, '9007199254740993', 1)",
		"table.move({}, '1', '0x1p60', 1)",
		"local s = ('\\0'):rep(500000) while true do local t = ('%q'):format(s) end",
		"table.concat({}, '', 1 << 40, (1 << 40) + (1 << 39))",
		"table.unpack({}, 1, 1 << 40)",
		"while true do local t = table.pack(('x'):byte(1, -1)) end",
		"local s = ('x'):rep(1000000) while true do local t = s .. s end",
		"local s = ('x'):rep(1000000) while true do local t = s:upper() end",
		"local s = ('x'):rep(1000000) while true do s:byte(#s) s:find('y', 1, true) end",
		"local t = {} for i = 1, 100000 do t[i] = i end while true do table.insert(t, 1, 0) end",
		"local t = {} for i = 1, 10000 do t[i] = '' end while true do table.concat(t) end",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		assert_code_breaks(r, codes[i], ENDED);
}

static void the_meter_is_of_the_delivery_and_not_of_a_turn(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "slow", "", "while true do for i = 1, 800000 do end remote.get('https://a.example/') end");
	bh_script *s = begin(r, "slow", SETTINGS);
	bh_script_turn turn = resume(r, s, NULL, &call);
	int turns = 1;
	for (; turn == BH_SCRIPT_CALLS; turns++)
		turn = answer_with(r, s, 200, "", "", &call);
	g_assert_cmpint(turn, ==, BH_SCRIPT_BROKE);
	g_assert_cmpint(turns, <, 8);
	g_assert_cmpstr(bh_script_trouble(s), ==,
			"slow.lua:5: the script used up its instructions; does it loop for ever?");
	bh_script_free(s);
}

static void an_empty_text_can_be_repeated_for_ever(rig *r, gconstpointer unused)
{
	assert_evaluates(r, "#(''):rep(1 << 62)", "0");
	assert_evaluates(r, "#('x'):rep(-5)", "0");
	assert_evaluates(r, "('ab'):rep(3, ',')", "ab,ab,ab");
}

/* What one instruction cannot be charged for is ended by the clock. */
static void slow_instructions_are_ended_by_the_clock(rig *r, gconstpointer unused)
{
	assert_code_breaks(r,
			   "local a = ('x'):rep(3000000) local b = ('x'):rep(3000000)\n"
			   "local n = 0 while true do if a == b then n = n + 1 end end",
			   "bad.lua:6: the script computed for too long");
}

static void a_script_that_needs_too_much_memory_is_ended(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"local t = {} for i = 1, 1e7 do t[i] = { i, i, i, i, i, i, i, i } end",
		"local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
		"local s = 'x' while true do s = s .. s end",
		"local t = ('x'):rep(1 << 30)",
		"local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1000000) .. #t end) end",
		"pcall(function() local t = ('x'):rep(1 << 30) end) return remote.delivered()",
		"local t = ('x'):rep(1000):gsub('x', ('y'):rep(20000))",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		assert_code_breaks(r, codes[i], "bad.lua:5: the script needs too much memory; it may have 16384 KiB");
	assert_code_breaks(r, "local t = ('x'):rep(1 << 62, 'y')", "bad.lua:5: resulting string too large");
}

static void garbage_is_no_need(rig *r, gconstpointer unused)
{
	assert_evaluates(
		r, "(function() local n = 0 for i = 1, 36 do n = n + #(('x'):rep(500000) .. i) end return n end)()",
		"18000063");
}

static void a_pattern_that_never_ends_is_ended(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"local s = ('a'):rep(2000) s:find(('a-'):rep(20) .. 'b')",
		"local s = ('a'):rep(2000) s:match(('.*'):rep(10) .. 'b')",
		"local s = ('a'):rep(100000) pcall(s.gsub, s, '.-.-.-b', '')",
		"for k in (('a'):rep(5000)):gmatch(('a*'):rep(5) .. 'b') do end",
		"while true do pcall(string.rep('(', 300000).match, '(((', '()') end",
		"local s = ('('):rep(100000) while true do s:match('%b()') end",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		assert_code_breaks(r, codes[i], ENDED);
}

static void deep_recursion_is_an_error(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "deep", "", "local function f(n) return 1 + f(n + 1) end f(1)");
	bh_script *s = begin(r, "deep", SETTINGS);
	g_assert_cmpint(resume(r, s, NULL, &call), ==, BH_SCRIPT_BROKE);
	bh_script_free(s);

	assert_code_breaks(r, "local function f(n) return ('x'):gsub('x', function() f(n + 1) end) end f(1)",
			   "C stack overflow");
	assert_code_breaks(r, "local function f(n) pcall(f, n + 1) end f(1) return 17", "bad.lua:");
	assert_code_breaks(r,
			   "local t = {} t[1] = t return (('x'):rep(250, '(')):match(('('):rep(30) .. ('.?'):rep(250))",
			   "pattern too complex");
	assert_host_is_well(r);
}

/* --- Walls ------------------------------------------------------------------------------------- */

static void only_what_computes_is_there(rig *r, gconstpointer unused)
{
	static const char *const names[] = {
		"load",      "loadstring", "loadfile",     "dofile",       "require",  "package",       "io", "os",
		"debug",     "print",      "rawset",       "rawget",       "rawequal", "rawlen",        "_G", "xpcall",
		"coroutine", "utf8",       "setmetatable", "getmetatable", "warn",     "collectgarbage"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *code = g_strdup_printf("local x = %s", names[i]);
		g_autofree char *expected = g_strdup_printf("bad.lua:5: a method has no '%s'", names[i]);
		assert_code_breaks(r, code, expected);
	}
	assert_evaluates(r, "string.dump", "nil");
	assert_evaluates(r, "string.pack", "nil");
	assert_evaluates(r, "math.random", "nil");
	assert_evaluates(r, "math.randomseed", "nil");
	assert_evaluates(r, "('').dump", "nil");
}

static void nothing_tells_where_memory_lies(rig *r, gconstpointer unused)
{
	assert_evaluates(r, "tostring({})", "table");
	assert_evaluates(r, "tostring(tostring)", "function");
	assert_evaluates(r, "tostring(remote.delivered())", "userdata");
	assert_evaluates(r, "('%s %d%%'):format({}, 5)", "table 5%");
	assert_code_breaks(r, "string.format('%p', {})", "'%p' is not available");
	assert_code_breaks(r, "string.format('%% %-10p', {})", "'%p' is not available");
}

static void nothing_leaks_from_run_to_run(rig *r, gconstpointer unused)
{
	static const char *const refused[] = {
		"seen = 1",
		"string.rep = nil",
		"string.leak = 1",
		"table.insert(math, 1)",
		"math.pi = 3",
		"settings.leak = 1",
		"settings.url = 'https://evil.example/'",
		"table.insert(settings, 1)",
		"remote.leak = 1",
		"('').leak = 1",
		"local s = 'x' s.leak = 1",
	};
	for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
		assert_code_breaks(r, refused[i], "bad.lua:5: ");

	/* pairs of a view hands out no table that could be written to. */
	assert_evaluates(r, "(function() local f, s = pairs(string) return tostring(f) .. tostring(s) end)()",
			 "functionnil");
	assert_evaluates(r, "next(settings)", "nil");

	/* The event is the run's own. */
	write_deliver(r, "own", "", "local was = event.body event.body = 'changed' return remote.delivered(was)");
	for (int i = 0; i < 2; i++) {
		g_autofree char *note = note_of(r, "own", SETTINGS);
		g_assert_cmpstr(note, ==, "{\"n\":1.50}");
	}
}

static void locals_of_a_file_are_fresh_in_each_run(rig *r, gconstpointer unused)
{
	write_deliver(r, "count", "local n, t = 0, {}",
		      "n = n + 1 t[#t + 1] = n return remote.delivered(n .. ' ' .. #t)");
	for (int i = 0; i < 3; i++) {
		g_autofree char *note = note_of(r, "count", SETTINGS);
		g_assert_cmpstr(note, ==, "1 1");
	}

	/* And while another run waits. */
	bh_request call;
	write_deliver(r, "wait", "local mine",
		      "mine = event.id remote.get('https://a.example/') local was = mine\n"
		      "mine = 'other' return remote.delivered(was)");
	bh_script *a = begin(r, "wait", SETTINGS), *b = begin(r, "wait", SETTINGS);
	assert_call(r, a, NULL, "GET", "https://a.example/", &call);
	assert_call(r, b, NULL, "GET", "https://a.example/", &call);
	assert_judged(b, answer_with(r, b, 200, "", "", &call), BH_JUDGED_DELIVERED, "evt_04f2k8m1q7zr0");
	assert_judged(a, answer_with(r, a, 200, "", "", &call), BH_JUDGED_DELIVERED, "evt_04f2k8m1q7zr0");
	bh_script_free(a);
	bh_script_free(b);
}

static void a_file_that_changes_its_mind_is_an_error(rig *r, gconstpointer unused)
{
	/* Nothing in a file can tell a delivery from loading; but what it returns is checked each time. */
	write_method(r, "odd",
		     "local t = { title = 'T', fields = {} }\n"
		     "t.deliver = function(event, settings, remote) t.deliver = 17 return remote.delivered() end\n"
		     "return t");
	g_assert_cmpuint(reload(r), ==, 0);
	for (int i = 0; i < 2; i++)
		g_free(note_of(r, "odd", "{}"));
}

static void a_bad_run_hurts_no_other(rig *r, gconstpointer unused)
{
	static const char *const bombs[] = {
		"while true do pcall(error) end",
		"local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
		"('a'):rep(2000):find(('a-'):rep(20) .. 'b')",
		"local function f() return 1 + f() end f()",
		"error('x')",
	};
	bh_script *good[8];
	bh_request call[8];

	write_deliver(r, "good", "local prefix = 'got '",
		      "local a = remote.post(settings.url, { body = event.body .. event.id })\n"
		      "return remote.delivered(prefix .. a.body)");
	for (size_t i = 0; i < G_N_ELEMENTS(bombs); i++) {
		g_autofree char *name = g_strdup_printf("bomb%zu", i);
		write_deliver(r, name, "", bombs[i]);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		good[i] = begin(r, "good", SETTINGS);
		assert_call(r, good[i], NULL, "POST", "https://a.example/hook?a=1&b=2", &call[i]);
		g_autofree char *name = g_strdup_printf("bomb%zu", i % G_N_ELEMENTS(bombs));
		assert_breaks(r, name, SETTINGS, ".lua:5: ");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		g_assert_true(bh_span_is(call[i].body, "{\"n\":1.50}evt_04f2k8m1q7zr0"));
		assert_judged(good[i], answer_with(r, good[i], 200, "", "it", &call[i]), BH_JUDGED_DELIVERED, "got it");
		bh_script_free(good[i]);
	}
}

/* Waiting runs hold much; the next may still do its work, but not hold as much again. */
static void runs_that_wait_do_not_fill_the_house(rig *r, gconstpointer unused)
{
	bh_script *hogs[24];
	bh_request call;

	write_deliver(r, "hog", "",
		      "local t = {} for i = 1, 120 do t[i] = ('x'):rep(100000) .. i end\n"
		      "remote.get('https://a.example/') return remote.delivered(t[120]:sub(-3))");
	guint waiting = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(hogs); i++) {
		hogs[i] = begin(r, "hog", SETTINGS);
		waiting += resume(r, hogs[i], NULL, &call) == BH_SCRIPT_CALLS;
	}
	g_assert_cmpuint(waiting, >=, 4);
	g_assert_cmpuint(waiting, <, G_N_ELEMENTS(hogs));
	assert_host_is_well(r);
	for (size_t i = 0; i < G_N_ELEMENTS(hogs); i++)
		bh_script_free(hogs[i]);
	bh_script *again = begin(r, "hog", SETTINGS);
	g_assert_cmpint(resume(r, again, NULL, &call), ==, BH_SCRIPT_CALLS);
	bh_script_free(again);
}

static void a_run_can_be_given_up_at_any_point(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "two", "", "remote.get('https://a.example/') remote.get('https://a.example/') error('x')");

	for (int turns = 0; turns < 4; turns++) {
		bh_script *s = begin(r, "two", SETTINGS);
		for (int i = 0; i < turns; i++)
			(void)(i ? answer_with(r, s, 200, "", "", &call) : resume(r, s, NULL, &call));
		bh_script_free(s);
	}
	bh_script_free(NULL);
	assert_host_is_well(r);
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
	ADD(a_call_can_be_made_in_every_way);
	ADD(a_wrong_call_is_a_script_error);
	ADD(calls_are_counted);
	ADD(a_judgement_is_passed_on);
	ADD(any_other_result_is_a_script_error);
	ADD(an_error_is_named_with_its_line);
	ADD(passwords_are_not_in_what_a_script_says);
	ADD(a_run_that_cannot_begin_says_why);
	ADD(a_script_that_never_ends_is_ended);
	ADD(the_meter_is_of_the_delivery_and_not_of_a_turn);
	ADD(an_empty_text_can_be_repeated_for_ever);
	ADD(slow_instructions_are_ended_by_the_clock);
	ADD(a_script_that_needs_too_much_memory_is_ended);
	ADD(garbage_is_no_need);
	ADD(a_pattern_that_never_ends_is_ended);
	ADD(deep_recursion_is_an_error);
	ADD(only_what_computes_is_there);
	ADD(nothing_tells_where_memory_lies);
	ADD(nothing_leaks_from_run_to_run);
	ADD(locals_of_a_file_are_fresh_in_each_run);
	ADD(a_file_that_changes_its_mind_is_an_error);
	ADD(a_bad_run_hurts_no_other);
	ADD(runs_that_wait_do_not_fill_the_house);
	ADD(a_run_can_be_given_up_at_any_point);
	ADD(a_run_finishes_with_the_file_that_it_began_with);
	ADD(a_broken_reload_keeps_the_old_file_at_work);
	return g_test_run();
}
