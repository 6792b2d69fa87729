#include "method/errand.h"

#include <string.h>

#define SHORTEST 4 /* shorter ones stand in any text by chance */

static void secret_unref(void *secret)
{
	bh_secret_unref(secret);
}

bh_errand *bh_errand_of(bh_script *run)
{
	if (!run->token)
		run->token = g_new0(bh_errand, 1);
	return run->token;
}

void bh_tokens_leave(bh_script *run)
{
	bh_errand *e = run->token;
	run->token = NULL;
	bh_token_leave(&e->claim);
	for (unsigned i = 0; i < e->got_count; i++) {
		bh_token_place_unref(e->got[i].place);
		bh_secret_unref(e->got[i].token);
	}
	g_free(e->url);
	bh_secret_unref(e->form);
	bh_secret_unref(e->header);
	g_clear_pointer(&e->credentials, g_ptr_array_unref);
	g_free(e);
}

void bh_errand_got(bh_errand *e, bh_token_place *place, bh_secret *token)
{
	for (unsigned i = 0; i < e->got_count; i++)
		if (e->got[i].place == place && e->got[i].token == token)
			return;
	g_assert(e->got_count < BH_ERRAND_TOKENS_MAX);
	e->got[e->got_count++] = (bh_got_token){.place = bh_token_place_ref(place), .token = bh_secret_ref(token)};
}

bh_secret *bh_errand_latest(const bh_errand *e, const bh_token_place *place)
{
	for (unsigned i = e->got_count; i > 0; i--)
		if (e->got[i - 1].place == place)
			return e->got[i - 1].token;
	return NULL;
}

void bh_errand_proved(const bh_script *run)
{
	const bh_errand *e = run->token;
	for (unsigned i = 0; e && i < e->got_count; i++)
		bh_token_proved(e->got[i].place, e->got[i].token);
}

void bh_errand_hide(bh_errand *e, bh_span credential)
{
	if (!e->credentials)
		e->credentials = g_ptr_array_new_with_free_func(secret_unref);
	g_ptr_array_add(e->credentials, bh_secret_new(credential.at, credential.size));
}

typedef struct match {
	const char *text;
	size_t longest;
} match;

static void try_match(void *user, bh_span password)
{
	match *m = user;
	if (password.size >= SHORTEST && password.size > m->longest &&
	    strncmp(m->text, password.at, password.size) == 0)
		m->longest = password.size;
}

static void each_of(const bh_errand *e, void (*each)(void *user, bh_span password), void *user)
{
	for (unsigned i = 0; i < e->got_count; i++)
		each(user, bh_secret_bytes(e->got[i].token));
	if (e->form)
		each(user, bh_secret_bytes(e->form));
	for (guint i = 0; e->credentials && i < e->credentials->len; i++)
		each(user, bh_secret_bytes(e->credentials->pdata[i]));
}

size_t bh_errand_password_at(const bh_errand *e, const char *text)
{
	match m = {.text = text};
	if (e)
		each_of(e, try_match, &m);
	return m.longest;
}

char *bh_errand_masked(const bh_errand *e, const char *text)
{
	GString *masked = g_string_new(NULL);

	while (*text) {
		size_t hidden = bh_errand_password_at(e, text);
		if (hidden)
			g_string_append(masked, "***");
		else
			g_string_append_c(masked, *text);
		text += hidden ? hidden : 1;
	}
	return g_string_free(masked, FALSE);
}

void bh_errand_each_password(const bh_script *run, void (*each)(void *user, bh_span password), void *user)
{
	if (run->token)
		each_of(run->token, each, user);
}
