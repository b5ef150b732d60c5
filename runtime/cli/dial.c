/* What a docker client on another machine runs here over ssh: `docker system dial-stdio` connects
 * standard input and output with the engine's socket. */
#include "runtime/cli/command.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* bytes moved at once */
#define DIAL_BYTES 65536

/* Move what there is. Returns 1, 0 at the end, or -errno. */
static int move(int from, int to)
{
	char buf[DIAL_BYTES];
	ssize_t n = read(from, buf, sizeof(buf));
	int r;

	if (n <= 0)
		return n == 0 ? 0 : errno == EINTR || errno == EAGAIN ? 1 : -errno;
	r = io_write_all(to, buf, (size_t)n);
	return r < 0 ? r : 1;
}

/* Until the engine has said all: the client's end is only half of it. */
static int pass_on(int engine)
{
	bool input = true;

	for (;;) {
		struct pollfd fds[2] = {
			{.fd = engine, .events = POLLIN},
			{.fd = input ? 0 : -1, .events = POLLIN},
		};
		int r = 1;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents)
			r = move(engine, 1);
		if (r > 0 && fds[1].revents && move(0, engine) <= 0) {
			input = false;
			(void)shutdown(engine, SHUT_WR);
		}
		if (r <= 0)
			return r;
	}
}

static int system_run(void *options, int argc, char **argv)
{
	struct err e = {0};
	const char *path = http_socket(&e);
	AUTO_CLOSE int engine = -1;
	int r;

	(void)options, (void)argc;
	if (strcmp(argv[1], "dial-stdio") != 0) {
		fprintf(stderr, "%s system has dial-stdio, not %s\n", command_program, argv[1]);
		return EXIT_USAGE;
	}
	if (!path)
		return command_fail(&e);
	engine = sock_connect_unix(path, SOCK_STREAM);
	if (engine < 0) {
		fprintf(stderr, "%s: the engine does not answer: %s\n", command_program,
			strerror(-engine));
		return EXIT_FAILED;
	}
	r = pass_on(engine);
	if (r < 0)
		fprintf(stderr, "%s: the connection broke: %s\n", command_program, strerror(-r));
	return r < 0;
}

const struct command cmd_system = {"system", "dial-stdio",
	"connect a docker client, over ssh, with the engine", {0}, 0, 1, 1, system_run, NULL};
