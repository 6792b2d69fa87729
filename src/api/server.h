/* What the API's files share: the open server, its threads' belongings and its counters. */
#pragma once

#include "api/api.h"
#include "api/problem.h"
#include "api/routes.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

/* Counted by any thread, read by /metrics. */
typedef struct bh_api_counters {
	_Atomic uint64_t requests[BH_ROUTE_MAX + 1][6]; /* by row of BH_ROUTES (the last: no route) and status class */
	_Atomic uint64_t microseconds[BH_ROUTE_MAX + 1];
	_Atomic uint64_t accepted, duplicates;
	_Atomic uint64_t problems[BH_PROBLEMS];
	_Atomic size_t intake_bytes; /* of bodies being received or committed, all connections together */
} bh_api_counters;

/* What one API thread has for itself; made at first use, freed when the thread ends. */
typedef struct bh_api_worker {
	bh_reader *reader; /* NULL: not yet, or the store would not give one */
	bh_json *json;
	GArray *findings;
} bh_api_worker;

struct bh_api {
	bh_api_rooms rooms;
	struct MHD_Daemon *daemon;
	char *address;
	pthread_key_t worker;
	bh_api_counters counters;
	struct bh_name_pool *names;
	struct bh_rehearsals *rehearsals;
	struct bh_rates *rates;

	/* What a reload replaces. Under `lock`, but for settings: old ones stay valid, so an atomic pointer does. */
	pthread_mutex_t lock;
	_Atomic(const bh_settings *) settings;
	bh_guard *guard;
	bh_methods *methods;

	/* How bh_api_close knows that it may stop: counted by any thread, twice a request, so without a lock. */
	_Atomic size_t calls; /* begun and not yet completed */
	_Atomic size_t suspended; /* the journal has their entry, or a helper looks names up */
	_Atomic bool closed; /* no entry is handed in any more */
	_Atomic size_t answering; /* somebody is inside MHD_resume_connection */
	_Atomic bool stopping;
};

/* New references. */
bh_guard *bh_api_guard(bh_api *api);
bh_methods *bh_api_methods(bh_api *api);
bh_api_worker *bh_api_worker_here(bh_api *api);
bh_reader *bh_api_reader_here(bh_api *api, GError **error); /* the thread's; NULL: the store gives none now */
