/*
 * What is the proxy's fault, and not the receiver's. Whether a proxy cannot or does not want to reach a receiver we cannot know, so
 * whatever happens before the road to the receiver is open is charged to the proxy.
 */
#include "transport/internal.h"

#define FOR_OPERATOR "This is a matter for whoever runs this server."

bool bh_failure_is_proxys(const bh_transfer *x)
{
	return x->transport->proxy && x->stage >= BH_STAGE_START && x->stage <= BH_STAGE_CONNECT;
}

/* Of SOCKS5 (RFC 1928, section 6), as libcurl names them. */
static const struct reply {
	CURLproxycode code;
	const char *what;
} REPLIES[] = {
	{CURLPX_NO_AUTH, "asks for a user and a password"},
	{CURLPX_USER_REJECTED, "does not accept the user and password of the setting proxy"},
	{CURLPX_RECV_AUTH, "broke off when it was told user and password"},
	{CURLPX_BAD_VERSION, "does not speak SOCKS5"},
	{CURLPX_REPLY_GENERAL_SERVER_FAILURE, "could not do it (general failure)"},
	{CURLPX_REPLY_NOT_ALLOWED, "does not allow it by its rules"},
	{CURLPX_REPLY_NETWORK_UNREACHABLE, "found the receiver's network unreachable"},
	{CURLPX_REPLY_HOST_UNREACHABLE, "found the receiver's host unreachable"},
	{CURLPX_REPLY_CONNECTION_REFUSED, "says that the receiver refused the connection"},
	{CURLPX_REPLY_TTL_EXPIRED, "did not reach the receiver in time"},
	{CURLPX_REPLY_COMMAND_NOT_SUPPORTED, "makes no connections for others"},
	{CURLPX_REPLY_ADDRESS_TYPE_NOT_SUPPORTED, "does not know the receiver's kind of address"},
};

static const char *reply_of(const bh_transfer *x, CURLcode result)
{
	long code = CURLPX_OK;

	if (result == CURLE_PROXY)
		curl_easy_getinfo(x->easy, CURLINFO_PROXY_ERROR, &code);
	for (size_t i = 0; i < G_N_ELEMENTS(REPLIES); i++)
		if ((long)REPLIES[i].code == code)
			return REPLIES[i].what;
	return "broke off before the road to the receiver was open";
}

static void say_status(bh_transfer *x, const bh_proxy *p, long status)
{
	if (status == 407)
		bh_failure_say(
			x, BH_CAUSE_PROXY,
			p->user ? "The proxy \"%.120s:%u\" does not accept the user and password of the setting proxy (407). %s"
				: "The proxy \"%.120s:%u\" asks for a user and a password (407). %s",
			p->host, p->port, FOR_OPERATOR);
	else
		bh_failure_say(x, BH_CAUSE_PROXY,
			       "The proxy \"%.120s:%u\" did not open the road to the receiver: it answered %ld. %s",
			       p->host, p->port, status, FOR_OPERATOR);
}

void bh_failure_proxy(bh_transfer *x, CURLcode code)
{
	const bh_proxy *p = x->transport->proxy;
	long status = 0, number = 0;

	curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &number);
	if (code == CURLE_COULDNT_RESOLVE_PROXY)
		bh_failure_say(x, BH_CAUSE_PROXY, "The address of the proxy \"%.120s:%u\" could not be found. %s",
			       p->host, p->port, FOR_OPERATOR);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		bh_failure_say(x, BH_CAUSE_PROXY,
			       "The proxy \"%.120s:%u\" did not open the road to the receiver in time (%.1f s). %s",
			       p->host, p->port, (double)x->answer.total / BH_SECOND, FOR_OPERATOR);
	else if (code == CURLE_COULDNT_CONNECT)
		bh_failure_say(x, BH_CAUSE_PROXY, "The proxy \"%.120s:%u\" cannot be reached: %s. %s", p->host, p->port,
			       number ? g_strerror((int)number) : "no connection", FOR_OPERATOR);
	else if (!p->socks && status >= 300)
		say_status(x, p, status);
	else
		bh_failure_say(x, BH_CAUSE_PROXY, "The proxy \"%.120s:%u\" %s. %s", p->host, p->port, reply_of(x, code),
			       FOR_OPERATOR);
}
