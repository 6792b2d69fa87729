/*
 * The way to the journal and back:
 *
 *   API thread       suspend -> submit ............................ next step -> answer
 *   journal thread                      commit -> done -> resume ...^
 *
 * The connection is suspended before the entry is handed in, since `done` may come before submit returns. A client
 * that goes away meanwhile is noticed after the resume only, so the call outlives its entry.
 */
#include "api/call.h"

#include "api/reply.h"
#include "api/server.h"
#include "base/error.h"

#include <stddef.h>
#include <string.h>

/* --- Suspending -------------------------------------------------------------------------- */

bool bh_call_suspend(bh_call *call, bh_call_step next)
{
	call->phase = BH_CALL_WAITING;
	call->next = next;
	g_clear_error(&call->error);
	call->directory_refused = false;

	/*
	 * Counted before `closed` is looked at, which closing sets before it looks at the count: either closing waits for
	 * this call, or this call sees that it is too late. MHD ends the process if it is stopped with a connection suspended.
	 */
	atomic_fetch_add(&call->api->suspended, 1);
	MHD_suspend_connection(call->connection);
	if (!atomic_load(&call->api->closed))
		return true;
	g_set_error(&call->error, BH_ERROR, BH_ERROR_BUSY, "Bellhop is stopping");
	bh_call_resume(call);
	return false;
}

/*
 * After MHD_resume_connection the call may be answered and freed by its own thread at any moment: it is not
 * touched again. `answering` keeps bh_api_close from stopping MHD while we are still inside.
 */
void bh_call_resume(bh_call *call)
{
	bh_api *api = call->api;

	atomic_fetch_add(&api->answering, 1); /* before the next line, so that one of the two is never 0 */
	atomic_fetch_sub(&api->suspended, 1);
	MHD_resume_connection(call->connection);
	atomic_fetch_sub(&api->answering, 1); /* the last look at `api`: it may be gone now */
}

/* --- Committing -------------------------------------------------------------------------- */

/* On the journal's thread. */
static void committed(bh_entry *entry, const GError *error)
{
	bh_call *call = (bh_call *)(void *)((char *)entry - offsetof(bh_call, entry));

	if (!error && call->again && call->again(call))
		return;
	if (error) {
		call->error = g_error_copy(error);
		call->directory_refused = entry->refused;
	}
	bh_call_resume(call);
}

void bh_call_commit(bh_call *call, bh_call_step next)
{
	call->entry.done = committed;
	call->entry.refused = NULL;
	if (bh_call_suspend(call, next) && !bh_journal_submit(call->api->rooms.journal, &call->entry, &call->error))
		bh_call_resume(call);
}

void bh_call_write(bh_call *call, const bh_write *write, bh_call_step next)
{
	call->write = *write;
	call->write.audit_who = call->scope.key_text;
	call->write.audit_from = bh_call_from(call);
	call->write.at = call->now;
	call->entry = (bh_entry){.writes = call->writes, .count = 1};
	bh_call_commit(call, next);
}

void bh_call_change(bh_call *call, bh_change *change, bh_call_step next)
{
	g_clear_pointer(&call->change, bh_change_free);
	call->change = change;
	bh_call_write(call, &(bh_write){.kind = BH_WRITE_CHANGE, .change = change}, next);
}

/* Why the directory would not take a change, in the words of the API. */
static void reply_refused_change(bh_call *call)
{
	const GError *error = call->error;

	if (g_error_matches(error, BH_ERROR, BH_ERROR_NOT_FOUND))
		bh_reply_not_found(call);
	else if (strstr(error->message, BH_PROBLEM_ROWS[BH_PROBLEM_SUPER].code))
		bh_reply_problem(call, BH_PROBLEM_SUPER, NULL, "%s", error->message);
	else if (g_error_matches(error, BH_ERROR, BH_ERROR_CONFLICT))
		bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "%s", error->message);
	else if (g_error_matches(error, BH_ERROR, BH_ERROR_LIMIT))
		bh_reply_problem(call, BH_PROBLEM_LIMIT, NULL, "%s", error->message);
	else if (g_error_matches(error, BH_ERROR, BH_ERROR_INVALID))
		bh_reply_problem(call, BH_PROBLEM_FIELD, "", "%s", error->message);
	else
		bh_reply_error(call, error);
}

bool bh_call_failed(bh_call *call)
{
	if (!call->error)
		return false;
	if (call->directory_refused)
		reply_refused_change(call);
	else
		bh_reply_error(call, call->error);
	return true;
}
