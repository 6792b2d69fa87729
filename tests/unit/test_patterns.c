/* Our string patterns against Lua's own: what a script gets must be what the manual says. */
#include "base/chance.h"
#include "method/sandbox.h"

#include <glib.h>
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

typedef struct pair {
	bh_sandbox ours;
	lua_State *theirs;
} pair;

static void set_up(pair *p, gconstpointer unused)
{
	bh_sandbox_init(&p->ours, 16 * 1024 * 1024);
	p->theirs = luaL_newstate();
	luaL_openlibs(p->theirs);
}

static void tear_down(pair *p, gconstpointer unused)
{
	bh_sandbox_clear(&p->ours);
	lua_close(p->theirs);
}

/* What `code` returns, or the error, as one text. */
static char *result_of(lua_State *thread, int status, int results)
{
	GString *text = g_string_new(status == LUA_OK ? "" : "error: ");
	for (int i = lua_gettop(thread) - results + 1; i <= lua_gettop(thread); i++) {
		size_t size;
		const char *value = luaL_tolstring(thread, i, &size);
		g_string_append_printf(text, "%s(", luaL_typename(thread, i));
		for (size_t k = 0; k < size; k++)
			g_string_append_printf(text, "%c", value[k] ? value[k] : '~');
		g_string_append(text, ") ");
		lua_pop(thread, 1);
	}
	return g_string_free(text, FALSE);
}

static char *run_ours(pair *p, const char *code, size_t size)
{
	bh_meter meter = {.steps = 5000000, .memory = 16 * 1024 * 1024, .time = 100 * BH_SECOND};
	int anchor, results = 0;
	lua_State *thread = bh_sandbox_thread(&p->ours, &anchor);

	g_assert_true(bh_sandbox_compile(&p->ours, "x", code, size));
	lua_xmove(p->ours.lua, thread, 1);
	int status = bh_sandbox_resume(&p->ours, thread, &meter, 0, &results);
	char *result = meter.stop ? g_strdup("stopped") : result_of(thread, status, status == LUA_OK ? results : 1);
	luaL_unref(p->ours.lua, LUA_REGISTRYINDEX, anchor);
	bh_sandbox_tidy(&p->ours, NULL);
	return result;
}

static char *run_theirs(pair *p, const char *code, size_t size)
{
	lua_State *lua = p->theirs;
	lua_settop(lua, 0);
	int status = luaL_loadbufferx(lua, code, size, "@x", "t");
	if (status == LUA_OK)
		status = lua_pcall(lua, 0, LUA_MULTRET, 0);
	char *result = result_of(lua, status, status == LUA_OK ? lua_gettop(lua) : 1);
	return result;
}

static void assert_same(pair *p, const char *code, size_t size)
{
	g_autofree char *ours = run_ours(p, code, size);
	g_autofree char *theirs = run_theirs(p, code, size);
	if (strcmp(ours, theirs) != 0 && strcmp(ours, "stopped") != 0)
		g_error("%s\n  ours:   %s\n  theirs: %s", code, ours, theirs);
}

static void written_cases_agree(pair *p, gconstpointer unused)
{
	static const char *const codes[] = {
		"return ('hello world'):find('o w')",
		"return ('hello world'):find('o', 6)",
		"return ('hello'):find('')",
		"return ('hello'):find('', 6)",
		"return ('hello'):find('', 7)",
		"return ('hello'):find('l', -2)",
		"return ('hello'):find('l', -100)",
		"return ('hello'):find('l', math.mininteger)",
		"return ('hello'):find('l', math.maxinteger)",
		"return ('a.b'):find('.', 1, true)",
		"return ('a.b'):find('%.')",
		"return ('a\\0b\\0c'):find('\\0c')",
		"return ('a\\0b\\0c'):match('%z?b%z')",
		"return ('key = value'):match('^(%w+)%s*=%s*(%w+)$')",
		"return ('  trim  '):match('^%s*(.-)%s*$')",
		"return ('THE (quick) fox'):find('%((%a+)%)')",
		"return ('f(a(b)c)d'):match('%b()')",
		"return ('THE (quick) fox'):find('%f[%a]%a+%f[%A]', 5)",
		"return ('[[x]]'):match('%[(%[)(.-)%]')",
		"return ('\"it\\'s\"'):match('([\"\\'])(.-)%1')",
		"return ('hello'):match('()ll()')",
		"return ('x'):match('((((x))))')",
		"return ('a-b_c'):match('[%w_-]+')",
		"return ('a]b'):match('[]]')",
		"return ('a]b'):match('[^]]+')",
		"return ('a^b'):match('[b^]+')",
		"return ('a-z'):match('[a-]+')",
		"return ('5%'):match('%d%%')",
		"return ('x$y'):match('x$y')",
		"return ('x^y'):match('x^y')",
		"return ('aaa'):match('a-$')",
		"return ('aaa'):match('^a-')",
		"return ('äöü'):match('[ä-ü]+')",
		"return ('tab\\tnew\\nv\\v'):gsub('%s', '_')",
		"return ('\\1\\127x'):gsub('%c', '_')",
		"return ('aBc09_.'):gsub('%u', '<%0>')",
		"return ('hello world'):gsub('o', '0', 1)",
		"return ('hello world'):gsub('o', '0', 0)",
		"return ('hello world'):gsub('o', '0', -1)",
		"return ('hello'):gsub('', '-')",
		"return ('hello'):gsub('l*', 'x')",
		"return ('hello world'):gsub('(%w+) (%w+)', '%2 %1 %%')",
		"return ('hello'):gsub('()', '%1')",
		"return ('hello'):gsub('l', 17)",
		"return ('hello'):gsub('l', { l = 'L' })",
		"return ('hello'):gsub('(h)(e)', { h = false })",
		"return ('hello'):gsub('.', { h = 1, e = true })",
		"return ('hello'):gsub('(l)(.)', function(a, b) return b .. a end)",
		"return ('hello'):gsub('l', function() end)",
		"return ('hello'):gsub('l', function() return {} end)",
		"return ('abc'):gsub('^a', 'x')",
		"return ('aaa'):gsub('^a', 'x')",
		"return ('a b'):gsub('%', 'x')",
		"return ('a b'):gsub('a', '%2')",
		"return ('a b'):gsub('a', '%x')",
		"return ('a b'):gsub('a', '%')",
		"return ('a b'):gsub('a', true)",
		"local t = {} for a, b in ('k=v, x=y'):gmatch('(%w+)=(%w+)') do t[#t + 1] = a .. b end return "
		"table.concat(t, '|')",
		"local t = {} for a in ('one two'):gmatch('%a+') do t[#t + 1] = a end return table.concat(t, '|')",
		"local t = {} for a in ('abc'):gmatch('') do t[#t + 1] = '[' .. a .. ']' end return table.concat(t, "
		"'|')",
		"local t = {} for a in ('abc'):gmatch('x*') do t[#t + 1] = '[' .. a .. ']' end return table.concat(t, "
		"'|')",
		"local t = {} for a in ('one two'):gmatch('%a+', 3) do t[#t + 1] = a end return table.concat(t, '|')",
		"local t = {} for a in ('abc'):gmatch('%a', -1) do t[#t + 1] = a end return table.concat(t, '|')",
		"local t = {} for a in ('abc'):gmatch('%a', 9) do t[#t + 1] = a end return table.concat(t, '|')",
		"local t = {} for p in ('a^b'):gmatch('^b') do t[#t + 1] = p end return table.concat(t, '|')",
		"return (5):rep(2)",
		"return ('x'):find('[')",
		"return ('x'):find('[a')",
		"return ('x'):find('[a%')",
		"return ('x'):find('%')",
		"return ('x'):find('x%')",
		"return ('x'):find('(x')",
		"return ('x'):find('x)')",
		"return ('x'):find('%1')",
		"return ('x'):find('(%1)')",
		"return ('x'):find('%f')",
		"return ('x'):find('%b')",
		"return ('x'):find('%bx')",
		"return ('x'):find(('()'):rep(33))",
		"return #{('x'):find(('()'):rep(32))}",
		"return ('x'):find()",
		"return ('x'):find({})",
		"return string.find(nil, 'x')",
		"return string.match(12, 1)",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		assert_same(p, codes[i], strlen(codes[i]));
}

static void append_some(GString *out, bh_chance *chance, const char *const *parts, size_t count, int most)
{
	for (int64_t n = bh_chance_between(chance, 0, most); n > 0; n--)
		g_string_append(out, parts[bh_chance_between(chance, 0, (int64_t)count - 1)]);
}

static void random_cases_agree(pair *p, gconstpointer unused)
{
	static const char *const subject_parts[] = {"a", "b", "aa", "ab",  "(", ")", "]", "^",
						    "-", "1", " ",  "\\0", "%", ".", "$", "\\xe4"};
	static const char *const pattern_parts[] = {
		"a",      "b",  ".",    "%a",   "%d", "%s", "%W", "[ab]",  "[^a]", "[a-b]", "[%a-]",
		"(",      ")",  "()",   "*",    "+",  "-",  "?",  "$",     "^",    "%b()",  "%f[a]",
		"%f[%A]", "%1", "%2",   "%",    "[",  "]",  "%.", "%%",    "\\0",  "[]a]",  "[^]",
		"a*",     "b-", "(a*)", "(.-)", "%x", "%g", "%p", "[^%s]", "\\xe4"};
	static const char *const forms[][3] = {
		{"return ('", "'):find('", "')"},
		{"return ('", "'):match('", "', 2)"},
		{"return ('", "'):gsub('", "', '<%1>')"},
		{"return ('", "'):gsub('", "', function(a, b) return b end)"},
		{"local t = {} for a, b in ('", "'):gmatch('",
		 "') do t[#t + 1] = tostring(a) .. tostring(b) end return table.concat(t, '|')"},
	};
	guint64 seed = (guint64)g_test_rand_int() << 32 | (guint32)g_test_rand_int();
	bh_chance chance = bh_chance_seeded(seed);

	g_test_message("seed %" G_GUINT64_FORMAT, seed);
	for (int i = 0; i < 20000; i++) {
		g_autoptr(GString) subject = g_string_new(NULL), pattern = g_string_new(NULL);
		append_some(subject, &chance, subject_parts, G_N_ELEMENTS(subject_parts), 8);
		append_some(pattern, &chance, pattern_parts, G_N_ELEMENTS(pattern_parts), 6);
		const char *const *form = forms[bh_chance_between(&chance, 0, G_N_ELEMENTS(forms) - 1)];
		g_autofree char *code = g_strconcat(form[0], subject->str, form[1], pattern->str, form[2], NULL);
		assert_same(p, code, strlen(code));
	}
}

#define ADD(name) g_test_add("/patterns/" #name, pair, NULL, set_up, name, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD(written_cases_agree);
	ADD(random_cases_agree);
	return g_test_run();
}
