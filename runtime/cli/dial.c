#include "runtime/cli/dial.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* bytes moved at once */
#define DIAL_BYTES 65536

static int connect_engine(void)
{
	const char *path = getenv("SAMPAN_ENGINE_SOCKET");

	return sock_connect_unix(path ? path : "/run/docker.sock", SOCK_STREAM);
}

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

int dial_system(int argc, char **argv)
{
	AUTO_CLOSE int engine = -1;
	int r;

	if (argc != 2 || strcmp(argv[1], "dial-stdio") != 0) {
		fputs("usage: sampan system dial-stdio\n", stderr);
		return 2;
	}
	engine = connect_engine();
	if (engine < 0) {
		fprintf(stderr, "sampan: the engine does not answer: %s\n", strerror(-engine));
		return 1;
	}
	r = pass_on(engine);
	if (r < 0)
		fprintf(stderr, "sampan: the connection broke: %s\n", strerror(-r));
	return r < 0;
}
