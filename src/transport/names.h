/*
 * Looking names up without waiting: getaddrinfo in threads of its own, at most BH_LOOKUPS_MAX at a time in the whole process, however
 * many names hang. Who has no patience drops its look-up; the thread comes back when the resolver lets it. Inside transport/ only.
 */
#pragma once

#include "base/time.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/socket.h>

#define BH_LOOKUPS_MAX 32

typedef struct bh_lookup bh_lookup;

/* Begins. `wake_fd`: an eventfd that is written to when it is over; -1: none. */
bh_lookup *bh_lookup_start(const char *host, int wake_fd);

bool bh_lookup_is_over(bh_lookup *l);
/* Waits until it is over, at most so long. False: it is not. */
bool bh_lookup_wait(bh_lookup *l, bh_usec timeout);

/*
 * Of one that is over: its addresses in the resolver's order, struct sockaddr_storage without a port, which live as long as the
 * look-up. NULL: there are none, and *ret_trouble is what getaddrinfo said (EAI_...).
 */
const GArray *bh_lookup_addresses(const bh_lookup *l, int *ret_trouble);

/* The caller's last word, over or not. */
void bh_lookup_drop(bh_lookup *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_lookup, bh_lookup_drop)
