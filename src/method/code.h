/*
 * Scripts, compiled into one Lua state: a method's file, or a webhook's own script. Counted; runs hold references, so what is
 * replaced or falls out of the cache lives as long as somebody runs it. One thread.
 *
 * A run keeps nothing for the next one. Functions that use no local of their file have no place to keep anything and are called
 * again and again; if one of them does, the whole chunk runs anew for each run, so that its locals are fresh.
 */
#pragma once

#include "method/method.h"
#include "method/sandbox.h"

#define BH_OWN_SCRIPT_NAME "script" /* as errors call it */

typedef enum bh_script_stage {
	BH_STAGE_LOADING, /* the chunk runs, which makes the functions */
	BH_STAGE_ACCEPTS,
	BH_STAGE_TRANSFORM,
	BH_STAGE_DELIVER,
	BH_STAGES,
} bh_script_stage;
const char *bh_stage_name(bh_script_stage stage);

typedef struct bh_script_code {
	int refs;
	bh_sandbox *box;
	bh_method *method; /* NULL: a webhook's own script */
	char *file; /* "basic.lua" */
	int chunk; /* registry: the compiled file */
	bool has[BH_STAGES];
	bool is_fresh; /* the chunk is to be run for each run */
	int functions[BH_STAGES]; /* registry, unless is_fresh; LUA_NOREF: none */
	int lines[BH_STAGES]; /* on which they begin */
	char *trouble; /* why the file did not run; NULL: it did */
} bh_script_code;

bh_script_code *bh_script_code_new(bh_sandbox *box, bh_method *method);
bh_script_code *bh_script_code_ref(bh_script_code *code);
void bh_script_code_unref(bh_script_code *code);

/* The own scripts that were used last, by their text: webhooks with the same text share one, and nothing else. */
typedef struct bh_own_scripts bh_own_scripts;
bh_own_scripts *bh_own_scripts_new(bh_sandbox *box);
void bh_own_scripts_free(bh_own_scripts *own); /* before the sandbox */
bh_script_code *bh_own_scripts_get(bh_own_scripts *own, const char *text); /* a reference; of a broken one, too */
size_t bh_own_scripts_count(const bh_own_scripts *own);
