/*
 * POST /v1/events/{id}/replay: the watcher decides anew, on the directory as it is now, who gets a stored event. What comes of
 * it are deliveries of the same event, so receivers see the same webhook-id; its findings are a round of their own.
 */
#include "api/body.h"
#include "api/event_batch.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/verdict.h"
#include "base/log.h"

#include <string.h>

/* A replay on its way: the call's work. */
typedef struct replay {
	bh_event *event;
	GArray *findings; /* bh_finding that the asker may bring about; they point into the call's scope */
	GArray *keys; /* see event_batch.h */
	bh_delivery *deliveries, **delivery_at; /* one per finding that delivers */
	size_t delivery_count;
} replay;

static void replay_free(void *user)
{
	replay *r = user;

	bh_event_unref(r->event);
	g_array_unref(r->findings);
	g_clear_pointer(&r->keys, g_array_unref);
	g_free(r->deliveries);
	g_free(r->delivery_at);
	g_free(r);
}

/* --- Read -------------------------------------------------------------------------------- */

/* The one webhook that the body names; 0: all. False: the call is answered. */
static bool read_webhook(bh_call *call, bh_id *ret)
{
	static const char *const MEMBERS[] = {"webhook_id", NULL};
	static const bh_text_rule RULE = {.max = BH_ID_TEXT_SIZE};
	g_autofree char *id = NULL;

	*ret = 0;
	if (!bh_body_parse(call, MEMBERS) ||
	    !bh_body_text(call, bh_body_member(call, "webhook_id"), "/webhook_id", &RULE, &id))
		return false;
	const bh_webhook *webhook = id ? bh_scope_webhook(&call->scope, id) : NULL;
	if (id && !webhook)
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/webhook_id", "There is no such webhook.");
	*ret = webhook ? webhook->id : 0;
	return !id || webhook;
}

/* --- Decide ------------------------------------------------------------------------------ */

/* Leaves what the asker may bring about, and of it what he asked for. */
static void keep_wanted(const bh_call *call, GArray *findings, bh_id only)
{
	guint kept = 0;

	for (guint i = 0; i < findings->len; i++) {
		const bh_finding *f = &g_array_index(findings, bh_finding, i);
		if (bh_sees_finding(call, f) && (!only || f->webhook == only))
			g_array_index(findings, bh_finding, kept++) = *f;
	}
	g_array_set_size(findings, kept);
}

static void decide(bh_call *call, replay *r, bh_id only)
{
	const bh_snapshot *snapshot = call->scope.snapshot;

	bh_watch(r->event, snapshot, bh_owners_of(call), r->findings);
	keep_wanted(call, r->findings, only);
	for (guint i = 0; i < r->findings->len; i++) {
		const bh_finding *f = &g_array_index(r->findings, bh_finding, i);
		if (!bh_verdict_delivers(f->verdict))
			continue;
		r->delivery_count++;
		bh_fresh_keys_note(&r->keys, i, r->event, bh_snapshot_webhook(snapshot, f->webhook));
	}
}

static void build_deliveries(replay *r)
{
	size_t made = 0;
	guint key = 0;

	r->deliveries = g_new0(bh_delivery, r->delivery_count);
	r->delivery_at = g_new0(bh_delivery *, r->delivery_count);
	for (guint i = 0; i < r->findings->len; i++) {
		const bh_finding *f = &g_array_index(r->findings, bh_finding, i);
		const bh_fresh_keys *keys =
			r->keys && key < r->keys->len ? &g_array_index(r->keys, bh_fresh_keys, key) : NULL;
		bool has_keys = keys && keys->finding == i;

		if (!bh_verdict_delivers(f->verdict))
			continue;
		r->deliveries[made] = bh_fresh_delivery(r->event, f, has_keys ? keys : NULL);
		r->delivery_at[made] = &r->deliveries[made];
		made++;
		key += has_keys;
	}
}

/* --- Answer ------------------------------------------------------------------------------ */

/* The number of our round: that of our first delivery, else the last one. */
static int round_of(const replay *r, const bh_findings *all)
{
	int round = 0;

	for (size_t i = 0; all && i < all->count; i++) {
		if (r->delivery_count > 0 && all->deliveries[i] == r->deliveries[0].id)
			return all->rounds[i];
		round = MAX(round, all->rounds[i]);
	}
	return round;
}

static void reply_replay(bh_call *call, const replay *r, int round)
{
	GString *out = g_string_sized_new(512);
	size_t made = 0;

	bh_out_open(out, NULL, '{');
	bh_out_id(out, "event_id", BH_ID_EVENT, r->event->id);
	bh_out_open(out, "data", '[');
	for (guint i = 0; i < r->findings->len; i++) {
		const bh_finding *f = &g_array_index(r->findings, bh_finding, i);
		const bh_delivery *d = bh_verdict_delivers(f->verdict) ? &r->deliveries[made++] : NULL;
		bh_write_verdict(call, out, f, round, d ? d->id : 0, d);
	}
	bh_out_close(out, ']');
	bh_out_close(out, '}');
	bh_reply_json(call, 202, out);
}

static void replayed(bh_call *call)
{
	const replay *r = call->work;
	bh_reader *reader;

	if (bh_call_failed(call))
		return;
	if (call->write.result == BH_WRITE_NOT_FOUND) {
		bh_reply_not_found(call);
		return;
	}
	if (!(reader = bh_call_reader(call)))
		return;
	g_autoptr(bh_findings) all = bh_reader_findings(reader, r->event->id, NULL);
	bh_log(BH_INFO, "api", "event replayed", BH_ID("event", BH_ID_EVENT, r->event->id),
	       BH_INT("deliveries", r->delivery_count), BH_STR("by", call->scope.key_text));
	reply_replay(call, r, round_of(r, all));
}

/* --- The whole --------------------------------------------------------------------------- */

static void submit(bh_call *call, const replay *r)
{
	bh_write write = {
		.kind = BH_WRITE_REPLAY,
		.event = r->event,
		.findings = (const bh_finding *)(void *)r->findings->data,
		.finding_count = r->findings->len,
		.deliveries = r->delivery_at,
		.delivery_count = r->delivery_count,
	};
	bh_call_write(call, &write, replayed);
}

/* A test is about one webhook; to the watcher it would look like news for all of its manager's. */
static bool may_be_replayed(bh_call *call, const bh_event *event)
{
	if (strcmp(event->type, BH_TEST_TYPE) != 0)
		return true;
	bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "The event is a test: test its webhook again.");
	return false;
}

void bh_replay_event(bh_call *call)
{
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_event) event = reader ? bh_find_event(call, reader) : NULL;
	bh_id only;

	if (!event || !read_webhook(call, &only) || !may_be_replayed(call, event))
		return;
	replay *r = g_new0(replay, 1);
	r->event = g_steal_pointer(&event);
	r->findings = g_array_new(FALSE, FALSE, sizeof(bh_finding));
	bh_call_set_work(call, r, replay_free);
	decide(call, r, only);
	build_deliveries(r);
	if (only && r->findings->len == 0)
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/webhook_id", "The event does not concern its manager.");
	else if (r->findings->len == 0)
		reply_replay(call, r, 0); /* nobody to look at, and nothing to keep */
	else
		submit(call, r);
}
