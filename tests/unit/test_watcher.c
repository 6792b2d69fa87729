#include "watcher/watcher.h"

#include "base/chance.h"
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

/* --- The keys of order and coalescing ------------------------------------------------------ */

static char *order_key_of(const char *json, const char *order_by)
{
	g_autoptr(bh_event) event = event_of(json);
	bh_webhook webhook = {.order_by = (char *)order_by};
	char *key = bh_watch_order_key(event, &webhook);

	g_assert_true(!key || strlen(key) <= BH_KEY_TEXT_MAX);
	g_assert_true(!key || g_utf8_validate(key, -1, NULL));
	return key;
}

static char *coalesce_key_of(const bh_event *event, const char *fields, bh_usec coalesce)
{
	g_auto(GStrv) names = fields ? g_strsplit(fields, " ", -1) : NULL;
	bh_webhook webhook = {.coalesce = coalesce, .coalesce_fields = names};
	char *key = bh_watch_coalesce_key(event, &webhook);

	g_assert_true(!key || strlen(key) <= BH_KEY_TEXT_MAX);
	g_assert_true(!key || g_utf8_validate(key, -1, NULL));
	return key;
}

static void order_goes_by_the_property_or_a_field_of_data(void)
{
	static const struct {
		const char *event, *order_by, *key;
	} rows[] = {
		{"{\"type\":\"t\",\"data\":{\"property_uid\":12,\"contract_uid\":4711}}", NULL, NULL},
		{"{\"type\":\"t\",\"data\":{\"property_uid\":12,\"contract_uid\":4711}}", "property", "12"},
		{"{\"type\":\"t\",\"data\":{\"property_uid\":12,\"contract_uid\":4711}}", "contract_uid", "4711"},
		/* one booking, whatever happened to it and however its id is written */
		{"{\"type\":\"u\",\"data\":{\"property_uid\":12,\"contract_uid\":\"4711\"}}", "contract_uid", "4711"},
		{"{\"type\":\"t\",\"data\":{\"contract_uid\":4711.0}}", "contract_uid", "4711.0"},
		/* no key, no order */
		{"{\"type\":\"t\",\"data\":{}}", "contract_uid", NULL},
		{"{\"type\":\"t\",\"data\":{\"contract_uid\":null}}", "contract_uid", NULL},
		{"{\"type\":\"t\",\"data\":{\"contract_uid\":\"\"}}", "contract_uid", NULL},
		{"{\"type\":\"t\",\"data\":{\"property_uid\":0}}", "property", NULL},
		/* what a hostile hand may write */
		{"{\"type\":\"t\",\"data\":{\"contract_uid\":\"a b=1:c\\n\"}}", "contract_uid", "a b=1:c\n"},
		{"{\"type\":\"t\",\"data\":{\"contract_uid\":\"sha256:1\"}}", "contract_uid",
		 "sha256:51ae7fa00c92525c319404a3a6d400e52ff9372c5a39cb415e0486fe425f3165"},
		{"{\"type\":\"t\",\"data\":{\"contract_uid\":\"SHA256:1\"}}", "contract_uid", "SHA256:1"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s by %s", rows[i].event, rows[i].order_by ? rows[i].order_by : "nothing");
		g_autofree char *key = order_key_of(rows[i].event, rows[i].order_by);
		g_assert_cmpstr(key, ==, rows[i].key);
	}
}

static void a_long_key_is_named_by_its_hash(void)
{
	for (size_t size = BH_KEY_TEXT_MAX - 2; size <= BH_KEY_TEXT_MAX + 2; size++) {
		g_autofree char *value = g_strnfill(size, 'x');
		g_autofree char *json = g_strdup_printf("{\"type\":\"t\",\"data\":{\"a\":\"%s\"}}", value);
		g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, value, -1);
		g_autofree char *hashed = g_strconcat("sha256:", hash, NULL);

		g_autofree char *key = order_key_of(json, "a");

		g_assert_cmpstr(key, ==, size <= BH_KEY_TEXT_MAX ? value : hashed);
	}

	/* Who writes such a name himself does not come between the events of another. */
	g_autofree char *value = g_strnfill(1000, 'x');
	g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, value, -1);
	g_autofree char *long_one = g_strdup_printf("{\"type\":\"t\",\"data\":{\"a\":\"%s\"}}", value);
	g_autofree char *forged = g_strdup_printf("{\"type\":\"t\",\"data\":{\"a\":\"sha256:%s\"}}", hash);
	g_autofree char *one = order_key_of(long_one, "a"), *other = order_key_of(forged, "a");
	g_assert_cmpstr(one, !=, other);
}

static void coalescing_goes_by_type_and_fields(void)
{
	static const struct {
		const char *event, *fields;
		int seconds;
		const char *key;
	} rows[] = {
		{"{\"type\":\"tariffs_updated\",\"data\":{\"property_uid\":12,\"room_uid\":7}}", "property room_uid",
		 30, "tariffs_updated property=2:12 room_uid=1:7"},
		{"{\"type\":\"room_updated\",\"data\":{\"property_uid\":12,\"room_uid\":\"7\"}}", "property room_uid",
		 30, "room_updated property=2:12 room_uid=1:7"},
		{"{\"type\":\"room_updated\",\"data\":{\"property_uid\":12,\"room_uid\":\"7\"}}", "property", 30,
		 "room_updated property=2:12"},
		{"{\"type\":\"t\",\"data\":{\"a\":{\"b\": 1},\"c\":\"caf\\u00e9\"}}", "a c", 30,
		 "t a=8:{\"b\": 1} c=5:caf\xc3\xa9"},
		/* off */
		{"{\"type\":\"t\",\"data\":{\"a\":1}}", "a", 0, NULL},
		{"{\"type\":\"t\",\"data\":{\"a\":1}}", NULL, 30, NULL},
		/* a field of it is not there, so nobody knows what it is about */
		{"{\"type\":\"t\",\"data\":{\"a\":1}}", "a b", 30, NULL},
		{"{\"type\":\"t\",\"data\":{\"a\":1,\"b\":null}}", "a b", 30, NULL},
		{"{\"type\":\"t\",\"data\":{\"a\":1,\"b\":\"\"}}", "a b", 30, NULL},
		{"{\"type\":\"t\",\"data\":{\"property_uid\":0,\"a\":1}}", "property a", 30, NULL},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].event);
		g_autoptr(bh_event) event = event_of(rows[i].event);
		g_autofree char *key = coalesce_key_of(event, rows[i].fields, rows[i].seconds * BH_SECOND);
		g_assert_cmpstr(key, ==, rows[i].key);
	}
}

/* A value made of what keys are made of themselves, so that a careless join would mix them up. */
static void append_tricky_value(GString *out, bh_chance *chance)
{
	static const char *const pieces[] = {"",    " ",    "=",    ":",       "1", "2:",       " b=1:", "a", "\\u0061",
					     "\\n", "\\\"", "\\\\", "sha256:", "t", "\xc3\xa9", "{",     "}", ","};
	int64_t kind = bh_chance_between(chance, 0, 9), count = bh_chance_between(chance, 0, kind == 9 ? 200 : 4);

	if (kind < 2) {
		g_string_append_printf(out, "%d%s", (int)bh_chance_between(chance, 0, 3), kind ? "" : ".0");
		return;
	}
	g_string_append(out, kind == 2 ? "[\"" : "\"");
	while (count-- > 0)
		g_string_append(out, pieces[bh_chance_between(chance, 0, G_N_ELEMENTS(pieces) - 1)]);
	g_string_append(out, kind == 2 ? "\"]" : "\"");
}

/* The fields of an event told apart without any cleverness: each text, ended by a byte that no UTF-8 has. */
static char *plain_tuple(const bh_event *event)
{
	GString *tuple = g_string_new(event->type);
	for (const char *name = "abc"; *name; name++) {
		g_autofree char *value = bh_event_field(event, (char[]){*name, '\0'});
		g_string_append_printf(tuple, "\xff%s", value);
	}
	return g_string_free(tuple, FALSE);
}

static void different_fields_never_give_equal_keys(void)
{
	g_autoptr(GHashTable) tuple_of = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GHashTable) key_of = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	bh_chance chance = bh_chance_seeded(20261125);

	for (int i = 0; i < 20000; i++) {
		g_autoptr(GString) json = g_string_new(NULL);
		g_string_printf(json,
				"{\"type\":\"%s\",\"data\":{\"a\":", bh_chance_between(&chance, 0, 1) ? "t" : "t.a");
		append_tricky_value(json, &chance);
		g_string_append(json, ",\"b\":");
		append_tricky_value(json, &chance);
		g_string_append(json, ",\"c\":");
		append_tricky_value(json, &chance);
		g_string_append(json, "}}");
		g_autoptr(bh_event) event = event_of(json->str);
		g_autofree char *key = coalesce_key_of(event, "a b c", BH_SECOND);
		if (!key)
			continue;

		g_autofree char *tuple = plain_tuple(event);
		const char *same_key = g_hash_table_lookup(tuple_of, key),
			   *same_tuple = g_hash_table_lookup(key_of, tuple);
		g_test_message("%s", json->str);
		g_assert_true(!same_key || strcmp(same_key, tuple) == 0);
		g_assert_true(!same_tuple || strcmp(same_tuple, key) == 0);
		g_hash_table_insert(tuple_of, g_strdup(key), g_strdup(tuple));
		g_hash_table_insert(key_of, g_steal_pointer(&tuple), g_strdup(key));
	}
	g_assert_cmpuint(g_hash_table_size(tuple_of), >, 5000);
}

static void a_key_does_not_depend_on_when_it_is_made(void)
{
	g_autoptr(bh_event) event = event_of("{\"type\":\"t\",\"data\":{\"property_uid\":12,\"a\":\"caf\\u00e9\"}}");
	g_autoptr(bh_event) stored = bh_event_restore(event);
	g_autofree char *one = coalesce_key_of(event, "property a", BH_SECOND);
	g_autofree char *other = coalesce_key_of(stored, "property a", BH_DAY);

	g_assert_cmpstr(one, ==, other);
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
	T(order_goes_by_the_property_or_a_field_of_data);
	T(a_long_key_is_named_by_its_hash);
	T(coalescing_goes_by_type_and_fields);
	T(different_fields_never_give_equal_keys);
	T(a_key_does_not_depend_on_when_it_is_made);
	T(every_verdict_has_a_name_and_a_sentence);
	T(a_receiver_written_for_jomres_notices_no_change);
	return g_test_run();
}
