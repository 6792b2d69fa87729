/* Addresses as the bytes that will be connected to, and prefixes of them. Inside transport/ only. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

typedef struct bh_address {
	int family; /* AF_INET: 4 bytes count, AF_INET6: 16 */
	unsigned char bytes[16];
} bh_address;

typedef struct bh_prefix {
	bh_address address;
	unsigned bits;
} bh_prefix;

/* Plain dotted quad or IPv6 without brackets and zone. */
bool bh_address_read(const char *text, bh_address *ret);
/* As "192.0.2.1" or "2001:db8::1": one spelling for each address. */
#define BH_ADDRESS_TEXT_SIZE 46
const char *bh_address_text(const bh_address *a, char buffer[BH_ADDRESS_TEXT_SIZE]);
/* Address and port of a socket; false: neither IPv4 nor IPv6. */
bool bh_address_of(const struct sockaddr *socket, bh_address *ret, unsigned *ret_port);
struct sockaddr_storage bh_address_socket(const bh_address *a, unsigned port);
bool bh_address_equal(const bh_address *a, const bh_address *b);

/*
 * The IPv4 address that an IPv6 one leads to: mapped, compatible, translated, NAT64, 6to4, Teredo. False: none.
 * A rule for IPv4 that did not look inside would be no rule.
 */
bool bh_address_inner(const bh_address *a, bh_address *ret);

/* "10.1.0.0/16"; false: not one, or bits are set beyond its length. */
bool bh_prefix_read(const char *text, bh_prefix *ret);
bool bh_prefix_covers(const bh_prefix *p, const bh_address *a);
