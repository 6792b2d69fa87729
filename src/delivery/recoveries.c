#include "delivery/recoveries.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"

#define STEP_EVERY (200 * BH_MILLISECOND)
#define AGAIN_AFTER (5 * BH_SECOND) /* a step came too late: its webhook had just been disabled */
#define PAGE 100 /* read at a time */

typedef struct recovering {
	bh_id id, webhook;
	int64_t per_second;
	bh_mono next_at;
	bool is_out; /* a step is with the journal */
} recovering;

static recovering *find(const bh_loop *loop, bh_id id)
{
	for (guint i = 0; i < loop->recoveries->len; i++) {
		recovering *r = loop->recoveries->pdata[i];
		if (r->id == id)
			return r;
	}
	return NULL;
}

static void forget(bh_loop *loop, recovering *r)
{
	g_ptr_array_remove_fast(loop->recoveries, r);
}

static void take_up(bh_loop *loop, const bh_recovery *stored)
{
	if (!bh_loop_of_webhook(loop, stored->webhook_id) || find(loop, stored->id))
		return;
	recovering *r = g_new0(recovering, 1);
	r->id = stored->id;
	r->webhook = stored->webhook_id;
	r->per_second = MAX(1, stored->per_second);
	r->next_at = loop->now.mono;
	g_ptr_array_add(loop->recoveries, r);
}

/* Those under way below the id `before`; 0: from the newest. *ret_last: the oldest of them, 0 when there are no more. */
static bool read_page(bh_loop *loop, bh_id before, bh_id *ret_last, GError **error)
{
	g_autoptr(GPtrArray) running = bh_reader_recoveries(loop->reader, NULL, 0, true, before, PAGE, error);

	if (!running)
		return false;
	for (guint i = 0; i < running->len; i++)
		take_up(loop, running->pdata[i]);
	*ret_last = running->len == PAGE ? ((bh_recovery *)running->pdata[PAGE - 1])->id : 0;
	return true;
}

static void note_reading(bh_loop *loop, bool ok, const GError *error)
{
	loop->knows_recoveries = ok;
	if (!ok)
		bh_log(BH_WARNING, "delivery", "recoveries not read, tried again with the next look",
		       BH_STR("why", error->message));
}

void bh_loop_read_recoveries(bh_loop *loop)
{
	g_autoptr(GError) error = NULL;
	bh_id last = 0;
	bool ok;

	do
		ok = read_page(loop, last, &last, &error);
	while (ok && last);
	note_reading(loop, ok, error);
}

/* One that was cancelled is found out at its next step: the store refuses it. */
void bh_loop_read_recovery_of(bh_loop *loop, bh_id webhook)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) running = bh_reader_recoveries(loop->reader, &webhook, 1, true, 0, 1, &error);

	if (!running)
		note_reading(loop, false, error);
	else if (running->len > 0)
		take_up(loop, running->pdata[0]);
}

static bool is_enabled(const bh_loop *loop, bh_id webhook)
{
	const bh_webhook *w = bh_snapshot_webhook(loop->snapshot, webhook);
	return w && w->disabled == BH_ENABLED;
}

/* As many as the rate allows from one step to the next. */
static void hand_in_step(bh_loop *loop, recovering *r)
{
	bh_usec every = MAX(STEP_EVERY, BH_SECOND / r->per_second);
	bh_paper *paper = g_new0(bh_paper, 1);

	paper->kind = BH_PAPER_RECOVER;
	paper->loop = loop;
	paper->write = (bh_write){
		.kind = BH_WRITE_RECOVER,
		.webhook_id = r->webhook,
		.recovery_id = r->id,
		.state = BH_STATE_PENDING,
		.limit = (size_t)MAX(1, r->per_second * every / BH_SECOND),
		.reason = "It failed, and was recovered by hand.",
		.at = loop->now.wall,
	};
	r->is_out = true;
	r->next_at = bh_mono_add(loop->now.mono, every);
	bh_loop_submit(loop, paper);
}

void bh_loop_recover_due(bh_loop *loop)
{
	for (guint i = 0; i < loop->recoveries->len; i++) {
		recovering *r = loop->recoveries->pdata[i];
		if (r->is_out || !bh_mono_reached(loop->now.mono, r->next_at))
			continue;
		if (!bh_snapshot_webhook(loop->snapshot, r->webhook)) {
			forget(loop, r); /* the store ended it with the webhook */
			i--;
		} else if (is_enabled(loop, r->webhook) && !loop->stopping) {
			hand_in_step(loop, r);
		} else {
			r->next_at = loop->look_at; /* that may take days */
		}
	}
}

bh_usec bh_loop_recover_next(const bh_loop *loop)
{
	bh_usec next = -1;
	for (guint i = 0; i < loop->recoveries->len; i++) {
		const recovering *r = loop->recoveries->pdata[i];
		bh_usec wait = MAX(0, bh_mono_since(r->next_at, loop->now.mono));
		if (!r->is_out && (next < 0 || wait < next))
			next = wait;
	}
	return next;
}

void bh_loop_recover_back(bh_loop *loop, const bh_paper *paper)
{
	const bh_write *w = &paper->write;
	recovering *r = find(loop, w->recovery_id);

	BH_FAULT("recovery.step-kept");
	if (!r)
		return;
	r->is_out = false;
	if (g_error_matches(paper->error, BH_ERROR, BH_ERROR_CONFLICT)) { /* disabled meanwhile: it waits */
		r->next_at = bh_mono_add(loop->now.mono, AGAIN_AFTER);
		return;
	}
	if (!paper->error && w->result == BH_WRITE_DONE && w->recovery_state == BH_RECOVERY_RUNNING)
		return;
	if (!paper->error && w->result == BH_WRITE_DONE)
		bh_log(BH_INFO, "delivery", "recovery done", BH_ID("recovery", BH_ID_RECOVERY, r->id),
		       BH_ID("webhook", BH_ID_WEBHOOK, r->webhook));
	forget(loop, r);
}
