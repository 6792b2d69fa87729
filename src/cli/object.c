#include "cli/object.h"

#include "base/json.h"

GString *bh_object_new(void)
{
	return g_string_new("{");
}

static void begin_member(GString *body, const char *name)
{
	if (body->len > 1)
		g_string_append_c(body, ',');
	bh_json_append_string(body, bh_span_of(name));
	g_string_append_c(body, ':');
}

void bh_object_text(GString *body, const char *name, const char *value)
{
	if (!value)
		return;
	begin_member(body, name);
	bh_json_append_string(body, bh_span_of(value));
}

void bh_object_raw(GString *body, const char *name, bh_span json)
{
	if (!json.size)
		return;
	begin_member(body, name);
	g_string_append_len(body, json.at, (gssize)json.size);
}

void bh_object_list(GString *body, const char *name, const char *const *values)
{
	begin_member(body, name);
	g_string_append_c(body, '[');
	for (size_t i = 0; values[i]; i++) {
		if (i)
			g_string_append_c(body, ',');
		bh_json_append_string(body, bh_span_of(values[i]));
	}
	g_string_append_c(body, ']');
}

void bh_object_int(GString *body, const char *name, int64_t number)
{
	g_autofree char *digits = g_strdup_printf("%" G_GINT64_FORMAT, number);
	bh_object_raw(body, name, bh_span_of(digits));
}

void bh_object_seconds(GString *body, const char *name, bh_usec span)
{
	char number[G_ASCII_DTOSTR_BUF_SIZE];
	g_ascii_dtostr(number, sizeof number, (double)span / (double)BH_SECOND);
	bh_object_raw(body, name, bh_span_of(number));
}

void bh_object_words(GString *body, const char *name, const char *const *given)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
	for (; *given; given++) {
		g_auto(GStrv) parts = g_strsplit(*given, ",", -1);
		for (char **p = parts; *p; p++)
			if (*g_strstrip(*p))
				g_ptr_array_add(all, g_strdup(*p));
	}
	g_ptr_array_add(all, NULL);
	bh_object_list(body, name, (const char *const *)all->pdata);
}

bh_span bh_object_end(GString *body)
{
	g_string_append_c(body, '}');
	return (bh_span){body->str, body->len};
}
