/* What owners paste into TLS settings, and what they are told about it. */
#include "base/error.h"
#include "directory/directory.h"
#include "transport/transport.h"

#include "certificates.h"

G_STATIC_ASSERT(BH_TLS_PART_MAX == BH_PEM_MAX);

static certificate authority, other_authority, client, stranger, expired, future, weak;
static char *ca, *other_ca, *own, *key, *stranger_key, *expired_pem, *future_pem, *weak_pem, *weak_key, *locked_key,
	*old_locked_key;

static char *old_locked(const certificate *c)
{
	BIO *bio = BIO_new(BIO_s_mem());

	g_assert_cmpint(PEM_write_bio_PrivateKey_traditional(bio, c->key, EVP_aes_128_cbc(), (unsigned char *)"secret",
							     6, NULL, NULL),
			==, 1);
	return text_of_bio(bio);
}

static void prepare(void)
{
	authority = make((certificate_options){.common_name = "Köln CA"});
	other_authority = make((certificate_options){.from = -DAY, .until = 5 * DAY});
	client = make((certificate_options){
		.issuer = &authority, .names = "DNS:bellhop.example", .from = -DAY, .until = 2 * DAY});
	stranger = make((certificate_options){.names = "DNS:x.example"});
	expired = make((certificate_options){
		.names = "DNS:x.example", .common_name = "old one", .from = -9 * DAY, .until = -DAY});
	future = make((certificate_options){.names = "DNS:x.example", .from = DAY, .until = 9 * DAY});
	weak = make((certificate_options){.names = "DNS:x.example", .rsa_bits = 1024});
	ca = pem_of(&authority);
	other_ca = pem_of(&other_authority);
	own = pem_of(&client);
	key = pem_of_key(&client, NULL);
	stranger_key = pem_of_key(&stranger, NULL);
	expired_pem = pem_of(&expired);
	future_pem = pem_of(&future);
	weak_pem = pem_of(&weak);
	weak_key = pem_of_key(&weak, NULL);
	locked_key = pem_of_key(&client, "secret");
	old_locked_key = old_locked(&client);
}

static void tidy_up(void)
{
	char *const texts[] = {ca,         other_ca, own,      key,        stranger_key,  expired_pem,
			       future_pem, weak_pem, weak_key, locked_key, old_locked_key};
	certificate *const all[] = {&authority, &other_authority, &client, &stranger, &expired, &future, &weak};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		forget(all[i]);
}

static bh_usec now(void)
{
	return bh_clock_now().wall;
}

static bh_usec end_of(const certificate *c)
{
	struct tm t;

	g_assert_cmpint(ASN1_TIME_to_tm(X509_get0_notAfter(c->x509), &t), ==, 1);
	return (bh_usec)timegm(&t) * BH_SECOND;
}

static void assert_good(const char *ca_text, const char *certificate_text, const char *key_text, bh_usec ca_expires,
			bh_usec expires)
{
	g_autoptr(GError) error = NULL;
	bh_usec first = -1, second = -1;
	const char *part = NULL;

	bool good =
		bh_tls_check(ca_text, certificate_text, bh_span_of(key_text), now(), &first, &second, &part, &error);
	g_assert_no_error(error);
	g_assert_true(good);
	g_assert_cmpint(first, ==, ca_expires);
	g_assert_cmpint(second, ==, expires);
}

/* `says`: two pieces of the sentence. */
static void assert_wrong(const char *ca_text, const char *certificate_text, bh_span key_text, const char *part,
			 const char *says, const char *advises)
{
	g_autoptr(GError) error = NULL;
	bh_usec first = -1, second = -1;
	const char *wrong_part = NULL;

	g_assert_false(bh_tls_check(ca_text, certificate_text, key_text, now(), &first, &second, &wrong_part, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
	g_assert_cmpstr(wrong_part, ==, part);
	if (!strstr(error->message, says) || !strstr(error->message, advises) || !g_str_has_suffix(error->message, "."))
		g_error("%s: expected \"%s\" and \"%s\" in: %s", part, says, advises, error->message);
	g_assert_cmpint(first, ==, -1);
	g_assert_cmpint(second, ==, -1);
}

static void what_is_right_passes_and_its_end_is_told(void)
{
	g_autofree char *two = g_strconcat("My authorities\n", other_ca, "\nand\n", ca, NULL);
	g_autofree char *chain = g_strconcat(own, other_ca, ca, NULL);
	g_auto(GStrv) lines = g_strsplit(own, "\n", -1);
	g_autofree char *windows = g_strjoinv("\r\n", lines);
	g_autofree char *with_curve = g_strconcat(
		"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", key, NULL);

	assert_good(NULL, NULL, "", 0, 0);
	assert_good("", "", "", 0, 0);
	assert_good(ca, NULL, "", end_of(&authority), 0);
	assert_good(two, NULL, "", end_of(&authority), 0); /* the first of them to end */
	assert_good(NULL, own, key, 0, end_of(&client));
	assert_good(NULL, windows, key, 0, end_of(&client));
	assert_good(NULL, own, with_curve, 0, end_of(&client));
	assert_good(other_ca, chain, key, end_of(&other_authority), end_of(&authority));
}

static void what_is_no_authority_is_said_to_be_none(void)
{
	g_autofree char *torn = g_strndup(ca, strlen(ca) - 40), *second_torn = g_strconcat(ca, torn, NULL);
	g_autofree char *with_key = g_strconcat(ca, key, NULL), *huge = g_strnfill(BH_PEM_MAX + 1, 'x');
	g_autofree char *nonsense =
		g_strconcat("-----BEGIN CERTIFICATE-----\n", "aGVsbG8=\n", "-----END CERTIFICATE-----\n", NULL);
	g_autofree char *with_old = g_strconcat(ca, expired_pem, NULL);
	bh_span none = {0};

	assert_wrong("hello", NULL, none, "ca", "no certificate in it", "-----BEGIN CERTIFICATE-----");
	assert_wrong("\x30\x82\x01\x02", NULL, none, "ca", "binary form (DER)", "PEM");
	assert_wrong(torn, NULL, none, "ca", "Block 1 is damaged", "copy it again");
	assert_wrong(second_torn, NULL, none, "ca", "Block 2 is damaged", "copy it again");
	assert_wrong(nonsense, NULL, none, "ca", "Block 1 is damaged", "copy it again");
	assert_wrong(key, NULL, none, "ca", "Block 1 is a private key", "take it out");
	assert_wrong(with_key, NULL, none, "ca", "Block 2 is a private key", "must never leave");
	assert_wrong(locked_key, NULL, none, "ca", "Block 1 is a private key", "take it out");
	assert_wrong(huge, NULL, none, "ca", "longer than 32768 bytes", "only what this webhook needs");
	assert_wrong(with_old, NULL, none, "ca", "\"old one\" expired on ", "replace it");
	assert_wrong(future_pem, NULL, none, "ca", "only valid from ", "save it then");
	assert_wrong("-----BEGIN CERTIFICATE REQUEST-----\naGVsbG8=\n-----END CERTIFICATE REQUEST-----\n", NULL, none,
		     "ca", "\"CERTIFICATE REQUEST\"", "paste the certificate");
}

static void a_certificate_and_its_key_must_be_a_pair(void)
{
	g_autofree char *wrong_order = g_strconcat(ca, own, NULL), *with_key = g_strconcat(own, key, NULL);
	g_autofree char *two_keys = g_strconcat(key, stranger_key, NULL), *huge = g_strnfill(BH_PEM_MAX + 1, 'x');
	g_autofree char *torn = g_strndup(key, strlen(key) - 30), *cased = g_strconcat(own, expired_pem, NULL);
	bh_span none = {0};

	assert_wrong(NULL, own, none, "key", "without its private key", "paste both");
	assert_wrong(NULL, NULL, bh_span_of(key), "certificate", "key without its certificate", "paste both");
	assert_wrong(NULL, own, bh_span_of(stranger_key), "key", "does not fit the certificate", "made for");
	assert_wrong(NULL, wrong_order, bh_span_of(key), "key", "The key fits certificate 2", "must come first");
	assert_wrong(NULL, with_key, bh_span_of(key), "certificate", "Block 2 is a private key", "goes into \"key\"");
	assert_wrong(NULL, expired_pem, bh_span_of(key), "certificate", "expired on ", "replace it");
	assert_wrong(NULL, cased, bh_span_of(key), "certificate", "\"old one\" expired on ", "replace it");
	assert_wrong(NULL, weak_pem, bh_span_of(weak_key), "certificate", "too weak", "2048 bits");
	assert_wrong(NULL, own, bh_span_of(own), "key", "This is a certificate", "goes into \"certificate\"");
	assert_wrong(NULL, own, bh_span_of("x"), "key", "no private key in it", "-----BEGIN PRIVATE KEY-----");
	assert_wrong(NULL, own, bh_span_of(torn), "key", "damaged", "copy it again");
	assert_wrong(NULL, own, bh_span_of(two_keys), "key", "more than one private key", "only the one");
	assert_wrong(NULL, own, bh_span_of(huge), "key", "longer than 32768 bytes", "only what");
	assert_wrong(NULL, huge, bh_span_of(key), "certificate", "longer than 32768 bytes", "only what");
	assert_wrong(ca, own, bh_span_of(stranger_key), "key", "does not fit", "made for");
}

/* Nobody is asked for the passphrase either: the test would hang at a terminal. */
static void a_key_with_a_passphrase_is_refused_with_advice(void)
{
	assert_wrong(NULL, own, bh_span_of(locked_key), "key", "protected by a passphrase", "openssl pkey -in");
	assert_wrong(NULL, own, bh_span_of(old_locked_key), "key", "protected by a passphrase", "openssl pkey -in");
}

static void a_name_in_a_sentence_is_readable(void)
{
	g_auto(certificate) odd =
		make((certificate_options){.common_name = "Müller\tGmbH", .from = -9 * DAY, .until = -DAY});
	g_autofree char *pem = pem_of(&odd);

	assert_wrong(pem, NULL, (bh_span){0}, "ca", "\"Müller GmbH\" expired on ", "replace it");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	prepare();
#define TEST(name) g_test_add_func("/tls_check/" #name, name)
	TEST(what_is_right_passes_and_its_end_is_told);
	TEST(what_is_no_authority_is_said_to_be_none);
	TEST(a_certificate_and_its_key_must_be_a_pair);
	TEST(a_key_with_a_passphrase_is_refused_with_advice);
	TEST(a_name_in_a_sentence_is_readable);
	int code = g_test_run();
	tidy_up();
	return code;
}
