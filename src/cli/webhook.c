/* Webhooks: listing, making, changing and their secrets. The form's options are read in webhook_form.c. */
#include "cli/webhook.h"

#include "cli/call.h"
#include "cli/input.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/run.h"
#include "cli/webhook_form.h"
#include "cli/webhook_view.h"

static const bh_view_row SECRET[] = {
	{"secret", "secret"},
	{"old secret until", "old_secret_until", BH_VIEW_TIME, "it signs no more"},
	{NULL},
};

/* "/v1/webhooks/whk_..." and what follows, of the webhook that the operand names. NULL with a usage error. */
static char *webhook_path(const bh_call *call, const char *rest, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_WEBHOOK, error);
	if (!id)
		return NULL;
	g_autofree char *escaped = bh_path_escape(id);
	return g_strdup_printf("/v1/webhooks/%s%s", escaped, rest);
}

bh_reply *bh_webhook_ask(bh_call *call, const char *verb, const char *rest, bh_span body, const char *attempt,
			 GError **error)
{
	g_autofree char *path = webhook_path(call, rest, error);
	if (!path)
		return NULL;
	g_autofree char *what = g_strdup_printf("%s webhook %s", attempt, bh_args_operand(call->args, 0));
	bh_ask ask = {.what = what, .verb = verb, .path = path, .body = body};
	return bh_call_ask(call, &ask, error);
}

bh_exit bh_run_webhook_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new("/v1/webhooks");
	bh_query_add(path, "manager_id", bh_args_one(call->args, "manager"));
	return bh_call_list(call, "list the webhooks", path, BH_WEBHOOKS_VIEW,
			    "No webhooks yet: `bellhop webhook add --url https://...` makes one.", error);
}

bh_exit bh_run_webhook_show(bh_call *call, GError **error)
{
	g_autoptr(bh_reply) reply = bh_webhook_ask(call, "GET", "", (bh_span){0}, "show", error);
	return reply ? bh_call_show(call, reply, "webhook", BH_WEBHOOK_VIEW) : BH_EXIT_FAILED;
}

/* --- The form ------------------------------------------------------------------------------ */

/* Fills `body` from the options, checked against the form of method `name`. */
static bool fill_form(bh_call *call, const char *name, GString *body, GError **error)
{
	if (!bh_form_needs_method(call->args))
		return bh_form_fill(call->args, NULL, BH_JSON_NONE, body, error);
	g_autoptr(bh_reply) methods = bh_call_get(call, "look up the methods", "/v1/methods?limit=100", error);
	if (!methods)
		return false;
	uint32_t method = bh_form_find_method(methods->json, name, error);
	return method != BH_JSON_NONE && bh_form_fill(call->args, methods->json, method, body, error);
}

bh_exit bh_run_webhook_add(bh_call *call, GError **error)
{
	const char *manager = bh_args_one(call->args, "manager");
	const char *method = bh_args_one(call->args, "method");
	if (!bh_args_has(call->args, "webhook-url") && !bh_args_has(call->args, "set")) {
		bh_usage_error(error, "a webhook needs to know where its events go: --url https://...");
		return BH_EXIT_USAGE;
	}
	if (bh_args_has(call->args, "coalesce") != bh_args_has(call->args, "coalesce-by")) {
		bh_usage_error(error,
			       "--coalesce says how long, --coalesce-by what belongs together: both or none of them");
		return BH_EXIT_USAGE;
	}

	g_autoptr(GString) body = bh_object_new();
	bh_object_text(body, "manager_id", manager);
	if (!fill_form(call, method ? method : "none", body, error))
		return BH_EXIT_FAILED;
	g_autofree char *what =
		manager ? g_strdup_printf("add a webhook for manager \"%s\"", manager) : g_strdup("add a webhook");
	bh_ask ask = {.what = what, .verb = "POST", .path = "/v1/webhooks", .body = bh_object_end(body)};
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return BH_EXIT_FAILED;

	bh_exit result = bh_call_show(call, reply, "added webhook", BH_NEW_WEBHOOK_VIEW);
	g_autofree char *id = bh_member_shown(reply->json, 0, "id");
	if (!call->json)
		bh_remark("Give the secret to the receiver, then try it: bellhop webhook test %s --wait", id);
	return result;
}

/* Which method's form counts: the one given, else that of the webhook. */
static char *method_of(bh_call *call, GError **error)
{
	const char *given = bh_args_one(call->args, "method");
	if (given || !bh_form_needs_method(call->args))
		return g_strdup(given ? given : "");
	g_autoptr(bh_reply) webhook = bh_webhook_ask(call, "GET", "", (bh_span){0}, "change", error);
	if (!webhook)
		return NULL;
	char *method = bh_member_text(webhook->json, 0, "method");
	return method ? method : g_strdup("none");
}

bool bh_webhook_fill_form(bh_call *call, GString *body, GError **error)
{
	g_autofree char *method = method_of(call, error);
	return method && fill_form(call, method, body, error);
}

bh_exit bh_run_webhook_set(bh_call *call, GError **error)
{
	g_autoptr(GString) body = bh_object_new();
	if (!bh_call_id(call, 0, BH_ID_WEBHOOK, error))
		return BH_EXIT_USAGE;
	if (!bh_webhook_fill_form(call, body, error))
		return BH_EXIT_FAILED;
	if (body->len == 1) {
		bh_usage_error(error, "nothing to change is named; `bellhop webhook set --help` shows what can be");
		return BH_EXIT_USAGE;
	}
	g_autoptr(bh_reply) reply = bh_webhook_ask(call, "PATCH", "", bh_object_end(body), "change", error);
	return reply ? bh_call_show(call, reply, "changed webhook", BH_WEBHOOK_VIEW) : BH_EXIT_FAILED;
}

bh_exit bh_run_webhook_remove(bh_call *call, GError **error)
{
	g_autoptr(bh_reply) reply = bh_webhook_ask(call, "DELETE", "", (bh_span){0}, "remove", error);
	if (!reply)
		return BH_EXIT_FAILED;
	bh_printf("removed webhook %s\n", bh_args_operand(call->args, 0));
	return BH_EXIT_DONE;
}

/* --- Its secrets --------------------------------------------------------------------------- */

bh_exit bh_run_webhook_secret(bh_call *call, GError **error)
{
	g_autoptr(bh_reply) reply = bh_webhook_ask(call, "GET", "/secret", (bh_span){0}, "show the secret of", error);
	if (!reply)
		return BH_EXIT_FAILED;
	if (call->json) {
		bh_print_body(reply);
		return BH_EXIT_DONE;
	}
	g_autofree char *secret = bh_member_shown(reply->json, 0, "secret");
	bh_printf("%s\n", secret ? secret : ""); /* alone, so that $(bellhop webhook secret ID) is of use */
	return BH_EXIT_DONE;
}

bh_exit bh_run_webhook_rotate(bh_call *call, GError **error)
{
	const char *given = bh_args_one(call->args, "secret");
	g_autofree char *secret = given ? bh_input_text(given, "--secret", error) : NULL;
	if (given && !secret)
		return BH_EXIT_FAILED;
	g_autoptr(GString) body = bh_object_new();
	bh_object_text(body, "overlap", bh_args_one(call->args, "overlap"));
	bh_object_text(body, "secret", secret);
	g_autoptr(bh_reply) reply =
		bh_webhook_ask(call, "POST", "/secret/rotate", bh_object_end(body), "give a new secret to", error);
	if (!reply)
		return BH_EXIT_FAILED;
	if (call->json) {
		bh_print_body(reply);
		return BH_EXIT_DONE;
	}
	g_autoptr(GString) out = g_string_new(NULL);
	bh_heading(call, out, "new secret of webhook", bh_args_operand(call->args, 0));
	bh_view_one(&call->view, reply->json, 0, SECRET, out);
	bh_print(out);
	return BH_EXIT_DONE;
}
