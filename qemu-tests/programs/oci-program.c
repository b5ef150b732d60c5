/* What the measured containers run: nothing ("true"), or nothing for ever ("sleep"). */
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	while (argc > 1 && strcmp(argv[1], "sleep") == 0)
		pause();
	return 0;
}
