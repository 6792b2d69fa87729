#include "delivery/request.h"

#include "base/fault.h"
#include "delivery/record.h"

#include <string.h>

static bool names_equal(const char *line, const char *other)
{
	size_t name = strcspn(line, ":");
	return g_ascii_strncasecmp(line, other, name + 1) == 0;
}

static bool has_header(const char *const *lines, const char *line)
{
	for (; lines && *lines; lines++)
		if (names_equal(*lines, line))
			return true;
	return false;
}

/* The owner's extra headers, then the script's, which win over them, then ours, which win over all. */
static void collect_headers(const char *const *owners, const char *const *scripts, const char *const *ours,
			    GPtrArray *ret)
{
	for (; *owners; owners++)
		if (!has_header(scripts, *owners))
			g_ptr_array_add(ret, (char *)*owners);
	for (const char *const *h = scripts; h && *h; h++)
		if (!has_header(ours, *h))
			g_ptr_array_add(ret, (char *)*h);
	for (; *ours; ours++)
		g_ptr_array_add(ret, (char *)*ours);
	g_ptr_array_add(ret, NULL);
}

static void use_tls(bh_request *call, const bh_webhook *webhook)
{
	call->tls_ca = webhook->tls_ca;
	call->tls_certificate = webhook->tls_certificate;
	if (webhook->tls_key)
		call->tls_key = bh_secret_bytes(webhook->tls_key);
}

static bh_transfer *start(const bh_outgoing *out, bh_request *call, const char *const *owners, const char *const *ours)
{
	bh_loop *loop = out->loop;
	g_autoptr(GPtrArray) headers = g_ptr_array_sized_new(16);

	collect_headers(owners, call->headers, ours, headers);
	call->headers = (const char *const *)headers->pdata;
	if (call->total_timeout <= 0)
		call->total_timeout =
			out->webhook->total_timeout > 0 ? out->webhook->total_timeout : loop->total_timeout;
	call->trusted = out->kind == BH_CALL_LOOKUP; /* by what it is for, and by nothing else */
	if (out->kind != BH_CALL_LOOKUP)
		use_tls(call, out->webhook);
	bh_record_request(out->record, call, out->kind, out->event_body);
	BH_FAULT("attempt.before-send");
	return loop->wire->start(loop->transport, call, loop->now, out->done, out->user);
}

static bh_transfer *start_delivery(const bh_outgoing *out, bh_request *call)
{
	bh_loop *loop = out->loop;
	const bh_kit *kit = bh_kits_find(loop->kits, out->webhook);
	char event_id[BH_ID_TEXT_SIZE], id[sizeof("webhook-id: ") + BH_ID_TEXT_SIZE], timestamp[48], hops[32];
	g_autoptr(GString) signature = g_string_new("webhook-signature: ");
	g_autofree char *trace =
		out->event->traceparent ? g_strconcat("traceparent: ", out->event->traceparent, NULL) : NULL;

	bh_id_text(BH_ID_EVENT, out->event->id, event_id);
	g_snprintf(id, sizeof(id), "webhook-id: %s", event_id);
	g_snprintf(timestamp, sizeof(timestamp), "webhook-timestamp: %" G_GINT64_FORMAT, loop->wall / BH_SECOND);
	bh_kit_sign(kit, event_id, loop->wall, call->body, signature);
	g_snprintf(hops, sizeof(hops), "bellhop-hops: %d", out->event->hops + 1);

	const char *ours[] = {id, timestamp, signature->str, hops, trace, NULL};
	return start(out, call, (const char *const *)kit->headers, ours);
}

bh_transfer *bh_request_start(const bh_outgoing *out, bh_request *call)
{
	static const char *const none[] = {NULL};

	return out->kind == BH_CALL_DELIVERY ? start_delivery(out, call) : start(out, call, none, none);
}
