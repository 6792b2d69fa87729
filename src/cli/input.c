#include "cli/input.h"

#include "base/error.h"
#include "transport/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool read_all(int fd, const char *path, GString *text, GError **error)
{
	char piece[64 * 1024];
	for (;;) {
		ssize_t n = read(fd, piece, sizeof piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot read %s: %s", path, g_strerror(errno));
			return false;
		}
		if (n == 0)
			return true;
		if (text->len + (gsize)n > BH_INPUT_MAX) {
			g_set_error(error, BH_ERROR, BH_ERROR_LIMIT, "cannot read %s: it is larger than %zu MiB", path,
				    (size_t)BH_INPUT_MAX / 1024 / 1024);
			return false;
		}
		g_string_append_len(text, piece, n);
	}
}

GString *bh_input_read(const char *path, GError **error)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot open \"%s\": %s", path, g_strerror(errno));
		return NULL;
	}
	GString *text = g_string_new(NULL);
	bool whole = read_all(fd, standard ? "standard input" : path, text, error);
	if (!standard)
		close(fd);
	if (whole)
		return text;
	g_string_free(text, TRUE);
	return NULL;
}

static void drop_line_end(GString *text)
{
	if (text->len && text->str[text->len - 1] == '\n')
		g_string_truncate(text, text->len - 1);
	if (text->len && text->str[text->len - 1] == '\r')
		g_string_truncate(text, text->len - 1);
}

char *bh_input_text(const char *given, const char *what, GError **error)
{
	bool standard = strcmp(given, "-") == 0;
	if (g_str_has_prefix(given, "@@"))
		return g_strdup(given + 1);
	if (!standard && given[0] != '@')
		return g_strdup(given);

	GString *text = bh_input_read(standard ? "-" : given + 1, error);
	if (!text) {
		g_prefix_error(error, "%s: ", what);
		return NULL;
	}
	drop_line_end(text);
	if (strlen(text->str) != text->len) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "%s: %s holds a NUL byte, which is no text", what,
			    standard ? "standard input" : given + 1);
		g_string_free(text, TRUE);
		return NULL;
	}
	return g_string_free(text, FALSE);
}

static bool add_secret(GPtrArray *secrets, const char *given, GError **error)
{
	char *text = bh_input_text(given, "--secret", error);
	if (!text)
		return false;
	g_autoptr(GError) why = NULL;
	bh_secret *secret = bh_signing_secret_parse(text, &why);
	bh_text_wipe(text);
	if (secret)
		g_ptr_array_add(secrets, secret);
	else
		bh_usage_error(error, "--secret: %s", why->message);
	return secret != NULL;
}

GPtrArray *bh_input_secrets(const bh_args *args, GError **error)
{
	g_autoptr(GPtrArray) secrets = g_ptr_array_new_with_free_func((GDestroyNotify)bh_secret_unref);
	for (const char *const *given = bh_args_all(args, "secret"); *given; given++)
		if (!add_secret(secrets, *given, error))
			return NULL;
	return g_steal_pointer(&secrets);
}
