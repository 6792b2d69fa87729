#include "method/method_file.h"

#include "base/error.h"
#include "method/code.h"
#include "method/field.h"
#include "method/forms.h"
#include "method/sandbox.h"

#include <lauxlib.h>
#include <string.h>

#define TITLE_MAX 200
#define HELP_MAX 4096
#define FIELDS_MAX 64
#define OPTIONS_MAX 200
#define KEY_MAX 64
#define PATTERN_MAX 400

typedef struct counted_method {
	bh_method method; /* first: a bh_method * is one of these */
	int refs;
} counted_method;

/* Reading the table that a chunk returned. It is a stranger's: every access is raw, every text has a limit. */
typedef struct reading {
	lua_State *lua;
	bh_method *method; /* NULL: a webhook's own script */
	const char *file; /* "basic.lua" */
	bh_span source;
	GError **error;
} reading;

/* --- Saying what is wrong, and where ---------------------------------------------------------- */

static bool is_word_byte(char c)
{
	return g_ascii_isalnum(c) || c == '_';
}

/* The line on which `word` stands first as a whole word; 0: nowhere. A comment may fool it: it is a help, no proof. */
static unsigned line_of(bh_span source, const char *word)
{
	const char *text = source.at, *end = text + source.size;
	unsigned line = 1;

	for (const char *at = text, *c = text; (at = memmem(at, (size_t)(end - at), word, strlen(word))) != NULL;
	     at++) {
		const char *after = at + strlen(word);
		for (; c < at; c++)
			line += *c == '\n';
		if ((at == text || !is_word_byte(at[-1])) && (after == end || !is_word_byte(*after)))
			return line;
	}
	return 0;
}

static bool G_GNUC_PRINTF(3, 4) refuse(reading *r, const char *word, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	g_autofree char *why = g_strdup_vprintf(format, arguments);
	va_end(arguments);

	unsigned line = word && *word ? line_of(r->source, word) : 0;
	if (line)
		g_set_error(r->error, BH_ERROR, BH_ERROR_INVALID, "%s:%u: %s", r->file, line, why);
	else
		g_set_error(r->error, BH_ERROR, BH_ERROR_INVALID, "%s: %s", r->file, why);
	return false;
}

/* --- Members of a table ----------------------------------------------------------------------- */

/* Pushes member `name` of the table at the top and returns its type. */
static int push_member(reading *r, const char *name)
{
	lua_pushstring(r->lua, name);
	return lua_rawget(r->lua, -2);
}

static bool check_members(reading *r, const char *const *known, const char *what)
{
	lua_pushnil(r->lua);
	while (lua_next(r->lua, -2)) {
		lua_pop(r->lua, 1);
		if (lua_type(r->lua, -1) != LUA_TSTRING)
			return refuse(r, NULL, "%s has a member that is not named by a text", what);
		const char *name = lua_tostring(r->lua, -1);
		if (!g_strv_contains(known, name))
			return refuse(r, name, "%s has an unknown member '%.60s'", what, name);
	}
	return true;
}

/* An optional text. *ret_text stays NULL when there is none. `where` is the field's key, or NULL. */
static bool read_text(reading *r, const char *where, const char *name, size_t most, char **ret_text)
{
	size_t size;
	int type = push_member(r, name);

	if (type == LUA_TNIL) {
		lua_pop(r->lua, 1);
		return true;
	}
	if (type != LUA_TSTRING)
		return refuse(r, where ? where : name, "'%s' must be text, not a %s", name, lua_typename(r->lua, type));
	const char *text = lua_tolstring(r->lua, -1, &size);
	if (size == 0 || size > most)
		return refuse(r, where ? where : name, "'%s' must be 1 to %zu bytes long", name, most);
	if (!g_utf8_validate_len(text, size, NULL))
		return refuse(r, where ? where : name, "'%s' must be UTF-8 without zero bytes", name);
	*ret_text = g_strndup(text, size);
	lua_pop(r->lua, 1);
	return true;
}

static bool need_text(reading *r, const char *where, const char *name, size_t most, char **ret_text)
{
	if (!read_text(r, where, name, most, ret_text))
		return false;
	if (*ret_text)
		return true;
	if (where)
		return refuse(r, where, "field '%s' has no '%s'", where, name);
	return refuse(r, "return", "the method has no '%s'", name);
}

/* Checks that the value on the top is a list: nothing but 1, 2, 3 ... */
static bool check_list(reading *r, const char *where, const char *name, lua_Unsigned most)
{
	lua_Unsigned count = 0;

	if (lua_type(r->lua, -1) != LUA_TTABLE)
		return refuse(r, where, "'%s' must be a list", name);
	for (lua_pushnil(r->lua); lua_next(r->lua, -2); lua_pop(r->lua, 1))
		count++;
	if (count != lua_rawlen(r->lua, -1))
		return refuse(r, where, "'%s' must be a list, without names or gaps", name);
	if (count > most)
		return refuse(r, where, "'%s' has more than %d entries", name, (int)most);
	return true;
}

/* --- One field -------------------------------------------------------------------------------- */

static bool read_key(reading *r, int number, char **ret_key)
{
	if (!read_text(r, "fields", "key", KEY_MAX, ret_key))
		return false;
	if (!*ret_key)
		return refuse(r, "fields", "field %d has no 'key'", number);
	if (g_ascii_islower(**ret_key) && strspn(*ret_key, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(*ret_key))
		return true;
	return refuse(r, *ret_key, "the key '%s' must be a-z, 0-9 and _, a letter first", *ret_key);
}

static bool read_format(reading *r, bh_field *field)
{
	g_autofree char *name = NULL;

	if (!need_text(r, field->key, "format", KEY_MAX, &name))
		return false;
	for (bh_field_format f = BH_FIELD_URL; f <= BH_FIELD_NOTES; f++) {
		if (!strcmp(name, bh_field_format_name(f))) {
			field->format = f;
			return true;
		}
	}
	return refuse(r, name, "field '%s' has the unknown format '%s'", field->key, name);
}

static bool read_flag(reading *r, const bh_field *field, const char *name, bool *ret)
{
	int type = push_member(r, name);
	if (type != LUA_TNIL && type != LUA_TBOOLEAN)
		return refuse(r, field->key, "'%s' of field '%s' must be true or false", name, field->key);
	*ret = lua_toboolean(r->lua, -1);
	lua_pop(r->lua, 1);
	return true;
}

/* The list on the top as texts, all different. */
static bool read_option_list(reading *r, const bh_field *field, GPtrArray *options)
{
	for (lua_Integer i = 1; lua_rawgeti(r->lua, -1, i) != LUA_TNIL; i++) {
		size_t size;
		const char *text = lua_type(r->lua, -1) == LUA_TSTRING ? lua_tolstring(r->lua, -1, &size) : NULL;
		if (!text || size == 0 || size > TITLE_MAX || !g_utf8_validate_len(text, size, NULL))
			return refuse(r, field->key, "each option of field '%s' must be a short text", field->key);
		if (g_ptr_array_find_with_equal_func(options, text, g_str_equal, NULL))
			return refuse(r, field->key, "field '%s' has the option '%s' twice", field->key, text);
		g_ptr_array_add(options, g_strdup(text));
		lua_pop(r->lua, 1);
	}
	lua_pop(r->lua, 1);
	return true;
}

static bool read_options(reading *r, bh_field *field)
{
	bool wanted = field->format == BH_FIELD_SELECT;
	bool given = push_member(r, "options") != LUA_TNIL;

	if (given != wanted)
		return refuse(r, field->key,
			      wanted ? "field '%s' has no 'options'" : "field '%s' is no select and has 'options'",
			      field->key);
	if (given) {
		g_autoptr(GPtrArray) options = g_ptr_array_new_with_free_func(g_free);
		if (!check_list(r, field->key, "options", OPTIONS_MAX) || !read_option_list(r, field, options))
			return false;
		if (options->len == 0)
			return refuse(r, field->key, "field '%s' has no 'options'", field->key);
		g_ptr_array_add(options, NULL);
		field->options = (char **)g_ptr_array_free(g_steal_pointer(&options), FALSE);
	}
	lua_pop(r->lua, 1);
	return true;
}

/* The Lua value on the top as JSON; NULL: a kind of value that no field has. */
static char *to_json(lua_State *lua)
{
	switch (lua_type(lua, -1)) {
	case LUA_TBOOLEAN:
		return g_strdup(lua_toboolean(lua, -1) ? "true" : "false");
	case LUA_TNUMBER:
		return lua_isinteger(lua, -1) ? g_strdup_printf("%" G_GINT64_FORMAT, (gint64)lua_tointeger(lua, -1))
					      : NULL;
	case LUA_TSTRING: {
		bh_span text;
		text.at = lua_tolstring(lua, -1, &text.size);
		GString *json = g_string_new(NULL);
		bh_json_append_string(json, text);
		return g_string_free(json, FALSE);
	}
	default:
		return NULL;
	}
}

static bool read_default(reading *r, bh_field *field)
{
	g_autoptr(GError) why = NULL;

	if (push_member(r, "default") != LUA_TNIL) {
		if (field->format == BH_FIELD_PASSWORD)
			return refuse(r, field->key, "a password has no default (field '%s')", field->key);
		field->default_json = to_json(r->lua);
		if (!field->default_json)
			return refuse(r, field->key,
				      "'default' of field '%s' must be text, a whole number, true or false",
				      field->key);
		if (!bh_field_check(field, bh_span_of(field->default_json), &why))
			return refuse(r, field->key, "the default does not fit: %s", why->message);
	}
	lua_pop(r->lua, 1);
	return true;
}

/* An optional whole number. */
static bool read_bound(reading *r, const bh_field *field, const char *name, bool *ret_has, int64_t *ret)
{
	*ret_has = push_member(r, name) != LUA_TNIL;
	if (*ret_has && !lua_isinteger(r->lua, -1))
		return refuse(r, field->key, "'%s' of field '%s' must be a whole number", name, field->key);
	*ret = lua_tointeger(r->lua, -1);
	lua_pop(r->lua, 1);
	return true;
}

static bool read_range(reading *r, bh_field *field)
{
	if (!read_bound(r, field, "min", &field->has_min, &field->min) ||
	    !read_bound(r, field, "max", &field->has_max, &field->max))
		return false;
	if ((field->has_min || field->has_max) && field->format != BH_FIELD_INTEGER)
		return refuse(r, field->key, "field '%s' is no integer and has 'min' or 'max'", field->key);
	if (field->has_min && field->has_max && field->min > field->max)
		return refuse(r, field->key, "'min' of field '%s' is larger than its 'max'", field->key);
	return true;
}

static bool is_free_text(const bh_field *field)
{
	return field->format == BH_FIELD_URL || field->format == BH_FIELD_INPUT || field->format == BH_FIELD_PASSWORD ||
	       field->format == BH_FIELD_AREA || field->format == BH_FIELD_HTML;
}

static bool read_pattern(reading *r, bh_field *field)
{
	g_autoptr(GError) why = NULL;

	if (!read_text(r, field->key, "pattern", PATTERN_MAX, &field->pattern) ||
	    !read_text(r, field->key, "hint", HELP_MAX, &field->hint) || !read_flag(r, field, "trim", &field->trim))
		return false;
	if ((field->pattern || field->trim) && !is_free_text(field))
		return refuse(r, field->key, "field '%s' is no text and has '%s'", field->key,
			      field->pattern ? "pattern" : "trim");
	if (field->pattern && !bh_pattern_check(field->pattern, &why))
		return refuse(r, field->key, "'pattern' of field '%s': %s", field->key, why->message);
	return true;
}

static const bh_field *earlier_field(const reading *r, const char *key)
{
	for (guint i = 0; i + 1 < r->method->fields->len; i++) {
		const bh_field *other = g_ptr_array_index(r->method->fields, i);
		if (!strcmp(other->key, key))
			return other;
	}
	return NULL;
}

/* The text, number or boolean on the top as conditions write it; NULL: something else. */
static char *condition_value(lua_State *lua)
{
	if (lua_type(lua, -1) == LUA_TSTRING)
		return g_strdup(lua_tostring(lua, -1));
	return to_json(lua);
}

/* Appends the value on the top, which the other field must be able to have. */
static bool read_when_value(reading *r, const bh_field *field, const bh_field *other, GPtrArray *values)
{
	char *value = condition_value(r->lua);
	if (!value)
		return refuse(r, field->key, "'is' in the 'when' of field '%s' must be a text, or a list of texts",
			      field->key);
	g_ptr_array_add(values, value);
	return bh_field_may_be(other, value) ||
	       refuse(r, field->key, "the 'when' of field '%s' asks for '%.60s', which field '%s' can never be",
		      field->key, value, other->key);
}

static bool read_when_values(reading *r, bh_field *field, const bh_field *other)
{
	g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);

	if (push_member(r, "is") != LUA_TTABLE) {
		if (!read_when_value(r, field, other, values))
			return false;
	} else {
		if (!check_list(r, field->key, "is", OPTIONS_MAX))
			return false;
		for (lua_Integer i = 1; lua_rawgeti(r->lua, -1, i) != LUA_TNIL; i++) {
			if (!read_when_value(r, field, other, values))
				return false;
			lua_pop(r->lua, 1);
		}
		lua_pop(r->lua, 1);
		if (values->len == 0)
			return refuse(r, field->key, "'is' in the 'when' of field '%s' is empty", field->key);
	}
	lua_pop(r->lua, 1);
	g_ptr_array_add(values, NULL);
	field->when_values = (char **)g_ptr_array_free(g_steal_pointer(&values), FALSE);
	return true;
}

/* The field asked about stands earlier, so that no two conditions wait for each other. */
static bool read_when(reading *r, bh_field *field)
{
	static const char *const members[] = {"field", "is", NULL};
	int type = push_member(r, "when");

	if (type != LUA_TNIL) {
		if (type != LUA_TTABLE)
			return refuse(r, field->key,
				      "'when' of field '%s' must be a table: { field = \"...\", is = \"...\" }",
				      field->key);
		if (!check_members(r, members, "'when'") ||
		    !need_text(r, field->key, "field", KEY_MAX, &field->when_field))
			return false;
		const bh_field *other = earlier_field(r, field->when_field);
		if (!other)
			return refuse(r, field->key, "'when' of field '%s' names no field before it: '%.64s'",
				      field->key, field->when_field);
		if (!bh_field_may_decide(other))
			return refuse(r, field->key, "'when' of field '%s' asks about a field of format %s: '%s'",
				      field->key, bh_field_format_name(other->format), other->key);
		if (!read_when_values(r, field, other))
			return false;
	}
	lua_pop(r->lua, 1);
	return true;
}

/* A paragraph asks for nothing. */
static bool check_notes(reading *r, const bh_field *field)
{
	if (field->format != BH_FIELD_NOTES || !(field->required || field->default_json || field->hint))
		return true;
	return refuse(r, field->key, "field '%s' is a paragraph (notes) and has '%s'", field->key,
		      field->required       ? "required"
		      : field->default_json ? "default"
					    : "hint");
}

static bool key_is_free(reading *r, const bh_field *field)
{
	for (guint i = 0; i < r->method->fields->len; i++) {
		const bh_field *other = g_ptr_array_index(r->method->fields, i);
		if (other != field && !strcmp(other->key, field->key))
			return refuse(r, field->key, "two fields have the key '%s'", field->key);
	}
	return true;
}

/* The table on the top becomes field number `number`. */
static bool read_field(reading *r, int number)
{
	static const char *const members[] = {"key",  "format",  "title", "help", "required", "default", "options",
					      "when", "pattern", "hint",  "trim", "min",      "max",     NULL};

	if (lua_type(r->lua, -1) != LUA_TTABLE)
		return refuse(r, "fields", "field %d is not a table", number);

	bh_field *field = g_new0(bh_field, 1);
	g_ptr_array_add(r->method->fields, field); /* frees it, whatever comes */
	g_autofree char *what = g_strdup_printf("field %d", number);
	return read_key(r, number, &field->key) && key_is_free(r, field) && check_members(r, members, what) &&
	       read_format(r, field) && need_text(r, field->key, "title", TITLE_MAX, &field->title) &&
	       read_text(r, field->key, "help", HELP_MAX, &field->help) &&
	       read_flag(r, field, "required", &field->required) && read_options(r, field) && read_pattern(r, field) &&
	       read_range(r, field) && read_when(r, field) && read_default(r, field) && check_notes(r, field);
}

static void free_field(gpointer data)
{
	bh_field *field = data;
	g_free(field->key);
	g_free(field->title);
	g_free(field->help);
	g_free(field->default_json);
	g_strfreev(field->options);
	g_free(field->when_field);
	g_strfreev(field->when_values);
	g_free(field->pattern);
	g_free(field->hint);
	g_free(field);
}

/* --- The method ------------------------------------------------------------------------------- */

static bool read_fields(reading *r)
{
	if (push_member(r, "fields") == LUA_TNIL)
		return refuse(r, "return", "the method has no 'fields'");
	if (!check_list(r, "fields", "fields", FIELDS_MAX))
		return false;

	int count = (int)lua_rawlen(r->lua, -1);
	for (int i = 1; i <= count; i++) {
		lua_rawgeti(r->lua, -1, i);
		if (!read_field(r, i))
			return false;
		lua_pop(r->lua, 1);
	}
	lua_pop(r->lua, 1);
	return true;
}

/* The version of the interface that the file was written for; 1 if it does not say. */
static bool read_interface(reading *r, int *ret_interface)
{
	int type = push_member(r, "interface");
	lua_Integer wanted = lua_isinteger(r->lua, -1) ? lua_tointeger(r->lua, -1) : 0;

	if (type == LUA_TNIL)
		wanted = 1;
	if (wanted < 1)
		return refuse(r, "interface", "'interface' must be a whole number, 1 or more");
	if (wanted > BH_METHOD_INTERFACE)
		return refuse(r, "interface",
			      "wants interface %" G_GINT64_FORMAT "; this Bellhop speaks %d: a newer Bellhop is needed",
			      (gint64)wanted, BH_METHOD_INTERFACE);
	*ret_interface = (int)wanted;
	lua_pop(r->lua, 1);
	return true;
}

/* A function that the file may have. */
static bool read_function(reading *r, const char *name, bool *ret_has)
{
	*ret_has = push_member(r, name) != LUA_TNIL;
	if (*ret_has && (!lua_isfunction(r->lua, -1) || lua_iscfunction(r->lua, -1)))
		return refuse(r, name, "'%s' must be a function", name);
	lua_pop(r->lua, 1);
	return true;
}

static bool read_functions(reading *r)
{
	bool has_deliver = false;

	if (!read_function(r, "accepts", &r->method->has_accepts) ||
	    !read_function(r, "transform", &r->method->has_transform) || !read_function(r, "deliver", &has_deliver))
		return false;
	return has_deliver || refuse(r, "return", "the method has no 'deliver'");
}

/* The table on the top becomes the form. */
static bool read_table(reading *r)
{
	static const char *const members[] = {"interface", "title",     "notes",   "fields",
					      "accepts",   "transform", "deliver", NULL};

	if (lua_type(r->lua, -1) != LUA_TTABLE)
		return refuse(r, NULL, "the file must end in `return { title = ..., fields = ..., deliver = ... }`");
	return read_interface(r, &r->method->interface) && check_members(r, members, "the method") &&
	       need_text(r, NULL, "title", TITLE_MAX, &r->method->title) &&
	       read_text(r, NULL, "notes", HELP_MAX, &r->method->notes) && read_fields(r) && read_functions(r);
}

/* --- A webhook's own script ------------------------------------------------------------------- */

bool bh_own_script_read(lua_State *lua, bh_span source, GError **error)
{
	static const char *const members[] = {"interface", "accepts", "transform", NULL};
	reading r = {.lua = lua, .file = BH_OWN_SCRIPT_NAME, .source = source, .error = error};
	bool has_accepts = false, has_transform = false;
	int interface;

	if (lua_type(lua, -1) != LUA_TTABLE)
		return refuse(&r, NULL, "the script must end in `return { accepts = ..., transform = ... }`");
	if (!read_interface(&r, &interface) || !check_members(&r, members, "the script") ||
	    !read_function(&r, "accepts", &has_accepts) || !read_function(&r, "transform", &has_transform))
		return false;
	return has_accepts || has_transform || refuse(&r, "return", "the script has neither 'accepts' nor 'transform'");
}

/* --- Reading ------------------------------------------------------------------------------------ */

/* Runs the compiled chunk on the top of the sandbox's stack; its first result is on the top of r->lua then. */
static bool run_chunk(reading *r, bh_sandbox *box)
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

static bool read_source(reading *r, bh_sandbox *box)
{
	if (!bh_sandbox_compile(box, r->file, r->source.at ? r->source.at : "", r->source.size)) {
		const char *why = lua_tostring(box->lua, -1);
		if (!g_str_has_prefix(why, r->file)) /* it is no text at all */
			return refuse(r, NULL, "%.1000s", why);
		g_set_error(r->error, BH_ERROR, BH_ERROR_INVALID, "%.1000s", why);
		return false;
	}
	return run_chunk(r, box) && read_table(r);
}

bh_method *bh_method_read(const char *name, const char *path, GBytes *source, GError **error)
{
	g_autofree char *file = g_strconcat(name, ".lua", NULL);
	counted_method *counted = g_new0(counted_method, 1);
	g_autoptr(bh_method) method = &counted->method;
	reading r = {.method = method, .file = file, .error = error};
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
