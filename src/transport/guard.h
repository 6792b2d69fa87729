/*
 * The network guard: which URLs and addresses may be reached. One parser (libcurl's) serves check and
 * connect; addresses are judged as binary, at save (literal hosts) and at the moment of connecting (all).
 */
#pragma once

#include "base/time.h"

#include <glib.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

typedef struct bh_guard bh_guard;

/*
 * `allow`: NULL-terminated; each a CIDR ("10.1.0.0/16", "fd00::/8"), an exact host with optional port
 * ("hooks.internal", "127.0.0.1:9000", "[::1]:9000": without a port every port; ":990" is that port on every host). `own`:
 * the engine's own listeners ("127.0.0.1:8380"), refused whatever is allowed. BH_ERROR_INVALID names the entry at fault.
 */
bh_guard *bh_guard_new(char *const *allow, char *const *own, bool https_only, GError **error);
bh_guard *bh_guard_ref(bh_guard *g); /* immutable and counted: a reload makes a new one */
void bh_guard_unref(bh_guard *g);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_guard, bh_guard_unref)

/* What a URL leads to, as libcurl reads it. */
typedef struct bh_target {
	char *url; /* normalised: this, and nothing else, is given to libcurl */
	char *host; /* lower case, no brackets, no trailing dot */
	unsigned port;
	bool https;
	bool trusted; /* a setting of whoever runs Bellhop named it: it may be an address of his own networks */
} bh_target;
void bh_target_clear(bh_target *target);

/*
 * Parses and checks a URL: http/https, no user info, no fragment, at most 2048 bytes, no control characters, spaces or
 * backslashes, host of ASCII, port allowed; a literal address (in any spelling) or local name is judged now. False with
 * BH_ERROR_DENIED (message begins with the rule's name, "loopback: ...") or BH_ERROR_INVALID.
 */
bool bh_guard_check_url(const bh_guard *g, const char *url, bh_target *ret_target, GError **error);

/* Judges an address at connect time for a target. NULL: go ahead. Else the name of the rule that refuses ("private", "metadata", ...). */
const char *bh_guard_refuses(const bh_guard *g, const bh_target *target, const struct sockaddr *address);

/* The rule's sentence for people. */
const char *bh_guard_rule_sentence(const char *rule);

/*
 * The same judgement at save: looks the target's name up (blocking, at most `timeout`) and judges every address that it
 * has now. False with BH_ERROR_DENIED: at least one is refused, the message begins with the rule's name and names the address. True
 * when all are allowed, and also when the name cannot be looked up, which may be better tomorrow: then *ret_doubt says why (the
 * caller's; NULL: there is none). For a thread that may block; never more than a few look-ups at a time hang.
 */
bool bh_guard_check_name(const bh_guard *g, const bh_target *target, bh_usec timeout, char **ret_doubt, GError **error);
