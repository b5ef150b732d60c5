#include "runtime/image/unpacker.h"

#include "lib/base/fd.h"
#include "lib/base/num.h"
#include "runtime/image/confine.h"
#include "runtime/image/layer.h"
#include "runtime/image/limits.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* descriptors of the role */
enum { IN_FD = 0, NULL_FD = 1, CONTROL_FD = 3, DIR_FD = 4 };

/* above the numbers that the role's are made on */
#define HIGH_FD 16

/* milliseconds between two looks at whether somebody cancelled */
#define CANCEL_POLL_MS 100

/* What it says. With SAY_OPAQUE comes the descriptor of a directory, for an attribute that takes
 * more rights than it has. */
enum said { SAY_OPAQUE, SAY_DONE, SAY_FAILED };

struct message {
	uint32_t said;
	int32_t errnum;
	uint64_t bytes;
	uint64_t plain_bytes;
	char why[ERR_MSG_MAX];
};

union control_space {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* What follows is the parent's side. */

static int high(int fd)
{
	int up = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

	fd_close(&fd);
	return up;
}

static int spawn(pid_t *ret_pid, char **argv, int in, int control, int dirfd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, IN_FD);
	posix_spawn_file_actions_addopen(&actions, NULL_FD, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
	posix_spawn_file_actions_adddup2(&actions, dirfd, DIR_FD);
	r = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return -r;
}

int unpacker_start(struct unpacker *u, int dirfd, enum packing packing,
	const struct digest *diff_id, uint64_t bytes_max, const atomic_bool *cancel, struct err *e)
{
	char program[] = "sampand";
	char role[] = UNPACKER_ROLE;
	char how[16], want[DIGEST_TEXT_BYTES], max[24];
	char *argv[] = {program, role, how, want, max, NULL};
	int ends[2] = {-1, -1};
	int sockets[2] = {-1, -1};
	AUTO_CLOSE int in = -1;
	AUTO_CLOSE int control = -1;
	AUTO_CLOSE int dir = fcntl(dirfd, F_DUPFD_CLOEXEC, HIGH_FD);
	int r = 0;

	*u = (struct unpacker){.in = -1, .control = -1, .cancel = cancel};
	(void)snprintf(how, sizeof(how), "%d", (int)packing);
	(void)snprintf(want, sizeof(want), "%s", diff_id->text);
	(void)snprintf(max, sizeof(max), "%llu", (unsigned long long)bytes_max);
	if (dir < 0 || pipe2(ends, O_CLOEXEC) < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		r = -errno;
	u->in = ends[1];
	u->control = sockets[0];
	in = high(ends[0]);
	control = high(sockets[1]);
	if (r == 0 && (in < 0 || control < 0 || fd_set_nonblock(u->in, 1) < 0))
		r = -errno;
	if (r == 0) {
		/* Fewer turns between the two; more than a user may have is refused, and no loss.
		 */
		(void)fcntl(u->in, F_SETPIPE_SZ, 4 * IMAGE_READ_BYTES);
		r = spawn(&u->pid, argv, in, control, dir);
	}
	if (r < 0) {
		unpacker_free(u);
		return err_set(e, -r, "start the unpacker: %s", strerror(-r));
	}
	return 0;
}

/* The descriptor that came with a message, or -1. Of several none is kept. */
static int take_fd(struct msghdr *m)
{
	int taken = -1;
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= len; at += sizeof(int)) {
			fd_close(&taken);
			memcpy(&taken, CMSG_DATA(c) + at, sizeof(taken));
			n++;
		}
	}
	if (n > 1)
		fd_close(&taken);
	return taken;
}

/* Do for it what it may not: the directory is one that it has opened, so it is the layer's. */
static int set_opaque(int dirfd, struct err *e)
{
	struct stat st;
	int r;

	if (dirfd < 0 || fstat(dirfd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, EPROTO, "the unpacker hands over what is no directory");
	r = tree_set_opaque(dirfd);
	return r < 0 ? err_set(e, -r, "hide what is below: %s", strerror(-r)) : 0;
}

/* Take one message. Returns 1, 0 when there is none now, or -errno. */
static int listen_once(struct unpacker *u, int flags, struct err *e)
{
	struct message m = {0};
	struct iovec iov = {&m, sizeof(m)};
	union control_space space = {0};
	struct msghdr h = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &space,
		.msg_controllen = sizeof(space)};
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	do {
		n = recvmsg(u->control, &h, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : err_set(e, errno, "unpacker: %s", strerror(errno));
	fd = take_fd(&h);
	if (n == sizeof(m) && m.said == SAY_OPAQUE) {
		int r = set_opaque(fd, e);

		return r < 0 ? r : 1;
	}
	u->ended = 1;
	if (n == sizeof(m) && m.said == SAY_DONE) {
		u->done = 1;
		u->bytes = m.bytes;
		u->plain_bytes = m.plain_bytes;
	} else if (n == sizeof(m)) {
		m.why[sizeof(m.why) - 1] = '\0';
		err_set(&u->end, m.errnum > 0 && m.errnum < 4096 ? m.errnum : EIO, "%s", m.why);
	}
	return 1;
}

/* It ended without a word. */
static void name_end(struct unpacker *u, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		err_set(&u->end, EIO, "the unpacker tried what it must not (killed by SIGSYS)");
	else if (WIFSIGNALED(status))
		err_set(&u->end, EIO, "the unpacker was killed by signal %d", WTERMSIG(status));
	else
		err_set(&u->end, EIO, "the unpacker ended with status %d", WEXITSTATUS(status));
}

/* Wait for one of @n descriptors. Returns 0, also when none is ready, -ECANCELED or -errno. */
static int wait_for(const struct unpacker *u, struct pollfd *fds, nfds_t n, struct err *e)
{
	if (u->cancel && atomic_load(u->cancel))
		return err_set(e, ECANCELED, "context canceled");
	if (poll(fds, n, u->cancel ? CANCEL_POLL_MS : -1) < 0) {
		if (errno != EINTR)
			return err_set(e, errno, "unpacker: %s", strerror(errno));
		while (n-- > 0)
			fds[n].revents = 0;
	}
	return 0;
}

/* Hear it out, and reap it. Returns 0, or why it failed. */
static int conclude(struct unpacker *u, struct err *e)
{
	int status = 0;

	fd_close(&u->in);
	while (!u->ended) {
		struct pollfd control = {u->control, POLLIN, 0};
		int r = wait_for(u, &control, 1, e);

		if (r == 0)
			r = listen_once(u, MSG_DONTWAIT, e);
		if (r < 0)
			return r;
	}
	while (waitpid(u->pid, &status, 0) < 0 && errno == EINTR)
		;
	u->pid = 0;
	if (!u->end.code && !u->done)
		name_end(u, status);
	if (!u->end.code)
		return 0;
	*e = u->end;
	return -e->code;
}

int unpacker_write(struct unpacker *u, const void *buf, size_t len, struct err *e)
{
	const char *at = buf;

	while (len) {
		struct pollfd fds[] = {{u->in, POLLOUT, 0}, {u->control, POLLIN, 0}};
		ssize_t n;
		int r = wait_for(u, fds, 2, e);

		if (r < 0)
			return r;
		if (fds[1].revents) {
			r = listen_once(u, MSG_DONTWAIT, e);
			if (r < 0)
				return r;
			if (u->ended)
				/* Before it has seen all: it found something wrong. */
				return conclude(u, e) < 0 ? -e->code
							  : err_set(e, EIO, "trailing data");
		}
		if (!fds[0].revents)
			continue;
		n = write(u->in, at, len);
		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno == EPIPE) {
			r = conclude(u, e);
			return r < 0 ? r : err_set(e, EIO, "the unpacker went away");
		} else if (errno != EAGAIN && errno != EINTR) {
			return err_set(e, errno, "feed the unpacker: %s", strerror(errno));
		}
	}
	return 0;
}

int unpacker_finish(struct unpacker *u, struct err *e)
{
	return conclude(u, e);
}

void unpacker_free(struct unpacker *u)
{
	fd_close(&u->in);
	fd_close(&u->control);
	if (u->pid > 0) {
		(void)kill(u->pid, SIGKILL);
		while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*u = (struct unpacker){.in = -1, .control = -1};
}

/* What follows is the child's side. */

static int say(const struct message *m, int fd)
{
	struct iovec iov = {(void *)(uintptr_t)m, sizeof(*m)};
	union control_space space = {0};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		h.msg_control = &space;
		h.msg_controllen = sizeof(space);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(CONTROL_FD, &h, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int ask_opaque(int dirfd)
{
	const struct message m = {.said = SAY_OPAQUE};

	return say(&m, dirfd);
}

static int unpack(enum packing packing, const struct digest *want, uint64_t bytes_max,
	struct message *m, struct err *e)
{
	/* The tar file around the files needs room too: a block and padding for each. */
	uint64_t plain_max = bytes_max + bytes_max / 2 + (1u << 20);
	const struct blob blob = {.fd = IN_FD, .size = BLOB_TO_END};
	struct layer_policy policy = {.bytes_left = bytes_max, .entries_left = IMAGE_ENTRIES_MAX};
	struct stream stream;
	struct tree tree;
	int r;

	tree_init(&tree, DIR_FD);
	tree.overlay = 1;
	tree.set_opaque = ask_opaque;
	r = stream_open(&stream, &blob, packing, NULL, want, plain_max, e);
	if (r == 0) {
		r = layer_unpack(&tree, &stream, &policy, e);
		m->plain_bytes = stream.plain_bytes;
		m->bytes = bytes_max - policy.bytes_left;
		stream_close(&stream);
	}
	if (r == 0) {
		r = tree_finish(&tree);
		if (r < 0)
			err_set(e, -r, "set the times of directories: %s", strerror(-r));
	}
	tree_free(&tree);
	return r;
}

int unpacker_main(int argc, char **argv)
{
	struct message m = {.said = SAY_DONE};
	struct err e = {0};
	struct digest want;
	uint64_t packing, max;
	int r = -EINVAL;

	if (argc != 5 || num_parse_u64(argv[2], strlen(argv[2]), PACKING_ZSTD, &packing) < 0 ||
		digest_parse(argv[3], &want) < 0 ||
		num_parse_u64(argv[4], strlen(argv[4]), UINT64_MAX / 4, &max) < 0)
		return 2;
	r = confine_to_directory(DIR_FD, &e);
	if (r == 0)
		r = unpack((enum packing)packing, &want, max, &m, &e);
	if (r < 0) {
		m.said = SAY_FAILED;
		m.errnum = -r;
		(void)snprintf(m.why, sizeof(m.why), "%s", e.msg);
	}
	if (say(&m, -1) < 0)
		r = -EPIPE;
	/* At once: what the C library or a sanitizer does at the end takes other system calls. */
	_exit(r < 0 ? 1 : 0);
}
