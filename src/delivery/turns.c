#include "delivery/turns.h"

#include "delivery/attempt.h"

/*
 * A run is some microseconds mostly, so that only a rush comes to the end of either; then the loop looks at its sockets
 * first, and goes on.
 */
#define SHARE (2 * BH_MILLISECOND)
#define RUNS_MAX 64

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

bool bh_turns_left(const bh_loop *loop)
{
	return has_share(loop) && !loop->turns.waiting.head;
}

/* The one place of the room that looks at the clock within a turn: it is the turn's own length that is measured. */
bh_script_turn bh_turns_resume(bh_loop *loop, bh_script *script, const bh_answer *answer, bh_request *ret_call)
{
	bh_mono began = bh_clock_mono();
	bh_script_turn turn = bh_script_resume(script, answer, ret_call);

	loop->turns.spent += bh_mono_since(bh_clock_mono(), began);
	loop->turns.count++;
	if (turn == BH_SCRIPT_LATER)
		bh_count(&loop->counts.slices, 1);
	return turn;
}

void bh_turns_await(bh_loop *loop, GList *link)
{
	g_queue_push_tail_link(&loop->turns.waiting, link);
}

bool bh_turns_awaited(const bh_loop *loop)
{
	return loop->turns.waiting.head || bh_script_host_has_next(loop->scripts);
}

/* Those who have not begun and those in the middle of their run take turns. */
static bh_attempt *next(bh_loop *loop)
{
	bh_script *script = NULL;

	loop->turns.begun_next = !loop->turns.begun_next;
	if (loop->turns.begun_next || g_queue_is_empty(&loop->turns.waiting))
		script = bh_script_host_next(loop->scripts);
	if (script)
		return bh_script_user(script);
	GList *link = g_queue_pop_head_link(&loop->turns.waiting);
	return link ? link->data : NULL;
}

void bh_turns_give(bh_loop *loop)
{
	do {
		bh_attempt *a = next(loop);
		if (!a)
			return;
		bh_attempt_go_on(a);
	} while (has_share(loop));
}
