/*
 * Recoveries: everything that failed at a webhook since some moment, sent again at a rate.
 *
 *   count it (--dry-run)  or  start it -> watch it -> say what became of it
 *
 * The engine does it; what runs here only looks. Stopped, killed or cut off, the recovery goes on.
 */
#include "cli/call.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/text.h"
#include "cli/webhook.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 500

static const bh_view_row RECOVERIES[] = {
	{"ID", "id"},
	{"WEBHOOK", "webhook_id"},
	{"STATE", "state", BH_VIEW_STATE},
	{"SENT AGAIN", "recovered", BH_VIEW_NUMBER},
	{"OF", "total", BH_VIEW_NUMBER},
	{"FAILED SINCE", "since", BH_VIEW_TIME, .optional = true},
	{"STARTED", "created_at", BH_VIEW_TIME},
	{"ENDED", "ended_at", BH_VIEW_TIME},
	{NULL},
};

static const bh_view_row RECOVERY[] = {
	{"webhook", "webhook_id"},
	{"state", "state", BH_VIEW_STATE},
	{"failed since", "since", BH_VIEW_TIME},
	{"there were", "total"},
	{"sent again", "recovered"},
	{"a second", "per_second"},
	{"started", "created_at", BH_VIEW_TIME},
	{"ended", "ended_at", BH_VIEW_TIME},
	{NULL},
};

/* --- Asking -------------------------------------------------------------------------------- */

/* --since as the API takes it: a moment, or a span back from now. */
static bool read_since(const bh_call *call, char ret[BH_TIME_TEXT_SIZE], GError **error)
{
	bh_usec span, at;
	const char *text = bh_args_one(call->args, "since");
	if (!text) {
		bh_usage_error(error, "how far back? --since 2d, or a moment: --since 2026-11-25T08:00:00Z");
		return false;
	}
	if (bh_span_parse(text, &span)) {
		at = MAX(0, call->view.now - span);
	} else if (!bh_time_parse(text, strlen(text), &at)) {
		bh_usage_error(error,
			       "--since \"%s\" is neither a span (30m, 5h, 2d) nor a moment (2026-11-25T08:00:00Z)",
			       text);
		return false;
	}
	bh_time_text(at, ret);
	return true;
}

static bh_reply *ask_to_recover(bh_call *call, GError **error)
{
	char since[BH_TIME_TEXT_SIZE];
	gint64 rate = 0;
	if (!read_since(call, since, error) || !bh_args_int(call->args, "rate", 1, 10000, &rate, error))
		return NULL;

	g_autoptr(GString) body = bh_object_new();
	bh_object_text(body, "since", since);
	if (bh_args_has(call->args, "dry-run"))
		bh_object_raw(body, "dry_run", bh_span_of("true"));
	if (rate)
		bh_object_int(body, "per_second", rate);
	return bh_webhook_ask(call, "POST", "/recover", bh_object_end(body), "recover what failed at", error);
}

static bh_reply *ask_recovery(bh_call *call, const char *verb, const char *id, const char *rest, const char *attempt,
			      GError **error)
{
	g_autofree char *escaped = bh_path_escape(id);
	g_autofree char *path = g_strdup_printf("/v1/recoveries/%s%s", escaped, rest);
	g_autofree char *what = g_strdup_printf("%s recovery %s", attempt, id);
	bh_ask ask = {.what = what, .verb = verb, .path = path};
	return bh_call_ask(call, &ask, error);
}

/* "1 delivery", "137 deliveries". */
static char *spelt_count(int64_t count)
{
	return g_strdup_printf("%" G_GINT64_FORMAT " %s", count, count == 1 ? "delivery" : "deliveries");
}

static void print_nothing(const bh_call *call)
{
	const char *webhook = bh_args_operand(call->args, 0);
	bh_printf("nothing to recover: no delivery of webhook %s failed for good (--since %s)\n", webhook,
		  bh_args_one(call->args, "since"));
	bh_remark("What has attempts left is tried again by itself: bellhop delivery list --webhook %s --state pending",
		  webhook);
}

static bh_exit print_count(const bh_call *call, const bh_reply *reply)
{
	if (call->json) {
		bh_print_body(reply);
		return BH_EXIT_DONE;
	}
	int64_t count = 0;
	(void)bh_member_int(reply->json, 0, "count", &count); /* an answer without it counts as none */
	g_autofree char *spelt = spelt_count(count);
	const char *more = bh_member_true(reply->json, 0, "more") ? "more than " : "";
	if (count)
		bh_printf("%s%s of webhook %s would be sent again\n", more, spelt, bh_args_operand(call->args, 0));
	else
		print_nothing(call);
	return BH_EXIT_DONE;
}

/* --- Watching ------------------------------------------------------------------------------ */

/* A first Ctrl-C ends the watching with a word; the second one ends the program as ever. */
static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
	interrupted = 1;
}

static void listen_for_interrupt(void)
{
	struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static bh_progress progress_of(const bh_reply *recovery)
{
	bh_progress p = {0};
	(void)bh_member_int(recovery->json, 0, "recovered", &p.done); /* what is missing is shown as 0 */
	(void)bh_member_int(recovery->json, 0, "total", &p.total);
	(void)bh_member_int(recovery->json, 0, "per_second", &p.per_second);
	return p;
}

static bool is_running(const bh_reply *recovery)
{
	return bh_member_is(recovery->json, 0, "state", "running");
}

/* Over the line before. */
static void draw(const bh_reply *recovery, bh_screen screen)
{
	g_autoptr(GString) line = g_string_new("\r");
	bh_progress progress = progress_of(recovery);
	bh_progress_line(&progress, screen.width - 1, line);
	fprintf(stderr, "%s\033[K", line->str);
	fflush(stderr);
}

static void say_start(const bh_call *call, const bh_reply *recovery, const char *id)
{
	bh_progress progress = progress_of(recovery);
	if (progress.total == 0) {
		if (bh_args_has(call->args, "detach"))
			print_nothing(call);
		return; /* else the end says it */
	}
	g_autofree char *spelt = spelt_count(progress.total);
	g_autofree char *left = bh_progress_left(&progress);
	bh_printf("recovery %s: %s of webhook %s to send again", id, spelt, bh_args_operand(call->args, 0));
	if (left)
		bh_printf(", %" G_GINT64_FORMAT " a second (%s)", progress.per_second, left);
	bh_printf("\n");
	fflush(stdout);
}

/* Looks until it has ended or somebody is tired of looking. The last answer; NULL: asking failed. */
static bh_reply *watch(bh_call *call, bh_reply *started, const char *id, GError **error)
{
	bh_screen screen = bh_screen_of(STDERR_FILENO);
	bool draws = isatty(STDERR_FILENO) && g_strcmp0(g_getenv("TERM"), "dumb") != 0 && !call->json;
	bh_reply *recovery = started;
	listen_for_interrupt();
	for (int pause = PAUSE_FIRST_MS; is_running(recovery) && !interrupted; pause = MIN(PAUSE_MAX_MS, pause * 2)) {
		if (draws)
			draw(recovery, screen);
		poll(NULL, 0, pause);
		bh_reply *next = ask_recovery(call, "GET", id, "", "watch", error);
		bh_reply_free(recovery);
		recovery = next;
		if (!recovery)
			break;
	}
	if (draws)
		fputs("\r\033[K", stderr);
	return recovery;
}

static bh_exit say_end(const bh_call *call, const bh_reply *recovery, const char *id)
{
	const char *webhook = bh_args_operand(call->args, 0);
	bh_progress p = progress_of(recovery);
	g_autofree char *spelt = spelt_count(p.done);
	bool done = bh_member_is(recovery->json, 0, "state", "done");
	if (call->json) {
		bh_print_body(recovery);
	} else if (is_running(recovery)) {
		bh_printf("recovery %s goes on: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " sent again so far\n", id,
			  p.done, p.total);
		bh_remark("See how far it is: bellhop recovery show %s\nStop it: bellhop recovery cancel %s", id, id);
	} else if (!done) {
		bh_printf("recovery %s was cancelled: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " sent again\n", id,
			  p.done, p.total);
	} else if (p.total == 0) {
		print_nothing(call);
	} else {
		bh_printf("recovery %s is done: %s on the way again\n", id, spelt);
		bh_remark("What becomes of them: bellhop delivery list --webhook %s", webhook);
	}
	return done ? BH_EXIT_DONE : BH_EXIT_FAILED;
}

bh_exit bh_run_recover(bh_call *call, GError **error)
{
	bh_reply *recovery = ask_to_recover(call, error);
	if (!recovery)
		return BH_EXIT_FAILED;
	if (bh_args_has(call->args, "dry-run")) {
		print_count(call, recovery);
		bh_reply_free(recovery);
		return BH_EXIT_DONE;
	}

	g_autofree char *id = bh_member_text(recovery->json, 0, "id");
	bool detach = bh_args_has(call->args, "detach") || !id;
	if (call->json && detach)
		bh_print_body(recovery);
	else if (!call->json)
		say_start(call, recovery, id ? id : "?");
	if (!detach)
		recovery = watch(call, recovery, id, error);
	if (!recovery)
		bh_remark("Recovery %s goes on all the same; see how far it is: bellhop recovery show %s", id, id);
	bh_exit result = !recovery ? BH_EXIT_FAILED : detach ? BH_EXIT_DONE : say_end(call, recovery, id);
	bh_reply_free(recovery);
	return result;
}

/* --- bellhop recovery ... ------------------------------------------------------------------ */

bh_exit bh_run_recovery_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new("/v1/recoveries");
	bh_query_add(path, "webhook_id", bh_args_one(call->args, "webhook"));
	return bh_call_list(call, "list the recoveries", path, RECOVERIES,
			    "No recoveries: `bellhop recover WEBHOOK --since 2d` makes one.", error);
}

bh_exit bh_run_recovery_show(bh_call *call, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_RECOVERY, error);
	if (!id)
		return BH_EXIT_USAGE;
	g_autoptr(bh_reply) reply = ask_recovery(call, "GET", id, "", "show", error);
	return reply ? bh_call_show(call, reply, "recovery", RECOVERY) : BH_EXIT_FAILED;
}

bh_exit bh_run_recovery_cancel(bh_call *call, GError **error)
{
	const char *id = bh_call_id(call, 0, BH_ID_RECOVERY, error);
	if (!id)
		return BH_EXIT_USAGE;
	g_autoptr(bh_reply) reply = ask_recovery(call, "POST", id, "/cancel", "cancel", error);
	return reply ? bh_call_show(call, reply, "cancelled recovery", RECOVERY) : BH_EXIT_FAILED;
}
