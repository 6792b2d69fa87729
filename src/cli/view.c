#include "cli/view.h"

#include "cli/member.h"
#include "cli/text.h"

#include <string.h>

bh_paint bh_state_paint(const char *state)
{
	static const struct {
		const char *state;
		bh_paint paint;
	} paints[] = {{"delivered", BH_GOOD}, {"pending", BH_WARN},    {"held", BH_WARN},      {"exhausted", BH_BAD},
		      {"gone", BH_BAD},       {"coalesced", BH_FAINT}, {"filtered", BH_FAINT}, {"cancelled", BH_FAINT},
		      {"running", BH_WARN},   {"done", BH_GOOD}};
	for (size_t i = 0; i < G_N_ELEMENTS(paints); i++)
		if (strcmp(paints[i].state, state) == 0)
			return paints[i].paint;
	return BH_PLAIN;
}

/* --- JSON, indented ------------------------------------------------------------------------ */

static void append_exact(const bh_json *json, uint32_t node, GString *out)
{
	g_autofree char *text = bh_text_visible(bh_json_text(json, node), false);
	g_string_append(out, text);
}

/* What has nothing inside: blanks between its brackets are dropped, as they are elsewhere. */
static void append_leaf(const bh_json *json, uint32_t node, GString *out)
{
	bh_json_type type = bh_json_type_of(json, node);
	if (type == BH_JSON_OBJECT || type == BH_JSON_ARRAY)
		g_string_append(out, type == BH_JSON_OBJECT ? "{}" : "[]");
	else
		append_exact(json, node, out);
}

static bool is_nested(const bh_json *json, uint32_t node)
{
	bh_json_type type = bh_json_type_of(json, node);
	return (type == BH_JSON_OBJECT || type == BH_JSON_ARRAY) && bh_json_first(json, node) != BH_JSON_NONE;
}

/* The value on one line; NULL: it does not fit, or was written over several lines. */
static char *one_line(const bh_json *json, uint32_t node, int room)
{
	bh_span text = bh_json_text(json, node);
	if (memchr(text.at, '\n', text.size) || (int64_t)text.size > (int64_t)room * 4)
		return NULL;
	char *shown = bh_text_visible(text, false);
	if (bh_text_width(shown) > room)
		g_clear_pointer(&shown, g_free);
	return shown;
}

/* Depth is at most BH_JSON_DEPTH_MAX, so recursion is bounded. */
void bh_view_json(const bh_json *json, uint32_t node, int indent, int width, GString *out)
{
	bool object = bh_json_type_of(json, node) == BH_JSON_OBJECT;
	g_autofree char *short_form = one_line(json, node, MAX(20, width - indent));
	if (short_form) {
		g_string_append(out, short_form);
		return;
	}
	if (!is_nested(json, node)) {
		append_leaf(json, node, out);
		return;
	}

	uint32_t child = bh_json_first(json, node);
	g_string_append_c(out, object ? '{' : '[');
	while (child != BH_JSON_NONE) {
		g_string_append_printf(out, "\n%*s", indent + 2, "");
		if (object) {
			append_exact(json, child, out);
			g_string_append(out, ": ");
		}
		bh_view_json(json, object ? child + 1 : child, indent + 2, width, out);
		child = bh_json_next(json, node, child);
		if (child != BH_JSON_NONE)
			g_string_append_c(out, ',');
	}
	g_string_append_printf(out, "\n%*s%c", indent, "", object ? '}' : ']');
}

void bh_view_payload(const bh_view *view, bh_span body, int indent, GString *out)
{
	g_autoptr(bh_json) json = bh_json_new();
	if (body.size && bh_json_parse(json, body, NULL)) {
		g_string_append_printf(out, "%*s", indent, "");
		bh_view_json(json, 0, indent, view->screen.width, out);
		g_string_append_c(out, '\n');
		return;
	}
	g_autofree char *shown = bh_text_visible(body, true);
	g_auto(GStrv) lines = g_strsplit(shown, "\n", -1);
	for (char **line = lines; *line; line++)
		if (**line || line[1]) /* not the nothing after the last line feed */
			g_string_append_printf(out, "%*s%s\n", indent, "", *line);
}

void bh_view_block(const bh_view *view, const bh_json *json, uint32_t object, const char *member, GString *out)
{
	uint32_t node = bh_member(json, object, member);
	if (node == BH_JSON_NONE)
		return;
	g_string_append(out, "  ");
	bh_paint_append(out, view->screen, BH_FAINT, member);
	g_string_append(out, "\n    ");
	bh_view_json(json, node, 4, view->screen.width, out);
	g_string_append_c(out, '\n');
}

/* --- One member ---------------------------------------------------------------------------- */

static char *shown_node(const bh_json *json, uint32_t node)
{
	g_autofree char *text = bh_node_text(json, node);
	return bh_text_visible(bh_span_of(text), false);
}

static char *shown_list(const bh_json *json, uint32_t array, const char *absent)
{
	if (bh_json_type_of(json, array) != BH_JSON_ARRAY)
		return shown_node(json, array);
	GString *text = g_string_new(NULL);
	for (uint32_t c = bh_first_item(json, array); c != BH_JSON_NONE; c = bh_json_next(json, array, c)) {
		g_autofree char *item = shown_node(json, c);
		g_string_append_printf(text, "%s%s", text->len ? ", " : "", item);
	}
	if (!text->len && absent)
		g_string_assign(text, absent);
	return g_string_free(text, FALSE);
}

/* A masked password comes as {"set":true}. */
static char *shown_value(const bh_json *json, uint32_t node)
{
	if (bh_member(json, node, "set") == BH_JSON_NONE)
		return shown_node(json, node);
	return g_strdup(bh_member_true(json, node, "set") ? "(set)" : "(not set)");
}

static char *shown_pairs(const bh_json *json, uint32_t object)
{
	GString *text = g_string_new(NULL);
	for (uint32_t c = bh_first_item(json, object); c != BH_JSON_NONE; c = bh_json_next(json, object, c)) {
		g_autofree char *name = shown_node(json, c);
		g_autofree char *value = shown_value(json, c + 1);
		g_string_append_printf(text, "%s%s = %s", text->len ? "\n" : "", name, value);
	}
	return g_string_free(text, FALSE);
}

static char *shown_time(const bh_view *view, const bh_json *json, uint32_t object, const char *member, bool in_list)
{
	bh_usec at;
	if (!bh_member_time(json, object, member, &at))
		return bh_member_shown(json, object, member);
	return in_list ? bh_text_ago(at, view->now) : bh_text_moment(at, view->now);
}

static char *shown_span(const bh_json *json, uint32_t object, const char *member)
{
	int64_t span;
	return bh_member_int(json, object, member, &span) && span >= 0 ? bh_text_span(span) : NULL;
}

static char *show_member(const bh_view *view, const bh_json *json, uint32_t object, const bh_view_row *row,
			 bool in_list)
{
	if (row->form == BH_VIEW_WORDS) {
		char *words = row->words(view, json, object);
		return words ? words : g_strdup(row->absent);
	}
	uint32_t node = bh_member(json, object, row->member);
	if (node == BH_JSON_NONE)
		return g_strdup(row->absent);
	switch (row->form) {
	case BH_VIEW_LIST:
		return shown_list(json, node, row->absent);
	case BH_VIEW_YES_NO:
	case BH_VIEW_ENABLED:
		return g_strdup(bh_json_type_of(json, node) == BH_JSON_TRUE ? "yes" : "no");
	case BH_VIEW_TIME:
		return shown_time(view, json, object, row->member, in_list);
	case BH_VIEW_SPAN:
		return shown_span(json, object, row->member);
	case BH_VIEW_PAIRS:
		return bh_json_type_of(json, node) == BH_JSON_OBJECT ? shown_pairs(json, node) : shown_node(json, node);
	case BH_VIEW_SECONDS: {
		g_autofree char *number = shown_node(json, node);
		return g_strdup_printf("%s s", number);
	}
	case BH_VIEW_TEXT:
	case BH_VIEW_NUMBER:
	case BH_VIEW_STATE:
	case BH_VIEW_WORDS:
		break;
	}
	return shown_node(json, node);
}

static bh_paint paint_of(const bh_view_row *row, const char *text)
{
	if (row->form == BH_VIEW_STATE && text)
		return bh_state_paint(text);
	if (row->form == BH_VIEW_ENABLED && g_strcmp0(text, "no") == 0)
		return BH_WARN;
	return row->paint;
}

/* --- Lists and single objects -------------------------------------------------------------- */

bh_table *bh_view_table(const bh_view_row *rows)
{
	g_autoptr(GArray) columns = g_array_new(FALSE, FALSE, sizeof(bh_column));
	for (const bh_view_row *row = rows; row->title; row++) {
		bool right = row->form == BH_VIEW_NUMBER || row->form == BH_VIEW_SPAN;
		bh_column column = {.title = row->title,
				    .right = right,
				    .shrinks = row->shrinks,
				    .optional = row->optional,
				    .wraps = row->wraps};
		g_array_append_val(columns, column);
	}
	return bh_table_new((const bh_column *)(void *)columns->data, columns->len);
}

void bh_view_add(const bh_view *view, bh_table *table, const bh_json *json, uint32_t object, const bh_view_row *rows)
{
	for (const bh_view_row *row = rows; row->title; row++) {
		g_autofree char *text = show_member(view, json, object, row, true);
		bh_table_add(table, paint_of(row, text), text);
	}
}

void bh_view_one(const bh_view *view, const bh_json *json, uint32_t object, const bh_view_row *rows, GString *out)
{
	static const bh_column columns[] = {{NULL}, {NULL, .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, G_N_ELEMENTS(columns));
	for (const bh_view_row *row = rows; row->title; row++) {
		g_autofree char *text = show_member(view, json, object, row, false);
		if (!text || !*text)
			continue;
		bh_table_add(table, BH_FAINT, row->title);
		bh_table_add(table, paint_of(row, text), text);
	}
	bh_table_print(table, view->screen, 2, out);
}
