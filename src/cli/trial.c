#include "cli/trial.h"

#include "delivery/hidden.h"
#include "transport/signature.h"

#include <string.h>

typedef struct run {
	const bh_trial_plan *plan;
	bh_trial *trial;
	bh_script_host *host;
	bh_script *script;
	bh_signer *signer; /* with a secret that nobody keeps */
	bh_hidden *hidden;
	char event_id[BH_ID_TEXT_SIZE];
} run;

/* --- Calls --------------------------------------------------------------------------------- */

static void free_call(void *data)
{
	bh_trial_call *call = data;
	g_free(call->verb);
	g_free(call->url);
	g_strfreev(call->headers);
	g_string_free(call->body, TRUE);
	bh_answer_forget(&call->answer);
	g_free(call);
}

static bool has_name_of(GPtrArray *lines, const char *line)
{
	size_t name = strcspn(line, ":") + 1;
	for (guint i = 0; i < lines->len; i++)
		if (g_ascii_strncasecmp(lines->pdata[i], line, name) == 0)
			return true;
	return false;
}

/* What every delivery bears: its id, and that it is ours. */
static void add_own_headers(run *r, bh_span body, GPtrArray *lines)
{
	char signature[BH_SIGNATURE_SIZE];
	int64_t seconds = bh_clock_wall() / BH_SECOND;
	bh_signer_sign(r->signer, r->event_id, seconds, body, signature);
	g_ptr_array_add(lines, g_strdup_printf("webhook-id: %s", r->event_id));
	g_ptr_array_add(lines, g_strdup_printf("webhook-timestamp: %" G_GINT64_FORMAT, seconds));
	g_ptr_array_add(lines, g_strdup_printf("webhook-signature: %s", signature));
	g_ptr_array_add(lines, g_strdup_printf("bellhop-hops: %d", r->plan->event->hops + 1));
}

/* The lines as they go out: ours win over the script's. */
static char **lines_of(run *r, bh_call_kind kind, const bh_request *request)
{
	g_autoptr(GPtrArray) ours = g_ptr_array_new();
	GPtrArray *lines = g_ptr_array_new();
	if (kind == BH_CALL_DELIVERY)
		add_own_headers(r, request->body, ours);
	for (const char *const *h = request->headers; h && *h; h++)
		if (!has_name_of(ours, *h))
			g_ptr_array_add(lines, g_strdup(*h));
	g_ptr_array_extend_and_steal(lines, g_steal_pointer(&ours));
	g_ptr_array_add(lines, NULL);
	return (char **)g_ptr_array_free(lines, FALSE);
}

static bool is_same(bh_span span, GBytes *bytes)
{
	gsize size;
	const char *at = g_bytes_get_data(bytes, &size);
	return bh_span_equal(span, (bh_span){at, size});
}

/* Makes the call that the script asks for. False: nobody answers it. */
static bool make_call(run *r, bh_request *request, GError **error)
{
	bh_trial_call *call = g_new0(bh_trial_call, 1);
	bh_call_kind kind = bh_script_call_kind(r->script);
	*call = (bh_trial_call){.kind = kind,
				.verb = g_strdup(request->verb),
				.url = g_strdup(request->url),
				.headers = lines_of(r, kind, request),
				.body = g_string_new_len(request->body.at, (gssize)request->body.size)};
	GBytes *body = bh_script_body(r->script);
	call->is_event_body = kind == BH_CALL_DELIVERY && request->body.size > 0 &&
			      is_same(request->body, body ? body : r->plan->body);
	request->headers = (const char *const *)call->headers;
	request->total_timeout = r->plan->total_timeout;
	if (!r->plan->answerer->answer(r->plan->answerer, request, &call->answer, error)) {
		free_call(call);
		return false;
	}
	g_ptr_array_add(r->trial->calls, call);
	return true;
}

static const bh_answer *last_answer(const run *r)
{
	guint count = r->trial->calls->len;
	return count ? &((bh_trial_call *)r->trial->calls->pdata[count - 1])->answer : NULL;
}

/* --- Hiding -------------------------------------------------------------------------------- */

static void hide(void *hidden, bh_span password)
{
	bh_hide(hidden, password);
}

/* Is a member of that name, or something in it, a credential? Its value may be spelled so that no mask finds it. */
static bool holds_token(const bh_json *json, uint32_t name)
{
	static const char *const words[] = {"token", "secret", "assertion", "password"};
	bh_span value = bh_json_text(json, name + 1);
	bh_json_type type = bh_json_type_of(json, name + 1);
	g_autofree char *text = bh_json_string(json, name);
	g_autofree char *plain = g_ascii_strdown(text ? text : "token", -1);
	if (type == BH_JSON_OBJECT || type == BH_JSON_ARRAY)
		return bh_holds_tokens(value);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (type == BH_JSON_STRING && strstr(plain, words[i]) && strcmp(plain, "token_type") != 0)
			return true;
	return false;
}

/* What a token service answered, its tokens masked member by member. Of what is no object, nothing if it tells of one. */
static GString *shown_grant(bh_span answer)
{
	g_autoptr(bh_json) json = bh_json_new();
	bool is_object = bh_json_parse(json, answer, NULL) && bh_json_type_of(json, 0) == BH_JSON_OBJECT;
	if (!is_object)
		return bh_holds_tokens(answer) ? g_string_new("***") : g_string_new_len(answer.at, (gssize)answer.size);

	GString *shown = g_string_new("{");
	for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c)) {
		bh_span name = bh_json_text(json, c), value = bh_json_text(json, c + 1);
		bool hidden = holds_token(json, c);
		g_string_append_printf(shown, "%s%.*s:", shown->len > 1 ? "," : "", (int)name.size, name.at);
		g_string_append_len(shown, hidden ? "\"***\"" : value.at, hidden ? 5 : (gssize)value.size);
	}
	g_string_append_c(shown, '}');
	return shown;
}

/* Of what is said to and by a token service only what is no credential is shown. */
static void mask_grant(bh_trial_call *call)
{
	GByteArray *body = call->answer.body;
	GString *form = bh_hidden_form((bh_span){call->body->str, call->body->len});
	g_string_free(call->body, TRUE);
	call->body = form;
	if (!body || body->len == 0)
		return;
	g_autoptr(GString) shown = shown_grant((bh_span){(const char *)body->data, body->len});
	g_byte_array_set_size(body, 0);
	g_byte_array_append(body, (const guint8 *)shown->str, (guint)shown->len);
}

static void mask_headers(run *r, bh_trial_call *call)
{
	for (char **line = call->headers; *line; line++) {
		GString *shown = g_string_new(NULL);
		bh_hidden_append_header(&r->hidden, *line, shown);
		g_free(*line);
		*line = g_string_free(shown, FALSE);
	}
}

static void mask_text(const run *r, char **text)
{
	if (!*text)
		return;
	GString *masked = g_string_new(*text);
	bh_hidden_mask(r->hidden, masked);
	g_free(*text);
	*text = g_string_free(masked, FALSE);
}

static void mask_call(const run *r, bh_trial_call *call)
{
	mask_text(r, &call->url);
	for (char **line = call->headers; *line; line++)
		mask_text(r, line);
	if (call->kind == BH_CALL_DELIVERY) /* of the others, bh_hidden_form has left what may be seen */
		bh_hidden_mask(r->hidden, call->body);
	if (call->answer.head)
		bh_hidden_mask(r->hidden, call->answer.head);
	if (call->answer.body)
		bh_hidden_mask_bytes(r->hidden, call->answer.body);
	mask_text(r, &call->answer.location);
}

static void mask_sentence(const run *r, char *sentence, size_t size)
{
	g_autoptr(GString) masked = g_string_new(sentence);
	bh_hidden_mask(r->hidden, masked);
	g_strlcpy(sentence, masked->str, size);
}

/* First all that must not be shown is gathered, for a receiver may tell in one answer what was sent to another. */
static void mask_all(run *r)
{
	GPtrArray *calls = r->trial->calls;
	bh_script_each_password(r->script, hide, &r->hidden);
	for (guint i = 0; i < calls->len; i++) {
		bh_trial_call *call = calls->pdata[i];
		mask_headers(r, call);
		if (call->kind != BH_CALL_DELIVERY)
			mask_grant(call);
	}
	for (guint i = 0; i < calls->len; i++)
		mask_call(r, calls->pdata[i]);
	mask_text(r, &r->trial->why);
	mask_sentence(r, r->trial->conclusion.sentence, sizeof r->trial->conclusion.sentence);
}

/* --- The run ------------------------------------------------------------------------------- */

static bh_script_job job_of(const bh_trial_plan *plan, const bh_script_event *event)
{
	return (bh_script_job){.method = plan->method,
			       .settings = plan->settings,
			       .script = plan->script,
			       .webhook = 1, /* of this process */
			       .event = event,
			       .skips_accepts = plan->is_test};
}

static bool begin(run *r, GError **error)
{
	const bh_event *event = r->plan->event;
	const bh_script_limits limits = BH_SCRIPT_LIMITS_DELIVERY;
	bh_script_event seen = {.id = bh_id_text(BH_ID_EVENT, event->id, r->event_id),
				.type = event->type,
				.property_id = event->property_id,
				.manager_id = r->plan->owner,
				.occurred_at = event->occurred_at,
				.body = r->plan->body,
				.data = event->data,
				.details = event->details,
				.channel = event->channel,
				.attempt = r->plan->attempt};
	g_autoptr(bh_secret) secret = bh_secret_random(BH_SECRET_BYTES);
	bh_script_job job = job_of(r->plan, &seen);

	r->signer = bh_signer_new(secret);
	r->host = bh_script_host_new(&limits, r->plan->sealer);
	bh_script_host_use(r->host, r->plan->methods);
	if (r->plan->lookup)
		bh_script_host_lookup(r->host, r->plan->lookup);
	bh_script_host_now(r->host, bh_clock_now());
	r->script = bh_script_new(r->host, &job, error);
	return r->script != NULL;
}

/* Until it has ended (RETURNED or BROKE); CALLS: it waits for an answer that nobody gives. */
static bh_script_turn go_on(run *r, GError **error)
{
	bh_request request;
	const bh_answer *answer = NULL;
	for (;;) {
		bh_script_host_now(r->host, bh_clock_now());
		bh_script_turn turn = bh_script_resume(r->script, answer, &request);
		answer = NULL;
		if (turn == BH_SCRIPT_LATER) {
			(void)bh_script_host_next(r->host); /* it is the only one */
			continue;
		}
		if (turn != BH_SCRIPT_CALLS || !make_call(r, &request, error))
			return turn;
		answer = last_answer(r);
	}
}

/* Without the chance in it: what is said shall be the same every time. */
static bh_next next_of(const bh_trial_plan *plan, const bh_conclusion *conclusion)
{
	bh_policy policy = plan->policy;
	bh_chance chance = bh_chance_seeded(1);
	bh_waiting waiting = {.spent = plan->attempt - 1, .attempts = plan->attempt - 1, .is_test = plan->is_test};
	policy.jitter_percent = 0;
	policy.jitter_first = 0;
	return bh_next_step(&policy, &waiting, conclusion, 0, &chance);
}

/* Was the last call for a token or details, and not the receiver's? */
static bool has_asked(const bh_trial *t)
{
	guint count = t->calls->len;
	return count && ((const bh_trial_call *)t->calls->pdata[count - 1])->kind != BH_CALL_DELIVERY;
}

static void conclude(run *r, bh_script_turn turn)
{
	bh_trial *t = r->trial;
	bool broke = turn == BH_SCRIPT_BROKE;
	bh_ending ending = {.answer = last_answer(r), .has_asked = has_asked(t)};
	if (broke)
		ending.trouble = bh_script_trouble(r->script);
	else
		ending.judgement = bh_script_judged(r->script);

	t->why = g_strdup(broke ? NULL : ending.judgement->why);
	t->filtered = !broke && ending.judgement->kind == BH_JUDGED_FILTERED;
	if (t->filtered)
		return;
	t->by_method =
		!broke && ending.judgement->kind != BH_JUDGED_BY_ANSWER && ending.judgement->kind != BH_JUDGED_ENDED;
	t->method_names_time = t->by_method && ending.judgement->after > 0;
	t->conclusion = bh_conclude(&ending, &r->plan->policy);
	t->next = next_of(r->plan, &t->conclusion);
}

static void take_body(run *r, bh_script_turn turn)
{
	bh_trial *t = r->trial;
	GBytes *body = turn == BH_SCRIPT_BROKE && t->calls->len == 0 ? NULL : bh_script_body(r->script);
	t->body = body ? g_bytes_ref(body) : NULL;
	t->changed = body && !g_bytes_equal(body, r->plan->body);
}

bh_trial *bh_trial_run(const bh_trial_plan *plan, GError **error)
{
	g_autoptr(bh_trial) trial = g_new0(bh_trial, 1);
	run r = {.plan = plan, .trial = trial};
	trial->calls = g_ptr_array_new_with_free_func(free_call);

	bool began = begin(&r, error);
	if (began) {
		g_autoptr(GError) unanswered = NULL;
		bh_script_turn turn = go_on(&r, &unanswered);
		trial->unanswered = unanswered ? g_strdup(unanswered->message) : NULL;
		if (!unanswered)
			conclude(&r, turn);
		take_body(&r, turn);
		mask_all(&r);
	}
	g_clear_pointer(&r.script, bh_script_free);
	g_clear_pointer(&r.host, bh_script_host_free);
	g_clear_pointer(&r.signer, bh_signer_free);
	g_clear_pointer(&r.hidden, bh_hidden_free);
	return began ? g_steal_pointer(&trial) : NULL;
}

void bh_trial_free(bh_trial *trial)
{
	if (!trial)
		return;
	g_ptr_array_unref(trial->calls);
	g_clear_pointer(&trial->body, g_bytes_unref);
	g_free(trial->unanswered);
	g_free(trial->why);
	g_free(trial);
}
