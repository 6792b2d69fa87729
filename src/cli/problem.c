#include "cli/problem.h"

#include "base/error.h"
#include "base/json.h"
#include "cli/member.h"
#include "cli/text.h"

#include <string.h>

/* By the problem's code: which error it is to our own code, and what a person does about it. */
static const struct {
	const char *code;
	bh_error_code error;
	const char *hint; /* NULL: the detail says it all */
} PROBLEMS[] = {
	{"unauthorized", BH_ERROR_DENIED,
	 "The key is unknown there: give another with --key or BELLHOP_KEY, or name the folder of that Bellhop with "
	 "--data-dir."},
	{"role_not_allowed", BH_ERROR_DENIED,
	 "This needs a key of another role: `bellhop key list` shows the roles (with a site key)."},
	{"super_manager_cannot_own_webhooks", BH_ERROR_DENIED,
	 "Give the webhook to a manager of the property, or make it the site's own by leaving --manager out."},
	{"not_found", BH_ERROR_NOT_FOUND, NULL},
	{"method_not_allowed", BH_ERROR_INVALID,
	 "That Bellhop is of another version than this program (`bellhop version`)."},
	{"conflict", BH_ERROR_CONFLICT, NULL},
	{"webhook_disabled", BH_ERROR_CONFLICT,
	 "Nothing is sent to it until it is enabled: `bellhop webhook test WEBHOOK --enable` tries it first, `bellhop "
	 "webhook show WEBHOOK` says why it is disabled."},
	{"loop_detected", BH_ERROR_CONFLICT,
	 "`bellhop webhook set WEBHOOK --channel ID` says which channel is its own, and --channel with what is handed over "
	 "that it came by it."},
	{"too_many_events", BH_ERROR_BUSY,
	 "Nothing of this call was kept. The setting intake_rate says how many events a second one key may hand over: send "
	 "more slowly, or have it raised."},
	{"idempotency_conflict", BH_ERROR_CONFLICT,
	 "Use another --id for another event; the same --id is for sending the same one again."},
	{"target_refused", BH_ERROR_INVALID,
	 "If the address is meant, allow it: the setting `allow` takes hosts and networks (`bellhop config`)."},
	{"unknown_event_type", BH_ERROR_INVALID,
	 "`bellhop type list` shows the known types, `bellhop type add` adds one, and the setting unknown_event_types "
	 "= accept takes all."},
	{"limit_reached", BH_ERROR_LIMIT, NULL},
	{"too_large", BH_ERROR_LIMIT, NULL},
	{"busy", BH_ERROR_BUSY, NULL},
	{"store_unavailable", BH_ERROR_BUSY,
	 "Look at the log of bellhop serve: the disk may be full. Nothing of this request was kept."},
	{"internal", BH_ERROR_IO, "This is a fault in Bellhop: its log says more."},
};

static bh_error_code error_of(const char *code, int status, const char **ret_hint)
{
	*ret_hint = NULL;
	for (size_t i = 0; code && i < G_N_ELEMENTS(PROBLEMS); i++) {
		if (strcmp(PROBLEMS[i].code, code) == 0) {
			*ret_hint = PROBLEMS[i].hint;
			return PROBLEMS[i].error;
		}
	}
	return status == 404 ? BH_ERROR_NOT_FOUND : status >= 500 ? BH_ERROR_IO : BH_ERROR_INVALID;
}

/* "at /settings/url, line 3 column 7" as far as the problem says so; "" if it does not. */
static char *place_of(const bh_json *json)
{
	int64_t line, column;
	g_autofree char *pointer = bh_member_shown(json, 0, "pointer");
	GString *place = g_string_new(NULL);
	if (pointer && *pointer)
		g_string_append_printf(place, ", at %s", pointer);
	if (bh_member_int(json, 0, "line", &line))
		g_string_append_printf(place, ", line %" G_GINT64_FORMAT, line);
	if (bh_member_int(json, 0, "column", &column))
		g_string_append_printf(place, " column %" G_GINT64_FORMAT, column);
	return g_string_free(place, FALSE);
}

static void set_foreign(GError **error, const char *what, const char *url, int status, bh_span body)
{
	g_autofree char *visible = bh_text_visible(body, false);
	g_autofree char *begin = bh_text_cut(visible, 200);
	const char *unused;
	g_set_error(error, BH_ERROR, error_of(NULL, status, &unused),
		    "cannot %s: %s answered %d%s%s\nThat is no answer of a Bellhop: is the address right, is a proxy "
		    "in between?",
		    what, url, status, *begin ? ": " : "", begin);
}

void bh_problem_error(GError **error, const char *what, const char *url, int status, bh_span body,
		      const char *retry_after)
{
	g_autoptr(bh_json) json = bh_json_new();
	if (!bh_json_parse(json, body, NULL) || bh_member(json, 0, "code") == BH_JSON_NONE) {
		set_foreign(error, what, url, status, body);
		return;
	}

	g_autofree char *code = bh_member_shown(json, 0, "code");
	g_autofree char *detail = bh_member_shown(json, 0, "detail");
	g_autofree char *title = bh_member_shown(json, 0, "title");
	g_autofree char *place = place_of(json);
	const char *hint;
	bh_error_code kind = error_of(code, status, &hint);

	GString *message = g_string_new(NULL);
	g_string_append_printf(message, "cannot %s: %s (%d %s%s)", what,
			       detail  ? detail
			       : title ? title
				       : "refused",
			       status, code, place);
	if (hint)
		g_string_append_printf(message, "\n%s", hint);
	if (retry_after) {
		g_autofree char *when = bh_text_visible(bh_span_of(retry_after), false);
		g_string_append_printf(message, "\nTry again in %s s.", when);
	}
	g_set_error_literal(error, BH_ERROR, (gint)kind, message->str);
	g_string_free(message, TRUE);
}
