#include "runtime/cli/client.h"

#include "lib/base/sock.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int client_connect(struct err *e)
{
	const char *dir = getenv("SAMPAN_RUN_DIR");
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/" INIT_SOCKET_NAME, dir ? dir : "/run");
	int fd = n < 0 || (size_t)n >= sizeof(path) ? -ENAMETOOLONG
						    : sock_connect_unix(path, SOCK_SEQPACKET);

	if (fd == -ENAMETOOLONG)
		return err_set(e, ENAMETOOLONG, "SAMPAN_RUN_DIR is too long");
	if (fd == -EACCES)
		return err_set(e, EACCES, "only root may talk to init");
	if (fd < 0)
		return err_set(e, -fd, "init does not answer at %s: %s", path, strerror(-fd));
	return fd;
}

int client_ask(int fd, const void *msg, union init_answer *ret, struct err *e)
{
	const struct init_header *h = msg;
	ssize_t n;

	/* refused already, and told why: that answer is read below */
	if (send(fd, msg, h->len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return err_set(e, errno, "ask init: %s", strerror(errno));
	do {
		n = recv(fd, ret, sizeof(*ret), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "init's answer: %s", strerror(errno));
	if (n == 0)
		return err_set(e, ECONNRESET, "init closed the connection");
	if (init_msg_check(ret, (size_t)n) || ret->h.type < INIT_OK)
		return err_set(
			e, EPROTO, "init's answer is not understood; is it another version?");
	if (ret->h.type == INIT_ERROR) {
		ret->error.text[sizeof(ret->error.text) - 1] = '\0';
		return err_set(
			e, ret->error.errnum > 0 ? ret->error.errnum : EIO, "%s", ret->error.text);
	}
	return 0;
}
