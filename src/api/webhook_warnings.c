/* What the owner of a webhook should look at: a code for programs and a sentence for people, one row each. */
#include "api/names.h"
#include "api/reply.h"
#include "api/server.h"
#include "api/webhook.h"

#include <stdarg.h>

#define EXPIRY_NOTICE (30 * BH_DAY)

static void warn(GString *out, const char *code, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void warn(GString *out, const char *code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	g_autofree char *sentence = g_strdup_vprintf(format, arguments);
	va_end(arguments);

	bh_out_open(out, NULL, '{');
	bh_out_text(out, "code", code);
	bh_out_text(out, "sentence", sentence);
	bh_out_close(out, '}');
}

static void warn_of_names(GString *out, const GPtrArray *names)
{
	for (guint i = 0; names && i < names->len; i++) {
		const bh_name *n = g_ptr_array_index(names, i);
		if (n->doubt)
			warn(out, n->was_looked_up ? "name_not_resolved" : "name_not_checked", "%s", n->doubt);
	}
}

static void warn_of_expiry(GString *out, const char *what, bh_usec at, bh_usec now)
{
	char text[BH_TIME_TEXT_SIZE];

	if (at && at - now < EXPIRY_NOTICE)
		warn(out, "tls_expires", "The %s of this webhook %s at %s: give a new one in time.", what,
		     at <= now ? "expired" : "expires", bh_time_text(at, text));
}

static void warn_of_failures(GString *out, const bh_settings *settings, bh_usec since, bh_usec off_at, bh_usec now)
{
	char text[BH_TIME_TEXT_SIZE];

	if (since && now - since >= settings->failing_warn_after)
		warn(out, "failing", "Nothing has been delivered since %s: see the attempts of its deliveries.",
		     bh_time_text(since, text));
	if (off_at && off_at <= now)
		warn(out, "will_be_disabled", "If nothing gets through, it is disabled with the next failures.");
	else if (off_at && off_at - now <= settings->disable_warn_before)
		warn(out, "will_be_disabled", "If nothing gets through, it is disabled at %s.",
		     bh_time_text(off_at, text));
}

void bh_write_warnings(bh_call *call, GString *out, const bh_shown_webhook *shown, bh_usec disables_at)
{
	const bh_settings *settings = atomic_load(&call->api->settings);
	const bh_webhook *webhook = shown->webhook;

	bh_out_open(out, "warnings", '[');
	warn_of_names(out, shown->names);
	warn_of_expiry(out, "certificate authority", webhook->tls_ca_expires_at, call->now);
	warn_of_expiry(out, "client certificate", webhook->tls_certificate_expires_at, call->now);
	warn_of_failures(out, settings, shown->streak.failing_since, disables_at, call->now);
	bh_out_close(out, ']');
}
