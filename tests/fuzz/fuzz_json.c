/* Any bytes as JSON: what is accepted reads back as the same, what is refused says where. */
#include "base/json.h"

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_string(const bh_json *json, uint32_t node)
{
	g_autofree char *text = bh_json_string(json, node);
	if (!text)
		return;

	g_assert(g_utf8_validate(text, -1, NULL));
	g_assert(bh_json_string_is(json, node, text));
	g_autoptr(GString) written = g_string_new(NULL);
	g_autoptr(bh_json) again = bh_json_new();
	bh_json_append_string(written, bh_span_of(text));
	g_assert(bh_json_parse(again, (bh_span){written->str, written->len}, NULL));
	g_assert(bh_json_string_is(again, 0, text));
}

static void check_members(const bh_json *json, uint32_t object)
{
	for (uint32_t c = bh_json_first(json, object); c != BH_JSON_NONE; c = bh_json_next(json, object, c)) {
		g_assert(bh_json_type_of(json, c) == BH_JSON_STRING);
		g_autofree char *name = bh_json_string(json, c);
		if (name)
			g_assert(bh_json_member(json, object, name) == c + 1);
	}
}

/* The nodes inside `node`, itself included, lie within it and after one another. */
static uint32_t check_nodes(const bh_json *json, uint32_t node)
{
	bh_span whole = bh_json_text(json, node);
	bh_json_type type = bh_json_type_of(json, node);
	int64_t number;
	uint32_t count = 1;

	g_assert(whole.size > 0);
	if (type == BH_JSON_STRING)
		check_string(json, node);
	(void)bh_json_int(json, node, &number); /* any answer will do, if it comes */
	if (type != BH_JSON_OBJECT && type != BH_JSON_ARRAY)
		return count;

	const char *last = whole.at;
	for (uint32_t c = bh_json_first(json, node); c != BH_JSON_NONE; c = bh_json_next(json, node, c)) {
		bh_span name = bh_json_text(json, c);
		g_assert(name.at > last && name.at + name.size < whole.at + whole.size);
		last = name.at + name.size - 1;
		count += check_nodes(json, c);
		if (type == BH_JSON_OBJECT)
			count += check_nodes(json, c + 1);
	}
	return count;
}

static void check_accepted(const bh_json *json)
{
	bh_span value = bh_json_text(json, 0);
	g_autoptr(bh_json) again = bh_json_new();
	g_autoptr(GError) error = NULL;
	size_t end;

	uint32_t nodes = check_nodes(json, 0);
	if (bh_json_type_of(json, 0) == BH_JSON_OBJECT && nodes < 1000) /* looking up each is quadratic */
		check_members(json, 0);
	g_assert(bh_json_parse_at(again, value, 0, value.size, &end, NULL) && end == value.size);
	g_assert(check_nodes(again, 0) == nodes);
	if (value.at[value.size - 1] == '}' || value.at[value.size - 1] == ']' || value.at[value.size - 1] == '"') {
		g_assert(!bh_json_parse_at(again, value, 0, value.size - 1, &end, &error));
		g_assert(g_error_matches(error, BH_ERROR, BH_ERROR_LIMIT));
	}
}

static void check_refused(const bh_json *json, bh_span text, const GError *error)
{
	unsigned line, column;

	bh_json_trouble(json, &line, &column);
	g_autofree char *place = g_strdup_printf(" (line %u, column %u)", line, column);
	g_assert(error && g_str_has_suffix(error->message, place));
	g_assert(g_utf8_validate(error->message, -1, NULL));
	g_assert(line >= 1 && column >= 1 && line <= text.size + 1 && column <= text.size + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	bh_span text = {(const char *)bytes, size};
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(GError) error = NULL;

	if (bh_json_parse(json, text, &error))
		check_accepted(json);
	else
		check_refused(json, text, error);

	g_autoptr(GString) quoted = g_string_new(NULL);
	bh_json_append_string(quoted, text);
	g_assert(bh_json_parse(json, (bh_span){quoted->str, quoted->len}, NULL));
	return 0;
}
