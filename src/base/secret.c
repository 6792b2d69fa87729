#include "base/secret.h"

#include "base/chance.h"

#include <openssl/crypto.h>
#include <string.h>

struct bh_secret {
	int refs;
	size_t size;
	char bytes[]; /* and a NUL */
};

static bh_secret *allocate(size_t size)
{
	bh_secret *s = g_malloc(sizeof *s + size + 1);

	s->refs = 1;
	s->size = size;
	s->bytes[size] = '\0';
	return s;
}

bh_secret *bh_secret_new(const void *bytes, size_t size)
{
	bh_secret *s = allocate(size);

	if (size > 0)
		memcpy(s->bytes, bytes, size);
	return s;
}

bh_secret *bh_secret_random(size_t size)
{
	bh_secret *s = allocate(size);

	bh_random_bytes(s->bytes, size);
	return s;
}

bh_secret *bh_secret_ref(bh_secret *secret)
{
	if (secret)
		g_atomic_int_inc(&secret->refs);
	return secret;
}

void bh_secret_unref(bh_secret *secret)
{
	if (!secret || !g_atomic_int_dec_and_test(&secret->refs))
		return;
	OPENSSL_cleanse(secret->bytes, secret->size);
	g_free(secret);
}

bh_span bh_secret_bytes(const bh_secret *secret)
{
	return (bh_span){secret->bytes, secret->size};
}

bool bh_secret_equal(const bh_secret *a, const bh_secret *b)
{
	return a->size == b->size && CRYPTO_memcmp(a->bytes, b->bytes, a->size) == 0;
}

void bh_text_wipe(char *text)
{
	if (!text)
		return;
	OPENSSL_cleanse(text, strlen(text));
	g_free(text);
}
