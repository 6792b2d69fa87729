/*
 * The settings of a webhook, merged member by member:
 *
 *   shown    what the API shows of the stored ones: passwords as {"set":true}
 *   merged   shown, less what the new method does not know, with the given members over it
 *   stored   what bh_settings_store makes of that: checked, and sealed
 *
 * Whoever may change a webhook need not know its passwords; so a password never follows its URL to another host.
 */
#include "api/body.h"
#include "api/names.h"
#include "api/reply.h"
#include "api/server.h"
#include "api/webhook.h"
#include "base/error.h"

#include <jansson.h>
#include <string.h>

typedef struct merge {
	bh_call *call;
	const bh_method *method, *before; /* before: the method so far; NULL when there is none, or it is gone */
	const bh_guard *guard;
	char *masked; /* what was stored, as the method so far shows it */
	json_t *shown, *given, *merged;
} merge;

static void merge_clear(merge *m)
{
	g_free(m->masked);
	json_decref(m->shown);
	json_decref(m->given);
	json_decref(m->merged);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(merge, merge_clear)

/* --- What is there, what is given -------------------------------------------------------- */

static const bh_field *find_field(const bh_method *method, const char *key)
{
	for (guint i = 0; method && i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		if (strcmp(field->key, key) == 0)
			return field;
	}
	return NULL;
}

/* A field that both methods have in the same sense keeps its value when the method changes. */
static json_t *shown_settings(const bh_method *before, const bh_method *method, const char *masked)
{
	json_t *shown = json_loads(masked, 0, NULL);
	const char *key;
	json_t *value;
	void *next;

	if (!json_is_object(shown)) {
		json_decref(shown);
		return json_object();
	}
	json_object_foreach_safe(shown, next, key, value)
	{
		const bh_field *was = find_field(before, key), *is = find_field(method, key);
		if (!was || !is || (was->format == BH_FIELD_PASSWORD) != (is->format == BH_FIELD_PASSWORD))
			json_object_del(shown, key);
	}
	return shown;
}

static const char *url_field(const bh_method *method)
{
	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		if (field->format == BH_FIELD_URL)
			return field->key;
	}
	return NULL;
}

static bool refuse_settings(bh_call *call, const char *why)
{
	bh_reply_problem(call, BH_PROBLEM_FIELD, "/settings", "%s", why);
	return false;
}

static bool read_given(merge *m, uint32_t node)
{
	const bh_json *json = bh_call_json(m->call);
	json_error_t trouble;

	if (node == BH_JSON_NONE) {
		m->given = json_object();
		return true;
	}
	if (bh_json_type_of(json, node) != BH_JSON_OBJECT)
		return refuse_settings(m->call, "It must be an object.");
	bh_span text = bh_json_text(json, node);
	m->given = json_loadb(text.at, text.size, JSON_ALLOW_NUL, &trouble); /* what does not fit is named later */
	return m->given || refuse_settings(m->call, trouble.text); /* a number that is too large for jansson */
}

/* `url` is short for the method's first field of that format. */
static bool read_url(merge *m, uint32_t node)
{
	static const bh_text_rule RULE = {.max = BH_URL_MAX};
	const char *key = url_field(m->method);
	g_autofree char *url = NULL;

	if (node == BH_JSON_NONE)
		return true;
	if (!bh_body_text(m->call, node, "/url", &RULE, &url))
		return false;
	if (!key || json_object_get(m->given, key)) {
		bh_reply_problem(m->call, BH_PROBLEM_FIELD, "/url", "%s",
				 key ? "It is short for the URL among the settings: give one of the two."
				     : "This method has no URL.");
		return false;
	}
	json_object_set_new(m->given, key, json_string(url));
	return true;
}

/* --- Credentials do not move to another host ---------------------------------------------- */

static bool same_place(const bh_guard *guard, const char *before, const char *after)
{
	bh_target old = {0}, new = {0};

	if (strcmp(before, after) == 0)
		return true;
	bool same = bh_guard_check_url(guard, before, &old, NULL) && bh_guard_check_url(guard, after, &new, NULL) &&
		    strcmp(old.host, new.host) == 0 && old.https == new.https;
	bh_target_clear(&old);
	bh_target_clear(&new);
	return same;
}

/* The URL that the script gets for this field; NULL: none, or a condition hides it. */
static char *url_in_force(const bh_method *method, const bh_field *field, const char *settings)
{
	return field && field->format == BH_FIELD_URL ? bh_settings_text(method, field, settings) : NULL;
}

/*
 * Does this URL lead elsewhere than the one before? One that was not in force before leads elsewhere, be it that it is new, or that
 * a condition hid it: who set the password may never have seen it.
 */
static bool moves(const merge *m, const bh_field *field, const char *after)
{
	const bh_field *was = find_field(m->before, field->key);
	g_autofree char *before = url_in_force(m->before, was, m->masked);

	return !before || !same_place(m->guard, before, after);
}

/*
 * A method without a URL knows the place from something else: a password that is a whole URL, or a key that names a data
 * centre. So there a new password may be a new place.
 */
static bool leads_elsewhere(const merge *m)
{
	char *merged = json_dumps(m->merged, JSON_COMPACT);
	bool elsewhere = false, has_url = false, has_new_password = false;

	for (guint i = 0; i < m->method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(m->method->fields, i);
		g_autofree char *url = url_in_force(m->method, field, merged);
		has_url |= url != NULL;
		elsewhere |= url && moves(m, field, url);
		has_new_password |=
			field->format == BH_FIELD_PASSWORD && json_is_string(json_object_get(m->given, field->key));
	}
	bh_text_wipe(merged);
	return elsewhere || (!has_url && has_new_password);
}

static bool is_set(const json_t *masked)
{
	return json_is_true(json_object_get(masked, "set"));
}

/* Is there a stored password that the body does not give anew? */
static bool keeps_password(const merge *m, const bh_field *field)
{
	const json_t *given = json_object_get(m->given, field->key);

	return field->format == BH_FIELD_PASSWORD && is_set(json_object_get(m->shown, field->key)) &&
	       (!given || json_is_object(given));
}

static bool check_credentials(const merge *m, bool headers_kept)
{
	g_autoptr(GString) needed = g_string_new(headers_kept ? "headers" : NULL);
	g_autofree char *first = headers_kept ? g_strdup("/headers") : NULL;

	for (guint i = 0; i < m->method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(m->method->fields, i);
		if (!keeps_password(m, field))
			continue;
		g_string_append_printf(needed, "%s%s", needed->len ? ", " : "", field->key);
		if (!first)
			first = bh_pointer_to("/settings", field->key);
	}
	if (!needed->len || !leads_elsewhere(m))
		return true;
	bh_reply_problem(m->call, BH_PROBLEM_CREDENTIALS, first,
			 "The URL leads to another host or scheme, and credentials do not move there by themselves. "
			 "Give anew: %s.",
			 needed->str);
	return false;
}

/* --- Storing ----------------------------------------------------------------------------- */

static void reply_refused(const merge *m, const char *pointer, bool url_given, const GError *error)
{
	const char *key = url_field(m->method);
	g_autofree char *url_pointer = key ? bh_pointer_to("/settings", key) : NULL;
	bool by_short_name = url_given && g_strcmp0(pointer, url_pointer) == 0;
	bh_problem problem = g_error_matches(error, BH_ERROR, BH_ERROR_DENIED) ? BH_PROBLEM_TARGET : BH_PROBLEM_FIELD;

	bh_reply_problem(m->call, problem,
			 by_short_name ? "/url"
			 : pointer     ? pointer
				       : "/settings",
			 "%s", error->message);
}

static bool store(merge *m, bh_webhook *webhook, const char *stored, bool url_given)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *pointer = NULL;
	char *text = json_dumps(m->merged, JSON_COMPACT);
	char *sealed = bh_settings_store(m->method, bh_span_of(text), stored, m->call->api->rooms.sealer, m->guard,
					 &pointer, &error);

	bh_text_wipe(text);
	if (!sealed) {
		reply_refused(m, pointer, url_given, error);
		return false;
	}
	g_free(webhook->settings);
	webhook->settings = sealed;
	return true;
}

/* Every URL that it has now, also one that stays: where its name leads may have changed. */
static void note_names(const merge *m, bool url_given, GPtrArray *names)
{
	const char *short_for = url_given ? url_field(m->method) : NULL;

	for (guint i = 0; i < m->method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(m->method->fields, i);
		const char *url = json_string_value(json_object_get(m->merged, field->key));
		if (field->format != BH_FIELD_URL || !url)
			continue;
		g_autofree char *pointer = g_strcmp0(short_for, field->key) == 0
						   ? g_strdup("/url")
						   : bh_pointer_to("/settings", field->key);
		bh_names_note(names, m->guard, url, pointer);
	}
}

bool bh_merge_settings(bh_call *call, bh_webhook *webhook, const char *stored_method, const char *method,
		       uint32_t given, uint32_t url, bool headers_kept, GPtrArray *names)
{
	g_autoptr(bh_methods) methods = bh_api_methods(call->api);
	g_autoptr(bh_guard) guard = bh_api_guard(call->api);
	g_auto(merge) m = {.call = call, .method = bh_methods_find(methods, method), .guard = guard};

	if (!m.method) {
		bh_reply_problem(call, BH_PROBLEM_FIELD, "/method", "There is no method \"%s\".", method);
		return false;
	}
	m.before = stored_method ? bh_methods_find(methods, stored_method) : NULL;
	m.masked = m.before && webhook->settings ? bh_settings_masked(m.before, webhook->settings) : g_strdup("{}");
	m.shown = shown_settings(m.before, m.method, m.masked);
	if (!read_given(&m, given) || !read_url(&m, url))
		return false;
	m.merged = json_deep_copy(m.shown);
	json_object_update(m.merged, m.given);
	if (!check_credentials(&m, headers_kept) ||
	    !store(&m, webhook, m.before ? webhook->settings : NULL, url != BH_JSON_NONE))
		return false;
	note_names(&m, url != BH_JSON_NONE, names);
	return true;
}
