/* How a webhook is shown: its settings, what is known of how it fares, and what its owner should look at. */
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/webhook.h"

#include <jansson.h>
#include <string.h>

/* --- Its members ------------------------------------------------------------------------- */

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

/* When the present run of failures would switch it off; 0: never, as far as anybody can tell. */
static bh_usec disables_at(const bh_call *call, const bh_shown_webhook *shown)
{
	const bh_api_rooms *rooms = &call->api->rooms;

	if (!rooms->disables_at || shown->webhook->disabled || !shown->streak.failing_since)
		return 0;
	return rooms->disables_at(&shown->streak, atomic_load(&call->api->settings));
}

static void write_state(GString *out, const bh_webhook *webhook)
{
	bh_out_bool(out, "enabled", !webhook->disabled);
	bh_out_text(out, "disabled_cause", bh_disabled_cause_name(webhook->disabled));
	bh_out_text(out, "disabled_reason", webhook->disabled ? webhook->disabled_reason : NULL);
	bh_out_time(out, "disabled_at", webhook->disabled ? webhook->disabled_at : 0);
}

void bh_write_webhook(bh_call *call, GString *out, const bh_shown_webhook *shown)
{
	const bh_webhook *webhook = shown->webhook;
	bh_usec off_at = disables_at(call, shown);

	bh_out_open(out, NULL, '{');
	bh_out_id(out, "id", BH_ID_WEBHOOK, webhook->id);
	bh_out_text(out, "manager_id", webhook->manager_id);
	bh_out_text(out, "name", webhook->name ? webhook->name : "");
	write_settings(out, call, webhook);
	bh_out_text(out, "script", webhook->script);
	bh_out_text(out, "shape", bh_shape_name(webhook->shape));
	bh_out_texts(out, "events", webhook->events);
	bh_out_texts(out, "properties", webhook->properties);
	bh_out_text(out, "channel_id", webhook->channel_id);
	bh_out_bool(out, "full_payload", webhook->full_payload);
	write_timeout(out, call, webhook);
	bh_write_pace(out, webhook);
	bh_write_tls(out, webhook);
	write_headers(out, webhook->headers);
	write_state(out, webhook);
	bh_out_time(out, "failing_since", shown->streak.failing_since);
	bh_out_time(out, "disables_at", off_at);
	bh_write_warnings(call, out, shown, off_at);
	bh_out_time(out, "old_secret_until", webhook->old_secret_until > call->now ? webhook->old_secret_until : 0);
	bh_out_time(out, "created_at", webhook->created_at);
	bh_out_time(out, "updated_at", webhook->updated_at);
	bh_out_int(out, "revision", webhook->revision);
	if (shown->secret)
		bh_out_text(out, "secret", shown->secret);
	bh_out_close(out, '}');
}

/* --- One, and the list ------------------------------------------------------------------- */

void bh_reply_webhook(bh_call *call, unsigned status, const bh_shown_webhook *shown)
{
	GString *out = g_string_sized_new(1024);

	bh_write_webhook(call, out, shown);
	bh_reply_etag(call, shown->webhook->revision);
	bh_reply_json(call, status, out);
}

/* False: the call is answered. */
static bool read_streak(bh_call *call, bh_reader *reader, bh_shown_webhook *shown)
{
	g_autoptr(GError) error = NULL;

	if (bh_reader_streak(reader, shown->webhook->id, &shown->streak, &error))
		return true;
	bh_reply_error(call, error);
	return false;
}

void bh_show_webhook(bh_call *call)
{
	bh_shown_webhook shown = {.webhook = bh_find_webhook(call)};
	bh_reader *reader = shown.webhook ? bh_call_reader(call) : NULL;

	if (reader && read_streak(call, reader, &shown))
		bh_reply_webhook(call, 200, &shown);
}

static void reply_list(bh_call *call, bh_reader *reader, const GPtrArray *rows, size_t limit)
{
	GString *out = bh_page_open();
	bh_id last = 0;

	for (guint i = 0; i < rows->len && i < limit; i++) {
		bh_shown_webhook shown = {.webhook = g_ptr_array_index(rows, i)};
		if (!read_streak(call, reader, &shown)) {
			g_string_free(out, TRUE);
			return;
		}
		bh_write_webhook(call, out, &shown);
		last = shown.webhook->id;
	}
	bh_page_close_at(call, out, rows->len > limit ? last : 0);
}

void bh_list_webhooks(bh_call *call)
{
	const char *own = call->scope.manager_id;
	g_auto(bh_page) page = {0};
	bh_reader *reader;

	if (!bh_page_read(call, &page) || !bh_check_site_id(call, "manager_id") || !(reader = bh_call_reader(call)))
		return;
	const char *wanted = bh_call_query(call, "manager_id");
	bool foreign = own && wanted && strcmp(own, wanted) != 0;
	g_autoptr(GPtrArray) rows = foreign ? g_ptr_array_new()
					    : bh_snapshot_page_webhooks(call->scope.snapshot, own ? own : wanted,
									page.number, page.limit + 1);
	reply_list(call, reader, rows, page.limit);
}
