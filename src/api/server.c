/*
 * The API's server: the listening socket, libmicrohttpd's threads, what each thread has for itself, and the end.
 */
#include "api/server.h"

#include "api/names.h"
#include "api/rates.h"
#include "api/rehearsals.h"
#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_SECONDS 75u /* longer than the keep-alive of common proxies, so that they close first */
/* Room for a header of BH_HEADER_MAX with its parsed rows and the answer's header; beyond it MHD answers 431 itself. */
#define CONNECTION_MEMORY ((size_t)(24 * 1024))
#define READ_STEP ((size_t)(8 * 1024))
#define IDLE_LOOK (2 * BH_MILLISECOND)
#define STOP_PATIENCE (10 * BH_SECOND) /* for clients that do not read their answer; commits are always waited for */

/* --- The threads' belongings ------------------------------------------------------------- */

static void worker_free(void *user)
{
	bh_api_worker *worker = user;

	bh_reader_free(worker->reader);
	bh_json_free(worker->json);
	g_array_free(worker->findings, TRUE);
	g_free(worker);
}

bh_api_worker *bh_api_worker_here(bh_api *api)
{
	bh_api_worker *worker = pthread_getspecific(api->worker);

	if (!worker) {
		worker = g_new0(bh_api_worker, 1);
		worker->json = bh_json_new();
		worker->findings = g_array_new(FALSE, FALSE, sizeof(bh_finding));
		pthread_setspecific(api->worker, worker);
	}
	return worker;
}

bh_reader *bh_api_reader_here(bh_api *api, GError **error)
{
	bh_api_worker *worker = bh_api_worker_here(api);

	if (!worker->reader)
		worker->reader = bh_reader_new(api->rooms.store, error);
	return worker->reader;
}

bh_guard *bh_api_guard(bh_api *api)
{
	pthread_mutex_lock(&api->lock);
	bh_guard *guard = bh_guard_ref(api->guard);
	pthread_mutex_unlock(&api->lock);
	return guard;
}

bh_methods *bh_api_methods(bh_api *api)
{
	pthread_mutex_lock(&api->lock);
	bh_methods *methods = bh_methods_ref(api->methods);
	pthread_mutex_unlock(&api->lock);
	return methods;
}

void bh_api_use(bh_api *api, const bh_settings *settings, bh_guard *guard, bh_methods *methods)
{
	pthread_mutex_lock(&api->lock);
	bh_guard *old_guard = api->guard;
	bh_methods *old_methods = api->methods;
	api->guard = bh_guard_ref(guard);
	api->methods = bh_methods_ref(methods);
	pthread_mutex_unlock(&api->lock);

	atomic_store(&api->settings, settings);
	bh_guard_unref(old_guard);
	bh_methods_unref(old_methods);
}

/* --- Listening --------------------------------------------------------------------------- */

/* "127.0.0.1:8380" or "[::1]:8380" in two; the settings have checked that there are two. */
static void split_address(const char *listen, char **ret_host, char **ret_port)
{
	const char *colon = strrchr(listen, ':');
	size_t host_bytes = (size_t)(colon - listen);

	*ret_port = g_strdup(colon + 1);
	*ret_host = *listen == '[' ? g_strndup(listen + 1, host_bytes - 2) : g_strndup(listen, host_bytes);
}

static int listen_on(const struct addrinfo *address)
{
	int one = 1;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
	    bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

static int open_listener(const char *listen, GError **error)
{
	g_autofree char *host = NULL, *port = NULL;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;

	split_address(listen, &host, &port);
	int failed = getaddrinfo(host, port, &hints, &found);
	if (failed) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot listen on %s: %s", listen, gai_strerror(failed));
		return -1;
	}

	int fd = listen_on(found);
	if (fd < 0)
		g_set_error(error, BH_ERROR, BH_ERROR_IO,
			    "cannot listen on %s: %s (is another bellhop running? choose another with --listen)",
			    listen, g_strerror(errno));
	freeaddrinfo(found);
	return fd;
}

static char *address_of(int fd)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr *address = (struct sockaddr *)(void *)&storage;
	socklen_t size = sizeof storage;
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, address, &size) != 0 ||
	    getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return NULL;
	return g_strdup_printf(address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* --- Opening ----------------------------------------------------------------------------- */

/* MHD would decode the path before it is split, and an id with a slash in it would be two segments. We decode later. */
static size_t leave_escaped(void *user, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

static void log_from_mhd(void *user, const char *format, va_list arguments) G_GNUC_PRINTF(2, 0);
static void log_from_mhd(void *user, const char *format, va_list arguments)
{
	g_autofree char *text = g_strdup_vprintf(format, arguments);

	bh_log(BH_DEBUG, "api", "libmicrohttpd", BH_STR("says", g_strchomp(text)));
}

static struct MHD_Daemon *start_daemon(bh_api *api, const bh_settings *settings, int listen_fd)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	unsigned threads = settings->api_threads > 1 ? (unsigned)settings->api_threads : 0;
	struct MHD_OptionItem options[] = {
		{MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_from_mhd, NULL},
		{MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL},
		{MHD_OPTION_CONNECTION_LIMIT, (intptr_t)MAX(settings->connections_max, threads), NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)CONNECTION_MEMORY, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (intptr_t)READ_STEP, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escaped, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)bh_call_completed, api},
		{threads ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	return MHD_start_daemon(flags, 0, NULL, NULL, bh_call_serve, api, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static bh_api *api_new(const bh_api_rooms *rooms, const bh_settings *settings, bh_guard *guard, bh_methods *methods)
{
	bh_api *api = g_new0(bh_api, 1);

	api->rooms = *rooms;
	api->guard = bh_guard_ref(guard);
	api->methods = bh_methods_ref(methods);
	api->names = bh_name_pool_new();
	api->rehearsals = bh_rehearsals_new(api);
	api->rates = bh_rates_new();
	atomic_store(&api->settings, settings);
	pthread_mutex_init(&api->lock, NULL);
	if (pthread_key_create(&api->worker, worker_free) != 0)
		g_error("no thread-local storage is left");
	return api;
}

static void api_free(bh_api *api)
{
	bh_name_pool_free(api->names);
	bh_rehearsals_free(api->rehearsals);
	bh_rates_free(api->rates);
	pthread_key_delete(api->worker);
	pthread_mutex_destroy(&api->lock);
	bh_guard_unref(api->guard);
	bh_methods_unref(api->methods);
	g_free(api->address);
	g_free(api);
}

bh_api *bh_api_open(const bh_api_rooms *rooms, const bh_settings *settings, bh_guard *guard, bh_methods *methods,
		    GError **error)
{
	int fd = open_listener(settings->listen, error);

	if (fd < 0)
		return NULL;
	bh_api *api = api_new(rooms, settings, guard, methods);
	api->address = address_of(fd);
	api->daemon = api->address ? start_daemon(api, settings, fd) : NULL;
	if (!api->daemon) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot start the HTTP server on %s", settings->listen);
		close(fd);
		api_free(api);
		return NULL;
	}
	bh_log(BH_INFO, "api", "listening", BH_STR("address", api->address));
	return api;
}

const char *bh_api_address(const bh_api *api)
{
	return api->address;
}

/* --- Closing ----------------------------------------------------------------------------- */

/*
 * Without MHD_quiesce_daemon: it takes the listening socket out of each worker's epoll while the worker, told at the same time, does
 * so as well, and who comes second ends the process (libmicrohttpd 0.9.75: "Failed to remove listen FD from epoll set").
 */
void bh_api_quiesce(bh_api *api)
{
	atomic_store(&api->stopping, true);
}

/*
 * Commits are waited for as long as they take: the journal answers each. Slow readers are not. What the hot path counts it
 * does not signal: closing looks again and again instead.
 */
static void wait_until_idle(bh_api *api)
{
	bh_mono patience = bh_mono_add(bh_clock_mono(), STOP_PATIENCE);

	while (atomic_load(&api->calls) > 0 && !bh_mono_reached(bh_clock_mono(), patience))
		g_usleep(IDLE_LOOK);
	/* Half a request may have become a whole one since; from here on it is refused (see bh_call_commit). */
	atomic_store(&api->closed, true);
	/* In this order: one is counted up before the other is counted down. */
	while (atomic_load(&api->suspended) > 0 || atomic_load(&api->answering) > 0)
		g_usleep(IDLE_LOOK);
}

void bh_api_close(bh_api *api)
{
	if (!api)
		return;
	bh_api_quiesce(api);
	wait_until_idle(api);
	MHD_stop_daemon(api->daemon);
	api_free(api);
}
