/* Terminals: the runtime makes them and hands their masters over a socket. */
#include "lib/base/fd.h"
#include "lib/base/sock.h"
#include "runtime/engine/container.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int terminal_listen(struct engine *en, const char *id, char *path, size_t size, struct err *e)
{
	int fd;

	(void)snprintf(path, size, "%s/%.12s.console", en->paths.run, id);
	fd = sock_listen_unix(path, SOCK_STREAM, 1);
	return fd < 0 ? err_set(e, -fd, "listen on %s: %s", path, strerror(-fd)) : fd;
}

int terminal_take(int listener, struct err *e)
{
	AUTO_CLOSE int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char byte[64];
	struct iovec iov = {byte, sizeof(byte)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int master = -1;

	if (fd < 0 || recvmsg(fd, &m, MSG_CMSG_CLOEXEC) < 0 ||
		control.header.cmsg_type != SCM_RIGHTS)
		return err_set(e, fd < 0 ? errno : EPROTO, "no terminal came from the runtime");
	memcpy(&master, CMSG_DATA(&control.header), sizeof(int));
	return master;
}
