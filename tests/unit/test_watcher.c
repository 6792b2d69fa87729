#include "watcher/watcher.h"

#include "base/json.h"

/* --- A small site ------------------------------------------------------------------------- */

/* Takes what the change names. */
static void change(bh_snapshot **snapshot, bh_change c)
{
	bh_change *owned = g_memdup2(&c, sizeof c);
	g_autoptr(GError) error = NULL;
	bh_snapshot *next = bh_snapshot_with(*snapshot, owned, &error);

	g_assert_no_error(error);
	bh_snapshot_unref(*snapshot);
	*snapshot = next;
	bh_change_free(owned);
}

static void put_manager(bh_snapshot **snapshot, const char *id, bh_manager_role role)
{
	bh_manager *m = bh_manager_new();

	m->id = g_strdup(id);
	m->name = g_strdup("");
	m->role = role;
	change(snapshot, (bh_change){.kind = BH_CHANGE_MANAGER_PUT, .manager = m});
}

static void put_property(bh_snapshot **snapshot, const char *id, const char *managers)
{
	bh_property *p = bh_property_new();

	p->id = g_strdup(id);
	p->name = g_strdup("");
	p->managers = g_strsplit(managers, " ", -1);
	change(snapshot, (bh_change){.kind = BH_CHANGE_PROPERTY_PUT, .property = p});
}

typedef struct hook {
	bh_id id;
	const char *manager; /* NULL: the site's */
	const char *events, *properties, *channel;
	bool disabled;
} hook;

static void put_webhook(bh_snapshot **snapshot, hook h)
{
	bh_webhook *w = bh_webhook_new();

	w->id = h.id;
	w->revision = 1;
	w->manager_id = g_strdup(h.manager);
	w->name = g_strdup("");
	w->method = g_strdup("none");
	w->settings = g_strdup("{}");
	w->events = g_strsplit(h.events ? h.events : "*", " ", -1);
	w->properties = h.properties ? g_strsplit(h.properties, " ", -1) : NULL;
	w->channel_id = g_strdup(h.channel);
	w->disabled = h.disabled ? BH_DISABLED_BY_OWNER : BH_ENABLED;
	w->secret = bh_secret_random(32);
	change(snapshot, (bh_change){.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = w});
}

/*
 * Managers 2, 4 and 5, super manager 1, receptionist 3, manager 6 without webhooks.
 *
 *   property 10: 3, 1, 2    11: 4, 2, 4    12: 3, 1 (no owner)    13: nobody    14: 99 (unknown), 2    15: 6, 2
 *   webhooks: 102 and 103 of 2, 104 of 4, 105 of 5, 900 of the site
 */
static bh_snapshot *small_site(void)
{
	bh_snapshot *s = bh_snapshot_empty();

	put_manager(&s, "1", BH_ROLE_SUPER);
	put_manager(&s, "2", BH_ROLE_MANAGER);
	put_manager(&s, "3", BH_ROLE_RECEPTIONIST);
	put_manager(&s, "4", BH_ROLE_MANAGER);
	put_manager(&s, "5", BH_ROLE_MANAGER);
	put_manager(&s, "6", BH_ROLE_MANAGER);
	put_property(&s, "10", "3 1 2");
	put_property(&s, "11", "4 2 4");
	put_property(&s, "12", "3 1");
	put_property(&s, "13", "");
	put_property(&s, "14", "99 2");
	put_property(&s, "15", "6 2");
	put_webhook(&s, (hook){.id = 102, .manager = "2"});
	put_webhook(&s, (hook){.id = 103, .manager = "2"});
	put_webhook(&s, (hook){.id = 104, .manager = "4"});
	put_webhook(&s, (hook){.id = 105, .manager = "5"});
	put_webhook(&s, (hook){.id = 900});
	return s;
}

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

/* What is found, in words: "102:2:triggered 900:2:triggered". */
static char *watched(const bh_snapshot *snapshot, bh_event *event, bh_owners owners)
{
	g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(bh_finding));
	GString *words = g_string_new(NULL);

	bh_watch(event, snapshot, owners, findings);
	for (guint i = 0; i < findings->len; i++) {
		const bh_finding *f = &g_array_index(findings, bh_finding, i);
		g_string_append_printf(words, "%s%" G_GINT64_FORMAT ":%s:%s", i ? " " : "", f->webhook,
				       f->manager ? f->manager : "-", bh_verdict_name(f->verdict));
	}
	return g_string_free(words, FALSE);
}

/* --- Whom to tell ------------------------------------------------------------------------- */

static void the_property_leads_to_its_managers_whoever_acted(void)
{
	static const struct {
		const char *event;
		bh_owners owners;
		const char *found;
	} rows[] = {
		/* Receptionist and super manager are among the property's managers, and own nothing. */
		{"{\"type\":\"guest_checkedin\",\"actor\":3,\"data\":{\"property_uid\":10}}", BH_OWNERS_ALL,
		 "102:2:triggered 103:2:triggered 900:2:triggered"},
		{"{\"type\":\"room_updated\",\"actor\":1,\"data\":{\"property_uid\":\"10\"}}", BH_OWNERS_ALL,
		 "102:2:triggered 103:2:triggered 900:2:triggered"},
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":10}}", BH_OWNERS_FIRST,
		 "102:2:triggered 103:2:triggered 900:2:triggered"},
		/* Another manager acts: still the property's are told. */
		{"{\"type\":\"booking_added\",\"actor\":5,\"data\":{\"property_uid\":10}}", BH_OWNERS_ALL,
		 "102:2:triggered 103:2:triggered 900:2:triggered"},
		/* Several managers, one named twice. */
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":11}}", BH_OWNERS_ALL,
		 "104:4:triggered 102:2:triggered 103:2:triggered 900:4:triggered"},
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":11}}", BH_OWNERS_FIRST,
		 "104:4:triggered 900:4:triggered"},
		/* An unknown one before, and an owner without webhooks. */
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":14}}", BH_OWNERS_FIRST,
		 "102:2:triggered 103:2:triggered 900:2:triggered"},
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":15}}", BH_OWNERS_FIRST, "900:6:triggered"},
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":15}}", BH_OWNERS_ALL,
		 "102:2:triggered 103:2:triggered 900:6:triggered"},
		/* Nobody owns it: the site's webhooks still fire. */
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":12}}", BH_OWNERS_ALL,
		 "0:-:no_manager 900:-:triggered"},
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":13}}", BH_OWNERS_ALL,
		 "0:-:no_manager 900:-:triggered"},
		{"{\"type\":\"booking_added\",\"data\":{\"property_uid\":77}}", BH_OWNERS_FIRST,
		 "0:-:no_manager 900:-:triggered"},
		/* About no property: the site's alone, and nothing is amiss. */
		{"{\"type\":\"user_created\",\"actor\":2,\"data\":{\"cms_user_id\":8}}", BH_OWNERS_ALL,
		 "900:-:triggered"},
		{"{\"type\":\"property_state_change\",\"data\":{\"property_uid\":0}}", BH_OWNERS_ALL,
		 "900:-:triggered"},
		{"{\"type\":\"manager_updated\",\"actor\":1,\"data\":{\"manager_id\":2,\"property_ids\":[10]}}",
		 BH_OWNERS_ALL, "900:-:triggered"},
	};
	g_autoptr(bh_snapshot) site = small_site();

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_event) event = event_of(rows[i].event);
		g_test_message("%s", rows[i].event);
		g_autofree char *found = watched(site, event, rows[i].owners);
		g_assert_cmpstr(found, ==, rows[i].found);
	}
}

static void a_manager_named_in_the_event_is_told_alone(void)
{
	static const struct {
		const char *event, *found;
	} rows[] = {
		{"{\"type\":\"booking_added\",\"manager_id\":5,\"data\":{\"property_uid\":10}}",
		 "105:5:triggered 900:5:triggered"},
		{"{\"type\":\"message_reminder\",\"manager_id\":\"5\",\"data\":{\"user_id\":5}}",
		 "105:5:triggered 900:5:triggered"},
		{"{\"type\":\"booking_added\",\"manager_id\":6,\"data\":{\"property_uid\":10}}", "900:6:triggered"},
		{"{\"type\":\"booking_added\",\"manager_id\":99,\"data\":{\"property_uid\":10}}",
		 "0:-:no_manager 900:-:triggered"},
		{"{\"type\":\"booking_added\",\"manager_id\":1,\"data\":{\"property_uid\":10}}",
		 "0:-:no_manager 900:-:triggered"},
		{"{\"type\":\"booking_added\",\"manager_id\":3,\"data\":{\"property_uid\":10}}",
		 "0:-:no_manager 900:-:triggered"},
		{"{\"type\":\"message_reminder\",\"manager_id\":3,\"data\":{}}", "0:-:no_manager 900:-:triggered"},
	};
	g_autoptr(bh_snapshot) site = small_site();

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_event) event = event_of(rows[i].event);
		g_test_message("%s", rows[i].event);
		g_autofree char *found = watched(site, event, BH_OWNERS_ALL);
		g_assert_cmpstr(found, ==, rows[i].found);
	}
}

static void an_empty_site_finds_nobody(void)
{
	g_autoptr(bh_snapshot) nothing = bh_snapshot_empty();
	g_autoptr(bh_event) about_a_property = event_of("{\"type\":\"booking_added\",\"data\":{\"property_uid\":10}}");
	g_autoptr(bh_event) about_none = event_of("{\"type\":\"user_created\",\"data\":{}}");
	g_autofree char *one = watched(nothing, about_a_property, BH_OWNERS_ALL);
	g_autofree char *other = watched(nothing, about_none, BH_OWNERS_ALL);

	g_assert_cmpstr(one, ==, "0:-:no_manager");
	g_assert_cmpstr(other, ==, "");
}

static void the_actor_is_a_manager_when_the_directory_knows_him_in_any_role(void)
{
	static const struct {
		const char *actor;
		bool is_manager;
	} rows[] = {{"1", true},     {"2", true},   {"3", true},  {"6", true},
		    {"\"2\"", true}, {"31", false}, {"0", false}, {"null", false}};
	g_autoptr(bh_snapshot) site = small_site();

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *json = g_strdup_printf(
			"{\"type\":\"booking_added\",\"actor\":%s,\"data\":{\"property_uid\":10}}", rows[i].actor);
		g_autoptr(bh_event) event = event_of(json);
		g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(bh_finding));

		bh_watch(event, site, BH_OWNERS_ALL, findings);

		g_assert_cmpint(event->actor_is_manager, ==, rows[i].is_manager);
	}
}

/* --- One webhook -------------------------------------------------------------------------- */

/* The table of behaviour, in its order: each row fails at one rule and, below it, at all that follow. */
static void the_first_rule_that_speaks_decides(void)
{
	static const struct {
		hook hook;
		const char *event, *verdict;
	} rows[] = {
		{{0}, "", "triggered"},
		{{.events = "booking_added"}, "", "triggered"},
		{{.events = "room booking"}, "", "triggered"},
		{{.events = "book*"}, "", "triggered"},
		{{.events = "room_* guest"}, "", "type_not_selected"},
		{{.events = "room", .properties = "11", .channel = "3", .disabled = true},
		 ",\"channel\":{\"channel_id\":3}",
		 "type_not_selected"},
		{{.properties = "9 10"}, "", "triggered"},
		{{.properties = "11 1 100"}, "", "property_not_selected"},
		{{.properties = "11", .channel = "3", .disabled = true},
		 ",\"channel\":{\"channel_id\":3}",
		 "property_not_selected"},
		{{.channel = "3"}, ",\"channel\":{\"channel_id\":3}", "own_change"},
		{{.channel = "3"}, ",\"channel\":{\"channel_id\":\"3\"}", "own_change"},
		{{.channel = "3", .disabled = true}, ",\"channel\":{\"channel_id\":3}", "own_change"},
		{{.channel = "3"}, ",\"channel\":{\"channel_id\":4}", "triggered"},
		{{.channel = "3"}, ",\"channel\":{\"channel_name\":\"3\"}", "triggered"},
		{{.channel = "3"}, "", "triggered"},
		{{0}, ",\"channel\":{\"channel_id\":3}", "triggered"},
		{{.disabled = true}, "", "held"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		for (int of_the_site = 0; of_the_site < 2; of_the_site++) {
			g_autoptr(bh_snapshot) s = bh_snapshot_empty();
			put_manager(&s, "2", BH_ROLE_MANAGER);
			put_property(&s, "10", "2");
			hook h = rows[i].hook;
			h.id = 1;
			h.manager = of_the_site ? NULL : "2";
			put_webhook(&s, h);
			g_autofree char *json = g_strdup_printf(
				"{\"type\":\"booking_added\",\"data\":{\"property_uid\":10}%s}", rows[i].event);
			g_autofree char *expected = g_strdup_printf("1:2:%s", rows[i].verdict);
			g_autoptr(bh_event) event = event_of(json);

			g_autofree char *found = watched(s, event, BH_OWNERS_ALL);

			g_test_message("row %zu", i);
			g_assert_cmpstr(found, ==, expected);
		}
	}
}

static void an_event_about_no_property_passes_only_where_all_are_selected(void)
{
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();
	put_webhook(&s, (hook){.id = 1});
	put_webhook(&s, (hook){.id = 2, .properties = "10 0"});
	g_autoptr(bh_event) event = event_of("{\"type\":\"property_state_change\",\"data\":{\"property_uid\":0}}");

	g_autofree char *found = watched(s, event, BH_OWNERS_ALL);

	g_assert_cmpstr(found, ==, "1:-:triggered 2:-:property_not_selected");
}

static void a_type_of_the_site_is_selected_by_its_group(void)
{
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();
	g_autoptr(GError) error = NULL;
	bh_event_type *type =
		bh_event_type_parse(bh_span_of("{\"name\":\"flight_landed\",\"group\":\"travel\"}"), &error);
	change(&s, (bh_change){.kind = BH_CHANGE_TYPE_PUT, .type = type});
	put_webhook(&s, (hook){.id = 1, .events = "travel"});
	put_webhook(&s, (hook){.id = 2, .events = "booking"});
	g_autoptr(bh_event) event = event_of("{\"type\":\"flight_landed\",\"data\":{}}");

	g_autofree char *found = watched(s, event, BH_OWNERS_ALL);

	g_assert_cmpstr(found, ==, "1:-:triggered 2:-:type_not_selected");
}

/* --- Verdicts ----------------------------------------------------------------------------- */

static void every_verdict_has_a_name_and_a_sentence(void)
{
	static const char *const names[] = {NULL,         "triggered",         "held",
					    "no_manager", "type_not_selected", "property_not_selected",
					    "own_change", "filtered",          "coalesced"};

	for (int v = BH_VERDICT_TRIGGERED; v <= BH_VERDICT_COALESCED; v++) {
		bh_verdict parsed;
		g_assert_cmpstr(bh_verdict_name((bh_verdict)v), ==, names[v]);
		g_assert_true(g_str_has_suffix(bh_verdict_sentence((bh_verdict)v), "."));
		g_assert_true(bh_verdict_parse(names[v], &parsed));
		g_assert_cmpint(parsed, ==, v);
		g_assert_cmpint(bh_verdict_delivers((bh_verdict)v), ==, v <= BH_VERDICT_HELD);
	}
	g_assert_false(bh_verdict_parse("delivered", &(bh_verdict){0}));
	g_assert_false(bh_verdict_parse("", &(bh_verdict){0}));
}

/* --- The wire of Jomres ------------------------------------------------------------------- */

/* What test_event shows for given owners, here with the owner that the watcher finds. */
static void a_receiver_written_for_jomres_notices_no_change(void)
{
	g_autofree char *path = g_build_filename(g_getenv("BH_SOURCE_ROOT"), "tests/fixtures/jomres_wire.json", NULL);
	g_autofree char *text = NULL;
	gsize size;
	g_autoptr(GError) error = NULL;
	g_assert_true(g_file_get_contents(path, &text, &size, &error));
	g_autoptr(bh_json) json = bh_json_new();
	g_assert_true(bh_json_parse(json, (bh_span){text, size}, &error));

	g_autoptr(bh_snapshot) site = bh_snapshot_empty();
	put_manager(&site, "1", BH_ROLE_SUPER);
	put_manager(&site, "2", BH_ROLE_MANAGER);
	put_manager(&site, "3", BH_ROLE_RECEPTIONIST);
	put_property(&site, "1", "3 2");
	put_property(&site, "2", "2");
	put_webhook(&site, (hook){.id = 1});

	uint32_t rows = bh_json_member(json, 0, "rows");
	for (uint32_t row = bh_json_first(json, rows); row != BH_JSON_NONE; row = bh_json_next(json, rows, row)) {
		bh_span given = bh_json_text(json, bh_json_member(json, row, "event"));
		g_autofree char *copy = g_strndup(given.at, given.size);
		g_autofree char *expected = bh_json_string(json, bh_json_member(json, row, "body"));
		g_autoptr(bh_event) event = event_of(copy);
		g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(bh_finding));

		bh_watch(event, site, BH_OWNERS_FIRST, findings);

		g_assert_cmpuint(findings->len, ==, 1);
		g_autoptr(GBytes) body =
			bh_event_body(event, BH_SHAPE_JOMRES, false, g_array_index(findings, bh_finding, 0).manager, 0);
		g_autofree char *sent = g_strndup(g_bytes_get_data(body, NULL), g_bytes_get_size(body));
		g_assert_cmpstr(sent, ==, expected);
	}
}

#define T(test) g_test_add_func("/watcher/" #test, test)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	T(the_property_leads_to_its_managers_whoever_acted);
	T(a_manager_named_in_the_event_is_told_alone);
	T(an_empty_site_finds_nobody);
	T(the_actor_is_a_manager_when_the_directory_knows_him_in_any_role);
	T(the_first_rule_that_speaks_decides);
	T(an_event_about_no_property_passes_only_where_all_are_selected);
	T(a_type_of_the_site_is_selected_by_its_group);
	T(every_verdict_has_a_name_and_a_sentence);
	T(a_receiver_written_for_jomres_notices_no_change);
	return g_test_run();
}
