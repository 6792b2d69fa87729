/* All delivery loops together: who has which webhook, start, stop, reload, and what the journal tells them. */
#include "delivery/delivery.h"

#include "base/error.h"
#include "base/log.h"
#include "base/steady.h"
#include "delivery/loop.h"
#include "delivery/streak.h"
#include "delivery/streaks.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLOTS 1024 /* every webhook hashes to one; a slot has one owner at a time */
#define RECORDING_MAX 4096 /* outcomes of one loop not yet on disk, beyond which it sends nothing new */
#define CRASHES_MAX 3 /* unclean stops that one delivery may be part of */

struct bh_loops {
	size_t count;
	bh_loop *at;
	bh_flight *flight;
	GArray *left; /* of bh_id: in flight when the last process died */
	bh_store *store;
	size_t running; /* of them, from the first on */
};

static size_t loop_index(bh_id webhook, size_t count)
{
	return g_int64_hash(&webhook) % SLOTS % count;
}

bool bh_loop_of_webhook(const bh_loop *loop, bh_id webhook)
{
	return loop_index(webhook, loop->loops) == (size_t)loop->number;
}

/* --- Making and freeing ---------------------------------------------------------------------------- */

static bool open_fds(bh_loop *loop, GError **error)
{
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event wake = {.events = EPOLLIN, .data.u64 = 1};
	if (loop->epoll_fd >= 0 && loop->wake_fd >= 0 &&
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &wake) == 0)
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot make a delivery loop: %s", g_strerror(errno));
	return false;
}

static size_t recording_max(const bh_loops_rooms *rooms)
{
	return rooms->recording_max ? rooms->recording_max : RECORDING_MAX;
}

/* A part of the slots, in percent, of which there is always one. */
static size_t share(size_t slots, int64_t percent)
{
	return MAX(1, slots * (size_t)percent / 100);
}

static bh_pace_limits pace_limits_of(const bh_settings *settings)
{
	return (bh_pace_limits){
		.start = (unsigned)settings->concurrency_start,
		.most = (unsigned)settings->in_flight_per_webhook,
		.breaker_failures = (unsigned)settings->breaker_failures,
		.breaker_percent = (unsigned)settings->breaker_percent,
		.breaker_attempts = (unsigned)settings->breaker_attempts,
		.breaker_span = settings->breaker_span,
		.probe_first = settings->probe_first,
		.probe_max = settings->probe_max,
	};
}

static bh_scheduler_limits limits_of(const bh_settings *settings, const bh_loops_rooms *rooms, size_t loops)
{
	size_t slots = MAX(1, (size_t)settings->in_flight_max / loops);

	return (bh_scheduler_limits){
		.in_flight_max = slots,
		.owner_share = share(slots, settings->manager_share_percent),
		.retry_share = share(slots, settings->retry_share_percent),
		.pace = pace_limits_of(settings),
		.window = (size_t)settings->window,
		.window_bytes = (size_t)settings->window_bytes / loops,
		.recording_max = recording_max(rooms),
	};
}

static bool loop_init(bh_loop *loop, int number, const bh_loops_rooms *rooms, const bh_settings *settings,
		      bh_guard *guard, bh_methods *methods, GError **error)
{
	loop->number = number;
	loop->loops = (size_t)settings->delivery_loops;
	loop->store = rooms->store;
	loop->directory = rooms->directory;
	loop->inbox_end = &loop->inbox;
	pthread_mutex_init(&loop->lock, NULL);
	g_queue_init(&loop->postponed);
	g_queue_init(&loop->attempts);
	g_queue_init(&loop->turns.waiting);
	g_queue_init(&loop->turns.slow_waiting);
	loop->turns.slow = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	loop->turns.count_max = rooms->turns_max;
	loop->disabling = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	loop->ending = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	if (!open_fds(loop, error))
		return false;

	bh_scheduler_limits limits = limits_of(settings, rooms, loop->loops);
	loop->scheduler = bh_scheduler_new(&limits);
	loop->kits = bh_kits_new();
	loop->policy = bh_policy_of(settings);
	loop->upkeep = bh_upkeep_of(settings);
	loop->streaks = bh_streaks_new();
	loop->recoveries = g_ptr_array_new_with_free_func(g_free);
	loop->held = g_array_new(FALSE, FALSE, sizeof(bh_id));
	loop->total_timeout = settings->total_timeout;
	uint64_t seed = rooms->seed + (uint64_t)number;
	if (!rooms->seed)
		bh_random_bytes(&seed, sizeof(seed));
	loop->chance = bh_chance_seeded(seed);

	const bh_script_limits script_limits = BH_SCRIPT_LIMITS_DELIVERY;
	loop->scripts = bh_script_host_new(&script_limits, rooms->sealer);
	bh_script_host_use(loop->scripts, methods);

	bh_transport_config config = {
		.guard = guard,
		.user_agent = "Bellhop/" BH_VERSION,
		.ca_file = settings->ca_file && *settings->ca_file ? settings->ca_file : NULL,
		.proxy = settings->proxy,
		.connections_max = (long)limits.in_flight_max,
		.dns_timeout = settings->dns_timeout,
		.connect_timeout = settings->connect_timeout,
		.tls_timeout = settings->tls_timeout,
	};
	loop->wire = rooms->wire ? rooms->wire : &bh_wire_curl;
	loop->transport = loop->wire->open(loop->wire, &config, loop->epoll_fd, error);
	return loop->transport != NULL;
}

static void drop_message(bh_message *message)
{
	switch (message->kind) {
	case BH_MESSAGE_FRESH:
		bh_event_unref(((bh_fresh *)message)->event);
		break;
	case BH_MESSAGE_PAPER:
		if (message->paper->error)
			bh_paper_leave(message->paper);
		else
			bh_paper_free(message->paper);
		return; /* it was part of the paper */
	case BH_MESSAGE_USE:
		bh_use_free(message->use);
		break;
	case BH_MESSAGE_DUE:
	case BH_MESSAGE_CHANGED:
	case BH_MESSAGE_RECOVERY:
	case BH_MESSAGE_STOP:
		break;
	}
	g_free(message);
}

/* What came after the last turn: all of it is in the store, and the next start finds it there. */
static void drop_mail(bh_loop *loop)
{
	while (loop->inbox) {
		bh_message *message = loop->inbox;
		loop->inbox = message->next;
		drop_message(message);
	}
}

static void loop_clear(bh_loop *loop)
{
	drop_mail(loop);
	if (loop->transport)
		loop->wire->free(loop->transport);
	bh_script_host_free(loop->scripts);
	bh_scheduler_free(loop->scheduler);
	bh_kits_free(loop->kits);
	g_clear_pointer(&loop->free_slots, g_array_unref);
	g_clear_pointer(&loop->disabling, g_hash_table_unref);
	g_clear_pointer(&loop->ending, g_hash_table_unref);
	g_clear_pointer(&loop->streaks, g_hash_table_unref);
	g_clear_pointer(&loop->turns.slow, g_hash_table_unref);
	g_clear_pointer(&loop->recoveries, g_ptr_array_unref);
	g_clear_pointer(&loop->held, g_array_unref);
	if (loop->epoll_fd > 0)
		close(loop->epoll_fd);
	if (loop->wake_fd > 0)
		close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
}

/* The flight record has a place for every outcome that may be unrecorded at a time. */
static void share_slots(bh_loops *loops, size_t slots_each)
{
	for (size_t i = 0; i < loops->count; i++) {
		bh_loop *loop = &loops->at[i];
		loop->flight = loops->flight;
		loop->free_slots = g_array_sized_new(FALSE, FALSE, sizeof(size_t), (guint)slots_each);
		for (size_t s = slots_each; s > 0; s--) {
			size_t slot = i * slots_each + s - 1;
			g_array_append_val(loop->free_slots, slot);
		}
	}
}

bh_loops *bh_loops_new(const bh_loops_rooms *rooms, const bh_settings *settings, bh_guard *guard, bh_methods *methods,
		       GError **error)
{
	bh_loops *loops = g_new0(bh_loops, 1);
	loops->count = (size_t)settings->delivery_loops;
	loops->store = rooms->store;
	loops->at = g_new0(bh_loop, loops->count);

	bool ok = true;
	for (size_t i = 0; ok && i < loops->count; i++)
		ok = loop_init(&loops->at[i], (int)i, rooms, settings, guard, methods, error);

	size_t slots_each = (size_t)settings->in_flight_max + recording_max(rooms);
	g_autofree char *path = g_build_filename(rooms->data_dir, "flight", NULL);
	if (ok)
		loops->flight = bh_flight_open(path, slots_each * loops->count, &loops->left, error);
	if (!loops->flight) {
		bh_loops_free(loops);
		return NULL;
	}
	share_slots(loops, slots_each);
	return loops;
}

void bh_loops_free(bh_loops *loops)
{
	if (!loops)
		return;
	for (size_t i = 0; i < loops->count; i++)
		loop_clear(&loops->at[i]);
	bh_flight_close(loops->flight);
	g_clear_pointer(&loops->left, g_array_unref);
	g_free(loops->at);
	g_free(loops);
}

/* --- What the journal tells -------------------------------------------------------------------------- */

static bh_waiting waiting_of(const bh_delivery *d)
{
	return (bh_waiting){
		.delivery = d->id,
		.event = d->event_id,
		.webhook = d->webhook_id,
		.due_at = d->due_at,
		.created_at = d->created_at,
		.spent = d->spent,
		.attempts = d->attempts,
		.sequence = d->sequence,
		.is_test = d->is_test,
		.may_coalesce = d->coalesce_key,
		.then = d->then,
	};
}

/* What is blocked by its order key is told of when its turn comes. */
static bool may_be_sent(const bh_delivery *d)
{
	return d->state == BH_STATE_PENDING && d->due_at != BH_DUE_BLOCKED;
}

static void fresh_for(bh_loop *loop, bh_event *event, bh_delivery *const *deliveries, size_t count)
{
	bh_fresh *fresh = g_malloc(sizeof(bh_fresh) + count * sizeof(bh_waiting));
	*fresh = (bh_fresh){.message.kind = BH_MESSAGE_FRESH};
	for (size_t i = 0; i < count; i++)
		if (may_be_sent(deliveries[i]) && bh_loop_of_webhook(loop, deliveries[i]->webhook_id))
			fresh->deliveries[fresh->count++] = waiting_of(deliveries[i]);
	if (fresh->count == 0) {
		g_free(fresh);
		return;
	}
	fresh->event = bh_event_ref(event);
	bh_loop_post(loop, &fresh->message, true);
}

static void tell_fresh(void *user, bh_event *event, bh_delivery *const *deliveries, size_t count)
{
	bh_loops *loops = user;
	for (size_t i = 0; i < loops->count; i++)
		fresh_for(&loops->at[i], event, deliveries, count);
}

static void tell_flush(void *user)
{
	bh_loops *loops = user;
	for (size_t i = 0; i < loops->count; i++)
		bh_loop_flush(&loops->at[i]);
}

static bh_loop *loop_of(bh_loops *loops, bh_id webhook)
{
	return &loops->at[loop_index(webhook, loops->count)];
}

static void tell_due(void *user, const bh_waiting *waiting, bool by_hand)
{
	bh_due *due = g_new0(bh_due, 1);
	due->message.kind = BH_MESSAGE_DUE;
	due->waiting = *waiting;
	due->by_hand = by_hand;
	bh_loop_post(loop_of(user, waiting->webhook), &due->message, true);
}

static void tell_of_webhook(bh_loops *loops, bh_id webhook, int kind)
{
	bh_message *message = g_new0(bh_message, 1);
	message->kind = kind;
	message->webhook = webhook;
	bh_loop_post(loop_of(loops, webhook), message, true);
}

static void tell_changed(void *user, bh_id webhook)
{
	tell_of_webhook(user, webhook, BH_MESSAGE_CHANGED);
}

static void tell_recovery(void *user, bh_id webhook)
{
	tell_of_webhook(user, webhook, BH_MESSAGE_RECOVERY);
}

bh_journal_listener bh_loops_listener(bh_loops *loops)
{
	return (bh_journal_listener){.user = loops,
				     .fresh = tell_fresh,
				     .flush = tell_flush,
				     .due = tell_due,
				     .webhook_changed = tell_changed,
				     .recovery_changed = tell_recovery};
}

/* --- Start, reload, stop ------------------------------------------------------------------------------ */

/* How many unclean stops this delivery has been part of. */
static bool count_crashes(bh_reader *reader, bh_id id, int *ret, GError **error)
{
	g_autoptr(GPtrArray) attempts = bh_reader_attempts(reader, id, 0, G_MAXINT, error);
	if (!attempts)
		return false;
	*ret = 0;
	for (guint i = 0; i < attempts->len; i++) {
		const bh_attempt_kept *kept = attempts->pdata[i];
		*ret += g_str_equal(kept->row.cause, bh_cause_name(BH_CAUSE_CRASH));
	}
	return true;
}

/*
 * A request that was under way when the process died may have arrived. Nobody knows, and the record says so, also if its
 * delivery was held or cancelled meanwhile: then it is the attempt alone that is kept. One that was under way each time may be
 * what kills us: it must not do so for ever.
 */
static bool record_unknown(bh_journal *journal, bh_reader *reader, const bh_flight_entry *left, GError **error)
{
	bh_id id = left->delivery;
	g_autoptr(GError) unread = NULL;
	g_autoptr(bh_delivery) delivery = bh_reader_delivery(reader, id, &unread);
	int crashes;
	if (!delivery && !g_error_matches(unread, BH_ERROR, BH_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&unread));
		return false; /* it stays noted, for the next start */
	}
	if (!delivery || delivery->attempts >= left->attempt) /* it was on record, and we died before that was noted */
		return true;
	if (!count_crashes(reader, id, &crashes, error))
		return false;

	bool waits = delivery->state == BH_STATE_PENDING;
	bool set_aside = waits && crashes + 1 >= CRASHES_MAX;
	bool ends = set_aside || (waits && delivery->is_test);
	bh_usec now = bh_clock_steady(bh_clock_mono());
	bh_attempt_row row = {
		.delivery_id = id,
		.number = delivery->attempts + 1,
		.started_at = now,
		.dns = -1,
		.connect = -1,
		.tls = -1,
		.first_byte = -1,
		.total = -1,
		.outcome = bh_outcome_name(BH_OUTCOME_UNKNOWN),
		.cause = bh_cause_name(BH_CAUSE_CRASH),
		.sentence =
			set_aside
				? "Bellhop stopped without warning while this request was under way, for the third time. It is not sent "
				  "again by itself; retry it by hand when the reason is known."
			: ends ? "Bellhop stopped without warning while this request was under way. It may have arrived; a test is sent once."
			: waits ? "Bellhop stopped without warning while this request was under way. It may have arrived; it is sent again "
				  "with the same webhook-id."
				: "Bellhop stopped without warning while this request was under way. It may have arrived.",
		.http_version = "",
		.address = "",
		.request = "",
		.response = "",
		.shape = "",
	};
	bh_write write = {
		.kind = BH_WRITE_RECORD,
		.attempt = &row,
		.delivery_id = id,
		.webhook_id = delivery->webhook_id,
		.state = ends ? BH_STATE_EXHAUSTED : BH_STATE_PENDING,
		.due_at = MIN(now, delivery->due_at),
		.spent = delivery->spent,
		.reason = ends ? row.sentence : NULL,
		.at = now,
	};
	bh_write *writes[] = {&write};
	bh_entry entry = {.writes = writes, .count = 1};
	bh_log(BH_WARNING, "delivery",
	       set_aside ? "was in flight at three unclean stops, set aside"
	       : ends    ? "a test was in flight at an unclean stop"
	       : waits   ? "was in flight at an unclean stop, sent again"
			 : "was in flight at an unclean stop",
	       BH_ID("delivery", BH_ID_DELIVERY, id));
	return bh_journal_submit_and_wait(journal, &entry, error);
}

bool bh_loops_record_left(bh_loops *loops, bh_journal *journal, GError **error)
{
	bh_reader *reader = bh_reader_new(loops->store, error);
	if (!reader)
		return false;
	bool ok = true;
	for (guint i = 0; ok && i < loops->left->len; i++) {
		ok = record_unknown(journal, reader, &g_array_index(loops->left, bh_flight_entry, i), error);
		if (ok)
			bh_flight_settle(loops->flight, i);
	}
	bh_reader_free(reader);
	if (ok)
		bh_flight_clear(loops->flight);
	return ok;
}

bool bh_loops_start(bh_loops *loops, bh_journal *journal, GError **error)
{
	if (!bh_loops_record_left(loops, journal, error))
		return false;
	for (size_t i = 0; i < loops->count; i++) {
		loops->at[i].journal = journal;
		if (!bh_loop_start(&loops->at[i], error))
			return false;
		loops->running++;
	}
	return true;
}

bool bh_loops_prepare(bh_loops *loops, bh_journal *journal, GError **error)
{
	if (!bh_loops_record_left(loops, journal, error))
		return false;
	for (size_t i = 0; i < loops->count; i++) {
		loops->at[i].journal = journal;
		if (!bh_loop_prepare(&loops->at[i], error))
			return false;
	}
	return true;
}

bh_loop *bh_loops_at(bh_loops *loops, size_t number)
{
	return number < loops->count ? &loops->at[number] : NULL;
}

void bh_loops_use(bh_loops *loops, const bh_settings *settings, bh_guard *guard, bh_methods *methods,
		  const bh_lookup_config *lookup)
{
	for (size_t i = 0; i < loops->count; i++) {
		bh_message *message = g_new0(bh_message, 1);
		message->kind = BH_MESSAGE_USE;
		message->use = g_new(bh_use, 1);
		*message->use = (bh_use){.guard = bh_guard_ref(guard),
					 .methods = bh_methods_ref(methods),
					 .lookup = bh_lookup_config_copy(lookup),
					 .policy = bh_policy_of(settings),
					 .upkeep = bh_upkeep_of(settings),
					 .total_timeout = settings->total_timeout};
		bh_loop_post(&loops->at[i], message, true);
		bh_loop_flush(&loops->at[i]);
	}
}

static void ask_to_stop(bh_loop *loop)
{
	bh_message *message = g_new0(bh_message, 1);
	message->kind = BH_MESSAGE_STOP;
	bh_loop_post(loop, message, true);
	bh_loop_flush(loop);
}

void bh_loops_ask_to_stop(bh_loops *loops)
{
	for (size_t i = 0; i < loops->count; i++)
		ask_to_stop(&loops->at[i]);
}

void bh_loops_stop(bh_loops *loops)
{
	for (size_t i = 0; i < loops->running; i++)
		ask_to_stop(&loops->at[i]);
	for (size_t i = 0; i < loops->running; i++)
		pthread_join(loops->at[i].thread, NULL);
	loops->running = 0;
}

/* --- What others may know of our policy ----------------------------------------------------------------- */

bh_usec bh_delivery_disables_at(const bh_streak *streak, const bh_settings *settings)
{
	bh_streak_policy policy = bh_streak_policy_of(settings);

	return bh_streak_disables_at(streak, &policy);
}

/* --- Metrics -------------------------------------------------------------------------------------------- */

#define SUM(loops, field) \
	({ \
		uint64_t sum_ = 0; \
		for (size_t i_ = 0; i_ < (loops)->count; i_++) \
			sum_ += atomic_load_explicit(&(loops)->at[i_].counts.field, memory_order_relaxed); \
		sum_; \
	})

static void head(GString *out, const char *name, const char *type, const char *help)
{
	g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(GString *out, const char *name, const char *help, uint64_t value)
{
	head(out, name, "gauge", help);
	g_string_append_printf(out, "%s %" G_GUINT64_FORMAT "\n", name, value);
}

static double oldest_due_seconds(bh_loops *loops)
{
	bh_mono now = bh_clock_mono();
	bh_usec longest = 0;
	for (size_t i = 0; i < loops->count; i++) {
		int64_t due = atomic_load_explicit(&loops->at[i].counts.oldest_due, memory_order_relaxed);
		if (due)
			longest = MAX(longest, bh_mono_since(now, (bh_mono){due}));
	}
	return (double)longest / BH_SECOND;
}

void bh_loops_metrics(bh_loops *loops, GString *out)
{
	head(out, "bellhop_attempts_total", "counter", "Attempts made, by outcome.");
	for (int o = BH_OUTCOME_DELIVERED; o <= BH_OUTCOME_UNKNOWN; o++)
		g_string_append_printf(out, "bellhop_attempts_total{outcome=\"%s\"} %" G_GUINT64_FORMAT "\n",
				       bh_outcome_name(o), SUM(loops, attempts[o]));

	head(out, "bellhop_deliveries_total", "counter",
	     "Records made durable, by the state that the delivery went to.");
	for (int s = BH_STATE_PENDING; s <= BH_STATE_FILTERED; s++)
		g_string_append_printf(out, "bellhop_deliveries_total{state=\"%s\"} %" G_GUINT64_FORMAT "\n",
				       bh_state_name(s), SUM(loops, ended[s]));

	gauge(out, "bellhop_window_deliveries", "Waiting deliveries in memory; the others are in the store only.",
	      SUM(loops, waiting));
	gauge(out, "bellhop_in_flight", "Requests under way.", SUM(loops, in_flight));
	gauge(out, "bellhop_retries_in_flight", "Requests under way that are no first attempts.", SUM(loops, retries));
	gauge(out, "bellhop_breakers_open", "Webhooks that nothing but probes is sent to.", SUM(loops, breakers));
	gauge(out, "bellhop_webhooks_failing", "Webhooks whose last attempts all failed.", SUM(loops, failing));
	gauge(out, "bellhop_recoveries_running", "Recoveries under way.", SUM(loops, recoveries));
	head(out, "bellhop_script_troubles_total", "counter", "Attempts whose script failed.");
	g_string_append_printf(out, "bellhop_script_troubles_total %" G_GUINT64_FORMAT "\n",
			       SUM(loops, scripts_broken));
	head(out, "bellhop_script_pauses_total", "counter",
	     "Times that a script paused: after a slice of its work, or to wait for a token.");
	g_string_append_printf(out, "bellhop_script_pauses_total %" G_GUINT64_FORMAT "\n", SUM(loops, slices));
	gauge(out, "bellhop_recording", "Outcomes on their way to the store, as of the last turn of the loop.",
	      SUM(loops, recording));
	gauge(out, "bellhop_lanes", "Webhooks with a lane in memory.", SUM(loops, lanes));

	head(out, "bellhop_oldest_due_seconds", "gauge",
	     "How long the delivery that is overdue longest has been waiting for its turn; 0: none is overdue.");
	g_string_append_printf(out, "bellhop_oldest_due_seconds %.3f\n", oldest_due_seconds(loops));

	head(out, "bellhop_send_delay_seconds", "summary", "From the moment a delivery was due until it was sent.");
	g_string_append_printf(
		out, "bellhop_send_delay_seconds_sum %.6f\nbellhop_send_delay_seconds_count %" G_GUINT64_FORMAT "\n",
		(double)SUM(loops, delay_us) / BH_SECOND, SUM(loops, sent));

	uint64_t connections = 0, requests = 0;
	for (size_t i = 0; i < loops->count; i++) {
		bh_transport_stats stats;
		loops->at[i].wire->stats(loops->at[i].transport, &stats);
		connections += stats.connections;
		requests += stats.requests;
	}
	head(out, "bellhop_connections_opened_total", "counter",
	     "Connections opened to remote services; far fewer than requests when they are reused.");
	g_string_append_printf(out, "bellhop_connections_opened_total %" G_GUINT64_FORMAT "\n", connections);
	head(out, "bellhop_requests_sent_total", "counter", "Requests sent to remote services.");
	g_string_append_printf(out, "bellhop_requests_sent_total %" G_GUINT64_FORMAT "\n", requests);
}
