/*
 * Trying a method, with no server: an event of the catalogue, the settings of the command line, and answers that are
 * pretended, or the real receiver.
 *
 *   method -> settings -> event -> answerer -> trial -> what it came to
 */
#include "base/error.h"
#include "base/near.h"
#include "cli/call.h"
#include "cli/event_body.h"
#include "cli/input.h"
#include "cli/method_source.h"
#include "cli/object.h"
#include "cli/run.h"
#include "cli/trial_view.h"
#include "cli/webhook_form.h"
#include "serve/lookup.h"

#include <string.h>

#define TYPE_DEFAULT "booking_added"
#define TYPE_OF_TEST "bellhop.test"
#define DATA_OF_TEST "{\"webhook_id\":\"whk_0000000000000\",\"message\":\"A test of this webhook.\"}"
#define ATTEMPT_MAX 1000

/* All that the plan of a trial points into. */
typedef struct bench {
	bh_settings *settings;
	bh_methods *methods;
	const bh_method *method;
	bh_guard *guard;
	bh_sealer *sealer;
	char *stored, *script;
	bh_event *event;
	GBytes *body;
	bh_answerer *answerer;
	bh_lookup_config *lookup;
} bench;

static void bench_clear(bench *b)
{
	g_clear_pointer(&b->lookup, bh_lookup_config_free);
	g_clear_pointer(&b->answerer, bh_answerer_free);
	g_clear_pointer(&b->body, g_bytes_unref);
	g_clear_pointer(&b->event, bh_event_unref);
	g_clear_pointer(&b->script, g_free);
	g_clear_pointer(&b->stored, bh_text_wipe);
	g_clear_pointer(&b->sealer, bh_sealer_free);
	g_clear_pointer(&b->guard, bh_guard_unref);
	g_clear_pointer(&b->methods, bh_methods_unref);
	g_clear_pointer(&b->settings, bh_settings_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(bench, bench_clear)

/* --- The guard ----------------------------------------------------------------------------- */

/* What the configuration allows, and --allow. */
static bool make_guard(bench *b, const bh_args *args, GError **error)
{
	g_autoptr(GPtrArray) allow = g_ptr_array_new();
	char *own[] = {b->settings->listen, NULL};
	for (char **a = b->settings->allow; a && *a; a++)
		g_ptr_array_add(allow, *a);
	for (const char *const *a = bh_args_all(args, "allow"); *a; a++)
		g_ptr_array_add(allow, (char *)*a);
	g_ptr_array_add(allow, NULL);
	b->guard = bh_guard_new((char *const *)allow->pdata, own, b->settings->https_only, error);
	return b->guard != NULL;
}

/* --- Settings ------------------------------------------------------------------------------ */

static const bh_field *find_field(const bh_method *method, const char *key)
{
	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		if (strcmp(field->key, key) == 0)
			return field;
	}
	return NULL;
}

static void refuse_key(const bh_method *method, const char *key, GError **error)
{
	bh_near near = {.text = bh_span_of(key)};
	g_autoptr(GString) all = g_string_new(NULL);
	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		bh_near_offer(&near, field->key);
		g_string_append_printf(all, "%s%s", all->len ? ", " : "", field->key);
	}
	const char *best = bh_near_best(&near);
	g_autofree char *hint = best ? g_strdup_printf("; did you mean %s?", best) : g_strdup("");
	bh_usage_error(error, "method %s has no field \"%s\"%s\nIts fields: %s.", method->name, key, hint,
		       all->len ? all->str : "none");
}

static bool add_setting(const bh_method *method, GString *given, const char *key, const char *value, GError **error)
{
	const bh_field *field = find_field(method, key);
	if (!field) {
		refuse_key(method, key, error);
		return false;
	}
	char *text = bh_input_text(value, key, error);
	bool done = text && bh_form_add_setting(given, bh_field_format_name(field->format), key, text, error);
	bh_text_wipe(text);
	return done;
}

static bool add_settings(const bh_method *method, const bh_args *args, GString *given, GError **error)
{
	const char *url = bh_args_one(args, "webhook-url");
	if (url && !add_setting(method, given, "url", url, error))
		return false;
	for (const char *const *set = bh_args_all(args, "set"); *set; set++) {
		const char *equals = strchr(*set, '=');
		if (!equals || equals == *set) {
			bh_usage_error(error, "--set \"%s\" is not of the form key=value", *set);
			return false;
		}
		g_autofree char *key = g_strndup(*set, (gsize)(equals - *set));
		if (!add_setting(method, given, key, equals + 1, error))
			return false;
	}
	return true;
}

/* What is wrong, and how it is put right on the command line. */
static void explain_settings(const bh_method *method, const char *pointer, const GError *why, GError **error)
{
	const char *key = pointer ? strrchr(pointer, '/') : NULL;
	const bh_field *field = key ? find_field(method, key + 1) : NULL;
	g_autofree char *hint = NULL;
	if (g_error_matches(why, BH_ERROR, BH_ERROR_DENIED))
		hint = g_strdup("\nIf that is meant: --allow HOST:PORT, as the setting allow of serve.");
	else if (field)
		hint = g_strdup_printf("\nIt is given as --set %s=... (%s).", field->key, field->title);
	bh_usage_error(error, "the settings do not fit method %s: %s%s", method->name, why->message, hint ? hint : "");
}

static bool take_settings(bench *b, const bh_args *args, GError **error)
{
	g_autoptr(GString) given = bh_object_new();
	g_autofree char *pointer = NULL;
	g_autoptr(GError) why = NULL;
	b->sealer = bh_sealer_throwaway(error);
	if (!b->sealer || !add_settings(b->method, args, given, error))
		return false;
	b->stored = bh_settings_store(b->method, bh_object_end(given), NULL, b->sealer, b->guard, &pointer, &why);
	explicit_bzero(given->str, given->len);
	if (!b->stored)
		explain_settings(b->method, pointer, why, error);
	return b->stored != NULL;
}

static bool take_script(bench *b, const bh_args *args, GError **error)
{
	const char *given = bh_args_one(args, "script");
	if (!given)
		return true;
	g_autoptr(GString) text = bh_input_read(*given == '@' ? given + 1 : given, error);
	if (!text || !bh_script_check((bh_span){text->str, text->len}, error))
		return false;
	b->script = g_strndup(text->str, text->len);
	return true;
}

/* --- The event ----------------------------------------------------------------------------- */

/* The example without what --property says itself. */
static char *without_property(const char *example)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GString) rest = bh_object_new();
	if (!bh_json_parse(json, bh_span_of(example), NULL) || bh_json_type_of(json, 0) != BH_JSON_OBJECT)
		return g_strdup("{}");
	for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c)) {
		g_autofree char *name = bh_json_string(json, c);
		if (name && strcmp(name, "property_uid") != 0)
			bh_object_raw(rest, name, bh_json_text(json, c + 1));
	}
	bh_object_end(rest);
	return g_strdup(rest->str);
}

/* --data, else the example of the catalogue. NULL: it cannot be read, or there is none. */
static char *data_of(const bh_args *args, const bh_catalogue *catalogue, const char *type, GError **error)
{
	const char *given = bh_args_one(args, "data");
	const bh_event_type *known = bh_catalogue_find(catalogue, type);
	if (given)
		return bh_input_text(given, "--data", error);
	if (strcmp(type, TYPE_OF_TEST) == 0)
		return g_strdup(DATA_OF_TEST);
	if (known && known->example)
		return bh_args_has(args, "property") ? without_property(known->example) : g_strdup(known->example);

	bh_near near = {.text = bh_span_of(type)};
	g_autoptr(GPtrArray) all = bh_catalogue_list(catalogue);
	for (guint i = 0; i < all->len; i++)
		bh_near_offer(&near, ((const bh_event_type *)g_ptr_array_index(all, i))->name);
	const char *best = bh_near_best(&near);
	g_autofree char *hint = best ? g_strdup_printf("; did you mean %s?", best) : g_strdup("");
	bh_usage_error(error, "there is no example of event type \"%s\"%s\nWith --data it can be any type.", type,
		       hint);
	return NULL;
}

static bool read_event(bench *b, const bh_catalogue *catalogue, const GString *text, GError **error)
{
	bh_refusal refusal;
	g_autoptr(GPtrArray) events = NULL;
	g_autoptr(GArray) places = NULL;
	g_autoptr(GError) why = NULL;
	bh_intake intake = {
		.form = BH_EVENTS_JSON, .catalogue = catalogue, .accept_unknown_types = true, .now = bh_clock_wall()};
	if (!bh_events_read((bh_span){text->str, text->len}, &intake, &events, &places, &refusal, &why)) {
		bh_usage_error(error, "this is no event: %s (%s)", why->message, refusal.pointer);
		return false;
	}
	b->event = bh_event_ref(g_ptr_array_index(events, 0));
	return true;
}

static bool make_body(bench *b, const bh_args *args, GError **error)
{
	bh_shape shape = BH_SHAPE_STANDARD;
	const char *given = bh_args_one(args, "shape");
	if (given && !bh_shape_parse(given, &shape)) {
		bh_usage_error(error, "--shape \"%s\" is neither standard nor jomres", given);
		return false;
	}
	b->body = bh_event_body(b->event, shape, bh_args_has(args, "full-payload"), bh_args_one(args, "manager"), 0);
	return true;
}

static bool make_event(bench *b, const bh_args *args, GError **error)
{
	const char *given = bh_args_one(args, "event"), *details = bh_args_one(args, "details");
	const char *type = given ? given : TYPE_DEFAULT;
	g_autoptr(bh_catalogue) catalogue = bh_catalogue_new();
	g_autofree char *data = data_of(args, catalogue, type, error);
	g_autofree char *more = data && details ? bh_input_text(details, "--details", error) : NULL;
	if (!data || (details && !more))
		return false;

	g_autoptr(GString) text = g_string_new(NULL);
	bh_event_parts parts = {.type = type,
				.data = data,
				.details = more,
				.property = bh_args_one(args, "property"),
				.manager = bh_args_one(args, "manager"),
				.channel = bh_args_one(args, "channel")};
	return bh_event_body_append(&parts, text, error) && read_event(b, catalogue, text, error) &&
	       make_body(b, args, error);
}

/* --- All together -------------------------------------------------------------------------- */

static bool make_answerer(bench *b, const bh_args *args, GError **error)
{
	b->answerer = bh_args_has(args, "answer")
			      ? bh_answerer_pretended(bh_args_all(args, "answer"), b->guard, bh_clock_wall(), error)
			      : bh_answerer_real(b->settings, b->guard, error);
	return b->answerer != NULL;
}

static bool set_up(bench *b, const bh_args *args, GError **error)
{
	b->settings = bh_method_settings(args, NULL, error);
	if (!b->settings)
		return false;
	b->methods = bh_method_source(bh_args_operand(args, 0), b->settings, &b->method, error);
	return b->methods && make_guard(b, args, error) && bh_lookup_of(b->settings, &b->lookup, error) &&
	       take_settings(b, args, error) && take_script(b, args, error) && make_event(b, args, error) &&
	       make_answerer(b, args, error);
}

static void print(const bh_call *call, const bench *b, const bh_trial_plan *plan, const bh_trial *trial)
{
	g_autoptr(GString) out = g_string_new(NULL);
	guint left = bh_answerer_left(b->answerer);
	if (call->json) {
		bh_trial_json(plan, trial, out);
		g_string_append_c(out, '\n');
	} else {
		bh_trial_view(&call->view, plan, trial, out);
	}
	bh_print(out);
	if (left && !call->json)
		bh_remark("%u of the answers %s not asked for.", left, left == 1 ? "was" : "were");
}

bh_exit bh_run_method_try(bh_call *call, GError **error)
{
	g_auto(bench) b = {0};
	gint64 attempt = 1;
	if (!bh_args_int(call->args, "attempt", 1, ATTEMPT_MAX, &attempt, error) || !set_up(&b, call->args, error))
		return BH_EXIT_FAILED;

	bh_trial_plan plan = {.methods = b.methods,
			      .method = b.method->name,
			      .settings = b.stored,
			      .sealer = b.sealer,
			      .script = b.script,
			      .event = b.event,
			      .body = b.body,
			      .owner = bh_args_one(call->args, "manager"),
			      .is_test = strcmp(b.event->type, TYPE_OF_TEST) == 0,
			      .attempt = (int)attempt,
			      .total_timeout = b.settings->total_timeout,
			      .policy = bh_policy_of(b.settings),
			      .answerer = b.answerer,
			      .lookup = b.lookup};
	g_autoptr(bh_trial) trial = bh_trial_run(&plan, error);
	if (!trial)
		return BH_EXIT_FAILED;
	print(call, &b, &plan, trial);
	bool well = trial->filtered || (!trial->unanswered && trial->conclusion.outcome == BH_OUTCOME_DELIVERED);
	return well ? BH_EXIT_DONE : BH_EXIT_FAILED;
}
