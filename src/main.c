#include "cli/cli.h"

int main(int argc, char **argv)
{
	return bh_cli_main(argc, argv);
}
