/*
 * The memory store stands for SQLite in the simulation, so it must do what SQLite does. Both get the same writes, drawn by chance;
 * after each batch all that a loop could ask of them is compared.
 */
#include "memory_store.h"

#include "base/chance.h"
#include "base/error.h"
#include "base/seal.h"

#include <glib/gstdio.h>

#define NOON (INT64_C(1796083200) * BH_SECOND)
#define WEBHOOKS 3
#define FIRST_WEBHOOK 70
#define DELIVERIES_MAX 20000
#define BATCH_MAX 4

/* What is known of what was written: enough to name it in the next write. */
typedef struct past {
	bh_id next_id;
	bh_usec now;
	bh_id deliveries[DELIVERIES_MAX], events[DELIVERIES_MAX];
	int attempts[DELIVERIES_MAX];
	unsigned count;
	bh_id recovery; /* the last one; 0: none */
} past;

/* A write and what it points to; one of each pair of twins. */
typedef struct note {
	bh_write write;
	bh_event *event;
	bh_delivery made[WEBHOOKS], *deliveries[WEBHOOKS];
	bh_finding findings[WEBHOOKS];
	bh_attempt_row attempt;
	bh_streak streak;
	bh_recovery recovery;
} note;

typedef struct house {
	char *folder;
	bh_sealer *sealer;
	memory *disk;
	bh_store *stores[2];
	bh_reader *readers[2];
} house;

/* --- Writes by chance ---------------------------------------------------------------------------------------------- */

static int64_t draw(bh_chance *c, int64_t count)
{
	return bh_chance_between(c, 0, count - 1);
}

static char *any_key(bh_chance *c)
{
	static const char *const keys[] = {"12", "13", "14"};
	int64_t which = draw(c, 5);

	return which < 3 ? (char *)keys[which] : NULL;
}

static void make_deliveries(bh_chance *c, past *p, note *n)
{
	for (int i = 0; i < WEBHOOKS; i++) {
		if (draw(c, 3) == 0)
			continue;
		size_t k = n->write.delivery_count++;
		bh_state state = draw(c, 6) == 0 ? BH_STATE_HELD : BH_STATE_PENDING;
		n->made[k] = (bh_delivery){.id = p->next_id++,
					   .event_id = n->event->id,
					   .webhook_id = FIRST_WEBHOOK + i,
					   .state = state,
					   .created_at = p->now,
					   .due_at = p->now + (draw(c, 4) == 0 ? draw(c, 100) * BH_SECOND : 0),
					   .order_key = any_key(c),
					   .coalesce_key = any_key(c)};
		n->findings[k] =
			(bh_finding){.webhook = FIRST_WEBHOOK + i,
				     .verdict = state == BH_STATE_HELD ? BH_VERDICT_HELD : BH_VERDICT_TRIGGERED};
		n->deliveries[k] = &n->made[k];
		g_assert(p->count < DELIVERIES_MAX);
		p->events[p->count] = n->event->id;
		p->attempts[p->count] = 0;
		p->deliveries[p->count++] = n->made[k].id;
	}
	n->write.event = n->event;
	n->write.deliveries = n->deliveries;
	n->write.findings = n->findings;
	n->write.finding_count = n->write.delivery_count;
}

static bh_event *event_of(bh_id id, bh_usec now, char *caller_id)
{
	bh_event parts = {.id = id,
			  .type = (char *)"booking_added",
			  .occurred_at = now,
			  .accepted_at = now,
			  .caller_id = caller_id,
			  .data = bh_span_of("{\"property_uid\":12}")};

	return bh_event_restore(&parts);
}

static void draw_event(bh_chance *c, past *p, note *n)
{
	n->write.kind = BH_WRITE_EVENT;
	n->event = event_of(p->next_id++, p->now, NULL);
	make_deliveries(c, p, n);
}

static void draw_replay(bh_chance *c, past *p, note *n)
{
	n->write.kind = BH_WRITE_REPLAY;
	n->event = event_of(p->events[draw(c, p->count)], p->now, NULL);
	make_deliveries(c, p, n);
}

/* Young ones mostly: those are what still moves. */
static unsigned any_delivery(bh_chance *c, const past *p)
{
	unsigned young = draw(c, 4) == 0 ? 1000 : 30;

	return p->count - 1 - (unsigned)draw(c, MIN(p->count, young));
}

static void draw_streak(bh_chance *c, past *p, note *n)
{
	bool any = draw(c, 3) != 0;

	n->streak = (bh_streak){.failing_since = any ? p->now - draw(c, 1000) : 0,
				.warned = any ? (unsigned)draw(c, 4) : 0};
	n->write.streak = &n->streak;
}

static void draw_record(bh_chance *c, past *p, note *n)
{
	static const bh_state states[] = {BH_STATE_PENDING, BH_STATE_PENDING,   BH_STATE_DELIVERED, BH_STATE_DELIVERED,
					  BH_STATE_GONE,    BH_STATE_EXHAUSTED, BH_STATE_CANCELLED, BH_STATE_FILTERED};
	unsigned i = any_delivery(c, p);

	n->write.kind = BH_WRITE_RECORD;
	n->write.delivery_id = p->deliveries[i];
	n->write.webhook_id = FIRST_WEBHOOK + draw(c, WEBHOOKS);
	n->write.state = states[draw(c, G_N_ELEMENTS(states))];
	n->write.due_at = n->write.state == BH_STATE_PENDING ? p->now + draw(c, 500) * BH_SECOND : 0;
	n->write.spent = (int)draw(c, 5);
	if (draw(c, 3) == 0)
		draw_streak(c, p, n);
	if (draw(c, 4) == 0)
		return;
	n->attempt = (bh_attempt_row){.delivery_id = p->deliveries[i],
				      .number = p->attempts[i] += draw(c, 8) != 0,
				      .started_at = p->now,
				      .outcome = "failed",
				      .cause = "status",
				      .sentence = "",
				      .http_version = "",
				      .address = "",
				      .request = "",
				      .response = "",
				      .shape = "standard"};
	n->write.attempt = &n->attempt;
}

static void draw_coalesced(bh_chance *c, past *p, note *n)
{
	unsigned i = any_delivery(c, p), j = any_delivery(c, p);

	draw_record(c, p, n);
	if (i == j)
		return;
	n->write = (bh_write){.kind = BH_WRITE_RECORD,
			      .delivery_id = p->deliveries[MIN(i, j)],
			      .state = BH_STATE_COALESCED,
			      .superseded_by = p->deliveries[MAX(i, j)]};
}

static void draw_move(bh_chance *c, past *p, note *n)
{
	static const bh_state states[] = {BH_STATE_PENDING, BH_STATE_PENDING, BH_STATE_HELD, BH_STATE_CANCELLED};

	n->write.kind = BH_WRITE_MOVE;
	n->write.delivery_id = p->deliveries[any_delivery(c, p)];
	n->write.state = states[draw(c, G_N_ELEMENTS(states))];
	n->write.due_at = p->now;
}

static void draw_sweep(bh_chance *c, past *p, note *n)
{
	static const bh_state from[] = {BH_STATE_PENDING, BH_STATE_HELD, BH_STATE_EXHAUSTED},
			      to[] = {BH_STATE_PENDING, BH_STATE_HELD, BH_STATE_EXHAUSTED, BH_STATE_CANCELLED};

	n->write.kind = BH_WRITE_SWEEP;
	n->write.webhook_id = FIRST_WEBHOOK + draw(c, WEBHOOKS);
	n->write.from = from[draw(c, G_N_ELEMENTS(from))];
	n->write.state = to[draw(c, G_N_ELEMENTS(to))];
	n->write.limit = (size_t)(1 + draw(c, 8));
	n->write.keep_newest = draw(c, 4) == 0;
	n->write.made_before = draw(c, 2) ? p->now - draw(c, 100) * BH_SECOND : 0;
	n->write.due_at = p->now;
}

static void draw_recovery(bh_chance *c, past *p, note *n)
{
	n->write.webhook_id = FIRST_WEBHOOK + draw(c, WEBHOOKS);
	n->write.recovery_id = p->recovery;
	n->write.limit = (size_t)(1 + draw(c, 4));
	n->write.due_at = p->now;
	n->write.state = BH_STATE_PENDING;
	n->write.kind = draw(c, 8) == 0 ? BH_WRITE_RECOVERY_END : BH_WRITE_RECOVER;
	if (p->recovery && draw(c, 4) != 0)
		return;
	n->recovery = (bh_recovery){.id = p->recovery = p->next_id++,
				    .webhook_id = FIRST_WEBHOOK + draw(c, WEBHOOKS),
				    .since = p->now - BH_HOUR,
				    .per_second = 5,
				    .after = p->deliveries[any_delivery(c, p)],
				    .up_to = p->deliveries[p->count - 1],
				    .state = BH_RECOVERY_RUNNING,
				    .created_at = p->now,
				    .who = (char *)"somebody"};
	n->write.kind = BH_WRITE_RECOVERY;
	n->write.recovery = &n->recovery;
	n->write.recovery_id = n->recovery.id;
}

static void draw_note(bh_chance *c, past *p, note *n)
{
	int64_t which = p->count ? draw(c, 20) : 0;

	n->write.at = p->now;
	if (which < 5) {
		draw_event(c, p, n);
	} else if (which == 5) {
		draw_replay(c, p, n);
	} else if (which < 12) {
		draw_record(c, p, n);
	} else if (which == 12) {
		draw_coalesced(c, p, n);
	} else if (which < 15) {
		draw_move(c, p, n);
	} else if (which < 18) {
		draw_sweep(c, p, n);
	} else if (which == 18) {
		draw_recovery(c, p, n);
	} else {
		n->write.kind = BH_WRITE_STREAK;
		n->write.webhook_id = FIRST_WEBHOOK + draw(c, WEBHOOKS);
		draw_streak(c, p, n);
	}
	n->write.at = p->now;
}

/* --- The same to both ------------------------------------------------------------------------------------------------ */

static void same_waiting(const bh_waiting *a, const bh_waiting *b)
{
	g_assert_cmpint(a->delivery, ==, b->delivery);
	g_assert_cmpint(a->event, ==, b->event);
	g_assert_cmpint(a->webhook, ==, b->webhook);
	g_assert_cmpint(a->due_at, ==, b->due_at);
	g_assert_cmpint(a->created_at, ==, b->created_at);
	g_assert_cmpint(a->spent, ==, b->spent);
	g_assert_cmpint(a->attempts, ==, b->attempts);
	g_assert_cmpint(a->sequence, ==, b->sequence);
	g_assert_cmpint(a->may_coalesce, ==, b->may_coalesce);
}

static void same_write(const bh_write *a, const bh_write *b)
{
	g_assert_cmpint(a->result, ==, b->result);
	if (a->kind == BH_WRITE_SWEEP || a->kind == BH_WRITE_RECOVER)
		g_assert_cmpuint(a->swept, ==, b->swept);
	if (a->kind == BH_WRITE_RECOVER && a->result == BH_WRITE_DONE)
		g_assert_cmpint(a->recovery_state, ==, b->recovery_state);
	g_assert_cmpuint(a->due_count, ==, b->due_count);
	for (size_t i = 0; i < a->due_count; i++)
		same_waiting(&a->due[i], &b->due[i]);
	for (size_t i = 0; i < a->delivery_count && a->result == BH_WRITE_DONE; i++) {
		g_assert_cmpint(a->deliveries[i]->sequence, ==, b->deliveries[i]->sequence);
		g_assert_cmpint(a->deliveries[i]->due_at, ==, b->deliveries[i]->due_at);
	}
}

/* Both batches are drawn from the same chance and the same past. */
static past apply_to_both(house *h, const past *before, uint64_t seed)
{
	static past after;
	note notes[2][BATCH_MAX] = {0};
	bh_write *writes[2][BATCH_MAX];
	size_t count = 0;

	for (int twin = 0; twin < 2; twin++) {
		bh_chance c = bh_chance_seeded(seed);
		g_autoptr(GError) error = NULL;
		after = *before;
		count = (size_t)(1 + draw(&c, BATCH_MAX));
		for (size_t i = 0; i < count; i++) {
			draw_note(&c, &after, &notes[twin][i]);
			writes[twin][i] = &notes[twin][i].write;
		}
		g_assert_true(bh_store_apply(h->stores[twin], writes[twin], count, &error));
		g_assert_no_error(error);
	}
	for (size_t i = 0; i < count; i++) {
		same_write(writes[0][i], writes[1][i]);
		bh_event_unref(notes[0][i].event);
		bh_event_unref(notes[1][i].event);
	}
	return after;
}

/* --- The same from both ------------------------------------------------------------------------------------------------ */

static void same_delivery(house *h, bh_id id)
{
	g_autoptr(bh_delivery) a = bh_reader_delivery(h->readers[0], id, NULL);
	g_autoptr(bh_delivery) b = bh_reader_delivery(h->readers[1], id, NULL);

	g_assert_true(a && b);
	g_assert_cmpstr(bh_state_name(a->state), ==, bh_state_name(b->state));
	g_assert_cmpint(a->created_at, ==, b->created_at);
	g_assert_cmpint(a->ended_at, ==, b->ended_at);
	g_assert_cmpint(a->spent, ==, b->spent);
	g_assert_cmpint(a->attempts, ==, b->attempts);
	g_assert_cmpint(a->sequence, ==, b->sequence);
	g_assert_cmpint(a->superseded_by, ==, b->superseded_by);
	g_assert_cmpstr(a->order_key, ==, b->order_key);
	g_assert_cmpstr(a->coalesce_key, ==, b->coalesce_key);
	if (a->state == BH_STATE_PENDING)
		g_assert_cmpint(a->due_at, ==, b->due_at);
}

/* Down to the last candidate, as one who finds each of them filtered would ask. */
static void same_superseding(house *h, bh_id id, bh_usec now)
{
	bh_id a = 0, b = 0;

	do {
		bh_id before = a;
		g_assert_true(bh_reader_superseding(h->readers[0], id, now, before, &a, NULL));
		g_assert_true(bh_reader_superseding(h->readers[1], id, now, before, &b, NULL));
		g_assert_cmpint(a, ==, b);
		g_assert_true(a == 0 || (a > id && (before == 0 || a < before)));
	} while (a);
}

static GArray *waiting_in(house *h, int twin, bh_id webhook)
{
	GArray *rows = g_array_new(FALSE, FALSE, sizeof(bh_waiting));

	g_assert_true(bh_reader_waiting(h->readers[twin], webhook, INT64_MIN, 0, 50, rows, NULL));
	return rows;
}

static void same_webhook(house *h, bh_id webhook)
{
	g_autoptr(GArray) a = waiting_in(h, 0, webhook), b = waiting_in(h, 1, webhook);
	static const bh_state states[] = {BH_STATE_PENDING, BH_STATE_HELD};
	bh_streak one, other;

	g_assert_cmpuint(a->len, ==, b->len);
	for (guint i = 0; i < a->len; i++)
		same_waiting(&g_array_index(a, bh_waiting, i), &g_array_index(b, bh_waiting, i));
	for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
		size_t in_a = 0, in_b = 0;
		g_assert_true(bh_reader_count(h->readers[0], webhook, states[i], 100, &in_a, NULL));
		g_assert_true(bh_reader_count(h->readers[1], webhook, states[i], 100, &in_b, NULL));
		g_assert_cmpuint(in_a, ==, in_b);
	}
	g_assert_true(bh_reader_streak(h->readers[0], webhook, &one, NULL));
	g_assert_true(bh_reader_streak(h->readers[1], webhook, &other, NULL));
	g_assert_cmpint(one.failing_since, ==, other.failing_since);
	g_assert_cmpuint(one.warned, ==, other.warned);
}

static void same_all(house *h, const past *p)
{
	for (unsigned i = p->count - MIN(p->count, 60); i < p->count; i++) {
		same_delivery(h, p->deliveries[i]);
		same_superseding(h, p->deliveries[i], p->now);
	}
	for (int i = 0; i < WEBHOOKS; i++)
		same_webhook(h, FIRST_WEBHOOK + i);
}

/* --- The test ------------------------------------------------------------------------------------------------------------ */

static void add_webhook(house *h, bh_id id)
{
	g_autoptr(bh_webhook) w = bh_webhook_new();
	bh_change put = {.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = w};
	bh_write write = {.kind = BH_WRITE_CHANGE, .change = &put, .audit_who = "test", .audit_from = "", .at = NOON};
	bh_write *writes[] = {&write};

	w->id = id;
	w->revision = 1;
	w->name = g_strdup("");
	w->method = g_strdup("none");
	w->settings = g_strdup("{}");
	w->events = g_strsplit("*", ",", -1);
	w->secret = bh_secret_new("0123456789abcdef0123456789abcdef", 32);
	for (int twin = 0; twin < 2; twin++)
		g_assert_true(bh_store_apply(h->stores[twin], writes, 1, NULL));
}

static void open_house(house *h)
{
	g_autoptr(GError) error = NULL;

	h->folder = g_dir_make_tmp("bellhop-twins-XXXXXX", NULL);
	g_autofree char *key = g_build_filename(h->folder, "seal.key", NULL);
	g_autofree char *url = g_strdup_printf("sqlite:%s/bellhop.db", h->folder);
	h->sealer = bh_sealer_open(key, &error);
	g_assert_no_error(error);
	h->disk = memory_new();
	h->stores[0] = memory_open(h->disk);
	h->stores[1] = bh_store_open(url, h->sealer, &error);
	g_assert_no_error(error);
	for (int twin = 0; twin < 2; twin++)
		h->readers[twin] = bh_reader_new(h->stores[twin], NULL);
	for (int i = 0; i < WEBHOOKS; i++)
		add_webhook(h, FIRST_WEBHOOK + i);
}

static void close_house(house *h)
{
	for (int twin = 0; twin < 2; twin++) {
		bh_reader_free(h->readers[twin]);
		bh_store_close(h->stores[twin]);
	}
	memory_free(h->disk);
	bh_sealer_free(h->sealer);
	g_autoptr(GDir) dir = g_dir_open(h->folder, 0, NULL);
	for (const char *name; (name = g_dir_read_name(dir));) {
		g_autofree char *path = g_build_filename(h->folder, name, NULL);
		g_remove(path);
	}
	g_rmdir(h->folder);
	g_free(h->folder);
}

static void the_memory_store_does_what_sqlite_does(void)
{
	static past p;
	house h;

	open_house(&h);
	p = (past){.next_id = 1000, .now = NOON};
	for (uint64_t batch = 1; batch <= 1500; batch++) {
		if (g_test_verbose())
			g_test_message("batch %" G_GUINT64_FORMAT, batch);
		p = apply_to_both(&h, &p, batch);
		p.now += BH_SECOND;
		same_all(&h, &p);
	}
	close_house(&h);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/twins/the memory store does what SQLite does", the_memory_store_does_what_sqlite_does);
	return g_test_run();
}
