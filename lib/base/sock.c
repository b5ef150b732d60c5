#include "lib/base/sock.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int open_address(const char *path, int type, struct sockaddr_un *ret)
{
	int fd;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path));
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int sock_connect_unix(const char *path, int type)
{
	struct sockaddr_un address;
	AUTO_CLOSE int fd = open_address(path, type, &address);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int sock_listen_unix(const char *path, int type, int backlog)
{
	struct sockaddr_un address;
	AUTO_CLOSE int fd = open_address(path, type, &address);

	if (fd < 0)
		return fd;
	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, backlog) < 0)
		return -errno;
	return TAKE_FD(fd);
}
