#include "api/page.h"

#include "api/body.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <string.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 100
#define SIGNATURE_SIZE 16 /* of the MAC's 32 bytes: enough that nobody guesses one */

/* --- Cursors ----------------------------------------------------------------------------- */

/* Each part with its length, so that no two lists of parts give the same bytes. */
static void add_part(GString *message, const char *part)
{
	g_string_append_printf(message, "%zu:", part ? strlen(part) : 0);
	g_string_append(message, part ? part : "");
}

static bool is_filter(const char *name)
{
	return strcmp(name, "limit") != 0 && strcmp(name, "cursor") != 0;
}

static void sign(const bh_call *call, const char *key, unsigned char ret[BH_MAC_SIZE])
{
	GString *message = g_string_sized_new(128);

	add_part(message, call->route->path);
	add_part(message, call->id);
	add_part(message, call->scope.manager_id ? call->scope.manager_id : "");
	add_part(message, call->scope.manager_id ? "own" : "all");
	for (size_t i = 0; i < BH_QUERY_MAX && call->route->query[i]; i++)
		if (is_filter(call->route->query[i])) {
			add_part(message, call->query[i] ? call->route->query[i] : "");
			add_part(message, call->query[i]);
		}
	add_part(message, key);
	bh_sealer_mac(call->api->rooms.sealer, (bh_span){message->str, message->len}, "api cursor", ret);
	g_string_free(message, TRUE);
}

/* base64url without padding of signature + key. */
static char *cursor_of(const bh_call *call, const char *key)
{
	unsigned char mac[BH_MAC_SIZE];
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	sign(call, key, mac);
	g_byte_array_append(bytes, mac, SIGNATURE_SIZE);
	g_byte_array_append(bytes, (const guint8 *)key, (guint)strlen(key));

	char *text = g_base64_encode(bytes->data, bytes->len);
	g_strdelimit(text, "+", '-');
	g_strdelimit(text, "/", '_');
	text[strcspn(text, "=")] = '\0';
	return text;
}

/* The key in a cursor that this very call may use; NULL: it may not. */
static char *key_of(const bh_call *call, const char *cursor)
{
	g_autoptr(GString) padded = g_string_new(cursor);
	unsigned char mac[BH_MAC_SIZE];
	gsize size;

	g_strdelimit(padded->str, "-", '+');
	g_strdelimit(padded->str, "_", '/');
	while (padded->len % 4)
		g_string_append_c(padded, '=');
	g_autofree guchar *bytes = g_base64_decode(padded->str, &size);
	if (!bytes || size <= SIGNATURE_SIZE)
		return NULL;

	g_autofree char *key = g_strndup((const char *)bytes + SIGNATURE_SIZE, size - SIGNATURE_SIZE);
	sign(call, key, mac);
	if (CRYPTO_memcmp(mac, bytes, SIGNATURE_SIZE) != 0)
		return NULL;
	/* GLib skips what is no base64 and forgives odd ends: only the form that we give counts. */
	g_autofree char *ours = cursor_of(call, key);
	return strcmp(ours, cursor) == 0 ? g_steal_pointer(&key) : NULL;
}

/* --- Pages ------------------------------------------------------------------------------- */

bool bh_page_read(bh_call *call, bh_page *ret_page)
{
	const char *limit = bh_call_query(call, "limit"), *cursor = bh_call_query(call, "cursor");
	guint64 rows = LIMIT_DEFAULT;

	if (limit && !g_ascii_string_to_unsigned(limit, 10, 1, LIMIT_MAX, &rows, NULL)) {
		bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "\"limit\" is a number from 1 to %d.", LIMIT_MAX);
		return false;
	}
	g_autofree char *key = cursor ? key_of(call, cursor) : NULL;
	if (cursor && !key) {
		bh_reply_problem(
			call, BH_PROBLEM_PARAMETER, NULL,
			"\"cursor\" is not one that this list gave with these filters to this key. Begin anew.");
		return false;
	}
	ret_page->limit = (size_t)rows;
	ret_page->number = key ? g_ascii_strtoll(key, NULL, 10) : 0;
	ret_page->after = g_steal_pointer(&key);
	return true;
}

bool bh_check_site_id(bh_call *call, const char *name)
{
	const char *value = bh_call_query(call, name);

	if (!value || bh_text_is_plain(value, BH_SITE_ID_MAX))
		return true;
	bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL,
			 "\"%s\" has 1 to %d bytes of UTF-8 without control characters.", name, BH_SITE_ID_MAX);
	return false;
}

bool bh_check_id(bh_call *call, const char *name, bh_id_kind kind, bh_id *ret)
{
	const char *value = bh_call_query(call, name);

	*ret = 0;
	if (!value || bh_id_parse(kind, value, ret))
		return true;
	bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "\"%s\" is not such an id.", name);
	return false;
}

void bh_page_clear(bh_page *page)
{
	g_clear_pointer(&page->after, g_free);
}

GString *bh_page_open(void)
{
	GString *out = g_string_sized_new(1024);

	bh_out_open(out, NULL, '{');
	bh_out_open(out, "data", '[');
	return out;
}

void bh_page_end(bh_call *call, GString *out, const char *key)
{
	g_autofree char *cursor = key ? cursor_of(call, key) : NULL;

	bh_out_text(out, "next", cursor);
	bh_out_close(out, '}');
	bh_reply_json(call, 200, out);
}

void bh_page_close(bh_call *call, GString *out, const char *key)
{
	bh_out_close(out, ']');
	bh_page_end(call, out, key);
}

void bh_page_close_at(bh_call *call, GString *out, int64_t number)
{
	g_autofree char *key = number ? g_strdup_printf("%" PRId64, number) : NULL;

	bh_page_close(call, out, key);
}
