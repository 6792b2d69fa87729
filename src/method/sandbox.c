#include "method/sandbox.h"

#include <glib.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define HOOK_STEPS 500 /* instructions between two looks at the meter */
#define BYTES_PER_STEP 32 /* an instruction and copying this much take about the same time */
#define BLOCKS_IN_MEMORY 4 /* one block may be this part of the memory: it bounds what one instruction can cost */
#define CATCH_STEPS 30 /* what catching an error takes */
#define SLICE_STEPS 100000 /* about a millisecond */
#define SLICE_TIME (3 * BH_MILLISECOND) /* for slow instructions */
#define STRETCH_STEPS 1000000
#define STRETCH_TIME (50 * BH_MILLISECOND) /* generous: what is a matter of steps shall not be one of the machine */
#define GLANCE_TIME 200 /* microseconds */
#define LOOK_TIME BH_MILLISECOND /* an interval of the hook that took longer is too long */
#define SHORT_BLOCK (32 * 1024) /* instructions over texts longer than this are slow: the hook comes oftener */
#define SMALL_BLOCK 64
#define COLLECTING_STEPS 4 /* what a collection takes for each block */
#define GARBAGE_MAX (512 * 1024)
#define DROPPED_PART \
	4 /* of what lives: with every few runs that held much, the collector would go through what all others hold */
#define HOUSE 16 /* all runs together have this many times the memory of one, ... */
#define HOUSE_SHARE 8 /* ... of which a run may hold this part of what is free: nobody takes the last of it ... */
#define PARDON 4 /* times its memory: what a run may have made and thrown away between its turns */
#define HOUSE_LEAST 16 /* ... and each may have this part of its memory, whatever the others do */

/* --- Memory ----------------------------------------------------------------------------------- */

static void count_hook(lua_State *lua, lua_Debug *activation);

/* How many instructions may pass until the next look at the meter: fewer if they may be slow, or were. */
static int hook_interval(const bh_meter *meter)
{
	return (int)(HOOK_STEPS / (1 + meter->largest / SHORT_BLOCK + meter->slowness)) + 1;
}

/* The hook comes with the next instruction (and charges for a whole interval). Also from within the allocator. */
static void look_soon(bh_sandbox *box)
{
	lua_sethook(box->thread, count_hook, LUA_MASKCOUNT, 1);
}

/* Takes `steps` off everything that they count against. */
static void charge(bh_sandbox *box, size_t steps)
{
	bh_meter *meter = box->running;
	int64_t taken = (int64_t)MIN(steps, (size_t)INT64_MAX / 4);
	bool was_in_slice = box->slice > 0;

	meter->steps -= taken;
	if (meter->steps <= 0 && !meter->stop)
		meter->stop = BH_STOP_STEPS;
	if (!meter->sliced)
		return;
	box->slice -= taken;
	box->stretch -= taken;
	if (box->stretch <= 0 && !meter->stop)
		meter->stop = BH_STOP_STRETCH;
	if (was_in_slice && box->slice <= 0)
		look_soon(box);
}

/*
 * A run that is refused memory has Lua collect all garbage, and ask once more. Whoever lives just below its ceiling would have
 * that done for every few bytes: it pays for it (not for what all the others hold), and lets others on afterwards.
 */
static void charge_collection(bh_sandbox *box)
{
	bh_meter *meter = box->running;

	box->collections++;
	meter->steps -= (int64_t)(MIN(box->blocks, box->memory_max / SMALL_BLOCK) * COLLECTING_STEPS);
	if (meter->steps <= 0 && !meter->stop)
		meter->stop = BH_STOP_MEMORY;
	if (meter->sliced) {
		box->slice = 0;
		look_soon(box);
	}
}

static bool may_grow(bh_sandbox *box, size_t old_size, size_t new_size)
{
	bh_meter *meter = box->running;
	size_t more = new_size - old_size;

	if (new_size > box->memory_max / BLOCKS_IN_MEMORY)
		return false;
	if (box->used + more > box->ceiling) {
		charge_collection(box);
		return false;
	}
	if (new_size > SHORT_BLOCK && new_size > meter->largest) {
		meter->largest = new_size;
		look_soon(box);
	}
	charge(box, more / BYTES_PER_STEP);
	return !meter->stop;
}

static void release(void *block, size_t size)
{
	if (!block)
		return;
	explicit_bzero(block, size);
	free(block);
}

/* Lua relies on shrinking never to fail; what is cut off is wiped first. */
static void *shrink(void *block, size_t old_size, size_t new_size)
{
	explicit_bzero((char *)block + new_size, old_size - new_size);
	void *smaller = realloc(block, new_size);
	if (!smaller)
		return block;
	return smaller;
}

/* A lua_Alloc. With no block, `old_size` is a kind of object and not a size. */
static void *allocate(void *user, void *block, size_t old_size, size_t new_size)
{
	bh_sandbox *box = user;

	size_t blocks = box->blocks + (new_size > 0) - (block != NULL);
	if (!block)
		old_size = 0;
	if (new_size > old_size && box->running && !may_grow(box, old_size, new_size))
		return NULL;

	void *result = NULL;
	if (new_size == 0) {
		release(block, old_size);
	} else if (new_size <= old_size) {
		result = shrink(block, old_size, new_size);
	} else {
		result = malloc(new_size);
		if (!result && box->running)
			return NULL;
		if (!result)
			g_error("out of memory: %zu bytes for a method", new_size);
		if (block)
			memcpy(result, block, old_size);
		release(block, old_size);
	}
	box->used = box->used - old_size + new_size;
	box->blocks = blocks;
	return result;
}

static void collect(lua_State *lua, bh_sandbox *box)
{
	lua_gc(lua, LUA_GCCOLLECT, 0);
	box->live = box->used;
	box->dropped = 0;
	box->collections++;
}

/* Frees the garbage of hundreds of runs at once; waiting until it doubled keeps the cost in proportion to what lives. */
static void collect_if_due(lua_State *lua, bh_sandbox *box)
{
	if (box->used > 2 * box->live + GARBAGE_MAX)
		collect(lua, box);
}

/*
 * Lua collects by itself when it is refused memory, but its library does not while it builds a text. So a run that comes
 * near its ceiling has its garbage collected oftener.
 */
static void collect_if_tight(lua_State *lua, bh_sandbox *box)
{
	if (box->used < box->tight || box->used < box->live + GARBAGE_MAX)
		return;
	collect(lua, box);
	charge_collection(box);
}

void bh_sandbox_tidy(bh_sandbox *box, const bh_meter *ended)
{
	if (ended)
		box->dropped += ended->held;
	if (box->dropped > GARBAGE_MAX + box->live / DROPPED_PART) /* others wait for that */
		collect(box->lua, box);
	else
		collect_if_due(box->lua, box);
}

/* --- The meter -------------------------------------------------------------------------------- */

/* Raises without a text: none could be made any more. bh_sandbox_trouble finds the words. */
static int end_run(lua_State *lua)
{
	lua_pushnil(lua);
	return lua_error(lua);
}

static void spend(lua_State *lua, bh_sandbox *box, size_t steps)
{
	bh_meter *meter = box->running;
	if (!meter)
		return; /* the host itself is at work */

	charge(box, steps);
	if (meter->stop)
		end_run(lua);
	collect_if_due(lua, box);
	collect_if_tight(lua, box);
}

/* How long this turn has taken; it is looked at for the first time here unless it goes on after a pause. */
static bh_usec turn_time(bh_sandbox *box)
{
	bh_usec now = bh_clock_work();
	box->glanced_at = bh_clock_mono();
	if (!box->timed) {
		box->timed = true;
		box->turn_began = box->looked_at = now;
	}
	return now - box->turn_began;
}

/* The interval was a long one or a short one, as instructions go: the next one shall take less than LOOK_TIME. */
static void learn_pace(bh_sandbox *box, bh_usec taken)
{
	bh_meter *meter = box->running;
	bh_usec since = box->turn_began + taken - box->looked_at;

	box->looked_at = box->turn_began + taken;
	if (since > LOOK_TIME)
		meter->slowness = MIN(2 * meter->slowness + 1, HOOK_STEPS);
	else if (since < LOOK_TIME / 4)
		meter->slowness /= 2;
}

/* The sandbox that this state or coroutine belongs to: its allocator's argument. */
static bh_sandbox *box_of(lua_State *lua)
{
	void *box;
	lua_getallocf(lua, &box);
	return box;
}

/* Lua can yield here, and takes it as the end of this turn. */
static void end_slice(lua_State *lua, bh_sandbox *box)
{
	box->running->is_paused = true;
	lua_yield(lua, 0); /* returns, and the hook must return as well */
}

/*
 * The clock of work is a call of the kernel's: as slow as a hundred instructions, when the hook may come after each second one.
 * It is asked when the cheap one says that it can have moved.
 */
static bool may_be_late(const bh_sandbox *box)
{
	return !box->timed || bh_mono_since(bh_clock_mono(), box->glanced_at) >= GLANCE_TIME;
}

/* Ends what takes too long. */
static void look_at_clock(lua_State *lua, bh_sandbox *box)
{
	bh_meter *meter = box->running;
	bh_usec taken = turn_time(box);

	if (taken > meter->time)
		meter->stop = BH_STOP_TIME;
	else if (meter->sliced && taken > STRETCH_TIME && !lua_isyieldable(lua))
		meter->stop = BH_STOP_STRETCH;
	if (meter->stop)
		end_run(lua);
	learn_pace(box, taken);
}

static void count_hook(lua_State *lua, lua_Debug *activation)
{
	bh_sandbox *box = box_of(lua);
	bh_meter *meter = box->running;

	spend(lua, box, (size_t)hook_interval(meter));
	if (may_be_late(box))
		look_at_clock(lua, box);
	lua_sethook(lua, count_hook, LUA_MASKCOUNT, hook_interval(meter));
	if (!meter->sliced || !lua_isyieldable(lua))
		return;
	box->stretch = STRETCH_STEPS;
	if (box->slice <= 0 || box->looked_at - box->turn_began > SLICE_TIME)
		end_slice(lua, box);
}

void bh_sandbox_breathe(lua_State *lua)
{
	bh_sandbox *box = box_of(lua);
	if (!box->running || !lua_isyieldable(lua))
		return;
	box->stretch = STRETCH_STEPS;
	if (box->slice <= 0)
		look_soon(box);
}

int bh_sandbox_end(lua_State *lua)
{
	bh_meter *meter = box_of(lua)->running;
	if (!meter->stop)
		meter->stop = BH_STOP_ASKED;
	return end_run(lua);
}

void bh_sandbox_spend(lua_State *lua, size_t steps)
{
	spend(lua, box_of(lua), steps);
}

/*
 * Lua's own errors say LUA_ERRMEM; its string buffers raise the same text as an ordinary error. A script that makes
 * that text itself fools only itself.
 */
static bool is_memory_error(lua_State *lua, int status)
{
	return status == LUA_ERRMEM || (status == LUA_ERRRUN && lua_type(lua, -1) == LUA_TSTRING &&
					!strcmp(lua_tostring(lua, -1), "not enough memory"));
}

static void note_memory_error(lua_State *lua, bh_meter *meter, int status)
{
	if (!meter->stop && is_memory_error(lua, status))
		meter->stop = BH_STOP_MEMORY;
}

/*
 * No script catches its own end. As an error it would go through each pcall that the run is in: there can be a hundred thousand
 * of them, each as slow as all that are left. So the coroutine stays here, and nobody resumes it any more. Where Lua cannot yield
 * they are at most some 200.
 */
static void pass_end_on(lua_State *lua, int status)
{
	bh_meter *meter = box_of(lua)->running;
	if (status == LUA_OK || !meter)
		return;
	note_memory_error(lua, meter, status);
	if (meter->stop && lua_isyieldable(lua))
		lua_yield(lua, 0);
	if (meter->stop)
		end_run(lua);
}

int bh_sandbox_try(lua_State *lua, int arguments, int results)
{
	int status = lua_pcall(lua, arguments, results, 0);
	pass_end_on(lua, status);
	return status;
}

/* pcall's second half: also where Lua goes on when the protected function had yielded. */
static int after_pcall(lua_State *lua, int status, lua_KContext context)
{
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(lua);

	pass_end_on(lua, status);
	bh_sandbox_spend(lua, CATCH_STEPS);
	lua_pushboolean(lua, false);
	lua_insert(lua, -2);
	return 2;
}

int bh_sandbox_pcall(lua_State *lua)
{
	luaL_checkany(lua, 1);
	lua_pushboolean(lua, true);
	lua_insert(lua, 1);
	return after_pcall(lua, lua_pcallk(lua, lua_gettop(lua) - 2, LUA_MULTRET, 0, 0, after_pcall), 0);
}

/* --- The state -------------------------------------------------------------------------------- */

static int panic(lua_State *lua)
{
	const char *why = lua_tostring(lua, -1);
	g_error("the Lua host broke its own rules: %s", why ? why : "an error without a text");
	return 0;
}

void bh_sandbox_init(bh_sandbox *box, size_t memory_max)
{
	*box = (bh_sandbox){.memory_max = memory_max};
	box->lua = lua_newstate(allocate, box);
	memset(lua_getextraspace(box->lua), 0, LUA_EXTRASPACE); /* its coroutines begin with a copy: no run yet */
	lua_atpanic(box->lua, panic);
	lua_gc(box->lua, LUA_GCSTOP);

	bh_sandbox_push_globals(box->lua);
	box->globals = luaL_ref(box->lua, LUA_REGISTRYINDEX);
	lua_gc(box->lua, LUA_GCCOLLECT);
	box->live = box->used;
}

void bh_sandbox_clear(bh_sandbox *box)
{
	if (box->lua)
		lua_close(box->lua);
	*box = (bh_sandbox){0};
}

/*
 * A chunk's only way to its globals is the upvalue _ENV, which all its runs share: a script that could name it could
 * put another table there and keep things from run to run.
 */
static bool names_env(const char *name, const char *source, size_t size, char **ret_why)
{
	const char *at = memmem(source, size, "_ENV", strlen("_ENV"));
	if (!at)
		return false;

	unsigned line = 1;
	for (const char *c = source; c < at; c++)
		line += *c == '\n';
	*ret_why = g_strdup_printf("%s:%u: '_ENV' cannot be used in a method", name, line);
	return true;
}

bool bh_sandbox_compile(bh_sandbox *box, const char *name, const char *source, size_t size)
{
	g_autofree char *chunk = g_strconcat("@", name, NULL);
	static const char mark[] = "\xef\xbb\xbf"; /* what some editors put before UTF-8 */
	g_autofree char *why = NULL;

	if (size >= strlen(mark) && !memcmp(source, mark, strlen(mark))) {
		source += strlen(mark);
		size -= strlen(mark);
	}
	if (names_env(name, source, size, &why)) {
		lua_pushstring(box->lua, why);
		return false;
	}
	if (luaL_loadbufferx(box->lua, source, size, chunk, "t") != LUA_OK)
		return false;
	lua_rawgeti(box->lua, LUA_REGISTRYINDEX, box->globals);
	const char *upvalue = lua_setupvalue(box->lua, -2, 1);
	g_assert(upvalue); /* a main chunk has exactly this one */
	return true;
}

lua_State *bh_sandbox_thread(bh_sandbox *box, int *ret_anchor)
{
	lua_State *thread = lua_newthread(box->lua);
	*ret_anchor = luaL_ref(box->lua, LUA_REGISTRYINDEX);
	return thread;
}

/* --- A turn ----------------------------------------------------------------------------------- */

/* How much this turn may add: the run's own limit, and its share of a house that others live in as well. */
static void set_ceiling(bh_sandbox *box, const bh_meter *meter)
{
	size_t house = HOUSE * box->memory_max;
	size_t share = house > box->used ? (house - box->used) / HOUSE_SHARE : 0;
	size_t most = MIN(meter->memory, MAX(share, box->memory_max / HOUSE_LEAST));

	box->ceiling = box->used + (most > meter->held ? most - meter->held : 0);
	box->tight = box->ceiling - MIN(box->ceiling, most / 4);
}

/*
 * A collection between two turns freed this run's garbage, and nobody knows how much that was. It is taken to be all that was
 * new, as with most scripts; not without end, or a run could grow by being collected.
 */
static void pardon(const bh_sandbox *box, bh_meter *meter)
{
	if (box->collections == meter->collections)
		return;
	size_t taken = MIN(meter->fresh, PARDON * box->memory_max - meter->pardoned);
	meter->pardoned += taken;
	meter->held -= MIN(meter->held, taken);
	meter->fresh = 0;
}

static void begin_turn(bh_sandbox *box, lua_State *thread, bh_meter *meter)
{
	pardon(box, meter);
	set_ceiling(box, meter);
	box->slice = SLICE_STEPS;
	box->stretch = STRETCH_STEPS;
	box->timed = false;
	box->thread = thread;
	box->running = meter;
	if (meter->is_paused) { /* the hook must find itself as it was: it is asked about the same instruction again */
		meter->is_paused = false;
		(void)turn_time(box);
		return;
	}
	lua_sethook(thread, count_hook, LUA_MASKCOUNT, hook_interval(meter)); /* a short turn is never looked at */
}

/* What has become more; less is nothing: then others' garbage was collected as well. */
static size_t growth(size_t before, size_t now)
{
	return now > before ? now - before : 0;
}

static void end_turn(bh_sandbox *box, bh_meter *meter, size_t before, unsigned collections)
{
	box->running = NULL;
	box->thread = NULL;
	meter->held = growth(before, meter->held + box->used);
	meter->fresh = box->collections == collections ? meter->fresh + growth(before, box->used)
						       : growth(box->live, box->used);
	meter->fresh = MIN(meter->fresh, meter->held);
	meter->collections = box->collections;
	if (box->timed)
		meter->time -= bh_clock_work() - box->turn_began;
}

int bh_sandbox_resume(bh_sandbox *box, lua_State *thread, bh_meter *meter, int arguments, int *ret_results)
{
	size_t before = box->used;
	unsigned collections = box->collections;

	begin_turn(box, thread, meter);
	int status = lua_resume(thread, box->lua, arguments, ret_results);
	if (status != LUA_OK && status != LUA_YIELD)
		note_memory_error(thread, meter, status);
	end_turn(box, meter, before, collections);
	return status;
}

/* "basic.lua:12", the innermost line of the script, or just its name. */
static char *find_place(lua_State *thread, const char *name)
{
	lua_Debug at;
	for (int level = 0; lua_getstack(thread, level, &at); level++)
		if (lua_getinfo(thread, "Sl", &at) && at.currentline > 0 && !strcmp(at.short_src, name))
			return g_strdup_printf("%s:%d", name, at.currentline);
	return g_strdup(name);
}

static char *stop_text(const bh_sandbox *box, bh_stop stop)
{
	switch (stop) {
	case BH_STOP_STEPS:
		return g_strdup("the script used up its instructions; does it loop for ever?");
	case BH_STOP_MEMORY:
		return g_strdup_printf(
			"the script needs too much memory; it may have %zu KiB, and no more than %zu KiB in one piece",
			box->memory_max / 1024, box->memory_max / BLOCKS_IN_MEMORY / 1024);
	case BH_STOP_TIME:
		return g_strdup("the script computed for too long");
	case BH_STOP_STRETCH:
		return g_strdup(
			"the script computed for too long without a pause; sort, match or replace less at once");
	case BH_STOP_ASKED:
	case BH_STOP_NONE:
		break;
	}
	g_assert_not_reached();
}

char *bh_sandbox_trouble(bh_sandbox *box, lua_State *thread, const bh_meter *meter, const char *name)
{
	g_autofree char *place = find_place(thread, name);

	if (meter->stop) {
		g_autofree char *why = stop_text(box, meter->stop);
		return g_strdup_printf("%s: %s", place, why);
	}
	if (lua_type(thread, -1) != LUA_TSTRING)
		return g_strdup_printf("%s: error() was called with a %s, not a text", place,
				       luaL_typename(thread, -1));

	const char *text = lua_tostring(thread, -1);
	size_t size = strlen(name);
	if (!strncmp(text, name, size) && text[size] == ':') /* Lua put the line in front */
		return g_strdup(text);
	return g_strdup_printf("%s: %s", place, text);
}
