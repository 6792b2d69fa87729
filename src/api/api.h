/*
 * The HTTP API: /v1, /healthz, /readyz, /metrics. libmicrohttpd on epoll threads; a connection whose event or
 * change is being committed is suspended and costs no thread. docs/openapi.yaml is the contract.
 */
#pragma once

#include "base/seal.h"
#include "base/settings.h"
#include "directory/directory.h"
#include "journal/journal.h"
#include "method/method.h"
#include "store/store.h"
#include "transport/guard.h"

/* What the API works with; all borrowed and outliving it. */
typedef struct bh_api_rooms {
	bh_store *store;
	bh_directory *directory;
	bh_journal *journal;
	const bh_sealer *sealer;
	void (*metrics)(void *user, GString *out); /* appends what other rooms have to tell, in Prometheus' text form; NULL: nothing */
	void *user;
	/* bh_guard_check_name, or what a test has in its place. Called on a thread that may block; NULL: names are not looked up. */
	bool (*check_name)(const bh_guard *guard, const bh_target *target, bh_usec timeout, char **ret_doubt, GError **error);
	/* When a webhook with this run of failures would be disabled: delivery's policy, which lies behind us. 0: not foreseeable. NULL: never. */
	bh_usec (*disables_at)(const bh_streak *streak, const bh_settings *settings);
	/*
	 * Reads the methods folder anew, as a reload of everything would, and puts it to use (bh_api_use among others). Called on a
	 * thread that may block, never twice at a time. *ret_before and *ret_now are the caller's. NULL: cannot be asked for.
	 */
	bool (*reload_methods)(void *house, bh_methods **ret_before, bh_methods **ret_now, GError **error);
	void *house;
} bh_api_rooms;

typedef struct bh_api bh_api;

/* Listens at once. BH_ERROR_IO: "cannot listen on 127.0.0.1:8380: ... (is another bellhop running? choose another with --listen)". */
bh_api *bh_api_open(const bh_api_rooms *rooms, const bh_settings *settings, bh_guard *guard, bh_methods *methods, GError **error);

/* After a reload: what is read at each request from now on. `settings` must outlive the API; references are taken. */
void bh_api_use(bh_api *api, const bh_settings *settings, bh_guard *guard, bh_methods *methods);

/* "127.0.0.1:8380" with the port that the kernel chose. */
const char *bh_api_address(const bh_api *api);

/* From now on new requests are answered 503; what is under way goes on. */
void bh_api_quiesce(bh_api *api);
/* Waits until what is under way is answered, then frees. The journal must still be open. */
void bh_api_close(bh_api *api);
