/*
 * Whom a delivery of a coalescing key gives way to. Of those with one key only the newest is sent; where the webhook has
 * conditions, the newest that they want: one that would be filtered itself must not take the place of one that is wanted.
 */
#pragma once

#include "delivery/loop.h"

typedef struct bh_newest {
	bh_id before;    /* only those that are older than it may still stand for ours; 0: all */
	unsigned asked;  /* candidates whose condition was asked for */
	/* The candidate whose condition is being asked for. */
	bh_id candidate;
	bh_event *event; /* a reference */
	bh_script *script;
} bh_newest;

typedef enum bh_newest_turn {
	BH_NEWEST_ITSELF, /* nobody stands for it: it is to be sent */
	BH_NEWEST_FOUND,  /* n->candidate goes in its place */
	BH_NEWEST_ON,     /* look again */
	BH_NEWEST_LATER,  /* look again when bh_script_host_next gives the script back */
} bh_newest_turn;

/* Zeroed at first. One look asks one condition at most. `user`: of its script. */
bh_newest_turn bh_newest_look(bh_newest *n, bh_loop *loop, const bh_waiting *ours, const bh_webhook *webhook, void *user);
void bh_newest_clear(bh_newest *n); /* at any point; zeroes it */
