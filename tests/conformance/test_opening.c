/* Opening: whose file is it, may we have it, do we understand it. This file knows that the backend is SQLite. */
#include "house.h"

#include "base/error.h"
#include "store/sqlite/schema.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_sql(house *h, const char *name, const char *sql)
{
	g_autofree char *path = house_path(h, name);
	sqlite3 *db;

	g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_exec(db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
}

/* Opens `name` in the folder, which must be refused so. */
static void assert_refused(house *h, const char *name, bh_error_code code, const char *word)
{
	g_autofree char *url = g_strdup_printf("sqlite:%s/%s", h->folder, name);
	g_autoptr(GError) error = NULL;
	bh_store *store = bh_store_open(url, h->sealer, &error);

	g_assert_null(store);
	g_assert_error(error, BH_ERROR, (int)code);
	g_assert_nonnull(strstr(error->message, name));
	if (!strstr(error->message, word))
		g_error("\"%s\" does not say \"%s\"", error->message, word);
}

static void assert_opens(house *h, const char *name)
{
	g_autofree char *url = g_strdup_printf("sqlite:%s/%s", h->folder, name);
	g_autoptr(GError) error = NULL;
	bh_store *store = bh_store_open(url, h->sealer, &error);

	g_assert_no_error(error);
	bh_store_close(store);
}

/* --- The lock ------------------------------------------------------------------------------------------------ */

/* A process that has the store open; it says so before this returns. */
static pid_t start_holder(house *h)
{
	int told[2];
	char byte;

	g_assert_cmpint(pipe(told), ==, 0);
	pid_t pid = fork();
	if (pid == 0) {
		bh_store *store = bh_store_open(h->url, h->sealer, NULL);
		if (store && write(told[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(told[1]);
	g_assert_cmpint(read(told[0], &byte, 1), ==, 1);
	close(told[0]);
	return pid;
}

static void a_second_process_is_told_who_has_it(void)
{
	house *h = house_open();
	house_shut(h);

	pid_t holder = start_holder(h);
	g_autofree char *pid = g_strdup_printf("process %ld", (long)holder);
	assert_refused(h, "bellhop.db", BH_ERROR_BUSY, pid);
	assert_refused(h, "bellhop.db", BH_ERROR_BUSY, "bellhop.db.lock");

	/* However the holder ends, the next one may begin. */
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	house_unshut(h);
	house_close(h);
}

static void this_process_cannot_open_it_twice_either(void)
{
	house *h = house_open();

	assert_refused(h, "bellhop.db", BH_ERROR_BUSY, "in use");
	house_close(h);
}

static void another_name_of_the_file_leads_to_the_same_lock(void)
{
	house *h = house_open();
	g_autofree char *alias = house_path(h, "alias.db");
	g_assert_cmpint(symlink("bellhop.db", alias), ==, 0);
	g_autofree char *url = g_strdup_printf("sqlite:%s", alias);
	g_autoptr(GError) error = NULL;

	g_assert_null(bh_store_open(url, h->sealer, &error));

	g_assert_error(error, BH_ERROR, BH_ERROR_BUSY);
	house_close(h);
}

static void a_lock_file_that_is_a_link_is_refused(void)
{
	house *h = house_open();
	g_autofree char *lock = house_path(h, "other.db.lock");
	g_autofree char *victim = house_path(h, "victim");
	g_assert_cmpint(symlink("victim", lock), ==, 0);

	assert_refused(h, "other.db", BH_ERROR_IO, "symbolic link");

	g_assert_false(g_file_test(victim, G_FILE_TEST_EXISTS));
	house_close(h);
}

/* --- The file ------------------------------------------------------------------------------------------------ */

static void a_newer_schema_is_refused(void)
{
	house *h = house_open();
	house_shut(h);
	run_sql(h, "bellhop.db", "PRAGMA user_version = 4711");

	assert_refused(h, "bellhop.db", BH_ERROR_CONFLICT, "4711");
	house_close(h);
}

/* --- Older schemas ------------------------------------------------------------------------------------------- */

/* People have databases made by these. What is to be different comes as a migration of its own. */
static void a_schema_that_was_released_stays_as_it_is(void)
{
	static const char *const sums[] = {
		"c4227236b3cae26e87db35c78a2120207b31a273b56554b0a5d92d0d2afe146e",
		"5c8273e150f4b5177319e4ba07d873c922449987fe8e8731723e2a56e5281f2e",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(sums); i++) {
		g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, bh_migrations[i], -1);
		g_assert_cmpstr(sum, ==, sums[i]);
	}
}

/* What Bellhop 0.1.0 left of one webhook and three deliveries: a pending one, a test that was held, a failed one. */
static const char ROWS_OF_SCHEMA_1[] =
	"INSERT INTO event (id, type, occurred_at, accepted_at, property_id, actor_is_manager, findings, data)"
	" VALUES (1001, 'booking_added', 1764072000000000, 1764072000000000, '12', 0,"
	"  '71:triggered:1002 71:triggered:1003 71:triggered:1004', '{\"property_uid\":12}');"
	"INSERT INTO delivery (id, event_id, webhook_id, state, created_at, at, spent, attempts, is_test) VALUES"
	" (1002, 1001, 71, 2, 1764072000000000, 1764072000000000, 0, 0, 0),"
	" (1003, 1001, 71, 4, 1764072000000000, 1764072000000000, 0, 0, 1),"
	" (1004, 1001, 71, 6, 1764072000000000, 1764072000000005, 10, 10, 0);"
	"INSERT INTO manager (id, name, role, created_at, updated_at) VALUES ('17', 'Renate', 'manager', 1, 1);"
	"PRAGMA application_id = 0x42454c4c; PRAGMA user_version = 1";

/* The first `version` steps of the schema, and rows that were made with it. */
static void make_schema(house *h, unsigned version, const char *rows)
{
	static const char *const names[] = {"bellhop.db", "bellhop.db-wal", "bellhop.db-shm"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = house_path(h, names[i]);
		(void)g_remove(path); /* the log is gone already if it was closed well */
	}
	for (unsigned i = 0; i < version; i++)
		run_sql(h, "bellhop.db", bh_migrations[i]);
	run_sql(h, "bellhop.db", rows);
}

static void assert_works(house *h)
{
	bh_id first = keyed_in(h, 71, "a", "price"), second = keyed_in(h, 71, "a", "price");
	g_autoptr(bh_delivery) blocked = delivery_of(h, second);
	g_assert_cmpint(blocked->due_at, ==, BH_DUE_BLOCKED);
	g_assert_cmpint(blocked->sequence, ==, 2);
	apply_and_free(h, note_coalesced(first, second));
	apply_and_free(h, note_record(1002, 1, BH_STATE_DELIVERED, 1, 0));
	apply_and_free(h, note_move(1003, BH_STATE_PENDING));
	apply_and_free(h, note_webhook(71, "17"));
	apply_and_free(h, note_recovery(2001, 71, 0, 1004));
	apply_and_free(h, note_recover(2001, 10));
}

static void a_database_of_schema_1_is_brought_up_and_works(void)
{
	house *h = house_open();
	house_shut(h);
	make_schema(h, 1, ROWS_OF_SCHEMA_1);

	house_unshut(h);

	g_autoptr(bh_delivery) pending = delivery_of(h, 1002);
	g_autoptr(bh_delivery) test = delivery_of(h, 1003);
	g_autoptr(bh_event) e = bh_reader_event(h->reader, 1001, NULL);
	g_autoptr(bh_findings) f = bh_reader_findings(h->reader, 1001, NULL);
	g_assert_cmpint(pending->due_at, ==, NOON);
	g_assert_null(pending->order_key);
	g_assert_null(pending->coalesce_key);
	g_assert_cmpint(pending->sequence, ==, 0);
	g_assert_cmpint(pending->superseded_by, ==, 0);
	g_assert_false(pending->is_test);
	g_assert_true(test->is_test);
	g_assert_cmpint(test->then, ==, BH_TEST_ONLY);
	g_assert_cmpint(e->hops, ==, 0);
	g_assert_cmpuint(f->count, ==, 3);
	g_assert_cmpint(f->rounds[2], ==, 0);
	assert_works(h);

	house_reopen(h);
	g_autoptr(bh_delivery) delivered = delivery_of(h, 1002);
	g_autoptr(bh_delivery) recovered = delivery_of(h, 1004);
	g_autoptr(bh_snapshot) s = bh_store_load_directory(h->store, NULL);
	g_assert_cmpint(delivered->state, ==, BH_STATE_DELIVERED);
	g_assert_cmpint(recovered->state, ==, BH_STATE_PENDING);
	g_assert_nonnull(bh_snapshot_manager(s, "17"));
	g_assert_nonnull(bh_snapshot_webhook(s, 71));
	house_close(h);
}

/* What the version before scripts left of one webhook, its secret sealed with this house's key. */
static const char ROWS_OF_SCHEMA_2[] =
	"INSERT INTO webhook (id, revision, name, method, settings, shape, events, full_payload, total_timeout, secret,"
	" old_secret_until, disabled, disabled_at, created_at, updated_at, order_by)"
	" VALUES (71, 5, 'Locks', 'none', '{}', 'standard', '[\"*\"]', 0, 0, '%s', 0, NULL, 0, 1, 2, 'property');"
	"PRAGMA application_id = 0x42454c4c; PRAGMA user_version = 2";

static void a_webhook_of_schema_2_is_without_a_script_and_may_get_one(void)
{
	house *h = house_open();
	g_autofree char *secret = bh_seal(h->sealer, bh_span_of("s3cr3t"), "webhook 71 secret");
	g_autofree char *rows = g_strdup_printf(ROWS_OF_SCHEMA_2, secret);
	house_shut(h);
	make_schema(h, 2, rows);

	house_unshut(h);

	g_autoptr(bh_snapshot) s = bh_store_load_directory(h->store, NULL);
	const bh_webhook *w = bh_snapshot_webhook(s, 71);
	g_assert_null(w->script);
	g_assert_cmpstr(w->order_by, ==, "property");
	note *n = note_webhook(71, NULL);
	n->change.webhook->script = g_strdup("return {}");
	apply_and_free(h, n);

	house_reopen(h);
	g_autoptr(bh_snapshot) later = bh_store_load_directory(h->store, NULL);
	g_assert_cmpstr(bh_snapshot_webhook(later, 71)->script, ==, "return {}");
	house_close(h);
}

/* --- Damage -------------------------------------------------------------------------------------------------- */

static void put_something(house *h)
{
	apply_and_free(h, note_webhook(71, NULL));
}

/* Somebody wrote to the file, or the disk did: the start names the row and what is wrong with it. */
static void a_damaged_row_of_the_directory_is_named(void)
{
	static const struct {
		const char *damage, *word;
	} rows[] = {
		{"UPDATE webhook SET shape = 'round'", "round"},
		{"UPDATE webhook SET disabled = 'perhaps'", "perhaps"},
		{"UPDATE webhook SET events = '{}'", "array"},
		{"UPDATE webhook SET headers = '[\"X-Name\"]'", "headers"},
		{"UPDATE webhook SET secret = 'AAAA'", "seal.key"},
		{"UPDATE webhook SET tls_key = 'AAAA'", "tls key"},
		{"UPDATE webhook SET coalesce_fields = '7'", "array"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		house *h = house_open();
		g_autoptr(GError) error = NULL;
		put_something(h);
		house_shut(h);
		run_sql(h, "bellhop.db", rows[i].damage);
		house_unshut(h);

		g_assert_null(bh_store_load_directory(h->store, &error));

		g_assert_nonnull(strstr(error->message, "row \"71\""));
		g_assert_nonnull(strstr(error->message, rows[i].word));
		house_close(h);
	}
}

static void damaged_words_in_a_row_are_an_error(void)
{
	house *h = house_open();
	g_autoptr(GError) error = NULL;
	bh_id id = delivery_in(h, 71, BH_STATE_PENDING);
	g_autoptr(bh_delivery) d = delivery_of(h, id);
	apply_and_free(h, note_record(id, 1, BH_STATE_DELIVERED, 1, 0));
	house_shut(h);
	run_sql(h, "bellhop.db",
		"UPDATE attempt SET facts = 'delivered - 200';"
		"UPDATE event SET findings = findings || char(10) || '71:perhaps:0'");
	house_unshut(h);

	g_assert_null(bh_reader_attempts(h->reader, id, 0, 10, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_IO);
	g_clear_error(&error);
	g_assert_null(bh_reader_findings(h->reader, d->event_id, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_IO);
	g_assert_nonnull(strstr(error->message, "71:perhaps:0"));
	house_close(h);
}

static void another_programs_database_is_left_alone(void)
{
	house *h = house_open();
	run_sql(h, "other.db", "PRAGMA application_id = 99; CREATE TABLE t (a)");
	run_sql(h, "nameless.db", "CREATE TABLE t (a)");

	assert_refused(h, "other.db", BH_ERROR_CONFLICT, "another program");
	assert_refused(h, "nameless.db", BH_ERROR_CONFLICT, "another program");

	run_sql(h, "other.db", "INSERT INTO t VALUES (1)");
	g_autofree char *log = house_path(h, "other.db-wal");
	g_assert_false(g_file_test(log, G_FILE_TEST_EXISTS));
	house_close(h);
}

static void a_file_that_is_no_database_is_left_alone(void)
{
	house *h = house_open();
	g_autofree char *path = house_path(h, "letter.txt");
	g_autofree char *letter = g_strnfill(5000, 'a');
	g_autofree char *after = NULL;
	g_assert_true(g_file_set_contents(path, letter, -1, NULL));

	assert_refused(h, "letter.txt", BH_ERROR_CONFLICT, "not a database");

	g_assert_true(g_file_get_contents(path, &after, NULL, NULL));
	g_assert_cmpstr(after, ==, letter);
	house_close(h);
}

static void a_place_that_cannot_be_is_named(void)
{
	house *h = house_open();
	g_autoptr(GError) error = NULL;

	assert_refused(h, "missing/bellhop.db", BH_ERROR_IO, "folder");
	g_assert_null(bh_store_open("mysql:x", h->sealer, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "sqlite:"));
	house_close(h);
}

/* Root may write everything, so this is done by a process that is nobody. */
static void what_may_not_be_written_is_said(void)
{
	house *h = house_open();
	g_autofree char *path = house_path(h, "readonly.db");
	assert_opens(h, "readonly.db");
	g_assert_cmpint(g_chmod(path, 0444), ==, 0);
	g_assert_cmpint(g_chmod(h->folder, 0755), ==, 0);

	pid_t pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534) != 0)
			_exit(1);
		assert_refused(h, "new.db", BH_ERROR_IO, "Permission denied");
		assert_refused(h, "readonly.db", BH_ERROR_IO, "Permission denied");
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpint(g_chmod(h->folder, 0700), ==, 0);
	house_close(h);
}

static void nobody_else_may_read_the_files(void)
{
	house *h = house_open();
	static const char *const names[] = {"bellhop.db", "bellhop.db-wal", "bellhop.db-shm", "bellhop.db.lock"};
	delivery_in(h, 71, BH_STATE_PENDING);

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = house_path(h, names[i]);
		struct stat st;
		g_assert_cmpint(stat(path, &st), ==, 0);
		g_assert_cmpint(st.st_mode & 077, ==, 0);
	}
	house_close(h);
}

static void health_tells_the_sizes(void)
{
	house *h = house_open();
	bh_store_health health;
	g_autoptr(GError) error = NULL;
	delivery_in(h, 71, BH_STATE_PENDING);

	g_assert_true(bh_reader_health(h->reader, &health, &error));

	g_assert_no_error(error);
	g_assert_cmpint(health.file_bytes, >, 0);
	g_assert_cmpint(health.wal_bytes, >, 0);
	house_close(h);
}

void add_opening_tests(void)
{
	g_test_add_func("/store/lock/second_process", a_second_process_is_told_who_has_it);
	g_test_add_func("/store/lock/same_process", this_process_cannot_open_it_twice_either);
	g_test_add_func("/store/lock/other_name", another_name_of_the_file_leads_to_the_same_lock);
	g_test_add_func("/store/lock/link", a_lock_file_that_is_a_link_is_refused);
	g_test_add_func("/store/file/newer_schema", a_newer_schema_is_refused);
	g_test_add_func("/store/schema/frozen", a_schema_that_was_released_stays_as_it_is);
	g_test_add_func("/store/schema/from_1", a_database_of_schema_1_is_brought_up_and_works);
	g_test_add_func("/store/schema/from_2", a_webhook_of_schema_2_is_without_a_script_and_may_get_one);
	g_test_add_func("/store/file/damaged_directory", a_damaged_row_of_the_directory_is_named);
	g_test_add_func("/store/file/damaged_words", damaged_words_in_a_row_are_an_error);
	g_test_add_func("/store/file/other_program", another_programs_database_is_left_alone);
	g_test_add_func("/store/file/no_database", a_file_that_is_no_database_is_left_alone);
	g_test_add_func("/store/file/no_such_place", a_place_that_cannot_be_is_named);
	g_test_add_func("/store/file/not_writable", what_may_not_be_written_is_said);
	g_test_add_func("/store/file/modes", nobody_else_may_read_the_files);
	g_test_add_func("/store/health", health_tells_the_sizes);
}
