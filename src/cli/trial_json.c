#include "cli/object.h"
#include "cli/trial_view.h"

static void add_flag(GString *object, const char *name, bool value)
{
	bh_object_raw(object, name, bh_span_of(value ? "true" : "false"));
}

static void add_or_null(GString *object, const char *name, const char *text)
{
	if (text && *text)
		bh_object_text(object, name, text);
	else
		bh_object_raw(object, name, bh_span_of("null"));
}

/* What is no UTF-8 becomes U+FFFD: the bytes themselves are of no use to a reader of JSON. */
static void add_bytes(GString *object, const char *name, const char *bytes, gsize size)
{
	g_autoptr(GString) text = g_string_new(NULL);
	bh_json_append_string(text, (bh_span){bytes ? bytes : "", bytes ? size : 0});
	bh_object_raw(object, name, (bh_span){text->str, text->len});
}

static void add_object(GString *object, const char *name, GString *inner)
{
	bh_object_end(inner);
	bh_object_raw(object, name, (bh_span){inner->str, inner->len});
}

static void add_answer(GString *object, const bh_answer *answer)
{
	g_autoptr(GString) json = bh_object_new();
	bh_object_int(json, "status", answer->status);
	add_or_null(json, "cause", bh_cause_name(answer->cause));
	add_or_null(json, "sentence", answer->sentence);
	add_bytes(json, "headers", answer->head ? answer->head->str : NULL, answer->head ? answer->head->len : 0);
	add_bytes(json, "body", answer->body ? (const char *)answer->body->data : NULL,
		  answer->body ? answer->body->len : 0);
	if (answer->total >= 0)
		bh_object_int(json, "total_us", answer->total);
	else
		bh_object_raw(json, "total_us", bh_span_of("null"));
	add_object(object, "answer", json);
}

static void append_call(const bh_trial_call *call, bool pretended, GString *out)
{
	static const char *const kinds[] = {
		[BH_CALL_DELIVERY] = "delivery", [BH_CALL_TOKEN] = "token", [BH_CALL_LOOKUP] = "lookup"};
	g_autoptr(GString) json = bh_object_new();
	bh_object_text(json, "kind", kinds[call->kind]);
	bh_object_text(json, "verb", call->verb);
	bh_object_text(json, "url", call->url);
	bh_object_list(json, "headers", (const char *const *)call->headers);
	add_bytes(json, "body", call->body->str, call->body->len);
	add_flag(json, "pretended", pretended);
	add_answer(json, &call->answer);
	bh_object_end(json);
	g_string_append_len(out, json->str, (gssize)json->len);
}

static void add_calls(GString *object, const bh_trial_plan *plan, const bh_trial *trial)
{
	g_autoptr(GString) calls = g_string_new("[");
	for (guint i = 0; i < trial->calls->len; i++) {
		if (i)
			g_string_append_c(calls, ',');
		append_call(trial->calls->pdata[i], plan->answerer->pretends, calls);
	}
	g_string_append_c(calls, ']');
	bh_object_raw(object, "calls", (bh_span){calls->str, calls->len});
}

/* What Bellhop would do: null when there is nothing to tell. */
static void add_next(GString *object, const bh_trial *trial)
{
	g_autoptr(GString) json = bh_object_new();
	if (trial->unanswered) {
		bh_object_raw(object, "next", bh_span_of("null"));
		return;
	}
	bool again = !trial->filtered && trial->next.state == BH_STATE_PENDING;
	bh_object_text(json, "state", bh_state_name(trial->filtered ? BH_STATE_FILTERED : trial->next.state));
	if (again)
		bh_object_seconds(json, "in_seconds", trial->next.due_at);
	else
		bh_object_raw(json, "in_seconds", bh_span_of("null"));
	add_or_null(json, "reason", trial->filtered ? trial->why : trial->next.reason);
	add_flag(json, "spends_attempt", !trial->filtered && trial->conclusion.spends);
	add_flag(json, "disables_webhook", !trial->filtered && trial->conclusion.disables);
	bh_object_seconds(json, "pause_seconds", trial->filtered ? 0 : trial->conclusion.pause);
	add_object(object, "next", json);
}

void bh_trial_json(const bh_trial_plan *plan, const bh_trial *trial, GString *out)
{
	gsize size = 0;
	const char *body = trial->body ? g_bytes_get_data(trial->body, &size) : NULL;
	bool concluded = !trial->unanswered && !trial->filtered;
	g_autoptr(GString) json = bh_object_new();
	bh_object_text(json, "method", plan->method);
	bh_object_text(json, "type", plan->event->type);
	bh_object_int(json, "attempt", plan->attempt);
	add_calls(json, plan, trial);
	bh_object_text(json, "verdict", bh_trial_verdict(trial));
	add_or_null(json, "cause", concluded ? bh_cause_name(trial->conclusion.cause) : NULL);
	add_or_null(json, "sentence",
		    trial->unanswered ? trial->unanswered
		    : concluded       ? trial->conclusion.sentence
				      : trial->why);
	add_flag(json, "changed", trial->changed);
	if (body && !trial->filtered)
		add_bytes(json, "body", body, size);
	else
		bh_object_raw(json, "body", bh_span_of("null"));
	add_next(json, trial);
	bh_object_end(json);
	g_string_append_len(out, json->str, (gssize)json->len);
}
