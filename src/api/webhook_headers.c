/* The extra headers of a webhook, merged by name; their values are credentials as far as we know. */
#include "api/body.h"
#include "api/reply.h"
#include "api/webhook.h"
#include "transport/transport.h"

#include <string.h>
#include <strings.h>

#define MASKED "***"
#define VALUE_MAX 4096

typedef struct item {
	char *name, *value;
	bool given; /* the body says the value, rather than keeping it */
} item;

static void item_clear(void *user)
{
	item *i = user;

	g_free(i->name);
	bh_text_wipe(i->value);
}

static GArray *items_of(const bh_header *headers)
{
	GArray *items = g_array_new(FALSE, FALSE, sizeof(item));

	g_array_set_clear_func(items, item_clear);
	for (; headers && headers->name; headers++) {
		item copy = {g_strdup(headers->name), g_strdup(headers->value), false};
		g_array_append_val(items, copy);
	}
	return items;
}

/* Takes the names and values out of `items`. */
static bh_header *headers_of(GArray *items)
{
	bh_header *headers = items->len ? g_new0(bh_header, items->len + 1) : NULL;

	for (guint i = 0; i < items->len; i++) {
		item *from = &g_array_index(items, item, i);
		headers[i] = (bh_header){g_steal_pointer(&from->name), g_steal_pointer(&from->value)};
	}
	return headers;
}

/* The index of the header of this name, in any case; items->len: there is none. */
static guint find(const GArray *items, const char *name)
{
	guint i = 0;

	while (i < items->len && strcasecmp(g_array_index(items, item, i).name, name) != 0)
		i++;
	return i;
}

static bool refuse(bh_call *call, const char *pointer, const char *why)
{
	bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "%s", why);
	return false;
}

static void set(GArray *items, guint i, const char *name, const char *value)
{
	item fresh = {g_strdup(name), g_strdup(value), true};

	if (i < items->len)
		g_array_remove_index(items, i);
	g_array_append_val(items, fresh);
}

/* One member: null removes, *** keeps, a text sets. */
static bool merge_one(bh_call *call, GArray *items, const char *name, const char *value, const char *pointer)
{
	guint i = find(items, name);
	g_autoptr(GError) error = NULL;

	if (!value) {
		if (i < items->len)
			g_array_remove_index(items, i);
		return true;
	}
	if (strcmp(value, MASKED) == 0)
		return i < items->len || refuse(call, pointer, "There is no value to keep.");
	if (!bh_header_check(name, bh_span_of(value), &error))
		return refuse(call, pointer, error->message);
	set(items, i, name, value);
	return true;
}

static bool read_one(bh_call *call, GArray *items, uint32_t name_node)
{
	static const bh_text_rule RULE = {.max = VALUE_MAX, .may_be_null = true, .may_be_empty = true};
	g_autofree char *name = bh_json_string(bh_call_json(call), name_node);
	char *value = NULL;

	if (!name)
		return refuse(call, "/headers", "A name has \\u0000 in it.");
	g_autofree char *pointer = bh_pointer_to("/headers", name);
	if (!bh_body_text(call, name_node + 1, pointer, &RULE, &value))
		return false;
	bool merged = merge_one(call, items, name, value, pointer);
	bh_text_wipe(value);
	return merged;
}

static bool read_all(bh_call *call, GArray *items, uint32_t node)
{
	const bh_json *json = bh_call_json(call);

	if (bh_json_type_of(json, node) != BH_JSON_OBJECT)
		return refuse(call, "/headers", "It must be an object of names and values.");
	for (uint32_t n = bh_json_first(json, node); n != BH_JSON_NONE; n = bh_json_next(json, node, n))
		if (!read_one(call, items, n))
			return false;
	return items->len <= BH_HEADERS_MAX || refuse(call, "/headers", "There are more than 20.");
}

static bool any_kept(const GArray *items)
{
	for (guint i = 0; i < items->len; i++)
		if (!g_array_index(items, item, i).given)
			return true;
	return false;
}

bool bh_merge_headers(bh_call *call, bh_webhook *webhook, uint32_t node, bool *ret_kept)
{
	g_autoptr(GArray) items = items_of(webhook->headers);

	if (bh_body_is_null(call, node))
		g_array_set_size(items, 0);
	else if (!read_all(call, items, node))
		return false;
	*ret_kept = any_kept(items);

	g_autoptr(GArray) old = items_of(NULL); /* to be wiped and freed like items */
	for (bh_header *h = webhook->headers; h && h->name; h++) {
		item gone = {h->name, h->value, false};
		g_array_append_val(old, gone);
	}
	g_free(webhook->headers);
	webhook->headers = headers_of(items);
	return true;
}
