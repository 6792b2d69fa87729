/* What reading an event (events.c) and replaying it (replay.c) share. */
#pragma once

#include "api/call.h"

/* The event that the path names, if the asker may see it; NULL: the call is answered. */
bh_event *bh_find_event(bh_call *call, bh_reader *reader);

/* May the asker know that this webhook was looked at? A manager: only of his own, as they are now. */
bool bh_sees_finding(const bh_call *call, const bh_finding *finding);

/* One row of the answer. `delivery_id` 0: none was made. `delivery` is it as it is now; NULL: not there (any more). */
void bh_write_verdict(bh_call *call, GString *out, const bh_finding *finding, int round, bh_id delivery_id,
		      const bh_delivery *delivery);

/*
 * Of a coalesced delivery the one that is sent in its place: what it gave way to may have given way in turn, and that is
 * followed to its end. 0: it is not coalesced.
 */
bh_id bh_sent_instead(bh_reader *reader, const bh_delivery *delivery);
