/*
 * One attempt, made on the spot: the real script host, a receiver that may be pretended, and the engine's own judgement of what
 * came of it. No server, store or lane; nothing is kept.
 *
 *   plan -> the script runs -> a call -> its answer -> ... -> conclusion -> next step
 *
 * What a trial holds may be shown: credentials stand as *** in it.
 */
#pragma once

#include "cli/answerer.h"
#include "delivery/outcome.h"
#include "event/event.h"
#include "method/method.h"

typedef struct bh_trial_plan {
	bh_methods *methods;
	const char *method;
	const char *settings; /* the stored form, under `sealer` */
	const bh_sealer *sealer;
	const char *script; /* the webhook's own; NULL: none */
	const bh_event *event;
	GBytes *body; /* the event's, as the webhook's shape writes it */
	const char *owner; /* the manager who is told; NULL: none */
	bool is_test; /* sent once, whatever the conditions say */
	int attempt; /* its number, from 1: those before it are taken for spent */
	bh_usec total_timeout; /* of a call */
	bh_policy policy;
	bh_answerer *answerer;
	const bh_lookup_config *lookup; /* NULL: details are asked of nobody */
} bh_trial_plan;

typedef struct bh_trial_call {
	bh_call_kind kind;
	char *verb, *url;
	char **headers; /* "Name: value", NULL-terminated */
	GString *body;
	bool is_event_body; /* the body is the event's, or what `transform` made of it */
	bh_answer answer;
} bh_trial_call;

typedef struct bh_trial {
	GPtrArray *calls; /* of bh_trial_call, in order */
	bool changed; /* `transform` made another body of the event's */
	GBytes *body; /* what is sent; NULL: the script did not come so far */
	char *unanswered; /* why it could not go on to its end, NULL: it did */
	bool filtered; /* a condition does not want the event: then there is neither conclusion nor next step */
	char *why; /* why it is filtered, a sentence; or what the method says; NULL: nothing */
	bool by_method; /* the method itself judged, by remote.delivered, retry or fail */
	bool method_names_time; /* ... and said how long to wait */
	bh_conclusion conclusion;
	bh_next next; /* due_at counts from 0 */
} bh_trial;

/* NULL: the run could not begin. */
bh_trial *bh_trial_run(const bh_trial_plan *plan, GError **error);
void bh_trial_free(bh_trial *trial);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_trial, bh_trial_free)
