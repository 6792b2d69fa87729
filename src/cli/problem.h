/* What the API refused (RFC 9457), said to a person: what was attempted, why not, what to do. Pure. */
#pragma once

#include "base/span.h"

#include <glib.h>

/*
 * Sets the error for an answer outside 200 to 299: "cannot add a webhook: <detail> (422 target_refused, at
 * /settings/url)", and after a line feed what to do, if we know. A body that is no problem document is shown shortened.
 * `retry_after` may be NULL.
 */
void bh_problem_error(GError **error, const char *what, const char *url, int status, bh_span body,
		      const char *retry_after);
