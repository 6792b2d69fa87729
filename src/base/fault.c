#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct {
	pthread_once_t once;
	char *name; /* NULL: none is asked for; "*": whichever comes */
	int to_pass; /* how often it is still reached and survived, plus one; atomic */
	int log_fd; /* -1: nobody wants to know what is reached */
} wanted = {.once = PTHREAD_ONCE_INIT, .log_fd = -1};

static void read_what_kills(const char *text)
{
	const char *colon = strchr(text, ':');
	guint64 n = 1;
	if (colon && !g_ascii_string_to_unsigned(colon + 1, 10, 1, G_MAXINT, &n, NULL))
		g_error("BH_FAULT \"%s\" is not \"name\" or \"name:n\"", text);
	wanted.name = colon ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
	wanted.to_pass = (int)n;
}

static void open_log(const char *path)
{
	wanted.log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (wanted.log_fd < 0)
		g_error("BH_FAULT_LOG \"%s\": %s", path, g_strerror(errno));
}

static void read_environment(void)
{
	const char *text = g_getenv("BH_FAULT"), *path = g_getenv("BH_FAULT_LOG");
	if (text && *text)
		read_what_kills(text);
	if (path && *path)
		open_log(path);
}

/* One write a line: lines of several threads, and the last one before a death, are whole. */
static void say(int fd, const char *before, const char *name)
{
	g_autofree char *line = g_strconcat(before, name, "\n", NULL);
	(void)!write(fd, line, strlen(line)); /* only for the runner's report */
}

static void die_at(const char *name)
{
	say(STDERR_FILENO, "fault: killed at ", name);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

void bh_fault_point(const char *name)
{
	pthread_once(&wanted.once, read_environment);
	if (wanted.log_fd >= 0)
		say(wanted.log_fd, "", name);
	if (!wanted.name || (strcmp(wanted.name, "*") != 0 && strcmp(wanted.name, name) != 0))
		return;
	if (g_atomic_int_dec_and_test(&wanted.to_pass))
		die_at(name);
}
