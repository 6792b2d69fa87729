/* Percent-encoding (RFC 3986 section 2.1), strictly: what comes in is text or it is refused. */
#pragma once

#include "base/span.h"

/* New text; NULL: a broken escape, a NUL, or no valid UTF-8. */
char *bh_uri_decode(bh_span encoded);
