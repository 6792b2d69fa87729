/* The event that scripts see: decoded when it is looked into, each run's own, and passed from stage to stage. */
#include "script_house.h"

#define DATA \
	"{\"id\":18446744073709551615,\"guest\":{\"name\":\"Ana\"},\"rooms\":[101,102],\"note\":null,\"total\":412.50}"

static void set_up(house *h, gconstpointer unused)
{
	house_set_up(h, NULL);
	h->data = DATA;
	h->details = "{\"email\":\"ana@example.org\"}";
	house_write_deliver(h, "echo", "", "return remote.delivered(event.body)");
}

/* What an own script's transform makes of the event. */
static void assert_makes(house *h, const char *code, const char *expected)
{
	g_autofree char *script = g_strdup_printf("return { transform = function(event, settings) %s end }", code);
	g_auto(ending) e = house_run(h, "echo", script);
	gsize size;
	const char *body = g_bytes_get_data(e.body, &size);

	if (e.turn == BH_SCRIPT_BROKE)
		g_error("%s: %s", code, e.text);
	g_assert_cmpstr(e.text, ==, expected);
	g_assert_cmpmem(body, size, expected, strlen(expected));
}

static void members_are_decoded_on_the_first_look(house *h, gconstpointer unused)
{
	assert_makes(h, "return event.data.guest.name .. #event.data.rooms", "Ana2");
	assert_makes(h, "return tostring(event.data.note) .. tostring(event.data.nothing)", "nullnil");
	assert_makes(h, "return event.details.email", "ana@example.org");
	assert_makes(h, "return tostring(event.channel)", "nil");
	assert_makes(h, "return tostring(event.data == event.data)", "true");
	assert_makes(h, "return tostring(event.unknown) .. tostring(event[1]) .. tostring(event.attempt)", "nilnilnil");
	assert_makes(h, "return json.encode(event.data) ",
		     "{\"guest\":{\"name\":\"Ana\"},\"id\":18446744073709551615,\"note\":null,\"rooms\":[101,102],"
		     "\"total\":412.5}");
	assert_makes(h, "return tostring(event.test)", "false");
}

static void all_members_are_there_for_who_walks(house *h, gconstpointer unused)
{
	assert_makes(h,
		     "local names = {} for name in pairs(event) do names[#names + 1] = name end table.sort(names) "
		     "return table.concat(names, ' ')",
		     "body data details id occurred_at property_id test type");
	assert_makes(h, "event.data = nil event.body = nil return event",
		     "{\"details\":{\"email\":\"ana@example.org\"},\"id\":\"evt_04f2k8m1q7zr0\","
		     "\"occurred_at\":\"2026-11-25T14:51:02.123456Z\",\"property_id\":\"12\",\"test\":false,"
		     "\"type\":\"booking_added\"}");
}

static void what_a_script_puts_there_stays(house *h, gconstpointer unused)
{
	assert_makes(h, "event.data = nil return tostring(event.data)", "nil");
	assert_makes(h, "event.data = 'x' return event.data", "x");
	assert_makes(h, "local d = event.data event.data = nil return tostring(event.data) .. #d.rooms", "nil2");
	assert_makes(h, "event.more = 1 return event.more .. event.details.email", "1ana@example.org");
	assert_makes(h, "event.data.extra = { a = 1 } return json.encode(event.data.extra)", "{\"a\":1}");
}

/* A table that transform returns is what json-big-int is about: every digit arrives. */
static void big_integers_pass_through_a_transform(house *h, gconstpointer unused)
{
	h->data = "{\"property_uid\":7,\"a\":9007199254740993,\"b\":7615917337495251231,\"c\":18446744073709551615,"
		  "\"d\":-9223372036854775808}";
	assert_makes(h, "event.data.property_uid = 8 return event.data",
		     "{\"a\":9007199254740993,\"b\":7615917337495251231,\"c\":18446744073709551615,"
		     "\"d\":-9223372036854775808,\"property_uid\":8}");
}

static void later_stages_see_what_earlier_ones_made(house *h, gconstpointer unused)
{
	g_autofree char *why = NULL;
	const char *method =
		"return { title = 'T', fields = { { key = 'url', format = 'url', title = 'URL' }, "
		"{ key = 'password', format = 'password', title = 'P' } },\n"
		"accepts = function(event) event.data.seen = event.data.rooms[1] return true end,\n"
		"transform = function(event) event.data.seen = event.data.seen + 1 end,\n"
		"deliver = function(event, settings, remote) return remote.delivered(event.body .. event.data.seen .. "
		"event.attempt) end }";

	g_assert_true(house_write(h, "staged", method, -1, &why));
	g_auto(ending) e = house_run(h, "staged",
				     "return { accepts = function(event) return event.data.seen == 101 end, "
				     "transform = function(event) return 'made ' .. event.data.seen .. ' ' end }");
	g_assert_cmpint(e.turn, ==, BH_SCRIPT_RETURNED);
	g_assert_cmpint(e.kind, ==, BH_JUDGED_DELIVERED);
	g_assert_cmpstr(e.text, ==, "made 102 1023");
}

static void no_run_sees_what_another_made(house *h, gconstpointer unused)
{
	const char *code = "local before = tostring(event.data.mark) .. tostring(event.data.guest.mark) .. "
			   "tostring(event.mark) .. #event.data.rooms\n"
			   "event.mark = 1 event.data.mark = 1 event.data.guest.mark = 1 "
			   "table.insert(event.data.rooms, 1) event.details = nil\n"
			   "return before";

	for (int i = 0; i < 3; i++)
		assert_makes(h, code, "nilnilnil2");
	assert_makes(h, "return event.details.email", "ana@example.org");
}

static void time_is_told_to_deliver_alone(house *h, gconstpointer unused)
{
	bh_script_host_now(h->host, (bh_now){.wall = 1795618262500000, .mono = {1}});
	house_write_deliver(h, "clock", "", "return remote.delivered(('%.3f'):format(time.now()))");
	g_auto(ending) told = house_run(h, "clock", NULL);
	g_assert_cmpstr(told.text, ==, "1795618262.500");

	g_auto(ending) refused = house_run(h, "clock", "return {\n transform = function() return time.now() end }");
	g_assert_cmpint(refused.turn, ==, BH_SCRIPT_BROKE);
	g_assert_cmpstr(refused.text, ==,
			"script:2: time.now can be called in deliver only: the same event makes the same body");
}

static void a_test_is_told_so(house *h, gconstpointer unused)
{
	h->is_test = true;
	assert_makes(h, "return tostring(event.test)", "true");
}

#define ADD(name) g_test_add("/script_event/" #name, house, NULL, set_up, name, house_tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);

	ADD(members_are_decoded_on_the_first_look);
	ADD(all_members_are_there_for_who_walks);
	ADD(what_a_script_puts_there_stays);
	ADD(big_integers_pass_through_a_transform);
	ADD(later_stages_see_what_earlier_ones_made);
	ADD(no_run_sees_what_another_made);
	ADD(time_is_told_to_deliver_alone);
	ADD(a_test_is_told_so);
	return g_test_run();
}
