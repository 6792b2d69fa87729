/* What a webhook's owner says of order, coalescing, rate and TLS, and what is said to him: warnings, names looked up. */
#include "api_house.h"

#include "certificates.h"

#define URL "http://198.51.100.1/hook"

/* --- Helpers ----------------------------------------------------------------------------- */

static char *with(const char *members)
{
	return g_strconcat("{\"url\":\"" URL "\",", members, "}", NULL);
}

static void assert_member(const reply *r, const char *member, const char *json)
{
	json_t *expected = json_loads(json, JSON_DECODE_ANY, NULL);

	g_assert_nonnull(expected);
	if (!json_equal(json_object_get(r->json, member), expected))
		g_error("\"%s\" is not %s in %s", member, json, r->body->str);
	json_decref(expected);
}

/* The codes of the warnings, with a blank after each. */
static char *warnings_of(const reply *r)
{
	GString *codes = g_string_new(NULL);
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(r->json, "warnings"), i, row)
	{
		g_string_append_printf(codes, "%s ", json_string_value(json_object_get(row, "code")));
		g_assert_cmpuint(strlen(json_string_value(json_object_get(row, "sentence"))), >, 20);
	}
	return g_string_free(codes, FALSE);
}

/* --- Order, coalescing, rate ------------------------------------------------------------- */

static void all_is_off_unless_it_is_asked_for(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, "{\"url\":\"" URL "\"}");
	g_auto(reply) r = get(h, path);
	const char *const members[] = {"order_by", "coalesce", "rate_limit", "tls", "failing_since", "disables_at"};

	for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
		assert_member(&r, members[i], "null");
	assert_member(&r, "warnings", "[]");
	close_house(h);
}

static void pace_is_set_changed_and_set_back(void)
{
	house *h = open_house();
	g_autofree char *path =
		make_webhook(h, h->seven,
			     "{\"url\":\"" URL "\",\"order_by\":\"contract_uid\","
			     "\"coalesce\":{\"seconds\":2.5,\"fields\":[\"property\",\"room_uid\",\"property\"]},"
			     "\"rate_limit\":{\"requests\":100,\"seconds\":60}}");
	g_auto(reply) made = get(h, path);
	assert_member(&made, "order_by", "\"contract_uid\"");
	assert_member(&made, "coalesce", "{\"seconds\":2.5,\"fields\":[\"property\",\"room_uid\"]}");
	assert_member(&made, "rate_limit", "{\"requests\":100,\"seconds\":60}");

	/* A merge patch merges what is inside, too. */
	patched(h, path, "{\"coalesce\":{\"seconds\":86400},\"rate_limit\":{\"requests\":1000000}}");
	g_auto(reply) merged = get(h, path);
	assert_member(&merged, "order_by", "\"contract_uid\"");
	assert_member(&merged, "coalesce", "{\"seconds\":86400,\"fields\":[\"property\",\"room_uid\"]}");
	assert_member(&merged, "rate_limit", "{\"requests\":1000000,\"seconds\":60}");
	patched(h, path, "{\"coalesce\":{\"fields\":[\"property\"]},\"rate_limit\":{\"seconds\":1.0}}");
	g_auto(reply) fields = get(h, path);
	assert_member(&fields, "coalesce", "{\"seconds\":86400,\"fields\":[\"property\"]}");
	assert_member(&fields, "rate_limit", "{\"requests\":1000000,\"seconds\":1}");

	patched(h, path, "{\"order_by\":null,\"coalesce\":null,\"rate_limit\":null}");
	g_auto(reply) off = get(h, path);
	assert_member(&off, "order_by", "null");
	assert_member(&off, "coalesce", "null");
	assert_member(&off, "rate_limit", "null");
	close_house(h);
}

typedef struct wrong {
	const char *members, *pointer;
} wrong;

static void assert_wrong(const house *h, const wrong *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		g_autofree char *body = with(rows[i].members);
		g_auto(reply) r = call(h, h->seven, "POST", "/v1/webhooks", body);
		g_test_message("%s -> %s", rows[i].members, r.body->str);
		assert_problem(&r, 422, "invalid_field");
		g_assert_cmpstr(text(&r, "pointer"), ==, rows[i].pointer);
	}
	g_auto(reply) none = get(h, "/v1/webhooks");
	g_assert_cmpuint(json_array_size(json_object_get(none.json, "data")), ==, 0);
}

static void a_wrong_pace_is_named(void)
{
	house *h = open_house();
	const wrong rows[] = {
		{"\"order_by\":7", "/order_by"},
		{"\"order_by\":\"\"", "/order_by"},
		{"\"order_by\":\"a b\"", "/order_by"},
		{"\"order_by\":\"a\\u0000b\"", "/order_by"},
		{"\"order_by\":\"\xc3\xa4\"", "/order_by"},
		{"\"order_by\":[\"property\"]", "/order_by"},
		{"\"coalesce\":5", "/coalesce"},
		{"\"coalesce\":[]", "/coalesce"},
		{"\"coalesce\":{}", "/coalesce/seconds"},
		{"\"coalesce\":{\"seconds\":5}", "/coalesce/fields"},
		{"\"coalesce\":{\"fields\":[\"property\"]}", "/coalesce/seconds"},
		{"\"coalesce\":{\"seconds\":0.99,\"fields\":[\"a\"]}", "/coalesce/seconds"},
		{"\"coalesce\":{\"seconds\":86400.1,\"fields\":[\"a\"]}", "/coalesce/seconds"},
		{"\"coalesce\":{\"seconds\":1e400,\"fields\":[\"a\"]}", "/coalesce/seconds"},
		{"\"coalesce\":{\"seconds\":-1e400,\"fields\":[\"a\"]}", "/coalesce/seconds"},
		{"\"coalesce\":{\"seconds\":\"5\",\"fields\":[\"a\"]}", "/coalesce/seconds"},
		{"\"coalesce\":{\"seconds\":null,\"fields\":[\"a\"]}", "/coalesce/seconds"},
		{"\"coalesce\":{\"seconds\":5,\"fields\":[]}", "/coalesce/fields"},
		{"\"coalesce\":{\"seconds\":5,\"fields\":\"a\"}", "/coalesce/fields"},
		{"\"coalesce\":{\"seconds\":5,\"fields\":[\"a\",\"\"]}", "/coalesce/fields/1"},
		{"\"coalesce\":{\"seconds\":5,\"fields\":[\"a\",\"b/c\"]}", "/coalesce/fields/1"},
		{"\"coalesce\":{\"seconds\":5,\"fields\":[\"a\",7]}", "/coalesce/fields/1"},
		{"\"coalesce\":{\"seconds\":5,\"fields\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}",
		 "/coalesce/fields"},
		{"\"coalesce\":{\"seconds\":5,\"fields\":[\"a\"],\"field\":1}", "/coalesce/field"},
		{"\"rate_limit\":1", "/rate_limit"},
		{"\"rate_limit\":{}", "/rate_limit/requests"},
		{"\"rate_limit\":{\"requests\":1}", "/rate_limit/seconds"},
		{"\"rate_limit\":{\"seconds\":1}", "/rate_limit/requests"},
		{"\"rate_limit\":{\"requests\":0,\"seconds\":1}", "/rate_limit/requests"},
		{"\"rate_limit\":{\"requests\":1.5,\"seconds\":1}", "/rate_limit/requests"},
		{"\"rate_limit\":{\"requests\":1000001,\"seconds\":1}", "/rate_limit/requests"},
		{"\"rate_limit\":{\"requests\":9223372036854775808,\"seconds\":1}", "/rate_limit/requests"},
		{"\"rate_limit\":{\"requests\":-9223372036854775808,\"seconds\":1}", "/rate_limit/requests"},
		{"\"rate_limit\":{\"requests\":1,\"seconds\":0.5}", "/rate_limit/seconds"},
		{"\"rate_limit\":{\"requests\":1,\"seconds\":86401}", "/rate_limit/seconds"},
		{"\"rate_limit\":{\"requests\":1,\"seconds\":1,\"per\":2}", "/rate_limit/per"},
		{"\"warnings\":[]", "/warnings"},
		{"\"failing_since\":null", "/failing_since"},
		{"\"disables_at\":null", "/disables_at"},
	};

	assert_wrong(h, rows, G_N_ELEMENTS(rows));
	g_autofree char *long_name = g_strnfill(BH_FIELD_NAME_MAX + 1, 'a');
	g_autofree char *too_long = g_strdup_printf("\"order_by\":\"%s\"", long_name);
	assert_wrong(h, &(wrong){too_long, "/order_by"}, 1);
	close_house(h);
}

static void a_super_manager_changes_no_pace(void)
{
	house *h = open_house();
	g_free(done(h, h->site, "PUT", "/v1/managers/90", "{\"role\":\"super\"}", 201, "id"));
	g_autofree char *boss =
		done(h, h->site, "POST", "/v1/keys", "{\"role\":\"manager\",\"manager_id\":\"90\"}", 201, "key");
	g_autofree char *path = make_webhook(h, h->seven, "{\"url\":\"" URL "\"}");

	assert_pointer(h, boss, "PATCH", path, "{\"order_by\":\"property\"}", "invalid_field", "/order_by");
	assert_pointer(h, boss, "PATCH", path, "{\"tls\":null}", "invalid_field", "/tls");
	close_house(h);
}

/* --- Names ------------------------------------------------------------------------------- */

static void a_name_is_looked_up_before_it_is_saved(void)
{
	house *h = open_house();
	g_auto(reply) fine = call(h, h->seven, "POST", "/v1/webhooks", "{\"url\":\"https://fine.example/a\"}");
	g_autofree char *none = warnings_of(&fine), *path = header(&fine, "Location");

	assert_status(&fine, 201);
	g_assert_cmpstr(none, ==, "");
	g_auto(reply) inside = call(h, h->seven, "POST", "/v1/webhooks", "{\"url\":\"https://inside.example/\"}");
	assert_problem(&inside, 422, "target_refused");
	g_assert_cmpstr(text(&inside, "pointer"), ==, "/url");
	g_assert_true(g_str_has_prefix(text(&inside, "detail"), "private:"));
	assert_pointer(h, h->seven, "PATCH", path, "{\"settings\":{\"url\":\"https://inside.example/\"}}",
		       "target_refused", "/settings/url");

	/* Only the answer to the change tells of the doubt: nobody looks it up again to show it. */
	g_auto(reply) nowhere = call(h, h->seven, "PATCH", path, "{\"url\":\"https://nowhere.example/\"}");
	g_autofree char *doubt = warnings_of(&nowhere);
	assert_status(&nowhere, 200);
	g_assert_cmpstr(doubt, ==, "name_not_resolved ");
	g_assert_cmpstr(text(&nowhere, "url"), ==, "https://nowhere.example/");
	g_auto(reply) shown = get(h, path);
	assert_member(&shown, "warnings", "[]");
	close_house(h);
}

static void an_address_and_an_untouched_name_are_not_looked_up(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, "{\"url\":\"" URL "\"}");
	g_autofree char *named = make_webhook(h, h->seven, "{\"url\":\"https://fine.example/\"}");
	int before = atomic_load(&names_asked);

	patched(h, path, "{\"url\":\"http://198.51.100.2/\"}");
	patched(h, named, "{\"name\":\"x\",\"enabled\":false}");
	g_assert_cmpint(atomic_load(&names_asked), ==, before);
	close_house(h);
}

/* A request of another thread, to a receiver whose name takes its time. */
typedef struct asker {
	const house *h;
	pthread_t thread;
	char *body;
	reply answer;
} asker;

static void *ask_slowly(void *user)
{
	asker *a = user;

	a->answer = call(a->h, a->h->site, "POST", "/v1/webhooks", a->body);
	return NULL;
}

static void start_slow(asker *a, const house *h, unsigned number)
{
	a->h = h;
	a->body = g_strdup_printf("{\"url\":\"https://slow%u.example/\"}", number);
	pthread_create(&a->thread, NULL, ask_slowly, a);
}

static void finish_slow(asker *a)
{
	pthread_join(a->thread, NULL);
	g_free(a->body);
}

static void slow_names_keep_nobody_waiting(void)
{
	house *h = open_house();
	asker slow[4 + 16]; /* as many as are looked up, and as may wait for it */
	g_autoptr(GString) suspended = g_string_new(NULL);

	pthread_mutex_lock(&slow_names);
	for (unsigned i = 0; i < G_N_ELEMENTS(slow); i++) {
		start_slow(&slow[i], h, i);
		g_string_printf(suspended, "bellhop_api_suspended %u\n", i + 1);
		wait_for_metric(h, suspended->str);
	}
	/* Other work goes on; one name too many is taken as it is. */
	g_free(done(h, h->seven, "POST", "/v1/webhooks", "{\"url\":\"" URL "\"}", 201, "id"));
	g_auto(reply) unchecked = call(h, h->seven, "POST", "/v1/webhooks", "{\"url\":\"https://inside.example/\"}");
	g_autofree char *warnings = warnings_of(&unchecked);
	assert_status(&unchecked, 201);
	g_assert_cmpstr(warnings, ==, "name_not_checked ");

	pthread_mutex_unlock(&slow_names);
	for (unsigned i = 0; i < G_N_ELEMENTS(slow); i++) {
		finish_slow(&slow[i]);
		assert_status(&slow[i].answer, 201);
		reply_clear(&slow[i].answer);
	}
	close_house(h);
}

static void closing_waits_for_a_look_up(void)
{
	house *h = open_house();
	asker slow;

	pthread_mutex_lock(&slow_names);
	start_slow(&slow, h, 0);
	wait_for_metric(h, "bellhop_api_suspended 1\n");
	bh_api_quiesce(h->api);
	pthread_mutex_unlock(&slow_names);
	finish_slow(&slow);
	g_assert_true(slow.answer.status == 201 || slow.answer.status == 503);
	reply_clear(&slow.answer);
	close_house(h);
}

/* --- TLS --------------------------------------------------------------------------------- */

/* What an owner has at hand: a CA that lasts, a client certificate that does not last long, and their keys. */
typedef struct papers {
	char *ca, *own, *key, *other_key;
} papers;

static papers make_papers(void)
{
	g_auto(certificate) ca = make((certificate_options){.until = 100 * DAY});
	g_auto(certificate) client = make((certificate_options){.names = "DNS:bellhop.example", .until = 20 * DAY});

	return (papers){pem_of(&ca), pem_of(&client), pem_of_key(&client, NULL), pem_of_key(&ca, NULL)};
}

static void papers_clear(papers *p)
{
	g_free(p->ca);
	g_free(p->own);
	g_free(p->key);
	g_free(p->other_key);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(papers, papers_clear)

/* {"tls":{"ca":...}} of what is given; NULL: left out. */
static char *tls(const char *ca, const char *own, const char *key)
{
	json_t *body = json_pack("{s:{s:s*,s:s*,s:s*}}", "tls", "ca", ca, "certificate", own, "key", key);
	char *text = json_dumps(body, JSON_COMPACT);

	json_decref(body);
	return text;
}

static json_t *tls_of(const reply *r)
{
	return json_object_get(r->json, "tls");
}

static void assert_tls(const house *h, const char *path, const char *ca, const char *own, bool has_key)
{
	g_auto(reply) r = get(h, path);
	json_t *shown = tls_of(&r);

	g_assert_cmpstr(json_string_value(json_object_get(shown, "ca")), ==, ca);
	g_assert_cmpstr(json_string_value(json_object_get(shown, "certificate")), ==, own);
	g_assert_true(json_is_string(json_object_get(shown, "ca_expires_at")) == (ca != NULL));
	g_assert_true(json_is_string(json_object_get(shown, "certificate_expires_at")) == (own != NULL));
	g_assert_true(json_is_true(json_object_get(json_object_get(shown, "key"), "set")) == has_key);
	g_assert_null(strstr(r.body->str, "PRIVATE KEY"));
}

static void tls_is_merged_part_by_part_and_its_key_never_shown(void)
{
	house *h = open_house();
	g_auto(papers) p = make_papers();
	g_autofree char *path = make_webhook(h, h->seven, "{\"url\":\"" URL "\"}");
	g_autofree char *ca = tls(p.ca, NULL, NULL), *pair = tls(NULL, p.own, p.key);

	patched(h, path, ca);
	assert_tls(h, path, p.ca, NULL, false);
	patched(h, path, pair);
	assert_tls(h, path, p.ca, p.own, true);
	patched(h, path, "{\"tls\":{\"ca\":null,\"key\":{\"set\":true}}}");
	assert_tls(h, path, NULL, p.own, true);
	patched(h, path, "{\"name\":\"x\",\"tls\":{}}");
	assert_tls(h, path, NULL, p.own, true);

	/* Kept sealed, and found again after a restart. */
	close_rooms(h);
	g_autofree char *db = in_folder(h, "bellhop.db"), *bytes = NULL;
	gsize size;
	g_assert_true(g_file_get_contents(db, &bytes, &size, NULL));
	g_assert_null(memmem(bytes, size, "PRIVATE KEY", 11));
	open_rooms(h);
	assert_tls(h, path, NULL, p.own, true);

	g_auto(reply) off = call(h, h->seven, "PATCH", path, "{\"tls\":{\"certificate\":null,\"key\":null}}");
	assert_status(&off, 200);
	g_assert_true(json_is_null(tls_of(&off)));
	patched(h, path, pair);
	patched(h, path, "{\"tls\":null}");
	g_auto(reply) none = get(h, path);
	g_assert_true(json_is_null(tls_of(&none)));
	close_house(h);
}

static void a_certificate_that_ends_soon_is_warned_of(void)
{
	house *h = open_house();
	g_auto(papers) p = make_papers();
	g_autofree char *members = tls(p.ca, p.own, p.key);
	g_autofree char *body = g_strconcat("{\"url\":\"" URL "\",", members + 1, NULL);
	g_autofree char *path = make_webhook(h, h->seven, body);
	g_auto(reply) r = get(h, path);
	g_autofree char *codes = warnings_of(&r);

	g_assert_cmpstr(codes, ==, "tls_expires ");
	g_assert_nonnull(strstr(r.body->str, "client certificate"));
	close_house(h);
}

static void wrong_tls_is_named(void)
{
	house *h = open_house();
	g_auto(papers) p = make_papers();
	g_autofree char *path = make_webhook(h, h->seven, "{\"url\":\"" URL "\"}");
	g_autofree char *huge = g_strnfill(BH_PEM_MAX + 1, 'x');
	g_autofree char *not_fitting = tls(NULL, p.own, p.other_key), *alone = tls(NULL, p.own, NULL),
			*only_key = tls(NULL, NULL, p.key), *huge_ca = tls(huge, NULL, NULL),
			*huge_key = tls(NULL, NULL, huge);
	const struct {
		const char *body, *pointer;
	} rows[] = {
		{"{\"tls\":7}", "/tls"},
		{"{\"tls\":\"PEM\"}", "/tls"},
		{"{\"tls\":{\"cert\":\"x\"}}", "/tls/cert"},
		{"{\"tls\":{\"ca_expires_at\":null}}", "/tls/ca_expires_at"},
		{"{\"tls\":{\"ca\":7}}", "/tls/ca"},
		{"{\"tls\":{\"ca\":\"\"}}", "/tls/ca"},
		{"{\"tls\":{\"ca\":\"hello\"}}", "/tls/ca"},
		{"{\"tls\":{\"ca\":\"-----BEGIN CERTIFICATE-----\\u0000\"}}", "/tls/ca"},
		{"{\"tls\":{\"ca\":[\"x\"]}}", "/tls/ca"},
		{"{\"tls\":{\"certificate\":{\"set\":true}}}", "/tls/certificate"},
		{"{\"tls\":{\"key\":{\"set\":true}}}", "/tls/key"},
		{"{\"tls\":{\"key\":{\"set\":false}}}", "/tls/key"},
		{"{\"tls\":{\"key\":{}}}", "/tls/key"},
		{"{\"tls\":{\"key\":{\"set\":true,\"pem\":\"x\"}}}", "/tls/key/pem"},
		{"{\"tls\":{\"key\":true}}", "/tls/key"},
		{not_fitting, "/tls/key"},
		{alone, "/tls/key"},
		{only_key, "/tls/certificate"},
		{huge_ca, "/tls/ca"},
		{huge_key, "/tls/key"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%.100s", rows[i].body);
		assert_pointer(h, h->seven, "PATCH", path, rows[i].body, "invalid_field", rows[i].pointer);
	}
	g_auto(reply) r = get(h, path);
	g_assert_true(json_is_null(tls_of(&r)));
	g_assert_cmpint(json_integer_value(json_object_get(r.json, "revision")), ==, 1);
	close_house(h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_ALL);
	bh_log_setup(BH_ERR, false, 2);
#define TEST(name_) g_test_add_func("/api_pace/" #name_, name_)
	TEST(all_is_off_unless_it_is_asked_for);
	TEST(pace_is_set_changed_and_set_back);
	TEST(a_wrong_pace_is_named);
	TEST(a_super_manager_changes_no_pace);
	TEST(tls_is_merged_part_by_part_and_its_key_never_shown);
	TEST(a_certificate_that_ends_soon_is_warned_of);
	TEST(wrong_tls_is_named);
	TEST(a_name_is_looked_up_before_it_is_saved);
	TEST(an_address_and_an_untouched_name_are_not_looked_up);
	TEST(slow_names_keep_nobody_waiting);
	TEST(closing_waits_for_a_look_up);
	return g_test_run();
}
