#include "delivery/upkeep.h"

#include "base/log.h"
#include "delivery/paper.h"
#include "delivery/recoveries.h"
#include "delivery/streaks.h"

/* Held deliveries beyond the limit that one look takes away; the next one goes on. */
#define HELD_EXCESS_MAX 50000
#define EXPIRY_LOOK_EVERY BH_DAY
#define EXPIRY_WARNS_BEFORE (30 * BH_DAY)

bh_upkeep bh_upkeep_of(const bh_settings *settings)
{
	return (bh_upkeep){
		.streak = bh_streak_policy_of(settings),
		.held_max = settings->held_max,
		.held_span = settings->held_span,
		.look_every = settings->look_every,
	};
}

/* Webhooks of this loop that have deliveries in `state`; what could not be read is said and left to the next look. */
static GArray *webhooks_with(bh_loop *loop, bh_state state)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(bh_id));
	GArray *ours = g_array_new(FALSE, FALSE, sizeof(bh_id));

	if (!bh_reader_webhooks_waiting(loop->reader, state, all, &error))
		bh_log(BH_WARNING, "delivery", "cannot look for waiting deliveries", BH_STR("why", error->message));
	for (guint i = 0; i < all->len; i++) {
		bh_id webhook = g_array_index(all, bh_id, i);
		if (bh_loop_of_webhook(loop, webhook))
			g_array_append_val(ours, webhook);
	}
	return ours;
}

/* Its place in loop->ending: what a webhook holds and what it has pending are set aside apart from one another. */
static bh_id ending_key(bh_id webhook, bh_state from)
{
	return from == BH_STATE_HELD ? -webhook : webhook;
}

/*
 * Sets deliveries aside. One sweep of a webhook and state at a time: with the store away for an hour each look would hand in another one, and
 * when it is back each of them would take as many as the first was meant to.
 */
static void end_some(bh_loop *loop, const bh_sweeping *sweeping)
{
	bh_id key = ending_key(sweeping->webhook, sweeping->from);
	if (g_hash_table_add(loop->ending, g_memdup2(&key, sizeof(key))))
		bh_loop_sweep(loop, sweeping);
}

/* --- What waits -------------------------------------------------------------------------------------- */

static void look_at_waiting(bh_loop *loop, bool only_idle)
{
	g_autoptr(GArray) webhooks = webhooks_with(loop, BH_STATE_PENDING);
	for (guint i = 0; i < webhooks->len; i++) {
		bh_id webhook = g_array_index(webhooks, bh_id, i);
		if (!only_idle || bh_scheduler_is_idle(loop->scheduler, webhook))
			bh_loop_look_at(loop, webhook);
	}
}

/*
 * Behind an open breaker most deliveries are never attempted, so nobody else notices that their time is over. Those that
 * wait for another reason get their attempt first, however late: it is not their receiver's fault.
 */
static void end_lifetimes(bh_loop *loop)
{
	g_autoptr(GArray) webhooks = g_array_new(FALSE, FALSE, sizeof(bh_id));
	bh_scheduler_broken(loop->scheduler, webhooks);
	for (guint i = 0; i < webhooks->len; i++)
		end_some(loop, &(bh_sweeping){
				       .webhook = g_array_index(webhooks, bh_id, i),
				       .from = BH_STATE_PENDING,
				       .to = BH_STATE_EXHAUSTED,
				       .reason = "No time is left: its remote service did not answer for the whole of "
						 "its lifetime.",
				       .made_before = loop->now.wall - loop->policy.lifetime,
			       });
}

/* --- What is held -------------------------------------------------------------------------------------- */

static void limit_held(bh_loop *loop, bh_id webhook)
{
	end_some(loop, &(bh_sweeping){
			       .webhook = webhook,
			       .from = BH_STATE_HELD,
			       .to = BH_STATE_EXHAUSTED,
			       .reason = "It was held for as long as deliveries are for a disabled webhook.",
			       .made_before = loop->now.wall - loop->upkeep.held_span,
		       });
}

/* Those that were held too long are gone, and do not count. */
static void end_oldest(bh_loop *loop, bh_id webhook)
{
	size_t most = (size_t)loop->upkeep.held_max, count = 0;

	if (!bh_reader_count(loop->reader, webhook, BH_STATE_HELD, most + HELD_EXCESS_MAX, &count, NULL) ||
	    count <= most)
		return;
	end_some(loop, &(bh_sweeping){
			       .webhook = webhook,
			       .from = BH_STATE_HELD,
			       .to = BH_STATE_EXHAUSTED,
			       .reason = "Too many were held for the disabled webhook, and it was one of the oldest.",
			       .at_most = count - most,
		       });
}

void bh_upkeep_ended(bh_loop *loop, const bh_write *sweep, bool kept)
{
	bh_id key = ending_key(sweep->webhook_id, sweep->from);
	g_hash_table_remove(loop->ending, &key);
	if (kept && sweep->from == BH_STATE_HELD && sweep->made_before && !loop->stopping)
		end_oldest(loop, sweep->webhook_id);
}

/* One webhook a turn: a site may have many that are disabled, and who is sent to meanwhile does not wait for them. */
static void look_at_held(bh_loop *loop)
{
	if (loop->held->len == 0)
		return;
	bh_id webhook = g_array_index(loop->held, bh_id, loop->held->len - 1);
	g_array_set_size(loop->held, loop->held->len - 1);
	if (bh_snapshot_webhook(loop->snapshot, webhook))
		limit_held(loop, webhook);
	else
		bh_loop_look_at(loop, webhook); /* it was removed, and what it held is left over */
}

/* --- Certificates ----------------------------------------------------------------------------------------- */

static void warn_of_expiry(const bh_webhook *webhook, const char *what, bh_usec expires_at, bh_usec now)
{
	char text[BH_TIME_TEXT_SIZE];
	if (expires_at == 0 || expires_at - EXPIRY_WARNS_BEFORE > now)
		return;
	bh_log(BH_WARNING, "delivery",
	       expires_at > now ? "a webhook's TLS material expires soon" : "a webhook's TLS material has expired",
	       BH_ID("webhook", BH_ID_WEBHOOK, webhook->id), BH_STR("what", what),
	       BH_STR("expires_at", bh_time_text(expires_at, text)));
}

static void look_at_expiry(bh_loop *loop)
{
	bh_id after = 0;
	for (;;) {
		g_autoptr(GPtrArray) page = bh_snapshot_page_webhooks(loop->snapshot, NULL, after, 100);
		for (guint i = 0; i < page->len; i++) {
			const bh_webhook *webhook = page->pdata[i];
			after = webhook->id;
			if (!bh_loop_of_webhook(loop, webhook->id))
				continue;
			warn_of_expiry(webhook, "authority", webhook->tls_ca_expires_at, loop->wall);
			warn_of_expiry(webhook, "client certificate", webhook->tls_certificate_expires_at, loop->wall);
		}
		if (page->len < 100)
			return;
	}
}

/* --- The look ------------------------------------------------------------------------------------------------ */

static void look(bh_loop *loop)
{
	loop->look_at = bh_mono_add(loop->now.mono, loop->upkeep.look_every);
	end_lifetimes(loop);
	bh_loop_watch_streaks(loop);
	if (!loop->knows_recoveries)
		bh_loop_read_recoveries(loop);
	if (loop->held->len == 0) {
		g_array_unref(loop->held);
		loop->held = webhooks_with(loop, BH_STATE_HELD);
	}
	if (!bh_mono_reached(loop->now.mono, loop->expiry_at))
		return;
	loop->expiry_at = bh_mono_add(loop->now.mono, EXPIRY_LOOK_EVERY);
	look_at_expiry(loop);
}

void bh_upkeep_begin(bh_loop *loop)
{
	loop->expiry_at = loop->now.mono;
	bh_loop_load_streaks(loop);
	look_at_waiting(loop, false);
	look(loop);
}

void bh_upkeep_look(bh_loop *loop)
{
	look_at_held(loop);
	if (!bh_mono_reached(loop->now.mono, loop->look_at))
		return;
	look_at_waiting(loop, true);
	look(loop);
}

bh_usec bh_upkeep_next(const bh_loop *loop)
{
	return loop->held->len ? 0 : MAX(0, bh_mono_since(loop->look_at, loop->now.mono));
}
