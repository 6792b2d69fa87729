/*
 * Methods: Lua files that describe a settings form and say how to authenticate and send.
 *
 * Two halves. bh_methods is what is known of the files (forms, source text): immutable, counted, any
 * thread; the API validates settings with it. A bh_script_host is one Lua state of one delivery loop; it runs
 * `deliver` of a method in a coroutine per attempt. A script never does I/O: it yields a call, the loop makes
 * it, and resumes with the answer. A run keeps nothing for the next one: see docs/methods.md for what a script gets.
 */
#pragma once

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
} bh_field_format;
const char *bh_field_format_name(bh_field_format f);

typedef struct bh_field {
	char *key, *title, *help; /* help may be NULL */
	bh_field_format format;
	bool required;
	char *default_json; /* NULL: none */
	char **options; /* SELECT: NULL-terminated; else NULL */
} bh_field;

typedef struct bh_method {
	char *name; /* the file's, without .lua */
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
bh_methods *bh_methods_ref(bh_methods *m);
void bh_methods_unref(bh_methods *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_methods, bh_methods_unref)
const bh_method *bh_methods_find(const bh_methods *m, const char *name);
GPtrArray *bh_methods_list(const bh_methods *m); /* borrowed bh_method, sorted; container the caller's */

/*
 * Checks settings given by an owner against the method's fields and makes the stored form: unknown or missing
 * fields are named (BH_ERROR_INVALID; *ret_pointer, the caller's, gets "/settings/url"), url fields pass the guard
 * (BH_ERROR_DENIED), password fields are sealed. `stored` (may be NULL) are the settings so far: a password
 * left out, or given as the masked form that the API shows, keeps its old sealed value, and so does every other field
 * that is left out. A `null` removes a field. Texts: 4 KiB, area and html 64 KiB, no U+0000; blanks around a url go.
 */
char *bh_settings_store(const bh_method *method, bh_span given, const char *stored, const bh_sealer *sealer,
			const bh_guard *guard, char **ret_pointer, GError **error);

/* The form that is shown: passwords become {"set":true} or {"set":false}. */
char *bh_settings_masked(const bh_method *method, const char *stored);

/* The URL that a webhook leads to (its first field of format url), for lists; NULL: none. */
char *bh_settings_url(const bh_method *method, const char *stored);

/* --- Running -------------------------------------------------------------------------------- */

typedef struct bh_script_limits {
	size_t memory_max; /* bytes one delivery may add: 16 MiB */
	uint64_t instructions_max; /* 10 million a delivery */
	unsigned calls_max; /* remote calls a delivery: 8 */
} bh_script_limits;

typedef struct bh_script_host bh_script_host;
bh_script_host *bh_script_host_new(const bh_script_limits *limits, const bh_sealer *sealer);
void bh_script_host_free(bh_script_host *h); /* after all its runs */

/* Switches to other method files (takes a reference); runs under way finish with the old ones. */
void bh_script_host_use(bh_script_host *h, bh_methods *methods);

/* What a script sees of the event. Copied by bh_script_new. */
typedef struct bh_script_event {
	const char *id, *type, *property_id, *manager_id; /* the last two may be NULL */
	bh_usec occurred_at;
	GBytes *body;
	int attempt;
} bh_script_event;

typedef struct bh_script bh_script; /* one run of `deliver` */

typedef enum bh_script_turn {
	BH_SCRIPT_CALLS, /* make *ret_call, then resume with its answer */
	BH_SCRIPT_RETURNED, /* see bh_script_verdict */
	BH_SCRIPT_BROKE, /* see bh_script_trouble: costs one attempt, and nobody else anything */
} bh_script_turn;

/* What the script thinks of it all. */
typedef struct bh_script_judgement {
	enum {
		BH_JUDGED_BY_ANSWER, /* it returned an answer: the outcome table decides */
		BH_JUDGED_DELIVERED, /* remote.delivered() */
		BH_JUDGED_RETRY, /* remote.retry(why, after) */
		BH_JUDGED_FAILED, /* remote.fail(why): final */
	} kind;
	char *why; /* one line, passwords hidden; NULL: nothing said */
	bh_usec after; /* RETRY: not before; -1: by schedule */
} bh_script_judgement;

/*
 * Begins a run. `settings` is the stored form, opened inside (and kept open for the next run). NULL with
 * BH_ERROR_NOT_FOUND (no such method) or _INVALID (settings do not open).
 */
bh_script *bh_script_new(bh_script_host *h, const char *method, const char *settings, const bh_script_event *event,
			 GError **error);
void bh_script_free(bh_script *s); /* at any point of its life */

/*
 * Runs until it calls, returns or breaks. `answer` is of the call before (looked at during this turn only); NULL at first.
 * *ret_call and its texts live until the next resume; its total_timeout is 0: the script has no say in it.
 */
bh_script_turn bh_script_resume(bh_script *s, const bh_answer *answer, bh_request *ret_call);
const bh_script_judgement *bh_script_judged(const bh_script *s); /* after RETURNED */
/* Shows each password of the run's settings; the bytes are only `each`'s until it returns. */
void bh_script_each_password(const bh_script *s, void (*each)(void *user, bh_span password), void *user);
const char *bh_script_trouble(const bh_script *s); /* after BROKE: "basic.lua:12: ...", passwords hidden */
