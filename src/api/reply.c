#include "api/reply.h"

#include "api/server.h"
#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* clang-format off: one line a problem */
const bh_problem_row BH_PROBLEM_ROWS[BH_PROBLEMS] = {
	[BH_PROBLEM_UNAUTHORIZED] = {"unauthorized", 401, "API key needed"},
	[BH_PROBLEM_ROLE] = {"role_not_allowed", 403, "Not with this key"},
	[BH_PROBLEM_SUPER] = {"super_manager_cannot_own_webhooks", 403,
			      "Super managers and receptionists own no webhooks"},
	[BH_PROBLEM_NOT_FOUND] = {"not_found", 404, "Not found"},
	[BH_PROBLEM_METHOD] = {"method_not_allowed", 405, "Method not allowed"},
	[BH_PROBLEM_CONFLICT] = {"conflict", 409, "Conflict"},
	[BH_PROBLEM_WEBHOOK_DISABLED] = {"webhook_disabled", 409, "The webhook is disabled"},
	[BH_PROBLEM_IDEMPOTENCY] = {"idempotency_conflict", 409, "The name was used for another event"},
	[BH_PROBLEM_JSON] = {"invalid_json", 400, "Not valid JSON"},
	[BH_PROBLEM_PARAMETER] = {"invalid_parameter", 400, "Wrong parameter"},
	[BH_PROBLEM_IDEMPOTENCY_KEY] = {"invalid_idempotency_key", 400, "Wrong Idempotency-Key"},
	[BH_PROBLEM_TOO_LARGE] = {"too_large", 413, "Too large"},
	[BH_PROBLEM_MEDIA_TYPE] = {"unsupported_media_type", 415, "Wrong content type"},
	[BH_PROBLEM_HEADER] = {"header_too_large", 431, "Header too large"},
	[BH_PROBLEM_FIELD] = {"invalid_field", 422, "Wrong field"},
	[BH_PROBLEM_EVENT_TYPE] = {"unknown_event_type", 422, "Unknown event type"},
	[BH_PROBLEM_TARGET] = {"target_refused", 422, "Target refused"},
	[BH_PROBLEM_CREDENTIALS] = {"credentials_needed", 422, "Credentials needed again"},
	[BH_PROBLEM_LIMIT] = {"limit_reached", 422, "Limit reached"},
	[BH_PROBLEM_RATE] = {"too_many_events", 429, "Too many events"},
	[BH_PROBLEM_LOOP] = {"loop_detected", 508, "Loop detected"},
	[BH_PROBLEM_BUSY] = {"busy", 503, "Busy"},
	[BH_PROBLEM_STORE] = {"store_unavailable", 503, "The store is unavailable"},
	[BH_PROBLEM_INTERNAL] = {"internal", 500, "Internal error"},
};
/* clang-format on */

static void set_answer(bh_call *call, unsigned status, GString *body, const char *content_type)
{
	g_assert(!call->status); /* one answer a call */
	call->status = status;
	call->answer = body;
	call->content_type = content_type;
	if (call->phase != BH_CALL_REFUSED)
		call->phase = BH_CALL_ANSWERED;
}

void bh_reply_json(bh_call *call, unsigned status, GString *json)
{
	set_answer(call, status, json, "application/json");
}

void bh_reply_empty(bh_call *call, unsigned status)
{
	set_answer(call, status, NULL, NULL);
}

void bh_reply_text(bh_call *call, unsigned status, GString *text, const char *content_type)
{
	set_answer(call, status, text, content_type);
}

void bh_reply_header(bh_call *call, const char *name, const char *value)
{
	g_assert(call->header_count < G_N_ELEMENTS(call->headers));
	call->headers[call->header_count++] = (bh_call_header){name, g_strdup(value)};
}

void bh_reply_etag(bh_call *call, int64_t revision)
{
	g_autofree char *tag = g_strdup_printf("\"%" PRId64 "\"", revision);

	bh_reply_header(call, "ETag", tag);
}

/*
 * What other rooms say is made to continue "cannot do this: ..."; a detail stands alone. A rule or code in front ("port: ...")
 * stays as it is, for programs look for it.
 */
static char *sentence_of(const char *why)
{
	size_t word = strcspn(why, " ");
	bool is_name = memchr(why, '_', word) || (word > 0 && why[word - 1] == ':');
	size_t size = strlen(why);
	bool ends = size > 0 && strchr(".!?", why[size - 1]);
	char *text = g_strconcat(why, ends ? "" : ".", NULL);
	if (!is_name)
		text[0] = g_ascii_toupper(text[0]);
	return text;
}

static GString *open_problem(const bh_problem_row *row, const char *why)
{
	GString *out = g_string_sized_new(256);
	g_autofree char *detail = sentence_of(why);
	g_autofree char *type = g_strconcat("urn:bellhop:problem:", row->code, NULL);

	bh_out_open(out, NULL, '{');
	bh_out_text(out, "type", type);
	bh_out_text(out, "code", row->code);
	bh_out_text(out, "title", row->title);
	bh_out_int(out, "status", row->status);
	bh_out_text(out, "detail", detail);
	return out;
}

static void send_problem(bh_call *call, bh_problem problem, GString *out)
{
	const bh_problem_row *row = &BH_PROBLEM_ROWS[problem];

	bh_out_close(out, '}');
	atomic_fetch_add_explicit(&call->api->counters.problems[problem], 1, memory_order_relaxed);
	if (problem == BH_PROBLEM_UNAUTHORIZED)
		bh_reply_header(call, "WWW-Authenticate", "Bearer");
	if (row->status == 503)
		bh_reply_header(call, "Retry-After", problem == BH_PROBLEM_BUSY ? "1" : "5");
	set_answer(call, row->status, out, "application/problem+json");
}

void bh_reply_problem(bh_call *call, bh_problem problem, const char *pointer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	g_autofree char *detail = g_strdup_vprintf(format, arguments);
	va_end(arguments);

	GString *out = open_problem(&BH_PROBLEM_ROWS[problem], detail);
	if (pointer)
		bh_out_text(out, "pointer", pointer);
	send_problem(call, problem, out);
}

void bh_reply_bad_json(bh_call *call, const char *detail, unsigned line, unsigned column)
{
	GString *out = open_problem(&BH_PROBLEM_ROWS[BH_PROBLEM_JSON], detail);

	if (line) {
		bh_out_int(out, "line", line);
		bh_out_int(out, "column", column);
	}
	send_problem(call, BH_PROBLEM_JSON, out);
}

void bh_reply_not_found(bh_call *call)
{
	bh_reply_problem(call, BH_PROBLEM_NOT_FOUND, NULL, "There is no such thing.");
}

/*
 * What went wrong inside is for the log; the caller learns what he can do about it. A 5xx is logged here and
 * nowhere else.
 */
static void reply_trouble(bh_call *call, bh_problem problem, const GError *error, const char *detail)
{
	bh_log(BH_WARNING, "api", "request failed", BH_STR("route", call->route ? call->route->path : "none"),
	       BH_STR("code", BH_PROBLEM_ROWS[problem].code), BH_STR("why", error->message));
	bh_reply_problem(call, problem, NULL, "%s", detail);
}

void bh_reply_error(bh_call *call, const GError *error)
{
	if (error->domain != BH_ERROR) {
		reply_trouble(call, BH_PROBLEM_INTERNAL, error, "The log of Bellhop says more.");
		return;
	}
	switch ((bh_error_code)error->code) {
	case BH_ERROR_NOT_FOUND:
		bh_reply_not_found(call);
		return;
	case BH_ERROR_BUSY:
		reply_trouble(call, BH_PROBLEM_BUSY, error, "Too much is waiting for the store. Nothing was kept.");
		return;
	case BH_ERROR_UNSURE:
		reply_trouble(call, BH_PROBLEM_STORE, error,
			      "It is not sure whether it was kept. Repeat it with the same Idempotency-Key.");
		return;
	case BH_ERROR_IO:
	case BH_ERROR_LIMIT:
		reply_trouble(call, BH_PROBLEM_STORE, error, "The store does not work now. Nothing was kept.");
		return;
	case BH_ERROR_CONFLICT:
	case BH_ERROR_INVALID:
	case BH_ERROR_DENIED:
		break;
	}
	reply_trouble(call, BH_PROBLEM_INTERNAL, error, "The log of Bellhop says more.");
}
