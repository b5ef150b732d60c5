/* Terminals: the runtime makes them and hands their masters over a socket. */
#include "lib/base/fd.h"
#include "runtime/engine/container.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int terminal_listen(struct engine *en, const char *id, char *path, size_t size, struct err *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(path, size, "%s/%.12s.console", en->paths.run, id);
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(e, ENAMETOOLONG, "%s: too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, 1) < 0)
		return err_set(e, errno, "listen on %s: %s", path, strerror(errno));
	return TAKE_FD(fd);
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
