#include "api/out.h"

#include "base/json.h"

#include <inttypes.h>

/* A value follows another one unless it is the first of its container: no JSON value ends with an opening bracket. */
static void begin(GString *out, const char *name)
{
	char last = out->len ? out->str[out->len - 1] : '[';

	if (last != '{' && last != '[')
		g_string_append_c(out, ',');
	if (!name)
		return;
	bh_json_append_string(out, bh_span_of(name));
	g_string_append_c(out, ':');
}

void bh_out_open(GString *out, const char *name, char bracket)
{
	begin(out, name);
	g_string_append_c(out, bracket);
}

void bh_out_close(GString *out, char bracket)
{
	g_string_append_c(out, bracket);
}

void bh_out_text(GString *out, const char *name, const char *text)
{
	if (text)
		bh_out_span(out, name, bh_span_of(text));
	else
		bh_out_null(out, name);
}

void bh_out_span(GString *out, const char *name, bh_span text)
{
	begin(out, name);
	bh_json_append_string(out, text);
}

void bh_out_int(GString *out, const char *name, int64_t number)
{
	begin(out, name);
	g_string_append_printf(out, "%" PRId64, number);
}

void bh_out_bool(GString *out, const char *name, bool yes)
{
	begin(out, name);
	g_string_append(out, yes ? "true" : "false");
}

void bh_out_null(GString *out, const char *name)
{
	begin(out, name);
	g_string_append_len(out, "null", 4);
}

void bh_out_raw(GString *out, const char *name, bh_span json)
{
	if (!json.size) {
		bh_out_null(out, name);
		return;
	}
	begin(out, name);
	g_string_append_len(out, json.at, (gssize)json.size);
}

void bh_out_time(GString *out, const char *name, bh_usec at)
{
	char text[BH_TIME_TEXT_SIZE];

	bh_out_text(out, name, at ? bh_time_text(at, text) : NULL);
}

void bh_out_id(GString *out, const char *name, bh_id_kind kind, bh_id id)
{
	char text[BH_ID_TEXT_SIZE];

	bh_out_text(out, name, id ? bh_id_text(kind, id, text) : NULL);
}

void bh_out_texts(GString *out, const char *name, char *const *texts)
{
	if (!texts) {
		bh_out_null(out, name);
		return;
	}
	bh_out_open(out, name, '[');
	for (; *texts; texts++)
		bh_out_text(out, NULL, *texts);
	bh_out_close(out, ']');
}
