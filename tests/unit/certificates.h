/* Certificates made on the spot, and servers' contexts with them. For tests only. */
#pragma once

#include <glib.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#define DAY (24 * 60 * 60L)

typedef struct certificate {
	X509 *x509;
	EVP_PKEY *key;
} certificate;

typedef struct certificate_options {
	const certificate *issuer; /* NULL: itself */
	const char *names; /* as in an extension: "IP:127.0.0.1"; NULL: an authority */
	long from, until; /* seconds from now; both 0: a day around it */
	int rsa_bits; /* 0: P-256 */
	const char *common_name; /* NULL: "test 1", "test 2", ... */
	const EVP_MD *digest; /* NULL: SHA-256 */
} certificate_options;

static inline void add_extension(X509 *x509, int kind, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
	g_assert_nonnull(extension);
	X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
}

static inline certificate make(certificate_options o)
{
	static long serial = 1;
	certificate c = {.x509 = X509_new(), .key = o.rsa_bits ? EVP_RSA_gen((unsigned)o.rsa_bits) : EVP_EC_gen("P-256")};
	g_autofree char *name = o.common_name ? g_strdup(o.common_name) : g_strdup_printf("test %ld", serial);
	bool ever = o.from || o.until;

	X509_set_version(c.x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x509), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c.x509), ever ? o.from : -DAY);
	X509_gmtime_adj(X509_getm_notAfter(c.x509), ever ? o.until : DAY);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x509), "CN", MBSTRING_UTF8, (unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c.x509, X509_get_subject_name(o.issuer ? o.issuer->x509 : c.x509));
	X509_set_pubkey(c.x509, c.key);
	add_extension(c.x509, NID_basic_constraints, o.names ? "CA:FALSE" : "critical,CA:TRUE");
	if (o.names)
		add_extension(c.x509, NID_subject_alt_name, o.names);
	g_assert_cmpint(X509_sign(c.x509, o.issuer ? o.issuer->key : c.key, o.digest ? o.digest : EVP_sha256()), >, 0);
	return c;
}

static inline void forget(certificate *c)
{
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(certificate, forget)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SSL_CTX, SSL_CTX_free)

static inline SSL_CTX *served(const certificate *c)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(context, 0); /* a server may have what a client does not take */
	g_assert_cmpint(SSL_CTX_use_certificate(context, c->x509), ==, 1);
	g_assert_cmpint(SSL_CTX_use_PrivateKey(context, c->key), ==, 1);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
	return context;
}

static inline char *text_of_bio(BIO *bio)
{
	char *at;
	long size = BIO_get_mem_data(bio, &at);
	char *text = g_strndup(at, (gsize)size);

	BIO_free(bio);
	return text;
}

static inline char *pem_of(const certificate *c)
{
	BIO *bio = BIO_new(BIO_s_mem());

	g_assert_cmpint(PEM_write_bio_X509(bio, c->x509), ==, 1);
	return text_of_bio(bio);
}

/* `passphrase` NULL: not protected. */
static inline char *pem_of_key(const certificate *c, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());

	g_assert_cmpint(PEM_write_bio_PKCS8PrivateKey(bio, c->key, passphrase ? EVP_aes_256_cbc() : NULL, passphrase,
						      passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
			==, 1);
	return text_of_bio(bio);
}
