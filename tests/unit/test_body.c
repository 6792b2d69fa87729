#include "event/event.h"

#include "base/json.h"

/* --- Events, for tests -------------------------------------------------------------------- */

static bh_event *event_of(const char *json)
{
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	bh_intake intake = {
		.form = BH_EVENTS_JSON, .catalogue = catalogue, .accept_unknown_types = true, .now = BH_DAY};
	g_autoptr(GPtrArray) events = NULL;
	g_autoptr(GArray) places = NULL;
	g_autoptr(GError) error = NULL;
	bh_refusal refusal;

	bh_events_read(bh_span_of(json), &intake, &events, &places, &refusal, &error);
	g_assert_no_error(error);
	return bh_event_ref(g_ptr_array_index(events, 0));
}

static char *numbered_body_of(const bh_event *event, bh_shape shape, bool with_details, const char *owner,
			      int64_t sequence)
{
	g_autoptr(GBytes) body = bh_event_body(event, shape, with_details, owner, sequence);
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) error = NULL;

	/* Whatever was handed over, the body is JSON without a name twice. */
	bh_json_parse(json, (bh_span){g_bytes_get_data(body, NULL), g_bytes_get_size(body)}, &error);
	g_assert_no_error(error);
	return g_strndup(g_bytes_get_data(body, NULL), g_bytes_get_size(body));
}

static char *body_of(const bh_event *event, bh_shape shape, bool with_details, const char *owner)
{
	return numbered_body_of(event, shape, with_details, owner, 0);
}

/* --- standard ------------------------------------------------------------------------------ */

static void the_standard_body_is_type_time_id_and_the_bytes_of_data(void)
{
	static const struct {
		const char *event;
		bool with_details;
		const char *rest; /* after the id */
	} rows[] = {
		{"{\"type\":\"booking_added\",\"occurred_at\":\"2026-11-25T16:51:02.5+02:00\",\"data\": { \"b\" "
		 ":412.50,\"a\":\"caf\xc3\xa9 \\/\" } }",
		 true, "\"data\":{ \"b\" :412.50,\"a\":\"caf\xc3\xa9 \\/\" }}"},
		{"{\"type\":\"booking_added\",\"occurred_at\":\"2026-11-25T14:51:02.5Z\",\"data\":{},\"details\":[1 , "
		 "2]}",
		 true, "\"data\":{},\"details\":[1 , 2]}"},
		{"{\"type\":\"booking_added\",\"occurred_at\":\"2026-11-25T14:51:02.5Z\",\"data\":{},\"details\":[1 , "
		 "2]}",
		 false, "\"data\":{}}"},
		{"{\"type\":\"booking_added\",\"occurred_at\":\"2026-11-25T14:51:02.5Z\",\"data\":{},\"details\":false,"
		 "\"channel\":{ \"channel_id\":3}}",
		 true, "\"data\":{},\"details\":false,\"channel\":{ \"channel_id\":3}}"},
		{"{\"type\":\"booking_added\",\"occurred_at\":\"2026-11-25T14:51:02.5Z\",\"data\":{\"task\":1},"
		 "\"channel\":{\"channel_id\":3}}",
		 false, "\"data\":{\"task\":1},\"channel\":{\"channel_id\":3}}"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_event) event = event_of(rows[i].event);
		char id[BH_ID_TEXT_SIZE];
		g_autofree char *expected = g_strdup_printf(
			"{\"type\":\"booking_added\",\"timestamp\":\"2026-11-25T14:51:02.500000Z\",\"id\":\"%s\",%s",
			bh_id_text(BH_ID_EVENT, event->id, id), rows[i].rest);

		g_autofree char *body = body_of(event, BH_SHAPE_STANDARD, rows[i].with_details, "7");

		g_assert_cmpstr(body, ==, expected);
	}
}

/* --- jomres -------------------------------------------------------------------------------- */

static void the_jomres_body_is_what_jomres_sends(void)
{
	g_autofree char *path = g_build_filename(g_getenv("BH_SOURCE_ROOT"), "tests/fixtures/jomres_wire.json", NULL);
	g_autofree char *text = NULL;
	gsize size, count = 0;
	g_autoptr(GError) error = NULL;
	g_assert_true(g_file_get_contents(path, &text, &size, &error));
	g_autoptr(bh_json) json = bh_json_new();
	g_assert_true(bh_json_parse(json, (bh_span){text, size}, &error));

	uint32_t rows = bh_json_member(json, 0, "rows");
	for (uint32_t row = bh_json_first(json, rows); row != BH_JSON_NONE;
	     row = bh_json_next(json, rows, row), count++) {
		bh_span given = bh_json_text(json, bh_json_member(json, row, "event"));
		g_autofree char *copy = g_strndup(given.at, given.size);
		g_autofree char *owner = bh_json_string(json, bh_json_member(json, row, "owner"));
		g_autofree char *expected = bh_json_string(json, bh_json_member(json, row, "body"));
		g_autoptr(bh_event) event = event_of(copy);
		uint32_t acts = bh_json_member(json, row, "actor_is_manager");
		event->actor_is_manager = bh_json_type_of(json, acts) == BH_JSON_TRUE;

		g_autofree char *body = body_of(event, BH_SHAPE_JOMRES, true, owner);

		g_assert_cmpstr(body, ==, expected);
	}
	g_assert_cmpuint(count, ==, 63);
}

static void the_jomres_body_is_right_where_jomres_has_no_example(void)
{
	static const struct {
		const char *event; /* all but the type */
		bool actor_is_manager;
		const char *owner, *data; /* the latter without the braces of the body */
	} rows[] = {
		{"\"data\":{}", false, NULL, "{\"task\":\"t\"}"},
		{"\"data\":{ }", false, "2", "{ \"task\":\"t\"}"},
		{"\"data\":{ \"property_uid\" : 1 }", false, "2",
		 "{ \"property_uid\" : 1 ,\"task\":\"t\",\"manager_id\":2}"},
		{"\"data\":{\"property_uid\":1,\"n\":\"caf\\u00e9 \\/ 412.50\"}", true, "2",
		 "{\"property_uid\":1,\"n\":\"caf\\u00e9 \\/ 412.50\",\"task\":\"t\",\"manager_id\":\"2\"}"},
		/* no property above 0, no owner */
		{"\"data\":{\"property_uid\":0}", false, "2", "{\"property_uid\":0,\"task\":\"t\"}"},
		{"\"data\":{\"property_uid\":\"\"}", false, "2", "{\"property_uid\":\"\",\"task\":\"t\"}"},
		{"\"data\":{\"property_uid\":-1}", false, "2", "{\"property_uid\":-1,\"task\":\"t\"}"},
		{"\"data\":{\"property_uid\":\"-villa\"}", false, "2",
		 "{\"property_uid\":\"-villa\",\"task\":\"t\",\"manager_id\":2}"},
		{"\"data\":{\"property_uid\":1}", false, NULL, "{\"property_uid\":1,\"task\":\"t\"}"},
		/* an id that is no integer is text */
		{"\"data\":{\"property_uid\":1}", false, "ada",
		 "{\"property_uid\":1,\"task\":\"t\",\"manager_id\":\"ada\"}"},
		{"\"data\":{\"property_uid\":1}", false, "007",
		 "{\"property_uid\":1,\"task\":\"t\",\"manager_id\":\"007\"}"},
		{"\"data\":{\"property_uid\":1}", false, "0", "{\"property_uid\":1,\"task\":\"t\",\"manager_id\":0}"},
		{"\"data\":{\"property_uid\":1}", false, "-",
		 "{\"property_uid\":1,\"task\":\"t\",\"manager_id\":\"-\"}"},
		{"\"data\":{\"property_uid\":1}", false, "a\"\\b",
		 "{\"property_uid\":1,\"task\":\"t\",\"manager_id\":\"a\\\"\\\\b\"}"},
		/* a channel acts for the manager */
		{"\"data\":{\"property_uid\":1},\"channel\":{\"channel_id\":1}", true, "2",
		 "{\"property_uid\":1,\"task\":\"t\",\"manager_id\":2}"},
		{"\"data\":{\"property_uid\":1},\"channel\":{}", true, "2",
		 "{\"property_uid\":1,\"task\":\"t\",\"manager_id\":2}"},
		/* members of data's own are not doubled, however they are spelt */
		{"\"data\":{\"property_uid\":1,\"task\":\"mine\"}", false, "2",
		 "{\"property_uid\":1,\"task\":\"mine\",\"manager_id\":2}"},
		{"\"data\":{\"property_uid\":1,\"manager_id\":\"9\"}", false, "2",
		 "{\"property_uid\":1,\"manager_id\":\"9\",\"task\":\"t\"}"},
		{"\"data\":{\"property_uid\":1,\"t\\u0061sk\":\"t\",\"manager\\u005fid\":\"9\"}", false, "2",
		 "{\"property_uid\":1,\"t\\u0061sk\":\"t\",\"manager\\u005fid\":\"9\"}"},
		{"\"data\":{\"property_uid\":1,\"a\":{\"task\":1,\"manager_id\":2}}", false, "2",
		 "{\"property_uid\":1,\"a\":{\"task\":1,\"manager_id\":2},\"task\":\"t\",\"manager_id\":2}"},
		{"\"data\":{\"property_uid\":1,\"a\":\"task\"}", false, "2",
		 "{\"property_uid\":1,\"a\":\"task\",\"task\":\"t\",\"manager_id\":2}"},
		/* details are not for this shape */
		{"\"data\":{\"property_uid\":1},\"details\":{\"x\":1}", false, "2",
		 "{\"property_uid\":1,\"task\":\"t\",\"manager_id\":2}"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *json = g_strdup_printf("{\"type\":\"t\",%s}", rows[i].event);
		g_autofree char *expected = g_strdup_printf("{\"data\":%s}", rows[i].data);
		g_autoptr(bh_event) event = event_of(json);
		event->actor_is_manager = rows[i].actor_is_manager;

		g_autofree char *body = body_of(event, BH_SHAPE_JOMRES, true, rows[i].owner);

		g_test_message("%s", json);
		g_assert_cmpstr(body, ==, expected);
	}
}

/* --- The sequence number ------------------------------------------------------------------- */

static void a_sequence_number_follows_the_other_members_and_changes_no_byte_of_them(void)
{
	static const char *const events[] = {
		"{\"type\":\"t\",\"data\":{}}",
		"{\"type\":\"t\",\"data\":{ }}",
		"{\"type\":\"t\",\"data\":{\"property_uid\":1}}",
		"{\"type\":\"t\",\"data\":{ \"n\" : 412.50 , \"s\":\"caf\\u00e9 \\/ }\" } }",
		"{\"type\":\"t\",\"data\":{\"property_uid\":1,\"task\":\"mine\",\"manager_id\":9}}",
		"{\"type\":\"t\",\"data\":{\"sequence\":\"the event's own\",\"property_uid\":1}}",
		"{\"type\":\"t\",\"data\":{\"property_uid\":1},\"details\":{\"sequence\":8}}",
		"{\"type\":\"t\",\"data\":{},\"details\":[],\"channel\":{\"channel_id\":3}}",
	};
	static const int64_t numbers[] = {1, 2, 9007199254740993, INT64_MAX};

	for (size_t i = 0; i < G_N_ELEMENTS(events); i++) {
		g_autoptr(bh_event) event = event_of(events[i]);
		for (int shape = BH_SHAPE_STANDARD; shape <= BH_SHAPE_JOMRES; shape++)
			for (size_t n = 0; n < G_N_ELEMENTS(numbers); n++) {
				g_autofree char *plain = numbered_body_of(event, (bh_shape)shape, true, "2", 0);
				g_autofree char *numbered =
					numbered_body_of(event, (bh_shape)shape, true, "2", numbers[n]);
				g_autofree char *expected = g_strdup_printf("%.*s,\"sequence\":%" G_GINT64_FORMAT "}",
									    (int)strlen(plain) - 1, plain, numbers[n]);
				g_test_message("%s", numbered);
				g_assert_cmpstr(numbered, ==, expected);
			}
	}
}

static void the_sequence_number_is_beside_data_in_either_shape(void)
{
	g_autoptr(bh_event) event = event_of("{\"type\":\"t\",\"data\":{}}");
	g_autofree char *jomres = numbered_body_of(event, BH_SHAPE_JOMRES, false, NULL, 7);
	g_autofree char *standard = numbered_body_of(event, BH_SHAPE_STANDARD, false, NULL, 7);

	g_assert_cmpstr(jomres, ==, "{\"data\":{\"task\":\"t\"},\"sequence\":7}");
	g_assert_true(g_str_has_suffix(standard, ",\"data\":{},\"sequence\":7}"));
}

static void the_body_is_the_same_at_every_attempt(void)
{
	g_autoptr(bh_event) event = event_of(
		"{\"type\":\"t\",\"id\":\"x\",\"data\":{\"property_uid\":1},\"details\":{\"x\":[]},\"channel\":{}}");
	g_autoptr(bh_event) stored = bh_event_restore(event);

	for (int shape = BH_SHAPE_STANDARD; shape <= BH_SHAPE_JOMRES; shape++) {
		g_autofree char *first = body_of(event, (bh_shape)shape, true, "2");
		g_autofree char *later = body_of(stored, (bh_shape)shape, true, "2");
		g_assert_cmpstr(first, ==, later);
	}
}

static void a_shape_has_a_name(void)
{
	bh_shape shape;

	g_assert_cmpstr(bh_shape_name(BH_SHAPE_STANDARD), ==, "standard");
	g_assert_cmpstr(bh_shape_name(BH_SHAPE_JOMRES), ==, "jomres");
	g_assert_true(bh_shape_parse("jomres", &shape));
	g_assert_cmpint(shape, ==, BH_SHAPE_JOMRES);
	g_assert_true(bh_shape_parse("standard", &shape));
	g_assert_cmpint(shape, ==, BH_SHAPE_STANDARD);
	g_assert_false(bh_shape_parse("Jomres", &shape));
	g_assert_false(bh_shape_parse("", &shape));
}

/* --- An event as it is kept ----------------------------------------------------------------- */

static void a_restored_event_stands_alone(void)
{
	bh_event *event = event_of(
		"{\"type\":\"booking_added\",\"id\":\"x\",\"occurred_at\":\"2026-11-25T14:51:02Z\",\"manager_id\":7,"
		"\"actor\":8,\"channel\":{\"channel_id\":3},\"data\":{\"property_uid\":12},\"details\":[1]}");
	event->actor_is_manager = true;
	event->hops = 3;
	g_autoptr(bh_event) copy = bh_event_restore(event);
	bh_id id = event->id;
	size_t bytes = event->bytes;
	bh_event_unref(event);

	g_assert_cmpint(copy->id, ==, id);
	g_assert_cmpstr(copy->type, ==, "booking_added");
	g_assert_cmpint(copy->occurred_at, ==, INT64_C(1795618262000000));
	g_assert_cmpint(copy->accepted_at, ==, BH_DAY);
	g_assert_cmpstr(copy->property_id, ==, "12");
	g_assert_cmpstr(copy->manager_id, ==, "7");
	g_assert_cmpstr(copy->actor, ==, "8");
	g_assert_true(copy->actor_is_manager);
	g_assert_cmpint(copy->hops, ==, 3);
	g_assert_cmpstr(copy->caller_id, ==, "x");
	g_assert_cmpstr(copy->channel_id, ==, "3");
	g_assert_true(bh_span_is(copy->data, "{\"property_uid\":12}"));
	g_assert_true(bh_span_is(copy->details, "[1]"));
	g_assert_true(bh_span_is(copy->channel, "{\"channel_id\":3}"));
	g_assert_cmpuint(copy->bytes, ==, bytes);
}

static void an_event_lives_as_long_as_somebody_holds_it(void)
{
	bh_event *event = event_of("{\"type\":\"t\",\"data\":{}}");
	g_autoptr(bh_event) mine = bh_event_ref(event);

	bh_event_unref(event);
	g_assert_cmpstr(mine->type, ==, "t");
	bh_event_unref(NULL);
}

static void a_fingerprint_tells_content_apart(void)
{
	static const char *const rows[] = {
		"{\"type\":\"t\",\"data\":{\"a\":1}}",
		"{\"type\":\"u\",\"data\":{\"a\":1}}",
		"{\"type\":\"t\",\"data\":{\"a\": 1}}",
		"{\"type\":\"t\",\"data\":{\"a\":1},\"manager_id\":7}",
		"{\"type\":\"t7\",\"data\":{\"a\":1}}",
		"{\"type\":\"t\",\"data\":{\"a\":1},\"details\":7}",
		"{\"type\":\"t\",\"data\":{\"a\":1},\"details\":\"7\"}",
	};
	unsigned char prints[G_N_ELEMENTS(rows)][BH_FINGERPRINT_SIZE];

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_event) event = event_of(rows[i]);
		bh_event_fingerprint(event, prints[i]);
		for (size_t k = 0; k < i; k++)
			g_assert_cmpint(memcmp(prints[i], prints[k], BH_FINGERPRINT_SIZE), !=, 0);
	}

	/* Who did it, when, and under what name is not content. */
	g_autoptr(bh_event) again = event_of("{\"type\":\"t\",\"data\":{\"a\":1},\"id\":\"x\",\"actor\":3,\"occurred_"
					     "at\":\"2026-11-25T14:51:02Z\"}");
	unsigned char print[BH_FINGERPRINT_SIZE];
	bh_event_fingerprint(again, print);
	g_assert_cmpmem(print, BH_FINGERPRINT_SIZE, prints[0], BH_FINGERPRINT_SIZE);
}

/* --- News for the directory ----------------------------------------------------------------- */

static void some_events_are_news_for_the_directory(void)
{
	static const struct {
		const char *event;
		int kind;
		const char *manager, *properties;
	} rows[] = {
		{"{\"type\":\"manager_added\",\"data\":{\"manager_id\":3,\"property_ids\":[1]}}", BH_NEWS_MANAGER_PUT,
		 "3", "1"},
		{"{\"type\":\"manager_updated\",\"data\":{\"manager_id\":\"3\",\"property_ids\":[1,\"2\",\"villa "
		 "rosa\"]}}",
		 BH_NEWS_MANAGER_PUT, "3", "1,2,villa rosa"},
		{"{\"type\":\"manager_updated\",\"data\":{\"manager_id\":3,\"property_ids\":[]}}", BH_NEWS_MANAGER_PUT,
		 "3", ""},
		{"{\"type\":\"manager_updated\",\"data\":{\"manager_id\":3,\"property_ids\":[0,\"\",null,1.5,[],7]}}",
		 BH_NEWS_MANAGER_PUT, "3", "7"},
		{"{\"type\":\"manager_updated\",\"data\":{\"manager_id\":3}}", BH_NEWS_MANAGER_PUT, "3", NULL},
		{"{\"type\":\"manager_updated\",\"data\":{\"manager_id\":3,\"property_ids\":\"[1]\"}}",
		 BH_NEWS_MANAGER_PUT, "3", NULL},
		{"{\"type\":\"manager_updated\",\"data\":{\"manager\\u005fid\":3}}", BH_NEWS_MANAGER_PUT, "3", NULL},
		{"{\"type\":\"manager_deleted\",\"data\":{\"manager_id\":3}}", BH_NEWS_MANAGER_REMOVED, "3", NULL},
		{"{\"type\":\"manager_deleted\",\"data\":{}}", BH_NEWS_NONE, NULL, NULL},
		{"{\"type\":\"manager_deleted\",\"data\":{\"manager_id\":0}}", BH_NEWS_NONE, NULL, NULL},
		{"{\"type\":\"manager_deleted\",\"data\":{\"manager_id\":[3]}}", BH_NEWS_NONE, NULL, NULL},
		/* the member beside data says whom to tell, not whom it is about */
		{"{\"type\":\"manager_updated\",\"manager_id\":9,\"data\":{\"manager_id\":3}}", BH_NEWS_MANAGER_PUT,
		 "3", NULL},
		/* Jomres' manager_added tells the row of a table: nobody's id */
		{"{\"webhook_event\":\"manager_added\",\"data\":{\"manager_id\":3,\"property_ids\":[1]}}", BH_NEWS_NONE,
		 NULL, NULL},
		{"{\"webhook_event\":\"manager_added\",\"manager_id\":41,\"data\":{\"manager_id\":3,\"property_ids\":["
		 "1]}}",
		 BH_NEWS_MANAGER_PUT, "41", "1"},
		{"{\"webhook_event\":\"manager_updated\",\"data\":{\"manager_id\":3,\"property_ids\":[1,2]}}",
		 BH_NEWS_MANAGER_PUT, "3", "1,2"},
		{"{\"webhook_event\":\"manager_deleted\",\"data\":{\"manager_id\":3}}", BH_NEWS_MANAGER_REMOVED, "3",
		 NULL},
		/* properties */
		{"{\"type\":\"property_created\",\"actor\":2,\"data\":{\"property_uid\":5}}", BH_NEWS_PROPERTY_CREATED,
		 "2", "5"},
		{"{\"type\":\"property_created\",\"actor\":1,\"manager_id\":2,\"data\":{\"property_uid\":5}}",
		 BH_NEWS_PROPERTY_CREATED, "2", "5"},
		{"{\"type\":\"property_created\",\"data\":{\"property_uid\":\"5\"}}", BH_NEWS_PROPERTY_CREATED, NULL,
		 "5"},
		{"{\"type\":\"property_created\",\"data\":{\"property_uid\":0}}", BH_NEWS_NONE, NULL, NULL},
		{"{\"type\":\"property_deleted\",\"actor\":2,\"data\":{\"property_uid\":5}}", BH_NEWS_PROPERTY_REMOVED,
		 NULL, "5"},
		/* and no others */
		{"{\"type\":\"property_updated\",\"actor\":2,\"data\":{\"property_uid\":5}}", BH_NEWS_NONE, NULL, NULL},
		{"{\"type\":\"booking_added\",\"data\":{\"manager_id\":3,\"property_uid\":5}}", BH_NEWS_NONE, NULL,
		 NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_event) event = event_of(rows[i].event);
		bh_directory_news news;

		bh_event_news(event, &news);

		g_test_message("%s", rows[i].event);
		g_autofree char *properties = news.property_ids ? g_strjoinv(",", news.property_ids) : NULL;
		g_assert_cmpint(news.kind, ==, rows[i].kind);
		g_assert_cmpstr(news.manager_id, ==, rows[i].manager);
		g_assert_cmpstr(properties, ==, rows[i].properties);
		bh_directory_news_clear(&news);
	}
}

#define T(test) g_test_add_func("/body/" #test, test)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	T(the_standard_body_is_type_time_id_and_the_bytes_of_data);
	T(the_jomres_body_is_what_jomres_sends);
	T(the_jomres_body_is_right_where_jomres_has_no_example);
	T(a_sequence_number_follows_the_other_members_and_changes_no_byte_of_them);
	T(the_sequence_number_is_beside_data_in_either_shape);
	T(the_body_is_the_same_at_every_attempt);
	T(a_shape_has_a_name);
	T(a_restored_event_stands_alone);
	T(an_event_lives_as_long_as_somebody_holds_it);
	T(a_fingerprint_tells_content_apart);
	T(some_events_are_news_for_the_directory);
	return g_test_run();
}
