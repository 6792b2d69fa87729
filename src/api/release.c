/*
 * Held deliveries, after their webhook was enabled: swept in steps, each an entry of its own, so that ten thousand of
 * them do not keep anybody waiting. The steps follow one another on the journal's thread; the call waits for the last.
 */
#include "api/body.h"
#include "api/reply.h"
#include "api/server.h"
#include "api/webhook.h"
#include "base/fault.h"

#include <string.h>

#define STEP 500

/* One kind of step, repeated until nothing is left for it. */
typedef struct sweep {
	bh_state to;
	bool keep_newest;
	const char *reason;
} sweep;

#define SWEEPS_MAX 2
static const struct {
	const char *name;
	sweep sweeps[SWEEPS_MAX]; /* `to` 0: no more */
} POLICIES[] = {
	[BH_HELD_KEEP] = {"keep", {{0}}},
	[BH_HELD_ALL] = {"all", {{BH_STATE_PENDING, false, "The webhook is enabled again."}}},
	[BH_HELD_NEWEST] = {"newest",
			    {{BH_STATE_CANCELLED, true, "Held; only the newest was sent when the webhook was enabled."},
			     {BH_STATE_PENDING, false, "The webhook is enabled again."}}},
	[BH_HELD_NONE] = {"none", {{BH_STATE_CANCELLED, false, "Held; none was sent when the webhook was enabled."}}},
};

static bool parse_policy(const char *text, bh_held_policy *ret)
{
	for (size_t i = 0; i < G_N_ELEMENTS(POLICIES); i++)
		if (strcmp(text, POLICIES[i].name) == 0) {
			*ret = (bh_held_policy)i;
			return true;
		}
	return false;
}

bool bh_read_held_policy(bh_call *call, uint32_t node, bh_held_policy *ret)
{
	static const bh_text_rule RULE = {.max = 32};
	g_autofree char *name = NULL;

	if (!bh_body_text(call, node, "/held", &RULE, &name))
		return false;
	if (!name || parse_policy(name, ret))
		return true;
	bh_reply_problem(call, BH_PROBLEM_FIELD, "/held", "It is one of all, newest, none, keep.");
	return false;
}

/* The owner who had paused it wants what he missed. After trouble he may not want a week of it at once: he is asked. */
bh_held_policy bh_held_policy_default(const bh_webhook *disabled)
{
	return disabled->disabled == BH_DISABLED_BY_OWNER ? BH_HELD_ALL : BH_HELD_KEEP;
}

/* The sweep that comes next, given what the last write did; NULL: all is done. */
static const sweep *next_sweep(bh_call *call)
{
	bh_release *release = &call->release;

	if (release->began && call->write.swept < STEP)
		release->sweep++;
	release->began = true;
	if (release->sweep >= SWEEPS_MAX)
		return NULL;
	const sweep *s = &POLICIES[release->policy].sweeps[release->sweep];
	return s->to ? s : NULL;
}

/* On the journal's thread, after the change and after each step. */
static bool sweep_on(bh_call *call)
{
	const sweep *s = next_sweep(call);

	if (!s)
		return false;
	BH_FAULT("api.before-sweep-step");
	call->write = (bh_write){
		.kind = BH_WRITE_SWEEP,
		.webhook_id = call->release.webhook,
		.from = BH_STATE_HELD,
		.state = s->to,
		.limit = STEP,
		.keep_newest = s->keep_newest,
		.reason = s->reason,
		.due_at = call->now,
		.at = call->now,
	};
	return bh_journal_submit(call->api->rooms.journal, &call->entry, &call->error);
}

void bh_release_after(bh_call *call, bh_id webhook, bh_held_policy policy)
{
	call->release = (bh_release){.webhook = webhook, .policy = policy};
	call->again = policy == BH_HELD_KEEP ? NULL : sweep_on;
}

bool bh_release_failed(bh_call *call)
{
	bool disabled_again = call->directory_refused; /* and the refusal says so */

	if (!call->error || !call->release.began || disabled_again)
		return false;
	bh_reply_problem(
		call, BH_PROBLEM_BUSY, NULL,
		"The webhook is enabled, but not all of its held deliveries could be released: send \"held\" again.");
	return true;
}
