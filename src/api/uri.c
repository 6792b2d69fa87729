#include "api/uri.h"

#include <glib.h>

char *bh_uri_decode(bh_span encoded)
{
	GString *text = g_string_sized_new(encoded.size + 1);

	for (size_t i = 0; i < encoded.size; i++) {
		char c = encoded.at[i];

		if (c == '%') {
			int high = i + 2 < encoded.size ? g_ascii_xdigit_value(encoded.at[i + 1]) : -1;
			int low = high >= 0 ? g_ascii_xdigit_value(encoded.at[i + 2]) : -1;

			if (low < 0) {
				g_string_free(text, TRUE);
				return NULL;
			}
			c = (char)(high << 4 | low);
			i += 2;
		}
		g_string_append_c(text, c);
	}
	/* A NUL is no valid UTF-8 for GLib either. */
	if (!g_utf8_validate_len(text->str, text->len, NULL)) {
		g_string_free(text, TRUE);
		return NULL;
	}
	return g_string_free(text, FALSE);
}
