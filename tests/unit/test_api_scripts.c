/* Scripts of webhooks: saved, tried on past events, and what the API tells of methods. */
#include "api_house.h"

#include "api/routes.h"

#define TARGET "\"url\":\"http://198.51.100.7/hook\""
#define BASIC \
	"{\"method\":\"basic\",\"settings\":{" TARGET ",\"basic_username\":\"ada\",\"basic_password\":\"s3cr3t-word\"}"
#define PLAIN "{" TARGET

static const char ONLY_ODD[] = "return {\n"
			       "\taccepts = function(event) return event.data.contract_uid % 2 == 1 end,\n"
			       "\ttransform = function(event)\n"
			       "\t\tif event.data.contract_uid == 1 then return nil end\n"
			       "\t\tif event.data.contract_uid == 3 then error('three') end\n"
			       "\t\treturn { uid = event.data.contract_uid }\n"
			       "\tend,\n"
			       "}\n";

/* {"<member>":"<script>"} with what else is to stand before it. */
static char *with_script(const char *before, const char *script)
{
	json_t *value = json_string(script);
	char *text = json_dumps(value, JSON_ENCODE_ANY);
	char *body = g_strdup_printf("%s%s\"script\":%s}", before, strcmp(before, "{") == 0 ? "" : ",", text);

	json_decref(value);
	free(text);
	return body;
}

static reply dry_run(const house *h, const char *key, const char *webhook, const char *body)
{
	g_autofree char *path = g_strconcat(webhook, "/dry-run", NULL);

	return call(h, key, "POST", path, body);
}

/* One that must succeed. */
static reply tried(const house *h, const char *webhook, const char *body)
{
	reply r = dry_run(h, h->seven, webhook, body);

	assert_status(&r, 200);
	return r;
}

static reply tried_script(const house *h, const char *webhook, const char *script)
{
	g_autofree char *body = with_script("{", script);

	return tried(h, webhook, body);
}

static json_t *rows_of(const reply *r)
{
	return json_object_get(r->json, "data");
}

static const char *member_of(const reply *r, size_t row, const char *member)
{
	return json_string_value(json_object_get(json_array_get(rows_of(r), row), member));
}

static bool is_true(const reply *r, size_t row, const char *member)
{
	return json_is_true(json_object_get(json_array_get(rows_of(r), row), member));
}

/* --- Saved ------------------------------------------------------------------------------- */

static void a_script_is_kept_as_given_shown_and_removed(void)
{
	house *h = open_house();
	g_autofree char *body = with_script(PLAIN, ONLY_ODD), *path = make_webhook(h, h->seven, body);

	patched(h, path, "{\"name\":\"Locks\"}");
	g_auto(reply) shown = get(h, path);
	g_assert_cmpstr(text(&shown, "script"), ==, ONLY_ODD);

	g_autofree char *other = with_script("{", "return { accepts = function() return true end }");
	patched(h, path, other);
	g_auto(reply) changed = get(h, path);
	g_assert_true(g_str_has_prefix(text(&changed, "script"), "return { accepts"));

	patched(h, path, "{\"script\":null}");
	g_auto(reply) removed = get(h, path);
	g_assert_true(json_is_null(json_object_get(removed.json, "script")));
	close_house(h);
}

static void a_script_is_checked_when_it_is_saved(void)
{
	static const struct {
		const char *script, *says;
	} rows[] = {
		{"\"\"", "empty"},
		{"7", "text"},
		{"[\"return {}\"]", "text"},
		{"\"return { accepts = true }\\u0000\"", "text"},
		{"\"\\nreturn {\\n\"", "script:"},
		{"\"return 7\"", "script"},
		{"\"return {}\"", "accepts"},
		{"\"return { accepts = 7 }\"", "accepts"},
		{"\"return { deliver = function() end }\"", "deliver"},
		{"\"\\n\\nerror('on purpose')\"", "script:3:"},
		{"\"while true do end\"", "script"},
		{"\"\\u001bLua\"", "binary"},
	};
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, PLAIN "}");

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *body = g_strdup_printf("{\"script\":%s}", rows[i].script);
		g_auto(reply) r = call(h, h->seven, "PATCH", path, body);
		assert_problem(&r, 422, "invalid_field");
		g_assert_cmpstr(text(&r, "pointer"), ==, "/script");
		if (!strstr(text(&r, "detail"), rows[i].says))
			g_error("\"%s\" does not speak of \"%s\"", text(&r, "detail"), rows[i].says);
	}
	g_auto(reply) after = get(h, path);
	g_assert_true(json_is_null(json_object_get(after.json, "script")));
	g_assert_cmpint(json_integer_value(json_object_get(after.json, "revision")), ==, 1);
	close_house(h);
}

static void a_script_has_16_kib_at_most(void)
{
	static const char CODE[] = "return { accepts = function() return true end }";
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, PLAIN "}");

	for (size_t more = 0; more < 2; more++) {
		g_autofree char *comment = g_strnfill(BH_SCRIPT_MAX - strlen(CODE) - 3 + more, 'x');
		g_autofree char *script = g_strconcat("--", comment, "\n", CODE, NULL);
		g_autofree char *body = with_script("{", script);
		g_auto(reply) r = call(h, h->seven, "PATCH", path, body);
		g_assert_cmpint(r.status, ==, more ? 422 : 200);
	}
	close_house(h);
}

/* --- Tried ------------------------------------------------------------------------------- */

static void a_dry_run_says_of_each_event_what_becomes_of_it(void)
{
	house *h = open_house();
	g_autofree char *body = with_script(PLAIN, ONLY_ODD), *path = make_webhook(h, h->seven, body);
	send_events(h, 6);
	int fresh = atomic_load(&h->fresh);
	g_auto(reply) before = get(h, path);

	g_auto(reply) r = tried(h, path, NULL); /* contracts 5, 4, 3, 2, 1, 0 */

	static const char *const verdicts[] = {"sent", "filtered", "error", "filtered", "sent", "filtered"};
	g_assert_cmpuint(json_array_size(rows_of(&r)), ==, 6);
	for (size_t i = 0; i < 6; i++) {
		if (g_strcmp0(member_of(&r, i, "verdict"), verdicts[i]) != 0)
			g_error("row %zu: %s", i, r.body->str);
		g_assert_cmpstr(member_of(&r, i, "type"), ==, "booking_added");
		g_assert_cmpint(is_true(&r, i, "changed"), ==, i == 0);
		g_assert_cmpint(member_of(&r, i, "body") != NULL, ==, i == 0 || i == 4);
		g_assert_cmpint(member_of(&r, i, "error") != NULL, ==, i == 2);
		g_assert_false(is_true(&r, i, "body_truncated"));
	}
	g_assert_cmpstr(member_of(&r, 0, "body"), ==, "{\"uid\":5}");
	g_assert_true(g_str_has_prefix(member_of(&r, 4, "body"), "{\"type\":\"booking_added\","));
	g_assert_nonnull(strstr(member_of(&r, 2, "error"), "script:5: three"));
	g_assert_true(json_is_false(json_object_get(r.json, "truncated")));

	g_auto(reply) after = get(h, path);
	g_assert_cmpstr(before.body->str, ==, after.body->str);
	g_assert_cmpint(atomic_load(&h->fresh), ==, fresh);
	g_assert_cmpuint(count_in(h, "pending"), ==, 6);
	close_house(h);
}

static void another_script_may_be_tried_or_none(void)
{
	house *h = open_house();
	g_autofree char *body = with_script(PLAIN, ONLY_ODD), *path = make_webhook(h, h->seven, body);
	send_events(h, 2);

	g_auto(reply) none = tried(h, path, "{\"script\":null}");
	g_assert_cmpstr(member_of(&none, 0, "verdict"), ==, "sent");
	g_assert_cmpstr(member_of(&none, 1, "verdict"), ==, "sent");
	g_assert_false(is_true(&none, 1, "changed"));
	g_auto(reply) other = tried_script(h, path, "return { accepts = function() return false end }");
	g_assert_cmpstr(member_of(&other, 0, "verdict"), ==, "filtered");
	g_auto(reply) shown = get(h, path);
	g_assert_cmpstr(text(&shown, "script"), ==, ONLY_ODD);

	g_autofree char *wrong = with_script("{", "return {"), *run = g_strconcat(path, "/dry-run", NULL);
	assert_pointer(h, h->seven, "POST", run, wrong, "invalid_field", "/script");
	close_house(h);
}

/* What it says is what `transform` made of the very body that would be sent, in whatever shape. */
static void the_shape_and_the_details_are_those_of_the_webhook(void)
{
	static const char SEES[] = "return { transform = function(event) return { seen = event.body } end }";
	house *h = open_house();
	g_autofree char *body = with_script(PLAIN ",\"shape\":\"jomres\"", SEES);
	g_autofree char *path = make_webhook(h, h->seven, body);
	send_events(h, 1);

	g_auto(reply) r = tried(h, path, NULL);

	g_assert_cmpstr(member_of(&r, 0, "body"), ==,
			"{\"seen\":\"{\\\"data\\\":{\\\"property_uid\\\":12,\\\"contract_uid\\\":0,"
			"\\\"task\\\":\\\"booking_added\\\",\\\"manager_id\\\":7}}\"}");
	close_house(h);
}

static char *sent(const house *h, const char *event)
{
	return done(h, h->emit, "POST", "/v1/events", event, 202, "id");
}

#define EVENT(type, property) "{\"type\":\"" type "\",\"data\":{\"property_uid\":" property ",\"n\":1}}"

/* By type and property, as when they come; what is his neighbour's, and tests, are not there. */
static void the_newest_that_the_webhook_selects_are_tried(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(
		h, h->seven, PLAIN ",\"events\":[\"booking_*\"],\"properties\":[\"12\"],\"enabled\":false}");
	g_autofree char *first = sent(h, EVENT("booking_added", "12"));
	g_free(sent(h, EVENT("guest_saved", "12")));
	g_autofree char *second = sent(h, EVENT("booking_cancelled", "12"));
	g_free(sent(h, EVENT("booking_added", "13")));
	g_free(sent(h, EVENT("booking_added", "21")));
	g_autofree char *test_path = g_strconcat(path, "/test", NULL);
	g_free(done(h, h->seven, "POST", test_path, "{}", 202, "event_id"));

	g_auto(reply) r = tried(h, path, NULL);
	g_assert_cmpuint(json_array_size(rows_of(&r)), ==, 2);
	g_assert_cmpstr(member_of(&r, 0, "event_id"), ==, second);
	g_assert_cmpstr(member_of(&r, 1, "event_id"), ==, first);
	g_auto(reply) newest = tried(h, path, "{\"limit\":1}");
	g_assert_cmpuint(json_array_size(rows_of(&newest)), ==, 1);
	g_assert_cmpstr(member_of(&newest, 0, "event_id"), ==, second);
	g_auto(reply) of_type = tried(h, path, "{\"type\":\"booking_added\"}");
	g_assert_cmpuint(json_array_size(rows_of(&of_type)), ==, 1);
	g_assert_cmpstr(member_of(&of_type, 0, "event_id"), ==, first);
	g_auto(reply) unselected = tried(h, path, "{\"type\":\"guest_saved\"}");
	g_assert_cmpuint(json_array_size(rows_of(&unselected)), ==, 0);
	g_assert_true(json_is_false(json_object_get(unselected.json, "truncated")));
	close_house(h);
}

/* More than a page of others lies between. */
static void older_ones_are_found_behind_what_is_not_selected(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, PLAIN ",\"events\":[\"guest_*\",\"extra\"]}");
	g_autofree char *old = sent(h, EVENT("guest_saved", "12"));
	send_events(h, 250);

	g_auto(reply) r = tried(h, path, NULL);

	g_assert_cmpuint(json_array_size(rows_of(&r)), ==, 1);
	g_assert_cmpstr(member_of(&r, 0, "event_id"), ==, old);
	close_house(h);
}

static void the_sites_own_webhook_is_tried_on_everybodys(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->site, PLAIN "}");
	g_free(sent(h, EVENT("booking_added", "12")));
	g_free(sent(h, EVENT("booking_added", "21")));

	g_auto(reply) r = dry_run(h, h->site, path, NULL);

	assert_status(&r, 200);
	g_assert_cmpuint(json_array_size(rows_of(&r)), ==, 2);
	g_auto(reply) foreign = dry_run(h, h->seven, path, NULL);
	assert_problem(&foreign, 404, "not_found");
	close_house(h);
}

/* The site tries a manager's webhook: on what is the manager's. */
static void the_site_sees_for_a_manager_what_he_would_see(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, PLAIN "}");
	g_autofree char *own = sent(h, EVENT("booking_added", "12")), *other = sent(h, EVENT("booking_added", "21"));

	g_auto(reply) r = dry_run(h, h->site, path, NULL);
	g_assert_cmpuint(json_array_size(rows_of(&r)), ==, 1);
	g_assert_cmpstr(member_of(&r, 0, "event_id"), ==, own);
	g_autofree char *body = g_strdup_printf("{\"events\":[\"%s\"]}", other);
	g_auto(reply) named = dry_run(h, h->site, path, body);
	g_assert_cmpstr(member_of(&named, 0, "verdict"), ==, "not_selected");
	close_house(h);
}

static void events_may_be_named(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, PLAIN ",\"events\":[\"booking_*\"]}");
	g_autofree char *first = sent(h, EVENT("booking_added", "12")), *other = sent(h, EVENT("guest_saved", "12"));
	g_autofree char *last = sent(h, EVENT("booking_added", "13"));
	g_autofree char *body = g_strdup_printf("{\"events\":[\"%s\",\"%s\",\"%s\"]}", first, other, last);

	g_auto(reply) r = tried(h, path, body);

	g_assert_cmpuint(json_array_size(rows_of(&r)), ==, 3);
	g_assert_cmpstr(member_of(&r, 0, "event_id"), ==, first);
	g_assert_cmpstr(member_of(&r, 0, "verdict"), ==, "sent");
	g_assert_cmpstr(member_of(&r, 1, "verdict"), ==, "not_selected");
	g_assert_null(member_of(&r, 1, "body"));
	g_assert_cmpstr(member_of(&r, 2, "event_id"), ==, last);
	close_house(h);
}

/* Word for word as one that never was. */
static void somebody_elses_event_cannot_be_named(void)
{
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, PLAIN "}");
	g_autofree char *own = sent(h, EVENT("booking_added", "12")), *other = sent(h, EVENT("booking_added", "21"));
	const char *const foreign[] = {other, "evt_0zzzzzzzzzzzz", "nothing"};
	g_autofree char *first = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++) {
		g_autofree char *body = g_strdup_printf("{\"events\":[\"%s\",\"%s\"]}", own, foreign[i]);
		g_auto(reply) r = dry_run(h, h->seven, path, body);
		assert_problem(&r, 422, "invalid_field");
		g_assert_cmpstr(text(&r, "pointer"), ==, "/events/1");
		if (first)
			g_assert_cmpstr(r.body->str, ==, first);
		else
			first = g_strdup(r.body->str);
	}
	close_house(h);
}

static void a_dry_run_says_what_is_wrong_with_its_body(void)
{
	static const char *const rows[][2] = {
		{"{\"limit\":0}", "/limit"},
		{"{\"limit\":101}", "/limit"},
		{"{\"limit\":1.5}", "/limit"},
		{"{\"limit\":1,\"events\":[\"evt_0zzzzzzzzzzzz\"]}", "/limit"},
		{"{\"type\":\"booking_added\",\"events\":[\"evt_0zzzzzzzzzzzz\"]}", "/type"},
		{"{\"type\":\"a b\"}", "/type"},
		{"{\"events\":[]}", "/events"},
		{"{\"events\":\"evt_0zzzzzzzzzzzz\"}", "/events"},
		{"{\"method\":\"nothing\"}", "/method"},
		{"{\"method\":\"basic\"}", "/settings/basic_username"},
		{"{\"settings\":{\"url\":\"http://10.0.0.1/\"}}", "/settings/url"},
		{"{\"settings\":{\"nothing\":1}}", "/settings/nothing"},
		{"{\"webhook\":1}", "/webhook"},
	};
	house *h = open_house();
	g_autofree char *webhook = make_webhook(h, h->seven, PLAIN "}");
	g_autofree char *path = g_strconcat(webhook, "/dry-run", NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(reply) r = call(h, h->seven, "POST", path, rows[i][0]);
		g_assert_cmpint(r.status, ==, 422);
		g_assert_cmpstr(text(&r, "pointer"), ==, rows[i][1]);
	}
	close_house(h);
}

/* Neither directly nor by what it sees of them; `deliver` alone gets them. */
static void passwords_are_not_to_be_read_back(void)
{
	static const char SPY[] = "return { transform = function(event, settings)\n"
				  "\tlocal seen = {}\n"
				  "\tfor name, value in pairs(settings) do seen[name] = tostring(value) end\n"
				  "\tseen.asked = tostring(settings.basic_password)\n"
				  "\treturn seen\n"
				  "end }";
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, BASIC "}");
	send_events(h, 1);

	g_auto(reply) r = tried_script(h, path, SPY);
	g_assert_cmpstr(member_of(&r, 0, "verdict"), ==, "sent");
	g_assert_null(strstr(r.body->str, "s3cr3t-word"));
	g_assert_nonnull(strstr(member_of(&r, 0, "body"), "\"asked\":\"nil\""));
	g_assert_nonnull(strstr(member_of(&r, 0, "body"), "\"basic_username\":\"ada\""));

	/* nor as one of another method, which has a text where this one has a password */
	g_autofree char *spy = with_script("{\"method\":\"none\",\"settings\":{}", SPY);
	g_auto(reply) other = dry_run(h, h->seven, path, spy);
	g_assert_null(strstr(other.body->str, "s3cr3t-word"));
	close_house(h);
}

static void a_long_body_is_cut_between_characters_and_made_valid(void)
{
	static const struct {
		const char *script;
		size_t bytes; /* at least; 0: see `starts` */
		const char *starts;
		bool cut;
	} rows[] = {
		{"return { transform = function() return string.rep('a', 65536) end }", 65536, "aaa", false},
		{"return { transform = function() return string.rep('a', 65537) end }", 65536, "aaa", true},
		{"return { transform = function() return 'a' .. string.rep('\xc3\xa9', 40000) end }", 65535,
		 "a\xc3\xa9", true},
		{"return { transform = function() return '\\xff\\xfe' end }", 0, "\xef\xbf\xbd", false},
		{"return { transform = function() return string.rep('\\x80', 70000) end }", 0, "\xef\xbf\xbd", true},
	};
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, PLAIN "}");
	send_events(h, 1);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(reply) r = tried_script(h, path, rows[i].script);
		const char *body = member_of(&r, 0, "body");
		g_assert_true(g_utf8_validate(body, -1, NULL));
		g_assert_true(g_str_has_prefix(body, rows[i].starts));
		g_assert_cmpint(is_true(&r, 0, "body_truncated"), ==, rows[i].cut);
		g_assert_true(is_true(&r, 0, "changed"));
		if (rows[i].bytes)
			g_assert_cmpuint(strlen(body), ==, rows[i].bytes);
	}
	close_house(h);
}

/* The budget is of all events together, and there are more of them than it has room for. */
static void a_script_without_end_uses_up_the_time_and_no_more(void)
{
	static const char ENDLESS[] = "return { accepts = function() while true do end end }";
	house *h = open_house();
	g_autofree char *path = make_webhook(h, h->seven, PLAIN "}");
	g_autofree char *body = with_script("{\"limit\":100", ENDLESS);
	send_events(h, 100);

	g_auto(reply) r = tried(h, path, body);

	g_assert_true(json_is_true(json_object_get(r.json, "truncated")));
	g_assert_cmpuint(json_array_size(rows_of(&r)), <, 100);
	for (size_t i = 0; i < json_array_size(rows_of(&r)); i++) {
		g_assert_cmpstr(member_of(&r, i, "verdict"), ==, "error");
		g_assert_nonnull(strstr(member_of(&r, i, "error"), "script"));
	}
	g_auto(reply) next = tried(h, path, "{\"limit\":1}"); /* the stage is clean */
	g_assert_cmpstr(member_of(&next, 0, "verdict"), ==, "sent");
	close_house(h);
}

/* --- Many at once ------------------------------------------------------------------------ */

typedef struct caller {
	const house *h;
	const char *key, *path;
	pthread_t thread;
	reply answer;
} caller;

static void *ask_once(void *user)
{
	caller *c = user;

	c->answer = call(c->h, c->key, "POST", c->path, "{}");
	return NULL;
}

/* Starts it, and waits until so many calls are suspended. */
static void start(caller *c, unsigned suspended)
{
	g_autofree char *line = g_strdup_printf("bellhop_api_suspended %u\n", suspended);

	pthread_create(&c->thread, NULL, ask_once, c);
	wait_for_metric(c->h, line);
}

/* The stage is busy; one key fills its own places only, and nobody else waits for any of it. */
static void too_many_dry_runs_are_told_to_come_again(void)
{
	house *h = open_house();
	g_autofree char *webhook = make_webhook(h, h->seven, PLAIN "}");
	g_autofree char *theirs = make_webhook(h, h->eight, PLAIN "}");
	g_autofree char *path = g_strconcat(webhook, "/dry-run", NULL), *other = g_strconcat(theirs, "/dry-run", NULL);
	caller first = {h, h->site, "/v1/methods/reload"}, waiting[4], last = {h, h->eight, other};

	pthread_mutex_lock(&slow_reload);
	start(&first, 1);
	for (unsigned i = 0; i < 4; i++) {
		waiting[i] = (caller){h, h->seven, path};
		start(&waiting[i], i + 2);
	}
	g_auto(reply) refused = call(h, h->seven, "POST", path, "{}");
	start(&last, 6);
	pthread_mutex_unlock(&slow_reload);

	assert_problem(&refused, 503, "busy");
	g_autofree char *again = header(&refused, "Retry-After");
	g_assert_nonnull(again);
	pthread_join(first.thread, NULL);
	pthread_join(last.thread, NULL);
	assert_status(&first.answer, 200);
	assert_status(&last.answer, 200);
	reply_clear(&first.answer);
	reply_clear(&last.answer);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(waiting[i].thread, NULL);
		assert_status(&waiting[i].answer, 200);
		reply_clear(&waiting[i].answer);
	}
	close_house(h);
}

/* --- Filtered ---------------------------------------------------------------------------- */

static void a_filtered_delivery_is_listed_and_its_verdict_says_so(void)
{
	static const char WHY[] = "A condition of the webhook's own script does not want this event.";
	house *h = open_house();
	g_free(make_webhook(h, h->seven, PLAIN "}"));
	g_autofree char *event = sent(h, EVENT("booking_added", "12")), *path = newest_delivery(h);
	bh_write write = {.kind = BH_WRITE_RECORD,
			  .delivery_id = id_in(path, BH_ID_DELIVERY),
			  .state = BH_STATE_FILTERED,
			  .reason = WHY};

	engine_writes(h, &write);

	g_autofree char *verdicts = g_strdup_printf("/v1/events/%s/verdicts", event);
	g_auto(reply) r = get(h, verdicts);
	g_assert_cmpstr(member_of(&r, 0, "verdict"), ==, "filtered");
	g_assert_cmpstr(member_of(&r, 0, "sentence"), ==, WHY);
	g_assert_cmpstr(member_of(&r, 0, "state"), ==, "filtered");
	g_assert_cmpuint(count_in(h, "filtered"), ==, 1);
	g_assert_cmpuint(count_in(h, "pending"), ==, 0);
	g_auto(reply) shown = get(h, path);
	g_assert_cmpstr(text(&shown, "reason"), ==, WHY);
	g_autofree char *retry = g_strconcat(path, "/retry", NULL), *cancel = g_strconcat(path, "/cancel", NULL);
	assert_refused(h, h->seven, "POST", retry, NULL, 409, "conflict");
	assert_refused(h, h->seven, "POST", cancel, NULL, 409, "conflict");
	close_house(h);
}

/* --- Methods ----------------------------------------------------------------------------- */

static void put_file(const char *folder, const char *name, const char *content)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);
	g_autoptr(GError) error = NULL;

	g_file_set_contents(path, content, -1, &error);
	g_assert_no_error(error);
}

#define DELIVERS \
	"deliver = function(event, settings, remote) return remote.post(settings.url, { body = event.body }) end"
#define URL_FIELD "{ key = 'url', format = 'url', title = 'URL', required = true }"

static const char PLAIN_METHOD[] = "return { title = 'Acme', fields = { " URL_FIELD " }, " DELIVERS " }";
static const char RICH_METHOD[] =
	"return { interface = 1, title = 'Acme 2', fields = { " URL_FIELD ",\n"
	"  { key = 'how', format = 'select', title = 'How', options = { 'key', 'none' }, default = 'none' },\n"
	"  { key = 'text', format = 'notes', title = 'Read this', help = 'Then go on.' },\n"
	"  { key = 'api_key', format = 'input', title = 'Key', required = true, when = { field = 'how', is = 'key' },\n"
	"    pattern = '%x+', hint = 'It has hexadecimal digits only.', trim = true },\n"
	"  { key = 'room', format = 'integer', title = 'Room', min = 1, max = 99 },\n"
	"}, accepts = function() return true end, transform = function() end, " DELIVERS " }";

/* A house over a folder with acme.lua alone. */
static house *open_with_methods(char **ret_folder)
{
	g_autoptr(GError) error = NULL;

	*ret_folder = g_dir_make_tmp("bellhop-methods-XXXXXX", &error);
	g_assert_no_error(error);
	put_file(*ret_folder, "acme.lua", PLAIN_METHOD);
	put_file(*ret_folder, "none.lua", PLAIN_METHOD);
	g_autofree char *setting = g_strconcat("methods_dir=", *ret_folder, NULL);
	return open_house_with((char *const[]){setting, NULL});
}

static void close_with_methods(house *h, char *folder)
{
	close_house(h);
	remove_folder(folder);
	g_free(folder);
}

static void assert_json(const json_t *is, const char *should)
{
	char *text = json_dumps(is, JSON_COMPACT | JSON_ENCODE_ANY);

	g_assert_cmpstr(text, ==, should);
	free(text);
}

static reply reload(const house *h)
{
	reply r = call(h, h->site, "POST", "/v1/methods/reload", NULL);

	assert_status(&r, 200);
	return r;
}

static void reloaded(const house *h)
{
	reply r = reload(h);

	reply_clear(&r);
}

static void a_methods_form_is_shown_whole(void)
{
	char *folder;
	house *h = open_with_methods(&folder);
	put_file(folder, "acme.lua", RICH_METHOD);
	reloaded(h);

	g_auto(reply) r = get(h, "/v1/methods/acme");

	const json_t *fields = json_object_get(r.json, "fields");
	g_assert_cmpstr(text(&r, "title"), ==, "Acme 2");
	g_assert_cmpint(json_integer_value(json_object_get(r.json, "interface")), ==, 1);
	g_assert_true(json_is_true(json_object_get(r.json, "has_accepts")));
	g_assert_true(json_is_true(json_object_get(r.json, "has_transform")));
	g_assert_true(json_is_null(json_object_get(r.json, "error")));
	const json_t *key = json_array_get(fields, 3), *room = json_array_get(fields, 4);
	assert_json(json_object_get(json_array_get(fields, 2), "format"), "\"notes\"");
	assert_json(json_object_get(json_array_get(fields, 2), "when"), "null");
	assert_json(json_object_get(key, "when"), "{\"field\":\"how\",\"is\":[\"key\"]}");
	assert_json(json_object_get(key, "pattern"), "\"%x+\"");
	assert_json(json_object_get(key, "hint"), "\"It has hexadecimal digits only.\"");
	assert_json(json_object_get(key, "trim"), "true");
	assert_json(json_object_get(key, "min"), "null");
	assert_json(json_object_get(room, "min"), "1");
	assert_json(json_object_get(room, "max"), "99");
	close_with_methods(h, folder);
}

static void a_reload_says_what_has_changed_and_what_is_broken(void)
{
	char *folder;
	house *h = open_with_methods(&folder);
	g_autofree char *none = g_build_filename(folder, "none.lua", NULL);

	g_auto(reply) same = reload(h);
	g_autofree char *expected =
		g_strdup_printf("{\"folder\":\"%s\",\"methods\":2,\"changed\":[],\"broken\":[]}", folder);
	g_assert_cmpstr(same.body->str, ==, expected);

	put_file(folder, "acme.lua", "return {");
	put_file(folder, "fresh.lua", PLAIN_METHOD);
	put_file(folder, "never.lua", "return 7");
	g_remove(none);
	g_auto(reply) r = reload(h);
	assert_json(json_object_get(r.json, "methods"), "2");
	assert_json(json_object_get(r.json, "changed"), "[\"fresh\",\"none\"]");
	const json_t *broken = json_object_get(r.json, "broken");
	g_assert_cmpuint(json_array_size(broken), ==, 2);
	assert_json(json_object_get(json_array_get(broken, 0), "name"), "\"acme\"");
	assert_json(json_object_get(json_array_get(broken, 0), "kept"), "true");
	assert_json(json_object_get(json_array_get(broken, 1), "kept"), "false");

	g_auto(reply) list = get(h, "/v1/methods");
	g_auto(reply) metrics = get(h, "/metrics");
	g_assert_nonnull(strstr(metrics.body->str, "\nbellhop_methods_broken 2\n"));
	g_assert_true(json_equal(json_object_get(list.json, "broken"), broken));
	g_assert_cmpstr(member_of(&list, 0, "name"), ==, "acme");
	g_assert_true(g_str_has_prefix(member_of(&list, 0, "error"), "acme.lua:"));
	g_assert_null(member_of(&list, 1, "error"));
	g_auto(reply) audit = get(h, "/v1/audit?limit=1");
	g_assert_cmpstr(member_of(&audit, 0, "what"), ==, "methods.reload fresh none");
	close_with_methods(h, folder);
}

static void only_the_site_reloads_methods(void)
{
	house *h = open_house();
	const char *const keys[] = {h->emit, h->seven};

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		assert_refused(h, keys[i], "POST", "/v1/methods/reload", NULL, 403, "role_not_allowed");
	g_auto(reply) r = call(h, h->site, "GET", "/v1/methods/reload", NULL);
	assert_problem(&r, 405, "method_not_allowed");
	g_autofree char *allow = header(&r, "Allow");
	g_assert_cmpstr(allow, ==, "POST");
	close_house(h);
}

static void a_folder_that_is_gone_leaves_the_methods_at_work(void)
{
	char *folder;
	house *h = open_with_methods(&folder);
	remove_folder(folder);

	g_auto(reply) r = call(h, h->site, "POST", "/v1/methods/reload", NULL);

	assert_problem(&r, 409, "conflict");
	g_auto(reply) list = get(h, "/v1/methods");
	g_assert_cmpuint(json_array_size(rows_of(&list)), ==, 2);
	close_with_methods(h, folder);
}

/* A method's own conditions count as well, and are tried as the file is now. */
static void a_methods_conditions_are_tried_after_a_reload(void)
{
	char *folder;
	house *h = open_with_methods(&folder);
	g_autofree char *path = make_webhook(h, h->seven, "{\"method\":\"acme\",\"settings\":{" TARGET "}}");
	send_events(h, 1);
	g_auto(reply) before = tried(h, path, NULL);

	put_file(folder, "acme.lua",
		 "return { title = 'Acme', fields = { " URL_FIELD " }, accepts = function() return false end, " DELIVERS
		 " }");
	reloaded(h);
	g_auto(reply) after = tried(h, path, NULL);

	g_assert_cmpstr(member_of(&before, 0, "verdict"), ==, "sent");
	g_assert_cmpstr(member_of(&after, 0, "verdict"), ==, "filtered");
	close_with_methods(h, folder);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	bh_log_setup(BH_ERR, false, STDERR_FILENO);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	g_test_add_func("/api/scripts/kept", a_script_is_kept_as_given_shown_and_removed);
	g_test_add_func("/api/scripts/checked", a_script_is_checked_when_it_is_saved);
	g_test_add_func("/api/scripts/size", a_script_has_16_kib_at_most);
	g_test_add_func("/api/dry-run/each", a_dry_run_says_of_each_event_what_becomes_of_it);
	g_test_add_func("/api/dry-run/another", another_script_may_be_tried_or_none);
	g_test_add_func("/api/dry-run/shape", the_shape_and_the_details_are_those_of_the_webhook);
	g_test_add_func("/api/dry-run/newest", the_newest_that_the_webhook_selects_are_tried);
	g_test_add_func("/api/dry-run/older", older_ones_are_found_behind_what_is_not_selected);
	g_test_add_func("/api/dry-run/site", the_sites_own_webhook_is_tried_on_everybodys);
	g_test_add_func("/api/dry-run/by-site", the_site_sees_for_a_manager_what_he_would_see);
	g_test_add_func("/api/dry-run/named", events_may_be_named);
	g_test_add_func("/api/dry-run/foreign", somebody_elses_event_cannot_be_named);
	g_test_add_func("/api/dry-run/wrong", a_dry_run_says_what_is_wrong_with_its_body);
	g_test_add_func("/api/dry-run/passwords", passwords_are_not_to_be_read_back);
	g_test_add_func("/api/dry-run/long", a_long_body_is_cut_between_characters_and_made_valid);
	g_test_add_func("/api/dry-run/endless", a_script_without_end_uses_up_the_time_and_no_more);
	g_test_add_func("/api/dry-run/many", too_many_dry_runs_are_told_to_come_again);
	g_test_add_func("/api/filtered", a_filtered_delivery_is_listed_and_its_verdict_says_so);
	g_test_add_func("/api/methods/form", a_methods_form_is_shown_whole);
	g_test_add_func("/api/methods/reload", a_reload_says_what_has_changed_and_what_is_broken);
	g_test_add_func("/api/methods/role", only_the_site_reloads_methods);
	g_test_add_func("/api/methods/gone", a_folder_that_is_gone_leaves_the_methods_at_work);
	g_test_add_func("/api/methods/conditions", a_methods_conditions_are_tried_after_a_reload);
	return g_test_run();
}
