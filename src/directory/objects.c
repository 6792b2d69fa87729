#include "directory/directory.h"

#include "base/chance.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stddef.h>
#include <string.h>

/* Names */

static const char *const MANAGER_ROLES[] = {
	[BH_ROLE_MANAGER] = "manager",
	[BH_ROLE_SUPER] = "super",
	[BH_ROLE_RECEPTIONIST] = "receptionist",
};

static const char *const KEY_ROLES[] = {
	[BH_KEY_SITE] = "site",
	[BH_KEY_EMIT] = "emit",
	[BH_KEY_MANAGER] = "manager",
};

static const char *const DISABLED_CAUSES[] = {
	[BH_ENABLED] = NULL,
	[BH_DISABLED_BY_OWNER] = "owner",
	[BH_DISABLED_BY_410] = "gone",
	[BH_DISABLED_BY_RECEIVER] = "receiver",
	[BH_DISABLED_BY_FAILURE] = "failure",
};

static bool find_name(const char *const *names, size_t count, const char *text, size_t *ret)
{
	for (size_t i = 0; i < count; i++) {
		if (g_strcmp0(names[i], text) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

const char *bh_manager_role_name(bh_manager_role role)
{
	return MANAGER_ROLES[role];
}

bool bh_manager_role_parse(const char *text, bh_manager_role *ret)
{
	size_t found;

	if (!find_name(MANAGER_ROLES, G_N_ELEMENTS(MANAGER_ROLES), text, &found))
		return false;
	*ret = (bh_manager_role)found;
	return true;
}

const char *bh_key_role_name(bh_key_role role)
{
	return KEY_ROLES[role];
}

bool bh_key_role_parse(const char *text, bh_key_role *ret)
{
	size_t found;

	if (!find_name(KEY_ROLES, G_N_ELEMENTS(KEY_ROLES), text, &found))
		return false;
	*ret = (bh_key_role)found;
	return true;
}

const char *bh_disabled_cause_name(bh_disabled_cause cause)
{
	return DISABLED_CAUSES[cause];
}

/* Managers */

bh_manager *bh_manager_new(void)
{
	bh_manager *m = g_new0(bh_manager, 1);

	m->refs = 1;
	return m;
}

bh_manager *bh_manager_ref(bh_manager *m)
{
	g_atomic_int_inc(&m->refs);
	return m;
}

void bh_manager_unref(bh_manager *m)
{
	if (!m || !g_atomic_int_dec_and_test(&m->refs))
		return;
	g_free(m->id);
	g_free(m->name);
	g_free(m->email);
	g_free(m);
}

/* Properties */

bh_property *bh_property_new(void)
{
	bh_property *p = g_new0(bh_property, 1);

	p->refs = 1;
	return p;
}

bh_property *bh_property_ref(bh_property *p)
{
	g_atomic_int_inc(&p->refs);
	return p;
}

void bh_property_unref(bh_property *p)
{
	if (!p || !g_atomic_int_dec_and_test(&p->refs))
		return;
	g_free(p->id);
	g_free(p->name);
	g_strfreev(p->managers);
	g_free(p);
}

/* Webhooks */

static bh_header *copy_headers(const bh_header *headers)
{
	size_t count = 0;

	if (!headers)
		return NULL;
	while (headers[count].name)
		count++;
	bh_header *copy = g_new0(bh_header, count + 1);
	for (size_t i = 0; i < count; i++)
		copy[i] = (bh_header){.name = g_strdup(headers[i].name), .value = g_strdup(headers[i].value)};
	return copy;
}

/* Their values may be credentials. */
static void free_headers(bh_header *headers)
{
	for (bh_header *h = headers; h && h->name; h++) {
		g_free(h->name);
		bh_text_wipe(h->value);
	}
	g_free(headers);
}

bh_webhook *bh_webhook_new(void)
{
	bh_webhook *w = g_new0(bh_webhook, 1);

	w->refs = 1;
	return w;
}

bh_webhook *bh_webhook_ref(bh_webhook *w)
{
	g_atomic_int_inc(&w->refs);
	return w;
}

void bh_webhook_unref(bh_webhook *w)
{
	if (!w || !g_atomic_int_dec_and_test(&w->refs))
		return;
	g_free(w->manager_id);
	g_free(w->name);
	g_free(w->method);
	g_free(w->settings);
	g_free(w->script);
	g_strfreev(w->events);
	g_strfreev(w->properties);
	g_free(w->channel_id);
	g_free(w->order_by);
	g_strfreev(w->coalesce_fields);
	g_free(w->tls_ca);
	g_free(w->tls_certificate);
	bh_secret_unref(w->tls_key);
	free_headers(w->headers);
	bh_secret_unref(w->secret);
	bh_secret_unref(w->old_secret);
	g_free(w->disabled_reason);
	g_free(w);
}

bh_webhook *bh_webhook_copy(const bh_webhook *w)
{
	bh_webhook *copy = bh_webhook_new();

	/* All but the count, which others change meanwhile. */
	memcpy((char *)copy + offsetof(bh_webhook, id), (const char *)w + offsetof(bh_webhook, id),
	       sizeof *w - offsetof(bh_webhook, id));
	copy->manager_id = g_strdup(w->manager_id);
	copy->name = g_strdup(w->name);
	copy->method = g_strdup(w->method);
	copy->settings = g_strdup(w->settings);
	copy->script = g_strdup(w->script);
	copy->events = g_strdupv(w->events);
	copy->properties = g_strdupv(w->properties);
	copy->channel_id = g_strdup(w->channel_id);
	copy->order_by = g_strdup(w->order_by);
	copy->coalesce_fields = g_strdupv(w->coalesce_fields);
	copy->tls_ca = g_strdup(w->tls_ca);
	copy->tls_certificate = g_strdup(w->tls_certificate);
	copy->tls_key = bh_secret_ref(w->tls_key);
	copy->headers = copy_headers(w->headers);
	copy->secret = bh_secret_ref(w->secret);
	copy->old_secret = bh_secret_ref(w->old_secret);
	copy->disabled_reason = g_strdup(w->disabled_reason);
	return copy;
}

/* Keys */

bh_key *bh_key_new(void)
{
	bh_key *k = g_new0(bh_key, 1);

	k->refs = 1;
	return k;
}

bh_key *bh_key_ref(bh_key *k)
{
	g_atomic_int_inc(&k->refs);
	return k;
}

void bh_key_unref(bh_key *k)
{
	if (!k || !g_atomic_int_dec_and_test(&k->refs))
		return;
	g_free(k->manager_id);
	g_free(k->name);
	g_free(k);
}

char *bh_key_text_new(unsigned char ret_hash[BH_KEY_HASH_SIZE])
{
	unsigned char bytes[32];

	bh_random_bytes(bytes, sizeof bytes);
	char *base64 = g_base64_encode(bytes, sizeof bytes);
	OPENSSL_cleanse(bytes, sizeof bytes);
	/* The alphabet of RFC 4648 section 5 needs no escaping in a header, a shell or a URL. */
	g_strdelimit(base64, "+", '-');
	g_strdelimit(base64, "/", '_');
	base64[43] = '\0'; /* the padding */
	char *text = g_strconcat("bhk_", base64, NULL);
	bh_text_wipe(base64);
	bh_key_text_hash(text, ret_hash);
	return text;
}

void bh_key_text_hash(const char *text, unsigned char ret_hash[BH_KEY_HASH_SIZE])
{
	SHA256((const unsigned char *)text, strlen(text), ret_hash);
}

/* Changes */

void bh_change_free(bh_change *change)
{
	if (!change)
		return;
	bh_manager_unref(change->manager);
	bh_property_unref(change->property);
	bh_webhook_unref(change->webhook);
	bh_key_unref(change->key);
	if (change->type)
		bh_event_type_free(change->type);
	g_free(change->name);
	g_free(change);
}
