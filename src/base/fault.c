#include "base/fault.h"

#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct {
	pthread_once_t once;
	char *name; /* NULL: none is asked for; "*": whichever comes */
	int to_pass; /* how often it is still reached and survived, plus one; atomic */
} wanted = {.once = PTHREAD_ONCE_INIT};

static void read_environment(void)
{
	const char *text = g_getenv("BH_FAULT");
	if (!text || !*text)
		return;

	const char *colon = strchr(text, ':');
	guint64 n = 1;
	if (colon && !g_ascii_string_to_unsigned(colon + 1, 10, 1, G_MAXINT, &n, NULL))
		g_error("BH_FAULT \"%s\" is not \"name\" or \"name:n\"", text);
	wanted.name = colon ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
	wanted.to_pass = (int)n;
}

static void die_at(const char *name)
{
	g_autofree char *line = g_strdup_printf("fault: killed at %s\n", name);

	(void)!write(STDERR_FILENO, line, strlen(line)); /* for the runner's report; dying is what counts */
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

void bh_fault_point(const char *name)
{
	pthread_once(&wanted.once, read_environment);
	if (!wanted.name || (strcmp(wanted.name, "*") != 0 && strcmp(wanted.name, name) != 0))
		return;
	if (g_atomic_int_dec_and_test(&wanted.to_pass))
		die_at(name);
}
