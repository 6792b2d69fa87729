#include "base/error.h"
#include "base/settings.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static const char *const VARIABLES[] = {"BELLHOP_WINDOW", "BELLHOP_OWNERS", "BELLHOP_API_THREADS",
					"BELLHOP_RETRY_SCHEDULE"};

typedef struct place {
	char *folder;
	char *file;
} place;

static void set_up(place *p, const void *unused)
{
	p->folder = g_dir_make_tmp("bellhop-settings-XXXXXX", NULL);
	g_assert_nonnull(p->folder);
	p->file = g_build_filename(p->folder, "bellhop.conf", NULL);
}

static void tear_down(place *p, const void *unused)
{
	for (size_t i = 0; i < G_N_ELEMENTS(VARIABLES); i++)
		g_unsetenv(VARIABLES[i]);
	(void)g_remove(p->file);
	g_assert_cmpint(g_rmdir(p->folder), ==, 0);
	g_free(p->file);
	g_free(p->folder);
}

static bh_settings *load(const char *file, const char *const *overrides)
{
	g_autoptr(GError) error = NULL;
	bh_settings *s = bh_settings_load(file, (char *const *)overrides, &error);

	g_assert_no_error(error);
	g_assert_nonnull(s);
	return s;
}

static bh_settings *load_text(place *p, const char *text)
{
	g_assert_true(g_file_set_contents(p->file, text, -1, NULL));
	return load(p->file, NULL);
}

static void assert_refused(const char *file, const char *const *overrides, const char *message)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(bh_settings_load(file, (char *const *)overrides, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
	g_assert_cmpstr(error->message, ==, message);
}

static bh_usec delay(const bh_settings *s, guint i)
{
	return g_array_index(s->retry_schedule, bh_usec, i);
}

static void without_anything_the_defaults_hold(void)
{
	g_autoptr(bh_settings) s = load(NULL, NULL);

	g_assert_cmpstr(s->data_dir, ==, "var");
	g_assert_cmpstr(s->listen, ==, "127.0.0.1:8380");
	g_assert_cmpstr(s->store, ==, "");
	g_assert_cmpstr(s->owners, ==, "all");
	g_assert_cmpstr(s->unknown_event_types, ==, "refuse");
	g_assert_cmpuint(g_strv_length(s->allow), ==, 0);
	g_assert_false(s->https_only);
	g_assert_cmpuint(s->retry_schedule->len, ==, 9);
	g_assert_cmpint(delay(s, 0), ==, 5 * BH_SECOND);
	g_assert_cmpint(delay(s, 8), ==, 24 * BH_HOUR);
	g_assert_cmpint(s->lifetime, ==, 80 * BH_HOUR);
	g_assert_cmpint(s->retry_jitter_percent, ==, 20);
	g_assert_cmpint(s->total_timeout, ==, 15 * BH_SECOND);
	g_assert_cmpint(s->in_flight_max, ==, 256);
	g_assert_cmpint(s->window_bytes, ==, 32 * 1024 * 1024);
	g_assert_cmpint(s->intake_memory, ==, 64 * 1024 * 1024);
	g_assert_cmpstr(s->log_level, ==, "info");
}

static void the_schedule_ends_within_the_lifetime(void)
{
	g_autoptr(bh_settings) s = load(NULL, NULL);
	bh_usec total = 0;

	for (guint i = 0; i < s->retry_schedule->len; i++)
		total += delay(s, i);

	g_assert_cmpint(total, ==, 75 * BH_HOUR + 35 * BH_MINUTE + 5 * BH_SECOND);
	g_assert_cmpint(total, <, s->lifetime);
}

static void a_file_is_lines_of_name_and_value(place *p, const void *unused)
{
	g_autoptr(bh_settings) s = load_text(p, "\xef\xbb\xbf# a comment\n"
						"\n"
						"   \t\n"
						"owners = first   # another\n"
						"listen=[::1]:0\r\n"
						"  allow =  10.0.0.0/8 ,localhost:9000,\thooks.example  \n"
						"https_only = yes\n"
						"store = sqlite:/srv/a#b.db\n"
						"ca_file =\n"
						"window_bytes = 1GiB\n"
						"journal_queue = 5\n"
						"retry_schedule = 250ms, 7d");

	g_assert_cmpstr(s->owners, ==, "first");
	g_assert_cmpstr(s->listen, ==, "[::1]:0");
	g_assert_cmpuint(g_strv_length(s->allow), ==, 3);
	g_assert_cmpstr(s->allow[0], ==, "10.0.0.0/8");
	g_assert_cmpstr(s->allow[1], ==, "localhost:9000");
	g_assert_cmpstr(s->allow[2], ==, "hooks.example");
	g_assert_true(s->https_only);
	g_assert_cmpstr(s->store, ==, "sqlite:/srv/a#b.db");
	g_assert_cmpstr(s->ca_file, ==, "");
	g_assert_cmpint(s->window_bytes, ==, 1024 * 1024 * 1024);
	g_assert_cmpint(s->journal_queue, ==, 5);
	g_assert_cmpuint(s->retry_schedule->len, ==, 2);
	g_assert_cmpint(delay(s, 0), ==, 250 * BH_MILLISECOND);
	g_assert_cmpint(delay(s, 1), ==, 7 * BH_DAY);
}

static void a_wrong_file_is_refused_with_line_and_reason(place *p, const void *unused)
{
	static const struct {
		const char *text, *complaint;
	} rows[] = {
		{"\nretry_shedule = 5s", "line 2: unknown setting \"retry_shedule\"; did you mean \"retry_schedule\"?"},
		{"retry-schedule = 5s", "line 1: unknown setting \"retry-schedule\"; did you mean \"retry_schedule\"?"},
		{"Owners = all", "line 1: unknown setting \"Owners\"; did you mean \"owners\"?"},
		{"ownres = all", "line 1: unknown setting \"ownres\"; did you mean \"owners\"?"},
		{"lisen = 127.0.0.1:1", "line 1: unknown setting \"lisen\"; did you mean \"listen\"?"},
		{"colour = red", "line 1: unknown setting \"colour\""},
		{"owners", "line 1: \"owners\" is not \"name = value\""},
		{"= all", "line 1: unknown setting \"\""},
		{"owners = all\n#\nowners = all", "line 3: \"owners\" was given in line 1 already"},
		{"owners = some", "line 1: owners: \"some\" is none of: all, first"},
		{"owners = all, first", "line 1: owners: \"all, first\" is none of: all, first"},
		{"owners =", "line 1: owners: \"\" is none of: all, first"},
		{"https_only = maybe", "line 1: https_only: \"maybe\" is not \"yes\" or \"no\""},
		{"api_threads = many", "line 1: api_threads: \"many\" is not a whole number"},
		{"api_threads = 1.5", "line 1: api_threads: \"1.5\" is not a whole number"},
		{"api_threads =", "line 1: api_threads: \"\" is not a whole number"},
		{"api_threads = 0", "line 1: api_threads: \"0\" is out of range: 1 to 64"},
		{"api_threads = 65", "line 1: api_threads: \"65\" is out of range: 1 to 64"},
		{"api_threads = 99999999999999999999",
		 "line 1: api_threads: \"99999999999999999999\" is not a whole number"},
		{"lifetime = 80", "line 1: lifetime: \"80\" is not a span of time such as 250ms, 5s, 30m, 2h or 7d"},
		{"lifetime = 366d", "line 1: lifetime: \"366d\" is out of range: 1s to 365d"},
		{"window = 3", "line 1: window: \"3\" is out of range: 4 to 1000000"},
		{"window_bytes = 32MB", "line 1: window_bytes: \"32MB\" is not a size such as 512KiB, 32MiB or 1GiB"},
		{"window_bytes = -1", "line 1: window_bytes: \"-1\" is not a size such as 512KiB, 32MiB or 1GiB"},
		{"window_bytes = 1KiB", "line 1: window_bytes: \"1KiB\" is out of range: 512KiB to 64GiB"},
		{"window_bytes = 17179869184GiB",
		 "line 1: window_bytes: \"17179869184GiB\" is not a size such as 512KiB, 32MiB or 1GiB"},
		{"retry_schedule = 5s,,5m", "line 1: retry_schedule: \"5s,,5m\" has an empty entry"},
		{"retry_schedule = 5s,", "line 1: retry_schedule: \"5s,\" has an empty entry"},
		{"retry_schedule = 5s,soon",
		 "line 1: retry_schedule: \"soon\" is not a span of time such as 250ms, 5s, 30m, 2h or 7d"},
		{"retry_schedule = 31d", "line 1: retry_schedule: \"31d\" is out of range: each 0s to 30d"},
		{"data_dir =", "line 1: data_dir: it must not be empty"},
		{"lookup_url = site.example/{type}",
		 "line 1: lookup_url: \"site.example/{type}\" is neither https://... nor http://..."},
		{"listen = 8380",
		 "line 1: listen: \"8380\" is not an address and port such as 127.0.0.1:8380 or [::1]:8380"},
		{"listen = ::1:8380",
		 "line 1: listen: \"::1:8380\" is not an address and port such as 127.0.0.1:8380 or [::1]:8380"},
		{"listen = 127.0.0.1:65536",
		 "line 1: listen: \"127.0.0.1:65536\" is not an address and port such as 127.0.0.1:8380 or [::1]:8380"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *expected = g_strdup_printf("%s %s", p->file, rows[i].complaint);
		g_assert_true(g_file_set_contents(p->file, rows[i].text, -1, NULL));
		assert_refused(p->file, NULL, expected);
	}
}

static void a_file_that_is_no_text_is_refused(place *p, const void *unused)
{
	g_autofree char *expected = g_strdup_printf("settings file \"%s\": not UTF-8 text", p->file);

	g_assert_true(g_file_set_contents(p->file, "owners = all\n\xff\n", -1, NULL));
	assert_refused(p->file, NULL, expected);
	g_assert_true(g_file_set_contents(p->file, "owners = all\n\0\n", 15, NULL));
	assert_refused(p->file, NULL, expected);

	g_autofree char *huge = g_strnfill(1024 * 1024 + 1, '#');
	g_autofree char *too_large = g_strdup_printf("settings file \"%s\": larger than 1 MiB", p->file);
	g_assert_true(g_file_set_contents(p->file, huge, -1, NULL));
	assert_refused(p->file, NULL, too_large);
}

static void a_file_that_is_not_there_is_an_error(place *p, const void *unused)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(bh_settings_load(p->file, NULL, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_IO);
	g_assert_nonnull(strstr(error->message, p->file));
	g_clear_error(&error);

	g_assert_null(bh_settings_load(p->folder, NULL, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_IO);
}

static const char *source_of(const bh_settings *s, const char *name)
{
	g_autoptr(GArray) all = bh_settings_show(s);

	for (guint i = 0; i < all->len; i++)
		if (strcmp(g_array_index(all, bh_setting_shown, i).name, name) == 0)
			return g_array_index(all, bh_setting_shown, i).source;
	g_assert_not_reached();
}

static void command_line_beats_environment_beats_file(place *p, const void *unused)
{
	const char *const overrides[] = {"owners=all", " api_threads = 2 ", "api_threads=3", NULL};

	g_setenv("BELLHOP_OWNERS", "first", TRUE);
	g_setenv("BELLHOP_RETRY_SCHEDULE", "", TRUE);
	g_assert_true(g_file_set_contents(p->file, "owners = first\nretry_schedule = 1s\nwindow = 7\n", -1, NULL));

	g_autoptr(bh_settings) s = load(p->file, overrides);

	g_assert_cmpstr(s->owners, ==, "all");
	g_assert_cmpstr(source_of(s, "owners"), ==, "command line");
	g_assert_cmpint(s->api_threads, ==, 3); /* the last one given */
	g_assert_cmpuint(s->retry_schedule->len, ==, 0);
	g_assert_cmpstr(source_of(s, "retry_schedule"), ==, "environment");
	g_assert_cmpint(s->window, ==, 7);
	g_assert_cmpstr(source_of(s, "window"), ==, "file");
	g_assert_cmpstr(source_of(s, "listen"), ==, "default");
}

static void a_wrong_variable_or_option_is_named(place *p, const void *unused)
{
	const char *const unknown[] = {"lifetme=5s", NULL};
	const char *const wrong[] = {"lifetime=soon", NULL};
	const char *const bare[] = {"lifetime", NULL};
	const char *const bytes[] = {"ca_file=\xff", NULL};

	assert_refused(NULL, unknown, "command line: unknown setting \"lifetme\"; did you mean \"lifetime\"?");
	assert_refused(NULL, wrong,
		       "command line: lifetime: \"soon\" is not a span of time such as 250ms, 5s, 30m, 2h or 7d");
	assert_refused(NULL, bare, "command line: \"lifetime\" is not \"name = value\"");
	assert_refused(NULL, bytes, "command line: not UTF-8 text");
	g_setenv("BELLHOP_API_THREADS", "x", TRUE);
	assert_refused(NULL, NULL,
		       "environment variable BELLHOP_API_THREADS: api_threads: \"x\" is not a whole number");
}

static void what_is_shown_reads_back_the_same(void)
{
	const char *const overrides[] = {"retry_schedule=90s,36h,1ms,0s,48h",
					 "window_bytes=1536KiB",
					 "intake_memory=8388609",
					 "allow=a, b",
					 "https_only=on",
					 "lifetime=120m",
					 NULL};
	static const struct {
		const char *name, *value;
	} expected[] = {
		{"retry_schedule", "90s,36h,1ms,0s,2d"},
		{"window_bytes", "1536KiB"},
		{"intake_memory", "8388609"},
		{"allow", "a,b"},
		{"https_only", "yes"},
		{"lifetime", "2h"},
		{"retry_jitter_percent", "20"},
	};
	g_autoptr(bh_settings) s = load(NULL, overrides);
	g_autoptr(GArray) shown = bh_settings_show(s);
	g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
	size_t found = 0;

	for (guint i = 0; i < shown->len; i++) {
		const bh_setting_shown *row = &g_array_index(shown, bh_setting_shown, i);
		for (size_t e = 0; e < G_N_ELEMENTS(expected); e++) {
			if (strcmp(row->name, expected[e].name) == 0) {
				g_assert_cmpstr(row->value, ==, expected[e].value);
				found++;
			}
		}
		g_ptr_array_add(again, g_strdup_printf("%s=%s", row->name, row->value));
	}
	g_assert_cmpuint(found, ==, G_N_ELEMENTS(expected));

	g_ptr_array_add(again, NULL);
	g_autoptr(bh_settings) copy = load(NULL, (const char *const *)again->pdata);
	g_autoptr(GArray) shown_again = bh_settings_show(copy);
	for (guint i = 0; i < shown->len; i++)
		g_assert_cmpstr(g_array_index(shown, bh_setting_shown, i).value, ==,
				g_array_index(shown_again, bh_setting_shown, i).value);
}

static void where_a_setting_was_given_is_told(place *p, const void *unused)
{
	const char *const overrides[] = {"owners=all", NULL};
	g_setenv("BELLHOP_WINDOW", "9", TRUE);
	g_autofree char *in_file = g_strdup_printf("%s line 2", p->file);
	const struct {
		const char *name, *where;
	} expected[] = {
		{"allow", in_file},
		{"owners", "command line"},
		{"window", "environment variable BELLHOP_WINDOW"},
		{"listen", "default"},
	};
	g_assert_true(g_file_set_contents(p->file, "owners = first\nallow = ::1\nwindow = 7\n", -1, NULL));

	g_autoptr(bh_settings) s = load(p->file, overrides);

	for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
		g_autofree char *where = bh_settings_where(s, expected[i].name);
		g_assert_cmpstr(where, ==, expected[i].where);
	}
}

static void what_counts_from_a_start_only_is_named(void)
{
	const char *const now[] = {"window=7", "listen=127.0.0.1:1", "owners=first", "allow=::1", NULL};
	g_autoptr(bh_settings) before = load(NULL, NULL);
	g_autoptr(bh_settings) same = load(NULL, NULL);
	g_autoptr(bh_settings) next = load(NULL, now);

	g_autofree char *waiting = bh_settings_waiting_for_restart(before, next);
	g_assert_cmpstr(waiting, ==, "listen, window");
	g_assert_null(bh_settings_waiting_for_restart(before, same));
}

static const char PAGE_HEAD[] =
	"# Settings\n"
	"\n"
	"Bellhop starts without any. What is set comes from the command line, from the environment, or from a file, "
	"in\n"
	"this order of strength; the rest has its default. `bellhop config` shows each value and where it came from.\n"
	"\n"
	"The file is lines of `name = value`. `#` begins a comment, at the start of a line or after a space. An "
	"unknown\n"
	"name, a wrong value or a name given twice is an error that tells the line, and nothing starts. On the command "
	"line\n"
	"the last one given counts.\n"
	"\n"
	"Spans of time are a number with `ms`, `s`, `m`, `h` or `d`; sizes a number of bytes, or one with `KiB`, `MiB` "
	"or `GiB`;\n"
	"switches `yes` or `no`; entries of a list have commas between them.\n"
	"\n"
	"A reload (SIGHUP) takes over what has changed, except where the last column says `start`: that counts from "
	"the next\n"
	"start, and the log names it.\n"
	"\n"
	"The key that seals secrets is no setting: it is in `seal.key` in the data folder, or in the variable\n"
	"`BELLHOP_SEAL_KEY`. In the environment a setting's name is in capitals with `BELLHOP_` before it: "
	"`BELLHOP_LISTEN`.\n"
	"\n"
	"<!-- Made from the table in src/base/settings.c: BH_WRITE_DOCS=1 meson test -C build settings -->\n"
	"\n"
	"| name | type | default | range | what it does | counts from |\n"
	"|---|---|---|---|---|---|\n";

static char *settings_page(void)
{
	g_autoptr(bh_settings) s = load(NULL, NULL);
	g_autoptr(GArray) shown = bh_settings_show(s);
	GString *page = g_string_new(PAGE_HEAD);

	for (guint i = 0; i < shown->len; i++) {
		const bh_setting_shown *row = &g_array_index(shown, bh_setting_shown, i);
		const char *quote = *row->default_text ? "`" : "";
		g_string_append_printf(page, "| `%s` | %s | %s%s%s | %s | %s | %s |\n", row->name, row->type, quote,
				       row->default_text, quote, row->range, row->help,
				       row->from_start ? "start" : "reload");
	}
	return g_string_free(page, FALSE);
}

static void the_page_of_the_settings_equals_their_rows(void)
{
	const char *root = g_getenv("BH_SOURCE_ROOT");
	if (!root) {
		g_test_skip("BH_SOURCE_ROOT is not set: run by meson test");
		return;
	}
	g_autofree char *path = g_build_filename(root, "docs", "settings.md", NULL);
	g_autofree char *expected = settings_page();
	g_autofree char *found = NULL;

	if (g_getenv("BH_WRITE_DOCS"))
		g_assert_true(g_file_set_contents(path, expected, -1, NULL));
	g_assert_true(g_file_get_contents(path, &found, NULL, NULL));
	g_assert_cmpstr(found, ==, expected);
}

#define ADD(name_, function_) g_test_add(name_, place, NULL, set_up, function_, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/settings/without anything the defaults hold", without_anything_the_defaults_hold);
	g_test_add_func("/settings/the schedule ends within the lifetime", the_schedule_ends_within_the_lifetime);
	ADD("/settings/a file is lines of name and value", a_file_is_lines_of_name_and_value);
	ADD("/settings/a wrong file is refused with line and reason", a_wrong_file_is_refused_with_line_and_reason);
	ADD("/settings/a file that is no text is refused", a_file_that_is_no_text_is_refused);
	ADD("/settings/a file that is not there is an error", a_file_that_is_not_there_is_an_error);
	ADD("/settings/command line beats environment beats file", command_line_beats_environment_beats_file);
	ADD("/settings/a wrong variable or option is named", a_wrong_variable_or_option_is_named);
	ADD("/settings/where a setting was given is told", where_a_setting_was_given_is_told);
	g_test_add_func("/settings/what counts from a start only is named", what_counts_from_a_start_only_is_named);
	g_test_add_func("/settings/what is shown reads back the same", what_is_shown_reads_back_the_same);
	g_test_add_func("/settings/the page of the settings equals their rows",
			the_page_of_the_settings_equals_their_rows);
	return g_test_run();
}
