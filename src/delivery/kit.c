#include "delivery/kit.h"

#include "base/log.h"
#include "transport/transport.h"

#include <string.h>

/* A webhook has one set where its kit may be; about 3 KB each when filled. In sets of one, two of twenty busy webhooks got in each other's way. */
#define SETS 128
#define WAYS 4

struct bh_kits {
	bh_kit at[SETS][WAYS]; /* in each set the one that was used last comes first */
};

static void kit_clear(bh_kit *kit)
{
	g_clear_pointer(&kit->webhook, bh_webhook_unref);
	g_clear_pointer(&kit->signer, bh_signer_free);
	g_clear_pointer(&kit->old_signer, bh_signer_free);
	g_clear_pointer(&kit->headers, g_strfreev);
}

/* Checked at save; a row from elsewhere that would smuggle or override something is left out, and we say so. */
static char **header_lines(const bh_webhook *webhook)
{
	GPtrArray *lines = g_ptr_array_new();
	for (const bh_header *h = webhook->headers; h && h->name; h++) {
		g_autoptr(GError) error = NULL;
		if (bh_header_check(h->name, bh_span_of(h->value), &error))
			g_ptr_array_add(lines, g_strconcat(h->name, ": ", h->value, NULL));
		else
			bh_log(BH_WARNING, "delivery", "extra header left out",
			       BH_ID("webhook", BH_ID_WEBHOOK, webhook->id), BH_STR("why", error->message));
	}
	g_ptr_array_add(lines, NULL);
	return (char **)g_ptr_array_free(lines, FALSE);
}

bh_kits *bh_kits_new(void)
{
	return g_new0(bh_kits, 1);
}

void bh_kits_free(bh_kits *kits)
{
	if (!kits)
		return;
	for (size_t i = 0; i < SETS * WAYS; i++)
		kit_clear(&kits->at[i / WAYS][i % WAYS]);
	g_free(kits);
}

static void kit_fill(bh_kit *kit, const bh_webhook *webhook)
{
	kit_clear(kit);
	kit->webhook = bh_webhook_ref((bh_webhook *)webhook);
	kit->signer = bh_signer_new(webhook->secret);
	kit->old_signer = webhook->old_secret ? bh_signer_new(webhook->old_secret) : NULL;
	kit->headers = header_lines(webhook);
}

const bh_kit *bh_kits_find(bh_kits *kits, const bh_webhook *webhook)
{
	bh_kit *set = kits->at[g_int64_hash(&webhook->id) % SETS];
	size_t way = 0;

	while (way < WAYS - 1 && set[way].webhook != webhook)
		way++;
	if (set[way].webhook != webhook)
		kit_fill(&set[way], webhook);
	if (way > 0) {
		bh_kit found = set[way];
		memmove(&set[1], &set[0], way * sizeof(*set));
		set[0] = found;
	}
	return &set[0];
}

void bh_kit_sign(const bh_kit *kit, const char *id, bh_usec wall, bh_span body, GString *out)
{
	char signature[BH_SIGNATURE_SIZE];
	int64_t seconds = wall / BH_SECOND;

	bh_signer_sign(kit->signer, id, seconds, body, signature);
	g_string_append(out, signature);
	if (kit->old_signer && wall < kit->webhook->old_secret_until) {
		bh_signer_sign(kit->old_signer, id, seconds, body, signature);
		g_string_append_c(out, ' ');
		g_string_append(out, signature);
	}
}
