/* The script of a webhook's own: taken when it is one, shown as it was given. */
#include "api/body.h"
#include "api/reply.h"
#include "api/webhook.h"
#include "method/method.h"

#include <string.h>

static bool refuse(bh_call *call, const char *why)
{
	bh_reply_problem(call, BH_PROBLEM_FIELD, "/script", "%s", why);
	return false;
}

/* Lines and tabs belong to it, so the rule of bh_body_text against control characters does not fit. */
bool bh_read_script(bh_call *call, uint32_t node, char **ret)
{
	const bh_json *json = bh_call_json(call);
	g_autofree char *script = bh_json_type_of(json, node) == BH_JSON_STRING ? bh_json_string(json, node) : NULL;
	g_autoptr(GError) error = NULL;

	if (bh_body_is_null(call, node)) {
		g_clear_pointer(ret, g_free);
		return true;
	}
	if (!script)
		return refuse(call, "It must be a text without \\u0000, or null.");
	if (!*script)
		return refuse(call, "It must not be empty: null removes it.");
	if (strlen(script) > BH_SCRIPT_MAX)
		return refuse(call, "It has more than 16 KiB.");
	if (!bh_script_check(bh_span_of(script), &error))
		return refuse(call, error->message);
	g_free(*ret);
	*ret = g_steal_pointer(&script);
	return true;
}
