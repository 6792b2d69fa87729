/*
 * Runs of `deliver`, many at a time in one Lua state:
 *
 *   bh_script_new -> READY --resume--> the script runs ---> WAITING   it asked for a call
 *                                       ^                     |
 *                                       +------ resume -------+       with the answer
 *                                       |
 *                                       +---> FINISHED                it returned, or broke
 *
 * A run keeps nothing for the next one. A method whose `deliver` uses no local of its file has no place to keep
 * anything, and is called again and again; any other has its whole chunk run anew for each delivery, so that its locals
 * are fresh. The event is a table of its own; the settings are shared, and read-only.
 */
#include "base/error.h"
#include "method/method_file.h"
#include "method/script.h"
#include "method/settings_cache.h"

#include <lauxlib.h>
#include <string.h>

#define IDLE_MAX 256 /* finished runs that are kept for the next deliveries */
#define TEXT_MAX 1000 /* of a trouble or a reason */
#define COMPUTE_MAX (1 * BH_SECOND)

/* A method, compiled into this state. Runs and the table of the host hold references. */
struct bh_script_code {
	int refs;
	bh_sandbox *box;
	bh_method *method;
	char *file; /* "basic.lua" */
	int chunk; /* registry: the compiled file */
	int deliver; /* registry: the function, when it can be called again; else LUA_NOREF */
	int line; /* on which `deliver` begins */
	char *trouble; /* why the file did not run; NULL: it did */
};

struct bh_script_host {
	bh_sandbox box;
	bh_script_limits limits;
	bh_methods *methods; /* NULL: none yet */
	GHashTable *codes; /* name of the method -> bh_script_code */
	bh_settings_cache *settings;
	GPtrArray *idle; /* bh_script */
	int remote; /* registry */
};

/* --- Compiled methods ------------------------------------------------------------------------- */

static void code_unref(gpointer data)
{
	bh_script_code *code = data;
	if (!code || --code->refs > 0)
		return;
	luaL_unref(code->box->lua, LUA_REGISTRYINDEX, code->chunk);
	luaL_unref(code->box->lua, LUA_REGISTRYINDEX, code->deliver);
	bh_method_unref(code->method);
	g_free(code->file);
	g_free(code->trouble);
	g_free(code);
}

/* Has the function at the top nothing but the read-only globals around it? */
static bool captures_nothing(lua_State *lua)
{
	const char *name;
	bool nothing = true;

	for (int i = 1; (name = lua_getupvalue(lua, -1, i)) != NULL; i++) {
		nothing = nothing && !strcmp(name, "_ENV");
		lua_pop(lua, 1);
	}
	return nothing;
}

/* Looks at `deliver` in the table that the chunk returned to the top of `thread`. */
static void take_deliver(bh_script_code *code, lua_State *thread)
{
	if (lua_istable(thread, -1)) {
		lua_pushliteral(thread, "deliver");
		lua_rawget(thread, -2);
	}
	if (!lua_isfunction(thread, -1) || lua_iscfunction(thread, -1)) {
		code->trouble = g_strdup_printf("%s: 'deliver' is not a function", code->file);
		return;
	}

	lua_Debug about;
	lua_pushvalue(thread, -1);
	lua_getinfo(thread, ">S", &about);
	code->line = about.linedefined;
	if (!captures_nothing(thread))
		return;
	lua_xmove(thread, code->box->lua, 1);
	code->deliver = luaL_ref(code->box->lua, LUA_REGISTRYINDEX);
}

/* The file ran when it was loaded, so this goes well; if not, each delivery says why not. */
static void run_chunk(bh_script_code *code)
{
	bh_meter meter = {.steps = BH_METHOD_CHUNK_STEPS, .memory = BH_METHOD_CHUNK_MEMORY, .time = BH_SECOND};
	lua_State *lua = code->box->lua;
	int anchor, results = 0;

	lua_State *thread = bh_sandbox_thread(code->box, &anchor);
	lua_rawgeti(thread, LUA_REGISTRYINDEX, code->chunk);
	if (bh_sandbox_resume(code->box, thread, &meter, 0, &results) == LUA_OK) {
		lua_settop(thread, 1);
		take_deliver(code, thread);
	} else {
		code->trouble = bh_sandbox_trouble(code->box, thread, &meter, code->file);
	}
	luaL_unref(lua, LUA_REGISTRYINDEX, anchor);
}

static bh_script_code *code_new(bh_sandbox *box, bh_method *method)
{
	bh_script_code *code = g_new0(bh_script_code, 1);
	gsize size;
	const char *source = g_bytes_get_data(method->source, &size);

	code->refs = 1;
	code->box = box;
	code->method = bh_method_ref(method);
	code->file = g_strconcat(method->name, ".lua", NULL);
	code->chunk = code->deliver = LUA_NOREF;
	if (bh_sandbox_compile(box, code->file, source ? source : "", size)) {
		code->chunk = luaL_ref(box->lua, LUA_REGISTRYINDEX);
		run_chunk(code);
	} else {
		code->trouble = g_strdup(lua_tostring(box->lua, -1));
		lua_pop(box->lua, 1);
	}
	return code;
}

/* The codes of `methods`; what has not changed since is taken over. */
static GHashTable *make_codes(bh_script_host *h, bh_methods *methods)
{
	GHashTable *codes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, code_unref);
	g_autoptr(GPtrArray) list = bh_methods_list(methods);

	for (guint i = 0; i < list->len; i++) {
		bh_method *method = g_ptr_array_index(list, i);
		bh_script_code *code = g_hash_table_lookup(h->codes, method->name);
		if (code && code->method == method)
			code->refs++;
		else
			code = code_new(&h->box, method);
		g_hash_table_insert(codes, method->name, code);
	}
	return codes;
}

/* --- The host --------------------------------------------------------------------------------- */

static void destroy_script(bh_script *s);

static void destroy_idle(gpointer script)
{
	destroy_script(script);
}

bh_script_host *bh_script_host_new(const bh_script_limits *limits, const bh_sealer *sealer)
{
	bh_script_host *h = g_new0(bh_script_host, 1);

	h->limits = *limits;
	bh_sandbox_init(&h->box, limits->memory_max);
	bh_remote_push(h->box.lua);
	h->remote = luaL_ref(h->box.lua, LUA_REGISTRYINDEX);
	h->codes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, code_unref);
	h->settings = bh_settings_cache_new(&h->box, sealer);
	h->idle = g_ptr_array_new_with_free_func(destroy_idle);
	return h;
}

void bh_script_host_free(bh_script_host *h)
{
	if (!h)
		return;
	g_ptr_array_unref(h->idle);
	bh_settings_cache_free(h->settings);
	g_hash_table_unref(h->codes);
	bh_methods_unref(h->methods);
	bh_sandbox_clear(&h->box);
	g_free(h);
}

void bh_script_host_use(bh_script_host *h, bh_methods *methods)
{
	GHashTable *codes = make_codes(h, methods);

	g_hash_table_unref(h->codes);
	h->codes = codes;
	bh_methods_ref(methods);
	bh_methods_unref(h->methods);
	h->methods = methods;
	bh_settings_cache_flush(h->settings);
	bh_sandbox_tidy(&h->box, NULL);
}

/* --- What a run may say ----------------------------------------------------------------------- */

/* How many bytes at `text` are a word after which credentials follow, whatever they were made of. */
static size_t scheme_at(const char *text)
{
	static const char *const schemes[] = {"Basic ", "Bearer "};

	for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++)
		if (g_str_has_prefix(text, schemes[i]))
			return strlen(schemes[i]);
	return 0;
}

/* Copies `raw` as far as it may be shown: passwords and credentials become ***, and TEXT_MAX ends it. */
static GString *redact(const bh_script *s, const char *raw)
{
	GString *text = g_string_new(NULL);

	while (*raw && text->len < TEXT_MAX) {
		size_t hidden = bh_script_settings_password_at(s->settings, raw), shown = 0;
		if (!hidden) {
			shown = scheme_at(raw);
			hidden = shown ? strcspn(raw + shown, " \t\r\n\"',;") : 0;
			shown = shown ? shown : 1;
		}
		g_string_append_len(text, raw, (gssize)shown);
		if (hidden)
			g_string_append(text, "***");
		raw += shown + hidden;
	}
	return text;
}

/* What a script says, fit for a record: no passwords, valid, one line, of a bounded length. */
static char *fit_text(const bh_script *s, char *raw)
{
	g_autoptr(GString) text = redact(s, raw);
	bh_text_wipe(raw);

	char *fit = g_utf8_make_valid(text->str, (gssize)text->len);
	for (char *c = fit; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
	return fit;
}

/* --- A run begins ----------------------------------------------------------------------------- */

static bh_script *create_script(bh_script_host *h)
{
	bh_script *s = g_new0(bh_script, 1);

	s->host = h;
	s->thread = bh_sandbox_thread(&h->box, &s->anchor);
	lua_pushboolean(h->box.lua, false);
	s->answer_slot = luaL_ref(h->box.lua, LUA_REGISTRYINDEX);
	bh_script_set_run(s->thread, s);
	return s;
}

static void destroy_script(bh_script *s)
{
	luaL_unref(s->host->box.lua, LUA_REGISTRYINDEX, s->answer_slot);
	luaL_unref(s->host->box.lua, LUA_REGISTRYINDEX, s->anchor);
	g_free(s);
}

static bh_script *take_script(bh_script_host *h)
{
	return h->idle->len > 0 ? g_ptr_array_steal_index(h->idle, h->idle->len - 1) : create_script(h);
}

static void set_text(lua_State *lua, const char *name, const char *text)
{
	if (!text)
		return;
	lua_pushstring(lua, text);
	lua_setfield(lua, -2, name);
}

static void push_event(lua_State *lua, const bh_script_event *event)
{
	char when[BH_TIME_TEXT_SIZE];
	gsize size;
	const char *body = g_bytes_get_data(event->body, &size);

	lua_createtable(lua, 0, 7);
	set_text(lua, "id", event->id);
	set_text(lua, "type", event->type);
	set_text(lua, "property_id", event->property_id);
	set_text(lua, "manager_id", event->manager_id);
	set_text(lua, "occurred_at", bh_time_text(event->occurred_at, when));
	lua_pushlstring(lua, size ? body : "", size);
	lua_setfield(lua, -2, "body");
	lua_pushinteger(lua, event->attempt);
	lua_setfield(lua, -2, "attempt");
}

/* What `deliver` returned is what this run returns, also when it had waited in between. */
static int finish_fresh(lua_State *lua, int status, lua_KContext context)
{
	return lua_gettop(lua);
}

/* Arguments: chunk, event, settings, remote. Runs the chunk, and then the `deliver` of its table. */
static int deliver_fresh(lua_State *lua)
{
	lua_pushvalue(lua, 1);
	lua_call(lua, 0, 1);
	if (!lua_istable(lua, -1))
		return luaL_error(lua, "the file returned no table");
	lua_pushliteral(lua, "deliver");
	lua_rawget(lua, -2);
	lua_replace(lua, 1);
	lua_settop(lua, 4);
	lua_callk(lua, 3, 1, 0, finish_fresh);
	return finish_fresh(lua, LUA_OK, 0);
}

/* Puts function and arguments on the run's stack. */
static void prepare(bh_script *s, const bh_script_event *event)
{
	bh_script_host *h = s->host;
	size_t before = h->box.used;

	if (s->code->deliver != LUA_NOREF) {
		lua_rawgeti(s->thread, LUA_REGISTRYINDEX, s->code->deliver);
		s->arguments = 3;
	} else {
		lua_pushcfunction(s->thread, deliver_fresh);
		lua_rawgeti(s->thread, LUA_REGISTRYINDEX, s->code->chunk);
		s->arguments = 4;
	}
	push_event(s->thread, event);
	lua_rawgeti(s->thread, LUA_REGISTRYINDEX, s->settings->view);
	lua_rawgeti(s->thread, LUA_REGISTRYINDEX, h->remote);

	s->meter = (bh_meter){
		.steps = (int64_t)MIN(h->limits.instructions_max, (uint64_t)INT64_MAX),
		.memory = h->limits.memory_max - MIN(h->limits.memory_max, h->box.used - before),
		.time = COMPUTE_MAX,
	};
}

bh_script *bh_script_new(bh_script_host *h, const bh_script_job *job, GError **error)
{
	bh_script_code *code = g_hash_table_lookup(h->codes, job->method);
	if (!code) {
		g_set_error(error, BH_ERROR, BH_ERROR_NOT_FOUND, "there is no method \"%.100s\"", job->method);
		return NULL;
	}
	bh_script_settings *opened = bh_settings_cache_get(h->settings, code->method, job->settings, error);
	if (!opened) {
		g_prefix_error(error, "settings of method \"%s\": ", job->method);
		return NULL;
	}

	bh_script *s = take_script(h);
	code->refs++;
	s->code = code;
	s->settings = opened;
	s->state = BH_SCRIPT_STATE_READY;
	s->calls = 0;
	s->calls_max = h->limits.calls_max;
	s->answer = NULL;
	s->answer_table = NULL;
	s->user = job->user;
	s->body = g_bytes_ref(job->event->body);
	if (code->trouble)
		s->trouble = fit_text(s, g_strdup(code->trouble));
	else
		prepare(s, job->event);
	return s;
}

/* --- A run ends ------------------------------------------------------------------------------- */

static bh_script_turn broke(bh_script *s, char *trouble)
{
	s->state = BH_SCRIPT_STATE_FINISHED;
	s->trouble = fit_text(s, trouble);
	return BH_SCRIPT_BROKE;
}

static bh_script_turn returned(bh_script *s)
{
	g_autofree char *what = NULL;

	lua_settop(s->thread, 1); /* the first result, or nil */
	if (bh_remote_judge(s, 1, &what)) {
		s->state = BH_SCRIPT_STATE_FINISHED;
		if (s->judged.why)
			s->judged.why = fit_text(s, s->judged.why);
		return BH_SCRIPT_RETURNED;
	}
	return broke(s,
		     g_strdup_printf(
			     "%s:%d: deliver returned %s, not the answer of its last call, nor what remote.delivered, "
			     "remote.retry or remote.fail returns",
			     s->code->file, s->code->line, what));
}

bh_script_turn bh_script_resume(bh_script *s, const bh_answer *answer, bh_request *ret_call)
{
	bh_script_host *h = s->host;
	int results = 0, arguments = s->state == BH_SCRIPT_STATE_READY ? s->arguments : 0;

	g_assert(s->state != BH_SCRIPT_STATE_FINISHED);
	g_assert((s->state == BH_SCRIPT_STATE_WAITING) == (answer != NULL));
	if (s->trouble) {
		s->state = BH_SCRIPT_STATE_FINISHED;
		return BH_SCRIPT_BROKE; /* the file itself does not run */
	}

	s->answer = answer;
	int status = bh_sandbox_resume(&h->box, s->thread, &s->meter, arguments, &results);
	s->answer = NULL;

	if (s->meter.stop || (status != LUA_OK && status != LUA_YIELD))
		return broke(s, bh_sandbox_trouble(&h->box, s->thread, &s->meter, s->code->file));
	if (status == LUA_OK)
		return returned(s);
	s->state = BH_SCRIPT_STATE_WAITING;
	*ret_call = s->call;
	return BH_SCRIPT_CALLS;
}

const bh_script_judgement *bh_script_judged(const bh_script *s)
{
	return &s->judged;
}

void bh_script_each_password(const bh_script *s, void (*each)(void *user, bh_span password), void *user)
{
	bh_script_settings_each_password(s->settings, each, user);
}

const char *bh_script_trouble(const bh_script *s)
{
	return s->trouble;
}

void bh_script_free(bh_script *s)
{
	if (!s)
		return;

	bh_script_host *h = s->host;
	bh_meter ended = s->meter;
	bool clean = s->state == BH_SCRIPT_STATE_FINISHED && !s->trouble;
	g_clear_pointer(&s->judged.why, g_free);
	g_clear_pointer(&s->body, g_bytes_unref);
	g_clear_pointer(&s->trouble, g_free);
	g_clear_pointer(&s->code, code_unref);
	g_clear_pointer(&s->settings, bh_script_settings_unref);

	if (clean && h->idle->len < IDLE_MAX) {
		lua_settop(s->thread, 0);
		lua_pushboolean(h->box.lua, false);
		lua_rawseti(h->box.lua, LUA_REGISTRYINDEX, s->answer_slot);
		g_ptr_array_add(h->idle, s);
	} else {
		destroy_script(s); /* a coroutine that was left in the middle is not used again */
	}
	bh_sandbox_tidy(&h->box, &ended);
}

GBytes *bh_script_body(const bh_script *s)
{
	return s->body;
}

void *bh_script_user(const bh_script *s)
{
	return s->user;
}

bh_call_kind bh_script_call_kind(const bh_script *s)
{
	return s->call_kind;
}

bh_script *bh_script_host_next(bh_script_host *h)
{
	return NULL;
}

bool bh_script_host_has_next(const bh_script_host *h)
{
	return false;
}

bool bh_script_host_filters(bh_script_host *h, const char *method, const char *script)
{
	return false;
}

void bh_script_host_lookup(bh_script_host *h, const bh_lookup_config *config) {}

void bh_script_host_now(bh_script_host *h, bh_now now) {}
