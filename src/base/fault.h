/*
 * BH_FAULT("store.before-commit") marks a place where dying would matter. With the
 * meson option `faults` the process kills itself (SIGKILL) at the point that the environment
 * variable BH_FAULT names, at the n-th time with "name:n", at the n-th point of any name with "*:n". BH_FAULT_LOG names a file that
 * gets a line for each point that is reached. Nothing in other builds.
 *
 * A name is "<what>.<when>": "journal.before-commit". tests/faults/ kills a scenario at each point and checks the
 * promises after the next start; a point that no scenario reaches is a failed test.
 */
#pragma once

#ifdef BH_WITH_FAULTS
void bh_fault_point(const char *name);
#define BH_FAULT(name) bh_fault_point(name)
#else
#define BH_FAULT(name) ((void)0)
#endif
