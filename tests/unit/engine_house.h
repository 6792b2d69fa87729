/*
 * The delivery room whole: real store, journal, loops, methods and sockets; the receiver plays a script. For its tests.
 */
#pragma once

#include "base/error.h"
#include "base/steady.h"
#include "delivery/delivery.h"
#include "delivery/flight.h"
#include "receiver.h"
#include "transport/signature.h"

#include <curl/curl.h>
#include <glib/gstdio.h>
#include <sqlite3.h>

#define MANAGER "7"
#define WEBHOOK 70

typedef struct house {
	char *folder;
	bh_settings *settings;
	bh_sealer *sealer;
	bh_store *store;
	bh_directory *directory;
	bh_guard *guard;
	bh_methods *methods;
	bh_loops *loops;
	bh_journal *journal;
	bh_reader *reader;
	receiver *receiver;
	size_t recording_max;
} house;

/* What a test wants of an event and its delivery; NULL and 0: nothing special. */
typedef struct wish {
	bh_id webhook; /* 0: WEBHOOK */
	const char *order_key, *coalesce_key;
	bh_usec delay;
	bool is_test;
	bh_test_then then;
	int hops;
	const char *data;
} wish;

G_GNUC_UNUSED static bool write_all(house *h, bh_write **writes, size_t count, GError **error)
{
	bh_entry entry = {.writes = writes, .count = count};
	return bh_journal_submit_and_wait(h->journal, &entry, error);
}

G_GNUC_UNUSED static void change(house *h, const bh_change *change)
{
	g_autoptr(GError) error = NULL;
	bh_write w = {.kind = BH_WRITE_CHANGE,
		      .change = change,
		      .audit_who = "test",
		      .audit_from = "",
		      .at = bh_clock_wall()};
	bh_write *writes[] = {&w};
	g_assert_true(write_all(h, writes, 1, &error));
	g_assert_no_error(error);
}

G_GNUC_UNUSED static void open_engine(house *h)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *url = g_strdup_printf("sqlite:%s/bellhop.db", h->folder);
	h->store = bh_store_open(url, h->sealer, &error);
	g_assert_no_error(error);
	h->directory = bh_directory_new(bh_store_load_directory(h->store, &error));
	bh_loops_rooms rooms = {.store = h->store,
				.directory = h->directory,
				.sealer = h->sealer,
				.data_dir = h->folder,
				.recording_max = h->recording_max};
	h->loops = bh_loops_new(&rooms, h->settings, h->guard, h->methods, &error);
	g_assert_no_error(error);
	bh_journal_listener listener = bh_loops_listener(h->loops);
	h->journal = bh_journal_open(h->store, h->directory, &listener, 1000, &error);
	g_assert_no_error(error);
	h->reader = bh_reader_new(h->store, &error);
	g_assert_no_error(error);
}

G_GNUC_UNUSED static void start_loops(house *h)
{
	g_autoptr(GError) error = NULL;
	g_assert_true(bh_loops_start(h->loops, h->journal, &error));
	g_assert_no_error(error);
}

G_GNUC_UNUSED static void close_engine(house *h)
{
	bh_loops_stop(h->loops);
	bh_journal_close(h->journal);
	bh_loops_free(h->loops);
	bh_reader_free(h->reader);
	bh_directory_free(h->directory);
	bh_store_close(h->store);
}

G_GNUC_UNUSED static bh_webhook *make_webhook(house *h)
{
	bh_webhook *w = bh_webhook_new();
	w->id = WEBHOOK;
	w->revision = 1;
	w->manager_id = g_strdup(MANAGER);
	w->name = g_strdup("");
	w->method = g_strdup("none");
	w->settings = g_strdup_printf("{\"url\":\"http://127.0.0.1:%u/hook?token=1\"}", h->receiver->port);
	w->events = g_strsplit("*", ",", -1);
	w->secret = bh_secret_random(32);
	w->headers = g_new0(bh_header, 2);
	w->headers[0] = (bh_header){g_strdup("X-Room-Key"), g_strdup("s3cr3t-1")};
	return w;
}

G_GNUC_UNUSED static house *open_house(const act *const *scripts, const char *const *settings)
{
	house *h = g_new0(house, 1);
	g_autoptr(GError) error = NULL;
	h->receiver = receiver_start(scripts);
	h->folder = g_dir_make_tmp("bellhop-attempt-XXXXXX", NULL);
	g_autofree char *key = g_build_filename(h->folder, "seal.key", NULL);
	g_autofree char *methods = g_build_filename(g_getenv("BH_SOURCE_ROOT"), "methods", NULL);
	g_autofree char *allow = g_strdup_printf("127.0.0.1:%u", h->receiver->port);
	char *allowed[] = {allow, NULL}, *own[] = {NULL};
	h->settings = bh_settings_load(NULL, (char *const *)settings, &error);
	g_assert_no_error(error);
	h->sealer = bh_sealer_open(key, &error);
	h->guard = bh_guard_new(allowed, own, false, &error);
	h->methods = bh_methods_load(methods, NULL, NULL, &error);
	g_assert_no_error(error);
	open_engine(h);

	bh_manager *m = bh_manager_new();
	m->id = g_strdup(MANAGER);
	m->name = g_strdup("");
	change(h, &(bh_change){.kind = BH_CHANGE_MANAGER_PUT, .manager = m});
	bh_manager_unref(m);
	bh_webhook *w = make_webhook(h);
	change(h, &(bh_change){.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = w});
	bh_webhook_unref(w);
	return h;
}

G_GNUC_UNUSED static void close_house(house *h)
{
	close_engine(h);
	receiver_stop(h->receiver);
	bh_guard_unref(h->guard);
	bh_methods_unref(h->methods);
	bh_sealer_free(h->sealer);
	bh_settings_free(h->settings);
	g_autoptr(GDir) dir = g_dir_open(h->folder, 0, NULL);
	const char *name;
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(h->folder, name, NULL);
		g_remove(path);
	}
	g_rmdir(h->folder);
	g_free(h->folder);
	g_free(h);
}

/* Hands an event over with one delivery to the webhook; returns the delivery's id. */
G_GNUC_UNUSED static bh_id hand_over_as(house *h, const wish *like)
{
	bh_event parts = {.type = (char *)"booking_added",
			  .data = bh_span_of(like->data ? like->data : "{\"property_uid\":12,\"contract_uid\":41}"),
			  .property_id = (char *)"12"};
	g_autoptr(bh_event) event = bh_event_restore(&parts);
	event->id = bh_id_new();
	event->occurred_at = event->accepted_at = bh_clock_wall();
	event->hops = like->hops;
	bh_id webhook = like->webhook ? like->webhook : WEBHOOK;
	bh_finding finding = {.webhook = webhook, .manager = MANAGER, .verdict = BH_VERDICT_TRIGGERED};
	bh_delivery delivery = {.id = bh_id_new(),
				.event_id = event->id,
				.webhook_id = webhook,
				.manager_id = (char *)MANAGER,
				.state = BH_STATE_PENDING,
				.order_key = (char *)like->order_key,
				.coalesce_key = (char *)like->coalesce_key,
				.delay = like->delay,
				.is_test = like->is_test,
				.then = like->then};
	bh_delivery *deliveries[] = {&delivery};
	bh_write w = {.kind = BH_WRITE_EVENT,
		      .event = event,
		      .findings = &finding,
		      .finding_count = 1,
		      .deliveries = deliveries,
		      .delivery_count = 1,
		      .at = bh_clock_wall()};
	bh_write *writes[] = {&w};
	g_autoptr(GError) error = NULL;
	g_assert_true(write_all(h, writes, 1, &error));
	g_assert_no_error(error);
	return delivery.id;
}

G_GNUC_UNUSED static bh_id hand_over(house *h)
{
	return hand_over_as(h, &(wish){0});
}

G_GNUC_UNUSED static bh_delivery *look(house *h, bh_id delivery)
{
	g_autoptr(GError) error = NULL;
	bh_delivery *d = bh_reader_delivery(h->reader, delivery, &error);
	g_assert_no_error(error);
	return d;
}

/* The delivery once it is in the state; two minutes are more than any machine needs. */
G_GNUC_UNUSED static bh_delivery *await_state(house *h, bh_id delivery, bh_state state)
{
	for (int i = 0; i < 60000; i++) {
		bh_delivery *d = look(h, delivery);
		if (d->state == state)
			return d;
		bh_delivery_free(d);
		g_usleep(2000);
	}
	g_assert_not_reached();
}

G_GNUC_UNUSED static bh_attempt_row *attempt(house *h, bh_id delivery, guint number, GPtrArray **ret_owner)
{
	g_autoptr(GError) error = NULL;
	*ret_owner = bh_reader_attempts(h->reader, delivery, 0, 100, &error);
	g_assert_no_error(error);
	g_assert_cmpuint((*ret_owner)->len, >=, number);
	return &((bh_attempt_kept *)(*ret_owner)->pdata[number - 1])->row;
}

static const char *request(house *h, guint number)
{
	g_assert_cmpuint(receiver_requests(h->receiver), >=, number);
	return receiver_request(h->receiver, number - 1)->str;
}

G_GNUC_UNUSED static void await_requests(house *h, guint count)
{
	while (receiver_requests(h->receiver) < count)
		g_usleep(1000);
}

G_GNUC_UNUSED static char *header_of(const char *request_text, const char *name)
{
	g_autofree char *start = g_strdup_printf("\r\n%s: ", name);
	const char *at = strstr(request_text, start);
	g_assert_nonnull(at);
	at += strlen(start);
	return g_strndup(at, strcspn(at, "\r"));
}

/* A copy of the webhook to be changed; put it back with put_webhook, which takes it. */
G_GNUC_UNUSED static bh_webhook *edit_webhook(house *h)
{
	g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
	bh_webhook *w = bh_webhook_copy(bh_snapshot_webhook(now, WEBHOOK));
	w->revision++;
	return w;
}

G_GNUC_UNUSED static void put_webhook(house *h, bh_webhook *w)
{
	change(h, &(bh_change){.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = w});
	bh_webhook_unref(w);
}

G_GNUC_UNUSED static void disable_webhook(house *h, bool disabled)
{
	bh_webhook *w = edit_webhook(h);
	w->disabled = disabled ? BH_DISABLED_BY_OWNER : BH_ENABLED;
	put_webhook(h, w);
}
