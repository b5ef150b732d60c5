#include "init/service.h"

#include "init/backoff.h"
#include "init/cgroup.h"
#include "init/container.h"
#include "init/logs.h"
#include "init/loop.h"
#include "init/options.h"
#include "init/order.h"
#include "init/runs.h"
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

void service_say(struct service *svc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(svc->what, sizeof(svc->what), fmt, ap);
	va_end(ap);
}

void service_say_exit(struct service *svc, const char *who, struct service_exit how)
{
	if (how.code == CLD_EXITED)
		service_say(svc, "%sexited with status %d", who, how.status);
	else
		service_say(svc, "%skilled by signal %d", who, how.status);
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

/* No child could be made: for lack of memory, processes or descriptors. That passes. */
static void spawn_failed(struct service *svc, int r)
{
	svc->backoff_ms = backoff_next(
		svc->backoff_ms, svc->cfg.backoff_min_ms, svc->cfg.backoff_max_ms, 0, UINT64_MAX);
	service_say(svc, "cannot start: %s", strerror(-r));
	log_error("%s: %s; trying again in %llu ms", svc->cfg.name, svc->what,
		(unsigned long long)svc->backoff_ms);
	service_enter(svc, SVC_BACKOFF, svc->backoff_ms);
	/* unlike after a failure of its own: the others wait for it */
	svc->settled = false;
}

static void act_run(struct service *svc)
{
	bool container = svc->cfg.container[0] != '\0';
	int r;

	svc->exit = (struct service_exit){0};
	svc->up_since_ms = 0;
	r = container ? container_create(svc) : runs_spawn_main(svc);
	if (r < 0) {
		runs_close_notify(svc);
		spawn_failed(svc, r);
		return;
	}
	if (container)
		service_enter(svc, SVC_CREATE, OCI_STEP_MS);
	else
		service_enter(svc, SVC_STARTING,
			svc->cfg.ready_fd ? svc->cfg.ready_timeout_ms : UINT64_MAX);
}

static void act_kill(struct service *svc)
{
	runs_kill_rest(svc);
	if (svc->pidfd >= 0)
		(void)sys_pidfd_send_signal(svc->pidfd, SIGKILL, NULL, 0);
	log_warn("%s: does not stop; killed", svc->cfg.name);
	service_enter(svc, SVC_STOPPING, KILL_AGAIN_MS);
}

static void act_term(struct service *svc)
{
	int signal = shutdown_running() ? svc->cfg.shutdown_signal : svc->cfg.stop_signal;

	svc->wanted = false;
	service_say(svc, "was sent signal %d", signal);
	if (svc->pidfd >= 0)
		(void)sys_pidfd_send_signal(svc->pidfd, signal, NULL, 0);
	service_enter(svc, SVC_STOPPING, svc->cfg.stop_timeout_ms);
}

static void act_want(struct service *svc)
{
	svc->wanted = true;
	svc->settled = false;
	svc->restarts = 0;
	svc->backoff_ms = 0;
	/* the time-out only makes the loop look again */
	service_enter(svc, SVC_WAITING, CONTAINERS_FIRST_MS);
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
	service_say(svc, "stopped");
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
static void ended(struct service *svc)
{
	bool good = svc->exit.code == CLD_EXITED && svc->exit.status == 0;
	uint64_t ran_ms = svc->up_since_ms ? time_now_ms() - svc->up_since_ms : 0;

	runs_close_notify(svc);
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
		ended(svc);
}

static bool step_failed(struct service *svc, const char *verb)
{
	if (svc->step_exit.code == CLD_EXITED && svc->step_exit.status == 0)
		return false;
	if (svc->forked_ok)
		service_say_exit(svc, verb, svc->step_exit);
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
		service_say(svc, "%.150s", e.msg);
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
		ended(svc);
		return;
	}
	runs_kill_rest(svc);
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
			service_say(svc, "waits for %s", name);
		else
			act_run(svc);
	}
}

void service_start_all(void)
{
	runs_init();
	for (unsigned i = 0; i < service_count(); i++)
		if (service_at(i)->wanted)
			service_event(service_at(i), SVC_EV_START);
}
