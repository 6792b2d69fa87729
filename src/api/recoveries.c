/*
 * "Send again everything that failed since T": begun for a webhook, watched, cancelled. The engine moves the deliveries, oldest
 * first and so many a second; here it is only written down.
 */
#include "api/body.h"
#include "api/page.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/webhook.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

#define COMMIT_MAX (2 * BH_SECOND) /* from an id to its commit, at most nearly always */
#define COUNT_MAX 100000 /* that a preview counts */

/* --- How one is shown -------------------------------------------------------------------- */

static void write_recovery(GString *out, const bh_recovery *r)
{
	bh_out_open(out, NULL, '{');
	bh_out_id(out, "id", BH_ID_RECOVERY, r->id);
	bh_out_id(out, "webhook_id", BH_ID_WEBHOOK, r->webhook_id);
	bh_out_time(out, "since", r->since);
	bh_out_text(out, "state", bh_recovery_state_name(r->state));
	bh_out_int(out, "total", r->total);
	bh_out_int(out, "recovered", r->recovered);
	bh_out_int(out, "per_second", r->per_second);
	bh_out_time(out, "created_at", r->created_at);
	bh_out_time(out, "ended_at", r->ended_at);
	bh_out_close(out, '}');
}

static void reply_recovery(bh_call *call, unsigned status, const bh_recovery *r)
{
	GString *out = g_string_sized_new(256);

	write_recovery(out, r);
	bh_reply_json(call, status, out);
}

/* By its webhook: a removed one's are shown to those who see everybody's. */
static bool sees_recovery(const bh_call *call, const bh_recovery *r)
{
	if (!call->scope.manager_id)
		return true;
	const bh_webhook *webhook = bh_snapshot_webhook(call->scope.snapshot, r->webhook_id);
	return webhook && bh_scope_owns(&call->scope, webhook);
}

/* The recovery that the path names; NULL: the call is answered. */
static bh_recovery *find_recovery(bh_call *call, bh_reader *reader)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_recovery) r = NULL;
	bh_id id;

	if (bh_id_parse(BH_ID_RECOVERY, call->id, &id))
		r = bh_reader_recovery(reader, id, &error);
	if (r && sees_recovery(call, r))
		return g_steal_pointer(&r);
	if (error && !g_error_matches(error, BH_ERROR, BH_ERROR_NOT_FOUND))
		bh_reply_error(call, error);
	else
		bh_reply_not_found(call);
	return NULL;
}

void bh_show_recovery(bh_call *call)
{
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_recovery) r = reader ? find_recovery(call, reader) : NULL;

	if (r)
		reply_recovery(call, 200, r);
}

static void reply_recoveries(bh_call *call, const GPtrArray *rows, size_t limit)
{
	GString *out = bh_page_open();
	const bh_recovery *last = NULL;

	for (guint i = 0; i < rows->len && i < limit; i++) {
		last = g_ptr_array_index(rows, i);
		write_recovery(out, last);
	}
	bh_page_close_at(call, out, rows->len > limit ? last->id : 0);
}

void bh_list_recoveries(bh_call *call)
{
	g_auto(bh_page) page = {0};
	g_autoptr(GError) error = NULL;
	bh_id webhook;
	bh_reader *reader;

	if (!bh_page_read(call, &page) || !bh_check_id(call, "webhook_id", BH_ID_WEBHOOK, &webhook) ||
	    !(reader = bh_call_reader(call)))
		return;
	g_autoptr(GArray) webhooks = bh_scope_webhooks_wanted(&call->scope, webhook);
	const bh_id *ids = webhooks ? (const bh_id *)(const void *)webhooks->data : NULL;
	/* No webhook in scope is no row; to the store an empty selection would mean everybody's. */
	g_autoptr(GPtrArray) rows = webhooks && webhooks->len == 0
					    ? g_ptr_array_new()
					    : bh_reader_recoveries(reader, ids, webhooks ? webhooks->len : 0, false,
								   page.number, page.limit + 1, &error);
	if (rows)
		reply_recoveries(call, rows, page.limit);
	else
		bh_reply_error(call, error);
}

/* --- Beginning one ----------------------------------------------------------------------- */

typedef struct wish {
	bh_usec since;
	bool dry_run;
	double per_second;
} wish;

static bool refuse_since(bh_call *call, const char *why)
{
	bh_reply_problem(call, BH_PROBLEM_FIELD, "/since", "%s", why);
	return false;
}

static bool read_since(bh_call *call, bh_usec *ret)
{
	static const bh_text_rule RULE = {.max = 64};
	const bh_settings *settings = atomic_load(&call->api->settings);
	g_autofree char *text = NULL;

	if (!bh_body_text(call, bh_body_member(call, "since"), "/since", &RULE, &text))
		return false;
	if (!text || !bh_time_parse(text, strlen(text), ret))
		return refuse_since(call, "It is needed: a moment such as 2026-11-25T14:00:00Z.");
	if (*ret > call->now)
		return refuse_since(call, "It has not come yet.");
	if (*ret < call->now - settings->recover_max) {
		char most[BH_TIME_TEXT_SIZE];
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/since",
				 "It is too long ago: nothing is recovered from before %s.",
				 bh_time_text(call->now - settings->recover_max, most));
		return false;
	}
	return true;
}

static bool read_wish(bh_call *call, wish *ret)
{
	static const char *const MEMBERS[] = {"since", "dry_run", "per_second", NULL};
	static const bh_number_rule RATE = {1, 10000, true};
	const bh_settings *settings = atomic_load(&call->api->settings);

	*ret = (wish){.per_second = (double)settings->recover_rate};
	return bh_body_parse(call, MEMBERS) && read_since(call, &ret->since) &&
	       bh_body_bool(call, bh_body_member(call, "dry_run"), "/dry_run", &ret->dry_run) &&
	       bh_body_number(call, bh_body_member(call, "per_second"), "/per_second", &RATE, &ret->per_second);
}

/*
 * The id above which to look for deliveries made since then: an id is made a moment before the commit that `created_at`
 * tells of.
 */
static bh_id made_since(bh_usec since)
{
	return MAX(0, bh_id_at(since - COMMIT_MAX) - 1);
}

static bool count_failed(bh_call *call, bh_reader *reader, bh_id webhook, bh_usec since, size_t most, size_t *ret)
{
	g_autoptr(GError) error = NULL;

	if (bh_reader_count_after(reader, webhook, BH_STATE_EXHAUSTED, made_since(since), since, most, ret, &error))
		return true;
	bh_reply_error(call, error);
	return false;
}

static void preview(bh_call *call, bh_reader *reader, bh_id webhook, bh_usec since)
{
	size_t count;

	if (!count_failed(call, reader, webhook, since, COUNT_MAX + 1, &count))
		return;
	GString *out = g_string_sized_new(64);
	bh_out_open(out, NULL, '{');
	bh_out_int(out, "count", MIN(count, COUNT_MAX));
	bh_out_bool(out, "more", count > COUNT_MAX);
	bh_out_close(out, '}');
	bh_reply_json(call, 200, out);
}

static void reply_running(bh_call *call)
{
	bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL,
			 "A recovery of this webhook is running: let it end, or cancel it.");
}

/* True: the call is answered. */
static bool is_running(bh_call *call, bh_reader *reader, bh_id webhook)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) running = bh_reader_recoveries(reader, &webhook, 1, true, 0, 1, &error);

	if (!running)
		bh_reply_error(call, error);
	else if (running->len > 0)
		reply_running(call);
	return call->status;
}

static void recovery_free(void *user)
{
	bh_recovery_free(user);
}

static void began(bh_call *call)
{
	const bh_recovery *r = call->work;
	char id[BH_ID_TEXT_SIZE];

	if (bh_call_failed(call))
		return;
	if (call->write.result == BH_WRITE_NOT_FOUND) {
		bh_reply_not_found(call); /* the webhook was removed meanwhile */
		return;
	}
	if (call->write.result != BH_WRITE_DONE) {
		reply_running(call); /* another one was quicker */
		return;
	}
	g_autofree char *location = g_strconcat("/v1/recoveries/", bh_id_text(BH_ID_RECOVERY, r->id, id), NULL);
	bh_log(BH_INFO, "api", "recovery begun", BH_ID("recovery", BH_ID_RECOVERY, r->id),
	       BH_ID("webhook", BH_ID_WEBHOOK, r->webhook_id), BH_INT("deliveries", r->total),
	       BH_STR("by", call->scope.key_text));
	bh_reply_header(call, "Location", location);
	reply_recovery(call, 202, r);
}

static void begin(bh_call *call, bh_reader *reader, bh_id webhook, const wish *w)
{
	size_t total;

	if (is_running(call, reader, webhook) || !count_failed(call, reader, webhook, w->since, G_MAXSIZE, &total))
		return;
	bh_recovery *r = g_new0(bh_recovery, 1);
	*r = (bh_recovery){
		.id = bh_id_new(),
		.webhook_id = webhook,
		.since = w->since,
		.total = (int64_t)total,
		.per_second = (int64_t)w->per_second,
		.after = made_since(w->since),
		.up_to = bh_id_new(),
		.state = BH_RECOVERY_RUNNING,
		.created_at = call->now,
		.who = g_strdup(call->scope.key_text),
	};
	bh_call_set_work(call, r, recovery_free);
	bh_call_write(call, &(bh_write){.kind = BH_WRITE_RECOVERY, .webhook_id = webhook, .recovery = r}, began);
}

void bh_recover_webhook(bh_call *call)
{
	const bh_webhook *webhook = bh_find_webhook(call);
	bh_reader *reader;
	wish w;

	if (!webhook || !read_wish(call, &w) || !(reader = bh_call_reader(call)))
		return;
	if (w.dry_run)
		preview(call, reader, webhook->id, w.since);
	else if (webhook->disabled)
		bh_reply_problem(call, BH_PROBLEM_WEBHOOK_DISABLED, NULL,
				 "What is recovered would only be held: enable the webhook first.");
	else
		begin(call, reader, webhook->id, &w);
}

/* --- Cancelling one ---------------------------------------------------------------------- */

static void reply_ended(bh_call *call, const bh_recovery *r)
{
	bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "The recovery has ended: it is %s.",
			 bh_recovery_state_name(r->state));
}

static void ended(bh_call *call)
{
	if (bh_call_failed(call))
		return;
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_recovery) r = reader ? find_recovery(call, reader) : NULL;

	if (!r)
		return;
	if (call->write.result != BH_WRITE_DONE) {
		reply_ended(call, r);
		return;
	}
	bh_log(BH_INFO, "api", "recovery cancelled", BH_ID("recovery", BH_ID_RECOVERY, r->id),
	       BH_STR("by", call->scope.key_text));
	reply_recovery(call, 200, r);
}

void bh_cancel_recovery(bh_call *call)
{
	bh_reader *reader = bh_call_reader(call);
	g_autoptr(bh_recovery) r = reader ? find_recovery(call, reader) : NULL;

	if (!r)
		return;
	if (r->state != BH_RECOVERY_RUNNING) {
		reply_ended(call, r);
		return;
	}
	bh_write write = {.kind = BH_WRITE_RECOVERY_END, .webhook_id = r->webhook_id, .recovery_id = r->id};
	bh_call_write(call, &write, ended);
}
