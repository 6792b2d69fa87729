#include "cli/webhook_form.h"

#include "base/near.h"
#include "base/secret.h"
#include "base/time.h"
#include "cli/call.h"
#include "cli/input.h"
#include "cli/member.h"
#include "cli/object.h"

#include <string.h>

/* --- Methods and their fields -------------------------------------------------------------- */

bool bh_form_needs_method(const bh_args *args)
{
	static const char *const names[] = {"webhook-url", "set", "unset", "method"};
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (bh_args_has(args, names[i]))
			return true;
	return false;
}

/* The objects of `array` that have `key` = `name`; else a usage error that names what there is. */
static uint32_t find_named(const bh_json *json, uint32_t array, const char *key, const char *name, const char *what,
			   GError **error)
{
	g_autoptr(GPtrArray) known = g_ptr_array_new_with_free_func(g_free);
	for (uint32_t c = bh_first_item(json, array); c != BH_JSON_NONE; c = bh_json_next(json, array, c)) {
		if (bh_member_is(json, c, key, name))
			return c;
		g_ptr_array_add(known, bh_member_shown(json, c, key));
	}
	g_ptr_array_add(known, NULL);
	char **names = (char **)known->pdata;
	g_autofree char *all = g_strjoinv(", ", names);
	const char *near = bh_nearest(name, (const char *const *)names);
	if (near)
		bh_usage_error(error, "there is no %s \"%s\"; did you mean %s?\nThere are: %s.", what, name, near, all);
	else
		bh_usage_error(error, "there is no %s \"%s\"\nThere are: %s.", what, name, *all ? all : "none");
	return BH_JSON_NONE;
}

uint32_t bh_form_find_method(const bh_json *methods, const char *name, GError **error)
{
	return find_named(methods, bh_member(methods, 0, "data"), "name", name, "method", error);
}

/* --- Settings ------------------------------------------------------------------------------ */

/* Is a boolean said, and which? */
static bool read_switch(const char *text, const char **ret_json)
{
	static const char *const words[][2] = {{"true", "true"},   {"yes", "true"}, {"on", "true"},   {"1", "true"},
					       {"false", "false"}, {"no", "false"}, {"off", "false"}, {"0", "false"}};
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		if (g_ascii_strcasecmp(text, words[i][0]) == 0) {
			*ret_json = words[i][1];
			return true;
		}
	}
	return false;
}

bool bh_form_add_setting(GString *settings, const char *format, const char *key, const char *value, GError **error)
{
	const char *json;
	gint64 number;
	if (strcmp(format, "boolean") == 0) {
		if (!read_switch(value, &json)) {
			bh_usage_error(error, "--set %s=%s: it is a switch: yes or no", key, value);
			return false;
		}
		bh_object_raw(settings, key, bh_span_of(json));
	} else if (strcmp(format, "integer") == 0) {
		if (!g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &number, NULL)) {
			bh_usage_error(error, "--set %s=%s: it is a whole number", key, value);
			return false;
		}
		g_autofree char *digits = g_strdup_printf("%" G_GINT64_FORMAT, number);
		bh_object_raw(settings, key, bh_span_of(digits));
	} else {
		bh_object_text(settings, key, value);
	}
	return true;
}

static bool set_one(GString *settings, const bh_json *methods, uint32_t fields, const char *given, GError **error)
{
	const char *equals = strchr(given, '=');
	if (!equals || equals == given) {
		bh_usage_error(error, "--set \"%s\" is not of the form key=value", given);
		return false;
	}
	g_autofree char *key = g_strndup(given, (gsize)(equals - given));
	uint32_t field = find_named(methods, fields, "key", key, "field", error);
	if (field == BH_JSON_NONE)
		return false;

	g_autofree char *format = bh_member_text(methods, field, "format");
	bool is_password = g_strcmp0(format, "password") == 0;
	bool is_plain = equals[1] != '@' && strcmp(equals + 1, "-") != 0;
	if (is_password && is_plain)
		bh_remark("note: that value of %s is now in the history of your shell; %s=@FILE or %s=- keeps it out.",
			  key, key, key);
	char *value = bh_input_text(equals + 1, key, error);
	bool done = value && bh_form_add_setting(settings, format ? format : "", key, value, error);
	bh_text_wipe(value);
	return done;
}

static bool unset_one(GString *settings, const bh_json *methods, uint32_t fields, const char *key, GError **error)
{
	if (find_named(methods, fields, "key", key, "field", error) == BH_JSON_NONE)
		return false;
	bh_object_raw(settings, key, bh_span_of("null"));
	return true;
}

static bool fill_settings(const bh_args *args, const bh_json *methods, uint32_t method, GString *body, GError **error)
{
	const char *url = bh_args_one(args, "webhook-url");
	uint32_t fields = bh_member(methods, method, "fields");
	g_autoptr(GString) settings = bh_object_new();

	bh_object_text(settings, "url", url);
	for (const char *const *s = bh_args_all(args, "set"); *s; s++)
		if (!set_one(settings, methods, fields, *s, error))
			return false;
	for (const char *const *s = bh_args_all(args, "unset"); *s; s++)
		if (!unset_one(settings, methods, fields, *s, error))
			return false;
	if (settings->len > 1)
		bh_object_raw(body, "settings", bh_object_end(settings));
	return true;
}

/* --- The other members --------------------------------------------------------------------- */

/* "Name: value" becomes a member of `headers`; a name to remove becomes null. */
static bool fill_headers(const bh_args *args, GString *body, GError **error)
{
	g_autoptr(GString) headers = bh_object_new();
	for (const char *const *given = bh_args_all(args, "header"); *given; given++) {
		const char *colon = strchr(*given, ':');
		if (!colon || colon == *given) {
			bh_usage_error(error, "--header \"%s\" is not of the form 'Name: value'", *given);
			return false;
		}
		g_autofree char *name = g_strndup(*given, (gsize)(colon - *given));
		char *value = g_strstrip(g_strdup(colon + 1));
		bh_object_text(headers, name, value);
		bh_text_wipe(value);
	}
	for (const char *const *name = bh_args_all(args, "remove-header"); *name; name++)
		bh_object_raw(headers, *name, bh_span_of("null"));
	if (headers->len > 1)
		bh_object_raw(body, "headers", bh_object_end(headers));
	return true;
}

static bool fill_timeout(const bh_args *args, GString *body, GError **error)
{
	gint64 span = -1;
	if (!bh_args_span(args, "request-timeout", &span, error))
		return false;
	if (span >= 0)
		bh_object_seconds(body, "timeout_seconds", span);
	return true;
}

static bool fill_secret(const bh_args *args, GString *body, GError **error)
{
	const char *given = bh_args_one(args, "secret");
	if (!given)
		return true;
	char *secret = bh_input_text(given, "--secret", error);
	bh_object_text(body, "secret", secret);
	bh_text_wipe(secret);
	return secret != NULL;
}

/* @FILE or the text itself; `none` takes it away. */
static bool fill_script(const bh_args *args, GString *body, GError **error)
{
	const char *given = bh_args_one(args, "script");
	if (!given)
		return true;
	g_autofree char *script = bh_input_text(given, "--script", error);
	if (strcmp(given, "none") == 0)
		bh_object_raw(body, "script", bh_span_of("null"));
	else
		bh_object_text(body, "script", script);
	return script != NULL;
}

/* Two switches for one member: at most one of them. */
static bool fill_switch(const bh_args *args, GString *body, const char *on, const char *off, const char *member,
			GError **error)
{
	bool yes = bh_args_has(args, on), no = bh_args_has(args, off);
	if (yes && no) {
		bh_usage_error(error, "--%s and --%s contradict each other", on, off);
		return false;
	}
	if (yes || no)
		bh_object_raw(body, member, bh_span_of(yes ? "true" : "false"));
	return true;
}

static bool only_one_from_standard_input(const bh_args *args, GError **error)
{
	static const char *const whole[] = {"secret", "tls-ca", "tls-cert", "tls-key", "script"};
	guint count = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(whole); i++)
		count += g_strcmp0(bh_args_one(args, whole[i]), "-") == 0;
	for (const char *const *s = bh_args_all(args, "set"); *s; s++)
		count += g_str_has_suffix(*s, "=-") && strchr(*s, '=') == *s + strlen(*s) - 2;
	if (count > 1)
		bh_usage_error(error, "only one value can be read from standard input; give the others as @FILE");
	return count <= 1;
}

bool bh_form_fill(const bh_args *args, const bh_json *methods, uint32_t method, GString *body, GError **error)
{
	bh_object_text(body, "name", bh_args_one(args, "name"));
	bh_object_text(body, "method", bh_args_one(args, "method"));
	bh_object_text(body, "shape", bh_args_one(args, "shape"));
	bh_object_text(body, "held", bh_args_one(args, "held"));
	bh_object_text(body, "channel_id", bh_args_one(args, "channel"));
	if (bh_args_has(args, "no-channel"))
		bh_object_raw(body, "channel_id", bh_span_of("null"));
	if (bh_args_has(args, "property"))
		bh_object_list(body, "properties", bh_args_all(args, "property"));
	if (bh_args_has(args, "all-properties"))
		bh_object_raw(body, "properties", bh_span_of("null"));
	if (bh_args_has(args, "events"))
		bh_object_words(body, "events", bh_args_all(args, "events"));
	return only_one_from_standard_input(args, error) && fill_settings(args, methods, method, body, error) &&
	       fill_headers(args, body, error) && fill_timeout(args, body, error) && fill_secret(args, body, error) &&
	       fill_script(args, body, error) &&
	       fill_switch(args, body, "full-payload", "thin-payload", "full_payload", error) &&
	       fill_switch(args, body, "enable", "disable", "enabled", error) && bh_form_fill_pace(args, body, error) &&
	       bh_form_fill_tls(args, body, error);
}
