/* What most commands do: ask, follow the pages of a list, print. */
#pragma once

#include "base/id.h"
#include "cli/commands.h"

/* Asks through the call's client, which is found and made at the first time. */
bh_reply *bh_call_ask(bh_call *call, const bh_ask *ask, GError **error);
bh_reply *bh_call_get(bh_call *call, const char *what, const char *path, GError **error);

/* Standard output. */
void bh_print(const GString *text);
void bh_printf(const char *format, ...) G_GNUC_PRINTF(1, 2);
void bh_print_body(const bh_reply *reply); /* the very bytes, and a line feed if they end with none */

/* A remark that is not the command's result, to standard error. */
void bh_remark(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Operand `i` as the id of one of ours. NULL with BH_USAGE_ERROR that says what else it is. */
const char *bh_call_id(const bh_call *call, size_t i, bh_id_kind kind, GError **error);

/* Adds "?name=value" or "&name=value", escaped; nothing when `value` is NULL. */
void bh_query_add(GString *path, const char *name, const char *value);

/*
 * Prints what is at `path` (with its query), page by page up to --limit lines. `nothing` is said when there are none.
 */
bh_exit bh_call_list(bh_call *call, const char *what, const GString *path, const bh_view_row *rows, const char *nothing,
		     GError **error);

/* Prints one object: a bold line "<noun> <id>", then its rows. With --json the very bytes. */
bh_exit bh_call_show(bh_call *call, const bh_reply *reply, const char *noun, const bh_view_row *rows);

/* Prints "<noun> <id>" in bold into `out`. */
void bh_heading(const bh_call *call, GString *out, const char *noun, const char *id);
