/* What people do by hand: test and enable, replay an event, recover what failed; and what order leaves to do. */
#include "api_house.h"

#define URL "http://198.51.100.1/hook"

/* --- Helpers ----------------------------------------------------------------------------- */

static char *simple(const house *h)
{
	return make_webhook(h, h->seven, "{\"url\":\"" URL "\"}");
}

static char *under(const char *path, const char *more)
{
	return g_strconcat(path, more, NULL);
}

static char *send_one(const house *h)
{
	g_autofree char *id = done(h, h->emit, "POST", "/v1/events",
				   "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12}}", 202, "id");

	return g_strconcat("/v1/events/", id, NULL);
}

static json_t *row(const reply *r, size_t i)
{
	return json_array_get(json_object_get(r->json, "data"), i);
}

static size_t rows(const reply *r)
{
	return json_array_size(json_object_get(r->json, "data"));
}

static const char *word(const json_t *object, const char *member)
{
	const char *value = json_string_value(json_object_get(object, member));

	return value ? value : "";
}

static int64_t number(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

/* The newest line of the audit log. */
static char *last_audit(const house *h)
{
	g_auto(reply) r = get(h, "/v1/audit?limit=1");

	return g_strdup(word(row(&r, 0), "what"));
}

static bh_test_then then_of(const house *h, const char *delivery_id)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = g_strconcat("/", delivery_id, NULL);
	bh_reader *reader = bh_reader_new(h->store, &error);
	g_assert_no_error(error);
	g_autoptr(bh_delivery) d = bh_reader_delivery(reader, id_in(path, BH_ID_DELIVERY), &error);
	g_assert_no_error(error);
	bh_reader_free(reader);
	return d->then;
}

/* An hour ago, or so many hours. */
static char *since_text(int hours)
{
	char text[BH_TIME_TEXT_SIZE];

	return g_strdup(bh_time_text(bh_clock_wall() - hours * BH_HOUR, text));
}

static char *wish(int hours, const char *more)
{
	g_autofree char *since = since_text(hours);

	return g_strdup_printf("{\"since\":\"%s\"%s}", since, more);
}

/* Exhausts all that waits. */
static void exhaust_all(const house *h)
{
	g_auto(reply) r = get(h, "/v1/deliveries?state=pending&limit=100");

	for (size_t i = 0; i < rows(&r); i++) {
		g_autofree char *path = g_strconcat("/v1/deliveries/", word(row(&r, i), "id"), NULL);
		record(h, path, 1, BH_STATE_EXHAUSTED, bh_span_of(""));
	}
}

/* --- Test and enable --------------------------------------------------------------------- */

static void a_test_bears_what_its_success_brings_about(void)
{
	const struct {
		bool by_owner;
		const char *body;
		bh_test_then then;
	} cases[] = {
		{true, NULL, BH_TEST_ONLY},
		{true, "{}", BH_TEST_ONLY},
		{true, "{\"enable\":false}", BH_TEST_ONLY},
		{true, "{\"enable\":true}", BH_TEST_ENABLES_ALL}, /* the owner had disabled it */
		{false, "{\"enable\":true}", BH_TEST_ENABLES_KEEP},
		{true, "{\"enable\":true,\"held\":\"all\"}", BH_TEST_ENABLES_ALL},
		{true, "{\"enable\":true,\"held\":\"newest\"}", BH_TEST_ENABLES_NEWEST},
		{true, "{\"enable\":true,\"held\":\"none\"}", BH_TEST_ENABLES_NONE},
		{true, "{\"enable\":true,\"held\":\"keep\"}", BH_TEST_ENABLES_KEEP},
	};
	house *h = open_house();
	g_autofree char *path = simple(h), *test = under(path, "/test");

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
		g_autoptr(bh_webhook) w = bh_webhook_copy(bh_snapshot_webhook(now, id_in(path, BH_ID_WEBHOOK)));
		w->revision++;
		w->disabled = cases[i].by_owner ? BH_DISABLED_BY_OWNER : BH_DISABLED_BY_FAILURE;
		engine_writes(h, &(bh_write){
					 .kind = BH_WRITE_CHANGE,
					 .change = &(bh_change){.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = w},
				 });
		g_auto(reply) r = call(h, h->seven, "POST", test, cases[i].body);
		assert_status(&r, 202);
		g_assert_cmpint(then_of(h, text(&r, "delivery_id")), ==, cases[i].then);
		g_autofree char *line = last_audit(h);
		g_assert_true(g_str_has_prefix(line, "webhook.test-enable whk_") == (cases[i].then != BH_TEST_ONLY));
	}
	/* Nothing is enabled before the test is delivered. */
	g_auto(reply) shown = get(h, path);
	g_assert_true(json_is_false(json_object_get(shown.json, "enabled")));
	close_house(h);
}

static void what_a_test_cannot_bring_about_is_refused(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h), *test = under(path, "/test");

	assert_refused(h, h->seven, "POST", test, "{\"enable\":true}", 409, "conflict");
	patched(h, path, "{\"enabled\":false}");
	assert_pointer(h, h->seven, "POST", test, "{\"enable\":1}", "invalid_field", "/enable");
	assert_pointer(h, h->seven, "POST", test, "{\"enable\":null}", "invalid_field", "/enable");
	assert_pointer(h, h->seven, "POST", test, "{\"enable\":true,\"held\":\"some\"}", "invalid_field", "/held");
	assert_pointer(h, h->seven, "POST", test, "{\"enable\":true,\"held\":7}", "invalid_field", "/held");
	assert_pointer(h, h->seven, "POST", test, "{\"held\":\"all\"}", "invalid_field", "/held");
	assert_pointer(h, h->seven, "POST", test, "{\"enabled\":true}", "invalid_field", "/enabled");
	assert_pointer(h, h->seven, "POST", test, "[]", "invalid_field", "");
	assert_refused(h, h->seven, "POST", test, "{", 400, "invalid_json");
	assert_refused(h, h->eight, "POST", test, "{\"enable\":true}", 404, "not_found");
	g_assert_cmpuint(count_in(h, "pending"), ==, 0);
	close_house(h);
}

/* --- Replay ------------------------------------------------------------------------------ */

static void a_replay_goes_to_whom_it_concerns_now(void)
{
	house *h = open_house();
	g_autofree char *event = send_one(h), *replay = under(event, "/replay"), *verdicts = under(event, "/verdicts");
	g_assert_cmpuint(count_in(h, "pending"), ==, 0); /* nobody wanted it then */

	g_autofree char *mine = simple(h),
			*other = make_webhook(h, h->seven, "{\"url\":\"" URL "\",\"events\":[\"guest_*\"]}");
	g_auto(reply) r = call(h, h->seven, "POST", replay, NULL);
	assert_status(&r, 202);
	g_assert_cmpstr(text(&r, "event_id"), ==, strrchr(event, '/') + 1);
	g_assert_cmpuint(rows(&r), ==, 2);
	g_assert_cmpstr(word(row(&r, 0), "webhook_id"), ==, strrchr(mine, '/') + 1);
	g_assert_cmpstr(word(row(&r, 0), "verdict"), ==, "triggered");
	g_assert_cmpstr(word(row(&r, 0), "state"), ==, "pending");
	g_assert_cmpint(number(row(&r, 0), "round"), ==, 1);
	g_assert_cmpstr(word(row(&r, 1), "verdict"), ==, "type_not_selected");
	g_assert_cmpstr(word(row(&r, 1), "webhook_id"), ==, strrchr(other, '/') + 1);

	/* It is a delivery of the same event: the receiver sees the same webhook-id. */
	g_autofree char *path = newest_delivery(h);
	g_auto(reply) made = get(h, path);
	g_assert_cmpstr(word(row(&r, 0), "delivery_id"), ==, text(&made, "id"));
	g_assert_cmpstr(text(&made, "event_id"), ==, text(&r, "event_id"));
	g_assert_cmpint(atomic_load(&h->fresh), ==, 1);
	g_autofree char *line = last_audit(h), *expected = g_strconcat("event.replay ", text(&r, "event_id"), NULL);
	g_assert_cmpstr(line, ==, expected);

	/* Again: another round, beside those before. */
	g_auto(reply) again = call(h, h->site, "POST", replay, "{}");
	assert_status(&again, 202);
	g_assert_cmpint(number(row(&again, 0), "round"), ==, 2);
	g_auto(reply) all = get(h, verdicts);
	g_auto(reply) his = call(h, h->seven, "GET", verdicts, NULL);
	g_assert_cmpuint(rows(&all), ==, 4); /* at first there was no webhook to look at */
	g_assert_cmpuint(rows(&his), ==, 4);
	g_assert_cmpint(number(row(&all, 3), "round"), ==, 2);
	close_house(h);
}

static void a_manager_replays_to_his_own_webhooks_only(void)
{
	house *h = open_house();
	g_free(done(h, h->site, "PUT", "/v1/properties/12", "{\"managers\":[\"7\",\"8\"]}", 200, "id"));
	g_autofree char *mine = simple(h), *theirs = make_webhook(h, h->eight, "{\"url\":\"" URL "\"}"),
			*sites = make_webhook(h, h->site, "{\"url\":\"" URL "\"}");
	g_autofree char *event = send_one(h), *replay = under(event, "/replay");
	g_assert_cmpuint(count_in(h, "pending"), ==, 3);

	g_auto(reply) r = call(h, h->seven, "POST", replay, NULL);
	assert_status(&r, 202);
	g_assert_cmpuint(rows(&r), ==, 1);
	g_assert_cmpstr(word(row(&r, 0), "webhook_id"), ==, strrchr(mine, '/') + 1);
	g_assert_cmpuint(count_in(h, "pending"), ==, 4);

	/* Another's webhook is as unknown as one that never was. */
	const char *const strangers[] = {theirs, sites, "/whk_0zzzzzzzzzzzz"};
	for (size_t i = 0; i < G_N_ELEMENTS(strangers); i++) {
		g_autofree char *body = g_strdup_printf("{\"webhook_id\":\"%s\"}", strrchr(strangers[i], '/') + 1);
		g_auto(reply) no = call(h, h->seven, "POST", replay, body);
		assert_problem(&no, 422, "invalid_field");
		g_assert_cmpstr(text(&no, "detail"), ==, "There is no such webhook.");
	}
	g_auto(reply) everybodys = call(h, h->site, "POST", replay, NULL);
	g_assert_cmpuint(rows(&everybodys), ==, 3);
	close_house(h);
}

static void a_replay_may_be_for_one_webhook(void)
{
	house *h = open_house();
	g_autofree char *one = simple(h), *other = simple(h),
			*theirs = make_webhook(h, h->eight, "{\"url\":\"" URL "\"}");
	g_autofree char *event = send_one(h), *replay = under(event, "/replay");
	g_autofree char *only = g_strdup_printf("{\"webhook_id\":\"%s\"}", strrchr(other, '/') + 1);
	g_autofree char *foreign = g_strdup_printf("{\"webhook_id\":\"%s\"}", strrchr(theirs, '/') + 1);

	patched(h, other, "{\"enabled\":false}");
	g_auto(reply) r = call(h, h->seven, "POST", replay, only);
	assert_status(&r, 202);
	g_assert_cmpuint(rows(&r), ==, 1);
	g_assert_cmpstr(word(row(&r, 0), "verdict"), ==, "held");
	g_assert_cmpstr(word(row(&r, 0), "state"), ==, "held");
	assert_pointer(h, h->site, "POST", replay, foreign, "invalid_field", "/webhook_id");
	assert_pointer(h, h->site, "POST", replay, "{\"webhook_id\":7}", "invalid_field", "/webhook_id");
	assert_pointer(h, h->site, "POST", replay, "{\"webhook_id\":null}", "invalid_field", "/webhook_id");
	assert_pointer(h, h->site, "POST", replay, "{\"webhook\":1}", "invalid_field", "/webhook");
	assert_refused(h, h->site, "POST", "/v1/events/evt_0zzzzzzzzzzzz/replay", NULL, 404, "not_found");
	assert_refused(h, h->site, "POST", "/v1/events/x/replay", NULL, 404, "not_found");
	assert_refused(h, h->eight, "POST", replay, NULL, 404, "not_found");
	close_house(h);
}

static void an_event_for_nobody_is_replayed_to_nobody(void)
{
	house *h = open_house();
	g_autofree char *event = send_one(h), *replay = under(event, "/replay");
	g_autofree char *before = last_audit(h);
	g_auto(reply) r = call(h, h->seven, "POST", replay, NULL);
	g_autofree char *after = last_audit(h);

	assert_status(&r, 202);
	g_assert_cmpuint(rows(&r), ==, 0);
	g_assert_cmpstr(before, ==, after);
	close_house(h);
}

static void a_test_is_not_replayed(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h), *other = simple(h), *test = under(path, "/test");
	g_autofree char *id = done(h, h->seven, "POST", test, NULL, 202, "event_id");
	g_autofree char *replay = g_strdup_printf("/v1/events/%s/replay", id);

	assert_refused(h, h->seven, "POST", replay, NULL, 409, "conflict");
	g_assert_cmpuint(count_in(h, "pending"), ==, 1);
	close_house(h);
}

/* --- Recover ----------------------------------------------------------------------------- */

static void a_recovery_is_previewed_begun_shown_and_cancelled(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h), *recover = under(path, "/recover"), *other = simple(h);
	g_autofree char *dry = wish(1, ",\"dry_run\":true"), *go = wish(1, ",\"per_second\":50"),
			*list = g_strconcat("/v1/recoveries?webhook_id=", strrchr(path, '/') + 1, NULL);

	send_events(h, 3);
	g_auto(reply) nothing = call(h, h->seven, "POST", recover, dry);
	assert_status(&nothing, 200);
	g_assert_cmpint(number(nothing.json, "count"), ==, 0);
	exhaust_all(h);
	g_auto(reply) preview = call(h, h->seven, "POST", recover, dry);
	g_assert_cmpint(number(preview.json, "count"), ==, 3); /* the other webhook's are its own */
	g_assert_true(json_is_false(json_object_get(preview.json, "more")));

	g_auto(reply) begun = call(h, h->seven, "POST", recover, go);
	g_autofree char *location = header(&begun, "Location"), *cancel = under(location, "/cancel");
	g_autofree char *line = last_audit(h);
	assert_status(&begun, 202);
	g_assert_cmpstr(text(&begun, "state"), ==, "running");
	g_assert_cmpint(number(begun.json, "total"), ==, 3);
	g_assert_cmpint(number(begun.json, "recovered"), ==, 0);
	g_assert_cmpint(number(begun.json, "per_second"), ==, 50);
	g_assert_cmpstr(text(&begun, "webhook_id"), ==, strrchr(path, '/') + 1);
	g_assert_true(json_is_null(json_object_get(begun.json, "ended_at")));
	g_assert_true(g_str_has_prefix(line, "webhook.recover whk_"));
	g_auto(reply) shown = call(h, h->seven, "GET", location, NULL);
	g_assert_true(json_equal(begun.json, shown.json));
	assert_refused(h, h->seven, "POST", recover, go, 409, "conflict");
	g_auto(reply) still = call(h, h->seven, "POST", recover, dry);
	assert_status(&still, 200);

	/* The engine takes a step, then the owner has seen enough. */
	bh_write step = {
		.kind = BH_WRITE_RECOVER,
		.webhook_id = id_in(path, BH_ID_WEBHOOK),
		.recovery_id = id_in(location, BH_ID_RECOVERY),
		.limit = 2,
	};
	engine_writes(h, &step);
	g_assert_cmpuint(step.swept, ==, 2);
	g_assert_cmpuint(count_in(h, "pending"), ==, 2);
	g_auto(reply) ended = call(h, h->seven, "POST", cancel, NULL);
	g_autofree char *cancelled = last_audit(h);
	assert_status(&ended, 200);
	g_assert_cmpstr(text(&ended, "state"), ==, "cancelled");
	g_assert_cmpint(number(ended.json, "recovered"), ==, 2);
	g_assert_cmpstr(text(&ended, "ended_at"), !=, "");
	g_assert_true(g_str_has_prefix(cancelled, "recovery.cancel rec_"));
	assert_refused(h, h->seven, "POST", cancel, NULL, 409, "conflict");

	g_free(done(h, h->seven, "POST", recover, go, 202, "id"));
	g_auto(reply) both = call(h, h->seven, "GET", list, NULL);
	g_assert_cmpuint(rows(&both), ==, 2);
	g_assert_cmpstr(word(row(&both, 0), "state"), ==, "running"); /* newest first */
	g_assert_cmpint(number(row(&both, 0), "total"), ==, 1);
	close_house(h);
}

static void a_recovery_names_its_moment_and_rate(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h), *recover = under(path, "/recover");
	g_autofree char *too_old = wish(14 * 24 + 1, ""), *future = wish(-1, ""), *fits = wish(14 * 24 - 1, "");
	const struct {
		const char *more, *pointer;
	} wrong[] = {
		{",\"per_second\":0", "/per_second"},
		{",\"per_second\":10001", "/per_second"},
		{",\"per_second\":1.5", "/per_second"},
		{",\"per_second\":\"5\"", "/per_second"},
		{",\"per_second\":18446744073709551617", "/per_second"},
		{",\"per_second\":null", "/per_second"},
		{",\"dry_run\":\"yes\"", "/dry_run"},
		{",\"dry_run\":null", "/dry_run"},
		{",\"until\":1", "/until"},
	};

	assert_pointer(h, h->seven, "POST", recover, too_old, "invalid_field", "/since");
	assert_pointer(h, h->seven, "POST", recover, future, "invalid_field", "/since");
	assert_pointer(h, h->seven, "POST", recover, "{}", "invalid_field", "/since");
	assert_pointer(h, h->seven, "POST", recover, "{\"since\":null}", "invalid_field", "/since");
	assert_pointer(h, h->seven, "POST", recover, "{\"since\":1795000000}", "invalid_field", "/since");
	assert_pointer(h, h->seven, "POST", recover, "{\"since\":\"yesterday\"}", "invalid_field", "/since");
	assert_pointer(h, h->seven, "POST", recover, "{\"since\":\"2026-11-25T00:00:00\"}", "invalid_field", "/since");
	assert_pointer(h, h->seven, "POST", recover, "{\"since\":\"2026-11-25T00:00:00Z\\u0000\"}", "invalid_field",
		       "/since");
	assert_pointer(h, h->seven, "POST", recover, "{\"since\":\"1970-01-01T00:00:00Z\"}", "invalid_field", "/since");
	assert_pointer(h, h->seven, "POST", recover, "{\"since\":\"9999-12-31T23:59:59.999999Z\"}", "invalid_field",
		       "/since");
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autofree char *body = wish(1, wrong[i].more);
		assert_pointer(h, h->seven, "POST", recover, body, "invalid_field", wrong[i].pointer);
	}
	g_auto(reply) none = send_ask(h, "POST", recover, &(ask){.key = h->seven});
	assert_problem(&none, 415, "unsupported_media_type");

	g_auto(reply) r = call(h, h->seven, "POST", recover, fits);
	assert_status(&r, 202);
	g_assert_cmpint(number(r.json, "per_second"), ==, h->settings->recover_rate);
	close_house(h);
}

static void a_disabled_webhook_is_only_previewed(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h), *recover = under(path, "/recover");
	g_autofree char *go = wish(1, ""), *dry = wish(1, ",\"dry_run\":true");

	patched(h, path, "{\"enabled\":false}");
	assert_refused(h, h->seven, "POST", recover, go, 409, "webhook_disabled");
	g_auto(reply) preview = call(h, h->seven, "POST", recover, dry);
	assert_status(&preview, 200);
	close_house(h);
}

static void recoveries_are_their_webhooks_owners(void)
{
	house *h = open_house();
	g_free(done(h, h->site, "PUT", "/v1/managers/90", "{\"role\":\"super\"}", 201, "id"));
	g_autofree char *boss =
		done(h, h->site, "POST", "/v1/keys", "{\"role\":\"manager\",\"manager_id\":\"90\"}", 201, "key");
	g_autofree char *path = simple(h), *recover = under(path, "/recover"), *go = wish(1, "");
	g_autofree char *theirs = make_webhook(h, h->eight, "{\"url\":\"" URL "\"}"),
			*others = under(theirs, "/recover");
	g_autofree char *id = done(h, h->seven, "POST", recover, go, 202, "id");
	g_free(done(h, h->eight, "POST", others, go, 202, "id"));
	g_autofree char *recovery = g_strconcat("/v1/recoveries/", id, NULL), *cancel = under(recovery, "/cancel");
	g_autofree char *filtered = g_strconcat("/v1/recoveries?webhook_id=", strrchr(path, '/') + 1, NULL);
	const struct {
		const char *key;
		size_t all, filtered;
	} askers[] = {{h->site, 2, 1}, {h->seven, 1, 1}, {h->eight, 1, 0}, {boss, 2, 1}};

	for (size_t i = 0; i < G_N_ELEMENTS(askers); i++) {
		g_auto(reply) all = call(h, askers[i].key, "GET", "/v1/recoveries", NULL);
		g_auto(reply) one = call(h, askers[i].key, "GET", filtered, NULL);
		assert_status(&all, 200);
		g_assert_cmpuint(rows(&all), ==, askers[i].all);
		g_assert_cmpuint(rows(&one), ==, askers[i].filtered);
	}
	assert_refused(h, h->eight, "GET", recovery, NULL, 404, "not_found");
	assert_refused(h, h->eight, "POST", cancel, NULL, 404, "not_found");
	assert_refused(h, h->seven, "GET", "/v1/recoveries/rec_0zzzzzzzzzzzz", NULL, 404, "not_found");
	assert_refused(h, h->seven, "GET", "/v1/recoveries/evt_0zzzzzzzzzzzz", NULL, 404, "not_found");
	assert_refused(h, h->site, "GET", "/v1/recoveries?webhook_id=7", NULL, 400, "invalid_parameter");
	assert_refused(h, boss, "POST", cancel, NULL, 403, "role_not_allowed");
	assert_refused(h, boss, "POST", recover, go, 403, "role_not_allowed");
	g_auto(reply) boss_looks = call(h, boss, "GET", recovery, NULL);
	assert_status(&boss_looks, 200);

	/* A page at a time. */
	g_auto(reply) first = call(h, h->site, "GET", "/v1/recoveries?limit=1", NULL);
	g_autofree char *next = g_strconcat("/v1/recoveries?limit=1&cursor=", text(&first, "next"), NULL);
	g_auto(reply) second = call(h, h->site, "GET", next, NULL);
	assert_status(&second, 200);
	g_assert_cmpstr(word(row(&second, 0), "id"), ==, id);
	g_assert_true(json_is_null(json_object_get(second.json, "next")));

	/* Of a removed webhook only those who see everybody's. */
	g_free(done(h, h->seven, "DELETE", path, NULL, 204, "id"));
	assert_refused(h, h->seven, "GET", recovery, NULL, 404, "not_found");
	g_auto(reply) kept = call(h, h->site, "GET", recovery, NULL);
	assert_status(&kept, 200);
	close_house(h);
}

/* --- Order and coalescing ---------------------------------------------------------------- */

static void what_waits_for_an_earlier_one_says_so(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, "{\"url\":\"" URL "\",\"order_by\":\"property\"}");

	send_events(h, 1);
	g_autofree char *first = newest_delivery(h);
	send_events(h, 1);
	g_autofree char *second = newest_delivery(h), *retry = under(second, "/retry");
	g_auto(reply) one = get(h, first);
	g_auto(reply) two = get(h, second);
	g_assert_cmpstr(text(&one, "order_key"), !=, "");
	g_assert_cmpstr(text(&one, "order_key"), ==, text(&two, "order_key"));
	g_assert_cmpint(number(one.json, "sequence"), ==, 1);
	g_assert_cmpint(number(two.json, "sequence"), ==, 2);
	g_assert_true(json_is_false(json_object_get(one.json, "waits_for_earlier")));
	g_assert_true(json_is_true(json_object_get(two.json, "waits_for_earlier")));
	g_assert_cmpstr(text(&one, "due_at"), !=, "");
	g_assert_true(json_is_null(json_object_get(two.json, "due_at")));

	g_auto(reply) no = call(h, h->seven, "POST", retry, NULL);
	assert_problem(&no, 409, "conflict");
	g_assert_nonnull(strstr(text(&no, "detail"), text(&two, "order_key")));

	/* The first ends, the second follows, and may be hurried. */
	record(h, first, 1, BH_STATE_EXHAUSTED, bh_span_of(""));
	g_auto(reply) follows = get(h, second);
	g_assert_true(json_is_false(json_object_get(follows.json, "waits_for_earlier")));
	g_free(done(h, h->seven, "POST", retry, NULL, 202, "id"));

	/* The body that is shown is the one that was sent, with its number. */
	record(h, second, 1, BH_STATE_EXHAUSTED, bh_span_of(""));
	g_autofree char *attempts = under(second, "/attempts");
	g_auto(reply) made = get(h, attempts);
	g_assert_nonnull(strstr(word(row(&made, 0), "request_body"), "\"sequence\":2"));
	close_house(h);
}

static void without_order_there_is_no_key(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h);

	send_events(h, 1);
	g_autofree char *delivery = newest_delivery(h);
	g_auto(reply) r = get(h, delivery);
	g_assert_true(json_is_null(json_object_get(r.json, "order_key")));
	g_assert_true(json_is_null(json_object_get(r.json, "sequence")));
	g_assert_true(json_is_null(json_object_get(r.json, "superseded_by")));
	g_assert_true(json_is_false(json_object_get(r.json, "waits_for_earlier")));
	close_house(h);
}

static void a_coalesced_delivery_names_the_one_that_was_sent(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(
		h, h->seven, "{\"url\":\"" URL "\",\"coalesce\":{\"seconds\":3600,\"fields\":[\"property\"]}}");
	g_autofree char *event = send_one(h), *verdicts = under(event, "/verdicts");
	g_autofree char *first = newest_delivery(h);
	g_free(send_one(h));
	g_autofree char *second = newest_delivery(h);
	g_auto(reply) waits = get(h, first);
	bh_usec due_at, created_at;
	g_assert_true(bh_time_parse(text(&waits, "due_at"), strlen(text(&waits, "due_at")), &due_at));
	g_assert_true(bh_time_parse(text(&waits, "created_at"), strlen(text(&waits, "created_at")), &created_at));
	g_assert_cmpint(due_at - created_at, ==, BH_HOUR);

	engine_writes(h, &(bh_write){
				 .kind = BH_WRITE_RECORD,
				 .delivery_id = id_in(first, BH_ID_DELIVERY),
				 .state = BH_STATE_COALESCED,
				 .superseded_by = id_in(second, BH_ID_DELIVERY),
			 });
	g_auto(reply) overtaken = get(h, first);
	g_auto(reply) said = get(h, verdicts);
	g_assert_cmpstr(text(&overtaken, "state"), ==, "coalesced");
	g_assert_cmpstr(text(&overtaken, "superseded_by"), ==, strrchr(second, '/') + 1);
	g_assert_cmpstr(word(row(&said, 0), "verdict"), ==, "coalesced");
	g_assert_cmpstr(word(row(&said, 0), "superseded_by"), ==, strrchr(second, '/') + 1);
	g_assert_cmpint(number(row(&said, 0), "round"), ==, 0);
	close_house(h);
}

/* --- How it fares ------------------------------------------------------------------------ */

static void a_run_of_failures_is_shown_and_warned_of(void)
{
	house *h = open_house();
	g_autofree char *path = simple(h);
	bh_usec now = bh_clock_wall(), day = BH_DAY;
	const struct {
		bh_streak streak;
		const char *codes[2];
	} cases[] = {
		{{.failing_since = now - day / 2}, {NULL}},
		{{.failing_since = now - day - BH_MINUTE}, {"failing"}},
		{{.failing_since = now - 3 * day, .first_exhausted = now}, {"failing"}},
		{{.failing_since = now - 4 * day - BH_MINUTE, .first_exhausted = now}, {"failing", "will_be_disabled"}},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		engine_writes(h, &(bh_write){.kind = BH_WRITE_STREAK,
					     .webhook_id = id_in(path, BH_ID_WEBHOOK),
					     .streak = &cases[i].streak});
		g_auto(reply) r = get(h, path);
		json_t *warnings = json_object_get(r.json, "warnings");
		g_assert_cmpstr(text(&r, "failing_since"), !=, "");
		g_assert_true((*text(&r, "disables_at") != '\0') == (cases[i].streak.first_exhausted != 0));
		for (size_t k = 0; k < G_N_ELEMENTS(cases[i].codes); k++)
			g_assert_cmpstr(word(json_array_get(warnings, k), "code"), ==,
					cases[i].codes[k] ? cases[i].codes[k] : "");
	}
	/* In lists and in answers to changes, too; a disabled webhook is disabled already. */
	g_auto(reply) list = call(h, h->seven, "GET", "/v1/webhooks", NULL);
	g_assert_cmpstr(word(row(&list, 0), "disables_at"), !=, "");
	g_auto(reply) off = call(h, h->seven, "PATCH", path, "{\"enabled\":false}");
	g_assert_cmpstr(text(&off, "failing_since"), !=, "");
	g_assert_true(json_is_null(json_object_get(off.json, "disables_at")));
	close_house(h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_ALL);
	bh_log_setup(BH_ERR, false, 2);
#define TEST(name_) g_test_add_func("/api_recover/" #name_, name_)
	TEST(a_test_bears_what_its_success_brings_about);
	TEST(what_a_test_cannot_bring_about_is_refused);
	TEST(a_replay_goes_to_whom_it_concerns_now);
	TEST(a_manager_replays_to_his_own_webhooks_only);
	TEST(a_replay_may_be_for_one_webhook);
	TEST(an_event_for_nobody_is_replayed_to_nobody);
	TEST(a_test_is_not_replayed);
	TEST(a_recovery_is_previewed_begun_shown_and_cancelled);
	TEST(a_recovery_names_its_moment_and_rate);
	TEST(a_disabled_webhook_is_only_previewed);
	TEST(recoveries_are_their_webhooks_owners);
	TEST(what_waits_for_an_earlier_one_says_so);
	TEST(without_order_there_is_no_key);
	TEST(a_coalesced_delivery_names_the_one_that_was_sent);
	TEST(a_run_of_failures_is_shown_and_warned_of);
	return g_test_run();
}
