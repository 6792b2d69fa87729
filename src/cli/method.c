/* Methods, the ways to authenticate and send, as a running Bellhop knows them. */
#include "cli/call.h"
#include "cli/member.h"
#include "cli/method_view.h"
#include "cli/run.h"
#include "cli/text.h"

static char *state_words(const bh_view *view, const bh_json *json, uint32_t method)
{
	return bh_member(json, method, "error") == BH_JSON_NONE ? NULL : g_strdup("its newer file is broken");
}

static const bh_view_row METHODS[] = {
	{"METHOD", "name"},
	{"TITLE", "title", .shrinks = true},
	{"HAS", NULL, BH_VIEW_WORDS, .words = bh_method_parts},
	{"BUT", NULL, BH_VIEW_WORDS, .paint = BH_WARN, .words = state_words},
	{NULL},
};

/* The files that could not be taken, and what that means. How many there are. */
static guint append_broken(const bh_call *call, const bh_json *json, GString *out)
{
	guint count = 0;
	uint32_t broken = bh_member(json, 0, "broken");
	for (uint32_t b = bh_first_item(json, broken); b != BH_JSON_NONE; b = bh_json_next(json, broken, b), count++) {
		g_autofree char *name = bh_member_shown(json, b, "name");
		g_autofree char *why = bh_member_shown(json, b, "error");
		g_autofree char *line = g_strdup_printf("%s.lua is broken", name ? name : "?");
		bh_paint_append(out, call->view.screen, BH_BAD, line);
		g_string_append_printf(out, ": %s\n  %s\n",
				       bh_member_true(json, b, "kept") ? "the version before it stays at work"
								       : "there is no such method until it is mended",
				       why ? why : "");
	}
	return count;
}

/* What is broken stands on every page of the list; in JSON it is there anyway. */
static bool print_broken(bh_call *call, GError **error)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(bh_reply) page = bh_call_get(call, "list the methods", "/v1/methods?limit=1", error);
	if (!page)
		return false;
	if (append_broken(call, page->json, out))
		bh_printf("\n");
	bh_print(out);
	return true;
}

bh_exit bh_run_method_list(bh_call *call, GError **error)
{
	g_autoptr(GString) path = g_string_new("/v1/methods");
	bh_exit result = bh_call_list(call, "list the methods", path, METHODS,
				      "No methods: is the setting methods_dir right?", error);
	if (result != BH_EXIT_DONE || call->json)
		return result;
	return print_broken(call, error) ? BH_EXIT_DONE : BH_EXIT_FAILED;
}

bh_exit bh_run_method_show(bh_call *call, GError **error)
{
	const char *name = bh_args_operand(call->args, 0);
	g_autofree char *escaped = bh_path_escape(name);
	g_autofree char *path = g_strdup_printf("/v1/methods/%s", escaped);
	g_autofree char *what = g_strdup_printf("show method \"%s\"", name);
	g_autoptr(bh_reply) reply = bh_call_get(call, what, path, error);
	if (!reply)
		return BH_EXIT_FAILED;
	if (call->json) {
		bh_print_body(reply);
		return BH_EXIT_DONE;
	}
	g_autoptr(GString) out = g_string_new(NULL);
	bh_heading(call, out, "method", name);
	bh_method_view(&call->view, reply->json, 0, out);
	bh_print(out);
	return BH_EXIT_DONE;
}

/* "methods at work: 3, from /srv/methods; changed: acme basic": a file that is not taken may be in another folder. */
static guint append_reloaded(const bh_call *call, const bh_json *json, GString *out)
{
	g_autofree char *count = bh_member_shown(json, 0, "methods");
	uint32_t changed = bh_member(json, 0, "changed");
	g_autofree char *folder = bh_member_shown(json, 0, "folder");
	g_string_append_printf(out, "methods at work: %s%s%s; ", count ? count : "?", folder ? ", from " : "",
			       folder ? folder : "");
	g_string_append(out, bh_first_item(json, changed) == BH_JSON_NONE ? "none has changed" : "changed:");
	for (uint32_t c = bh_first_item(json, changed); c != BH_JSON_NONE; c = bh_json_next(json, changed, c)) {
		g_autofree char *name = bh_node_text(json, c);
		g_autofree char *shown = bh_text_visible(bh_span_of(name), false);
		g_string_append_printf(out, " %s", shown);
	}
	g_string_append_c(out, '\n');
	return append_broken(call, json, out);
}

bh_exit bh_run_method_reload(bh_call *call, GError **error)
{
	bh_ask ask = {.what = "reload the methods", .verb = "POST", .path = "/v1/methods/reload"};
	g_autoptr(bh_reply) reply = bh_call_ask(call, &ask, error);
	if (!reply)
		return BH_EXIT_FAILED;
	g_autoptr(GString) out = g_string_new(NULL);
	guint broken = append_reloaded(call, reply->json, out);
	if (call->json)
		bh_print_body(reply);
	else
		bh_print(out);
	return broken ? BH_EXIT_FAILED : BH_EXIT_DONE;
}
