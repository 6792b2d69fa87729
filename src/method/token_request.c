#include "method/token_request.h"

#include <string.h>

/* --- The key ---------------------------------------------------------------------------------- */

static int compare_pairs(const void *a, const void *b)
{
	const bh_token_pair *one = a, *other = b;
	int order = memcmp(one->name.at, other->name.at, MIN(one->name.size, other->name.size));
	return order ? order : (one->name.size > other->name.size) - (one->name.size < other->name.size);
}

void bh_token_request_sort(bh_token_request *r)
{
	qsort(r->extra, r->extra_count, sizeof r->extra[0], compare_pairs);
}

static void must(int ok)
{
	g_assert(ok == 1);
}

/* Its size goes first, so that no two requests make one row of bytes. */
static void add(EVP_MD_CTX *hash, bh_span piece)
{
	must(EVP_DigestUpdate(hash, &piece.size, sizeof piece.size));
	must(EVP_DigestUpdate(hash, piece.at, piece.size));
}

void bh_token_request_digest(const bh_token_request *r, EVP_MD_CTX *hash, uint8_t digest[BH_TOKEN_DIGEST_SIZE])
{
	const unsigned counts[] = {r->credentials, r->resources_count, r->extra_count};

	must(EVP_DigestInit_ex(hash, EVP_MD_CTX_get0_md(hash) ? NULL : EVP_sha256(), NULL));
	must(EVP_DigestUpdate(hash, counts, sizeof counts));
	add(hash, r->url);
	add(hash, r->client_id);
	add(hash, r->client_secret);
	add(hash, r->scope);
	add(hash, r->audience);
	for (unsigned i = 0; i < r->resources_count; i++)
		add(hash, r->resources[i]);
	for (unsigned i = 0; i < r->extra_count; i++) {
		add(hash, r->extra[i].name);
		add(hash, r->extra[i].value);
	}
	must(EVP_DigestFinal_ex(hash, digest, NULL));
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* A text that grows up to a size known before: a buffer that moves would leave secrets behind. */
typedef struct text {
	char *at;
	size_t size, most;
} text;

static text text_of(size_t most)
{
	return (text){.at = g_malloc(most), .most = most};
}

static void put(text *t, bh_span piece)
{
	g_assert(piece.size <= t->most - t->size);
	if (piece.size > 0)
		memcpy(t->at + t->size, piece.at, piece.size);
	t->size += piece.size;
}

/* application/x-www-form-urlencoded, as in Appendix B of RFC 6749. */
static void put_encoded(text *t, bh_span piece)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < piece.size; i++) {
		unsigned char c = (unsigned char)piece.at[i];
		char escaped[] = {'%', digits[c >> 4], digits[c & 15]};
		if (g_ascii_isalnum(c) || c == '-' || c == '.' || c == '_')
			put(t, (bh_span){&piece.at[i], 1});
		else
			put(t, c == ' ' ? bh_span_of("+") : (bh_span){escaped, sizeof escaped});
	}
}

static size_t encoded_max(bh_span piece)
{
	return 3 * piece.size;
}

static bh_secret *finish(text *t)
{
	bh_secret *secret = bh_secret_new(t->at, t->size);
	OPENSSL_cleanse(t->at, t->size);
	g_free(t->at);
	return secret;
}

bh_secret *bh_token_request_encoded_secret(const bh_token_request *r)
{
	text encoded = text_of(encoded_max(r->client_secret) + 1);
	put_encoded(&encoded, r->client_secret);
	return finish(&encoded);
}

static void put_member(text *t, bh_span name, bh_span value)
{
	if (t->size > 0)
		put(t, bh_span_of("&"));
	put_encoded(t, name);
	put(t, bh_span_of("="));
	put_encoded(t, value);
}

static void put_if_said(text *t, bh_span name, bh_span value)
{
	if (value.size > 0)
		put_member(t, name, value);
}

static size_t form_max(const bh_token_request *r)
{
	size_t most = 256 + encoded_max(r->client_id) + encoded_max(r->client_secret) + encoded_max(r->scope) +
		      encoded_max(r->audience);

	for (unsigned i = 0; i < r->resources_count; i++)
		most += encoded_max(r->resources[i]) + sizeof "&resource=";
	for (unsigned i = 0; i < r->extra_count; i++)
		most += encoded_max(r->extra[i].name) + encoded_max(r->extra[i].value) + sizeof "&=";
	return most;
}

bh_secret *bh_token_request_form(const bh_token_request *r)
{
	text form = text_of(form_max(r));

	put_member(&form, bh_span_of("grant_type"), bh_span_of("client_credentials"));
	if (r->credentials == BH_CREDENTIALS_BODY) {
		put_member(&form, bh_span_of("client_id"), r->client_id);
		put_member(&form, bh_span_of("client_secret"), r->client_secret);
	}
	put_if_said(&form, bh_span_of("scope"), r->scope);
	put_if_said(&form, bh_span_of("audience"), r->audience);
	for (unsigned i = 0; i < r->resources_count; i++)
		put_member(&form, bh_span_of("resource"), r->resources[i]);
	for (unsigned i = 0; i < r->extra_count; i++)
		put_member(&form, r->extra[i].name, r->extra[i].value);
	return finish(&form);
}

bh_secret *bh_token_request_header(const bh_token_request *r)
{
	if (r->credentials == BH_CREDENTIALS_BODY)
		return NULL;
	void (*write)(text * t, bh_span piece) = r->credentials == BH_CREDENTIALS_HEADER ? put_encoded : put;
	text plain = text_of(encoded_max(r->client_id) + 1 + encoded_max(r->client_secret));
	write(&plain, r->client_id);
	put(&plain, bh_span_of(":"));
	write(&plain, r->client_secret);

	static const char prefix[] = "Authorization: Basic ";
	text line = text_of(sizeof prefix + (plain.size + 2) / 3 * 4 + 1);
	put(&line, bh_span_of(prefix));
	line.size += (size_t)EVP_EncodeBlock((unsigned char *)line.at + line.size, (unsigned char *)plain.at,
					     (int)plain.size);
	bh_secret_unref(finish(&plain));
	return finish(&line);
}
