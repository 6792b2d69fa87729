/* /healthz and /readyz. */
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"

void bh_show_health(bh_call *call)
{
	bh_reply_json(call, 200, g_string_new("{\"status\":\"ok\"}"));
}

static char *store_trouble(bh_call *call)
{
	bh_api_worker *worker = bh_api_worker_here(call->api);
	g_autoptr(GError) error = NULL;
	bh_store_health health;

	if (!worker->reader)
		worker->reader = bh_reader_new(call->api->rooms.store, &error);
	if (worker->reader && bh_reader_health(worker->reader, &health, &error))
		return NULL;
	return g_strdup(error->message);
}

void bh_show_ready(bh_call *call)
{
	bh_journal_stats journal;
	bh_journal_stats_read(call->api->rooms.journal, &journal);
	g_autofree char *store = store_trouble(call);
	bool stopping = atomic_load(&call->api->stopping);
	bool ready = !store && !journal.failing && !stopping;
	GString *out = g_string_sized_new(128);

	bh_out_open(out, NULL, '{');
	bh_out_text(out, "status", ready ? "ok" : stopping ? "stopping" : "failing");
	bh_out_text(out, "store", store ? store : "ok");
	bh_out_text(out, "journal", journal.failing ? journal.last_error : "ok");
	bh_out_close(out, '}');
	if (!ready)
		bh_reply_header(call, "Retry-After", "5");
	bh_reply_json(call, ready ? 200 : 503, out);
}
