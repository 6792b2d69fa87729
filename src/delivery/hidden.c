#include "delivery/hidden.h"

#include "base/secret.h"

#include <string.h>

/* Shorter ones stand in any text by chance: a header that says "test" must not make a riddle of the answer. */
#define SHORTEST 4
#define SHORTEST_HEADER_VALUE 8
#define MASK "***"

struct bh_hidden {
	GPtrArray *texts; /* of char *, the longest first: one may be the beginning of another */
};

static void wipe(void *text)
{
	bh_text_wipe(text);
}

static void add(bh_hidden **hidden, char *text)
{
	if (!*hidden) {
		*hidden = g_new0(bh_hidden, 1);
		(*hidden)->texts = g_ptr_array_new_with_free_func(wipe);
	}
	GPtrArray *texts = (*hidden)->texts;
	guint place = 0;
	while (place < texts->len && strlen(texts->pdata[place]) >= strlen(text))
		place++;
	g_ptr_array_insert(texts, (gint)place, text);
}

void bh_hide(bh_hidden **hidden, bh_span secret)
{
	if (secret.size < SHORTEST)
		return;
	char *text = g_strndup(secret.at, secret.size);
	char *escaped = g_uri_escape_string(text, NULL, FALSE);

	if (strcmp(escaped, text) != 0)
		add(hidden, g_steal_pointer(&escaped));
	else
		bh_text_wipe(escaped);
	add(hidden, text);
}

void bh_hide_header_value(bh_hidden **hidden, const char *value)
{
	const char *blank = strchr(value, ' ');
	bool has_scheme = g_ascii_strncasecmp(value, "Basic ", 6) == 0 || g_ascii_strncasecmp(value, "Bearer ", 7) == 0;

	bh_span secret = bh_span_of(has_scheme ? blank + 1 : value);

	if (secret.size >= SHORTEST_HEADER_VALUE)
		bh_hide(hidden, secret);
}

/* Headers whose values tell nothing; every other one of a request is masked. */
#define NAME(text) \
	{ \
		text, sizeof(text) - 1 \
	}
static const bh_span harmless[] = {
	NAME("accept"),      NAME("content-length"), NAME("content-type"),      NAME("host"),
	NAME("user-agent"),  NAME("webhook-id"),     NAME("webhook-signature"), NAME("webhook-timestamp"),
	NAME("traceparent"), NAME("bellhop-hops")};
#undef NAME

static bool is_harmless(const char *line, size_t name_size)
{
	for (size_t i = 0; i < G_N_ELEMENTS(harmless); i++)
		if (harmless[i].size == name_size && g_ascii_strncasecmp(harmless[i].at, line, name_size) == 0)
			return true;
	return false;
}

void bh_hidden_append_header(bh_hidden **hidden, const char *line, GString *out)
{
	size_t name_size = strcspn(line, ":");
	if (is_harmless(line, name_size)) {
		g_string_append(out, line);
		return;
	}
	g_string_append_len(out, line, (gssize)name_size);
	g_string_append(out, ": ***");
	bh_hide_header_value(hidden, line + name_size + strspn(line + name_size, ": "));
}

void bh_hidden_free(bh_hidden *hidden)
{
	if (!hidden)
		return;
	g_ptr_array_unref(hidden->texts);
	g_free(hidden);
}

static void mask_one(GString *text, const char *secret)
{
	size_t size = strlen(secret), from = 0;
	const char *found;

	while ((found = memmem(text->str + from, text->len - from, secret, size))) {
		size_t at = (size_t)(found - text->str);
		g_string_erase(text, (gssize)at, (gssize)size);
		g_string_insert(text, (gssize)at, MASK);
		from = at + strlen(MASK);
	}
}

void bh_hidden_mask(const bh_hidden *hidden, GString *text)
{
	for (guint i = 0; hidden && i < hidden->texts->len; i++)
		mask_one(text, hidden->texts->pdata[i]);
}

void bh_hidden_mask_bytes(const bh_hidden *hidden, GByteArray *bytes)
{
	if (!hidden)
		return;
	g_autoptr(GString) text = g_string_new_len((const char *)bytes->data, bytes->len);

	bh_hidden_mask(hidden, text);
	g_byte_array_set_size(bytes, 0);
	g_byte_array_append(bytes, (const guint8 *)text->str, (guint)text->len);
}
