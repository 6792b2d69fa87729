#include "delivery/turns.h"

#include "delivery/attempt.h"

/*
 * A run is some microseconds mostly, so that only a rush comes to the end of either; then the loop looks at its sockets
 * first, and goes on.
 */
#define SHARE (2 * BH_MILLISECOND)
#define RUNS_MAX 64
#define SLOW_FOR BH_SECOND /* since it last was */
#define BEGUN_MANY 4 /* slow runs */
#define SLOW_MANY 1024 /* webhooks; it is worth a look which of them are slow no more */

static bool has_share(const bh_loop *loop)
{
	return loop->turns.spent < SHARE &&
	       loop->turns.count < (loop->turns.count_max ? loop->turns.count_max : RUNS_MAX);
}

void bh_turns_begin(bh_loop *loop)
{
	loop->turns.spent = 0;
	loop->turns.count = 0;
	bh_script_host_now(loop->scripts, loop->now);
}

static gboolean is_over(gpointer webhook, gpointer until, gpointer loop)
{
	(void)webhook;
	return bh_mono_reached(((bh_loop *)loop)->now.mono, *(bh_mono *)until);
}

static bool is_slow(bh_loop *loop, bh_id webhook)
{
	bh_mono *until = g_hash_table_lookup(loop->turns.slow, &webhook);

	return until && !is_over(NULL, until, loop);
}

static void note_slow(bh_loop *loop, bh_id webhook)
{
	bh_mono until = bh_mono_add(loop->now.mono, SLOW_FOR), *known = g_hash_table_lookup(loop->turns.slow, &webhook);

	if (known) {
		*known = until;
		return;
	}
	if (g_hash_table_size(loop->turns.slow) >= SLOW_MANY)
		g_hash_table_foreach_remove(loop->turns.slow, is_over, loop);
	g_hash_table_insert(loop->turns.slow, g_memdup2(&webhook, sizeof webhook), g_memdup2(&until, sizeof until));
}

bool bh_turns_left(bh_loop *loop, bh_id webhook)
{
	return has_share(loop) && !loop->turns.waiting.head && !(is_slow(loop, webhook) && bh_turns_awaited(loop));
}

/* The one place of the room that looks at the clock within a turn: it is the turn's own length that is measured. */
bh_script_turn bh_turns_resume(bh_loop *loop, bh_id webhook, bh_script *script, const bh_answer *answer,
			       bh_request *ret_call)
{
	bh_mono began = bh_clock_mono();
	bh_script_turn turn = bh_script_resume(script, answer, ret_call);

	loop->turns.spent += bh_mono_since(bh_clock_mono(), began);
	loop->turns.count++;
	if (turn == BH_SCRIPT_LATER)
		bh_count(&loop->counts.slices, 1);
	if (turn == BH_SCRIPT_LATER && bh_script_is_paused(script))
		note_slow(loop, webhook);
	return turn;
}

GQueue *bh_turns_await(bh_loop *loop, bh_id webhook, GList *link)
{
	GQueue *row = is_slow(loop, webhook) ? &loop->turns.slow_waiting : &loop->turns.waiting;

	g_queue_push_tail_link(row, link);
	return row;
}

bool bh_turns_awaited(const bh_loop *loop)
{
	return loop->turns.waiting.head || loop->turns.slow_waiting.head || bh_script_host_has_next(loop->scripts);
}

static bh_attempt *first(GQueue *row)
{
	GList *link = g_queue_pop_head_link(row);

	return link ? link->data : NULL;
}

/*
 * Those who have not begun and those in the middle of their run take turns, unless many are: they would only have more memory among
 * them, which the collector goes through again and again, and none would be done sooner.
 */
static bh_attempt *next_slow(bh_loop *loop)
{
	bh_script *script = NULL;

	loop->turns.begun_next = !loop->turns.begun_next || bh_script_host_row(loop->scripts) >= BEGUN_MANY;
	if (loop->turns.begun_next || g_queue_is_empty(&loop->turns.slow_waiting))
		script = bh_script_host_next(loop->scripts);
	if (script)
		return bh_script_user(script);
	return first(&loop->turns.slow_waiting);
}

void bh_turns_give(bh_loop *loop)
{
	bh_attempt *a = NULL;

	while (has_share(loop) && (a = first(&loop->turns.waiting))) {
		if (is_slow(loop, bh_attempt_webhook(a)))
			bh_attempt_await(a); /* that was not known when it came */
		else
			bh_attempt_go_on(a);
	}
	do {
		a = next_slow(loop);
		if (a)
			bh_attempt_go_on(a);
	} while (a && has_share(loop));
}
