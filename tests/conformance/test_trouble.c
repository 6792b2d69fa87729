/* When the world fails: killed at any moment, no room left, somebody else at the file. This file knows that it is SQLite. */
#include "house.h"

#include "base/chance.h"
#include "base/error.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_sound(house *h)
{
	g_autofree char *path = house_path(h, "bellhop.db");
	sqlite3 *db;
	sqlite3_stmt *stmt;

	g_assert_cmpint(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_step(stmt), ==, SQLITE_ROW);
	g_assert_cmpstr((const char *)sqlite3_column_text(stmt, 0), ==, "ok");
	sqlite3_finalize(stmt);
	g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
}

/* --- Batches that can be recognised afterwards --------------------------------------------------------------- */

/* Batch k has size_of(k) events with a delivery each, and ends the deliveries of batch k - 1. */
#define STRIDE 1000

static size_t size_of(bh_id batch)
{
	return 1 + (size_t)batch * 7 % 60;
}

static bh_id event_id(bh_id batch, size_t i)
{
	return batch * STRIDE + 2 * (bh_id)i + 1;
}

static note *event_note(bh_id batch, size_t i)
{
	bh_event parts = {
		.id = event_id(batch, i),
		.type = (char *)"booking_added",
		.accepted_at = NOON,
		.property_id = (char *)"12",
		.data = bh_span_of("{\"property_uid\":12,\"contract_uid\":4711,\"note\":\"some more bytes\"}")};
	note *n = note_event_of(&parts, (bh_id[]){71, 0});

	n->made[0]->id = parts.id + 1;
	return n;
}

static bool apply_batch(bh_store *store, bh_id batch, GError **error)
{
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func((GDestroyNotify)note_free);
	g_autoptr(GPtrArray) writes = g_ptr_array_new();

	for (size_t i = 0; i < size_of(batch); i++)
		g_ptr_array_add(notes, event_note(batch, i));
	for (size_t i = 0; batch > 1 && i < size_of(batch - 1); i++)
		g_ptr_array_add(notes, note_record(event_id(batch - 1, i) + 1, 1, BH_STATE_DELIVERED, 1, 0));
	for (guint i = 0; i < notes->len; i++)
		g_ptr_array_add(writes, &((note *)notes->pdata[i])->write);
	return bh_store_apply(store, (bh_write *const *)writes->pdata, writes->len, error);
}

/* All of it, or nothing: says which. */
static bool has_batch(house *h, bh_id batch)
{
	size_t there = 0;

	for (size_t i = 0; i < size_of(batch); i++) {
		bool event = has_event(h, event_id(batch, i));
		g_assert_cmpint(has_delivery(h, event_id(batch, i) + 1), ==, event);
		there += event;
	}
	g_assert_true(there == 0 || there == size_of(batch));

	for (size_t i = 0; batch > 1 && i < size_of(batch - 1); i++) {
		g_autoptr(bh_delivery) ended = delivery_of(h, event_id(batch - 1, i) + 1);
		g_assert_cmpint(ended->state, ==, there ? BH_STATE_DELIVERED : BH_STATE_PENDING);
		g_assert_cmpint(ended->attempts, ==, there ? 1 : 0);
	}
	return there > 0;
}

/* --- Killed -------------------------------------------------------------------------------------------------- */

/* Applies batch after batch and writes each number down the pipe once it is durable, until it is killed. */
G_NORETURN static void apply_for_ever(house *h, bh_id batch, int acknowledged)
{
	bh_store *store = bh_store_open(h->url, h->sealer, NULL);

	if (!store)
		_exit(1);
	for (;; batch++) {
		if (!apply_batch(store, batch, NULL) ||
		    write(acknowledged, &batch, sizeof batch) != (ssize_t)sizeof batch)
			_exit(1);
	}
}

/* Returns the last batch that was acknowledged before the kill. */
static bh_id kill_somewhere(house *h, bh_id first, bh_chance *chance)
{
	int acknowledged[2];
	bh_id last = first - 1, told;

	g_assert_cmpint(pipe(acknowledged), ==, 0);
	pid_t pid = fork();
	if (pid == 0)
		apply_for_ever(h, first, acknowledged[1]);
	close(acknowledged[1]);

	int64_t wanted = bh_chance_between(chance, 1, 40);
	while (last < first + wanted && read(acknowledged[0], &told, sizeof told) == (ssize_t)sizeof told)
		last = told;
	g_usleep((gulong)bh_chance_between(chance, 0, 3000)); /* anywhere in the batch that follows */
	kill(pid, SIGKILL);
	int status;
	waitpid(pid, &status, 0);
	g_assert_true(WIFSIGNALED(status));
	while (read(acknowledged[0], &told, sizeof told) == (ssize_t)sizeof told)
		last = told;
	close(acknowledged[0]);
	return last;
}

static void what_was_acknowledged_survives_being_killed(void)
{
	house *h = house_open();
	bh_chance chance = bh_chance_seeded((uint64_t)g_test_rand_int());
	bh_id next = 1;

	for (int round = 0; round < 15; round++) {
		house_shut(h);
		bh_id last = kill_somewhere(h, next, &chance);
		house_unshut(h);

		assert_sound(h);
		for (bh_id batch = next; batch <= last; batch++)
			g_assert_true(has_batch(h, batch));
		next = last + 1;
		if (has_batch(h, next)) /* durable, but it could not say so any more */
			next++;
		g_assert_false(has_batch(h, next));
	}
	house_close(h);
}

/* --- No room ------------------------------------------------------------------------------------------------- */

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

static void fill_and_go_on(house *h)
{
	g_autoptr(GError) error = NULL;
	bh_id batch = 1;

	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(400 * 1024);
	while (apply_batch(h->store, batch, &error))
		batch++;
	g_assert_error(error, BH_ERROR, BH_ERROR_LIMIT);
	g_assert_nonnull(strstr(error->message, "no space"));
	g_assert_cmpint(batch, >, 2);
	for (int i = 0; i < 3; i++) { /* it stays so, and what is there can be read */
		g_clear_error(&error);
		if (apply_batch(h->store, batch, &error))
			batch++;
		g_assert_true(has_batch(h, batch - 1));
		g_assert_false(has_batch(h, batch));
	}

	limit_file_size(RLIM_INFINITY);
	g_clear_error(&error);
	for (int i = 0; i < 20; i++, batch++) {
		g_assert_true(apply_batch(h->store, batch, &error));
		g_assert_no_error(error);
	}
	for (bh_id b = 1; b < batch; b++)
		g_assert_true(has_event(h, event_id(b, 0)));
	assert_sound(h);
}

static void a_full_disk_is_said_and_healed(void)
{
	house *h = house_open();
	house_shut(h);

	pid_t pid = fork();
	if (pid == 0) {
		house_unshut(h);
		fill_and_go_on(h);
		house_shut(h);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	g_assert_cmpint(status, ==, 0);
	house_unshut(h);
	house_close(h);
}

/* --- Somebody else at the file ------------------------------------------------------------------------------- */

static sqlite3 *lock_it(house *h)
{
	g_autofree char *path = house_path(h, "bellhop.db");
	sqlite3 *db;

	g_assert_cmpint(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
	return db;
}

static void *unlock_soon(void *db)
{
	g_usleep(300 * 1000);
	g_assert_cmpint(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), ==, SQLITE_OK);
	return NULL;
}

static void a_short_lock_of_another_program_is_waited_for(void)
{
	house *h = house_open();
	sqlite3 *other = lock_it(h);
	g_autoptr(GError) error = NULL;
	pthread_t thread;
	pthread_create(&thread, NULL, unlock_soon, other);

	g_assert_true(apply_batch(h->store, 1, &error));

	g_assert_no_error(error);
	pthread_join(thread, NULL);
	sqlite3_close(other);
	g_assert_true(has_batch(h, 1));
	house_close(h);
}

/* Longer than we wait: all of the batch is the caller's again as it was, to be given once more. */
static void a_long_lock_of_another_program_is_busy(void)
{
	house *h = house_open();
	g_autoptr(GError) error = NULL;
	bh_id first = keyed_in(h, 71, "a", NULL);
	g_autoptr(note) end = note_record(first, 1, BH_STATE_DELIVERED, 1, 0);
	g_autoptr(note) second = note_keyed(71, "a", NULL);
	g_autoptr(note) third = note_keyed(71, "a", NULL);
	note *batch[] = {second, end, third};
	g_assert_true(apply_batch(h->store, 1, &error));
	sqlite3 *other = lock_it(h);

	g_assert_false(apply_all(h, batch, G_N_ELEMENTS(batch), &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_BUSY);
	g_assert_nonnull(strstr(error->message, "bellhop.db"));
	g_clear_error(&error);
	g_assert_true(has_batch(h, 1)); /* reading goes on meanwhile */
	g_assert_false(has_delivery(h, second->made[0]->id));
	g_autoptr(bh_delivery) still = delivery_of(h, first);
	g_assert_cmpint(still->state, ==, BH_STATE_PENDING);

	sqlite3_close(other);
	g_assert_true(apply_all(h, batch, G_N_ELEMENTS(batch), &error));
	g_autoptr(bh_delivery) follows = delivery_of(h, second->made[0]->id);
	g_autoptr(bh_delivery) waits = delivery_of(h, third->made[0]->id);
	g_assert_cmpint(follows->due_at, ==, NOON);
	g_assert_cmpint(follows->sequence, ==, 2);
	g_assert_cmpint(waits->due_at, ==, BH_DUE_BLOCKED);
	g_assert_cmpint(waits->sequence, ==, 3);
	assert_sound(h);
	house_close(h);
}

/* Another program's own commit, or its end however it comes, is all that is needed. */
static void a_lock_whose_holder_is_killed_is_gone(void)
{
	house *h = house_open();
	g_autoptr(GError) error = NULL;
	int go[2], told[2];
	char byte = 'x';

	house_shut(h); /* SQLite must not be open across a fork */
	g_assert_cmpint(pipe(go), ==, 0);
	g_assert_cmpint(pipe(told), ==, 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) == 1 && lock_it(h) && write(told[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	house_unshut(h);
	g_assert_cmpint(write(go[1], &byte, 1), ==, 1);
	g_assert_cmpint(read(told[0], &byte, 1), ==, 1);
	g_assert_false(apply_batch(h->store, 1, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_BUSY);
	g_clear_error(&error);

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	g_assert_true(apply_batch(h->store, 1, &error));
	g_assert_true(has_batch(h, 1));
	assert_sound(h);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(told[i]);
	}
	house_close(h);
}

/* The ways to copy it that docs/store.md names, while batches go on. */
static void it_can_be_copied_while_it_is_written(void)
{
	house *h = house_open();
	g_autoptr(GError) error = NULL;
	g_autofree char *from = house_path(h, "bellhop.db"), *online = house_path(h, "online.db");
	g_autofree char *vacuum = g_strdup_printf("VACUUM INTO '%s/vacuum.db'", h->folder);
	sqlite3 *source, *copy;
	bh_id batch = 1;
	while (batch < 20)
		g_assert_true(apply_batch(h->store, batch++, &error));
	g_assert_cmpint(sqlite3_open_v2(from, &source, SQLITE_OPEN_READONLY, NULL), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_open(online, &copy), ==, SQLITE_OK);

	sqlite3_backup *backup = sqlite3_backup_init(copy, "main", source, "main");
	while (sqlite3_backup_step(backup, 20) == SQLITE_OK && batch < 60)
		g_assert_true(apply_batch(h->store, batch++, &error));
	g_assert_cmpint(sqlite3_backup_step(backup, -1), ==, SQLITE_DONE);
	g_assert_cmpint(sqlite3_backup_finish(backup), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_exec(source, vacuum, NULL, NULL, NULL), ==, SQLITE_OK);
	sqlite3_close(copy);
	sqlite3_close(source);
	house_shut(h);

	static const char *const names[] = {"online.db", "vacuum.db"};
	g_autofree char *url = g_steal_pointer(&h->url);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *place = house_path(h, names[i]);
		h->url = g_strconcat("sqlite:", place, NULL);
		house_unshut(h);
		g_assert_true(has_batch(h, batch - 1));
		g_assert_true(apply_batch(h->store, batch, &error));
		house_shut(h);
		g_clear_pointer(&h->url, g_free);
	}
	h->url = g_steal_pointer(&url);
	house_close(h);
}

/* A backup or a shell that reads on and on: the log grows while it does, and shrinks when it is gone. */
#define BODY (16 * 1024)

static void a_reader_that_stays_does_not_stop_the_writer(void)
{
	house *h = house_open();
	g_autofree char *path = house_path(h, "bellhop.db");
	g_autoptr(GError) error = NULL;
	sqlite3 *other;
	bh_id batch = 1;
	g_assert_true(apply_batch(h->store, batch++, &error));
	g_assert_cmpint(sqlite3_open_v2(path, &other, SQLITE_OPEN_READONLY, NULL), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL), ==, SQLITE_OK);

	for (int i = 0; i < 200; i++)
		g_assert_true(apply_batch(h->store, batch++, &error));
	sqlite3_close(other);
	for (int i = 0; i < 200; i++)
		g_assert_true(apply_batch(h->store, batch++, &error));

	g_assert_no_error(error);
	g_assert_true(has_batch(h, batch - 1));
	house_close(h);
}

static void apply_bodies(house *h, bh_id delivery, int *number, int count)
{
	g_autofree char *body = g_strnfill(BODY, 'x');
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func((GDestroyNotify)note_free);
	g_autoptr(GError) error = NULL;

	for (int i = 0; i < count; i++) {
		note *n = note_record(delivery, ++*number, BH_STATE_PENDING, 1, NOON);
		n->attempt.body = (bh_span){body, BODY};
		g_ptr_array_add(notes, n);
	}
	g_assert_true(apply_all(h, (note *const *)notes->pdata, notes->len, &error));
	g_assert_no_error(error);
}

static int64_t log_of(house *h)
{
	bh_store_health health;

	g_assert_true(bh_reader_health(h->reader, &health, NULL));
	return health.wal_bytes;
}

/*
 * The log is written back again and again, and each time only as far as the reader has seen; so it grows far beyond the point
 * where we wait for readers. Once it has left, the log begins anew and its file is cut back.
 */
static void a_log_that_a_reader_keeps_open_is_cut_back_when_it_leaves(void)
{
	house *h = house_open();
	g_autofree char *path = house_path(h, "bellhop.db");
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	sqlite3 *other;
	int number = 0;
	g_assert_cmpint(sqlite3_open_v2(path, &other, SQLITE_OPEN_READONLY, NULL), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL), ==, SQLITE_OK);

	while (log_of(h) < 160 * 1024 * 1024)
		apply_bodies(h, id, &number, 500);
	sqlite3_close(other);
	for (int i = 0; i < 10 && log_of(h) > 64 * 1024 * 1024; i++)
		apply_bodies(h, id, &number, 1000);

	g_assert_cmpint(log_of(h), <=, 64 * 1024 * 1024);
	g_autoptr(GPtrArray) last = bh_reader_attempts(h->reader, id, number - 1, 10, NULL);
	g_assert_cmpuint(last->len, ==, 1);
	assert_sound(h);
	house_close(h);
}

/* 64 MB of attempts: the log must have been written back on the way, again and again. */
static void the_log_does_not_grow_without_end(void)
{
	house *h = house_open();
	g_autofree char *body = g_strnfill(BODY, 'x');
	g_autoptr(GError) error = NULL;
	bh_store_health health;
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);

	for (int number = 0; number < 4000; number += 100) {
		g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func((GDestroyNotify)note_free);
		for (int i = 1; i <= 100; i++) {
			note *n = note_record(id, number + i, BH_STATE_PENDING, 1, NOON);
			n->attempt.body = (bh_span){body, BODY};
			g_ptr_array_add(notes, n);
		}
		g_assert_true(apply_all(h, (note *const *)notes->pdata, notes->len, &error));
	}

	g_assert_true(bh_reader_health(h->reader, &health, &error));
	g_assert_no_error(error);
	g_assert_cmpint(health.wal_bytes, <, 40 * 1024 * 1024);
	g_assert_cmpint(health.file_bytes, >, 30 * 1024 * 1024);
	house_close(h);
}

void add_trouble_tests(void)
{
	g_test_add_func("/store/trouble/killed", what_was_acknowledged_survives_being_killed);
	g_test_add_func("/store/trouble/full", a_full_disk_is_said_and_healed);
	g_test_add_func("/store/trouble/short_lock", a_short_lock_of_another_program_is_waited_for);
	g_test_add_func("/store/trouble/long_lock", a_long_lock_of_another_program_is_busy);
	g_test_add_func("/store/trouble/log", the_log_does_not_grow_without_end);
	g_test_add_func("/store/trouble/long_reader", a_reader_that_stays_does_not_stop_the_writer);
	g_test_add_func("/store/trouble/long_log", a_log_that_a_reader_keeps_open_is_cut_back_when_it_leaves);
	g_test_add_func("/store/trouble/killed_lock", a_lock_whose_holder_is_killed_is_gone);
	g_test_add_func("/store/trouble/copied", it_can_be_copied_while_it_is_written);
}
