/* Methods looked at and tried without a server: what is warned of, what is pretended, and what the engine would do. */
#include "base/error.h"
#include "base/json.h"
#include "cli/answerer.h"
#include "cli/args.h"
#include "cli/lua_words.h"
#include "cli/member.h"
#include "cli/method_doubts.h"
#include "cli/method_json.h"
#include "cli/trial_view.h"

#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>

#define NOW (1700000000 * BH_SECOND)

static char *folder; /* of this process alone */

static bh_methods *method_of(const char *source, const bh_method **ret_method)
{
	g_autofree char *path = g_build_filename(folder, "acme.lua", NULL);
	g_autoptr(GError) error = NULL;
	g_assert_true(g_file_set_contents(path, source, -1, NULL));
	bh_methods *set = bh_methods_load_file(path, &error);
	g_assert_no_error(error);
	*ret_method = bh_methods_find(set, "acme");
	g_assert_nonnull(*ret_method);
	return set;
}

/* --- Words of Lua ------------------------------------------------------------------------------ */

static void comments_are_no_words_and_texts_are_whole(void)
{
	static const char *const source = "-- one = 'x'\n"
					  "--[==[ two\n ]] ]==] local a = \"b\\\"c\" .. [[d\n]]\n"
					  "x.y[ 'z' ] ~= 0x1F";
	static const struct {
		const char *text;
		unsigned line;
		int kind;
	} rows[] = {{"local", 3, BH_LUA_NAME},  {"a", 3, BH_LUA_NAME},     {"=", 3, BH_LUA_SIGN},
		    {"b\\\"c", 3, BH_LUA_TEXT}, {"..", 3, BH_LUA_SIGN},    {"d\n", 3, BH_LUA_TEXT},
		    {"x", 5, BH_LUA_NAME},      {".", 5, BH_LUA_SIGN},     {"y", 5, BH_LUA_NAME},
		    {"[", 5, BH_LUA_SIGN},      {"z", 5, BH_LUA_TEXT},     {"]", 5, BH_LUA_SIGN},
		    {"~=", 5, BH_LUA_SIGN},     {"0x1F", 5, BH_LUA_NUMBER}};
	g_autoptr(GArray) words = bh_lua_words(bh_span_of(source));
	g_assert_cmpuint(words->len, ==, G_N_ELEMENTS(rows));
	for (guint i = 0; i < words->len; i++) {
		const bh_lua_word *w = &g_array_index(words, bh_lua_word, i);
		g_assert_true(bh_span_equal(w->text, bh_span_of(rows[i].text)));
		g_assert_cmpuint(w->line, ==, rows[i].line);
		g_assert_cmpint(w->kind, ==, rows[i].kind);
	}
}

static void what_has_no_end_ends_with_the_text(void)
{
	static const char *const sources[] = {"", "\"abc", "'\\", "[[abc", "--[[abc", "--", "[=", "a.."};
	for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
		g_autofree char *exact = g_memdup2(sources[i], strlen(sources[i])); /* without a NUL behind it */
		g_autoptr(GArray) words = bh_lua_words((bh_span){exact, strlen(sources[i])});
		g_assert_cmpuint(words->len, <=, 2);
	}
}

/* --- Doubts ------------------------------------------------------------------------------------ */

#define FORM(fields, deliver) \
	"return { title = 'Acme', fields = {\n" fields "\n},\n" \
	"deliver = function(event, settings, remote)\n" deliver "\n" \
	"end }"
#define URL "{ key = 'url', format = 'url', title = 'URL', required = true },"
#define WITH_PASSWORD URL "{ key = 'key', format = 'password', title = 'Key', required = true },"
#define POST "return remote.post(settings.url, { body = event.body })"

/* "3 sentence|5 sentence" */
static char *doubts_of(const char *source)
{
	const bh_method *method;
	g_autoptr(bh_methods) set = method_of(source, &method);
	g_autoptr(GArray) doubts = bh_method_doubts(method);
	GString *all = g_string_new(NULL);
	for (guint i = 0; i < doubts->len; i++) {
		const bh_doubt *d = &g_array_index(doubts, bh_doubt, i);
		g_string_append_printf(all, "%s%u %s", i ? "|" : "", d->line, d->text);
	}
	return g_string_free(all, FALSE);
}

static void what_is_surely_not_meant_is_warned_of(void)
{
	static const struct {
		const char *source, *expected;
	} rows[] = {
		{FORM(URL "\n{ key = 'token', format = 'password', title = 'T' }", POST),
		 "3 Field \"token\" is in the form, but nothing looks at settings.token."},
		{FORM(URL, "return remote.post(settings.ulr, { body = settings.url })"),
		 "5 No field has the key \"ulr\"; did you mean settings.url?"},
		{FORM(URL, "local body = jsn.encode(event)\nos.exit(print(jsn))\n" POST),
		 "5 There is no \"jsn\"; did you mean json?|6 There is no \"os\": neither the file nor Bellhop gives scripts one."
		 "|6 There is no \"print\": neither the file nor Bellhop gives scripts one."},
		{FORM(URL, "local x = settings.quite_another\n" POST),
		 "5 No field has the key \"quite_another\", so settings has none of that name: it is always nil."},
		{FORM("{ key = 'url', format = 'url', title = 'URL', default = 'http://a.example/' }", POST),
		 "2 The default of \"url\" begins with http: what is sent there can be read on the way. Use https."},
		{FORM("{ key = 'url', format = 'url', title = 'URL' }", POST),
		 "2 \"url\" may be left empty, and settings.url is nil then. Say required = true, or give a default."},
		{"return { title = 'Acme', fields = {\n" WITH_PASSWORD "},\n"
		 "accepts = function(event, settings)\nlocal x = settings.key\nreturn true end,\n"
		 "deliver = function(event, settings, remote) return remote.post(settings.url, { body = settings.key }) end }",
		 "4 Passwords are for `deliver` alone: in `accepts`, settings.key is always nil."},
		{"return { title = 'Acme', fields = {\n" URL "},\naccepts = function(event) local yes = true end,\n"
		 "deliver = function(event, settings, remote) " POST " end }",
		 "3 `accepts` returns nothing; it has to return true or false."},
		{FORM(URL "{ key = 'say', format = 'notes', title = 'Read' },", "local x = settings.say\n" POST),
		 "5 \"say\" is a note: it has no value, settings.say is always nil."},
		{FORM(URL, "remote.post(settings.url, { body = event.body })"),
		 "4 `deliver` returns nothing; it has to return the answer of a call, or what remote.delivered, retry or fail "
		 "make."},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *doubts = doubts_of(rows[i].source);
		g_assert_cmpstr(doubts, ==, rows[i].expected);
	}
}

static void what_may_be_meant_is_left_alone(void)
{
	static const char *const sources[] = {
		FORM(URL, POST),
		/* computed names: any field may be looked at */
		FORM(URL "{ key = 'a', format = 'input', title = 'A' }", "local s = settings[event.type]\n" POST),
		FORM(URL "{ key = 'a', format = 'input', title = 'A' }", "for k, v in pairs(settings) do end\n" POST),
		FORM(URL "{ key = 'a', format = 'input', title = 'A' }", "local s = settings['a']\n" POST),
		/* asked for before use */
		FORM("{ key = 'url', format = 'url', title = 'URL' }",
		     "if not settings.url then return remote.fail('no url') end\n" POST),
		FORM("{ key = 'url', format = 'url', title = 'URL' }",
		     "return remote.post(settings.url or 'https://a.example/', { body = event.body })"),
		/* a variable of that name is none of ours; a comment says nothing */
		FORM(URL,
		     "-- settings.nothing\nlocal settings = { url = settings.url, x = 1 }\nlocal y = settings.x\n" POST),
		/* all that Lua calls a name without being an unknown variable */
		FORM(URL,
		     "local a <const>, b <close> = 1, nil\nlocal function f(c, d, ...) return c, d, ... end\n"
		     "local t = { e = 1, ['x'] = 2, f = function(self, g) return self.e, g end }\nfunction t:h(i) return self, i end\n"
		     "for j, k in ipairs(t) do goto on\n::on:: end\nlocal s = ('x'):rep(a) .. t.u.v.w .. f(b)\n"
		     "for n = 1, 1e3 do local o = 0xFFp2 + n < a end\n" POST),
		/* a return in a branch is a return */
		FORM(URL, "if event then\n" POST "\nelse for i = 1, 2 do end end"),
	};
	for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
		g_autofree char *doubts = doubts_of(sources[i]);
		g_assert_cmpstr(doubts, ==, "");
	}
}

/* --- Pretended answers --------------------------------------------------------------------------- */

static bh_guard *new_guard(void)
{
	bh_guard *guard = bh_guard_new(NULL, NULL, false, NULL);
	g_assert_nonnull(guard);
	return guard;
}

static bool ask(bh_answerer *answerer, const char *url, bh_answer *ret, GError **error)
{
	bh_request request = {.verb = "POST", .url = url};
	return answerer->answer(answerer, &request, ret, error);
}

static bh_answerer *pretend(const char *const *given, GError **error)
{
	g_autoptr(bh_guard) guard = new_guard();
	return bh_answerer_pretended(given, guard, NOW, error);
}

static void answers_are_given_as_they_were_typed(void)
{
	static const struct {
		const char *given;
		int status;
		bh_cause cause;
		const char *head, *body;
	} rows[] = {
		{"200", 200, BH_CAUSE_NONE, "", ""},
		{"429 Retry-After=30", 429, BH_CAUSE_NONE, "Retry-After: 30\n", ""},
		{"400:{\"title\":\"Member Exists\"}", 400, BH_CAUSE_NONE, "Content-Type: application/json\n",
		 "{\"title\":\"Member Exists\"}"},
		{"200 content-type=text/plain:{x", 200, BH_CAUSE_NONE, "content-type: text/plain\n", "{x"},
		{"302 Location=https://a.example/b:moved: there", 302, BH_CAUSE_NONE, "Location: https://a.example/b\n",
		 "moved: there"},
		{"500:@@at", 500, BH_CAUSE_NONE, "", "@at"},
		{"timeout", 0, BH_CAUSE_TIMEOUT, "", ""},
		{"tls", 0, BH_CAUSE_TLS, "", ""},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *const given[] = {rows[i].given, NULL};
		bh_answer answer = {0};
		g_autoptr(bh_answerer) answerer = pretend(given, NULL);
		g_assert_nonnull(answerer);
		g_assert_true(ask(answerer, "https://a.example/", &answer, NULL));
		g_assert_cmpint(answer.status, ==, rows[i].status);
		g_assert_cmpint(answer.cause, ==, rows[i].cause);
		g_assert_cmpstr(answer.head->str, ==, rows[i].head);
		g_assert_cmpmem(answer.body->data, answer.body->len, rows[i].body, strlen(rows[i].body));
		bh_answer_forget(&answer);
	}
}

static void what_is_no_answer_is_refused(void)
{
	static const char *const rows[] = {"", "20", "100", "1000", "ok", "guard", "200 Retry-After", "200 =x", ":x"};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *const given[] = {rows[i], NULL};
		g_autoptr(GError) error = NULL;
		g_test_message("%s", rows[i]);
		g_assert_null(pretend(given, &error));
		g_assert_error(error, BH_USAGE_ERROR, 0);
	}
}

static void the_guard_refuses_and_keeps_the_answer(void)
{
	const char *const given[] = {"200", NULL};
	bh_answer answer = {0};
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_answerer) answerer = pretend(given, NULL);
	g_assert_true(ask(answerer, "http://127.0.0.1/", &answer, NULL));
	g_assert_cmpint(answer.cause, ==, BH_CAUSE_GUARD);
	bh_answer_forget(&answer);
	g_assert_cmpuint(bh_answerer_left(answerer), ==, 1);

	g_assert_true(ask(answerer, "https://a.example/", &answer, NULL));
	g_assert_cmpint(answer.status, ==, 200);
	bh_answer_forget(&answer);
	g_assert_false(ask(answerer, "https://a.example/", &answer, &error));
	g_assert_cmpstr(error->message, ==,
			"the script makes call 2, and only 1 answer was pretended: give another --answer");
}

/* --- Trials ------------------------------------------------------------------------------------ */

typedef struct rig {
	bh_methods *set;
	const bh_method *method;
	bh_settings *settings;
	bh_sealer *sealer;
	char *stored;
	bh_event *event;
	GBytes *body;
	bh_answerer *answerer;
	bh_trial_plan plan;
} rig;

static bh_event *new_event(void)
{
	bh_event parts = {.refs = 1,
			  .id = 17,
			  .type = (char *)"booking_added",
			  .occurred_at = NOW,
			  .accepted_at = NOW,
			  .data = bh_span_of("{\"property_uid\":12}")};
	return bh_event_restore(&parts);
}

static void rig_init(rig *r, const char *source, const char *settings, const char *const *answers)
{
	g_autoptr(bh_guard) guard = new_guard();
	g_autoptr(GError) error = NULL;
	*r = (rig){.set = method_of(source, &r->method), .settings = bh_settings_load(NULL, NULL, NULL)};
	r->method = bh_methods_find(r->set, "acme");
	r->sealer = bh_sealer_throwaway(&error);
	r->stored = bh_settings_store(r->method, bh_span_of(settings), NULL, r->sealer, guard, NULL, &error);
	g_assert_no_error(error);
	r->event = new_event();
	r->body = bh_event_body(r->event, BH_SHAPE_STANDARD, false, NULL, 0);
	r->answerer = bh_answerer_pretended(answers, guard, NOW, &error);
	g_assert_no_error(error);
	r->plan = (bh_trial_plan){.methods = r->set,
				  .method = "acme",
				  .settings = r->stored,
				  .sealer = r->sealer,
				  .event = r->event,
				  .body = r->body,
				  .attempt = 1,
				  .total_timeout = BH_SECOND,
				  .policy = bh_policy_of(r->settings),
				  .answerer = r->answerer};
}

static void rig_clear(rig *r)
{
	bh_answerer_free(r->answerer);
	g_bytes_unref(r->body);
	bh_event_unref(r->event);
	g_free(r->stored);
	bh_sealer_free(r->sealer);
	bh_settings_free(r->settings);
	bh_methods_unref(r->set);
}

static char *told(const rig *r, const bh_trial *trial)
{
	bh_view view = {.now = NOW, .screen = {.width = 100, .whole = true}};
	GString *out = g_string_new(NULL);
	bh_trial_view(&view, &r->plan, trial, out);
	return g_string_free(out, FALSE);
}

static void the_end_is_what_the_engine_would_do(void)
{
	static const struct {
		const char *answer;
		int attempt;
		const char *verdict, *next;
	} rows[] = {
		{"200", 1, "delivered", "Next: nothing, the delivery is done."},
		{"500", 1, "failed", "Next: tried again in about 5 s, by schedule: attempt 2 of 10."},
		{"500", 3, "failed", "Next: tried again in about 30 min, by schedule: attempt 4 of 10."},
		{"500", 10, "failed", "Next: nothing, this is final. No attempt is left."},
		{"timeout", 2, "failed", "Next: tried again in about 5 min, by schedule: attempt 3 of 10."},
		{"503 Retry-After=40", 1, "failed",
		 "Next: tried again in about 40 s, as the answer asks (Retry-After): attempt 2 of 10."},
		{"503 Retry-After=2", 1, "failed", "Next: tried again in about 5 s, by schedule: attempt 2 of 10."},
		{"429 Retry-After=30", 1, "failed",
		 "Next: tried again in about 30 s, as the answer asks (Retry-After): attempt 2; this one does not count."},
		{"502", 1, "failed",
		 "Next: tried again in about 1 min, to leave the service alone for a while: attempt 2 of 10."},
		{"410", 1, "gone", "Next: nothing, this is final. The webhook is switched off."},
		{"400 webhook-delivery=abort-message", 1, "refused",
		 "Next: nothing, this is final. `bellhop delivery retry` or `recover` would try it again."},
		{"500 webhook-delivery=disable", 1, "failed", "The webhook is switched off."},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *const answers[] = {rows[i].answer, NULL};
		rig r;
		rig_init(&r, FORM(URL, POST), "{\"url\":\"https://a.example/\"}", answers);
		r.plan.attempt = rows[i].attempt;
		g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
		g_assert_nonnull(trial);
		g_autofree char *text = told(&r, trial);
		g_test_message("%s", text);
		g_assert_cmpstr(bh_trial_verdict(trial), ==, rows[i].verdict);
		g_assert_nonnull(strstr(text, rows[i].next));
		rig_clear(&r);
	}
}

static void a_credential_is_shown_nowhere(void)
{
	static const char *const answers[] = {"200 X-Echo=open%20sesame:you sent open sesame",
					      "500:b3BlbiBzZXNhbWU and %6f", NULL};
	rig r;
	rig_init(&r,
		 FORM(WITH_PASSWORD,
		      "remote.get(settings.url .. '?k=open%20sesame', { headers = { ['X-Key'] = settings.key } })\n"
		      "return remote.post(settings.url, { body = settings.key .. event.body, headers = {\n"
		      "Authorization = 'Bearer ' .. settings.key .. 'more' } })"),
		 "{\"url\":\"https://a.example/\",\"key\":\"open sesame\"}", answers);
	g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
	g_autofree char *text = told(&r, trial);
	g_autoptr(GString) json = g_string_new(NULL);
	bh_trial_json(&r.plan, trial, json);
	g_test_message("%s\n%s", text, json->str);
	g_assert_cmpuint(trial->calls->len, ==, 2);
	g_assert_null(strstr(text, "sesame"));
	g_assert_null(strstr(json->str, "sesame"));
	g_assert_nonnull(strstr(text, "GET https://a.example/?k=***"));
	g_assert_nonnull(strstr(text, "you sent ***"));
	g_assert_nonnull(strstr(text, "Authorization: ***"));
	rig_clear(&r);
}

static void a_call_too_many_is_said(void)
{
	static const char *const answers[] = {"200", NULL};
	rig r;
	rig_init(&r, FORM(URL, "remote.get(settings.url)\n" POST), "{\"url\":\"https://a.example/\"}", answers);
	g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
	g_assert_cmpstr(bh_trial_verdict(trial), ==, "unanswered");
	g_assert_cmpuint(trial->calls->len, ==, 1);
	g_assert_nonnull(strstr(trial->unanswered, "call 2"));
	rig_clear(&r);
}

static void a_script_that_breaks_is_named_with_its_line(void)
{
	static const char *const answers[] = {"200", NULL};
	rig r;
	rig_init(&r, FORM(URL, "return event.data.nothing.more"), "{\"url\":\"https://a.example/\"}", answers);
	g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
	g_assert_cmpstr(bh_trial_verdict(trial), ==, "failed");
	g_assert_cmpint(trial->conclusion.cause, ==, BH_CAUSE_SCRIPT);
	g_assert_nonnull(strstr(trial->conclusion.sentence, "acme.lua:5:"));
	g_autofree char *text = told(&r, trial);
	g_assert_nonnull(strstr(text, "No call was made."));
	rig_clear(&r);
}

static void a_delivery_is_signed_as_it_would_be(void)
{
	static const char *const answers[] = {"200", NULL};
	rig r;
	rig_init(&r, FORM(URL, POST), "{\"url\":\"https://a.example/\"}", answers);
	g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
	const bh_trial_call *call = trial->calls->pdata[0];
	g_autofree char *lines = g_strjoinv("\n", call->headers);
	g_assert_nonnull(strstr(lines, "webhook-id: evt_"));
	g_assert_nonnull(strstr(lines, "webhook-signature: v1,"));
	g_assert_true(call->is_event_body);
	rig_clear(&r);
}

#define OWN(accepts, transform) \
	"return { accepts = function(event) " accepts " end,\n" \
	"transform = function(event) " transform " end }"

static void a_condition_that_does_not_want_it_is_told(void)
{
	static const char *const answers[] = {"200", NULL};
	rig r;
	rig_init(&r, FORM(URL, POST), "{\"url\":\"https://a.example/\"}", answers);
	r.plan.script = OWN("return event.type ~= 'booking_added'", "");
	g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
	g_autofree char *text = told(&r, trial);
	g_assert_cmpstr(bh_trial_verdict(trial), ==, "filtered");
	g_assert_cmpuint(trial->calls->len, ==, 0);
	g_assert_nonnull(strstr(text, "the webhook's own script does not want this event."));
	g_assert_nonnull(strstr(text, "the delivery ends as filtered"));
	g_assert_null(strstr(text, "No call was made"));
	rig_clear(&r);
}

static void a_changed_body_is_shown_once_as_changed(void)
{
	static const struct {
		const char *deliver, *label;
	} rows[] = {{POST, "the body, as transform made it"},
		    {"return remote.post(settings.url, { body = 'x' .. event.body })", "as transform made it"}};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		static const char *const answers[] = {"200", NULL};
		g_autofree char *source = g_strdup_printf(FORM(URL, "%s"), rows[i].deliver);
		rig r;
		rig_init(&r, source, "{\"url\":\"https://a.example/\"}", answers);
		r.plan.script = OWN("return true", "return 'said: ' .. event.type");
		g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
		g_autofree char *text = told(&r, trial);
		g_assert_cmpstr(bh_trial_verdict(trial), ==, "delivered");
		g_assert_true(trial->changed);
		g_assert_nonnull(strstr(text, rows[i].label));
		g_assert_nonnull(strstr(text, "  said: booking_added\n"));
		rig_clear(&r);
	}
}

static void a_script_that_takes_long_comes_to_its_end(void)
{
	static const char *const answers[] = {"200", NULL};
	rig r;
	rig_init(&r, FORM(URL, "local n = 0\nfor i = 1, 400000 do n = n + i end\n" POST),
		 "{\"url\":\"https://a.example/\"}", answers);
	g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
	g_assert_cmpstr(bh_trial_verdict(trial), ==, "delivered");
	rig_clear(&r);
}

static void the_json_is_json_whatever_came_back(void)
{
	static const char *const answers[] = {"500:\"\x01\xff\\", NULL};
	rig r;
	rig_init(&r, FORM(URL, POST), "{\"url\":\"https://a.example/\"}", answers);
	g_autoptr(bh_trial) trial = bh_trial_run(&r.plan, NULL);
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) error = NULL;
	bh_trial_json(&r.plan, trial, text);
	g_assert_true(bh_json_parse(json, (bh_span){text->str, text->len}, &error));
	g_assert_true(bh_member_is(json, 0, "verdict", "failed"));
	g_assert_true(bh_member_is(json, bh_member(json, 0, "next"), "state", "pending"));
	rig_clear(&r);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	folder = g_dir_make_tmp("bh-method-XXXXXX", NULL);
#define TEST(f) g_test_add_func("/cli/method/" #f, f)
	TEST(comments_are_no_words_and_texts_are_whole);
	TEST(what_has_no_end_ends_with_the_text);
	TEST(what_is_surely_not_meant_is_warned_of);
	TEST(what_may_be_meant_is_left_alone);
	TEST(answers_are_given_as_they_were_typed);
	TEST(what_is_no_answer_is_refused);
	TEST(the_guard_refuses_and_keeps_the_answer);
	TEST(the_end_is_what_the_engine_would_do);
	TEST(a_credential_is_shown_nowhere);
	TEST(a_call_too_many_is_said);
	TEST(a_script_that_breaks_is_named_with_its_line);
	TEST(a_delivery_is_signed_as_it_would_be);
	TEST(a_condition_that_does_not_want_it_is_told);
	TEST(a_changed_body_is_shown_once_as_changed);
	TEST(a_script_that_takes_long_comes_to_its_end);
	TEST(the_json_is_json_whatever_came_back);
	int result = g_test_run();
	g_autofree char *file = g_build_filename(folder, "acme.lua", NULL);
	g_unlink(file);
	g_rmdir(folder);
	g_free(folder);
	return result;
}
