/* /v1/events, read: what happened, and who was told of it. */
#include "api/verdict.h"

#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "base/error.h"

#include <string.h>

/* --- One event --------------------------------------------------------------------------- */

static void write_members(GString *out, const bh_event *event)
{
	bh_out_id(out, "id", BH_ID_EVENT, event->id);
	bh_out_text(out, "type", event->type);
	bh_out_time(out, "occurred_at", event->occurred_at);
	bh_out_time(out, "accepted_at", event->accepted_at);
	bh_out_text(out, "property_id", event->property_id);
	bh_out_text(out, "manager_id", event->manager_id);
	bh_out_text(out, "actor", event->actor);
	bh_out_text(out, "caller_id", event->caller_id);
}

bh_event *bh_find_event(bh_call *call, bh_reader *reader)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_event) event = NULL;
	bh_id id;

	if (bh_id_parse(BH_ID_EVENT, call->id, &id))
		event = bh_reader_event(reader, id, &error);
	if (event && bh_scope_sees_event(&call->scope, event))
		return g_steal_pointer(&event);
	if (error && !g_error_matches(error, BH_ERROR, BH_ERROR_NOT_FOUND))
		bh_reply_error(call, error);
	else
		bh_reply_not_found(call);
	return NULL;
}

void bh_show_event(bh_call *call)
{
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_event) event = reader ? bh_find_event(call, reader) : NULL;

	if (!event)
		return;
	GString *out = g_string_sized_new(512 + event->data.size + event->details.size);
	bh_out_open(out, NULL, '{');
	write_members(out, event);
	bh_out_raw(out, "channel", event->channel);
	bh_out_raw(out, "data", event->data);
	bh_out_raw(out, "details", event->details);
	bh_out_close(out, '}');
	bh_reply_json(call, 200, out);
}

/* --- The list ---------------------------------------------------------------------------- */

static bool check_type(bh_call *call)
{
	const char *type = bh_call_query(call, "type");

	if (!type || bh_type_name_ok(bh_span_of(type)))
		return true;
	bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "\"type\" is not the name of an event type.");
	return false;
}

static void reply_events(bh_call *call, const GPtrArray *events, size_t limit)
{
	GString *out = bh_page_open();
	const bh_event *last = NULL;

	for (guint i = 0; i < events->len && i < limit; i++) {
		last = g_ptr_array_index(events, i);
		bh_out_open(out, NULL, '{');
		write_members(out, last);
		bh_out_close(out, '}');
	}
	bh_page_close_at(call, out, events->len > limit ? last->id : 0);
}

void bh_list_events(bh_call *call)
{
	g_auto(bh_page) page = {0};
	g_autoptr(GError) error = NULL;
	g_autofree char **properties = NULL;
	bh_reader *reader;

	if (!bh_page_read(call, &page) || !check_type(call) || !bh_check_site_id(call, "property_id") ||
	    !(reader = bh_call_reader(call)))
		return;
	if (call->scope.manager_id)
		properties = bh_scope_property_ids(&call->scope);

	bh_list list = {
		.manager_id = call->scope.manager_id,
		.property_ids = properties,
		.type = bh_call_query(call, "type"),
		.property_id = bh_call_query(call, "property_id"),
		.before = page.number,
		.limit = page.limit + 1,
	};
	g_autoptr(GPtrArray) events = bh_reader_events(reader, &list, &error);
	if (events)
		reply_events(call, events, page.limit);
	else
		bh_reply_error(call, error);
}

/* --- Verdicts ---------------------------------------------------------------------------- */

bool bh_sees_finding(const bh_call *call, const bh_finding *finding)
{
	if (!call->scope.manager_id)
		return true;
	const bh_webhook *webhook = bh_snapshot_webhook(call->scope.snapshot, finding->webhook);
	return finding->webhook && webhook && bh_scope_owns(&call->scope, webhook);
}

/* A delivery that was overtaken, or that a condition did not want, changes what is to be said of its webhook. */
static bh_verdict verdict_now(const bh_finding *finding, const bh_delivery *delivery)
{
	if (delivery && delivery->state == BH_STATE_COALESCED)
		return BH_VERDICT_COALESCED;
	return delivery && delivery->state == BH_STATE_FILTERED ? BH_VERDICT_FILTERED : finding->verdict;
}

/* Whose condition it was, the method's or the owner's, only the delivery knows. */
static const char *sentence_now(bh_verdict verdict, const bh_delivery *delivery)
{
	bool knows_more = verdict == BH_VERDICT_FILTERED && delivery && delivery->reason;

	return knows_more ? delivery->reason : bh_verdict_sentence(verdict);
}

void bh_write_verdict(bh_call *call, GString *out, const bh_finding *finding, int round, bh_id delivery_id,
		      const bh_delivery *delivery)
{
	const bh_webhook *webhook = bh_snapshot_webhook(call->scope.snapshot, finding->webhook);
	bh_verdict verdict = verdict_now(finding, delivery);

	bh_out_open(out, NULL, '{');
	bh_out_id(out, "webhook_id", BH_ID_WEBHOOK, finding->webhook);
	bh_out_text(out, "webhook_name", webhook ? webhook->name : NULL);
	bh_out_text(out, "manager_id", finding->manager);
	bh_out_text(out, "verdict", bh_verdict_name(verdict));
	bh_out_text(out, "sentence", sentence_now(verdict, delivery));
	bh_out_int(out, "round", round);
	bh_out_id(out, "delivery_id", BH_ID_DELIVERY, delivery_id);
	bh_out_text(out, "state", delivery ? bh_state_name(delivery->state) : NULL); /* NULL: cleaned away since */
	bh_out_id(out, "superseded_by", BH_ID_DELIVERY, delivery ? bh_sent_instead(bh_call_reader(call), delivery) : 0);
	bh_out_close(out, '}');
}

static void reply_verdicts(bh_call *call, bh_reader *reader, const bh_event *event, const bh_findings *findings)
{
	GString *out = g_string_sized_new(1024);

	bh_out_open(out, NULL, '{');
	bh_out_id(out, "event", BH_ID_EVENT, event->id);
	bh_out_open(out, "data", '[');
	for (size_t i = 0; i < findings->count; i++) {
		const bh_finding *finding = &findings->at[i];
		bh_id id = findings->deliveries[i];
		g_autoptr(bh_delivery) delivery = id ? bh_reader_delivery(reader, id, NULL) : NULL;

		if (bh_sees_finding(call, finding))
			bh_write_verdict(call, out, finding, findings->rounds[i], id, delivery);
	}
	bh_out_close(out, ']');
	bh_out_close(out, '}');
	bh_reply_json(call, 200, out);
}

void bh_list_verdicts(bh_call *call)
{
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_event) event = reader ? bh_find_event(call, reader) : NULL;
	g_autoptr(GError) error = NULL;

	if (!event)
		return;
	g_autoptr(bh_findings) findings = bh_reader_findings(reader, event->id, &error);
	if (findings)
		reply_verdicts(call, reader, event, findings);
	else
		bh_reply_error(call, error);
}
