#include "api/body.h"

#include "api/reply.h"
#include "api/routes.h"

#include <string.h>

const bh_text_rule BH_RULE_NAME = {.max = BH_NAME_MAX, .may_be_empty = true};
const bh_text_rule BH_RULE_SITE_ID = {.max = BH_SITE_ID_MAX, .may_be_integer = true};
const bh_text_rule BH_RULE_SITE_ID_OR_NULL = {.max = BH_SITE_ID_MAX, .may_be_integer = true, .may_be_null = true};

char *bh_pointer_to(const char *parent, const char *step)
{
	GString *pointer = g_string_new(parent);

	g_string_append_c(pointer, '/');
	for (; *step; step++) {
		if (*step == '~')
			g_string_append(pointer, "~0");
		else if (*step == '/')
			g_string_append(pointer, "~1");
		else
			g_string_append_c(pointer, *step);
	}
	return g_string_free(pointer, FALSE);
}

/* --- The whole --------------------------------------------------------------------------- */

static bool is_known(const bh_json *json, uint32_t name, const char *const *known)
{
	for (; *known; known++)
		if (bh_json_string_is(json, name, *known))
			return true;
	return false;
}

static bool only_known(bh_call *call, uint32_t node, const char *parent, const char *const *known)
{
	const bh_json *json = bh_call_json(call);

	for (uint32_t n = bh_json_first(json, node); n != BH_JSON_NONE; n = bh_json_next(json, node, n)) {
		if (is_known(json, n, known))
			continue;
		g_autofree char *name = bh_json_string(json, n);
		g_autofree char *pointer = bh_pointer_to(parent, name ? name : "?");
		bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "There is no member \"%s\" here.", name ? name : "?");
		return false;
	}
	return true;
}

bool bh_body_object(bh_call *call, uint32_t node, const char *pointer, const char *const *known)
{
	if (bh_json_type_of(bh_call_json(call), node) == BH_JSON_OBJECT)
		return only_known(call, node, pointer, known);
	bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It must be an object.");
	return false;
}

bool bh_body_parse(bh_call *call, const char *const *known)
{
	bh_json *json = bh_call_json(call);
	bh_span text = call->body_bytes ? (bh_span){call->body, call->body_bytes} : bh_span_of("{}");
	g_autoptr(GError) error = NULL;

	/* Only a route that may do without a body takes an empty one for {}. */
	if (!call->body_bytes && call->route->body != BH_BODY_JSON_OR_NOTHING)
		text = (bh_span){"", 0};
	if (!bh_json_parse(json, text, &error)) {
		unsigned line, column;
		bh_json_trouble(json, &line, &column);
		bh_reply_bad_json(call, error->message, line, column);
		return false;
	}
	if (bh_json_type_of(json, 0) != BH_JSON_OBJECT) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, "", "The body must be a JSON object.");
		return false;
	}
	return only_known(call, 0, "", known);
}

uint32_t bh_body_member(bh_call *call, const char *name)
{
	return bh_json_member(bh_call_json(call), 0, name);
}

bool bh_body_is_null(bh_call *call, uint32_t node)
{
	return node != BH_JSON_NONE && bh_json_type_of(bh_call_json(call), node) == BH_JSON_NULL;
}

/* --- Texts ------------------------------------------------------------------------------- */

static bool has_control_characters(const char *text)
{
	for (; *text; text = g_utf8_next_char(text))
		if (g_unichar_iscntrl(g_utf8_get_char(text)))
			return true;
	return false;
}

bool bh_text_is_plain(const char *text, size_t max)
{
	return *text && strlen(text) <= max && !has_control_characters(text);
}

static bool is_integer(bh_span number)
{
	for (size_t i = 0; i < number.size; i++)
		if (!g_ascii_isdigit(number.at[i]) && !(i == 0 && number.at[i] == '-'))
			return false;
	return true;
}

/* The text of the node as the rule lets it be; NULL: it is of another type. */
static char *text_of(const bh_json *json, uint32_t node, const bh_text_rule *rule)
{
	bh_span bytes = bh_json_text(json, node);

	switch (bh_json_type_of(json, node)) {
	case BH_JSON_STRING:
		return bh_json_string(json, node);
	case BH_JSON_NUMBER:
		return rule->may_be_integer && is_integer(bytes) ? g_strndup(bytes.at, bytes.size) : NULL;
	default:
		return NULL;
	}
}

static bool check_text(bh_call *call, const char *text, const char *pointer, const bh_text_rule *rule)
{
	if (!*text && !rule->may_be_empty)
		bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It must not be empty.");
	else if (strlen(text) > rule->max)
		bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It has more than %zu bytes.", rule->max);
	else if (has_control_characters(text))
		bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It has control characters.");
	else
		return true;
	return false;
}

bool bh_body_text(bh_call *call, uint32_t node, const char *pointer, const bh_text_rule *rule, char **ret)
{
	const bh_json *json = bh_call_json(call);

	if (node == BH_JSON_NONE)
		return true;
	if (rule->may_be_null && bh_json_type_of(json, node) == BH_JSON_NULL) {
		g_clear_pointer(ret, g_free);
		return true;
	}

	g_autofree char *text = text_of(json, node, rule);
	if (!text) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It must be a text%s%s without \\u0000.",
				 rule->may_be_integer ? " or an integer" : "", rule->may_be_null ? " or null" : "");
		return false;
	}
	if (!check_text(call, text, pointer, rule))
		return false;
	g_free(*ret);
	*ret = g_steal_pointer(&text);
	return true;
}

bool bh_body_own_id(bh_call *call, char **ret)
{
	g_autofree char *named = g_strdup(call->id);

	if (!bh_text_is_plain(call->id, BH_SITE_ID_MAX)) {
		bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL,
				 "An id has 1 to %d bytes of UTF-8 without control characters.", BH_SITE_ID_MAX);
		return false;
	}
	if (!bh_body_text(call, bh_body_member(call, "id"), "/id", &BH_RULE_SITE_ID, &named))
		return false;
	if (strcmp(named, call->id) != 0) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/id", "It is not the id of the path.");
		return false;
	}
	*ret = g_steal_pointer(&named);
	return true;
}

static bool already_there(const GPtrArray *texts, const char *text)
{
	for (guint i = 0; i < texts->len; i++)
		if (strcmp(g_ptr_array_index(texts, i), text) == 0)
			return true;
	return false;
}

bool bh_body_texts(bh_call *call, uint32_t node, const char *pointer, const bh_text_rule *rule, size_t most,
		   char ***ret)
{
	const bh_json *json = bh_call_json(call);
	unsigned place = 0;

	if (node == BH_JSON_NONE)
		return true;
	if (bh_json_type_of(json, node) != BH_JSON_ARRAY) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It must be an array.");
		return false;
	}

	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	for (uint32_t n = bh_json_first(json, node); n != BH_JSON_NONE; n = bh_json_next(json, node, n), place++) {
		g_autofree char *here = g_strdup_printf("%s/%u", pointer, place);
		char *text = NULL;

		if (place == most) {
			bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It has more than %zu members.", most);
			return false;
		}
		if (!bh_body_text(call, n, here, rule, &text))
			return false;
		g_assert(text); /* what is there is a text, or was refused */
		if (already_there(texts, text))
			g_free(text);
		else
			g_ptr_array_add(texts, text);
	}
	g_ptr_array_add(texts, NULL);
	g_strfreev(*ret);
	*ret = (char **)g_ptr_array_free(g_steal_pointer(&texts), FALSE);
	return true;
}

bool bh_body_bool(bh_call *call, uint32_t node, const char *pointer, bool *ret)
{
	if (node == BH_JSON_NONE)
		return true;
	bh_json_type type = bh_json_type_of(bh_call_json(call), node);
	if (type != BH_JSON_TRUE && type != BH_JSON_FALSE) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It must be true or false.");
		return false;
	}
	*ret = type == BH_JSON_TRUE;
	return true;
}

bool bh_body_number(bh_call *call, uint32_t node, const char *pointer, const bh_number_rule *rule, double *ret)
{
	const bh_json *json = bh_call_json(call);

	if (node == BH_JSON_NONE)
		return true;
	bh_span text = bh_json_text(json, node);
	g_autofree char *number = g_strndup(text.at, text.size);
	bool is_number = bh_json_type_of(json, node) == BH_JSON_NUMBER;
	double value = is_number ? g_ascii_strtod(number, NULL) : 0;
	bool fits = is_number && value >= rule->least && value <= rule->most;
	if (!fits || (rule->is_whole && value != (double)(int64_t)value)) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "It is a %snumber from %.15g to %.15g.",
				 rule->is_whole ? "whole " : "", rule->least, rule->most);
		return false;
	}
	*ret = value;
	return true;
}
