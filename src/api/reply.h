/* Answers: what a handler says at its end. Each sets the call's answer once; the call sends it. */
#pragma once

#include "api/call.h"
#include "api/out.h"

/* An answer in JSON; `json` is taken. */
void bh_reply_json(bh_call *call, unsigned status, GString *json);
void bh_reply_empty(bh_call *call, unsigned status);
void bh_reply_text(bh_call *call, unsigned status, GString *text, const char *content_type);

/* A header of the answer, before or after the body is set. `name` is static. */
void bh_reply_header(bh_call *call, const char *name, const char *value);
void bh_reply_etag(bh_call *call, int64_t revision);

/* A problem document. `pointer` may be NULL. */
void bh_reply_problem(bh_call *call, bh_problem problem, const char *pointer, const char *format, ...)
	G_GNUC_PRINTF(4, 5);
void bh_reply_bad_json(bh_call *call, const char *detail, unsigned line, unsigned column);
/* There is none, or it is somebody else's: always the same words. */
void bh_reply_not_found(bh_call *call);
/* Why a reader or the journal could not do it; `error` is not taken. */
void bh_reply_error(bh_call *call, const GError *error);
