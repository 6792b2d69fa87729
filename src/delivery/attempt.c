/*
 * One attempt, from the scheduler's go-ahead to a record on its way to the journal:
 *
 *   PREPARE -> RUN -> TRANSFER -+     RUN resumes the method's coroutine until
 *               ^---------------+     it asks for a call or is done.
 *              RUN -> CONCLUDE -> RECORD
 *
 * A step that has to wait names the step to go on with and returns WAIT. What it started always reports there, failures
 * included, and never from inside the start call: one way out, so nothing is judged twice.
 */
#include "delivery/attempt.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "delivery/record.h"
#include "delivery/streaks.h"

#include <string.h>

typedef struct bh_step {
	const struct bh_step *(*run)(bh_attempt *a);
} bh_step;

struct bh_attempt {
	bh_loop *loop;
	GList link; /* in loop->attempts */
	bh_item *item;
	const bh_step *step;
	bh_webhook *webhook; /* a reference: as it was when the attempt began */
	bh_event *event; /* a reference */
	char event_id[BH_ID_TEXT_SIZE];
	GBytes *body;
	bh_script *script;
	bh_transfer *transfer; /* under way; NULL: none */
	bh_request call; /* what the script asked for; its strings are the script's */
	const bh_answer *answer; /* of the last call, inside its report only */
	const char *trouble; /* the script broke */
	bh_conclusion conclusion;
	bh_next next;
	bh_paper *paper; /* the record as it grows */
	bh_mono started;
	bh_usec started_wall;
};

static const bh_step *prepare(bh_attempt *a);
static const bh_step *run_script(bh_attempt *a);
static const bh_step *transfer(bh_attempt *a);
static const bh_step *conclude(bh_attempt *a);
static const bh_step *record(bh_attempt *a);

static const bh_step PREPARE = {prepare}, RUN = {run_script}, TRANSFER = {transfer}, CONCLUDE = {conclude},
		     RECORD = {record};
#define WAIT NULL

static void go(bh_attempt *a, const bh_step *step)
{
	while (step)
		step = step->run(a);
}

static void attempt_free(bh_attempt *a)
{
	g_queue_unlink(&a->loop->attempts, &a->link);
	g_clear_pointer(&a->webhook, bh_webhook_unref);
	g_clear_pointer(&a->event, bh_event_unref);
	g_clear_pointer(&a->body, g_bytes_unref);
	g_clear_pointer(&a->script, bh_script_free);
	g_clear_pointer(&a->paper, bh_paper_free);
	g_free(a);
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

/* Moves the delivery without an attempt. */
static const bh_step *move_unsent(bh_attempt *a)
{
	land_unsent(a);
	a->paper = bh_record_without_attempt(a->loop, a->item, &a->next);
	bh_loop_submit(a->loop, g_steal_pointer(&a->paper));
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

/* Who is told: a manager's webhook tells him; the site's names whom the watcher found, which only the store still knows. */
static char *owner_of(bh_attempt *a)
{
	if (a->webhook->manager_id)
		return g_strdup(a->webhook->manager_id);
	if (a->webhook->shape != BH_SHAPE_JOMRES)
		return NULL;
	g_autoptr(bh_delivery) delivery = bh_reader_delivery(a->loop->reader, a->item->waiting.delivery, NULL);
	return delivery ? g_strdup(delivery->manager_id) : NULL;
}

static bool find_event(bh_attempt *a, GError **error)
{
	a->event = a->item->event ? bh_event_ref(a->item->event)
				  : bh_reader_event(a->loop->reader, a->item->waiting.event, error);
	return a->event != NULL;
}

static const bh_step *begin_script(bh_attempt *a)
{
	g_autofree char *owner = owner_of(a);
	a->body =
		bh_event_body(a->event, a->webhook->shape, a->webhook->full_payload, owner, a->item->waiting.sequence);
	bh_script_event seen = {
		.id = bh_id_text(BH_ID_EVENT, a->event->id, a->event_id),
		.type = a->event->type,
		.property_id = a->event->property_id,
		.manager_id = owner,
		.occurred_at = a->event->occurred_at,
		.body = a->body,
		.data = a->event->data,
		.details = a->event->details,
		.channel = a->event->channel,
		.attempt = a->item->waiting.attempts + 1,
	};
	bh_script_job job = {
		.method = a->webhook->method,
		.settings = a->webhook->settings,
		.script = a->webhook->script,
		.webhook = a->webhook->id,
		.event = &seen,
		.skips_accepts = a->item->waiting.is_test,
		.user = a,
	};
	g_autoptr(GError) error = NULL;
	a->script = bh_script_new(a->loop->scripts, &job, &error);
	if (a->script)
		return &RUN;
	a->paper = bh_record_new(a->loop, a->item);
	a->paper->sentence = g_strdup(error->message);
	a->trouble = a->paper->sentence;
	return &CONCLUDE;
}

/*
 * Of deliveries with one coalescing key only the newest is sent. This one's time has come: it gives way to a newer one that
 * went out or is about to, or else the newest goes out now in its place. If the store cannot say, it is sent: one message too many harms nobody.
 */
static bool is_superseded(const bh_attempt *a, const bh_webhook *webhook, bh_id *ret_newest)
{
	*ret_newest = 0;
	return webhook->coalesce > 0 && a->item->waiting.may_coalesce &&
	       bh_reader_superseding(a->loop->reader, a->item->waiting.delivery, a->loop->now.wall, 0, ret_newest,
				     NULL) &&
	       *ret_newest;
}

static const bh_step *give_way(bh_attempt *a, bh_id newest)
{
	a->next = (bh_next){.state = BH_STATE_COALESCED,
			    .spent = a->item->waiting.spent,
			    .reason = "A newer event with the same key was sent in its place.",
			    .superseded_by = newest};
	return move_unsent(a);
}

static const bh_step *prepare(bh_attempt *a)
{
	bh_id newest;

	const bh_webhook *webhook = bh_snapshot_webhook(a->loop->snapshot, a->item->waiting.webhook);
	if (!webhook)
		return end_unsent(a, BH_STATE_CANCELLED, "The webhook was removed.");
	if (webhook->disabled != BH_ENABLED && !a->item->waiting.is_test)
		return let_go(a);
	if (is_superseded(a, webhook, &newest))
		return give_way(a, newest);
	a->webhook = bh_webhook_ref((bh_webhook *)webhook);

	g_autoptr(GError) error = NULL;
	if (find_event(a, &error))
		return begin_script(a);
	if (g_error_matches(error, BH_ERROR, BH_ERROR_NOT_FOUND))
		return end_unsent(a, BH_STATE_EXHAUSTED, "The event is not kept any more.");
	return come_again(a, error);
}

/* --- RUN --------------------------------------------------------------------------------------- */

static const bh_step *run_script(bh_attempt *a)
{
	switch (bh_script_resume(a->script, a->answer, &a->call)) {
	case BH_SCRIPT_CALLS:
		return &TRANSFER;
	case BH_SCRIPT_LATER:
		return WAIT;
	case BH_SCRIPT_RETURNED:
		return &CONCLUDE;
	case BH_SCRIPT_BROKE:
		a->trouble = bh_script_trouble(a->script); /* costs one attempt, and nobody else anything */
		return &CONCLUDE;
	}
	g_assert_not_reached();
}

/* --- TRANSFER ---------------------------------------------------------------------------------- */

static bool names_equal(const char *line, const char *other)
{
	size_t name = strcspn(line, ":");
	return g_ascii_strncasecmp(line, other, name + 1) == 0;
}

static bool has_header(const char *const *lines, const char *line)
{
	for (; lines && *lines; lines++)
		if (names_equal(*lines, line))
			return true;
	return false;
}

/* The owner's extra headers, then the script's, which win over them, then ours, which win over all. */
static void collect_headers(bh_attempt *a, const bh_kit *kit, const char *const *ours, GPtrArray *ret)
{
	for (char **h = kit->headers; *h; h++)
		if (!has_header(a->call.headers, *h))
			g_ptr_array_add(ret, *h);
	for (const char *const *h = a->call.headers; h && *h; h++)
		if (!has_header(ours, *h))
			g_ptr_array_add(ret, (char *)*h);
	for (; *ours; ours++)
		g_ptr_array_add(ret, (char *)*ours);
	g_ptr_array_add(ret, NULL);
}

static void answered(bh_transfer *transfer, bh_answer *answer, void *user)
{
	(void)transfer;
	bh_attempt *a = user;
	BH_FAULT("attempt.answered");
	a->transfer = NULL;
	a->answer = answer;
	go(a, &RUN);
}

static void hide_password(void *paper, bh_span password)
{
	bh_record_hide(paper, password);
}

static bh_paper *new_record(bh_attempt *a)
{
	bh_paper *paper = bh_record_new(a->loop, a->item);
	bh_script_each_password(a->script, hide_password, paper);
	return paper;
}

static const bh_step *transfer(bh_attempt *a)
{
	const bh_kit *kit = bh_kits_find(a->loop->kits, a->webhook);
	char id[sizeof("webhook-id: ") + BH_ID_TEXT_SIZE], timestamp[48], hops[32];
	g_autoptr(GString) signature = g_string_new("webhook-signature: ");
	g_autofree char *trace =
		a->event->traceparent ? g_strconcat("traceparent: ", a->event->traceparent, NULL) : NULL;

	g_snprintf(id, sizeof(id), "webhook-id: %s", a->event_id);
	g_snprintf(timestamp, sizeof(timestamp), "webhook-timestamp: %" G_GINT64_FORMAT, a->loop->wall / BH_SECOND);
	bh_kit_sign(kit, a->event_id, a->loop->wall, a->call.body, signature);

	g_snprintf(hops, sizeof(hops), "bellhop-hops: %d", a->event->hops + 1);

	const char *ours[] = {id, timestamp, signature->str, hops, trace, NULL};
	g_autoptr(GPtrArray) headers = g_ptr_array_sized_new(16);
	collect_headers(a, kit, ours, headers);

	a->call.headers = (const char *const *)headers->pdata;
	if (a->call.total_timeout <= 0)
		a->call.total_timeout =
			a->webhook->total_timeout > 0 ? a->webhook->total_timeout : a->loop->total_timeout;
	a->call.tls_ca = a->webhook->tls_ca;
	a->call.tls_certificate = a->webhook->tls_certificate;
	if (a->webhook->tls_key)
		a->call.tls_key = bh_secret_bytes(a->webhook->tls_key);
	if (!a->paper)
		a->paper = new_record(a);
	bh_record_request(a->paper, &a->call, a->body);

	a->answer = NULL; /* the last one ends with its report */
	BH_FAULT("attempt.before-send");
	a->transfer = a->loop->wire->start(a->loop->transport, &a->call, a->loop->now, answered, a);
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

static const bh_step *conclude(bh_attempt *a)
{
	bh_ending ending = {.trouble = a->trouble, .answer = a->answer};
	if (!a->trouble)
		ending.judgement = bh_script_judged(a->script);

	a->conclusion = bh_conclude(&ending, &a->loop->policy);
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
	if (!a->paper)
		a->paper = bh_record_new(a->loop, a->item);
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
	g_queue_push_tail_link(&loop->attempts, &a->link);
	go(a, &PREPARE);
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
