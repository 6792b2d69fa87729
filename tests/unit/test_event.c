#include "event/event.h"

#include "base/error.h"
#include "base/json.h"

#define NOON (INT64_C(1764082262) * BH_SECOND)

/* --- Reading, for tests ------------------------------------------------------------------- */

typedef struct outcome {
	GPtrArray *events;
	GArray *places;
	bh_refusal refusal;
	GError *error;
} outcome;

static void outcome_clear(outcome *o)
{
	g_clear_pointer(&o->events, g_ptr_array_unref);
	g_clear_pointer(&o->places, g_array_unref);
	g_clear_error(&o->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(outcome, outcome_clear)

static bool read_with(bh_span text, bh_intake intake, outcome *o)
{
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();

	outcome_clear(o);
	intake.catalogue = catalogue;
	intake.now = NOON;
	bool ok = bh_events_read(text, &intake, &o->events, &o->places, &o->refusal, &o->error);
	g_assert_cmpint(ok, ==, o->error == NULL);
	g_assert_cmpint(ok, ==, o->events != NULL);
	return ok;
}

/* Lines when there is a line break between two objects, else JSON. */
static bool read_call(const char *text, outcome *o)
{
	bool lines = strstr(text, "}\n{") || strstr(text, "}\r\n{") || strstr(text, "}\n\n");

	return read_with(bh_span_of(text), (bh_intake){.form = lines ? BH_EVENTS_NDJSON : BH_EVENTS_JSON}, o);
}

static bh_event *only_event(const char *text, outcome *o)
{
	read_call(text, o);
	g_assert_no_error(o->error);
	g_assert_cmpuint(o->events->len, ==, 1);
	return g_ptr_array_index(o->events, 0);
}

static void assert_span(bh_span span, const char *text)
{
	g_autofree char *copy = g_strndup(span.size ? span.at : "", span.size);

	g_assert_cmpstr(copy, ==, text);
}

/* --- The forms ---------------------------------------------------------------------------- */

static void an_event_in_our_form_is_read_whole(void)
{
	g_auto(outcome) o = {0};
	bh_event *e = only_event(
		"{\"type\":\"booking_added\",\"id\":\"b-4711\",\"occurred_at\":\"2026-11-25T16:51:02.5+02:00\","
		"\"manager_id\":7,\"actor\":\"31\",\"channel\":{\"channel_id\":3,\"channel_name\":\"x\"},"
		"\"data\":{\"property_uid\":12,\"contract_uid\":4711},\"details\":[1,{\"a\":2}]}",
		&o);

	g_assert_cmpint(e->id, >, 0);
	g_assert_cmpstr(e->type, ==, "booking_added");
	g_assert_cmpint(e->accepted_at, ==, NOON);
	g_assert_cmpint(e->occurred_at, ==, INT64_C(1795618262500000));
	g_assert_cmpstr(e->property_id, ==, "12");
	g_assert_cmpstr(e->manager_id, ==, "7");
	g_assert_cmpstr(e->actor, ==, "31");
	g_assert_cmpstr(e->caller_id, ==, "b-4711");
	g_assert_cmpstr(e->channel_id, ==, "3");
	g_assert_null(e->traceparent);
	g_assert_false(e->jomres_form);
	assert_span(e->data, "{\"property_uid\":12,\"contract_uid\":4711}");
	assert_span(e->details, "[1,{\"a\":2}]");
	assert_span(e->channel, "{\"channel_id\":3,\"channel_name\":\"x\"}");
	g_assert_cmpuint(e->bytes, >, sizeof *e);
}

static void the_smallest_event_has_type_and_data(void)
{
	g_auto(outcome) o = {0};
	bh_event *e = only_event("{\"data\":{},\"type\":\"booking_added\"}", &o);

	g_assert_cmpint(e->occurred_at, ==, NOON);
	g_assert_null(e->property_id);
	g_assert_null(e->manager_id);
	g_assert_null(e->actor);
	g_assert_null(e->caller_id);
	g_assert_null(e->channel_id);
	assert_span(e->data, "{}");
	g_assert_cmpuint(e->details.size, ==, 0);
	g_assert_cmpuint(e->channel.size, ==, 0);
}

static void null_is_the_same_as_left_out(void)
{
	g_auto(outcome) o = {0};
	bh_event *e = only_event(
		"{\"type\":\"booking_added\",\"id\":null,\"occurred_at\":null,\"manager_id\":null,\"actor\":null,"
		"\"channel\":null,\"details\":null,\"data\":{\"note\":null}}",
		&o);

	g_assert_null(e->caller_id);
	g_assert_cmpint(e->occurred_at, ==, NOON);
	g_assert_null(e->manager_id);
	g_assert_null(e->actor);
	g_assert_cmpuint(e->channel.size, ==, 0);
	g_assert_cmpuint(e->details.size, ==, 0);
	assert_span(e->data, "{\"note\":null}");
}

static void the_form_of_jomres_means_the_same(void)
{
	g_auto(outcome) o = {0};
	bh_event *e = only_event(
		"{\"webhook_event\":\"room_added\",\"webhook_event_description\":\"Room added\","
		"\"webhook_event_plugin\":\"core\",\"data\":{\"property_uid\":\"1\",\"room_uid\":8},"
		"\"channel_data\":{\"channel_id\":1,\"channel_name\":\"beltest\",\"user_id\":2},\"actor\":2}",
		&o);

	g_assert_cmpstr(e->type, ==, "room_added");
	g_assert_cmpstr(e->property_id, ==, "1");
	g_assert_cmpstr(e->channel_id, ==, "1");
	g_assert_cmpstr(e->actor, ==, "2");
	g_assert_true(e->jomres_form);
	assert_span(e->data, "{\"property_uid\":\"1\",\"room_uid\":8}");
	assert_span(e->channel, "{\"channel_id\":1,\"channel_name\":\"beltest\",\"user_id\":2}");

	e = only_event("{\"webhook_event\":\"manager_added\",\"data\":{\"manager_id\":3},\"channel_data\":[],\"webhook_"
		       "event_plugin\":7}",
		       &o);
	g_assert_cmpuint(e->channel.size, ==, 0);
}

static void names_may_be_spelt_with_escapes(void)
{
	g_auto(outcome) o = {0};
	bh_event *e = only_event(
		"{\"t\\u0079pe\":\"booking\\u005fadded\",\"d\\u0061ta\":{\"property\\u005fuid\":\"1\\u0032\"}}", &o);

	g_assert_cmpstr(e->type, ==, "booking_added");
	g_assert_cmpstr(e->property_id, ==, "12");
	assert_span(e->data, "{\"property\\u005fuid\":\"1\\u0032\"}");
}

/* --- The bytes are kept (cases sig-exact-bytes, json-big-int, json-nul-escape) ------------- */

static void the_bytes_of_data_details_and_channel_are_kept(void)
{
	static const char *const rows[] = {
		"{\"property_uid\":7,\"note\":\"caf\xc3\xa9 \\u001B \\/ end\",\"contract_uid\":41}",
		"{ \"z\" : 1 ,\t\"a\" : [ ] , \"property_uid\":7 }",
		"{\"property_uid\":7,\"a\":9007199254740993,\"b\":7615917337495251231,\"c\":18446744073709551615}",
		"{\"property_uid\":7,\"d\":-9223372036854775808}",
		"{\"price\":412.50,\"long\":12345678901234567890,\"e\":1E+2,\"minus\":-0.0}",
		"{\"note\":\"before\\u0000after\",\"n\\u0000ame\":1}",
		"{\"emoji\":\"\\ud83d\\ude00\",\"raw\":\"\xf0\x9f\x98\x80\",\"slash\":\"\\/\"}",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_autofree char *text =
			g_strdup_printf("{\"type\":\"booking_added\",\"data\": %s ,\"details\":%s,\"channel\":\t%s}",
					rows[i], rows[i], rows[i]);
		bh_event *e = only_event(text, &o);
		assert_span(e->data, rows[i]);
		assert_span(e->details, rows[i]);
		assert_span(e->channel, rows[i]);
	}
}

/* --- Ids ---------------------------------------------------------------------------------- */

static void a_property_is_text_or_an_integer_and_means_the_same(void)
{
	g_autofree char *longest = g_strnfill(128, 'p');
	g_autofree char *quoted = g_strdup_printf("\"%s\"", longest);
	const struct {
		const char *written, *id;
	} rows[] = {
		{"12", "12"},
		{"\"12\"", "12"},
		{"\"012\"", "012"},
		{"\"villa rosa\"", "villa rosa"},
		{"\"caf\xc3\xa9\"", "caf\xc3\xa9"},
		{"\"caf\\u00e9\"", "caf\xc3\xa9"},
		{"12345678901234567890123", "12345678901234567890123"},
		{"-5", "-5"},
		{quoted, longest},
		{"0", NULL},
		{"-0", NULL},
		{"\"0\"", NULL},
		{"\"\"", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_autofree char *text =
			g_strdup_printf("{\"type\":\"booking_added\",\"data\":{\"property_uid\":%s}}", rows[i].written);
		g_assert_cmpstr(only_event(text, &o)->property_id, ==, rows[i].id);
	}
}

static void ids_of_people_and_channels_may_be_integers(void)
{
	g_auto(outcome) o = {0};
	bh_event *e = only_event("{\"type\":\"booking_added\",\"id\":4711,\"manager_id\":0,\"actor\":0,\"channel\":{"
				 "\"channel_id\":17},\"data\":{}}",
				 &o);

	g_assert_cmpstr(e->caller_id, ==, "4711");
	g_assert_cmpstr(e->manager_id, ==, "0");
	g_assert_cmpstr(e->actor, ==, "0");
	g_assert_cmpstr(e->channel_id, ==, "17");

	const char *const without[] = {"{\"channel_id\":0}", "{\"channel_id\":\"\"}", "{\"channel_id\":null}",
				       "{\"name\":\"x\"}", "{}"};
	for (size_t i = 0; i < G_N_ELEMENTS(without); i++) {
		g_autofree char *text = g_strdup_printf(
			"{\"type\":\"booking_added\",\"actor\":\"\",\"channel\":%s,\"data\":{}}", without[i]);
		e = only_event(text, &o);
		g_assert_null(e->channel_id);
		g_assert_null(e->actor);
		assert_span(e->channel, without[i]);
	}
}

/* --- What is refused ---------------------------------------------------------------------- */

#define LONG_40 "0123456789012345678901234567890123456789"
#define LONG_129 LONG_40 LONG_40 LONG_40 "123456789"
#define LONG_256 LONG_129 LONG_40 LONG_40 LONG_40 "1234567"

static const struct {
	const char *text, *pointer, *message;
} WRONG_FIELDS[] = {
	{"7", "", "must be an object"},
	{"\"booking_added\"", "", "must be an object"},
	{"{}", "/type", "\"type\" is missing"},
	{"{\"data\":{}}", "/type", "\"type\" is missing"},
	{"{\"type\":\"booking_added\"}", "/data", "\"data\" is missing"},
	{"{\"webhook_event\":\"booking_added\"}", "/data", "\"data\" is missing"},
	{"[]", "", "the array holds no event"},
	{"[ ]", "", "the array holds no event"},
	/* type */
	{"{\"type\":7,\"data\":{}}", "/type", "letters, digits"},
	{"{\"type\":null,\"data\":{}}", "/type", "letters, digits"},
	{"{\"type\":\"\",\"data\":{}}", "/type", "letters, digits"},
	{"{\"type\":\"booking added\",\"data\":{}}", "/type", "letters, digits"},
	{"{\"type\":\"booking_added\\u0000\",\"data\":{}}", "/type", "letters, digits"},
	{"{\"type\":\"booking/added\",\"data\":{}}", "/type", "letters, digits"},
	{"{\"type\":\"" LONG_129 "\",\"data\":{}}", "/type", "1 to 128"},
	{"{\"webhook_event\":[],\"data\":{}}", "/webhook_event", "letters, digits"},
	/* data */
	{"{\"type\":\"booking_added\",\"data\":null}", "/data", "an object"},
	{"{\"type\":\"booking_added\",\"data\":[]}", "/data", "an object"},
	{"{\"type\":\"booking_added\",\"data\":\"{}\"}", "/data", "an object"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":1.5}}", "/data/property_uid", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":1e2}}", "/data/property_uid", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":null}}", "/data/property_uid", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":true}}", "/data/property_uid", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":[7]}}", "/data/property_uid", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":{}}}", "/data/property_uid", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":\"7\\u0000\"}}", "/data/property_uid",
	 "control characters"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":\"7\\n\"}}", "/data/property_uid",
	 "control characters"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":\"7\\u0085\"}}", "/data/property_uid",
	 "control characters"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":\"7\x7f\"}}", "/data/property_uid",
	 "control characters"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":\"" LONG_129 "\"}}", "/data/property_uid",
	 "128 bytes"},
	{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":1" LONG_129 "}}", "/data/property_uid", "128 bytes"},
	/* id */
	{"{\"type\":\"booking_added\",\"data\":{},\"id\":\"\"}", "/id", "visible ASCII"},
	{"{\"type\":\"booking_added\",\"data\":{},\"id\":\"a b\"}", "/id", "visible ASCII"},
	{"{\"type\":\"booking_added\",\"data\":{},\"id\":\"caf\xc3\xa9\"}", "/id", "visible ASCII"},
	{"{\"type\":\"booking_added\",\"data\":{},\"id\":\"a\\u0000\"}", "/id", "visible ASCII"},
	{"{\"type\":\"booking_added\",\"data\":{},\"id\":1.5}", "/id", "visible ASCII"},
	{"{\"type\":\"booking_added\",\"data\":{},\"id\":[]}", "/id", "visible ASCII"},
	{"{\"type\":\"booking_added\",\"data\":{},\"id\":\"" LONG_256 "\"}", "/id", "1 to 255"},
	/* occurred_at */
	{"{\"type\":\"booking_added\",\"data\":{},\"occurred_at\":1764082262}", "/occurred_at", "RFC 3339"},
	{"{\"type\":\"booking_added\",\"data\":{},\"occurred_at\":\"\"}", "/occurred_at", "RFC 3339"},
	{"{\"type\":\"booking_added\",\"data\":{},\"occurred_at\":\"2026-11-25\"}", "/occurred_at", "RFC 3339"},
	{"{\"type\":\"booking_added\",\"data\":{},\"occurred_at\":\"2026-11-25T14:51:02\"}", "/occurred_at",
	 "RFC 3339"},
	{"{\"type\":\"booking_added\",\"data\":{},\"occurred_at\":\"2026-02-30T14:51:02Z\"}", "/occurred_at",
	 "RFC 3339"},
	{"{\"type\":\"booking_added\",\"data\":{},\"occurred_at\":\"2026-11-25T14:51:02Z\\u0000\"}", "/occurred_at",
	 "RFC 3339"},
	/* manager_id, actor, channel */
	{"{\"type\":\"booking_added\",\"data\":{},\"manager_id\":\"\"}", "/manager_id", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{},\"manager_id\":7.0}", "/manager_id", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{},\"manager_id\":\"7\\u0000\"}", "/manager_id", "control characters"},
	{"{\"type\":\"booking_added\",\"data\":{},\"manager_id\":[7]}", "/manager_id", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{},\"actor\":{}}", "/actor", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{},\"actor\":false}", "/actor", "an integer"},
	{"{\"type\":\"booking_added\",\"data\":{},\"channel\":3}", "/channel", "an object"},
	{"{\"type\":\"booking_added\",\"data\":{},\"channel\":[3]}", "/channel", "an object"},
	{"{\"type\":\"booking_added\",\"data\":{},\"channel\":{\"channel_id\":[]}}", "/channel/channel_id",
	 "an integer"},
	{"{\"webhook_event\":\"booking_added\",\"data\":{},\"channel_data\":{\"channel_id\":{}}}",
	 "/channel_data/channel_id", "an integer"},
	{"{\"webhook_event\":\"booking_added\",\"data\":{},\"channel\":{},\"channel_data\":{}}", "/channel_data",
	 "when there is a \"channel\""},
	/* members that are none */
	{"{\"event\":\"booking_added\",\"data\":{}}", "/event", "did you mean \"type\"?"},
	{"{\"type\":\"booking_added\",\"payload\":{}}", "/payload", "did you mean \"data\"?"},
	{"{\"type\":\"booking_added\",\"data\":{},\"timestamp\":\"x\"}", "/timestamp", "did you mean \"occurred_at\"?"},
	{"{\"type\":\"booking_added\",\"data\":{},\"occuredAt\":\"x\"}", "/occuredAt", "did you mean \"occurred_at\"?"},
	{"{\"type\":\"booking_added\",\"data\":{},\"managerId\":\"x\"}", "/managerId", "did you mean \"manager_id\"?"},
	{"{\"type\":\"booking_added\",\"data\":{},\"property_uid\":7}", "/property_uid",
	 "did you mean \"data\": {\"property_uid\": ...}?"},
	{"{\"type\":\"booking_added\",\"data\":{},\"channel_data\":{}}", "/channel_data", "did you mean \"channel\"?"},
	{"{\"type\":\"booking_added\",\"data\":{},\"webhook_event_plugin\":\"core\"}", "/webhook_event_plugin",
	 "not a member"},
	{"{\"type\":\"booking_added\",\"webhook_event\":\"booking_added\",\"data\":{}}", "/type", "in Jomres' form"},
	{"{\"webhook_event\":\"booking_added\",\"data\":{},\"webhook_evnet\":1}", "/webhook_evnet",
	 "did you mean \"webhook_event\"?"},
	{"{\"type\":\"booking_added\",\"data\":{},\"a/b~c\":1}", "/a~1b~0c", "\"a/b~c\" is not a member of an event"},
	{"{\"type\":\"booking_added\",\"data\":{},\"a\\u0000b\":1}", "/a\\u0000b", "is not a member of an event"},
	{"{\"type\":\"booking_added\",\"data\":{},\"\":1}", "/", "is not a member of an event"},
	/* of several: the number of the event comes first */
	{"[{\"type\":\"booking_added\",\"data\":{}},{\"type\":\"booking_added\",\"data\":7}]", "/1/data", "an object"},
	{"[{\"type\":\"booking_added\",\"data\":{}},[]]", "/1", "must be an object"},
	{"{\"type\":\"booking_added\",\"data\":{}}\n\n\n{\"type\":\"booking_added\",\"data\":{\"property_uid\":null}}",
	 "/1/data/property_uid", "line 4, column 48"},
};

static void a_wrong_field_is_refused_with_a_pointer_to_it(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(WRONG_FIELDS); i++) {
		g_auto(outcome) o = {0};
		g_test_message("%s", WRONG_FIELDS[i].text);

		g_assert_false(read_call(WRONG_FIELDS[i].text, &o));

		g_test_message("%s", o.error->message);
		g_assert_error(o.error, BH_ERROR, BH_ERROR_INVALID);
		g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_FIELD);
		g_assert_cmpstr(o.refusal.pointer, ==, WRONG_FIELDS[i].pointer);
		g_assert_nonnull(strstr(o.error->message, WRONG_FIELDS[i].message));
		g_assert_cmpuint(o.refusal.line, >, 0);
	}
}

static void an_unknown_type_is_refused_with_what_was_meant(void)
{
	static const struct {
		const char *text, *pointer, *message;
	} rows[] = {
		{"{\"type\":\"boking_added\",\"data\":{}}", "/type",
		 "no event type \"boking_added\": did you mean \"booking_added\"?"},
		{"{\"type\":\"Booking_Added\",\"data\":{}}", "/type", "did you mean \"booking_added\"?"},
		{"{\"type\":\"flight_landed\",\"data\":{}}", "/type", "no event type \"flight_landed\" ("},
		{"{\"webhook_event\":\"flight_landed\",\"data\":{}}", "/webhook_event",
		 "no event type \"flight_landed\""},
		{"[{\"type\":\"flight_landed\",\"data\":{}}]", "/0/type", "no event type \"flight_landed\""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_assert_false(read_call(rows[i].text, &o));
		g_assert_error(o.error, BH_ERROR, BH_ERROR_NOT_FOUND);
		g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_FIELD);
		g_assert_cmpstr(o.refusal.pointer, ==, rows[i].pointer);
		g_assert_nonnull(strstr(o.error->message, rows[i].message));
	}
}

static void an_unknown_type_is_accepted_if_the_site_wants_it(void)
{
	g_auto(outcome) o = {0};
	bh_intake lenient = {.accept_unknown_types = true};

	g_assert_true(read_with(bh_span_of("{\"type\":\"flight.landed-2\",\"data\":{}}"), lenient, &o));
	g_assert_cmpstr(((bh_event *)g_ptr_array_index(o.events, 0))->type, ==, "flight.landed-2");
	g_assert_false(read_with(bh_span_of("{\"type\":\"flight landed\",\"data\":{}}"), lenient, &o));
}

static void wrong_json_is_refused_with_line_and_column(void)
{
	static const struct {
		const char *text;
		unsigned line, column;
	} rows[] = {
		{"", 1, 1},
		{" \n ", 2, 2},
		{"{\"type\":\"booking_added\",\"data\":{}} x", 1, 36},
		{"{\"type\":\"booking_added\",\"data\":{}}{}", 1, 35},
		{"{\"type\":\"booking_added\",\"data\":{\"a\":NaN}}", 1, 37},
		{"{\"type\":\"booking_added\",\n\"data\":{\"a\":1,}}", 2, 15},
		{"[{\"type\":\"booking_added\",\"data\":{}}", 1, 36},
		{"[{\"type\":\"booking_added\",\"data\":{}},]", 1, 37},
		{"[{\"type\":\"booking_added\",\"data\":{}} {}]", 1, 37},
		{"[{\"type\":\"booking_added\",\"data\":{}}]]", 1, 37},
		{"[\n{\"type\":\"booking_added\",\"data\":{}},\n{\"type\":\"booking_added\",\"data\":{\"\xff\":1}}]", 3,
		 34},
		/* case json-duplicate-keys: 7 and 8 may belong to different managers */
		{"{\"event\":\"booking_added\",\"data\":{\"property_uid\":7,\"property_uid\":8,\"contract_uid\":1}}", 1,
		 51},
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":7,\"property\\u005fuid\":8}}", 1, 50},
		{"{\"type\":\"booking_added\",\"data\":{},\"data\":{}}", 1, 35},
		{"{\"type\":\"booking_added\",\"data\":{}}\n{\"type\":}", 2, 9},
		{"{\"type\":\"booking_added\",\"data\":{}}\n{\"type\":\n\"booking_added\",\"data\":{}}", 2, 9},
		{"{\"type\":\"booking_added\",\"data\":{}}\n{\"type\":\"booking_added\",\"data\":{}} {}", 2, 36},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_test_message("row %zu", i);

		g_assert_false(read_call(rows[i].text, &o));

		g_test_message("%s", o.error->message);
		g_assert_error(o.error, BH_ERROR, BH_ERROR_INVALID);
		g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_SYNTAX);
		g_assert_cmpuint(o.refusal.line, ==, rows[i].line);
		g_assert_cmpuint(o.refusal.column, ==, rows[i].column);
	}
}

static void a_call_of_lines_without_an_event_is_refused(void)
{
	const char *const rows[] = {"", "\n", " \r\n\t\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_assert_false(read_with(bh_span_of(rows[i]), (bh_intake){.form = BH_EVENTS_NDJSON}, &o));
		g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_SYNTAX);
	}
}

static char *nested(size_t levels)
{
	GString *text = g_string_new("{\"type\":\"booking_added\",\"data\":{\"a\":");

	for (size_t i = 0; i < levels; i++)
		g_string_append_c(text, '[');
	for (size_t i = 0; i < levels; i++)
		g_string_append_c(text, ']');
	g_string_append(text, "}}");
	return g_string_free(text, FALSE);
}

/* Case json-deep-nesting. */
static void an_event_is_nested_64_levels_deep_at_the_most(void)
{
	g_autofree char *deepest = nested(62), *deeper = nested(63), *absurd = nested(100000);
	g_autofree char *in_array = g_strdup_printf("[%s]", deepest);
	g_auto(outcome) o = {0};

	g_assert_true(read_call(deepest, &o));
	g_assert_true(read_call(in_array, &o)); /* alone or among others, the same events are taken */
	g_assert_false(read_call(deeper, &o));
	g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_SYNTAX);
	g_assert_false(read_call(absurd, &o));
	g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_SYNTAX);
}

/* --- Limits ------------------------------------------------------------------------------- */

/* An event of exactly `size` bytes. */
static char *event_of_size(size_t size)
{
	const char *start = "{\"type\":\"booking_added\",\"data\":{\"x\":\"", *end = "\"}}";
	g_autofree char *filling = g_strnfill(size - strlen(start) - strlen(end), 'x');

	return g_strconcat(start, filling, end, NULL);
}

static void an_event_has_256_kib_at_the_most(void)
{
	g_autofree char *largest = event_of_size(BH_EVENT_BYTES_MAX), *larger = event_of_size(BH_EVENT_BYTES_MAX + 1);
	g_autofree char *spaced = g_strconcat(" \n", largest, "  \n ", NULL);
	g_autofree char *fine_array = g_strconcat("[{\"type\":\"booking_added\",\"data\":{}} , ", largest, " ]", NULL);
	g_autofree char *array = g_strconcat("[{\"type\":\"booking_added\",\"data\":{}},", larger, "]", NULL);
	g_autofree char *lines = g_strconcat("{\"type\":\"booking_added\",\"data\":{}}\n", larger, "\n", NULL);
	g_auto(outcome) o = {0};

	g_assert_true(read_call(largest, &o));
	g_assert_true(read_call(spaced, &o));
	g_assert_true(read_call(fine_array, &o));
	const struct {
		const char *text, *pointer;
	} rows[] = {{larger, ""}, {array, "/1"}, {lines, "/1"}};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_assert_false(read_call(rows[i].text, &o));
		g_assert_error(o.error, BH_ERROR, BH_ERROR_LIMIT);
		g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_SIZE);
		g_assert_cmpstr(o.refusal.pointer, ==, rows[i].pointer);
	}
}

static GString *many_lines(size_t count)
{
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < count; i++)
		g_string_append_printf(
			text, "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12,\"contract_uid\":%zu}}\n", i);
	return text;
}

static void a_call_has_10000_events_at_the_most(void)
{
	g_autoptr(GString) most = many_lines(10000), more = many_lines(10001);
	g_auto(outcome) o = {0};

	g_assert_true(read_call(most->str, &o));
	g_assert_cmpuint(o.events->len, ==, 10000);
	g_assert_cmpuint(o.places->len, ==, 10000);
	for (guint i = 0; i < 10000; i++)
		g_assert_cmpuint(g_array_index(o.places, guint, i), ==, i);
	g_assert_false(read_call(more->str, &o));
	g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_SIZE);
	g_assert_error(o.error, BH_ERROR, BH_ERROR_LIMIT);
}

static void a_call_has_8_mib_at_the_most(void)
{
	g_autofree char *event = event_of_size(800);
	g_autoptr(GString) lines = g_string_new(NULL);
	g_auto(outcome) o = {0};

	g_string_append_printf(lines, "%s\n", event);
	for (int i = 0; lines->len + 801 <= BH_EVENTS_BYTES_MAX && i < 9999; i++) {
		g_string_append_len(lines, event, 780);
		g_string_append_printf(lines, "%017d\"}}\n", i);
	}
	while (lines->len < BH_EVENTS_BYTES_MAX)
		g_string_append_c(lines, '\n');

	g_assert_true(read_with((bh_span){lines->str, lines->len}, (bh_intake){.form = BH_EVENTS_NDJSON}, &o));
	g_string_append_c(lines, '\n');
	g_assert_false(read_with((bh_span){lines->str, lines->len}, (bh_intake){.form = BH_EVENTS_NDJSON}, &o));
	g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_SIZE);
	g_assert_error(o.error, BH_ERROR, BH_ERROR_LIMIT);
}

/* --- Several events ----------------------------------------------------------------------- */

/* The distinct events as "contract/caller_id", and which of them each given one became. */
static char *in_words(const outcome *o)
{
	GString *words = g_string_new(NULL);
	g_autoptr(bh_json) json = bh_json_new();

	for (guint i = 0; i < o->events->len; i++) {
		const bh_event *e = g_ptr_array_index(o->events, i);
		g_assert_true(bh_json_parse(json, e->data, NULL));
		bh_span contract = bh_json_text(json, bh_json_member(json, 0, "c"));
		g_string_append_printf(words, "%.*s/%s ", (int)contract.size, contract.at,
				       e->caller_id ? e->caller_id : "-");
		if (i > 0)
			g_assert_cmpint(e->id, >, ((bh_event *)g_ptr_array_index(o->events, i - 1))->id);
	}
	g_string_append(words, "<-");
	for (guint i = 0; i < o->places->len; i++)
		g_string_append_printf(words, " %u", g_array_index(o->places, guint, i));
	return g_string_free(words, FALSE);
}

/* Short for events of a call: "1" is data {"c":1}, "1/x" has the id x besides, "1@7" the manager 7, "1!" is of another type. */
static char *call_of(const char *events, const char *separator)
{
	g_auto(GStrv) words = g_strsplit(events, " ", -1);
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

	for (char **w = words; *w; w++) {
		const char *slash = strchr(*w, '/'), *at = strchr(*w, '@');
		g_autofree char *id = slash ? g_strdup_printf(",\"id\":\"%s\"", slash + 1) : g_strdup("");
		g_autofree char *manager = at ? g_strdup_printf(",\"manager_id\":%s", at + 1) : g_strdup("");
		g_ptr_array_add(texts, g_strdup_printf("{\"type\":\"%s\",\"data\":{\"c\":%d}%s%s}",
						       strchr(*w, '!') ? "booking_cancelled" : "booking_added",
						       atoi(*w), id, manager));
	}
	g_ptr_array_add(texts, NULL);
	return g_strjoinv(separator, (char **)texts->pdata);
}

static void exact_duplicates_of_a_call_count_once(void)
{
	static const struct {
		const char *given, *found;
	} rows[] = {
		{"1 2 3", "1/- 2/- 3/- <- 0 1 2"},
		{"1 1", "1/- <- 0 0"},
		{"1 2 1 2 3 1", "1/- 2/- 3/- <- 0 1 0 1 2 0"},
		{"1 1!", "1/- 1/- <- 0 1"},
		{"1 1@7 1@8 1@7", "1/- 1/- 1/- <- 0 1 2 1"},
		/* ids of their own */
		{"1/x 1/x", "1/x <- 0 0"},
		{"1/x 1/y", "1/x 1/y <- 0 1"},
		{"1/x 1", "1/x <- 0 0"},
		{"1 1/x", "1/x <- 0 0"}, /* the id is kept, or a repeat under it would not be known */
		{"1 1/x 1/y 1 1/x 1/y", "1/x 1/y <- 0 0 1 0 0 1"},
		{"1/x 2/y 1/z 1", "1/x 2/y 1/z <- 0 1 2 0"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_autofree char *lines = call_of(rows[i].given, "\n"), *items = call_of(rows[i].given, " , ");
		g_autofree char *array = g_strdup_printf("[ %s ]", items);

		g_assert_true(read_call(lines, &o));
		g_autofree char *from_lines = in_words(&o);
		g_assert_true(read_call(array, &o));
		g_autofree char *from_array = in_words(&o);

		g_test_message("%s", rows[i].given);
		g_assert_cmpstr(from_array, ==, rows[i].found);
		g_assert_cmpstr(from_lines, ==, rows[i].found);
	}
}

static void duplicates_are_told_by_bytes_not_by_meaning(void)
{
	g_auto(outcome) o = {0};

	g_assert_true(read_call("{\"type\":\"booking_added\",\"data\":{\"property_uid\":1}}\n"
				"{\"type\":\"booking_added\",\"data\":{\"property_uid\":\"1\"}}\n"
				"{\"type\":\"booking_added\",\"data\":{ \"property_uid\":1}}\n"
				"{\"data\":{\"property_uid\":1},\"type\":\"booking_added\",\"actor\":9}\n",
				&o));
	g_assert_cmpuint(o.events->len, ==, 3);
	g_assert_cmpuint(g_array_index(o.places, guint, 3), ==, 0);
}

static void one_id_for_two_contents_is_refused(void)
{
	const char *const rows[] = {"1/x 2/x", "1/x 1!/x", "1/x 3 1/x 2/x"};
	const char *const pointers[] = {"/1/id", "/1/id", "/3/id"};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_autofree char *lines = call_of(rows[i], "\n");
		g_assert_false(read_call(lines, &o));
		g_assert_error(o.error, BH_ERROR, BH_ERROR_INVALID);
		g_assert_cmpint(o.refusal.kind, ==, BH_REFUSED_FIELD);
		g_assert_cmpstr(o.refusal.pointer, ==, pointers[i]);
	}

	g_auto(outcome) o = {0};
	g_assert_false(read_call("{\"type\":\"booking_added\",\"id\":\"x\",\"data\":{},\"details\":1}\n"
				 "{\"type\":\"booking_added\",\"id\":\"x\",\"data\":{},\"details\":2}",
				 &o));
}

static void blank_lines_and_carriage_returns_are_passed_over(void)
{
	g_auto(outcome) o = {0};
	const char *text = "\n  \r\n{\"type\":\"booking_added\",\"data\":{\"c\":1}}\r\n\t\n "
			   "{\"type\":\"booking_added\",\"data\":{\"c\":2}} ";

	g_assert_true(read_with(bh_span_of(text), (bh_intake){.form = BH_EVENTS_NDJSON}, &o));
	g_autofree char *found = in_words(&o);
	g_assert_cmpstr(found, ==, "1/- 2/- <- 0 1");
}

static void the_idempotency_key_names_the_events_of_the_call(void)
{
	static const struct {
		const char *given, *found;
	} rows[] = {
		{"1 2 3", "1/key#0 2/key#1 3/key#2 <- 0 1 2"},
		{"1", "1/key#0 <- 0"},
		{"1 1 2",
		 "1/key#0 2/key#2 <- 0 0 1"}, /* the numbers are of the call, so they stay when duplicates fold */
		{"1 2/x 3", "1/key#0 2/x 3/key#2 <- 0 1 2"},
		{"1 1/x", "1/x <- 0 0"},
		{"1/x 1", "1/x <- 0 0"},
	};
	bh_intake intake = {.form = BH_EVENTS_NDJSON, .idempotency_key = "key"};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_autofree char *lines = call_of(rows[i].given, "\n");
		g_assert_true(read_with(bh_span_of(lines), intake, &o));
		g_autofree char *found = in_words(&o);
		g_assert_cmpstr(found, ==, rows[i].found);
	}

	g_auto(outcome) o = {0};
	intake.form = BH_EVENTS_JSON;
	g_assert_true(read_with(bh_span_of("{\"type\":\"booking_added\",\"data\":{\"c\":1}}"), intake, &o));
	g_assert_cmpstr(((bh_event *)g_ptr_array_index(o.events, 0))->caller_id, ==, "key");
	g_assert_true(
		read_with(bh_span_of("{\"type\":\"booking_added\",\"data\":{\"c\":1},\"id\":\"own\"}"), intake, &o));
	g_assert_cmpstr(((bh_event *)g_ptr_array_index(o.events, 0))->caller_id, ==, "own");
}

static void the_longest_key_numbers_ten_thousand_events(void)
{
	g_autofree char *key = g_strnfill(255, 'k');
	g_autofree char *expected = g_strconcat(key, "#9999", NULL);
	g_autoptr(GString) lines = many_lines(10000);
	g_auto(outcome) o = {0};

	g_assert_true(read_with((bh_span){lines->str, lines->len},
				(bh_intake){.form = BH_EVENTS_NDJSON, .idempotency_key = key}, &o));
	g_assert_cmpstr(((bh_event *)g_ptr_array_index(o.events, 9999))->caller_id, ==, expected);
}

static void the_trace_context_goes_with_every_event(void)
{
	const char *trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	g_auto(outcome) o = {0};
	g_autofree char *lines = call_of("1 2", "\n");

	g_assert_true(read_with(bh_span_of(lines), (bh_intake){.form = BH_EVENTS_NDJSON, .traceparent = trace}, &o));
	for (guint i = 0; i < 2; i++)
		g_assert_cmpstr(((bh_event *)g_ptr_array_index(o.events, i))->traceparent, ==, trace);
}

static void the_hops_of_the_call_go_with_every_event(void)
{
	static const struct {
		const char *call;
		bh_events_form form;
	} rows[] = {
		{"{\"type\":\"booking_added\",\"data\":{}}", BH_EVENTS_JSON},
		{"[{\"type\":\"booking_added\",\"data\":{\"a\":1}},{\"type\":\"booking_added\",\"data\":{\"a\":2}}]",
		 BH_EVENTS_JSON},
		{"{\"type\":\"booking_added\",\"data\":{\"a\":1}}\n{\"webhook_event\":\"booking_added\",\"data\":{\"a\":2}}",
		 BH_EVENTS_NDJSON},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		for (int hops = 0; hops <= 1000; hops += 500) {
			g_auto(outcome) o = {0};
			bh_intake intake = {.form = rows[i].form, .hops = hops};
			g_assert_true(read_with(bh_span_of(rows[i].call), intake, &o));
			for (guint k = 0; k < o.events->len; k++)
				g_assert_cmpint(((bh_event *)g_ptr_array_index(o.events, k))->hops, ==, hops);
		}

	/* They are of the call, not of the event: nobody writes his own. */
	g_auto(outcome) o = {0};
	g_assert_false(read_call("{\"type\":\"booking_added\",\"hops\":0,\"data\":{}}", &o));
}

/* --- Single fields ------------------------------------------------------------------------ */

static void a_field_is_found_by_its_name(void)
{
	static const struct {
		const char *event, *name, *text; /* the event without its type */
	} rows[] = {
		{"\"data\":{\"contract_uid\":412}", "contract_uid", "412"},
		{"\"data\":{\"contract_uid\":412.0}", "contract_uid", "412.0"},
		{"\"data\":{\"contract_uid\":4.12e2}", "contract_uid", "4.12e2"},
		{"\"data\":{\"contract_uid\":-0}", "contract_uid", "-0"},
		{"\"data\":{\"contract_uid\":12345678901234567890}", "contract_uid", "12345678901234567890"},
		{"\"data\":{\"contract_uid\":\"412\"}", "contract_uid", "412"},
		{"\"data\":{\"contract_uid\":\"\"}", "contract_uid", ""},
		{"\"data\":{\"contract_uid\":\"a\\u0062\\/\\n\\\"caf\\u00e9\"}", "contract_uid", "ab/\n\"caf\xc3\xa9"},
		{"\"data\":{\"contract_uid\":\"\\ud83d\\ude00\"}", "contract_uid", "\xf0\x9f\x98\x80"},
		{"\"data\":{\"contract_uid\":true}", "contract_uid", "true"},
		{"\"data\":{\"contract_uid\":false}", "contract_uid", "false"},
		{"\"data\":{\"contract_uid\":{ \"a\" : [1, 2.50] }}", "contract_uid", "{ \"a\" : [1, 2.50] }"},
		{"\"data\":{\"contract_uid\":[\"\\u0061\"]}", "contract_uid", "[\"\\u0061\"]"},
		{"\"data\":{\"a\":1,\"b\":2,\"c\":3}", "c", "3"},
		/* its own name in another spelling */
		{"\"data\":{\"contract\\u005fuid\":412}", "contract_uid", "412"},
		/* not there */
		{"\"data\":{}", "contract_uid", NULL},
		{"\"data\":{\"contract_uid\":null}", "contract_uid", NULL},
		{"\"data\":{\"contract_uid\":\"a\\u0000b\"}", "contract_uid", NULL},
		{"\"data\":{\"a\":{\"contract_uid\":1}}", "contract_uid", NULL},
		{"\"data\":{\"a\":\"contract_uid\"}", "contract_uid", NULL},
		{"\"data\":{\"contract_uid_2\":1,\"Contract_uid\":2}", "contract_uid", NULL},
		{"\"data\":{\"a\":1},\"details\":{\"contract_uid\":1}", "contract_uid", NULL},
		{"\"data\":{\"a\":1}", "", NULL},
		/* the property is the event's, however it is written, and not a member of that name */
		{"\"data\":{\"property_uid\":12}", "property", "12"},
		{"\"data\":{\"property_uid\":\"villa rosa\"}", "property", "villa rosa"},
		{"\"data\":{\"property_uid\":0}", "property", NULL},
		{"\"data\":{\"property\":7}", "property", NULL},
		{"\"data\":{\"property_uid\":12}", "property_uid", "12"},
		{"\"data\":{\"property_uid\":0}", "property_uid", "0"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_autofree char *json = g_strdup_printf("{\"type\":\"booking_added\",%s}", rows[i].event);
		g_test_message("%s: %s", json, rows[i].name);

		g_autofree char *text = bh_event_field(only_event(json, &o), rows[i].name);

		g_assert_cmpstr(text, ==, rows[i].text);
	}
}

static void several_fields_are_all_there_or_none_is(void)
{
	g_auto(outcome) o = {0};
	const bh_event *event = only_event(
		"{\"type\":\"booking_added\",\"data\":{\"property_uid\":12,\"a\":\"x\",\"b\":null,\"c\":3}}", &o);
	g_auto(GStrv) all = g_strsplit("c property a c", " ", -1);
	g_auto(GStrv) some = g_strsplit("c b", " ", -1);
	g_auto(GStrv) none = g_strsplit("", " ", -1);

	g_auto(GStrv) values = bh_event_fields(event, all);
	g_autofree char *joined = g_strjoinv("|", values);
	g_assert_cmpstr(joined, ==, "3|12|x|3");
	g_assert_null(bh_event_fields(event, some));
	g_auto(GStrv) nothing = bh_event_fields(event, none);
	g_assert_cmpuint(g_strv_length(nothing), ==, 0);
}

/* --- What is sensitive -------------------------------------------------------------------- */

static void the_password_is_removed_at_the_door_and_nothing_else(void)
{
	static const struct {
		const char *given, *kept;
	} rows[] = {
		{"{\"cms_user_id\":6,\"name\":\"Max Gowen\",\"password\":\"s3cret\",\"username\":\"max@example.test\"}",
		 "{\"cms_user_id\":6,\"name\":\"Max Gowen\",\"username\":\"max@example.test\"}"},
		{"{\"password\":\"s3cret\",\"a\":1}", "{\"a\":1}"},
		{"{\"a\":1,\"password\":\"s3cret\"}", "{\"a\":1}"},
		{"{\"password\":\"s3cret\"}", "{}"},
		{"{ \"password\" : \"s3cret\" }", "{  }"},
		{"{ \"a\" : 1 , \"password\" : \"s3cret\" , \"b\" : 2 }", "{ \"a\" : 1 ,   \"b\" : 2 }"},
		{"{ \"a\" : 1 , \"password\" : \"s3cret\" }", "{ \"a\" : 1   }"},
		{"{\n\t\"password\": \"s3cret\",\n\t\"b\": 2\n}", "{\n\t\n\t\"b\": 2\n}"},
		{"{\"a\":1,\"pass\\u0077ord\":\"s3cret\",\"b\":412.50}", "{\"a\":1,\"b\":412.50}"},
		{"{\"a\":1,\"\\u0070\\u0061\\u0073\\u0073\\u0077\\u006f\\u0072\\u0064\":\"s3cret\"}", "{\"a\":1}"},
		{"{\"password\":{\"s3cret\":[\"s3cret\",{}]},\"b\":2}", "{\"b\":2}"},
		{"{\"password\":[\"s3cret\",\"},\"],\"b\":2}", "{\"b\":2}"},
		{"{\"password\":null,\"b\":2}", "{\"b\":2}"},
		/* not of that name, or not at the top */
		{"{\"Password\":\"x\",\"password2\":\"x\",\"a\":\"password\"}",
		 "{\"Password\":\"x\",\"password2\":\"x\",\"a\":\"password\"}"},
		{"{\"deep\":{\"password\":\"x\"}}", "{\"deep\":{\"password\":\"x\"}}"},
		{"{\"pass\\\\u0077ord\":\"x\"}", "{\"pass\\\\u0077ord\":\"x\"}"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *const forms[] = {"type", "webhook_event"};
		for (size_t f = 0; f < G_N_ELEMENTS(forms); f++) {
			g_auto(outcome) o = {0};
			g_autofree char *text =
				g_strdup_printf("{\"%s\":\"user_created\",\"data\":%s}", forms[f], rows[i].given);
			g_test_message("%s", text);
			bh_event *e = only_event(text, &o);
			assert_span(e->data, rows[i].kept);
			g_assert_null(memmem(e, e->bytes, "s3cret", 6));
		}
	}
}

static void what_is_sensitive_is_so_for_its_type_only(void)
{
	g_auto(outcome) o = {0};

	assert_span(only_event("{\"type\":\"booking_added\",\"data\":{\"password\":1}}", &o)->data, "{\"password\":1}");
}

static void a_type_of_the_site_may_have_several_sensitive_members(void)
{
	static const struct {
		const char *given, *kept;
	} rows[] = {
		{"{\"a\":1,\"pin\":2,\"b\":3,\"card\":4}", "{\"a\":1,\"b\":3}"},
		{"{\"pin\":2,\"card\":4,\"a\":1}", "{\"a\":1}"},
		{"{\"a\":1,\"pin\":2,\"card\":4}", "{\"a\":1}"},
		{"{\"pin\":2,\"card\":4}", "{}"},
		{"{\"pin\":2 , \"a\":1 , \"card\":4 , \"b\":3 }", "{  \"a\":1 ,   \"b\":3 }"},
		{"{ \"a\":1 , \"pin\":2 , \"card\":4 }", "{ \"a\":1     }"},
		{"{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}"},
	};
	g_autoptr(bh_catalogue) built_in = bh_catalogue_new();
	bh_event_type *type =
		bh_event_type_parse(bh_span_of("{\"name\":\"paid\",\"sensitive\":[\"card\",\"pin\"]}"), NULL);
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_with(built_in, type, NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(outcome) o = {0};
		g_autofree char *text = g_strdup_printf("{\"type\":\"paid\",\"data\":%s}", rows[i].given);
		bh_intake intake = {.catalogue = catalogue, .now = NOON};
		g_assert_true(bh_events_read(bh_span_of(text), &intake, &o.events, &o.places, &o.refusal, &o.error));
		assert_span(((bh_event *)g_ptr_array_index(o.events, 0))->data, rows[i].kept);
	}
}

static void duplicates_are_told_after_the_sensitive_is_gone(void)
{
	g_auto(outcome) o = {0};

	g_assert_true(read_call("{\"type\":\"user_created\",\"data\":{\"cms_user_id\":1,\"password\":\"a\"}}\n"
				"{\"type\":\"user_created\",\"data\":{\"cms_user_id\":1,\"password\":\"b\"}}",
				&o));
	g_assert_cmpuint(o.events->len, ==, 1);
}

static void a_refusal_does_not_tell_the_password(void)
{
	g_auto(outcome) o = {0};

	g_assert_false(
		read_call("{\"type\":\"user_created\",\"data\":{\"password\":\"s3cret\",\"property_uid\":null}}", &o));
	g_assert_null(strstr(o.error->message, "s3cret"));
	g_assert_false(read_call("{\"type\":\"user_created\",\"data\":{\"password\":s3cret}}", &o));
	g_assert_null(strstr(o.error->message, "s3cret"));
	g_assert_false(read_call(
		"{\"type\":\"user_created\",\"data\":{\"password\":\"s3cret\",\"password\":\"s3cret\"}}", &o));
	g_assert_null(strstr(o.error->message, "s3cret"));
}

static void a_guests_booking_is_six_events(void)
{
	static const char *const types[] = {"user_created",    "property_settings_updated",
					    "invoice_created", "invoice_updated",
					    "booking_added",   "property_state_change"};
	g_autofree char *path =
		g_build_filename(g_getenv("BH_SOURCE_ROOT"), "tests/fixtures/guest_booking.ndjson", NULL);
	g_autofree char *text = NULL;
	g_auto(outcome) o = {0};

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_true(read_call(text, &o));
	g_assert_cmpuint(o.events->len, ==, 6);
	for (guint i = 0; i < 6; i++) {
		const bh_event *e = g_ptr_array_index(o.events, i);
		g_assert_cmpstr(e->type, ==, types[i]);
		g_assert_cmpstr(e->property_id, ==, i == 0 ? NULL : "12");
		g_assert_null(memmem(e, e->bytes, "correct horse", 13));
	}
}

#define T(test) g_test_add_func("/event/" #test, test)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	T(an_event_in_our_form_is_read_whole);
	T(the_smallest_event_has_type_and_data);
	T(null_is_the_same_as_left_out);
	T(the_form_of_jomres_means_the_same);
	T(names_may_be_spelt_with_escapes);
	T(the_bytes_of_data_details_and_channel_are_kept);
	T(a_property_is_text_or_an_integer_and_means_the_same);
	T(ids_of_people_and_channels_may_be_integers);
	T(a_wrong_field_is_refused_with_a_pointer_to_it);
	T(an_unknown_type_is_refused_with_what_was_meant);
	T(an_unknown_type_is_accepted_if_the_site_wants_it);
	T(wrong_json_is_refused_with_line_and_column);
	T(a_call_of_lines_without_an_event_is_refused);
	T(an_event_is_nested_64_levels_deep_at_the_most);
	T(an_event_has_256_kib_at_the_most);
	T(a_call_has_10000_events_at_the_most);
	T(a_call_has_8_mib_at_the_most);
	T(exact_duplicates_of_a_call_count_once);
	T(duplicates_are_told_by_bytes_not_by_meaning);
	T(one_id_for_two_contents_is_refused);
	T(blank_lines_and_carriage_returns_are_passed_over);
	T(the_idempotency_key_names_the_events_of_the_call);
	T(the_longest_key_numbers_ten_thousand_events);
	T(the_trace_context_goes_with_every_event);
	T(the_hops_of_the_call_go_with_every_event);
	T(a_field_is_found_by_its_name);
	T(several_fields_are_all_there_or_none_is);
	T(the_password_is_removed_at_the_door_and_nothing_else);
	T(what_is_sensitive_is_so_for_its_type_only);
	T(a_type_of_the_site_may_have_several_sensitive_members);
	T(duplicates_are_told_after_the_sensitive_is_gone);
	T(a_refusal_does_not_tell_the_password);
	T(a_guests_booking_is_six_events);
	return g_test_run();
}
