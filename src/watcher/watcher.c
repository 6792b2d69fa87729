/*
 * From an event to a verdict for every webhook looked at:
 *
 *   event -> whom to tell   the manager that it names, or those of its property
 *         -> his webhooks   and the site's
 *         -> for each the first rule of RULES that speaks
 *
 * Who performed the action decides nothing but how the shape `jomres` writes an id.
 */
#include "watcher/watcher.h"

/* --- The verdicts --------------------------------------------------------------------------- */

static const struct {
	const char *name, *sentence;
} VERDICTS[] = {
	[BH_VERDICT_TRIGGERED] = {"triggered", "The webhook is sent this event."},
	[BH_VERDICT_HELD] = {"held", "The webhook is disabled: the delivery waits until it is enabled again."},
	[BH_VERDICT_NO_MANAGER] = {"no_manager",
				   "The property is unknown or has no manager, so there is nobody to tell."},
	[BH_VERDICT_TYPE_NOT_SELECTED] = {"type_not_selected", "The webhook does not select events of this type."},
	[BH_VERDICT_PROPERTY_NOT_SELECTED] = {"property_not_selected", "The webhook does not select this property."},
	[BH_VERDICT_OWN_CHANGE] = {"own_change",
				   "The change came from the webhook's own channel, which knows of it already."},
	[BH_VERDICT_FILTERED] = {"filtered",
				 "A condition of the webhook's method or own script does not want this event."},
	[BH_VERDICT_COALESCED] = {"coalesced", "A newer event with the same key was sent in its place."},
};

const char *bh_verdict_name(bh_verdict verdict)
{
	return VERDICTS[verdict].name;
}

const char *bh_verdict_sentence(bh_verdict verdict)
{
	return VERDICTS[verdict].sentence;
}

bool bh_verdict_parse(const char *text, bh_verdict *ret)
{
	for (size_t i = BH_VERDICT_TRIGGERED; i < G_N_ELEMENTS(VERDICTS); i++)
		if (strcmp(text, VERDICTS[i].name) == 0) {
			*ret = (bh_verdict)i;
			return true;
		}
	return false;
}

/* --- The rules, in order -------------------------------------------------------------------- */

static bool type_is_selected(const bh_event *event, const bh_webhook *webhook, const bh_catalogue *catalogue)
{
	return bh_selection_picks(catalogue, webhook->events, event->type);
}

/* An event about no property is for those who take all. */
static bool property_is_selected(const bh_event *event, const bh_webhook *webhook, const bh_catalogue *catalogue)
{
	if (!webhook->properties)
		return true;
	return event->property_id && g_strv_contains((const char *const *)webhook->properties, event->property_id);
}

static bool is_no_echo(const bh_event *event, const bh_webhook *webhook, const bh_catalogue *catalogue)
{
	return !event->channel_id || !webhook->channel_id || strcmp(event->channel_id, webhook->channel_id) != 0;
}

static bool is_enabled(const bh_event *event, const bh_webhook *webhook, const bh_catalogue *catalogue)
{
	return webhook->disabled == BH_ENABLED;
}

/* What a method accepts, and what a newer event overtakes, is not known here: those verdicts are given when it is sent. */
static const struct {
	bool (*holds)(const bh_event *event, const bh_webhook *webhook, const bh_catalogue *catalogue);
	bh_verdict otherwise;
} RULES[] = {
	{type_is_selected, BH_VERDICT_TYPE_NOT_SELECTED},
	{property_is_selected, BH_VERDICT_PROPERTY_NOT_SELECTED},
	{is_no_echo, BH_VERDICT_OWN_CHANGE},
	{is_enabled, BH_VERDICT_HELD},
};

static bh_verdict judge(const bh_event *event, const bh_webhook *webhook, const bh_catalogue *catalogue)
{
	for (size_t i = 0; i < G_N_ELEMENTS(RULES); i++)
		if (!RULES[i].holds(event, webhook, catalogue))
			return RULES[i].otherwise;
	return BH_VERDICT_TRIGGERED;
}

/* --- Whom to tell --------------------------------------------------------------------------- */

/* Receptionists and super managers work on a property without owning what it tells remote services. */
static const bh_manager *find_owner(const bh_snapshot *snapshot, const char *id)
{
	const bh_manager *manager = bh_snapshot_manager(snapshot, id);

	return manager && manager->role == BH_ROLE_MANAGER ? manager : NULL;
}

static bool named_before(char *const *ids, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(ids[k], ids[i]) == 0)
			return true;
	return false;
}

static void judge_all(const bh_event *event, const bh_snapshot *snapshot, const char *whose, const char *told,
		      GArray *findings)
{
	const bh_catalogue *catalogue = bh_snapshot_catalogue(snapshot);
	size_t count;
	bh_webhook *const *webhooks = bh_snapshot_webhooks_of(snapshot, whose, &count);

	for (size_t i = 0; i < count; i++) {
		bh_finding finding = {webhooks[i]->id, told, judge(event, webhooks[i], catalogue)};
		g_array_append_val(findings, finding);
	}
}

/* Looks at the webhooks of each owner among `ids` and returns the first owner, or NULL: there is none. */
static const char *tell_owners(const bh_event *event, const bh_snapshot *snapshot, char *const *ids, bh_owners owners,
			       GArray *findings)
{
	const char *first = NULL;

	for (size_t i = 0; ids[i] && !(first && owners == BH_OWNERS_FIRST); i++) {
		const bh_manager *owner = find_owner(snapshot, ids[i]);
		if (!owner || named_before(ids, i))
			continue;
		if (!first)
			first = owner->id;
		judge_all(event, snapshot, owner->id, owner->id, findings);
	}
	return first;
}

void bh_watch(bh_event *event, const bh_snapshot *snapshot, bh_owners owners, GArray *findings)
{
	const bh_property *property = event->property_id ? bh_snapshot_property(snapshot, event->property_id) : NULL;
	char *const given[] = {event->manager_id, NULL}, *const nobody[] = {NULL};
	char *const *ids = event->manager_id ? given : property && property->managers ? property->managers : nobody;

	event->actor_is_manager = event->actor && bh_snapshot_manager(snapshot, event->actor);
	const char *first = tell_owners(event, snapshot, ids, owners, findings);
	if (!first && (event->manager_id || event->property_id)) {
		bh_finding nobody_to_tell = {.verdict = BH_VERDICT_NO_MANAGER};
		g_array_append_val(findings, nobody_to_tell);
	}
	judge_all(event, snapshot, NULL, first, findings);
}
