/* What a backend gives. Its store and its reader begin with the struct of that name below. */
#pragma once

#include "store/store.h"

typedef struct bh_backend {
	const char *scheme; /* of the URL, with the colon */

	bh_store *(*open)(const char *place, const bh_sealer *sealer, GError **error);
	void (*close)(bh_store *store);
	bh_id (*last_id)(bh_store *store);
	bh_snapshot *(*load_directory)(bh_store *store, GError **error);
	bool (*apply)(bh_store *store, bh_write *const *writes, size_t count, GError **error);

	bh_reader *(*reader_new)(bh_store *store, GError **error);
	void (*reader_free)(bh_reader *r);
	bool (*waiting)(bh_reader *r, bh_id webhook, bh_usec after_due, bh_id after_id, size_t limit, GArray *ret,
			GError **error);
	bool (*webhooks_waiting)(bh_reader *r, bh_state state, GArray *ret, GError **error);
	bool (*count)(bh_reader *r, bh_id webhook, bh_state state, size_t most, size_t *ret, GError **error);
	bool (*count_after)(bh_reader *r, bh_id webhook, bh_state state, bh_id after, bh_usec since, size_t most, size_t *ret,
			    GError **error);
	bool (*superseding)(bh_reader *r, bh_id delivery, bh_usec now, bh_id before, bh_id *ret, GError **error);
	bool (*streak)(bh_reader *r, bh_id webhook, bh_streak *ret, GError **error);
	bool (*streaks)(bh_reader *r, GArray *ret, GError **error);
	bh_recovery *(*recovery)(bh_reader *r, bh_id recovery, GError **error);
	GPtrArray *(*recoveries)(bh_reader *r, const bh_id *webhooks, size_t webhook_count, bool only_running,
				 bh_id before, size_t limit, GError **error);
	bh_event *(*event)(bh_reader *r, bh_id event, GError **error);
	bool (*payloads)(bh_reader *r, const bh_waiting *rows, size_t count, size_t bytes_max, bh_event **events,
			 GError **error);
	bh_event *(*event_of_caller)(bh_reader *r, bh_id caller_key, const char *caller_id, GError **error);
	bh_delivery *(*delivery)(bh_reader *r, bh_id delivery, GError **error);
	bh_findings *(*findings)(bh_reader *r, bh_id event, GError **error);
	GPtrArray *(*attempts)(bh_reader *r, bh_id delivery, int after, size_t limit, GError **error);
	GPtrArray *(*events)(bh_reader *r, const bh_list *list, GError **error);
	GPtrArray *(*deliveries)(bh_reader *r, const bh_list *list, GError **error);
	GPtrArray *(*audit)(bh_reader *r, int64_t before, size_t limit, GError **error);
	bool (*health)(bh_reader *r, bh_store_health *ret, GError **error);
} bh_backend;

struct bh_store {
	const bh_backend *backend;
};

struct bh_reader {
	const bh_backend *backend;
};

extern const bh_backend bh_sqlite_backend;
