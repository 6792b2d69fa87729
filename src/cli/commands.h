/*
 * The table of commands. Running, --help, `bellhop help`, docs/cli.md and the tests read these rows; a new command is
 * a row here, its options, and its function.
 */
#pragma once

#include "cli/args.h"
#include "cli/client.h"
#include "cli/view.h"

typedef enum bh_exit { BH_EXIT_DONE = 0, BH_EXIT_FAILED = 1, BH_EXIT_USAGE = 2 } bh_exit;

/* What a command has in common with others; each brings its options. */
typedef enum bh_trait {
	BH_ASKS = 1, /* talks to the API: --url, --key, --data-dir */
	BH_PRINTS_DATA = 2, /* --json */
	BH_WAITS = 4, /* --wait, --timeout */
	BH_LISTS = 8, /* --limit, --cursor */
	BH_READS_ITSELF = 16, /* gets its words unread; the options are for the help only */
} bh_trait;

typedef struct bh_command bh_command;

/* One command being run. */
typedef struct bh_call {
	const bh_command *command;
	const bh_args *args;
	char **words; /* as typed, after the command's own words; NULL-terminated */
	bh_client *client; /* made when first something is asked; see call.h */
	bh_view view; /* of standard output */
	bool json;
} bh_call;

struct bh_command {
	const char *words; /* "webhook add" */
	const char *usage; /* what follows them: "ID [--wait]" */
	int least, most; /* operands */
	unsigned traits; /* of bh_trait */
	const bh_option *options; /* its own; NULL: none */
	const char *help; /* one line, no full stop */
	const char *about; /* paragraphs: what to know before using it; NULL: nothing more */
	const char *example; /* lines as they are typed, `#` begins a remark */
	/* The exit code. With `error` set, that is shown, and the code is 2 for BH_USAGE_ERROR, else 1. */
	bh_exit (*run)(bh_call *call, GError **error);
};

extern const bh_command BH_COMMANDS[]; /* ends with words NULL */

/* What commands do together ("webhook", "delivery" ...): the first of their words, and a line about it. */
typedef struct bh_noun {
	const char *word;
	const char *help;
} bh_noun;
extern const bh_noun BH_NOUNS[]; /* ends with word NULL */

/* The options that a trait brings. */
typedef struct bh_shared {
	unsigned trait;
	const char *title;
	const bh_option *options;
} bh_shared;
extern const bh_shared BH_SHARED[]; /* ends with title NULL */

/* Fills `ret` with the sets of options that the command understands, NULL at the end; its own come first. */
#define BH_OPTION_SETS_MAX 7
void bh_command_options(const bh_command *command, const bh_option *ret[BH_OPTION_SETS_MAX]);

/* The command that `words` begin with; *ret_used says how many words that took. NULL: none. */
const bh_command *bh_command_find(char *const *words, int *ret_used);

/* BH_USAGE_ERROR for words that begin no command, with what was probably meant. */
void bh_command_unknown(char *const *words, GError **error);
