/* A script's run for one delivery: what it is told, and the body that its event has for the webhook. Loop thread only. */
#pragma once

#include "delivery/loop.h"

typedef struct bh_job_facts {
	const bh_webhook *webhook;
	bh_event *event;     /* outlives the run */
	bh_id delivery;
	int64_t sequence;
	int attempt;
	bool is_test;
	bh_script_part part;
	void *user;
} bh_job_facts;

/* NULL: there is no such method, or its settings do not open. *ret_body is set in any case; the caller's. */
bh_script *bh_job_begin(bh_loop *loop, const bh_job_facts *facts, GBytes **ret_body, GError **error);
