#include "cli/proof.h"

#include <string.h>

void bh_proof_clear(bh_proof *proof)
{
	g_free(proof->id);
	g_free(proof->timestamp);
	g_free(proof->signatures);
	*proof = (bh_proof){0};
}

/* --- Reading ------------------------------------------------------------------------------- */

static void take_header(bh_proof *proof, const char *line)
{
	struct {
		const char *name;
		char **value;
	} wanted[] = {{"webhook-id", &proof->id},
		      {"webhook-timestamp", &proof->timestamp},
		      {"webhook-signature", &proof->signatures}};
	const char *colon = strchr(line, ':');
	if (!colon)
		return;
	g_autofree char *name = g_strstrip(g_strndup(line, (gsize)(colon - line)));
	for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++)
		if (g_ascii_strcasecmp(name, wanted[i].name) == 0 && !*wanted[i].value)
			*wanted[i].value = g_strstrip(g_strdup(colon + 1));
}

void bh_proof_read_headers(bh_proof *proof, bh_span text, bh_span *ret_rest)
{
	*ret_rest = (bh_span){0};
	const char *end = text.at + text.size;
	for (const char *at = text.at; at < end;) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));
		const char *stop = feed ? feed : end;
		const char *next = feed ? feed + 1 : end;
		size_t length = (size_t)(stop - at);
		if (length && at[length - 1] == '\r')
			length--;
		if (length == 0) {
			*ret_rest = (bh_span){next, (size_t)(end - next)};
			return;
		}
		g_autofree char *line = g_strndup(at, length);
		take_header(proof, line);
		at = next;
	}
}

/* --- Checking ------------------------------------------------------------------------------ */

bh_verification bh_proof_check(const bh_proof *proof, const GPtrArray *secrets, int64_t now_seconds, int64_t tolerance)
{
	bh_verification verification = BH_VERIFY_NO_MATCH;
	for (guint i = 0; i < secrets->len && verification == BH_VERIFY_NO_MATCH; i++)
		verification = bh_signature_verify(g_ptr_array_index(secrets, i), proof->id, proof->timestamp,
						   proof->signatures, proof->body, now_seconds, tolerance);
	return verification;
}

const char *bh_proof_failed_check(bh_verification verification)
{
	switch (verification) {
	case BH_VERIFIED:
		return NULL;
	case BH_VERIFY_MISSING_HEADER:
		return "headers";
	case BH_VERIFY_BAD_TIMESTAMP:
	case BH_VERIFY_TOO_OLD:
	case BH_VERIFY_TOO_NEW:
		return "timestamp";
	case BH_VERIFY_NO_MATCH:
		return "signature";
	}
	g_assert_not_reached();
}

/* --- The usual mistakes -------------------------------------------------------------------- */

static char *missing_hint(const bh_proof *proof)
{
	g_autoptr(GString) names = g_string_new(NULL);
	const char *const headers[][2] = {{"webhook-id", proof->id},
					  {"webhook-timestamp", proof->timestamp},
					  {"webhook-signature", proof->signatures}};
	for (size_t i = 0; i < G_N_ELEMENTS(headers); i++)
		if (!headers[i][1] || !*headers[i][1])
			g_string_append_printf(names, "%s%s", names->len ? ", " : "", headers[i][0]);
	return g_strdup_printf("Missing: %s. Did a proxy in between drop it?", names->str);
}

static bool has_version(const char *signatures, const char *version)
{
	g_auto(GStrv) all = g_strsplit(signatures, " ", -1);
	for (char **one = all; *one; one++)
		if (g_str_has_prefix(*one, version))
			return true;
	return false;
}

static bool fits(const bh_proof *proof, bh_span body, const GPtrArray *secrets)
{
	bh_proof other = *proof;
	other.body = body;
	return bh_proof_check(&other, secrets, 0, -1) == BH_VERIFIED;
}

/* Editors and `echo` add a line end; some tools turn line feeds into CR LF on the way. */
static char *body_hint(const bh_proof *proof, const GPtrArray *secrets)
{
	bh_span body = proof->body;
	while (body.size && (body.at[body.size - 1] == '\n' || body.at[body.size - 1] == '\r')) {
		body.size--;
		if (fits(proof, body, secrets))
			return g_strdup("It matches without the line end at the end of the body: whatever saved the "
					"body added that.");
	}
	g_autoptr(GString) longer = g_string_new_len(proof->body.at, (gssize)proof->body.size);
	g_string_append_c(longer, '\n');
	if (fits(proof, (bh_span){longer->str, longer->len}, secrets))
		return g_strdup(
			"It matches with a line feed at the end of the body: whatever saved the body cut that off.");
	return NULL;
}

/* The text of the secret, instead of the bytes that its base64 stands for, is the most frequent wrong key. */
static bool fits_text_key(const bh_proof *proof, const GPtrArray *secrets)
{
	for (guint i = 0; i < secrets->len; i++) {
		g_autofree char *text = bh_signing_secret_text(g_ptr_array_index(secrets, i));
		const char *keys[] = {text, text + strlen("whsec_")};
		for (size_t k = 0; k < G_N_ELEMENTS(keys); k++) {
			g_autoptr(GPtrArray) wrong = g_ptr_array_new_with_free_func((GDestroyNotify)bh_secret_unref);
			g_ptr_array_add(wrong, bh_secret_new(keys[k], strlen(keys[k])));
			if (fits(proof, proof->body, wrong))
				return true;
		}
	}
	return false;
}

char *bh_proof_hint(const bh_proof *proof, const GPtrArray *secrets, bh_verification verification)
{
	if (verification == BH_VERIFY_MISSING_HEADER)
		return missing_hint(proof);
	if (verification == BH_VERIFY_TOO_OLD || verification == BH_VERIFY_TOO_NEW)
		return g_strdup("For a request that was saved some time ago, leave the time out with --no-time-check.");
	if (verification != BH_VERIFY_NO_MATCH)
		return NULL;
	if (!has_version(proof->signatures, "v1,"))
		return g_strdup("There is no v1 signature among them; other versions are not looked at.");
	if (fits_text_key(proof, secrets))
		return g_strdup("It was signed with the text of the secret as the key: the key is what follows whsec_, "
				"base64-decoded.");
	return body_hint(proof, secrets);
}
