/* Retry-After is whatever a receiver writes: a wait within bounds, or nonsense. */
#include "transport/transport.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *value = g_strndup((const char *)data, size);
	bh_usec span = -1;

	if (bh_retry_after_parse(value, INT64_C(1767268800) * BH_SECOND, &span))
		g_assert_true(span >= 0 && span <= 365 * BH_DAY);
	else
		g_assert_cmpint(span, ==, -1);
	return 0;
}
