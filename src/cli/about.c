/* The rows that lead out of this room: the engine itself, and what is known of the program. */
#include "cli/call.h"
#include "cli/help.h"
#include "cli/run.h"
#include "serve/serve.h"

static bool has_short_option(char *const *words)
{
	for (; *words; words++)
		if ((*words)[0] == '-' && (*words)[1] && (*words)[1] != '-')
			return true;
	return false;
}

/* serve reads its options itself; ours know near misses. Its short ones are not in the rows. */
static bool check_serve_options(const bh_call *call, GError **error)
{
	const bh_option *const sets[] = {call->command->options, NULL};
	if (has_short_option(call->words))
		return true;
	g_autoptr(bh_args) args = bh_args_parse(sets, call->words, error);
	return args != NULL;
}

bh_exit bh_run_serve(bh_call *call, GError **error)
{
	if (!check_serve_options(call, error))
		return BH_EXIT_USAGE;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_ptr_array_add(argv, (char *)"serve");
	for (char **word = call->words; *word; word++)
		g_ptr_array_add(argv, *word);
	int argc = (int)argv->len;
	g_ptr_array_add(argv, NULL);
	return (bh_exit)bh_serve(argc, (char **)argv->pdata);
}

bh_exit bh_run_version(bh_call *call, GError **error)
{
	bh_printf(call->json ? "{\"version\":\"%s\"}\n" : "bellhop %s\n", BH_VERSION);
	return BH_EXIT_DONE;
}

/* help, help COMMAND, help NOUN, help --markdown */
bh_exit bh_run_help(bh_call *call, GError **error)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	for (size_t i = 0; i < bh_args_count(call->args); i++)
		g_ptr_array_add(words, (char *)bh_args_operand(call->args, i));
	g_ptr_array_add(words, NULL);
	char **typed = (char **)words->pdata;
	int used;

	const bh_command *command = bh_command_find(typed, &used);
	if (bh_args_has(call->args, "markdown"))
		bh_help_markdown(out);
	else if (!typed[0])
		bh_help_overview(call->view.screen, out);
	else if (command)
		bh_help_command(command, call->view.screen, out);
	else if (typed[1] || !bh_help_noun(typed[0], call->view.screen, out))
		bh_command_unknown(typed, error);
	bh_print(out);
	return BH_EXIT_DONE;
}
