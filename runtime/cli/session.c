#include "runtime/cli/session.h"

#include "lib/base/fd.h"
#include "runtime/cli/engine.h"
#include "runtime/cli/stream.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>

#define INPUT_BYTES 4096

static const int handed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};

struct pump {
	struct session *s;
	struct demux demux;
	struct detacher detacher;
	bool framed;
	bool input; /* standard input is open still */
	int signals;
	char pending[INPUT_BYTES + DETACH_KEYS_MAX]; /* input that waits for the engine */
	size_t pending_len;
};

bool detacher_feed(struct detacher *d, const char *bytes, size_t len, char *out, size_t *ret_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (d->n > 0 && (unsigned char)bytes[i] == d->keys[d->seen]) {
			if (++d->seen < d->n)
				continue;
			*ret_len = n;
			return true;
		}
		memcpy(out + n, d->keys, d->seen);
		n += d->seen;
		d->seen = d->n > 0 && (unsigned char)bytes[i] == d->keys[0];
		if (!d->seen)
			out[n++] = bytes[i];
	}
	*ret_len = n;
	return false;
}

int session_check(bool input, bool tty, struct err *e)
{
	if (!input || !tty || isatty(0))
		return 0;
	return err_set(e, ENOTTY,
		"cannot attach stdin to a TTY-enabled container because stdin is not a terminal");
}

bool session_size(unsigned *ret_rows, unsigned *ret_columns)
{
	struct winsize size;

	if (ioctl(1, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		return false;
	*ret_rows = size.ws_row;
	*ret_columns = size.ws_col;
	return true;
}

void session_resize(const struct session *s)
{
	AUTO_BUF struct buf url = {0};
	unsigned rows, columns;

	/* the program may not be there yet, or not any more: then its size is nobody's concern */
	if (s->resize && session_size(&rows, &columns) &&
		buf_printf(&url, "%s?h=%u&w=%u", s->resize, rows, columns) == 0)
		(void)engine_ask("POST", url.v, NULL, NULL, NULL);
}

static void fill_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGWINCH);
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++)
		sigaddset(set, handed_on[i]);
}

void session_prepare(const struct session *s)
{
	sigset_t set;

	(void)s;
	fill_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Returns 0, or 128 + N when the signal is not for the program. */
static int take_signal(struct pump *p)
{
	AUTO_BUF struct buf url = {0};
	struct signalfd_siginfo info;

	if (read(p->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	if (info.ssi_signo == SIGWINCH) {
		if (p->s->tty)
			session_resize(p->s);
		return 0;
	}
	if (!p->s->kill)
		return 128 + (int)info.ssi_signo;
	if (buf_printf(&url, "%s?signal=%u", p->s->kill, info.ssi_signo) == 0)
		(void)engine_ask("POST", url.v, NULL, NULL, NULL);
	return 0;
}

static int put_output(struct pump *p, struct err *e)
{
	const char *bytes;
	ssize_t n = http_read(p->s->http, &bytes, e);
	int r;

	if (n <= 0)
		return n < 0 ? (int)n : -ECANCELED;
	r = stream_put(&p->demux, p->framed, bytes, (size_t)n, e);
	return r;
}

static void end_input(struct pump *p)
{
	p->input = false;
	if (p->pending_len == 0)
		(void)shutdown(p->s->http->fd, SHUT_WR);
}

/* Returns SESSION_DETACHED when the keys came. */
static int take_input(struct pump *p)
{
	char bytes[INPUT_BYTES];
	ssize_t n = read(0, bytes, sizeof(bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return SESSION_OVER;
	if (n <= 0)
		end_input(p);
	else if (detacher_feed(&p->detacher, bytes, (size_t)n, p->pending, &p->pending_len))
		return SESSION_DETACHED;
	return SESSION_OVER;
}

/* The engine may be waiting for us to read, so it is never waited for. */
static void send_pending(struct pump *p)
{
	ssize_t n = send(p->s->http->fd, p->pending, p->pending_len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* the program does not read any more */
	if (n < 0) {
		p->pending_len = 0;
		p->input = false;
		return;
	}
	p->pending_len -= (size_t)n;
	memmove(p->pending, p->pending + n, p->pending_len);
	if (p->pending_len == 0 && !p->input)
		(void)shutdown(p->s->http->fd, SHUT_WR);
}

static int pump(struct pump *p, struct err *e)
{
	for (;;) {
		struct pollfd fds[3] = {
			{.fd = p->s->http->fd,
				.events = (short)(POLLIN | (p->pending_len ? POLLOUT : 0))},
			{.fd = p->input && p->pending_len == 0 ? 0 : -1, .events = POLLIN},
			{.fd = p->signals, .events = POLLIN},
		};
		int r = 0;

		if (!http_pending(p->s->http) && poll(fds, 3, -1) < 0 && errno != EINTR)
			return err_set(e, errno, "poll: %s", strerror(errno));
		if (fds[2].revents)
			r = take_signal(p);
		if (r > 0)
			return r;
		if (fds[0].revents & POLLOUT)
			send_pending(p);
		if (http_pending(p->s->http) || fds[0].revents & (POLLIN | POLLHUP | POLLERR))
			r = put_output(p, e);
		if (r < 0)
			return r == -ECANCELED ? SESSION_OVER : r;
		if (fds[1].revents && take_input(p) == SESSION_DETACHED)
			return SESSION_DETACHED;
	}
}

int session_run(struct session *s, struct err *e)
{
	struct pump p = {.s = s, .framed = stream_is_framed(s->http), .input = s->input};
	AUTO_CLOSE int signals = -1;
	bool raw = s->tty && s->input && isatty(0);
	struct termios before, changed;
	sigset_t set;
	int r;

	r = s->tty ? detach_keys_parse(
			     s->detach_keys ? s->detach_keys : "ctrl-p,ctrl-q", p.detacher.keys, e)
		   : 0;
	if (r < 0)
		return r;
	p.detacher.n = (size_t)r;
	fill_signals(&set);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return err_set(e, errno, "signalfd: %s", strerror(errno));
	p.signals = signals;
	if (raw && tcgetattr(0, &before) == 0) {
		changed = before;
		cfmakeraw(&changed);
		(void)tcsetattr(0, TCSANOW, &changed);
	} else {
		raw = false;
	}
	if (!s->input)
		(void)shutdown(s->http->fd, SHUT_WR);
	r = pump(&p, e);
	if (raw)
		(void)tcsetattr(0, TCSANOW, &before);
	return r;
}
