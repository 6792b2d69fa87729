/*
 * Options and operands of one command, read against rows.
 *
 * GLib's own option parser is not used: its rows know no "did you mean", and the same rows must
 * also give the help and docs/cli.md.
 *
 *   --name value, --name=value   an option that takes a value
 *   --name                       a switch
 *   -                            an operand (standard input), as anything without a dash
 *   --                           all that follows are operands
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* What was typed is no command, or not as the command is used: exit code 2. */
#define BH_USAGE_ERROR (bh_usage_error_quark())
GQuark bh_usage_error_quark(void);
void bh_usage_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

typedef struct bh_option {
	const char *name; /* "url" for --url */
	const char *value; /* what it takes, as the help shows it: "URL"; NULL: a switch */
	const char *help;
	bool many; /* may be given several times */
	/*
	 * Under which name its value is found; NULL: its own. For a second spelling, and for a word that means
	 * one thing to a command and another in the options that many share.
	 */
	const char *stands_for;
} bh_option;

typedef struct bh_args bh_args;

/*
 * Reads `argv` (NULL-terminated, without the command's own words) against sets of rows, each ended by a row
 * without a name; `sets` is ended by NULL, and an earlier set's row hides a later one of the same name. NULL with
 * BH_USAGE_ERROR. What is returned by the functions below lives as long as the args.
 */
bh_args *bh_args_parse(const bh_option *const *sets, char *const *argv, GError **error);
void bh_args_free(bh_args *args);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_args, bh_args_free)

bool bh_args_has(const bh_args *args, const char *name);
const char *bh_args_one(const bh_args *args, const char *name); /* NULL: not given */
const char *const *bh_args_all(const bh_args *args, const char *name); /* NULL-terminated; empty: not given */

size_t bh_args_count(const bh_args *args); /* of operands */
const char *bh_args_operand(const bh_args *args, size_t i); /* NULL: not that many */

/* Reads a whole number within least..most. False with BH_USAGE_ERROR; an option not given leaves *ret as it is. */
bool bh_args_int(const bh_args *args, const char *name, gint64 least, gint64 most, gint64 *ret, GError **error);
/* Reads a span such as "30s", in microseconds. False with BH_USAGE_ERROR; an option not given leaves *ret as it is. */
bool bh_args_span(const bh_args *args, const char *name, gint64 *ret, GError **error);
