/* Requests to token services as bytes, and what is read from their answers. */
#include "method/token_answer.h"
#include "method/token_request.h"

#include <glib.h>
#include <string.h>

/* --- requests --------------------------------------------------------------------------------- */

/* The client of the case oauth-secret-basic. */
static bh_token_request request_of(bh_credentials credentials)
{
	return (bh_token_request){
		.url = bh_span_of("https://id.example/token"),
		.client_id = bh_span_of("guest hub/7"),
		.client_secret = bh_span_of("p+q/r=s:t%u&v w\xC3\xA9"),
		.credentials = credentials,
	};
}

static void assert_form(const bh_token_request *r, const char *expected)
{
	g_autoptr(bh_secret) form = bh_token_request_form(r);
	g_assert_cmpstr(bh_secret_bytes(form).at, ==, expected);
}

static void assert_header(const bh_token_request *r, const char *expected)
{
	g_autoptr(bh_secret) header = bh_token_request_header(r);
	g_assert_cmpstr(header ? bh_secret_bytes(header).at : NULL, ==, expected);
}

static void credentials_go_where_they_were_asked_to(void)
{
	bh_token_request r = request_of(BH_CREDENTIALS_HEADER);
	assert_header(&r, "Authorization: Basic Z3Vlc3QraHViJTJGNzpwJTJCcSUyRnIlM0RzJTNBdCUyNXUlMjZ2K3clQzMlQTk=");
	assert_form(&r, "grant_type=client_credentials");

	r = request_of(BH_CREDENTIALS_HEADER_RAW);
	assert_header(&r, "Authorization: Basic Z3Vlc3QgaHViLzc6cCtxL3I9czp0JXUmdiB3w6k=");
	assert_form(&r, "grant_type=client_credentials");

	r = request_of(BH_CREDENTIALS_BODY);
	assert_header(&r, NULL);
	assert_form(&r, "grant_type=client_credentials&client_id=guest+hub%2F7"
			"&client_secret=p%2Bq%2Fr%3Ds%3At%25u%26v+w%C3%A9");
}

static void what_else_is_asked_for_stands_in_the_form(void)
{
	bh_token_request r = request_of(BH_CREDENTIALS_HEADER);
	r.scope = bh_span_of("bookings:read rooms");
	r.audience = bh_span_of("https://api.example");
	r.resources[r.resources_count++] = bh_span_of("https://b.example/");
	r.resources[r.resources_count++] = bh_span_of("https://a.example/");
	r.extra[r.extra_count++] = (bh_token_pair){bh_span_of("tenant"), bh_span_of("7&8")};
	r.extra[r.extra_count++] = (bh_token_pair){bh_span_of("acr"), bh_span_of("")};
	bh_token_request_sort(&r);
	assert_form(&r, "grant_type=client_credentials&scope=bookings%3Aread+rooms&audience=https%3A%2F%2Fapi.example"
			"&resource=https%3A%2F%2Fb.example%2F&resource=https%3A%2F%2Fa.example%2F&acr=&tenant=7%268");
}

static void every_part_of_a_request_makes_another_key(void)
{
	bh_token_request rows[12];
	uint8_t digests[G_N_ELEMENTS(rows)][BH_TOKEN_DIGEST_SIZE], again[BH_TOKEN_DIGEST_SIZE];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		rows[i] = request_of(BH_CREDENTIALS_HEADER);
	rows[1].url = bh_span_of("https://id.example/token2");
	rows[2].client_id = bh_span_of("guest hub/8");
	rows[3].client_secret = bh_span_of("other");
	rows[4].scope = bh_span_of("a");
	rows[5].audience = bh_span_of("a");
	rows[6].credentials = BH_CREDENTIALS_BODY;
	rows[7].resources[rows[7].resources_count++] = bh_span_of("a");
	rows[8].extra[rows[8].extra_count++] = (bh_token_pair){bh_span_of("a"), bh_span_of("b")};
	rows[9].extra[rows[9].extra_count++] = (bh_token_pair){bh_span_of("ab"), bh_span_of("")};
	rows[10].credentials = BH_CREDENTIALS_HEADER_RAW;
	rows[11].resources[rows[11].resources_count++] = bh_span_of("a");
	rows[11].resources[rows[11].resources_count++] = bh_span_of("b");

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_token_request_digest(&rows[i], hash, digests[i]);
		for (size_t j = 0; j < i; j++)
			g_assert_cmpint(memcmp(digests[i], digests[j], sizeof digests[i]), !=, 0);
	}
	bh_token_request_digest(&rows[0], hash, again);
	g_assert_cmpmem(again, sizeof again, digests[0], sizeof digests[0]);

	/* What is remembered of the last one is good for the very same one alone, whichever came between. */
	bh_token_digest last = {0};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(rows); j++) {
			bh_token_digest_find(&last, &rows[i], hash, again);
			g_assert_cmpmem(again, sizeof again, digests[i], sizeof digests[i]);
			bh_token_digest_find(&last, &rows[j], hash, again);
			g_assert_cmpmem(again, sizeof again, digests[j], sizeof digests[j]);
		}
	}
	bh_token_digest_clear(&last);
	EVP_MD_CTX_free(hash);
}

/* --- answers ---------------------------------------------------------------------------------- */

typedef struct case_ {
	int status;
	const char *body;
	const char *token; /* NULL: none */
	bh_usec life;
	bh_cause cause;
	const char *sentence; /* a part of it */
} case_;

static bh_answer answer_of(int status, const char *body, size_t size)
{
	bh_answer answer = {.status = status, .body = g_byte_array_new()};
	g_byte_array_append(answer.body, (const guint8 *)body, (guint)size);
	return answer;
}

static void check(const case_ *row)
{
	bh_answer answer = answer_of(row->status, row->body, strlen(row->body));
	bh_token_answer read;

	g_test_message("%d %s", row->status, row->body);
	bh_token_answer_read(&answer, &read);
	g_assert_cmpstr(read.token ? bh_secret_bytes(read.token).at : NULL, ==, row->token);
	if (row->token) {
		g_assert_cmpint(read.life, ==, row->life);
		g_assert_null(read.sentence);
	} else {
		g_assert_cmpint(read.cause, ==, row->cause);
		g_assert_nonnull(strstr(read.sentence, row->sentence));
		g_assert_true(g_str_has_prefix(read.sentence, "The "));
	}
	bh_token_answer_clear(&read);
	g_byte_array_unref(answer.body);
}

#define TOKEN(rest) "{\"access_token\":\"abc-._~+/==\",\"token_type\":\"Bearer\"" rest "}"

static void a_token_and_its_life_are_read(void)
{
	static const char token[] = "abc-._~+/==";
	static const case_ rows[] = {
		{200, TOKEN(""), token, 0},
		{200, TOKEN(",\"expires_in\":3600"), token, BH_HOUR},
		{201, TOKEN(",\"expires_in\":\"3600\""), token, BH_HOUR},
		{200, TOKEN(",\"expires_in\":3600.0"), token, BH_HOUR},
		{200, TOKEN(",\"expires_in\":3.6e3"), token, BH_HOUR},
		{200, TOKEN(",\"expires_in\":0"), token, 0},
		{200, TOKEN(",\"expires_in\":-1"), token, 0},
		{200, TOKEN(",\"expires_in\":null"), token, 0},
		{200, TOKEN(",\"expires_in\":\"soon\""), token, 0},
		{200, TOKEN(",\"expires_in\":\"\""), token, 0},
		{200, TOKEN(",\"expires_in\":\"nan\""), token, 0},
		{200, TOKEN(",\"expires_in\":[3600]"), token, 0},
		{200, TOKEN(",\"expires_in\":1e400"), token, 0},
		{200, TOKEN(",\"expires_in\":9223372036854775807"), token, 3650 * BH_DAY},
		{200, "{\"access_token\":\"a\\/b\",\"token_type\":\"bEARER\"}", "a/b", 0},
		{200, "{\"access_token\":\"a\"}", "a", 0},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		check(&rows[i]);
}

static void what_is_no_usable_token_is_said_in_words(void)
{
	static const case_ rows[] = {
		{200, "", NULL, 0, BH_CAUSE_TOKEN, "not as JSON"},
		{200, "access_token=a&token_type=bearer", NULL, 0, BH_CAUSE_TOKEN, "not as JSON"},
		{200, "<html>", NULL, 0, BH_CAUSE_TOKEN, "not as JSON"},
		{200, "[]", NULL, 0, BH_CAUSE_TOKEN, "it is no object"},
		{200, "{}", NULL, 0, BH_CAUSE_TOKEN, "answered 200 without an access_token"},
		{204, "{}", NULL, 0, BH_CAUSE_TOKEN, "answered 204 without an access_token"},
		{200, "{\"access_token\":null}", NULL, 0, BH_CAUSE_TOKEN, "cannot stand in a header"},
		{200, "{\"access_token\":7}", NULL, 0, BH_CAUSE_TOKEN, "cannot stand in a header"},
		{200, "{\"access_token\":\"\"}", NULL, 0, BH_CAUSE_TOKEN, "cannot stand in a header"},
		{200, "{\"access_token\":\"a\\r\\nX-Evil: 1\"}", NULL, 0, BH_CAUSE_TOKEN, "cannot stand in a header"},
		{200, "{\"access_token\":\"a b\"}", NULL, 0, BH_CAUSE_TOKEN, "cannot stand in a header"},
		{200, "{\"access_token\":\"a\\u0000b\"}", NULL, 0, BH_CAUSE_TOKEN, "cannot stand in a header"},
		{200, "{\"access_token\":\"\xC3\xA9\"}", NULL, 0, BH_CAUSE_TOKEN, "cannot stand in a header"},
		{200, "{\"access_token\":\"a\",\"access_token\":\"b\"}", NULL, 0, BH_CAUSE_TOKEN, "not as JSON"},
		{200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}", NULL, 0, BH_CAUSE_TOKEN,
		 "\"mac\", not Bearer"},
		{302, "", NULL, 0, BH_CAUSE_TOKEN, "302, which leads elsewhere"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		check(&rows[i]);
}

static void a_refusal_says_whose_fault_it_is(void)
{
	static const case_ rows[] = {
		{401, "", NULL, 0, BH_CAUSE_CREDENTIALS, "answered 401."},
		{403, "<html>", NULL, 0, BH_CAUSE_CREDENTIALS, "answered 403."},
		{401, "{\"error\":\"invalid_client\"}", NULL, 0, BH_CAUSE_CREDENTIALS, "401, invalid_client."},
		{400, "{\"error\":\"invalid_scope\",\"error_description\":\"No such scope\"}", NULL, 0,
		 BH_CAUSE_CREDENTIALS, "400, invalid_scope: \"No such scope\"."},
		{400, "{\"error\":\"temporarily_unavailable\"}", NULL, 0, BH_CAUSE_TOKEN, "temporarily_unavailable"},
		{400, "nonsense", NULL, 0, BH_CAUSE_TOKEN, "answered 400."},
		{400, "{\"error\":{\"code\":7}}", NULL, 0, BH_CAUSE_TOKEN, "answered 400."},
		{404, "{\"error\":\"invalid_client\"}", NULL, 0, BH_CAUSE_TOKEN, "404, invalid_client."},
		{429, "", NULL, 0, BH_CAUSE_TOKEN, "answered 429."},
		{503, "{\"error\":\"server_error\"}", NULL, 0, BH_CAUSE_TOKEN, "503, server_error."},
		{400, "{\"error\":\"a\\u0007b\\nc\"}", NULL, 0, BH_CAUSE_CREDENTIALS, "400, a b c."},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		check(&rows[i]);
}

static void a_long_description_is_cut_at_a_characters_end(void)
{
	g_autoptr(GString) body = g_string_new("{\"error\":\"invalid_client\",\"error_description\":\"x");
	bh_token_answer read;
	for (size_t i = 0; i < 1000; i++)
		g_string_append(body, "\xC3\xA9");
	g_string_append(body, "\"}");
	bh_answer answer = answer_of(401, body->str, body->len);

	bh_token_answer_read(&answer, &read);
	g_assert_true(g_utf8_validate(read.sentence, -1, NULL));
	g_assert_cmpuint(strlen(read.sentence), <, 300);
	bh_token_answer_clear(&read);
	g_byte_array_unref(answer.body);
}

static void depth_and_size_are_bounded(void)
{
	g_autoptr(GString) deep = g_string_new("{\"access_token\":\"a\",\"x\":");
	g_autofree char *long_token = g_strnfill(BH_TOKEN_MAX + 1, 'a');
	g_autofree char *long_body = g_strdup_printf("{\"access_token\":\"%s\"}", long_token);
	const char *bodies[] = {deep->str, long_body};
	for (size_t i = 0; i < 100000; i++)
		g_string_append_c(deep, '[');
	bodies[0] = deep->str;

	for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
		bh_answer answer = answer_of(200, bodies[i], strlen(bodies[i]));
		bh_token_answer read;
		bh_token_answer_read(&answer, &read);
		g_assert_null(read.token);
		g_assert_cmpint(read.cause, ==, BH_CAUSE_TOKEN);
		bh_token_answer_clear(&read);
		g_byte_array_unref(answer.body);
	}
}

static void a_cut_answer_is_no_token(void)
{
	static const struct {
		unsigned size;
		const char *why;
	} rows[] = {{sizeof TOKEN("") - 1, "broke off before its end"},
		    {BH_ANSWER_KEPT_MAX, "longer than 16384 bytes"}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_answer answer = answer_of(200, TOKEN(""), strlen(TOKEN("")));
		unsigned before = answer.body->len;
		bh_token_answer read;
		g_byte_array_set_size(answer.body, rows[i].size);
		memset(answer.body->data + before, ' ', rows[i].size - before);
		answer.body_cut = true;
		bh_token_answer_read(&answer, &read);
		g_assert_null(read.token);
		g_assert_nonnull(strstr(read.sentence, rows[i].why));
		bh_token_answer_clear(&read);
		g_byte_array_unref(answer.body);
	}
}

static void no_answer_is_told_with_its_reason(void)
{
	static const struct {
		bh_cause cause, expected;
	} rows[] = {{BH_CAUSE_TIMEOUT, BH_CAUSE_TOKEN},
		    {BH_CAUSE_DNS, BH_CAUSE_TOKEN},
		    {BH_CAUSE_TLS, BH_CAUSE_TOKEN},
		    {BH_CAUSE_GUARD, BH_CAUSE_GUARD},
		    {BH_CAUSE_PROXY, BH_CAUSE_PROXY}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_answer answer = {.cause = rows[i].cause, .sentence = "Something happened."};
		bh_token_answer read;
		bh_token_answer_read(&answer, &read);
		g_assert_cmpint(read.cause, ==, rows[i].expected);
		g_assert_true(g_str_has_suffix(read.sentence, " Something happened."));
		bh_token_answer_clear(&read);
	}
}

static void collect(void *list, bh_span credential)
{
	g_ptr_array_add(list, g_strndup(credential.at, credential.size));
}

static void every_credential_in_an_answer_is_named(void)
{
	static const char body[] =
		"{\"access_token\":\"a\\/b\",\"refresh_token\":\"rrr\",\"id_token\":7,\"scope\":\"s\"}";
	g_autoptr(GPtrArray) seen = g_ptr_array_new_with_free_func(g_free);
	bh_answer answer = answer_of(200, body, strlen(body));

	bh_token_answer_each_credential(&answer, collect, seen);
	g_assert_cmpuint(seen->len, ==, 3);
	g_assert_cmpstr(seen->pdata[0], ==, "a\\/b");
	g_assert_cmpstr(seen->pdata[1], ==, "a/b");
	g_assert_cmpstr(seen->pdata[2], ==, "rrr");
	g_byte_array_unref(answer.body);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/token/request/credentials", credentials_go_where_they_were_asked_to);
	g_test_add_func("/token/request/form", what_else_is_asked_for_stands_in_the_form);
	g_test_add_func("/token/request/key", every_part_of_a_request_makes_another_key);
	g_test_add_func("/token/answer/token", a_token_and_its_life_are_read);
	g_test_add_func("/token/answer/unusable", what_is_no_usable_token_is_said_in_words);
	g_test_add_func("/token/answer/refusal", a_refusal_says_whose_fault_it_is);
	g_test_add_func("/token/answer/long", a_long_description_is_cut_at_a_characters_end);
	g_test_add_func("/token/answer/bounds", depth_and_size_are_bounded);
	g_test_add_func("/token/answer/cut", a_cut_answer_is_no_token);
	g_test_add_func("/token/answer/none", no_answer_is_told_with_its_reason);
	g_test_add_func("/token/answer/credentials", every_credential_in_an_answer_is_named);
	return g_test_run();
}
