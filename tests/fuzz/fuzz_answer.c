/* The head and body of an answer, line by line and piece by piece as libcurl hands them over. */
#include "transport/internal.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const bh_transfer *x)
{
	const bh_answer *a = &x->answer;

	g_assert_cmpuint(a->head->len, <=, BH_ANSWER_HEADERS_MAX);
	g_assert_cmpuint(a->body->len, <=, BH_ANSWER_KEPT_MAX);
	g_assert_true(!a->location || g_utf8_validate(a->location, -1, NULL));
	g_assert_true(!a->control || g_utf8_validate(a->control, -1, NULL));
	g_assert_true(a->retry_after >= 0);
	g_assert_true(!x->head_complete || (x->status_line >= 101 && x->status_line <= 999));
	g_assert_cmpuint(strlen(a->http_version), <, sizeof a->http_version);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bh_transport transport = {.now = {.wall = INT64_C(1767268800) * BH_SECOND}};
	bh_transfer x = {.transport = &transport};
	g_autofree char *text = g_memdup2(data, size);
	char *at = text, *end = text + size;
	bool on = true;

	bh_answer_begin(&x);
	while (on && !x.head_complete && at < end) {
		char *line_end = memchr(at, '\n', (size_t)(end - at));
		size_t line = (size_t)((line_end ? line_end + 1 : end) - at);
		on = bh_answer_read_header(at, 1, line, &x) == line;
		at += line;
	}
	if (on && at < end)
		(void)bh_answer_read_body(at, 1, (size_t)(end - at), &x);
	check(&x);
	bh_answer_discard(&x);
	if (x.answer.head)
		g_string_free(x.answer.head, true);
	if (x.answer.body)
		g_byte_array_unref(x.answer.body);
	return 0;
}
