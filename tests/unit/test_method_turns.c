/* Runs that compute for long: slices, the row in which they stand, and what must not happen in between. */
#include "base/time.h"
#include "method_rig.h"

/* As resume of the rig; counts the slices. */
static bh_script_turn resume_counting(rig *r, bh_script *s, int *ret_pauses)
{
	bh_request call;
	bh_script_turn turn = bh_script_resume(s, NULL, &call);

	for (*ret_pauses = 0; turn == BH_SCRIPT_LATER; (*ret_pauses)++) {
		g_assert_true(bh_script_host_next(r->host) == s);
		turn = bh_script_resume(s, NULL, &call);
	}
	g_assert_false(bh_script_host_has_next(r->host));
	return turn;
}

/* Begins a run of "eval" and takes it to its first pause, in the row. */
static bh_script *paused(rig *r, const char *method)
{
	bh_request call;
	bh_script *s = begin(r, method, SETTINGS);
	g_assert_cmpint(bh_script_resume(s, NULL, &call), ==, BH_SCRIPT_LATER);
	return s;
}

/* --- Slices ------------------------------------------------------------------------------------- */

/* A pause may come between any two instructions. Each of these goes through hundreds of thousands, and must not notice. */
static void a_pause_changes_nothing(rig *r, gconstpointer unused)
{
	static const struct {
		const char *code, *note;
	} rows[] = {
		{"local n = 0 for i = 1, 400000 do n = n + i end return remote.delivered(n .. '')", "80000200000"},
		{"local n = 0 while n < 200000 do n = n + 1 end return remote.delivered(n .. '')", "200000"},
		{"local n = 0.0 for i = 0.5, 200000 do n = n + i end return remote.delivered(('%d'):format(n))",
		 "20000000000"},
		{"local t = {} for i = 1, 100000 do t[i] = i end local n = 0\n"
		 "for k, v in pairs(t) do n = n + k - v + 1 end for _, v in ipairs(t) do n = n + 1 end\n"
		 "for k, v in next, t do n = n + 1 end return remote.delivered(n .. '')",
		 "300000"},
		{"local n = 0 for i = 1, 60000 do n = n + '10' * '2' - ('3' // 1) end return remote.delivered(n .. '')",
		 "1020000"},
		{"local function f(...) return ... end\n"
		 "local n = 0 for i = 1, 40000 do n = n + select('#', f(i, f(i, i, f()))) + #{ f(1, f(2, 3)) } end\n"
		 "return remote.delivered(n .. '')",
		 "240000"},
		{"local function f(n) if n == 0 then return 0 end return f(n - 1) end\n"
		 "local function g(n) if n == 0 then return 0 end return 1 + g(n - 1) end\n"
		 "local n = 0 for i = 1, 40 do n = n + f(1000) + g(1000) end return remote.delivered(n .. '')",
		 "40000"},
		{"local n = 0 for i = 1, 20000 do\n"
		 "local ok, why = pcall(function(a) if a % 2 == 0 then error(a, 0) end return a end, i)\n"
		 "n = n + (ok and 1 or 2) * why end return remote.delivered(n .. '')",
		 "300020000"},
		{"local n = 0 local function add(k) for i = 1, k do n = n + 1 end error('x') end\n"
		 "for i = 1, 5 do pcall(pcall, pcall, add, 100000) end return remote.delivered(n .. '')",
		 "500000"},
		{"local n = 0 for i = 1, 60000 do n = n + #settings.url + #event.id end\n"
		 "for i = 1, 10000 do for k, v in pairs(settings) do n = n + #k end end return remote.delivered(n .. '')",
		 "2850000"},
		{"local n = 0 for i = 1, 2000 do for w in ('a bb ccc dddd'):gmatch('%a+') do n = n + #w end\n"
		 "for j = 1, 100 do end end return remote.delivered(n .. '')",
		 "20000"},
		{"local t = {} for i = 1, 3000 do t[#t + 1] = 'x' .. i for j = 1, 100 do end end\n"
		 "return remote.delivered(#table.concat(t) .. '')",
		 "13893"},
		{"local fs = {} for i = 1, 300 do fs[i] = function() i = i + 1 return i end end local n = 0\n"
		 "for j = 1, 100 do for i = 1, 300 do n = n + fs[i]() end end return remote.delivered(n .. '')",
		 "6030000"},
		{"local n = 0 ::again:: n = n + 1 if n < 200000 then goto again end return remote.delivered(n .. '')",
		 "200000"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		int pauses;
		write_deliver(r, "eval", "", rows[i].code);
		bh_script *s = begin(r, "eval", SETTINGS);
		assert_judged(s, resume_counting(r, s, &pauses), BH_JUDGED_DELIVERED, rows[i].note);
		if (pauses < 2)
			g_error("paused %d times: %s", pauses, rows[i].code);
		bh_script_free(s);
	}
}

static void a_short_run_never_pauses(rig *r, gconstpointer unused)
{
	int pauses;
	write_deliver(r, "eval", "", "for i = 1, 5000 do end return remote.delivered()");
	bh_script *s = begin(r, "eval", SETTINGS);
	assert_judged(s, resume_counting(r, s, &pauses), BH_JUDGED_DELIVERED, NULL);
	g_assert_cmpint(pauses, ==, 0);
	bh_script_free(s);
}

/* Also what C functions do counts for a slice, though no instruction passes meanwhile. */
static void what_c_functions_do_counts(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"for i = 1, 40 do local s = ('x'):rep(1000000) end",
		"local s = ('x'):rep(200000) for i = 1, 10 do s:find('y') end",
		"local t = {} for i = 1, 50000 do t[i] = i end for i = 1, 20 do table.concat(t, ',', 1, 5000) end",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		g_autofree char *code = g_strconcat(codes[i], " return remote.delivered()", NULL);
		int pauses;
		write_deliver(r, "eval", "", code);
		bh_script *s = begin(r, "eval", SETTINGS);
		assert_judged(s, resume_counting(r, s, &pauses), BH_JUDGED_DELIVERED, NULL);
		g_assert_cmpint(pauses, >=, 2);
		bh_script_free(s);
	}
}

/* An instruction over long texts takes as long as thousands of others, so slices end by the clock, too. */
static void slow_instructions_do_not_keep_the_thread(rig *r, gconstpointer unused)
{
	int pauses;
	write_deliver(r, "bad", "",
		      "local a = ('\\0'):rep(1000000) local b = a .. '1' a = a .. '2'\n"
		      "local n = 0 while true do if a < b then n = n + 1 end end");
	bh_script *s = begin(r, "bad", SETTINGS);
	g_assert_cmpint(resume_counting(r, s, &pauses), ==, BH_SCRIPT_BROKE);
	g_assert_cmpstr(bh_script_trouble(s), ==, "bad.lua:6: the script computed for too long");
	g_assert_cmpint(pauses, >=, 2); /* how many fit into its second is the machine's business */
	bh_script_free(s);
}

/* The longest turn until it breaks. */
static bh_usec longest_turn(rig *r, const char *code)
{
	bh_request call;
	bh_usec longest = 0;
	bh_script_turn turn;

	write_deliver(r, "bad", "", code);
	bh_script *s = begin(r, "bad", SETTINGS);
	do {
		bh_usec before = bh_clock_work();
		turn = bh_script_resume(s, NULL, &call);
		longest = MAX(longest, bh_clock_work() - before);
	} while (turn == BH_SCRIPT_LATER && bh_script_host_next(r->host) == s);
	g_assert_cmpint(turn, ==, BH_SCRIPT_BROKE);
	g_assert_nonnull(strstr(bh_script_trouble(s), "too long"));
	bh_script_free(s);
	return longest;
}

/*
 * These held the thread for more than half a second: the end of a run went through sixty thousand pcalls, each of which took as
 * long as all that were left; and beside a large table the kernel was asked for the time after each second instruction.
 */
static void the_end_of_a_run_is_no_long_turn(rig *r, gconstpointer unused)
{
	g_assert_cmpint(longest_turn(r, "local function f() pcall(f) pcall(f) end f()"), <, 400 * BH_MILLISECOND);
	g_assert_cmpint(longest_turn(r, "local t = {} for i = 1, 100000 do t[i] = i * 7919 % 100003 end table.sort(t)"),
			<, 400 * BH_MILLISECOND);
}

/* --- What cannot pause ---------------------------------------------------------------------------- */

#define STRETCH "the script computed for too long without a pause; sort, match or replace less at once"

static void what_cannot_pause_has_a_bound(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"('x'):gsub('x', function() for i = 1, 2000000 do end end)",
		"('x'):rep(100000):gsub('x', function() for i = 1, 100 do end end)",
		"table.sort({ 1, 2 }, function(a, b) for i = 1, 2000000 do end return a < b end)",
		"local t = {} for i = 1, 30000 do t[i] = (i * 7919) % 30011 end table.sort(t)",
		"('a'):rep(100000):find('.-.-b')",
		"('x'):rep(600000):gsub('x', 'y')",
		"pcall(string.gsub, 'x', 'x', function() for i = 1, 2000000 do end end)",
		"for i = 1, 1e9 do pcall(table.sort, { 1, 2 }, function(a, b) for i = 1, 2000000 do end end) end",
		"('x'):gsub('x', function() ('x'):gsub('x', function() pcall(function() for i = 1, 2e6 do end end) end) end)",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		assert_code_breaks(r, codes[i], "bad.lua:5: " STRETCH);
}

/* Many small ones, with next to no instruction in between at which the hook could look in. */
static void many_small_ones_are_no_long_one(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"local f = function() for i = 1, 50000 do end end for i = 1, 30 do ('x'):gsub('x', f) end",
		"local f = function() for i = 1, 490 do end end for i = 1, 3000 do ('x'):gsub('x', f) end",
		"local f = function() for i = 1, 487 do end end for i = 1, 3000 do ('x'):gsub('x', f) end",
		("local t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end\n"
		 "for i = 1, 20 do table.sort(t, function(a, b) if i % 2 == 0 then return a > b end return a < b end) end"),
		"local s = ('x'):rep(100000) for i = 1, 8 do s:gsub('x', 'y') end",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		g_autofree char *code = g_strconcat(codes[i], " return remote.delivered()", NULL);
		int pauses;
		write_deliver(r, "eval", "", code);
		bh_script *s = begin(r, "eval", SETTINGS);
		assert_judged(s, resume_counting(r, s, &pauses), BH_JUDGED_DELIVERED, NULL);
		g_assert_cmpint(pauses, >=, 2);
		bh_script_free(s);
	}
}

/* A body may be as large as an event: to look at it, and to build another one, is no stretch. */
static void a_large_body_can_be_worked_on(rig *r, gconstpointer unused)
{
	g_autoptr(GString) body = g_string_new(NULL);
	for (int i = 0; i < 100000; i++)
		g_string_append(body, "{\"n\":12},");
	g_bytes_unref(r->body);
	r->body = g_bytes_new(body->str, body->len);
	g_autofree char *note = note_of_code(
		r,
		"local b = event.body\n"
		"local n = #b:sub(1, 10) + #b:sub(-10) + #b:upper() + #b:reverse() + #('<%s>'):format(b) + b:byte(5)\n"
		"n = n + #(b .. '!') + b:find('}', 5, true) + #base64.encode(b) + #hash.sha256(b) + #b:match('^(.-),')\n"
		"return remote.delivered(n .. '')");
	g_assert_cmpstr(note, ==, "4800161");
}

static void a_callback_cannot_wait(rig *r, gconstpointer unused)
{
	assert_code_breaks(r, "('x'):gsub('x', function() remote.get('https://a.example/') end)",
			   "bad.lua:5: remote.get: cannot be called from inside string.gsub or table.sort");
}

/* --- The row ---------------------------------------------------------------------------------------- */

static void who_waits_longest_comes_first(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "long", "", "for i = 1, 350000 do end return remote.delivered('long')");
	write_deliver(r, "longer", "", "for i = 1, 950000 do end return remote.delivered('longer')");
	bh_script *runs[] = {paused(r, "longer"), paused(r, "long"), paused(r, "longer")};
	int turns[3] = {0};

	for (int at = 0; bh_script_host_has_next(r->host);) {
		bh_script *s = bh_script_host_next(r->host);
		while (!runs[at])
			at = (at + 1) % 3;
		g_assert_true(s == runs[at]);
		turns[at]++;
		if (bh_script_resume(s, NULL, &call) == BH_SCRIPT_RETURNED) {
			g_assert_cmpstr(bh_script_judged(s)->why, ==, at == 1 ? "long" : "longer");
			bh_script_free(s);
			runs[at] = NULL;
		}
		at = (at + 1) % 3;
	}
	for (int i = 0; i < 3; i++)
		g_assert_null(runs[i]);
	g_assert_cmpint(turns[1], <, turns[0]);
	g_assert_cmpint(turns[0], ==, turns[2]);
	g_assert_null(bh_script_host_next(r->host));
}

/* What the others do while a run stands in the row is not its computing time. */
static void waiting_is_not_computing(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "patient", "", "for i = 1, 350000 do end return remote.delivered()");
	bh_script *s = paused(r, "patient");
	g_assert_true(bh_script_host_next(r->host) == s);
	for (bh_usec began = bh_clock_work(); bh_clock_work() - began < 1100 * BH_MILLISECOND;)
		;
	g_assert_cmpint(bh_script_resume(s, NULL, &call), ==, BH_SCRIPT_LATER);
	g_assert_true(bh_script_host_next(r->host) == s);
	assert_judged(s, resume(r, s, NULL, &call), BH_JUDGED_DELIVERED, NULL);
	bh_script_free(s);
}

static void a_thousand_runs_can_wait(rig *r, gconstpointer unused)
{
	enum { RUNS = 1000 };
	g_autofree bh_script **runs = g_new0(bh_script *, RUNS);
	bh_request call;

	write_deliver(r, "crowd", "local mine = {}",
		      "for i = 1, 50 do mine[i] = event.id .. i end for i = 1, 120000 do end\n"
		      "remote.get('https://a.example/' .. #mine) return remote.delivered(mine[50])");
	for (int i = 0; i < RUNS; i++)
		runs[i] = paused(r, "crowd");
	for (int i = 0; i < RUNS; i += 10) {
		bh_script_free(runs[i]); /* out of the middle of the row */
		runs[i] = NULL;
	}
	int calling = 0;
	for (bh_script *s = bh_script_host_next(r->host); s; s = bh_script_host_next(r->host)) {
		bh_script_turn turn = bh_script_resume(s, NULL, &call);
		if (turn == BH_SCRIPT_LATER) /* collecting the garbage of so many took its time */
			continue;
		g_assert_cmpint(turn, ==, BH_SCRIPT_CALLS);
		g_assert_cmpstr(call.url, ==, "https://a.example/50");
		calling++;
	}
	g_assert_cmpint(calling, ==, RUNS - RUNS / 10);
	for (int i = RUNS - 1; i >= 0; i--) {
		if (!runs[i])
			continue;
		bh_script_turn turn = answer_with(r, runs[i], 200, "", "", &call);
		assert_judged(runs[i], turn, BH_JUDGED_DELIVERED, "evt_04f2k8m1q7zr050");
		bh_script_free(runs[i]);
	}
	assert_host_is_well(r);
}

/* --- One meter for all of it -------------------------------------------------------------------------- */

static void pauses_are_no_way_around_the_meter(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"while true do end",
		"while true do pcall(function() while true do end end) end",
		"while true do pcall(error) end",
		"while true do for k in pairs(settings) do end end",
		"while true do ('x'):gsub('x', function() for i = 1, 1000 do end end) end",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		int pauses;
		write_deliver(r, "bad", "", codes[i]);
		bh_script *s = begin(r, "bad", SETTINGS);
		g_assert_cmpint(resume_counting(r, s, &pauses), ==, BH_SCRIPT_BROKE);
		g_assert_nonnull(strstr(bh_script_trouble(s), "bad.lua:5: the script "));
		g_assert_cmpint(pauses, >=, 10);
		bh_script_free(s);
	}
}

static void stages_share_the_meter(rig *r, gconstpointer unused)
{
	static const char loop[] = "for i = 1, 1300000 do end";
	g_autofree char *method =
		g_strdup_printf("return { title = 'T', fields = {},\naccepts = function() %s return true end,\n"
				"transform = function() %s end,\n"
				"deliver = function(event, settings, remote) %s return remote.delivered() end }",
				loop, loop, loop);
	g_autofree char *own = g_strdup_printf("return { accepts = function() %s return true end }", loop);

	write_method(r, "m", method);
	g_assert_cmpuint(reload(r), ==, 0);
	g_free(note_of(r, "m", "{}"));
	r->script = own;
	assert_breaks(r, "m", "{}", "m.lua:4: the script used up its instructions");
}

static void memory_is_counted_over_all_slices(rig *r, gconstpointer unused)
{
	/* 12 MiB held, and more than 16 made and thrown away. */
	g_autofree char *note = note_of_code(r, "local t = {} for i = 1, 120 do t[i] = ('x'):rep(100000) .. i\n"
						"for j = 1, 5000 do end end\n"
						"for i = 1, 50 do local s = ('y'):rep(200000) .. i end\n"
						"return remote.delivered(#t .. t[120]:sub(-3))");
	g_assert_cmpstr(note, ==, "120120");
	assert_code_breaks(r, "local t = {} for i = 1, 200 do t[i] = ('x'):rep(100000) .. i for j = 1, 5000 do end end",
			   "bad.lua:5: the script needs too much memory");
}

/* What others' collections have freed between its turns is not held against it, though nobody can tell how much that was. */
static void garbage_that_others_collect_is_no_need(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "churns", "",
		      "local n = 0 for i = 1, 12 do for j = 1, 15 do n = n + #(('x'):rep(99900) .. j) end\n"
		      "for j = 1, 150000 do end end return remote.delivered(n .. '')");
	write_deliver(r, "big", "", "local t = ('x'):rep(2000000) return remote.delivered()");
	write_deliver(r, "holds", "",
		      "local t = {} for i = 1, 100 do t[i] = ('x'):rep(99900) .. i end for i = 1, 150000 do end");
	bh_script *holds = paused(r, "holds"); /* the more there is, the rarer is a collection */
	g_assert_true(bh_script_host_next(r->host) == holds);
	bh_script *s = begin(r, "churns", SETTINGS);
	bh_script_turn turn = bh_script_resume(s, NULL, &call);
	int pauses = 0;
	for (; turn == BH_SCRIPT_LATER; pauses++) {
		g_assert_true(bh_script_host_next(r->host) == s);
		g_free(note_of(r, "big", SETTINGS)); /* it held much, so all garbage goes with it */
		turn = bh_script_resume(s, NULL, &call);
	}
	assert_judged(s, turn, BH_JUDGED_DELIVERED, "17982252");
	g_assert_cmpint(pauses, >, 12);
	bh_script_free(s);
	bh_script_free(holds);
}

/* Whoever lives just below the ceiling makes Lua collect all the time, which costs the thread more than its instructions. */
static void living_at_the_ceiling_has_a_price(rig *r, gconstpointer unused)
{
	int pauses;
	write_deliver(
		r, "bad", "",
		"local t = {}\n"
		"for i = 1, 150 do t[i] = ('x'):rep(100000) .. i end\n"
		"local n = 0 while true do n = n + 1 t[n % 100 + 1] = ('x'):rep(100000) .. n .. ('z'):rep(10) end");
	bh_script *s = begin(r, "bad", SETTINGS);
	g_assert_cmpint(resume_counting(r, s, &pauses), ==, BH_SCRIPT_BROKE);
	g_assert_cmpint(pauses, >=, 2);
	bh_script_free(s);
	assert_host_is_well(r);
}

/* --- What waits across a pause --------------------------------------------------------------------------- */

/* The answer is the loop's and gone after the turn; its table was not looked into before the pause. */
static void an_answer_outlives_a_pause(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "look", "",
		      "local ok, a = pcall(function()\n"
		      "  local a = remote.get('https://a.example/')\n"
		      "  for i = 1, 250000 do end\n"
		      "  return a end)\n"
		      "for i = 1, 250000 do end\n"
		      "return remote.delivered(a.status .. a.body .. a.headers['x-a'])");
	bh_script *s = begin(r, "look", SETTINGS);
	reply a;
	assert_call(r, s, NULL, "GET", "https://a.example/", &call);
	reply_init(&a, 200, "X-A: header\n", "body");
	g_assert_cmpint(bh_script_resume(s, &a.answer, &call), ==, BH_SCRIPT_LATER);
	reply_clear(&a);
	g_assert_true(bh_script_host_next(r->host) == s);
	assert_judged(s, resume(r, s, NULL, &call), BH_JUDGED_DELIVERED, "200bodyheader");
	bh_script_free(s);

	/* And it is still the answer of the last call. */
	write_deliver(r, "back", "", "local a = remote.get('https://a.example/') for i = 1, 250000 do end return a");
	s = begin(r, "back", SETTINGS);
	assert_call(r, s, NULL, "GET", "https://a.example/", &call);
	assert_judged(s, answer_with(r, s, 200, "", "", &call), BH_JUDGED_BY_ANSWER, NULL);
	bh_script_free(s);
}

static void a_run_can_be_given_up_in_a_pause(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"while true do end",
		"pcall(pcall, function() while true do end end)",
		"local function f(n) if n > 0 then return 1 + f(n - 1) end while true do end end f(150)",
		"for k in pairs(settings) do while true do end end",
		"local t = {} for i = 1, 100 do t[i] = ('x'):rep(100000) end while true do end",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		write_deliver(r, "left", "", codes[i]);
		bh_script *in_row = paused(r, "left"), *called = paused(r, "left"), *last = paused(r, "left");
		bh_script_free(in_row);
		g_assert_true(bh_script_host_next(r->host) == called);
		bh_script_free(called);
		g_assert_true(bh_script_host_next(r->host) == last);
		bh_script_free(last);
		g_assert_false(bh_script_host_has_next(r->host));
	}
	bh_script *forgotten = paused(r, "left");
	assert_host_is_well(r);
	bh_script_free(forgotten);
}

/* An error on the far side of a pause is caught by who would have caught it before. */
static void errors_find_their_pcall_after_a_pause(rig *r, gconstpointer unused)
{
	g_autofree char *note = note_of_code(
		r, "local function f(n) for i = 1, 150000 do end error({ n = n }) end\n"
		   "local a, why = pcall(function() local ok, e = pcall(f, 1) error({ n = e.n + 1 }) end)\n"
		   "local b, text = pcall(function() for i = 1, 150000 do end return nil + 1 end)\n"
		   "return remote.delivered(tostring(a) .. why.n .. tostring(b) .. text)");
	g_assert_cmpstr(note, ==, "false2falseeval.lua:7: attempt to perform arithmetic on a nil value");
	assert_code_breaks(r, "for i = 1, 250000 do end\nlocal x = nil .. 'x'",
			   "bad.lua:6: attempt to concatenate a nil");
}

/* --- Waiting for others, and being ended --------------------------------------------------------------------- */

#define TOKEN "{ url = 'https://t.example/token', client_id = 'a', client_secret = 'b' }"

static void who_waits_for_a_token_stands_in_no_row(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "token", "",
		      "for i = 1, 150000 do end return remote.delivered('got ' .. remote.token " TOKEN ")");
	bh_script *asks = begin(r, "token", SETTINGS), *waits = begin(r, "token", SETTINGS),
		  *leaves = begin(r, "token", SETTINGS);

	g_assert_cmpint(resume(r, asks, NULL, &call), ==, BH_SCRIPT_CALLS);
	g_assert_cmpint(bh_script_call_kind(asks), ==, BH_CALL_TOKEN);
	bh_script *both[] = {leaves, waits};
	for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
		g_assert_cmpint(bh_script_resume(both[i], NULL, &call), ==, BH_SCRIPT_LATER); /* its slice was over */
		g_assert_true(bh_script_host_next(r->host) == both[i]);
		g_assert_cmpint(bh_script_resume(both[i], NULL, &call), ==, BH_SCRIPT_LATER);
		g_assert_false(bh_script_host_has_next(r->host)); /* now it waits */
	}
	bh_script_free(leaves);
	bh_script_free(asks);
	g_assert_true(bh_script_host_next(r->host) == waits);
	g_assert_cmpint(bh_script_resume(waits, NULL, &call), ==, BH_SCRIPT_CALLS); /* in the other's stead */
	assert_judged(waits,
		      answer_with(r, waits, 200, "Content-Type: application/json\n",
				  "{\"access_token\":\"token-4711-abcdef\",\"token_type\":\"Bearer\"}", &call),
		      BH_JUDGED_DELIVERED, "got ***");
	bh_script_free(waits);
}

/* As with a meter that ran out: no pcall, no loop of them, and nothing that the script does afterwards. */
static void the_host_s_end_cannot_be_caught(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"remote.token " TOKEN,
		"pcall(remote.token, " TOKEN ") return remote.delivered('caught')",
		"for i = 1, 1e9 do pcall(pcall, pcall, remote.token, " TOKEN ") end",
		"while true do pcall(function() for i = 1, 150000 do end remote.token " TOKEN " end) end",
		"local function f() pcall(remote.token, " TOKEN ") return f() end f()",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
		bh_request call;
		g_autofree char *client = g_strdup_printf("client_id = '%zu'", i); /* the one before rests */
		g_auto(GStrv) parts = g_strsplit(codes[i], "client_id = 'a'", -1);
		g_autofree char *code = g_strjoinv(client, parts);
		write_deliver(r, "token", "", code);
		bh_script *s = begin(r, "token", SETTINGS);
		g_assert_cmpint(resume(r, s, NULL, &call), ==, BH_SCRIPT_CALLS);
		bh_script_turn turn = answer_with(r, s, 401, "Content-Type: application/json\n",
						  "{\"error\":\"invalid_client\"}", &call);
		g_assert_cmpint(turn, ==, BH_SCRIPT_RETURNED);
		const bh_script_judgement *j = bh_script_judged(s);
		g_assert_cmpint(j->kind, ==, BH_JUDGED_ENDED);
		g_assert_cmpint(j->cause, ==, BH_CAUSE_CREDENTIALS);
		g_assert_true(j->was_asked);
		g_assert_cmpint(j->after, ==, 5 * BH_SECOND);
		g_assert_nonnull(strstr(j->why, "invalid_client"));
		bh_script_free(s);
	}
	assert_host_is_well(r);
}

#define ADD(name) g_test_add("/method_turns/" #name, rig, NULL, set_up, name, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(a_pause_changes_nothing);
	ADD(a_short_run_never_pauses);
	ADD(what_c_functions_do_counts);
	ADD(slow_instructions_do_not_keep_the_thread);
	ADD(what_cannot_pause_has_a_bound);
	ADD(many_small_ones_are_no_long_one);
	ADD(a_callback_cannot_wait);
	ADD(who_waits_longest_comes_first);
	ADD(waiting_is_not_computing);
	ADD(a_thousand_runs_can_wait);
	ADD(pauses_are_no_way_around_the_meter);
	ADD(stages_share_the_meter);
	ADD(memory_is_counted_over_all_slices);
	ADD(living_at_the_ceiling_has_a_price);
	ADD(an_answer_outlives_a_pause);
	ADD(a_run_can_be_given_up_in_a_pause);
	ADD(errors_find_their_pcall_after_a_pause);
	ADD(who_waits_for_a_token_stands_in_no_row);
	ADD(the_host_s_end_cannot_be_caught);
	ADD(garbage_that_others_collect_is_no_need);
	ADD(a_large_body_can_be_worked_on);
	ADD(the_end_of_a_run_is_no_long_turn);
	return g_test_run();
}
