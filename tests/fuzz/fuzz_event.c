/*
 * Any bytes as a call of events. The first byte chooses: its lowest bit NDJSON, the next one unknown types. What is accepted
 * keeps its bytes, loses what is sensitive, and makes bodies that are strict JSON and keys that are short; what is refused
 * says what and where.
 */
#include "event/event.h"

#include "base/error.h"
#include "base/json.h"
#include "watcher/watcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const bh_catalogue *catalogue(void)
{
	static bh_catalogue *made;

	if (!made) {
		g_autoptr(bh_catalogue) built_in = bh_catalogue_new();
		made = bh_catalogue_with(
			built_in,
			bh_event_type_parse(bh_span_of("{\"name\":\"paid\",\"sensitive\":[\"pin\",\"card\"]}"), NULL),
			NULL);
	}
	return made;
}

static void check_body(const bh_event *event, bh_shape shape, const char *owner)
{
	g_autoptr(GBytes) body = bh_event_body(event, shape, true, owner, shape == BH_SHAPE_JOMRES ? 7 : 0);
	bh_span text = {g_bytes_get_data(body, NULL), g_bytes_get_size(body)};
	g_autoptr(bh_json) json = bh_json_new();
	size_t kept = event->data.size - (shape == BH_SHAPE_JOMRES ? 1 : 0);

	/* One level deeper than an event may be is what the event's own data can be: it was one level down there, too. */
	g_assert(bh_json_parse(json, text, NULL));
	g_assert(memmem(text.at, text.size, event->data.at, kept));
	if (shape == BH_SHAPE_STANDARD) {
		g_assert(bh_span_equal(bh_json_text(json, bh_json_member(json, 0, "data")), event->data));
		if (event->details.size)
			g_assert(bh_span_equal(bh_json_text(json, bh_json_member(json, 0, "details")), event->details));
	}
}

static void check_data(const bh_event *event)
{
	const bh_event_type *type = bh_catalogue_find(catalogue(), event->type);
	g_autoptr(bh_json) json = bh_json_new();

	g_assert(bh_json_parse(json, event->data, NULL));
	g_assert(bh_json_type_of(json, 0) == BH_JSON_OBJECT);
	g_assert(bh_json_text(json, 0).size == event->data.size);
	for (size_t i = 0; type && type->sensitive[i]; i++)
		g_assert(bh_json_member(json, 0, type->sensitive[i]) == BH_JSON_NONE);
}

static void check_text(const char *text, size_t most)
{
	g_assert(!text || (strlen(text) >= 1 && strlen(text) <= most && g_utf8_validate(text, -1, NULL)));
}

/* Keys are for the store's index: short, text, and the same however often they are made. */
static void check_keys(const bh_event *event)
{
	static char *fields[] = {(char *)"property", (char *)"room_uid", (char *)"a", NULL};
	static char *one[] = {(char *)"room_uid", NULL};
	static const char *const orders[] = {"property", "contract_uid", "a"};

	for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
		bh_webhook webhook = {
			.order_by = (char *)orders[i], .coalesce = BH_SECOND, .coalesce_fields = i ? fields : one};
		g_autofree char *order = bh_watch_order_key(event, &webhook);
		g_autofree char *again = bh_watch_order_key(event, &webhook);
		g_autofree char *coalesce = bh_watch_coalesce_key(event, &webhook);
		check_text(order, BH_KEY_TEXT_MAX);
		check_text(coalesce, BH_KEY_TEXT_MAX);
		g_assert(g_strcmp0(order, again) == 0);
	}
}

static void check_event(const bh_event *event)
{
	check_text(event->type, BH_TYPE_NAME_MAX);
	check_text(event->property_id, 128);
	check_text(event->manager_id, 128);
	check_text(event->actor, 128);
	check_text(event->channel_id, 128);
	check_text(event->caller_id, 255 + 5);
	g_assert(bh_type_name_ok(bh_span_of(event->type)));
	check_data(event);
	check_keys(event);

	check_body(event, BH_SHAPE_STANDARD, NULL);
	check_body(event, BH_SHAPE_JOMRES, NULL);
	check_body(event, BH_SHAPE_JOMRES, "7");
	check_body(event, BH_SHAPE_JOMRES, "a\"b");

	unsigned char one[BH_FINGERPRINT_SIZE], other[BH_FINGERPRINT_SIZE];
	g_autoptr(bh_event) copy = bh_event_restore(event);
	bh_event_fingerprint(event, one);
	bh_event_fingerprint(copy, other);
	g_assert(memcmp(one, other, sizeof one) == 0 && copy->bytes == event->bytes);

	bh_directory_news news;
	bh_event_news(event, &news);
	g_assert(news.kind != BH_NEWS_MANAGER_PUT || news.manager_id);
	g_assert(news.kind != BH_NEWS_PROPERTY_CREATED || (news.property_ids[0] && !news.property_ids[1]));
	bh_directory_news_clear(&news);
}

static void check_refusal(const bh_refusal *refusal, const GError *error)
{
	static const int codes[] = {[BH_REFUSED_SYNTAX] = BH_ERROR_INVALID,
				    [BH_REFUSED_FIELD] = BH_ERROR_INVALID,
				    [BH_REFUSED_SIZE] = BH_ERROR_LIMIT};

	g_assert(error && error->domain == BH_ERROR);
	g_assert(error->code == codes[refusal->kind] ||
		 (refusal->kind == BH_REFUSED_FIELD && error->code == BH_ERROR_NOT_FOUND));
	g_assert(refusal->pointer[0] == '\0' || refusal->pointer[0] == '/');
	g_assert(g_utf8_validate(refusal->pointer, -1, NULL));
	g_assert(g_utf8_validate(error->message, -1, NULL));
	g_assert(refusal->line >= 1 && refusal->column >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size == 0)
		return 0;
	bh_intake intake = {.form = bytes[0] & 1 ? BH_EVENTS_NDJSON : BH_EVENTS_JSON,
			    .catalogue = catalogue(),
			    .accept_unknown_types = bytes[0] & 2,
			    .now = BH_DAY};
	g_autoptr(GPtrArray) events = NULL;
	g_autoptr(GArray) places = NULL;
	g_autoptr(GError) error = NULL;
	bh_refusal refusal;

	if (!bh_events_read((bh_span){(const char *)bytes + 1, size - 1}, &intake, &events, &places, &refusal,
			    &error)) {
		check_refusal(&refusal, error);
		return 0;
	}
	g_assert(events->len > 0 && events->len <= places->len);
	for (guint i = 0; i < places->len; i++)
		g_assert(g_array_index(places, guint, i) < events->len);
	for (guint i = 0; i < events->len; i++)
		check_event(g_ptr_array_index(events, i));
	return 0;
}
