#include "base/chance.h"
#include "base/id.h"
#include "base/time.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>

#define EPOCH_MS INT64_C(1767225600000)

static int64_t ms_of(bh_id id)
{
	return id >> 22;
}

static void ids_grow_even_when_made_faster_than_the_clock_ticks(void)
{
	bh_id before = bh_id_new();

	g_assert_cmpint(before, >, 0);
	for (int i = 0; i < 100000; i++) {
		bh_id id = bh_id_new();
		g_assert_cmpint(id, >, before);
		before = id;
	}
}

static void ids_carry_the_time_and_one_process_number(void)
{
	int64_t earliest = bh_clock_wall() / BH_MILLISECOND - EPOCH_MS;
	bh_id a = bh_id_new();
	bh_id b = bh_id_new();

	/* This program may have borrowed from the milliseconds ahead. */
	g_assert_cmpint(ms_of(a), >=, MAX(earliest, 0));
	g_assert_cmpint(a >> 12 & 1023, ==, b >> 12 & 1023);
}

static void the_gap_between_milliseconds_tells_no_count(void)
{
	GHashTable *starts = g_hash_table_new(NULL, NULL);

	/* Whoever fills a millisecond moves into the next one: its sequence starts anywhere. */
	bh_id before = bh_id_new();
	for (int i = 0; i < 200000; i++) {
		bh_id id = bh_id_new();
		if (ms_of(id) != ms_of(before))
			g_hash_table_add(starts, GINT_TO_POINTER((int)(id & 4095)));
		before = id;
	}
	g_assert_cmpuint(g_hash_table_size(starts), >, 10);
	g_hash_table_unref(starts);
}

#define THREADS 4
#define IDS 20000

static void *make_ids(void *argument)
{
	bh_id *ids = argument;

	for (int i = 0; i < IDS; i++)
		ids[i] = bh_id_new();
	return NULL;
}

static void threads_never_share_an_id(void)
{
	static bh_id ids[THREADS][IDS];
	pthread_t threads[THREADS];
	g_autoptr(GHashTable) seen = g_hash_table_new(g_int64_hash, g_int64_equal);

	for (int t = 0; t < THREADS; t++)
		g_assert_cmpint(pthread_create(&threads[t], NULL, make_ids, ids[t]), ==, 0);
	for (int t = 0; t < THREADS; t++)
		g_assert_cmpint(pthread_join(threads[t], NULL), ==, 0);

	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < IDS; i++)
			g_assert_true(g_hash_table_add(seen, &ids[t][i]));
}

static void ids_start_above_the_largest_stored(void)
{
	bh_id floor = bh_id_new() + (INT64_C(3600000) << 22); /* a clock that was an hour ahead */

	bh_id_start_above(floor);

	g_assert_cmpint(bh_id_new(), >, floor);
	bh_id_start_above(1); /* an older one changes nothing */
	bh_id_start_above(0);
	g_assert_cmpint(bh_id_new(), >, floor);
}

static void text_and_id_are_the_same(void)
{
	static const struct {
		bh_id_kind kind;
		bh_id id;
		const char *text;
	} rows[] = {
		{BH_ID_EVENT, 1, "evt_0000000000001"},
		{BH_ID_DELIVERY, 31, "dlv_000000000000z"},
		{BH_ID_WEBHOOK, INT64_MAX, "whk_7zzzzzzzzzzzz"},
		{BH_ID_KEY, 1024, "key_0000000000100"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		char text[BH_ID_TEXT_SIZE];
		bh_id id = 0;
		g_assert_cmpstr(bh_id_text(rows[i].kind, rows[i].id, text), ==, rows[i].text);
		g_assert_true(bh_id_parse(rows[i].kind, text, &id));
		g_assert_cmpint(id, ==, rows[i].id);
	}
	for (int i = 0; i < 1000; i++) {
		char text[BH_ID_TEXT_SIZE];
		bh_id made = bh_id_new(), id = 0;
		g_assert_true(bh_id_parse(BH_ID_EVENT, bh_id_text(BH_ID_EVENT, made, text), &id));
		g_assert_cmpint(id, ==, made);
	}
}

static void texts_sort_as_their_ids_do(void)
{
	char a[BH_ID_TEXT_SIZE], b[BH_ID_TEXT_SIZE];
	bh_chance chance = bh_chance_seeded(7);

	for (int i = 0; i < 10000; i++) {
		bh_id x = bh_chance_between(&chance, 1, INT64_MAX), y = bh_chance_between(&chance, 1, INT64_MAX);
		int order = strcmp(bh_id_text(BH_ID_EVENT, x, a), bh_id_text(BH_ID_EVENT, y, b));
		g_assert_cmpint(order < 0, ==, x < y);
	}
}

static void foreign_texts_are_no_ids(void)
{
	static const char *const texts[] = {
		"",
		"evt_",
		"evt_000000000001",
		"evt_00000000000001",
		"dlv_0000000000001",
		"EVT_0000000000001",
		"evt_000000000000Z",
		"evt_000000000000i",
		"evt_000000000000l",
		"evt_000000000000o",
		"evt_000000000000u",
		"evt_000000000000-",
		"evt_00000000000 1",
		"evt_000000000000\xc3",
		"evt_8000000000000",
		"evt_z000000000000",
		"evt_0000000000000",
		" evt_000000000001",
		"0000000000000000001",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		bh_id id = 42;
		g_assert_false(bh_id_parse(BH_ID_EVENT, texts[i], &id));
		g_assert_cmpint(id, ==, 42);
	}
	bh_id id;
	g_assert_false(bh_id_parse(BH_ID_EVENT, NULL, &id));
}

static void the_same_seed_gives_the_same_row(void)
{
	bh_chance a = bh_chance_seeded(1234567), b = bh_chance_seeded(1234567);

	/* The first three of splitmix64 from this seed, as its author publishes them. */
	g_assert_cmphex(bh_chance_next(&a), ==, UINT64_C(6457827717110365317));
	g_assert_cmphex(bh_chance_next(&a), ==, UINT64_C(3203168211198807973));
	g_assert_cmphex(bh_chance_next(&a), ==, UINT64_C(9817491932198370423));
	for (int i = 0; i < 3; i++)
		(void)bh_chance_next(&b);
	g_assert_cmphex(bh_chance_next(&a), ==, bh_chance_next(&b));
}

static void chance_stays_between_and_reaches_both_ends(void)
{
	bh_chance chance = bh_chance_seeded(99);
	unsigned seen[7] = {0};

	for (int i = 0; i < 7000; i++) {
		int64_t n = bh_chance_between(&chance, -3, 3);
		g_assert_cmpint(n, >=, -3);
		g_assert_cmpint(n, <=, 3);
		seen[n + 3]++;
	}
	for (int i = 0; i < 7; i++) {
		g_assert_cmpuint(seen[i], >, 800);
		g_assert_cmpuint(seen[i], <, 1200);
	}
	g_assert_cmpint(bh_chance_between(&chance, 5, 5), ==, 5);
	(void)bh_chance_between(&chance, INT64_MIN, INT64_MAX);
	g_assert_cmpint(bh_chance_between(&chance, INT64_MAX - 1, INT64_MAX), >=, INT64_MAX - 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/id/ids grow even when made faster than the clock ticks",
			ids_grow_even_when_made_faster_than_the_clock_ticks);
	g_test_add_func("/id/ids carry the time and one process number", ids_carry_the_time_and_one_process_number);
	g_test_add_func("/id/the gap between milliseconds tells no count", the_gap_between_milliseconds_tells_no_count);
	g_test_add_func("/id/threads never share an id", threads_never_share_an_id);
	g_test_add_func("/id/ids start above the largest stored", ids_start_above_the_largest_stored);
	g_test_add_func("/id/text and id are the same", text_and_id_are_the_same);
	g_test_add_func("/id/texts sort as their ids do", texts_sort_as_their_ids_do);
	g_test_add_func("/id/foreign texts are no ids", foreign_texts_are_no_ids);
	g_test_add_func("/id/the same seed gives the same row", the_same_seed_gives_the_same_row);
	g_test_add_func("/id/chance stays between and reaches both ends", chance_stays_between_and_reaches_both_ends);
	return g_test_run();
}
