/*
 * One write on the memory store's disk. place() is the one function that moves a delivery: off its shelf and out of its
 * line, into the new state, onto the shelf and into the line of that.
 */
#include "disk.h"

#include <string.h>

/* --- Shelves and lines ----------------------------------------------------------------------------------------- */

int disk_compare_id(const void *a, const void *b, void *unused)
{
	bh_id x = ((const disk_row *)a)->d.id, y = ((const disk_row *)b)->d.id;

	(void)unused;
	return x < y ? -1 : x > y;
}

static int compare_due(const void *a, const void *b, void *unused)
{
	bh_usec x = ((const disk_row *)a)->d.due_at, y = ((const disk_row *)b)->d.due_at;

	return x != y ? (x < y ? -1 : 1) : disk_compare_id(a, b, unused);
}

disk_shelf disk_shelf_of(bh_state state)
{
	switch (state) {
	case BH_STATE_PENDING:
		return SHELF_PENDING;
	case BH_STATE_HELD:
		return SHELF_HELD;
	case BH_STATE_EXHAUSTED:
		return SHELF_EXHAUSTED;
	default:
		return SHELVES;
	}
}

static void free_line(void *data)
{
	disk_line *line = data;

	g_sequence_free(line->blocked);
	g_free(line);
}

static void unref_array(void *array)
{
	g_ptr_array_unref(array);
}

static disk_lane *need_lane(memory *m, bh_id webhook)
{
	disk_lane *lane = disk_find_lane(m, webhook);

	if (lane)
		return lane;
	lane = g_new0(disk_lane, 1);
	lane->webhook = webhook;
	for (int s = 0; s < SHELVES; s++)
		lane->shelf[s] = g_sequence_new(NULL);
	lane->lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_line);
	lane->alike = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, unref_array);
	g_hash_table_insert(m->lanes, &lane->webhook, lane);
	return lane;
}

static disk_line *line_of(const disk_row *row)
{
	disk_lane *lane = row->lane;
	disk_line *line = g_hash_table_lookup(lane->lines, row->d.order_key);

	if (line)
		return line;
	line = g_new0(disk_line, 1);
	line->blocked = g_sequence_new(NULL);
	g_hash_table_insert(lane->lines, g_strdup(row->d.order_key), line);
	return line;
}

static void onto_shelf(disk_row *row)
{
	disk_shelf shelf = disk_shelf_of(row->d.state);

	row->place = NULL;
	if (shelf < SHELVES)
		row->place = g_sequence_insert_sorted(row->lane->shelf[shelf], row,
						      shelf == SHELF_PENDING ? compare_due : disk_compare_id, NULL);
}

static void off_shelf(disk_row *row)
{
	if (row->place)
		g_sequence_remove(row->place);
	row->place = NULL;
}

/* The first of its key is open; who comes while one is there is blocked. */
static void into_line(disk_row *row)
{
	if (!row->d.order_key)
		return;
	disk_line *line = line_of(row);
	if (!line->open) {
		line->open = row;
		return;
	}
	row->d.due_at = BH_DUE_BLOCKED;
	row->turn = g_sequence_insert_sorted(line->blocked, row, disk_compare_id, NULL);
}

/* Who follows is open from then on and due at `at`; NULL: nobody does. */
static disk_row *out_of_line(disk_row *row, bh_usec at)
{
	disk_line *line = row->d.order_key ? line_of(row) : NULL;

	if (row->turn) {
		g_sequence_remove(row->turn);
		row->turn = NULL;
		return NULL;
	}
	if (!line || line->open != row)
		return NULL;
	line->open = NULL;
	GSequenceIter *first = g_sequence_get_begin_iter(line->blocked);
	if (g_sequence_iter_is_end(first))
		return NULL;
	disk_row *next = g_sequence_get(first);
	off_shelf(next);
	g_sequence_remove(next->turn);
	next->turn = NULL;
	line->open = next;
	next->d.due_at = at;
	onto_shelf(next);
	return next;
}

/* When what a write lets go is due. */
static bh_usec due_of(const bh_write *w)
{
	return w->due_at ? w->due_at : w->at;
}

/* Where `w` wants it. Returns who follows in its line, or NULL. */
static disk_row *place(memory *m, disk_row *row, const bh_write *w)
{
	bh_state from = row->d.state;
	bool was_pending = from == BH_STATE_PENDING, pending = w->state == BH_STATE_PENDING;
	bool blocked = row->turn && pending; /* it keeps its place in the line */
	disk_row *next = NULL;

	off_shelf(row);
	if (was_pending && !pending)
		next = out_of_line(row, due_of(w));
	row->d.state = w->state;
	row->d.due_at = blocked ? BH_DUE_BLOCKED : pending ? due_of(w) : 0;
	row->d.ended_at = bh_state_is_final(w->state) ? w->at : 0;
	g_free(row->d.reason);
	row->d.reason = g_strdup(w->reason);
	if (pending && !was_pending)
		into_line(row);
	onto_shelf(row);
	if (m->watcher.moved)
		m->watcher.moved(m->watcher.user, &row->d, from);
	return next;
}

static void note_due(bh_write *w, const disk_row *row)
{
	if (row && row->d.due_at != BH_DUE_BLOCKED)
		w->due[w->due_count++] = disk_waiting(row);
}

/* --- EVENT, REPLAY --------------------------------------------------------------------------------------------- */

static bool find_repeat(memory *m, bh_write *w, const char *key)
{
	const bh_event *there = g_hash_table_lookup(m->callers, key);
	unsigned char one[BH_FINGERPRINT_SIZE], other[BH_FINGERPRINT_SIZE];

	if (!there)
		return false;
	bh_event_fingerprint(there, one);
	bh_event_fingerprint(w->event, other);
	w->result = memcmp(one, other, sizeof one) == 0 ? BH_WRITE_DUPLICATE : BH_WRITE_CONFLICT;
	w->existing_event = there->id;
	return true;
}

static void note_alike(disk_row *row)
{
	GHashTable *alike = row->lane->alike;
	GPtrArray *rows = row->d.coalesce_key ? g_hash_table_lookup(alike, row->d.coalesce_key) : NULL;

	if (!row->d.coalesce_key)
		return;
	if (!rows) {
		rows = g_ptr_array_new();
		g_hash_table_insert(alike, g_strdup(row->d.coalesce_key), rows);
	}
	g_ptr_array_add(rows, row);
}

disk_row *disk_newer_delivered(const disk_row *row)
{
	GPtrArray *rows = row->d.coalesce_key ? g_hash_table_lookup(row->lane->alike, row->d.coalesce_key) : NULL;
	disk_row *newest = NULL;

	for (guint i = 0; rows && i < rows->len; i++) {
		disk_row *other = rows->pdata[i];
		if (other->d.state == BH_STATE_DELIVERED && other->d.id > (newest ? newest->d.id : row->d.id))
			newest = other;
	}
	return newest;
}

/* Is it there, or on its way? */
static bool has_set_out(const bh_delivery *d, bh_usec now)
{
	return d->state == BH_STATE_DELIVERED ||
	       (d->state == BH_STATE_PENDING && (d->due_at <= now || d->attempts > 0));
}

disk_row *disk_superseding(const disk_row *row, bh_usec now, bh_id before)
{
	GPtrArray *rows = row->d.coalesce_key ? g_hash_table_lookup(row->lane->alike, row->d.coalesce_key) : NULL;
	disk_row *out = NULL, *waits = NULL;

	for (guint i = 0; rows && i < rows->len; i++) {
		disk_row *other = rows->pdata[i];
		if (before && other->d.id >= before)
			continue;
		if (has_set_out(&other->d, now) && other->d.id > (out ? out->d.id : row->d.id))
			out = other;
		if (other->d.state == BH_STATE_PENDING && other->d.id > (waits ? waits->d.id : row->d.id))
			waits = other;
	}
	return out ? out : waits;
}

static void make(memory *m, bh_delivery *d)
{
	disk_row *row = g_new0(disk_row, 1);

	row->d = *d;
	row->d.manager_id = g_strdup(d->manager_id);
	row->d.reason = g_strdup(d->reason);
	row->d.order_key = g_strdup(d->order_key);
	row->d.coalesce_key = g_strdup(d->coalesce_key);
	row->d.delay = 0;
	row->lane = need_lane(m, d->webhook_id);
	row->d.sequence = d->order_key ? ++row->lane->sequence : 0;
	g_hash_table_insert(m->rows, &row->d.id, row);
	g_ptr_array_add(m->made, row);
	m->last_id = MAX(m->last_id, d->id);
	d->sequence = row->d.sequence;
	if (d->state == BH_STATE_PENDING) {
		into_line(row);
		d->due_at = row->d.due_at;
	} else {
		row->d.due_at = 0;
	}
	onto_shelf(row);
	note_alike(row);
	if (m->watcher.moved)
		m->watcher.moved(m->watcher.user, &row->d, 0);
}

static void make_all(memory *m, bh_write *w)
{
	for (size_t i = 0; i < w->delivery_count; i++)
		make(m, w->deliveries[i]);
}

static void apply_event(memory *m, bh_write *w)
{
	bh_event *event = w->event;
	g_autofree char *key =
		event->caller_id ? g_strdup_printf("%" G_GINT64_FORMAT "/%s", w->caller_key, event->caller_id) : NULL;

	if (key && find_repeat(m, w, key))
		return;
	g_hash_table_insert(m->events, &event->id, bh_event_ref(event));
	m->last_id = MAX(m->last_id, event->id);
	if (key)
		g_hash_table_insert(m->callers, g_steal_pointer(&key), event);
	make_all(m, w);
}

static void apply_replay(memory *m, bh_write *w)
{
	if (!g_hash_table_contains(m->events, &w->event->id))
		w->result = BH_WRITE_NOT_FOUND;
	else
		make_all(m, w);
}

/* --- RECORD ---------------------------------------------------------------------------------------------------- */

/* A record that was given twice, because nobody knew whether the first commit held, is kept once. */
static void keep_attempt(disk_row *row, const bh_attempt_row *a)
{
	disk_attempt kept = {.number = a->number,
			     .status = a->status,
			     .started_at = a->started_at,
			     .outcome = g_intern_string(a->outcome),
			     .cause = g_intern_string(a->cause)};

	if (!row->attempts)
		row->attempts = g_array_new(FALSE, FALSE, sizeof(disk_attempt));
	for (guint i = 0; i < row->attempts->len; i++)
		if (g_array_index(row->attempts, disk_attempt, i).number == a->number)
			return;
	g_array_append_val(row->attempts, kept);
}

static bool may_record(const disk_row *row, const bh_write *w)
{
	return row->d.state == BH_STATE_PENDING || (row->d.state == BH_STATE_HELD && bh_state_is_final(w->state));
}

/* One that was attempted has a time of its own to keep. */
static void hurry(bh_write *w, disk_row *newer)
{
	if (newer->d.state != BH_STATE_PENDING || newer->turn || newer->d.attempts > 0)
		return;
	off_shelf(newer);
	newer->d.due_at = MIN(newer->d.due_at, due_of(w));
	onto_shelf(newer);
	note_due(w, newer);
}

static bool apply_coalesced(memory *m, bh_write *w, disk_row *row)
{
	disk_row *newer = disk_find(m, w->superseded_by);

	/* It may have been sent in the meantime, or have given way itself. */
	if (!newer || (newer->d.state != BH_STATE_PENDING && newer->d.state != BH_STATE_DELIVERED &&
		       newer->d.state != BH_STATE_COALESCED))
		return false;
	row->d.superseded_by = newer->d.id;
	disk_row *next = place(m, row, w);
	if (next != newer || newer->d.attempts > 0)
		note_due(w, next);
	hurry(w, newer);
	return true;
}

static void keep_streak(const memory *m, const bh_write *w)
{
	disk_lane *lane = disk_find_lane(m, w->webhook_id);

	if (lane && w->streak && g_hash_table_contains(m->webhooks, &w->webhook_id))
		lane->streak = *w->streak;
}

static void apply_record(memory *m, bh_write *w)
{
	disk_row *row = disk_find(m, w->delivery_id);
	bool moves = row && may_record(row, w);

	w->result = !row ? BH_WRITE_NOT_FOUND : moves ? BH_WRITE_DONE : BH_WRITE_CONFLICT;
	if (!row)
		return;
	if (w->state == BH_STATE_COALESCED) {
		if (!moves || !apply_coalesced(m, w, row))
			w->result = BH_WRITE_CONFLICT;
		return;
	}
	if (w->attempt) {
		row->d.attempts = MAX(row->d.attempts, w->attempt->number);
		keep_attempt(row, w->attempt);
	}
	keep_streak(m, w);
	if (!moves)
		return;
	row->d.spent = w->spent;
	note_due(w, place(m, row, w));
}

/* --- MOVE, SWEEP ----------------------------------------------------------------------------------------------- */

/* What comes back to PENDING lives anew. */
static disk_row *move(memory *m, disk_row *row, const bh_write *w)
{
	bool pending = w->state == BH_STATE_PENDING;

	if (pending && (w->kind == BH_WRITE_MOVE || row->d.state == BH_STATE_EXHAUSTED))
		row->d.spent = 0;
	if (pending)
		row->d.created_at = w->at;
	return place(m, row, w);
}

static void apply_move(memory *m, bh_write *w)
{
	disk_row *row = disk_find(m, w->delivery_id);
	bool retries_blocked = row && row->turn && w->state == BH_STATE_PENDING;

	if (!row || !bh_state_may_move(row->d.state, w->state) || retries_blocked) {
		w->result = row ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
		return;
	}
	note_due(w, move(m, row, w));
	if (w->state == BH_STATE_PENDING)
		note_due(w, row);
}

static disk_row *newest_on(GSequence *shelf)
{
	disk_row *newest = NULL;

	for (GSequenceIter *i = g_sequence_get_begin_iter(shelf); !g_sequence_iter_is_end(i);
	     i = g_sequence_iter_next(i)) {
		disk_row *row = g_sequence_get(i);
		if (!newest || row->d.id > newest->d.id)
			newest = row;
	}
	return newest;
}

static bool is_old(const disk_row *row, const bh_write *w)
{
	return w->made_before == 0 || row->d.created_at < w->made_before;
}

/* Those of the first `limit` on the shelf that are old enough: with `blocked`, of those that wait for an earlier one. */
static void find_swept(GSequence *shelf, const bh_write *w, const disk_row *spared, bool blocked, GPtrArray *found)
{
	size_t looked = found->len;

	for (GSequenceIter *i = g_sequence_get_begin_iter(shelf); !g_sequence_iter_is_end(i) && looked < w->limit;
	     i = g_sequence_iter_next(i)) {
		disk_row *row = g_sequence_get(i);
		bool stays = row->d.is_test && w->state == BH_STATE_HELD; /* a test is sent whatever its webhook is */
		if (row == spared || stays || (row->turn != NULL) != blocked)
			continue;
		looked++;
		if (is_old(row, w))
			g_ptr_array_add(found, row);
	}
}

static GPtrArray *swept_by(const disk_lane *lane, const bh_write *w)
{
	GSequence *shelf = lane->shelf[disk_shelf_of(w->from)];
	const disk_row *spared = w->keep_newest ? newest_on(shelf) : NULL;
	GPtrArray *found = g_ptr_array_new();

	find_swept(shelf, w, spared, false, found);
	if (w->from == BH_STATE_PENDING)
		find_swept(shelf, w, spared, true, found);
	return found;
}

static void apply_sweep(memory *m, bh_write *w)
{
	disk_lane *lane = disk_find_lane(m, w->webhook_id);

	w->swept = 0;
	if (w->from == w->state || !bh_state_may_move(w->from, w->state)) {
		w->result = BH_WRITE_CONFLICT;
		return;
	}
	if (!lane)
		return;
	g_autoptr(GPtrArray) rows = swept_by(lane, w);
	for (guint i = 0; i < rows->len; i++)
		move(m, rows->pdata[i], w);
	w->swept = rows->len;
}

/* --- STREAK, RECOVERY ------------------------------------------------------------------------------------------ */

bool memory_is_recovering(const memory *m, bh_id webhook)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, m->recoveries);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		if (((bh_recovery *)value)->webhook_id == webhook &&
		    ((bh_recovery *)value)->state == BH_RECOVERY_RUNNING)
			return true;
	return false;
}

static void apply_recovery(memory *m, bh_write *w)
{
	bool known = g_hash_table_contains(m->webhooks, &w->recovery->webhook_id);

	if (!known || memory_is_recovering(m, w->recovery->webhook_id)) {
		w->result = known ? BH_WRITE_CONFLICT : BH_WRITE_NOT_FOUND;
		return;
	}
	bh_recovery *r = g_memdup2(w->recovery, sizeof(*r));

	r->who = g_strdup(r->who);
	m->last_id = MAX(m->last_id, r->id);
	g_hash_table_insert(m->recoveries, &r->id, r);
}

/* Exhausted ones behind the last one looked at, the oldest first. */
static GPtrArray *recoverable(const disk_lane *lane, const bh_recovery *r, size_t limit)
{
	GPtrArray *found = g_ptr_array_new();
	GSequence *shelf = lane ? lane->shelf[SHELF_EXHAUSTED] : NULL;

	for (GSequenceIter *i = shelf ? g_sequence_get_begin_iter(shelf) : NULL;
	     i && !g_sequence_iter_is_end(i) && found->len < limit; i = g_sequence_iter_next(i)) {
		disk_row *row = g_sequence_get(i);
		if (row->d.id > r->after && row->d.id <= r->up_to && row->d.created_at >= r->since && !row->d.is_test)
			g_ptr_array_add(found, row);
	}
	return found;
}

static void apply_recover(memory *m, bh_write *w)
{
	bh_recovery *r = g_hash_table_lookup(m->recoveries, &w->recovery_id);

	w->swept = 0;
	w->result = !r ? BH_WRITE_NOT_FOUND : r->state != BH_RECOVERY_RUNNING ? BH_WRITE_CONFLICT : BH_WRITE_DONE;
	if (r)
		w->recovery_state = r->state;
	if (w->result != BH_WRITE_DONE)
		return;
	w->state = BH_STATE_PENDING;
	g_autoptr(GPtrArray) rows = recoverable(disk_find_lane(m, r->webhook_id), r, w->limit);
	for (guint i = 0; i < rows->len; i++) {
		r->after = ((disk_row *)rows->pdata[i])->d.id;
		move(m, rows->pdata[i], w);
	}
	w->swept = rows->len;
	r->recovered += rows->len;
	if (rows->len < w->limit) {
		r->state = BH_RECOVERY_DONE;
		r->ended_at = w->at;
	}
	w->recovery_state = r->state;
}

static void apply_recovery_end(memory *m, bh_write *w)
{
	bh_recovery *r = g_hash_table_lookup(m->recoveries, &w->recovery_id);

	w->result = !r ? BH_WRITE_NOT_FOUND : r->state != BH_RECOVERY_RUNNING ? BH_WRITE_CONFLICT : BH_WRITE_DONE;
	if (w->result != BH_WRITE_DONE)
		return;
	r->state = BH_RECOVERY_CANCELLED;
	r->ended_at = w->at;
}

void disk_apply(memory *m, bh_write *w)
{
	w->result = BH_WRITE_DONE;
	w->due_count = 0;
	switch (w->kind) {
	case BH_WRITE_EVENT:
		apply_event(m, w);
		return;
	case BH_WRITE_RECORD:
		apply_record(m, w);
		return;
	case BH_WRITE_CHANGE:
		disk_apply_change(m, w->change, w->at);
		return;
	case BH_WRITE_MOVE:
		apply_move(m, w);
		return;
	case BH_WRITE_SWEEP:
		apply_sweep(m, w);
		return;
	case BH_WRITE_REPLAY:
		apply_replay(m, w);
		return;
	case BH_WRITE_STREAK:
		(void)need_lane(m, w->webhook_id);
		keep_streak(m, w);
		return;
	case BH_WRITE_RECOVERY:
		apply_recovery(m, w);
		return;
	case BH_WRITE_RECOVER:
		apply_recover(m, w);
		return;
	case BH_WRITE_RECOVERY_END:
		apply_recovery_end(m, w);
		return;
	case BH_WRITE_AUDIT:
		return; /* no audit log is kept here */
	}
	g_assert_not_reached();
}
