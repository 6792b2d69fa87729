#include "base/fault.h"

#include <glib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef BH_WITH_FAULTS

/* Passes three points in a child with BH_FAULT as given. Returns how many it survived. */
static int survived(const char *fault)
{
	int ends[2], status, count = 0;
	char passed;

	g_assert_cmpint(pipe(ends), ==, 0);
	pid_t child = fork();
	if (child == 0) {
		static const char *const points[] = {"store.before-commit", "store.after-commit",
						     "store.before-commit"};
		close(STDERR_FILENO);
		if (fault)
			g_setenv("BH_FAULT", fault, TRUE);
		for (size_t i = 0; i < G_N_ELEMENTS(points); i++) {
			BH_FAULT(points[i]);
			(void)!write(ends[1], "x", 1);
		}
		_exit(0);
	}
	close(ends[1]);
	while (read(ends[0], &passed, 1) == 1)
		count++;
	close(ends[0]);
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	g_assert_cmpint(WIFSIGNALED(status) ? WTERMSIG(status) : 0, ==, count < 3 ? SIGKILL : 0);
	return count;
}

static void the_process_dies_at_the_point_that_is_named(void)
{
	static const struct {
		const char *fault;
		int survived;
	} rows[] = {
		{NULL, 3},
		{"", 3},
		{"store.before-commit", 0},
		{"store.before-commit:1", 0},
		{"store.after-commit", 1},
		{"store.before-commit:2", 2},
		{"store.before-commit:3", 3},
		{"store.before", 3},
		{"*", 0},
		{"*:2", 1},
		{"*:3", 2},
		{"*:4", 3},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		g_assert_cmpint(survived(rows[i].fault), ==, rows[i].survived);
}

#else

static void the_process_dies_at_the_point_that_is_named(void)
{
	BH_FAULT("nothing.happens");
	g_test_skip("built without the option `faults`");
}

#endif

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_unsetenv("BH_FAULT");
	g_test_add_func("/fault/the process dies at the point that is named",
			the_process_dies_at_the_point_that_is_named);
	return g_test_run();
}
