#include "cli/method_view.h"

#include "cli/member.h"
#include "cli/text.h"

#include <string.h>

#define NOTES_WIDTH 78

char *bh_method_parts(const bh_view *view, const bh_json *json, uint32_t object)
{
	bool accepts = bh_member_true(json, object, "has_accepts");
	bool transforms = bh_member_true(json, object, "has_transform");
	return g_strdup(accepts && transforms ? "accepts, transform and deliver"
			: accepts             ? "accepts and deliver"
			: transforms          ? "transform and deliver"
					      : "deliver");
}

/* "credentials is header or body"; NULL: it always counts. */
static char *when_words(const bh_view *view, const bh_json *json, uint32_t field)
{
	uint32_t when = bh_member(json, field, "when");
	g_autofree char *other = bh_member_shown(json, when, "field");
	if (!other)
		return NULL;
	GString *text = g_string_new(other);
	uint32_t values = bh_member(json, when, "is");
	for (uint32_t v = bh_first_item(json, values); v != BH_JSON_NONE; v = bh_json_next(json, values, v)) {
		g_autofree char *value = bh_node_text(json, v);
		g_autofree char *shown = bh_text_visible(bh_span_of(value), false);
		g_string_append_printf(text, " %s %s", strstr(text->str, " is ") ? "or" : "is", shown);
	}
	return g_string_free(text, FALSE);
}

/* What may be entered, beyond its format: "one of header, body", "1 to 10", "like ^%w+$". */
static char *range_words(const bh_view *view, const bh_json *json, uint32_t field)
{
	g_autofree char *least = bh_member_shown(json, field, "min");
	g_autofree char *most = bh_member_shown(json, field, "max");
	g_autofree char *pattern = bh_member_shown(json, field, "pattern");
	GString *text = g_string_new(NULL);
	uint32_t options = bh_member(json, field, "options");
	for (uint32_t o = bh_first_item(json, options); o != BH_JSON_NONE; o = bh_json_next(json, options, o)) {
		g_autofree char *option = bh_node_text(json, o);
		g_autofree char *shown = bh_text_visible(bh_span_of(option), false);
		g_string_append_printf(text, "%s%s", text->len ? ", " : "one of ", shown);
	}
	if (least && most)
		g_string_append_printf(text, "%s to %s", least, most);
	else if (least || most)
		g_string_append_printf(text, "at %s %s", least ? "least" : "most", least ? least : most);
	if (pattern)
		g_string_append_printf(text, "matches %s", pattern);
	if (text->len)
		return g_string_free(text, FALSE);
	g_string_free(text, TRUE);
	return NULL;
}

static const bh_view_row METHOD[] = {
	{"interface", "interface"},
	{"it has", NULL, BH_VIEW_WORDS, .words = bh_method_parts},
	{"its newer file is broken", "error", .paint = BH_BAD},
	{NULL},
};

static const bh_view_row FIELDS[] = {
	{"FIELD", "key"},
	{"FORMAT", "format"},
	{"REQUIRED", "required", BH_VIEW_YES_NO},
	{"DEFAULT", "default", .shrinks = true},
	{"TAKES", NULL, BH_VIEW_WORDS, .shrinks = true, .words = range_words},
	{"ONLY WHEN", NULL, BH_VIEW_WORDS, .shrinks = true, .words = when_words},
	{"TITLE", "title", .shrinks = true},
	{"HELP", "help", .wraps = true},
	{NULL},
};

/* On a terminal a field gets the lines that it needs: cut off, what it takes is of no use. */
static char *field_words(const bh_view *view, const bh_json *json, uint32_t field)
{
	g_autofree char *title = bh_member_shown(json, field, "title");
	g_autofree char *format = bh_member_shown(json, field, "format");
	g_autofree char *preset = bh_member_shown(json, field, "default");
	g_autofree char *takes = range_words(view, json, field);
	g_autofree char *when = when_words(view, json, field);
	g_autofree char *help = bh_member_shown(json, field, "help");
	GString *text = g_string_new(title ? title : "");
	g_string_append_printf(text, "\n%s%s", format ? format : "", takes ? ", " : "");
	g_string_append(text, takes ? takes : "");
	if (bh_member_true(json, field, "required"))
		g_string_append(text, "; required");
	if (preset)
		g_string_append_printf(text, "; left out: %s", preset);
	if (when)
		g_string_append_printf(text, "; only when %s", when);
	if (help)
		g_string_append_printf(text, "\n%s", help);
	return g_string_free(text, FALSE);
}

static const bh_view_row FIELDS_ON_A_TERMINAL[] = {
	{"FIELD", "key"},
	{"WHAT IT IS", NULL, BH_VIEW_WORDS, .wraps = true, .words = field_words},
	{NULL},
};

static void append_notes(const bh_view *view, const bh_json *json, uint32_t object, GString *out)
{
	g_autofree char *notes = bh_member_text(json, object, "notes");
	if (!notes)
		return;
	g_autofree char *shown = bh_text_visible(bh_span_of(notes), true);
	g_autoptr(GPtrArray) lines = bh_text_wrap(shown, NOTES_WIDTH);
	for (guint i = 0; i < lines->len; i++)
		g_string_append_printf(out, "  %s\n", (const char *)lines->pdata[i]);
}

void bh_method_view(const bh_view *view, const bh_json *json, uint32_t object, GString *out)
{
	const bh_view_row *rows = view->screen.whole ? FIELDS : FIELDS_ON_A_TERMINAL;
	g_autoptr(bh_table) table = bh_view_table(rows);
	g_autofree char *title = bh_member_shown(json, object, "title");
	uint32_t fields = bh_member(json, object, "fields");

	g_string_append_printf(out, "  %s\n", title ? title : "");
	append_notes(view, json, object, out);
	bh_view_one(view, json, object, METHOD, out);
	for (uint32_t f = bh_first_item(json, fields); f != BH_JSON_NONE; f = bh_json_next(json, fields, f))
		bh_view_add(view, table, json, f, rows);
	if (bh_first_item(json, fields) != BH_JSON_NONE)
		bh_table_print(table, view->screen, 2, out);
}
