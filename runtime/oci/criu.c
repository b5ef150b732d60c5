#include "runtime/oci/criu.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "runtime/oci/container.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/sync.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The socket's number in CRIU's process. */
#define SOCKET_FD 3

static int use_null_for_stdio(void)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++) {
		if (dup2(null, fd) < 0)
			return -errno;
	}
	return 0;
}

/* Give the descriptors their numbers. Any of them may be where another one has to go: all of them
 * move up first. */
static int place_descriptors(const struct criu_call *c, int sock)
{
	const int n = 1 + (int)c->n_inherit;
	int moved[1 + CRIU_INHERITED_MAX];

	for (int i = 0; i < n; i++) {
		moved[i] = fcntl(
			i ? c->inherit[i - 1] : sock, F_DUPFD_CLOEXEC, CRIU_FIRST_INHERITED + n);
		if (moved[i] < 0)
			return -errno;
	}
	for (int i = 0; i < n; i++) {
		if (dup2(moved[i], SOCKET_FD + i) < 0)
			return -errno;
	}
	return 0;
}

/* CRIU looks for descriptors in the process that made the socket: here that is its own. */
static int make_own_socket(int to_parent)
{
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = console_send(to_parent, pair[0]);
	close(pair[0]);
	return r < 0 ? r : pair[1];
}

static _Noreturn void become_criu(const struct criu_call *c, int sock, int failed)
{
	char number[] = {'0' + SOCKET_FD, '\0'};
	struct err e = {0};
	int r = 0;

	process_reset_signals();
	if (c->prepare)
		sock = r = make_own_socket(failed);
	if (r >= 0)
		r = c->prepare ? c->prepare(c->arg, &e) : 0;
	if (r == 0 && !c->keeps_stdio)
		r = use_null_for_stdio();
	/* The end that tells of a failure stays open above, up to execve. */
	if (r == 0)
		failed = r = fcntl(failed, F_DUPFD_CLOEXEC, SOCKET_FD + 1 + (int)c->n_inherit);
	if (r >= 0)
		r = sys_close_range(SOCKET_FD + 1 + c->n_inherit, ~0U, CLOSE_RANGE_CLOEXEC);
	if (r == 0)
		r = place_descriptors(c, sock);
	if (r == 0) {
		execlp(c->program, c->program, "swrk", number, NULL);
		r = -errno;
		if (errno == ENOENT)
			err_set(&e, ENOENT,
				"criu: there is no program %s: this needs "
				"CRIU " CRIU_VERSION_MIN_TEXT " or newer",
				c->program);
	}
	if (!e.code)
		err_set(&e, r < 0 ? -r : errno, "criu: run %s: %s", c->program,
			strerror(r < 0 ? -r : errno));
	(void)sync_send_error(failed, &e);
	_exit(127);
}

struct connection {
	pid_t pid;
	int sock;
};

/* Start it; once it is CRIU there is nothing more to be told of how it came to be. */
static int start(const struct criu_call *c, struct connection *ret, struct err *e)
{
	struct clone_args args = {.exit_signal = SIGCHLD,
		.flags = c->cgroup >= 0 ? CLONE_INTO_CGROUP : 0,
		.cgroup = c->cgroup >= 0 ? (uint64_t)c->cgroup : 0};
	AUTO_CLOSE int failed = -1;
	AUTO_CLOSE int sock = -1;
	struct sync_msg msg;
	int errors[2];
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "criu: socketpair: %s", strerror(errno));
	sock = pair[0];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, errors) < 0) {
		close(pair[1]);
		return err_set(e, errno, "criu: socketpair: %s", strerror(errno));
	}
	failed = errors[0];
	ret->pid = sys_clone3(&args, sizeof(args));
	if (ret->pid == 0)
		become_criu(c, pair[1], errors[1]);
	r = ret->pid < 0 ? err_set(e, errno, "criu: make its process: %s", strerror(errno)) : 0;
	close(pair[1]);
	close(errors[1]);
	if (r < 0)
		return r;
	if (c->prepare) {
		close(sock);
		sock = console_receive(failed);
	}
	/* Without a socket there is an end or an error to come all the same. */
	r = sync_recv(failed, &msg, e);
	if (r == 0 && sock < 0)
		r = err_set(e, EPIPE, "criu: its process ended");
	if (r != 0) {
		(void)waitpid(ret->pid, NULL, 0);
		return r < 0 ? r : err_set(e, EBADMSG, "criu: its process answered %d", r);
	}
	ret->sock = TAKE_FD(sock);
	return 0;
}

static int send_message(int sock, const struct criu_writer *w, struct err *e)
{
	ssize_t n;

	if (w->error)
		return err_set(e, -w->error, "criu: out of memory");
	do {
		n = send(sock, w->buf.v, w->buf.len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_set(e, errno, "criu: send the request: %s", strerror(errno)) : 0;
}

static int failure(const struct criu_response *r, struct err *e)
{
	const char *text = r->error_text.v;
	int len = (int)r->error_text.len;

	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0)
		return err_set(e, EIO, "criu: %.*s", len, text);
	if (r->error)
		return err_set(e, EIO, "criu failed: %s", strerror(r->error));
	return err_set(e, EIO, "criu failed");
}

/* Tell the caller of a notification, and CRIU what he makes of it. */
static int notify(
	const struct criu_call *c, int sock, const struct criu_response *r, int fd, struct err *e)
{
	AUTO_CRIU_WRITER struct criu_writer w = {0};
	AUTO_CLOSE int came = fd;
	struct err ignored = {0};
	int n = c->notified ? c->notified(c->arg, r, came, e) : 0;

	criu_put_notified(&w, n == 0);
	if (n < 0) {
		(void)send_message(sock, &w, &ignored);
		return n;
	}
	return send_message(sock, &w, e);
}

/* Read messages up to the answer. */
static int converse(const struct criu_call *c, int sock, struct criu_response *ret, struct err *e)
{
	static char message[OCI_CRIU_MESSAGE_BYTES_MAX];

	for (;;) {
		int fd = -1;
		ssize_t n = sync_recv_fd(sock, message, sizeof(message), &fd);
		struct criu_response r;
		int done;

		if (n == 0 || n == -ECONNRESET)
			return err_set(e, EPIPE, "criu ended without an answer");
		if (n < 0)
			return err_set(
				e, (int)-n, "criu: wait for its answer: %s", strerror((int)-n));
		done = criu_read_response(message, (size_t)n, &r);
		if (done == 0 && r.success && r.type == CRIU_NOTIFY) {
			done = notify(c, sock, &r, fd, e);
			if (done < 0)
				return done;
			continue;
		}
		fd_close(&fd);
		if (done < 0)
			return err_set(e, -done, "criu: its answer is no message of its protocol");
		if (!r.success)
			return failure(&r, e);
		r.error_text = r.script = (struct criu_text){0};
		*ret = r;
		return 0;
	}
}

int criu_call(const struct criu_call *c, struct criu_response *ret, struct err *e)
{
	struct connection to = {.sock = -1};
	AUTO_CLOSE int sock = -1;
	int status = 0;
	int r = start(c, &to, e);

	if (r < 0)
		return r;
	sock = to.sock;
	r = send_message(sock, c->request, e);
	if (r == 0)
		r = converse(c, sock, ret, e);
	/* One that waits for more sees the end. */
	fd_close(&sock);
	while (waitpid(to.pid, &status, 0) < 0) {
		if (errno != EINTR)
			return r < 0 ? r : err_set(e, errno, "criu: wait: %s", strerror(errno));
	}
	if (r == 0 && status != 0 && !c->stays_behind)
		return err_set(e, EIO, "criu answered and then failed");
	return r;
}

static int ask(
	const char *program, const struct criu_writer *w, struct criu_response *ret, struct err *e)
{
	const struct criu_call c = {.program = program, .request = w, .cgroup = -1};

	return criu_call(&c, ret, e);
}

int criu_check_version(const char *program, struct err *e)
{
	AUTO_CRIU_WRITER struct criu_writer w = {0};
	struct criu_response got = {0};
	int r;

	criu_put_request(&w, CRIU_VERSION, NULL);
	r = ask(program, &w, &got, e);
	/* The request itself is of CRIU 3.0. */
	if (r == -EIO)
		return err_set(e, ENOTSUP,
			"criu: %s does not tell its version: expected " CRIU_VERSION_MIN_TEXT
			" or newer",
			program);
	if (r < 0)
		return r;
	if (got.major > 1000 || got.major * 10000 + got.minor * 100 < CRIU_VERSION_MIN)
		return err_set(e, ENOTSUP,
			"criu: %s is version %u.%u: expected " CRIU_VERSION_MIN_TEXT " or newer",
			program, got.major, got.minor);
	return 0;
}

int criu_check_tracking(const char *program, struct err *e)
{
	AUTO_CRIU_WRITER struct criu_writer w = {0};
	struct criu_response got = {0};
	int r;

	criu_put_feature_check(&w);
	r = ask(program, &w, &got, e);
	if (r == 0 && !got.mem_track)
		return err_set(e, ENOTSUP,
			"criu: this kernel does not tell which memory has changed, as --pre-dump "
			"and "
			"--parent-path need it");
	return r;
}

void criu_explain(int dirfd, const char *where, const char *log, struct err *e)
{
	AUTO_CLOSE int fd = openat(dirfd, log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	static char text[OCI_CRIU_LOG_BYTES_MAX];
	const struct err why = *e;
	struct criu_text found;
	struct stat st;
	off_t start_at;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	start_at = st.st_size > (off_t)sizeof(text) ? st.st_size - (off_t)sizeof(text) : 0;
	n = lseek(fd, start_at, SEEK_SET) < 0 ? -1 : io_read_all(fd, text, sizeof(text));
	if (n < 0)
		return;
	criu_find_error(text, (size_t)n, &found);
	if (found.v)
		err_set(e, why.code, "%.150s: %.*s (see %s/%s)", why.msg,
			(int)(found.len < 200 ? found.len : 200), found.v, where, log);
	else
		err_set(e, why.code, "%.150s (see %s/%s)", why.msg, where, log);
}
