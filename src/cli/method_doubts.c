#include "cli/method_doubts.h"

#include "base/near.h"
#include "cli/lua_words.h"

#include <string.h>

/* A function of the method that is written where it is named: `accepts = function(...) ... end`. */
typedef struct part {
	const char *name;
	guint from, to; /* its words, `function` and `end` included; both 0: it is not written so */
} part;

typedef struct look {
	const bh_method *method;
	GArray *words;
	GArray *doubts;
} look;

static void doubt(look *l, unsigned line, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void doubt(look *l, unsigned line, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	bh_doubt made = {.line = line, .text = g_strdup_vprintf(format, list)};
	va_end(list);
	g_array_append_val(l->doubts, made);
}

/* --- Words --------------------------------------------------------------------------------- */

/* Never NULL: beyond either end stands a sign of nothing. */
static const bh_lua_word *word(const look *l, guint at)
{
	static const bh_lua_word nothing = {.kind = BH_LUA_SIGN, .text = {"", 0}};
	return at < l->words->len ? &g_array_index(l->words, bh_lua_word, at) : &nothing;
}

static bool is_one_of(const bh_lua_word *w, const char *const *texts)
{
	for (; *texts; texts++)
		if (bh_lua_is(w, *texts))
			return true;
	return false;
}

static bool is_text(const bh_lua_word *w, const char *text)
{
	return w->kind == BH_LUA_TEXT && bh_span_equal(w->text, bh_span_of(text));
}

/* Can something be looked into after this word? A keyword cannot, but then no `.name` or `[` that looks into it follows. */
static bool is_value_end(const bh_lua_word *w)
{
	return w->kind == BH_LUA_NAME || bh_lua_is(w, ")") || bh_lua_is(w, "]");
}

/* Is a member of that name read at `at`, as `x.name` or `x["name"]`? */
static bool reads_member(const look *l, guint at, const char *name)
{
	if (at == 0 || !is_value_end(word(l, at - 1)))
		return false;
	if (bh_lua_is(word(l, at), "."))
		return bh_lua_is(word(l, at + 1), name);
	return bh_lua_is(word(l, at), "[") && is_text(word(l, at + 1), name) && bh_lua_is(word(l, at + 2), "]");
}

/* x[i], or a function that walks a table or is given one to look names up in: then any field may be meant. */
static bool reads_by_computed_names(const look *l)
{
	static const char *const walkers[] = {"pairs", "next", "gsub", NULL};
	for (guint i = 0; i < l->words->len; i++) {
		const bh_lua_word *after = word(l, i + 1);
		bool plain = after->kind == BH_LUA_TEXT || after->kind == BH_LUA_NUMBER;
		if (is_one_of(word(l, i), walkers))
			return true;
		if (i > 0 && bh_lua_is(word(l, i), "[") && is_value_end(word(l, i - 1)) &&
		    !(plain && bh_lua_is(word(l, i + 2), "]")))
			return true;
	}
	return false;
}

/* The line where the form says `key = "<key>"`. */
static unsigned line_of_field(const look *l, const char *key)
{
	for (guint i = 0; i < l->words->len; i++)
		if (bh_lua_is(word(l, i), "key") && bh_lua_is(word(l, i + 1), "=") && is_text(word(l, i + 2), key))
			return word(l, i)->line;
	return 1;
}

/* --- Functions ----------------------------------------------------------------------------- */

/* The word that ends the block which begins with the word `from`. */
static guint end_of_block(const look *l, guint from)
{
	static const char *const openers[] = {"function", "if", "do", "repeat", NULL};
	static const char *const closers[] = {"end", "until", NULL};
	int depth = 0;
	for (guint i = from; i < l->words->len; i++) {
		depth += is_one_of(word(l, i), openers);
		depth -= is_one_of(word(l, i), closers);
		if (depth == 0)
			return i;
	}
	return l->words->len;
}

/* If there are several of that name, which one is the method's is not certain: then it is none. */
static part find_part(const look *l, const char *name)
{
	part found = {.name = name};
	for (guint i = 0; i + 2 < l->words->len; i++) {
		if (!bh_lua_is(word(l, i), name) || !bh_lua_is(word(l, i + 1), "=") ||
		    !bh_lua_is(word(l, i + 2), "function"))
			continue;
		if (found.to > 0)
			return (part){.name = name};
		found = (part){name, i + 2, end_of_block(l, i + 2)};
	}
	return found;
}

static bool has_word(const look *l, const part *p, const char *text)
{
	for (guint i = p->from; i < p->to; i++)
		if (bh_lua_is(word(l, i), text))
			return true;
	return false;
}

/* Without a return, a function returns nil, which is neither an answer nor yes or no. */
static void doubt_missing_return(look *l, const char *name, const char *what)
{
	part p = find_part(l, name);
	if (p.to > 0 && !has_word(l, &p, "return"))
		doubt(l, word(l, p.from)->line, "`%s` returns nothing; %s.", name, what);
}

/* --- Fields -------------------------------------------------------------------------------- */

static bool is_used(const look *l, const char *key)
{
	for (guint i = 0; i < l->words->len; i++) {
		if (reads_member(l, i, key))
			return true;
		if (bh_lua_is(word(l, i), "field") && bh_lua_is(word(l, i + 1), "=") && is_text(word(l, i + 2), key))
			return true; /* another field's `when` asks for it */
	}
	return false;
}

/* Does the script ask anywhere whether there is a value? */
static bool is_tested(const look *l, const char *key)
{
	static const char *const before[] = {"if", "elseif", "not", "and", "or", "==", "~=", "while", NULL};
	static const char *const after[] = {"or", "and", "==", "~=", "then", NULL};
	for (guint i = 2; i < l->words->len; i++)
		if (reads_member(l, i, key) && (is_one_of(word(l, i + 2), after) || is_one_of(word(l, i - 2), before)))
			return true;
	return false;
}

static bool is_plain_http(const bh_field *field)
{
	return field->default_json && g_ascii_strncasecmp(field->default_json, "\"http://", 8) == 0;
}

static void look_at_field(look *l, const bh_field *field, bool computed)
{
	unsigned line = line_of_field(l, field->key);
	if (field->format == BH_FIELD_NOTES)
		return;
	bool used = computed || is_used(l, field->key);
	if (!used)
		doubt(l, line, "Field \"%s\" is in the form, but nothing looks at settings.%s.", field->key,
		      field->key);
	if (field->format != BH_FIELD_URL)
		return;
	if (is_plain_http(field))
		doubt(l, line,
		      "The default of \"%s\" begins with http: what is sent there can be read on the way. Use https.",
		      field->key);
	if (used && !computed && !field->required && !field->default_json && !is_tested(l, field->key))
		doubt(l, line,
		      "\"%s\" may be left empty, and settings.%s is nil then. Say required = true, or give a default.",
		      field->key, field->key);
}

/* --- Settings ------------------------------------------------------------------------------ */

static const bh_field *find_field(const bh_method *method, bh_span key)
{
	for (guint i = 0; i < method->fields->len; i++) {
		const bh_field *field = g_ptr_array_index(method->fields, i);
		if (bh_span_equal(bh_span_of(field->key), key))
			return field;
	}
	return NULL;
}

/* Is `settings` always what the functions are given, or has the file a variable of that name? */
static bool settings_is_a_variable(const look *l)
{
	for (guint i = 0; i < l->words->len; i++)
		if (bh_lua_is(word(l, i), "settings") && !bh_lua_is(word(l, i - 1), ".") &&
		    (bh_lua_is(word(l, i + 1), "=") || bh_lua_is(word(l, i - 1), "local")))
			return true;
	return false;
}

static void doubt_unknown(look *l, unsigned line, bh_span name)
{
	bh_near near = {.text = name};
	for (guint i = 0; i < l->method->fields->len; i++)
		bh_near_offer(&near, ((const bh_field *)g_ptr_array_index(l->method->fields, i))->key);
	const char *best = bh_near_best(&near);
	g_autofree char *hint = best ? g_strdup_printf("; did you mean settings.%s?", best)
				     : g_strdup(", so settings has none of that name: it is always nil.");
	doubt(l, line, "No field has the key \"%.*s\"%s", (int)name.size, name.at, hint);
}

static bool is_within(const part *p, guint at)
{
	return at > p->from && at < p->to;
}

static void look_at_settings(look *l)
{
	part accepts = find_part(l, "accepts"), transform = find_part(l, "transform");
	for (guint i = 0; i < l->words->len; i++) {
		const bh_lua_word *name = word(l, i + 2);
		if (!bh_lua_is(word(l, i), "settings") || bh_lua_is(word(l, i - 1), ".") ||
		    !bh_lua_is(word(l, i + 1), ".") || name->kind != BH_LUA_NAME)
			continue;
		const bh_field *field = find_field(l->method, name->text);
		const part *p = is_within(&accepts, i) ? &accepts : is_within(&transform, i) ? &transform : NULL;
		if (!field)
			doubt_unknown(l, name->line, name->text);
		else if (field->format == BH_FIELD_NOTES)
			doubt(l, name->line, "\"%s\" is a note: it has no value, settings.%s is always nil.",
			      field->key, field->key);
		else if (field->format == BH_FIELD_PASSWORD && p)
			doubt(l, name->line, "Passwords are for `deliver` alone: in `%s`, settings.%s is always nil.",
			      p->name, field->key);
	}
}

/* --- Names --------------------------------------------------------------------------------- */

static bool is_keyword(const bh_lua_word *w)
{
	static const char *const keywords[] = {"and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
					       "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
					       "repeat",   "return", "then", "true", "until",  "while", "self",  NULL};
	return is_one_of(w, keywords);
}

static void declare(const look *l, GHashTable *declared, guint at)
{
	g_hash_table_add(declared, g_strndup(word(l, at)->text.at, word(l, at)->text.size));
}

/* A row of names, "a, b" or "a <const>, b", from `at` on. */
static void declare_row(const look *l, GHashTable *declared, guint at)
{
	while (word(l, at)->kind == BH_LUA_NAME) {
		declare(l, declared, at++);
		if (bh_lua_is(word(l, at), "<"))
			at += 3;
		if (!bh_lua_is(word(l, at), ","))
			return;
		at++;
	}
}

/* All names that the file gives to something itself, wherever they hold: so none of them is taken for unknown. */
static GHashTable *declared_names(const look *l)
{
	GHashTable *declared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < l->words->len; i++) {
		const bh_lua_word *w = word(l, i);
		if (bh_lua_is(w, "local") || bh_lua_is(w, "for")) {
			declare_row(l, declared, i + 1);
		} else if (bh_lua_is(w, "function")) {
			guint open = i + 1;
			while (open < l->words->len && !bh_lua_is(word(l, open), "("))
				open++;
			declare_row(l, declared, i + 1);
			declare_row(l, declared, open + 1);
		} else if (w->kind == BH_LUA_NAME && bh_lua_is(word(l, i + 1), "=")) {
			declare(l, declared, i);
		}
	}
	return declared;
}

/* Is a variable's name read at `at`, and no member's, label's or attribute's? */
static bool reads_name(const look *l, guint at)
{
	static const char *const before[] = {".", ":", "::", "goto", "<", NULL};
	return word(l, at)->kind == BH_LUA_NAME && !is_keyword(word(l, at)) &&
	       !(at > 0 && is_one_of(word(l, at - 1), before));
}

static void doubt_name(look *l, const bh_lua_word *w, char *const *globals)
{
	bh_near near = {.text = w->text};
	for (; *globals; globals++)
		bh_near_offer(&near, *globals);
	const char *best = bh_near_best(&near);
	g_autofree char *hint = best ? g_strdup_printf("; did you mean %s?", best)
				     : g_strdup(": neither the file nor Bellhop gives scripts one.");
	doubt(l, w->line, "There is no \"%.*s\"%s", (int)w->text.size, w->text.at, hint);
}

static void look_at_names(look *l)
{
	g_auto(GStrv) globals = bh_script_globals();
	g_autoptr(GHashTable) known = declared_names(l); /* each unknown one is told of once */
	for (char **name = globals; *name; name++)
		g_hash_table_add(known, g_strdup(*name));
	for (guint i = 0; i < l->words->len; i++) {
		const bh_lua_word *w = word(l, i);
		g_autofree char *name = g_strndup(w->text.at, w->text.size);
		if (!reads_name(l, i) || g_hash_table_contains(known, name))
			continue;
		doubt_name(l, w, globals);
		g_hash_table_add(known, g_steal_pointer(&name));
	}
}

/* --- All of it ----------------------------------------------------------------------------- */

static void clear_doubt(void *data)
{
	g_free(((bh_doubt *)data)->text);
}

static gint by_line(gconstpointer a, gconstpointer b)
{
	unsigned left = ((const bh_doubt *)a)->line, right = ((const bh_doubt *)b)->line;
	return left < right ? -1 : left > right;
}

GArray *bh_method_doubts(const bh_method *method)
{
	gsize size;
	const char *text = g_bytes_get_data(method->source, &size);
	g_autoptr(GArray) words = bh_lua_words((bh_span){text, size});
	look l = {.method = method, .words = words, .doubts = g_array_new(FALSE, FALSE, sizeof(bh_doubt))};
	g_array_set_clear_func(l.doubts, clear_doubt);

	bool computed = reads_by_computed_names(&l);
	for (guint i = 0; i < method->fields->len; i++)
		look_at_field(&l, g_ptr_array_index(method->fields, i), computed);
	if (!settings_is_a_variable(&l))
		look_at_settings(&l);
	look_at_names(&l);
	doubt_missing_return(&l, "accepts", "it has to return true or false");
	doubt_missing_return(&l, "deliver",
			     "it has to return the answer of a call, or what remote.delivered, retry or fail make");
	g_array_sort(l.doubts, by_line);
	return l.doubts;
}
