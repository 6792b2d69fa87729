/*
 * Lists, against a plain model: an array in memory and a loop. Enough rows that the store has to arrange them in its
 * own way more than once, and some that come late (with ids below what is there already).
 */
#include "house.h"

#include "base/chance.h"

#include <string.h>

#define EVENTS 40000
#define BATCH 500
#define LATE 50
#define WEBHOOKS 40
#define PROPERTIES 30
#define QUERIES 300

typedef struct model_event {
	bh_id id, delivery, webhook;
	const char *type, *property, *manager; /* property and manager may be NULL */
	bh_state state;
} model_event;

typedef struct model {
	house *house;
	bh_chance chance;
	GArray *events; /* of model_event, by id */
	char names[PROPERTIES][8];
} model;

static const char *const TYPES[] = {"booking_added", "booking_cancelled", "room_added"};

static int64_t below(model *m, int64_t end)
{
	return bh_chance_between(&m->chance, 0, end - 1);
}

/* Ids in steps, so that there is room between them for late ones. */
static model_event invent(model *m, bh_id id)
{
	return (model_event){
		.id = id,
		.delivery = id + 1,
		.webhook = 1000 + below(m, WEBHOOKS) * below(m, WEBHOOKS), /* some have many, some have none */
		.type = below(m, 100) == 0 ? "rare_type" : TYPES[below(m, G_N_ELEMENTS(TYPES))],
		.property = below(m, 10) ? m->names[below(m, PROPERTIES)] : NULL,
		.manager = below(m, 10)  ? NULL
			   : below(m, 2) ? "17"
					 : "18",
		.state = BH_STATE_PENDING,
	};
}

static note *note_of(const model_event *e)
{
	bh_event parts = {.id = e->id,
			  .type = (char *)e->type,
			  .accepted_at = NOON,
			  .property_id = (char *)e->property,
			  .manager_id = (char *)e->manager,
			  .data = bh_span_of("{}")};
	note *n = note_event_of(&parts, (bh_id[]){e->webhook, 0});

	n->made[0]->id = e->delivery;
	return n;
}

static void write_batch(model *m, bh_id first, size_t count)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func((GDestroyNotify)note_free);
	g_autoptr(GError) error = NULL;

	for (size_t i = 0; i < count; i++) {
		model_event e = invent(m, first + (bh_id)i * 10);
		g_array_append_val(m->events, e);
		g_ptr_array_add(notes, note_of(&e));
	}
	g_assert_true(apply_all(m->house, (note *const *)notes->pdata, count, &error));
	g_assert_no_error(error);
}

static int by_id(const void *a, const void *b)
{
	bh_id left = ((const model_event *)a)->id, right = ((const model_event *)b)->id;

	return left < right ? -1 : left > right;
}

/* Batches change places with their neighbours now and then, as if one had been tried again; or all come backwards. */
static void write_all(model *m)
{
	bool backwards = below(m, 3) == 0;

	for (bh_id first = 0; first < EVENTS; first += 2 * BATCH) {
		bh_id place = backwards ? EVENTS - 2 * BATCH - first : first;
		bool swap = below(m, 4) == 0;
		write_batch(m, 10 * (place + (swap ? BATCH : 0)) + 10, BATCH);
		write_batch(m, 10 * (place + (swap ? 0 : BATCH)) + 10, BATCH);
	}
	for (int i = 0; i < LATE; i++) /* long after, in a gap in each fiftieth */
		write_batch(m, 10 * (i * (EVENTS / LATE) + below(m, EVENTS / LATE)) + 3, 1);
	g_array_sort(m->events, by_id);
}

static void end_some(model *m)
{
	static const bh_state ends[] = {BH_STATE_HELD,      BH_STATE_DELIVERED, BH_STATE_GONE,    BH_STATE_EXHAUSTED,
					BH_STATE_COALESCED, BH_STATE_CANCELLED, BH_STATE_FILTERED};
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func((GDestroyNotify)note_free);
	g_autoptr(GError) error = NULL;
	bh_id last = g_array_index(m->events, model_event, m->events->len - 1).delivery; /* stays pending */

	for (guint i = 0; i + 1 < m->events->len; i++) {
		model_event *e = &g_array_index(m->events, model_event, i);
		if (below(m, 20) == 0)
			continue;
		e->state = below(m, 3) ? BH_STATE_DELIVERED : ends[below(m, G_N_ELEMENTS(ends))];
		g_ptr_array_add(notes, e->state == BH_STATE_COALESCED ? note_coalesced(e->delivery, last)
								      : note_record(e->delivery, 0, e->state, 0, 0));
	}
	g_assert_true(apply_all(m->house, (note *const *)notes->pdata, notes->len, &error));
	g_assert_no_error(error);
}

static void model_init(model *m)
{
	*m = (model){.house = house_open(), .chance = bh_chance_seeded((uint64_t)g_test_rand_int())};
	m->events = g_array_new(FALSE, FALSE, sizeof(model_event));
	for (int i = 0; i < PROPERTIES; i++)
		g_snprintf(m->names[i], sizeof m->names[i], "%d", i);
	write_all(m);
	end_some(m);
}

static void model_clear(model *m)
{
	g_array_unref(m->events);
	house_close(m->house);
}

/* --- The same question to both ------------------------------------------------------------------------------- */

static bool delivery_fits(const model_event *e, const bh_list *list)
{
	bool listed = !list->webhooks;

	for (size_t i = 0; i < list->webhook_count; i++)
		listed = listed || list->webhooks[i] == e->webhook;
	return listed && (!list->state || e->state == list->state) && (!list->before || e->delivery < list->before) &&
	       (!list->event || e->id == list->event);
}

static bool is_own(const model_event *e, const bh_list *list)
{
	const char *const *own = (const char *const *)list->property_ids;

	return !list->manager_id || g_strcmp0(e->manager, list->manager_id) == 0 ||
	       (own && e->property && g_strv_contains(own, e->property));
}

static bool event_fits(const model_event *e, const bh_list *list)
{
	return is_own(e, list) && (!list->type || strcmp(e->type, list->type) == 0) &&
	       (!list->property_id || g_strcmp0(e->property, list->property_id) == 0) &&
	       (!list->before || e->id < list->before);
}

static void compare_deliveries(model *m, const bh_list *list)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) found = bh_reader_deliveries(m->house->reader, list, &error);
	size_t expected = 0;

	g_assert_no_error(error);
	for (guint i = m->events->len; i-- > 0 && expected < list->limit;) {
		const model_event *e = &g_array_index(m->events, model_event, i);
		if (!delivery_fits(e, list))
			continue;
		g_assert_cmpuint(expected, <, found->len);
		const bh_delivery *d = found->pdata[expected++];
		g_assert_cmpint(d->id, ==, e->delivery);
		g_assert_cmpint(d->state, ==, e->state);
	}
	g_assert_cmpuint(found->len, ==, expected);
}

static void compare_events(model *m, const bh_list *list)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) found = bh_reader_events(m->house->reader, list, &error);
	size_t expected = 0;

	g_assert_no_error(error);
	for (guint i = m->events->len; i-- > 0 && expected < list->limit;) {
		const model_event *e = &g_array_index(m->events, model_event, i);
		if (!event_fits(e, list))
			continue;
		g_assert_cmpuint(expected, <, found->len);
		const bh_event *f = found->pdata[expected++];
		g_assert_cmpint(f->id, ==, e->id);
		g_assert_cmpstr(f->type, ==, e->type);
	}
	g_assert_cmpuint(found->len, ==, expected);
}

static void ask_for_deliveries(model *m)
{
	static const bh_state states[] = {0,
					  0,
					  BH_STATE_PENDING,
					  BH_STATE_HELD,
					  BH_STATE_DELIVERED,
					  BH_STATE_GONE,
					  BH_STATE_EXHAUSTED,
					  BH_STATE_COALESCED,
					  BH_STATE_CANCELLED,
					  BH_STATE_FILTERED};
	bh_id webhooks[5];
	bh_list list = {.state = states[below(m, G_N_ELEMENTS(states))], .limit = (size_t)below(m, 120)};

	if (below(m, 3)) {
		list.webhooks = webhooks;
		list.webhook_count = (size_t)below(m, G_N_ELEMENTS(webhooks) + 1);
		for (size_t i = 0; i < list.webhook_count; i++)
			webhooks[i] = 1000 + below(m, WEBHOOKS) * below(m, WEBHOOKS);
	}
	if (below(m, 3))
		list.before = below(m, 10 * EVENTS + 20);
	if (below(m, 10) == 0)
		list.event = 10 * below(m, EVENTS);
	compare_deliveries(m, &list);
}

static void ask_for_events(model *m)
{
	char *own[6] = {0};
	bh_list list = {.limit = (size_t)below(m, 120)};

	if (below(m, 2)) {
		list.manager_id = below(m, 2) ? "17" : "nobody";
		for (int i = 0; i < below(m, G_N_ELEMENTS(own)); i++)
			own[i] = m->names[below(m, PROPERTIES)];
		if (below(m, 5))
			list.property_ids = own;
	}
	if (below(m, 2))
		list.type = below(m, 3) ? TYPES[below(m, G_N_ELEMENTS(TYPES))] : "rare_type";
	if (below(m, 3) == 0)
		list.property_id = m->names[below(m, PROPERTIES)];
	if (below(m, 3))
		list.before = below(m, 10 * EVENTS + 20);
	compare_events(m, &list);
}

static void lists_tell_what_a_plain_loop_tells(void)
{
	model m;
	model_init(&m);

	for (int i = 0; i < QUERIES; i++) {
		ask_for_deliveries(&m);
		ask_for_events(&m);
	}
	house_reopen(m.house);
	for (int i = 0; i < QUERIES / 10; i++) {
		ask_for_deliveries(&m);
		ask_for_events(&m);
	}
	model_clear(&m);
}

static void paging_meets_every_row_once_while_new_ones_come(void)
{
	house *h = house_open();
	static const bh_id webhooks[] = {71, 72};
	bh_list list = {.webhooks = webhooks, .webhook_count = 2, .limit = 7};
	size_t seen = 0;
	for (int i = 0; i < 15; i++) { /* equal times: one event for both */
		apply_and_free(h, note_event((bh_id[]){71, 72, 73, 0}));
	}

	for (;;) {
		g_autoptr(GPtrArray) page = bh_reader_deliveries(h->reader, &list, NULL);
		apply_and_free(h, note_event((bh_id[]){71, 72, 0}));
		if (page->len == 0)
			break;
		for (guint i = 0; i < page->len; i++, seen++) {
			const bh_delivery *d = page->pdata[i];
			g_assert_true(list.before == 0 || d->id < list.before);
			list.before = d->id;
		}
	}
	g_assert_cmpuint(seen, ==, 30);
	house_close(h);
}

static void a_manager_without_webhooks_sees_no_deliveries(void)
{
	house *h = house_open();
	delivery_in(h, 71, BH_STATE_PENDING);
	bh_list forgotten = {.manager_id = "17", .limit = 10};
	bh_list none = {.manager_id = "17", .webhooks = (bh_id[]){0}, .webhook_count = 0, .limit = 10};

	g_autoptr(GPtrArray) first = bh_reader_deliveries(h->reader, &forgotten, NULL);
	g_autoptr(GPtrArray) second = bh_reader_deliveries(h->reader, &none, NULL);

	g_assert_cmpuint(first->len, ==, 0);
	g_assert_cmpuint(second->len, ==, 0);
	house_close(h);
}

void add_list_tests(void)
{
	g_test_add_func("/store/list/like_a_plain_loop", lists_tell_what_a_plain_loop_tells);
	g_test_add_func("/store/list/paging", paging_meets_every_row_once_while_new_ones_come);
	g_test_add_func("/store/list/no_webhooks", a_manager_without_webhooks_sees_no_deliveries);
}
