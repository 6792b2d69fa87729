/* What is kept of an attempt, made ready for the journal. */
#pragma once

#include "delivery/loop.h"

/* A record of an attempt of this item; notes in the flight record that it is under way. */
bh_paper *bh_record_new(bh_loop *loop, bh_item *item);

/* A record that only moves the delivery. */
bh_paper *bh_record_without_attempt(bh_loop *loop, bh_item *item, const bh_next *next);

/* A password of the method's settings: nothing that is kept of this attempt shows it. */
void bh_record_hide(bh_paper *paper, bh_span password);

/*
 * Keeps the request as it goes out, credentials masked: of several calls in one attempt the last. The body is kept if it
 * is not the event's own, which can be made again. Of what is said to and by a token service or the site's own API, as `kind` has
 * it, only what holds no credentials is kept.
 */
void bh_record_request(bh_paper *paper, const bh_request *request, bh_call_kind kind, GBytes *event_body);

/* Of the last request that was kept: another one is kept for now, and either it counts in the end or this one is taken back. */
void bh_record_set_aside(bh_paper *paper);
void bh_record_take_back(bh_paper *paper);

typedef struct bh_record_facts {
	const bh_conclusion *conclusion;
	const bh_next *next;
	const bh_answer *answer; /* NULL: none */
	bh_usec started_wall;
	bh_usec took;
} bh_record_facts;

void bh_record_conclusion(bh_paper *paper, const bh_record_facts *facts);
