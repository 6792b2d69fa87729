/* The words of a Lua text, for looking at it without running it: comments are gone, texts are told from names. Pure. */
#pragma once

#include "base/span.h"

#include <glib.h>
#include <stdbool.h>

typedef struct bh_lua_word {
	enum { BH_LUA_NAME, BH_LUA_TEXT, BH_LUA_NUMBER, BH_LUA_SIGN } kind; /* names are keywords, too */
	bh_span text; /* into the source; of TEXT what stands between the quotes, escapes as they are */
	unsigned line; /* where it begins, from 1 */
} bh_lua_word;

/* A GArray of bh_lua_word. `source` compiles and outlives it. */
GArray *bh_lua_words(bh_span source);

bool bh_lua_is(const bh_lua_word *word, const char *text); /* a name or sign, never a text */
