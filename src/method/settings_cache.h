/*
 * Opened settings, kept: parsing and unsealing costs more than everything else in a run. One table per state, of fixed
 * size; an entry is found by the stored text, so a changed setting is simply another entry.
 */
#pragma once

#include "method/method.h"
#include "method/sandbox.h"
#include "method/token_request.h"

typedef struct bh_script_settings {
	int refs;
	bh_sandbox *box;
	bh_method *method;
	char *stored;
	uint64_t hash; /* of it */
	GArray *values; /* bh_value, see forms.h */
	int view; /* registry: what `deliver` gets; read-only, so all runs share it */
	int shown; /* registry: what `accepts` and `transform` get, which is all but the passwords; LUA_NOREF: nobody has asked yet */
	bh_token_digest token; /* of the last remote.token */
} bh_script_settings;

typedef struct bh_settings_cache bh_settings_cache;
bh_settings_cache *bh_settings_cache_new(bh_sandbox *box, const bh_sealer *sealer);
void bh_settings_cache_free(bh_settings_cache *cache); /* before the sandbox */
void bh_settings_cache_flush(bh_settings_cache *cache);

/* A reference to the opened settings. NULL with BH_ERROR_INVALID: they do not open. */
bh_script_settings *bh_settings_cache_get(bh_settings_cache *cache, const bh_method *method, const char *stored,
					  GError **error);
void bh_script_settings_unref(bh_script_settings *settings); /* wipes with the last one */

/* Pushes the view without passwords. */
void bh_script_settings_push_shown(bh_script_settings *settings, lua_State *thread);

void bh_script_settings_each_password(const bh_script_settings *settings, void (*each)(void *user, bh_span password),
				      void *user);

/* How many bytes at `text` are a password of these settings; 0: none begins there. */
size_t bh_script_settings_password_at(const bh_script_settings *settings, const char *text);
