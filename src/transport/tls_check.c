/*
 * What an owner pastes into a webhook's TLS settings, looked at before it is kept: a wrong paste would otherwise only show when
 * deliveries fail. A text is read block by block (RFC 7468), so that the answer can say which one is wrong.
 *
 *   ca: certificates, one or several    certificate: the client's own, then those above it    key: the one that fits the first
 */
#include "transport/transport.h"

#include "base/error.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SSL_CTX, SSL_CTX_free)

/* One of the three texts, and who shall be told. */
typedef struct part {
	const char *name; /* as in the API: "ca" */
	bh_span text;
	GError **error;
} part;

G_GNUC_PRINTF(2, 3)
static bool wrong(const part *p, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *sentence = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	g_set_error_literal(p->error, BH_ERROR, BH_ERROR_INVALID, sentence);
	return false;
}

/* --- Blocks --------------------------------------------------------------------------------- */

typedef struct block {
	char *name, *header; /* "CERTIFICATE"; "" or what old encrypted keys say of themselves */
	unsigned char *bytes;
	long size;
} block;

static void block_clear(block *b)
{
	OPENSSL_free(b->name);
	OPENSSL_free(b->header);
	OPENSSL_clear_free(b->bytes, (size_t)b->size);
	*b = (block){0};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(block, block_clear)

static bool is_key(const block *b)
{
	return g_str_has_suffix(b->name, "PRIVATE KEY");
}

static bool is_certificate(const block *b)
{
	return strcmp(b->name, PEM_STRING_X509) == 0 || strcmp(b->name, PEM_STRING_X509_OLD) == 0;
}

/* The next block. False: there is none, or (*ret_torn) it cannot be read. */
static bool next_block(BIO *text, block *ret, bool *ret_torn)
{
	block b = {0};

	ERR_clear_error();
	if (PEM_read_bio(text, &b.name, &b.header, &b.bytes, &b.size) == 1) {
		*ret = b;
		return true;
	}
	*ret_torn = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
	ERR_clear_error();
	return false;
}

static bool check_size(const part *p)
{
	if (p->text.size <= BH_TLS_PART_MAX)
		return true;
	return wrong(p, "It is longer than %d bytes: paste only what this webhook needs.", BH_TLS_PART_MAX);
}

static bool nothing_found(const part *p, bool torn, unsigned number, const char *what)
{
	if (torn)
		return wrong(p,
			     "Block %u is damaged: copy it again, whole, from -----BEGIN to -----END with both lines.",
			     number);
	if (p->text.size > 0 && (unsigned char)p->text.at[0] == 0x30)
		return wrong(p,
			     "It is in binary form (DER): turn it into PEM with \"openssl x509 -inform der\" first.");
	return wrong(p, "There is no %s in it: one begins with -----BEGIN %s-----.", what,
		     strcmp(what, "certificate") == 0 ? "CERTIFICATE" : "PRIVATE KEY");
}

/* --- Certificates ----------------------------------------------------------------------------- */

static bh_usec moment_of(const ASN1_TIME *at)
{
	struct tm t;

	return ASN1_TIME_to_tm(at, &t) == 1 ? (bh_usec)timegm(&t) * BH_SECOND : 0;
}

static char *day_of(const ASN1_TIME *at)
{
	struct tm t;
	char text[16] = "?";

	if (ASN1_TIME_to_tm(at, &t) == 1)
		strftime(text, sizeof text, "%F", &t);
	return g_strdup(text);
}

/* How a person knows the certificate: by its common name, without what could spoil a terminal. */
static char *name_of(X509 *x)
{
	X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	int size = at < 0 ? -1 : ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	bh_span name = bh_span_cut((bh_span){(char *)utf8, size > 0 ? (size_t)size : 0}, 80);
	char *text = size > 0 ? g_utf8_make_valid(name.at, (gssize)name.size) : g_strdup("without a name");

	OPENSSL_free(utf8);
	for (char *c = text; *c; c++)
		if (g_ascii_iscntrl(*c))
			*c = ' ';
	return text;
}

static bool check_dates(const part *p, X509 *x, bh_usec now)
{
	g_autofree char *name = name_of(x);

	if (moment_of(X509_get0_notAfter(x)) <= now) {
		g_autofree char *day = day_of(X509_get0_notAfter(x));
		return wrong(p, "The certificate \"%s\" expired on %s: replace it by a new one.", name, day);
	}
	if (moment_of(X509_get0_notBefore(x)) > now) {
		g_autofree char *day = day_of(X509_get0_notBefore(x));
		return wrong(p, "The certificate \"%s\" is only valid from %s on: save it then.", name, day);
	}
	return true;
}

static bool check_certificate_block(const part *p, const block *b, unsigned number)
{
	if (is_certificate(b))
		return true;
	if (is_key(b))
		return wrong(p, "Block %u is a private key, which does not belong here: take it out. %s", number,
			     strcmp(p->name, "ca") == 0 ? "An authority's key must never leave the authority."
							: "It goes into \"key\".");
	g_autofree char *name = g_strescape(b->name, NULL);
	return wrong(p, "Block %u is no certificate but \"%.60s\": take it out, or paste the certificate.", number,
		     name);
}

/* All certificates of the text, in order. NULL: something is wrong. */
static GPtrArray *read_certificates(const part *p, bh_usec now)
{
	g_autoptr(BIO) text = BIO_new_mem_buf(p->text.at, (int)p->text.size);
	g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)X509_free);
	bool torn = false;

	for (;;) {
		g_auto(block) b = {0};
		if (!next_block(text, &b, &torn))
			break;
		if (!check_certificate_block(p, &b, found->len + 1))
			return NULL;
		const unsigned char *at = b.bytes;
		X509 *x = d2i_X509(NULL, &at, b.size);
		if (!x) {
			nothing_found(p, true, found->len + 1, "certificate");
			return NULL;
		}
		g_ptr_array_add(found, x);
		if (!check_dates(p, x, now))
			return NULL;
	}
	if (torn || found->len == 0) {
		nothing_found(p, torn, found->len + 1, "certificate");
		return NULL;
	}
	return g_steal_pointer(&found);
}

static bh_usec first_end(const GPtrArray *certificates)
{
	bh_usec first = INT64_MAX;

	for (guint i = 0; i < certificates->len; i++)
		first = MIN(first, moment_of(X509_get0_notAfter(certificates->pdata[i])));
	return first;
}

/* --- Key ---------------------------------------------------------------------------------------- */

/* Else OpenSSL would ask at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *unused)
{
	return -1;
}

static bool is_encrypted(const block *b)
{
	return g_str_has_prefix(b->name, "ENCRYPTED ") || strstr(b->header, "ENCRYPTED");
}

static bool check_key_block(const part *p, const block *b)
{
	if (is_encrypted(b))
		return wrong(
			p, "The key is protected by a passphrase, which nobody could type in here: take it off with "
			   "\"openssl pkey -in key.pem -out plain.pem\" and paste plain.pem. Bellhop keeps it sealed.");
	if (is_key(b) || g_str_has_suffix(b->name, " PARAMETERS")) /* which "openssl ecparam" writes before the key */
		return true;
	if (is_certificate(b))
		return wrong(p,
			     "This is a certificate, not its private key: the certificate goes into \"certificate\".");
	g_autofree char *name = g_strescape(b->name, NULL);
	return wrong(p, "This is no private key but \"%.60s\".", name);
}

static bool check_key_blocks(const part *p)
{
	g_autoptr(BIO) text = BIO_new_mem_buf(p->text.at, (int)p->text.size);
	unsigned keys = 0;
	bool torn = false;

	for (;;) {
		g_auto(block) b = {0};
		if (!next_block(text, &b, &torn))
			break;
		if (!check_key_block(p, &b))
			return false;
		keys += is_key(&b);
	}
	if (keys == 1 && !torn)
		return true;
	return keys > 1 ? wrong(p, "There is more than one private key in it: paste only the one of the certificate.")
			: nothing_found(p, torn, keys + 1, "private key");
}

/* Read as libcurl will read it. */
static EVP_PKEY *read_key(const part *p)
{
	g_autoptr(BIO) text = BIO_new_mem_buf(p->text.at, (int)p->text.size);

	if (!check_key_blocks(p))
		return NULL;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL);
	ERR_clear_error();
	if (!key)
		nothing_found(p, true, 1, "private key");
	return key;
}

/* --- All together --------------------------------------------------------------------------------- */

/* Whether OpenSSL would offer it to a receiver: too short a key or too weak a signature, and it would not. */
static bool check_strength(const part *p, X509 *own)
{
	g_autoptr(SSL_CTX) context = SSL_CTX_new(TLS_client_method());

	if (SSL_CTX_use_certificate(context, own) == 1)
		return true;
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	wrong(p,
	      "The certificate is too weak to be used (%s): have a new one made, with RSA of 2048 bits at least or a "
	      "curve, signed with SHA-256.",
	      why ? why : "no reason given");
	ERR_clear_error();
	return false;
}

static bool check_fit(const part *p, const GPtrArray *certificates, EVP_PKEY *key)
{
	for (guint i = 0; i < certificates->len; i++) {
		if (X509_check_private_key(certificates->pdata[i], key) != 1)
			continue;
		if (i == 0)
			return true;
		g_autofree char *name = name_of(certificates->pdata[i]);
		return wrong(
			p,
			"The key fits certificate %u, \"%s\": that one must come first in \"certificate\", those above "
			"it follow.",
			i + 1, name);
	}
	ERR_clear_error();
	g_autofree char *name = name_of(certificates->pdata[0]);
	return wrong(p, "The key does not fit the certificate \"%s\": paste the one that the certificate was made for.",
		     name);
}

static bool check_pair(const part *certificate, const part *key, bh_usec now, bh_usec *ret_expires,
		       const char **ret_part)
{
	*ret_part = certificate->name;
	if (certificate->text.size == 0)
		return wrong(certificate,
			     "A key without its certificate is of no use: paste both, or take the key out.");
	if (!check_size(certificate))
		return false;
	g_autoptr(GPtrArray) certificates = read_certificates(certificate, now);
	if (!certificates || !check_strength(certificate, certificates->pdata[0]))
		return false;

	*ret_part = key->name;
	if (key->text.size == 0)
		return wrong(key, "A certificate without its private key is of no use: paste both.");
	if (!check_size(key))
		return false;
	g_autoptr(EVP_PKEY) private = read_key(key);
	if (!private || !check_fit(key, certificates, private))
		return false;
	*ret_expires = first_end(certificates);
	return true;
}

bool bh_tls_check(const char *ca, const char *certificate, bh_span key, bh_usec now, bh_usec *ret_ca_expires,
		  bh_usec *ret_certificate_expires, const char **ret_part, GError **error)
{
	const part ca_part = {"ca", bh_span_of(ca), error},
		   certificate_part = {"certificate", bh_span_of(certificate), error}, key_part = {"key", key, error};
	bh_usec ca_expires = 0, certificate_expires = 0;

	if (ca_part.text.size > 0) {
		*ret_part = ca_part.name;
		if (!check_size(&ca_part))
			return false;
		g_autoptr(GPtrArray) authorities = read_certificates(&ca_part, now);
		if (!authorities)
			return false;
		ca_expires = first_end(authorities);
	}
	if ((certificate_part.text.size > 0 || key.size > 0) &&
	    !check_pair(&certificate_part, &key_part, now, &certificate_expires, ret_part))
		return false;
	*ret_ca_expires = ca_expires;
	*ret_certificate_expires = certificate_expires;
	return true;
}
