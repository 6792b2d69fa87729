/* The settings as they are in force, from the rows that also read them. */
#include "base/settings.h"
#include "cli/call.h"
#include "cli/object.h"
#include "cli/run.h"
#include "cli/text.h"

#include <string.h>

/* Of every string member of a row, in the order of the table. */
static void add_json(GString *out, const bh_setting_shown *s)
{
	g_autoptr(GString) json = bh_object_new();
	bh_object_text(json, "name", s->name);
	bh_object_text(json, "value", s->value);
	bh_object_text(json, "source", s->source);
	bh_object_text(json, "default", s->default_text);
	bh_object_text(json, "type", s->type);
	bh_object_text(json, "range", s->range);
	bh_object_text(json, "help", s->help);
	bh_object_end(json);
	g_string_append(out, out->len > 1 ? ",\n" : "\n");
	g_string_append(out, json->str);
}

static void print_json(const GArray *rows)
{
	g_autoptr(GString) out = g_string_new("[");
	for (guint i = 0; i < rows->len; i++)
		add_json(out, &g_array_index(rows, bh_setting_shown, i));
	g_string_append(out, "\n]\n");
	bh_print(out);
}

static void print_table(const bh_call *call, const GArray *rows)
{
	static const bh_column columns[] = {
		{"SETTING"}, {"VALUE", .shrinks = true}, {"SOURCE"}, {"HELP AND RANGE", .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, G_N_ELEMENTS(columns));
	g_autoptr(GString) out = g_string_new(NULL);
	for (guint i = 0; i < rows->len; i++) {
		const bh_setting_shown *s = &g_array_index(rows, bh_setting_shown, i);
		bool changed = strcmp(s->source, "default") != 0;
		g_autofree char *value = bh_text_visible(bh_span_of(s->value), false);
		g_autofree char *help = *s->range ? g_strdup_printf("%s [%s]", s->help, s->range) : g_strdup(s->help);
		bh_table_add(table, changed ? BH_BOLD : BH_PLAIN, s->name);
		bh_table_add(table, changed ? BH_BOLD : BH_PLAIN, *value ? value : "(empty)");
		bh_table_add(table, BH_FAINT, s->source);
		bh_table_add(table, BH_PLAIN, help);
	}
	bh_table_print(table, call->view.screen, 0, out);
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
		return BH_EXIT_FAILED;
	g_autoptr(GArray) rows = bh_settings_show(settings);
	if (call->json)
		print_json(rows);
	else
		print_table(call, rows);
	return BH_EXIT_DONE;
}
