#include "hands.h"

#include "engine.h"
#include "network.h"
#include "rules.h"
#include "scripts.h"
#include "world.h"

/* One write of somebody's: its own until the journal is through; then, perhaps, the next one. */
typedef struct deed {
	bh_entry entry; /* first */
	sim *sim;
	bh_write write, *writes[1];
	bh_change change;
	/* After enabling: what becomes of the held ones. */
	bh_test_then policy;
	unsigned step;
	/* A test. */
	bh_event *event;
	bh_delivery delivery, *deliveries[1];
	bh_finding finding;
	bh_recovery recovery;
} deed;

static void deed_free(deed *d)
{
	bh_manager_unref(d->change.manager);
	bh_property_unref(d->change.property);
	bh_webhook_unref(d->change.webhook);
	g_free(d->change.name);
	bh_event_unref(d->event);
	g_free(d);
}

static deed *deed_new(sim *s, bh_write_kind kind)
{
	deed *d = g_new0(deed, 1);

	d->sim = s;
	d->write = (bh_write){.kind = kind, .at = s->clock.wall, .audit_who = "somebody", .audit_from = ""};
	d->writes[0] = &d->write;
	return d;
}

static bool submit(deed *d, bh_entry_done done)
{
	d->entry = (bh_entry){.writes = d->writes, .count = 1, .done = done};
	return bh_journal_submit(engine_journal(d->sim->engine), &d->entry, NULL);
}

static void done(bh_entry *entry, const GError *error)
{
	deed *d = (deed *)entry;

	TELL(d->sim, "a deed of kind %lld is done, result %lld, failed: %lld", d->write.kind, d->write.result,
	     error != NULL);
	deed_free(d);
}

static void do_it(deed *d)
{
	if (!submit(d, done))
		deed_free(d);
}

/* Before anything runs, what is said is done. */
static void do_it_now(deed *d)
{
	g_autoptr(GError) error = NULL;

	d->entry = (bh_entry){.writes = d->writes, .count = 1};
	bool ok = bh_journal_submit_and_wait(engine_journal(d->sim->engine), &d->entry, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	deed_free(d);
}

/* --- Who there is -------------------------------------------------------------------------------------------------- */

void hands_add_manager(sim *s)
{
	deed *d = deed_new(s, BH_WRITE_CHANGE);
	bh_manager *m = bh_manager_new();

	m->id = g_strdup_printf("m%u", ++s->world->managers);
	m->name = g_strdup("");
	d->change = (bh_change){.kind = BH_CHANGE_MANAGER_PUT, .manager = m};
	d->write.change = &d->change;
	do_it_now(d);
}

void hands_add_property(sim *s)
{
	deed *d = deed_new(s, BH_WRITE_CHANGE);
	bh_property *p = bh_property_new();
	unsigned first = 1 + draw(s, s->world->managers), second = 1 + draw(s, s->world->managers);

	p->id = g_strdup_printf("%u", ++s->world->properties);
	p->name = g_strdup("");
	p->managers = g_new0(char *, 3);
	p->managers[0] = g_strdup_printf("m%u", first);
	if (second != first)
		p->managers[1] = g_strdup_printf("m%u", second);
	d->change = (bh_change){.kind = BH_CHANGE_PROPERTY_PUT, .property = p};
	d->write.change = &d->change;
	do_it_now(d);
}

static void lead_elsewhere(sim *s, bh_webhook *w)
{
	/* Every fourth leads to a receiver that another one leads to already. */
	unsigned known = network_receivers(s->network);
	unsigned number = known && draw_one_of(s, 4) ? draw(s, known) : known;

	(void)network_receiver(s->network, number);
	g_free(w->settings);
	w->settings = network_settings(s, w->method, number, w->id);
}

static void choose_order(sim *s, bh_webhook *w)
{
	static const char *const fields[] = {"property", "contract_uid"};

	g_clear_pointer(&w->order_by, g_free);
	if (draw_one_of(s, 3))
		w->order_by = g_strdup(fields[draw(s, 2)]);
}

static void choose_coalescing(sim *s, bh_webhook *w)
{
	g_clear_pointer(&w->coalesce_fields, g_strfreev);
	w->coalesce = 0;
	if (!draw_one_of(s, 3))
		return;
	w->coalesce = draw_between(s, BH_SECOND, 10 * BH_MINUTE);
	w->coalesce_fields = g_strsplit(draw_one_of(s, 2) ? "property" : "property,room_uid", ",", -1);
}

static void choose_rate(sim *s, bh_webhook *w)
{
	w->rate_requests = draw_one_of(s, 4) ? 1 + draw(s, 30) : 0;
	w->rate_per = w->rate_requests ? draw_between(s, BH_SECOND, 10 * BH_MINUTE) : 0;
}

static bh_webhook *new_webhook(sim *s)
{
	bh_webhook *w = bh_webhook_new();

	w->id = bh_id_new();
	w->revision = 1;
	if (!draw_one_of(s, 12)) /* else it is the site's */
		w->manager_id = g_strdup_printf("m%u", 1 + draw(s, s->world->managers));
	w->name = g_strdup("");
	w->method = g_strdup(draw_one_of(s, 3) ? "oauth" : "none");
	w->script = script_draw(s);
	w->events = g_strsplit("*", ",", -1);
	w->secret = bh_secret_new("0123456789abcdef0123456789abcdef", 32);
	w->total_timeout = draw_one_of(s, 2) ? draw_between(s, 3 * BH_SECOND, 30 * BH_SECOND) : 0;
	lead_elsewhere(s, w);
	choose_order(s, w);
	choose_coalescing(s, w);
	choose_rate(s, w);
	return w;
}

static deed *put(sim *s, bh_webhook *w)
{
	deed *d = deed_new(s, BH_WRITE_CHANGE);

	d->change = (bh_change){.kind = BH_CHANGE_WEBHOOK_PUT, .webhook = w};
	d->write.change = &d->change;
	d->write.webhook_id = w->id;
	return d;
}

void hands_add_webhook(sim *s)
{
	bh_webhook *w = new_webhook(s);

	TELL(s, "webhook %lld is made, leads to receiver %lld, ordered %lld, coalesces %lld, rate %lld", w->id,
	     network_receiver_of(s->network, w)->number, w->order_by != NULL, w->coalesce, w->rate_requests);
	do_it(put(s, w));
}

/* --- Webhooks ------------------------------------------------------------------------------------------------------ */

static const bh_webhook *any_webhook(sim *s, bh_snapshot *now)
{
	size_t count = bh_snapshot_webhook_count(now);
	g_autoptr(GPtrArray) all = bh_snapshot_page_webhooks(now, NULL, 0, count);

	return all->len ? all->pdata[draw(s, all->len)] : NULL;
}

static bh_webhook *copy_to_change(const bh_webhook *from)
{
	bh_webhook *w = bh_webhook_copy(from);

	w->revision++;
	return w;
}

static void edit(sim *s, const bh_webhook *before)
{
	bh_webhook *w = copy_to_change(before);

	switch (draw(s, 5)) {
	case 0:
		lead_elsewhere(s, w);
		break;
	case 4:
		g_free(w->script);
		w->script = script_draw(s);
		break;
	case 1:
		choose_order(s, w);
		break;
	case 2:
		choose_coalescing(s, w);
		break;
	case 3:
		choose_rate(s, w);
		break;
	}
	TELL(s, "webhook %lld is edited, leads to receiver %lld, ordered %lld, coalesces %lld, rate %lld", w->id,
	     network_receiver_of(s->network, w)->number, w->order_by != NULL, w->coalesce, w->rate_requests);
	do_it(put(s, w));
}

static void disable(sim *s, const bh_webhook *before)
{
	bh_webhook *w = copy_to_change(before);

	w->disabled = BH_DISABLED_BY_OWNER;
	g_free(w->disabled_reason);
	w->disabled_reason = g_strdup("Disabled by hand.");
	TELL(s, "webhook %lld is disabled by hand", w->id);
	do_it(put(s, w));
}

/* As release.c: which moves of held ones follow the enabling. */
typedef struct release {
	bh_state to; /* 0: no more */
	bool keep_newest;
} release;
#define RELEASES_MAX 2
static const release RELEASES[][RELEASES_MAX + 1] = {
	[BH_TEST_ENABLES_KEEP] = {{0}},
	[BH_TEST_ENABLES_ALL] = {{BH_STATE_PENDING, false}},
	[BH_TEST_ENABLES_NEWEST] = {{BH_STATE_CANCELLED, true}, {BH_STATE_PENDING, false}},
	[BH_TEST_ENABLES_NONE] = {{BH_STATE_CANCELLED, false}},
};

static void release_on(bh_entry *entry, const GError *error)
{
	deed *d = (deed *)entry;
	sim *s = d->sim;

	if (error || s->is_ghost) {
		TELL(s, "enabling, or releasing, webhook %lld failed", d->write.webhook_id);
		deed_free(d);
		return;
	}
	if (d->write.kind == BH_WRITE_SWEEP && d->write.swept < d->write.limit)
		d->step++;
	const release *next = &RELEASES[d->policy][d->step];
	if (!next->to) {
		deed_free(d);
		return;
	}
	bh_id webhook = d->write.webhook_id;
	d->write = (bh_write){.kind = BH_WRITE_SWEEP,
			      .webhook_id = webhook,
			      .from = BH_STATE_HELD,
			      .state = next->to,
			      .keep_newest = next->keep_newest,
			      .limit = 1 + draw(s, 50),
			      .reason = next->to == BH_STATE_CANCELLED ? "Passed over when the webhook was enabled."
								       : NULL,
			      .at = s->clock.wall};
	if (!submit(d, release_on))
		deed_free(d);
}

static void enable(sim *s, const bh_webhook *before, bh_test_then policy)
{
	bh_webhook *w = copy_to_change(before);
	deed *d = put(s, w);

	w->disabled = BH_ENABLED;
	g_clear_pointer(&w->disabled_reason, g_free);
	w->disabled_at = 0;
	d->policy = policy;
	TELL(s, "webhook %lld is enabled, held ones by policy %lld", w->id, policy);
	if (!submit(d, release_on))
		deed_free(d);
}

static bh_test_then any_policy(sim *s)
{
	return BH_TEST_ENABLES_KEEP + draw(s, 4);
}

static void remove_webhook(sim *s, const bh_webhook *w)
{
	deed *d = deed_new(s, BH_WRITE_CHANGE);

	d->change = (bh_change){.kind = BH_CHANGE_WEBHOOK_REMOVE, .id = w->id};
	d->write.change = &d->change;
	TELL(s, "webhook %lld is removed", w->id);
	do_it(d);
}

static void test(sim *s, const bh_webhook *w)
{
	deed *d = deed_new(s, BH_WRITE_EVENT);
	bh_event parts = {.id = bh_id_new(),
			  .type = (char *)"webhook.test",
			  .occurred_at = s->clock.wall,
			  .accepted_at = s->clock.wall,
			  .manager_id = w->manager_id,
			  .data = bh_span_of("{}")};

	d->event = bh_event_restore(&parts);
	d->finding = (bh_finding){.webhook = w->id, .verdict = BH_VERDICT_TRIGGERED};
	d->delivery = (bh_delivery){.id = bh_id_new(),
				    .event_id = d->event->id,
				    .webhook_id = w->id,
				    .state = BH_STATE_PENDING,
				    .is_test = true,
				    .then = w->disabled ? any_policy(s) : BH_TEST_ONLY};
	d->deliveries[0] = &d->delivery;
	d->write.event = d->event;
	d->write.findings = &d->finding;
	d->write.finding_count = d->write.delivery_count = 1;
	d->write.deliveries = d->deliveries;
	TELL(s, "webhook %lld is tested, and then %lld", w->id, d->delivery.then);
	do_it(d);
}

static void recover(sim *s, const bh_webhook *w)
{
	deed *d = deed_new(s, BH_WRITE_RECOVERY);
	bh_usec since = s->clock.wall - draw_between(s, BH_HOUR, 4 * BH_DAY);

	if (w->disabled) {
		deed_free(d);
		return;
	}
	d->recovery = (bh_recovery){.id = bh_id_new(),
				    .webhook_id = w->id,
				    .since = since,
				    .per_second = 1 + draw(s, 20),
				    .after = MAX(0, bh_id_at(since) - 1),
				    .up_to = bh_id_new(),
				    .state = BH_RECOVERY_RUNNING,
				    .created_at = s->clock.wall,
				    .who = (char *)"somebody"};
	d->write.recovery = &d->recovery;
	d->write.recovery_id = d->recovery.id;
	d->write.webhook_id = w->id;
	TELL(s, "webhook %lld is to be recovered since %lld s ago", w->id, (s->clock.wall - since) / BH_SECOND);
	do_it(d);
}

static void switch_over(sim *s, const bh_webhook *w)
{
	if (w->disabled)
		enable(s, w, any_policy(s));
	else
		disable(s, w);
}

/* --- Deliveries ---------------------------------------------------------------------------------------------------- */

static void retry(sim *s, const bh_delivery *delivery)
{
	deed *d = deed_new(s, BH_WRITE_MOVE);

	d->write.delivery_id = delivery->id;
	d->write.webhook_id = delivery->webhook_id;
	d->write.state = BH_STATE_PENDING;
	d->write.due_at = s->clock.wall;
	TELL(s, "delivery %lld of webhook %lld is retried by hand from state %lld", delivery->id, delivery->webhook_id,
	     delivery->state);
	rules_nudged(s, delivery->webhook_id);
	do_it(d);
}

static void cancel(sim *s, const bh_delivery *delivery)
{
	deed *d = deed_new(s, BH_WRITE_MOVE);

	d->write.delivery_id = delivery->id;
	d->write.webhook_id = delivery->webhook_id;
	d->write.state = BH_STATE_CANCELLED;
	d->write.reason = "Cancelled by hand.";
	TELL(s, "delivery %lld is cancelled by hand from state %lld", delivery->id, delivery->state);
	do_it(d);
}

static void with_a_delivery(sim *s)
{
	const bh_delivery *d = memory_any_delivery(s->disk, bh_chance_next(&s->chance));

	if (!d || d->is_test)
		return;
	if (draw_one_of(s, 4))
		world_replay(s->world, d->event_id);
	else if (d->state == BH_STATE_EXHAUSTED || (d->state == BH_STATE_PENDING && draw_one_of(s, 2)))
		retry(s, d);
	else if (!bh_state_is_final(d->state))
		cancel(s, d);
}

/* --- The choice ---------------------------------------------------------------------------------------------------- */

void hands_do_something(sim *s)
{
	if (!engine_runs(s->engine))
		return;
	g_autoptr(bh_snapshot) now = bh_directory_now(engine_directory(s->engine));
	const bh_webhook *w = any_webhook(s, now);
	unsigned what = draw(s, 20);

	if (what == 0 || !w)
		hands_add_webhook(s);
	else if (what < 4)
		edit(s, w);
	else if (what < 8)
		switch_over(s, w);
	else if (what == 8)
		remove_webhook(s, w);
	else if (what < 12)
		test(s, w);
	else if (what == 12)
		recover(s, w);
	else
		with_a_delivery(s);
}

void hands_enable_all(sim *s)
{
	g_autoptr(bh_snapshot) now = bh_directory_now(engine_directory(s->engine));
	g_autoptr(GPtrArray) all = bh_snapshot_page_webhooks(now, NULL, 0, bh_snapshot_webhook_count(now));

	for (guint i = 0; i < all->len; i++) {
		const bh_webhook *w = all->pdata[i];
		if (w->disabled && !draw_one_of(s, 4))
			enable(s, w, any_policy(s));
	}
}
