#include "transport/address.h"

#include <arpa/inet.h>
#include <glib.h>
#include <netinet/in.h>
#include <string.h>

bool bh_address_read(const char *text, bh_address *ret)
{
	bh_address a = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(a.family, text, a.bytes) != 1)
		return false;
	*ret = a;
	return true;
}

const char *bh_address_text(const bh_address *a, char buffer[BH_ADDRESS_TEXT_SIZE])
{
	return inet_ntop(a->family, a->bytes, buffer, BH_ADDRESS_TEXT_SIZE);
}

bool bh_address_of(const struct sockaddr *socket, bh_address *ret, unsigned *ret_port)
{
	bh_address a = {.family = socket->sa_family};

	if (a.family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, socket, sizeof in);
		memcpy(a.bytes, &in.sin_addr, 4);
		*ret_port = ntohs(in.sin_port);
	} else if (a.family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, socket, sizeof in6);
		memcpy(a.bytes, &in6.sin6_addr, 16);
		*ret_port = ntohs(in6.sin6_port);
	} else {
		return false;
	}
	*ret = a;
	return true;
}

struct sockaddr_storage bh_address_socket(const bh_address *a, unsigned port)
{
	struct sockaddr_storage s = {0};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port)};

	if (a->family == AF_INET) {
		memcpy(&in.sin_addr, a->bytes, 4);
		memcpy(&s, &in, sizeof in);
	} else {
		memcpy(&in6.sin6_addr, a->bytes, 16);
		memcpy(&s, &in6, sizeof in6);
	}
	return s;
}

static unsigned size_of(const bh_address *a)
{
	return a->family == AF_INET ? 4 : 16;
}

bool bh_address_equal(const bh_address *a, const bh_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, size_of(a)) == 0;
}

bool bh_prefix_covers(const bh_prefix *p, const bh_address *a)
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	if (p->address.family != a->family || memcmp(p->address.bytes, a->bytes, whole) != 0)
		return false;
	return rest == 0 || (p->address.bytes[whole] ^ a->bytes[whole]) >> (8 - rest) == 0;
}

static bool bits_beyond(const bh_prefix *p)
{
	for (unsigned bit = p->bits; bit < 8 * size_of(&p->address); bit++)
		if (p->address.bytes[bit / 8] & (0x80 >> bit % 8))
			return true;
	return false;
}

bool bh_prefix_read(const char *text, bh_prefix *ret)
{
	const char *slash = strchr(text, '/');
	guint64 bits;
	bh_prefix p;

	/* GLib takes a vertical tab for nothing; and what begins with 0 may be meant as octal. */
	if (!slash || !g_ascii_isdigit(slash[1]) || (slash[1] == '0' && slash[2] != '\0'))
		return false;
	if (!g_ascii_string_to_unsigned(slash + 1, 10, 0, 128, &bits, NULL))
		return false;
	g_autofree char *address = g_strndup(text, (gsize)(slash - text));
	if (!bh_address_read(address, &p.address) || bits > 8 * size_of(&p.address))
		return false;
	p.bits = (unsigned)bits;
	if (bits_beyond(&p))
		return false;
	*ret = p;
	return true;
}

/* Where in an IPv6 address of this form the IPv4 one stands. */
static const struct wrapping {
	unsigned char begins[12];
	unsigned size, at;
	unsigned char mask; /* Teredo hides the client's address by inverting it */
} WRAPPINGS[] = {
	{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 12, 12, 0}, /* ::ffff:a.b.c.d, mapped (RFC 4291) */
	{{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 12, 12, 0}, /* ::ffff:0:a.b.c.d, translated (RFC 2765) */
	{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, 12, 0}, /* ::a.b.c.d, compatible, of old */
	{{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}, 12, 12, 0}, /* 64:ff9b::a.b.c.d, NAT64 (RFC 6052) */
	{{0x20, 0x02}, 2, 2, 0}, /* 2002:aabb:ccdd::, 6to4 (RFC 3056) */
	{{0x20, 0x01, 0, 0}, 4, 12, 0xff}, /* 2001:0::, Teredo (RFC 4380) */
};

bool bh_address_inner(const bh_address *a, bh_address *ret)
{
	static const unsigned char low[13]; /* :: and ::1 begin as compatible addresses do, but wrap nothing */

	if (a->family != AF_INET6 || memcmp(a->bytes, low, sizeof low) == 0)
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(WRAPPINGS); i++) {
		const struct wrapping *w = &WRAPPINGS[i];
		if (memcmp(a->bytes, w->begins, w->size) != 0)
			continue;
		*ret = (bh_address){.family = AF_INET};
		for (unsigned b = 0; b < 4; b++)
			ret->bytes[b] = a->bytes[w->at + b] ^ w->mask;
		return true;
	}
	return false;
}
