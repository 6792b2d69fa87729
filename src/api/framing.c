/*
 * Where a request ends (RFC 9112, sections 5.1 and 6.3). libmicrohttpd takes the first of two lengths, passes over a name
 * with a blank behind it, and reads on for ever at a transfer coding that it does not know. A proxy before us may read it
 * differently, and then one of us takes for a body what the other takes for the next request: somebody else's. Whoever
 * means well sends none of these.
 */
#include "api/framing.h"

#include "api/reply.h"

#include <strings.h>

typedef struct framing {
	const char *length; /* Content-Length; NULL: none */
	bool has_coding; /* Transfer-Encoding */
	const char *wrong; /* what speaks against it; NULL: nothing */
} framing;

static void take_length(framing *f, const char *value)
{
	if (f->length && g_strcmp0(f->length, value) != 0)
		f->wrong = "it has two lengths";
	f->length = value;
}

static void take_coding(framing *f, const char *value)
{
	if (f->has_coding || g_ascii_strcasecmp(value, "chunked") != 0)
		f->wrong = "its transfer coding is not chunked alone";
	f->has_coding = true;
}

static enum MHD_Result take_header(void *user, enum MHD_ValueKind kind, const char *name, size_t name_bytes,
				   const char *value, size_t value_bytes)
{
	framing *f = user;

	if (name_bytes == 0 || g_ascii_isspace(name[name_bytes - 1]))
		f->wrong = "the name of a header has a blank behind it";
	else if (strcasecmp(name, "Content-Length") == 0)
		take_length(f, value ? value : "");
	else if (strcasecmp(name, "Transfer-Encoding") == 0)
		take_coding(f, value ? value : "");
	return f->wrong ? MHD_NO : MHD_YES;
}

bool bh_framing_check(bh_call *call)
{
	framing f = {0};

	MHD_get_connection_values_n(call->connection, MHD_HEADER_KIND, take_header, &f);
	if (!f.wrong && f.length && f.has_coding)
		f.wrong = "it has a length and a transfer coding";
	if (!f.wrong)
		return true;
	bh_reply_header(call, "Connection", "close");
	bh_reply_problem(call, BH_PROBLEM_PARAMETER, NULL, "Where the request ends is not clear: %s.", f.wrong);
	return false;
}
