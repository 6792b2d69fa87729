/* Who answers the calls of a method that is being tried: answers that were thought up, or the real receivers. */
#pragma once

#include "base/settings.h"
#include "transport/transport.h"

#include <glib.h>
#include <stdbool.h>

typedef struct bh_answerer bh_answerer;
struct bh_answerer {
	/*
	 * Fills *ret_answer, whose buffers are the caller's then (bh_answer_forget). False: nobody answers, and the error says why. What is
	 * wrong on the way to a receiver is an answer, with its cause.
	 */
	bool (*answer)(bh_answerer *answerer, const bh_request *request, bh_answer *ret_answer, GError **error);
	void (*free)(bh_answerer *answerer);
	bool pretends;
};

/*
 * Gives the answers `given` in their order, NULL-terminated, each
 *
 *   401                         a status
 *   429 Retry-After=30          with headers
 *   400:{"title":"Exists"}      with a body; @FILE after the colon reads it from there
 *   timeout                     none: also dns, connect, tls, protocol
 *
 * What the guard refuses is refused here, too, and uses up none. NULL with BH_USAGE_ERROR, or a file that cannot be read.
 */
bh_answerer *bh_answerer_pretended(const char *const *given, bh_guard *guard, bh_usec now, GError **error);
guint bh_answerer_left(const bh_answerer *answerer); /* answers that nobody asked for */

/* Makes the calls as a delivery loop would, one at a time. NULL: it cannot be set up. */
bh_answerer *bh_answerer_real(const bh_settings *settings, bh_guard *guard, GError **error);

void bh_answerer_free(bh_answerer *answerer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_answerer, bh_answerer_free)

void bh_answer_forget(bh_answer *answer);
