#include "delivery/streaks.h"

#include "base/hash.h"
#include "base/log.h"

typedef struct kept_streak {
	bh_id webhook; /* first: the table's key */
	uint64_t receiver; /* whose failures they are; 0: nobody knows */
	bh_streak streak;
} kept_streak;

static bool is_none(const bh_streak *streak)
{
	return streak->failing_since == 0;
}

GHashTable *bh_streaks_new(void)
{
	return g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
}

bh_streak bh_loop_streak(const bh_loop *loop, bh_id webhook)
{
	const kept_streak *kept = g_hash_table_lookup(loop->streaks, &webhook);
	return kept ? kept->streak : (bh_streak){0};
}

uint64_t bh_loop_receiver_of(const bh_webhook *webhook)
{
	const char *const parts[] = {webhook->method, webhook->settings, webhook->tls_ca, webhook->tls_certificate};
	uint64_t receiver = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
		receiver = receiver * 31 + bh_hash(bh_span_of(parts[i] ? parts[i] : ""));
	return receiver | 1;
}

bool bh_loop_streak_is_foreign(const bh_loop *loop, const bh_webhook *webhook)
{
	const kept_streak *kept = g_hash_table_lookup(loop->streaks, &webhook->id);
	return kept && kept->receiver && kept->receiver != bh_loop_receiver_of(webhook);
}

/* What is stored names no receiver: it is the one that the webhook leads to when it is read. */
static uint64_t present_receiver(const bh_loop *loop, bh_id id)
{
	const bh_webhook *webhook = bh_snapshot_webhook(loop->snapshot, id);
	return webhook ? bh_loop_receiver_of(webhook) : 0;
}

static void keep(bh_loop *loop, bh_id webhook, const bh_streak *streak)
{
	if (is_none(streak)) {
		g_hash_table_remove(loop->streaks, &webhook);
		return;
	}
	const kept_streak *before = g_hash_table_lookup(loop->streaks, &webhook);
	uint64_t receiver = before ? before->receiver : present_receiver(loop, webhook);
	kept_streak *kept = g_new(kept_streak, 1);
	*kept = (kept_streak){webhook, receiver, *streak};
	g_hash_table_replace(loop->streaks, &kept->webhook, kept);
}

/* --- Storing it without an attempt --------------------------------------------------------------- */

static void store(bh_loop *loop, bh_id webhook)
{
	bh_paper *paper = g_new0(bh_paper, 1);
	paper->kind = BH_PAPER_STREAK;
	paper->loop = loop;
	paper->carries_streak = true;
	paper->write = (bh_write){.kind = BH_WRITE_STREAK, .webhook_id = webhook, .at = loop->now.wall};
	bh_loop_submit(loop, paper);
}

void bh_loop_forget_streak(bh_loop *loop, bh_id webhook)
{
	if (g_hash_table_remove(loop->streaks, &webhook) || !loop->knows_streaks)
		store(loop, webhook);
}

/* --- At the start ------------------------------------------------------------------------------------- */

static bool is_switched_off(const bh_loop *loop, bh_id id)
{
	const bh_webhook *webhook = bh_snapshot_webhook(loop->snapshot, id);
	return webhook && webhook->disabled != BH_ENABLED;
}

static bool load(bh_loop *loop, GError **error)
{
	g_autoptr(GArray) webhooks = g_array_new(FALSE, FALSE, sizeof(bh_id));
	bool ok = bh_reader_streaks(loop->reader, webhooks, error);

	for (guint i = 0; ok && i < webhooks->len; i++) {
		bh_id webhook = g_array_index(webhooks, bh_id, i);
		bh_streak streak;
		if (!bh_loop_of_webhook(loop, webhook))
			continue;
		ok = bh_reader_streak(loop->reader, webhook, &streak, error);
		if (ok && is_switched_off(loop, webhook))
			store(loop, webhook); /* the last process died before it could store the run's end */
		else if (ok)
			keep(loop, webhook, &streak);
	}
	if (!ok)
		g_hash_table_remove_all(loop->streaks);
	return ok;
}

void bh_loop_load_streaks(bh_loop *loop)
{
	g_autoptr(GError) error = NULL;

	if (loop->knows_streaks)
		return;
	loop->knows_streaks = load(loop, &error);
	if (!loop->knows_streaks)
		bh_log(BH_WARNING, "delivery", "runs of failures not read; failures do not count until they are",
		       BH_STR("why", error->message));
}

/* --- What follows from it -------------------------------------------------------------------------- */

static void warn(bh_loop *loop, bh_id webhook, const bh_streak *streak, bh_warning warning)
{
	char since[BH_TIME_TEXT_SIZE], until[BH_TIME_TEXT_SIZE];
	bh_usec end = bh_streak_disables_at(streak, &loop->upkeep.streak);

	bh_log(BH_WARNING, "delivery",
	       warning == BH_WARNING_FAILING ? "webhook has been failing for long"
					     : "webhook will be disabled soon if it goes on failing",
	       BH_ID("webhook", BH_ID_WEBHOOK, webhook), BH_STR("since", bh_time_text(streak->failing_since, since)),
	       BH_STR("disabled_at", end ? bh_time_text(end, until) : NULL));
}

static void disable(bh_loop *loop, bh_webhook *webhook, const bh_streak *streak)
{
	char since[BH_TIME_TEXT_SIZE];
	g_autofree char *why = g_strdup_printf(
		"The remote service has given nothing but failures since %s, so the webhook was disabled. Its events are "
		"held meanwhile; enable it again when the service is back.",
		bh_time_text(streak->failing_since, since));
	bh_loop_disable(loop, webhook, BH_DISABLED_BY_FAILURE, why);
}

/* Gives the warning that is due. True: one was, and is to be stored. */
static bool give_warning(bh_loop *loop, bh_id webhook, bh_streak *streak, bh_streak_verdict verdict)
{
	if (!bh_streak_warned(streak, verdict, loop->now.wall))
		return false;
	warn(loop, webhook, streak, verdict == BH_STREAK_WARN_FAILING ? BH_WARNING_FAILING : BH_WARNING_DISABLING);
	return true;
}

static bh_streak_verdict judge(const bh_loop *loop, const bh_streak *streak)
{
	return bh_streak_judge(streak, &loop->upkeep.streak, loop->now.wall);
}

void bh_loop_fold_streak(bh_loop *loop, bh_webhook *attempted, bh_paper *record, const bh_conclusion *conclusion,
			 bh_state state)
{
	if (!loop->knows_streaks) /* the slow look goes on trying, too */
		loop->knows_streaks = load(loop, NULL);
	if (!loop->knows_streaks) { /* a failure more does not matter; a success ends whatever there is */
		record->carries_streak = conclusion->outcome == BH_OUTCOME_DELIVERED;
		return;
	}

	const bh_webhook *present = bh_snapshot_webhook(loop->snapshot, attempted->id);
	if (present && present != attempted && bh_loop_receiver_of(present) != bh_loop_receiver_of(attempted))
		return; /* it leads elsewhere by now */

	bh_streak streak = bh_loop_streak(loop, attempted->id);
	bh_usec now = loop->now.wall, started = now - record->row.total;

	bool changed = bh_streak_fold(&streak, conclusion, state, started, now);
	bh_streak_verdict verdict = judge(loop, &streak);
	changed |= give_warning(loop, attempted->id, &streak, verdict);
	if (changed) {
		keep(loop, attempted->id, &streak);
		record->carries_streak = true;
	}
	/* Only by a failure just seen: as long as nothing is tried, nobody knows how the receiver does by now. */
	if (verdict == BH_STREAK_DISABLE && bh_streak_is_failure(conclusion))
		disable(loop, attempted, &streak);
}

void bh_loop_exhausted_unsent(bh_loop *loop, bh_id webhook)
{
	bh_streak streak = bh_loop_streak(loop, webhook);
	if (!bh_streak_exhausted(&streak, loop->now.wall))
		return;
	keep(loop, webhook, &streak);
	store(loop, webhook);
}

void bh_loop_watch_streaks(bh_loop *loop)
{
	g_autoptr(GArray) webhooks = g_array_new(FALSE, FALSE, sizeof(bh_id));
	GHashTableIter iter;
	void *value;

	bh_loop_load_streaks(loop);
	g_hash_table_iter_init(&iter, loop->streaks);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_array_append_val(webhooks, ((kept_streak *)value)->webhook);

	for (guint i = 0; i < webhooks->len; i++) {
		bh_id id = g_array_index(webhooks, bh_id, i);
		bh_streak streak = bh_loop_streak(loop, id);
		if (!bh_snapshot_webhook(loop->snapshot, id) || !give_warning(loop, id, &streak, judge(loop, &streak)))
			continue;
		keep(loop, id, &streak);
		store(loop, id);
	}
}
