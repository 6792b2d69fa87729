/*
 * The transfers of one delivery loop. A turn goes once through
 *
 *   EVENTS (what epoll reported) -> RESOLVE (names that are known by now) -> NEW (hand over to libcurl)
 *     -> TIMER (libcurl's) -> FINISHED (what libcurl is done with) -> EXPIRED (ours) -> SHARE -> REPORT
 *
 * and only REPORT calls out, so nothing of ours is on the stack of libcurl when a `done` starts or aborts transfers.
 */
#include "transport/internal.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int set_timer(CURLM *multi, long milliseconds, void *transport);
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *transport, void *unused);

/* Spare transfers beyond these are freed: an easy handle takes about 10 KB. */
#define SPARE_MAX 256

/* --- Open ------------------------------------------------------------------------------------------ */

static void initialise_libcurl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool check_ca_file(const char *ca_file, GError **error)
{
	if (!ca_file || access(ca_file, R_OK) == 0)
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot read the authorities in \"%s\"", ca_file);
	return false;
}

static CURLM *new_multi(bh_transport *t, long connections_max)
{
	CURLM *multi = curl_multi_init();

	if (!multi)
		return NULL;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, t);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, t);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS,
			  connections_max); /* idle ones; those in use are bounded by the caller */
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	return multi;
}

static void set_limits(bh_transport *t, const bh_transport_config *config)
{
	t->stage_limit[BH_STAGE_RESOLVE] = config->dns_timeout;
	t->stage_limit[BH_STAGE_SHARE] = config->connect_timeout + config->tls_timeout;
	t->stage_limit[BH_STAGE_START] = config->dns_timeout;
	t->stage_limit[BH_STAGE_CONNECT] = config->connect_timeout;
	t->stage_limit[BH_STAGE_SECURE] = config->tls_timeout;
}

static bool open_wake(bh_transport *t, int epoll_fd, GError **error)
{
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = BH_TRANSPORT_EPOLL_MARK | (uint32_t)t->wake_fd};

	if (t->wake_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &e) == 0)
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot watch an eventfd: %s", g_strerror(errno));
	return false;
}

static bool open_proxy(bh_transport *t, const char *setting, GError **error)
{
	if (!setting || !*setting)
		return true;
	t->proxy = bh_proxy_new(setting, t->routes, error);
	return t->proxy != NULL;
}

bh_transport *bh_transport_new(const bh_transport_config *config, int epoll_fd, GError **error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, initialise_libcurl);
	if (!check_ca_file(config->ca_file, error))
		return NULL;

	bh_transport *t = g_new0(bh_transport, 1);
	t->multi = new_multi(t, config->connections_max);
	if (!t->multi) {
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT, "libcurl gives no multi handle");
		g_free(t);
		return NULL;
	}
	t->wake_fd = -1;
	t->routes = bh_routes_new(config->guard);
	t->sockets = bh_sockets_new(epoll_fd, t->routes);
	t->user_agent = g_strconcat("User-Agent: ", config->user_agent, NULL);
	t->ca_file = g_strdup(config->ca_file);
	t->events = g_array_new(false, false, sizeof(struct epoll_event));
	set_limits(t, config);
	for (int i = 0; i < BH_STAGES; i++)
		g_queue_init(&t->stages[i]);
	if (!open_wake(t, epoll_fd, error) || !open_proxy(t, config->proxy, error)) {
		bh_transport_free(t);
		return NULL;
	}
	return t;
}

void bh_transport_use_guard(bh_transport *t, bh_guard *guard)
{
	bh_routes_use_guard(t->routes, guard);
	t->judges_kept = true;
}

/* --- Stages ---------------------------------------------------------------------------------------- */

#define TO(stage) (1u << BH_STAGE_##stage)

/* Each address has the time of CONNECT. libcurl repeats a request by itself (EXCHANGE to CONNECT or EXCHANGE), and we do once more (to NEW);
   a repetition may come as far as SECURE. */
static const unsigned MOVES[BH_STAGES] = {
	[BH_STAGE_SPARE] = TO(NEW) | TO(OVER),
	[BH_STAGE_NEW] = TO(RESOLVE) | TO(OVER) | TO(SPARE),
	[BH_STAGE_RESOLVE] = TO(SHARE) | TO(START) | TO(OVER) | TO(SPARE),
	[BH_STAGE_SHARE] = TO(START) | TO(OVER) | TO(SPARE),
	[BH_STAGE_START] = TO(CONNECT) | TO(EXCHANGE) | TO(OVER) | TO(SPARE),
	[BH_STAGE_CONNECT] = TO(CONNECT) | TO(NEW) | TO(SECURE) | TO(EXCHANGE) | TO(OVER) | TO(SPARE),
	[BH_STAGE_SECURE] = TO(EXCHANGE) | TO(NEW) | TO(OVER) | TO(SPARE),
	[BH_STAGE_EXCHANGE] = TO(CONNECT) | TO(EXCHANGE) | TO(NEW) | TO(OVER) | TO(SPARE),
	[BH_STAGE_OVER] = TO(REPORT) | TO(SPARE),
	[BH_STAGE_REPORT] = TO(SPARE),
};

/* The only place that changes a stage. */
void bh_transfer_enter(bh_transfer *x, bh_stage stage)
{
	bh_transport *t = x->transport;

	g_assert(MOVES[x->stage] & (1u << stage));
	g_queue_unlink(&t->stages[x->stage], &x->link);
	g_queue_push_tail_link(&t->stages[stage], &x->link);
	x->stage = stage;
	x->since = t->now.mono;
}

static bool is_in_libcurl(bh_stage stage)
{
	return stage >= BH_STAGE_START && stage <= BH_STAGE_EXCHANGE;
}

static void leave_libcurl(bh_transfer *x)
{
	if (is_in_libcurl(x->stage))
		curl_multi_remove_handle(x->transport->multi, x->easy);
}

static void set_aside(bh_transfer *x)
{
	bh_transport *t = x->transport;

	bh_transfer_recycle(x);
	bh_transfer_enter(x, BH_STAGE_SPARE);
	atomic_fetch_sub_explicit(&t->in_flight, 1, memory_order_relaxed);
	if (t->stages[BH_STAGE_SPARE].length > SPARE_MAX) {
		g_queue_unlink(&t->stages[BH_STAGE_SPARE], &x->link);
		bh_transfer_free(x);
	}
}

/* --- Start ------------------------------------------------------------------------------------------ */

static bh_transfer *take_spare(bh_transport *t)
{
	GList *spare = t->stages[BH_STAGE_SPARE].tail; /* the warmest */

	if (spare)
		return spare->data;
	bh_transfer *x = bh_transfer_new(t, NULL);
	if (!x)
		g_error("out of memory for a transfer");
	g_queue_push_tail_link(&t->stages[BH_STAGE_SPARE], &x->link);
	return x;
}

bh_transfer *bh_transport_start(bh_transport *t, const bh_request *request, bh_now now, bh_transfer_done done,
				void *user)
{
	bh_transfer *x = take_spare(t);

	t->now = now;
	x->done = done;
	x->user = user;
	x->started = now.mono;
	atomic_fetch_add_explicit(&t->requests, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->in_flight, 1, memory_order_relaxed);
	bh_transfer_enter(x, bh_transfer_prepare(x, request) ? BH_STAGE_NEW : BH_STAGE_OVER);
	return x;
}

void bh_transport_abort(bh_transport *t, bh_transfer *x)
{
	if (x->stage == BH_STAGE_REPORT)
		return; /* by its own `done`: it is on its way out */
	g_assert(x->stage != BH_STAGE_SPARE);
	leave_libcurl(x);
	set_aside(x);
}

/* --- What libcurl asks for ------------------------------------------------------------------------- */

static int set_timer(CURLM *multi, long milliseconds, void *transport)
{
	bh_transport *t = transport;

	t->timer_set = milliseconds >= 0;
	if (t->timer_set)
		t->timer_due = bh_mono_add(t->now.mono, milliseconds * BH_MILLISECOND);
	return 0;
}

static bool let_go(CURL *easy, curl_socket_t fd)
{
	bh_transfer *x = NULL;
	long version = 0;

	curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &x);
	if (x)
		x->fd = -1;
	if (x && x->stage == BH_STAGE_EXCHANGE && x->head_bytes == 0 && !x->route->target.https)
		bh_answer_rescue(x, fd);
	else if (x && x->stage == BH_STAGE_CONNECT)
		bh_transfer_address_failed(x);
	return version == CURL_HTTP_VERSION_2_0;
}

static void note_socket(CURL *easy, curl_socket_t fd)
{
	bh_transfer *x = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &x);
	if (x)
		x->fd = fd;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *transport, void *unused)
{
	bh_transport *t = transport;
	bool http2 = false;

	if (what == CURL_POLL_REMOVE)
		http2 = let_go(easy, fd);
	else
		note_socket(easy, fd);
	bh_sockets_want(t->sockets, fd, what, http2);
	return 0;
}

/* --- A turn ------------------------------------------------------------------------------------------ */

void bh_transport_ready(bh_transport *t, uint64_t data, uint32_t epoll_events)
{
	struct epoll_event e = {.events = epoll_events, .data.u64 = data};

	g_array_append_val(t->events, e); /* the turn knows the time */
}

static int bits_of(uint32_t events)
{
	return (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
	       (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
}

static void wake(bh_transport *t)
{
	uint64_t count;

	(void)!read(t->wake_fd, &count, sizeof count);
	t->woken = true;
}

static void handle_events(bh_transport *t)
{
	int running;

	for (guint i = 0; i < t->events->len; i++) {
		const struct epoll_event *e = &g_array_index(t->events, struct epoll_event, i);
		int fd = (int)(uint32_t)e->data.u64;
		if (fd == t->wake_fd)
			wake(t);
		else if (bh_sockets_event(t->sockets, fd))
			curl_multi_socket_action(t->multi, fd, bits_of(e->events), &running);
	}
	g_array_set_size(t->events, 0);
}

static void conclude(bh_transfer *x, CURLcode code)
{
	if (bh_transfer_try_afresh(x, code)) {
		leave_libcurl(x);
		bh_transfer_enter(x, BH_STAGE_NEW);
		return;
	}
	bh_answer_conclude(x, code);
	leave_libcurl(x);
	bh_transfer_enter(x, BH_STAGE_OVER);
}

/* Whether somebody makes a connection just now that this one had better wait for: with HTTP/2 it can carry both. */
static bool is_being_connected(const bh_transport *t, const bh_endpoint *e)
{
	if (!e->multiplexes)
		return false;
	for (bh_stage s = e->open > 0 ? BH_STAGE_CONNECT : BH_STAGE_START; s <= BH_STAGE_SECURE; s++) {
		for (GList *l = t->stages[s].head; l; l = l->next) {
			const bh_transfer *x = l->data;
			if (x->route->endpoint == e)
				return true;
		}
	}
	return false;
}

static void give_to_libcurl(bh_transfer *x)
{
	bh_transport *t = x->transport;

	bh_sockets_weed(t->sockets, x->route->endpoint, t->turn);
	bh_transfer_equip(x);
	bh_transfer_enter(x, BH_STAGE_START);
	curl_multi_add_handle(t->multi, x->easy); /* sets the timer to now */
}

/* From RESOLVE as far as it gets. */
static void move_on(bh_transfer *x)
{
	bh_transport *t = x->transport;
	bh_name_state target = bh_endpoint_name(t, x->route->endpoint);
	bh_name_state proxy = t->proxy ? bh_endpoint_name(t, t->proxy->endpoint) : BH_NAME_KNOWN;

	if (target == BH_NAME_UNKNOWN || proxy == BH_NAME_UNKNOWN) {
		conclude(x, target == BH_NAME_UNKNOWN ? CURLE_COULDNT_RESOLVE_HOST : CURLE_COULDNT_RESOLVE_PROXY);
		return;
	}
	if (target == BH_NAME_AWAITED || proxy == BH_NAME_AWAITED) {
		x->resolved = 0;
		return;
	}
	if (x->resolved == 0)
		x->resolved = MAX(1, bh_mono_since(t->now.mono, x->started));
	if (t->proxy && !bh_proxy_pick_address(x))
		conclude(x, CURLE_COULDNT_CONNECT); /* the guard let none through */
	else if (is_being_connected(t, x->route->endpoint))
		bh_transfer_enter(x, BH_STAGE_SHARE);
	else
		give_to_libcurl(x);
}

static void begin_new(bh_transport *t)
{
	GList *l;

	while ((l = t->stages[BH_STAGE_NEW].head)) {
		bh_transfer *x = l->data;
		bh_transfer_enter(x, BH_STAGE_RESOLVE);
		move_on(x);
	}
}

static void resolve(bh_transport *t)
{
	GList *next;

	if (!t->woken)
		return;
	t->woken = false;
	for (GList *l = t->stages[BH_STAGE_RESOLVE].head; l; l = next) {
		next = l->next;
		move_on(l->data);
	}
}

static void share(bh_transport *t)
{
	GList *next;

	for (GList *l = t->stages[BH_STAGE_SHARE].head; l; l = next) {
		bh_transfer *x = l->data;
		next = l->next;
		if (!is_being_connected(t, x->route->endpoint))
			give_to_libcurl(x);
	}
}

static void handle_timer(bh_transport *t)
{
	int running;

	if (!t->timer_set || !bh_mono_reached(t->now.mono, t->timer_due))
		return;
	t->timer_set = false; /* libcurl sets it anew if it still waits for something */
	curl_multi_socket_action(t->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

void bh_transfer_address_failed(bh_transfer *x)
{
	if (!x->stuck)
		x->transport->stuck++;
	x->stuck = true;
}

/*
 * When an address was refused or did not answer, libcurl 7.88 takes up the next one only once something else wakes the
 * transfer, which may be in 7 seconds. There is no call to wake one; to pause and resume it does just that.
 */
static void press_on(bh_transport *t)
{
	while (t->stuck > 0) {
		t->stuck = 0;
		for (GList *l = t->stages[BH_STAGE_CONNECT].head; l; l = l->next) {
			bh_transfer *x = l->data;
			if (!x->stuck)
				continue;
			x->stuck = false;
			(void)curl_easy_pause(x->easy, CURLPAUSE_SEND); /* fails if it is through */
			(void)curl_easy_pause(x->easy, CURLPAUSE_CONT);
		}
		handle_timer(t);
	}
}

/* When time is over for one that libcurl does not watch the time of. */
static bh_mono end_of_time(const bh_transfer *x)
{
	bh_usec stage = bh_mono_since(bh_mono_add(x->since, x->transport->stage_limit[x->stage]), x->started);

	return bh_mono_add(x->started, MIN(stage, x->total_timeout));
}

static void expire_waiting(bh_transport *t, bh_stage stage)
{
	GList *next;

	for (GList *l = t->stages[stage].head; l; l = next) {
		bh_transfer *x = l->data;
		next = l->next;
		if (bh_mono_reached(t->now.mono, end_of_time(x)))
			conclude(x, CURLE_OPERATION_TIMEDOUT);
	}
}

/* The first of each queue entered it first, and all of a queue have the same limit. */
static void expire_stages(bh_transport *t)
{
	expire_waiting(t, BH_STAGE_RESOLVE);
	expire_waiting(t, BH_STAGE_SHARE);
	for (bh_stage s = BH_STAGE_START; s <= BH_STAGE_SECURE; s++) {
		GList *l;
		while ((l = t->stages[s].head)) {
			bh_transfer *x = l->data;
			if (!bh_mono_reached(t->now.mono, bh_mono_add(x->since, t->stage_limit[s])))
				break;
			conclude(x, CURLE_OPERATION_TIMEDOUT);
		}
	}
}

static void collect_finished(bh_transport *t)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(t->multi, &left))) {
		bh_transfer *x = NULL;
		CURLcode code = m->data.result; /* the message is gone once the handle is removed */
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
		conclude(x, code);
	}
}

/* Those that are over now; what the callbacks start and is over at once waits for the next turn. */
static void report(bh_transport *t)
{
	for (guint n = t->stages[BH_STAGE_OVER].length; n > 0; n--) {
		GList *l = t->stages[BH_STAGE_OVER].head;
		if (!l)
			return; /* a callback aborted others */
		bh_transfer *x = l->data;
		bh_transfer_enter(x, BH_STAGE_REPORT);
		x->done(x, &x->answer, x->user);
		set_aside(x);
	}
}

void bh_transport_turn(bh_transport *t, bh_now now)
{
	t->now = now;
	t->turn++;
	handle_events(t);
	resolve(t);
	begin_new(t);
	handle_timer(t);
	press_on(t);
	collect_finished(t);
	expire_stages(t);
	share(t);
	report(t);
}

bh_usec bh_transport_next(bh_transport *t, bh_now now)
{
	bh_usec next = t->timer_set ? bh_mono_since(t->timer_due, now.mono) : INT64_MAX;

	if (t->stages[BH_STAGE_NEW].length > 0 || t->stages[BH_STAGE_OVER].length > 0 || t->events->len > 0)
		return 0;
	for (bh_stage s = BH_STAGE_RESOLVE; s <= BH_STAGE_SHARE; s++)
		for (const GList *l = t->stages[s].head; l; l = l->next)
			next = MIN(next, bh_mono_since(end_of_time(l->data), now.mono));
	for (bh_stage s = BH_STAGE_START; s <= BH_STAGE_SECURE; s++) {
		const GList *first = t->stages[s].head;
		if (first) {
			const bh_transfer *x = first->data;
			next = MIN(next, bh_mono_since(bh_mono_add(x->since, t->stage_limit[s]), now.mono));
		}
	}
	return next == INT64_MAX ? -1 : MAX(next, 0);
}

void bh_transport_stats_read(bh_transport *t, bh_transport_stats *ret)
{
	*ret = (bh_transport_stats){
		.requests = atomic_load_explicit(&t->requests, memory_order_relaxed),
		.connections = atomic_load_explicit(&t->connections, memory_order_relaxed),
		.in_flight = atomic_load_explicit(&t->in_flight, memory_order_relaxed),
	};
}

/* --- Close ------------------------------------------------------------------------------------------- */

void bh_transport_free(bh_transport *t)
{
	if (!t)
		return;
	for (bh_stage s = 0; s < BH_STAGES; s++) {
		GList *l;
		g_assert(s != BH_STAGE_REPORT || t->stages[s].length == 0); /* not from inside a `done` */
		while ((l = t->stages[s].head)) {
			bh_transfer *x = l->data;
			leave_libcurl(x);
			bh_transfer_recycle(x);
			g_queue_unlink(&t->stages[s], &x->link);
			bh_transfer_free(x);
		}
	}
	curl_multi_cleanup(t->multi); /* closes the connections */
	bh_sockets_free(t->sockets);
	bh_proxy_free(t->proxy, t->routes);
	bh_routes_free(t->routes);
	if (t->wake_fd >= 0)
		close(t->wake_fd); /* no look-up knows it any more */
	g_array_unref(t->events);
	g_free(t->user_agent);
	g_free(t->ca_file);
	g_free(t);
}

/* --- As a table ----------------------------------------------------------------------------------- */

static bh_transport *open_curl(const bh_wire *wire, const bh_transport_config *config, int epoll_fd, GError **error)
{
	(void)wire;
	return bh_transport_new(config, epoll_fd, error);
}

const bh_wire bh_wire_curl = {
	.open = open_curl,
	.use_guard = bh_transport_use_guard,
	.free = bh_transport_free,
	.start = bh_transport_start,
	.abort = bh_transport_abort,
	.ready = bh_transport_ready,
	.turn = bh_transport_turn,
	.next = bh_transport_next,
	.stats = bh_transport_stats_read,
};
