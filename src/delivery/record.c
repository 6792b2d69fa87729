#include "delivery/record.h"

#include "base/error.h"
#include "base/fault.h"

#include <string.h>

/* Times that a delivery keeps its place in the lane though its receiver asked for patience. */
#define REFUSED_IN_PLACE_MAX 3

/* The path and query of a URL as they stand in the request line. */
static const char *target_of(const char *url, const char **ret_host, size_t *ret_host_size)
{
	const char *host = strstr(url, "://");
	host = host ? host + 3 : url;
	*ret_host = host;
	*ret_host_size = strcspn(host, "/?");
	return host + *ret_host_size;
}

static void append_request_line(GString *out, const bh_request *request)
{
	const char *host;
	size_t host_size;
	const char *target = target_of(request->url, &host, &host_size);
	g_string_append(out, request->verb);
	g_string_append(out, *target == '/' ? " " : " /");
	g_string_append(out, target);
	g_string_append(out, "\nHost: ");
	g_string_append_len(out, host, (gssize)host_size);
	g_string_append_c(out, '\n');
}

static void take_slot(bh_loop *loop, bh_paper *paper)
{
	guint count = loop->free_slots->len;
	paper->slot = SIZE_MAX;
	if (count == 0)
		return;
	paper->slot = g_array_index(loop->free_slots, size_t, count - 1);
	g_array_set_size(loop->free_slots, count - 1);
	bh_flight_note(loop->flight, paper->slot,
		       (bh_flight_entry){paper->item->waiting.delivery, paper->item->waiting.attempts + 1});
}

static bh_paper *paper_of(bh_loop *loop, bh_item *item)
{
	bh_paper *paper = g_new0(bh_paper, 1);
	paper->kind = BH_PAPER_RECORD;
	paper->loop = loop;
	paper->item = item;
	paper->slot = SIZE_MAX;
	paper->again = item->waiting;
	paper->write.kind = BH_WRITE_RECORD;
	paper->write.delivery_id = item->waiting.delivery;
	paper->write.webhook_id = item->waiting.webhook;
	return paper;
}

bh_paper *bh_record_new(bh_loop *loop, bh_item *item)
{
	bh_paper *paper = paper_of(loop, item);
	take_slot(loop, paper);
	paper->request = g_string_sized_new(512);
	paper->write.attempt = &paper->row;
	paper->row = (bh_attempt_row){
		.delivery_id = item->waiting.delivery,
		.number = item->waiting.attempts + 1,
		.dns = -1,
		.connect = -1,
		.tls = -1,
		.first_byte = -1,
	};
	return paper;
}

static void move_to(bh_paper *paper, const bh_next *next)
{
	bh_write *w = &paper->write;
	w->state = next->state;
	w->due_at = next->due_at;
	w->spent = next->spent;
	w->superseded_by = next->superseded_by;
	paper->reason = g_strdup(next->reason);
	w->reason = paper->reason;
	w->at = paper->loop->now.wall;

	paper->again.due_at = next->due_at;
	paper->again.spent = next->spent;
}

bh_paper *bh_record_without_attempt(bh_loop *loop, bh_item *item, const bh_next *next)
{
	bh_paper *paper = paper_of(loop, item);
	move_to(paper, next);
	return paper;
}

void bh_record_hide(bh_paper *paper, bh_span password)
{
	bh_hide(&paper->hidden, password);
}

static GBytes *masked_body(const bh_paper *paper, bh_span body)
{
	if (!paper->hidden)
		return g_bytes_new(body.at, body.size);
	GString *text = g_string_new_len(body.at, (gssize)body.size);
	bh_hidden_mask(paper->hidden, text);
	return g_string_free_to_bytes(text);
}

/* What is kept of the body that goes out; NULL: it is the event's own. */
static GBytes *sent_body(const bh_paper *paper, bh_span body, GBytes *event_body)
{
	gsize size;
	const char *own = g_bytes_get_data(event_body, &size);

	if (paper->call_kind != BH_CALL_DELIVERY)
		return g_string_free_to_bytes(bh_hidden_form(body));
	return bh_span_equal(body, (bh_span){own, size}) ? NULL : masked_body(paper, body);
}

void bh_record_request(bh_paper *paper, const bh_request *request, bh_call_kind kind, GBytes *event_body)
{
	paper->call_kind = kind;
	g_string_truncate(paper->request, 0);
	append_request_line(paper->request, request);
	for (const char *const *h = request->headers; *h; h++) {
		bh_hidden_append_header(&paper->hidden, *h, paper->request);
		g_string_append_c(paper->request, '\n');
	}
	bh_hidden_mask(paper->hidden, paper->request);

	g_clear_pointer(&paper->sent, g_bytes_unref);
	paper->sent = sent_body(paper, request->body, event_body);
}

static void drop_aside(bh_paper *paper)
{
	if (paper->aside_request)
		g_string_free(g_steal_pointer(&paper->aside_request), TRUE);
	g_clear_pointer(&paper->aside_sent, g_bytes_unref);
}

void bh_record_set_aside(bh_paper *paper)
{
	drop_aside(paper);
	paper->aside_request = paper->request;
	paper->request = g_string_sized_new(512);
	paper->aside_sent = g_steal_pointer(&paper->sent);
	paper->aside_kind = paper->call_kind;
}

void bh_record_take_back(bh_paper *paper)
{
	g_string_free(paper->request, TRUE);
	paper->request = g_steal_pointer(&paper->aside_request);
	g_clear_pointer(&paper->sent, g_bytes_unref);
	paper->sent = g_steal_pointer(&paper->aside_sent);
	paper->call_kind = paper->aside_kind;
}

/* The receiver's bytes are not ours to trust: texts are kept as valid UTF-8 without NUL. */
static GString *valid_text(GString *raw)
{
	if (g_utf8_validate(raw->str, (gssize)raw->len, NULL))
		return g_string_new_len(raw->str, (gssize)raw->len);
	for (gsize i = 0; i < raw->len; i++)
		if (raw->str[i] == '\0')
			raw->str[i] = ' ';
	char *valid = g_utf8_make_valid(raw->str, (gssize)raw->len);
	GString *text = g_string_new(valid);
	g_free(valid);
	return text;
}

/*
 * What a token service gave is a credential, and what the site's own API gave are a guest's details: neither is kept. What they
 * said when they gave nothing is, unless something in it is called a token after all.
 */
static bool may_keep_body(const bh_paper *paper, const bh_answer *answer)
{
	if (!answer->body || answer->body->len == 0)
		return false;
	if (paper->call_kind == BH_CALL_DELIVERY)
		return true;
	bool gave = answer->status >= 200 && answer->status <= 299;
	return !gave && !bh_holds_tokens((bh_span){(const char *)answer->body->data, answer->body->len});
}

static void keep_answer(bh_paper *paper, const bh_answer *answer)
{
	bh_attempt_row *row = &paper->row;
	row->status = answer->status;
	row->dns = answer->dns;
	row->connect = answer->connect;
	row->tls = answer->tls;
	row->first_byte = answer->first_byte;
	row->total = answer->total;
	memcpy(paper->address, answer->address, sizeof(paper->address));
	memcpy(paper->http_version, answer->http_version, sizeof(paper->http_version));

	paper->response = answer->head ? valid_text(answer->head) : NULL;
	if (paper->response)
		bh_hidden_mask(paper->hidden, paper->response);
	if (may_keep_body(paper, answer)) {
		paper->body = g_byte_array_sized_new(answer->body->len);
		g_byte_array_append(paper->body, answer->body->data, answer->body->len);
		bh_hidden_mask_bytes(paper->hidden, paper->body);
	}
}

/*
 * A receiver that paces us makes its whole lane wait, so who was refused need not wait behind all the others as well: in
 * memory it keeps its place, and the events go on in their order when the pause is over. Not for ever, or one that is
 * always refused would hold up the rest.
 */
static bool keeps_its_place(const bh_paper *paper, const bh_conclusion *conclusion)
{
	int unspent = paper->row.number - paper->again.spent;
	return conclusion->pause > 0 && !conclusion->spends && unspent <= REFUSED_IN_PLACE_MAX;
}

void bh_record_conclusion(bh_paper *paper, const bh_record_facts *facts)
{
	bh_attempt_row *row = &paper->row;
	row->total = facts->took;
	if (facts->answer)
		keep_answer(paper, facts->answer);

	g_free(paper->sentence);
	paper->sentence = g_strdup(facts->conclusion->sentence);
	row->started_at = facts->started_wall;
	row->outcome = bh_outcome_name(facts->conclusion->outcome);
	row->cause = bh_cause_name(facts->conclusion->cause);
	row->sentence = paper->sentence;
	row->http_version = paper->http_version;
	row->address = paper->address;
	row->request = paper->request->str;
	row->response = paper->response ? paper->response->str : "";
	row->body = paper->body ? (bh_span){(const char *)paper->body->data, paper->body->len} : (bh_span){0};
	if (paper->sent) {
		gsize size;
		row->sent.at = g_bytes_get_data(paper->sent, &size);
		row->sent.size = size;
	}

	move_to(paper, facts->next);
	paper->again.attempts = row->number;
	if (keeps_its_place(paper, facts->conclusion))
		paper->again.due_at = paper->item->waiting.due_at;
	bh_count(&paper->loop->counts.attempts[facts->conclusion->outcome], 1);
}

void bh_paper_free(bh_paper *paper)
{
	if (!paper)
		return;
	if (paper->slot != SIZE_MAX && paper->kind == BH_PAPER_RECORD) {
		BH_FAULT("record.before-landing");
		bh_flight_forget(paper->loop->flight, paper->slot);
		g_array_append_val(paper->loop->free_slots, paper->slot);
	}
	if (paper->request)
		g_string_free(paper->request, TRUE);
	if (paper->response)
		g_string_free(paper->response, TRUE);
	if (paper->body)
		g_byte_array_unref(paper->body);
	g_clear_pointer(&paper->sent, g_bytes_unref);
	drop_aside(paper);
	g_clear_pointer(&paper->hidden, bh_hidden_free);
	g_clear_pointer(&paper->change.webhook, bh_webhook_unref);
	g_clear_pointer(&paper->attempted, bh_webhook_unref);
	g_clear_error(&paper->error);
	g_free(paper->release);
	g_free(paper->reason);
	g_free(paper->sentence);
	g_free(paper->why);
	g_free(paper);
}

void bh_paper_leave(bh_paper *paper)
{
	if (paper)
		paper->slot = SIZE_MAX;
	bh_paper_free(paper);
}
