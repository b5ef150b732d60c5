/* exec --handover-fd: the process changes hands before we end. */
#include "runtime/oci/commands.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int hand_over(int sock, pid_t pid, int pidfd, struct err *e)
{
	int32_t number = pid;
	struct iovec iov = {.iov_base = &number, .iov_len = sizeof(number)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;
	char byte;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pidfd, sizeof(pidfd));
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		return err_set(e, errno, "--handover-fd: %s", strerror(errno));
	do {
		n = read(sock, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	return err_set(e, n < 0 ? errno : ECONNRESET, "--handover-fd: nobody took the process");
}
