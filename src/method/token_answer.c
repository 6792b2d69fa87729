#include "method/token_answer.h"

#include "base/error.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

#define QUOTED_MAX 200 /* bytes of what a sentence repeats */
#define LIFE_MAX (10 * 365 * BH_DAY) /* so that seconds fit into a span */

/* --- Texts from outside ----------------------------------------------------------------------- */

/* Cut at a character's end, control characters made blanks. */
static void clean(char *text)
{
	if (strlen(text) > QUOTED_MAX)
		*g_utf8_find_prev_char(text, text + QUOTED_MAX + 1) = '\0';
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
	g_strstrip(text);
}

/* The member as a cleaned text; NULL: it is not there, or says nothing. */
static char *member_text(const bh_json *json, const char *name)
{
	uint32_t member = bh_json_member(json, 0, name);
	char *text = member == BH_JSON_NONE ? NULL : bh_json_string(json, member);

	if (text)
		clean(text);
	if (text && !*text)
		g_clear_pointer(&text, g_free);
	return text;
}

static bh_span body_of(const bh_answer *answer)
{
	return answer->body ? (bh_span){(const char *)answer->body->data, answer->body->len} : (bh_span){0};
}

/* The answer's body, if it is a whole JSON object. */
static bool parse(bh_json *json, const bh_answer *answer, GError **error)
{
	if (answer->body_cut && body_of(answer).size < BH_ANSWER_KEPT_MAX) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "it broke off before its end");
		return false;
	}
	if (answer->body_cut) {
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT, "it is longer than %d bytes", BH_ANSWER_KEPT_MAX);
		return false;
	}
	if (!bh_json_parse(json, body_of(answer), error))
		return false;
	if (bh_json_type_of(json, 0) == BH_JSON_OBJECT)
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "it is no object");
	return false;
}

/* --- A refusal -------------------------------------------------------------------------------- */

static void refuse(bh_token_answer *ret, bh_cause cause, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void refuse(bh_token_answer *ret, bh_cause cause, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	ret->cause = cause;
	ret->sentence = g_strdup_vprintf(format, arguments);
	va_end(arguments);
}

/* Errors by which a service says that it has trouble of its own, though it answers 400. */
static bool is_own_trouble(const char *error)
{
	return !strcmp(error, "temporarily_unavailable") || !strcmp(error, "server_error") ||
	       !strcmp(error, "slow_down");
}

static bool refuses_client(int status, const char *error)
{
	return status == 401 || status == 403 || (status == 400 && error && !is_own_trouble(error));
}

static void read_refusal(const bh_answer *answer, bh_token_answer *ret)
{
	g_autoptr(bh_json) json = bh_json_new();
	bool is_object = parse(json, answer, NULL);
	g_autofree char *error = is_object ? member_text(json, "error") : NULL;
	g_autofree char *description = is_object ? member_text(json, "error_description") : NULL;
	bh_cause cause = refuses_client(answer->status, error) ? BH_CAUSE_CREDENTIALS : BH_CAUSE_TOKEN;

	if (error && description)
		refuse(ret, cause, "The token service answered %d, %s: \"%s\".", answer->status, error, description);
	else if (error)
		refuse(ret, cause, "The token service answered %d, %s.", answer->status, error);
	else if (answer->status >= 300 && answer->status < 400)
		refuse(ret, cause,
		       "The token service answered %d, which leads elsewhere: give the address that it leads to.",
		       answer->status);
	else
		refuse(ret, cause, "The token service answered %d.", answer->status);
}

/* --- A token ---------------------------------------------------------------------------------- */

/* Fit for a header, and without a blank, at which readers of the header would end it (RFC 6750, 2.1). */
static bool is_fit(const char *token)
{
	size_t size = strlen(token);

	for (size_t i = 0; i < size; i++)
		if (token[i] <= ' ' || token[i] > '~')
			return false;
	return size > 0 && size <= BH_TOKEN_MAX;
}

/* Seconds as a number, or, as some services have it, as a text with a number in it. */
static bh_usec read_life(const bh_json *json)
{
	uint32_t member = bh_json_member(json, 0, "expires_in");
	char digits[32];

	if (member == BH_JSON_NONE)
		return 0;
	bh_span text = bh_json_text(json, member);
	if (bh_json_type_of(json, member) == BH_JSON_STRING)
		text = (bh_span){text.at + 1, text.size - 2};
	if (text.size >= sizeof digits)
		return 0;
	memcpy(digits, text.at, text.size);
	digits[text.size] = '\0';

	char *end;
	double seconds = g_ascii_strtod(digits, &end);
	if (*end || !isfinite(seconds) || seconds <= 0)
		return 0;
	return seconds >= (double)(LIFE_MAX / BH_SECOND) ? LIFE_MAX : (bh_usec)(seconds * BH_SECOND);
}

/* A service that names no type means the only one that there is in use. */
static bool is_bearer(const char *type)
{
	return !type || g_ascii_strcasecmp(type, "Bearer") == 0;
}

static void read_token(const bh_answer *answer, bh_token_answer *ret)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) error = NULL;

	if (!parse(json, answer, &error)) {
		refuse(ret, BH_CAUSE_TOKEN, "The token service answered %d, but not as JSON: %s.", answer->status,
		       error->message);
		return;
	}
	g_autofree char *type = member_text(json, "token_type");
	uint32_t member = bh_json_member(json, 0, "access_token");
	char *token = member == BH_JSON_NONE ? NULL : bh_json_string(json, member);

	if (member == BH_JSON_NONE)
		refuse(ret, BH_CAUSE_TOKEN, "The token service answered %d without an access_token.", answer->status);
	else if (!token || !is_fit(token))
		refuse(ret, BH_CAUSE_TOKEN, "The access_token of the token service cannot stand in a header.");
	else if (!is_bearer(type))
		refuse(ret, BH_CAUSE_TOKEN, "The token service gives tokens of the type \"%s\", not Bearer.", type);
	else
		ret->token = bh_secret_new(token, strlen(token));
	ret->life = read_life(json);
	bh_text_wipe(token);
}

/* --- The door --------------------------------------------------------------------------------- */

void bh_token_answer_read(const bh_answer *answer, bh_token_answer *ret)
{
	*ret = (bh_token_answer){.cause = BH_CAUSE_NONE};
	if (answer->cause == BH_CAUSE_GUARD)
		refuse(ret, BH_CAUSE_GUARD, "The token service may not be asked. %s", answer->sentence);
	else if (answer->status == 0) /* our own proxy is no fault of the service's, and stays what it is */
		refuse(ret, answer->cause == BH_CAUSE_PROXY ? BH_CAUSE_PROXY : BH_CAUSE_TOKEN,
		       "The token service gave no answer. %s", answer->sentence);
	else if (answer->status < 200 || answer->status >= 300)
		read_refusal(answer, ret);
	else
		read_token(answer, ret);
}

void bh_token_answer_clear(bh_token_answer *a)
{
	g_clear_pointer(&a->token, bh_secret_unref);
	g_clear_pointer(&a->sentence, g_free);
}

void bh_token_answer_each_credential(const bh_answer *answer, void (*each)(void *user, bh_span credential), void *user)
{
	static const char *const names[] = {"access_token", "refresh_token", "id_token"};
	g_autoptr(bh_json) json = bh_json_new();

	if (!parse(json, answer, NULL))
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		uint32_t member = bh_json_member(json, 0, names[i]);
		if (member == BH_JSON_NONE || bh_json_type_of(json, member) != BH_JSON_STRING)
			continue;
		bh_span written = bh_json_text(json, member);
		each(user, (bh_span){written.at + 1, written.size - 2});
		char *meant = bh_json_string(json, member);
		if (meant && strlen(meant) != written.size - 2)
			each(user, bh_span_of(meant));
		bh_text_wipe(meant);
	}
}
