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

/* A request as one row of pieces. The size of each is part of the row, so that no two requests make the same one. */
#define PIECES_MAX (6 + BH_TOKEN_RESOURCES_MAX + 2 * BH_TOKEN_EXTRA_MAX)

typedef struct token_row {
	unsigned counts[3];
	bh_span pieces[PIECES_MAX];
	unsigned count;
} token_row;

static void put_piece(token_row *row, bh_span piece)
{
	row->pieces[row->count++] = piece;
}

static void make_row(token_row *row, const bh_token_request *r)
{
	row->count = 0;
	row->counts[0] = r->credentials;
	row->counts[1] = r->resources_count;
	row->counts[2] = r->extra_count;
	put_piece(row, (bh_span){(const char *)row->counts, sizeof row->counts});
	put_piece(row, r->url);
	put_piece(row, r->client_id);
	put_piece(row, r->client_secret);
	put_piece(row, r->scope);
	put_piece(row, r->audience);
	for (unsigned i = 0; i < r->resources_count; i++)
		put_piece(row, r->resources[i]);
	for (unsigned i = 0; i < r->extra_count; i++) {
		put_piece(row, r->extra[i].name);
		put_piece(row, r->extra[i].value);
	}
}

static void must(int ok)
{
	g_assert(ok == 1);
}

static void digest_row(const token_row *row, EVP_MD_CTX *hash, uint8_t digest[BH_TOKEN_DIGEST_SIZE])
{
	must(EVP_DigestInit_ex(hash, EVP_MD_CTX_get0_md(hash) ? NULL : EVP_sha256(), NULL));
	for (unsigned i = 0; i < row->count; i++) {
		must(EVP_DigestUpdate(hash, &row->pieces[i].size, sizeof row->pieces[i].size));
		must(EVP_DigestUpdate(hash, row->pieces[i].at, row->pieces[i].size));
	}
	must(EVP_DigestFinal_ex(hash, digest, NULL));
}

void bh_token_request_digest(const bh_token_request *r, EVP_MD_CTX *hash, uint8_t digest[BH_TOKEN_DIGEST_SIZE])
{
	token_row row;

	make_row(&row, r);
	digest_row(&row, hash, digest);
}

/* --- The last one ------------------------------------------------------------------------------ */

static bool is_kept(const bh_secret *kept, const token_row *row)
{
	bh_span rest = bh_secret_bytes(kept);

	for (unsigned i = 0; i < row->count; i++) {
		const bh_span *piece = &row->pieces[i];
		if (rest.size < sizeof piece->size + piece->size ||
		    memcmp(rest.at, &piece->size, sizeof piece->size) != 0 ||
		    (piece->size > 0 && memcmp(rest.at + sizeof piece->size, piece->at, piece->size) != 0))
			return false;
		rest.at += sizeof piece->size + piece->size;
		rest.size -= sizeof piece->size + piece->size;
	}
	return rest.size == 0;
}

static bh_secret *keep(const token_row *row)
{
	size_t size = 0;
	for (unsigned i = 0; i < row->count; i++)
		size += sizeof row->pieces[i].size + row->pieces[i].size;

	char *bytes = g_malloc(size), *at = bytes;
	for (unsigned i = 0; i < row->count; i++) {
		memcpy(at, &row->pieces[i].size, sizeof row->pieces[i].size);
		at += sizeof row->pieces[i].size;
		if (row->pieces[i].size > 0)
			memcpy(at, row->pieces[i].at, row->pieces[i].size);
		at += row->pieces[i].size;
	}
	bh_secret *kept = bh_secret_new(bytes, size);
	OPENSSL_cleanse(bytes, size);
	g_free(bytes);
	return kept;
}

void bh_token_digest_find(bh_token_digest *last, const bh_token_request *r, EVP_MD_CTX *hash,
			  uint8_t digest[BH_TOKEN_DIGEST_SIZE])
{
	token_row row;

	make_row(&row, r);
	if (!last->request || !is_kept(last->request, &row)) {
		bh_token_digest_clear(last);
		digest_row(&row, hash, last->digest);
		last->request = keep(&row);
	}
	memcpy(digest, last->digest, BH_TOKEN_DIGEST_SIZE);
}

void bh_token_digest_clear(bh_token_digest *last)
{
	g_clear_pointer(&last->request, bh_secret_unref);
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
