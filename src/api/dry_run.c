/*
 * POST /v1/webhooks/{id}/dry-run: what a webhook's conditions and changes, as they are or as its owner thinks of having them, would
 * make of events that are stored. Nothing is sent and nothing is kept.
 *
 *   API thread           read the body ............................. answer
 *   rehearsals' thread        find an event -> run it -> write its row ...^     as long as the budget lasts
 */
#include "api/body.h"
#include "api/event_batch.h"
#include "api/names.h"
#include "api/rehearsals.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/webhook.h"
#include "base/error.h"
#include "base/log.h"
#include "base/steady.h"

#include <string.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 100
#define BUDGET (2 * BH_SECOND) /* of computing, in all */
#define SEARCHED_MAX 5000 /* stored events that are looked at to find those that the webhook selects */
#define SEARCHED_AT_ONCE 100
#define BODY_MAX ((size_t)(64 * 1024)) /* of one event's body that is shown */
#define ANSWER_MAX ((size_t)(4 * 1024 * 1024)) /* no row is begun beyond it */

/* A dry run: the call's work. While the call is suspended it is the rehearsals' thread's. */
typedef struct dry_run {
	/* what is asked */
	bh_webhook *webhook; /* a copy, changed as the body says */
	GArray *named; /* bh_id; NULL: the newest that it selects */
	char *type; /* of these only; NULL: of any type */
	guint limit;

	/* what came of it */
	GString *out; /* the answer, as far as it is written */
	guint rows;
	bool truncated;
	int missing; /* the place in `named` of one that the asker knows nothing of; -1: none */
	GError *error; /* the store's */
} dry_run;

/* What the rehearsals' thread works with. */
typedef struct run {
	const bh_call *call;
	const bh_stage *stage;
	dry_run *d;
	GArray *findings;
	bh_usec until; /* on the clock of the thread's work */
} run;

static void dry_run_free(void *user)
{
	dry_run *d = user;

	g_clear_pointer(&d->webhook, bh_webhook_unref);
	g_clear_pointer(&d->named, g_array_unref);
	if (d->out)
		g_string_free(d->out, TRUE);
	g_clear_error(&d->error);
	g_free(d->type);
	g_free(d);
}

/* --- What is asked ----------------------------------------------------------------------- */

static bool refuse(bh_call *call, const char *pointer, const char *why)
{
	bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "%s", why);
	return false;
}

static bool read_script(bh_call *call, dry_run *d)
{
	uint32_t node = bh_body_member(call, "script");

	return node == BH_JSON_NONE || bh_read_script(call, node, &d->webhook->script);
}

/* By the same rules as when they are saved, so that nothing can be tried that could not be had. */
static bool read_method(bh_call *call, dry_run *d)
{
	static const bh_text_rule RULE = {.max = 128};
	uint32_t name = bh_body_member(call, "method"), settings = bh_body_member(call, "settings");
	g_autofree char *stored = g_strdup(d->webhook->method);
	g_autoptr(GPtrArray) names = bh_names_new(); /* where they lead is nothing to a dry run */

	if (name == BH_JSON_NONE && settings == BH_JSON_NONE)
		return true;
	return bh_body_text(call, name, "/method", &RULE, &d->webhook->method) &&
	       bh_merge_settings(call, d->webhook, stored, d->webhook->method, settings, BH_JSON_NONE, false, names);
}

static bool refuse_event(bh_call *call, guint place)
{
	g_autofree char *pointer = g_strdup_printf("/events/%u", place);

	return refuse(call, pointer, "There is no such event.");
}

static bool read_named(bh_call *call, dry_run *d, uint32_t node)
{
	static const bh_text_rule RULE = {.max = BH_ID_TEXT_SIZE};
	g_auto(GStrv) texts = NULL;

	if (node == BH_JSON_NONE)
		return true;
	if (!bh_body_texts(call, node, "/events", &RULE, LIMIT_MAX, &texts))
		return false;
	if (!texts[0])
		return refuse(call, "/events", "It must not be empty: leave it out for the newest.");
	d->named = g_array_new(FALSE, FALSE, sizeof(bh_id));
	for (guint i = 0; texts[i]; i++) {
		bh_id id;
		if (!bh_id_parse(BH_ID_EVENT, texts[i], &id))
			return refuse_event(call, i);
		g_array_append_val(d->named, id);
	}
	return true;
}

static bool read_newest(bh_call *call, dry_run *d)
{
	static const bh_text_rule RULE = {.max = BH_TYPE_NAME_MAX};
	static const bh_number_rule LIMIT = {1, LIMIT_MAX, true};
	uint32_t type = bh_body_member(call, "type"), limit = bh_body_member(call, "limit");
	double most = LIMIT_DEFAULT;

	if (d->named && (type != BH_JSON_NONE || limit != BH_JSON_NONE))
		return refuse(call, type != BH_JSON_NONE ? "/type" : "/limit",
			      "It is about the newest events, and \"events\" names others.");
	if (!bh_body_text(call, type, "/type", &RULE, &d->type) ||
	    !bh_body_number(call, limit, "/limit", &LIMIT, &most))
		return false;
	d->limit = (guint)most;
	return !d->type || bh_type_name_ok(bh_span_of(d->type)) ||
	       refuse(call, "/type", "It is not the name of an event type.");
}

static bool read_body(bh_call *call, dry_run *d)
{
	static const char *const MEMBERS[] = {"script", "method", "settings", "events", "limit", "type", NULL};

	return bh_body_parse(call, MEMBERS) && read_script(call, d) && read_method(call, d) &&
	       read_named(call, d, bh_body_member(call, "events")) && read_newest(call, d);
}

/* --- One event --------------------------------------------------------------------------- */

static bool is_over(const run *r)
{
	return bh_clock_work() >= r->until || bh_stage_is_closing(r->stage);
}

/* What the watcher would find of it; NULL: the webhook does not select it. A test is about one webhook, and never selected. */
static const bh_finding *find(run *r, bh_event *event)
{
	g_array_set_size(r->findings, 0);
	if (strcmp(event->type, BH_TEST_TYPE) == 0)
		return NULL;
	bh_watch(event, r->call->scope.snapshot, bh_owners_of(r->call), r->findings);
	for (guint i = 0; i < r->findings->len; i++) {
		const bh_finding *f = &g_array_index(r->findings, bh_finding, i);
		if (f->webhook == r->d->webhook->id && bh_verdict_delivers(f->verdict))
			return f;
	}
	return NULL;
}

/* The bytes of it that are shown: what is cut is cut between two characters. */
static bh_span shown_part(GBytes *body)
{
	gsize size;
	const char *at = g_bytes_get_data(body, &size);

	if (size <= BODY_MAX)
		return (bh_span){at, size};
	size = BODY_MAX;
	while (size > BODY_MAX - 4 && ((unsigned char)at[size] & 0xc0) == 0x80)
		size--;
	return (bh_span){at, size};
}

static void write_body(GString *out, GBytes *body)
{
	bh_span shown = body ? shown_part(body) : (bh_span){NULL, 0};

	if (body)
		bh_out_span(out, "body", shown);
	else
		bh_out_null(out, "body");
	bh_out_bool(out, "body_truncated", body && shown.size < g_bytes_get_size(body));
}

/* `own` is the event's own body, `body` what would be sent; both NULL unless it would be. */
static void write_row(run *r, const bh_event *event, const char *verdict, GBytes *own, GBytes *body, const char *error)
{
	GString *out = r->d->out;

	bh_out_open(out, NULL, '{');
	bh_out_id(out, "event_id", BH_ID_EVENT, event->id);
	bh_out_text(out, "type", event->type);
	bh_out_time(out, "occurred_at", event->occurred_at);
	bh_out_text(out, "verdict", verdict);
	bh_out_bool(out, "changed", body && !g_bytes_equal(own, body));
	write_body(out, body);
	bh_out_text(out, "error", error);
	bh_out_close(out, '}');
	r->d->rows++;
}

/* As when it is delivered (see attempt.c in delivery): who is told, if anybody is. */
static const char *owner_of(const bh_webhook *webhook, const bh_finding *finding)
{
	if (webhook->manager_id)
		return webhook->manager_id;
	return webhook->shape == BH_SHAPE_JOMRES ? finding->manager : NULL;
}

static bh_script *begin(run *r, const bh_event *event, const char *owner, GBytes *body, GError **error)
{
	const bh_webhook *webhook = r->d->webhook;
	char id[BH_ID_TEXT_SIZE];
	const bh_script_event seen = {
		.id = bh_id_text(BH_ID_EVENT, event->id, id),
		.type = event->type,
		.property_id = event->property_id,
		.manager_id = owner,
		.occurred_at = event->occurred_at,
		.body = body,
		.data = event->data,
		.details = event->details,
		.channel = event->channel,
		.attempt = 1,
	};
	const bh_script_job job = {
		.method = webhook->method,
		.settings = webhook->settings,
		.script = webhook->script,
		.webhook = webhook->id,
		.event = &seen,
		.part = BH_SCRIPT_CONTENT,
	};

	return bh_script_new(r->stage->scripts, &job, error);
}

/* Nobody else is on this host, so a run that has used up its slice goes on at once, unless the time of all is over. */
static bh_script_turn run_to_its_end(run *r, bh_script *script)
{
	bh_request none;
	bh_script_turn turn = bh_script_resume(script, NULL, &none);

	while (turn == BH_SCRIPT_LATER && !is_over(r)) {
		bh_script *next = bh_script_host_next(r->stage->scripts);
		g_assert(next == script);
		turn = bh_script_resume(script, NULL, &none);
	}
	return turn;
}

static void write_outcome(run *r, const bh_event *event, GBytes *own, const bh_script *script)
{
	const bh_script_judgement *judged = bh_script_judged(script);

	if (judged->kind == BH_JUDGED_FILTERED)
		write_row(r, event, "filtered", NULL, NULL, NULL);
	else if (judged->kind == BH_JUDGED_DELIVERED)
		write_row(r, event, "sent", own, bh_script_body(script), NULL);
	else
		write_row(r, event, "error", NULL, NULL, judged->why ? judged->why : "It ended before it was through.");
}

/* False: the budget was over before it was through, and nothing is said of it. */
static bool try_event(run *r, const bh_event *event, const bh_finding *finding)
{
	const bh_webhook *webhook = r->d->webhook;
	const char *owner = owner_of(webhook, finding);
	g_autoptr(GBytes) own = bh_event_body(event, webhook->shape, webhook->full_payload, owner, 0);
	g_autoptr(GError) error = NULL;

	bh_script_host_now(r->stage->scripts, bh_clock_steady_now());
	bh_script *script = begin(r, event, owner, own, &error);
	if (!script) {
		write_row(r, event, "error", NULL, NULL, error->message);
		return true;
	}
	bh_script_turn turn = run_to_its_end(r, script);
	g_assert(turn != BH_SCRIPT_CALLS); /* there is no `remote` before deliver */
	if (turn == BH_SCRIPT_BROKE)
		write_row(r, event, "error", NULL, NULL, bh_script_trouble(script));
	else if (turn == BH_SCRIPT_RETURNED)
		write_outcome(r, event, own, script);
	bh_script_free(script);
	return turn != BH_SCRIPT_LATER;
}

/* --- All of them ------------------------------------------------------------------------- */

/* False: there is no room for another one. */
static bool goes_on(run *r)
{
	r->d->truncated = r->d->out->len > ANSWER_MAX || is_over(r);
	return !r->d->truncated;
}

static bh_event *read_named_event(run *r, guint place)
{
	bh_event *event = bh_reader_event(r->stage->reader, g_array_index(r->d->named, bh_id, place), &r->d->error);

	if (event && bh_scope_sees_event(&r->call->scope, event))
		return event;
	g_clear_pointer(&event, bh_event_unref);
	if (!r->d->error || g_error_matches(r->d->error, BH_ERROR, BH_ERROR_NOT_FOUND)) {
		g_clear_error(&r->d->error);
		r->d->missing = (int)place;
	}
	return NULL;
}

static void try_named(run *r)
{
	for (guint i = 0; i < r->d->named->len && goes_on(r); i++) {
		g_autoptr(bh_event) event = read_named_event(r, i);
		if (!event)
			return;
		const bh_finding *finding = find(r, event);
		if (!finding)
			write_row(r, event, "not_selected", NULL, NULL, NULL);
		else if (!try_event(r, event, finding))
			r->d->truncated = true;
		if (r->d->truncated)
			return;
	}
}

/* The only type that it selects; NULL: there may be more. */
static const char *sole_type(const run *r)
{
	const bh_webhook *webhook = r->d->webhook;
	const bh_catalogue *catalogue = bh_snapshot_catalogue(r->call->scope.snapshot);
	bool is_one = webhook->events[0] && !webhook->events[1] && bh_catalogue_find(catalogue, webhook->events[0]);

	return is_one ? webhook->events[0] : NULL;
}

static const char *sole_property(const bh_webhook *webhook)
{
	return webhook->properties && webhook->properties[0] && !webhook->properties[1] ? webhook->properties[0] : NULL;
}

/* True: more of them may follow. */
static bool try_page(run *r, bh_list *list)
{
	g_autoptr(GPtrArray) events = bh_reader_events(r->stage->reader, list, &r->d->error);

	for (guint i = 0; events && i < events->len && r->d->rows < r->d->limit; i++) {
		bh_event *event = events->pdata[i];
		list->before = event->id;
		const bh_finding *finding = bh_scope_sees_event(&r->call->scope, event) ? find(r, event) : NULL;
		if (!finding)
			continue;
		if (!goes_on(r))
			return false;
		if (!try_event(r, event, finding)) {
			r->d->truncated = true;
			return false;
		}
	}
	return events && events->len == list->limit && r->d->rows < r->d->limit;
}

/* Newest first. The list is narrowed to what can concern the webhook at all; the watcher has the say. */
static void try_newest(run *r)
{
	const dry_run *d = r->d;
	bh_scope owners = r->call->scope; /* borrowed: what its owner may know of, whoever asks */
	owners.manager_id = d->webhook->manager_id;
	g_autofree char **properties = owners.manager_id ? bh_scope_property_ids(&owners) : NULL;
	bh_list list = {
		.manager_id = owners.manager_id,
		.property_ids = properties,
		.type = d->type ? d->type : sole_type(r),
		.property_id = sole_property(d->webhook),
		.limit = SEARCHED_AT_ONCE,
	};

	for (guint searched = 0; goes_on(r) && try_page(r, &list); searched += SEARCHED_AT_ONCE) {
		r->d->truncated = searched + SEARCHED_AT_ONCE >= SEARCHED_MAX;
		if (r->d->truncated)
			return;
	}
}

static void rehearse(bh_call *call, const bh_stage *stage)
{
	dry_run *d = call->work;
	g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(bh_finding));
	run r = {.call = call, .stage = stage, .d = d, .findings = findings, .until = bh_clock_work() + BUDGET};

	bh_out_open(d->out, NULL, '{');
	bh_out_open(d->out, "data", '[');
	if (!stage->reader)
		g_set_error(&d->error, BH_ERROR, BH_ERROR_IO, "the store cannot be read");
	else if (d->named)
		try_named(&r);
	else
		try_newest(&r);
	bh_out_close(d->out, ']');
	bh_out_bool(d->out, "truncated", d->truncated);
	bh_out_close(d->out, '}');
}

/* --- The whole --------------------------------------------------------------------------- */

static void rehearsed(bh_call *call)
{
	dry_run *d = call->work;

	if (bh_call_failed(call))
		return;
	if (d->error) {
		bh_reply_error(call, d->error);
		return;
	}
	if (d->missing >= 0) {
		refuse_event(call, (guint)d->missing);
		return;
	}
	bh_log(BH_INFO, "api", "webhook tried on stored events", BH_ID("webhook", BH_ID_WEBHOOK, d->webhook->id),
	       BH_INT("events", d->rows), BH_STR("by", call->scope.key_text));
	bh_reply_json(call, 200, g_steal_pointer(&d->out));
}

void bh_dry_run_webhook(bh_call *call)
{
	const bh_webhook *webhook = bh_find_webhook(call);

	if (!webhook)
		return;
	dry_run *d = g_new0(dry_run, 1);
	d->webhook = bh_webhook_copy(webhook);
	d->missing = -1;
	d->out = g_string_sized_new(4096);
	bh_call_set_work(call, d, dry_run_free);
	if (read_body(call, d))
		bh_rehearse(call, false, rehearse, rehearsed);
}
