/*
 * The stages of a run, for a script that has more than `deliver`. A function of C leads through them inside the run's
 * coroutine, so each of them may pause or wait:
 *
 *   the files, if their locals must be fresh -> accepts of the method -> accepts of the webhook's own script ->
 *   transform of the method -> transform of the own script -> deliver
 *
 * What a stage returns is checked as if a stranger had sent it. Before each one the event shows the body as the stages
 * before have made it.
 */
#include "method/lua_libs.h"
#include "method/script.h"

#include <lauxlib.h>

/* What lies where on the stack. */
enum {
	EVENT = 1,
	SETTINGS,
	SHOWN_SETTINGS, /* those without passwords */
	REMOTE,
	METHOD, /* the table that the method's file returned this time; nil: its functions are kept */
	OWN,
	BODY,
};

typedef struct step {
	bh_script_stage stage;
	bool own; /* of the webhook's own script */
} step;

static const step steps[] = {
	{BH_STAGE_LOADING, false},   {BH_STAGE_LOADING, true},   {BH_STAGE_ACCEPTS, false}, {BH_STAGE_ACCEPTS, true},
	{BH_STAGE_TRANSFORM, false}, {BH_STAGE_TRANSFORM, true}, {BH_STAGE_DELIVER, false},
};

/* --- Which of them -------------------------------------------------------------------------------- */

static const bh_script_code *code_of(const bh_script *run, const step *at)
{
	return at->own ? run->own : run->code;
}

static bool is_wanted(const bh_script *run, const step *at)
{
	const bh_script_code *code = code_of(run, at);

	if (!code)
		return false;
	switch (at->stage) {
	case BH_STAGE_LOADING:
		return code->is_fresh;
	case BH_STAGE_ACCEPTS:
		return code->has[at->stage] && !run->skips_accepts;
	case BH_STAGE_TRANSFORM:
		return code->has[at->stage] && run->part != BH_SCRIPT_CONDITION;
	case BH_STAGE_DELIVER:
		return run->part == BH_SCRIPT_ALL;
	case BH_STAGES:
		break;
	}
	g_assert_not_reached();
}

bool bh_script_is_plain(const bh_script *run)
{
	const bh_script_code *code = run->code;

	return !run->own && run->part == BH_SCRIPT_ALL && !code->is_fresh && !code->has[BH_STAGE_TRANSFORM] &&
	       (!code->has[BH_STAGE_ACCEPTS] || run->skips_accepts);
}

/* --- Before a stage --------------------------------------------------------------------------------- */

static void push_function(lua_State *lua, const bh_script_code *code, const step *at)
{
	if (at->stage == BH_STAGE_LOADING) {
		lua_rawgeti(lua, LUA_REGISTRYINDEX, code->chunk);
		return;
	}
	if (!code->is_fresh) {
		lua_rawgeti(lua, LUA_REGISTRYINDEX, code->functions[at->stage]);
		return;
	}
	lua_pushstring(lua, bh_stage_name(at->stage));
	lua_rawget(lua, at->own ? OWN : METHOD);
	if (!lua_isfunction(lua, -1))
		luaL_error(lua, "%s:%d: '%s' is not a function any more", code->file, code->lines[at->stage],
			   bh_stage_name(at->stage));
}

/* The event of this stage is on the top; returns how many arguments it has. */
static int push_arguments(lua_State *lua, const bh_script *run, bh_script_stage stage)
{
	lua_pushvalue(lua, EVENT);
	lua_pushliteral(lua, "body");
	lua_pushvalue(lua, BODY);
	lua_rawset(lua, -3);
	if (stage != BH_STAGE_DELIVER) {
		lua_pushvalue(lua, SHOWN_SETTINGS);
		return 2;
	}
	lua_pushliteral(lua, "attempt");
	lua_pushinteger(lua, run->event.attempt);
	lua_rawset(lua, -3);
	lua_pushvalue(lua, SETTINGS);
	lua_pushvalue(lua, REMOTE);
	return 3;
}

/* What is sent from now on is what the scripts have made. */
static void settle_body(lua_State *lua, bh_script *run)
{
	if (!run->is_transformed)
		return;
	size_t size;
	const char *body = lua_tolstring(lua, BODY, &size);
	g_bytes_unref(run->body);
	run->body = g_bytes_new(body, size);
	run->is_transformed = false;
}

/* --- After a stage ------------------------------------------------------------------------------------ */

static const char *what_is(lua_State *lua, int index)
{
	return lua_isnil(lua, index) ? "nothing" : lua_pushfstring(lua, "a %s", luaL_typename(lua, index));
}

static void judge(bh_script *run, int kind, const char *why)
{
	run->is_judged = true;
	run->judged = (bh_script_judgement){.kind = kind, .why = g_strdup(why), .after = -1};
}

/* False: the event is not wanted. A forgotten `return` must not drop events without a word. */
static bool take_acceptance(lua_State *lua, bh_script *run, const step *at)
{
	const bh_script_code *code = run->at_work;

	if (!lua_isboolean(lua, -1))
		luaL_error(lua, "%s:%d: accepts returned %s; it must return true or false", code->file,
			   code->lines[BH_STAGE_ACCEPTS], what_is(lua, -1));
	if (lua_toboolean(lua, -1))
		return true;
	judge(run, BH_JUDGED_FILTERED,
	      at->own ? "A condition of the webhook's own script does not want this event."
		      : "A condition of the method does not want this event.");
	return false;
}

static int encode_table(lua_State *lua)
{
	bh_lua_json_encode(lua, 1, "transform");
	return 1;
}

/* The table on the top becomes its JSON. */
static void encode(lua_State *lua, const bh_script_code *code)
{
	lua_pushcfunction(lua, encode_table);
	lua_insert(lua, -2);
	if (bh_sandbox_try(lua, 1, 1) == LUA_OK)
		return;
	const char *why = lua_tostring(lua, -1);
	luaL_error(lua, "%s:%d: %s", code->file, code->lines[BH_STAGE_TRANSFORM],
		   why ? why : "an error without a text");
}

static void take_transformed(lua_State *lua, bh_script *run)
{
	const bh_script_code *code = run->at_work;
	int line = code->lines[BH_STAGE_TRANSFORM];

	if (lua_isnil(lua, -1))
		return;
	if (lua_istable(lua, -1))
		encode(lua, code);
	if (lua_type(lua, -1) != LUA_TSTRING)
		luaL_error(lua, "%s:%d: transform returned %s; it must return a text, a table, or nothing", code->file,
			   line, what_is(lua, -1));
	if (lua_rawlen(lua, -1) > BH_SCRIPT_BODY_MAX)
		luaL_error(lua, "%s:%d: transform returned a body of more than %d bytes", code->file, line,
			   BH_SCRIPT_BODY_MAX);
	run->is_transformed = true;
	lua_replace(lua, BODY);
}

/* Looks at the result on the top. False: there is no need to go on. */
static bool finish_step(lua_State *lua, bh_script *run, const step *at)
{
	switch (at->stage) {
	case BH_STAGE_LOADING:
		if (!lua_istable(lua, -1))
			luaL_error(lua, "%s: the file returned no table", run->at_work->file);
		lua_replace(lua, at->own ? OWN : METHOD);
		return true;
	case BH_STAGE_ACCEPTS:
		return take_acceptance(lua, run, at);
	case BH_STAGE_TRANSFORM:
		take_transformed(lua, run);
		return true;
	case BH_STAGE_DELIVER:
		return false;
	case BH_STAGES:
		break;
	}
	g_assert_not_reached();
}

/* --- All of them ---------------------------------------------------------------------------------------- */

static int go_on(lua_State *lua, int status, lua_KContext context);

static int run_from(lua_State *lua, bh_script *run, size_t first)
{
	for (size_t i = first; i < G_N_ELEMENTS(steps); i++) {
		const step *at = &steps[i];
		if (!is_wanted(run, at))
			continue;
		run->stage = at->stage;
		run->at_work = code_of(run, at);
		if (at->stage == BH_STAGE_DELIVER)
			settle_body(lua, run);
		lua_settop(lua, BODY);
		push_function(lua, run->at_work, at);
		int count = at->stage == BH_STAGE_LOADING ? 0 : push_arguments(lua, run, at->stage);
		lua_callk(lua, count, 1, (lua_KContext)i, go_on);
		if (!finish_step(lua, run, at))
			return 1;
	}
	settle_body(lua, run);
	judge(run, BH_JUDGED_DELIVERED, NULL);
	return 0;
}

/* A stage that had paused or waited has returned. */
static int go_on(lua_State *lua, int status, lua_KContext context)
{
	bh_script *run = bh_script_of(lua);

	if (!finish_step(lua, run, &steps[context]))
		return 1;
	return run_from(lua, run, (size_t)context + 1);
}

int bh_script_stages(lua_State *lua)
{
	lua_settop(lua, BODY);
	lua_pushliteral(lua, "body");
	lua_rawget(lua, EVENT);
	lua_replace(lua, BODY);
	return run_from(lua, bh_script_of(lua), 0);
}
