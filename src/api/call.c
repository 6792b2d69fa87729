#include "api/call.h"

#include "api/framing.h"
#include "api/intake.h"
#include "api/reply.h"
#include "api/server.h"
#include "api/uri.h"
#include "base/fault.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* In the order of time. */
static bh_call *begin(bh_api *api, struct MHD_Connection *connection, const char *path, const char *verb);
static void open_door(bh_call *call, const char *path, const char *verb);
static bool find_route(bh_call *call, const char *path, const char *verb);
static bool identify(bh_call *call);
static bool read_query(bh_call *call);
static enum MHD_Result send_answer(bh_call *call);

/* --- MHD's view -------------------------------------------------------------------------- */

/* From here on bh_api_close waits for the answer. Half a request is nobody's promise, and is not waited for. */
static void note_complete(bh_call *call)
{
	if (call->is_complete)
		return;
	call->is_complete = true;
	atomic_fetch_add(&call->api->calls, 1);
}

static void forget_complete(bh_api *api)
{
	atomic_fetch_sub(&api->calls, 1);
}

/* MHD calls once when the header is there, once for each piece of the body, and once more at its end. */
enum MHD_Result bh_call_serve(void *user, struct MHD_Connection *connection, const char *path, const char *verb,
			      const char *version, const char *upload, size_t *upload_bytes, void **slot)
{
	bh_call *call = *slot;

	if (!call) {
		*slot = call = begin(user, connection, path, verb);
		open_door(call, path, verb);
		return call->phase == BH_CALL_ANSWERED ? send_answer(call) : MHD_YES;
	}
	if (*upload_bytes) {
		bool goes_on = bh_intake_take(call, (bh_span){upload, *upload_bytes});

		*upload_bytes = 0;
		return goes_on ? MHD_YES : MHD_NO;
	}
	note_complete(call);
	if (call->phase == BH_CALL_READING) {
		call->route->handle(call);
	} else if (call->phase == BH_CALL_WAITING) {
		BH_FAULT("api.before-answer");
		call->next(call);
	}
	return call->phase == BH_CALL_WAITING ? MHD_YES : send_answer(call);
}

static void count_request(const bh_call *call)
{
	bh_api_counters *counters = &call->api->counters;
	size_t row = call->route ? (size_t)(call->route - BH_ROUTES) : BH_ROUTE_MAX;
	int64_t took = bh_mono_since(bh_clock_mono(), call->started);

	if (!call->status) /* the client went away before it was answered */
		return;
	atomic_fetch_add_explicit(&counters->requests[row][call->status / 100], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&counters->microseconds[row], (uint64_t)MAX(took, 0), memory_order_relaxed);
}

static void call_free(bh_call *call)
{
	bh_intake_drop(call);
	for (size_t i = 0; i < BH_QUERY_MAX; i++)
		g_free(call->query[i]);
	for (unsigned i = 0; i < call->header_count; i++)
		g_free(call->headers[i].value);
	if (call->answer)
		g_string_free(call->answer, TRUE);
	if (call->free_work)
		call->free_work(call->work);
	g_clear_pointer(&call->change, bh_change_free);
	g_clear_error(&call->error);
	bh_scope_clear(&call->scope);
	g_free(call->from);
	g_free(call->id);
	g_free(call);
}

void bh_call_completed(void *user, struct MHD_Connection *connection, void **slot, enum MHD_RequestTerminationCode why)
{
	bh_api *api = user;
	bh_call *call = *slot;

	if (!call)
		return;
	bool was_complete = call->is_complete;
	*slot = NULL;
	count_request(call);
	call_free(call);
	if (was_complete)
		forget_complete(api);
}

/* --- The header -------------------------------------------------------------------------- */

static bh_call *begin(bh_api *api, struct MHD_Connection *connection, const char *path, const char *verb)
{
	bh_call *call = g_new0(bh_call, 1);
	bh_now now = bh_clock_now();

	call->api = api;
	call->connection = connection;
	call->started = now.mono;
	call->now = now.wall;
	call->writes[0] = &call->write;
	return call;
}

static bool header_fits(bh_call *call)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	if (!info || info->header_size <= BH_HEADER_MAX)
		return true;
	bh_reply_problem(call, BH_PROBLEM_HEADER, NULL, "The request header has more than %d bytes.", BH_HEADER_MAX);
	return false;
}

static bool is_open(bh_call *call)
{
	if (!atomic_load(&call->api->stopping) || (call->route && !call->route->roles))
		return true;
	bh_reply_problem(call, BH_PROBLEM_BUSY, NULL, "Bellhop is stopping.");
	return false;
}

/* Everything that the header alone decides, before the first byte of a body is kept. */
static void open_door(bh_call *call, const char *path, const char *verb)
{
	if (!bh_framing_check(call))
		return; /* and nothing that follows is read */
	if (header_fits(call) && find_route(call, path, verb) && is_open(call) && bh_call_authorize(call) &&
	    read_query(call) && bh_intake_begin(call))
		return;
	bh_intake_refuse(call);
}

static bool find_route(bh_call *call, const char *path, const char *verb)
{
	g_autofree char *allow = NULL;
	bh_span id;

	call->route = bh_route_find(verb, path, &id, &allow);
	if (!call->route && g_str_has_prefix(path, "/v1") && !identify(call))
		return false;
	if (!call->route && allow) {
		bh_reply_header(call, "Allow", allow);
		bh_reply_problem(call, BH_PROBLEM_METHOD, NULL, "This path knows %s.", allow);
		return false;
	}
	if (!call->route) {
		bh_reply_not_found(call);
		return false;
	}
	if (!id.at)
		return true;
	call->id = bh_uri_decode(id);
	if (!call->id)
		bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "The path is not percent-encoded UTF-8.");
	return call->id;
}

static const char *role_name(bh_role role)
{
	switch (role) {
	case BH_MAY_SITE:
		return "site";
	case BH_MAY_EMIT:
		return "emit";
	case BH_MAY_MANAGER:
		return "manager";
	case BH_MAY_SUPER:
		return "manager (of a super manager)";
	}
	return "none";
}

/* Whoever shows no key learns nothing, not even which paths there are. */
static bool identify(bh_call *call)
{
	const char *authorization = bh_call_request_header(call, "Authorization");

	bh_scope_clear(&call->scope);
	if (!bh_scope_init(&call->scope, bh_directory_now(call->api->rooms.directory), authorization)) {
		bh_reply_problem(call, BH_PROBLEM_UNAUTHORIZED, NULL,
				 "Send the header \"Authorization: Bearer bhk_...\" with a key that is known.");
		return false;
	}
	return true;
}

bool bh_call_authorize(bh_call *call)
{
	if (!call->route->roles)
		return true;
	if (!identify(call))
		return false;
	if (call->route->roles & call->scope.role)
		return true;
	bh_reply_problem(call, BH_PROBLEM_ROLE, NULL, "A key of role %s may not use this route.",
			 role_name(call->scope.role));
	return false;
}

/* --- The query --------------------------------------------------------------------------- */

/* Where the route keeps this parameter; NULL: it does not know it. */
static char **query_place(bh_call *call, const char *name)
{
	for (size_t i = 0; i < BH_QUERY_MAX && call->route->query[i]; i++)
		if (strcmp(call->route->query[i], name) == 0)
			return &call->query[i];
	return NULL;
}

static enum MHD_Result take_parameter(void *user, enum MHD_ValueKind kind, const char *key, size_t key_bytes,
				      const char *value, size_t value_bytes)
{
	bh_call *call = user;
	g_autofree char *name = bh_uri_decode((bh_span){key, key_bytes});
	char **place = name ? query_place(call, name) : NULL;

	if (!place) {
		bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "This route knows no parameter \"%s\".",
				 name ? name : "?");
		return MHD_NO;
	}
	if (*place) {
		bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "\"%s\" is given twice.", name);
		return MHD_NO;
	}
	*place = bh_uri_decode((bh_span){value, value_bytes});
	if (!*place)
		bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "\"%s\" is not percent-encoded UTF-8.", name);
	return *place ? MHD_YES : MHD_NO;
}

static bool read_query(bh_call *call)
{
	if (call->route->roles) /* who watches health and metrics may add what he likes against caches */
		MHD_get_connection_values_n(call->connection, MHD_GET_ARGUMENT_KIND, take_parameter, call);
	return !call->status;
}

const char *bh_call_query(const bh_call *call, const char *name)
{
	char **place = query_place((bh_call *)call, name);

	g_assert(place); /* the table of routes lists what a handler asks for */
	return *place;
}

/* --- What handlers use ------------------------------------------------------------------- */

const char *bh_call_request_header(const bh_call *call, const char *name)
{
	return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

const char *bh_call_from(bh_call *call)
{
	if (call->from)
		return call->from;

	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;
	char text[INET6_ADDRSTRLEN] = "unknown";

	if (address && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text, sizeof text);
	else if (address && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text,
			  sizeof text);
	call->from = g_strdup(text);
	return call->from;
}

bh_reader *bh_call_reader(bh_call *call)
{
	g_autoptr(GError) error = NULL;
	bh_reader *reader = bh_api_reader_here(call->api, &error);

	if (!reader)
		bh_reply_error(call, error);
	return reader;
}

bh_json *bh_call_json(bh_call *call)
{
	return bh_api_worker_here(call->api)->json;
}

GArray *bh_call_findings(bh_call *call)
{
	GArray *findings = bh_api_worker_here(call->api)->findings;

	g_array_set_size(findings, 0);
	return findings;
}

void bh_call_set_work(bh_call *call, void *work, GDestroyNotify free_work)
{
	if (call->free_work)
		call->free_work(call->work);
	call->work = work;
	call->free_work = free_work;
}

/* --- The answer -------------------------------------------------------------------------- */

static struct MHD_Response *make_response(bh_call *call)
{
	if (!call->answer)
		return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);

	size_t bytes = call->answer->len;
	char *text = g_string_free(g_steal_pointer(&call->answer), FALSE);
	return MHD_create_response_from_buffer_with_free_callback(bytes, text, g_free);
}

static enum MHD_Result send_answer(bh_call *call)
{
	g_assert(call->status);
	call->phase = BH_CALL_ANSWERED;
	struct MHD_Response *response = make_response(call);

	if (!response)
		return MHD_NO; /* no memory: the connection ends */
	if (call->content_type)
		MHD_add_response_header(response, "Content-Type", call->content_type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	for (unsigned i = 0; i < call->header_count; i++)
		MHD_add_response_header(response, call->headers[i].name, call->headers[i].value);

	enum MHD_Result queued = MHD_queue_response(call->connection, call->status, response);
	MHD_destroy_response(response);
	return queued;
}
