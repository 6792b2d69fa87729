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

bh_span bh_object_end(GString *body)
{
	g_string_append_c(body, '}');
	return (bh_span){body->str, body->len};
}
