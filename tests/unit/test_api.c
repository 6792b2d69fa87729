/* The API's door: who comes in, what a request must look like, how lists are paged, how it stops. */
#include "api_house.h"

#include "api/routes.h"

#include <arpa/inet.h>
#include <unistd.h>

/* --- Who may do what --------------------------------------------------------------------- */

/* The path of a route with `id` in its place. */
static char *path_with(const bh_route *route, const char *id)
{
	g_auto(GStrv) parts = g_strsplit(route->path, "{}", 2);

	return g_strjoinv(id, parts);
}

/* Something that gets as far as the handler, whatever that thinks of it. */
static ask any_ask(const bh_route *route, const char *key)
{
	return (ask){.key = key, .body = route->body == BH_BODY_NONE ? NULL : "{}"};
}

static void without_a_key_nothing_is_told(void)
{
	house *h = open_house();
	const char *const keys[] = {NULL, "", "bhk_wrong", "bhk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};

	for (size_t i = 0; i < BH_ROUTE_COUNT; i++) {
		const bh_route *route = &BH_ROUTES[i];
		g_autofree char *path = path_with(route, "7");
		for (size_t k = 0; route->roles && k < G_N_ELEMENTS(keys); k++) {
			ask a = any_ask(route, keys[k]);
			g_auto(reply) r = send_ask(h, route->verb, path, &a);
			g_autofree char *scheme = header(&r, "WWW-Authenticate");
			assert_problem(&r, 401, "unauthorized");
			g_assert_cmpstr(scheme, ==, "Bearer");
		}
	}
	assert_refused(h, NULL, "GET", "/v1/nothing", NULL, 401, "unauthorized");
	assert_refused(h, NULL, "PUT", "/v1/events", "{}", 401, "unauthorized");

	g_auto(reply) other = send_ask(h, "GET", "/v1/keys", &(ask){.headers = {"Authorization: Basic YTpi"}});
	assert_problem(&other, 401, "unauthorized");
	g_autofree char *lower = g_strconcat("authorization: bearer ", h->site, NULL);
	g_auto(reply) any_case = send_ask(h, "GET", "/v1/keys", &(ask){.headers = {lower}});
	assert_status(&any_case, 200);
	close_house(h);
}

static void a_role_may_use_its_routes_and_no_others(void)
{
	house *h = open_house();
	g_free(done(h, h->site, "PUT", "/v1/managers/90", "{\"role\":\"super\"}", 201, "id"));
	g_autofree char *boss =
		done(h, h->site, "POST", "/v1/keys", "{\"role\":\"manager\",\"manager_id\":\"90\"}", 201, "key");
	const struct {
		unsigned role;
		const char *key;
	} askers[] = {{BH_MAY_SITE, h->site}, {BH_MAY_EMIT, h->emit}, {BH_MAY_MANAGER, h->seven}, {BH_MAY_SUPER, boss}};

	for (size_t i = 0; i < BH_ROUTE_COUNT; i++)
		for (size_t k = 0; BH_ROUTES[i].roles && k < G_N_ELEMENTS(askers); k++) {
			g_autofree char *path = path_with(&BH_ROUTES[i], "nobody");
			ask a = any_ask(&BH_ROUTES[i], askers[k].key);
			g_auto(reply) r = send_ask(h, BH_ROUTES[i].verb, path, &a);
			if (BH_ROUTES[i].roles & askers[k].role)
				g_assert_cmpstr(text(&r, "code"), !=, "role_not_allowed");
			else
				assert_problem(&r, 403, "role_not_allowed");
		}
	close_house(h);
}

/* --- api-cross-owner --------------------------------------------------------------------- */

static void what_is_anothers_is_not_there(void)
{
	house *h = open_house();
	g_autofree char *webhook =
		done(h, h->eight, "POST", "/v1/webhooks", "{\"url\":\"http://198.51.100.1/8\"}", 201, "id");
	g_autofree char *event = done(h, h->site, "POST", "/v1/events",
				      "{\"type\":\"booking_added\",\"data\":{\"property_uid\":21}}", 202, "id");
	g_auto(reply) list = call(h, h->site, "GET", "/v1/deliveries", NULL);
	const char *delivery =
		json_string_value(json_object_get(json_array_get(json_object_get(list.json, "data"), 0), "id"));
	g_autofree char *recover = g_strconcat("/v1/webhooks/", webhook, "/recover", NULL);
	char since[BH_TIME_TEXT_SIZE];
	bh_time_text(bh_clock_wall() - BH_HOUR, since);
	g_autofree char *wish = g_strdup_printf("{\"since\":\"%s\"}", since);
	g_autofree char *recovery = done(h, h->eight, "POST", recover, wish, 202, "id");
	g_auto(reply) before = call(h, h->site, "GET", "/v1/audit", NULL);
	const struct {
		const char *resource, *theirs, *nobodys;
	} things[] = {
		{"/v1/events/", event, "evt_0zzzzzzzzzzzz"},
		{"/v1/deliveries/", delivery, "dlv_0zzzzzzzzzzzz"},
		{"/v1/webhooks/", webhook, "whk_0zzzzzzzzzzzz"},
		{"/v1/recoveries/", recovery, "rec_0zzzzzzzzzzzz"},
		{"/v1/managers/", "8", "9"},
		{"/v1/properties/", "21", "22"},
	};

	unsigned tried = 0;
	for (size_t i = 0; i < BH_ROUTE_COUNT; i++)
		for (size_t t = 0; t < G_N_ELEMENTS(things); t++) {
			const bh_route *route = &BH_ROUTES[i];
			if (!(route->roles & BH_MAY_MANAGER) || !g_str_has_prefix(route->path, things[t].resource))
				continue;
			g_autofree char *theirs = path_with(route, things[t].theirs),
					*nobodys = path_with(route, things[t].nobodys);
			ask a = any_ask(route, h->seven);
			g_auto(reply) real = send_ask(h, route->verb, theirs, &a);
			g_auto(reply) fake = send_ask(h, route->verb, nobodys, &a);
			assert_problem(&real, 404, "not_found");
			g_assert_cmpint(fake.status, ==, 404);
			g_assert_cmpstr(real.body->str, ==, fake.body->str);
			tried++;
		}
	g_assert_cmpuint(tried, ==, 19);
	g_auto(reply) after = call(h, h->site, "GET", "/v1/audit", NULL);
	g_assert_cmpstr(before.body->str, ==, after.body->str);
	close_house(h);
}

static size_t count_rows(const house *h, const char *key, const char *path)
{
	g_auto(reply) r = call(h, key, "GET", path, NULL);

	assert_status(&r, 200);
	return json_array_size(json_object_get(r.json, "data"));
}

static void lists_show_ones_own_only(void)
{
	house *h = open_house();
	g_autofree char *theirs =
		done(h, h->eight, "POST", "/v1/webhooks", "{\"url\":\"http://198.51.100.1/8\"}", 201, "id");
	g_autofree char *sites =
		done(h, h->site, "POST", "/v1/webhooks", "{\"url\":\"http://198.51.100.1/s\"}", 201, "id");
	g_free(done(h, h->site, "POST", "/v1/events", "{\"type\":\"booking_added\",\"data\":{\"property_uid\":21}}",
		    202, "id"));
	g_autofree char *mine = done(h, h->site, "POST", "/v1/events",
				     "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12}}", 202, "id");
	g_free(done(h, h->site, "POST", "/v1/events",
		    "{\"type\":\"booking_added\",\"manager_id\":7,\"data\":{\"property_uid\":21}}", 202, "id"));

	g_assert_cmpuint(count_rows(h, h->seven, "/v1/events"), ==,
			 2); /* his property's, and the one addressed to him */
	g_assert_cmpuint(count_rows(h, h->site, "/v1/events"), ==, 3);
	g_assert_cmpuint(count_rows(h, h->seven, "/v1/deliveries"), ==, 0); /* the site's webhook is not his */
	g_assert_cmpuint(count_rows(h, h->site, "/v1/deliveries"), ==, 4);
	g_assert_cmpuint(count_rows(h, h->seven, "/v1/webhooks"), ==, 0);
	g_assert_cmpuint(count_rows(h, h->eight, "/v1/webhooks"), ==, 1);
	g_assert_cmpuint(count_rows(h, h->site, "/v1/webhooks"), ==, 2);
	g_assert_cmpuint(count_rows(h, h->site, "/v1/webhooks?manager_id=8"), ==, 1);
	g_assert_cmpuint(count_rows(h, h->seven, "/v1/webhooks?manager_id=8"), ==, 0);
	g_assert_cmpuint(count_rows(h, h->seven, "/v1/properties"), ==, 2);
	g_assert_cmpuint(count_rows(h, h->seven, "/v1/properties?manager_id=8"), ==, 0);
	g_assert_cmpuint(count_rows(h, h->seven, "/v1/managers"), ==, 1);
	g_assert_cmpuint(count_rows(h, h->seven, "/v1/events?property_id=21"), ==, 1);
	g_autofree char *filtered = g_strconcat("/v1/deliveries?webhook_id=", theirs, NULL);
	g_assert_cmpuint(count_rows(h, h->seven, filtered), ==, 0);
	g_assert_cmpuint(count_rows(h, h->site, filtered), ==, 1);

	g_autofree char *verdicts = g_strdup_printf("/v1/events/%s/verdicts", mine);
	g_assert_cmpuint(count_rows(h, h->seven, verdicts), ==, 0);
	g_assert_cmpuint(count_rows(h, h->site, verdicts), ==, 1);

	/* Taken away from him, the property and its events are no longer his to see. */
	g_free(done(h, h->site, "PUT", "/v1/properties/12", "{\"managers\":[\"8\"]}", 200, "id"));
	g_autofree char *path = g_strconcat("/v1/events/", mine, NULL);
	assert_refused(h, h->seven, "GET", path, NULL, 404, "not_found");
	assert_refused(h, h->seven, "GET", "/v1/properties/12", NULL, 404, "not_found");
	g_assert_cmpuint(count_rows(h, h->seven, "/v1/events"), ==, 1);
	close_house(h);
}

/* --- What a request must look like ------------------------------------------------------- */

static void a_wrong_verb_is_told_the_right_ones(void)
{
	house *h = open_house();
	const struct {
		const char *verb, *path, *allow;
	} rows[] = {
		{"PUT", "/v1/events", "POST, GET, HEAD"},
		{"POST", "/v1/webhooks/x", "GET, HEAD, PATCH, DELETE"},
		{"DELETE", "/healthz", "GET, HEAD"},
		{"OPTIONS", "/v1/keys", "GET, HEAD, POST"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(reply) r = call(h, h->site, rows[i].verb, rows[i].path, NULL);
		g_autofree char *allow = header(&r, "Allow");
		assert_problem(&r, 405, "method_not_allowed");
		g_assert_cmpstr(allow, ==, rows[i].allow);
	}
	assert_refused(h, h->site, "GET", "/v1/nothing", NULL, 404, "not_found");
	assert_refused(h, h->site, "GET", "/v1/events/", NULL, 404, "not_found");
	assert_refused(h, NULL, "GET", "/", NULL, 404, "not_found");
	close_house(h);
}

static void head_is_get_without_the_body(void)
{
	house *h = open_house();
	g_auto(reply) get = call(h, h->site, "GET", "/v1/managers/7", NULL);
	g_auto(reply) head = call(h, h->site, "HEAD", "/v1/managers/7", NULL);
	g_autofree char *length = header(&get, "Content-Length"), *same = header(&head, "Content-Length");
	g_autofree char *cache = header(&head, "Cache-Control"), *sniff = header(&head, "X-Content-Type-Options");

	g_assert_cmpint(head.status, ==, 200);
	g_assert_cmpuint(head.body->len, ==, 0);
	g_assert_cmpstr(length, ==, same);
	g_assert_cmpstr(cache, ==, "no-store");
	g_assert_cmpstr(sniff, ==, "nosniff");
	g_auto(reply) body = call(h, h->site, "GET", "/v1/managers/7", "this is ignored");
	assert_status(&body, 200);
	close_house(h);
}

static void what_is_too_large_is_refused(void)
{
	house *h = open_house();
	g_autofree char *nine = g_strnfill(9 * 1024 * 1024, ' ');
	g_autofree char *long_value = g_strnfill(17 * 1024, 'x');
	g_autofree char *long_header = g_strconcat("X-Long: ", long_value, NULL);
	const char *webhook = "/v1/webhooks";

	for (int chunked = 0; chunked < 2; chunked++) {
		ask events = {.key = h->site, .body = nine, .chunked = chunked};
		ask document = {.key = h->site, .body = nine, .body_bytes = 1024 * 1024 + 1, .chunked = chunked};
		ask just_fits = {.key = h->site, .body = nine, .body_bytes = 1024 * 1024, .chunked = chunked};
		g_auto(reply) one = send_ask(h, "POST", "/v1/events", &events);
		g_auto(reply) two = send_ask(h, "POST", webhook, &document);
		g_auto(reply) three = send_ask(h, "POST", webhook, &just_fits);
		assert_problem(&one, 413, "too_large");
		assert_problem(&two, 413, "too_large");
		assert_problem(&three, 400, "invalid_json");
	}
	g_auto(reply) head = send_ask(h, "GET", "/v1/events", &(ask){.key = h->site, .headers = {long_header}});
	assert_problem(&head, 431, "header_too_large");
	long_header[15 * 1024] = '\0';
	g_auto(reply) fits = send_ask(h, "GET", "/v1/events", &(ask){.key = h->site, .headers = {long_header}});
	assert_status(&fits, 200);
	close_house(h);
}

static void all_bodies_together_are_bounded(void)
{
	house *h = open_house_with((char *[]){(char *)"intake_memory=8MiB", NULL});
	g_autofree char *body = g_strnfill(8 * 1024 * 1024, ' ');

	/* One call may fill all of it; what it held is free again afterwards. */
	for (int i = 0; i < 3; i++) {
		g_auto(reply) r = send_ask(h, "POST", "/v1/events", &(ask){.key = h->site, .body = body});
		assert_problem(&r, 400, "invalid_json");
	}
	close_house(h);
}

static void the_content_type_must_be_right(void)
{
	house *h = open_house();
	const struct {
		const char *verb, *path, *type;
		long status;
	} rows[] = {
		{"POST", "/v1/events", "application/x-www-form-urlencoded", 415},
		{"POST", "/v1/events", "text/plain", 415},
		{"POST", "/v1/events", "application/json; charset=utf-8", 422},
		{"POST", "/v1/events", "APPLICATION/JSON", 422},
		{"POST", "/v1/events", "application/x-ndjson", 422},
		{"POST", "/v1/webhooks", "application/x-ndjson", 415},
		{"POST", "/v1/webhooks", "application/merge-patch+json", 415},
		{"PATCH", "/v1/webhooks/x", "application/merge-patch+json", 404},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(reply) r = send_ask(h, rows[i].verb, rows[i].path,
					   &(ask){.key = h->site, .body = "{}", .type = rows[i].type});
		assert_status(&r, rows[i].status);
		if (r.status == 415)
			g_assert_nonnull(strstr(text(&r, "detail"), "Content-Type: application/json"));
	}
	close_house(h);
}

static void bad_json_is_named_by_line_and_column(void)
{
	house *h = open_house();
	const struct {
		const char *body;
		int line, column;
	} rows[] = {
		{"{\"name\":}", 1, 9},
		{"{\n  \"name\": \"a\",\n}", 3, 1},
		{"", 1, 1},
		{"{\"name\":\"a\",\"name\":\"b\"}", 1, 13},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(reply) r = call(h, h->site, "PUT", "/v1/managers/9", rows[i].body);
		assert_problem(&r, 400, "invalid_json");
		g_assert_cmpint(json_integer_value(json_object_get(r.json, "line")), ==, rows[i].line);
		g_assert_cmpint(json_integer_value(json_object_get(r.json, "column")), ==, rows[i].column);
	}
	close_house(h);
}

static void a_wrong_field_is_named_by_a_pointer(void)
{
	house *h = open_house();
	g_autofree char *long_name = g_strnfill(257, 'x');
	g_autofree char *too_long = g_strdup_printf("{\"name\":\"%s\"}", long_name);
	const struct {
		const char *verb, *path, *body, *pointer;
	} rows[] = {
		{"PUT", "/v1/managers/9", "[]", ""},
		{"PUT", "/v1/managers/9", "{\"nmae\":\"x\"}", "/nmae"},
		{"PUT", "/v1/managers/9", "{\"a/b~c\":1}", "/a~1b~0c"},
		{"PUT", "/v1/managers/9", "{\"name\":7}", "/name"},
		{"PUT", "/v1/managers/9", "{\"name\":\"a\\u0007\"}", "/name"},
		{"PUT", "/v1/managers/9", "{\"name\":\"a\\u0000\"}", "/name"},
		{"PUT", "/v1/managers/9", too_long, "/name"},
		{"PUT", "/v1/managers/9", "{\"role\":\"king\"}", "/role"},
		{"PUT", "/v1/managers/9", "{\"id\":\"8\"}", "/id"},
		{"PUT", "/v1/properties/9", "{\"managers\":\"7\"}", "/managers"},
		{"PUT", "/v1/properties/9", "{\"managers\":[\"7\",1.5]}", "/managers/1"},
		{"PUT", "/v1/properties/9", "{\"managers\":[\"\"]}", "/managers/0"},
		{"POST", "/v1/keys", "{}", "/role"},
		{"POST", "/v1/keys", "{\"role\":\"manager\"}", "/manager_id"},
		{"POST", "/v1/keys", "{\"role\":\"manager\",\"manager_id\":\"nobody\"}", "/manager_id"},
		{"POST", "/v1/keys", "{\"role\":\"emit\",\"manager_id\":\"7\"}", "/manager_id"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		assert_pointer(h, h->site, rows[i].verb, rows[i].path, rows[i].body, "invalid_field", rows[i].pointer);
	close_house(h);
}

static void query_parameters_are_checked(void)
{
	house *h = open_house();
	const char *const wrong[] = {
		"/v1/events?limit=0",
		"/v1/events?limit=-1",
		"/v1/events?limit=101",
		"/v1/events?limit=1e9",
		"/v1/events?limit=",
		"/v1/events?limit=abc",
		"/v1/events?limit=99999999999999999999",
		"/v1/events?limit=1&limit=2",
		"/v1/events?order=up",
		"/v1/events?type=a%20b",
		"/v1/events?property_id=",
		"/v1/events?property_id=%00",
		"/v1/events?property_id=%ff",
		"/v1/events?property_id=%zz",
		"/v1/deliveries?state=done",
		"/v1/deliveries?webhook_id=7",
		"/v1/deliveries?event_id=whk_0000000000000",
		"/v1/events/evt_%ff",
		"/v1/managers?cursor=",
		"/v1/managers?cursor=AAAA",
		"/v1/managers?cursor=%00",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
		assert_refused(h, h->site, "GET", wrong[i], NULL, 400, "invalid_parameter");
	g_assert_cmpuint(count_rows(h, h->site, "/v1/managers?limit=1"), ==, 1);
	close_house(h);
}

static void ids_of_the_site_may_be_any_text(void)
{
	house *h = open_house();
	g_free(done(h, h->site, "PUT", "/v1/managers/a%2Fb%20c%C3%A4+d", "{\"name\":\"x\"}", 201, "id"));
	g_autofree char *id = done(h, h->site, "GET", "/v1/managers/a%2Fb%20c%C3%A4%2Bd", NULL, 200, "id");

	g_assert_cmpstr(id, ==, "a/b cä+d");
	assert_refused(h, h->site, "PUT", "/v1/managers/%01", "{}", 400, "invalid_parameter");
	g_autofree char *long_id = g_strnfill(129, 'x');
	g_autofree char *path = g_strconcat("/v1/managers/", long_id, NULL);
	assert_refused(h, h->site, "PUT", path, "{}", 400, "invalid_parameter");
	close_house(h);
}

/* --- Lists: api-pagination-ties ---------------------------------------------------------- */

/* Walks a list by `limit` and returns how many rows it showed; none twice. */
static size_t walk(const house *h, const char *key, const char *path, const char *id)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *cursor = NULL;
	size_t rows = 0;

	do {
		g_autofree char *at = g_strconcat(path, cursor ? "&cursor=" : "", cursor, NULL);
		g_auto(reply) r = call(h, key, "GET", at, NULL);
		json_t *data = json_object_get(r.json, "data");
		assert_status(&r, 200);
		for (size_t i = 0; i < json_array_size(data); i++, rows++) {
			json_t *value = json_object_get(json_array_get(data, i), id);
			g_assert_true(g_hash_table_add(seen, json_dumps(value, JSON_ENCODE_ANY)));
		}
		g_free(cursor);
		cursor = g_strdup(json_string_value(json_object_get(r.json, "next")));
		g_assert_true(!cursor || json_array_size(data) > 0);
	} while (cursor);
	return rows;
}

static void every_list_is_walked_without_loss_or_repeat(void)
{
	house *h = open_house();

	for (int i = 0; i < 9; i++) {
		g_autofree char *manager = g_strdup_printf("/v1/managers/m%d", i),
				*property = g_strdup_printf("/v1/properties/p%d", i);
		g_free(done(h, h->site, "PUT", manager, "{}", 201, "id"));
		g_free(done(h, h->site, "PUT", property, "{\"managers\":[7]}", 201, "id"));
		g_free(done(h, h->seven, "POST", "/v1/webhooks", "{\"url\":\"http://198.51.100.1/\"}", 201, "id"));
	}
	g_free(done(h, h->site, "POST", "/v1/events",
		    "[{\"type\":\"booking_added\",\"data\":{\"property_uid\":12}},"
		    "{\"type\":\"booking_added\",\"data\":{\"property_uid\":13}},"
		    "{\"type\":\"booking_added\",\"data\":{\"property_uid\":21}}]",
		    202, "id"));

	g_assert_cmpuint(walk(h, h->site, "/v1/managers?limit=2", "id"), ==, 11);
	g_assert_cmpuint(walk(h, h->site, "/v1/properties?limit=3", "id"), ==, 12);
	g_assert_cmpuint(walk(h, h->seven, "/v1/properties?limit=3", "id"), ==, 11);
	g_assert_cmpuint(walk(h, h->site, "/v1/webhooks?limit=3", "id"), ==, 9);
	g_assert_cmpuint(walk(h, h->site, "/v1/keys?limit=2", "id"), ==, 4);
	g_assert_cmpuint(walk(h, h->site, "/v1/events?limit=1", "id"), ==, 3);
	g_assert_cmpuint(walk(h, h->seven, "/v1/events?limit=1", "id"), ==, 2);
	g_assert_cmpuint(walk(h, h->seven, "/v1/deliveries?limit=7", "id"), ==, 18);
	g_assert_cmpuint(walk(h, h->seven, "/v1/deliveries?limit=7&state=pending", "id"), ==, 18);
	g_assert_cmpuint(walk(h, h->site, "/v1/event-types?limit=10", "name"), ==, 63);
	g_assert_cmpuint(walk(h, h->site, "/v1/methods?limit=1", "name"), >=, 2);
	g_assert_cmpuint(walk(h, h->site, "/v1/audit?limit=7", "id"), ==, 36);
	close_house(h);
}

static void a_cursor_serves_its_own_list_only(void)
{
	house *h = open_house();
	g_autofree char *cursor = done(h, h->site, "GET", "/v1/properties?limit=1", NULL, 200, "next");
	g_autofree char *good = g_strconcat("/v1/properties?limit=2&cursor=", cursor, NULL);
	const char *const elsewhere[] = {
		"/v1/managers?cursor=", "/v1/properties?manager_id=7&cursor=", "/v1/keys?cursor="};

	g_assert_cmpuint(count_rows(h, h->site, good), ==, 2);
	for (size_t i = 0; i < G_N_ELEMENTS(elsewhere); i++) {
		g_autofree char *path = g_strconcat(elsewhere[i], cursor, NULL);
		assert_refused(h, h->site, "GET", path, NULL, 400, "invalid_parameter");
	}
	assert_refused(h, h->seven, "GET", good, NULL, 400, "invalid_parameter");
	for (size_t i = 0; cursor[i]; i++) {
		g_autofree char *altered = g_strconcat("/v1/properties?cursor=", cursor, NULL);
		char *at = altered + strlen(altered) - strlen(cursor) + i;
		*at = *at == 'A' ? 'B' : 'A';
		assert_refused(h, h->site, "GET", altered, NULL, 400, "invalid_parameter");
	}
	close_house(h);
}

/* --- The directory ----------------------------------------------------------------------- */

static void managers_come_change_and_go(void)
{
	house *h = open_house();
	g_free(done(h, h->site, "PUT", "/v1/managers/9", "{\"id\":9,\"name\":\"Eve\",\"email\":\"e@example.org\"}", 201,
		    "id"));
	g_auto(reply) changed =
		call(h, h->site, "PUT", "/v1/managers/9", "{\"name\":\"Eva\",\"role\":\"receptionist\"}");
	g_auto(reply) shown = call(h, h->site, "GET", "/v1/managers/9", NULL);

	assert_status(&changed, 200);
	g_assert_cmpstr(changed.body->str, ==, shown.body->str);
	g_assert_cmpstr(text(&shown, "name"), ==, "Eva");
	g_assert_cmpstr(text(&shown, "role"), ==, "receptionist");
	g_assert_true(json_is_null(json_object_get(shown.json, "email")));
	g_assert_cmpstr(text(&shown, "created_at"), !=, text(&shown, "updated_at"));
	g_free(done(h, h->site, "DELETE", "/v1/managers/9", NULL, 204, "id"));
	assert_refused(h, h->site, "DELETE", "/v1/managers/9", NULL, 404, "not_found");
	assert_refused(h, h->site, "GET", "/v1/managers/9", NULL, 404, "not_found");

	/* Who owns a webhook cannot become one who owns none; who goes takes his webhooks and keys along. */
	g_autofree char *webhook =
		done(h, h->eight, "POST", "/v1/webhooks", "{\"url\":\"http://198.51.100.1/\"}", 201, "id");
	assert_refused(h, h->site, "PUT", "/v1/managers/8", "{\"role\":\"super\"}", 403,
		       "super_manager_cannot_own_webhooks");
	g_free(done(h, h->site, "DELETE", "/v1/managers/8", NULL, 204, "id"));
	assert_refused(h, h->eight, "GET", "/v1/webhooks", NULL, 401, "unauthorized");
	g_autofree char *path = g_strconcat("/v1/webhooks/", webhook, NULL);
	assert_refused(h, h->site, "GET", path, NULL, 404, "not_found");
	close_house(h);
}

static void properties_come_change_and_go(void)
{
	house *h = open_house();
	g_auto(reply) made = call(h, h->site, "PUT", "/v1/properties/30", "{\"managers\":[7,\"7\",\"8\"]}");

	assert_status(&made, 201);
	g_assert_cmpuint(json_array_size(json_object_get(made.json, "managers")), ==, 2);
	g_free(done(h, h->seven, "GET", "/v1/properties/30", NULL, 200, "id"));
	g_free(done(h, h->site, "DELETE", "/v1/properties/30", NULL, 204, "id"));
	assert_refused(h, h->site, "GET", "/v1/properties/30", NULL, 404, "not_found");
	close_house(h);
}

static void keys_are_shown_once_and_revoked(void)
{
	house *h = open_house();
	g_auto(reply) made = call(h, h->site, "POST", "/v1/keys", "{\"role\":\"site\",\"name\":\"second\"}");
	g_autofree char *location = header(&made, "Location"),
			*path = g_strconcat("/v1/keys/", text(&made, "id"), NULL);
	const char *key = text(&made, "key");

	assert_status(&made, 201);
	g_assert_cmpstr(location, ==, path);
	g_auto(reply) list = call(h, key, "GET", "/v1/keys", NULL);
	assert_status(&list, 200);
	g_assert_null(strstr(list.body->str, "bhk_"));
	g_free(done(h, h->site, "DELETE", path, NULL, 204, "id"));
	assert_refused(h, key, "GET", "/v1/keys", NULL, 401, "unauthorized");
	assert_refused(h, h->site, "DELETE", path, NULL, 404, "not_found");

	const char *last =
		json_string_value(json_object_get(json_array_get(json_object_get(list.json, "data"), 0), "id"));
	g_autofree char *last_path = g_strconcat("/v1/keys/", last, NULL);
	assert_refused(h, h->site, "DELETE", last_path, NULL, 409, "conflict");
	close_house(h);
}

static void event_types_of_the_site_come_change_and_go(void)
{
	house *h = open_house();
	const char *body =
		"{\"group\":\"invoice\",\"description\":\"Paid\",\"fields\":[\"invoice_uid\"],\"sensitive\":[\"card\"],"
		"\"example\":{\"invoice_uid\":1.50},\"schema\":null}";
	g_auto(reply) made = call(h, h->site, "PUT", "/v1/event-types/invoice.paid", body);
	g_auto(reply) again = call(h, h->site, "PUT", "/v1/event-types/invoice.paid", "{}");
	g_auto(reply) shown = call(h, h->emit, "GET", "/v1/event-types/invoice.paid", NULL);

	assert_status(&made, 201);
	g_assert_nonnull(strstr(made.body->str, "1.50"));
	assert_status(&again, 200);
	assert_status(&shown, 200);
	g_assert_cmpstr(again.body->str, ==, shown.body->str);
	g_assert_true(json_is_false(json_object_get(shown.json, "built_in")));
	assert_refused(h, h->site, "PUT", "/v1/event-types/booking_added", "{}", 409, "conflict");
	assert_refused(h, h->site, "DELETE", "/v1/event-types/booking_added", NULL, 409, "conflict");
	assert_refused(h, h->site, "PUT", "/v1/event-types/a%20b", "{}", 400, "invalid_parameter");
	assert_pointer(h, h->site, "PUT", "/v1/event-types/a.b", "{\"name\":\"c\"}", "invalid_field", "/name");
	g_free(done(h, h->site, "DELETE", "/v1/event-types/invoice.paid", NULL, 204, "id"));
	assert_refused(h, h->emit, "GET", "/v1/event-types/invoice.paid", NULL, 404, "not_found");
	close_house(h);
}

static void methods_show_their_forms(void)
{
	house *h = open_house();
	g_auto(reply) basic = call(h, h->seven, "GET", "/v1/methods/basic", NULL);
	json_t *fields = json_object_get(basic.json, "fields");

	assert_status(&basic, 200);
	g_assert_cmpuint(json_array_size(fields), ==, 3);
	g_assert_cmpstr(json_string_value(json_object_get(json_array_get(fields, 2), "format")), ==, "password");
	assert_refused(h, h->seven, "GET", "/v1/methods/nothing", NULL, 404, "not_found");
	close_house(h);
}

/* --- For whoever runs it ----------------------------------------------------------------- */

static void health_and_metrics_need_no_key(void)
{
	house *h = open_house();
	g_auto(reply) alive = call(h, NULL, "GET", "/healthz?nocache=1", NULL);
	g_auto(reply) ready = call(h, NULL, "GET", "/readyz", NULL);
	assert_refused(h, h->site, "GET", "/v1/nothing", NULL, 404, "not_found");
	g_auto(reply) metrics = call(h, NULL, "GET", "/metrics", NULL);
	g_autofree char *type = header(&metrics, "Content-Type");

	assert_status(&alive, 200);
	assert_status(&ready, 200);
	g_assert_cmpstr(text(&ready, "status"), ==, "ok");
	g_assert_cmpstr(type, ==, "text/plain; version=0.0.4; charset=utf-8");
	g_assert_nonnull(
		strstr(metrics.body->str,
		       "bellhop_api_requests_total{method=\"PUT\",route=\"/v1/managers/{}\",status=\"2xx\"} 2\n"));
	g_assert_nonnull(strstr(metrics.body->str, "bellhop_api_problems_total{code=\"not_found\"} 1\n"));
	g_assert_nonnull(strstr(metrics.body->str, "bellhop_journal_failing 0\n"));
	close_house(h);
}

static void changes_are_in_the_audit_log(void)
{
	house *h = open_house();
	g_auto(reply) r = call(h, h->site, "GET", "/v1/audit?limit=1", NULL);
	json_t *line = json_array_get(json_object_get(r.json, "data"), 0);

	assert_status(&r, 200);
	g_assert_true(g_str_has_prefix(json_string_value(json_object_get(line, "who")), "key"));
	g_assert_cmpstr(json_string_value(json_object_get(line, "from")), ==, "127.0.0.1");
	g_assert_true(g_str_has_prefix(json_string_value(json_object_get(line, "what")), "key.put key_"));
	close_house(h);
}

/* --- Going away -------------------------------------------------------------------------- */

/* A connection of our own, with `bytes` sent over it. */
static int raw_connection(const house *h, const char *bytes)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_port = htons((uint16_t)atoi(strrchr(bh_api_address(h->api), ':') + 1));
	g_assert_cmpint(connect(fd, (struct sockaddr *)(void *)&address, sizeof address), ==, 0);
	g_assert_cmpint(write(fd, bytes, strlen(bytes)), ==, (ssize_t)strlen(bytes));
	return fd;
}

static char *raw_post(const house *h)
{
	static const char BODY[] = "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12}}";

	return g_strdup_printf("POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
			       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			       h->emit, strlen(BODY), BODY);
}

static void a_client_that_leaves_while_it_is_committed_hurts_nobody(void)
{
	house *h = open_house();
	g_autofree char *post = raw_post(h);

	pthread_mutex_lock(&h->gate); /* the journal stops before it tells anybody */
	for (int i = 0; i < 5; i++)
		close(raw_connection(h, post));
	wait_for_metric(h, "bellhop_api_suspended 5\n");
	pthread_mutex_unlock(&h->gate);
	wait_for_metric(h, "bellhop_api_suspended 0\n");
	g_assert_cmpuint(count_rows(h, h->site, "/v1/events"), ==, 5);
	close_house(h);
}

static void half_a_request_does_not_keep_it_from_stopping(void)
{
	house *h = open_house();
	g_autofree char *post = raw_post(h);

	int idle = raw_connection(h, "");
	post[strlen(post) - 10] = '\0';
	int half = raw_connection(h, post);
	wait_for_metric(h, "bellhop_api_intake_bytes 51\n");
	bh_mono before = bh_clock_mono();
	close_house(h);
	g_assert_cmpint(bh_mono_since(bh_clock_mono(), before), <, 5 * BH_SECOND);
	close(idle);
	close(half);
}

static void *close_api(void *user)
{
	house *h = user;

	bh_api_close(h->api);
	return NULL;
}

static void stopping_waits_for_what_is_under_way(void)
{
	house *h = open_house();
	g_autofree char *post = raw_post(h);
	char answer[64] = "";
	pthread_t closer;

	pthread_mutex_lock(&h->gate);
	int fd = raw_connection(h, post);
	wait_for_metric(h, "bellhop_api_suspended 1\n");
	pthread_create(&closer, NULL, close_api, h);
	pthread_mutex_unlock(&h->gate);
	g_assert_cmpint(recv(fd, answer, 12, MSG_WAITALL), ==, 12);
	g_assert_cmpstr(answer, ==, "HTTP/1.1 202");
	pthread_join(closer, NULL);
	close(fd);

	h->api = NULL; /* closed; the rest closes as ever */
	close_house(h);
}

static void once_it_stops_new_requests_are_sent_away(void)
{
	house *h = open_house();
	char answer[13] = "";
	int fd = raw_connection(h, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	char *request = g_strdup_printf(
		"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", h->site);
	GString *all = g_string_new(NULL);
	ssize_t got;

	g_assert_cmpint(recv(fd, answer, 12, MSG_WAITALL), ==, 12);
	bh_api_quiesce(h->api);
	g_assert_cmpint(write(fd, request, strlen(request)), ==, (ssize_t)strlen(request));
	while ((got = recv(fd, answer, 12, 0)) > 0)
		g_string_append_len(all, answer, got);
	g_assert_nonnull(strstr(all->str, "HTTP/1.1 503"));
	g_assert_nonnull(strstr(all->str, "Retry-After: 1"));
	g_assert_nonnull(strstr(all->str, "\"code\":\"busy\""));
	g_string_free(all, TRUE);
	g_free(request);
	close(fd);
	close_house(h);
}

static void a_taken_port_is_an_error_that_says_what_to_do(void)
{
	house *h = open_house();
	g_autoptr(GError) error = NULL;
	g_autofree char *listen = g_strconcat("listen=", bh_api_address(h->api), NULL);
	bh_settings *same = bh_settings_load(NULL, (char *[]){listen, NULL}, NULL);
	bh_api_rooms rooms = {.store = h->store, .directory = h->directory, .journal = h->journal, .sealer = h->sealer};

	g_assert_null(bh_api_open(&rooms, same, h->guard, h->methods, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_IO);
	g_assert_nonnull(strstr(error->message, "--listen"));
	bh_settings_free(same);
	close_house(h);
}

static void several_threads_serve_as_one(void)
{
	house *h = open_house_with((char *[]){(char *)"api_threads=3", NULL});

	for (int i = 0; i < 12; i++)
		g_free(done(h, h->emit, "POST", "/v1/events",
			    "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12}}", 202, "id"));
	g_assert_cmpuint(walk(h, h->site, "/v1/events?limit=5", "id"), ==, 12);
	close_house(h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_ALL);
	bh_log_setup(BH_ERR, false, 2);
#define TEST(name_) g_test_add_func("/api/" #name_, name_)
	TEST(without_a_key_nothing_is_told);
	TEST(a_role_may_use_its_routes_and_no_others);
	TEST(what_is_anothers_is_not_there);
	TEST(lists_show_ones_own_only);
	TEST(a_wrong_verb_is_told_the_right_ones);
	TEST(head_is_get_without_the_body);
	TEST(what_is_too_large_is_refused);
	TEST(all_bodies_together_are_bounded);
	TEST(the_content_type_must_be_right);
	TEST(bad_json_is_named_by_line_and_column);
	TEST(a_wrong_field_is_named_by_a_pointer);
	TEST(query_parameters_are_checked);
	TEST(ids_of_the_site_may_be_any_text);
	TEST(every_list_is_walked_without_loss_or_repeat);
	TEST(a_cursor_serves_its_own_list_only);
	TEST(managers_come_change_and_go);
	TEST(properties_come_change_and_go);
	TEST(keys_are_shown_once_and_revoked);
	TEST(event_types_of_the_site_come_change_and_go);
	TEST(methods_show_their_forms);
	TEST(health_and_metrics_need_no_key);
	TEST(changes_are_in_the_audit_log);
	TEST(a_client_that_leaves_while_it_is_committed_hurts_nobody);
	TEST(half_a_request_does_not_keep_it_from_stopping);
	TEST(stopping_waits_for_what_is_under_way);
	TEST(once_it_stops_new_requests_are_sent_away);
	TEST(a_taken_port_is_an_error_that_says_what_to_do);
	TEST(several_threads_serve_as_one);
	return g_test_run();
}
