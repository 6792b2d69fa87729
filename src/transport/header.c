/* Headers: which ones an owner may add, and what Retry-After means. Pure. */
#include "transport/transport.h"

#include "base/error.h"

#include <string.h>

#define NAME_BYTES_MAX 256
#define VALUE_BYTES_MAX \
	(16 * 1024) /* a password of 4 KiB after a long name, in base64; a token that lists many groups */

/* A longer wait is none that anybody meant; whoever plans the next try has his own, much lower ceiling. */
#define RETRY_AFTER_MAX (365 * BH_DAY)

/* --- What an owner may add ------------------------------------------------------------------ */

/* They carry the message (RFC 9112), or prove who sent it: not for owners. A '-' at the end stands for every name that begins so. */
static const char *const OURS[] = {
	"Host",       "Content-Length", "Transfer-Encoding", "Connection", "Content-Type",
	"User-Agent", "Expect",         "Keep-Alive",        "TE",         "Trailer",
	"Upgrade",    "Proxy-",         "webhook-",
};

/* tchar of RFC 9110, section 5.6.2. */
static bool is_token_byte(char c)
{
	return g_ascii_isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *name)
{
	size_t size = 0;

	while (is_token_byte(name[size]))
		size++;
	return size > 0 && size <= NAME_BYTES_MAX && name[size] == '\0';
}

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(OURS); i++) {
		if (g_ascii_tolower(*name) != g_ascii_tolower(*OURS[i]))
			continue;
		size_t size = strlen(OURS[i]);
		bool family = OURS[i][size - 1] == '-';
		if (g_ascii_strncasecmp(name, OURS[i], size) == 0 && (family || name[size] == '\0'))
			return true;
	}
	return false;
}

static bool has_control_character(bh_span value)
{
	for (size_t i = 0; i < value.size; i++) {
		unsigned char c = (unsigned char)value.at[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

static bool refuse(GError **error, const char *name, const char *why)
{
	g_autofree char *shown = g_strescape(name, NULL); /* it may hold anything */

	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "header \"%.80s\": %s", shown, why);
	return false;
}

bool bh_header_check(const char *name, bh_span value, GError **error)
{
	if (!is_token(name))
		return refuse(error, name, "the name is not one of letters, digits and !#$%&'*+-.^_`|~");
	if (is_ours(name))
		return refuse(error, name, "is set by Bellhop itself");
	if (value.size > VALUE_BYTES_MAX)
		return refuse(error, name, "the value is longer than 16384 bytes");
	if (has_control_character(value))
		return refuse(error, name, "the value holds a control character such as a line break");
	return true;
}

/* --- Retry-After ------------------------------------------------------------------------------ */

static bool read_digits(const char *text, bh_usec *ret_span)
{
	bh_usec seconds = 0;

	if (*text == '\0')
		return false;
	for (const char *c = text; *c; c++) {
		if (!g_ascii_isdigit(*c))
			return false;
		seconds = MIN(seconds * 10 + (*c - '0'), RETRY_AFTER_MAX / BH_SECOND);
	}
	*ret_span = seconds * BH_SECOND;
	return true;
}

bool bh_retry_after_parse(const char *value, bh_usec now, bh_usec *ret_span)
{
	g_autofree char *text = g_strstrip(g_strdup(value));
	bh_usec at;

	if (read_digits(text, ret_span))
		return true;
	if (!bh_time_parse_http(text, &at))
		return false;
	*ret_span = CLAMP(at - now, 0, RETRY_AFTER_MAX);
	return true;
}
