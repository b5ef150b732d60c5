#include "runtime/oci/rtnetlink.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* bytes; the kernel fills a dump's messages up to 32 KiB, and one link's takes a few */
#define ANSWER_BYTES 32768

int rtnl_open(void)
{
	AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const int one = 1;

	/* Strict: a dump of addresses keeps to the link that is asked for. */
	if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

void rtnl_begin(struct rtnl_request *q, uint16_t type, uint16_t flags, size_t body)
{
	memset(q, 0, sizeof(*q));
	q->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	q->head.nlmsg_type = type;
	q->head.nlmsg_flags = NLM_F_REQUEST | flags;
}

void rtnl_attr(struct rtnl_request *q, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->head.nlmsg_len));
	size_t space = sizeof(*q) - NLMSG_ALIGN(q->head.nlmsg_len);

	/* Every caller's attributes fit; one that would not is left out, never written behind. */
	if (RTA_SPACE(len) > space)
		return;
	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->head.nlmsg_len) + RTA_SPACE(len));
}

/* 1: there is more to come. */
static int read_answer(struct nlmsghdr *msg, uint32_t seq,
	void (*each)(struct nlmsghdr *msg, void *arg), void *arg)
{
	if (msg->nlmsg_seq != seq)
		return 1;
	if (msg->nlmsg_type == NLMSG_ERROR) {
		struct nlmsgerr *answer = NLMSG_DATA(msg);

		return msg->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)) ? -EBADMSG : answer->error;
	}
	if (msg->nlmsg_type == NLMSG_DONE)
		return 0;
	if (each)
		each(msg, arg);
	return 1;
}

int rtnl_talk(
	int sock, struct rtnl_request *q, void (*each)(struct nlmsghdr *msg, void *arg), void *arg)
{
	static _Alignas(struct nlmsghdr) char buf[ANSWER_BYTES];
	static uint32_t seq;
	int r = 1;

	q->head.nlmsg_seq = ++seq;
	if (send(sock, q, q->head.nlmsg_len, 0) < 0)
		return -errno;
	while (r == 1) {
		struct nlmsghdr *msg = (struct nlmsghdr *)buf;
		ssize_t n = recv(sock, buf, sizeof(buf), MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || n > (ssize_t)sizeof(buf))
			return -EMSGSIZE;
		for (int left = (int)n; r == 1 && NLMSG_OK(msg, (unsigned)left);
			msg = NLMSG_NEXT(msg, left))
			r = read_answer(msg, q->head.nlmsg_seq, each, arg);
	}
	return r;
}
