/* TLS against servers with something wrong. The certificates are made here, for each run anew. */
#include "transport/transport.h"

#include "certificates.h"
#include "transport_rig.h"

#include <glib/gstdio.h>

static certificate authority, stranger;
static char *authority_file;

static certificate good(void)
{
	return make((certificate_options){.issuer = &authority, .names = "IP:127.0.0.1", .from = -DAY, .until = DAY});
}

static void prepare(void)
{
	authority = make((certificate_options){.from = -DAY, .until = DAY});
	stranger = make((certificate_options){.from = -DAY, .until = DAY});
	int fd = g_file_open_tmp("bellhop-authority-XXXXXX", &authority_file, NULL);
	FILE *file = fdopen(fd, "w");
	PEM_write_X509(file, authority.x509);
	fclose(file);
}

static void tidy_up(void)
{
	g_unlink(authority_file);
	g_free(authority_file);
	forget(&authority);
	forget(&stranger);
}

static rig rig_with_authority(void)
{
	return rig_open((rig_options){.ca_file = authority_file});
}

/* ----------------------------------------------------------------------------------------------- */

static void a_good_certificate_is_believed_and_the_connection_kept(void)
{
	g_auto(certificate) c = good();
	g_autoptr(SSL_CTX) tls = served(&c);
	g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
	g_auto(rig) r = rig_with_authority();
	g_auto(got) first = {0}, second = {0};
	g_autofree char *url = https_url_of(service);

	rig_exchange(&r, &first, url, "{}");
	rig_exchange(&r, &second, url, "{}");

	g_assert_cmpint(first.answer.status, ==, 200);
	g_assert_cmpint(first.answer.tls, >, first.answer.connect);
	g_assert_cmpint(first.answer.first_byte, >=, first.answer.tls);
	g_assert_cmpint(second.answer.status, ==, 200);
	g_assert_cmpint(second.answer.tls, ==, -1);
	g_assert_cmpuint(rig_connections(&r), ==, 1);
}

/* Each receiver closes after one answer: what a new connection to it costs is a handshake, whole or resumed. */
static void sessions_are_resumed_also_with_many_receivers(void)
{
	enum { MANY = 20 };
	static const act ONE_EACH[] = {
		{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"}, {HOLD}};
	const act *const scripts[] = {ONE_EACH, NULL};
	g_auto(certificate) c = good();
	g_auto(rig) r = rig_with_authority();
	SSL_CTX *tls[MANY];
	receiver *services[MANY];
	long resumed = 0;

	for (int i = 0; i < MANY; i++) {
		tls[i] = served(&c);
		services[i] = receiver_start_at("127.0.0.1", scripts, tls[i]);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++) {
			g_auto(got) g = {0};
			g_autofree char *url = https_url_of(services[i]);
			rig_exchange(&r, &g, url, "{}");
			g_assert_cmpint(g.answer.status, ==, 200);
		}
	}
	for (int i = 0; i < MANY; i++) {
		receiver_stop(services[i]);
		resumed += SSL_CTX_sess_hits(tls[i]);
		SSL_CTX_free(tls[i]);
	}

	g_assert_cmpint(resumed, ==, MANY);
}

typedef struct flaw {
	const char *what;
	bool foreign, alone; /* issued by a stranger; by itself */
	const char *names;
	long from, until;
	const char *says;
} flaw;

static const flaw FLAWS[] = {
	{"expired", false, false, "IP:127.0.0.1", -3 * DAY, -2 * DAY, "expired on "},
	{"not yet valid", false, false, "IP:127.0.0.1", 2 * DAY, 3 * DAY, "only valid from "},
	{"self-signed", false, true, "IP:127.0.0.1", -DAY, DAY, "self-signed"},
	{"of a stranger", true, false, "IP:127.0.0.1", -DAY, DAY, "no known authority"},
	{"of another name", false, false, "DNS:other.example,IP:127.0.0.2", -DAY, DAY,
	 "another name than \"127.0.0.1\""},
};

static void a_bad_certificate_stops_before_a_byte_of_the_request(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(FLAWS); i++) {
		const flaw *f = &FLAWS[i];
		g_auto(certificate) c = make((certificate_options){.issuer = f->alone     ? NULL
									     : f->foreign ? &stranger
											  : &authority,
								   .names = f->names,
								   .from = f->from,
								   .until = f->until});
		g_autoptr(SSL_CTX) tls = served(&c);
		g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
		g_auto(rig) r = rig_with_authority();
		g_auto(got) g = {0};
		g_autofree char *url = https_url_of(service);

		rig_exchange(&r, &g, url, "{}");

		g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_TLS);
		if (!strstr(g.answer.sentence, f->says))
			g_error("%s: %s", f->what, g.answer.sentence);
		g_assert_cmpuint(receiver_requests(service), ==, 0);
	}
}

static void an_expired_certificate_names_the_day(void)
{
	g_auto(certificate) c = make(
		(certificate_options){.issuer = &authority, .names = "IP:127.0.0.1", .from = -9 * DAY, .until = -DAY});
	g_autoptr(SSL_CTX) tls = served(&c);
	g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
	g_auto(rig) r = rig_with_authority();
	g_auto(got) g = {0};
	g_autofree char *url = https_url_of(service);
	struct tm day;
	char text[16];

	ASN1_TIME_to_tm(X509_get0_notAfter(c.x509), &day);
	strftime(text, sizeof text, "%F", &day);
	rig_exchange(&r, &g, url, "{}");

	g_assert_nonnull(strstr(g.answer.sentence, text));
}

static void tls_before_1_2_is_refused(void)
{
	g_auto(certificate) c = good();
	g_autoptr(SSL_CTX) tls = served(&c);
	SSL_CTX_set_security_level(tls, 0);
	SSL_CTX_set_min_proto_version(tls, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(tls, TLS1_1_VERSION);
	g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
	g_auto(rig) r = rig_with_authority();
	g_auto(got) g = {0};
	g_autofree char *url = https_url_of(service);

	rig_exchange(&r, &g, url, "{}");

	g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_TLS);
	g_assert_nonnull(strstr(g.answer.sentence, "older than 1.2"));
	g_assert_cmpuint(receiver_requests(service), ==, 0);
}

static void a_client_certificate_that_is_wanted_is_said_to_be(void)
{
	static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (size_t i = 0; i < G_N_ELEMENTS(VERSIONS); i++) {
		g_auto(certificate) c = good();
		g_autoptr(SSL_CTX) tls = served(&c);
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		SSL_CTX_set_max_proto_version(tls, VERSIONS[i]);
		g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
		g_auto(rig) r = rig_with_authority();
		g_auto(got) g = {0};
		g_autofree char *url = https_url_of(service);

		rig_exchange(&r, &g, url, "{}");

		g_test_message("%s", g.answer.sentence);
		g_assert_cmpstr(bh_cause_name(g.answer.cause), ==, "tls");
	}
}

static void what_speaks_no_tls_is_said_not_to(void)
{
	static const act PLAIN[] = {
		{PAUSE, .ms = 1}, {SEND, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"}, {HOLD}};
	g_autoptr(receiver) service = receiver_start((const act *const[]){PLAIN, NULL});
	g_auto(rig) r = rig_with_authority();
	g_auto(got) g = {0};
	g_autofree char *url = https_url_of(service);

	rig_exchange(&r, &g, url, "{}");

	g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_TLS);
	g_assert_nonnull(strstr(g.answer.sentence, "does not speak TLS"));
}

static void a_handshake_that_is_broken_off_is_a_tls_failure(void)
{
	static const act CLOSES[] = {{SOME}, {END}}, RESETS[] = {{SOME}, {RESET}};
	const act *const scripts[] = {CLOSES, RESETS};

	for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
		g_autoptr(receiver) service = receiver_start((const act *const[]){scripts[i], NULL});
		g_auto(rig) r = rig_with_authority();
		g_auto(got) g = {0};
		g_autofree char *url = https_url_of(service);

		rig_exchange(&r, &g, url, "{}");

		g_test_message("%s", g.answer.sentence);
		g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_TLS);
	}
}

static void a_handshake_that_hangs_ends_at_its_own_time_out(void)
{
	static const act HANGS[] = {{HOLD}};
	g_autoptr(receiver) service = receiver_start((const act *const[]){HANGS, NULL});
	g_auto(rig) r = rig_open((rig_options){.ca_file = authority_file, .tls_timeout = 200 * BH_MILLISECOND});
	g_auto(got) own = {0}, total = {0};
	g_autofree char *url = https_url_of(service);

	rig_exchange(&r, &own, url, "{}");
	rig_start(&r, &total, &(bh_request){.url = url, .total_timeout = 100 * BH_MILLISECOND});
	rig_await(&r, &total);

	g_assert_cmpint(own.answer.cause, ==, BH_CAUSE_TLS);
	g_assert_cmpint(own.answer.total, >=, 200 * BH_MILLISECOND);
	g_assert_cmpint(own.answer.total, <, 5 * BH_SECOND);
	g_assert_cmpint(total.answer.cause, ==, BH_CAUSE_TLS);
}

static void the_authorities_of_a_file_are_the_only_ones(void)
{
	g_auto(certificate) c = good();
	g_autoptr(SSL_CTX) tls = served(&c);
	g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
	g_auto(rig) r = rig_open((rig_options){0}); /* the system's */
	g_auto(got) g = {0};
	g_autofree char *url = https_url_of(service);

	rig_exchange(&r, &g, url, "{}");

	g_assert_cmpint(g.answer.cause, ==, BH_CAUSE_TLS);
	g_assert_cmpuint(receiver_requests(service), ==, 0);
}

/* Whenever the reset comes, before a write or under it. */
static void an_early_answer_counts_though_the_body_was_not_read(void)
{
	static const int STATUSES[] = {401, 413, 410, 429, 200};
	static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	static const size_t SIZES[] = {256 * 1024, 5 * 1024 * 1024};
	g_autofree char *fill = g_strnfill(5 * 1024 * 1024, 'b');

	for (size_t n = 0; n < G_N_ELEMENTS(STATUSES) * G_N_ELEMENTS(VERSIONS) * G_N_ELEMENTS(SIZES) * 3; n++) {
		int status = STATUSES[n % 5];
		g_autofree char *text =
			g_strdup_printf("HTTP/1.1 %d Early\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno", status);
		const act script[] = {{PEEK}, {SEND, text}, {END}}; /* with unread data this end is a reset */
		g_auto(certificate) c = good();
		g_autoptr(SSL_CTX) tls = served(&c);
		SSL_CTX_set_max_proto_version(tls, VERSIONS[n / 5 % 2]);
		g_autoptr(receiver) service = receiver_start_at("127.0.0.1", (const act *const[]){script, NULL}, tls);
		g_auto(rig) r = rig_with_authority();
		g_auto(got) g = {0};
		g_autofree char *url = https_url_of(service);

		rig_start(&r, &g, &(bh_request){.url = url, .body = {fill, SIZES[n / 10 % 2]}});
		rig_await(&r, &g);

		assert_answered(&g, status);
		g_assert_cmpint(g.answer.retry_after, ==, 3 * BH_SECOND);
		g_assert_cmpuint(receiver_connections(service), ==, 1);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	prepare();
#define TEST(name) g_test_add_func("/transport_tls/" #name, name)
	TEST(a_good_certificate_is_believed_and_the_connection_kept);
	TEST(sessions_are_resumed_also_with_many_receivers);
	TEST(a_bad_certificate_stops_before_a_byte_of_the_request);
	TEST(an_expired_certificate_names_the_day);
	TEST(tls_before_1_2_is_refused);
	TEST(a_client_certificate_that_is_wanted_is_said_to_be);
	TEST(what_speaks_no_tls_is_said_not_to);
	TEST(a_handshake_that_is_broken_off_is_a_tls_failure);
	TEST(a_handshake_that_hangs_ends_at_its_own_time_out);
	TEST(the_authorities_of_a_file_are_the_only_ones);
	TEST(an_early_answer_counts_though_the_body_was_not_read);
	int code = g_test_run();
	tidy_up();
	return code;
}
