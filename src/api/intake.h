/*
 * The body of a request on its way in: kept up to the route's ceiling and within the memory of all connections
 * together (setting intake_memory). The body of a request that is refused at its header is never kept. But it is let go
 * by: MHD ends the connection after an early answer, and a client in the middle of sending would see it break instead of
 * reading why. Only who asks first (Expect: 100-continue) is answered at once, and so is who announces more than 64 MiB.
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
