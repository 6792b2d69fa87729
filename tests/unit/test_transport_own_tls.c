/* TLS material of one webhook: its own authority, its own client certificate, and nobody else's connection. */
#include "transport/transport.h"

#include "certificates.h"
#include "transport_rig.h"

#include <glib/gstdio.h>

static certificate authority, private_authority, clients, ann, bob;
static char *authority_file, *private_ca, *ann_pem, *ann_key, *bob_pem, *bob_key;

static void prepare(void)
{
	authority = make((certificate_options){0});
	private_authority = make((certificate_options){0});
	clients = make((certificate_options){0});
	ann = make((certificate_options){.issuer = &clients, .names = "DNS:ann.example", .common_name = "ann"});
	bob = make((certificate_options){.issuer = &clients, .names = "DNS:bob.example", .common_name = "bob"});
	private_ca = pem_of(&private_authority);
	ann_pem = pem_of(&ann);
	ann_key = pem_of_key(&ann, NULL);
	bob_pem = pem_of(&bob);
	bob_key = pem_of_key(&bob, NULL);
	int fd = g_file_open_tmp("bellhop-authority-XXXXXX", &authority_file, NULL);
	FILE *file = fdopen(fd, "w");
	PEM_write_X509(file, authority.x509);
	fclose(file);
}

static void tidy_up(void)
{
	char *const texts[] = {authority_file, private_ca, ann_pem, ann_key, bob_pem, bob_key};
	certificate *const all[] = {&authority, &private_authority, &clients, &ann, &bob};

	g_unlink(authority_file);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		forget(all[i]);
}

static certificate issued_by(const certificate *issuer)
{
	return make((certificate_options){.issuer = issuer, .names = "IP:127.0.0.1"});
}

/* A server that looks at client certificates of `clients`, and insists on one or not. */
static SSL_CTX *serving_clients(const certificate *c, bool insists)
{
	SSL_CTX *context = served(c);

	X509_STORE_add_cert(SSL_CTX_get_cert_store(context), clients.x509);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (insists ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return context;
}

static rig rig_with_authority(void)
{
	return rig_open((rig_options){.ca_file = authority_file});
}

/* What a webhook would have in its settings. */
typedef struct settings {
	const char *ca, *certificate, *key;
} settings;

#define NOTHING ((settings){0})
#define ANN ((settings){.certificate = ann_pem, .key = ann_key})
#define BOB ((settings){.certificate = bob_pem, .key = bob_key})

static void send_with(rig *r, got *g, const receiver *service, settings s)
{
	g_autofree char *url = https_url_of(service), *ca = g_strdup(s.ca), *shown = g_strdup(s.certificate);
	g_autofree char *key = g_strdup(s.key);
	size_t key_size = key ? strlen(key) : 0;

	rig_start(r, g,
		  &(bh_request){.url = url,
				.body = {"{}", 2},
				.tls_ca = ca,
				.tls_certificate = shown,
				.tls_key = {key, key_size}});
	if (key)
		memset(key, 'x', key_size); /* it was lent until here */
	rig_await(r, g);
}

/* ----------------------------------------------------------------------------------------------- */

static void an_own_authority_makes_its_receiver_pass_and_no_other(void)
{
	g_auto(certificate) alone = issued_by(NULL), usual = issued_by(&authority), other = issued_by(NULL);
	g_autofree char *alone_pem = pem_of(&alone);
	g_autoptr(SSL_CTX) alone_tls = served(&alone);
	g_autoptr(SSL_CTX) usual_tls = served(&usual);
	g_autoptr(SSL_CTX) other_tls = served(&other);
	g_autoptr(receiver) self_signed = receiver_start_at("127.0.0.1", ALL_POLITE, alone_tls);
	g_autoptr(receiver) known = receiver_start_at("127.0.0.1", ALL_POLITE, usual_tls);
	g_autoptr(receiver) stranger = receiver_start_at("127.0.0.1", ALL_POLITE, other_tls);
	g_auto(rig) r = rig_with_authority();
	settings own = {.ca = alone_pem};

	for (int round = 0; round < 3; round++) {
		g_auto(got) pinned = {0}, unpinned = {0}, at_known = {0}, pinned_at_known = {0},
			    pinned_at_stranger = {0};

		send_with(&r, &pinned, self_signed, own);
		send_with(&r, &unpinned, self_signed, NOTHING); /* a kept connection is there, but it is the other's */
		send_with(&r, &at_known, known, NOTHING);
		send_with(&r, &pinned_at_known, known, own); /* instead of the known ones, not beside them */
		send_with(&r, &pinned_at_stranger, stranger, own);

		assert_answered(&pinned, 200);
		assert_failed(&unpinned, BH_CAUSE_TLS);
		g_assert_nonnull(strstr(unpinned.answer.sentence, "self-signed"));
		assert_answered(&at_known, 200);
		assert_failed(&pinned_at_known, BH_CAUSE_TLS);
		g_assert_nonnull(
			strstr(pinned_at_known.answer.sentence, "none of the authorities in this webhook's own TLS"));
		assert_failed(&pinned_at_stranger, BH_CAUSE_TLS);
	}
	g_assert_cmpuint(receiver_requests(self_signed), ==, 3);
	g_assert_cmpuint(receiver_requests(known), ==, 3);
	g_assert_cmpuint(receiver_requests(stranger), ==, 0);
}

static void an_own_authority_still_looks_at_name_and_dates(void)
{
	static const struct {
		const char *names;
		long from, until;
		const char *says;
	} ROWS[] = {{"IP:127.0.0.2", 0, 0, "another name than \"127.0.0.1\""},
		    {"IP:127.0.0.1", -9 * DAY, -DAY, "expired on 20"},
		    {"IP:127.0.0.1", DAY, 9 * DAY, "only valid from 20"}};

	for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
		g_auto(certificate) c = make((certificate_options){.issuer = &private_authority,
								   .names = ROWS[i].names,
								   .from = ROWS[i].from,
								   .until = ROWS[i].until});
		g_autoptr(SSL_CTX) tls = served(&c);
		g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
		g_auto(rig) r = rig_with_authority();
		g_auto(got) g = {0};

		send_with(&r, &g, service, (settings){.ca = private_ca});

		assert_failed(&g, BH_CAUSE_TLS);
		if (!strstr(g.answer.sentence, ROWS[i].says))
			g_error("%s", g.answer.sentence);
		g_assert_cmpuint(receiver_requests(service), ==, 0);
	}
}

/* Two webhooks to one host, one with a client certificate and one without, by turns; and a third with another one. */
static void connections_are_never_shared_between_identities(void)
{
	g_auto(certificate) c = issued_by(&authority);
	g_autoptr(SSL_CTX) tls = serving_clients(&c, false);
	g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
	g_auto(rig) r = rig_with_authority();
	static const char *const NAMES[] = {"ann", "", "bob"};
	const settings WHO[] = {ANN, NOTHING, BOB};

	for (unsigned i = 0; i < 12; i++) {
		g_auto(got) g = {0};

		send_with(&r, &g, service, WHO[i % 3]);

		assert_answered(&g, 200);
		g_assert_cmpstr(receiver_peer_of(service, i), ==, NAMES[i % 3]);
	}
	g_assert_cmpuint(receiver_connections(service), ==, 3); /* each is kept for its own */
}

/* All at once, so that connections are made and waited for at the same time. */
static void identities_stay_apart_in_parallel(void)
{
	g_auto(certificate) c = issued_by(&authority);
	g_autoptr(SSL_CTX) tls = serving_clients(&c, false);
	g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
	g_auto(rig) r = rig_with_authority();
	g_autofree char *url = https_url_of(service);
	const settings WHO[] = {ANN, NOTHING, BOB};
	static const char *const NAMES[] = {"ann", "", "bob"};
	got g[30] = {0};

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < G_N_ELEMENTS(g); i++)
			rig_start(&r, &g[i],
				  &(bh_request){.url = url,
						.body = bh_span_of(NAMES[i % 3]),
						.tls_certificate = WHO[i % 3].certificate,
						.tls_key = bh_span_of(WHO[i % 3].key)});
		for (unsigned i = 0; i < G_N_ELEMENTS(g); i++) {
			rig_await(&r, &g[i]);
			assert_answered(&g[i], 200);
			got_clear(&g[i]);
		}
	}
	for (unsigned i = 0; i < receiver_requests(service); i++) {
		g_autofree char *end = g_strconcat("\r\n\r\n", receiver_peer_of(service, i), NULL);
		g_assert_true(g_str_has_suffix(receiver_request(service, i)->str, end));
	}
}

/* A resumed session brings the client certificate of the first handshake along. */
static void sessions_are_not_shared_between_identities(void)
{
	static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	static const act ONE_EACH[] = {
		{READ}, {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"}, {HOLD}};
	static const char *const NAMES[] = {"ann", "", "bob"};
	const settings WHO[] = {ANN, NOTHING, BOB};

	for (size_t v = 0; v < G_N_ELEMENTS(VERSIONS); v++) {
		g_auto(certificate) c = issued_by(&authority);
		g_autoptr(SSL_CTX) tls = serving_clients(&c, false);
		SSL_CTX_set_max_proto_version(tls, VERSIONS[v]);
		g_autoptr(receiver) service = receiver_start_at("127.0.0.1", (const act *const[]){ONE_EACH, NULL}, tls);
		g_auto(rig) r = rig_with_authority();

		for (unsigned i = 0; i < 9; i++) {
			g_auto(got) g = {0};
			send_with(&r, &g, service, WHO[i % 3]);
			assert_answered(&g, 200);
			g_assert_cmpstr(receiver_peer_of(service, i), ==, NAMES[i % 3]);
		}
		g_assert_cmpint(SSL_CTX_sess_hits(tls), >, 0); /* each resumes its own */
	}
}

/* A certificate is no secret. Who has it without its key does not get the connection of who has both. */
static void a_certificate_without_its_key_opens_no_door(void)
{
	g_auto(certificate) c = issued_by(&authority);
	g_autoptr(SSL_CTX) tls = serving_clients(&c, true);
	g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
	g_auto(rig) r = rig_with_authority();

	for (int round = 0; round < 2; round++) {
		g_auto(got) owner = {0}, thief = {0}, bare = {0};

		send_with(&r, &owner, service, ANN);
		send_with(&r, &thief, service, (settings){.certificate = ann_pem, .key = bob_key});
		send_with(&r, &bare, service, (settings){.certificate = ann_pem});

		assert_answered(&owner, 200);
		assert_failed(&thief, BH_CAUSE_TLS);
		g_assert_nonnull(strstr(thief.answer.sentence, "cannot be used with its key"));
		assert_failed(&bare, BH_CAUSE_TLS);
	}
	g_assert_cmpuint(receiver_requests(service), ==, 2);
}

/* It would block the loop if somebody were asked for the passphrase. */
static void a_key_with_a_passphrase_is_a_failure_and_asks_nobody(void)
{
	g_auto(certificate) c = issued_by(&authority);
	g_autoptr(SSL_CTX) tls = serving_clients(&c, false);
	g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
	g_auto(rig) r = rig_with_authority();
	g_auto(got) g = {0};
	g_autofree char *locked = pem_of_key(&ann, "secret");

	send_with(&r, &g, service, (settings){.certificate = ann_pem, .key = locked});

	assert_failed(&g, BH_CAUSE_TLS);
	g_assert_cmpuint(receiver_requests(service), ==, 0);
}

static void a_client_certificate_that_is_not_accepted_is_said_to_be(void)
{
	static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	g_auto(certificate) foreign = make((certificate_options){.issuer = &authority, .names = "DNS:x.example"});
	g_auto(certificate) old = make(
		(certificate_options){.issuer = &clients, .names = "DNS:x.example", .from = -9 * DAY, .until = -DAY});
	g_autofree char *foreign_pem = pem_of(&foreign), *foreign_key = pem_of_key(&foreign, NULL);
	g_autofree char *old_pem = pem_of(&old), *old_key = pem_of_key(&old, NULL);
	const struct {
		settings who;
		const char *says;
	} ROWS[] = {{NOTHING, "asks for a client certificate"},
		    {{.certificate = foreign_pem, .key = foreign_key},
		     "does not know the authority of this webhook's client"},
		    {{.certificate = old_pem, .key = old_key}, "client certificate has expired"}};

	for (size_t v = 0; v < G_N_ELEMENTS(VERSIONS); v++) {
		for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
			g_auto(certificate) c = issued_by(&authority);
			g_autoptr(SSL_CTX) tls = serving_clients(&c, true);
			SSL_CTX_set_max_proto_version(tls, VERSIONS[v]);
			g_autoptr(receiver) service = receiver_start_at("127.0.0.1", ALL_POLITE, tls);
			g_auto(rig) r = rig_with_authority();
			g_auto(got) g = {0};

			send_with(&r, &g, service, ROWS[i].who);

			assert_failed(&g, BH_CAUSE_TLS);
			/* Without any certificate TLS 1.2 only says that the handshake failed, and lists this as one of the reasons. */
			bool vague = i == 0 && VERSIONS[v] == TLS1_2_VERSION;
			if (!strstr(g.answer.sentence, vague ? "wants a client certificate" : ROWS[i].says))
				g_error("version %zu: %s", v, g.answer.sentence);
			g_assert_cmpuint(receiver_requests(service), ==, 0);
		}
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	prepare();
#define TEST(name) g_test_add_func("/transport_own_tls/" #name, name)
	TEST(an_own_authority_makes_its_receiver_pass_and_no_other);
	TEST(an_own_authority_still_looks_at_name_and_dates);
	TEST(connections_are_never_shared_between_identities);
	TEST(identities_stay_apart_in_parallel);
	TEST(sessions_are_not_shared_between_identities);
	TEST(a_certificate_without_its_key_opens_no_door);
	TEST(a_key_with_a_passphrase_is_a_failure_and_asks_nobody);
	TEST(a_client_certificate_that_is_not_accepted_is_said_to_be);
	int code = g_test_run();
	tidy_up();
	return code;
}
