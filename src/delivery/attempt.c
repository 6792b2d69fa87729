/*
 * One attempt, from the scheduler's go-ahead to a record on its way to the journal:
 *
 *   PREPARE -> NEWEST -> BEGIN -> RUN -> TRANSFER -+     RUN resumes the method's coroutine until
 *                                  ^---------------+     it asks for a call or is done.
 *                                 RUN -> CONCLUDE -> RECORD
 *
 * A step that has to wait names the step to go on with and returns WAIT. What it started always reports there, failures
 * included, and never from inside the start call: one way out, so nothing is judged twice. NEWEST and RUN also wait for a
 * turn to compute in, or for a token that another attempt asks for (bh_attempt_go_on).
 *
 * Who has waited before anything went to the receiver is given back if the webhook is not what it was: the store says what is
 * due to be sent, and to whom, now that it was disabled, removed or changed. After its first request to the receiver the attempt is
 * under way, and ends as it began.
 */
#include "delivery/attempt.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "delivery/job.h"
#include "delivery/newest.h"
#include "delivery/paper.h"
#include "delivery/record.h"
#include "delivery/request.h"
#include "delivery/streaks.h"
#include "delivery/turns.h"

#include <string.h>

typedef struct bh_step {
	const struct bh_step *(*run)(bh_attempt *a);
} bh_step;

struct bh_attempt {
	bh_loop *loop;
	GList link; /* in loop->attempts */
	bh_item *item;
	const bh_step *step; /* to go on with */
	bool has_turn; /* its script may run at once */
	GList turn_link; /* among those who wait for a turn */
	GQueue *awaits_in; /* the row of those; NULL: it does not wait */
	bh_webhook *webhook; /* a reference: as it was when the attempt began */
	bh_newest newest;
	bh_event *event; /* a reference */
	GBytes *body; /* the event's own */
	bh_script *script;
	bh_transfer *transfer; /* under way; NULL: none */
	bool was_sent; /* a request went to the receiver, or to where it leads */
	bh_request call; /* what the script asked for; its strings are the script's */
	bool is_new_answer; /* the script has not seen it */
	bh_answer *answer; /* of the last call: the transport's inside its report, then `kept` */
	bh_answer kept;
	bh_answer *aside; /* the receiver's, while a token or details are asked for; NULL: none */
	const char *trouble; /* the script broke */
	bh_conclusion conclusion;
	bh_next next;
	bh_paper *paper; /* the record as it grows */
	bh_mono started;
	bh_usec started_wall;
};

static const bh_step *prepare(bh_attempt *a);
static const bh_step *look_for_newer(bh_attempt *a);
static const bh_step *begin(bh_attempt *a);
static const bh_step *run_script(bh_attempt *a);
static const bh_step *transfer(bh_attempt *a);
static const bh_step *conclude(bh_attempt *a);
static const bh_step *record(bh_attempt *a);

static const bh_step PREPARE = {prepare}, NEWEST = {look_for_newer}, BEGIN = {begin}, RUN = {run_script},
		     TRANSFER = {transfer}, CONCLUDE = {conclude}, RECORD = {record};
#define WAIT NULL

static void go(bh_attempt *a, const bh_step *step)
{
	while (step)
		step = step->run(a);
}

static void clear_answer(bh_answer *answer)
{
	if (answer->head)
		g_string_free(answer->head, TRUE);
	if (answer->body)
		g_byte_array_unref(answer->body);
	g_free(answer->location);
	g_free(answer->control);
	*answer = (bh_answer){0};
}

static void drop_answer(bh_attempt *a)
{
	a->answer = NULL;
	clear_answer(&a->kept);
}

static void drop_aside(bh_attempt *a)
{
	if (!a->aside)
		return;
	clear_answer(a->aside);
	g_clear_pointer(&a->aside, g_free);
}

/* The transport's ends with its report, and a script that goes on later may pass it on then. */
static void keep_answer(bh_attempt *a)
{
	bh_answer *from = a->answer;
	if (!from || from == &a->kept)
		return;
	a->kept = *from;
	from->head = NULL;
	from->body = NULL;
	from->location = from->control = NULL;
	a->answer = &a->kept;
}

/*
 * A script whose token was refused may ask for another one, get none, and pass on what the receiver said. So that is kept, and
 * the record of what was asked, until the receiver is asked again.
 */
static void set_aside(bh_attempt *a)
{
	if (a->paper->call_kind != BH_CALL_DELIVERY || !a->answer)
		return;
	drop_aside(a);
	keep_answer(a);
	a->aside = g_memdup2(&a->kept, sizeof(a->kept));
	a->kept = (bh_answer){0};
	bh_record_set_aside(a->paper);
}

static void take_back(bh_attempt *a)
{
	drop_answer(a);
	a->kept = *a->aside;
	a->answer = &a->kept;
	g_clear_pointer(&a->aside, g_free);
	bh_record_take_back(a->paper);
}

static void attempt_free(bh_attempt *a)
{
	g_queue_unlink(&a->loop->attempts, &a->link);
	if (a->awaits_in)
		g_queue_unlink(a->awaits_in, &a->turn_link);
	drop_answer(a);
	drop_aside(a);
	bh_newest_clear(&a->newest);
	g_clear_pointer(&a->webhook, bh_webhook_unref);
	g_clear_pointer(&a->script, bh_script_free);
	g_clear_pointer(&a->event, bh_event_unref);
	g_clear_pointer(&a->body, g_bytes_unref);
	g_clear_pointer(&a->paper, bh_paper_free);
	g_free(a);
}

/* --- Turns ------------------------------------------------------------------------------------- */

bh_id bh_attempt_webhook(const bh_attempt *a)
{
	return a->item->waiting.webhook;
}

void bh_attempt_await(bh_attempt *a)
{
	a->awaits_in = bh_turns_await(a->loop, bh_attempt_webhook(a), &a->turn_link);
}

/* Its script says that it goes on later. */
static const bh_step *go_on_with(bh_attempt *a, const bh_step *step)
{
	a->step = step;
	return WAIT;
}

/* False: it waits for its turn, and goes on with `step`. */
static bool takes_turn(bh_attempt *a, const bh_step *step)
{
	bool may = a->has_turn || bh_turns_left(a->loop, bh_attempt_webhook(a));

	a->has_turn = false;
	if (may)
		return true;
	a->step = step;
	bh_attempt_await(a);
	return false;
}

static const bh_webhook *present(const bh_attempt *a)
{
	return bh_snapshot_webhook(a->loop->snapshot, a->item->waiting.webhook);
}

/* Nothing has gone out, and nothing is to go out any more, or not as it was begun. */
static bool is_overtaken(const bh_attempt *a)
{
	const bh_loop *loop = a->loop;

	return !a->was_sent && (loop->stopping || present(a) != a->webhook ||
				g_hash_table_contains(loop->disabling, &a->item->waiting.webhook));
}

/* --- PREPARE ----------------------------------------------------------------------------------- */

static void land_unsent(bh_attempt *a)
{
	bh_landing unsent = {.was_sent = false};
	(void)bh_scheduler_landed(a->loop->scheduler, a->item, &unsent, a->loop->now); /* tells the pace nothing */
}

/* Ends the attempt before anything was sent; what is stored stays as it is, and a lane that opens finds it again. */
static const bh_step *let_go(bh_attempt *a)
{
	land_unsent(a);
	bh_scheduler_ended(a->loop->scheduler, a->item);
	attempt_free(a);
	return WAIT;
}

/* As it is stored by now it comes again, if it is still to be sent. */
static const bh_step *give_back(bh_attempt *a)
{
	bh_loop *loop = a->loop;
	bh_id webhook = a->item->waiting.webhook;

	(void)let_go(a);
	if (!loop->stopping)
		bh_loop_look_at(loop, webhook);
	return WAIT;
}

/* Moves the delivery without an attempt. */
static const bh_step *move_unsent(bh_attempt *a)
{
	land_unsent(a);
	bh_loop_submit(a->loop, bh_record_without_attempt(a->loop, a->item, &a->next));
	attempt_free(a);
	return WAIT;
}

static const bh_step *end_unsent(bh_attempt *a, bh_state state, const char *reason)
{
	a->next = (bh_next){.state = state, .spent = a->item->waiting.spent, .reason = reason};
	return move_unsent(a);
}

/*
 * The store did not give the event, which is no fault of the delivery's: it waits and spends nothing. Its new time is
 * stored, too, since a lane finds what it does not remember by the time that the store knows.
 */
static const bh_step *come_again(bh_attempt *a, const GError *error)
{
	bh_conclusion unread = {.outcome = BH_OUTCOME_FAILED};

	bh_log(BH_WARNING, "delivery", "event not read, tried again later",
	       BH_ID("delivery", BH_ID_DELIVERY, a->item->waiting.delivery), BH_STR("why", error->message));
	a->next = bh_next_step(&a->loop->policy, &a->item->waiting, &unread, a->loop->now.wall, &a->loop->chance);
	return move_unsent(a);
}

static const bh_step *prepare(bh_attempt *a)
{
	const bh_webhook *webhook = present(a);
	if (!webhook)
		return end_unsent(a, BH_STATE_CANCELLED, "The webhook was removed.");
	if (webhook->disabled != BH_ENABLED && !a->item->waiting.is_test)
		return let_go(a);
	a->webhook = bh_webhook_ref((bh_webhook *)webhook);
	return &NEWEST;
}

/* --- NEWEST ------------------------------------------------------------------------------------ */

static const bh_step *give_way(bh_attempt *a)
{
	a->next = (bh_next){.state = BH_STATE_COALESCED,
			    .spent = a->item->waiting.spent,
			    .reason = "A newer event with the same key was sent in its place.",
			    .superseded_by = a->newest.candidate};
	return move_unsent(a);
}

static const bh_step *look_for_newer(bh_attempt *a)
{
	if (!takes_turn(a, &NEWEST))
		return WAIT;
	switch (bh_newest_look(&a->newest, a->loop, &a->item->waiting, a->webhook, a)) {
	case BH_NEWEST_ITSELF:
		return &BEGIN;
	case BH_NEWEST_FOUND:
		return give_way(a);
	case BH_NEWEST_ON:
		return &NEWEST;
	case BH_NEWEST_LATER:
		return go_on_with(a, &NEWEST);
	}
	g_assert_not_reached();
}

/* --- BEGIN ------------------------------------------------------------------------------------- */

static bool find_event(bh_attempt *a, GError **error)
{
	a->event = a->item->event ? bh_event_ref(a->item->event)
				  : bh_reader_event(a->loop->reader, a->item->waiting.event, error);
	return a->event != NULL;
}

static const bh_step *begin_script(bh_attempt *a)
{
	const bh_waiting *w = &a->item->waiting;
	bh_job_facts facts = {.webhook = a->webhook,
			      .event = a->event,
			      .delivery = w->delivery,
			      .sequence = w->sequence,
			      .attempt = w->attempts + 1,
			      .is_test = w->is_test,
			      .part = BH_SCRIPT_ALL,
			      .user = a};
	g_autoptr(GError) error = NULL;

	a->script = bh_job_begin(a->loop, &facts, &a->body, &error);
	if (a->script)
		return &RUN;
	a->paper = bh_record_new(a->loop, a->item);
	a->paper->sentence = g_strdup(error->message);
	a->trouble = a->paper->sentence;
	return &CONCLUDE;
}

static const bh_step *begin(bh_attempt *a)
{
	g_autoptr(GError) error = NULL;

	if (find_event(a, &error))
		return begin_script(a);
	if (g_error_matches(error, BH_ERROR, BH_ERROR_NOT_FOUND))
		return end_unsent(a, BH_STATE_EXHAUSTED, "The event is not kept any more.");
	return come_again(a, error);
}

/* --- RUN --------------------------------------------------------------------------------------- */

/* A condition does not want the event: nothing was sent, and nothing is. */
static const bh_step *filter(bh_attempt *a)
{
	const char *why = bh_script_judged(a->script)->why;

	return end_unsent(a, BH_STATE_FILTERED, why ? why : "A condition of the webhook does not want this event.");
}

static const bh_step *run_script(bh_attempt *a)
{
	if (!takes_turn(a, &RUN))
		return WAIT;
	const bh_answer *news = a->is_new_answer ? a->answer : NULL;
	a->is_new_answer = false;
	switch (bh_turns_resume(a->loop, bh_attempt_webhook(a), a->script, news, &a->call)) {
	case BH_SCRIPT_CALLS:
		return &TRANSFER;
	case BH_SCRIPT_LATER:
		keep_answer(a);
		return go_on_with(a, &RUN);
	case BH_SCRIPT_RETURNED:
		return bh_script_judged(a->script)->kind == BH_JUDGED_FILTERED ? filter(a) : &CONCLUDE;
	case BH_SCRIPT_BROKE:
		a->trouble = bh_script_trouble(a->script); /* costs one attempt, and nobody else anything */
		bh_count(&a->loop->counts.scripts_broken, 1);
		return &CONCLUDE;
	}
	g_assert_not_reached();
}

/* --- TRANSFER ---------------------------------------------------------------------------------- */

static void answered(bh_transfer *transfer, bh_answer *answer, void *user)
{
	(void)transfer;
	bh_attempt *a = user;
	BH_FAULT("attempt.answered");
	a->transfer = NULL;
	a->answer = answer;
	a->is_new_answer = a->has_turn = true;
	go(a, &RUN);
}

static void hide_password(void *paper, bh_span password)
{
	bh_record_hide(paper, password);
}

/* Tokens come as the run goes on, and hide like the passwords of the settings. */
static void need_record(bh_attempt *a)
{
	if (!a->paper)
		a->paper = bh_record_new(a->loop, a->item);
	if (a->script)
		bh_script_each_password(a->script, hide_password, a->paper);
}

/* What waited since the go-ahead, be it for its token, asks for it again: its turn in the receiver's pace may be past. */
static bool may_begin_late(bh_attempt *a)
{
	bh_mono now = a->loop->now.mono;

	return bh_mono_since(now, a->started) == 0 ||
	       bh_scheduler_sends_late(a->loop->scheduler, a->item, a->loop->now);
}

static const bh_step *transfer(bh_attempt *a)
{
	bool begins = !a->was_sent && bh_script_call_kind(a->script) == BH_CALL_DELIVERY;
	if (is_overtaken(a) || (begins && !may_begin_late(a)))
		return give_back(a);
	need_record(a);
	bh_outgoing out = {.loop = a->loop,
			   .webhook = a->webhook,
			   .event = a->event,
			   .kind = bh_script_call_kind(a->script),
			   .record = a->paper,
			   .event_body = a->body,
			   .done = answered,
			   .user = a};

	a->was_sent |= out.kind == BH_CALL_DELIVERY;
	if (out.kind == BH_CALL_DELIVERY)
		drop_aside(a);
	else
		set_aside(a);
	drop_answer(a);
	a->transfer = bh_request_start(&out, &a->call);
	return WAIT;
}

/* --- CONCLUDE ---------------------------------------------------------------------------------- */

static void tell_breaker(const bh_attempt *a, bh_landed landed)
{
	if (landed == BH_LANDED_BREAKER_OPENED)
		bh_log(BH_WARNING, "delivery", "breaker opened: nothing but probes is sent until one goes well",
		       BH_ID("webhook", BH_ID_WEBHOOK, a->webhook->id), BH_STR("why", a->conclusion.sentence));
	else if (landed == BH_LANDED_BREAKER_CLOSED)
		bh_log(BH_INFO, "delivery", "breaker closed: the receiver takes events again",
		       BH_ID("webhook", BH_ID_WEBHOOK, a->webhook->id));
}

static bh_conclusion judge(const bh_attempt *a)
{
	bool was_delivery = !a->paper || a->paper->call_kind == BH_CALL_DELIVERY;
	bh_script_judgement judgement = a->trouble ? (bh_script_judgement){0} : *bh_script_judged(a->script);
	g_autofree char *trouble = bh_job_words(a->script, a->trouble), *why = bh_job_words(a->script, judgement.why);
	judgement.why = why;
	bh_ending ending = {
		.trouble = trouble, .judgement = &judgement, .answer = a->answer, .has_asked = !was_delivery};

	return bh_conclude(&ending, &a->loop->policy);
}

static const bh_step *conclude(bh_attempt *a)
{
	if (a->aside && !a->trouble && bh_script_judged(a->script)->kind != BH_JUDGED_ENDED)
		take_back(a);
	a->conclusion = judge(a);
	a->next =
		bh_next_step(&a->loop->policy, &a->item->waiting, &a->conclusion, a->loop->now.wall, &a->loop->chance);
	bh_landing landing = {.was_sent = true, .signal = a->conclusion.signal, .pause = a->conclusion.pause};
	tell_breaker(a, bh_scheduler_landed(a->loop->scheduler, a->item, &landing, a->loop->now));
	return &RECORD;
}

/* --- RECORD ------------------------------------------------------------------------------------ */

static void tell_log(const bh_attempt *a)
{
	/* What went well is the journal's to count; a line for each of thousands a second would cost more than it tells. */
	bool well = a->conclusion.outcome == BH_OUTCOME_DELIVERED;
	char next[BH_TIME_TEXT_SIZE];
	bh_log(well ? BH_DEBUG : BH_INFO, "delivery", "attempt recorded", BH_ID("event", BH_ID_EVENT, a->event->id),
	       BH_ID("delivery", BH_ID_DELIVERY, a->item->waiting.delivery),
	       BH_ID("webhook", BH_ID_WEBHOOK, a->webhook->id), BH_INT("attempt", a->item->waiting.attempts + 1),
	       BH_STR("outcome", bh_outcome_name(a->conclusion.outcome)),
	       BH_STR("cause", well ? NULL : bh_cause_name(a->conclusion.cause)),
	       BH_INT("status", a->answer ? a->answer->status : 0), BH_STR("state", bh_state_name(a->next.state)),
	       BH_STR("next", a->next.state == BH_STATE_PENDING ? bh_time_text(a->next.due_at, next) : NULL));
}

/* So that the very body can be made again from the event when somebody looks at the attempt. */
static const char *shape_of(const bh_webhook *webhook)
{
	if (webhook->shape == BH_SHAPE_JOMRES)
		return "jomres";
	return webhook->full_payload ? "standard+details" : "standard";
}

static const bh_step *record(bh_attempt *a)
{
	need_record(a);
	a->paper->row.shape = shape_of(a->webhook);
	tell_log(a);
	bh_record_conclusion(a->paper, &(bh_record_facts){.conclusion = &a->conclusion,
							  .next = &a->next,
							  .answer = a->answer,
							  .started_wall = a->started_wall,
							  .took = bh_mono_since(a->loop->now.mono, a->started)});
	if (!a->item->waiting.is_test)
		bh_loop_fold_streak(a->loop, a->webhook, a->paper, &a->conclusion, a->next.state);
	if (a->conclusion.disables)
		bh_loop_disable(a->loop, a->webhook, a->conclusion.disables, a->conclusion.sentence);
	bh_loop_submit(a->loop, g_steal_pointer(&a->paper));
	attempt_free(a);
	return WAIT;
}

/* --- The door ---------------------------------------------------------------------------------- */

void bh_attempt_begin(bh_loop *loop, bh_item *item)
{
	bh_attempt *a = g_new0(bh_attempt, 1);
	a->loop = loop;
	a->item = item;
	a->started = loop->now.mono;
	a->started_wall = loop->wall;
	a->link.data = a;
	a->turn_link.data = a;
	g_queue_push_tail_link(&loop->attempts, &a->link);
	go(a, &PREPARE);
}

void bh_attempt_go_on(bh_attempt *a)
{
	a->awaits_in = NULL;
	a->has_turn = true;
	go(a, is_overtaken(a) ? give_back(a) : a->step);
}

void bh_attempts_abandon(bh_loop *loop)
{
	while (loop->attempts.head) {
		bh_attempt *a = loop->attempts.head->data;
		if (a->transfer)
			loop->wire->abort(loop->transport, a->transfer);
		bh_paper_leave(g_steal_pointer(&a->paper));
		attempt_free(a);
	}
}
