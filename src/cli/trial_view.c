#include "cli/trial_view.h"

#include "cli/text.h"

#include <string.h>

const char *bh_trial_verdict(const bh_trial *trial)
{
	if (trial->unanswered)
		return "unanswered";
	return trial->filtered ? "filtered" : bh_outcome_name(trial->conclusion.outcome);
}

/* --- Calls --------------------------------------------------------------------------------- */

static const char *kind_words(bh_call_kind kind)
{
	static const char *const words[] = {[BH_CALL_DELIVERY] = "to the remote service, signed",
					    [BH_CALL_TOKEN] = "to the token service, for an access token",
					    [BH_CALL_LOOKUP] = "to the site's own API, for the event's details"};
	return words[kind];
}

static const char *phrase_of(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} known[] = {{200, "OK"},
		     {201, "Created"},
		     {202, "Accepted"},
		     {204, "No Content"},
		     {301, "Moved Permanently"},
		     {302, "Found"},
		     {307, "Temporary Redirect"},
		     {308, "Permanent Redirect"},
		     {400, "Bad Request"},
		     {401, "Unauthorized"},
		     {403, "Forbidden"},
		     {404, "Not Found"},
		     {405, "Method Not Allowed"},
		     {409, "Conflict"},
		     {410, "Gone"},
		     {413, "Content Too Large"},
		     {415, "Unsupported Media Type"},
		     {422, "Unprocessable Content"},
		     {429, "Too Many Requests"},
		     {500, "Internal Server Error"},
		     {502, "Bad Gateway"},
		     {503, "Service Unavailable"},
		     {504, "Gateway Timeout"}};
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
		if (known[i].status == status)
			return known[i].phrase;
	return "";
}

static void append_line(GString *out, int indent, const char *text)
{
	g_autofree char *shown = bh_text_visible(bh_span_of(text), false);
	g_string_append_printf(out, "%*s%s\n", indent, "", shown);
}

static void append_title(const bh_view *view, GString *out, const char *title, const char *rest)
{
	bh_paint_append(out, view->screen, BH_BOLD, title);
	g_string_append_printf(out, "  %s\n", rest);
}

/* A paragraph, wrapped to the screen and indented. */
static void append_sentence(const bh_view *view, GString *out, const char *text)
{
	g_autofree char *shown = bh_text_visible(bh_span_of(text), false);
	int width = view->screen.whole ? G_MAXINT : view->screen.width - 2;
	g_autoptr(GPtrArray) lines = bh_text_wrap(shown, width);
	for (guint i = 0; i < lines->len; i++)
		g_string_append_printf(out, "  %s\n", (const char *)lines->pdata[i]);
}

/* "200 OK", "no answer: timeout"; pretended, or in how long. */
static char *answer_words(const bh_answer *answer, bool pretended)
{
	GString *words = g_string_new(NULL);
	if (answer->cause != BH_CAUSE_NONE)
		g_string_append_printf(words, "no answer: %s", bh_cause_name(answer->cause));
	else
		g_string_append_printf(words, "%03d %s", answer->status, phrase_of(answer->status));
	if (g_str_has_suffix(words->str, " "))
		g_string_truncate(words, words->len - 1);
	if (pretended && answer->cause != BH_CAUSE_GUARD)
		g_string_append(words, " (pretended)");
	if (answer->total >= 0) {
		g_autofree char *took = bh_text_span(answer->total);
		g_string_append_printf(words, ", %s%s%s", took, *answer->address ? ", " : "", answer->address);
	}
	return g_string_free(words, FALSE);
}

static bool is_well(const bh_answer *answer)
{
	return answer->cause == BH_CAUSE_NONE && answer->status >= 200 && answer->status <= 299;
}

/* `said` is told at the end anyway. */
static void append_answer(const bh_view *view, const bh_answer *answer, bool pretended, const char *said, GString *out)
{
	g_autofree char *words = answer_words(answer, pretended);
	g_string_append(out, "  ");
	bh_paint_append(out, view->screen, is_well(answer) ? BH_GOOD : BH_BAD, words);
	g_string_append_c(out, '\n');
	if (answer->sentence[0] && strcmp(answer->sentence, said) != 0)
		append_line(out, 4, answer->sentence);
	if (answer->head && answer->head->len)
		bh_view_payload(view, (bh_span){answer->head->str, answer->head->len}, 4, out);
	if (answer->body && answer->body->len) {
		g_string_append_c(out, '\n');
		bh_view_payload(view, (bh_span){(const char *)answer->body->data, answer->body->len}, 4, out);
	}
	if (answer->body_cut)
		append_line(out, 4, "(more of it is not kept)");
}

static void append_call(const bh_view *view, const bh_trial_plan *plan, const bh_trial *trial, guint number,
			GString *out)
{
	const bh_trial_call *call = trial->calls->pdata[number];
	g_autofree char *title = g_strdup_printf("call %u", number + 1);
	g_autofree char *line = g_strdup_printf("%s %s", call->verb, call->url);
	append_title(view, out, title, kind_words(call->kind));
	append_line(out, 2, line);
	for (char **h = call->headers; *h; h++)
		append_line(out, 4, *h);
	if (call->body->len) {
		if (call->is_event_body)
			bh_paint_append(out, view->screen, BH_FAINT,
					trial->changed ? "  the body, as transform made it\n" : "  the event's body\n");
		else
			g_string_append_c(out, '\n');
		bh_view_payload(view, (bh_span){call->body->str, call->body->len}, 4, out);
	}
	append_answer(view, &call->answer, plan->answerer->pretends, trial->conclusion.sentence, out);
	g_string_append_c(out, '\n');
}

/* --- The end ------------------------------------------------------------------------------- */

/* What it means. */
static char *meaning(const bh_trial *trial)
{
	if (trial->unanswered)
		return g_strconcat(trial->unanswered, ".", NULL);
	if (trial->filtered)
		return g_strdup(trial->why ? trial->why : "A condition does not want this event.");
	if (trial->conclusion.outcome != BH_OUTCOME_DELIVERED)
		return g_strdup(trial->conclusion.sentence);
	if (!trial->by_method)
		return g_strdup("The remote service has the event.");
	return trial->why ? g_strdup_printf("The method takes this for delivered: %s", trial->why)
			  : g_strdup("The method takes this for delivered.");
}

/* Why just then, if it is not the schedule that says so. */
static const char *because(const bh_trial *trial)
{
	const bh_trial_call *last = trial->calls->len ? trial->calls->pdata[trial->calls->len - 1] : NULL;
	if (trial->next.due_at > trial->conclusion.not_before)
		return "by schedule";
	if (trial->method_names_time)
		return "as the method asks";
	if (last && last->answer.has_retry_after)
		return "as the answer asks (Retry-After)";
	return "to leave the service alone for a while";
}

/* Spans of the schedule are round: "5 s", not "5.0 s". */
static char *round_span(bh_usec span)
{
	bool whole_seconds = span < BH_MINUTE && span % BH_SECOND == 0;
	return whole_seconds ? g_strdup_printf("%" G_GINT64_FORMAT " s", span / BH_SECOND) : bh_text_span(span);
}

static char *try_again(const bh_trial_plan *plan, const bh_trial *trial)
{
	g_autofree char *span = round_span(trial->next.due_at);
	GString *text = g_string_new(NULL);
	g_string_append_printf(text, "Next: tried again in about %s, %s", span, because(trial));
	g_string_append_printf(text, ": attempt %d", plan->attempt + 1);
	if (trial->conclusion.spends)
		g_string_append_printf(text, " of %zu.", plan->policy.delay_count + 1);
	else
		g_string_append(text, "; this one does not count.");
	return g_string_free(text, FALSE);
}

/* What Bellhop would do next. NULL: nothing is to be said. */
static char *what_follows(const bh_trial_plan *plan, const bh_trial *trial)
{
	if (trial->unanswered)
		return NULL;
	if (trial->filtered)
		return g_strdup("Next: nothing. Nothing was sent, and the delivery ends as filtered.");
	switch (trial->next.state) {
	case BH_STATE_DELIVERED:
		return g_strdup("Next: nothing, the delivery is done.");
	case BH_STATE_PENDING:
		return try_again(plan, trial);
	case BH_STATE_GONE:
		return g_strdup("Next: nothing, this is final. The webhook is switched off.");
	default:
		break;
	}
	bool was_said = trial->conclusion.outcome == BH_OUTCOME_REFUSED;
	return g_strdup_printf("Next: nothing, this is final. %s",
			       was_said ? "`bellhop delivery retry` or `recover` would try it again."
					: trial->next.reason);
}

static bh_paint paint_of(const bh_trial *trial)
{
	if (trial->unanswered || trial->filtered)
		return BH_WARN;
	return trial->conclusion.outcome == BH_OUTCOME_DELIVERED ? BH_GOOD : BH_BAD;
}

static void append_verdict(const bh_view *view, const bh_trial_plan *plan, const bh_trial *trial, GString *out)
{
	const char *cause = trial->unanswered || trial->filtered ? "" : bh_cause_name(trial->conclusion.cause);
	g_autofree char *verdict = g_strdup_printf("%s%s%s", bh_trial_verdict(trial), *cause ? ", cause " : "", cause);
	g_autofree char *means = meaning(trial);
	g_autofree char *next = what_follows(plan, trial);
	bh_paint_append(out, view->screen, paint_of(trial), verdict);
	g_string_append_c(out, '\n');
	append_sentence(view, out, means);
	if (next)
		append_sentence(view, out, next);
	if (!trial->unanswered && trial->conclusion.disables && trial->conclusion.outcome != BH_OUTCOME_GONE)
		append_sentence(view, out, "The webhook is switched off.");
	if (!trial->unanswered && trial->conclusion.pause > 0) {
		g_autofree char *span = round_span(trial->conclusion.pause);
		g_autofree char *line = g_strdup_printf("All else that goes to this webhook waits %s as well.", span);
		append_sentence(view, out, line);
	}
}

/* The changed body, if no call shows it. */
static void append_body(const bh_view *view, const bh_trial *trial, GString *out)
{
	gsize size;
	for (guint i = 0; i < trial->calls->len; i++)
		if (((const bh_trial_call *)trial->calls->pdata[i])->is_event_body)
			return;
	if (!trial->body || !trial->changed)
		return;
	const char *body = g_bytes_get_data(trial->body, &size);
	append_title(view, out, "body", "as transform made it");
	bh_view_payload(view, (bh_span){body, size}, 2, out);
	g_string_append_c(out, '\n');
}

void bh_trial_view(const bh_view *view, const bh_trial_plan *plan, const bh_trial *trial, GString *out)
{
	g_autofree char *heading =
		g_strdup_printf("%s by method %s, attempt %d\n\n", plan->event->type, plan->method, plan->attempt);
	bh_paint_append(out, view->screen, BH_BOLD, heading);
	for (guint i = 0; i < trial->calls->len; i++)
		append_call(view, plan, trial, i, out);
	if (trial->calls->len == 0 && !trial->filtered && !trial->unanswered)
		g_string_append(out, "No call was made.\n\n");
	append_body(view, trial, out);
	append_verdict(view, plan, trial, out);
}
