/* Looks at one method file as the engine would, without an engine: reads it, runs its chunk, checks its form. */
#include "base/error.h"
#include "cli/call.h"
#include "cli/method_doubts.h"
#include "cli/method_json.h"
#include "cli/method_source.h"
#include "cli/method_view.h"
#include "cli/object.h"
#include "cli/run.h"
#include "cli/text.h"

static void print_json(const bh_method *method, const GArray *doubts)
{
	g_autoptr(GString) out = bh_object_new();
	g_autoptr(GString) told = g_string_new(NULL);
	g_autoptr(GString) warnings = g_string_new("[");
	for (guint i = 0; i < doubts->len; i++) {
		const bh_doubt *d = &g_array_index(doubts, bh_doubt, i);
		g_autoptr(GString) warning = bh_object_new();
		bh_object_int(warning, "line", d->line);
		bh_object_text(warning, "text", d->text);
		bh_object_end(warning);
		g_string_append_printf(warnings, "%s%s", i ? "," : "", warning->str);
	}
	g_string_append_c(warnings, ']');
	bh_method_json_append(method, told);
	bh_object_text(out, "file", method->path);
	bh_object_raw(out, "ok", bh_span_of("true"));
	bh_object_raw(out, "error", bh_span_of("null"));
	bh_object_raw(out, "method", (bh_span){told->str, told->len});
	bh_object_raw(out, "warnings", (bh_span){warnings->str, warnings->len});
	bh_object_end(out);
	bh_print(out);
	bh_printf("\n");
}

static void append_doubts(const bh_call *call, const bh_method *method, const GArray *doubts, GString *out)
{
	if (doubts->len)
		g_string_append_c(out, '\n');
	for (guint i = 0; i < doubts->len; i++) {
		const bh_doubt *d = &g_array_index(doubts, bh_doubt, i);
		g_autofree char *text = bh_text_visible(bh_span_of(d->text), false);
		g_string_append_printf(out, "%s.lua:%u: ", method->name, d->line);
		bh_paint_append(out, call->view.screen, BH_WARN, "warning: ");
		g_string_append_printf(out, "%s\n", text);
	}
}

/* What to type next: all that is required is named. */
static void append_way_on(const char *given, const bh_method *method, GString *out)
{
	g_autofree char *quoted = g_shell_quote(given);
	bool plain = g_regex_match_simple("^[A-Za-z0-9_./-]+$", given, 0, 0);
	g_string_append_printf(out, "\nTry it, no server needed:\n  bellhop method try %s --event booking_added",
			       plain ? given : quoted);
	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		bool is_password = field->format == BH_FIELD_PASSWORD;
		if (field->required && !field->default_json && !field->when_field)
			g_string_append_printf(out, " \\\n      --set %s=%s", field->key,
					       field->format == BH_FIELD_URL ? "https://..."
					       : is_password                 ? "@FILE"
									     : "...");
	}
	g_string_append(out, " \\\n      --answer 200\n");
}

static void print(const bh_call *call, const char *given, const bh_method *method, const GArray *doubts)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GString) told = g_string_new(NULL);
	g_autoptr(GString) out = g_string_new(NULL);
	bh_method_json_append(method, told);
	g_assert(bh_json_parse(json, (bh_span){told->str, told->len}, NULL));
	bh_paint_append(out, call->view.screen, BH_GOOD, "good");
	g_string_append_printf(out, ": Bellhop can use this as method %s\n", method->name);
	bh_method_view(&call->view, json, 0, out);
	append_doubts(call, method, doubts, out);
	append_way_on(given, method, out);
	bh_print(out);
}

/* In JSON the fault is a result like any other; it goes where the other results go. */
static void print_json_fault(const char *given, const GError *why)
{
	g_autoptr(GString) out = bh_object_new();
	bh_object_text(out, "file", given);
	bh_object_raw(out, "ok", bh_span_of("false"));
	bh_object_text(out, "error", why->message);
	bh_object_raw(out, "method", bh_span_of("null"));
	bh_object_raw(out, "warnings", bh_span_of("[]"));
	bh_object_end(out);
	bh_print(out);
	bh_printf("\n");
}

/* Both are called scripts, and both have `accepts`: somebody may mean the other one. */
static void hint_at_own_script(const char *given, GError **error)
{
	g_autofree char *text = NULL;
	gsize size;
	bool is_own = g_file_get_contents(given, &text, &size, NULL) && bh_script_check((bh_span){text, size}, NULL);
	g_autofree char *why = is_own ? g_strdup((*error)->message) : NULL;
	if (!is_own)
		return;
	g_clear_error(error);
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
		    "%s\nIt is no method, but good as a webhook's own script: `bellhop webhook set ID --script @%s`.",
		    why, given);
}

bh_exit bh_run_method_check(bh_call *call, GError **error)
{
	const char *given = bh_args_operand(call->args, 0);
	const bh_method *method;
	g_autoptr(GError) why = NULL;
	g_autoptr(bh_settings) settings = bh_method_settings(call->args, NULL, error);
	if (!settings)
		return BH_EXIT_USAGE;

	g_autoptr(bh_methods) set = bh_method_source(given, settings, &method, &why);
	if (!set && call->json && !g_error_matches(why, BH_USAGE_ERROR, 0)) {
		print_json_fault(given, why);
		return BH_EXIT_FAILED;
	}
	if (!set) {
		hint_at_own_script(given, &why);
		g_propagate_error(error, g_steal_pointer(&why));
		return BH_EXIT_FAILED;
	}
	g_autoptr(GArray) doubts = bh_method_doubts(method);
	if (call->json)
		print_json(method, doubts);
	else
		print(call, given, method, doubts);
	return BH_EXIT_DONE;
}
