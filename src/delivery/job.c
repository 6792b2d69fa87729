#include "delivery/job.h"

#include "delivery/hidden.h"

/* Who is told: a manager's webhook tells him; the site's names whom the watcher found, which only the store still knows. */
static char *owner_of(bh_loop *loop, const bh_job_facts *facts)
{
	if (facts->webhook->manager_id)
		return g_strdup(facts->webhook->manager_id);
	if (facts->webhook->shape != BH_SHAPE_JOMRES)
		return NULL;
	g_autoptr(bh_delivery) delivery = bh_reader_delivery(loop->reader, facts->delivery, NULL);
	return delivery ? g_strdup(delivery->manager_id) : NULL;
}

bh_script *bh_job_begin(bh_loop *loop, const bh_job_facts *facts, GBytes **ret_body, GError **error)
{
	const bh_webhook *webhook = facts->webhook;
	const bh_event *event = facts->event;
	char id[BH_ID_TEXT_SIZE];
	g_autofree char *owner = owner_of(loop, facts);

	*ret_body = bh_event_body(event, webhook->shape, webhook->full_payload, owner, facts->sequence);
	bh_script_event seen = {
		.id = bh_id_text(BH_ID_EVENT, event->id, id),
		.type = event->type,
		.property_id = event->property_id,
		.manager_id = owner,
		.occurred_at = event->occurred_at,
		.body = *ret_body,
		.data = event->data,
		.details = event->details,
		.channel = event->channel,
		.attempt = facts->attempt,
	};
	bh_script_job job = {
		.method = webhook->method,
		.settings = webhook->settings,
		.script = webhook->script,
		.webhook = webhook->id,
		.event = &seen,
		.part = facts->part,
		.skips_accepts = facts->is_test,
		.user = facts->user,
	};
	return bh_script_new(loop->scripts, &job, error);
}

static void hide(void *hidden, bh_span password)
{
	bh_hide(hidden, password);
}

char *bh_job_words(const bh_script *script, const char *words)
{
	if (!words)
		return NULL;
	bh_hidden *hidden = NULL;
	GString *text = g_string_new(words);

	if (script)
		bh_script_each_password(script, hide, &hidden);
	bh_hidden_mask(hidden, text);
	bh_hidden_free(hidden);
	return g_string_free(text, FALSE);
}
