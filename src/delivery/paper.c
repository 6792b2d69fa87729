/*
 * Papers between a loop and the journal:
 *
 *   bh_loop_submit --> journal --> done (its thread) --> the loop's inbox --> bh_loop_paper_back
 *        ^                                                                        |
 *        +---- a second later, if the journal or the store did not take it -------+
 *
 * What happened stays known here until it is on disk: an outcome is never dropped because a disk is full.
 */
#include "delivery/paper.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "delivery/recoveries.h"
#include "delivery/streaks.h"
#include "delivery/upkeep.h"

#include <string.h>

#define TRY_AGAIN_AFTER BH_SECOND
#define SWEEP_STEP 500
#define TESTS_MAX 100 /* that one look finds */

static void paper_done(bh_entry *entry, const GError *error)
{
	bh_paper *paper = (bh_paper *)entry;
	paper->error = error ? g_error_copy(error) : NULL;
	paper->message.kind = BH_MESSAGE_PAPER;
	paper->message.paper = paper;
	/*
	 * A delivery that ended needs nobody to wake. One that waits again may be due before anything else happens, and one that
	 * was moved by somebody else meanwhile may be; a test that went well may enable its webhook.
	 */
	bool urgent = error || paper->kind != BH_PAPER_RECORD || paper->write.state == BH_STATE_PENDING ||
		      paper->write.result != BH_WRITE_DONE || paper->again.then != BH_TEST_ONLY;
	bh_loop *loop = paper->loop;
	if (!error && paper->kind == BH_PAPER_RECORD && paper->write.result == BH_WRITE_DONE)
		bh_count(&loop->counts.ended[paper->write.state],
			 1); /* here, or the last one of a rush would count late */
	bh_loop_post(loop, &paper->message, urgent);
	bh_loop_flush(loop);
}

static void postpone(bh_loop *loop, bh_paper *paper)
{
	if (g_queue_is_empty(&loop->postponed))
		loop->postponed_until = bh_mono_add(loop->now.mono, TRY_AGAIN_AFTER);
	g_queue_push_tail(&loop->postponed, paper);
}

/*
 * The run of failures goes along as it is now, not as it was when the paper was written: one that was postponed must not
 * bring back what is past.
 */
static void take_streak(bh_loop *loop, bh_paper *paper)
{
	if (!paper->carries_streak)
		return;
	paper->streak = bh_loop_streak(loop, paper->write.webhook_id);
	paper->write.streak = &paper->streak;
}

static void hand_in(bh_loop *loop, bh_paper *paper)
{
	g_clear_error(&paper->error);
	take_streak(loop, paper);
	paper->writes[0] = &paper->write;
	for (size_t i = 0; i < paper->release_count; i++)
		paper->writes[1 + i] = &paper->release[i];
	paper->entry = (bh_entry){
		.writes = paper->writes, .count = 1 + paper->release_count, .lazy = true, .done = paper_done};
	if (!bh_journal_submit(loop->journal, &paper->entry, NULL))
		postpone(loop, paper);
}

void bh_loop_submit(bh_loop *loop, bh_paper *paper)
{
	loop->papers_out++;
	hand_in(loop, paper);
}

void bh_loop_resubmit_due(bh_loop *loop)
{
	if (g_queue_is_empty(&loop->postponed) || !bh_mono_reached(loop->now.mono, loop->postponed_until))
		return;
	GQueue due = loop->postponed;
	g_queue_init(&loop->postponed);
	bh_paper *paper;
	while ((paper = g_queue_pop_head(&due)))
		hand_in(loop, paper);
}

void bh_loop_abandon_postponed(bh_loop *loop)
{
	bh_paper *paper;
	while ((paper = g_queue_pop_head(&loop->postponed)))
		bh_paper_leave(paper);
}

/* --- Back from the journal ---------------------------------------------------------------------- */

static void record_back(bh_loop *loop, bh_paper *paper)
{
	bh_id webhook = paper->item->waiting.webhook;
	bool kept = !paper->error && paper->write.result == BH_WRITE_DONE;

	if (paper->error)
		bh_log(BH_ERR, "delivery", "record refused by the store; the delivery stays as it was stored",
		       BH_ID("delivery", BH_ID_DELIVERY, paper->item->waiting.delivery),
		       BH_STR("why", paper->error->message));
	bh_waiting was = paper->item->waiting;
	if (kept && paper->write.state == BH_STATE_PENDING)
		bh_scheduler_again(loop->scheduler, paper->item, &paper->again, loop->now);
	else
		bh_scheduler_ended(loop->scheduler, paper->item);
	if (!kept && !paper->error)
		bh_loop_look_at(loop, webhook); /* somebody else moved it meanwhile, perhaps to where it waits again */
	if (kept && paper->write.state == BH_STATE_DELIVERED && was.then != BH_TEST_ONLY)
		bh_loop_enable(loop, webhook, was.then);
	loop->papers_out--;
	bh_paper_free(paper);
}

/*
 * What a disabled webhook still has pending when all is held are tests, which go out all the same: those that the last
 * process left behind. Of those that we were told of ourselves the scheduler knows.
 */
static void offer_tests(bh_loop *loop, bh_id webhook)
{
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(bh_waiting));
	if (!bh_reader_waiting(loop->reader, webhook, INT64_MIN, 0, TESTS_MAX, rows, NULL))
		return; /* the next slow look comes by again */
	for (guint i = 0; i < rows->len; i++) {
		const bh_waiting *w = &g_array_index(rows, bh_waiting, i);
		if (w->is_test)
			bh_loop_offer(loop, w, NULL, true);
	}
}

static void sweep_back(bh_loop *loop, bh_paper *paper)
{
	bool overtaken = paper->error; /* the webhook was switched once more, and whoever did it sees to the rest */
	const bh_write *w = &paper->write;
	BH_FAULT("paper.swept-some");
	if (!overtaken && w->swept > 0 && w->from == BH_STATE_PENDING && w->state == BH_STATE_EXHAUSTED) {
		bh_loop_exhausted_unsent(loop, w->webhook_id);
		bh_loop_look_at(loop,
				w->webhook_id); /* its window still has them, and knows nothing of who follows them */
	}
	bool has_more = !overtaken && paper->write.swept == paper->write.limit;

	if (paper->left != SIZE_MAX)
		paper->left -= MIN(paper->left, paper->write.swept);
	/* What holds or ends deliveries is found again by the next start; what releases them is not. */
	bool goes_on = !loop->stopping || w->state == BH_STATE_PENDING;
	if (has_more && paper->left > 0 && goes_on) {
		paper->write.limit = MIN(SWEEP_STEP, paper->left);
		hand_in(loop, paper);
		return;
	}
	if (!overtaken && !has_more && w->state == BH_STATE_HELD)
		offer_tests(loop, w->webhook_id);
	if (w->state == BH_STATE_EXHAUSTED)
		bh_upkeep_ended(loop, w, !overtaken);
	loop->papers_out--;
	bh_paper_free(paper);
}

static void disable_back(bh_loop *loop, bh_paper *paper)
{
	bool raced = g_error_matches(paper->error, BH_ERROR, BH_ERROR_CONFLICT);
	bh_id webhook = paper->attempted->id;

	BH_FAULT("paper.disabled");
	g_hash_table_remove(loop->disabling, &webhook);
	if (raced)
		bh_loop_disable(loop, paper->attempted, paper->cause, paper->why);
	else if (!paper->error)
		bh_log(BH_WARNING, "delivery", "webhook disabled", BH_ID("webhook", BH_ID_WEBHOOK, webhook),
		       BH_STR("cause", bh_disabled_cause_name(paper->cause)), BH_STR("why", paper->why));
	if (paper->error && !g_hash_table_contains(loop->disabling, &webhook))
		bh_loop_look_at(loop, webhook); /* the lane was closed ahead of what did not come */
	loop->papers_out--;
	bh_paper_free(paper);
}

static void enable_back(bh_loop *loop, bh_paper *paper)
{
	bh_id webhook = paper->write.change->webhook->id;

	BH_FAULT("paper.enabled");
	if (g_error_matches(paper->error, BH_ERROR, BH_ERROR_CONFLICT)) {
		bh_loop_enable(loop, webhook, paper->then);
	} else if (!paper->error) {
		bh_log(BH_INFO, "delivery", "webhook enabled: its test went well",
		       BH_ID("webhook", BH_ID_WEBHOOK, webhook));
	}
	loop->papers_out--;
	bh_paper_free(paper);
}

static void put_away(bh_loop *loop, bh_paper *paper)
{
	if (paper->error)
		bh_log(BH_WARNING, "delivery", "a run of failures was not stored",
		       BH_STR("why", paper->error->message));
	loop->papers_out--;
	bh_paper_free(paper);
}

/* The store or the journal could not take it now; an answer such as "no such thing" is final. */
static bool is_passing(const GError *error)
{
	return g_error_matches(error, BH_ERROR, BH_ERROR_BUSY) || g_error_matches(error, BH_ERROR, BH_ERROR_IO) ||
	       g_error_matches(error, BH_ERROR, BH_ERROR_LIMIT) || g_error_matches(error, BH_ERROR, BH_ERROR_UNSURE);
}

void bh_loop_paper_back(bh_loop *loop, bh_paper *paper)
{
	if (paper->error && is_passing(paper->error)) {
		postpone(loop, paper);
		return;
	}
	switch (paper->kind) {
	case BH_PAPER_RECORD:
		record_back(loop, paper);
		return;
	case BH_PAPER_SWEEP:
		sweep_back(loop, paper);
		return;
	case BH_PAPER_DISABLE:
		disable_back(loop, paper);
		return;
	case BH_PAPER_ENABLE:
		enable_back(loop, paper);
		return;
	case BH_PAPER_STREAK:
		put_away(loop, paper);
		return;
	case BH_PAPER_RECOVER:
		bh_loop_recover_back(loop, paper);
		loop->papers_out--;
		bh_paper_free(paper);
		return;
	}
	g_assert_not_reached();
}

/* --- Sweeps and disabling ------------------------------------------------------------------------ */

void bh_loop_sweep(bh_loop *loop, const bh_sweeping *sweeping)
{
	bh_paper *paper = g_new0(bh_paper, 1);
	paper->kind = BH_PAPER_SWEEP;
	paper->loop = loop;
	paper->left = sweeping->at_most ? sweeping->at_most : SIZE_MAX;
	paper->reason = g_strdup(sweeping->reason);
	paper->write = (bh_write){
		.kind = BH_WRITE_SWEEP,
		.webhook_id = sweeping->webhook,
		.from = sweeping->from,
		.state = sweeping->to,
		.made_before = sweeping->made_before,
		.limit = MIN(SWEEP_STEP, paper->left),
		.reason = paper->reason,
		.at = loop->now.wall,
	};
	bh_loop_submit(loop, paper);
}

static bh_webhook *disabled_copy(const bh_webhook *webhook, bh_disabled_cause cause, const char *why, bh_usec at)
{
	bh_webhook *changed = bh_webhook_copy(webhook);
	changed->revision++;
	changed->disabled = cause;
	changed->disabled_reason = g_strdup(why);
	changed->disabled_at = changed->updated_at = at;
	return changed;
}

static bool leads_where(const bh_webhook *a, const bh_webhook *b)
{
	return strcmp(a->method, b->method) == 0 && strcmp(a->settings, b->settings) == 0;
}

void bh_loop_disable(bh_loop *loop, bh_webhook *attempted, bh_disabled_cause cause, const char *why)
{
	bh_id webhook = attempted->id;
	g_autoptr(bh_snapshot) now = bh_directory_now(loop->directory);
	const bh_webhook *present = bh_snapshot_webhook(now, webhook);
	if (!present || !leads_where(present, attempted) || present->disabled != BH_ENABLED ||
	    g_hash_table_contains(loop->disabling, &webhook))
		return;
	g_hash_table_add(loop->disabling, g_memdup2(&webhook, sizeof(webhook)));
	bh_scheduler_close(loop->scheduler, webhook);

	bh_paper *paper = g_new0(bh_paper, 1);
	paper->kind = BH_PAPER_DISABLE;
	paper->loop = loop;
	paper->attempted = bh_webhook_ref(attempted);
	paper->cause = cause;
	paper->why = g_strdup(why);
	paper->change =
		(bh_change){.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = disabled_copy(present, cause, why, loop->wall)};
	paper->write = (bh_write){.kind = BH_WRITE_CHANGE,
				  .change = &paper->change,
				  .audit_who = "bellhop",
				  .audit_from = "",
				  .at = loop->wall};
	bh_loop_submit(loop, paper);
}

static bh_webhook *enabled_copy(const bh_webhook *webhook, bh_usec at)
{
	bh_webhook *changed = bh_webhook_copy(webhook);
	changed->revision++;
	changed->disabled = BH_ENABLED;
	g_clear_pointer(&changed->disabled_reason, g_free);
	changed->disabled_at = 0;
	changed->updated_at = at;
	return changed;
}

static void release(bh_paper *paper, bh_id webhook, bh_state to, bool keep_newest, const char *reason)
{
	paper->release[paper->release_count++] = (bh_write){
		.kind = BH_WRITE_SWEEP,
		.webhook_id = webhook,
		.from = BH_STATE_HELD,
		.state = to,
		.keep_newest = keep_newest,
		.limit = G_MAXINT, /* held_max bounds it */
		.reason = reason,
		.at = paper->loop->now.wall,
	};
}

/*
 * What a webhook holds goes in the commit that enables it: whoever asked for the test has his answer already, and nobody
 * else knows what he wanted if we die between the two.
 */
static void release_held(bh_paper *paper, bh_id webhook)
{
	paper->release = g_new0(bh_write, 2);
	if (paper->then == BH_TEST_ENABLES_NEWEST)
		release(paper, webhook, BH_STATE_CANCELLED, true,
			"Held; only the newest was sent when the webhook was enabled.");
	if (paper->then == BH_TEST_ENABLES_ALL || paper->then == BH_TEST_ENABLES_NEWEST)
		release(paper, webhook, BH_STATE_PENDING, false, "The webhook is enabled again.");
	else if (paper->then != BH_TEST_ENABLES_KEEP)
		release(paper, webhook, BH_STATE_CANCELLED, false, "Held; none was sent when the webhook was enabled.");
}

void bh_loop_enable(bh_loop *loop, bh_id webhook, bh_test_then then)
{
	g_autoptr(bh_snapshot) now = bh_directory_now(loop->directory);
	const bh_webhook *present = bh_snapshot_webhook(now, webhook);
	if (!present || present->disabled == BH_ENABLED)
		return;

	bh_paper *paper = g_new0(bh_paper, 1);
	paper->kind = BH_PAPER_ENABLE;
	paper->loop = loop;
	paper->then = then;
	paper->change = (bh_change){.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = enabled_copy(present, loop->wall)};
	paper->write = (bh_write){.kind = BH_WRITE_CHANGE,
				  .change = &paper->change,
				  .audit_who = "bellhop, after a test",
				  .audit_from = "",
				  .at = loop->wall};
	release_held(paper, webhook);
	bh_loop_submit(loop, paper);
}
