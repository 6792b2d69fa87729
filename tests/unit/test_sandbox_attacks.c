/*
 * What strangers' scripts try. One row is one attack: it runs as the `deliver` of a method and as the `transform` of a webhook's own
 * script, and has to end as the row says. After each the host serves another run, and has its memory back.
 */
#include "script_house.h"

#define MEMORY_KEPT (2 * 1024 * 1024) /* what may lie there until it is worth collecting */

typedef struct attack {
	const char *name, *code;
	const char *end; /* "= text": it returns that; else a part of the trouble */
} attack;

#define STEPS "the script used up its instructions"
#define MEMORY "the script needs too much memory"
#define TIME "the script computed for too long"

static const attack ENDLESS[] = {
	{"a loop", "while true do end", STEPS},
	{"a loop of gotos", "::again:: goto again", STEPS},
	{"a loop that repeats", "repeat local x = 1 until not x", STEPS},
	{"a loop over numbers", "for i = 1, math.maxinteger do end", STEPS},
	{"pcall in a loop", "while true do pcall(error) end", STEPS},
	{"a loop in pcall", "pcall(function() while true do end end) return 'caught'", STEPS},
	{"a loop in pcall in a loop", "while true do pcall(function() while true do end end) end", STEPS},
	{"pcall of pcall of a loop", "pcall(pcall, pcall, function() while true do end end) return 'caught'", STEPS},
	{"pcalls that call themselves twice", "local function f() pcall(f) pcall(f) end f() return 'done'", STEPS},
	{"errors in a loop", "while true do pcall(error, {}) pcall(error, ('x'):rep(100)) end", STEPS},
	{"tail calls for ever", "local function f() return f() end return f()", STEPS},
	{"an iterator without end", "for x in function() return 1 end do end", STEPS},
	{"gmatch of nothing", "while true do for x in ('abc'):gmatch('') do end end", STEPS},
	{"decoding in a loop", "while true do json.decode('[1,2,3]') end", STEPS},
	{"encoding in a loop", "while true do json.encode{ 1, 2, 3 } end", STEPS},
	{"looking at the event in a loop", "while true do local x = event.nothing end", STEPS},
	{"walking the event in a loop", "while true do for k, v in pairs(event) do end end", STEPS},
	{"concatenating in a loop", "local s = '' while true do s = 'x' .. #s end", STEPS},
	{"closures in a loop", "local f while true do f = function() return f end end", STEPS},
	{"garbage in a loop", "while true do local t = { {}, {}, {} } end", STEPS},
};

static const attack PATTERNS[] = {
	{"a pattern that tries everything", "return (('a'):rep(30)):find(('a?'):rep(30) .. ('a'):rep(30) .. 'b')",
	 STEPS},
	{"many shortest matches", "return (('x'):rep(50000)):find(('.-'):rep(30) .. 'y')", "the script"},
	{"a shortest match at each place", "return (('a'):rep(200000)):gsub('.-b', '')", "the script"},
	{"brackets that never close", "return (('('):rep(100000)):gsub('%b()', '')", "the script"},
	{"a frontier over a long set", "return (('x'):rep(100000)):find('%f[' .. ('y'):rep(100000) .. ']')",
	 "the script"},
	{"a set in a set", "return (('x'):rep(100000)):find(('[' .. ('y'):rep(50000) .. ']*'):rep(20))", "the script"},
	{"captures that repeat", "return (('x'):rep(20000)):find('(.*)(.*)(.*)%1%2%3y')", "the script"},
	{"more captures than there are", "return ('x'):find(('()'):rep(33))", "too many captures"},
	{"a capture of itself", "return ('x'):find('(%1)')", "invalid capture index"},
	{"a pattern that ends early", "return ('x'):find('[a')", "malformed pattern"},
	{"a pattern that ends in %", "return ('x'):find('x%')", "malformed pattern"},
	{"%b without its two", "return ('x'):find('%bx')", "missing arguments"},
	{"choices within choices", "return (('x'):rep(300)):find(('x?'):rep(300))", "pattern too complex"},
	{"a captured end", "return ('x'):gsub('x', '%2')", "invalid capture index"},
	{"a replacement that grows", "return (('x'):rep(100000)):gsub('x', ('y'):rep(100000))", "the script"},
	{"replacing what was replaced", "local s = 'x' while true do s = s:gsub('x', 'xx') end", "the script"},
	{"gsub with an endless callback", "return ('x'):gsub('x', function() while true do end end)", "the script"},
	{"gsub within gsub", "local function f(s) return (s:gsub('.', f)) end return f('x')", "C stack overflow"},
	{"gsub of a million", "return (('x'):rep(1000000)):gsub('x', function(c) return c:rep(2):sub(1, 1) end)",
	 "the script"},
	{"gsub with a table that is none", "return ('x'):gsub('x', json)", "= x"},
	{"a start far away",
	 "return tostring(('x'):find('x', math.maxinteger)) .. tostring(('x'):find('', math.mininteger))", "= nil1"},
};

static const attack MEMORIES[] = {
	{"rep of a billion", "return #('x'):rep(1000000000)", MEMORY},
	{"rep that overflows", "return #('xx'):rep(math.maxinteger)", "resulting string too large"},
	{"rep that overflows by its gap", "return #('x'):rep(math.maxinteger // 2 + 2, 'y')",
	 "resulting string too large"},
	{"rep of nothing for ever", "return ('').rep('', math.maxinteger, '')", "= "},
	{"rep a negative number of times", "return ('x'):rep(math.mininteger)", "= "},
	{"a text that doubles", "local s = 'x' while true do s = s .. s end", MEMORY},
	{"a text that doubles in pcall",
	 "local s = 'x' pcall(function() while true do s = s .. s end end) return 'caught'", MEMORY},
	{"a list without end", "local t = {} while true do t[#t + 1] = #t end", MEMORY},
	{"tables within tables", "local t = {} while true do t = { t, {}, {}, {} } end", MEMORY},
	{"concat of a hundred long texts",
	 "local t = {} for i = 1, 100 do t[i] = ('x'):rep(100000) end return #table.concat(t)", MEMORY},
	{"concat of one text a thousand times",
	 "local s, t = ('x'):rep(100000), {} for i = 1, 1000 do t[i] = s end "
	 "return #table.concat(t, s)",
	 MEMORY},
	{"concat of a range without end", "return table.concat({}, '', 1, math.maxinteger)", "the script"},
	{"concat of all numbers", "return table.concat({}, '', math.mininteger, math.maxinteger)", "the script"},
	{"unpack of a range without end", "return select('#', table.unpack({}, 1, math.maxinteger))", "the script"},
	{"unpack of a million", "return tostring(select('#', table.unpack({}, 1, 1000000)))", "the script"},
	{"unpack from the least number", "return select('#', table.unpack({}, math.mininteger, 0))", "the script"},
	{"move of a range without end", "table.move({}, 1, math.maxinteger - 1, 2)", "the script"},
	{"insert far away", "table.insert({}, math.maxinteger, 1)", "position out of bounds"},
	{"many arguments", "local t = {} for i = 1, 250 do t[i] = 'x' end return #string.char(table.unpack(t))",
	 "number expected, got string"},
	{"a hundred thousand bytes on the stack", "return tostring(select('#', ('x'):rep(100000):byte(1, -1)))",
	 "= 100000"},
	{"a million bytes on the stack", "return tostring(select('#', ('x'):rep(1000000):byte(1, -1)))",
	 "string slice too long"},
	{"a format of many texts",
	 "local s = ('x'):rep(100000) return #(('%s'):rep(60)):format(table.unpack((function() local t = "
	 "{} for i = 1, 60 do t[i] = s end return t end)()))",
	 MEMORY},
	{"a format that quotes zeros", "return #('%q'):format(('\\0'):rep(2000000))", "the script"},
	{"a format that is too wide", "return ('%99999d'):format(1)", "invalid conversion"},
	{"a format with the widest float", "return tostring(#('%.99f'):format(1e308))", "= 409"},
	{"a list in JSON in a list", "local t = {} for i = 1, 60 do t = { t, t } end return json.encode(t)",
	 "the script"},
	{"long names in JSON",
	 "local t = {} for i = 1, 60 do t[('x'):rep(60000) .. i] = i end "
	 "while true do json.encode(t) end",
	 "the script"},
	{"one long text in JSON, again and again",
	 "local t, s = {}, ('\\1'):rep(100000) for i = 1, 1000 do t[i] = s end "
	 "return json.encode(t)",
	 MEMORY},
	{"JSON of a million brackets", "return select(2, json.decode(('['):rep(1000000)))",
	 "= nested deeper than 64 levels (line 1, column 65)"},
	{"JSON of a hundred thousand objects", "return select(2, json.decode(('{\"a\":'):rep(100000)))",
	 "= nested deeper than 64 levels (line 1, column 321)"},
	{"JSON of half a million numbers", "return #json.decode('[' .. ('1,'):rep(500000) .. '1]')", "the script"},
	{"a form without end",
	 "local t, s = {}, ('\\1'):rep(100000) for i = 1, 100 do t[i] = s end return url.form{ a = t }", MEMORY},
	{"base64 of itself", "local s = 'x' while true do s = base64.encode(s) end", MEMORY},
	{"an error as long as the memory", "error(('x'):rep(4000000))", "xxxxxxxx"},
};

static const attack STACKS[] = {
	{"recursion", "local function f(n) return 1 + f(n) end return f(1)", "the script"},
	{"recursion in pcall", "local function f() return (pcall(f)) end return tostring(f())", "= true"},
	{"sort within sort", "local function f(a, b) table.sort({ 2, 1 }, f) return a < b end table.sort({ 2, 1 }, f)",
	 "C stack overflow"},
	{"pcall, gsub and sort by turns",
	 "local function f(n) if n == 0 then return 'deep' end local r pcall(function() ('x'):gsub('x', function() "
	 "table.sort({ 2, 1 }, function(a, b) r = f(n - 1) return a < b end) end) end) return r or 'refused' end return f(200)",
	 "= refused"},
	{"tostring of what holds itself", "local t = {} t[1] = t return tostring(t)", "= table"},
	{"JSON of what holds itself", "local t = {} t.a = t return json.encode(t)", "a is a table that it lies in"},
	{"JSON of what is deep", "local t = {} for i = 1, 100000 do t = { t } end return json.encode(t)",
	 "nested deeper than 64 levels"},
	{"freeing what is deep", "local t = {} for i = 1, 100000 do t = { t } end t = nil return 'done'", "= done"},
	{"iterators within iterators", "local function f(n) for k in pairs({ n }) do f(n + 1) end end f(1)",
	 "the script"},
};

static const attack ORDERS[] = {
	{"an order that is always true",
	 "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() return true end) "
	 "return 'sorted'",
	 "invalid order function"},
	{"an order by chance",
	 "local n, t = 1, {} for i = 1, 1000 do t[i] = i end pcall(table.sort, t, function() n = n * 75 % 65537 "
	 "return n % 2 == 0 end) return 'ended'",
	 "= ended"},
	{"an order that never ends", "table.sort({ 2, 1 }, function() while true do end end)", "the script"},
	{"an order that is an error", "table.sort({ 2, 1 }, function() error('no order') end)", "no order"},
	{"an order that adds",
	 "local t = { 3, 2, 1 } table.sort(t, function(a, b) t[#t + 1] = 1 return a < b end) return 'sorted'",
	 "= sorted"},
	{"an order that empties",
	 "local t = {} for i = 1, 100 do t[i] = i end pcall(table.sort, t, function(a, b) for i = 1, 100 do "
	 "t[i] = nil end return false end) return 'ended'",
	 "= ended"},
	{"an order written in C", "table.sort({ 2, 1 }, math.max)", "a function written in the script expected"},
	{"an order of the pattern matcher", "table.sort({ 'a', 'b' }, string.find)",
	 "a function written in the script expected"},
	{"an order of what has none", "table.sort({ {}, {} })", "attempt to compare two table values"},
	{"sorting a view", "table.sort(math)", "= nil"},
	{"sorting for ever",
	 "local t = {} for i = 1, 2000 do t[i] = (i * 7919) % 2003 end while true do table.sort(t, function(a, b) "
	 "return a > b end) table.sort(t) end",
	 STEPS},
	{"sorting more than there is", "table.sort({ [1] = 1, [2] = 2, [3] = {} })", "attempt to compare"},
};

static const attack REACHES[] = {
	{"_G", "return _G", "a method has no '_G'"},
	{"load", "return load('return 1')", "a method has no 'load'"},
	{"require", "require 'os'", "a method has no 'require'"},
	{"os", "os.exit(1)", "a method has no 'os'"},
	{"io", "io.open('/etc/passwd')", "a method has no 'io'"},
	{"debug", "debug.getregistry()", "a method has no 'debug'"},
	{"coroutine", "coroutine.wrap(function() end)", "a method has no 'coroutine'"},
	{"collectgarbage", "collectgarbage()", "a method has no 'collectgarbage'"},
	{"getmetatable", "return getmetatable('')", "a method has no 'getmetatable'"},
	{"setmetatable", "return setmetatable({}, {})", "a method has no 'setmetatable'"},
	{"rawset", "rawset(string, 'rep', 1)", "a method has no 'rawset'"},
	{"rawget", "rawget(string, 'rep')", "a method has no 'rawget'"},
	{"print", "print('x')", "a method has no 'print'"},
	{"dump", "return string.dump(function() end)", "attempt to call a nil value (field 'dump')"},
	{"pack", "return string.pack('i', 1)", "attempt to call a nil value (field 'pack')"},
	{"chance", "return math.random()", "attempt to call a nil value (field 'random')"},
	{"a method of a text", "return ('x'):dump()", "attempt to call a nil value (method 'dump')"},
	{"a member of all texts", "local s = 'x' s.mark = 1", "attempt to index a string value"},
	{"a new global", "mark = 1", "'mark' must be declared with local"},
	{"a global of the engine", "pcall = nil", "'pcall' must be declared with local"},
	{"a function of string", "string.rep = nil", "cannot set 'rep': this table is read-only"},
	{"insert into string", "table.insert(string, 1)", "this table is read-only"},
	{"move into math", "table.move({ 1 }, 1, 1, 1, math)", "this table is read-only"},
	{"remove from table", "table.remove(table)", "this table is read-only"},
	{"mark a view as a list", "json.array(string)", "a table made by the script expected"},
	{"mark the event as a list", "json.array(event)", "a table made by the script expected"},
	{"mark the settings as a list", "json.array(settings)", "a table made by the script expected"},
	{"the settings", "settings.url = 'https://b.example/'", "this table is read-only"},
	{"next of a view", "return tostring(next(string))", "= nil"},
	{"the iterator of a view on another table",
	 "local f = pairs(string) return tostring(f({ mark = 1 }) ~= 'mark')", "= true"},
	{"the iterator of the event on a view", "local f = pairs(event) return tostring((f(string)))", "= nil"},
	{"a table's address", "return tostring({}) .. tostring(print and 1)", "a method has no 'print'"},
	{"a function's address", "return ('%s'):format(tostring) .. tostring(event)", "= functiontable"},
	{"an address by its own letter", "return ('%p'):format({})", "'%p' is not available"},
	{"an address by a hidden letter", "return ('%-20p'):format({})", "'%p' is not available"},
	{"a variable that closes", "local x <close> = {} return 'x'", "variable 'x' got a non-closable value"},
	{"null that closes", "local x <close> = json.null return 'x'", "variable 'x' got a non-closable value"},
	{"a loop that closes", "for k in next, {}, nil, {} do end", "got a non-closable value"},
	{"a finalizer",
	 "local t = { __gc = function() error('x') end, __close = 1, __index = 2 } return json.encode(json.array{})",
	 "= []"},
	{"an event of a table", "local t = { __index = function() return 1 end, __call = tostring } return t()",
	 "attempt to call a table value"},
};

static const attack ERRORS[] = {
	{"a table", "error({ code = 1 })", "error() was called with a table"},
	{"nothing", "error()", "error() was called with a nil"},
	{"a function", "error(tostring)", "error() was called with a function"},
	{"null", "error(json.null)", "error() was called with a userdata"},
	{"a number", "error(42)", "error() was called with a number"},
	{"a text that says memory", "error('not enough memory', 0)", MEMORY},
	{"bytes", "error('\\xff\\0\\27[31m\\n')", "\xef\xbf\xbd"},
	{"a place that is elsewhere", "error('other.lua:1: x', 0)", "other.lua:1: x"},
	{"an error far up", "error('x', 1000000)", "x"},
	{"an error of a caught end", "local ok, why = pcall(function() while true do end end) error(why)", STEPS},
	{"an assertion of a table", "assert(false, {})", "error() was called with a table"},
	{"nil called", "local x x()", "attempt to call a nil value (local 'x')"},
};

static const attack NUMBERS[] = {
	{"a division by zero", "return 1 // 0", "attempt to "},
	{"the least number divided", "return tostring(math.mininteger // -1) .. tostring(math.mininteger % -1)",
	 "= -92233720368547758080"},
	{"a shift beyond all", "return tostring(1 << 64) .. tostring(1 << -64) .. tostring(1 >> math.mininteger)",
	 "= 000"},
	{"a loop to the last number",
	 "local n = 0 for i = math.maxinteger - 1, math.maxinteger do n = n + 1 end return tostring(n)", "= 2"},
	{"a loop by the least step", "for i = 1, 2, 0 do end", "'for' step is zero"},
	{"a text of a million digits", "return tostring(tonumber(('9'):rep(1000000)))", "= inf"},
	{"a million hexadecimal digits", "return tostring(tonumber('0x' .. ('f'):rep(1000000)))", "= -1"},
	{"numbers of long texts, for ever", "local s = ('9'):rep(1000000) while true do tonumber(s) end", "the script"},
	{"sums of long texts, for ever", "local s = ('9'):rep(1000000) while true do local x = s + 1 end",
	 "the script"},
	{"long texts as numbers, for ever", "local s = ('9'):rep(1000000) while true do math.floor(s) end",
	 "the script"},
	{"long texts as places, for ever",
	 "local s = ('9'):rep(1000000) while true do pcall(string.sub, 'x', 1, s) end", "the script"},
	{"long texts as bits, for ever",
	 "local s = ('9'):rep(1000000) while true do pcall(function() return s | 1 end) end", "the script"},
	{"long texts compared, for ever",
	 "local a, b = ('x'):rep(4000000), ('x'):rep(3999999) .. 'y' while true do local x = a < b end", "the script"},
	{"long texts found equal, for ever",
	 "local a, b = ('x'):rep(4000000), ('x'):rep(3999999) .. 'x' while true do local x = a == b "
	 "end",
	 "the script"},
	{"an emptied table walked, for ever",
	 "local t = {} for i = 1, 100000 do t['k' .. i] = 1 end for k in pairs(t) do t[k] = nil "
	 "end while true do next(t) end",
	 "the script"},
	{"an emptied table as JSON, for ever",
	 "local t = {} for i = 1, 60000 do t['k' .. i] = 1 end for k in pairs(t) do t[k] = nil "
	 "end local u = {} for i = 1, 50000 do u[i] = t end while true do json.encode(u) end",
	 "the script"},
	{"keys that collide", "local t = {} for i = 1, 1000000 do t[i * 65535 * 3] = 1 end return 'done'",
	 "the script"},
	{"long keys that are alike",
	 "local t, s = {}, ('x'):rep(10000) for i = 1, 100 do t[s .. i] = i end local n = 0 "
	 "for i = 1, 100 do n = n + t[s .. i] end return tostring(n)",
	 "= 5050"},
	{"an exponent without end", "return #json.encode(json.decode('[1e' .. ('9'):rep(100000) .. ']'))", "= 100004"},
};

/* --- Running them ------------------------------------------------------------------------------ */

static void set_up(house *h, gconstpointer unused)
{
	house_set_up(h, NULL);
	h->data = "{\"contract_uid\":41}";
	house_write_deliver(h, "echo", "", "return remote.delivered(event.body)");
}

/* Which of its limits ends a script first is no promise: a build with sanitizers runs out of time where others count. */
static bool ends_as(const attack *a, const ending *e)
{
	bool limit = g_str_has_prefix(a->end, "the script");

	if (g_str_has_prefix(a->end, "= "))
		return e->turn == BH_SCRIPT_RETURNED && g_strcmp0(e->text, a->end + 2) == 0;
	return e->turn == BH_SCRIPT_BROKE && strstr(e->text, limit ? "the script " : a->end);
}

static void assert_ends(const house *h, const attack *a, const char *stage, const ending *e)
{
	if (!ends_as(a, e))
		g_error("%s in %s: ended with %s", a->name, stage, e->text ? e->text : "nothing");
	g_assert_null(strstr(e->text ? e->text : "", HOUSE_PASSWORD));
	if (bh_script_host_memory(h->host) > MEMORY_KEPT)
		g_error("%s in %s: %zu bytes are left", a->name, stage, bh_script_host_memory(h->host));
}

static void assert_well(house *h, const attack *a)
{
	g_auto(ending) e =
		house_run(h, "echo",
			  "return { transform = function(event)\n"
			  "  if ('x'):rep(2) ~= 'xx' or math.mark or json.encode{} ~= '{}' then error('marked') end\n"
			  "  return json.encode(event.data) end }");

	if (e.turn != BH_SCRIPT_RETURNED || g_strcmp0(e.text, "{\"contract_uid\":41}") != 0)
		g_error("after %s: %s", a->name, e.text);
}

static void attack_deliver(house *h, const attack *a)
{
	g_autofree char *code = g_strdup_printf(
		"local result = (function() %s end)() return remote.delivered(tostring(result))", a->code);

	house_write_deliver(h, "bad", "", code);
	g_auto(ending) e = house_run(h, "bad", NULL);
	assert_ends(h, a, "deliver", &e);
}

static void attack_transform(house *h, const attack *a)
{
	g_autofree char *script = g_strdup_printf("return { transform = function(event, settings)\n"
						  "local result = (function() %s end)() return tostring(result) end }",
						  a->code);
	g_auto(ending) e = house_run(h, "echo", script);

	assert_ends(h, a, "transform", &e);
}

static void attack_all(house *h, const attack *attacks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		attack_deliver(h, &attacks[i]);
		assert_well(h, &attacks[i]);
		attack_transform(h, &attacks[i]);
		assert_well(h, &attacks[i]);
	}
}

#define TEST(name, attacks) \
	static void name(house *h, gconstpointer unused) \
	{ \
		attack_all(h, attacks, G_N_ELEMENTS(attacks)); \
	}
TEST(what_never_ends_is_ended, ENDLESS)
TEST(patterns_cost_what_they_search, PATTERNS)
TEST(memory_has_a_bound, MEMORIES)
TEST(stacks_have_a_bound, STACKS)
TEST(hostile_orders_end, ORDERS)
TEST(nothing_is_in_reach_but_what_is_listed, REACHES)
TEST(every_kind_of_error_is_told, ERRORS)
TEST(numbers_and_long_texts_cost_what_they_take, NUMBERS)

static void a_body_has_a_bound(house *h, gconstpointer unused)
{
	g_auto(ending) e = house_run(h, "echo", "return { transform = function() return ('x'):rep(1048577) end }");

	g_assert_cmpint(e.turn, ==, BH_SCRIPT_BROKE);
	g_assert_nonnull(strstr(e.text, "more than 1048576 bytes"));
}

/* Neither as a file nor as a webhook's script: bytecode is not checked when it runs, and could do anything. */
static void bytecode_is_no_script(house *h, gconstpointer unused)
{
	static const char code[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n";
	g_autofree char *why = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(house_write(h, "bytes", code, sizeof code - 1, &why));
	g_assert_nonnull(strstr(why, "bytes.lua"));
	g_assert_false(bh_script_check((bh_span){code, sizeof code - 1}, &error));
	g_assert_error(error, BH_ERROR, BH_ERROR_INVALID);
}

#define ADD(name) g_test_add("/sandbox_attacks/" #name, house, NULL, set_up, name, house_tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);

	ADD(what_never_ends_is_ended);
	ADD(patterns_cost_what_they_search);
	ADD(memory_has_a_bound);
	ADD(stacks_have_a_bound);
	ADD(hostile_orders_end);
	ADD(nothing_is_in_reach_but_what_is_listed);
	ADD(every_kind_of_error_is_told);
	ADD(numbers_and_long_texts_cost_what_they_take);
	ADD(a_body_has_a_bound);
	ADD(bytecode_is_no_script);
	return g_test_run();
}
