#include "event/catalogue.h"

#include "base/error.h"
#include "base/json.h"

static bh_event_type *type_of(const char *json)
{
	g_autoptr(GError) error = NULL;
	bh_event_type *type = bh_event_type_parse(bh_span_of(json), &error);

	g_assert_no_error(error);
	return type;
}

/* The catalogue with one more type. */
static bh_catalogue *catalogue_with(const char *json)
{
	g_autoptr(bh_catalogue) built_in = bh_catalogue_new();
	g_autoptr(GError) error = NULL;
	bh_catalogue *catalogue = bh_catalogue_with(built_in, type_of(json), &error);

	g_assert_no_error(error);
	return catalogue;
}

/* --- What is built in ------------------------------------------------------------------- */

static void the_63_types_of_jomres_are_built_in(void)
{
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	g_autoptr(GPtrArray) types = bh_catalogue_list(catalogue);

	g_assert_cmpuint(types->len, ==, 63);
	for (guint i = 0; i < types->len; i++) {
		const bh_event_type *type = g_ptr_array_index(types, i);
		g_assert_true(bh_type_name_ok(bh_span_of(type->name)));
		g_assert_nonnull(type->group);
		g_assert_cmpuint(strlen(type->description), >, 10);
		g_assert_nonnull(type->fields[0]);
		g_assert_true(type->built_in);
		g_assert_true(bh_catalogue_find(catalogue, type->name) == type);
		if (i > 0)
			g_assert_cmpstr(((const bh_event_type *)g_ptr_array_index(types, i - 1))->name, <, type->name);
	}
}

static void a_built_in_type_tells_its_fields_in_the_order_of_the_wire(void)
{
	static const struct {
		const char *name, *group, *fields;
	} rows[] = {
		{"blackbooking_added", "blackbooking", "property_uid contract_uid"},
		{"booking_added", "booking", "property_uid contract_uid"},
		{"booking_note_saved", "booking", "contract_uid property_uid note_id"},
		{"deposit_saved", "booking", "contract_uid property_uid depositref"},
		{"changeover_day_disabled", "property", "property_uid changeover_day_of_week"},
		{"guest_checkedin", "guest", "contract_uid property_uid"},
		{"image_added", "image", "property_uid added_image resource_type"},
		{"manager_updated", "manager", "manager_id property_ids"},
		{"manager_deleted", "manager", "manager_id"},
		{"message_reminder", "message", "user_id unread_count"},
		{"property_state_change", "property", "property_uid"},
		{"rooms_multiple_added", "room", "property_uid room_ids"},
		{"tariffs_updated", "tariffs", "property_uid"},
		{"user_created", "user", "cms_user_id name password username email"},
	};
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const bh_event_type *type = bh_catalogue_find(catalogue, rows[i].name);
		g_assert_nonnull(type);
		g_autofree char *fields = g_strjoinv(" ", type->fields);
		g_assert_cmpstr(type->group, ==, rows[i].group);
		g_assert_cmpstr(fields, ==, rows[i].fields);
	}
}

static void only_the_password_of_user_created_is_sensitive(void)
{
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	g_autoptr(GPtrArray) types = bh_catalogue_list(catalogue);

	for (guint i = 0; i < types->len; i++) {
		const bh_event_type *type = g_ptr_array_index(types, i);
		g_autofree char *sensitive = g_strjoinv(" ", type->sensitive);
		g_assert_cmpstr(sensitive, ==, strcmp(type->name, "user_created") == 0 ? "password" : "");
	}
}

static void an_example_has_the_fields_that_are_sent(void)
{
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	g_autoptr(GPtrArray) types = bh_catalogue_list(catalogue);
	g_autoptr(bh_json) json = bh_json_new();

	for (guint i = 0; i < types->len; i++) {
		const bh_event_type *type = g_ptr_array_index(types, i);
		g_assert_true(bh_json_parse(json, bh_span_of(type->example), NULL));
		size_t count = 0;
		for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c), count++)
			;
		g_assert_cmpuint(count, ==, g_strv_length(type->fields) - g_strv_length(type->sensitive));
		for (char **field = type->fields; *field; field++)
			if (!g_strv_contains((const char *const *)type->sensitive, *field))
				g_assert_cmpuint(bh_json_member(json, 0, *field), !=, BH_JSON_NONE);

		g_assert_true(bh_json_parse(json, bh_span_of(type->schema), NULL));
		g_assert_cmpuint(bh_json_member(json, 0, "properties"), !=, BH_JSON_NONE);
	}
}

static void the_page_on_events_lists_every_type_with_its_fields(void)
{
	g_autofree char *path = g_build_filename(g_getenv("BH_SOURCE_ROOT"), "docs/events.md", NULL);
	g_autofree char *page = NULL;
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	g_autoptr(GPtrArray) types = bh_catalogue_list(catalogue);

	g_assert_true(g_file_get_contents(path, &page, NULL, NULL));
	for (guint i = 0; i < types->len; i++) {
		const bh_event_type *type = g_ptr_array_index(types, i);
		g_autofree char *fields = g_strjoinv(", ", type->fields);
		g_autofree char *row =
			g_strdup_printf("| %s | `%s` | %s | %s |", type->group, type->name, fields, type->description);
		g_assert_nonnull(strstr(page, row));
	}
}

/* --- The site's own types --------------------------------------------------------------- */

static void a_type_of_the_site_is_added_replaced_and_removed(void)
{
	g_autoptr(bh_catalogue) none = bh_catalogue_new();
	g_autoptr(bh_catalogue) one =
		bh_catalogue_with(none, type_of("{\"name\":\"invoice.paid\",\"group\":\"money\"}"), NULL);
	g_autoptr(bh_catalogue) other =
		bh_catalogue_with(one, type_of("{\"name\":\"invoice.paid\",\"description\":\"Paid\"}"), NULL);
	g_autoptr(bh_catalogue) gone = bh_catalogue_without(other, "invoice.paid", NULL);

	g_assert_null(bh_catalogue_find(none, "invoice.paid"));
	g_assert_false(bh_catalogue_has_group(none, "money"));
	g_assert_cmpstr(bh_catalogue_find(one, "invoice.paid")->group, ==, "money");
	g_assert_false(bh_catalogue_find(one, "invoice.paid")->built_in);
	g_assert_true(bh_catalogue_has_group(one, "money"));
	g_assert_cmpstr(bh_catalogue_find(other, "invoice.paid")->description, ==, "Paid");
	g_assert_null(bh_catalogue_find(other, "invoice.paid")->group);
	g_assert_null(bh_catalogue_find(gone, "invoice.paid"));
	g_assert_nonnull(bh_catalogue_find(gone, "booking_added"));
}

static void a_built_in_type_is_neither_replaced_nor_removed(void)
{
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	g_autoptr(GError) replaced = NULL, removed = NULL, unknown = NULL;

	g_assert_null(bh_catalogue_with(catalogue, type_of("{\"name\":\"booking_added\"}"), &replaced));
	g_assert_error(replaced, BH_ERROR, BH_ERROR_CONFLICT);
	g_assert_null(bh_catalogue_without(catalogue, "booking_added", &removed));
	g_assert_error(removed, BH_ERROR, BH_ERROR_CONFLICT);
	g_assert_null(bh_catalogue_without(catalogue, "no_such_type", &unknown));
	g_assert_error(unknown, BH_ERROR, BH_ERROR_NOT_FOUND);
}

static void a_type_without_a_name_is_not_added(void)
{
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	g_autoptr(GError) error = NULL;

	g_assert_null(bh_catalogue_with(catalogue, type_of("{}"), &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
}

static void a_type_reads_back_as_it_was_written(void)
{
	static const char *const rows[] = {
		"{\"name\":\"a\",\"group\":null,\"description\":\"\",\"fields\":[],\"sensitive\":[],\"example\":null,"
		"\"schema\":null,"
		"\"built_in\":false}",
		"{\"name\":\"a.b-c_9\",\"group\":\"g\",\"description\":\"Say \\\"hi\\\" "
		"\xc3\xa9\",\"fields\":[\"x\",\"y\\\\\"],"
		"\"sensitive\":[\"pin\"],\"example\":{\"x\": 1.50},\"schema\":{\"type\": "
		"\"object\"},\"built_in\":false}",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_event_type) type = type_of(rows[i]);
		g_autofree char *written = bh_event_type_json(type);
		g_assert_cmpstr(written, ==, rows[i]);
	}
}

static void a_wrong_type_is_refused_naming_the_member(void)
{
	static const struct {
		const char *json, *message;
	} rows[] = {
		{"[]", "must be a JSON object"},
		{"{\"name\":\"a b\"}", "\"name\""},
		{"{\"name\":\"\"}", "\"name\""},
		{"{\"name\":7}", "\"name\""},
		{"{\"name\":null}", "\"name\""},
		{"{\"name\":\"a\\u0000\"}", "\"name\""},
		{"{\"name\":\"a\",\"group\":\"b/c\"}", "\"group\""},
		{"{\"name\":\"a\",\"description\":7}", "\"description\""},
		{"{\"name\":\"a\",\"fields\":\"x\"}", "\"fields\""},
		{"{\"name\":\"a\",\"fields\":[7]}", "\"fields\""},
		{"{\"name\":\"a\",\"fields\":[\"\"]}", "\"fields\""},
		{"{\"name\":\"a\",\"sensitive\":[null]}", "\"sensitive\""},
		{"{\"name\":\"a\",\"example\":[]}", "\"example\""},
		{"{\"name\":\"a\",\"schema\":true}", "\"schema\""},
		{"{\"name\":\"a\",\"feilds\":[]}", "no member \"feilds\""},
		{"{\"name\":\"a\",}", "line 1, column 13"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(bh_event_type_parse(bh_span_of(rows[i].json), &error));
		g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, rows[i].message));
	}
}

static void a_name_has_letters_digits_and_three_signs(void)
{
	g_autofree char *longest = g_strnfill(128, 'x');
	g_autofree char *longer = g_strnfill(129, 'x');
	const struct {
		const char *name;
		bool ok;
	} rows[] = {
		{"booking_added", true}, {"a", true},     {"9", true},     {"A-b.c_d", true},
		{longest, true},         {"", false},     {longer, false}, {"a b", false},
		{"a*", false},           {"a/b", false},  {"a\n", false},  {"caf\xc3\xa9", false},
		{"a\"b", false},         {"a\\b", false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		g_assert_cmpint(bh_type_name_ok(bh_span_of(rows[i].name)), ==, rows[i].ok);
	g_assert_false(bh_type_name_ok((bh_span){"a\0b", 3}));
}

/* --- Selections ------------------------------------------------------------------------- */

static void a_selection_picks_by_star_prefix_type_and_group(void)
{
	static const struct {
		const char *patterns, *type;
		bool picks;
	} rows[] = {
		{"*", "booking_added", true},
		{"*", "not.in.the.catalogue", true},
		{"booking_added", "booking_added", true},
		{"booking_added", "booking_added2", false},
		{"booking_added", "booking_adde", false},
		{"booking_*", "booking_added", true},
		{"booking_*", "booking_", true},
		{"booking_*", "booking", false},
		{"booking_*", "blackbooking_added", false},
		{"booking", "booking_added", true},
		{"booking", "deposit_saved", true}, /* of the group, whatever its name begins with */
		{"booking", "blackbooking_added", false},
		{"booking", "booking_of_my_own", false}, /* not in the catalogue, so in no group */
		{"room guest_*", "guest_saved", true},
		{"room guest_*", "rooms_multiple_added", true},
		{"room guest_*", "review_saved", false},
		{"invoice", "invoice", true}, /* a type of that name ... */
		{"invoice", "invoice_created", false}, /* ... goes before the group */
		{"invoice", "invoice.other", false},
	};
	g_autoptr(bh_catalogue) catalogue = catalogue_with("{\"name\":\"invoice\",\"group\":\"invoice\"}");

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(GStrv) patterns = g_strsplit(rows[i].patterns, " ", -1);
		g_test_message("%s / %s", rows[i].patterns, rows[i].type);
		g_assert_cmpint(bh_selection_picks(catalogue, patterns, rows[i].type), ==, rows[i].picks);
	}
}

static void a_selection_that_picks_nothing_is_refused_with_what_to_write(void)
{
	static const struct {
		const char *patterns, *message; /* NULL: fine */
	} rows[] = {
		{"*", NULL},
		{"booking_*", NULL},
		{"booking", NULL},
		{"booking_added,review,room_*", NULL},
		{"mine", NULL},
		{"my.type", NULL},
		{"boking_added", "did you mean \"booking_added\""},
		{"Booking_Added", "did you mean \"booking_added\""},
		{"bookings", "did you mean \"booking\""},
		{"booking_added,nothing_of_the_kind_at_all", "\"nothing_of_the_kind_at_all\" selects no events"},
		{"flight_*", "no type begins so"},
		{"*_added", "write \"*\" for all"},
		{"book*ing", "write \"*\" for all"},
		{"**", "write \"*\" for all"},
		{"booking added", "write \"*\" for all"},
		{"booking_added,,room", "write \"*\" for all"},
	};
	g_autoptr(bh_catalogue) catalogue = catalogue_with("{\"name\":\"my.type\",\"group\":\"mine\"}");

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(GStrv) patterns = g_strsplit(rows[i].patterns, ",", -1);
		g_autoptr(GError) error = NULL;
		bool ok = bh_selection_check(catalogue, patterns, &error);
		g_test_message("%s: %s", rows[i].patterns, error ? error->message : "fine");
		g_assert_cmpint(ok, ==, rows[i].message == NULL);
		if (!ok) {
			g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
			g_assert_nonnull(strstr(error->message, rows[i].message));
		}
	}
}

static void an_empty_selection_is_refused(void)
{
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	char *none[] = {NULL};
	g_autoptr(GError) error = NULL;

	g_assert_false(bh_selection_check(catalogue, none, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
	g_assert_false(bh_selection_check(catalogue, NULL, NULL));
}

#define T(test) g_test_add_func("/catalogue/" #test, test)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	T(the_63_types_of_jomres_are_built_in);
	T(a_built_in_type_tells_its_fields_in_the_order_of_the_wire);
	T(only_the_password_of_user_created_is_sensitive);
	T(an_example_has_the_fields_that_are_sent);
	T(the_page_on_events_lists_every_type_with_its_fields);
	T(a_type_of_the_site_is_added_replaced_and_removed);
	T(a_built_in_type_is_neither_replaced_nor_removed);
	T(a_type_without_a_name_is_not_added);
	T(a_type_reads_back_as_it_was_written);
	T(a_wrong_type_is_refused_naming_the_member);
	T(a_name_has_letters_digits_and_three_signs);
	T(a_selection_picks_by_star_prefix_type_and_group);
	T(a_selection_that_picks_nothing_is_refused_with_what_to_write);
	T(an_empty_selection_is_refused);
	return g_test_run();
}
