/* Why there is no TLS with a receiver: what OpenSSL found, or the receiver says, in a sentence for the owner. */
#include "transport/internal.h"

#include <openssl/x509_vfy.h>
#include <string.h>

#define OURS_HAS_EXPIRED "The receiver says that this webhook's client certificate has expired: renew it."
#define ASKS_FOR_ONE "The receiver asks for a client certificate: put one into this webhook's TLS settings."
#define TAKES_NOT_OURS \
	"The receiver does not accept this webhook's client certificate: ask its people which one it takes."

#define CLOSED_EARLY "The receiver closed the connection during the TLS handshake: look into its own log to see why."

/* --- The certificate ---------------------------------------------------------------------- */

static const struct verdict {
	long code;
	const char *sentence; /* %s: the date in question */
} VERDICTS[] = {
	{X509_V_ERR_CERT_HAS_EXPIRED,
	 "The receiver's certificate, or one above it, expired on %s: it has to be renewed there."},
	{X509_V_ERR_CERT_NOT_YET_VALID,
	 "The receiver's certificate is only valid from %s on: its date, or the clock of one side, has to be put right."},
	{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
	 "The receiver's certificate is self-signed: it needs one from a known authority, or this webhook's TLS settings have to "
	 "name it as the authority (ca)."},
	{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
	 "The receiver's certificate comes from an authority that is not known here: if you trust it, put it into this webhook's "
	 "TLS settings (ca)."},
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "The receiver's certificate leads to no known authority: its "
						       "server must also send the intermediate certificate."},
	{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
	 "The receiver's server sends only its own certificate: it must also send the intermediate one."},
	{X509_V_ERR_CA_MD_TOO_WEAK,
	 "A certificate of the receiver is signed in a way that is no longer safe (SHA-1): it has to be renewed there."},
	{X509_V_ERR_EE_KEY_TOO_SMALL,
	 "The key of the receiver's certificate is too short to be safe: it has to be renewed there."},
	{X509_V_ERR_CA_KEY_TOO_SMALL,
	 "The key of the receiver's authority is too short to be safe: it needs a certificate from another one."},
	{X509_V_ERR_CERT_REVOKED, "The receiver's certificate has been revoked: it has to be renewed there."},
};

static void say_verdict(bh_transfer *x, const struct verdict *v)
{
	const char *hole = strstr(v->sentence, "%s");

	if (hole)
		bh_failure_say(x, BH_CAUSE_TLS, "%.*s%s%s", (int)(hole - v->sentence), v->sentence,
			       *x->certificate_date ? x->certificate_date : "an unknown date", hole + 2);
	else
		bh_failure_say(x, BH_CAUSE_TLS, "%s", v->sentence);
}

/* Authorities of the webhook's own count instead of the known ones. */
static bool is_about_authority(long verdict)
{
	return verdict == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	       verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       verdict == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE || verdict == X509_V_ERR_CERT_SIGNATURE_FAILURE;
}

/* What libcurl makes of the alert "certificate expired" within the handshake. */
#define EXPIRY_ALERT "SSL certificate verification failed"

void bh_failure_certificate(bh_transfer *x)
{
	long verdict = X509_V_OK;

	if (strcmp(x->trouble, EXPIRY_ALERT) == 0) {
		bh_failure_say(x, BH_CAUSE_TLS, "%s", OURS_HAS_EXPIRED);
		return;
	}
	curl_easy_getinfo(x->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	if (verdict == X509_V_OK ||
	    verdict == X509_V_ERR_UNSPECIFIED) { /* OpenSSL had nothing against it: libcurl said no */
		bh_failure_say(
			x, BH_CAUSE_TLS,
			"The receiver's certificate is for another name than \"%.120s\": correct the URL, or renew it "
			"there.",
			x->route->target.host);
		return;
	}
	if (x->own_tls.ca && is_about_authority(verdict)) {
		bh_failure_say(
			x, BH_CAUSE_TLS,
			"The receiver's certificate comes from none of the authorities in this webhook's own TLS settings: correct "
			"them, or its server does not send the intermediate certificate.");
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(VERDICTS); i++) {
		if (VERDICTS[i].code == verdict) {
			say_verdict(x, &VERDICTS[i]);
			return;
		}
	}
	bh_failure_say(x, BH_CAUSE_TLS,
		       "The receiver's certificate was not accepted: %s. It has to be put right there.",
		       X509_verify_cert_error_string(verdict));
}

/* --- The handshake --------------------------------------------------------------------------- */

/* OpenSSL's reasons only reach us as text. */
static const struct reason {
	const char *in, *sentence, *with_ours; /* the latter if we showed a client certificate; NULL: the same */
} REASONS[] = {
	{"wrong version number", "The receiver does not speak TLS on this port: the URL should perhaps begin with "
				 "http://, or name another port."},
	{"http request",
	 "The receiver does not speak TLS on this port: the URL should perhaps begin with http://, or name another port."},
	{"unsupported protocol",
	 "The receiver only offers TLS older than 1.2, which is not safe: it has to be updated."},
	{"protocol version", "The receiver only offers TLS older than 1.2, which is not safe: it has to be updated."},
	{"certificate required", ASKS_FOR_ONE,
	 "The receiver did not get a client certificate that it could use: ask its people which one it takes."},
	{"alert bad certificate", ASKS_FOR_ONE, TAKES_NOT_OURS},
	{"alert unknown ca", TAKES_NOT_OURS,
	 "The receiver does not know the authority of this webhook's client certificate: ask its people which it takes."},
	{"alert certificate unknown", ASKS_FOR_ONE, TAKES_NOT_OURS},
	{"alert unsupported certificate", TAKES_NOT_OURS, TAKES_NOT_OURS},
	{"alert certificate expired", TAKES_NOT_OURS, OURS_HAS_EXPIRED},
	{"alert certificate revoked", TAKES_NOT_OURS,
	 "The receiver says that this webhook's client certificate has been revoked: have a new one made."},
	{"alert access denied", TAKES_NOT_OURS, TAKES_NOT_OURS},
	{"dh key too small", "The receiver's TLS settings are too weak to be safe: they have to be updated."},
	{"handshake failure", "The receiver broke off the TLS handshake: it accepts none of our ciphers, does not know "
			      "this host name, or wants a client certificate. Its own log may say which."},
	{"unrecognized name",
	 "The receiver's TLS server does not know this host name: correct the URL, or have the name set up there."},
	{"unexpected eof", CLOSED_EARLY},
	{"reset by peer", CLOSED_EARLY},
	{"SSL_ERROR_SYSCALL", CLOSED_EARLY},
	{"SSL_ERROR_ZERO_RETURN", CLOSED_EARLY},
};

static const char *reason_of(const bh_transfer *x)
{
	for (size_t i = 0; i < G_N_ELEMENTS(REASONS); i++)
		if (strstr(x->trouble, REASONS[i].in))
			return x->own_tls.certificate && REASONS[i].with_ours ? REASONS[i].with_ours
									      : REASONS[i].sentence;
	return NULL;
}

void bh_failure_handshake(bh_transfer *x, CURLcode code)
{
	const char *reason = reason_of(x);
	g_autofree char *text = bh_failure_quoted(x, code);

	if (reason)
		bh_failure_say(x, BH_CAUSE_TLS, "%s", reason);
	else
		bh_failure_say(x, BH_CAUSE_TLS,
			       "The TLS handshake with the receiver failed: %s. Have its TLS settings looked after.",
			       text);
}
