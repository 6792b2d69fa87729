#include "network.h"

#include "base/heap.h"
#include "engine.h"
#include "rules.h"
#include "scripts.h"
#include "token_service.h"
#include "world.h"

#include <string.h>

/* A loop's end of the network, and one request: the simulation's own notion of what transport.h leaves open. */
struct bh_transport {
	network *network;
	bh_heap under_way; /* bh_transfer, by when its answer is there */
};

struct bh_transfer {
	size_t place;
	bh_mono at;
	visit visit;
	bool is_lost; /* a ghost sent it: nobody ever hears of it */
	bh_id token_of; /* it asks for a token of this webhook; 0: it is a delivery */
	GByteArray *token;
	bh_transfer_done done;
	void *user;
};

struct network {
	bh_wire wire; /* first: `open` is told only this */
	sim *sim;
	GPtrArray *receivers;
	token_services *tokens;
};

/* --- Addresses --------------------------------------------------------------------------------------------------- */

#define PLACE "http://r%u.test/%" G_GINT64_FORMAT

char *network_settings(sim *s, const char *method, unsigned number, bh_id webhook)
{
	if (!g_str_equal(method, "oauth"))
		return g_strdup_printf("{\"url\":\"" PLACE "\"}", number, webhook);
	g_autofree char *given =
		g_strdup_printf("{\"url\":\"" PLACE "\",\"token_url\":\"http://r%u.test" TOKEN_PATH "%" G_GINT64_FORMAT
				"\",\"client_id\":\"c\",\"client_secret\":\"secret\"}",
				number, webhook, number, webhook);
	g_autoptr(GError) error = NULL;
	g_autofree char *pointer = NULL;
	char *stored = bh_settings_store(bh_methods_find(s->house->methods, method), bh_span_of(given), NULL,
					 s->house->sealer, s->house->guard, &pointer, &error);
	g_assert_no_error(error);
	return stored;
}

receiver *network_receiver(network *n, unsigned number)
{
	while (n->receivers->len <= number)
		g_ptr_array_add(n->receivers, receiver_new(n->sim, n->receivers->len));
	return n->receivers->pdata[number];
}

unsigned network_receivers(const network *n)
{
	return n->receivers->len;
}

receiver *network_receiver_of(network *n, const bh_webhook *webhook)
{
	const char *host = strstr(webhook->settings, "http://r");

	return network_receiver(n, (unsigned)g_ascii_strtoull(host + strlen("http://r"), NULL, 10));
}

static const char *header_of(const bh_request *request, const char *name)
{
	size_t size = strlen(name);

	for (const char *const *h = request->headers; *h; h++)
		if (strncmp(*h, name, size) == 0)
			return *h + size;
	g_assert_not_reached();
}

static int64_t sequence_in(bh_span body)
{
	static const char MEMBER[] = "\"sequence\":";
	const char *found = g_strstr_len(body.at, (gssize)body.size, MEMBER);

	return found ? g_ascii_strtoll(found + strlen(MEMBER), NULL, 10) : 0;
}

static bool is_poison(bh_span body)
{
	g_autofree char *member = g_strdup_printf("\"contract_uid\":%d,", POISON);

	return g_strstr_len(body.at, (gssize)body.size, member);
}

static visit read_request(network *n, const bh_request *from)
{
	const char *host = from->url + strlen("http://r"), *path = strchr(host, '/');
	visit v = {.webhook = g_ascii_strtoll(path + 1, NULL, 10),
		   .receiver = network_receiver(n, (unsigned)g_ascii_strtoull(host, NULL, 10)),
		   .sequence = sequence_in(from->body),
		   .is_transformed = script_has_made(from->body),
		   .sent_at = n->sim->clock.mono};

	g_assert_true(bh_id_parse(BH_ID_EVENT, header_of(from, "webhook-id: "), &v.event));
	return v;
}

/* --- The wire ---------------------------------------------------------------------------------------------------- */

static bool is_sooner(const void *a, const void *b)
{
	return ((const bh_transfer *)a)->at.us < ((const bh_transfer *)b)->at.us;
}

static bh_transport *open_wire(const bh_wire *wire, const bh_transport_config *config, int epoll_fd, GError **error)
{
	bh_transport *t = g_new0(bh_transport, 1);

	(void)config;
	(void)epoll_fd;
	(void)error;
	t->network = (network *)(void *)wire;
	bh_heap_init(&t->under_way, is_sooner, offsetof(bh_transfer, place));
	return t;
}

static void free_transfer(bh_transfer *x)
{
	if (x->token)
		g_byte_array_unref(x->token);
	g_free(x);
}

static void free_wire(bh_transport *t)
{
	bh_transfer *x;

	while ((x = bh_heap_pop(&t->under_way)))
		free_transfer(x);
	bh_heap_clear(&t->under_way);
	g_free(t);
}

static void use_guard(bh_transport *t, bh_guard *guard)
{
	(void)t;
	(void)guard; /* nothing is refused here */
}

/* Whoever does not know the token says so before he looks at the event. */
static meeting meet(network *n, visit *v, const bh_request *request)
{
	meeting m = receiver_meet(n->sim, v->receiver, request->total_timeout);
	bool good = token_is_good(n->tokens, v->webhook, request);

	if (!good && m.status >= 200 && m.status <= 299)
		m.status = 401;
	return m;
}

static void ask_for_token(network *n, bh_transfer *x, const bh_request *request)
{
	const char *host = request->url + strlen("http://r");
	meeting *m = &x->visit.meeting;
	receiver *beside = network_receiver(n, (unsigned)g_ascii_strtoull(host, NULL, 10));

	*m = receiver_meet(n->sim, beside, request->total_timeout);
	x->token_of = token_asked(n->tokens, request, beside, m, &x->token);
}

static void deliver(network *n, bh_transfer *x, const bh_request *request)
{
	sim *s = n->sim;

	x->visit = read_request(n, request);
	x->visit.meeting = meet(n, &x->visit, request);
	rules_sent(s, &x->visit);
	if (is_poison(request->body) && !s->calm)
		engine_die(s->engine);
}

static bh_transfer *start(bh_transport *t, const bh_request *request, bh_now now, bh_transfer_done done, void *user)
{
	sim *s = t->network->sim;
	bh_transfer *x = g_new0(bh_transfer, 1);

	x->done = done;
	x->user = user;
	x->is_lost = s->is_ghost;
	if (!x->is_lost && token_is_wanted(request))
		ask_for_token(t->network, x, request);
	else if (!x->is_lost)
		deliver(t->network, x, request);
	x->at = bh_mono_add(now.mono, x->visit.meeting.takes);
	bh_heap_add(&t->under_way, x);
	return x;
}

static void abort_transfer(bh_transport *t, bh_transfer *x)
{
	bh_heap_remove(&t->under_way, x);
	if (x->token_of)
		token_answered(t->network->tokens, x->token_of);
	else if (!x->is_lost)
		rules_cut(t->network->sim, &x->visit);
	free_transfer(x);
}

static void ready(bh_transport *t, uint64_t data, uint32_t epoll_events)
{
	(void)t;
	(void)data;
	(void)epoll_events;
}

static bh_answer answer_of(const bh_transfer *x)
{
	const meeting *m = &x->visit.meeting;
	bh_answer answer = {.status = m->status,
			    .cause = m->cause,
			    .has_retry_after = m->retry_after >= 0,
			    .retry_after = MAX(0, m->retry_after),
			    .control = g_strdup(m->control),
			    .body = x->token,
			    .http_version = "1.1",
			    .address = "192.0.2.1:80",
			    .dns = -1,
			    .connect = -1,
			    .tls = -1,
			    .first_byte = m->status ? m->takes : -1,
			    .total = m->takes};

	if (m->cause != BH_CAUSE_NONE)
		g_snprintf(answer.sentence, sizeof answer.sentence, "The simulated network says: %s.",
			   bh_cause_name(m->cause));
	return answer;
}

static void turn(bh_transport *t, bh_now now)
{
	sim *s = t->network->sim;
	bh_transfer *x;

	while (!s->is_ghost && (x = bh_heap_first(&t->under_way)) && bh_mono_reached(now.mono, x->at)) {
		bh_heap_pop(&t->under_way);
		if (x->token_of) {
			token_answered(t->network->tokens, x->token_of);
			rules_token_answered(s, x->token_of, &x->visit.meeting);
		} else {
			rules_answered(s, &x->visit);
		}
		bh_answer answer = answer_of(x);
		x->done(x, &answer, x->user);
		g_free(answer.control);
		x->token = answer.body; /* NULL: somebody keeps it */
		free_transfer(x);
	}
}

static bh_usec next(bh_transport *t, bh_now now)
{
	const bh_transfer *first = bh_heap_first(&t->under_way);

	return first ? MAX(0, bh_mono_since(first->at, now.mono)) : -1;
}

static void stats(bh_transport *t, bh_transport_stats *ret)
{
	*ret = (bh_transport_stats){.in_flight = bh_heap_size(&t->under_way)};
}

network *network_new(sim *s)
{
	network *n = g_new0(network, 1);

	n->wire = (bh_wire){.open = open_wire,
			    .use_guard = use_guard,
			    .free = free_wire,
			    .start = start,
			    .abort = abort_transfer,
			    .ready = ready,
			    .turn = turn,
			    .next = next,
			    .stats = stats};
	n->sim = s;
	n->receivers = g_ptr_array_new_with_free_func(g_free);
	n->tokens = token_services_new(s);
	return n;
}

void network_free(network *n)
{
	if (!n)
		return;
	g_ptr_array_unref(n->receivers);
	token_services_free(n->tokens);
	g_free(n);
}

void network_process_over(network *n)
{
	token_process_over(n->tokens);
}

const bh_wire *network_wire(network *n)
{
	return &n->wire;
}
