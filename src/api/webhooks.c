/* /v1/webhooks: found, removed; and their signing secrets. Shown in webhook_show.c, made and changed in webhook_edit.c. */
#include "api/body.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/webhook.h"
#include "base/error.h"
#include "base/log.h"
#include "transport/signature.h"

#include <string.h>

#define OVERLAP_DEFAULT BH_DAY
#define OVERLAP_MAX (7 * BH_DAY)
#define TRIES_MAX 4

const bh_webhook *bh_find_webhook(bh_call *call)
{
	const bh_webhook *webhook = bh_scope_webhook(&call->scope, call->id);

	if (!webhook)
		bh_reply_not_found(call);
	return webhook;
}

/* --- Changing one ------------------------------------------------------------------------ */

void bh_put_webhook(bh_call *call, bh_webhook *webhook, bh_call_step next)
{
	bh_change *change = g_new0(bh_change, 1);

	change->kind = BH_CHANGE_WEBHOOK_PUT;
	change->webhook = webhook;
	bh_call_change(call, change, next);
}

bool bh_begin_anew(bh_call *call, bh_call_step handler)
{
	bool lost_race = call->directory_refused && g_error_matches(call->error, BH_ERROR, BH_ERROR_CONFLICT) &&
			 !strstr(call->error->message, BH_PROBLEM_ROWS[BH_PROBLEM_SUPER].code);

	if (!lost_race || ++call->tries >= TRIES_MAX)
		return false;
	if (bh_call_authorize(call))
		handler(call);
	return true;
}

static void webhook_removed(bh_call *call)
{
	if (bh_call_failed(call))
		return;
	bh_log(BH_INFO, "api", "webhook removed", BH_ID("webhook", BH_ID_WEBHOOK, call->change->id),
	       BH_STR("by", call->scope.key_text));
	bh_reply_empty(call, 204);
}

void bh_delete_webhook(bh_call *call)
{
	const bh_webhook *webhook = bh_find_webhook(call);

	if (!webhook)
		return;
	bh_change *change = g_new0(bh_change, 1);
	change->kind = BH_CHANGE_WEBHOOK_REMOVE;
	change->id = webhook->id;
	bh_call_change(call, change, webhook_removed);
}

/* --- The signing secret ------------------------------------------------------------------ */

static void reply_secret(bh_call *call, const bh_webhook *webhook)
{
	char *secret = bh_signing_secret_text(webhook->secret);
	GString *out = g_string_sized_new(256);

	bh_out_open(out, NULL, '{');
	bh_out_text(out, "secret", secret);
	bh_out_time(out, "old_secret_until", webhook->old_secret_until > call->now ? webhook->old_secret_until : 0);
	bh_out_close(out, '}');
	bh_text_wipe(secret);
	bh_reply_json(call, 200, out);
}

void bh_show_secret(bh_call *call)
{
	const bh_webhook *webhook = bh_find_webhook(call);

	if (webhook)
		reply_secret(call, webhook);
}

static bool read_overlap(bh_call *call, bh_usec *ret)
{
	static const bh_text_rule RULE = {.max = 16};
	g_autofree char *text = NULL;

	if (!bh_body_text(call, bh_body_member(call, "overlap"), "/overlap", &RULE, &text))
		return false;
	if (!text || (bh_span_parse(text, ret) && *ret <= OVERLAP_MAX))
		return true;
	bh_reply_problem(call, BH_PROBLEM_FIELD, "/overlap", "It is a span from 0s to 7d, such as 24h.");
	return false;
}

bh_secret *bh_read_signing_secret(bh_call *call)
{
	static const bh_text_rule RULE = {.max = 128};
	g_autoptr(GError) error = NULL;
	char *text = NULL;

	if (!bh_body_text(call, bh_body_member(call, "secret"), "/secret", &RULE, &text))
		return NULL;
	if (!text)
		return bh_secret_random(BH_SECRET_BYTES);
	bh_secret *secret = bh_signing_secret_parse(text, &error);
	bh_text_wipe(text);
	if (!secret)
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/secret", "%s", error->message);
	return secret;
}

static bh_webhook *with_new_secret(const bh_call *call, const bh_webhook *webhook, bh_secret *secret, bh_usec overlap)
{
	bh_webhook *changed = bh_webhook_copy(webhook);

	bh_secret_unref(changed->old_secret);
	changed->old_secret = overlap ? changed->secret : NULL;
	if (!overlap)
		bh_secret_unref(changed->secret);
	changed->old_secret_until = overlap ? call->now + overlap : 0;
	changed->secret = secret;
	changed->revision++;
	changed->updated_at = call->now;
	return changed;
}

static void secret_rotated(bh_call *call)
{
	if (call->error && bh_begin_anew(call, bh_rotate_secret))
		return;
	if (bh_call_failed(call))
		return;
	const bh_webhook *webhook = call->change->webhook;
	bh_log(BH_INFO, "api", "signing secret rotated", BH_ID("webhook", BH_ID_WEBHOOK, webhook->id),
	       BH_STR("by", call->scope.key_text));
	reply_secret(call, webhook);
}

void bh_rotate_secret(bh_call *call)
{
	static const char *const MEMBERS[] = {"overlap", "secret", NULL};
	const bh_webhook *webhook = bh_find_webhook(call);
	bh_usec overlap = OVERLAP_DEFAULT;

	if (!webhook || !bh_body_parse(call, MEMBERS) || !read_overlap(call, &overlap))
		return;
	bh_secret *secret = bh_read_signing_secret(call);
	if (secret)
		bh_put_webhook(call, with_new_secret(call, webhook, secret, overlap), secret_rotated);
}
