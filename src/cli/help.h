/* Help out of the table of commands: overview, one noun, one command, and the whole as docs/cli.md. Pure. */
#pragma once

#include "cli/commands.h"

void bh_help_overview(bh_screen screen, GString *out);
/* The commands that begin with this word. False: none do. */
bool bh_help_noun(const char *word, bh_screen screen, GString *out);
void bh_help_command(const bh_command *command, bh_screen screen, GString *out);
void bh_help_markdown(GString *out);
