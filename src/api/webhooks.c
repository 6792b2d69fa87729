/* /v1/webhooks: shown, tested, removed; and their signing secrets. Made and changed in webhook_edit.c. */
#include "api/body.h"
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/webhook.h"
#include "base/error.h"
#include "base/log.h"
#include "transport/signature.h"

#include <jansson.h>
#include <string.h>

#define OVERLAP_DEFAULT BH_DAY
#define OVERLAP_MAX (7 * BH_DAY)
#define TRIES_MAX 4

/* --- How a webhook is shown -------------------------------------------------------------- */

/* Of a method whose file is gone: nobody knows which of its fields are passwords, but sealed ones are objects. */
static char *masked_without_method(const char *stored)
{
	json_t *settings = json_loads(stored, 0, NULL);
	const char *key;
	json_t *value;

	json_object_foreach(settings, key, value) if (json_is_object(value))
		json_object_set_new(settings, key, json_pack("{s:b}", "set", 1));
	char *text = settings ? json_dumps(settings, JSON_COMPACT) : NULL;
	json_decref(settings);
	return text ? text : g_strdup("{}");
}

static void write_settings(GString *out, bh_call *call, const bh_webhook *webhook)
{
	g_autoptr(bh_methods) methods = bh_api_methods(call->api);
	const bh_method *method = bh_methods_find(methods, webhook->method);
	g_autofree char *url = method ? bh_settings_url(method, webhook->settings) : NULL;
	g_autofree char *masked =
		method ? bh_settings_masked(method, webhook->settings) : masked_without_method(webhook->settings);

	bh_out_text(out, "url", url);
	bh_out_text(out, "method", webhook->method);
	bh_out_raw(out, "settings", bh_span_of(masked));
}

static void write_timeout(GString *out, const bh_call *call, const bh_webhook *webhook)
{
	const bh_settings *settings = atomic_load(&call->api->settings);
	bh_usec span = webhook->total_timeout ? webhook->total_timeout : settings->total_timeout;
	char text[G_ASCII_DTOSTR_BUF_SIZE];

	g_ascii_formatd(text, sizeof text, "%.6g", (double)span / BH_SECOND);
	bh_out_raw(out, "timeout_seconds", bh_span_of(text));
}

/* A value may be somebody's token, so none is shown. */
static void write_headers(GString *out, const bh_header *header)
{
	bh_out_open(out, "headers", '{');
	for (; header && header->name; header++)
		bh_out_text(out, header->name, "***");
	bh_out_close(out, '}');
}

static void write_webhook(GString *out, bh_call *call, const bh_webhook *webhook, const char *secret)
{
	bh_out_open(out, NULL, '{');
	bh_out_id(out, "id", BH_ID_WEBHOOK, webhook->id);
	bh_out_text(out, "manager_id", webhook->manager_id);
	bh_out_text(out, "name", webhook->name ? webhook->name : "");
	write_settings(out, call, webhook);
	bh_out_text(out, "shape", bh_shape_name(webhook->shape));
	bh_out_texts(out, "events", webhook->events);
	bh_out_texts(out, "properties", webhook->properties);
	bh_out_text(out, "channel_id", webhook->channel_id);
	bh_out_bool(out, "full_payload", webhook->full_payload);
	write_timeout(out, call, webhook);
	write_headers(out, webhook->headers);
	bh_out_bool(out, "enabled", !webhook->disabled);
	bh_out_text(out, "disabled_cause", bh_disabled_cause_name(webhook->disabled));
	bh_out_text(out, "disabled_reason", webhook->disabled ? webhook->disabled_reason : NULL);
	bh_out_time(out, "disabled_at", webhook->disabled ? webhook->disabled_at : 0);
	bh_out_time(out, "old_secret_until", webhook->old_secret_until > call->now ? webhook->old_secret_until : 0);
	bh_out_time(out, "created_at", webhook->created_at);
	bh_out_time(out, "updated_at", webhook->updated_at);
	bh_out_int(out, "revision", webhook->revision);
	if (secret)
		bh_out_text(out, "secret", secret);
	bh_out_close(out, '}');
}

void bh_reply_webhook(bh_call *call, unsigned status, const bh_webhook *webhook, const char *secret)
{
	GString *out = g_string_sized_new(1024);

	write_webhook(out, call, webhook, secret);
	bh_reply_etag(call, webhook->revision);
	bh_reply_json(call, status, out);
}

const bh_webhook *bh_find_webhook(bh_call *call)
{
	const bh_webhook *webhook = bh_scope_webhook(&call->scope, call->id);

	if (!webhook)
		bh_reply_not_found(call);
	return webhook;
}

void bh_show_webhook(bh_call *call)
{
	const bh_webhook *webhook = bh_find_webhook(call);

	if (webhook)
		bh_reply_webhook(call, 200, webhook, NULL);
}

void bh_list_webhooks(bh_call *call)
{
	const char *own = call->scope.manager_id;
	g_auto(bh_page) page = {0};

	if (!bh_page_read(call, &page) || !bh_check_site_id(call, "manager_id"))
		return;
	const char *wanted = bh_call_query(call, "manager_id");
	bool foreign = own && wanted && strcmp(own, wanted) != 0;
	g_autoptr(GPtrArray) rows = foreign ? g_ptr_array_new()
					    : bh_snapshot_page_webhooks(call->scope.snapshot, own ? own : wanted,
									page.number, page.limit + 1);
	GString *out = bh_page_open();
	const bh_webhook *last = NULL;

	for (guint i = 0; i < rows->len && i < page.limit; i++) {
		last = g_ptr_array_index(rows, i);
		write_webhook(out, call, last, NULL);
	}
	bh_page_close_at(call, out, rows->len > page.limit ? last->id : 0);
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

/* --- Testing one ------------------------------------------------------------------------- */

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
		.type = (char *)"bellhop.test",
		.occurred_at = call->now,
		.accepted_at = call->now,
		.manager_id = webhook->manager_id,
		.data = bh_span_of(data),
	};

	return bh_event_restore(&parts);
}

static test *test_new(const bh_call *call, const bh_webhook *webhook)
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

void bh_test_webhook(bh_call *call)
{
	const bh_webhook *webhook = bh_find_webhook(call);

	if (!webhook)
		return;
	test *t = test_new(call, webhook);
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
