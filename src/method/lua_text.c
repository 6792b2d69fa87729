/* `base64` and `hash`: bytes as text that can travel, and what is left of them. */
#include "method/lua_libs.h"
#include "method/sandbox.h"

#include <lauxlib.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define BYTES_PER_STEP 4
#define DIGEST_STEPS 100 /* what OpenSSL takes to begin */

static bh_span check_bytes(lua_State *lua, int argument)
{
	bh_span bytes;
	bytes.at = luaL_checklstring(lua, argument, &bytes.size);
	bh_sandbox_spend(lua, 1 + bytes.size / BYTES_PER_STEP);
	return bytes;
}

/* nil and the reason. */
static int give_reason(lua_State *lua, const char *why, size_t at)
{
	lua_pushnil(lua);
	lua_pushfstring(lua, "%s (byte %I)", why, (lua_Integer)at + 1);
	return 2;
}

/* --- Base64 (RFC 4648) ------------------------------------------------------------------------ */

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void push_base64(lua_State *lua, bh_span bytes, const char *alphabet, bool padded)
{
	const unsigned char *from = (const unsigned char *)bytes.at;
	luaL_Buffer buffer;
	char *out = luaL_buffinitsize(lua, &buffer, (bytes.size + 2) / 3 * 4), *to = out;

	for (size_t left = bytes.size; left > 0; from += MIN(left, 3), left -= MIN(left, 3)) {
		unsigned bits =
			(unsigned)from[0] << 16 | (left > 1 ? (unsigned)from[1] << 8 : 0) | (left > 2 ? from[2] : 0);
		size_t digits = MIN(left, 3) + 1;
		for (size_t i = 0; i < 4; i++)
			if (i < digits || padded)
				*to++ = i < digits ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
	}
	luaL_pushresultsize(&buffer, (size_t)(to - out));
}

static int base64_encode(lua_State *lua)
{
	static const char *const forms[] = {"standard", "url", NULL};
	bh_span bytes = check_bytes(lua, 1);
	bool is_url = luaL_checkoption(lua, 2, "standard", forms) == 1;

	push_base64(lua, bytes, is_url ? for_urls : standard, !is_url);
	return 1;
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* The digits without their padding, which has to be right where there is one. False: it is not. */
static bool cut_padding(bh_span *text)
{
	size_t digits = text->size;

	while (digits > 0 && text->size - digits < 2 && text->at[digits - 1] == '=')
		digits--;
	bool fits = digits == text->size || text->size % 4 == 0;
	text->size = digits;
	return fits && digits % 4 != 1;
}

static int base64_decode(lua_State *lua)
{
	bh_span text = check_bytes(lua, 1);
	unsigned bits = 0, held = 0;
	luaL_Buffer buffer;

	if (!cut_padding(&text))
		return give_reason(lua, "the text is cut short, or its padding is wrong", text.size);
	char *out = luaL_buffinitsize(lua, &buffer, text.size / 4 * 3 + 3), *to = out;
	for (size_t i = 0; i < text.size; i++) {
		int digit = digit_value(text.at[i]);
		if (digit < 0)
			return give_reason(lua, "a character that is not of Base64", i);
		bits = bits << 6 | (unsigned)digit;
		held += 6;
		if (held >= 8) {
			held -= 8;
			*to++ = (char)(bits >> held);
			bits &= (1u << held) - 1;
		}
	}
	if (bits != 0)
		return give_reason(lua, "the last character says more than fits into a byte", text.size - 1);
	luaL_pushresultsize(&buffer, (size_t)(to - out));
	return 1;
}

void bh_lua_base64_push(lua_State *lua)
{
	static const luaL_Reg functions[] = {{"encode", base64_encode}, {"decode", base64_decode}, {NULL, NULL}};
	luaL_newlib(lua, functions);
}

/* --- Hashes ----------------------------------------------------------------------------------- */

static void push_hex(lua_State *lua, bh_span bytes)
{
	static const char hex[] = "0123456789abcdef";
	char text[2 * EVP_MAX_MD_SIZE];

	for (size_t i = 0; i < bytes.size; i++) {
		text[2 * i] = hex[(unsigned char)bytes.at[i] >> 4];
		text[2 * i + 1] = hex[bytes.at[i] & 15];
	}
	lua_pushlstring(lua, text, 2 * bytes.size);
}

static void push_digest(lua_State *lua, bh_span digest, int form)
{
	static const char *const forms[] = {"hex", "base64", "raw", NULL};

	switch (luaL_checkoption(lua, form, "hex", forms)) {
	case 0:
		push_hex(lua, digest);
		return;
	case 1:
		push_base64(lua, digest, standard, true);
		return;
	default:
		lua_pushlstring(lua, digest.at, digest.size);
	}
}

typedef struct hash {
	const char *name;
	lua_CFunction function;
	const EVP_MD *(*algorithm)(void);
} hash;

static int hash_digest(lua_State *lua);
static int hash_hmac(lua_State *lua);

static const hash hashes[] = {
	{"md5", hash_digest, EVP_md5},          {"sha1", hash_digest, EVP_sha1},
	{"sha256", hash_digest, EVP_sha256},    {"sha512", hash_digest, EVP_sha512},
	{"hmac_sha1", hash_hmac, EVP_sha1},     {"hmac_sha256", hash_hmac, EVP_sha256},
	{"hmac_sha512", hash_hmac, EVP_sha512},
};

/* Upvalue of both functions: the row. */
static const hash *own_row(lua_State *lua)
{
	return &hashes[lua_tointeger(lua, lua_upvalueindex(1))];
}

/* hash.sha256(text, form) */
static int hash_digest(lua_State *lua)
{
	const hash *row = own_row(lua);
	bh_span text = check_bytes(lua, 1);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	bh_sandbox_spend(lua, DIGEST_STEPS);
	if (!EVP_Digest(text.at, text.size, digest, &size, row->algorithm(), NULL))
		return luaL_error(lua, "hash.%s: the OpenSSL of this machine has switched it off", row->name);
	push_digest(lua, (bh_span){(const char *)digest, size}, 2);
	return 1;
}

/* hash.hmac_sha256(key, text, form) (RFC 2104) */
static int hash_hmac(lua_State *lua)
{
	const hash *row = own_row(lua);
	bh_span key = check_bytes(lua, 1), text = check_bytes(lua, 2);
	const unsigned char *bytes = (const unsigned char *)text.at;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	bh_sandbox_spend(lua, 3 * DIGEST_STEPS);
	if (!HMAC(row->algorithm(), key.at, (int)key.size, bytes, text.size, digest, &size))
		return luaL_error(lua, "hash.%s: the OpenSSL of this machine has switched it off", row->name);
	push_digest(lua, (bh_span){(const char *)digest, size}, 3);
	return 1;
}

void bh_lua_hash_push(lua_State *lua)
{
	lua_createtable(lua, 0, G_N_ELEMENTS(hashes));
	for (size_t i = 0; i < G_N_ELEMENTS(hashes); i++) {
		lua_pushinteger(lua, (lua_Integer)i);
		lua_pushcclosure(lua, hashes[i].function, 1);
		lua_setfield(lua, -2, hashes[i].name);
	}
}
