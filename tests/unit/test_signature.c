#include "transport/signature.h"

#include "base/error.h"

#include <string.h>

/* Standard Webhooks' own vector: every library of theirs tests it. */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define SENT "1614265330"
#define NOW 1614265330
#define BODY "{\"test\": 2432232314}"
#define GOOD "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define WRONG "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLawdd"

static bh_secret *parsed(const char *text)
{
	g_autoptr(GError) error = NULL;
	bh_secret *key = bh_signing_secret_parse(text, &error);

	g_assert_no_error(error);
	return key;
}

/* --- Signing ------------------------------------------------------------------------------ */

typedef struct vector {
	const char *secret, *id;
	int64_t seconds;
	const char *body, *signature;
} vector;

static const char HARD_BODY[] = "{\"data\":{\"property_uid\":7,\"note\":\"caf\xc3\xa9 \\u001B \\/ end\","
				"\"contract_uid\":41},\"task\":\"booking_added\"}";

static const vector VECTORS[] = {
	{SECRET, ID, NOW, BODY, GOOD},
	{"whsec_+yBFao+02f4jSG2St9wBJktwlbrfBClOc5i94gcsUXY=", "msg_bh0001", 1767225600, HARD_BODY,
	 "v1,I+UbLcG4IGZopB4aoMpqSJV6Tmsxyf1An+tSoNjAqWI="},
	{"whsec_Aw4ZJC86RVBbZnF8h5KdqLO+ydTf6vUA", "msg_bh0001", 1767225600, HARD_BODY,
	 "v1,5IxnP2nP2cHhqL5dCqCNFQPBpFQjCQOGYXwGq+rTr10="},
};

static void the_published_vectors_are_met(void)
{
	g_assert_cmpuint(strlen(HARD_BODY), ==, 97);
	for (size_t i = 0; i < G_N_ELEMENTS(VECTORS); i++) {
		const vector *v = &VECTORS[i];
		g_autoptr(bh_secret) key = parsed(v->secret);
		g_autoptr(bh_signer) signer = bh_signer_new(key);
		char signature[BH_SIGNATURE_SIZE];

		bh_signer_sign(signer, v->id, v->seconds, bh_span_of(v->body), signature);

		g_assert_cmpstr(signature, ==, v->signature);
	}
}

static void a_signer_begins_each_message_anew(void)
{
	g_autoptr(bh_secret) key = parsed(SECRET);
	g_autoptr(bh_signer) signer = bh_signer_new(key);
	char first[BH_SIGNATURE_SIZE], other[BH_SIGNATURE_SIZE], again[BH_SIGNATURE_SIZE];

	bh_signer_sign(signer, ID, NOW, bh_span_of(BODY), first);
	bh_signer_sign(signer, ID, NOW + 1, bh_span_of(BODY), other);
	bh_signer_sign(signer, ID, NOW, bh_span_of(BODY), again);

	g_assert_cmpstr(first, !=, other);
	g_assert_cmpstr(first, ==, again);
}

static void a_body_is_bytes_and_may_hold_a_nul_or_nothing(void)
{
	g_autoptr(bh_secret) key = parsed(SECRET);
	g_autoptr(bh_signer) signer = bh_signer_new(key);
	char cut[BH_SIGNATURE_SIZE], whole[BH_SIGNATURE_SIZE], none[BH_SIGNATURE_SIZE];

	bh_signer_sign(signer, ID, NOW, (bh_span){"a\0b", 1}, cut);
	bh_signer_sign(signer, ID, NOW, (bh_span){"a\0b", 3}, whole);
	bh_signer_sign(signer, ID, NOW, (bh_span){NULL, 0}, none);

	g_assert_cmpstr(cut, !=, whole);
	g_assert_cmpint(bh_signature_verify(key, ID, SENT, none, (bh_span){NULL, 0}, NOW, 300), ==, BH_VERIFIED);
}

/* --- Secrets ------------------------------------------------------------------------------ */

static void a_secret_survives_being_text(void)
{
	for (size_t size = 24; size <= 64; size++) {
		g_autoptr(bh_secret) key = bh_secret_random(size);
		char *text = bh_signing_secret_text(key);
		g_autoptr(bh_secret) back = parsed(text);
		g_autoptr(bh_secret) bare = parsed(text + strlen("whsec_"));

		g_assert_true(g_str_has_prefix(text, "whsec_"));
		g_assert_true(bh_secret_equal(key, back));
		g_assert_true(bh_secret_equal(key, bare));
		bh_text_wipe(text);
	}
}

static const char *const BAD_SECRETS[] = {
	"",
	"whsec_",
	"whsec_ ",
	"WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", /* a sign short */
	"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ==", /* 22 bytes */
	"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-", /* the URL alphabet */
	" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", /* blanks */
	"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
	"whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
	"whsec_+yBFao+02f4jSG2St9wBJktwlbrfBClOc5i94gcsUXY", /* its padding lost */
	"whsec_+yBFao+02f4jSG2St9wBJktwlbrfBClOc5i94gcsUXZ=", /* stray bits */
	"whsec_+yBFao+02f4jSG2St9wBJktwlbrfBClOc5i94gcsU===",
	"whsec_=yBFao+02f4jSG2St9wBJktwlbrfBClOc5i94gcsUXY=",
	/* 65 bytes */
	("whsec_"
	 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	 "A="),
};

static void a_secret_that_is_no_base64_of_24_to_64_bytes_is_refused(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(BAD_SECRETS); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(bh_secret) key = bh_signing_secret_parse(BAD_SECRETS[i], &error);

		if (key)
			g_error("\"%s\" was taken for a secret", BAD_SECRETS[i]);
		g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
		g_assert_null(strstr(error->message, "yBFao"));
	}
}

/* --- Verifying ----------------------------------------------------------------------------- */

typedef struct check {
	const char *what;
	const char *id, *timestamp, *signatures, *body;
	int64_t now, tolerance;
	bh_verification verdict;
} check;

static const check CHECKS[] = {
	{"the vector", ID, SENT, GOOD, BODY, NOW, 300, BH_VERIFIED},
	{"no id", NULL, SENT, GOOD, BODY, NOW, 300, BH_VERIFY_MISSING_HEADER},
	{"no timestamp", ID, NULL, GOOD, BODY, NOW, 300, BH_VERIFY_MISSING_HEADER},
	{"no signature", ID, SENT, NULL, BODY, NOW, 300, BH_VERIFY_MISSING_HEADER},
	{"an empty signature header", ID, SENT, "", BODY, NOW, 300, BH_VERIFY_MISSING_HEADER},
	{"a timestamp in words", ID, "hello", GOOD, BODY, NOW, 300, BH_VERIFY_BAD_TIMESTAMP},
	{"a negative timestamp", ID, "-1", GOOD, BODY, NOW, 300, BH_VERIFY_BAD_TIMESTAMP},
	{"a fraction", ID, SENT ".0", GOOD, BODY, NOW, 300, BH_VERIFY_BAD_TIMESTAMP},
	{"a timestamp beyond all numbers", ID, "99999999999999999999", GOOD, BODY, NOW, 300, BH_VERIFY_BAD_TIMESTAMP},
	{"300 s old", ID, SENT, GOOD, BODY, NOW + 300, 300, BH_VERIFIED},
	{"301 s old", ID, SENT, GOOD, BODY, NOW + 301, 300, BH_VERIFY_TOO_OLD},
	{"300 s ahead", ID, SENT, GOOD, BODY, NOW - 300, 300, BH_VERIFIED},
	{"301 s ahead", ID, SENT, GOOD, BODY, NOW - 301, 300, BH_VERIFY_TOO_NEW},
	{"the time unchecked", ID, SENT, GOOD, BODY, NOW + 1000000, -1, BH_VERIFIED},
	{"a timestamp spelt otherwise", ID, "0" SENT, GOOD, BODY, NOW, 300, BH_VERIFY_NO_MATCH},
	{"a wrong signature", ID, SENT, WRONG, BODY, NOW, 300, BH_VERIFY_NO_MATCH},
	{"an empty one", ID, SENT, "v1,", BODY, NOW, 300, BH_VERIFY_NO_MATCH},
	{"a cut one", ID, SENT, "v1,g0hM9SsE+OTPJTGt", BODY, NOW, 300, BH_VERIFY_NO_MATCH},
	{"only an unknown version", ID, SENT, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY, NOW, 300,
	 BH_VERIFY_NO_MATCH},
	{"no version", ID, SENT, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY, NOW, 300, BH_VERIFY_NO_MATCH},
	{"the right one last", ID, SENT, WRONG " v2,AAAA v1a,BBBB " GOOD, BODY, NOW, 300, BH_VERIFIED},
	{"the right one first", ID, SENT, GOOD " " WRONG, BODY, NOW, 300, BH_VERIFIED},
	{"more blanks", ID, SENT, "  " WRONG "  " GOOD " ", BODY, NOW, 300, BH_VERIFIED},
	{"a comma between them", ID, SENT, WRONG "," GOOD, BODY, NOW, 300, BH_VERIFY_NO_MATCH},
	{"another id", ID "x", SENT, GOOD, BODY, NOW, 300, BH_VERIFY_NO_MATCH},
	{"another body", ID, SENT, GOOD, BODY " ", NOW, 300, BH_VERIFY_NO_MATCH},
};

static void a_receiver_takes_what_is_signed_and_fresh(void)
{
	g_autoptr(bh_secret) key = parsed(SECRET);

	for (size_t i = 0; i < G_N_ELEMENTS(CHECKS); i++) {
		const check *c = &CHECKS[i];
		bh_verification verdict = bh_signature_verify(key, c->id, c->timestamp, c->signatures,
							      bh_span_of(c->body), c->now, c->tolerance);

		if (verdict != c->verdict)
			g_error("%s: %s", c->what, bh_verification_sentence(verdict));
	}
}

static void during_a_rotation_either_secret_verifies(void)
{
	g_autoptr(bh_secret) old = bh_secret_random(BH_SECRET_BYTES), new = bh_secret_random(BH_SECRET_BYTES),
			     foreign = bh_secret_random(BH_SECRET_BYTES);
	g_autoptr(bh_signer) by_old = bh_signer_new(old), by_new = bh_signer_new(new);
	char first[BH_SIGNATURE_SIZE], second[BH_SIGNATURE_SIZE];

	bh_signer_sign(by_new, ID, NOW, bh_span_of(BODY), first);
	bh_signer_sign(by_old, ID, NOW, bh_span_of(BODY), second);
	g_autofree char *both = g_strconcat(first, " ", second, NULL);

	g_assert_cmpint(bh_signature_verify(new, ID, SENT, both, bh_span_of(BODY), NOW, 300), ==, BH_VERIFIED);
	g_assert_cmpint(bh_signature_verify(old, ID, SENT, both, bh_span_of(BODY), NOW, 300), ==, BH_VERIFIED);
	g_assert_cmpint(bh_signature_verify(foreign, ID, SENT, both, bh_span_of(BODY), NOW, 300), ==,
			BH_VERIFY_NO_MATCH);
}

static void each_verdict_has_its_sentence(void)
{
	for (bh_verification v = BH_VERIFIED; v <= BH_VERIFY_NO_MATCH; v++)
		g_assert_true(g_str_has_suffix(bh_verification_sentence(v), "."));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/signature/the published vectors are met", the_published_vectors_are_met);
	g_test_add_func("/signature/a signer begins each message anew", a_signer_begins_each_message_anew);
	g_test_add_func("/signature/a body is bytes and may hold a NUL or nothing",
			a_body_is_bytes_and_may_hold_a_nul_or_nothing);
	g_test_add_func("/signature/a secret survives being text", a_secret_survives_being_text);
	g_test_add_func("/signature/a secret that is no base64 of 24 to 64 bytes is refused",
			a_secret_that_is_no_base64_of_24_to_64_bytes_is_refused);
	g_test_add_func("/signature/a receiver takes what is signed and fresh",
			a_receiver_takes_what_is_signed_and_fresh);
	g_test_add_func("/signature/during a rotation either secret verifies",
			during_a_rotation_either_secret_verifies);
	g_test_add_func("/signature/each verdict has its sentence", each_verdict_has_its_sentence);
	return g_test_run();
}
