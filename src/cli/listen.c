/*
 * A receiver on this machine: shows what arrives, checks it, and answers as it was told to.
 *
 *   HEAD -> BODY -> (judged and told) -> LATER -> ANSWERED      LATER only with --delay
 *
 * One thread: libmicrohttpd's epoll descriptor, the signals and the clock are waited for together, so nothing
 * is locked, and a delayed answer holds up nobody else's.
 */
#include "base/error.h"
#include "cli/call.h"
#include "cli/heard.h"
#include "cli/input.h"
#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_MAX ((size_t)2 * 1024 * 1024) /* kept of a request: the largest event with details fits several times */
#define IDLE_SECONDS 75u /* longer than senders keep a connection, so that they close it */

/* What the options say. */
typedef struct wish {
	const char *host;
	gint64 port;
	GPtrArray *secrets; /* bh_secret */
	gint64 tolerance; /* seconds */
	gint64 status;
	bh_usec delay;
	const char *body;
	gint64 count; /* 0: for ever */
	bh_usec timeout; /* 0: none */
	bool json;
} wish;

typedef struct ear {
	wish wish;
	bh_screen screen;
	struct MHD_Daemon *daemon;
	struct MHD_Response *answer;
	int listener, signals;
	char *address; /* "http://127.0.0.1:41234" */
	GQueue later; /* of hearing: they wait out their delay; it is the same for all, so the next is first */
	GHashTable *seen;
	gint64 heard, verified;
	gint64 answered_verified; /* what --count counts: those whose answer is out */
} ear;

/* One request on its way. Owned by libmicrohttpd's request, freed in `forget`. */
typedef struct hearing {
	enum { HEAD, BODY, LATER, ANSWERED } state;
	bh_heard *heard;
	struct MHD_Connection *connection;
	bh_mono due;
} hearing;

/* --- Requests ------------------------------------------------------------------------------ */

static void *begin(void *user, const char *path, struct MHD_Connection *connection)
{
	hearing *h = g_new0(hearing, 1);
	h->connection = connection;
	h->heard = bh_heard_new(path);
	return h;
}

static void forget(void *user, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode how)
{
	ear *e = user;
	hearing *h = *request;
	if (!h)
		return;
	g_queue_remove(&e->later, h);
	if (h->state == ANSWERED && bh_heard_verified(h->heard))
		e->answered_verified++;
	bh_heard_free(h->heard);
	g_free(h);
	*request = NULL;
}

static enum MHD_Result take_header(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
	bh_heard_add_header(user, name, value);
	return MHD_YES;
}

static void tell(ear *e, const bh_heard *heard)
{
	g_autoptr(GString) out = g_string_new(NULL);
	if (e->wish.json)
		bh_heard_json(heard, out);
	else
		bh_heard_line(heard, e->screen, out);
	bh_print(out);
	fflush(stdout); /* whoever reads along wants it now */
}

static void judge(ear *e, hearing *h, const char *verb)
{
	h->heard->arrived = bh_clock_wall();
	h->heard->verb = g_strdup(verb);
	h->heard->answered = (int)e->wish.status;
	MHD_get_connection_values(h->connection, MHD_HEADER_KIND, take_header, h->heard);
	bh_heard_judge(h->heard, e->wish.secrets, e->wish.tolerance, e->seen);
	e->heard++;
	e->verified += bh_heard_verified(h->heard);
	tell(e, h->heard);
}

static enum MHD_Result give_answer(ear *e, hearing *h)
{
	h->state = ANSWERED;
	return MHD_queue_response(h->connection, (unsigned)e->wish.status, e->answer);
}

static void take_body(hearing *h, const char *piece, size_t size)
{
	size_t room = BODY_MAX - h->heard->body->len;
	h->heard->body_cut |= size > room;
	g_string_append_len(h->heard->body, piece, (gssize)MIN(size, room));
}

/* libmicrohttpd calls this with the header, with each piece of the body, at the body's end, and after a delay. */
static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url, const char *verb,
			      const char *version, const char *piece, size_t *piece_size, void **request)
{
	ear *e = user;
	hearing *h = *request;
	if (h->state == HEAD) {
		h->state = BODY;
		return MHD_YES;
	}
	if (*piece_size) {
		take_body(h, piece, *piece_size);
		*piece_size = 0;
		return MHD_YES;
	}
	if (h->state == LATER)
		return give_answer(e, h);

	judge(e, h, verb);
	if (e->wish.delay == 0)
		return give_answer(e, h);
	h->state = LATER;
	h->due = bh_mono_add(bh_clock_mono(), e->wish.delay);
	g_queue_push_tail(&e->later, h);
	MHD_suspend_connection(connection);
	return MHD_YES;
}

/* --- Opening ------------------------------------------------------------------------------- */

static int open_socket(const wish *w, GError **error)
{
	char port[8];
	g_snprintf(port, sizeof port, "%d", (int)w->port);
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found = NULL;
	int trouble = getaddrinfo(w->host, port, &hints, &found);
	if (trouble) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "cannot listen on %s: %s", w->host,
			    gai_strerror(trouble));
		return -1;
	}
	int on = 1;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool opened = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
		      bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0;
	int why = errno;
	freeaddrinfo(found);
	if (opened)
		return fd;
	g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot listen on %s port %s: %s\nPort 0 takes one that is free.",
		    w->host, port, g_strerror(why));
	if (fd >= 0)
		close(fd);
	return -1;
}

static char *address_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	char host[NI_MAXHOST], port[NI_MAXSERV];
	g_assert(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
	g_assert(getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
			     NI_NUMERICHOST | NI_NUMERICSERV) == 0);
	return g_strdup_printf(strchr(host, ':') ? "http://[%s]:%s" : "http://%s:%s", host, port);
}

/* The one answer that all get. */
static struct MHD_Response *make_answer(const bh_call *call, const wish *w, GError **error)
{
	struct MHD_Response *answer =
		MHD_create_response_from_buffer(strlen(w->body), (void *)w->body, MHD_RESPMEM_PERSISTENT);
	for (const char *const *given = bh_args_all(call->args, "header"); *given; given++) {
		g_auto(GStrv) parts = g_strsplit(*given, ":", 2);
		bool added = parts[0] && parts[1] &&
			     MHD_add_response_header(answer, g_strstrip(parts[0]), g_strstrip(parts[1])) == MHD_YES;
		if (!added) {
			bh_usage_error(error, "--header \"%s\" is no header that can be set: 'Name: value'", *given);
			MHD_destroy_response(answer);
			return NULL;
		}
	}
	return answer;
}

/* From here on SIGINT and SIGTERM are read, not obeyed: the summary still has to be told. */
static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	g_assert(fd >= 0);
	return fd;
}

static void close_ear(ear *e)
{
	/* What is suspended must be resumed first, or libmicrohttpd would wait for it for ever. */
	for (GList *l = e->later.head; l; l = l->next)
		MHD_resume_connection(((hearing *)l->data)->connection);
	if (e->daemon)
		MHD_stop_daemon(e->daemon); /* closes the listener */
	else if (e->listener >= 0)
		close(e->listener);
	if (e->answer)
		MHD_destroy_response(e->answer);
	if (e->signals >= 0)
		close(e->signals);
	g_queue_clear(&e->later);
	g_clear_pointer(&e->seen, g_hash_table_unref);
	g_clear_pointer(&e->wish.secrets, g_ptr_array_unref);
	g_free(e->address);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ear, close_ear)

static bool open_ear(ear *e, const bh_call *call, GError **error)
{
	e->answer = make_answer(call, &e->wish, error);
	if (!e->answer)
		return false;
	e->listener = open_socket(&e->wish, error);
	if (e->listener < 0)
		return false;
	e->address = address_of(e->listener);
	e->signals = open_signals();
	e->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	e->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, e,
				     MHD_OPTION_LISTEN_SOCKET, e->listener, MHD_OPTION_URI_LOG_CALLBACK, begin, e,
				     MHD_OPTION_NOTIFY_COMPLETED, forget, e, MHD_OPTION_CONNECTION_TIMEOUT,
				     IDLE_SECONDS, MHD_OPTION_END);
	if (!e->daemon) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot start the receiver on %s", e->address);
		return false;
	}
	return true;
}

/* --- Running ------------------------------------------------------------------------------- */

static void answer_those_due(ear *e, bh_mono now)
{
	hearing *h;
	while ((h = g_queue_peek_head(&e->later)) && bh_mono_reached(now, h->due)) {
		g_queue_pop_head(&e->later);
		MHD_resume_connection(h->connection);
	}
}

/* Milliseconds until something is due, for poll; -1: nothing is. */
static int next_due(ear *e, bh_mono now, bh_mono until)
{
	bh_usec least = G_MAXINT * BH_MILLISECOND;
	MHD_UNSIGNED_LONG_LONG wait;
	const hearing *h = g_queue_peek_head(&e->later);
	if (e->wish.timeout)
		least = MIN(least, bh_mono_since(until, now));
	if (h)
		least = MIN(least, bh_mono_since(h->due, now));
	if (MHD_get_timeout(e->daemon, &wait) == MHD_YES)
		least = MIN(least, (bh_usec)MIN(wait, G_MAXINT) * BH_MILLISECOND);
	return least == G_MAXINT * BH_MILLISECOND ? -1 : (int)MAX(0, (least + BH_MILLISECOND - 1) / BH_MILLISECOND);
}

static bool is_enough(const ear *e)
{
	return e->wish.count && e->answered_verified >= e->wish.count;
}

/* Until there was enough, the time is over, or a signal came. */
static void listen_on(ear *e)
{
	bh_mono until = bh_mono_add(bh_clock_mono(), e->wish.timeout);
	int epoll = MHD_get_daemon_info(e->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	struct pollfd ready[] = {{.fd = epoll, .events = POLLIN}, {.fd = e->signals, .events = POLLIN}};
	while (!is_enough(e)) {
		bh_mono now = bh_clock_mono();
		if (e->wish.timeout && bh_mono_reached(now, until))
			return;
		answer_those_due(e, now);
		MHD_run(e->daemon);
		if (is_enough(e))
			return;
		if (poll(ready, G_N_ELEMENTS(ready), next_due(e, now, until)) < 0 && errno != EINTR)
			g_error("cannot wait for requests: %s", g_strerror(errno));
		if (ready[1].revents)
			return;
	}
}

static bool read_wish(const bh_call *call, wish *w, GError **error)
{
	const bh_args *args = call->args;
	const char *host = bh_args_one(args, "host"), *body = bh_args_one(args, "body");
	w->host = host ? host : "127.0.0.1";
	w->body = body ? body : "";
	w->status = 200;
	w->tolerance = 300;
	w->json = call->json;
	w->secrets = bh_input_secrets(args, error);
	return w->secrets && bh_args_int(args, "port", 0, 65535, &w->port, error) &&
	       bh_args_int(args, "status", 200, 599, &w->status, error) &&
	       bh_args_int(args, "count", 1, G_MAXINT, &w->count, error) &&
	       bh_args_int(args, "tolerance", -1, G_MAXINT, &w->tolerance, error) &&
	       bh_args_span(args, "delay", &w->delay, error) && bh_args_span(args, "timeout", &w->timeout, error);
}

/* Where it listens: first of all for people, and never among the objects of --json. */
static bool announce(const ear *e, const bh_call *call, GError **error)
{
	const char *file = bh_args_one(call->args, "print-address");
	if (e->wish.json)
		bh_remark("listening on %s", e->address);
	else
		bh_printf("listening on %s\n", e->address);
	fflush(stdout);
	return !file || g_file_set_contents(file, e->address, -1, error);
}

static void remark_summary(const ear *e)
{
	const char *requests = e->heard == 1 ? "request" : "requests";
	if (e->wish.secrets->len)
		bh_remark("%" G_GINT64_FORMAT " %s, %" G_GINT64_FORMAT " of them verified", e->heard, requests,
			  e->verified);
	else
		bh_remark("%" G_GINT64_FORMAT " %s, signatures not checked", e->heard, requests);
	if (e->wish.count && !is_enough(e))
		bh_remark("that is less than the %" G_GINT64_FORMAT " that --count asks for", e->wish.count);
}

bh_exit bh_run_listen(bh_call *call, GError **error)
{
	g_auto(ear) e = {.listener = -1, .signals = -1, .screen = call->view.screen};
	if (!read_wish(call, &e.wish, error) || !open_ear(&e, call, error) || !announce(&e, call, error))
		return BH_EXIT_FAILED;
	listen_on(&e);

	bool enough = !e.wish.count || is_enough(&e);
	if (!enough || !e.wish.json)
		remark_summary(&e);
	return enough ? BH_EXIT_DONE : BH_EXIT_FAILED;
}
