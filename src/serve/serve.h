/* `bellhop serve`: reads the settings, opens the rooms in order, closes them in reverse. */
#pragma once

/* argv[0] is "serve". Returns the exit code: 0 stopped as told, 1 could not start, 2 usage. */
int bh_serve(int argc, char **argv);
