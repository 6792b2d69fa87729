/* What webhooks, deliveries and recoveries are said to be, in words for their owner. */
#include "cli/delivery_words.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/webhook_view.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOON (INT64_C(1767268800) * BH_SECOND) /* 2026-01-01T12:00:00Z */

static const bh_view VIEW = {.now = NOON, .screen = {.width = 160}};

static bh_json *parsed(const char *text)
{
	bh_json *json = bh_json_new();
	g_assert_true(bh_json_parse(json, bh_span_of(text), NULL));
	return json;
}

/* --- Webhooks ------------------------------------------------------------------------------ */

static void a_webhook_says_how_it_is_sent_to(void)
{
	const struct {
		const char *webhook, *line; /* NULL: no such line */
		const char *title;
	} rows[] = {
		{"{\"order_by\":\"property\"}", "one after the other for each property", "order"},
		{"{\"order_by\":null}", NULL, "order"},
		{"{\"coalesce\":{\"seconds\":30,\"fields\":[\"property\"]}}",
		 "of events of one type with the same property, only the newest within 30 s is sent", "coalescing"},
		{"{\"coalesce\":{\"seconds\":2.5,\"fields\":[\"property\",\"room_uid\",\"rate\"]}}",
		 "of events of one type with the same property, room_uid and rate, only the newest within 2.5 s is sent",
		 "coalescing"},
		{"{\"coalesce\":{\"seconds\":5400,\"fields\":[\"a\",\"b\"]}}",
		 "of events of one type with the same a and b, only the newest within 90 min is sent", "coalescing"},
		{"{\"coalesce\":null}", NULL, "coalescing"},
		{"{\"rate_limit\":{\"requests\":60,\"seconds\":60}}", "at most 60 requests a minute", "rate"},
		{"{\"rate_limit\":{\"requests\":5,\"seconds\":90}}", "at most 5 requests in 90 s", "rate"},
		{"{\"rate_limit\":{\"requests\":5,\"seconds\":7200}}", "at most 5 requests in 2 h", "rate"},
		{"{\"rate_limit\":{\"requests\":1,\"seconds\":1}}", "at most 1 request a second", "rate"},
		{"{\"rate_limit\":{\"requests\":5}}", NULL, "rate"},
		{"{\"tls\":{\"ca\":\"-----BEGIN\",\"ca_expires_at\":\"2027-01-01T00:00:00Z\"}}",
		 "certificate authorities of its own only; good until 2027-01-01 00:00:00 +0000", "trusts"},
		{"{\"tls\":{\"ca\":null,\"ca_expires_at\":null,\"certificate\":null,\"key\":null}}", NULL, "trusts"},
		{"{\"tls\":{\"certificate\":\"-----BEGIN\",\"certificate_expires_at\":\"2025-12-31T12:00:00Z\"}}",
		 "shown to the receiver; EXPIRED 2025-12-31 12:00:00 +0000 (24 h ago)", "client certificate"},
		{"{\"tls\":null}", NULL, "client certificate"},
		{"{\"failing_since\":\"2026-01-01T09:00:00Z\"}", "2026-01-01 09:00:00 +0000 (3 h ago)",
		 "failing since"},
		{"{\"disables_at\":\"2026-01-02T12:00:00Z\"}",
		 "2026-01-02 12:00:00 +0000 (in 24 h), if nothing can be delivered until then", "will be disabled at"},
		{"{\"warnings\":[{\"code\":\"a\",\"sentence\":\"One.\"},{\"code\":\"b\",\"sentence\":\"T\\u001bwo.\"}]}",
		 "One.\n              T\\u001bwo.\n", "warning"},
		{"{\"warnings\":[]}", NULL, "warning"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].webhook);
		g_autoptr(bh_json) json = parsed(rows[i].webhook);
		g_autoptr(GString) out = g_string_new(NULL);
		bh_view_one(&VIEW, json, 0, BH_WEBHOOK_VIEW, out);
		g_autofree char *title = g_strdup_printf("\n  %s  ", rows[i].title);
		g_autofree char *text = g_strconcat("\n", out->str, NULL);
		const char *line = strstr(text, title);
		g_assert_true((line != NULL) == (rows[i].line != NULL));
		if (!line)
			continue;
		line += strlen(title);
		g_assert_true(g_str_has_prefix(line + strspn(line, " "), rows[i].line));
	}
}

static void settings_of_another_form_do_no_harm(void)
{
	static const char *const texts[] = {
		"{\"order_by\":{},\"coalesce\":7,\"rate_limit\":[],\"tls\":\"x\",\"warnings\":{\"a\":1}}",
		"{\"coalesce\":{\"seconds\":\"x\",\"fields\":7},\"rate_limit\":{\"seconds\":-1},\"warnings\":[1,null]}",
		"{\"coalesce\":{\"seconds\":1e300,\"fields\":{}},\"tls\":{\"ca\":[],\"ca_expires_at\":7}}"};
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(bh_json) json = parsed(texts[i]);
		g_autoptr(GString) out = g_string_new(NULL);
		g_autoptr(bh_table) table = bh_view_table(BH_WEBHOOKS_VIEW);
		bh_view_one(&VIEW, json, 0, BH_WEBHOOK_VIEW, out);
		bh_view_add(&VIEW, table, json, 0, BH_WEBHOOKS_VIEW);
		bh_table_print(table, VIEW.screen, 0, out);
	}
}

/* --- Deliveries ---------------------------------------------------------------------------- */

static void a_delivery_says_what_it_waits_for_and_what_went_instead(void)
{
	const struct {
		const char *delivery, *why;
	} rows[] = {
		{"{\"reason\":null}", NULL},
		{"{\"reason\":\"No attempt is left.\"}", "No attempt is left."},
		{"{\"reason\":\"A newer one was sent.\",\"superseded_by\":\"dlv_2\"}", "A newer one was sent: dlv_2."},
		{"{\"superseded_by\":\"dlv_2\"}", "The newer dlv_2 was sent in its place."},
		{"{\"waits_for_earlier\":true,\"order_key\":\"4711\"}",
		 "It waits until an earlier one with the order key \"4711\" has ended."},
		{"{\"waits_for_earlier\":true}", "It waits until an earlier one has ended."},
		{"{\"waits_for_earlier\":false,\"order_key\":\"4711\"}", NULL},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_json) json = parsed(rows[i].delivery);
		g_autofree char *why = bh_delivery_why(&VIEW, json, 0);
		g_assert_cmpstr(why, ==, rows[i].why);
	}
}

static void a_delivery_whose_time_has_come_waits_for_its_turn(void)
{
	static const char TURN[] =
		"its turn: the receiver is asked only now and then while it fails, or has had its rate";
	const struct {
		const char *delivery, *waits_for;
	} rows[] = {
		{"{\"due_at\":\"2026-01-01T11:59:50Z\"}", TURN},
		{"{\"due_at\":\"2026-01-01T11:59:59Z\"}", NULL}, /* about to be sent */
		{"{\"due_at\":\"2026-01-01T12:30:00Z\"}", NULL},
		{"{\"due_at\":null}", NULL},
		{"{\"due_at\":null,\"waits_for_earlier\":true,\"order_key\":\"4711\"}",
		 "an earlier one with the order key \"4711\""},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_json) json = parsed(rows[i].delivery);
		g_autofree char *waits_for = bh_delivery_waits_for(&VIEW, json, 0);
		g_assert_cmpstr(waits_for, ==, rows[i].waits_for);
	}
}

/* --- Progress ------------------------------------------------------------------------------ */

static void a_line_shows_how_far_it_is(void)
{
	const struct {
		bh_progress progress;
		int width;
		const char *line;
	} rows[] = {
		{{0, 100, 20}, 60, "[--------------------------------]  0 of 100  about 6 s left"},
		{{50, 100, 0}, 80, "[####################--------------------]  50 of 100"},
		{{100, 100, 20}, 80, "[########################################]  100 of 100"},
		{{0, 0, 20}, 80, "[----------------------------------------]  0 of 0"},
		{{5, 3, 20}, 40, "[##############################]  5 of 3"},
		{{1000, 100000, 20}, 20, "1000 of 100000  abo\342\200\246"},
		{{0, INT64_MAX, 1}, 70, "[------------------------]  0 of 9223372036854775807  about 365 d left"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) line = g_string_new(NULL);
		bh_progress_line(&rows[i].progress, rows[i].width, line);
		g_test_message("%s", line->str);
		g_assert_cmpint(bh_text_width(line->str), <=, rows[i].width);
		g_assert_cmpstr(line->str, ==, rows[i].line);
	}
}

int main(int argc, char **argv)
{
	g_setenv("TZ", "UTC", TRUE);
	tzset();
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cli/words/a webhook says how it is sent to", a_webhook_says_how_it_is_sent_to);
	g_test_add_func("/cli/words/settings of another form do no harm", settings_of_another_form_do_no_harm);
	g_test_add_func("/cli/words/a delivery says what it waits for and what went instead",
			a_delivery_says_what_it_waits_for_and_what_went_instead);
	g_test_add_func("/cli/words/a delivery whose time has come waits for its turn",
			a_delivery_whose_time_has_come_waits_for_its_turn);
	g_test_add_func("/cli/words/a line shows how far it is", a_line_shows_how_far_it_is);
	return g_test_run();
}
