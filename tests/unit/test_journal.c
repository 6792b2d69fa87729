#include "journal/journal.h"

#include "base/error.h"
#include "base/steady.h"

#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

/* A journal over a real store in a folder of its own, and a listener that notes what it hears. */
typedef struct house {
	char *folder;
	bh_sealer *sealer;
	bh_store *store;
	bh_directory *directory;
	bh_journal *journal;

	pthread_mutex_t lock;
	pthread_cond_t heard;
	GString *
		told; /* "fresh " "flush " "changed:7 " "done " in the order of time; "due:" and "by-hand:" with a delivery */
	size_t done;
	GError *last_error;
} house;

static void tell(house *h, const char *what)
{
	pthread_mutex_lock(&h->lock);
	g_string_append(h->told, what);
	pthread_mutex_unlock(&h->lock);
}

static void on_fresh(void *user, bh_event *event, bh_delivery *const *deliveries, size_t count)
{
	g_assert_nonnull(event);
	g_assert_cmpuint(count, >, 0);
	g_assert_cmpint(deliveries[0]->due_at, >, 0);
	tell(user, "fresh ");
}

static void on_flush(void *user)
{
	tell(user, "flush ");
}

static void on_changed(void *user, bh_id webhook)
{
	g_autofree char *text = g_strdup_printf("changed:%" G_GINT64_FORMAT " ", webhook);
	tell(user, text);
}

static void on_due(void *user, const bh_waiting *waiting, bool by_hand)
{
	g_autofree char *text =
		g_strdup_printf("%s:%" G_GINT64_FORMAT " ", by_hand ? "by-hand" : "due", waiting->delivery);
	tell(user, text);
}

static void on_recovery(void *user, bh_id webhook)
{
	g_autofree char *text = g_strdup_printf("recovery:%" G_GINT64_FORMAT " ", webhook);
	tell(user, text);
}

static house *open_house(size_t queue_max)
{
	house *h = g_new0(house, 1);
	g_autoptr(GError) error = NULL;
	h->folder = g_dir_make_tmp("bellhop-journal-XXXXXX", &error);
	g_autofree char *key = g_build_filename(h->folder, "seal.key", NULL);
	g_autofree char *url = g_strdup_printf("sqlite:%s/bellhop.db", h->folder);
	h->told = g_string_new(NULL);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->heard, NULL);
	h->sealer = bh_sealer_open(key, &error);
	g_assert_no_error(error);
	h->store = bh_store_open(url, h->sealer, &error);
	g_assert_no_error(error);
	h->directory = bh_directory_new(bh_store_load_directory(h->store, &error));
	g_assert_no_error(error);
	bh_journal_listener listener = {.user = h,
					.fresh = on_fresh,
					.flush = on_flush,
					.due = on_due,
					.webhook_changed = on_changed,
					.recovery_changed = on_recovery};
	h->journal = bh_journal_open(h->store, h->directory, &listener, queue_max, &error);
	g_assert_no_error(error);
	return h;
}

static void close_house(house *h)
{
	bh_journal_close(h->journal);
	bh_directory_free(h->directory);
	bh_store_close(h->store);
	bh_sealer_free(h->sealer);
	g_autoptr(GDir) dir = g_dir_open(h->folder, 0, NULL);
	const char *name;
	while ((name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(h->folder, name, NULL);
		g_remove(path);
	}
	g_rmdir(h->folder);
	g_free(h->folder);
	g_string_free(h->told, TRUE);
	g_clear_error(&h->last_error);
	pthread_cond_destroy(&h->heard);
	pthread_mutex_destroy(&h->lock);
	g_free(h);
}

/* An entry with one write of its own. */
typedef struct slip {
	bh_entry entry;
	bh_write write;
	bh_write *writes[1];
	bh_change change;
	house *house;
	bh_delivery delivery, *deliveries[1];
	bh_finding finding;
} slip;

static void on_done(bh_entry *entry, const GError *error)
{
	house *h = ((slip *)entry)->house;
	pthread_mutex_lock(&h->lock);
	g_string_append(h->told, error ? "refused " : "done ");
	h->done++;
	g_clear_error(&h->last_error);
	if (error)
		h->last_error = g_error_copy(error);
	pthread_cond_broadcast(&h->heard);
	pthread_mutex_unlock(&h->lock);
}

static void await_done(house *h, size_t count)
{
	pthread_mutex_lock(&h->lock);
	while (h->done < count)
		pthread_cond_wait(&h->heard, &h->lock);
	pthread_mutex_unlock(&h->lock);
}

static void slip_init(slip *s, house *h)
{
	s->house = h;
	s->writes[0] = &s->write;
	s->entry = (bh_entry){.writes = s->writes, .count = 1, .done = on_done};
	s->write.at = bh_clock_wall();
}

static void submit(slip *s)
{
	g_autoptr(GError) error = NULL;
	g_assert_true(bh_journal_submit(s->house->journal, &s->entry, &error));
	g_assert_no_error(error);
}

static bh_event *new_event(void)
{
	bh_event parts = {.type = (char *)"booking_added",
			  .data = bh_span_of("{\"property_uid\":12}"),
			  .property_id = (char *)"12"};
	bh_event *event = bh_event_restore(&parts);
	event->id = bh_id_new();
	event->accepted_at = event->occurred_at = bh_clock_wall();
	return event;
}

static slip *event_slip(house *h, bh_id webhook)
{
	slip *s = g_new0(slip, 1);
	slip_init(s, h);
	s->write.kind = BH_WRITE_EVENT;
	s->write.event = new_event();
	if (webhook) {
		s->finding = (bh_finding){.webhook = webhook, .verdict = BH_VERDICT_TRIGGERED};
		s->delivery = (bh_delivery){.id = bh_id_new(),
					    .event_id = s->write.event->id,
					    .webhook_id = webhook,
					    .state = BH_STATE_PENDING};
		s->deliveries[0] = &s->delivery;
		s->write.findings = &s->finding;
		s->write.finding_count = 1;
		s->write.deliveries = s->deliveries;
		s->write.delivery_count = 1;
	}
	return s;
}

static void slip_free(slip *s)
{
	bh_event_unref(s->write.event);
	g_clear_pointer(&s->change.manager, bh_manager_unref);
	g_clear_pointer(&s->change.webhook, bh_webhook_unref);
	g_free(s->change.name);
	g_free(s);
}

static slip *manager_slip(house *h, const char *id)
{
	slip *s = g_new0(slip, 1);
	slip_init(s, h);
	s->change.kind = BH_CHANGE_MANAGER_PUT;
	s->change.manager = bh_manager_new();
	s->change.manager->id = g_strdup(id);
	s->change.manager->name = g_strdup("");
	s->write.kind = BH_WRITE_CHANGE;
	s->write.change = &s->change;
	s->write.audit_who = "test";
	s->write.audit_from = "";
	return s;
}

static slip *webhook_slip(house *h, bh_id id, const char *manager, int64_t revision)
{
	slip *s = g_new0(slip, 1);
	slip_init(s, h);
	bh_webhook *w = bh_webhook_new();
	w->id = id;
	w->revision = revision;
	w->manager_id = g_strdup(manager);
	w->name = g_strdup("");
	w->method = g_strdup("none");
	w->settings = g_strdup("{\"url\":\"http://203.0.113.1/\"}");
	w->events = g_strsplit("*", ",", -1);
	w->secret = bh_secret_random(32);
	s->change.kind = BH_CHANGE_WEBHOOK_PUT;
	s->change.webhook = w;
	s->write.kind = BH_WRITE_CHANGE;
	s->write.change = &s->change;
	s->write.audit_who = "test";
	s->write.audit_from = "";
	return s;
}

/* Enabled, disabled or removed: as the site's own webhook `id`, at `revision`. */
static void set_webhook(house *h, bh_id id, int64_t revision, bh_disabled_cause disabled, bool is_there)
{
	g_autoptr(GError) error = NULL;
	slip *s = webhook_slip(h, id, NULL, revision);

	s->change.webhook->disabled = disabled;
	s->change.id = id;
	s->change.kind = is_there ? BH_CHANGE_WEBHOOK_PUT : BH_CHANGE_WEBHOOK_REMOVE;
	g_assert_true(bh_journal_submit_and_wait(h->journal, &s->entry, &error));
	g_assert_no_error(error);
	slip_free(s);
	g_string_truncate(h->told, 0);
}

static bh_state state_of(house *h, bh_id delivery, bh_usec *ret_due_at, bh_usec *ret_created_at)
{
	g_autoptr(GError) error = NULL;
	bh_reader *reader = bh_reader_new(h->store, &error);
	g_assert_no_error(error);
	g_autoptr(bh_delivery) found = bh_reader_delivery(reader, delivery, &error);
	g_assert_no_error(error);
	bh_reader_free(reader);
	*ret_due_at = found->due_at;
	*ret_created_at = found->created_at;
	return found->state;
}

static bool is_stored(house *h, bh_id event)
{
	g_autoptr(GError) error = NULL;
	bh_reader *reader = bh_reader_new(h->store, &error);
	g_assert_no_error(error);
	g_autoptr(bh_event) found = bh_reader_event(reader, event, NULL);
	bh_reader_free(reader);
	return found != NULL;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void what_is_done_is_on_disk(void)
{
	house *h = open_house(100);
	slip *s = event_slip(h, 0);
	submit(s);
	await_done(h, 1);
	g_assert_no_error(h->last_error);
	g_assert_true(is_stored(h, s->write.event->id));
	slip_free(s);
	close_house(h);
}

static void listeners_hear_before_the_caller_is_told(void)
{
	house *h = open_house(100);
	slip *s = event_slip(h, 7);
	submit(s);
	await_done(h, 1);
	g_assert_cmpstr(h->told->str, ==, "fresh flush done ");
	slip_free(s);
	close_house(h);
}

static slip *move_slip(house *h, const slip *of, bh_state state)
{
	slip *s = g_new0(slip, 1);
	slip_init(s, h);
	s->write.kind = BH_WRITE_MOVE;
	s->write.delivery_id = of->delivery.id;
	s->write.webhook_id = of->delivery.webhook_id;
	s->write.state = state;
	return s;
}

static void a_cancel_by_hand_is_told_to_the_lane(void)
{
	house *h = open_house(100);
	set_webhook(h, 7, 1, BH_ENABLED, true);
	slip *s = event_slip(h, 7);
	submit(s);
	await_done(h, 1);
	g_string_truncate(h->told, 0);

	slip *cancel = move_slip(h, s, BH_STATE_CANCELLED);
	submit(cancel);
	await_done(h, 2);
	g_assert_cmpint(cancel->write.result, ==, BH_WRITE_DONE);
	g_assert_cmpstr(h->told->str, ==, "changed:7 flush done ");
	slip_free(s);
	slip_free(cancel);
	close_house(h);
}

static void a_retry_by_hand_needs_an_enabled_webhook(void)
{
	house *h = open_house(100);
	set_webhook(h, 7, 1, BH_ENABLED, true);
	slip *s = event_slip(h, 7);
	submit(s);
	await_done(h, 1);

	set_webhook(h, 7, 2, BH_DISABLED_BY_OWNER, true);
	slip *late = move_slip(h, s, BH_STATE_PENDING);
	submit(late);
	await_done(h, 2);
	g_assert_error(h->last_error, BH_ERROR, BH_ERROR_CONFLICT);
	slip_free(s);
	slip_free(late);
	close_house(h);
}

/* What the watcher had said, and what the webhook is by the time of the commit. */
static void a_fresh_delivery_goes_by_what_its_webhook_is_at_the_commit(void)
{
	static const struct {
		bh_state judged;
		bh_disabled_cause disabled;
		bool is_there, is_test;
		bh_state kept;
	} rows[] = {
		{BH_STATE_PENDING, BH_ENABLED, true, false, BH_STATE_PENDING},
		{BH_STATE_HELD, BH_ENABLED, true, false, BH_STATE_PENDING},
		{BH_STATE_PENDING, BH_DISABLED_BY_OWNER, true, false, BH_STATE_HELD},
		{BH_STATE_HELD, BH_DISABLED_BY_OWNER, true, false, BH_STATE_HELD},
		{BH_STATE_PENDING, BH_DISABLED_BY_OWNER, true, true, BH_STATE_PENDING},
		{BH_STATE_PENDING, BH_ENABLED, false, false, BH_STATE_CANCELLED},
		{BH_STATE_HELD, BH_ENABLED, false, false, BH_STATE_CANCELLED},
		{BH_STATE_PENDING, BH_ENABLED, false, true, BH_STATE_CANCELLED},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		house *h = open_house(100);
		bh_usec due_at, created_at;
		set_webhook(h, 7, 1, BH_ENABLED, true);
		set_webhook(h, 7, 2, rows[i].disabled, rows[i].is_there);
		slip *s = event_slip(h, 7);
		s->delivery.state = rows[i].judged;
		s->delivery.is_test = rows[i].is_test;
		submit(s);
		await_done(h, 1);
		g_assert_cmpint(s->delivery.state, ==, rows[i].kept);
		g_assert_cmpint(state_of(h, s->delivery.id, &due_at, &created_at), ==, rows[i].kept);
		g_assert_true((s->delivery.ended_at != 0) == bh_state_is_final(rows[i].kept));
		g_assert_true((s->delivery.reason == NULL) == (rows[i].kept == BH_STATE_PENDING));
		slip_free(s);
		close_house(h);
	}
}

/* The order of the queue within a batch decides nothing: what counts is the directory that the batch leaves. */
static void an_event_and_its_webhooks_removal_may_share_a_batch(void)
{
	house *h = open_house(100);
	bh_usec due_at, created_at;
	set_webhook(h, 7, 1, BH_ENABLED, true);
	slip *s = event_slip(h, 7), *gone = webhook_slip(h, 7, NULL, 2);
	gone->change.kind = BH_CHANGE_WEBHOOK_REMOVE;
	gone->change.id = 7;
	bh_write *both[] = {&s->write, &gone->write};
	s->entry.writes = both;
	s->entry.count = 2;
	submit(s);
	await_done(h, 1);
	g_assert_no_error(h->last_error);
	g_assert_cmpint(state_of(h, s->delivery.id, &due_at, &created_at), ==, BH_STATE_CANCELLED);
	slip_free(s);
	slip_free(gone);
	close_house(h);
}

static void a_delayed_delivery_is_due_that_much_later(void)
{
	house *h = open_house(100);
	bh_usec due_at, created_at;
	set_webhook(h, 7, 1, BH_ENABLED, true);
	slip *s = event_slip(h, 7);
	s->delivery.delay = 30 * BH_SECOND;
	submit(s);
	await_done(h, 1);
	g_assert_cmpint(state_of(h, s->delivery.id, &due_at, &created_at), ==, BH_STATE_PENDING);
	g_assert_cmpint(due_at - created_at, ==, 30 * BH_SECOND);
	slip_free(s);
	close_house(h);
}

static void a_change_is_published_before_the_caller_is_told(void)
{
	house *h = open_house(100);
	slip *m = manager_slip(h, "7");
	submit(m);
	await_done(h, 1);
	g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
	g_assert_nonnull(bh_snapshot_manager(now, "7"));
	slip_free(m);
	close_house(h);
}

static void a_refused_change_leaves_the_others_of_its_batch(void)
{
	house *h = open_house(100);
	slip *stranger = webhook_slip(h, 99, "nobody", 1), *m = manager_slip(h, "7"), *w = webhook_slip(h, 70, "7", 1);
	submit(m);
	submit(stranger);
	submit(w); /* sees the manager of the same batch, or of the one before */
	await_done(h, 3);
	g_autoptr(bh_snapshot) now = bh_directory_now(h->directory);
	g_assert_nonnull(bh_snapshot_webhook(now, 70));
	g_assert_null(bh_snapshot_webhook(now, 99));
	g_assert_nonnull(strstr(h->told->str, "refused "));
	g_assert_nonnull(strstr(h->told->str, "changed:70 "));
	slip_free(stranger);
	slip_free(m);
	slip_free(w);
	close_house(h);
}

static void the_slower_of_two_changes_of_one_webhook_is_refused(void)
{
	house *h = open_house(100);
	slip *m = manager_slip(h, "7"), *first = webhook_slip(h, 70, "7", 1), *second = webhook_slip(h, 70, "7", 2),
	     *late = webhook_slip(h, 70, "7", 2);
	slip *all[] = {m, first, second, late};
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		submit(all[i]);
	await_done(h, 4);
	g_assert_error(h->last_error, BH_ERROR, BH_ERROR_CONFLICT);
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		slip_free(all[i]);
	close_house(h);
}

static void a_removed_manager_takes_his_webhooks_along_and_they_are_told(void)
{
	house *h = open_house(100);
	slip *m = manager_slip(h, "7"), *w = webhook_slip(h, 70, "7", 1);
	submit(m);
	submit(w);
	await_done(h, 2);
	g_string_truncate(h->told, 0);

	slip *gone = manager_slip(h, "7");
	g_clear_pointer(&gone->change.manager, bh_manager_unref);
	gone->change.kind = BH_CHANGE_MANAGER_REMOVE;
	gone->change.name = g_strdup("7");
	submit(gone);
	await_done(h, 3);
	g_assert_cmpstr(h->told->str, ==, "changed:70 flush done ");
	slip_free(m);
	slip_free(w);
	slip_free(gone);
	close_house(h);
}

static slip *sweep_slip(house *h, bh_id webhook, bh_state from, bh_state to)
{
	slip *s = g_new0(slip, 1);
	slip_init(s, h);
	s->write.kind = BH_WRITE_SWEEP;
	s->write.webhook_id = webhook;
	s->write.from = from;
	s->write.state = to;
	s->write.limit = 100;
	return s;
}

/* The webhook is enabled, disabled and removed in turn; each time all three sweeps are tried. */
static void a_sweep_that_its_webhook_has_overtaken_is_refused(void)
{
	static const struct {
		bh_disabled_cause disabled;
		bool is_there, may_hold, may_release;
	} rows[] = {
		{BH_ENABLED, true, false, true},
		{BH_DISABLED_BY_OWNER, true, true, false},
		{0, false, false, false},
	};
	house *h = open_house(100);
	slip *m = manager_slip(h, "7");
	submit(m);
	await_done(h, 1);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		slip *w = webhook_slip(h, 70, "7", (int64_t)i + 1);
		w->change.webhook->disabled = rows[i].disabled;
		w->change.id = 70;
		w->change.kind = rows[i].is_there ? BH_CHANGE_WEBHOOK_PUT : BH_CHANGE_WEBHOOK_REMOVE;
		slip *hold = sweep_slip(h, 70, BH_STATE_PENDING, BH_STATE_HELD);
		slip *release = sweep_slip(h, 70, BH_STATE_HELD, BH_STATE_PENDING);
		slip *cancel = sweep_slip(h, 70, BH_STATE_HELD, BH_STATE_CANCELLED);
		slip *all[] = {w, hold, release, cancel};
		bool fits[] = {true, rows[i].may_hold, rows[i].may_release, true};
		for (size_t k = 0; k < G_N_ELEMENTS(all); k++) {
			submit(all[k]);
			await_done(h, 2 + 4 * i + k);
			if (fits[k])
				g_assert_no_error(h->last_error);
			else
				g_assert_error(h->last_error, BH_ERROR, BH_ERROR_CONFLICT);
			slip_free(all[k]);
		}
	}
	slip_free(m);
	close_house(h);
}

static void a_lazy_entry_needs_no_company(void)
{
	house *h = open_house(100);
	slip *s = event_slip(h, 0);
	s->entry.lazy = true;
	submit(s);
	await_done(h, 1);
	g_assert_true(is_stored(h, s->write.event->id));
	slip_free(s);
	close_house(h);
}

static void closing_works_off_what_was_taken(void)
{
	house *h = open_house(10000);
	slip *slips[500];
	for (size_t i = 0; i < G_N_ELEMENTS(slips); i++) {
		slips[i] = event_slip(h, 0);
		slips[i]->entry.lazy = i % 2;
		submit(slips[i]);
	}
	bh_journal_close(g_steal_pointer(&h->journal));
	g_assert_cmpuint(h->done, ==, G_N_ELEMENTS(slips));
	for (size_t i = 0; i < G_N_ELEMENTS(slips); i++) {
		g_assert_true(is_stored(h, slips[i]->write.event->id));
		slip_free(slips[i]);
	}
	close_house(h);
}

static void a_full_queue_pushes_back(void)
{
	house *h = open_house(4);
	/* More at once than one commit can take in: some of a thousand quick ones find the queue full. */
	slip *slips[1000];
	size_t taken = 0;
	bool pushed_back = false;
	for (size_t i = 0; i < G_N_ELEMENTS(slips); i++) {
		g_autoptr(GError) error = NULL;
		slips[taken] = event_slip(h, 0);
		if (bh_journal_submit(h->journal, &slips[taken]->entry, &error)) {
			taken++;
			continue;
		}
		g_assert_error(error, BH_ERROR, BH_ERROR_BUSY);
		slip_free(slips[taken]);
		pushed_back = true;
	}
	await_done(h, taken);
	g_assert_true(pushed_back);
	for (size_t i = 0; i < taken; i++)
		slip_free(slips[i]);
	close_house(h);
}

static void a_store_that_fails_is_told_to_the_caller_and_recovers(void)
{
	house *h = open_house(100);
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit before, none;
	getrlimit(RLIMIT_FSIZE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_FSIZE, &none);
	slip *s = event_slip(h, 7);
	submit(s);
	await_done(h, 1);
	setrlimit(RLIMIT_FSIZE, &before);
	g_assert_nonnull(h->last_error);
	g_assert_null(strstr(h->told->str, "fresh"));
	bh_journal_stats stats;
	bh_journal_stats_read(h->journal, &stats);
	g_assert_true(stats.failing);
	g_assert_false(is_stored(h, s->write.event->id));

	submit(s);
	await_done(h, 2);
	g_assert_no_error(h->last_error);
	g_assert_true(is_stored(h, s->write.event->id));
	bh_journal_stats_read(h->journal, &stats);
	g_assert_false(stats.failing);
	slip_free(s);
	close_house(h);
}

static void an_entry_that_the_store_refuses_leaves_its_neighbours_and_no_alarm(void)
{
	house *h = open_house(100);
	slip *first = event_slip(h, 0), *same = event_slip(h, 0), *next = event_slip(h, 0);
	same->write.event->id = first->write.event->id; /* the store cannot keep two of one id */
	slip *all[] = {first, same, next};
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
		all[i]->entry.lazy = true; /* so that they go together */
		submit(all[i]);
	}
	await_done(h, 3);
	bh_journal_stats stats;
	bh_journal_stats_read(h->journal, &stats);
	g_assert_false(stats.failing);
	g_assert_cmpuint(stats.writes, ==, 2);
	g_assert_true(is_stored(h, next->write.event->id));
	g_assert_nonnull(strstr(h->told->str, "refused "));
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		slip_free(all[i]);
	close_house(h);
}

#define THREADS 8
#define EACH 200

static void *submit_many(void *data)
{
	house *h = data;
	for (size_t i = 0; i < EACH; i++) {
		slip *s = event_slip(h, 0);
		g_autoptr(GError) error = NULL;
		g_assert_true(bh_journal_submit_and_wait(h->journal, &s->entry, &error));
		g_assert_no_error(error);
		slip_free(s);
	}
	return NULL;
}

static void many_threads_are_served_together(void)
{
	house *h = open_house(10000);
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, submit_many, h);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	bh_journal_stats stats;
	bh_journal_stats_read(h->journal, &stats);
	g_assert_cmpuint(stats.writes, ==, THREADS * EACH);
	g_assert_cmpuint(stats.batches, <, THREADS * EACH); /* one commit served several */
	close_house(h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(f) g_test_add_func("/journal/" #f, f)
	TEST(what_is_done_is_on_disk);
	TEST(listeners_hear_before_the_caller_is_told);
	TEST(a_cancel_by_hand_is_told_to_the_lane);
	TEST(a_retry_by_hand_needs_an_enabled_webhook);
	TEST(a_fresh_delivery_goes_by_what_its_webhook_is_at_the_commit);
	TEST(an_event_and_its_webhooks_removal_may_share_a_batch);
	TEST(a_delayed_delivery_is_due_that_much_later);
	TEST(a_change_is_published_before_the_caller_is_told);
	TEST(a_refused_change_leaves_the_others_of_its_batch);
	TEST(the_slower_of_two_changes_of_one_webhook_is_refused);
	TEST(a_removed_manager_takes_his_webhooks_along_and_they_are_told);
	TEST(a_sweep_that_its_webhook_has_overtaken_is_refused);
	TEST(a_lazy_entry_needs_no_company);
	TEST(closing_works_off_what_was_taken);
	TEST(a_full_queue_pushes_back);
	TEST(a_store_that_fails_is_told_to_the_caller_and_recovers);
	TEST(an_entry_that_the_store_refuses_leaves_its_neighbours_and_no_alarm);
	TEST(many_threads_are_served_together);
	return g_test_run();
}
