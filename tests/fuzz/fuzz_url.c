/*
 * A URL is a tenant's, and the guard stands between it and the site's own network. Whatever passes must read the same
 * again, and the system's resolver must not make an address of it that the guard would refuse.
 */
#include "transport/guard.h"

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bh_guard *guard;

static void reads_the_same_again(const bh_target *t)
{
	bh_target again = {0};

	g_assert_true(bh_guard_check_url(guard, t->url, &again, NULL));
	g_assert_cmpstr(again.url, ==, t->url);
	g_assert_cmpstr(again.host, ==, t->host);
	g_assert_cmpuint(again.port, ==, t->port);
	g_assert_true(again.https == t->https);
	bh_target_clear(&again);
}

/* As an address in any spelling that the system knows; names are not looked up. */
static void leads_nowhere_forbidden(const bh_target *t)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;

	if (getaddrinfo(t->host, NULL, &hints, &list) != 0)
		return;
	for (const struct addrinfo *a = list; a; a = a->ai_next)
		g_assert_null(bh_guard_refuses(guard, t, a->ai_addr));
	freeaddrinfo(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *url = g_strndup((const char *)data, size);
	g_autoptr(GError) error = NULL;
	bh_target t = {0};

	if (!guard)
		guard = bh_guard_new(NULL, NULL, false, NULL);
	if (!bh_guard_check_url(guard, url, &t, &error)) {
		g_assert_nonnull(error);
		g_assert_null(t.url);
		return 0;
	}
	g_assert_cmpuint(strlen(url), <=, 2048);
	g_assert_null(strpbrk(t.url, " \\#\r\n\t"));
	g_assert_true(g_str_has_prefix(t.url, t.https ? "https://" : "http://"));
	g_assert_cmpuint(t.port, >, 0);
	g_assert_null(memchr(t.url, '@',
			     strcspn(strstr(t.url, "://") + 3, "/") + (size_t)(strstr(t.url, "://") + 3 - t.url)));
	reads_the_same_again(&t);
	leads_nowhere_forbidden(&t);
	bh_target_clear(&t);
	return 0;
}
