/*
 * Why there is no answer: libcurl's code, the stage it happened in and what OpenSSL or the kernel said become one cause
 * and one plain sentence that tells the owner of the webhook what to do.
 */
#include "transport/internal.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <string.h>

const char *bh_cause_name(bh_cause cause)
{
	static const char *const NAMES[] = {
		[BH_CAUSE_NONE] = "",
		[BH_CAUSE_STATUS] = "status",
		[BH_CAUSE_TIMEOUT] = "timeout",
		[BH_CAUSE_DNS] = "dns",
		[BH_CAUSE_CONNECT] = "connect",
		[BH_CAUSE_TLS] = "tls",
		[BH_CAUSE_PROTOCOL] = "protocol",
		[BH_CAUSE_GUARD] = "guard",
		[BH_CAUSE_SCRIPT] = "script",
		[BH_CAUSE_CREDENTIALS] = "credentials",
		[BH_CAUSE_CRASH] = "crash",
		[BH_CAUSE_PROXY] = "proxy",
	};

	g_assert((size_t)cause < G_N_ELEMENTS(NAMES));
	return NAMES[cause];
}

G_GNUC_PRINTF(3, 4)
static void say(bh_transfer *x, bh_cause cause, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	x->answer.cause = cause;
	g_vsnprintf(x->answer.sentence, sizeof x->answer.sentence, format, arguments);
	va_end(arguments);
}

/* What libcurl wrote, which may quote the receiver: printable, and short enough to stand in a sentence. */
static char *quoted(const bh_transfer *x, CURLcode code)
{
	g_autofree char *text = g_strescape(*x->trouble ? x->trouble : curl_easy_strerror(code), NULL);

	return g_strndup(text, 160);
}

/* --- By stage ---------------------------------------------------------------------------------- */

static void explain_timeout(bh_transfer *x)
{
	const char *host = x->route->target.host;
	double waited = (double)x->answer.total / BH_SECOND;

	switch (x->stage) {
	case BH_STAGE_NEW:
	case BH_STAGE_RESOLVE:
		say(x, BH_CAUSE_DNS, "No name server told the address of \"%.120s\" in time (%.1f s).", host, waited);
		break;
	case BH_STAGE_CONNECT:
		say(x, BH_CAUSE_CONNECT,
		    "Nobody at \"%.120s\" took the connection in time (%.1f s): the receiver is down, or a firewall "
		    "drops our packets.",
		    host, waited);
		break;
	case BH_STAGE_SECURE:
		say(x, BH_CAUSE_TLS,
		    "\"%.120s\" took the connection but did not finish the TLS handshake in time (%.1f s).", host,
		    waited);
		break;
	default:
		say(x, BH_CAUSE_TIMEOUT,
		    "The receiver gave no complete answer in time (%.1f s): it should answer first and do the work "
		    "afterwards.",
		    waited);
	}
}

static void explain_connect(bh_transfer *x)
{
	const bh_target *t = &x->route->target;
	long number = 0;

	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &number);
	if (!x->opened && x->open_errno)
		say(x, BH_CAUSE_CONNECT,
		    "Bellhop could not open a socket: %s. This is a matter for whoever runs this server.",
		    g_strerror(x->open_errno));
	else if (number == ECONNREFUSED)
		say(x, BH_CAUSE_CONNECT, "\"%.120s\" refused the connection: nothing listens on port %u there.",
		    t->host, t->port);
	else if (number == EHOSTUNREACH || number == ENETUNREACH)
		say(x, BH_CAUSE_CONNECT, "There is no way through the network to \"%.120s\".", t->host);
	else if (number)
		say(x, BH_CAUSE_CONNECT, "The connection to \"%.120s\" port %u failed: %s.", t->host, t->port,
		    g_strerror((int)number));
	else
		say(x, BH_CAUSE_CONNECT, "The connection to \"%.120s\" port %u failed.", t->host, t->port);
}

/* --- TLS ---------------------------------------------------------------------------------------- */

static const struct verdict {
	long code;
	const char *sentence; /* %s: the date in question */
} VERDICTS[] = {
	{X509_V_ERR_CERT_HAS_EXPIRED,
	 "The receiver's certificate, or one above it, expired on %s: it has to be renewed there."},
	{X509_V_ERR_CERT_NOT_YET_VALID,
	 "The receiver's certificate is only valid from %s on: its date, or a clock, is wrong."},
	{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
	 "The receiver's certificate is self-signed: it needs one from a known authority."},
	{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
	 "The receiver's certificate comes from an authority that is not known here."},
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "The receiver's certificate leads to no known authority: its "
						       "server must also send the intermediate certificate."},
	{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
	 "The receiver's server sends only its own certificate: it must also send the intermediate one."},
	{X509_V_ERR_CA_MD_TOO_WEAK, "A certificate of the receiver is signed in a way that is no longer safe (SHA-1)."},
	{X509_V_ERR_EE_KEY_TOO_SMALL, "The key of the receiver's certificate is too short to be safe."},
	{X509_V_ERR_CA_KEY_TOO_SMALL, "The key of the receiver's authority is too short to be safe."},
	{X509_V_ERR_CERT_REVOKED, "The receiver's certificate has been revoked."},
};

static void say_verdict(bh_transfer *x, const struct verdict *v)
{
	const char *hole = strstr(v->sentence, "%s");

	if (hole)
		say(x, BH_CAUSE_TLS, "%.*s%s%s", (int)(hole - v->sentence), v->sentence, x->certificate_date, hole + 2);
	else
		say(x, BH_CAUSE_TLS, "%s", v->sentence);
}

static void explain_certificate(bh_transfer *x)
{
	long verdict = X509_V_OK;

	curl_easy_getinfo(x->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	if (verdict == X509_V_OK ||
	    verdict == X509_V_ERR_UNSPECIFIED) { /* OpenSSL had nothing against it: libcurl said no */
		say(x, BH_CAUSE_TLS,
		    "The receiver's certificate is for another name than \"%.120s\": correct the URL, or renew it "
		    "there.",
		    x->route->target.host);
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(VERDICTS); i++) {
		if (VERDICTS[i].code == verdict) {
			say_verdict(x, &VERDICTS[i]);
			return;
		}
	}
	say(x, BH_CAUSE_TLS, "The receiver's certificate was not accepted: %s.",
	    X509_verify_cert_error_string(verdict));
}

/* OpenSSL's reasons only reach us as text. */
static const struct reason {
	const char *in, *sentence;
} REASONS[] = {
	{"wrong version number", "The receiver does not speak TLS on this port: the URL should perhaps begin with "
				 "http://, or name another port."},
	{"http request", "The receiver does not speak TLS on this port."},
	{"unsupported protocol",
	 "The receiver only offers TLS older than 1.2, which is not safe: it has to be updated."},
	{"protocol version", "The receiver only offers TLS older than 1.2, which is not safe: it has to be updated."},
	{"certificate required", "The receiver asks for a client certificate."},
	{"dh key too small", "The receiver's TLS settings are too weak to be safe: they have to be updated."},
	{"handshake failure", "The receiver broke off the TLS handshake: it accepts none of our ciphers, does not know "
			      "this host name, or wants a client certificate."},
	{"unrecognized name", "The receiver's TLS server does not know this host name."},
	{"unexpected eof", "The receiver closed the connection during the TLS handshake."},
	{"reset by peer", "The receiver closed the connection during the TLS handshake."},
	{"SSL_ERROR_SYSCALL", "The receiver closed the connection during the TLS handshake."},
	{"SSL_ERROR_ZERO_RETURN", "The receiver closed the connection during the TLS handshake."},
};

static const char *reason_of(const bh_transfer *x)
{
	for (size_t i = 0; i < G_N_ELEMENTS(REASONS); i++)
		if (strstr(x->trouble, REASONS[i].in))
			return REASONS[i].sentence;
	return NULL;
}

static void explain_handshake(bh_transfer *x, CURLcode code)
{
	const char *reason = reason_of(x);
	g_autofree char *text = quoted(x, code);

	if (reason)
		say(x, BH_CAUSE_TLS, "%s", reason);
	else
		say(x, BH_CAUSE_TLS, "The TLS handshake with the receiver failed: %s.", text);
}

/* With TLS 1.3 the server looks at our side's certificate when ours of it is through already. */
static bool is_late_alert(const bh_transfer *x)
{
	return x->route->target.https && strstr(x->trouble, "alert");
}

/* --- HTTP --------------------------------------------------------------------------------------- */

/* We stop at so much of a head, and what libcurl calls out of memory is one line of more than 100 KiB. */
static bool is_head_too_long(const bh_transfer *x, CURLcode code)
{
	return code == CURLE_OUT_OF_MEMORY || (code == CURLE_WRITE_ERROR && x->head_bytes > BH_ANSWER_HEADERS_MAX);
}

static void explain_exchange(bh_transfer *x, CURLcode code)
{
	g_autofree char *text = quoted(x, code);

	if (is_head_too_long(x, code)) {
		say(x, BH_CAUSE_PROTOCOL, "The head of the receiver's answer is too long to be read.");
		return;
	}
	switch (code) {
	case CURLE_GOT_NOTHING:
		say(x, BH_CAUSE_PROTOCOL, "The receiver closed the connection without an answer.");
		break;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		say(x, BH_CAUSE_PROTOCOL, "The receiver broke the connection before its answer was there.");
		break;
	default:
		say(x, BH_CAUSE_PROTOCOL, "What the receiver sent is no HTTP answer: %s.", text);
	}
}

/* --- All together --------------------------------------------------------------------------------- */

void bh_failure_refused(bh_transfer *x, const char *rule, const char *sentence)
{
	x->answer.guard_rule = rule;
	say(x, BH_CAUSE_GUARD, "%s", sentence);
}

void bh_failure_explain(bh_transfer *x, CURLcode code)
{
	if (x->refused_by && !x->opened) {
		bh_failure_refused(x, x->refused_by, bh_guard_rule_sentence(x->refused_by));
		return;
	}
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		say(x, BH_CAUSE_DNS,
		    "The host \"%.120s\" is not known in the DNS: check the URL, or ask whoever runs that domain.",
		    x->route->target.host);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		explain_timeout(x);
		break;
	case CURLE_COULDNT_CONNECT:
		explain_connect(x);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		explain_certificate(x);
		break;
	case CURLE_SSL_CONNECT_ERROR:
		explain_handshake(x, code);
		break;
	case CURLE_SSL_CACERT_BADFILE:
		say(x, BH_CAUSE_TLS,
		    "Bellhop's own list of authorities cannot be read. This is a matter for whoever runs this server.");
		break;
	default:
		if (x->stage == BH_STAGE_SECURE || is_late_alert(x))
			explain_handshake(x, code);
		else
			explain_exchange(x, code);
	}
}
