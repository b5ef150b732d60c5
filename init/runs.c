#include "init/runs.h"

#include "init/cgroup.h"
#include "init/logs.h"
#include "init/loop.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

static void close_watched(int *fd)
{
	if (*fd >= 0)
		loop_remove(*fd);
	fd_close(fd);
}

void runs_close_notify(struct service *svc)
{
	close_watched(&svc->notify);
}

/* Start a child in the service's group, with its log. Returns 0 or -errno. */
static int spawn_child(struct service *svc, struct spawn *how, struct spawned *ret)
{
	unsigned index = service_index(svc);
	AUTO_CLOSE int cgroup = cgroup_open_service(&svc->cfg);
	int r;

	if (cgroup < -1)
		return cgroup;
	how->cgroup = cgroup;
	how->output = -1;
	if (!how->tty) {
		how->output = logs_pipe(index, svc->cfg.name, svc->cfg.console);
		if (how->output < 0)
			return how->output;
	}
	r = spawn_process(how, ret);
	if (r < 0)
		return r;
	close_watched(&svc->setup);
	svc->setup = ret->setup;
	svc->forked_ok = false;
	/* not watched: its end is still read when the child ends */
	(void)loop_add(svc->setup, EPOLLIN, LOOP_SETUP, index);
	return 0;
}

int service_spawn_step(struct service *svc, const struct spawn *how)
{
	struct spawn copy = *how;
	struct spawned child;
	int r = spawn_child(svc, &copy, &child);

	if (r < 0)
		return r;
	svc->step = child.pid;
	svc->step_pidfd = child.pidfd;
	return 0;
}

int runs_spawn_main(struct service *svc)
{
	char *argv[SERVICE_ARGS_MAX + 1];
	AUTO_CLOSE int notify_write = -1;
	struct spawn how = {
		.argv = argv,
		.tty = svc->cfg.tty_console,
		.notify = -1,
		.oom_score_adj = svc->cfg.oom_score_adj,
	};
	struct spawned child;
	size_t at = 0;
	int fds[2];
	int r;

	for (unsigned i = 0; i < svc->cfg.argc; i++) {
		argv[i] = svc->cfg.args + at;
		at += strlen(argv[i]) + 1;
	}
	argv[svc->cfg.argc] = NULL;
	if (svc->cfg.ready_fd) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			return -errno;
		close_watched(&svc->notify);
		svc->notify = fds[0];
		notify_write = fds[1];
		how.notify = notify_write;
		(void)fd_set_nonblock(svc->notify, 1);
		r = loop_add(svc->notify, EPOLLIN, LOOP_NOTIFY, service_index(svc));
		if (r < 0)
			return r;
	}
	r = spawn_child(svc, &how, &child);
	if (r < 0)
		return r;
	svc->pid = child.pid;
	svc->pidfd = child.pidfd;
	return 0;
}

void runs_kill_rest(struct service *svc)
{
	if (svc->cfg.container[0]) {
		(void)cgroup_kill(CGROUP_CONTAINERS, svc->cfg.name);
	} else if (!cgroup_kill(CGROUP_SERVICES, svc->cfg.name) && svc->pid > 0) {
		/* its session's process group; not reaped yet, so the number is still its own */
		(void)kill(-svc->pid, SIGKILL);
	}
}

/* The child's setup descriptor says something, or its end is read before the child's end is told.
 */
static void read_setup(struct service *svc)
{
	struct spawn_failure failure;
	int r = svc->setup < 0 ? 0 : spawn_read_setup(svc->setup, &failure);

	if (r == 0)
		return;
	close_watched(&svc->setup);
	if (r < 0) {
		service_say(svc, "cannot start: %s: %s", failure.step, strerror(-r));
		return;
	}
	svc->forked_ok = true;
	if (svc->state == SVC_STARTING && !svc->cfg.ready_fd && !svc->cfg.oneshot)
		service_event(svc, SVC_EV_READY);
}

static void on_setup(unsigned index)
{
	read_setup(service_at(index));
}

static void on_notify(unsigned index)
{
	struct service *svc = service_at(index);
	char buf[64];
	ssize_t n = svc->notify < 0 ? -1 : read(svc->notify, buf, sizeof(buf));

	if (n < 0)
		return;
	if (n > 0 && !memchr(buf, '\n', (size_t)n))
		return;
	/* the line, or the end: a service that closes it without a line is never ready */
	close_watched(&svc->notify);
	if (n > 0)
		service_event(svc, SVC_EV_READY);
}

bool service_reap(pid_t pid, int code, int status)
{
	struct service_exit how = {code, status};
	struct service *svc = NULL;

	for (unsigned i = 0; i < service_count() && !svc; i++)
		if (service_at(i)->pid == pid || service_at(i)->step == pid)
			svc = service_at(i);
	if (!svc || pid <= 0)
		return false;
	if (svc->step == pid) {
		read_setup(svc);
		svc->step = 0;
		fd_close(&svc->step_pidfd);
		svc->step_exit = how;
		service_event(svc, SVC_EV_STEP);
		return true;
	}
	if (svc->cfg.container[0])
		svc->forked_ok = true;
	else
		read_setup(svc);
	logs_drain(service_index(svc));
	/* in SVC_DELETE it is sampan-oci that ended it, and why it did is on record */
	if (svc->state != SVC_DELETE)
		svc->exit = how;
	if (svc->state != SVC_DELETE && svc->forked_ok)
		service_say_exit(svc, "", how);
	/* before pid is forgotten: it still names the process group */
	runs_kill_rest(svc);
	svc->pid = 0;
	fd_close(&svc->pidfd);
	service_event(svc, SVC_EV_EXIT);
	return true;
}

void runs_init(void)
{
	loop_on(LOOP_SETUP, on_setup);
	loop_on(LOOP_NOTIFY, on_notify);
}
