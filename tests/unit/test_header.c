#include "transport/transport.h"

#include "base/error.h"

#include <string.h>

/* --- Headers of an owner --------------------------------------------------------------------- */

typedef struct header {
	const char *name, *value;
	size_t size; /* 0: strlen */
	bool fine;
} header;

static const header HEADERS[] = {
	{"X-Figma-Token", "s3cr3t-1", 0, true},
	{"Authorization", "Bearer x", 0, true},
	{"x", "", 0, true},
	{"X-Tab", "a\tb", 0, true},
	{"X-Latin", "caf\xe9", 0, true},
	{"X-Utf8", "caf\xc3\xa9", 0, true},
	{"!#$%&'*+-.^_`|~09azAZ", "odd but a token", 0, true},
	{"Hostess", "begins like one of ours", 0, true},
	{"Webhook", "no hyphen", 0, true},
	{"Webhook-Signature", "v1,AAAA", 0, false},
	{"WEBHOOK-ID", "x", 0, false},
	{"webhook-", "x", 0, false},
	{"content-length", "1", 0, false},
	{"Transfer-Encoding", "chunked", 0, false},
	{"Host", "internal", 0, false},
	{"Connection", "close", 0, false},
	{"keep-alive", "timeout=5", 0, false},
	{"TE", "trailers", 0, false},
	{"Trailer", "X", 0, false},
	{"upgrade", "h2c", 0, false},
	{"Proxy-Authorization", "Basic eA==", 0, false},
	{"proxy-connection", "keep-alive", 0, false},
	{"content-type", "text/plain", 0, false},
	{"User-Agent", "x", 0, false},
	{"Expect", "100-continue", 0, false},
	{"", "x", 0, false},
	{"X Y", "x", 0, false},
	{"X:Y", "x", 0, false},
	{"X\r\nY", "x", 0, false},
	{"X\xc3\xa9", "x", 0, false},
	{" X", "x", 0, false},
	{"X-Lines", "a\r\nX-Injected: 1", 0, false},
	{"X-Line", "a\nX-Injected: 1", 0, false},
	{"X-Return", "a\rb", 0, false},
	{"X-Nul", "a\0b", 3, false},
	{"X-Delete", "a\x7f", 0, false},
};

static void an_owner_may_add_only_headers_that_cannot_do_harm(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(HEADERS); i++) {
		const header *h = &HEADERS[i];
		g_autoptr(GError) error = NULL;
		bh_span value = {h->value, h->size ? h->size : strlen(h->value)};

		if (bh_header_check(h->name, value, &error) != h->fine)
			g_error("header \"%s\": expected to be %s", h->name, h->fine ? "fine" : "refused");
		if (!h->fine) {
			g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
			g_assert_true(g_str_has_prefix(error->message, "header \""));
			g_assert_null(strpbrk(error->message, "\r\n"));
		}
	}
}

static void a_header_may_have_16_kib_and_no_more(void)
{
	g_autofree char *value = g_strnfill(16 * 1024 + 1, 'v'), *name = g_strnfill(257, 'n');

	g_assert_true(bh_header_check("X", (bh_span){value, 16 * 1024}, NULL));
	g_assert_false(bh_header_check("X", (bh_span){value, 16 * 1024 + 1}, NULL));
	g_assert_false(bh_header_check(name, bh_span_of("x"), NULL));
}

/* --- Retry-After -------------------------------------------------------------------------------- */

#define NOON (1767268800 * BH_SECOND) /* Thu, 01 Jan 2026 12:00:00 GMT */
#define NONSENSE (-1)

static const struct hint {
	const char *value;
	bh_usec span;
} HINTS[] = {
	{"7", 7 * BH_SECOND},
	{"0", 0},
	{"7 ", 7 * BH_SECOND},
	{" 7", 7 * BH_SECOND},
	{"\t7\t", 7 * BH_SECOND},
	{"007", 7 * BH_SECOND},
	{"120", 2 * BH_MINUTE},
	{"99999999999999999999999999", 365 * BH_DAY},
	{"Thu, 01 Jan 2026 12:00:10 GMT", 10 * BH_SECOND},
	{"Thursday, 01-Jan-26 12:00:10 GMT", 10 * BH_SECOND},
	{"Thu Jan  1 12:00:10 2026", 10 * BH_SECOND},
	{" Thu, 01 Jan 2026 12:00:10 GMT ", 10 * BH_SECOND},
	{"Thu, 01 Jan 2026 11:00:00 GMT", 0},
	{"Fri, 31 Dec 9999 23:59:59 GMT", 365 * BH_DAY},
	{"-5", NONSENSE},
	{"+5", NONSENSE},
	{"5.5", NONSENSE},
	{"5s", NONSENSE},
	{"5 6", NONSENSE},
	{"0x10", NONSENSE},
	{"abc", NONSENSE},
	{"", NONSENSE},
	{" ", NONSENSE},
	{"2026-01-01T12:00:10Z", NONSENSE},
};

static void retry_after_is_seconds_or_a_date_and_else_nonsense(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(HINTS); i++) {
		bh_usec span = NONSENSE;
		bool read = bh_retry_after_parse(HINTS[i].value, NOON, &span);

		if (span != HINTS[i].span || read != (HINTS[i].span != NONSENSE))
			g_error("Retry-After \"%s\": was %" G_GINT64_FORMAT, HINTS[i].value, span);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/header/" #name, name)
	TEST(an_owner_may_add_only_headers_that_cannot_do_harm);
	TEST(a_header_may_have_16_kib_and_no_more);
	TEST(retry_after_is_seconds_or_a_date_and_else_nonsense);
	return g_test_run();
}
