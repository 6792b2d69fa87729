/* Attempts that ask for an access token: which answer counts, and what is kept. */
#include "engine_house.h"

#define ANSWER(status, body) "HTTP/1.1 " status " X\r\nContent-Type: application/json\r\n" body
#define GRANT ANSWER("200", "Content-Length: 47\r\n\r\n{\"access_token\":\"secret-A\",\"expires_in\":3600}  ")
#define UNAUTHORIZED ANSWER("401", "Content-Length: 7\r\n\r\nsee you")
#define UNAVAILABLE ANSWER("503", "Content-Length: 0\r\n\r\n")
#define FINE ANSWER("200", "Content-Length: 0\r\n\r\n")

static const char *const ONCE[] = {"retry_schedule=", NULL};

/* The receiver is the token service, too. */
static house *open_oauth(const act *const *acts)
{
	house *h = open_house(acts, ONCE);
	bh_webhook *w = edit_webhook(h);
	g_autoptr(GError) error = NULL;
	g_autofree char *pointer = NULL;
	g_autofree char *given = g_strdup_printf(
		"{\"url\":\"http://127.0.0.1:%u/hook\",\"token_url\":\"http://127.0.0.1:%u/token\",\"client_id\":\"hub\","
		"\"client_secret\":\"s3cr3t+7\",\"credentials\":\"body\"}",
		h->receiver->port, h->receiver->port);

	g_free(w->method);
	w->method = g_strdup("oauth");
	g_free(w->settings);
	w->settings = bh_settings_store(bh_methods_find(h->methods, "oauth"), bh_span_of(given), NULL, h->sealer,
					h->guard, &pointer, &error);
	g_assert_no_error(error);
	put_webhook(h, w);
	return h;
}

static void a_token_is_fetched_unsigned_and_the_event_delivered_with_it(void)
{
	static const act acts[] = {{READ}, {SEND, GRANT}, {READ}, {SEND, FINE}, {HOLD}};
	house *h = open_oauth((const act *const[]){acts, NULL});
	start_loops(h);
	bh_id id = hand_over_as(h, &(wish){.data = "{}"});
	bh_delivery_free(await_state(h, id, BH_STATE_DELIVERED));

	g_assert_true(g_str_has_prefix(request(h, 1), "POST /token "));
	g_assert_null(strstr(request(h, 1), "webhook-"));
	g_assert_null(strstr(request(h, 1), "X-Room-Key"));
	g_assert_nonnull(strstr(request(h, 2), "Authorization: Bearer secret-A\r\n"));
	g_assert_nonnull(strstr(request(h, 2), "webhook-signature: "));
	g_autoptr(GPtrArray) owner = NULL;
	g_assert_true(g_str_has_prefix(attempt(h, id, 1, &owner)->request, "POST /hook\n"));
	close_house(h);
}

/* The last answer is the token service's, and it is a 200. */
static void a_refusal_counts_though_a_token_was_asked_for_after_it(void)
{
	static const act acts[] = {{READ}, {SEND, GRANT}, {READ}, {SEND, UNAUTHORIZED}, {READ}, {SEND, GRANT}, {HOLD}};
	house *h = open_oauth((const act *const[]){acts, NULL});
	start_loops(h);
	bh_id id = hand_over_as(h, &(wish){.data = "{}"});
	bh_delivery_free(await_state(h, id, BH_STATE_EXHAUSTED));

	g_autoptr(GPtrArray) owner = NULL;
	const bh_attempt_row *row = attempt(h, id, 1, &owner);
	g_assert_cmpint(row->status, ==, 401);
	g_assert_cmpstr(row->cause, ==, "credentials");
	g_assert_true(g_str_has_prefix(row->request, "POST /hook\n"));
	g_assert_true(bh_span_is(row->body, "see you"));
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 3);
	close_house(h);
}

static void what_ends_for_want_of_a_token_keeps_what_the_service_said(void)
{
	static const act acts[] = {{READ}, {SEND, GRANT},       {READ}, {SEND, UNAUTHORIZED},
				   {READ}, {SEND, UNAVAILABLE}, {HOLD}};
	house *h = open_oauth((const act *const[]){acts, NULL});
	start_loops(h);
	bh_id id = hand_over_as(h, &(wish){.data = "{}"});
	bh_delivery_free(await_state(h, id, BH_STATE_EXHAUSTED));

	g_autoptr(GPtrArray) owner = NULL;
	const bh_attempt_row *row = attempt(h, id, 1, &owner);
	g_assert_cmpint(row->status, ==, 503);
	g_assert_cmpstr(row->cause, ==, "token");
	g_assert_cmpstr(row->sentence, ==, "The token service answered 503.");
	g_assert_true(g_str_has_prefix(row->request, "POST /token\n"));
	g_autofree char *sent = g_strndup(row->sent.at, row->sent.size);
	g_assert_null(strstr(sent, "s3cr3t"));
	close_house(h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	g_test_add_func("/attempt/token/fetched", a_token_is_fetched_unsigned_and_the_event_delivered_with_it);
	g_test_add_func("/attempt/token/refused", a_refusal_counts_though_a_token_was_asked_for_after_it);
	g_test_add_func("/attempt/token/none", what_ends_for_want_of_a_token_keeps_what_the_service_said);
	return g_test_run();
}
