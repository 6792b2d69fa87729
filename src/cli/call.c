#include "cli/call.h"

#include "cli/member.h"
#include "cli/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PAGE_MAX 100 /* the API gives no more at once */
#define LIST_DEFAULT 100
#define LIST_MAX 100000

bh_reply *bh_call_ask(bh_call *call, const bh_ask *ask, GError **error)
{
	if (!call->client)
		call->client = bh_client_new(call->args, error);
	return call->client ? bh_client_ask(call->client, ask, error) : NULL;
}

bh_reply *bh_call_get(bh_call *call, const char *what, const char *path, GError **error)
{
	bh_ask ask = {.what = what, .verb = "GET", .path = path};
	return bh_call_ask(call, &ask, error);
}

/* --- Printing ------------------------------------------------------------------------------ */

/* Whether it all arrived is asked once, when standard output is closed (cli.c). */
void bh_print(const GString *text)
{
	fwrite(text->str, 1, text->len, stdout);
}

void bh_printf(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
}

void bh_print_body(const bh_reply *reply)
{
	bh_print(reply->body);
	if (reply->body->len && reply->body->str[reply->body->len - 1] != '\n')
		bh_printf("\n");
}

void bh_remark(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fflush(stdout); /* so that the two arrive in the order in which they were said */
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
	va_end(list);
}

void bh_heading(const bh_call *call, GString *out, const char *noun, const char *id)
{
	g_autofree char *shown = bh_text_visible(bh_span_of(id), false);
	g_autofree char *line = g_strdup_printf("%s %s", noun, shown);
	bh_paint_append(out, call->view.screen, BH_BOLD, line);
	g_string_append_c(out, '\n');
}

/* --- Ids and queries ----------------------------------------------------------------------- */

const char *bh_call_id(const bh_call *call, size_t i, bh_id_kind kind, GError **error)
{
	static const struct {
		const char *noun, *prefix, *look;
	} kinds[] = {
		[BH_ID_EVENT] = {"an event", "evt_", "event show"},
		[BH_ID_DELIVERY] = {"a delivery", "dlv_", "delivery show"},
		[BH_ID_WEBHOOK] = {"a webhook", "whk_", "webhook show"},
		[BH_ID_KEY] = {"a key", "key_", "key list"},
		[BH_ID_RECOVERY] = {"a recovery", "rec_", "recovery show"},
	};
	const char *text = bh_args_operand(call->args, i);
	if (g_str_has_prefix(text, kinds[kind].prefix))
		return text; /* whether there is such a thing, the API knows */
	for (size_t other = 0; other < G_N_ELEMENTS(kinds); other++) {
		if (g_str_has_prefix(text, kinds[other].prefix)) {
			bh_usage_error(
				error,
				"%s is the id of %s, and `%s` takes that of %s (%s...)\nLook at it with `bellhop %s`.",
				text, kinds[other].noun, call->command->words, kinds[kind].noun, kinds[kind].prefix,
				kinds[other].look);
			return NULL;
		}
	}
	bh_usage_error(error, "\"%s\" is no id of %s: those are %s and 13 letters and digits", text, kinds[kind].noun,
		       kinds[kind].prefix);
	return NULL;
}

void bh_query_add(GString *path, const char *name, const char *value)
{
	if (!value)
		return;
	g_autofree char *escaped = bh_path_escape(value);
	g_string_append_printf(path, "%c%s=%s", strchr(path->str, '?') ? '&' : '?', name, escaped);
}

/* --- Lists --------------------------------------------------------------------------------- */

static bh_reply *get_page(bh_call *call, const char *what, const GString *path, gint64 limit, const char *cursor,
			  GError **error)
{
	g_autoptr(GString) page = g_string_new(path->str);
	g_autofree char *count = g_strdup_printf("%" G_GINT64_FORMAT, MIN(limit, PAGE_MAX));
	bh_query_add(page, "limit", count);
	bh_query_add(page, "cursor", cursor);
	return bh_call_get(call, what, page->str, error);
}

/* How many objects the page held; they are printed (--json) or added to the table. */
static gint64 take_page(const bh_call *call, const bh_reply *page, const bh_view_row *rows, bh_table *table)
{
	gint64 count = 0;
	uint32_t data = bh_member(page->json, 0, "data");
	if (call->json)
		bh_print_body(page);
	for (uint32_t c = bh_first_item(page->json, data); c != BH_JSON_NONE; c = bh_json_next(page->json, data, c)) {
		if (!call->json)
			bh_view_add(&call->view, table, page->json, c, rows);
		count++;
	}
	return count;
}

static void print_list(const bh_call *call, const bh_table *table, gint64 count, bool more, const char *nothing)
{
	g_autoptr(GString) out = g_string_new(NULL);
	if (count) {
		bh_table_print(table, call->view.screen, 0, out);
		bh_print(out);
	} else {
		bh_remark("%s", nothing);
	}
	if (more)
		bh_remark("There are more: see them with --limit %" G_GINT64_FORMAT ".", count * 4);
}

bh_exit bh_call_list(bh_call *call, const char *what, const GString *path, const bh_view_row *rows, const char *nothing,
		     GError **error)
{
	gint64 limit = LIST_DEFAULT, count = 0;
	if (!bh_args_int(call->args, "limit", 1, LIST_MAX, &limit, error))
		return BH_EXIT_USAGE;

	g_autoptr(bh_table) table = bh_view_table(rows);
	g_autofree char *cursor = g_strdup(bh_args_one(call->args, "cursor"));
	do {
		g_autoptr(bh_reply) page = get_page(call, what, path, limit - count, cursor, error);
		if (!page)
			return BH_EXIT_FAILED;
		gint64 got = take_page(call, page, rows, table);
		g_free(cursor);
		cursor = got ? bh_member_text(page->json, 0, "next") : NULL;
		count += got;
	} while (cursor && count < limit);

	if (!call->json)
		print_list(call, table, count, cursor != NULL, nothing);
	return BH_EXIT_DONE;
}

bh_exit bh_call_show(bh_call *call, const bh_reply *reply, const char *noun, const bh_view_row *rows)
{
	if (call->json) {
		bh_print_body(reply);
		return BH_EXIT_DONE;
	}
	g_autoptr(GString) out = g_string_new(NULL);
	g_autofree char *id = bh_member_text(reply->json, 0, "id");
	bh_heading(call, out, noun, id ? id : "?");
	bh_view_one(&call->view, reply->json, 0, rows, out);
	bh_print(out);
	return BH_EXIT_DONE;
}
