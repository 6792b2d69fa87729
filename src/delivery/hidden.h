/*
 * Texts that may not stand in what is kept of an attempt: the credentials of its request. A script may put them into
 * a URL or a body, and many a receiver shows in its answer what it was sent.
 */
#pragma once

#include "base/span.h"

#include <glib.h>

typedef struct bh_hidden bh_hidden; /* NULL: nothing is hidden */

/* Adds a copy, and how it is spelled in a URL, a form and JSON. One so short that it stands in any text by chance is passed over. */
void bh_hide(bh_hidden **hidden, bh_span secret);
/* Adds the value of a header, or only what follows its scheme ("Basic ", "Bearer "). */
void bh_hide_header_value(bh_hidden **hidden, const char *value);
/*
 * Appends a header line of a request as it may be kept: the value is "***" unless it tells nothing, and what is masked here
 * stands nowhere else, either.
 */
void bh_hidden_append_header(bh_hidden **hidden, const char *line, GString *out);
void bh_hidden_free(bh_hidden *hidden); /* wipes */

/* Makes each hidden text in it "***". */
void bh_hidden_mask(const bh_hidden *hidden, GString *text);
void bh_hidden_mask_bytes(const bh_hidden *hidden, GByteArray *bytes);

/*
 * The form that goes to a token service, as it may be kept: each value is "***" but those of RFC 6749 that tell nothing, for no one
 * knows which of an owner's extra parameters is a key. The caller's.
 */
GString *bh_hidden_form(bh_span body);
/* Does this answer hold something that is called a token or a secret, in whatever spelling? */
bool bh_holds_tokens(bh_span answer);
