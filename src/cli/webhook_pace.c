/* In what order, how fast and over which TLS a webhook is sent to: the options for that as members of the body. */
#include "cli/webhook_form.h"

#include "base/secret.h"
#include "base/time.h"
#include "cli/input.h"
#include "cli/object.h"

#include <string.h>

static bool contradict(const bh_args *args, const char *on, const char *off, GError **error)
{
	bool both = bh_args_has(args, on) && bh_args_has(args, off);
	if (both)
		bh_usage_error(error, "--%s and --%s contradict each other", on, off);
	return both;
}

static void add_null(GString *body, const char *name)
{
	bh_object_raw(body, name, bh_span_of("null"));
}

/* --- Order, coalescing, rate --------------------------------------------------------------- */

static bool fill_order(const bh_args *args, GString *body, GError **error)
{
	if (contradict(args, "order-by", "no-order", error))
		return false;
	bh_object_text(body, "order_by", bh_args_one(args, "order-by"));
	if (bh_args_has(args, "no-order"))
		add_null(body, "order_by");
	return true;
}

/* A span, or a bare number of seconds as the API names it. */
static bool read_seconds(const bh_args *args, const char *name, bh_usec *ret, GError **error)
{
	gint64 seconds;
	const char *text = bh_args_one(args, name);
	if (!text || !g_ascii_string_to_signed(text, 10, 0, BH_DAY / BH_SECOND, &seconds, NULL))
		return bh_args_span(args, name, ret, error);
	*ret = seconds * BH_SECOND;
	return true;
}

static bool fill_coalesce(const bh_args *args, GString *body, GError **error)
{
	bh_usec span = -1;
	if (contradict(args, "coalesce", "no-coalesce", error) || contradict(args, "coalesce-by", "no-coalesce", error))
		return false;
	if (bh_args_has(args, "no-coalesce"))
		add_null(body, "coalesce");
	if (!read_seconds(args, "coalesce", &span, error))
		return false;

	g_autoptr(GString) coalesce = bh_object_new();
	if (span >= 0)
		bh_object_seconds(coalesce, "seconds", span);
	if (bh_args_has(args, "coalesce-by"))
		bh_object_words(coalesce, "fields", bh_args_all(args, "coalesce-by"));
	if (coalesce->len > 1)
		bh_object_raw(body, "coalesce", bh_object_end(coalesce));
	return true;
}

/* "60/1m", and "60/m" as people say it. */
static bool parse_rate(const char *text, gint64 *ret_requests, bh_usec *ret_span)
{
	const char *slash = strchr(text, '/');
	if (!slash)
		return false;
	g_autofree char *count = g_strndup(text, (gsize)(slash - text));
	g_autofree char *span = g_strdup_printf(g_ascii_isdigit(slash[1]) ? "%s" : "1%s", slash + 1);
	return g_ascii_string_to_signed(count, 10, 1, 1000000, ret_requests, NULL) && bh_span_parse(span, ret_span) &&
	       *ret_span >= BH_SECOND;
}

static bool fill_rate(const bh_args *args, GString *body, GError **error)
{
	gint64 requests;
	bh_usec span;
	const char *given = bh_args_one(args, "rate");
	if (contradict(args, "rate", "no-rate", error))
		return false;
	if (bh_args_has(args, "no-rate"))
		add_null(body, "rate_limit");
	if (!given)
		return true;
	if (!parse_rate(given, &requests, &span)) {
		bh_usage_error(error,
			       "--rate \"%s\" is no rate: write 60/1m for sixty requests a minute, 5/1s, 1000/1h",
			       given);
		return false;
	}
	g_autoptr(GString) rate = bh_object_new();
	bh_object_int(rate, "requests", requests);
	bh_object_seconds(rate, "seconds", span);
	bh_object_raw(body, "rate_limit", bh_object_end(rate));
	return true;
}

bool bh_form_fill_pace(const bh_args *args, GString *body, GError **error)
{
	return fill_order(args, body, error) && fill_coalesce(args, body, error) && fill_rate(args, body, error);
}

/* --- TLS ----------------------------------------------------------------------------------- */

/* The text of a PEM file. What is in it, the API judges; here only what a wrong file looks like. New text. */
static char *read_pem(const char *file, const char *option, GError **error)
{
	GString *text = bh_input_read(*file == '@' ? file + 1 : file, error);
	if (!text) {
		g_prefix_error(error, "%s: ", option);
		return NULL;
	}
	if (strlen(text->str) == text->len && strstr(text->str, "-----BEGIN"))
		return g_string_free(text, FALSE);
	bh_usage_error(error,
		       "%s: \"%s\" holds no PEM, which begins with -----BEGIN\n"
		       "`openssl x509 -inform der -in FILE` writes a binary certificate as PEM.",
		       option, file);
	bh_text_wipe(g_string_free(text, FALSE));
	return NULL;
}

static bool fill_pem(const bh_args *args, const char *name, const char *member, GString *tls, GError **error)
{
	const char *file = bh_args_one(args, name);
	if (!file)
		return true;
	g_autofree char *option = g_strdup_printf("--%s", name);
	char *text = read_pem(file, option, error);
	bh_object_text(tls, member, text);
	bool done = text != NULL;
	bh_text_wipe(text);
	return done;
}

bool bh_form_fill_tls(const bh_args *args, GString *body, GError **error)
{
	g_autoptr(GString) tls = bh_object_new();
	if (contradict(args, "tls-ca", "no-tls-ca", error) || contradict(args, "tls-cert", "no-tls-cert", error) ||
	    contradict(args, "tls-key", "no-tls-cert", error))
		return false;
	if (!fill_pem(args, "tls-ca", "ca", tls, error) || !fill_pem(args, "tls-cert", "certificate", tls, error) ||
	    !fill_pem(args, "tls-key", "key", tls, error))
		return false;
	if (bh_args_has(args, "no-tls-ca"))
		add_null(tls, "ca");
	if (bh_args_has(args, "no-tls-cert")) {
		add_null(tls, "certificate");
		add_null(tls, "key");
	}
	if (tls->len > 1)
		bh_object_raw(body, "tls", bh_object_end(tls));
	return true;
}
