/* How an event is kept: one block of memory that holds the struct and all its texts. */
#include "event/event.h"

#include <openssl/evp.h>

#define TEXTS 7
#define SPANS 3

/* The texts and spans of an event, so that they are measured and copied by one loop each. */
typedef struct parts {
	char **texts[TEXTS];
	bh_span *spans[SPANS];
} parts;

static parts parts_of(bh_event *e)
{
	return (parts){
		.texts = {&e->type, &e->property_id, &e->manager_id, &e->actor, &e->caller_id, &e->traceparent,
			  &e->channel_id},
		.spans = {&e->data, &e->details, &e->channel},
	};
}

bh_event *bh_event_restore(const bh_event *given)
{
	bh_event head = *given;
	parts p = parts_of(&head);
	size_t sizes[TEXTS], bytes = sizeof head;

	for (size_t i = 0; i < TEXTS; i++)
		bytes += sizes[i] = *p.texts[i] ? strlen(*p.texts[i]) + 1 : 0;
	for (size_t i = 0; i < SPANS; i++)
		bytes += p.spans[i]->size;

	bh_event *event = g_malloc(bytes);
	char *to = (char *)(event + 1);
	for (size_t i = 0; i < TEXTS; i++)
		if (*p.texts[i]) {
			*p.texts[i] = memcpy(to, *p.texts[i], sizes[i]);
			to += sizes[i];
		}
	for (size_t i = 0; i < SPANS; i++)
		if (p.spans[i]->size > 0) {
			p.spans[i]->at = memcpy(to, p.spans[i]->at, p.spans[i]->size);
			to += p.spans[i]->size;
		}
	head.refs = 1;
	head.bytes = bytes;
	*event = head;
	return event;
}

bh_event *bh_event_ref(bh_event *event)
{
	g_atomic_int_inc(&event->refs);
	return event;
}

void bh_event_unref(bh_event *event)
{
	if (event && g_atomic_int_dec_and_test(&event->refs))
		g_free(event);
}

/* A piece with its size before it, so that no two rows of pieces give the same bytes. */
static void digest(EVP_MD_CTX *context, bh_span piece)
{
	uint64_t size = GUINT64_TO_LE((uint64_t)piece.size);

	EVP_DigestUpdate(context, &size, sizeof size);
	EVP_DigestUpdate(context, piece.at, piece.size);
}

void bh_event_fingerprint(const bh_event *event, unsigned char ret[BH_FINGERPRINT_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	digest(context, bh_span_of(event->type));
	digest(context, bh_span_of(event->manager_id));
	digest(context, event->data);
	digest(context, event->details);
	EVP_DigestFinal_ex(context, ret, NULL);
	EVP_MD_CTX_free(context);
}
