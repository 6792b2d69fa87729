/*
 * Numbers of JSON in Lua. An integer of 64 bits is a Lua integer. Any other number is a float if the float, written as
 * shortly as it can be, means the same decimal: 1.50 is 1.5, and that is what was meant. Else no Lua number holds it, and
 * it stays what it is, a text in a userdata: 18446744073709551615, 0.1234567890123456789, and whole numbers beyond 64
 * bits in any case, for they are ids and an id is its digits.
 */
#include "method/lua_libs.h"
#include "method/sandbox.h"

#include <lauxlib.h>
#include <math.h>

/* --- Decimals --------------------------------------------------------------------------------- */

#define DIGITS_MAX 17 /* a double's shortest text has no more */
#define SAFE_DIGITS 15 /* every decimal of so many survives being a double */
#define EXPONENT_MAX 100000000 /* far more than any text's zeros can make up for */

/* A decimal as `digits` times ten to `exponent`, without zeros at either end. */
typedef struct decimal {
	bool negative, whole, too_long;
	char digits[DIGITS_MAX];
	int count; /* 0: zero */
	int64_t exponent;
} decimal;

/* Zeros count once another digit follows. */
static void add_digit(decimal *d, char digit, int64_t *zeros)
{
	if (digit == '0') {
		*zeros += d->count > 0;
		return;
	}
	if (d->count + *zeros + 1 > DIGITS_MAX) {
		d->too_long = true;
		return;
	}
	for (; *zeros > 0; --*zeros)
		d->digits[d->count++] = '0';
	d->digits[d->count++] = digit;
}

static int64_t read_exponent(const char *at, const char *end)
{
	bool negative = *at == '-';
	int64_t exponent = 0;

	for (at += *at == '-' || *at == '+'; at < end && exponent < EXPONENT_MAX; at++)
		exponent = exponent * 10 + (*at - '0');
	return negative ? -exponent : exponent;
}

static decimal read_decimal(bh_span text)
{
	const char *at = text.at, *end = text.at + text.size;
	decimal d = {.negative = *at == '-', .whole = true};
	int64_t zeros = 0, places = 0;

	for (at += d.negative; at < end && *at != 'e' && *at != 'E'; at++) {
		if (*at == '.') {
			d.whole = false;
			continue;
		}
		places += !d.whole;
		add_digit(&d, *at, &zeros);
	}
	d.exponent = zeros - places;
	if (at < end) {
		d.whole = false;
		d.exponent += read_exponent(at + 1, end);
	}
	return d;
}

static bool is_same(const decimal *a, const decimal *b)
{
	if (a->negative != b->negative || a->count != b->count || a->too_long || b->too_long)
		return false;
	return a->count == 0 || (a->exponent == b->exponent && !memcmp(a->digits, b->digits, (size_t)a->count));
}

/* --- Floats ----------------------------------------------------------------------------------- */

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
				1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define EXACT_POWER 22 /* the greatest power of ten that a double holds exactly */

static double read_slowly(const decimal *d)
{
	char text[64];

	g_snprintf(text, sizeof text, "%.*se%" G_GINT64_FORMAT, d->count, d->digits, d->exponent);
	return g_ascii_strtod(text, NULL);
}

/* Two exact doubles divided or multiplied are rounded once, and so correctly. */
static double read_quickly(const decimal *d)
{
	int64_t digits = 0;

	for (int i = 0; i < d->count; i++)
		digits = digits * 10 + (d->digits[i] - '0');
	return d->exponent < 0 ? (double)digits / powers[-d->exponent] : (double)digits * powers[d->exponent];
}

bool bh_lua_number_is_float(bh_span text, double *ret)
{
	decimal d = read_decimal(text);
	if (d.whole || d.too_long)
		return false;

	bool quick = d.count <= SAFE_DIGITS && d.exponent >= -EXACT_POWER && d.exponent <= EXACT_POWER;
	double number = d.count == 0 ? 0 : quick ? read_quickly(&d) : read_slowly(&d);
	*ret = d.negative ? -number : number;
	if (quick || d.count == 0)
		return true;
	if (!isfinite(number) || number == 0)
		return false;

	char shortest[BH_LUA_FLOAT_SIZE];
	decimal again = read_decimal((bh_span){shortest, bh_lua_float_text(*ret, shortest)});
	return is_same(&d, &again);
}

#define PLAIN_PLACES 6

/* What people enter: up to 15 digits, a few of them behind the point. 0: it is not such a number. */
static size_t write_plain(double number, char *out)
{
	double size = fabs(number);

	for (unsigned places = 0; places <= PLAIN_PLACES; places++) {
		double scaled = size * powers[places];
		if (scaled >= powers[SAFE_DIGITS])
			return 0;
		if (scaled != (double)(int64_t)scaled || scaled / powers[places] != size)
			continue;
		uint64_t digits = (uint64_t)scaled, one = (uint64_t)powers[places];
		return (size_t)g_snprintf(out, BH_LUA_FLOAT_SIZE, "%s%" G_GUINT64_FORMAT ".%0*" G_GUINT64_FORMAT,
					  signbit(number) ? "-" : "", digits / one, MAX((int)places, 1), digits % one);
	}
	return 0;
}

size_t bh_lua_float_text(double number, char out[BH_LUA_FLOAT_SIZE])
{
	static const char *const formats[] = {"%.15g", "%.16g", "%.17g"};

	size_t size = write_plain(number, out);
	if (size > 0)
		return size;
	for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
		g_ascii_formatd(out, BH_LUA_FLOAT_SIZE, formats[i], number);
		if (g_ascii_strtod(out, NULL) == number)
			break;
	}
	if (!strpbrk(out, ".e"))
		g_strlcat(out, ".0", BH_LUA_FLOAT_SIZE);
	return strlen(out);
}

/* --- Numbers that stay text ------------------------------------------------------------------- */

static bh_span text_of(lua_State *lua, int index)
{
	return (bh_span){lua_touserdata(lua, index), lua_rawlen(lua, index)};
}

static int number_tostring(lua_State *lua)
{
	bh_span text = text_of(lua, 1);
	lua_pushlstring(lua, text.at, text.size);
	return 1;
}

/* Upvalue: the metatable. Either side may be something else. */
static bool is_number(lua_State *lua, int index)
{
	return lua_type(lua, index) == LUA_TUSERDATA && lua_getmetatable(lua, index) &&
	       lua_rawequal(lua, -1, lua_upvalueindex(1));
}

static int number_equals(lua_State *lua)
{
	bool same = is_number(lua, 1) && is_number(lua, 2) && bh_span_equal(text_of(lua, 1), text_of(lua, 2));

	lua_pushboolean(lua, same);
	return 1;
}

/* "Booking " .. id is text with any other number, so it is with this one. */
static int number_concat(lua_State *lua)
{
	for (int i = 1; i <= 2; i++) {
		if (is_number(lua, i)) {
			bh_span text = text_of(lua, i);
			lua_pushlstring(lua, text.at, text.size);
			lua_replace(lua, i);
		} else if (!lua_isstring(lua, i)) {
			return luaL_error(lua, "attempt to concatenate a %s value", luaL_typename(lua, i));
		}
	}
	lua_settop(lua, 2);
	lua_concat(lua, 2);
	return 1;
}

void bh_lua_number_metatable(lua_State *lua)
{
	static const luaL_Reg events[] = {
		{"__tostring", number_tostring}, {"__eq", number_equals}, {"__concat", number_concat}, {NULL, NULL}};

	lua_newtable(lua);
	lua_pushliteral(lua, "json number");
	lua_setfield(lua, -2, "__name");
	lua_pushvalue(lua, -1);
	luaL_setfuncs(lua, events, 1);
}
