#include "cli/webhook_view.h"

#include "cli/member.h"
#include "cli/text.h"

/* --- Words --------------------------------------------------------------------------------- */

/* "a", "a and b", "a, b and c". */
static char *listed(const bh_json *json, uint32_t array)
{
	GString *text = g_string_new(NULL);
	for (uint32_t c = bh_first_item(json, array), next; c != BH_JSON_NONE; c = next) {
		next = bh_json_next(json, array, c);
		g_autofree char *item = bh_node_text(json, c);
		g_autofree char *shown = bh_text_visible(bh_span_of(item), false);
		g_string_append_printf(text, "%s%s", !text->len ? "" : next == BH_JSON_NONE ? " and " : ", ", shown);
	}
	return g_string_free(text, FALSE);
}

/* A setting must not be rounded: "90 s", "2.5 s", "5 min", "24 h". */
static char *exact_span(bh_usec span)
{
	bool hours = span % BH_HOUR == 0, minutes = span % BH_MINUTE == 0;
	bh_usec unit = hours ? BH_HOUR : minutes ? BH_MINUTE : BH_SECOND;
	char digits[G_ASCII_DTOSTR_BUF_SIZE];
	g_ascii_formatd(digits, sizeof digits, "%.8g", (double)span / (double)unit);
	return g_strdup_printf("%s %s", digits, hours ? "h" : minutes ? "min" : "s");
}

/* The member `seconds` of a setting. False: it is off. */
static bool read_seconds(const bh_json *json, uint32_t setting, bh_usec *ret)
{
	g_autofree char *text = bh_member_text(json, setting, "seconds");
	double seconds = text ? g_ascii_strtod(text, NULL) : 0;
	if (!(seconds > 0 && seconds < 1e9))
		return false;
	*ret = (bh_usec)(seconds * (double)BH_SECOND + 0.5);
	return true;
}

static char *order_words(const bh_view *view, const bh_json *json, uint32_t webhook)
{
	g_autofree char *by = bh_member_shown(json, webhook, "order_by");
	return by ? g_strdup_printf("one after the other for each %s", by) : NULL;
}

static char *coalesce_words(const bh_view *view, const bh_json *json, uint32_t webhook)
{
	bh_usec within;
	uint32_t coalesce = bh_member(json, webhook, "coalesce");
	if (!read_seconds(json, coalesce, &within))
		return NULL;
	g_autofree char *fields = listed(json, bh_member(json, coalesce, "fields"));
	g_autofree char *span = exact_span(within);
	return g_strdup_printf("of events of one type with the same %s, only the newest within %s is sent", fields,
			       span);
}

static char *rate_words(const bh_view *view, const bh_json *json, uint32_t webhook)
{
	static const struct {
		bh_usec span;
		const char *words;
	} usual[] = {{BH_SECOND, "a second"}, {BH_MINUTE, "a minute"}, {BH_HOUR, "an hour"}, {BH_DAY, "a day"}};
	bh_usec per;
	uint32_t rate = bh_member(json, webhook, "rate_limit");
	if (!read_seconds(json, rate, &per))
		return NULL;
	g_autofree char *requests = bh_member_shown(json, rate, "requests");
	const char *noun = g_strcmp0(requests, "1") == 0 ? "request" : "requests";
	for (size_t i = 0; i < G_N_ELEMENTS(usual); i++)
		if (usual[i].span == per)
			return g_strdup_printf("at most %s %s %s", requests ? requests : "?", noun, usual[i].words);
	g_autofree char *span = exact_span(per);
	return g_strdup_printf("at most %s %s in %s", requests ? requests : "?", noun, span);
}

/* "shown to the receiver; good until 2027-03-01 ..."; NULL: it has none. */
static char *pem_words(const bh_view *view, const bh_json *json, uint32_t webhook, const char *part,
		       const char *expires_at, const char *words)
{
	bh_usec expires;
	uint32_t tls = bh_member(json, webhook, "tls");
	if (bh_member(json, tls, part) == BH_JSON_NONE)
		return NULL;
	if (!bh_member_time(json, tls, expires_at, &expires))
		return g_strdup(words);
	g_autofree char *moment = bh_text_moment(expires, view->now);
	return g_strdup_printf("%s; %s %s", words, expires > view->now ? "good until" : "EXPIRED", moment);
}

static char *ca_words(const bh_view *view, const bh_json *json, uint32_t webhook)
{
	return pem_words(view, json, webhook, "ca", "ca_expires_at", "certificate authorities of its own only");
}

static char *certificate_words(const bh_view *view, const bh_json *json, uint32_t webhook)
{
	return pem_words(view, json, webhook, "certificate", "certificate_expires_at", "shown to the receiver");
}

static char *disabling_words(const bh_view *view, const bh_json *json, uint32_t webhook)
{
	bh_usec at;
	if (!bh_member_time(json, webhook, "disables_at", &at))
		return NULL;
	g_autofree char *moment = bh_text_moment(at, view->now);
	return g_strdup_printf("%s, if nothing can be delivered until then", moment);
}

static char *warning_words(const bh_view *view, const bh_json *json, uint32_t webhook)
{
	GString *text = g_string_new(NULL);
	uint32_t warnings = bh_member(json, webhook, "warnings");
	for (uint32_t w = bh_first_item(json, warnings); w != BH_JSON_NONE; w = bh_json_next(json, warnings, w)) {
		g_autofree char *sentence = bh_member_shown(json, w, "sentence");
		if (sentence)
			g_string_append_printf(text, "%s%s", text->len ? "\n" : "", sentence);
	}
	if (text->len)
		return g_string_free(text, FALSE);
	g_string_free(text, TRUE);
	return NULL;
}

static char *script_words(const bh_view *view, const bh_json *json, uint32_t webhook)
{
	g_autofree char *script = bh_member_text(json, webhook, "script");
	return script ? bh_text_visible(bh_span_of(script), true) : NULL;
}

/* --- Rows ---------------------------------------------------------------------------------- */

#define SITES_OWN "the site's own"

const bh_view_row BH_WEBHOOKS_VIEW[] = {
	{"ID", "id"},
	{"NAME", "name", .shrinks = true},
	{"MANAGER", "manager_id", .absent = "(site)", .shrinks = true},
	{"METHOD", "method", .shrinks = true},
	{"EVENTS", "events", BH_VIEW_LIST, .shrinks = true},
	{"ENABLED", "enabled", BH_VIEW_ENABLED},
	{"FAILING SINCE", "failing_since", BH_VIEW_TIME, .optional = true, .paint = BH_WARN},
	{"URL", "url", .shrinks = true},
	{NULL},
};

const bh_view_row BH_WEBHOOK_VIEW[] = {
	{"name", "name"},
	{"manager", "manager_id", .absent = SITES_OWN ": it gets the events of every manager"},
	{"method", "method"},
	{"settings", "settings", BH_VIEW_PAIRS},
	{"own script", NULL, BH_VIEW_WORDS, .words = script_words},
	{"shape", "shape"},
	{"events", "events", BH_VIEW_LIST},
	{"properties", "properties", BH_VIEW_LIST, "all of the manager's"},
	{"channel", "channel_id"},
	{"full payload", "full_payload", BH_VIEW_YES_NO},
	{"time-out", "timeout_seconds", BH_VIEW_SECONDS},
	{"headers", "headers", BH_VIEW_PAIRS},
	{"order", NULL, BH_VIEW_WORDS, .words = order_words},
	{"coalescing", NULL, BH_VIEW_WORDS, .words = coalesce_words},
	{"rate", NULL, BH_VIEW_WORDS, .words = rate_words},
	{"trusts", NULL, BH_VIEW_WORDS, .words = ca_words},
	{"client certificate", NULL, BH_VIEW_WORDS, .words = certificate_words},
	{"enabled", "enabled", BH_VIEW_ENABLED},
	{"disabled by", "disabled_cause"},
	{"because", "disabled_reason"},
	{"since", "disabled_at", BH_VIEW_TIME},
	{"failing since", "failing_since", BH_VIEW_TIME, .paint = BH_WARN},
	{"will be disabled at", NULL, BH_VIEW_WORDS, .paint = BH_WARN, .words = disabling_words},
	{"warning", NULL, BH_VIEW_WORDS, .paint = BH_WARN, .words = warning_words},
	{"old secret until", "old_secret_until", BH_VIEW_TIME},
	{"made", "created_at", BH_VIEW_TIME},
	{"changed", "updated_at", BH_VIEW_TIME},
	{"revision", "revision"},
	{NULL},
};

const bh_view_row BH_NEW_WEBHOOK_VIEW[] = {
	{"URL", "url"},
	{"secret", "secret"},
	{"manager", "manager_id", .absent = SITES_OWN},
	{"method", "method"},
	{"events", "events", BH_VIEW_LIST},
	{"properties", "properties", BH_VIEW_LIST},
	{"warning", NULL, BH_VIEW_WORDS, .paint = BH_WARN, .words = warning_words},
	{NULL},
};
