/* The runtime as the foreground process of a shell: signals forwarded, terminal copied. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

/* bytes copied at once between the terminals */
#define COPY_BYTES 8192

/* copies of the terminal's output after the end of its process: more than a terminal holds (64 KiB)
 */
#define LAST_COPIES 32

static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGTSTP, SIGWINCH};

void foreground_block(sigset_t *ret_forwarded)
{
	sigemptyset(ret_forwarded);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(ret_forwarded, forwarded[i]);
	sigprocmask(SIG_BLOCK, ret_forwarded, NULL);
}

static void copy_size(int master)
{
	struct winsize size;

	if (ioctl(0, TIOCGWINSZ, &size) == 0)
		(void)ioctl(master, TIOCSWINSZ, &size);
}

static void take_signal(int signals, int pidfd, int master)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH && master >= 0)
		copy_size(master);
	else
		(void)sys_pidfd_send_signal(pidfd, (int)info.ssi_signo, NULL, 0);
}

/* What was typed and the terminal did not take yet. */
struct input {
	char buf[COPY_BYTES];
	size_t len;
};

/* Returns false at the end of the stream. */
static bool read_input(struct input *in)
{
	ssize_t n = read(0, in->buf, sizeof(in->buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	in->len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void write_input(int master, struct input *in)
{
	ssize_t n = write(master, in->buf, in->len);

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		in->len = 0;
	if (n > 0) {
		in->len -= (size_t)n;
		memmove(in->buf, in->buf + n, in->len);
	}
}

/* Returns false at the end: a terminal whose last user is gone reads as EIO. */
static bool copy_output(int master)
{
	char buf[COPY_BYTES];
	ssize_t n = read(master, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	/* When nobody reads our output any more the container must not hang for it. */
	if (n > 0)
		(void)io_write_all(1, buf, (size_t)n);
	return n > 0;
}

static int exit_status(int pidfd, struct err *e)
{
	siginfo_t info = {0};

	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0) {
		if (errno != EINTR)
			return err_set(e, errno, "wait: %s", strerror(errno));
	}
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* @master does not block: who waited for it to take input would not read its output, and what runs
 * in it waits for that. */
static void loop(int pidfd, int master, int signals)
{
	enum { PROCESS, SIGNALS, INPUT, OUTPUT, N };
	struct pollfd p[N] = {
		[PROCESS] = {.fd = pidfd, .events = POLLIN},
		[SIGNALS] = {.fd = signals, .events = POLLIN},
		[INPUT] = {.events = POLLIN},
		[OUTPUT] = {.fd = master},
	};
	bool typing = master >= 0;
	struct input in = {.len = 0};

	for (;;) {
		p[INPUT].fd = typing && in.len == 0 ? 0 : -1;
		p[OUTPUT].events = in.len > 0 ? POLLIN | POLLOUT : POLLIN;
		if (poll(p, N, -1) < 0) {
			if (errno != EINTR)
				return;
			continue;
		}
		if (p[SIGNALS].revents)
			take_signal(signals, pidfd, master);
		if ((p[OUTPUT].revents & ~POLLOUT) && !copy_output(master)) {
			p[OUTPUT].fd = -1;
			typing = false;
		}
		if (p[OUTPUT].revents & POLLOUT)
			write_input(master, &in);
		if (p[INPUT].revents)
			typing = read_input(&in);
		if (p[PROCESS].revents)
			break;
	}
	/* What it wrote last is still in the terminal; but others may go on writing. */
	for (int i = 0; i < LAST_COPIES && p[OUTPUT].fd >= 0 && poll(&p[OUTPUT], 1, 0) > 0; i++) {
		if (!copy_output(master))
			break;
	}
}

int foreground(int pidfd, int master, const sigset_t *signals, struct err *e)
{
	AUTO_CLOSE int fd = signalfd(-1, signals, SFD_CLOEXEC);
	struct termios old;
	bool raw = false;

	if (fd < 0)
		return err_set(e, errno, "signalfd: %s", strerror(errno));
	if (master >= 0 && fd_set_nonblock(master, 1) < 0)
		return err_set(e, errno, "process.terminal: %s", strerror(errno));
	if (master >= 0 && tcgetattr(0, &old) == 0) {
		struct termios t = old;

		cfmakeraw(&t);
		raw = tcsetattr(0, TCSANOW, &t) == 0;
		copy_size(master);
	}
	loop(pidfd, master, fd);
	if (raw)
		(void)tcsetattr(0, TCSANOW, &old);
	return exit_status(pidfd, e);
}
