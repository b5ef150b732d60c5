/* Start, stop, kill, pause, removal, and the end of containers. */
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/sys.h"
#include "lib/base/time.h"
#include "lib/util/rmtree.h"
#include "runtime/engine/container.h"
#include "runtime/engine/exec.h"
#include "runtime/engine/health.h"
#include "runtime/engine/limits.h"
#include "runtime/engine/mountpoints.h"
#include "runtime/engine/spec.h"
#include "runtime/engine/stage.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct stdio *container_io(struct engine *en, struct container *c)
{
	struct stdio *io;

	pthread_mutex_lock(&en->lock);
	if (!c->io || (c->io->started && !container_runs(&c->state))) {
		stdio_unref(c->io);
		c->io = stdio_new(
			&en->stdio, yyjson_get_bool(yyjson_obj_get(container_config(c), "Tty")));
	}
	io = c->io;
	if (io)
		stdio_ref(io);
	pthread_mutex_unlock(&en->lock);
	return io;
}

/* Change the state, put it on record, and tell who waits. */
void container_set_state(struct engine *en, struct container *c, const struct container_state *s)
{
	struct err e = {0};

	pthread_mutex_lock(&en->lock);
	c->state = *s;
	if (container_save_state(en, c, &e) < 0)
		log_error("container %.12s: %s", c->id, e.msg);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&en->lock);
}

static int read_pid(struct engine *en, struct container *c, struct err *e)
{
	char path[4096];
	char text[32];
	ssize_t n;

	container_path(en, c, "pid", path, sizeof(path));
	n = io_read_file_at(AT_FDCWD, path, text, sizeof(text));
	return n <= 0 ? err_set(e, EIO, "%s: cannot be read", path) : atoi(text);
}

/* Run `create`; afterwards the process waits to be started. Returns its number, or -errno. */
static int oci_create(struct engine *en, struct container *c, struct stdio *io, struct err *e)
{
	bool with_stdin = yyjson_get_bool(yyjson_obj_get(container_config(c), "OpenStdin"));
	char bundle[4096];
	char pid_file[4096];
	char console[128];
	int child[3] = {-1, -1, -1};
	AUTO_CLOSE int listener = -1;
	int r;

	container_path(en, c, "", bundle, sizeof(bundle));
	container_path(en, c, "pid", pid_file, sizeof(pid_file));
	if (io->tty) {
		listener = terminal_listen(en, c->id, console, sizeof(console), e);
		r = listener < 0 ? listener : 0;
	} else {
		r = stdio_make_pipes(io, (const bool[]){with_stdin, true, true}, child, e);
	}
	if (r == 0) {
		const char *const args[] = {"create", "--bundle", bundle, "--pid-file", pid_file,
			io->tty ? "--console-socket" : c->id, io->tty ? console : NULL, c->id,
			NULL};

		r = runtime_run(en, args, io->tty ? NULL : child, e);
	}
	for (int i = 0; i < 3; i++)
		fd_close(&child[i]);
	if (r == 0 && io->tty) {
		int master = terminal_take(listener, e);

		r = master < 0 ? master : stdio_set_terminal(io, master, e);
	}
	if (io->tty)
		(void)unlink(console);
	return r < 0 ? r : read_pid(en, c, e);
}

void container_oci_delete(struct engine *en, const struct container *c)
{
	const char *const args[] = {"delete", "--force", c->id, NULL};
	struct err e = {0};

	if (runtime_run(en, args, NULL, &e) < 0)
		log_warn("container %.12s: delete: %s", c->id, e.msg);
}

/* Leave copies of the descriptors with init: they outlive this engine. */
static void keep_descriptors(struct engine *en, struct container *c, struct stdio *io)
{
	static const char *const names[LOG_STREAMS] = {"stdout", "stderr"};
	struct err e = {0};
	int r = 0;

	if (io->in >= 0)
		r = initlink_keep_fd(&en->init, c->id, "stdin", io->in, &e);
	for (int i = 0; i < LOG_STREAMS && r == 0; i++)
		if (io->out[i].fd >= 0 && !(io->tty && i == LOG_STDERR))
			r = initlink_keep_fd(&en->init, c->id, names[i], io->out[i].fd, &e);
	if (r < 0)
		log_warn("container %.12s: its output will not outlive the engine: %s", c->id,
			e.msg);
}

void container_close_stdin(struct engine *en, struct container *c, struct stdio *io)
{
	struct err e = {0};

	/* The program sees the end when the last writer is gone, and init has a copy. */
	stdio_close_stdin(io);
	if (!io->tty && initlink_drop_fds(&en->init, c->id, "stdin", &e) < 0)
		log_warn("container %.12s: close its input: %s", c->id, e.msg);
}

/* From a stopped container to a running one. With c->op. */
static int start_process(
	struct engine *en, struct container *c, struct stdio *io, int *ret_pid, struct err *e)
{
	const char *const start[] = {"start", c->id, NULL};
	AUTO_CLOSE int root = rootfs_mount(en, c, e);
	AUTO_CLOSE int pidfd = -1;
	int pid;
	int r;

	if (root < 0)
		return root;
	r = mountpoints_take(en, c, e);
	if (r == 0)
		r = spec_write(en, c, root, e);
	fd_close(&root);
	pid = r < 0 ? r : oci_create(en, c, io, e);
	/* The container has a copy of its own. */
	stage_clear(en, c);
	rootfs_unmount(en, c);
	if (pid < 0)
		return pid;
	*ret_pid = pid;
	pidfd = sys_pidfd_open(pid, 0);
	r = pidfd < 0 ? err_set(e, errno, "the container's process is gone")
		      : initlink_adopt(&en->init, c->id, pid, pidfd, e);
	if (r == 0) {
		keep_descriptors(en, c, io);
		r = stdio_start(io, e);
	}
	return r < 0 ? r : runtime_run(en, start, NULL, e);
}

/* With c->op. */
static int start_locked(struct engine *en, struct container *c, struct err *e)
{
	struct container_state s = container_state(en, c);
	struct stdio *io;
	int pid = 0;
	int r;

	if (container_runs(&s))
		return err_set(e, EALREADY, "container %s is already started", c->id);
	if (s.status == CONTAINER_REMOVING || c->removed)
		return err_set(e, EBUSY, "container is marked for removal and cannot be started");
	io = container_io(en, c);
	if (!io)
		return err_set(e, ENOMEM, "out of memory");
	io->started = true;
	r = container_open_log(en, c, io, e);
	if (r == 0)
		r = start_process(en, c, io, &pid, e);
	if (r < 0) {
		struct err ignored = {0};

		container_oci_delete(en, c);
		if (pid)
			(void)initlink_ack(&en->init, c->id, &ignored);
		(void)initlink_drop_fds(&en->init, c->id, NULL, &ignored);
		stdio_abandon(io);
		mountpoints_give_back(en, c);
		s.exit_code = runtime_exit_code(e);
		r = -e->code;
		(void)snprintf(s.error, sizeof(s.error), "%.255s", e->msg);
		container_set_state(en, c, &s);
	} else {
		s = (struct container_state){.status = CONTAINER_RUNNING,
			.pid = pid,
			.started_ns = realtime_ns(),
			.finished_ns = s.finished_ns,
			.restarts = s.restarts};
		container_set_state(en, c, &s);
		health_start(en, c);
		container_tell(en, c, "start", NULL);
	}
	stdio_unref(io);
	return r;
}

int container_start(struct engine *en, struct container *c, struct err *e)
{
	int r;

	if (c->declared)
		return declared_command(en, c, INIT_START, e);
	pthread_mutex_lock(&c->op);
	r = start_locked(en, c, e);
	pthread_mutex_unlock(&c->op);
	/* Whoever waits for its removal would wait for ever. */
	if (r < 0 && r != -EALREADY &&
		yyjson_get_bool(yyjson_obj_get(container_host_config(c), "AutoRemove"))) {
		struct err ignored = {0};

		(void)container_remove(en, c, true, true, &ignored);
	}
	return r;
}

/* Send @signal to the first process; -ESRCH when there is none any more. */
int container_signal(struct engine *en, struct container *c, int signal)
{
	struct container_state s = container_state(en, c);
	AUTO_CLOSE int pidfd = container_runs(&s) && s.pid ? sys_pidfd_open(s.pid, 0) : -1;

	/* The number is still its own: init has not waited for it before we were told. */
	if (pidfd < 0)
		return -ESRCH;
	return sys_pidfd_send_signal(pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

bool container_wait_stopped(struct engine *en, struct container *c, int64_t ms)
{
	struct timespec until = time_in_ms(ms < 0 ? 0 : (uint64_t)ms);
	bool stopped;

	pthread_mutex_lock(&en->lock);
	while (container_runs(&c->state)) {
		int r = ms < 0 ? pthread_cond_wait(&c->changed, &en->lock)
			       : pthread_cond_timedwait(&c->changed, &en->lock, &until);

		if (r == ETIMEDOUT)
			break;
	}
	stopped = !container_runs(&c->state);
	pthread_mutex_unlock(&en->lock);
	return stopped;
}

static void by_hand(struct engine *en, struct container *c)
{
	pthread_mutex_lock(&en->lock);
	c->state.stopped_by_hand = true;
	pthread_mutex_unlock(&en->lock);
}

static void tell_kill(struct engine *en, struct container *c, int signal)
{
	char number[16];
	const char *const more[] = {"signal", number, NULL};

	(void)snprintf(number, sizeof(number), "%d", signal);
	container_tell(en, c, "kill", more);
}

int container_stop(
	struct engine *en, struct container *c, int signal, int64_t timeout_s, struct err *e)
{
	struct container_state s = container_state(en, c);
	int r;

	if (c->declared)
		return declared_command(en, c, INIT_STOP, e);
	if (s.status == CONTAINER_RESTARTING) {
		by_hand(en, c);
		pthread_mutex_lock(&en->lock);
		c->state.status = CONTAINER_EXITED;
		(void)container_save_state(en, c, e);
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&en->lock);
		return 0;
	}
	if (!container_runs(&s))
		return err_set(e, EALREADY, "container %s is already stopped", c->id);
	by_hand(en, c);
	if (s.status == CONTAINER_PAUSED)
		(void)container_pause(en, c, false, e);
	r = container_signal(en, c, signal);
	if (r < 0 && r != -ESRCH)
		return err_set(e, -r, "cannot stop container: %s: %s", c->id, strerror(-r));
	tell_kill(en, c, signal);
	if (!container_wait_stopped(en, c, timeout_s < 0 ? -1 : timeout_s * 1000)) {
		r = container_signal(en, c, SIGKILL);
		tell_kill(en, c, SIGKILL);
		if ((r < 0 && r != -ESRCH) || !container_wait_stopped(en, c, KILL_WAIT_MS))
			return err_set(e, EIO, "cannot stop container: %s: it does not end", c->id);
	}
	container_tell(en, c, "stop", NULL);
	return 0;
}

int container_kill(struct engine *en, struct container *c, int signal, struct err *e)
{
	struct container_state s = container_state(en, c);
	int r;

	if (!container_runs(&s))
		return err_set(e, EBUSY, "cannot kill container: %s: container %s is not running",
			c->id, c->id);
	if (signal == SIGKILL || signal == SIGTERM)
		by_hand(en, c);
	if (s.status == CONTAINER_PAUSED && signal == SIGKILL)
		(void)container_pause(en, c, false, e);
	r = container_signal(en, c, signal);
	if (r < 0)
		return err_set(e, r == -ESRCH ? EBUSY : -r, "cannot kill container: %s: %s", c->id,
			strerror(-r));
	tell_kill(en, c, signal);
	if (signal == SIGKILL)
		(void)container_wait_stopped(en, c, KILL_WAIT_MS);
	return 0;
}

int container_pause(struct engine *en, struct container *c, bool on, struct err *e)
{
	const char *const args[] = {on ? "pause" : "resume", c->id, NULL};
	struct container_state s;
	int r;

	pthread_mutex_lock(&c->op);
	s = container_state(en, c);
	if (on ? s.status != CONTAINER_RUNNING : s.status != CONTAINER_PAUSED) {
		r = err_set(e, EBUSY, "container %s is %s", c->id,
			!container_runs(&s) ? "not running"
			: on		    ? "already paused"
					    : "not paused");
	} else {
		r = runtime_run(en, args, NULL, e);
		if (r == 0) {
			s.status = on ? CONTAINER_PAUSED : CONTAINER_RUNNING;
			container_set_state(en, c, &s);
			health_update(en, c);
			container_tell(en, c, on ? "pause" : "unpause", NULL);
		}
	}
	pthread_mutex_unlock(&c->op);
	return r;
}

int container_remove(
	struct engine *en, struct container *c, bool force, bool volumes, struct err *e)
{
	struct container_state s = container_state(en, c);
	AUTO_CLOSE int all = -1;
	int r;

	if (c->declared)
		return err_set(
			e, EBUSY, "container %s is declared in the machine's image", c->name);
	if (container_runs(&s) && !force)
		return err_set(e, EBUSY,
			"cannot remove container \"%s\": container is running: stop the container "
			"before "
			"removing or force remove",
			c->name);
	if (container_runs(&s)) {
		by_hand(en, c);
		r = container_signal(en, c, SIGKILL);
		if ((r < 0 && r != -ESRCH) || !container_wait_stopped(en, c, KILL_WAIT_MS))
			return err_set(
				e, EIO, "cannot remove container \"%s\": it does not end", c->name);
	}
	pthread_mutex_lock(&c->op);
	if (c->removed) {
		pthread_mutex_unlock(&c->op);
		return err_set(e, ENOENT, "No such container: %s", c->id);
	}
	s = container_state(en, c);
	s.status = CONTAINER_REMOVING;
	container_set_state(en, c, &s);
	all = openat(en->root, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rootfs_unmount(en, c);
	health_container_removed(en, c);
	exec_container_removed(en, c);
	if (volumes)
		mountpoints_orphan(en, c);
	r = all < 0 ? -errno : rmtree_at(all, c->id);
	if (r < 0)
		r = err_set(e, -r, "remove the files of container %s: %s", c->id, strerror(-r));
	if (r == 0) {
		container_tell(en, c, "destroy", NULL);
		r = container_forget(en, c, e);
	}
	if (r == 0 && volumes)
		mountpoints_remove_orphans(en, c);
	pthread_mutex_unlock(&c->op);
	return r;
}
