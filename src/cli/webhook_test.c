/*
 * Trying a webhook, and enabling it when the test goes well:
 *
 *   test -> wait for its delivery -> (delivered) -> wait until the engine has enabled it -> say what became of it
 */
#include "cli/call.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/run.h"
#include "cli/watch.h"
#include "cli/webhook.h"

#include <string.h>

#define PAUSE (20 * BH_MILLISECOND)

static bh_reply *ask_for_test(bh_call *call, GError **error)
{
	bool enables = bh_args_has(call->args, "enable");
	const char *held = bh_args_one(call->args, "held");
	if (held && !enables) {
		bh_usage_error(error, "--held says what becomes of what was held once it is enabled: add --enable");
		return NULL;
	}
	g_autoptr(GString) body = bh_object_new();
	bh_object_raw(body, "enable", bh_span_of("true"));
	bh_object_text(body, "held", held);
	bh_span given = enables ? bh_object_end(body) : (bh_span){0};
	return bh_webhook_ask(call, "POST", "/test", given, enables ? "test and enable" : "test", error);
}

/* The webhook as it is once the engine has dealt with the delivered test, which it does a moment after it. */
static bh_reply *wait_until_enabled(bh_call *call, bh_watch *watch, GError **error)
{
	for (;;) {
		g_autoptr(bh_reply) webhook =
			bh_webhook_ask(call, "GET", "", (bh_span){0}, "look up what became of", error);
		if (!webhook || bh_member_true(webhook->json, 0, "enabled") || bh_watch_time_is_over(watch))
			return g_steal_pointer(&webhook);
		g_usleep(PAUSE);
	}
}

static const char *held_sentence(const char *held)
{
	static const char *const sentences[][2] = {
		{"all", " What it held is sent now, the oldest first."},
		{"newest", " Of what it held only the newest is sent."},
		{"none", " What it held is not sent any more."},
		{"keep", " What it held stays held."},
	};
	for (size_t i = 0; held && i < G_N_ELEMENTS(sentences); i++)
		if (strcmp(held, sentences[i][0]) == 0)
			return sentences[i][1];
	return "";
}

static void print_enabled(const bh_call *call, const bh_watch *watch, bool enabled)
{
	const char *id = bh_args_operand(call->args, 0);
	const char *held = bh_args_one(call->args, "held");
	if (enabled) {
		bh_printf("\nwebhook %s is enabled again.%s\n", id, held_sentence(held));
		if (!held)
			bh_remark("What is still held, if anything: bellhop delivery list --webhook %s --state held",
				  id);
	} else if (bh_watch_is_settled(watch) && bh_watch_result(watch) != BH_EXIT_DONE) {
		bh_printf("\nwebhook %s stays disabled: its receiver did not take the test.\n", id);
	} else {
		bh_printf("\nwebhook %s is not enabled yet: that follows if the test is delivered.\n", id);
		bh_remark("See how it is now: bellhop webhook show %s", id);
	}
}

static bh_exit tell_enabled(bh_call *call, bh_watch *watch, const bh_reply *accepted, GError **error)
{
	bool tested = bh_watch_result(watch) == BH_EXIT_DONE;
	g_autoptr(bh_reply) webhook = tested ? wait_until_enabled(call, watch, error)
					     : bh_webhook_ask(call, "GET", "", (bh_span){0}, "look up", error);
	if (!webhook)
		return BH_EXIT_FAILED;

	bool enabled = bh_member_true(webhook->json, 0, "enabled");
	if (call->json) {
		g_autoptr(GString) told = bh_watch_json(watch, bh_json_text(accepted->json, 0));
		bh_object_raw(told, "webhook", bh_json_text(webhook->json, 0));
		bh_object_end(told);
		bh_print(told);
		bh_printf("\n");
	} else {
		bh_watch_print(watch);
		print_enabled(call, watch, enabled);
	}
	return enabled ? BH_EXIT_DONE : BH_EXIT_FAILED;
}

static bh_exit wait_for_test(bh_call *call, const bh_reply *accepted, const char *event, const char *delivery,
			     GError **error)
{
	g_autoptr(bh_watch) watch = bh_watch_new(call);
	bh_watch_delivery(watch, event, delivery, 0);
	if (!bh_watch_run(watch, error))
		return BH_EXIT_FAILED;
	if (bh_args_has(call->args, "enable"))
		return tell_enabled(call, watch, accepted, error);
	if (call->json)
		bh_watch_print_json(watch, bh_json_text(accepted->json, 0));
	else
		bh_watch_print(watch);
	if (!call->json && bh_watch_result(watch) == BH_EXIT_DONE) /* else the watch has said where to read more */
		bh_remark("What was sent: bellhop delivery show %s --full", delivery);
	return bh_watch_result(watch);
}

bh_exit bh_run_webhook_test(bh_call *call, GError **error)
{
	bool waits = bh_args_has(call->args, "wait") || bh_args_has(call->args, "enable");
	g_autoptr(bh_reply) reply = ask_for_test(call, error);
	if (!reply)
		return BH_EXIT_FAILED;
	g_autofree char *event = bh_member_text(reply->json, 0, "event_id");
	g_autofree char *delivery = bh_member_text(reply->json, 0, "delivery_id");
	if (event && delivery && waits)
		return wait_for_test(call, reply, event, delivery, error);

	if (call->json)
		bh_print_body(reply);
	else
		bh_printf("test sent: delivery %s\nsee it with: bellhop delivery show %s\n", delivery, delivery);
	return BH_EXIT_DONE;
}
