/* Bodies of requests: a JSON object written member by member. Pure. */
#pragma once

#include "base/span.h"
#include "base/time.h"

#include <glib.h>

GString *bh_object_new(void);
void bh_object_text(GString *body, const char *name, const char *value); /* value NULL: the member is left out */
void bh_object_raw(GString *body, const char *name, bh_span json); /* size 0: left out */
void bh_object_int(GString *body, const char *name, int64_t number);
void bh_object_seconds(GString *body, const char *name, bh_usec span); /* 10, or 2.5 */
void bh_object_list(GString *body, const char *name, const char *const *values);
void bh_object_words(GString *body, const char *name, const char *const *given); /* the same; each may be "a, b" */
bh_span bh_object_end(GString *body); /* closes the object; the bytes live as long as `body` */
