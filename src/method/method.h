/*
 * Methods: Lua files that describe a settings form and say how to authenticate and send.
 *
 * Two halves. bh_methods is what is known of the files (forms, source text): immutable, counted, any
 * thread; the API validates settings with it. A bh_script_host is one Lua state of one thread (a delivery loop, the
 * rehearsals of the API, `bellhop method try`); it runs `accepts`, `transform` and `deliver` of a method and of a webhook's own
 * script in one coroutine per attempt. A script never does I/O: it yields a call, the loop makes it, and resumes with
 * the answer; and it does not keep the thread: after a slice of instructions it yields as well. A run keeps nothing for the
 * next one: see docs/methods.md for what a script gets.
 */
#pragma once

#include "base/id.h"
#include "base/seal.h"
#include "base/span.h"
#include "event/event.h"
#include "transport/transport.h"

#include <glib.h>
#include <stdbool.h>

typedef enum bh_field_format {
	BH_FIELD_URL,
	BH_FIELD_INPUT,
	BH_FIELD_PASSWORD,
	BH_FIELD_AREA,
	BH_FIELD_BOOLEAN,
	BH_FIELD_INTEGER,
	BH_FIELD_SELECT,
	BH_FIELD_HTML,
	BH_FIELD_NOTES, /* a paragraph in the form: nothing is entered, nothing is stored */
} bh_field_format;
const char *bh_field_format_name(bh_field_format f);

#define BH_METHOD_INTERFACE 1 /* what this engine speaks; docs/methods.md says what each version has */

typedef struct bh_field {
	char *key, *title, *help; /* help may be NULL */
	bh_field_format format;
	bool required;
	char *default_json; /* NULL: none */
	char **options; /* SELECT: NULL-terminated; else NULL */
	/* The field counts only while another one (earlier in the form) has one of these values; else it is neither shown nor required, and the script gets nil. */
	char *when_field; /* its key; NULL: it always counts */
	char **when_values; /* NULL-terminated; a boolean's are "true" and "false", an integer's its digits */
	char *pattern; /* texts and passwords: a Lua pattern that the whole value must match (anchored by itself); NULL: none */
	char *hint; /* a sentence for who entered what does not match: "The key is on MailChimp's page ..." */
	bool trim; /* blanks around what was entered go (of a url always) */
	bool has_min, has_max; /* INTEGER */
	int64_t min, max;
} bh_field;

typedef struct bh_method {
	char *name; /* the file's, without .lua */
	int interface; /* the version of the interface it was written for: 1 to BH_METHOD_INTERFACE */
	bool has_accepts, has_transform;
	char *title;
	char *notes; /* for the manager; NULL: none */
	GPtrArray *fields; /* bh_field */
	char *path;
	GBytes *source;
} bh_method;

typedef struct bh_methods bh_methods;

/*
 * Reads every *.lua of `folder`; names that begin with a dot are left alone. A broken file is named in `ret_broken`
 * (char* "basic.lua:12: ..."; may be NULL) and its version of `previous` (may be NULL) is kept; an unchanged file keeps
 * its very bh_method. NULL only when the folder cannot be read.
 */
bh_methods *bh_methods_load(const char *folder, const bh_methods *previous, GPtrArray *ret_broken, GError **error);
/*
 * A set of the one method in the file at `path`, wherever that lies, read as those of a folder are: for
 * who writes one and tries it. NULL with BH_ERROR_INVALID: "acme.lua:12: ...".
 */
bh_methods *bh_methods_load_file(const char *path, GError **error);

/* Where the method files lie: the setting methods_dir, or if it is empty the folder that came with the binary. The caller's. */
char *bh_methods_folder(const char *setting);

bh_methods *bh_methods_ref(bh_methods *m);
void bh_methods_unref(bh_methods *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_methods, bh_methods_unref)
const bh_method *bh_methods_find(const bh_methods *m, const char *name);
GPtrArray *bh_methods_list(const bh_methods *m); /* borrowed bh_method, sorted; container the caller's */

/* A file that could not be read when this set was loaded. */
typedef struct bh_broken_method {
	char *name; /* the file's, without .lua */
	char *why;  /* "acme.lua:12: ..." */
	bool kept;  /* the version before it is at work still */
} bh_broken_method;
GPtrArray *bh_methods_broken(const bh_methods *m); /* borrowed bh_broken_method, sorted by name; the set's own */
const char *bh_methods_origin(const bh_methods *m); /* the folder, from the root on; NULL: a single file's set */

/*
 * Checks settings given by an owner against the method's fields and makes the stored form: unknown or missing
 * fields are named (BH_ERROR_INVALID; *ret_pointer, the caller's, gets "/settings/url"), url fields pass the guard
 * (BH_ERROR_DENIED), password fields are sealed. `stored` (may be NULL) are the settings so far: a password
 * left out, or given as the masked form that the API shows, keeps its old sealed value, and so does every other field
 * that is left out. A `null` removes a field; so does an empty text for a url, a select, and what has a pattern. Texts: 4 KiB, area
 * and html 64 KiB, no U+0000; blanks around a url go. Of a field whose `when` does not hold, what is stored stays as it is;
 * what is given anew is checked. The message never holds the value of a password.
 */
char *bh_settings_store(const bh_method *method, bh_span given, const char *stored, const bh_sealer *sealer,
			const bh_guard *guard, char **ret_pointer, GError **error);

/* The form that is shown: passwords become {"set":true} or {"set":false}. Hidden fields are in it, so it can be given back whole. */
char *bh_settings_masked(const bh_method *method, const char *stored);

/* The URL that a webhook leads to (its first field of format url that counts), for lists; NULL: none. */
char *bh_settings_url(const bh_method *method, const char *stored);

/*
 * The text that the script gets for a field which is no password, by settings in their stored, shown or given form: its default if
 * nothing is there, NULL if there is none or the field's `when` does not hold.
 */
char *bh_settings_text(const bh_method *method, const bh_field *field, const char *settings);

/* --- A webhook's own script ------------------------------------------------------------------- */

/*
 * Is this a script that a webhook may carry: Lua text that returns a table with `accepts`, `transform` or both (and `interface`),
 * nothing else? False with BH_ERROR_INVALID: "script:3: ...". Runs its chunk once, with a small budget, in a state of its own; any
 * thread.
 */
bool bh_script_check(bh_span source, GError **error);

/* What a script finds without being handed it ("json", "pairs", "string" ...): sorted, NULL-terminated, the caller's. */
char **bh_script_globals(void);

/* --- Running -------------------------------------------------------------------------------- */

typedef struct bh_script_limits {
	size_t memory_max; /* bytes one delivery may add: 16 MiB */
	uint64_t instructions_max; /* 10 million a delivery */
	unsigned calls_max; /* remote calls a delivery: 8; those for a token or details are not counted */
} bh_script_limits;
#define BH_SCRIPT_LIMITS_DELIVERY ((bh_script_limits){16 * 1024 * 1024, 10 * 1000 * 1000, 8}) /* what a delivery gets */

typedef struct bh_script_host bh_script_host;
bh_script_host *bh_script_host_new(const bh_script_limits *limits, const bh_sealer *sealer);
void bh_script_host_free(bh_script_host *h); /* after all its runs */
size_t bh_script_host_memory(const bh_script_host *h); /* bytes that its scripts, settings and runs hold now */

/* Switches to other method files (takes a reference); runs under way finish with the old ones. */
void bh_script_host_use(bh_script_host *h, bh_methods *methods);

/*
 * Where remote.lookup asks for the details of an event that brings none: the site's own API. Copied; NULL url: nowhere. The
 * URL may hold {type}, {property_id}, {event_id}, {manager_id} and {data.<member>}, each percent-encoded.
 */
typedef struct bh_lookup_config {
	const char *url;
	const char *token_url; /* OAuth2 client credentials for it; NULL: none */
	const char *client_id;
	bh_span client_secret; /* copied into a secret */
} bh_lookup_config;
void bh_script_host_lookup(bh_script_host *h, const bh_lookup_config *config); /* NULL: nowhere */

/* BH_ERROR_INVALID: an unknown {word} in the URL, or a token URL without who asks there. */
bool bh_lookup_config_check(const bh_lookup_config *config, GError **error);
bh_lookup_config *bh_lookup_config_copy(const bh_lookup_config *config); /* of NULL: NULL */
void bh_lookup_config_free(bh_lookup_config *config); /* of a copy; wipes the secret */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_lookup_config, bh_lookup_config_free)

/* The time by which tokens expire, and that time.now() shows; to be told before each turn. */
void bh_script_host_now(bh_script_host *h, bh_now now);

/* What a script sees of the event. The texts are copied by bh_script_new; the spans live as long as the run. */
typedef struct bh_script_event {
	const char *id, *type, *property_id, *manager_id; /* the last two may be NULL */
	bh_usec occurred_at;
	GBytes *body;
	bh_span data, details, channel; /* JSON; size 0: none */
	int attempt;
} bh_script_event;

typedef struct bh_script bh_script; /* one run */

/* What a run does. */
typedef enum bh_script_part {
	BH_SCRIPT_ALL,       /* accepts, transform, deliver */
	BH_SCRIPT_CONTENT,   /* accepts, transform: for a rehearsal. Ends judged DELIVERED (it would be sent) or FILTERED */
	BH_SCRIPT_CONDITION, /* accepts alone: DELIVERED or FILTERED */
} bh_script_part;

typedef struct bh_script_job {
	const char *method;
	const char *settings; /* the stored form, opened inside (and kept open for the next run) */
	const char *script;   /* the webhook's own; NULL: none */
	bh_id webhook;        /* tokens are kept for it and shared with nobody */
	const bh_script_event *event;
	bh_script_part part;
	bool skips_accepts;   /* a test goes out whatever the conditions say */
	void *user;           /* bh_script_user */
} bh_script_job;

/*
 * Does any condition of this method or script have a say? Cheap; false: nothing is ever FILTERED. With a broken script: true.
 */
bool bh_script_host_filters(bh_script_host *h, const char *method, const char *script);

typedef enum bh_script_turn {
	BH_SCRIPT_CALLS, /* make *ret_call, then resume with its answer */
	BH_SCRIPT_LATER, /* its slice is over, or it waits for a token that another run is fetching: bh_script_host_next gives it back */
	BH_SCRIPT_RETURNED, /* see bh_script_verdict */
	BH_SCRIPT_BROKE, /* see bh_script_trouble: costs one attempt, and nobody else anything */
} bh_script_turn;

/*
 * A run that said LATER and can go on now, the one that waits longest first; to be resumed with no answer. NULL: none. A thread
 * deals with what else it has to do between two of them, but does not sleep while there is one (bh_script_host_has_next).
 */
bh_script *bh_script_host_next(bh_script_host *h);
bool bh_script_is_paused(const bh_script *s); /* after LATER: it computes, and does not wait for a token */
bool bh_script_host_has_next(const bh_script_host *h);
size_t bh_script_host_row(const bh_script_host *h); /* how many there are */
void *bh_script_user(const bh_script *s);

/* What the call is for: it decides what the loop adds to it. */
typedef enum bh_call_kind {
	BH_CALL_DELIVERY, /* signed, with the owner's extra headers and TLS material */
	BH_CALL_TOKEN,    /* to a token service: with the owner's TLS material; neither signature nor extra headers; its answer holds credentials */
	BH_CALL_LOOKUP,   /* to the site's own API (or its token service): none of these; request.trusted is set */
} bh_call_kind;
bh_call_kind bh_script_call_kind(const bh_script *s); /* after CALLS */

/* What the script thinks of it all. */
typedef struct bh_script_judgement {
	enum {
		BH_JUDGED_BY_ANSWER, /* it returned an answer: the outcome table decides */
		BH_JUDGED_DELIVERED, /* remote.delivered() */
		BH_JUDGED_RETRY, /* remote.retry(why, after) */
		BH_JUDGED_FAILED, /* remote.fail(why): final */
		BH_JUDGED_FILTERED, /* accepts said no; nothing was called */
		BH_JUDGED_ENDED, /* the host ended it: no token or no details could be had; `cause` says which */
	} kind;
	char *why; /* one line, passwords hidden; NULL: nothing said */
	bh_usec after; /* RETRY, ENDED: not before; -1: by schedule */
	bh_cause cause; /* ENDED: TOKEN, LOOKUP, or CREDENTIALS (the token service does not accept the client) */
	bool was_asked; /* ENDED: a request was made, by this run or one that it waited for; false: it was too early for the next one */
} bh_script_judgement;

/*
 * Begins a run. NULL with BH_ERROR_NOT_FOUND (no such method) or _INVALID (settings do not open).
 */
bh_script *bh_script_new(bh_script_host *h, const bh_script_job *job, GError **error);
void bh_script_free(bh_script *s); /* at any point of its life; who waits for its token goes on without it */

/*
 * Runs until it calls, pauses, returns or breaks. `answer` is of the call before (looked at during this turn only); NULL at first
 * and after LATER. *ret_call and its texts live until the next resume; its total_timeout is 0: the script has no say in it.
 */
bh_script_turn bh_script_resume(bh_script *s, const bh_answer *answer, bh_request *ret_call);
const bh_script_judgement *bh_script_judged(const bh_script *s); /* after RETURNED */
/* What is sent: the body that transform made, the event's own otherwise. A reference of the run's; after RETURNED, and after the first CALLS. */
GBytes *bh_script_body(const bh_script *s);
/* Shows each password of the run's settings, and each token that it got; the bytes are only `each`'s until it returns. */
void bh_script_each_password(const bh_script *s, void (*each)(void *user, bh_span password), void *user);
const char *bh_script_trouble(const bh_script *s); /* after BROKE: "basic.lua:12: ..." or "script:3: ...", passwords hidden */
