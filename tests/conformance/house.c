#include "house.h"

#include "base/error.h"

#include <glib/gstdio.h>

static char *sqlite_url(const char *folder)
{
	return g_strdup_printf("sqlite:%s/bellhop.db", folder);
}

/* The backends, and where each keeps its store for a folder. The suite runs once for each (BH_TEST_STORE). */
static const struct {
	const char *name;
	char *(*url)(const char *folder);
} BACKENDS[] = {{"sqlite", sqlite_url}};

static char *url_in(const char *folder)
{
	const char *wanted = g_getenv("BH_TEST_STORE") ? g_getenv("BH_TEST_STORE") : BACKENDS[0].name;

	for (size_t i = 0; i < G_N_ELEMENTS(BACKENDS); i++) {
		if (g_str_equal(BACKENDS[i].name, wanted))
			return BACKENDS[i].url(folder);
	}
	g_error("BH_TEST_STORE=%s names no backend", wanted);
}

void house_unshut(house *h)
{
	g_autoptr(GError) error = NULL;

	h->store = bh_store_open(h->url, h->sealer, &error);
	g_assert_no_error(error);
	h->reader = bh_reader_new(h->store, &error);
	g_assert_no_error(error);
}

house *house_open(void)
{
	house *h = g_new0(house, 1);
	g_autoptr(GError) error = NULL;

	h->folder = g_dir_make_tmp("bellhop-store-XXXXXX", &error);
	g_assert_no_error(error);
	h->url = url_in(h->folder);
	g_autofree char *key = house_path(h, "seal.key");
	h->sealer = bh_sealer_open(key, &error);
	g_assert_no_error(error);
	house_unshut(h);
	return h;
}

void house_shut(house *h)
{
	g_clear_pointer(&h->reader, bh_reader_free);
	g_clear_pointer(&h->store, bh_store_close);
}

void house_reopen(house *h)
{
	house_shut(h);
	house_unshut(h);
}

char *house_path(const house *h, const char *name)
{
	return g_build_filename(h->folder, name, NULL);
}

void house_close(house *h)
{
	house_shut(h);
	bh_sealer_free(h->sealer);
	GDir *dir = g_dir_open(h->folder, 0, NULL);
	for (const char *name; (name = g_dir_read_name(dir));) {
		g_autofree char *path = house_path(h, name);
		g_assert_cmpint(g_remove(path), ==, 0);
	}
	g_dir_close(dir);
	g_assert_cmpint(g_rmdir(h->folder), ==, 0);
	g_free(h->folder);
	g_free(h->url);
	g_free(h);
}

note *note_new(bh_write_kind kind)
{
	note *n = g_new0(note, 1);

	n->write.kind = kind;
	n->write.at = NOON;
	return n;
}

note *note_event_of(const bh_event *parts, const bh_id *webhooks)
{
	note *n = note_new(BH_WRITE_EVENT);

	n->write.event = bh_event_restore(parts);
	if (n->write.event->id == 0)
		n->write.event->id = bh_id_new();
	for (size_t i = 0; webhooks && webhooks[i]; i++) {
		bh_delivery *d = n->made[i] = g_new0(bh_delivery, 1);
		*d = (bh_delivery){.id = bh_id_new(),
				   .event_id = n->write.event->id,
				   .webhook_id = webhooks[i],
				   .manager_id = g_strdup("17"),
				   .state = BH_STATE_PENDING,
				   .created_at = NOON,
				   .due_at = NOON};
		n->findings[i] = (bh_finding){webhooks[i], "17", BH_VERDICT_TRIGGERED};
		n->write.delivery_count = n->write.finding_count = i + 1;
	}
	n->write.deliveries = n->made;
	n->write.findings = n->findings;
	return n;
}

note *note_event(const bh_id *webhooks)
{
	bh_event parts = {.type = (char *)"booking_added",
			  .occurred_at = NOON,
			  .accepted_at = NOON,
			  .property_id = (char *)"12",
			  .data = bh_span_of("{\"property_uid\":12}")};

	return note_event_of(&parts, webhooks);
}

note *note_keyed(bh_id webhook, const char *order_key, const char *coalesce_key)
{
	note *n = note_event((bh_id[]){webhook, 0});

	n->made[0]->order_key = g_strdup(order_key);
	n->made[0]->coalesce_key = g_strdup(coalesce_key);
	return n;
}

note *note_record(bh_id delivery, int number, bh_state state, int spent, bh_usec due_at)
{
	note *n = note_new(BH_WRITE_RECORD);

	n->write.delivery_id = delivery;
	n->write.state = state;
	n->write.spent = spent;
	n->write.due_at = due_at;
	if (number > 0) {
		n->attempt = (bh_attempt_row){.delivery_id = delivery,
					      .number = number,
					      .started_at = NOON + number,
					      .outcome = state == BH_STATE_DELIVERED ? "delivered" : "failed",
					      .cause = "",
					      .sentence = "",
					      .http_version = "",
					      .address = "",
					      .request = "",
					      .response = "",
					      .shape = "standard"};
		n->write.attempt = &n->attempt;
	}
	return n;
}

note *note_coalesced(bh_id delivery, bh_id newer)
{
	note *n = note_record(delivery, 0, BH_STATE_COALESCED, 0, 0);

	n->write.superseded_by = newer;
	return n;
}

note *note_move(bh_id delivery, bh_state state)
{
	note *n = note_new(BH_WRITE_MOVE);

	n->write.delivery_id = delivery;
	n->write.state = state;
	return n;
}

note *note_sweep(bh_id webhook, bh_state from, bh_state to, size_t limit)
{
	note *n = note_new(BH_WRITE_SWEEP);

	n->write.webhook_id = webhook;
	n->write.from = from;
	n->write.state = to;
	n->write.limit = limit;
	return n;
}

note *note_change(bh_change_kind kind)
{
	note *n = note_new(BH_WRITE_CHANGE);

	n->change.kind = kind;
	n->write.change = &n->change;
	n->write.audit_who = "key key_test";
	n->write.audit_from = "127.0.0.1";
	return n;
}

note *note_webhook(bh_id id, const char *manager)
{
	note *n = note_change(BH_CHANGE_WEBHOOK_PUT);
	bh_webhook *w = n->change.webhook = bh_webhook_new();

	w->id = id;
	w->revision = 1;
	w->manager_id = g_strdup(manager);
	w->name = g_strdup("");
	w->method = g_strdup("none");
	w->settings = g_strdup("{}");
	w->events = g_strsplit("*", ",", -1);
	w->secret = bh_secret_random(32);
	return n;
}

note *note_webhook_removed(bh_id id)
{
	note *n = note_change(BH_CHANGE_WEBHOOK_REMOVE);

	n->change.id = id;
	return n;
}

note *note_streak(bh_id webhook, const bh_streak *streak)
{
	note *n = note_new(BH_WRITE_STREAK);

	n->streak = *streak;
	n->write.webhook_id = webhook;
	n->write.streak = &n->streak;
	return n;
}

note *note_recovery(bh_id id, bh_id webhook, bh_id after, bh_id up_to)
{
	note *n = note_new(BH_WRITE_RECOVERY);

	n->recovery = (bh_recovery){.id = id,
				    .webhook_id = webhook,
				    .since = NOON - BH_DAY,
				    .total = 100,
				    .per_second = 50,
				    .after = after,
				    .up_to = up_to,
				    .state = BH_RECOVERY_RUNNING,
				    .created_at = NOON,
				    .who = (char *)"key key_test"};
	n->write.recovery = &n->recovery;
	return n;
}

note *note_recover(bh_id recovery, size_t limit)
{
	note *n = note_new(BH_WRITE_RECOVER);

	n->write.recovery_id = recovery;
	n->write.limit = limit;
	return n;
}

note *note_recovery_end(bh_id recovery)
{
	note *n = note_new(BH_WRITE_RECOVERY_END);

	n->write.recovery_id = recovery;
	return n;
}

void note_free(note *n)
{
	if (!n)
		return;
	bh_event_unref(n->write.event);
	for (size_t i = 0; i < G_N_ELEMENTS(n->made); i++)
		bh_delivery_free(n->made[i]);
	bh_manager_unref(n->change.manager);
	bh_property_unref(n->change.property);
	bh_webhook_unref(n->change.webhook);
	bh_key_unref(n->change.key);
	bh_event_type_free(n->change.type);
	g_free(n->change.name);
	g_free(n);
}

bool apply_all(house *h, note *const *notes, size_t count, GError **error)
{
	g_autofree bh_write **writes = g_new0(bh_write *, count);

	for (size_t i = 0; i < count; i++)
		writes[i] = &notes[i]->write;
	return bh_store_apply(h->store, writes, count, error);
}

bh_write_result apply(house *h, note *n)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(apply_all(h, &n, 1, &error));
	g_assert_no_error(error);
	return n->write.result;
}

void apply_and_free(house *h, note *n)
{
	g_assert_cmpint(apply(h, n), ==, BH_WRITE_DONE);
	note_free(n);
}

bh_id delivery_in(house *h, bh_id webhook, bh_state state)
{
	g_autoptr(note) made = note_event((bh_id[]){webhook, 0});
	bh_id id = made->made[0]->id;

	g_assert_cmpint(apply(h, made), ==, BH_WRITE_DONE);
	if (state == BH_STATE_COALESCED)
		apply_and_free(h, note_coalesced(id, delivery_in(h, OTHER_WEBHOOK, BH_STATE_PENDING)));
	else if (state != BH_STATE_PENDING)
		apply_and_free(h, note_record(id, 0, state, 0, 0));
	return id;
}

bh_id keyed_in(house *h, bh_id webhook, const char *order_key, const char *coalesce_key)
{
	g_autoptr(note) made = note_keyed(webhook, order_key, coalesce_key);

	g_assert_cmpint(apply(h, made), ==, BH_WRITE_DONE);
	return made->made[0]->id;
}

bh_delivery *delivery_of(house *h, bh_id id)
{
	g_autoptr(GError) error = NULL;
	bh_delivery *d = bh_reader_delivery(h->reader, id, &error);

	g_assert_no_error(error);
	return d;
}

static bool is_there(bool found, const GError *error)
{
	if (!found)
		g_assert_error(error, BH_ERROR, BH_ERROR_NOT_FOUND);
	return found;
}

bool has_event(house *h, bh_id id)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_event) e = bh_reader_event(h->reader, id, &error);

	return is_there(e != NULL, error);
}

bool has_delivery(house *h, bh_id id)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_delivery) d = bh_reader_delivery(h->reader, id, &error);

	return is_there(d != NULL, error);
}
