/*
 * The body of a request on its way in: kept up to the route's ceiling and within the memory of all connections
 * together (setting intake_memory). A request that is refused early has its small body thrown away, so that the client reads
 * the answer instead of a broken connection.
 */
#pragma once

#include "api/call.h"

/* At the header: the content type and, if told, the length. False: the call is answered. */
bool bh_intake_begin(bh_call *call);

/* At a header that was refused: decides whether the answer goes out at once or after the body. */
void bh_intake_refuse(bh_call *call);

/* Is the body NDJSON, by its content type? */
bool bh_intake_is_ndjson(const bh_call *call);

/* A piece of the body. False: enough, cut the connection. */
bool bh_intake_take(bh_call *call, bh_span piece);

/* Gives the bytes back; what they were counted for stays counted until bh_intake_drop. */
void bh_intake_forget(bh_call *call);
void bh_intake_drop(bh_call *call);
