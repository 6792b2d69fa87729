/*
 * The TLS of one webhook: whom it trusts in place of the system's authorities, and the certificate that it shows. The parts
 * are merged one by one; the key is never shown, as a password.
 *
 * The key does not ask to be given anew when the URL moves to another host: it proves who we are and never
 * leaves us, so the new host learns nothing that it could use elsewhere.
 */
#include "api/body.h"
#include "api/reply.h"
#include "api/webhook.h"
#include "transport/transport.h"

#include <string.h>

static bool refuse(bh_call *call, const char *pointer, const char *why)
{
	bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "%s", why);
	return false;
}

static uint32_t member(bh_call *call, uint32_t object, const char *name)
{
	return bh_json_member(bh_call_json(call), object, name);
}

/* --- The parts --------------------------------------------------------------------------- */

/* A PEM is text of lines, so the rule of bh_body_text against control characters does not fit. *ret is replaced; null: nothing. */
static bool read_pem(bh_call *call, uint32_t node, const char *pointer, char **ret)
{
	const bh_json *json = bh_call_json(call);
	bool is_text = node != BH_JSON_NONE && bh_json_type_of(json, node) == BH_JSON_STRING;
	char *pem = is_text ? bh_json_string(json, node) : NULL;
	size_t bytes = pem ? strlen(pem) : 0;

	if (node == BH_JSON_NONE)
		return true;
	if (!pem && !bh_body_is_null(call, node))
		return refuse(call, pointer, "It must be a PEM text or null.");
	if (pem && (bytes == 0 || bytes > BH_PEM_MAX)) {
		bh_text_wipe(pem);
		return refuse(call, pointer,
			      bytes ? "It has more than 32 KiB." : "It must not be empty: null removes it.");
	}
	bh_text_wipe(*ret);
	*ret = pem;
	return true;
}

/* {"set":true} is how it is shown, and keeps it. */
static bool is_mask(bh_call *call, uint32_t node)
{
	const bh_json *json = bh_call_json(call);
	uint32_t set = member(call, node, "set");

	return set != BH_JSON_NONE && bh_json_type_of(json, set) == BH_JSON_TRUE;
}

static bool read_key(bh_call *call, bh_webhook *w, uint32_t node)
{
	static const char *const MASK[] = {"set", NULL};
	char *pem = NULL;

	if (node == BH_JSON_NONE)
		return true;
	if (bh_json_type_of(bh_call_json(call), node) == BH_JSON_OBJECT)
		return bh_body_object(call, node, "/tls/key", MASK) &&
		       ((is_mask(call, node) && w->tls_key) || refuse(call, "/tls/key", "There is no key to keep."));
	if (!read_pem(call, node, "/tls/key", &pem))
		return false;
	bh_secret_unref(w->tls_key);
	w->tls_key = pem ? bh_secret_new(pem, strlen(pem)) : NULL;
	bh_text_wipe(pem);
	return true;
}

static void forget(bh_webhook *w)
{
	w->tls_ca_expires_at = w->tls_certificate_expires_at = 0;
	g_clear_pointer(&w->tls_ca, g_free);
	g_clear_pointer(&w->tls_certificate, g_free);
	g_clear_pointer(&w->tls_key, bh_secret_unref);
}

/* --- The whole --------------------------------------------------------------------------- */

static bool has_any(const bh_webhook *w)
{
	return w->tls_ca || w->tls_certificate || w->tls_key;
}

static bool check(bh_call *call, bh_webhook *w)
{
	bh_span key = w->tls_key ? bh_secret_bytes(w->tls_key) : (bh_span){NULL, 0};
	g_autoptr(GError) error = NULL;
	const char *part = NULL;

	if (!has_any(w)) {
		forget(w);
		return true;
	}
	if (bh_tls_check(w->tls_ca, w->tls_certificate, key, call->now, &w->tls_ca_expires_at,
			 &w->tls_certificate_expires_at, &part, &error))
		return true;
	g_autofree char *pointer = part ? bh_pointer_to("/tls", part) : g_strdup("/tls");
	return refuse(call, pointer, error->message);
}

bool bh_set_tls(bh_call *call, bh_webhook *w, uint32_t node)
{
	static const char *const MEMBERS[] = {"ca", "certificate", "key", NULL};

	if (bh_body_is_null(call, node)) {
		forget(w);
		return true;
	}
	return bh_body_object(call, node, "/tls", MEMBERS) &&
	       read_pem(call, member(call, node, "ca"), "/tls/ca", &w->tls_ca) &&
	       read_pem(call, member(call, node, "certificate"), "/tls/certificate", &w->tls_certificate) &&
	       read_key(call, w, member(call, node, "key")) && check(call, w);
}

/* --- Shown ------------------------------------------------------------------------------- */

void bh_write_tls(GString *out, const bh_webhook *w)
{
	if (!has_any(w)) {
		bh_out_null(out, "tls");
		return;
	}
	bh_out_open(out, "tls", '{');
	bh_out_text(out, "ca", w->tls_ca);
	bh_out_time(out, "ca_expires_at", w->tls_ca_expires_at);
	bh_out_text(out, "certificate", w->tls_certificate);
	bh_out_time(out, "certificate_expires_at", w->tls_certificate_expires_at);
	bh_out_open(out, "key", '{');
	bh_out_bool(out, "set", w->tls_key);
	bh_out_close(out, '}');
	bh_out_close(out, '}');
}
