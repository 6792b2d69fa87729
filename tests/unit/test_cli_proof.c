/* What `bellhop verify` and `bellhop listen` find of a request. */
#include "base/json.h"
#include "cli/heard.h"
#include "cli/member.h"
#include "cli/proof.h"

#include <string.h>

/* The published vector of Standard Webhooks. */
#define BARE_SECRET "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SECRET "whsec_" BARE_SECRET
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define SENT 1614265330
#define BODY "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define WRONG "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLawdd="
#define OTHER_SECRET "whsec_Aw4ZJC86RVBbZnF8h5KdqLO+ydTf6vUA"

static GPtrArray *secrets_of(const char *const *texts)
{
	GPtrArray *secrets = g_ptr_array_new_with_free_func((GDestroyNotify)bh_secret_unref);
	for (; *texts; texts++) {
		bh_secret *secret = bh_signing_secret_parse(*texts, NULL);
		g_assert_nonnull(secret);
		g_ptr_array_add(secrets, secret);
	}
	return secrets;
}

static GPtrArray *the_secret(void)
{
	const char *const texts[] = {SECRET, NULL};
	return secrets_of(texts);
}

static bh_proof proof_of(const char *id, const char *timestamp, const char *signatures, const char *body)
{
	return (bh_proof){(char *)id, (char *)timestamp, (char *)signatures, bh_span_of(body)};
}

/* --- verify ---------------------------------------------------------------------------------- */

static void each_check_fails_by_its_name(void)
{
	g_autoptr(GPtrArray) secrets = the_secret();
	const struct {
		const char *id, *timestamp, *signatures, *body;
		int64_t now, tolerance;
		bh_verification verification;
		const char *check;
	} rows[] = {
		{ID, "1614265330", SIGNATURE, BODY, SENT, 300, BH_VERIFIED, NULL},
		{ID, "1614265330", SIGNATURE, BODY, SENT + 300, 300, BH_VERIFIED, NULL},
		{ID, "1614265330", SIGNATURE, BODY, SENT - 300, 300, BH_VERIFIED, NULL},
		{ID, "1614265330", SIGNATURE, BODY, SENT + 99999999, -1, BH_VERIFIED, NULL},
		{NULL, "1614265330", SIGNATURE, BODY, SENT, 300, BH_VERIFY_MISSING_HEADER, "headers"},
		{ID, NULL, SIGNATURE, BODY, SENT, 300, BH_VERIFY_MISSING_HEADER, "headers"},
		{ID, "1614265330", NULL, BODY, SENT, 300, BH_VERIFY_MISSING_HEADER, "headers"},
		{ID, "hello", SIGNATURE, BODY, SENT, 300, BH_VERIFY_BAD_TIMESTAMP, "timestamp"},
		{ID, "1614265330", SIGNATURE, BODY, SENT + 301, 300, BH_VERIFY_TOO_OLD, "timestamp"},
		{ID, "1614265330", SIGNATURE, BODY, SENT - 301, 300, BH_VERIFY_TOO_NEW, "timestamp"},
		{ID, "1614265330", WRONG, BODY, SENT, 300, BH_VERIFY_NO_MATCH, "signature"},
		{ID, "1614265330", "v1,", BODY, SENT, 300, BH_VERIFY_NO_MATCH, "signature"},
		{ID, "1614265330", "v1,g0hM9SsE", BODY, SENT, 300, BH_VERIFY_NO_MATCH, "signature"},
		{ID, "1614265330", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY, SENT, 300,
		 BH_VERIFY_NO_MATCH, "signature"},
		{ID, "1614265330", WRONG " v2,AAAA " SIGNATURE, BODY, SENT, 300, BH_VERIFIED, NULL},
		{ID, "1614265330", SIGNATURE " " WRONG, BODY, SENT, 300, BH_VERIFIED, NULL},
		{"msg_other", "1614265330", SIGNATURE, BODY, SENT, 300, BH_VERIFY_NO_MATCH, "signature"},
		{ID, "1614265330", SIGNATURE, "{\"test\":2432232314}", SENT, 300, BH_VERIFY_NO_MATCH, "signature"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_proof proof = proof_of(rows[i].id, rows[i].timestamp, rows[i].signatures, rows[i].body);
		bh_verification found = bh_proof_check(&proof, secrets, rows[i].now, rows[i].tolerance);
		g_test_message("row %zu", i);
		g_assert_cmpint(found, ==, rows[i].verification);
		g_assert_cmpstr(bh_proof_failed_check(found), ==, rows[i].check);
	}
}

static void an_empty_body_can_be_verified(void)
{
	g_autoptr(GPtrArray) secrets = the_secret();
	g_autoptr(bh_signer) signer = bh_signer_new(g_ptr_array_index(secrets, 0));
	char signature[BH_SIGNATURE_SIZE];
	bh_signer_sign(signer, ID, SENT, (bh_span){0}, signature);
	bh_proof proof = proof_of(ID, "1614265330", signature, "");
	g_assert_cmpint(bh_proof_check(&proof, secrets, SENT, 300), ==, BH_VERIFIED);
}

static void any_of_several_secrets_may_fit_with_or_without_prefix(void)
{
	const char *const texts[] = {OTHER_SECRET, BARE_SECRET, NULL};
	g_autoptr(GPtrArray) secrets = secrets_of(texts);
	bh_proof proof = proof_of(ID, "1614265330", SIGNATURE, BODY);
	g_assert_cmpint(bh_proof_check(&proof, secrets, SENT, 300), ==, BH_VERIFIED);
}

static void an_empty_secret_is_refused(void)
{
	g_assert_null(bh_signing_secret_parse("whsec_", NULL));
	g_assert_null(bh_signing_secret_parse("", NULL));
}

static void the_usual_mistakes_are_named(void)
{
	g_autoptr(GPtrArray) secrets = the_secret();
	char as_text[BH_SIGNATURE_SIZE];
	g_autoptr(bh_secret) text_key = bh_secret_new(SECRET, strlen(SECRET));
	g_autoptr(bh_signer) signer = bh_signer_new(text_key);
	bh_signer_sign(signer, ID, SENT, bh_span_of(BODY), as_text);
	const struct {
		const char *id, *signatures, *body, *says;
	} rows[] = {
		{NULL, SIGNATURE, BODY, "webhook-id"},
		{ID, SIGNATURE, BODY "\n", "without the line end"},
		{ID, SIGNATURE, BODY "\r\n", "without the line end"},
		{ID, "v2,abc", BODY, "no v1 signature"},
		{ID, as_text, BODY, "base64-decoded"},
		{ID, SIGNATURE, "{}", NULL},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_proof proof = proof_of(rows[i].id, "1614265330", rows[i].signatures, rows[i].body);
		bh_verification found = bh_proof_check(&proof, secrets, SENT, 300);
		g_autofree char *hint = bh_proof_hint(&proof, secrets, found);
		g_assert_cmpint(found, !=, BH_VERIFIED);
		g_assert_true(rows[i].says ? hint && strstr(hint, rows[i].says) : hint == NULL);
	}
}

static void headers_are_read_as_people_save_them(void)
{
	const struct {
		const char *text, *id, *signatures, *rest;
	} rows[] = {
		{"webhook-id: a\nwebhook-signature: v1,x v1,y\n", "a", "v1,x v1,y", NULL},
		{"POST /hook HTTP/1.1\r\nHost: x\r\nWebhook-ID:  a  \r\nWEBHOOK-SIGNATURE:s\r\n\r\nthe body\r\n", "a",
		 "s", "the body\r\n"},
		{"webhook-id: first\nwebhook-id: second", "first", NULL, NULL},
		{"\nall body", NULL, NULL, "all body"},
		{"webhook-id: a\n\n", "a", NULL, ""},
		{"", NULL, NULL, NULL},
		{"no colon here\nwebhook-id", NULL, NULL, NULL},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_proof proof = {0};
		bh_span rest;
		bh_proof_read_headers(&proof, bh_span_of(rows[i].text), &rest);
		g_assert_cmpstr(proof.id, ==, rows[i].id);
		g_assert_cmpstr(proof.signatures, ==, rows[i].signatures);
		g_assert_true((rest.at != NULL) == (rows[i].rest != NULL));
		g_assert_true(!rows[i].rest || bh_span_is(rest, rows[i].rest));
		bh_proof_clear(&proof);
	}
}

/* --- listen ---------------------------------------------------------------------------------- */

static bh_heard *hear(const char *body, const char *id)
{
	bh_heard *heard = bh_heard_new("/hook?x=1");
	heard->verb = g_strdup("POST");
	heard->arrived = (int64_t)SENT * BH_SECOND + 12345;
	heard->answered = 200;
	g_string_append(heard->body, body);
	if (id)
		bh_heard_add_header(heard, "Webhook-Id", id);
	bh_heard_add_header(heard, "webhook-timestamp", "1614265330");
	bh_heard_add_header(heard, "webhook-signature", SIGNATURE);
	return heard;
}

static GHashTable *new_seen(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void a_good_request_is_verified_and_a_second_one_is_a_repeat(void)
{
	g_autoptr(GPtrArray) secrets = the_secret();
	g_autoptr(GHashTable) seen = new_seen();
	g_autoptr(bh_heard) first = hear(BODY, ID);
	g_autoptr(bh_heard) again = hear(BODY, ID);
	bh_heard_judge(first, secrets, 300, seen);
	bh_heard_judge(again, secrets, 300, seen);
	g_assert_true(bh_heard_verified(first) && first->checked && !first->repeat);
	g_assert_true(bh_heard_verified(again) && again->repeat);
}

static void a_forged_request_does_not_make_the_real_one_a_repeat(void)
{
	g_autoptr(GPtrArray) secrets = the_secret();
	g_autoptr(GHashTable) seen = new_seen();
	g_autoptr(bh_heard) forged = hear("{}", ID);
	g_autoptr(bh_heard) real = hear(BODY, ID);
	bh_heard_judge(forged, secrets, 300, seen);
	bh_heard_judge(real, secrets, 300, seen);
	g_assert_false(bh_heard_verified(forged));
	g_assert_true(bh_heard_verified(real) && !real->repeat);
}

static void type_and_age_come_from_either_shape(void)
{
	const struct {
		const char *body, *type;
		bh_usec event_at;
	} rows[] = {
		{"{\"type\":\"booking_added\",\"timestamp\":\"2021-02-25T15:02:10Z\",\"data\":{}}", "booking_added",
		 (int64_t)SENT * BH_SECOND},
		{"{\"data\":{\"property_uid\":1,\"task\":\"booking_added\"}}", "booking_added", 0},
		{"{\"data\":[]}", NULL, 0},
		{"no JSON", NULL, 0},
		{"", NULL, 0},
	};
	g_autoptr(GPtrArray) none = g_ptr_array_new();
	g_autoptr(GHashTable) seen = new_seen();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_heard) heard = hear(rows[i].body, NULL);
		bh_heard_judge(heard, none, 300, seen);
		g_assert_cmpstr(heard->type, ==, rows[i].type);
		g_assert_cmpint(heard->event_at, ==, rows[i].event_at);
		g_assert_false(heard->checked);
	}
}

static void a_line_tells_what_arrived(void)
{
	g_autoptr(GPtrArray) secrets = the_secret();
	g_autoptr(GHashTable) seen = new_seen();
	g_autoptr(bh_heard) good = hear(BODY, ID);
	g_autoptr(bh_heard) bad = hear("{\"type\":\"x\\u001b[31m\"}", ID);
	g_autoptr(GString) out = g_string_new(NULL);
	bh_heard_judge(good, secrets, 300, seen);
	bh_heard_judge(bad, secrets, 300, seen);
	bh_heard_line(good, (bh_screen){.width = 120}, out);
	g_assert_nonnull(strstr(out->str, "POST /hook?x=1  (no event type)  " ID "  verified  -> 200\n"));
	g_string_truncate(out, 0);
	bh_heard_line(bad, (bh_screen){.width = 120}, out);
	g_assert_nonnull(strstr(out->str, "NOT VERIFIED"));
	g_assert_nonnull(strstr(out->str, "No v1 signature matches"));
	g_assert_null(strchr(out->str, '\033'));
}

static void the_number_of_what_is_sent_in_order_is_shown(void)
{
	const struct {
		const char *body, *line, *json;
	} rows[] = {
		{"{\"type\":\"a\",\"data\":{},\"sequence\":7}", "  #7  ", "\"sequence\":7,"},
		{"{\"data\":{\"task\":\"a\"},\"sequence\":12}", "  #12  ", "\"sequence\":12,"},
		{"{\"type\":\"a\",\"data\":{\"sequence\":7}}", NULL, "\"sequence\":null,"},
		{"{\"type\":\"a\",\"sequence\":\"x\"}", NULL, "\"sequence\":null,"},
	};
	g_autoptr(GPtrArray) none = g_ptr_array_new();
	g_autoptr(GHashTable) seen = new_seen();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(bh_heard) heard = hear(rows[i].body, NULL);
		g_autoptr(GString) line = g_string_new(NULL);
		g_autoptr(GString) json = g_string_new(NULL);
		bh_heard_judge(heard, none, 300, seen);
		bh_heard_line(heard, (bh_screen){.width = 120}, line);
		bh_heard_json(heard, json);
		g_assert_true(rows[i].line ? strstr(line->str, rows[i].line) != NULL : !strchr(line->str, '#'));
		g_assert_nonnull(strstr(json->str, rows[i].json));
	}
}

static void json_of_a_request_is_one_valid_line(void)
{
	g_autoptr(GPtrArray) secrets = the_secret();
	g_autoptr(GHashTable) seen = new_seen();
	const char *const bodies[] = {BODY, "", "line\nfeed \"quoted\" \377",
				      "{\"type\":\"a\",\"timestamp\":\"2021-02-25T15:02:10Z\"}"};
	for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
		g_autoptr(bh_heard) heard = hear(bodies[i], i ? NULL : ID);
		g_autoptr(GString) out = g_string_new(NULL);
		g_autoptr(bh_json) json = bh_json_new();
		int64_t arrived;
		bh_heard_add_header(heard, "X-Twice", "a");
		bh_heard_add_header(heard, "x-twice", "b");
		bh_heard_judge(heard, secrets, 300, seen);
		bh_heard_json(heard, out);

		g_assert_true(strchr(out->str, '\n') == out->str + out->len - 1);
		g_assert_true(bh_json_parse(json, (bh_span){out->str, out->len}, NULL));
		g_assert_true(bh_member_int(json, 0, "arrived_us", &arrived) && arrived == heard->arrived);
		g_assert_true(bh_member_true(json, 0, "verified") == (i == 0));
		g_assert_true(bh_member_is(json, 0, "signature", i == 0 ? "verified" : "missing_header"));
		g_assert_true(bh_member_is(json, bh_member(json, 0, "headers"), "x-twice", "a, b"));
		g_assert_true(bh_json_member(json, 0, "webhook_id") != BH_JSON_NONE);
		g_assert_true((bh_member(json, 0, "body_base64") != BH_JSON_NONE) == (i == 2));
		g_autofree char *age = bh_member_text(json, 0, "since_event_ms");
		g_assert_cmpstr(age, ==, i == 3 ? "12.345" : NULL);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cli/verify/each check fails by its name", each_check_fails_by_its_name);
	g_test_add_func("/cli/verify/an empty body can be verified", an_empty_body_can_be_verified);
	g_test_add_func("/cli/verify/any of several secrets may fit, with or without prefix",
			any_of_several_secrets_may_fit_with_or_without_prefix);
	g_test_add_func("/cli/verify/an empty secret is refused", an_empty_secret_is_refused);
	g_test_add_func("/cli/verify/the usual mistakes are named", the_usual_mistakes_are_named);
	g_test_add_func("/cli/verify/headers are read as people save them", headers_are_read_as_people_save_them);
	g_test_add_func("/cli/listen/a good request is verified, and a second one is a repeat",
			a_good_request_is_verified_and_a_second_one_is_a_repeat);
	g_test_add_func("/cli/listen/a forged request does not make the real one a repeat",
			a_forged_request_does_not_make_the_real_one_a_repeat);
	g_test_add_func("/cli/listen/type and age come from either shape", type_and_age_come_from_either_shape);
	g_test_add_func("/cli/listen/a line tells what arrived", a_line_tells_what_arrived);
	g_test_add_func("/cli/listen/the number of what is sent in order is shown",
			the_number_of_what_is_sent_in_order_is_shown);
	g_test_add_func("/cli/listen/JSON of a request is one valid line", json_of_a_request_is_one_valid_line);
	return g_test_run();
}
