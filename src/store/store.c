/* The door: finds the backend that a URL names and passes each call on to it. */
#include "store/store.h"

#include "base/error.h"
#include "store/backend.h"

static const bh_backend *const BACKENDS[] = {&bh_sqlite_backend};

bh_store *bh_store_open(const char *url, const bh_sealer *sealer, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(BACKENDS); i++) {
		if (g_str_has_prefix(url, BACKENDS[i]->scheme))
			return BACKENDS[i]->open(url + strlen(BACKENDS[i]->scheme), sealer, error);
	}
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "store \"%s\": write it as sqlite:<path of the file>", url);
	return NULL;
}

void bh_store_close(bh_store *store)
{
	if (store)
		store->backend->close(store);
}

bh_id bh_store_last_id(bh_store *store)
{
	return store->backend->last_id(store);
}

bh_snapshot *bh_store_load_directory(bh_store *store, GError **error)
{
	return store->backend->load_directory(store, error);
}

bool bh_store_apply(bh_store *store, bh_write *const *writes, size_t count, GError **error)
{
	return store->backend->apply(store, writes, count, error);
}

bh_reader *bh_reader_new(bh_store *store, GError **error)
{
	return store->backend->reader_new(store, error);
}

void bh_reader_free(bh_reader *reader)
{
	if (reader)
		reader->backend->reader_free(reader);
}

bool bh_reader_waiting(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret,
		       GError **error)
{
	return r->backend->waiting(r, webhook, after_due, after_id, limit, ret, error);
}

bool bh_reader_webhooks_waiting(bh_reader *r, bh_state state, GArray *ret, GError **error)
{
	return r->backend->webhooks_waiting(r, state, ret, error);
}

bool bh_reader_count(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error)
{
	return r->backend->count(r, webhook, state, most, ret, error);
}

bool bh_reader_count_after(bh_reader *r, bh_id webhook, bh_state state, bh_id after, bh_usec since, size_t most,
			   size_t *ret, GError **error)
{
	return r->backend->count_after(r, webhook, state, after, since, most, ret, error);
}

bool bh_reader_superseding(bh_reader *r, bh_id delivery, bh_usec now, bh_id before, bh_id *ret, GError **error)
{
	return r->backend->superseding(r, delivery, now, before, ret, error);
}

bool bh_reader_streak(bh_reader *r, bh_id webhook, bh_streak *ret, GError **error)
{
	return r->backend->streak(r, webhook, ret, error);
}

bool bh_reader_streaks(bh_reader *r, GArray *ret, GError **error)
{
	return r->backend->streaks(r, ret, error);
}

bh_recovery *bh_reader_recovery(bh_reader *r, bh_id recovery, GError **error)
{
	return r->backend->recovery(r, recovery, error);
}

GPtrArray *bh_reader_recoveries(bh_reader *r, const bh_id *webhooks, size_t webhook_count, bool only_running,
				bh_id before, size_t limit, GError **error)
{
	return r->backend->recoveries(r, webhooks, webhook_count, only_running, before, limit, error);
}

bh_event *bh_reader_event(bh_reader *r, bh_id event, GError **error)
{
	return r->backend->event(r, event, error);
}

bool bh_reader_payloads(bh_reader *r, const bh_waiting *rows, size_t count, size_t bytes_max, bh_event **events,
			GError **error)
{
	return r->backend->payloads(r, rows, count, bytes_max, events, error);
}

bh_event *bh_reader_event_of_caller(bh_reader *r, bh_id caller_key, const char *caller_id, GError **error)
{
	return r->backend->event_of_caller(r, caller_key, caller_id, error);
}

bh_delivery *bh_reader_delivery(bh_reader *r, bh_id delivery, GError **error)
{
	return r->backend->delivery(r, delivery, error);
}

bh_findings *bh_reader_findings(bh_reader *r, bh_id event, GError **error)
{
	return r->backend->findings(r, event, error);
}

GPtrArray *bh_reader_attempts(bh_reader *r, bh_id delivery, int after, size_t limit, GError **error)
{
	return r->backend->attempts(r, delivery, after, limit, error);
}

GPtrArray *bh_reader_events(bh_reader *r, const bh_list *list, GError **error)
{
	return r->backend->events(r, list, error);
}

GPtrArray *bh_reader_deliveries(bh_reader *r, const bh_list *list, GError **error)
{
	return r->backend->deliveries(r, list, error);
}

GPtrArray *bh_reader_audit(bh_reader *r, int64_t before, size_t limit, GError **error)
{
	return r->backend->audit(r, before, limit, error);
}

bool bh_reader_health(bh_reader *r, bh_store_health *ret, GError **error)
{
	return r->backend->health(r, ret, error);
}

void bh_delivery_free(bh_delivery *d)
{
	if (!d)
		return;
	g_free(d->manager_id);
	g_free(d->reason);
	g_free(d->order_key);
	g_free(d->coalesce_key);
	g_free(d);
}

void bh_audit_free(bh_audit *a)
{
	if (!a)
		return;
	g_free(a->who);
	g_free(a->from);
	g_free(a->what);
	g_free(a);
}
