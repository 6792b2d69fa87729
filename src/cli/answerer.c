#include "cli/answerer.h"

#include "base/error.h"
#include "cli/args.h"
#include "cli/input.h"

#include <string.h>

void bh_answerer_free(bh_answerer *answerer)
{
	if (answerer)
		answerer->free(answerer);
}

void bh_answer_forget(bh_answer *answer)
{
	g_clear_pointer(&answer->location, g_free);
	g_clear_pointer(&answer->control, g_free);
	g_clear_pointer(&answer->body, g_byte_array_unref);
	if (answer->head)
		g_string_free(g_steal_pointer(&answer->head), TRUE);
}

/* --- Reading an answer --------------------------------------------------------------------- */

static const bh_answer NOTHING = {.dns = -1, .connect = -1, .tls = -1, .first_byte = -1, .total = -1};

static bool read_cause(const char *given, bh_cause *ret)
{
	for (bh_cause cause = BH_CAUSE_TIMEOUT; cause <= BH_CAUSE_PROTOCOL; cause++) {
		if (strcmp(bh_cause_name(cause), given) == 0) {
			*ret = cause;
			return true;
		}
	}
	return false;
}

/* Where the body begins: at the first colon, unless that one is of "https://". */
static const char *colon_of(const char *given)
{
	const char *colon = strchr(given, ':');
	while (colon && strncmp(colon, "://", 3) == 0)
		colon = strchr(colon + 1, ':');
	return colon;
}

static void notice(bh_answer *answer, const char *name, const char *value, bh_usec now)
{
	if (g_ascii_strcasecmp(name, "Retry-After") == 0)
		answer->has_retry_after = bh_retry_after_parse(value, now, &answer->retry_after);
	else if (g_ascii_strcasecmp(name, "Location") == 0 && answer->status / 100 == 3)
		answer->location = g_strdup(value);
	else if (g_ascii_strcasecmp(name, "webhook-delivery") == 0)
		answer->control = g_strdup(value);
	g_string_append_printf(answer->head, "%s: %s\n", name, value);
}

static bool read_header(bh_answer *answer, const char *given, bh_usec now, GError **error)
{
	const char *equals = strchr(given, '=');
	if (!equals || equals == given) {
		bh_usage_error(error, "--answer: the header \"%s\" is not of the form Name=value", given);
		return false;
	}
	g_autofree char *name = g_strndup(given, (gsize)(equals - given));
	notice(answer, name, equals + 1, now);
	return true;
}

/* "429 Retry-After=30" */
static bool read_head(bh_answer *answer, const char *given, bh_usec now, GError **error)
{
	gint64 status;
	g_auto(GStrv) words = g_strsplit(given, " ", -1);
	if (read_cause(given, &answer->cause))
		return true;
	if (!g_ascii_string_to_signed(words[0] ? words[0] : "", 10, 200, 999, &status, NULL)) {
		bh_usage_error(
			error,
			"--answer \"%s\": an answer begins with its status, 200 to 999, or is one of timeout, dns, "
			"connect, tls, protocol",
			given);
		return false;
	}
	answer->status = (int)status;
	for (char **word = words + 1; *word; word++)
		if (**word && !read_header(answer, *word, now, error))
			return false;
	return true;
}

static bool read_body(bh_answer *answer, const char *given, bh_usec now, GError **error)
{
	g_autofree char *text = *given == '@' ? bh_input_text(given, "--answer", error) : g_strdup(given);
	if (!text)
		return false;
	size_t size = strlen(text);
	g_byte_array_append(answer->body, (const guint8 *)text, (guint)MIN(size, BH_ANSWER_KEPT_MAX));
	answer->body_cut = size > BH_ANSWER_KEPT_MAX;
	bool is_json = *text == '{' || *text == '[';
	g_autofree char *names = g_ascii_strdown(answer->head->str, -1);
	if (is_json && !strstr(names, "content-type:"))
		notice(answer, "Content-Type", "application/json", now);
	return true;
}

static bool read_answer(bh_answer *answer, const char *given, bh_usec now, GError **error)
{
	const char *colon = colon_of(given);
	g_autofree char *head = colon ? g_strndup(given, (gsize)(colon - given)) : g_strdup(given);
	*answer = NOTHING;
	answer->head = g_string_new(NULL);
	answer->body = g_byte_array_new();
	return read_head(answer, g_strstrip(head), now, error) && (!colon || read_body(answer, colon + 1, now, error));
}

/* --- Giving them --------------------------------------------------------------------------- */

typedef struct pretender {
	bh_answerer base;
	bh_guard *guard;
	GArray *answers; /* of bh_answer */
	guint next;
} pretender;

static void free_pretender(bh_answerer *base)
{
	pretender *p = (pretender *)base;
	for (guint i = 0; i < p->answers->len; i++)
		bh_answer_forget(&g_array_index(p->answers, bh_answer, i));
	g_array_unref(p->answers);
	bh_guard_unref(p->guard);
	g_free(p);
}

/* What the transport would say before it asks anybody. */
static bool is_refused(const pretender *p, const bh_request *request, bh_answer *ret)
{
	bh_target target = {0};
	g_autoptr(GError) why = NULL;
	bool passes = request->trusted || bh_guard_check_url(p->guard, request->url, &target, &why);
	bh_target_clear(&target);
	if (passes)
		return false;
	*ret = NOTHING;
	ret->cause = BH_CAUSE_GUARD;
	g_strlcpy(ret->sentence, why->message, sizeof ret->sentence);
	return true;
}

static bool give(bh_answerer *base, const bh_request *request, bh_answer *ret, GError **error)
{
	pretender *p = (pretender *)base;
	if (is_refused(p, request, ret))
		return true;
	if (p->next == p->answers->len) {
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT,
			    "the script makes call %u, and only %u %s: give another --answer", p->next + 1, p->next,
			    p->next == 1 ? "answer was pretended" : "answers were pretended");
		return false;
	}
	bh_answer *answer = &g_array_index(p->answers, bh_answer, p->next++);
	*ret = *answer;
	*answer = NOTHING; /* its buffers are handed on */
	return true;
}

bh_answerer *bh_answerer_pretended(const char *const *given, bh_guard *guard, bh_usec now, GError **error)
{
	pretender *p = g_new0(pretender, 1);
	p->base = (bh_answerer){.answer = give, .free = free_pretender, .pretends = true};
	p->guard = bh_guard_ref(guard);
	p->answers = g_array_new(FALSE, TRUE, sizeof(bh_answer));
	for (; *given; given++) {
		g_array_set_size(p->answers, p->answers->len + 1);
		if (!read_answer(&g_array_index(p->answers, bh_answer, p->answers->len - 1), *given, now, error)) {
			free_pretender(&p->base);
			return NULL;
		}
	}
	return &p->base;
}

guint bh_answerer_left(const bh_answerer *answerer)
{
	const pretender *p = (const pretender *)answerer;
	return answerer->pretends ? p->answers->len - p->next : 0;
}
