/* Checks a signature from files, and says which check failed. */
#include "cli/call.h"
#include "cli/heard.h"
#include "cli/input.h"
#include "cli/object.h"
#include "cli/proof.h"
#include "cli/run.h"
#include "cli/text.h"

#include <string.h>

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(bh_proof, bh_proof_clear)

/* The headers from options first, then from the file; the body from the operand, else from the file of headers. */
static bool read_proof(const bh_args *args, bh_proof *proof, GString **ret_headers, GString **ret_body, GError **error)
{
	const char *file = bh_args_one(args, "headers");
	const char *body = bh_args_operand(args, 0);
	bh_span rest = {0};
	proof->id = g_strdup(bh_args_one(args, "id"));
	proof->timestamp = g_strdup(bh_args_one(args, "timestamp"));
	proof->signatures = g_strdup(bh_args_one(args, "signature"));
	if (file) {
		*ret_headers = bh_input_read(file, error);
		if (!*ret_headers)
			return false;
		bh_proof_read_headers(proof, (bh_span){(*ret_headers)->str, (*ret_headers)->len}, &rest);
	}
	if (body) {
		*ret_body = bh_input_read(body, error);
		if (!*ret_body)
			return false;
		proof->body = (bh_span){(*ret_body)->str, (*ret_body)->len};
		return true;
	}
	if (!rest.at)
		bh_usage_error(error, "the body is missing: name its FILE, or - for standard input");
	proof->body = rest;
	return rest.at != NULL;
}

/* "ok", "failed", or nothing for what was not looked at after a failure. */
static void add_check(GString *out, bh_screen screen, const char *name, const char *failed, bool *ret_over)
{
	bool is_it = failed && strcmp(failed, name) == 0;
	const char *word = is_it ? "failed" : *ret_over ? "not looked at" : "ok";
	g_string_append_printf(out, "  %-10s ", name);
	bh_paint_append(out, screen, is_it ? BH_BAD : *ret_over ? BH_FAINT : BH_GOOD, word);
	g_string_append_c(out, '\n');
	*ret_over |= is_it;
}

static void print_for_people(const bh_call *call, bh_verification verification, const char *hint)
{
	const char *failed = bh_proof_failed_check(verification);
	bool over = false;
	g_autoptr(GString) out = g_string_new(NULL);
	bh_paint_append(out, call->view.screen, failed ? BH_BAD : BH_GOOD, failed ? "not verified" : "verified");
	g_string_append_printf(out, ": %s\n", bh_verification_sentence(verification));
	add_check(out, call->view.screen, "headers", failed, &over);
	add_check(out, call->view.screen, "timestamp", failed, &over);
	add_check(out, call->view.screen, "signature", failed, &over);
	if (hint)
		g_string_append_printf(out, "%s\n", hint);
	bh_print(out);
}

static void print_json(bh_verification verification, const char *hint)
{
	const char *failed = bh_proof_failed_check(verification);
	g_autoptr(GString) json = bh_object_new();
	bh_object_raw(json, "verified", bh_span_of(failed ? "false" : "true"));
	bh_object_text(json, "result", bh_verification_name(verification));
	bh_object_text(json, "failed_check", failed);
	bh_object_text(json, "sentence", bh_verification_sentence(verification));
	bh_object_text(json, "hint", hint);
	bh_object_end(json);
	bh_print(json);
	bh_printf("\n");
}

static bool check_usage(const bh_args *args, const GPtrArray *secrets, GError **error)
{
	guint from_input = g_strv_contains(bh_args_all(args, "secret"), "-");
	from_input += g_strcmp0(bh_args_one(args, "headers"), "-") == 0;
	from_input += g_strcmp0(bh_args_operand(args, 0), "-") == 0;
	if (secrets->len == 0)
		bh_usage_error(error, "the secret is missing: --secret whsec_..., or --secret @FILE");
	else if (from_input > 1)
		bh_usage_error(error, "only one of secret, headers and body can come from standard input");
	else
		return true;
	return false;
}

static bh_exit judge(const bh_call *call, const bh_proof *proof, const GPtrArray *secrets, int64_t tolerance)
{
	bh_verification found = bh_proof_check(proof, secrets, call->view.now / BH_SECOND, tolerance);
	g_autofree char *hint = bh_proof_hint(proof, secrets, found);
	if (call->json)
		print_json(found, hint);
	else
		print_for_people(call, found, hint);
	return found == BH_VERIFIED ? BH_EXIT_DONE : BH_EXIT_FAILED;
}

bh_exit bh_run_verify(bh_call *call, GError **error)
{
	gint64 tolerance = 300;
	g_auto(bh_proof) proof = {0};
	g_autoptr(GString) headers = NULL;
	g_autoptr(GString) body = NULL;
	g_autoptr(GPtrArray) secrets = bh_input_secrets(call->args, error);
	if (!secrets || !bh_args_int(call->args, "tolerance", -1, G_MAXINT, &tolerance, error))
		return BH_EXIT_USAGE;
	if (!check_usage(call->args, secrets, error) || !read_proof(call->args, &proof, &headers, &body, error))
		return BH_EXIT_FAILED;
	return judge(call, &proof, secrets, bh_args_has(call->args, "no-time-check") ? -1 : tolerance);
}
