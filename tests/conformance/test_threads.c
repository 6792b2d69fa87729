/* Readers in threads of their own, while one thread writes: what was acknowledged is seen by all, whole. */
#include "house.h"

#include "base/error.h"

#include <pthread.h>
#include <stdatomic.h>

#define BATCHES 300
#define EACH 30
#define READERS 3

typedef struct traffic {
	house *house;
	_Atomic(int) written; /* batches that are durable */
} traffic;

/* Event i has id 10 * (i + 1), its delivery the next. */
static note *nth(int i)
{
	g_autofree char *caller_id = g_strdup_printf("order-%d", i);
	bh_event parts = {.id = 10 * (i + 1),
			  .type = (char *)"booking_added",
			  .accepted_at = NOON,
			  .property_id = (char *)"12",
			  .caller_id = caller_id,
			  .data = bh_span_of("{}")};
	note *n = note_event_of(&parts, (bh_id[]){71, 0});

	n->made[0]->id = parts.id + 1;
	n->write.caller_key = 1;
	return n;
}

static void assert_whole(bh_reader *reader, int i)
{
	g_autofree char *caller_id = g_strdup_printf("order-%d", i);
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_event) event = bh_reader_event_of_caller(reader, 1, caller_id, &error);
	g_assert_no_error(error);
	g_autoptr(bh_delivery) delivery = bh_reader_delivery(reader, event->id + 1, &error);
	g_assert_no_error(error);
	g_assert_cmpint(delivery->event_id, ==, event->id);
}

static void assert_list(bh_reader *reader, int least)
{
	bh_list list = {.webhooks = (bh_id[]){71}, .webhook_count = 1, .limit = 20};
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) page = bh_reader_deliveries(reader, &list, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(page->len, ==, MIN(20, least));
	g_assert_cmpint(((bh_delivery *)page->pdata[0])->id, >=, 10 * least + 1);
}

static void *read_on(void *data)
{
	traffic *t = data;
	g_autoptr(GError) error = NULL;
	bh_reader *reader = bh_reader_new(t->house->store, &error);
	g_assert_no_error(error);

	for (guint64 round = 0, written = 0; written < BATCHES; round++) {
		written = (guint64)atomic_load(&t->written);
		if (written == 0)
			continue;
		assert_whole(reader, (int)(written * EACH - 1));
		assert_whole(reader, (int)(round * 7919 % (written * EACH)));
		assert_list(reader, (int)(written * EACH));
	}
	bh_reader_free(reader);
	return NULL;
}

static void readers_see_all_that_is_acknowledged(void)
{
	traffic t = {.house = house_open()};
	pthread_t readers[READERS];
	for (int i = 0; i < READERS; i++)
		g_assert_cmpint(pthread_create(&readers[i], NULL, read_on, &t), ==, 0);

	for (int batch = 0; batch < BATCHES; batch++) {
		g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func((GDestroyNotify)note_free);
		g_autoptr(GError) error = NULL;
		for (int i = 0; i < EACH; i++)
			g_ptr_array_add(notes, nth(batch * EACH + i));
		g_assert_true(apply_all(t.house, (note *const *)notes->pdata, notes->len, &error));
		g_assert_no_error(error);
		atomic_store(&t.written, batch + 1);
	}
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	house_close(t.house);
}

void add_thread_tests(void)
{
	g_test_add_func("/store/threads/acknowledged", readers_see_all_that_is_acknowledged);
}
