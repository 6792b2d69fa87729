/* Entries of the setting `allow`, and listeners: read or refused by name, never more allowed than was written. */
#include "transport/guard.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_allowed(const bh_guard *g, const char *url)
{
	bh_target t = {0};
	bool allowed = bh_guard_check_url(g, url, &t, NULL);

	bh_target_clear(&t);
	return allowed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *entry = g_strndup((const char *)data, size);
	char *const list[] = {entry, NULL};
	g_autoptr(GError) error = NULL, listener_error = NULL;
	g_autoptr(bh_guard) g = bh_guard_new(list, NULL, false, &error);
	g_autoptr(bh_guard) own = bh_guard_new(NULL, list, false, &listener_error);

	g_assert_true(!g == !!error);
	g_assert_true(!own == !!listener_error);
	if (!g)
		return 0;
	/* Two addresses that no single entry can name together, unless it is the whole of IPv4. */
	if (is_allowed(g, "http://127.0.0.1:8080/") && is_allowed(g, "http://172.16.0.1:8080/"))
		g_assert_true(g_str_has_suffix(entry, "/0"));
	if (is_allowed(g, "http://hooks.example:25/"))
		g_assert_true(strchr(entry, ':') || g_ascii_strncasecmp(entry, "hooks.example", 13) == 0);
	return 0;
}
