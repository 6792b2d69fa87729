#include "serve/lookup.h"

#include "base/error.h"
#include "base/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define SECRET_MAX (4 * 1024)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FILE, fclose)

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

/* Editors end a file with a line break, which no secret has. */
static bool read_secret(const char *path, char text[SECRET_MAX], bh_span *ret, GError **error)
{
	g_autoptr(FILE) file = fopen(path, "re");
	size_t size = file ? fread(text, 1, SECRET_MAX, file) : 0;

	if (!file || ferror(file)) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot read the client secret in \"%s\": %s", path,
			    g_strerror(errno));
		return false;
	}
	while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
		size--;
	*ret = (bh_span){text, size};
	if (size > 0 && size < SECRET_MAX && !memchr(text, '\0', size))
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" does not hold a client secret of 1 to %d bytes", path,
		    SECRET_MAX - 1);
	return false;
}

bool bh_lookup_of(const bh_settings *settings, bh_lookup_config **ret_lookup, GError **error)
{
	char secret[SECRET_MAX];
	bh_lookup_config config = {
		.url = or_null(settings->lookup_url),
		.token_url = or_null(settings->lookup_token_url),
		.client_id = or_null(settings->lookup_client_id),
	};
	const char *path = settings->lookup_client_secret_file;

	*ret_lookup = NULL;
	if (!config.url)
		return true;
	bool ok = (!*path || read_secret(path, secret, &config.client_secret, error)) &&
		  bh_lookup_config_check(&config, error);
	if (ok)
		*ret_lookup = bh_lookup_config_copy(&config);
	OPENSSL_cleanse(secret, sizeof secret);
	return ok;
}
