#include "token_service.h"

#include "network.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

typedef struct service {
	bh_id webhook;
	unsigned asked; /* requests under way */
	unsigned serial; /* of the last token */
	bh_mono until; /* how long that is good */
} service;

struct token_services {
	sim *sim;
	GHashTable *services; /* webhook -> service */
};

token_services *token_services_new(sim *s)
{
	token_services *t = g_new0(token_services, 1);

	t->sim = s;
	t->services = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
	return t;
}

void token_services_free(token_services *t)
{
	g_hash_table_unref(t->services);
	g_free(t);
}

static service *service_of(token_services *t, bh_id webhook)
{
	service *x = g_hash_table_lookup(t->services, &webhook);

	if (!x) {
		x = g_new0(service, 1);
		x->webhook = webhook;
		g_hash_table_insert(t->services, &x->webhook, x);
	}
	return x;
}

bool token_is_wanted(const bh_request *request)
{
	return strstr(request->url, TOKEN_PATH) != NULL;
}

static void check_silence(sim *s, const bh_request *request)
{
	static const char *const ours[] = {"webhook-", "traceparent:", "bellhop-", "x-own:"};

	for (const char *const *h = request->headers; *h; h++)
		for (size_t i = 0; i < G_N_ELEMENTS(ours); i++)
			if (g_ascii_strncasecmp(*h, ours[i], strlen(ours[i])) == 0)
				broken(s, "a token service is told \"%s\"", *h);
}

/* Most last for hours; some are so short that they are over with the next event. */
static char *grant(sim *s, service *x)
{
	int life = draw_one_of(s, 4) ? 5 + (int)draw(s, 200) : 600 + (int)draw(s, 20000);

	x->serial++;
	x->until = bh_mono_add(s->clock.mono, life * BH_SECOND);
	if (draw_one_of(s, 10)) /* it does not say how long: some minutes */
		return g_strdup_printf("{\"access_token\":\"t-%" G_GINT64_FORMAT "-%u\",\"token_type\":\"bearer\"}",
				       x->webhook, x->serial);
	return g_strdup_printf("{\"access_token\":\"t-%" G_GINT64_FORMAT
			       "-%u\",\"token_type\":\"Bearer\",\"expires_in\":%d}",
			       x->webhook, x->serial, life);
}

bh_id token_asked(token_services *t, const bh_request *request, const receiver *beside, meeting *m,
		  GByteArray **ret_body)
{
	sim *s = t->sim;
	bh_id webhook = g_ascii_strtoll(strstr(request->url, TOKEN_PATH) + strlen(TOKEN_PATH), NULL, 10);
	service *x = service_of(t, webhook);

	check_silence(s, request);
	if (++x->asked > 1)
		broken(s, "%u token requests of webhook %" G_GINT64_FORMAT " are under way", x->asked, webhook);
	s->counts.tokens++;
	s->rules->happenings += 2;
	TELL(s, "webhook %lld asks for token %lld", webhook, x->serial + 1);
	g_autofree char *body = NULL;
	if (m->status >= 200 && m->status <= 299)
		body = beside->mood != MOOD_WELL && draw_one_of(s, 10) ? g_strdup("<html>Welcome</html>") : grant(s, x);
	else if (m->status)
		body = g_strdup("{\"error\":\"invalid_client\"}");
	if (m->status >= 200 && m->status <= 299)
		m->status = 200;
	*ret_body = g_byte_array_new();
	if (body)
		g_byte_array_append(*ret_body, (const guint8 *)body, (guint)strlen(body));
	return webhook;
}

void token_answered(token_services *t, bh_id webhook)
{
	service_of(t, webhook)->asked--;
}

void token_process_over(token_services *t)
{
	GHashTableIter iter;
	void *value;

	g_hash_table_iter_init(&iter, t->services);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		((service *)value)->asked = 0;
}

bool token_is_good(token_services *t, bh_id webhook, const bh_request *request)
{
	static const char NAME[] = "Authorization: Bearer t-";
	sim *s = t->sim;
	service *x = service_of(t, webhook);
	long long of = 0;
	unsigned serial = 0;

	for (const char *const *h = request->headers; *h; h++)
		if (g_str_has_prefix(*h, NAME) && sscanf(*h + strlen(NAME), "%lld-%u", &of, &serial) != 2)
			broken(s, "a request carries an odd token: %s", *h);
	if (!serial)
		return true; /* another method */
	if (of != webhook || serial > x->serial)
		broken(s, "webhook %" G_GINT64_FORMAT " carries token %u of webhook %lld", webhook, serial, of);
	if (!s->calm && draw_one_of(s, 60))
		x->until = s->clock.mono; /* taken back */
	return serial == x->serial && !bh_mono_reached(s->clock.mono, x->until);
}
