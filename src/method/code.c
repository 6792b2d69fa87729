#include "method/code.h"

#include "base/error.h"
#include "base/hash.h"
#include "method/method_file.h"

#include <lauxlib.h>
#include <string.h>

#define OWN_SCRIPTS_MAX 256

const char *bh_stage_name(bh_script_stage stage)
{
	static const char *const names[] = {"the file", "accepts", "transform", "deliver"};
	return names[stage];
}

/* --- The functions of a file ------------------------------------------------------------------ */

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

/* Looks at the function for `stage` in the table at the top of `thread`. */
static void take_function(bh_script_code *code, lua_State *thread, bh_script_stage stage)
{
	lua_pushstring(thread, bh_stage_name(stage));
	if (lua_rawget(thread, -2) == LUA_TFUNCTION) {
		lua_Debug about;
		lua_pushvalue(thread, -1);
		lua_getinfo(thread, ">S", &about);
		code->has[stage] = true;
		code->lines[stage] = about.linedefined;
		code->is_fresh = code->is_fresh || !captures_nothing(thread);
		lua_pushvalue(thread, -1);
		lua_xmove(thread, code->box->lua, 1);
		code->functions[stage] = luaL_ref(code->box->lua, LUA_REGISTRYINDEX);
	}
	lua_pop(thread, 1);
}

static void forget_functions(bh_script_code *code)
{
	for (int stage = BH_STAGE_ACCEPTS; stage < BH_STAGES; stage++) {
		luaL_unref(code->box->lua, LUA_REGISTRYINDEX, code->functions[stage]);
		code->functions[stage] = LUA_NOREF;
	}
}

/* The chunk has run; what it returned is on the top of `thread`. */
static void take_functions(bh_script_code *code, lua_State *thread, bh_span source)
{
	g_autoptr(GError) error = NULL;

	if (!code->method && !bh_own_script_read(thread, source, &error)) {
		code->trouble = g_strdup(error->message);
		return;
	}
	if (lua_istable(thread, -1))
		for (bh_script_stage stage = BH_STAGE_ACCEPTS; stage < BH_STAGES; stage++)
			take_function(code, thread, stage);
	if (code->method && !code->has[BH_STAGE_DELIVER])
		code->trouble = g_strdup_printf("%s: 'deliver' is not a function", code->file);
	if (code->is_fresh)
		forget_functions(code); /* those of this time are nobody's */
}

static void run_chunk(bh_script_code *code, bh_span source)
{
	bh_meter meter = {.steps = code->method ? BH_METHOD_CHUNK_STEPS : BH_OWN_CHUNK_STEPS,
			  .memory = BH_METHOD_CHUNK_MEMORY,
			  .time = BH_SECOND};
	lua_State *lua = code->box->lua;
	int anchor, results = 0;

	lua_State *thread = bh_sandbox_thread(code->box, &anchor);
	lua_rawgeti(thread, LUA_REGISTRYINDEX, code->chunk);
	if (bh_sandbox_resume(code->box, thread, &meter, 0, &results) == LUA_OK) {
		lua_settop(thread, 1);
		take_functions(code, thread, source);
	} else {
		code->trouble = bh_sandbox_trouble(code->box, thread, &meter, code->file);
	}
	luaL_unref(lua, LUA_REGISTRYINDEX, anchor);
}

/* A method ran when it was loaded, and a script when it was saved, so this goes well; if not, each run says why not. */
static bh_script_code *compile(bh_sandbox *box, bh_method *method, const char *file, bh_span source)
{
	bh_script_code *code = g_new0(bh_script_code, 1);

	code->refs = 1;
	code->box = box;
	code->method = method ? bh_method_ref(method) : NULL;
	code->file = g_strdup(file);
	code->chunk = LUA_NOREF;
	for (int stage = 0; stage < BH_STAGES; stage++)
		code->functions[stage] = LUA_NOREF;
	if (bh_sandbox_compile(box, code->file, source.at ? source.at : "", source.size)) {
		code->chunk = luaL_ref(box->lua, LUA_REGISTRYINDEX);
		run_chunk(code, source);
	} else {
		const char *why = lua_tostring(box->lua, -1);
		code->trouble = g_str_has_prefix(why, file) ? g_strdup(why) : g_strdup_printf("%s: %s", file, why);
		lua_pop(box->lua, 1);
	}
	return code;
}

bh_script_code *bh_script_code_new(bh_sandbox *box, bh_method *method)
{
	g_autofree char *file = g_strconcat(method->name, ".lua", NULL);
	gsize size;
	const char *source = g_bytes_get_data(method->source, &size);

	return compile(box, method, file, (bh_span){source, size});
}

static bool refuse_script(GError **error, const char *why)
{
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "%.1000s", why);
	return false;
}

bool bh_script_check(bh_span source, GError **error)
{
	bh_sandbox box;

	if (source.size > BH_OWN_SCRIPT_MAX)
		return refuse_script(error, "script: the script is longer than 16 KiB");
	if (source.size && memchr(source.at, '\0', source.size))
		return refuse_script(error, "script: the script holds a zero byte");
	bh_sandbox_init(&box, BH_METHOD_CHUNK_MEMORY);
	bh_script_code *code = compile(&box, NULL, BH_OWN_SCRIPT_NAME, source);
	bool ok = !code->trouble || refuse_script(error, code->trouble);
	bh_script_code_unref(code);
	bh_sandbox_clear(&box);
	return ok;
}

bh_script_code *bh_script_code_ref(bh_script_code *code)
{
	code->refs++;
	return code;
}

void bh_script_code_unref(bh_script_code *code)
{
	if (!code || --code->refs > 0)
		return;
	forget_functions(code);
	luaL_unref(code->box->lua, LUA_REGISTRYINDEX, code->chunk);
	bh_method_unref(code->method);
	g_free(code->file);
	g_free(code->trouble);
	g_free(code);
}

/* --- Own scripts ------------------------------------------------------------------------------ */

typedef struct kept {
	char *text;
	bh_script_code *code;
	GList link; /* in `order` */
} kept;

struct bh_own_scripts {
	bh_sandbox *box;
	GHashTable *by_text; /* text -> kept */
	GQueue order; /* the one used last comes first */
};

static guint hash_text(gconstpointer text)
{
	return (guint)bh_hash(bh_span_of(text));
}

static void free_kept(gpointer data)
{
	kept *k = data;
	bh_script_code_unref(k->code);
	g_free(k->text);
	g_free(k);
}

bh_own_scripts *bh_own_scripts_new(bh_sandbox *box)
{
	bh_own_scripts *own = g_new0(bh_own_scripts, 1);

	own->box = box;
	own->by_text = g_hash_table_new_full(hash_text, g_str_equal, NULL, free_kept);
	g_queue_init(&own->order);
	return own;
}

void bh_own_scripts_free(bh_own_scripts *own)
{
	if (!own)
		return;
	g_hash_table_unref(own->by_text);
	g_free(own);
}

static kept *keep(bh_own_scripts *own, const char *text)
{
	if (own->order.length == OWN_SCRIPTS_MAX) {
		kept *oldest = own->order.tail->data;
		g_queue_unlink(&own->order, &oldest->link);
		g_hash_table_remove(own->by_text, oldest->text);
	}

	kept *k = g_new0(kept, 1);
	k->text = g_strdup(text);
	k->code = compile(own->box, NULL, BH_OWN_SCRIPT_NAME, bh_span_of(text));
	k->link.data = k;
	g_hash_table_insert(own->by_text, k->text, k);
	g_queue_push_head_link(&own->order, &k->link);
	return k;
}

bh_script_code *bh_own_scripts_get(bh_own_scripts *own, const char *text)
{
	kept *k = g_hash_table_lookup(own->by_text, text);

	if (!k) {
		k = keep(own, text);
	} else if (own->order.head != &k->link) {
		g_queue_unlink(&own->order, &k->link);
		g_queue_push_head_link(&own->order, &k->link);
	}
	return bh_script_code_ref(k->code);
}

size_t bh_own_scripts_count(const bh_own_scripts *own)
{
	return own->order.length;
}
