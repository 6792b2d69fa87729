/*
 * Writes JSON into a GString, member by member; commas look after themselves. `name` is NULL in an array.
 * Texts from outside are made valid UTF-8; `raw` is JSON already and goes in as it is, so that the numbers of an
 * event keep every digit (jansson would rewrite them).
 */
#pragma once

#include "base/id.h"
#include "base/span.h"
#include "base/time.h"

#include <glib.h>

void bh_out_open(GString *out, const char *name, char bracket); /* '{' or '[' */
void bh_out_close(GString *out, char bracket); /* '}' or ']' */
void bh_out_text(GString *out, const char *name, const char *text); /* NULL: null */
void bh_out_span(GString *out, const char *name, bh_span text);
void bh_out_int(GString *out, const char *name, int64_t number);
void bh_out_bool(GString *out, const char *name, bool yes);
void bh_out_null(GString *out, const char *name);
void bh_out_raw(GString *out, const char *name, bh_span json); /* size 0: null */
void bh_out_time(GString *out, const char *name, bh_usec at); /* 0: null */
void bh_out_id(GString *out, const char *name, bh_id_kind kind, bh_id id); /* 0: null */
void bh_out_texts(GString *out, const char *name, char *const *texts); /* NULL-terminated; NULL: null */
