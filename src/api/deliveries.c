/* /v1/deliveries: one event on its way to one webhook; retried and cancelled by hand. */
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/verdict.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

#define GIVES_WAY_MAX 100 /* deliveries that gave way to one another, and are followed */

/* --- Writing a row ----------------------------------------------------------------------- */

/* The type of the last event that was looked up: the rows of a fan-out share one. */
typedef struct type_memo {
	bh_reader *reader;
	bh_id event;
	char *type; /* NULL: the event is no longer stored */
} type_memo;

static const char *type_of(type_memo *memo, bh_id event_id)
{
	if (memo->event == event_id)
		return memo->type;
	g_autoptr(bh_event) event = bh_reader_event(memo->reader, event_id, NULL);

	g_free(memo->type);
	memo->type = event ? g_strdup(event->type) : NULL;
	memo->event = event_id;
	return memo->type;
}

static bool waits_for_earlier(const bh_delivery *delivery)
{
	return delivery->state == BH_STATE_PENDING && delivery->due_at == BH_DUE_BLOCKED;
}

bh_id bh_sent_instead(bh_reader *reader, const bh_delivery *delivery)
{
	bh_id id = delivery->superseded_by;

	for (unsigned i = 0; id && i < GIVES_WAY_MAX; i++) {
		g_autoptr(bh_delivery) newer = bh_reader_delivery(reader, id, NULL);
		if (!newer || !newer->superseded_by)
			break;
		id = newer->superseded_by;
	}
	return id;
}

static void write_order(GString *out, const bh_delivery *delivery, bh_reader *reader)
{
	bh_out_text(out, "order_key", delivery->order_key);
	if (delivery->sequence)
		bh_out_int(out, "sequence", delivery->sequence);
	else
		bh_out_null(out, "sequence");
	bh_out_bool(out, "waits_for_earlier", waits_for_earlier(delivery));
	bh_out_id(out, "superseded_by", BH_ID_DELIVERY, bh_sent_instead(reader, delivery));
}

static void write_delivery(GString *out, const bh_delivery *delivery, type_memo *memo)
{
	bool has_due_time = delivery->state == BH_STATE_PENDING && !waits_for_earlier(delivery);

	bh_out_open(out, NULL, '{');
	bh_out_id(out, "id", BH_ID_DELIVERY, delivery->id);
	bh_out_id(out, "event_id", BH_ID_EVENT, delivery->event_id);
	bh_out_id(out, "webhook_id", BH_ID_WEBHOOK, delivery->webhook_id);
	bh_out_text(out, "manager_id", delivery->manager_id);
	bh_out_text(out, "type", type_of(memo, delivery->event_id));
	bh_out_text(out, "state", bh_state_name(delivery->state));
	bh_out_time(out, "created_at", delivery->created_at);
	bh_out_time(out, "due_at", has_due_time ? delivery->due_at : 0);
	bh_out_time(out, "ended_at", delivery->ended_at);
	bh_out_int(out, "attempts", delivery->attempts);
	bh_out_int(out, "spent", delivery->spent);
	bh_out_text(out, "reason", delivery->reason);
	bh_out_bool(out, "test", delivery->is_test);
	write_order(out, delivery, memo->reader);
	bh_out_close(out, '}');
}

static void reply_delivery(bh_call *call, unsigned status, bh_reader *reader, const bh_delivery *delivery)
{
	type_memo memo = {.reader = reader};
	GString *out = g_string_sized_new(512);

	write_delivery(out, delivery, &memo);
	g_free(memo.type);
	bh_reply_json(call, status, out);
}

/* --- The list ---------------------------------------------------------------------------- */

static bool check_state(bh_call *call, bh_state *ret)
{
	const char *name = bh_call_query(call, "state");

	if (!name || bh_state_parse(name, ret))
		return true;
	bh_reply_problem(
		call, BH_PROBLEM_PARAMETER, NULL,
		"\"state\" is one of pending, held, delivered, gone, exhausted, coalesced, cancelled, filtered.");
	return false;
}

static void reply_deliveries(bh_call *call, bh_reader *reader, const GPtrArray *rows, size_t limit)
{
	type_memo memo = {.reader = reader};
	GString *out = bh_page_open();
	const bh_delivery *last = NULL;

	for (guint i = 0; i < rows->len && i < limit; i++) {
		last = g_ptr_array_index(rows, i);
		write_delivery(out, last, &memo);
	}
	g_free(memo.type);
	bh_page_close_at(call, out, rows->len > limit ? last->id : 0);
}

void bh_list_deliveries(bh_call *call)
{
	g_auto(bh_page) page = {0};
	g_autoptr(GError) error = NULL;
	bh_list list = {0};
	bh_id webhook;
	bh_reader *reader;

	if (!bh_page_read(call, &page) || !check_state(call, &list.state) ||
	    !bh_check_id(call, "webhook_id", BH_ID_WEBHOOK, &webhook) ||
	    !bh_check_id(call, "event_id", BH_ID_EVENT, &list.event) || !(reader = bh_call_reader(call)))
		return;

	g_autoptr(GArray) webhooks = bh_scope_webhooks_wanted(&call->scope, webhook);
	list.before = page.number;
	list.limit = page.limit + 1;
	if (webhooks) {
		list.webhooks = (const bh_id *)(const void *)webhooks->data;
		list.webhook_count = webhooks->len;
	}
	/* No webhook in scope is no row; to the store an empty selection would mean everybody's. */
	g_autoptr(GPtrArray) rows =
		webhooks && webhooks->len == 0 ? g_ptr_array_new() : bh_reader_deliveries(reader, &list, &error);
	if (rows)
		reply_deliveries(call, reader, rows, page.limit);
	else
		bh_reply_error(call, error);
}

/* --- One delivery ------------------------------------------------------------------------ */

/* The delivery that the path names, if the asker may see it; NULL: the call is answered. */
static bh_delivery *find_delivery(bh_call *call, bh_reader *reader)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_delivery) delivery = NULL;
	bh_id id;

	if (bh_id_parse(BH_ID_DELIVERY, call->id, &id))
		delivery = bh_reader_delivery(reader, id, &error);
	if (delivery && bh_scope_sees_delivery(&call->scope, delivery))
		return g_steal_pointer(&delivery);
	if (error && !g_error_matches(error, BH_ERROR, BH_ERROR_NOT_FOUND))
		bh_reply_error(call, error);
	else
		bh_reply_not_found(call);
	return NULL;
}

void bh_show_delivery(bh_call *call)
{
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_delivery) delivery = reader ? find_delivery(call, reader) : NULL;

	if (delivery)
		reply_delivery(call, 200, reader, delivery);
}

/* --- Attempts ---------------------------------------------------------------------------- */

static void write_span_of_time(GString *out, const char *name, bh_usec span)
{
	if (span < 0)
		bh_out_null(out, name);
	else
		bh_out_int(out, name, span);
}

static const char *text_or_null(const char *text)
{
	return text && *text ? text : NULL;
}

/* A look-up, say: nothing goes along with it, and the event did not. */
static bool has_no_body(const bh_attempt_row *row)
{
	static const char *const verbs[] = {"GET ", "HEAD ", "DELETE "};

	for (size_t i = 0; row->request && i < G_N_ELEMENTS(verbs); i++)
		if (g_str_has_prefix(row->request, verbs[i]))
			return true;
	return false;
}

/* What was sent: kept with the attempt when a method made its own, else written again from the event as it was then. */
static void write_request_body(GString *out, const bh_attempt_row *row, const bh_event *event,
			       const bh_delivery *delivery)
{
	bool details = row->shape && strcmp(row->shape, "standard+details") == 0;
	bh_shape shape = row->shape && strcmp(row->shape, "jomres") == 0 ? BH_SHAPE_JOMRES : BH_SHAPE_STANDARD;

	if (row->sent.size) {
		bh_out_span(out, "request_body", row->sent);
		return;
	}
	if (!event || has_no_body(row)) {
		bh_out_null(out, "request_body");
		return;
	}
	g_autoptr(GBytes) body = bh_event_body(event, shape, details, delivery->manager_id, delivery->sequence);
	gsize size;
	const char *bytes = g_bytes_get_data(body, &size);
	bh_out_span(out, "request_body", (bh_span){bytes, size});
}

static void write_response_body(GString *out, bh_span body)
{
	bh_out_span(out, "response_body", body);
	if (g_utf8_validate_len(body.size ? body.at : "", body.size, NULL))
		return;
	g_autofree char *base64 = g_base64_encode((const guchar *)body.at, body.size);
	bh_out_text(out, "response_body_base64", base64);
}

static void write_attempt(GString *out, const bh_attempt_row *row, const bh_event *event, const bh_delivery *delivery)
{
	bh_out_open(out, NULL, '{');
	bh_out_int(out, "number", row->number);
	bh_out_time(out, "started_at", row->started_at);
	bh_out_text(out, "outcome", row->outcome);
	bh_out_text(out, "cause", row->cause ? row->cause : "");
	bh_out_text(out, "sentence", row->sentence ? row->sentence : "");
	if (row->status)
		bh_out_int(out, "status", row->status);
	else
		bh_out_null(out, "status");
	bh_out_text(out, "http_version", text_or_null(row->http_version));
	bh_out_text(out, "address", text_or_null(row->address));
	write_span_of_time(out, "dns_us", row->dns);
	write_span_of_time(out, "connect_us", row->connect);
	write_span_of_time(out, "tls_us", row->tls);
	write_span_of_time(out, "first_byte_us", row->first_byte);
	write_span_of_time(out, "total_us", row->total);
	bh_out_text(out, "request", row->request ? row->request : "");
	write_request_body(out, row, event, delivery);
	bh_out_text(out, "response", row->response ? row->response : "");
	write_response_body(out, row->body);
	bh_out_close(out, '}');
}

void bh_list_attempts(bh_call *call)
{
	g_auto(bh_page) page = {0};
	g_autoptr(GError) error = NULL;
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_delivery) delivery = reader ? find_delivery(call, reader) : NULL;

	if (!delivery || !bh_page_read(call, &page))
		return;
	g_autoptr(GPtrArray) rows = bh_reader_attempts(reader, delivery->id, (int)page.number, page.limit + 1, &error);
	if (!rows) {
		bh_reply_error(call, error);
		return;
	}

	g_autoptr(bh_event) event = rows->len ? bh_reader_event(reader, delivery->event_id, NULL) : NULL;
	GString *out = bh_page_open();
	int last = 0;
	for (guint i = 0; i < rows->len && i < page.limit; i++) {
		const bh_attempt_kept *kept = g_ptr_array_index(rows, i);
		write_attempt(out, &kept->row, event, delivery);
		last = kept->row.number;
	}
	bh_page_close_at(call, out, rows->len > page.limit ? last : 0);
}

/* --- By hand ----------------------------------------------------------------------------- */

static const char RETRY_NEEDS[] = "only a pending or exhausted one can be tried again";
static const char CANCEL_NEEDS[] = "only a pending or held one can be cancelled";

static void reply_cannot(bh_call *call, const bh_delivery *delivery, const char *needs)
{
	bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "The delivery is %s: %s.", bh_state_name(delivery->state),
			 needs);
}

/* The move is durable, or was not possible any more: the store says where the delivery is now. */
static void moved(bh_call *call, unsigned status, const char *what, const char *needs)
{
	if (bh_call_failed(call))
		return;
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_delivery) delivery = reader ? find_delivery(call, reader) : NULL;

	if (!delivery)
		return;
	if (call->write.result != BH_WRITE_DONE) {
		reply_cannot(call, delivery, needs);
		return;
	}
	bh_log(BH_INFO, "api", what, BH_ID("delivery", BH_ID_DELIVERY, delivery->id),
	       BH_STR("by", call->scope.key_text));
	reply_delivery(call, status, reader, delivery);
}

static void retried(bh_call *call)
{
	moved(call, 202, "delivery retried by hand", RETRY_NEEDS);
}

static void cancelled(bh_call *call)
{
	moved(call, 200, "delivery cancelled by hand", CANCEL_NEEDS);
}

/* A delivery that can not be sent now would only wait: better to say so. */
static bool may_be_sent(bh_call *call, const bh_delivery *delivery)
{
	const bh_webhook *webhook = bh_snapshot_webhook(call->scope.snapshot, delivery->webhook_id);

	if (!webhook)
		bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "Its webhook was removed.");
	else if (webhook->disabled)
		bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "Its webhook is disabled: enable it first.");
	else if (waits_for_earlier(delivery))
		bh_reply_problem(
			call, BH_PROBLEM_CONFLICT, NULL,
			"It waits for an earlier delivery with the order key \"%s\": retry or cancel that one.",
			delivery->order_key);
	else
		return true;
	return false;
}

static void move(bh_call *call, const bh_delivery *delivery, bh_state state, const char *reason, bh_call_step next)
{
	bh_write write = {
		.kind = BH_WRITE_MOVE,
		.delivery_id = delivery->id,
		.webhook_id = delivery->webhook_id, /* the journal tells its lane */
		.state = state,
		.due_at = call->now,
		.reason = reason,
	};
	bh_call_write(call, &write, next);
}

void bh_retry_delivery(bh_call *call)
{
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_delivery) delivery = reader ? find_delivery(call, reader) : NULL;

	if (!delivery)
		return;
	if (delivery->state != BH_STATE_PENDING && delivery->state != BH_STATE_EXHAUSTED)
		reply_cannot(call, delivery, RETRY_NEEDS);
	else if (may_be_sent(call, delivery))
		move(call, delivery, BH_STATE_PENDING, "Retried by hand.", retried);
}

void bh_cancel_delivery(bh_call *call)
{
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_delivery) delivery = reader ? find_delivery(call, reader) : NULL;

	if (!delivery)
		return;
	if (delivery->state != BH_STATE_PENDING && delivery->state != BH_STATE_HELD)
		reply_cannot(call, delivery, CANCEL_NEEDS);
	else
		move(call, delivery, BH_STATE_CANCELLED, "Cancelled by hand.", cancelled);
}
