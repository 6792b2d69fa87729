/* What order and coalescing go by: texts made of an event's fields, equal only where the fields are. */
#include "watcher/watcher.h"

#define HASHED "sha256:"

/* Takes the text. A short one is its own name, unless it looks like the name of a long one. */
static char *name_of(char *text)
{
	g_autofree char *taken = text;
	size_t size = strlen(text);

	if (size <= BH_KEY_TEXT_MAX && !g_str_has_prefix(text, HASHED))
		return g_steal_pointer(&taken);
	g_autofree char *hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, size);
	return g_strconcat(HASHED, hash, NULL);
}

char *bh_watch_order_key(const bh_event *event, const bh_webhook *webhook)
{
	g_autofree char *value = webhook->order_by ? bh_event_field(event, webhook->order_by) : NULL;

	return value && *value ? name_of(g_steal_pointer(&value)) : NULL;
}

char *bh_watch_coalesce_key(const bh_event *event, const bh_webhook *webhook)
{
	char *const *names = webhook->coalesce_fields;
	if (webhook->coalesce <= 0 || !names || !names[0])
		return NULL;
	g_auto(GStrv) values = bh_event_fields(event, names);
	if (!values)
		return NULL;

	g_autoptr(GString) key = g_string_new(event->type);
	for (size_t i = 0; names[i]; i++) {
		if (!*values[i])
			return NULL;
		g_string_append_printf(key, " %s=%zu:%s", names[i], strlen(values[i]), values[i]);
	}
	return name_of(g_string_free(g_steal_pointer(&key), FALSE));
}
