/* Events of one call that are the same, and names given twice. Inside event/ only. */
#pragma once

#include "event/event.h"

/*
 * Knows the distinct events of a call. Same means: same type, same manager given, same bytes of data. Two
 * such events are one, unless both have an `id` of their own and these differ.
 */
typedef struct bh_fold bh_fold;

/* `events` (of bh_event) is the caller's; the fold adds to it. */
bh_fold *bh_fold_new(GPtrArray *events);
void bh_fold_free(bh_fold *fold);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_fold, bh_fold_free)

/*
 * Takes the event: adds it, or lets it go for the one that is there. *ret_place is its number among the distinct ones. False:
 * its own `id` is that of another event with other content or details; the event is let go.
 */
bool bh_fold_take(bh_fold *fold, bh_event *event, bool own_id, guint *ret_place);
