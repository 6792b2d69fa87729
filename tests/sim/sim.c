/* ./dev sim: seeds one after the other. See sim.h. */
#include "sim.h"

#include "base/log.h"

#include <fcntl.h>
#include <glib/gstdio.h>

typedef struct options {
	gint64 from, seeds;
	gint seconds;
	gboolean verbose, hashes, tap;
} options;

static bool read_options(int argc, char **argv, options *o)
{
	GOptionEntry entries[] = {
		{"seeds", 0, 0, G_OPTION_ARG_INT64, &o->seeds, "How many", "N"},
		{"from", 0, 0, G_OPTION_ARG_INT64, &o->from, "The first one", "SEED"},
		{"seconds", 0, 0, G_OPTION_ARG_INT, &o->seconds, "In place of a number: as many as fit", "S"},
		{"verbose", 0, 0, G_OPTION_ARG_NONE, &o->verbose, "Each step", NULL},
		{"hashes", 0, 0, G_OPTION_ARG_NONE, &o->hashes, "The hash of all that happened in each", NULL},
		{"tap", 0, 0, G_OPTION_ARG_NONE, &o->tap, "Tell it as a test does", NULL},
		{0},
	};
	g_autoptr(GError) error = NULL;
	GOptionContext *context = g_option_context_new("- days of trouble in a moment");

	g_option_context_add_main_entries(context, entries, NULL);
	bool ok = g_option_context_parse(context, &argc, &argv, &error);
	g_option_context_free(context);
	if (!ok)
		g_printerr("sim: %s\n", error->message);
	return ok;
}

/* What lies in it is rewritten with each process: memory is the place for it. */
static char *make_folder(void)
{
	if (g_file_test("/dev/shm", G_FILE_TEST_IS_DIR)) {
		char *folder = g_strdup("/dev/shm/bellhop-sim-XXXXXX");
		if (g_mkdtemp(folder))
			return folder;
		g_free(folder);
	}
	return g_dir_make_tmp("bellhop-sim-XXXXXX", NULL);
}

static void remove_file(const char *folder, const char *name)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	g_remove(path);
}

static void open_house(sim_house *house, const options *o)
{
	g_autoptr(GError) error = NULL;
	char *none[] = {NULL};

	*house = (sim_house){.folder = make_folder(), .verbose = o->verbose, .tap = o->tap};
	g_autofree char *key = g_build_filename(house->folder, "seal.key", NULL);
	g_autofree char *methods =
		g_build_filename(g_getenv("BH_SOURCE_ROOT") ? g_getenv("BH_SOURCE_ROOT") : ".", "methods", NULL);
	house->sealer = bh_sealer_open(key, &error);
	g_assert_no_error(error);
	house->guard = bh_guard_new(none, none, false, &error);
	g_assert_no_error(error);
	house->methods = bh_methods_load(methods, NULL, NULL, &error);
	g_assert_no_error(error);
}

void house_remove_folder(const sim_house *house)
{
	remove_file(house->folder, "seal.key");
	remove_file(house->folder, "flight");
	g_rmdir(house->folder);
}

static void close_house(sim_house *house)
{
	bh_guard_unref(house->guard);
	bh_methods_unref(house->methods);
	bh_sealer_free(house->sealer);
	house_remove_folder(house);
	g_free(house->folder);
}

static void print_counts(const sim_counts *c)
{
#define SHOW(name_, count_) g_print("#   %-28s %12llu\n", (name_), (unsigned long long)(count_))
	SHOW("events", c->events);
	SHOW("attempts", c->attempts);
	SHOW("deaths of the process", c->deaths);
	SHOW("tokens asked for", c->tokens);
	SHOW("turns of loops", c->turns);
	for (int state = BH_STATE_PENDING; state <= BH_STATE_FILTERED; state++)
		SHOW(bh_state_name((bh_state)state), c->moves[state]);
	SHOW("had to wait for an earlier one", c->blocked);
	SHOW("recovered", c->recovered);
	SHOW("replays", c->replayed);
	SHOW("enabled by a test", c->tests_enabled);
	for (int cause = BH_DISABLED_BY_OWNER; cause <= BH_DISABLED_BY_FAILURE; cause++) {
		g_autofree char *name =
			g_strconcat("disabled by ", bh_disabled_cause_name((bh_disabled_cause)cause), NULL);
		SHOW(name, c->disabled[cause]);
	}
#undef SHOW
}

int main(int argc, char **argv)
{
	options o = {.from = 1, .seeds = 100};
	sim_house house;
	sim_counts total = {0};
	uint64_t count = 0;

	if (!read_options(argc, argv, &o))
		return 2;
	/* What the engine logs is part of the story, and the store's troubles are wanted here. */
	bh_log_setup(o.verbose ? BH_INFO : BH_ERR, false, o.verbose ? 1 : open("/dev/null", O_WRONLY | O_CLOEXEC));
	open_house(&house, &o);
	if (o.tap)
		g_print("1..1\n");
	gint64 began = g_get_monotonic_time();
	while (o.seconds ? g_get_monotonic_time() - began < o.seconds * BH_SECOND : count < (uint64_t)o.seeds) {
		uint64_t seed = (uint64_t)o.from + count++, hash = live(&house, seed, &total);
		if (o.verbose || o.hashes)
			g_print("seed %llu: hash %016llx\n", (unsigned long long)seed, (unsigned long long)hash);
	}
	double seconds = (double)(g_get_monotonic_time() - began) / BH_SECOND;
	g_print("# %llu seeds from %lld hold, %.1f a second:\n", (unsigned long long)count, (long long)o.from,
		(double)count / seconds);
	print_counts(&total);
	if (o.tap)
		g_print("ok 1 - every seed holds\n");
	close_house(&house);
	return 0;
}
