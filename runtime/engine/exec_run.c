/* An exec instance's process: its start, and its end. */
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "runtime/engine/container.h"
#include "runtime/engine/exec.h"
#include "runtime/engine/health.h"
#include "runtime/engine/limits.h"
#include "runtime/engine/spec.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* What is made on the way to a running process. */
struct launch {
	struct engine *en;
	struct exec *x;
	int child[3]; /* its descriptors, unless it has a terminal */
	int listener; /* for its terminal's master */
	char console[128];
	int process; /* its JSON */
	int handover[2];
	struct runtime_child runtime;
	int pid;
	int pidfd;
	int exit_code; /* of what could not be run */
};

static bool flag(const struct exec *x, const char *key)
{
	return yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(x->record), key));
}

static int make_io(struct launch *l, bool detach, struct err *e)
{
	struct exec *x = l->x;
	const bool wanted[] = {!detach && flag(x, "AttachStdin"),
		!detach && flag(x, "AttachStdout"), !detach && flag(x, "AttachStderr")};

	if (!x->io->tty)
		return stdio_make_pipes(x->io, wanted, l->child, e);
	l->listener = terminal_listen(l->en, x->id, l->console, sizeof(l->console), e);
	return l->listener < 0 ? l->listener : 0;
}

static int run(struct launch *l, struct err *e)
{
	const char *const args[] = {"exec", "--detach", "--handover-fd", "4", "--process",
		"/proc/self/fd/5", l->x->io->tty ? "--console-socket" : l->x->c->id,
		l->x->io->tty ? l->console : NULL, l->x->c->id, NULL};
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, l->handover) < 0)
		return err_set(e, errno, "socketpair: %s", strerror(errno));
	r = runtime_spawn(l->en, args, l->x->io->tty ? NULL : l->child,
		(const int[]){l->handover[1], l->process}, 2, &l->runtime, e);
	for (int i = 0; i < 3; i++)
		fd_close(&l->child[i]);
	fd_close(&l->handover[1]);
	return r;
}

/* The process, which the runtime holds until it gets its byte. Returns -EPIPE when it has none. */
static int receive(struct launch *l)
{
	int32_t number = 0;
	struct iovec iov = {&number, sizeof(number)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n;

	do {
		n = recvmsg(l->handover[0], &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(number) || control.header.cmsg_type != SCM_RIGHTS)
		return -EPIPE;
	l->pid = number;
	memcpy(&l->pidfd, CMSG_DATA(&control.header), sizeof(int));
	return 0;
}

/* Leave copies of its output with init, so that it has a reader again when this engine is gone. */
static void keep_output(struct launch *l)
{
	static const char *const names[LOG_STREAMS] = {"stdout", "stderr"};
	struct stdio *io = l->x->io;
	struct err e = {0};
	int r = 0;

	for (int i = 0; i < LOG_STREAMS && r == 0; i++)
		if (io->out[i].fd >= 0)
			r = initlink_keep_fd(&l->en->init, l->x->id, names[i], io->out[i].fd, &e);
	/* A terminal's size is changed through it. */
	if (r == 0 && io->tty)
		r = initlink_keep_fd(&l->en->init, l->x->id, "stdin", io->in, &e);
	if (r < 0)
		log_warn("exec %.12s: its output will not outlive the engine: %s", l->x->id, e.msg);
}

/* Everybody who must know of the process does; then the runtime may let go of it. */
static int take_over(struct launch *l, struct err *e)
{
	struct exec *x = l->x;
	int r = initlink_adopt(&l->en->init, x->id, l->pid, l->pidfd, e);

	if (r == 0 && x->io->tty) {
		int master = terminal_take(l->listener, e);

		r = master < 0 ? master : stdio_set_terminal(x->io, master, e);
	}
	if (r < 0)
		return r;
	keep_output(l);
	pthread_mutex_lock(&l->en->lock);
	x->state.status = EXEC_RUNNING;
	x->state.pid = l->pid;
	x->pidfd = TAKE_FD(l->pidfd);
	r = exec_save(l->en, x, e);
	pthread_mutex_unlock(&l->en->lock);
	if (r == 0)
		r = io_write_all(l->handover[0], "", 1);
	return r < 0 && !e->code ? err_set(e, -r, "the runtime is gone: %s", strerror(-r)) : r;
}

static int launch(struct launch *l, const struct exec_start *how, struct err *e)
{
	int r;

	l->process = exec_spec(l->en, l->x, how, e);
	r = l->process < 0 ? l->process : make_io(l, how->detach, e);
	if (r == 0)
		r = run(l, e);
	if (r < 0)
		return r;
	if (receive(l) == 0) {
		r = take_over(l, e);
		/* Without its byte it kills the process; with it, its end says nothing new. */
		fd_close(&l->handover[0]);
		(void)runtime_finish(&l->runtime, NULL);
		return r;
	}
	r = runtime_finish(&l->runtime, e);
	if (r == 0)
		return err_set(e, EIO, "OCI runtime exec failed: it told of no process");
	l->exit_code = runtime_exit_code(e);
	/* Docker's words, by which clients tell this from what the program prints. */
	return err_wrap(
		e, "OCI runtime exec failed: exec failed: unable to start container process");
}

static void launch_end(struct launch *l)
{
	for (int i = 0; i < 3; i++)
		fd_close(&l->child[i]);
	if (l->listener >= 0)
		(void)unlink(l->console);
	fd_close(&l->listener);
	fd_close(&l->process);
	fd_close(&l->handover[0]);
	fd_close(&l->handover[1]);
	fd_close(&l->pidfd);
}

/* With x->op: it could not be run, which is how it ended. */
static void note_failure(struct engine *en, struct exec *x, int exit_code)
{
	struct err e = {0};

	(void)initlink_drop_fds(&en->init, x->id, NULL, &e);
	pthread_mutex_lock(&en->lock);
	x->state.exit_code = exit_code;
	x->state.status = EXEC_DONE;
	x->state.done_ms = time_now_ms();
	fd_close(&x->pidfd);
	if (exec_save(en, x, &e) < 0)
		log_error("exec %.12s: %s", x->id, e.msg);
	pthread_cond_broadcast(&x->c->changed);
	pthread_mutex_unlock(&en->lock);
	stdio_abandon(x->io);
}

int exec_start(struct engine *en, struct exec *x, const struct exec_start *how, struct err *e)
{
	struct launch l = {.en = en,
		.x = x,
		.child = {-1, -1, -1},
		.listener = -1,
		.process = -1,
		.handover = {-1, -1},
		.pidfd = -1,
		.exit_code = 126};
	struct exec_state s;
	int r;

	pthread_mutex_lock(&x->op);
	s = exec_state(en, x);
	if (s.status != EXEC_CREATED) {
		r = err_set(e, EBUSY, "Error: Exec command %s %s", x->id,
			s.status == EXEC_RUNNING ? "is already running" : "has already run");
	} else {
		exec_tell(en, x, "exec_start", NULL);
		r = launch(&l, how, e);
		if (r == 0)
			r = stdio_start(x->io, e);
		launch_end(&l);
		if (r < 0)
			note_failure(en, x, l.exit_code);
		/* Docker: the client asked for what cannot be run. */
		if (r < 0 && l.exit_code != 128)
			e->code = EINVAL;
		r = r < 0 ? -e->code : 0;
	}
	pthread_mutex_unlock(&x->op);
	return r;
}

int exec_take_back(struct engine *en, struct exec *x, struct err *e)
{
	char name[INIT_FD_NAME_BYTES];
	unsigned i = 0;
	int fd;

	while ((fd = initlink_give_fd(&en->init, x->id, i++, name, e)) >= 0) {
		if (strcmp(name, "stdin") == 0)
			x->io->in = fd;
		else
			x->io->out[strcmp(name, "stderr") == 0 ? LOG_STDERR : LOG_STDOUT].fd = fd;
	}
	return fd == -ENOENT ? stdio_start(x->io, e) : fd;
}

/* With x->op. */
static void note_end(struct engine *en, struct exec *x, const struct init_exit *end)
{
	struct err e = {0};
	int code = init_exit_code(end);

	/* Its last words first: who hears of the end has all of them. */
	stdio_wait_end(x->io, OUTPUT_LEFT_MS);
	pthread_mutex_lock(&en->lock);
	x->state.status = EXEC_DONE;
	x->state.exit_code = code;
	x->state.done_ms = time_now_ms();
	fd_close(&x->pidfd);
	if (exec_save(en, x, &e) < 0)
		log_error("exec %.12s: %s", x->id, e.msg);
	pthread_cond_broadcast(&x->c->changed);
	pthread_mutex_unlock(&en->lock);
	exec_tell(en, x, "exec_die", &code);
	stdio_abandon(x->io);
}

bool exec_ended(struct engine *en, const struct init_exit *end)
{
	struct err e = {0};
	struct exec *x;

	if (exec_get(en, end->h.id, &x, &e) < 0)
		return false;
	pthread_mutex_lock(&x->op);
	if (exec_state(en, x).status == EXEC_RUNNING) {
		note_end(en, x, end);
		if (x->probe)
			health_probe_ended(en, x);
	}
	pthread_mutex_unlock(&x->op);
	(void)initlink_drop_fds(&en->init, x->id, NULL, &e);
	(void)initlink_ack(&en->init, x->id, &e);
	exec_put(x);
	return true;
}
