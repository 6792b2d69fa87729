/*
 * One parser reads every URL: libcurl's. What is given to libcurl for the request is not the text that came in but the text
 * that libcurl itself wrote after reading it, and reading that again must change nothing. So a URL in which two readers
 * could see two hosts is either refused or has become one in which they cannot.
 *
 *   TEXT (what no URL may hold) -> PARSE until it is stable -> HOST (tidy, one spelling) -> JUDGE
 */
#include "transport/guard.h"

#include "base/error.h"
#include "transport/guard_internal.h"
#include "transport/guard_rules.h"

#include <curl/curl.h>
#include <string.h>

#define URL_BYTES_MAX 2048
#define HOST_BYTES_MAX 253 /* RFC 1035, section 2.3.4 */
#define LABEL_BYTES_MAX 63
#define ROUNDS_MAX 4 /* two are the rule: one that writes it anew, one that changes nothing */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURLU, curl_url_cleanup)

void bh_target_clear(bh_target *target)
{
	g_clear_pointer(&target->url, g_free);
	g_clear_pointer(&target->host, g_free);
	target->port = 0;
	target->https = target->trusted = false;
}

static bool invalid(GError **error, const char *why)
{
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "the URL cannot be used: %s", why);
	return false;
}

/* --- TEXT ---------------------------------------------------------------------------------- */

static bool check_characters(const char *url, GError **error)
{
	if (strlen(url) > URL_BYTES_MAX)
		return invalid(error, "it is longer than 2048 bytes");
	for (const unsigned char *c = (const unsigned char *)url; *c; c++) {
		if (*c == ' ')
			return invalid(error, "it holds a space; write %20 if it belongs there");
		if (*c < ' ' || *c == 0x7f)
			return invalid(error, "it holds a control character");
		if (*c == '\\')
			return invalid(error, "it holds a backslash");
	}
	if (strchr(url, '#'))
		return invalid(error, "it has a part that begins with '#', which is never sent");
	return true;
}

/*
 * Readers agree on where the host is only in scheme "://" host. libcurl also takes fewer and more slashes, and
 * differs from browsers about an '@' after '?'.
 */
static bool check_authority(const char *url, GError **error)
{
	const char *host = strstr(url, "://");

	if (!host)
		return invalid(error, "it does not begin with https:// or http://");
	host += strlen("://");
	size_t size = strcspn(host, "/");
	if (size == 0)
		return invalid(error, "there is no host in it");
	if (memchr(host, '@', size))
		return invalid(
			error,
			"it has a user name in front of the host; credentials belong into the method's settings");
	for (size_t i = 0; i < size && host[i] != '?'; i++)
		if ((unsigned char)host[i] >= 0x80)
			return invalid(error,
				       "the host is not written in ASCII; give it in its punycode form (xn--...)");
	return true;
}

/* --- HOST ---------------------------------------------------------------------------------- */

static bool is_number(const char *label)
{
	if (label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		return label[2 + strspn(label + 2, "0123456789abcdefABCDEF")] == '\0';
	return *label && label[strspn(label, "0123456789")] == '\0';
}

static bool is_name(const char *host)
{
	size_t label = 0;

	if (strlen(host) > HOST_BYTES_MAX)
		return false;
	for (const char *c = host; *c; c++) {
		if (*c == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (!g_ascii_isalnum(*c) && *c != '-' && *c != '_') {
			return false;
		} else if (++label > LABEL_BYTES_MAX) {
			return false;
		}
	}
	/* "1.2.3" and "0x7f.1.1.1.1" are no names: a resolver would make an address of them. */
	const char *last = strrchr(host, '.');
	return label > 0 && !is_number(last ? last + 1 : host);
}

static void cut(char *text, size_t front, size_t back)
{
	size_t size = strlen(text) - front - back;

	memmove(text, text + front, size);
	text[size] = '\0';
}

bool bh_guard_tidy_host(char **host)
{
	char *h = *host;
	bh_address address;
	char canonical[BH_ADDRESS_TEXT_SIZE];

	if (h[0] == '[') {
		if (!g_str_has_suffix(h, "]"))
			return false;
		cut(h, 1, 1);
		if (!strchr(h, ':'))
			return false;
	} else if (g_str_has_suffix(h, ".")) {
		cut(h, 0, 1);
	}
	if (bh_address_read(h, &address)) {
		g_free(h);
		*host = g_strdup(bh_address_text(&address, canonical));
		return true;
	}
	for (char *c = h; *c; c++)
		*c = g_ascii_tolower(*c);
	return is_name(h);
}

/* --- PARSE ---------------------------------------------------------------------------------- */

static char *part(CURLU *parsed, CURLUPart which, unsigned flags)
{
	char *curls = NULL;

	if (curl_url_get(parsed, which, &curls, flags) != CURLUE_OK)
		return NULL;
	char *ours = g_strdup(curls);
	curl_free(curls);
	return ours;
}

static bool is_web(const char *scheme)
{
	return strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0;
}

static bool tidy(CURLU *parsed, bh_target *t, GError **error)
{
	g_autofree char *zone = part(parsed, CURLUPART_ZONEID, 0);
	g_autofree char *before = g_strdup(t->host);

	if (zone)
		return invalid(error, "an address with a zone only has a meaning on this machine");
	if (!bh_guard_tidy_host(&t->host))
		return invalid(error, "its host is neither a name nor an address");
	g_autofree char *in_url = strchr(t->host, ':') ? g_strdup_printf("[%s]", t->host) : g_strdup(t->host);
	if (strcmp(before, in_url) != 0 && curl_url_set(parsed, CURLUPART_HOST, in_url, 0) != CURLUE_OK)
		return invalid(error, "its host is neither a name nor an address");
	return true;
}

/* One reading of `text`; the target's URL is what libcurl would write. */
static const char *parse(const char *text, bh_target *t, GError **error)
{
	g_autoptr(CURLU) parsed = curl_url();
	CURLUcode code = curl_url_set(parsed, CURLUPART_URL, text, CURLU_DISALLOW_USER | CURLU_URLENCODE);

	if (code == CURLUE_UNSUPPORTED_SCHEME)
		return BH_RULE_SCHEME;
	if (code != CURLUE_OK) {
		invalid(error, curl_url_strerror(code));
		return BH_RULE_URL;
	}

	g_autofree char *scheme = part(parsed, CURLUPART_SCHEME, 0);
	g_autofree char *port = part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	t->host = part(parsed, CURLUPART_HOST, 0);
	if (!scheme || !is_web(scheme))
		return BH_RULE_SCHEME;
	if (!t->host || !port || !tidy(parsed, t, error)) {
		if (error && !*error)
			invalid(error, "there is no host in it");
		return BH_RULE_URL;
	}
	t->https = strcmp(scheme, "https") == 0;
	t->port = (unsigned)g_ascii_strtoull(port, NULL, 10);
	if (t->port == 0) {
		invalid(error, "a port lies between 1 and 65535");
		return BH_RULE_URL;
	}
	t->url = part(parsed, CURLUPART_URL, CURLU_NO_DEFAULT_PORT);
	return NULL;
}

static const char *parse_until_stable(const char *url, bh_target *ret_target, GError **error)
{
	g_autofree char *text = g_strdup(url);

	for (int round = 0; round < ROUNDS_MAX; round++) {
		bh_target t = {0};
		const char *rule = parse(text, &t, error);
		if (rule) {
			bh_target_clear(&t);
			return rule;
		}
		if (strcmp(t.url, text) == 0) {
			*ret_target = t;
			return NULL;
		}
		g_free(text);
		text = g_steal_pointer(&t.url);
		bh_target_clear(&t);
	}
	invalid(error, "it reads differently each time");
	return BH_RULE_URL;
}

/* --- JUDGE ---------------------------------------------------------------------------------- */

static const char *judge(const bh_guard *g, const char *url, bool trusted, bh_target *t, GError **error)
{
	if (!check_characters(url, error) || !check_authority(url, error))
		return BH_RULE_URL;
	const char *rule = parse_until_stable(url, t, error);
	t->trusted = trusted;
	if (!rule)
		rule = bh_guard_judge_target(g, t);
	return rule;
}

const char *bh_guard_judge_url(const bh_guard *g, const char *url, bool trusted, bh_target *ret_target, GError **error)
{
	g_autoptr(GError) trouble = NULL;
	bh_target t = {0};
	const char *rule = judge(g, url, trusted, &t, &trouble);

	if (!rule) {
		*ret_target = t;
		return NULL;
	}
	if (trouble)
		g_propagate_error(error, g_steal_pointer(&trouble));
	else
		g_set_error(error, BH_ERROR, BH_ERROR_DENIED, "%s: \"%s\" is refused. %s", rule, t.host ? t.host : url,
			    bh_guard_rule_sentence(rule));
	bh_target_clear(&t);
	return rule;
}

bool bh_guard_check_url(const bh_guard *g, const char *url, bh_target *ret_target, GError **error)
{
	return bh_guard_judge_url(g, url, false, ret_target, error) == NULL;
}
