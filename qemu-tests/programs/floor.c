/*
 * The least a machine can do: PID 1 that prints one line. What boot times are compared with.
 * Asked by a line on the console it prints the kernel's clock, so that the host can tell when the
 * kernel started.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	static const char line[] = "floor: up\n";
	struct timespec now;

	if (write(STDOUT_FILENO, line, sizeof(line) - 1) < 0)
		return 1;
	while (getchar() != EOF) {
		clock_gettime(CLOCK_BOOTTIME, &now);
		printf("floor: uptime %lld.%03ld\n", (long long)now.tv_sec, now.tv_nsec / 1000000);
		fflush(stdout);
	}
	for (;;)
		pause();
}
