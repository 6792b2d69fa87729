/*
 * The command line: `bellhop serve`, `bellhop send`, `bellhop webhook add` and the rest.
 *
 * Every command is a row of one table (commands.c). Those that ask or change something talk to
 * the HTTP API as any other client does; nothing here touches the store.
 */
#pragma once

/* Runs what the command line names. The result is the process's exit code: 0 done, 1 refused or failed, 2 usage. */
int bh_cli_main(int argc, char **argv);
