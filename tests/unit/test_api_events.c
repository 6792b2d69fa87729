/* POST /v1/events: what is accepted, what a repeat is answered, and what an event does to the directory. */
#include "api_house.h"

#include "api/rates.h"

#define BOOKING "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12,\"contract_uid\":4711}}"

/* --- Helpers ----------------------------------------------------------------------------- */

static reply post(const house *h, const char *key, const char *name, const char *body)
{
	g_autofree char *line = name ? g_strconcat("Idempotency-Key: ", name, NULL) : NULL;

	return send_ask(h, "POST", "/v1/events", &(ask){.key = key, .body = body, .headers = {line}});
}

static bool is_replay(const reply *r)
{
	g_autofree char *value = header(r, "Idempotent-Replayed");

	return g_strcmp0(value, "true") == 0;
}

static json_t *accepted(const reply *r, size_t i)
{
	return json_array_get(json_object_get(r->json, "events"), i);
}

static const char *accepted_id(const reply *r, size_t i)
{
	return json_string_value(json_object_get(accepted(r, i), "id"));
}

static bool is_duplicate(const reply *r, size_t i)
{
	return json_is_true(json_object_get(accepted(r, i), "duplicate"));
}

static size_t count(const house *h, const char *path)
{
	g_auto(reply) r = call(h, h->site, "GET", path, NULL);

	assert_status(&r, 200);
	return json_array_size(json_object_get(r.json, "data"));
}

static char *add_webhook(const house *h, const char *key)
{
	return done(h, key, "POST", "/v1/webhooks", "{\"url\":\"http://198.51.100.1/hook\"}", 201, "id");
}

/* --- Accepting --------------------------------------------------------------------------- */

static void the_bytes_of_an_event_survive(void)
{
	house *h = open_house();
	const char *body = "{ \"type\":\"booking_added\", \"data\":{\"property_uid\": 12, \"n\":12345678901234567890,"
			   "\"p\":412.50,\"s\":\"\\u00e4\\/\"} , \"details\":[1.0, "
			   "2e3],\"actor\":7,\"channel\":{\"channel_id\": 3},"
			   "\"occurred_at\":\"2026-01-02T03:04:05.678+01:00\",\"id\":\"b-1\"}";
	g_autofree char *id = done(h, h->emit, "POST", "/v1/events", body, 202, "id");
	g_autofree char *path = g_strconcat("/v1/events/", id, NULL);
	g_auto(reply) r = call(h, h->site, "GET", path, NULL);

	assert_status(&r, 200);
	g_assert_nonnull(strstr(r.body->str, "\"data\":{\"property_uid\": 12, \"n\":12345678901234567890,"
					     "\"p\":412.50,\"s\":\"\\u00e4\\/\"}"));
	g_assert_nonnull(strstr(r.body->str, "\"details\":[1.0, 2e3]"));
	g_assert_nonnull(strstr(r.body->str, "\"channel\":{\"channel_id\": 3}"));
	g_assert_nonnull(strstr(r.body->str, "\"occurred_at\":\"2026-01-02T02:04:05.678000Z\""));
	g_assert_nonnull(strstr(r.body->str, "\"actor\":\"7\""));
	g_assert_nonnull(strstr(r.body->str, "\"caller_id\":\"b-1\""));
	close_house(h);
}

static void a_webhook_that_wants_an_event_gets_a_delivery(void)
{
	house *h = open_house();
	g_autofree char *mine = add_webhook(h, h->seven), *other = add_webhook(h, h->eight),
			*sites = add_webhook(h, h->site);
	g_autofree char *id = done(h, h->emit, "POST", "/v1/events", BOOKING, 202, "id");
	g_autofree char *path = g_strdup_printf("/v1/events/%s/verdicts", id);
	g_auto(reply) verdicts = call(h, h->site, "GET", path, NULL);
	json_t *rows = json_object_get(verdicts.json, "data");

	assert_status(&verdicts, 200);
	g_assert_cmpstr(text(&verdicts, "event"), ==, id);
	g_assert_cmpuint(json_array_size(rows), ==, 2); /* 7's and the site's */
	g_assert_cmpstr(json_string_value(json_object_get(json_array_get(rows, 0), "webhook_id")), ==, mine);
	g_assert_cmpstr(json_string_value(json_object_get(json_array_get(rows, 0), "verdict")), ==, "triggered");
	g_assert_cmpstr(json_string_value(json_object_get(json_array_get(rows, 0), "state")), ==, "pending");
	g_assert_cmpstr(json_string_value(json_object_get(json_array_get(rows, 1), "webhook_id")), ==, sites);
	g_assert_cmpint(atomic_load(&h->fresh), ==, 2);

	g_auto(reply) orphan =
		call(h, h->emit, "POST", "/v1/events", "{\"type\":\"booking_added\",\"data\":{\"property_uid\":99}}");
	g_autofree char *why = g_strdup_printf("/v1/events/%s/verdicts", text(&orphan, "id"));
	g_auto(reply) none = call(h, h->site, "GET", why, NULL);
	json_t *first = json_array_get(json_object_get(none.json, "data"), 0);
	g_assert_cmpstr(json_string_value(json_object_get(first, "verdict")), ==, "no_manager");
	g_assert_true(json_is_null(json_object_get(first, "webhook_id")));
	close_house(h);
}

static void several_come_in_one_call(void)
{
	house *h = open_house();
	const char *array = "[" BOOKING ",{\"type\":\"booking_added\",\"data\":{\"property_uid\":13}}," BOOKING "]";
	const char *lines = BOOKING "\n\n{\"type\":\"booking_added\",\"data\":{\"property_uid\":13}}\n";
	g_auto(reply) one = post(h, h->emit, NULL, array);
	g_auto(reply) two = send_ask(h, "POST", "/v1/events",
				     &(ask){.key = h->emit, .body = lines, .type = "application/x-ndjson"});
	g_auto(reply) single = post(h, h->emit, NULL, "[" BOOKING "]");

	assert_status(&one, 202);
	g_assert_cmpuint(json_array_size(json_object_get(one.json, "events")), ==, 3);
	g_assert_false(is_duplicate(&one, 0));
	g_assert_false(is_duplicate(&one, 1));
	g_assert_true(is_duplicate(&one, 2)); /* folded into the first */
	g_assert_cmpstr(accepted_id(&one, 0), ==, accepted_id(&one, 2));
	assert_status(&two, 202);
	g_assert_cmpuint(json_array_size(json_object_get(two.json, "events")), ==, 2);
	assert_status(&single, 202);
	g_assert_cmpuint(json_array_size(json_object_get(single.json, "events")), ==, 1);
	g_assert_cmpuint(count(h, "/v1/events"), ==, 5);
	close_house(h);
}

static void ten_thousand_come_in_one_call(void)
{
	house *h = open_house();
	g_autofree char *webhook = add_webhook(h, h->seven);
	GString *lines = g_string_new(NULL);

	for (int i = 0; i < 10000; i++)
		g_string_append_printf(
			lines, "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12,\"contract_uid\":%d}}\n", i);
	g_auto(reply) r = send_ask(h, "POST", "/v1/events",
				   &(ask){.key = h->emit, .body = lines->str, .type = "application/x-ndjson"});
	assert_status(&r, 202);
	g_assert_cmpuint(json_array_size(json_object_get(r.json, "events")), ==, 10000);
	g_assert_cmpint(atomic_load(&h->fresh), ==, 10000);

	g_string_append(lines, BOOKING);
	g_auto(reply) more = send_ask(h, "POST", "/v1/events",
				      &(ask){.key = h->emit, .body = lines->str, .type = "application/x-ndjson"});
	assert_problem(&more, 413, "too_large");
	g_string_free(lines, TRUE);
	close_house(h);
}

static void a_wrong_event_refuses_the_whole_call(void)
{
	house *h = open_house();
	const struct {
		const char *body;
		long status;
		const char *code, *pointer;
	} rows[] = {
		{"{\"type\":\"boking_added\",\"data\":{}}", 422, "unknown_event_type", "/type"},
		{"[" BOOKING ",{\"type\":\"boking_added\",\"data\":{}}]", 422, "unknown_event_type", "/1/type"},
		{"[" BOOKING ",{\"type\":\"booking_added\",\"data\":7}]", 422, "invalid_field", "/1/data"},
		{"[" BOOKING ",{\"type\":\"booking_added\",\"data\":{},\"idd\":1}]", 422, "invalid_field", "/1/idd"},
		{"{\"type\":\"booking_added\"}", 422, "invalid_field", "/data"},
		{"7", 422, "invalid_field", ""},
		{"[]", 422, "invalid_field", ""},
		{"{\"type\":\"booking_added\",\"data\":{\"a\":01}}", 400, "invalid_json", NULL},
		{"", 400, "invalid_json", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(reply) r = post(h, h->emit, NULL, rows[i].body);
		assert_problem(&r, rows[i].status, rows[i].code);
		if (rows[i].pointer)
			g_assert_cmpstr(text(&r, "pointer"), ==, rows[i].pointer);
		else
			g_assert_cmpint(json_integer_value(json_object_get(r.json, "line")), ==, 1);
	}
	g_assert_cmpuint(count(h, "/v1/events"), ==, 0);

	g_autofree char *large = g_strnfill(256 * 1024, 'x');
	g_autofree char *body = g_strdup_printf("{\"type\":\"booking_added\",\"data\":{\"x\":\"%s\"}}", large);
	g_auto(reply) too_large = post(h, h->emit, NULL, body);
	assert_problem(&too_large, 413, "too_large");
	close_house(h);
}

static void unknown_types_are_accepted_if_the_site_wants(void)
{
	house *h = open_house_with((char *[]){(char *)"unknown_event_types=accept", NULL});

	g_free(done(h, h->emit, "POST", "/v1/events", "{\"type\":\"made.up\",\"data\":{}}", 202, "id"));
	close_house(h);
}

typedef struct racer {
	const house *h;
	const char *name; /* the Idempotency-Key; NULL: none */
	const char *body; /* NULL: BOOKING */
	reply r;
} racer;

static void *race(void *user)
{
	racer *one = user;

	one->r = post(one->h, one->h->emit, one->name, one->body ? one->body : BOOKING);
	return NULL;
}

static void start(pthread_t *thread, racer *one, const house *h, const char *name)
{
	*one = (racer){.h = h, .name = name};
	g_assert_cmpint(pthread_create(thread, NULL, race, one), ==, 0);
}

static void a_full_journal_says_come_again(void)
{
	house *h = open_house_with((char *[]){(char *)"journal_queue=1", NULL});
	pthread_t threads[16];
	racer racers[G_N_ELEMENTS(threads)];
	size_t busy = 0;

	/* The journal stops in its first commit; one more entry may wait for it. */
	pthread_mutex_lock(&h->gate);
	start(&threads[0], &racers[0], h, NULL);
	wait_for_metric(h, "bellhop_journal_batches_total 10\n");
	for (size_t i = 1; i < G_N_ELEMENTS(threads); i++)
		start(&threads[i], &racers[i], h, NULL);
	wait_for_metric(h, "{code=\"busy\"} 14\n");
	pthread_mutex_unlock(&h->gate);

	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		pthread_join(threads[i], NULL);
		g_autofree char *later = header(&racers[i].r, "Retry-After");
		if (racers[i].r.status == 202)
			continue;
		assert_problem(&racers[i].r, 503, "busy");
		g_assert_cmpstr(later, ==, "1");
		busy++;
	}
	g_assert_cmpuint(busy, ==, 14);
	g_assert_cmpuint(count(h, "/v1/events"), ==, 2);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		reply_clear(&racers[i].r);
	close_house(h);
}

/* --- Repeats: api-idempotency ------------------------------------------------------------ */

static void a_repeat_is_answered_as_the_first(void)
{
	house *h = open_house();
	g_autofree char *webhook = add_webhook(h, h->seven);
	g_auto(reply) first = post(h, h->emit, "order-41", BOOKING);
	g_auto(reply) again = post(h, h->emit, "order-41", BOOKING);
	g_auto(reply) spaced = post(h, h->emit, "order-41", " " BOOKING);
	g_auto(reply) other =
		post(h, h->emit, "order-41", "{\"type\":\"booking_added\",\"data\":{\"property_uid\":13}}");
	g_auto(reply) anothers = post(h, h->site, "order-41", BOOKING);

	assert_status(&first, 202);
	g_assert_false(is_replay(&first));
	g_assert_cmpstr(first.body->str, ==, again.body->str);
	g_assert_true(is_replay(&again));
	g_assert_cmpstr(first.body->str, ==, spaced.body->str);
	assert_problem(&other, 409, "idempotency_conflict");
	g_assert_nonnull(strstr(text(&other, "detail"), text(&first, "id")));
	assert_status(&anothers, 202);
	g_assert_cmpstr(text(&anothers, "id"), !=, text(&first, "id"));
	g_assert_cmpuint(count(h, "/v1/events"), ==, 2);
	g_assert_cmpuint(count(h, "/v1/deliveries"), ==, 2);
	close_house(h);
}

static void a_hundred_parallel_repeats_make_one_event(void)
{
	house *h = open_house_with((char *[]){(char *)"api_threads=2", NULL});
	g_autofree char *webhook = add_webhook(h, h->seven);
	pthread_t threads[100];
	racer racers[G_N_ELEMENTS(threads)];
	size_t replays = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		start(&threads[i], &racers[i], h, "race");
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		assert_status(&racers[i].r, 202);
		g_assert_cmpstr(racers[i].r.body->str, ==, racers[0].r.body->str);
		replays += is_replay(&racers[i].r);
	}
	g_assert_cmpuint(replays, ==, 99);
	g_assert_cmpuint(count(h, "/v1/events"), ==, 1);
	g_assert_cmpuint(count(h, "/v1/deliveries"), ==, 1);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		reply_clear(&racers[i].r);
	close_house(h);
}

static void names_outlive_a_restart(void)
{
	house *h = open_house();
	g_auto(reply) first = post(h, h->emit, "before", BOOKING);

	close_rooms(h);
	open_rooms(h);
	g_auto(reply) again = post(h, h->emit, "before", BOOKING);
	g_assert_cmpstr(first.body->str, ==, again.body->str);
	g_assert_true(is_replay(&again));
	close_house(h);
}

static void a_name_must_be_visible_ascii(void)
{
	house *h = open_house();
	g_autofree char *longest = g_strnfill(255, 'k'), *too_long = g_strnfill(256, 'k');
	const char *const wrong[] = {"a b", "a\tb", "schl\xc3\xbcssel", too_long};

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_auto(reply) r = post(h, h->emit, wrong[i], BOOKING);
		assert_problem(&r, 400, "invalid_idempotency_key");
	}
	/* curl sends an empty header when the line ends in a semicolon. */
	g_auto(reply) empty = send_ask(h, "POST", "/v1/events",
				       &(ask){.key = h->emit, .body = BOOKING, .headers = {"Idempotency-Key;"}});
	assert_problem(&empty, 400, "invalid_idempotency_key");
	g_auto(reply) fits = post(h, h->emit, longest, BOOKING);
	assert_status(&fits, 202);
	g_assert_cmpuint(count(h, "/v1/events"), ==, 1);
	close_house(h);
}

static void a_call_of_several_is_repeated_as_a_whole(void)
{
	house *h = open_house();
	const char *body = "[" BOOKING ",{\"type\":\"booking_added\",\"data\":{\"property_uid\":13}}," BOOKING "]";
	g_auto(reply) first = post(h, h->emit, "burst", body);
	g_auto(reply) again = post(h, h->emit, "burst", body);

	assert_status(&first, 202);
	g_assert_cmpstr(first.body->str, ==, again.body->str);
	g_assert_true(is_replay(&again));
	g_assert_cmpuint(count(h, "/v1/events"), ==, 2);
	close_house(h);
}

static void in_a_mixed_call_the_known_are_duplicates(void)
{
	house *h = open_house();
	const char *old = "{\"id\":\"a\",\"type\":\"booking_added\",\"data\":{\"property_uid\":12}}";
	const char *new = "{\"id\":\"b\",\"type\":\"booking_added\",\"data\":{\"property_uid\":13}}";
	g_autofree char *both = g_strdup_printf("[%s,%s]", old, new);
	g_auto(reply) first = post(h, h->emit, NULL, old);
	g_auto(reply) mixed = post(h, h->emit, NULL, both);

	assert_status(&mixed, 202);
	g_assert_false(is_replay(&mixed));
	g_assert_true(is_duplicate(&mixed, 0));
	g_assert_cmpstr(accepted_id(&mixed, 0), ==, text(&first, "id"));
	g_assert_false(is_duplicate(&mixed, 1));
	g_assert_cmpuint(count(h, "/v1/events"), ==, 2);
	close_house(h);
}

static void a_conflict_refuses_the_whole_call(void)
{
	house *h = open_house();
	g_auto(reply) first =
		post(h, h->emit, NULL, "{\"id\":\"a\",\"type\":\"booking_added\",\"data\":{\"property_uid\":12}}");
	g_auto(reply) r = post(h, h->emit, NULL,
			       "[{\"id\":\"b\",\"type\":\"booking_added\",\"data\":{\"property_uid\":13}},"
			       "{\"id\":\"a\",\"type\":\"booking_added\",\"data\":{\"property_uid\":13}}]");

	assert_status(&first, 202);
	assert_problem(&r, 409, "idempotency_conflict");
	g_assert_cmpstr(text(&r, "pointer"), ==, "/1");
	g_assert_cmpuint(count(h, "/v1/events"), ==, 1);
	close_house(h);
}

/* --- News of the directory --------------------------------------------------------------- */

static void an_event_of_a_new_property_reaches_its_manager(void)
{
	house *h = open_house();
	g_autofree char *webhook = add_webhook(h, h->seven);
	/* The second event is judged by the directory as the first has made it. */
	g_auto(reply) r = post(h, h->emit, NULL,
			       "[{\"type\":\"property_created\",\"manager_id\":7,\"data\":{\"property_uid\":77}},"
			       "{\"type\":\"booking_added\",\"data\":{\"property_uid\":77}}]");

	assert_status(&r, 202);
	g_assert_cmpuint(count(h, "/v1/deliveries"), ==, 2);
	g_auto(reply) property = call(h, h->seven, "GET", "/v1/properties/77", NULL);
	assert_status(&property, 200);
	close_house(h);
}

static void the_last_event_of_a_property_is_still_told(void)
{
	house *h = open_house();
	g_autofree char *webhook = add_webhook(h, h->seven);
	g_auto(reply) r = post(h, h->emit, NULL,
			       "[{\"type\":\"property_deleted\",\"data\":{\"property_uid\":12}},"
			       "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12}}]");

	assert_status(&r, 202);
	g_assert_cmpuint(count(h, "/v1/deliveries"), ==, 1);
	assert_refused(h, h->site, "GET", "/v1/properties/12", NULL, 404, "not_found");
	close_house(h);
}

static void old_news_changes_nothing(void)
{
	house *h = open_house();
	const char *body =
		"{\"id\":\"p\",\"type\":\"property_created\",\"manager_id\":7,\"data\":{\"property_uid\":77}}";
	g_auto(reply) first = post(h, h->emit, NULL, body);

	assert_status(&first, 202);
	g_free(done(h, h->site, "DELETE", "/v1/properties/77", NULL, 204, "id"));
	g_auto(reply) again = post(h, h->emit, NULL, body);
	assert_status(&again, 202);
	g_assert_true(is_replay(&again));
	assert_refused(h, h->site, "GET", "/v1/properties/77", NULL, 404, "not_found");
	close_house(h);
}

static void news_that_the_directory_refuses_is_planned_again(void)
{
	house *h = open_house();
	pthread_t threads[3];
	racer racers[G_N_ELEMENTS(threads)];
	const char *gone = "{\"type\":\"property_deleted\",\"data\":{\"property_uid\":12}}";

	/* While the journal is busy with the first, two tell the same news, each seeing the property still there. */
	pthread_mutex_lock(&h->gate);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		racers[i] = (racer){.h = h, .body = i == 0 ? BOOKING : gone};
		g_assert_cmpint(pthread_create(&threads[i], NULL, race, &racers[i]), ==, 0);
		g_autofree char *line = g_strdup_printf("bellhop_api_suspended %zu\n", i + 1);
		wait_for_metric(h, line);
	}
	pthread_mutex_unlock(&h->gate);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		pthread_join(threads[i], NULL);
		assert_status(&racers[i].r, 202);
		reply_clear(&racers[i].r);
	}
	g_assert_cmpuint(count(h, "/v1/events?type=property_deleted"), ==, 2);
	assert_refused(h, h->site, "GET", "/v1/properties/12", NULL, 404, "not_found");
	close_house(h);
}

static void jomres_own_form_is_read(void)
{
	house *h = open_house();
	g_free(done(h, h->emit, "POST", "/v1/events",
		    "{\"webhook_event\":\"booking_added\",\"webhook_event_description\":\"x\",\"webhook_event_plugin\":"
		    "\"core\","
		    "\"data\":{\"property_uid\":\"12\",\"contract_uid\":1}}",
		    202, "id"));
	g_assert_cmpuint(count(h, "/v1/events?property_id=12&type=booking_added"), ==, 1);
	close_house(h);
}

/* --- Loops and rates --------------------------------------------------------------------- */

static reply post_with(const house *h, const char *key, const char *header, const char *body)
{
	return send_ask(h, "POST", "/v1/events", &(ask){.key = key, .body = body, .headers = {header}});
}

static int hops_of(const house *h, const char *event)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = g_strconcat("/", event, NULL);
	bh_reader *reader = bh_reader_new(h->store, &error);
	g_assert_no_error(error);
	g_autoptr(bh_event) e = bh_reader_event(reader, id_in(path, BH_ID_EVENT), &error);
	g_assert_no_error(error);
	bh_reader_free(reader);
	return e->hops;
}

static void hops_are_kept_and_a_loop_is_refused(void)
{
	house *h = open_house();
	const struct {
		const char *header;
		long status;
		const char *code;
		int hops;
	} rows[] = {
		{NULL, 202, NULL, 0},
		{"Bellhop-Hops: 0", 202, NULL, 0},
		{"Bellhop-Hops: 1", 202, NULL, 1},
		{"bellhop-hops: 8", 202, NULL, 8},
		{"Bellhop-Hops: 08", 202, NULL, 8},
		{"Bellhop-Hops: 9", 508, "loop_detected", 0},
		{"Bellhop-Hops: 1000", 508, "loop_detected", 0},
		{"Bellhop-Hops: 4294967296", 508, "loop_detected", 0},
		{"Bellhop-Hops: 18446744073709551617", 508, "loop_detected", 0},
		{"Bellhop-Hops: -1", 400, "invalid_parameter", 0},
		{"Bellhop-Hops: +1", 400, "invalid_parameter", 0},
		{"Bellhop-Hops: 1.0", 400, "invalid_parameter", 0},
		{"Bellhop-Hops: 1, 2", 400, "invalid_parameter", 0},
		{"Bellhop-Hops: many", 400, "invalid_parameter", 0},
		{"Bellhop-Hops: 0x1", 400, "invalid_parameter", 0},
		{"Bellhop-Hops;", 400, "invalid_parameter", 0}, /* there, and empty */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(reply) r = post_with(h, h->emit, rows[i].header, BOOKING);
		g_test_message("%s -> %s", rows[i].header ? rows[i].header : "none", r.body->str);
		if (rows[i].code) {
			assert_problem(&r, rows[i].status, rows[i].code);
			continue;
		}
		assert_status(&r, rows[i].status);
		g_assert_cmpint(hops_of(h, text(&r, "id")), ==, rows[i].hops);
	}
	g_assert_cmpuint(count(h, "/v1/events"), ==, 5);
	close_house(h);
}

static void a_key_that_runs_away_is_slowed_down(void)
{
	house *h = open_house_with((char *[]){(char *)"intake_rate=1", NULL});
	GString *many = g_string_new("[");

	for (int i = 0; i < 100; i++)
		g_string_append_printf(many, "%s{\"type\":\"booking_added\",\"data\":{\"property_uid\":%d}}",
				       i ? "," : "", i + 1);
	g_string_append_c(many, ']');
	g_auto(reply) burst = post_with(h, h->emit, NULL, many->str); /* nothing came for a second: all of it goes in */
	g_auto(reply) next = post_with(h, h->emit, NULL, BOOKING);
	g_auto(reply) other = post_with(h, h->site, NULL, BOOKING);
	g_autofree char *after = header(&next, "Retry-After");
	int64_t seconds = after ? g_ascii_strtoll(after, NULL, 10) : 0;

	assert_status(&burst, 202);
	assert_problem(&next, 429, "too_many_events");
	g_assert_cmpint(seconds, >, 50); /* however slow the machine is */
	g_assert_cmpint(seconds, <=, 100);
	assert_status(&other, 202);
	g_assert_cmpuint(count(h, "/v1/events?property_id=12"), ==, 2);
	g_string_free(many, TRUE);
	close_house(h);
}

/* The bucket itself, told the time. */
static void a_second_may_be_saved_up_and_no_more(void)
{
	bh_rates *r = bh_rates_new();
	bh_mono at = {1000 * BH_SECOND};

	g_assert_cmpint(bh_rates_take(r, 1, 10, 10, at), ==, 0);
	g_assert_cmpint(bh_rates_take(r, 1, 10, 1, at), ==, BH_SECOND / 10);
	g_assert_cmpint(bh_rates_take(r, 2, 10, 1, at), ==, 0); /* another key */
	at = bh_mono_add(at, BH_SECOND / 10);
	g_assert_cmpint(bh_rates_take(r, 1, 10, 1, at), ==, 0);
	g_assert_cmpint(bh_rates_take(r, 1, 10, 1, at), ==, BH_SECOND / 10);
	at = bh_mono_add(at, BH_DAY); /* saved up: one second's worth */
	g_assert_cmpint(bh_rates_take(r, 1, 10, 5, at), ==, 0);
	g_assert_cmpint(bh_rates_take(r, 1, 10, 6, at), ==, BH_SECOND / 10);
	g_assert_cmpint(bh_rates_take(r, 1, 10, 5, at), ==, 0);
	/* More than a second's worth waits for a full bucket, and overdraws it. */
	g_assert_cmpint(bh_rates_take(r, 1, 10, 30, at), ==, BH_SECOND);
	at = bh_mono_add(at, BH_SECOND);
	g_assert_cmpint(bh_rates_take(r, 1, 10, 30, at), ==, 0);
	g_assert_cmpint(bh_rates_take(r, 1, 10, 1, at), ==, 2 * BH_SECOND + BH_SECOND / 10);
	/* As many keys as there may be. */
	for (bh_id key = 3; key < 5000; key++)
		g_assert_cmpint(bh_rates_take(r, key, 10, 10, at), ==, 0);
	for (bh_id key = 3; key < 5000; key++)
		g_assert_cmpint(bh_rates_take(r, key, 10, 10, at), >, 0);
	g_assert_cmpint(bh_rates_take(r, 1, 10000000, 10000, bh_mono_add(at, BH_DAY)), ==, 0);
	bh_rates_free(r);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_ALL);
	bh_log_setup(BH_ERR, false, 2);
#define TEST(name_) g_test_add_func("/api_events/" #name_, name_)
	TEST(the_bytes_of_an_event_survive);
	TEST(a_webhook_that_wants_an_event_gets_a_delivery);
	TEST(several_come_in_one_call);
	TEST(ten_thousand_come_in_one_call);
	TEST(a_wrong_event_refuses_the_whole_call);
	TEST(unknown_types_are_accepted_if_the_site_wants);
	TEST(a_full_journal_says_come_again);
	TEST(a_repeat_is_answered_as_the_first);
	TEST(a_hundred_parallel_repeats_make_one_event);
	TEST(names_outlive_a_restart);
	TEST(a_name_must_be_visible_ascii);
	TEST(a_call_of_several_is_repeated_as_a_whole);
	TEST(in_a_mixed_call_the_known_are_duplicates);
	TEST(a_conflict_refuses_the_whole_call);
	TEST(an_event_of_a_new_property_reaches_its_manager);
	TEST(the_last_event_of_a_property_is_still_told);
	TEST(old_news_changes_nothing);
	TEST(news_that_the_directory_refuses_is_planned_again);
	TEST(jomres_own_form_is_read);
	TEST(hops_are_kept_and_a_loop_is_refused);
	TEST(a_key_that_runs_away_is_slowed_down);
	TEST(a_second_may_be_saved_up_and_no_more);
	return g_test_run();
}
