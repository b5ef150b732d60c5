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

static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGTSTP, SIGWINCH};

void foreground_block(sigset_t *ret_forwarded, sigset_t *ret_old)
{
	sigemptyset(ret_forwarded);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(ret_forwarded, forwarded[i]);
	sigprocmask(SIG_BLOCK, ret_forwarded, ret_old);
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

/* Returns 0 at the end of the stream: a terminal whose last user is gone reads as EIO. */
static int copy(int from, int to)
{
	char buf[COPY_BYTES];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n <= 0)
		return 0;
	return io_write_all(to, buf, (size_t)n) == 0;
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

static void loop(int pidfd, int master, int signals)
{
	enum { PROCESS, SIGNALS, INPUT, OUTPUT, N };
	struct pollfd p[N] = {
		[PROCESS] = {.fd = pidfd, .events = POLLIN},
		[SIGNALS] = {.fd = signals, .events = POLLIN},
		[INPUT] = {.fd = master < 0 ? -1 : 0, .events = POLLIN},
		[OUTPUT] = {.fd = master, .events = POLLIN},
	};

	for (;;) {
		if (poll(p, N, -1) < 0 && errno != EINTR)
			return;
		if (p[SIGNALS].revents)
			take_signal(signals, pidfd, master);
		if (p[OUTPUT].revents && !copy(master, 1))
			p[OUTPUT].fd = -1;
		if (p[INPUT].revents && !copy(0, master))
			p[INPUT].fd = -1;
		if (p[PROCESS].revents)
			break;
	}
	/* What it wrote last is still in the terminal. */
	while (p[OUTPUT].fd >= 0 && poll(&p[OUTPUT], 1, 0) > 0 && copy(master, 1))
		;
}

int foreground(int pidfd, int master, const sigset_t *signals, struct err *e)
{
	AUTO_CLOSE int fd = signalfd(-1, signals, SFD_CLOEXEC);
	struct termios old;
	bool raw = false;

	if (fd < 0)
		return err_set(e, errno, "signalfd: %s", strerror(errno));
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
