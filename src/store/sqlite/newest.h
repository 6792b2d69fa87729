/* The newest ids that were found so far, each once: at most `limit`, below `before`, greatest first. */
#pragma once

#include "base/id.h"

#include <glib.h>

typedef struct bh_newest {
	bh_id before;
	size_t limit;
	GArray *ids; /* of bh_id */
} bh_newest;

static inline void bh_newest_init(bh_newest *n, bh_id before, size_t limit)
{
	*n = (bh_newest){.before = before > 0 ? before : G_MAXINT64,
			 .limit = limit,
			 .ids = g_array_new(FALSE, FALSE, sizeof(bh_id))};
}

static inline void bh_newest_clear(bh_newest *n)
{
	g_clear_pointer(&n->ids, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(bh_newest, bh_newest_clear)

/* An id that is not above this one is of no interest any more. */
static inline bh_id bh_newest_floor(const bh_newest *n)
{
	if (n->limit == 0)
		return G_MAXINT64;
	return n->ids->len < n->limit ? 0 : g_array_index(n->ids, bh_id, n->ids->len - 1);
}

static inline void bh_newest_add(bh_newest *n, bh_id id)
{
	guint at = 0;

	if (id >= n->before || id <= bh_newest_floor(n))
		return;
	while (at < n->ids->len && g_array_index(n->ids, bh_id, at) > id)
		at++;
	if (at < n->ids->len && g_array_index(n->ids, bh_id, at) == id)
		return;
	g_array_insert_val(n->ids, at, id);
	if (n->ids->len > n->limit)
		g_array_set_size(n->ids, (guint)n->limit);
}
