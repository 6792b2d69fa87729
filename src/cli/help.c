#include "cli/help.h"

#include "cli/text.h"

#include <string.h>

#define HELP_WIDTH_MAX 100 /* longer lines are hard to read, however wide the terminal */

static const char INTRODUCTION[] = "Bellhop takes events in and delivers them to webhooks.";

static const char EXIT_CODES[] =
	"Exit codes: 0 done, 1 refused or failed, 2 the command line or a setting is wrong (nothing was asked or changed).";

/* --- Pieces -------------------------------------------------------------------------------- */

static void append_title(GString *out, bh_screen screen, const char *title)
{
	g_string_append_c(out, '\n');
	bh_paint_append(out, screen, BH_BOLD, title);
	g_string_append_c(out, '\n');
}

static void append_wrapped(GString *out, const char *text, int width)
{
	g_autoptr(GPtrArray) lines = bh_text_wrap(text, width);
	for (guint i = 0; i < lines->len; i++)
		g_string_append_printf(out, "%s\n", (const char *)lines->pdata[i]);
}

static char *spelling(const bh_option *option)
{
	return option->value ? g_strdup_printf("--%s %s", option->name, option->value)
			     : g_strdup_printf("--%s", option->name);
}

static bool is_among(const char *name, const bh_option *options)
{
	for (; options && options->name; options++)
		if (strcmp(options->name, name) == 0)
			return true;
	return false;
}

/* Without those that `hidden` (NULL: none) has a meaning of its own for. */
static void append_options(GString *out, bh_screen screen, const bh_option *options, const bh_option *hidden)
{
	static const bh_column columns[] = {{NULL}, {NULL, .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, G_N_ELEMENTS(columns));
	for (const bh_option *o = options; o->name; o++) {
		if (is_among(o->name, hidden))
			continue;
		g_autofree char *name = spelling(o);
		g_autofree char *help =
			g_strdup_printf("%s%s", o->help, o->many ? " (may be given several times)" : "");
		bh_table_add(table, BH_PLAIN, name);
		bh_table_add(table, BH_PLAIN, help);
	}
	bh_table_print(table, screen, 2, out);
}

static bool begins_with_word(const char *words, const char *word)
{
	size_t length = strlen(word);
	return strncmp(words, word, length) == 0 && (words[length] == ' ' || words[length] == '\0');
}

/* "add, list, show" of a noun; "" when the word is a command by itself. */
static char *verbs_of(const char *noun)
{
	GString *verbs = g_string_new(NULL);
	for (const bh_command *c = BH_COMMANDS; c->words; c++)
		if (begins_with_word(c->words, noun) && c->words[strlen(noun)])
			g_string_append_printf(verbs, "%s%s", verbs->len ? ", " : "", c->words + strlen(noun) + 1);
	return g_string_free(verbs, FALSE);
}

static bh_screen narrowed(bh_screen screen)
{
	screen.width = MIN(screen.width, HELP_WIDTH_MAX);
	screen.whole = false; /* prose is wrapped everywhere */
	return screen;
}

/* --- For people ---------------------------------------------------------------------------- */

void bh_help_overview(bh_screen screen, GString *out)
{
	static const bh_column columns[] = {{NULL}, {NULL, .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, G_N_ELEMENTS(columns));
	for (const bh_noun *n = BH_NOUNS; n->word; n++) {
		g_autofree char *verbs = verbs_of(n->word);
		g_autofree char *line = *verbs ? g_strdup_printf("%s: %s", n->help, verbs) : g_strdup(n->help);
		bh_table_add(table, BH_PLAIN, n->word);
		bh_table_add(table, BH_PLAIN, line);
	}

	g_string_append_printf(out, "%s\n", INTRODUCTION);
	append_title(out, screen, "Commands");
	bh_table_print(table, narrowed(screen), 2, out);
	append_title(out, screen, "First steps");
	g_string_append(out, "  bellhop serve\n"
			     "  bellhop manager add 7 --name Ada\n"
			     "  bellhop property add 12 --name \"Sea View\" --manager 7\n"
			     "  bellhop webhook add --manager 7 --url https://hooks.example/bellhop\n"
			     "  bellhop send booking_added --property 12 --wait\n\n"
			     "`bellhop help COMMAND`, or --help after it, tells more and gives an example.\n");
}

bool bh_help_noun(const char *word, bh_screen screen, GString *out)
{
	static const bh_column columns[] = {{NULL}, {NULL, .wraps = true}};
	g_autoptr(bh_table) table = bh_table_new(columns, G_N_ELEMENTS(columns));
	bool any = false;
	for (const bh_command *c = BH_COMMANDS; c->words; c++) {
		if (!begins_with_word(c->words, word))
			continue;
		g_autofree char *words = g_strdup_printf("bellhop %s", c->words);
		bh_table_add(table, BH_PLAIN, words);
		bh_table_add(table, BH_PLAIN, c->help);
		any = true;
	}
	if (any)
		bh_table_print(table, narrowed(screen), 2, out);
	return any;
}

void bh_help_command(const bh_command *command, bh_screen screen, GString *out)
{
	screen = narrowed(screen);
	g_autofree char *usage =
		g_strdup_printf("bellhop %s%s%s", command->words, *command->usage ? " " : "", command->usage);
	bh_paint_append(out, screen, BH_BOLD, usage);
	g_string_append_printf(out, "\n\n%s.\n", command->help);
	if (command->about) {
		g_string_append_c(out, '\n');
		append_wrapped(out, command->about, screen.width);
	}
	append_title(out, screen, strchr(command->example, '\n') ? "Examples" : "Example");
	g_auto(GStrv) lines = g_strsplit(command->example, "\n", -1);
	for (char **line = lines; *line; line++)
		g_string_append_printf(out, "  %s\n", *line);
	if (command->options) {
		append_title(out, screen, "Options");
		append_options(out, screen, command->options, NULL);
	}
	for (const bh_shared *s = BH_SHARED; s->title; s++) {
		if (command->traits & s->trait) {
			append_title(out, screen, s->title);
			append_options(out, screen, s->options, command->options);
		}
	}
}

/* --- docs/cli.md --------------------------------------------------------------------------- */

static void append_cell(GString *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			g_string_append_c(out, '\\');
		g_string_append_c(out, *text);
	}
}

static void append_option_rows(GString *out, const bh_option *options)
{
	g_string_append(out, "\n| option | meaning |\n|---|---|\n");
	for (const bh_option *o = options; o->name; o++) {
		g_autofree char *name = spelling(o);
		g_string_append(out, "| `");
		append_cell(out, name);
		g_string_append(out, "` | ");
		append_cell(out, o->help);
		g_string_append(out, o->many ? " (may be given several times) |\n" : " |\n");
	}
}

static void append_shared(GString *out)
{
	g_string_append(out, "\n## Options that many commands share\n");
	for (const bh_shared *s = BH_SHARED; s->title; s++) {
		g_string_append_printf(out, "\n**%s**\n", s->title);
		append_option_rows(out, s->options);
	}
}

static char *shared_of(const bh_command *command)
{
	GString *titles = g_string_new(NULL);
	for (const bh_shared *s = BH_SHARED; s->title; s++) {
		if (!(command->traits & s->trait))
			continue;
		g_string_append_printf(titles, "%s*%s*", titles->len ? ", " : "", s->title);
	}
	return g_string_free(titles, FALSE);
}

static void append_command(GString *out, const bh_command *command)
{
	const char *level = strchr(command->words, ' ') ? "###" : "##"; /* below its noun, or on its own */
	g_autofree char *shared = shared_of(command);
	g_string_append_printf(out, "\n%s bellhop %s\n\n%s.\n\n```\nbellhop %s%s%s\n```\n", level, command->words,
			       command->help, command->words, *command->usage ? " " : "", command->usage);
	if (command->about)
		g_string_append_printf(out, "\n%s\n", command->about);
	if (command->options)
		append_option_rows(out, command->options);
	if (*shared)
		g_string_append_printf(out, "\nShared options: %s.\n", shared);
	g_string_append_printf(out, "\n```sh\n%s\n```\n", command->example);
}

void bh_help_markdown(GString *out)
{
	g_string_append_printf(
		out,
		"<!-- Written by `bellhop help --markdown`; a test compares the two. -->\n"
		"# The command line\n\n%s One program does all: `bellhop serve` runs the engine, the other commands "
		"talk to it over its HTTP API.\n\n%s\n",
		INTRODUCTION, EXIT_CODES);
	append_shared(out);
	for (const bh_noun *n = BH_NOUNS; n->word; n++) {
		g_autofree char *verbs = verbs_of(n->word);
		if (*verbs)
			g_string_append_printf(out, "\n## bellhop %s\n\n%s.\n", n->word, n->help);
		for (const bh_command *c = BH_COMMANDS; c->words; c++)
			if (begins_with_word(c->words, n->word))
				append_command(out, c);
	}
}
