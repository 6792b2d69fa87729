#include "cli/args.h"

#include "base/near.h"
#include "base/time.h"

#include <stdarg.h>
#include <string.h>

G_DEFINE_QUARK(bh - usage - error - quark, bh_usage_error)

struct bh_args {
	GHashTable *given; /* name -> GPtrArray of values, NULL at the end; a switch has one value, "" */
	GHashTable *typed; /* name -> how it was spelt */
	GPtrArray *operands; /* borrowed from argv */
};

void bh_usage_error(GError **error, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	g_autofree char *message = g_strdup_vprintf(format, list);
	va_end(list);
	g_set_error_literal(error, BH_USAGE_ERROR, 0, message);
}

static const bh_option *find_option(const bh_option *const *sets, const char *name, size_t length)
{
	for (; *sets; sets++)
		for (const bh_option *o = *sets; o->name; o++)
			if (strlen(o->name) == length && memcmp(o->name, name, length) == 0)
				return o;
	return NULL;
}

static void refuse_unknown(const bh_option *const *sets, const char *typed, size_t length, GError **error)
{
	g_autoptr(GPtrArray) known = g_ptr_array_new();
	for (; *sets; sets++)
		for (const bh_option *o = *sets; o->name; o++)
			g_ptr_array_add(known, (char *)o->name);
	g_ptr_array_add(known, (char *)"help");
	g_ptr_array_add(known, NULL);

	g_autofree char *name = g_strndup(typed, length);
	const char *near = bh_nearest(name, (const char *const *)known->pdata);
	if (near)
		bh_usage_error(error, "there is no option --%s here; did you mean --%s?", name, near);
	else
		bh_usage_error(error, "there is no option --%s here", name);
}

static bool keep(bh_args *args, const bh_option *option, const char *value, GError **error)
{
	const char *name = option->stands_for ? option->stands_for : option->name;
	GPtrArray *values = g_hash_table_lookup(args->given, name);
	if (values && !option->many) {
		bh_usage_error(error, "--%s is given twice", option->name);
		return false;
	}
	if (!values) {
		values = g_ptr_array_new();
		g_ptr_array_add(values, NULL);
		g_hash_table_insert(args->given, (char *)name, values);
		g_hash_table_insert(args->typed, (char *)name, (char *)option->name);
	}
	g_ptr_array_insert(values, (gint)values->len - 1, (char *)value);
	return true;
}

/* Reads the option that `*at` begins; moves `*at` over a value that stands on its own. */
static bool read_option(bh_args *args, const bh_option *const *sets, char *const **at, GError **error)
{
	const char *typed = **at + 2;
	const char *equals = strchr(typed, '=');
	size_t length = equals ? (size_t)(equals - typed) : strlen(typed);

	const bh_option *option = find_option(sets, typed, length);
	if (!option) {
		refuse_unknown(sets, typed, length, error);
		return false;
	}
	if (!option->value) {
		if (!equals)
			return keep(args, option, "", error);
		bh_usage_error(error, "--%s takes no value", option->name);
		return false;
	}
	if (equals)
		return keep(args, option, equals + 1, error);

	/* "--secret --json" is a forgotten value far more often than a value that looks like an option. */
	const char *next = (*at)[1];
	if (!next || g_str_has_prefix(next, "--")) {
		bh_usage_error(error, "--%s needs a value: --%s %s", option->name, option->name, option->value);
		return false;
	}
	++*at;
	return keep(args, option, next, error);
}

bh_args *bh_args_parse(const bh_option *const *sets, char *const *argv, GError **error)
{
	g_autoptr(bh_args) args = g_new0(bh_args, 1);
	args->given = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
	args->typed = g_hash_table_new(g_str_hash, g_str_equal);
	args->operands = g_ptr_array_new();

	bool only_operands = false;
	for (char *const *at = argv; *at; at++) {
		if (only_operands || (*at)[0] != '-' || (*at)[1] == '\0') {
			g_ptr_array_add(args->operands, *at);
		} else if (strcmp(*at, "--") == 0) {
			only_operands = true;
		} else if ((*at)[1] != '-') {
			bh_usage_error(error, "\"%s\" is no option: options begin with two dashes, --name", *at);
			return NULL;
		} else if (!read_option(args, sets, &at, error)) {
			return NULL;
		}
	}
	return g_steal_pointer(&args);
}

void bh_args_free(bh_args *args)
{
	if (!args)
		return;
	g_clear_pointer(&args->given, g_hash_table_unref);
	g_clear_pointer(&args->typed, g_hash_table_unref);
	g_clear_pointer(&args->operands, g_ptr_array_unref);
	g_free(args);
}

bool bh_args_has(const bh_args *args, const char *name)
{
	return g_hash_table_contains(args->given, name);
}

const char *const *bh_args_all(const bh_args *args, const char *name)
{
	static const char *const none[] = {NULL};
	GPtrArray *values = g_hash_table_lookup(args->given, name);
	return values ? (const char *const *)values->pdata : none;
}

const char *bh_args_one(const bh_args *args, const char *name)
{
	return bh_args_all(args, name)[0];
}

size_t bh_args_count(const bh_args *args)
{
	return args->operands->len;
}

const char *bh_args_operand(const bh_args *args, size_t i)
{
	return i < args->operands->len ? g_ptr_array_index(args->operands, i) : NULL;
}

static const char *spelling(const bh_args *args, const char *name)
{
	return g_hash_table_lookup(args->typed, name);
}

bool bh_args_int(const bh_args *args, const char *name, gint64 least, gint64 most, gint64 *ret, GError **error)
{
	const char *text = bh_args_one(args, name);
	gint64 number;
	if (!text)
		return true;
	if (!g_ascii_string_to_signed(text, 10, least, most, &number, NULL)) {
		bh_usage_error(error, "--%s \"%s\" is no whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
			       spelling(args, name), text, least, most);
		return false;
	}
	*ret = number;
	return true;
}

bool bh_args_span(const bh_args *args, const char *name, gint64 *ret, GError **error)
{
	const char *text = bh_args_one(args, name);
	bh_usec span;
	if (!text)
		return true;
	if (!bh_span_parse(text, &span)) {
		bh_usage_error(error, "--%s \"%s\" is no span of time: write it as 500ms, 10s, 5m, 2h or 7d",
			       spelling(args, name), text);
		return false;
	}
	*ret = span;
	return true;
}
