/*
 * TLS: whom we believe, what we insist on, what we show of ourselves, and what we remember of a certificate that we did not
 * believe.
 *
 * A request may bring material of its own: authorities that count instead of the usual ones, and a client certificate with
 * its key. libcurl keeps connections (and sessions) apart by the bytes of the authorities and of the certificate, but it does not look
 * at the key. So the key's digest stands below the certificate, outside of any block, where readers of PEM pass over it.
 */
#include "transport/internal.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

static int serial_index;

static void make_serial_index(void)
{
	serial_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* The transfer that began the connection, if it is still waiting for it. With HTTP/2 others may, and it be gone. */
static bh_transfer *transfer_of(X509_STORE_CTX *verification)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx());
	SSL_CTX *context = SSL_get_SSL_CTX(ssl);
	bh_transport *t = SSL_CTX_get_app_data(context);
	uintptr_t serial = (uintptr_t)SSL_CTX_get_ex_data(context, serial_index);

	for (bh_stage s = BH_STAGE_CONNECT; s <= BH_STAGE_SECURE; s++) {
		for (GList *l = t->stages[s].head; l; l = l->next) {
			bh_transfer *x = l->data;
			if (x->serial == serial)
				return x;
		}
	}
	return NULL;
}

static void note_date(bh_transfer *x, const ASN1_TIME *at)
{
	struct tm date;

	if (x && ASN1_TIME_to_tm(at, &date) == 1)
		strftime(x->certificate_date, sizeof x->certificate_date, "%F", &date);
}

/* libcurl only tells the code of the verdict, not which certificate and when. */
static int verify(int accepted, X509_STORE_CTX *verification)
{
	X509 *certificate = X509_STORE_CTX_get_current_cert(verification);

	if (accepted || !certificate)
		return accepted;
	if (X509_STORE_CTX_get_error(verification) == X509_V_ERR_CERT_HAS_EXPIRED)
		note_date(transfer_of(verification), X509_get0_notAfter(certificate));
	else if (X509_STORE_CTX_get_error(verification) == X509_V_ERR_CERT_NOT_YET_VALID)
		note_date(transfer_of(verification), X509_get0_notBefore(certificate));
	return accepted;
}

/*
 * For each new TLS connection, when its handshake begins. It outlives transfers. Without renegotiation nothing is verified after the first
 * handshake.
 */
static CURLcode set_up_context(CURL *easy, void *context, void *transfer)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	bh_transfer *x = transfer;

	pthread_once(&once, make_serial_index);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_app_data(context, x->transport);
	SSL_CTX_set_ex_data(context, serial_index, (void *)x->serial);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
	if (x->stage == BH_STAGE_CONNECT)
		bh_transfer_enter(x, BH_STAGE_SECURE);
	return CURLE_OK;
}

void bh_tls_set(bh_transfer *x)
{
	CURL *e = x->easy;
	const char *authorities = x->transport->ca_file;
	char *usual = NULL;

	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* libcurl only keeps the authorities it has read (which takes 10 ms) when they come from a file and nothing else. */
	if (!authorities && curl_easy_getinfo(e, CURLINFO_CAINFO, &usual) == CURLE_OK)
		authorities = usual;
	curl_easy_setopt(e, CURLOPT_CAINFO, authorities);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, set_up_context);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, x);
	curl_easy_setopt(e, CURLOPT_KEYPASSWD, ""); /* else OpenSSL asks for one at the terminal */
}

SSL *bh_tls_of(const bh_transfer *x)
{
	const struct curl_tlssessioninfo *info = NULL;

	if (curl_easy_getinfo(x->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || !info)
		return NULL;
	return info->internals;
}

bool bh_tls_agreed_on_http2(const bh_transfer *x)
{
	const unsigned char *name = NULL;
	unsigned size = 0;
	SSL *ssl = bh_tls_of(x);

	if (ssl)
		SSL_get0_alpn_selected(ssl, &name, &size);
	return size == 2 && memcmp(name, "h2", 2) == 0;
}

/* --- Of one request --------------------------------------------------------------------------- */

static bool is_given(const char *text)
{
	return text && *text;
}

/* libcurl reads it from our memory, so that a key is in no more places than it must be. */
static void lend(CURL *e, CURLoption option, char *bytes, size_t size)
{
	struct curl_blob blob = {.data = bytes, .len = size, .flags = CURL_BLOB_NOCOPY};

	curl_easy_setopt(e, option, bytes ? &blob : NULL);
}

static char *with_digest(const char *certificate, bh_span key)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	GString *text = g_string_new(certificate);

	SHA256((const unsigned char *)key.at, key.size, digest);
	g_string_append(text, "\n# of the key: ");
	for (size_t i = 0; i < sizeof digest; i++)
		g_string_append_printf(text, "%02x", digest[i]);
	g_string_append_c(text, '\n');
	return g_string_free(text, false);
}

void bh_tls_use(bh_transfer *x, const bh_request *r)
{
	bh_own_tls *own = &x->own_tls;

	if (is_given(r->tls_ca)) {
		own->ca = g_strdup(r->tls_ca);
		lend(x->easy, CURLOPT_CAINFO_BLOB, own->ca, strlen(own->ca));
	}
	if (is_given(r->tls_certificate)) {
		own->certificate = with_digest(r->tls_certificate, r->tls_key);
		own->key = g_memdup2(r->tls_key.at, r->tls_key.size);
		own->key_size = r->tls_key.size;
		lend(x->easy, CURLOPT_SSLCERT_BLOB, own->certificate, strlen(own->certificate));
		lend(x->easy, CURLOPT_SSLKEY_BLOB, own->key, own->key_size);
	}
}

void bh_tls_forget(bh_transfer *x)
{
	bh_own_tls *own = &x->own_tls;

	if (own->ca)
		lend(x->easy, CURLOPT_CAINFO_BLOB, NULL, 0);
	if (own->certificate) {
		lend(x->easy, CURLOPT_SSLCERT_BLOB, NULL, 0);
		lend(x->easy, CURLOPT_SSLKEY_BLOB, NULL, 0);
	}
	if (own->key)
		OPENSSL_cleanse(own->key, own->key_size);
	g_free(own->ca);
	g_free(own->certificate);
	g_free(own->key);
	*own = (bh_own_tls){0};
}
