/*
 * The house, opened in this order and closed in the reverse one:
 *
 *   settings -> guard -> sealing key -> store -> directory -> methods -> loops (asleep) -> journal -> API -> loops start
 *
 * A step that fails says why, and what was open is closed. Afterwards the main thread only waits for signals.
 */
#include "serve/serve.h"

#include "api/api.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/steady.h"
#include "delivery/delivery.h"
#include "serve/files.h"
#include "serve/first_start.h"
#include "serve/lookup.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the command line says. */
typedef struct options {
	char *config; /* --config FILE; NULL: none */
	char **overrides; /* "name=value" */
} options;

typedef struct house {
	options options;
	GPtrArray *settings; /* bh_settings: the last one is in force; API threads may still read an older one */
	bh_sealer *sealer;
	bh_store *store;
	bh_directory *directory;
	bh_guard *guard;
	bh_methods *methods;
	bh_lookup_config *lookup; /* NULL: details are looked up nowhere */
	bh_loops *loops;
	bh_journal *journal;
	bh_api *api;
	char *address_file;
	pthread_mutex_t
		reloading; /* held by whoever replaces settings, guard or methods: the main thread, or one of the API's */
} house;

static const bh_settings *settings_of(const house *h)
{
	return h->settings->pdata[h->settings->len - 1];
}

/* --- Options ----------------------------------------------------------------------------------------- */

/* --data and --listen are settings too, and stand in their turn among those of --set: the last one given counts. */
static gboolean take_setting(const char *option, const char *value, void *overrides, GError **error)
{
	if (strcmp(option, "--data") == 0 || strcmp(option, "-d") == 0)
		g_ptr_array_add(overrides, g_strconcat("data_dir=", value, NULL));
	else if (strcmp(option, "--listen") == 0 || strcmp(option, "-l") == 0)
		g_ptr_array_add(overrides, g_strconcat("listen=", value, NULL));
	else
		g_ptr_array_add(overrides, g_strdup(value));
	return TRUE;
}

static bool parse_options(int argc, char **argv, options *ret, GError **error)
{
	g_autofree char *config = NULL;
	g_autoptr(GPtrArray) overrides = g_ptr_array_new_with_free_func(g_free);
	const GOptionEntry entries[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &config, NULL, "FILE"},
		{"data", 'd', G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, take_setting, NULL, "DIR"},
		{"listen", 'l', 0, G_OPTION_ARG_CALLBACK, take_setting, NULL, "HOST:PORT"},
		{"set", 's', 0, G_OPTION_ARG_CALLBACK, take_setting, NULL, "NAME=VALUE"},
		{0},
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	GOptionGroup *group = g_option_group_new("serve", NULL, NULL, overrides, NULL);
	g_option_group_add_entries(group, entries);
	g_option_context_set_main_group(context, group);
	g_option_context_set_help_enabled(context, FALSE); /* the table of commands has it */
	if (!g_option_context_parse(context, &argc, &argv, error))
		return false;
	if (argc > 1) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" is not an option of serve", argv[1]);
		return false;
	}
	g_ptr_array_add(overrides, NULL);
	ret->overrides = (char **)g_ptr_array_free(g_steal_pointer(&overrides), FALSE);
	ret->config = g_steal_pointer(&config);
	return true;
}

/* --- Opening ------------------------------------------------------------------------------------------- */

static bh_guard *make_guard(const bh_settings *s, const char *own_address, GError **error)
{
	char *own[] = {(char *)own_address, NULL};
	bh_guard *guard = bh_guard_new(s->allow, own, s->https_only, error);
	if (!guard) {
		g_autofree char *where = bh_settings_where(s, "allow");
		g_prefix_error(error, "%s: ", where);
	}
	return guard;
}

static void use_log(const bh_settings *s)
{
	bh_log_level level = BH_INFO;
	bh_log_level_parse(s->log_level, &level);
	bh_log_setup(level, g_str_equal(s->log_format, "json"), STDERR_FILENO);
}

/* The guard too: what is wrong in the settings is told before anything is made. */
static bool load_settings(house *h, GError **error)
{
	g_autoptr(bh_settings) settings = bh_settings_load(h->options.config, h->options.overrides, error);
	h->guard = settings ? make_guard(settings, NULL, error) : NULL;
	if (!h->guard || !bh_lookup_of(settings, &h->lookup, error))
		return false;
	use_log(settings);
	bh_files_share(settings);
	g_ptr_array_add(h->settings, g_steal_pointer(&settings));
	return true;
}

/* A new key beside an old database opens nothing in it, and would hide that the old one has to be found. */
static bool check_key_is_there(const char *key_file, const char *store_url, GError **error)
{
	const char *database = g_str_has_prefix(store_url, "sqlite:") ? store_url + strlen("sqlite:") : "";
	const char *in_environment = g_getenv("BELLHOP_SEAL_KEY");
	bool given = (in_environment && *in_environment) || g_file_test(key_file, G_FILE_TEST_EXISTS);
	if (given || !g_file_test(database, G_FILE_TEST_EXISTS))
		return true;
	g_set_error(
		error, BH_ERROR, BH_ERROR_NOT_FOUND,
		"sealing key file \"%s\" is missing, and there is a database \"%s\" already: put the key back that belongs to it, or give it in BELLHOP_SEAL_KEY",
		key_file, database);
	return false;
}

static bool open_store(house *h, GError **error)
{
	const bh_settings *s = settings_of(h);
	if (g_mkdir_with_parents(s->data_dir, 0700) < 0) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot make the data folder \"%s\": %s", s->data_dir,
			    g_strerror(errno));
		return false;
	}
	g_autofree char *key_file = g_build_filename(s->data_dir, "seal.key", NULL);
	g_autofree char *url = *s->store ? g_strdup(s->store) : g_strdup_printf("sqlite:%s/bellhop.db", s->data_dir);
	h->sealer = check_key_is_there(key_file, url, error) ? bh_sealer_open(key_file, error) : NULL;
	if (!h->sealer)
		return false;
	h->store = bh_store_open(url, h->sealer, error);
	if (!h->store)
		return false;
	bh_id_start_above(bh_store_last_id(h->store));

	bh_snapshot *snapshot = bh_store_load_directory(h->store, error);
	if (!snapshot)
		return false;
	h->directory = bh_directory_new(snapshot);
	return true;
}

static const bh_broken_method *find_broken(const bh_methods *methods, const char *name)
{
	const GPtrArray *broken = methods ? bh_methods_broken(methods) : NULL;
	for (guint i = 0; broken && i < broken->len; i++) {
		const bh_broken_method *b = g_ptr_array_index(broken, i);
		if (g_str_equal(b->name, name))
			return b;
	}
	return NULL;
}

/* What is broken is told when it breaks, or in another way than before, and not at every reload that finds it as it was. */
static void tell_broken(const bh_methods *methods, const bh_methods *previous)
{
	const GPtrArray *broken = bh_methods_broken(methods), *before = previous ? bh_methods_broken(previous) : NULL;
	for (guint i = 0; i < broken->len; i++) {
		const bh_broken_method *b = g_ptr_array_index(broken, i), *old = find_broken(previous, b->name);
		if (!old || !g_str_equal(old->why, b->why))
			bh_log(BH_ERR, "method",
			       b->kept ? "method not loaded; the version loaded before stays in force"
				       : "method not loaded",
			       BH_STR("why", b->why));
	}
	for (guint i = 0; before && i < before->len; i++) {
		const bh_broken_method *b = g_ptr_array_index(before, i);
		if (!find_broken(methods, b->name))
			bh_log(BH_INFO, "method", "method is broken no more", BH_STR("method", b->name));
	}
}

static bh_methods *load_methods(const bh_settings *s, const bh_methods *previous, GError **error)
{
	g_autofree char *folder = bh_methods_folder(s->methods_dir);
	bh_methods *methods = bh_methods_load(folder, previous, NULL, error);
	if (methods)
		tell_broken(methods, previous);
	return methods;
}

static void tell_metrics(void *user, GString *out)
{
	bh_loops_metrics(user, out);
}

static bool open_engine(house *h, GError **error)
{
	const bh_settings *s = settings_of(h);
	h->methods = load_methods(s, NULL, error);
	if (!h->methods)
		return false;

	bh_loops_rooms rooms = {
		.store = h->store, .directory = h->directory, .sealer = h->sealer, .data_dir = s->data_dir};
	h->loops = bh_loops_new(&rooms, s, h->guard, h->methods, error);
	if (!h->loops)
		return false;
	bh_journal_listener listener = bh_loops_listener(h->loops);
	h->journal = bh_journal_open(h->store, h->directory, &listener, (size_t)s->journal_queue, error);
	return h->journal != NULL;
}

/* The guard must refuse our own listener, whose port may only be known now. */
static bool guard_ourselves(house *h, GError **error)
{
	bh_guard *guard = make_guard(settings_of(h), bh_api_address(h->api), error);
	if (!guard)
		return false;
	bh_guard_unref(h->guard);
	h->guard = guard;
	bh_api_use(h->api, settings_of(h), h->guard, h->methods);
	bh_loops_use(h->loops, settings_of(h), h->guard, h->methods, h->lookup);
	return true;
}

/* On a thread of the API, as a reload of everything is on the main one. */
static bool reload_methods(void *user, bh_methods **ret_before, bh_methods **ret_now, GError **error)
{
	house *h = user;
	pthread_mutex_lock(&h->reloading);
	bh_methods *next = load_methods(settings_of(h), h->methods, error);
	if (next) {
		*ret_before = h->methods; /* our reference */
		*ret_now = bh_methods_ref(next);
		h->methods = next;
		bh_api_use(h->api, settings_of(h), h->guard, h->methods);
		bh_loops_use(h->loops, settings_of(h), h->guard, h->methods, h->lookup);
	}
	pthread_mutex_unlock(&h->reloading);
	return next != NULL;
}

static bool open_api(house *h, GError **error)
{
	const bh_settings *s = settings_of(h);
	bh_api_rooms rooms = {.store = h->store,
			      .directory = h->directory,
			      .journal = h->journal,
			      .sealer = h->sealer,
			      .metrics = tell_metrics,
			      .user = h->loops,
			      .check_name = bh_guard_check_name,
			      .disables_at = bh_delivery_disables_at,
			      .reload_methods = reload_methods,
			      .house = h};
	h->api = bh_api_open(&rooms, s, h->guard, h->methods, error);
	if (!h->api || !guard_ourselves(h, error))
		return false;

	h->address_file = g_build_filename(s->data_dir, "address", NULL);
	g_autofree char *url = g_strdup_printf("http://%s\n", bh_api_address(h->api));
	BH_FAULT("serve.before-address");
	return g_file_set_contents(h->address_file, url, -1, error);
}

static bool open_house(house *h, GError **error)
{
	if (!open_store(h, error) || !open_engine(h, error))
		return false;
	if (!bh_first_key(settings_of(h)->data_dir, h->directory, h->journal, error) ||
	    !bh_types_from_file(settings_of(h)->types_file, h->directory, h->journal, error))
		return false;
	pthread_mutex_lock(&h->reloading); /* requests come in from here on, and one of them may ask for methods */
	bool opened = open_api(h, error) && bh_loops_start(h->loops, h->journal, error);
	pthread_mutex_unlock(&h->reloading);
	if (!opened)
		return false;
	bh_log(BH_INFO, "serve", "ready", BH_STR("version", BH_VERSION), BH_STR("address", bh_api_address(h->api)),
	       BH_STR("data", settings_of(h)->data_dir));
	return true;
}

/* --- Closing --------------------------------------------------------------------------------------------- */

static void close_house(house *h)
{
	if (h->address_file)
		(void)unlink(h->address_file); /* gone already is as good */
	BH_FAULT("serve.closing");
	if (h->api) {
		bh_api_quiesce(h->api);
		bh_api_close(h->api);
	}
	if (h->loops)
		bh_loops_stop(h->loops);
	bh_journal_close(h->journal);
	BH_FAULT("serve.journal-closed");
	bh_loops_free(h->loops);
	g_clear_pointer(&h->methods, bh_methods_unref);
	g_clear_pointer(&h->lookup, bh_lookup_config_free);
	g_clear_pointer(&h->guard, bh_guard_unref);
	g_clear_pointer(&h->directory, bh_directory_free);
	g_clear_pointer(&h->store, bh_store_close);
	g_clear_pointer(&h->sealer, bh_sealer_free);
	g_clear_pointer(&h->settings, g_ptr_array_unref);
	g_free(h->address_file);
	g_free(h->options.config);
	g_strfreev(h->options.overrides);
}

/* --- Signals --------------------------------------------------------------------------------------------- */

/* With the lock held. */
static bool read_everything(house *h, GError **error)
{
	g_autoptr(bh_settings) next = bh_settings_load(h->options.config, h->options.overrides, error);
	if (!next)
		return false;
	g_autoptr(bh_guard) guard = make_guard(next, bh_api_address(h->api), error);
	if (!guard)
		return false;
	g_autoptr(bh_lookup_config) lookup = NULL;
	if (!bh_lookup_of(next, &lookup, error))
		return false;
	g_autoptr(bh_methods) methods = load_methods(next, h->methods, error);
	if (!methods || !bh_types_from_file(next->types_file, h->directory, h->journal, error))
		return false;

	bh_guard_unref(h->guard);
	h->guard = g_steal_pointer(&guard);
	bh_methods_unref(h->methods);
	h->methods = g_steal_pointer(&methods);
	bh_lookup_config_free(h->lookup);
	h->lookup = g_steal_pointer(&lookup);
	use_log(next);
	bh_files_share(next); /* as at the start, or it would look like a change */
	g_ptr_array_add(h->settings, g_steal_pointer(&next));

	bh_api_use(h->api, settings_of(h), h->guard, h->methods);
	bh_loops_use(h->loops, settings_of(h), h->guard, h->methods, h->lookup);
	return true;
}

/* Reads everything anew; whatever is wrong is said, and the old stays in force. */
static bool reload(house *h, GError **error)
{
	pthread_mutex_lock(&h->reloading);
	bool ok = read_everything(h, error);
	pthread_mutex_unlock(&h->reloading);
	return ok;
}

static void tell_reload(const house *h)
{
	bh_log(BH_INFO, "serve", "settings, methods and types read again", BH_INT("reloads", h->settings->len - 1));
	g_autofree char *waiting = bh_settings_waiting_for_restart(h->settings->pdata[0], settings_of(h));
	if (waiting)
		bh_log(BH_WARNING, "serve", "changed, but in force only after a restart", BH_STR("settings", waiting));
}

static void wait_for_the_end(house *h, const sigset_t *signals)
{
	for (;;) {
		int signal = 0;
		sigwait(signals, &signal);
		if (signal != SIGHUP) {
			bh_log(BH_INFO, "serve", "stopping: what is in flight is finished first",
			       BH_STR("signal", sigabbrev_np(signal)));
			return;
		}
		g_autoptr(GError) error = NULL;
		if (reload(h, &error))
			tell_reload(h);
		else
			bh_log(BH_ERR, "serve", "not reloaded; everything stays as it was",
			       BH_STR("why", error->message));
	}
}

/* Every thread inherits the mask, so only the main thread's sigwait sees these. */
static void block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ret, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is a full disk: an error, not a death */
}

int bh_serve(int argc, char **argv)
{
	house h = {.settings = g_ptr_array_new_with_free_func((GDestroyNotify)bh_settings_free),
		   .reloading = PTHREAD_MUTEX_INITIALIZER};
	g_autoptr(GError) error = NULL;
	if (!parse_options(argc, argv, &h.options, &error) || !load_settings(&h, &error)) {
		fprintf(stderr, "bellhop serve: %s\n", error->message);
		close_house(&h);
		return 2;
	}
	sigset_t signals;
	block_signals(&signals);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	bh_clock_steady(bh_clock_mono()); /* the steady clock begins here */

	bool opened = open_house(&h, &error);
	if (opened)
		wait_for_the_end(&h, &signals);
	else
		fprintf(stderr, "bellhop serve: cannot start: %s\n", error->message);
	close_house(&h);
	if (opened)
		bh_log(BH_INFO, "serve", "stopped", BH_STR("version", BH_VERSION));
	curl_global_cleanup();
	return opened ? 0 : 1;
}
