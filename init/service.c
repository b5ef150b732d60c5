#include "init/service.h"

#include "init/backoff.h"
#include "init/cgroup.h"
#include "init/container.h"
#include "init/logs.h"
#include "init/loop.h"
#include "init/options.h"
#include "init/order.h"
#include "init/server.h"
#include "init/shutdown.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/sys.h"
#include "lib/base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

static const char *const state_names[SVC_STATES] = {
	[SVC_DOWN] = "down",
	[SVC_WAITING] = "waiting",
	[SVC_CREATE] = "creating",
	[SVC_LAUNCH] = "creating",
	[SVC_STARTING] = "starting",
	[SVC_UP] = "up",
	[SVC_STOPPING] = "stopping",
	[SVC_DELETE] = "stopping",
	[SVC_BACKOFF] = "restarting",
	[SVC_DONE] = "done",
	[SVC_FAILED] = "failed",
};

const char *service_state_name(enum service_state state)
{
	return state_names[state];
}

bool service_is_active(const struct service *svc)
{
	return svc->state != SVC_DOWN && svc->state != SVC_DONE && svc->state != SVC_FAILED;
}

static void say(struct service *svc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What `sampan status` shows beside the state. */
static void say(struct service *svc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(svc->what, sizeof(svc->what), fmt, ap);
	va_end(ap);
}

static void say_command(struct service *svc)
{
	const char *from = svc->cfg.container[0] ? svc->cfg.container : svc->cfg.args;
	size_t len = svc->cfg.container[0] ? strlen(from) : svc->cfg.args_len - 1U;

	if (len > sizeof(svc->what) - 1)
		len = sizeof(svc->what) - 1;
	for (size_t i = 0; i < len; i++)
		svc->what[i] = from[i] ? from[i] : ' ';
	svc->what[len] = '\0';
}

static void say_exit(struct service *svc, const char *who, struct service_exit how)
{
	if (how.code == CLD_EXITED)
		say(svc, "%sexited with status %d", who, how.status);
	else
		say(svc, "%skilled by signal %d", who, how.status);
}

void service_enter(struct service *svc, enum service_state state, uint64_t timeout_ms)
{
	uint64_t now = time_now_ms();

	if (svc->state != state)
		svc->since_ms = now;
	svc->state = state;
	svc->deadline_ms = timeout_ms == UINT64_MAX ? UINT64_MAX : now + timeout_ms;
	if (state == SVC_UP || state == SVC_DONE || state == SVC_FAILED || state == SVC_BACKOFF ||
		state == SVC_DOWN)
		svc->settled = true;
	if (state == SVC_UP || state == SVC_STARTING)
		say_command(svc);
	server_service_changed(svc);
}

static void close_watched(int *fd)
{
	if (*fd >= 0)
		loop_remove(*fd);
	fd_close(fd);
}

/* No child could be made: for lack of memory, processes or descriptors. That passes. */
static void spawn_failed(struct service *svc, int r)
{
	svc->backoff_ms = backoff_next(
		svc->backoff_ms, svc->cfg.backoff_min_ms, svc->cfg.backoff_max_ms, 0, UINT64_MAX);
	say(svc, "cannot start: %s", strerror(-r));
	log_error("%s: %s; trying again in %llu ms", svc->cfg.name, svc->what,
		(unsigned long long)svc->backoff_ms);
	service_enter(svc, SVC_BACKOFF, svc->backoff_ms);
	/* unlike after a failure of its own: the others wait for it */
	svc->settled = false;
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

static int spawn_main(struct service *svc)
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

static void act_run(struct service *svc)
{
	bool container = svc->cfg.container[0] != '\0';
	int r;

	svc->exit = (struct service_exit){0};
	svc->up_since_ms = 0;
	r = container ? container_create(svc) : spawn_main(svc);
	if (r < 0) {
		close_watched(&svc->notify);
		spawn_failed(svc, r);
		return;
	}
	if (container)
		service_enter(svc, SVC_CREATE, OCI_STEP_MS);
	else
		service_enter(svc, SVC_STARTING,
			svc->cfg.ready_fd ? svc->cfg.ready_timeout_ms : UINT64_MAX);
}

/* Kill what the main process may have left behind; it is dead or about to be. */
static void kill_rest(struct service *svc)
{
	if (svc->cfg.container[0]) {
		(void)cgroup_kill(CGROUP_CONTAINERS, svc->cfg.name);
	} else if (!cgroup_kill(CGROUP_SERVICES, svc->cfg.name) && svc->pid > 0) {
		/* its session's process group; not reaped yet, so the number is still its own */
		(void)kill(-svc->pid, SIGKILL);
	}
}

static void act_kill(struct service *svc)
{
	kill_rest(svc);
	if (svc->pidfd >= 0)
		(void)sys_pidfd_send_signal(svc->pidfd, SIGKILL, NULL, 0);
	log_warn("%s: does not stop; killed", svc->cfg.name);
	service_enter(svc, SVC_STOPPING, KILL_AGAIN_MS);
}

static void act_term(struct service *svc)
{
	svc->wanted = false;
	say(svc, "was sent signal %d", svc->cfg.stop_signal);
	if (svc->pidfd >= 0)
		(void)sys_pidfd_send_signal(svc->pidfd, svc->cfg.stop_signal, NULL, 0);
	service_enter(svc, SVC_STOPPING, svc->cfg.stop_timeout_ms);
}

static void act_want(struct service *svc)
{
	svc->wanted = true;
	svc->settled = false;
	svc->restarts = 0;
	svc->backoff_ms = 0;
	service_enter(svc, SVC_WAITING, UINT64_MAX);
}

static void act_unwant(struct service *svc)
{
	svc->wanted = false;
	svc->again = false;
}

static void act_again(struct service *svc)
{
	svc->again = true;
}

static void act_down(struct service *svc)
{
	svc->wanted = false;
	say(svc, "stopped");
	service_enter(svc, SVC_DOWN, UINT64_MAX);
	cgroup_remove_service(svc->cfg.name);
}

static void act_up(struct service *svc)
{
	svc->up_since_ms = time_now_ms();
	service_enter(svc, SVC_UP, UINT64_MAX);
}

static void act_not_ready(struct service *svc)
{
	log_warn("%s: not ready after %llu ms; nothing waits for it any more", svc->cfg.name,
		(unsigned long long)svc->cfg.ready_timeout_ms);
	svc->settled = true;
	svc->deadline_ms = UINT64_MAX;
}

/* Nothing of it runs any more: what now? */
void service_ended(struct service *svc)
{
	bool good = svc->exit.code == CLD_EXITED && svc->exit.status == 0;
	uint64_t ran_ms = svc->up_since_ms ? time_now_ms() - svc->up_since_ms : 0;

	close_watched(&svc->notify);
	if (svc->again && !shutdown_running()) {
		svc->again = false;
		act_want(svc);
		return;
	}
	if (!svc->wanted || shutdown_running()) {
		act_down(svc);
		return;
	}
	if (svc->cfg.restart == RESTART_ALWAYS ||
		(svc->cfg.restart == RESTART_ON_FAILURE && !good)) {
		svc->backoff_ms = backoff_next(svc->backoff_ms, svc->cfg.backoff_min_ms,
			svc->cfg.backoff_max_ms, ran_ms, svc->cfg.healthy_ms);
		svc->restarts++;
		log_warn("%s: %s; starting it again in %llu ms", svc->cfg.name, svc->what,
			(unsigned long long)svc->backoff_ms);
		service_enter(svc, SVC_BACKOFF, svc->backoff_ms);
		return;
	}
	if (!good)
		log_error("%s: %s", svc->cfg.name, svc->what);
	service_enter(svc, good ? SVC_DONE : SVC_FAILED, UINT64_MAX);
	cgroup_remove_service(svc->cfg.name);
}

static void begin_delete(struct service *svc)
{
	int r = container_delete(svc);

	if (r < 0)
		log_error("%s: cannot run sampan-oci delete: %s", svc->cfg.name, strerror(-r));
	service_enter(svc, SVC_DELETE, r < 0 ? RETRY_MS : OCI_STEP_MS);
}

static void act_exited(struct service *svc)
{
	if (svc->cfg.container[0])
		begin_delete(svc);
	else
		service_ended(svc);
}

static bool step_failed(struct service *svc, const char *verb)
{
	if (svc->step_exit.code == CLD_EXITED && svc->step_exit.status == 0)
		return false;
	if (svc->forked_ok)
		say_exit(svc, verb, svc->step_exit);
	svc->exit = svc->step_exit;
	return true;
}

static void act_created(struct service *svc)
{
	struct err e = {0};
	int r;

	if (step_failed(svc, "sampan-oci create ")) {
		begin_delete(svc);
		return;
	}
	r = container_adopt(svc, &e);
	if (r == 0 && svc->wanted) {
		r = container_launch(svc);
		if (r < 0)
			(void)err_set(&e, -r, "cannot run sampan-oci start: %s", strerror(-r));
	}
	if (r < 0) {
		say(svc, "%.150s", e.msg);
		svc->exit = (struct service_exit){CLD_EXITED, 1};
	}
	if (r < 0 || !svc->wanted)
		begin_delete(svc);
	else
		service_enter(svc, SVC_LAUNCH, OCI_STEP_MS);
}

static void act_launched(struct service *svc)
{
	if (step_failed(svc, "sampan-oci start ") || svc->pid == 0) {
		begin_delete(svc);
		return;
	}
	act_up(svc);
	if (!svc->wanted)
		act_term(svc);
}

/* In SVC_DELETE, when a step or the process itself ended, or neither did in time. */
static void act_deleting(struct service *svc)
{
	if (svc->step > 0)
		return;
	if (svc->pid == 0) {
		if (svc->step_exit.code != CLD_EXITED || svc->step_exit.status != 0)
			log_error("%s: sampan-oci delete did not end well", svc->cfg.name);
		service_ended(svc);
		return;
	}
	kill_rest(svc);
	(void)sys_pidfd_send_signal(svc->pidfd, SIGKILL, NULL, 0);
	service_enter(svc, SVC_DELETE, KILL_AGAIN_MS);
}

static void act_step_timeout(struct service *svc)
{
	if (svc->step > 0) {
		log_error("%s: sampan-oci takes too long; killed", svc->cfg.name);
		(void)sys_pidfd_send_signal(svc->step_pidfd, SIGKILL, NULL, 0);
		svc->deadline_ms = time_now_ms() + KILL_AGAIN_MS;
	} else if (svc->pid > 0) {
		act_deleting(svc);
	} else {
		begin_delete(svc);
	}
}

static void (*const actions[SVC_STATES][SVC_EVENTS])(struct service *svc) = {
	[SVC_DOWN] = {[SVC_EV_START] = act_want},
	[SVC_DONE] = {[SVC_EV_START] = act_want, [SVC_EV_STOP] = act_down},
	[SVC_FAILED] = {[SVC_EV_START] = act_want, [SVC_EV_STOP] = act_down},
	[SVC_WAITING] = {[SVC_EV_STOP] = act_down},
	[SVC_BACKOFF] =
		{[SVC_EV_START] = act_want, [SVC_EV_STOP] = act_down, [SVC_EV_TIMEOUT] = act_run},
	[SVC_STARTING] = {[SVC_EV_STOP] = act_term,
		[SVC_EV_READY] = act_up,
		[SVC_EV_EXIT] = act_exited,
		[SVC_EV_TIMEOUT] = act_not_ready},
	[SVC_UP] = {[SVC_EV_STOP] = act_term, [SVC_EV_EXIT] = act_exited},
	[SVC_STOPPING] = {[SVC_EV_START] = act_again,
		[SVC_EV_STOP] = act_unwant,
		[SVC_EV_EXIT] = act_exited,
		[SVC_EV_TIMEOUT] = act_kill},
	[SVC_CREATE] = {[SVC_EV_STOP] = act_unwant,
		[SVC_EV_STEP] = act_created,
		[SVC_EV_TIMEOUT] = act_step_timeout},
	[SVC_LAUNCH] = {[SVC_EV_STOP] = act_unwant,
		[SVC_EV_STEP] = act_launched,
		[SVC_EV_TIMEOUT] = act_step_timeout},
	[SVC_DELETE] = {[SVC_EV_START] = act_again,
		[SVC_EV_STOP] = act_unwant,
		[SVC_EV_EXIT] = act_deleting,
		[SVC_EV_STEP] = act_deleting,
		[SVC_EV_TIMEOUT] = act_step_timeout},
};

void service_event(struct service *svc, enum service_event event)
{
	if (actions[svc->state][event])
		actions[svc->state][event](svc);
}

void service_start(struct service *svc)
{
	service_event(svc, SVC_EV_START);
}

void service_stop(struct service *svc)
{
	service_event(svc, SVC_EV_STOP);
}

void service_restart(struct service *svc)
{
	if (service_is_active(svc) && svc->state != SVC_WAITING && svc->state != SVC_BACKOFF) {
		service_event(svc, SVC_EV_STOP);
		svc->again = true;
	} else {
		service_event(svc, SVC_EV_START);
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
		say(svc, "cannot start: %s: %s", failure.step, strerror(-r));
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
		say_exit(svc, "", how);
	/* before pid is forgotten: it still names the process group */
	kill_rest(svc);
	svc->pid = 0;
	fd_close(&svc->pidfd);
	service_event(svc, SVC_EV_EXIT);
	return true;
}

uint64_t service_deadline(void)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < service_count(); i++)
		if (service_at(i)->deadline_ms < next)
			next = service_at(i)->deadline_ms;
	return next;
}

void service_tick(uint64_t now_ms)
{
	for (unsigned i = 0; i < service_count(); i++) {
		struct service *svc = service_at(i);

		if (svc->deadline_ms > now_ms)
			continue;
		svc->deadline_ms = UINT64_MAX;
		service_event(svc, SVC_EV_TIMEOUT);
	}
	/* Whatever happened, somebody may not have to wait any longer. */
	for (unsigned i = 0; i < service_count(); i++) {
		struct service *svc = service_at(i);
		const char *name = svc->state == SVC_WAITING ? order_waits_for(svc) : NULL;

		if (svc->state != SVC_WAITING)
			continue;
		if (name)
			say(svc, "waits for %s", name);
		else
			act_run(svc);
	}
}

void service_start_all(void)
{
	loop_on(LOOP_SETUP, on_setup);
	loop_on(LOOP_NOTIFY, on_notify);
	for (unsigned i = 0; i < service_count(); i++)
		if (service_at(i)->wanted)
			service_event(service_at(i), SVC_EV_START);
}
