/*
 * What scripts get beside Lua's own libraries: json, base64, hash, url and time. They compute and nothing else, and keep
 * nothing; what loops over what a script gave pays for its length first. Errors in Lua jump, so none of them holds memory
 * of C's while it can raise.
 */
#pragma once

#include "base/span.h"

#include <glib.h>
#include <lua.h>
#include <stdbool.h>

/* Each pushes its library as a table, once in each state; json is the first, for others know its numbers. */
void bh_lua_json_push(lua_State *lua);
void bh_lua_base64_push(lua_State *lua);
void bh_lua_hash_push(lua_State *lua);
void bh_lua_url_push(lua_State *lua);
void bh_lua_time_push(lua_State *lua);

/* --- JSON: lua_json.c reads, lua_json_write.c writes, lua_number.c knows numbers ---------------- */

#define BH_LUA_JSON_MAX (1024 * 1024) /* a longer text is not decoded */

/* Pushes the value of `text`, in fresh tables. False: pushes the reason, with line and column, instead. May raise: memory, the meter. */
bool bh_lua_json_decode(lua_State *lua, bh_span text);

/*
 * Pushes the value at `index` as JSON: compact, members sorted. Raises on what JSON cannot say, and names where:
 * "<function>: rooms[3] is a function, which JSON cannot say".
 */
void bh_lua_json_encode(lua_State *lua, int index, const char *function);

/* What the json library keeps in each state. Its metatables are out of a script's reach, and nothing looks into them. */
typedef struct bh_lua_json_kit {
	struct bh_json *reader;
	const void *list, *number, *null; /* the metatables that mark them */
} bh_lua_json_kit;

/* The user values of the kit, which bh_lua_json_kit_push leaves on the stack. */
enum { BH_LUA_JSON_LIST = 1, BH_LUA_JSON_NUMBER, BH_LUA_JSON_NULL, BH_LUA_JSON_VALUES = BH_LUA_JSON_NULL };
bh_lua_json_kit *bh_lua_json_kit_push(lua_State *lua);

/* Is the value at `index` a number that stays text, and which? The text lives as long as the value. */
bool bh_lua_number_text(lua_State *lua, int index, bh_span *ret);

/* Pushes the metatable of such numbers: full userdata whose bytes are the text. */
void bh_lua_number_metatable(lua_State *lua);

/* Is this a float that, written, means the very decimal that `text`, a JSON number, means? */
bool bh_lua_number_is_float(bh_span text, double *ret);

/* The shortest text that reads as `number` again, which is finite; always with a point or an exponent. Returns its size. */
#define BH_LUA_FLOAT_SIZE 40
size_t bh_lua_float_text(double number, char out[BH_LUA_FLOAT_SIZE]);

/* --- The names of a table ----------------------------------------------------------------------- */

/*
 * A table of the host's (settings, an answer, the event) has what a script sees in it behind its metatable. Puts the table behind
 * a view in its place at `index`; has the others fill themselves. To be read only: it is not the script's.
 */
void bh_lua_look_behind(lua_State *lua, int index);

#define BH_LUA_NAMES_FEW 16

typedef struct bh_lua_names {
	size_t count; /* of texts among the keys */
	bool has_others;
	lua_Integer indices; /* how many keys are integers */
	lua_Integer first, last; /* the least and the greatest of those */
	bh_span few[BH_LUA_NAMES_FEW], *sorted;
} bh_lua_names;

/* Looks at all keys of the table at `index`, which must not change while `names` is used. */
void bh_lua_names_survey(bh_lua_names *names, lua_State *lua, int index);

/* Sorts the texts by their bytes. Pushes one value, which must stay as long as they are used. */
void bh_lua_names_sort(bh_lua_names *names, lua_State *lua, int index);

/* Are the keys 1, 2, 3 ... and nothing else (or none at all)? */
static inline bool bh_lua_names_are_list(const bh_lua_names *names)
{
	return names->count == 0 && !names->has_others &&
	       (names->indices == 0 || (names->first == 1 && names->last == names->indices));
}
