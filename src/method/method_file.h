/* One method file: its text, run once in a throwaway sandbox, becomes a form. */
#pragma once

#include "method/method.h"

#include <lua.h>

#define BH_METHOD_SOURCE_MAX (256 * 1024)
#define BH_METHOD_NAME_MAX 40

/* The chunk of a method is run with this much at most, whenever it is run. */
#define BH_METHOD_CHUNK_STEPS 1000000
#define BH_METHOD_CHUNK_MEMORY (16 * 1024 * 1024)

/*
 * Reads `source`, the text of `<name>.lua`, into a new method. BH_ERROR_INVALID: "basic.lua:12: ...", the line
 * being Lua's own, or where the word in question stands.
 */
bh_method *bh_method_read(const char *name, const char *path, GBytes *source, GError **error);

#define BH_OWN_SCRIPT_MAX (16 * 1024)
#define BH_OWN_CHUNK_STEPS 100000

/*
 * Is what the chunk of a webhook's own script returned, on the top of the stack, a table of such a script? `source` is where to look for
 * lines. BH_ERROR_INVALID: "script:3: ...".
 */
bool bh_own_script_read(lua_State *lua, bh_span source, GError **error);

/* Methods are counted: a reload that finds a file unchanged, or broken, hands the old one on. Any thread. */
bh_method *bh_method_ref(bh_method *method);
void bh_method_unref(bh_method *method);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_method, bh_method_unref)
