#include "runtime/cli/client.h"

#include "lib/base/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int client_connect(struct err *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *dir = getenv("SAMPAN_RUN_DIR");
	AUTO_CLOSE int fd = -1;
	int n;

	n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" INIT_SOCKET_NAME,
		dir ? dir : "/run");
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return err_set(e, ENAMETOOLONG, "SAMPAN_RUN_DIR is too long");
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno, "socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EACCES)
			return err_set(e, EACCES, "only root may talk to init");
		return err_set(e, errno, "init does not answer at %s: %s", address.sun_path,
			strerror(errno));
	}
	return TAKE_FD(fd);
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
