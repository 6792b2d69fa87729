/* Webhooks through the API: made, changed, paused, tested, removed; and deliveries by hand. */
#include "api_house.h"

#define URL "http://198.51.100.1/hook"
#define BASIC \
	"{\"method\":\"basic\",\"settings\":{\"url\":\"" URL \
	"\",\"basic_username\":\"me\",\"basic_password\":\"pass-w0rd\"}," \
	"\"headers\":{\"X-Token\":\"t0ken\"}}"

/* --- Helpers ----------------------------------------------------------------------------- */

static char *simple(const house *h)
{
	return make_webhook(h, h->seven, "{\"url\":\"" URL "\"}");
}

static reply patch(const house *h, const char *path, const char *body)
{
	return call(h, h->seven, "PATCH", path, body);
}

static int64_t revision_of(const house *h, const char *path)
{
	g_auto(reply) r = get(h, path);

	return json_integer_value(json_object_get(r.json, "revision"));
}

/* --- Making ------------------------------------------------------------------------------ */

static void a_webhook_is_made_with_its_secret(void)
{
	house *h = open_house();
	g_auto(reply) made = call(h, h->seven, "POST", "/v1/webhooks", "{\"name\":\"Channel\",\"url\":\"" URL "\"}");
	g_autofree char *location = header(&made, "Location"), *tag = header(&made, "ETag");

	assert_status(&made, 201);
	g_assert_true(g_str_has_prefix(text(&made, "secret"), "whsec_"));
	g_assert_cmpstr(tag, ==, "\"1\"");
	g_assert_cmpstr(text(&made, "manager_id"), ==, "7");
	g_assert_cmpstr(text(&made, "url"), ==, URL);
	g_assert_cmpstr(text(&made, "method"), ==, "none");
	g_auto(reply) shown = get(h, location);
	g_assert_null(strstr(shown.body->str, "whsec_"));
	json_object_del(made.json, "secret");
	g_assert_true(json_equal(made.json, shown.json));

	g_autofree char *path = g_strconcat(location, "/secret", NULL);
	g_auto(reply) secret = call(h, h->seven, "GET", path, NULL);
	assert_status(&secret, 200);
	g_assert_true(g_str_has_prefix(text(&secret, "secret"), "whsec_"));
	close_house(h);
}

static void everything_may_be_said_at_once(void)
{
	house *h = open_house();
	const char *body = "{\"manager_id\":7,\"name\":\"n\",\"method\":\"none\",\"settings\":{\"url\":\"" URL
			   "\"},\"shape\":\"jomres\","
			   "\"events\":[\"booking_*\",\"guest_saved\"],\"properties\":[12,\"13\"],\"channel_id\":3,"
			   "\"full_payload\":true,"
			   "\"timeout_seconds\":4.5,\"headers\":{\"X-A\":\"1\"},\"enabled\":false,"
			   "\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}";
	g_auto(reply) r = call(h, h->site, "POST", "/v1/webhooks", body);

	assert_status(&r, 201);
	g_assert_cmpstr(text(&r, "secret"), ==, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	g_assert_cmpstr(text(&r, "shape"), ==, "jomres");
	g_assert_cmpstr(text(&r, "channel_id"), ==, "3");
	g_assert_cmpstr(text(&r, "disabled_cause"), ==, "owner");
	g_assert_cmpfloat(json_real_value(json_object_get(r.json, "timeout_seconds")), ==, 4.5);
	g_assert_cmpuint(json_array_size(json_object_get(r.json, "events")), ==, 2);
	g_assert_cmpstr(json_string_value(json_array_get(json_object_get(r.json, "properties"), 0)), ==, "12");
	g_assert_cmpstr(json_string_value(json_object_get(json_object_get(r.json, "headers"), "X-A")), ==, "***");
	g_assert_true(json_is_true(json_object_get(r.json, "full_payload")));
	close_house(h);
}

static void a_wrong_member_is_named(void)
{
	house *h = open_house();
	const struct {
		const char *body, *code, *pointer;
	} rows[] = {
		{"{}", "invalid_field", "/settings/url"},
		{"{\"url\":7}", "invalid_field", "/url"},
		{"{\"url\":\"ftp://198.51.100.1/\"}", NULL, "/url"},
		{"{\"url\":\"http://127.0.0.1/\"}", "target_refused", "/url"},
		{"{\"settings\":{\"url\":\"http://10.0.0.1/\"}}", "target_refused", "/settings/url"},
		{"{\"settings\":{\"url\":\"" URL "\",\"x\":1}}", "invalid_field", "/settings/x"},
		{"{\"settings\":[]}", "invalid_field", "/settings"},
		{"{\"url\":\"" URL "\",\"settings\":{\"url\":\"" URL "\"}}", "invalid_field", "/url"},
		{"{\"url\":\"" URL "\",\"method\":\"magic\"}", "invalid_field", "/method"},
		{"{\"url\":\"" URL "\",\"method\":\"basic\"}", "invalid_field", "/settings/basic_username"},
		{"{\"url\":\"" URL "\",\"shape\":\"round\"}", "invalid_field", "/shape"},
		{"{\"url\":\"" URL "\",\"events\":[]}", "invalid_field", "/events"},
		{"{\"url\":\"" URL "\",\"events\":[\"*\",\"boking_added\"]}", "invalid_field", "/events/1"},
		{"{\"url\":\"" URL "\",\"timeout_seconds\":2}", "invalid_field", "/timeout_seconds"},
		{"{\"url\":\"" URL "\",\"timeout_seconds\":\"5\"}", "invalid_field", "/timeout_seconds"},
		{"{\"url\":\"" URL "\",\"headers\":{\"Host\":\"x\"}}", "invalid_field", "/headers/Host"},
		{"{\"url\":\"" URL "\",\"headers\":{\"X-A\":\"***\"}}", "invalid_field", "/headers/X-A"},
		{"{\"url\":\"" URL "\",\"headers\":{\"X-A\":\"a\\r\\nb\"}}", "invalid_field", "/headers/X-A"},
		{"{\"url\":\"" URL "\",\"enabled\":1}", "invalid_field", "/enabled"},
		{"{\"url\":\"" URL "\",\"secret\":\"whsec_short\"}", "invalid_field", "/secret"},
		{"{\"url\":\"" URL "\",\"held\":\"all\"}", "invalid_field", "/held"},
		{"{\"url\":\"" URL "\",\"manager_id\":\"8\"}", "invalid_field", "/manager_id"},
		{"{\"url\":\"" URL "\",\"manager_id\":\"nobody\"}", "invalid_field", "/manager_id"},
		{"{\"url\":\"" URL "\",\"manager_id\":null}", "invalid_field", "/manager_id"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(reply) r = call(h, h->seven, "POST", "/v1/webhooks", rows[i].body);
		g_test_message("%s -> %s", rows[i].body, r.body->str);
		assert_problem(&r, 422, rows[i].code ? rows[i].code : text(&r, "code"));
		g_assert_cmpstr(text(&r, "pointer"), ==, rows[i].pointer);
	}
	g_auto(reply) none = get(h, "/v1/webhooks");
	g_assert_cmpuint(json_array_size(json_object_get(none.json, "data")), ==, 0);
	close_house(h);
}

static void super_managers_look_and_pause_but_own_nothing(void)
{
	house *h = open_house();
	g_free(done(h, h->site, "PUT", "/v1/managers/90", "{\"role\":\"super\"}", 201, "id"));
	g_free(done(h, h->site, "PUT", "/v1/managers/50", "{\"role\":\"receptionist\"}", 201, "id"));
	g_autofree char *boss =
		done(h, h->site, "POST", "/v1/keys", "{\"role\":\"manager\",\"manager_id\":\"90\"}", 201, "key");
	g_autofree char *desk =
		done(h, h->site, "POST", "/v1/keys", "{\"role\":\"manager\",\"manager_id\":\"50\"}", 201, "key");
	g_autofree char *path = simple(h);
	const char *super = "super_manager_cannot_own_webhooks";

	assert_refused(h, boss, "POST", "/v1/webhooks", "{\"url\":\"" URL "\"}", 403, super);
	assert_refused(h, desk, "POST", "/v1/webhooks", "{\"url\":\"" URL "\"}", 403, super);
	assert_refused(h, h->site, "POST", "/v1/webhooks", "{\"url\":\"" URL "\",\"manager_id\":\"90\"}", 403, super);
	g_auto(reply) seen = call(h, boss, "GET", path, NULL);
	assert_status(&seen, 200);
	g_auto(reply) paused = call(h, boss, "PATCH", path, "{\"enabled\":false}");
	assert_status(&paused, 200);
	g_auto(reply) renamed = call(h, boss, "PATCH", path, "{\"name\":\"x\"}");
	assert_problem(&renamed, 422, "invalid_field");
	assert_refused(h, desk, "GET", path, NULL, 404, "not_found");
	close_house(h);
}

static void a_manager_has_a_hundred_at_most(void)
{
	house *h = open_house();

	for (int i = 0; i < BH_WEBHOOKS_PER_MANAGER_MAX; i++)
		g_free(simple(h));
	assert_refused(h, h->seven, "POST", "/v1/webhooks", "{\"url\":\"" URL "\"}", 422, "limit_reached");
	close_house(h);
}

/* --- Changing ---------------------------------------------------------------------------- */

static void a_patch_touches_what_it_names(void)
{
	house *h = open_house();
	g_autofree char *path =
		make_webhook(h, h->seven,
			     "{\"url\":\"" URL "\",\"name\":\"old\",\"properties\":[\"12\"],\"channel_id\":\"3\","
			     "\"timeout_seconds\":5,\"headers\":{\"X-A\":\"1\",\"X-B\":\"2\"}}");
	g_auto(reply) r = patch(
		h, path,
		"{\"name\":\"new\",\"properties\":null,\"headers\":{\"x-a\":null,\"X-B\":\"***\",\"X-C\":\"3\"}}");
	g_autofree char *tag = header(&r, "ETag");
	json_t *headers = json_object_get(r.json, "headers");

	assert_status(&r, 200);
	g_assert_cmpstr(tag, ==, "\"2\"");
	g_assert_cmpstr(text(&r, "name"), ==, "new");
	g_assert_cmpstr(text(&r, "channel_id"), ==, "3");
	g_assert_true(json_is_null(json_object_get(r.json, "properties")));
	g_assert_cmpuint(json_object_size(headers), ==, 2);
	g_assert_nonnull(json_object_get(headers, "X-B"));
	g_assert_nonnull(json_object_get(headers, "X-C"));

	g_auto(reply) defaults = patch(h, path,
				       "{\"name\":null,\"channel_id\":null,\"timeout_seconds\":null,\"headers\":null,"
				       "\"events\":null,\"shape\":null,\"full_payload\":null}");
	assert_status(&defaults, 200);
	g_assert_cmpint(json_integer_value(json_object_get(defaults.json, "timeout_seconds")), ==, 15);
	g_assert_cmpuint(json_object_size(json_object_get(defaults.json, "headers")), ==, 0);
	g_assert_true(json_is_null(json_object_get(defaults.json, "channel_id")));

	/* What it shows may be sent back as it is. */
	g_auto(reply) whole = get(h, path);
	json_t *back =
		json_pack("{s:O,s:O,s:O,s:O}", "settings", json_object_get(whole.json, "settings"), "headers",
			  json_object_get(whole.json, "headers"), "events", json_object_get(whole.json, "events"),
			  "method", json_object_get(whole.json, "method"));
	g_autofree char *same = json_dumps(back, 0);
	json_decref(back);
	patched(h, path, same);
	g_assert_cmpint(revision_of(h, path), ==, 4);
	close_house(h);
}

static void if_match_makes_it_that_revision_or_nothing(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h);
	const char *body = "{\"name\":\"x\"}";
	g_auto(reply) old =
		send_ask(h, "PATCH", path, &(ask){.key = h->seven, .body = body, .headers = {"If-Match: \"7\""}});
	g_auto(reply) now =
		send_ask(h, "PATCH", path, &(ask){.key = h->seven, .body = body, .headers = {"If-Match: \"1\""}});
	g_auto(reply) any =
		send_ask(h, "PATCH", path, &(ask){.key = h->seven, .body = body, .headers = {"If-Match: *"}});

	assert_problem(&old, 409, "conflict");
	assert_status(&now, 200);
	assert_status(&any, 200);
	g_assert_cmpint(revision_of(h, path), ==, 3);
	close_house(h);
}

typedef struct rival {
	const house *h;
	const char *path;
	unsigned refused;
} rival;

static void *change_again_and_again(void *user)
{
	rival *one = user;

	for (int i = 0; i < 20; i++) {
		g_auto(reply) r = patch(one->h, one->path, "{\"name\":\"x\"}");
		g_assert_true(r.status == 200 || r.status == 409);
		one->refused += r.status != 200;
	}
	return NULL;
}

static void changes_at_the_same_time_are_all_made(void)
{
	house *h = open_house_with((char *[]){(char *)"api_threads=2", NULL});
	g_autofree char *path = simple(h);
	rival one = {h, path, 0}, two = {h, path, 0};
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, change_again_and_again, &one);
	pthread_create(&threads[1], NULL, change_again_and_again, &two);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	g_assert_cmpint(revision_of(h, path), ==, 41 - one.refused - two.refused);
	close_house(h);
}

static void credentials_are_never_shown(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, BASIC);
	g_auto(reply) r = get(h, path);
	json_t *settings = json_object_get(r.json, "settings");

	g_assert_null(strstr(r.body->str, "pass-w0rd"));
	g_assert_null(strstr(r.body->str, "t0ken"));
	g_assert_null(strstr(r.body->str, "sealed"));
	g_assert_cmpstr(json_string_value(json_object_get(settings, "basic_username")), ==, "me");
	g_assert_true(json_is_true(json_object_get(json_object_get(settings, "basic_password"), "set")));
	close_house(h);
}

static void credentials_do_not_follow_a_url_to_another_host(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, BASIC);
	g_auto(reply) elsewhere = patch(h, path, "{\"settings\":{\"url\":\"http://198.51.100.2/hook\"}}");
	g_auto(reply) by_short_name = patch(h, path, "{\"url\":\"https://198.51.100.1/hook\"}");
	g_auto(reply) half = patch(
		h, path,
		"{\"url\":\"http://198.51.100.2/\",\"headers\":null,\"settings\":{\"basic_password\":{\"set\":true}}}");

	assert_problem(&elsewhere, 422, "credentials_needed");
	g_assert_nonnull(strstr(text(&elsewhere, "detail"), "basic_password"));
	g_assert_nonnull(strstr(text(&elsewhere, "detail"), "headers"));
	assert_problem(&by_short_name, 422, "credentials_needed");
	assert_problem(&half, 422, "credentials_needed");
	g_assert_cmpstr(text(&half, "pointer"), ==, "/settings/basic_password");
	g_assert_cmpint(revision_of(h, path), ==, 1);

	patched(h, path, "{\"url\":\"http://198.51.100.1/other\"}");
	patched(h, path, "{\"url\":\"http://198.51.100.1:8080/other\"}");
	patched(h, path,
		"{\"settings\":{\"url\":\"http://198.51.100.2/"
		"\",\"basic_password\":\"new\"},\"headers\":{\"X-Token\":\"new\"}}");
	patched(h, path, "{\"settings\":{\"basic_username\":\"you\"}}");
	g_auto(reply) r = get(h, path);
	json_t *settings = json_object_get(r.json, "settings");
	g_assert_cmpstr(json_string_value(json_object_get(settings, "basic_username")), ==, "you");
	g_assert_true(json_is_true(json_object_get(json_object_get(settings, "basic_password"), "set")));

	/* To another method, what both know in the same sense goes along. */
	patched(h, path, "{\"method\":\"none\"}");
	g_auto(reply) none = get(h, path);
	g_assert_cmpuint(json_object_size(json_object_get(none.json, "settings")), ==, 1);
	g_assert_cmpstr(text(&none, "url"), ==, "http://198.51.100.2/");
	close_house(h);
}

static void secrets_are_rotated(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h), *secret = g_strconcat(path, "/secret", NULL),
			*rotate = g_strconcat(secret, "/rotate", NULL);
	g_autofree char *first = done(h, h->seven, "GET", secret, NULL, 200, "secret");
	g_auto(reply) plain = call(h, h->seven, "POST", rotate, NULL);
	g_auto(reply) chosen = call(h, h->seven, "POST", rotate,
				    "{\"overlap\":\"0s\",\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}");

	assert_status(&plain, 200);
	g_assert_cmpstr(text(&plain, "secret"), !=, first);
	g_assert_cmpstr(text(&plain, "old_secret_until"), !=, "");
	assert_status(&chosen, 200);
	g_assert_cmpstr(text(&chosen, "secret"), ==, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	g_assert_true(json_is_null(json_object_get(chosen.json, "old_secret_until")));
	assert_pointer(h, h->seven, "POST", rotate, "{\"overlap\":\"8d\"}", "invalid_field", "/overlap");
	assert_pointer(h, h->seven, "POST", rotate, "{\"overlap\":\"soon\"}", "invalid_field", "/overlap");
	assert_pointer(h, h->seven, "POST", rotate, "{\"secret\":\"whsec_!\"}", "invalid_field", "/secret");
	g_assert_cmpint(revision_of(h, path), ==, 3);
	close_house(h);
}

/* --- Pausing: held deliveries ------------------------------------------------------------ */

typedef struct outcome {
	const char *enable;
	size_t pending, held, cancelled;
} outcome;

static void check_release(const outcome *o, unsigned events)
{
	house *h = open_house();
	g_autofree char *path = simple(h);

	patched(h, path, "{\"enabled\":false}");
	send_events(h, events);
	g_assert_cmpuint(count_in(h, "held"), ==, events);
	patched(h, path, o->enable);
	g_assert_cmpuint(count_in(h, "pending"), ==, o->pending);
	g_assert_cmpuint(count_in(h, "held"), ==, o->held);
	g_assert_cmpuint(count_in(h, "cancelled"), ==, o->cancelled);
	close_house(h);
}

static void enabling_says_what_becomes_of_the_held(void)
{
	const outcome outcomes[] = {
		{"{\"enabled\":true}", 3, 0, 0}, /* the owner had disabled it: all */
		{"{\"enabled\":true,\"held\":\"all\"}", 3, 0, 0},
		{"{\"enabled\":true,\"held\":\"newest\"}", 1, 0, 2},
		{"{\"enabled\":true,\"held\":\"none\"}", 0, 0, 3},
		{"{\"enabled\":true,\"held\":\"keep\"}", 0, 3, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(outcomes); i++)
		check_release(&outcomes[i], 3);
}

static void many_held_are_released_in_steps(void)
{
	const outcome all = {"{\"enabled\":true,\"held\":\"all\"}", 1000, 0, 0};
	const outcome newest = {"{\"enabled\":true,\"held\":\"newest\"}", 1, 0, 1200};

	check_release(&all, 1000);
	check_release(&newest, 1201);
}

static void kept_ones_are_released_later(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h);

	patched(h, path, "{\"enabled\":false}");
	assert_pointer(h, h->seven, "PATCH", path, "{\"held\":\"all\"}", "invalid_field", "/held");
	assert_pointer(h, h->seven, "PATCH", path, "{\"held\":\"some\"}", "invalid_field", "/held");
	send_events(h, 2);
	patched(h, path, "{\"enabled\":true,\"held\":\"keep\"}");
	g_assert_cmpuint(count_in(h, "held"), ==, 2);
	patched(h, path, "{\"held\":\"all\"}");
	g_assert_cmpuint(count_in(h, "pending"), ==, 2);
	close_house(h);
}

/* --- Testing and removing ---------------------------------------------------------------- */

static void a_test_goes_to_this_webhook_only(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h), *other = simple(h), *test = g_strconcat(path, "/test", NULL);

	patched(h, path, "{\"enabled\":false}");
	g_auto(reply) r = call(h, h->seven, "POST", test, NULL);
	assert_status(&r, 202);
	g_autofree char *delivery = g_strconcat("/v1/deliveries/", text(&r, "delivery_id"), NULL);
	g_autofree char *event = g_strconcat("/v1/events/", text(&r, "event_id"), NULL);
	g_auto(reply) sent = call(h, h->seven, "GET", delivery, NULL);
	g_auto(reply) what = call(h, h->seven, "GET", event, NULL);

	assert_status(&sent, 200);
	g_assert_cmpstr(text(&sent, "state"), ==, "pending");
	g_assert_cmpstr(text(&sent, "type"), ==, "bellhop.test");
	g_assert_true(json_is_true(json_object_get(sent.json, "test")));
	assert_status(&what, 200);
	g_assert_cmpuint(count_in(h, "pending"), ==, 1);
	close_house(h);
}

static void a_removed_webhook_leaves_its_history(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h);

	send_events(h, 1);
	g_free(done(h, h->seven, "DELETE", path, NULL, 204, "id"));
	assert_refused(h, h->seven, "GET", path, NULL, 404, "not_found");
	assert_refused(h, h->seven, "DELETE", path, NULL, 404, "not_found");
	g_autofree char *delivery = newest_delivery(h), *retry = g_strconcat(delivery, "/retry", NULL);
	g_auto(reply) r = get(h, delivery);
	g_assert_cmpstr(text(&r, "type"), ==, "booking_added");
	assert_refused(h, h->site, "POST", retry, NULL, 409, "conflict");
	assert_refused(h, h->seven, "GET", delivery, NULL, 404, "not_found");
	close_house(h);
}

/* --- Deliveries by hand ------------------------------------------------------------------ */

static void an_exhausted_delivery_is_retried_by_hand(void)
{
	house *h = open_house();
	g_autofree char *webhook = simple(h);

	send_events(h, 1);
	g_autofree char *path = newest_delivery(h), *retry = g_strconcat(path, "/retry", NULL),
			*cancel = g_strconcat(path, "/cancel", NULL);
	g_free(done(h, h->seven, "POST", retry, NULL, 202, "id")); /* pending: due now */
	record(h, path, 1, BH_STATE_EXHAUSTED, bh_span_of("no"));
	assert_refused(h, h->seven, "POST", cancel, NULL, 409, "conflict");
	patched(h, webhook, "{\"enabled\":false}");
	assert_refused(h, h->seven, "POST", retry, NULL, 409, "conflict");
	patched(h, webhook, "{\"enabled\":true}");
	g_auto(reply) again = call(h, h->seven, "POST", retry, NULL);
	assert_status(&again, 202);
	g_assert_cmpstr(text(&again, "state"), ==, "pending");
	g_assert_cmpint(json_integer_value(json_object_get(again.json, "spent")), ==, 0);
	g_assert_cmpint(json_integer_value(json_object_get(again.json, "attempts")), ==, 1);
	record(h, path, 2, BH_STATE_DELIVERED, bh_span_of(""));
	assert_refused(h, h->seven, "POST", retry, NULL, 409, "conflict");
	close_house(h);
}

static void a_waiting_delivery_is_cancelled_by_hand(void)
{
	house *h = open_house();
	g_autofree char *webhook = simple(h);

	send_events(h, 1);
	g_autofree char *path = newest_delivery(h), *retry = g_strconcat(path, "/retry", NULL),
			*cancel = g_strconcat(path, "/cancel", NULL);
	g_auto(reply) r = call(h, h->seven, "POST", cancel, NULL);
	assert_status(&r, 200);
	g_assert_cmpstr(text(&r, "state"), ==, "cancelled");
	g_assert_cmpstr(text(&r, "ended_at"), !=, "");
	assert_refused(h, h->seven, "POST", retry, NULL, 409, "conflict");

	patched(h, webhook, "{\"enabled\":false}");
	send_events(h, 1);
	g_autofree char *held = newest_delivery(h), *retry_held = g_strconcat(held, "/retry", NULL);
	assert_refused(h, h->seven, "POST", retry_held, NULL, 409, "conflict");
	close_house(h);
}

static void attempts_are_shown_as_text(void)
{
	house *h = open_house();
	g_autofree char *webhook = simple(h);

	send_events(h, 1);
	g_autofree char *path = newest_delivery(h), *attempts = g_strconcat(path, "/attempts?limit=1", NULL);
	record(h, path, 1, BH_STATE_PENDING, bh_span_of("<script>\"</script>"));
	record(h, path, 2, BH_STATE_EXHAUSTED, (bh_span){"\xe2\x5c\x78", 3});
	g_auto(reply) one = call(h, h->seven, "GET", attempts, NULL);
	json_t *row = json_array_get(json_object_get(one.json, "data"), 0);

	assert_status(&one, 200);
	g_assert_cmpint(json_integer_value(json_object_get(row, "number")), ==, 1);
	g_assert_cmpstr(json_string_value(json_object_get(row, "response_body")), ==, "<script>\"</script>");
	g_assert_null(json_object_get(row, "response_body_base64"));
	g_assert_true(json_is_null(json_object_get(row, "dns_us")));
	g_assert_cmpint(json_integer_value(json_object_get(row, "total_us")), ==, 30);
	g_assert_nonnull(strstr(json_string_value(json_object_get(row, "request_body")), "\"type\":\"booking_added\""));

	g_autofree char *rest = g_strconcat(attempts, "&cursor=", text(&one, "next"), NULL);
	g_auto(reply) two = call(h, h->seven, "GET", rest, NULL);
	row = json_array_get(json_object_get(two.json, "data"), 0);
	assert_status(&two, 200);
	g_assert_cmpint(json_integer_value(json_object_get(row, "number")), ==, 2);
	g_assert_cmpstr(json_string_value(json_object_get(row, "response_body")), ==, "\xef\xbf\xbd\\x");
	g_assert_cmpstr(json_string_value(json_object_get(row, "response_body_base64")), ==, "4lx4");
	g_assert_true(json_is_null(json_object_get(two.json, "next")));
	close_house(h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_ALL);
	bh_log_setup(BH_ERR, false, 2);
#define TEST(name_) g_test_add_func("/api_webhooks/" #name_, name_)
	TEST(a_webhook_is_made_with_its_secret);
	TEST(everything_may_be_said_at_once);
	TEST(a_wrong_member_is_named);
	TEST(super_managers_look_and_pause_but_own_nothing);
	TEST(a_manager_has_a_hundred_at_most);
	TEST(a_patch_touches_what_it_names);
	TEST(if_match_makes_it_that_revision_or_nothing);
	TEST(changes_at_the_same_time_are_all_made);
	TEST(credentials_are_never_shown);
	TEST(credentials_do_not_follow_a_url_to_another_host);
	TEST(secrets_are_rotated);
	TEST(enabling_says_what_becomes_of_the_held);
	TEST(many_held_are_released_in_steps);
	TEST(kept_ones_are_released_later);
	TEST(a_test_goes_to_this_webhook_only);
	TEST(a_removed_webhook_leaves_its_history);
	TEST(an_exhausted_delivery_is_retried_by_hand);
	TEST(a_waiting_delivery_is_cancelled_by_hand);
	TEST(attempts_are_shown_as_text);
	return g_test_run();
}
