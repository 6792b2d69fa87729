/* TLS: whom we believe, what we insist on, and what we remember of a certificate that we did not believe. */
#include "transport/internal.h"

#include <openssl/ssl.h>
#include <time.h>

static bh_transfer *transfer_of(X509_STORE_CTX *verification)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx());

	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static void note_date(bh_transfer *x, const ASN1_TIME *at)
{
	struct tm date;

	if (ASN1_TIME_to_tm(at, &date) == 1)
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
 * For each new TLS connection. Without renegotiation nothing is verified after the first handshake, when the connection may
 * have passed to another transfer and this one may be gone.
 */
static CURLcode set_up_context(CURL *easy, void *context, void *transfer)
{
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_app_data(context, transfer);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
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
}
