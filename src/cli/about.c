/* The rows that lead out of this room: the engine itself, and what is known of the program. */
#include "cli/call.h"
#include "cli/help.h"
#include "cli/run.h"
#include "serve/serve.h"

bh_exit bh_run_serve(bh_call *call, GError **error)
{
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
