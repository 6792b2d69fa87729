/*
 * From the words on the command line to an exit code:
 *
 *   find the row -> read options and operands -> run it -> say what went wrong -> see that the output arrived
 */
#include "cli/cli.h"

#include "cli/call.h"
#include "cli/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "bellhop: what went wrong", then what to do, indented. */
static void say_error(const GError *error)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_auto(GStrv) lines = g_strsplit(error->message, "\n", -1);
	bh_paint_append(out, bh_screen_of(STDERR_FILENO), BH_BAD, "bellhop: ");
	g_string_append_printf(out, "%s\n", lines[0] ? lines[0] : "");
	for (char **line = lines[0] ? lines + 1 : lines; *line; line++)
		g_string_append_printf(out, "  %s\n", *line);
	fflush(stdout);
	fputs(out->str, stderr);
}

static bool asks_for_help(char *const *words)
{
	for (; *words && strcmp(*words, "--") != 0; words++)
		if (strcmp(*words, "--help") == 0 || strcmp(*words, "-h") == 0)
			return true;
	return false;
}

static bool check_operands(const bh_command *command, const bh_args *args, GError **error)
{
	size_t count = bh_args_count(args);
	bool too_many = command->most >= 0 && count > (size_t)command->most;
	if (too_many)
		bh_usage_error(error, "\"%s\" is one word too many for `bellhop %s %s`",
			       bh_args_operand(args, (size_t)command->most), command->words, command->usage);
	else if (count < (size_t)command->least)
		bh_usage_error(error, "something is missing: `bellhop %s %s`", command->words, command->usage);
	else
		return true;
	return false;
}

static bh_exit run(bh_call *call, GError **error)
{
	const bh_command *command = call->command;
	const bh_option *sets[BH_OPTION_SETS_MAX];
	if (command->traits & BH_READS_ITSELF)
		return command->run(call, error);

	bh_command_options(command, sets);
	g_autoptr(bh_args) args = bh_args_parse(sets, call->words, error);
	if (!args || !check_operands(command, args, error))
		return BH_EXIT_USAGE;
	call->args = args;
	call->json = bh_args_has(args, "json");
	bh_exit result = command->run(call, error);
	g_clear_pointer(&call->client, bh_client_free);
	return result;
}

static bh_exit run_and_say(const bh_command *command, char **words)
{
	g_autoptr(GError) error = NULL;
	bh_call call = {.command = command, .words = words};
	call.view = (bh_view){.now = bh_clock_wall(), .screen = bh_screen_of(STDOUT_FILENO)};
	bh_exit result = run(&call, &error);
	if (!error)
		return result;

	say_error(error);
	if (!g_error_matches(error, BH_USAGE_ERROR, 0))
		return result == BH_EXIT_DONE ? BH_EXIT_FAILED : result;
	fprintf(stderr, "  `bellhop %s --help` shows how it is used.\n", command->words);
	return BH_EXIT_USAGE;
}

static void show_command_help(const bh_command *command)
{
	g_autoptr(GString) out = g_string_new(NULL);
	bh_help_command(command, bh_screen_of(STDOUT_FILENO), out);
	bh_print(out);
}

/* Help when it was asked for; on standard error and with the code of wrong usage when it is only what we can say. */
static bh_exit show(const GString *help, bool was_asked_for)
{
	fputs(help->str, was_asked_for ? stdout : stderr);
	return was_asked_for ? BH_EXIT_DONE : BH_EXIT_USAGE;
}

/* No command: a plea for help, a noun alone, or something that we do not know. */
static bh_exit without_command(char **words)
{
	g_autoptr(GString) help = g_string_new(NULL);
	bool wants_help = asks_for_help(words);
	bh_screen screen = bh_screen_of(wants_help ? STDOUT_FILENO : STDERR_FILENO);
	if (g_strcmp0(words[0], "--version") == 0) {
		bh_printf("bellhop %s\n", BH_VERSION);
		return BH_EXIT_DONE;
	}
	if (words[0] && (!words[1] || wants_help) && bh_help_noun(words[0], screen, help))
		return show(help, wants_help);
	if (!words[0] || wants_help) {
		bh_help_overview(screen, help);
		return show(help, wants_help);
	}
	g_autoptr(GError) error = NULL;
	bh_command_unknown(words, &error);
	say_error(error);
	return BH_EXIT_USAGE;
}

/* A full disk or a closed pipe must not look like success. */
static bh_exit close_output(bh_exit result)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return result;
	fprintf(stderr, "bellhop: cannot write the output: %s\n", g_strerror(errno));
	return result == BH_EXIT_DONE ? BH_EXIT_FAILED : result;
}

int bh_cli_main(int argc, char **argv)
{
	int used = 0;
	char **words = argv + (argc > 0);
	const bh_command *command = bh_command_find(words, &used);
	if (!command)
		return close_output(without_command(words));
	if (!asks_for_help(words + used))
		return close_output(run_and_say(command, words + used));
	show_command_help(command);
	return close_output(BH_EXIT_DONE);
}
