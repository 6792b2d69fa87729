/* Asking about the webhook that the command's first operand names. */
#pragma once

#include "cli/commands.h"

/*
 * Asks `verb` /v1/webhooks/{id}`rest` with `body` (size 0: none). `attempt` is what the error says cannot be done:
 * "change". NULL with BH_USAGE_ERROR: the operand is no webhook's id.
 */
bh_reply *bh_webhook_ask(bh_call *call, const char *verb, const char *rest, bh_span body, const char *attempt,
			 GError **error);

/* Adds to `body` what the form's options say (see bh_form_fill), by the method that is given, else by the webhook's own. */
bool bh_webhook_fill_form(bh_call *call, GString *body, GError **error);
