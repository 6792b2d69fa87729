/* Runs that need an access token or details of their event, with services that are a few lines of C. */
#include "base/error.h"
#include "method/method.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#define SECRET "s3cr+t/7"
#define WEBHOOK 7

typedef struct rig {
	char *folder, *methods_folder, *key_path;
	bh_sealer *sealer;
	bh_guard *guard;
	bh_methods *methods;
	bh_script_host *host;
	GBytes *body;
	bh_now now;
	bh_request call; /* the last one */
} rig;

/* --- The rig ---------------------------------------------------------------------------------- */

static void write_method(rig *r, const char *name, const char *text)
{
	g_autofree char *file = g_strconcat(name, ".lua", NULL);
	g_autofree char *path = g_build_filename(r->methods_folder, file, NULL);
	g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;

	g_file_set_contents(path, text, -1, &error);
	g_assert_no_error(error);
	bh_methods *next = bh_methods_load(r->methods_folder, r->methods, broken, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(broken->len, ==, 0);
	bh_methods_unref(r->methods);
	r->methods = next;
	bh_script_host_use(r->host, next);
}

/* A method whose deliver has the body `code`. */
static void write_deliver(rig *r, const char *code)
{
	g_autofree char *text = g_strdup_printf("return { title = 'T', fields = {\n"
						"  { key = 'url', format = 'url', title = 'URL' },\n"
						"  { key = 'secret', format = 'password', title = 'P' } },\n"
						"deliver = function(event, settings, remote)\n%s\nend }\n",
						code);
	write_method(r, "own", text);
}

static void use_shipped(rig *r)
{
	g_autofree char *path = g_build_filename(g_getenv("BH_SOURCE_ROOT"), "methods", "oauth.lua", NULL);
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	write_method(r, "oauth", text);
}

static void tell_time(rig *r, bh_usec later)
{
	r->now.mono.us += later;
	r->now.wall += later;
	bh_script_host_now(r->host, r->now);
}

static void set_up(rig *r, gconstpointer unused)
{
	static const bh_script_limits limits = {
		.memory_max = 16 * 1024 * 1024, .instructions_max = 4 * 1000 * 1000, .calls_max = 8};
	g_autoptr(GError) error = NULL;

	g_unsetenv("BELLHOP_SEAL_KEY");
	r->folder = g_dir_make_tmp("bellhop-token-XXXXXX", NULL);
	r->methods_folder = g_build_filename(r->folder, "methods", NULL);
	g_assert_cmpint(g_mkdir(r->methods_folder, 0700), ==, 0);
	r->key_path = g_build_filename(r->folder, "seal.key", NULL);
	r->sealer = bh_sealer_open(r->key_path, &error);
	g_assert_no_error(error);
	r->guard = bh_guard_new(NULL, NULL, false, &error);
	g_assert_no_error(error);
	r->host = bh_script_host_new(&limits, r->sealer);
	r->body = g_bytes_new_static("{\"n\":1.50}", 10);
	r->now = (bh_now){.wall = 1795618262123456, .mono = {BH_HOUR}};
	tell_time(r, 0);
	use_shipped(r);
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

/* Settings of the shipped method as they are stored; `more` are members, each with a comma before it. */
static char *stored_with(rig *r, const char *secret, const char *more)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *pointer = NULL;
	g_autofree char *given = g_strdup_printf("{\"url\":\"https://a.example/hook\","
						 "\"token_url\":\"https://id.example/token\",\"client_id\":\"hub\","
						 "\"client_secret\":\"%s\"%s}",
						 secret, more);
	char *settings = bh_settings_store(bh_methods_find(r->methods, "oauth"), bh_span_of(given), NULL, r->sealer,
					   r->guard, &pointer, &error);
	g_assert_no_error(error);
	return settings;
}

static char *stored(rig *r, const char *more)
{
	return stored_with(r, SECRET, more);
}

static bh_script *begin_for(rig *r, const char *method, const char *settings, bh_id webhook)
{
	bh_script_event event = {
		.id = "evt_04f2k8m1q7zr0",
		.type = "booking_added",
		.property_id = "12",
		.occurred_at = 1795618262123456,
		.body = r->body,
		.data = bh_span_of("{\"contract_uid\":41,\"room\":\"a/b c\",\"up\":\"..\"}"),
		.attempt = 1,
	};
	bh_script_job job = {.method = method, .settings = settings, .event = &event, .webhook = webhook};
	g_autoptr(GError) error = NULL;
	bh_script *s = bh_script_new(r->host, &job, &error);
	g_assert_no_error(error);
	return s;
}

static bh_script *begin(rig *r, const char *settings)
{
	return begin_for(r, "oauth", settings, WEBHOOK);
}

static bh_script *begin_own(rig *r)
{
	return begin_for(r, "own", "{\"url\":\"https://a.example/hook\"}", WEBHOOK);
}

static bh_script_turn resume(rig *r, bh_script *s, const bh_answer *answer)
{
	bh_script_turn turn = bh_script_resume(s, answer, &r->call);
	if (turn == BH_SCRIPT_BROKE)
		g_test_message("broke: %s", bh_script_trouble(s));
	return turn;
}

static bh_script_turn reply(rig *r, bh_script *s, int status, const char *body)
{
	bh_answer answer = {.status = status, .body = g_byte_array_new()};
	g_byte_array_append(answer.body, (const guint8 *)body, (guint)strlen(body));
	bh_script_turn turn = resume(r, s, &answer);
	if (answer.body->len > 0)
		memset(answer.body->data, 'X', answer.body->len); /* who still looks in sees rubbish */
	g_byte_array_unref(answer.body);
	return turn;
}

static bh_script_turn grant(rig *r, bh_script *s, const char *token)
{
	g_autofree char *body =
		g_strdup_printf("{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":3600}", token);
	return reply(r, s, 200, body);
}

static const char *header_of(const rig *r, const char *name)
{
	size_t size = strlen(name);
	for (const char *const *h = r->call.headers; *h; h++)
		if (!g_ascii_strncasecmp(*h, name, size) && (*h)[size] == ':')
			return *h + size + 2;
	return NULL;
}

static void assert_asks_for_token(const rig *r, const bh_script *s, bh_script_turn turn)
{
	g_assert_cmpint(turn, ==, BH_SCRIPT_CALLS);
	g_assert_cmpint(bh_script_call_kind(s), ==, BH_CALL_TOKEN);
	g_assert_false(r->call.trusted);
	g_assert_cmpstr(r->call.verb, ==, "POST");
}

static void assert_delivers(const rig *r, const bh_script *s, bh_script_turn turn, const char *token)
{
	g_autofree char *bearer = g_strconcat("Bearer ", token, NULL);
	g_assert_cmpint(turn, ==, BH_SCRIPT_CALLS);
	g_assert_cmpint(bh_script_call_kind(s), ==, BH_CALL_DELIVERY);
	g_assert_cmpstr(r->call.url, ==, "https://a.example/hook");
	g_assert_cmpstr(header_of(r, "Authorization"), ==, bearer);
}

static void assert_ended(const bh_script *s, bh_script_turn turn, bh_cause cause, bool was_asked, bh_usec after)
{
	g_assert_cmpint(turn, ==, BH_SCRIPT_RETURNED);
	g_assert_cmpint(bh_script_judged(s)->kind, ==, BH_JUDGED_ENDED);
	g_assert_cmpint(bh_script_judged(s)->cause, ==, cause);
	g_assert_cmpint(bh_script_judged(s)->was_asked, ==, was_asked);
	g_assert_cmpint(bh_script_judged(s)->after, ==, after);
}

/* A whole delivery that the receiver takes, with a token that is there. */
static void assert_warm(rig *r, const char *settings, const char *token)
{
	bh_script *s = begin(r, settings);
	assert_delivers(r, s, resume(r, s, NULL), token);
	g_assert_cmpint(reply(r, s, 200, ""), ==, BH_SCRIPT_RETURNED);
	bh_script_free(s);
}

/* The first delivery of all. */
static void warm_up(rig *r, const char *settings, const char *token)
{
	bh_script *s = begin(r, settings);
	assert_asks_for_token(r, s, resume(r, s, NULL));
	assert_delivers(r, s, grant(r, s, token), token);
	g_assert_cmpint(reply(r, s, 200, ""), ==, BH_SCRIPT_RETURNED);
	bh_script_free(s);
}

/* --- getting one ------------------------------------------------------------------------------- */

static void the_first_event_fetches_a_token_and_the_next_ones_use_it(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	bh_script *s = begin(r, settings);

	assert_asks_for_token(r, s, resume(r, s, NULL));
	g_assert_cmpstr(r->call.url, ==, "https://id.example/token");
	g_assert_cmpstr(header_of(r, "Authorization"), ==, "Basic aHViOnMzY3IlMkJ0JTJGNw==");
	g_assert_cmpstr(header_of(r, "Content-Type"), ==, "application/x-www-form-urlencoded");
	g_assert_cmpmem(r->call.body.at, r->call.body.size, "grant_type=client_credentials", 29);

	assert_delivers(r, s, grant(r, s, "A"), "A");
	g_assert_cmpint(reply(r, s, 200, ""), ==, BH_SCRIPT_RETURNED);
	g_assert_cmpint(bh_script_judged(s)->kind, ==, BH_JUDGED_BY_ANSWER);
	bh_script_free(s);
	assert_warm(r, settings, "A");
	tell_time(r, 59 * BH_MINUTE - 1);
	assert_warm(r, settings, "A");
	tell_time(r, 1);
	warm_up(r, settings, "B");
}

static void all_that_was_set_goes_to_the_service(rig *r, gconstpointer unused)
{
	g_autofree char *settings =
		stored(r, ",\"scope\":\"a b\",\"audience\":\"x\",\"resource\":\"https://r.example\","
			  "\"credentials\":\"body\",\"extra\":\"\\n tenant = 7 \\r\\nacr=b=c\\n\"");
	static const char form[] = "grant_type=client_credentials&client_id=hub&client_secret=s3cr%2Bt%2F7&scope=a+b"
				   "&audience=x&resource=https%3A%2F%2Fr.example&acr=b%3Dc&tenant=7";
	bh_script *s = begin(r, settings);

	assert_asks_for_token(r, s, resume(r, s, NULL));
	g_assert_null(header_of(r, "Authorization"));
	g_autofree char *sent = g_strndup(r->call.body.at, r->call.body.size);
	g_assert_cmpstr(sent, ==, form);
	bh_script_free(s);
}

static void fifty_events_make_one_request(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	bh_script *runs[50];

	for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
		runs[i] = begin(r, settings);
		g_assert_cmpint(resume(r, runs[i], NULL), ==, i == 0 ? BH_SCRIPT_CALLS : BH_SCRIPT_LATER);
	}
	g_assert_false(bh_script_host_has_next(r->host));
	assert_delivers(r, runs[0], grant(r, runs[0], "A"), "A");
	for (size_t i = 1; i < G_N_ELEMENTS(runs); i++) {
		g_assert_true(bh_script_host_next(r->host) == runs[i]);
		assert_delivers(r, runs[i], resume(r, runs[i], NULL), "A");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(runs); i++)
		bh_script_free(runs[i]);
}

static void who_waits_asks_when_the_one_who_asked_is_gone(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	bh_script *first = begin(r, settings), *second = begin(r, settings), *third = begin(r, settings);

	resume(r, first, NULL);
	resume(r, second, NULL);
	resume(r, third, NULL);
	bh_script_free(first);
	g_assert_true(bh_script_host_next(r->host) == second);
	assert_asks_for_token(r, second, resume(r, second, NULL));
	bh_script_free(second);
	g_assert_true(bh_script_host_next(r->host) == third);
	assert_asks_for_token(r, third, resume(r, third, NULL));
	bh_script_free(third);
	g_assert_false(bh_script_host_has_next(r->host));
}

/* --- whose is it ------------------------------------------------------------------------------- */

static void another_request_or_webhook_has_another_token(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	g_autofree char *other_scope = stored(r, ",\"scope\":\"a\"");
	warm_up(r, settings, "A");

	bh_script *runs[] = {begin(r, other_scope), begin_for(r, "oauth", settings, WEBHOOK + 1)};
	for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
		assert_asks_for_token(r, runs[i], resume(r, runs[i], NULL));
		bh_script_free(runs[i]);
	}
}

static void a_changed_secret_drops_the_token_at_once(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	g_autofree char *changed = stored_with(r, "new one", "");
	warm_up(r, settings, "A");
	warm_up(r, changed, "B");
	assert_warm(r, changed, "B");
	bh_script *s = begin(r, settings); /* a change back finds nothing of before */
	assert_asks_for_token(r, s, resume(r, s, NULL));
	bh_script_free(s);
}

/* --- a receiver refuses ------------------------------------------------------------------------- */

static void ten_refused_at_once_get_one_new_token(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	bh_script *runs[10];
	warm_up(r, settings, "A");
	for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
		runs[i] = begin(r, settings);
		assert_delivers(r, runs[i], resume(r, runs[i], NULL), "A");
	}

	assert_asks_for_token(r, runs[0], reply(r, runs[0], 401, "no"));
	for (size_t i = 1; i < 9; i++)
		g_assert_cmpint(reply(r, runs[i], 401, "no"), ==, BH_SCRIPT_LATER);
	assert_delivers(r, runs[0], grant(r, runs[0], "B"), "B");
	for (size_t i = 1; i < 9; i++) {
		g_assert_true(bh_script_host_next(r->host) == runs[i]);
		assert_delivers(r, runs[i], resume(r, runs[i], NULL), "B");
	}
	assert_delivers(r, runs[9], reply(r, runs[9], 403, "late"), "B"); /* the new one is not dropped */
	for (size_t i = 0; i < G_N_ELEMENTS(runs); i++) {
		g_assert_cmpint(reply(r, runs[i], 200, ""), ==, BH_SCRIPT_RETURNED);
		bh_script_free(runs[i]);
	}
	assert_warm(r, settings, "B");
}

static void a_receiver_that_always_refuses_costs_one_request_and_then_none(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	warm_up(r, settings, "A");

	bh_script *s = begin(r, settings);
	resume(r, s, NULL);
	assert_asks_for_token(r, s, reply(r, s, 401, ""));
	assert_delivers(r, s, grant(r, s, "B"), "B");
	g_assert_cmpint(reply(r, s, 401, ""), ==, BH_SCRIPT_RETURNED);
	g_assert_cmpint(bh_script_judged(s)->kind, ==, BH_JUDGED_BY_ANSWER);
	bh_script_free(s);

	s = begin(r, settings);
	tell_time(r, 29 * BH_SECOND);
	assert_delivers(r, s, resume(r, s, NULL), "B");
	g_assert_cmpint(reply(r, s, 401, ""), ==, BH_SCRIPT_RETURNED);
	bh_script_free(s);

	s = begin(r, settings);
	tell_time(r, BH_SECOND);
	assert_delivers(r, s, resume(r, s, NULL), "B");
	assert_asks_for_token(r, s, reply(r, s, 401, ""));
	bh_script_free(s);
}

static void the_answer_of_a_refusal_is_still_there_after_a_new_token_was_asked_for(rig *r, gconstpointer unused)
{
	write_deliver(r, "local t = { url = 'https://id.example/token', client_id = 'a', client_secret = 'b' }\n"
			 "remote.token(t)\n"
			 "local answer = remote.post(settings.url, { body = 'x' })\n"
			 "assert(remote.fresh_token(t) == nil)\n"
			 "assert(answer.status == 401 and answer.body == 'why', answer.body)\n"
			 "return answer");
	bh_script *s = begin_own(r);
	resume(r, s, NULL);
	grant(r, s, "A");
	assert_asks_for_token(r, s, reply(r, s, 401, "why"));
	g_assert_cmpint(grant(r, s, "A"), ==, BH_SCRIPT_RETURNED); /* the same one: no other */
	g_assert_cmpint(bh_script_judged(s)->kind, ==, BH_JUDGED_BY_ANSWER);
	bh_script_free(s);
}

/* --- none to be had ----------------------------------------------------------------------------- */

static void a_service_in_trouble_ends_the_run_and_is_left_alone(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	bh_script *first = begin(r, settings), *second = begin(r, settings);

	resume(r, first, NULL);
	resume(r, second, NULL);
	assert_ended(first, reply(r, first, 503, ""), BH_CAUSE_TOKEN, true, 5 * BH_SECOND);
	g_assert_cmpstr(bh_script_judged(first)->why, ==, "The token service answered 503.");
	g_assert_true(bh_script_host_next(r->host) == second);
	assert_ended(second, resume(r, second, NULL), BH_CAUSE_TOKEN, true, 5 * BH_SECOND);
	bh_script_free(first);
	bh_script_free(second);

	tell_time(r, 2 * BH_SECOND);
	bh_script *s = begin(r, settings);
	assert_ended(s, resume(r, s, NULL), BH_CAUSE_TOKEN, false, 3 * BH_SECOND);
	bh_script_free(s);
	tell_time(r, 3 * BH_SECOND);
	warm_up(r, settings, "A");
}

static void a_wrong_secret_is_a_matter_of_credentials_and_is_not_repeated(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, ",\"credentials\":\"body\"");
	bh_script *first = begin(r, settings), *second = begin(r, settings);

	resume(r, first, NULL);
	resume(r, second, NULL);
	assert_ended(first,
		     reply(r, first, 401,
			   "{\"error\":\"invalid_client\",\"error_description\":\"" SECRET
			   " or s3cr%2Bt%2F7 is wrong\"}"),
		     BH_CAUSE_CREDENTIALS, true, 5 * BH_SECOND);
	g_assert_true(bh_script_host_next(r->host) == second);
	resume(r, second, NULL);
	g_assert_cmpstr(bh_script_judged(first)->why, ==,
			"The token service answered 401, invalid_client: \"*** or *** is wrong\".");
	g_assert_cmpstr(bh_script_judged(second)->why, ==, bh_script_judged(first)->why);
	bh_script_free(first);
	bh_script_free(second);
}

static void a_token_url_that_the_guard_refuses_says_so(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	bh_answer refused = {.cause = BH_CAUSE_GUARD, .sentence = "The address is private.", .guard_rule = "private"};
	bh_script *s = begin(r, settings);

	resume(r, s, NULL);
	assert_ended(s, resume(r, s, &refused), BH_CAUSE_GUARD, true, 0);
	g_assert_cmpstr(bh_script_judged(s)->why, ==, "The token service may not be asked. The address is private.");
	bh_script_free(s);
}

static void the_end_is_not_caught(rig *r, gconstpointer unused)
{
	write_deliver(r, "pcall(function() remote.token{ url = 'https://id.example/token', client_id = 'a' } end)\n"
			 "return remote.delivered('caught')");
	bh_script *s = begin_own(r);
	resume(r, s, NULL);
	assert_ended(s, reply(r, s, 500, ""), BH_CAUSE_TOKEN, true, 5 * BH_SECOND);
	bh_script_free(s);
}

static void a_failed_replacement_ends_the_run_too(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, "");
	warm_up(r, settings, "A");
	bh_script *s = begin(r, settings);
	resume(r, s, NULL);
	assert_asks_for_token(r, s, reply(r, s, 401, ""));
	assert_ended(s, reply(r, s, 200, "{}"), BH_CAUSE_TOKEN, true, 5 * BH_SECOND);
	bh_script_free(s);
}

/* --- what is wrong in a call ---------------------------------------------------------------------- */

static void wrong_parameters_are_named(rig *r, gconstpointer unused)
{
	static const struct {
		const char *parameters, *trouble;
	} rows[] = {
		{"5", "remote.token: the options must be a table"},
		{"{ client_id = 'a' }", "remote.token: url is missing"},
		{"{ url = 'https://a', client_secret = 'b' }", "remote.token: client_id is missing"},
		{"{ url = 'https://a', client_id = 7 }", "remote.token: client_id must be a text, not number"},
		{"{ url = 'https://a', client_id = 'a', secret = 'b' }", "remote.token: unknown option 'secret'"},
		{"{ url = 'https://a', client_id = 'a', credentials = 'both' }",
		 "remote.token: credentials must be \"header\", \"header_raw\" or \"body\""},
		{"{ url = 'https://a', client_id = 'a:b', credentials = 'header_raw' }",
		 "remote.token: the client id holds a colon, which \"header_raw\" cannot send"},
		{"{ url = 'https://a', client_id = 'a', client_secret = 'b\\n', credentials = 'header_raw' }",
		 "remote.token: client id or secret hold a control character, which \"header_raw\" cannot send"},
		{"{ url = 'https://a', client_id = 'a', extra = { grant_type = 'password' } }",
		 "remote.token: 'grant_type' may not stand in `extra`"},
		{"{ url = 'https://a', client_id = 'a', extra = { client_secret = 'x' } }",
		 "remote.token: 'client_secret' may not stand in `extra`"},
		{"{ url = 'https://a', client_id = 'a', extra = { a = 7 } }",
		 "remote.token: a value in extra must be a text, not number"},
		{"{ url = 'https://a', client_id = 'a', extra = { 'x' } }",
		 "remote.token: a name in extra must be a text, not number"},
		{"{ url = 'https://a', client_id = 'a', resource = true }",
		 "remote.token: resource must be a text, not boolean"},
		{"{ url = 'https://a', client_id = 'a', resource = { 'x', 7 } }",
		 "remote.token: resource must be a text, not number"},
		{"{ url = 'https://a', client_id = ('a'):rep(5000) }",
		 "remote.token: client_id is longer than 4096 bytes"},
		{"{ url = 'https://a b', client_id = 'a' }",
		 "remote.token: the URL holds a blank or a control character"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *code = g_strdup_printf("return remote.token(%s)", rows[i].parameters);
		g_autofree char *trouble = g_strconcat("own.lua:5: ", rows[i].trouble, NULL);
		write_deliver(r, code);
		bh_script *s = begin_own(r);
		g_assert_cmpint(resume(r, s, NULL), ==, BH_SCRIPT_BROKE);
		g_assert_cmpstr(bh_script_trouble(s), ==, trouble);
		bh_script_free(s);
	}
}

static void a_run_gets_a_few_tokens_and_no_more(rig *r, gconstpointer unused)
{
	write_deliver(r, "for i = 1, 100 do\n"
			 "  remote.token{ url = 'https://id.example/token', client_id = 'c' .. i }\nend");
	bh_script *s = begin_own(r);
	bh_script_turn turn = resume(r, s, NULL);
	for (size_t i = 0; i < 8; i++) {
		assert_asks_for_token(r, s, turn);
		turn = grant(r, s, "A");
	}
	g_assert_cmpint(turn, ==, BH_SCRIPT_BROKE);
	g_assert_nonnull(strstr(bh_script_trouble(s), "a delivery may get 8 tokens"));
	bh_script_free(s);
}

/* --- hiding --------------------------------------------------------------------------------------- */

static void collect(void *list, bh_span password)
{
	g_ptr_array_add(list, g_strndup(password.at, password.size));
}

static bool names(const bh_script *s, const char *password)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	bh_script_each_password(s, collect, list);
	return g_ptr_array_find_with_equal_func(list, password, g_str_equal, NULL);
}

static void tokens_are_named_among_the_passwords(rig *r, gconstpointer unused)
{
	g_autofree char *settings = stored(r, ",\"credentials\":\"body\"");
	bh_script *s = begin(r, settings);

	resume(r, s, NULL);
	g_assert_true(names(s, SECRET));
	g_assert_true(names(s, "s3cr%2Bt%2F7"));
	g_assert_true(names(s, "grant_type=client_credentials&client_id=hub&client_secret=s3cr%2Bt%2F7"));
	reply(r, s, 200, "{\"access_token\":\"a\\/b\",\"refresh_token\":\"ref\",\"id_token\":\"idt\"}");
	g_assert_true(names(s, "a/b"));
	g_assert_true(names(s, "a\\/b"));
	g_assert_true(names(s, "ref"));
	g_assert_true(names(s, "idt"));
	bh_script_free(s);

	s = begin(r, settings); /* another run that uses it */
	resume(r, s, NULL);
	g_assert_true(names(s, "a/b"));
	bh_script_free(s);
}

static void a_script_that_shows_a_token_is_hidden(rig *r, gconstpointer unused)
{
	write_deliver(r, "error('got ' .. remote.token{ url = 'https://id.example/token', client_id = 'a' }, 0)");
	bh_script *s = begin_own(r);
	resume(r, s, NULL);
	g_assert_cmpint(grant(r, s, "abcdefgh"), ==, BH_SCRIPT_BROKE);
	g_assert_cmpstr(bh_script_trouble(s), ==, "own.lua:5: got ***");
	bh_script_free(s);
}

/* --- looking up ----------------------------------------------------------------------------------- */

#define LOOKUP_URL "https://site.example/api/webhooks/{property_id}/{type}/{data.contract_uid}"

static void use_lookup(rig *r, const char *url, bool with_token)
{
	bh_lookup_config config = {.url = url};
	if (with_token)
		config = (bh_lookup_config){.url = url,
					    .token_url = "https://site.example/api/",
					    .client_id = "bell",
					    .client_secret = bh_span_of("site's")};
	g_autoptr(GError) error = NULL;
	g_assert_true(bh_lookup_config_check(&config, &error));
	g_assert_no_error(error);
	bh_script_host_lookup(r->host, &config);
}

/* A run whose note is the name that the details hold, or "nil". */
static bh_script *begin_lookup(rig *r)
{
	write_deliver(r, "local details = remote.lookup(event)\n"
			 "return remote.delivered(details and details.guest.name or 'nil')");
	return begin_own(r);
}

static void assert_looks_up(const rig *r, const bh_script *s, bh_script_turn turn, const char *verb, const char *url)
{
	g_assert_cmpint(turn, ==, BH_SCRIPT_CALLS);
	g_assert_cmpint(bh_script_call_kind(s), ==, BH_CALL_LOOKUP);
	g_assert_true(r->call.trusted);
	g_assert_cmpstr(r->call.verb, ==, verb);
	g_assert_cmpstr(r->call.url, ==, url);
}

static void assert_noted(bh_script *s, bh_script_turn turn, const char *note)
{
	g_assert_cmpint(turn, ==, BH_SCRIPT_RETURNED);
	g_assert_cmpstr(bh_script_judged(s)->why, ==, note);
	bh_script_free(s);
}

static void details_come_from_the_site_when_the_event_has_none(rig *r, gconstpointer unused)
{
	use_lookup(r, LOOKUP_URL, false);
	bh_script *s = begin_lookup(r);
	assert_looks_up(r, s, resume(r, s, NULL), "GET", "https://site.example/api/webhooks/12/booking_added/41");
	g_assert_null(header_of(r, "Authorization"));
	assert_noted(s, reply(r, s, 200, "{\"data\":{\"guest\":{\"name\":\"Ann\"}},\"meta\":{\"code\":200}}"), "Ann");

	s = begin_lookup(r);
	resume(r, s, NULL);
	assert_noted(s, reply(r, s, 200, "{\"guest\":{\"name\":\"Bob\"}}"), "Bob");
	s = begin_lookup(r);
	resume(r, s, NULL);
	assert_noted(s, reply(r, s, 404, "{}"), "nil");
}

static void the_site_is_asked_with_a_token_of_its_own(rig *r, gconstpointer unused)
{
	use_lookup(r, LOOKUP_URL, true);
	bh_script *s = begin_lookup(r);
	assert_looks_up(r, s, resume(r, s, NULL), "POST", "https://site.example/api/");
	g_assert_cmpmem(r->call.body.at, r->call.body.size,
			"grant_type=client_credentials&client_id=bell&client_secret=site%27s", 67);
	assert_looks_up(r, s, grant(r, s, "A"), "GET", "https://site.example/api/webhooks/12/booking_added/41");
	g_assert_cmpstr(header_of(r, "Authorization"), ==, "Bearer A");

	assert_looks_up(r, s, reply(r, s, 401, ""), "POST", "https://site.example/api/");
	assert_looks_up(r, s, grant(r, s, "B"), "GET", "https://site.example/api/webhooks/12/booking_added/41");
	g_assert_cmpstr(header_of(r, "Authorization"), ==, "Bearer B");
	g_assert_true(names(s, "B"));
	g_assert_true(names(s, "site's"));
	assert_noted(s, reply(r, s, 200, "{\"data\":{\"guest\":{\"name\":\"Ann\"}}}"), "Ann");
}

static void what_cannot_be_looked_up_ends_the_run(rig *r, gconstpointer unused)
{
	static const struct {
		int status;
		const char *body, *why;
	} rows[] = {
		{500, "", "The details could not be looked up: the answer was 500."},
		{401, "", "The details could not be looked up: the answer was 401."},
		{200, "<html>", "The details could not be looked up: the answer is no JSON."},
	};
	use_lookup(r, LOOKUP_URL, false);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_script *s = begin_lookup(r);
		resume(r, s, NULL);
		assert_ended(s, reply(r, s, rows[i].status, rows[i].body), BH_CAUSE_LOOKUP, true, -1);
		g_assert_cmpstr(bh_script_judged(s)->why, ==, rows[i].why);
		bh_script_free(s);
	}

	use_lookup(r, LOOKUP_URL, true);
	bh_script *s = begin_lookup(r);
	resume(r, s, NULL);
	assert_ended(s, reply(r, s, 503, ""), BH_CAUSE_LOOKUP, true, 5 * BH_SECOND);
	g_assert_cmpstr(bh_script_judged(s)->why, ==,
			"The details could not be looked up. The token service answered 503.");
	bh_script_free(s);
}

static void who_shall_ask_when_there_is_nobody_to_ask_any_more_ends(rig *r, gconstpointer unused)
{
	use_lookup(r, LOOKUP_URL, true);
	bh_script *first = begin_lookup(r);
	resume(r, first, NULL);
	write_deliver(r, "pcall(remote.lookup, event) return remote.post(settings.url, {})");
	bh_script *second = begin_own(r), *third = begin_own(r);
	resume(r, second, NULL);
	resume(r, third, NULL);

	use_lookup(r, LOOKUP_URL, false);
	bh_script_free(first);

	bh_script *waiting[] = {second, third};
	for (size_t i = 0; i < G_N_ELEMENTS(waiting); i++) {
		g_assert_true(bh_script_host_next(r->host) == waiting[i]);
		assert_ended(waiting[i], resume(r, waiting[i], NULL), BH_CAUSE_LOOKUP, true, -1);
		bh_script_free(waiting[i]);
	}
	g_assert_false(bh_script_host_has_next(r->host));
}

static void without_anything_to_ask_there_are_no_details(rig *r, gconstpointer unused)
{
	g_autofree char *filling = g_strnfill(2037, 'x'),
			*too_long = g_strdup_printf("https://s/%s{data.contract_uid}", filling);
	const char *const urls[] = {NULL, "https://s/{manager_id}", "https://s/{data.guest}", "https://s/{data.up}",
				    too_long};
	for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
		use_lookup(r, urls[i], false);
		bh_script *s = begin_lookup(r);
		assert_noted(s, resume(r, s, NULL), "nil");
	}
}

static void a_script_cannot_ask_for_what_is_not_its_events(rig *r, gconstpointer unused)
{
	use_lookup(r, "https://s/{property_id}/{data.room}?e={event_id}", false);
	write_deliver(r, "event.property_id = '21'; event.data = { room = 'z' }\n"
			 "remote.lookup{ property_id = '21' }");
	bh_script *s = begin_own(r);
	assert_looks_up(r, s, resume(r, s, NULL), "GET", "https://s/12/a%2Fb%20c?e=evt_04f2k8m1q7zr0");
	bh_script_free(s);
}

static void details_that_are_there_are_not_asked_for(rig *r, gconstpointer unused)
{
	use_lookup(r, LOOKUP_URL, false);
	write_deliver(r, "return remote.delivered(remote.lookup{ details = { a = 'here' } }.a)");
	bh_script *s = begin_own(r);
	assert_noted(s, resume(r, s, NULL), "here");
}

static void a_wrong_lookup_is_named_in_the_settings(void)
{
	static const struct {
		const char *url, *message;
	} rows[] = {
		{"https://s/{property}",
		 "lookup_url: {property} is unknown; there are {event_id}, {type}, {property_id}, "
		 "{manager_id} and {data.<member>}"},
		{"https://s/{data.}", "lookup_url: {data.} is unknown; there are {event_id}, {type}, {property_id}, "
				      "{manager_id} and {data.<member>}"},
		{"https://s/{type}/{type", "lookup_url: a { is never closed"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(bh_lookup_config_check(&(bh_lookup_config){.url = rows[i].url}, &error));
		g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
		g_assert_cmpstr(error->message, ==, rows[i].message);
	}
	bh_lookup_config alone = {.url = "https://s/", .token_url = "https://s/", .client_id = "a"};
	g_assert_false(bh_lookup_config_check(&alone, NULL));
}

#define TEST(path, function) g_test_add("/remote_token/" path, rig, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST("first and next", the_first_event_fetches_a_token_and_the_next_ones_use_it);
	TEST("all set", all_that_was_set_goes_to_the_service);
	TEST("fifty", fifty_events_make_one_request);
	TEST("taken over", who_waits_asks_when_the_one_who_asked_is_gone);
	TEST("own token", another_request_or_webhook_has_another_token);
	TEST("changed secret", a_changed_secret_drops_the_token_at_once);
	TEST("ten refused", ten_refused_at_once_get_one_new_token);
	TEST("always refused", a_receiver_that_always_refuses_costs_one_request_and_then_none);
	TEST("answer kept", the_answer_of_a_refusal_is_still_there_after_a_new_token_was_asked_for);
	TEST("service in trouble", a_service_in_trouble_ends_the_run_and_is_left_alone);
	TEST("wrong secret", a_wrong_secret_is_a_matter_of_credentials_and_is_not_repeated);
	TEST("guard", a_token_url_that_the_guard_refuses_says_so);
	TEST("not caught", the_end_is_not_caught);
	TEST("failed replacement", a_failed_replacement_ends_the_run_too);
	TEST("wrong parameters", wrong_parameters_are_named);
	TEST("a few", a_run_gets_a_few_tokens_and_no_more);
	TEST("passwords", tokens_are_named_among_the_passwords);
	TEST("shown", a_script_that_shows_a_token_is_hidden);
	TEST("lookup/site", details_come_from_the_site_when_the_event_has_none);
	TEST("lookup/token", the_site_is_asked_with_a_token_of_its_own);
	TEST("lookup/end", what_cannot_be_looked_up_ends_the_run);
	TEST("lookup/nobody", who_shall_ask_when_there_is_nobody_to_ask_any_more_ends);
	TEST("lookup/nothing", without_anything_to_ask_there_are_no_details);
	TEST("lookup/own event", a_script_cannot_ask_for_what_is_not_its_events);
	TEST("lookup/there", details_that_are_there_are_not_asked_for);
	g_test_add_func("/remote_token/lookup/settings", a_wrong_lookup_is_named_in_the_settings);
	return g_test_run();
}
