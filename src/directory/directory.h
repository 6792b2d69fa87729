/*
 * Who is who: managers, properties, webhooks, API keys, own event types.
 *
 * Everything here is immutable and counted. A *snapshot* is one consistent state of all of it;
 * readers take a reference and never wait. A change makes a new snapshot that shares
 * all that did not change (a change among 100,000 webhooks copies a few hundred pointers and takes some
 * microseconds). Only the journal publishes, after its commit, so what a reader sees is durable.
 *
 * Everything is kept in key order: ids of the site by their bytes ("10" before "9"), ours by age. Looking
 * up is O(log n), a page O(log n + limit).
 */
#pragma once

#include "base/id.h"
#include "base/secret.h"
#include "base/time.h"
#include "event/catalogue.h"
#include "event/event.h"

#include <glib.h>
#include <stdbool.h>

/* Limits of what a caller may name. */
#define BH_SITE_ID_MAX 128  /* bytes of a manager's or property's id: any UTF-8 without control characters */
#define BH_NAME_MAX 256
#define BH_URL_MAX 2048
#define BH_HEADERS_MAX 20
#define BH_SELECTION_MAX 200
#define BH_WEBHOOKS_PER_MANAGER_MAX 100
#define BH_COALESCE_FIELDS_MAX 8
#define BH_FIELD_NAME_MAX 128
#define BH_PEM_MAX (32 * 1024) /* of a CA, a certificate or a key */
#define BH_SCRIPT_MAX (16 * 1024) /* of a webhook's own script */

typedef enum bh_manager_role { BH_ROLE_MANAGER, BH_ROLE_SUPER, BH_ROLE_RECEPTIONIST } bh_manager_role;
const char *bh_manager_role_name(bh_manager_role role); /* "manager", "super", "receptionist" */
bool bh_manager_role_parse(const char *text, bh_manager_role *ret);

typedef struct bh_manager {
	int refs;
	char *id; /* the site's */
	char *name;
	char *email; /* NULL: unknown */
	bh_manager_role role;
	bh_usec created_at, updated_at;
} bh_manager;

typedef struct bh_property {
	int refs;
	char *id; /* the site's */
	char *name;
	char **managers; /* ids in the site's order, NULL-terminated; may name receptionists and unknown ones */
	bh_usec created_at, updated_at;
} bh_property;

typedef struct bh_header {
	char *name;
	char *value;
} bh_header;

typedef enum bh_disabled_cause {
	BH_ENABLED,
	BH_DISABLED_BY_OWNER,
	BH_DISABLED_BY_410,
	BH_DISABLED_BY_RECEIVER, /* receiver control header */
	BH_DISABLED_BY_FAILURE,
} bh_disabled_cause;
const char *bh_disabled_cause_name(bh_disabled_cause cause); /* "owner", "gone", "receiver", "failure"; NULL when enabled */

typedef struct bh_webhook {
	int refs;
	bh_id id;
	int64_t revision; /* +1 at each change; a change names the one it saw */
	char *manager_id; /* NULL: belongs to the site, fires for every event */
	char *name;       /* for people; may be empty */
	char *method;     /* "none", "basic", ... */
	char *settings;   /* JSON object of the method's fields; password fields hold {"sealed":"..."} */
	char *script;     /* its own accepts and transform, Lua (docs/methods.md), checked on save; NULL: none */
	bh_shape shape;
	char **events;     /* selection, NULL-terminated, never empty */
	char **properties; /* ids, NULL-terminated; NULL: all of the manager's */
	char *channel_id;  /* its own channel: events that came by it are echoes; NULL: none */
	bool full_payload; /* send `details` too */
	bh_usec total_timeout; /* 3 to 30 s */
	/* Order, coalescing, rate (behaviour 7 and 8): all off by default. */
	char *order_by;         /* "property" or a field of data; NULL: off */
	bh_usec coalesce;       /* how long the first of a key waits for newer ones; 0: off */
	char **coalesce_fields; /* "property" and fields of data, NULL-terminated, that make the key beside the type; NULL when off */
	int64_t rate_requests;  /* at most so many in rate_per; 0: no limit */
	bh_usec rate_per;
	/* TLS of this webhook alone (behaviour 11). PEM, checked on save; NULL: none. */
	char *tls_ca;           /* trusted in place of the system's authorities */
	char *tls_certificate;  /* the client's, its chain after it */
	bh_secret *tls_key;     /* PEM of its private key; sealed at rest, never shown */
	bh_usec tls_ca_expires_at, tls_certificate_expires_at; /* the soonest of each; 0: there is none */
	bh_header *headers;    /* extra ones; ends with name NULL; NULL: none */
	bh_secret *secret;     /* signing key bytes */
	bh_secret *old_secret; /* signs along until old_secret_until; NULL: none */
	bh_usec old_secret_until;
	bh_disabled_cause disabled; /* BH_ENABLED or why not */
	char *disabled_reason;      /* a sentence; NULL when enabled */
	bh_usec disabled_at;
	bh_usec created_at, updated_at;
} bh_webhook;

typedef enum bh_key_role { BH_KEY_SITE, BH_KEY_EMIT, BH_KEY_MANAGER } bh_key_role;
const char *bh_key_role_name(bh_key_role role); /* "site", "emit", "manager" */
bool bh_key_role_parse(const char *text, bh_key_role *ret);

#define BH_KEY_HASH_SIZE 32
typedef struct bh_key {
	int refs;
	bh_id id;
	bh_key_role role;
	char *manager_id; /* of role manager */
	char *name;       /* for people */
	unsigned char hash[BH_KEY_HASH_SIZE]; /* SHA-256 of the key's text: 256 random bits need no slow hash */
	bh_usec created_at;
} bh_key;

bh_manager *bh_manager_ref(bh_manager *m);
void bh_manager_unref(bh_manager *m);
bh_property *bh_property_ref(bh_property *p);
void bh_property_unref(bh_property *p);
bh_webhook *bh_webhook_ref(bh_webhook *w);
void bh_webhook_unref(bh_webhook *w);
bh_key *bh_key_ref(bh_key *k);
void bh_key_unref(bh_key *k);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_manager, bh_manager_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_property, bh_property_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_webhook, bh_webhook_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_key, bh_key_unref)

/* A deep copy with one reference, to be changed before it is shared. */
bh_webhook *bh_webhook_copy(const bh_webhook *w);
/* Fresh, zeroed, one reference. The maker fills it before sharing. */
bh_manager *bh_manager_new(void);
bh_property *bh_property_new(void);
bh_webhook *bh_webhook_new(void);
bh_key *bh_key_new(void);

/* Makes a new API key text ("bhk_" + 43 characters of base64url) and its hash. Show the text once. */
char *bh_key_text_new(unsigned char ret_hash[BH_KEY_HASH_SIZE]);
void bh_key_text_hash(const char *text, unsigned char ret_hash[BH_KEY_HASH_SIZE]);

/* One change. The object is referenced by the change. */
typedef enum bh_change_kind {
	BH_CHANGE_MANAGER_PUT,
	BH_CHANGE_MANAGER_REMOVE, /* his webhooks go too; he leaves his properties; keys of him are revoked */
	BH_CHANGE_PROPERTY_PUT,
	BH_CHANGE_PROPERTY_REMOVE,
	BH_CHANGE_WEBHOOK_PUT,
	BH_CHANGE_WEBHOOK_REMOVE,
	BH_CHANGE_KEY_PUT,
	BH_CHANGE_KEY_REMOVE,
	BH_CHANGE_TYPE_PUT,
	BH_CHANGE_TYPE_REMOVE,
} bh_change_kind;

typedef struct bh_change {
	bh_change_kind kind;
	bh_manager *manager;
	bh_property *property;
	bh_webhook *webhook; /* WEBHOOK_PUT: new when revision is 1, else revision must be the present one + 1 (else CONFLICT) */
	bh_key *key;
	bh_event_type *type; /* owned */
	char *name;          /* REMOVE of manager, property, type */
	bh_id id;            /* REMOVE of webhook, key */
} bh_change;

void bh_change_free(bh_change *change);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_change, bh_change_free)

typedef struct bh_snapshot bh_snapshot;
bh_snapshot *bh_snapshot_empty(void);
bh_snapshot *bh_snapshot_ref(bh_snapshot *s);
void bh_snapshot_unref(bh_snapshot *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_snapshot, bh_snapshot_unref)

/*
 * A new snapshot with the change made. NULL with NOT_FOUND (nothing to remove), CONFLICT (revision; a super manager
 * or receptionist would own a webhook: that message begins with "super_manager_cannot_own_webhooks"), INVALID (unknown
 * manager of a webhook or manager key), LIMIT (webhooks per manager).
 * The site's own webhooks have no such limit. Which webhooks go along with a manager: bh_snapshot_webhooks_of before the change.
 */
bh_snapshot *bh_snapshot_with(bh_snapshot *s, const bh_change *change, GError **error);

/*
 * A snapshot of what a store holds, of any revision. The rules above were kept when it was stored and are not
 * checked again: a start must not fail on them. Each array may be NULL and is borrowed; the objects
 * are referenced (types: copied). An own type whose name has become a built-in one is left out.
 */
typedef struct bh_directory_rows {
	GPtrArray *managers, *properties, *webhooks, *keys, *types;
} bh_directory_rows;
bh_snapshot *bh_snapshot_of(const bh_directory_rows *rows, GError **error);

/* The changes that an event's news amount to, seen from `s` (GPtrArray of bh_change, with free func); empty: none. */
GPtrArray *bh_snapshot_changes_of(bh_snapshot *s, const bh_directory_news *news, bh_usec now);

/* Looking up. What is returned lives as long as the snapshot is referenced. NULL: not there. */
const bh_manager *bh_snapshot_manager(const bh_snapshot *s, const char *id);
const bh_property *bh_snapshot_property(const bh_snapshot *s, const char *id);
const bh_webhook *bh_snapshot_webhook(const bh_snapshot *s, bh_id id);
const bh_key *bh_snapshot_key(const bh_snapshot *s, bh_id id);
const bh_key *bh_snapshot_key_by_hash(const bh_snapshot *s, const unsigned char hash[BH_KEY_HASH_SIZE]);
const bh_catalogue *bh_snapshot_catalogue(const bh_snapshot *s);

/* Webhooks of a manager, or of the site (NULL), by id: borrowed pointers, count in *ret_count; never NULL when count > 0. */
bh_webhook *const *bh_snapshot_webhooks_of(const bh_snapshot *s, const char *manager_id, size_t *ret_count);
/* Properties that name this manager, sorted by id (borrowed). */
bh_property *const *bh_snapshot_properties_of(const bh_snapshot *s, const char *manager_id, size_t *ret_count);

/*
 * Pages by key: up to `limit` things whose key is greater than `after` (NULL or 0: from the start), in key order,
 * borrowed, in a container that the caller owns. `manager_id` NULL: of everybody.
 */
GPtrArray *bh_snapshot_page_managers(const bh_snapshot *s, const char *after, size_t limit);
GPtrArray *bh_snapshot_page_properties(const bh_snapshot *s, const char *manager_id, const char *after, size_t limit);
GPtrArray *bh_snapshot_page_webhooks(const bh_snapshot *s, const char *manager_id, bh_id after, size_t limit);
GPtrArray *bh_snapshot_page_keys(const bh_snapshot *s, bh_id after, size_t limit);

size_t bh_snapshot_webhook_count(const bh_snapshot *s);

/* The directory: the place where the present snapshot hangs. Any thread. */
typedef struct bh_directory bh_directory;
bh_directory *bh_directory_new(bh_snapshot *first); /* takes the reference */
void bh_directory_free(bh_directory *d);
bh_snapshot *bh_directory_now(bh_directory *d); /* a new reference */
void bh_directory_publish(bh_directory *d, bh_snapshot *next); /* takes the reference; journal only */
