/*
 * The rule of order keys, at random: a store and a plain model (an array and loops) are given the same writes, and
 * after each both must say the same of every delivery. A failing run is repeated with --seed.
 */
#include "house.h"

#include "base/chance.h"

#define WEBHOOKS 2
#define KEYS 3
#define MOST 120 /* deliveries of one run */
#define STEPS 500

typedef struct row {
	bh_id id, webhook;
	int key; /* -1: none */
	bh_state state;
	bh_usec due, created;
	int attempts;
	int64_t sequence;
} row;

typedef struct model {
	house *house;
	bh_chance chance;
	GArray *rows; /* by id */
	int64_t last[WEBHOOKS]; /* sequence */
	bh_usec now;
	bh_id told[2]; /* what must have become due by the last write */
	size_t told_count;
} model;

static const char *const KEY_NAMES[KEYS] = {"a", "", "4711"};

static int64_t below(model *m, int64_t end)
{
	return bh_chance_between(&m->chance, 0, end - 1);
}

static row *row_at(model *m, guint i)
{
	return &g_array_index(m->rows, row, i);
}

static row *any_row(model *m)
{
	return row_at(m, (guint)below(m, m->rows->len));
}

static bool is_pending_of(const row *r, bh_id webhook, int key)
{
	return r->state == BH_STATE_PENDING && r->webhook == webhook && r->key == key;
}

static bool is_taken(model *m, bh_id webhook, int key)
{
	for (guint i = 0; key >= 0 && i < m->rows->len; i++) {
		if (is_pending_of(row_at(m, i), webhook, key))
			return true;
	}
	return false;
}

static void tell(model *m, bh_id id)
{
	m->told[m->told_count++] = id;
}

/* The rule itself. */
static void follow(model *m, bh_id webhook, int key, bool told)
{
	row *next = NULL;

	for (guint i = 0; key >= 0 && i < m->rows->len; i++) {
		row *r = row_at(m, i);
		if (!is_pending_of(r, webhook, key))
			continue;
		if (r->due != BH_DUE_BLOCKED)
			return;
		next = next ? next : r;
	}
	if (!next)
		return;
	next->due = m->now;
	if (told)
		tell(m, next->id);
}

static void follow_all(model *m, bh_id webhook)
{
	for (int key = 0; key < KEYS; key++)
		follow(m, webhook, key, false);
}

/* --- The writes, each in the model and in the store ---------------------------------------------------------- */

static void do_event(model *m)
{
	int key = (int)below(m, KEYS + 1) - 1;
	bh_id webhook = below(m, WEBHOOKS);
	g_autoptr(note) n = note_keyed(71 + webhook, key < 0 ? NULL : KEY_NAMES[key], NULL);
	bh_delivery *d = n->made[0];
	d->state = below(m, 6) ? BH_STATE_PENDING : BH_STATE_HELD;
	d->created_at = d->due_at = m->now;
	row r = {.id = d->id,
		 .webhook = 71 + webhook,
		 .key = key,
		 .state = d->state,
		 .created = m->now,
		 .due = is_taken(m, 71 + webhook, key) ? BH_DUE_BLOCKED : m->now,
		 .sequence = key < 0 ? 0 : ++m->last[webhook]};

	g_array_append_val(m->rows, r);
	g_assert_cmpint(apply(m->house, n), ==, BH_WRITE_DONE);
}

static void assert_told(model *m, const note *n)
{
	g_assert_cmpuint(n->write.due_count, ==, m->told_count);
	for (size_t i = 0; i < m->told_count; i++) {
		g_assert_cmpint(n->write.due[i].delivery, ==, m->told[i]);
		g_assert_cmpint(n->write.due[i].due_at, ==, m->now);
	}
}

static void leave(model *m, row *r, bh_state to)
{
	bool was_pending = r->state == BH_STATE_PENDING;

	r->state = to;
	if (was_pending)
		follow(m, r->webhook, r->key, true);
}

static bh_state any_state_but_coalesced(model *m)
{
	static const bh_state states[] = {BH_STATE_PENDING,   BH_STATE_DELIVERED, BH_STATE_HELD,    BH_STATE_GONE,
					  BH_STATE_EXHAUSTED, BH_STATE_CANCELLED, BH_STATE_FILTERED};

	return states[below(m, G_N_ELEMENTS(states))];
}

static void do_record(model *m)
{
	row *r = any_row(m);
	bh_state to = any_state_but_coalesced(m);
	bool moves = r->state == BH_STATE_PENDING || (r->state == BH_STATE_HELD && bh_state_is_final(to));
	g_autoptr(note) n = note_record(r->id, ++r->attempts, to, 1, to == BH_STATE_PENDING ? m->now + 5 : 0);
	n->write.at = m->now;

	if (moves && to == BH_STATE_PENDING)
		r->due = r->due == BH_DUE_BLOCKED ? BH_DUE_BLOCKED : m->now + 5;
	else if (moves)
		leave(m, r, to);
	g_assert_cmpint(apply(m->house, n), ==, moves ? BH_WRITE_DONE : BH_WRITE_CONFLICT);
	assert_told(m, n);
}

static void hurry(model *m, row *r)
{
	if (r->state != BH_STATE_PENDING || r->attempts > 0 || r->due == BH_DUE_BLOCKED)
		return;
	r->due = MIN(r->due, m->now);
	if (m->told_count == 0 || m->told[0] != r->id)
		tell(m, r->id);
}

static void do_coalesce(model *m)
{
	row *r = any_row(m), *newer = any_row(m);
	if (r == newer)
		return;
	bool stands = newer->state == BH_STATE_PENDING || newer->state == BH_STATE_DELIVERED ||
		      newer->state == BH_STATE_COALESCED;
	bool moves = stands && !bh_state_is_final(r->state);
	g_autoptr(note) n = note_coalesced(r->id, newer->id);
	n->write.at = m->now;

	if (moves) {
		leave(m, r, BH_STATE_COALESCED);
		hurry(m, newer);
	}
	g_assert_cmpint(apply(m->house, n), ==, moves ? BH_WRITE_DONE : BH_WRITE_CONFLICT);
	g_assert_cmpuint(n->write.due_count, ==, m->told_count);
	for (size_t i = 0; i < m->told_count; i++)
		g_assert_cmpint(n->write.due[i].delivery, ==, m->told[i]);
}

static void do_move(model *m)
{
	row *r = any_row(m);
	bh_state to = any_state_but_coalesced(m);
	bool is_blocked = r->state == BH_STATE_PENDING && r->due == BH_DUE_BLOCKED;
	bool moves = bh_state_may_move(r->state, to) && !(is_blocked && to == BH_STATE_PENDING);
	g_autoptr(note) n = note_move(r->id, to);
	n->write.at = m->now;

	if (moves && to == BH_STATE_PENDING) {
		bool joins = r->state != BH_STATE_PENDING && is_taken(m, r->webhook, r->key);
		r->due = joins ? BH_DUE_BLOCKED : m->now;
		r->created = m->now;
		r->state = BH_STATE_PENDING;
		if (!joins)
			tell(m, r->id);
	} else if (moves) {
		leave(m, r, to);
	}
	g_assert_cmpint(apply(m->house, n), ==, moves ? BH_WRITE_DONE : BH_WRITE_CONFLICT);
	assert_told(m, n);
}

/* Back to PENDING: all of a key wait at first, and follow_all lets the first of them go. */
static void put_pending(model *m, row *r)
{
	r->state = BH_STATE_PENDING;
	r->due = r->key < 0 ? m->now : BH_DUE_BLOCKED;
	r->created = m->now;
}

static int by_due(const void *a, const void *b)
{
	const row *left = *(row *const *)a, *right = *(row *const *)b;

	if (left->due != right->due)
		return left->due < right->due ? -1 : 1;
	return left->id < right->id ? -1 : left->id > right->id;
}

static GPtrArray *rows_of(model *m, bh_id webhook, bh_state state)
{
	GPtrArray *found = g_ptr_array_new();

	for (guint i = 0; i < m->rows->len; i++) {
		if (row_at(m, i)->webhook == webhook && row_at(m, i)->state == state)
			g_ptr_array_add(found, row_at(m, i));
	}
	return found;
}

/* Looks at the next `limit` of `found` from `*at` on, as long as they are blocked or not, and moves the old ones. */
static size_t sweep_some(model *m, GPtrArray *found, guint *at, size_t limit, bool blocked, const note *n)
{
	size_t swept = 0;

	for (size_t seen = 0; seen < limit && *at < found->len; (*at)++, seen++) {
		row *r = found->pdata[*at];
		if ((r->due == BH_DUE_BLOCKED) != blocked)
			break;
		if (n->write.made_before && r->created >= n->write.made_before)
			continue;
		if (n->write.state == BH_STATE_PENDING)
			put_pending(m, r);
		else
			r->state = n->write.state;
		swept++;
	}
	return swept;
}

static row *newest_of(GPtrArray *rows)
{
	row *newest = NULL;

	for (guint i = 0; i < rows->len; i++) {
		row *r = rows->pdata[i];
		if (!newest || r->id > newest->id)
			newest = r;
	}
	return newest;
}

static size_t sweep_pending(model *m, GPtrArray *found, const note *n)
{
	guint at = 0;
	size_t swept = 0;

	g_ptr_array_sort(found, by_due);
	if (!n->write.made_before) {
		for (; at < found->len && swept < n->write.limit; at++, swept++)
			((row *)found->pdata[at])->state = n->write.state;
		return swept;
	}
	swept = sweep_some(m, found, &at, n->write.limit, false, n);
	while (at < found->len && ((row *)found->pdata[at])->due != BH_DUE_BLOCKED)
		at++;
	return swept + sweep_some(m, found, &at, n->write.limit - swept, true, n);
}

static size_t sweep_unusual(model *m, GPtrArray *found, const note *n)
{
	size_t swept = 0;

	for (guint i = 0; i < found->len && i < n->write.limit; i++) {
		row *r = found->pdata[i];
		if (n->write.made_before && r->created >= n->write.made_before)
			continue;
		if (n->write.state == BH_STATE_PENDING)
			put_pending(m, r);
		else
			r->state = n->write.state;
		swept++;
	}
	return swept;
}

static void do_sweep(model *m)
{
	static const struct {
		bh_state from, to;
	} ways[] = {{BH_STATE_PENDING, BH_STATE_HELD},      {BH_STATE_PENDING, BH_STATE_EXHAUSTED},
		    {BH_STATE_PENDING, BH_STATE_CANCELLED}, {BH_STATE_HELD, BH_STATE_PENDING},
		    {BH_STATE_HELD, BH_STATE_EXHAUSTED},    {BH_STATE_EXHAUSTED, BH_STATE_PENDING}};
	size_t way = (size_t)below(m, G_N_ELEMENTS(ways));
	bh_id webhook = 71 + below(m, WEBHOOKS);
	g_autoptr(note) n = note_sweep(webhook, ways[way].from, ways[way].to, (size_t)below(m, 8) + 1);
	g_autoptr(GPtrArray) found = rows_of(m, webhook, ways[way].from);
	n->write.at = m->now;
	n->write.keep_newest = below(m, 3) == 0;
	n->write.made_before = below(m, 3) ? 0 : NOON + below(m, m->now - NOON + 1);
	if (n->write.keep_newest && found->len > 0)
		g_ptr_array_remove(found, newest_of(found));

	size_t swept = ways[way].from == BH_STATE_PENDING ? sweep_pending(m, found, n) : sweep_unusual(m, found, n);
	follow_all(m, webhook);
	g_assert_cmpint(apply(m->house, n), ==, BH_WRITE_DONE);
	g_assert_cmpuint(n->write.swept, ==, swept);
}

static void do_recover(model *m)
{
	bh_id webhook = 71 + below(m, WEBHOOKS), recovery = bh_id_new(), after = any_row(m)->id, up_to = any_row(m)->id;
	size_t limit = (size_t)below(m, 6) + 1, moved = 0;
	apply_and_free(m->house, note_recovery(recovery, webhook, after, up_to));
	g_autoptr(note) n = note_recover(recovery, limit);
	n->write.at = m->now;

	for (guint i = 0; i < m->rows->len && moved < limit; i++) {
		row *r = row_at(m, i);
		if (r->webhook != webhook || r->state != BH_STATE_EXHAUSTED || r->id <= after || r->id > up_to)
			continue;
		put_pending(m, r);
		moved++;
	}
	follow_all(m, webhook);
	g_assert_cmpint(apply(m->house, n), ==, BH_WRITE_DONE);
	g_assert_cmpuint(n->write.swept, ==, moved);
	if (n->write.recovery_state == BH_RECOVERY_RUNNING)
		apply_and_free(m->house, note_recovery_end(recovery));
}

static void do_restart(model *m)
{
	house_reopen(m->house);
}

/* --- The comparison ------------------------------------------------------------------------------------------ */

static void compare_rows(model *m)
{
	int open[WEBHOOKS][KEYS] = {0}, pending[WEBHOOKS][KEYS] = {0};

	for (guint i = 0; i < m->rows->len; i++) {
		const row *r = row_at(m, i);
		g_autoptr(bh_delivery) d = delivery_of(m->house, r->id);
		g_assert_cmpint(d->state, ==, r->state);
		g_assert_cmpint(d->due_at, ==, r->state == BH_STATE_PENDING ? r->due : 0);
		g_assert_cmpint(d->sequence, ==, r->sequence);
		g_assert_cmpint(d->created_at, ==, r->created);
		if (d->state == BH_STATE_PENDING && r->key >= 0) {
			pending[r->webhook - 71][r->key]++;
			open[r->webhook - 71][r->key] += d->due_at != BH_DUE_BLOCKED;
		}
	}
	for (int w = 0; w < WEBHOOKS; w++) {
		for (int key = 0; key < KEYS; key++) /* whatever the model says */
			g_assert_cmpint(open[w][key], ==, pending[w][key] > 0);
	}
}

static void compare_lane(model *m, bh_id webhook)
{
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(bh_waiting));
	g_autoptr(GPtrArray) expected = rows_of(m, webhook, BH_STATE_PENDING);
	guint at = 0;

	g_ptr_array_sort(expected, by_due);
	g_assert_true(bh_reader_waiting(m->house->reader, webhook, 0, 0, MOST, found, NULL));
	for (; at < expected->len && ((row *)expected->pdata[at])->due != BH_DUE_BLOCKED; at++) {
		g_assert_cmpuint(at, <, found->len);
		g_assert_cmpint(g_array_index(found, bh_waiting, at).delivery, ==, ((row *)expected->pdata[at])->id);
	}
	g_assert_cmpuint(at, ==, found->len);
}

static void step(model *m)
{
	static void (*const writes[])(model *) = {do_event, do_event,    do_event, do_record, do_record,
						  do_move,  do_coalesce, do_sweep, do_sweep,  do_recover};

	m->now += BH_SECOND;
	m->told_count = 0;
	if (m->rows->len < 5)
		do_event(m);
	else if (below(m, 60) == 0)
		do_restart(m);
	else
		writes[below(m, G_N_ELEMENTS(writes))](m);
}

static void one_of_each_key_may_be_sent_whatever_happens(void)
{
	for (int run = 0; run < 3; run++) {
		model m = {.house = house_open(),
			   .chance = bh_chance_seeded((uint64_t)g_test_rand_int()),
			   .rows = g_array_new(FALSE, FALSE, sizeof(row)),
			   .now = NOON};
		for (int w = 0; w < WEBHOOKS; w++)
			apply_and_free(m.house, note_webhook(71 + w, NULL));
		for (int i = 0; i < STEPS && m.rows->len < MOST; i++) {
			step(&m);
			compare_rows(&m);
			for (int w = 0; w < WEBHOOKS; w++)
				compare_lane(&m, 71 + w);
		}
		house_close(m.house);
		g_array_unref(m.rows);
	}
}

void add_order_model_tests(void)
{
	g_test_add_func("/store/order/at_random", one_of_each_key_may_be_sent_whatever_happens);
}
