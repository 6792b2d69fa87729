/*
 * A test of a webhook: an event of its own with one delivery, sent even while the webhook is disabled, and not tried again.
 * *Test and enable* goes with the delivery: the loop that delivers it enables the webhook, and nothing happens if it fails.
 */
#include "api/body.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/webhook.h"
#include "base/log.h"

/* The test event with its one finding and delivery, as the journal reads them. */
typedef struct test {
	bh_event *event;
	bh_finding finding;
	bh_delivery delivery, *deliveries[1];
} test;

static void test_free(void *user)
{
	test *t = user;

	bh_event_unref(t->event);
	g_free(t);
}

static bh_event *test_event(const bh_call *call, const bh_webhook *webhook)
{
	char id[BH_ID_TEXT_SIZE];
	g_autofree char *data = g_strdup_printf("{\"webhook_id\":\"%s\",\"message\":\"A test of this webhook.\"}",
						bh_id_text(BH_ID_WEBHOOK, webhook->id, id));
	bh_event parts = {
		.id = bh_id_new(),
		.type = (char *)BH_TEST_TYPE,
		.occurred_at = call->now,
		.accepted_at = call->now,
		.manager_id = webhook->manager_id,
		.data = bh_span_of(data),
	};

	return bh_event_restore(&parts);
}

static test *test_new(const bh_call *call, const bh_webhook *webhook, bh_test_then then)
{
	test *t = g_new0(test, 1);

	t->event = test_event(call, webhook);
	t->finding =
		(bh_finding){.webhook = webhook->id, .manager = webhook->manager_id, .verdict = BH_VERDICT_TRIGGERED};
	t->delivery = (bh_delivery){
		.id = bh_id_new(),
		.event_id = t->event->id,
		.webhook_id = webhook->id,
		.manager_id = webhook->manager_id,
		.state = BH_STATE_PENDING,
		.created_at = call->now,
		.due_at = call->now,
		.is_test = true,
		.then = then,
	};
	t->deliveries[0] = &t->delivery;
	return t;
}

static void test_made(bh_call *call)
{
	const test *t = call->work;

	if (bh_call_failed(call))
		return;
	GString *out = g_string_sized_new(128);
	bh_out_open(out, NULL, '{');
	bh_out_id(out, "event_id", BH_ID_EVENT, t->event->id);
	bh_out_id(out, "delivery_id", BH_ID_DELIVERY, t->delivery.id);
	bh_out_close(out, '}');
	bh_log(BH_INFO, "api", "webhook tested", BH_ID("webhook", BH_ID_WEBHOOK, t->delivery.webhook_id),
	       BH_ID("delivery", BH_ID_DELIVERY, t->delivery.id), BH_STR("by", call->scope.key_text));
	bh_reply_json(call, 202, out);
}

static bh_test_then then_of(bh_held_policy policy)
{
	static const bh_test_then THEN[] = {
		[BH_HELD_KEEP] = BH_TEST_ENABLES_KEEP,
		[BH_HELD_ALL] = BH_TEST_ENABLES_ALL,
		[BH_HELD_NEWEST] = BH_TEST_ENABLES_NEWEST,
		[BH_HELD_NONE] = BH_TEST_ENABLES_NONE,
	};

	return THEN[policy];
}

/* What the body wants to follow a test that is delivered. False: the call is answered. */
static bool read_then(bh_call *call, const bh_webhook *webhook, bh_test_then *ret)
{
	bh_held_policy policy = bh_held_policy_default(webhook);
	uint32_t held = bh_body_member(call, "held");
	bool enable = false;

	if (!bh_body_bool(call, bh_body_member(call, "enable"), "/enable", &enable) ||
	    !bh_read_held_policy(call, held, &policy))
		return false;
	if (held != BH_JSON_NONE && !enable) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/held", "It says what follows enabling: set \"enable\".");
		return false;
	}
	if (enable && !webhook->disabled) {
		bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "The webhook is enabled already: test it without.");
		return false;
	}
	*ret = enable ? then_of(policy) : BH_TEST_ONLY;
	return true;
}

void bh_test_webhook(bh_call *call)
{
	static const char *const MEMBERS[] = {"enable", "held", NULL};
	const bh_webhook *webhook = bh_find_webhook(call);
	bh_test_then then;

	if (!webhook || !bh_body_parse(call, MEMBERS) || !read_then(call, webhook, &then))
		return;
	test *t = test_new(call, webhook, then);
	bh_call_set_work(call, t, test_free);
	bh_write write = {
		.kind = BH_WRITE_EVENT,
		.event = t->event,
		.caller_key = call->scope.key->id,
		.findings = &t->finding,
		.finding_count = 1,
		.deliveries = t->deliveries,
		.delivery_count = 1,
	};
	bh_call_write(call, &write, test_made);
}
