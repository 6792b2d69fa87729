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

/*
 * What a run says, as it may be kept. It quotes receivers, and these quote what they were sent: passwords are hidden as a URL, a
 * form or JSON spells them, too. New text; NULL of NULL. Without a run
 * nothing is hidden.
 */
char *bh_job_words(const bh_script *script, const char *words);
