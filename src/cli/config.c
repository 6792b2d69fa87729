/*
 * The settings as they are in force, from the rows that also read them. What people get is itself a settings file: it
 * is read anywhere, however narrow, no value is ever cut, and `bellhop config > bellhop.conf` makes one to begin with.
 */
#include "base/settings.h"
#include "cli/call.h"
#include "cli/object.h"
#include "cli/run.h"
#include "cli/text.h"

#include <string.h>

#define COMMENT_WIDTH_MAX 100

/* Of every string member of a row, in the order of the table. */
static void add_json(GString *out, const bh_setting_shown *s, bool first)
{
	g_autoptr(GString) json = bh_object_new();
	bh_object_text(json, "name", s->name);
	bh_object_text(json, "value", s->value);
	bh_object_text(json, "source", s->source);
	bh_object_text(json, "default", s->default_text);
	bh_object_text(json, "type", s->type);
	bh_object_text(json, "range", s->range);
	bh_object_text(json, "help", s->help);
	bh_object_text(json, "counts_from", s->from_start ? "start" : "reload");
	bh_object_end(json);
	g_string_append(out, first ? "\n" : ",\n");
	g_string_append(out, json->str);
}

static void print_json(const GArray *rows)
{
	g_autoptr(GString) out = g_string_new("{\"data\":[");
	for (guint i = 0; i < rows->len; i++)
		add_json(out, &g_array_index(rows, bh_setting_shown, i), i == 0);
	g_string_append(out, "\n]}\n");
	bh_print(out);
}

static void add_comment(GString *out, bh_screen screen, const bh_setting_shown *s)
{
	g_autofree char *range = *s->range ? g_strdup_printf(" [%s]", s->range) : g_strdup("");
	g_autofree char *text = g_strconcat(s->help, range, s->from_start ? " A change needs a restart." : "", NULL);
	g_autoptr(GPtrArray) lines = bh_text_wrap(text, MIN(screen.width, COMMENT_WIDTH_MAX) - 2);
	for (guint i = 0; i < lines->len; i++) {
		g_autofree char *line = g_strdup_printf("# %s", (const char *)lines->pdata[i]);
		bh_paint_append(out, screen, BH_FAINT, line);
		g_string_append_c(out, '\n');
	}
}

static void add_setting(GString *out, bh_screen screen, const bh_settings *settings, const bh_setting_shown *s)
{
	g_autofree char *value = bh_text_visible(bh_span_of(s->value), false);
	g_autofree char *pair = g_strdup_printf(*value ? "%s = %s" : "%s =", s->name, value);
	g_autofree char *where = bh_settings_where(settings, s->name);
	g_autofree char *source = g_strdup_printf("  # %s", where);
	bool changed = strcmp(s->source, "default") != 0;
	bh_paint_append(out, screen, changed ? BH_BOLD : BH_PLAIN, pair);
	bh_paint_append(out, screen, BH_FAINT, source);
	g_string_append_c(out, '\n');
}

static void print_file(const bh_settings *settings, bh_screen screen, const GArray *rows)
{
	g_autoptr(GString) out = g_string_new(NULL);
	for (guint i = 0; i < rows->len; i++) {
		const bh_setting_shown *s = &g_array_index(rows, bh_setting_shown, i);
		if (i)
			g_string_append_c(out, '\n');
		add_comment(out, screen, s);
		add_setting(out, screen, settings, s);
	}
	bh_print(out);
}

/* --data-dir is the setting data_dir, as it is for serve. */
static GPtrArray *read_overrides(const bh_args *args)
{
	GPtrArray *overrides = g_ptr_array_new_with_free_func(g_free);
	const char *folder = bh_args_one(args, "data-dir");
	for (const char *const *s = bh_args_all(args, "set"); *s; s++)
		g_ptr_array_add(overrides, g_strdup(*s));
	if (folder)
		g_ptr_array_add(overrides, g_strdup_printf("data_dir=%s", folder));
	g_ptr_array_add(overrides, NULL);
	return overrides;
}

bh_exit bh_run_config(bh_call *call, GError **error)
{
	g_autoptr(GPtrArray) overrides = read_overrides(call->args);
	g_autoptr(bh_settings) settings =
		bh_settings_load(bh_args_one(call->args, "config"), (char *const *)overrides->pdata, error);
	if (!settings)
		return BH_EXIT_USAGE; /* as serve would */
	g_autoptr(GArray) rows = bh_settings_show(settings);
	if (call->json)
		print_json(rows);
	else
		print_file(settings, call->view.screen, rows);
	return BH_EXIT_DONE;
}
