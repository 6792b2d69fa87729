/* What a script may use, and what happens to it when it wants more. */
#include "method_rig.h"

/* Ended by its meter: instructions, or, in a slow build, time comes first. Which of them is no promise. */
#define ENDED "bad.lua:5: the script "

/* --- Limits ------------------------------------------------------------------------------------ */

static void a_script_that_never_ends_is_ended(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"while true do end",
		"while true do pcall(function() while true do end end) end",
		"local function f() pcall(f) while true do end end while true do pcall(f) end",
		"local function f() return f() end f()",
		"repeat until pcall(error)",
		"for i = 1, math.huge do pcall(pcall, error, i) end",
		"('x'):rep(1000):gsub('x', function() while true do pcall(error) end end)",
		"table.sort({ 1, 2, 3 }, function(a, b) while true do pcall(error) end end)",
		"table.move({}, 1, 1 << 60, 1)",
		"table.move({}, 1, 1 << 62, 2)",
		"table.move({}, 1, 2^53, 1)",
		"table.move({}, 1, '9007199254740993', 1)",
		"table.move({}, '1', '0x1p60', 1)",
		"local s = ('\\0'):rep(500000) while true do local t = ('%q'):format(s) end",
		"table.concat({}, '', 1 << 40, (1 << 40) + (1 << 39))",
		"table.unpack({}, 1, 1 << 40)",
		"while true do local t = table.pack(('x'):byte(1, -1)) end",
		"local s = ('x'):rep(1000000) while true do local t = s .. s end",
		"local s = ('x'):rep(1000000) while true do local t = s:upper() end",
		"local s = ('x'):rep(1000000) while true do s:byte(#s) s:find('y', 1, true) end",
		"local t = {} for i = 1, 100000 do t[i] = i end while true do table.insert(t, 1, 0) end",
		"local t = {} for i = 1, 10000 do t[i] = '' end while true do table.concat(t) end",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		assert_code_breaks(r, codes[i], ENDED);
}

static void the_meter_is_of_the_delivery_and_not_of_a_turn(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "slow", "", "while true do for i = 1, 800000 do end remote.get('https://a.example/') end");
	bh_script *s = begin(r, "slow", SETTINGS);
	bh_script_turn turn = resume(r, s, NULL, &call);
	int turns = 1;
	for (; turn == BH_SCRIPT_CALLS; turns++)
		turn = answer_with(r, s, 200, "", "", &call);
	g_assert_cmpint(turn, ==, BH_SCRIPT_BROKE);
	g_assert_cmpint(turns, <, 8);
	g_assert_cmpstr(bh_script_trouble(s), ==,
			"slow.lua:5: the script used up its instructions; does it loop for ever?");
	bh_script_free(s);
}

static void an_empty_text_can_be_repeated_for_ever(rig *r, gconstpointer unused)
{
	assert_evaluates(r, "#(''):rep(1 << 62)", "0");
	assert_evaluates(r, "#('x'):rep(-5)", "0");
	assert_evaluates(r, "('ab'):rep(3, ',')", "ab,ab,ab");
}

/* What one instruction cannot be charged for is ended by the clock. */
static void slow_instructions_are_ended_by_the_clock(rig *r, gconstpointer unused)
{
	assert_code_breaks(r,
			   "local a = ('x'):rep(3000000) local b = ('x'):rep(3000000)\n"
			   "local n = 0 while true do if a == b then n = n + 1 end end",
			   "bad.lua:6: the script computed for too long");
}

static void a_script_that_needs_too_much_memory_is_ended(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"local t = {} for i = 1, 1e7 do t[i] = { i, i, i, i, i, i, i, i } end",
		"local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
		"local s = 'x' while true do s = s .. s end",
		"local t = ('x'):rep(1 << 30)",
		"local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1000000) .. #t end) end",
		"pcall(function() local t = ('x'):rep(1 << 30) end) return remote.delivered()",
		"local t = ('x'):rep(1000):gsub('x', ('y'):rep(20000))",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		assert_code_breaks(r, codes[i], "bad.lua:5: the script needs too much memory; it may have 16384 KiB");
	assert_code_breaks(r, "local t = ('x'):rep(1 << 62, 'y')", "bad.lua:5: resulting string too large");
}

static void garbage_is_no_need(rig *r, gconstpointer unused)
{
	assert_evaluates(
		r, "(function() local n = 0 for i = 1, 36 do n = n + #(('x'):rep(500000) .. i) end return n end)()",
		"18000063");
}

static void a_pattern_that_never_ends_is_ended(rig *r, gconstpointer unused)
{
	static const char *const codes[] = {
		"local s = ('a'):rep(2000) s:find(('a-'):rep(20) .. 'b')",
		"local s = ('a'):rep(2000) s:match(('.*'):rep(10) .. 'b')",
		"local s = ('a'):rep(100000) pcall(s.gsub, s, '.-.-.-b', '')",
		"for k in (('a'):rep(5000)):gmatch(('a*'):rep(5) .. 'b') do end",
		"while true do pcall(string.rep('(', 300000).match, '(((', '()') end",
		"local s = ('('):rep(100000) while true do s:match('%b()') end",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		assert_code_breaks(r, codes[i], ENDED);
}

static void deep_recursion_is_an_error(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "deep", "", "local function f(n) return 1 + f(n + 1) end f(1)");
	bh_script *s = begin(r, "deep", SETTINGS);
	g_assert_cmpint(resume(r, s, NULL, &call), ==, BH_SCRIPT_BROKE);
	bh_script_free(s);

	assert_code_breaks(r, "local function f(n) return ('x'):gsub('x', function() f(n + 1) end) end f(1)",
			   "C stack overflow");
	assert_code_breaks(r, "local function f(n) pcall(f, n + 1) end f(1) return 17", "bad.lua:");
	assert_code_breaks(r,
			   "local t = {} t[1] = t return (('x'):rep(250, '(')):match(('('):rep(30) .. ('.?'):rep(250))",
			   "pattern too complex");
	assert_host_is_well(r);
}

/* --- Walls ------------------------------------------------------------------------------------- */

static void only_what_computes_is_there(rig *r, gconstpointer unused)
{
	static const char *const names[] = {
		"load",      "loadstring", "loadfile",     "dofile",       "require",  "package",       "io", "os",
		"debug",     "print",      "rawset",       "rawget",       "rawequal", "rawlen",        "_G", "xpcall",
		"coroutine", "utf8",       "setmetatable", "getmetatable", "warn",     "collectgarbage"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *code = g_strdup_printf("local x = %s", names[i]);
		g_autofree char *expected = g_strdup_printf("bad.lua:5: a method has no '%s'", names[i]);
		assert_code_breaks(r, code, expected);
	}
	assert_evaluates(r, "string.dump", "nil");
	assert_evaluates(r, "string.pack", "nil");
	assert_evaluates(r, "math.random", "nil");
	assert_evaluates(r, "math.randomseed", "nil");
	assert_evaluates(r, "('').dump", "nil");
}

static void nothing_tells_where_memory_lies(rig *r, gconstpointer unused)
{
	assert_evaluates(r, "tostring({})", "table");
	assert_evaluates(r, "tostring(tostring)", "function");
	assert_evaluates(r, "tostring(remote.delivered())", "userdata");
	assert_evaluates(r, "('%s %d%%'):format({}, 5)", "table 5%");
	assert_code_breaks(r, "string.format('%p', {})", "'%p' is not available");
	assert_code_breaks(r, "string.format('%% %-10p', {})", "'%p' is not available");
}

static void nothing_leaks_from_run_to_run(rig *r, gconstpointer unused)
{
	static const char *const refused[] = {
		"seen = 1",
		"string.rep = nil",
		"string.leak = 1",
		"table.insert(math, 1)",
		"math.pi = 3",
		"settings.leak = 1",
		"settings.url = 'https://evil.example/'",
		"table.insert(settings, 1)",
		"remote.leak = 1",
		"('').leak = 1",
		"local s = 'x' s.leak = 1",
	};
	for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
		assert_code_breaks(r, refused[i], "bad.lua:5: ");

	/* pairs of a view hands out no table that could be written to. */
	assert_evaluates(r, "(function() local f, s = pairs(string) return tostring(f) .. tostring(s) end)()",
			 "functionnil");
	assert_evaluates(r, "next(settings)", "nil");

	/* The event is the run's own. */
	write_deliver(r, "own", "", "local was = event.body event.body = 'changed' return remote.delivered(was)");
	for (int i = 0; i < 2; i++) {
		g_autofree char *note = note_of(r, "own", SETTINGS);
		g_assert_cmpstr(note, ==, "{\"n\":1.50}");
	}
}

/* Nothing in here has a finalizer, and nothing can get one. */
static void nothing_runs_behind_a_script(rig *r, gconstpointer unused)
{
	assert_code_breaks(r, "local x <close> = {}", "bad.lua:5: variable 'x' got a non-closable value");
	assert_code_breaks(r, "local x <close> = remote.delivered()",
			   "bad.lua:5: variable 'x' got a non-closable value");
	assert_code_breaks(r, "while true do pcall(function() local x <close> = settings end) end", ENDED);
	assert_code_breaks(r, "for k in next, {}, nil, {} do end",
			   "bad.lua:5: variable '(for state)' got a non-closable value");
	assert_evaluates(r, "(function() local x <close> = nil local y <const> = 5 return y end)()", "5");
	assert_evaluates(r, "pcall(error, ('x'):rep(10))", "false");
}

static void locals_of_a_file_are_fresh_in_each_run(rig *r, gconstpointer unused)
{
	write_deliver(r, "count", "local n, t = 0, {}",
		      "n = n + 1 t[#t + 1] = n return remote.delivered(n .. ' ' .. #t)");
	for (int i = 0; i < 3; i++) {
		g_autofree char *note = note_of(r, "count", SETTINGS);
		g_assert_cmpstr(note, ==, "1 1");
	}

	/* And while another run waits. */
	bh_request call;
	write_deliver(r, "wait", "local mine",
		      "mine = event.id remote.get('https://a.example/') local was = mine\n"
		      "mine = 'other' return remote.delivered(was)");
	bh_script *a = begin(r, "wait", SETTINGS), *b = begin(r, "wait", SETTINGS);
	assert_call(r, a, NULL, "GET", "https://a.example/", &call);
	assert_call(r, b, NULL, "GET", "https://a.example/", &call);
	assert_judged(b, answer_with(r, b, 200, "", "", &call), BH_JUDGED_DELIVERED, "evt_04f2k8m1q7zr0");
	assert_judged(a, answer_with(r, a, 200, "", "", &call), BH_JUDGED_DELIVERED, "evt_04f2k8m1q7zr0");
	bh_script_free(a);
	bh_script_free(b);
}

static void a_file_that_changes_its_mind_is_an_error(rig *r, gconstpointer unused)
{
	/* Nothing in a file can tell a delivery from loading; but what it returns is checked each time. */
	write_method(r, "odd",
		     "local t = { title = 'T', fields = {} }\n"
		     "t.deliver = function(event, settings, remote) t.deliver = 17 return remote.delivered() end\n"
		     "return t");
	g_assert_cmpuint(reload(r), ==, 0);
	for (int i = 0; i < 2; i++)
		g_free(note_of(r, "odd", "{}"));
}

static void a_bad_run_hurts_no_other(rig *r, gconstpointer unused)
{
	static const char *const bombs[] = {
		"while true do pcall(error) end",
		"local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
		"('a'):rep(2000):find(('a-'):rep(20) .. 'b')",
		"local function f() return 1 + f() end f()",
		"error('x')",
	};
	bh_script *good[8];
	bh_request call[8];

	write_deliver(r, "good", "local prefix = 'got '",
		      "local a = remote.post(settings.url, { body = event.body .. event.id })\n"
		      "return remote.delivered(prefix .. a.body)");
	for (size_t i = 0; i < G_N_ELEMENTS(bombs); i++) {
		g_autofree char *name = g_strdup_printf("bomb%zu", i);
		write_deliver(r, name, "", bombs[i]);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		good[i] = begin(r, "good", SETTINGS);
		assert_call(r, good[i], NULL, "POST", "https://a.example/hook?a=1&b=2", &call[i]);
		g_autofree char *name = g_strdup_printf("bomb%zu", i % G_N_ELEMENTS(bombs));
		assert_breaks(r, name, SETTINGS, ".lua:5: ");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		g_assert_true(bh_span_is(call[i].body, "{\"n\":1.50}evt_04f2k8m1q7zr0"));
		assert_judged(good[i], answer_with(r, good[i], 200, "", "it", &call[i]), BH_JUDGED_DELIVERED, "got it");
		bh_script_free(good[i]);
	}
}

/* Waiting runs hold much; the next may still do its work, but not hold as much again. */
static void runs_that_wait_do_not_fill_the_house(rig *r, gconstpointer unused)
{
	bh_script *hogs[24];
	bh_request call;

	write_deliver(r, "hog", "",
		      "local t = {} for i = 1, 120 do t[i] = ('x'):rep(100000) .. i end\n"
		      "remote.get('https://a.example/') return remote.delivered(t[120]:sub(-3))");
	guint waiting = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(hogs); i++) {
		hogs[i] = begin(r, "hog", SETTINGS);
		waiting += resume(r, hogs[i], NULL, &call) == BH_SCRIPT_CALLS;
	}
	g_assert_cmpuint(waiting, >=, 4);
	g_assert_cmpuint(waiting, <, G_N_ELEMENTS(hogs));
	assert_host_is_well(r);
	for (size_t i = 0; i < G_N_ELEMENTS(hogs); i++)
		bh_script_free(hogs[i]);
	bh_script *again = begin(r, "hog", SETTINGS);
	g_assert_cmpint(resume(r, again, NULL, &call), ==, BH_SCRIPT_CALLS);
	bh_script_free(again);
}

static void a_run_can_be_given_up_at_any_point(rig *r, gconstpointer unused)
{
	bh_request call;
	write_deliver(r, "two", "", "remote.get('https://a.example/') remote.get('https://a.example/') error('x')");

	for (int turns = 0; turns < 4; turns++) {
		bh_script *s = begin(r, "two", SETTINGS);
		for (int i = 0; i < turns; i++)
			(void)(i ? answer_with(r, s, 200, "", "", &call) : resume(r, s, NULL, &call));
		bh_script_free(s);
	}
	bh_script_free(NULL);
	assert_host_is_well(r);
}

#define ADD(name) g_test_add("/sandbox/" #name, rig, NULL, set_up, name, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(a_script_that_never_ends_is_ended);
	ADD(the_meter_is_of_the_delivery_and_not_of_a_turn);
	ADD(an_empty_text_can_be_repeated_for_ever);
	ADD(slow_instructions_are_ended_by_the_clock);
	ADD(a_script_that_needs_too_much_memory_is_ended);
	ADD(garbage_is_no_need);
	ADD(a_pattern_that_never_ends_is_ended);
	ADD(deep_recursion_is_an_error);
	ADD(only_what_computes_is_there);
	ADD(nothing_tells_where_memory_lies);
	ADD(nothing_leaks_from_run_to_run);
	ADD(nothing_runs_behind_a_script);
	ADD(locals_of_a_file_are_fresh_in_each_run);
	ADD(a_file_that_changes_its_mind_is_an_error);
	ADD(a_bad_run_hurts_no_other);
	ADD(runs_that_wait_do_not_fill_the_house);
	ADD(a_run_can_be_given_up_at_any_point);
	return g_test_run();
}
