/* ./dev sim: seeds one after the other. See sim.h. */
#include "sim.h"

#include "base/log.h"

#include <fcntl.h>
#include <glib/gstdio.h>

typedef struct options {
	gint64 from, seeds;
	gint seconds;
	gboolean verbose, tap;
} options;

static bool read_options(int argc, char **argv, options *o)
{
	GOptionEntry entries[] = {
		{"seeds", 0, 0, G_OPTION_ARG_INT64, &o->seeds, "How many", "N"},
		{"from", 0, 0, G_OPTION_ARG_INT64, &o->from, "The first one", "SEED"},
		{"seconds", 0, 0, G_OPTION_ARG_INT, &o->seconds, "In place of a number: as many as fit", "S"},
		{"verbose", 0, 0, G_OPTION_ARG_NONE, &o->verbose, "Each step", NULL},
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

static void close_house(sim_house *house)
{
	bh_guard_unref(house->guard);
	bh_methods_unref(house->methods);
	bh_sealer_free(house->sealer);
	remove_file(house->folder, "seal.key");
	remove_file(house->folder, "flight");
	g_rmdir(house->folder);
	g_free(house->folder);
}

int main(int argc, char **argv)
{
	options o = {.from = 1, .seeds = 100};
	sim_house house;
	uint64_t count = 0, events = 0, attempts = 0, deaths = 0, turns = 0;

	if (!read_options(argc, argv, &o))
		return 2;
	/* What the engine logs is part of the story, and the store's troubles are wanted here. */
	bh_log_setup(o.verbose ? BH_INFO : BH_ERR, false, o.verbose ? 1 : open("/dev/null", O_WRONLY | O_CLOEXEC));
	open_house(&house, &o);
	if (o.tap)
		g_print("1..1\n");
	gint64 began = g_get_monotonic_time();
	while (o.seconds ? g_get_monotonic_time() - began < o.seconds * BH_SECOND : count < (uint64_t)o.seeds) {
		sim counts;
		uint64_t seed = (uint64_t)o.from + count++, hash = live(&house, seed, &counts);
		events += counts.events;
		attempts += counts.attempts;
		deaths += counts.deaths;
		turns += counts.turns;
		if (o.verbose || (!o.seconds && o.seeds <= 20))
			g_print("seed %llu: hash %016llx, %llu events, %llu attempts, %llu deaths, %llu turns\n",
				(unsigned long long)seed, (unsigned long long)hash, (unsigned long long)counts.events,
				(unsigned long long)counts.attempts, (unsigned long long)counts.deaths,
				(unsigned long long)counts.turns);
	}
	double seconds = (double)(g_get_monotonic_time() - began) / BH_SECOND;
	g_print("%s%llu seeds from %lld hold: %llu events, %llu attempts, %llu deaths, %llu turns; %.1f seeds a second\n",
		o.tap ? "# " : "", (unsigned long long)count, (long long)o.from, (unsigned long long)events,
		(unsigned long long)attempts, (unsigned long long)deaths, (unsigned long long)turns,
		(double)count / seconds);
	if (o.tap)
		g_print("ok 1 - every seed holds\n");
	close_house(&house);
	return 0;
}
