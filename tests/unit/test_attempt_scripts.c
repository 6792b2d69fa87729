/* Attempts of webhooks with a script of their own: filtered, transformed, coalesced by what they want, computing for long. */
#include "delivery/loop.h"
#include "engine_house.h"

static const act POLITE[] = {{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, {AGAIN}};
static const act MOODY[] = {{READ},
			    {SEND, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"},
			    {READ},
			    {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
			    {HOLD}};
static const char *const QUICK[] = {"retry_schedule=10ms,10ms", "retry_jitter_first=0s", "retry_jitter_percent=0",
				    NULL};
static const char *const ONE_AT_A_TIME[] = {"retry_schedule=10ms,10ms", "in_flight_per_webhook=1", NULL};

#define WANTED "{\"property_uid\":12,\"wanted\":true}"
#define UNWANTED "{\"property_uid\":12,\"wanted\":false}"
#define WANTS "return { accepts = function(event) return event.body:find([[\"wanted\":true]], 1, true) ~= nil end }"

static void use_script(house *h, const char *script, bh_usec coalesce)
{
	bh_webhook *w = edit_webhook(h);
	g_free(w->script);
	w->script = g_strdup(script);
	w->coalesce = coalesce;
	put_webhook(h, w);
}

static house *open_scripted(const act *const *acts, const char *const *settings, const char *script, bh_usec coalesce)
{
	house *h = open_house(acts, settings);
	use_script(h, script, coalesce);
	return h;
}

static bh_id offer(house *h, const char *data)
{
	return hand_over_as(h, &(wish){.data = data});
}

static bh_id offer_keyed(house *h, const char *data)
{
	return hand_over_as(h, &(wish){.data = data, .coalesce_key = "12"});
}

/* --- filtered ------------------------------------------------------------------------------------------- */

static void what_a_condition_does_not_want_is_filtered_and_not_attempted(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, QUICK, WANTS, 0);
	start_loops(h);
	g_autoptr(bh_delivery) no = await_state(h, offer(h, UNWANTED), BH_STATE_FILTERED);
	g_autoptr(bh_delivery) yes = await_state(h, offer(h, WANTED), BH_STATE_DELIVERED);
	g_assert_cmpint(no->attempts, ==, 0);
	g_assert_cmpint(no->spent, ==, 0);
	g_assert_cmpstr(no->reason, ==, "A condition of the webhook's own script does not want this event.");
	g_assert_cmpint(yes->attempts, ==, 1);
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 1);
	close_house(h);
}

static void a_test_is_sent_whatever_the_conditions_say(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, QUICK, WANTS, 0);
	start_loops(h);
	bh_id test = hand_over_as(h, &(wish){.data = UNWANTED, .is_test = true});
	bh_delivery_free(await_state(h, test, BH_STATE_DELIVERED));
	close_house(h);
}

static void conditions_are_asked_at_each_attempt(void)
{
	house *h = open_scripted((const act *const[]){MOODY, NULL}, (const char *const[]){"retry_schedule=1h", NULL},
				 NULL, 0);
	start_loops(h);
	bh_id id = offer(h, UNWANTED);
	for (int attempts = 0; attempts < 1;) {
		g_autoptr(bh_delivery) d = look(h, id);
		attempts = d->attempts;
	}
	use_script(h, WANTS, 0);
	bh_write now = {.kind = BH_WRITE_MOVE,
			.delivery_id = id,
			.webhook_id = WEBHOOK,
			.state = BH_STATE_PENDING,
			.due_at = bh_clock_wall(),
			.at = bh_clock_wall()};
	bh_write *writes[] = {&now};
	g_assert_true(write_all(h, writes, 1, NULL));
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_FILTERED);
	g_assert_cmpint(d->attempts, ==, 1);
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 1);
	close_house(h);
}

/* Those that are filtered before it hold nobody up. */
static void the_next_of_an_order_key_follows_a_filtered_one(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, QUICK, WANTS, 0);
	bh_id first = hand_over_as(h, &(wish){.data = UNWANTED, .order_key = "41"});
	bh_id second = hand_over_as(h, &(wish){.data = WANTED, .order_key = "41"});
	start_loops(h);
	bh_delivery_free(await_state(h, second, BH_STATE_DELIVERED));
	g_autoptr(bh_delivery) d = look(h, first);
	g_assert_cmpint(d->state, ==, BH_STATE_FILTERED);
	close_house(h);
}

/* --- transformed ---------------------------------------------------------------------------------------- */

static void what_transform_makes_is_sent_signed_and_kept(void)
{
	house *h = open_scripted(
		(const act *const[]){POLITE, NULL}, QUICK,
		"return { transform = function(event) return { uid = json.decode(event.body).data.property_uid } end }",
		0);
	start_loops(h);
	bh_id id = offer(h, WANTED);
	bh_delivery_free(await_state(h, id, BH_STATE_DELIVERED));

	const char *text = request(h, 1), *body = strstr(text, "\r\n\r\n") + 4;
	g_assert_cmpstr(body, ==, "{\"uid\":12}");
	g_autofree char *event = header_of(text, "webhook-id"), *at = header_of(text, "webhook-timestamp"),
			*signature = header_of(text, "webhook-signature");
	g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
	g_assert_cmpint(bh_signature_verify(bh_snapshot_webhook(now, WEBHOOK)->secret, event, at, signature,
					    bh_span_of(body), bh_clock_wall() / BH_SECOND, 300),
			==, BH_VERIFIED);
	g_autoptr(GPtrArray) owner = NULL;
	g_assert_true(bh_span_is(attempt(h, id, 1, &owner)->sent, "{\"uid\":12}"));
	close_house(h);
}

/* --- coalesced ------------------------------------------------------------------------------------------ */

static void one_that_is_wanted_does_not_give_way_to_one_that_is_not(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, QUICK, WANTS, BH_SECOND);
	bh_id wanted = offer_keyed(h, WANTED), newer = offer_keyed(h, UNWANTED);
	start_loops(h);
	bh_delivery_free(await_state(h, wanted, BH_STATE_DELIVERED));
	bh_delivery_free(await_state(h, newer, BH_STATE_FILTERED));
	close_house(h);
}

static void it_gives_way_to_the_newest_that_is_wanted(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, QUICK, WANTS, BH_SECOND);
	bh_id oldest = offer_keyed(h, WANTED);
	(void)offer_keyed(h, UNWANTED);
	bh_id newest = offer_keyed(h, WANTED);
	for (int i = 0; i < 5; i++)
		(void)offer_keyed(h, UNWANTED);
	start_loops(h);
	g_autoptr(bh_delivery) d = await_state(h, oldest, BH_STATE_COALESCED);
	g_assert_cmpint(d->superseded_by, ==, newest);
	bh_delivery_free(await_state(h, newest, BH_STATE_DELIVERED));
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 1);
	close_house(h);
}

static void a_condition_that_breaks_takes_nobodys_place(void)
{
	house *h = open_scripted(
		(const act *const[]){POLITE, NULL}, QUICK,
		"return { accepts = function(event) return event.body:find('broken') and event.no.such or true end }",
		BH_SECOND);
	bh_id older = offer_keyed(h, WANTED), newer = offer_keyed(h, "{\"broken\":true}");
	start_loops(h);
	bh_delivery_free(await_state(h, older, BH_STATE_DELIVERED));
	g_autoptr(bh_delivery) d = await_state(h, newer, BH_STATE_EXHAUSTED);
	g_assert_cmpint(d->attempts, ==, 3);
	close_house(h);
}

/* Of a burst that nobody wants only so many are asked for. What went out is newer news than ours all the same. */
static void an_old_one_is_not_sent_after_a_new_one_whatever_came_since(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, ONE_AT_A_TIME, WANTS, BH_SECOND);
	bh_id old = hand_over_as(h, &(wish){.data = WANTED, .coalesce_key = "12", .delay = BH_HOUR});
	bh_id new = offer_keyed(h, WANTED);
	start_loops(h);
	bh_delivery_free(await_state(h, new, BH_STATE_DELIVERED));
	close_engine(h);

	open_engine(h);
	bh_write now = {.kind = BH_WRITE_MOVE,
			.delivery_id = old,
			.webhook_id = WEBHOOK,
			.state = BH_STATE_PENDING,
			.due_at = bh_clock_wall() - BH_MINUTE,
			.at = bh_clock_wall()};
	bh_write *writes[] = {&now};
	g_assert_true(write_all(h, writes, 1, NULL));
	bh_id last = 0;
	for (int i = 0; i < 40; i++)
		last = offer_keyed(h, UNWANTED);
	start_loops(h);
	bh_delivery_free(await_state(h, last, BH_STATE_FILTERED));
	g_autoptr(bh_delivery) d = await_state(h, old, BH_STATE_COALESCED);
	g_assert_cmpint(d->superseded_by, ==, new);
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 1);
	close_house(h);
}

/* --- broken, endless ------------------------------------------------------------------------------------- */

static void a_script_that_breaks_costs_its_attempts_and_says_where(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, QUICK,
				 "return {\n accepts = function(event)\n  return event.no.such end }", 0);
	start_loops(h);
	bh_id id = offer(h, WANTED);
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_EXHAUSTED);
	g_autoptr(GPtrArray) owner = NULL;
	bh_attempt_row *a = attempt(h, id, 1, &owner);
	g_assert_cmpint(d->attempts, ==, 3);
	g_assert_cmpstr(a->cause, ==, "script");
	g_assert_true(g_str_has_prefix(a->sentence, "The webhook's own script failed: script:3: "));
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 0);
	close_house(h);
}

static void a_script_without_an_end_is_ended(void)
{
	static const char *const once[] = {"retry_schedule=1h", NULL};
	static const char *const scripts[] = {
		"return { accepts = function() while true do end end }",
		"return { transform = function() while true do end end }",
		"return { transform = function() while true do pcall(function() while true do end end) end end }",
		"return { accepts = function() local t = {} while true do t[#t + 1] = {} end end }",
	};
	house *h = open_house((const act *const[]){POLITE, NULL}, once);
	start_loops(h);
	for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
		use_script(h, scripts[i], 0);
		bh_id id = offer(h, WANTED);
		for (int attempts = 0; attempts < 1; g_usleep(2000)) {
			g_autoptr(bh_delivery) d = look(h, id);
			attempts = d->attempts;
		}
		g_autoptr(GPtrArray) owner = NULL;
		bh_attempt_row *a = attempt(h, id, 1, &owner);
		g_assert_cmpstr(a->cause, ==, "script");
		g_assert_cmpstr(a->outcome, ==, "failed");
	}
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 0);
	close_house(h);
}

/* What computes at a stop has sent nothing: it is as if it had not begun. */
static void a_stop_does_not_wait_for_those_who_compute(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, QUICK,
				 "return { accepts = function() for i = 1, 4000000 do end return true end }", 0);
	bh_id ids[8];
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = offer(h, WANTED);
	start_loops(h);
	close_engine(h);
	open_engine(h);
	size_t left = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		g_autoptr(bh_delivery) d = look(h, ids[i]);
		g_assert_true(d->state == BH_STATE_DELIVERED || d->state == BH_STATE_PENDING);
		g_assert_cmpint(d->attempts, ==, d->state == BH_STATE_DELIVERED ? 1 : 0);
		left += d->state == BH_STATE_PENDING;
	}
	g_assert_cmpuint(receiver_requests(h->receiver), ==, G_N_ELEMENTS(ids) - left);
	start_loops(h);
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		bh_delivery_free(await_state(h, ids[i], BH_STATE_DELIVERED));
	g_assert_cmpuint(receiver_requests(h->receiver), ==, G_N_ELEMENTS(ids));
	close_house(h);
}

/* More than one turn's share of runs, each longer than a slice: all of them come through. */
static void many_that_compute_for_long_all_get_their_turns(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, QUICK,
				 "return { transform = function() for i = 1, 300000 do end end }", 0);
	bh_id ids[40];
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		ids[i] = offer(h, WANTED);
	start_loops(h);
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		bh_delivery_free(await_state(h, ids[i], BH_STATE_DELIVERED));
	g_assert_cmpuint(receiver_requests(h->receiver), ==, G_N_ELEMENTS(ids));
	close_house(h);
}

#define QUICK_WEBHOOKS 60

static void put_quick_webhooks(house *h)
{
	for (bh_id id = WEBHOOK + 1; id <= WEBHOOK + QUICK_WEBHOOKS; id++) {
		bh_webhook *quick = edit_webhook(h);
		quick->id = id;
		quick->revision = 1;
		g_clear_pointer(&quick->script, g_free);
		put_webhook(h, quick);
	}
}

/* A long run and 120 quick ones, all at once, on a loop that is turned by hand: these do not wait for a slice of his each. */
static void who_is_quick_does_not_stand_behind_who_computes(void)
{
	house *h = open_scripted((const act *const[]){POLITE, NULL}, (const char *const[]){"delivery_loops=1", NULL},
				 "return { accepts = function() for i = 1, 9000000 do end return true end }", 0);
	put_quick_webhooks(h);
	offer(h, WANTED);
	for (int i = 0; i < 2 * QUICK_WEBHOOKS; i++)
		hand_over_as(h, &(wish){.webhook = WEBHOOK + 1 + i % QUICK_WEBHOOKS});

	g_autoptr(GError) error = NULL;
	g_assert_true(bh_loops_prepare(h->loops, h->journal, &error));
	bh_loop *loop = bh_loops_at(h->loops, 0);
	do
		bh_loop_turn(loop);
	while (loop->turns.waiting.length > 0);
	g_assert_cmpuint(loop->counts.sent, ==, 1 + 2 * QUICK_WEBHOOKS);
	g_assert_cmpuint(loop->counts.slices, <, QUICK_WEBHOOKS);
	bh_loop_end(loop);
	close_house(h);
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

#define TOKEN_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define TOKEN "{\"access_token\":\"t0k3n-0123456789\",\"token_type\":\"Bearer\",\"expires_in\":3600}"
/* The token service thinks until it is told to go on; whatever comes then is taken. */
static const act SLOW_TOKEN[] = {{READ},
				 {WAIT},
				 {SEND, TOKEN_HEAD "Content-Length: 75\r\n\r\n" TOKEN},
				 {READ},
				 {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nt0k3n-0123456789"},
				 {READ},
				 {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
				 {HOLD}};
static const act NO_TOKEN[] = {
	{READ},
	{SEND,
	 "HTTP/1.1 401 No\r\nContent-Length: 50\r\n\r\n{\"error\":\"invalid_client\",\"sent\":\"cl13nt s3cr3t/\"}"},
	{AGAIN}};

G_STATIC_ASSERT(sizeof(TOKEN) - 1 == 75);

static void lead_to(house *h, bh_webhook *w, const char *path)
{
	g_autofree char *given =
		g_strdup_printf("{\"url\":\"http://127.0.0.1:%u%s\",\"token_url\":\"http://127.0.0.1:%u/token\","
				"\"client_id\":\"bellhop\",\"client_secret\":\"cl13nt s3cr3t/\","
				"\"credentials\":\"body\",\"scope\":\"hooks\"}",
				h->receiver->port, path, h->receiver->port);
	g_autoptr(GError) error = NULL;
	g_autofree char *pointer = NULL;

	g_free(w->method);
	w->method = g_strdup("oauth");
	g_free(w->settings);
	w->settings = bh_settings_store(bh_methods_find(h->methods, "oauth"), bh_span_of(given), NULL, h->sealer,
					h->guard, &pointer, &error);
	g_assert_no_error(error);
}

/* Until its token has been asked for. */
static house *open_waiting(bh_id *ret_delivery)
{
	house *h = open_house((const act *const[]){SLOW_TOKEN, NULL}, QUICK);
	bh_webhook *w = edit_webhook(h);

	lead_to(h, w, "/hook");
	put_webhook(h, w);
	start_loops(h);
	*ret_delivery = hand_over(h);
	await_requests(h, 1);
	return h;
}

static void a_token_service_is_told_nothing_of_the_event(void)
{
	bh_id id;
	house *h = open_waiting(&id);
	receiver_go(h->receiver);
	bh_delivery_free(await_state(h, id, BH_STATE_DELIVERED));

	const char *asked = request(h, 1);
	g_assert_true(g_str_has_prefix(asked, "POST /token "));
	static const char *const not_its_business[] = {"webhook-", "X-Room-Key", "bellhop-hops", "traceparent"};
	for (size_t i = 0; i < G_N_ELEMENTS(not_its_business); i++)
		g_assert_null(strcasestr(asked, not_its_business[i]));
	g_autofree char *authorization = header_of(request(h, 2), "Authorization");
	g_assert_cmpstr(authorization, ==, "Bearer t0k3n-0123456789");
	g_autofree char *extra = header_of(request(h, 2), "X-Room-Key");
	g_assert_cmpstr(extra, ==, "s3cr3t-1");
	g_autoptr(GPtrArray) owner = NULL;
	bh_attempt_row *a = attempt(h, id, 1, &owner);
	g_assert_null(strstr(a->request, "t0k3n"));
	g_assert_true(bh_span_is(a->body, "***")); /* what the receiver shows of it, too */
	close_house(h);
}

static void who_is_removed_while_he_waits_for_a_token_is_not_sent_to(void)
{
	bh_id id;
	house *h = open_waiting(&id);
	change(h, &(bh_change){.kind = BH_CHANGE_WEBHOOK_REMOVE, .id = WEBHOOK});
	bh_delivery_free(await_state(h, id, BH_STATE_CANCELLED));
	receiver_go(h->receiver);
	close_engine(h); /* waits for the answer under way */
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 1);
	open_engine(h);
	close_house(h);
}

static void who_is_disabled_while_he_waits_for_a_token_is_not_sent_to(void)
{
	bh_id id;
	house *h = open_waiting(&id);
	disable_webhook(h, true);
	bh_delivery_free(await_state(h, id, BH_STATE_HELD));
	receiver_go(h->receiver);
	close_engine(h); /* waits for the answer under way */
	g_assert_cmpuint(receiver_requests(h->receiver), ==, 1);
	open_engine(h);
	g_autoptr(bh_delivery) d = look(h, id);
	g_assert_cmpint(d->state, ==, BH_STATE_HELD);
	g_assert_cmpint(d->attempts, ==, 0);
	close_house(h);
}

static void who_leads_elsewhere_by_then_is_sent_to_there(void)
{
	bh_id id;
	house *h = open_waiting(&id);
	bh_webhook *w = edit_webhook(h);
	lead_to(h, w, "/new");
	put_webhook(h, w);
	receiver_go(h->receiver);
	g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_DELIVERED);
	g_assert_cmpint(d->attempts, ==, 1);
	bool arrived = false;
	for (guint i = 1; i <= receiver_requests(h->receiver); i++) {
		g_assert_false(g_str_has_prefix(request(h, i), "POST /hook "));
		arrived |= g_str_has_prefix(request(h, i), "POST /new ");
	}
	g_assert_true(arrived);
	close_house(h);
}

static void a_refused_client_is_told_and_no_secret_is_kept(void)
{
	house *h = open_house((const act *const[]){NO_TOKEN, NULL}, (const char *const[]){"retry_schedule=1h", NULL});
	bh_webhook *w = edit_webhook(h);
	lead_to(h, w, "/hook");
	put_webhook(h, w);
	start_loops(h);
	bh_id id = hand_over(h);
	for (int attempts = 0; attempts < 1; g_usleep(2000)) {
		g_autoptr(bh_delivery) d = look(h, id);
		attempts = d->attempts;
	}
	g_autoptr(GPtrArray) owner = NULL;
	bh_attempt_row *a = attempt(h, id, 1, &owner);
	g_assert_cmpstr(a->cause, ==, "credentials");
	g_assert_cmpint(a->status, ==, 401);
	g_assert_true(g_str_has_prefix(a->sentence, "The token service "));
	g_assert_true(bh_span_is(a->body, "{\"error\":\"invalid_client\",\"sent\":\"***\"}"));
	g_assert_nonnull(memmem(a->sent.at, a->sent.size, "client_id=bellhop", 17));
	g_assert_nonnull(memmem(a->sent.at, a->sent.size, "client_secret=***", 17));
	g_assert_null(memmem(a->sent.at, a->sent.size, "s3cr3t", 6));
	g_assert_true(g_str_has_prefix(a->request, "POST /token\n"));
	close_house(h);
}

/* A method that quotes what it was sent with, as many a receiver's answer does, in a judgement or in an error. */
static const char QUOTING[] =
	"return { title = 'Quoting', fields = { { key = 'key', format = 'password', title = 'Key' },\n"
	"  { key = 'breaks', format = 'boolean', title = 'Breaks' } },\n"
	"deliver = function(event, settings, remote)\n"
	"  local said = json.encode(settings.key) .. ' ' .. url.encode(settings.key) .. ' ' .. settings.key\n"
	"  if settings.breaks then error(said) end\n"
	"  return remote.fail(said)\n"
	"end }\n";

static void use_quoting(house *h, bool breaks)
{
	g_autofree char *path = g_build_filename(h->folder, "quoting.lua", NULL);
	g_autofree char *given = g_strdup_printf("{\"key\":\"p\\\"q/r s\",\"breaks\":%s}", breaks ? "true" : "false");
	g_autoptr(GError) error = NULL;
	g_assert_true(g_file_set_contents(path, QUOTING, -1, NULL));
	g_autoptr(bh_methods) methods = bh_methods_load_file(path, &error);
	g_assert_no_error(error);
	bh_webhook *w = edit_webhook(h);
	g_free(w->method);
	w->method = g_strdup("quoting");
	g_free(w->settings);
	w->settings = bh_settings_store(bh_methods_find(methods, "quoting"), bh_span_of(given), NULL, h->sealer,
					h->guard, NULL, &error);
	g_assert_no_error(error);
	put_webhook(h, w);
	bh_loops_use(h->loops, h->settings, h->guard, methods, NULL);
}

static void no_password_is_shown_however_a_script_spells_it(void)
{
	static const char *const said[] = {"\"***\" *** ***", "quoting.lua:5: \"***\" *** ***"};

	for (int breaks = 0; breaks <= 1; breaks++) {
		house *h = open_house((const act *const[]){POLITE, NULL}, QUICK);
		use_quoting(h, breaks);
		start_loops(h);
		bh_id id = hand_over(h);
		g_autoptr(bh_delivery) d = await_state(h, id, BH_STATE_EXHAUSTED);
		g_autoptr(GPtrArray) owner = NULL;
		bh_attempt_row *a = attempt(h, id, 1, &owner);
		g_assert_nonnull(strstr(a->sentence, said[breaks]));
		g_assert_null(strstr(a->sentence, "q/r"));
		g_assert_null(strstr(a->sentence, "%2Fr"));
		g_assert_null(strstr(d->reason, "q/r"));
		close_house(h);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	curl_global_init(CURL_GLOBAL_DEFAULT);
#define TEST(f) g_test_add_func("/attempt-scripts/" #f, f)
	TEST(what_a_condition_does_not_want_is_filtered_and_not_attempted);
	TEST(a_test_is_sent_whatever_the_conditions_say);
	TEST(conditions_are_asked_at_each_attempt);
	TEST(the_next_of_an_order_key_follows_a_filtered_one);
	TEST(what_transform_makes_is_sent_signed_and_kept);
	TEST(one_that_is_wanted_does_not_give_way_to_one_that_is_not);
	TEST(it_gives_way_to_the_newest_that_is_wanted);
	TEST(a_condition_that_breaks_takes_nobodys_place);
	TEST(an_old_one_is_not_sent_after_a_new_one_whatever_came_since);
	TEST(a_script_that_breaks_costs_its_attempts_and_says_where);
	TEST(a_script_without_an_end_is_ended);
	TEST(a_stop_does_not_wait_for_those_who_compute);
	TEST(many_that_compute_for_long_all_get_their_turns);
	TEST(who_is_quick_does_not_stand_behind_who_computes);
	TEST(a_token_service_is_told_nothing_of_the_event);
	TEST(who_is_removed_while_he_waits_for_a_token_is_not_sent_to);
	TEST(who_is_disabled_while_he_waits_for_a_token_is_not_sent_to);
	TEST(who_leads_elsewhere_by_then_is_sent_to_there);
	TEST(a_refused_client_is_told_and_no_secret_is_kept);
	TEST(no_password_is_shown_however_a_script_spells_it);
	return g_test_run();
}
