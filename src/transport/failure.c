/*
 * Why there is no answer: libcurl's code, the stage it happened in and what OpenSSL or the kernel said become one cause
 * and one plain sentence that tells the owner of the webhook what to do.
 */
#include "transport/internal.h"

#include <errno.h>
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
		[BH_CAUSE_TOKEN] = "token",
		[BH_CAUSE_LOOKUP] = "lookup",
	};

	g_assert((size_t)cause < G_N_ELEMENTS(NAMES));
	return NAMES[cause];
}

void bh_failure_say(bh_transfer *x, bh_cause cause, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	x->answer.cause = cause;
	g_vsnprintf(x->answer.sentence, sizeof x->answer.sentence, format, arguments);
	va_end(arguments);
}

/* What libcurl wrote, which may quote the receiver: printable, and short enough to stand in a sentence. */
char *bh_failure_quoted(const bh_transfer *x, CURLcode code)
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
	case BH_STAGE_START:
		bh_failure_say(
			x, BH_CAUSE_DNS,
			"No name server told the address of \"%.120s\" in time (%.1f s): check the host name, or ask whoever runs that domain.",
			host, waited);
		break;
	case BH_STAGE_CONNECT:
		bh_failure_say(
			x, BH_CAUSE_CONNECT,
			"Nobody at \"%.120s\" took the connection in time (%.1f s): the receiver is down, or a firewall "
			"drops our packets.",
			host, waited);
		break;
	case BH_STAGE_SECURE:
		bh_failure_say(x, BH_CAUSE_TLS,
			       "\"%.120s\" took the connection but did not finish the TLS handshake in time (%.1f s): "
			       "its server is busy, or the URL names a port that is not for TLS.",
			       host, waited);
		break;
	default:
		bh_failure_say(
			x, BH_CAUSE_TIMEOUT,
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
		bh_failure_say(x, BH_CAUSE_CONNECT,
			       "Bellhop could not open a socket: %s. This is a matter for whoever runs this server.",
			       g_strerror(x->open_errno));
	else if (number == ECONNREFUSED)
		bh_failure_say(
			x, BH_CAUSE_CONNECT,
			"\"%.120s\" refused the connection: nothing listens on port %u there. Start the service, or correct the URL.",
			t->host, t->port);
	else if (number == EHOSTUNREACH || number == ENETUNREACH)
		bh_failure_say(
			x, BH_CAUSE_CONNECT,
			"There is no way through the network to \"%.120s\": check the URL, or ask whoever runs that network.",
			t->host);
	else if (number)
		bh_failure_say(
			x, BH_CAUSE_CONNECT,
			"The connection to \"%.120s\" port %u failed: %s. See that the service runs and lets Bellhop in.",
			t->host, t->port, g_strerror((int)number));
	else
		bh_failure_say(
			x, BH_CAUSE_CONNECT,
			"The connection to \"%.120s\" port %u failed: see that the service runs and lets Bellhop in.",
			t->host, t->port);
}

/* --- HTTP --------------------------------------------------------------------------------------- */

/* With TLS 1.3 the server looks at our side's certificate when ours of it is through already. */
static bool is_late_alert(const bh_transfer *x)
{
	return x->route->target.https && strstr(x->trouble, "alert");
}

/* We stop at so much of a head, and what libcurl calls out of memory is one line of more than 100 KiB. */
static bool is_head_too_long(const bh_transfer *x, CURLcode code)
{
	return code == CURLE_OUT_OF_MEMORY || (code == CURLE_WRITE_ERROR && x->head_bytes > BH_ANSWER_HEADERS_MAX);
}

static void explain_exchange(bh_transfer *x, CURLcode code)
{
	g_autofree char *text = bh_failure_quoted(x, code);

	if (is_head_too_long(x, code)) {
		bh_failure_say(
			x, BH_CAUSE_PROTOCOL,
			"The head of the receiver's answer is too long to be read: it should send fewer or shorter headers.");
		return;
	}
	switch (code) {
	case CURLE_GOT_NOTHING:
		bh_failure_say(
			x, BH_CAUSE_PROTOCOL,
			"The receiver closed the connection without an answer: look into its own log to see why.");
		break;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		bh_failure_say(
			x, BH_CAUSE_PROTOCOL,
			"The receiver broke the connection before its answer was there: look into its own log to see why.");
		break;
	default:
		bh_failure_say(
			x, BH_CAUSE_PROTOCOL,
			"What the receiver sent is no HTTP answer: %s. Check that the URL leads to a web server.",
			text);
	}
}

/* --- All together --------------------------------------------------------------------------------- */

void bh_failure_refused(bh_transfer *x, const char *rule, const char *sentence)
{
	x->answer.guard_rule = rule;
	bh_failure_say(x, BH_CAUSE_GUARD, "%s", sentence);
}

void bh_failure_explain(bh_transfer *x, CURLcode code)
{
	if (x->refused_by && !x->opened) {
		bh_failure_refused(x, x->refused_by, bh_guard_rule_sentence(x->refused_by));
		return;
	}
	if (code == CURLE_COULDNT_RESOLVE_PROXY || bh_failure_is_proxys(x)) {
		bh_failure_proxy(x, code);
		return;
	}
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		bh_failure_say(
			x, BH_CAUSE_DNS,
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
		bh_failure_certificate(x);
		break;
	case CURLE_SSL_CONNECT_ERROR:
		bh_failure_handshake(x, code);
		break;
	case CURLE_SSL_CACERT_BADFILE:
		bh_failure_say(
			x, BH_CAUSE_TLS, "%s",
			x->own_tls.ca
				? "The authority in this webhook's TLS settings cannot be read: paste it again."
				: "Bellhop's own list of authorities cannot be read. This is a matter for whoever runs this "
				  "server.");
		break;
	case CURLE_SSL_CERTPROBLEM:
		bh_failure_say(
			x, BH_CAUSE_TLS,
			"The client certificate in this webhook's TLS settings cannot be used with its key: paste both again.");
		break;
	default:
		if (x->stage == BH_STAGE_SECURE || is_late_alert(x))
			bh_failure_handshake(x, code);
		else
			explain_exchange(x, code);
	}
}
