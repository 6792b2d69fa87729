#include "base/seal.h"

#include "base/chance.h"
#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_SIZE 32
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define KEY_FILE_MAX 256 /* bytes; base64 of 32 bytes is 44 */

struct bh_sealer {
	unsigned char key[KEY_SIZE];
	EVP_CIPHER *cipher; /* fetched once: the look-up takes a lock and longer than sealing */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

/* Base64 as we write it and nothing else: GLib skips what it does not know. */
static unsigned char *decode_strictly(const char *text, size_t *ret_size)
{
	size_t size;
	g_autofree unsigned char *bytes = g_base64_decode(text, &size);
	char *again = g_base64_encode(bytes, size);
	bool same = strcmp(again, text) == 0;

	bh_text_wipe(again);
	if (!same) {
		OPENSSL_cleanse(bytes, size);
		return NULL;
	}
	*ret_size = size;
	return g_steal_pointer(&bytes);
}

static bool read_key(const char *text, const char *where, unsigned char ret_key[KEY_SIZE], GError **error)
{
	size_t size = 0;
	g_autofree unsigned char *bytes = decode_strictly(text, &size);
	bool right = bytes && size == KEY_SIZE;

	if (right)
		memcpy(ret_key, bytes, KEY_SIZE);
	else
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "sealing key in \"%s\": not 32 bytes as base64", where);
	if (bytes)
		OPENSSL_cleanse(bytes, size);
	return right;
}

static bool failed_on(const char *path, const char *what, GError **error)
{
	int why = errno;

	g_set_error(error, BH_ERROR, BH_ERROR_IO, "sealing key file \"%s\": cannot %s: %s", path, what,
		    g_strerror(why));
	return false;
}

static bool write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		size -= (size_t)n;
	}
	return true;
}

static bool sync_folder_of(const char *path)
{
	g_autofree char *folder = g_path_get_dirname(path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;
	bool synced = fsync(fd) == 0;
	close(fd);
	return synced;
}

/*
 * The key must be whole on disk before anything is sealed with it, and of two processes that start
 * together both must use the same: so it is written aside, and linked to its name only if that is free.
 */
static bool make_key_file(const char *path, GError **error)
{
	unsigned char key[KEY_SIZE];
	g_autofree char *aside = g_strdup_printf("%s.XXXXXX", path);

	int fd = g_mkstemp_full(aside, O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed_on(path, "make it", error);

	bh_random_bytes(key, sizeof key);
	char *text = g_base64_encode(key, sizeof key);
	OPENSSL_cleanse(key, sizeof key);
	bool written = write_all(fd, text, strlen(text)) && write_all(fd, "\n", 1) && fsync(fd) == 0;
	bh_text_wipe(text);
	if (!written)
		failed_on(path, "write it", error);
	close(fd);

	BH_FAULT("seal.key-written");
	if (written && link(aside, path) != 0 && errno != EEXIST)
		written = failed_on(path, "make it", error);
	BH_FAULT("seal.key-linked");
	unlink(aside);
	if (written && !sync_folder_of(path))
		written = failed_on(path, "make it durable", error);
	return written;
}

/* Reads the open file's key; refuses one that others on the machine may read. */
static bool read_key_fd(int fd, const char *path, unsigned char ret_key[KEY_SIZE], GError **error)
{
	struct stat st;
	char text[KEY_FILE_MAX + 1];

	if (fstat(fd, &st) != 0)
		return failed_on(path, "look at it", error);
	if (st.st_mode & 077) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
			    "sealing key file \"%s\": others may read it (mode %03o); chmod 600 it", path,
			    (unsigned)st.st_mode & 0777);
		return false;
	}
	ssize_t size = read(fd, text, KEY_FILE_MAX);
	if (size < 0)
		return failed_on(path, "read it", error);
	text[size] = '\0';
	bool read = read_key(g_strchomp(text), path, ret_key, error);
	OPENSSL_cleanse(text, sizeof text);
	return read;
}

static bool read_key_file(const char *path, unsigned char ret_key[KEY_SIZE], GError **error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		if (!make_key_file(path, error))
			return false;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return failed_on(path, "open it", error);
	bool read = read_key_fd(fd, path, ret_key, error);
	close(fd);
	return read;
}

static bool fetch_cipher(bh_sealer *s, GError **error)
{
	s->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (!s->cipher)
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "libcrypto offers no AES-256-GCM");
	return s->cipher != NULL;
}

bh_sealer *bh_sealer_open(const char *path, GError **error)
{
	g_autoptr(bh_sealer) s = g_new0(bh_sealer, 1);
	const char *given = g_getenv("BELLHOP_SEAL_KEY");

	if (given && *given ? !read_key(given, "BELLHOP_SEAL_KEY", s->key, error) : !read_key_file(path, s->key, error))
		return NULL;
	return fetch_cipher(s, error) ? g_steal_pointer(&s) : NULL;
}

bh_sealer *bh_sealer_throwaway(GError **error)
{
	g_autoptr(bh_sealer) s = g_new0(bh_sealer, 1);

	bh_random_bytes(s->key, sizeof s->key);
	return fetch_cipher(s, error) ? g_steal_pointer(&s) : NULL;
}

void bh_sealer_free(bh_sealer *sealer)
{
	if (!sealer)
		return;
	EVP_CIPHER_free(sealer->cipher);
	OPENSSL_cleanse(sealer->key, sizeof sealer->key);
	g_free(sealer);
}

/* libcrypto refuses correct arguments only when memory is out, which stops us everywhere else, too. */
static void must(int result)
{
	if (result != 1)
		g_error("libcrypto failed");
}

char *bh_seal(const bh_sealer *sealer, bh_span plain, const char *purpose)
{
	g_autofree unsigned char *sealed = g_malloc(NONCE_SIZE + plain.size + TAG_SIZE);
	unsigned char *body = sealed + NONCE_SIZE;
	g_autoptr(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	int size = 0;

	g_assert(plain.size <= G_MAXINT - NONCE_SIZE - TAG_SIZE);
	bh_random_bytes(sealed, NONCE_SIZE);
	must(EVP_EncryptInit_ex(ctx, sealer->cipher, NULL, sealer->key, sealed));
	must(EVP_EncryptUpdate(ctx, NULL, &size, (const unsigned char *)purpose, (int)strlen(purpose)));
	if (plain.size > 0)
		must(EVP_EncryptUpdate(ctx, body, &size, (const unsigned char *)plain.at, (int)plain.size));
	must(EVP_EncryptFinal_ex(ctx, body + plain.size, &size));
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, body + plain.size));
	return g_base64_encode(sealed, NONCE_SIZE + plain.size + TAG_SIZE);
}

/* Is it ours, and what does it say? Writes plain text only for the caller to wipe. */
static bool open_sealed(const bh_sealer *sealer, unsigned char *sealed, size_t plain_size, const char *purpose,
			unsigned char *plain)
{
	unsigned char *body = sealed + NONCE_SIZE;
	g_autoptr(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	int size = 0;

	must(EVP_DecryptInit_ex(ctx, sealer->cipher, NULL, sealer->key, sealed));
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, body + plain_size));
	must(EVP_DecryptUpdate(ctx, NULL, &size, (const unsigned char *)purpose, (int)strlen(purpose)));
	if (plain_size > 0)
		must(EVP_DecryptUpdate(ctx, plain, &size, body, (int)plain_size));
	return EVP_DecryptFinal_ex(ctx, plain + plain_size, &size) == 1;
}

bh_secret *bh_unseal(const bh_sealer *sealer, const char *sealed, const char *purpose, GError **error)
{
	size_t size = 0;
	g_autofree unsigned char *bytes = decode_strictly(sealed, &size);
	bh_secret *secret = NULL;

	if (bytes && size >= NONCE_SIZE + TAG_SIZE && size <= G_MAXINT) {
		size_t plain_size = size - NONCE_SIZE - TAG_SIZE;
		g_autofree unsigned char *plain = g_malloc(plain_size + 1);
		if (open_sealed(sealer, bytes, plain_size, purpose, plain))
			secret = bh_secret_new(plain, plain_size);
		OPENSSL_cleanse(plain, plain_size);
	}
	if (!secret)
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
			    "\"%s\" does not open: sealed with another key, for another purpose, or damaged", purpose);
	return secret;
}

static void hmac(const unsigned char *key, bh_span message, unsigned char ret[BH_MAC_SIZE])
{
	unsigned size = 0;

	if (!HMAC(EVP_sha256(), key, BH_MAC_SIZE, (const unsigned char *)message.at, message.size, ret, &size))
		must(0);
	g_assert(size == BH_MAC_SIZE);
}

void bh_sealer_mac(const bh_sealer *sealer, bh_span message, const char *purpose, unsigned char ret[BH_MAC_SIZE])
{
	unsigned char derived[BH_MAC_SIZE];
	g_autofree char *label = g_strconcat("bellhop mac: ", purpose, NULL);

	G_STATIC_ASSERT(KEY_SIZE == BH_MAC_SIZE);
	hmac(sealer->key, bh_span_of(label), derived);
	hmac(derived, message, ret);
	OPENSSL_cleanse(derived, sizeof derived);
}
