/* /metrics in Prometheus' text form 0.0.4: our own counters, the journal's and the other rooms'. */
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"

#include <inttypes.h>

static uint64_t read_counter(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void head(GString *out, const char *name, const char *type, const char *help)
{
	g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void plain(GString *out, const char *name, const char *type, const char *help, uint64_t value)
{
	head(out, name, type, help);
	g_string_append_printf(out, "%s %" PRIu64 "\n", name, value);
}

static const char *verb_of(size_t row)
{
	return row < BH_ROUTE_COUNT ? BH_ROUTES[row].verb : "";
}

static const char *path_of(size_t row)
{
	return row < BH_ROUTE_COUNT ? BH_ROUTES[row].path : "none";
}

/* Routes that nobody asked for have no line: the set stays small. */
static void write_requests(GString *out, bh_api_counters *counters)
{
	head(out, "bellhop_api_requests_total", "counter", "Requests answered, by route and class of status.");
	for (size_t row = 0; row <= BH_ROUTE_MAX; row++)
		for (unsigned class = 1; class < G_N_ELEMENTS(counters->requests[row]); class ++) {
			uint64_t count = read_counter(&counters->requests[row][class]);
			if (count)
				g_string_append_printf(
					out,
					"bellhop_api_requests_total{method=\"%s\",route=\"%s\",status=\"%uxx\"} "
					"%" PRIu64 "\n",
					verb_of(row), path_of(row), class, count);
		}

	head(out, "bellhop_api_request_seconds_total", "counter",
	     "Seconds from the header to the end of the answer, by route.");
	for (size_t row = 0; row <= BH_ROUTE_MAX; row++) {
		uint64_t spent = read_counter(&counters->microseconds[row]);
		if (spent)
			g_string_append_printf(out,
					       "bellhop_api_request_seconds_total{method=\"%s\",route=\"%s\"} %" PRIu64
					       ".%06" PRIu64 "\n",
					       verb_of(row), path_of(row), spent / BH_SECOND, spent % BH_SECOND);
	}
}

static void write_problems(GString *out, bh_api_counters *counters)
{
	head(out, "bellhop_api_problems_total", "counter", "Requests refused, by code.");
	for (size_t problem = 0; problem < BH_PROBLEMS; problem++)
		g_string_append_printf(out, "bellhop_api_problems_total{code=\"%s\"} %" PRIu64 "\n",
				       BH_PROBLEM_ROWS[problem].code, read_counter(&counters->problems[problem]));
}

static void write_intake(GString *out, bh_api *api)
{
	bh_api_counters *counters = &api->counters;

	size_t suspended = atomic_load(&api->suspended);
	plain(out, "bellhop_events_accepted_total", "counter", "Events accepted.", read_counter(&counters->accepted));
	plain(out, "bellhop_events_duplicate_total", "counter",
	      "Events given again: folded in a call, or known by their name.", read_counter(&counters->duplicates));
	plain(out, "bellhop_api_suspended", "gauge",
	      "Requests that wait for the journal, a look-up of names or a rehearsal.", suspended);
	plain(out, "bellhop_api_intake_bytes", "gauge", "Memory held by bodies that come in.",
	      atomic_load_explicit(&counters->intake_bytes, memory_order_relaxed));
}

static void write_journal(GString *out, bh_journal *journal)
{
	bh_journal_stats stats;

	bh_journal_stats_read(journal, &stats);
	plain(out, "bellhop_journal_batches_total", "counter", "Transactions of the journal.", stats.batches);
	plain(out, "bellhop_journal_writes_total", "counter", "Writes in them.", stats.writes);
	plain(out, "bellhop_journal_failures_total", "counter", "Transactions that failed.", stats.failures);
	plain(out, "bellhop_journal_queued", "gauge", "Entries that wait for the journal.", stats.queued);
	plain(out, "bellhop_journal_failing", "gauge", "1 while the last transaction has failed.", stats.failing);
}

static void write_store(GString *out, bh_call *call)
{
	bh_reader *reader = bh_api_reader_here(call->api, NULL);
	bh_store_health health;

	if (!reader || !bh_reader_health(reader, &health, NULL))
		return; /* /readyz says why */
	plain(out, "bellhop_store_file_bytes", "gauge", "Size of the database.", (uint64_t)health.file_bytes);
	plain(out, "bellhop_store_wal_bytes", "gauge", "Size of its write-ahead log.", (uint64_t)health.wal_bytes);
}

static void write_methods(GString *out, bh_api *api)
{
	g_autoptr(bh_methods) methods = bh_api_methods(api);

	plain(out, "bellhop_methods_broken", "gauge", "Method files that could not be read when they were read last.",
	      bh_methods_broken(methods)->len);
}

void bh_show_metrics(bh_call *call)
{
	const bh_api_rooms *rooms = &call->api->rooms;
	GString *out = g_string_sized_new(8192);

	write_requests(out, &call->api->counters);
	write_problems(out, &call->api->counters);
	write_intake(out, call->api);
	write_journal(out, rooms->journal);
	write_store(out, call);
	write_methods(out, call->api);
	if (rooms->metrics)
		rooms->metrics(rooms->user, out);
	bh_reply_text(call, 200, out, "text/plain; version=0.0.4; charset=utf-8");
}
