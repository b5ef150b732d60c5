#include "runtime/engine/stdio.h"

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "runtime/engine/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

/* bytes read at once: the size of a pipe */
#define READ_BYTES 65536

/* the header of a frame: which stream, three zeros, the length, highest byte first */
#define FRAME_BYTES 8

struct stdio *stdio_new(struct stdio_loop *loop, bool tty)
{
	struct stdio *io = calloc(1, sizeof(*io));
	pthread_condattr_t attr;

	if (!io)
		return NULL;
	io->loop = loop;
	io->refs = 1;
	io->tty = tty;
	io->in = -1;
	io->log.fd = -1;
	pthread_mutex_init(&io->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&io->changed, &attr);
	pthread_condattr_destroy(&attr);
	for (int i = 0; i < LOG_STREAMS; i++)
		io->out[i] = (struct stdio_stream){.io = io, .which = (enum log_stream)i, .fd = -1};
	return io;
}

void stdio_ref(struct stdio *io)
{
	__atomic_add_fetch(&io->refs, 1, __ATOMIC_RELAXED);
}

static void give_back(struct stdio *io, unsigned n)
{
	if (__atomic_sub_fetch(&io->refs, n, __ATOMIC_ACQ_REL))
		return;
	fd_close(&io->in);
	for (int i = 0; i < LOG_STREAMS; i++)
		fd_close(&io->out[i].fd);
	logfile_close(&io->log);
	pthread_cond_destroy(&io->changed);
	pthread_mutex_destroy(&io->lock);
	free(io);
}

void stdio_unref(struct stdio *io)
{
	if (io)
		give_back(io, 1);
}

/* One of the program's descriptors: a pipe's end, with ours in @ret_own, or /dev/null. */
static int make_pipe(int which, bool wanted, int *ret_own)
{
	int p[2];

	if (!wanted)
		return open("/dev/null", (which ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	*ret_own = which ? p[0] : p[1];
	/* Each end has this flag to itself. */
	(void)fd_set_nonblock(*ret_own, 1);
	return which ? p[1] : p[0];
}

int stdio_make_pipes(
	struct stdio *io, const bool wanted[static 3], int ret_child[static 3], struct err *e)
{
	int *own[3] = {&io->in, &io->out[LOG_STDOUT].fd, &io->out[LOG_STDERR].fd};

	for (int i = 0; i < 3; i++)
		ret_child[i] = -1;
	for (int i = 0; i < 3; i++) {
		ret_child[i] = make_pipe(i, wanted[i], own[i]);
		if (ret_child[i] < 0) {
			int saved = errno;

			for (int k = 0; k < i; k++)
				fd_close(&ret_child[k]);
			return err_set(e, saved, "make pipes: %s", strerror(saved));
		}
	}
	return 0;
}

int stdio_set_terminal(struct stdio *io, int master, struct err *e)
{
	io->in = master;
	io->out[LOG_STDOUT].fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (io->out[LOG_STDOUT].fd < 0)
		return err_set(e, errno, "terminal: %s", strerror(errno));
	/* Both descriptors share the flag: writers wait by poll. */
	return fd_set_nonblock(master, 1);
}

static void wake(struct attach *a)
{
	uint64_t one = 1;

	(void)!write(a->event, &one, sizeof(one));
}

static int add_head(struct buf *b, enum log_stream stream, size_t len)
{
	const unsigned char head[FRAME_BYTES] = {(unsigned char)(stream + 1), 0, 0, 0,
		(unsigned char)(len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8),
		(unsigned char)len};

	return buf_add(b, head, sizeof(head));
}

/* With the lock: have @a get @len bytes of @stream. */
static void hand_on(struct attach *a, enum log_stream stream, const char *bytes, size_t len)
{
	if (!a->streams[stream])
		return;
	if (a->keep && a->queue.len + len > a->keep) {
		a->cut = true;
		len = a->keep - a->queue.len;
	}
	/* Without memory this client misses something; the container must not suffer. */
	if (a->framed && add_head(&a->queue, stream, len) < 0)
		return;
	(void)buf_add(&a->queue, bytes, len);
	wake(a);
}

static bool anyone_behind(const struct stdio *io)
{
	for (const struct attach *a = io->attached; a; a = a->next)
		if (a->queue.len > ATTACH_BEHIND_MAX)
			return true;
	return false;
}

/* With the lock: stop or go on reading. */
static void set_paused(struct stdio *io, bool paused)
{
	for (int i = 0; i < LOG_STREAMS; i++) {
		struct stdio_stream *s = &io->out[i];
		struct epoll_event ev = {.events = paused ? 0 : EPOLLIN, .data.ptr = s};

		if (s->fd < 0 || s->paused == paused)
			continue;
		s->paused = paused;
		(void)epoll_ctl(io->loop->epoll, EPOLL_CTL_MOD, s->fd, &ev);
	}
}

/* With the lock: nothing will follow. */
static void end_all(struct stdio *io, bool held)
{
	io->ended = true;
	io->over |= !held;
	for (struct attach *a = io->attached; a && io->over; a = a->next)
		wake(a);
}

/* With the lock, so that no output is looked at before it is noted who owns it. */
static int watch(struct stdio_stream *stream)
{
	struct stdio *io = stream->io;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = stream};

	if (epoll_ctl(io->loop->epoll, EPOLL_CTL_ADD, stream->fd, &ev) < 0)
		return -errno;
	stdio_ref(io);
	stream->watched = true;
	return 0;
}

int stdio_start(struct stdio *io, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&io->lock);
	io->open = true;
	for (struct attach *a = io->attached; a; a = a->next)
		wake(a);
	for (int i = 0; i < LOG_STREAMS && r == 0; i++)
		if (io->out[i].fd >= 0)
			r = watch(&io->out[i]);
	if (io->out[LOG_STDOUT].fd < 0 && io->out[LOG_STDERR].fd < 0)
		end_all(io, io->held);
	pthread_mutex_unlock(&io->lock);
	return r < 0 ? err_set(e, -r, "watch output: %s", strerror(-r)) : 0;
}

/* With the lock: the stream is through. */
static void end_stream(struct stdio_stream *s)
{
	struct stdio *io = s->io;

	(void)epoll_ctl(io->loop->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	fd_close(&s->fd);
	(void)logfile_flush(&io->log, s->which);
	if (io->out[LOG_STDOUT].fd < 0 && io->out[LOG_STDERR].fd < 0)
		end_all(io, io->held);
	pthread_cond_broadcast(&io->changed);
}

static void on_output(struct stdio_stream *s, char *buf)
{
	struct stdio *io = s->io;
	bool ended = false;
	ssize_t n;

	pthread_mutex_lock(&io->lock);
	if (s->fd < 0) { /* abandoned meanwhile */
		pthread_mutex_unlock(&io->lock);
		return;
	}
	n = read(s->fd, buf, READ_BYTES);
	if (n > 0) {
		int r = logfile_add(&io->log, s->which, buf, (size_t)n);

		if (r < 0)
			log_error("%s: %s: output lost", io->log.path, strerror(-r));
		io->written += (uint64_t)n;
		for (struct attach *a = io->attached; a; a = a->next)
			hand_on(a, s->which, buf, (size_t)n);
		if (anyone_behind(io))
			set_paused(io, true);
		pthread_cond_broadcast(&io->changed);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		/* A terminal says EIO when its last user is gone. */
		end_stream(s);
		ended = true;
	}
	pthread_mutex_unlock(&io->lock);
	if (ended)
		stdio_unref(io);
}

/* Between two waits no event is under way, so nothing points to these any more. */
static void give_back_abandoned(struct stdio_loop *loop)
{
	struct stdio *io;

	pthread_mutex_lock(&loop->lock);
	io = loop->abandoned;
	loop->abandoned = NULL;
	pthread_mutex_unlock(&loop->lock);
	while (io) {
		struct stdio *next = io->next_abandoned;

		give_back(io, io->owed);
		io = next;
	}
}

static void *run_loop(void *arg)
{
	struct stdio_loop *loop = arg;
	char *buf = malloc(READ_BYTES);

	while (buf) {
		struct epoll_event ev;

		give_back_abandoned(loop);

		/* One at a time: what the event points to may go while another is served. */
		if (epoll_wait(loop->epoll, &ev, 1, -1) == 1)
			on_output(ev.data.ptr, buf);
	}
	return NULL;
}

int stdio_loop_start(struct stdio_loop *loop, struct err *e)
{
	int r;

	*loop = (struct stdio_loop){0};
	pthread_mutex_init(&loop->lock, NULL);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		return err_set(e, errno, "epoll: %s", strerror(errno));
	r = pthread_create(&loop->thread, NULL, run_loop, loop);
	return r ? err_set(e, r, "start a thread: %s", strerror(r)) : 0;
}

void stdio_wait_end(struct stdio *io, uint64_t ms)
{
	struct timespec until = time_in_ms(ms);

	pthread_mutex_lock(&io->lock);
	while (!io->ended && pthread_cond_timedwait(&io->changed, &io->lock, &until) == 0)
		;
	pthread_mutex_unlock(&io->lock);
}

void stdio_abandon(struct stdio *io)
{
	unsigned owed = 0;

	pthread_mutex_lock(&io->lock);
	for (int i = 0; i < LOG_STREAMS; i++) {
		if (io->out[i].fd >= 0) {
			owed += io->out[i].watched;
			end_stream(&io->out[i]);
		}
	}
	fd_close(&io->in);
	/* Also of a program that never ran: who attached waits for the end. */
	end_all(io, false);
	pthread_cond_broadcast(&io->changed);
	pthread_mutex_unlock(&io->lock);
	if (!owed)
		return;
	pthread_mutex_lock(&io->loop->lock);
	io->owed = owed;
	io->next_abandoned = io->loop->abandoned;
	io->loop->abandoned = io;
	pthread_mutex_unlock(&io->loop->lock);
}

ssize_t stdio_write(struct stdio *io, const void *bytes, size_t len)
{
	ssize_t n;

	pthread_mutex_lock(&io->lock);
	n = io->in < 0 ? -EPIPE : write(io->in, bytes, len);
	if (n < 0 && io->in >= 0)
		n = errno == EAGAIN || errno == EINTR ? 0 : -errno;
	pthread_mutex_unlock(&io->lock);
	return n;
}

int stdio_input(struct stdio *io)
{
	int fd;

	/* One of its own: the other may be closed while this one is waited for. */
	pthread_mutex_lock(&io->lock);
	fd = io->in < 0 ? -1 : fcntl(io->in, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_unlock(&io->lock);
	return fd;
}

void stdio_close_stdin(struct stdio *io)
{
	pthread_mutex_lock(&io->lock);
	/* A terminal's input ends by a character, and its descriptor is the output's too. */
	if (!io->tty)
		fd_close(&io->in);
	pthread_mutex_unlock(&io->lock);
}

int stdio_resize(struct stdio *io, unsigned rows, unsigned columns)
{
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	int r;

	pthread_mutex_lock(&io->lock);
	r = io->in < 0 || !io->tty ? -ENOTTY : ioctl(io->in, TIOCSWINSZ, &size) < 0 ? -errno : 0;
	pthread_mutex_unlock(&io->lock);
	return r;
}

int attach_begin(struct attach *a, struct stdio *io, bool out, bool err)
{
	*a = (struct attach){.io = io, .streams = {out, err}, .framed = !io->tty};
	a->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->event < 0)
		return -errno;
	stdio_ref(io);
	pthread_mutex_lock(&io->lock);
	a->next = io->attached;
	io->attached = a;
	if (io->over)
		wake(a);
	pthread_mutex_unlock(&io->lock);
	return 0;
}

void attach_end(struct attach *a)
{
	struct stdio *io = a->io;

	pthread_mutex_lock(&io->lock);
	for (struct attach **at = &io->attached; *at; at = &(*at)->next) {
		if (*at == a) {
			*at = a->next;
			break;
		}
	}
	if (!anyone_behind(io))
		set_paused(io, false);
	pthread_mutex_unlock(&io->lock);
	buf_free(&a->queue);
	fd_close(&a->event);
	stdio_unref(io);
}

bool attach_takes_input(const struct attach *a)
{
	bool open;

	pthread_mutex_lock(&a->io->lock);
	open = a->io->open;
	pthread_mutex_unlock(&a->io->lock);
	return open;
}

bool attach_take(struct attach *a, struct buf *ret)
{
	struct stdio *io = a->io;
	uint64_t count;
	bool ended;

	pthread_mutex_lock(&io->lock);
	(void)!read(a->event, &count, sizeof(count));
	*ret = a->queue;
	a->queue = (struct buf){0};
	ended = io->over;
	if (!anyone_behind(io))
		set_paused(io, false);
	pthread_mutex_unlock(&io->lock);
	return ended;
}
