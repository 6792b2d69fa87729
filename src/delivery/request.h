/* What goes out: a call of a script made a whole request. */
#pragma once

#include "delivery/loop.h"

typedef struct bh_outgoing {
	bh_loop *loop;
	const bh_webhook *webhook;
	const bh_event *event;
	bh_call_kind kind;
	bh_paper *record;   /* notes what goes out */
	GBytes *event_body; /* as the event itself has it for the webhook: what differs is kept with the record */
	bh_transfer_done done;
	void *user;
} bh_outgoing;

/*
 * Starts it. A delivery's call is signed, says where it comes from and carries the owner's extra headers; who gives out tokens or
 * details is told none of that.
 */
bh_transfer *bh_request_start(const bh_outgoing *out, bh_request *call);
