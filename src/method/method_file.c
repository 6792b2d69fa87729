#include "method/method_file.h"

#include "base/error.h"
#include "method/code.h"
#include "method/reading.h"
#include "method/sandbox.h"

#include <lauxlib.h>
#include <string.h>

#define FIELDS_MAX 64

typedef struct counted_method {
	bh_method method; /* first: a bh_method * is one of these */
	int refs;
} counted_method;

/* --- The method ------------------------------------------------------------------------------- */

static bool read_fields(bh_reading *r)
{
	if (bh_reading_member(r, "fields") == LUA_TNIL)
		return bh_reading_refuse(r, "return", "the method has no 'fields'");
	if (!bh_reading_check_list(r, "fields", "fields", FIELDS_MAX))
		return false;

	int count = (int)lua_rawlen(r->lua, -1);
	for (int i = 1; i <= count; i++) {
		lua_rawgeti(r->lua, -1, i);
		if (!bh_reading_field(r, i))
			return false;
		lua_pop(r->lua, 1);
	}
	lua_pop(r->lua, 1);
	return true;
}

/* The version of the interface that the file was written for; 1 if it does not say. */
static bool read_interface(bh_reading *r, int *ret_interface)
{
	int type = bh_reading_member(r, "interface");
	lua_Integer wanted = lua_isinteger(r->lua, -1) ? lua_tointeger(r->lua, -1) : 0;

	if (type == LUA_TNIL)
		wanted = 1;
	if (wanted < 1)
		return bh_reading_refuse(r, "interface", "'interface' must be a whole number, 1 or more");
	if (wanted > BH_METHOD_INTERFACE)
		return bh_reading_refuse(r, "interface",
					 "wants interface %" G_GINT64_FORMAT
					 "; this Bellhop speaks %d: a newer Bellhop is needed",
					 (gint64)wanted, BH_METHOD_INTERFACE);
	*ret_interface = (int)wanted;
	lua_pop(r->lua, 1);
	return true;
}

/* A function that the file may have. */
static bool read_function(bh_reading *r, const char *name, bool *ret_has)
{
	*ret_has = bh_reading_member(r, name) != LUA_TNIL;
	if (*ret_has && (!lua_isfunction(r->lua, -1) || lua_iscfunction(r->lua, -1)))
		return bh_reading_refuse(r, name, "'%s' must be a function", name);
	lua_pop(r->lua, 1);
	return true;
}

static bool read_functions(bh_reading *r)
{
	bool has_deliver = false;

	if (!read_function(r, "accepts", &r->method->has_accepts) ||
	    !read_function(r, "transform", &r->method->has_transform) || !read_function(r, "deliver", &has_deliver))
		return false;
	return has_deliver || bh_reading_refuse(r, "return", "the method has no 'deliver'");
}

/* The table on the top becomes the form. */
static bool read_table(bh_reading *r)
{
	static const char *const members[] = {"interface", "title",     "notes",   "fields",
					      "accepts",   "transform", "deliver", NULL};

	if (lua_type(r->lua, -1) != LUA_TTABLE)
		return bh_reading_refuse(r, NULL,
					 "the file must end in `return { title = ..., fields = ..., deliver = ... }`");
	return read_interface(r, &r->method->interface) && bh_reading_check_members(r, members, "the method") &&
	       bh_reading_need_text(r, NULL, "title", BH_READING_TITLE_MAX, &r->method->title) &&
	       bh_reading_text(r, NULL, "notes", BH_READING_HELP_MAX, &r->method->notes) && read_fields(r) &&
	       read_functions(r);
}

/* --- A webhook's own script ------------------------------------------------------------------- */

bool bh_own_script_read(lua_State *lua, bh_span source, GError **error)
{
	static const char *const members[] = {"interface", "accepts", "transform", NULL};
	bh_reading r = {.lua = lua, .file = BH_OWN_SCRIPT_NAME, .source = source, .error = error};
	bool has_accepts = false, has_transform = false;
	int interface;

	if (lua_type(lua, -1) != LUA_TTABLE)
		return bh_reading_refuse(&r, NULL,
					 "the script must end in `return { accepts = ..., transform = ... }`");
	if (!read_interface(&r, &interface) || !bh_reading_check_members(&r, members, "the script") ||
	    !read_function(&r, "accepts", &has_accepts) || !read_function(&r, "transform", &has_transform))
		return false;
	return has_accepts || has_transform ||
	       bh_reading_refuse(&r, "return", "the script has neither 'accepts' nor 'transform'");
}

/* --- Reading ------------------------------------------------------------------------------------ */

/* Runs the compiled chunk on the top of the sandbox's stack; its first result is on the top of r->lua then. */
static bool run_chunk(bh_reading *r, bh_sandbox *box)
{
	bh_meter meter = {.steps = BH_METHOD_CHUNK_STEPS, .memory = BH_METHOD_CHUNK_MEMORY, .time = BH_SECOND};
	int anchor, results = 0;

	r->lua = bh_sandbox_thread(box, &anchor);
	lua_xmove(box->lua, r->lua, 1);
	if (bh_sandbox_resume(box, r->lua, &meter, 0, &results) != LUA_OK) {
		g_autofree char *trouble = bh_sandbox_trouble(box, r->lua, &meter, r->file);
		g_set_error(r->error, BH_ERROR, BH_ERROR_INVALID, "%.1000s", trouble);
		return false;
	}
	lua_settop(r->lua, 1); /* a chunk without `return` left nothing: nil */
	return true;
}

static bool read_source(bh_reading *r, bh_sandbox *box)
{
	if (!bh_sandbox_compile(box, r->file, r->source.at ? r->source.at : "", r->source.size)) {
		const char *why = lua_tostring(box->lua, -1);
		if (!g_str_has_prefix(why, r->file)) /* it is no text at all */
			return bh_reading_refuse(r, NULL, "%.1000s", why);
		g_set_error(r->error, BH_ERROR, BH_ERROR_INVALID, "%.1000s", why);
		return false;
	}
	return run_chunk(r, box) && read_table(r);
}

static void free_field(gpointer field)
{
	bh_field_free(field);
}

bh_method *bh_method_read(const char *name, const char *path, GBytes *source, GError **error)
{
	g_autofree char *file = g_strconcat(name, ".lua", NULL);
	counted_method *counted = g_new0(counted_method, 1);
	g_autoptr(bh_method) method = &counted->method;
	bh_reading r = {.method = method, .file = file, .error = error};
	r.source.at = g_bytes_get_data(source, &r.source.size);
	bh_sandbox box;

	counted->refs = 1;
	method->name = g_strdup(name);
	method->path = g_strdup(path);
	method->source = g_bytes_ref(source);
	method->fields = g_ptr_array_new_with_free_func(free_field);

	bh_sandbox_init(&box, BH_METHOD_CHUNK_MEMORY);
	bool ok = read_source(&r, &box);
	bh_sandbox_clear(&box);
	return ok ? g_steal_pointer(&method) : NULL;
}

static counted_method *counted_of(bh_method *method)
{
	return (counted_method *)method;
}

bh_method *bh_method_ref(bh_method *method)
{
	g_atomic_int_inc(&counted_of(method)->refs);
	return method;
}

void bh_method_unref(bh_method *method)
{
	if (!method || !g_atomic_int_dec_and_test(&counted_of(method)->refs))
		return;
	g_free(method->name);
	g_free(method->title);
	g_free(method->notes);
	g_free(method->path);
	g_ptr_array_unref(method->fields);
	g_bytes_unref(method->source);
	g_free(counted_of(method));
}
