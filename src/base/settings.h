/*
 * Every setting of the process is a row of one table (settings.c): name, type, default, range, help. The parser of
 * the file, the command line, the environment, `bellhop config` and docs/settings.md read the same rows.
 *
 * Order of strength: command line, environment (BELLHOP_<NAME>), file, default. The file is lines of
 * `name = value`, `#` begins a comment. An unknown name, a wrong value or a name given twice is an error
 * with file and line, and nothing starts.
 */
#pragma once

#include "base/time.h"

#include <glib.h>
#include <stdbool.h>

#define BH_SETTING_SPANS_MAX 64 /* entries of a list of spans */

typedef struct bh_settings {
	/* where */
	char *data_dir;          /* data_dir      "var": database, keys, state */
	char *listen;            /* listen        "127.0.0.1:8380"; port 0 lets the kernel choose */
	char *methods_dir;       /* methods_dir   "" means: methods/ beside the binary's share folder, else ./methods */
	char *types_file;        /* types_file    "" own event types, JSON array, read at start and reload */
	char *store;             /* store         "" means sqlite:<data_dir>/bellhop.db */
	/* behaviour */
	char *owners;            /* owners        "all" | "first" */
	char *unknown_event_types; /* unknown_event_types "refuse" | "accept" */
	char **allow;            /* allow         comma list: CIDR, host, host:port that the guard lets through */
	bool https_only;         /* https_only    no */
	char *ca_file;           /* ca_file       "" the system's */
	char *proxy;             /* proxy         "" none; "http://host:port" | "socks5://host:port": all requests go through it */
	/* details of events */
	char *lookup_url;        /* lookup_url    "" nowhere; may hold {property_id}, {type}, {data.contract_uid} ... */
	char *lookup_token_url;  /* lookup_token_url "" no token is needed */
	char *lookup_client_id;
	char *lookup_client_secret_file;
	/* pace */
	GArray *retry_schedule;  /* retry_schedule "5s,5m,30m,2h,5h,10h,14h,20h,24h" (bh_usec each) */
	int64_t retry_jitter_percent; /* 20 */
	bh_usec retry_jitter_first;   /* 2s: the first delay gets 0 to this on top */
	bh_usec retry_after_max; /* 10h */
	bh_usec overload_floor;  /* 60s */
	bh_usec lifetime;        /* 80h */
	bh_usec total_timeout;   /* 15s: of a webhook that sets none */
	bh_usec dns_timeout, connect_timeout, tls_timeout; /* 5s each */
	int64_t in_flight_max;   /* 256 a process */
	int64_t in_flight_per_webhook; /* 10 */
	int64_t concurrency_start;     /* 2: of a webhook that nothing is known of */
	int64_t manager_share_percent; /* 25: of in_flight_max that one manager has at most while there are others */
	int64_t retry_share_percent;   /* 50: of in_flight_max that retries have at most */
	/* breaker */
	int64_t breaker_failures;      /* 5 connect-type failures in a row */
	int64_t breaker_percent;       /* 70 % failed ... */
	int64_t breaker_attempts;      /* ... of at least 10 ... */
	bh_usec breaker_span;          /* ... in 5m */
	bh_usec probe_first, probe_max; /* 30s doubling to 1h */
	/* holding, disabling, recovering */
	int64_t held_max;              /* 10000 a webhook */
	bh_usec held_span;             /* 7d */
	bh_usec disable_after;         /* 5d of failures only, and ... */
	bh_usec disable_gap;           /* ... two deliveries exhausted at least 12h apart */
	bh_usec failing_warn_after;    /* 24h after the first failure */
	bh_usec disable_warn_before;   /* 24h before disabling */
	bh_usec recover_max;           /* 14d: how far back a recovery may reach */
	int64_t recover_rate;          /* 20 a second, of a recovery that names no rate */
	bh_usec look_every;            /* 60s: how often what only time brings about is looked for */
	/* loops of changes */
	int64_t hops_max;              /* 8 */
	int64_t intake_rate;           /* events a second of one API key; 0: no limit */
	int64_t window;          /* 1024: waiting deliveries of one webhook kept in memory */
	int64_t window_bytes;    /* 32 MiB: payloads of waiting deliveries kept in memory, all webhooks together */
	/* doors */
	int64_t api_threads;     /* 1 */
	int64_t delivery_loops;  /* 1 */
	int64_t connections_max; /* 1000: of the API */
	int64_t intake_memory;   /* 64 MiB: bodies being received, all connections together */
	int64_t journal_queue;   /* 100000 entries */
	/* log */
	char *log_level;         /* "info" */
	char *log_format;        /* "plain" | "json" */
} bh_settings;

/*
 * Reads file (NULL: none), environment and `overrides` ("name=value", NULL-terminated, may be NULL). NULL with
 * BH_ERROR_INVALID: "bellhop.conf line 7: ...".
 */
bh_settings *bh_settings_load(const char *file, char *const *overrides, GError **error);
void bh_settings_free(bh_settings *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_settings, bh_settings_free)

/* Each row as text, for `bellhop config` and the docs. */
typedef struct bh_setting_shown {
	const char *name, *type, *range, *help, *default_text;
	char *value;
	const char *source; /* "default", "file", "environment", "command line" */
	bool from_start; /* a change counts from the next start, not from a reload */
} bh_setting_shown;
GArray *bh_settings_show(const bh_settings *s); /* of bh_setting_shown; clear func set */

/* Where a setting was given, for messages: "bellhop.conf line 7", "environment variable BELLHOP_ALLOW", ... */
char *bh_settings_where(const bh_settings *s, const char *name);
/* Names of the settings that differ and count from a start only: "listen, window". NULL: there are none. */
char *bh_settings_waiting_for_restart(const bh_settings *started_with, const bh_settings *next);
