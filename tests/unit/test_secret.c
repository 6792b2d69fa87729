#include "base/error.h"
#include "base/seal.h"
#include "base/secret.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of its own for each test, gone with it. */
typedef struct place {
	char *folder;
	char *key_path;
} place;

static void set_up(place *p, const void *unused)
{
	g_unsetenv("BELLHOP_SEAL_KEY");
	p->folder = g_dir_make_tmp("bellhop-secret-XXXXXX", NULL);
	g_assert_nonnull(p->folder);
	p->key_path = g_build_filename(p->folder, "seal.key", NULL);
}

static void tear_down(place *p, const void *unused)
{
	(void)g_remove(p->key_path);
	g_assert_cmpint(g_rmdir(p->folder), ==, 0); /* nothing else was left there */
	g_free(p->key_path);
	g_free(p->folder);
}

static bh_sealer *open_sealer(const char *path)
{
	g_autoptr(GError) error = NULL;
	bh_sealer *sealer = bh_sealer_open(path, &error);

	g_assert_no_error(error);
	g_assert_nonnull(sealer);
	return sealer;
}

static void secrets_are_equal_when_all_bytes_are(void)
{
	g_autoptr(bh_secret) a = bh_secret_new("abc\0d", 5);
	g_autoptr(bh_secret) same = bh_secret_new("abc\0d", 5);
	g_autoptr(bh_secret) other = bh_secret_new("abc\0e", 5);
	g_autoptr(bh_secret) shorter = bh_secret_new("abc\0", 4);
	g_autoptr(bh_secret) empty = bh_secret_new(NULL, 0);

	g_assert_true(bh_secret_equal(a, same));
	g_assert_false(bh_secret_equal(a, other));
	g_assert_false(bh_secret_equal(a, shorter));
	g_assert_false(bh_secret_equal(a, empty));
	g_assert_true(bh_secret_equal(empty, empty));
	g_assert_true(bh_span_equal(bh_secret_bytes(a), (bh_span){"abc\0d", 5}));
	g_assert_cmpint(bh_secret_bytes(a).at[5], ==, '\0');
}

static void a_secret_lives_until_its_last_reference(void)
{
	bh_secret *s = bh_secret_random(32);

	g_assert_true(bh_secret_ref(s) == s);
	bh_secret_unref(s);
	g_assert_cmpuint(bh_secret_bytes(s).size, ==, 32);
	bh_secret_unref(s);
	bh_secret_unref(NULL);
	bh_text_wipe(NULL);
	bh_text_wipe(g_strdup("gone"));
}

static void random_secrets_differ(void)
{
	g_autoptr(bh_secret) a = bh_secret_random(32);
	g_autoptr(bh_secret) b = bh_secret_random(32);

	g_assert_false(bh_secret_equal(a, b));
}

static void what_was_sealed_opens_again(place *p, const void *unused)
{
	g_autoptr(bh_sealer) sealer = open_sealer(p->key_path);
	static const bh_span plains[] = {
		{"", 0}, {NULL, 0}, {"x", 1}, {"a\0b", 3}, {"a longer text of more than one block", 36}};

	for (size_t i = 0; i < G_N_ELEMENTS(plains); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *sealed = bh_seal(sealer, plains[i], "webhook 17 secret");
		g_autoptr(bh_secret) opened = bh_unseal(sealer, sealed, "webhook 17 secret", &error);
		g_assert_no_error(error);
		g_assert_true(bh_span_equal(bh_secret_bytes(opened), plains[i]));
	}
}

static void the_same_text_is_sealed_differently_each_time(place *p, const void *unused)
{
	g_autoptr(bh_sealer) sealer = open_sealer(p->key_path);
	g_autofree char *a = bh_seal(sealer, bh_span_of("secret"), "p");
	g_autofree char *b = bh_seal(sealer, bh_span_of("secret"), "p");

	g_assert_cmpstr(a, !=, b);
	g_assert_null(strstr(a, "secret"));
}

static void assert_does_not_open(const bh_sealer *sealer, const char *sealed, const char *purpose)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(bh_unseal(sealer, sealed, purpose, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, purpose));
}

static void a_sealed_value_opens_for_its_purpose_only(place *p, const void *unused)
{
	g_autoptr(bh_sealer) sealer = open_sealer(p->key_path);
	g_autofree char *sealed = bh_seal(sealer, bh_span_of("secret"), "webhook 17 secret");

	assert_does_not_open(sealer, sealed, "webhook 18 secret");
	assert_does_not_open(sealer, sealed, "");
}

static void a_changed_byte_anywhere_keeps_it_shut(place *p, const void *unused)
{
	g_autoptr(bh_sealer) sealer = open_sealer(p->key_path);
	g_autofree char *sealed = bh_seal(sealer, bh_span_of("secret"), "p");
	size_t size;
	g_autofree guchar *bytes = g_base64_decode(sealed, &size);

	for (size_t i = 0; i < size; i++) {
		bytes[i] ^= 0x20;
		g_autofree char *changed = g_base64_encode(bytes, size);
		assert_does_not_open(sealer, changed, "p");
		bytes[i] ^= 0x20;
	}
	for (size_t shorter = 0; shorter < size; shorter++) {
		g_autofree char *cut = g_base64_encode(bytes, shorter);
		assert_does_not_open(sealer, cut, "p");
	}
}

static void what_is_no_base64_does_not_open(place *p, const void *unused)
{
	g_autoptr(bh_sealer) sealer = open_sealer(p->key_path);
	g_autofree char *sealed = bh_seal(sealer, bh_span_of("secret"), "p");
	g_autofree char *spaced = g_strconcat(" ", sealed, NULL);
	g_autofree char *longer = g_strconcat(sealed, "=", NULL);

	assert_does_not_open(sealer, "", "p");
	assert_does_not_open(sealer, "no base64 at all!", "p");
	assert_does_not_open(sealer, spaced, "p");
	assert_does_not_open(sealer, longer, "p");
}

static void another_key_does_not_open_it(place *p, const void *unused)
{
	g_autoptr(bh_sealer) first = open_sealer(p->key_path);
	g_autofree char *sealed = bh_seal(first, bh_span_of("secret"), "p");

	g_assert_cmpint(g_remove(p->key_path), ==, 0);
	g_autoptr(bh_sealer) second = open_sealer(p->key_path);

	assert_does_not_open(second, sealed, "p");
}

static void the_key_file_is_made_once_and_for_its_owner_only(place *p, const void *unused)
{
	struct stat st;
	g_autoptr(bh_sealer) first = open_sealer(p->key_path);
	g_autofree char *sealed = bh_seal(first, bh_span_of("secret"), "p");

	g_assert_cmpint(stat(p->key_path, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0600);

	g_autoptr(GError) error = NULL;
	g_autoptr(bh_sealer) again = open_sealer(p->key_path);
	g_autoptr(bh_secret) opened = bh_unseal(again, sealed, "p", &error);
	g_assert_no_error(error);
	g_assert_true(bh_span_is(bh_secret_bytes(opened), "secret"));
}

static void *open_at_once(void *path)
{
	return open_sealer(path);
}

static void starts_at_the_same_time_agree_on_one_key(place *p, const void *unused)
{
	pthread_t threads[4];
	bh_sealer *sealers[4];

	for (int i = 0; i < 4; i++)
		g_assert_cmpint(pthread_create(&threads[i], NULL, open_at_once, p->key_path), ==, 0);
	for (int i = 0; i < 4; i++)
		g_assert_cmpint(pthread_join(threads[i], (void **)&sealers[i]), ==, 0);

	g_autofree char *sealed = bh_seal(sealers[0], bh_span_of("secret"), "p");
	for (int i = 0; i < 4; i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(bh_secret) opened G_GNUC_UNUSED = bh_unseal(sealers[i], sealed, "p", &error);
		g_assert_no_error(error);
		g_assert_true(bh_span_is(bh_secret_bytes(opened), "secret"));
		bh_sealer_free(sealers[i]);
	}
}

static void assert_not_opened(const char *path, bh_error_code code, const char *word)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(bh_sealer_open(path, &error));
	g_assert_error(error, BH_ERROR, (int)code);
	g_assert_nonnull(strstr(error->message, word));
}

static void a_key_file_that_others_may_read_is_refused(place *p, const void *unused)
{
	bh_sealer_free(open_sealer(p->key_path));
	g_assert_cmpint(chmod(p->key_path, 0640), ==, 0);

	assert_not_opened(p->key_path, BH_ERROR_INVALID, "chmod 600");
}

static void a_damaged_key_file_is_refused_and_left_alone(place *p, const void *unused)
{
	static const char *const texts[] = {"", "\n", "short", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "A==="};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *kept = NULL;
		g_assert_true(g_file_set_contents_full(p->key_path, texts[i], -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600,
						       NULL));
		assert_not_opened(p->key_path, BH_ERROR_INVALID, "not 32 bytes");
		g_assert_true(g_file_get_contents(p->key_path, &kept, NULL, NULL));
		g_assert_cmpstr(kept, ==, texts[i]);
	}
}

static void a_folder_that_is_not_there_is_an_error(place *p, const void *unused)
{
	g_autofree char *path = g_build_filename(p->folder, "none", "seal.key", NULL);

	assert_not_opened(path, BH_ERROR_IO, path);
}

#define KEY_TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void the_environment_goes_before_the_file(place *p, const void *unused)
{
	g_autoptr(bh_sealer) of_file = open_sealer(p->key_path);
	g_autofree char *sealed = bh_seal(of_file, bh_span_of("secret"), "p");

	g_setenv("BELLHOP_SEAL_KEY", KEY_TEXT, TRUE);
	g_autoptr(bh_sealer) of_environment = open_sealer(p->key_path);
	assert_does_not_open(of_environment, sealed, "p");

	g_setenv("BELLHOP_SEAL_KEY", "nonsense", TRUE);
	assert_not_opened(p->key_path, BH_ERROR_INVALID, "BELLHOP_SEAL_KEY");
	g_unsetenv("BELLHOP_SEAL_KEY");
}

static void a_mac_depends_on_message_purpose_and_key(place *p, const void *unused)
{
	unsigned char a[BH_MAC_SIZE], b[BH_MAC_SIZE];
	g_autoptr(bh_sealer) sealer = open_sealer(p->key_path);

	bh_sealer_mac(sealer, bh_span_of("message"), "cursor", a);
	bh_sealer_mac(sealer, bh_span_of("message"), "cursor", b);
	g_assert_cmpmem(a, sizeof a, b, sizeof b);

	bh_sealer_mac(sealer, bh_span_of("message."), "cursor", b);
	g_assert_cmpint(memcmp(a, b, sizeof a), !=, 0);
	bh_sealer_mac(sealer, bh_span_of("message"), "link", b);
	g_assert_cmpint(memcmp(a, b, sizeof a), !=, 0);

	g_setenv("BELLHOP_SEAL_KEY", KEY_TEXT, TRUE);
	g_autoptr(bh_sealer) other = open_sealer(p->key_path);
	bh_sealer_mac(other, bh_span_of("message"), "cursor", b);
	g_assert_cmpint(memcmp(a, b, sizeof a), !=, 0);
	bh_sealer_mac(other, (bh_span){NULL, 0}, "cursor", b);
	g_unsetenv("BELLHOP_SEAL_KEY");
}

#define ADD(name_, function_) g_test_add(name_, place, NULL, set_up, function_, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/secret/secrets are equal when all bytes are", secrets_are_equal_when_all_bytes_are);
	g_test_add_func("/secret/a secret lives until its last reference", a_secret_lives_until_its_last_reference);
	g_test_add_func("/secret/random secrets differ", random_secrets_differ);
	ADD("/seal/what was sealed opens again", what_was_sealed_opens_again);
	ADD("/seal/the same text is sealed differently each time", the_same_text_is_sealed_differently_each_time);
	ADD("/seal/a sealed value opens for its purpose only", a_sealed_value_opens_for_its_purpose_only);
	ADD("/seal/a changed byte anywhere keeps it shut", a_changed_byte_anywhere_keeps_it_shut);
	ADD("/seal/what is no base64 does not open", what_is_no_base64_does_not_open);
	ADD("/seal/another key does not open it", another_key_does_not_open_it);
	ADD("/seal/the key file is made once and for its owner only", the_key_file_is_made_once_and_for_its_owner_only);
	ADD("/seal/starts at the same time agree on one key", starts_at_the_same_time_agree_on_one_key);
	ADD("/seal/a key file that others may read is refused", a_key_file_that_others_may_read_is_refused);
	ADD("/seal/a damaged key file is refused and left alone", a_damaged_key_file_is_refused_and_left_alone);
	ADD("/seal/a folder that is not there is an error", a_folder_that_is_not_there_is_an_error);
	ADD("/seal/the environment goes before the file", the_environment_goes_before_the_file);
	ADD("/seal/a MAC depends on message purpose and key", a_mac_depends_on_message_purpose_and_key);
	return g_test_run();
}
